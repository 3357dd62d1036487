"""Rows that could not be used, as rows of text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from streamlearn.sizes import format_rows

__all__ = ["RejectedTable", "rejected_table"]

_SHOWN = 20
_MOST_LETTERS = 200


@dataclass(frozen=True)
class RejectedTable:
    """What is shown of the rows that were set aside."""

    reasons: tuple[tuple[str, str], ...]
    """Rows, and why."""
    first: tuple[tuple[str, str, str], ...]
    """Where, why, and the row as it is stored."""
    more: str
    """Says how many are not shown; empty where all are."""


def rejected_table(summary: Mapping[str, Any] | None) -> RejectedTable:
    """Return what a page shows of the summary in a run's manifest.

    Examples
    --------
    >>> rejected_table(None).reasons
    ()
    """
    if not summary or not summary.get("rows"):
        return RejectedTable((), (), "")
    reasons = tuple(
        (format_rows(int(rows)), _cut(reason)) for reason, rows in summary["reasons"].items()
    )
    first = tuple(
        (_place(item), _cut(_reason(item)), _cut(item["text"]))
        for item in summary["first"][:_SHOWN]
    )
    more = int(summary["rows"]) - sum(int(item["rows"]) for item in summary["first"][:_SHOWN])
    note = f"{format_rows(more)} more rows are in quarantine.jsonl" if more > 0 else ""
    return RejectedTable(reasons, first, note)


def _place(item: Mapping[str, Any]) -> str:
    first, rows = int(item["row"]), int(item["rows"])
    which = f"row {first:,}" if rows == 1 else f"rows {first:,} to {first + rows - 1:,}"
    return f"{item['path']} (part {item['part']}), {which} of the source"


def _reason(item: Mapping[str, Any]) -> str:
    what = f"column {item['column']!r} is {item['value']}: " if item["column"] else ""
    return what + str(item["reason"])


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_LETTERS else text[: _MOST_LETTERS - 1] + "…"
