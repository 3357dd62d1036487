"""Which rows are held out: by a hash of the row number, so that reading does not matter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamlearn.mixing import mixed

__all__ = ["held_out"]


def held_out(rows: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """Return which rows are held out.

    Parameters
    ----------
    rows : array of int64
        Row numbers in the source, counted before any filter.
    share : float
        Share of rows to hold out, 0 to below 1.
    seed : int

    Returns
    -------
    array of bool, shape of ``rows``

    Notes
    -----
    SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA
    2014) of the row number and seed, compared with ``share`` of 2**64.

    Examples
    --------
    >>> rows = np.arange(100_000)
    >>> round(float(held_out(rows, 0.1, seed=0).mean()), 2)
    0.1
    >>> bool((held_out(rows, 0.1, 0)[500:600] == held_out(rows[500:600], 0.1, 0)).all())
    True
    """
    if share <= 0:
        return np.zeros(len(rows), dtype=bool)
    with np.errstate(over="ignore"):
        golden = np.uint64(0x9E3779B97F4A7C15)
        z = rows.astype(np.uint64) + np.uint64(seed % 2**64) * np.uint64(0xD1342543DE82EF95)
        z = mixed((z + np.uint64(1)) * golden)
    return np.asarray(z < np.uint64(min(share, 1 - 2**-53) * 2.0**64))
