"""An executor that stands still (SIGSTOP) holds up no query that asks for ballista.speculation: its task is run a second
time elsewhere. Without the option a query waits for it; and a COPY does so in any case."""

import pathlib
import signal
import sys
import tempfile
import threading
import time
import unittest

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cluster import Cluster  # noqa: E402
from summary import main  # noqa: E402

FILES = 6
ROWS = 20_000  # of a file
EXECUTORS = 3
LONG = 4.0  # seconds; a query takes a small part of it
QUERY = "SELECT k % 10 AS g, count(*) AS n, sum(v) AS s FROM '{}/facts/*.parquet' GROUP BY 1 ORDER BY 1"
SPECULATE = ("speculation = true", "speculation_min_runtime = '300ms'")


class Asked:
    """A statement in a thread of its own."""

    def __init__(self, cluster, sql, settings=()):
        self.start = time.monotonic()
        self.seconds = None
        self.answer = None
        self.error = None
        self.thread = threading.Thread(target=self.run, args=(cluster, sql, settings))
        self.thread.start()

    def run(self, cluster, sql, settings):
        try:
            with cluster.connect() as connection:
                for setting in ("single_task_threshold = 0", *settings):
                    cluster.sql(f"SET ballista.{setting}", connection)
                self.answer = cluster.sql(sql, connection)
        except Exception as error:  # reported by the test
            self.error = error
        self.seconds = time.monotonic() - self.start

    def wait(self, limit):
        """The answer, or None where there is none within `limit` seconds."""
        self.thread.join(timeout=limit)
        if self.error is not None:
            raise self.error
        return self.answer


class Speculation(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        pathlib.Path(self.folder, "facts").mkdir()
        for part in range(FILES):
            values = range(part * ROWS, (part + 1) * ROWS)
            table = pa.table({"k": pa.array([i * 7919 % 5000 for i in values], pa.int64()), "v": pa.array(values)})
            pq.write_table(table, f"{self.folder}/facts/{part}.parquet")
        self.query = QUERY.format(self.folder)
        # Whoever stands still is not lost in the time of the test.
        self.cluster = Cluster(executors=EXECUTORS, scheduler_args=("--executor-timeout", "120s"))
        self.cluster.__enter__()
        self.addCleanup(lambda: self.cluster.__exit__(None, None, None))  # looks for what is left, too
        self.stopped = self.cluster.executors[-1]
        self.addCleanup(self.go_on)
        self.assertIsNotNone(Asked(self.cluster, self.query).wait(30))

    def stand_still(self):
        self.stopped.child.send_signal(signal.SIGSTOP)

    def go_on(self):
        if self.stopped.running():
            self.stopped.child.send_signal(signal.SIGCONT)

    def check(self, answer):
        expected = duckdb.connect().sql(self.query).to_arrow_table()
        self.assertEqual(answer.to_pylist(), expected.to_pylist())

    def test_a_query_that_speculates_does_not_wait(self):
        self.stand_still()
        for _ in range(3):
            asked = Asked(self.cluster, self.query, SPECULATE)
            self.check(asked.wait(LONG))
            print(f"answered in {asked.seconds:.2f} s")
        self.go_on()
        self.check(Asked(self.cluster, self.query, SPECULATE).wait(30))

    def test_a_query_that_does_not_speculate_waits(self):
        self.stand_still()
        asked = Asked(self.cluster, self.query, ("speculation = false", SPECULATE[1]))
        self.assertIsNone(asked.wait(LONG))
        self.go_on()
        self.check(asked.wait(30))

    def test_late_is_as_the_options_say(self):
        self.stand_still()
        for setting in ("speculation_min_runtime = '1h'", "speculation_quantile = 100", "speculation_multiplier = 1000"):
            quick = tuple(one for one in SPECULATE if one.split()[0] != setting.split()[0])
            if "multiplier" in setting:
                quick = (quick[0], "speculation_min_runtime = '1ms'")
            asked = Asked(self.cluster, self.query, (*quick, setting))
            self.assertIsNone(asked.wait(1.5), setting)
            self.go_on()
            self.check(asked.wait(30))
            self.stand_still()

    def test_what_writes_files_is_not_run_twice(self):
        self.stand_still()
        target = pathlib.Path(self.folder, "copied")
        copy = f"COPY (SELECT * FROM '{self.folder}/facts/*.parquet') TO '{target}' (FORMAT parquet)"
        asked = Asked(self.cluster, copy, SPECULATE)
        self.assertIsNone(asked.wait(LONG))
        self.go_on()
        self.assertIsNotNone(asked.wait(30))
        [(rows, distinct)] = duckdb.connect().sql(f"SELECT count(*), count(DISTINCT v) FROM read_parquet('{target}/**/*.parquet')").fetchall()
        self.assertEqual((rows, distinct), (FILES * ROWS, FILES * ROWS))


if __name__ == "__main__":
    main()
