"""scikit-learn with everything in memory."""

import pandas as pd

from benchmarks.contenders.predict import coefficients, load
from benchmarks.contenders.taxi import COLUMNS

__all__ = ["coefficients", "prepare", "run"]


def prepare(job):
    return load(job)


def run(job, ready):
    out = job.out + "/predictions.parquet"
    frame = pd.read_parquet(job.folder, columns=COLUMNS)
    pd.DataFrame({"prediction": ready.predict(frame)}).to_parquet(out)
    return out
