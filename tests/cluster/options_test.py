"""Every session option changes what the cluster does, an unknown one is refused, and sessions are kept apart."""

import pathlib
import re
import sys
import tempfile
import unittest

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cluster import Cluster  # noqa: E402
from summary import main  # noqa: E402

QUERY = "SELECT l.k, count(*), sum(r.v) FROM facts l JOIN dims r ON l.k = r.k GROUP BY l.k"


def write_tables(folder):
    rows = 200_000
    for name, keys in (("facts", 50_000), ("dims", 40_000)):
        path = pathlib.Path(folder, name)
        path.mkdir()
        for part in range(4):
            first = part * rows // 4
            column = pa.array([(first + i) * 7919 % keys for i in range(rows // 4)], pa.int64())
            values = pa.array(range(first, first + rows // 4), pa.int64())
            pq.write_table(pa.table({"k": column, "v": values}), path / f"part-{part}.parquet")


class Options(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        write_tables(cls.folder.name)
        cls.cluster = Cluster(executors=2, memory_limit="256MiB")
        cls.cluster.__enter__()
        connection = cls.cluster.connect()
        with connection.cursor() as cursor:
            for name in ("facts", "dims"):
                cursor.execute(f"CREATE EXTERNAL TABLE {name} STORED AS PARQUET LOCATION '{cls.folder.name}/{name}'")
                cursor.fetch_arrow_table()
        connection.close()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__(None, None, None)
        cls.folder.cleanup()

    def run_all(self, *statements):
        """The rows of the last statement, all of them in one session of their own."""
        connection = self.cluster.connect()
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                    rows = cursor.fetch_arrow_table()
                return rows
        finally:
            connection.close()

    def plan(self, *settings):
        table = self.run_all(*(f"SET {setting}" for setting in settings), f"EXPLAIN {QUERY}")
        return table.column("plan")[0].as_py()

    def test_single_task_threshold(self):
        self.assertIn("Runs as one task", self.plan("ballista.single_task_threshold = '1GiB'"))
        self.assertNotIn("Runs as one task", self.plan("ballista.single_task_threshold = 0"))

    def test_shuffle_partitions(self):
        base = ("ballista.single_task_threshold = 0", "ballista.broadcast_threshold = 0")
        self.assertIn("into 7 partitions", self.plan(*base, "ballista.shuffle_partitions = 7"))
        self.assertNotIn("into 7 partitions", self.plan(*base))

    def test_broadcast_threshold(self):
        base = "ballista.single_task_threshold = 0"
        never = self.plan(base, "ballista.broadcast_threshold = 0")
        always = self.plan(base, "ballista.broadcast_threshold = '1GiB'")
        self.assertNotIn("all of stage", never.split("Join", 1)[0])
        self.assertIn("partitions of stage", never)
        self.assertIn("all of stage", always.split("Join", 1)[0])

    def test_range_sort_threshold(self):
        sort = "EXPLAIN SELECT * FROM facts ORDER BY v"
        distributed = "SET ballista.single_task_threshold = 0"
        small = self.run_all(distributed, "SET ballista.range_sort_threshold = '1GiB'", sort)
        large = self.run_all(distributed, "SET ballista.range_sort_threshold = 0", sort)
        self.assertNotIn("range exchange by", small.column("plan")[0].as_py())
        self.assertIn("range exchange by", large.column("plan")[0].as_py())

    def test_replan(self):
        # Ten groups, which the estimate takes for many: their final aggregate and the sort become one task.
        query = "EXPLAIN ANALYZE SELECT k % 10, count(*) FROM facts GROUP BY 1 ORDER BY 1"
        distributed = "SET ballista.single_task_threshold = 0"
        kept = self.run_all(distributed, "SET ballista.replan = false", query).column("plan")[0].as_py()
        changed = self.run_all(distributed, "SET ballista.replan = true", query).column("plan")[0].as_py()
        self.assertNotIn("did not run", kept)
        self.assertIn("did not run", changed)

    def test_tasks_per_stage(self):
        query = "EXPLAIN ANALYZE SELECT count(*) FROM facts"
        for tasks in (1, 4):
            plan = self.run_all(
                "SET ballista.single_task_threshold = 0", f"SET ballista.tasks_per_stage = {tasks}", query
            )
            self.assertIn(f"tasks {tasks}, time", plan.column("plan")[0].as_py())

    def test_skew_factor(self):
        # Two partitions, of which the one has three quarters of the rows.
        query = (
            "EXPLAIN ANALYZE SELECT count(*), sum(r.v) FROM (SELECT CASE WHEN v % 4 = 0 THEN k ELSE 5 END k FROM facts) l"
            " JOIN (SELECT k, max(v) v FROM dims GROUP BY k) r ON l.k = r.k"
        )
        settings = ("single_task_threshold = 0", "broadcast_threshold = 0", "shuffle_partitions = 2")
        for factor, split in ((0, False), (2, True), (100, False)):
            plan = self.run_all(
                *(f"SET ballista.{setting}" for setting in settings), f"SET ballista.skew_factor = {factor}", query
            )
            self.assertEqual("skew: partitions" in plan.column("plan")[0].as_py(), split, factor)

    def test_batch_rows(self):
        # One column of bits: a batch of a single row takes a byte for it.
        query = "SELECT row_number() OVER (PARTITION BY b) FROM (SELECT v % 3 = 0 AS b FROM facts WHERE v < 20000)"

        def written(batch_rows):
            settings = ("SET ballista.single_task_threshold = 0", f"SET ballista.batch_rows = {batch_rows}")
            plan = self.run_all(*settings, "EXPLAIN ANALYZE " + query).column("plan")[0].as_py()
            return float(re.search(r"rows out 20000.*bytes out ([\d.]+) KiB", plan)[1])

        self.assertLess(written(0), 5)
        self.assertGreaterEqual(written(1), 19)

    def test_max_task_attempts(self):
        for attempts in (1, 3):
            with self.assertRaisesRegex(Exception, f"failure {attempts} of at most {attempts}"):
                self.run_all(
                    f"SET ballista.max_task_attempts = {attempts}",
                    "SELECT length(string_agg(v::VARCHAR || repeat('x', 4000), ',')) FROM facts",
                )

    def test_fault_tolerance(self):
        query = "SELECT length(string_agg(v::VARCHAR || repeat('x', 4000), ',')) FROM facts"
        for tolerance, attempts in (("none", 1), ("task", 4)):
            with self.assertRaisesRegex(Exception, f"failure {attempts} of at most {attempts}"):
                self.run_all(f"SET ballista.fault_tolerance = '{tolerance}'", query)
        with self.assertRaisesRegex(Exception, "one of task, none"):
            self.run_all("SET ballista.fault_tolerance = 'some'")

    def test_unknown_option_names_the_nearest(self):
        with self.assertRaisesRegex(Exception, "ballista.shuffle_partitions"):
            self.run_all("SET ballista.shuffle_partition = 3")

    def test_bad_value(self):
        with self.assertRaisesRegex(Exception, "shuffle_partitions"):
            self.run_all("SET ballista.shuffle_partitions = 'many'")

    def test_sessions_are_apart(self):
        self.run_all("SET ballista.shuffle_partitions = 5")
        value = self.run_all("SHOW ballista.shuffle_partitions")
        self.assertEqual(value.column(1)[0].as_py(), "0")


if __name__ == "__main__":
    main()
