"""A floor: partial_fit alone, on prepared batches in memory, again and again to all rows."""

import itertools

from sklearn.preprocessing import StandardScaler

from benchmarks.contenders.dense.model import run
from benchmarks.contenders.zarr.slices import batches

__all__ = ["prepare", "run"]


def prepare(job):
    kept = list(itertools.islice(batches(job.folder), 16))
    scaler = StandardScaler().fit(kept[0][0])
    return [(scaler.transform(X), y) for X, y in kept]
