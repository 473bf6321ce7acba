"""The stock ADBC Flight SQL driver (DB-API) against a real cluster of two executors, and against DuckDB."""

import datetime
import decimal
import pathlib
import re
import sys
import tempfile
import threading
import time
import unittest

import adbc_driver_manager
import duckdb
import pyarrow as pa

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "cluster"), str(ROOT / "tests" / "oracle")]
import compare  # noqa: E402
import tpc_data  # noqa: E402
from cluster import Cluster  # noqa: E402
from summary import main  # noqa: E402

UTC = datetime.timezone.utc
DISTRIBUTED = ("SET ballista.single_task_threshold = 0", "SET ballista.broadcast_threshold = 0")


class OnCluster(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(executors=2))

    def setUp(self):
        self.con = self.enterContext(self.cluster.connect())
        self.cursor = self.enterContext(self.con.cursor())

    def rows(self, sql, parameters=None):
        self.cursor.execute(sql, parameters)
        return self.cursor.fetchall()

    def assertRefused(self, text, call, *arguments, **named):
        with self.assertRaises(adbc_driver_manager.Error) as caught:
            call(*arguments, **named)
        self.assertIn(text, str(caught.exception))


class Fetching(OnCluster):
    def test_fetches_by_ones_and_by_many(self):
        self.cursor.execute("SELECT i FROM range(10) t(i) ORDER BY i")
        self.assertEqual(self.cursor.fetchone(), (0,))
        self.assertEqual(self.cursor.fetchmany(3), [(1,), (2,), (3,)])
        self.assertEqual(self.cursor.fetchall(), [(i,) for i in range(4, 10)])
        self.assertEqual([column[0] for column in self.cursor.description], ["i"])

    def test_an_empty_result_has_its_columns(self):
        self.cursor.execute("SELECT 1.5::DECIMAL(9, 2) AS d, 'x' AS s WHERE false")
        table = self.cursor.fetch_arrow_table()
        self.assertEqual((table.num_rows, table.schema.types), (0, [pa.decimal128(9, 2), pa.string()]))

    def test_schema_without_running(self):
        schema = self.cursor.adbc_execute_schema("SELECT 1 AS a, DATE '2020-01-01' AS b")
        self.assertEqual(schema, pa.schema({"a": pa.int32(), "b": pa.date32()}))

    def test_incremental_execution_polls(self):
        self.cursor.adbc_statement.set_options(**{"adbc.statement.exec.incremental": "true"})
        self.assertEqual(self.rows("SELECT count(*) FROM range(1000000)"), [(1000000,)])

    def test_incremental_execution_of_what_writes(self):
        with (
            tempfile.TemporaryDirectory() as folder,
            adbc_driver_manager.AdbcStatement(self.con.adbc_connection) as statement,
        ):
            statement.set_options(**{"adbc.statement.exec.incremental": "true"})
            statement.set_sql_query(f"COPY (FROM range(1000)) TO '{folder}/t' (FORMAT parquet)")
            stream, _ = statement.execute_query()
            rows = pa.RecordBatchReader.from_stream(stream).read_all()
            self.assertEqual(rows.column(0).to_pylist(), [1000])

    def test_parameters_without_a_type(self):
        for value in (5, "text", 2.5, None, True, datetime.date(2024, 2, 29)):
            with self.subTest(value):
                self.assertEqual(self.rows("SELECT ?", (value,)), [(value,)])

    def test_partitions(self):
        partitions, schema = self.cursor.adbc_execute_partitions("SELECT i FROM range(1000) t(i)")
        self.assertEqual(schema.names, ["i"])
        rows = []
        for partition in partitions:
            self.cursor.adbc_read_partition(partition)
            rows += self.cursor.fetchall()
        self.assertEqual(sorted(rows), [(i,) for i in range(1000)])

    def test_cancel(self):
        self.rows(DISTRIBUTED[0])
        self.cursor.execute("SELECT sum(a.i * b.i) FROM range(1000000) a(i), range(1000000) b(i)")
        threading.Timer(0.5, self.cursor.adbc_cancel).start()
        start = time.monotonic()
        with self.assertRaises(adbc_driver_manager.Error):
            self.cursor.fetchall()
        self.assertLess(time.monotonic() - start, 10)
        self.cursor.close()
        self.cluster.time_until_clean()

    def test_no_transactions(self):
        with self.assertRaises(adbc_driver_manager.NotSupportedError):
            self.con.adbc_connection.set_autocommit(False)


