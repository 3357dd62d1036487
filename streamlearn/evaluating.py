"""One call of `streamlearn.evaluate`: rows, models, answers, judgement, in one reading."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.answering import Answerer
from streamlearn.chunk import Chunk
from streamlearn.errors import CellError, UsageError
from streamlearn.evaluation import Evaluation, ScoredRows
from streamlearn.learn.sequential import is_classifier
from streamlearn.manifest import data_of, machine_of, versions_of
from streamlearn.plan.job import cores
from streamlearn.plan.lean import plan_reading
from streamlearn.plan.memory import Demand, MemoryPlan, Term
from streamlearn.prepare.frame import select
from streamlearn.rebatch import rebatch
from streamlearn.score.base import Answers, Score, Statistic, answers_of
from streamlearn.score.bootstrap import Bootstrap
from streamlearn.score.choose import default_metrics, statistics_for
from streamlearn.score.gates import GateResult, judged, parse_gate
from streamlearn.score.judge import Judge
from streamlearn.score.measures import Measures
from streamlearn.score.names import greater_is_better, metric_names
from streamlearn.score.ranking import RANKINGS
from streamlearn.slicing import Slicing, matrix_column
from streamlearn.source.dataset import Dataset
from streamlearn.stream.events import PassEnded, PassStarted
from streamlearn.stream.governor import Governor
from streamlearn.stream.prefetch import ahead
from streamlearn.stream.reader import Reader, RowCount, count_part
from streamlearn.stream.screen import screen_pass
from streamlearn.stream.statistics import located
from streamlearn.stream.timeline import Recorder

__all__ = ["EvaluateOptions", "Evaluating"]

_SORTED = (*RANKINGS, "median_absolute_error")
_MAIN = {"regressor": "rmse", "classifier": "accuracy"}
_DRAWING_BYTES = 8 << 20
"""Of the bootstrap's draws, when all rows are in."""


