"""StandardScaler, MinMaxScaler and MaxAbsScaler: as fitted in memory."""

from __future__ import annotations

import warnings

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler

import streamlearn as sl
from streamlearn.errors import DataError

ROWS = 120
rng = np.random.default_rng(0)


def with_nulls(values: np.ndarray, share: float = 0.2) -> pa.Array:
    return pa.array(values, mask=rng.random(len(values)) < share)


NUMBERS = pa.table(
    {
        "plain": rng.normal(size=ROWS),
        "null": with_nulls(rng.normal(3, 2, ROWS)),
        "nan": np.where(rng.random(ROWS) < 0.3, np.nan, rng.normal(-1, 1, ROWS)),
        "whole": rng.integers(-5, 100, ROWS),
        "small": rng.integers(0, 255, ROWS).astype(np.uint8),
        "whole_null": with_nulls(rng.integers(0, 9, ROWS)),
        "bool": rng.random(ROWS) < 0.5,
        "empty": pa.nulls(ROWS, pa.float64()),
        "constant": np.full(ROWS, 7.25),
    }
)
FLOAT32 = pa.table(
    {
        "a": rng.normal(size=ROWS).astype(np.float32),
        "b": (1000 + rng.normal(size=ROWS)).astype(np.float32),
        "c": with_nulls(rng.normal(size=ROWS).astype(np.float32)),
        "d": rng.integers(0, 255, ROWS).astype(np.uint8),
    }
)
WHOLE = pa.table({"a": rng.integers(0, 5, ROWS), "b": rng.integers(-(2**40), 2**40, ROWS)})
MATRICES = {
    "float64": np.where(rng.random((ROWS, 3)) < 0.1, np.nan, rng.normal(size=(ROWS, 3))),
    "float32": rng.normal(size=(ROWS, 3)).astype(np.float32),
    "int64": rng.integers(-9, 9, (ROWS, 3)),
    "bool": rng.random((ROWS, 2)) < 0.5,
    "fortran": np.asfortranarray(rng.normal(size=(ROWS, 3))),
}
TABLES = {"numbers": NUMBERS, "float32": FLOAT32, "whole": WHOLE}
SCALERS = {
    "standard": StandardScaler(),
    "not centred": StandardScaler(with_mean=False),
    "not scaled": StandardScaler(with_std=False),
    "neither": StandardScaler(with_mean=False, with_std=False),
    "no copy": StandardScaler(copy=False),
    "minmax": MinMaxScaler(),
    "minmax range": MinMaxScaler(feature_range=(-2, 3.5)),
    "minmax clip": MinMaxScaler(feature_range=(0.25, 0.5), clip=True),
    "maxabs": MaxAbsScaler(),
}


def tolerance(scaler):
    return 1e-12 if isinstance(scaler, StandardScaler) else 0.0


@pytest.mark.parametrize("data", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("scaler", SCALERS.values(), ids=SCALERS)
def test_a_table_scales_as_in_memory_however_it_is_read(parity, scaler, data):
    rtol = tolerance(scaler)
    parity.check(scaler, data, rtol=rtol, atol=rtol, everywhere=True)


@pytest.mark.parametrize("data", MATRICES.values(), ids=MATRICES)
@pytest.mark.parametrize("scaler", [s for s in SCALERS.values() if s.copy])
def test_a_matrix_scales_as_in_memory_however_it_is_read(parity, scaler, data):
    rtol = tolerance(scaler)
    parity.check(scaler, data, rtol=rtol, atol=rtol, everywhere=True)


@pytest.mark.parametrize("offset", [1e3, 1e6, 1e9, -1e9])
def test_an_offset_costs_no_digit_of_the_variance(parity, offset):
    values = offset + np.random.default_rng(1).normal(size=(2000, 2))
    table = pa.table({"a": values[:, 0], "b": values[:, 1]})
    # A mean right to 1e-12 relative shifts the output by that share of the offset.
    parity.check(StandardScaler(), table, rtol=1e-12, atol=2e-12 * abs(offset), everywhere=True)
    parity.check(StandardScaler(), values, rtol=1e-12, atol=2e-12 * abs(offset))


@pytest.mark.parametrize("spread", [1e-3, 1e-6, 1e-9])
def test_a_near_constant_column_keeps_its_variance(parity, spread):
    values = 5 + spread * np.random.default_rng(2).normal(size=1000)
    scaler = parity.check(
        StandardScaler(), pa.table({"a": values}), rtol=1e-12, atol=1e-11 / spread
    )
    assert scaler.scale_[0] == pytest.approx(values.std(), rel=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, 7.3, -1 / 3, 1e9 + 0.1, 1e-300])
@pytest.mark.parametrize("rows", [1, 2, 100, 3000])
def test_a_constant_column_is_known_for_one_and_left_at_its_scale(parity, value, rows):
    table = pa.table({"a": np.full(rows, value)})
    for layout in ("one", "groups", "files"):
        fitted = sl.fit(StandardScaler(), parity.source(table, layout), chunk_size=7).estimator
        assert fitted.scale_.tolist() == [1.0]
        assert fitted.mean_[0] == pytest.approx(value, rel=1e-15)
        assert fitted.n_samples_seen_ == rows
    for scaler in (MinMaxScaler(), MaxAbsScaler()):
        parity.check(scaler, table)


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler(), MaxAbsScaler()])
def test_one_row_is_enough(parity, scaler):
    parity.check(scaler, pa.table({"a": [3.5], "b": [None]}), everywhere=True)


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler(), MaxAbsScaler()])
def test_infinity_is_refused_with_row_and_column(parity, scaler):
    values = np.ones(50)
    values[31] = np.inf
    source = parity.source(pa.table({"fine": np.arange(50.0), "bad": values}), "groups")
    with pytest.raises(DataError, match=r"(?s)row .*bad.*inf"):
        sl.fit(scaler, source, chunk_size=7)


@settings(max_examples=15, derandomize=True, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(-1e6, 1e6) | st.none(),
            st.floats(-1, 1, width=32) | st.none(),
            st.integers(-(2**31), 2**31) | st.none(),
        ),
        min_size=1,
        max_size=60,
    ),
    st.sampled_from([1, 7, 1000]),
)
def test_extrema_are_those_of_numpy_for_any_rows(parity, rows, chunk_size):
    columns = list(zip(*rows, strict=True))
    types = [pa.float64(), pa.float32(), pa.int64()]
    table = pa.table({str(i): pa.array(columns[i], types[i]) for i in range(3)})
    source = parity.source(table, "groups")
    for scaler in (MinMaxScaler(), MaxAbsScaler()):
        found = sl.fit(scaler, source, chunk_size=chunk_size).estimator
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = type(scaler)().fit(table.to_pandas())
        parity.same(found, expected, type(scaler).__name__)
