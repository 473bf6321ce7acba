#!/usr/bin/env python3
"""The runner itself: what it reads it writes back, and what is wrong it finds."""

import pathlib
import sys
import tempfile
import unittest

import pyarrow as pa

import engines
import sqllogictest

TEXT = """# a comment
statement ok
CREATE VIEW v AS SELECT 1

onlyif duckdb
query IT rowsort
SELECT a,
  b FROM t
----
1	x
2	NULL

statement error no such (table|view)
SELECT * FROM nothing

query R nosort
SELECT 0.5
----
0.5
"""


def records(text=TEXT):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "a.test"
        path.write_text(text)
        return sqllogictest.parse(path)


def run(record, result):
    def execute(_):
        if isinstance(result, Exception):
            raise result
        return result

    return sqllogictest.run_record(record, execute).problem


class SqlLogicTestTest(unittest.TestCase):
    def test_writes_what_it_read(self):
        self.assertEqual(sqllogictest.render(records()), TEXT)

    def test_lines_and_directives(self):
        self.assertEqual([record.line for record in records()], [2, 6, 13, 16])
        self.assertEqual([record.runs_on("ballista") for record in records()], [True, False, True, True])

    def test_rejects_what_it_does_not_know(self):
        for text in ("queery I\nSELECT 1\n", "query Q rowsort\nSELECT 1\n", "statement perhaps\nSELECT 1\n", "query I\n"):
            with self.subTest(text), self.assertRaises(sqllogictest.FormatError):
                records(text)

    def test_query(self):
        query = records()[1]
        good = pa.table({"a": [2, 1], "b": [None, "x"]})
        self.assertEqual(run(query, good), "")
        self.assertIn("2 rows expected, got 1", run(query, good.slice(1)))
        self.assertIn("-2\tNULL", run(query, pa.table({"a": [1, 3], "b": ["x", None]})))
        self.assertIn("column types IT, got TT", run(query, pa.table({"a": ["2", "1"], "b": [None, "x"]})))
        self.assertIn("boom", run(query, ValueError("boom")))

    def test_order_counts_where_the_record_says_so(self):
        ordered = records("query I nosort\nSELECT 1\n----\n1\n2\n")[0]
        self.assertEqual(run(ordered, pa.table({"a": [1, 2]})), "")
        self.assertIn("rows", run(ordered, pa.table({"a": [2, 1]})))

    def test_duplicate_rows_count(self):
        query = records("query I rowsort\nSELECT 1\n----\n1\n1\n2\n")[0]
        self.assertIn("rows", run(query, pa.table({"a": [1, 2, 2]})))

    def test_errors(self):
        statement = records()[2]
        self.assertEqual(run(statement, ValueError("there is No Such Table")), "")
        self.assertIn("got: ValueError: other", run(statement, ValueError("other")))
        self.assertIn("got: success", run(statement, pa.table({})))

    def test_external_tables_as_views(self):
        self.assertEqual(
            engines.as_duckdb("CREATE OR REPLACE EXTERNAL TABLE t STORED AS PARQUET LOCATION '/nowhere/a'"),
            "CREATE OR REPLACE VIEW t AS FROM read_parquet('/nowhere/a/**/*.parquet')",
        )
        self.assertEqual(
            engines.as_duckdb(
                "CREATE EXTERNAL TABLE t (a INT, b DECIMAL(8, 2)) STORED AS CSV WITH HEADER ROW LOCATION '/n/*.csv' "
                "OPTIONS (delim '|')"
            ),
            "CREATE VIEW t AS FROM read_csv('/n/*.csv', columns = {'a': 'INT', 'b': 'DECIMAL(8, 2)'}, header = true, "
            "delim = '|')",
        )


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=0).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - min(bad, result.testsRun)} passed, {bad} failed")
    sys.exit(1 if bad else 0)
