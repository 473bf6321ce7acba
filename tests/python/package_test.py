"""The Python package against a real cluster of two executors."""

import datetime
import decimal
import json
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.flight as flight
import pyarrow.parquet as pq

import ballista
from ballista import progress, wire

# Runs for minutes where nobody stops it.
LONG = "SELECT count(*) FROM (SELECT DISTINCT a.i * 1000 + b.r FROM range(3000000) a(i), range(1000) b(r))"


def status(cluster) -> dict:
    with flight.connect(f"grpc://{cluster.address}") as client:
        [answer] = client.do_action(("status", b""), flight.FlightCallOptions(timeout=5))
        return json.loads(answer.body.to_pybytes())


class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = ballista.Cluster(executors=2, threads=1).start()
        cls.addClassCleanup(cls.cluster.stop)
        cls.con = cls.cluster.connect()
        cls.addClassCleanup(cls.con.close)

    def wait_until_idle(self, limit=10.0):
        deadline = time.monotonic() + limit
        while (found := status(self.cluster))["running_tasks"] or found["jobs"]:
            self.assertLess(time.monotonic(), deadline, f"after {limit} s there is left: {found}")
            time.sleep(0.05)

    def wait_until_running(self, limit=10.0):
        deadline = time.monotonic() + limit
        while not status(self.cluster)["running_tasks"]:
            self.assertLess(time.monotonic(), deadline, "no task runs")
            time.sleep(0.02)


class Results(Base):
    def test_values_keep_their_types(self):
        rows = self.con.sql(
            "SELECT 42 AS i, 1.50::DECIMAL(5,2) AS d, DATE '2024-02-29' AS day, 'é' AS s, NULL AS n, [1, NULL] AS l, "
            "{'a': 1} AS st, true AS b, 'x'::BLOB AS bl"
        ).fetchall()
        expected = (42, decimal.Decimal("1.50"), datetime.date(2024, 2, 29), "é", None, [1, None], {"a": 1}, True, b"x")
        self.assertEqual(rows, [expected])

    def test_one_result_in_every_form(self):
        result = self.con.sql("SELECT i, i * 2 AS j FROM range(5) t(i) ORDER BY i")
        self.assertEqual(result.schema.names, ["i", "j"])
        self.assertEqual(result.to_arrow().column("j").to_pylist(), [0, 2, 4, 6, 8])
        self.assertIsInstance(result.to_pandas(), pd.DataFrame)
        self.assertEqual(result.to_pandas()["j"].tolist(), [0, 2, 4, 6, 8])
        self.assertIsInstance(result.to_polars(), pl.DataFrame)
        self.assertEqual(result.to_polars()["j"].to_list(), [0, 2, 4, 6, 8])
        self.assertEqual(result.fetchall()[4], (4, 8))
        self.assertEqual(result.reader().read_all().num_rows, 5)

    def test_an_empty_result_has_its_schema(self):
        table = self.con.sql("SELECT 1::BIGINT AS a, 'x' AS b WHERE false").to_arrow()
        self.assertEqual((table.num_rows, table.schema), (0, pa.schema([("a", pa.int64()), ("b", pa.string())])))

    def test_a_reader_streams_once(self):
        result = self.con.sql("SELECT i FROM range(1000000) t(i)")
        total = batches = 0
        for batch in result.reader():
            batches += 1
            total += batch.num_rows
        self.assertEqual(total, 1_000_000)
        self.assertGreater(batches, 1)
        with self.assertRaises(ballista.ResultConsumedError):
            result.to_arrow()
        self.wait_until_idle()

    def test_query_ids_are_the_servers(self):
        result = self.con.sql("SELECT i FROM range(10) t(i)")
        self.assertRegex(result.query_id, r"^[0-9a-f-]{36}$")
        self.assertNotEqual(self.con._ask_progress(result.query_id).state, "unknown")
        result.close()

    def test_changes_are_done_when_sql_returns(self):
        self.con.sql("CREATE TABLE changed (a INTEGER)")
        self.con.sql("INSERT INTO changed SELECT i FROM range(7) t(i)")
        self.assertEqual(self.con.sql("SELECT count(*) FROM changed").fetchall(), [(7,)])
        self.assertIn("changed", [table.name for table in self.con.tables()])
        self.con.sql("DROP TABLE changed")
        self.assertNotIn("changed", [table.name for table in self.con.tables()])

    def test_a_session_has_its_own_settings(self):
        with self.cluster.connect() as other:
            other.sql("SET ballista.shuffle_partitions = 3")
            self.assertEqual(other.sql("SHOW ballista.shuffle_partitions").fetchall()[0][-1], "3")
            self.assertNotEqual(self.con.sql("SHOW ballista.shuffle_partitions").fetchall()[0][-1], "3")
        with self.assertRaisesRegex(ballista.BallistaError, "closed"):
            other.sql("SELECT 1")

    def test_explain(self):
        self.assertRegex(self.con.explain("SELECT sum(i) FROM range(10) t(i)"), r"(?s)Stage 0.*Aggregate")
        analyzed = self.con.explain("SELECT sum(i) FROM range(10) t(i)", analyze=True)
        self.assertRegex(analyzed, r"Ran in [0-9.]+ m?s")


