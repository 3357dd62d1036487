"""Univariate selection: scores, p-values and what is kept, as fitted in memory."""

from __future__ import annotations

import warnings
from fractions import Fraction
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, special
from sklearn.base import clone
from sklearn.feature_selection import (
    GenericUnivariateSelect,
    SelectFdr,
    SelectFpr,
    SelectFwe,
    SelectKBest,
    SelectPercentile,
    chi2,
    f_classif,
    f_regression,
    mutual_info_classif,
    r_regression,
)
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import Pipeline

import streamlearn as sl
from streamlearn.errors import CellError, DataError, UnsupportedEstimatorError
from streamlearn.learn.selection import SelectionScores

ROWS = 400
rng = np.random.default_rng(0)
CLASSES = {
    "three": rng.choice(np.array(["u", "v", "w"], dtype=object), ROWS),
    "two": rng.integers(0, 2, ROWS),
    "bool": rng.random(ROWS) < 0.3,
    "floats": rng.integers(0, 4, ROWS).astype(float),
}
X = rng.normal([0, 1, 5, 0, 0, 20], size=(ROWS, 6))
X[:, 3] += CLASSES["two"]
NUMBERS = {
    "float": X[:, 0] / 2 + rng.normal(size=ROWS) + 10,
    "whole": rng.integers(0, 9, ROWS),
    "float32": rng.normal(size=ROWS).astype(np.float32),
    "bool": rng.random(ROWS) < 0.5,
}
COUNTS = rng.poisson(0.4, (ROWS, 30)).astype(float)


def learn(selector, X, y, cuts=(0, 1, 1, 150, 151), block=37):
    """Fit from blocks of fragments that are merged in order."""
    fitted, whole = clone(selector), None
    for start, stop in zip(cuts, [*cuts[1:], len(y)], strict=True):
        part = SelectionScores(fitted)
        for at in range(start, stop, block):
            here = slice(at, min(at + block, stop))
            part.update(X[here], y[here], None)
        if whole is None:
            whole = part
        else:
            whole.merge(part)
    whole.finish(fitted, X[:3])
    return fitted


def check(parity, selector, X, y, rtol=1e-9):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = clone(selector).fit(X, y)
        fitted = learn(selector, X, y)
    assert vars(fitted).keys() == vars(expected).keys()
    parity.same(fitted.scores_, expected.scores_, "scores_", rtol, 1e-12)
    parity.same(fitted.pvalues_, expected.pvalues_, "pvalues_", rtol, 1e-300)
    assert fitted.n_features_in_ == expected.n_features_in_
    if expected.pvalues_ is not None:
        assert (fitted.get_support() == expected.get_support()).all()
    return fitted


SELECTORS = {
    "k best": SelectKBest,
    "percentile": partial(SelectPercentile, percentile=40),
    "fpr": SelectFpr,
    "fdr": SelectFdr,
    "fwe": SelectFwe,
    "generic": partial(GenericUnivariateSelect, mode="k_best", param=2),
}


@pytest.mark.parametrize("make", SELECTORS.values(), ids=SELECTORS)
def test_every_selector_keeps_what_it_keeps_in_memory(parity, make):
    check(parity, make(score_func=f_classif), X, CLASSES["three"])
    check(parity, make(score_func=chi2), COUNTS, CLASSES["three"])
    check(parity, make(score_func=f_regression), X, NUMBERS["float"])


@pytest.mark.parametrize("y", CLASSES.values(), ids=CLASSES)
@pytest.mark.parametrize("score", [f_classif, chi2])
def test_scores_against_classes(parity, score, y):
    check(parity, SelectKBest(score, k=3), COUNTS, y)
    check(parity, SelectKBest(score, k=3), sparse.csr_matrix(COUNTS), y)
    check(parity, SelectKBest(score, k=3), sparse.csr_matrix(COUNTS[:, :1]), y)


