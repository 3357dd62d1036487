"""What a call did, as a fragment for notebooks: facts, notes, and memory as a bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from streamlearn.report.facts import Fact, first_of
from streamlearn.report.memory_use import memory_used
from streamlearn.report.rejected import rejected_table
from streamlearn.report.template import render

if TYPE_CHECKING:
    from streamlearn.stream.timeline import MemoryReport

__all__ = ["outcome_fragment"]

_MOST_NOTES = 20


def outcome_fragment(
    title: str,
    told: str,
    facts: Mapping[str, str],
    memory: MemoryReport,
    notes: Sequence[str] = (),
    rejected: Mapping[str, Any] | None = None,
) -> str:
    """Return the outcome of a call as an HTML fragment for a notebook.

    Parameters
    ----------
    title, told : str
        What was done, and in which time.
    facts : mapping of str to str
    memory : MemoryReport
    notes : sequence of str
    rejected : mapping, optional
        Summary of the rows that were set aside.
    """
    return render(
        "outcome_fragment.html.j2",
        title=title,
        told=told,
        facts=[Fact(name, value) for name, value in facts.items()],
        memory=memory_used(memory),
        notes=first_of(notes, _MOST_NOTES, "notes"),
        rejected=rejected_table(rejected),
    )
