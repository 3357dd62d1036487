"""Delimited text: every row once, the same types and values wherever blocks are cut."""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from made import mixed_table
from sklearn.linear_model import SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import streamlearn as sl
from streamlearn.cli.main import cli
from streamlearn.errors import DataError, SchemaError, SourceError, UsageError
from streamlearn.source.text import lines
from streamlearn.testing import check_every_row_once, measure

TABLE = mixed_table(600)
FRAME = TABLE.to_pandas()


@pytest.fixture
def tiny_blocks(monkeypatch):
    monkeypatch.setattr(lines, "_BLOCK_BYTES", 499)


def write(path, text, encoding="utf-8"):
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


def whole(data, columns=None):
    """All rows as a table, with their numbers."""
    names = data.source.schema.names if columns is None else columns
    chunks = [
        chunk for part in data.fragments for chunk in data.source.read(part, names, 1_000_000)
    ]
    if not chunks:
        return pa.schema([]).empty_table(), np.array([], dtype=np.int64)
    table = pa.Table.from_batches([chunk.X for chunk in chunks])
    return table, np.concatenate([chunk.rows for chunk in chunks])


def values(data, column):
    return whole(data, [column])[0][column].to_pylist()


def compressed(text, suffix):
    if suffix == ".gz":
        return gzip.compress(text)
    if suffix == ".bz2":
        return bz2.compress(text)
    if suffix == ".xz":
        return lzma.compress(text)
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd" if suffix == ".zst" else "lz4") as stream:
        stream.write(text)
    return sink.getvalue().to_pybytes()


TEXT = FRAME.to_csv(index=False, lineterminator="\n")
FORMS = {
    "plain": (".csv", TEXT.encode(), None),
    "line ends of Windows": (".csv", TEXT.replace("\n", "\r\n").encode(), None),
    "line ends of old Macs": (".csv", TEXT.replace("\n", "\r").encode(), None),
    "byte order mark": (".csv", TEXT.encode("utf-8-sig"), None),
    "no last line end": (".csv", TEXT.rstrip("\n").encode(), None),
    "empty lines": (".csv", TEXT.replace("\n", "\n\n\r\n").encode(), None),
    "all quoted": (".csv", FRAME.to_csv(index=False, quoting=csv.QUOTE_ALL).encode(), None),
    "tabs": (".tsv", FRAME.to_csv(index=False, sep="\t").encode(), None),
    "semicolons": (
        ".csv",
        FRAME.to_csv(index=False, sep=";", decimal=",").encode(),
        sl.Csv(separator=";", decimal=","),
    ),
    "no header": (
        ".data",
        FRAME.to_csv(index=False, header=False).encode(),
        sl.Csv(header=False, names=list(FRAME)),
    ),
    "spaces": (".csv", TEXT.replace(",", ", ").encode(), sl.Csv(skip_spaces=True)),
    "utf-16": (".csv", TEXT.encode("utf-16"), sl.Csv(encoding="utf-16")),
    "latin-1": (".csv", TEXT.encode("latin-1"), sl.Csv(encoding="latin-1")),
    **{
        f"compressed {suffix}": ("." + "csv" + suffix, suffix, None)
        for suffix in (".gz", ".bz2", ".xz", ".zst", ".lz4")
    },
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_gives_the_same_rows(form, tmp_path, tiny_blocks):
    suffix, content, how = form
    content = content if isinstance(content, bytes) else compressed(TEXT.encode(), content)
    path = write(tmp_path / f"a{suffix}", content)
    data = sl.scan(path, target="y", weight="w", format=how)
    assert data.rows == len(FRAME)
    assert len(data.fragments) > 50
    check_every_row_once(data, (1_000, 7, 1))
    found = whole(data)[0]
    assert found.schema.types == [
        pa.int64(), pa.float64(), pa.float64(), pa.string(),
        pa.float64(), pa.int64(), pa.string(), pa.float64(),
    ]  # fmt: skip
    expected = FRAME.astype({"zone": "int64"})
    pd.testing.assert_frame_equal(found.to_pandas(), expected)


def test_several_files_are_one_source(tmp_path, tiny_blocks):
    folder = tmp_path / "parts"
    folder.mkdir()
    for part in range(3):
        FRAME[part * 200 : (part + 1) * 200].to_csv(folder / f"{part}.csv", index=False)
    for what in (folder, folder / "*.csv", [folder / f"{part}.csv" for part in range(3)]):
        data = sl.scan(what, target="y")
        check_every_row_once(data, (1_000,))
        assert whole(data)[0]["distance"].to_pylist() == FRAME["distance"].tolist()
    assert [part.part for part in data.fragments if part.path.endswith("1.csv")][:2] == [0, 1]


def test_fragments_can_be_read_in_any_order_by_several_threads(tmp_path, tiny_blocks):
    for name in ("a.csv", "b.csv.gz"):
        text = TEXT.encode()
        path = write(tmp_path / name, gzip.compress(text) if name.endswith("gz") else text)
        data = sl.scan(path)
        parts = list(reversed(data.fragments)) * 2

        def read(part, data=data):
            return [chunk.X["y"].to_pylist() for chunk in data.source.read(part, ["y"], 50)]

        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(read, parts))
        assert found == [read(part) for part in parts]


