"""streamlearn: statistics of all rows."""

import streamlearn as sl
import streamlearn.run
from benchmarks.contenders.taxi import COLUMNS, TARGET, make_taxi_pipeline

PIPELINE = make_taxi_pipeline()


def run(job, ready):
    data = sl.scan(job.folder, target=TARGET, features=COLUMNS)
    return sl.fit(PIPELINE, data, memory_budget=job.budget).estimator


def predict(fitted, table):
    return fitted.predict(table.select(COLUMNS).to_pandas())


def coefficients(fitted):
    return fitted[-1].coef_
