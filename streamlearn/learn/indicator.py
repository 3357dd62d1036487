"""Fits missing indicators: which columns have gaps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.errors import CellError
from streamlearn.learn.base import column_names
from streamlearn.learn.replay import matrix_of
from streamlearn.prepare.frame import to_frame

__all__ = ["MissingColumns"]


class MissingColumns:
    """Fits `sklearn.impute.MissingIndicator`.

    What is missing in a block is for the indicator itself to say, whatever marks it.

    Parameters
    ----------
    estimator : MissingIndicator
    """

    takes_sparse = True
    """A sparse block is learned by what it stores."""

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator
        self._has_gaps: NDArray[np.bool_] | None = None

    def update(self, X: Block, y: Any, sample_weight: Any) -> None:
        """See `Accumulator.update`."""
        del y, sample_weight
        columns = len(column_names(X))
        if self._has_gaps is None:
            self._has_gaps = np.zeros(columns, dtype=bool)
        if not X.num_rows if isinstance(X, pa.RecordBatch) else not X.shape[0]:
            return
        from sklearn.base import clone

        probe = clone(self._estimator).set_params(features="missing-only", sparse="auto")
        try:
            probe.fit(to_frame(X) if isinstance(X, pa.RecordBatch) else X)
        except ValueError:
            self._refuse(X)
            raise
        self._has_gaps[probe.features_] = True

    def _refuse(self, X: Block) -> None:
        """Say where the number is that the indicator does not take, if it is one."""
        if hasattr(X, "indptr"):
            bad = ~np.isfinite(X.data)
            if bad.any():
                at = int(bad.argmax())
                row = int(np.searchsorted(X.indptr, at, side="right")) - 1
                raise CellError(row, str(X.indices[at]), self._complaint(X.data[at])) from None
            return
        try:
            matrix = matrix_of(X)
        except (CellError, TypeError, ValueError):
            return
        bad = ~np.isfinite(matrix)
        if bad.any():
            row, column = (int(part) for part in np.argwhere(bad)[0])
            told = self._complaint(matrix[row, column])
            raise CellError(row, column_names(X)[column], told) from None

    def _complaint(self, value: Any) -> str:
        marker = self._estimator.missing_values
        if np.isnan(value):
            return (
                f"missing (NaN), and MissingIndicator(missing_values={marker!r}) looks only for "
                f"{marker!r}; leave missing_values= out, or filter such rows with where="
            )
        return f"{value}, and MissingIndicator takes no infinity; filter such rows with where="

    def merge(self, other: MissingColumns) -> None:
        """See `Accumulator.merge`."""
        if self._has_gaps is None:
            self._has_gaps = other._has_gaps
        elif other._has_gaps is not None:
            self._has_gaps |= other._has_gaps

    def finish(self, estimator: Any, sample: Any) -> None:
        """See `Accumulator.finish`."""
        assert self._has_gaps is not None
        estimator.fit(sample)
        if estimator.features == "missing-only":
            estimator.features_ = np.flatnonzero(self._has_gaps)
