"""The Ibis backend: `ibis.ballista.connect(...)`.

Ibis's DuckDB backend with its connection replaced: expressions are compiled by Ibis's own DuckDB compiler, the SQL goes
to the cluster. What needs an in-process DuckDB (Python UDFs, extensions, attached databases) is refused.
"""

from __future__ import annotations

import contextlib
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import ibis
import ibis.common.exceptions as exc
import ibis.expr.operations as ops
import ibis.expr.schema as sch
import ibis.expr.types as ir
import pyarrow as pa
import sqlglot as sg
import sqlglot.expressions as sge
from ibis import util
from ibis.backends.duckdb import Backend as DuckDBBackend
from ibis.backends.sql import compilers
from sqlglot.dialects import DuckDB

import ballista
from ballista.connection import Connection
from ballista.result import Result

if TYPE_CHECKING:
    import polars

_NO_DUCKDB = "the Ballista backend has no DuckDB in this process: "


class Ballista(DuckDB):  # type: ignore[misc]
    """The dialect by the backend's name; sqlglot knows it from here on."""


# Where Ibis looks for a dialect's compiler.
compilers.ballista = compilers.duckdb


class _Rows:
    """A Result by the names that Ibis's DuckDB backend calls."""

    def __init__(self, cursor: _Cursor, result: Result):
        self._cursor = cursor
        self._result = result
        self._unread: Iterator[tuple[Any, ...]] | None = None

    def to_arrow_table(self) -> pa.Table:
        return self._result.to_arrow()

    fetch_arrow_table = to_arrow_table
    arrow = to_arrow_table

    def fetch_record_batch(self, rows_per_batch: int = 1_000_000) -> Iterator[pa.RecordBatch]:
        for batch in self._result.reader():
            for start in range(0, batch.num_rows, rows_per_batch):
                yield batch.slice(start, rows_per_batch)

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._result.fetchall()

    def fetchone(self) -> tuple[Any, ...] | None:
        if self._unread is None:
            self._unread = iter(self._result.fetchall())
        return next(self._unread, None)

    def df(self) -> Any:
        return self._result.to_pandas()

    def pl(self) -> polars.DataFrame:
        return self._result.to_polars()

    def execute(self, sql: str) -> _Rows:
        return self._cursor.execute(sql)

    @property
    def description(self) -> list[tuple[Any, ...]]:
        return [(field.name, field.type, None, None, None, None, None) for field in self._result.schema]

    def close(self) -> None:
        self._result.close()


class _Cursor:
    """A Connection by the names that Ibis's DuckDB backend calls."""

    def __init__(self, connection: Connection):
        self.connection = connection

    def execute(self, sql: str, parameters: Any = None) -> _Rows:
        if parameters:
            raise exc.UnsupportedOperationError("statements with parameters are not supported by Ballista's backend")
        return _Rows(self, self.connection.sql(sql))

    sql = execute

    def register(self, name: str, data: Any) -> None:
        self.connection.register(name, data)

    def cursor(self) -> contextlib.nullcontext[_Cursor]:
        return contextlib.nullcontext(self)

    def close(self) -> None:
        self.connection.close()

    def remove_function(self, name: str) -> None:
        """There are none."""


