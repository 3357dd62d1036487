"""The programs that are compared, each as one would write it; all leave ``coef`` in scope."""

from __future__ import annotations

from dataclasses import dataclass

COLUMNS = ["PULocationID", "DOLocationID", "payment_type", "trip_distance", "passenger_count"]


@dataclass(frozen=True)
class Contender:
    """One way of doing the work."""

    name: str
    code: str
    """Python that may use ``folder`` and ``budget``."""


_DENSE_PIPELINE = """
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
pipeline = make_pipeline(StandardScaler(), SGDClassifier(random_state=0, {options}))
"""

_DENSE = (
    Contender(
        "streamlearn",
        _DENSE_PIPELINE.format(options="")
        + """
import streamlearn as sl
result = sl.fit(pipeline, sl.scan(folder, target="label"), memory_budget=budget)
coef = result.estimator[-1].coef_
""",
    ),
    Contender(
        "hand-written loop",
        """
import glob
import numpy as np
import pyarrow.parquet as pq
from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import StandardScaler

def batches():
    for path in sorted(glob.glob(folder + "/*.parquet")):
        file = pq.ParquetFile(path)
        for batch in file.iter_batches(batch_size=32768):
            frame = batch.to_pandas()
            yield frame.drop(columns="label").to_numpy(), frame["label"].to_numpy()

scaler, model = StandardScaler(), SGDClassifier(random_state=0)
for X, y in batches():
    scaler.partial_fit(X)
for X, y in batches():
    model.partial_fit(scaler.transform(X), y, classes=[0, 1])
coef = model.coef_
""",
    ),
    Contender(
        "scikit-learn in memory",
        _DENSE_PIPELINE.format(options="max_iter=1, tol=None")
        + """
import warnings
import pandas as pd
warnings.simplefilter("ignore")
frame = pd.read_parquet(folder)
pipeline.fit(frame.drop(columns="label"), frame["label"])
coef = pipeline[-1].coef_
""",
    ),
)

_TAXI_PIPELINE = """
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
codes, numbers = columns[:3], columns[3:]
pipeline = make_pipeline(
    ColumnTransformer([
        ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        ("codes", OneHotEncoder(handle_unknown="ignore"), codes),
    ]),
    SGDRegressor(random_state=0, {options}),
)
"""

_TAXI = (
    Contender(
        "streamlearn",
        _TAXI_PIPELINE.format(options="")
        + """
import streamlearn as sl
data = sl.scan(folder, target="fare_amount", features=columns)
result = sl.fit(pipeline, data, memory_budget=budget)
coef = result.estimator[-1].coef_
""",
    ),
    Contender(
        "hand-written loop (statistics from the first file only)",
        _TAXI_PIPELINE.format(options="")
        + """
import glob
import pyarrow.parquet as pq

paths = sorted(glob.glob(folder + "/*.parquet"))
first = pq.read_table(paths[0], columns=columns).to_pandas()
prepare, model = pipeline[0].fit(first), pipeline[-1]
del first
for path in paths:
    file = pq.ParquetFile(path)
    for batch in file.iter_batches(batch_size=32768, columns=[*columns, "fare_amount"]):
        frame = batch.to_pandas()
        model.partial_fit(prepare.transform(frame[columns]), frame["fare_amount"].to_numpy())
coef = model.coef_
""",
    ),
    Contender(
        "scikit-learn in memory",
        _TAXI_PIPELINE.format(options="max_iter=1, tol=None")
        + """
import warnings
import pandas as pd
warnings.simplefilter("ignore")
frame = pd.read_parquet(folder, columns=[*columns, "fare_amount"])
pipeline.fit(frame[columns], frame["fare_amount"].to_numpy())
coef = pipeline[-1].coef_
""",
    ),
)

WORKS: dict[str, tuple[Contender, ...]] = {"dense": _DENSE, "taxi": _TAXI}
