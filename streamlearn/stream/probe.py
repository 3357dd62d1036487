"""What the kernel says of this process's memory."""

from __future__ import annotations

import os
import sys
from typing import Protocol

__all__ = ["KernelProbe", "Probe", "PsutilProbe", "make_probe"]


class Probe(Protocol):
    """Readings of the process's memory, in bytes."""

    exact_peak: bool
    """Whether `peak` is the kernel's own high-water mark."""

    def rss(self) -> int:
        """Resident memory now, file-mapped pages included."""
        ...

    def mapped(self) -> int:
        """Resident pages of files now: they give way where anonymous ones do not; 0 if unknown."""
        ...

    def peak(self) -> int:
        """Highest resident memory since the last `reset`."""
        ...

    def reset(self) -> None:
        """Start a new high-water mark from here."""
        ...


class KernelProbe:
    """Linux: ``VmHWM``, reset through ``/proc/self/clear_refs``; some microseconds a reading."""

    exact_peak = True

    def __init__(self) -> None:
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._pid = os.getpid()
        self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        self._status = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
        self._clear = os.open("/proc/self/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
        self.reset()

    def rss(self) -> int:
        """See `Probe.rss`."""
        return int(os.pread(self._statm, 128, 0).split()[1]) * self._page

    def mapped(self) -> int:
        """See `Probe.mapped`."""
        return int(os.pread(self._statm, 128, 0).split()[2]) * self._page

    def peak(self) -> int:
        """See `Probe.peak`."""
        text = os.pread(self._status, 4096, 0)
        start = text.index(b"VmHWM:") + 6
        return int(text[start : text.index(b"kB", start)]) * 1024

    def reset(self) -> None:
        """See `Probe.reset`."""
        os.write(self._clear, b"5")

    def close(self) -> None:
        """Close the kernel's files."""
        for handle in (self._statm, self._status, self._clear):
            os.close(handle)


class PsutilProbe:
    """Elsewhere: resident memory by psutil, the peak as the highest reading taken."""

    exact_peak = False

    def __init__(self) -> None:
        import psutil

        self._process = psutil.Process()
        self._highest = 0

    def rss(self) -> int:
        """See `Probe.rss`."""
        now = int(self._process.memory_info().rss)
        self._highest = max(self._highest, now)
        return now

    def mapped(self) -> int:
        """See `Probe.mapped`."""
        return int(getattr(self._process.memory_info(), "shared", 0))

    def peak(self) -> int:
        """See `Probe.peak`."""
        self.rss()
        return self._highest

    def reset(self) -> None:
        """See `Probe.reset`."""
        self._highest = 0

    def close(self) -> None:
        """Nothing to close."""


def make_probe() -> KernelProbe | PsutilProbe:
    """Return the best probe this system offers."""
    if sys.platform == "linux":
        try:
            return KernelProbe()
        except (OSError, ValueError):
            pass
    return PsutilProbe()
