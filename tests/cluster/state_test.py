"""A scheduler that is killed and started again on the same port goes on with its queries, with sqlite and with etcd:
a client that comes back with its ticket gets its result, what was finished is not computed again, and wrong
combinations of options are refused with a sentence."""

import contextlib
import pathlib
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cluster import LISTENING, Cluster, free_ports  # noqa: E402
from flight_client import Client, TicketLoop  # noqa: E402
from etcd import Etcd  # noqa: E402
from summary import main  # noqa: E402
from failure_test import QUERY, write_tables  # noqa: E402

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
            client = Client([cluster.uri])
            # Finished and not read: the parts are where they were computed.
            finished = {name: client.submit(sql) for name, sql in sqls.items()}
            time.sleep(4)
            restart(cluster)
            for name, ticket in finished.items():
                self.assertTrue(client.read(ticket).equals(expected[name]), name)
            # Under load: each client submits, and reads with its ticket whatever happens.
            with TicketLoop(client, [(sqls[name], expected[name]) for name in ("join", "scan", "join")], 90) as load:
                for _ in range(3):
                    time.sleep(1.5)
                    restart(cluster)
                # However busy the machine is.
                time.sleep(1)
                load.wait_for_answers(4)
            self.assertEqual(load.errors, [])
            self.assertGreater(load.answers, 3)
            # Nothing is left to go on with, but for what was cut off before it had its ticket.
            time.sleep(0.5)
            restart(cluster)
            if "etcd" in state_args:
                self.wait_for_takeover(cluster)
            left = cluster.scheduler.text().count("Going on with job")
            self.assertLessEqual(left, min(load.cut, 9), "at most one for each thread and restart")
            # Its result is kept until its time is up.
            cluster.leak_check = left == 0

    @staticmethod
    def wait_for_takeover(cluster):
        """With etcd the leases of the schedulers before have to end first: of 5 s, and each by itself."""
        cluster.wait_for(lambda: "Taking over from" in cluster.scheduler.text(), 20, "the jobs to be taken over")
        time.sleep(7)

    def check_catalog(self, folder, state_args, kept=True):
        """Tables, views and a session's settings are there after a SIGKILL; with `kept` False none is."""
        pq.write_table(pa.table({"k": [1, 2, 3]}), f"{folder}/t.parquet")
        with Cluster(executors=1, scheduler_args=["--heartbeat-interval", "200ms", *state_args]) as cluster:
            def value(sql, connection=None):
                return cluster.sql(sql, connection).column(0)[0].as_py()

            with cluster.connect() as mine, cluster.connect() as others:
                for sql in (
                    f"CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{folder}/t.parquet'",
                    f"CREATE EXTERNAL TABLE gone STORED AS PARQUET LOCATION '{folder}/t.parquet'",
                    "CREATE SCHEMA s",
                    "CREATE VIEW s.v AS SELECT sum(k) AS n FROM t",
                    "CREATE OR REPLACE VIEW s.v AS SELECT sum(k) + 1 AS n FROM t",
                    "DROP TABLE gone",
                    "SET ballista.tasks_per_stage = 7",
                    "SET TimeZone = 'Asia/Tokyo'",
                    "SET VARIABLE x = 42",
                ):
                    cluster.sql(sql, mine)
                cluster.sql("SET ballista.tasks_per_stage = 5", others)
                self.assertEqual(value("SELECT n FROM s.v", mine), 7)
                restart(cluster)
                cluster.wait_for_executors(1)
                if not kept:
                    for sql in ("SELECT * FROM t", "SELECT * FROM s.v"):
                        with self.assertRaisesRegex(Exception, "does not exist"):
                            cluster.sql(sql)
                    return
                self.assertEqual(value("SELECT n FROM s.v"), 7)
                with self.assertRaisesRegex(Exception, "does not exist"):
                    cluster.sql("SELECT * FROM gone")
                shown = cluster.sql("SHOW ballista.tasks_per_stage", mine)
                self.assertEqual(shown.column("value")[0].as_py(), "7")
                self.assertEqual(cluster.sql("SHOW ballista.tasks_per_stage", others).column("value")[0].as_py(), "5")
                self.assertEqual(value("SELECT current_setting('TimeZone')", mine), "Asia/Tokyo")
                self.assertEqual(value("SELECT getvariable('x')", mine), 42)
                # Dropped, it is gone for the next one, too; so is what a session has reset.
                cluster.sql("DROP VIEW s.v", mine)
                cluster.sql("RESET ballista.tasks_per_stage", mine)
                restart(cluster)
                cluster.wait_for_executors(1)
                with self.assertRaisesRegex(Exception, "does not exist"):
                    cluster.sql("SELECT * FROM s.v")
                self.assertEqual(cluster.sql("SHOW ballista.tasks_per_stage", mine).column("value")[0].as_py(), "0")
                self.assertEqual(value("SELECT sum(k) FROM t"), 6)

    def test_rows_that_died_with_their_scheduler_are_there_again(self):
        """All of a result was sent when the scheduler is killed; whether its client has it, only that knows."""
        sql = "SELECT range AS x, md5(range::VARCHAR) AS m FROM range({}) ORDER BY x"
        with tempfile.TemporaryDirectory() as folder:
            args = ["--config-backend", "sqlite", "--state-dir", f"{folder}/state", "--heartbeat-interval", "200ms"]
            with Cluster(executors=1, scheduler_args=[*args, "--result-reread-timeout", "3s"]) as cluster:
                client = Client([cluster.uri])
                for rows in (10, 100_000):  # with the task's status, and from the executor
                    ticket = client.submit(sql.format(rows))
                    expected = client.read(ticket)
                    self.assertEqual(expected.num_rows, rows)
                    cluster.wait_for(lambda: cluster.status(cluster.scheduler)["read"] == 1, 10, "all to be sent")
                    restart(cluster)
                    self.assertTrue(client.read(ticket, 30).equals(expected))
                    # Not for ever, though.
                    cluster.time_until_clean()
                    with self.assertRaisesRegex(Exception, "there is no job"):
                        client.read(ticket, 5)

    def test_catalog_and_settings_with_memory_end(self):
        with tempfile.TemporaryDirectory() as folder:
            self.check_catalog(folder, ["--config-backend", "memory"], kept=False)

    def test_catalog_and_settings_survive_with_sqlite(self):
        with tempfile.TemporaryDirectory() as folder:
            self.check_catalog(folder, ["--config-backend", "sqlite", "--state-dir", f"{folder}/state"])

    def test_catalog_and_settings_survive_with_etcd(self):
        with tempfile.TemporaryDirectory() as folder, Etcd(folder) as etcd:
            self.check_catalog(folder, ["--config-backend", "etcd", "--etcd-urls", etcd.urls])

    def test_recovers_with_sqlite(self):
        with tempfile.TemporaryDirectory() as folder:
            write_tables(folder)
            self.check_recovery(folder, ["--config-backend", "sqlite", "--state-dir", f"{folder}/state"])

    def test_recovers_with_etcd(self):
        with tempfile.TemporaryDirectory() as folder, Etcd(folder) as etcd:
            write_tables(folder)
            self.check_recovery(folder, ["--config-backend", "etcd", "--etcd-urls", etcd.urls])

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

    def test_state_of_another_format_is_left_alone(self):
        """One version's scheduler does not begin on what another one has written in a form that it does not know."""
        with tempfile.TemporaryDirectory() as folder, Etcd(folder) as etcd:
            sqlite_args = ["--config-backend=sqlite", f"--state-dir={folder}/state"]
            etcd_args = ["--config-backend=etcd", f"--etcd-urls={etcd.urls}"]
            with Cluster(executors=0, scheduler_args=sqlite_args), Cluster(executors=0, scheduler_args=etcd_args):
                pass
            self.assertEqual(etcd.get("ballista/format"), {"ballista/format": b"1"})
            etcd.put("ballista/format", b"2")
            with contextlib.closing(sqlite3.connect(f"{folder}/state/state.sqlite")) as database:
                [(changed,)] = database.execute("UPDATE entries SET value = '2' WHERE key = CAST('format' AS BLOB) RETURNING 1")
                self.assertEqual(changed, 1)
                database.commit()
            for args in (sqlite_args, etcd_args):
                ended = self.run_scheduler(args)
                self.assertEqual(ended.returncode, 1, ended.stderr)
                self.assertIn("has the format 2, this scheduler (version", ended.stderr)

    @staticmethod
    def run_scheduler(args):
        command = [str(Cluster.binary("scheduler")), "--bind-host=127.0.0.1", f"--port={free_ports(1)[0]}", *args]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)


if __name__ == "__main__":
    main()
