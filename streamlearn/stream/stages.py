"""Where the time goes: seconds of each stage of a run, at no cost worth the name."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar

__all__ = ["STAGES", "StageTime", "Stages"]

T = TypeVar("T")

STAGES = {
    "decode": "reads and decodes chunks",
    "statistics": "learns the preprocessing, profiles the columns",
    "prepare": "turns rows into the model's matrix (kernels)",
    "scratch": "writes prepared rows to disk, and reads them back",
    "model": "learns, or answers",
    "score": "scores answers",
    "write": "writes what comes out",
    "wait": "the caller's thread waits for the others",
}
"""What each stage does."""


@dataclass(frozen=True)
class StageTime:
    """Seconds of one stage, all threads together."""

    stage: str
    wall_s: float
    """Of the threads at work in it."""
    cpu_s: float
    """Processor time of them; what is missing was spent waiting: for the disk, or for a core."""
    calls: int


class Stages:
    """A clock for each stage; any thread may run it.

    Examples
    --------
    >>> stages = Stages()
    >>> with stages.at("model"):
    ...     pass
    >>> [item.stage for item in stages.times()]
    ['model']
    """

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = {}
        self._lock = Lock()

    def _add(self, stage: str, wall: float, cpu: float) -> None:
        with self._lock:
            entry = self._seconds.setdefault(stage, [0.0, 0.0, 0.0])
            entry[0] += wall
            entry[1] += cpu
            entry[2] += 1

    @contextmanager
    def at(self, stage: str) -> Iterator[None]:
        """Count what is done inside towards a stage."""
        wall, cpu = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            self._add(stage, time.perf_counter() - wall, time.thread_time() - cpu)

    def each(self, stage: str, items: Iterable[T]) -> Generator[T, None, None]:
        """Count the making of each item towards a stage, and not what is done with it."""
        remaining = iter(items)
        try:
            while True:
                with self.at(stage):
                    item = next(remaining, _END)
                if item is _END:
                    return
                yield item  # type: ignore[misc]
                del item  # the next one is made without it
        finally:
            close = getattr(remaining, "close", None)
            if close is not None:
                close()

    def times(self) -> tuple[StageTime, ...]:
        """Return what each stage took, in the order of the data's way."""
        with self._lock:
            found = {name: tuple(entry) for name, entry in self._seconds.items()}
        return tuple(
            StageTime(name, found[name][0], found[name][1], int(found[name][2]))
            for name in STAGES
            if name in found
        )


_END = object()