@pytest.mark.parametrize("y", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize(
    "score",
    [
        f_regression,
        r_regression,
        partial(f_regression, center=False),
        partial(r_regression, center=False, force_finite=False),
    ],
)
def test_scores_against_numbers(parity, score, y):
    if y.dtype == np.float32:  # of which scikit-learn takes a mean of seven digits
        parity.same(
            learn(SelectKBest(score), X, y).scores_,
            learn(SelectKBest(score), X, y.astype(float)).scores_,
            "scores_",
        )
        y = y.astype(float)
    check(parity, SelectKBest(score, k=3), X, y)
    check(parity, SelectKBest(score, k=3), COUNTS, y)
    if y.dtype != bool:
        check(parity, SelectKBest(score, k=3), sparse.csr_matrix(COUNTS), y)


def test_types_are_those_of_scikit_learn(parity):
    # It sums float32, and integers of up to 32 bits as float32; here all sums are double.
    for kind, rtol in ((np.float32, 1e-2), (np.int32, 1e-2), (np.int64, 1e-9), (bool, 1e-2)):
        matrix = (COUNTS > 0).astype(kind) if kind is bool else COUNTS.astype(kind)
        fitted = check(parity, SelectKBest(f_classif, k=3), matrix, CLASSES["two"], rtol)
        exact = SelectKBest(f_classif, k=3).fit(matrix.astype(float), CLASSES["two"])
        single = fitted.scores_.dtype == np.float32
        np.testing.assert_allclose(fitted.scores_, exact.scores_, 1e-6 if single else 1e-9)
    check(parity, SelectKBest(chi2, k=3), COUNTS.astype(np.float32), CLASSES["two"], 1e-6)


def exact_f(column, y):
    """Return the F statistic of one column, in rational arithmetic."""
    values = [Fraction(value) for value in column.tolist()]
    mean = sum(values) / len(values)
    between = within = Fraction(0)
    for label in set(y.tolist()):
        part = [value for value, own in zip(values, y.tolist(), strict=True) if own == label]
        middle = sum(part) / len(part)
        between += len(part) * (middle - mean) ** 2
        within += sum((value - middle) ** 2 for value in part)
    classes = len(set(y.tolist()))
    return float(between / (classes - 1) / (within / (len(values) - classes)))


@pytest.mark.parametrize("offset", [1e3, 1e6, 1e9])
def test_an_offset_costs_no_digit_of_the_score(offset):
    # scikit-learn's sums of squares cancel: at 1e9 nothing is left of the score.
    y = CLASSES["three"]
    column = offset + np.round(rng.normal(size=ROWS) * 1024) / 1024 + (y == "v")
    expected = exact_f(column, y)
    dense = learn(SelectKBest(f_classif, k=1), column[:, None], y)
    stored = learn(SelectKBest(f_classif, k=1), sparse.csr_matrix(column[:, None]), y)
    assert dense.scores_[0] == pytest.approx(expected, rel=1e-11)
    assert stored.scores_[0] == pytest.approx(expected, rel=1e-11)
    assert dense.pvalues_[0] == special.fdtrc(2, ROWS - 3, dense.scores_[0])


@pytest.mark.parametrize("offset", [1e3, 1e6, 1e9])
def test_an_offset_costs_no_digit_of_the_correlation(offset):
    small = np.round(rng.normal(size=(2, ROWS)) * 1024) / 1024
    column, y = small[0], small[0] / 2 + small[1]
    a, b = [Fraction(v) for v in column.tolist()], [Fraction(v) for v in y.tolist()]
    mean_a, mean_b = sum(a) / ROWS, sum(b) / ROWS
    cross = sum((v - mean_a) * (w - mean_b) for v, w in zip(a, b, strict=True))
    square = sum((v - mean_a) ** 2 for v in a) * sum((w - mean_b) ** 2 for w in b)
    expected = float(cross) / float(square) ** 0.5
    matrix = (column + offset)[:, None]
    for block in (matrix, sparse.csr_matrix(matrix)):
        found = learn(SelectKBest(r_regression, k=1), block, y + offset).scores_[0]
        assert found == pytest.approx(expected, rel=1e-12)


def test_constant_columns_and_targets_are_known_for_it():
    matrix = np.column_stack([np.full(ROWS, 0.1), CLASSES["two"] * 0.3 + 0.1, X[:, 0]])
    fitted = learn(SelectKBest(f_classif, k=1), matrix, CLASSES["two"])
    assert np.isnan(fitted.scores_[0])
    assert fitted.scores_[1] == np.inf
    assert fitted.pvalues_[1] == 0
    fitted = learn(SelectKBest(f_regression, k=1), matrix, NUMBERS["float"])
    assert (fitted.scores_[0], fitted.pvalues_[0]) == (0, 1)
    fitted = learn(SelectKBest(f_regression, k=1), matrix, np.full(ROWS, 0.1))
    assert fitted.scores_.tolist() == [0, 0, 0]
    fitted = learn(SelectKBest(partial(r_regression, force_finite=False)), matrix, np.ones(ROWS))
    assert np.isnan(fitted.scores_).all()


def test_one_class_is_scored_as_in_memory(parity):
    check(parity, SelectKBest(chi2, k=3), COUNTS, np.zeros(ROWS, dtype=int))
    check(parity, SelectKBest(f_classif, k=3), COUNTS, np.zeros(ROWS, dtype=int))


@settings(max_examples=25, derandomize=True, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-9, 9), st.integers(0, 3), st.integers(0, 2)),
        min_size=1,
        max_size=40,
    ),
    st.integers(0, 40),
    st.integers(1, 9),
)
def test_scores_do_not_depend_on_how_rows_are_cut(rows, cut, block):
    matrix = np.array([row[:2] for row in rows], dtype=float)
    y = np.array([row[2] for row in rows])
    for score in (f_classif, f_regression):
        one = learn(SelectKBest(score, k=1), matrix, y, (0,), 1000)
        other = learn(SelectKBest(score, k=1), matrix, y, (0, min(cut, len(y))), block)
        third = learn(SelectKBest(score, k=1), sparse.csr_matrix(matrix), y, (0,), block)
        for found in (other, third):
            clear = one.scores_ < 1e12  # beyond, what lies within is rounding
            np.testing.assert_allclose(found.scores_[clear], one.scores_[clear], 1e-9, 1e-12)


