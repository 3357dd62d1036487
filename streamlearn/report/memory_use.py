"""Memory against the budget, as text and as places on a bar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamlearn.report.facts import Fact, Table, first_of, percent, short
from streamlearn.sizes import format_bytes, format_rows, format_seconds

if TYPE_CHECKING:
    from streamlearn.stream.timeline import MemoryReport

__all__ = ["Gauge", "MemoryUsed", "gauge_of", "memory_used"]

_MOST_RESIZES = 1_000


@dataclass(frozen=True)
class Gauge:
    """Places of the four numbers on one bar, in percent of its width."""

    fill: float
    """Measured, as far as it is inside the limit."""
    over: float
    """Measured beyond the limit."""
    reserved: float
    projected: float
    limit: float
    told: str
    """For those who cannot see it."""


@dataclass(frozen=True)
class MemoryUsed:
    """What is shown of a run's memory."""

    within: bool
    outcome: str
    sentence: str
    facts: tuple[Fact, ...]
    """Limit, reserved, projected, measured."""
    gauge: Gauge
    samples: str
    resizes: Table
    reclaimed: tuple[Fact, ...]


def memory_used(memory: MemoryReport) -> MemoryUsed:
    """Return what is shown of a run's memory.

    Parameters
    ----------
    memory : MemoryReport
    """
    measured, limit = format_bytes(memory.measured_bytes), format_bytes(memory.limit_bytes)
    return MemoryUsed(
        within=memory.within,
        outcome="budget kept" if memory.within else "budget EXCEEDED",
        sentence=f"measured {measured} of a limit of {limit}",
        facts=_facts(memory),
        gauge=gauge_of(
            memory.limit_bytes,
            memory.reserved_bytes,
            memory.projected_bytes,
            memory.measured_bytes,
        ),
        samples=format_rows(len(memory.timeline)),
        resizes=_resizes(memory),
        reclaimed=tuple(
            Fact(str(item["kind"]), format_bytes(item["given_back_bytes"]), _times(item["times"]))
            for item in memory.reclaimed
        ),
    )


def gauge_of(limit: int, reserved: int, projected: int, measured: int | None = None) -> Gauge:
    """Place the numbers, in bytes, on a bar; of what has not run, it is filled as projected.

    Examples
    --------
    >>> gauge_of(100, 20, 80, 50).fill, gauge_of(100, 20, 80).told
    (50.0, 'projected 80 B of a limit of 100 B')
    """
    name, size = ("projected", projected) if measured is None else ("measured", measured)
    scale = 100.0 / max(1, limit, reserved, projected, size)
    inside = min(size, limit)
    return Gauge(
        fill=round(inside * scale, 2),
        over=round((size - inside) * scale, 2),
        reserved=round(reserved * scale, 2),
        projected=round(projected * scale, 2),
        limit=round(limit * scale, 2),
        told=f"{name} {format_bytes(size)} of a limit of {format_bytes(limit)}",
    )


def _facts(memory: MemoryReport) -> tuple[Fact, ...]:
    measured = (
        "the kernel's high-water mark of the process"
        if memory.exact
        else "measured is the highest sample, not the kernel's mark"
    )
    share = percent(memory.measured_bytes, memory.limit_bytes)
    return (
        Fact("limit", format_bytes(memory.limit_bytes), "the budget"),
        Fact("reserved", format_bytes(memory.reserved_bytes), "held when the call came"),
        Fact("projected", format_bytes(memory.projected_bytes), "the highest the plan foresaw"),
        Fact("measured", format_bytes(memory.measured_bytes), f"{measured}; {share} of the limit"),
    )


def _resizes(memory: MemoryReport) -> Table:
    rows = [
        (
            format_seconds(float(item["seconds"])),
            format_rows(int(item["rows"])),
            format_rows(int(item["before_rows"])),
            format_rows(int(item["after_rows"])),
            short(str(item["reason"]), 300),
        )
        for item in memory.resizes
    ]
    return first_of(rows, _MOST_RESIZES, "changes")


def _times(times: int) -> str:
    return "once" if times == 1 else f"{times:,} times"
