"""Memory as arithmetic: limit, reserved, projected, measured.

*Limit* is the budget. *Reserved* is what the process held when the call came. *Projected* is
the highest the process should reach: reserved, plus the most that any pass holds at once.
*Measured* is what the kernel counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamlearn.errors import MemoryBudgetError
from streamlearn.sizes import format_bytes, option_bytes

__all__ = ["SLACK", "Demand", "MemoryPlan", "Term", "block_rows", "plan_memory", "smallest_budget"]

_BLOCK_ROWS = 8_192
_BLOCK_CELLS = 1 << 21
_LEAST_BLOCK = 64
_SLACK_BYTES = 32_000_000
"""Of the allocators, and of modules imported on the way."""
_LIBRARY_BYTES = 32_000_000
"""Pages of shared libraries that are touched on the way, where nothing better is known."""
_THREAD_BYTES = 16_000_000
"""What a further thread keeps in the allocator's arenas."""
_FILL = 0.9
"""Share of the budget that a plan fills, where it has the choice."""
_LEAST_ROWS = 256
_GOOD_ROWS = 16_384
"""Chunks this long are read as fast as longer ones; a further reader is worth less than that."""
_MOST_ROWS = 65_536
_CHUNK_BYTES = 16_000_000
_READ_FACTOR = 3.3
"""A reader holds about so many times the decoded rows."""
_MB = 1_000_000
SLACK = "slack"
"""What a term is called that stands for what cannot be foreseen."""


def block_rows(cells: int, row_bytes: float = 0.0) -> int:
    """Return how many rows a statistics pass takes at once: a function of their width alone.

    Parameters
    ----------
    cells : int
        Columns the pass reads, or that its steps learn from, whichever is more.
    row_bytes : float
        Decoded bytes of a row, as the source says.

    Examples
    --------
    >>> block_rows(28), block_rows(5_000), block_rows(1, 50_000)
    (8192, 419, 320)
    """
    rows = min(_BLOCK_ROWS, _BLOCK_CELLS / max(1, cells), _CHUNK_BYTES / max(1.0, row_bytes))
    return max(_LEAST_BLOCK, int(rows))


@dataclass(frozen=True)
class Term:
    """One thing a pass holds."""

    what: str
    size_bytes: int


@dataclass(frozen=True)
class Demand:
    """What a pass holds, as far as the chunk size does not matter, and per row of a chunk."""

    name: str
    reader_bytes: int
    """Of one open reader, whatever the chunk size."""
    row_bytes: float
    """A reader holds for each row of the chunk it is making."""
    chunk_row_bytes: float
    """Decoded bytes of one row of a finished chunk."""
    chunks_in_flight: int
    """Finished chunks that may wait, over all readers."""
    held: tuple[Term, ...]
    """Everything else: batches, matrices, statistics, model."""
    remedy: str = "a smaller batch_size, or fewer features"
    """What else would help, where it does not fit."""
    further_readers: int = 0
    """Readers beyond the plan's: a pass of statistics leaves the caller's thread idle."""

    note: str = ""
    """What is large about a reader."""
    most_rows: int = _MOST_ROWS
    """Rows of the longest chunk there can be."""

    def terms(self, chunk_rows: int, readers: int, *, further: bool = False) -> tuple[Term, ...]:
        """Return what the pass holds with this chunk size and as many readers."""
        readers += self.further_readers * further
        waiting = int(self.chunk_row_bytes * chunk_rows * self.chunks_in_flight * readers)
        return (
            Term(
                f"{readers} reader{'s' if readers > 1 else ''}: buffers, pages, chunk"
                + (f" ({self.note})" if self.note else ""),
                readers * int(self.reader_bytes + self.row_bytes * chunk_rows)
                + (readers - 1) * _THREAD_BYTES,
            ),
            Term("chunks in flight", waiting),
            *self.held,
        )

    def total(self, chunk_rows: int, readers: int, *, further: bool = False) -> int:
        """Return the bytes of all terms."""
        return sum(term.size_bytes for term in self.terms(chunk_rows, readers, further=further))


@dataclass(frozen=True)
class MemoryPlan:
    """Whether it fits, and with which chunk size."""

    limit_bytes: int
    reserved_bytes: int
    projected_bytes: int
    floor_bytes: int
    """The smallest budget that would do."""
    chunk_rows: int
    readers: int
    passes: tuple[tuple[str, tuple[Term, ...]], ...]
    """What each pass holds, by its name."""
    requested_rows: int | None = None
    """The chunk size asked for, where the budget allows only a smaller one."""
    further: bool = False
    """Whether passes of statistics have the further readers they could use."""