FIELDS = st.one_of(
    st.text(st.sampled_from('ab,;"\n\r 0'), max_size=6),
    st.integers(-5, 5).map(str),
    st.sampled_from(["", "NA", "1.5", "true", "2020-01-02", "2020-01-02 10:00:00", "x"]),
)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.tuples(FIELDS, FIELDS, FIELDS), min_size=1, max_size=25),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n"]),
    block=st.integers(1, 60),
)
def test_rows_do_not_depend_on_where_blocks_are_cut(tmp_path_factory, rows, quoting, end, block):
    path = tmp_path_factory.mktemp("random") / "a.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=quoting, lineterminator=end)
        writer.writerow(["p", "q", "r"])
        # Python does not quote a \r of its own accord, and it ends a line as well.
        alone = quoting == csv.QUOTE_MINIMAL
        writer.writerows(
            [text.replace("\r", "") if alone else text for text in row] for row in rows
        )
    types = dict.fromkeys("pqr", "string")
    expected = pc.read_csv(
        path,
        read_options=pc.ReadOptions(use_threads=False),
        parse_options=pc.ParseOptions(newlines_in_values=True),
        convert_options=pc.ConvertOptions(
            column_types={name: pa.string() for name in "pqr"},
            strings_can_be_null=True,
            null_values=["", "NA"],
        ),
    )
    before = lines._BLOCK_BYTES
    try:
        found = {}
        for size in (block, 1 << 20):
            lines._BLOCK_BYTES = size
            data = sl.scan(path, schema=types)
            assert not data.source.faults
            found[size] = whole(data)[0]
            assert found[size].to_pydict() == expected.to_pydict()
        # What types are found does not depend on blocks either.
        kinds = []
        for size in (block, 1 << 20):
            lines._BLOCK_BYTES = size
            kinds.append(sl.scan(path).schema.to_arrow())
        assert kinds[0].equals(kinds[1])
    finally:
        lines._BLOCK_BYTES = before


def test_quotes_inside_fields_are_characters(tmp_path, tiny_blocks):
    text = "a,b\n" + 'pipe 5",1\n"x ""y""\nz",2\n"q"r"s,3\n' * 200
    data = sl.scan(write(tmp_path / "a.csv", text))
    assert values(data, "a") == ['pipe 5"', 'x "y"\nz', 'qr"s'] * 200
    text = "a,b\n" + 'x"1,"y\n' * 300
    data = sl.scan(write(tmp_path / "b.csv", text), format=sl.Csv(quote=None))
    assert values(data, "b") == ['"y'] * 300


