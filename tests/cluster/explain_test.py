"""What EXPLAIN and EXPLAIN ANALYZE show, and where errors point, through the stock ADBC driver."""

import pathlib
import re
import sys
import tempfile
import unittest

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cluster import Cluster  # noqa: E402


class Explain(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        for part in range(2):
            rows = pa.table({"k": pa.array([i % 97 for i in range(10_000)], pa.int64()), "s": ["12"] * 9_999 + ["abc"]})
            pq.write_table(rows, pathlib.Path(cls.folder.name, f"part-{part}.parquet"))
        cls.cluster = Cluster(executors=2)
        cls.cluster.__enter__()
        cls.connection = cls.cluster.connect()
        for statement in (
            f"CREATE EXTERNAL TABLE facts STORED AS PARQUET LOCATION '{cls.folder.name}'",
            "SET ballista.single_task_threshold = 0",
            "SET ballista.replan = false",
        ):
            cls.cluster.sql(statement, cls.connection)

    @classmethod
    def tearDownClass(cls):
        cls.connection.close()
        cls.cluster.__exit__(None, None, None)
        cls.folder.cleanup()

    def sql(self, statement):
        return self.cluster.sql(statement, self.connection)

    def stages(self, statement):
        """What EXPLAIN ANALYZE says of each stage."""
        text = self.sql("EXPLAIN ANALYZE " + statement).column("plan")[0].as_py()
        return text, re.split(r"^Stage \d+: .*\n", text.split("What the stages did:\n")[1], flags=re.M)[1:]

    def test_scans_have_the_name_of_the_table(self):
        plan = self.sql("EXPLAIN SELECT sum(k) FROM facts f").column("plan")[0].as_py()
        self.assertIn("Scan facts (2 files) [k]", plan)

    def test_pivot_whose_columns_are_found_first(self):
        pivot = "PIVOT (SELECT k, k % 2 AS odd FROM facts) ON odd USING count(*) GROUP BY k"
        self.assertEqual(self.sql(pivot).column_names, ["k", "0", "1"])
        self.assertIn("Scan facts (2 files) [k]", self.sql("EXPLAIN " + pivot).column("plan")[0].as_py())

    def test_analyze_gives_figures_by_stage_and_operator(self):
        text, stages = self.stages("SELECT k, count(*) FROM facts GROUP BY k")
        self.assertGreaterEqual(len(stages), 2, text)
        spread = r"\(min [^()]+, median [^()]+, max [^()]+\)"
        first = stages[0]
        self.assertRegex(first, r"tasks 2, time min [\d.]+ ms, median [\d.]+ ms, max [\d.]+ ms")
        self.assertRegex(first, rf"rows out 194 {spread}, bytes out [\d.]+ KiB {spread}")
        self.assertRegex(first, rf"rows scanned 20000 {spread}, spilled 0 B {spread}")
        self.assertRegex(first, rf"READ_PARQUET: rows 20000 {spread}, bytes [\d.]+ KiB {spread}, time [\d.]+ ms {spread}")
        self.assertRegex(first, rf"HASH_GROUP_BY: rows 194 {spread}")
        self.assertRegex(stages[-1], r"rows in (97|194)\b")
        self.assertNotRegex(text, r"(?m)^ *:")

    def test_analyze_of_a_copy_shows_its_operators(self):
        with tempfile.TemporaryDirectory() as target:
            text, _ = self.stages(f"COPY (SELECT * FROM facts) TO '{target}/out' (FORMAT parquet)")
        self.assertIn("COPY_TO_FILE", text)
        self.assertRegex(text, r"READ_PARQUET: rows 20000")

    def assert_points(self, statement, line, column):
        """The message ends with line `line` of the statement and an arrow under its column, both counted from 0."""
        with self.assertRaises(Exception) as raised:
            self.sql(statement)
        message = str(raised.exception)
        shown = f"LINE {line + 1}: "
        self.assertIn(f"{shown}{statement.splitlines()[line]}\n{' ' * (len(shown) + column)}^", message, statement)

    def test_errors_point_at_their_place(self):
        self.assert_points("SELEC 1", 0, 0)
        self.assert_points("SELECT *\nFROM nowhere", 1, 5)
        self.assert_points("SELECT nope FROM facts", 0, 7)
        self.assert_points("SELECT *, nope(k)\nFROM facts", 0, 10)
        self.assert_points("SELECT k + [1] FROM facts", 0, 9)
        self.assert_points("SELECT 1, 'abc'::INT", 0, 10)
        self.assert_points("SELECT DATE '2020-13-01'", 0, 12)
        self.assert_points("SELECT * FROM '/no/such.parquet'", 0, 14)
        self.assert_points("INSERT INTO nope VALUES (1)", 0, 12)

    def test_errors_of_rows_say_what_row_value(self):
        with self.assertRaisesRegex(Exception, "Could not convert string 'abc'"):
            self.sql("SELECT sum(s::INT) FROM facts")


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=1)
    result = program.result
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    sys.exit(bool(failed))
