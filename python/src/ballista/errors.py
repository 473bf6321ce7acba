"""The exceptions: one class a kind of failure, made of the typed error that the server sends."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.flight as flight

from ballista.wire import Message


class BallistaError(Exception):
    """Anything that went wrong. `query_id` is that of the query, where it had got one."""

    def __init__(self, message: str, *, sql: str | None = None, query_id: str | None = None):
        super().__init__(message)
        self.message = message
        self.sql = sql
        self.query_id = query_id


class StatementError(BallistaError):
    """The statement cannot be run as it is.

    `position` is the index in `sql` of the character that the message is about, `line` and `column` count from 1;
    all are None where the server does not say.
    """

    def __init__(
        self, message: str, *, sql: str | None = None, query_id: str | None = None, position: int | None = None
    ):
        super().__init__(message, sql=sql, query_id=query_id)
        self.position = position
        self.line: int | None = None
        self.column: int | None = None
        if position is not None and sql is not None:
            before = sql[:position]
            self.line = before.count("\n") + 1
            self.column = position - (before.rfind("\n") + 1) + 1


class SQLSyntaxError(StatementError):
    """The text is no SQL statement."""


class BindError(StatementError):
    """A table, column or function is not known, or types do not fit."""


class CatalogError(StatementError):
    """An object of the catalog is missing, or there already."""


class QueryRuntimeError(StatementError):
    """Failed on the data: a conversion, an overflow, more than one row of a sub-query."""


class NotSupportedError(StatementError):
    """The cluster does not do this."""


class NotFoundError(StatementError):
    """A file or folder is not there."""


class ResourcesExhaustedError(BallistaError):
    """A limit was reached. `resource`: "memory", "disk", "queue" or "unknown"; `limit_bytes`: 0 where not known."""

    resource = "unknown"
    limit_bytes = 0


class QueryCancelled(BallistaError):
    """The query was stopped. `reason`: "client", "deadline", "session_closed", "shutdown" or "unknown"."""

    reason = "unknown"


class UnavailableError(BallistaError):
    """Nobody answers there, or not in time; or an executor was lost for good."""


class AuthenticationError(BallistaError):
    """The server does not let this client in."""


class VersionMismatchError(BallistaError):
    """The two sides speak different versions of the protocol."""


class InternalError(BallistaError):
    """A bug of the server."""


class ResultConsumedError(BallistaError):
    """The rows of this result have been read, or given up; a result can be streamed once."""


class RegistrationError(BallistaError):
    """Data could not be made a table of the session."""


_USER_KINDS: dict[int, type[StatementError]] = {
    1: SQLSyntaxError,
    2: BindError,
    3: CatalogError,
    4: QueryRuntimeError,
    5: NotSupportedError,
    6: NotFoundError,
}
_RESOURCES = ("unknown", "memory", "disk", "queue")
_REASONS = ("unknown", "client", "deadline", "session_closed", "shutdown")


def from_flight(error: BaseException, sql: str | None = None, query_id: str | None = None) -> BallistaError:
    """The exception for what a call of pyarrow raised."""
    if isinstance(error, BallistaError):
        return error
    typed = _typed(bytes(getattr(error, "extra_info", b"") or b""), sql, query_id)
    if typed is not None:
        return typed
    message = _servers_words(str(error))
    if isinstance(error, (flight.FlightUnavailableError, flight.FlightTimedOutError)):
        return UnavailableError(message, sql=sql, query_id=query_id)
    if isinstance(error, (flight.FlightUnauthenticatedError, flight.FlightUnauthorizedError)):
        return AuthenticationError(message, sql=sql, query_id=query_id)
    if isinstance(error, (flight.FlightCancelledError, pa.ArrowCancelled)):
        return QueryCancelled(message, sql=sql, query_id=query_id)
    if isinstance(error, (NotImplementedError, pa.ArrowNotImplementedError)):
        return NotSupportedError(message, sql=sql, query_id=query_id)
    if isinstance(error, flight.FlightInternalError):
        return InternalError(message, sql=sql, query_id=query_id)
    return BallistaError(message, sql=sql, query_id=query_id)


def _typed(trailer: bytes, sql: str | None, query_id: str | None) -> BallistaError | None:
    """Of the trailer `grpc-status-details-bin`: RpcStatus { message = 2, details = 3 { Any { TaskFailed } } }."""
    try:
        status = Message(trailer)
        packed = status.message(3)
        if packed is None or not packed.text(1).endswith("ballista.control.TaskFailed"):
            return None
        failure = Message(packed.data(2)).message(3)
        return None if failure is None else _of_detail(failure, status.text(2), sql, query_id)
    except ValueError:
        return None


def _of_detail(detail: Message, message: str, sql: str | None, query_id: str | None) -> BallistaError:
    if (user := detail.message(1)) is not None:
        kind = _USER_KINDS.get(user.integer(1), StatementError)
        position = _character(sql, user.integer(2))
        return kind(message, sql=sql, query_id=query_id, position=position)
    if (resources := detail.message(4)) is not None:
        exhausted = ResourcesExhaustedError(message, sql=sql, query_id=query_id)
        exhausted.resource = _name(_RESOURCES, resources.integer(1))
        exhausted.limit_bytes = resources.integer(2)
        return exhausted
    if (cancelled := detail.message(5)) is not None:
        stopped = QueryCancelled(message, sql=sql, query_id=query_id)
        stopped.reason = _name(_REASONS, cancelled.integer(1))
        return stopped
    if detail.message(2) is not None or detail.message(3) is not None:
        return UnavailableError(message, sql=sql, query_id=query_id)
    if detail.message(7) is not None:
        return VersionMismatchError(message, sql=sql, query_id=query_id)
    return InternalError(message, sql=sql, query_id=query_id)


def _name(names: tuple[str, ...], number: int) -> str:
    return names[number] if number < len(names) else "unknown"


def _character(sql: str | None, byte: int) -> int | None:
    """The character at a byte of the statement. The server says -1 (64 bits of ones) where it does not know."""
    if sql is None or byte >= 1 << 31:
        return None
    return len(sql.encode()[:byte].decode(errors="ignore"))


def _servers_words(message: str) -> str:
    """Without what Arrow and gRPC put around them."""
    message = message.split("error, with message: ", 1)[-1]
    return re.split(r"\. gRPC client debug context:|\. Client context:|\. Detail: ", message)[0]
