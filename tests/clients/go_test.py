"""The ADBC driver from Go on a real cluster: what programs do with it, TPC-H's 22 queries against DuckDB, and the
snippet of docs/clients/go.md."""

import os
import pathlib
import shutil
import tempfile
import unittest

import pyarrow as pa

from clients import (DISTRIBUTED, ROOT, SecuredCluster, check_lines, check_tpch, main, run, setup, snippet,
                     tpch_cluster, write_queries)  # fmt: skip


def type_name(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    names = {"double": "float64", "string": "utf8", "date32[day]": "date32"}
    return names.get(str(kind), str(kind))


class Go(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.deps = setup("go")
        own = tempfile.TemporaryDirectory()
        cls.addClassCleanup(own.cleanup)
        cls.folder = pathlib.Path(own.name)
        cls.cluster = tpch_cluster()
        cls.addClassCleanup(cls.cluster.stop)

    def test_checks(self):
        check_lines(self, run([self.deps / "clients", "checks", self.cluster.uri]), at_least=14)
        # Nothing goes on of what was cancelled.
        self.cluster.check_no_leaks()

    def test_tpch(self):
        folder = self.folder / "tpch"
        folder.mkdir()
        write_queries(folder)
        run([self.deps / "clients", "queries", self.cluster.uri, folder, *DISTRIBUTED])
        check_tpch(self, folder, type_name)

    def test_tls_and_log_in(self):
        folder = self.folder / "log-in"
        folder.mkdir()
        (folder / "01.sql").write_text("SELECT 1 AS one")
        with SecuredCluster(self.folder / "secured") as secured:
            uri = f"grpc+tls://localhost:{secured.cluster.port}"

            def queries(**log_in):
                environment = {"PATH": os.environ["PATH"], "TLS_CA": str(secured.ca), **log_in}
                return run([self.deps / "clients", "queries", uri, folder], env=environment)

            for log_in in ({"USERNAME": "alice", "PASSWORD": secured.PASSWORD}, {"TOKEN": secured.token}):
                (folder / "01.rows").unlink(missing_ok=True)
                queries(**log_in)
                self.assertEqual((folder / "01.rows").read_text(), '["int32"]\n["1"]\n')
            for log_in in ({"USERNAME": "alice", "PASSWORD": "wrong"}, {"TOKEN": "wrong"}, {}):
                with self.assertRaisesRegex(AssertionError, "(?i)unauthenticated"):
                    queries(**log_in)

    def test_snippet(self):
        folder = self.folder / "example"
        folder.mkdir()
        for name in ("go.mod", "go.sum"):
            shutil.copy(ROOT / "tests" / "clients" / "go" / name, folder)
        text = snippet("go.md", "go").replace("localhost:50050", f"127.0.0.1:{self.cluster.port}")
        (folder / "main.go").write_text(text)
        printed = run([self.deps / "go", "run", "."], cwd=folder)
        self.assertEqual(printed.splitlines(), ["ARGENTINA 1", "BRAZIL 1", "CANADA 1"])


if __name__ == "__main__":
    main()
