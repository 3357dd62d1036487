"""Random projections: drawn from a seed, for as many columns, and sometimes rows, as there are."""

from __future__ import annotations

from typing import Any

import numpy as np

from streamlearn.chunk import Block
from streamlearn.learn.base import column_names
from streamlearn.learn.finite import finite_matrix, refuse_unusable_stored
from streamlearn.learn.moments import Moments
from streamlearn.learn.replay import frame_like
from streamlearn.prepare.frame import matrix_dtype

__all__ = ["Shape"]


class Shape:
    """Fits `GaussianRandomProjection`, `SparseRandomProjection` and `RBFSampler`.

    The shape of the data and the seed are all they learn, but for ``RBFSampler(gamma="scale")``,
    which learns the variance of all cells together.

    Parameters
    ----------
    estimator : GaussianRandomProjection, SparseRandomProjection or RBFSampler
    """

    takes_sparse = True
    """A sparse block is learned by what it stores."""

    def __init__(self, estimator: Any) -> None:
        self._step = type(estimator).__name__
        self._scales = getattr(estimator, "gamma", None) == "scale"
        self._rows = 0
        self._columns = 0
        self._dtype: np.dtype[Any] = np.dtype(np.float64)
        self._moments: Moments | None = None

    def update(self, X: Block, y: Any, sample_weight: Any) -> None:
        """See `Accumulator.update`."""
        del y, sample_weight
        self._columns = len(column_names(X))
        self._rows += int(X.num_rows if hasattr(X, "num_rows") else X.shape[0])
        if self._scales and self._moments is None:
            self._moments = Moments(self._columns)
        if hasattr(X, "indptr"):
            refuse_unusable_stored(X, self._step)
            self._dtype = matrix_dtype(X)
            if self._moments is not None:
                self._moments.add_sparse(X)
            return
        matrix = finite_matrix(X, self._step)
        self._dtype = matrix.dtype
        if self._moments is not None:
            self._moments.add(matrix)

    def merge(self, other: Shape) -> None:
        """See `Accumulator.merge`."""
        if not self._rows:
            self.__dict__.update(other.__dict__)
            return
        self._rows += other._rows
        if self._moments is not None and other._moments is not None:
            self._moments.merge(other._moments)

    def finish(self, estimator: Any, sample: Any) -> None:
        """See `Accumulator.finish`: what depends on the rows is given as a number for once."""
        known: dict[str, Any] = {}
        if self._scales:
            known["gamma"] = self._gamma()
        elif getattr(estimator, "n_components", None) == "auto":
            known["n_components"] = self._least_components(estimator)
        given = {name: getattr(estimator, name) for name in known}
        vars(estimator).update(known)
        try:
            estimator.fit(frame_like(sample, np.zeros((2, self._columns), dtype=self._dtype)))
        finally:
            vars(estimator).update(given)

    def _least_components(self, estimator: Any) -> Any:
        from sklearn.random_projection import johnson_lindenstrauss_min_dim

        found = johnson_lindenstrauss_min_dim(n_samples=self._rows, eps=estimator.eps)
        if not 0 < found <= self._columns:
            raise ValueError(
                f"eps={estimator.eps} and {self._rows:,} rows need {found:,} components, and there "
                f"are {self._columns:,} columns; raise eps, or give n_components as a number"
            )
        return found

    def _gamma(self) -> float:
        """Return one over the variance of all cells times the number of columns."""
        assert self._moments is not None
        mean = self._moments.mean
        about = mean - mean[0]
        spread = float(np.mean(self._moments.variance) + np.var(about))
        return 1.0 / (self._columns * spread) if spread else 1.0
