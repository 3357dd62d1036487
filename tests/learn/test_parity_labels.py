"""LabelEncoder, LabelBinarizer, MultiLabelBinarizer, MissingIndicator and VarianceThreshold."""

from __future__ import annotations

import warnings
from fractions import Fraction

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelBinarizer, LabelEncoder, MultiLabelBinarizer

import streamlearn as sl
from streamlearn.errors import CellError, DataError
from streamlearn.learn.labels import Labels
from streamlearn.learn.variances import Variances

ROWS = 120
rng = np.random.default_rng(0)


def learn(estimator, y, cuts=(0, 1, 1, 40, 90), block=7):
    """Fit from blocks of fragments that are merged in order."""
    fitted, whole = clone(estimator), None
    for start, stop in zip(cuts, [*cuts[1:], len(y)], strict=True):
        part = Labels(fitted)
        for at in range(start, stop, block):
            part.update(None, y[at : min(at + block, stop)], None)
        if whole is None:
            whole = part
        else:
            whole.merge(part)
    whole.finish(fitted, None)
    return fitted


TARGETS = {
    "text": rng.choice(np.array(["zürich", "a", "ba", ""], dtype=object), ROWS),
    "fixed text": rng.choice(np.array(["zürich", "a", "ba"]), ROWS),
    "whole": rng.integers(-3, 5, ROWS),
    "beyond double": 2**53 + rng.integers(0, 3, ROWS),
    "small": rng.integers(0, 3, ROWS).astype(np.uint8),
    "bool": rng.random(ROWS) < 0.5,
    "floats": rng.integers(0, 3, ROWS).astype(float),
    "zeros": rng.choice([-0.0, 0.0, 1.0], ROWS),
    "one": np.full(ROWS, 4),
    "two": rng.integers(0, 2, ROWS),
}


