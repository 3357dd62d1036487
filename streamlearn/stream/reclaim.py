"""Giving memory back to the system.

``gc.collect`` alone returns none of Arrow's memory: its pool and glibc's arenas have to be
asked, after the last reference is gone.
"""

from __future__ import annotations

import ctypes
import gc
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pyarrow as pa

__all__ = ["RECLAIMERS", "lean_arrow", "unmap_libraries"]

_MAPPED_FILE = re.compile(
    rb"^([0-9a-f]+)-([0-9a-f]+) r-[-x]p \S+ \S+ [1-9]\d* .*\n(?:[A-Z]\w+: .*\n)*?Anonymous: +0 kB",
    re.MULTILINE,
)
_MADV_DONTNEED = 4


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


def unmap_libraries() -> None:
    """Give back the pages of shared libraries that were touched while they were loaded.

    Importing leaves some 70 MB of code and tables resident, most of it never used again. What is
    used comes back from the page cache. Only read-only, private maps of files without a page of
    their own are touched: for those the kernel promises the file's contents again
    (``MADV_DONTNEED``, madvise(2)). Linux only; some 15 ms.
    """
    if sys.platform != "linux":
        return
    try:
        with open("/proc/self/smaps", "rb") as file:
            maps = file.read()
        madvise = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        return
    for found in _MAPPED_FILE.finditer(maps):
        start, stop = (int(found.group(part), 16) for part in (1, 2))
        madvise(ctypes.c_void_p(start), ctypes.c_size_t(stop - start), _MADV_DONTNEED)


def collect_garbage() -> None:
    """Collect reference cycles, then trim."""
    gc.collect()
    trim_malloc()


RECLAIMERS: tuple[tuple[str, Callable[[], None]], ...] = (
    ("arrow pool", release_arrow),
    ("malloc_trim", trim_malloc),
    ("library pages", unmap_libraries),
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
