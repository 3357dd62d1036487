"""A run's memory over time, as its events tell it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from streamlearn.sizes import format_bytes
from streamlearn.stream.events import (
    ChunkRead,
    ChunkResized,
    Event,
    Listener,
    PassEnded,
    PassStarted,
    Reclaimed,
)
from streamlearn.stream.governor import MemoryUse

__all__ = ["MemoryReport", "Recorder", "Sample"]

_TIMELINE_SAMPLES = 2_000
_MOST_PLACES = 200


@dataclass(frozen=True)
class Sample:
    """Memory at one moment."""

    seconds: float
    rows: int
    """Rows read so far, over all passes."""
    rss_bytes: int
    peak_bytes: int
    """Highest since the sample before."""
    chunk_rows: int
    mapped_bytes: int = 0
    """Of the resident memory, pages of files."""


@dataclass(frozen=True)
class MemoryReport:
    """The four numbers, and how they came about."""

    limit_bytes: int
    reserved_bytes: int
    projected_bytes: int
    measured_bytes: int
    exact: bool
    """Whether measured is the kernel's high-water mark."""
    monitor_s: float = 0.0
    """Seconds of processor time that watching memory took."""
    timeline: tuple[Sample, ...] = ()
    resizes: tuple[dict[str, Any], ...] = ()
    """Every change of the chunk size, with its reason."""
    reclaimed: tuple[dict[str, Any], ...] = ()
    """What each way of giving memory back has given, in bytes, and after how many rows."""

    @classmethod
    def of(cls, use: MemoryUse, **parts: Any) -> MemoryReport:
        """Add a timeline to the four numbers."""
        return cls(
            use.limit_bytes,
            use.reserved_bytes,
            use.projected_bytes,
            use.measured_bytes,
            use.exact,
            use.monitor_s,
            **parts,
        )

    def numbers(self) -> dict[str, Any]:
        """Return the four numbers, for JSON."""
        return {
            "limit_bytes": self.limit_bytes,
            "reserved_bytes": self.reserved_bytes,
            "projected_bytes": self.projected_bytes,
            "measured_bytes": self.measured_bytes,
            "exact": self.exact,
        }

    @property
    def within(self) -> bool:
        """Whether the budget was kept."""
        return self.measured_bytes <= self.limit_bytes

    def __str__(self) -> str:
        kept = "kept" if self.within else "EXCEEDED"
        return (
            f"limit {format_bytes(self.limit_bytes)}, "
            f"reserved {format_bytes(self.reserved_bytes)}, "
            f"projected {format_bytes(self.projected_bytes)}, "
            f"measured {format_bytes(self.measured_bytes)} ({kept})"
        )


class Recorder:
    """Keeps what the result tells of memory, and passes events on."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = tuple(listeners)
        self._samples: list[Sample] = []
        self._step = 1
        self._seen = 0
        self._before = 0
        self._last = 0
        self._resizes: list[dict[str, Any]] = []
        self._timings: list[tuple[str, float]] = []
        self._reclaimed: dict[str, dict[str, Any]] = {}

    def __call__(self, event: Event) -> None:
        """Note an event and pass it on."""
        if isinstance(event, PassStarted):
            self._before += self._last
            self._last = 0
        elif isinstance(event, PassEnded):
            self._timings.append((event.name, event.took_s))
        elif isinstance(event, ChunkRead):
            self._last = event.rows
            self._sample(event)
        elif isinstance(event, ChunkResized):
            self._resizes.append(
                {
                    "seconds": event.seconds,
                    "rows": self._before + self._last,
                    "before_rows": event.before_rows,
                    "after_rows": event.after_rows,
                    "reason": event.reason,
                }
            )
        elif isinstance(event, Reclaimed):
            found = self._reclaimed.setdefault(
                event.kind, {"kind": event.kind, "times": 0, "given_back_bytes": 0, "rows": []}
            )
            found["times"] += 1
            if len(found["rows"]) < _MOST_PLACES:
                found["rows"].append(self._before + self._last)
            found["given_back_bytes"] += event.given_back_bytes
        for listener in self._listeners:
            listener(event)

    def _sample(self, event: ChunkRead) -> None:
        """Keep an even thinning of all samples, the peaks of those left out included."""
        rows = self._before + event.rows
        taken = Sample(
            event.seconds,
            rows,
            event.rss_bytes,
            event.peak_bytes,
            event.chunk_rows,
            event.mapped_bytes,
        )
        if self._seen % self._step and self._samples:
            last = self._samples[-1]
            if taken.peak_bytes > last.peak_bytes:
                self._samples[-1] = replace(last, peak_bytes=taken.peak_bytes)
        else:
            self._samples.append(taken)
        self._seen += 1
        if len(self._samples) >= _TIMELINE_SAMPLES:
            self._samples = self._samples[::2]
            self._step *= 2

    @property
    def timings(self) -> tuple[tuple[str, float], ...]:
        """Seconds of each pass that has ended, by name."""
        return tuple(self._timings)

    def memory(self, use: MemoryUse) -> MemoryReport:
        """Return the report so far."""
        return MemoryReport.of(
            use,
            timeline=tuple(self._samples),
            resizes=tuple(self._resizes),
            reclaimed=tuple(self._reclaimed.values()),
        )
