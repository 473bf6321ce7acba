"""Executors stay within their memory limit, with every answer right, and a large result streams through flat memory."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(pathlib.Path(__file__).parent), str(ROOT / "tests" / "oracle"), str(ROOT / "benchmarks")]
import duckdb  # noqa: E402
import tpc_data  # noqa: E402
from cluster import Cluster  # noqa: E402
from summary import main  # noqa: E402
from compare import compare  # noqa: E402
from process_memory import Peaks  # noqa: E402

ALLOWED = 1.15
MIB = 1 << 20
# Of a scheduler or a client through which rows stream, whatever their number.
STREAMING = 320 * MIB

READER = """
import sys, time
import adbc_driver_flightsql.dbapi as flightsql
with flightsql.connect(sys.argv[1]) as connection, connection.cursor() as cursor:
    cursor.execute(sys.argv[2])
    cursor.fetch_record_batch().read_next_batch()
    print("reading", flush=True)
    time.sleep(60)
"""
# 640 MB.
LARGE = "SELECT range AS a, range * 2 AS b, range % 7 AS c, range + 1 AS d FROM range(20000000)"


def size(text):
    number, unit = text.split()
    return float(number) * {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[unit]


def files_on_disk(cluster):
    return [path for path in cluster.folder.glob("work-*/**/*") if path.suffix == ".data"]


class Memory(unittest.TestCase):
    def peaks(self, cluster, **others):
        return Peaks({**{each.name: each.pid for each in cluster.processes()}, **others})

    def assert_within(self, peaks, limit):
        for name, peak in peaks.of.items():
            bound = ALLOWED * limit if name.startswith("executor") else STREAMING
            self.assertLessEqual(peak, bound, f"{name} was resident with {peak >> 20} MiB")

    def check_tpch(self, cluster, data, numbers):
        oracle = duckdb.connect()
        tpc_data.create_views(oracle, data)
        queries = tpc_data.queries("tpch")
        with cluster.connect() as connection:
            # With everything shuffled: hash joins and aggregates on both sides of an exchange.
            cluster.sql("SET ballista.broadcast_threshold = 0", connection)
            for number in numbers:
                got = cluster.sql(queries[number], connection)
                expected = oracle.sql(queries[number]).to_arrow_table()
                self.assertEqual(compare(queries[number], expected, got, oracle).problem, "", f"q{number}")

    def test_tpch_stays_within_the_limit(self):
        data = tpc_data.ensure("tpch", "1")
        with Cluster(executors=2, memory_limit="384MiB") as cluster:
            for sql in tpc_data.external_tables(data):
                cluster.sql(sql)
            with self.peaks(cluster) as peaks:
                self.check_tpch(cluster, data, (1, 3, 9, 13, 18, 21))
            self.assert_within(peaks, 384 * MIB)
            self.assertEqual(cluster.dead(), [])

    def test_a_query_that_needs_too_much_fails_alone(self):
        with Cluster(executors=2, memory_limit="256MiB") as cluster, cluster.connect() as connection:
            with self.peaks(cluster) as peaks:
                with self.assertRaisesRegex(Exception, "failure 4 of at most 4.*raise --memory-limit"):
                    cluster.sql("SELECT length(string_agg(repeat('x', 4000), ',')) FROM range(400000)", connection)
                self.assertEqual(cluster.sql("SELECT count(*) FROM range(1000)", connection)[0][0].as_py(), 1000)
            self.assertEqual(cluster.dead(), [])
            # One value of a few hundred megabytes is not the pools' to divide: twice the limit, and not the sum.
            self.assertLess(max(peaks.of.values()), 3 * 256 * MIB)

    def test_explain_analyze_counts_what_the_engine_spills(self):
        sort = (
            "SELECT count(*), max(n) FROM (SELECT row_number() OVER (ORDER BY s) AS n FROM "
            "(SELECT repeat(md5(range::VARCHAR), 3) AS s FROM range({})))"
        )
        spilled, memory = {}, {}
        with Cluster(executors=1, memory_limit="160MiB") as cluster, cluster.connect() as connection:
            for rows in (1_000, 1_000_000):
                plan = cluster.sql("EXPLAIN ANALYZE " + sort.format(rows), connection).column("plan")[0].as_py()
                spilled[rows] = max(map(size, re.findall(r"spilled ([\d.]+ \w+)", plan)))
                memory[rows] = max(map(size, re.findall(r"engine memory ([\d.]+ \w+)", plan)))
        self.assertEqual(spilled[1_000], 0)
        self.assertGreater(spilled[1_000_000], 40 * MIB)
        self.assertGreater(memory[1_000_000], 10 * MIB)

    def test_100_million_rows_stream_through_flat_memory(self):
        with Cluster(executors=2, memory_limit="256MiB") as cluster, cluster.connect() as connection:
            with self.peaks(cluster, client=os.getpid()) as peaks, connection.cursor() as cursor:
                # The peak of a process that has done other things before would say nothing.
                before = peaks.of["client"]
                cursor.execute("SELECT * FROM range(100000000)")
                rows = sum(batch.num_rows for batch in cursor.fetch_record_batch())
            self.assertEqual(rows, 100_000_000)
            self.assertLess(peaks.of["client"] - before, STREAMING / 2)
            del peaks.of["client"]
            self.assert_within(peaks, 256 * MIB)

    def test_a_scan_of_six_columns_streams_through_flat_memory(self):
        data = tpc_data.ensure("tpch", "1")
        columns = "l_orderkey, l_partkey, l_quantity, l_extendedprice, l_shipdate, l_comment"
        with Cluster(executors=2, memory_limit="256MiB") as cluster, cluster.connect() as connection:
            for sql in tpc_data.external_tables(data):
                cluster.sql(sql, connection)
            with self.peaks(cluster) as peaks, connection.cursor() as cursor:
                cursor.execute(f"SELECT {columns} FROM lineitem")
                rows = sum(batch.num_rows for batch in cursor.fetch_record_batch())
            self.assertEqual(rows, 6_001_215)
            self.assert_within(peaks, 256 * MIB)

    def test_a_client_that_stops_reading_costs_no_memory(self):
        with Cluster(executors=1, memory_limit="256MiB") as cluster, cluster.connect() as connection:
            with self.peaks(cluster) as peaks, connection.cursor() as cursor:
                cursor.execute(LARGE)
                reader = cursor.fetch_record_batch()
                reader.read_next_batch()
                time.sleep(1)
                stalled = dict(peaks.of)
                time.sleep(1)
                self.assertLess(peaks.of["scheduler"] - stalled["scheduler"], 8 * MIB)
                # The rest is there when it goes on.
                self.assertGreater(sum(batch.num_rows for batch in reader), 19_000_000)
            self.assert_within(peaks, 256 * MIB)

    def test_a_client_that_vanishes_leaves_nothing(self):
        with Cluster(executors=1, memory_limit="256MiB") as cluster:
            client = subprocess.Popen([sys.executable, "-c", READER, cluster.uri, LARGE], stdout=subprocess.PIPE)
            try:
                self.assertEqual(client.stdout.readline(), b"reading\n")
                self.assertTrue(files_on_disk(cluster))
                client.send_signal(signal.SIGKILL)
                cluster.wait_for(lambda: not files_on_disk(cluster), 10, "the files of the result to go")
            finally:
                client.kill()
                client.wait()
                client.stdout.close()


if __name__ == "__main__":
    main()
