"""--data-dirs: what lies outside cannot be read, listed or written by any statement, in the scheduler, in tasks and in
statements that run whole; what lies inside works as ever."""

import pathlib
import sys
import tempfile
import unittest

import adbc_driver_manager
import pyarrow as pa
import pyarrow.flight as flight
import pyarrow.parquet as pq

ROOT = pathlib.Path(__file__).resolve().parents[2]
for folder in ("cluster", "clients"):
    sys.path.insert(0, str(ROOT / "tests" / folder))
from cluster import Cluster  # noqa: E402
from messages import field  # noqa: E402

SECRET = "the-secret-of-the-other-folder"
# A query that the translator gives up on: it runs whole, as text, on an executor.
WHOLE = "SELECT * FROM {} AS t LIMIT (SELECT 10)"


class DataDirs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.own = tempfile.TemporaryDirectory()
        cls.root = pathlib.Path(cls.own.name).resolve()
        cls.data, cls.other, cls.more = (cls.root / name for name in ("data", "other", "more"))
        for folder in (cls.data, cls.other, cls.more):
            folder.mkdir()
            (folder / "t.csv").write_text(f"a,b\n1,{SECRET if folder is cls.other else 'open'}\n")
            (folder / "t.json").write_text('{"a": 1}\n')
            pq.write_table(pa.table({"a": range(1000), "b": [str(i) for i in range(1000)]}), folder / "t.parquet")
        (cls.data / "link").symlink_to(cls.other)
        (cls.data / "one.csv").symlink_to("../other/t.csv")
        (cls.data / "dangling.csv").symlink_to(cls.other / "new.csv")
        (cls.data / "twice").symlink_to("link/../../other")
        (cls.root / "alias").symlink_to(cls.data)
        options = ["--data-dirs", f"{cls.root}/alias,{cls.more}"]
        cls.cluster = Cluster(executors=2, scheduler_args=options, executor_args=options)
        cls.cluster.__enter__()
        cls.before = cls.outside()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__(None, None, None)
        cls.own.cleanup()

    @classmethod
    def outside(cls):
        """What there is outside of the allowed folders, with its bytes."""
        return {path: path.read_bytes() for path in cls.other.rglob("*") if path.is_file()}

    def rows(self, *statements):
        connection = self.cluster.connect()
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                    table = cursor.fetch_arrow_table()
                return table.to_pylist()
        finally:
            connection.close()

    def refuse(self, *statements, words="(?i)permission|outside of the folders|not support|cannot|unknown|no setting"):
        with self.subTest(statements=statements):
            with self.assertRaises(adbc_driver_manager.Error) as error:
                self.rows(*statements)
            message = str(error.exception)
            self.assertRegex(message, words)
            self.assertNotIn(SECRET, message)
            self.assertEqual(self.outside(), self.before)
            self.assertEqual(self.cluster.dead(), [])

    PERMISSION = "(?i)permission error|outside of the folders"

    def test_inside_works(self):
        for folder in (self.data, self.more, self.root / "alias"):
            self.assertEqual(self.rows(f"SELECT b FROM '{folder}/t.csv'"), [{"b": "open"}])
            self.assertEqual(self.rows(f"SELECT count(*) AS n FROM '{folder}/*.parquet'"), [{"n": 1000}])
            self.assertEqual(self.rows(f"SELECT a FROM read_json('{folder}/t.json')"), [{"a": 1}])
            self.assertEqual(len(self.rows(f"SELECT * FROM glob('{folder}/t.*')")), 3)
        distributed = ("SET ballista.single_task_threshold = 0", "SET ballista.broadcast_threshold = 0")
        join = f"SELECT count(*) AS n FROM '{self.data}/t.parquet' x JOIN '{self.more}/t.parquet' y ON x.a = y.a"
        self.assertEqual(self.rows(*distributed, join), [{"n": 1000}])
        self.assertEqual(self.rows(WHOLE.format(f"'{self.data}/t.csv'"))[0]["b"], "open")
        self.assertIn("Statement", self.rows("EXPLAIN " + WHOLE.format(f"'{self.data}/t.csv'"))[0]["plan"])
        self.rows(f"COPY (SELECT * FROM '{self.data}/t.parquet') TO '{self.more}/out' (FORMAT parquet, PARTITION_BY (a))")
        self.assertEqual(self.rows(f"SELECT count(*) AS n FROM '{self.more}/out/*/*.parquet'"), [{"n": 1000}])
        self.rows(f"CREATE EXTERNAL TABLE here STORED AS PARQUET LOCATION '{self.more}/out'")
        self.assertEqual(self.rows("SELECT count(*) AS n FROM here"), [{"n": 1000}])
        # A sort that needs more than an executor has goes to its work folder, which no statement sees.
        self.refuse(f"SELECT * FROM glob('{self.cluster.folder}/**')", words=self.PERMISSION)

    def outside_paths(self, name):
        yield f"{self.other}/{name}"
        yield f"{self.data}/../other/{name}"
        yield f"{self.data}/link/{name}"
        yield f"{self.data}/twice/{name}"
        yield f"{self.data}/./link/../link/{name}"
        yield f"file://{self.other}/{name}"
        yield f"file:{self.other}/{name}"
        yield f"{self.root}/data-not/../other/{name}"

    def test_reading_functions(self):
        for path in self.outside_paths("t.csv"):
            self.refuse(f"SELECT * FROM '{path}'")
            self.refuse(WHOLE.format(f"'{path}'"))
            for function in ("read_csv", "read_csv_auto", "read_text", "read_blob", "sniff_csv"):
                self.refuse(f"SELECT * FROM {function}('{path}')")
                self.refuse(WHOLE.format(f"{function}('{path}')"))
        for path in self.outside_paths("t.parquet"):
            for function in (
                "read_parquet", "parquet_scan", "parquet_metadata", "parquet_schema", "parquet_file_metadata",
                "parquet_kv_metadata", "parquet_bloom_probe",
            ):  # fmt: skip
                arguments = f"'{path}', 'a', 1" if "probe" in function else f"'{path}'"
                self.refuse(f"SELECT * FROM {function}({arguments})")
        for path in self.outside_paths("t.json"):
            for function in ("read_json", "read_json_auto", "read_ndjson", "read_json_objects", "read_ndjson_objects"):
                self.refuse(f"SELECT * FROM {function}('{path}')")
        for function in ("read_text", "read_csv", "read_blob"):
            self.refuse(f"SELECT * FROM {function}('/etc/passwd')", words=self.PERMISSION)
            self.refuse(f"SELECT * FROM {function}('/proc/self/environ')", words=self.PERMISSION)
            self.refuse(f"SELECT * FROM {function}(['{self.data}/t.csv', '{self.other}/t.csv'])", words=self.PERMISSION)
            self.refuse(f"SELECT * FROM {function}('{self.data}/one.csv')", words=self.PERMISSION)
        self.refuse("SELECT * FROM 'https://localhost:1/x.csv'")
        self.refuse("SELECT * FROM 's3://bucket/x.parquet'")

    def test_folders_as_tables(self):
        for path in (str(self.other), f"{self.data}/link", f"{self.data}/../other", "/etc", f"{self.root}/nowhere"):
            self.refuse(f"SELECT * FROM '{path}'", words=self.PERMISSION)

    def test_data_frames(self):
        """The same by the message that client libraries send in place of SQL."""
        client = flight.connect(f"grpc://localhost:{self.cluster.port}")

        def describe(source, write=b""):
            body = field(1, 1) + field(2, source) + write
            command = field(1, "type.googleapis.com/ballista.dataframe.CommandDataFrame") + field(2, body)
            descriptor = flight.FlightDescriptor.for_command(command)
            for call in (client.get_schema, client.get_flight_info):
                yield lambda call=call: call(descriptor, flight.FlightCallOptions(timeout=30))

        def refuse(source, write=b""):
            for call in describe(source, write):
                with self.assertRaises((pa.ArrowException, flight.FlightError)) as error:
                    call()
                self.assertRegex(str(error.exception), self.PERMISSION)
                self.assertNotIn(SECRET, str(error.exception))
            self.assertEqual(self.outside(), self.before)

        def read(kind, *paths):
            return field(10, field(1, kind) + b"".join(field(2, path) for path in paths))

        for kind in ("csv", "json", "parquet"):
            for path in self.outside_paths(f"t.{kind}"):
                refuse(read(kind, path))
            for path in (str(self.other), f"{self.data}/link", f"{self.other}/*", "/etc", f"{self.root}/nowhere"):
                refuse(read(kind, path))
            refuse(read(kind, f"{self.data}/t.{kind}", f"{self.other}/t.{kind}"))
            get_schema, get_info = describe(read(kind, f"{self.data}/t.{kind}"))
            get_schema()
            rows = client.do_get(get_info().endpoints[0].ticket).read_all()
            self.assertEqual(rows.num_rows, 1000 if kind == "parquet" else 1)
            refuse(field(11, field(1, f"{self.other}/t.{kind}")))
        inside = field(10, field(1, "csv") + field(2, f"{self.data}/t.csv") + field(4, "a"))
        for path in self.outside_paths("new.csv"):
            write = field(3, "a") + field(5, field(1, path) + field(2, "csv"))
            with self.assertRaises((pa.ArrowException, flight.FlightError)) as error:
                [*describe(inside, write)][1]()
            self.assertRegex(str(error.exception), self.PERMISSION)
            self.assertEqual(self.outside(), self.before)

    def test_listing(self):
        for pattern in (
            "/*", "/etc/*", "/**", f"{self.root}/*", f"{self.root}/*/t.csv", f"{self.root}/d*/t.csv", f"{self.other}/**",
            f"{self.data}/link/*", f"{self.data}/*/../../other/*", f"{self.data}/../*", f"{self.data}/twice/t.*",
        ):  # fmt: skip
            self.refuse(f"SELECT * FROM glob('{pattern}')", words=self.PERMISSION)
            self.refuse(f"SELECT * FROM read_csv('{pattern}')", words=self.PERMISSION)
            self.refuse(WHOLE.format(f"glob('{pattern}')"), words=self.PERMISSION)
        names = {row["file"] for row in self.rows(f"SELECT * FROM glob('{self.data}/**')")}
        self.assertFalse([name for name in names if "link/" in name or "twice/" in name], names)

    def test_writing(self):
        for path in self.outside_paths("new"):
            for target in (f"'{path}.csv'", f"'{path}.parquet'", f"'{path}' (FORMAT parquet, PER_THREAD_OUTPUT)"):
                self.refuse(f"COPY (SELECT 1 AS a) TO {target}")
            self.refuse(f"COPY (SELECT 1 AS a, 2 AS b) TO '{path}' (FORMAT csv, PARTITION_BY (a))")
        self.refuse(f"COPY (SELECT 1 AS a) TO '{self.data}/dangling.csv'", words=self.PERMISSION)
        self.refuse("COPY (SELECT 1 AS a) TO '/dev/stdout'", words=self.PERMISSION)
        # Names of files are the engine's own here; the pattern leads nowhere.
        self.rows(f"COPY (SELECT 1 AS a) TO '{self.data}/x' (FORMAT csv, PER_THREAD_OUTPUT, FILENAME_PATTERN '../../other/x')")
        self.assertEqual(self.outside(), self.before)
        self.refuse(f"EXPLAIN ANALYZE COPY (SELECT 1 AS a) TO '{self.other}/new.csv'", words=self.PERMISSION)
        self.rows("CREATE TABLE IF NOT EXISTS local AS SELECT 1 AS a, 'x' AS b")
        self.refuse(f"COPY local FROM '{self.other}/t.csv'")
        self.refuse(f"COPY local TO '{self.other}/new.csv'")
        self.refuse(f"INSERT INTO local SELECT * FROM '{self.other}/t.csv'")
        self.refuse(f"EXPORT DATABASE '{self.other}/export'")
        self.refuse(f"IMPORT DATABASE '{self.other}'")

    def test_tables_and_views(self):
        for path in self.outside_paths(""):
            self.refuse(f"CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '{path}'", words=self.PERMISSION)
            self.refuse(f"CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '{path}/t.csv'", words=self.PERMISSION)
        self.refuse(f"CREATE VIEW v AS SELECT * FROM '{self.other}/t.csv'")
        self.refuse(f"CREATE TEMP TABLE v AS SELECT * FROM '{self.other}/t.csv'")
        self.rows("CREATE OR REPLACE MACRO anywhere(path) AS TABLE SELECT * FROM read_text(path)")
        self.refuse(f"SELECT * FROM anywhere('{self.other}/t.csv')", words=self.PERMISSION)
        self.refuse("SET VARIABLE f = '/etc/passwd'", "SELECT * FROM read_text(getvariable('f'))")
        self.refuse("PREPARE p AS SELECT * FROM read_text($1)", "EXECUTE p('/etc/passwd')")
        self.refuse("SELECT * FROM query('SELECT * FROM read_text(''/etc/passwd'')')")
        self.refuse("SELECT * FROM query_table('/etc/passwd')", words="(?i)does not exist|permission")
        self.refuse(f"DESCRIBE SELECT * FROM '{self.other}/t.csv'")
        self.refuse(f"SUMMARIZE SELECT * FROM '{self.other}/t.csv'")
        self.refuse(f"PIVOT '{self.other}/t.csv' ON a USING count(*)")

    def test_doors_of_the_engine(self):
        for statement in (
            f"ATTACH '{self.other}/x.db'", f"ATTACH '{self.data}/x.db'", "INSTALL httpfs", "LOAD httpfs",
            f"LOAD '{self.data}/x.duckdb_extension'", "FORCE INSTALL httpfs FROM community", "UPDATE EXTENSIONS",
            "CREATE SECRET s (TYPE http)", "CREATE PERSISTENT SECRET s (TYPE http)", "SELECT getenv('HOME')",
            "CHECKPOINT", "PRAGMA enable_profiling",
        ):  # fmt: skip
            self.refuse(statement, words="(?i)support|exist|cannot|permission|not|change")
        for setting in (
            "enable_external_access = true", "allowed_directories = ['/']", "allowed_paths = ['/etc/passwd']",
            f"temp_directory = '{self.other}'", f"extension_directory = '{self.other}'", f"home_directory = '{self.other}'",
            f"secret_directory = '{self.other}'", f"log_query_path = '{self.other}/log'",
            f"profiling_output = '{self.other}/p.json'", "custom_extension_repository = 'http://localhost:1'",
            "allow_unsigned_extensions = true", "autoinstall_known_extensions = true", "lock_configuration = false",
            "disabled_filesystems = ''", f"file_search_path = '{self.other}'", "allow_community_extensions = true",
            "http_proxy = 'localhost:1'", "allow_persistent_secrets = true", "default_secret_storage = 'x'",
        ):  # fmt: skip
            for kind in ("SET", "SET GLOBAL", "SET SESSION"):
                self.refuse(f"{kind} {setting}", words="(?i)not|cannot|would|disabled|belongs")
        # The engine of an executor, through a statement that runs whole.
        rows = self.rows("SELECT current_setting('enable_external_access') AS x")
        self.assertEqual(rows, [{"x": False}])

    def test_folders_that_are_not_there(self):
        for program in ("scheduler", "executor"):
            process = self.cluster.spawn(
                f"wrong-{program}",
                [str(self.cluster.binary(program)), "--bind-host", "127.0.0.1", "--data-dirs", f"{self.data},/nowhere"],
            )
            self.assertEqual(process.child.wait(20), 1)
            line = process.text().splitlines()[-1]
            self.assertIn('for --data-dirs: "/nowhere" is no folder', line)


if __name__ == "__main__":
    unittest.main()
