"""Results from the executors' endpoints (--flight-endpoints executors): by the stock ADBC driver, pyarrow.flight and
`ballista`, against DuckDB and the scheduler's own stream; tickets that are none; executors that are lost, clients that
leave; TLS and users."""

import pathlib
import subprocess
import tempfile
import threading
import time
import unittest

import adbc_driver_flightsql.dbapi as dbapi
import adbc_driver_manager
import duckdb
import messages
import pyarrow as pa
import pyarrow.flight as flight
from adbc_driver_flightsql import DatabaseOptions

from clients import FOLDER, DISTRIBUTED, Cluster, SecuredCluster, compare, hold_rows, main, tpc_data, tpch_cluster
from raw_client import RawClient
from result_test import FILES, write_table

ROWS = 200_000  # of a file: several MiB
FROM_EXECUTORS = ["--flight-endpoints", "executors"]
REUSE = b"arrow-flight-reuse-connection://?"
LONG_QUERY = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE (a.range * b.range) % 7 = 3"
NOBODYS = "none that this cluster has given"
TYPES = {
    "tiny": "(i % 100)::UTINYINT",
    "huge": "(i * 1000000007)::HUGEINT * 1000000007",
    "uhuge": "i::UHUGEINT",
    "price": "(i / 7)::DECIMAL(9, 2)",
    "wide": "i::DECIMAL(38, 10)",
    "flag": "i % 3 = 0",
    "text": "CASE WHEN i % 5 > 0 THEN 'row ' || i END",
    "bytes": "('b' || i)::BLOB",
    "day": "DATE '2020-01-01' + (i % 1000)::INTEGER",
    "instant": "TIMESTAMPTZ '2020-01-01 00:00:00+00' + to_seconds(i)",
    "nanos": "(TIMESTAMP '2020-01-01' + to_seconds(i))::TIMESTAMP_NS",
    "clock": "TIME '00:00:00' + to_seconds(i % 86400)",
    "span": "to_days((i % 10)::INTEGER)",
    "mood": "(['sad', 'ok', 'happy'])[1 + i % 3]::ENUM('sad', 'ok', 'happy')",
    "id": "md5(i::VARCHAR)::UUID",
    "list": "[i, NULL, i + 1]",
    "pair": "{'a': i, 'b': ['x' || i, NULL]}",
    "dictionary": "MAP {'k' || (i % 3): i}",
    "either": "CASE WHEN i % 2 = 0 THEN i::UNION(n BIGINT, s VARCHAR) ELSE 'x'::UNION(n BIGINT, s VARCHAR) END",
    "fixed": "array_value(i, i + 1)",
    "bits": "(i % 8)::UTINYINT::BIT",
}


def parts_of(info):
    """How many endpoints have an executor's address."""
    return sum(any(location.uri != REUSE for location in each.locations) for each in info.endpoints)


def read_at(endpoint, **options):
    """From its first location."""
    with flight.connect(endpoint.locations[0], **options) as client:
        return client.do_get(endpoint.ticket).read_all()


def read_all(client, info, at_executors=True):
    """Each endpoint from its executor, where it has one, or all of them from the scheduler."""
    tables = []
    for each in info.endpoints:
        if at_executors and each.locations:
            tables.append(read_at(each))
        else:
            tables.append(client.flight.do_get(each.ticket).read_all())
    return pa.concat_tables(tables)


def flipped(ticket, at):
    at %= len(ticket.ticket)
    return flight.Ticket(ticket.ticket[:at] + bytes([ticket.ticket[at] ^ 1]) + ticket.ticket[at + 1 :])


