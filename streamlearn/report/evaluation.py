"""What the page of an evaluation shows: finished values, without any HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamlearn.report.evaluation_confusion import ConfusionTable, confusion_table
from streamlearn.report.evaluation_metrics import (
    MOST_METRICS,
    MetricRow,
    comparison_table,
    gate_rows,
    metric_row,
)
from streamlearn.report.evaluation_slices import (
    GapsTable,
    SliceRow,
    SlicesTable,
    gaps_tables,
    slices_tables,
    worst_rows,
)
from streamlearn.report.facts import (
    Fact,
    RowShare,
    Table,
    call_text,
    data_facts,
    first_of,
    more_of,
    option_facts,
    origin_facts,
    percent,
    short,
)
from streamlearn.report.memory_use import MemoryUsed, memory_used
from streamlearn.report.rejected import RejectedTable, rejected_table
from streamlearn.report.stages import StageRow, limiting, stage_rows
from streamlearn.report.strip import Scale, number
from streamlearn.report.units import unit_of
from streamlearn.sizes import format_rows, format_seconds

if TYPE_CHECKING:
    from streamlearn.evaluation import Evaluation
    from streamlearn.score.drift import Drift

__all__ = ["EvaluationContent", "evaluation_content"]

_MOST_MODELS = 20
_MOST_MARKS = 50


@dataclass(frozen=True)
class EvaluationContent:
    """Everything the page shows, in its order."""

    model: str
    title: str
    badge: str
    badge_kind: str
    """"", "bad" or "plain"."""
    main: MetricRow | None
    sentence: str
    seconds: str
    confidence: str
    notes: Table
    metrics: tuple[MetricRow, ...]
    more_metrics: str
    gates: Table
    comparison: Table
    worst: tuple[SliceRow, ...]
    worst_told: str
    slices: tuple[SlicesTable, ...]
    gaps: tuple[GapsTable, ...]
    confusion: ConfusionTable | None
    drift: str
    marks: Table
    rows: tuple[RowShare, ...]
    rejected: RejectedTable
    asked: tuple[Fact, ...]
    data: tuple[Fact, ...]
    memory: MemoryUsed
    stages: tuple[StageRow, ...]
    limits: Fact
    again: tuple[Fact, ...]
    call: str
    by_command: bool
    """Whether the call is a command for a terminal."""


def evaluation_content(found: Evaluation) -> EvaluationContent:
    """Return what is to be shown of an evaluation.

    Parameters
    ----------
    found : Evaluation
    """
    memory = memory_used(found.memory)
    badge, kind = _badge(found)
    metrics = tuple(metric_row(found, name) for name in list(found.metrics)[:MOST_METRICS])
    about = dict(found.about)
    command = str(about.get("command") or "")
    scale = _main_scale(found)
    return EvaluationContent(
        model=found.model,
        title=f"{found.model}: {badge or 'evaluation'}",
        badge=badge,
        badge_kind=kind,
        main=next((row for row in metrics if row.main), None),
        sentence=_sentence(found),
        seconds=format_seconds(found.seconds),
        confidence=f"{100 * found.confidence:g} %",
        notes=first_of(found.notes, 100, "notes"),
        metrics=metrics,
        more_metrics=more_of(len(found.metrics), MOST_METRICS, "metrics"),
        gates=gate_rows(found),
        comparison=Table(
            tuple(comparison_table(found, other) for other in found.comparison[:_MOST_MODELS]),
            more_of(len(found.comparison), _MOST_MODELS, "models"),
        ),
        worst=worst_rows(found, scale),
        worst_told=_worst_told(found),
        slices=slices_tables(found),
        gaps=gaps_tables(found),
        confusion=None if found.confusion is None else confusion_table(found.confusion),
        drift=_drift(found.drift),
        marks=_marks(found.drift),
        rows=_rows(found),
        rejected=rejected_table(found.quarantine.summary() if found.quarantine else None),
        asked=option_facts(about.get("options") or {}),
        data=_data(about),
        memory=memory,
        stages=stage_rows(found.stages),
        limits=Fact(*limiting(found.stages, found.seconds)),
        again=origin_facts(about),
        call=command
        or call_text(
            "evaluate",
            _model_text(about),
            _given(about.get("options") or {}),
            about.get("data"),
        ),
        by_command=bool(command),
    )


def _badge(found: Evaluation) -> tuple[str, str]:
    if not found.memory.within:
        return "budget EXCEEDED", "bad"
    if not found.gates:
        return "", "plain"
    failed = sum(not gate.passed for gate in found.gates)
    count = len(found.gates)
    if failed:
        return f"{failed:,} of {count:,} requirements FAILED", "bad"
    return ("the requirement is kept" if count == 1 else f"all {count:,} requirements kept"), ""


def _sentence(found: Evaluation) -> str:
    data = found.about.get("data") or {}
    files = list(data.get("files") or ())
    more = int(data.get("more_files") or 0)
    where = short(files[0], 120) if files else "the data given"
    if len(files) + more > 1:
        where += f" and {format_rows(len(files) + more - 1)} more files"
    target = f", target {short(str(data['target']), 80)}" if data.get("target") else ""
    return f"on {format_rows(found.rows.scored)} rows of {where}{target}"


def _main_scale(found: Evaluation) -> Scale:
    worst = [item for _, item in found.worst(count=10)]
    values = [item.metrics[found.main] for item in worst]
    for item in worst:
        drawn = item.intervals.get(found.main)
        values += [] if drawn is None else [drawn.low, drawn.high]
    return Scale.over(values, found.metrics.get(found.main))


def _worst_told(found: Evaluation) -> str:
    total = sum(len(table) for table in found.slices)
    whole = found.metrics.get(found.main)
    if not total or whole is None:
        return ""
    return (
        f"Worst of {total:,} slices by {found.main}, of those with {found.least_rows:,} rows or "
        f"more; {number(whole)} {unit_of(found.main)} of all rows."
    )


def _drift(drift: Drift | None) -> str:
    if drift is None or len(drift.segments) < 2:
        return ""
    count, marked = len(drift.segments), len(drift.marked)
    certain = f"{100 * drift.confidence:g} %"
    if not marked:
        return (
            f"{drift.metric} of all {count} stretches of rows is where chance alone would have it "
            f"({certain} certain for all of them together): no drift is seen."
        )
    return (
        f"{drift.metric} of {marked} of {count} stretches of rows is beyond what chance allows "
        f"({certain} certain for all of them together). Where neighbouring rows are alike, this "
        "says that stretches differ, not yet that the model aged."
    )


def _marks(drift: Drift | None) -> Table:
    if drift is None:
        return Table(())
    rows = [
        (
            f"{item.first:,} to {item.last:,}",
            format_rows(item.rows),
            number(item.value, (item.high - item.low) / 2),
            f"{number(item.low, item.high - item.low)} to "
            f"{number(item.high, item.high - item.low)}",
        )
        for item in drift.marked
    ]
    return first_of(rows, _MOST_MARKS, "stretches")


def _rows(found: Evaluation) -> tuple[RowShare, ...]:
    rows = found.rows
    fates = (
        ("read", rows.read, "of the data"),
        ("scored", rows.scored, "what all numbers here are from"),
        ("filtered", rows.filtered, "left out by where"),
        ("missing", rows.missing, "left out for a missing value"),
        ("rejected", rows.rejected, "not usable"),
    )
    return tuple(
        RowShare(name, format_rows(count), percent(count, rows.read), note)
        for name, count, note in fates
    )


def _data(about: dict[str, Any]) -> tuple[Fact, ...]:
    facts = [Fact("model", short(str(about.get("model") or "not recorded")))]
    if about.get("run"):
        facts.append(Fact("run", short(str(about["run"]))))
    if about.get("compared_with"):
        facts.append(Fact("compared with", short(", ".join(map(str, about["compared_with"])))))
    facts += data_facts(about.get("data") or {})
    columns = about.get("columns")
    if columns:
        facts.append(Fact("columns read", short(", ".join(map(str, columns)), 600)))
    return tuple(facts)


def _model_text(about: dict[str, Any]) -> str:
    return repr(about["run"]) if about.get("run") else "model"


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value not in (None, (), [], False)}
