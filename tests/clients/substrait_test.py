"""Substrait plans of stock producers, DataFusion and ibis-substrait, sent by the stock ADBC driver and by pyarrow.flight to a cluster of
two executors, and compared with single-process DuckDB."""

import contextlib
import io
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

import adbc_driver_manager
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.flight as flight
from clients import DISTRIBUTED, FOLDER, ROOT, compare, main, modules, snippet, tpc_data, tpch_cluster
from messages import field, packed

sys.path.append(modules("datafusion"))
import datafusion  # noqa: E402
from datafusion import substrait  # noqa: E402

AWAY = "half_towards_infinity"  # as SQL rounds

# What plans of other kinds of relations and functions than TPC-H's compute; a query of DuckDB's that is to give the
# same where it is written otherwise.
MORE = {
    "one row": ("SELECT 1 AS x, 'a' AS y, 1.50 AS z, DATE '2020-02-29' AS d", None),
    "values": ("SELECT * FROM (VALUES (1, 'a'), (2, NULL), (3, 'c')) t(a, b) ORDER BY a", None),
    "no rows": ("SELECT n_name, n_regionkey FROM nation WHERE 1 = 0", None),
    "distinct": ("SELECT DISTINCT l_returnflag, l_linestatus FROM lineitem ORDER BY 1, 2", None),
    "counts": (
        "SELECT count(*) AS a, count(DISTINCT l_suppkey) AS b, sum(l_quantity) FILTER (WHERE l_tax > 0.05) AS c,"
        " min(l_shipdate) AS d, max(l_comment) AS e FROM lineitem",
        None,
    ),
    "sums of integers": (
        "SELECT n_regionkey AS k, sum(n_nationkey) AS s, sum(n_nationkey) / 2 AS h FROM nation GROUP BY 1 ORDER BY 1",
        "SELECT n_regionkey AS k, sum(n_nationkey)::BIGINT AS s, (sum(n_nationkey) // 2)::BIGINT AS h FROM nation"
        " GROUP BY 1 ORDER BY 1",
    ),
    "union": (
        "SELECT n_nationkey AS k FROM nation UNION SELECT r_regionkey FROM region ORDER BY k",
        None,
    ),
    "union all": (
        "SELECT n_nationkey AS k FROM nation UNION ALL SELECT r_regionkey FROM region ORDER BY k",
        None,
    ),
    "except": ("SELECT n_nationkey AS k FROM nation EXCEPT SELECT r_regionkey FROM region ORDER BY k", None),
    "intersect": ("SELECT n_nationkey AS k FROM nation INTERSECT SELECT r_regionkey FROM region ORDER BY k", None),
    "outer joins": (
        "SELECT c_custkey, o_orderkey FROM customer LEFT JOIN orders ON c_custkey = o_custkey AND o_totalprice > 300000"
        " ORDER BY 1, 2",
        "SELECT c_custkey, o_orderkey FROM customer LEFT JOIN orders ON c_custkey = o_custkey AND o_totalprice > 300000"
        " ORDER BY 1, 2 NULLS LAST",
    ),
    "full join": (
        "SELECT a.n_name AS x, b.n_name AS y FROM (SELECT * FROM nation WHERE n_nationkey < 15) a"
        " FULL JOIN (SELECT * FROM nation WHERE n_nationkey > 9) b ON a.n_nationkey = b.n_nationkey ORDER BY 1, 2",
        None,
    ),
    "cross join": ("SELECT n_name, r_name FROM nation CROSS JOIN region ORDER BY 1, 2", None),
    "mark join": (
        "SELECT n_name FROM nation WHERE n_regionkey = 1 OR EXISTS"
        " (SELECT 1 FROM supplier WHERE s_nationkey = n_nationkey AND s_acctbal > 9000) ORDER BY 1",
        None,
    ),
    "windows": (
        "SELECT n_name, row_number() OVER (PARTITION BY n_regionkey ORDER BY n_name) AS a,"
        " sum(n_nationkey) OVER (PARTITION BY n_regionkey ORDER BY n_name) AS b,"
        " lag(n_name, 2, '-') OVER (ORDER BY n_name) AS c, n_nationkey + 1 AS d,"
        " max(n_nationkey) OVER (ORDER BY n_name ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING) AS e FROM nation ORDER BY 1",
        "SELECT n_name, row_number() OVER (PARTITION BY n_regionkey ORDER BY n_name) AS a,"
        " (sum(n_nationkey) OVER (PARTITION BY n_regionkey ORDER BY n_name))::BIGINT AS b,"
        " lag(n_name, 2, '-') OVER (ORDER BY n_name) AS c, n_nationkey + 1 AS d,"
        " max(n_nationkey) OVER (ORDER BY n_name ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING) AS e FROM nation ORDER BY 1",
    ),
    "offset": ("SELECT o_orderkey FROM orders ORDER BY o_orderkey DESC LIMIT 7 OFFSET 11", None),
    "strings": (
        "SELECT n_name, upper(n_comment) AS a, substring(n_name, 2, 3) AS b, n_name || '-' || n_comment AS c,"
        " length(n_name) AS d, trim(n_comment) AS e, strpos(n_name, 'A') AS f, replace(n_name, 'A', 'b') AS g,"
        " n_name LIKE 'A%' AS h, n_name ILIKE '%a' AS i, n_name NOT LIKE '%N%' AS j, starts_with(n_name, 'U') AS k"
        " FROM nation ORDER BY n_name",
        None,
    ),
    "dates": (
        "SELECT o_orderkey, o_orderdate + INTERVAL '1' MONTH AS a, extract(MONTH FROM o_orderdate) AS b,"
        " o_orderdate BETWEEN DATE '1995-01-01' AND DATE '1996-12-31' AS c FROM orders ORDER BY 1 LIMIT 100",
        None,
    ),
    "numbers": (
        "SELECT l_orderkey, l_linenumber, l_orderkey % 7 AS a, l_orderkey / 7 AS b, -l_linenumber AS c,"
        " abs(l_linenumber - 3) AS d, round(l_extendedprice / 7, 2) AS e, CAST(l_orderkey AS VARCHAR) AS f,"
        " coalesce(nullif(l_linenumber, 1), 99) AS g, CASE l_linenumber WHEN 1 THEN 'x' WHEN 2 THEN 'y' END AS h,"
        " sqrt(CAST(l_orderkey AS DOUBLE)) AS i, l_linenumber IN (1, 3, 5) AS j, l_tax IS NULL AS k"
        " FROM lineitem ORDER BY 1, 2 LIMIT 200",
        "SELECT l_orderkey, l_linenumber, l_orderkey % 7 AS a, l_orderkey // 7 AS b, -l_linenumber AS c,"
        " abs(l_linenumber - 3) AS d, round(l_extendedprice / 7, 2) AS e, CAST(l_orderkey AS VARCHAR) AS f,"
        " coalesce(nullif(l_linenumber, 1), 99) AS g, CASE l_linenumber WHEN 1 THEN 'x' WHEN 2 THEN 'y' END AS h,"
        " sqrt(CAST(l_orderkey AS DOUBLE)) AS i, l_linenumber IN (1, 3, 5) AS j, l_tax IS NULL AS k"
        " FROM lineitem ORDER BY 1, 2 LIMIT 200",
    ),
}