class Errors(Base):
    def failure(self, sql, kind):
        with self.assertRaises(kind) as caught:
            self.con.sql(sql).to_arrow()
        self.assertIs(type(caught.exception), kind)
        self.assertNotIn("gRPC", str(caught.exception))
        return caught.exception

    def test_kinds_and_places(self):
        error = self.failure("SELECT 'é',\n  nowhere FROM range(3)", ballista.BindError)
        self.assertEqual((error.line, error.column), (2, 3))
        self.assertEqual(error.sql[error.position :].split()[0], "nowhere")
        self.assertEqual(self.failure("SELEC 1", ballista.SQLSyntaxError).position, 0)
        self.assertEqual(self.failure("SELECT * FROM no_table", ballista.CatalogError).column, 15)
        self.failure("SELECT * FROM '/no/such/*.parquet'", ballista.NotFoundError)
        self.failure("BEGIN", ballista.NotSupportedError)

    def test_errors_of_rows_name_their_query(self):
        error = self.failure("SELECT (CASE WHEN i = 2 THEN 'x' ELSE '1' END)::INT FROM range(3) t(i)",
                             ballista.QueryRuntimeError)  # fmt: skip
        self.assertEqual(error.sql[error.position :][:3], "'x'")
        self.assertRegex(error.query_id, r"^[0-9a-f-]{36}$")

    def test_a_time_limit_cancels(self):
        with self.cluster.connect() as con:
            con.sql("SET statement_timeout = '300ms'")
            with self.assertRaises(ballista.QueryCancelled) as caught:
                con.sql(LONG).to_arrow()
            self.assertEqual(caught.exception.reason, "deadline")
        self.wait_until_idle()

    def test_nobody_there(self):
        start = time.monotonic()
        with self.assertRaisesRegex(ballista.UnavailableError, "cannot reach the scheduler at grpc"):
            ballista.connect("127.0.0.1:1", timeout=1.0)
        self.assertLess(time.monotonic() - start, 5)

    def test_bad_addresses(self):
        for address, message in (("http://x", "grpc"), ("host:notaport", "port"), ("host:70000", "port"), (":1", "host")):
            with self.subTest(address), self.assertRaisesRegex(ValueError, message):
                ballista.connect(address)
        with self.assertRaisesRegex(ValueError, "not both"):
            ballista.connect(user="a", token="b")


