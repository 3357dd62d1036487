"""Passes: no more than the steps' dependencies force, and no column read that nobody needs."""

from __future__ import annotations

import html

import numpy as np
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, FastICA
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, RobustScaler, StandardScaler, TargetEncoder

import streamlearn as sl
from streamlearn.stream.events import PassStarted

ROWS = 20_000
rng = np.random.default_rng(1)
WORDS = np.array([f"w{number}" for number in range(300)], dtype=object)
TABLE = pa.table(
    {
        "a": pa.array(rng.normal(size=ROWS), mask=rng.random(ROWS) < 0.1),
        "b": rng.normal(2, 3, ROWS),
        "word": np.array(["x", "y", "z"], dtype=object)[rng.integers(0, 3, ROWS)],
        "city": rng.integers(0, 200, ROWS).astype(str),
        "text": [" ".join(row) for row in WORDS[rng.zipf(1.4, (ROWS, 5)).clip(max=300) - 1]],
        "unused": rng.normal(size=ROWS),
    }
)
Y = (TABLE["b"].to_numpy() + rng.normal(size=ROWS) > 2).astype(int)
DATA = TABLE.append_column("y", pa.array(Y))
MIXED = make_pipeline(
    ColumnTransformer(
        [
            ("n", make_pipeline(SimpleImputer(strategy="median"), RobustScaler()), ["a", "b"]),
            ("o", OneHotEncoder(), ["word"]),
            ("t", TargetEncoder(), ["city"]),
            ("x", TfidfVectorizer(), "text"),
        ]
    ),
    SelectKBest(k=40),
    SGDClassifier(random_state=0),
)


def fitted(pipeline, data, **options):
    passes = []

    def note(event):
        if isinstance(event, PassStarted):
            passes.append(event.name)

    return sl.fit(pipeline, data, listeners=[note], **options).estimator, passes


def test_a_mixed_pipeline_takes_the_passes_that_its_dependencies_force():
    plan = sl.explain(MIXED, sl.scan(DATA, target="y"))
    first, *refining, last, learn = plan.passes
    assert set(first.columns) == {"a", "b", "word", "city", "text", "y"}
    for name in ("SimpleImputer", "RobustScaler", "OneHotEncoder", "TargetEncoder", "Tfidf", "'y'"):
        assert name in first.why
    # What the median may still need, nothing else reads.
    assert all(set(item.columns) == {"a", "b"} for item in refining)
    assert "SelectKBest" in last.why
    assert "from what 'columntransformer' gives" in last.why
    assert "SGDClassifier" in learn.why
    estimator, passes = fitted(MIXED, sl.scan(DATA, target="y"), chunk_size=3_000)
    # Twenty thousand rows are within what the first pass keeps.
    assert passes == ["statistics", "statistics, pass 2", "learn, epoch 1 of 1"]
    frame = TABLE.to_pandas()
    expected = clone(MIXED[0]).fit(frame, Y)
    for name in ("n", "o", "t", "x"):
        columns = {"n": ["a", "b"], "o": ["word"], "t": ["city"], "x": "text"}[name]
        found = estimator[0].named_transformers_[name].transform(frame[columns])
        other = expected.named_transformers_[name].transform(frame[columns])
        assert abs(found - other).max() < 1e-12, name


def test_counts_are_handed_on_to_tfidf():
    data = sl.scan(DATA, target="y", features=["text"])
    pipeline = make_pipeline(CountVectorizer(min_df=2), TfidfTransformer(), SGDClassifier())
    assert len(sl.explain(pipeline, data).passes) == 2
    estimator, passes = fitted(pipeline, data, chunk_size=777)
    assert len(passes) == 2
    expected = TfidfVectorizer(min_df=2).fit(TABLE["text"].to_pylist())
    np.testing.assert_array_equal(estimator[1].idf_, expected.idf_)


def test_steps_that_do_not_wait_on_each_other_learn_at_once():
    side = ColumnTransformer(
        [
            ("deep", make_pipeline(StandardScaler(), PCA(1), StandardScaler()), ["b", "unused"]),
            ("flat", OneHotEncoder(), ["word"]),
        ]
    )
    plan = sl.explain(side, sl.scan(TABLE))
    assert [set(item.columns) for item in plan.passes] == [
        {"b", "unused", "word"},
        {"b", "unused"},
        {"b", "unused"},
    ]


def test_a_sample_stands_in_where_there_is_no_fit_from_chunks(tmp_path):
    pipeline = make_pipeline(
        SimpleImputer(), FastICA(2, random_state=0), StandardScaler(), SGDClassifier()
    )
    data = sl.scan(DATA, target="y", features=["a", "b", "unused"])
    result = sl.fit(
        pipeline, data, on_unsupported="sample", sample_rows=2_000, run=tmp_path / "run"
    )
    told = "step 'fastica' (FastICA) was fitted on a random sample of 2,000 of 20,000 rows"
    assert told in result.warnings
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert told in html.unescape(page)
    again = sl.fit(
        pipeline, data, on_unsupported="sample", sample_rows=2_000, chunk_size=7_001, threads=1
    )
    np.testing.assert_array_equal(result.estimator[1].components_, again.estimator[1].components_)


@pytest.mark.parametrize("chunk_size", [999, 100_000])
def test_a_sketch_says_how_far_it_may_be_off(chunk_size):
    values = np.random.default_rng(0).normal(size=(400_000, 2))
    result = sl.fit(RobustScaler(), values, quantiles="sketch", chunk_size=chunk_size)
    (told,) = result.warnings
    assert "robustscaler" in told
    bound = float(told.split("at most ")[1].split(" %")[0]) / 100
    assert 0 < bound < 0.01
    rank = np.mean(values < result.estimator.center_, axis=0)
    assert np.all(np.abs(rank - 0.5) <= bound * 1.01)
    exact = sl.fit(RobustScaler(), values).estimator
    np.testing.assert_array_equal(exact.center_, np.median(values, axis=0))
