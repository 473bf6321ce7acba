"""Flight SQL by hand, for what a driver does not do: to keep a ticket and come back with it, to call single actions."""

from __future__ import annotations

import pathlib
import sys

import pyarrow as pa
import pyarrow.flight as flight

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "clients"))
import messages  # noqa: E402
from messages import field as length_delimited  # noqa: E402

STATEMENT = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"


def job_state(profile: bytes) -> str:
    """QueryProfile.job.state of the answer to `job_profile`."""
    number = messages.one(messages.one(profile, 3), 4, 0)
    return ("unknown", "queued", "running", "finished", "failed", "cancelled")[number]


class RawClient:
    """Its session is that of its connection. `timeout`: seconds for each call; None: no limit. `headers`: of each."""

    def __init__(self, port: int, timeout: float | None = None, headers: list[tuple[bytes, bytes]] | None = None):
        self.flight = flight.connect(f"grpc://127.0.0.1:{port}")
        self.timeout = timeout
        self.headers = headers or []

    def options(self, timeout: float | None = None) -> flight.FlightCallOptions:
        return flight.FlightCallOptions(timeout=self.timeout if timeout is None else timeout, headers=self.headers)

    def start(self, sql: str, timeout: float | None = None) -> flight.FlightInfo:
        command = length_delimited(1, STATEMENT) + length_delimited(2, length_delimited(1, sql.encode()))
        descriptor = flight.FlightDescriptor.for_command(command)
        return self.flight.get_flight_info(descriptor, self.options(timeout))

    def rows(self, info: flight.FlightInfo, timeout: float | None = None) -> pa.Table:
        return self.flight.do_get(info.endpoints[0].ticket, self.options(timeout)).read_all()

    def sql(self, text: str) -> pa.Table:
        return self.rows(self.start(text))

    def act(self, action: str, body: bytes = b"") -> bytes:
        results = self.flight.do_action((action, body), self.options())
        return b"".join(result.body.to_pybytes() for result in results)

    def cancel(self, action: str, info: flight.FlightInfo) -> bytes:
        return self.act(action, length_delimited(1, info.serialize()))

    def close(self) -> None:
        self.flight.close()