@dataclass(frozen=True)
class EvaluateOptions:
    """What the user asked for, beside models and data; see `streamlearn.evaluate`."""

    metrics: tuple[str, ...] = ()
    exact: bool | tuple[str, ...] = False
    slice_by: tuple[str, ...] = ()
    fairness_by: tuple[str, ...] = ()
    positive: Any = None
    require: tuple[str, ...] = ()
    confidence: float = 0.95
    draws: int = 400
    random_state: int = 0
    slices: int = 1_000
    least_rows: int = 30
    segments: int = 50
    chunk_size: int | None = None
    threads: int | None = None
    scratch_dir: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.confidence < 1:
            raise UsageError(
                f"confidence must be between 0 and 1, such as 0.95, not {self.confidence!r}"
            )
        for name, least in (("draws", 20), ("slices", 1), ("least_rows", 1), ("segments", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise UsageError(f"{name} must be a whole number from {least} on, not {value!r}")
        if not isinstance(self.random_state, int) or self.random_state < 0:
            raise UsageError(
                f"random_state must be a whole number from 0 on, not {self.random_state!r}"
            )

    def plain(self) -> dict[str, Any]:
        """Return them as plain values."""
        return {**asdict(self), "positive": None if self.positive is None else str(self.positive)}


class Evaluating:
    """One call of `streamlearn.evaluate`.

    Parameters
    ----------
    models : mapping of str to fitted predictor
        By name; the first is judged, the others are compared with it.
    data : Dataset
    options : EvaluateOptions
    about : mapping
        What is known of the models.

    Raises
    ------
    SchemaError
        If columns the models were fitted on are missing, or one to slice by.
    UsageError
        If there is no target, an estimator does not predict, or an option cannot be right.
    """

    def __init__(
        self,
        models: Mapping[str, Any],
        data: Dataset,
        options: EvaluateOptions,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        for model in models.values():
            if not hasattr(model, "predict"):
                raise UsageError(f"{type(model).__name__} does not predict; there is no score")
        if not data.has_target:
            raise UsageError("evaluation needs a target; name it with target= or --target")
        self._names = list(models)
        self._options = options
        self._about = dict(about or {})
        self._answerers = [Answerer(model, data) for model in models.values()]
        self._data = self._together(data)
        self._threads = options.threads or cores()
        self._block_rows = min(answerer.block_rows for answerer in self._answerers)
        self._classes = _classes(models)
        self._measures = _measures(self._classes, options)
        self._slicing = Slicing(self._data, self._measures, options.slices)
        self._slicing.ask(options.slice_by, options.fairness_by, options.positive, options.require)
        self._columns = self._read_columns()
        if self._data.features.named:
            self._data.require(self._columns)

    def _together(self, data: Dataset) -> Dataset:
        """Return the data with the features of all models: rows are the same for each."""
        first = self._answerers[0].data
        if len(self._answerers) == 1 or not data.features.named:
            return first
        found = copy.copy(first)
        names = dict.fromkeys(name for each in self._answerers for name in each.names)
        found.features = data.schema.select(list(names))
        return found

    def _read_columns(self) -> list[str]:
        """Return the columns to read: those of the models, then those to slice by."""
        if not self._data.features.named:
            return self._data.features.names
        return list(dict.fromkeys([*self._data.features.names, *self._slicing.columns]))

    def plan(self, limit_bytes: int, reserved_bytes: int, library_bytes: int) -> MemoryPlan:
        """Check that it fits."""
        options: dict[str, Any] = {
            "limit_bytes": limit_bytes,
            "reserved_bytes": reserved_bytes,
            "library_bytes": library_bytes,
            "chunk_size": self._options.chunk_size,
            "readers": max(1, min(self._threads - 1, len(self._data.fragments))),
        }
        self._data, plan = plan_reading(
            self._data, lambda data: [self._demand(data)], self._options.scratch_dir, **options
        )
        return plan

    def _demand(self, data: Dataset) -> Demand:
        cost = data.cost(self._columns)
        models = [term for each in self._answerers for term in each.terms(cost)]
        sliced = self._slicing.terms()
        return Demand(
            "evaluate",
            cost.fixed_bytes,
            cost.row_bytes,
            cost.chunk_row_bytes,
            2,
            (
                *models,
                Term("statistics", len(self._answerers) * self._measures.whole_bytes()),
                *sliced,
                Term("draws of the bootstrap", _DRAWING_BYTES),
            ),
            remedy="fewer slices (slices= or --slices)" if sliced else "a smaller model",
            note=cost.note,
            most_rows=self._data.longest_rows,
        )

    def run(self, memory: MemoryPlan, governor: Governor, recorder: Recorder) -> Evaluation:
        """Read everything once and judge it."""
        rows = RowCount()
        threads = memory.readers if self._threads > 1 else 0
        if self._data.quarantine is not None:
            governor.tell(PassStarted(governor.seconds, "screen", 1, 2, self._data.rows))
            screen_pass(self._data, self._columns, governor, threads)
            governor.tell(PassEnded(governor.seconds, "screen", governor.seconds))
        judge = Judge(
            self._measures,
            self._names,
            Bootstrap(self._options.draws, self._options.confidence, self._options.random_state),
            self._slicing.make(),
            self._data.rows,
            self._options.segments,
        )
        begin = governor.seconds
        governor.tell(PassStarted(begin, "evaluate", 1, 1, self._data.rows))
        reader = Reader(self._data, self._columns, governor, threads)
        stages = governor.stages

        def answer(chunk: Chunk) -> tuple[Chunk, list[Answers]]:
            with stages.at("model"):
                return self._answer(chunk)

        answered = ahead(
            rebatch(_blocks(reader, rows, governor), self._block_rows),
            answer,
            threads=min(1, threads),
        )
        if threads:
            answered = stages.each("wait", answered)
        with closing(answered) as found:
            for chunk, answers in found:
                with stages.at("score"):
                    self._judge(judge, chunk, answers)
        governor.tell(PassEnded(governor.seconds, "evaluate", governor.seconds - begin))
        parts = self._judgement(judge)
        return Evaluation(
            rows=ScoredRows(rows.read, rows.learned, rows.filtered, rows.missing, rows.rejected),
            memory=recorder.memory(governor.used(memory)),
            seconds=governor.seconds,
            model=type(self._answerers[0].model).__name__,
            quarantine=self._data.quarantine,
            stages=governor.stages.times(),
            **parts,
        )

    def _answer(self, chunk: Chunk) -> tuple[Chunk, list[Answers]]:
        return chunk, [
            each.answer(chunk.replace(select(chunk.X, each.names)), answers_of)
            if self._data.features.named
            else each.answer(chunk, answers_of)
            for each in self._answerers
        ]

    def _judge(self, judge: Judge, chunk: Chunk, answers: list[Answers]) -> None:
        try:
            y = _labels(chunk.y, self._classes)
            judge.add(chunk.rows, y, answers, chunk.weight, self._column_of(chunk))
        except CellError as error:
            raise located(error, self._data, chunk) from None

    def _column_of(self, chunk: Chunk) -> Callable[[str], pa.Array]:
        def column(name: str) -> pa.Array:
            if isinstance(chunk.X, pa.RecordBatch):
                return chunk.X.column(name)
            return matrix_column(chunk.X, self._data.features.names.index(name))

        return column

    def _judgement(self, judge: Judge) -> dict[str, Any]:
        """Return the parts of the evaluation that are judgement."""
        bootstrap, least = judge.bootstrap, self._options.least_rows
        metrics, intervals = judge.metrics(), judge.intervals()
        gaps = [item.gaps(bootstrap, least) for item in judge.slicings]
        tables = tuple(item.table(bootstrap) for item in judge.slicings if item.shown)
        return {
            "metrics": metrics,
            "main": self._measures.main,
            "greater_is_better": self._measures.greater_is_better,
            "bounds": judge.bounds(),
            "intervals": intervals,
            "confidence": bootstrap.confidence,
            "slices": tables,
            "least_rows": least,
            "gaps": tuple(item for item in gaps if item is not None),
            "drift": judge.drift(),
            "curves": judge.curves(),
            "confusion": judge.confusion(),
            "residuals": judge.residuals(),
            "comparison": judge.comparison(),
            "gates": tuple(self._gate_results(judge)),
            "notes": (*self._notes(), *self._slicing.notes(judge.slicings)),
            "about": {**self._about, **self._described()},
        }

    def _gate_results(self, judge: Judge) -> Iterator[GateResult]:
        metrics, intervals = judge.metrics(), judge.intervals()
        for gate in self._slicing.gates:
            found = next(
                (item for item in judge.slicings if item.decides(gate.column, gate.value)), None
            )
            if found is None:
                value = metrics.get(gate.metric, float("nan"))
                yield judged(gate, value, intervals.get(gate.metric), judge.rows())
                continue
            code = found.slicer.names().index(gate.value or "")
            values = found.tally.values(code)
            drawn = found.tally.intervals(judge.bootstrap, code)
            rows = int(found.tally.rows[code]) if code < len(found.tally) else 0
            value = values.get(gate.metric, float("nan"))
            yield judged(gate, value, drawn.get(gate.metric), rows)

    def _notes(self) -> list[str]:
        fitted_on = self._about.get("fitted_on")
        if fitted_on is not None and fitted_on == self._data.source.fingerprint:
            return [
                "the model was fitted on this very data: on rows it has not seen it will do worse"
            ]
        return []

    def _described(self) -> dict[str, Any]:
        return {
            "data": data_of(self._data),
            "columns": self._columns,
            "versions": versions_of(),
            "machine": machine_of(),
            "seed": self._options.random_state,
            "options": self._options.plain(),
        }


def _blocks(reader: Reader, rows: RowCount, governor: Governor) -> Iterator[Chunk]:
    with closing(reader.parts()) as parts:
        for part in parts:
            count_part(part, rows)
            governor.after_chunk(rows.read)
            if part.learn is not None:
                yield part.learn


def _labels(y: Any, classes: Any) -> Any:
    """Labels of the kind the classes are: 1.0 and 1 are one class."""
    if classes is not None and classes.dtype.kind in "iub" and y.dtype.kind == "f":
        return y.astype(np.float64)
    return y


def _classes(models: Mapping[str, Any]) -> NDArray[Any] | None:
    """Return the classes all models know; None of regressors."""
    found = [
        getattr(model, "classes_", None) if is_classifier(model) else None
        for model in models.values()
    ]
    first = found[0]
    for name, other in zip(models, found, strict=True):
        same = first is other or (
            first is not None and other is not None and np.array_equal(first, other)
        )
        if not same:
            raise UsageError(
                f"{name} cannot be compared: its classes are {_told(other)}, and those of "
                f"{next(iter(models))} are {_told(first)}"
            )
    return first


def _told(classes: Any) -> str:
    if classes is None:
        return "none (it predicts numbers)"
    shown = ", ".join(map(str, classes[:10].tolist()))
    return shown + (", ..." if len(classes) > 10 else "")


def _measures(classes: NDArray[Any] | None, options: EvaluateOptions) -> Measures:
    """Return what is measured: the metrics asked for or the usual ones, and those of gates."""
    kind, count = ("regressor", 0) if classes is None else ("classifier", len(classes))
    gates = [parse_gate(text).metric for text in options.require]
    first = list(options.metrics) or default_metrics(kind, count)
    asked = metric_names([*first, *gates], kind, count)
    names = list(dict.fromkeys(item.name for item in asked))
    exact: Sequence[str] = options.exact if not isinstance(options.exact, bool) else ()
    if options.exact is True:
        exact = [name for name in names if name in _SORTED]
    drawn = ["calibration_error"] if classes is not None and not options.metrics else []

    def parts(chosen: Sequence[str] | None = None) -> Sequence[Statistic | Score]:
        if chosen is not None:
            return statistics_for(kind, classes, chosen)
        folder = options.scratch_dir
        return statistics_for(kind, classes, [*names, *drawn], exact, scratch_dir=folder)

    main = options.metrics[0] if options.metrics else _MAIN[kind]
    (own,) = metric_names([main], kind, count)
    return Measures(parts, asked, classes, main, own.sign < 0 or greater_is_better(own.name))
