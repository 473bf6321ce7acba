"""Uploads that are too large for memory, by the stock ADBC driver: they are streamed to the scheduler's disk, and read
from there by executors; what comes out is DuckDB's."""

import contextlib
import datetime
import decimal
import pathlib
import sys
import tempfile
import unittest
import uuid

import adbc_driver_manager
import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.flight as flight

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "cluster"), str(ROOT / "tests" / "oracle")]
import compare  # noqa: E402
from cluster import Cluster  # noqa: E402
from messages import field, packed  # noqa: E402
from raw_client import RawClient  # noqa: E402
from summary import main  # noqa: E402

MIB = 1 << 20
ROWS = 100_000  # of a batch
DISTRIBUTED = ("SET ballista.single_task_threshold = 0", "SET ballista.broadcast_threshold = 0")


def batches(count, first=0):
    """Each of about 6 MB."""
    words = pa.array([f"{(i * 2654435761) % 2**32:032x}" for i in range(ROWS)])
    base = pa.array(range(ROWS))
    for number in range(first, first + count):
        i = pc.add(base, number * ROWS)
        yield pa.record_batch(
            {
                "i": i,
                "k": pc.subtract(i, pc.multiply(pc.divide(i, 997), 997)),
                "f": pc.multiply(i, 0.25),
                "s": pc.if_else(pc.equal(pc.bit_wise_and(i, 15), 0), None, words),
            }
        )


SCHEMA = next(batches(1)).schema


def reader(count, first=0, each=None):
    def all_batches():
        for batch in batches(count, first):
            yield batch
            if each:
                each()

    return pa.RecordBatchReader.from_batches(SCHEMA, all_batches())


@contextlib.contextmanager
def folder_of_files():
    with tempfile.TemporaryDirectory() as name:
        yield pathlib.Path(name)


