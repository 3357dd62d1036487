"""scikit-learn-intelex: its incremental linear regression on the labels."""

import numpy as np
from sklearnex.linear_model import IncrementalLinearRegression

from benchmarks.contenders.dense.hand import batches

PACKAGES = ("scikit-learn-intelex",)


def run(job, ready):
    model = IncrementalLinearRegression()
    for X, y in batches(job.folder):
        model.partial_fit(X, 2.0 * y.astype(np.float32) - 1.0)
    return model


def predict(fitted, table):
    X = np.column_stack([column.to_numpy() for column in table.columns])
    return (np.ravel(fitted.predict(X)) > 0).astype(int)