def test_spaces_in_front_of_quotes(tmp_path, tiny_blocks):
    text = "a, b, c\n" + '  1, "x, y",  z\n "p", "  q", \n' * 100
    data = sl.scan(write(tmp_path / "a.csv", text), format=sl.Csv(skip_spaces=True))
    assert data.features.names == ["a", "b", "c"]
    assert values(data, "b") == ["x, y", "  q"] * 100
    assert values(data, "c") == ["z", None] * 100
    assert values(data, "a") == ["1", "p"] * 100


TYPES = {
    "integers, then floats": ("1", "0.5", pa.float64(), [1.0, 0.5]),
    "nothing, then integers": ("", "5", pa.int64(), [None, 5]),
    "integers, then text": ("00123", "x", pa.string(), ["00123", "x"]),
    "floats, then text": ("1.50", "n/k", pa.string(), ["1.50", "n/k"]),
    "integers, then truth": ("1", "true", pa.string(), ["1", "true"]),
    "truth": ("true", "False", pa.bool_(), [True, False]),
    "text, then nothing": ("x", "NA", pa.string(), ["x", None]),
}


@pytest.mark.parametrize(("one", "other", "kind", "expected"), TYPES.values(), ids=TYPES)
def test_types_hold_all_blocks(one, other, kind, expected, tmp_path, monkeypatch):
    path = write(tmp_path / "a.csv", "i,x\n" + f"1,{one}\n" * 300 + f"2,{other}\n" * 300)
    for size in (997, 1 << 20):
        monkeypatch.setattr(lines, "_BLOCK_BYTES", size)
        data = sl.scan(path)
        assert data.schema["x"].type == kind
        assert values(data, "x") == [expected[0]] * 300 + [expected[1]] * 300


def test_dates_meet_times(tmp_path, tiny_blocks):
    text = "x\n" + "2020-01-01\n" * 200 + "2020-01-02 10:00:00\n" * 200
    data = sl.scan(write(tmp_path / "a.csv", text))
    assert data.schema["x"].type == pa.timestamp("s")
    assert str(values(data, "x")[0]) == "2020-01-01 00:00:00"


def test_a_column_that_became_text_is_told_and_settled(tmp_path, tiny_blocks):
    text = "i,zone\n" + "1,5\n" * 500 + "1,x7\n" + "1,6\n" * 500
    path = write(tmp_path / "a.csv", text)
    data = sl.scan(path)
    (note,) = data.source.notes(["zone"])
    assert "int64 from row 0" in note
    assert "--schema zone=int64" in note
    settled = sl.scan(path, schema={"zone": "int64"})
    assert settled.schema["zone"].type == pa.int64()
    (fault,) = settled.source.faults
    assert (fault.row, fault.column, fault.value, fault.text) == (500, "zone", "x7", "1,x7")
    assert "int64" in fault.reason
    table, rows = whole(settled)
    assert rows.tolist() == [*range(500), *range(501, 1_001)]
    assert set(table["zone"].to_pylist()) == {5, 6}


def test_integers_that_a_double_cannot_hold_are_named(tmp_path, monkeypatch):
    large = 2**53 + 1
    for text, row in (
        (f"a,id\n1,0.5\n2,{large}\n", 1),
        ("a,id\n" + "1,7\n" * 300 + f"1,{large}\n" + "1,7\n" * 300 + "1,0.5\n", 300),
        (f"a,id\n1,7\n1\n1,{10**20 + 1}\n1,2\n", 2),
    ):
        path = write(tmp_path / "a.csv", text)
        for size in (300, 1 << 20):
            monkeypatch.setattr(lines, "_BLOCK_BYTES", size)
            data = sl.scan(path)
            data.require(["a"])
            with pytest.raises(SchemaError, match=rf"a\.csv .*row {row} of.*2\*\*53.*id=string"):
                data.require(["id"])
            sl.scan(path, schema={"id": "string"}).require(["id"])
            sl.scan(path, schema={"id": "double"}).require(["id"])
    path = write(tmp_path / "b.csv", f"id\n{large}\n{2**60}\n")
    sl.scan(path).require(["id"])
    path = write(tmp_path / "c.csv", f"id\n{2**60}\n0.5\n1e300\n")
    sl.scan(path).require(["id"])


