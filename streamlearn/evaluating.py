"""One call of `streamlearn.evaluate`: rows, models, answers, judgement, in one reading."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from streamlearn.answering import Answerer
from streamlearn.chunk import Chunk
from streamlearn.errors import CellError, DataError, UsageError
from streamlearn.evaluation import Evaluation, ScoredRows
from streamlearn.learn.sequential import is_clusterer
from streamlearn.manifest import data_of, machine_of, versions_of
from streamlearn.measuring import EvaluateOptions, classes_of, measures_of, measures_of_clusters
from streamlearn.plan.job import cores
from streamlearn.plan.lean import plan_reading
from streamlearn.plan.memory import Demand, MemoryPlan, Term
from streamlearn.prepare.frame import select
from streamlearn.rebatch import rebatch
from streamlearn.score.base import Answers, answers_of
from streamlearn.score.bootstrap import Bootstrap
from streamlearn.score.gates import GateResult, judged
from streamlearn.score.judge import Judge
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

T = TypeVar("T")


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
        self._clusters = not data.has_target and all(map(is_clusterer, models.values()))
        if not data.has_target and not self._clusters:
            raise UsageError("evaluation needs a target; name it with target= or --target")
        self._names = list(models)
        self._options = options
        self._about = dict(about or {})
        self._answerers = [Answerer(model, data) for model in models.values()]
        self._data = self._together(data)
        self._threads = options.threads or cores()
        self._block_rows = min(answerer.block_rows for answerer in self._answerers)
        self._classes = classes_of(models)
        self._measures = (
            measures_of_clusters([each.model for each in self._answerers], options)
            if self._clusters
            else measures_of(self._classes, options)
        )
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
                Term("draws of the bootstrap", self._measures.drawing_bytes(self._options.draws)),
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

        def answer(chunk: Chunk) -> tuple[Chunk, list[Answers], Any]:
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
            for chunk, answers, y in found:
                with stages.at("score"):
                    self._judge(judge, chunk, answers, y)
        governor.tell(PassEnded(governor.seconds, "evaluate", governor.seconds - begin))
        if not rows.learned:
            raise DataError(
                f"there is no row to score: {rows.shown().replace('learned', 'scored')}"
            )
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

    def _answer(self, chunk: Chunk) -> tuple[Chunk, list[Answers], Any]:
        """Return what each model answers, and what that is held against."""
        if self._clusters:
            answers, X = self._ask(self._answerers[0], chunk, _with_rows)
            return chunk, [answers], X
        found = [self._ask(each, chunk, answers_of) for each in self._answerers]
        return chunk, found, _labels(chunk.y, self._classes)

    def _ask(self, answerer: Answerer, chunk: Chunk, ask: Callable[[Any, Any], T]) -> T:
        if self._data.features.named:
            chunk = chunk.replace(select(chunk.X, answerer.names))
        return answerer.answer(chunk, ask)

    def _judge(self, judge: Judge, chunk: Chunk, answers: list[Answers], y: Any) -> None:
        try:
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


def _with_rows(model: Any, X: Any) -> tuple[Answers, Any]:
    """Ask a clusterer, and keep the rows that it was asked of."""
    return answers_of(model, X), X if hasattr(X, "toarray") else np.asarray(X)
