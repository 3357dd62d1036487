"""A plan as a fragment for notebooks: the passes, and memory as a bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamlearn.report.facts import Fact, Table, first_of, short
from streamlearn.report.memory_use import Gauge, gauge_of
from streamlearn.report.template import render
from streamlearn.sizes import format_bytes, format_rows

if TYPE_CHECKING:
    from streamlearn.plan.plan import Pass, Plan

__all__ = ["plan_fragment"]

_MOST_NOTES = 30
_MOST_NAMES = 8


@dataclass(frozen=True)
class PlannedPass:
    """One pass, as text."""

    name: str
    why: str
    rows: str
    decoded: str
    times: str
    columns: str


@dataclass(frozen=True)
class PlanContent:
    """What is shown of a plan."""

    told: str
    passes: tuple[PlannedPass, ...]
    gauge: Gauge
    memory: tuple[Fact, ...]
    notes: Table
    terms: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


def plan_fragment(plan: Plan, passes: Sequence[tuple[int, int, Pass]]) -> str:
    """Return a plan as an HTML fragment for a notebook.

    Parameters
    ----------
    plan : Plan
    passes : sequence of (first number, last number, Pass)
        Passes that are alike stand in one row.
    """
    return render("plan_fragment.html.j2", content=_content(plan, passes))


def _content(plan: Plan, passes: Sequence[tuple[int, int, Pass]]) -> PlanContent:
    memory = plan.memory
    told = [
        f"chunks of {format_rows(memory.chunk_rows)} rows",
        f"{memory.readers} reader{'s' * (memory.readers != 1)} at once",
    ]
    if plan.batch_rows is not None:
        told.append(f"batches of {format_rows(plan.batch_rows)} rows, {plan.epochs} epochs at most")
    return PlanContent(
        told=", ".join([*told, f"{plan.threads} threads"]),
        passes=tuple(_pass(*item) for item in passes),
        gauge=gauge_of(memory.limit_bytes, memory.reserved_bytes, memory.projected_bytes),
        memory=(
            Fact("limit", format_bytes(memory.limit_bytes), "the budget"),
            Fact("reserved", format_bytes(memory.reserved_bytes), "held by the process now"),
            Fact("projected", format_bytes(memory.projected_bytes), "the highest it should reach"),
            Fact("floor", format_bytes(memory.floor_bytes), "the smallest budget that would do"),
        ),
        notes=first_of(plan.notes, _MOST_NOTES, "notes"),
        terms=tuple(
            (
                f"{name}: {format_bytes(sum(term.size_bytes for term in terms))}",
                tuple((term.what, format_bytes(term.size_bytes)) for term in terms),
            )
            for name, terms in memory.passes
        ),
    )


def _pass(first: int, last: int, item: Pass) -> PlannedPass:
    number = f"{first}" if first == last else f"{first} to {last}"
    names = ", ".join(item.columns[:_MOST_NAMES])
    more = len(item.columns) - _MOST_NAMES
    return PlannedPass(
        name=f"{number}. {item.name}",
        why=short(item.why),
        rows=format_rows(item.rows),
        decoded=format_bytes(item.size_bytes),
        times=f"{item.times:,}",
        columns=short(f"{names} and {more:,} more" if more > 0 else names),
    )
