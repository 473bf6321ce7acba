"""Flight SQL by raw messages: what no driver shows."""

import pathlib
import signal
import socket
import struct
import sys
import tempfile
import time
import unittest

import pyarrow as pa
import pyarrow.flight as fl

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "cluster"), str(ROOT / "tests" / "clients")]
from cluster import Cluster  # noqa: E402
from messages import field, one, packed, unpacked  # noqa: E402
from summary import main  # noqa: E402

OPTIONS = fl.FlightCallOptions(timeout=60)


def call(port, path, message):
    """The answer to a unary gRPC call, which pyarrow's client does not make: HTTP/2 in its plainest form."""
    headers = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "localhost", "te": "trailers",
               "content-type": "application/grpc"}  # fmt: skip
    block = b"".join(b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in pair) for pair in headers.items())
    body = struct.pack(">BI", 0, len(message)) + message

    def frame(kind, flags, stream, data):
        return struct.pack(">I", len(data))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + data

    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection, connection.makefile("rwb") as stream:
        stream.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
        stream.write(frame(1, 4, 1, block) + frame(0, 1, 1, body))
        stream.flush()
        while True:
            head = stream.read(9)
            data = stream.read(int.from_bytes(head[:3], "big"))
            kind, flags, number = head[3], head[4], int.from_bytes(head[5:], "big")
            if kind == 4 and not flags & 1:
                stream.write(frame(4, 1, 0, b""))
                stream.flush()
            if kind == 0:
                answer += data
            if kind in (3, 7) or (number == 1 and kind in (0, 1) and flags & 1):
                break
    if len(answer) < 5:
        raise RuntimeError(f"{path} failed")
    return answer[5:]


FRAME_VERSION = 1


class Wire(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(executors=2))

    def setUp(self):
        self.client = self.enterContext(self.connect())

    def connect(self):
        return fl.connect(self.cluster.uri.replace("grpc://", "grpc+tcp://"))

    def info(self, message, body=b""):
        return self.client.get_flight_info(fl.FlightDescriptor.for_command(packed(message, body)), OPTIONS)

    def read(self, info):
        tables = [self.client.do_get(endpoint.ticket, OPTIONS).read_all() for endpoint in info.endpoints]
        return pa.concat_tables(tables)

    def action(self, name, body=b""):
        return b"".join(result.body.to_pybytes() for result in self.client.do_action((name, body), OPTIONS))

    def prepare(self, sql):
        return unpacked(self.action("CreatePreparedStatement", packed("ActionCreatePreparedStatementRequest", field(1, sql))))

    def put(self, message, handle, batch):
        """The server's answer."""
        command = packed(message, field(1, handle))
        writer, reader = self.client.do_put(fl.FlightDescriptor.for_command(command), batch.schema, OPTIONS)
        with writer:
            writer.write_batch(batch)
            writer.done_writing()
            return reader.read().to_pybytes()


