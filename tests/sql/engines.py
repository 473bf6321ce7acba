"""What the corpus runs on: single-process DuckDB (the oracle), or a cluster through ADBC."""

from __future__ import annotations

import pathlib
import re
import sys
import time

import duckdb
import pyarrow as pa

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from cluster.cluster import Cluster  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent

EXTERNAL_TABLE = re.compile(
    r"^\s*CREATE\s+(?P<replace>OR\s+REPLACE\s+)?EXTERNAL\s+TABLE\s+(?P<missing>IF\s+NOT\s+EXISTS\s+)?"
    r"(?P<name>\"[^\"]+\"|[\w.]+)\s*(?P<columns>\(.*?\)\s*)?STORED\s+AS\s+(?P<format>\w+)\s+"
    r"(?P<header>WITH\s+HEADER\s+ROW\s+)?"
    r"LOCATION\s+'(?P<location>[^']+)'\s*(?:OPTIONS\s*\((?P<options>.*)\))?\s*;?\s*$",
    re.I | re.S,
)
DROP_EXTERNAL = re.compile(r"^\s*DROP\s+EXTERNAL\s+TABLE\b", re.I)
SUFFIXES = {"PARQUET": "parquet", "CSV": "csv", "JSON": "ndjson", "NDJSON": "ndjson"}
READERS = {"PARQUET": "read_parquet", "CSV": "read_csv", "JSON": "read_json", "NDJSON": "read_json"}


def statements(text: str) -> list[str]:
    """The statements of the prelude: one ends at a semicolon at a line's end."""
    lines = [line for line in text.split("\n") if not line.startswith("--")]
    return [part.strip() for part in re.split(r";\s*(?:\n|$)", "\n".join(lines)) if part.strip()]


def substitute(sql: str, data: pathlib.Path, scratch: pathlib.Path) -> str:
    return sql.replace("__DATA__", str(data)).replace("__SCRATCH__", str(scratch))


def as_duckdb(sql: str) -> str:
    """CREATE EXTERNAL TABLE as the DuckDB view over the same files; any other statement unchanged."""
    match = EXTERNAL_TABLE.match(sql)
    if not match:
        return DROP_EXTERNAL.sub("DROP VIEW", sql)
    kind = match["format"].upper()
    arguments = [f"'{files(match['location'], kind)}'"]
    if match["columns"]:
        fields = split_columns(match["columns"].strip()[1:-1])
        columns = ", ".join(f"'{name}': '{type_name}'" for name, type_name in fields)
        if kind != "PARQUET":
            arguments.append(f"columns = {{{columns}}}")
    if match["header"]:
        arguments.append("header = true")
    for key, value in re.findall(r"(\w+)\s+'([^']*)'", match["options"] or ""):
        arguments.append(f"{key} = '{value}'")
    source = f"FROM {READERS[kind]}({', '.join(arguments)})"
    create = "CREATE OR REPLACE VIEW" if match["replace"] else "CREATE VIEW"
    return f"{create} {'IF NOT EXISTS ' if match['missing'] else ''}{match['name']} AS {source}"


def files(location: str, kind: str) -> str:
    path = pathlib.Path(location)
    if "*" in location or path.is_file():
        return location
    return f"{location}/**/*.{SUFFIXES[kind]}"


def split_columns(text: str) -> list[tuple[str, str]]:
    """Name and type of each column; commas within parentheses belong to a type."""
    parts = re.split(r",(?![^()]*\))", text)
    return [tuple(part.strip().split(None, 1)) for part in parts]


class DuckDb:
    """The oracle. `reverse`: read the files in reverse order with several threads, to find out which results
    depend on an order that SQL leaves open."""

    name = "duckdb"

    def __init__(self, data: pathlib.Path, scratch: pathlib.Path, reverse: bool = False):
        self.data, self.scratch, self.reverse = data, scratch, reverse
        self.prelude = statements((HERE / "prelude.sql").read_text())

    def open(self) -> "DuckDbSession":
        return DuckDbSession(self)

    def close(self) -> None:
        pass

    def where(self) -> str:
        return ""

    def cpu_seconds(self) -> dict[str, float]:
        return {}


