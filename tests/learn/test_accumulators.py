"""Accumulators: blocks in any cut, merged in any tree, make the state of all rows."""

from __future__ import annotations

import copy
import itertools
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, OneHotEncoder, StandardScaler

from streamlearn.learn.categories import Categories
from streamlearn.learn.counts import ValueCounts
from streamlearn.learn.extrema import Extrema
from streamlearn.learn.imputing import ImputerStatistics
from streamlearn.learn.moments import Moments, ScalerMoments

FIXED = settings(max_examples=60, derandomize=True, deadline=None)

cuts = st.lists(st.integers(0, 60), max_size=6).map(sorted)


@st.composite
def matrices(draw):
    rows, columns = draw(st.integers(1, 60)), draw(st.integers(1, 3))
    seed = draw(st.integers(0, 2**32 - 1))
    offset = draw(st.sampled_from([0.0, 1.0, -1e6, 1e9]))
    missing = draw(st.sampled_from([0.0, 0.2, 1.0]))
    rng = np.random.default_rng(seed)
    values = offset + rng.normal(size=(rows, columns))
    values[rng.random((rows, columns)) < missing] = np.nan
    return values


def pieces(rows, at):
    """Cut at the given places, some of which leave an empty piece or one row."""
    bounds = [0, *[min(cut, len(rows)) for cut in at], len(rows)]
    return [rows[a:b] for a, b in itertools.pairwise(bounds)]


def moments_of(parts, columns):
    found = Moments(columns)
    for part in parts:
        found.add(part)
    return found


def check_moments(found, values):
    seen = (~np.isnan(values)).sum(axis=0)
    np.testing.assert_array_equal(found.count, seen)
    assert found.total == len(values)
    for column, number in enumerate(seen):
        if not number:
            assert np.isnan(found.mean[column])
            assert np.isnan(found.variance[column])
            continue
        exact = values[~np.isnan(values[:, column]), column].astype(np.longdouble)
        mean = exact.mean()
        variance = ((exact - mean) ** 2).mean()
        scale = float(np.abs(exact).max())
        assert found.mean[column] == pytest.approx(float(mean), rel=1e-12, abs=1e-15 * scale)
        # One value, or equal ones: what is left is the rounding of the mean, squared.
        floor = (4 * scale * 2.0**-53) ** 2
        assert found.variance[column] == pytest.approx(float(variance), rel=1e-12, abs=floor)


@FIXED
@given(matrices(), cuts)
def test_moments_of_blocks_are_those_of_all_rows(values, at):
    check_moments(moments_of(pieces(values, at), values.shape[1]), values)


@FIXED
@given(matrices(), cuts)
def test_merged_moments_are_those_of_all_rows(values, at):
    found = Moments(values.shape[1])
    for part in pieces(values, at):
        found.merge(moments_of([part], values.shape[1]))
    check_moments(found, values)


@FIXED
@given(matrices(), st.integers(0, 60), st.integers(0, 60))
def test_merging_moments_is_associative(values, first, second):
    a, b, c = (
        moments_of([part], values.shape[1]) for part in pieces(values, sorted([first, second]))
    )
    left, right, tail = copy.deepcopy(a), copy.deepcopy(a), copy.deepcopy(b)
    left.merge(b)
    left.merge(c)
    tail.merge(c)
    right.merge(tail)
    scale = np.nanmax(np.abs(np.where(np.isnan(values), 0, values)))
    np.testing.assert_allclose(left.mean, right.mean, rtol=1e-12)
    floor = (4 * scale * 2.0**-53) ** 2
    np.testing.assert_allclose(left.variance, right.variance, rtol=1e-12, atol=floor)
    np.testing.assert_array_equal(left.count, right.count)


@FIXED
@given(matrices(), cuts, st.integers(0, 2**32 - 1))
def test_weighted_moments_are_those_of_repeated_rows(values, at, seed):
    times = np.random.default_rng(seed).integers(0, 4, len(values))
    found = Moments(values.shape[1])
    for part, weight in zip(pieces(values, at), pieces(times.astype(float), at), strict=True):
        found.add(part, weight)
    check_moments(found, np.repeat(values, times, axis=0))


@FIXED
@given(matrices(), st.integers(0, 5), st.sampled_from([0.0, 1e9, -3.5]))
def test_a_constant_can_be_added_any_number_of_times(values, times, constant):
    columns = values.shape[1]
    found = moments_of([values], columns)
    found.add_constant(np.full(columns, constant), np.full(columns, float(times)))
    full = np.vstack([values, np.full((times, columns), constant)])
    seen = ~np.isnan(full)
    np.testing.assert_array_equal(found.count, seen.sum(axis=0))
    for column in np.flatnonzero(seen.any(axis=0)):
        exact = full[seen[:, column], column].astype(np.longdouble)
        scale = float(np.abs(exact).max())
        expected = float(exact.mean())
        assert found.mean[column] == pytest.approx(expected, rel=1e-12, abs=1e-15 * scale)


