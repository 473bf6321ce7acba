#!/usr/bin/env python3
"""The comparison of results finds what is wrong, and lets pass what SQL leaves open."""

import decimal
import sys
import unittest

import duckdb
import pyarrow as pa

import compare


def problem(query, expected, got):
    oracle = duckdb.connect()
    oracle.execute("CREATE TABLE t AS FROM (VALUES (1, 'a'), (2, 'b'), (2, 'c'), (2, 'd'), (3, 'e')) v(n, s)")
    return compare.compare(query, expected, got, oracle).problem


def pairs(*rows):
    return pa.table({"n": pa.array([r[0] for r in rows], pa.int32()), "s": [r[1] for r in rows]})


class CompareTest(unittest.TestCase):
    def test_equal(self):
        self.assertEqual(problem("SELECT n, s FROM t", pairs((1, "a"), (2, "b")), pairs((2, "b"), (1, "a"))), "")

    def test_a_wrong_row_a_missing_row_and_a_double_row(self):
        expected = pairs((1, "a"), (2, "b"))
        self.assertIn("1 rows differ", problem("SELECT n, s FROM t", expected, pairs((1, "a"), (2, "c"))))
        self.assertIn("rows: expected 2, got 1", problem("SELECT n, s FROM t", expected, pairs((1, "a"))))
        self.assertIn("1 rows differ", problem("SELECT n, s FROM t", expected, pairs((1, "a"), (1, "a"))))

    def test_wrong_order(self):
        expected, got = pairs((1, "a"), (2, "b")), pairs((2, "b"), (1, "a"))
        for key in ("n", "1", "s", "n, s", "2", "N DESC"):
            with self.subTest(key):
                self.assertIn("order", problem(f"SELECT n, s FROM t ORDER BY {key}", expected, got))

    def test_ties_may_come_in_any_order(self):
        query = "SELECT n, s FROM t ORDER BY n"
        self.assertEqual(problem(query, pairs((2, "b"), (2, "c")), pairs((2, "c"), (2, "b"))), "")

    def test_other_rows_of_the_same_rank_at_the_limit(self):
        query = "SELECT n, s FROM t ORDER BY n LIMIT 2"
        expected = pairs((1, "a"), (2, "b"))
        self.assertEqual(problem(query, expected, pairs((1, "a"), (2, "d"))), "")
        self.assertIn("differ", problem(query, expected, pairs((1, "a"), (2, "z"))))
        self.assertIn("order", problem(query, expected, pairs((1, "a"), (3, "e"))))

    def test_decimals_are_exact(self):
        left = pa.table({"d": pa.array([decimal.Decimal("1.00")], pa.decimal128(10, 2))})
        right = pa.table({"d": pa.array([decimal.Decimal("1.01")], pa.decimal128(10, 2))})
        self.assertIn("differ", problem("SELECT d FROM t", left, right))
        self.assertEqual(problem("SELECT d FROM t", left, left), "")

    def test_types_count(self):
        left, right = pa.table({"x": pa.array([1], pa.int32())}), pa.table({"x": pa.array([1], pa.int64())})
        self.assertIn("types", problem("SELECT x FROM t", left, right))

    def test_doubles_have_a_tolerance(self):
        def table(value):
            return pa.table({"x": pa.array([value], pa.float64())})

        self.assertEqual(problem("SELECT x FROM t", table(1.0), table(1.0 + 1e-12)), "")
        self.assertEqual(problem("SELECT x FROM t", table(1.0), table(1.0 + 1e-7)), "")
        self.assertIn("differ", problem("SELECT x FROM t", table(1.0), table(1.0001)))
        self.assertIn("differ", problem("SELECT x FROM t", table(1.0), table(None)))


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=0).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - min(bad, result.testsRun)} passed, {bad} failed")
    sys.exit(1 if bad else 0)
