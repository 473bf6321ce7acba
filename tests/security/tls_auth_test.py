"""TLS, mutual TLS and authentication on real clusters: what is let in, what is not, what is said about it, and that
no secret shows up in anything that is printed."""

import base64
import contextlib
import http.client
import pathlib
import re
import secrets
import ssl
import subprocess
import sys
import tempfile
import unittest

import adbc_driver_flightsql
import adbc_driver_flightsql.dbapi
import adbc_driver_manager
import pyarrow as pa
import pyarrow.flight as flight
import pyarrow.parquet as pq

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "cluster"))
from certificates import Authority, openssl  # noqa: E402
from cluster import Cluster, free_ports  # noqa: E402
from raw_client import RawClient, job_state, length_delimited  # noqa: E402

OPTIONS = adbc_driver_flightsql.DatabaseOptions
DISTRIBUTED = "SELECT k % 7 AS g, count(*) AS n, sum(v) AS s FROM '{}/t/*.parquet' GROUP BY 1 ORDER BY 1"
PASSWORD = "Pass-word-of-alice-1"


def write_table(folder):
    (folder / "t").mkdir()
    for part in range(4):
        rows = [part * 1000 + i for i in range(1000)]
        pq.write_table(pa.table({"k": rows, "v": rows}), folder / "t" / f"{part}.parquet")


def run(program, *arguments, environment=None, text=None):
    return subprocess.run(
        [str(Cluster.binary(program)), *map(str, arguments)], capture_output=True, text=True, timeout=60, input=text,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **(environment or {})},
    )  # fmt: skip


class CookieCatcher(flight.ClientMiddlewareFactory):
    """Keeps the cookies that the server sets."""

    def __init__(self):
        self.seen = []

    def start_call(self, info):
        seen = self.seen

        class Middleware(flight.ClientMiddleware):
            def received_headers(self, headers):
                seen.extend(headers.get("set-cookie", []))

        return Middleware()


class Base(unittest.TestCase):
    def setUp(self):
        self.own = tempfile.TemporaryDirectory()
        self.addCleanup(self.own.cleanup)
        self.folder = pathlib.Path(self.own.name)
        write_table(self.folder)
        self.query = DISTRIBUTED.format(self.folder)
        self.rows = [{"g": g, "n": len(range(g, 4000, 7)), "s": sum(range(g, 4000, 7))} for g in range(7)]

    def ballista(self, port, *arguments, statements=None, **more):
        statements = statements or ["SET ballista.single_task_threshold = 0", self.query]
        commands = [word for one in statements for word in ("-c", one)]
        return run("ballista", "--format", "csv", "--host", "localhost", "--port", port, *arguments, *commands, **more)

    def check_answer(self, done):
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = "".join(f"{row['g']},{row['n']},{row['s']}\n" for row in self.rows)
        self.assertTrue(done.stdout.endswith("g,n,s\n" + lines), done.stdout)

    def check_error(self, done, *parts):
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)


