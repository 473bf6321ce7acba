"""The Arrow Flight SQL JDBC driver on a real cluster: what programs and BI tools do with it, TPC-H's 22 queries
against DuckDB, TLS with each kind of log-in, and the snippet of docs/clients/jdbc.md."""

import pathlib
import tempfile
import unittest

import pyarrow as pa

from clients import (DISTRIBUTED, ROOT, SecuredCluster, check_lines, check_tpch, hold_rows, main, run, setup, snippet,
                     tpch_cluster, write_queries)  # fmt: skip

SOURCES = ROOT / "tests" / "clients" / "jdbc"
OPTIONS = ["--add-opens=java.base/java.nio=ALL-UNNAMED", "-Duser.timezone=UTC", "-XX:TieredStopAtLevel=1"]


def type_name(kind: pa.DataType) -> str:
    names = {"int32": "INTEGER", "int64": "BIGINT", "double": "DOUBLE", "string": "VARCHAR", "date32[day]": "DATE"}
    return "DECIMAL" if pa.types.is_decimal(kind) else names[str(kind)]


class Jdbc(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.driver = setup("jdbc") / "flight-sql-jdbc-driver.jar"
        own = tempfile.TemporaryDirectory()
        cls.addClassCleanup(own.cleanup)
        cls.folder = pathlib.Path(own.name)
        cls.classes = cls.folder / "classes"
        run(["javac", "-Xlint:all", "-Werror", "-d", cls.classes, *sorted(SOURCES.glob("*.java"))])
        cls.cluster = tpch_cluster()
        cls.addClassCleanup(cls.cluster.stop)

    def java(self, *arguments):
        return run(["java", *OPTIONS, "-cp", f"{self.driver}:{self.classes}", *arguments])

    @staticmethod
    def url(cluster, rest="useEncryption=false", host="127.0.0.1"):
        return f"jdbc:arrow-flight-sql://{host}:{cluster.port}?{rest}"

    def test_checks(self):
        check_lines(self, self.java("Checks", self.url(self.cluster)), at_least=20)
        # Nothing goes on of what was cancelled and of what timed out.
        self.cluster.check_no_leaks()

    def check_tpch(self, cluster, folder):
        folder.mkdir()
        write_queries(folder)
        self.java("Queries", self.url(cluster), folder, *DISTRIBUTED)
        check_tpch(self, folder, type_name)

    def test_tpch(self):
        self.check_tpch(self.cluster, self.folder / "tpch")

    def test_tpch_from_the_executors(self):
        options = ["--flight-endpoints", "executors", "--result-memory-limit", "1MiB"]
        cluster = tpch_cluster(scheduler_args=options, env={"BALLISTA_LOG": "debug"})
        self.addCleanup(cluster.stop)
        hold_rows(self, cluster)
        self.check_tpch(cluster, self.folder / "executors")
        self.assertNotIn("reading the result of job", cluster.scheduler.text())

    def test_snippet(self):
        program = self.folder / "Example.java"
        program.write_text(snippet("jdbc.md", "java").replace("localhost:50050", f"127.0.0.1:{self.cluster.port}"))
        printed = self.java(program)
        self.assertEqual(printed.splitlines(), ["ARGENTINA in region 1", "BRAZIL in region 1", "CANADA in region 1"])

    def test_tls_and_log_in(self):
        folder = self.folder / "log-in"
        folder.mkdir()
        (folder / "01.sql").write_text("SELECT 1 AS one")
        with SecuredCluster(self.folder / "secured") as secured:
            tls = f"useEncryption=true&tlsRootCerts={secured.ca}"
            for log_in in (f"user=alice&password={secured.PASSWORD}", f"token={secured.token}"):
                (folder / "01.rows").unlink(missing_ok=True)
                self.java("Queries", self.url(secured.cluster, f"{tls}&{log_in}", "localhost"), folder)
                self.assertEqual((folder / "01.rows").read_text(), '["INTEGER"]\n["1"]\n')
            for log_in in ("user=alice&password=wrong", "token=wrong"):
                with self.assertRaisesRegex(AssertionError, "UNAUTHENTICATED"):
                    self.java("Queries", self.url(secured.cluster, f"{tls}&{log_in}", "localhost"), folder)


if __name__ == "__main__":
    main()
