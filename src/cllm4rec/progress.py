"""Progress of anything that may take longer than two seconds, on standard error.

    with progress.task("Finetuning", total=120, unit="step") as task:
        for batch in batches:
            ...
            task.advance(loss=2.31)

On a terminal: a bar with the time left, shown once the task has lasted two seconds; tasks may be
nested. Elsewhere (a log file, CI): a plain line every ten seconds. Either way a task of more than
two seconds that ends well leaves one line. The values shown are numbers, never ids or texts.
"""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn

SHOW_AFTER_S = 2.0
"""Seconds a task must last before anything is shown of it."""
LINE_EVERY_S = 10.0
"""Seconds between two plain lines where standard error is not a terminal."""

_clock = time.monotonic
_quiet_depth = 0
_opening: "Task | None" = None
"""Of :func:`until_first`, until it ends."""
_kept: ContextVar[list[str] | None] = ContextVar("_kept", default=None)
"""Of :func:`kept_notes`, the innermost."""


class Task:
    """One piece of work under way; made by :func:`task`."""

    def __init__(self, display: "_Display", description: str, total: int | None, unit: str) -> None:
        self.description, self.total, self.unit = description, total, unit
        self.done = 0
        self.values: dict[str, float] = {}
        self._display = display
        self._started_s = _clock()

    def begin(self) -> None:
        """Show it from now on."""
        self._display.begin(self)

    def end(self) -> None:
        """Show it no more."""
        self._display.end(self)

    def advance(self, amount: int = 1, **values: float) -> None:
        """Count ``amount`` more units as done and show these numbers beside the bar."""
        self.done += amount
        self.values.update({name: float(value) for name, value in values.items()})
        self._display.update(self)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the task began."""
        return _clock() - self._started_s

    @property
    def left_s(self) -> float | None:
        """Seconds left at the mean speed so far; None where nothing is known yet."""
        if self.total is None or self.done <= 0:
            return None
        return self.elapsed_s / self.done * max(0, self.total - self.done)

    @property
    def count(self) -> str:
        """``"40/120 steps"``, or ``"40 steps"`` where the total is unknown."""
        known = f"{self.done}/{self.total}" if self.total is not None else f"{self.done}"
        return f"{known} {self.unit if (self.total or self.done) == 1 else _plural(self.unit)}"


@contextmanager
def task(description: str, total: int | None = None, unit: str = "step") -> Iterator[Task]:
    """Show the progress of the block.

    Args:
        description: what is being done, e.g. ``"Finetuning"``; never a user's text.
        total: number of units in all, where it is known.
        unit: singular name of what is counted.
    """
    _end_opening()
    display = _display()
    current = Task(display, description, total, unit)
    current.begin()
    try:
        yield current
    finally:
        current.end()
    if display is not _SILENCE and current.elapsed_s > SHOW_AFTER_S:
        display.write(_sentence(current, f"in {duration(current.elapsed_s)}"))


def note(line: str) -> None:
    """One line between tasks, such as which of many pieces of work begins; never a user's text."""
    _end_opening()
    if (kept := _kept.get()) is not None:
        kept.append(line)
    _display().write(line)


@contextmanager
def kept_notes() -> Iterator[list[str]]:
    """The lines that :func:`note` writes inside this block, to be said again another time."""
    lines: list[str] = []
    token = _kept.set(lines)
    try:
        yield lines
    finally:
        _kept.reset(token)


@contextmanager
def until_first(description: str) -> Iterator[None]:
    """On a terminal, show that something is under way until the block's first task or line.

    For what loads libraries before it can say what it does; leaves no line.
    """
    global _opening
    _opening = Task(_display(), description, None, "step")
    _opening.begin()
    try:
        yield
    finally:
        _end_opening()


def _end_opening() -> None:
    global _opening
    opening, _opening = _opening, None
    if opening is not None:
        opening.end()


