"""A step in the middle of a pipeline that learns from batches in order, through ``partial_fit``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from streamlearn.chunk import Block, Chunk
from streamlearn.learn.base import column_names
from streamlearn.learn.sequential import SequentialLearner, own_batch_size
from streamlearn.learn.target import TargetProfile
from streamlearn.prepare.frame import numbers
from streamlearn.rebatch import Rebatcher

__all__ = ["BatchLearning"]

_BATCH_ROWS = 32_768


class BatchLearning:
    """Fits a transformer by one pass of ``partial_fit`` over batches of fixed size.

    It is the loop one would write by hand, over the rows as the steps before give them. The size
    of a batch is the estimator's own ``batch_size``, or 32,768 rows.

    Parameters
    ----------
    estimator : transformer with partial_fit
        Fitted in place.
    target : TargetProfile or None
        Classes, for one that holds a classifier.
    batch_rows : int, optional
        Asked for; by default the estimator's own ``batch_size``, or 32,768.
    """

    def __init__(
        self, estimator: Any, target: TargetProfile | None, batch_rows: int | None = None
    ) -> None:
        self._estimator = estimator
        self._batch_rows = batch_rows
        self._target = target
        self._learner: SequentialLearner | None = None
        self._batches: Rebatcher | None = None
        self._names: list[str] | None = None

    def update(self, X: Block, y: Any, sample_weight: Any) -> None:
        """See `Accumulator.update`."""
        if self._learner is None or self._batches is None:
            self._learner = SequentialLearner(self._estimator, self._target, 0)
            if isinstance(X, pa.RecordBatch) or hasattr(X, "iloc"):
                self._names = column_names(X) if isinstance(X, pa.RecordBatch) else list(X.columns)
            self._batches = Rebatcher(self._rows(len(column_names(X))))
        matrix = _matrix(X)
        chunk = Chunk(matrix, np.arange(matrix.shape[0]), y, sample_weight)
        for batch in self._batches.push(chunk):
            self._learner.learn(batch.X, batch.y, batch.weight)

    def _rows(self, columns: int) -> int:
        return self._batch_rows or own_batch_size(self._estimator, columns) or _BATCH_ROWS

    def planned_bytes(self, columns: int, rows: int) -> int:
        """See `Sized.planned_bytes`: the batch, what it is put together from, and one held back."""
        inner = getattr(self._estimator, "n_components", None) or columns
        batch = min(rows, self._rows(columns))
        # What the estimator is made of, a few times while it works, and its view of a batch.
        return 8 * (3 * batch * columns + 4 * inner * columns + 2 * batch * inner)

    def merge(self, other: BatchLearning) -> None:
        """Never: all rows reach one state, in order."""
        raise NotImplementedError

    def finish(self, estimator: Any, sample: Any) -> None:
        """See `Accumulator.finish`."""
        assert self._learner is not None
        assert self._batches is not None
        for batch in self._batches.rest():
            self._learner.learn(batch.X, batch.y, batch.weight)
        self._learner.finish(self._names)


def _matrix(X: Block) -> Any:
    if isinstance(X, pa.RecordBatch):
        return numbers(X, order="C")
    if hasattr(X, "iloc"):
        return X.to_numpy()
    return X.tocsr() if hasattr(X, "tocsr") else X
