#!/usr/bin/env python3
"""What metrics, profiles, history and the HTTP port cost: clusters with and without them side by side, and an idle one.

  monitor_cost.py [--scale 1] [--rounds 5] [--idle 30] [--json FILE]

TPC-H's 22 queries and a query of one task over three rows; the two clusters (two executors of one thread) take turns. By
query the least of the rounds; their geometric mean and their sum. "on" has the HTTP port, the history and the log of slow
queries, and a reader that asks for the list of jobs and the metrics each second, as the page and Prometheus do; "off" has
none. --idle: CPU and resident memory of a scheduler with two executors and nothing to do for so many seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import pathlib
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
for folder in ("tests/oracle", "tests/cluster"):
    sys.path.insert(0, str(ROOT / folder))

import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
import tpc_data  # noqa: E402

import flight_sql  # noqa: E402
from cluster import Cluster, free_ports  # noqa: E402

SMALL = 200  # runs of the small query in a round


def seconds(function) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def ask_each_second(port: int, stop: threading.Event) -> None:
    while not stop.wait(1):
        for path in ("/api/jobs?limit=100", "/metrics"):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                answer.read()


def side_by_side(arguments: argparse.Namespace, folder: str) -> dict:
    pq.write_table(pa.table({"k": [1, 2, 3]}), f"{folder}/t.parquet")
    small = f"SELECT k FROM '{folder}/t.parquet'"
    data = tpc_data.ensure("tpch", arguments.scale)
    queries = tpc_data.queries("tpch")
    port = free_ports(1)[0]
    options = {"on": ["--http-port", str(port), "--slow-query-log", "1h"], "off": ["--history-jobs", "0"]}
    times: dict = {name: {number: [] for number in [*queries, "small"]} for name in options}
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        clients = {}
        for name, args in options.items():
            cluster = stack.enter_context(Cluster(executors=2, scheduler_args=args))
            clients[name] = flight_sql.FlightSql(cluster.uri)
            for sql in tpc_data.external_tables(data):
                clients[name].sql(sql)
        reader = threading.Thread(target=ask_each_second, args=(port, stop))
        reader.start()
        for turn in range(arguments.rounds + 1):
            for number, sql in queries.items():
                for name in list(options)[:: 1 if turn % 2 else -1]:
                    took = seconds(lambda: clients[name].sql(sql))
                    if turn > 0:  # the first round warms up
                        times[name][number].append(took)
            for name in list(options)[:: 1 if turn % 2 else -1]:
                took = seconds(lambda: [clients[name].sql(small) for _ in range(SMALL)]) / SMALL
                if turn > 0:
                    times[name]["small"].append(took)
        stop.set()
        reader.join()
        for client in clients.values():
            client.close()
    least = {name: {number: min(all_of) for number, all_of in of.items()} for name, of in times.items()}
    ratios = [least["on"][number] / least["off"][number] for number in queries]
    return {
        "geomean_on_to_off": math.exp(sum(map(math.log, ratios)) / len(ratios)),
        "sum_s": {name: sum(of[number] for number in queries) for name, of in least.items()},
        "small_ms": {name: 1000 * of["small"] for name, of in least.items()},
        "by_query_ms": {str(number): [1000 * least[name][number] for name in ("on", "off")] for number in queries},
    }


def cpu_seconds(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> dict:
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    values = {line.split(":")[0]: int(line.split()[1]) << 10 for line in text.splitlines()[1:] if line.endswith("kB")}
    return {name: round(values[name] / 2**20, 1) for name in ("Rss", "Pss", "Private_Dirty", "Anonymous")}


def idle(length: float) -> dict:
    port = free_ports(1)[0]
    with Cluster(executors=2, scheduler_args=["--http-port", str(port)]) as cluster:
        time.sleep(2)
        pid = cluster.scheduler.pid
        before = cpu_seconds(pid)
        time.sleep(length)
        return {"cpu_percent": round(100 * (cpu_seconds(pid) - before) / length, 2), "memory_mib": memory(pid)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", default="1")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle", type=float, default=30)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    report = {}
    if arguments.idle > 0:
        report["idle"] = idle(arguments.idle)
        print(json.dumps(report["idle"]))
    if arguments.rounds > 0:
        with tempfile.TemporaryDirectory() as folder:
            report["side_by_side"] = side_by_side(arguments, folder)
        print(json.dumps({name: value for name, value in report["side_by_side"].items() if name != "by_query_ms"}))
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
