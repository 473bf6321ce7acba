"""Malformed input to every port of a cluster without authentication, the worst case: random bytes, truncated and
forged messages, wrong tickets, huge claims of length, paths that climb, thousands of idle connections, and requests
that trickle in. Each gets an error or a closed connection; afterwards every process is there, has not grown, and the
cluster answers a query."""

import concurrent.futures
import http.client
import pathlib
import random
import resource
import socket
import struct
import sys
import tempfile
import time
import unittest

import pyarrow as pa
import pyarrow.flight as flight
import pyarrow.parquet as pq

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "cluster"))
from cluster import Cluster, free_ports  # noqa: E402

SEED = 20261125
GROWTH = 200 << 20  # bytes of resident memory that a process may grow by over the whole test
IDLE = 10_000
WIRE_VERSION = 1
SCHEDULER_ACTIONS = (
    "register_executor", "heartbeat", "stop_executor", "task_status", "job_profile", "cancel_job", "list_executors",
    "CreatePreparedStatement", "ClosePreparedStatement", "CancelFlightInfo", "SetSessionOptions", "GetSessionOptions",
    "CloseSession", "no_such_action",
)  # fmt: skip
EXECUTOR_ACTIONS = ("launch_tasks", "cancel_tasks", "remove_jobs", "no_such_action")


# ---- protobuf and HTTP/2 by hand


def varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def task_id(job, stage=0, task=0, attempt=0):
    return field(1, job) + field(2, stage) + field(3, task) + field(4, attempt)


def any_of(name, body):
    return field(1, "type.googleapis.com/arrow.flight.protocol.sql." + name) + field(2, body)


def ticket(job, first=0, last=1, stage=0, version=WIRE_VERSION):
    output = field(1, stage) + field(4, first) + field(5, last)
    return field(1, version) + field(2, job) + field(3, output)


def executor(host="127.0.0.1", port=1, slots=4, name="forged"):
    body = field(1, name) + field(2, host) + field(3, port) + field(4, slots) + field(8, name + "-1")
    return field(1, WIRE_VERSION) + field(2, body)


def launch(job, incarnation="x"):
    stage = field(1, job) + field(2, 0)
    return field(1, WIRE_VERSION) + field(3, stage) + field(4, field(1, task_id(job))) + field(6, incarnation)


def frame(kind, flags, stream, body):
    return struct.pack(">I", len(body))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + body


def literal(name, value):
    return b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def call(method, messages, end=False):
    """An HTTP/2 connection with one call."""
    headers = b"".join(
        literal(*pair)
        for pair in (
            (":method", "POST"), (":scheme", "http"), (":authority", "x"), ("te", "trailers"),
            (":path", f"/arrow.flight.protocol.FlightService/{method}"), ("content-type", "application/grpc"),
        )
    )  # fmt: skip
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 4, 1, headers) + frame(0, end, 1, messages)


def message(body, claimed=None):
    return b"\x00" + struct.pack(">I", len(body) if claimed is None else claimed) + body


def rpc(method, claimed, body):
    """A call whose message claims a length."""
    return call(method, message(body, claimed))


def ingest(table, codec, claimed=None):
    """An upload of 1,000 numbers, whose compressed buffer claims a length."""
    batch = pa.record_batch({"a": pa.array(range(1000), pa.int64())})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
        writer.write_batch(batch)
    schema, rows = pa.ipc.MessageReader.open_stream(sink.getvalue())
    body = rows.body.to_pybytes()
    if claimed is not None:
        body = struct.pack("<q", claimed) + body[8:]
    create = field(1, 1) + field(2, 2)
    command = any_of("CommandStatementIngest", field(1, create) + field(2, table))
    first = field(1, field(1, 2) + field(2, command)) + field(2, schema.metadata.to_pybytes())
    second = field(2, rows.metadata.to_pybytes()) + field(1000, body)
    return call("DoPut", message(first) + message(second), end=True)


def frame_of(command, name):
    """A data frame in place of a statement: DISTINCT of a source under a filter, and the name of its one column."""
    source = field(10, field(1, "csv") + field(2, "/etc/passwd") + field(4, "a"))
    literal_5 = field(3, field(1, field(1, 6)) + field(3, 10))
    less = field(7, field(1, 3)) + field(20, field(2, 0)) + field(20, literal_5)
    root = field(1, field(1, source) + field(12, field(1, less))) + field(18, b"")
    body = field(1, 1) + field(2, root) + field(3, "a")
    return field(1, f"type.googleapis.com/{name}") + field(2, command(body))


