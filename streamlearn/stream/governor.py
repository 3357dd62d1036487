"""Keeps the process inside its budget: measures each chunk, and adapts the next.

The actuators are the chunk size and giving memory back; never the batch, never the result.
Chunks grow by their measured peak cost per row, not by what is free between them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from streamlearn.errors import MemoryBudgetError
from streamlearn.plan.memory import MemoryPlan
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
from streamlearn.stream.probe import Probe
from streamlearn.stream.reclaim import RECLAIMERS
from streamlearn.stream.stages import Stages

__all__ = ["AMPLE", "Governor", "MemoryUse"]

AMPLE = 8
"""With a budget this many times what the process holds, giving memory back is not worth it."""
_SOFT, _HARD = 0.85, 0.95
_LEAST_ROWS = 256
_CALM_CHUNKS = 16
_RECLAIM_EVERY_S = 0.25
_DEAR = ("library pages", "gc")
_DEAR_SHARE = 0.05
"""The dear ways of giving memory back may take this share of the time."""


@dataclass(frozen=True)
class MemoryUse:
    """The four numbers of a run."""

    limit_bytes: int
    reserved_bytes: int
    projected_bytes: int
    measured_bytes: int
    """Highest resident memory from the call to its return."""
    exact: bool
    """Whether measured is the kernel's high-water mark, or the highest sample."""
    monitor_s: float = 0.0
    """Seconds of processor time that watching took."""

    @property
    def within(self) -> bool:
        """Whether the budget was kept."""
        return self.measured_bytes <= self.limit_bytes


def _nobody(event: Event) -> None:
    """Stand in for listeners where there are none."""


