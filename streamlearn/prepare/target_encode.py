"""Categories to what the target is in them; rows learned from by what the other folds say.

scikit-learn's ``fit_transform`` splits the training rows into folds and encodes each by the
others, so that no row is encoded by its own target. A kernel that knows the encodings of each
fold does that where it is told which rows these are, and is ``transform`` where it is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.errors import DataError, UsageError
from streamlearn.prepare.base import Rows
from streamlearn.prepare.encode import CategoryIndex, columns_of
from streamlearn.prepare.folds import fold_of

__all__ = ["Encoding", "TargetKernel"]

Table = NDArray[np.float64]


@dataclass(frozen=True)
class Encoding:
    """What some rows teach of every column's categories."""

    tables: Sequence[Table]
    """Of each column, shape (categories + 1, outputs); the last row is for unknown values."""
    rows: int
    """Rows learned from."""


class TargetKernel:
    """A fitted TargetEncoder: for each column, the encoding of each category.

    Parameters
    ----------
    estimator : fitted sklearn.preprocessing.TargetEncoder
    folds : sequence of Encoding, optional
        What the rows outside of each fold teach.
    seed : int
        Of the folds.
    """

    cross_fits = True
    """Rows that were learned from are encoded otherwise than by ``transform``."""

    def __init__(self, estimator: Any, folds: Sequence[Encoding] = (), seed: int = 0) -> None:
        self._indexes = [CategoryIndex(found) for found in estimator.categories_]
        self._outputs = len(estimator.classes_) if estimator.target_type_ == "multiclass" else 1
        self.width: int | None = len(self._indexes) * self._outputs
        mean = np.atleast_1d(estimator.target_mean_)
        self._tables = [
            np.vstack([np.column_stack(estimator.encodings_[start : start + self._outputs]), mean])
            for start in range(0, self.width, self._outputs)
        ]
        # One table for all folds, fold by fold, is looked up in one go.
        self._fold_tables = [
            np.concatenate([fold.tables[index] for fold in folds])
            for index in range(len(self._indexes) if folds else 0)
        ]
        self._empty = [fold.rows == 0 for fold in folds]
        self._folds = len(folds)
        self._seed = seed

    def apply(self, X: Block, rows: Rows = None) -> Block:
        """See `streamlearn.prepare.base.Kernel.apply`."""
        columns = columns_of(X)
        fold = None if rows is None else self._fold_of(rows)
        out = np.empty((len(columns[0]), self.width or 0))
        for index, column in enumerate(columns):
            table = self._tables[index]
            # Unknown is -1, and so the last row of the table.
            code = self._indexes[index].find(column).astype(np.int64)
            if fold is not None:
                code = fold * len(table) + np.where(code < 0, len(table) - 1, code)
                table = self._fold_tables[index]
            out[:, index * self._outputs : (index + 1) * self._outputs] = table[code]
        return out

    def _fold_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        if not self._folds:
            raise UsageError(
                "this TargetEncoder was fitted elsewhere, and its folds are not known; the rows "
                "that it was fitted on can only be encoded in the call of fit that fits it"
            )
        fold = fold_of(rows, self._folds, self._seed)
        if any(self._empty) and any(self._empty[found] for found in np.unique(fold)):
            raise DataError(
                f"all rows are in one of the {self._folds} folds of TargetEncoder, and no other "
                "rows are left to encode them by; it takes more rows"
            )
        return fold
