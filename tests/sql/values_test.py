#!/usr/bin/env python3
"""Arrow values as text against DuckDB's own cast to VARCHAR, and the comparison's tolerance."""

import sys
import unittest

import duckdb
import pyarrow as pa

import values

# Values whose text must be DuckDB's, by SQL expression. Nested ones without text or floating point: those follow
# the rules of README.md.
SAME_AS_DUCKDB = [
    "true", "false", "1::TINYINT", "(-32768)::SMALLINT", "2147483647", "(-9223372036854775808)::BIGINT",
    "18446744073709551615::UBIGINT", "255::UTINYINT", "99999999999999999999999999999999999999::HUGEINT",
    "-99999999999999999999999999999999999999::HUGEINT", "0::HUGEINT", "1.50::DECIMAL(4,2)", "-0.01::DECIMAL(9,2)",
    "0.000001::DECIMAL(18,6)", "1234567890123456789012345678.0123456789::DECIMAL(38,10)", "0::DECIMAL(5,3)",
    "'text ü 日本'", "'quote '' and \"'", "'abc'::BLOB", "'\\x00\\xFF\\x5C\\x22\\x27~'::BLOB", "uuid '0f0e0d0c-0b0a-0908-0706-050403020100'",
    "DATE '2024-02-29'", "DATE '0001-01-01'", "DATE '9999-12-31'", "DATE '12345-01-01'", "DATE '0044-03-15 (BC)'",
    "DATE '1969-12-31'", "'infinity'::DATE", "'-infinity'::DATE", "TIME '00:00:00'", "TIME '23:59:59.999999'",
    "TIME '12:00:00.5'", "TIME_NS '01:02:03.123456789'", "TIMESTAMP '1969-12-31 23:59:59.999999'",
    "TIMESTAMP '2024-01-01 10:00:00'", "TIMESTAMP '0044-03-15 (BC) 10:00:00'", "'infinity'::TIMESTAMP",
    "TIMESTAMP_S '2024-01-01 10:00:01'", "TIMESTAMP_MS '2024-01-01 10:00:01.123'",
    "TIMESTAMP_NS '2024-01-01 10:00:01.123456789'", "TIMESTAMPTZ '2024-01-01 10:00:00.25+02'",
    "INTERVAL 0 DAY", "INTERVAL '1 year 2 months 3 days 04:05:06.789'", "INTERVAL '-1 month -1 day -00:00:01.5'",
    "INTERVAL '14 months'", "INTERVAL '-25 months'", "INTERVAL '100 hours'", "INTERVAL '1 day -01:00:00'",
    "INTERVAL '1 year'", "INTERVAL '-1 day'", "'b'::ENUM('a', 'b')", "[1, 2, NULL]", "[]::INT[]", "[[1], [], NULL]",
    "[1, 2, 3]::INT[3]", "{'a': 1, 'b': NULL}", "{'a': {'b': [1, 2]}}", "row(1, 2)", "map {1: 2, 3: NULL}", "map {}::MAP(INT, INT)",
    "[DATE '2020-01-01']", "union_value(n := 1)", "'1'::UNION(n INT, s VARCHAR)",
    "'{\"a\": [1, null]}'::JSON", "map {1: {'x': [true, false]}}",
]


class ValuesTest(unittest.TestCase):
    def test_same_text_as_duckdb(self):
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")
        for expression in SAME_AS_DUCKDB:
            with self.subTest(expression):
                table = connection.sql(f"SELECT {expression} AS v").to_arrow_table()
                expected = connection.sql(f"SELECT ({expression})::VARCHAR").fetchone()[0]
                self.assertEqual(values.table_texts(table)[0][0], expected)

    def test_nulls_of_every_type(self):
        connection = duckdb.connect()
        for expression in SAME_AS_DUCKDB:
            with self.subTest(expression):
                sql = f"SELECT v FROM range(3) t(i) LEFT JOIN (SELECT 1 AS j, {expression} AS v) ON i = j ORDER BY i"
                table = connection.sql(sql).to_arrow_table()
                texts = [row[0] for row in values.table_texts(table)]
                self.assertEqual([texts[0], texts[2]], ["NULL", "NULL"])
                self.assertNotEqual(texts[1], "NULL")

    def test_slices_give_the_same_as_the_whole(self):
        connection = duckdb.connect()
        for expression in ("[i, i + 1]", "{'a': i, 'b': [i]}", "map {i: i}", "[i, 2]::BIGINT[2]", "union_value(n := i)"):
            with self.subTest(expression):
                sql = f"""SELECT v FROM range(20) t(i) LEFT JOIN (SELECT i AS j, {expression} AS v FROM range(20) r(i))
                  ON i = j AND i % 3 > 0 ORDER BY i"""
                column = connection.sql(sql).to_arrow_table().column(0).combine_chunks()
                self.assertEqual(values.array_texts(column)[7:12], values.array_texts(column.slice(7, 5)))

    def test_cells_hold_no_line_break(self):
        table = pa.table({"a": ["", "a\nb\tc", None, "x\0"]})
        self.assertEqual([row[0] for row in values.table_texts(table)], ["(empty)", "a\\nb\\tc", "NULL", "x\\0"])

    def test_doubles(self):
        numbers = [1.0, 0.1 + 0.2, 1e300, float("nan"), float("-inf"), -0.0]
        texts = values.array_texts(pa.array(numbers, pa.float64()))
        self.assertEqual(texts, ["1", "0.3", "1e+300", "nan", "-inf", "-0"])

    def test_uuid_extension(self):
        storage = pa.array([bytes(range(16))], pa.binary(16))
        array = pa.ExtensionArray.from_storage(pa.uuid(), storage)
        self.assertEqual(values.array_texts(array), ["00010203-0405-0607-0809-0a0b0c0d0e0f"])

    def test_letters(self):
        self.assertEqual(values.type_letter(pa.int64()), "I")
        self.assertEqual(values.type_letter(pa.decimal128(10, 2)), "T")
        self.assertEqual(values.type_letter(pa.list_(pa.struct([("x", pa.float32())]))), "R")

    def test_tolerance_is_for_letter_r_alone(self):
        self.assertTrue(values.equal_cells("1.0000001", "1.0000002", "R", 1e-6))
        self.assertFalse(values.equal_cells("1.0000001", "1.0000002", "T", 1e-6))
        self.assertFalse(values.equal_cells("1.001", "1.002", "R", 1e-6))
        self.assertFalse(values.equal_cells("nan", "1", "R", 1e-6))
        self.assertFalse(values.equal_cells("1", "NULL", "R", 1e-6))
        self.assertTrue(values.equal_cells("[1.0000001, 'a']", "[1.0000002, 'a']", "R", 1e-6))
        self.assertFalse(values.equal_cells("[1.0000001, 'a']", "[1.0000001, 'b']", "R", 1e-6))

    def test_rows_sort_the_same_whatever_the_last_digits(self):
        one = values.sort_rows([["0.33333331", "b"], ["0.3333333", "a"]], "RT")
        two = values.sort_rows([["0.3333333", "b"], ["0.33333331", "a"]], "RT")
        self.assertEqual([row[1] for row in one], [row[1] for row in two])


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=0).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - min(bad, result.testsRun)} passed, {bad} failed")
    sys.exit(1 if bad else 0)
