"""TPC-H and TPC-DS data as Parquet (one folder a table) and the texts of their queries.

TPC-H comes from the tpchgen-cli package; TPC-DS and both suites' queries from DuckDB's extensions, whose wheels
scripts/setup installs.
"""

from __future__ import annotations

import fcntl
import pathlib
import shutil
import subprocess
import sys

import duckdb

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "test-data"
TPCH_TABLES = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"]
# Tables of more rows than this are cut into FILES files, so that several tasks read them.
ROWS_A_FILE = 5_000
FILES = 3


def extension(name: str) -> pathlib.Path:
    """The extension's file inside its wheel."""
    module = __import__(f"duckdb_extension_{name}")
    return next(pathlib.Path(module.__path__[0]).rglob(f"{name}.duckdb_extension"))


def connect(*extensions: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for name in extensions:
        connection.execute(f"LOAD '{extension(name)}'")
    return connection


def queries(suite: str) -> dict[int, str]:
    """The suite's queries by number, without the semicolon."""
    with connect(suite) as connection:
        rows = connection.sql(f"SELECT query_nr, query FROM {suite}_queries() ORDER BY 1").fetchall()
    return {number: text.strip().rstrip(";").strip() for number, text in rows}


def ensure(suite: str, scale: str) -> pathlib.Path:
    """The folder of the suite's tables at a scale factor, made when it is not there."""
    folder = FOLDER / f"{suite}-sf{scale}"
    FOLDER.mkdir(parents=True, exist_ok=True)
    # Tests run beside each other: one of them makes the data, the others wait for it.
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "complete").exists():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        print(f"writing {folder}", file=sys.stderr)
        if suite == "tpch":
            generate_tpch(folder, scale)
        else:
            generate_tpcds(folder, scale)
        (folder / "complete").touch()
    return folder


def generate_tpch(folder: pathlib.Path, scale: str) -> None:
    program = pathlib.Path(sys.executable).parent / "tpchgen-cli"
    command = [str(program), "parquet", "-s", scale, "--parts", str(FILES + 1), "-o", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def generate_tpcds(folder: pathlib.Path, scale: str) -> None:
    with connect("tpcds") as connection:
        connection.execute(f"CALL dsdgen(sf = {scale})")
        for (table,) in connection.sql("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall():
            target = folder / table
            target.mkdir()
            rows = connection.sql(f"SELECT count(*) FROM {table}").fetchone()[0]
            files = FILES if rows > ROWS_A_FILE else 1
            for number in range(files):
                first, last = rows * number // files, rows * (number + 1) // files - 1
                connection.execute(
                    f"COPY (SELECT * FROM {table} WHERE rowid BETWEEN {first} AND {last}) "
                    f"TO '{target}/{table}.{number}.parquet' (FORMAT parquet)"
                )


def tables(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Name and folder (or single file) of each table."""
    found = {path.name: path for path in folder.iterdir() if path.is_dir()}
    found.update({path.stem: path for path in folder.glob("*.parquet")})
    return dict(sorted(found.items()))


def create_views(connection: duckdb.DuckDBPyConnection, folder: pathlib.Path) -> None:
    for name, path in tables(folder).items():
        pattern = f"{path}/*.parquet" if path.is_dir() else path
        connection.execute(f"CREATE VIEW {name} AS FROM read_parquet('{pattern}')")


def external_tables(folder: pathlib.Path) -> list[str]:
    return [
        f"CREATE EXTERNAL TABLE {name} STORED AS PARQUET LOCATION '{path}'"
        for name, path in tables(folder).items()
    ]
