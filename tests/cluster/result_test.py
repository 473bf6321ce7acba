"""Executors that keep parts of a finished result are killed, stopped or sent away before it is read, and while it is:
what the client has not begun to read is computed again."""

import pathlib
import re
import signal
import sys
import tempfile
import time
import unittest

import pyarrow as pa
import pyarrow.flight as flight
import pyarrow.parquet as pq

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cluster import Cluster  # noqa: E402
from raw_client import RawClient, job_state, length_delimited  # noqa: E402
from summary import main  # noqa: E402

FILES = 6
ROWS = 300_000  # of a file; each part is more than all buffers on its way take
# What a client is told of a part that it has begun to read and that is gone.
LOST = "result.* executor .*run the query again"


def write_table(folder, name="v", rows=ROWS):
    """Numbers from 0 in a column of that name, and texts; so many rows a file."""
    for part in range(FILES):
        numbers = range(part * rows, (part + 1) * rows)
        text = pa.array([f"row {i:060d}" for i in numbers])
        pq.write_table(pa.table({name: pa.array(numbers, pa.int64()), "text": text}), pathlib.Path(folder, f"{part}.parquet"))


class Results(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        write_table(cls.folder.name)
        cls.query = f"SELECT v, text FROM '{cls.folder.name}/*.parquet'"

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def cluster(self, *executor_args):
        options = ["--heartbeat-interval", "100ms", "--executor-timeout", "1s"]
        return Cluster(
            executors=3, scheduler_args=options, executor_args=executor_args, env={"BALLISTA_LOG": "debug"}
        )

    def start(self, cluster):
        """The query has ended, and nothing of its result is read. Its parts are at all executors."""
        client = RawClient(cluster.port, 60)
        for name, value in (("single_task_threshold", 0), ("tasks_per_stage", FILES)):
            client.sql(f"SET ballista.{name} = {value}")
        info = client.start(self.query)
        self.wait_until(lambda: self.state(client, info) == "finished", "the query to end")
        return client, info

    @staticmethod
    def state(client, info):
        [job] = re.findall(rb"[0-9a-f]{8}-[0-9a-f-]{27}", info.endpoints[0].ticket.ticket)
        return job_state(client.act("job_profile", length_delimited(1, job)))

    def wait_until(self, ready, what, limit=20):
        deadline = time.monotonic() + limit
        while not ready():
            self.assertLess(time.monotonic(), deadline, f"waited {limit} s for {what}")
            time.sleep(0.02)

    def wait_for_executors(self, cluster, count):
        there = lambda: cluster.status(cluster.scheduler)["executors"] == count  # noqa: E731
        self.wait_until(there, f"{count} executors to be there")

    def begin(self, cluster):
        """The first rows of the result are read; also gives the executor that the reader is at."""
        client, info = self.start(cluster)
        reader = client.flight.do_get(info.endpoints[0].ticket, client.options())
        chunks = [reader.read_chunk().data]
        at = re.findall(r"reading the result of job .* from executor (\S+)", cluster.scheduler.text())[-1]
        [executor] = [each for each in cluster.executors if cluster.status(each)["executor_id"] == at]
        return client, reader, chunks, executor

    def check_rest(self, client, reader, chunks):
        try:
            while True:
                chunks.append(reader.read_chunk().data)
        except StopIteration:
            self.check(pa.Table.from_batches(chunks))
        finally:
            client.close()

    def check(self, table):
        self.assertEqual(table.num_rows, FILES * ROWS)
        self.assertEqual(sorted(table["v"].to_pylist()), list(range(FILES * ROWS)))

    def test_killed_before_it_is_read(self):
        with self.cluster() as cluster:
            client, info = self.start(cluster)
            for _ in range(2):
                cluster.executors.pop().kill()
            self.check(client.rows(info))
            self.assertIn("is computed again", cluster.scheduler.text())
            client.close()

    def test_drained_before_it_is_read(self):
        with self.cluster("--drain-timeout", "1s") as cluster:
            client, info = self.start(cluster)
            self.assertTrue(cluster.executors.pop().stop())
            self.check(client.rows(info))
            client.close()

    def test_killed_where_other_parts_are(self):
        with self.cluster() as cluster:
            client, reader, chunks, at = self.begin(cluster)
            for victim in [each for each in cluster.executors if each is not at]:
                victim.kill()
                cluster.executors.remove(victim)
            self.check_rest(client, reader, chunks)

    def test_killed_while_its_part_is_read(self):
        """All rows once, where none of the part has left the scheduler yet, or the one error."""
        with self.cluster() as cluster:
            client, reader, chunks, at = self.begin(cluster)
            at.kill()
            cluster.executors.remove(at)
            start = time.monotonic()
            try:
                self.check_rest(client, reader, chunks)
            except flight.FlightError as error:
                self.assertRegex(str(error), LOST)
            self.assertLess(time.monotonic() - start, 20)

    def test_cancelled_while_it_is_read(self):
        with self.cluster() as cluster:
            client, info = self.start(cluster)
            reader = client.flight.do_get(info.endpoints[0].ticket, client.options())
            chunks = [reader.read_chunk().data]
            other = RawClient(cluster.port, 20)
            other.cancel("CancelFlightInfo", info)
            start = time.monotonic()
            with self.assertRaisesRegex(flight.FlightError, "was cancelled"):
                self.check_rest(client, reader, chunks)
            self.assertLess(time.monotonic() - start, 10)
            other.close()

    def test_stopped_while_it_is_read(self):
        """Longer than for its timeout, then it goes on: a part that was begun is read to its end, too."""
        with self.cluster() as cluster:
            for own in (False, True):
                client, reader, chunks, at = self.begin(cluster)
                victim = at if own else next(each for each in cluster.executors if each is not at)
                victim.child.send_signal(signal.SIGSTOP)
                self.wait_for_executors(cluster, 2)
                victim.child.send_signal(signal.SIGCONT)
                self.wait_for_executors(cluster, 3)
                self.check_rest(client, reader, chunks)


if __name__ == "__main__":
    main()
