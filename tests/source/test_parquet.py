"""Parquet: every row once, drift settled or refused, errors that say where."""

from __future__ import annotations

import base64
import os
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import streamlearn as sl
from streamlearn.errors import DataError, SchemaError, SourceError, StreamlearnError
from streamlearn.prepare.dates import DateFeatures, DatesKernel
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


def test_a_file_that_was_replaced_or_deleted_since_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": [1.0, 2.0]}), path)
    data = sl.scan(path)
    pq.write_table(pa.table({"x": [3.0, 4.0, 5.0]}), path)
    with pytest.raises(SourceError, match=r"a.parquet: this file changed since .*bytes now"):
        list(data.read(data.fragments[0], ["x"], 10))
    data = sl.scan(path)
    os.utime(path, ns=(1, 1))
    with pytest.raises(SourceError, match="changed since .*written to since"):
        list(data.read(data.fragments[0], ["x"], 10))
    path.unlink()
    with pytest.raises(SourceError, match="was there when it was opened, and is gone"):
        list(data.read(data.fragments[0], ["x"], 10))


def test_stray_files_in_a_directory_are_passed_over(tmp_path):
    for name in ("_SUCCESS", ".a.parquet.crc", "README.md", "_metadata", ".hidden.parquet"):
        (tmp_path / name).write_text("no parquet")
    with pytest.raises(SourceError, match="no file in this directory ends in .parquet"):
        sl.scan(tmp_path)
    (tmp_path / "spark.parquet").mkdir()
    pq.write_table(pa.table({"x": [1.0]}), tmp_path / "spark.parquet" / "part-0.parquet")
    assert sl.scan(tmp_path).rows == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": [1.0]}), path)
    path.chmod(0)
    with pytest.raises(SourceError, match="a.parquet: this file may not be read"):
        sl.scan(path)


def test_a_refusal_of_the_system_is_said_by_name(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": [1.0]}), path)

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pq, "read_metadata", refuse)
    with pytest.raises(SourceError, match="a.parquet: this file may not be read"):
        sl.scan(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it has 0 bytes"),
        (b"PAR1", "it has 4 bytes"),
        (b"PARE" + bytes(40) + b"PARE", "is encrypted"),
        (b"a,b,c\n1,2,3\n4,5,6\n", "cannot be read as parquet"),
        (b"PAR1" + bytes(40) + b"PAR1", "cannot be read as parquet"),
    ],
)
def test_what_is_no_parquet_file_is_named(tmp_path, content, message):
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        sl.scan(path)
    assert "a.parquet" in str(caught.value)


@pytest.mark.parametrize("plaintext_footer", [True, False])
def test_encrypted_files_are_named(tmp_path, plaintext_footer):
    encryption = pytest.importorskip("pyarrow.parquet.encryption")

    class Keys(encryption.KmsClient):
        def __init__(self, connection):
            super().__init__()

        def wrap_key(self, key, name):
            return base64.b64encode(key)

    factory = encryption.CryptoFactory(Keys)
    properties = factory.file_encryption_properties(
        encryption.KmsConnectionConfig(),
        encryption.EncryptionConfiguration(
            footer_key="f", column_keys={"k": ["x"]}, plaintext_footer=plaintext_footer
        ),
    )
    table = pa.table({"x": [1.0, 2.0], "open": [1, 2]})
    path = tmp_path / "a.parquet"
    with pq.ParquetWriter(path, table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)
    with pytest.raises(SourceError, match=r"a.parquet: this parquet file .*encrypted"):
        sl.scan(path)


@pytest.mark.parametrize(
    "table",
    [pa.table({"x": pa.array([], pa.float64())}), pa.table({})],
    ids=["no rows", "no columns"],
)
def test_a_file_with_nothing_in_it_can_be_opened_and_not_fitted(tmp_path, table):
    pq.write_table(table, tmp_path / "a.parquet")
    data = sl.scan(tmp_path)
    assert (data.rows, len(data.fragments)) == (0, 0)
    with pytest.raises(StreamlearnError, match="has no row|has no column left"):
        sl.fit(StandardScaler(), data)


def test_whole_numbers_that_a_double_cannot_hold_are_named(tmp_path):
    folder = _two(tmp_path, {"n": [1.5, 2.5]}, {"n": [7, 2**53 + 1]})
    data = sl.scan(folder)
    with pytest.raises(DataError) as caught:
        sl.fit(StandardScaler(), data)
    for part in ("b.parquet", "row group 0", "row 1", "'n'", str(2**53 + 1), "double"):
        assert part in str(caught.value)


