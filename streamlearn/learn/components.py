"""Directions in which columns vary together: principal components, singular vectors, factors."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.learn.base import column_names
from streamlearn.learn.factors import Factors, maximise
from streamlearn.learn.finite import finite_matrix, refuse_unusable_stored
from streamlearn.learn.gram import Scatter, eigen
from streamlearn.learn.replay import frame_like
from streamlearn.prepare.frame import matrix_dtype

__all__ = ["FactorScatter", "PrincipalScatter", "RawScatter"]


class _ScatterFitter:
    """Takes rows into a scatter matrix; what is made of it is for the subclass."""

    takes_sparse = True
    """A sparse block is learned by what it stores."""

    def __init__(self, estimator: Any) -> None:
        self._step = type(estimator).__name__
        self._scatter: Scatter | None = None
        self._dtype: np.dtype[Any] = np.dtype(np.float64)
        self._is_sparse = False

    def update(self, X: Block, y: Any, sample_weight: Any) -> None:
        """See `Accumulator.update`."""
        del y, sample_weight
        if self._scatter is None:
            self._scatter = Scatter(len(column_names(X)))
            self._dtype = matrix_dtype(X) if not hasattr(X, "iloc") else self._dtype
        if hasattr(X, "indptr"):
            self._is_sparse = True
            self._refuse_sparse()
            refuse_unusable_stored(X, self._step)
            self._scatter.add_sparse(X)
            return
        matrix = finite_matrix(X, self._step)
        self._dtype = matrix.dtype
        self._scatter.add(matrix)

    def merge(self, other: _ScatterFitter) -> None:
        """See `Accumulator.merge`."""
        if self._scatter is None:
            self.__dict__.update(other.__dict__)
        elif other._scatter is not None:
            self._scatter.merge(other._scatter)

    def planned_bytes(self, columns: int, rows: int) -> int:
        """See `Sized`: the matrix, and as much again for its decomposition at the end."""
        del rows
        return 2 * 8 * columns * columns

    def _refuse_sparse(self) -> None:
        """Raise where the estimator takes no sparse matrix."""

    def _learned(self) -> Scatter:
        assert self._scatter is not None
        return self._scatter

    def _replay(self, estimator: Any, sample: Any, **stand_in: Any) -> None:
        """Let scikit-learn fit two rows with options that any two rows allow."""
        blank = np.zeros((2, sample.shape[1]), dtype=self._dtype)
        with _options(estimator, stand_in), np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator.fit(frame_like(sample, blank))

    def _set(self, estimator: Any, **learned: Any) -> None:
        for name, value in learned.items():
            setattr(estimator, name, np.asarray(value).astype(self._dtype))


@contextmanager
def _options(estimator: Any, stand_in: dict[str, Any]) -> Iterator[None]:
    """Give an estimator other options for a moment."""
    given = {name: getattr(estimator, name) for name in stand_in}
    vars(estimator).update(stand_in)
    try:
        yield
    finally:
        vars(estimator).update(given)


class PrincipalScatter(_ScatterFitter):
    """Fits `sklearn.decomposition.PCA`; every solver gives the exact components.

    Parameters
    ----------
    estimator : PCA
    """

    def __init__(self, estimator: Any) -> None:
        super().__init__(estimator)
        self._solver = estimator.svd_solver

    def _refuse_sparse(self) -> None:
        if self._solver not in ("auto", "arpack", "covariance_eigh"):
            raise TypeError(
                f"PCA(svd_solver={self._solver!r}) takes no sparse matrix; leave svd_solver= out, "
                "or use TruncatedSVD()"
            )

    def finish(self, estimator: Any, sample: Any) -> None:
        """See `Accumulator.finish`."""
        scatter = self._learned()
        rows, columns = scatter.rows, len(scatter.mean)
        least = min(rows, columns)
        solver, count = _solver(estimator, rows, columns, is_sparse=self._is_sparse)
        self._replay(estimator, sample, n_components=1, svd_solver="full")
        estimator._fit_svd_solver = solver
        squares, vectors = eigen(scatter.centred())
        # Deviations from a mean span one dimension less than there are rows.
        squares[max(0, rows - 1) :] = 0.0
        squares, vectors = squares[:least], vectors[:least]
        with np.errstate(all="ignore"):
            variance = squares / (rows - 1)
            ratio = variance / variance.sum()
        if count == "mle":
            count = _minka(variance, rows)
        elif 0 < count < 1:
            count = int(np.searchsorted(np.cumsum(ratio), count, side="right")) + 1
        self._set(
            estimator,
            mean_=scatter.mean,
            components_=vectors[:count],
            explained_variance_=variance[:count],
            explained_variance_ratio_=ratio[:count],
            singular_values_=np.sqrt(squares[:count]),
        )
        estimator.n_components_ = count
        estimator.n_samples_ = rows
        rest = variance[count:]
        estimator.noise_variance_ = self._dtype.type(rest.mean()) if count < least else 0.0


def _solver(estimator: Any, rows: int, columns: int, *, is_sparse: bool) -> tuple[str, Any]:
    """Return the solver scikit-learn would take, and how many components it is asked for.

    All solvers have one answer here; but they differ in what they refuse.
    """
    solver, count, least = estimator.svd_solver, estimator.n_components, min(rows, columns)
    if solver == "auto" and is_sparse:
        solver = "arpack"
    if count is None:
        count = least - 1 if solver == "arpack" else least
    if solver == "auto":
        if columns <= 1000 and rows >= 10 * columns:
            solver = "covariance_eigh"
        elif max(rows, columns) <= 500 or count == "mle" or not 1 <= count < 0.8 * least:
            solver = "full"
        else:
            solver = "randomized"
    lowest, highest = (0, least) if solver in ("full", "covariance_eigh") else (1, least)
    if solver == "arpack":
        highest = least - 1
    shape = f"{rows:,} rows and {columns:,} columns with svd_solver={solver!r}"
    if count == "mle":
        if lowest:
            raise ValueError(f"n_components='mle' needs svd_solver='full', not {solver!r}")
        if rows < columns:
            raise ValueError(f"n_components='mle' needs as many rows as columns, not {shape}")
    elif not lowest <= count <= highest:
        raise ValueError(f"n_components={count} must be between {lowest} and {highest} for {shape}")
    return solver, count


def _minka(variance: NDArray[np.float64], rows: int) -> int:
    """Return the most likely number of components (Minka, NIPS 2000), as scikit-learn finds it."""
    from sklearn.decomposition._pca import _infer_dimension

    return int(_infer_dimension(variance, rows))


class RawScatter(_ScatterFitter):
    """Fits `sklearn.decomposition.TruncatedSVD`; both algorithms give the exact components.

    Parameters
    ----------
    estimator : TruncatedSVD
    """

    def finish(self, estimator: Any, sample: Any) -> None:
        """See `Accumulator.finish`."""
        from scipy.linalg import blas

        scatter = self._learned()
        rows, columns = scatter.rows, len(scatter.mean)
        if columns < 2:
            raise ValueError("TruncatedSVD needs 2 columns or more, not 1")
        count = estimator.n_components
        most = columns if estimator.algorithm == "randomized" else min(rows, columns) - 1
        if count > most:
            raise ValueError(
                f"n_components={count} must be at most {most} for {rows:,} rows and {columns:,} "
                f"columns with algorithm={estimator.algorithm!r}"
            )
        self._replay(estimator, sample, n_components=1, algorithm="randomized")
        squares, vectors = eigen(scatter.raw())
        count = min(count, rows)
        squares, vectors = squares[:count], vectors[:count]
        centred = scatter.centred()
        spread = np.einsum("ij,ji->i", vectors, blas.dsymm(1.0, centred, vectors.T, lower=1))
        variance = np.maximum(spread, 0.0) / rows
        with np.errstate(all="ignore"):
            ratio = variance / (np.trace(centred) / rows)
        self._set(
            estimator,
            components_=vectors,
            explained_variance_=variance,
            explained_variance_ratio_=ratio,
            singular_values_=np.sqrt(squares),
        )


class FactorScatter(_ScatterFitter):
    """Fits `sklearn.decomposition.FactorAnalysis`, as ``svd_method="lapack"`` does.

    Factors have no sign of their own: here the largest loading of each is positive.

    Parameters
    ----------
    estimator : FactorAnalysis
    """

    def _refuse_sparse(self) -> None:
        raise TypeError("FactorAnalysis takes no sparse matrix; use TruncatedSVD()")

    def finish(self, estimator: Any, sample: Any) -> None:
        """See `Accumulator.finish`."""
        scatter = self._learned()
        self._dtype = np.dtype(np.float64)
        self._replay(
            estimator, sample, n_components=1, svd_method="lapack", rotation=None, max_iter=1
        )
        covariance = scatter.centred()
        covariance /= scatter.rows
        found = maximise(
            covariance,
            scatter.rows,
            Factors.start(estimator, len(scatter.mean)),
            tol=estimator.tol,
            most=estimator.max_iter,
        )
        if not found.converged:
            from sklearn.exceptions import ConvergenceWarning

            warnings.warn(
                f"FactorAnalysis has not converged in {estimator.max_iter} iterations; raise "
                "max_iter, or tol",
                ConvergenceWarning,
                stacklevel=2,
            )
        estimator.mean_ = scatter.mean
        estimator.components_ = found.loadings
        if estimator.rotation is not None:
            estimator.components_ = estimator._rotate(found.loadings)
        estimator.noise_variance_ = found.noise
        estimator.loglike_ = found.likelihoods
        estimator.n_iter_ = len(found.likelihoods)
