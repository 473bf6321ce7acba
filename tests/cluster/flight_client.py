"""Flight SQL without a driver, for tests that need the ticket of a query in their own hands."""

import time

import pyarrow.flight as fl

COMMAND = "type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def field(number, data):
    return bytes([number << 3 | 2]) + varint(len(data)) + data


class Client:
    """A Flight SQL client that keeps its ticket and comes back with it, to any of the schedulers."""

    def __init__(self, uris):
        self.uris = uris

    def submit(self, sql, uri=None, timeout=30):
        """At the first scheduler, where no other is named."""
        command = field(1, COMMAND.encode()) + field(2, field(1, sql.encode()))
        with fl.connect((uri or self.uris[0]).replace("grpc://", "grpc+tcp://")) as client:
            info = client.get_flight_info(
                fl.FlightDescriptor.for_command(command), fl.FlightCallOptions(timeout=timeout)
            )
            return info.endpoints[0].ticket

    def read_at(self, uri, ticket, timeout=60):
        with fl.connect(uri.replace("grpc://", "grpc+tcp://")) as client:
            return client.do_get(ticket, fl.FlightCallOptions(timeout=timeout)).read_all()

    def read(self, ticket, timeout=60, patience=None):
        """Comes back as long as the scheduler is not there, or has not answered for `patience` seconds: to each in
        turn. Any other error is one."""
        deadline = time.monotonic() + timeout
        turn = 0
        while True:
            try:
                return self.read_at(self.uris[turn % len(self.uris)], ticket, patience or timeout)
            except (fl.FlightUnavailableError, fl.FlightInternalError, fl.FlightTimedOutError) as error:
                if not self.is_gone(error) or time.monotonic() > deadline:
                    raise
                turn += 1
                time.sleep(0.1)

    @staticmethod
    def is_gone(error):
        return not isinstance(error, fl.FlightInternalError) or "Connection reset" in str(error)
