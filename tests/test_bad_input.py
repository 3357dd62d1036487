"""Bad input on the command line: an error that says what and where, or rows set aside and counted."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from streamlearn.cli.main import main

ROWS = 3_000
rng = np.random.default_rng(0)


def frame(rows=ROWS, **columns):
    X = rng.normal(size=(rows, 2))
    values = {"a": X[:, 0], "b": X[:, 1], "y": X @ [1.0, 2.0], **columns}
    return pa.table(values)


def put(table, name, at, value):
    values = table[name].to_pylist()
    values[at] = value
    index = table.schema.get_field_index(name)
    return table.set_column(index, name, pa.array(values, table.schema.field(name).type))


def text_of(table):
    rows = zip(*(table[name].to_pylist() for name in table.schema.names), strict=True)
    lines = [",".join(map(repr, row)) for row in rows]
    return [",".join(table.schema.names), *lines]


def parquet(table):
    def write(folder):
        pq.write_table(table, folder / "a.parquet", row_group_size=500)
        return folder / "a.parquet"

    return write


def csv(change):
    def write(folder):
        lines = text_of(frame())
        data = change(lines)
        if not isinstance(data, bytes):
            data = ("\n".join(data) + "\n").encode()
        (folder / "a.csv").write_bytes(data)
        return folder / "a.csv"

    return write


def insert(at, text):
    return lambda lines: [*lines[:at], text, *lines[at:]]


def flipped_page(folder):
    path = folder / "a.parquet"
    pq.write_table(
        frame(),
        path,
        row_group_size=500,
        use_dictionary=False,
        write_page_checksum=True,
        compression="none",
    )
    start = pq.read_metadata(path).row_group(2).column(0).data_page_offset
    data = bytearray(path.read_bytes())
    data[start + 1_000] ^= 4
    path.write_bytes(data)
    return path


def cut_footer(folder):
    path = parquet(frame())(folder)
    path.write_bytes(path.read_bytes()[:-50])
    return path


def drifting(folder):
    pq.write_table(frame(), folder / "a.parquet")
    pq.write_table(frame(b=pa.array(["x"] * ROWS)), folder / "b.parquet")
    return folder


def stray(folder):
    parquet(frame())(folder)
    for name in ("_SUCCESS", ".a.parquet.crc", "README.md", "notes.txt"):
        (folder / name).write_text("no data")
    return folder


def zarr_without_a_chunk(folder):
    import zarr

    X = rng.normal(size=(ROWS, 2))
    store = zarr.create_group(folder / "a.zarr")
    for name, values in (("X", X), ("y", X.sum(axis=1))):
        chunks = (500, *values.shape[1:])
        store.create_array(name, shape=values.shape, chunks=chunks, dtype="f8")[...] = values
    (folder / "a.zarr" / "X" / "c" / "2" / "0").unlink()
    return folder / "a.zarr"


LARGE = 2**53 + 1

# What is wrong -> (how it is made, what the message says, rows set aside: None if it is no use).
CASES = {
    "cut footer": (cut_footer, r"a\.parquet: cannot be read as parquet", None),
    "flipped byte": (flipped_page, r"a\.parquet, row group 2", 500),
    "absent chunk": (zarr_without_a_chunk, r"X: chunk .*c/2/0 is not stored.*--fill-absent", 500),
    "drift": (drifting, r"column 'b' is double in .* but string in .*--schema b=", None),
    "target missing": (
        parquet(put(frame(), "y", 700, None)),
        r"row 200 of .*a\.parquet \(part 1\).*'y' is missing",
        1,
    ),
    "infinite target": (
        parquet(put(frame(), "y", 700, float("inf"))),
        r"row 200 of .*'y' is inf",
        1,
    ),
    "infinite feature": (
        parquet(put(frame(), "a", 1_999, float("-inf"))),
        r"row 499 of .*a\.parquet \(part 3\).*'a'.*inf",
        1,
    ),
    "text in a number": (
        csv(insert(700, "1.0,2.0,lots")),
        r"target 'y' is string",
        None,
    ),
    "conflict markers": (
        csv(insert(700, "<<<<<<< HEAD")),
        r"a\.csv .*row 699 of the source: it is a marker of a merge conflict",
        1,
    ),
    "ragged row": (csv(insert(700, "1,2")), r"row 699 .*2 fields where there are 3 columns", 1),
    "NUL byte": (csv(insert(700, "1,2,\0")), r"row 699 .*NUL", 1),
    "page of HTML": (csv(lambda lines: b"<!DOCTYPE html>\n<html></html>\n"), r"HTML page", None),
    "encoding": (
        csv(lambda lines: "\n".join([*lines[:700], "1,2,\xe9", *lines[700:]]).encode("latin-1")),
        r"row 699 .*utf-8",
        1,
    ),
    "same name twice": (csv(lambda lines: ["a,a,y", *lines[1:]]), r"'a' more than once", None),
    "gzip by another name": (csv(lambda lines: b"\x1f\x8b\x08" + b"0" * 99), r"gzip", None),
    "no row": (parquet(frame(0)), r"no row", None),
    "no column but the target": (parquet(frame().select(["y"])), r"no feature", None),
    "empty file": (csv(lambda lines: b""), r"a\.csv.*empty", None),
    "no file": (lambda folder: folder / "none.parquet", r"no such file", None),
    "no file in the directory": (lambda folder: folder, r"no file in this directory", None),
}


def run(arguments, capsys):
    code = main([str(item) for item in arguments])
    return code, " ".join(capsys.readouterr().err.split())


def fit_arguments(path, run, *more):
    target = [] if path.suffix == ".zarr" else ["--target", "y"]
    return ["fit", path, *target, "--model", "sgd-regressor", "-o", run, *more]


@pytest.mark.parametrize("name", CASES)
def test_it_is_an_error_that_says_what_and_where(name, tmp_path, capsys):
    import re

    (tmp_path / "data").mkdir()
    make, says, _ = CASES[name]
    code, errors = run(fit_arguments(make(tmp_path / "data"), tmp_path / "run"), capsys)
    assert code == 4, errors
    assert re.search(says, errors), errors
    assert "Traceback" not in errors
    assert not (tmp_path / "run").exists()
    assert sorted(os.listdir(tmp_path)) == ["data"]


@pytest.mark.parametrize("name", [name for name, (_, _, rows) in CASES.items() if rows])
def test_what_can_be_skipped_is_skipped_counted_and_listed(name, tmp_path, capsys):
    (tmp_path / "data").mkdir()
    make, _, rejected = CASES[name]
    path = make(tmp_path / "data")
    words = fit_arguments(path, tmp_path / "run", "--on-error", "quarantine")
    code, errors = run(words, capsys)
    assert code == 4, errors
    assert "rows cannot be used" in errors
    assert (tmp_path / "run" / "model.skops").exists()
    rows = json.loads((tmp_path / "run" / "metrics.json").read_text())["rows"]
    assert rows["rejected"] == rejected
    assert rows["read"] == rows["learned"] + rejected
    lines = (tmp_path / "run" / "quarantine.jsonl").read_text().splitlines()
    record = json.loads(lines[0])
    assert record["path"].startswith(str(path))
    assert record["rows"] == rejected
    assert record["reason"]
    if path.suffix == ".csv":
        assert record["text"]
    report = (tmp_path / "run" / "report.html").read_text()
    assert "Rows that could not be used" in report
    assert f"(part {record['part']})" in report


def test_strange_files_in_a_directory_are_left_alone(tmp_path, capsys):
    (tmp_path / "data").mkdir()
    words = fit_arguments(stray(tmp_path / "data"), tmp_path / "run")
    assert run(words, capsys)[0] == 0


def test_labels_with_fractions_are_no_classes(tmp_path, capsys):
    path = parquet(frame())(tmp_path)
    words = ["fit", path, "--target", "y", "--model", "sgd-classifier", "-o", tmp_path / "run"]
    code, errors = run(words, capsys)
    assert code == 4
    assert "'y'" in errors
    assert "class" in errors


def test_whole_numbers_that_a_double_cannot_hold_are_named(tmp_path, capsys):
    pq.write_table(frame(a=pa.array([0.5] * ROWS)), tmp_path / "a.parquet")
    pq.write_table(frame(a=pa.array([1] * 100 + [LARGE] * (ROWS - 100))), tmp_path / "b.parquet")
    code, errors = run(fit_arguments(tmp_path, tmp_path / "run"), capsys)
    assert code == 4
    assert str(LARGE) in errors
    assert "row 100" in errors


def test_timestamps_that_do_not_fit_are_named(tmp_path, capsys):
    days = pa.array([0, 1, 2**62] * 1_000, pa.int64()).cast(pa.timestamp("us"))
    nanos = pa.array([0] * ROWS, pa.int64()).cast(pa.timestamp("ns"))
    for name, when in (("a", nanos), ("b", days)):
        pq.write_table(frame(when=when), tmp_path / f"{name}.parquet")
    code, errors = run(fit_arguments(tmp_path, tmp_path / "run"), capsys)
    assert code == 4, errors
    assert "'when'" in errors
    assert "Traceback" not in errors


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(tmp_path, capsys):
    path = parquet(frame())(tmp_path)
    path.chmod(0)
    code, errors = run(fit_arguments(path, tmp_path / "run"), capsys)
    assert code == 4
    assert "ermission" in errors


def test_a_file_that_vanishes_after_the_first_pass_is_named(tmp_path, capsys, monkeypatch):
    (tmp_path / "data").mkdir()
    for name in "ab":
        pq.write_table(frame(), tmp_path / "data" / f"{name}.parquet")
    from streamlearn import fitting

    replan = fitting.Fitting._replan

    def vanish(self):
        (tmp_path / "data" / "b.parquet").unlink()
        replan(self)

    monkeypatch.setattr(fitting.Fitting, "_replan", vanish)
    code, errors = run(fit_arguments(tmp_path / "data", tmp_path / "run"), capsys)
    assert code == 4, errors
    assert "b.parquet" in errors
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["conflict_markers.csv", "html_page.csv", "truncated.parquet"])
def test_real_accidents(shared, name, tmp_path, capsys):
    path = tmp_path / name
    shutil.copy(shared / "awkward" / name, path)
    words = ["fit", path, "--target", "fare_amount", "--model", "sgd-regressor", "-o"]
    code, errors = run([*words, tmp_path / "run"], capsys)
    assert code == 4
    assert name in errors
    if name != "conflict_markers.csv":
        return
    features = ["--features", "trip_distance,passenger_count"]
    code, errors = run([*words, tmp_path / "run", "--on-error", "quarantine", *features], capsys)
    assert code == 4, errors
    rows = json.loads((tmp_path / "run" / "metrics.json").read_text())["rows"]
    assert rows["rejected"] == 4


def test_a_label_with_a_fraction_is_set_aside(tmp_path, capsys):
    labels = (np.arange(ROWS) % 2).astype(float)
    labels[77] = 0.5
    path = parquet(frame(y=labels))(tmp_path)
    words = ["fit", path, "--target", "y", "--model", "sgd-classifier", "-o", tmp_path / "run"]
    code, errors = run([*words, "--on-error", "quarantine"], capsys)
    assert code == 4, errors
    rows = json.loads((tmp_path / "run" / "metrics.json").read_text())["rows"]
    assert (rows["rejected"], rows["learned"]) == (1, ROWS - 1)
    assert "a class label has a fraction" in errors


def test_converting_lists_every_row_it_leaves_out(tmp_path, capsys):
    lines = text_of(frame())
    for at in range(5, 1_500, 10):
        lines[at] = "1,2"
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    out = tmp_path / "b.parquet"
    code, errors = run(["convert", tmp_path / "a.csv", out, "-q"], capsys)
    assert (code, out.exists()) == (4, False)
    code, errors = run(
        ["convert", tmp_path / "a.csv", out, "-q", "--on-error", "quarantine"], capsys
    )
    assert code == 4
    assert "150 rows cannot be used" in errors
    assert len((tmp_path / "b.parquet.quarantine.jsonl").read_text().splitlines()) == 150
    assert pq.read_metadata(out).num_rows == ROWS - 150


def test_text_that_is_not_what_it_is_said_to_be_is_named(tmp_path, capsys):
    path = csv(lambda lines: lines)(tmp_path)
    words = fit_arguments(path, tmp_path / "run")
    code, errors = run([*words, "--encoding", "utf-16"], capsys)
    assert code == 4
    assert "no text in utf-16" in errors


def test_one_text_among_numbers_is_warned_of(tmp_path, capsys):
    path = csv(insert(2_000, "1.2x,2.0,3.0"))(tmp_path)
    code, errors = run(fit_arguments(path, tmp_path / "run"), capsys)
    assert code == 0
    assert "'a' is text, but" in errors
    assert "--schema a=double" in errors
    code, errors = run(fit_arguments(path, tmp_path / "two", "--schema", "a=double"), capsys)
    assert code == 4
    assert "row 1999 of the source" in errors
    assert "1.2x" in errors
