"""Ballista: SQL on a cluster, results as Arrow.

    import ballista

    with ballista.connect("localhost:50050") as con:
        table = con.sql("SELECT count(*) FROM '/data/trips'").to_arrow()
"""

from __future__ import annotations

from typing import Any

from ballista.cluster import Cluster, ClusterError
from ballista.connection import Connection, TableInfo, connect
from ballista.errors import (
    AuthenticationError,
    BallistaError,
    BindError,
    CatalogError,
    InternalError,
    NotFoundError,
    NotSupportedError,
    QueryCancelled,
    QueryRuntimeError,
    RegistrationError,
    ResourcesExhaustedError,
    ResultConsumedError,
    SQLSyntaxError,
    StatementError,
    UnavailableError,
    VersionMismatchError,
)
from ballista.result import Result

__version__ = "0.1.0"

__all__ = [
    "AuthenticationError",
    "BallistaError",
    "BindError",
    "CatalogError",
    "Cluster",
    "ClusterError",
    "Connection",
    "InternalError",
    "NotFoundError",
    "NotSupportedError",
    "QueryCancelled",
    "QueryRuntimeError",
    "RegistrationError",
    "ResourcesExhaustedError",
    "Result",
    "ResultConsumedError",
    "SQLSyntaxError",
    "StatementError",
    "TableInfo",
    "UnavailableError",
    "VersionMismatchError",
    "connect",
]


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext ballista`: the magics `%ballista` and `%%ballista`."""
    from ballista.magic import register

    register(shell)
