"""A loop by hand over rows as dicts: DictVectorizer of the first rows, then partial_fit."""

import glob

import numpy as np
from sklearn.feature_extraction import DictVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.contenders.taxi import CODES, COLUMNS, NUMBERS, TARGET
from benchmarks.contenders.taxi.hand import frames

FIRST = 131_072


def records(numbers, frame):
    """Rows as dicts: numbers imputed and scaled, codes as text."""
    frame = frame[COLUMNS].copy()
    frame[NUMBERS] = numbers.transform(frame[NUMBERS])
    frame[CODES] = frame[CODES].fillna(-1).astype(int).astype(str)
    return frame.to_dict("records")


def transform(numbers, dicts, frame):
    """Rows as CSR, with the indices that SGD takes: DictVectorizer's own are longer."""
    X = dicts.transform(records(numbers, frame))
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    return X


def run(job, ready):
    paths = sorted(glob.glob(job.folder + "/*.parquet"))
    numbers, dicts = make_pipeline(SimpleImputer(), StandardScaler()), DictVectorizer()
    first = next(frames(paths, COLUMNS, FIRST)).iloc[: job.rows]
    numbers.fit(first[NUMBERS])
    dicts.fit(records(numbers, first))
    model, left = SGDRegressor(random_state=0), job.rows
    for frame in frames(paths, [*COLUMNS, TARGET]):
        frame = frame.iloc[:left]
        model.partial_fit(transform(numbers, dicts, frame), frame[TARGET].to_numpy())
        left -= len(frame)
        if not left:
            break
    return numbers, dicts, model


def predict(fitted, table):
    numbers, dicts, model = fitted
    return model.predict(transform(numbers, dicts, table.select(COLUMNS).to_pandas()))
