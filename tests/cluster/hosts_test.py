"""Scheduler and executors on hosts of their own: links that are cut, one way or both, between the scheduler and an
executor, between executors, or around one executor, and links that are slow, cost no answer and no more than a bounded
time. Each of the 22 TPC-H queries (scale factor 0.01) is compared with DuckDB's answer."""

import pathlib
import sys
import threading
import time
import unittest

FOLDER = pathlib.Path(__file__).parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parent / "oracle")]
import tpc_data  # noqa: E402
from compare import compare  # noqa: E402
from hosts import HostCluster, Network  # noqa: E402
from summary import main  # noqa: E402

EXECUTORS = ("executor-0", "executor-1", "executor-2")
HOSTS = ("client", "scheduler", *EXECUTORS)
CUT = 2.5  # seconds
# From the end of a cut until all 22 queries have been answered, and the longest that one query may take. Executors are
# given up after 2 s of silence; a connection whose packets were lost sends again at intervals that double.
RECOVERY = 20.0
SETTINGS = ("single_task_threshold = 0", "broadcast_threshold = 0")


class Load:
    """Asks the 22 queries in turn, in a thread of its own, until it is told to stop."""

    def __init__(self, cluster, queries):
        self.cluster = cluster
        self.queries = queries
        self.answers = []
        self.error = None
        self.slowest = (0.0, 0)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            with connect(self.cluster) as connection:
                while not self.stopping.is_set():
                    for number, sql in self.queries.items():
                        start = time.monotonic()
                        self.answers.append((number, self.cluster.sql(sql, connection)))
                        self.slowest = max(self.slowest, (time.monotonic() - start, number))
        except Exception as error:  # reported by the test
            self.error = error

    def finish(self):
        """The pass that it is in is the last one. Errors: the one that a query gave; AssertionError for a hang."""
        self.stopping.set()
        self.thread.join(timeout=90)
        if self.thread.is_alive():
            raise AssertionError(f"a query hangs; {len(self.answers)} were answered\n{self.cluster.where()}")
        if self.error is not None:
            raise self.error


def connect(cluster):
    connection = cluster.connect()
    for option in SETTINGS:
        cluster.sql(f"SET ballista.{option}", connection)
    return connection


class Hosts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tpc_data.ensure("tpch", "0.01")
        cls.queries = tpc_data.queries("tpch")
        cls.oracle = tpc_data.connect()
        tpc_data.create_views(cls.oracle, folder)
        cls.expected = {number: cls.oracle.sql(sql).to_arrow_table() for number, sql in cls.queries.items()}
        cls.network = Network(HOSTS)
        cls.network.__enter__()
        cls.addClassCleanup(cls.network.remove)
        cls.network.enter("client")
        timeouts = ("--heartbeat-interval", "300ms", "--executor-timeout", "2s")
        cls.cluster = HostCluster(cls.network, executors=len(EXECUTORS), scheduler_args=timeouts)
        cls.cluster.__enter__()
        # Also finds what is left of jobs.
        cls.addClassCleanup(lambda: cls.cluster.__exit__(None, None, None))
        for sql in tpc_data.external_tables(folder):
            cls.cluster.sql(sql)

    def check(self, answers):
        self.assertGreaterEqual(len(answers), len(self.queries))
        for number, answer in answers:
            verdict = compare(self.queries[number], self.expected[number], answer, self.oracle)
            self.assertEqual(verdict.problem, "", f"Q{number}")

    def endure(self, cut, for_good=False):
        """Queries go on while `cut` is done to the network, for some seconds, or until each has been answered once
        more; all answers are right, and soon."""
        load = Load(self.cluster, self.queries)
        try:
            time.sleep(0.3)
            cut()
            done = time.monotonic()
            if for_good:
                self.wait_for(lambda: load.error or len(load.answers) >= 2 * len(self.queries), 2 * RECOVERY)
            else:
                time.sleep(CUT)
        finally:
            restored = time.monotonic()
            self.network.restore()
            load.finish()
        recovery = (restored if for_good else time.monotonic()) - (done if for_good else restored)
        self.check(load.answers)
        seconds, number = load.slowest
        print(f"{self.id().split('.')[-1]}: slowest Q{number} in {seconds:.1f} s, recovered in {recovery:.1f} s")
        if not for_good:
            self.assertLess(recovery, RECOVERY)
            self.assertLess(seconds, CUT + RECOVERY)
        self.wait_for(self.all_known, 15)

    def wait_for(self, ready, limit):
        deadline = time.monotonic() + limit
        while not ready():
            self.assertLess(time.monotonic(), deadline, f"waited {limit:g} s")
            time.sleep(0.1)

    def all_known(self):
        return self.cluster.status(self.cluster.scheduler)["executors"] == len(EXECUTORS)

    def test_2_scheduler_and_an_executor(self):
        self.endure(lambda: self.network.cut("scheduler", "executor-1"))

    def test_3_two_executors_for_good(self):
        self.endure(lambda: self.network.cut("executor-0", "executor-2"), for_good=True)

    def test_4_an_executor_and_all_others(self):
        self.endure(lambda: self.network.cut("executor-1", "scheduler", "executor-0", "executor-2"))

    def test_5_one_way_to_the_executor(self):
        self.endure(lambda: self.network.cut_one_way("scheduler", "executor-0"))

    def test_6_one_way_from_the_executor(self):
        self.endure(lambda: self.network.cut_one_way("executor-2", "scheduler"))

    def test_7_slow_links(self):
        def slow():
            for host in EXECUTORS:
                self.network.slow(host, "4mbit")

        self.endure(slow)


if __name__ == "__main__":
    main()
