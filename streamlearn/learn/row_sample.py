"""A random sample of rows that does not depend on how they are read: the k lowest hashes.

Every row has a hash of its number in the source; the sample is the rows with the k lowest.
Any part's k lowest include all of its rows that are in the whole's, so samples merge, and the
result is a function of the row numbers alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from streamlearn.chunk import Block, Schema, concat_blocks

__all__ = ["Bound", "RowSample", "cut_texts", "mixed", "rank_error", "sample_rows"]

_MOST_ROWS = 4_096
_LEAST_ROWS = 256
_SAMPLE_BYTES = 8_000_000
_HASHED_ROWS = 8_192
"""At once: what they need stays in the processor's cache."""
_MOST_LETTERS = 200
"""Of a text that are kept: what is sampled is bounded."""
_TEXT_BYTES = 100
_SEED = np.uint64(0x5851F42D4C957F2D)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def sample_rows(schema: Schema) -> int:
    """Return how many rows to sample: fewer of wide tables, a function of the columns alone.

    Examples
    --------
    >>> [sample_rows(Schema.from_arrow(pa.schema([(f"f{i}", pa.float32()) for i in range(n)])))
    ...  for n in (28, 5_000)]
    [4096, 399]
    """
    return int(min(_MOST_ROWS, max(_LEAST_ROWS, _SAMPLE_BYTES // row_bytes(schema))))


def row_bytes(schema: Schema) -> int:
    """Return about how many bytes a sampled row takes."""
    return 24 + sum(
        _TEXT_BYTES if field.width_bytes is None else field.width_bytes for field in schema
    )


def rank_error(rows: int) -> float:
    """Return how far a quantile of a sample may be off in rank, with 95 % certainty.

    By the inequality of Dvoretzky, Kiefer and Wolfowitz with Massart's constant: it holds for
    all quantiles at once, whatever the distribution.

    Examples
    --------
    >>> round(rank_error(4096), 4)
    0.0212
    """
    return float(np.sqrt(np.log(2 / 0.05) / (2 * max(1, rows))))


def mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return well mixed bits, one to one (the finalizer of SplitMix64)."""
    z = bits + _GOLDEN
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return np.asarray(z)


class Bound:
    """The highest hash that can still be in the sample, shared by samples that will be merged.

    It only saves work: a row above it is in none of the merged samples, whoever lowers it when.
    """

    def __init__(self) -> None:
        self.value = 2**64 - 1

    def lower(self, value: int) -> None:
        """Note that enough rows lie at or below the value."""
        self.value = min(self.value, value)


class RowSample:
    """The ``most`` rows of lowest hash.

    Parameters
    ----------
    most : int
    bound : Bound
        One for all samples that will be merged.
    """

    def __init__(self, most: int, bound: Bound | None = None) -> None:
        self._most = most
        self._bound = bound or Bound()
        self._hashes = np.zeros(0, dtype=np.uint64)
        self._parts: list[tuple[NDArray[np.uint64], NDArray[np.int64], Block, Any]] = []
        self._held = 0

    def add(self, X: Block, y: Any, rows: NDArray[np.int64]) -> None:
        """Take in a block, and the numbers of its rows."""
        found = []
        for start in range(0, len(rows), _HASHED_ROWS):
            hashes = mixed(rows[start : start + _HASHED_ROWS].astype(np.uint64) ^ _SEED)
            low = np.flatnonzero(hashes <= np.uint64(self._bound.value))
            found.append((hashes[low], low + start))
        hashes = np.concatenate([part for part, _ in found])
        if not len(hashes):
            return
        kept = np.concatenate([places for _, places in found])
        if len(hashes) > self._most:
            lowest = np.sort(np.argpartition(hashes, self._most - 1)[: self._most])
            hashes, kept = hashes[lowest], kept[lowest]
            self._bound.lower(int(hashes.max()))
        y = None if y is None else np.asarray(y)[kept]
        self._push((hashes, rows[kept], _take(X, kept), y))

    def merge(self, other: RowSample) -> None:
        """Take in the sample of other rows."""
        for part in other._parts:
            self._push(part)

    def _push(self, part: tuple[NDArray[np.uint64], NDArray[np.int64], Block, Any]) -> None:
        self._parts.append(part)
        self._held += len(part[0])
        if self._held >= 2 * self._most:
            self._compact()

    def _compact(self) -> None:
        """Keep the lowest hashes, in the order of the rows."""
        if not self._parts:
            return
        hashes = np.concatenate([part[0] for part in self._parts])
        rows = np.concatenate([part[1] for part in self._parts])
        lowest = np.arange(len(hashes))
        if len(hashes) > self._most:
            lowest = np.argpartition(hashes, self._most - 1)[: self._most]
            self._bound.lower(int(hashes[lowest].max()))
        lowest = lowest[np.argsort(rows[lowest])]
        X = _take(concat_blocks([part[2] for part in self._parts]), lowest)
        targets = [part[3] for part in self._parts]
        y = None if targets[0] is None else np.concatenate(targets)[lowest]
        self._parts = [(hashes[lowest], rows[lowest], X, y)]
        self._held = len(lowest)

    def result(self) -> tuple[Block | None, Any, NDArray[np.int64]]:
        """Return the sampled rows, their targets and numbers, in the order of the source."""
        self._compact()
        if not self._parts:
            return None, None, np.zeros(0, dtype=np.int64)
        _, rows, X, y = self._parts[0]
        return X, y, rows


def _take(X: Block, rows: NDArray[np.intp]) -> Block:
    if not isinstance(X, pa.RecordBatch):
        return X[rows]
    if not X.num_columns:
        return X.slice(0, len(rows))
    chosen = pa.array(rows)
    taken = X.take(chosen)
    if all(field.type.num_buffers < 3 for field in X.schema):
        return taken  # no texts
    arrays = [cut_texts(column) for column in taken.columns]
    return pa.RecordBatch.from_arrays(arrays, names=X.schema.names)


def cut_texts(column: pa.Array) -> pa.Array:
    """Return texts cut to what is kept of them; any other column as it is."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return pc.utf8_slice_codeunits(column, 0, _MOST_LETTERS)
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return pc.binary_slice(column, 0, _MOST_LETTERS)
    return column
