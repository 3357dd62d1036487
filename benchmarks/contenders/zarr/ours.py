"""streamlearn."""

from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import streamlearn as sl
import streamlearn.run
from benchmarks.contenders.dense.hand import predict as _predict


def run(job, ready):
    pipeline = make_pipeline(StandardScaler(), SGDClassifier(random_state=0))
    data = sl.scan(job.folder + "/rows.zarr")
    return sl.fit(pipeline, data, memory_budget=job.budget).estimator


def predict(fitted, table):
    return _predict((fitted[0], fitted[1]), table)


def coefficients(fitted):
    return fitted[-1].coef_
