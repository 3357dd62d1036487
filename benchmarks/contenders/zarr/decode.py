"""A floor: read the store with our reader, once, and nothing else."""

import streamlearn as sl
from benchmarks.contenders.decode import count


def prepare(job):
    data = sl.scan(job.folder + "/rows.zarr")
    next(data.read(data.fragments[0], data.features.names, 16))
    return data


def run(job, ready):
    return count(ready)
