"""A cluster that is overloaded is slow, and nothing else: no executor is taken for lost while other processes take every
core; hundreds of clients share few places fairly, and a full queue is a clear error."""

import multiprocessing
import os
import pathlib
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cluster import Cluster  # noqa: E402
from raw_client import RawClient, length_delimited  # noqa: E402
from summary import main  # noqa: E402

LONG = "SELECT count(*) FROM range(100000) a(x), range(200000) b(y) WHERE (x * y) % 7 = 3"
SOME_SECONDS = "SELECT count(*) FROM range(20000) a(x), range(20000) b(y) WHERE (x * y) % 7 = 3"
CLIENTS = 200


def burn(until: float) -> None:
    while time.monotonic() < until:
        sum(range(10000))


class Busy(unittest.TestCase):
    def test_no_executor_is_lost_while_others_burn_every_core(self):
        seconds = 8
        # Tasks of many threads, and as many processes again that take what they get.
        options = ["--heartbeat-interval", "500ms", "--executor-timeout", "4s"]
        with Cluster(executors=2, threads=2 * os.cpu_count(), scheduler_args=options) as cluster:
            burners = [
                multiprocessing.Process(target=burn, args=(time.monotonic() + seconds,))
                for _ in range(3 * os.cpu_count())
            ]
            for burner in burners:
                burner.start()
            try:
                client = RawClient(cluster.port, 120)
                infos = [client.start(SOME_SECONDS) for _ in range(6)]
                for burner in burners:
                    burner.join()
                for info in infos:
                    self.assertEqual(client.rows(info).column(0)[0].as_py(), 48974694)
            finally:
                for burner in burners:
                    burner.kill()
                    burner.join()
            # Each came once and never again, and no task ran twice.
            self.assertEqual(cluster.scheduler.text().count("Received register_executor request"), 2)
            for executor in cluster.executors:
                self.assertNotIn("does not know this executor", executor.text())

    def test_200_clients_share_4_places(self):
        with Cluster(executors=2, scheduler_args=["--max-running-jobs", "4"]) as cluster:
            errors, answers, times = [], [], []
            most_running = most_queued = 0

            def ask(number):
                try:
                    client = RawClient(cluster.port, 60)
                    for _ in range(2):
                        start = time.monotonic()
                        rows = client.sql(f"SELECT sum(x) + {number} FROM range(300000) t(x)")
                        times.append(time.monotonic() - start)
                        answers.append(rows.column(0)[0].as_py() - number)
                except Exception as error:  # reported by the test
                    errors.append(error)

            threads = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                states = [job["state"] for job in cluster.status(cluster.scheduler)["jobs"]]
                most_running = max(most_running, states.count("RUNNING"))
                most_queued = max(most_queued, states.count("QUEUED"))
                time.sleep(0.01)
            self.assertEqual(errors, [])
            self.assertEqual(answers, [300000 * 299999 // 2] * 2 * CLIENTS)
            self.assertLessEqual(most_running, 4)
            self.assertGreater(most_queued, 4)
            times.sort()
            median, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
            print(f"{CLIENTS} clients: median {median:.2f} s, p99 {p99:.2f} s, most in the queue {most_queued}")

    def test_a_session_of_many_queries_does_not_hold_up_another(self):
        with Cluster(executors=1, scheduler_args=["--max-running-jobs", "1"]) as cluster:
            greedy, modest = RawClient(cluster.port, 60), RawClient(cluster.port, 60)
            sql = "SELECT count(*) FROM range(5000) a(x), range(5000) b(y) WHERE (x * y) % 7 = 3"
            waiting = [greedy.start(sql) for _ in range(20)]
            modest.sql(sql)
            states = [job["state"] for job in cluster.status(cluster.scheduler)["jobs"]]
            # Sessions take turns: one of the greedy one's may have gone before, and one may run.
            self.assertGreaterEqual(states.count("QUEUED"), 15)
            for info in waiting:
                greedy.cancel("CancelFlightInfo", info)

    def test_full_queue_and_place_in_it(self):
        options = ["--max-running-jobs", "1", "--max-queued-jobs", "2"]
        with Cluster(executors=1, scheduler_args=options) as cluster:
            clients = [RawClient(cluster.port, 30) for _ in range(4)]
            started = [client.start(LONG) for client in clients[:3]]
            with self.assertRaisesRegex(Exception, "queue is full: 1 queries run and 2 wait"):
                clients[3].start(LONG)
            job = started[2].app_metadata
            profile = clients[2].act("job_profile", length_delimited(1, job)).decode(errors="replace")
            self.assertIn("at position 2 of 2", profile)
            for client, info in zip(clients, started):
                client.cancel("CancelFlightInfo", info)
                with self.assertRaisesRegex(Exception, "cancelled"):
                    client.rows(info)
            self.assertEqual(clients[3].sql("SELECT 7").column(0)[0].as_py(), 7)


if __name__ == "__main__":
    main()
