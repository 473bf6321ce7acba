"""TPC-H queries from several clients at once, each answer compared with single-process DuckDB's.

    with Load(cluster, clients=4, seed=1) as load:
        ...  # do harm to the cluster
    load.raise_problems()
"""

from __future__ import annotations

import enum
import pathlib
import random
import sys
import threading
import time

import pyarrow.flight as flight

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "oracle"))

import compare  # noqa: E402
import tpc_data  # noqa: E402
from raw_client import RawClient  # noqa: E402

SETTINGS = {"ballista.single_task_threshold": "0"}
# Queries beside TPC-H's, whose results are read from the executors.
LARGE = {
    101: "SELECT * FROM orders WHERE o_orderkey % 3 = 1 ORDER BY o_orderkey",
    102: "SELECT l_orderkey, l_linenumber, l_comment, c_name FROM lineitem, orders, customer "
    "WHERE l_orderkey = o_orderkey AND o_custkey = c_custkey AND l_partkey % 7 = 2 ORDER BY 1, 2",
}


class Loss(enum.Enum):
    """What a client does when the scheduler is gone."""

    FAIL = "count the query as failed"
    RESEND = "send the query again"
    ATTACH = "come back with the ticket; send again what was cut off before there was one"


class Gone(Exception):
    """The scheduler did not answer: it has ended, or is on its way."""


class ResultLost(Exception):
    """An executor ended while the result was read from it; the query is to be run again."""


class NotKnown(Exception):
    """The scheduler does not know the query of the ticket."""


def sorted_out(error: Exception) -> Exception:
    """Gone or NotKnown where the error is one of these, else the error."""
    text = str(error)
    if isinstance(error, flight.FlightUnavailableError) or "Connection reset" in text:
        return Gone(text)
    if "is stopping" in text or "Socket closed" in text:
        return Gone(text)
    # gRPC's own word for a call that comes in the moment in which its server stops.
    if isinstance(error, flight.FlightCancelledError) and "message: CANCELLED" in text:
        return Gone(text)
    # The scheduler could not make the query durable: it is not run.
    if "did not keep it in time" in text:
        return Gone(text)
    if "run the query again" in text and "result" in text and "executor" in text:
        return ResultLost(text)
    if "there is no job" in text:
        return NotKnown(text)
    return error


class Load:
    """scale: of TPC-H. settings: of the clients' sessions. timeout: seconds after which a query counts as hanging.
    queries: numbers of those to ask; None: all."""

    def __init__(
        self,
        cluster,
        clients: int,
        seed: int,
        scale: str = "0.1",
        timeout: float = 60.0,
        settings: dict[str, str] | None = None,
        loss: Loss = Loss.FAIL,
        queries: list[int] | None = None,
    ):
        self.cluster = cluster
        self.timeout = timeout
        self.seed = seed
        self.settings = {**SETTINGS, **(settings or {})}
        self.loss = loss
        self.folder = tpc_data.ensure("tpch", scale)
        texts = tpc_data.queries("tpch")
        texts |= LARGE
        self.queries = {number: texts[number] for number in queries or texts}
        self.oracle = tpc_data.connect()
        tpc_data.create_views(self.oracle, self.folder)
        self.expected = {n: self.oracle.sql(text).to_arrow_table() for n, text in self.queries.items()}
        self.lock = threading.Lock()
        self.answers = 0
        self.cut_off = 0  # calls that ended with the scheduler
        self.cut_off_unknown = 0  # of these, before the client had a ticket
        self.attached = 0  # answers that came after such an end, by the ticket of before
        self.sent_again = 0
        self.results_lost = 0  # of these, while they were read from an executor
        self.times: list[float] = []
        self.problems: list[str] = []
        self.stopping = threading.Event()
        self.give_up = threading.Event()  # of queries under way, too
        self.threads = [threading.Thread(target=self.run, args=(number,), daemon=True) for number in range(clients)]

    def __enter__(self) -> "Load":
        self.create_tables(RawClient(self.cluster.port, 20))
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, error, trace) -> None:
        self.stopping.set()
        deadline = time.monotonic() + self.timeout + 10
        for thread in self.threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                self.problem(f"a client hangs\n{self.cluster.where()}")

    @property
    def longest(self) -> float:
        return max(self.times, default=0.0)

    def problem(self, text: str) -> None:
        with self.lock:
            self.problems.append(text)

    def create_tables(self, client: RawClient) -> None:
        for sql in tpc_data.external_tables(self.folder):
            client.sql(sql.replace("CREATE EXTERNAL TABLE", "CREATE EXTERNAL TABLE IF NOT EXISTS", 1))

    def run(self, number: int) -> None:
        order = random.Random(f"{self.seed}/{number}")
        while not self.stopping.is_set():
            query = order.choice(list(self.queries))
            # Half of the queries shuffle where they could broadcast.
            settings = {"ballista.broadcast_threshold": "0"} if order.random() < 0.5 else {}
            start = time.monotonic()
            try:
                self.ask(query, Asking(self, settings, start + self.timeout, number))
            except Exception as error:  # what the load looks for; reported by raise_problems
                took = time.monotonic() - start
                self.problem(f"client {number}, Q{query} after {took:.1f} s: {type(error).__name__}: {error}")
                self.stopping.wait(0.2)

    def ask(self, number: int, asking: "Asking") -> None:
        start = time.monotonic()
        try:
            got = asking.answer(self.queries[number])
        finally:
            asking.close()
        taken = time.monotonic() - start
        with self.lock:
            self.times.append(taken)
            self.answers += 1
            if not got.equals(self.expected[number]):
                verdict = compare.compare(self.queries[number], self.expected[number], got, self.oracle)
                if verdict.problem:
                    self.problems.append(f"Q{number} is wrong: {verdict.problem}")

    def raise_problems(self) -> None:
        if self.problems:
            raise AssertionError(
                f"seed {self.seed}: {len(self.problems)} problems in {self.answers} answers\n"
                + "\n".join(self.problems[:8])
            )