def test_rows_at_fault_are_listed_and_left_out(tmp_path, monkeypatch):
    good = "1,2,x\n" * 50
    text = (
        ("a,b,c\n" + good).encode()
        + b"1,2\n"
        + good.encode()
        + b"1,2,x,y\n"
        + b"1,2,nul\0\n"
        + b'5,6,"<<<<<<< no marker\n=======\nsame"\n'
        + b"1,2,\xff\xfe\n"
        + b"<<<<<<< HEAD\n\n"
        + b"=======\n"
        + b">>>>>>> branch, one, two\n"
        + b"a,b,c\n"
        + good.encode()
    )
    path = write(tmp_path / "a.csv", text)
    for size in (64, 200, 1 << 20):
        monkeypatch.setattr(lines, "_BLOCK_BYTES", size)
        data = sl.scan(path)
        faults = data.source.faults
        assert [fault.row for fault in faults] == [50, 101, 102, 104, 105, 106, 107, 108]
        told = [fault.reason for fault in faults]
        assert "2 fields where there are 3" in told[0]
        assert "4 fields where there are 3" in told[1]
        assert "NUL" in told[2]
        assert "not valid in utf-8" in told[3]
        assert all("merge conflict" in reason for reason in told[4:7])
        assert "header once more" in told[7]
        assert [fault.text for fault in faults[:2]] == ["1,2", "1,2,x,y"]
        assert data.rows == 159
        assert data.schema["a"].type == pa.int64()
        table, rows = whole(data)
        assert rows.tolist() == [row for row in range(159) if row not in {f.row for f in faults}]
        assert table["c"].to_pylist()[100] == "<<<<<<< no marker\n=======\nsame"
        assert sum(part.rows for part in data.fragments) == 159
        for fault in faults:
            part = data.fragments[[part.part for part in data.fragments].index(fault.part)]
            assert part.first <= fault.row < part.first + part.rows


def test_values_that_a_given_type_cannot_hold_are_listed(tmp_path, tiny_blocks):
    text = "a,when\n" + "".join(
        f"{'oops' if i % 97 == 5 else i},{'yesterday' if i % 89 == 3 else '2020-01-01'}\n"
        for i in range(1_000)
    )
    path = write(tmp_path / "a.csv", text)
    data = sl.scan(path, schema={"a": "double", "when": "timestamp[us]"})
    bad = [i for i in range(1_000) if i % 97 == 5 or i % 89 == 3]
    assert [fault.row for fault in data.source.faults] == bad
    assert {(f.column, f.value) for f in data.source.faults} == {
        ("a", "oops"),
        ("when", "yesterday"),
    }
    assert whole(data)[1].tolist() == [i for i in range(1_000) if i not in bad]


def test_bytes_that_the_encoding_does_not_know(tmp_path):
    text = "a,b\n1,ü\n".encode("cp1252") + b"2,\x81\n" + b"3,x\n" * 5
    data = sl.scan(write(tmp_path / "a.csv", text), format=sl.Csv(encoding="cp1252"))
    assert [(fault.row, "cp1252" in fault.reason) for fault in data.source.faults] == [(1, True)]
    assert values(data, "b") == ["ü", *"xxxxx"]


def test_too_many_faults_are_no_accidents(tmp_path, monkeypatch):
    path = write(tmp_path / "a.csv", "a b\n" + "1,2;3\n" * 10)
    with pytest.raises(DataError, match=r"10 of the first 10 rows.*separator is ','.*--separator"):
        sl.scan(path)
    monkeypatch.setattr(lines, "_MOST_FAULTS", 5)
    path = write(tmp_path / "b.csv", "a,b\n" + "1,2\n" * 20 + "1\n" * 6)
    with pytest.raises(DataError, match="6 of the first 26"):
        sl.scan(path)


