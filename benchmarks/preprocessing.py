"""The memory matrix of preprocessing: steps whose state is more than a few numbers a column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.cases import Case
from streamlearn.generate import generate_dense

__all__ = ["PREPROCESSING"]


def _dense(folder: Path, share: float) -> None:
    """Numbers like a detector's: 28 float32 columns."""
    generate_dense(folder, int(10_000_000 * share))


def _texts(folder: Path, share: float) -> None:
    """Documents of fifteen words, of 200,000 in all, most of them rare."""
    rng = np.random.default_rng(0)
    words = np.array([f"word{number}" for number in range(200_000)], dtype=object)
    schema = pa.schema([("text", pa.string()), ("label", pa.int8())])
    rows = int(5_000_000 * share)
    with pq.ParquetWriter(folder / "texts.parquet", schema) as writer:
        for start in range(0, rows, 50_000):
            count = min(50_000, rows - start)
            picks = words[rng.zipf(1.2, (count, 15)) % len(words)]
            texts = pa.array([" ".join(row) for row in picks])
            labels = pa.array(rng.integers(0, 2, count).astype(np.int8))
            writer.write_batch(pa.record_batch([texts, labels], schema=schema))


def _shops(folder: Path, share: float) -> None:
    """Sixty thousand shops, and what is sold there."""
    rng = np.random.default_rng(0)
    schema = pa.schema([("shop", pa.string()), ("x", pa.float64()), ("label", pa.float64())])
    rows = int(20_000_000 * share)
    with pq.ParquetWriter(folder / "shops.parquet", schema) as writer:
        for start in range(0, rows, 131_072):
            count = min(131_072, rows - start)
            shops = rng.integers(0, 60_000, count)
            columns = [
                pa.array(np.char.add("shop ", shops.astype(str))),
                pa.array(rng.standard_normal(count)),
                pa.array(shops % 1000 + rng.standard_normal(count)),
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema))


_CODE = """
import streamlearn as sl
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer, QuantileTransformer, RobustScaler, StandardScaler, TargetEncoder,
)
pipeline = make_pipeline({steps})
result = sl.fit(pipeline, sl.scan(folder, target="label"), memory_budget=budget)
"""


def _code(steps: str) -> str:
    return _CODE.format(steps=steps)


PREPROCESSING: tuple[Case, ...] = (
    Case(
        "medians",
        "10 M x 28 float32: median, robust scaling, PCA",
        "448MB",
        "dense-10M",
        _dense,
        _code(
            "SimpleImputer(strategy='median'), RobustScaler(), PCA(8), SGDClassifier(random_state=0)"
        ),
        0.2,
    ),
    Case(
        "bins",
        "10 M x 28 float32: quantile bins, one-hot",
        "400MB",
        "dense-10M",
        _dense,
        _code("KBinsDiscretizer(20), SGDClassifier(random_state=0)"),
        0.2,
    ),
    Case(
        "quantiles",
        "10 M x 28 float32: a quantile transform",
        "400MB",
        "dense-10M",
        _dense,
        _code("QuantileTransformer(), SGDClassifier(random_state=0)"),
        0.15,
    ),
    Case(
        "widened",
        "10 M x 28 float32: 800 random features, five components of them",
        "500MB",
        "dense-10M",
        _dense,
        _code(
            "StandardScaler(), RBFSampler(n_components=800, random_state=0), PCA(5),"
            " SGDClassifier(random_state=0)"
        ),
        0.04,
    ),
    Case(
        "texts",
        "5 M documents: tf-idf of 200,000 terms, the best 10,000",
        "512MB",
        "texts",
        _texts,
        _code("TfidfVectorizer(), SelectKBest(k=10_000), SGDClassifier(random_state=0)"),
        0.04,
    ),
    Case(
        "texts-pairs",
        "the same with pairs of words, which are too many",
        "512MB",
        "texts",
        _texts,
        _code("TfidfVectorizer(ngram_range=(1, 2)), SGDClassifier(random_state=0)"),
        0.04,
        refused="terms",
    ),
    Case(
        "texts-svd",
        "the same terms to TruncatedSVD: a matrix of 200,000 x 200,000",
        "512MB",
        "texts",
        _texts,
        _code("TfidfVectorizer(), TruncatedSVD(50), SGDClassifier(random_state=0)"),
        0.04,
        refused="'truncatedsvd'",
    ),
    Case(
        "shops",
        "20 M rows of 60,000 shops: target encoding, cross-fitted",
        "640MB",
        "shops",
        _shops,
        _code(
            "ColumnTransformer([('shop', TargetEncoder(), ['shop']), ('x', StandardScaler(), ['x'])]),"
            " StandardScaler(), SGDRegressor(random_state=0)"
        ),
        0.05,
    ),
)
"""Rows of the matrix that are about preprocessing."""
