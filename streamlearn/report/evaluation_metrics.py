"""Metrics of an evaluation as rows of text: of the model, against requirements, against others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamlearn.report.facts import Table, more_of, short
from streamlearn.report.strip import Scale, Strip, number, span, with_interval
from streamlearn.report.units import lower_is_better, unit_of
from streamlearn.sizes import format_rows

if TYPE_CHECKING:
    from streamlearn.evaluation import Evaluation
    from streamlearn.score.judge import Comparison

__all__ = [
    "MOST_METRICS",
    "ComparisonTable",
    "DifferenceRow",
    "GateRow",
    "MetricRow",
    "comparison_table",
    "gate_rows",
    "metric_row",
]

MOST_METRICS = 100
_MOST_GATES = 200


@dataclass(frozen=True)
class MetricRow:
    """One metric, as text."""

    name: str
    value: str
    interval: str
    bound: str
    unit: str
    better: str
    main: bool


@dataclass(frozen=True)
class GateRow:
    """One requirement, and what became of it."""

    gate: str
    passed: bool
    value: str
    interval: str
    unit: str
    rows: str


@dataclass(frozen=True)
class DifferenceRow:
    """By how much a metric differs from another model's."""

    name: str
    unit: str
    this: str
    other: str
    difference: str
    interval: str
    verdict: str
    """"better", "worse", "no clear difference", or empty where there is no interval."""
    strip: Strip | None


@dataclass(frozen=True)
class ComparisonTable:
    """The differences from another model."""

    model: str
    told: str
    rows: tuple[DifferenceRow, ...]


def metric_row(found: Evaluation, name: str) -> MetricRow:
    """Return a metric as text."""
    interval, bound = found.intervals.get(name), found.bounds.get(name)
    return MetricRow(
        name=name,
        value=with_interval(found.metrics[name], interval)
        if interval
        else number(found.metrics[name], bound),
        interval=span(interval),
        bound=f"± {bound:.1g}" if bound else "exact",
        unit=unit_of(name),
        better="lower" if _lower(found, name) else "higher",
        main=name == found.main,
    )


def _lower(found: Evaluation, name: str) -> bool:
    return not found.greater_is_better if name == found.main else lower_is_better(name)


def gate_rows(found: Evaluation) -> Table:
    """Return the requirements; those that failed come first, as one has to look at them."""
    ordered = sorted(found.gates, key=lambda gate: gate.passed)
    rows = tuple(
        GateRow(
            gate=short(gate.gate, 300),
            passed=gate.passed,
            value=number(gate.value),
            interval=span(gate.interval),
            unit=unit_of(gate.metric),
            rows=format_rows(gate.rows),
        )
        for gate in ordered[:_MOST_GATES]
    )
    return Table(rows, more_of(len(ordered), _MOST_GATES, "requirements"))


def comparison_table(found: Evaluation, other: Comparison) -> ComparisonTable:
    """Return the differences from another model."""
    rows = tuple(_difference(found, other, name) for name in list(other.differences)[:MOST_METRICS])
    better = sum(row.verdict == "better" for row in rows)
    worse = sum(row.verdict == "worse" for row in rows)
    open_ = sum(row.verdict == "no clear difference" for row in rows)
    parts = [
        f"better in {better}" if better else "",
        f"worse in {worse}" if worse else "",
        f"not clearly different in {open_}" if open_ else "",
    ]
    told = ", ".join(filter(None, parts)) or "no difference has an interval"
    metrics = f" of {better + worse + open_} metrics" if better + worse + open_ else ""
    return ComparisonTable(short(other.model, 200), told + metrics, rows)


def _difference(found: Evaluation, other: Comparison, name: str) -> DifferenceRow:
    apart, interval = other.differences[name], other.difference_intervals.get(name)
    verdict = ""
    if interval is not None:
        improved = (apart < 0) == _lower(found, name)
        verdict = "no clear difference"
        if name in other.clear:
            verdict = "better" if improved else "worse"
    text = with_interval(apart, interval)
    ends = [apart] if interval is None else [apart, interval.low, interval.high]
    return DifferenceRow(
        name=name,
        unit=unit_of(name),
        this=with_interval(found.metrics[name], found.intervals.get(name)),
        other=with_interval(other.metrics[name], other.intervals.get(name)),
        difference=text if text.startswith("-") else f"+{text}",
        interval=span(interval),
        verdict=verdict,
        strip=Scale.around_zero(ends).strip(
            apart, interval, verdict if verdict in ("better", "worse") else ""
        ),
    )