NO_TEXT = {
    "a.csv": (b"", "is empty"),
    "b.csv": (gzip.compress(b"a,b\n1,2\n"), "a gzip file; name it with .gz"),
    "c.csv": (b"PK\x03\x04rest", "zip archive"),
    "d.csv": (b"PAR1rest", "parquet file; say format='parquet'"),
    "e.csv": (b"\n\n <!DOCTYPE html>\n<html>", "HTML page"),
    "f.csv": ("a,b\n1,2\n".encode("utf-16"), "UTF-16.*--encoding utf-16"),
    "g.csv": (b"\n\n", "only empty lines"),
    "h.csv": (b'a,b\n1,2\n1,"x\n3,4\n', r"quote opens at byte 10 and never closes.*quote=None"),
    "i.csv.gz": (gzip.compress(b"a,b\n" + os.urandom(3_000))[:1_000], "damaged or cut"),
    "j.csv.gz": (b"a,b\n1,2\n", "cannot be unpacked"),
}


@pytest.mark.parametrize("name", NO_TEXT)
def test_what_is_no_csv_is_named(name, tmp_path):
    content, told = NO_TEXT[name]
    with pytest.raises(SourceError, match=rf"{name}.*{told}"):
        sl.scan(write(tmp_path / name, content))


def test_headers(tmp_path):
    data = sl.scan(write(tmp_path / "only.csv", "a,b\n"), target="b")
    assert (data.rows, data.features.names, list(data.fragments)) == (0, ["a"], [])
    data = sl.scan(write(tmp_path / "nameless.csv", ",x\n0,1.5\n"))
    assert data.features.names == ["Unnamed: 0", "x"]
    assert "no name" in data.source.notes([])[0]
    data = sl.scan(write(tmp_path / "none.csv", "1,2\n3,4\n"))
    assert "--no-header" in data.source.notes([])[0]
    data = sl.scan(write(tmp_path / "none.csv", "1,2\n3,4\n"), format=sl.Csv(header=False))
    assert values(data, "f1") == [2, 4]
    data = sl.scan(write(tmp_path / "semi.csv", "a;b\n3;4\n"))
    assert "--separator" in data.source.notes([])[0]
    data = sl.scan(tmp_path / "semi.csv", format=sl.Csv(separator=";", names=["p", "q"]))
    assert (values(data, "p"), values(data, "q")) == ([3], [4])
    with pytest.raises(SchemaError, match=r"twice\.csv.*'a'.*more than once.*--names"):
        sl.scan(write(tmp_path / "twice.csv", "a,b,a\n1,2,3\n"))
    assert len(sl.scan(tmp_path / "twice.csv", format=sl.Csv(names=list("abc"))).features) == 3
    with pytest.raises(SchemaError, match="2 columns.*3 names"):
        sl.scan(tmp_path / "only.csv", format=sl.Csv(names=list("abc")))
    with pytest.raises(SchemaError, match="'z', which no file has"):
        sl.scan(tmp_path / "only.csv", schema={"z": "int64"})


def test_headers_of_several_files_agree(tmp_path):
    first = write(tmp_path / "a.csv", "x,y\n1,2\n")
    for header, told in (
        ("y,x", "column 1 is 'x' in the first and 'y'"),
        ("x,z", r"b\.csv lacks 'y'; .*b\.csv has 'z'"),
        ("x", r"b\.csv lacks 'y'"),
    ):
        other = write(tmp_path / "b.csv", header + "\n")
        with pytest.raises(SchemaError, match=rf"a\.csv and .*b\.csv.*{told}"):
            sl.scan([first, other])
    with pytest.raises(SchemaError, match="2 columns and .* has 1"):
        sl.scan([first, write(tmp_path / "b.csv", "1\n")], format=sl.Csv(header=False))


