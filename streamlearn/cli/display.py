"""Progress while a run goes on: a live line in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from streamlearn.errors import DataError, MemoryBudgetError
from streamlearn.progress import Standing, line_of
from streamlearn.source.quarantine import Quarantine
from streamlearn.stream.events import ChunkRead, Event, Listener, PassStarted
from streamlearn.stream.timeline import MemoryReport

__all__ = ["exit_code_of", "show_progress", "tell_rejected"]

_PLAIN_EVERY_S = 5.0


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


def _plain(limit_bytes: int) -> Listener:
    progress = Standing(limit_bytes)
    shown = [time.perf_counter()]

    def listen(event: Event) -> None:
        progress.take(event)
        line = line_of(event, progress)
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

    progress = Standing(limit_bytes)
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
            line = line_of(event, progress)
            if line is not None:
                console.print(Text(line))
            if isinstance(event, ChunkRead | PassStarted):
                live.update(picture())

        yield listen
