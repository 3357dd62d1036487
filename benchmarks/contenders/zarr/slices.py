"""A loop by hand: slices of the arrays, each one chunk of the store."""

import zarr
from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import StandardScaler

from benchmarks.contenders.dense.hand import coefficients, predict

__all__ = ["coefficients", "predict", "run"]

ROWS = 32_768


def batches(folder):
    group = zarr.open_group(folder + "/rows.zarr", mode="r")
    X, y = group["X"], group["y"]
    for start in range(0, X.shape[0], ROWS):
        yield X[start : start + ROWS], y[start : start + ROWS]


def run(job, ready):
    scaler, model = StandardScaler(copy=False), SGDClassifier(random_state=0)
    for X, _ in batches(job.folder):
        scaler.partial_fit(X)
    for X, y in batches(job.folder):
        model.partial_fit(scaler.transform(X), y, classes=[0, 1])
    return scaler, model
