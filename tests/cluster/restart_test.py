"""A scheduler that is killed and started again takes its executors back by itself; what they keep of the jobs that it
has forgotten is dropped."""

import pathlib
import sys
import tempfile
import threading
import time
import unittest

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cluster import LISTENING, Cluster  # noqa: E402
from summary import main  # noqa: E402

QUERY = "SELECT l.k % 10 AS g, count(*) AS n, sum(r.v) AS s FROM facts l JOIN facts r ON l.k = r.k GROUP BY 1 ORDER BY 1"


def write_table(folder):
    rows = 1_000_000
    for part in range(4):
        first, end = part * rows // 4, (part + 1) * rows // 4
        column = pa.array([i * 7919 % 20_000 for i in range(first, end)], pa.int64())
        pq.write_table(pa.table({"k": column, "v": pa.array(range(first, end), pa.int64())}), f"{folder}/{part}.parquet")


class Restart(unittest.TestCase):
    def kept_files(self, cluster):
        """What executors keep on disk of jobs."""
        return [p for p in cluster.folder.glob("work-*/**/*") if p.is_file() and p.stat().st_size > 1000]

    def start_query(self, cluster, folder):
        connection = cluster.connect()
        cursor = connection.cursor()
        for statement in (
            f"CREATE EXTERNAL TABLE facts STORED AS PARQUET LOCATION '{folder}'",
            "SET ballista.single_task_threshold = 0",
            "SET ballista.broadcast_threshold = 0",
        ):
            cursor.execute(statement)
            cursor.fetch_arrow_table()

        def run():
            try:
                cursor.execute(QUERY)
                answers.append(cursor.fetch_arrow_table())
            except Exception:  # the scheduler is killed under it
                pass

        answers = []
        thread = threading.Thread(target=run)
        thread.start()
        return connection, thread, answers

    def test_executors_come_back_clean(self):
        with (
            tempfile.TemporaryDirectory() as folder,
            Cluster(executors=2, shuffle_memory_limit="2MiB", env={"BALLISTA_LOG": "debug"}) as cluster,
        ):
            write_table(folder)
            connection, thread, _ = self.start_query(cluster, folder)
            cluster.wait_for(lambda: len(self.kept_files(cluster)) >= 2, 30, "outputs on disk")
            killed = cluster.scheduler
            killed.kill()
            thread.join(timeout=60)
            self.assertFalse(thread.is_alive(), "the client hangs")
            connection.close()

            cluster.scheduler = cluster.spawn("scheduler-again", killed.command)
            cluster.wait_for(lambda: LISTENING in cluster.scheduler.text(), 30, "the scheduler to listen")
            started = time.monotonic()
            cluster.wait_for_executors(2)
            cluster.wait_for(lambda: not self.kept_files(cluster), 30, "the forgotten job's files to go")
            clean = "0 outputs are left, 0 bytes in memory and 0 on disk"
            cluster.wait_for(
                lambda: all(clean in each.text().split("is removed;")[-1] for each in cluster.executors),
                30,
                "the forgotten job's memory to be freed",
            )
            print(f"clean {time.monotonic() - started:.1f} s after the scheduler was back")

            connection, thread, answers = self.start_query(cluster, folder)
            thread.join(timeout=60)
            connection.close()
            self.assertEqual(len(answers), 1)
            self.assertEqual(sum(answers[0].column("n").to_pylist()), 50_000_000)


if __name__ == "__main__":
    main()