class Registration(Base):
    COLUMNS = {"k": [1, 2, None], "s": ["a", "é", None]}

    def check(self, data):
        self.con.register("given table", data)
        rows = self.con.sql('SELECT k::BIGINT, s FROM "given table" ORDER BY k NULLS LAST').fetchall()
        self.assertEqual(rows, [(1, "a"), (2, "é"), (None, None)])

    def test_every_kind_of_table(self):
        table = pa.table(self.COLUMNS)
        frame = pl.DataFrame(self.COLUMNS)
        kinds = [table, table.to_batches()[0], table.to_reader(), pyarrow.dataset.dataset(table), frame, frame.lazy(),
                 pd.DataFrame(self.COLUMNS).astype({"k": "Int64"}), iter(table.to_batches())]  # fmt: skip
        for kind in kinds:
            with self.subTest(type(kind).__name__):
                self.check(kind)
        self.con.unregister("given table")
        with self.assertRaises(ballista.CatalogError):
            self.con.sql('FROM "given table"')

    def test_rows_are_streamed(self):
        ahead = 0

        def batches():
            nonlocal ahead
            for number in range(40):
                ahead += 1
                yield pa.record_batch({"n": pa.array(range(number * 50_000, (number + 1) * 50_000), pa.int64())})

        before = pa.total_allocated_bytes()
        self.con.register("many", batches())
        self.assertEqual(ahead, 40)
        self.assertEqual(self.con.sql("SELECT count(*), sum(n)::BIGINT FROM many").fetchall(),
                         [(2_000_000, 1_999_999_000_000)])  # fmt: skip
        self.assertLess(pa.total_allocated_bytes() - before, 1 << 20)
        # In pieces that both executors can take.
        self.assertGreater(pq.read_metadata(self.con._registrations._files["many"]).num_row_groups, 10)

    def test_nothing_is_left_and_no_other_session_sees_it(self):
        with tempfile.TemporaryDirectory() as shared:
            with self.cluster.connect(shared_folder=shared) as con:
                con.register("mine", pa.table({"a": [1]}))
                self.assertEqual(len(list(pathlib.Path(shared).rglob("*.parquet"))), 1)
                con.register("mine", pa.table({"a": [2]}))
                self.assertEqual(len(list(pathlib.Path(shared).rglob("*.parquet"))), 1)
                self.assertEqual(con.sql("FROM mine").fetchall(), [(2,)])
                with self.assertRaises(ballista.CatalogError):
                    self.con.sql("FROM mine")
            self.assertEqual(list(pathlib.Path(shared).iterdir()), [])

    def test_files_of_a_connection_that_is_not_closed_go_with_python(self):
        with tempfile.TemporaryDirectory() as shared:
            code = (f"import ballista, pyarrow, pathlib\ncon = ballista.connect({self.cluster.address!r}, "
                    f"shared_folder={shared!r})\ncon.register('t', pyarrow.table({{'a': [1]}}))\n"
                    f"print(len(list(pathlib.Path({shared!r}).iterdir())))")  # fmt: skip
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.stdout, "1\n", done.stderr)
            self.assertEqual(os.listdir(shared), [])

    def test_a_cluster_that_may_read_one_folder(self):
        with tempfile.TemporaryDirectory() as shared:
            allowed = ["--data-dirs", shared]
            with ballista.Cluster(executors=1, scheduler_args=allowed, executor_args=allowed) as cluster:
                with cluster.connect() as con, self.assertRaisesRegex(ballista.RegistrationError, "shared_folder"):
                    con.register("t", pa.table({"a": [1]}))
                with cluster.connect(shared_folder=shared) as con:
                    con.register("t", pa.table({"a": [1]}))
                    self.assertEqual(con.sql("FROM t").fetchall(), [(1,)])

    def test_what_cannot_be_registered(self):
        with self.assertRaisesRegex(ballista.RegistrationError, "cannot make a table of builtins.int"):
            self.con.register("x", 42)
        with self.assertRaisesRegex(ballista.RegistrationError, "at least one"):
            self.con.register("x", iter([]))
        with self.assertRaisesRegex(ballista.RegistrationError, "not a registered table"):
            self.con.unregister("x")
        remote = ballista.Connection.__new__(ballista.Connection)
        remote.location = "grpc+tcp://db.example:50050"
        self.assertFalse(remote.is_local)

    def test_registering_with_a_cluster_on_other_machines(self):
        with (
            unittest.mock.patch.object(ballista.Connection, "is_local", False),
            self.cluster.connect() as con,
        ):
            big = pa.table({"a": range(1_000_000), "s": ["x" * 100] * 1_000_000})  # of over 64 MiB
            con.register("big one", big.to_reader(50_000))
            con.register("few", pa.table({"a": [1, 2]}))
            self.assertEqual(con.sql('SELECT count(*), sum(a), max(s) FROM "big one"').fetchall(),
                             [(1_000_000, 499_999_500_000, "x" * 100)])  # fmt: skip
            self.assertEqual(con.sql("SELECT sum(f.a) FROM few f JOIN \"big one\" b USING (a)").fetchall(), [(3,)])
            con.register("few", pa.table({"b": ["new"]}))
            self.assertEqual(con.sql("FROM few").fetchall(), [("new",)])

            def broken():
                yield pa.record_batch({"b": ["half"]})
                raise ValueError("on purpose")

            with self.assertRaisesRegex(ValueError, "on purpose"):
                con.register("few", broken())
            self.assertEqual(con.sql("FROM few").fetchall(), [("new",)])
            con.unregister("few")
            con.unregister("big one")
            left = [table.name for table in con.tables() if "registered" in table.name or table.name in ("few", "big one")]
            self.assertEqual(left, [])