def test_a_file_that_changed_is_named(tmp_path):
    path = write(tmp_path / "a.csv", TEXT)
    data = sl.scan(path)
    before = data.source.fingerprint
    write(path, TEXT + TEXT[-50:])
    with pytest.raises(SourceError, match=r"a\.csv: has changed since it was opened"):
        whole(data)
    assert sl.scan(path, schema={"name": "string"}).source.fingerprint != before
    path.unlink()
    with pytest.raises(SourceError, match=r"a\.csv: cannot be read any more: No such file"):
        whole(data)


def test_the_fingerprint_is_of_files_and_form(tmp_path):
    path = write(tmp_path / "a.csv", TEXT)
    one = sl.scan(path).source.fingerprint
    assert sl.scan(path).source.fingerprint == one
    assert sl.scan(path, format=sl.Csv(missing=("?",))).source.fingerprint != one
    assert sl.scan(path, schema={"zone": "double"}).source.fingerprint != one


def test_formats_of_files(tmp_path):
    path = write(tmp_path / "table.txt", TEXT)
    with pytest.raises(SourceError, match=r"table\.txt.*--format"):
        sl.scan(path)
    assert sl.scan(path, format="csv").rows == len(FRAME)
    pq.write_table(TABLE, tmp_path / "a.parquet")
    write(tmp_path / "b.csv", TEXT)
    with pytest.raises(UsageError, match=r"several formats: 1 csv .*b\.csv.*1 parquet"):
        sl.scan(tmp_path)
    assert sl.scan(tmp_path, format="csv").rows == len(FRAME)
    assert sl.scan(tmp_path, format="parquet").rows == len(FRAME)
    with pytest.raises(UsageError, match="excel"):
        sl.scan(path, format="excel")
    with pytest.raises(UsageError, match="format= says what is in files"):
        sl.scan(FRAME, format="csv")
    for wrong in ({"separator": "::"}, {"separator": ";", "quote": ";"}, {"encoding": "utf-99"}):
        with pytest.raises(UsageError):
            sl.scan(path, format=sl.Csv(**wrong))


def test_a_fit_from_csv_is_the_fit_from_the_frame(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "_BLOCK_BYTES", 20_000)
    path = write(tmp_path / "a.csv", TEXT)
    names = ["distance", "zone"]
    pipeline = make_pipeline(StandardScaler(), SGDRegressor(random_state=0))
    found = sl.fit(pipeline, sl.scan(path, target="y", features=names), batch_size=500)
    again = sl.fit(
        pipeline, sl.scan(path, target="y", features=names), batch_size=500, chunk_size=77
    )
    np.testing.assert_array_equal(found.estimator[-1].coef_, again.estimator[-1].coef_)
    frame = FRAME[[*names, "y"]].astype({"zone": "int64"})
    expected = sl.fit(pipeline, sl.scan(frame, target="y", features=names), batch_size=500)
    np.testing.assert_allclose(found.estimator[0].mean_, expected.estimator[0].mean_, rtol=1e-14)
    # One fragment: the same blocks of statistics, and so the same bits throughout.
    monkeypatch.setattr(lines, "_BLOCK_BYTES", 1 << 22)
    found = sl.fit(pipeline, sl.scan(path, target="y", features=names), batch_size=500)
    np.testing.assert_array_equal(found.estimator[0].mean_, expected.estimator[0].mean_)
    np.testing.assert_array_equal(found.estimator[-1].coef_, expected.estimator[-1].coef_)


