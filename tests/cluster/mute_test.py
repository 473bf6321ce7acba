"""A peer that takes connections and never answers holds nobody up: an executor waits for its scheduler and can be
stopped; a scheduler gives the tasks of a mute executor to another; a scheduler that was itself stopped for long takes
no executor for lost."""

import json
import pathlib
import re
import signal
import socket
import sys
import tempfile
import threading
import time
import unittest

import pyarrow as pa
import pyarrow.flight as flight
import pyarrow.parquet as pq

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cluster import LISTENING, REGISTERED, ROOT, Cluster, free_ports  # noqa: E402
from raw_client import RawClient, length_delimited  # noqa: E402
from summary import main  # noqa: E402

VERSION_HEADER = ROOT / "src" / "ballista" / "base" / "version.h"
WIRE_VERSION = int(re.search(r"kWireVersion = (\d+)", VERSION_HEADER.read_text())[1])


def number(field: int, value: int) -> bytes:
    """One field of a protobuf message, of less than two bytes."""
    return bytes([field << 3, value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14])


class Mute:
    """Listens and says nothing."""

    def __init__(self, port: int = 0):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.socket.bind(("127.0.0.1", port))
        self.socket.listen(64)
        self.port = self.socket.getsockname()[1]
        self.taken = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        try:
            while True:
                self.taken.append(self.socket.accept()[0])
        except OSError:
            return

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for each in self.taken:
            each.close()


class Introduction(flight.FlightServerBase):
    """What a scheduler asks an executor before it takes it in."""

    def do_action(self, context, action):
        return [json.dumps({"executor_id": "mute"}).encode()]


class FalseExecutor:
    """Registers as an executor of many slots that is at the port, and lives on."""

    def __init__(self, cluster: Cluster, port: int, host: bytes = b"127.0.0.1"):
        self.client = RawClient(cluster.port, 5)
        self.known = True
        name = length_delimited(1, b"mute")
        executor = name + length_delimited(2, host) + number(3, port) + number(4, 64) + number(5, 1)
        executor += length_delimited(8, b"mute-1")
        self.client.act("register_executor", number(1, WIRE_VERSION) + length_delimited(2, executor))
        beat = number(1, WIRE_VERSION) + length_delimited(2, b"mute") + length_delimited(3, b"mute-1")
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(beat,))
        self.thread.start()

    def run(self, beat: bytes):
        while self.known and not self.stopping.wait(0.2):
            self.known = not self.client.act("heartbeat", beat).startswith(b"\x08\x01")

    def stop(self):
        self.stopping.set()
        self.thread.join()


