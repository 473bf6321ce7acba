"""A Docker engine of the test's own, in namespaces of its own: its mounts, bridges, firewall rules, ports and processes are
seen by nothing else on the machine, and end with the block, whatever happens.

    with Engine(folder) as engine:
        engine.docker("run", "--network=host", ...)

Containers of `--network=host` have the engine's own loopback, on which every port is free. `online=True` leaves the
engine in the machine's network, for builds that install packages; it then makes no bridge and no rule. The engine's
containers of `--network=host` know the name `etcd` as one of their loopback.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time

from package import DeployError, run


class Engine:
    """`folder`: where images and containers are kept; a second engine may start there after the first has ended."""

    def __init__(self, folder: pathlib.Path, online: bool = False):
        self.folder = folder
        self.socket = folder / "docker.sock"
        self.online = online
        self.group = f"ballista-test-{os.getpid()}"
        self.process: subprocess.Popen | None = None

    def __enter__(self) -> "Engine":
        options = ["--data-root", self.folder / "data", "--exec-root", self.folder / "exec"]
        options += ["--pidfile", self.folder / "docker.pid", "--host", f"unix://{self.socket}"]
        options += ["--cgroup-parent", f"/{self.group}"]
        if self.online:
            options += ["--bridge=none", "--iptables=false", "--ip6tables=false"]
        self.log = self.folder / "dockerd.log"
        self.socket.unlink(missing_ok=True)
        (self.folder / "docker.pid").unlink(missing_ok=True)
        spaces = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
        if not self.online:
            spaces.append("--net")
        hosts = self.folder / "hosts"
        hosts.write_text(pathlib.Path("/etc/hosts").read_text() + "\n127.0.0.1 etcd\n")
        start = f"mount --bind {hosts} /etc/hosts; ip link set lo up; sysctl -qw net.ipv4.ip_forward=1 2>/dev/null; "
        start += "exec dockerd \"$@\""
        with open(self.log, "ab") as output:
            self.process = subprocess.Popen(
                ["unshare", *spaces, "sh", "-c", start, "sh", *map(str, options)],
                stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        try:
            self.wait_for(lambda: self.socket.exists() and self.answers(), 60, "the Docker engine to answer")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind, error, trace) -> None:
        """Ends the engine and, as it is the first process of its namespace, all that it has started."""
        init = self.init()
        if init:
            os.kill(init, signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                pass
        self.process.kill()
        self.process.wait(20)
        # Control groups are the machine's: the containers' are empty now.
        for parent in pathlib.Path("/sys/fs/cgroup").glob(f"**/{self.group}"):
            for group, _, _ in os.walk(parent, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(group)

    def init(self) -> int:
        """The process number of dockerd itself; 0 where it has ended."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        try:
            return int(children.read_text().split()[0])
        except (OSError, IndexError):
            return 0

    def answers(self) -> bool:
        return subprocess.run(self.command("version"), capture_output=True, timeout=20).returncode == 0

    def wait_for(self, ready, seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not ready():
            if self.process.poll() is not None:
                raise DeployError(f"dockerd ended:\n{self.log.read_text()[-4000:]}")
            if time.monotonic() > deadline:
                raise DeployError(f"waited {seconds:g} s for {what}")
            time.sleep(0.05)

    def command(self, *words) -> list[str]:
        # Debian's client, whatever else is on PATH: the engine is of its version.
        return ["/usr/bin/docker", "--host", f"unix://{self.socket}", *map(str, words)]

    def docker(self, *words, timeout: float = 300, **options) -> str:
        return run(*self.command(*words), timeout=timeout, **options)

    def inside(self, *words) -> list[str]:
        """A command of this machine on the engine's network."""
        return ["nsenter", f"--target={self.init()}", "--net", *map(str, words)]

    def logs(self, container: str) -> str:
        command = self.command("logs", container)
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20)
        return done.stdout.decode(errors="replace")

    def wait_for_log(self, container: str, text: str, seconds: float = 30) -> None:
        def ready() -> bool:
            log = self.logs(container)
            if text not in log and self.state(container)["Running"] is False:
                raise DeployError(f"{container} ended while waiting for '{text}':\n{log[-3000:]}")
            return text in log

        self.wait_for(ready, seconds, f"'{text}' in the log of {container}:\n{self.logs(container)[-3000:]}")

    def state(self, container: str) -> dict:
        [about] = json.loads(self.docker("inspect", container))
        return about["State"]

    def wait_for_health(self, container: str, status: str, seconds: float) -> None:
        self.wait_for(
            lambda: self.state(container)["Health"]["Status"] == status, seconds,
            f"{container} to be {status}: {self.state(container).get('Health')}",
        )  # fmt: skip