class Asking:
    """One query, until it is answered or its time is up."""

    def __init__(self, load: Load, settings: dict[str, str], deadline: float, turn: int):
        self.load = load
        self.settings = settings
        self.deadline = deadline
        self.cut_off = 0
        self.client: RawClient | None = None
        # The scheduler to ask; the next one where that is gone.
        self.turn = turn

    def close(self) -> None:
        if self.client is not None:
            self.client.close()
            self.client = None

    def connect(self) -> RawClient:
        schedulers = self.load.cluster.schedulers()
        return RawClient(schedulers[self.turn % len(schedulers)].port, self.left())

    def left(self) -> float:
        return max(self.deadline - time.monotonic(), 0.1)

    def connected(self) -> RawClient:
        if self.client is None:
            self.client = self.connect()
            for name, value in (self.load.settings | self.settings).items():
                self.client.sql(f"SET {name} = {value}")
        return self.client

    def persist(self, what):
        """Calls `what` until the scheduler is there. Errors: Gone at the deadline, or where that is a failure."""
        while True:
            try:
                return what()
            except flight.FlightError as error:
                reason = sorted_out(error)
            except OSError as error:  # Arrow's, for a connection that broke
                reason = sorted_out(error)
            self.close()
            over = time.monotonic() > self.deadline or self.load.give_up.is_set()
            if not isinstance(reason, Gone) or self.load.loss is Loss.FAIL or over:
                raise reason
            self.cut_off += 1
            self.turn += 1
            with self.load.lock:
                self.load.cut_off += 1
            time.sleep(0.1)

    def submit(self, sql: str) -> flight.FlightInfo:
        try:
            return self.connected().start(sql, self.left())
        except Exception as error:
            # The catalog of a scheduler may end with it.
            if self.load.loss is Loss.FAIL or "does not exist" not in str(error):
                raise
            self.load.create_tables(self.connected())
            return self.connected().start(sql, self.left())

    def answer(self, sql: str):
        while True:
            try:
                return self.resent(sql) if self.load.loss is Loss.RESEND else self.attached(sql)
            except ResultLost:
                if self.load.loss is Loss.FAIL or time.monotonic() > self.deadline:
                    raise
                with self.load.lock:
                    self.load.sent_again += 1
                    self.load.results_lost += 1

    def attached(self, sql: str):
        before = self.cut_off
        info = self.persist(lambda: self.submit(sql))
        with self.load.lock:
            self.load.cut_off_unknown += self.cut_off - before
        before = self.cut_off
        # The ticket is enough: no session is needed.
        got = self.persist(lambda: self.reader().rows(info, self.left()))
        with self.load.lock:
            self.load.attached += self.cut_off != before
        return got

    def reader(self) -> RawClient:
        if self.client is None:
            self.client = self.connect()
        return self.client

    def resent(self, sql: str):
        while True:
            try:
                return self.persist(lambda: self.connected().rows(self.submit(sql), self.left()))
            except NotKnown:
                # Between the ticket and its use the scheduler was started again.
                with self.load.lock:
                    self.load.sent_again += 1
                if time.monotonic() > self.deadline:
                    raise
