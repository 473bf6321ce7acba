"""Spans of statements, for OpenTelemetry: what a statement belongs to, told to the scheduler by the W3C header
`traceparent`, and a span of the statement's own, which the cluster's are below.

The span is made by the application's OpenTelemetry where it uses that (the package `opentelemetry` is imported), or
sent from here to a collector that was named to `connect`. Without either, a TRACEPARENT of the environment is passed on.
"""

from __future__ import annotations

import http.client
import os
import queue
import re
import secrets
import sys
import threading
import time
import urllib.parse
from typing import Any

from ballista.wire import field, fixed64, integer

_MAX_TEXT = 4096
_KIND_CLIENT = 3
_STATUS_ERROR = 2
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class StatementSpan:
    """Of one statement, from when it is sent until its last row is there. `traceparent`: the header; empty: none."""

    def __init__(self, traceparent: str = ""):
        self.traceparent = traceparent
        self._ended = False

    def end(self, rows: int | None = None, error: str | None = None) -> None:
        """The first call counts."""
        if not self._ended:
            self._ended = True
            self._finish(rows, error)

    def _finish(self, rows: int | None, error: str | None) -> None:
        """Nothing records it."""


def begin(sql: str, exporter: Exporter | None) -> StatementSpan:
    """In the caller's thread, whose current span the statement's is below."""
    api = sys.modules.get("opentelemetry.trace")
    if exporter is None and api is not None:
        return _ApplicationSpan(api, sql)
    above = (_header(api.get_current_span().get_span_context()) if api is not None else "") or _of_environment()
    if exporter is None or (above and not _recorded(above)):
        return StatementSpan(above)
    return _OwnSpan(exporter, sql, above)


def _of_environment() -> str:
    above = os.environ.get("TRACEPARENT", "")
    return above if _TRACEPARENT.fullmatch(above) else ""


def _recorded(traceparent: str) -> bool:
    return bool(int(traceparent[53:55], 16) & 1)


def _header(context: Any) -> str:
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags) & 0xFF:02x}"


class _ApplicationSpan(StatementSpan):
    """Made by the application's OpenTelemetry, which records and exports it as it was told to."""

    def __init__(self, api: Any, sql: str):
        tracer = api.get_tracer("ballista")
        attributes = {"db.system.name": "ballista", "db.query.text": sql[:_MAX_TEXT]}
        self._span = tracer.start_span("statement", kind=api.SpanKind.CLIENT, attributes=attributes)
        self._status = api.Status, api.StatusCode.ERROR
        super().__init__(_header(self._span.get_span_context()) or _of_environment())

    def _finish(self, rows: int | None, error: str | None) -> None:
        if rows is not None:
            self._span.set_attribute("db.response.returned_rows", rows)
        if error is not None:
            status, code = self._status
            self._span.set_status(status(code, error))
        self._span.end()


class _OwnSpan(StatementSpan):
    """Sent to a collector by OTLP."""

    def __init__(self, exporter: Exporter, sql: str, above: str):
        found = _TRACEPARENT.fullmatch(above)
        self._trace_id = found[1] if found else secrets.token_hex(16)
        self._parent = found[2] if found else ""
        self._span_id = secrets.token_hex(8)
        self._exporter = exporter
        self._sql = sql[:_MAX_TEXT]
        self._begin = time.time_ns()
        super().__init__(f"00-{self._trace_id}-{self._span_id}-01")

    def _finish(self, rows: int | None, error: str | None) -> None:
        """opentelemetry.proto.trace.v1.Span."""
        encoded = field(1, bytes.fromhex(self._trace_id)) + field(2, bytes.fromhex(self._span_id))
        encoded += field(4, bytes.fromhex(self._parent)) + field(5, b"statement") + integer(6, _KIND_CLIENT)
        encoded += fixed64(7, self._begin) + fixed64(8, time.time_ns())
        encoded += field(9, _attribute("db.system.name", "ballista")) + field(9, _attribute("db.query.text", self._sql))
        if rows is not None:
            encoded += field(9, field(1, b"db.response.returned_rows") + field(2, integer(3, rows)))
        if error is not None:
            encoded += field(15, field(2, error.encode()) + integer(3, _STATUS_ERROR))
        self._exporter.add(encoded)


def _attribute(key: str, value: str) -> bytes:
    """KeyValue."""
    return field(1, key.encode()) + field(2, field(1, value.encode(errors="replace")))


class Exporter:
    """Sends spans to a collector by OTLP over HTTP from a thread of its own; a collector that is slow or gone costs spans
    and nothing else.

    endpoint: http://HOST:PORT or https://HOST:PORT; /v1/traces is added where it is not there. Headers of each request
    come from OTEL_EXPORTER_OTLP_HEADERS. Errors: ValueError for an endpoint that cannot be.
    """

    _MOST = 1000  # spans that wait
    _TIMEOUT_SECONDS = 5.0
    _LAST_SECONDS = 2.0  # for what is left at the end

    def __init__(self, endpoint: str):
        self._url = urllib.parse.urlsplit(endpoint)
        try:
            sound = self._url.scheme in ("http", "https") and bool(self._url.hostname) and self._url.port != 0
        except ValueError:
            sound = False
        if not sound:
            raise ValueError(
                "otlp_endpoint must be http:// or https://, a host and a port, such as http://localhost:4318, "
                f"not {endpoint!r}"
            )
        path = self._url.path.rstrip("/")
        self._path = path if path.endswith("/v1/traces") else path + "/v1/traces"
        self._headers = {"Content-Type": "application/x-protobuf"}
        for pair in filter(None, os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", "").split(",")):
            name, _, value = pair.partition("=")
            self._headers[name.strip()] = urllib.parse.unquote(value.strip())
        self._spans: queue.Queue[bytes | None] = queue.Queue(self._MOST)
        self._thread: threading.Thread | None = None

    def add(self, span: bytes) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ballista-traces", daemon=True)
            self._thread.start()
        try:
            self._spans.put_nowait(span)
        except queue.Full:
            pass  # the collector does not take them fast enough

    def close(self) -> None:
        """Waits a little until what is left is sent."""
        if self._thread is None:
            return
        try:
            self._spans.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(self._LAST_SECONDS)

    def _run(self) -> None:
        while (span := self._spans.get()) is not None:
            batch = [span]
            ended = False
            while not self._spans.empty() and not ended:
                one = self._spans.get()
                ended = one is None
                batch += [] if one is None else [one]
            try:
                self._send(batch)
            except (OSError, http.client.HTTPException):
                pass  # gone, or slow: these are lost
            if ended:
                return

    def _send(self, spans: list[bytes]) -> None:
        """ExportTraceServiceRequest."""
        about = field(1, _attribute("service.name", "ballista-python"))
        about += field(1, _attribute("service.instance.id", str(os.getpid())))
        scope = field(1, field(1, b"ballista")) + b"".join(field(2, span) for span in spans)
        body = field(1, field(1, about) + field(2, scope))
        secure = self._url.scheme == "https"
        connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = connect(self._url.hostname or "", self._url.port, timeout=self._TIMEOUT_SECONDS)
        try:
            connection.request("POST", self._path, body, self._headers)
            connection.getresponse().read()
        finally:
            connection.close()
