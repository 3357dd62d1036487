"""The plan: which passes, over which columns, why, and what they are projected to hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from streamlearn.plan.memory import MemoryPlan, Term
from streamlearn.report.plan import plan_fragment
from streamlearn.sizes import format_bytes

__all__ = ["Pass", "Plan"]

_NUMBER = re.compile(r"pass (\d+) of at most (\d+)")


@dataclass(frozen=True)
class Pass:
    """One reading of the data."""

    name: str
    why: str
    """What is learned, and by which steps."""
    columns: tuple[str, ...]
    """Stored columns that are read."""
    rows: int
    """Rows read, before any filter."""
    size_bytes: int
    """Decoded bytes read."""
    times: int = 1
    """How often it is done (epochs)."""


@dataclass(frozen=True)
class Plan:
    """What fitting will do, known before the first row is read."""

    estimator: str
    """The estimator as scikit-learn prints it."""
    passes: tuple[Pass, ...]
    memory: MemoryPlan
    batch_rows: int | None
    """Rows given to the model at once; None where there is no sequential model."""
    epochs: int
    threads: int
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Plan:
        """Read what `to_dict` wrote."""
        memory = dict(values["memory"])
        memory["passes"] = tuple(
            (name, tuple(Term(**term) for term in terms)) for name, terms in memory["passes"]
        )
        passes = tuple(
            Pass(**{**item, "columns": tuple(item["columns"])}) for item in values["passes"]
        )
        rest = {**values, "memory": MemoryPlan(**memory), "passes": passes}
        return cls(**{**rest, "notes": tuple(values["notes"])})

    def __str__(self) -> str:
        lines = ["Passes over the data"]
        for first, last, item in _folded(self.passes):
            number = f"{first}" if first == last else f"{first} to {last}"
            times = f" x {item.times}" if item.times > 1 else ""
            lines.append(
                f"  {number}. {item.name}{times}: {item.rows:,} rows, "
                f"{len(item.columns)} columns, {format_bytes(item.size_bytes)} decoded"
            )
            lines.append(f"     {item.why}")
            lines.append(f"     reads {_short(item.columns)}")
        memory = self.memory
        lines += [
            "",
            "Memory",
            f"  limit      {format_bytes(memory.limit_bytes):>10}   the budget",
            f"  reserved   {format_bytes(memory.reserved_bytes):>10}   held by the process now",
            f"  projected  {format_bytes(memory.projected_bytes):>10}   the highest it should reach",
            f"  floor      {format_bytes(memory.floor_bytes):>10}   the smallest budget that would do",
        ]
        for name, terms in memory.passes:
            lines.append(f"  {name}")
            lines += [f"    {format_bytes(term.size_bytes):>10}  {term.what}" for term in terms]
        lines += ["", f"Chunk: {memory.chunk_rows:,} rows, {memory.readers} reader(s)"]
        if self.batch_rows is not None:
            lines.append(f"Batch: {self.batch_rows:,} rows, {self.epochs} epoch(s)")
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return plan_fragment(self, _folded(self.passes))


def _folded(passes: Sequence[Pass]) -> list[tuple[int, int, Pass]]:
    """Put passes that differ only in their number together, as first and last number."""
    groups: list[list[Pass]] = []
    for item in passes:
        before = groups[-1][-1] if groups else None
        same = (
            before is not None
            and _NUMBER.search(item.why) is not None
            and _NUMBER.sub("", before.why) == _NUMBER.sub("", item.why)
            and before.columns == item.columns
        )
        if same:
            groups[-1].append(item)
        else:
            groups.append([item])
    found, number = [], 1
    for group in groups:
        more = len(group) - 1

        def shown(match: re.Match[str], more: int = more) -> str:
            first = int(match[1])
            return f"passes {first} to {first + more} of at most {match[2]}"

        why = _NUMBER.sub(shown, group[0].why) if more else group[0].why
        found.append((number, number + more, replace(group[0], why=why)))
        number += len(group)
    return found


def _short(names: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
