"""A loop by hand over rows as dicts: statistics of the first file only, then FeatureHasher."""

import glob

from scipy.sparse import hstack
from sklearn.feature_extraction import FeatureHasher
from sklearn.impute import SimpleImputer
from sklearn.linear_model import SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.contenders.taxi import CODES, COLUMNS, NUMBERS, TARGET
from benchmarks.contenders.taxi.hand import frames


def transform(fitted, frame):
    hasher, numbers, _ = fitted
    records = frame[CODES].fillna(-1).astype(int).astype(str).to_dict("records")
    return hstack([numbers.transform(frame[NUMBERS]), hasher.transform(records)], format="csr")


def run(job, ready):
    paths = sorted(glob.glob(job.folder + "/*.parquet"))
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    numbers.fit(next(frames(paths, NUMBERS, 131_072)))
    fitted = (
        FeatureHasher(n_features=2**12, input_type="dict"),
        numbers,
        SGDRegressor(random_state=0),
    )
    left = job.rows
    for frame in frames(paths, [*COLUMNS, TARGET]):
        frame = frame.iloc[:left]
        fitted[2].partial_fit(transform(fitted, frame), frame[TARGET].to_numpy())
        left -= len(frame)
        if not left:
            break
    return fitted


def predict(fitted, table):
    frame = table.select(COLUMNS).to_pandas()
    return fitted[2].predict(transform(fitted, frame))
