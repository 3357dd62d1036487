"""A floor: predict alone, on prepared batches in memory, again and again to all rows."""

import glob
import itertools

from benchmarks.contenders.predict import load
from benchmarks.contenders.taxi import COLUMNS
from benchmarks.contenders.taxi.hand import frames


def prepare(job):
    pipeline = load(job)
    paths = sorted(glob.glob(job.folder + "/*.parquet"))
    kept = itertools.islice(frames(paths, COLUMNS), 16)
    return pipeline[-1], [pipeline[0].transform(frame) for frame in kept]


def run(job, ready):
    model, kept = ready
    left = job.rows
    for X in itertools.cycle(kept):
        model.predict(X[:left])
        left -= min(left, X.shape[0])
        if not left:
            return
