"""What the page and the fragment show: a result as finished values, without any HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamlearn.report.coefficients import Coefficients, coefficients_of, final_step
from streamlearn.report.profile import ProfileTable, profile_table
from streamlearn.report.rejected import RejectedTable, rejected_table
from streamlearn.report.stages import StageRow, limiting, stage_rows
from streamlearn.sizes import format_bytes, format_rows, format_seconds

if TYPE_CHECKING:
    from streamlearn.plan.plan import Pass
    from streamlearn.result import Result
    from streamlearn.stream.epochs import EpochRecord
    from streamlearn.stream.timeline import MemoryReport

__all__ = [
    "Content",
    "EpochRow",
    "Fact",
    "Gauge",
    "PassRow",
    "RowShare",
    "Table",
    "content_of",
    "score_unit",
]

_MOST_NAMES = 12
_MOST_ROWS = {"classes": 30, "columns": 300, "epochs": 200, "resizes": 1_000, "notes": 100}
"""So that a page stays small, whatever the data."""
_MOST_CHARACTERS = 2_000
_OPTION_UNITS = {
    "batch_size": "rows",
    "chunk_size": "rows",
    "epochs": "epochs",
    "n_iter_no_change": "epochs",
    "threads": "threads",
    "tol": "of the score",
    "validation": "of the rows",
}
_SCORE_UNITS = {
    "accuracy": "share of rows",
    "balanced_accuracy": "mean share of rows",
    "log_loss": "nats per row",
    "mae": "target units",
    "max_error": "target units",
    "mse": "target units²",
    "rmse": "target units",
}
_LOSS_UNITS = {
    "squared error": "target units²",
    "log loss": "nats per row",
    "error rate": "share of rows",
}


@dataclass(frozen=True)
class Fact:
    """A name and what is known of it."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Some rows of a table that may be longer."""

    rows: tuple[Any, ...]
    note: str = ""
    """Says how many rows are not shown; empty where all are."""


@dataclass(frozen=True)
class RowShare:
    """Rows that met one fate."""

    name: str
    rows: str
    share: str
    note: str


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
class Gauge:
    """Places of the four numbers on one bar, in percent of its width."""

    fill: float
    """Measured, as far as it is inside the limit."""
    over: float
    """Measured beyond the limit."""
    reserved: float
    projected: float
    limit: float


@dataclass(frozen=True)
class Content:
    """Everything a page shows, in its order."""

    model: str
    outcome: str
    within: bool
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
    memory: tuple[Fact, ...]
    gauge: Gauge
    exact: bool
    samples: int
    resizes: Table
    reclaimed: tuple[Fact, ...]
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
        outcome="budget kept" if memory.within else "budget EXCEEDED",
        within=memory.within,
        seconds=format_seconds(result.seconds),
        epochs_ran=_epochs_ran(result),
        warnings=_first(result.warnings, "notes", "warnings"),
        options=_options(manifest.get("options") or {}),
        data=_data(manifest.get("data") or {}),
        columns=_columns(manifest.get("schema") or {}),
        rows=_rows(result),
        classes=_classes(manifest.get("classes") or {}),
        rejected=rejected_table(manifest.get("rejected")),
        profile=profile_table(manifest.get("profile")),
        passes=tuple(_pass(item, result) for item in result.plan.passes),
        plan=_plan(result),
        plan_text=_short(str(result.plan), 20_000),
        notes=_first(result.plan.notes, "notes", "notes"),
        loss=_loss_heading(result.history),
        score_names=tuple(Fact(name, score_unit(name)) for name in names),
        epochs=_epochs(result.history, names),
        scores=tuple(
            Fact(name, f"{value:.6g}", score_unit(name)) for name, value in result.scores.items()
        ),
        memory=_memory(memory),
        gauge=_gauge(memory),
        exact=memory.exact,
        samples=len(memory.timeline),
        resizes=_resizes(memory),
        reclaimed=_reclaimed(memory),
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
        again=_again(manifest),
        call=_call(manifest.get("options") or {}),
        load="" if result.path is None else f"streamlearn.load({result.path!r})",
        estimator=_short(result.plan.estimator, 20_000),
    )


def score_unit(name: str) -> str:
    """Return the unit of a score.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> score_unit("rmse"), score_unit("r2")
    ('target units', 'no unit')
    """
    return _SCORE_UNITS.get(name, "no unit")


def _options(options: Mapping[str, Any]) -> tuple[Fact, ...]:
    return tuple(Fact(name, _option(name, value)) for name, value in options.items())


def _option(name: str, value: Any) -> str:
    if value is None:
        return "not given"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "memory_budget" and isinstance(value, int):
        return format_bytes(value)
    unit = _OPTION_UNITS.get(name)
    text = format_rows(value) if isinstance(value, int) and name != "random_state" else str(value)
    return _short(f"{text} {unit}" if unit else text)


