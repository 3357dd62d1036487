"""A limit that the kernel holds: an overrun becomes an error, and not a killed process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamlearn.errors import MemoryBudgetError, StreamlearnError, UsageError
from streamlearn.sizes import format_bytes

__all__ = ["hard_limit"]

_ADDRESSES_BYTES = 96_000_000
"""Addresses taken without a page behind them: stacks of threads, arenas of the allocators."""
_NO_THREAD = "can't start new thread"


@contextmanager
def hard_limit(limit_bytes: int, reserved_bytes: int) -> Iterator[None]:
    """Let the kernel refuse private memory beyond the budget (``RLIMIT_DATA``; no privileges needed).

    What is refused surfaces as a MemoryError wherever it was asked for, and leaves here as a
    `MemoryBudgetError`. The limit counts addresses and not pages, so it lies a little above the
    budget: the governor keeps the budget, this is the net below it.

    Parameters
    ----------
    limit_bytes : int
        The budget.
    reserved_bytes : int
        Resident memory of the process now.

    Raises
    ------
    MemoryBudgetError
        If memory was refused.
    UsageError
        If this system has no such limit.
    """
    if sys.platform != "linux":
        raise UsageError("hard_limit needs Linux; leave it out: the budget is watched all the same")
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    allowed = _data_bytes() + limit_bytes - reserved_bytes + _ADDRESSES_BYTES
    if before[0] != resource.RLIM_INFINITY:
        allowed = min(allowed, before[0])
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, before[1]))
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        resource.setrlimit(resource.RLIMIT_DATA, before)
        refused = isinstance(error, MemoryError) or _NO_THREAD in str(error)
        if isinstance(error, StreamlearnError) or not refused:
            raise
        raise MemoryBudgetError(
            f"the kernel refused memory beyond the budget of {format_bytes(limit_bytes)} "
            f"(hard_limit; {error or 'out of memory'}): of it {format_bytes(reserved_bytes)} "
            "were in use when the run began. Use a larger memory_budget, or a smaller batch_size; "
            "nothing was saved"
        ) from error
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _data_bytes() -> int:
    """Return the private writable addresses of this process, in bytes (``VmData``)."""
    text = Path("/proc/self/status").read_text()
    return int(text[text.index("VmData:") + 7 :].split(None, 1)[0]) * 1024
