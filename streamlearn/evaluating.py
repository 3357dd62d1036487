"""Scoring a fitted model, chunk by chunk."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from streamlearn.answering import Answerer
from streamlearn.chunk import Chunk
from streamlearn.errors import UsageError
from streamlearn.fitting import empty_scores
from streamlearn.learn.sequential import is_classifier
from streamlearn.plan.job import cores
from streamlearn.plan.lean import plan_reading
from streamlearn.plan.memory import Demand, MemoryPlan
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
from streamlearn.stream.timeline import MemoryReport, Recorder

__all__ = ["Evaluating", "Evaluation", "ScoredRows"]


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
        if not hasattr(estimator, "predict"):
            raise UsageError(f"{type(estimator).__name__} does not predict; there is no score")
        if not data.has_target:
            raise UsageError("evaluation needs a target; name it with target= or --target")
        self._answerer = Answerer(estimator, data)
        self._data = self._answerer.data
        self._names = self._answerer.names
        self._estimator = estimator
        self._chunk_size = chunk_size
        self._threads = threads or cores()
        self._scratch_dir = scratch_dir

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
        return Demand(
            "evaluate",
            cost.fixed_bytes,
            cost.row_bytes,
            cost.chunk_row_bytes,
            2,
            self._answerer.terms(cost),
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

        answered = ahead(
            rebatch(blocks(), self._answerer.block_rows), self._answer, threads=min(1, threads)
        )
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
            type(self._answerer.model).__name__,
            self._data.quarantine,
        )

    def _answer(self, chunk: Chunk) -> tuple[Chunk, Answers]:
        return chunk, self._answerer.answer(chunk, answers_of)


def _labels(y: Any, classes: Any) -> Any:
    """Labels of the kind the classes are: 1.0 and 1 are one class."""
    if classes is not None and classes.dtype.kind in "iub" and y.dtype.kind == "f":
        return y.astype(np.float64)
    return y
