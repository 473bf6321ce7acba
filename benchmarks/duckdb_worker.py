#!/usr/bin/env python3
"""Single-process DuckDB for benchmarks/run.py, in a process of its own so that its memory can be measured.

Reads one JSON request a line from standard input, writes one JSON answer a line:
  {"setup": [SQL, ...]}  ->  {}
  {"query": SQL}         ->  {"seconds": S, "rows": N}  (time until the whole result is Arrow)
An answer {"error": TEXT} means that the statement failed.
"""

import json
import sys
import time

import duckdb


def answer(connection, request):
    for sql in request.get("setup", []):
        connection.execute(sql)
    if "query" not in request:
        return {}
    start = time.perf_counter()
    table = connection.execute(request["query"]).to_arrow_table()
    return {"seconds": time.perf_counter() - start, "rows": table.num_rows}


def main():
    connection = duckdb.connect()
    for line in sys.stdin:
        try:
            reply = answer(connection, json.loads(line))
        except duckdb.Error as error:
            reply = {"error": str(error)}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
