"""64 connections of the stock ADBC driver that run small queries for a minute: none fails, each answer is DuckDB's.

  many_connections_test.py [--seconds 60] [--connections 64]

The last line has the queries a second and the times; docs/clients/adbc.md has them from a quiet machine.
"""

import argparse
import concurrent.futures
import multiprocessing
import pathlib
import random
import sys
import time

import adbc_driver_flightsql
import adbc_driver_flightsql.dbapi
import duckdb

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "cluster"), str(ROOT / "tests" / "oracle")]
import tpc_data  # noqa: E402
from cluster import Cluster  # noqa: E402

SCALE = "0.01"
PROCESSES = 4
# No query waits longer for its answer.
TIMEOUT = "60"
# Of the queries of the connection that had most, each has at least this share.
FAIR = 0.05


def statements():
    """A point, a few rows, a group, a join; of the last also as several stages."""
    join = (
        "SELECT n_name, count(*) AS n, sum(o_totalprice) AS s FROM orders JOIN customer ON o_custkey = c_custkey JOIN nation ON "
        "c_nationkey = n_nationkey WHERE o_orderdate < DATE '{}' GROUP BY n_name ORDER BY n_name"
    )
    return [
        "SELECT 1 AS one",
        *(f"SELECT o_orderkey, o_totalprice, o_comment FROM orders WHERE o_orderkey = {key}" for key in (1, 7, 4999, 59999)),
        *(f"SELECT l_linenumber, l_quantity FROM lineitem WHERE l_orderkey = {key} ORDER BY l_linenumber" for key in (3, 68, 32)),
        "SELECT l_returnflag, count(*) AS n, avg(l_discount) AS d FROM lineitem GROUP BY l_returnflag ORDER BY l_returnflag",
        *(join.format(day) for day in ("1993-01-01", "1997-06-30")),
    ]


def expected(folder):
    with duckdb.connect() as connection:
        for table in tpc_data.TPCH_TABLES:
            connection.execute(f"CREATE VIEW {table} AS FROM '{folder}/{table}/*.parquet'")
        return {sql: connection.execute(sql).fetchall() for sql in statements()}


def run_connection(number, uri, answers, begin, end):
    """Runs queries from the time `begin` to `end`; the seconds that each one took."""
    options = adbc_driver_flightsql.ConnectionOptions
    limits = {name.value: TIMEOUT for name in (options.TIMEOUT_QUERY, options.TIMEOUT_FETCH, options.TIMEOUT_UPDATE)}
    cookies = {adbc_driver_flightsql.DatabaseOptions.WITH_COOKIE_MIDDLEWARE.value: "true"}
    choose = random.Random(number)
    times = []
    with adbc_driver_flightsql.dbapi.connect(uri, db_kwargs=cookies, conn_kwargs=limits, autocommit=True) as connection:
        with connection.cursor() as cursor:
            if number % 4 == 0:  # every fourth one has its queries distributed
                cursor.execute("SET ballista.single_task_threshold = 0")
            time.sleep(max(0.0, begin - time.time()))
            while time.time() < end:
                sql = choose.choice(list(answers))
                start = time.perf_counter()
                cursor.execute(sql)
                rows = cursor.fetchall()
                times.append(time.perf_counter() - start)
                if rows != answers[sql]:
                    raise AssertionError(f"connection {number}, {sql}: {rows} where {answers[sql]} is right")
    return times


def run_process(numbers, *rest):
    with concurrent.futures.ThreadPoolExecutor(len(numbers)) as pool:
        return list(pool.map(lambda number: run_connection(number, *rest), numbers))


def measure(connections, seconds):
    """The seconds of each query of each connection."""
    folder = tpc_data.ensure("tpch", SCALE)
    answers = expected(folder)
    with Cluster(executors=2) as cluster:
        with cluster.connect() as connection, connection.cursor() as cursor:
            for statement in tpc_data.external_tables(folder):
                cursor.execute(statement)
        # All have connected by then.
        begin = time.time() + 5
        shares = [list(range(first, connections, PROCESSES)) for first in range(min(PROCESSES, connections))]
        with multiprocessing.get_context("spawn").Pool(len(shares)) as pool:
            jobs = [(share, cluster.uri, answers, begin, begin + seconds) for share in shares]
            return [times for of_process in pool.starmap(run_process, jobs) for times in of_process]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--connections", type=int, default=64)
    arguments = parser.parse_args()
    each = measure(arguments.connections, arguments.seconds)
    # Slots are shared: none starves, whether its queries are of one stage or of several.
    if min(len(times) for times in each) < FAIR * max(len(times) for times in each):
        sys.exit(f"queries of each connection: {[len(times) for times in each]}: some had hardly a turn")
    times = sorted(one for times in each for one in times)
    print(
        f"{len(times)} queries, none failed: {len(times) / arguments.seconds:.0f} a second; median "
        f"{times[len(times) // 2] * 1e3:.0f} ms, 99th percentile {times[int(len(times) * 0.99)] * 1e3:.0f} ms, worst {times[-1] * 1e3:.0f} ms"
    )


if __name__ == "__main__":
    main()
