"""What happens during a run, told to whoever listens.

The engine knows no progress bar, file or chart: a listener is a callable that takes an event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = [
    "BatchLearned",
    "ChunkRead",
    "ChunkResized",
    "EpochEnded",
    "Event",
    "Listener",
    "PassEnded",
    "PassStarted",
    "Reclaimed",
    "Warned",
]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""

    seconds: float
    """Since the run began."""


@dataclass(frozen=True, slots=True)
class PassStarted(Event):
    """A reading of the data begins."""

    name: str
    number: int
    """From 1, over all passes and epochs."""
    of: int
    rows: int
    """Rows it will read."""


@dataclass(frozen=True, slots=True)
class ChunkRead(Event):
    """A chunk was taken in."""

    rows: int
    """Rows read so far in this pass, before any filter."""
    rss_bytes: int
    peak_bytes: int
    """Highest since the chunk before."""
    chunk_rows: int
    mapped_bytes: int = 0
    """Of them pages of files."""
    limit_bytes: int = 0
    """The budget; 0 where it is not told."""


@dataclass(frozen=True, slots=True)
class BatchLearned(Event):
    """The model learned a batch."""

    epoch: int
    batch: int
    rows: int
    """Rows learned so far, over all epochs."""
    loss: float | None
    """On the batch, before it was learned."""


@dataclass(frozen=True, slots=True)
class EpochEnded(Event):
    """All rows were learned once more."""

    epoch: int
    loss: float | None
    """Mean progressive loss of the epoch."""
    loss_name: str
    held_out: dict[str, float] | None
    """Scores of the held-out rows."""


@dataclass(frozen=True, slots=True)
class PassEnded(Event):
    """A reading of the data is over."""

    name: str
    took_s: float


@dataclass(frozen=True, slots=True)
class ChunkResized(Event):
    """The chunk size was changed."""

    before_rows: int
    after_rows: int
    reason: str


@dataclass(frozen=True, slots=True)
class Reclaimed(Event):
    """Memory was given back."""

    kind: str
    """"arrow pool", "malloc_trim", "library pages" or "gc"."""
    given_back_bytes: int
    rss_bytes: int


@dataclass(frozen=True, slots=True)
class Warned(Event):
    """Something the user should know."""

    message: str


Listener = Callable[[Event], None]
