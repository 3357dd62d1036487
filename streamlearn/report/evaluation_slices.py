"""Slices and groups of an evaluation as rows of text, with strips to compare them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamlearn.report.facts import percent, short
from streamlearn.report.strip import Scale, Strip, number, span, with_interval
from streamlearn.report.units import unit_of
from streamlearn.sizes import format_rows

if TYPE_CHECKING:
    from streamlearn.evaluation import Evaluation
    from streamlearn.score.gaps import FairnessGaps
    from streamlearn.score.slice_table import Slice, SliceTable

__all__ = [
    "GapRow",
    "GapsTable",
    "GroupRow",
    "SliceRow",
    "SlicesTable",
    "gaps_tables",
    "slices_tables",
    "worst_rows",
]

_MOST_SLICES = 60
_MOST_ON_PAGE = 600
"""Slices of all tables together, so that the page stays small."""
_MOST_TABLES = 60
_MOST_METRICS = 12
_MOST_GROUPS = 60
_WORST = 10
_NAME = 100


@dataclass(frozen=True)
class SliceRow:
    """One slice, as text."""

    by: str
    name: str
    rows: str
    share: str
    value: str
    """Of the main metric."""
    interval: str
    strip: Strip | None
    others: tuple[str, ...]
    """Values of the other metrics, in the table's order."""


@dataclass(frozen=True)
class SlicesTable:
    """The slices of one column."""

    by: str
    told: str
    metric: str
    unit: str
    low: str
    """What the left end of the strips stands for."""
    high: str
    rows: tuple[SliceRow, ...]
    others: tuple[tuple[str, str], ...]
    """Names and units of the other metrics."""
    note: str


@dataclass(frozen=True)
class GapRow:
    """A gap between groups, as text."""

    name: str
    value: str
    interval: str
    unit: str
    strip: Strip | None


@dataclass(frozen=True)
class GroupRow:
    """The rates of a group: text and a strip for each."""

    name: str
    rows: str
    counted: bool
    rates: tuple[tuple[str, Strip | None], ...]


@dataclass(frozen=True)
class GapsTable:
    """How far apart the groups of one column are."""

    column: str
    told: str
    gaps: tuple[GapRow, ...]
    names: tuple[str, ...]
    groups: tuple[GroupRow, ...]
    note: str


def worst_rows(found: Evaluation, scale: Scale) -> tuple[SliceRow, ...]:
    """Return the worst slices of all columns."""
    rows = found.rows.scored
    return tuple(
        _slice(item, short(by, _NAME), found, rows, scale, ())
        for by, item in found.worst(count=_WORST)
    )


