"""One key has nine tenths of the rows: the tasks that share its partition give DuckDB's answers, and the slowest one
has less to read. A LIMIT stops the tasks that are not needed any more."""

import pathlib
import re
import sys
import tempfile
import unittest

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cluster import Cluster  # noqa: E402
from summary import main  # noqa: E402

FILES = 9
ROWS = 450_000
SETTINGS = ("single_task_threshold = 0", "broadcast_threshold = 0")

JOIN = "facts f JOIN dims d ON f.k = d.k"
QUERIES = {
    "inner": f"SELECT f.k, f.v, d.w FROM {JOIN} WHERE f.v % 37 = 0",
    "inner, aggregate by another column": f"SELECT f.v % 10, count(*), sum(f.v), min(d.w) FROM {JOIN} GROUP BY 1",
    "inner, aggregate by the key": f"SELECT f.k, count(*), sum(f.v) FROM {JOIN} GROUP BY 1",
    "inner, distinct aggregate": f"SELECT count(DISTINCT f.v), count(DISTINCT d.w), count(*) FROM {JOIN}",
    "inner, window by the key": f"SELECT k, max(n) FROM (SELECT f.k, count(*) OVER (PARTITION BY f.k) n FROM {JOIN}) GROUP BY 1",
    "left": "SELECT f.v % 7, count(*), count(d.w), sum(d.w) FROM facts f LEFT JOIN dims d ON f.k = d.k GROUP BY 1",
    "right": "SELECT d.w % 7, count(*), count(f.v), sum(f.v) FROM facts f RIGHT JOIN dims d ON f.k = d.k GROUP BY 1",
    "full": "SELECT count(*), count(f.v), count(d.w), sum(f.v), sum(d.w) FROM facts f FULL JOIN dims d ON f.k = d.k",
    "semi": "SELECT v % 5, count(*), sum(v) FROM facts WHERE k IN (SELECT k FROM dims WHERE w % 3 = 0) GROUP BY 1",
    "anti": "SELECT v % 5, count(*), sum(v) FROM facts f WHERE NOT EXISTS "
    "(SELECT 1 FROM dims d WHERE d.k = f.k AND d.w % 3 = 0) GROUP BY 1",
    "null-aware anti": "SELECT v % 5, count(*), sum(v) FROM facts WHERE k NOT IN "
    "(SELECT k FROM dims WHERE w % 3 = 0 AND k IS NOT NULL) GROUP BY 1",
    "null-aware anti, with a NULL": "SELECT count(*) FROM facts WHERE k NOT IN (SELECT k FROM dims)",
    "mark": "SELECT count(*) FROM facts f WHERE v % 2 = 0 OR EXISTS (SELECT 1 FROM dims d WHERE d.k = f.k AND d.w % 3 = 0)",
    "two joins by the key": f"SELECT count(*), sum(e.w), sum(f.v) FROM {JOIN} LEFT JOIN dims e ON f.k = e.k AND e.w % 2 = 0",
    "aggregated build side": "SELECT count(*), sum(f.v), sum(m) FROM facts f JOIN "
    "(SELECT k, max(w) m FROM dims GROUP BY k) d ON f.k = d.k",
    "union above": f"SELECT count(*), sum(v) FROM (SELECT f.v FROM {JOIN} UNION ALL SELECT w FROM dims)",
    "both sides": "SELECT count(*), sum(a.v) FROM facts a JOIN facts b ON a.k = b.k AND b.v % 45001 = 0",
    "top": f"SELECT f.v, d.w FROM {JOIN} ORDER BY f.v DESC, d.w LIMIT 20",
}


