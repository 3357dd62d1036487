"""Run one contender in this process: ``python -m benchmarks.program JOB``, JOB as JSON.

A contender is a module with ``run(job, ready)``, which is timed. Its imports are not, nor is
``prepare(job)``, whose answer is ``ready``. Afterwards, untimed, ``predict(fitted, table)`` gives
predictions for held-out rows and ``coefficients(fitted)`` what is compared with ours. ``REPEAT``
asks for later calls in the same process, whose median is kept.

It prints two lines of JSON: the costs as soon as ``run`` is back, so that who watches the memory
knows when to stop, and then the results.
"""

from __future__ import annotations

import importlib
import json
import platform
import statistics
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.job import Job

__all__ = ["answer", "run"]

_SHOWN = ("scikit-learn", "numpy", "pandas", "pyarrow", "scipy", "zarr")


def run(job: Job) -> tuple[Any, dict[str, Any], Any]:
    """Run a contender; return its module, its costs, and what it fitted."""
    module = importlib.import_module(f"benchmarks.contenders.{job.program}")
    ready = module.prepare(job) if hasattr(module, "prepare") else None
    began, cpu = time.perf_counter(), time.process_time()
    fitted = module.run(job, ready)
    costs = {"wall": time.perf_counter() - began, "cpu": time.process_time() - cpu}
    costs["peak"] = _high_water()
    later = []
    for _ in range(getattr(module, "REPEAT", 0)):
        began = time.perf_counter()
        module.run(job, ready)
        later.append(time.perf_counter() - began)
    if later:
        costs["later"] = statistics.median(later)
    return module, costs, fitted


def answer(job: Job, module: Any, fitted: Any) -> dict[str, Any]:
    """Score a fitted contender on the held-out rows; leave its coefficients in ``coef.npy``."""
    found: dict[str, Any] = {"versions": _versions(getattr(module, "PACKAGES", ()))}
    if hasattr(module, "predict"):
        found["score"] = _score(job, module, fitted)
    if hasattr(module, "coefficients"):
        np.save(Path(job.out) / "coef.npy", np.asarray(module.coefficients(fitted)).ravel())
    return found


def _score(job: Job, module: Any, fitted: Any) -> float:
    with pq.ParquetFile(Path(job.held) / "part-00000.parquet") as file:
        table = file.read()
    truth = table[job.target].to_numpy()
    guess = np.asarray(module.predict(fitted, table.drop_columns([job.target])))
    if job.metric == "accuracy":
        return float((guess == truth).mean())
    return float(np.sqrt(np.mean((guess - truth) ** 2)))


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    found = {"Python": platform.python_version()}
    for name in (*packages, *_SHOWN):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _high_water() -> int:
    """Return this process's ``VmHWM`` in bytes, 0 where the system has none."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return int(text.split("VmHWM:")[1].split(None, 1)[0]) * 1024


def main() -> None:
    """Run the job of the command line."""
    job = Job.loads(sys.argv[1])
    module, costs, fitted = run(job)
    print(json.dumps(costs), flush=True)
    print(json.dumps(answer(job, module, fitted)), flush=True)


if __name__ == "__main__":
    main()