class WithTable(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        write_table(cls.folder, "i", ROWS)
        cls.files = f"'{cls.folder}/*.parquet'"
        cls.query = f"SELECT i, text FROM {cls.files}"
        cls.rows = set(range(FILES * ROWS))

    def raw(self, cluster, **options):
        client = RawClient(cluster.port, 60, **options)
        self.addCleanup(client.close)
        for statement in DISTRIBUTED:
            client.sql(statement)
        return client

    def connect(self, cluster, **options):
        connection = self.enterContext(cluster.connect(**options))
        for statement in DISTRIBUTED:
            cluster.sql(statement, connection)
        return connection

    def check_rows(self, table):
        self.assertEqual(table.num_rows, len(self.rows))
        self.assertEqual(set(table["i"].to_pylist()), self.rows)


class Results(WithTable):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        options = [*FROM_EXECUTORS, "--heartbeat-interval", "200ms"]
        cls.cluster = cls.enterClassContext(Cluster(executors=2, scheduler_args=options, env={"BALLISTA_LOG": "debug"}))

    def tearDown(self):
        self.cluster.check_no_leaks()

    def relayed(self):
        return self.cluster.scheduler.text().count("reading the result of job")

    def test_a_plain_read_is_the_executors(self):
        before = self.relayed()
        info = self.raw(self.cluster).start(self.query)
        self.assertEqual((len(info.endpoints), parts_of(info)), (2, 2))
        self.assertEqual((info.total_records, info.ordered), (len(self.rows), True))
        self.assertTrue(all(each.locations[-1].uri == REUSE for each in info.endpoints))
        self.check_rows(pa.concat_tables(read_at(each) for each in info.endpoints))
        with self.connect(self.cluster).cursor() as cursor:
            cursor.execute(self.query)
            self.check_rows(cursor.fetch_arrow_table())
        self.assertEqual(self.relayed(), before)

    def test_the_order_is_kept(self):
        connection = self.connect(self.cluster)
        self.cluster.sql("SET ballista.range_sort_threshold = 0", connection)
        table = self.cluster.sql(f"{self.query} ORDER BY i DESC", connection)
        self.assertEqual(table["i"].to_pylist(), sorted(self.rows, reverse=True))

    def test_types_are_those_of_the_schedulers_stream(self):
        columns = ", ".join(f"{expression} AS {name}" for name, expression in TYPES.items())
        sql = f"SELECT i, {columns} FROM {self.files} WHERE i % 20 = 0"
        client = self.raw(self.cluster)
        client.sql("SET TimeZone = 'UTC'")
        tables = []
        for at_executors in (True, False):
            info = client.start(sql)
            self.assertGreaterEqual(parts_of(info), 1)
            tables.append(read_all(client, info, at_executors).sort_by("i"))
            self.assertEqual(info.schema, tables[-1].schema)
        self.assertEqual(tables[0].schema, tables[1].schema)
        self.assertTrue(tables[0].equals(tables[1]))
        connection = self.connect(self.cluster)
        self.cluster.sql("SET TimeZone = 'UTC'", connection)
        tables.append(self.cluster.sql(sql, connection).sort_by("i"))
        oracle = duckdb.connect()
        oracle.sql("SET TimeZone = 'UTC'")
        # BIT comes as text here.
        expected = oracle.sql(f"{sql} ORDER BY i".replace("::BIT ", "::BIT::VARCHAR ")).to_arrow_table()
        self.assertEqual(compare.type_names(tables[1]), compare.type_names(expected))
        for table in tables[1:]:
            self.assertEqual(compare.rows_of(table), compare.rows_of(expected))

    def test_small_and_empty_results_are_the_schedulers(self):
        client = self.raw(self.cluster)
        for sql, rows in (("SELECT 1 AS i", 1), (f"SELECT count(*) AS i FROM {self.files}", 1),
                          (f"{self.query} WHERE i < 0", 0), ("SHOW TABLES", 0)):  # fmt: skip
            with self.subTest(sql):
                info = client.start(sql)
                self.assertEqual((len(info.endpoints), parts_of(info), info.total_records), (1, 0, rows))
                table = client.rows(info)
                self.assertEqual((table.num_rows, table.schema), (rows, info.schema))

    def test_partitions_in_any_order_and_again(self):
        cursor = self.enterContext(self.connect(self.cluster).cursor())
        partitions, schema = cursor.adbc_execute_partitions(self.query)
        self.assertEqual((len(partitions), schema.names), (2, ["i", "text"]))
        tables = []
        # The result stays until each part was read.
        for partition in (partitions[1], partitions[1], partitions[0]):
            cursor.adbc_read_partition(partition)
            tables.append(cursor.fetch_arrow_table())
        self.assertTrue(tables[0].equals(tables[1]))
        self.check_rows(pa.concat_tables(tables[1:]))

    def test_polling_ends_with_the_parts(self):
        cursor = self.enterContext(self.connect(self.cluster).cursor())
        cursor.adbc_statement.set_options(**{"adbc.statement.exec.incremental": "true"})
        before = self.relayed()
        cursor.execute(self.query)
        self.check_rows(cursor.fetch_arrow_table())
        self.assertEqual(self.relayed(), before)

    def test_ballista_reads_there_too(self):
        before = self.relayed()
        command = [Cluster.binary("ballista"), "--port", str(self.cluster.port), "--format", "csv"]
        sql = f"SET ballista.single_task_threshold = 0; SELECT i FROM {self.files} WHERE i >= 0"
        done = subprocess.run([*command, "-c", sql], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual({int(line) for line in done.stdout.split() if line.isdigit()}, self.rows)
        self.assertEqual(self.relayed(), before)

    def test_errors_come_with_the_info(self):
        client = self.raw(self.cluster)
        with self.assertRaisesRegex(flight.FlightError, "Could not convert string 'row"):
            client.start(f"SELECT text::INTEGER FROM {self.files}")

    def test_cancel_while_it_runs(self):
        cursor = self.connect(self.cluster).cursor()
        running = lambda: self.cluster.status(self.cluster.scheduler)["running_tasks"] > 0  # noqa: E731
        thread = threading.Thread(target=lambda: self.cancel_when(running, cursor))
        thread.start()
        with self.assertRaises(adbc_driver_manager.Error):
            cursor.execute(LONG_QUERY)
        thread.join()
        cursor.close()

    def cancel_when(self, ready, cursor):
        self.cluster.wait_for(ready, 20, "the query to run")
        cursor.adbc_cancel()

    def test_a_client_that_vanishes_while_it_runs(self):
        with self.assertRaises(flight.FlightTimedOutError):
            self.raw(self.cluster).start(LONG_QUERY, timeout=1)

    def test_cancel_what_was_given_out(self):
        client = self.raw(self.cluster)
        info = client.start(self.query)
        client.cancel("CancelFlightInfo", info)
        self.cluster.check_no_leaks()
        with self.assertRaisesRegex(flight.FlightError, "nothing .any more. of the query"):
            read_at(info.endpoints[0])
        with self.assertRaisesRegex(flight.FlightError, "there is no job"):
            client.rows(info)

    def test_a_reader_that_leaves(self):
        info = self.raw(self.cluster).start(self.query)
        with flight.connect(info.endpoints[1].locations[0]) as client:
            reader = client.do_get(info.endpoints[1].ticket)
            self.assertGreater(reader.read_chunk().data.num_rows, 0)
            reader.cancel()

    def test_tickets_that_are_none(self):
        client = self.raw(self.cluster)
        info = client.start(self.query)
        other = client.start(f"SELECT i + 1 AS i, text FROM {self.files}")
        ticket, location = info.endpoints[0].ticket, info.endpoints[0].locations[0]
        part = messages.one(messages.unpacked(ticket.ticket), 1)
        signature = messages.one(messages.unpacked(ticket.ticket), 2)
        another = messages.one(messages.unpacked(other.endpoints[0].ticket.ticket), 1)
        self.assertEqual(len(signature), 32)

        def sealed(part, signature):
            name = "type.googleapis.com/ballista.control.ResultPartTicket"
            body = messages.field(1, part) + messages.field(2, signature)
            return flight.Ticket(messages.field(1, name) + messages.field(2, body))

        self.assertEqual(sealed(part, signature), ticket)
        executor = self.enterContext(flight.connect(location))
        forged = [sealed(another, signature), sealed(part, b""), sealed(part, bytes(32)), sealed(part[:-1], signature),
                  flipped(ticket, -1), flipped(ticket, len(ticket.ticket) - 40)]  # fmt: skip
        for number, each in enumerate(forged):
            for where in (executor, client.flight):
                with self.subTest(number), self.assertRaisesRegex(flight.FlightError, NOBODYS):
                    where.do_get(each).read_all()
        # None of that has taken anything away.
        self.check_rows(read_all(client, info))
        self.assertEqual(min(read_all(client, other)["i"].to_pylist()), 1)

    def test_renewal(self):
        client = self.raw(self.cluster)
        info = client.start(self.query)
        endpoint = info.endpoints[0].serialize()
        renewed = client.act("RenewFlightEndpoint", messages.field(1, endpoint))
        ticket = flight.Ticket(messages.one(messages.one(renewed, 1), 1))
        with flight.connect(info.endpoints[0].locations[0]) as executor:
            first = executor.do_get(ticket).read_all()
        self.check_rows(pa.concat_tables([first, read_at(info.endpoints[1])]))


class LostExecutors(WithTable):
    def cluster(self, **options):
        args = [*FROM_EXECUTORS, "--heartbeat-interval", "100ms", "--executor-timeout", "1s"]
        return Cluster(executors=2, scheduler_args=args, **options)

    def kill(self, cluster, location):
        [process] = [each for each in cluster.executors if f":{each.port}" in location.uri.decode()]
        process.kill()

    def test_what_was_not_read_is_computed_again(self):
        with self.cluster() as cluster:
            with self.connect(cluster).cursor() as cursor:
                partitions, _ = cursor.adbc_execute_partitions(self.query)
                process = next(each for each in cluster.executors if str(each.port).encode() in partitions[1])
                cursor.adbc_read_partition(partitions[0])
                tables = [cursor.fetch_arrow_table()]
                process.kill()
                cursor.adbc_read_partition(partitions[1])
                tables.append(cursor.fetch_arrow_table())
            self.check_rows(pa.concat_tables(tables))

    def test_by_ballista_and_by_hand(self):
        with self.cluster() as cluster:
            client = self.raw(cluster)
            info = client.start(self.query)
            self.kill(cluster, info.endpoints[0].locations[0])
            with self.assertRaises(flight.FlightUnavailableError):
                read_at(info.endpoints[0])
            parts = [client.flight.do_get(info.endpoints[0].ticket).read_all(), read_at(info.endpoints[1])]
            self.check_rows(pa.concat_tables(parts))

    def test_a_restarted_executor_has_nothing(self):
        with self.cluster() as cluster:
            client = self.raw(cluster)
            info = client.start(self.query)
            location = info.endpoints[0].locations[0]
            [process] = [each for each in cluster.executors if f":{each.port}" in location.uri.decode()]
            process.kill()
            cluster.restart(process)
            cluster.wait_for_executors(3)
            with self.assertRaisesRegex(flight.FlightError, "ask the scheduler for this part"):
                read_at(info.endpoints[0])
            self.check_rows(read_all(client, info, at_executors=False))

    def test_a_drained_executor_waits_for_its_reader(self):
        with self.cluster() as cluster:
            info = self.raw(cluster).start(self.query)
            process = cluster.executors[0]
            process.child.terminate()
            cluster.wait_for(lambda: "Draining" in process.text(), 20, "it to drain")
            self.check_rows(pa.concat_tables(read_at(each) for each in info.endpoints))
            self.assertEqual(process.child.wait(20), 0)

    def test_a_scheduler_that_was_restarted(self):
        state = self.enterContext(tempfile.TemporaryDirectory())
        args = ["--config-backend", "sqlite", "--state-dir", state, "--result-reread-timeout", "0s"]
        with Cluster(executors=2, scheduler_args=[*FROM_EXECUTORS, *args]) as cluster:
            info = self.raw(cluster).start(self.query)
            cluster.scheduler.kill()
            first = read_at(info.endpoints[0])  # which needs no scheduler
            cluster.restart(cluster.scheduler)
            cluster.wait_for_executors(2)
            client = RawClient(cluster.port, 60)
            self.addCleanup(client.close)
            second = client.flight.do_get(info.endpoints[1].ticket).read_all()
            self.check_rows(pa.concat_tables([first, second]))


class TpcH(unittest.TestCase):
    def test_all_parts_are_the_executors(self):
        cluster = tpch_cluster(scheduler_args=[*FROM_EXECUTORS, "--result-memory-limit", "1MiB"])
        self.addCleanup(cluster.stop)
        connection = self.enterContext(cluster.connect())
        for statement in DISTRIBUTED:
            cluster.sql(statement, connection)
        hold_rows(self, cluster)
        client = RawClient(cluster.port, 60)
        self.addCleanup(client.close)
        with tpc_data.connect() as oracle:
            tpc_data.create_views(oracle, FOLDER)
            for number, sql in tpc_data.queries("tpch").items():
                with self.subTest(number):
                    expected = oracle.sql(sql).to_arrow_table()
                    info = client.start(sql)
                    self.assertEqual(parts_of(info), len(info.endpoints))
                    for table in (read_all(client, info), cluster.sql(sql, connection)):
                        self.assertEqual(compare.compare(sql, expected, table, oracle).problem, "")


class Secured(WithTable):
    def test_the_ticket_is_the_credential(self):
        options = {"scheduler_args": FROM_EXECUTORS, "env": {"BALLISTA_LOG": "debug"}}
        secured = self.enterContext(SecuredCluster(self.folder / "secured", **options))
        cluster = secured.cluster
        ca = {DatabaseOptions.TLS_ROOT_CERTS.value: secured.ca.read_text()}
        password = {"username": "alice", "password": secured.PASSWORD}
        token = {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {secured.token}"}
        cluster_uri = cluster.uri.replace("grpc:", "grpc+tls:").replace("127.0.0.1", "localhost")
        for credentials in (password, token):
            with self.subTest(list(credentials)):
                options = {**ca, **credentials, DatabaseOptions.WITH_COOKIE_MIDDLEWARE.value: "true"}
                with dbapi.connect(cluster_uri, db_kwargs=options, autocommit=True) as connection:
                    cluster.sql(DISTRIBUTED[0], connection)
                    self.check_rows(cluster.sql(self.query, connection))
        self.assertNotIn("reading the result of job", cluster.scheduler.text())
        self.check_strangers(secured, cluster_uri)

    def check_strangers(self, secured, uri):
        roots = {"tls_root_certs": secured.ca.read_bytes()}
        loader = RawClient.__new__(RawClient)
        loader.timeout, loader.headers = 60, [(b"authorization", f"Bearer {secured.token}".encode())]
        loader.flight = self.enterContext(flight.connect(uri, **roots))
        loader.sql(DISTRIBUTED[0])
        info = loader.start(self.query)
        endpoint = info.endpoints[0]
        self.assertTrue(endpoint.locations[0].uri.startswith(b"grpc+tls://127.0.0.1:"))
        executor = self.enterContext(flight.connect(endpoint.locations[0], **roots))
        part = messages.one(messages.unpacked(endpoint.ticket.ticket), 1)
        # A FetchTicket, as executors send it to each other.
        job, output = messages.one(part, 1), messages.one(part, 2)
        fetch = messages.field(1, 1) + messages.field(2, job) + messages.field(3, output)
        with self.assertRaisesRegex(flight.FlightError, "the parts of their results alone"):
            executor.do_get(flight.Ticket(fetch)).read_all()
        with self.assertRaisesRegex(flight.FlightError, NOBODYS):
            executor.do_get(flipped(endpoint.ticket, -1)).read_all()
        with self.assertRaisesRegex(flight.FlightError, "processes of its cluster alone"):
            list(executor.do_action(("status", b"")))
        header = loader.flight.authenticate_basic_token("alice", secured.PASSWORD)
        alice = flight.FlightCallOptions(headers=[header])
        with self.assertRaisesRegex(flight.FlightError, "there is no job"):
            loader.flight.do_get(endpoint.ticket, alice).read_all()
        self.check_rows(pa.concat_tables(read_at(each, **roots) for each in info.endpoints))


if __name__ == "__main__":
    main()