class Cancelling(Base):
    def test_cancel_from_another_thread(self):
        result = self.con.sql(LONG)
        threading.Timer(0.5, result.cancel).start()
        start = time.monotonic()
        with self.assertRaises(ballista.QueryCancelled):
            result.to_arrow()
        self.assertLess(time.monotonic() - start, 5)
        self.wait_until_idle()

    def test_a_result_that_is_left_is_cancelled(self):
        with self.con.sql(LONG):
            self.wait_until_running()
        self.wait_until_idle()

    def test_a_reader_that_is_dropped_is_cancelled(self):
        reader = self.con.sql("SELECT i, md5(i::VARCHAR) FROM range(20000000) t(i)").reader()
        self.assertGreater(reader.read_next_batch().num_rows, 0)
        reader.close()
        del reader
        self.wait_until_idle()

    def test_a_program_that_ends_leaves_no_query_behind(self):
        script = f"import ballista\ncon = ballista.connect({self.cluster.address!r})\nresult = con.sql({LONG!r})\n"
        subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
        self.wait_until_idle()

    def test_keyboard_interrupt(self):
        self.check_interrupt(f"con.sql({LONG!r}).to_arrow()")

    def test_keyboard_interrupt_while_files_are_written(self):
        with tempfile.TemporaryDirectory() as folder:
            copy = f"COPY ({LONG}) TO '{folder}/out' (FORMAT parquet)"
            self.check_interrupt(f"con.sql({copy!r})")
            self.assertEqual([path for path in pathlib.Path(folder).rglob("*.parquet")], [])

    def check_interrupt(self, call):
        script = f"import ballista\ncon = ballista.connect({self.cluster.address!r})\n{call}\n"
        process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        self.wait_until_running()
        process.send_signal(signal.SIGINT)
        start = time.monotonic()
        self.wait_until_idle()
        _, errors = process.communicate(timeout=10)
        self.assertLess(time.monotonic() - start, 5)
        self.assertRegex(errors.strip().splitlines()[-1], "^KeyboardInterrupt")


