"""Flight SQL without a driver, for tests that need the ticket of a query in their own hands."""

import pathlib
import sys
import threading
import time

import pyarrow.flight as fl

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "clients"))
from messages import field  # noqa: E402

COMMAND = "type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"


class CookieJar(fl.ClientMiddlewareFactory):
    """Sends back what servers set, as a browser does. `sessions`: ids of all sessions that there were."""

    def __init__(self):
        super().__init__()
        self.cookies = {}
        self.sessions = set()

    def start_call(self, info):
        jar = self

        class Middleware(fl.ClientMiddleware):
            def sending_headers(self):
                text = "; ".join(f"{name}={value}" for name, value in jar.cookies.items())
                return {"cookie": text} if text else {}

            def received_headers(self, headers):
                for name in ("set-cookie", "Set-Cookie"):
                    for cookie in headers.get(name, []):
                        key, _, value = cookie.partition(";")[0].partition("=")
                        jar.cookies[key] = value
                        jar.sessions.add(value.partition(".")[0])

        return Middleware()


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


class TicketLoop:
    """Clients that submit queries, one after the other, and come back with their tickets whatever happens to the
    schedulers. `queries`: one thread each, as (SQL, expected rows); each goes round the client's schedulers.

        with TicketLoop(client, queries) as loop:
            ...  # do harm to the schedulers
        self.assertEqual(loop.errors, [])
    """

    def __init__(self, client, queries, timeout=60):
        self.client = client
        self.timeout = timeout
        self.answers = 0
        self.errors = []
        self.cut = 0  # submissions that ended with their scheduler: its job may be kept, and nobody knows of it
        self.stopping = threading.Event()
        self.threads = [
            threading.Thread(target=self.run, args=(sql, expected, turn), daemon=True)
            for turn, (sql, expected) in enumerate(queries)
        ]

    def run(self, sql, expected, turn):
        while not self.stopping.is_set():
            turn += 1
            try:
                ticket = self.client.submit(sql, self.client.uris[turn % len(self.client.uris)])
            except (fl.FlightUnavailableError, fl.FlightInternalError) as error:
                if Client.is_gone(error):
                    self.cut += 1
                else:
                    self.errors.append(error)
                time.sleep(0.1)
                continue
            try:
                got = self.client.read(ticket, self.timeout)
                self.answers += 1
                if not got.equals(expected):
                    self.errors.append(f"a wrong answer to {sql}: {got}")
            except Exception as error:  # reported by the test
                self.errors.append(error)

    def wait_for_answers(self, count, timeout=30):
        deadline = time.monotonic() + timeout
        while self.answers < count and not self.errors and time.monotonic() < deadline:
            time.sleep(0.1)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, error, trace):
        self.stopping.set()
        deadline = time.monotonic() + self.timeout + 30
        for thread in self.threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                self.errors.append("a query hangs")
