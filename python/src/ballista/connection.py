"""`connect` and `Connection`: one session with a scheduler."""

from __future__ import annotations

import atexit
import os
import pathlib
import re
import threading
import time
import urllib.parse
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, NamedTuple, TypeVar, cast

import pyarrow as pa
import pyarrow.flight as flight

from ballista import registration, tracing, wire
from ballista.errors import AuthenticationError, BallistaError, UnavailableError, VersionMismatchError, from_flight
from ballista.progress import Watch, choose_display
from ballista.result import Result

T = TypeVar("T")

_TICK_SECONDS = 0.05
_EXIT_SECONDS = 2.0


class TableInfo(NamedTuple):
    catalog: str
    schema: str
    name: str
    kind: str  # "BASE TABLE", "VIEW", "LOCAL TEMPORARY"


class Connection:
    """One session: settings, temporary views and registered data live as long as it does.

    For one thread at a time; `cancel` of a Result is for any.
    """

    def __init__(
        self,
        location: str,
        *,
        authorization: str | None = None,
        tls: dict[str, bytes] | None = None,
        timeout: float = 10.0,
        progress: bool | None = None,
        shared_folder: str | os.PathLike[str] | None = None,
        exporter: tracing.Exporter | None = None,
    ):
        self.location = location
        self._tls = tls or {}
        self._timeout = timeout
        self._progress = progress
        self._exporter = exporter
        self._headers = wire.CallHeaders(authorization)
        self._others: dict[str, flight.FlightClient] = {}
        self._closed = False
        self._registrations = registration.Registrations(self, shared_folder)
        self._client = flight.FlightClient(location, middleware=[self._headers], **self._tls)
        try:
            list(self._client.list_actions(self._short()))
        except Exception as error:
            self._client.close()
            typed = from_flight(error)
            if isinstance(typed, (AuthenticationError, VersionMismatchError)):
                raise typed from None
            raise UnavailableError(_unreachable(location, str(error))) from None
        self._process = os.getpid()
        _open_connections.add(self)

    # ---- statements

    def sql(self, sql: str) -> Result:
        """Runs one statement. Queries go on in the cluster while this returns; read the Result for their rows.

        Errors: those of ballista.errors; what the rows bring up comes when they are read. A KeyboardInterrupt
        cancels the query in the cluster.
        """
        self._check_open()
        descriptor = flight.FlightDescriptor.for_command(wire.statement_query(sql))
        span = tracing.begin(sql, self._exporter)
        headers = [(b"traceparent", span.traceparent.encode())] if span.traceparent else []
        options = flight.FlightCallOptions(headers=headers)
        call = Background(lambda: self._client.get_flight_info(descriptor, options))
        watch = Watch(lambda: None, choose_display(self._progress))
        try:
            info = call.wait(watch)
            watch.end()
            result = Result(self, sql, info, span)
            if info.total_records >= 0:
                result._keep()  # rows that the scheduler holds for us, of EXPLAIN or of a statement without a job
            return result
        except KeyboardInterrupt:
            call.when_done(self._cancel_info)
            self._cancel_statement(call)
            span.end(error="interrupted")
            raise
        except BallistaError:
            raise  # of the rows
        except Exception as error:
            typed = from_flight(error, sql)
            span.end(error=str(typed))
            raise typed from None
        finally:
            watch.end()

    def explain(self, sql: str, analyze: bool = False) -> str:
        """The staged plan as text; with `analyze` the query is run, and what its tasks did is in it."""
        rows = self.sql(f"EXPLAIN {'ANALYZE ' if analyze else ''}{sql}").to_arrow()
        return "\n".join(str(plan) for plan in rows.column(rows.num_columns - 1).to_pylist())

    def tables(self) -> list[TableInfo]:
        """All tables and views that this session sees."""
        rows = self.sql(
            "SELECT table_catalog, table_schema, table_name, table_type FROM information_schema.tables "
            "ORDER BY ALL"
        )
        return [TableInfo(*row) for row in rows.fetchall()]

    def register(self, name: str, data: Any) -> None:
        """Makes Arrow, pandas or polars data, or an iterator of record batches, the table `name` of this session.

        The rows are streamed: to Parquet files in the shared folder, which executors read, or, to a cluster on other
        machines where there is no such folder, to the scheduler. Errors: RegistrationError where the cluster cannot
        read the folder, or takes no more rows.
        """
        self._check_open()
        self._registrations.add(name, data)

    def unregister(self, name: str) -> None:
        """Drops a registered table and its files."""
        self._registrations.drop(name)

    # ---- life

    def close(self) -> None:
        """Ends the session; what it holds in the cluster is dropped. May be called again."""
        if self._closed:
            return
        _open_connections.discard(self)
        self._registrations.close()
        self._closed = True
        try:
            self._act("CloseSession", b"")
        except BallistaError:
            pass  # a server that is gone has dropped it too
        for client in [*self._others.values(), self._client]:
            client.close()
        if self._exporter is not None:
            self._exporter.close()

    def _close_at_exit(self) -> None:
        # A child that was forked has the session of its parent.
        if self._process == os.getpid():
            self._timeout = min(self._timeout, _EXIT_SECONDS)
            self.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ballista.Connection {self.location}{' (closed)' if self._closed else ''}>"

    @property
    def is_local(self) -> bool:
        """Whether the scheduler is on this machine, by its address."""
        host = urllib.parse.urlparse(self.location).hostname or ""
        return host == "localhost" or host.startswith("127.") or host == "::1"

    # ---- for Result

    def _open(self, endpoint: flight.FlightEndpoint) -> flight.FlightStreamReader:
        """The rows of an endpoint, from the first of its places that answers."""
        failure: Exception | None = None
        for location in endpoint.locations or [None]:
            try:
                return self._client_at(location).do_get(endpoint.ticket)
            except (flight.FlightUnavailableError, flight.FlightTimedOutError) as error:
                failure = error
        assert failure is not None
        raise failure

    def _ingest(self, table: str, reader: pa.RecordBatchReader) -> None:
        """Streams rows to the scheduler: a new temporary table. Where they break off, what has come is a table."""
        descriptor = flight.FlightDescriptor.for_command(wire.temporary_ingest(table))
        try:
            writer, answer = self._client.do_put(descriptor, reader.schema)
            with writer:
                for batch in reader:
                    writer.write_batch(batch)
                writer.done_writing()
                answer.read()
        except flight.FlightError as error:
            raise from_flight(error) from None

    def _client_at(self, location: flight.Location | None) -> flight.FlightClient:
        uri = "" if location is None else location.uri.decode()
        if uri in ("", self.location) or uri.startswith("arrow-flight-reuse-connection:"):
            return self._client
        if uri not in self._others:
            # Without cookies and authorization: they are the scheduler's business.
            self._others[uri] = flight.FlightClient(uri, **self._tls)
        return self._others[uri]

    def _ask_progress(self, query_id: str) -> wire.Progress | None:
        """None where the server cannot tell: no reason to disturb the query."""
        try:
            return wire.Progress.parse(self._act("job_profile", wire.Progress.request(query_id)))
        except (BallistaError, ValueError):
            return None

    def _cancel_info(self, info: flight.FlightInfo) -> None:
        try:
            self._act("CancelFlightInfo", wire.cancel_request(info))
        except BallistaError:
            pass  # over already, or the server is gone

    def _cancel_statement(self, call: Background[flight.FlightInfo]) -> None:
        """Ends a statement that has run when its call returns (COPY, INSERT), as soon as it has begun."""
        deadline = time.monotonic() + self._timeout
        while not call.has_ended(_TICK_SECONDS) and time.monotonic() < deadline:
            try:
                self._act("cancel_statements", b"")
            except BallistaError:
                return

    def _act(self, action: str, body: bytes) -> bytes:
        try:
            results = list(self._client.do_action((action, body), self._short()))
        except Exception as error:
            raise from_flight(error) from None
        return results[0].body.to_pybytes() if results else b""

    def _short(self) -> flight.FlightCallOptions:
        return flight.FlightCallOptions(timeout=self._timeout)

    def _check_open(self) -> None:
        if self._closed:
            raise BallistaError("this connection is closed")


