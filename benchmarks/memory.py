#!/usr/bin/env python3
"""Resident memory of each process of a cluster over TPC-H, against the executors' --memory-limit.

  memory.py [--scale 10] [--memory-limit 1GiB] [--query 1,3-5] [--threads 1] [--output FOLDER]

Two executors; each process's resident memory is sampled every 50 ms from /proc. Answers are compared with
single-process DuckDB's by --verify. Writes FOLDER/memory.md; fails when a query does or when an executor was above
1.15 times its limit.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import re
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "tests" / "oracle"))

import compare  # noqa: E402
import duckdb  # noqa: E402
import tpc  # noqa: E402
import tpc_data  # noqa: E402
from process_memory import Peaks  # noqa: E402

from cluster.cluster import Cluster  # noqa: E402

ALLOWED = 1.15


def parse_size(text: str) -> int:
    number, unit = re.fullmatch(r"([\d.]+)\s*([kmg]i?b)", text.lower()).groups()
    base = 1024 if "i" in unit else 1000
    return int(float(number) * base ** (1 + "kmg".index(unit[0])))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="folder with bin/scheduler")
    parser.add_argument("--scale", default="10")
    parser.add_argument("--query", help="numbers, as in 1,5-7")
    parser.add_argument("--executors", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory-limit", default="1GiB")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds for one query")
    parser.add_argument("--verify", action="store_true")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build" / "bench")
    parser.add_argument("executor_args", nargs="*")
    return parser.parse_args()


def run(arguments, cluster, data, wanted) -> tuple[list[str], bool]:
    limit = parse_size(arguments.memory_limit)
    texts = tpc_data.queries("tpch")
    names = [each.name for each in cluster.processes()]
    lines = ["| query | s | " + " | ".join(f"{name} MiB" for name in names) + " | of the limit | |", "|---" * 7 + "|"]
    good = True
    oracle = duckdb.connect() if arguments.verify else None
    if oracle:
        tpc_data.create_views(oracle, data)
    worst = 0.0
    with cluster.connect(arguments.timeout) as connection:
        for sql in tpc_data.external_tables(data):
            cluster.sql(sql, connection)
        for number in wanted:
            error = ""
            start = time.perf_counter()
            with Peaks({each.name: each.pid for each in cluster.processes()}) as peaks:
                try:
                    table = cluster.sql(texts[number], connection)
                except Exception as failure:
                    error = f"FAILED: {failure}".replace("\n", " ")[:300]
            seconds = time.perf_counter() - start
            if oracle and not error:
                expected = oracle.sql(texts[number]).fetch_arrow_table()
                error = compare.compare(texts[number], expected, table, oracle).problem
            share = max(peaks.of[name] for name in names if name.startswith("executor")) / limit
            worst = max(worst, share)
            if share > ALLOWED:
                error += " OVER"
            good = good and not error
            sizes = " | ".join(str(peaks.of[name] >> 20) for name in names)
            lines.append(f"| {number} | {seconds:.1f} | {sizes} | {share:.2f} | {error} |")
            print(lines[-1], flush=True)
            if cluster.dead():
                lines.append(f"DEAD: {cluster.dead()}")
                print(lines[-1], flush=True)
                return lines, False
    lines.append(f"\nworst: {worst:.3f} times the limit")
    return lines, good


def main() -> int:
    arguments = parse_arguments()
    os.environ["BALLISTA_BIN"] = str(arguments.build.resolve() / "bin")
    data = tpc_data.ensure("tpch", arguments.scale)
    wanted = tpc.parse_numbers(arguments.query) or list(tpc_data.queries("tpch"))
    with Cluster(
        executors=arguments.executors,
        threads=arguments.threads,
        memory_limit=arguments.memory_limit,
        executor_args=arguments.executor_args,
    ) as cluster:
        lines, good = run(arguments, cluster, data, wanted)
    title = f"TPC-H SF{arguments.scale}, {arguments.executors} executors, --memory-limit {arguments.memory_limit}"
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "memory.md").write_text("\n".join([title, "", *lines]) + "\n")
    print(lines[-1])
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
