"""Events as log records, and the run folder's ``log.jsonl``."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from streamlearn.stream.events import BatchLearned, ChunkRead, Event, Warned

__all__ = ["journal", "log_event"]

log = logging.getLogger("streamlearn")


def log_event(event: Event) -> None:
    """Log an event; those of every chunk and batch at level DEBUG."""
    if isinstance(event, Warned):
        return  # logged where it arose, as a warning
    level = logging.DEBUG if isinstance(event, ChunkRead | BatchLearned) else logging.INFO
    if log.isEnabledFor(level):
        values = {item.name: getattr(event, item.name) for item in fields(event)}
        shown = ", ".join(f"{name}={value}" for name, value in values.items() if name != "seconds")
        log.log(level, "%s: %s", type(event).__name__, shown, extra={"streamlearn_event": values})


class _JsonLines(logging.Handler):
    """Writes records as JSON, a line each."""

    def __init__(self, file: IO[str]) -> None:
        super().__init__(logging.INFO)
        self._file = file
        self._full = False

    def emit(self, record: logging.LogRecord) -> None:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "message": record.getMessage(),
            **getattr(record, "streamlearn_event", {}),
        }
        if not self._full:
            try:
                self._file.write(json.dumps(line, default=str) + "\n")
                self._file.flush()
            except OSError:
                # A full disk is told once, by whatever has to be written for the run to count.
                self._full = True


@contextmanager
def journal(folder: Path) -> Iterator[None]:
    """Write what is logged meanwhile to ``log.jsonl`` in a folder."""
    level = log.level
    with (folder / "log.jsonl").open("w", encoding="utf-8") as file:
        handler = _JsonLines(file)
        log.addHandler(handler)
        if log.getEffectiveLevel() > logging.INFO:
            log.setLevel(logging.INFO)
        try:
            yield
        except BaseException as error:
            log.error("%s: %s", type(error).__name__, error)  # noqa: TRY400 - said once, to the user
            raise
        finally:
            log.removeHandler(handler)
            log.setLevel(level)
