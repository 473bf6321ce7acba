"""Several hosts on one machine: each process of a cluster in a network namespace of its own, on one bridge, with links
that can be cut, one way or both, and slowed. Needs root, `ip` and `tc` (iproute2); nothing of the machine's own network
is changed, and all is gone with the block.

    with Network(("client", "scheduler", "executor-0")) as network:
        network.enter("client")               # this thread, and those that it starts, are on that host now
        with HostCluster(network, executors=1) as cluster:
            network.cut("scheduler", "executor-0")
            network.restore()
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess

import pyarrow.flight
from cluster import Cluster, Process

SUBNET = "10.77.0"
# Nobody has it: what is sent there is lost on the bridge without a word, as by a broken link.
NOBODY = "02:00:00:00:00:99"
CLONE_NEWNET = 0x40000000


class NetworkError(RuntimeError):
    """Network namespaces cannot be made or changed here; says why."""


def run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except FileNotFoundError as error:
        raise NetworkError(f"{command[0]} is missing: install iproute2") from error
    if done.returncode != 0:
        raise NetworkError(
            f"{' '.join(command)}: {done.stderr.strip()} (this test makes network namespaces: it needs root, "
            f"or CAP_SYS_ADMIN and CAP_NET_ADMIN, and a kernel with veth, bridge and tbf)"
        )


class Network:
    def __init__(self, hosts: tuple[str, ...]):
        self.hosts = hosts
        self.prefix = f"ballista-{os.getpid()}"
        self.cuts: list[tuple[str, str]] = []
        self.slowed: list[str] = []
        self.home = -1

    def space(self, host: str) -> str:
        return f"{self.prefix}-{host}"

    def address(self, host: str) -> str:
        return f"{SUBNET}.{10 + self.hosts.index(host)}"

    def __enter__(self) -> "Network":
        try:
            self.make()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.remove()

    def make(self) -> None:
        hub = self.space("hub")
        run("ip", "netns", "add", hub)
        run("ip", "-n", hub, "link", "add", "bridge", "type", "bridge")
        run("ip", "-n", hub, "link", "set", "bridge", "up")
        for number, host in enumerate(self.hosts):
            space, port = self.space(host), f"port{number}"
            run("ip", "netns", "add", space)
            run("ip", "-n", hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", space)
            run("ip", "-n", hub, "link", "set", port, "master", "bridge", "up")
            run("ip", "-n", space, "addr", "add", f"{self.address(host)}/24", "dev", "eth0")
            run("ip", "-n", space, "link", "set", "eth0", "up")
            run("ip", "-n", space, "link", "set", "lo", "up")

    def remove(self) -> None:
        if self.home >= 0:
            self.switch(self.home)
            os.close(self.home)
            self.home = -1
        for host in (*self.hosts, "hub"):
            if os.path.exists(f"/run/netns/{self.space(host)}"):
                run("ip", "netns", "del", self.space(host))

    # ---- being on a host

    @staticmethod
    def switch(descriptor: int) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            raise NetworkError(f"setns: {os.strerror(ctypes.get_errno())}; this test needs CAP_SYS_ADMIN")

    def enter(self, host: str) -> None:
        """Puts this thread, and threads and processes that it starts from now on, onto the host."""
        if self.home < 0:
            self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        space = os.open(f"/run/netns/{self.space(host)}", os.O_RDONLY)
        self.switch(space)
        os.close(space)

    # ---- links

    def cut_one_way(self, source: str, target: str) -> None:
        """What `source` sends to `target` is lost."""
        neighbour = (self.address(target), "lladdr", NOBODY, "dev", "eth0", "nud", "permanent")
        run("ip", "-n", self.space(source), "neigh", "replace", *neighbour)
        self.cuts.append((source, target))

    def cut(self, one: str, *others: str) -> None:
        for other in others:
            self.cut_one_way(one, other)
            self.cut_one_way(other, one)

    def slow(self, host: str, rate: str) -> None:
        """What the host sends leaves it at this rate (as tc writes rates)."""
        shape = ("root", "tbf", "rate", rate, "burst", "32kbit", "latency", "400ms")
        run("tc", "-n", self.space(host), "qdisc", "replace", "dev", "eth0", *shape)
        self.slowed.append(host)

    def restore(self) -> None:
        for source, target in self.cuts:
            run("ip", "-n", self.space(source), "neigh", "del", self.address(target), "dev", "eth0")
        for host in self.slowed:
            run("tc", "-n", self.space(host), "qdisc", "del", "dev", "eth0", "root")
        self.cuts, self.slowed = [], []


class HostCluster(Cluster):
    """A Cluster whose scheduler is on the host `scheduler`, its executors on `executor-0` and so on."""

    def __init__(self, network: Network, **options):
        super().__init__(**options)
        self.network = network

    @property
    def uri(self) -> str:
        return f"grpc://{self.network.address('scheduler')}:{self.port}"

    def status(self, process: Process) -> dict:
        with pyarrow.flight.connect(f"grpc://{self.network.address(process.name)}:{process.port}") as client:
            [result] = client.do_action(("status", b""), pyarrow.flight.FlightCallOptions(timeout=5))
            return json.loads(result.body.to_pybytes())

    def spawn(self, name: str, command: list[str]) -> Process:
        """The command that Cluster makes for one machine, on the process's own host."""
        hosts = {
            "--bind-host": self.network.address(name),
            "--external-host": self.network.address(name),
            "--scheduler-host": self.network.address("scheduler"),
        }
        placed = [hosts.get(before, word) for before, word in zip(["", *command], command)]
        return super().spawn(name, ["ip", "netns", "exec", self.network.space(name), *placed])
