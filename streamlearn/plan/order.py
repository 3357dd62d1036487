"""The order of rows in a shuffled epoch: blocks permuted, mixed in groups, rows permuted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Shuffle", "plan_shuffle"]

_GROUP_BYTES = 32 << 20
_GROUP_BLOCKS = 16
_LONGEST_BLOCK = 8_192


@dataclass(frozen=True)
class Shuffle:
    """A seeded order of rows that needs one group in memory at a time."""

    block_rows: int
    """Rows that stay together on disk."""
    group_blocks: int
    """Random blocks whose rows are mixed."""
    seed: int

    @property
    def group_rows(self) -> int:
        """Rows mixed at once."""
        return self.block_rows * self.group_blocks

    def groups(
        self, rows: int, epoch: int
    ) -> Iterator[tuple[list[tuple[int, int]], NDArray[np.intp]]]:
        """Yield, group by group, which rows to read and how to permute them.

        Yields
        ------
        blocks : list of (start, stop)
            Rows to read, in this order.
        permutation : array of int
            Order of the rows so read.

        Examples
        --------
        >>> shuffle = Shuffle(block_rows=4, group_blocks=2, seed=0)
        >>> seen = []
        >>> for blocks, order in shuffle.groups(10, epoch=0):
        ...     rows = np.concatenate([np.arange(*block) for block in blocks])
        ...     seen += rows[order].tolist()
        >>> sorted(seen) == list(range(10))
        True
        """
        count = -(-rows // self.block_rows)
        blocks = self._generator(epoch, 0).permutation(count)
        for group, first in enumerate(range(0, count, self.group_blocks)):
            picked = [
                (int(block) * self.block_rows, min(rows, (int(block) + 1) * self.block_rows))
                for block in blocks[first : first + self.group_blocks]
            ]
            size = sum(stop - start for start, stop in picked)
            yield picked, self._generator(epoch, group + 1).permutation(size)

    def _generator(self, epoch: int, group: int) -> np.random.Generator:
        sequence = np.random.SeedSequence(self.seed, spawn_key=(epoch, group))
        return np.random.Generator(np.random.Philox(sequence))


def plan_shuffle(row_bytes: float, seed: int) -> Shuffle:
    """Choose block and group sizes from the width of a row alone.

    Sixteen random blocks are mixed at once: from four on, the mix of a sorted data set is as
    good as an independent draw.

    Examples
    --------
    >>> plan_shuffle(224, seed=0).block_rows, plan_shuffle(8_000, seed=0).block_rows
    (8192, 262)
    """
    rows = int(_GROUP_BYTES / max(1.0, row_bytes) / _GROUP_BLOCKS)
    return Shuffle(max(1, min(_LONGEST_BLOCK, rows)), _GROUP_BLOCKS, seed)