_open_connections: weakref.WeakSet[Connection] = weakref.WeakSet()


@atexit.register
def _close_connections() -> None:
    """A program that ends leaves no session behind, with queries that run on for nobody."""
    for connection in list(_open_connections):
        connection._close_at_exit()


class Background(Generic[T]):
    """A call on a thread of its own, so that waiting for it can be interrupted."""

    def __init__(self, work: Callable[[], T]):
        self._work = work
        self._done = threading.Event()
        self._ended = threading.Event()  # what is to follow has been done, too
        self._lock = threading.Lock()
        self._value: T | None = None
        self._error: BaseException | None = None
        self._after: Callable[[T], None] | None = None
        threading.Thread(target=self._run, name="ballista-call", daemon=True).start()

    def _run(self) -> None:
        try:
            self._value = self._work()
        except BaseException as error:
            self._error = error
        with self._lock:
            self._done.set()
            after = self._after
        if after is not None:
            self._tell(after)
        self._ended.set()

    def wait(self, watch: Watch) -> T:
        while not self._done.wait(_TICK_SECONDS):
            watch.tick()
        if self._error is not None:
            raise self._error
        return cast(T, self._value)

    def has_ended(self, seconds: float) -> bool:
        """Whether it has, and what was to follow, within this time."""
        return self._ended.wait(seconds)

    def when_done(self, after: Callable[[T], None]) -> None:
        """Calls `after` with the value, now or when it is there; not where the call fails."""
        with self._lock:
            if not self._done.is_set():
                self._after = after
                return
        self._tell(after)

    def _tell(self, after: Callable[[T], None]) -> None:
        if self._error is None:
            after(cast(T, self._value))


