"""The rows of a statement."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.flight as flight

from ballista.errors import QueryCancelled, ResultConsumedError, from_flight
from ballista.progress import Watch, choose_display

if TYPE_CHECKING:
    import pandas
    import polars

    from ballista.connection import Connection
    from ballista.tracing import StatementSpan

_READ_AHEAD = 4  # batches: enough to hide the wire, little enough to hold the server back
_TICK_SECONDS = 0.05


class Result:
    """What a statement gives. Its rows come from the cluster once: `to_arrow`, `to_pandas`, `to_polars` and `fetchall`
    keep them, so they may follow each other; `reader` streams them, and after that there are none left.

    Leaving a `with` block, `close` and a KeyboardInterrupt cancel a query whose rows are not all read.
    """

    def __init__(self, connection: Connection, sql: str, info: flight.FlightInfo, span: StatementSpan):
        self._connection = connection
        self._info = info
        self._span = span
        self._table: pa.Table | None = None
        self._stream: _Stream | None = None
        self._over = False
        self.sql = sql

    @property
    def query_id(self) -> str:
        """The id that the cluster gave the query; it is in the logs of all its processes."""
        return bytes(self._info.app_metadata).decode()

    @property
    def schema(self) -> pa.Schema:
        return self._info.schema

    def to_arrow(self) -> pa.Table:
        if self._table is None:
            self._table = pa.Table.from_batches(self._batches(), self.schema)
        return self._table

    def to_pandas(self, **options: Any) -> pandas.DataFrame:
        """`options`: those of pyarrow.Table.to_pandas."""
        frame: pandas.DataFrame = self.to_arrow().to_pandas(**options)
        return frame

    def to_polars(self) -> polars.DataFrame:
        import polars

        frame = polars.from_arrow(self.to_arrow())
        assert isinstance(frame, polars.DataFrame)
        return frame

    def fetchall(self) -> list[tuple[Any, ...]]:
        """The rows as tuples of Python values."""
        columns = [column.to_pylist() for column in self.to_arrow().columns]
        return list(zip(*columns, strict=True))

    def reader(self) -> pa.RecordBatchReader:
        """The rows batch by batch, as the cluster sends them; never more than a few of them in memory."""
        if self._table is not None:
            return self._table.to_reader()
        return pa.RecordBatchReader.from_batches(self.schema, self._batches())

    def cancel(self) -> None:
        """Stops the query in the cluster, and wakes up who reads here: with QueryCancelled."""
        if self._over:
            return
        self._over = True
        self._span.end(error="cancelled")
        self._connection._cancel_info(self._info)
        if self._stream is not None:
            self._stream.stop()

    def close(self) -> None:
        """Cancels what is not read. May be called again."""
        self.cancel()

    def __enter__(self) -> Result:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._table) if self._table is not None else f"<ballista.Result {self.query_id}>"

    # ---- own

    def _keep(self) -> None:
        self.to_arrow()

    def _batches(self) -> Iterator[pa.RecordBatch]:
        if self._over or self._stream is not None:
            raise ResultConsumedError(
                "the rows of this result were streamed or given up: run the statement again",
                sql=self.sql,
                query_id=self.query_id,
            )
        self._stream = _Stream(self._connection, self._info)
        return self._follow(self._stream)

    def _follow(self, stream: _Stream) -> Iterator[pa.RecordBatch]:
        connection = self._connection
        watch = Watch(lambda: connection._ask_progress(self.query_id), choose_display(connection._progress))
        rows = 0
        try:
            while (batch := stream.next(watch)) is not None:
                watch.end()
                rows += batch.num_rows
                yield batch
            self._over = True
            self._span.end(rows=rows)
        except (KeyboardInterrupt, GeneratorExit):
            watch.end()
            self.cancel()
            raise
        except Exception as error:
            if self._over:
                raise QueryCancelled("the query was cancelled", sql=self.sql, query_id=self.query_id) from None
            self._over = True
            typed = from_flight(error, self.sql, self.query_id)
            self._span.end(error=str(typed))
            raise typed from None
        finally:
            watch.end()


class _Stream:
    """Reads the endpoints of a result on a thread of its own, a few batches ahead."""

    def __init__(self, connection: Connection, info: flight.FlightInfo):
        self._connection = connection
        self._info = info
        self._queue: queue.Queue[pa.RecordBatch | BaseException | None] = queue.Queue(_READ_AHEAD)
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._reader: flight.FlightStreamReader | None = None
        threading.Thread(target=self._run, name="ballista-read", daemon=True).start()

    def next(self, watch: Watch) -> pa.RecordBatch | None:
        """The next batch, None at the end. Raises what reading raised."""
        while True:
            try:
                item = self._queue.get(timeout=_TICK_SECONDS)
            except queue.Empty:
                if self._stopped.is_set():
                    raise QueryCancelled("the query was cancelled") from None
                watch.tick()
                continue
            if isinstance(item, BaseException):
                raise item
            return item

    def stop(self) -> None:
        self._stopped.set()
        with self._lock:
            if self._reader is not None:
                self._reader.cancel()

    def _run(self) -> None:
        try:
            for endpoint in self._info.endpoints:
                reader = self._connection._open(endpoint)
                with self._lock:
                    self._reader = reader
                if self._stopped.is_set():
                    reader.cancel()
                for chunk in reader:
                    if chunk.data is not None and not self._put(chunk.data):
                        return
                with self._lock:
                    self._reader = None
            self._put(None)
        except BaseException as error:
            self._put(error)

    def _put(self, item: pa.RecordBatch | BaseException | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=_TICK_SECONDS)
                return True
            except queue.Full:
                continue
        return False
