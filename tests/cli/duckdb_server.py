"""A Flight SQL server over single-process DuckDB: what the command line is tested against.

It speaks the part of the protocol that `ballista` uses: statement queries, updates, cancellation, progress and
the list of executors. Prints its port on standard output, then serves until its standard input ends.
"""
import sys
import threading
import time
import uuid

import duckdb
import pyarrow as pa
import pyarrow.flight as flight


def varint(value):
    out = b""
    while True:
        byte, value = value & 0x7F, value >> 7
        out += bytes([byte | (0x80 if value else 0)])
        if not value:
            return out


def field(number, value):
    """One protobuf field: an int, or bytes or text."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value & (1 << 64) - 1)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def fields(data):
    """The length-delimited fields of a message, by number."""
    found, at = {}, 0

    def number():
        nonlocal at
        shift = value = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    while at < len(data):
        key = number()
        if key & 7 == 2:
            size = number()
            found[key >> 3] = data[at:at + size]
            at += size
        else:
            found[key >> 3] = number()
    return found


def statement_of(command):
    any_message = fields(command)
    return fields(any_message[2])[1].decode()


INVALID = 4  # arrow::StatusCode::Invalid
INVALID_ARGUMENT = 3  # of gRPC


def user_error(error, statement):
    """The error as the scheduler sends it: an RpcStatus around a control.TaskFailed with a UserError."""
    message, position = str(error), -1
    if "\nLINE " in message:
        drawing = message[message.index("\nLINE "):].split("\n")
        column = drawing[2].index("^") - drawing[1].index(": ") - 2
        line = int(drawing[1][5:drawing[1].index(":")])
        lines = statement.split("\n")
        before = "\n".join(lines[:line - 1]) + ("\n" if line > 1 else "") + lines[line - 1][:column]
        position = len(before.encode())
        message = message[:message.index("\nLINE ")].rstrip()
    kind = 1 if isinstance(error, duckdb.ParserException) else 2
    detail = field(1, field(1, kind) + field(2, position))
    failed = field(1, message) + field(2, INVALID) + field(3, detail)
    packed = field(1, "type.googleapis.com/ballista.control.TaskFailed") + field(2, failed)
    return flight.FlightServerError(message, field(1, INVALID_ARGUMENT) + field(2, message) + field(3, packed))


class Job:
    def __init__(self, cursor, statement):
        self.cursor = cursor
        self.statement = statement
        self.reader = None
        self.cancelled = threading.Event()
        self.start = time.monotonic()


class Server(flight.FlightServerBase):
    def __init__(self):
        super().__init__("grpc://127.0.0.1:0")
        self.connection = duckdb.connect()
        self.connection.execute("SET arrow_lossless_conversion = true; SET arrow_output_version = '1.5'")
        self.jobs = {}

    def cursor(self):
        cursor = self.connection.cursor()
        cursor.execute("SET TimeZone = 'Europe/Zurich'")
        return cursor

    def get_flight_info(self, context, descriptor):
        statement = statement_of(descriptor.command)
        job = Job(self.cursor(), statement)
        # `sleep N` takes N seconds: a query that runs long without burning the machine.
        if statement.startswith("sleep "):
            schema = pa.schema([("slept", pa.float64())])
        else:
            try:
                job.reader = job.cursor.execute(statement).to_arrow_reader(10000)
            except duckdb.Error as error:
                raise user_error(error, statement)
            schema = job.reader.schema
        job_id = uuid.uuid4().hex[:8]
        self.jobs[job_id] = job
        endpoint = flight.FlightEndpoint(job_id.encode(), [])
        return flight.FlightInfo(schema, descriptor, [endpoint], -1, -1, True, job_id.encode())

    def do_get(self, context, ticket):
        job = self.jobs[ticket.ticket.decode()]
        if job.statement.startswith("sleep "):
            seconds = float(job.statement[6:])
            if job.cancelled.wait(seconds):
                raise flight.FlightCancelledError("cancelled")
            return flight.RecordBatchStream(pa.table({"slept": [seconds]}))
        return flight.RecordBatchStream(job.reader)

    def do_action(self, context, action):
        body = action.body.to_pybytes()
        if action.type == "CancelFlightInfo":
            info = flight.FlightInfo.deserialize(fields(body)[1])
            self.jobs[info.app_metadata.decode()].cancelled.set()
            print("cancelled", flush=True)
            return [flight.Result(field(1, 1))]
        if action.type == "job_profile":
            job = self.jobs[fields(body)[1].decode()]
            done = int((time.monotonic() - job.start) * 10)
            stages = field(6, field(1, 0) + field(7, 4) + field(10, 4) + field(15, 1200000000))
            stages += field(6, field(1, 1) + field(7, 20) + field(9, 2) + field(10, min(done, 19)))
            return [flight.Result(field(3, field(1, "job") + field(4, 2)) + stages)]
        if action.type == "list_executors":
            executor = field(1, "e1") + field(2, "localhost") + field(3, 50051) + field(4, 2)
            return [flight.Result(field(1, executor))]
        raise flight.FlightServerError(action.type + " is not known")


if __name__ == "__main__":
    server = Server()
    print(server.port, flush=True)
    threading.Thread(target=server.serve, daemon=True).start()
    sys.stdin.read()
    server.shutdown()
