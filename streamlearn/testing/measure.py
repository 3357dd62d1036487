"""Peak memory of a fresh process, seen from outside it, and under a limit of the kernel.

The kernel's high-water mark (``VmHWM``) is reset by the run that is being measured, so the
parent reads it every two milliseconds and keeps the highest.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Measured", "measure", "why_no_kernel_limit"]

_POLL_S = 0.002


@dataclass(frozen=True)
class Measured:
    """One program, run in a process of its own."""

    exit_code: int
    """Negative: the signal that ended it."""
    seconds: float
    peak_bytes: int
    """Highest ``VmHWM`` seen from outside."""
    output: str
    errors: str

    @property
    def killed(self) -> bool:
        """Whether it was killed, as the kernel does with what outgrows a memory cgroup."""
        return self.exit_code == -signal.SIGKILL

    @property
    def last(self) -> dict[str, Any]:
        """The last line of the output, read as JSON."""
        found: dict[str, Any] = json.loads(self.output.strip().splitlines()[-1])
        return found


def measure(code: str, *, timeout_s: float = 600, kernel_limit: int | None = None) -> Measured:
    """Run Python code in a fresh process and watch its memory.

    Parameters
    ----------
    code : str
    timeout_s : float
        Then it is killed, and TimeoutError raised.
    kernel_limit : int, optional
        Bytes of a memory cgroup made for it, page cache included.

    Raises
    ------
    OSError
        If a cgroup was asked for and cannot be made; `why_no_kernel_limit` tells beforehand.
    """
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        _limited(kernel_limit) as enter,
    ):
        began = time.perf_counter()
        child = subprocess.Popen(
            [sys.executable, "-c", code], stdout=out, stderr=err, preexec_fn=enter
        )
        peak = 0
        try:
            while child.poll() is None:
                peak = max(peak, _high_water(child.pid))
                if time.perf_counter() - began > timeout_s:
                    raise TimeoutError(f"not done after {timeout_s:g} s")
                time.sleep(_POLL_S)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        seconds = time.perf_counter() - began
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    return Measured(child.returncode, seconds, peak, *texts)


def _high_water(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    start = text.find("VmHWM:")
    return int(text[start + 6 :].split(None, 1)[0]) * 1024 if start >= 0 else 0


def why_no_kernel_limit() -> str | None:
    """Return why no memory cgroup can be made here, or None if one can."""
    try:
        with _limited(1 << 30):
            return None
    except OSError as error:
        return f"no memory cgroup can be made here: {error}"


@contextmanager
def _limited(limit_bytes: int | None) -> Iterator[Callable[[], None] | None]:
    """Make a memory cgroup; yield what moves the calling process into it."""
    if limit_bytes is None:
        yield None
        return
    folder, file = _new_group()
    folder.mkdir()
    try:
        (folder / file).write_text(str(limit_bytes))
        entrance = os.open(folder / "cgroup.procs", os.O_WRONLY)
        try:
            yield lambda: _enter(entrance)
        finally:
            os.close(entrance)
    finally:
        folder.rmdir()


def _enter(entrance: int) -> None:
    os.write(entrance, b"0")


def _new_group() -> tuple[Path, str]:
    """Return a folder for a new group, inside our own (version 1) or beside it (2)."""
    root = Path("/sys/fs/cgroup")
    name = f"streamlearn-{os.getpid()}-{time.monotonic_ns()}"
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, kinds, group = line.split(":", 2)
        if "memory" in kinds.split(","):
            own = root / "memory" / group.strip("/")
            base = own if own.is_dir() else root / "memory"
            return base / name, "memory.limit_in_bytes"
    return root / name, "memory.max"
