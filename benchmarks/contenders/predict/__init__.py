"""Predictions for every row, into a parquet file, by a model that is there already."""

import glob
import os

import joblib
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

MODEL = "model.joblib"


def load(job):
    """Return the fitted pipeline that was made with the data."""
    return joblib.load(os.path.join(job.folder, os.pardir, MODEL))


def predicted(path):
    """Return every prediction in order, from the last column that is a floating number."""
    files = sorted(glob.glob(path + "/**/*.parquet", recursive=True)) or [path]
    data = ds.dataset(files, format="parquet")
    names = [field.name for field in data.schema if pa.types.is_floating(field.type)]
    return np.asarray(data.to_table(columns=names[-1:]).column(0))


def coefficients(fitted):
    """Return some of the predictions, which is what there is to compare."""
    found = predicted(fitted)
    every = max(1, len(found) // 100_000)
    return np.append(found[::every], float(len(found)))
