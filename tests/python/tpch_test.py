"""TPC-H's 22 queries through the Python package, and Ibis's own 22 expressions of them through its backend: the rows,
types and order of DuckDB in this process, over the same files, with every query distributed."""

import importlib
import inspect
import pathlib
import sys
import unittest

import ibis
import pyarrow as pa

import ballista

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "oracle"))
import compare  # noqa: E402
import tpc_data  # noqa: E402

FOLDER = tpc_data.ensure("tpch", "0.01")
DISTRIBUTED = ("SET ballista.single_task_threshold = 0", "SET ballista.broadcast_threshold = 0")


def written(test):
    """The function that makes the expression, below what Ibis's decorators make of it."""
    function = inspect.unwrap(test)
    # One of them is decorated by `tpc_test` instead of `tpc_test("h")`, which takes it for the suite's name.
    return inspect.getclosurevars(function).nonlocals.get("suite_name", function) if function is test else function


class Tpch(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = ballista.Cluster(executors=2, threads=1).start()
        cls.addClassCleanup(cls.cluster.stop)
        cls.con = cls.cluster.connect()
        cls.addClassCleanup(cls.con.close)
        for statement in (*tpc_data.external_tables(FOLDER), *DISTRIBUTED):
            cls.con.sql(statement)
        cls.oracle = tpc_data.connect()
        cls.addClassCleanup(cls.oracle.close)
        tpc_data.create_views(cls.oracle, FOLDER)

    def check(self, sql, expected, got):
        self.assertGreater(got.num_columns, 0)
        self.assertEqual(compare.compare(sql, expected, got, self.oracle).problem, "")

    def test_sql(self):
        queries = tpc_data.queries("tpch")
        self.assertEqual(len(queries), 22)
        for number, sql in queries.items():
            with self.subTest(number):
                self.check(sql, self.oracle.sql(sql).to_arrow_table(), self.con.sql(sql).to_arrow())
                self.assertNotIn("Runs as one task", self.con.explain(sql))

    def test_ibis(self):
        queries = importlib.import_module("ibis.backends.tests.tpc.h.test_queries")
        cluster = ibis.ballista.from_connection(self.con)
        duckdb = ibis.duckdb.from_connection(self.oracle)
        for number in range(1, 23):
            expression = written(getattr(queries, f"test_{number:02}"))
            names = list(inspect.signature(expression).parameters)
            with self.subTest(number):
                ours = expression(*(cluster.table(name) for name in names))
                theirs = expression(*(duckdb.table(name) for name in names))
                sql = duckdb.compile(theirs)
                self.assertEqual(cluster.compile(ours), sql)
                self.check(sql, self.oracle.sql(sql).to_arrow_table(), cluster.raw_sql(sql).to_arrow_table())
                frames = [pa.Table.from_pandas(each) for each in (duckdb.execute(theirs), cluster.execute(ours))]
                self.check(sql, *frames)
                self.assertNotIn("Runs as one task", self.con.explain(sql))


if __name__ == "__main__":
    unittest.main()
