#!/usr/bin/env python3
"""Random queries on a cluster against single-process DuckDB.

  random_test.py [--queries N] [--seed FIRST] [--executors N] [--show]

Query number S is made from seed S and runs with session options drawn from S, so one that fails is run again alone by
`--seed S --queries 1`. Both must give the same types and rows, or both an error; where DuckDB itself fails, the cluster
may answer (it need not evaluate the same rows). The last line is `N passed, N failed`.
"""

from __future__ import annotations

import argparse
import pathlib
import random
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "oracle"))

import compare  # noqa: E402
import duckdb  # noqa: E402
import random_sql  # noqa: E402

from cluster.cluster import Cluster, StatementTimeout  # noqa: E402

OPTIONS = {
    "ballista.single_task_threshold": ["0", "0", "0", "'default'"],
    "ballista.broadcast_threshold": ["0", "'default'"],
    "ballista.shuffle_partitions": ["1", "3", "7"],
    "ballista.batch_rows": ["5", "'default'", "'default'"],
    "ballista.range_sort_threshold": ["0", "'default'"],
    "ballista.replan": ["true", "true", "false"],
}


def settings(seed: int) -> list[str]:
    drawn = random.Random(-seed - 1)
    made = []
    for name, values in OPTIONS.items():
        value = drawn.choice(values)
        made.append(f"RESET {name}" if value == "'default'" else f"SET {name} = {value}")
    return made


def outcome(run) -> tuple[object, str]:
    try:
        return run(), ""
    except StatementTimeout:
        raise
    except Exception as error:  # noqa: BLE001 (whatever a driver raises is the query's failure)
        return None, f"{type(error).__name__}: {error}"


class Totals:
    passed = 0
    failed = 0
    refused = 0  # by DuckDB


def check(seed: int, cluster: Cluster, connection, oracle, totals: Totals, show: bool) -> None:
    sql = random_sql.Generator(seed).query()
    if show:
        print(f"-- {seed}\n" + ";\n".join([*settings(seed), sql]) + ";", flush=True)
    expected, refusal = outcome(lambda: oracle.sql(sql).to_arrow_table())
    if refusal:
        totals.refused += 1
        if show:
            print(f"-- DuckDB: {refusal}")
    for statement in settings(seed):
        cluster.sql(statement, connection, prepare=False)
    got, problem = outcome(lambda: cluster.sql(sql, connection, prepare=False))
    if refusal:
        problem = problem if "internal" in problem.lower() or "crash" in problem.lower() else ""
    elif not problem:
        problem = compare.compare(sql, expected, got, oracle).problem
    if problem:
        totals.failed += 1
        print(f"FAIL seed {seed}: {problem[:1500]}\n  {'; '.join(settings(seed))}\n  {sql}", flush=True)
    else:
        totals.passed += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--executors", type=int, default=2)
    parser.add_argument("--show", action="store_true")
    arguments = parser.parse_args()
    totals = Totals()
    with tempfile.TemporaryDirectory(prefix="ballista-random-") as folder:
        oracle = duckdb.connect()
        for name in random_sql.TABLES:
            (pathlib.Path(folder) / name).mkdir()
        for statement in random_sql.statements(folder):
            oracle.execute(statement)
        for name in random_sql.TABLES:
            oracle.execute(f"CREATE VIEW {name} AS SELECT * FROM '{folder}/{name}/*.parquet'")
        with Cluster(executors=arguments.executors) as cluster, cluster.connect() as connection:
            for name in random_sql.TABLES:
                cluster.sql(
                    f"CREATE EXTERNAL TABLE {name} STORED AS PARQUET LOCATION '{folder}/{name}/*.parquet'", connection
                )
            for seed in range(arguments.seed, arguments.seed + arguments.queries):
                check(seed, cluster, connection, oracle, totals, arguments.show)
                if cluster.dead():
                    print(f"FAIL seed {seed}: {'; '.join(cluster.dead())}")
                    totals.failed += 1
                    break
    print(f"{totals.passed} passed, {totals.failed} failed ({totals.refused} that DuckDB refuses)")
    return 1 if totals.failed or totals.passed < 2 * totals.refused else 0


if __name__ == "__main__":
    sys.exit(main())
