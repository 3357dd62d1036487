"""JSON lines: every row once, the same types and values wherever blocks are cut."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pyarrow as pa
import pytest
from made import mixed_table

import streamlearn as sl
from streamlearn.errors import DataError, SchemaError, SourceError, UsageError
from streamlearn.source.text import lines
from streamlearn.testing import check_every_row_once

TABLE = mixed_table(600)
ROWS = TABLE.to_pylist()


@pytest.fixture(params=[150, 1_000, 1 << 20])
def blocks(request, monkeypatch):
    monkeypatch.setattr(lines, "_BLOCK_BYTES", request.param)


def write(path, rows, end="\n"):
    texts = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(text + end for text in texts), newline="")
    return path


def whole(data, columns=None):
    names = data.source.schema.names if columns is None else columns
    chunks = [
        chunk for part in data.fragments for chunk in data.source.read(part, names, 1_000_000)
    ]
    table = pa.Table.from_batches([chunk.X for chunk in chunks])
    return table, np.concatenate([chunk.rows for chunk in chunks])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n", "\n  \n"])
def test_every_row_is_read_once(end, tmp_path, blocks):
    data = sl.scan(write(tmp_path / "a.jsonl", ROWS, end), target="y", weight="w")
    assert data.rows == 600
    check_every_row_once(data, (1_000, 7))
    found = whole(data)[0]
    expected = TABLE.set_column(0, "zone", TABLE["zone"].cast(pa.int64()))
    assert found.equals(expected)


def test_compressed_files_and_several(tmp_path, blocks):
    write(tmp_path / "a.jsonl", ROWS[:200])
    text = write(tmp_path / "x", ROWS[200:]).read_bytes()
    (tmp_path / "b.ndjson.gz").write_bytes(gzip.compress(text))
    data = sl.scan([tmp_path / "a.jsonl", tmp_path / "b.ndjson.gz"], target="y")
    check_every_row_once(data, (1_000, 50))
    assert whole(data)[0]["distance"].equals(TABLE["distance"])


def test_types_hold_all_lines(tmp_path, blocks):
    rows = [
        {"a": 1, "when": "2020-01-01", "deep": {"x": 1}, "list": [1], "same": 5},
        *[{"a": 2, "when": "2020-01-02 10:00:00", "late": None}] * 30,
        *[{"a": 0.5, "when": "soon", "deep": {"x": 0.5, "y": "k"}, "late": True}] * 30,
        {"list": [0.5], "none": None},
    ]
    data = sl.scan(write(tmp_path / "a.jsonl", rows))
    kinds = {field.name: field.type for field in data.schema}
    assert kinds == {
        "a": pa.float64(),
        "when": pa.string(),
        "deep": pa.struct({"x": pa.float64(), "y": pa.string()}),
        "list": pa.list_(pa.float64()),
        "same": pa.int64(),
        "late": pa.bool_(),
        "none": pa.null(),
    }
    table, _ = whole(data)
    assert table["a"].to_pylist() == [row.get("a") for row in rows]
    assert table["when"].to_pylist() == [row.get("when") for row in rows]
    assert table["late"].to_pylist() == [row.get("late") for row in rows]
    with pytest.raises(SchemaError, match=r"'deep' is nested.*features="):
        data.require(["deep"])


def test_a_key_with_values_of_several_types_cannot_be_used(tmp_path, blocks):
    rows = [{"a": 1, "b": 2}] * 30 + [{"a": "x", "b": 3}] + [{"a": 1, "b": 4}] * 30
    data = sl.scan(write(tmp_path / "a.jsonl", rows))
    data.require(["b"])
    with pytest.raises(SchemaError, match=r"'a' has values of several types, at .*a\.jsonl"):
        data.require(["a"])
    assert whole(data, ["b"])[0]["b"].to_pylist() == [row["b"] for row in rows]
    settled = sl.scan(tmp_path / "a.jsonl", schema={"a": "int64"})
    settled.require(["a"])
    (fault,) = settled.source.faults
    assert (fault.row, fault.column, fault.value) == (30, "a", "a string")
    assert whole(settled)[1].tolist() == [*range(30), *range(31, 61)]


def test_lines_at_fault_are_listed_and_left_out(tmp_path, blocks):
    good = [{"a": 1, "b": "x"}] * 20
    rows = [
        *good,
        '{"a": 1, "b": ',
        *good,
        "[1, 2]",
        '{"a": 1} {"a": 2}',
        "<<<<<<< HEAD",
        '{"a": 1, "a": 2}',
        '{"a": 1, "b": "\0"}',
        "not json at all",
        *good,
    ]
    data = sl.scan(write(tmp_path / "a.jsonl", rows))
    bad = [20, 41, 42, 43, 44, 45, 46]
    assert [fault.row for fault in data.source.faults] == bad
    assert "merge conflict" in data.source.faults[3].reason
    assert data.source.faults[0].text == rows[20]
    assert data.rows == len(rows)
    assert whole(data)[1].tolist() == [row for row in range(len(rows)) if row not in bad]


def test_what_is_no_json_lines_is_named(tmp_path):
    whole_file = tmp_path / "a.jsonl"
    whole_file.write_text(json.dumps(ROWS[:20], indent=2))
    with pytest.raises(DataError, match="whole object in each line"):
        sl.scan(whole_file)
    whole_file.write_text("")
    with pytest.raises(SourceError, match="is empty"):
        sl.scan(whole_file)
    with pytest.raises(SchemaError, match="'z', which no line has"):
        sl.scan(write(whole_file, ROWS), schema={"z": "int64"})
    with pytest.raises(UsageError, match="format="):
        sl.scan(whole_file, format="json")


def test_integers_that_a_double_cannot_hold_are_named(tmp_path, blocks):
    rows = [{"id": 1, "a": 1}] * 20 + [{"id": 2**53 + 1, "a": 1}] + [{"id": 0.5, "a": 1}] * 20
    data = sl.scan(write(tmp_path / "a.jsonl", rows))
    data.require(["a"])
    with pytest.raises(SchemaError, match=r"row 20 of.*9007199254740993"):
        data.require(["id"])
