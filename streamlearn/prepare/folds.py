"""Which fold a row is in: by a hash of its number, so that reading does not matter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamlearn.mixing import mixed

__all__ = ["fold_of"]

_SALT = np.uint64(0x5AFE0F01D5A17ED5)
"""Sets the folds apart from the rows that are held out, whatever the seeds."""


def fold_of(rows: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each row, 0 to ``folds - 1``.

    Parameters
    ----------
    rows : array of int64
        Row numbers in the source, counted before any filter.
    folds : int
    seed : int

    Returns
    -------
    array of int64, shape of ``rows``

    Notes
    -----
    SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA
    2014) of the salted row number, and once more of that with the seed.

    Examples
    --------
    >>> rows = np.arange(100_000)
    >>> np.bincount(fold_of(rows, 5, seed=0)) // 1000
    array([19, 19, 20, 20, 20])
    >>> bool((fold_of(rows, 5, 0)[500:600] == fold_of(rows[500:600], 5, 0)).all())
    True
    """
    with np.errstate(over="ignore"):
        found = _mix(rows.astype(np.uint64) ^ _SALT)
        found = _mix(found + np.uint64(seed % 2**64) * np.uint64(0xD1342543DE82EF95))
    return (found % np.uint64(folds)).astype(np.int64)


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return mixed((z + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15))
