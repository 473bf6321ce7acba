"""Tests of the program tpch, on its own: `tpch_program_test.py PATH-OF-TPCH`.

The scheduler is a stand-in in this process that answers Flight SQL statements with DuckDB; the
program against a real cluster is tested by tests/cluster and tests/oracle.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import duckdb
import pyarrow as pa
import pyarrow.flight as flight

TPCH = None
TABLES = {"customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"}


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:
            return value, at


def fields(data):
    """Length-delimited fields of a protobuf message, by number."""
    out, at = {}, 0
    while at < len(data):
        tag, at = varint(data, at)
        assert tag & 7 == 2, "only length-delimited fields are expected"
        size, at = varint(data, at)
        out[tag >> 3] = data[at : at + size]
        at += size
    return out


def statement(descriptor):
    """The text in an Any of CommandStatementQuery or CommandStatementUpdate."""
    return fields(fields(descriptor.command)[2])[1].decode()


class StandIn(flight.FlightServerBase):
    """Answers statements with DuckDB; `spoil` changes the result of queries that contain it."""

    def __init__(self, spoil=None):
        super().__init__("grpc://127.0.0.1:0")
        self.connection = duckdb.connect()
        self.spoil = spoil
        self.queries = []

    def do_put(self, context, descriptor, reader, writer):
        match = re.fullmatch(
            r"CREATE OR REPLACE EXTERNAL TABLE (\w+) STORED AS PARQUET LOCATION '(.*)'",
            statement(descriptor),
        )
        name, location = match.groups()
        glob = location if location.endswith(".parquet") else f"{location}/*.parquet"
        self.connection.execute(f"CREATE OR REPLACE VIEW {name} AS FROM read_parquet('{glob}')")
        writer.write(pa.py_buffer(b"\x08\x00"))

    def get_flight_info(self, context, descriptor):
        text = statement(descriptor)
        table = self.run(text)
        self.queries.append(text)
        endpoint = flight.FlightEndpoint(text.encode(), [])
        return flight.FlightInfo(table.schema, descriptor, [endpoint], table.num_rows, -1)

    def do_get(self, context, ticket):
        return flight.RecordBatchStream(self.run(ticket.ticket.decode()))

    def run(self, text):
        if self.spoil == "fail":
            raise flight.FlightServerError("no executor is there")
        table = self.connection.execute(text).to_arrow_table()
        if self.spoil and self.spoil in text:
            return table.slice(1)
        return table


def run(*arguments):
    done = subprocess.run(
        [TPCH, *map(str, arguments)], capture_output=True, text=True, timeout=100
    )
    return done.returncode, done.stdout, done.stderr


class TpchProgram(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.root = pathlib.Path(cls.folder.name)
        cls.data = cls.root / "data"
        code, _, error = run("generate", "--scale", "0.01", "--path", cls.data, "--parts", 2)
        assert code == 0, error

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def benchmark(self, server, *arguments):
        try:
            return run("benchmark", "--host", "127.0.0.1", "--port", server.port, "--path",
                       self.data, *arguments)
        finally:
            server.shutdown()

    def test_generate_makes_whole_tables(self):
        self.assertEqual({entry.name for entry in self.data.iterdir()}, TABLES)
        self.assertEqual(len(list((self.data / "lineitem").glob("*.parquet"))), 2)
        rows = duckdb.sql(f"SELECT count(*) FROM '{self.data}/orders/*.parquet'").fetchone()[0]
        self.assertEqual(rows, 15000)
        self.assertEqual([entry.name for entry in self.root.iterdir()], ["data"])

    def test_generate_does_not_mix_data(self):
        code, _, error = run("generate", "--scale", "0.02", "--path", self.data)
        self.assertEqual(code, 1)
        self.assertEqual(
            error, f"tpch: {self.data} is there and not empty; remove it or name another --path\n"
        )

    def test_benchmark_verifies_every_query(self):
        output = self.root / "results.json"
        server = StandIn()
        code, text, error = self.benchmark(
            server, "--query", "all", "--iterations", 1, "--verify", "--output", output
        )
        self.assertEqual(code, 0, error + text)
        self.assertEqual(len(server.queries), 22)
        self.assertIn("22 of 22 queries verified", text)
        results = json.loads(output.read_text())
        output.unlink()
        self.assertEqual([one["query"] for one in results["queries"]], list(range(1, 23)))
        self.assertTrue(all(one["verified"] for one in results["queries"]))
        self.assertTrue(all(one["fastest"] > 0 for one in results["queries"]))
        self.assertEqual(results["queries"][0]["rows"], 4)

    def test_iterations_without_verification(self):
        output = self.root / "results.json"
        server = StandIn()
        code, text, error = self.benchmark(
            server, "--query", "6,1", "--iterations", 3, "--output", output
        )
        self.assertEqual(code, 0, error)
        results = json.loads(output.read_text())
        output.unlink()
        self.assertEqual([one["query"] for one in results["queries"]], [6, 1])
        self.assertEqual([len(one["milliseconds"]) for one in results["queries"]], [3, 3])
        self.assertTrue(all(one["verified"] is None for one in results["queries"]))
        self.assertIn("Query 6 iteration 2 took ", text)

    def test_wrong_result_is_found(self):
        output = self.root / "results.json"
        code, text, error = self.benchmark(
            StandIn(spoil="l_returnflag"), "--query", "1,6", "--iterations", 2, "--verify",
            "--output", output,
        )
        results = json.loads(output.read_text())
        output.unlink()
        self.assertEqual(code, 1)
        self.assertEqual(error, "tpch: 1 of 2 queries failed\n")
        self.assertIn("Query 1 FAILED: 3 rows, expected 4", text)
        self.assertEqual([one["verified"] for one in results["queries"]], [False, True])

    def test_failing_query_is_reported(self):
        code, text, error = self.benchmark(StandIn(spoil="fail"), "--query", 3)
        self.assertEqual(code, 1)
        self.assertIn("Query 3 FAILED: ", text)
        self.assertIn("no executor is there", text)

    def test_no_scheduler(self):
        server = StandIn()
        port = server.port
        server.shutdown()
        code, _, error = run("benchmark", "--host", "127.0.0.1", "--port", port, "--path", self.data)
        self.assertEqual(code, 1)
        self.assertIn(str(port), error)
        self.assertEqual(error.count("\n"), 1)

    def test_bad_arguments(self):
        for query in ("0", "23", "x", "", "1,,2"):
            code, _, error = run("benchmark", "--path", self.data, f"--query={query}")
            self.assertNotEqual(code, 0, query)
            self.assertIn("--query", error)
        self.assertNotEqual(run("generate", "--scale", "-1", "--path", self.root / "x")[0], 0)
        self.assertNotEqual(run()[0], 0)
        self.assertEqual(run("--version")[1].split()[0], "Ballista")


if __name__ == "__main__":
    TPCH = sys.argv.pop(1)
    unittest.main()
