"""Profiles of columns: equal to pandas on all rows, the same however rows are cut, bounded."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import sys
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import mixed_table

from streamlearn.chunk import Field, Schema
from streamlearn.learn.distinct import Distinct, Known, sketch_sizes
from streamlearn.learn.profile import Profile
from streamlearn.learn.profiler import Profiler, profile_bytes, profilers
from streamlearn.learn.row_sample import Bound, RowSample, rank_error, sample_rows


def profiler_of(table, cuts=(), parts=1, *, full=True, target=None, block_rows=1_000_000):
    """Profile a table cut into chunks, in so many parts that are merged in order."""
    schema = Schema.from_arrow(table.schema)
    new = profilers(schema, target, full=full)
    bounds = sorted({0, table.num_rows, *(cut for cut in cuts if cut < table.num_rows)})
    chunks = list(pairwise(bounds))
    whole = new()
    for some in np.array_split(np.arange(len(chunks)), parts):
        part = new()
        for index in some:
            start, stop = chunks[index]
            batch = one_batch(table.slice(start, stop - start))
            part.update(batch, None, np.arange(start, stop))
            part.update_block(batch, None)
        whole.merge(part)
    return whole


def one_batch(table):
    table = table.combine_chunks()
    return pa.RecordBatch.from_arrays(
        [
            column.chunk(0) if column.num_chunks else pa.array([], column.type)
            for column in table.columns
        ],
        names=table.column_names,
    )


def profile_of(table, *cut, target=None, **options):
    return profiler_of(table, *cut, **options).value(target)


@pytest.fixture(scope="module")
def table():
    return mixed_table(3_000)


def test_all_numbers_are_those_of_pandas(table):
    found = profile_of(table)
    frame = table.to_pandas()
    assert found.sampled_rows == found.rows == 3_000
    assert found.rank_error == 0
    expected = frame.describe(percentiles=[0.05, 0.25, 0.5, 0.75, 0.95])
    for name in expected.columns:
        column = found[name]
        wanted = expected[name]
        assert column.minimum == wanted["min"]
        assert column.maximum == wanted["max"]
        assert column.mean == pytest.approx(wanted["mean"], rel=1e-12)
        assert column.std == pytest.approx(wanted["std"], rel=1e-12)
        for share, value in column.quantiles.items():
            assert value == pytest.approx(wanted[share], rel=1e-8)
    for name in frame.columns:
        column = found[name]
        assert column.distinct == frame[name].nunique()
        assert column.distinct_is == "exact"
        assert column.nulls + column.nans == frame[name].isna().sum()
        counts = frame[name].value_counts()
        for value, share in column.top:
            assert share == pytest.approx(counts[value] / 3_000, rel=1e-8)
        assert [share for _, share in column.top] == sorted(
            (share for _, share in column.top), reverse=True
        )


@given(st.lists(st.integers(1, 5_999), max_size=6), st.integers(1, 4), st.booleans())
@settings(max_examples=25, deadline=None)
def test_cuts_and_merges_change_nothing_but_the_last_digits_of_means(cuts, parts, full):
    table = _LONG_TABLE
    one = profile_of(table, full=full).to_dict()
    other = profile_of(table, cuts, parts, full=full).to_dict()
    for mine, theirs in zip(one["columns"], other["columns"], strict=True):
        for name in ("mean", "std"):
            assert mine.pop(name, 0) == pytest.approx(theirs.pop(name, 0), rel=1e-12)
    assert one == other


_LONG_TABLE = mixed_table(6_000)


def test_the_sample_is_the_same_whatever_is_merged_when():
    rows = np.arange(20_000)
    one = RowSample(100)
    one.add(rows[:, None], None, rows)
    bound = Bound()
    parts = [RowSample(100, bound) for _ in range(7)]
    for place, some in enumerate(np.array_split(rows, 70)):
        parts[place % 7].add(some[:, None], None, some)
    other = RowSample(100, bound)
    for part in reversed(parts):
        other.merge(part)
    for mine, theirs in zip(one.result(), other.result(), strict=True):
        assert np.array_equal(mine, theirs) if mine is not None else theirs is None
    assert len(one.result()[2]) == 100


@pytest.mark.parametrize("distribution", ["normal", "lognormal", "zipf"])
def test_quantiles_of_a_sample_keep_to_their_bound(distribution):
    rng = np.random.default_rng(1)
    values = {
        "normal": rng.normal(size=200_000),
        "lognormal": rng.lognormal(0, 2, 200_000),
        "zipf": rng.zipf(1.5, 200_000).clip(max=10**6).astype(np.float64),
    }[distribution]
    found = profile_of(pa.table({"x": values}), full=False)
    assert found.sampled_rows == 4_096
    assert found.rank_error == pytest.approx(rank_error(4_096), abs=1e-5)
    ordered = np.sort(values)
    for name, value in found["x"].quantiles.items():
        share = float(name[:-1]) / 100
        below = np.searchsorted(ordered, value, "left") / len(values)
        upto = np.searchsorted(ordered, value, "right") / len(values)
        assert below - found.rank_error <= share <= upto + found.rank_error


@pytest.mark.parametrize(
    ("kind", "many"),
    [("int", 900), ("int", 1_500), ("int", 300_000), ("float", 1_000), ("float", 100_000),
     ("text", 900), ("text", 1_500), ("text", 40_000)],
)  # fmt: skip
def test_distinct_values_are_exact_up_to_1_000_then_within_three_standard_errors(kind, many):
    rng = np.random.default_rng(many)
    values = rng.permutation(np.concatenate([np.arange(many), rng.integers(0, many, many)]))
    column = pa.array({"int": values, "float": values / 7, "text": values.astype(str)}[kind])
    whole, known = Distinct(), Known()
    whole.add(column)
    parts = [Distinct(known=known) for _ in range(3)]
    for place, start in enumerate(range(0, len(column), 9_999)):
        parts[place % 3].add(column.slice(start, 9_999))
    merged = Distinct(known=known)
    for part in parts:
        merged.merge(part)
    assert merged.count == whole.count
    assert merged.exact == whole.exact == (many < 2_048)
    assert abs(merged.count / many - 1) <= 3 * merged.error
    assert (merged.top(3) is None) == (many > 1_000)
    assert merged.top(3) == whole.top(3)


def test_an_empty_or_missing_value_is_no_value():
    found = Distinct()
    found.add(pa.array([np.nan, None, 0.0, -0.0], from_pandas=False))
    assert found.count == 1
    found.add(pa.nulls(5, pa.float64()))
    assert found.top(5) == [(0.0, 2)]


def test_every_type_has_a_profile():
    day = dt.date(2024, 2, 29)
    moment = dt.datetime(2024, 2, 29, 12, 30)  # noqa: DTZ001 - one without a zone
    utc = moment.replace(tzinfo=dt.UTC)
    table = pa.table(
        {
            "big": pa.array([2**60 + 1, 2**60 + 3, None]),
            "unsigned": pa.array([2**64 - 1, 2**64 - 2, 5], pa.uint64()),
            "half": pa.array(np.array([1.5, 2.5, np.nan], np.float16)),
            "bool": pa.array([True, None, True]),
            "day": pa.array([day, day, None]),
            "moment": pa.array([moment, None, moment], pa.timestamp("ms")),
            "zoned": pa.array([utc, utc, utc], pa.timestamp("us", "UTC")),
            "time": pa.array([dt.time(1, 2), dt.time(3, 4), None], pa.time32("s")),
            "span": pa.array([1, 2, None], pa.duration("s")),
            "money": pa.array([decimal.Decimal("1.10"), decimal.Decimal("-2.35"), None]),
            "text": pa.array(["ü\u202e", "", "ü\u202e"]),
            "bytes": pa.array([b"\xff\x00", None, b"\xff\x00"]),
            "nothing": pa.nulls(3),
            "infinite": pa.array([np.inf, -np.inf, 1.0]),
            "empty": pa.array([None, None, None], pa.float32()),
        }
    )
    for full in (True, False):
        found = profile_of(table, full=full)
        assert (found["big"].minimum, found["big"].maximum) == (2**60 + 1, 2**60 + 3)
        assert (found["unsigned"].minimum, found["unsigned"].maximum) == (5, 2**64 - 1)
        assert (found["half"].maximum, found["half"].nans, found["half"].mean) == (2.5, 1, 2.0)
        assert (found["bool"].distinct, found["bool"].mean) == (1, 1.0)
        assert found["day"].minimum == "2024-02-29"
        assert found["day"].top == (("2024-02-29", pytest.approx(2 / 3)),)
        assert found["moment"].maximum == "2024-02-29T12:30:00.000"
        assert found["moment"].quantiles["50%"] == "2024-02-29T12:30:00.000"
        assert found["zoned"].minimum == "2024-02-29T12:30:00.000000Z"
        assert found["time"].maximum == "03:04:00"
        assert found["span"].nulls == 1
        assert (found["money"].minimum, found["money"].maximum) == ("-2.35", "1.10")
        assert found["money"].mean == pytest.approx(-0.625)
        assert found["text"].top == (("ü\u202e", pytest.approx(2 / 3)),)
        assert found["bytes"].top == (("ff00", pytest.approx(2 / 3)),)
        assert (found["nothing"].nulls, found["nothing"].distinct) == (3, 0)
        assert (found["infinite"].infinite, found["infinite"].minimum) == (2, 1.0)
        assert found["infinite"].std is None
        assert (found["empty"].minimum, found["empty"].mean) == (None, None)
        plain = json.loads(found.to_json())
        assert Profile.from_dict(plain).to_dict() == found.to_dict()
        repr(found)


def test_no_row_is_a_profile_too():
    empty = pa.table({"a": pa.array([], pa.float64()), "b": pa.array([], pa.string())})
    found = Profiler(Schema.from_arrow(empty.schema), full=True).value()
    assert (found.rows, found["a"].distinct, found.findings) == (0, 0, ())
    assert json.loads(found.to_json())["rows"] == 0
    assert "0 rows" in repr(found)


def test_a_matrix_and_its_target_are_columns_like_others():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 3)).astype(np.float32)
    X[5, 1] = np.nan
    y = rng.integers(0, 3, len(X))
    schema = Schema(tuple(Field(str(i), pa.float32()) for i in range(3)), named=False)
    for full in (True, False):
        found = Profiler(schema, Field("target", pa.int64()), full=full)
        for start in range(0, len(X), 7_000):
            part = slice(start, start + 7_000)
            found.update(X[part], y[part], np.arange(len(X))[part])
            found.update_block(X[part], y[part])
        value = found.value()
        assert (value["1"].nans, value["1"].minimum) == (1, float(np.nanmin(X[:, 1])))
        assert (value.target, value["target"].maximum) == ("target", 2)
        if full:
            assert value["target"].top[0][1] == np.bincount(y).max() / len(y)
            assert value["2"].mean == pytest.approx(X[:, 2].mean(dtype=np.float64), rel=1e-9)


def test_texts_of_any_length_are_held_in_bounded_memory():
    long = pa.table({"a": [f"{i:09d}" * 1_000 for i in range(300)]})
    found = profiler_of(long)
    value = found.value()
    assert value["a"].distinct == 300
    assert value["a"].top == ()
    X, _, _ = found._sample.result()
    assert X.get_total_buffer_size() < 300 * 400


@pytest.mark.parametrize("columns", [1, 28, 500, 5_000])
def test_what_is_held_is_bounded_and_planned(columns):
    rows = 2_000 if columns == 5_000 else 12_000
    rng = np.random.default_rng(0)
    table = pa.table({f"f{i}": rng.normal(size=rows).astype(np.float32) for i in range(columns)})
    schema = Schema.from_arrow(table.schema)
    for full in (True, False):
        found = profiler_of(table, range(0, rows, 2_000), full=full)
        assert held(found) <= profile_bytes(schema, full=full) <= 80_000_000
        value = found.value()
        assert len(value.columns) == columns
        assert value["f0"].distinct >= min(rows, sample_rows(schema)) * 0.9
        assert value.extremes_exact == (full or columns <= 500)
        if columns == 5_000:
            assert len(value.to_json()) < 2_500_000
            assert len(repr(value).splitlines()) < 80


def held(profiler):
    sample = sum(
        part[0].nbytes + part[1].nbytes + part[2].get_total_buffer_size()
        for part in profiler._sample._parts
    )
    sketches = sum(
        item._hashes.nbytes + sum(map(sys.getsizeof, item._waiting)) for item in profiler._distinct
    )
    return sample + sketches


def test_wide_data_has_smaller_sketches():
    assert sketch_sizes(28) == (1_000, 2_048)
    assert sketch_sizes(5_000) == (16, 100)


def test_pandas_and_profile_agree_on_a_column_of_gaps():
    values = pd.Series([None, 1, 2, 2], dtype="Int64")
    found = profile_of(pa.table({"a": pa.array(values)}))
    assert (found["a"].nulls, found["a"].mean, found["a"].std) == (
        1,
        pytest.approx(values.mean()),
        pytest.approx(values.std()),
    )


def test_a_fit_on_very_many_columns_looks_at_a_sample_alone_and_says_so():
    rows = 4_000
    rng = np.random.default_rng(0)
    columns = {f"f{i}": rng.normal(size=rows).astype(np.float32) for i in range(600)}
    columns["gaps"] = pa.array([None, None, None, 1.0] * (rows // 4))
    columns["none"] = pa.nulls(rows, pa.float64())
    found = profile_of(pa.table(columns), range(0, rows, 900), 2, full=False)
    sampled = sample_rows(Schema.from_arrow(pa.table(columns).schema))
    assert found.sampled_rows == sampled < rows
    assert abs(found["gaps"].nulls / rows - 0.75) < found.rank_error
    assert "everything is from a sample of" in repr(found)
    texts = {finding.kind: finding.text for finding in found.findings}
    assert f"any of {sampled:,} sampled rows" in texts["all null"]
    assert f"'gaps' is 1.0 in all {sampled:,} sampled rows" in texts["constant"]
