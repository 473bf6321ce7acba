"""SQLAlchemy's dialect: queries with parameters, reflection, tables, pandas, errors, log-in by the URL's options, TPC-H
against DuckDB, and the snippet of docs/clients/sqlalchemy.md."""

import contextlib
import datetime
import decimal
import io
import pathlib
import re
import sys
import unittest

import pandas
import pyarrow as pa
import sqlalchemy as sa

import ballista

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "oracle"))
import compare  # noqa: E402
import tpc_data  # noqa: E402

FOLDER = tpc_data.ensure("tpch", "0.01")


class SqlAlchemy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = ballista.Cluster(executors=2, threads=1).start()
        cls.addClassCleanup(cls.cluster.stop)
        with cls.cluster.connect() as con:
            for statement in tpc_data.external_tables(FOLDER):
                con.sql(statement)
        cls.engine = sa.create_engine(f"ballista://{cls.cluster.address}")
        cls.addClassCleanup(cls.engine.dispose)
        cls.nation = sa.Table("nation", sa.MetaData(), autoload_with=cls.engine)

    def rows(self, statement, *more):
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(statement, *more)]

    def test_reflection(self):
        about = sa.inspect(self.engine)
        self.assertIn("main", about.get_schema_names())
        self.assertIn("lineitem", about.get_view_names())
        self.assertTrue(about.has_table("lineitem"))
        self.assertTrue(about.has_table("lineitem", schema="main"))
        self.assertFalse(about.has_table("line_tem"))
        columns = {column["name"]: column["type"] for column in about.get_columns("orders")}
        self.assertEqual(list(columns)[:4], ["o_orderkey", "o_custkey", "o_orderstatus", "o_totalprice"])
        self.assertIsInstance(columns["o_orderkey"], sa.BigInteger)
        self.assertIsInstance(columns["o_orderdate"], sa.Date)
        self.assertIsInstance(columns["o_comment"], sa.String)
        price = columns["o_totalprice"]
        self.assertEqual((price.precision, price.scale), (15, 2))
        self.assertEqual(about.get_pk_constraint("orders")["constrained_columns"], [])
        self.assertEqual((about.get_foreign_keys("orders"), about.get_indexes("orders")), ([], []))
        with self.assertRaises(sa.exc.NoSuchTableError):
            sa.Table("nothing", sa.MetaData(), autoload_with=self.engine)

    def test_types_of_columns(self):
        sql = """CREATE TABLE kinds (a TINYINT, b DOUBLE, c DECIMAL(9, 3), d TIMESTAMP WITH TIME ZONE, e VARCHAR[],
                 f UUID, g BOOLEAN, h HUGEINT, i STRUCT(x INTEGER))"""
        with self.engine.connect() as connection:
            connection.execute(sa.text(sql))
            found = [column["type"] for column in sa.inspect(connection).get_columns("kinds")]
            connection.execute(sa.text("DROP TABLE kinds"))
        expected = [sa.SmallInteger, sa.Double, sa.Numeric, sa.TIMESTAMP, sa.ARRAY, sa.Uuid, sa.Boolean, sa.Numeric]
        for kind, wanted in zip(found, expected):
            self.assertIsInstance(kind, wanted)
        self.assertTrue(found[3].timezone)
        self.assertIsInstance(found[4].item_type, sa.String)
        self.assertIsInstance(found[8], sa.types.NullType)

    def test_expressions_and_parameters(self):
        nation = self.nation.c
        named = sa.select(nation.n_name).where(nation.n_regionkey == 0, nation.n_name > "K").order_by(nation.n_name)
        self.assertEqual(self.rows(named), [("KENYA",), ("MOROCCO",), ("MOZAMBIQUE",)])
        self.assertEqual(self.rows(named.limit(1).offset(1)), [("MOROCCO",)])
        key = nation.n_regionkey
        counted = sa.select(key, sa.func.count()).group_by(key).order_by(key)
        self.assertEqual(self.rows(counted), [(number, 5) for number in range(5)])
        listed = sa.select(sa.func.count()).where(nation.n_name.in_(["CHINA", "INDIA", "it's"]))
        self.assertEqual(self.rows(listed), [(2,)])
        text = sa.text("SELECT CAST(:a AS BIGINT) + 1, CAST(:b AS VARCHAR), CAST(:c AS DATE), CAST(:d AS INTEGER)")
        values = {"a": 41, "b": "x'y", "c": datetime.date(2024, 2, 29), "d": None}
        self.assertEqual(self.rows(text, values), [(42, "x'y", datetime.date(2024, 2, 29), None)])
        price = sa.text("SELECT o_totalprice FROM orders ORDER BY o_orderkey LIMIT 1")
        self.assertIsInstance(self.rows(price)[0][0], decimal.Decimal)

    def test_tables(self):
        made = sa.Table("made", sa.MetaData(), sa.Column("id", sa.Integer), sa.Column("name", sa.String(20)))
        with self.engine.begin() as connection:
            made.create(connection)
            connection.execute(made.insert(), [{"id": 1, "name": "one"}, {"id": 2, "name": None}])
            connection.execute(made.insert().values(id=3, name="three"))
            connection.execute(made.update().where(made.c.id == 3).values(name="drei"))
            connection.execute(made.delete().where(made.c.id == 1))
        try:
            self.assertEqual(self.rows(sa.select(made).order_by(made.c.id)), [(2, None), (3, "drei")])
            self.assertIn("made", sa.inspect(self.engine).get_table_names())
        finally:
            made.drop(self.engine)
        self.assertFalse(sa.inspect(self.engine).has_table("made"))

    def test_pandas(self):
        sql = "SELECT n_regionkey, count(*) AS n FROM nation WHERE n_name < %s GROUP BY 1 ORDER BY 1"
        frame = pandas.read_sql(sa.text(sql.replace("%s", ":name")), self.engine, params={"name": "C"})
        self.assertEqual(frame.to_dict("list"), {"n_regionkey": [0, 1], "n": [1, 2]})
        whole = pandas.read_sql_table("region", self.engine, columns=["r_name"])
        self.assertEqual(sorted(whole["r_name"])[:2], ["AFRICA", "AMERICA"])
        try:
            pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]}).to_sql("framed", self.engine, index=False)
            self.assertEqual(self.rows(sa.text("SELECT a, b FROM framed ORDER BY a")), [(1, "x"), (2, "y")])
        finally:
            with self.engine.connect() as connection:
                connection.execute(sa.text("DROP TABLE IF EXISTS framed"))

    def test_errors(self):
        with self.assertRaisesRegex(sa.exc.ProgrammingError, 'Referenced column "nowhere" not found'):
            self.rows(sa.text("SELECT nowhere FROM nation"))
        with self.assertRaisesRegex(sa.exc.ArgumentError, "unknown option 'tokn'"):
            sa.create_engine("ballista://localhost?tokn=x").connect()
        with self.assertRaisesRegex(sa.exc.DBAPIError, "(?i)unavailable|refused"):
            sa.create_engine("ballista://127.0.0.1:1").connect().execute(sa.text("SELECT 1"))

    def test_the_url(self):
        def arguments(url):
            [address], options = self.engine.dialect.create_connect_args(sa.make_url(url))
            return address, options["db_kwargs"]

        self.assertEqual(arguments("ballista://")[0], "grpc://localhost:50050")
        address, options = arguments("ballista://ann:p%40ss@h:7?tls=true")
        self.assertEqual((address, options["username"], options["password"]), ("grpc+tls://h:7", "ann", "p@ss"))
        address, options = arguments(f"ballista://h?token=abc&tls_ca={__file__}")
        self.assertEqual(address, "grpc+tls://h:50050")
        self.assertIn("Bearer abc", options.values())
        self.assertIn(pathlib.Path(__file__).read_text(), options.values())

    def test_tpch(self):
        queries = tpc_data.queries("tpch")
        self.assertEqual(len(queries), 22)
        oracle = tpc_data.connect()
        self.addCleanup(oracle.close)
        tpc_data.create_views(oracle, FOLDER)
        with self.engine.connect() as connection:
            for number, sql in queries.items():
                with self.subTest(number):
                    expected = oracle.sql(sql).to_arrow_table()
                    rows = connection.exec_driver_sql(sql).fetchall()
                    names = [field.name for field in expected.schema]
                    got = pa.Table.from_pylist([dict(zip(names, row)) for row in rows], expected.schema)
                    self.assertEqual(compare.compare(sql, expected, got, oracle).problem, "")

    def test_snippet(self):
        page = (ROOT / "docs" / "clients" / "sqlalchemy.md").read_text()
        [code] = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code.replace("localhost:50050", self.cluster.address), "sqlalchemy.md", "exec"), {})
        self.assertIn("('ARGENTINA', 1)", printed.getvalue())
        self.assertIn("n_nationkey", printed.getvalue())


if __name__ == "__main__":
    unittest.main()
