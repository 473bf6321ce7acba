#!/usr/bin/env python3
"""Runs the SQL corpus: run.py [--engine ballista|duckdb] [--config NAME|all] [FILE...]

Prints each failure with file:line, expected and got; the last line is `N passed, N failed, N skipped`. Exit
code 1 when something failed. A statement without an answer for --timeout seconds is a failure, and ends its
file.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import functools
import json
import pathlib
import sys
import tempfile
import threading
import time

import engines
import make_data
import sqllogictest

HERE = pathlib.Path(__file__).resolve().parent
CONFIGS = HERE / "configs.json"


class Totals:
    def __init__(self):
        self.lock = threading.Lock()
        self.passed = self.failed = self.skipped = 0
        self.slowest: list[tuple[float, str]] = []

    def print_failure(self, text: str) -> None:
        with self.lock:
            self.failed += 1
            print(text, flush=True)


def skip_reason(record: sqllogictest.Record, skips: list[dict]) -> str:
    for skip in skips:
        if skip["file"] == record.file.name and skip.get("statement", record.sql) == record.sql:
            return skip["reason"]
    return ""


def run_file(path: pathlib.Path, engine, skips: list[dict], totals: Totals, restart=None) -> None:
    """`restart`: makes a fresh engine after a crash or a hang; without it the rest of the file is given up."""
    records = sqllogictest.parse(path)
    session = engine.open()
    try:
        for position, record in enumerate(records):
            if not record.runs_on(engine.name) or skip_reason(record, skips):
                with totals.lock:
                    totals.skipped += 1
                continue
            outcome = sqllogictest.run_record(record, session.execute)
            with totals.lock:
                totals.slowest.append((outcome.seconds, f"{path.name}:{record.line}"))
            if not outcome.problem:
                with totals.lock:
                    totals.passed += 1
                continue
            totals.print_failure(f"FAIL {path.name}:{record.line}\n{record.sql}\n{outcome.problem}\n")
            if restart and (engine.where() or "StatementTimeout" in outcome.problem):
                print(f"FAIL {path.name}:{record.line}: starting again. {engine.where()}\n", flush=True)
                session.close()
                engine.close()
                engine = restart()
                session = engine.open()
            elif engine.where() or "StatementTimeout" in outcome.problem:
                rest = len(records) - position - 1
                totals.print_failure(f"FAIL {path.name}: given up, {rest} records not run. {engine.where()}\n")
                return
    finally:
        session.close()
        if restart:
            engine.close()


def run_isolated(make, files: list[pathlib.Path], skips: list[dict]) -> Totals:
    """Each file on a cluster of its own, which is started again when a statement brings it down."""
    totals = Totals()
    for path in files:
        run_file(path, make(), skips, totals, restart=make)
    return totals


def run(engine, files: list[pathlib.Path], skips: list[dict], jobs: int) -> Totals:
    totals = Totals()
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        # The longest first: the last ones to end leave nobody idle.
        by_size = sorted(files, key=lambda path: -path.stat().st_size)
        waiting = {pool.submit(run_file, path, engine, skips, totals): path for path in by_size}
        for done in concurrent.futures.as_completed(waiting):
            if done.exception():
                totals.print_failure(f"FAIL {waiting[done].name}: {done.exception()!r}\n")
    return totals


def run_shared(make, files: list[pathlib.Path], skips: list[dict], arguments) -> Totals:
    engine = make()
    try:
        before = engine.cpu_seconds()
        totals = run(engine, files, skips, arguments.jobs)
        if arguments.cpu:
            statements = max(totals.passed + totals.failed, 1)
            for name, seconds in engine.cpu_seconds().items():
                print(f"{name}: {1000 * (seconds - before[name]) / statements:.2f} ms of CPU a statement")
        return totals
    finally:
        engine.close()


def make_engine(arguments, config: dict, scratch: pathlib.Path):
    data = make_data.ensure()
    if arguments.engine == "duckdb":
        return engines.DuckDb(data, scratch)
    return engines.ClusterEngine(data, scratch, config, arguments.timeout)


def main() -> int:
    configs = json.loads(CONFIGS.read_text())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=["ballista", "duckdb"], default="ballista")
    parser.add_argument("--config", choices=[*configs, "all"], default="default")
    parser.add_argument("--timeout", type=float, default=60.0)
    parser.add_argument("--jobs", type=int, default=4, help="files run at once")
    parser.add_argument("--isolate", action="store_true", help="a cluster for each file, restarted after a crash")
    parser.add_argument("--cpu", action="store_true", help="print what a statement costs each process")
    parser.add_argument("--slowest", type=int, default=0, help="print the N slowest statements")
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    arguments = parser.parse_args()
    files = arguments.files or sorted(HERE.glob("*.test"))
    all_names = [name for name, config in configs.items() if config.get("corpus", True)]
    names = all_names if arguments.config == "all" else [arguments.config]
    passed = failed = skipped = 0
    for name in names:
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="ballista-sql-") as scratch:
            make = functools.partial(make_engine, arguments, configs[name], pathlib.Path(scratch))
            skips = configs[name].get("skip", [])
            totals = run_isolated(make, files, skips) if arguments.isolate else run_shared(make, files, skips, arguments)
        for seconds, where in sorted(totals.slowest, reverse=True)[: arguments.slowest]:
            print(f"{seconds:8.3f} s  {where}")
        print(
            f"config {name}: {totals.passed} passed, {totals.failed} failed, {totals.skipped} skipped "
            f"in {time.monotonic() - start:.1f} s",
            flush=True,
        )
        passed, failed, skipped = passed + totals.passed, failed + totals.failed, skipped + totals.skipped
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