def write_ibis_plans(folder: str) -> None:
    program = [sys.executable, str(ROOT / "tests" / "clients" / "ibis_plans.py")]
    environment = {**os.environ, "PYTHONPATH": modules("ibis-substrait")}
    subprocess.run([*program, str(FOLDER), folder], env=environment, check=True, timeout=120)


def plain(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_string_view(kind) or pa.types.is_large_string(kind) else kind


class OnCluster(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = tpch_cluster()
        cls.addClassCleanup(cls.cluster.stop)
        cls.con = cls.cluster.connect()
        cls.addClassCleanup(cls.con.close)
        cls.cursor = cls.con.cursor()
        cls.addClassCleanup(cls.cursor.close)
        for statement in DISTRIBUTED:
            cls.cursor.execute(statement)
        cls.oracle = tpc_data.connect("tpch")
        cls.addClassCleanup(cls.oracle.close)
        tpc_data.create_views(cls.oracle, FOLDER)
        cls.producer = datafusion.SessionContext()
        for name, path in tpc_data.tables(FOLDER).items():
            cls.producer.register_parquet(name, str(path))

    def plan(self, sql: str) -> bytes:
        return substrait.Serde.serialize_bytes(sql, self.producer)

    def run_plan(self, plan: bytes) -> pa.Table:
        self.cursor.execute(plan)
        return self.cursor.fetch_arrow_table()

    def check(self, sql: str, expected: pa.Table, got: pa.Table) -> None:
        """Each column is of the type that the producer gives it or, where its plan is silent, of DuckDB's."""
        declared = self.producer.sql(sql).schema()
        self.assertEqual(got.column_names, declared.names)
        for i, name in enumerate(got.column_names):
            kind = got.field(i).type
            self.assertIn(kind, (plain(declared.field(i).type), expected.field(i).type), name)
            if kind == expected.field(i).type:
                continue
            # DuckDB's quotients and averages of decimals are floating-point numbers.
            if pa.types.is_floating(expected.field(i).type):
                got = got.set_column(i, name, got.column(i).cast(pa.float64()))
            else:
                expected = expected.set_column(i, expected.field(i).name, expected.column(i).cast(kind))
        self.assertEqual(compare.compare(sql, expected, got, self.oracle).problem, "")


class Plans(OnCluster):
    def test_tpch(self):
        queries = tpc_data.queries("tpch")
        self.assertEqual(len(queries), 22)
        for number, sql in queries.items():
            with self.subTest(number):
                self.check(sql, self.oracle.sql(sql).to_arrow_table(), self.run_plan(self.plan(sql)))

    def test_more(self):
        for name, (sql, oracle) in MORE.items():
            with self.subTest(name):
                expected = self.oracle.sql(oracle or sql).to_arrow_table()
                self.check(sql, expected, self.run_plan(self.plan(sql)))

    def test_without_preparing(self):
        """By a statement of ADBC's own, and by raw messages: schema, ticket, rows."""
        sql = "SELECT n_regionkey AS k, count(*) AS n FROM nation GROUP BY 1 ORDER BY 1"
        expected = self.oracle.sql(sql).to_arrow_table()
        with adbc_driver_manager.AdbcStatement(self.con.adbc_connection) as statement:
            statement.set_substrait_plan(self.plan(sql))
            stream, _ = statement.execute_query()
            self.check(sql, expected, pa.RecordBatchReader.from_stream(stream).read_all())
        descriptor = flight.FlightDescriptor.for_command(
            packed("CommandStatementSubstraitPlan", field(1, field(1, self.plan(sql)) + field(2, "0.85.0")))
        )
        with flight.connect(self.cluster.uri) as client:
            schema = client.get_schema(descriptor).schema
            info = client.get_flight_info(descriptor)
            rows = client.do_get(info.endpoints[0].ticket).read_all()
        self.assertEqual(schema, rows.schema)
        self.check(sql, expected, rows)

    def test_snippet(self):
        code = snippet("substrait.md", "python").replace("grpc://localhost:50050", self.cluster.uri)
        code = code.replace('"nation")', f'"{tpc_data.tables(FOLDER)["nation"]}")')
        names = {}
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(code, "substrait.md", "exec"), names)
        self.assertEqual(self.run_plan(names["plan"]).to_pydict(), {"n_regionkey": [0, 1, 2, 3, 4], "n": [5] * 5})

    def test_runs_twice_when_prepared(self):
        plan = self.plan("SELECT max(r_name) AS m FROM region")
        self.assertEqual([self.run_plan(plan).to_pylist() for _ in range(2)], [[{"m": "MIDDLE EAST"}]] * 2)


class IbisPlans(OnCluster):
    # ibis-substrait 4.0.1 fails at 8, 14 and 17. In these its plan is of another query: it writes columns of the outer
    # row as if they were the sub-query's own (2, 4, 20, 21, 22), leaves a projection out (7, 9), and casts 0.0001 to a
    # decimal of two digits (11).
    OTHER_QUERIES = {2, 4, 7, 9, 11, 20, 21, 22}

    def test_tpch(self):
        with tempfile.TemporaryDirectory() as folder:
            write_ibis_plans(folder)
            plans = {int(path.stem): path.read_bytes() for path in pathlib.Path(folder).iterdir()}
        self.assertEqual(set(range(1, 23)) - set(plans), {8, 14, 17})
        for number, sql in tpc_data.queries("tpch").items():
            if number not in plans or number in self.OTHER_QUERIES:
                continue
            with self.subTest(number):
                expected = self.oracle.sql(sql).to_arrow_table()
                got = self.run_plan(plans[number])
                got = got.rename_columns(expected.column_names)
                # The plan's decimals have as many digits as Ibis gives them, its averages are decimals as well.
                for i, (kind, its) in enumerate((a.type, b.type) for a, b in zip(expected.schema, got.schema)):
                    if kind != its and pa.types.is_floating(kind):
                        got = got.set_column(i, got.field(i).name, got.column(i).cast(kind))
                        rounded = pc.round(expected.column(i), its.scale, AWAY)
                        expected = expected.set_column(i, expected.field(i).name, rounded)
                    elif kind != its:
                        rounded = pc.round(expected.column(i), its.scale if pa.types.is_decimal(its) else 0, AWAY)
                        expected = expected.set_column(i, expected.field(i).name, rounded.cast(its))
                self.assertEqual(compare.compare(sql, expected, got, self.oracle).problem, "")


class Refusals(OnCluster):
    def refused(self, plan: bytes) -> str:
        with self.assertRaises(adbc_driver_manager.Error) as caught:
            self.run_plan(plan)
        return str(caught.exception)

    def test_names_what_is_not_supported(self):
        for sql, name in (
            ("SELECT to_hex(n_nationkey) FROM nation", "'to_hex'"),
            ("SELECT named_struct('a', n_name) FROM nation", "'named_struct'"),
            ("SELECT n_regionkey, count(*) FROM nation GROUP BY ROLLUP (n_regionkey)", "grouping sets"),
            ("SELECT approx_percentile_cont(n_nationkey, 0.5) FROM nation", "'approx_percentile_cont'"),
        ):
            with self.subTest(name):
                self.assertIn(name, self.refused(self.plan(sql)))

    def test_names_of_tables_and_columns(self):
        self.producer.from_pydict({"a": [1]}, name="nowhere")
        self.assertIn("nowhere", self.refused(self.plan("SELECT a FROM nowhere")))
        other = datafusion.SessionContext()
        other.from_pydict({"n_nowhere": [1]}, name="nation")
        plan = substrait.Serde.serialize_bytes("SELECT n_nowhere FROM nation", other)
        self.assertIn("n_nowhere", self.refused(plan))

    def test_damaged_plans(self):
        good = [self.plan(sql) for number, sql in tpc_data.queries("tpch").items() if number in (2, 11, 13, 19)]
        choose = random.Random(5)
        refused = 0
        self.assertIn("no serialized substrait.Plan", self.refused(b"\xff\xff\xff"))
        self.assertIn("root relation", self.refused(field(6, b"")))
        with flight.connect(self.cluster.uri) as client:
            for _ in range(300):
                plan = bytearray(choose.choice(good))
                if choose.random() < 0.3:
                    del plan[choose.randrange(len(plan)) :]
                for _ in range(choose.randrange(4)):
                    plan[choose.randrange(len(plan))] = choose.randrange(256)
                message = packed("CommandStatementSubstraitPlan", field(1, field(1, bytes(plan))))
                try:
                    client.get_schema(flight.FlightDescriptor.for_command(message))
                except pa.ArrowException as error:
                    self.assertNotIn("internal error", str(error).lower())
                    refused += 1
        self.assertGreater(refused, 100)
        self.assertEqual(self.cluster.dead(), [])


if __name__ == "__main__":
    main()
