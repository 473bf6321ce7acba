"""A query that is given up, in whatever way and phase, stops within a second everywhere, and nothing is left of it."""

import contextlib
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cluster import Cluster  # noqa: E402
from raw_client import RawClient  # noqa: E402
from summary import main  # noqa: E402

DISTRIBUTED = ("SET ballista.single_task_threshold = 0", "SET ballista.broadcast_threshold = 0")
# Each runs for minutes where nobody stops it.
QUERIES = {
    "scan": "SELECT sum(length(regexp_replace(repeat(s, 300), '[a-m]', 'xy', 'g'))) FROM t",
    "join": "SELECT count(*) FROM t a JOIN t b ON a.k % 10 = b.k % 10 WHERE a.v * b.v % 7 = 3",
    "sort": "SELECT * FROM (SELECT md5(s || r) AS m, v FROM t, range(200) u(r)) ORDER BY m, v",
    "aggregation": "SELECT count(*) FROM (SELECT DISTINCT k, v * 1000 + r FROM t, range(1000) u(r))",
    "shuffle": "SELECT count(*) FROM (SELECT k, v + r AS w FROM t, range(200) u(r)) a JOIN t b ON a.w = b.v * 3",
    "result": "SELECT v, r, s FROM t, range(1000) u(r)",
}


