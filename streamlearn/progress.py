"""Progress while a run goes on: a display that renews itself in a notebook, lines elsewhere."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import Any

from streamlearn.report.template import render
from streamlearn.sizes import format_bytes, format_seconds
from streamlearn.stream.events import (
    BatchLearned,
    ChunkRead,
    ChunkResized,
    EpochEnded,
    Event,
    PassEnded,
    PassStarted,
    Warned,
)

__all__ = ["Progress", "Standing", "line_of"]

_LINES_EVERY_S = 5.0
_DISPLAY_EVERY_S = 0.25
_MOST_LINES = 12


@dataclass
class Standing:
    """Where a run stands, as its events tell it.

    Examples
    --------
    >>> standing = Standing(limit_bytes=512_000_000)
    >>> standing.take(PassStarted(0.0, "statistics", 1, 2, 1000))
    >>> standing.take(ChunkRead(0.5, 250, 200_000_000, 210_000_000, 250))
    >>> standing.line()
    'statistics  25%  250 of 1,000 rows  500 rows/s  ETA 1.5 s  RSS 200 MB of 512 MB  chunk 250'
    """

    limit_bytes: int = 0
    """0 until an event tells it."""
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
            self.limit_bytes = event.limit_bytes or self.limit_bytes
        elif isinstance(event, BatchLearned) and event.loss is not None:
            self.loss = event.loss

    @property
    def rate(self) -> float:
        """Rows a second in this pass."""
        return self.rows / max(1e-9, self.now_s - self.began_s)

    @property
    def share(self) -> float:
        """Of the pass that is done, 0 to 1."""
        return min(1.0, self.rows / self.of) if self.of else 0.0

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
        limit = f" of {format_bytes(self.limit_bytes)}" if self.limit_bytes else ""
        parts = [
            f"{self.rate:,.0f} rows/s",
            f"ETA {format_seconds(left)}",
            f"RSS {format_bytes(self.rss_bytes)}{limit}",
            f"chunk {self.chunk_rows:,}",
        ]
        if self.loss is not None:
            parts.append(f"loss {self.loss:.4g}")
        return "  ".join(parts)


def line_of(event: Event, standing: Standing) -> str | None:
    """Return a line that stays, for events worth one."""
    if isinstance(event, PassEnded):
        rate = standing.rows / max(1e-9, event.took_s)
        return (
            f"{event.name}: {standing.rows:,} rows in {format_seconds(event.took_s)} "
            f"({rate:,.0f} rows/s), RSS {format_bytes(standing.rss_bytes)}"
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


class Progress:
    """A listener that shows how a run goes; for ``listeners=`` of `fit` and all other calls.

    In a notebook (Jupyter, Colab, VS Code) it is one display that renews itself a few times a
    second: pass, rows, speed, time left, memory against the budget, loss, and a line for each pass
    and epoch that ended. It needs no widgets. Elsewhere lines go to standard error. One may be
    used for several calls, one after the other.

    Parameters
    ----------
    every_s : float, optional
        Least seconds between two renewals; by default 0.25 in a notebook and 5 elsewhere. What
        ended is shown at once.

    Examples
    --------
    >>> import numpy as np
    >>> import streamlearn
    >>> from sklearn.linear_model import SGDRegressor
    >>> X = np.zeros((100, 2))
    >>> result = streamlearn.fit(
    ...     SGDRegressor(), (X, X[:, 0]), listeners=[streamlearn.Progress()]
    ... )
    """

    def __init__(self, every_s: float | None = None) -> None:
        self._notebook = _in_notebook()
        default = _DISPLAY_EVERY_S if self._notebook else _LINES_EVERY_S
        self._every_s = default if every_s is None else every_s
        self._run = _Run()

    def __call__(self, event: Event) -> None:
        """Take an event, and show what it changes."""
        if isinstance(event, PassStarted) and event.seconds < self._run.standing.now_s:
            # Another call: its clock begins anew.
            self._run = _Run()
        run = self._run
        run.standing.take(event)
        line = line_of(event, run.standing)
        if line is not None:
            run.lines.append(line)
        if isinstance(event, PassStarted | PassEnded):
            run.ended = isinstance(event, PassEnded)
        if not self._notebook:
            self._print(event, line)
        elif line is not None or (isinstance(event, ChunkRead | PassStarted) and self._due()):
            self._display()

    def _due(self) -> bool:
        return time.perf_counter() - self._run.shown_s >= self._every_s

    def _print(self, event: Event, line: str | None) -> None:
        if line is not None:
            _write(line)
        elif isinstance(event, ChunkRead) and self._due():
            self._run.shown_s = time.perf_counter()
            _write(self._run.standing.line())

    def _display(self) -> None:
        from IPython.display import HTML, display

        run = self._run
        html = HTML(run.html())
        if run.handle is None:
            run.handle = display(html, display_id=True)
        else:
            run.handle.update(html)
        run.shown_s = time.perf_counter()


@dataclass
class _Run:
    """What is shown of one call."""

    standing: Standing = field(default_factory=Standing)
    lines: list[str] = field(default_factory=list)
    ended: bool = False
    """Whether no pass is going on."""
    shown_s: float = field(default_factory=time.perf_counter)
    handle: Any = None

    def html(self) -> str:
        standing = self.standing
        limit = standing.limit_bytes
        return render(
            "progress_fragment.html.j2",
            standing=standing,
            going=not self.ended,
            memory_share=min(1.0, standing.rss_bytes / limit) if limit else 0.0,
            lines=self.lines[-_MOST_LINES:],
            more=max(0, len(self.lines) - _MOST_LINES),
        )


def _write(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _in_notebook() -> bool:
    """Whether the output is that of a notebook's kernel; IPython is not imported for that."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return hasattr(shell, "kernel")
