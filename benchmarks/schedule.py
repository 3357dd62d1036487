"""Who runs what, how often, and roughly how long that will take."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from benchmarks.work import DECODE, MODEL, OURS, Contender, Work

__all__ = ["Task", "left_s", "tasks"]

_MILLIONS = 10_000_000
_START_S = 3.0
"""To start a process, import, and score."""


@dataclass(frozen=True)
class Task:
    """A contender with its rows."""

    name: str
    contender: Contender
    data_rows: int
    """Rows that are there."""
    rows: int
    """Rows it takes."""
    runs: int

    @property
    def is_floor(self) -> bool:
        """Whether it is no contender, but what cannot be undercut."""
        return self.name in (DECODE, MODEL)


def tasks(work: Work, rows: int, runs: int, peers: Collection[str] | None = None) -> list[Task]:
    """Return the tasks of a work, in the order of a round.

    Parameters
    ----------
    work : Work
    rows : int
        As asked for on the command line.
    runs : int
    peers : collection of str, optional
        Which of them take part; by default all.
    """
    total = work.rows or max(1, int(rows * work.rows_factor))
    if work.sizes:
        (ours,) = work.contenders
        sizes = [size for size in work.sizes if size <= total]
        if len(sizes) < 2:
            sizes = [max(1, total // 10), max(1, total // 3), total]
        return [Task(f"{OURS}, {size:,} rows", ours, size, size, runs) for size in sizes]
    return [
        Task(
            item.name,
            item,
            total,
            max(1, int(total * item.share)),
            min(runs, item.most_runs or runs),
        )
        for item in work.contenders
        if not item.peer or peers is None or item.peer in peers
    ]


def left_s(work: Work, todo: list[Task], found: dict[str, Any]) -> float:
    """Return how many seconds a work's runs that are not done will take.

    Parameters
    ----------
    work : Work
    todo : list of Task
    found : dict
        What was measured, by the name of the task.
    """
    total = 0.0
    for task in todo:
        entry = found.get(task.name, {})
        if entry.get("error"):
            continue
        done = entry.get("runs", [])
        if done:
            each = sum(run["process"] for run in done) / len(done)
        else:
            epochs = 1 + 0.5 * (work.epochs - 1)
            each = _START_S + task.contender.expected_s * epochs * task.rows / _MILLIONS
        total += each * max(0, task.runs - len(done))
    return total