class MutePeers(unittest.TestCase):
    def test_executor_waits_for_a_mute_scheduler_and_can_be_stopped(self):
        mute = Mute()
        with Cluster(executors=0) as cluster:
            real = cluster.scheduler
            cluster.port = mute.port
            waiting, leaving = cluster.start_executor(), cluster.start_executor()
            for executor in (waiting, leaving):
                cluster.wait_for(lambda: "does not take the registration" in executor.text(), 20, "a warning")
            start = time.monotonic()
            leaving.child.send_signal(signal.SIGTERM)
            self.assertEqual(leaving.child.wait(15), 0)
            print(f"left its mute scheduler after {time.monotonic() - start:.1f} s")
            cluster.executors.remove(leaving)
            # A real one in its place.
            mute.close()
            command = list(real.command)
            command[command.index("--port") + 1] = str(mute.port)
            real.stop()
            cluster.scheduler = cluster.spawn("scheduler-real", command)
            cluster.wait_for(lambda: LISTENING in cluster.scheduler.text(), 20, "the scheduler to listen")
            cluster.wait_for_executors(1, 20)
            self.assertEqual(RawClient(cluster.port, 20).sql("SELECT sum(x) FROM range(10) t(x)").num_rows, 1)

    def test_tasks_of_a_mute_executor_run_elsewhere(self):
        with tempfile.TemporaryDirectory() as folder, Cluster(executors=1) as cluster:
            for part in range(4):
                pq.write_table(pa.table({"k": [part], "v": [10 * part]}), f"{folder}/{part}.parquet")
            introduction = Introduction("grpc://127.0.0.1:0")
            executor = FalseExecutor(cluster, introduction.port)
            introduction.shutdown()
            mute = Mute(introduction.port)
            try:
                cluster.wait_for_executors(2)
                client = RawClient(cluster.port, 60)
                for setting in ("single_task_threshold = 0", "broadcast_threshold = 0", "max_task_attempts = 1"):
                    client.sql(f"SET ballista.{setting}")
                start = time.monotonic()
                files = f"'{folder}/*.parquet'"
                rows = client.sql(f"SELECT sum(a.v) FROM {files} a JOIN {files} b ON a.k = b.k")
                taken = time.monotonic() - start
                self.assertEqual(rows.column(0)[0].as_py(), 60)
                self.assertIn("executor mute at 127.0.0.1", cluster.scheduler.text())
                self.assertLess(taken, 30)
                cluster.wait_for(lambda: not executor.known, 5, "the mute executor to be lost")
                print(f"answered {taken:.1f} s after the launch at a mute executor")
            finally:
                executor.stop()
                mute.close()

    def test_executors_that_are_not_where_they_say_get_no_tasks(self):
        with Cluster(executors=1) as cluster:
            # Nobody listens there.
            command = list(cluster.executors[0].command)
            for option, value in (("--external-host", "127.0.0.2"), ("--port", free_ports(1)[0])):
                command[command.index(option) + 1] = str(value)
            elsewhere = cluster.spawn("elsewhere", command)
            cluster.executors.append(elsewhere)
            cluster.wait_for(
                lambda: "cannot reach this executor at 127.0.0.2" in elsewhere.text(), 20, "the reason in the log"
            )
            self.assertIn("set its --external-host and --port", elsewhere.text())
            # Somebody else does.
            with self.assertRaisesRegex(Exception, "another process answers at localhost"):
                FalseExecutor(cluster, cluster.executors[0].port, b"localhost")
            client = RawClient(cluster.port, 20)
            client.sql("SET ballista.max_task_attempts = 1")
            self.assertEqual(client.sql("SELECT sum(x) FROM range(10) t(x)").column(0)[0].as_py(), 45)
            self.assertEqual(cluster.scheduler.text().count(REGISTERED), 1)

    def test_an_executor_that_was_started_again_is_lost_at_once(self):
        with Cluster(executors=1) as cluster:
            client = RawClient(cluster.port, 60)
            sql = "SELECT count(*) FROM range(5000) a(x), range(5000) b(y) WHERE (x * y) % 7 = 3"
            info = client.start(sql)
            [executor] = cluster.executors
            executor.kill()
            start = time.monotonic()
            cluster.restart(executor)
            self.assertEqual(client.rows(info).column(0)[0].as_py(), 3060204)
            taken = time.monotonic() - start
            print(f"answered {taken:.1f} s after its executor was killed and started again")
            self.assertLess(taken, 10)  # an executor is taken for lost after 20 s of silence

    def test_time_in_which_a_scheduler_does_not_run_does_not_count(self):
        options = ["--heartbeat-interval", "200ms", "--executor-timeout", "1500ms"]
        with Cluster(executors=2, scheduler_args=options) as cluster:
            client = RawClient(cluster.port, 60)
            client.sql("SET ballista.fault_tolerance = 'none'")
            sql = "SELECT count(*) FROM range(30000) a(x), range(20000) b(y) WHERE (x * y) % 7 = 3"
            info = client.start(sql)
            cluster.scheduler.child.send_signal(signal.SIGSTOP)
            time.sleep(3)
            cluster.scheduler.child.send_signal(signal.SIGCONT)
            self.assertEqual(client.rows(info).column(0)[0].as_py(), 73464898)
            self.assertIn("This process did not run for", cluster.scheduler.text())
            self.assertEqual(cluster.scheduler.text().count(REGISTERED), 2)


if __name__ == "__main__":
    main()
