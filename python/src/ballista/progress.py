"""How far a query is, as one line: in a terminal on standard error, in a notebook below the cell, else nowhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

from ballista.wire import Progress

QUIET_SECONDS = 0.3  # shorter queries show nothing: it would only flicker
INTERVAL_SECONDS = 0.15


def bytes_text(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 999.5:
            break
        size /= 1000
    else:
        unit = "PB"
    return f"{size:.0f} {unit}" if unit == "B" or size >= 9.95 else f"{size:.1f} {unit}"


def line(progress: Progress | None, elapsed: float, width: int) -> str:
    """At most `width` characters; a bar where there is room for one."""
    stages = progress.stages if progress else ()
    tasks = sum(stage.tasks for stage in stages)
    if progress is None:
        return f"running · {elapsed:.1f} s"[:width]
    if tasks == 0:
        text = "queued" if progress.state == "queued" else "planning"
        if progress.queue_position:
            text += f", position {progress.queue_position}"
        return f"{text} · {elapsed:.1f} s"[:width]
    finished = sum(min(stage.finished, stage.tasks) for stage in stages)
    reached = max(sum(1 for stage in stages if stage.running or stage.finished), 1)
    text = f"{finished * 100 // tasks}% stage {reached}/{len(stages)} · tasks {finished}/{tasks}"
    if size := sum(stage.bytes for stage in stages):
        text += f" · {bytes_text(size)}"
    text += f" · {elapsed:.1f} s"
    room = min(width - len(text) - 3, 40)
    if room >= 5:
        filled = finished * room // tasks
        bar = ("=" * filled + (">" if filled < room else "")).ljust(room)
        text = f"[{bar}] {text}"
    return text[:width]


class Display:
    """Shows lines, and takes the last one away at the end."""

    def show(self, text: str) -> None:
        """Instead of the line before."""

    def clear(self) -> None:
        """Nothing is shown afterwards."""

    def width(self) -> int:
        return 80


class TerminalDisplay(Display):
    _drawn = False

    def show(self, text: str) -> None:
        sys.stderr.write(f"\r{text}\x1b[K")
        sys.stderr.flush()
        self._drawn = True

    def clear(self) -> None:
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._drawn = False

    def width(self) -> int:
        try:
            return os.get_terminal_size(sys.stderr.fileno()).columns - 1
        except (OSError, ValueError):
            return 79


class NotebookDisplay(Display):
    _handle: Any = None

    def show(self, text: str) -> None:
        from IPython.display import display

        content = {"text/plain": text}
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)

    def clear(self) -> None:
        if self._handle is not None:
            self._handle.update({"text/plain": ""}, raw=True)
            self._handle = None


def in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def choose_display(wanted: bool | None) -> Display | None:
    """`wanted`: None for a display where somebody can see it."""
    if wanted is False:
        return None
    if in_notebook():
        return NotebookDisplay()
    if wanted or (sys.stderr is not None and sys.stderr.isatty()):
        return TerminalDisplay()
    return None


class Watch:
    """Called again and again while somebody waits for a query; asks and draws when it is time to."""

    def __init__(self, ask: Callable[[], Progress | None], display: Display | None):
        self._ask = ask
        self._display = display
        self._start = time.monotonic()
        self._next = self._start + QUIET_SECONDS

    def tick(self) -> None:
        now = time.monotonic()
        if self._display is None or now < self._next:
            return
        text = line(self._ask(), now - self._start, self._display.width())
        self._display.show(text)
        self._next = time.monotonic() + INTERVAL_SECONDS

    def end(self) -> None:
        if self._display is not None:
            self._display.clear()
