"""Fits univariate feature selection: a score of each column against the target."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.errors import CellError, UnsupportedEstimatorError
from streamlearn.learn.base import Growth, column_names
from streamlearn.learn.class_moments import ClassMoments, by_class
from streamlearn.learn.classes import ClassCodes
from streamlearn.learn.cross_moments import CrossMoments
from streamlearn.learn.replay import matrix_of

__all__ = ["SelectionScores", "stand_in"]

Floats = NDArray[np.float64]
_INSTEAD = {
    "mutual_info_classif": "f_classif or chi2",
    "mutual_info_regression": "f_regression or r_regression",
}


class _Score(Protocol):
    """What one score function needs of the rows."""

    def add(self, X: Any, y: NDArray[Any]) -> None: ...

    def merge(self, other: Any) -> None: ...

    def result(self) -> tuple[Floats, Floats | None]: ...


class SelectionScores:
    """Fits `sklearn.feature_selection.SelectKBest` and its relatives.

    Parameters
    ----------
    estimator : SelectKBest, SelectPercentile, SelectFpr, SelectFdr, SelectFwe or GenericUnivariateSelect
        Its ``score_func`` is f_classif, f_regression, r_regression or chi2, or a
        `functools.partial` of one with keywords.
    """

    needs_target = True
    takes_sparse = True
    """A sparse block is learned by what it stores."""
    classes = 2
    """Of the target; set after making, where they are known."""

    def __init__(self, estimator: Any) -> None:
        self._step = type(estimator).__name__
        self._function, self._options = _recognise(estimator)
        self._score: _Score | None = None
        self._columns = 0

    def update(self, X: Block, y: Any, sample_weight: Any) -> None:
        """See `Accumulator.update`."""
        del sample_weight
        if y is None:
            raise ValueError(
                f"{self._step} learns from the target; say which column it is: target="
            )
        if not hasattr(X, "indptr"):
            names, X = column_names(X), matrix_of(X)
            self._refuse(np.isfinite(X.sum(dtype=np.float64)), X, names)
        else:
            self._refuse_stored(X)
        if self._score is None:
            self._columns = X.shape[1]
            self._score = self._start()
        self._score.add(X, np.asarray(y))

    def _start(self) -> _Score:
        if self._function == "f_classif":
            return _Anova(self._columns)
        if self._function == "chi2":
            return _ClassSums(self._columns)
        return _Correlation(self._columns, self._function, self._options)

    def _refuse(self, good: Any, X: NDArray[Any], names: list[str]) -> None:
        if good and not (self._function == "chi2" and X.size and X.min() < 0):
            return
        bad = ~np.isfinite(X) | ((X < 0) & (self._function == "chi2"))
        if bad.any():
            row, column = (int(part) for part in np.argwhere(bad)[0])
            raise CellError(row, names[column], self._complaint(X[row, column]))

    def _refuse_stored(self, X: Any) -> None:
        bad = ~np.isfinite(X.data)
        if self._function == "chi2":
            bad |= X.data < 0
        if bad.any():
            at = int(bad.argmax())
            row = int(np.searchsorted(X.indptr, at, side="right")) - 1
            raise CellError(row, str(X.indices[at]), self._complaint(X.data[at]))

    def _complaint(self, value: Any) -> str:
        if np.isfinite(value):
            return f"{value}, and chi2 takes counts, zero or more; score by f_classif"
        if np.isnan(value):
            return f"missing (NaN), and {self._function} takes no gaps; put a SimpleImputer before"
        return f"{value}, and {self._function} takes no infinity; filter such rows with where="

    def merge(self, other: SelectionScores) -> None:
        """See `Accumulator.merge`."""
        if self._score is None:
            self._score, self._columns = other._score, other._columns
        elif other._score is not None:
            self._score.merge(other._score)

    def planned_bytes(self, columns: int, rows: int) -> int:
        """See `Sized.planned_bytes`: three sums for each class and column, and the block's."""
        per_class = {"f_classif": 48, "chi2": 16}.get(self._function)
        return 100 * columns if per_class is None else per_class * columns * max(2, self.classes)

    def growth(self, *, exact: bool = False) -> list[Growth]:
        """See `Growing.growth`: as many moments as the target has classes."""
        del exact
        score = self._score
        if not isinstance(score, _Anova | _ClassSums):
            return []
        classes, held = len(score.codes), score.nbytes
        return [Growth("target", classes, 0, 2 * held, 2 * held, 24 * self._columns)]

    def finish(self, estimator: Any, sample: Any) -> None:
        """See `Accumulator.finish`: scikit-learn scores a few zeros, and the scores are set."""
        assert self._score is not None
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator.fit(stand_in(sample), np.array([0, 1]))
            scores, pvalues = self._score.result()
        estimator.scores_ = scores.astype(estimator.scores_.dtype)
        if pvalues is not None:
            estimator.pvalues_ = pvalues.astype(estimator.pvalues_.dtype)


class _Anova:
    """f_classif: what lies between the classes' means against what lies within."""

    def __init__(self, columns: int) -> None:
        self._moments = ClassMoments(columns)

    @property
    def codes(self) -> ClassCodes:
        return self._moments.codes

    @property
    def nbytes(self) -> int:
        return self._moments.nbytes

    def add(self, X: Any, y: NDArray[Any]) -> None:
        if hasattr(X, "indptr"):
            self._moments.add_sparse(X, y)
        else:
            self._moments.add(X, y)

    def merge(self, other: _Anova) -> None:
        self._moments.merge(other._moments)

    def result(self) -> tuple[Floats, Floats]:
        from scipy import special

        rows, mean, m2 = self._moments.result()
        count = rows[:, None]
        # Measured from the first class, what is the same in all of them is so to the bit.
        mean = mean - mean[0]
        off = mean - (count * mean).sum(axis=0) / rows.sum()
        between, within = (count * off * off).sum(axis=0), m2.sum(axis=0)
        classes, total = len(rows), int(rows.sum())
        f = (between / np.float64(classes - 1)) / (within / np.float64(total - classes))
        return f, special.fdtrc(classes - 1, total - classes, f)


