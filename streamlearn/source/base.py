"""What every source offers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from streamlearn.chunk import Chunk, Schema

__all__ = ["Fragment", "ReaderCost", "Rejected", "Source", "locate"]


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a source that can be read on its own."""

    index: int
    """Position in the source, from 0."""
    path: str
    """File, or a name for what is no file."""
    part: int
    """Row group, zarr chunk row or block inside the file, from 0."""
    first: int
    """Row number in the source of the first row."""
    rows: int
    """Rows, before any filter."""

    def __str__(self) -> str:
        return f"{self.path} (part {self.part})"


@dataclass(frozen=True, slots=True)
class ReaderCost:
    """What one open reader holds: ``fixed_bytes + rows * row_bytes``."""

    fixed_bytes: int
    """Buffers, pages and dictionaries, whatever the chunk size."""
    row_bytes: float
    """Held for each row of the chunk being made, the chunk itself included."""
    chunk_row_bytes: float
    """Decoded bytes of one row in the finished chunk."""
    note: str = ""
    """What is large about it, or unusual."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Rows of a source that cannot be used, and why.

    A source that finds such rows while it is opened lists them in an attribute ``faults``. They
    count in the rows of their fragment and are never delivered: the numbers of the other rows
    tell where they are missing.
    """

    path: str
    """File, or a name for what is no file."""
    part: int
    """Of the fragment; see `Fragment.part`."""
    row: int
    """Number in the source of the first of these rows."""
    rows: int
    reason: str
    column: str = ""
    value: str = ""
    """As text, cut where it is long."""
    text: str = ""
    """The row as it is stored, where it is stored as text; cut where it is long."""

    def __str__(self) -> str:
        which = f"row {self.row}" if self.rows == 1 else f"{self.rows} rows from row {self.row}"
        what = f"column {self.column!r} is {self.value}: " if self.column else ""
        return f"{self.path} (part {self.part}), {which} of the source: {what}{self.reason}"


class Source(Protocol):
    """Rows that can be read by fragments, any fragment at any time.

    Opening a source reads metadata only; a reader holds no more than `cost` says.
    """

    schema: Schema
    fingerprint: str
    """Changes whenever the stored data does."""

    @property
    def fragments(self) -> Sequence[Fragment]:
        """Parts that can be read on their own, in order."""
        ...

    def notes(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Say what opening found worth telling of these columns, such as drift between files."""
        ...

    def read(self, fragment: Fragment, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
        """Yield the fragment's rows in order, ``rows`` at a time (the last may be short)."""
        ...

    def cost(self, columns: Sequence[str]) -> ReaderCost:
        """Bytes one reader holds for these columns, from metadata."""
        ...

    def lean(self, scratch_dir: str | None) -> Source:
        """Return the same source, read with as little memory as can be, by way of the disk."""
        ...


def locate(fragments: Sequence[Fragment], row: int) -> str:
    """Say where a source row is stored, for messages.

    Examples
    --------
    >>> parts = [Fragment(0, "a.parquet", 0, 0, 100), Fragment(1, "a.parquet", 1, 100, 50)]
    >>> locate(parts, 120)
    'row 20 of a.parquet (part 1), row 120 of the source'
    """
    found = fragments[max(0, bisect_right(fragments, row, key=lambda part: part.first) - 1)]
    return f"row {row - found.first} of {found}, row {row} of the source"
