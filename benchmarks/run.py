#!/usr/bin/env python3
"""A cluster of two one-thread executors against single-process DuckDB with two threads, side by side.

  run.py [--scale 1]... [--iterations 3] [--query 1,3-5] [--memory-limit 2GiB] [--sort] [--output FOLDER]

TPC-H on the same Parquet files, both sides taking turns on each query, the one that begins changing each time.
Cold: the first run of a query, its files dropped from the page cache before. Hot: the least of the runs after
it. Peak memory: the processes' resident memory, sampled each 10 ms. Latency: SELECT 1 and TPC-H at SF0.01.
Small input: TPC-H at SF0.1 on one executor with as many threads as DuckDB, as one task without any exchange.
--sort: also a full ORDER BY of lineitem, all rows fetched.
Two processes: lineitem of SF1 repartitioned in one and aggregated in another (shuffle_process_benchmark).
Writes FOLDER/bench.json after each query and FOLDER/bench.md at the end; prints the latter.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "tests" / "oracle"))

import flight_sql  # noqa: E402
import process_memory  # noqa: E402
import tpc  # noqa: E402
import tpc_data  # noqa: E402

from cluster.cluster import Cluster  # noqa: E402

LATENCY_SCALE = "0.01"
SMALL_SCALE = "0.1"
SMALL_RATIO, SMALL_MS = 1.1, 5.0  # what a small query may take: that often DuckDB's time, and so much more
SIDES = ("duckdb", "ballista")
SORT = "SELECT * FROM lineitem ORDER BY l_extendedprice, l_orderkey"


class DuckDb:
    """A worker process with its views over the data."""

    def __init__(self, data: pathlib.Path, threads: int, memory_limit: str | None):
        worker = pathlib.Path(__file__).with_name("duckdb_worker.py")
        self.process = subprocess.Popen(
            [sys.executable, str(worker)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pids = [self.process.pid]
        setup = [f"SET threads = {threads}"]
        if memory_limit:
            setup.append(f"SET memory_limit = '{memory_limit}'")
        for name, path in tpc_data.tables(data).items():
            pattern = f"{path}/*.parquet" if path.is_dir() else path
            setup.append(f"CREATE VIEW {name} AS FROM read_parquet('{pattern}')")
        self.request({"setup": setup})

    def request(self, request: dict) -> dict:
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        reply = json.loads(self.process.stdout.readline())
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply

    def run(self, sql: str) -> tuple[float, int]:
        reply = self.request({"query": sql})
        return reply["seconds"], reply["rows"]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(10)


class Ballista:
    """A cluster with the tables registered, and one open ADBC connection."""

    def __init__(self, data: pathlib.Path, executors: int, memory_limit: str | None, timeout: float, threads: int = 1):
        self.cluster = Cluster(executors=executors, threads=threads, memory_limit=memory_limit)
        try:
            self.cluster.start()
            self.connection = self.cluster.connect(timeout)
            for sql in tpc_data.external_tables(data):
                self.cluster.sql(sql, self.connection)
        except BaseException:
            self.cluster.report(sys.stderr)
            self.cluster.stop()
            raise
        self.pids = [process.pid for process in self.cluster.processes()]
        self.plain = flight_sql.FlightSql(self.cluster.uri, timeout)

    def run_plainly(self, sql: str) -> tuple[float, int]:
        """By the least of a client, whose own time is small."""
        start = time.perf_counter()
        table = self.plain.sql(sql)
        return time.perf_counter() - start, table.num_rows

    def run(self, sql: str) -> tuple[float, int]:
        start = time.perf_counter()
        table = self.cluster.sql(sql, self.connection)
        return time.perf_counter() - start, table.num_rows

    def close(self) -> None:
        self.connection.close()
        self.plain.close()
        self.cluster.stop()


def drop_from_page_cache(data: pathlib.Path) -> None:
    for path in data.rglob("*.parquet"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def measure_query(sides: dict, sql: str, data: pathlib.Path, iterations: int, number: int) -> dict:
    """Times in seconds and peak bytes of one query, for each side."""
    result = {name: {"cold": None, "hot": [], "peak": 0, "rows": None} for name in SIDES}
    for iteration in range(iterations + 1):
        order = SIDES if (iteration + number) % 2 == 0 else tuple(reversed(SIDES))
        for name in order:
            if iteration == 0:
                drop_from_page_cache(data)
            try:
                with process_memory.Sampler(sides[name].pids) as memory:
                    seconds, rows = sides[name].run(sql)
            except Exception as error:  # a failed query is a result: the other queries go on
                result[name]["error"] = f"{type(error).__name__}: {error}"[:500]
                continue
            entry = result[name]
            entry["rows"] = rows
            entry["peak"] = max(entry["peak"], memory.peak)
            if iteration == 0:
                entry["cold"] = seconds
            else:
                entry["hot"].append(seconds)
    return result


def measure_scale(scale: str, arguments, report: dict, save) -> None:
    data = arguments.data or tpc_data.ensure("tpch", scale)
    queries = tpc_data.queries("tpch")
    wanted = tpc.parse_numbers(arguments.query) or list(queries)
    if arguments.sort:
        queries["sort"] = SORT
        wanted.append("sort")
    duckdb_limit = doubled(arguments.memory_limit, arguments.executors)
    sides = {
        "duckdb": DuckDb(data, arguments.executors, duckdb_limit),
        "ballista": Ballista(data, arguments.executors, arguments.memory_limit, arguments.timeout),
    }
    entry = report["scales"].setdefault(scale, {"queries": {}})
    try:
        for number in wanted:
            measured = measure_query(sides, queries[number], data, arguments.iterations, wanted.index(number))
            entry["queries"][str(number)] = measured
            times = ", ".join(f"{name} {fmt(hot(measured[name]))} s" for name in SIDES)
            print(f"SF{scale} q{number}: {times}, ratio {fmt(ratio(measured))}", file=sys.stderr, flush=True)
            save()
        entry["pss_after"] = {name: sum(map(process_memory.proportional, sides[name].pids)) for name in SIDES}
    finally:
        for side in sides.values():
            side.close()


def doubled(limit: str | None, times: int) -> str | None:
    """The limit of one process that may use what all executors may use together."""
    if not limit:
        return None
    digits = "".join(c for c in limit if c.isdigit() or c == ".")
    return f"{float(digits) * times:g}{limit[len(digits):]}"


def measure_latency(arguments, report: dict) -> None:
    data = tpc_data.ensure("tpch", LATENCY_SCALE)
    duckdb_side = DuckDb(data, arguments.executors, None)
    ballista_side = Ballista(data, arguments.executors, None, arguments.timeout)
    try:
        latency = {"select_1": {}, "tpch": {}}
        runs = {"duckdb": duckdb_side.run, "ballista": ballista_side.run, "plain": ballista_side.run_plainly}
        for name, run in runs.items():
            times = [run("SELECT 1")[0] for _ in range(220)][20:]
            latency["select_1"][name] = {
                "median_ms": 1e3 * statistics.median(times),
                "p95_ms": 1e3 * sorted(times)[int(0.95 * len(times))],
            }
        for number, sql in tpc_data.queries("tpch").items():
            times = {name: [] for name in runs}
            for iteration in range(11):
                for name in runs if iteration % 2 else reversed(runs):
                    times[name].append(runs[name](sql)[0])
            latency["tpch"][str(number)] = {f"{n}_ms": 1e3 * statistics.median(t[1:]) for n, t in times.items()}
    finally:
        duckdb_side.close()
        ballista_side.close()
    report["latency"] = latency


def measure_small(arguments, report: dict) -> None:
    """A cluster of one executor against DuckDB, by the plain client: what being a cluster costs when it is no use."""
    data = tpc_data.ensure("tpch", SMALL_SCALE)
    duckdb_side = DuckDb(data, arguments.executors, None)
    ballista_side = Ballista(data, 1, None, arguments.timeout, threads=arguments.executors)
    runs = {"duckdb": duckdb_side.run, "ballista": ballista_side.run_plainly}
    entry = report["small"] = {}
    try:
        for number, sql in tpc_data.queries("tpch").items():
            times = {name: [] for name in runs}
            for iteration in range(9):
                for name in runs if iteration % 2 else reversed(runs):
                    times[name].append(runs[name](sql)[0])
            entry[str(number)] = {f"{name}_ms": 1e3 * min(t[1:]) for name, t in times.items()}
    finally:
        duckdb_side.close()
        ballista_side.close()


def measure_two_processes(arguments, report: dict) -> None:
    program = arguments.build / "bin" / "shuffle_process_benchmark"
    if not program.exists():
        return  # built by `make bench`
    command = [str(program), str(tpc_data.ensure("tpch", "1") / "lineitem"), str(arguments.executors)]
    report["two_processes"] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


# ---- showing


def hot(entry: dict) -> float:
    return min(entry["hot"], default=math.nan)


def ratio(measured: dict) -> float:
    return hot(measured["ballista"]) / hot(measured["duckdb"])


def fmt(value: float | None, digits: int = 3) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def geomean(values: list[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, values))) if values else math.nan


def scale_table(scale: str, entry: dict) -> list[str]:
    lines = [
        f"### TPC-H SF{scale}",
        "",
        "| query | DuckDB hot s | Ballista hot s | ratio | DuckDB cold s | Ballista cold s | DuckDB peak MiB "
        "| Ballista peak MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for number, measured in entry["queries"].items():
        left, right = measured["duckdb"], measured["ballista"]
        lines.append(
            f"| {number} | {fmt(hot(left))} | {fmt(hot(right))} | {fmt(ratio(measured), 2)} | {fmt(left['cold'])} "
            f"| {fmt(right['cold'])} | {left['peak'] >> 20} | {right['peak'] >> 20} |"
        )
    return lines + ["", *scale_summary(entry), ""]


def scale_summary(entry: dict) -> list[str]:
    """Over the queries that both sides answered."""
    whole = {n: m for n, m in entry["queries"].items() if m["duckdb"]["hot"] and m["ballista"]["hot"]}
    failed = [n for n, m in entry["queries"].items() if "error" in m["duckdb"] or "error" in m["ballista"]]
    different = [n for n, m in whole.items() if m["duckdb"]["rows"] != m["ballista"]["rows"]]
    lines = []
    if whole:
        total = {side: sum(hot(m[side]) for m in whole.values()) for side in SIDES}
        cold = {side: sum(m[side]["cold"] for m in whole.values()) for side in SIDES}
        peak = {side: max(m[side]["peak"] for m in whole.values()) >> 20 for side in SIDES}
        ratios = {n: ratio(m) for n, m in whole.items()}
        worst = max(ratios, key=ratios.get)
        lines += [
            f"- total hot: DuckDB {total['duckdb']:.2f} s, Ballista {total['ballista']:.2f} s, "
            f"**{total['ballista'] / total['duckdb']:.2f} times**",
            f"- total cold: DuckDB {cold['duckdb']:.2f} s, Ballista {cold['ballista']:.2f} s, "
            f"{cold['ballista'] / cold['duckdb']:.2f} times",
            f"- geometric mean of the ratios {geomean(list(ratios.values())):.2f}; worst {ratios[worst]:.2f} (q{worst}); "
            f"over 2: {[n for n, r in ratios.items() if r > 2] or 'none'}",
            f"- peak resident memory: DuckDB {peak['duckdb']} MiB, Ballista {peak['ballista']} MiB (scheduler and executors)",
        ]
    if failed:
        lines.append(f"- FAILED: {', '.join('q' + n for n in failed)}")
    if different:
        lines.append(f"- DIFFERENT NUMBER OF ROWS: {', '.join('q' + n for n in different)}")
    return lines


def latency_lines(latency: dict) -> list[str]:
    one = latency["select_1"]
    lines = ["### Latency", ""]
    for client, name in (("the ADBC driver", "ballista"), ("two plain calls", "plain")):
        over = {n: t[f"{name}_ms"] - t["duckdb_ms"] for n, t in latency["tpch"].items()}
        worst = max(over, key=over.get)
        lines += [
            f"- by {client}: SELECT 1 over an open connection: median {one[name]['median_ms']:.2f} ms, p95 "
            f"{one[name]['p95_ms']:.2f} ms (DuckDB in its process: {one['duckdb']['median_ms']:.2f} ms); "
            f"TPC-H SF{LATENCY_SCALE} over DuckDB's own time: median {statistics.median(over.values()):.1f} ms, "
            f"worst {over[worst]:.1f} ms (q{worst})",
        ]
    return [*lines, ""]


def small_lines(small: dict) -> list[str]:
    over = {n: t["ballista_ms"] - SMALL_RATIO * t["duckdb_ms"] for n, t in small.items()}
    worst = max(over, key=over.get)
    late = [f"q{n}" for n, ms in over.items() if ms > SMALL_MS]
    total = {name: sum(t[f"{name}_ms"] for t in small.values()) for name in SIDES}
    return [
        "### Small input: one executor, one task",
        "",
        f"- TPC-H SF{SMALL_SCALE}, total {total['ballista']:.0f} ms, DuckDB {total['duckdb']:.0f} ms; over "
        f"{SMALL_RATIO} times DuckDB's time: median {statistics.median(over.values()):.1f} ms, worst "
        f"{over[worst]:.1f} ms (q{worst}); more than {SMALL_MS:g} ms over it: {', '.join(late) or 'none'}",
        "",
    ]


def two_processes_lines(measured: dict) -> list[str]:
    return [
        "### Lineitem repartitioned in one process, aggregated in a second one",
        "",
        f"- {measured['repartition_s']:.3f} s and {measured['fetch_and_aggregate_s']:.3f} s; in one process "
        f"{measured['one_process_s']:.3f} s: **{measured['ratio']:.2f} times**",
        "",
    ]


def markdown(report: dict) -> str:
    lines = [
        f"Two executors of one thread against DuckDB with {report['threads']} threads; {report['cpus']} CPUs; "
        f"{report['iterations']} hot runs, the least of them; {report['date']}.",
        "",
    ]
    for scale, entry in report["scales"].items():
        lines += scale_table(scale, entry)
    if "latency" in report:
        lines += latency_lines(report["latency"])
    if "small" in report:
        lines += small_lines(report["small"])
    if "two_processes" in report:
        lines += two_processes_lines(report["two_processes"])
    return "\n".join(lines)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="folder with bin/scheduler")
    parser.add_argument("--scale", action="append", help="TPC-H scale factor; may be given again (default 1)")
    parser.add_argument("--data", type=pathlib.Path, help="folder of the tables, instead of making them")
    parser.add_argument("--iterations", type=int, default=3)
    parser.add_argument("--query", help="numbers, as in 1,5-7")
    parser.add_argument("--sort", action="store_true", help="also a full sort of lineitem")
    parser.add_argument("--executors", type=int, default=2)
    parser.add_argument("--memory-limit", help="of each executor; DuckDB gets the sum")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds for one query")
    parser.add_argument("--no-latency", action="store_true")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build" / "bench")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    os.environ["BALLISTA_BIN"] = str(arguments.build.resolve() / "bin")
    arguments.output.mkdir(parents=True, exist_ok=True)
    report = {
        "date": time.strftime("%Y-%m-%d"),
        "cpus": len(os.sched_getaffinity(0)),
        "threads": arguments.executors,
        "iterations": arguments.iterations,
        "memory_limit": arguments.memory_limit,
        "scales": {},
    }

    def save() -> None:
        (arguments.output / "bench.json").write_text(json.dumps(report, indent=1) + "\n")

    for scale in arguments.scale or ["1"]:
        measure_scale(scale, arguments, report, save)
    if not arguments.no_latency:
        measure_latency(arguments, report)
        measure_small(arguments, report)
        measure_two_processes(arguments, report)
    save()
    text = markdown(report)
    (arguments.output / "bench.md").write_text(text)
    print(text)
    return 1 if "FAILED" in text or "DIFFERENT" in text else 0


if __name__ == "__main__":
    sys.exit(main())
