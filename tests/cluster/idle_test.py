"""An idle cluster: its scheduler keeps at most 60 MiB resident and uses less than 1 % of a core, when it has just started and
when it has run queries."""

import pathlib
import sys
import tempfile
import time
import unittest

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cluster import Cluster, free_ports  # noqa: E402
from summary import main  # noqa: E402

MOST_MIB = 60
MOST_CPU_PERCENT = 1.0
SECONDS = 5  # over which CPU time is measured
LIMIT = 60  # until memory has been given back


def cpu_seconds(pid: int) -> float:
    """To the nanosecond, unlike /proc/PID/stat: clock_getcpuclockid(3) of another process."""
    return time.clock_gettime(~pid << 3 | 2)


class Idle(unittest.TestCase):
    def check(self, cluster: Cluster, what: str) -> None:
        pid = cluster.scheduler.pid
        resident_mib = lambda: cluster.scheduler.resident_bytes() / (1 << 20)  # noqa: E731
        cluster.wait_for(lambda: resident_mib() <= MOST_MIB, LIMIT, f"the scheduler to have {MOST_MIB} MiB {what}")
        begin, before = time.monotonic(), cpu_seconds(pid)
        time.sleep(SECONDS)
        percent = 100 * (cpu_seconds(pid) - before) / (time.monotonic() - begin)
        self.assertLess(percent, MOST_CPU_PERCENT, what)
        self.assertLessEqual(resident_mib(), MOST_MIB, what)
        print(f"{what}: {resident_mib():.0f} MiB, {percent:.2f} % CPU")

    def test_idle_scheduler(self):
        options = ["--http-port", str(free_ports(1)[0])]
        with tempfile.TemporaryDirectory() as folder, Cluster(executors=2, scheduler_args=options) as cluster:
            for number in range(4):
                table = {"k": [i % 100 for i in range(50_000)], "v": list(range(number, number + 50_000))}
                pq.write_table(pa.table(table), f"{folder}/{number}.parquet")
            self.check(cluster, "after its start")
            with cluster.connect() as connection:
                cluster.sql("SET ballista.single_task_threshold = 0", connection)
                for sql in (
                    f"SELECT k, count(*) AS n, sum(v) AS s FROM '{folder}/*.parquet' GROUP BY k ORDER BY k",
                    f"SELECT count(*) AS n FROM '{folder}/*.parquet' a JOIN '{folder}/*.parquet' b USING (k, v)",
                    f"SELECT k, v, row_number() OVER (PARTITION BY k ORDER BY v) AS r FROM '{folder}/*.parquet'",
                    "SELECT 1",
                ):
                    self.assertGreater(cluster.sql(sql, connection).num_rows, 0)
                # The session stays: its client may come again.
                self.check(cluster, "after queries")
                self.assertEqual(cluster.sql("SELECT 1 AS one", connection).to_pylist(), [{"one": 1}])


if __name__ == "__main__":
    main()