class Running(Wire):
    def poll(self, descriptor):
        """The fields of the PollInfo: info, descriptor (none: complete), progress."""
        answer = call(self.cluster.port, "/arrow.flight.protocol.FlightService/PollFlightInfo", descriptor)
        progress = one(answer, 3, None)
        return one(answer, 1), one(answer, 2, None), progress and struct.unpack("<d", progress)[0]

    def test_polling_starts_the_query_and_does_not_wait(self):
        sql = "SELECT sum(a.i * b.i) FROM range(20000) a(i), range(20000) b(i)"
        start = time.monotonic()
        first = fl.FlightDescriptor.for_command(packed("CommandStatementQuery", field(1, sql))).serialize()
        info, descriptor, progress = self.poll(first)
        self.assertLess(time.monotonic() - start, 0.4)
        self.assertIsNotNone(descriptor)
        self.assertEqual(fl.FlightInfo.deserialize(info).endpoints, [])
        polls = 0
        while descriptor is not None:
            self.assertLess(time.monotonic() - start, 60)
            self.assertTrue(0 <= progress <= 1, progress)
            info, descriptor, progress = self.poll(descriptor)
            polls += 1
        self.assertEqual(progress, 1)
        self.assertLess(polls, 200)  # each waits for news, or for half a second
        total = sum(range(20000)) ** 2
        self.assertEqual([int(v) for v in self.read(fl.FlightInfo.deserialize(info)).column(0).to_pylist()], [total])

    def test_polling_for_what_is_written(self):
        # COPY has run when it is begun, which a poll does not wait for.
        long = "SELECT sum(a.i * b.i) AS s FROM range(1000000) a(i), range(1000000) b(i)"
        with tempfile.TemporaryDirectory() as folder:
            copy = f"COPY ({long}) TO '{folder}/long' (FORMAT parquet)"
            first = fl.FlightDescriptor.for_command(packed("CommandStatementQuery", field(1, copy))).serialize()
            info, descriptor, _ = self.poll(first)
            self.assertIsNotNone(descriptor)
            self.assertEqual(fl.FlightInfo.deserialize(info).endpoints, [])
            self.assertEqual(one(self.action("CancelFlightInfo", field(1, info)), 1), 1)
            self.cluster.time_until_clean()
            self.assertEqual(list(pathlib.Path(folder).rglob("*.parquet")), [])

            copy = f"COPY (SELECT i FROM range(1000) t(i)) TO '{folder}/short' (FORMAT parquet)"
            descriptor = fl.FlightDescriptor.for_command(packed("CommandStatementQuery", field(1, copy))).serialize()
            while descriptor is not None:
                info, descriptor, _ = self.poll(descriptor)
            self.assertEqual(self.read(fl.FlightInfo.deserialize(info)).column(0).to_pylist(), [1000])

    def test_polling_for_what_a_prepared_statement_writes(self):
        long = "SELECT sum(a.i * b.i) AS s FROM range(1000000) a(i), range(1000000) b(i) WHERE a.i >= ?"
        with tempfile.TemporaryDirectory() as folder:
            for copy in (f"COPY ({long}) TO '{folder}/long' (FORMAT parquet)", f"COPY ({long.replace('?', '0')}) TO "
                         f"'{folder}/long' (FORMAT parquet)"):  # fmt: skip
                handle = one(self.prepare(copy), 1)
                if "?" in copy:
                    self.put("CommandPreparedStatementQuery", handle, pa.record_batch({"1": [0]}))
                command = packed("CommandPreparedStatementQuery", field(1, handle))
                info, descriptor, _ = self.poll(fl.FlightDescriptor.for_command(command).serialize())
                self.assertIsNotNone(descriptor)
                self.assertEqual(fl.FlightInfo.deserialize(info).endpoints, [])
                self.assertEqual(one(self.action("CancelFlightInfo", field(1, info)), 1), 1)
                self.cluster.time_until_clean()
                self.assertEqual(list(pathlib.Path(folder).rglob("*.parquet")), [])

            copy = f"COPY (SELECT i FROM range(1000) t(i) WHERE i >= ?) TO '{folder}/short' (FORMAT parquet)"
            handle = one(self.prepare(copy), 1)
            self.put("CommandPreparedStatementQuery", handle, pa.record_batch({"1": [10]}))
            command = packed("CommandPreparedStatementQuery", field(1, handle))
            descriptor = fl.FlightDescriptor.for_command(command).serialize()
            while descriptor is not None:
                info, descriptor, _ = self.poll(descriptor)
            self.assertEqual(self.read(fl.FlightInfo.deserialize(info)).column(0).to_pylist(), [990])

    def test_polling_for_a_prepared_query_of_several_rows_of_parameters(self):
        handle = one(self.prepare("SELECT ?::INTEGER + 1 AS a"), 1)
        for values in ([1, 2, 3], []):
            self.put("CommandPreparedStatementQuery", handle, pa.record_batch({"1": pa.array(values, pa.int32())}))
            command = packed("CommandPreparedStatementQuery", field(1, handle))
            descriptor = fl.FlightDescriptor.for_command(command).serialize()
            while descriptor is not None:
                info, descriptor, _ = self.poll(descriptor)
            info = fl.FlightInfo.deserialize(info)
            self.assertEqual(info.schema, pa.schema({"a": pa.int32()}))
            rows = [v for e in info.endpoints for v in self.client.do_get(e.ticket, OPTIONS).read_all()["a"].to_pylist()]
            self.assertEqual(rows, [value + 1 for value in values])

    def test_polling_for_what_a_data_frame_writes(self):
        long = "SELECT sum(a.i * b.i) AS s FROM range(1000000) a(i), range(1000000) b(i)"
        with tempfile.TemporaryDirectory() as folder:
            for name, sql in (("slow", long), ("quick", "SELECT i FROM range(1000) t(i)")):
                self.read(self.info("CommandStatementQuery", field(1, f"CREATE OR REPLACE VIEW {name} AS {sql}")))
                root = field(11, field(1, name))
                write = field(1, f"{folder}/{name}") + field(2, "parquet")
                frame = field(1, FRAME_VERSION) + field(2, root) + field(5, write)
                command = field(1, "type.googleapis.com/ballista.dataframe.CommandDataFrame") + field(2, frame)
                info, descriptor, _ = self.poll(fl.FlightDescriptor.for_command(command).serialize())
                if name == "slow":
                    self.assertIsNotNone(descriptor)
                    self.assertEqual(fl.FlightInfo.deserialize(info).endpoints, [])
                    self.assertEqual(one(self.action("CancelFlightInfo", field(1, info)), 1), 1)
                    self.cluster.time_until_clean()
                    self.assertEqual(list(pathlib.Path(folder).rglob("*.parquet")), [])
                else:
                    while descriptor is not None:
                        info, descriptor, _ = self.poll(descriptor)
                    self.assertEqual(self.read(fl.FlightInfo.deserialize(info)).column(0).to_pylist(), [1000])
                self.read(self.info("CommandStatementQuery", field(1, f"DROP VIEW {name}")))

    def test_polling_for_what_is_at_hand(self):
        descriptor = fl.FlightDescriptor.for_command(packed("CommandStatementQuery", field(1, "SELECT 1 AS a")))
        info, descriptor, progress = self.poll(descriptor.serialize())
        self.assertEqual((descriptor, progress), (None, 1))
        self.assertEqual(self.read(fl.FlightInfo.deserialize(info)).to_pydict(), {"a": [1]})

    def test_renewing_an_endpoint(self):
        info = self.info("CommandStatementQuery", field(1, "SELECT 1 AS a"))
        endpoint = info.endpoints[0].serialize()
        self.assertEqual(self.action("RenewFlightEndpoint", field(1, endpoint)), endpoint)
        self.assertEqual(self.read(info).to_pydict(), {"a": [1]})
        with self.assertRaisesRegex(pa.ArrowException, "cannot be renewed"):
            self.action("RenewFlightEndpoint", field(1, endpoint))

    def test_cancelling_in_the_old_and_in_the_new_way(self):
        sql = "SELECT sum(a.i * b.i) FROM range(1000000) a(i), range(1000000) b(i)"
        for name in ("CancelQuery", "CancelFlightInfo"):
            with self.subTest(name):
                info = self.info("CommandStatementQuery", field(1, sql)).serialize()
                body = packed("ActionCancelQueryRequest", field(1, info)) if name == "CancelQuery" else field(1, info)
                answer = self.action(name, body)
                self.assertEqual(one(unpacked(answer) if name == "CancelQuery" else answer, 1), 1)
        self.cluster.time_until_clean()

    def test_transactions_and_savepoints_are_refused(self):
        for name in ("BeginTransaction", "EndTransaction", "BeginSavepoint", "EndSavepoint"):
            with self.subTest(name), self.assertRaisesRegex(pa.ArrowException, "each statement commits"):
                self.action(name)
        with self.assertRaisesRegex(pa.ArrowException, "each statement commits"):
            self.info("CommandStatementQuery", field(1, "SELECT 1") + field(2, b"a transaction"))


