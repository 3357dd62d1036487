"""Factor analysis from a covariance matrix: the loadings and noise that make it most likely.

References
----------
Barber: Bayesian Reasoning and Machine Learning (2012), algorithm 21.1. scikit-learn runs it on
the rows; all it takes from them are singular values and right singular vectors, which the
covariance matrix has as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.learn.gram import eigen

__all__ = ["Factors", "maximise"]

_SMALL = 1e-12
"""Least noise of a column, as in scikit-learn."""


@dataclass
class Factors:
    """What factor analysis finds."""

    noise: NDArray[np.float64]
    """Noise variance of each column."""
    loadings: NDArray[np.float64]
    """Shape (factors, columns)."""
    likelihoods: list[np.float64] = field(default_factory=list)
    """Log-likelihood of each iteration."""
    converged: bool = False

    @classmethod
    def start(cls, estimator: Any, columns: int) -> Factors:
        """Return where a FactorAnalysis starts from."""
        given = estimator.noise_variance_init
        noise = np.ones(columns) if given is None else np.array(given, dtype=np.float64)
        count = columns if estimator.n_components is None else estimator.n_components
        return cls(noise, np.zeros((count, columns)))


def maximise(
    covariance: NDArray[np.float64], rows: int, start: Factors, *, tol: float, most: int
) -> Factors:
    """Iterate until the log-likelihood grows by less than ``tol``.

    Parameters
    ----------
    covariance : array of shape (columns, columns)
        Lower triangle, divided by the number of rows.
    rows : int
    start : Factors
        Its noise is where to begin, and the shape of its loadings what to find.
    most : int
        Iterations.
    """
    variance = np.diag(covariance).copy()
    count, columns = start.loadings.shape
    constant = columns * np.log(2.0 * np.pi) + count
    found = Factors(start.noise, start.loadings)
    before = -np.inf
    for _ in range(most):
        scale = np.sqrt(found.noise) + _SMALL
        scaled = covariance / scale[:, None]
        scaled /= scale
        squares, vectors = eigen(scaled)
        # As many as the rows have; of the columns' own rounding nothing is a factor.
        squares, vectors = np.maximum(squares[:rows], np.finfo(np.float64).tiny), vectors[:rows]
        kept, rest = squares[:count], squares[count:].sum()
        found.loadings = np.sqrt(np.maximum(kept - 1.0, 0.0))[:, None] * vectors[:count] * scale
        likelihood = constant + np.log(kept).sum() + rest + np.log(found.noise).sum()
        likelihood *= -rows / 2.0
        found.likelihoods.append(likelihood)
        if likelihood - before < tol:
            found.converged = True
            break
        before = likelihood
        found.noise = np.maximum(variance - (found.loadings**2).sum(axis=0), _SMALL)
    return found
