"""What is said of models, from one reading: in all, of slices, along the stream, against others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.score.base import Answers
from streamlearn.score.bootstrap import Bootstrap, Interval, buckets_of
from streamlearn.score.calibration import Calibration
from streamlearn.score.choose import as_asked
from streamlearn.score.confusion import Confusion
from streamlearn.score.curves import (
    Curve,
    calibration_curve,
    gain_curve,
    lift_curve,
    precision_recall_curve,
    roc_curve,
)
from streamlearn.score.drift import Drift, drift_of, segments_of
from streamlearn.score.gaps import FairnessGaps, Rates, fairness_gaps
from streamlearn.score.labels import placed
from streamlearn.score.measures import Measures
from streamlearn.score.ranking import Ranking
from streamlearn.score.residuals import Residuals, ResidualsSeen
from streamlearn.score.slice_table import Slice, SliceTable
from streamlearn.score.slices import Slicer
from streamlearn.score.tally import Tally

__all__ = ["Comparison", "ConfusionMatrix", "Judge", "Sliced"]

_BUCKETS = 512
_CURVES = (roc_curve, precision_recall_curve, gain_curve, lift_curve)


@dataclass(frozen=True)
class Comparison:
    """Another model on the same rows."""

    model: str
    metrics: Mapping[str, float]
    intervals: Mapping[str, Interval]
    differences: Mapping[str, float]
    """Of the model that is judged, minus this one's."""
    difference_intervals: Mapping[str, Interval]
    """Paired: both models are drawn with the same rows."""

    @property
    def clear(self) -> tuple[str, ...]:
        """Metrics whose difference has an interval without 0."""
        return tuple(name for name, item in self.difference_intervals.items() if 0.0 not in item)


@dataclass(frozen=True)
class ConfusionMatrix:
    """The weight of rows by true class and predicted class."""

    classes: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]
    """A row for each true class, a column for each predicted one."""


@dataclass
class Sliced:
    """A column that is sliced by."""

    by: str
    column: str
    """Empty where row numbers are sliced, by file."""
    slicer: Slicer
    tally: Tally
    rates: Tally | None = None
    """Of its groups, where fairness is asked about."""
    shown: bool = True
    """Whether it is one of the tables; slices of gates are not."""

    def add(
        self,
        values: pa.Array,
        y: NDArray[Any],
        answers: Answers,
        weight: Any,
        buckets: NDArray[np.intp],
    ) -> None:
        """Take in a block of rows."""
        codes = self.slicer.codes(values)
        known = len(self.slicer.names())
        for tally in (self.tally, self.rates):
            if tally is not None:
                tally.add(y, answers, weight, buckets, codes, known)

    def decides(self, column: str | None, value: str | None) -> bool:
        """Whether a gate on this value of this column is about one of the slices."""
        return not self.shown and self.column == column and value in self.slicer.names()

    def present(self) -> list[tuple[int, str]]:
        """Return code and name of the slices that have rows, in order."""
        names = self.slicer.names()
        return [
            (code, names[code])
            for code in self.slicer.order()
            if code < len(self.tally) and self.tally.rows[code]
        ]

    def table(self, bootstrap: Bootstrap) -> SliceTable:
        """Return the metrics of every slice."""
        found = tuple(
            Slice(
                name,
                int(self.tally.rows[code]),
                float(self.tally.weight[code]),
                self.tally.values(code),
                self.tally.bounds(code),
                self.tally.intervals(bootstrap, code),
            )
            for code, name in self.present()
        )
        return SliceTable(self.by, self.column, self.slicer.told, found)

    def gaps(self, bootstrap: Bootstrap, least_rows: int) -> FairnessGaps | None:
        """Return the gaps between its groups, where they were asked for."""
        if self.rates is None:
            return None
        rates = self.rates
        statistic = rates.statistics[0]
        assert isinstance(statistic, Rates)
        groups = [
            (name, int(rates.rows[code]), rates.values(code), rates.drawn(bootstrap, code))
            for code, name in self.present()
        ]
        return fairness_gaps(self.by, statistic.positive, groups, bootstrap, least_rows)


