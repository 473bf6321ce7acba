"""What the tests of this folder share: a cluster with an HTTP port, and requests to it."""

import contextlib
import http.client
import json
import pathlib
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/cluster"))
from cluster import Cluster, free_ports  # noqa: E402

DISTRIBUTED = "SET ballista.single_task_threshold = 0"


class Http:
    def __init__(self, port):
        self.port = port

    def request(self, method, path, headers=None):
        """Status, headers, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def get(self, path, status=200):
        got, _, body = self.request("GET", path)
        assert got == status, (path, got, body)
        return json.loads(body)

    def text(self, path):
        got, _, body = self.request("GET", path)
        assert got == 200, (path, got, body)
        return body

    def post(self, path, status=200):
        got, _, body = self.request("POST", path)
        assert got == status, (path, got, body)
        return json.loads(body)


@contextlib.contextmanager
def cluster(**options):
    """A cluster whose scheduler and executors have HTTP ports; `.http` is the scheduler's."""
    port = free_ports(1)[0]
    args = ["--http-port", str(port), *options.pop("scheduler_args", [])]
    with Cluster(scheduler_args=args, **options) as started:
        started.http = Http(port)
        yield started


def make_table(folder, files=4, rows=50_000):
    """A folder of Parquet files with columns k, v."""
    path = pathlib.Path(folder) / "t"
    path.mkdir()
    for number in range(files):
        data = pa.table({"k": [i % 100 for i in range(rows)], "v": list(range(number * rows, (number + 1) * rows))})
        pq.write_table(data, path / f"{number}.parquet")
    return f"'{path}/*.parquet'"


def run(started, sql, settings=(DISTRIBUTED,)):
    connection = started.connect(timeout=60)
    try:
        with connection.cursor() as cursor:
            for statement in settings:
                cursor.execute(statement)
            cursor.execute(sql)
            return cursor.fetch_arrow_table()
    finally:
        connection.close()


def until(check, what, timeout=20):
    """What `check` gives once it is true."""
    deadline = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {timeout} s for {what}"
        time.sleep(0.02)
