"""scikit-learn with everything in memory."""

import pandas as pd

from benchmarks.contenders.taxi import COLUMNS, TARGET, make_taxi_pipeline

PIPELINE = make_taxi_pipeline(max_iter=1, tol=None)


def run(job, ready):
    frame = pd.read_parquet(job.folder, columns=[*COLUMNS, TARGET])
    return PIPELINE.fit(frame[COLUMNS], frame[TARGET].to_numpy())


def predict(fitted, table):
    return fitted.predict(table.select(COLUMNS).to_pandas())


def coefficients(fitted):
    return fitted[-1].coef_
