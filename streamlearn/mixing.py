"""The last step of SplitMix64: what makes a hash of a row's number and a seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["mixed"]


def mixed(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread every bit of each number over all of its bits.

    Notes
    -----
    The finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
    generators, OOPSLA 2014). Products wrap around: call it where overflow is ignored.

    Examples
    --------
    >>> with np.errstate(over="ignore"):
    ...     mixed(np.array([0, 1], dtype=np.uint64)).tolist()
    [0, 6238072747940578789]
    """
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))
