"""A floor: read the columns that are needed with our reader, once, and nothing else."""

import streamlearn as sl
from benchmarks.contenders.decode import count
from benchmarks.contenders.taxi import COLUMNS


def prepare(job):
    data = sl.scan(job.folder, features=COLUMNS)
    next(data.read(data.fragments[0], data.features.names, 16))
    return data


def run(job, ready):
    return count(ready)
