"""From chunks of any size to batches of one size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from streamlearn.chunk import Chunk

__all__ = ["Rebatcher", "rebatch"]


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
        start = 0
        while len(chunk) - start + self._held >= self._rows:
            stop = start + self._rows - self._held
            self._parts.append(chunk.slice(start, stop))
            batch = Chunk.concat(self._parts)
            self._parts, self._held, start = [], 0, stop
            yield batch
        if start < len(chunk):
            self._parts.append(chunk.slice(start, len(chunk)))
            self._held += len(chunk) - start

    def rest(self) -> Iterator[Chunk]:
        """Yield the last, short batch, if there is one."""
        if self._parts:
            batch = Chunk.concat(self._parts)
            self._parts, self._held = [], 0
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
    collector = Rebatcher(rows)
    for chunk in chunks:
        yield from collector.push(chunk)
    yield from collector.rest()