@contextmanager
def quiet() -> Iterator[None]:
    """Show nothing of the tasks that begin inside this block."""
    global _quiet_depth
    _quiet_depth += 1
    try:
        yield
    finally:
        _quiet_depth -= 1


def duration(seconds: float) -> str:
    """A duration to read: ``"12 s"``, ``"3 min 20 s"``, ``"2 h 05 min"``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class _Display(Protocol):
    def begin(self, task: Task) -> None: ...
    def update(self, task: Task) -> None: ...
    def end(self, task: Task) -> None: ...
    def write(self, line: str) -> None: ...


class _Silence:
    def begin(self, task: Task) -> None: ...
    def update(self, task: Task) -> None: ...
    def end(self, task: Task) -> None: ...
    def write(self, line: str) -> None: ...


class _Lines:
    def __init__(self) -> None:
        self._last_s: dict[Task, float] = {}

    def begin(self, task: Task) -> None:
        self._last_s[task] = _clock()

    def update(self, task: Task) -> None:
        if _clock() - self._last_s[task] >= LINE_EVERY_S:
            self._last_s[task] = _clock()
            left = "" if task.left_s is None else f"{duration(task.left_s)} left"
            self.write(_sentence(task, left))

    def end(self, task: Task) -> None:
        del self._last_s[task]

    def write(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


class _Bars:
    """One shared ``rich.Progress``, running only while a bar is visible."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._timers: dict[Task, threading.Timer] = {}
        self._rows: dict[Task, TaskID] = {}
        self._progress: Progress | None = None

    def begin(self, task: Task) -> None:
        # A timer, not a test in `update`: a task that never advances must become visible too.
        timer = threading.Timer(SHOW_AFTER_S, self._show, [task])
        timer.daemon = True
        with self._lock:
            self._timers[task] = timer
        timer.start()

    def update(self, task: Task) -> None:
        with self._lock:
            if self._progress is not None and task in self._rows:
                self._progress.update(self._rows[task], completed=task.done, facts=_facts(task))

    def end(self, task: Task) -> None:
        with self._lock:
            self._timers.pop(task).cancel()
            row = self._rows.pop(task, None)
            if self._progress is not None and row is not None:
                self._progress.remove_task(row)
                if not self._rows:
                    self._progress.stop()
                    self._progress = None

    def write(self, line: str) -> None:
        with self._lock:
            console = self._progress.console if self._progress else Console(stderr=True)
            console.print(line, markup=False, highlight=False)

    def _show(self, task: Task) -> None:
        with self._lock:
            if task not in self._timers:
                return
            if self._progress is None:
                self._progress = _rich_progress()
                self._progress.start()
            self._rows[task] = self._progress.add_task(
                escape(task.description), total=task.total, completed=task.done, facts=_facts(task)
            )


_SILENCE = _Silence()
_LINES = _Lines()
_BARS = _Bars()


def _display() -> _Display:
    if _quiet_depth:
        return _SILENCE
    return _BARS if sys.stderr.isatty() else _LINES


def _rich_progress() -> Progress:
    # Standard output is left alone: under --json it carries the result and nothing else.
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[facts]}", markup=False),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
    )


def _plural(unit: str) -> str:
    if unit.endswith("s"):
        return unit
    hissing = unit.endswith(("tch", "sh", "x"))  # batches, but epochs
    return f"{unit}es" if hissing else f"{unit}s"


def _facts(task: Task) -> str:
    left = "" if task.left_s is None else f"{duration(task.left_s)} left"
    return ", ".join([*filter(None, [_counted(task), left]), *_numbers(task)])


def _sentence(task: Task, when: str) -> str:
    facts = ", ".join([*filter(None, [when]), *_numbers(task)])
    said = f"{task.description} {_counted(task)}".rstrip()
    return f"{said}, {facts}" if facts else said


def _counted(task: Task) -> str:
    """Nothing of work that has no units."""
    return task.count if task.done or task.total is not None else ""


def _numbers(task: Task) -> list[str]:
    return [f"{name} {value:.4g}" for name, value in task.values.items()]
