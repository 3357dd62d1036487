"""Scoring a fitted model, chunk by chunk."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from streamlearn.chunk import Chunk, Schema
from streamlearn.errors import (
    CellError,
    DataError,
    SchemaError,
    StreamlearnError,
    UsageError,
)
from streamlearn.fitting import empty_scores
from streamlearn.learn.peel import is_transformed_target
from streamlearn.learn.sequential import is_classifier
from streamlearn.plan.demands import answer_bytes, answer_rows
from streamlearn.plan.job import cores
from streamlearn.plan.lean import plan_reading
from streamlearn.plan.memory import Demand, MemoryPlan, Term
from streamlearn.prepare.base import Kernel
from streamlearn.prepare.compile import compile_transformer, widest_dense
from streamlearn.prepare.frame import numbers, to_frame
from streamlearn.rebatch import rebatch
from streamlearn.score.base import Answers, answers_of
from streamlearn.sizes import format_seconds
from streamlearn.source.dataset import Dataset
from streamlearn.source.quarantine import Quarantine
from streamlearn.stream.events import PassEnded, PassStarted
from streamlearn.stream.governor import Governor
from streamlearn.stream.prefetch import ahead
from streamlearn.stream.reader import Reader, RowCount, count_part
from streamlearn.stream.screen import screen_pass
from streamlearn.stream.statistics import located
from streamlearn.stream.timeline import MemoryReport, Recorder

__all__ = ["Evaluating", "Evaluation", "ScoredRows"]

_BLOCK_ROWS = 16_384


@dataclass(frozen=True)
class ScoredRows:
    """What became of the rows that were read."""

    read: int
    scored: int
    filtered: int
    missing: int
    rejected: int


@dataclass(frozen=True)
class Evaluation:
    """How well a model does on some data."""

    metrics: dict[str, float]
    """Value of each metric by name."""
    rows: ScoredRows
    memory: MemoryReport
    seconds: float
    model: str
    quarantine: Quarantine | None = field(default=None, repr=False, compare=False)
    """Rows that could not be used, with ``on_error="quarantine"``."""

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the evaluation as JSON, and write it to a file if one is named."""
        values = {
            "model": self.model,
            "metrics": self.metrics,
            "rows": asdict(self.rows),
            "memory": self.memory.numbers(),
            "seconds": self.seconds,
        }
        if self.quarantine is not None:
            values["rejected"] = self.quarantine.summary()
        text = json.dumps(values, indent=2)
        if path is not None:
            Path(path).write_text(text + "\n")
        return text

    def __repr__(self) -> str:
        width = max((len(name) for name in self.metrics), default=0)
        lines = [
            f"Evaluation of {self.model} in {format_seconds(self.seconds)}",
            f"  rows    read {self.rows.read:,}, scored {self.rows.scored:,}, "
            f"filtered {self.rows.filtered:,}, missing {self.rows.missing:,}, "
            f"rejected {self.rows.rejected:,}",
            f"  memory  {self.memory}",
        ]
        lines += [f"  {name:<{width}}  {value:.6g}" for name, value in self.metrics.items()]
        if self.quarantine is not None:
            for item in self.quarantine.first[:5]:
                lines.append(f"  rejected {item}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(repr(self))}</pre>"


class Evaluating:
    """One call of `streamlearn.evaluate`.

    Parameters
    ----------
    estimator : fitted predictor
    data : Dataset
    chunk_size, threads, scratch_dir
        As for `streamlearn.fit`.

    Raises
    ------
    SchemaError
        If columns the model was fitted on are missing.
    UsageError
        If there is no target, or the estimator does not predict.
    """

    def __init__(
        self,
        estimator: Any,
        data: Dataset,
        chunk_size: int | None,
        threads: int | None,
        scratch_dir: str | None = None,
    ) -> None:
        from sklearn.exceptions import NotFittedError
        from sklearn.utils.validation import check_is_fitted

        if not hasattr(estimator, "predict"):
            raise UsageError(f"{type(estimator).__name__} does not predict; there is no score")
        try:
            check_is_fitted(estimator)
        except NotFittedError:
            raise UsageError(
                f"this {type(estimator).__name__} is not fitted; fit it first, or give a run"
            ) from None
        if not data.has_target:
            raise UsageError("evaluation needs a target; name it with target= or --target")
        self._data = copy.copy(data)
        self._estimator = estimator
        self._chunk_size = chunk_size
        self._threads = threads or cores()
        self._scratch_dir = scratch_dir
        self._names = self._fitted_columns()
        data.require(self._names)
        data.refuse_faults()
        schema = data.features.select(self._names) if data.features.named else data.features
        self._kernel, self._model = _compile(estimator, schema)
        self._block_rows = answer_rows(self._model, _BLOCK_ROWS)

    def _fitted_columns(self) -> list[str]:
        known = getattr(self._estimator, "feature_names_in_", None)
        names = self._data.features.names
        if not self._data.features.named:
            width = getattr(self._estimator, "n_features_in_", len(names))
            if known is not None or width != len(names):
                fitted_on = (
                    f"columns {', '.join(known)}" if known is not None else f"{width} columns"
                )
                raise SchemaError(
                    f"the model was fitted with {fitted_on}, and the data is an array of "
                    f"{len(names)} columns without names"
                )
            return names
        if known is None:
            return names
        missing = [name for name in known if name not in self._data.schema]
        if missing:
            raise SchemaError(
                f"the model was fitted with {', '.join(map(repr, missing))}, which the data lacks; "
                f"its columns are: {', '.join(self._data.schema.names)}"
            )
        self._data.features = self._data.schema.select(list(known))
        return list(known)

    def plan(self, limit_bytes: int, reserved_bytes: int, library_bytes: int) -> MemoryPlan:
        """Check that it fits."""
        options: dict[str, Any] = {
            "limit_bytes": limit_bytes,
            "reserved_bytes": reserved_bytes,
            "library_bytes": library_bytes,
            "chunk_size": self._chunk_size,
            "readers": max(1, min(self._threads - 1, len(self._data.fragments))),
        }
        self._data, plan = plan_reading(
            self._data, lambda data: [self._demand(data)], self._scratch_dir, **options
        )
        return plan

    def _demand(self, data: Dataset) -> Demand:
        cost = data.cost(self._names)
        width = getattr(self._kernel, "width", None) or len(self._names)
        row = min(8.0 * width, 40.0 * len(self._names) + 64)
        row = max(row, 8.0 * widest_dense(self._kernel))
        return Demand(
            "evaluate",
            cost.fixed_bytes,
            cost.row_bytes,
            cost.chunk_row_bytes,
            2,
            (
                Term("raw blocks", int(2 * self._block_rows * cost.chunk_row_bytes)),
                Term("prepared blocks", int(3 * self._block_rows * row)),
                Term("answers", 2 * answer_bytes(self._model, self._block_rows)),
            ),
            remedy="a smaller model",
            note=cost.note,
            most_rows=self._data.longest_rows,
        )

    def run(self, memory: MemoryPlan, governor: Governor, recorder: Recorder) -> Evaluation:
        """Read everything once and score it."""
        classes = getattr(self._estimator, "classes_", None)
        scores = empty_scores(classes if is_classifier(self._estimator) else None)
        rows = RowCount()
        threads = memory.readers if self._threads > 1 else 0
        reader = Reader(self._data, self._names, governor, threads)
        if self._data.quarantine is not None:
            governor.tell(PassStarted(governor.seconds, "screen", 1, 2, self._data.rows))
            screen_pass(self._data, self._names, governor, threads)
            governor.tell(PassEnded(governor.seconds, "screen", governor.seconds))
        governor.tell(PassStarted(governor.seconds, "evaluate", 1, 1, self._data.rows))

        def blocks() -> Iterator[Chunk]:
            with closing(reader.parts()) as parts:
                for part in parts:
                    count_part(part, rows)
                    governor.after_chunk(rows.read)
                    if part.learn is not None:
                        yield part.learn

        answered = ahead(rebatch(blocks(), self._block_rows), self._answer, threads=min(1, threads))
        with closing(answered) as found:
            for chunk, answers in found:
                scores.update(_labels(chunk.y, classes), answers, chunk.weight)
        governor.tell(PassEnded(governor.seconds, "evaluate", governor.seconds))
        use = governor.used(memory)
        return Evaluation(
            dict(scores.value()),
            ScoredRows(rows.read, rows.learned, rows.filtered, rows.missing, rows.rejected),
            recorder.memory(use),
            governor.seconds,
            type(self._model).__name__,
            self._data.quarantine,
        )

    def _answer(self, chunk: Chunk) -> tuple[Chunk, Answers]:
        try:
            X = self._kernel.apply(chunk.X) if self._kernel is not None else chunk.X
            if isinstance(X, pa.RecordBatch):
                X = (
                    numbers(X, order="C")
                    if self._kernel is not None or self._plain
                    else to_frame(X)
                )
            return chunk, answers_of(self._model, X)
        except CellError as error:
            raise located(error, self._data, chunk) from None
        except (ValueError, TypeError) as error:
            if isinstance(error, StreamlearnError):
                raise
            place = self._data.locate(int(chunk.rows[0]))
            raise DataError(
                f"the block that begins at {place} cannot be predicted: {error}"
            ) from error

    @property
    def _plain(self) -> bool:
        return not hasattr(self._model, "feature_names_in_")


def _compile(estimator: Any, schema: Schema) -> tuple[Kernel | None, Any]:
    """Split a fitted pipeline into kernel and model; any other predictor is all model."""
    from sklearn.pipeline import Pipeline

    if is_transformed_target(estimator) and type(estimator.regressor_) is Pipeline:
        kernel, last = _compile(estimator.regressor_, schema)
        short = copy.copy(estimator)
        short.regressor_ = last
        return kernel, short
    if type(estimator) is not Pipeline or len(estimator.steps) < 2:
        return None, estimator
    before = Pipeline(estimator.steps[:-1])
    return compile_transformer(before, schema), estimator.steps[-1][1]


def _labels(y: Any, classes: Any) -> Any:
    """Labels of the kind the classes are: 1.0 and 1 are one class."""
    if classes is not None and classes.dtype.kind in "iub" and y.dtype.kind == "f":
        return y.astype(np.float64)
    return y
