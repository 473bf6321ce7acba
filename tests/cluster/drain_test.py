"""SIGTERM drains: a rolling restart of all executors under load fails no query and charges no task with a failure;
long tasks are handed back; a second signal ends at once; a scheduler refuses new queries and answers the others."""

import pathlib
import signal
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cluster import REGISTERED, Cluster  # noqa: E402
from etcd import Etcd  # noqa: E402
from flight_client import Client  # noqa: E402
from load import Load  # noqa: E402
from raw_client import RawClient, length_delimited  # noqa: E402
from summary import main  # noqa: E402

# One task, of some seconds.
LONG = "SELECT count(*) FROM range(30000) a(x), range(20000) b(y) WHERE (x * y) % 7 = 3"
ANSWER = 73464898  # DuckDB's
# Whatever is charged to a task fails its query.
NO_RETRY = {"ballista.fault_tolerance": "none"}
DRAIN_TIMEOUT = 15


class Drain(unittest.TestCase):
    def terminate(self, process, limit: float) -> float:
        """Seconds until the process has ended by itself, with code 0."""
        start = time.monotonic()
        process.child.send_signal(signal.SIGTERM)
        self.assertEqual(process.child.wait(limit), 0, process.tail())
        return time.monotonic() - start

    def test_rolling_restart_under_load(self):
        options = ["--drain-timeout", f"{DRAIN_TIMEOUT}s"]
        with Cluster(executors=3, executor_args=options) as cluster:
            with Load(cluster, clients=4, seed=1, settings=NO_RETRY) as load:
                taken = []
                for leaver in list(cluster.executors):
                    time.sleep(1)
                    registered = cluster.scheduler.text().count(REGISTERED)
                    taken.append(self.terminate(leaver, DRAIN_TIMEOUT))
                    self.assertNotIn("outputs that may still be needed", leaver.text())
                    cluster.restart(leaver)
                    cluster.wait_for_executors(registered + 1)
                time.sleep(1)
            load.raise_problems()
            self.assertGreater(load.answers, 20)
            print(f"{load.answers} answers; executors were gone after {max(taken):.2f} s at most")

    def test_executors_stay_until_a_result_is_read(self):
        with Cluster(executors=2) as cluster:
            client = RawClient(cluster.port, 30)
            for statement in ("SET ballista.single_task_threshold = 0", "SET ballista.max_task_attempts = 1"):
                client.sql(statement)
            rows = 1_500_000  # more than what travels with a task's status or fits into a stream's windows
            info = client.start(f"SELECT x, md5(x::VARCHAR) AS m FROM range({rows}) t(x)")
            reader = client.flight.do_get(info.endpoints[0].ticket, client.options())
            got = reader.read_chunk().data.num_rows
            holder = next(each for each in cluster.executors if cluster.status(each)["outputs"])
            holder.child.send_signal(signal.SIGTERM)
            time.sleep(1)
            self.assertTrue(holder.running(), holder.tail())
            for chunk in reader:
                got += chunk.data.num_rows
            self.assertEqual(got, rows)
            self.assertEqual(holder.child.wait(2), 0)
            self.assertNotIn("outputs that may still be needed", holder.text())
            cluster.executors.remove(holder)

    def start_long(self, cluster, answers: list) -> threading.Thread:
        def run():
            try:
                client = RawClient(cluster.port, 60)
                client.sql("SET ballista.max_task_attempts = 1")
                answers.append(client.sql(LONG).column(0)[0].as_py())
            except Exception as error:  # compared by the test
                answers.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        deadline = time.monotonic() + 20
        while cluster.status(cluster.scheduler)["running_tasks"] == 0:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        return thread

    def test_long_task_is_handed_back_in_time(self):
        with Cluster(executors=2, executor_args=["--drain-timeout", "2s"]) as cluster:
            answers = []
            thread = self.start_long(cluster, answers)
            busy = next(each for each in cluster.executors if cluster.status(each)["tasks"])
            taken = self.terminate(busy, 10)
            self.assertLess(taken, 3.0)
            self.assertIn("1 tasks are handed back", busy.text())
            cluster.executors.remove(busy)
            thread.join(60)
            self.assertEqual(answers, [ANSWER])

    def test_second_signal_ends_at_once(self):
        with Cluster(executors=1, leak_check=False) as cluster:
            thread = self.start_long(cluster, [])
            [executor] = cluster.executors
            executor.child.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            self.assertTrue(executor.running())
            start = time.monotonic()
            executor.child.send_signal(signal.SIGTERM)
            self.assertEqual(executor.child.wait(5), 128 + signal.SIGTERM)
            self.assertLess(time.monotonic() - start, 1.0)
            cluster.scheduler.kill()
            thread.join(30)

    def test_drain_by_action(self):
        with Cluster(executors=2, scheduler_args=["--heartbeat-interval", "200ms"]) as cluster:
            leaver = cluster.executors.pop()
            client = RawClient(cluster.port, 10)
            client.act("drain_executor", length_delimited(1, f"127.0.0.1:{leaver.port}".encode()))
            self.assertEqual(leaver.child.wait(5), 0)
            with self.assertRaisesRegex(Exception, "there is no executor"):
                client.act("drain_executor", length_delimited(1, b"x"))
            self.assertEqual(client.sql("SELECT 42").column(0)[0].as_py(), 42)

    def test_executors_leave_though_a_scheduler_is_silent(self):
        """One of two schedulers is stopped: its host takes what is sent to it, and nothing comes back."""
        with tempfile.TemporaryDirectory() as folder, Etcd(folder) as etcd:
            args = ["--config-backend", "etcd", "--etcd-urls", etcd.urls, "--heartbeat-interval", "200ms"]
            with Cluster(executors=2, schedulers=2, scheduler_args=args, leak_check=False) as cluster:
                silent = cluster.other_schedulers[0]
                client = RawClient(cluster.port, 30)
                client.sql("SET ballista.single_task_threshold = 0")
                self.assertEqual(client.sql("SELECT count(*) FROM range(100000)").column(0)[0].as_py(), 100000)
                cluster.time_until_clean()
                silent.child.send_signal(signal.SIGSTOP)
                try:
                    first, second = cluster.executors
                    # Less than a call's deadline of 10 s, for one that was under way, too.
                    took = self.terminate(first, 8)
                    self.assertNotIn("outputs that may still be needed", first.text())
                    self.assertIn("leaves the cluster", cluster.scheduler.text())
                    # One that has something stays with it, for the scheduler that lives.
                    rows = 1_500_000
                    info = client.start(f"SELECT x, md5(x::VARCHAR) AS m FROM range({rows}) t(x)")
                    reader = client.flight.do_get(info.endpoints[0].ticket, client.options())
                    got = reader.read_chunk().data.num_rows
                    second.child.send_signal(signal.SIGTERM)
                    time.sleep(3)
                    self.assertTrue(second.running(), second.tail())
                    got += sum(chunk.data.num_rows for chunk in reader)
                    self.assertEqual(got, rows)
                    self.assertEqual(second.child.wait(8), 0, second.tail())
                    self.assertNotIn("outputs that may still be needed", second.text())
                finally:
                    silent.child.send_signal(signal.SIGCONT)
                cluster.executors = []
                print(f"an executor was gone {took:.1f} s after SIGTERM beside a silent scheduler", file=sys.stderr)

    def test_scheduler_drains(self):
        with Cluster(executors=1, leak_check=False) as cluster:
            answers = []
            client = RawClient(cluster.port, 10)
            thread = self.start_long(cluster, answers)
            cluster.scheduler.child.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            with self.assertRaisesRegex(Exception, "stopping and takes no more queries"):
                client.sql("SELECT 1")
            thread.join(60)
            self.assertEqual(answers, [ANSWER])
            self.assertEqual(cluster.scheduler.child.wait(10), 0)

    def test_what_a_scheduler_has_not_answered_in_time_goes_on_at_the_next(self):
        """Its state outlives it: a client that waits is cut off, and comes back with its ticket."""
        with tempfile.TemporaryDirectory() as folder:
            options = ["--config-backend", "sqlite", "--state-dir", folder, "--drain-timeout", "200ms"]
            with Cluster(executors=1, scheduler_args=options) as cluster:
                client = Client([cluster.uri])
                ticket = client.submit(LONG)
                cut_off = []

                def wait():
                    try:
                        client.read_at(cluster.uri, ticket)
                    except Exception as error:  # looked at by the test
                        cut_off.append(error)

                waiting = threading.Thread(target=wait)
                waiting.start()
                cluster.wait_for(lambda: Cluster.status(cluster.scheduler)["waiting"] == 1, 10, "the client to wait")
                self.terminate(cluster.scheduler, 10)
                waiting.join(30)
                self.assertEqual(len(cut_off), 1)
                cluster.restart(cluster.scheduler)
                self.assertEqual(client.read(ticket).column(0).to_pylist(), [ANSWER])
                self.assertIn("Going on with job", cluster.scheduler.text())


if __name__ == "__main__":
    main()
