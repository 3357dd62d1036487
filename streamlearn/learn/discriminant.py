"""Fits linear discriminant analysis: class means, and the scatter within the classes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.errors import CellError, DataError, UnsupportedEstimatorError
from streamlearn.learn.base import column_names
from streamlearn.learn.class_moments import ClassMoments
from streamlearn.learn.replay import frame_like, matrix_of

__all__ = ["ClassScatter"]

Floats = NDArray[np.float64]


class _ScatterMoments(ClassMoments):
    """Moments within classes, and the products of the columns' deviations."""

    def __init__(self, columns: int, *, by_class: bool) -> None:
        super().__init__(columns)
        self._by_class = by_class
        self.scatter = np.zeros((0 if by_class else 1, columns, columns))
        """Of each class in order of appearance, or of all of them together."""

    def _within(self, deviation: Floats, present: NDArray[Any], lengths: NDArray[Any]) -> None:
        if not self._by_class:
            self.scatter[0] += deviation.T @ deviation
            return
        for number, part in zip(present, np.split(deviation, np.cumsum(lengths[:-1])), strict=True):
            self.scatter[number] += part.T @ part

    def _between(self, where: Any, delta: Floats, weight: Floats) -> None:
        scaled = delta * np.sqrt(weight)
        if not self._by_class:
            self.scatter[0] += scaled.T @ scaled
        else:
            self.scatter[where] += scaled[:, :, None] * scaled[:, None, :]

    def _grow(self) -> None:
        super()._grow()
        new = len(self.codes) - len(self.scatter)
        if self._by_class and new:
            empty = np.zeros((new, self._columns, self._columns))
            self.scatter = np.concatenate([self.scatter, empty])

    def merge(self, other: ClassMoments) -> None:
        """Take in those of other rows."""
        assert isinstance(other, _ScatterMoments)
        super().merge(other)
        if self._by_class:
            self.scatter[self.codes.merge(other.codes)] += other.scatter
        else:
            self.scatter += other.scatter


class ClassScatter:
    """Fits `sklearn.discriminant_analysis.LinearDiscriminantAnalysis`.

    Parameters
    ----------
    estimator : LinearDiscriminantAnalysis

    Notes
    -----
    The solver "svd" decomposes the rows; here the same directions come from the correlations
    within the classes. Directions that it drops (``tol``) are dropped here.

    References
    ----------
    Chan, Golub, LeVeque: Algorithms for computing the sample variance. The American Statistician
    37 (1983) 242-247, for columns in pairs.
    """

    needs_target = True

    def __init__(self, estimator: Any) -> None:
        if isinstance(estimator.shrinkage, str):
            raise UnsupportedEstimatorError(
                f"LinearDiscriminantAnalysis(shrinkage={estimator.shrinkage!r}) cannot be fitted "
                "from chunks: Ledoit and Wolf's needs products of four; give a number, shrinkage=0.1"
            )
        if estimator.covariance_estimator is not None:
            raise UnsupportedEstimatorError(
                "LinearDiscriminantAnalysis(covariance_estimator=...) cannot be fitted from "
                "chunks: it needs all rows at once; use shrinkage= with a number"
            )
        priors = estimator.priors
        self._classes = 1 if priors is None else len(priors)
        self._has_priors = priors is not None
        self._moments: _ScatterMoments | None = None
        self._dtype: np.dtype[Any] = np.dtype(np.float64)

    def planned_bytes(self, columns: int, rows: int) -> int:
        """See `Sized.planned_bytes`: products of all pairs of columns, and one more for a block."""
        del rows
        return 8 * columns * columns * (self._classes + 1)

    def update(self, X: Block, y: Any, sample_weight: Any) -> None:
        """See `Accumulator.update`."""
        del sample_weight
        if y is None:
            raise ValueError(
                "LinearDiscriminantAnalysis learns from the target; say which column it is: target="
            )
        if hasattr(X, "indptr"):
            raise ValueError("LinearDiscriminantAnalysis takes no sparse matrix; use TruncatedSVD")
        matrix = matrix_of(X)
        if self._moments is None:
            self._moments = _ScatterMoments(matrix.shape[1], by_class=self._has_priors)
        self._dtype = matrix.dtype
        if not np.isfinite(matrix.sum(dtype=np.float64)):
            bad = ~np.isfinite(matrix)
            if bad.any():
                row, column = (int(part) for part in np.argwhere(bad)[0])
                raise CellError(
                    row,
                    column_names(X)[column],
                    f"{matrix[row, column]}, and LinearDiscriminantAnalysis takes finite numbers; "
                    "fill gaps with a SimpleImputer, filter such rows with where=",
                )
        self._moments.add(matrix, np.asarray(y))

    def merge(self, other: ClassScatter) -> None:
        """See `Accumulator.merge`."""
        if self._moments is None:
            self._moments, self._dtype = other._moments, other._dtype
        elif other._moments is not None:
            self._moments.merge(other._moments)

    def finish(self, estimator: Any, sample: Any) -> None:
        """See `Accumulator.finish`: a few rows settle names and types, then all is solved anew."""
        assert self._moments is not None
        classes = self._moments.codes.classes()
        rows = int(self._moments.rows.sum())
        if rows <= len(classes):
            raise DataError(
                f"LinearDiscriminantAnalysis needs more rows than classes: {rows} rows, "
                f"{len(classes)} classes"
            )
        columns = sample.shape[1]
        count = columns + 2 * len(classes) + 2
        made = np.random.default_rng(0).normal(size=(count, columns)).astype(self._dtype)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator.fit(frame_like(sample, made), classes[np.arange(count) % len(classes)])
        for name, value in _Solution(estimator, self._moments).attributes().items():
            setattr(estimator, name, value.astype(getattr(estimator, name).dtype))