class Tls(Base):
    def setUp(self):
        super().setUp()
        self.ca = Authority(self.folder)
        self.cert, self.key = self.ca.issue("node")
        self.http = free_ports(1)[0]

    def options(self, **changed):
        given = {"tls-cert": self.cert, "tls-key": self.key, "tls-ca": self.ca.cert, **changed}
        return [str(word) for name, value in given.items() if value for word in (f"--{name}", value)]

    def cluster(self, **changed):
        options = self.options(**changed)
        return Cluster(
            executors=2, scheduler_args=[*options, "--http-port", str(self.http)], executor_args=options
        )

    def get(self, path, context):
        connection = http.client.HTTPSConnection("localhost", self.http, timeout=10, context=context)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def test_tls(self):
        with self.cluster() as cluster:
            self.check_answer(self.ballista(cluster.port, "--tls-ca", self.ca.cert))
            url = f"grpc+tls://localhost:{cluster.port}"
            done = run("ballista", "--host", url, "--tls-ca", self.ca.cert, "--format", "csv", "-c", "SELECT 42 AS a")
            self.assertEqual((done.returncode, done.stdout), (0, "a\n42\n"), done.stderr)
            roots = self.ca.cert.read_text()
            with adbc_driver_flightsql.dbapi.connect(url, db_kwargs={OPTIONS.TLS_ROOT_CERTS.value: roots}) as one:
                with one.cursor() as cursor:
                    cursor.execute(self.query)
                    self.assertEqual(cursor.fetch_arrow_table().to_pylist(), self.rows)

            context = ssl.create_default_context(cafile=str(self.ca.cert))
            self.assertEqual(self.get("/health", context), (200, "ok\n"))
            self.assertIn('"port"', self.get("/api/executors", context)[1])
            plain = http.client.HTTPConnection("localhost", self.http, timeout=10)
            plain.request("GET", "/health")
            with self.assertRaises((http.client.HTTPException, OSError)):
                plain.getresponse()

            stranger = Authority(self.folder, "stranger")
            self.check_error(
                self.ballista(cluster.port, "--tls-ca", stranger.cert), "certificate is not accepted", "issuer"
            )
            self.check_error(self.ballista(cluster.port, "--tls"), "certificate is not accepted")
            self.check_error(self.ballista(cluster.port), "may want TLS")
            self.check_error(
                run("ballista", "--host", "127.0.0.2", "--port", cluster.port, "--tls-ca", self.ca.cert, "-c", "SELECT 1"),
                "127.0.0.2",
            )
            tpch = run("tpch", "benchmark", "--host", url, "--tls-ca", stranger.cert, "--path", "/nowhere")
            self.check_error(tpch, "certificate is not accepted")
            self.check_error(run("tpch", "benchmark", "--host", url, "--tls-ca", self.ca.cert, "--path", "/nowhere"), "nowhere")

    def test_mutual_tls(self):
        client_cert, client_key = self.ca.issue("client", "DNS:client")
        other = Authority(self.folder, "other")
        wrong_cert, wrong_key = other.issue("wrong")
        with self.cluster(**{"tls-client-ca": self.ca.cert}) as cluster:
            ca = ("--tls-ca", self.ca.cert)
            self.check_answer(self.ballista(cluster.port, *ca, "--tls-cert", client_cert, "--tls-key", client_key))
            self.check_error(self.ballista(cluster.port, *ca), "client certificate")
            self.check_error(
                self.ballista(cluster.port, *ca, "--tls-cert", wrong_cert, "--tls-key", wrong_key), "client certificate"
            )
            for port in (cluster.port, *self.executor_ports(cluster)):
                with self.assertRaises((flight.FlightUnavailableError, flight.FlightInternalError)):
                    client = flight.connect(f"grpc+tls://localhost:{port}", tls_root_certs=self.ca.cert.read_bytes())
                    list(client.list_actions(flight.FlightCallOptions(timeout=10)))
            with self.assertRaises((ssl.SSLError, http.client.HTTPException, OSError)):
                self.get("/health", ssl.create_default_context(cafile=str(self.ca.cert)))
            context = ssl.create_default_context(cafile=str(self.ca.cert))
            context.load_cert_chain(client_cert, client_key)
            self.assertEqual(self.get("/health", context)[0], 200)

    @staticmethod
    def executor_ports(cluster):
        return [one.command[one.command.index("--port") + 1] for one in cluster.executors]

    def test_files_that_are_not_right_are_one_sentence(self):
        old_cert, old_key = self.ca.issue("old", days=-1)
        other_cert, other_key = self.ca.issue("elsewhere", "DNS:elsewhere.example")
        locked = self.folder / "locked.key"
        openssl("pkey", "-in", self.key, "-aes256", "-passout", "pass:secret-phrase", "-out", locked)
        text = self.folder / "text"
        text.write_text("no certificate\n")
        cases = [
            ({"tls-cert": old_cert, "tls-key": old_key}, ("--tls-cert", "expired at")),
            ({"tls-cert": self.folder / "none"}, ("--tls-cert", "No such file")),
            ({"tls-cert": self.folder}, ("--tls-cert", "cannot be read")),
            ({"tls-cert": text}, ("--tls-cert", "no certificate in PEM form")),
            ({"tls-key": text}, ("--tls-key", "no private key in PEM form")),
            ({"tls-key": other_key}, ("--tls-key", "not the key of the certificate")),
            ({"tls-key": locked}, ("--tls-key", "is encrypted")),
            ({"tls-key": None}, ("tls-key", "together")),
            ({"tls-ca": None}, ("tls-ca", "together")),
            ({"tls-ca": text}, ("--tls-ca", "no certificate in PEM form")),
            ({"tls-client-ca": self.folder / "none"}, ("--tls-client-ca", "No such file")),
        ]
        for changed, parts in cases:
            for program in ("scheduler", "executor"):
                with self.subTest(program=program, changed=changed):
                    port = free_ports(1)[0]
                    done = run(program, "--bind-host", "127.0.0.1", "--port", port, *self.options(**changed))
                    self.assertEqual(done.returncode, 1, done.stderr)
                    for part in parts:
                        self.assertIn(part, done.stderr.splitlines()[-1])
                    self.assertNotIn("PRIVATE", done.stderr)
        done = run("executor", *self.options(**{"tls-cert": other_cert, "tls-key": other_key}))
        self.assertIn("the certificate is not for localhost", done.stderr.splitlines()[-1])
        done = run("ballista", "--tls-cert", self.cert, "-c", "SELECT 1")
        self.check_error(done, "--tls-ca" if "certificates.crt" in done.stderr else "--tls-key")