class _Settings:
    def __init__(self, cursor: _Cursor):
        self._cursor = cursor

    def __getitem__(self, name: str) -> Any:
        [(value,)] = self._cursor.execute(f"SELECT current_setting({_literal(name)})").fetchall()
        return value

    def __setitem__(self, name: str, value: Any) -> None:
        self._cursor.execute(f"SET {name} = {_literal(str(value))}")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class Backend(DuckDBBackend):  # type: ignore[misc]
    name = "ballista"

    @property
    def dialect(self) -> Any:
        return self.compiler.dialect

    def do_connect(
        self, host: str | None = None, port: int | None = None, **options: Any
    ) -> None:
        """Connects to a cluster.

        Parameters
        ----------
        host
            The scheduler's host, or "host:port"; by default that of the environment, else localhost.
        port
            The scheduler's port, 50050 by default.
        options
            user, password, token, tls_ca and the other arguments of ballista.connect.
        """
        address = host
        if port is not None:
            address = f"{host or 'localhost'}:{port}"
        self._use(ballista.connect(address, **options))

    @classmethod
    def from_connection(cls, con: Connection | _Cursor, /) -> Backend:
        """A backend on a session that is open, a ballista.Connection or another backend's `con`."""
        backend = cls()
        backend._can_reconnect = False
        backend._use(con.connection if isinstance(con, _Cursor) else con)
        return backend

    def _use(self, connection: Connection) -> None:
        self.con = _Cursor(connection)
        self._record_batch_readers_consumed: dict[str, bool] = {}
        self.settings["TimeZone"] = "UTC"

    def _from_url(self, url: urllib.parse.ParseResult, **options: Any) -> Backend:
        """ballista://user:password@host:port"""
        backend: Backend = self.connect(
            host=url.hostname or "localhost",
            port=url.port or 50050,
            user=url.username,
            password=url.password,
            **options,
        )
        return backend

    @property
    def settings(self) -> _Settings:
        return _Settings(self.con)

    @property
    def version(self) -> str:
        return ballista.__version__

    def raw_sql(self, query: str | sg.Expression, **options: Any) -> _Rows:
        text = query if isinstance(query, str) else query.sql(dialect=self.dialect)
        rows: _Rows = self.con.execute(text, **options)
        return rows

    def get_schema(
        self, table_name: str, *, catalog: str | None = None, database: str | None = None
    ) -> sch.Schema:
        table = sg.table(table_name, db=database, catalog=catalog, quoted=self.compiler.quoted)
        try:
            meta = self.con.sql(sge.Describe(this=table).sql(self.dialect)).to_arrow_table()
        except (ballista.CatalogError, ballista.BindError) as error:
            raise exc.TableNotFound(table_name) from error
        names, types, nulls = (meta[name].to_pylist() for name in ("column_name", "column_type", "null"))
        mapper = self.compiler.type_mapper
        return sch.Schema(
            {name: mapper.from_string(kind, nullable=null == "YES") for name, kind, null in zip(names, types, nulls)}
        )

    def to_polars(
        self, expr: ir.Expr, /, *, params: Mapping[ir.Scalar, Any] | None = None,
        limit: int | str | None = None, **options: Any,
    ) -> Any:
        import polars

        table = expr.as_table()
        rows = self._to_duckdb_relation(table, params=params, limit=limit, **options).to_arrow_table()
        return expr.__polars_result__(polars.from_arrow(rows))

    def to_pyarrow_batches(
        self, expr: ir.Expr, /, *, params: Mapping[ir.Scalar, Any] | None = None,
        limit: int | str | None = None, chunk_size: int = 1_000_000, **_: Any,
    ) -> pa.RecordBatchReader:
        self._run_pre_execute_hooks(expr)
        table = expr.as_table()
        rows = self.raw_sql(self.compile(table, limit=limit, params=params))
        schema = table.schema().to_pyarrow()
        # DuckDB's types may be wider than those that Ibis infers: a sum of BIGINT is a HUGEINT.
        batches = (batch.cast(schema) for batch in rows.fetch_record_batch(chunk_size))
        return pa.RecordBatchReader.from_batches(schema, batches)

    def disconnect(self) -> None:
        self.con.close()

    def upsert(self, name: str, /, obj: Any, on: str, *, database: str | None = None) -> None:
        # A MERGE is done in the scheduler, which reads no files: its source has to be a local table.
        source = obj if isinstance(obj, ir.Table) else ibis.memtable(obj)
        copy = util.gen_name("upsert")
        rows = self.create_table(copy, source, temp=True)
        try:
            super().upsert(name, rows, on, database=database)
        finally:
            self.drop_table(copy, database=("temp", "main"))

    # ---- tables of this process

    def _register_in_memory_table(self, op: ops.InMemoryTable) -> None:
        try:
            data = op.data.to_pyarrow_dataset(op.schema)
        except AttributeError:
            data = op.data.to_pyarrow(op.schema)
        self.con.register(op.name, data)

    def _finalize_in_memory_table(self, name: str) -> None:
        # At the end of the program the connection may be gone, and with it the table.
        with contextlib.suppress(ballista.BallistaError):
            self.con.connection.unregister(name)

    def _make_memtable_finalizer(self, name: str) -> Any:
        return lambda: self._finalize_in_memory_table(name)

    # ---- what needs a DuckDB in this process

    def _load_extensions(self, extensions: list[str], force_install: bool = False) -> None:
        raise exc.UnsupportedOperationError(_NO_DUCKDB + f"extensions ({', '.join(extensions)}) cannot be loaded")

    def _register_udf(self, udf_node: ops.ScalarUDF) -> Any:
        raise NotImplementedError(_NO_DUCKDB + "Python and PyArrow functions cannot be used")

    _register_python_udf = _register_udf
    _register_pyarrow_udf = _register_udf

    def attach(self, path: Any, name: str | None = None, read_only: bool = False) -> None:
        raise exc.UnsupportedOperationError(_NO_DUCKDB + "databases cannot be attached")

    def detach(self, name: str) -> None:
        raise exc.UnsupportedOperationError(_NO_DUCKDB + "databases cannot be detached")

    def register_filesystem(self, filesystem: Any) -> None:
        raise exc.UnsupportedOperationError(_NO_DUCKDB + "file systems cannot be registered")


__all__ = ["Backend", "ibis"]