class DuckDbSession:
    def __init__(self, engine: DuckDb):
        self.engine = engine
        self.connection = duckdb.connect()
        self.connection.execute(f"SET threads = {3 if engine.reverse else 1}")
        self.connection.execute("SET TimeZone = 'UTC'")
        if engine.reverse:
            self.connection.execute("SET preserve_insertion_order = false")
        for sql in engine.prelude:
            self.execute(sql)

    def execute(self, sql: str) -> pa.Table:
        sql = as_duckdb(substitute(sql, self.engine.data, self.engine.scratch))
        if self.engine.reverse:
            sql = re.sub(r"(read_parquet\()('[^']*/\*\*/\*\.parquet')", self.reversed_files, sql)
        if not is_rows(sql):
            return self.connection.execute(sql).to_arrow_table()
        relation = self.connection.sql(sql)
        if "BIT" in map(str, relation.types):
            relation = bits_as_text(relation)
        return relation.to_arrow_table()

    @staticmethod
    def reversed_files(match: re.Match) -> str:
        base = pathlib.Path(match[2].strip("'").removesuffix("/**/*.parquet"))
        names = sorted(map(str, base.rglob("*.parquet")), reverse=True)
        return match[1] + "[" + ", ".join(f"'{name}'" for name in names) + "]"

    def close(self) -> None:
        self.connection.close()


def bits_as_text(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """BIT is text in a cluster's results; DuckDB's Arrow export gives its inner bytes."""
    names = [f"c{i}" for i in range(len(relation.types))]
    columns = [f"{n}::VARCHAR AS {n}" if str(t) == "BIT" else n for n, t in zip(names, relation.types)]
    return relation.query("source", f"SELECT {', '.join(columns)} FROM source AS t({', '.join(names)})")


def is_rows(sql: str) -> bool:
    """SELECT-like: its result can be a relation, whose types are known before it runs."""
    return bool(re.match(r"\s*(SELECT|WITH|VALUES|FROM|\()", sql, re.I))


class ClusterEngine:
    """A cluster of its own, with the corpus's tables and one connection a session."""

    name = "ballista"

    def __init__(self, data: pathlib.Path, scratch: pathlib.Path, config: dict, timeout: float = 60.0):
        self.data, self.scratch, self.timeout = data, scratch, timeout
        self.settings = config.get("set", {})
        self.prepare = config.get("prepare", True)
        self.cluster = Cluster(
            executors=config.get("executors", 2),
            threads=config.get("threads", 1),
            shuffle_memory_limit=config.get("shuffle_memory_limit"),
            memory_limit=config.get("memory_limit"),
            executor_args=config.get("executor_args", ()),
            scheduler_args=config.get("scheduler_args", ()),
        )
        try:
            self.cluster.start()
            with self.cluster.connect(timeout) as connection:
                for sql in statements((HERE / "prelude.sql").read_text()):
                    self.cluster.sql(substitute(sql, data, scratch), connection)
        except BaseException:
            self.cluster.report(sys.stderr)
            self.cluster.stop()
            raise

    def open(self) -> "ClusterSession":
        return ClusterSession(self)

    def close(self) -> None:
        self.cluster.stop()

    def where(self) -> str:
        return "\n".join(self.cluster.dead())

    def cpu_seconds(self) -> dict[str, float]:
        """User and system time of each process so far, and that of the client."""
        used = {each.name: each.cpu_seconds() for each in self.cluster.processes() if each.running()}
        return {**used, "client": time.process_time()}


class ClusterSession:
    def __init__(self, engine: ClusterEngine):
        self.engine = engine
        self.connection = engine.cluster.connect(engine.timeout)
        self.execute("SET TimeZone = 'UTC'")
        for option, value in engine.settings.items():
            self.execute(f"SET {option} = {value}")

    def execute(self, sql: str) -> pa.Table:
        sql = substitute(sql, self.engine.data, self.engine.scratch)
        return self.engine.cluster.sql(sql, self.connection, self.engine.prepare)

    def close(self) -> None:
        self.connection.close()
