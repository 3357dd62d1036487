"""What the page and the fragment show: a result as finished values, without any HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamlearn.report.coefficients import Coefficients, coefficients_of, final_step
from streamlearn.report.facts import (
    Fact,
    RowShare,
    Table,
    call_text,
    data_facts,
    first_of,
    option_facts,
    origin_facts,
    percent,
    short,
)
from streamlearn.report.memory_use import MemoryUsed, memory_used
from streamlearn.report.profile import ProfileTable, profile_table
from streamlearn.report.rejected import RejectedTable, rejected_table
from streamlearn.report.stages import StageRow, limiting, stage_rows
from streamlearn.report.units import loss_unit, unit_of
from streamlearn.sizes import format_bytes, format_rows, format_seconds

if TYPE_CHECKING:
    from streamlearn.plan.plan import Pass
    from streamlearn.result import Result
    from streamlearn.stream.epochs import EpochRecord

__all__ = ["Content", "EpochRow", "PassRow", "content_of"]

_MOST_NAMES = 12
_MOST_ROWS = {"classes": 30, "columns": 300, "epochs": 200, "notes": 100}
"""So that a page stays small, whatever the data."""


@dataclass(frozen=True)
class PassRow:
    """A planned pass, and how long it took."""

    name: str
    why: str
    columns: str
    """Names, as many as are legible."""
    column_count: int
    rows: str
    decoded: str
    times: int
    took: str
    each: str
    """How long one of several times took, on average; empty for a pass done once."""


@dataclass(frozen=True)
class EpochRow:
    """An epoch, as text."""

    epoch: int
    rows: str
    loss: str
    seconds: str
    speed: str
    scores: tuple[str, ...]


@dataclass(frozen=True)
class Content:
    """Everything a page shows, in its order."""

    model: str
    seconds: str
    epochs_ran: str
    warnings: Table
    options: tuple[Fact, ...]
    data: tuple[Fact, ...]
    columns: Table
    rows: tuple[RowShare, ...]
    classes: Table
    rejected: RejectedTable
    profile: ProfileTable
    passes: tuple[PassRow, ...]
    plan: tuple[Fact, ...]
    plan_text: str
    notes: Table
    loss: Fact
    score_names: tuple[Fact, ...]
    epochs: Table
    scores: tuple[Fact, ...]
    memory: MemoryUsed
    terms: tuple[tuple[str, tuple[Fact, ...]], ...]
    stages: tuple[StageRow, ...]
    limits: Fact
    """The stage that limits, and what would help."""
    coefficients: Coefficients
    again: tuple[Fact, ...]
    call: str
    load: str
    estimator: str
    """As scikit-learn prints it."""


def content_of(result: Result) -> Content:
    """Return what is to be shown of a result.

    Parameters
    ----------
    result : Result
    """
    manifest, memory = result.manifest, result.memory
    names = _score_names(result.history)
    return Content(
        model=type(final_step(result.estimator)).__name__,
        seconds=format_seconds(result.seconds),
        epochs_ran=_epochs_ran(result),
        warnings=first_of(result.warnings, _MOST_ROWS["notes"], "warnings"),
        options=option_facts(manifest.get("options") or {}),
        data=data_facts(manifest.get("data") or {}),
        columns=_columns(manifest.get("schema") or {}),
        rows=_rows(result),
        classes=_classes(manifest.get("classes") or {}),
        rejected=rejected_table(manifest.get("rejected")),
        profile=profile_table(manifest.get("profile")),
        passes=tuple(_pass(item, result) for item in result.plan.passes),
        plan=_plan(result),
        plan_text=short(str(result.plan), 20_000),
        notes=first_of(result.plan.notes, _MOST_ROWS["notes"], "notes"),
        loss=_loss_heading(result.history),
        score_names=tuple(Fact(name, unit_of(name)) for name in names),
        epochs=_epochs(result.history, names),
        scores=tuple(
            Fact(name, f"{value:.6g}", unit_of(name)) for name, value in result.scores.items()
        ),
        memory=memory_used(memory),
        terms=tuple(
            (
                f"{name}: {format_bytes(sum(term.size_bytes for term in terms))}",
                tuple(Fact(term.what, format_bytes(term.size_bytes)) for term in terms),
            )
            for name, terms in result.plan.memory.passes
        ),
        stages=stage_rows(result.stages),
        limits=Fact(*limiting(result.stages, result.seconds)),
        coefficients=coefficients_of(result.estimator),
        again=origin_facts(manifest),
        call=call_text(
            "fit",
            "estimator",
            manifest.get("options") or {},
            manifest.get("data"),
            list(manifest.get("schema") or ()),
        ),
        load="" if result.path is None else f"streamlearn.load({result.path!r})",
        estimator=short(result.plan.estimator, 20_000),
    )


def _columns(schema: Mapping[str, Any]) -> Table:
    facts = [Fact(short(str(name), 200), str(kind)) for name, kind in schema.items()]
    return first_of(facts, _MOST_ROWS["columns"], "columns")


def _rows(result: Result) -> tuple[RowShare, ...]:
    rows = result.rows
    fates = (
        ("read", rows.read, "of one reading of the data"),
        ("learned", rows.learned, "given to the model"),
        ("held out", rows.held_out, "kept back to score the model"),
        ("filtered", rows.filtered, "left out by where"),
        ("missing", rows.missing, "left out for a missing value"),
        ("rejected", rows.rejected, "not usable"),
    )
    return tuple(
        RowShare(name, format_rows(count), percent(count, rows.read), note)
        for name, count, note in fates
    )


def _classes(classes: Mapping[str, Any]) -> Table:
    total = sum(int(rows) for rows in classes.values())
    ranked = sorted(classes.items(), key=lambda item: -int(item[1]))
    shares = [
        RowShare(short(str(name), 200), format_rows(int(rows)), percent(int(rows), total), "")
        for name, rows in ranked
    ]
    return first_of(shares, _MOST_ROWS["classes"], "classes")


def _pass(item: Pass, result: Result) -> PassRow:
    seconds = [record.seconds for record in result.history]
    each = ""
    recorded = [took for name, took in result.timings if name == item.name]
    if item.name == "learn":
        # Epochs are passes of their own in the timings; preparing rows on disk is one more.
        recorded = [took for name, took in result.timings if name.startswith(("learn", "prepare"))]
        if len(seconds) > 1:
            each = f"{format_seconds(sum(seconds) / len(seconds))} each"
    took = format_seconds(sum(recorded)) if recorded else "not recorded"
    names = ", ".join(item.columns[:_MOST_NAMES])
    more = len(item.columns) - _MOST_NAMES
    return PassRow(
        name=item.name,
        why=short(item.why),
        columns=short(f"{names} and {more:,} more" if more > 0 else names),
        column_count=len(item.columns),
        rows=format_rows(item.rows),
        decoded=format_bytes(item.size_bytes),
        times=item.times,
        took=took,
        each=each,
    )


def _plan(result: Result) -> tuple[Fact, ...]:
    plan = result.plan
    memory, learning = plan.memory, sum(record.seconds for record in result.history)
    asked = memory.requested_rows
    fewer = "" if asked is None else f"asked for {format_rows(asked)} rows; the budget allows these"
    facts = [Fact("chunk", f"{format_rows(memory.chunk_rows)} rows", fewer)]
    facts.append(Fact("readers", f"{memory.readers} at once"))
    if plan.batch_rows is not None:
        facts.append(Fact("batch", f"{format_rows(plan.batch_rows)} rows"))
    facts.append(Fact("threads", f"{plan.threads} threads"))
    if result.history:
        facts.append(Fact("epochs", _epochs_ran(result)))
        facts.append(Fact("learning took", format_seconds(learning)))
        rest = max(0.0, result.seconds - learning)
        facts.append(Fact("all else took", format_seconds(rest), "planning, statistics, assembly"))
    return tuple(facts)


def _epochs_ran(result: Result) -> str:
    ran, planned = len(result.history), result.plan.epochs
    if not ran:
        return "no epoch"
    return f"{ran} of {planned} epochs" + (", stopped early" if ran < planned else "")


def _loss_heading(history: Sequence[EpochRecord]) -> Fact:
    name = history[-1].loss_name if history else ""
    return Fact(name or "loss", loss_unit(name))


def _score_names(history: Sequence[EpochRecord]) -> list[str]:
    return list(dict.fromkeys(name for record in history for name in record.held_out or {}))


def _epochs(history: Sequence[EpochRecord], names: Sequence[str]) -> Table:
    most = _MOST_ROWS["epochs"]
    step = -(-len(history) // most) or 1
    shown = history[::-1][::step][::-1]
    rows = tuple(_epoch(record, names) for record in shown)
    note = f"{len(shown):,} of {len(history):,} epochs are shown." if step > 1 else ""
    return Table(rows, note)


def _epoch(record: EpochRecord, names: Sequence[str]) -> EpochRow:
    scores = record.held_out or {}
    speed = format_rows(round(record.rows / record.seconds)) if record.seconds > 0 else "-"
    return EpochRow(
        epoch=record.epoch,
        rows=format_rows(record.rows),
        loss="-" if record.loss is None else f"{record.loss:#.6g}",
        seconds=f"{record.seconds:.3f}",
        speed=speed,
        scores=tuple(f"{scores[name]:#.6g}" if name in scores else "-" for name in names),
    )