def plan_memory(
    demands: Sequence[Demand],
    *,
    limit_bytes: int,
    reserved_bytes: int,
    chunk_size: int | None = None,
    readers: int = 1,
    library_bytes: int = _LIBRARY_BYTES,
) -> MemoryPlan:
    """Choose the largest chunk, and as many readers, as fit in the budget.

    Parameters
    ----------
    demands : sequence of Demand
        What each pass holds.
    chunk_size : int, optional
        Rows asked for; fewer are taken where the budget needs it.
    library_bytes : int
        Pages of shared libraries that will be touched: they differ from one installation to the
        next.

    Raises
    ------
    MemoryBudgetError
        If even the smallest chunk does not fit; the message has the budget that would do.

    Examples
    --------
    >>> demand = Demand("learn", 10_000_000, 500, 150, 2, (Term("batch", 5_000_000),))
    >>> plan = plan_memory([demand], limit_bytes=512_000_000, reserved_bytes=200_000_000)
    >>> plan.chunk_rows, plan.projected_bytes
    (65536, 331428800)
    """
    most = chunk_size or _default_rows(demands)
    least = min(most, _LEAST_ROWS)
    slack = _SLACK_BYTES + library_bytes
    floor = smallest_budget(
        demands,
        reserved_bytes=reserved_bytes,
        chunk_size=chunk_size,
        library_bytes=library_bytes,
    )
    if floor > limit_bytes:
        raise _does_not_fit(demands, limit_bytes, reserved_bytes, floor, least, slack)

    def projected(rows: int, count: int, further: bool) -> int:
        return reserved_bytes + slack + _peak(demands, rows, count, further)

    # Planned to the brim, a run would spend its time shrinking chunks.
    target = max(floor, int(_FILL * limit_bytes))
    good = min(most, _GOOD_ROWS)
    count, further = max(1, readers), any(demand.further_readers for demand in demands)
    while projected(good, count, further) > target and (count > 1 or further):
        further, count = (False, count) if further else (False, count - 1)
    rows = most
    if projected(rows, count, further) > target:
        low, high = least, most
        while high - low > max(1, low // 64):
            middle = (low + high) // 2
            fits = projected(middle, count, further) <= target
            low, high = (middle, high) if fits else (low, middle)
        rows = low
    return MemoryPlan(
        limit_bytes=limit_bytes,
        reserved_bytes=reserved_bytes,
        projected_bytes=projected(rows, count, further),
        floor_bytes=floor,
        chunk_rows=rows,
        readers=count,
        passes=tuple(
            (
                demand.name,
                (
                    Term("held at the start (reserved)", reserved_bytes),
                    Term("library pages to be used", library_bytes),
                    Term(SLACK, _SLACK_BYTES),
                    *(
                        term
                        for term in demand.terms(rows, count, further=further)
                        if term.size_bytes
                    ),
                ),
            )
            for demand in demands
        ),
        requested_rows=chunk_size if chunk_size is not None and rows < chunk_size else None,
        further=further,
    )


def smallest_budget(
    demands: Sequence[Demand],
    *,
    reserved_bytes: int,
    chunk_size: int | None = None,
    library_bytes: int = _LIBRARY_BYTES,
) -> int:
    """Return the smallest budget that would do, in bytes: one reader, the smallest chunk."""
    least = min(chunk_size or _default_rows(demands), _LEAST_ROWS)
    needed = reserved_bytes + _SLACK_BYTES + library_bytes
    needed += _peak(demands, least, 1, further=False)
    return -(-needed // _MB) * _MB


def _peak(demands: Sequence[Demand], rows: int, readers: int, further: bool) -> int:
    return max((demand.total(rows, readers, further=further) for demand in demands), default=0)


def _default_rows(demands: Sequence[Demand]) -> int:
    widest = max(
        (max(demand.chunk_row_bytes, demand.row_bytes / _READ_FACTOR) for demand in demands),
        default=1.0,
    )
    most = max((demand.most_rows for demand in demands if demand.row_bytes), default=_MOST_ROWS)
    rows = min(_MOST_ROWS, most, _CHUNK_BYTES / max(1.0, widest))
    return int(max(min(_LEAST_ROWS, most), rows))


def _does_not_fit(
    demands: Sequence[Demand], limit: int, reserved: int, floor: int, rows: int, slack: int
) -> MemoryBudgetError:
    # What the process holds differs by some MB from one start to the next.
    enough = option_bytes(floor * 1.03)
    worst = max(demands, key=lambda demand: demand.total(rows, 1))
    largest = max(worst.terms(rows, 1), key=lambda term: term.size_bytes)
    needs = (
        f"pass {worst.name!r} needs {format_bytes(worst.total(rows, 1) + slack)} "
        f"(most of it: {largest.what}, {format_bytes(largest.size_bytes)})"
    )
    if limit <= reserved:
        return MemoryBudgetError(
            f"the memory budget is {format_bytes(limit)}, but the process holds "
            f"{format_bytes(reserved)} already (Python, the libraries, your own data), and {needs}; "
            f"use memory_budget='{enough}' or --memory-budget {enough}, or say '+300MB' for what "
            "may come on top"
        )
    return MemoryBudgetError(
        f"{needs}, but the budget of {format_bytes(limit)} less {format_bytes(reserved)} already "
        f"in use by the process leaves {format_bytes(limit - reserved)}; use "
        f"memory_budget='{enough}' or --memory-budget {enough}, or {worst.remedy}"
    )