class Governor:
    """Watches memory and steers the chunk size.

    Parameters
    ----------
    limit_bytes : int
    chunk_rows : int
        To begin with, and at most.
    probe : Probe
    emit : callable
        Takes events.
    reclaimers : sequence of (name, callable)
        Ways of giving memory back, cheapest first.
    clock : callable
        Seconds.
    lag : int
        Chunks that are under way when the size changes, and still have the old one.
    """

    def __init__(
        self,
        *,
        limit_bytes: int,
        chunk_rows: int,
        probe: Probe,
        emit: Listener = _nobody,
        reclaimers: Sequence[tuple[str, Callable[[], None]]] = RECLAIMERS,
        clock: Callable[[], float] = time.perf_counter,
        lag: int = 2,
    ) -> None:
        self.limit_bytes = limit_bytes
        self.chunk_rows = chunk_rows
        self.readers: int | None = None
        self.peak_bytes = 0
        self._most_rows = chunk_rows
        self._probe = probe
        self._emit = emit
        self._reclaimers = reclaimers
        self._clock = clock
        self._began = clock()
        self._reclaimed_at = -_RECLAIM_EVERY_S
        self._dear_s = 0.0
        self._began_with = self._held = probe.rss()
        self._cost = 0.0
        self.monitor_s = 0.0
        self.stages = Stages()
        self._calm = 0
        self._lag = lag
        self._settling = 0
        probe.reset()

    @property
    def exact(self) -> bool:
        """Whether peaks are the kernel's own high-water marks."""
        return self._probe.exact_peak

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return self._clock() - self._began

    def tell(self, event: Event) -> None:
        """Pass an event on to the listeners."""
        self._emit(event)

    @contextmanager
    def passing(self, name: str, number: int, of: int, rows: int) -> Iterator[None]:
        """Tell that a pass begins, and that it ended well."""
        began = self.seconds
        self.tell(PassStarted(began, name, number, of, rows))
        yield
        self.tell(PassEnded(self.seconds, name, self.seconds - began))

    def after_chunk(self, rows_read: int) -> None:
        """Measure, give memory back and resize as needed; call at a chunk or batch boundary.

        Raises
        ------
        MemoryBudgetError
            If the process holds more than its budget and nothing more can be given back.
        """
        began = time.thread_time()
        now = self._probe.read()
        rss, peak, mapped = now.rss, now.peak, now.mapped
        self.peak_bytes = max(self.peak_bytes, peak)
        self._probe.reset()
        limit = self.limit_bytes
        self._emit(ChunkRead(self.seconds, rows_read, rss, peak, self.chunk_rows, mapped, limit))
        self._adapt(peak, rss)
        if rss > _SOFT * self.limit_bytes:
            rss = self._reclaim(rss, force=rss > _HARD * self.limit_bytes)
        self.monitor_s += time.thread_time() - began
        if rss > self.limit_bytes:
            raise self._over(rss, mapped, rows_read)

    def _over(self, rss: int, mapped: int, rows_read: int) -> MemoryBudgetError:
        files = min(mapped, rss)
        return MemoryBudgetError(
            f"the process holds {format_bytes(rss)} after {rows_read:,} rows of this pass, above "
            f"the budget of {format_bytes(self.limit_bytes)}, and nothing more can be given back: "
            f"{format_bytes(rss - files)} of it are its own and {format_bytes(files)} pages of "
            f"files; it held {format_bytes(self._began_with)} when the run began. It takes more "
            f"than a budget of {format_bytes(rss)}, how much more is not known; or hold less beside the run"
        )

    def _adapt(self, peak: int, rss: int) -> None:
        """Shrink at once, then wait until the chunks of the old size are gone; grow slowly.

        How far it grows goes by the highest cost of a row seen at a peak, not by what is free
        between chunks.
        """
        self._settling = max(0, self._settling - 1)
        self._held = min(self._held, rss)
        self._cost = max(0.95 * self._cost, (peak - self._held) / self.chunk_rows)
        if peak > _HARD * self.limit_bytes:
            self._calm = 0
            if self._settling:
                return
            reason = f"peak {format_bytes(peak)} is above {_HARD:.0%} of {format_bytes(self.limit_bytes)}"
            if self.chunk_rows > _LEAST_ROWS:
                # What was too much once is not tried again.
                self._most_rows = max(_LEAST_ROWS, self.chunk_rows * 3 // 4)
                fitting = (_SOFT * self.limit_bytes - self._held) / max(self._cost, 1.0)
                rows = int(min(self.chunk_rows // 2, fitting))
                self._resize(max(_LEAST_ROWS, rows), reason)
            elif self.readers is None or self.readers > 1:
                self.readers = 1
                self._emit(ChunkResized(self.seconds, self.chunk_rows, self.chunk_rows, reason))
        elif peak < _SOFT * self.limit_bytes and self.chunk_rows < self._most_rows:
            self._calm += 1
            if self._calm >= _CALM_CHUNKS and not self._settling:
                self._calm = 0
                fitting = (_SOFT * self.limit_bytes - rss) / max(self._cost, 1.0)
                rows = int(min(self._most_rows, self.chunk_rows * 3 // 2, fitting))
                if rows > self.chunk_rows:
                    self._resize(
                        rows,
                        f"{_CALM_CHUNKS} chunks stayed below {_SOFT:.0%} of the budget, and a row "
                        f"costs {format_bytes(self._cost)} at the peak",
                    )

    def used(self, memory: MemoryPlan) -> MemoryUse:
        """Return the four numbers at the end of what was planned so."""
        return MemoryUse(
            memory.limit_bytes,
            memory.reserved_bytes,
            memory.projected_bytes,
            self.finish(),
            self.exact,
            self.monitor_s,
        )

    def reclaim(self) -> None:
        """Give back what is free, cheaply: between passes, when references are gone."""
        self._reclaim(self._probe.rss(), force=True)

    def relieve(self) -> None:
        """Give back all that can be, where the budget is not ample.

        For before and between things that come at once and are large, such as importing skops.
        """
        self.peak_bytes = max(self.peak_bytes, self._probe.read().peak)
        rss = self._probe.rss()
        if self.limit_bytes < AMPLE * rss:
            self._reclaim(rss, force=True, dear=True)

    def _reclaim(self, rss: int, *, force: bool = False, dear: bool = False) -> int:
        now = self.seconds
        if not force and now - self._reclaimed_at < _RECLAIM_EVERY_S:
            return rss
        self._reclaimed_at = now
        for kind, give_back in self._reclaimers:
            if kind in _DEAR:
                worth = rss > _HARD * self.limit_bytes and self._dear_s < _DEAR_SHARE * (now + 1)
                if not (dear or worth):
                    continue
                start = self._clock()
                give_back()
                self._dear_s += self._clock() - start
            else:
                give_back()
            after = self._probe.rss()
            if rss - after > 1_000_000:
                self._emit(Reclaimed(self.seconds, kind, rss - after, after))
            rss = after
        return rss

    def _resize(self, rows: int, reason: str) -> None:
        if rows != self.chunk_rows:
            self._emit(ChunkResized(self.seconds, self.chunk_rows, rows, reason))
            self.chunk_rows = rows
            self._settling = self._lag

    def finish(self) -> int:
        """Return the highest resident memory of the whole run, in bytes."""
        self.peak_bytes = max(self.peak_bytes, self._probe.read().peak)
        return self.peak_bytes
