"""The scheduler's log names each query without progress and what it waits for: tasks, slots, executors, its place in the
queue, its client. A result that nobody comes for is dropped in time; one that is being read is kept."""

import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cluster import Cluster  # noqa: E402
from raw_client import RawClient  # noqa: E402
from summary import main  # noqa: E402

LONG = "SELECT count(*) FROM range(100000) a(x), range(200000) b(y) WHERE (x * y) % 7 = 3"
# More than what travels with a task's status or fits into a stream's windows.
LARGE = "SELECT x, md5(x::VARCHAR) AS m FROM range(1500000) t(x)"
STUCK = "has made no progress for"


class Watch(unittest.TestCase):
    def named(self, cluster, info) -> list[str]:
        """What the log says of the query."""
        job_id = info.app_metadata.decode()
        return [line for line in cluster.scheduler.text().splitlines() if job_id in line and STUCK in line]

    def wait_for(self, cluster, info, sentence: str):
        cluster.wait_for(
            lambda: any(sentence in line for line in self.named(cluster, info)), 10, f"'{sentence}' in the log"
        )

    def test_names_what_each_query_waits_for(self):
        options = ["--stuck-query-log", "1s", "--max-running-jobs", "2", "--executor-wait", "60s"]
        with Cluster(executors=1, scheduler_args=options, executor_args=["--concurrent-tasks", "1"]) as cluster:
            client = RawClient(cluster.port, 20)
            [executor] = cluster.executors
            executor_id = cluster.status(executor)["executor_id"]
            running, waiting, queued = (client.start(LONG) for _ in range(3))
            self.wait_for(cluster, running, "waiting for 1 running tasks, the longest is task 0 of stage 0 (attempt 0)")
            self.assertIn(f"on executor {executor_id} at 127.0.0.1:{executor.port}", self.named(cluster, running)[0])
            self.wait_for(cluster, waiting, "waiting for a free slot for tasks of stage 0: 1 tasks are running on 1 executors")
            self.wait_for(cluster, queued, "waiting in the queue, at position 1 of 1: 2 queries run")
            # Again after as long, and no more often than that.
            start, before = time.monotonic(), len(self.named(cluster, running))
            time.sleep(2.5)
            count = len(self.named(cluster, running)) - before
            self.assertGreaterEqual(count, 1)
            self.assertLessEqual(count, time.monotonic() - start + 1)
            for info in (running, waiting, queued):
                client.cancel("CancelFlightInfo", info)

            finished = client.start(LARGE)
            self.wait_for(cluster, finished, "waiting for the client to come for the result")
            reader = client.flight.do_get(finished.endpoints[0].ticket, client.options())
            rows = reader.read_chunk().data.num_rows
            self.wait_for(cluster, finished, "waiting for the client to read on in the result")
            self.assertEqual(rows + sum(chunk.data.num_rows for chunk in reader), 1_500_000)

            executor.kill()
            cluster.executors.clear()
            alone = client.start(LONG)
            self.wait_for(cluster, alone, "waiting for an executor that takes tasks (there is none)")
            client.cancel("CancelFlightInfo", alone)

    def test_result_that_nobody_comes_for_is_dropped(self):
        with Cluster(executors=1, scheduler_args=["--result-timeout", "1s"]) as cluster:
            client = RawClient(cluster.port, 30)
            for sql in (LARGE, "SELECT count(*) FROM range(1000)", "SHOW ballista.replan"):
                late = client.start(sql)
                # Nothing is left at the executor either, long before the hour of a reader that has stopped.
                cluster.time_until_clean(15)
                with self.assertRaisesRegex(Exception, "--result-timeout|there is no job"):
                    client.rows(late)
            # One that is read slowly is kept.
            info = client.start(LARGE)
            reader = client.flight.do_get(info.endpoints[0].ticket, client.options())
            rows = reader.read_chunk().data.num_rows
            time.sleep(3)
            self.assertEqual(rows + sum(chunk.data.num_rows for chunk in reader), 1_500_000)


if __name__ == "__main__":
    main()