@FIXED
@given(matrices(), cuts, st.booleans())
def test_extrema_of_blocks_are_those_of_all_rows(values, at, merged):
    found = Extrema(MinMaxScaler())
    for part in pieces(values, at):
        target = Extrema(MinMaxScaler()) if merged else found
        target.update(part, None, None)
        if merged:
            found.merge(target)
    np.testing.assert_array_equal(found._low, np.fmin.reduce(values, axis=0))
    np.testing.assert_array_equal(found._high, np.fmax.reduce(values, axis=0))
    np.testing.assert_array_equal(found._seen, (~np.isnan(values)).sum(axis=0))
    assert found._rows == len(values)


columns_of_values = st.one_of(
    st.lists(st.integers(-3, 3) | st.none(), max_size=60).map(lambda v: pa.array(v, pa.int64())),
    st.lists(st.sampled_from(["a", "b", "é", ""]) | st.none(), max_size=60).map(
        lambda v: pa.array(v, pa.string())
    ),
    st.lists(st.sampled_from([0.5, 2.0, float("nan")]) | st.none(), max_size=60).map(
        lambda v: pa.array(v, pa.float64())
    ),
    st.lists(st.booleans() | st.none(), max_size=60).map(lambda v: pa.array(v, pa.bool_())),
)


@FIXED
@given(columns_of_values, cuts, st.booleans())
def test_counts_of_blocks_are_those_of_all_rows(column, at, merged):
    found = ValueCounts()
    for part in pieces(column, at):
        target = ValueCounts() if merged else found
        target.add(part)
        if merged:
            found.merge(target)
    expected = Counter(value for value in column.to_pylist() if value is not None)
    missing = len(column) - expected.total()
    for value in [value for value in expected if value != value]:
        missing += expected.pop(value)
    values, times = found.result()
    assert dict(zip(values.to_pylist(), times.tolist(), strict=True)) == expected
    assert len(values) == len(expected)
    assert found.missing == missing


def test_counts_are_right_beyond_the_size_at_which_they_are_compacted():
    rng = np.random.default_rng(0)
    blocks = [rng.integers(0, 90_000, 8192) for _ in range(40)]
    found = ValueCounts()
    for block in blocks:
        found.add(pa.array(block))
    values, times = found.result()
    expected, counts = np.unique(np.concatenate(blocks), return_counts=True)
    order = np.argsort(values.to_numpy())
    np.testing.assert_array_equal(values.to_numpy()[order], expected)
    np.testing.assert_array_equal(times[order], counts)
    assert found.nbytes < 4 << 20


EMPTY_TABLE = pa.record_batch({"a": pa.array([], pa.float64()), "b": pa.array([], pa.float64())})
FULL_TABLE = pa.record_batch({"a": [1.0, None, 3.0, 1.0], "b": [2.0, 2.0, 5.0, None]})
MAKERS = {
    "standard": (ScalerMoments, StandardScaler()),
    "minmax": (Extrema, MinMaxScaler()),
    "maxabs": (Extrema, MaxAbsScaler()),
    "onehot": (Categories, OneHotEncoder()),
    "mean": (ImputerStatistics, SimpleImputer()),
    "most frequent": (ImputerStatistics, SimpleImputer(strategy="most_frequent")),
    "constant": (ImputerStatistics, SimpleImputer(strategy="constant")),
}


@pytest.mark.parametrize("as_matrix", [False, True], ids=["table", "matrix"])
@pytest.mark.parametrize(("make", "estimator"), MAKERS.values(), ids=MAKERS)
def test_an_empty_block_teaches_nothing(parity, make, estimator, as_matrix):
    frame = FULL_TABLE.to_pandas()
    empty, full = EMPTY_TABLE, FULL_TABLE
    if as_matrix:
        frame = frame.to_numpy()
        empty, full = np.zeros((0, 2)), frame
    found, other = make(estimator), make(estimator)
    found.update(empty, None, None)
    found.update(full, None, None)
    found.update(empty, None, None)
    other.update(empty, None, None)
    found.merge(other)
    other.merge(found)
    for state in (found, other):
        fitted = type(estimator)(**estimator.get_params())
        state.finish(fitted, frame)
        expected = type(estimator)(**estimator.get_params()).fit(frame)
        parity.same(fitted, expected, type(estimator).__name__, 1e-12)


@pytest.mark.parametrize(("make", "estimator"), MAKERS.values(), ids=MAKERS)
def test_learning_never_changes_a_block(make, estimator):
    block = np.array([[1.0, 2.0], [np.nan, 2.0], [3.0, 5.0]])
    before = block.copy()
    block.flags.writeable = False
    make(estimator).update(block, None, None)
    np.testing.assert_array_equal(block, before)


@pytest.mark.parametrize(("make", "estimator"), MAKERS.values(), ids=MAKERS)
def test_the_order_of_an_array_in_memory_changes_no_bit(make, estimator, parity):
    block = np.random.default_rng(3).normal(size=(500, 4))
    fitted = []
    for given_ in (block, np.asfortranarray(block), np.repeat(block, 2, axis=0)[::2]):
        state = make(estimator)
        state.update(given_, None, None)
        fitted.append(type(estimator)(**estimator.get_params()))
        state.finish(fitted[-1], block)
        parity.same(fitted[-1], fitted[0], "fitted")
