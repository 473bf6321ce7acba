#!/usr/bin/env python3
"""Schedulers and executors are killed, stopped for a while and restarted every 1 to 3 s, under TPC-H load from several
clients: no wrong answer, no hang; no query is lost where the backend is durable, where clients come back with their
tickets, with etcd2 (two schedulers that share an etcd) to whichever is there. With the memory backend a query ends
with its scheduler, and its client sends it again.

The faults, their times and victims are those of the seed; so are the queries. A run prints how it is repeated.
"""

import argparse
import contextlib
import pathlib
import random
import re
import signal
import sys
import tempfile
import time
from typing import NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cluster import Cluster  # noqa: E402
from load import Load, Loss  # noqa: E402
from state_test import Etcd  # noqa: E402

BACKENDS = ("memory", "sqlite", "etcd", "etcd2")
SCHEDULERS = {"etcd2": 2}  # where there is more than one
SCHEDULER = -1  # as a fault's victim, -2 the second one; others are positions of executors
DRAIN_TIMEOUT = 3
QUERY_TIMEOUT = 60
REREAD_TIMEOUT = 10
# Stopped for longer than its lease in etcd.
TAKEN_OVER = re.compile("this one stops: the claim|lease .* has ended")


class Fault(NamedTuple):
    at: float  # seconds from the start
    victim: int
    what: str  # kill, stop, restart
    lasts: float  # how long the process is stopped, or stays away


def faults(seed: int, seconds: float, executors: int, schedulers: int) -> list[Fault]:
    numbers = random.Random(seed)
    found, at = [], 0.0
    while (at := at + numbers.uniform(1, 3)) < seconds:
        if numbers.random() < 0.3 * schedulers / (1 + 0.3 * (schedulers - 1)):
            victim = SCHEDULER - (numbers.randrange(schedulers) if schedulers > 1 else 0)
        else:
            victim = numbers.randrange(executors)
        what = numbers.choice(["kill", "kill", "stop", "stop", "restart"])
        found.append(Fault(at, victim, what, numbers.uniform(0.1, 6) if what == "stop" else numbers.uniform(0, 2)))
    return found


class Chaos:
    """Does the faults to the cluster, and heals them when their time is up."""

    def __init__(self, cluster: Cluster, plan: list[Fault]):
        self.cluster = cluster
        self.plan = list(plan)
        self.hurt: dict[int, tuple[str, float]] = {}  # victim: what is done to it, until when
        self.counts: dict[str, int] = {}
        self.problems: list[str] = []
        self.start = time.monotonic()

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def process(self, victim: int):
        return self.cluster.schedulers()[-victim - 1] if victim < 0 else self.cluster.executors[victim]

    def everybody(self) -> range:
        return range(-len(self.cluster.schedulers()), len(self.cluster.executors))

    def run(self, load: Load) -> None:
        while (self.plan or self.hurt) and not load.problems and not self.problems:
            now = time.monotonic() - self.start
            for victim in list(self.hurt):
                self.heal(victim, now)
            while self.plan and self.plan[0].at <= now:
                self.strike(self.plan.pop(0), now)
            self.check_the_others()
            time.sleep(0.02)

    def strike(self, fault: Fault, now: float) -> None:
        if fault.victim in self.hurt:
            return
        process = self.process(fault.victim)
        kind = "schedulers" if fault.victim < 0 else "executors"
        self.count(f"{kind} {fault.what}ed".replace("stoped", "stopped"))
        print(f"{now:6.2f} s: {fault.what} {process.name} for {fault.lasts:.2f} s", flush=True)
        self.hurt[fault.victim] = (fault.what, now + fault.lasts)
        if fault.what == "kill":
            process.kill()
        else:
            process.child.send_signal(signal.SIGSTOP if fault.what == "stop" else signal.SIGTERM)

    def heal(self, victim: int, now: float) -> None:
        what, until = self.hurt[victim]
        process = self.process(victim)
        if what == "restart" and process.running():
            # On a busy machine it may take a while to end after its time.
            if now > until + DRAIN_TIMEOUT + 10:
                self.problems.append(f"{process.name} has not ended {now - until:.1f} s after SIGTERM")
            return
        if now < until:
            return
        del self.hurt[victim]
        if what == "stop":
            process.child.send_signal(signal.SIGCONT)
        else:
            # One that was started a moment before and has not come to say anything cannot catch the signal yet.
            unborn = process.child.returncode == -signal.SIGTERM and not process.text()
            if what == "restart" and process.child.returncode != 0 and not unborn:
                self.problems.append(f"{process.name} ended with {process.child.returncode} after SIGTERM")
            self.cluster.restart(process)

    def check_the_others(self) -> None:
        for victim in self.everybody():
            process = self.process(victim)
            if victim in self.hurt or process.running():
                continue
            if TAKEN_OVER.search(process.text()):
                # Started again as by a supervisor.
                self.count("schedulers ended without their claim")
                self.cluster.restart(process)
            else:
                self.problems.append(
                    f"{process.name} ended by itself with {process.child.returncode}:\n{process.tail(12)}"
                )

    def end(self) -> None:
        """Heals at once what is hurt."""
        for victim in self.everybody():
            what, _ = self.hurt.pop(victim, (None, 0))
            process = self.process(victim)
            if what == "stop":
                process.child.send_signal(signal.SIGCONT)
            elif what is not None:
                process.kill()
            if not process.running():
                self.cluster.restart(process)


