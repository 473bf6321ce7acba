#!/usr/bin/env python3
"""Fetching a large result by the stock ADBC driver: from a cluster, through its scheduler and from its executors, and
from a Flight SQL server of one process, DuckDB in pyarrow. All read the same Parquet file; runs alternate. Prints one JSON object a line: rows a second, and the peak
memory of the processes that serve.

  adbc_fetch.py [--rows N] [--runs N] [--executors N]
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import adbc_driver_flightsql.dbapi as flightsql
import duckdb
import pyarrow.flight as fl

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "cluster"), str(ROOT / "tests" / "clients")]
from cluster import Cluster  # noqa: E402
from messages import one, unpacked  # noqa: E402


class Server(fl.FlightServerBase):
    """The least of Flight SQL that the driver needs for a query."""

    def __init__(self, threads):
        super().__init__("grpc://127.0.0.1:0")
        self.duckdb = duckdb.connect(config={"threads": threads})

    def get_flight_info(self, context, descriptor):
        sql = one(unpacked(descriptor.command), 1)
        schema = self.duckdb.cursor().sql(sql.decode()).limit(0).to_arrow_table().schema
        return fl.FlightInfo(schema, descriptor, [fl.FlightEndpoint(sql, [])], -1, -1)

    def do_get(self, context, ticket):
        reader = self.duckdb.cursor().sql(ticket.ticket.decode()).to_arrow_reader(100_000)
        return fl.RecordBatchStream(reader)


def serve(threads):
    server = Server(threads)
    print(server.port, flush=True)
    server.serve()


def peak_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024


def fetch(uri, sql):
    """Seconds and rows."""
    start = time.monotonic()
    with flightsql.connect(uri, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        rows = sum(batch.num_rows for batch in cursor.fetch_record_batch())
    return time.monotonic() - start, rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--executors", type=int, default=2)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        return serve(arguments.serve)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "rows.parquet")
        duckdb.sql(
            f"COPY (SELECT i, i % 1000 AS k, i * 0.5 AS x, 'row ' || i AS s FROM range({arguments.rows}) t(i)) TO '{path}'"
        )
        sql = f"SELECT * FROM read_parquet('{path}')"
        command = [sys.executable, os.fspath(pathlib.Path(__file__).resolve()), "--serve", str(arguments.executors)]
        single = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            uris = {"duckdb": f"grpc://127.0.0.1:{int(single.stdout.readline())}"}
            with contextlib.ExitStack() as stack:
                clusters = {}
                for way in ("scheduler", "executors"):
                    options = ["--flight-endpoints", way]
                    clusters[way] = stack.enter_context(Cluster(arguments.executors, scheduler_args=options))
                    uris[way] = clusters[way].uri
                seconds = {name: [] for name in uris}
                for _ in range(arguments.runs):
                    for name, uri in uris.items():
                        taken, rows = fetch(uri, sql)
                        assert rows == arguments.rows, (name, rows)
                        seconds[name].append(taken)
                memory = {"duckdb": {"server": peak_mib(single.pid)}}
                for way, cluster in clusters.items():
                    memory[way] = {process.name: peak_mib(process.pid) for process in cluster.processes()}
        finally:
            single.kill()
            single.wait()
    for name, taken in seconds.items():
        best = min(taken)
        print(json.dumps({
            "from": name, "rows": arguments.rows, "seconds": round(best, 3), "rows_per_second": int(arguments.rows / best),
            "over_duckdb": round(best / min(seconds["duckdb"]), 3), "peak_mib": memory[name],
        }))  # fmt: skip


if __name__ == "__main__":
    main()
