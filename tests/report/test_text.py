"""The summary for the terminal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import streamlearn as sl
from streamlearn.report.text import result_summary
from streamlearn.result import Result


@pytest.fixture(scope="module")
def result() -> Result:
    X = np.random.default_rng(0).normal(size=(500, 3))
    pipeline = make_pipeline(StandardScaler(), SGDRegressor(random_state=0))
    return sl.fit(pipeline, (X, X[:, 0]), epochs=2, validation=0.2)


def line(text: str, name: str) -> str:
    return next(item for item in text.splitlines() if item.startswith(name))


def test_every_row_is_accounted_for(result: Result) -> None:
    rows = line(result_summary(result), "rows")
    for count, fate in (
        (result.rows.read, "read"),
        (result.rows.learned, "learned"),
        (result.rows.held_out, "held out"),
        (0, "filtered"),
        (0, "rejected"),
    ):
        assert f"{count:,} {fate}" in rows


def test_lines_are_aligned(result: Result) -> None:
    lines = result_summary(result).splitlines()
    assert len(lines) < 12
    width = max(len(item.split("  ")[0]) for item in lines)
    assert all(item[width : width + 2] == "  " and item[width + 2] != " " for item in lines)


def test_numbers_have_units(result: Result) -> None:
    text = result_summary(result)
    assert "SGDRegressor in a Pipeline" in text
    assert "2 of 2, squared error" in line(text, "epochs")
    assert f"r2 {result.scores['r2']:.6g}" in line(text, "held-out")
    assert "rows/s" in line(text, "time")
    for name in ("limit", "reserved", "projected", "measured"):
        assert name in line(text, "memory")
    assert "not saved" in line(text, "run")


def test_memory_says_whether_the_budget_was_kept(result: Result) -> None:
    memory = replace(result.memory, limit_bytes=512_000_000, measured_bytes=400_000_000, exact=True)
    kept = line(result_summary(replace(result, memory=memory)), "memory")
    assert "measured 400 MB of limit 512 MB (within)" in kept
    over = replace(memory, measured_bytes=600_000_000, exact=False)
    text = line(result_summary(replace(result, memory=over)), "memory")
    assert "EXCEEDED" in text
    assert "highest sample, not the kernel's mark" in text


def test_warnings_and_places(result: Result) -> None:
    text = result_summary(replace(result, warnings=("two\nlines [bold]",), path="runs/one"))
    assert "two lines [bold]" in line(text, "warning")
    assert "runs/one" in line(text, "run")
    assert "report.html" in line(text, "report")


def test_without_a_model() -> None:
    X = np.random.default_rng(0).normal(size=(100, 3))
    text = result_summary(sl.fit(StandardScaler(), X))
    assert "none: no model was learned in order" in line(text, "epochs")
    assert line(text, "estimator").endswith("  StandardScaler")
    assert "no rows were held out" in line(text, "held-out")
    assert "read" in line(text, "time")