def test_the_command_line_reads_csv(tmp_path):
    path = write(tmp_path / "a.data", "1; ?\n2; x\n3; y\n")
    options = ["--separator", ";", "--no-header", "--names", "p,q", "--missing", "?"]
    finished = CliRunner().invoke(
        cli, ["inspect", str(path), "--format", "csv", *options, "--skip-spaces", "--json"]
    )
    assert finished.exit_code == 0, finished.output
    assert json.loads(finished.output)["schema"] == {"p": "int64", "q": "string"}


def test_real_files(shared):
    small = shared / "small"
    data = sl.scan(small / "california_housing.csv")
    frame = pd.read_csv(small / "california_housing.csv")
    pd.testing.assert_frame_equal(whole(data)[0].to_pandas(), frame)
    frame = pd.read_csv(small / "elec.csv")
    pd.testing.assert_frame_equal(whole(sl.scan(small / "elec.csv"))[0].to_pandas(), frame)
    how = sl.Csv(header=False, missing=("?",), skip_spaces=True)
    adult = whole(sl.scan(small / "adult.data", format=how))[0].to_pandas()
    frame = pd.read_csv(small / "adult.data", header=None, na_values="?", skipinitialspace=True)
    frame.columns = list(adult)
    pd.testing.assert_frame_equal(adult, frame)
    skin = sl.scan(small / "Skin_NonSkin.txt", format=sl.Csv(separator="\t", header=False))
    assert (skin.rows, len(skin.features)) == (245_057, 4)
    trips = sl.scan(shared / "yellow_csv", target="total_amount")
    assert trips.rows == 30_000
    assert trips.schema["pickup_datetime"].type == pa.timestamp("s")
    check_every_row_once(trips, (1_000, 1_000_000))


def test_real_accidents(shared, monkeypatch):
    monkeypatch.setattr(lines, "_BLOCK_BYTES", 100_000)
    data = sl.scan(shared / "awkward" / "conflict_markers.csv")
    assert [fault.row for fault in data.source.faults] == [0, 10_000, 10_001, 20_001]
    assert data.schema["trip_distance"].type == pa.float64()
    with pytest.raises(SourceError, match="HTML page"):
        sl.scan(shared / "awkward" / "html_page.csv")


def test_memory_does_not_grow_with_the_file(tmp_path):
    code = """
import json, sys
sys.path.insert(0, {root!r})
import streamlearn as sl
from streamlearn.source.text import lines
lines._BLOCK_BYTES = 1 << 20
data = sl.scan({path!r}, target="y")
for part in data.fragments:
    for chunk in data.read(part, ["distance", "flag"], 10_000):
        pass
print(json.dumps({{"rows": data.rows}}))
"""
    root = os.path.dirname(os.path.dirname(sl.__file__))
    body = TEXT.partition("\n")[2].encode()
    peaks = []
    for times in (100, 1_000):
        path = write(tmp_path / "a.csv", TEXT.encode() + body * times)
        finished = measure(code.format(root=root, path=str(path)))
        assert finished.exit_code == 0, finished.errors
        assert finished.last["rows"] == 600 * (times + 1)
        peaks.append(finished.peak_bytes)
    assert peaks[1] - peaks[0] < 12 << 20


ODD = {
    "a quote that opens nothing": ('x,y\n1,2\n3,a"b\n4,5\n', 3, []),
    "a line of spaces": ("x,y\n1,2\n  \n\n4,5\n", 3, [1]),
    "a line of one tab": ("x,y\n1,2\n\t\n4,5\n6,7\n", 4, [1]),
}


@pytest.mark.parametrize(("text", "rows", "bad"), ODD.values(), ids=ODD)
def test_odd_lines_are_the_same_rows_in_any_block(text, rows, bad, tmp_path, monkeypatch):
    for size in (1, 3, 8, 1 << 20):
        monkeypatch.setattr(lines, "_BLOCK_BYTES", size)
        data = sl.scan(write(tmp_path / "a.csv", text))
        assert data.rows == rows
        assert [fault.row for fault in data.source.faults] == bad
        assert whole(data)[1].tolist() == [row for row in range(rows) if row not in bad]
