"""Many bins over all floats, in order, narrow where scores are likely to be.

A float's exponent says in which octave it lies and the first bits of its mantissa where in the
octave, so a bin is found without a search and without knowing the data beforehand. Zero and
infinity have bins of their own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ladder", "magnitudes", "probabilities", "values"]

Floats = NDArray[np.float64]
_BIAS = 1023
_MANTISSA = 52


class Ladder:
    """Bins of numbers from 0 on.

    Parameters
    ----------
    bits : dict of (int, int) to int
        Octaves from 2**first up to 2**last, and of how many bits of the mantissa their bins are
        made: 2**bits bins an octave. Other octaves are one bin each.
    coarser : int
        Bits fewer everywhere, for states that there are many of; below none, as many octaves are
        one bin.

    Examples
    --------
    >>> ladder = Ladder({(-1, 0): 2})
    >>> first = ladder.places(np.array([0.5, 0.6, 0.7, 1.0, 1.9]))
    >>> (first - first[0]).tolist()
    [0, 0, 1, 4, 4]
    """

    def __init__(self, bits: dict[tuple[int, int], int], coarser: int = 0) -> None:
        kept = np.full(2048, -coarser)
        for (first, last), found in bits.items():
            kept[_BIAS + first : _BIAS + last] = found - coarser
        kept[-1] = 0
        self._shift = _MANTISSA - np.maximum(kept, 0)
        # Less than a bit: several octaves are one bin.
        ends = np.cumsum(2.0**kept)
        # The first bin is that of 0, which no other number shares; the last that of infinity.
        self._start = 1 + np.ceil(np.r_[0.0, ends[:-1]]).astype(np.int64)
        self._start[-1] += 1
        self.size = int(self._start[-1]) + 1
        """How many bins there are."""

    def places(self, values: Floats) -> NDArray[np.intp]:
        """Return the bin of each number from 0 on; larger numbers are never in lower bins."""
        bits = np.ascontiguousarray(values).view(np.int64)
        octave = bits >> _MANTISSA
        inside = (bits & ((1 << _MANTISSA) - 1)) >> self._shift[octave]
        return np.asarray((self._start[octave] + inside) * (bits != 0))


class _Signed:
    """Bins of any numbers: a ladder up and a ladder down from 0."""

    def __init__(self, ladder: Ladder) -> None:
        self._ladder = ladder
        self.size = 2 * ladder.size - 1

    def places(self, scores: Floats) -> NDArray[np.intp]:
        steps = self._ladder.places(np.abs(scores))
        return np.asarray(self._ladder.size - 1 + np.where(scores < 0, -steps, steps))


class _Chances:
    """Bins of probabilities: as fine near 1 as near 0, as log odds would have it."""

    def __init__(self, ladder: Ladder) -> None:
        self._ladder = ladder
        self._half = int(ladder.places(np.array([0.5]))[0])
        self.size = 2 * self._half + 1

    def places(self, scores: Floats) -> NDArray[np.intp]:
        above = scores > 0.5
        # 1 - p is exact here. What rounding put outside of 0 to 1 goes to the first or last bin.
        steps = self._ladder.places(np.maximum(np.where(above, 1.0 - scores, scores), 0.0) + 0.0)
        return np.asarray(np.where(above, 2 * self._half - steps, steps))


def magnitudes(coarser: int = 0) -> Ladder:
    """Return bins of errors: 1,024 an octave from 2**-40 to 2**40, or 0.1 % wide."""
    return Ladder({(-40, 40): 10}, coarser)


def values(coarser: int = 0) -> _Signed:
    """Return bins of decision values."""
    return _Signed(Ladder({(-40, -6): 8, (-6, 11): 12, (11, 40): 8}, coarser))


def probabilities(coarser: int = 0) -> _Chances:
    """Return bins of probabilities."""
    return _Chances(Ladder({(-60, -32): 8, (-32, -8): 11, (-8, 0): 12}, coarser))
