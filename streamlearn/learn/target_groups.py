"""The target within the categories of a column, fold by fold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["Cells", "TargetGroups"]

_PENDING_CELLS = 65_536
"""Cells that wait at least before they are merged with those known."""
_PENDING_PARTS = 256
_PENDING_BYTES = 8 << 20
_CELL_BYTES = 320
"""Of a cell while it is merged with others (measured); 40 once it is."""
_HASH_BYTES = 230
"""Of Arrow's hash tables for each distinct text, while they are rebuilt (measured)."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass
class Cells:
    """Count, mean and sum of squared deviations of the rows of one group and label.

    Of a numeric target all labels are 0; of a class they are its number, and the counts say all.
    Only cells that have rows are kept.
    """

    group: Ints
    label: Ints
    count: Floats
    mean: Floats
    m2: Floats

    @classmethod
    def gather(cls, group: Ints, label: Ints | None, values: Floats | None) -> Cells:
        """Make cells of rows: of their labels, or of their values."""
        ones = np.ones(len(group))
        zeros = np.zeros(len(group))
        rows = cls(
            group,
            np.zeros(len(group), dtype=np.int64) if label is None else label,
            ones,
            zeros if values is None else values,
            zeros,
        )
        return rows.merged(spread=values is not None)

    @staticmethod
    def concat(parts: Sequence[Cells]) -> Cells:
        """Put cells one below the other."""
        if len(parts) == 1:
            return parts[0]
        return Cells(
            np.concatenate([part.group for part in parts]),
            np.concatenate([part.label for part in parts]),
            np.concatenate([part.count for part in parts]),
            np.concatenate([part.mean for part in parts]),
            np.concatenate([part.m2 for part in parts]),
        )

    def merged(self, *, spread: bool) -> Cells:
        """Return one cell for all of the same group and label.

        Parameters
        ----------
        spread : bool
            Whether there are means to merge, or only counts.

        Notes
        -----
        Of any number of cells at once: the mean of the means, and what lies between them
        added to what lies within (Chan, Golub, LeVeque 1983, for two).
        """
        if not len(self.group):
            return self
        labels = int(self.label.max()) + 1
        key = self.group * labels + self.label
        size = int(key.max()) + 1
        if size > 4 * len(key) + 1024:
            present, key = np.unique(key, return_inverse=True)
            count = _sums(key, self.count, len(present))
        else:
            count = _sums(key, self.count, size)
            present = np.arange(size)
        safe = np.maximum(count, 1.0)
        if not spread:
            kept = np.flatnonzero(count)
            zeros = np.zeros(len(kept))
            found = present[kept]
            return Cells(found // labels, found % labels, count[kept], zeros, zeros)
        # Measured from one value of its own, a cell that is constant is so to the bit.
        anchor = np.zeros(len(count))
        anchor[key[::-1]] = self.mean[::-1]
        deviation = self.mean - anchor[key]
        off = _sums(key, self.count * deviation, len(count)) / safe
        deviation -= off[key]
        m2 = _sums(key, self.m2 + self.count * deviation**2, len(count))
        rest = _sums(key, self.count * deviation, len(count))
        m2 = np.maximum(m2 - rest * rest / safe, 0.0)
        kept = np.flatnonzero(count)
        found = present[kept]
        return Cells(found // labels, found % labels, count[kept], (anchor + off)[kept], m2[kept])

    def regrouped(self, group: Ints, *, spread: bool) -> Cells:
        """Return the cells with each group turned into another; some may become one."""
        return Cells(group[self.group], self.label, self.count, self.mean, self.m2).merged(
            spread=spread
        )

    def relabelled(self, label: Ints) -> Cells:
        """Return the cells with each label turned into another one."""
        return Cells(self.group, label[self.label], self.count, self.mean, self.m2)

    def valued(self, values: Floats) -> Cells:
        """Return each label counted as rows of that value."""
        none = np.zeros(len(self.label), dtype=np.int64)
        return Cells(self.group, none, self.count, values[self.label], self.m2).merged(spread=True)

    def keep(self, mask: NDArray[np.bool_]) -> Cells:
        """Return the cells where the mask is true."""
        return Cells(
            self.group[mask], self.label[mask], self.count[mask], self.mean[mask], self.m2[mask]
        )


class TargetGroups:
    """Cells of a column's distinct values and the folds: group is value x folds + fold.

    Values are merged with those known once enough of them wait, as in
    `streamlearn.learn.counts.ValueCounts`; a missing one is a value too.

    Parameters
    ----------
    folds : int

    Examples
    --------
    >>> groups = TargetGroups(2)
    >>> groups.add(pa.array(["b", "a", "b"]), np.array([0, 1, 1]), None, np.array([1.0, 2, 4]))
    >>> values, cells = groups.result()
    >>> values.to_pylist(), cells.group, cells.mean
    (['b', 'a'], array([0, 1, 3]), array([1., 4., 2.]))
    """

    def __init__(self, folds: int) -> None:
        self._folds = folds
        self._spread = True
        self._values: pa.Array | None = None
        self._cells: Cells | None = None
        self._pending: list[tuple[pa.Array, Cells]] = []
        self._waiting = 0
        self._waiting_bytes = 0

    def __len__(self) -> int:
        """Return how many distinct values there are at least."""
        return 0 if self._values is None else len(self._values)

    def add(self, column: pa.Array, fold: Ints, label: Ints | None, values: Floats | None) -> None:
        """Take in rows, with their labels or the values of their target."""
        if pa.types.is_float16(column.type):
            column = column.cast(pa.float32())
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        encoded = column.dictionary_encode(null_encoding="encode")
        self._spread = values is not None
        group = np.asarray(encoded.indices, dtype=np.int64) * self._folds + fold
        self._push(encoded.dictionary, Cells.gather(group, label, values))

    def merge(self, other: TargetGroups, shift: float = 0.0) -> None:
        """Take in those of other rows, their means raised by ``shift``."""
        self._spread = self._spread or other._spread
        parts = list(other._pending)
        if other._values is not None and other._cells is not None:
            parts.insert(0, (other._values, other._cells))
        for values, cells in parts:
            if shift:
                cells = Cells(cells.group, cells.label, cells.count, cells.mean + shift, cells.m2)
            self._push(values, cells)

    def relabel(self, label: Ints) -> None:
        """Turn each label into another one."""
        self._each(lambda cells: cells.relabelled(label))

    def value(self, values: Floats) -> None:
        """Count each label as rows of that value from now on."""
        self._each(lambda cells: cells.valued(values))
        self._spread = True

    def _each(self, change: Callable[[Cells], Cells]) -> None:
        if self._cells is not None:
            self._cells = change(self._cells)
        self._pending = [(values, change(cells)) for values, cells in self._pending]

    def _push(self, values: pa.Array, cells: Cells) -> None:
        if not len(values):
            return
        self._pending.append((values, cells))
        self._waiting += len(cells.group)
        self._waiting_bytes += values.nbytes
        known = 0 if self._cells is None else len(self._cells.group)
        if (
            self._waiting > max(_PENDING_CELLS, known // 4)
            or self._waiting_bytes > max(_PENDING_BYTES, self._text_bytes // 4)
            or len(self._pending) > _PENDING_PARTS
        ):
            self._compact()

    def _compact(self) -> None:
        if not self._pending:
            return
        parts = self._pending
        if self._values is not None and self._cells is not None:
            parts = [(self._values, self._cells), *parts]
        starts = np.cumsum([0, *(len(values) for values, _ in parts)]) * self._folds
        encoded = _concat([values for values, _ in parts]).dictionary_encode(null_encoding="encode")
        place = np.asarray(encoded.indices, dtype=np.int64)
        cells = Cells.concat([cells for _, cells in parts])
        lengths = [len(cells.group) for _, cells in parts]
        cells.group = cells.group + np.repeat(starts[:-1], lengths)
        self._values = encoded.dictionary
        self._cells = cells.regrouped(
            (place[:, None] * self._folds + np.arange(self._folds)).ravel(), spread=self._spread
        )
        self._pending, self._waiting, self._waiting_bytes = [], 0, 0

    def result(self) -> tuple[pa.Array, Cells]:
        """Return the distinct values, a missing one among them as null, and the cells."""
        self._compact()
        assert self._values is not None
        assert self._cells is not None
        return self._values, self._cells

    @property
    def _text_bytes(self) -> int:
        return 0 if self._values is None else int(self._values.nbytes)

    @property
    def nbytes(self) -> int:
        """Bytes held, what merging needs for a moment included."""
        cells = self._waiting + (0 if self._cells is None else len(self._cells.group))
        texts = 3 * (self._text_bytes + self._waiting_bytes)
        return _CELL_BYTES * cells + texts + (_HASH_BYTES + 8 * self._folds) * len(self)

    @property
    def value_bytes(self) -> tuple[int, int]:
        """Bytes a value takes while an encoder is fitted with it, and in the encoder."""
        length = self._text_bytes // max(1, len(self))
        return 270 + 2 * length, 150 + 2 * length


def _sums(key: Ints, values: Floats, length: int) -> Floats:
    return np.bincount(key, values, minlength=length).astype(np.float64, copy=False)


def _concat(parts: list[pa.Array]) -> pa.Array:
    """Put values one below the other; a block of objects that are all missing has no type."""
    kinds = {part.type for part in parts if not pa.types.is_null(part.type)}
    if len(kinds) == 1:
        kind = kinds.pop()
        parts = [part.cast(kind) if pa.types.is_null(part.type) else part for part in parts]
    return pa.concat_arrays(parts)
