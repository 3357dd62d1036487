"""MurmurHash3 of many texts at once, as scikit-learn hashes features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["murmur3_32"]

_LONGEST_BYTES = 256
"""Longer texts are hashed one by one: every four bytes of the longest is a round for all."""
_FIRST = np.uint32(0xCC9E2D51)
_SECOND = np.uint32(0x1B873593)
_TAILS = np.array([0, 0xFF, 0xFFFF, 0xFFFFFF], dtype=np.uint32)


def murmur3_32(words: pa.Array) -> NDArray[np.int32]:
    """Return the hashes of texts, each of its UTF-8 bytes.

    Equal to ``sklearn.utils.murmurhash3_32(text, seed=0)``.

    Parameters
    ----------
    words : StringArray, LargeStringArray, BinaryArray or LargeBinaryArray

    Returns
    -------
    array of int32, shape (texts,)

    References
    ----------
    Austin Appleby: MurmurHash3, x86 variant of 32 bits (public domain, 2011).

    Examples
    --------
    >>> murmur3_32(pa.array(["cat", ""]))
    array([1751422759,          0], dtype=int32)
    """
    _, offsets, text = words.buffers()
    wide = pa.types.is_large_string(words.type) or pa.types.is_large_binary(words.type)
    bounds = np.frombuffer(offsets, np.int64 if wide else np.int32)
    bounds = bounds[words.offset : words.offset + len(words) + 1]
    begin, end = (int(bounds[0]), int(bounds[-1])) if len(words) else (0, 0)
    starts = bounds[:-1].astype(np.int64) - begin
    lengths = np.diff(bounds).astype(np.uint32)
    # Four bytes can be read from any place, the last one too.
    padded = np.zeros(end - begin + 4, dtype=np.uint8)
    if text is not None:
        padded[:-4] = np.frombuffer(text, np.uint8)[begin:end]
    fours = np.ndarray((len(padded) - 3,), "<u4", padded, 0, (1,))
    hashes = _hash(fours, starts, np.minimum(lengths, _LONGEST_BYTES))
    if len(words) and lengths.max() > _LONGEST_BYTES:
        from sklearn.utils import murmurhash3_32

        for at in np.flatnonzero(lengths > _LONGEST_BYTES).tolist():
            item = padded[starts[at] : starts[at] + lengths[at]].tobytes()
            hashes[at] = murmurhash3_32(item, positive=True)
    return hashes.view(np.int32)


def _hash(
    fours: NDArray[np.uint32], starts: NDArray[np.int64], lengths: NDArray[np.uint32]
) -> NDArray[np.uint32]:
    hashes = np.zeros(len(starts), dtype=np.uint32)
    blocks = lengths >> np.uint32(2)
    at = np.flatnonzero(blocks)
    block = 0
    while len(at):
        found = hashes[at] ^ _mix(fours[starts[at] + 4 * block])
        hashes[at] = _rotate(found, 13) * np.uint32(5) + np.uint32(0xE6546B64)
        block += 1
        at = at[blocks[at] > block]
    tails = fours[starts + 4 * blocks.astype(np.int64)] & _TAILS[lengths & np.uint32(3)]
    hashes ^= _mix(tails)
    hashes ^= lengths
    hashes ^= hashes >> np.uint32(16)
    hashes *= np.uint32(0x85EBCA6B)
    hashes ^= hashes >> np.uint32(13)
    hashes *= np.uint32(0xC2B2AE35)
    hashes ^= hashes >> np.uint32(16)
    return hashes


def _mix(values: NDArray[np.uint32]) -> Any:
    return _rotate(values * _FIRST, 15) * _SECOND


def _rotate(values: Any, bits: int) -> Any:
    return (values << np.uint32(bits)) | (values >> np.uint32(32 - bits))
