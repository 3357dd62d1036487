import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamlearn.chunk import Field, Schema
from streamlearn.errors import SchemaError, UsageError
from streamlearn.score.slice_by import parse_slice
from streamlearn.score.slices import (
    BinSlices,
    ChosenSlices,
    DateSlices,
    FileSlices,
    ValueSlices,
)

SCHEMA = Schema(
    (
        Field("zone", pa.int32()),
        Field("distance", pa.float64()),
        Field("pickup", pa.timestamp("us")),
        Field("day", pa.date32()),
        Field("flag", pa.string()),
        Field("a:b", pa.string()),
        Field("pair", pa.struct([("x", pa.int8())])),
    )
)


@pytest.mark.parametrize(
    ("text", "column", "unit", "bins"),
    [
        ("zone", "zone", "", 0),
        ("distance:4", "distance", "bins", 4),
        ("pickup", "pickup", "month", 0),
        ("pickup:hour", "pickup", "hour", 0),
        ("day:weekday", "day", "weekday", 0),
        ("a:b", "a:b", "", 0),
        ("file", "", "file", 0),
    ],
)
def test_what_to_slice_by(text, column, unit, bins):
    found = parse_slice(text, SCHEMA)
    assert (found.column, found.unit, found.bins) == (column, unit, bins)


def test_a_column_called_file_comes_first():
    assert parse_slice("file", Schema((Field("file", pa.string()),))).column == "file"


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("nothing", SchemaError, "no column 'nothing'.*zone, distance"),
        ("nothing:4", SchemaError, "no column 'nothing'"),
        ("zone:month", UsageError, "int32, which has no month"),
        ("day:hour", UsageError, "has no hour"),
        ("distance:1", UsageError, "quantile bins from 2"),
        ("distance:x", UsageError, "year, month, day"),
        ("flag:4", UsageError, "not a number"),
        ("pair", UsageError, "nested"),
    ],
)
def test_what_cannot_be_sliced_by(text, error, says):
    with pytest.raises(error, match=says):
        parse_slice(text, SCHEMA)


VALUES = st.lists(st.one_of(st.none(), st.integers(0, 9), st.just(float("nan")), st.floats(0, 2)))


@settings(max_examples=50, deadline=None)
@given(VALUES, st.integers(1, 5), st.integers(1, 7))
def test_values_have_the_same_slices_however_rows_are_cut(values, most, size):
    column = pa.array([None if v is None else float(v) for v in values], pa.float64())
    whole, cut = ValueSlices(most), ValueSlices(most)
    expected = whole.codes(column).tolist() if len(column) else []
    found = []
    for start in range(0, len(column), size):
        found += cut.codes(column.slice(start, size)).tolist()
    assert found == expected
    assert cut.names() == whole.names()
    assert len(whole.names()) <= whole.most
    # Each of the first values has a slice, and every row is in one.
    seen = list(dict.fromkeys(v for v in column.to_pylist() if v is not None and v == v))
    for value, code in zip(column.to_pylist(), expected, strict=True):
        if value is None or value != value:
            assert code == 0
        else:
            assert code == (seen.index(value) + 2 if value in seen[:most] else 1)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([True, None, False]),
        pa.array(["b", None, "a"]).dictionary_encode(),
        pa.array([b"b", None, b"a"]),
        pa.array([dt.date(2020, 1, 2), None, dt.date(2020, 1, 1)]),
        pa.array([None, None, None], pa.null()),
        pa.array([3, None, 1], pa.decimal128(5, 2)),
    ],
)
def test_values_of_any_type(column):
    slicer = ValueSlices(10)
    codes = slicer.codes(column)
    assert codes[1] == 0
    assert len(slicer.names()) == (2 if pa.types.is_null(column.type) else 4)
    assert sorted(slicer.order()) == list(range(len(slicer.names())))


def test_names_of_values_are_short_and_plain():
    slicer = ValueSlices(10)
    slicer.codes(pa.array([74.0, 0.5]))
    assert slicer.names()[2:] == ["74", "0.5"]
    slicer = ValueSlices(10)
    slicer.codes(pa.array(["x" * 10_000]))
    assert len(slicer.names()[2]) == 200


@pytest.mark.parametrize(
    ("unit", "name"),
    [
        ("year", "2019"),
        ("month", "2019-03"),
        ("day", "2019-03-09"),
        ("weekday", "Saturday"),
        ("hour", "17 h"),
    ],
)
def test_parts_of_dates(unit, name):
    times = pa.array([np.datetime64("2019-03-09T17:05", "ns"), None], pa.timestamp("ns"))
    slicer = DateSlices(unit, 100)
    assert slicer.codes(times).tolist() == [2, 0]
    assert slicer.names()[2] == name


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50),
    st.integers(2, 8),
    st.lists(st.one_of(st.none(), st.floats(allow_nan=True)), max_size=30),
)
def test_bins_are_those_of_pandas_cut(sample, bins, values):
    import pandas as pd

    slicer = BinSlices.of(np.array(sample), bins)
    column = pa.array(values, pa.float64())
    codes = slicer.codes(column)
    assert len(slicer.names()) == slicer.most == len(slicer.order())
    finite = [value for value in values if value is not None and np.isfinite(value)]
    cut = pd.cut(finite, [-np.inf, *slicer.edges, np.inf], labels=False)
    kept = [code for code, v in zip(codes, values, strict=True) if v is not None and np.isfinite(v)]
    assert [code - 1 for code in kept] == list(cut)
    assert all(code == 0 for code, v in zip(codes, values, strict=True) if v is None or v != v)


def test_a_sample_of_nothing_makes_one_bin():
    slicer = BinSlices.of(np.array([np.nan]), 4)
    assert slicer.codes(pa.array([1.0, None])).tolist() == [1, 0]


def test_files():
    slicer = FileSlices(["a/1.parquet", "a/1.parquet", "a/2.parquet"], [0, 10, 20])
    assert slicer.codes(pa.array([0, 9, 10, 19, 20, 99])).tolist() == [0, 0, 0, 0, 1, 1]
    assert slicer.names() == ["1.parquet", "2.parquet"]
    assert FileSlices(["a/1", "b/1"], [0, 5]).names() == ["a/1", "b/1"]


@pytest.mark.parametrize(
    ("column", "text", "expected"),
    [
        (pa.array([74, 75, None], pa.int32()), "74", [0, -1, -1]),
        (pa.array([2**62 + 1, 2**62]), str(2**62 + 1), [0, -1]),
        (pa.array([74, 75]), "74.0", [0, -1]),
        (pa.array([74.0, 75.5, float("nan")]), "74", [0, -1, -1]),
        (pa.array(["N", "Y", None]), "Y", [-1, 0, -1]),
        (pa.array([True, False]), "false", [-1, 0]),
        (pa.array([dt.date(2020, 1, 2)]), "2020-01-02", [0]),
        (pa.array([1, 2], pa.decimal128(5, 2)), "2", [-1, 0]),
    ],
)
def test_chosen_values(column, text, expected):
    assert ChosenSlices(Field("c", column.type), [text]).codes(column).tolist() == expected


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (pa.int32(), "x"),
        (pa.int32(), "1.5"),
        (pa.bool_(), "maybe"),
        (pa.date32(), "soon"),
        (pa.int8(), "1000"),
    ],
)
def test_values_that_a_column_cannot_have(type_, text):
    with pytest.raises(UsageError, match="no value of the column 'c'"):
        ChosenSlices(Field("c", type_), [text])
