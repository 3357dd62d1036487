"""What the kernel says of this process's memory."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from typing import Protocol

__all__ = ["KernelProbe", "Probe", "PsutilProbe", "Reading", "make_probe"]


_SAMPLE_S = 0.01


@dataclass(frozen=True, slots=True)
class Reading:
    """The process's memory at one moment, in bytes."""

    rss: int
    """Resident, file-mapped pages included."""
    peak: int
    """Highest resident since the last reset."""
    mapped: int
    """Of the resident memory, pages of files: they give way where others do not. 0 if unknown."""


class Probe(Protocol):
    """Readings of the process's memory."""

    exact_peak: bool
    """Whether the peak is the kernel's own high-water mark."""

    def read(self) -> Reading:
        """Return all there is to know, in one look."""
        ...

    def rss(self) -> int:
        """Return resident memory now, in bytes, file-mapped pages included."""
        ...

    def reset(self) -> None:
        """Start a new high-water mark from here."""
        ...


class KernelProbe:
    """Linux: ``VmHWM``, reset through ``/proc/self/clear_refs``; some microseconds a reading."""

    exact_peak = True

    def __init__(self) -> None:
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        self._status = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
        self._clear = os.open("/proc/self/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
        self.reset()

    def read(self) -> Reading:
        """See `Probe.read`."""
        # One call: each gives up the interpreter lock, and may wait for it afterwards.
        text = os.pread(self._status, 4096, 0)
        resident, peak, files, shared = (
            _kilobytes(text, name) for name in (b"VmRSS:", b"VmHWM:", b"RssFile:", b"RssShmem:")
        )
        return Reading(resident, max(peak, resident), files + shared)

    def rss(self) -> int:
        """See `Probe.rss`."""
        return int(os.pread(self._statm, 128, 0).split()[1]) * self._page

    def reset(self) -> None:
        """See `Probe.reset`."""
        os.write(self._clear, b"5")

    def close(self) -> None:
        """Close the kernel's files."""
        for handle in (self._statm, self._status, self._clear):
            os.close(handle)


def _kilobytes(status: bytes, name: bytes) -> int:
    start = status.find(name)
    if start < 0:
        return 0
    start += len(name)
    return int(status[start : status.index(b"kB", start)]) * 1024


class PsutilProbe:
    """Elsewhere: resident memory by psutil, the peak as the highest of a sample each 10 ms."""

    exact_peak = False

    def __init__(self) -> None:
        import psutil

        self._process = psutil.Process()
        self._highest = 0
        self._closed = threading.Event()
        self._sampler = threading.Thread(
            target=self._sample, name="streamlearn-sample", daemon=True
        )
        self._sampler.start()

    def _sample(self) -> None:
        while not self._closed.wait(_SAMPLE_S):
            self.read()

    def read(self) -> Reading:
        """See `Probe.read`."""
        found = self._process.memory_info()
        self._highest = max(self._highest, int(found.rss))
        return Reading(int(found.rss), self._highest, int(getattr(found, "shared", 0)))

    def rss(self) -> int:
        """See `Probe.rss`."""
        return self.read().rss

    def reset(self) -> None:
        """See `Probe.reset`."""
        self._highest = 0

    def close(self) -> None:
        """Stop sampling."""
        self._closed.set()
        self._sampler.join()


def make_probe() -> KernelProbe | PsutilProbe:
    """Return the best probe this system offers."""
    if sys.platform == "linux":
        try:
            return KernelProbe()
        except (OSError, ValueError):
            pass
    return PsutilProbe()
