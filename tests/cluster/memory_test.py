"""Executors stay within their memory limit: TPC-H with a limit far below the data, every answer right."""

import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(pathlib.Path(__file__).parent), str(ROOT / "tests" / "oracle"), str(ROOT / "benchmarks")]
import duckdb  # noqa: E402
import tpc_data  # noqa: E402
from cluster import Cluster  # noqa: E402
from compare import compare  # noqa: E402
from process_memory import Peaks  # noqa: E402

ALLOWED = 1.15
MIB = 1 << 20


class Memory(unittest.TestCase):
    def peaks(self, cluster):
        return Peaks({each.name: each.pid for each in cluster.processes()})

    def assert_within(self, peaks, limit):
        for name, peak in peaks.of.items():
            if name.startswith("executor"):
                self.assertLessEqual(peak, ALLOWED * limit, f"{name} was resident with {peak >> 20} MiB")

    def test_tpch_stays_within_the_limit(self):
        """Sort, hash joins and aggregates that spill, with everything shuffled."""
        data = tpc_data.ensure("tpch", "1")
        oracle = duckdb.connect()
        tpc_data.create_views(oracle, data)
        limit = 320 * MIB
        queries = tpc_data.queries("tpch")
        with Cluster(executors=2, memory_limit="320MiB") as cluster, cluster.connect() as connection:
            for sql in (*tpc_data.external_tables(data), "SET ballista.broadcast_threshold = 0"):
                cluster.sql(sql, connection)
            with self.peaks(cluster) as peaks:
                for number in (1, 3, 9, 13, 18, 21):
                    got = cluster.sql(queries[number], connection)
                    verdict = compare(queries[number], oracle.sql(queries[number]).fetch_arrow_table(), got, oracle)
                    self.assertEqual(verdict.problem, "", f"q{number}")
            self.assert_within(peaks, limit)
            self.assertEqual(cluster.dead(), [])


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=1)
    result = program.result
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    sys.exit(bool(failed))
