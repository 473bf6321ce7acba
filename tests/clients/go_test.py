"""The ADBC driver from Go on a real cluster: what programs do with it, TPC-H's 22 queries against DuckDB, and the
snippet of docs/clients/go.md."""

import pathlib
import shutil
import tempfile
import unittest

import pyarrow as pa

from clients import DISTRIBUTED, ROOT, check_lines, check_tpch, main, run, setup, snippet, tpch_cluster, write_queries


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
