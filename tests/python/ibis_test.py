"""The Ibis backend, beyond TPC-H (tpch_test.py): what differs from Ibis's DuckDB backend."""

import pathlib
import tempfile
import unittest

import ibis
import ibis.common.exceptions as exc
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq

import ballista


class IbisBackend(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = ballista.Cluster(executors=2, threads=1).start()
        cls.addClassCleanup(cls.cluster.stop)
        cls.con = ibis.ballista.connect(host="127.0.0.1", port=cls.cluster.port)
        cls.addClassCleanup(cls.con.disconnect)

    def test_connects_by_url_and_by_name(self):
        for con in (
            ibis.connect(f"ballista://127.0.0.1:{self.cluster.port}"),
            ibis.ballista.connect(self.cluster.address),
        ):
            self.assertEqual(con.name, "ballista")
            self.assertEqual(con.execute(ibis.literal(1) + 1), 2)
            con.disconnect()

    def test_memtables_and_results_of_every_kind(self):
        table = ibis.memtable({"k": ["a", "b", "a"], "v": [1, 2, 3]})
        sums = table.group_by("k").agg(s=table.v.sum()).order_by("k")
        rows = [{"k": "a", "s": 4}, {"k": "b", "s": 2}]
        self.assertEqual(self.con.to_pyarrow(sums).to_pylist(), rows)
        self.assertEqual(self.con.to_pandas(sums).to_dict("records"), rows)
        self.assertEqual(self.con.to_polars(sums).to_dicts(), rows)
        self.assertEqual(self.con.to_pyarrow_batches(sums).read_all().to_pylist(), rows)

    def test_tables(self):
        frame = pd.DataFrame({"a": [1, 2, 3]})
        table = self.con.create_table("made", frame)
        self.assertIn("made", self.con.list_tables())
        self.assertEqual(table.schema(), ibis.schema({"a": "int64"}))
        self.con.insert("made", pd.DataFrame({"a": [4]}))
        self.assertEqual(self.con.execute(table.a.sum()), 10)
        self.con.drop_table("made")
        with self.assertRaises(exc.TableNotFound):
            self.con.table("made")

    def test_upsert(self):
        table = self.con.create_table("changed", pd.DataFrame({"k": [1, 2], "v": [10, 20]}))
        self.con.upsert("changed", pd.DataFrame({"k": [2, 3], "v": [21, 30]}), on="k")
        self.assertEqual(self.con.execute(table.order_by("k"))["v"].tolist(), [10, 21, 30])
        self.con.drop_table("changed")

    def test_sql_text_by_the_backends_name(self):
        table = ibis.table({"a": "int64"}, name="t")
        self.assertEqual(ibis.to_sql(table, dialect="ballista"), ibis.to_sql(table, dialect="duckdb"))
        self.assertEqual(self.con.execute(self.con.sql("SELECT 1 AS a", dialect="ballista").a.sum()), 1)

    def test_datasets(self):
        data = pyarrow.dataset.dataset(pa.table({"a": [1, 2]}))
        self.assertEqual(self.con.execute(ibis.memtable(data).a.sum()), 3)

    def test_files(self):
        with tempfile.TemporaryDirectory() as folder:
            pq.write_table(pa.table({"a": [1, 2, 3]}), pathlib.Path(folder, "in.parquet"))
            table = self.con.read_parquet(f"{folder}/in.parquet")
            self.con.to_parquet(table.mutate(b=table.a * 2), f"{folder}/out.parquet")
            self.assertEqual(pq.read_table(f"{folder}/out.parquet").column("b").to_pylist(), [2, 4, 6])

    def test_what_needs_duckdb_here_is_refused(self):
        @ibis.udf.scalar.python
        def plus_one(x: int) -> int:
            return x + 1

        with self.assertRaisesRegex(NotImplementedError, "no DuckDB in this process"):
            self.con.execute(plus_one(ibis.literal(1)))
        with self.assertRaisesRegex(exc.UnsupportedOperationError, "extensions"):
            self.con.load_extension("spatial")
        with self.assertRaisesRegex(exc.UnsupportedOperationError, "attached"):
            self.con.attach("/tmp/x.db")


if __name__ == "__main__":
    unittest.main()
