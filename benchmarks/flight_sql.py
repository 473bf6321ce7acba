"""The least that a Flight SQL client does for a query: GetFlightInfo and DoGet, over one open connection.

The ADBC driver prepares each statement first and closes it afterwards: two calls more, and some milliseconds of
its own. This client shows what the cluster itself takes.
"""

from __future__ import annotations

import pyarrow
import pyarrow.flight

_COMMAND = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"


def _field(number: int, value: bytes) -> bytes:
    """A length-delimited field of a protobuf message."""
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])


class FlightSql:
    def __init__(self, uri: str, timeout: float = 60.0):
        self.client = pyarrow.flight.connect(uri)
        self.options = pyarrow.flight.FlightCallOptions(timeout=timeout)

    def sql(self, text: str) -> pyarrow.Table:
        command = _field(1, _COMMAND) + _field(2, _field(1, text.encode()))
        descriptor = pyarrow.flight.FlightDescriptor.for_command(command)
        info = self.client.get_flight_info(descriptor, self.options)
        return self.client.do_get(info.endpoints[0].ticket, self.options).read_all()

    def close(self) -> None:
        self.client.close()