class Parameters(OnCluster):
    def test_values_of_all_types_come_back_as_they_went(self):
        values = {
            "bool": pa.array([True, None]),
            "i8": pa.array([-128, None], pa.int8()),
            "u64": pa.array([2**64 - 1, None], pa.uint64()),
            "f32": pa.array([1.5, None], pa.float32()),
            "f64": pa.array([float("inf"), None], pa.float64()),
            "decimal": pa.array([decimal.Decimal("-12345678901234567890.123456"), None], pa.decimal128(38, 6)),
            "text": pa.array(["it's \"quoted\" $1 ? -- ;\n\0 ü", None]),
            "large_text": pa.array(["", None], pa.large_string()),
            "binary": pa.array([b"\0\xff'", None], pa.binary()),
            "date": pa.array([datetime.date(1, 1, 1), None]),
            "time": pa.array([datetime.time(23, 59, 59, 999999), None], pa.time64("us")),
            "timestamp": pa.array([datetime.datetime(2262, 4, 12, 1, 2, 3, 4), None], pa.timestamp("us")),
            "seconds": pa.array([datetime.datetime(1969, 12, 31), None], pa.timestamp("s")),
            "zoned": pa.array([datetime.datetime(2020, 1, 2, 3, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
            "interval": pa.array([pa.MonthDayNano([14, -3, 5_000_000]), None]),
            "list": pa.array([[1, None, 3], None], pa.list_(pa.int64())),
            "struct": pa.array([{"a": 1, "b": ["x", None]}, None]),
            "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int32())),
            "nothing": pa.nulls(2),
        }
        batch = pa.record_batch(values)
        sql = "SELECT " + ", ".join(f"? AS {name}" for name in values)
        for row in range(2):
            self.cursor.execute(sql, batch.slice(row, 1))
            got = self.cursor.fetch_arrow_table()
            oracle = duckdb.connect()
            oracle.sql("SET TimeZone = 'UTC'")
            there = pa.table(batch.slice(row, 1))
            want = oracle.sql("FROM there").to_arrow_table()
            self.assertEqual(got.to_pydict(), want.to_pydict())
            for name in values:
                if name != "nothing":
                    self.same_type(name, got.schema.field(name).type, want.schema.field(name).type)

    def same_type(self, name, got, want):
        text = [re.sub(r"Etc/UTC|large_|not null", lambda m: "UTC" if "UTC" in m[0] else "", str(t)) for t in (got, want)]
        self.assertEqual(text[0].replace(" ", ""), text[1].replace(" ", ""), name)

    def test_names_and_numbers(self):
        self.assertEqual(self.rows("SELECT $2, $1, $2", (1, "b")), [("b", 1, "b")])
        named = pa.record_batch({"low": [3], "high": [5]})
        sql = "SELECT i FROM range(9) t(i) WHERE i < $high AND i >= $low ORDER BY i"
        self.assertEqual(self.rows(sql, named), [(3,), (4,)])
        self.assertEqual(self.rows(sql, named.select(["high", "low"])), [(3,), (4,)])
        self.assertEqual(self.rows("SELECT $a - $b", (5, 3)), [(2,)])  # by position

    def test_several_rows_are_one_result_in_order(self):
        batch = pa.record_batch({"n": [3, 0, 1]})
        self.cursor.execute("SELECT i, $1 AS n FROM range(10) t(i) WHERE i < $1 ORDER BY i DESC", batch)
        self.assertEqual(self.cursor.fetchall(), [(2, 3), (1, 3), (0, 3), (0, 1)])

    def test_rows_of_several_results_that_nobody_reads_are_dropped(self):
        self.cursor.execute("SELECT * FROM range($1)", pa.record_batch({"n": [100000, 100000]}))
        self.cursor.close()
        self.con.close()
        self.cluster.time_until_clean()

    def test_the_schema_of_parameters(self):
        schema = self.cursor.adbc_prepare("SELECT i FROM range(9) t(i) WHERE i < $1 AND $2::DATE > DATE '2020-01-01'")
        self.assertEqual(schema, pa.schema({"$1": pa.int64(), "$2": pa.date32()}))

    def test_one_statement_with_other_values(self):
        for n in (1, 2, 3):
            self.assertEqual(self.rows("SELECT sum(i) FROM range(10) t(i) WHERE i < ?", (n,)), [(n * (n - 1) // 2,)])

    def test_the_plan_is_that_of_literals(self):
        folder = tpc_data.ensure("tpch", "0.01")
        for statement in (*tpc_data.external_tables(folder), *DISTRIBUTED):
            self.rows(statement)
        sql = "SELECT l_shipmode, sum(l_quantity) FROM lineitem WHERE l_quantity < {} GROUP BY 1 ORDER BY 1"
        self.assertEqual(self.rows(sql.format("?"), (10,)), self.rows(sql.format("10")))
        self.assertEqual(self.rows("EXPLAIN " + sql.format("?"), (10,)), self.rows("EXPLAIN " + sql.format("10::BIGINT")))

    def test_wrong_ones_are_refused(self):
        self.assertRefused("takes 2 parameters ($1, $2), but rows of 1 columns", self.rows, "SELECT ?, ?", (1,))
        self.assertRefused("takes no parameters", self.rows, "SELECT 1", (1,))
        self.assertRefused("has 1 parameters, but 0 values", self.rows, "SELECT ?")
        sql = "SELECT * FROM range(9) t(i) WHERE i < ?"
        self.assertRefused("Could not convert string 'abc' to INT64", self.rows, sql, ("abc",))
        batch = pa.record_batch({"n": ["1", "x"]})
        self.assertRefused("row 2 of the parameters", self.rows, sql, batch)

    def test_updates_run_once_a_row(self):
        self.rows("CREATE TABLE updated (a INTEGER, b VARCHAR)")
        self.cursor.executemany("INSERT INTO updated VALUES (?, ?)", [(1, "a"), (2, "b'c"), (3, None)])
        self.assertEqual(self.cursor.rowcount, 3)
        self.cursor.executemany("UPDATE updated SET b = ? WHERE a >= ?", [("x", 3), ("y", 2)])
        self.assertEqual(self.cursor.rowcount, 3)
        self.assertEqual(self.rows("FROM updated ORDER BY a"), [(1, "a"), (2, "y"), (3, "y")])
        many = pa.record_batch({"a": ["4", "five"], "b": ["d", "e"]})
        self.assertRefused(
            "row 2 of the parameters (the 1 before have taken effect)",
            self.cursor.executemany, "INSERT INTO updated VALUES (?, ?)", many,
        )  # fmt: skip
        self.assertEqual(self.rows("SELECT count(*) FROM updated"), [(4,)])


class Ingest(OnCluster):
    TABLE = pa.table({"i": range(1000), "s": [f"row {i}" for i in range(1000)]})

    def test_modes(self):
        ingest = self.cursor.adbc_ingest
        self.assertRefused("does not exist", ingest, "bulk", self.TABLE, mode="append")
        self.assertEqual(ingest("bulk", self.TABLE, mode="create"), 1000)
        self.assertRefused("already exists", ingest, "bulk", self.TABLE, mode="create")
        self.assertEqual(ingest("bulk", self.TABLE.to_reader(100), mode="append"), 1000)
        self.assertEqual(self.rows("SELECT count(*), count(DISTINCT s), sum(i) FROM bulk"), [(2000, 1000, 999000)])
        self.assertEqual(ingest("bulk", self.TABLE.slice(0, 10), mode="replace"), 10)
        self.assertEqual(ingest("bulk", self.TABLE.slice(0, 10), mode="create_append"), 10)
        self.assertEqual(self.rows("SELECT count(*), max(i) FROM bulk"), [(20, 9)])
        self.assertEqual(ingest("bulk_2", self.TABLE, mode="create_append"), 1000)

    def test_all_or_nothing(self):
        self.cursor.adbc_ingest("whole", pa.table({"i": [1]}), mode="create")
        bad = pa.table({"i": ["2", "three"]})
        self.assertRefused("three", self.cursor.adbc_ingest, "whole", bad, mode="append")
        self.assertEqual(self.rows("FROM whole"), [(1,)])

    def test_columns_are_matched_by_name(self):
        self.rows("CREATE TABLE named (a INTEGER, b VARCHAR, c INTEGER DEFAULT 7)")
        self.cursor.adbc_ingest("named", pa.table({"b": ["x"], "a": [1]}), mode="append")
        self.assertEqual(self.rows("FROM named"), [(1, "x", 7)])
        self.assertRefused('"d"', self.cursor.adbc_ingest, "named", pa.table({"d": [1]}), mode="append")

    def test_temporary_tables_are_their_session_s(self):
        self.cursor.adbc_ingest("passing", self.TABLE, mode="create", temporary=True)
        self.cursor.adbc_ingest("passing", self.TABLE, mode="append", temporary=True)
        self.assertEqual(self.rows("SELECT count(*) FROM passing"), [(2000,)])
        with self.cluster.connect() as other, other.cursor() as cursor:
            self.assertRefused("passing does not exist", cursor.execute, "FROM passing")

    def test_schemas_and_views(self):
        self.rows("CREATE SCHEMA staged")
        self.cursor.adbc_ingest("t", self.TABLE, mode="create", db_schema_name="staged")
        self.assertEqual(self.rows("SELECT count(*) FROM staged.t"), [(1000,)])
        self.rows("CREATE VIEW seen AS SELECT 1 AS i")
        other = {"mode": "append", "db_schema_name": "main"}  # a cursor keeps the name of a schema
        self.assertRefused("takes no rows", self.cursor.adbc_ingest, "seen", self.TABLE, **other)

    def test_types_stay(self):
        table = pa.table(
            {
                "d": pa.array([decimal.Decimal("1.50"), None], pa.decimal128(9, 2)),
                "t": pa.array([datetime.datetime(2020, 1, 2, tzinfo=UTC), None], pa.timestamp("us", "Etc/UTC")),
                "l": pa.array([["a"], None], pa.list_(pa.string())),
                "b": pa.array([b"\0", None], pa.binary()),
            }
        )
        self.cursor.adbc_ingest("typed", table, mode="create")
        self.cursor.execute("FROM typed")
        self.assertEqual(self.cursor.fetch_arrow_table().to_pydict(), table.to_pydict())
        schema = self.con.adbc_get_table_schema("typed")
        self.assertEqual([str(t) for t in schema.types[:2]], ["decimal128(9, 2)", "timestamp[us, tz=Etc/UTC]"])

    def test_empty(self):
        # The driver sends nothing at all where there is no batch.
        empty = pa.RecordBatchReader.from_batches(self.TABLE.schema, [pa.record_batch({"i": [1], "s": ["x"]}).slice(0, 0)])
        self.assertEqual(self.cursor.adbc_ingest("empty", empty, mode="create"), 0)
        self.assertEqual(self.rows("SELECT count(*) FROM empty"), [(0,)])


class Metadata(OnCluster):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with cls.cluster.connect() as con, con.cursor() as cursor:
            cursor.execute("CREATE TABLE meta_one (a INTEGER, b DECIMAL(9, 2))")
            cursor.execute("CREATE VIEW meta_two AS SELECT 1 AS i")
            cursor.execute("CREATE SCHEMA other")

    def test_info(self):
        info = self.con.adbc_get_info()
        self.assertEqual(info["vendor_name"], "Ballista")
        self.assertRegex(info["vendor_version"], r"^\d+\.\d+\.\d+")

    def test_objects(self):
        def tables(**filters):
            objects = self.con.adbc_get_objects(depth="all", **filters).read_all().to_pylist()
            return {
                (catalog["catalog_name"], schema["db_schema_name"], table["table_name"], table["table_type"]): [
                    column["column_name"] for column in table["table_columns"]
                ]
                for catalog in objects
                for schema in catalog["catalog_db_schemas"] or []
                for table in schema["db_schema_tables"] or []
            }

        one = ("memory", "main", "meta_one", "BASE TABLE")
        two = ("memory", "main", "meta_two", "VIEW")
        self.assertEqual(tables(table_name_filter="meta%"), {one: ["a", "b"], two: ["i"]})
        self.assertEqual(tables(table_name_filter=r"meta\_o_e"), {one: ["a", "b"]})
        self.assertEqual(tables(table_name_filter="meta%", table_types_filter=["VIEW"]), {two: ["i"]})
        self.assertEqual(tables(db_schema_filter="oth%"), {})
        self.assertEqual(tables(catalog_filter="memory", table_name_filter="meta_two"), {two: ["i"]})
        self.assertEqual(tables(catalog_filter="nowhere"), {})
        schemas = self.con.adbc_get_objects(depth="db_schemas", db_schema_filter="o%").read_all().to_pylist()
        self.assertEqual([s["db_schema_name"] for s in schemas[0]["catalog_db_schemas"]], ["other"])

    def test_table_types_and_schema(self):
        self.assertEqual(self.con.adbc_get_table_types(), ["BASE TABLE", "LOCAL TEMPORARY", "VIEW"])
        schema = self.con.adbc_get_table_schema("meta_one")
        self.assertEqual(schema, pa.schema({"a": pa.int32(), "b": pa.decimal128(9, 2)}))

    def test_session_options(self):
        self.assertEqual((self.con.adbc_current_catalog, self.con.adbc_current_db_schema), ("memory", "main"))
        self.con.adbc_current_db_schema = "other"
        self.assertEqual(self.con.adbc_current_db_schema, "other")
        self.assertEqual(self.rows("SELECT current_schema()"), [("other",)])
        option = "adbc.flight.sql.session.option."
        self.con.adbc_connection.set_options(**{option + "ballista.shuffle_partitions": "7"})
        self.assertEqual(self.rows("SHOW ballista.shuffle_partitions")[0][-1], "7")
        self.con.adbc_connection.set_options(**{option + "TimeZone": "Asia/Tokyo"})
        self.assertEqual(self.con.adbc_connection.get_option(option + "TimeZone"), "Asia/Tokyo")
        self.con.adbc_connection.set_options(**{"adbc.flight.sql.session.optionerase.TimeZone": ""})
        self.assertNotEqual(self.con.adbc_connection.get_option(option + "TimeZone"), "Asia/Tokyo")
        set_options = self.con.adbc_connection.set_options
        for name, value, kind in (
            ("ballista.shuffle_partition", "1", "invalid name"),
            ("ballista.shuffle_partitions", "many", "invalid value"),
            ("catalog", "elsewhere", "invalid value"),
        ):
            self.assertRefused(kind, set_options, **{option + name: value})


class Types(OnCluster):
    """Each SQL type, with a null and without rows, as DuckDB itself gives it to Arrow."""

    VALUES = {
        "BOOLEAN": "true", "TINYINT": "-1", "SMALLINT": "-2", "INTEGER": "-3", "BIGINT": "-4", "UTINYINT": "1",
        "USMALLINT": "2", "UINTEGER": "3", "UBIGINT": "18446744073709551615", "HUGEINT": "-170141183460469231731",
        "UHUGEINT": "17014118346046923173", "FLOAT": "1.5", "DOUBLE": "-2.5", "DECIMAL(4, 1)": "1.5",
        "DECIMAL(9, 2)": "-1.25", "DECIMAL(18, 3)": "1.125", "DECIMAL(38, 10)": "12345678901234567890.5",
        "VARCHAR": "'ü'", "BLOB": "'\\x00\\xFF'::BLOB", "UUID": "'00112233-4455-6677-8899-aabbccddeeff'",
        "DATE": "'1492-10-12'", "TIME": "'12:34:56.789'", "TIMESTAMP": "'2020-02-29 01:02:03.456789'",
        "TIMESTAMP_S": "'2020-02-29 01:02:03'", "TIMESTAMP_MS": "'2020-02-29 01:02:03.456'",
        "TIMESTAMP_NS": "'2020-02-29 01:02:03.456789'", "TIMESTAMPTZ": "'2020-02-29 01:02:03+05'",
        "INTERVAL": "'1 year 2 months 3 days 4.5 seconds'", "INTEGER[]": "[1, NULL, 3]", "VARCHAR[][]": "[['a'], []]",
        "INTEGER[3]": "[1, 2, 3]", "STRUCT(a INTEGER, b VARCHAR)": "{'a': 1, 'b': 'x'}",
        "MAP(VARCHAR, INTEGER)": "MAP {'k': 1}", "UNION(n INTEGER, s VARCHAR)": "union_value(s := 'x')",
        "ENUM('low', 'high')": "'high'", "JSON": "'{\"a\": 1}'",
    }  # fmt: skip

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.oracle = duckdb.connect()
        cls.oracle.sql("SET TimeZone = 'UTC'")
        cls.addClassCleanup(cls.oracle.close)

    def fetched(self, sql):
        self.cursor.execute(sql)
        return self.cursor.fetch_arrow_table()

    @staticmethod
    def shape(type_):
        """But for the name of the zone, and of an array's elements."""
        return str(type_).replace("Etc/UTC", "UTC").replace("extension<arrow.json>", "string").replace("<: ", "<item: ")

    def test_bit_strings_are_text(self):
        self.assertEqual(self.rows("SELECT '0101'::BIT"), [("0101",)])

    def test_types(self):
        self.rows("SET TimeZone = 'UTC'")
        for name, value in self.VALUES.items():
            sql = f"SELECT CAST({value} AS {name}) AS v UNION ALL SELECT NULL"
            with self.subTest(name):
                want = self.oracle.sql(sql).to_arrow_table()
                got = self.fetched(sql)
                self.assertEqual(got.to_pydict(), want.to_pydict())
                self.assertEqual(self.shape(got.schema.field(0).type), self.shape(want.schema.field(0).type))
                empty = self.fetched(f"SELECT * FROM ({sql}) WHERE false")
                self.assertEqual((empty.num_rows, empty.schema), (0, got.schema))


class Tpch(OnCluster):
    def test_tpch(self):
        folder = tpc_data.ensure("tpch", "0.1")
        for statement in (*tpc_data.external_tables(folder), *DISTRIBUTED):
            self.rows(statement)
        with tpc_data.connect() as oracle:
            tpc_data.create_views(oracle, folder)
            queries = tpc_data.queries("tpch")
            self.assertEqual(len(queries), 22)
            for number, sql in queries.items():
                with self.subTest(query=number):
                    self.cursor.execute(sql)
                    got = self.cursor.fetch_arrow_table()
                    self.assertEqual(compare.compare(sql, oracle.sql(sql).to_arrow_table(), got, oracle).problem, "")


class Snippets(OnCluster):
    def test_the_page(self):
        page = (ROOT / "docs" / "clients" / "adbc.md").read_text()
        blocks = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
        self.assertGreater(len(blocks), 2)
        names: dict[str, object] = {}
        for block in blocks:
            exec(compile(block.replace("localhost:50050", f"127.0.0.1:{self.cluster.port}"), "adbc.md", "exec"), names)
        self.assertEqual(names["above"], [(2,), (3,)])
        self.assertEqual(names["total"].to_pylist(), [{"vendor": "a", "fare": 1.0}, {"vendor": "b", "fare": 6.0}])
        names["connection"].close()


if __name__ == "__main__":
    main()