def data_frame(command=lambda body: body):
    return frame_of(command, "ballista.dataframe.CommandDataFrame")


def nested_frame(depth):
    """DISTINCT of DISTINCT of ..."""
    relation = field(11, field(1, "t") + field(2, "a"))
    for _ in range(depth):
        relation = field(1, relation) + field(18, b"")
    return data_frame(lambda _: field(1, 1) + field(2, relation) + field(3, "a"))


VALID = {
    "register_executor": executor(),
    "heartbeat": field(1, WIRE_VERSION) + field(2, "e") + field(3, "i"),
    "stop_executor": field(1, WIRE_VERSION) + field(2, "e") + field(3, "i"),
    "task_status": field(1, WIRE_VERSION) + field(2, "e") + field(3, "i") + field(4, field(1, task_id("j")) + field(3, b"")),
    "job_profile": field(1, "j"),
    "cancel_job": field(1, "j"),
    "CreatePreparedStatement": any_of("ActionCreatePreparedStatementRequest", field(1, "SELECT 1")),
    "ClosePreparedStatement": any_of("ActionClosePreparedStatementRequest", field(1, "handle")),
    "CancelFlightInfo": field(1, field(5, "j")),
    "SetSessionOptions": field(1, field(1, "a") + field(2, field(1, "b"))),
    "launch_tasks": launch("j"),
    "cancel_tasks": field(1, WIRE_VERSION) + field(2, task_id("j")),
    "remove_jobs": field(1, WIRE_VERSION) + field(2, "j"),
}  # fmt: skip


class HostileInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        cls.folder = tempfile.TemporaryDirectory()
        pq.write_table(pa.table({"a": range(100_000)}), pathlib.Path(cls.folder.name, "t.parquet"))
        cls.http = free_ports(1)[0]
        # Results that nobody reads are kept for a while.
        cls.cluster = Cluster(
            executors=2, scheduler_args=["--http-port", str(cls.http)], memory_limit="512MiB", leak_check=False
        )
        cls.cluster.__enter__()
        cls.executor_ports = [int(one.command[one.command.index("--port") + 1]) for one in cls.cluster.executors]
        cls.flight_ports = [cls.cluster.port, *cls.executor_ports]
        cls.random = random.Random(SEED)
        for _ in range(3):
            cls.query()
        cls.resident = cls.memory()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__(None, None, None)
        cls.folder.cleanup()

    @classmethod
    def memory(cls):
        return {process.name: process.resident_bytes() for process in cls.cluster.processes()}

    @classmethod
    def query(cls):
        connection = cls.cluster.connect(timeout=60)
        try:
            with connection.cursor() as cursor:
                for statement in (
                    "SET ballista.single_task_threshold = 0",
                    f"SELECT a % 3 AS g, count(*) AS n FROM '{cls.folder.name}/t.parquet' GROUP BY 1 ORDER BY 1",
                ):
                    cursor.execute(statement)
                    rows = cursor.fetch_arrow_table().to_pylist()
        finally:
            connection.close()
        assert rows == [{"g": 0, "n": 33334}, {"g": 1, "n": 33333}, {"g": 2, "n": 33333}], rows

    def tearDown(self):
        self.assertEqual(self.cluster.dead(), [])
        self.query()
        now = self.memory()
        for name, before in self.resident.items():
            self.assertLess(now[name] - before, GROWTH, f"{name} grew from {before} to {now[name]} bytes")

    def variants(self, message, count=12):
        """Cut, altered and random forms of a message."""
        yield b""
        for _ in range(count):
            yield message[: self.random.randrange(len(message) + 1)]
            altered = bytearray(message or b"\0")
            for _ in range(self.random.randrange(1, 4)):
                altered[self.random.randrange(len(altered))] = self.random.randrange(256)
            yield bytes(altered)
            yield self.random.randbytes(self.random.randrange(1, 300))
        # Fields that claim more than there is, and nesting without end.
        yield field(2, b"x")[:1] + varint((1 << 31) - 1)
        yield field(2, b"x")[:1] + varint((1 << 63) - 1)
        nested = b""
        for _ in range(5000):
            nested = field(3, nested)
        yield nested

    def attempt(self, call):
        """Errors are what is expected; an answer is fine too. None may take long."""
        start = time.monotonic()
        try:
            call()
        except (pa.ArrowException, OSError):
            pass
        self.assertLess(time.monotonic() - start, 15)

    def test_actions(self):
        options = flight.FlightCallOptions(timeout=10)
        for port in self.flight_ports:
            client = flight.connect(f"grpc://127.0.0.1:{port}")
            for action in SCHEDULER_ACTIONS if port == self.cluster.port else EXECUTOR_ACTIONS:
                for body in self.variants(VALID.get(action, b"")):
                    self.attempt(lambda: list(client.do_action((action, body), options)))
            client.close()

    def test_tickets_and_descriptors(self):
        options = flight.FlightCallOptions(timeout=10)
        tickets = [
            ticket("no-such-job"), ticket("../../../../etc/passwd"), ticket("/etc/passwd"), ticket("."), ticket(""),
            ticket("j\0j"), ticket("j" * 100_000), ticket("j", 5, 1), ticket("j", 0, 0xFFFFFFFF), ticket("j", version=99),
            field(1, WIRE_VERSION) + field(2, "j"), field(1, WIRE_VERSION) + field(2, "j") + field(3, b"") * 100_000,
            any_of("TicketStatementQuery", field(1, "../../../etc/passwd")), any_of("TicketStatementQuery", b""),
            any_of("CommandGetTables", field(1, "x")), any_of("CommandGetXdbcTypeInfo", field(1, 1)),
        ]  # fmt: skip
        for port in self.flight_ports:
            client = flight.connect(f"grpc://127.0.0.1:{port}")
            for one in (*tickets, *self.variants(ticket("j")), *self.variants(tickets[-1])):
                self.attempt(lambda: client.do_get(flight.Ticket(one), options).read_all())
            frames = [data_frame(), data_frame(lambda body: body[:-1]), nested_frame(199), nested_frame(5000)]
            for command in (
                *self.variants(any_of("CommandStatementQuery", field(1, "SELECT 1"))), *frames,
                *self.variants(data_frame(), count=40), *(data_frame(lambda _: one) for one in self.variants(b"x" * 40)),
            ):  # fmt: skip
                descriptor = flight.FlightDescriptor.for_command(command)
                self.attempt(lambda: client.get_flight_info(descriptor, options))
                self.attempt(lambda: client.get_schema(descriptor, options))
                self.attempt(lambda: self.upload(client, descriptor, options))
            self.attempt(lambda: client.get_flight_info(flight.FlightDescriptor.for_path("..", "..", "etc"), options))
            self.attempt(lambda: list(client.list_flights(b"x", options)))
            client.close()

    @staticmethod
    def upload(client, descriptor, options):
        writer, _ = client.do_put(descriptor, pa.schema([("a", pa.int64())]), options)
        with writer:
            writer.write_batch(pa.record_batch({"a": [1]}))

    def test_forged_executors(self):
        options = flight.FlightCallOptions(timeout=10)
        client = flight.connect(f"grpc://127.0.0.1:{self.cluster.port}")
        wrong = [
            executor(host=""), executor(port=0), executor(port=70_000), executor(host="a b"), executor(host="a\nb"),
            executor(host="x" * 10_000), executor(host="../../etc"), executor(slots=0), executor(slots=0xFFFFFFFF),
            executor(name=""), executor(name="../../x"), executor(name="x" * 10_000),
        ]  # fmt: skip
        for body in wrong:
            with self.assertRaises(pa.ArrowException, msg=body[:60]):
                list(client.do_action(("register_executor", body), options))
        self.assertNotIn("\nb", self.cluster.scheduler.text().replace("\nballista", ""))
        # One that could be true, at a port where nobody is.
        with self.assertRaisesRegex(pa.ArrowException, "cannot reach this executor"):
            list(client.do_action(("register_executor", executor(name="forged-2")), options))
        self.query()

    def test_launched_paths_that_climb(self):
        """The incarnation is what an executor tells whoever may see it, so it does not protect."""
        client = flight.connect(f"grpc://127.0.0.1:{self.cluster.port}")
        (answer,) = client.do_action(("list_executors", b""), flight.FlightCallOptions(timeout=10))
        listed = answer.body.to_pybytes()
        incarnations = [part[:36].decode() for part in listed.split(b"\x42\x24")[1:]]
        self.assertEqual(len(incarnations), 2)
        before = {path for path in pathlib.Path(self.cluster.folder).rglob("*")}
        for port in self.executor_ports:
            direct = flight.connect(f"grpc://127.0.0.1:{port}")
            for incarnation in incarnations:
                for job in ("../../climbed", "/tmp/climbed", "..", "a/b", "a\0b", "x" * 1000, ""):
                    with self.assertRaises(pa.ArrowException):
                        list(direct.do_action(("launch_tasks", launch(job, incarnation)), flight.FlightCallOptions(timeout=10)))
                    self.attempt(lambda: list(direct.do_action(("remove_jobs", field(1, WIRE_VERSION) + field(2, job)))))
        after = {path for path in pathlib.Path(self.cluster.folder).rglob("*")}
        self.assertEqual([path for path in after - before if "climbed" in str(path)], [])

    def connect(self, port, data=b""):
        one = socket.create_connection(("127.0.0.1", port), timeout=10)
        if data:
            one.sendall(data)
        return one

    def test_raw_bytes(self):
        starts = [
            b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"GET " + b"/" * 100_000, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000,
            b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            b"GET /../../../../etc/passwd HTTP/1.1\r\n\r\n", b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n\r\n",
        ]  # fmt: skip
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for port in (*self.flight_ports, self.http):
                data = [start + self.random.randbytes(self.random.randrange(2000)) for start in starts * 5]
                list(pool.map(lambda one: self.exchange(port, one), data))

    def exchange(self, port, data):
        try:
            with self.connect(port) as one:
                one.sendall(data)
                one.settimeout(1)
                answer = one.recv(65536)
                self.assertNotIn(b"root:", answer)
        except OSError:
            pass

    def test_claims_of_length(self):
        """Messages that claim up to 4 GiB and do not come: nobody sets memory aside for them."""
        before = self.memory()
        held = []
        for port in self.flight_ports:
            for method in ("DoAction", "DoGet", "DoPut", "GetFlightInfo", "Handshake"):
                for claimed in (0x7FFFFFFF, 0xFFFFFFFF, 1 << 30):
                    held.append(self.connect(port, rpc(method, claimed, b"x" * 1000)))
        time.sleep(1)
        now = self.memory()
        for one in held:
            one.close()
        for name in before:
            self.assertLess(now[name] - before[name], 100 << 20, name)

    def test_claims_of_what_is_compressed(self):
        """Buffers that claim to hold up to 4 EiB, or less than nothing: an error at once, and nothing is kept."""
        before = self.memory()
        for codec in ("lz4", "zstd"):
            for claimed in (None, 8000):
                self.assertIn(b"grpc-status\x010", self.answer(self.cluster.port, ingest("honest", codec, claimed)))
            for claimed in (-5, 7992, 1 << 33, 1 << 36, 1 << 40, 1 << 62, (1 << 63) - 1):
                answer = self.answer(self.cluster.port, ingest("claims", codec, claimed))
                self.assertNotIn(b"grpc-status\x010", answer, claimed)
                self.assertIn(b"grpc-message", answer, claimed)
        now = self.memory()
        for name in before:
            self.assertLess(now[name] - before[name], 50 << 20, name)

    def answer(self, port, data):
        """All that comes until the call's status."""
        with self.connect(port, data) as one:
            answer = b""
            while b"grpc-status" not in answer and (more := one.recv(65536)):
                answer += more
        return answer

    def test_idle_connections(self):
        """Ten thousand connections that say nothing: queries go on beside them, and their memory comes back."""
        held, peaks = [], []
        for _ in range(2):
            start = time.monotonic()
            held = [self.connect(self.flight_ports[i % 2]) for i in range(IDLE - 600)]
            held += [self.connect(self.executor_ports[1]) for _ in range(500)]
            held += [self.connect(self.http) for _ in range(60)]
            self.check_health()
            self.query()
            peaks.append(self.memory())
            for one in held:
                one.close()
            time.sleep(1)
            print(f"{len(held)} idle connections for {time.monotonic() - start:.1f} s: {peaks[-1]}")
        for name, first in peaks[0].items():
            self.assertLess(peaks[1][name] - first, 50 << 20, f"{name} grows with each round: {peaks}")

    def test_requests_that_trickle(self):
        """More of them than the HTTP server has threads; each is cut off, and the port answers again."""
        held = [self.connect(self.http, b"GET /health HTTP/1.1\r\nx: ") for _ in range(12)]
        deadline = time.monotonic() + 30
        while held and time.monotonic() < deadline:
            for one in list(held):
                try:
                    one.sendall(b"a")
                except OSError:
                    held.remove(one)
            time.sleep(0.3)
        self.assertEqual(held, [], "connections that are still fed")
        self.check_health()

    def check_health(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=10)
        connection.request("GET", "/health")
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()


if __name__ == "__main__":
    unittest.main()