class Judge:
    """Takes in the truth and what each model answers, block by block.

    Parameters
    ----------
    measures : Measures
    models : sequence of str
        Names; the first is the one that is judged.
    bootstrap : Bootstrap
    slicings : sequence of Sliced
        Of the first model.
    total : int
        Row numbers in the source.
    segments : int
        Along the stream; 0 for none.
    """

    def __init__(
        self,
        measures: Measures,
        models: Sequence[str],
        bootstrap: Bootstrap,
        slicings: Sequence[Sliced],
        total: int,
        segments: int,
    ) -> None:
        self.measures = measures
        self.bootstrap = bootstrap
        self.slicings = tuple(slicings)
        self._models = tuple(models)
        self._total = total
        self._segments = measures.segments(segments)
        self._along = measures.along(self._segments)
        self._tallies = [measures.tally() for _ in models]
        self._apart = [measures.apart() for _ in models]
        self._residuals = ResidualsSeen() if measures.kind == "regressor" else None
        self._drawn: list[dict[str, NDArray[np.float64]]] | None = None

    def add(
        self,
        rows: NDArray[np.int64],
        y: NDArray[Any],
        answers: Sequence[Answers],
        weight: Any,
        column: Callable[[str], pa.Array],
    ) -> None:
        """Take in a block of rows.

        Parameters
        ----------
        rows : array of int64
            Row numbers in the source.
        y : array of shape (rows,)
            Of a clusterer the rows themselves.
        answers : sequence of Answers
            Of each model.
        weight : array of shape (rows,) or None
        column : callable
            Returns the values of a column of these rows.
        """
        if not len(rows):
            return
        classes = self.measures.classes
        if classes is not None:
            answers = [placed(y, item, classes) for item in answers]
        buckets = buckets_of(rows, self.bootstrap.seed, _BUCKETS)
        for tally, apart, item in zip(self._tallies, self._apart, answers, strict=True):
            tally.add(y, item, weight, buckets)
            if apart.statistics or apart.scores:
                apart.update(y, item, weight)
        if self._residuals is not None:
            self._residuals.add(y, answers[0], weight)
        if self._segments:
            codes = segments_of(rows, self._total, self._segments)
            self._along.add(y, answers[0], weight, buckets, codes, self._segments)
        for sliced in self.slicings:
            values = column(sliced.column) if sliced.column else pa.array(rows)
            sliced.add(values, y, answers[0], weight, buckets)

    def metrics(self, model: int = 0) -> dict[str, float]:
        """Return the metrics of a model; those that have no value are left out."""
        if not self.rows():
            return {}
        found = self._tallies[model].values() | self._fine(model)
        names = self.measures.names
        return {name: found[name] for name in names if not np.isnan(found.get(name, np.nan))}

    def _fine(self, model: int) -> dict[str, float]:
        """Return the metrics that groups have only in coarser bins, or not at all."""
        return as_asked(self._apart[model].value(), self.measures.asked)

    def bounds(self) -> dict[str, float]:
        """Return the largest error of each metric that is not exact."""
        found = self._apart[0].bounds() if self.rows() else {}
        return {name: abs(off) for name, off in as_asked(found, self.measures.asked).items()}

    def rows(self) -> int:
        """Return the rows that were scored."""
        tally = self._tallies[0]
        return int(tally.rows[0]) if len(tally) else 0

    def curves(self) -> dict[str, Curve]:
        """Return the curves of a classifier of two classes, by name."""
        apart, found = self._apart[0], []
        for part, state in zip(apart.statistics, apart.states, strict=True):
            if isinstance(part, Ranking) and part.targets == 1 and self.rows():
                (ranked,) = part.ranked(state)
                found += [draw(ranked) for draw in _CURVES]
            if isinstance(part, Calibration) and self.rows():
                found.append(calibration_curve(part, state))
        return {curve.name: curve for curve in found if curve is not None}

    def intervals(self, model: int = 0) -> dict[str, Interval]:
        """Return the intervals of a model's metrics."""
        return self._intervals(self._draws()[model])

    def _draws(self) -> list[dict[str, NDArray[np.float64]]]:
        if self._drawn is None:
            self._drawn = [self._draws_of(at) for at in range(len(self._tallies))]
        return self._drawn

    def _draws_of(self, model: int) -> dict[str, NDArray[np.float64]]:
        """Return the draws of a model, around the values of all rows where these are finer."""
        tally = self._tallies[model]
        found = tally.drawn(self.bootstrap)
        coarse = tally.values()
        for name, value in self._fine(model).items():
            if name in found:
                found[name] = found[name] + (value - coarse[name])
        return found

    def _intervals(self, drawn: Mapping[str, NDArray[np.float64]]) -> dict[str, Interval]:
        found = {name: self.bootstrap.interval(values) for name, values in drawn.items()}
        return {name: item for name, item in found.items() if item is not None}

    def comparison(self) -> tuple[Comparison, ...]:
        """Return what the others score, and by how much the first differs."""
        own, drawn = self.metrics(), self._draws()
        found = []
        for at in range(1, len(self._models)):
            metrics = self.metrics(at)
            apart = {
                name: drawn[0][name] - values
                for name, values in drawn[at].items()
                if name in drawn[0]
            }
            found.append(
                Comparison(
                    self._models[at],
                    metrics,
                    self.intervals(at),
                    {name: own[name] - value for name, value in metrics.items() if name in own},
                    self._intervals(apart),
                )
            )
        return tuple(found)

    def drift(self) -> Drift | None:
        """Return the main metric along the stream."""
        main, drawn = self.measures.main, self._draws()[0]
        whole = self.metrics().get(main)
        if not self._segments or whole is None or main not in drawn:
            return None
        count = self._segments
        values = [self._along.values(at).get(main, np.nan) for at in range(count)]
        rows = self._along.rows[:count].tolist()
        confidence = self.bootstrap.confidence
        return drift_of(main, whole, drawn[main], values, rows, self._total, confidence)

    def confusion(self) -> ConfusionMatrix | None:
        """Return the confusion matrix of a classifier, where one is kept."""
        tally = self._tallies[0]
        for at, part in enumerate(tally.statistics):
            inner = getattr(part, "inner", part)
            if isinstance(inner, Confusion) and self.rows():
                total = part.combine(tally.states(at), np.ones((1, tally.shares[at])))
                matrix = inner.matrix(total)[0].tolist()
                classes = tuple(map(str, inner.classes.tolist()))
                return ConfusionMatrix(classes, tuple(map(tuple, matrix)))
        return None

    def residuals(self) -> Residuals | None:
        """Return the errors of a regressor."""
        return self._residuals.value() if self._residuals is not None else None
