"""What every writer offers."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from streamlearn.plan.memory import Term

__all__ = ["Columns", "Writer", "Written", "naming_a_full_disk"]


@dataclass(frozen=True)
class Written:
    """What stands in the output, as it was found there after writing."""

    rows: int
    size_bytes: int
    files: int


class Columns(Protocol):
    """The columns of a table that is written."""

    @property
    def columns(self) -> pa.Schema:
        """Names and types."""
        ...

    def as_columns(self, group: pa.RecordBatch) -> pa.RecordBatch:
        """Return a group with these columns."""
        ...


class Writer(Protocol):
    """Takes rows group by group.

    The groups are cut by the data alone (see `streamlearn.write.groups`), and a writer makes the
    same bytes of the same groups.
    """

    def terms(self) -> tuple[Term, ...]:
        """Say what writing holds, for the memory plan."""
        ...

    def append(self, group: pa.RecordBatch) -> None:
        """Write the next rows."""
        ...

    def finish(self) -> Written:
        """Complete the output, and look at what is there."""
        ...

    def abandon(self) -> None:
        """Let go of open files after an error."""
        ...


@contextmanager
def naming_a_full_disk(place: str | os.PathLike[str], remedy: str) -> Iterator[None]:
    """Say which disk is full, and what to do: the system's own message names no file."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OSError(error.errno, f"the disk is full; {remedy}", os.fspath(place)) from error
