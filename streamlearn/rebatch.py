"""From chunks of any size to batches of one size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from streamlearn.chunk import Chunk

__all__ = ["Rebatcher", "cut", "rebatch"]


class Rebatcher:
    """Collects chunks and gives out batches of exactly ``rows``; what is left comes with `rest`.

    Parameters
    ----------
    rows : int
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._parts: list[Chunk] = []
        self._held = 0

    def push(self, chunk: Chunk) -> Iterator[Chunk]:
        """Take in a chunk; yield the batches it completes."""
        for parts in self.cut(chunk):
            yield Chunk.concat(parts)

    def cut(self, chunk: Chunk) -> Iterator[list[Chunk]]:
        """Do the same, and leave putting the parts of a batch together to the caller."""
        start = 0
        while len(chunk) - start + self._held >= self._rows:
            stop = start + self._rows - self._held
            self._parts.append(chunk.slice(start, stop))
            batch, self._parts, self._held, start = self._parts, [], 0, stop
            yield batch
        if start < len(chunk):
            self._parts.append(chunk.slice(start, len(chunk)))
            self._held += len(chunk) - start

    def rest(self) -> Iterator[Chunk]:
        """Yield the last, short batch, if there is one."""
        for parts in self.cut_rest():
            yield Chunk.concat(parts)

    def cut_rest(self) -> Iterator[list[Chunk]]:
        """Do the same, and leave putting its parts together to the caller."""
        if self._parts:
            batch, self._parts, self._held = self._parts, [], 0
            yield batch


def rebatch(chunks: Iterable[Chunk], rows: int) -> Iterator[Chunk]:
    """Cut a stream of chunks into batches of ``rows`` rows, only the last one short.

    Examples
    --------
    >>> import numpy as np
    >>> numbers = np.arange(10)
    >>> pieces = [Chunk(numbers[a:b, None], numbers[a:b]) for a, b in [(0, 3), (3, 4), (4, 10)]]
    >>> [batch.rows.tolist() for batch in rebatch(pieces, 4)]
    [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    """
    yield from map(Chunk.concat, cut(chunks, rows))


def cut(chunks: Iterable[Chunk], rows: int) -> Iterator[list[Chunk]]:
    """Cut a stream of chunks as `rebatch` does, and leave each batch in its parts.

    Putting parts together copies them, which is better done in the thread that works on them.
    """
    collector = Rebatcher(rows)
    for chunk in chunks:
        yield from collector.cut(chunk)
    yield from collector.cut_rest()
