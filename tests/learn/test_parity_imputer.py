"""SimpleImputer: fill values, gaps and indicators as in memory."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.impute import SimpleImputer

import streamlearn as sl
from streamlearn.errors import DataError, UnsupportedEstimatorError

ROWS = 120
rng = np.random.default_rng(3)
WORDS = np.array(["b", "a", "é", "日本", "A", ""], dtype=object)


def some(values, share=0.25):
    return pa.array(list(values), mask=rng.random(len(values)) < share)


NUMBERS = pa.table(
    {
        "whole": rng.integers(-1, 6, ROWS),
        "whole_null": some(rng.integers(0, 9, ROWS)),
        "float_null": some(np.round(rng.normal(2, 3, ROWS), 0) + 0.0),
        "nan": np.where(rng.random(ROWS) < 0.3, np.nan, rng.integers(0, 4, ROWS)),
        "huge": 1e9 + rng.normal(size=ROWS),
        "empty": pa.nulls(ROWS, pa.float64()),
        "empty_whole": pa.nulls(ROWS, pa.int32()),
    }
)
FULL = pa.table({"a": rng.integers(-1, 4, ROWS), "b": np.round(rng.normal(size=ROWS), 0) + 0.0})
STRINGS = pa.table(
    {
        "full": WORDS[rng.integers(0, 6, ROWS)],
        "null": some(WORDS[rng.integers(0, 6, ROWS)]),
        "empty": pa.nulls(ROWS, pa.string()),
    }
)
MIXED = pa.table({"word": STRINGS["null"], "number": NUMBERS["whole_null"], "f": FULL["b"]})
BOOLS = pa.table({"bool": some(rng.random(ROWS) < 0.3), "word": STRINGS["null"]})


@pytest.mark.parametrize("keep", [False, True], ids=["drop", "keep"])
@pytest.mark.parametrize("indicate", [False, True], ids=["plain", "indicator"])
@pytest.mark.parametrize("strategy", ["mean", "most_frequent", "constant"])
def test_numbers_are_filled_as_in_memory_however_they_are_read(parity, strategy, indicate, keep):
    imputer = SimpleImputer(strategy=strategy, add_indicator=indicate, keep_empty_features=keep)
    rtol = 1e-12 if strategy == "mean" else 0.0
    parity.check(imputer, NUMBERS, rtol=rtol, everywhere=True)


@pytest.mark.parametrize("keep", [False, True], ids=["drop", "keep"])
@pytest.mark.parametrize("indicate", [False, True], ids=["plain", "indicator"])
@pytest.mark.parametrize("strategy", ["most_frequent", "constant"])
@pytest.mark.parametrize("data", [STRINGS, MIXED, BOOLS], ids=["strings", "mixed", "bools"])
def test_strings_are_filled_as_in_memory_however_they_are_read(
    parity, data, strategy, indicate, keep
):
    imputer = SimpleImputer(strategy=strategy, add_indicator=indicate, keep_empty_features=keep)
    parity.check(imputer, data, everywhere=True)


@pytest.mark.parametrize(
    ("fill_value", "data"),
    [
        ("?", STRINGS),
        ("?", MIXED),
        (3, NUMBERS.select(["float_null", "nan"])),
        (2.5, NUMBERS.select(["float_null", "whole_null"])),
        (np.nan, NUMBERS.select(["float_null"])),
        (7, FULL.select(["a"])),
    ],
)
def test_a_constant_fills_as_in_memory(parity, fill_value, data):
    parity.check(SimpleImputer(strategy="constant", fill_value=fill_value), data)


@pytest.mark.parametrize("indicate", [False, True], ids=["plain", "indicator"])
@pytest.mark.parametrize("strategy", ["mean", "most_frequent", "constant"])
@pytest.mark.parametrize("marker", [-1, 0, 3, 99])
def test_any_number_can_mark_a_gap(parity, marker, strategy, indicate):
    imputer = SimpleImputer(missing_values=marker, strategy=strategy, add_indicator=indicate)
    rtol = 1e-12 if strategy == "mean" else 0.0
    parity.check(imputer, FULL, rtol=rtol, everywhere=True)
    parity.check(imputer, rng.integers(-1, 4, (ROWS, 3)), rtol=rtol)


@pytest.mark.parametrize("strategy", ["most_frequent", "constant"])
@pytest.mark.parametrize("marker", ["", "a", "not there"])
def test_any_string_can_mark_a_gap(parity, marker, strategy):
    imputer = SimpleImputer(
        missing_values=marker, strategy=strategy, fill_value="x", add_indicator=True
    )
    parity.check(imputer, STRINGS.select(["full"]), everywhere=True)


@pytest.mark.parametrize("strategy", ["mean", "most_frequent"])
def test_pandas_na_marks_what_is_null(parity, strategy):
    imputer = SimpleImputer(missing_values=pd.NA, strategy=strategy)
    source = parity.source(NUMBERS.select(["float_null", "nan"]), "groups")
    found = sl.fit(imputer, source, chunk_size=7).estimator
    expected = SimpleImputer(missing_values=pd.NA, strategy=strategy).fit(
        NUMBERS.select(["float_null", "nan"]).to_pandas()
    )
    np.testing.assert_allclose(found.statistics_, expected.statistics_, rtol=1e-12)


@pytest.mark.parametrize("marker", [np.nan, None, True, -1, "a"], ids=repr)
@pytest.mark.parametrize("strategy", ["most_frequent", "constant"])
@pytest.mark.parametrize(
    "values",
    [[None, None, True], [None, False, False], [None, False, True], [None], [b"x", None, None]],
    ids=["none wins", "false wins", "tie", "none only", "bytes"],
)
def test_none_is_a_value_unless_it_marks_a_gap(parity, values, strategy, marker):
    table = pa.table({"a": values * 20, "word": ["b", "c"] * (10 * len(values))})
    parity.check(SimpleImputer(missing_values=marker, strategy=strategy), table)


@pytest.mark.parametrize(
    ("marker", "strategy", "column"),
    [
        (-1, "mean", "nan"),
        (-1, "most_frequent", "float_null"),
        (-1, "constant", "whole_null"),
        (None, "mean", "nan"),
        (None, "most_frequent", "nan"),
    ],
)
def test_nan_is_refused_where_it_does_not_mark_a_gap(parity, marker, strategy, column):
    table = NUMBERS.select(["whole", column])
    imputer = SimpleImputer(missing_values=marker, strategy=strategy)
    with pytest.raises(ValueError, match="NaN"):
        imputer.fit(table.to_pandas())
    first = int(np.flatnonzero(table.to_pandas()[column].isna())[0])
    with pytest.raises(DataError, match=rf"row {first} of .*column '{column}'.*NaN"):
        sl.fit(imputer, parity.source(table), chunk_size=7)


@pytest.mark.parametrize(
    "columns",
    [
        {"a": ["b", "a"] * 5, "b": ["z", "B"] * 5},
        {"a": [3, 1] * 5, "b": [2.5, -1.0] * 5},
        {"a": ["é", "e", "日"] * 4},
        {"a": [None, 2, 1] * 4},
    ],
)
def test_of_equally_frequent_values_the_smallest_wins(parity, columns):
    parity.check(SimpleImputer(strategy="most_frequent"), pa.table(columns), everywhere=True)


def test_minus_zero_is_counted_as_zero(parity):
    values = np.array([0.0, -0.0, 5.0, 5.0, 0.0, np.nan])
    parity.check(SimpleImputer(strategy="most_frequent"), pa.table({"a": values}), everywhere=True)
    parity.check(SimpleImputer(strategy="most_frequent"), values[:, None])


@pytest.mark.parametrize("strategy", ["mean", "most_frequent", "constant"])
def test_values_may_begin_in_a_later_fragment(parity, strategy):
    table = pa.table({"a": pa.array([None] * 290 + [1.0, 2.0, 2.0] + [None] * 7)})
    parity.check(SimpleImputer(strategy=strategy), table, rtol=1e-12, everywhere=True)


def test_the_mean_of_float32_is_the_mean_of_their_float64_values(parity):
    """scikit-learn sums float32 in float32; the chunks are summed in float64."""
    values = (1000 + rng.normal(size=(ROWS, 2))).astype(np.float32)
    table = pa.table({"a": values[:, 0], "b": values[:, 1]})
    source = parity.source(table, "groups")
    found = sl.fit(SimpleImputer(), source, chunk_size=7).estimator
    expected = SimpleImputer().fit(table.to_pandas())
    np.testing.assert_allclose(found.statistics_, values.mean(0, dtype=float), rtol=1e-12)
    np.testing.assert_allclose(found.statistics_, expected.statistics_, rtol=ROWS * 2**-24)
    assert found._fit_dtype == expected._fit_dtype
    parity.same(found.transform(table.to_pandas()), expected.transform(table.to_pandas()), "output")


def test_other_strategies_are_refused_by_name():
    with pytest.raises(UnsupportedEstimatorError, match="nonsense"):
        sl.fit(SimpleImputer(strategy="nonsense"), np.zeros((3, 1)))
