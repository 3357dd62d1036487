"""An evaluation as plain text, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from streamlearn.sizes import format_seconds

if TYPE_CHECKING:
    from streamlearn.evaluation import Evaluation

__all__ = ["evaluation_text"]

_WIDTH = 100
_SLICES = 5
_GROUPS = 10
_MARKS = 5


def evaluation_text(found: Evaluation) -> str:
    """Write an evaluation as tables.

    Parameters
    ----------
    found : Evaluation

    Returns
    -------
    str
        No markup, no trailing newline.
    """
    parts = [_head(found), _metrics(found)]
    parts += [_comparison(found), _slices(found), *_gaps(found)]
    parts += [_drift(found), _notes(found), _gates(found)]
    return "\n".join(part for part in parts if part)


def _head(found: Evaluation) -> str:
    rows = found.rows
    return "\n".join(
        [
            f"Evaluation of {found.model} in {format_seconds(found.seconds)}",
            f"  rows    read {rows.read:,}, scored {rows.scored:,}, filtered {rows.filtered:,}, "
            f"missing {rows.missing:,}, rejected {rows.rejected:,}",
            f"  memory  {found.memory}",
        ]
    )


def _metrics(found: Evaluation) -> str:
    rows = []
    for name, value in found.metrics.items():
        off = found.bounds.get(name)
        rows.append(
            [
                name,
                f"{value:.6g}",
                _interval(found.intervals, name),
                f"± {off:.1g}" if off else "",
            ]
        )
    header = ["metric", "value", f"{found.confidence:.0%} interval", "binned"]
    return _table("", header, rows, numbers=(1,))


def _comparison(found: Evaluation) -> str:
    parts = []
    for other in found.comparison:
        rows = [
            [
                name,
                f"{found.metrics[name]:.6g}",
                f"{other.metrics[name]:.6g}",
                f"{apart:+.4g}",
                _interval(other.difference_intervals, name),
                "" if name not in other.clear else "clear",
            ]
            for name, apart in other.differences.items()
        ]
        header = ["metric", "this", "other", "difference", f"{found.confidence:.0%} interval", ""]
        title = f"Against {other.model}, on the same rows"
        parts.append(_table(title, header, rows, numbers=(1, 2, 3)))
    return "\n".join(parts)


def _slices(found: Evaluation) -> str:
    rows = [
        [
            by,
            item.name,
            f"{item.rows:,}",
            f"{item.metrics[found.main]:.6g}",
            _interval(item.intervals, found.main),
        ]
        for by, item in found.worst(count=_SLICES)
    ]
    if not found.slices:
        return ""
    total = sum(len(table) for table in found.slices)
    title = f"Worst of {total:,} slices by {found.main}, of at least {found.least_rows:,} rows"
    header = ["slice by", "slice", "rows", found.main, f"{found.confidence:.0%} interval"]
    return _table(title, header, rows, numbers=(2, 3))


def _gaps(found: Evaluation) -> list[str]:
    parts = []
    for gaps in found.gaps:
        rows = [
            [name, f"{value:.4g}", _interval(gaps.intervals, name)]
            for name, value in gaps.gaps.items()
        ]
        counted = sum(group.counted for group in gaps.groups)
        title = (
            f"Fairness by {gaps.column}: {counted} of {len(gaps.groups)} groups have "
            f"{gaps.least_rows:,} rows or more; positive is {gaps.positive}"
        )
        header = ["gap", "value", f"{found.confidence:.0%} interval"]
        parts.append(_table(title, header, rows, numbers=(1,)))
        rows = [
            [group.name, f"{group.rows:,}", *(f"{rate:.4g}" for rate in group.rates.values())]
            for group in gaps.groups[:_GROUPS]
        ]
        header = ["group", "rows", "selected", "true positive", "false positive"]
        parts.append(_table("", header, rows, numbers=(1, 2, 3, 4)))
    return parts


def _drift(found: Evaluation) -> str:
    if found.drift is None or len(found.drift.segments) < 2:
        return ""
    marked = found.drift.marked
    count = len(found.drift.segments)
    if not marked:
        return (
            f"  drift   none: {found.drift.metric} of {count} stretches of rows is as chance allows"
        )
    shown = ", ".join(
        f"{item.first:,} to {item.last:,} ({item.value:.4g})" for item in marked[:_MARKS]
    )
    more = f", and {len(marked) - _MARKS} more" if len(marked) > _MARKS else ""
    return (
        f"  drift   {found.drift.metric} of {len(marked)} of {count} stretches of rows is beyond "
        f"chance: rows {shown}{more}"
    )


def _notes(found: Evaluation) -> str:
    lines = [f"  note    {text}" for text in found.notes]
    if found.quarantine is not None:
        lines += [f"  rejected {item}" for item in found.quarantine.first[:5]]
    return "\n".join(lines)


def _gates(found: Evaluation) -> str:
    return "\n".join(f"  gate {gate}" for gate in found.gates)


def _interval(intervals: Mapping[str, object], name: str) -> str:
    found = intervals.get(name)
    return f"[{found.low:.6g}, {found.high:.6g}]" if found is not None else ""  # type: ignore[attr-defined]


def _table(
    title: str, header: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int]
) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return f"{title}: none" if title else ""
    used = [at for at in range(len(header)) if any(row[at] for row in rows)]
    table = Table(box=box.SIMPLE_HEAD)
    for at in used:
        table.add_column(
            header[at],
            justify="right" if at in numbers else "left",
            overflow="ellipsis" if at not in numbers else "fold",
            no_wrap=True,
        )
    for row in rows:
        # As text, so that brackets are no markup.
        table.add_row(*(Text(row[at]) for at in used))
    console = Console(
        width=_WIDTH, color_system=None, highlight=False, markup=False, force_jupyter=False
    )
    with console.capture() as caught:
        console.print(table)
    lines = [line.rstrip() for line in caught.get().splitlines()]
    return "\n".join([*([title] if title else []), *(line for line in lines if line)])
