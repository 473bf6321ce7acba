#!/usr/bin/env python3
"""Compares a query's result with what single-process DuckDB gives on the same files.

    tpch_verify.py --path FOLDER --query FILE.sql --result FILE.arrows

FOLDER holds a folder or a .parquet file for each TPC-H table; the result is an Arrow IPC stream.
Exit code 0: equal. 1: different, and standard output says where. Other: it could not be compared.

Equal means: the same column names, the same rows (floating point to 1e-9 relative, everything
else exactly), and the columns of the final ORDER BY in the same order. Rows that tie in those
columns may come in any order.
"""

import argparse
import math
import pathlib
import re
import sys

import duckdb
import pyarrow as pa
import pyarrow.ipc

TABLES = ("customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier")
RELATIVE = 1e-9


def expected(path, query):
    connection = duckdb.connect()
    for table in TABLES:
        file = path / f"{table}.parquet"
        files = file if file.is_file() else path / table / "**" / "*.parquet"
        name = str(files).replace("'", "''")
        connection.execute(f"CREATE VIEW {table} AS FROM read_parquet('{name}')")
    return connection.execute(query).to_arrow_table()


def rows_of(table):
    return list(zip(*(column.to_pylist() for column in table.columns))) if table.num_columns else []


def equal(a, b):
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=RELATIVE) or (math.isnan(a) and math.isnan(b))
    return type(a) is type(b) and a == b


def sort_key(row):
    # Floating point last and rounded: it may differ a little between the two sides.
    exact = tuple((v is not None, str(v)) for v in row if not isinstance(v, float))
    return exact, tuple(float(f"{v:.6g}") for v in row if isinstance(v, float))


def order_columns(query, names):
    """Indexes of the columns that the statement's last ORDER BY names."""
    clauses = re.findall(r"\border\s+by\b(.*?)(?:\blimit\b[^()]*)?;?\s*$", query, re.I | re.S)
    if not clauses:
        return []
    clause = re.split(r"\border\s+by\b", clauses[-1], flags=re.I)[-1]
    keys = [re.sub(r"\s+(asc|desc)\b.*$", "", key.strip(), flags=re.I) for key in clause.split(",")]
    lowered = [name.lower() for name in names]
    return [lowered.index(key.lower()) for key in keys if key.lower() in lowered]


def difference(query, got, want):
    if got.column_names != want.column_names:
        return f"columns {got.column_names}, expected {want.column_names}"
    if got.num_rows != want.num_rows:
        return f"{got.num_rows} rows, expected {want.num_rows}"
    got_rows, want_rows = rows_of(got), rows_of(want)
    for index in order_columns(query, want.column_names):
        for row, (a, b) in enumerate(zip(got_rows, want_rows)):
            if not equal(a[index], b[index]):
                name = want.column_names[index]
                return f"row {row + 1}: {name} is {a[index]!r}, expected {b[index]!r}"
    for a, b in zip(sorted(got_rows, key=sort_key), sorted(want_rows, key=sort_key)):
        if not all(map(equal, a, b)):
            return f"row {a!r}, expected {b!r}"
    return None


def main():
    parser = argparse.ArgumentParser()
    for name in ("--path", "--query", "--result"):
        parser.add_argument(name, type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    query = arguments.query.read_text()
    with pa.OSFile(str(arguments.result)) as file:
        got = pa.ipc.open_stream(file).read_all()
    found = difference(query, got, expected(arguments.path, query))
    if found:
        print(found.replace("\n", " ")[:1000])
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Exception as error:  # exit code 1 is taken
        print(f"tpch_verify: {error}", file=sys.stderr)
        sys.exit(3)