class Auth(Base):
    def setUp(self):
        super().setUp()
        self.users = self.folder / "users"
        self.token_file = self.folder / "cluster-token"
        self.cluster_token = secrets.token_hex(32)
        self.token_file.write_text(self.cluster_token + "\n")
        done = run("ballista", "--add-user", "alice", "--auth-file", self.users, text=PASSWORD + "\n")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        done = run("ballista", "--add-token", "loader", "--auth-file", self.users)
        self.user_token = done.stdout.strip()
        self.assertRegex(self.user_token, "^[0-9a-f]{64}$")
        self.http = free_ports(1)[0]
        self.secrets = [PASSWORD, self.user_token, self.cluster_token]
        self.secrets.append(base64.b64encode(f"alice:{PASSWORD}".encode()).decode())

    def cluster(self):
        token = ["--cluster-token-file", str(self.token_file)]
        return Cluster(
            executors=2,
            scheduler_args=[*token, "--auth-file", str(self.users), "--http-port", str(self.http)],
            executor_args=token,
            env={"BALLISTA_LOG": "trace"},
        )

    def adbc(self, cluster, **database):
        return adbc_driver_flightsql.dbapi.connect(
            cluster.uri, db_kwargs={OPTIONS.WITH_COOKIE_MIDDLEWARE.value: "true", **database}, autocommit=True
        )

    def check_adbc(self, cluster, **database):
        with self.adbc(cluster, **database) as one, one.cursor() as cursor:
            for statement in ("SET ballista.single_task_threshold = 0", self.query):
                cursor.execute(statement)
                table = cursor.fetch_arrow_table()
            self.assertEqual(table.to_pylist(), self.rows)

    def get(self, path, authorization=None):
        connection = http.client.HTTPConnection("localhost", self.http, timeout=10)
        connection.request("GET", path, headers={"Authorization": authorization} if authorization else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def test_clients(self):
        with self.cluster() as cluster:
            port = cluster.port
            outputs = []

            def ballista(*arguments, **more):
                outputs.append(self.ballista(port, *arguments, **more))
                return outputs[-1]

            password_file = self.folder / "password"
            password_file.write_text(PASSWORD + "\n")
            self.check_answer(ballista("--user", "alice", environment={"BALLISTA_PASSWORD": PASSWORD}))
            self.check_answer(ballista("--user", "alice", "--password-file", password_file))
            self.check_answer(ballista(environment={"BALLISTA_TOKEN": self.user_token}))
            self.check_error(ballista(), "does not let this client in", "credentials are needed")
            wrong = "Wrong-password-9"
            self.secrets.append(wrong)
            self.check_error(
                ballista("--user", "alice", environment={"BALLISTA_PASSWORD": wrong}), "wrong user or password"
            )
            self.check_error(
                ballista("--user", "mallory", environment={"BALLISTA_PASSWORD": wrong}), "wrong user or password"
            )
            self.check_error(ballista(environment={"BALLISTA_TOKEN": wrong}), "token is not valid")
            self.check_error(ballista("--user", "alice"), "password is missing")
            self.check_error(ballista(environment={"BALLISTA_TOKEN": self.cluster_token}), "runs no queries")

            user, password, header = (
                OPTIONS.AUTHORIZATION_HEADER.value, "password", OPTIONS.AUTHORIZATION_HEADER.value
            )  # fmt: skip
            self.check_adbc(cluster, username="alice", password=PASSWORD)
            self.check_adbc(cluster, **{header: "Bearer " + self.user_token})
            self.check_adbc(cluster, **{header: "Basic " + self.secrets[3]})
            for wrong_options in (
                {},
                {"username": "alice", "password": wrong},
                {header: "Bearer " + wrong},
                {header: "Bearer " + self.cluster_token},
            ):
                with self.assertRaises(adbc_driver_manager.Error) as error:
                    self.check_adbc(cluster, **wrong_options)
                self.assertRegex(str(error.exception), "(?i)unauth")
                for secret in self.secrets:
                    self.assertNotIn(secret, str(error.exception))

            self.check_http()
            self.check_nothing_is_printed(cluster, outputs)

    def check_http(self):
        self.assertEqual(self.get("/health"), (200, "ok\n"))
        for path in ("/version", "/api/executors", "/api/jobs", "/nothing", "/health/", "/", "/health/../api/jobs"):
            for authorization in (None, "Basic YTpi", "Bearer x", "x" * 5000):
                status, body = self.get(path, authorization)
                self.assertEqual(status, 401, (path, body))
                self.assertNotIn("job_id", body)
        self.assertEqual(self.get("/api/jobs", "Basic " + self.secrets[3])[0], 200)
        self.assertEqual(self.get("/version", "Bearer " + self.user_token)[0], 200)

    def check_nothing_is_printed(self, cluster, outputs):
        texts = [process.text() for process in cluster.processes()]
        texts += [done.stdout + done.stderr for done in outputs]
        for program in ("scheduler", "executor", "ballista", "tpch"):
            done = run(
                program, *(["benchmark"] if program == "tpch" else []), "--help",
                environment={"BALLISTA_PASSWORD": PASSWORD, "BALLISTA_TOKEN": self.user_token},
            )  # fmt: skip
            self.assertEqual(done.returncode, 0)
            texts.append(done.stdout)
        for wrong_option in (f"--cluster-token={self.cluster_token}", f"--password={PASSWORD}"):
            for program in ("scheduler", "executor", "ballista"):
                texts.append(run(program, wrong_option).stderr)
        for broken in (self.cluster_token + " " + self.cluster_token, "alice password " + PASSWORD):
            (self.folder / "broken").write_text(broken)
            for option in ("--cluster-token-file", "--auth-file"):
                done = run("scheduler", option, self.folder / "broken", "--bind-host", "127.0.0.1")
                self.assertEqual(done.returncode, 1, done.stderr)
                texts.append(done.stderr)
        self.assertIn("cluster_token_file", "".join(texts))  # what is looked through has the options
        for text in texts:
            for secret in self.secrets:
                self.assertNotIn(secret, text)
            self.assertNotIn("$y$", text)

    def refused(self, call):
        with self.assertRaises((pa.ArrowException, OSError)) as error:
            call()
        self.assertRegex(str(error.exception), "Detail: (Unauthenticated|Unauthorized)")

    def every_call(self, port, authorization):
        """One call of each kind, as thunks."""
        client = flight.connect(f"grpc://localhost:{port}")
        headers = [(b"authorization", authorization.encode())] if authorization else []
        options = flight.FlightCallOptions(timeout=10, headers=headers)
        command = flight.FlightDescriptor.for_command(b"x")
        yield lambda: list(client.list_actions(options))
        yield lambda: list(client.list_flights(options=options))
        yield lambda: client.get_flight_info(command, options)
        yield lambda: client.get_schema(command, options)
        yield lambda: client.do_get(flight.Ticket(b"x"), options).read_all()
        yield lambda: self.put(client, command, options)
        yield lambda: client.do_exchange(command, options)[1].read_chunk()
        for action in (
            "register_executor", "heartbeat", "stop_executor", "task_status", "job_profile", "cancel_job",
            "list_executors", "launch_tasks", "cancel_tasks", "remove_jobs", "CreatePreparedStatement",
            "ClosePreparedStatement", "CancelFlightInfo", "SetSessionOptions", "GetSessionOptions", "CloseSession",
            "nothing",
        ):  # fmt: skip
            yield lambda action=action: list(client.do_action((action, b""), options))

    @staticmethod
    def put(client, command, options):
        writer, reader = client.do_put(command, pa.schema([]), options)
        with writer:
            writer.done_writing()
            reader.read()

    def test_nothing_answers_without_credentials(self):
        with self.cluster() as cluster:
            user = "Bearer " + self.user_token
            ours = "Bearer " + self.cluster_token
            ports = [one.command[one.command.index("--port") + 1] for one in cluster.executors]
            for authorization in (None, "Bearer x", "Basic YTpi", "x"):
                for call in self.every_call(cluster.port, authorization):
                    self.refused(call)
            for port in ports:
                for authorization in (None, "Bearer x", user, "Basic " + self.secrets[3]):
                    for call in self.every_call(port, authorization):
                        self.refused(call)
            client = flight.connect(f"grpc://localhost:{cluster.port}")
            as_user = flight.FlightCallOptions(timeout=10, headers=[(b"authorization", user.encode())])
            as_cluster = flight.FlightCallOptions(timeout=10, headers=[(b"authorization", ours.encode())])
            for action in ("register_executor", "heartbeat", "stop_executor", "task_status"):
                self.refused(lambda: list(client.do_action((action, b""), as_user)))
            for action in ("list_executors", "cancel_job", "CloseSession"):
                self.refused(lambda: list(client.do_action((action, b""), as_cluster)))
            self.assertEqual(len(list(client.do_action(("list_executors", b""), as_user))), 1)

            # An executor without the token does not get in, and says why.
            stranger = Cluster.start_executor
            cluster.executor_args = []
            stranger(cluster)
            cluster.wait_for(
                lambda: "cluster-token-file" in cluster.executors[-1].text(), 20, "the refusal of the third executor"
            )
            self.assertEqual(cluster.scheduler.text().count("Received register_executor request"), 2)

    def test_sessions_belong_to_their_user(self):
        """A cookie that another user sends does not open the session."""
        with self.cluster() as cluster:
            cookies = CookieCatcher()
            client = flight.connect(f"grpc://localhost:{cluster.port}", middleware=[cookies])
            alice, loader = b"Basic " + self.secrets[3].encode(), b"Bearer " + self.user_token.encode()

            def options(authorization, cookie=None):
                headers = [(b"authorization", authorization)] + ([(b"cookie", cookie)] if cookie else [])
                return flight.FlightCallOptions(timeout=10, headers=headers)

            def threshold(authorization, cookie):
                (answer,) = client.do_action(("GetSessionOptions", b""), options(authorization, cookie))
                return b"4711" in answer.body.to_pybytes()

            list(client.do_action(("GetSessionOptions", b""), options(alice)))
            cookie = cookies.seen[-1].split(";")[0].encode()
            request = b"\n\x28\n\x1eballista.single_task_threshold\x12\x06\n\x044711"
            list(client.do_action(("SetSessionOptions", request), options(alice, cookie)))
            self.assertTrue(threshold(alice, cookie))
            self.assertFalse(threshold(loader, cookie))
            self.assertTrue(threshold(alice, cookie))

    def test_queries_belong_to_their_user(self):
        """By its id or ticket a user can neither read, nor follow, nor cancel another one's query; an administrator can."""
        token = run("ballista", "--add-token", "carol", "--auth-file", self.users).stdout.strip()
        self.users.write_text(self.users.read_text() + "carol administrator\n")
        with self.cluster() as cluster:
            clients = {
                name: RawClient(cluster.port, 20, [(b"authorization", header.encode())])
                for name, header in (
                    ("alice", "Basic " + self.secrets[3]),
                    ("loader", "Bearer " + self.user_token),
                    ("carol", "Bearer " + token),
                )
            }
            alice, loader, carol = clients.values()
            endless = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(1000000) b"
            running = alice.start(endless)
            job = re.search(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", running.endpoints[0].ticket.ticket)[0]
            known = lambda client: job_state(client.act("job_profile", length_delimited(1, job))) != "unknown"  # noqa: E731
            self.assertEqual([known(one) for one in (alice, loader, carol)], [True, False, True])

            # Each way to a query is one to nothing, for others.
            made_up = running.serialize().replace(job, b"0" * len(job))
            for info in (running, flight.FlightInfo.deserialize(made_up)):
                for call in (
                    lambda info=info: loader.rows(info),
                    lambda info=info: loader.act("RenewFlightEndpoint", length_delimited(1, info.endpoints[0].serialize())),
                ):
                    with self.assertRaisesRegex(Exception, "there is no job|is not known"):
                        call()
            # CANCEL_STATUS_NOT_CANCELLABLE
            self.assertEqual(loader.cancel("CancelFlightInfo", running), b"\x08\x03")
            with self.assertRaisesRegex(Exception, "there is no job"):
                loader.act("cancel_job", length_delimited(1, job))
            forged = length_delimited(1, b"type.googleapis.com/ballista.control.ResultTicket")
            forged += length_delimited(2, length_delimited(1, job))
            with self.assertRaisesRegex(Exception, "for schedulers of the cluster alone"):
                loader.flight.do_get(flight.Ticket(forged), loader.options()).read_all()
            self.check_http_of_users(job.decode(), "Bearer " + token)
            self.check_draining(cluster.executors[0].port, loader, carol, "Bearer " + token)
            self.assertTrue(known(alice), "it runs on")
            carol.cancel("CancelFlightInfo", running)
            with self.assertRaisesRegex(Exception, "cancelled"):
                alice.rows(running)

            # Rows, with a job and without one.
            for sql in (self.query, "SELECT 42 AS answer", "SHOW TABLES"):
                info = alice.start(sql)
                with self.assertRaisesRegex(Exception, "there is no job"):
                    loader.rows(info)
                expected = alice.sql(sql)
                self.assertEqual(alice.rows(info), expected)
                self.assertEqual(carol.rows(alice.start(sql)), expected)

    def check_http_of_users(self, job, administrator):
        users = {"alice": "Basic " + self.secrets[3], "loader": "Bearer " + self.user_token, "carol": administrator}
        for name, header in users.items():
            status, body = self.get("/api/jobs", header)
            self.assertEqual(status, 200)
            self.assertEqual(job in body, name != "loader", name)
            for path in ("", "/profile", "/plan", "/tasks", "/stages"):
                status, body = self.get(f"/api/jobs/{job}{path}", header)
                self.assertEqual(status, 404 if name == "loader" else 200, (name, path, body))
        connection = http.client.HTTPConnection("localhost", self.http, timeout=10)
        connection.request("POST", f"/api/jobs/{job}/cancel", headers={"Authorization": users["loader"]})
        self.assertEqual(connection.getresponse().status, 404)

    def check_draining(self, port, user, administrator, administrators_header):
        """An executor is sent away by an administrator alone."""
        with self.assertRaisesRegex(Exception, "for administrators alone"):
            user.act("drain_executor", length_delimited(1, f"localhost:{port}".encode()))
        with self.assertRaisesRegex(Exception, "there is no executor|no executor"):
            administrator.act("drain_executor", length_delimited(1, b"x"))
        for header, status in (("Bearer " + self.user_token, 403), (administrators_header, 404)):
            connection = http.client.HTTPConnection("localhost", self.http, timeout=10)
            connection.request("POST", "/api/executors/x/drain", headers={"Authorization": header})
            self.assertEqual(connection.getresponse().status, status)

    def test_users_are_taken_away_while_it_runs(self):
        with self.cluster() as cluster:
            environment, refused = {"BALLISTA_PASSWORD": PASSWORD}, []
            self.check_answer(self.ballista(cluster.port, "--user", "alice", environment=environment))
            # What is left open cannot be closed any more without credentials.
            with contextlib.suppress(adbc_driver_manager.Error), self.adbc(
                cluster, username="alice", password=PASSWORD
            ) as one, one.cursor() as cursor:
                cursor.execute("SELECT 1")
                cursor.fetch_arrow_table()
                lines = self.users.read_text().splitlines()
                self.users.write_text("".join(line + "\n" for line in lines if not line.startswith("alice")))
                cluster.wait_for(
                    lambda: self.ballista(cluster.port, "--user", "alice", environment=environment).returncode != 0,
                    20,
                    "the user to be gone",
                )
                with self.assertRaises(adbc_driver_manager.Error):
                    cursor.execute("SELECT 1")
                refused.append(True)
            self.assertEqual(refused, [True])
            self.check_answer(self.ballista(cluster.port, environment={"BALLISTA_TOKEN": self.user_token}))

    def test_one_process_that_is_a_whole_cluster(self):
        """`executor --local` takes the same options for both of its parts."""
        cert, key = Authority(self.folder).issue("node")
        options = ["--tls-cert", cert, "--tls-key", key, "--tls-ca", self.folder / "ca.crt"]
        options += ["--cluster-token-file", self.token_file, "--auth-file", self.users, "--data-dirs", self.folder]
        with Cluster(executors=0) as cluster:
            own, scheduler = free_ports(2)
            command = [cluster.binary("executor"), "--local", "--bind-host", "127.0.0.1", "--external-host", "localhost"]
            command += ["--port", own, "--scheduler-port", scheduler, "--threads", 1, *options]
            process = cluster.spawn("local", [str(word) for word in command])
            try:
                cluster.wait_for(lambda: "Registered with the scheduler" in process.text(), 20, "it to register")
                ca = ("--tls-ca", self.folder / "ca.crt")
                environment = {"BALLISTA_TOKEN": self.user_token}
                self.check_answer(self.ballista(scheduler, *ca, environment=environment))
                self.check_error(self.ballista(scheduler, *ca), "credentials are needed")
                self.check_profile(scheduler)
                outside = self.ballista(scheduler, *ca, environment=environment, statements=["FROM read_text('/etc/passwd')"])
                self.assertIn("Permission", outside.stderr)
            finally:
                process.stop()

    def check_profile(self, port):
        """All that the command line needs comes out of a profile: the server, how it is checked, the token."""
        config = self.folder / "config" / "ballista"
        config.mkdir(parents=True)
        (config / "token").write_text(self.user_token + "\n")
        (config / "token").chmod(0o600)
        (config / "config.toml").write_text(
            f"[secured]\nhost = 'localhost'\nport = {port}\ntls_ca = '{self.folder}/ca.crt'\n"
            "token_file = 'token'\nformat = 'csv'\n"
        )
        environment = {"XDG_CONFIG_HOME": str(config.parent), "BALLISTA_PROFILE": "secured"}
        self.check_answer(run("ballista", "-c", self.query, environment=environment))

    def test_options_that_do_not_go_together(self):
        done = run("scheduler", "--bind-host", "127.0.0.1", "--auth-file", self.users)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cluster-token-file", done.stderr.splitlines()[-1])

    def test_listening_beyond_loopback_is_warned_of(self):
        port = free_ports(1)[0]
        for host, options, warned in (
            ("0.0.0.0", [], True),
            ("127.0.0.1", [], False),
            ("0.0.0.0", ["--auth-file", self.users, "--cluster-token-file", self.token_file], False),
        ):
            with self.subTest(host=host, options=options), Cluster(executors=0) as cluster:
                command = [str(cluster.binary("scheduler")), "--bind-host", host, "--port", str(port)]
                process = cluster.spawn("other", command + [str(option) for option in options])
                try:
                    cluster.wait_for(lambda: "listening on" in process.text(), 20, "it to listen")
                    self.assertEqual("is not loopback" in process.text(), warned)
                finally:
                    process.stop()


if __name__ == "__main__":
    unittest.main()