def connect(
    address: str | None = None,
    *,
    user: str | None = None,
    password: str | None = None,
    token: str | None = None,
    tls: bool | None = None,
    tls_ca: str | os.PathLike[str] | None = None,
    tls_cert: str | os.PathLike[str] | None = None,
    tls_key: str | os.PathLike[str] | None = None,
    timeout: float = 10.0,
    progress: bool | None = None,
    shared_folder: str | os.PathLike[str] | None = None,
    otlp_endpoint: str | None = None,
) -> Connection:
    """Opens a session with the scheduler at `address`: "host:port", "host", or "grpc+tls://host:port".

    What is not given comes from the environment, as for the command line: BALLISTA_HOST, BALLISTA_PORT,
    BALLISTA_USER, BALLISTA_PASSWORD, BALLISTA_TOKEN, BALLISTA_TLS_CA, BALLISTA_OTLP_ENDPOINT.

    tls_ca: certificates that the scheduler's is checked by; tls_cert, tls_key: this side's, for mutual TLS; each a
    file's path, and each turns TLS on. timeout: seconds for connecting and for calls that carry no query.
    progress: True or False to have the progress bar or not; None: in terminals and notebooks. shared_folder: where
    `register` writes; a folder that the cluster sees under the same path. otlp_endpoint: an OpenTelemetry collector that
    gets a span of each statement, such as http://localhost:4318; where it is not given and the application uses
    OpenTelemetry, the spans are that's.

    Errors: UnavailableError, AuthenticationError; ValueError for arguments that do not fit.
    """
    environment = os.environ
    tls_ca = tls_ca or environment.get("BALLISTA_TLS_CA") or None
    location, tls_on = _location(
        address or environment.get("BALLISTA_HOST") or "localhost",
        environment.get("BALLISTA_PORT", "50050") if not address else "50050",
        bool(tls or (tls is None and (tls_ca or tls_cert or tls_key))),
    )
    if tls is False and tls_on:
        raise ValueError("tls=False does not go with an address of grpc+tls://")
    if user is not None and token is not None:
        raise ValueError("give user and password, or token, not both")
    if user is None and token is None:
        token = environment.get("BALLISTA_TOKEN") or None
        user = None if token else environment.get("BALLISTA_USER") or None
    authorization = None
    if token is not None:
        authorization = f"Bearer {token}"
    elif user is not None:
        password = environment.get("BALLISTA_PASSWORD", "") if password is None else password
        authorization = wire.basic(user, password)
    files = {"tls_root_certs": tls_ca, "cert_chain": tls_cert, "private_key": tls_key} if tls_on else {}
    otlp_endpoint = otlp_endpoint or environment.get("BALLISTA_OTLP_ENDPOINT") or None
    material = {name: pathlib.Path(path).read_bytes() for name, path in files.items() if path}
    return Connection(
        location,
        authorization=authorization,
        tls=material,
        timeout=timeout,
        progress=progress,
        shared_folder=shared_folder,
        exporter=tracing.Exporter(otlp_endpoint) if otlp_endpoint else None,
    )


def _unreachable(location: str, error: str) -> str:
    """Why no scheduler answered, by the words that gRPC has for it."""
    tls = location.startswith("grpc+tls")
    if (refused := re.search(r"certificate verify failed: ([^.;\[\]]*)", error)) is not None:
        reason = f"its certificate is not accepted: {refused[1]}"
    elif "is not in peer certificate" in error:
        reason = "its certificate is for another host name"
    elif tls and "wrong version number" in error.lower():
        reason = "it does not speak TLS"
    elif "Socket closed" in error or "Connection reset by peer" in error:
        reason = (
            "it hung up: it may not accept this side's client certificate, or want one (tls_cert, tls_key)"
            if tls
            else "it hung up: it may want TLS (tls_ca)"
        )
    else:
        return (
            f"cannot reach the scheduler at {location}: start one with `scheduler --port PORT`, or name another as "
            "host:port"
        )
    return f"cannot talk to the scheduler at {location}: {reason}"


def _location(address: str, default_port: str, tls: bool) -> tuple[str, bool]:
    scheme, separator, rest = address.rpartition("://")
    if separator:
        if scheme not in ("grpc", "grpc+tcp", "grpc+tls"):
            raise ValueError(f"the address must begin with grpc:// or grpc+tls://, not {scheme}://")
        tls = tls or scheme == "grpc+tls"
    parsed = urllib.parse.urlsplit(f"//{rest}")
    try:
        port = parsed.port or int(default_port)
    except ValueError:
        raise ValueError(f"no port from 1 to 65535 in the address {address!r}") from None
    if not parsed.hostname:
        raise ValueError(f"no host in the address {address!r}: give it as host:port")
    host = f"[{parsed.hostname}]" if ":" in parsed.hostname else parsed.hostname
    return f"grpc+{'tls' if tls else 'tcp'}://{host}:{port}", tls

