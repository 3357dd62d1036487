"""``streamlearn convert``, as a user meets it."""

from __future__ import annotations

import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made import mixed_table

import streamlearn as sl
from streamlearn.cli.main import main

TABLE = mixed_table(4_000)


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    pq.write_table(TABLE[:3_000], folder / "a.parquet", row_group_size=700)
    pq.write_table(TABLE[3_000:], folder / "b.parquet")
    return folder


def read(*paths):
    found = []
    for path in paths:
        with pq.ParquetFile(path) as file:
            found.append(file.read())
    return pa.concat_tables(found)


def convert(*arguments):
    return main(["convert", *map(str, arguments)])


def test_many_sources_become_one_file(source, tmp_path, capsys):
    out = tmp_path / "out.parquet"
    assert convert(source / "a.parquet", source / "b.parquet", out) == 0
    shown = capsys.readouterr()
    for part in ("read 4,000, written 4,000", " in 1 file", "memory  limit", str(out)):
        assert part in shown.out
    assert "convert: 4,000 rows in" in shown.err
    assert read(out).equals(TABLE)
    assert convert(source, out) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert convert(source, out, "--overwrite", "-q") == 0
    assert capsys.readouterr().out == ""


def test_shuffled_filtered_and_as_json(source, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = [
        source, out, "--shuffle", "--seed", "3", "--where", "zone > 2", "--compression", "snappy",
        "--features", "zone,distance", "--target", "y", "--rows-per-file", "1k", "--json", "-q",
        "--memory-budget", "2GB", "--scratch-dir", tmp_path / "scratch",
    ]  # fmt: skip
    assert convert(*arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"]["read"] == 4_000 == found["rows"]["written"] + found["rows"]["filtered"]
    assert found["memory"]["limit_bytes"] == 2_000_000_000
    assert found["files"] == len(os.listdir(out))
    back = read(*sorted(out.iterdir()))
    assert back.schema.names == ["zone", "distance", "y"]
    assert len(back) == found["rows"]["written"]
    assert os.listdir(tmp_path / "scratch") == []


@pytest.mark.parametrize("shards", [[], ["--shards"], ["--shards", "8MB"]])
def test_to_zarr(source, tmp_path, shards):
    out = tmp_path / "store"
    arguments = ["--to", "zarr", "--features", "zone,distance", "--target", "y", "-q"]
    assert convert(source, out, *arguments, *shards) == 0
    assert sl.scan(out).rows == 4_000


def test_errors_have_their_exit_codes_and_name_the_flag(source, tmp_path, capsys):
    assert convert(source, tmp_path / "out.zarr") == 2
    assert "'flag' (string)" in capsys.readouterr().err
    assert convert(source, tmp_path / "out.parquet", "--memory-budget", "+20MB") == 3
    assert "--memory-budget" in capsys.readouterr().err
    assert convert(tmp_path / "none", tmp_path / "out.parquet") == 4
    assert "no such file" in capsys.readouterr().err
    assert convert(source, tmp_path / "out.csv") == 2
    assert ".csv" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["in"]