class ProgressBar(Base):
    def run_script(self, stderr):
        script = (
            f"import ballista\ncon = ballista.connect({self.cluster.address!r})\n"
            "try:\n    con.sql('SET statement_timeout = 1500')\n"
            f"    con.sql({LONG!r}).to_arrow()\nexcept ballista.QueryCancelled:\n    print('stopped')\n"
        )
        return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=stderr, text=True)

    def test_a_terminal_shows_it_and_it_goes_away(self):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        process = self.run_script(slave)
        os.close(slave)
        shown = b""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if select.select([master], [], [], 0.2)[0]:
                try:
                    shown += os.read(master, 4096)
                except OSError:  # the other side is closed
                    break
        self.assertEqual(process.communicate(timeout=10)[0], "stopped\n")
        text = shown.decode()
        self.assertRegex(text, r"\d+% stage 1/1 · tasks 0/1")
        self.assertTrue(text.endswith("\r\x1b[K"), text[-200:])

    def test_elsewhere_it_is_silent(self):
        process = self.run_script(subprocess.PIPE)
        self.assertEqual(process.communicate(timeout=20), ("stopped\n", ""))

    def test_the_line_fits(self):
        stages = (wire.Stage(4, 0, 4, 3_000_000), wire.Stage(4, 2, 1, 0))
        state = wire.Progress("running", stages, 0, "")
        text = progress.line(state, 2.34, 79)
        self.assertTrue(text.startswith("[====="), text)
        self.assertIn("62% stage 2/2 · tasks 5/8 · 3.0 MB · 2.3 s", text)
        for width in range(1, 90):
            self.assertLessEqual(len(progress.line(state, 2.34, width)), width)
        self.assertEqual(progress.line(wire.Progress("queued", (), 3, ""), 1, 79), "queued, position 3 · 1.0 s")
        self.assertEqual(progress.line(None, 1, 79), "running · 1.0 s")


class Clusters(unittest.TestCase):
    def test_missing_programs_are_named(self):
        code = "import ballista\ntry: ballista.Cluster().start()\nexcept ballista.ClusterError as e: print(e)"
        environment = {**os.environ, "PATH": "/nonexistent", "BALLISTA_HOME": "/nonexistent"}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)
        self.assertRegex(done.stdout, "BALLISTA_HOME.*PATH", done.stderr)

    def test_a_program_that_ends_is_reported_with_its_log(self):
        with self.assertRaisesRegex(ballista.ClusterError, "(?s)scheduler ended with code .*no-such-option"):
            ballista.Cluster(scheduler_args=["--no-such-option"]).start()

    def test_python_that_ends_stops_it(self):
        code = ("import ballista\nc = ballista.Cluster(executors=1).start()\n"
                "print(*[p.pid for p in c._processes.values()], c._folder)")  # fmt: skip
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        *pids, folder = done.stdout.split()
        self.assertEqual(len(pids), 2, done.stderr)
        self.assertFalse(any(os.path.exists(f"/proc/{pid}") for pid in pids))
        self.assertFalse(os.path.exists(folder))


    def test_python_that_is_killed_leaves_nothing(self):
        code = ("import ballista, os, signal\nc = ballista.Cluster(executors=1).start()\n"
                "print(*[p.pid for p in c._processes.values()], c._folder, flush=True)\n"
                "os.kill(os.getpid(), signal.SIGKILL)")  # fmt: skip
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        *pids, folder = done.stdout.split()
        self.assertEqual(len(pids), 2)
        deadline = time.monotonic() + 20
        while any(map(alive, pids)) or os.path.exists(folder):
            self.assertLess(time.monotonic(), deadline, f"left: {pids} {folder}")
            time.sleep(0.1)


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Wire(unittest.TestCase):
    def test_bytes_that_are_no_message(self):
        for encoded in (b"\x80", b"\x0a\x05ab", b"\x0b", b"\xff" * 12):
            with self.subTest(encoded), self.assertRaises(ValueError):
                wire.Message(encoded)
        error = flight.FlightServerError("Flight returned x error, with message: hello. Detail: Failed", b"\x80\x80")
        self.assertEqual(str(ballista.errors.from_flight(error)), "hello")

    def test_numbers(self):
        for number in (0, 1, 127, 128, 300, 1 << 40):
            self.assertEqual(wire.Message(b"\x08" + wire.varint(number)).integer(1), number)
        self.assertEqual(wire.Message(wire.field(2, b"abc")).text(2), "abc")
        self.assertTrue(re.fullmatch("Basic [A-Za-z0-9+/=]+", wire.basic("u", "p")))


if __name__ == "__main__":
    unittest.main()
