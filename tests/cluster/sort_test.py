"""A full ORDER BY of TPC-H's lineitem at SF0.1, in every configuration, row for row as DuckDB has it; once spilling."""

import json
import pathlib
import re
import sys
import unittest

TESTS = pathlib.Path(__file__).resolve().parents[1]
# `cluster` is the folder here, as for the oracle, and not the module beside this file.
sys.path[:1] = [str(TESTS), str(TESTS / "oracle")]

import tpc  # noqa: E402
import tpc_data  # noqa: E402

from cluster.cluster import Cluster  # noqa: E402
from cluster.summary import main  # noqa: E402

CONFIGS = json.loads((TESTS / "sql" / "configs.json").read_text())
# Few rows tie in the first two, none in all.
QUERY = "SELECT * FROM lineitem ORDER BY l_extendedprice DESC, l_orderkey, l_linenumber"


class Sort(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tpc_data.ensure("tpch", "0.1")
        oracle = tpc_data.connect()
        tpc_data.create_views(oracle, cls.folder)
        cls.expected = oracle.sql(QUERY).to_arrow_table()

    def check(self, cluster, settings, explain="EXPLAIN"):
        """Runs the query; gives its plan."""
        with cluster.connect(120.0) as connection:
            for sql in tpc_data.external_tables(self.folder):
                cluster.sql(sql, connection)
            for option, value in settings.items():
                cluster.sql(f"SET {option} = {value}", connection)
            got = cluster.sql(QUERY, connection)
            self.assertEqual(got.num_rows, self.expected.num_rows)
            for name in self.expected.column_names:
                want = self.expected.column(name).cast(got.column(name).type)
                self.assertTrue(got.column(name).equals(want), f"column {name} differs")
            return tpc.explain_text(cluster.sql(f"{explain} {QUERY}", connection))

    def test_every_configuration(self):
        for name, config in CONFIGS.items():
            with self.subTest(config=name):
                with Cluster(
                    executors=config["executors"],
                    threads=config.get("threads", 1),
                    shuffle_memory_limit=config.get("shuffle_memory_limit"),
                    memory_limit=config.get("memory_limit"),
                ) as cluster:
                    plan = self.check(cluster, config.get("set", {}))
                if config.get("set", {}).get("ballista.single_task_threshold") == 0 and config["executors"] > 1:
                    self.assertIn("range exchange by", plan)

    def test_with_little_memory(self):
        settings = {"ballista.single_task_threshold": 0, "ballista.range_sort_threshold": 0}
        with Cluster(executors=2, memory_limit="256MiB", shuffle_memory_limit="8MiB") as cluster:
            plan = self.check(cluster, settings, "EXPLAIN ANALYZE")
        self.assertIn("range exchange by", plan)
        spilled = re.findall(r"spilled ([\d.]+) (\w+)", plan)
        self.assertTrue(any(unit in ("MiB", "GiB") for _, unit in spilled), spilled)


if __name__ == "__main__":
    main()
