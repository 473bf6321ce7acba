"""Executors that keep parts of a finished result are stopped while it is read."""

import pathlib
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
from raw_client import RawClient  # noqa: E402
from summary import main  # noqa: E402

FILES = 6
ROWS = 300_000  # of a file; each part is more than all buffers on its way take
# What a client is told of a result that cannot be read to its end.
LOST = "result.* executor .*run the query again"


def write_table(folder):
    for part in range(FILES):
        v = pa.array(range(part * ROWS, (part + 1) * ROWS), pa.int64())
        text = pa.array([f"row {i:060d}" for i in range(part * ROWS, (part + 1) * ROWS)])
        pq.write_table(pa.table({"v": v, "text": text}), pathlib.Path(folder, f"{part}.parquet"))


class Results(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        write_table(cls.folder.name)
        cls.query = f"SELECT v, text FROM '{cls.folder.name}/*.parquet'"

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def cluster(self):
        options = ["--heartbeat-interval", "100ms", "--executor-timeout", "1s"]
        return Cluster(executors=3, scheduler_args=options)

    def start(self, cluster):
        """The query has ended, and nothing of its result is read. Its parts are at all executors."""
        client = RawClient(cluster.port, 60)
        for name, value in (("single_task_threshold", 0), ("tasks_per_stage", FILES)):
            client.sql(f"SET ballista.{name} = {value}")
        info = client.start(self.query)
        cluster.wait_for(lambda: cluster.status(cluster.scheduler)["running_tasks"] == 0, 30, "the query to end")
        return client, info

    def wait_for_executors(self, cluster, count):
        cluster.wait_for(
            lambda: cluster.status(cluster.scheduler)["executors"] == count, 10, f"{count} executors to be there"
        )

    def check(self, table):
        self.assertEqual(table.num_rows, FILES * ROWS)
        self.assertEqual(sorted(table["v"].to_pylist()), list(range(FILES * ROWS)))

    def test_stopped_while_a_result_is_read(self):
        """Whichever executor it is: of the part that is read, of one that was, of one that will be."""
        with self.cluster() as cluster:
            for victim in range(3):
                client, info = self.start(cluster)
                reader = client.flight.do_get(info.endpoints[0].ticket, client.options())
                chunks = [reader.read_chunk().data]
                cluster.executors[victim].child.send_signal(signal.SIGSTOP)
                self.wait_for_executors(cluster, 2)
                cluster.executors[victim].child.send_signal(signal.SIGCONT)
                self.wait_for_executors(cluster, 3)
                try:
                    while True:
                        chunks.append(reader.read_chunk().data)
                except StopIteration:
                    self.check(pa.Table.from_batches(chunks))
                except flight.FlightError as error:
                    self.assertRegex(str(error), LOST)
                client.close()


if __name__ == "__main__":
    main()