@pytest.mark.parametrize("y", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("encoder", [LabelEncoder(), LabelBinarizer(neg_label=-1, pos_label=2)])
def test_labels_are_those_of_all_rows(parity, encoder, y):
    expected = clone(encoder).fit(y)
    fitted = learn(encoder, y)
    parity.same(vars(fitted), vars(expected), type(encoder).__name__)
    parity.same(fitted.transform(y), expected.transform(y), "output")


def test_many_labels_and_nan_are_encoded(parity):
    y = np.where(rng.random(5000) < 0.01, np.nan, rng.normal(size=5000))
    parity.same(learn(LabelEncoder(), y).classes_, LabelEncoder().fit(y).classes_, "classes_")
    words = np.array([f"w{n}" for n in rng.integers(0, 10**5, 30_000)], dtype=object)
    fitted = learn(LabelEncoder(), words, (0, 9000), 1000)
    parity.same(fitted.classes_, LabelEncoder().fit(words).classes_, "classes_")


LISTS = {
    "lists of text": [["b", "a"], [], ["a"], ["ü", "b"]] * 30,
    "lists of whole": [[3, 1], [], [2]] * 40,
    "arrays of whole": [np.array([3, 1]), np.array([], dtype=int), np.array([2])] * 40,
    "arrays of text": [np.array(["b"], dtype=object), np.array(["a", "b"], dtype=object)] * 60,
    "sets": [{"x", "y"}, set(), {"z"}] * 40,
}


@pytest.mark.parametrize("rows", LISTS.values(), ids=LISTS)
def test_lists_of_labels_give_the_classes_of_all_rows(parity, rows):
    y = np.empty(len(rows), dtype=object)
    y[:] = rows
    expected = MultiLabelBinarizer().fit(y)
    fitted = learn(MultiLabelBinarizer(), y)
    parity.same(fitted.classes_, expected.classes_, "classes_")
    parity.same(fitted.transform(y), expected.transform(y), "output")
    given = MultiLabelBinarizer(classes=list(reversed(expected.classes_)))
    parity.same(learn(given, y).classes_, clone(given).fit(y).classes_, "given classes")


def test_what_is_no_label_is_refused():
    with pytest.raises(CellError, match=r"0\.5 is no class"):
        learn(LabelBinarizer(), np.array([1.0, 0.5]), (0,))
    with pytest.raises(CellError, match="missing"):
        learn(LabelEncoder(), np.array(["a", None], dtype=object), (0,))
    with pytest.raises(CellError, match="more than one type"):
        learn(LabelEncoder(), np.array(["a", 3], dtype=object), (0,))
    with pytest.raises(DataError, match="one value a row"):
        learn(LabelBinarizer(), np.eye(3), (0,))
    with pytest.raises(CellError, match="empty list"):
        learn(MultiLabelBinarizer(), np.array([["a"], None], dtype=object), (0,))


GAPS = pa.table(
    {
        "full": rng.normal(size=ROWS),
        "null": pa.array(rng.normal(size=ROWS), mask=rng.random(ROWS) < 0.05),
        "late": pa.array(rng.integers(0, 9, ROWS), mask=np.arange(ROWS) == ROWS - 1),
        "empty": pa.nulls(ROWS, pa.float64()),
        "whole": rng.integers(0, 5, ROWS),
    }
)
TEXTS = pa.table(
    {
        "text": pa.array(rng.choice(["a", "b"], ROWS), mask=rng.random(ROWS) < 0.1),
        "full": rng.choice(np.array(["x", "y"]), ROWS),
        "number": pa.array(rng.normal(size=ROWS), mask=np.arange(ROWS) == 77),
    }
)


@pytest.mark.parametrize("data", [GAPS, TEXTS, GAPS.select(["full", "whole"])])
@pytest.mark.parametrize("features", ["missing-only", "all"])
def test_columns_with_gaps_are_those_of_all_rows(parity, data, features):
    parity.check(MissingIndicator(features=features), data, everywhere=True)


def test_a_gap_is_whatever_marks_it(parity):
    parity.check(MissingIndicator(missing_values=0), GAPS.select(["full", "whole"]))
    parity.check(MissingIndicator(missing_values="a"), TEXTS.select(["full"]))
    parity.check(MissingIndicator(missing_values="y", error_on_new=False), TEXTS.select(["full"]))
    matrix = np.where(rng.random((ROWS, 3)) < 0.02, np.nan, 1.0)
    matrix[:, 0] = 1
    parity.check(MissingIndicator(), matrix)
    parity.check(MissingIndicator(sparse=True), matrix)
    parity.check(MissingIndicator(), matrix.astype(np.float32))
    parity.check(MissingIndicator(missing_values=-1), rng.integers(-1, 2, (ROWS, 2)))


def test_an_indicator_says_where_it_finds_what_it_does_not_take(parity):
    with pytest.raises(DataError, match=r"(?s)row .*'null'.*looks only for -1"):
        sl.fit(MissingIndicator(missing_values=-1), parity.source(GAPS.select(["full", "null"])))
    bad = pa.table({"a": np.where(np.arange(ROWS) == 31, np.inf, 1.0)})
    with pytest.raises(DataError, match=r"(?s)row .*'a'.*inf"):
        sl.fit(MissingIndicator(), parity.source(bad, "groups"))


SPREAD = pa.table(
    {
        "plain": rng.normal(size=ROWS),
        "null": pa.array(rng.normal(3, 2, ROWS), mask=rng.random(ROWS) < 0.2),
        "constant": np.full(ROWS, 0.25),
        "rare": (np.arange(ROWS) == 5).astype(float),
        "bool": rng.random(ROWS) < 0.5,
        "whole": rng.integers(0, 9, ROWS),
        "narrow": np.linspace(0, 1e-9, ROWS),
        "empty": pa.nulls(ROWS, pa.float64()),
    }
)


@pytest.mark.parametrize("threshold", [0.0, 0.05, 1.0])
def test_variances_are_those_of_all_rows(parity, threshold):
    parity.check(VarianceThreshold(threshold), SPREAD, rtol=1e-12, everywhere=True)
    matrix = rng.normal(size=(ROWS, 3)) * [1, 0, 5]
    parity.check(VarianceThreshold(threshold), matrix, rtol=1e-12, everywhere=True)
    parity.check(VarianceThreshold(threshold), matrix.astype(np.float32), rtol=1e-12)


def test_one_value_has_no_variance_whatever_rounding_makes_of_it(parity):
    # scikit-learn's own variance of a constant column with gaps depends on how it is rounded.
    table = pa.table({"a": pa.array(np.full(999, 0.1), mask=np.arange(999) == 5), "b": range(999)})
    for layout in ("one", "groups", "files"):
        fitted = sl.fit(VarianceThreshold(), parity.source(table, layout), chunk_size=7).estimator
        assert fitted.variances_[0] == 0
        assert fitted.get_support().tolist() == [False, True]


def test_an_offset_costs_no_digit_of_the_variance(parity):
    values = 1e9 + rng.integers(-1000, 1000, 500) / 1024
    exact = [Fraction(value) for value in values.tolist()]
    mean = sum(exact) / len(exact)
    expected = float(sum((value - mean) ** 2 for value in exact) / len(exact))
    source = parity.source(pa.table({"a": values}), "groups")
    found = sl.fit(VarianceThreshold(), source).estimator.variances_[0]
    assert found == pytest.approx(expected, rel=1e-12)


def test_variances_of_a_sparse_matrix_are_learned_from_what_it_stores(parity):
    X = sparse.random(200, 30, density=0.1, format="csr", random_state=1)
    X.data[3] = np.nan
    for threshold in (0.0, 0.01):
        fitted = VarianceThreshold(threshold)
        parts = [Variances(fitted), Variances(fitted)]
        for at in range(0, 200, 20):
            parts[at >= 60].update(X[at : at + 20], None, None)
        parts[0].merge(parts[1])
        parts[0].finish(fitted, X[:3])
        expected = VarianceThreshold(threshold).fit(X)
        parity.same(fitted.variances_, expected.variances_, "variances_", 1e-12)


def test_variances_are_learned_in_the_pass_of_the_imputer(parity):
    data = SPREAD.drop_columns(["bool"])
    pipeline = make_pipeline(SimpleImputer(), VarianceThreshold(0.5))
    parity.check(pipeline, data, rtol=1e-12, everywhere=True)
    assert len(sl.explain(pipeline, parity.source(data)).passes) == 1


def test_no_feature_left_is_refused_with_the_largest_variance(parity):
    source = parity.source(pa.table({"a": np.ones(9), "b": np.arange(9.0)}))
    with pytest.raises(DataError, match=r"6\.6667, of column 'b'; lower threshold="):
        sl.fit(VarianceThreshold(10), source)
    with pytest.raises(DataError, match="only one row"):
        sl.fit(VarianceThreshold(), parity.source(pa.table({"a": [1.0]})))
    with pytest.raises(DataError, match=r"(?s)row .*inf"):
        sl.fit(VarianceThreshold(), parity.source(pa.table({"a": [1.0, np.inf]})))


@settings(max_examples=20, derandomize=True, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b", "", "é"]), min_size=1, max_size=30),
    st.integers(0, 30),
    st.integers(1, 9),
)
def test_labels_do_not_depend_on_how_rows_are_cut(rows, cut, block):
    y = np.array(rows, dtype=object)
    fitted = learn(LabelEncoder(), y, (0, min(cut, len(y))), block)
    assert fitted.classes_.tolist() == sorted(set(rows))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pd.testing.assert_index_equal(
            pd.Index(fitted.classes_), pd.Index(LabelEncoder().fit(y).classes_)
        )
