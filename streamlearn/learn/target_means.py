"""Fits target encoders: what the target is in each category, by folds."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.errors import DataError, UnsupportedEstimatorError
from streamlearn.learn.base import Growth, column_names
from streamlearn.learn.categories import arrow_columns, input_of, kept_columns
from streamlearn.learn.classes import ClassCodes
from streamlearn.learn.fold_encoder import FoldEncoder
from streamlearn.learn.replay import table_like
from streamlearn.learn.target_groups import Cells, TargetGroups
from streamlearn.prepare.encode import CategoryIndex
from streamlearn.prepare.folds import fold_of
from streamlearn.prepare.target_encode import TargetKernel

__all__ = ["TargetMeans"]

_FOLDS = 5
_MOST_CLASSES = 1_000
"""More are taken for numbers: an encoder of classes gives a column for each."""

Floats = NDArray[np.float64]


class TargetMeans:
    """Fits `sklearn.preprocessing.TargetEncoder`, and encodes the rows it learned from by folds.

    Parameters
    ----------
    estimator : TargetEncoder
        Its ``cv`` must be a number.

    Notes
    -----
    Folds are a hash of the row's number and ``random_state``, and so neither stratified nor of
    quite the same size: scikit-learn's permutation would take 8 bytes a row. The fitted
    encoder does not depend on them.

    References
    ----------
    Micci-Barreca: A preprocessing scheme for high-cardinality categorical attributes in
    classification and prediction problems. SIGKDD Explorations 3, 1 (2001) 27-32.
    """

    needs_target = True

    def __init__(self, estimator: Any) -> None:
        _check(estimator)
        self._estimator = estimator
        self._folds = _FOLDS if estimator.cv is None else int(estimator.cv)
        seed = getattr(estimator, "random_state", None)  # scikit-learn 1.11 takes them away
        self._seed = int(seed) if isinstance(seed, Integral) else 0
        self._codes = ClassCodes()
        self._is_number = estimator.target_type == "continuous"
        self._has_fraction = self._is_number
        self._shift: float | None = None
        self._dtype: np.dtype[Any] = np.dtype(np.float64)
        self._names: list[str] = []
        self._columns: list[TargetGroups] = []
        self._target = TargetGroups(self._folds)
        self._rows: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._imputer: Any = None
        self.kernel: TargetKernel | None = None
        """Encodes new rows and, given their numbers, those learned from; once finished."""

    def note_rows(self, rows: NDArray[np.int64]) -> None:
        """See `Numbered.note_rows`."""
        self._rows = rows

    def update(self, X: Block, y: Any, sample_weight: Any) -> None:
        """See `Accumulator.update`."""
        del sample_weight
        if y is None:
            raise ValueError(
                "TargetEncoder learns from the target; say which column it is: target="
            )
        columns = arrow_columns(X)
        if not self._columns:
            # The names first: growth is asked for from another thread.
            self._names = column_names(X)
            self._columns = [TargetGroups(self._folds) for _ in columns]
        if not len(y):
            return
        fold = fold_of(self._rows, self._folds, self._seed)
        label, values = self._read(np.asarray(y))
        for groups, column in zip(self._columns, columns, strict=True):
            groups.add(column, fold, label, values)
        self._target.add(pa.array(np.zeros(len(y), np.int8)), fold, label, values)

    def _read(self, y: NDArray[Any]) -> tuple[NDArray[np.int64] | None, Floats | None]:
        """Return the classes of a target, or its values; nothing is said before all is seen.

        Whole numbers in floats are classes to scikit-learn if all of them are whole: they are
        counted as such, and as numbers from the first fraction on.
        """
        if y.dtype.kind == "f":
            self._dtype = y.dtype
            if self._estimator.target_type == "auto" and (y != np.floor(y)).any():
                self._has_fraction = True
                self._count_as_numbers()
        if not self._is_number:
            label = self._codes.encode(y)
            if len(self._codes) <= _MOST_CLASSES:
                return label, None
            self._refuse_many(y.dtype.kind == "f")
            self._count_as_numbers()
        values = y.astype(np.float64)
        if not np.isfinite(values).all():
            raise ValueError("the target is no finite number; leave such rows out with where=")
        if self._shift is None:
            self._shift = float(values[0])
        return None, values - self._shift

    def _refuse_many(self, may_be_numbers: bool) -> None:
        if self._estimator.target_type == "auto" and may_be_numbers:
            return
        raise DataError(
            f"the target has more than {_MOST_CLASSES:,} distinct values, and TargetEncoder would "
            "give a column for each; if it is a number, say TargetEncoder(target_type='continuous')"
        )

    def _count_as_numbers(self) -> None:
        if self._is_number:
            return
        self._is_number = True
        values = self._codes.values()
        self._codes = ClassCodes()
        if len(values):
            numbers = values.astype(np.float64)
            self._shift = float(numbers[0])
            for groups in (*self._columns, self._target):
                groups.value(numbers - self._shift)

    def merge(self, other: TargetMeans) -> None:
        """See `Accumulator.merge`."""
        if not other._columns:
            return
        if other._dtype != np.float64:
            self._dtype = other._dtype
        if self._is_number != other._is_number:
            (other if self._is_number else self)._count_as_numbers()
        self._has_fraction = self._has_fraction or other._has_fraction
        shift = 0.0
        if self._is_number:
            if self._shift is None:
                self._shift = other._shift
            if other._shift is not None and self._shift is not None:
                shift = other._shift - self._shift
        else:
            label = self._codes.merge(other._codes)
            for groups in (*other._columns, other._target):
                groups.relabel(label)
        if not self._columns:
            self._names, self._columns = other._names, other._columns
            self._target = other._target
        else:
            for mine, theirs in zip(self._columns, other._columns, strict=True):
                mine.merge(theirs, shift)
            self._target.merge(other._target, shift)
        if not self._is_number and len(self._codes) > _MOST_CLASSES:
            self._refuse_many(self._codes.values().dtype.kind == "f")
            self._count_as_numbers()

    def fill(self, imputer: Any) -> None:
        """See `Fillable.fill`."""
        self._imputer = imputer

    def growth(self, *, exact: bool = False) -> list[Growth]:
        """See `Growing.growth`."""
        outputs = len(self._codes) if len(self._codes) > 2 else 1
        tables = 8 * outputs * (self._folds + 2)
        found, columns = [], self._columns
        for name, groups in zip(self._names if columns else [], columns, strict=True):
            if exact:
                groups.result()
            count = len(groups)
            finish, kept = groups.value_bytes
            found.append(
                Growth(
                    name,
                    count,
                    outputs,
                    groups.nbytes,
                    (finish + tables) * count,
                    (kept + tables) * count,
                )
            )
        return found

    def finish(self, estimator: Any, sample: Any) -> None:
        """See `Accumulator.finish`: the encoder fits a frame of the distinct values."""
        if self._is_number and not self._has_fraction:
            self._refuse_many(may_be_numbers=False)
        found = [groups.result() for groups in self._columns]
        values = [part for part, _ in found]
        before = sample if self._imputer is None else input_of(self._imputer, sample)
        target = np.full(1, 0.5, self._dtype) if self._is_number else self._codes.classes()
        rows = max(len(target), *(len(part) for part in values))
        longest = values[0].take(pa.array(np.arange(rows) % len(values[0])))
        frame = table_like(before, [longest, *values[1:]])
        if self._imputer is not None:
            frame = self._imputer.transform(frame)
            found = [found[index] for index in kept_columns(self._imputer, len(found))]
            values = [
                column.slice(0, len(part))
                for column, (part, _) in zip(arrow_columns(frame), found, strict=True)
            ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # few rows for as many classes
            estimator.fit(frame, target[np.arange(len(frame)) % len(target)])
        columns = [
            self._by_category(part, cells, categories)
            for part, (_, cells), categories in zip(
                values, found, estimator.categories_, strict=True
            )
        ]
        self._encode(estimator, columns)

    def _by_category(self, values: pa.Array, cells: Cells, categories: NDArray[Any]) -> Cells:
        place = CategoryIndex(categories).find(values).astype(np.int64)
        unknown = place < 0
        if unknown.any() and isinstance(self._estimator.categories, str):
            at = int(unknown.argmax())
            raise DataError(
                f"TargetEncoder cannot find {values[at].as_py()!r} ({values.type}) among its own "
                "categories; turn the column into text or numbers with derive="
            )
        # scikit-learn counts values that are not among given categories to the first one.
        place[unknown] = 0
        groups = place[:, None] * self._folds + np.arange(self._folds)
        return cells.regrouped(groups.ravel(), spread=self._is_number)

    def _encode(self, estimator: Any, columns: list[Cells]) -> None:
        """Set the encodings of all rows, and make the kernel that knows those of each fold."""
        _, target = self._target.result()
        shift = self._shift or 0.0
        if not self._is_number:
            rank = np.empty(len(self._codes), dtype=np.int64)
            rank[self._codes.order()] = np.arange(len(rank))
            shift = 0.0
            if estimator.target_type_ == "binary":
                # Numbered like the classes, 0 and 1, it is a number.
                columns = [cells.valued(rank.astype(np.float64)) for cells in columns]
                target = target.valued(rank.astype(np.float64))
            else:
                columns = [cells.relabelled(rank) for cells in columns]
                target = target.relabelled(rank)
        encoder = FoldEncoder(estimator, columns, target, self._folds, shift)
        whole = encoder.encoding(None)
        mean = whole.tables[0][-1]
        kind = np.asarray(estimator.target_mean_).dtype
        is_multiclass = estimator.target_type_ == "multiclass"
        estimator.target_mean_ = mean.copy() if is_multiclass else kind.type(mean[0])
        estimator.encodings_ = [
            np.ascontiguousarray(column) for table in whole.tables for column in table[:-1].T
        ]
        folds = [encoder.encoding(fold) for fold in range(self._folds)]
        self.kernel = TargetKernel(estimator, folds, self._seed)


def _check(encoder: Any) -> None:
    if encoder.cv is not None and not isinstance(encoder.cv, Integral):
        raise UnsupportedEstimatorError(
            f"TargetEncoder(cv={encoder.cv!r}) cannot be fitted from chunks: a splitter needs all "
            "rows at once; give the number of folds, cv=5"
        )
    if getattr(encoder, "shuffle", True) is False:
        raise UnsupportedEstimatorError(
            "TargetEncoder(shuffle=False) cannot be fitted from chunks: folds are by a hash of the "
            "row's number; leave shuffle out"
        )
    seed = getattr(encoder, "random_state", None)
    if seed is not None and not isinstance(seed, Integral | str):
        raise UnsupportedEstimatorError(
            f"TargetEncoder(random_state={seed!r}) cannot be fitted from chunks; give a whole number"
        )
