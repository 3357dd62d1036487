"""Progress while a run goes on: a live line in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from streamlearn.errors import DataError, MemoryBudgetError
from streamlearn.sizes import format_bytes, format_seconds
from streamlearn.source.quarantine import Quarantine
from streamlearn.stream.events import (
    BatchLearned,
    ChunkRead,
    ChunkResized,
    EpochEnded,
    Event,
    Listener,
    PassEnded,
    PassStarted,
    Warned,
)
from streamlearn.stream.timeline import MemoryReport

__all__ = ["Progress", "exit_code_of", "show_progress", "tell_rejected"]

_PLAIN_EVERY_S = 5.0


@dataclass
class Progress:
    """Where a run stands, as its events tell it.

    Examples
    --------
    >>> progress = Progress(limit_bytes=512_000_000)
    >>> progress.take(PassStarted(0.0, "statistics", 1, 2, 1000))
    >>> progress.take(ChunkRead(0.5, 250, 200_000_000, 210_000_000, 250))
    >>> progress.line()
    'statistics  25%  250 of 1,000 rows  500 rows/s  ETA 1.5 s  RSS 200 MB of 512 MB  chunk 250'
    """

    limit_bytes: int
    name: str = ""
    rows: int = 0
    of: int = 0
    began_s: float = 0.0
    now_s: float = 0.0
    rss_bytes: int = 0
    chunk_rows: int = 0
    loss: float | None = None

    def take(self, event: Event) -> None:
        """Note what happened."""
        self.now_s = event.seconds
        if isinstance(event, PassStarted):
            self.name, self.of, self.rows, self.began_s = event.name, event.rows, 0, event.seconds
        elif isinstance(event, ChunkRead):
            self.rows, self.rss_bytes = event.rows, event.rss_bytes
            self.chunk_rows = event.chunk_rows
        elif isinstance(event, BatchLearned) and event.loss is not None:
            self.loss = event.loss

    @property
    def rate(self) -> float:
        """Rows a second in this pass."""
        return self.rows / max(1e-9, self.now_s - self.began_s)

    def line(self) -> str:
        """Return all of it in one line, for logs."""
        return f"{self.where()}  {self.how()}"

    def where(self) -> str:
        """Return the pass and how far it has come."""
        share = self.rows / self.of if self.of else 0.0
        return f"{self.name}  {share:.0%}  {self.rows:,} of {self.of:,} rows"

    def how(self) -> str:
        """Return speed, time left, memory and loss."""
        left = (self.of - self.rows) / self.rate if self.rate else 0.0
        parts = [
            f"{self.rate:,.0f} rows/s",
            f"ETA {format_seconds(left)}",
            f"RSS {format_bytes(self.rss_bytes)} of {format_bytes(self.limit_bytes)}",
            f"chunk {self.chunk_rows:,}",
        ]
        if self.loss is not None:
            parts.append(f"loss {self.loss:.4g}")
        return "  ".join(parts)


def exit_code_of(memory: MemoryReport, rejected: int = 0) -> int:
    """Say that a budget was not kept, or rows were not used, and return the exit code."""
    if memory.within:
        return DataError.exit_code if rejected else 0
    click.echo(f"error: the memory budget was not kept: {memory}", err=True)
    return MemoryBudgetError.exit_code


def tell_rejected(quarantine: Quarantine | None, path: str | None) -> None:
    """Say which rows were not used, and list them in a file, where there is to be one."""
    if quarantine is None or not quarantine.count:
        return
    listed = ""
    if path is not None:
        quarantine.save(Path(path))
        listed = f"; they are listed in {path}"
    click.echo(f"warning: {quarantine.told()}{listed}", err=True)


@contextmanager
def show_progress(limit_bytes: int, *, quiet: bool) -> Iterator[list[Listener]]:
    """Show progress on standard error; yields the listeners to pass on."""
    if quiet:
        yield []
    elif sys.stderr.isatty():
        with _live(limit_bytes) as listener:
            yield [listener]
    else:
        yield [_plain(limit_bytes)]


def _ended(event: Event, progress: Progress) -> str | None:
    """Return a line that stays, for events worth one."""
    if isinstance(event, PassEnded):
        rate = progress.rows / max(1e-9, event.took_s)
        return (
            f"{event.name}: {progress.rows:,} rows in {format_seconds(event.took_s)} "
            f"({rate:,.0f} rows/s), RSS {format_bytes(progress.rss_bytes)}"
        )
    if isinstance(event, EpochEnded):
        parts = [f"epoch {event.epoch}"]
        if event.loss is not None:
            parts.append(f"progressive {event.loss_name} {event.loss:.6g}")
        parts += [f"held-out {name} {value:.6g}" for name, value in (event.held_out or {}).items()]
        return ", ".join(parts)
    if isinstance(event, ChunkResized):
        return f"chunk {event.before_rows:,} -> {event.after_rows:,} rows: {event.reason}"
    return f"warning: {event.message}" if isinstance(event, Warned) else None


def _plain(limit_bytes: int) -> Listener:
    progress = Progress(limit_bytes)
    shown = [time.perf_counter()]

    def listen(event: Event) -> None:
        progress.take(event)
        line = _ended(event, progress)
        if line is not None:
            print(line, file=sys.stderr, flush=True)
        elif isinstance(event, ChunkRead) and time.perf_counter() - shown[0] > _PLAIN_EVERY_S:
            shown[0] = time.perf_counter()
            print(progress.line(), file=sys.stderr, flush=True)

    return listen


@contextmanager
def _live(limit_bytes: int) -> Iterator[Listener]:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    progress = Progress(limit_bytes)
    console = Console(stderr=True)

    def picture() -> Group:
        bar = ProgressBar(total=max(1, progress.of), completed=progress.rows, width=60)
        above, below = (
            Text(line, overflow="ellipsis", no_wrap=True)
            for line in (progress.where(), progress.how())
        )
        return Group(above, bar, below)

    with Live(Text(""), console=console, refresh_per_second=8, transient=True) as live:

        def listen(event: Event) -> None:
            progress.take(event)
            line = _ended(event, progress)
            if line is not None:
                console.print(Text(line))
            if isinstance(event, ChunkRead | PassStarted):
                live.update(picture())

        yield listen
