"""What notebooks show of each value."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from page import HOSTILE, Page
from sklearn.linear_model import SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import streamlearn as sl


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    X = np.random.default_rng(0).normal(size=(500, 3))
    frame = pd.DataFrame(X, columns=["a", "b", HOSTILE])
    return frame.assign(y=X[:, 0], w=1.0)


def shown(value: object) -> str:
    html = value._repr_html_()
    page = Page(html)
    assert html.startswith("<div")
    assert "<script" not in html
    assert "<img" not in html
    assert page.tags["pre"] == 0
    return page.words


def test_dataset(frame: pd.DataFrame) -> None:
    data = sl.scan(
        frame,
        target="y",
        weight="w",
        features=["a", HOSTILE],
        where="a > -5",
        derive=["a + b AS d"],
    )
    words = shown(data)
    for text in (
        "500 rows stored",
        "y (double)",
        "a > -5",
        f"{HOSTILE} double feature",
        "y double target",
        "w double weight",
        "b double not used",
        "d double computed",
        "no row was read",
    ):
        assert text in words


def test_dataset_of_many_columns_and_fragments_stays_small(tmp_path) -> None:
    X = np.zeros((10, 5_000))
    html = sl.scan((X, X[:, 0]))._repr_html_()
    assert len(html) < 60_000
    assert "The first 100 of 5,000 columns are shown." in html
    for at in range(30):
        pd.DataFrame({"a": [at]}).to_parquet(tmp_path / f"{at:02}.parquet")
    words = shown(sl.scan(tmp_path))
    assert "30 fragments in 30 files" in words
    assert "The first 20 of 30 fragments are shown." in words


def test_plan(frame: pd.DataFrame) -> None:
    pipeline = make_pipeline(StandardScaler(), SGDRegressor())
    data = sl.scan(frame, target="y", features=["a", "b"])
    words = shown(sl.explain(pipeline, data, memory_budget="2GB", epochs=3))
    for text in ("1. statistics", "2. learn", "500", "limit 2 GB", "projected", "floor", "a, b"):
        assert text in words


def test_profile_and_conversion(frame: pd.DataFrame, tmp_path) -> None:
    words = shown(sl.profile(frame))
    assert "500 rows, 5 columns" in words
    assert "median" in words
    assert "Warning:" in words or "Notice:" in words
    words = shown(sl.convert(frame, tmp_path / "out.parquet"))
    assert "500 read, 500 written" in words
    assert "budget kept" in words