class LargeUploads(unittest.TestCase):
    def start(self, *scheduler_args, **options):
        self.cluster = self.enterContext(Cluster(executors=2, scheduler_args=list(scheduler_args), **options))
        self.con = self.enterContext(self.cluster.connect())
        self.cursor = self.enterContext(self.con.cursor())

    def table(self, sql):
        self.cursor.execute(sql)
        return self.cursor.fetch_arrow_table()

    def count(self, table):
        return self.table(f"SELECT count(*) AS n FROM {table}").column(0)[0].as_py()

    def ingest(self, name, data, mode="create", **more):
        # A cursor whose upload was refused runs nothing else.
        with self.con.cursor() as cursor:
            return cursor.adbc_ingest(name, data, mode=mode, **more)

    def assertRefused(self, text, call, *arguments, **named):
        with self.assertRaises(adbc_driver_manager.Error) as caught:
            call(*arguments, **named)
        self.assertRegex(str(caught.exception), text)

    def test_three_hundred_megabytes_in_flat_memory(self):
        folder = self.enterContext(folder_of_files())
        self.start("--upload-dir", str(folder))
        seen = []
        scheduler = self.cluster.scheduler
        many = 54
        count = self.ingest("big", reader(many, each=lambda: seen.append(scheduler.resident_bytes())))
        self.assertEqual(count, many * ROWS)
        self.assertGreater(sum(b.nbytes for b in batches(many)), 300 * MIB)
        # While it may still be a table in memory, all is in memory: 64 MiB. Then one file's rows are.
        self.assertLess(max(seen), seen[0] + 250 * MIB, [n // MIB for n in seen])
        self.assertLess(max(seen[many // 2 :]), max(seen[: many // 2]) + 48 * MIB, [n // MIB for n in seen])
        files = sorted(folder.rglob("*.parquet"))
        self.assertGreater(len(files), 5)

        for setting in DISTRIBUTED:
            self.cursor.execute(setting)
        with duckdb.connect() as oracle:
            big = reader(many).read_all()
            oracle.register("big", big)
            for sql in (
                "SELECT count(*) AS n, sum(i) AS i, sum(f) AS f, count(s) AS s, min(s), max(s) FROM big",
                "SELECT k, count(*) AS n, sum(f) AS f, max(s) FROM big GROUP BY k ORDER BY k",
                "SELECT a.i, b.s FROM big a JOIN big b ON a.i = b.i + 1000000 WHERE a.k = 3 AND b.s IS NOT NULL "
                "ORDER BY a.i LIMIT 1000",
                "SELECT i, s FROM big WHERE i BETWEEN 4999990 AND 5000010 ORDER BY i",
                "SELECT s, count(*) AS n FROM big GROUP BY s ORDER BY n DESC, s LIMIT 10",
            ):
                with self.subTest(sql):
                    verdict = compare.compare(sql, oracle.sql(sql).to_arrow_table(), self.table(sql), oracle)
                    self.assertEqual(verdict.problem, "")
        self.cursor.execute("EXPLAIN ANALYZE SELECT k, count(*) FROM big GROUP BY k")
        self.assertRegex(str(self.cursor.fetchall()), r"(?s)tasks")

        # What is written elsewhere, and runs as a statement's text, reads it too.
        self.assertEqual(self.table("SELECT count(*) AS n FROM big TABLESAMPLE 100%").column(0)[0].as_py(), count)
        self.cursor.execute("CREATE TABLE few AS SELECT i FROM big WHERE i < 10")
        self.assertEqual(self.count("few"), 10)
        self.cursor.execute("DROP TABLE big")
        self.assertRefused("big does not exist", self.table, "FROM big")
        self.assertEqual(list(folder.rglob("*.parquet")), [])

    def test_modes_and_changes(self):
        folder = self.enterContext(folder_of_files())
        self.start("--upload-dir", str(folder))
        many = 12  # 74 MB
        self.ingest("t", reader(2))
        self.cursor.execute("DELETE FROM t WHERE i = 0")  # in memory, it takes changes
        # It grows beyond memory by appending; columns are matched by name.
        self.assertEqual(self.ingest("t", reader(many, 2), "append"), many * ROWS)
        self.assertEqual(self.count("t"), (many + 2) * ROWS - 1)
        turned = pa.table({"s": ["x", None], "i": [-1, -2]})
        self.assertEqual(self.ingest("t", turned, "create_append"), 2)
        self.assertEqual(
            self.table("SELECT * FROM t WHERE i < 0 ORDER BY i").to_pydict(),
            {"i": [-2, -1], "k": [None, None], "f": [None, None], "s": [None, "x"]},
        )
        self.assertRefused("already exists", self.ingest, "t", turned)
        self.assertRefused('column with the name "other"', self.ingest, "t", pa.table({"other": [1]}), "append")
        for change in ("INSERT INTO t VALUES (1, 2, 3, 'x')", "DELETE FROM t", "UPDATE t SET i = 1",
                       "ALTER TABLE t RENAME TO u"):  # fmt: skip
            self.assertRefused("t was uploaded and is too large for memory", self.table, change)
        self.assertEqual(self.count("t"), (many + 2) * ROWS + 1)
        names = [row["table_name"] for row in self.table("FROM information_schema.tables").to_pylist()]
        self.assertEqual(names, ["t"])

        # A failure on the way leaves everything as it was.
        def broken():
            yield from batches(many)
            raise ValueError("on purpose")

        before = len(list(folder.rglob("*.parquet")))
        with self.assertRaisesRegex(Exception, "on purpose"):
            self.ingest("t", pa.RecordBatchReader.from_batches(SCHEMA, broken()), "append")
        self.assertEqual(self.count("t"), (many + 2) * ROWS + 1)
        self.cluster.wait_for(
            lambda: len(list(folder.rglob("*.parquet"))) == before, 30, "the files of the upload to go"
        )

        # Replaced by many rows, and by few.
        self.assertEqual(self.ingest("t", reader(many, 100), "replace"), many * ROWS)
        self.assertEqual(self.table("SELECT min(i) AS i FROM t").to_pydict(), {"i": [100 * ROWS]})
        self.assertEqual(self.ingest("t", reader(1), "replace"), ROWS)
        self.assertEqual(self.count("t"), ROWS)
        self.cursor.execute("INSERT INTO t VALUES (1, 2, 3, 'x')")
        self.assertEqual(list(folder.rglob("*.parquet")), [])

        # A temporary one is seen by its session alone, and goes with it.
        other = RawClient(self.cluster.port, 60)
        body = field(1, field(1, 1)) + field(2, "mine") + field(5, 1)  # creates; a temporary table
        descriptor = flight.FlightDescriptor.for_command(packed("CommandStatementIngest", body))
        writer, answer = other.flight.do_put(descriptor, SCHEMA, other.options())
        with writer:
            for batch in batches(many):
                writer.write_batch(batch)
            writer.done_writing()
            answer.read()
        self.assertEqual(other.sql("SELECT count(*) AS n FROM mine").to_pydict(), {"n": [many * ROWS]})
        self.assertRefused("mine does not exist", self.table, "FROM mine")
        self.assertNotEqual(list(folder.rglob("*.parquet")), [])
        other.act("CloseSession")
        self.cluster.wait_for(lambda: not list(folder.rglob("*.parquet")), 30, "the session's files to go")
        other.close()

    def test_a_table_that_is_dropped_stays_for_queries_that_run(self):
        folder = self.enterContext(folder_of_files())
        self.start("--upload-dir", str(folder))
        self.cursor.execute(DISTRIBUTED[0])
        self.ingest("t", reader(12))
        self.cursor.execute("SELECT i, s FROM t")  # has a ticket
        first = self.cursor.fetchone()
        self.assertIsNotNone(first)
        with self.cluster.connect() as other, other.cursor() as cursor:
            cursor.execute("DROP TABLE t")
            self.assertEqual(len(self.cursor.fetchall()), 12 * ROWS - 1)
            cursor.execute("SELECT 1")
            self.cluster.wait_for(lambda: self.gone(cursor, folder), 30, "the files to go")

    @staticmethod
    def gone(cursor, folder):
        cursor.execute("SELECT 1")
        cursor.fetchall()
        return not list(folder.rglob("*.parquet"))

    def test_types_come_back_as_they_went(self):
        self.start()
        day = datetime.datetime(2020, 1, 2, 3, 4, 5, 678901)
        utc = day.replace(tzinfo=datetime.timezone.utc)
        values = {
            "b": ([True, None], pa.bool_()),
            "u8": ([255, None], pa.uint8()),
            "u64": ([2**64 - 1, None], pa.uint64()),
            "f4": ([0.1, None], pa.float32()),
            "d38": ([decimal.Decimal("-1234567890123456789012345.6789"), None], pa.decimal128(38, 4)),
            "date": ([day.date(), None], pa.date32()),
            "time": ([day.time(), None], pa.time64("us")),
            "s_ts": ([day.replace(microsecond=0), None], pa.timestamp("s")),
            "ns_ts": ([day, None], pa.timestamp("ns")),
            "tz": ([utc, None], pa.timestamp("us", "Etc/UTC")),
            "step": ([pa.MonthDayNano([1, 2, 3_000_001_000]), None], pa.month_day_nano_interval()),
            "bytes": ([b"\0\xff", None], pa.binary()),
            "list": ([["a", None], None], pa.list_(pa.string())),
            "struct": ([{"x": 1, "y": "z"}, None], pa.struct({"x": pa.int32(), "y": pa.string()})),
            "map": ([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
            "fixed": ([[1, 2], None], pa.list_(pa.int32(), 2)),
        }
        columns = {}
        for name, (of_two, kind) in values.items():
            columns[name] = pa.array(of_two * 50_000, kind)
        few = pa.table(columns)
        wide = few.append_column("pad", pa.array(["x" * 900] * few.num_rows))
        self.assertGreater(wide.nbytes, 64 * MIB)
        self.ingest("small", few.slice(0, 2))
        self.ingest("large", wide.to_reader(10_000))
        small = self.table("FROM small")
        large = self.table(f"SELECT DISTINCT {', '.join(values)} FROM large ORDER BY b NULLS LAST")
        self.assertEqual(large.schema, small.schema)
        self.assertEqual(large.to_pydict(), small.to_pydict())
        # A type that Parquet does not have, within another one.
        steps = pa.table({"a": pa.array([[pa.MonthDayNano([1, 2, 3])]] * 9, pa.list_(pa.month_day_nano_interval()))})
        pad = pa.array(["x" * (10 * MIB)] * 9)
        self.assertRefused(
            r"the column a is of the type INTERVAL\[\]", self.ingest, "no", steps.append_column("p", pad).to_reader(1)
        )

    def test_no_more_than_the_quota(self):
        folder = self.enterContext(folder_of_files())
        self.start("--upload-dir", str(folder), "--upload-quota", "20MiB")
        for _ in range(2):  # what the first one took is given back
            self.assertRefused("at most 20971520; drop some, or raise .*--upload-quota", self.ingest, "t", reader(40))
            self.assertRefused("t does not exist", self.table, "FROM t")
            self.assertEqual(list(folder.rglob("*.parquet")), [])
        self.ingest("few", reader(2))
        self.assertEqual(self.count("few"), 2 * ROWS)

    def test_a_path_of_an_upload_is_no_way_to_write(self):
        self.start()
        path = f"ballista-upload://{uuid.uuid4()}/0.parquet"
        self.assertRefused("writes to local and mounted file systems only", self.table, f"COPY (SELECT 1) TO '{path}' (FORMAT parquet)")

    def test_none_at_all(self):
        self.start("--upload-quota", "0")
        self.assertRefused("too large for a local table.*upload-quota=0", self.ingest, "t", reader(12))

    def test_in_confined_processes(self):
        data = self.enterContext(folder_of_files())
        uploads = self.enterContext(folder_of_files())
        self.start("--upload-dir", str(uploads), "--data-dirs", str(data), executor_args=["--data-dirs", str(data)])
        self.ingest("t", reader(12))
        self.assertEqual(self.count("t"), 12 * ROWS)
        path = next(uploads.rglob("*.parquet"))
        self.assertRefused("outside of the folders", self.table, f"FROM '{path}'")
        unknown = f"ballista-upload://{uuid.uuid4()}/0.parquet"
        self.assertRefused("not there any more", self.table, f"FROM read_parquet('{unknown}')")
        self.assertRefused("outside of the folders", self.table, f"COPY (SELECT 1) TO '{unknown}' (FORMAT parquet)")


if __name__ == "__main__":
    main()
