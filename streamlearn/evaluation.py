"""What evaluating returns: plain values that print, and travel as JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from streamlearn.report.evaluation_html import evaluation_fragment, evaluation_page
from streamlearn.report.judged import evaluation_text
from streamlearn.score.bootstrap import Interval
from streamlearn.score.drift import Drift
from streamlearn.score.gaps import FairnessGaps
from streamlearn.score.gates import GateResult
from streamlearn.score.judge import Comparison, ConfusionMatrix
from streamlearn.score.residuals import Residuals
from streamlearn.score.slice_table import Slice, SliceTable
from streamlearn.source.quarantine import Quarantine
from streamlearn.stream.stages import StageTime
from streamlearn.stream.timeline import MemoryReport

__all__ = ["Evaluation", "ScoredRows"]


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
    """How well a model does on some data.

    Returned by `streamlearn.evaluate`. All of it are plain values; what was not asked for is empty
    or None.
    """

    metrics: dict[str, float]
    """Value of each metric by name; one that has no value on these rows is left out."""
    rows: ScoredRows
    memory: MemoryReport
    seconds: float
    model: str
    quarantine: Quarantine | None = field(default=None, repr=False, compare=False)
    """Rows that could not be used, with ``on_error="quarantine"``."""
    main: str = ""
    """Name of the metric that drift and the worst slices go by."""
    greater_is_better: bool = True
    """Of that metric."""
    bounds: Mapping[str, float] = field(default_factory=dict)
    """Largest error of the metrics that are not exact."""
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    """Of the metrics, where there is one; see `streamlearn.score.bootstrap.Bootstrap`."""
    confidence: float = 0.95
    """Of all intervals."""
    slices: tuple[SliceTable, ...] = ()
    """A table for each column sliced by."""
    least_rows: int = 1
    """Slices of fewer rows are not among the worst, and groups not in the fairness gaps."""
    gaps: tuple[FairnessGaps, ...] = ()
    """For each column that fairness was asked about."""
    drift: Drift | None = None
    """The main metric along the stream."""
    curves: Mapping[str, Any] = field(default_factory=dict)
    """By name: ``"ROC"``, ``"precision and recall"``, ``"gain"``, ``"lift"``, ``"calibration"``."""
    confusion: ConfusionMatrix | None = None
    """Of a classifier."""
    residuals: Residuals | None = None
    """Of a regressor."""
    comparison: tuple[Comparison, ...] = ()
    """The other models, on the same rows."""
    gates: tuple[GateResult, ...] = ()
    notes: tuple[str, ...] = ()
    """What to know of these numbers."""
    stages: tuple[StageTime, ...] = ()
    """Seconds of each stage, all threads together."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """Model, data (with its fingerprint), columns, versions, seed, options: to do it again."""

    @property
    def passed(self) -> bool:
        """Whether every gate was passed."""
        return all(gate.passed for gate in self.gates)

    def worst(self, by: str | None = None, count: int = 5) -> tuple[tuple[str, Slice], ...]:
        """Return the worst slices by the main metric, as pairs of table and slice.

        Parameters
        ----------
        by : str, optional
            Of one table; by default of all.
        count : int
        """
        found = [
            (table.by, item)
            for table in self.slices
            if by in (None, table.by)
            for item in table.worst(
                self.main,
                greater_is_better=self.greater_is_better,
                least_rows=self.least_rows,
                count=count,
            )
        ]
        found.sort(key=lambda pair: pair[1].metrics[self.main], reverse=not self.greater_is_better)
        return tuple(found[:count])

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values; numbers that JSON has no word for are None."""
        found: dict[str, Any] = {
            "model": self.model,
            "metrics": self.metrics,
            "rows": asdict(self.rows),
            "memory": self.memory.numbers(),
            "seconds": self.seconds,
        }
        for item in fields(self):
            if item.name not in found and item.name != "quarantine":
                found[item.name] = getattr(self, item.name)
        if self.quarantine is not None:
            found["rejected"] = self.quarantine.summary()
        plain: dict[str, Any] = _plain(found)
        return plain

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the evaluation as JSON, and write it to a file if one is named."""
        text = json.dumps(self.to_dict(), indent=2, allow_nan=False)
        if path is not None:
            Path(path).write_text(text + "\n")
        return text

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the evaluation as a self-contained HTML page, and write it if a file is named."""
        return evaluation_page(self, path)

    def __repr__(self) -> str:
        return evaluation_text(self)

    def _repr_html_(self) -> str:
        return evaluation_fragment(self)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool | None) else str(value)
