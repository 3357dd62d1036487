"""streamlearn."""

import streamlearn as sl
import streamlearn.run
from benchmarks.contenders.predict import coefficients, load
from benchmarks.contenders.taxi import COLUMNS

__all__ = ["coefficients", "prepare", "run"]


def prepare(job):
    return load(job)


def run(job, ready):
    out = job.out + "/predictions"
    sl.predict(ready, sl.scan(job.folder, features=COLUMNS), out=out, memory_budget=job.budget)
    return out
