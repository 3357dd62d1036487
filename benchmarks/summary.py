"""From runs to what a table shows: medians, the floor, ratios, reaches."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.work import DECODE, MODEL, OURS, Reach, Work

__all__ = ["Floor", "Line", "Outcome", "floor_of", "lines_of", "outcomes"]


@dataclass(frozen=True)
class Line:
    """One contender: medians of its runs, times brought to all rows."""

    name: str
    runs: int = 0
    wall: float = 0.0
    cpu: float = 0.0
    peak: int = 0
    """Bytes: the highest of all runs."""
    rows_per_s: float = 0.0
    score: float | None = None
    later: float | None = None
    distance: float | None = None
    disagrees: str = ""
    taken: int = 0
    of: int = 0
    error: str = ""

    @property
    def extrapolated(self) -> bool:
        """Whether it ran on a part of the rows."""
        return self.taken < self.of


@dataclass(frozen=True)
class Floor:
    """What no way of doing it can undercut here; seconds."""

    decode_cpu: float
    cores: int
    model_cpu: float

    @property
    def seconds(self) -> float:
        """The longer of reading on all cores, and the model on one."""
        return max(self.decode_cpu / self.cores, self.model_cpu)


@dataclass(frozen=True)
class Outcome:
    """A reach, and what was found."""

    reach: Reach
    found: float | None
    """None where one side of it has no runs."""

    @property
    def met(self) -> bool | None:
        """Whether it was reached."""
        if self.found is None:
            return None
        return (
            self.found >= self.reach.wanted
            if self.reach.at_least
            else self.found <= self.reach.wanted
        )


def lines_of(entry: Mapping[str, Any]) -> dict[str, Line]:
    """Return a line for each contender of a work's entry."""
    return {name: _line(name, one) for name, one in entry["contenders"].items()}


def _line(name: str, entry: Mapping[str, Any]) -> Line:
    runs = entry["runs"]
    if entry.get("error") or not runs:
        return Line(name, error=entry.get("error") or "not run yet")
    more = entry["of"] / entry["rows"]
    wall = statistics.median(run["wall"] for run in runs) * more
    return Line(
        name,
        len(runs),
        wall,
        statistics.median(run["cpu"] for run in runs) * more,
        max(run["peak"] for run in runs),
        entry["of"] / wall,
        runs[-1].get("score"),
        statistics.median(run["later"] for run in runs) if "later" in runs[0] else None,
        max((run["distance"] for run in runs if "distance" in run), default=None),
        next((run["disagrees"] for run in runs if "disagrees" in run), ""),
        entry["rows"],
        entry["of"],
    )


def floor_of(entry: Mapping[str, Any], lines: Mapping[str, Line]) -> Floor | None:
    """Return the floor, where both of its sides were measured."""
    decode, model = lines.get(DECODE), lines.get(MODEL)
    if decode is None or model is None or decode.error or model.error:
        return None
    return Floor(decode.cpu, entry["machine"]["cores"], model.cpu)


def outcomes(work: Work, entry: Mapping[str, Any]) -> list[Outcome]:
    """Return what was meant to be reached beside what was found."""
    lines = lines_of(entry)
    floor = floor_of(entry, lines)
    return [Outcome(reach, _found(reach, lines, floor)) for reach in work.reaches]


def _found(reach: Reach, lines: Mapping[str, Line], floor: Floor | None) -> float | None:
    if reach.kind.startswith("even"):
        sizes = [line for line in lines.values() if not line.error]
        if len(sizes) < 2:
            return None
        values = [line.peak if reach.kind == "even peak" else 1 / line.rows_per_s for line in sizes]
        return max(values) / min(values) - 1
    ours, beside = lines.get(OURS), lines.get(reach.beside)
    if ours is None or ours.error:
        return None
    if reach.kind in ("first", "later"):
        return ours.wall if reach.kind == "first" else ours.later
    if reach.kind == "floor":
        return None if floor is None else ours.wall / floor.seconds
    if beside is None or beside.error:
        return None
    return beside.wall / ours.wall if reach.kind == "speed" else ours.peak / beside.peak