class _ClassSums:
    """chi2: the sum of each column in each class against what independence would give."""

    def __init__(self, columns: int) -> None:
        self.codes = ClassCodes()
        self._columns = columns
        self._rows = np.zeros(0)
        self._sums = np.zeros((0, columns))

    @property
    def nbytes(self) -> int:
        return int(self._sums.nbytes)

    def add(self, X: Any, y: NDArray[Any]) -> None:
        label = self.codes.encode(y)
        self._grow()
        self._rows += np.bincount(label, minlength=len(self._rows))
        if hasattr(X, "indptr"):
            row = np.repeat(label, np.diff(X.indptr))
            key = row * self._columns + X.indices.astype(np.int64)
            np.add.at(self._sums.reshape(-1), key, X.data.astype(np.float64))
        elif len(label):
            order, starts, present = by_class(label)
            self._sums[present] += np.add.reduceat(X[order], starts, axis=0, dtype=np.float64)

    def _grow(self) -> None:
        new = len(self.codes) - len(self._rows)
        if new:
            self._rows = np.append(self._rows, np.zeros(new))
            self._sums = np.vstack([self._sums, np.zeros((new, self._columns))])

    def merge(self, other: _ClassSums) -> None:
        place = self.codes.merge(other.codes)
        self._grow()
        self._rows[place] += other._rows
        self._sums[place] += other._sums

    def result(self) -> tuple[Floats, Floats]:
        from scipy import special

        order = self.codes.order()
        rows, observed = self._rows[order], self._sums[order]
        if len(rows) == 1:  # scikit-learn counts the class that is not there
            rows, observed = np.append(rows, 0.0), np.vstack([observed, 0.0 * observed])
        expected = np.outer(rows / rows.sum(), observed.sum(axis=0))
        found = ((observed - expected) ** 2 / expected).sum(axis=0)
        return found, special.chdtrc(len(rows) - 1, found)


class _Correlation:
    """f_regression and r_regression: how each column goes with a numeric target."""

    def __init__(self, columns: int, function: str, options: dict[str, Any]) -> None:
        self._moments = CrossMoments(columns)
        self._function = function
        self._centred = options.get("center", True)
        self._is_finite = options.get("force_finite", True)

    def add(self, X: Any, y: NDArray[Any]) -> None:
        try:
            numbers = y.astype(np.float64)
        except (ValueError, TypeError) as error:
            raise CellError(
                0,
                "target",
                f"{y[:1].tolist()[0]!r} is no number, and {self._function} needs one; use f_classif",
            ) from error
        if hasattr(X, "indptr"):
            self._moments.add_sparse(X, numbers)
        else:
            self._moments.add(X, numbers)

    def merge(self, other: _Correlation) -> None:
        self._moments.merge(other._moments)

    def result(self) -> tuple[Floats, Floats | None]:
        from scipy import stats

        moments = self._moments
        cross, squares, target = moments.centred() if self._centred else moments.raw()
        r = cross / np.sqrt(squares) / np.sqrt(target)
        if self._is_finite:
            r = np.where(np.isnan(r), 0.0, r)
        if self._function == "r_regression":
            return r, None
        freedom = moments.rows - (2 if self._centred else 1)
        f = r**2 / (1 - r**2) * freedom
        p = stats.f.sf(f, 1, freedom)
        if self._is_finite:
            undefined = np.isnan(f)
            f = np.where(np.isinf(f), np.finfo(np.float64).max, np.where(undefined, 0.0, f))
            p = np.where(undefined, 1.0, p)
        return f, p


def _recognise(estimator: Any) -> tuple[str, dict[str, Any]]:
    """Return the name of a selector's score function, and its keywords."""
    from sklearn import feature_selection

    function, options = estimator.score_func, dict[str, Any]()
    if isinstance(function, partial):
        options = function.keywords if not function.args else {"": function.args}
        function = function.func
    allowed: dict[str, set[str]] = {
        "f_classif": set(),
        "chi2": set(),
        "f_regression": {"center", "force_finite"},
        "r_regression": {"center", "force_finite"},
    }
    for name, keywords in allowed.items():
        if function is getattr(feature_selection, name) and set(options) <= keywords:
            return name, dict(options)
    shown = getattr(function, "__name__", repr(function))
    instead = _INSTEAD.get(shown, "f_classif, chi2, f_regression or r_regression")
    raise UnsupportedEstimatorError(
        f"{type(estimator).__name__}(score_func={shown}) cannot be fitted from chunks: it needs "
        f"all rows at once; use {instead}"
    )


def stand_in(sample: Any) -> Any:
    """Return two rows of zeros of the sample's kind, names and types."""
    shape = (2, sample.shape[1])
    if hasattr(sample, "indptr"):
        from scipy import sparse

        return sparse.csr_matrix(shape, dtype=sample.dtype)
    if hasattr(sample, "iloc"):
        import pandas as pd

        return pd.DataFrame(np.zeros(shape), columns=sample.columns).astype(sample.dtypes)
    return np.zeros(shape, dtype=sample.dtype)
