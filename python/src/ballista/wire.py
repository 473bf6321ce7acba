"""Flight SQL on the wire: the few messages that are needed, in protobuf's format, and the headers of a call.

Written by hand so that the package needs nothing but pyarrow.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import pyarrow.flight as flight

_TYPE = b"type.googleapis.com/arrow.flight.protocol.sql."

Headers = Mapping[str, Sequence[str]]


def varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])


def field(number: int, value: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def integer(number: int, value: int) -> bytes:
    """A field of a whole number that is not negative."""
    return varint(number << 3) + varint(value)


def fixed64(number: int, value: int) -> bytes:
    return varint(number << 3 | 1) + value.to_bytes(8, "little")


def statement_query(sql: str) -> bytes:
    """CommandStatementQuery, packed into an Any."""
    return field(1, _TYPE + b"CommandStatementQuery") + field(2, field(1, sql.encode()))


def temporary_ingest(table: str) -> bytes:
    """CommandStatementIngest of a new temporary table, packed into an Any."""
    create = 1
    options = field(1, integer(1, create))
    return field(1, _TYPE + b"CommandStatementIngest") + field(2, options + field(2, table.encode()) + integer(5, 1))


def cancel_request(info: flight.FlightInfo) -> bytes:
    """CancelFlightInfoRequest."""
    return field(1, info.serialize())


class Message:
    """The fields of a message: integers and bytes by number; the last of a repeated one counts, or all of them."""

    def __init__(self, encoded: bytes):
        self._fields: dict[int, list[int | bytes]] = {}
        for number, value in _fields(encoded):
            self._fields.setdefault(number, []).append(value)

    def integer(self, number: int, default: int = 0) -> int:
        value = self._fields.get(number, [default])[-1]
        return value if isinstance(value, int) else default

    def data(self, number: int) -> bytes:
        value = self._fields.get(number, [b""])[-1]
        return value if isinstance(value, bytes) else b""

    def text(self, number: int) -> str:
        return self.data(number).decode(errors="replace")

    def messages(self, number: int) -> list[Message]:
        return [Message(value) for value in self._fields.get(number, []) if isinstance(value, bytes)]

    def message(self, number: int) -> Message | None:
        found = self.messages(number)
        return found[-1] if found else None


def _read_varint(encoded: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(encoded) or shift > 63:
            raise ValueError("not a protobuf message")
        byte = encoded[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _fields(encoded: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(encoded):
        key, at = _read_varint(encoded, at)
        kind = key & 7
        if kind == 0:
            value, at = _read_varint(encoded, at)
            yield key >> 3, value
            continue
        if kind == 2:
            length, at = _read_varint(encoded, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError("not a protobuf message")
        if at + length > len(encoded):
            raise ValueError("not a protobuf message")
        yield key >> 3, encoded[at : at + length]
        at += length


_NOT_NEEDED = 1  # STAGE_STATE_NOT_NEEDED


@dataclasses.dataclass(frozen=True)
class Stage:
    tasks: int
    running: int
    finished: int
    bytes: int


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a query is, read from its profile (proto/ballista/profile.proto). `state`: one of STATES."""

    STATES = ("unknown", "queued", "running", "finished", "failed", "cancelled")

    state: str
    stages: tuple[Stage, ...]
    queue_position: int  # of a query that waits for others: 1 is the next; 0: it does not wait
    waiting_for: str

    @staticmethod
    def request(query_id: str) -> bytes:
        return field(1, query_id.encode())

    @staticmethod
    def parse(encoded: bytes) -> Progress:
        profile = Message(encoded)
        job = profile.message(3) or Message(b"")
        state = job.integer(4)
        stages = [
            Stage(stage.integer(7), stage.integer(9), stage.integer(10), stage.integer(15))
            for stage in profile.messages(6)
            if stage.integer(3) != _NOT_NEEDED
        ]
        known = Progress.STATES[state] if state < len(Progress.STATES) else "unknown"
        return Progress(known, tuple(stages), job.integer(16), job.text(17))


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class CallHeaders(flight.ClientMiddlewareFactory):  # type: ignore[misc]
    """Sends the session's cookies and the authorization with each call, and keeps the cookies that come back."""

    def __init__(self, authorization: str | None):
        super().__init__()
        self.authorization = authorization
        self.cookies: dict[str, str] = {}

    def start_call(self, info: object) -> _CallHeaders:
        return _CallHeaders(self)


class _CallHeaders(flight.ClientMiddleware):  # type: ignore[misc]
    def __init__(self, factory: CallHeaders):
        super().__init__()
        self._factory = factory

    def sending_headers(self) -> dict[str, str]:
        headers = {}
        if self._factory.authorization:
            headers["authorization"] = self._factory.authorization
        if self._factory.cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self._factory.cookies.items())
        return headers

    def received_headers(self, headers: Headers) -> None:
        for cookie in headers.get("set-cookie", ()):
            name, _, value = str(cookie).split(";")[0].partition("=")
            self._factory.cookies[name.strip()] = value.strip()