class Metadata(Wire):
    def test_sql_info(self):
        rows = self.read(self.info("CommandGetSqlInfo"))
        names = rows.column("info_name").to_pylist()
        self.assertEqual(names, sorted(names))
        # All of the specification.
        self.assertEqual(set(names), {*range(12), 100, 101, *range(500, 577)})
        values = dict(zip(names, rows.column("value").to_pylist()))
        self.assertEqual((values[5], values[6], values[7]), (True, "0.20.0", "0.85.0"))
        self.assertEqual((values[0], values[8], values[504], values[563]), ("Ballista", 0, '"', False))
        self.assertIn("strftime", values[512])
        asked = self.read(self.info("CommandGetSqlInfo", field(1, 504) + field(1, 0) + field(1, 99999)))
        self.assertEqual(asked.column("value").to_pylist(), ['"', "Ballista"])

    def test_functions_that_are_told_of_exist(self):
        rows = self.read(self.info("CommandGetSqlInfo", b"".join(field(1, n) for n in (509, 510, 511, 512))))
        told = {name for names in rows.column("value").to_pylist() for name in names}
        there = self.read(
            self.info("CommandStatementQuery", field(1, "SELECT DISTINCT function_name AS f FROM duckdb_functions()"))
        )
        known = set(there.column("f").to_pylist()) | {"coalesce", "ifnull", "nullif", "extract", "position"}
        self.assertEqual(told - known - {"current_catalog", "current_time", "current_timestamp"}, set())

    def test_xdbc_types(self):
        rows = self.read(self.info("CommandGetXdbcTypeInfo"))
        types = rows.column("data_type").to_pylist()
        self.assertEqual(types, sorted(types))
        self.assertEqual(rows.schema.field("create_params").type, pa.list_(pa.field("item", pa.string(), False)))
        integers = self.read(self.info("CommandGetXdbcTypeInfo", field(1, 4)))
        self.assertEqual(integers.column("type_name").to_pylist(), ["INTEGER", "UINTEGER"])
        self.assertEqual(self.read(self.info("CommandGetXdbcTypeInfo", field(1, 77))).num_rows, 0)

    def test_keys_are_none(self):
        for message in ("PrimaryKeys", "ExportedKeys", "ImportedKeys", "CrossReference"):
            with self.subTest(message):
                info = self.info("CommandGet" + message, field(3, "t"))
                self.assertEqual(self.read(info).num_rows, 0)
                schema = self.client.get_schema(
                    fl.FlightDescriptor.for_command(packed("CommandGet" + message)), OPTIONS
                ).schema
                self.assertEqual(schema, info.schema)


