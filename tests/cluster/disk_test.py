"""A full disk or quota is an error of the query that needs more, with a sentence that says what to do; executors go on,
and nothing of a query stays behind, nor of an executor that was killed."""

import contextlib
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cluster import Cluster  # noqa: E402
from summary import main  # noqa: E402

ROWS = 1_000_000
# Some 60 MB through exchanges.
BIG = "SELECT l.k, l.v, r.v AS w FROM facts l JOIN facts r ON l.v = r.v"
COUNT = f"SELECT count(*), sum(w) FROM ({BIG})"
# Sorts some 100 MB in one task; the engine's own files take most of it.
SORT = "SELECT count(*), max(n) FROM (SELECT s, row_number() OVER (ORDER BY s) AS n FROM (SELECT repeat(md5(v::VARCHAR), 3) AS s FROM facts))"
SMALL = "SELECT count(*) FROM facts WHERE v < 1000"
SHUFFLED = ("ballista.single_task_threshold = 0", "ballista.broadcast_threshold = 0")


def write_facts(folder):
    path = pathlib.Path(folder, "facts")
    path.mkdir()
    for part in range(4):
        first, end = part * ROWS // 4, (part + 1) * ROWS // 4
        keys = pa.array([i * 7919 % 50_000 for i in range(first, end)], pa.int64())
        pq.write_table(pa.table({"k": keys, "v": pa.array(range(first, end), pa.int64())}), path / f"{part}.parquet")


@contextlib.contextmanager
def tmpfs(size: str):
    """A small file system of its own; None where this user may not mount one."""
    with tempfile.TemporaryDirectory() as folder:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True)
        if mounted.returncode != 0:
            yield None
            return
        try:
            yield pathlib.Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


class Disk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        write_facts(cls.folder.name)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @contextlib.contextmanager
    def cluster(self, **options):
        with Cluster(**{"executors": 2, "shuffle_memory_limit": "0", **options}) as cluster:
            with cluster.connect() as connection:
                cluster.sql(
                    f"CREATE EXTERNAL TABLE facts STORED AS PARQUET LOCATION '{self.folder.name}/facts'", connection
                )
                for setting in SHUFFLED:
                    cluster.sql(f"SET {setting}", connection)
                yield cluster, connection

    def leftovers(self, *folders):
        """Files with rows in them, or made for some, and folders of jobs."""
        found = []
        for folder in folders:
            for path in pathlib.Path(folder).rglob("*"):
                if path.suffix == ".lock" or path.name.startswith("ballista-shuffle-"):
                    continue
                found.append(str(path))
        return found

    def assert_nothing_left(self, *folders):
        deadline = time.monotonic() + 5
        while self.leftovers(*folders) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(self.leftovers(*folders), [])

    def assert_refused_and_alive(self, cluster, connection, sql, sentence):
        for _ in range(2):
            with self.assertRaisesRegex(Exception, sentence):
                cluster.sql(sql, connection)
            self.assertEqual(cluster.sql(SMALL, connection).column(0)[0].as_py(), 1000)
        self.assertEqual(cluster.dead(), [])

    def test_full_disk_of_outputs(self):
        with tmpfs("4m") as folder:
            if folder is None:
                self.skipTest("needs the right to mount a tmpfs")
            with self.cluster(executor_args=["--work-dir", str(folder)]) as (cluster, connection):
                self.assert_refused_and_alive(cluster, connection, COUNT, "No space left.*--work-dir")
                self.assert_nothing_left(folder)
                self.assertIn("is in memory (tmpfs)", cluster.executors[0].text())

    def test_full_disk_of_spilled_data(self):
        with tmpfs("12m") as folder:
            if folder is None:
                self.skipTest("needs the right to mount a tmpfs")
            arguments = ["--work-dir", str(folder)]
            with self.cluster(executors=1, memory_limit="160MiB", executor_args=arguments) as (cluster, connection):
                self.assert_refused_and_alive(cluster, connection, SORT, "does not fit on the executor's disk")
                self.assert_nothing_left(folder)

    def test_quota_of_the_executor(self):
        with self.cluster(executor_args=["--disk-quota", "4MiB"]) as (cluster, connection):
            self.assert_refused_and_alive(cluster, connection, COUNT, "disk quota of the executor.*--disk-quota")
            self.assert_nothing_left(*cluster.folder.glob("work-*"))

    def test_quota_counts_the_engines_files(self):
        arguments = ["--disk-quota", "8MiB"]
        with self.cluster(executors=1, memory_limit="160MiB", executor_args=arguments) as (cluster, connection):
            self.assert_refused_and_alive(cluster, connection, SORT, "--disk-quota")
            self.assert_nothing_left(*cluster.folder.glob("work-*"))

    def test_quota_of_a_job(self):
        with self.cluster() as (cluster, connection):
            cluster.sql("SET ballista.job_disk_quota = '4MiB'", connection)
            self.assert_refused_and_alive(cluster, connection, COUNT, "disk quota of the query.*job_disk_quota")
            self.assert_nothing_left(*cluster.folder.glob("work-*"))
            cluster.sql("RESET ballista.job_disk_quota", connection)
            self.assertEqual(cluster.sql(COUNT, connection).column(0)[0].as_py(), ROWS)

    def test_several_work_dirs(self):
        with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
            arguments = ["--work-dir", f"{first},{second}"]
            with self.cluster(executor_args=arguments) as (cluster, connection):
                used = set()
                # Each output takes one of them by chance.
                for _ in range(10):
                    with connection.cursor() as cursor:
                        cursor.execute(BIG)
                        reader = cursor.fetch_record_batch()
                        reader.read_next_batch()
                        used |= {name for name in (first, second) if list(pathlib.Path(name).rglob("*.data"))}
                        self.assertEqual(sum(batch.num_rows for batch in reader) > 0, True)
                    if len(used) == 2:
                        break
                self.assertEqual(used, {first, second})
                self.assert_nothing_left(first, second)

    def test_files_of_a_killed_executor_go_at_the_next_start(self):
        with self.cluster(executors=1) as (cluster, connection):
            with connection.cursor() as cursor:
                cursor.execute(BIG)
                cursor.fetch_record_batch().read_next_batch()
                work = cluster.folder / "work-0"
                self.assertTrue(list(work.rglob("*.data")))
                killed = cluster.executors[0]
                killed.kill()
            self.assertTrue(list(work.rglob("*.data")))
            cluster.restart(killed)
            cluster.wait_for_executors(2)
            self.assertEqual(self.leftovers(work), [])
            self.assertEqual(len(list(work.glob("ballista-shuffle-*.lock"))), 2)


if __name__ == "__main__":
    main()
