#!/usr/bin/env python3
"""What keeping state costs a query, and how long faults of schedulers take: memory, sqlite and etcd side by side.

  state_cost.py [--queries 300] [--rounds 5] [--faults] [--json FILE]

Latency: a query of one task over a file of three rows (no literal, which no task would run for), and TPC-H query 5 at
SF0.01 with every exchange made (no single task, no broadcast). The clusters (two executors of one thread) take turns;
per round the median of the queries, over the rounds the least. The state folder and etcd's data are below
$TMPDIR: a sync costs what that disk makes of it.
--faults: with a query running, from the fault until its answer, next to the query's time without a fault; the scheduler
killed and started again at once (sqlite, etcd), the owner of two schedulers killed, and stopped (etcd), etcd itself killed
and started again; one of two executors killed, stopped, drained, both of them killed and started again; and those killed that have a result, before it is read.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import pathlib
import signal
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
for folder in ("tests", "tests/oracle", "tests/cluster"):
    sys.path.insert(0, str(ROOT / folder))

import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
import tpc_data  # noqa: E402
from etcd import Etcd  # noqa: E402
from failure_test import write_tables  # noqa: E402
from flight_client import Client  # noqa: E402

import flight_sql  # noqa: E402
from cluster import Cluster  # noqa: E402

BACKENDS = ("memory", "sqlite", "etcd")
DISTRIBUTED = ("single_task_threshold = 0", "broadcast_threshold = 0")
TPCH = 5


def backend_args(name: str, folder: str, etcd: Etcd) -> list[str]:
    if name == "sqlite":
        return ["--config-backend", "sqlite", "--state-dir", f"{folder}/sqlite-{time.monotonic_ns()}"]
    if name == "etcd":
        return ["--config-backend", "etcd", "--etcd-urls", etcd.urls]
    return []


def seconds(function) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def latencies(arguments: argparse.Namespace, folder: str, etcd: Etcd) -> dict:
    pq.write_table(pa.table({"k": [1, 2, 3]}), f"{folder}/t.parquet")
    data = tpc_data.ensure("tpch", "0.01")
    one_task, distributed = f"SELECT k FROM '{folder}/t.parquet'", tpc_data.queries("tpch")[TPCH]
    found: dict = {name: {"one_task": [], "distributed": []} for name in BACKENDS}
    with contextlib.ExitStack() as stack:
        clients = {}
        for name in BACKENDS:
            cluster = stack.enter_context(Cluster(executors=2, scheduler_args=backend_args(name, folder, etcd)))
            clients[name] = (flight_sql.FlightSql(cluster.uri), flight_sql.FlightSql(cluster.uri))
            for sql in tpc_data.external_tables(data):
                clients[name][0].sql(sql)
            for option in DISTRIBUTED:
                clients[name][1].sql(f"SET ballista.{option}")
        for turn in range(arguments.rounds + 1):
            for name in BACKENDS[turn % 3 :] + BACKENDS[: turn % 3]:
                plain, spread = clients[name]
                one = [seconds(lambda: plain.sql(one_task)) for _ in range(arguments.queries)]
                many = [seconds(lambda: spread.sql(distributed)) for _ in range(max(arguments.queries // 10, 1))]
                if turn > 0:  # the first round warms up
                    found[name]["one_task"].append(statistics.median(one))
                    found[name]["distributed"].append(statistics.median(many))
        for name in BACKENDS:
            for client in clients[name]:
                client.close()
    return {name: {what: 1000 * min(times) for what, times in of.items()} for name, of in found.items()}


def slow_query(folder: str) -> str:
    return f"""SELECT count(*) AS n, sum(s) AS s FROM (
        SELECT f.k % 7 AS g, sum(hash(f.v * r.range) % 3) AS s
        FROM '{folder}/facts/*.parquet' f, range(40) r GROUP BY f.k % 7, f.v)"""


def started(client: Client, folder: str) -> tuple:
    """The ticket of a query a quarter of which is over, and the seconds that it takes undisturbed."""
    client.read(client.submit(slow_query(folder)))
    undisturbed = seconds(lambda: client.read(client.submit(slow_query(folder))))
    ticket = client.submit(slow_query(folder))
    time.sleep(undisturbed / 4)
    return ticket, undisturbed


def disturbed(cluster: Cluster, folder: str, harm, heal=lambda cluster: None) -> dict:
    """`harm` is done to the cluster while the query runs, `heal` once the answer is there."""
    client = Client([cluster.uri])
    ticket, undisturbed = started(client, folder)
    start = time.perf_counter()
    harm(cluster)
    client.read(ticket)
    answered = time.perf_counter() - start
    heal(cluster)
    return {"fault_to_answer_s": answered, "undisturbed_s": undisturbed}


def restarted(name: str, folder: str, etcd: Etcd) -> dict:
    def harm(cluster: Cluster) -> None:
        cluster.scheduler.kill()
        cluster.restart(cluster.scheduler)

    with Cluster(executors=2, scheduler_args=backend_args(name, folder, etcd)) as cluster:
        return disturbed(cluster, folder, harm)


def other_takes_over(folder: str, etcd: Etcd, kill: bool) -> dict:
    args = backend_args("etcd", folder, etcd)
    with Cluster(executors=2, schedulers=2, scheduler_args=args) as cluster:
        client = Client([f"grpc://127.0.0.1:{each.port}" for each in cluster.schedulers()])
        ticket, undisturbed = started(client, folder)
        owner, other = cluster.scheduler, cluster.other_schedulers[0]
        start = time.perf_counter()
        owner.child.send_signal(signal.SIGKILL if kill else signal.SIGSTOP)
        while "Going on with job" not in other.text():
            if time.perf_counter() - start > 60:
                raise TimeoutError("nobody takes over")
            time.sleep(0.01)
        taken = time.perf_counter() - start
        client.read_at(client.uris[1], ticket)
        answered = time.perf_counter() - start
        owner.child.send_signal(signal.SIGCONT)
        if kill:
            owner.kill()
            cluster.scheduler, cluster.other_schedulers = other, []
        return {"fault_to_takeover_s": taken, "fault_to_answer_s": answered, "undisturbed_s": undisturbed}


def of_executors(folder: str, harm, heal=lambda cluster: None) -> dict:
    with Cluster(executors=2) as cluster:
        return disturbed(cluster, folder, harm, heal)


def kill_executors(count: int, again: bool):
    def harm(cluster: Cluster) -> None:
        for victim in cluster.executors[:count]:
            victim.kill()
            if again:
                cluster.restart(victim)
            else:
                cluster.executors.remove(victim)

    return harm


def send(number: int):
    return lambda cluster: cluster.executors[0].child.send_signal(number)


def result_lost(folder: str) -> dict:
    sql = f"SELECT k, v FROM '{folder}/facts/*.parquet' ORDER BY v"
    with Cluster(executors=2) as cluster:
        client = Client([cluster.uri])
        undisturbed = seconds(lambda: client.read(client.submit(sql)))
        ticket = client.submit(sql)
        cluster.wait_for(lambda: cluster.status(cluster.scheduler)["running_tasks"] == 0, 20, "the end of the query")
        start = time.perf_counter()
        kill_executors(2, again=True)(cluster)
        client.read(ticket)
        return {"fault_to_answer_s": time.perf_counter() - start, "undisturbed_s": undisturbed}


def etcd_restarted(folder: str) -> dict:
    with Etcd(tempfile.mkdtemp(dir=folder)) as etcd, Cluster(
        executors=2, scheduler_args=backend_args("etcd", folder, etcd)
    ) as cluster:
        return disturbed(cluster, folder, lambda _: etcd.restart())


def faults(folder: str, etcd: Etcd) -> dict:
    write_tables(folder)
    return {
        "one of two executors killed": of_executors(folder, kill_executors(1, again=False)),
        "one of two executors killed and started again": of_executors(folder, kill_executors(1, again=True)),
        "both executors killed and started again": of_executors(folder, kill_executors(2, again=True)),
        "one of two executors stopped (SIGSTOP)": of_executors(folder, send(signal.SIGSTOP), send(signal.SIGCONT)),
        "one of two executors drained (SIGTERM)": of_executors(folder, send(signal.SIGTERM), lambda cluster: cluster.executors.pop(0)),
        "both executors killed that have a result": result_lost(folder),
        "etcd killed and started again": etcd_restarted(folder),
        "sqlite, scheduler killed and started again": restarted("sqlite", folder, etcd),
        "etcd, scheduler killed and started again": restarted("etcd", folder, etcd),
        "etcd, two schedulers, owner killed": other_takes_over(folder, etcd, kill=True),
        "etcd, two schedulers, owner stopped": other_takes_over(folder, etcd, kill=False),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    result = {}
    with tempfile.TemporaryDirectory() as folder, Etcd(folder) as etcd:
        if arguments.faults:
            result["faults"] = faults(folder, etcd)
        else:
            result["ms_per_query"] = latencies(arguments, folder, etcd)
    for name, of in result.get("ms_per_query", {}).items():
        print(f"{name}: {of['one_task']:.2f} ms one task, {of['distributed']:.1f} ms TPC-H {TPCH}")
    for name, of in result.get("faults", {}).items():
        print(f"{name}: " + ", ".join(f"{what} {value:.1f}" for what, value in of.items()))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
