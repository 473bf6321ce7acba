"""The `ballista` program as people meet it: under a pseudo terminal and in scripts.

Runs against duckdb_server.py, a Flight SQL server over single-process DuckDB.
Usage: repl_test.py PATH_OF_BALLISTA
"""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

import pyarrow as pa
import pyarrow.parquet as pq

BALLISTA = None
HERE = os.path.dirname(os.path.abspath(__file__))
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]")


class ServerProcess:
    def __init__(self):
        self.process = subprocess.Popen([sys.executable, os.path.join(HERE, "duckdb_server.py")],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def wait_for(self, line):
        """The server's next line."""
        ready, _, _ = select.select([self.process.stdout], [], [], 10)
        assert ready, "the server did not say " + line
        assert self.process.stdout.readline().strip() == line

    def stop(self):
        self.process.stdin.close()
        self.process.wait(timeout=20)
        self.process.stdout.close()


class Terminal:
    """The program under a pseudo terminal of 80 columns."""

    def __init__(self, port, home, *arguments):
        self.seen = ""
        pid, self.terminal = pty.fork()
        if pid == 0:
            environment = {"HOME": home, "TERM": "xterm", "LANG": "C.UTF-8", "PATH": os.environ["PATH"]}
            environment.update({name: os.environ[name] for name in ("ASAN_OPTIONS",) if name in os.environ})
            os.execve(BALLISTA, [BALLISTA, "--port", str(port), *arguments], environment)
        self.pid = pid
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

    def send(self, text):
        os.write(self.terminal, text.encode())

    def expect(self, text, seconds=15):
        """Waits until `text` is on the screen, and gives what came up to it."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            left = end - time.monotonic()
            ready, _, _ = select.select([self.terminal], [], [], max(left, 0))
            if not ready:
                raise AssertionError(f"no {text!r} in {self.seen!r}")
            try:
                data = os.read(self.terminal, 65536)
            except OSError:
                raise AssertionError(f"ended without {text!r}: {self.seen!r}")
            self.seen += CONTROL.sub("", data.decode(errors="replace"))
        before, self.seen = self.seen.split(text, 1)
        return before

    def wait(self):
        """The exit code."""
        end = time.monotonic() + 15
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.terminal)
                return os.waitstatus_to_exitcode(status)
            ready, _, _ = select.select([self.terminal], [], [], 0.05)
            if ready:
                try:
                    os.read(self.terminal, 65536)
                except OSError:
                    pass
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError("the program did not end")


class ReplTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = ServerProcess()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = folder.name

    def start(self, *arguments):
        terminal = Terminal(self.server.port, self.home, *arguments)
        terminal.expect("ballista> ")
        return terminal

    def test_runs_statements_of_several_lines(self):
        terminal = self.start()
        terminal.send("select 40 + 2 as answer,\n")
        terminal.expect("      -> ")
        terminal.send("'a;b' as text;\n")
        table = terminal.expect("(1 row, ")
        self.assertIn("│ answer │ text │", table)
        self.assertIn("│     42 │ a;b  │", table)
        terminal.expect("ballista> ")
        terminal.send("quit\n")
        self.assertEqual(terminal.wait(), 0)

    def test_an_error_points_at_its_place_and_the_session_goes_on(self):
        terminal = self.start()
        terminal.send("select 'ü', nowhere from range(1);\n")
        shown = terminal.expect("^")
        self.assertIn("LINE 1: select 'ü', nowhere from range(1)", shown)
        last = shown.split("\n")[-1]
        self.assertEqual(len(last), len("LINE 1: select 'ü', "))
        terminal.expect("ballista> ")
        terminal.send("select 1;\n")
        terminal.expect("(1 row, ")
        terminal.expect("ballista> ")  # before it, the terminal itself would take Ctrl-D
        terminal.send("\x04")
        self.assertEqual(terminal.wait(), 0)

    def test_ctrl_c_cancels_a_running_statement_and_keeps_the_session(self):
        terminal = self.start()
        terminal.send("sleep 60;\n")
        terminal.expect("stage 2/2")
        terminal.send("\x03")
        terminal.expect("Cancelled.", 5)
        self.server.wait_for("cancelled")
        terminal.expect("ballista> ")
        terminal.send("select 7 as seven;\n")
        terminal.expect("(1 row, ")
        terminal.send("\\q\n")
        self.assertEqual(terminal.wait(), 0)

    def test_ctrl_c_at_the_prompt_clears_the_line(self):
        terminal = self.start()
        terminal.send("select 1 +")
        terminal.expect("select 1 +")
        terminal.send("\x03")
        terminal.expect("^C")
        terminal.expect("ballista> ")
        terminal.send("select\n")
        terminal.expect("      -> ")
        terminal.send("\x03")
        terminal.expect("^C")
        terminal.expect("ballista> ")
        terminal.send("select 3 as three;\n")
        terminal.expect("│     3 │")
        terminal.send("exit\n")
        self.assertEqual(terminal.wait(), 0)

    def test_progress_is_drawn_and_erased(self):
        terminal = self.start()
        terminal.send("sleep 1;\n")
        line = terminal.expect(" · 1.2 GB")
        self.assertRegex(line, r"\[=+> +\] \d+% stage 2/2 · tasks \d+/24")
        terminal.expect("│   1.0 │")
        terminal.expect("ballista> ")
        terminal.send("\\q\n")
        self.assertEqual(terminal.wait(), 0)

    def test_no_progress_on_request(self):
        terminal = self.start("--no-progress")
        terminal.send("sleep 1;\n")
        self.assertNotIn("stage", terminal.expect("│   1.0 │"))
        terminal.send("\\q\n")
        self.assertEqual(terminal.wait(), 0)

    def test_history_is_kept(self):
        terminal = self.start()
        terminal.send("select 'from\n")
        terminal.expect("      -> ")
        terminal.send("before' as w,\n")
        terminal.expect("      -> ")
        terminal.send("5 as n;\n")
        terminal.expect("(1 row, ")
        terminal.expect("ballista> ")
        terminal.send("select 11 as eleven;\n")
        terminal.expect("│     11 │")
        terminal.expect("ballista> ")
        terminal.send("\\q\n")
        self.assertEqual(terminal.wait(), 0)
        again = self.start()
        again.send("\x1b[A\x1b[A")  # twice up: over \q
        again.expect("select 11 as eleven;")
        again.send("\n")
        again.expect("│     11 │")
        again.expect("ballista> ")
        again.send("\\q\n")
        self.assertEqual(again.wait(), 0)

    def test_completion(self):
        terminal = self.start()
        terminal.send("create or replace table completed_table (a_column int);\n")
        terminal.expect("OK (")
        terminal.expect("ballista> ")
        terminal.send("select a_co\t")
        terminal.expect("lumn ")
        terminal.send("from compl\t")
        terminal.expect("eted_table ")
        terminal.send(";\n")
        terminal.expect("(0 rows, ")
        terminal.expect("ballista> ")  # before it, the terminal itself would take Ctrl-D
        terminal.send("\x04")
        self.assertEqual(terminal.wait(), 0)

    def test_meta_commands(self):
        terminal = self.start()
        terminal.send("create or replace table described (n int, d decimal(9,2));\n")
        terminal.expect("OK (")
        terminal.send("\\d\n")
        terminal.expect("│ described")
        terminal.expect("ballista> ")
        terminal.send("\\d described\n")
        terminal.expect("│ d      │ DECIMAL(9,2) │ YES      │")
        terminal.expect("ballista> ")
        terminal.send("insert into described values (1, 2), (3, 4);\n")
        terminal.expect("OK, 2 rows (")
        terminal.send("\\timing\n")
        terminal.expect("Timing is on.")
        terminal.send("select 1;\n")
        terminal.expect("Time: planned ")
        terminal.expect("ballista> ")
        terminal.send("\\format csv\n")
        terminal.expect("Format is csv.")
        terminal.send("select 1 as a, 'x' as b;\n")
        terminal.expect("a,b\r\n1,x\r\n")
        result = os.path.join(self.home, "out.csv")
        terminal.send(f"\\o {result}\n")
        terminal.expect("ballista> ")
        terminal.send("select 5 as five;\n")
        terminal.expect("ballista> ")
        terminal.send("\\o\n")
        terminal.expect("ballista> ")
        with open(result, encoding="utf-8") as file:
            self.assertEqual(file.read(), "five\n5\n")
        script = os.path.join(self.home, "script.sql")
        with open(script, "w", encoding="utf-8") as file:
            file.write("select 8 as eight;\nselect nothing;")
        terminal.send(f"\\i {script}\n")
        terminal.expect("eight\r\n8\r\n")
        terminal.expect("script.sql:2: select nothing")
        terminal.send("\\executors\n")
        terminal.expect("localhost:50051")
        terminal.send("\\nonsense\n")
        terminal.expect("unknown command \\nonsense")
        terminal.send("\\?\n")
        terminal.expect("this help")
        terminal.send("\\q\n")
        self.assertEqual(terminal.wait(), 0)

    def test_a_table_is_cut_on_a_terminal(self):
        terminal = self.start()
        terminal.send("select * from range(1500) t(n);\n")
        terminal.expect("(first 1000 rows shown")
        terminal.expect("ballista> ")
        terminal.send("\\maxrows 0\n")
        terminal.expect("ballista> ")
        terminal.send("select * from range(1500) t(n);\n")
        terminal.expect("(1500 rows, ")
        terminal.send("select repeat('x', 500) as wide;\n")
        for line in terminal.expect("(1 row, ").split("\n"):
            self.assertLessEqual(len(line.rstrip("\r")), 80)
        terminal.send("\\q\n")
        self.assertEqual(terminal.wait(), 0)


class ScriptTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = ServerProcess()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def run_ballista(self, *arguments, stdin=""):
        return subprocess.run([BALLISTA, "--port", str(self.server.port), *arguments], input=stdin.encode(),
                              capture_output=True, timeout=60, check=False, env=self.environment())

    def environment(self, **more):
        """Without the profiles of whoever runs the tests."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BALLISTA_")}
        return {**kept, "XDG_CONFIG_HOME": self.folder, **more}

    def run_with_profiles(self, text, *arguments, **environment):
        path = os.path.join(self.folder, "ballista", "config.toml")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o644)
        return path, subprocess.run([BALLISTA, *arguments, "-c", "select 1 as a"], capture_output=True, timeout=60,
                                    check=False, text=True, env=self.environment(**environment))  # fmt: skip

    def test_profiles(self):
        profiles = f"""
            [default]
            host = "localhost:1"
            [here]
            host = "127.0.0.1"
            port = {self.server.port}
            format = "csv"
        """
        _, done = self.run_with_profiles(profiles)
        self.assertIn("cannot reach the scheduler at localhost:1", done.stderr)
        for arguments, environment in ((("--profile", "here"), {}), ((), {"BALLISTA_PROFILE": "here"})):
            _, done = self.run_with_profiles(profiles, *arguments, **environment)
            self.assertEqual((done.stdout, done.stderr, done.returncode), ("a\n1\n", "", 0))
        _, done = self.run_with_profiles(profiles, "--profile", "here", BALLISTA_FORMAT="json")
        self.assertEqual((done.stdout, done.returncode), ('{"a":1}\n', 0))
        _, done = self.run_with_profiles(profiles, "--profile", "here", "--format", "csv", BALLISTA_FORMAT="json")
        self.assertEqual((done.stdout, done.returncode), ("a\n1\n", 0))
        _, done = self.run_with_profiles(profiles, "--host", f"localhost:{self.server.port}", "--format", "csv")
        self.assertEqual((done.stdout, done.returncode), ("a\n1\n", 0))

    def test_profiles_that_are_wrong(self):
        path, done = self.run_with_profiles('[default]\nprot = 1\n')
        self.assertEqual(done.stderr, f'Error: {path}:2: unknown key "prot"; the nearest known one is "port"\n')
        self.assertEqual(done.returncode, 2)
        path, done = self.run_with_profiles("[a]\nport = 1\n", "--profile", "b")
        self.assertEqual(done.stderr, f'Error: there is no profile "b" in {path}; it has a\n')
        self.assertEqual(done.returncode, 2)
        path, done = self.run_with_profiles(f'[default]\ntoken = "secret"\nport = {self.server.port}\n')
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stderr, f"Warning: {path} has a password or token in it and others can read it; "
                                      "chmod 600 keeps it to you\n")  # fmt: skip

    def test_commands_and_files_in_order(self):
        path = os.path.join(self.folder, "q.sql")
        with open(path, "w", encoding="utf-8") as file:
            file.write("-- a comment; with a semicolon\nselect 2 as a;")
        done = self.run_ballista("--format", "csv", "-c", "select 1 as a", "-f", path, "-c", "select 3 as a")
        self.assertEqual(done.stdout.decode(), "a\n1\na\n2\na\n3\n")
        self.assertEqual(done.stderr, b"")
        self.assertEqual(done.returncode, 0)

    def test_standard_input(self):
        done = self.run_ballista("--format", "json", stdin="select 1 as a;\nselect [1.5, null] as b;\n")
        self.assertEqual([json.loads(line) for line in done.stdout.splitlines()], [{"a": 1}, {"b": [1.5, None]}])

    def test_a_failed_statement_stops_the_script(self):
        done = self.run_ballista("-c", "select 1 as one; selec 2; select 3 as three")
        self.assertEqual(done.returncode, 1)
        self.assertIn("one", done.stdout.decode())
        self.assertNotIn("three", done.stdout.decode())
        self.assertEqual(done.stderr.decode().splitlines()[1:], ["LINE 1: selec 2", "        ^"])
        path = os.path.join(self.folder, "q.sql")
        with open(path, "w", encoding="utf-8") as file:
            file.write("select 1;\n\nselect\n  nothing;\n")
        done = self.run_ballista("-f", path)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr.decode().splitlines()[1:], [f"{path}:4:   nothing", " " * len(path) + "      ^"])

    def test_no_scheduler(self):
        done = subprocess.run([BALLISTA, "--port", "1", "-c", "select 1"], capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stderr.decode().startswith("Error: cannot reach the scheduler at localhost:1: start one"))

    def test_usage_errors(self):
        self.assertEqual(self.run_ballista("--nonsense").returncode, 2)
        self.assertEqual(self.run_ballista("--format", "xml").returncode, 2)
        self.assertEqual(self.run_ballista("--help").returncode, 0)
        self.assertEqual(self.run_ballista("--version").stdout.decode().split()[0], "ballista")

    def test_a_missing_file(self):
        done = self.run_ballista("-f", os.path.join(self.folder, "none.sql"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot read the file", done.stderr.decode())
        done = self.run_ballista("-f", self.folder)
        self.assertEqual(done.returncode, 1)

    def test_parquet_and_arrow_files(self):
        sql = "select i, i::decimal(18,3) d, 'x' || i s, uuid() u, interval (i) day v, [i] l from range(30000) t(i)"
        path = os.path.join(self.folder, "r.parquet")
        done = self.run_ballista("--format", "parquet", "-o", path, "-c", sql)
        self.assertEqual(done.returncode, 0, done.stderr)
        table = pq.read_table(path)
        self.assertEqual(table.num_rows, 30000)
        self.assertEqual(table["s"][29999].as_py(), "x29999")
        self.assertEqual(table["v"][2].as_py(), "2 days")
        path = os.path.join(self.folder, "r.arrow")
        self.assertEqual(self.run_ballista("--format", "arrow", "-o", path, "-c", sql).returncode, 0)
        with pa.memory_map(path) as source:
            self.assertEqual(pa.ipc.open_file(source).read_all().num_rows, 30000)
        stream = self.run_ballista("--format", "arrow", "-c", sql).stdout
        self.assertEqual(pa.ipc.open_stream(stream).read_all().num_rows, 30000)
        both = self.run_ballista("--format", "arrow", "-c", "select 1; select 2")
        self.assertEqual(both.returncode, 1)
        self.assertIn("holds a result already", both.stderr.decode())

    def test_every_type_of_duckdb(self):
        sql = """select 1::hugeint h, 2::uhugeint uh, '00000000-0000-0000-0000-000000000001'::uuid u, '101'::bit b,
                 time '12:00:01.5' t, '12:00:00+02'::timetz tz, timestamptz '2024-07-01 12:00:00+00' ts,
                 interval 3 day iv, 'a'::enum('a','b') e, {'a':1,'b':[1,2]} s, map{'k':1} m,
                 union_value(n:=1)::union(n int, s varchar) un, '\\xAA'::blob bl, '{"a":1}'::json j, [1,2]::int[2] fl,
                 1.5::decimal(10,2) d, 123456789012345678901234567890::bignum vi, date 'infinity' di, true bo,
                 'inf'::double inf, timestamp_ns '2020-01-01 00:00:00.123456789' tn"""
        row = json.loads(self.run_ballista("--format", "json", "-c", sql).stdout, parse_float=str)
        self.assertEqual(row, {
            "h": 1, "uh": 2, "u": "00000000-0000-0000-0000-000000000001", "b": "101", "t": "12:00:01.5",
            "tz": "12:00:00+02", "ts": "2024-07-01T14:00:00+02:00", "iv": "3 days", "e": "a", "s": {"a": 1, "b": [1, 2]},
            "m": {"k": 1}, "un": 1, "bl": "\\xAA", "j": {"a": 1}, "fl": [1, 2], "d": "1.50",
            "vi": 123456789012345678901234567890, "di": "infinity", "bo": True, "inf": "Infinity",
            "tn": "2020-01-01T00:00:00.123456789"})

    def test_text_is_that_of_duckdbs_own_cast(self):
        import duckdb
        values = ["{'a': 'x y', 'b': 'it''s'}", "['', 'NULL', ' x', 'a,b', NULL]", "map {'a b': 1.5}", "'\\x00a\"'::blob",
                  "interval '1 year -2 days 03:04:05.678'", "1e300", "1e-5", "123456.789::float", "0.1::double",
                  "date '0044-03-15 (BC)'", "timestamp '2024-02-29 23:59:59.000001'", "timestamp '0044-03-15 (BC) 01:00:00'",
                  "[timestamp '2020-01-01 00:00:00']", "[[1], []]", "'-170141183460469231731687303715884105728'::hugeint",
                  "time_ns '12:00:00.000000001'", "0.0000000001::decimal(20,10)", "(-0.05)::decimal(3,2)", "[interval 1 hour]",
                  "'0101'::bit", "[{'a': date '2020-01-01'}]", "[1.5::double, 'nan'::double]", "[true, null]"]
        for value in values:
            shown = self.run_ballista("--format", "json", "-c", f"select {value} as v").returncode
            self.assertEqual(shown, 0, value)
            lines = self.run_ballista("-c", f"select {value} as v").stdout.decode().splitlines()
            expected = duckdb.sql(f"select ({value})::varchar").fetchone()[0]
            self.assertEqual(lines[3].strip("│").strip(), expected.strip(), value)

    def test_a_reader_that_goes_away(self):
        sql = "select i, repeat('x', 100) from range(3000000) t(i)"
        command = f"'{BALLISTA}' --port {self.server.port} --format csv -c \"{sql}\""
        done = subprocess.run(["bash", "-c", f"{command} | head -2; echo ${{PIPESTATUS[0]}}"], capture_output=True,
                              timeout=60, check=False)
        self.assertEqual(done.stderr, b"")
        self.assertEqual(done.stdout.decode().splitlines()[-1], "0")
        self.server.wait_for("cancelled")

    def test_ctrl_c_ends_a_script(self):
        process = subprocess.Popen([BALLISTA, "--port", str(self.server.port), "-c", "sleep 60; select 1"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
        self.assertEqual(process.returncode, 130)
        self.assertEqual((out, err), (b"", b"Cancelled.\n"))
        self.server.wait_for("cancelled")

    def test_timing_goes_to_standard_error(self):
        done = self.run_ballista("--timing", "--format", "csv", "-c", "select 1 as a")
        self.assertEqual(done.stdout, b"a\n1\n")
        self.assertRegex(done.stderr.decode(), r"^Time: planned \d\.\d{3} s, first rows \d\.\d{3} s, all \d\.\d{3} s\n$")

    def test_explain_is_shown_as_it_is(self):
        out = self.run_ballista("-c", "explain select 42").stdout.decode()
        self.assertGreater(len(out.splitlines()), 3)
        self.assertNotIn("\\n", out)

    def test_many_rows_stream(self):
        done = self.run_ballista("--format", "csv", "-c", "select i from range(1000000) t(i)")
        self.assertEqual(done.stdout.count(b"\n"), 1000001)
        table = self.run_ballista("-c", "select i from range(20000) t(i)").stdout.decode().splitlines()
        self.assertEqual(len(table), 20000 + 5)


if __name__ == "__main__":
    BALLISTA = os.path.abspath(sys.argv.pop(1))
    unittest.main()
