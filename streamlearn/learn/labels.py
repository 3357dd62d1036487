"""Fits label encoders: the distinct values of the target."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.errors import CellError, DataError
from streamlearn.learn.base import Growth
from streamlearn.learn.classes import target_column
from streamlearn.learn.counts import ValueCounts

__all__ = ["Labels"]


class Labels:
    """Fits `sklearn.preprocessing.LabelEncoder`, `LabelBinarizer` and `MultiLabelBinarizer`.

    They learn from the target; ``X`` and the sample are not looked at.

    Parameters
    ----------
    estimator : LabelEncoder, LabelBinarizer or MultiLabelBinarizer

    Examples
    --------
    >>> from sklearn.preprocessing import LabelEncoder
    >>> encoder = LabelEncoder()
    >>> labels = Labels(encoder)
    >>> labels.update(None, np.array(["b", "a"]), None)
    >>> labels.update(None, np.array(["c", "a"]), None)
    >>> labels.finish(encoder, None)
    >>> encoder.classes_
    array(['a', 'b', 'c'], dtype='<U1')
    """

    needs_target = True

    def __init__(self, estimator: Any) -> None:
        self._step = type(estimator).__name__
        self._is_sets = not hasattr(estimator, "neg_label") and hasattr(estimator, "classes")
        self._is_given = getattr(estimator, "classes", None) is not None
        self._needs_classes = hasattr(estimator, "neg_label")
        self._values = ValueCounts()
        self._dtype: np.dtype[Any] | None = None
        self._nan = False

    def update(self, X: Block, y: Any, sample_weight: Any) -> None:
        """See `Accumulator.update`."""
        del X, sample_weight
        if y is None:
            raise ValueError(f"{self._step} learns from the target; say which it is: target=")
        if self._is_given or not len(y):
            return
        found = self._sets(y) if self._is_sets else self._column(np.asarray(y))
        if len(found):
            self._values.add(found)

    def _column(self, y: NDArray[Any]) -> pa.Array:
        if y.ndim != 1:
            raise DataError(
                f"the target has shape {y.shape}, and {self._step} is fitted from chunks on one "
                "value a row; use MultiLabelBinarizer for lists of labels"
            )
        self._note(y.dtype)
        if y.dtype.kind == "f":
            self._nan = self._nan or bool(np.isnan(y).any())
            whole = y == np.floor(y)
            if self._needs_classes and not whole.all():
                at = int((~whole).argmax())
                raise CellError(at, "target", f"{y[at]} is no class; compute a class with derive=")
            return pa.array(y)  # a NaN is a label like any other
        return target_column(y)

    def _sets(self, y: Any) -> pa.Array:
        """Return all labels of all rows in one column."""
        rows = list(y)
        missing = [at for at, row in enumerate(rows) if row is None]
        if missing:
            raise CellError(
                missing[0], "target", "is missing; an empty list says that there are no labels"
            )
        if isinstance(rows[0], np.ndarray):
            labels: Any = np.concatenate(rows)
            # A label is what the cells hold: numpy's numbers, or Python's.
            self._note(labels.dtype if len(labels) or self._dtype is None else self._dtype)
        else:
            labels = [label for row in rows for label in row]
        try:
            column = pa.array(labels)
        except (pa.ArrowException, TypeError) as error:
            raise CellError(None, "target", f"labels of more than one type ({error})") from error
        if column.null_count:
            raise CellError(None, "target", "a label is missing (None); leave it out of its list")
        return column

    def _note(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype if self._dtype is None else np.result_type(self._dtype, dtype)

    def merge(self, other: Labels) -> None:
        """See `Accumulator.merge`."""
        self._values.merge(other._values)
        self._nan = self._nan or other._nan
        if other._dtype is not None:
            self._note(other._dtype)

    def growth(self, *, exact: bool = False) -> list[Growth]:
        """See `Growing.growth`."""
        if exact:
            self._values.result()
        count = len(self._values)
        finish, kept = (44, 48) if self._values.is_number else self._values.text_bytes
        outputs = 1 if self._step == "LabelEncoder" else count
        held = self._values.nbytes
        return [Growth("target", count, outputs, held, finish * count, kept * count)]

    def finish(self, estimator: Any, sample: Any) -> None:
        """See `Accumulator.finish`: it fits the distinct values, for it learns no more of them."""
        del sample
        values, _ = self._values.result()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as many classes as rows
            if not self._is_sets:
                found = values.to_numpy(zero_copy_only=False).astype(self._dtype)
                estimator.fit(np.append(found, np.nan) if self._nan else found)
            elif self._dtype is not None and self._dtype.kind != "O":
                estimator.fit([list(values.to_numpy(zero_copy_only=False).astype(self._dtype))])
            else:
                estimator.fit([values.to_pylist()])
