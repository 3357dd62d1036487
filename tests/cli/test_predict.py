"""``streamlearn predict``, as a user meets it."""

from __future__ import annotations

import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made import mixed_table

import streamlearn as sl
from streamlearn.cli.main import main

TABLE = mixed_table(4_000)
RUN = ["--model", "sgd-classifier", "--param", "loss=log_loss", "-q"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Data, a run that computes a column and filters rows, and data without the target."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "in").mkdir()
    pq.write_table(TABLE, folder / "in/a.parquet", row_group_size=700)
    pq.write_table(TABLE.drop_columns(["name", "label", "y"]), folder / "new.parquet")
    fit = [
        "fit", folder / "in", *RUN, "--target", "label", "--features", "far,zone",
        "--derive", "distance * 2 AS far", "--where", "y > 2", "-o", folder / "run",
    ]  # fmt: skip
    assert main(list(map(str, fit))) == 0
    return folder


def predict(*arguments):
    return main(["predict", *map(str, arguments)])


def read(path):
    with pq.ParquetFile(path) as file:
        return file.read()


def test_every_row_has_its_answer(made, tmp_path, capsys):
    out = tmp_path / "out.parquet"
    assert predict(made / "run", made / "new.parquet", "-o", out) == 0
    shown = capsys.readouterr()
    for part in ("predicted 4,000, filtered 0", "in 1 file", "memory  limit", str(out)):
        assert part in shown.out
    assert "predict: 4,000 rows in" in shown.err
    model = sl.load(made / "run").estimator
    frame = TABLE.to_pandas().assign(far=lambda X: X["distance"] * 2)[["far", "zone"]]
    np.testing.assert_array_equal(read(out)["prediction"], model.predict(frame))
    assert predict(made / "run", made / "new.parquet", "-o", out) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert predict(made / "run", made / "new.parquet", "-o", out, "--overwrite", "-q") == 0
    assert capsys.readouterr().out == ""
    options = ["--overwrite", "-q", "--profile"]
    assert predict(made / "run", made / "new.parquet", "-o", out, *options) == 0
    shown = capsys.readouterr().out
    assert all(stage in shown for stage in ("decode", "prepare", "model", "write"))


def test_all_that_can_be_written(made, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = [
        made / "run", made / "in", "-o", out, "--proba", "--decision", "--columns", "name,w",
        "--row-ids", "--where", "zone > 2 AND far > 0", "--rows-per-file", "1k", "--json", "-q",
        "--memory-budget", "2GB", "--chunk-size", "500", "--threads", "2",
        "--compression", "snappy",
    ]  # fmt: skip
    assert predict(*arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"]["read"] == 4_000 == found["rows"]["predicted"] + found["rows"]["filtered"]
    assert found["files"] == len(os.listdir(out))
    back = pa.concat_tables(read(path) for path in sorted(out.iterdir()))
    assert back.schema.names == found["columns"] == [
        "row", "name", "w", "prediction", "probability_0", "probability_1", "decision",
    ]  # fmt: skip
    assert back["row"].to_pylist() == np.flatnonzero(TABLE["zone"].to_numpy() > 2).tolist()


def test_to_zarr(made, tmp_path):
    out = tmp_path / "store"
    assert predict(made / "run", made / "new.parquet", "-o", out, "--to", "zarr", "-q") == 0
    assert (out / "prediction" / "zarr.json").exists()


def test_rows_left_out_are_listed(made, tmp_path, capsys):
    distance = TABLE["distance"].to_numpy().copy()
    distance[17] = np.inf
    pq.write_table(TABLE.set_column(1, "distance", pa.array(distance)), tmp_path / "bad.parquet")
    out = tmp_path / "out.parquet"
    assert predict(made / "run", tmp_path / "bad.parquet", "-o", out, "-q") == 4
    shown = capsys.readouterr().err
    assert "bad.parquet" in shown
    assert "Traceback" not in shown
    assert not out.exists()
    options = ["-o", out, "-q", "--row-ids", "--on-error", "quarantine"]
    assert predict(made / "run", tmp_path / "bad.parquet", *options) == 4
    assert "1 rows cannot be used" in capsys.readouterr().err
    listed = (tmp_path / "out.parquet.quarantine.jsonl").read_text().splitlines()
    assert [json.loads(line)["row"] for line in listed] == [17]
    assert 17 not in read(out)["row"].to_pylist()


def test_errors_have_their_exit_codes_and_name_the_flag(made, tmp_path, capsys):
    run, new = made / "run", made / "new.parquet"
    for arguments, code, message in [
        ((run, new, "-o", tmp_path / "a.csv"), 2, ".csv"),
        ((run, made / "in", "-o", made / "in/out.parquet"), 2, "inside of"),
        ((run, new, "-o", tmp_path / "a.parquet", "--memory-budget", "+5MB"), 3, "--memory-budget"),
        ((run, tmp_path / "none", "-o", tmp_path / "a.parquet"), 4, "no such file"),
        ((run, new, "-o", tmp_path / "a.parquet", "--columns", "nope"), 4, "'nope'"),
        ((run, new, "-o", tmp_path / "a.parquet", "--transform"), 2, "has no transform"),
        ((run, new, "-o", tmp_path / "a.parquet", "--transform", "--proba"), 2, "--transform goes"),
        ((run, new), 2, "'--output'"),
    ]:
        assert predict(*arguments, "-q") == code
        shown = capsys.readouterr().err
        assert message in shown
        assert "Traceback" not in shown
    assert os.listdir(tmp_path) == []
