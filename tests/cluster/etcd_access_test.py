"""An etcd that asks for TLS, a client certificate, a user and a password: schedulers keep their state in it, take over
from each other, log in again after it was started anew, and say in a sentence what does not fit."""

import base64
import json
import pathlib
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "security")]
from certificates import Authority  # noqa: E402
from cluster import Cluster, free_ports  # noqa: E402
from flight_client import Client  # noqa: E402
from summary import main  # noqa: E402

PASSWORD = "pass word 1"


class SecuredEtcd:
    """With a certificate of `ca`, callers that show one of it, and the user "ballista" for the keys below ballista/."""

    def __init__(self, folder: pathlib.Path, ca: Authority):
        cert, key = ca.issue("etcd")
        # With users, etcd's gateway refuses certificates with a common name: it would be a user's.
        self.cert, self.key = ca.issue("caller", "DNS:caller", subject="/")
        client, peer = (f"{scheme}://127.0.0.1:{port}" for scheme, port in zip(("https", "http"), free_ports(2)))
        self.url = client
        self.command = ["etcd", "--data-dir", f"{folder}/etcd", "--listen-client-urls", client]
        self.command += ["--advertise-client-urls", client, "--listen-peer-urls", peer]
        self.command += ["--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"]
        self.command += ["--cert-file", cert, "--key-file", key, "--trusted-ca-file", ca.cert, "--client-cert-auth"]
        self.command += ["--logger", "zap", "--log-level", "error"]
        self.context = ssl.create_default_context(cafile=str(ca.cert))
        self.context.load_cert_chain(self.cert, self.key)
        self.log = open(folder / "etcd.log", "ab")
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 20
        while True:
            try:
                return urllib.request.urlopen(self.url + "/version", timeout=10, context=self.context).close()
            except (urllib.error.URLError, OSError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def call(self, path, body, token=None):
        headers = {"Authorization": token} if token else {}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=10, context=self.context) as answer:
            return json.load(answer)

    def log_in(self, user, password):
        return self.call("/v3/auth/authenticate", {"name": user, "password": password})["token"]

    def ask_for_log_ins(self):
        def encode(text):
            return base64.b64encode(text.encode()).decode()

        for name, password in (("root", "of root"), ("ballista", PASSWORD)):
            self.call("/v3/auth/user/add", {"name": name, "password": password})
        self.call("/v3/auth/user/grant", {"user": "root", "role": "root"})
        self.call("/v3/auth/role/add", {"name": "of-ballista"})
        below = {"permType": "READWRITE", "key": encode("ballista/"), "range_end": encode("ballista0")}
        self.call("/v3/auth/role/grant", {"name": "of-ballista", "perm": below})
        self.call("/v3/auth/user/grant", {"user": "ballista", "role": "of-ballista"})
        self.call("/v3/auth/enable", {})

    def stop(self):
        self.process.kill()
        self.process.wait()


class EtcdAccess(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.ca = Authority(self.folder)
        self.etcd = SecuredEtcd(self.folder, self.ca)
        self.addCleanup(lambda: (self.etcd.stop(), self.etcd.log.close()))
        self.etcd.call("/v3/auth/role/add", {"name": "root"})
        self.etcd.ask_for_log_ins()
        self.password = self.folder / "password"
        self.password.write_text(PASSWORD + "\n")

    def options(self, **changed):
        given = {
            "config-backend": "etcd", "etcd-urls": self.etcd.url, "etcd-user": "ballista",
            "etcd-password-file": self.password, "etcd-ca": self.ca.cert, "etcd-cert": self.etcd.cert,
            "etcd-key": self.etcd.key, **{name.replace("_", "-"): value for name, value in changed.items()},
        }  # fmt: skip
        return [str(word) for name, value in given.items() if value for word in (f"--{name}", value)]

    def test_schedulers_work_with_it(self):
        args = [*self.options(), "--heartbeat-interval", "200ms"]
        with Cluster(executors=2, schedulers=2, scheduler_args=args) as cluster:
            uris = [f"grpc://127.0.0.1:{each.port}" for each in cluster.schedulers()]
            client = Client(uris)

            def sql(at, text):
                return client.read_at(uris[at], client.submit(text, uris[at])).to_pydict()

            sql(0, "CREATE VIEW v AS SELECT 42 AS answer")
            self.assertEqual(sql(1, "FROM v"), {"answer": [42]})
            # Started anew it knows no token of before; changes are followed on.
            self.etcd.stop()
            self.etcd.start()
            sql(0, "CREATE VIEW w AS SELECT 43 AS answer")
            cluster.wait_for(lambda: sql(1, "SHOW TABLES")["name"] == ["v", "w"], 20, "the view at the other one")
            ticket = client.submit("SELECT count(*) AS n FROM range(1000)", uris[0])
            cluster.scheduler.kill()
            self.assertEqual(client.read(ticket, 30).to_pydict(), {"n": [1000]})
            survivor = cluster.other_schedulers[0]
            for process in (cluster.scheduler, survivor):
                self.assertNotIn(PASSWORD, process.text())
            cluster.other_schedulers, cluster.scheduler = [], survivor

    def test_what_does_not_fit_is_one_sentence(self):
        wrong = self.folder / "wrong"
        wrong.write_text("something else\n")
        empty = self.folder / "empty"
        empty.write_text("\n")
        stranger = Authority(self.folder, "stranger")
        cases = [
            ({"etcd_password_file": wrong}, "--etcd-urls", "invalid user ID or password"),
            ({"etcd_password_file": empty}, "--etcd-password-file", "its first line is the password"),
            ({"etcd_password_file": self.folder / "none"}, "--etcd-password-file", "No such file"),
            ({"etcd_user": None, "etcd_password_file": None}, "--etcd-urls", "it asks for --etcd-user"),
            ({"etcd_password_file": None}, "--etcd-user", "given together"),
            ({"etcd_key": None}, "--etcd-cert", "given together"),
            ({"etcd_ca": stranger.cert}, "--etcd-urls", "certificate"),
            ({"etcd_ca": self.folder / "none"}, "--etcd-ca", "No such file"),
            ({"etcd_cert": None, "etcd_key": None}, "--etcd-urls", "https://127.0.0.1"),
            ({"etcd_urls": self.etcd.url.replace("https", "http")}, "--etcd-urls", "without TLS"),
            ({"config_backend": "memory", "etcd_urls": None}, "--etcd-user", "for --config-backend etcd alone"),
        ]
        processes = []
        for changed, option, text in cases:
            command = [str(Cluster.binary("scheduler")), "--bind-host", "127.0.0.1", "--port", str(free_ports(1)[0])]
            command += self.options(**changed)
            processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
            self.addCleanup(processes[-1].kill)
        for process, (changed, option, text) in zip(processes, cases):
            with self.subTest(changed=changed):
                _, errors = process.communicate(timeout=60)
                last = errors.splitlines()[-1]
                self.assertEqual(process.returncode, 1, errors)
                self.assertIn(option, last)
                self.assertIn(text, last)
                self.assertNotIn(PASSWORD, errors)


if __name__ == "__main__":
    main()
