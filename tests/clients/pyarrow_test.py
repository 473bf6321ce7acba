"""pyarrow.flight alone: the snippet of docs/clients/pyarrow.md, its schema before the rows, rows as a stream, cancel
and errors."""

import contextlib
import io
import pathlib
import tempfile
import time
import unittest

import pyarrow as pa
import pyarrow.flight as flight

from clients import SecuredCluster, main, snippet, tpch_cluster

LONG_QUERY = "SELECT count(*) FROM range(100000) a, range(100000) b WHERE (a.range * b.range) % 7 = 3"


class Pyarrow(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = tpch_cluster()
        cls.addClassCleanup(cls.cluster.stop)
        code = snippet("pyarrow.md", "python").replace("grpc://localhost:50050", cls.cluster.uri)
        cls.names = {}
        cls.printed = io.StringIO()
        with contextlib.redirect_stdout(cls.printed):
            exec(compile(code, "pyarrow.md", "exec"), cls.names)
        cls.client = flight.connect(cls.cluster.uri)
        cls.addClassCleanup(cls.client.close)

    def info(self, sql):
        return self.client.get_flight_info(self.names["command"](sql))

    def test_snippet(self):
        self.assertEqual(self.printed.getvalue(), "{'n_regionkey': [0, 1, 2, 3, 4], 'n': [5, 5, 5, 5, 5]}\n")

    def test_a_stream_of_rows(self):
        info = self.info("SELECT range AS r FROM range(1000000) -- " + "a command of more than 127 bytes " * 5)
        self.assertEqual(info.schema, pa.schema([("r", pa.int64())]))
        [endpoint] = info.endpoints
        rows = batches = 0
        for chunk in self.client.do_get(endpoint.ticket):
            rows += chunk.data.num_rows
            batches += 1
        self.assertEqual(rows, 1_000_000)
        self.assertGreater(batches, 1)

    def test_an_empty_result_has_its_schema(self):
        info = self.info("SELECT n_name, n_nationkey FROM nation WHERE n_nationkey < 0")
        table = self.client.do_get(info.endpoints[0].ticket).read_all()
        self.assertEqual(table, pa.schema([("n_name", pa.string()), ("n_nationkey", pa.int64())]).empty_table())

    def test_cancel(self):
        reader = self.client.do_get(self.info("SELECT range AS r FROM range(30000000)").endpoints[0].ticket)
        self.assertGreater(reader.read_chunk().data.num_rows, 0)
        reader.cancel()
        with self.assertRaises(flight.FlightCancelledError):
            reader.read_chunk()
        self.cluster.check_no_leaks()

    def test_timeout(self):
        info = self.info(LONG_QUERY)
        start = time.monotonic()
        with self.assertRaises(flight.FlightTimedOutError):
            self.client.do_get(info.endpoints[0].ticket, flight.FlightCallOptions(timeout=1))
        self.assertLess(time.monotonic() - start, 8)
        self.cluster.check_no_leaks()

    def test_tls_and_log_in(self):
        command = self.names["command"]("SELECT 1 AS one")
        with tempfile.TemporaryDirectory() as folder, SecuredCluster(pathlib.Path(folder, "secured")) as secured:
            address = f"grpc+tls://localhost:{secured.cluster.port}"
            with flight.connect(address, tls_root_certs=secured.ca.read_text()) as client:
                bearers = (client.authenticate_basic_token("alice", secured.PASSWORD),
                           (b"authorization", f"Bearer {secured.token}".encode()))  # fmt: skip
                for bearer in bearers:
                    options = flight.FlightCallOptions(headers=[bearer])
                    info = client.get_flight_info(command, options)
                    table = client.do_get(info.endpoints[0].ticket, options).read_all()
                    self.assertEqual(table.to_pydict(), {"one": [1]})
                with self.assertRaises(flight.FlightUnauthenticatedError):
                    client.get_flight_info(command)
                with self.assertRaises(flight.FlightUnauthenticatedError):
                    client.authenticate_basic_token("alice", "wrong")

    def test_errors(self):
        with self.assertRaisesRegex(flight.FlightError, 'Referenced column "nowhere" not found'):
            self.info("SELECT nowhere FROM nation")
        with self.assertRaisesRegex(flight.FlightError, "this server speaks Flight SQL"):
            self.client.get_flight_info(flight.FlightDescriptor.for_path("nation"))
        with self.assertRaisesRegex(flight.FlightError, "protobuf|message|parse"):
            self.client.get_flight_info(flight.FlightDescriptor.for_command(b"SELECT 1"))


if __name__ == "__main__":
    main()
