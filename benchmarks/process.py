"""One contender in a fresh process, watched from outside."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.job import Job

__all__ = ["run_apart"]

# The kernel's mark is reset by what keeps a budget, so it is read often; more often than this
# would take time from what is measured.
_POLL_S = 0.004
_ROOT = Path(__file__).parent.parent


def run_apart(job: Job, python: str, timeout_s: float) -> dict[str, Any]:
    """Run a job under an interpreter.

    Returns
    -------
    dict
        ``wall`` and ``cpu`` in seconds, ``peak`` in bytes, ``score``, ``versions``; or ``error``.
    """
    paths = [os.fspath(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            child = subprocess.Popen(
                [python, "-W", "ignore", "-m", "benchmarks.program", job.dumps()],
                stdout=out,
                stderr=err,
                env=environment,
                cwd=job.out,
            )
        except OSError as error:
            return {"error": f"{python}: {error.strerror}"}
        try:
            peak, in_time = _watch(child, out.fileno(), timeout_s)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        lines, errors = _text(out).strip().splitlines(), _text(err)
    if not in_time:
        return {"error": f"not done after {timeout_s:g} s"}
    if child.returncode:
        return {"error": _reason(errors, child.returncode)}
    costs, results = (json.loads(line) for line in lines[-2:])
    return {**costs, **results, "peak": max(peak, costs["peak"])}


def _watch(child: subprocess.Popen[bytes], out: int, timeout_s: float) -> tuple[int, bool]:
    """Return the highest mark until the first line of output, and whether it ended in time."""
    began, peak = time.perf_counter(), 0
    while child.poll() is None:
        if not os.fstat(out).st_size:
            peak = max(peak, _high_water(child.pid))
        if time.perf_counter() - began > timeout_s:
            return peak, False
        time.sleep(_POLL_S)
    return peak, True


def _high_water(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    start = text.find("VmHWM:")
    return int(text[start + 6 :].split(None, 1)[0]) * 1024 if start >= 0 else 0


def _text(file: Any) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _reason(errors: str, code: int) -> str:
    """Return the last line that says something, of a traceback or of the kernel's doing."""
    if code < 0:
        return f"killed by signal {-code}"
    said = [line.strip() for line in errors.splitlines() if line and not line.startswith(" ")]
    # A contender's message may go on over lines: the line that names the error is the one.
    named = [line for line in said if line.split(":")[0].endswith(("Error", "Exception", "Exit"))]
    return (named or said or [f"exit code {code}"])[-1][:300]
