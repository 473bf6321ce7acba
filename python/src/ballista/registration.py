"""Data of this process as tables of a session: streamed to Parquet files that a temporary view reads, or to a cluster
that sees no folder of ours, as a temporary table that the scheduler keeps."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import tempfile
import uuid
import weakref
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq

from ballista.errors import BallistaError, RegistrationError

if TYPE_CHECKING:
    from ballista.connection import Connection

# Each row group is work that one task can take: small enough to share, big enough to be read quickly.
_ROW_GROUP_ROWS = 122_880


def quote(name: str) -> str:
    """An identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class Registrations:
    """The files of a connection. They go when the table is dropped or replaced, and when the connection closes."""

    def __init__(self, connection: Connection, shared_folder: str | os.PathLike[str] | None):
        self._connection = connection
        self._shared = pathlib.Path(shared_folder).absolute() if shared_folder is not None else None
        self._own: pathlib.Path | None = None
        self._files: dict[str, pathlib.Path] = {}
        self._uploaded: dict[str, str] = {}  # names of tables

    def add(self, name: str, data: Any) -> None:
        reader = to_reader(data)
        if self._shared is None and not self._connection.is_local:
            self._upload(name, reader)
        else:
            self._write(name, reader)

    def _upload(self, name: str, reader: pa.RecordBatchReader) -> None:
        table = f"ballista_registered_{uuid.uuid4().hex}"
        try:
            self._connection._ingest(table, reader)
            self._connection.sql(f"CREATE OR REPLACE TEMPORARY VIEW {quote(name)} AS FROM temp.main.{table}")
        except BaseException as error:
            # What has arrived of rows that did not come to their end.
            with contextlib.suppress(BallistaError):
                self._connection.sql(f"DROP TABLE IF EXISTS temp.main.{table}")
            if not isinstance(error, (BallistaError, pa.ArrowException)):
                raise
            raise RegistrationError(f"cannot register {name}: {error}") from error
        if (old := self._uploaded.pop(name, None)) is not None:
            self._connection.sql(f"DROP TABLE temp.main.{old}")
        self._uploaded[name] = table

    def _write(self, name: str, reader: pa.RecordBatchReader) -> None:
        path = self._folder() / f"{uuid.uuid4().hex}.parquet"
        try:
            write(reader, path)
            self._connection.sql(
                f"CREATE OR REPLACE TEMPORARY VIEW {quote(name)} AS SELECT * FROM read_parquet({literal(str(path))})"
            )
        except BaseException as error:
            path.unlink(missing_ok=True)
            if not isinstance(error, (BallistaError, OSError, pa.ArrowException)):
                raise
            raise RegistrationError(
                f"cannot register {name}: {error}\n(its rows go to files in {path.parent}, which the cluster has to be "
                "able and allowed to read: connect() takes another place as shared_folder)"
            ) from error
        if (old := self._files.pop(name, None)) is not None:
            old.unlink(missing_ok=True)
        self._files[name] = path

    def drop(self, name: str) -> None:
        if (table := self._uploaded.pop(name, None)) is not None:
            self._connection.sql(f"DROP VIEW IF EXISTS {quote(name)}")
            self._connection.sql(f"DROP TABLE temp.main.{table}")
            return
        path = self._files.pop(name, None)
        if path is None:
            raise RegistrationError(f"{name} is not a registered table of this connection")
        try:
            self._connection.sql(f"DROP VIEW IF EXISTS {quote(name)}")
        finally:
            path.unlink(missing_ok=True)

    def names(self) -> list[str]:
        return [*self._files, *self._uploaded]

    def close(self) -> None:
        for path in self._files.values():
            path.unlink(missing_ok=True)
        self._files.clear()
        if self._own is not None:
            self._remove()
            self._own = None

    def _folder(self) -> pathlib.Path:
        if self._own is None:
            # A folder of its own, readable by the cluster's user too.
            self._own = pathlib.Path(tempfile.mkdtemp(prefix="ballista-registered-", dir=self._shared))
            self._own.chmod(0o755)
            # Also of a connection that nobody closes.
            self._remove = weakref.finalize(self, shutil.rmtree, self._own, ignore_errors=True)
        return self._own


def to_reader(data: Any) -> pa.RecordBatchReader:
    """Batches of what people have tables in. Errors: RegistrationError for anything else."""
    if isinstance(data, pa.RecordBatchReader):
        return data
    if isinstance(data, pa.Table):
        return data.to_reader()
    if isinstance(data, pa.RecordBatch):
        return pa.RecordBatchReader.from_batches(data.schema, [data])
    if isinstance(data, pyarrow.dataset.Dataset):
        return data.scanner().to_reader()
    kind = type(data)
    library = kind.__module__.split(".")[0]
    if library == "polars":
        frame = data.collect() if kind.__name__ == "LazyFrame" else data
        return frame.to_arrow().to_reader()
    if library == "pandas":
        return pa.Table.from_pandas(data, preserve_index=False).to_reader()
    if hasattr(data, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(data)
    if isinstance(data, Iterable) and not isinstance(data, (str, bytes, dict)):
        return _of_batches(iter(data))
    raise RegistrationError(
        f"cannot make a table of {kind.__module__}.{kind.__qualname__}: give a pyarrow Table, RecordBatchReader or "
        "Dataset, a pandas or polars DataFrame, or an iterator of record batches"
    )


def _of_batches(batches: Iterator[Any]) -> pa.RecordBatchReader:
    first = next(batches, None)
    if not isinstance(first, pa.RecordBatch):
        raise RegistrationError("an iterator of data must give pyarrow.RecordBatch, and at least one for its schema")

    def all_batches() -> Iterator[pa.RecordBatch]:
        yield first
        yield from batches

    return pa.RecordBatchReader.from_batches(first.schema, all_batches())


def write(reader: pa.RecordBatchReader, path: pathlib.Path) -> None:
    """Keeps one row group in memory at most."""
    with pq.ParquetWriter(path, reader.schema) as writer:
        pending: list[pa.RecordBatch] = []
        rows = 0
        for batch in reader:
            pending.append(batch)
            rows += batch.num_rows
            if rows >= _ROW_GROUP_ROWS:
                writer.write_table(pa.Table.from_batches(pending, reader.schema), _ROW_GROUP_ROWS)
                pending, rows = [], 0
        if pending:
            writer.write_table(pa.Table.from_batches(pending, reader.schema), _ROW_GROUP_ROWS)
    path.chmod(0o644)
