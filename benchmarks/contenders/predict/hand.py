"""A loop by hand: frames, predict, a writer."""

import glob

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.contenders.predict import coefficients, load
from benchmarks.contenders.taxi import COLUMNS
from benchmarks.contenders.taxi.hand import frames

__all__ = ["coefficients", "prepare", "run"]


def prepare(job):
    return load(job)


def run(job, ready):
    out = job.out + "/predictions.parquet"
    schema = pa.schema([("prediction", pa.float64())])
    with pq.ParquetWriter(out, schema) as writer:
        for frame in frames(sorted(glob.glob(job.folder + "/*.parquet")), COLUMNS):
            found = ready.predict(frame)
            writer.write_batch(pa.record_batch([pa.array(found)], schema=schema))
    return out
