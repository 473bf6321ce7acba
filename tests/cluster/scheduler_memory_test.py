"""What a scheduler holds of rows is bounded in all: results that nobody has read yet, what is on its way into tables,
uploads, and the tables themselves. A statement beyond it fails with a sentence; the others, and the scheduler, go on."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cluster import Cluster  # noqa: E402
from raw_client import RawClient  # noqa: E402
from summary import main  # noqa: E402

ROWS = "the scheduler's memory for rows, of which .*--result-memory-limit"
TABLES = "the scheduler's memory for planning and for tables made by CREATE TABLE is used up \\(--memory-limit\\)"


class SchedulerMemory(unittest.TestCase):
    def start(self, *options):
        cluster = self.enterContext(Cluster(executors=2, scheduler_args=options))
        return cluster, RawClient(cluster.port, 60)

    def test_rows_that_wait_to_be_read(self):
        cluster, client = self.start("--result-memory-limit", "4MiB")
        megabyte = "SELECT repeat('x', 1000000) AS s"
        waiting = [client.start(megabyte) for _ in range(4)]
        with self.assertRaisesRegex(Exception, "a result of at least .*" + ROWS):
            client.start(megabyte)
        # What needs less goes on, and so do queries of executors.
        self.assertEqual(client.sql("SELECT 1 AS one").to_pydict(), {"one": [1]})
        self.assertEqual(client.sql("SELECT count(*) AS n FROM range(1000)").to_pydict(), {"n": [1000]})
        # What was read, or cancelled, makes room.
        self.assertEqual(len(client.rows(waiting.pop()).column(0)[0].as_py()), 1_000_000)
        waiting.append(client.start(megabyte))
        client.cancel("CancelFlightInfo", waiting.pop())
        waiting.append(client.start(megabyte))
        for info in waiting:
            self.assertEqual(client.rows(info).num_rows, 1)

    def test_small_results_of_executors_stay_there_beyond_it(self):
        cluster, client = self.start("--result-memory-limit", "1MiB")
        client.sql("SET ballista.single_task_threshold = 0")
        sql = "SELECT range AS x, md5(range::VARCHAR) AS m FROM range(20000)"  # of some 800 KB
        expected = client.sql(sql).sort_by("x")
        self.assertEqual(expected.num_rows, 20000)
        waiting = [client.start(sql) for _ in range(6)]
        cluster.wait_for(
            lambda: sum(job["state"] == "FINISHED" for job in cluster.status(cluster.scheduler)["jobs"]) == 6,
            30, "the queries to finish",
        )  # fmt: skip
        for info in waiting:
            self.assertEqual(client.rows(info).sort_by("x"), expected)

    def test_what_goes_into_tables(self):
        cluster, client = self.start("--result-memory-limit", "1MiB")
        client.sql("CREATE TABLE few AS SELECT range AS x FROM range(1000)")
        too_much = "SELECT range AS x, md5(range::VARCHAR) AS m FROM range(100000)"
        for statement in (
            f"CREATE TABLE many AS {too_much}",
            f"CREATE OR REPLACE TABLE few AS {too_much}",
        ):
            with self.assertRaisesRegex(Exception, "what is to be inserted of at least .*" + ROWS, msg=statement):
                client.sql(statement)
        with self.assertRaisesRegex(Exception, "does not exist"):
            client.sql("SELECT * FROM many")
        self.assertEqual(client.sql("SELECT count(*) AS n FROM few").to_pydict(), {"n": [1000]})

    def test_tables_in_all(self):
        cluster, client = self.start("--memory-limit", "64MiB")
        rows = "SELECT range AS x, md5(range::VARCHAR) AS m FROM range(200000)"
        made = 0
        with self.assertRaisesRegex(Exception, TABLES):
            while made < 50:
                client.sql(f"CREATE TABLE t{made} AS {rows}")
                made += 1
        self.assertGreater(made, 1)
        self.assertEqual(client.sql("SELECT count(*) AS n FROM t0").to_pydict(), {"n": [200000]})
        client.sql("DROP TABLE t1")
        client.sql("CREATE TABLE again AS SELECT x FROM t0 LIMIT 1000")
        self.assertEqual(client.sql("SELECT count(*) AS n FROM again").to_pydict(), {"n": [1000]})


if __name__ == "__main__":
    main()
