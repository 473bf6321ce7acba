"""Runs the queries of this package on the cluster at BALLISTA_HOST and prints a line a row."""

import json
import pathlib
import subprocess


def main():
    queries = pathlib.Path(__file__).parent / "queries.sql"
    command = ["/ballista", "--format", "json", "-f", str(queries)]
    rows = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    for row in map(json.loads, rows.splitlines()):
        print(f"vendor {row['vendor']}: {row['trips']} trips, {row['fare']} in all")
