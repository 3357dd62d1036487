"""A loop by hand, as an expert would write it: no frames, no readahead, one buffer.

Of the ways to fill the buffer this one took the least CPU on 300,000 rows, by a little: column after
column, as Arrow has them and as the scaler sums them. Readahead, no threads, ``np.column_stack`` and
frames were tried.
"""

import glob

import numpy as np
import pyarrow.parquet as pq
from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import StandardScaler

ROWS = 32_768


def batches(folder):
    buffer = np.empty((28, ROWS), np.float32)
    for path in sorted(glob.glob(folder + "/*.parquet")):
        with pq.ParquetFile(path, pre_buffer=False) as file:
            for batch in file.iter_batches(batch_size=ROWS):
                columns = buffer[:, : len(batch)]
                for at in range(28):
                    columns[at] = batch.column(at).to_numpy()
                yield columns.T, batch.column(28).to_numpy()


def run(job, ready):
    scaler, model = StandardScaler(copy=False), SGDClassifier(random_state=0)
    for X, _ in batches(job.folder):
        scaler.partial_fit(X)
    for _ in range(job.epochs):
        for X, y in batches(job.folder):
            model.partial_fit(scaler.transform(X), y, classes=[0, 1])
    return scaler, model


def predict(fitted, table):
    scaler, model = fitted
    X = np.column_stack([column.to_numpy() for column in table.columns])
    return model.predict(scaler.transform(X))


def coefficients(fitted):
    return fitted[1].coef_
