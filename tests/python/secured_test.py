"""The Python package with TLS, users and tokens, and what it says when the cluster does not let it in."""

import os
import pathlib
import secrets
import subprocess
import sys
import tempfile
import unittest

import ballista

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests" / "cluster"), str(ROOT / "tests" / "security")]
os.environ.setdefault("BALLISTA_BIN", os.environ["BALLISTA_HOME"])
from certificates import Authority  # noqa: E402
from cluster import Cluster  # noqa: E402


def credentials(*arguments, text=None):
    done = subprocess.run([str(Cluster.binary("ballista")), *map(str, arguments)], input=text, text=True, check=True,
                          capture_output=True, timeout=60)  # fmt: skip
    return done.stdout.strip()


class Secured(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        own = tempfile.TemporaryDirectory()
        cls.addClassCleanup(own.cleanup)
        folder = pathlib.Path(own.name)
        cls.ca = Authority(folder)
        cert, key = cls.ca.issue("node")
        users, cluster_token = folder / "users", folder / "cluster-token"
        cluster_token.write_text(secrets.token_hex(32))
        credentials("--add-user", "alice", "--auth-file", users, text="Pass-word-of-alice-1\n")
        cls.token = credentials("--add-token", "loader", "--auth-file", users)
        cls.stranger = Authority(folder, "stranger")
        tls = ["--tls-cert", cert, "--tls-key", key, "--tls-ca", cls.ca.cert, "--cluster-token-file", cluster_token]
        tls = list(map(str, tls))
        cls.cluster = Cluster(executors=2, scheduler_args=[*tls, "--auth-file", str(users)], executor_args=tls)
        cls.cluster.__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        cls.address = f"localhost:{cls.cluster.port}"

    def check(self, address=None, **options):
        with ballista.connect(address or self.address, timeout=5, **options) as con:
            rows = con.sql("SELECT sum(i)::BIGINT FROM range(10) t(i)").fetchall()
        self.assertEqual(rows, [(45,)])

    def test_let_in(self):
        self.check(user="alice", password="Pass-word-of-alice-1", tls_ca=self.ca.cert)
        self.check(token=self.token, tls_ca=self.ca.cert)
        self.check(f"grpc+tls://{self.address}", token=self.token, tls_ca=str(self.ca.cert))

    def test_by_the_environment(self):
        host, port = self.address.split(":")
        given = {"BALLISTA_HOST": host, "BALLISTA_PORT": port, "BALLISTA_TLS_CA": str(self.ca.cert)}
        login = ({"BALLISTA_TOKEN": self.token},
                 {"BALLISTA_USER": "alice", "BALLISTA_PASSWORD": "Pass-word-of-alice-1"})  # fmt: skip
        for more in login:
            with self.subTest(list(more)):
                code = "import ballista\nwith ballista.connect() as con: print(con.sql('SELECT 42').fetchall())"
                done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **given, **more}, text=True,
                                      capture_output=True, timeout=60)  # fmt: skip
                self.assertEqual(done.stdout, "[(42,)]\n", done.stderr)

    def test_not_let_in(self):
        for options in ({}, {"user": "alice", "password": "not-hers"}, {"token": "0" * 64}):
            with self.subTest(options), self.assertRaises(ballista.AuthenticationError) as caught:
                self.check(tls_ca=self.ca.cert, **options)
            self.assertNotIn("not-hers", str(caught.exception))
        refused = "cannot talk to the scheduler at .*: its certificate is not accepted"
        for options, message in (({"tls_ca": self.stranger.cert}, refused), ({"tls": True}, refused),
                                 ({}, "cannot talk to the scheduler at .*: it hung up: it may want TLS")):  # fmt: skip
            with self.subTest(options), self.assertRaisesRegex(ballista.UnavailableError, message):
                self.check(token=self.token, **options)


if __name__ == "__main__":
    unittest.main()
