#!/usr/bin/env python3
"""TPC-H and TPC-DS on a cluster against single-process DuckDB on the same files.

  tpc.py [--suite tpch|tpcds|all] [--scale SF] [--config NAME|all] [--query N,N-M] [--json FILE]

Decimals, integers and text are compared exactly, doubles to 1e-9 relative (to 1e-6 with a note), the ORDER BY
column by column. In configurations whose single_task_threshold is 0 each query must also be distributed:
EXPLAIN shows more than one stage and no reason for one task. The last line is `N passed, N failed`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import compare  # noqa: E402
import tpc_data  # noqa: E402

from cluster.cluster import Cluster, StatementTimeout  # noqa: E402

CONFIGS = pathlib.Path(__file__).resolve().parents[1] / "sql" / "configs.json"
# `engine duckdb` compares DuckDB with itself on several threads: a test of this script.
SELF_TEST = "duckdb"


@dataclasses.dataclass
class Result:
    suite: str
    query: int
    config: str
    problem: str
    notes: list[str]
    seconds: float
    stages: int


def explain_text(table) -> str:
    """EXPLAIN's result as one text: its text columns, row by row."""
    rows = zip(*(column.to_pylist() for column in table.columns))
    return "\n".join(str(cell) for row in rows for cell in row if isinstance(cell, str))


def stage_count(text: str) -> int:
    return len(set(re.findall(r"^\s*Stage (\d+)\b", text, re.M)))


def why_not_distributed(text: str) -> str:
    match = re.search(r"Runs as one task:.*", text)
    if match:
        return match[0]
    return "" if stage_count(text) > 1 else f"EXPLAIN shows {stage_count(text)} stages"


class Runner:
    """One suite's oracle answers, which all configurations share."""

    def __init__(self, suite: str, folder: pathlib.Path, numbers: list[int] | None):
        self.suite = suite
        self.folder = folder
        self.queries = tpc_data.queries(suite)
        if numbers:
            self.queries = {n: text for n, text in self.queries.items() if n in numbers}
        self.oracle = tpc_data.connect()
        tpc_data.create_views(self.oracle, folder)
        self.expected = {n: self.oracle.sql(text).to_arrow_table() for n, text in self.queries.items()}

    def check(self, number: int, config: str, execute, distributed: bool) -> Result:
        text = self.queries[number]
        start = time.monotonic()
        stages = 0
        notes: list[str] = []
        try:
            got = execute(text)
            seconds = time.monotonic() - start
            verdict = compare.compare(text, self.expected[number], got, self.oracle)
            problem, notes = verdict.problem, sorted(set(verdict.notes))[:3]
            if config != SELF_TEST:
                plan = explain_text(execute("EXPLAIN " + text))
                stages = stage_count(plan)
                if distributed and not problem:
                    reason = why_not_distributed(plan)
                    problem = f"not distributed: {reason}" if reason else ""
        except StatementTimeout:
            raise
        except Exception as error:  # whatever a driver raises is the query's failure
            seconds = time.monotonic() - start
            problem = f"{type(error).__name__}: {error}"
        return Result(self.suite, number, config, problem, notes, seconds, stages)


def run_on_cluster(runner: Runner, name: str, config: dict, timeout: float):
    settings = config.get("set", {})
    distributed = settings.get("ballista.single_task_threshold") == 0 and config["executors"] > 1
    with Cluster(
        executors=config["executors"],
        threads=config.get("threads", 1),
        shuffle_memory_limit=config.get("shuffle_memory_limit"),
        memory_limit=config.get("memory_limit"),
    ) as cluster:
        with cluster.connect(timeout) as connection:
            for sql in tpc_data.external_tables(runner.folder):
                cluster.sql(sql, connection)
            for option, value in settings.items():
                cluster.sql(f"SET {option} = {value}", connection)
            for number in runner.queries:
                try:
                    yield runner.check(number, name, lambda sql: cluster.sql(sql, connection), distributed)
                except StatementTimeout as error:
                    yield Result(runner.suite, number, name, f"no answer: {error}", [], timeout, 0)
                    return
                if cluster.dead():
                    yield Result(runner.suite, number, name, "; ".join(cluster.dead()), [], 0, 0)
                    return


def run_on_duckdb(runner: Runner):
    connection = tpc_data.connect()
    tpc_data.create_views(connection, runner.folder)
    connection.execute("SET threads = 4")
    connection.execute("SET preserve_insertion_order = false")
    for number in runner.queries:
        yield runner.check(number, SELF_TEST, lambda sql: connection.sql(sql).to_arrow_table(), False)


def parse_numbers(text: str | None) -> list[int] | None:
    if not text:
        return None
    numbers: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def parse_arguments(configs: dict) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=["tpch", "tpcds", "all"], default="all")
    parser.add_argument("--scale", default="0.1")
    parser.add_argument("--config", action="append", choices=[*configs, "all"])
    parser.add_argument("--engine", choices=["ballista", SELF_TEST], default="ballista")
    parser.add_argument("--query", help="numbers, as in 1,5-7")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--timeout", type=float, default=60.0)
    parser.add_argument("--verbose", action="store_true", help="a line for each query, not only for failures")
    return parser.parse_args()


def main() -> int:
    configs = json.loads(CONFIGS.read_text())
    arguments = parse_arguments(configs)
    names = arguments.config or ["default", "distributed"]
    if "all" in names:
        names = list(configs)
    results: list[Result] = []
    for suite in ("tpch", "tpcds") if arguments.suite == "all" else (arguments.suite,):
        runner = Runner(suite, tpc_data.ensure(suite, arguments.scale), parse_numbers(arguments.query))
        if arguments.engine == SELF_TEST:
            runs = [run_on_duckdb(runner)]
        else:
            runs = [run_on_cluster(runner, name, configs[name], arguments.timeout) for name in names]
        for run in runs:
            for result in run:
                results.append(result)
                report(result, arguments.verbose)
                if arguments.json:
                    arguments.json.write_text(json.dumps([vars(each) for each in results], indent=1) + "\n")
    failed = sum(bool(result.problem) for result in results)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


def report(result: Result, verbose: bool) -> None:
    label = f"{result.config} {result.suite} q{result.query}"
    if result.problem:
        print(f"FAIL {label}: {result.problem[:2000]}", flush=True)
    elif verbose or result.notes:
        notes = "; ".join(result.notes)
        print(f"ok   {label}: {result.seconds:.3f} s, {result.stages} stages {notes}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