class Prepared(Wire):
    BATCH = pa.record_batch({"n": [1, 2]})

    def test_bind_and_update(self):
        self.read(self.info("CommandStatementQuery", field(1, "CREATE TABLE counted (a INTEGER)")))
        handle = one(self.prepare("INSERT INTO counted VALUES ($1)"), 1)
        self.assertEqual(one(self.put("CommandPreparedStatementUpdate", handle, self.BATCH), 1), 2)
        query = one(self.prepare("SELECT a FROM counted WHERE a >= $1 ORDER BY a"), 1)
        answer = self.put("CommandPreparedStatementQuery", query, self.BATCH)
        self.assertEqual(one(answer, 1), query)
        info = self.info("CommandPreparedStatementQuery", field(1, query))
        self.assertEqual(self.read(info).to_pydict(), {"a": [1, 2, 2]})

    def test_closed_handles_are_none(self):
        handle = one(self.prepare("SELECT 1"), 1)
        self.action("ClosePreparedStatement", packed("ActionClosePreparedStatementRequest", field(1, handle)))
        for bad in (handle, b"", b"1", b"a.b", b":SELECT 1"):
            with self.subTest(bad), self.assertRaisesRegex(pa.ArrowException, "prepare it again"):
                self.info("CommandPreparedStatementQuery", field(1, bad))

    def test_a_session_keeps_a_thousand(self):
        first = one(self.prepare("SELECT 1 AS a"), 1)
        for _ in range(999):
            last = one(self.prepare("SELECT 2 AS a"), 1)
        self.assertEqual(self.read(self.info("CommandPreparedStatementQuery", field(1, first))).to_pydict(), {"a": [1]})
        self.prepare("SELECT 3 AS a")
        with self.assertRaisesRegex(pa.ArrowException, "prepare it again"):
            self.info("CommandPreparedStatementQuery", field(1, first))
        self.assertEqual(self.read(self.info("CommandPreparedStatementQuery", field(1, last))).to_pydict(), {"a": [2]})

    def test_a_file_by_parameter(self):
        answer = self.prepare("SELECT * FROM read_csv($1)")
        self.assertEqual(one(answer, 2), b"")  # the columns are not known yet
        handle = one(answer, 1)
        with self.assertRaisesRegex(pa.ArrowException, "bind them first"):
            self.client.get_schema(
                fl.FlightDescriptor.for_command(packed("CommandPreparedStatementQuery", field(1, handle))), OPTIONS
            )
        path = self.cluster.folder / "rows.csv"
        path.write_text("a,b\n1,x\n")
        self.put("CommandPreparedStatementQuery", handle, pa.record_batch({"path": [str(path)]}))
        info = self.info("CommandPreparedStatementQuery", field(1, handle))
        self.assertEqual(self.read(info).to_pydict(), {"a": [1], "b": ["x"]})


class Restart(unittest.TestCase):
    def test_a_handle_outlives_its_scheduler(self):
        with Cluster(executors=1) as cluster:
            wire = Prepared()
            wire.cluster = cluster
            with wire.connect() as wire.client:
                handle = one(wire.prepare("SELECT $1 + 1 AS a"), 1)
                wire.put("CommandPreparedStatementQuery", handle, pa.record_batch({"n": [1]}))
            cluster.scheduler.child.send_signal(signal.SIGKILL)
            cluster.scheduler.child.wait()
            cluster.restart(cluster.scheduler)
            cluster.wait_for_executors(1)
            with wire.connect() as wire.client:
                with self.assertRaisesRegex(pa.ArrowException, "has 1 parameters, but 0 values"):
                    wire.info("CommandPreparedStatementQuery", field(1, handle))
                wire.put("CommandPreparedStatementQuery", handle, pa.record_batch({"n": [41]}))
                info = wire.info("CommandPreparedStatementQuery", field(1, handle))
                self.assertEqual(wire.read(info).to_pydict(), {"a": [42]})


if __name__ == "__main__":
    main()
