"""Resident memory of groups of processes, sampled while they work."""

from __future__ import annotations

import os
import pathlib
import threading

PAGE = os.sysconf("SC_PAGE_SIZE")
INTERVAL = 0.01


def resident(pid: int) -> int:
    """Bytes; 0 for a process that is gone."""
    try:
        return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def proportional(pid: int) -> int:
    """Resident bytes where a page that n processes share counts as 1/n; costly on a large process."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


class Sampling:
    """Calls `sample` again and again while its block runs; also at its start and end."""

    def __init__(self, interval: float):
        self.interval = interval
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.sample()
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.ended.set()
        self.thread.join()
        self.sample()

    def run(self) -> None:
        while not self.ended.wait(self.interval):
            self.sample()

    def sample(self) -> None:
        raise NotImplementedError


class Sampler(Sampling):
    """Peak of the sum of the processes' resident memory while its block runs."""

    def __init__(self, pids: list[int]):
        super().__init__(INTERVAL)
        self.pids = pids
        self.peak = 0

    def sample(self) -> None:
        self.peak = max(self.peak, sum(resident(pid) for pid in self.pids))


class Peaks(Sampling):
    """Peak of each process's resident memory, by name, while its block runs; sampled each 50 ms."""

    def __init__(self, pids: dict[str, int], interval: float = 0.05):
        super().__init__(interval)
        self.pids = pids
        self.of = dict.fromkeys(pids, 0)

    def sample(self) -> None:
        for name, pid in self.pids.items():
            self.of[name] = max(self.of[name], resident(pid))