class _Solution:
    """Discriminant functions from the moments of the classes."""

    def __init__(self, estimator: Any, moments: _ScatterMoments) -> None:
        self._estimator = estimator
        rows, mean, _ = moments.result()
        self._rows, self._total = rows, float(rows.sum())
        self._means = mean + moments.shift
        self._off = mean - rows @ mean / self._total
        order = moments.codes.order()
        self._within = moments.scatter[order] if estimator.priors is not None else moments.scatter
        priors = estimator.priors
        self._priors = rows / self._total if priors is None else np.asarray(priors, np.float64)
        if abs(self._priors.sum() - 1.0) > 1e-5:
            self._priors = self._priors / self._priors.sum()

    def attributes(self) -> dict[str, Any]:
        """Return what fitting learns, by name."""
        found = {"priors_": self._priors, "means_": self._means}
        solver = self._estimator.solver
        if solver == "svd":
            found |= self._by_svd()
        else:
            found["covariance_"] = self._shrunk(self._covariance())
            found |= self._by_least_squares() if solver == "lsqr" else self._by_eigenvalues()
        if len(self._rows) == 2:
            for name in ("coef_", "intercept_"):
                found[name] = found[name][1:] - found[name][:1]
        return found

    def _covariance(self) -> Floats:
        """Return the covariance within the classes, weighted by the priors."""
        if len(self._within) == 1 and self._estimator.priors is None:
            return np.asarray(self._within[0] / self._total)
        return np.asarray(np.einsum("c,cij->ij", self._priors / self._rows, self._within))

    def _shrunk(self, covariance: Floats) -> Floats:
        share = self._estimator.shrinkage
        if not share:
            return covariance
        size = len(covariance)
        mean = np.trace(covariance) / size
        return np.asarray((1.0 - share) * covariance + share * mean * np.eye(size))

    def _by_least_squares(self) -> dict[str, Any]:
        from scipy import linalg

        coef = linalg.lstsq(self._shrunk(self._covariance()), self._means.T)[0].T
        return {"coef_": coef, "intercept_": self._intercept(coef)}

    def _intercept(self, coef: Floats) -> Floats:
        return np.asarray(-0.5 * (self._means * coef).sum(axis=1) + np.log(self._priors))

    def _by_eigenvalues(self) -> dict[str, Any]:
        from scipy import linalg

        within = self._shrunk(self._covariance())
        between = (self._rows[:, None] * self._off).T @ self._off
        total = (self._within.sum(axis=0) + between) / self._total
        values, vectors = linalg.eigh(self._shrunk(total) - within, within)
        vectors = vectors[:, np.argsort(values)[::-1]]
        coef = self._means @ vectors @ vectors.T
        kept = self._estimator._max_components
        return {
            "explained_variance_ratio_": np.sort(values / values.sum())[::-1][:kept],
            "scalings_": vectors,
            "coef_": coef,
            "intercept_": self._intercept(coef),
        }

    def _by_svd(self) -> dict[str, Any]:
        from scipy import linalg

        estimator, means = self._estimator, self._means
        pooled = self._within.sum(axis=0) / self._total
        std = np.sqrt(np.diag(pooled))
        std[std == 0] = 1.0
        pooled *= self._total / _freedom(self._total, len(means))
        values, vectors = linalg.eigh(pooled / std / std[:, None])
        singular = np.sqrt(np.maximum(values[::-1], 0.0))
        kept = singular > estimator.tol
        scalings = vectors[:, ::-1][:, kept] / std[:, None] / singular[kept]
        # Centres are measured from the mean: an offset would take their digits.
        off = self._off - self._priors @ self._off / self._priors.sum()
        xbar = self._priors @ means
        factor = 1.0 / max(1, len(means) - 1)
        weighted = np.sqrt(self._total * self._priors * factor)[:, None] * off
        _, spread, directions = linalg.svd(weighted @ scalings, full_matrices=False)
        ratio = spread**2 / np.sum(spread**2)
        rank = int((spread > estimator.tol * spread[0]).sum())
        scalings = scalings @ directions.T[:, :rank]
        answer = off @ scalings
        coef = answer @ scalings.T
        intercept = -0.5 * (answer**2).sum(axis=1) + np.log(self._priors) - xbar @ coef.T
        found = {
            "xbar_": xbar,
            "explained_variance_ratio_": ratio[: estimator._max_components],
            "scalings_": scalings,
            "coef_": coef,
            "intercept_": intercept,
        }
        if estimator.store_covariance:
            found["covariance_"] = self._covariance()
        return found


def _freedom(rows: float, classes: int) -> float:
    """Return what scikit-learn's "svd" divides by: from 1.9 on rows, as the other solvers do."""
    import sklearn

    major, minor = (int(part) for part in sklearn.__version__.split(".")[:2])
    return rows if (major, minor) >= (1, 9) else rows - classes
