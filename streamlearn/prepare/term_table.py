"""The columns of a vocabulary's terms, found for many words at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from streamlearn.prepare.murmur import murmur3_32

__all__ = ["TermTable"]

_EMPTY = -1


class TermTable:
    """A hash table of texts in arrays: no word becomes a Python object.

    A term stands in the slot that the lowest bits of its hash name, or in the next one free. At least
    half of the slots stay empty, so that few words are looked for in more than two.

    Parameters
    ----------
    vocabulary : mapping of str to int
        Column of each term.

    Raises
    ------
    AttributeError, TypeError, ValueError
        If a term is no text.

    Examples
    --------
    >>> TermTable({"cat": 1, "dog": 0}).find(pa.array(["dog", "cow", "cat"]))
    array([ 0, -1,  1])
    """

    def __init__(self, vocabulary: Mapping[Any, Any]) -> None:
        # Arrow would keep the bytes with texts that are not ASCII, and take bytes for texts.
        encoded = pa.array([term.encode() for term in vocabulary], pa.large_binary())
        self._terms = encoded.cast(pa.large_string())
        self._columns = np.fromiter(vocabulary.values(), np.int64, len(vocabulary))
        self._hashes = murmur3_32(self._terms).view(np.uint32)
        slots = 1 << (2 * len(vocabulary)).bit_length()
        self._mask = np.uint32(slots - 1)
        self._slots = np.full(slots, _EMPTY, dtype=np.int32)
        self._fill()

    def _fill(self) -> None:
        terms = np.arange(len(self._hashes), dtype=np.int32)
        wanted = self._hashes & self._mask
        while len(terms):
            free = self._slots[wanted] == _EMPTY
            self._slots[wanted[free]] = terms[free]
            # Of several that want the same slot, one has it.
            lost = self._slots[wanted] != terms
            terms, wanted = terms[lost], self._next(wanted[lost])

    def _next(self, slots: NDArray[np.uint32]) -> NDArray[np.uint32]:
        return (slots + np.uint32(1)) & self._mask

    def find(self, words: pa.Array) -> NDArray[np.int64]:
        """Return the column of each word, -1 where it is no term.

        Parameters
        ----------
        words : StringArray or LargeStringArray
        """
        words = words.cast(pa.large_string())
        hashes = murmur3_32(words).view(np.uint32)
        columns = np.full(len(words), -1, dtype=np.int64)
        left, slots = np.arange(len(words)), hashes & self._mask
        while len(left):
            terms = self._slots[slots]
            there = terms != _EMPTY
            left, slots, terms = left[there], slots[there], terms[there]
            alike = np.flatnonzero(self._hashes[terms] == hashes[left])
            pairs = self._terms.take(pa.array(terms[alike])), words.take(pa.array(left[alike]))
            equal = alike[pc.equal(*pairs).to_numpy(zero_copy_only=False)]
            columns[left[equal]] = self._columns[terms[equal]]
            other = np.ones(len(left), dtype=bool)
            other[equal] = False
            left, slots = left[other], self._next(slots[other])
        return columns
