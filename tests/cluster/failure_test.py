"""Executors that are killed while queries run cost no answer: their tasks run elsewhere, their outputs are computed
again."""

import pathlib
import sys
import tempfile
import threading
import time
import unittest

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cluster import Cluster  # noqa: E402
from summary import main  # noqa: E402

QUERY = """
SELECT l.k % 100 AS g, count(*) AS n, sum(r.v) AS s
FROM facts l JOIN facts r ON l.v = r.v JOIN dims d ON l.k = d.k
GROUP BY 1 ORDER BY 1
"""


def write_tables(folder):
    rows = 1_000_000
    for name, keys in (("facts", 50_000), ("dims", 1_000_000)):
        path = pathlib.Path(folder, name)
        path.mkdir()
        for part in range(6):
            first, end = part * rows // 6, (part + 1) * rows // 6
            column = pa.array([i * 7919 % keys for i in range(first, end)], pa.int64())
            pq.write_table(pa.table({"k": column, "v": pa.array(range(first, end), pa.int64())}), path / f"{part}.parquet")


class Failures(unittest.TestCase):
    def run_queries(self, cluster, answers, errors, stop):
        connection = cluster.connect()
        try:
            with connection.cursor() as cursor:
                for option in ("single_task_threshold = 0", "broadcast_threshold = 0"):
                    cursor.execute(f"SET ballista.{option}")
                    cursor.fetch_arrow_table()
                while not stop.is_set():
                    cursor.execute(QUERY)
                    answers.append(cursor.fetch_arrow_table())
        except Exception as error:  # reported by the test
            errors.append(error)
        finally:
            connection.close()

    def test_without_executors_a_query_fails_in_time(self):
        options = ("--executor-timeout", "1s", "--heartbeat-interval", "200ms", "--executor-wait", "1500ms")
        with tempfile.TemporaryDirectory() as folder, Cluster(executors=1, scheduler_args=options) as cluster:
            pq.write_table(pa.table({"v": [1, 2, 3]}), f"{folder}/t.parquet")
            query = f"SELECT sum(v) FROM '{folder}/t.parquet'"
            self.assertEqual(cluster.sql(query).column(0)[0].as_py(), 6)
            cluster.executors.pop().kill()
            started = time.monotonic()
            with self.assertRaisesRegex(Exception, "no executor has taken tasks for 1 s: start one"):
                cluster.sql(query)
            self.assertLess(time.monotonic() - started, 10)
            # One that comes in time is used.
            answer = []
            thread = threading.Thread(target=lambda: answer.append(cluster.sql(query)))
            thread.start()
            cluster.start_executor()
            thread.join(timeout=30)
            self.assertEqual(len(answer), 1)

    def test_killed_executors_cost_no_answer(self):
        with tempfile.TemporaryDirectory() as folder, Cluster(executors=3) as cluster:
            write_tables(folder)
            for name in ("facts", "dims"):
                cluster.sql(f"CREATE EXTERNAL TABLE {name} STORED AS PARQUET LOCATION '{folder}/{name}'")
            expected = cluster.sql(QUERY)
            answers, errors, stop = [], [], threading.Event()
            threads = [
                threading.Thread(target=self.run_queries, args=(cluster, answers, errors, stop)) for _ in range(2)
            ]
            for thread in threads:
                thread.start()
            for _ in range(3):
                time.sleep(1.5)
                cluster.executors[0].kill()
                del cluster.executors[0]
                time.sleep(1.0)
                cluster.start_executor()
            # However busy the machine is.
            deadline = time.monotonic() + 30
            time.sleep(1.5)
            while len(answers) <= 5 and not errors and time.monotonic() < deadline:
                time.sleep(0.1)
            stop.set()
            for thread in threads:
                thread.join(timeout=60)
                self.assertFalse(thread.is_alive(), "a query hangs")
            self.assertEqual(errors, [])
            self.assertGreater(len(answers), 5)
            for answer in answers:
                self.assertTrue(answer.equals(expected))


if __name__ == "__main__":
    main()
