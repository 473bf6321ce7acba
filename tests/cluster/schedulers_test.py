"""Two schedulers that share an etcd, and two executors: each scheduler has the whole catalog, answers for every query
and takes over from the other one when that is killed or stopped. One that was stopped and wakes up late does no
harm, and serves on."""

import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import pyarrow as pa
import pyarrow.flight as fl
import pyarrow.parquet as pq

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cluster import LISTENING, Cluster, binaries_folder  # noqa: E402
from etcd import Etcd  # noqa: E402
from flight_client import COMMAND, Client, CookieJar, TicketLoop, field  # noqa: E402
from failure_test import QUERY, write_tables  # noqa: E402
from raw_client import job_state  # noqa: E402
from summary import main  # noqa: E402

TAKEOVER = 10  # seconds, from the owner's end to the next one's beginning
LOST = "has lost its lease"


class Schedulers(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.etcd = self.enterContext(Etcd(self.folder))

    def start(self, executors=2, options=(), **more):
        args = ["--config-backend", "etcd", "--etcd-urls", self.etcd.urls, "--heartbeat-interval", "200ms", *options]
        return Cluster(executors=executors, schedulers=2, scheduler_args=args, **more)

    def find(self, cluster):
        self.uris = [f"grpc://127.0.0.1:{each.port}" for each in cluster.schedulers()]

    def sql_at(self, scheduler, text):
        """One statement in a session of its own at one of the schedulers."""
        client = Client([self.uris[scheduler]])
        return client.read_at(self.uris[scheduler], client.submit(text))

    def state(self, scheduler, ticket):
        body = field(1, self.job_of(ticket))
        with fl.connect(self.uris[scheduler].replace("grpc://", "grpc+tcp://")) as client:
            [result] = client.do_action(("job_profile", body), fl.FlightCallOptions(timeout=5))
            return job_state(result.body.to_pybytes())

    @staticmethod
    def job_of(ticket):
        return re.search(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", ticket.ticket)[0].decode()

    def tables(self):
        write_tables(self.folder)
        for name in ("facts", "dims"):
            self.sql_at(0, f"CREATE EXTERNAL TABLE {name} STORED AS PARQUET LOCATION '{self.folder}/{name}'")

    def wait_until(self, ready, timeout, what):
        deadline = time.monotonic() + timeout
        while not ready():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.02)

    def slow_query(self, seconds_of_sleep=4):
        """Its first stage is quick, its second one takes some seconds."""
        return f"""SELECT count(*) AS n, sum(s) AS s FROM (
            SELECT f.k % 7 AS g, sum(hash(f.v * r.range) % 3) AS s
            FROM facts f, range({seconds_of_sleep * 12}) r GROUP BY f.k % 7, f.v)"""

    def test_each_has_the_catalog_and_answers_for_every_query(self):
        with self.start(executors=1) as cluster:
            self.find(cluster)
            pq.write_table(pa.table({"k": [1, 2, 3]}), f"{self.folder}/t.parquet")
            self.sql_at(0, f"CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{self.folder}/t.parquet'")
            # Read at once, whatever has reached the other one by then.
            self.assertEqual(self.sql_at(1, "SELECT sum(k) AS s FROM t").to_pydict(), {"s": [6]})
            self.sql_at(1, "CREATE OR REPLACE VIEW v AS SELECT sum(k) AS s FROM t")
            self.assertEqual(self.sql_at(0, "SELECT s FROM v").to_pydict(), {"s": [6]})
            with self.assertRaisesRegex(Exception, "already exists"):
                self.sql_at(0, "CREATE VIEW v AS SELECT 1 AS one")
            self.sql_at(1, "DROP VIEW v")

            def gone():
                with self.assertRaises(Exception):
                    self.sql_at(0, "SELECT s FROM v")
                return True

            self.wait_until(gone, 2, "the view to go")
            # Both at once: what they end with is the same for both.
            refused = []

            def replace(at):
                try:
                    self.sql_at(at % 2, f"CREATE OR REPLACE VIEW w{at % 5} AS SELECT {at} AS x")
                except Exception as error:  # reported by the test
                    refused.append(error)

            threads = [threading.Thread(target=replace, args=(at,)) for at in range(20)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
            self.assertEqual(refused, [])
            time.sleep(0.3)
            for view in range(5):
                self.assertEqual(self.sql_at(0, f"FROM w{view}"), self.sql_at(1, f"FROM w{view}"))
            # A ticket is good at either; so are progress and cancelling.
            client = Client(self.uris)
            ticket = client.submit("SELECT k FROM t ORDER BY k", self.uris[0])
            self.assertEqual(client.read_at(self.uris[1], ticket).to_pydict(), {"k": [1, 2, 3]})
            with self.assertRaisesRegex(Exception, "there is no job"):
                client.read_at(self.uris[1], ticket)
            with self.assertRaisesRegex(Exception, "Could not convert"):
                bad = client.submit("SELECT CAST(k || 'x' AS INTEGER) AS i FROM t", self.uris[0])
                client.read_at(self.uris[1], bad)
            endless = client.submit("SELECT sum(a.range * b.range) FROM range(10000000) a, range(1000000) b", self.uris[0])
            self.wait_until(lambda: self.state(1, endless) == "running", 10, "the query to run")
            with fl.connect(self.uris[1].replace("grpc://", "grpc+tcp://")) as other:
                [_] = other.do_action(("cancel_job", field(1, self.job_of(endless))))
            with self.assertRaisesRegex(Exception, "cancelled"):
                client.read_at(self.uris[1], endless, 10)
            # Nothing of the jobs is left in etcd either.
            cluster.time_until_clean()
            self.wait_until(lambda: not self.etcd.get("ballista/jobs/"), 5, "the jobs to go")

    def test_they_show_each_other_the_cluster_token(self):
        """What one has another one gives out, also where strangers are turned away."""
        token = pathlib.Path(self.folder, "token")
        token.write_text("0123456789abcdef0123456789abcdef\n")
        shown = ["--cluster-token-file", str(token)]
        with self.start(executors=1, options=shown, executor_args=shown) as cluster:
            self.find(cluster)
            client = Client(self.uris)
            pq.write_table(pa.table({"k": [1, 2, 3]}), f"{self.folder}/t.parquet")
            for sql in ("SELECT sum(k) AS s FROM '{}/t.parquet'", "SELECT k AS s FROM '{}/t.parquet' ORDER BY k LIMIT 1"):
                ticket = client.submit(sql.format(self.folder), self.uris[0])
                rows = client.read_at(self.uris[1], ticket).column("s").to_pylist()
                self.assertEqual(rows, [6] if "sum" in sql else [1])

    def test_says_where_others_find_it(self):
        args = ["--config-backend", "etcd", "--etcd-urls", self.etcd.urls, "--external-host", "s1.example"]
        with Cluster(executors=0, scheduler_args=args) as cluster:
            [(_, entry)] = self.etcd.get("ballista/schedulers/").items()
            self.assertIn(b"s1.example", entry)
            cluster.scheduler.stop()
            self.assertEqual(self.etcd.get("ballista/schedulers/"), {}, "one that stops in order leaves at once")

    def test_an_executor_says_what_is_wrong_with_its_list(self):
        command = [str(binaries_folder() / "executor"), "--port=1", "--scheduler-host=a:1,b:nonsense"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
        self.assertEqual(ended.returncode, 1)
        self.assertIn("--scheduler-host: 'b:nonsense' is no host or host:port", ended.stderr)

    def test_a_killed_owner_costs_no_query(self):
        with self.start(env={"BALLISTA_LOG": "debug"}) as cluster:
            self.find(cluster)
            self.tables()
            sqls = {"join": QUERY, "scan": "SELECT k, v FROM facts ORDER BY v", "slow": self.slow_query(1)}
            expected = {name: self.sql_at(1, sql) for name, sql in sqls.items()}
            client = Client(self.uris)
            finished = client.submit(sqls["scan"], self.uris[0])
            self.wait_until(lambda: self.state(0, finished) == "finished", 20, "the query to finish")
            with TicketLoop(client, [(sqls[name], expected[name]) for name in ["join", "scan"] * 2]) as load:
                time.sleep(2)
                cluster.scheduler.kill()
                killed = time.monotonic()
                survivor = cluster.other_schedulers[0]
                self.wait_until(lambda: "Taking over from" in survivor.text(), TAKEOVER, "the takeover")
                print(f"taken over {time.monotonic() - killed:.1f} s after SIGKILL", file=sys.stderr)
                # What had finished is there, and was not computed again.
                self.assertTrue(client.read(finished, 20).equals(expected["scan"]))
                print(f"its result read {time.monotonic() - killed:.1f} s after SIGKILL", file=sys.stderr)
                tasks = [re.findall(rf"task {self.job_of(finished)}/\S+ attempt \d+ starts", each.text()) for each in cluster.executors]
                names = [name for of_one in tasks for name in of_one]
                self.assertGreater(len(names), 0)
                self.assertEqual(len(names), len(set(name.split(" attempt ")[0] for name in names)), names)
                time.sleep(2)
                load.wait_for_answers(9)
            self.assertEqual(load.errors, [])
            self.assertGreater(load.answers, 8)
            # What stays until its time is up: jobs of clients that were cut off before they had their ticket, or whose
            # answer had just gone through the scheduler that was killed. At most one for each client.
            time.sleep(0.5)
            left = {key.split("/")[2] for key in self.etcd.get("ballista/jobs/")}
            self.assertLessEqual(len(left), 4)
            cluster.leak_check = not left
            cluster.other_schedulers, cluster.scheduler = [], survivor

    def test_rows_that_died_with_their_scheduler_are_there_again(self):
        """The owner has sent all of a result, and the client has none of it yet when the owner is killed."""
        with self.start(options=["--result-reread-timeout", "3s"]) as cluster:
            self.find(cluster)
            self.tables()
            owner, other = cluster.scheduler, cluster.other_schedulers[0]
            client = Client(self.uris)
            # As one small part, and as parts that stay with the executors.
            for number, sql in enumerate(["SELECT k FROM dims ORDER BY k LIMIT 100", "SELECT k, v FROM facts ORDER BY v, k"]):
                expected = self.sql_at(1, sql)
                again = client.submit(sql, self.uris[0])
                # While it lives it gives them once more, too, and then no more.
                for uri in (*self.uris, self.uris[0]):
                    self.assertTrue(client.read_at(uri, again).equals(expected))
                self.wait_until(lambda: Cluster.status(owner)["read"] == 0, 10, "the result to go")
                with self.assertRaisesRegex(Exception, "there is no job"):
                    client.read_at(self.uris[0], again)
                if number == 0:
                    unread = client.submit(sql, self.uris[0])
                    connection = fl.connect(self.uris[0].replace("grpc://", "grpc+tcp://"))
                    stream = connection.do_get(unread, fl.FlightCallOptions(timeout=60))
                    self.wait_until(lambda: Cluster.status(owner)["read"] == 1, 20, "all of it to be sent")
                else:
                    unread = client.submit(sql, self.uris[0])
                    self.assertTrue(client.read_at(self.uris[0], unread).equals(expected))
                    self.wait_until(lambda: Cluster.status(owner)["read"] == 1, 20, "all of it to be sent")
                owner.kill()
                self.assertTrue(client.read(unread, 30).equals(expected))
                if number == 0:
                    stream.cancel()
                    connection.close()
                    self.wait_until(lambda: "Taking over from" in other.text(), TAKEOVER, "the takeover")
                    cluster.restart(owner)
                    owner = cluster.scheduler = cluster.schedulers()[0]
                    cluster.wait_for(lambda: LISTENING in owner.text(), 20, "it to listen again")
                    cluster.wait_for(lambda: Cluster.status(owner)["executors"] == 2, 20, "the executors")
            cluster.other_schedulers, cluster.scheduler = [], other

    def test_a_query_of_many_tasks_at_one_holds_up_nobody_at_the_other(self):
        """Each launches tasks by its own count of slots, on the one slot of each executor."""
        with self.start(executor_args=["--concurrent-tasks", "1"]) as cluster:
            self.find(cluster)
            self.tables()
            many = "SELECT sum(hash(f.v * r.range) % 3) AS s FROM facts f, range(300) r"
            connection = cluster.connect()
            with connection, connection.cursor() as cursor:
                for option in ("tasks_per_stage = 6", "single_task_threshold = 0"):
                    cursor.execute(f"SET ballista.{option}")
                    cursor.fetch_arrow_table()
                ended = []

                def run():
                    cursor.execute(many)
                    cursor.fetch_arrow_table()
                    ended.append(time.monotonic())

                thread = threading.Thread(target=run)
                thread.start()
                self.wait_until(lambda: Cluster.status(cluster.scheduler)["jobs"], 10, "the query to run")
                for _ in range(3):
                    answer = self.sql_at(1, "SELECT count(*) AS n FROM facts WHERE k = 1")
                    self.assertEqual(answer.to_pydict(), {"n": [20]})
                between = list(ended)
                thread.join(120)
            self.assertEqual(len(ended), 1, "it came to its end")
            self.assertEqual(between, [], "the other scheduler's queries went between its tasks")

    def test_settings_follow_their_session(self):
        """What is set at one scheduler holds at the other one, also where that has the session already."""
        with self.start(executors=1) as cluster:
            self.find(cluster)
            jar = CookieJar()
            clients = [fl.connect(uri.replace("grpc://", "grpc+tcp://"), middleware=[jar]) for uri in self.uris]

            def sql(at, text):
                command = field(1, COMMAND.encode()) + field(2, field(1, text.encode()))
                options = fl.FlightCallOptions(timeout=30)
                info = clients[at].get_flight_info(fl.FlightDescriptor.for_command(command), options)
                return clients[at].do_get(info.endpoints[0].ticket, options).read_all()

            def value(at, text):
                return sql(at, text).column("value")[0].as_py()

            sql(0, "SET ballista.tasks_per_stage = 7")
            for at in (1, 0, 1):
                self.assertEqual(value(at, "SHOW ballista.tasks_per_stage"), "7")
            for turn in range(8):
                sql(turn % 2, f"SET ballista.tasks_per_stage = {turn + 10}")
                sql(turn % 2, f"SET VARIABLE x = {turn}")
                other = 1 - turn % 2
                self.assertEqual(value(other, "SHOW ballista.tasks_per_stage"), str(turn + 10))
                self.assertEqual(sql(other, "SELECT getvariable('x') AS value").to_pydict(), {"value": [turn]})
            sql(1, "RESET ballista.tasks_per_stage")
            self.assertEqual(value(0, "SHOW ballista.tasks_per_stage"), "0")
            self.assertEqual(sql(0, "SELECT getvariable('x') AS value").to_pydict(), {"value": [7]})
            self.assertEqual(len(jar.sessions), 1, "it is one session")
            for client in clients:
                client.close()

    def test_a_stopped_owner_that_wakes_up_does_no_harm(self):
        with self.start() as cluster:
            self.find(cluster)
            self.tables()
            slow = self.slow_query()
            expected = self.sql_at(1, slow)
            client = Client(self.uris)
            tickets = [client.submit(slow, self.uris[0]) for _ in range(2)]
            # One client has its call at the owner while that is stopped, and just waits.
            patient = []
            waiter = threading.Thread(target=lambda: patient.append(client.read_at(self.uris[0], tickets[1], 90)))
            waiter.start()
            time.sleep(1)
            owner, other = cluster.scheduler, cluster.other_schedulers[0]
            owner.child.send_signal(signal.SIGSTOP)
            stopped = time.monotonic()
            try:
                self.wait_until(lambda: other.text().count("Going on with job") == 2, TAKEOVER, "the takeover")
                print(f"taken over {time.monotonic() - stopped:.1f} s after SIGSTOP", file=sys.stderr)
                # The command line has a list, and leaves a scheduler that does not answer.
                hosts = ",".join(uri.removeprefix("grpc://") for uri in self.uris)
                shown = subprocess.run(
                    [str(binaries_folder() / "ballista"), "--host", hosts, "--format", "csv", "-c", "SELECT count(*) FROM dims"],
                    capture_output=True, text=True, timeout=60,
                )
                self.assertEqual(shown.stdout.split()[-1:], ["1000000"], shown.stderr)
                self.assertTrue(client.read(tickets[0], 60, patience=3).equals(expected))
            finally:
                owner.child.send_signal(signal.SIGCONT)
            self.wait_until(lambda: LOST in owner.text(), 10, "the stopped one to notice")
            # Its own client gets the answer through it all the same, once.
            waiter.join(60)
            self.assertEqual(len(patient), 1)
            self.assertTrue(patient[0].equals(expected))
            for ticket in tickets:
                for uri in self.uris:
                    with self.assertRaisesRegex(Exception, "there is no job"):
                        client.read_at(uri, ticket, 20)
            # It serves on: with its executors, the catalog and queries of its own.
            self.wait_until(
                lambda: Cluster.status(owner)["executors"] == 2, 10, "the executors to come back to the one that woke up"
            )
            self.sql_at(0, "CREATE VIEW after_all AS SELECT count(*) AS n FROM dims")
            self.assertEqual(self.sql_at(1, "SELECT n FROM after_all").to_pydict(), {"n": [1_000_000]})
            self.assertTrue(self.sql_at(0, slow).equals(expected))

    def test_the_command_line_goes_on_at_another_scheduler(self):
        with self.start() as cluster:
            self.find(cluster)
            self.tables()
            hosts = ",".join(uri.removeprefix("grpc://") for uri in self.uris)
            command = [str(binaries_folder() / "ballista"), "--host", hosts, "--format", "json", "-c", self.slow_query()]
            expected = [{name: int(value) for name, value in self.sql_at(1, self.slow_query()).to_pylist()[0].items()}]
            shell = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            time.sleep(1.5)
            cluster.scheduler.kill()
            output, errors = shell.communicate(timeout=60)
            rows = json.loads(output)
            rows = rows if isinstance(rows, list) else [rows]
            self.assertEqual(rows, expected, errors)
            cluster.other_schedulers, cluster.scheduler = [], cluster.other_schedulers[0]


if __name__ == "__main__":
    main()