def slices_tables(found: Evaluation) -> tuple[SlicesTable, ...]:
    """Return a table for each column that was sliced by."""
    tables = found.slices[:_MOST_TABLES]
    most = max(5, min(_MOST_SLICES, _MOST_ON_PAGE // max(1, len(tables))))
    return tuple(_slices(table, found, most) for table in tables)


def _slices(table: SliceTable, found: Evaluation, most: int) -> SlicesTable:
    main, shown = found.main, list(table.slices)
    note = ""
    if len(shown) > most:
        shown = list(
            table.worst(
                main,
                greater_is_better=found.greater_is_better,
                least_rows=found.least_rows,
                count=most,
            )
        )
        note = (
            f"{len(shown):,} of {len(table):,} slices are shown: the worst by {main}, of those "
            f"with {found.least_rows:,} rows or more. to_json() has all."
        )
    names = [name for name in found.metrics if any(name in item.metrics for item in shown)]
    others = [name for name in names if name != main][:_MOST_METRICS]
    scale = _scale(shown, found)
    return SlicesTable(
        by=short(table.by, _NAME),
        told=short(f"{len(table):,} slice{'s' * (len(table) != 1)}: {table.told}", 300),
        metric=main,
        unit=unit_of(main),
        low=number(scale.low, (scale.high - scale.low) / 10),
        high=number(scale.high, (scale.high - scale.low) / 10),
        rows=tuple(_slice(item, "", found, found.rows.scored, scale, others) for item in shown),
        others=tuple((name, unit_of(name)) for name in others),
        note=" ".join(filter(None, (note, _bounds(shown, [main, *others])))),
    )


def _bounds(shown: Sequence[Slice], names: Sequence[str]) -> str:
    """Say how far metrics may be off that slices have from coarser bins than all rows have."""
    off = {name: max((item.bounds.get(name, 0.0) for item in shown), default=0.0) for name in names}
    told = [
        f"{name} of a slice may be off by {bound:.1g} at most"
        for name, bound in off.items()
        if bound
    ]
    return f"{'; '.join(told)}." if told else ""


def _scale(shown: Sequence[Slice], found: Evaluation) -> Scale:
    """Return the scale of a table: few rows have wild values, which would hide all others."""
    main, whole = found.main, found.metrics.get(found.main)
    large = [item for item in shown if item.rows >= found.least_rows] or list(shown)
    values = [
        item.metrics[main] for item in large if math.isfinite(item.metrics.get(main, math.nan))
    ]
    values += [] if whole is None else [whole]
    drawn = [item.intervals[main] for item in large if main in item.intervals]
    if not values or not drawn:
        return Scale.over(values, whole)
    # Intervals are shown as far as they do not crowd the values together.
    low, high = min(values), max(values)
    room = (high - low) or math.inf
    ends = (min(item.low for item in drawn), max(item.high for item in drawn))
    return Scale.over([*values, max(ends[0], low - room), min(ends[1], high + room)], whole)


def _slice(
    item: Slice,
    by: str,
    found: Evaluation,
    total: int,
    scale: Scale,
    others: Sequence[str],
) -> SliceRow:
    value, interval = item.metrics.get(found.main, float("nan")), item.intervals.get(found.main)
    whole, tone = found.metrics.get(found.main), ""
    if interval is not None and whole is not None and whole not in interval:
        tone = "better" if (value > whole) == found.greater_is_better else "worse"
    return SliceRow(
        by=by,
        name=short(item.name, _NAME),
        rows=format_rows(item.rows),
        share=percent(item.rows, total),
        value=with_interval(value, interval),
        interval=span(interval),
        strip=scale.strip(value, interval, tone),
        others=tuple(
            with_interval(item.metrics[name], item.intervals.get(name))
            if name in item.metrics
            else "-"
            for name in others
        ),
    )


def gaps_tables(found: Evaluation) -> tuple[GapsTable, ...]:
    """Return a table for each column that fairness was asked about."""
    return tuple(_gaps(item) for item in found.gaps[:_MOST_TABLES])


def _gaps(gaps: FairnessGaps) -> GapsTable:
    counted = sum(group.counted for group in gaps.groups)
    scale = Scale(0.0, 1.0)
    names = tuple(gaps.groups[0].rates) if gaps.groups else ()
    shown = sorted(gaps.groups, key=lambda group: -group.rows)[:_MOST_GROUPS]
    if len(gaps.groups) <= _MOST_GROUPS:
        shown = list(gaps.groups)
    left_out = len(gaps.groups) - len(shown)
    return GapsTable(
        column=short(gaps.column, _NAME),
        told=(
            f"The positive class is {short(gaps.positive, _NAME)}. {counted:,} of "
            f"{len(gaps.groups):,} groups have {gaps.least_rows:,} rows or more and count."
        ),
        gaps=tuple(
            GapRow(
                name=name,
                value=with_interval(value, gaps.intervals.get(name)),
                interval=span(gaps.intervals.get(name)),
                unit="ratio of rates" if name.endswith("ratio") else "difference of rates",
                strip=scale.strip(value, gaps.intervals.get(name)),
            )
            for name, value in gaps.gaps.items()
        ),
        names=tuple(name.replace("_", " ") for name in names),
        groups=tuple(
            GroupRow(
                name=short(group.name, _NAME),
                rows=format_rows(group.rows),
                counted=group.counted,
                rates=tuple(
                    (number(group.rates[name], 0.002), scale.strip(group.rates[name], None))
                    for name in names
                ),
            )
            for group in shown
        ),
        note=f"{left_out:,} smaller groups are not shown." if left_out else "",
    )