def write_tables(folder):
    """Key 1 has 90 % of the facts; some keys are NULL, some have no partner."""
    for name in ("facts", "dims"):
        pathlib.Path(folder, name).mkdir()
    for part in range(FILES):
        values = range(part * ROWS // FILES, (part + 1) * ROWS // FILES)
        keys = [1 if i % 10 else None if i % 70 == 0 else i * 7919 % 5000 for i in values]
        table = pa.table({"k": pa.array(keys, pa.int64()), "v": pa.array(values, pa.int64())})
        pq.write_table(table, f"{folder}/facts/{part}.parquet")
    for part in range(2):
        values = range(part * 1500, (part + 1) * 1500)
        keys = [None if i == 77 else i for i in values]
        table = pa.table({"k": pa.array(keys, pa.int64()), "w": pa.array([i * 31 % 1009 for i in values], pa.int64())})
        pq.write_table(table, f"{folder}/dims/{part}.parquet")


def slowest_bytes(plan):
    """The most bytes that one task of the join's stage read, and whether partitions were split."""
    stage = next(s for s in re.split(r"^Stage ", plan.split("What the stages did")[1], flags=re.M) if "join" in s)
    amount, unit = re.search(r"bytes in .*?max ([\d.]+) (\w+)", stage).groups()
    return float(amount) * {"B": 1, "KiB": 2**10, "MiB": 2**20}[unit], "skew: partitions" in stage


class Skew(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        write_tables(cls.folder.name)
        cls.duckdb = duckdb.connect()
        cls.cluster = Cluster(executors=3, memory_limit="256MiB")
        cls.cluster.__enter__()
        for name in ("facts", "dims"):
            path = f"{cls.folder.name}/{name}"
            cls.cluster.sql(f"CREATE EXTERNAL TABLE {name} STORED AS PARQUET LOCATION '{path}'")
            cls.duckdb.execute(f"CREATE VIEW {name} AS FROM read_parquet('{path}/*.parquet')")

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__(None, None, None)
        cls.folder.cleanup()

    def run_all(self, settings, *statements):
        connection = self.cluster.connect()
        try:
            with connection.cursor() as cursor:
                for statement in [f"SET ballista.{setting}" for setting in settings] + list(statements):
                    cursor.execute(statement)
                    rows = cursor.fetch_arrow_table()
                return rows
        finally:
            connection.close()

    def test_answers_are_duckdbs(self):
        def rows(table):
            return sorted(zip(*[column.to_pylist() for column in table.columns]), key=repr)

        for name, query in QUERIES.items():
            expected = rows(self.duckdb.execute(query).fetch_arrow_table())
            for settings in ((), ("replan = false",), ("tasks_per_stage = 8", "shuffle_partitions = 5")):
                with self.subTest(query=name, settings=settings):
                    self.assertEqual(rows(self.run_all(SETTINGS + settings, query)), expected)

    def test_the_slowest_task_reads_less(self):
        query = "EXPLAIN ANALYZE " + QUERIES["inner, aggregate by another column"]
        read = {}
        for factor in (0, 2):
            plan = self.run_all((*SETTINGS, f"skew_factor = {factor}"), query).column("plan")[0].as_py()
            read[factor], split = slowest_bytes(plan)
            self.assertEqual(split, factor > 0, plan)
        print(f"bytes of the slowest task of three: {read[0]:.0f} whole, {read[2]:.0f} split")
        self.assertLess(read[2], 0.5 * read[0])

    def test_a_limit_stops_tasks_that_are_not_needed(self):
        settings = ("single_task_threshold = 0", f"tasks_per_stage = {FILES}")
        table = self.run_all(settings, "SELECT * FROM facts LIMIT 10")
        self.assertEqual(table.num_rows, 10)
        plan = self.run_all(settings, "EXPLAIN ANALYZE SELECT * FROM facts LIMIT 10").column("plan")[0].as_py()
        skipped = re.search(r"limit: (\d+) more tasks were not needed", plan)
        self.assertIsNotNone(skipped, plan)
        finished = int(re.search(r"tasks (\d+), time", plan).group(1))
        self.assertEqual(finished + int(skipped.group(1)), FILES)
        self.assertLessEqual(finished, 6)
        # All rows are needed to know that there are no more.
        table = self.run_all(settings, f"SELECT count(*) FROM (SELECT * FROM facts LIMIT {ROWS + 1})")
        self.assertEqual(table.column(0)[0].as_py(), ROWS)


if __name__ == "__main__":
    main()
