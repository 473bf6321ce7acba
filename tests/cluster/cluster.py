"""Starts a real cluster (scheduler and executors) on free loopback ports, for tests and benchmarks.

    with Cluster(executors=2) as cluster:
        with cluster.connect() as connection:
            table = cluster.sql("SELECT 1", connection)

Every wait has a deadline. Processes are stopped by their own process id. When the block is left by an
exception the tail of every log is printed to stderr; when it is left without one, nothing of any job may be left in
memory, on disk or in the scheduler (`Cluster.leaks`).
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import adbc_driver_flightsql
import adbc_driver_flightsql.dbapi
import adbc_driver_manager
import pyarrow
import pyarrow.flight

ROOT = pathlib.Path(__file__).resolve().parents[2]
REGISTERED = "Received register_executor request"
LISTENING = "listening on"


class ClusterError(RuntimeError):
    """A process did not start, ended early, or did not answer before its deadline."""


class LeakError(RuntimeError):
    """Something of a job is left after its end."""


class StatementTimeout(RuntimeError):
    """A statement got no answer before its deadline; the message says where processes stand."""


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now; held together so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def binaries_folder() -> pathlib.Path:
    return pathlib.Path(os.environ.get("BALLISTA_BIN", ROOT / "build" / "bin"))


class Process:
    """One child process whose output goes to a log file."""

    def __init__(self, name: str, command: list[str], log: pathlib.Path, env: dict[str, str]):
        self.name = name
        self.command = command
        self.log = log
        self.port = int(command[command.index("--port") + 1]) if "--port" in command else 0
        with open(log, "wb") as output:
            self.child = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=env
            )

    @property
    def pid(self) -> int:
        return self.child.pid

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.text().splitlines()[-lines:])

    def running(self) -> bool:
        return self.child.poll() is None

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        pages = int(pathlib.Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def stop(self, grace: float = 10.0) -> bool:
        """SIGTERM, then SIGKILL after `grace` seconds. False when it had to be killed."""
        if not self.running():
            return True
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(grace)
            return True
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            return False

    def kill(self) -> None:
        if self.running():
            self.child.kill()
        self.child.wait()

    def where(self) -> str:
        """What each thread of the process waits for, by the kernel; a hint for a hang."""
        lines = []
        for task in sorted(pathlib.Path(f"/proc/{self.pid}/task").glob("*")):
            try:
                name = (task / "comm").read_text().strip()
                state = re.search(r"^State:\s*(\S+)", (task / "status").read_text(), re.M)
                wait = (task / "wchan").read_text().strip()
                lines.append(f"  thread {task.name} {name}: {state and state[1]} {wait}")
            except OSError:
                continue
        return "\n".join(lines)


class Cluster:
    """A scheduler and `executors` executors.

    threads: engine threads of each executor. memory_limit, shuffle_memory_limit: as the executor's options
    take them ("2GiB"); None leaves the default. Extra arguments go to the processes as they are.
    schedulers: how many share the state backend that scheduler_args name; executors register with all of them.
    """

    def __init__(
        self,
        executors: int = 2,
        threads: int = 1,
        memory_limit: str | None = None,
        shuffle_memory_limit: str | None = None,
        shuffle_compression: str | None = None,
        scheduler_args: tuple[str, ...] | list[str] = (),
        executor_args: tuple[str, ...] | list[str] = (),
        folder: str | os.PathLike | None = None,
        start_timeout: float = 60.0,
        env: dict[str, str] | None = None,
        leak_check: bool = True,
        schedulers: int = 1,
    ):
        self.leak_check = leak_check
        self.leak_limit = 10.0  # seconds
        self.executor_count = executors
        self.threads = threads
        self.memory_limit = memory_limit
        self.shuffle_memory_limit = shuffle_memory_limit
        self.shuffle_compression = shuffle_compression
        self.scheduler_args = list(scheduler_args)
        self.executor_args = list(executor_args)
        self.start_timeout = start_timeout
        self.env = {**os.environ, "BALLISTA_LOG": "info", **(env or {})}
        self.own_folder = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="ballista-cluster-"))
        self.scheduler_count = schedulers
        self.scheduler: Process | None = None
        self.other_schedulers: list[Process] = []
        self.executors: list[Process] = []
        self.started = 0  # executors, ever
        self.restarts = 0
        self.port = 0

    # ---- life

    def __enter__(self) -> "Cluster":
        try:
            self.start()
        except BaseException:
            self.report(sys.stderr)
            self.stop()
            raise
        return self

    def __exit__(self, kind, error, trace) -> None:
        if kind is not None and kind is not KeyboardInterrupt:
            self.report(sys.stderr)
        try:
            if kind is None and self.leak_check and not self.secured():
                self.check_no_leaks()
        except BaseException:
            self.report(sys.stderr)
            raise
        finally:
            self.stop()

    def start(self) -> None:
        ports = free_ports(self.scheduler_count + self.executor_count)
        self.port = ports[0]
        self.folder.mkdir(parents=True, exist_ok=True)
        self.scheduler = self.start_scheduler("scheduler", self.port)
        for number in range(1, self.scheduler_count):
            self.other_schedulers.append(self.start_scheduler(f"scheduler-{number}", ports[number]))
        for port in ports[self.scheduler_count :]:
            self.start_executor(port)
        self.wait_for_executors(self.executor_count)

    def start_scheduler(self, name: str, port: int) -> Process:
        """Waits until it listens."""
        command = [str(self.binary("scheduler")), "--bind-host", "127.0.0.1", "--port", str(port)]
        if "--result-reread-timeout" not in self.scheduler_args:
            # So that nothing is left of a query that was answered.
            command += ["--result-reread-timeout", "0s"]
        process = self.spawn(name, command + self.scheduler_args)
        self.wait_for(lambda: LISTENING in process.text(), self.start_timeout, f"{name} to listen", process)
        return process

    def schedulers(self) -> list[Process]:
        return [*([self.scheduler] if self.scheduler else []), *self.other_schedulers]

    def start_executor(self, port: int | None = None) -> Process:
        """One more executor; does not wait for it."""
        number = self.started
        self.started += 1
        work_dir = self.folder / f"work-{number}"
        work_dir.mkdir(exist_ok=True)
        command = [str(self.binary("executor"))]
        command += ["--bind-host", "127.0.0.1", "--external-host", "127.0.0.1"]
        command += ["--port", str(port or free_ports(1)[0])]
        if self.other_schedulers:
            hosts = ",".join(f"127.0.0.1:{each.port}" for each in self.schedulers())
            command += ["--scheduler-host", hosts]
        else:
            command += ["--scheduler-host", "127.0.0.1", "--scheduler-port", str(self.port)]
        if "--work-dir" not in self.executor_args:
            command += ["--work-dir", str(work_dir)]
        command += ["--threads", str(self.threads)]
        if self.memory_limit is not None:
            command += ["--memory-limit", str(self.memory_limit)]
        if self.shuffle_memory_limit is not None:
            command += ["--shuffle-memory-limit", str(self.shuffle_memory_limit)]
        if self.shuffle_compression is not None:
            command += ["--shuffle-compression", self.shuffle_compression]
        process = self.spawn(f"executor-{number}", command + self.executor_args)
        self.executors.append(process)
        return process

    def restart(self, process: Process) -> Process:
        """The same command, port and work folder again, for a process that has ended; does not wait for it. Its log is
        a new one."""
        self.restarts += 1
        again = self.spawn(f"{process.name.split('+')[0]}+{self.restarts}", process.command)
        if process is self.scheduler:
            self.scheduler = again
        elif process in self.other_schedulers:
            self.other_schedulers[self.other_schedulers.index(process)] = again
        else:
            self.executors[self.executors.index(process)] = again
        return again

    def wait_for_executors(self, count: int, timeout: float | None = None) -> None:
        """Until each scheduler's log has `count` registrations in all."""
        self.wait_for(
            lambda: all(each.text().count(REGISTERED) >= count for each in self.schedulers()),
            timeout or self.start_timeout,
            f"{count} executors to register",
        )

    def stop(self) -> None:
        for process in [*self.executors, *self.schedulers()]:
            process.stop()
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def spawn(self, name: str, command: list[str]) -> Process:
        return Process(name, command, self.folder / f"{name}.log", self.env)

    @staticmethod
    def binary(name: str) -> pathlib.Path:
        path = binaries_folder() / name
        if not path.exists():
            raise ClusterError(f"{path} is missing: build it first (`make`)")
        return path

    def wait_for(self, ready, timeout: float, what: str, *more: Process) -> None:
        """`more`: processes that must not end meanwhile, beside the cluster's."""
        deadline = time.monotonic() + timeout
        while not ready():
            for process in [*self.processes(), *more]:
                if not process.running():
                    raise ClusterError(
                        f"{process.name} ended with code {process.child.returncode} "
                        f"while waiting for {what}"
                    )
            if time.monotonic() > deadline:
                raise ClusterError(f"waited {timeout:g} s for {what}")
            time.sleep(0.02)

    # ---- use

    @property
    def uri(self) -> str:
        return f"grpc://127.0.0.1:{self.port}"

    def connect(self, timeout: float = 60.0, cookies: bool = True, options: dict[str, str] | None = None):
        """An ADBC connection (DB-API). `timeout`: seconds for each call of the driver. `options`: more of the driver's
        database options."""
        names = adbc_driver_flightsql.DatabaseOptions
        limits = adbc_driver_flightsql.ConnectionOptions
        seconds = str(float(timeout))
        return adbc_driver_flightsql.dbapi.connect(
            self.uri,
            db_kwargs={**(options or {}), names.WITH_COOKIE_MIDDLEWARE.value: "true" if cookies else "false"},
            conn_kwargs={
                limits.TIMEOUT_QUERY.value: seconds,
                limits.TIMEOUT_FETCH.value: seconds,
                limits.TIMEOUT_UPDATE.value: seconds,
            },
            autocommit=True,
        )

    def sql(self, text: str, connection=None, prepare: bool = True) -> pyarrow.Table:
        """Runs one statement. Errors: StatementTimeout for no answer in time, else the driver's.
        `prepare`: as the driver's DB-API does it (four calls); else by a statement query alone (two)."""
        if connection is None:
            with self.connect() as own:
                return self.sql(text, own, prepare)
        with connection.cursor() as cursor:
            try:
                if not prepare:
                    cursor.adbc_statement.set_sql_query(text)
                    stream, _ = cursor.adbc_statement.execute_query()
                    return pyarrow.RecordBatchReader.from_stream(stream).read_all()
                cursor.execute(text)
                return cursor.fetch_arrow_table()
            except adbc_driver_manager.Error as error:
                if error.status_code == adbc_driver_manager.AdbcStatusCode.TIMEOUT:
                    raise StatementTimeout(f"{error}\n{self.where()}") from error
                raise

    # ---- leaks

    def secured(self) -> bool:
        """Whether callers need certificates or credentials, which the leak check has not."""
        options = ("--tls-cert", "--cluster-token-file", "--auth-file")
        return any(option in process.command for process in self.processes() for option in options)

    @staticmethod
    def status(process: Process) -> dict:
        """What the process keeps of jobs, by its own word."""
        with pyarrow.flight.connect(f"grpc://127.0.0.1:{process.port}") as client:
            options = pyarrow.flight.FlightCallOptions(timeout=5)
            [result] = client.do_action(("status", b""), options)
            return json.loads(result.body.to_pybytes())

    def leaks(self) -> list[str]:
        """What is left of jobs in the processes that live, and in their work folders."""
        found = []
        for process in self.processes():
            if not process.running():
                continue
            status = self.status(process)
            for name, value in status.items():
                if value and name not in ("executor_id", "executors"):
                    found.append(f"{process.name}: {name} = {value}")
        for executor in self.executors:
            if executor.running():
                folder = pathlib.Path(executor.command[executor.command.index("--work-dir") + 1])
                found += [f"{executor.name}: {path}" for path in folder.rglob("*") if self.of_a_job(path)]
        return found

    @staticmethod
    def of_a_job(path: pathlib.Path) -> bool:
        try:
            return path.is_file() and path.stat().st_size > 0 and path.suffix != ".lock"
        except OSError:  # removed meanwhile
            return False

    def time_until_clean(self, limit: float = 10.0) -> float:
        """Seconds until nothing is left of any job. Errors: LeakError after `limit`."""
        start = time.monotonic()
        while found := self.leaks():
            if time.monotonic() - start > limit:
                raise LeakError(f"after {limit:g} s there is left:\n  " + "\n  ".join(found))
            time.sleep(0.02)
        return time.monotonic() - start

    def check_no_leaks(self) -> None:
        self.time_until_clean(self.leak_limit)

    def processes(self) -> list[Process]:
        return [*self.schedulers(), *self.executors]

    def where(self) -> str:
        return "\n".join(f"{each.name} (pid {each.pid})\n{each.where()}" for each in self.processes())

    def dead(self) -> list[str]:
        return [
            f"{each.name} ended with code {each.child.returncode}"
            for each in self.processes()
            if not each.running()
        ]

    def report(self, output) -> None:
        for process in self.processes():
            state = "running" if process.running() else f"ended with code {process.child.returncode}"
            print(f"---- {process.name} ({state}): {' '.join(process.command)}", file=output)
            print(process.tail(), file=output)
