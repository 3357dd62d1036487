"""From what the target is in each category to its encoding, of all rows or outside a fold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.learn.target_groups import Cells
from streamlearn.prepare.target_encode import Encoding

__all__ = ["FoldEncoder"]

Floats = NDArray[np.float64]


class FoldEncoder:
    """Encodings of every column's categories.

    Parameters
    ----------
    estimator : TargetEncoder
        Fitted so far that its categories and classes are known.
    columns : sequence of Cells
        Of each column; a group is category x folds + fold, a label the number of a sorted class.
    target : Cells
        Of all rows, as of a column of one category.
    folds : int
    shift : float
        What the values of the target are measured from.

    Notes
    -----
    Outside a fold means merged from the other folds: nothing is subtracted.

    References
    ----------
    Micci-Barreca: A preprocessing scheme for high-cardinality categorical attributes in
    classification and prediction problems. SIGKDD Explorations 3, 1 (2001) 27-32.
    """

    def __init__(
        self, estimator: Any, columns: Sequence[Cells], target: Cells, folds: int, shift: float
    ) -> None:
        self._smooth = estimator.smooth
        self._sizes = [len(found) for found in estimator.categories_]
        is_multiclass = estimator.target_type_ == "multiclass"
        self._classes = len(estimator.classes_) if is_multiclass else 0
        self._columns = columns
        self._target = target
        self._folds = folds
        self._shift = shift

    def encoding(self, fold: int | None) -> Encoding:
        """Return what all rows teach, or those outside of a fold."""
        count, mean, m2 = self._spread(self._outside(self._target, fold), 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            variance = m2[0] / count[0]
            tables = []
            for cells, size in zip(self._columns, self._sizes, strict=True):
                found = self._spread(self._outside(cells, fold), size)
                encoded = self._smoothed(*found, mean[0], variance)
                tables.append(np.vstack([encoded, mean]) + self._shift)
        return Encoding(tables, int(count[0, 0]))

    def _outside(self, cells: Cells, fold: int | None) -> Cells:
        return cells if fold is None else cells.keep(cells.group % self._folds != fold)

    def _spread(self, cells: Cells, size: int) -> tuple[Floats, Floats, Floats]:
        """Return counts, means and squared deviations of each category and output."""
        group = cells.group // self._folds
        count: Floats = np.bincount(group, cells.count, minlength=size).astype(np.float64)[:, None]
        safe = np.maximum(count, 1.0)
        if self._classes:
            # A class is 1 in its rows, 0 in all others.
            hits = np.bincount(
                group * self._classes + cells.label, cells.count, minlength=size * self._classes
            ).reshape(size, self._classes)
            return count, hits / safe, hits * (count - hits) / safe
        merged = Cells(group, cells.label, cells.count, cells.mean, cells.m2).merged(spread=True)
        mean, m2 = np.zeros((size, 1)), np.zeros((size, 1))
        mean[merged.group, 0], m2[merged.group, 0] = merged.mean, merged.m2
        return count, mean, m2

    def _smoothed(
        self, count: Floats, mean: Floats, m2: Floats, target_mean: Floats, variance: Floats
    ) -> Floats:
        """Return means drawn towards the target's, as scikit-learn does it."""
        if isinstance(self._smooth, str):
            # Equations 5 and 6 of the paper.
            share = variance * count / (variance * count + m2 / count)
            found = share * mean + (1 - share) * target_mean
            return np.where(np.isnan(share), target_mean, found)
        total = count + self._smooth
        found = (count * mean + self._smooth * target_mean) / total
        return np.where(total == 0, target_mean, found)
