"""dask-ml: its own StandardScaler, and Incremental around SGDClassifier; threads of dask."""

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
from dask_ml.preprocessing import StandardScaler
from dask_ml.wrappers import Incremental
from sklearn.linear_model import SGDClassifier

PACKAGES = ("dask-ml", "dask")


@dask.delayed
def features(part):
    return part.drop(columns="label").to_numpy()


@dask.delayed
def labels(part):
    return part["label"].to_numpy()


def run(job, ready):
    frame = dd.read_parquet(job.folder, split_row_groups=True)
    parts = frame.to_delayed(optimize_graph=False)
    sizes = dask.compute(*(dask.delayed(len)(part) for part in parts))
    X = [
        da.from_delayed(features(part), (size, 28), np.float32)
        for part, size in zip(parts, sizes, strict=True)
    ]
    y = [
        da.from_delayed(labels(part), (size,), np.int8)
        for part, size in zip(parts, sizes, strict=True)
    ]
    scaler, model = StandardScaler(), Incremental(SGDClassifier(random_state=0))
    X = scaler.fit_transform(da.concatenate(X))
    model.fit(X, da.concatenate(y), classes=[0, 1])
    return scaler, model.estimator_


def predict(fitted, table):
    scaler, model = fitted
    X = np.column_stack([column.to_numpy() for column in table.columns])
    return model.predict(np.asarray(scaler.transform(X)))


def coefficients(fitted):
    return fitted[1].coef_