class Cancellation(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.table = pathlib.Path(cls.folder.name, "t")
        cls.table.mkdir()
        for part in range(4):
            ids = range(part * 100_000, (part + 1) * 100_000)
            columns = {
                "k": pa.array([i * 7919 % 50_000 for i in ids], pa.int64()),
                "v": pa.array(ids, pa.int64()),
                "s": pa.array([f"some text {i}" for i in ids]),
            }
            pq.write_table(pa.table(columns), cls.table / f"{part}.parquet", row_group_size=25_000)
        cls.cluster = Cluster(executors=2, memory_limit="512MiB", scheduler_args=["--heartbeat-interval", "500ms"])
        cls.cluster.__enter__()
        cls.ballista = str(cls.cluster.binary("ballista"))

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__(None, None, None)
        cls.folder.cleanup()

    def over_files(self, sql: str) -> str:
        return sql.replace("FROM t", f"FROM '{self.table}/*.parquet' t").replace(
            "JOIN t", f"JOIN '{self.table}/*.parquet' t"
        ).replace("t a", "a").replace("t b", "b")

    def wait_for_tasks(self):
        deadline = time.monotonic() + 20
        while self.cluster.status(self.cluster.scheduler)["running_tasks"] == 0:
            self.assertLess(time.monotonic(), deadline, "no task started")
            time.sleep(0.01)

    def wait_for_reader(self):
        """A driver that gives up before it asks for the result cannot be told from one that will ask later."""
        deadline = time.monotonic() + 20
        while self.cluster.status(self.cluster.scheduler)["waiting"] == 0:
            self.assertLess(time.monotonic(), deadline, "nobody asked for the result")
            time.sleep(0.01)

    def assert_clean(self, what: str):
        taken = self.cluster.time_until_clean()
        self.assertLess(taken, 1.0, f"{what}: tasks, memory or files were left for {taken:.2f} s")

    @contextlib.contextmanager
    def client(self, sql: str, **options):
        """The command-line client, running the statement."""
        script = ";".join([*DISTRIBUTED, self.over_files(sql)])
        command = [self.ballista, "--port", str(self.cluster.port), "-c", script]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
        try:
            yield child
        finally:
            if child.poll() is None:
                child.kill()
            child.communicate()

    def test_driver_cancels_in_each_phase(self):
        for name, sql in QUERIES.items():
            for delay in (0.0, 0.7):
                with self.subTest(query=name, delay=delay), self.cluster.connect() as connection:
                    with connection.cursor() as cursor:
                        for setting in DISTRIBUTED:
                            cursor.execute(setting)
                        errors = []
                        thread = threading.Thread(target=self.read_all, args=(cursor, sql, errors))
                        thread.start()
                        self.wait_for_tasks()
                        self.wait_for_reader()
                        time.sleep(delay)
                        cursor.adbc_cancel()
                        thread.join(10)
                        self.assertFalse(thread.is_alive(), "the cancelled call goes on")
                        self.assertEqual(len(errors), 1)
                    self.assert_clean(name)

    def read_all(self, cursor, sql, errors):
        try:
            cursor.execute(self.over_files(sql))
            for _ in cursor.fetch_record_batch():
                pass
        except Exception as error:  # reported by the test
            errors.append(error)

    def test_closed_in_the_middle_of_a_result(self):
        connection = self.cluster.connect()
        cursor = connection.cursor()
        cursor.execute(self.over_files("SELECT v, r, s FROM t, range(50) u(r)"))
        reader = cursor.fetch_record_batch()
        self.assertGreater(reader.read_next_batch().num_rows, 0)
        reader.close()
        cursor.close()
        connection.close()
        self.assert_clean("closed result")

    def test_cancel_actions(self):
        for action in ("CancelFlightInfo", "CancelQuery"):
            client = RawClient(self.cluster.port)
            info = client.start(self.over_files(QUERIES["join"]))
            self.wait_for_tasks()
            client.cancel(action, info)
            self.assert_stopped(action)
            with self.assertRaisesRegex(Exception, "cancelled"):
                client.rows(info)
            self.assert_clean(action)

    def assert_stopped(self, what: str):
        start = time.monotonic()
        while any(self.cluster.status(each)["tasks"] for each in self.cluster.executors):
            self.assertLess(time.monotonic() - start, 1.0, f"{what}: a task goes on")
            time.sleep(0.02)

    def test_closed_session(self):
        client = RawClient(self.cluster.port)
        running = client.start(self.over_files(QUERIES["join"]))
        client.start("SELECT 1")  # its result is never read
        client.rows(client.start("SHOW ballista.replan"))
        self.wait_for_tasks()
        client.act("CloseSession")
        self.assert_stopped("closed session")
        with self.assertRaisesRegex(Exception, "session .* was closed"):
            client.rows(running)
        self.assert_clean("closed session")

    def test_statement_timeout(self):
        client = RawClient(self.cluster.port)
        client.rows(client.start("SET statement_timeout = '700ms'"))
        start = time.monotonic()
        with self.assertRaisesRegex(Exception, "statement_timeout"):
            client.rows(client.start(self.over_files(QUERIES["join"])))
        self.assertLess(time.monotonic() - start, 3.0)
        self.assert_clean("timeout")
        # Without it the same session's queries run for longer.
        client.rows(client.start("SET statement_timeout = 0"))
        info = client.start(self.over_files(QUERIES["join"]))
        time.sleep(1.5)
        self.assertEqual(len(self.cluster.status(self.cluster.scheduler)["jobs"]), 1)
        client.cancel("CancelFlightInfo", info)
        client.act("CloseSession")
        self.assert_clean("cancelled")

    def test_bad_timeout(self):
        client = RawClient(self.cluster.port)
        with self.assertRaisesRegex(Exception, "such as 500ms, 5s"):
            client.start("SET statement_timeout = 'soon'")

    def test_interrupt_and_kill_of_the_command_line(self):
        for name in ("join", "result", "sort"):
            for number in (signal.SIGINT, signal.SIGKILL):
                with self.subTest(query=name, signal=number.name), self.client(QUERIES[name]) as child:
                    self.wait_for_tasks()
                    self.wait_for_reader()
                    time.sleep(0.3)
                    child.send_signal(number)
                    child.wait(5)
                    self.assert_clean(f"{name}, {number.name}")

    def test_copy_leaves_no_file(self):
        # One file is written after all rows have come to one task; a folder at once.
        for target, options, copies in (("out.parquet", "", 20), ("out", ", PARTITION_BY (p)", 2000)):
            for number in (signal.SIGINT, signal.SIGKILL):
                with self.subTest(target=target, signal=number.name):
                    place = pathlib.Path(self.folder.name, f"copy-{target}-{number.name}")
                    place.mkdir()
                    rows = f"SELECT v, s, r, r % 5 AS p FROM t, range({copies}) u(r)"
                    with self.client(f"COPY ({rows}) TO '{place / target}' (FORMAT parquet{options})") as child:
                        deadline = time.monotonic() + 30
                        while not [path for path in place.rglob("*") if path.is_file()]:
                            self.assertLess(time.monotonic(), deadline, "no file was begun")
                            time.sleep(0.02)
                        time.sleep(0.3)
                        self.assertIsNone(child.poll(), "the COPY ended too soon for this test")
                        child.send_signal(number)
                        child.wait(5)
                        self.assert_clean("COPY")
                        deadline = time.monotonic() + 1
                        while (left := [path for path in place.rglob("*") if path != place / "out"]) and (
                            time.monotonic() < deadline
                        ):
                            time.sleep(0.02)
                        self.assertEqual(left, [])


if __name__ == "__main__":
    main()
