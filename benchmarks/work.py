"""The values of a comparison: a work, its contenders, and what was meant to be reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DECODE", "MODEL", "OURS", "Contender", "Data", "Reach", "Work"]

OURS = "streamlearn"
DECODE = "floor: decode"
MODEL = "floor: model"


@dataclass(frozen=True)
class Contender:
    """One way of doing a work."""

    name: str
    program: str
    """Module under ``benchmarks.contenders``."""
    peer: str = ""
    """What ``--peers`` and ``--venv`` call it; empty for what runs always."""
    share: float = 1.0
    """Of the rows: what is too slow for all of them runs on a part and is extrapolated."""
    most_runs: int | None = None
    """For what is much slower than ours."""
    expected_s: float = 10.0
    """Roughly, on 10 M rows: only until the first run is measured."""
    different: str = ""
    """How its model differs, where the same coefficients cannot be asked for."""
    coef_tolerance: float | None = None
    """Distance to our coefficients, relative to their length, that counts as agreement."""
    score_tolerance: float = 0.01
    """Difference to our held-out score, absolute for accuracy, relative for errors."""


@dataclass(frozen=True)
class Data:
    """Rows made once, in ``train`` and ``held`` below a folder."""

    name: str
    make: Callable[[Path, int], None]
    """Given a new folder, and how many rows to learn from."""


@dataclass(frozen=True)
class Reach:
    """What was meant to be reached.

    ``speed``: time of `beside` over ours, at least. ``peak``: our peak over that of `beside`, at
    most. ``floor``: our time over the floor, at most. ``first`` and ``later``: seconds of a call,
    at most. ``even time`` and ``even peak``: how far sizes differ from each other, at most.
    """

    kind: str
    wanted: float
    beside: str = ""

    @property
    def title(self) -> str:
        """What it is about, in words."""
        words = {
            "speed": f"times as fast as: {self.beside}",
            "peak": f"of the peak memory of: {self.beside}",
            "floor": "times the floor",
            "first": "seconds, first call after import",
            "later": "seconds, later calls",
            "even time": "spread of the time per row",
            "even peak": "spread of the peak memory",
        }
        return words[self.kind]

    @property
    def at_least(self) -> bool:
        """Whether more is better."""
        return self.kind == "speed"


@dataclass(frozen=True)
class Work:
    """Something to be done, by several contenders."""

    name: str
    title: str
    data: Data
    contenders: tuple[Contender, ...]
    """Ours first."""
    reaches: tuple[Reach, ...] = ()
    target: str = "label"
    metric: str = "accuracy"
    epochs: int = 1
    rows: int | None = None
    """Rows whatever is asked for."""
    rows_factor: float = 1.0
    """Of the rows asked for."""
    sizes: tuple[int, ...] = ()
    """Ours runs at each of these sizes up to the rows asked for: that is the comparison."""
    notes: str = ""