def _data(data: Mapping[str, Any]) -> tuple[Fact, ...]:
    if not data:
        return ()
    return (
        Fact("rows", f"{format_rows(int(data.get('rows') or 0))} rows"),
        Fact("fragments", f"{format_rows(int(data.get('fragments') or 0))} fragments"),
        Fact("target", _short(str(data.get("target") or "none"))),
        Fact("weight", _short(str(data.get("weight") or "none"))),
        Fact("where", _short(str(data.get("where") or "all rows"))),
        Fact("derive", _short(_formulas(data.get("derive")))),
    )


def _formulas(derive: Any) -> str:
    if not derive:
        return "no column"
    if isinstance(derive, Mapping):
        return "\n".join(f"{name} = {formula}" for name, formula in derive.items())
    return derive if isinstance(derive, str) else "\n".join(map(str, derive))


def _columns(schema: Mapping[str, Any]) -> Table:
    facts = [Fact(_short(str(name), 200), str(kind)) for name, kind in schema.items()]
    return _first(facts, "columns", "columns")


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
        RowShare(name, format_rows(count), _percent(count, rows.read), note)
        for name, count, note in fates
    )


def _classes(classes: Mapping[str, Any]) -> Table:
    total = sum(int(rows) for rows in classes.values())
    ranked = sorted(classes.items(), key=lambda item: -int(item[1]))
    shares = [
        RowShare(_short(str(name), 200), format_rows(int(rows)), _percent(int(rows), total), "")
        for name, rows in ranked
    ]
    return _first(shares, "classes", "classes")


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
        why=_short(item.why),
        columns=_short(f"{names} and {more:,} more" if more > 0 else names),
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
    return Fact(name or "loss", _LOSS_UNITS.get(name, "no unit"))


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


def _memory(memory: MemoryReport) -> tuple[Fact, ...]:
    measured = (
        "the kernel's high-water mark of the process"
        if memory.exact
        else "measured is the highest sample, not the kernel's mark"
    )
    share = _percent(memory.measured_bytes, memory.limit_bytes)
    return (
        Fact("limit", format_bytes(memory.limit_bytes), "the budget"),
        Fact("reserved", format_bytes(memory.reserved_bytes), "held when the call came"),
        Fact("projected", format_bytes(memory.projected_bytes), "the highest the plan foresaw"),
        Fact("measured", format_bytes(memory.measured_bytes), f"{measured}; {share} of the limit"),
    )


def _gauge(memory: MemoryReport) -> Gauge:
    sizes = (memory.limit_bytes, memory.measured_bytes, memory.projected_bytes)
    scale = 100.0 / max(1, *sizes, memory.reserved_bytes)
    inside = min(memory.measured_bytes, memory.limit_bytes)
    return Gauge(
        fill=round(inside * scale, 2),
        over=round((memory.measured_bytes - inside) * scale, 2),
        reserved=round(memory.reserved_bytes * scale, 2),
        projected=round(memory.projected_bytes * scale, 2),
        limit=round(memory.limit_bytes * scale, 2),
    )


def _resizes(memory: MemoryReport) -> Table:
    rows = [
        (
            format_seconds(float(item["seconds"])),
            format_rows(int(item["rows"])),
            format_rows(int(item["before_rows"])),
            format_rows(int(item["after_rows"])),
            _short(str(item["reason"]), 300),
        )
        for item in memory.resizes
    ]
    return _first(rows, "resizes", "changes")


def _reclaimed(memory: MemoryReport) -> tuple[Fact, ...]:
    return tuple(
        Fact(str(item["kind"]), format_bytes(item["given_back_bytes"]), _times(item["times"]))
        for item in memory.reclaimed
    )


def _times(times: int) -> str:
    return "once" if times == 1 else f"{times:,} times"


def _again(manifest: Mapping[str, Any]) -> tuple[Fact, ...]:
    versions = manifest.get("versions") or {}
    facts = [Fact(str(name), str(version)) for name, version in versions.items()]
    data = manifest.get("data") or {}
    for name, value in (
        ("seed", manifest.get("seed")),
        ("data fingerprint", data.get("fingerprint")),
        ("machine", manifest.get("machine")),
    ):
        facts.append(Fact(name, "not recorded" if value is None else _short(str(value))))
    return tuple(facts)


def _call(options: Mapping[str, Any]) -> str:
    given = [f"{name}={value!r}" for name, value in options.items() if value is not None]
    return _short(",\n    ".join(["streamlearn.fit(\n    estimator", "data", *given]) + ",\n)")


def _first(items: Sequence[Any], kind: str, name: str) -> Table:
    most = _MOST_ROWS[kind]
    note = f"The first {most:,} of {len(items):,} {name} are shown." if len(items) > most else ""
    cut = (_short(item) if isinstance(item, str) else item for item in items[:most])
    return Table(tuple(cut), note)


def _short(text: str, most: int = _MOST_CHARACTERS) -> str:
    return text if len(text) <= most else f"{text[:most]} … ({len(text):,} characters)"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"