@contextlib.contextmanager
def state_options(backend: str):
    with tempfile.TemporaryDirectory() as folder:
        if backend == "memory":
            yield []
        elif backend == "sqlite":
            yield ["--config-backend", "sqlite", "--state-dir", f"{folder}/state"]
        else:
            etcd = Etcd(folder)
            try:
                yield ["--config-backend", "etcd", "--etcd-urls", etcd.urls]
            finally:
                etcd.stop()


def run(backend: str, arguments: argparse.Namespace) -> None:
    loss = Loss.RESEND if backend == "memory" else Loss.ATTACH
    timings = ["--heartbeat-interval", "300ms", "--executor-timeout", "3s", "--drain-timeout", f"{DRAIN_TIMEOUT}s"]
    schedulers = SCHEDULERS.get(backend, 1)
    plan = faults(arguments.seed, arguments.seconds, arguments.executors, schedulers)
    with (
        state_options(backend) as state,
        Cluster(
            executors=arguments.executors,
            schedulers=schedulers,
            scheduler_args=[*timings, *state, "--result-reread-timeout", f"{REREAD_TIMEOUT}s"],
            executor_args=["--drain-timeout", f"{DRAIN_TIMEOUT}s"],
            memory_limit="512MiB",
            env={"BALLISTA_LOG": arguments.log},
            folder=arguments.keep and pathlib.Path(arguments.keep, backend),
        ) as cluster,
    ):
        chaos = Chaos(cluster, plan)
        with Load(
            cluster, clients=arguments.clients, seed=arguments.seed, timeout=QUERY_TIMEOUT, loss=loss
        ) as load:
            try:
                chaos.run(load)
            finally:
                chaos.end()
                if chaos.problems:
                    load.give_up.set()
        load.raise_problems()
        if chaos.problems:
            raise AssertionError("\n".join(chaos.problems))
        if load.answers < arguments.seconds / 4:
            raise AssertionError(f"only {load.answers} answers in {arguments.seconds:g} s")
        # What was cut off before the client had its ticket is kept until its time is up.
        cluster.leak_check = backend == "memory" or load.cut_off_unknown == 0
        cluster.leak_limit += 2 * REREAD_TIMEOUT
    counts = ", ".join(f"{count} {what}" for what, count in sorted(chaos.counts.items()))
    print(
        f"{backend}: {load.answers} answers right ({load.attached} by an old ticket, {load.sent_again} sent again, "
        f"{load.results_lost} of them for a result that was lost while it was read, {load.cut_off} calls cut off), "
        f"the longest after {load.longest:.1f} s; {counts}",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15, help="of faults with each backend")
    parser.add_argument("--minutes", type=float, help="the same in minutes")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--backend", choices=BACKENDS, help="default: one after the other")
    parser.add_argument("--executors", type=int, default=3)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--log", default="info", help="level of the processes' logs")
    parser.add_argument("--keep", help="folder for the logs of all processes, which are kept there")
    arguments = parser.parse_args()
    if arguments.minutes is not None:
        arguments.seconds = arguments.minutes * 60
    for backend in BACKENDS if arguments.backend is None else (arguments.backend,):
        print(
            f"chaos_test.py --backend {backend} --seed {arguments.seed} --seconds {arguments.seconds:g} "
            f"--executors {arguments.executors} --clients {arguments.clients}",
            flush=True,
        )
        run(backend, arguments)
    print(f"no wrong answer, no hang; seed {arguments.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
