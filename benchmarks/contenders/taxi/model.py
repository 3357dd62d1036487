"""A floor: partial_fit alone, on prepared batches in memory, again and again to all rows."""

import glob
import itertools

from benchmarks.contenders.dense.model import learn
from benchmarks.contenders.taxi import COLUMNS, TARGET, make_taxi_pipeline
from benchmarks.contenders.taxi.hand import frames

PIPELINE = make_taxi_pipeline()


def prepare(job):
    paths = sorted(glob.glob(job.folder + "/*.parquet"))
    kept = list(itertools.islice(frames(paths, [*COLUMNS, TARGET]), 16))
    transformer = PIPELINE[0].fit(kept[0][COLUMNS])
    return [(transformer.transform(frame[COLUMNS]), frame[TARGET].to_numpy()) for frame in kept]


def run(job, ready):
    return learn(PIPELINE[-1], ready, job.rows)
