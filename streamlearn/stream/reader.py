"""Fragments read with a chunk size that may change on the way, held-out rows set apart."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from streamlearn.chunk import Chunk
from streamlearn.plan.holdout import held_out
from streamlearn.source.assembly import LeftOut
from streamlearn.source.base import Fragment
from streamlearn.source.dataset import Dataset
from streamlearn.stream.governor import Governor
from streamlearn.stream.prefetch import ordered

__all__ = ["Part", "Reader", "RowCount"]


@dataclass
class RowCount:
    """What became of the rows that were read in one pass."""

    read: int = 0
    learned: int = 0
    held_out: int = 0
    filtered: int = 0
    """Left out by the user's own condition."""
    missing: int = 0
    """Left out for a missing value, where that was asked for."""
    rejected: int = 0
    """Left out because they cannot be used."""

    def check(self) -> None:
        """Make sure that no row is unaccounted for."""
        known = self.learned + self.held_out + self.filtered + self.missing + self.rejected
        if known != self.read:
            raise AssertionError(f"{self.read} rows read, but {known} accounted for")

    def add(self, other: RowCount) -> None:
        """Count what another has counted."""
        for name, rows in vars(other).items():
            setattr(self, name, getattr(self, name) + rows)

    def shown(self) -> str:
        """Say it in words."""
        return ", ".join(
            f"{name.replace('_', ' ')} {rows:,}"
            for name, rows in vars(self).items()
            if rows or name != "missing"
        )


@dataclass(frozen=True)
class Part:
    """A chunk, split into the rows to learn from and the rows held out."""

    learn: Chunk | None
    held: Chunk | None
    read: int
    """Rows of the source this part covers, those left out included."""
    left_out: LeftOut | None = None
    """At the end of a fragment: what was left out of it."""


@dataclass
class Reader:
    """Reads a dataset for one pass.

    Parameters
    ----------
    dataset : Dataset
    features : sequence of str
        Columns of the chunks.
    governor : Governor
        Says how many rows to read at once.
    threads : int
        Readers that work ahead; 0 for none.
    validation, seed
        Share of rows held out, and the seed of the choice.
    """

    dataset: Dataset
    features: Sequence[str]
    governor: Governor
    threads: int
    validation: float = 0.0
    seed: int = 0
    roles: bool = True
    depth: int = 1
    _lock: Lock = field(default_factory=Lock, repr=False)

    def parts(self) -> Generator[Part, None, None]:
        """Yield all rows in source order, whatever the threads."""
        stream = ordered(
            self.dataset.fragments,
            self.fragment,
            threads=self.threads,
            depth=self.depth,
            most=lambda: self.governor.readers,
        )
        with closing(stream) as parts:
            yield from parts

    def fragment(self, fragment: Fragment) -> Generator[Part, None, None]:
        """Yield one fragment's rows in order.

        A chunk size that was halved meanwhile takes effect at once: reading starts over with the
        new size, and rows given out already are skipped.
        """
        done = fragment.first
        end = fragment.first + fragment.rows
        while True:
            size = self.governor.chunk_rows
            left_out = LeftOut()
            stream = self.dataset.read(
                fragment, self.features, size, roles=self.roles, left_out=left_out
            )
            with closing(self.governor.stages.each("decode", stream)) as chunks:
                for chunk in chunks:
                    if chunk.rows[-1] < done:
                        continue
                    if chunk.rows[0] < done:
                        chunk = chunk.keep(chunk.rows >= done)
                    last = int(chunk.rows[-1]) + 1
                    yield self._split(chunk, last - done)
                    done = last
                    if self.governor.chunk_rows <= size // 2:
                        break
                else:
                    break
        if done < end or left_out != LeftOut():
            yield Part(None, None, end - done, left_out)

    def _split(self, chunk: Chunk, read: int) -> Part:
        if not self.validation:
            return Part(chunk, None, read)
        out = held_out(chunk.rows, self.validation, self.seed)
        held = chunk.keep(out) if out.any() else None
        learn = chunk.keep(~out) if not out.all() else None
        return Part(learn, held, read)


def count_part(part: Part, rows: RowCount) -> None:
    """Enter a part into the account."""
    learned = len(part.learn) if part.learn is not None else 0
    held = len(part.held) if part.held is not None else 0
    rows.read += part.read
    rows.learned += learned
    rows.held_out += held
    left_out = part.left_out or LeftOut()
    rows.missing += left_out.missing
    rows.rejected += left_out.rejected
    rows.filtered += part.read - learned - held - left_out.missing - left_out.rejected


def locate_error(dataset: Dataset, chunk: Chunk, row: Any) -> str:
    """Say where a row of a chunk is stored."""
    return dataset.locate(int(chunk.rows[row])) if row is not None else ""
