"""The C++ library, as `make install` installs it: programs are built against it by CMake and by pkg-config with Arrow's
headers and none of the source tree's, and run on a real cluster: TPC-H's queries 1, 3, 5 and 10 as DataFrames (the
example) against their SQL and against DuckDB, the checks of cpp/, and the snippet of docs/clients/cpp.md."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import pyarrow as pa

from clients import (DISTRIBUTED, FOLDER, ROOT, SecuredCluster, check_lines, compare, main, run, snippet, tpc_data,
                     tpch_cluster)  # fmt: skip

BUILD = pathlib.Path(os.environ.get("BALLISTA_BIN", ROOT / "build" / "bin")).parent
QUERIES = (1, 3, 5, 10)
SECURED = """
#include <ballista/client/session.h>
#include <iostream>
int main(int, char** argv) {
  ballista::SessionOptions options;
  options.tls_ca = argv[2];
  (*argv[3] == 't' ? options.token : options.password) = argv[4];
  if (*argv[3] != 't') options.user = argv[3];
  const auto session = ballista::Session::Connect(argv[1], options);
  const auto rows = session.ok() ? (*session)->Sql("SELECT 1 AS one") : session.status();
  std::cout << (rows.ok() ? "ok" : rows.status().message()) << std::endl;
}
"""


class Cpp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        own = tempfile.TemporaryDirectory()
        cls.addClassCleanup(own.cleanup)
        cls.folder = pathlib.Path(own.name).resolve()
        cls.prefix = cls.folder / "prefix"
        cls.build_programs()
        cls.cluster = tpch_cluster()
        cls.addClassCleanup(cls.cluster.stop)

    @classmethod
    def build_programs(cls):
        # Without the part for the cluster's machines, but Arrow's library.
        run(["cmake", "--install", BUILD, "--prefix", cls.prefix, "--component", "client"])
        private = cls.prefix / "lib/ballista"
        private.mkdir()
        for name in ("libarrow.so.2600", "libarrow_flight.so.2600"):
            shutil.copy(pathlib.Path(pa.get_library_dirs()[0]) / name, private)
        # Arrow's headers from pyarrow, found or named; nothing of the tree or its build. An optimizer would only cost time.
        cls.environment = {"PATH": os.environ["PATH"], "CXXFLAGS": "-O0", "HOME": str(cls.folder)}
        cls.include = pa.get_include()
        steps = f"""
            cmake -S {ROOT}/examples/cpp -B {cls.folder}/example -DCMAKE_PREFIX_PATH={cls.prefix} \
              -DBallista_ARROW_INCLUDE_DIR={cls.include} && cmake --build {cls.folder}/example"""
        commands = [["sh", "-c", steps]]
        sources = {
            "checks": (ROOT / "tests/clients/cpp/checks.cc").read_text(),
            "snippet": snippet("cpp.md", "cpp"),
            "secured": SECURED,
        }
        flags = run(
            ["pkg-config", f"--define-variable=arrow_includedir={cls.include}", "--cflags", "--libs", "ballista"],
            env={**cls.environment, "PKG_CONFIG_PATH": str(cls.prefix / "lib/pkgconfig")},
        ).split()
        for name, text in sources.items():
            (cls.folder / f"{name}.cc").write_text(text)
            commands.append(["g++", "-O0", "-Wall", "-Werror", "-MD", f"{name}.cc", "-o", name, *flags])
        # Two at a time.
        for pair in (commands[:2], commands[2:]):
            running = [
                subprocess.Popen(command, cwd=cls.folder, env=cls.environment, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True) for command in pair
            ]  # fmt: skip
            outputs = [process.communicate(timeout=240)[0] for process in running]
            for process, command, output in zip(running, pair, outputs):
                if process.returncode != 0:
                    raise AssertionError(f"{command} ended with {process.returncode}\n{output}")

    def test_needs_the_installed_headers_and_arrows_alone(self):
        made = [*self.folder.glob("*.d"), *self.folder.glob("example/**/tpch*.d")]
        self.assertEqual(len(made), 4, made)
        for file in made:
            headers = {pathlib.Path(os.path.normpath(self.folder / name)) for name in re.findall(r"\S+\.h\w*\b", file.read_text())}
            self.assertTrue(any(name.is_relative_to(self.prefix) for name in headers), file)
            for name in headers:
                if name.is_relative_to(self.prefix) or name.is_relative_to(self.include):
                    continue
                self.assertTrue(name.is_relative_to("/usr"), name)
                self.assertNotRegex(str(name), "duckdb|google|fmt/|grpc")

    def test_shows_no_other_names(self):
        names = run(["nm", "-DC", "--defined-only", self.prefix / "lib/libballista_client.so"]).splitlines()
        self.assertGreater(len(names), 100)
        self.assertEqual([name for name in names if not re.search(r" \w ballista::(operator|[A-Z])", name)], [])

    def test_programs_find_their_libraries(self):
        for program in ("checks", "example/tpch"):
            libraries = run(["ldd", self.folder / program], env={"PATH": os.environ["PATH"]})
            self.assertNotIn("not found", libraries)
            self.assertIn(str(self.prefix / "lib"), libraries)

    def test_another_arrow_is_refused(self):
        other = self.folder / "other"
        (other / "arrow/util").mkdir(parents=True)
        (other / "arrow/api.h").write_text("")
        (other / "arrow/util/config.h").write_text("#define ARROW_VERSION_MAJOR 15\n")
        done = subprocess.run(
            ["cmake", "-S", ROOT / "examples/cpp", "-B", self.folder / "refused", f"-DCMAKE_PREFIX_PATH={self.prefix}",
             f"-DBallista_ARROW_INCLUDE_DIR={other}"], capture_output=True, text=True, env=self.environment
        )  # fmt: skip
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("are of another version than", " ".join(done.stderr.split()))

    def test_tpch(self):
        for name, settings in (("small", ()), ("spread", DISTRIBUTED)):
            results = self.folder / f"results-{name}"
            results.mkdir()
            output = run([self.folder / "example/tpch", f"localhost:{self.cluster.port}", FOLDER, results, *settings])
            self.assertEqual(len(re.findall("equal to SQL", output)), 4, output)
            queries = tpc_data.queries("tpch")
            with tpc_data.connect() as oracle:
                tpc_data.create_views(oracle, FOLDER)
                for number in QUERIES:
                    expected = oracle.sql(queries[number]).to_arrow_table()
                    got = pa.ipc.open_file(results / f"{number}.arrow").read_all()
                    self.assertGreater(got.num_rows, 0)
                    verdict = compare.compare(queries[number], expected, got, oracle)
                    self.assertEqual(verdict.problem, "", f"query {number}, {name}")

    def test_checks(self):
        folder = self.folder / "out"
        folder.mkdir()
        check_lines(self, run([self.folder / "checks", f"localhost:{self.cluster.port}", folder]), at_least=13)
        # Nothing goes on of what was cancelled or dropped.
        self.cluster.check_no_leaks()

    def test_snippet(self):
        output = run([self.folder / "snippet", f"localhost:{self.cluster.port}"])
        self.assertIn("| c_mktsegment |", output)
        self.assertTrue(output.endswith("3 segments\n"), output)

    def test_tls_and_log_in(self):
        with SecuredCluster(self.folder / "secured-cluster") as secured:
            def answer(*words):
                return run([self.folder / "secured", f"grpc+tls://localhost:{secured.cluster.port}", secured.ca, *words])

            self.assertEqual(answer("alice", secured.PASSWORD), "ok\n")
            self.assertEqual(answer("t", secured.token), "ok\n")
            for wrong in (("alice", "wrong"), ("t", "wrong")):
                self.assertIn("does not let this client in", answer(*wrong))


if __name__ == "__main__":
    main()
