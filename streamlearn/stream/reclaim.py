"""Giving memory back to the system.

``gc.collect`` alone returns none of Arrow's memory: its pool and glibc's arenas have to be
asked, after the last reference is gone.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pyarrow as pa

__all__ = ["RECLAIMERS", "lean_arrow"]


def release_arrow() -> None:
    """Give back what Arrow's memory pool holds without use."""
    pa.default_memory_pool().release_unused()


def trim_malloc() -> None:
    """Give back glibc's free memory; nothing elsewhere."""
    if sys.platform != "linux":
        return
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):  # musl has none
        return


def collect_garbage() -> None:
    """Collect reference cycles, then trim."""
    gc.collect()
    trim_malloc()


RECLAIMERS: tuple[tuple[str, Callable[[], None]], ...] = (
    ("arrow pool", release_arrow),
    ("malloc_trim", trim_malloc),
    ("gc", collect_garbage),
)
"""From the cheapest to the dearest."""


@contextmanager
def lean_arrow() -> Iterator[None]:
    """Use Arrow's jemalloc pool, where it is built in: it keeps least beyond what is in use."""
    before = pa.default_memory_pool()
    try:
        pa.set_memory_pool(pa.jemalloc_memory_pool())
    except (NotImplementedError, AttributeError):
        yield
        return
    try:
        yield
    finally:
        pa.set_memory_pool(before)