@pytest.mark.parametrize("group", [400, 130])
def test_a_pipeline_selects_what_it_would_select_in_memory(parity, tmp_path, group):
    table = pa.table({**{f"c{i}": X[:, i] for i in range(6)}, "y": CLASSES["three"].tolist()})
    steps = [("select", SelectKBest(f_classif, k=2)), ("model", SGDClassifier(random_state=0))]
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=group)
    source = sl.scan(tmp_path / "rows.parquet", target="y")
    fitted = [
        sl.fit(
            Pipeline(steps),
            source,
            chunk_size=size,
            threads=threads,
            batch_size=50,
        ).estimator
        for size, threads in ((1, 1), (7, 3), (1000, 2))
    ]
    frame = table.to_pandas()
    expected = SelectKBest(f_classif, k=2).fit(frame.drop(columns="y"), frame["y"])
    for found in fitted:
        parity.same(found["select"].scores_, expected.scores_, "scores_", 1e-9)
        parity.same(found["select"].scores_, fitted[0]["select"].scores_, "scores_")
        names = found["select"].get_feature_names_out()
        assert names.tolist() == expected.get_feature_names_out().tolist()
        parity.same(found["model"].coef_, fitted[0]["model"].coef_, "coef_")


@pytest.mark.parametrize("score", [chi2, f_classif])
def test_a_sparse_source_is_selected_from(parity, score):
    data, y = sparse.csr_matrix(COUNTS), CLASSES["three"].astype(str)
    pipeline = Pipeline([("select", SelectKBest(score, k=4)), ("model", SGDClassifier())])
    fitted = sl.fit(pipeline, sl.scan((data, y)), chunk_size=7, batch_size=50).estimator
    expected = SelectKBest(score, k=4).fit(data, y)
    parity.same(fitted["select"].scores_, expected.scores_, "scores_", 1e-9)
    assert fitted["model"].coef_.shape == (3, 4)


def test_what_a_score_does_not_take_is_refused():
    with pytest.raises(UnsupportedEstimatorError, match="mutual_info_classif.*use f_classif"):
        SelectionScores(SelectKBest(mutual_info_classif))
    with pytest.raises(UnsupportedEstimatorError, match="use f_classif, chi2"):
        SelectionScores(SelectKBest(lambda X, y: X.sum(axis=0)))
    with pytest.raises(CellError, match=r"-1\.0, and chi2 takes counts"):
        learn(SelectKBest(chi2), np.array([[1.0], [-1.0]]), np.array([0, 1]), (0,))
    with pytest.raises(CellError, match=r"-1\.0, and chi2"):
        learn(SelectKBest(chi2), sparse.csr_matrix([[1.0], [-1.0]]), np.array([0, 1]), (0,))
    with pytest.raises(CellError, match="SimpleImputer"):
        learn(SelectKBest(f_classif), np.array([[1.0], [np.nan]]), np.array([0, 1]), (0,))
    with pytest.raises(CellError, match="inf"):
        learn(SelectKBest(f_regression), np.array([[1.0], [np.inf]]), np.array([0, 1]), (0,))
    with pytest.raises(DataError, match="'a' is no number"):
        learn(SelectKBest(f_regression), np.ones((2, 1)), np.array(["a", "b"]), (0,))
