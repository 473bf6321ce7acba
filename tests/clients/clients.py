"""What the tests of the stock clients share: a cluster with TPC-H's tables, and the comparison of rows that a program
in another language wrote as text."""

from __future__ import annotations

import datetime
import decimal
import json
import pathlib
import re
import subprocess
import sys
import textwrap

import pyarrow as pa
import pyarrow.flight as flight

ROOT = pathlib.Path(__file__).resolve().parents[2]
for folder in ("cluster", "oracle", "security"):
    sys.path.insert(0, str(ROOT / "tests" / folder))
import compare  # noqa: E402
import tpc_data  # noqa: E402
from certificates import Authority  # noqa: E402
from cluster import Cluster  # noqa: E402
from raw_client import RawClient  # noqa: E402
from summary import main  # noqa: E402,F401

FOLDER = tpc_data.ensure("tpch", "0.01")
DISTRIBUTED = ("SET ballista.single_task_threshold = 0", "SET ballista.broadcast_threshold = 0")
TIMEOUT = 120


def setup(name: str, script: str = "") -> pathlib.Path:
    """What scripts/setup-NAME makes, or `script` when it is given the name, linked as .deps-NAME."""
    command = [script, name] if script else [f"setup-{name}"]
    subprocess.run(["bash", str(ROOT / "scripts" / command[0]), *command[1:]], check=True)
    return (ROOT / f".deps-{name}").resolve()


def modules(name: str) -> str:
    """The folder of the Python packages of scripts/requirements-NAME.txt."""
    return str(setup(name, "setup-modules"))


def tpch_cluster(**options) -> Cluster:
    """Two executors and TPC-H's tables, as external tables that every session sees."""
    cluster = Cluster(executors=2, **options)
    cluster.start()
    try:
        with cluster.connect() as connection:
            for statement in tpc_data.external_tables(FOLDER):
                cluster.sql(statement, connection)
    except BaseException:
        cluster.stop()
        raise
    return cluster


def hold_rows(test, cluster: Cluster) -> None:
    """Fills the memory for rows of a scheduler with --result-memory-limit 1MiB, by a result that nobody reads: all
    results of tasks stay at the executors from now on, however small."""
    client = RawClient(cluster.port, TIMEOUT)
    test.addCleanup(client.close)
    for size in range(1 << 20, 1 << 19, -128):
        try:
            client.start(f"SELECT '{'x' * size}' AS held")
            return
        except flight.FlightError as error:
            test.assertIn("result-memory-limit", str(error))


class SecuredCluster:
    """Two executors with TLS and users: alice has PASSWORD, `token` is one of another user."""

    PASSWORD = "Pass-word-of-alice-1"

    def __init__(self, folder: pathlib.Path, scheduler_args=(), **more):
        folder.mkdir()
        self.authority = Authority(folder)
        cert, key = self.authority.issue("node")
        users, token_file = folder / "users", folder / "cluster-token"
        token_file.write_text("a-token-of-the-cluster-0123456789\n")
        token_file.chmod(0o600)
        program = [str(Cluster.binary("ballista")), "--auth-file", str(users)]
        subprocess.run([*program, "--add-user", "alice"], input=self.PASSWORD, text=True, check=True, timeout=TIMEOUT)
        self.token = run([*program, "--add-token", "loader"]).strip()
        tls = ["--tls-cert", cert, "--tls-key", key, "--tls-ca", self.ca, "--cluster-token-file", token_file]
        tls = [str(each) for each in tls]
        scheduler_args = [*tls, "--auth-file", str(users), *scheduler_args]
        self.cluster = Cluster(executors=2, scheduler_args=scheduler_args, executor_args=tls, **more)

    @property
    def ca(self) -> pathlib.Path:
        return self.authority.cert

    def __enter__(self) -> "SecuredCluster":
        self.cluster.__enter__()
        return self

    def __exit__(self, *error) -> None:
        self.cluster.__exit__(*error)


def run(command: list, **more) -> str:
    """Standard output of a program. Errors: AssertionError with all that it printed where it fails."""
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, timeout=TIMEOUT, **more)
    if done.returncode != 0:
        raise AssertionError(f"{command[0]} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def snippet(page: str, language: str) -> str:
    """The one code block of that language in docs/clients/PAGE."""
    text = (ROOT / "docs" / "clients" / page).read_text()
    [block] = re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)
    return textwrap.dedent(block)


def check_lines(test, output: str, at_least: int) -> None:
    """Lines "ok NAME" and "failed NAME: why", one for each check of a program."""
    found = re.findall(r"^(ok|failed) (\w+)", output, re.M)
    test.assertGreaterEqual(len(found), at_least, output)
    failed = [name for outcome, name in found if outcome == "failed"]
    test.assertEqual(failed, [], output)


def write_queries(folder: pathlib.Path) -> None:
    for number, sql in tpc_data.queries("tpch").items():
        (folder / f"{number:02}.sql").write_text(sql)


def check_tpch(test, folder: pathlib.Path, type_name) -> None:
    """The files NN.rows that a program made of write_queries(), against DuckDB in this process. type_name: of an Arrow
    type, as the program names it."""
    queries = tpc_data.queries("tpch")
    test.assertEqual(len(queries), 22)
    with tpc_data.connect() as oracle:
        tpc_data.create_views(oracle, FOLDER)
        for number, sql in queries.items():
            with test.subTest(number):
                expected = oracle.sql(sql).to_arrow_table()
                with open(folder / f"{number:02}.rows", encoding="utf-8") as file:
                    types, *rows = map(json.loads, file)
                test.assertEqual(types, [type_name(field.type) for field in expected.schema])
                verdict = compare.compare(sql, expected, table(rows, expected.schema), oracle)
                test.assertEqual(verdict.problem, "")


def table(rows: list[list[str | None]], schema: pa.Schema) -> pa.Table:
    columns = [
        pa.array([None if row[i] is None else value(row[i], field.type) for row in rows], field.type)
        for i, field in enumerate(schema)
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def value(text: str, kind: pa.DataType):
    if pa.types.is_integer(kind):
        return int(text)
    if pa.types.is_decimal(kind):
        return decimal.Decimal(text)
    if pa.types.is_floating(kind):
        return float(text)
    if pa.types.is_date(kind):
        return datetime.date.fromisoformat(text)
    assert pa.types.is_string(kind), kind
    return text
