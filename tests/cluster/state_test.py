"""A scheduler that is killed and started again on the same port goes on with its queries, with sqlite and with etcd:
a client that comes back with its ticket gets its result, what was finished is not computed again, and wrong
combinations of options are refused with a sentence."""

import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import pyarrow.flight as fl

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cluster import LISTENING, Cluster, free_ports  # noqa: E402
from summary import main  # noqa: E402
from failure_test import QUERY, write_tables  # noqa: E402

COMMAND = "type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def field(number, data):
    return bytes([number << 3 | 2]) + varint(len(data)) + data


class Client:
    """A Flight SQL client that keeps its ticket and comes back with it."""

    def __init__(self, cluster):
        self.cluster = cluster

    def submit(self, sql):
        command = field(1, COMMAND.encode()) + field(2, field(1, sql.encode()))
        with fl.connect(self.cluster.uri.replace("grpc://", "grpc+tcp://")) as client:
            info = client.get_flight_info(
                fl.FlightDescriptor.for_command(command), fl.FlightCallOptions(timeout=30)
            )
            return info.endpoints[0].ticket

    def read(self, ticket, timeout=60):
        """Comes back as long as the scheduler is not there; any other error is one."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                with fl.connect(self.cluster.uri.replace("grpc://", "grpc+tcp://")) as client:
                    return client.do_get(ticket, fl.FlightCallOptions(timeout=timeout)).read_all()
            except (fl.FlightUnavailableError, fl.FlightInternalError) as error:
                gone = isinstance(error, fl.FlightUnavailableError) or "Connection reset" in str(error)
                if not gone or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


class Etcd:
    def __init__(self, folder):
        client, peer = (f"http://127.0.0.1:{port}" for port in free_ports(2))
        self.urls = client.removeprefix("http://")
        command = ["etcd", "--data-dir", f"{folder}/etcd", "--listen-client-urls", client]
        command += ["--advertise-client-urls", client, "--listen-peer-urls", peer]
        command += ["--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"]
        command += ["--logger", "zap", "--log-level", "error"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self):
        self.process.kill()
        self.process.wait()


def restart(cluster):
    cluster.scheduler.kill()
    time.sleep(0.3)
    old = cluster.scheduler
    # A log of its own: what is waited for is what this process writes.
    cluster.scheduler = cluster.spawn(f"scheduler-{time.monotonic_ns()}", old.command)
    cluster.wait_for(lambda: LISTENING in cluster.scheduler.text(), 60, "the scheduler to listen again")


class State(unittest.TestCase):
    def check_recovery(self, folder, state_args):
        with Cluster(executors=2, scheduler_args=["--heartbeat-interval", "200ms", *state_args]) as cluster:
            expected = {}
            sqls = {
                "join": QUERY.replace("facts", f"'{folder}/facts/*.parquet'").replace(
                    "dims", f"'{folder}/dims/*.parquet'"
                ),
                "scan": f"SELECT k, v FROM '{folder}/facts/*.parquet' ORDER BY v",
                "one": f"SELECT count(*) AS n FROM '{folder}/dims/*.parquet'",
            }
            for name, sql in sqls.items():
                expected[name] = cluster.sql(sql)
            client = Client(cluster)
            # Finished and not read: the parts are where they were computed.
            finished = {name: client.submit(sql) for name, sql in sqls.items()}
            time.sleep(4)
            restart(cluster)
            for name, ticket in finished.items():
                self.assertTrue(client.read(ticket).equals(expected[name]), name)
            # Under load: each client submits, and reads with its ticket whatever happens.
            errors, answers, cut, stop = [], [], [], threading.Event()

            def load(name):
                while not stop.is_set():
                    try:
                        ticket = client.submit(sqls[name])
                    except fl.FlightUnavailableError as error:
                        cut.append(error)
                        time.sleep(0.1)
                        continue
                    except fl.FlightInternalError as error:
                        if "Connection reset" in str(error):
                            cut.append(error)  # its job may be kept, and nobody knows of it
                        else:
                            errors.append(error)
                        continue
                    try:
                        answers.append(client.read(ticket).equals(expected[name]))
                    except Exception as error:  # reported by the test
                        errors.append(error)

            threads = [threading.Thread(target=load, args=(name,)) for name in ("join", "scan", "join")]
            for thread in threads:
                thread.start()
            for _ in range(3):
                time.sleep(1.5)
                restart(cluster)
            time.sleep(1)
            stop.set()
            for thread in threads:
                thread.join(timeout=90)
                self.assertFalse(thread.is_alive(), "a query hangs")
            self.assertEqual(errors, [])
            self.assertGreater(len(answers), 3)
            self.assertTrue(all(answers))
            # Nothing is left to go on with, but for what was cut off before it had its ticket.
            time.sleep(0.5)
            restart(cluster)
            left = cluster.scheduler.text().count("Going on with job")
            self.assertLessEqual(left, min(len(cut), 9), "at most one for each thread and restart")
            # Its result is kept until its time is up.
            cluster.leak_check = left == 0

    def test_recovers_with_sqlite(self):
        with tempfile.TemporaryDirectory() as folder:
            write_tables(folder)
            self.check_recovery(folder, ["--config-backend", "sqlite", "--state-dir", f"{folder}/state"])

    def test_recovers_with_etcd(self):
        with tempfile.TemporaryDirectory() as folder:
            write_tables(folder)
            etcd = Etcd(folder)
            try:
                self.check_recovery(folder, ["--config-backend", "etcd", "--etcd-urls", etcd.urls])
            finally:
                etcd.stop()

    def test_says_what_is_wrong_with_the_options(self):
        with tempfile.TemporaryDirectory() as folder:
            for args, sentence in (
                (["--config-backend=sqlite"], "sqlite needs --state-dir"),
                (["--config-backend=etcd"], "etcd needs --etcd-urls"),
                ([f"--state-dir={folder}"], "it is for --config-backend sqlite alone"),
                (["--etcd-urls=a:1"], "it is for --config-backend etcd alone"),
                (["--config-backend=etcd", "--etcd-urls=nonsense"], "'nonsense' is not host:port"),
                (["--config-backend=sqlite", "--state-dir=/proc/no"], "cannot make the state folder /proc/no"),
            ):
                ended = self.run_scheduler(args)
                self.assertEqual(ended.returncode, 1, ended.stderr)
                self.assertIn(sentence, ended.stderr)
            with Cluster(executors=1, scheduler_args=["--config-backend=sqlite", f"--state-dir={folder}"]) as cluster:
                ended = self.run_scheduler(["--config-backend=sqlite", f"--state-dir={folder}"])
                self.assertIn(f"in use by another scheduler (process {cluster.scheduler.pid})", ended.stderr)

    @staticmethod
    def run_scheduler(args):
        command = [str(Cluster.binary("scheduler")), "--bind-host=127.0.0.1", f"--port={free_ports(1)[0]}", *args]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)


if __name__ == "__main__":
    main()