def test_a_flipped_byte_under_a_checksum_is_an_error(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table({"x": np.random.default_rng(0).normal(size=1_000)})
    pq.write_table(table, path, write_page_checksum=True, compression="none", use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[4_000] ^= 1
    path.write_bytes(content)
    data = sl.scan(path)
    with pytest.raises(SourceError, match=r"a.parquet, row group 0: cannot be read: .*CRC"):
        list(data.read(data.fragments[0], ["x"], 100))


AT = np.arange(60)
ODD = {
    "decimal128": pa.array([Decimal(int(i)) / 8 for i in AT], pa.decimal128(12, 3)),
    "decimal256": pa.array([Decimal(int(i)) / 4 for i in AT], pa.decimal256(50, 2)),
    "half": pa.array(AT.astype(np.float16)),
    "uint64": pa.array(AT.astype(np.uint64) + np.uint64(2**63)),
    "uint8": pa.array(AT.astype(np.uint8)),
    "boolean": pa.array([None if i % 5 == 0 else bool(i % 2) for i in AT]),
    "whole dictionary": pa.array(AT % 3).dictionary_encode(),
    "null": pa.nulls(60),
    "date32": pa.array(AT.astype(np.int32)).cast(pa.date32()),
    "date64": pa.array(AT * 86_400_000).cast(pa.date64()),
    **{f"timestamp {unit}": pa.array(AT * 10**9, pa.timestamp(unit)) for unit in ("s", "ms", "us")},
    "timestamp ns": pa.array(AT * 10**15, pa.timestamp("ns")),
    "timestamp zone": pa.array(AT * 10**13, pa.timestamp("us", "America/New_York")),
    "time32": pa.array(AT.astype(np.int32)).cast(pa.time32("ms")),
    "time64": pa.array(AT).cast(pa.time64("us")),
    "duration": pa.array(AT, pa.duration("ms")),
    "dictionary": pa.array([f"a{i % 3}" for i in AT]).dictionary_encode(),
    "large string": pa.array([f"a{i % 3}" for i in AT], pa.large_string()),
    "string view": pa.array([f"a{i % 3}" for i in AT], pa.string_view()),
    "binary": pa.array([b"a%d" % (i % 3) for i in AT]),
    "large binary": pa.array([b"a%d" % (i % 3) for i in AT], pa.large_binary()),
    "fixed binary": pa.array([b"abc%d" % (i % 3) for i in AT], pa.binary(4)),
    "binary view": pa.array([b"a%d" % (i % 3) for i in AT], pa.binary_view()),
    "list": pa.array([[1]] * 60),
    "struct": pa.array([{"a": 1}] * 60),
    "map": pa.array([[("a", 1)]] * 60, pa.map_(pa.string(), pa.int64())),
}
NUMBERS = list(ODD)[:8]
NESTED = list(ODD)[-3:]
DATES = [kind for kind in ODD if kind.startswith(("date", "timestamp"))]


def stored(folder):
    """The table as pyarrow reads it; its datasets close files in their own time."""
    with pq.ParquetFile(folder / "a.parquet") as file:
        return file.read()


@pytest.fixture
def odd(tmp_path, request):
    kind = request.param
    pq.write_table(pa.table({"v": ODD[kind]}), tmp_path / "a.parquet", row_group_size=25)
    return kind, sl.scan(tmp_path)


@pytest.mark.parametrize("odd", ODD, indirect=True)
def test_odd_types_are_read_as_pyarrow_reads_them(odd, tmp_path):
    _, data = odd
    check_every_row_once(data, (7, 100))
    chunks = [c.X.column(0) for f in data.fragments for c in data.read(f, ["v"], 10)]
    found = pa.chunked_array(chunks)
    expected = stored(tmp_path)["v"]
    if pa.types.is_dictionary(expected.type):
        expected = expected.cast(expected.type.value_type)
    if "view" in str(expected.type):
        wide = {"string_view": pa.large_string(), "binary_view": pa.large_binary()}
        expected = expected.cast(wide[str(expected.type)])
    assert found.type == expected.type
    assert found.to_pylist() == expected.to_pylist()


@pytest.mark.parametrize("odd", NUMBERS[:-1], indirect=True)
def test_odd_numbers_are_learned_from(odd):
    kind, data = odd
    scaler = sl.fit(StandardScaler(), data).estimator
    values = np.asarray(
        [np.nan if value is None else float(value) for value in ODD[kind].to_pylist()]
    )
    expected = StandardScaler().fit(values[:, None])
    np.testing.assert_allclose(scaler.mean_, expected.mean_, rtol=1e-12)
    np.testing.assert_allclose(scaler.var_, expected.var_, rtol=1e-9)


@pytest.mark.parametrize("odd", [k for k in ODD if k not in NUMBERS], indirect=True)
def test_what_is_no_number_is_refused_by_name_where_numbers_are_needed(odd):
    _, data = odd
    with pytest.raises(DataError, match=r"'v'.*(numbers are needed|nested)"):
        sl.fit(StandardScaler(), data)


@pytest.mark.parametrize("odd", [k for k in ODD if k not in NESTED], indirect=True)
def test_odd_types_are_categories(odd):
    kind, data = odd
    found = sl.fit(OneHotEncoder(), data).estimator.categories_[0]
    frame = pa.table({"v": ODD[kind]}).to_pandas()
    if kind == "whole dictionary":
        frame = frame.astype("int64")
    if kind == "dictionary":
        frame = frame.astype("str")
    expected = OneHotEncoder().fit(frame).categories_[0]
    assert len(found) == len(expected)
    assert pd.Series(found).astype(str).tolist() == pd.Series(expected).astype(str).tolist()


@pytest.mark.parametrize("odd", DATES, indirect=True)
def test_dates_of_every_unit_and_zone_give_their_parts(odd, tmp_path):
    _, data = odd
    dates = DateFeatures(parts=("year", "month", "day", "hour"))
    chunks = [c.X for f in data.fragments for c in data.read(f, ["v"], 10)]
    found = np.concatenate([DatesKernel(dates.fit(chunks[0].to_pandas())).apply(c) for c in chunks])
    when = pd.to_datetime(stored(tmp_path)["v"].to_pandas())
    expected = np.column_stack([getattr(when.dt, part) for part in dates.parts])
    assert np.array_equal(found, expected)


def test_timestamps_in_96_bits_are_timestamps(tmp_path):
    table = pa.table({"v": ODD["timestamp us"]})
    pq.write_table(table, tmp_path / "a.parquet", use_deprecated_int96_timestamps=True)
    data = sl.scan(tmp_path, where=pc.field("v") > pd.Timestamp("1970-01-01 10:00"))
    found = [
        v for f in data.fragments for c in data.read(f, ["v"], 9) for v in c.X["v"].to_pylist()
    ]
    whole = stored(tmp_path)["v"].to_pylist()
    assert [str(v) for v in found] == [str(v) for v in whole if v.timestamp() > 36_000]
