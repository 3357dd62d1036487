"""Parquet: every row once, drift settled or refused, errors that say where."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import streamlearn as sl
from streamlearn.errors import DataError, SchemaError, SourceError
from streamlearn.testing import check_every_row_once


def test_every_row_is_read_once(mixed):
    folder, table = mixed
    check_every_row_once(sl.scan(folder, target="y", weight="w"))
    assert sl.scan(folder).rows == len(table)


@pytest.mark.parametrize(
    "make", [str, lambda folder: f"{folder}/*.parquet", lambda f: sorted(f.glob("*"))]
)
def test_a_directory_a_glob_and_a_list_are_the_same(mixed, make):
    folder, table = mixed
    data = sl.scan(make(folder), target="y")
    assert data.rows == len(table)
    assert data.features.names == ["zone", "distance", "count", "flag", "label", "name", "w"]


def test_values_are_those_of_the_file(mixed):
    folder, table = mixed
    data = sl.scan(folder, target="y")
    chunks = [c for f in data.fragments for c in data.read(f, ["flag", "count"], 700)]
    read = pa.Table.from_batches([chunk.X for chunk in chunks])
    assert read.equals(table.select(["flag", "count"]))
    assert np.array_equal(np.concatenate([c.y for c in chunks]), table["y"].to_numpy())


def test_only_the_columns_asked_for_are_read(mixed):
    folder, _ = mixed
    data = sl.scan(folder, target="y", features=["zone"])
    assert data.stored_columns(["zone"]) == ["zone", "y"]
    assert data.stored_columns([]) == ["y"]


def test_hive_partitions_are_columns(tmp_path):
    for year, city in [(2022, "a b"), (2023, "c")]:
        folder = tmp_path / f"year={year}" / f"city={city.replace(' ', '%20')}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"x": [1.0, 2.0]}), folder / "part.parquet")
    data = sl.scan(tmp_path)
    rows = [c.X.to_pylist() for f in data.fragments for c in data.read(f, data.features.names, 10)]
    assert rows[0][0] == {"x": 1.0, "year": 2022, "city": "a b"}
    assert rows[1][1] == {"x": 2.0, "year": 2023, "city": "c"}
    only = [c.X.to_pydict() for f in data.fragments for c in data.read(f, ["year"], 10)]
    assert only == [{"year": [2022, 2022]}, {"year": [2023, 2023]}]


def _two(tmp_path, one, other):
    pq.write_table(pa.table(one), tmp_path / "a.parquet")
    pq.write_table(pa.table(other), tmp_path / "b.parquet")
    return tmp_path


def test_safe_drift_is_settled_and_told(tmp_path):
    folder = _two(
        tmp_path,
        {"i": pa.array([1], pa.int32()), "f": pa.nulls(1), "s": ["x"]},
        {"i": pa.array([2**40]), "f": [0.5], "s": pa.array(["y"], pa.large_string())},
    )
    data = sl.scan(folder)
    data.require(data.features.names)
    assert [str(field.type) for field in data.features] == ["int64", "double", "large_string"]
    assert any("int32, int64 read as int64" in n for n in data.source.notes(["i"]))
    read = [c.X.to_pydict() for f in data.fragments for c in data.read(f, ["i", "f", "s"], 5)]
    assert read[1] == {"i": [2**40], "f": [0.5], "s": ["y"]}


def test_unsafe_drift_names_both_files_the_column_both_types_and_the_flag(tmp_path):
    folder = _two(tmp_path, {"zone": ["7"], "x": [1]}, {"zone": [8], "x": [2]})
    data = sl.scan(folder)
    data.require(["x"])
    with pytest.raises(SchemaError) as caught:
        data.require(["zone"])
    message = str(caught.value)
    for part in ("a.parquet", "b.parquet", "'zone'", "string", "int64", "--schema zone=int64"):
        assert part in message
    settled = sl.scan(folder, schema={"zone": "int64"})
    settled.require(["zone"])
    read = [c.X.to_pydict() for f in settled.fragments for c in settled.read(f, ["zone"], 5)]
    assert read == [{"zone": [7]}, {"zone": [8]}]


def test_a_value_that_does_not_fit_the_settled_type_is_named(tmp_path):
    folder = _two(tmp_path, {"zone": ["7", "x9"]}, {"zone": ["8", "9"]})
    data = sl.scan(folder, schema={"zone": "int64"})
    with pytest.raises(DataError, match=r"a.parquet, row group 0, row 1: column 'zone' .*'x9'"):
        list(data.read(data.fragments[0], ["zone"], 10))


def test_a_column_that_some_files_lack_is_refused_or_null(tmp_path):
    folder = _two(tmp_path, {"x": [1.0], "extra": [2.0]}, {"x": [3.0]})
    with pytest.raises(SchemaError, match=r"'extra' is in 1 of 2 files .*b.parquet"):
        sl.scan(folder).require(["extra"])
    data = sl.scan(folder, schema={"extra": "double"})
    data.require(["extra"])
    read = [c.X.to_pydict()["extra"] for f in data.fragments for c in data.read(f, ["extra"], 5)]
    assert read == [[2.0], [None]]


@pytest.mark.parametrize("data", ["nowhere.parquet", "no/*.parquet"])
def test_a_missing_file_is_named(data):
    with pytest.raises(SourceError, match="no"):
        sl.scan(data)


def test_a_truncated_file_is_named(shared):
    with pytest.raises(SourceError, match=r"truncated.parquet: cannot be read as parquet"):
        sl.scan(shared / "awkward" / "truncated.parquet")


def test_damage_inside_a_file_is_an_error_with_its_place(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"x": np.random.default_rng(0).normal(size=50_000)}), path)
    content = bytearray(path.read_bytes())
    content[200:260] = bytes(60)
    path.write_bytes(bytes(content))
    data = sl.scan(path)
    try:
        chunks = [c for f in data.fragments for c in data.read(f, ["x"], 1000)]
    except SourceError as error:
        assert "x.parquet, row group 0" in str(error)
    else:
        assert sum(map(len, chunks)) == 50_000


def test_empty_row_groups_and_files_are_passed_over(tmp_path):
    pq.write_table(pa.table({"x": pa.array([], pa.float64())}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": [1.0]}), tmp_path / "b.parquet")
    data = sl.scan(tmp_path)
    assert data.rows == 1
    assert len(data.fragments) == 1


def test_the_fingerprint_changes_with_the_data(tmp_path):
    pq.write_table(pa.table({"x": [1.0]}), tmp_path / "a.parquet")
    one = sl.scan(tmp_path).source.fingerprint
    pq.write_table(pa.table({"x": [1.0, 2.0]}), tmp_path / "a.parquet")
    assert sl.scan(tmp_path).source.fingerprint != one


def test_twice_the_same_column_name_is_refused(tmp_path):
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(SchemaError, match="'x'"):
        sl.scan(tmp_path)


def test_the_pandas_index_is_no_feature(tmp_path):
    pq.write_table(pa.table({"x": [1.0], "__index_level_0__": [5]}), tmp_path / "a.parquet")
    assert sl.scan(tmp_path).features.names == ["x"]
