#!/usr/bin/env python3
"""The staged plans of TPC-H and TPC-DS as golden files, one a query: tests/plans/<suite>/q<N>.txt.

  regenerate.py           rewrites them from EXPLAIN on a cluster of two executors
  regenerate.py --check   changes nothing; prints a diff for each plan that is not the committed one

The data is SF0.01 (TPC-H) and SF0.01 (TPC-DS), single_task_threshold is 0, and the folder of the data is
replaced by <data>: the plans depend on nothing else. The last line is `N passed, N failed`.
"""

from __future__ import annotations

import argparse
import difflib
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE.parent / "oracle"))

import tpc  # noqa: E402
import tpc_data  # noqa: E402

from cluster.cluster import Cluster  # noqa: E402

SCALE = "0.01"


def plans(suite: str):
    """Number and plan of each query, twice planned: a plan must not depend on chance."""
    folder = tpc_data.ensure(suite, SCALE)
    # Memory is given, because joins are planned by it and its default is the machine's.
    with Cluster(executors=2, memory_limit="2GiB") as cluster, cluster.connect() as connection:
        for sql in tpc_data.external_tables(folder):
            cluster.sql(sql, connection)
        cluster.sql("SET ballista.single_task_threshold = 0", connection)
        for number, query in tpc_data.queries(suite).items():
            first, second = (explain(cluster, connection, query, folder) for _ in range(2))
            yield number, first if first == second else f"not deterministic:\n{first}\n{second}"


def explain(cluster: Cluster, connection, query: str, folder: pathlib.Path) -> str:
    text = tpc.explain_text(cluster.sql("EXPLAIN " + query, connection))
    lines = [line.rstrip() for line in text.replace(str(folder), "<data>").split("\n")]
    return "\n".join(lines).strip("\n") + "\n"


def check(path: pathlib.Path, plan: str) -> bool:
    golden = path.read_text() if path.exists() else ""
    if plan == golden:
        return True
    name = str(path.relative_to(HERE))
    diff = difflib.unified_diff(golden.split("\n"), plan.split("\n"), f"{name} (committed)", name, lineterm="", n=2)
    print("\n".join(list(diff)[:80]), flush=True)
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    passed = failed = 0
    for suite in ("tpch", "tpcds"):
        (HERE / suite).mkdir(exist_ok=True)
        for number, plan in plans(suite):
            path = HERE / suite / f"q{number}.txt"
            good = not plan.startswith("not deterministic")
            if good and arguments.check:
                good = check(path, plan)
            elif good:
                path.write_text(plan)
            else:
                print(f"{suite} q{number}: {plan}")
            passed, failed = passed + good, failed + (not good)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
