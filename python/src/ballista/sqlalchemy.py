"""SQLAlchemy's dialect for a Ballista cluster: create_engine("ballista://host:port").

Statements are those of SQLAlchemy's PostgreSQL dialect, which DuckDB's SQL follows; they go through the ADBC driver
for Flight SQL, and tables and columns are found in information_schema. A connection is a session of the cluster.
There are no transactions: every statement counts when it is done, and a rollback undoes nothing.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import exc, pool, types
from sqlalchemy.dialects.postgresql import base as postgresql
from sqlalchemy.engine import URL, Connection, default, reflection
from sqlalchemy.sql import compiler, text

TYPES: dict[str, type[types.TypeEngine[Any]]] = {
    "BOOLEAN": types.Boolean, "TINYINT": types.SmallInteger, "SMALLINT": types.SmallInteger,
    "INTEGER": types.Integer, "BIGINT": types.BigInteger, "UTINYINT": types.SmallInteger, "USMALLINT": types.Integer,
    "UINTEGER": types.BigInteger, "FLOAT": types.Float, "DOUBLE": types.Double, "VARCHAR": types.String,
    "BLOB": types.LargeBinary, "DATE": types.Date, "TIME": types.Time, "TIMESTAMP": types.TIMESTAMP,
    "TIMESTAMP_S": types.TIMESTAMP, "TIMESTAMP_MS": types.TIMESTAMP, "TIMESTAMP_NS": types.TIMESTAMP,
    "INTERVAL": types.Interval, "UUID": types.Uuid,
}  # fmt: skip


def column_type(name: str) -> types.TypeEngine[Any]:
    """The type of a column from its name in SQL ("DECIMAL(15,2)"); what SQLAlchemy has no type for is NullType."""
    if name.endswith("[]"):
        return types.ARRAY(column_type(name[:-2]))
    if decimal := re.fullmatch(r"DECIMAL\((\d+),\s*(\d+)\)", name):
        return types.Numeric(int(decimal[1]), int(decimal[2]))
    if name in ("HUGEINT", "UHUGEINT", "UBIGINT"):
        return types.Numeric(38, 0)
    if name == "TIMESTAMP WITH TIME ZONE":
        return types.TIMESTAMP(timezone=True)
    if name.startswith("ENUM("):
        return types.String()
    return TYPES.get(name, types.NullType)()


class DDLCompiler(postgresql.PGDDLCompiler):
    def get_column_specification(self, column: Any, **options: Any) -> str:
        # Without the SERIAL of PostgreSQL, which the cluster does not have.
        return compiler.DDLCompiler.get_column_specification(self, column, **options)


class TypeCompiler(postgresql.PGTypeCompiler):
    def visit_BYTEA(self, type_: Any, **options: Any) -> str:
        return "BLOB"


class BallistaDialect(postgresql.PGDialect):
    name = "ballista"
    driver = "adbc"
    default_paramstyle = "qmark"
    ddl_compiler = DDLCompiler
    type_compiler_cls = TypeCompiler
    default_schema_name = "main"
    supports_statement_cache = True
    supports_sane_rowcount = False
    supports_sane_multi_rowcount = False
    supports_sequences = False
    supports_native_uuid = False
    preexecute_autoincrement_sequences = False
    postfetch_lastrowid = False
    insert_returning = update_returning = delete_returning = False
    implicit_returning = False
    use_insertmanyvalues = False
    supports_comments = False
    supports_native_enum = False

    @classmethod
    def import_dbapi(cls) -> Any:
        import adbc_driver_flightsql.dbapi

        return adbc_driver_flightsql.dbapi

    @classmethod
    def get_pool_class(cls, url: URL) -> type[pool.Pool]:
        return pool.QueuePool

    def create_connect_args(self, url: URL) -> tuple[Sequence[Any], dict[str, Any]]:
        """ballista://user:password@host:port?token=…&tls=true&tls_ca=…&tls_cert=…&tls_key=…"""
        from adbc_driver_flightsql import DatabaseOptions

        given: dict[str, Any] = dict(url.query)
        options = {DatabaseOptions.WITH_COOKIE_MIDDLEWARE.value: "true"}
        if url.username:
            options.update(username=url.username, password=str(url.password or ""))
        if token := given.pop("token", None):
            options[DatabaseOptions.AUTHORIZATION_HEADER.value] = f"Bearer {token}"
        tls = given.pop("tls", "false").lower() == "true" or any(name.startswith("tls_") for name in given)
        files = {
            "tls_ca": DatabaseOptions.TLS_ROOT_CERTS,
            "tls_cert": DatabaseOptions.MTLS_CERT_CHAIN,
            "tls_key": DatabaseOptions.MTLS_PRIVATE_KEY,
        }
        for name, option in files.items():
            if name in given:
                options[option.value] = pathlib.Path(given.pop(name)).read_text()
        if given:
            known = "token, tls, tls_ca, tls_cert, tls_key"
            raise exc.ArgumentError(f"the URL has an unknown option {min(given)!r}; known are {known}")
        address = f"{'grpc+tls' if tls else 'grpc'}://{url.host or 'localhost'}:{url.port or 50050}"
        return (address,), {"db_kwargs": options, "autocommit": True}

    def initialize(self, connection: Connection) -> None:
        # Not the base's, which asks PostgreSQL for its version and settings.
        self.server_version_info = (15,)

    def on_connect(self) -> None:
        return None

    def is_disconnect(self, e: Exception, connection: Any, cursor: Any) -> bool:
        return "Unavailable" in str(e)

    def do_begin(self, dbapi_connection: Any) -> None:
        pass

    def do_commit(self, dbapi_connection: Any) -> None:
        pass

    def do_rollback(self, dbapi_connection: Any) -> None:
        pass

    def do_ping(self, dbapi_connection: Any) -> bool:
        cursor = dbapi_connection.cursor()
        try:
            cursor.execute("SELECT 1")
            return True
        finally:
            cursor.close()

    def get_isolation_level(self, dbapi_connection: Any) -> Any:
        return "AUTOCOMMIT"

    def get_isolation_level_values(self, dbapi_connection: Any) -> Any:
        return ["AUTOCOMMIT"]

    # ---- reflection

    def _names(self, connection: Connection, kind: str, schema: str | None) -> list[str]:
        sql = (
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = {} AND table_type LIKE {} ORDER BY 1"
        )
        return self._column(connection, sql, schema or self.default_schema_name, kind)

    @staticmethod
    def _column(connection: Connection, sql: str, *values: str) -> list[Any]:
        """The first column of a query on the catalog. Its values are in the text: such a query is no job."""
        literals = ["'" + value.replace("'", "''") + "'" for value in values]
        return list(connection.execute(text(sql.format(*literals).replace(":", r"\:"))).scalars())

    @reflection.cache
    def get_schema_names(self, connection: Connection, **options: Any) -> list[str]:
        sql = (
            "SELECT DISTINCT schema_name FROM information_schema.schemata"
            " WHERE catalog_name NOT IN ('system', 'temp') ORDER BY 1"
        )
        return self._column(connection, sql)

    @reflection.cache
    def get_table_names(self, connection: Connection, schema: str | None = None, **options: Any) -> list[str]:
        return self._names(connection, "BASE TABLE", schema)

    @reflection.cache
    def get_view_names(self, connection: Connection, schema: str | None = None, **options: Any) -> list[str]:
        return self._names(connection, "VIEW", schema)

    @reflection.cache
    def get_temp_table_names(self, connection: Connection, schema: str | None = None, **options: Any) -> list[str]:
        return self._names(connection, "LOCAL TEMPORARY", schema)

    def has_table(self, connection: Connection, table_name: str, schema: str | None = None, **options: Any) -> bool:
        return table_name in self._names(connection, "%", schema)

    def has_schema(  # type: ignore[override]  # The base classes call it by different names.
        self, connection: Connection, schema_name: str, **options: Any
    ) -> bool:
        return schema_name in self.get_schema_names(connection)

    def has_sequence(self, connection: Connection, sequence_name: str, schema: Any = None, **options: Any) -> bool:
        return False

    def has_type(self, connection: Connection, type_name: str, schema: Any = None, **options: Any) -> bool:
        return False

    @reflection.cache
    def get_columns(self, connection: Connection, table_name: str, schema: str | None = None, **options: Any) -> Any:
        sql = (
            "SELECT [column_name, data_type, is_nullable] FROM information_schema.columns"
            " WHERE table_schema = {} AND table_name = {} ORDER BY ordinal_position"
        )
        found = self._column(connection, sql, schema or self.default_schema_name, table_name)
        if not found:
            raise exc.NoSuchTableError(table_name)
        return [
            {"name": name, "type": column_type(kind), "nullable": nullable == "YES", "default": None}
            for name, kind, nullable in found
        ]

    def get_view_definition(self, connection: Connection, view_name: str, schema: Any = None, **options: Any) -> str:
        sql = "SELECT sql FROM duckdb_views() WHERE schema_name = {} AND view_name = {}"
        found = self._column(connection, sql, schema or self.default_schema_name, view_name)
        if not found:
            raise exc.NoSuchTableError(view_name)
        return str(found[0])

    # There are none of these.

    def get_pk_constraint(self, connection: Connection, table_name: str, schema: Any = None, **options: Any) -> Any:
        return {"constrained_columns": [], "name": None}

    def get_foreign_keys(self, connection: Connection, table_name: str, schema: Any = None, **options: Any) -> Any:
        return []

    def get_indexes(self, connection: Connection, table_name: str, schema: Any = None, **options: Any) -> Any:
        return []

    def get_unique_constraints(self, connection: Connection, table_name: str, schema: Any = None, **more: Any) -> Any:
        return []

    def get_check_constraints(self, connection: Connection, table_name: str, schema: Any = None, **more: Any) -> Any:
        return []

    def get_table_options(self, connection: Connection, table_name: str, schema: Any = None, **options: Any) -> Any:
        return {}

    def get_table_comment(self, connection: Connection, table_name: str, schema: Any = None, **options: Any) -> Any:
        return {"text": None}


# Table by table, by the methods above; PostgreSQL's would ask pg_catalog.
for _kind in ("columns", "pk_constraint", "foreign_keys", "indexes", "unique_constraints", "check_constraints",
              "table_comment", "table_options"):  # fmt: skip
    setattr(BallistaDialect, f"get_multi_{_kind}", getattr(default.DefaultDialect, f"get_multi_{_kind}"))
