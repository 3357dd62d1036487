"""Saved runs: complete or not there, and given back whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.linear_model import SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import streamlearn as sl
from streamlearn import bundle
from streamlearn.errors import BundleError, UsageError

FILES = {"history.jsonl", "manifest.json", "metrics.json", "model.skops", "report.html"}


@pytest.fixture
def result():
    X = np.random.default_rng(0).normal(size=(2_000, 3))
    pipeline = make_pipeline(StandardScaler(), SGDRegressor(random_state=0))
    return sl.fit(pipeline, (X, X @ [1.0, 2.0, 3.0]), epochs=2, validation=0.1, batch_size=256)


def double(X):
    return X * 2


def test_a_run_is_given_back_whole(result, tmp_path):
    path = result.save(tmp_path / "run")
    assert {file.name for file in (tmp_path / "run").iterdir()} == FILES
    again = sl.load(path)
    assert np.array_equal(again.estimator[-1].coef_, result.estimator[-1].coef_)
    assert again.history == result.history
    assert again.rows == result.rows
    assert again.plan == result.plan
    assert again.memory == result.memory
    assert again.manifest == result.manifest
    assert repr(again) == repr(result)


def test_every_run_folder_holds_what_is_promised(tmp_path):
    X = np.random.default_rng(0).normal(size=(500, 2))
    sl.fit(SGDRegressor(), (X, X[:, 0]), run=tmp_path / "run", random_state=5)
    folder = tmp_path / "run"
    assert {file.name for file in folder.iterdir()} == FILES | {"log.jsonl"}
    manifest = json.loads((folder / "manifest.json").read_text())
    for key in ("versions", "seed", "data", "schema", "plan", "options", "machine"):
        assert key in manifest
    assert manifest["seed"] == 5
    assert len(manifest["data"]["fingerprint"]) == 64
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["rows"] == {
        "read": 500,
        "learned": 500,
        "held_out": 0,
        "filtered": 0,
        "missing": 0,
        "rejected": 0,
    }
    assert metrics["memory"].keys() >= {
        "limit_bytes", "reserved_bytes", "projected_bytes", "measured_bytes",
    }  # fmt: skip
    assert metrics["memory"]["within"]
    assert metrics["seconds"] > 0
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert any("PassStarted" in line["message"] for line in lines)


def test_a_run_is_not_replaced_unasked(result, tmp_path):
    result.save(tmp_path / "run")
    with pytest.raises(UsageError, match="overwrite=True"):
        result.save(tmp_path / "run")
    with pytest.raises(UsageError, match="holds a run already"):
        sl.fit(SGDRegressor(), (np.eye(3), np.arange(3)), run=tmp_path / "run")
    result.save(tmp_path / "run", overwrite=True)


def test_a_file_is_no_run_folder(result, tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(UsageError, match="this is a file"):
        result.save(tmp_path / "run")


def test_an_unfinished_run_is_never_taken_for_a_finished_one(result, tmp_path, monkeypatch):
    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle, "metrics_of", fail)
    with pytest.raises(OSError, match="No space"):
        result.save(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(BundleError, match="found none"):
        sl.load(tmp_path / "nothing")


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "x"
    bundle.write_atomically(path, lambda file: file.write(b"old"))

    def fail(file):
        file.write(b"half")
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        bundle.write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]


def test_foreign_code_in_a_model_is_loaded_only_if_trusted(tmp_path):
    X = np.random.default_rng(0).normal(size=(500, 2))
    pipeline = make_pipeline(FunctionTransformer(double), SGDRegressor())
    path = sl.fit(pipeline, (X, X[:, 0])).save(tmp_path / "run")
    with pytest.raises(BundleError, match=r"double.*trusted="):
        sl.load(path)
    assert sl.load(path, trusted=[f"{double.__module__}.double"]).estimator.predict(X).shape == (
        500,
    )


def test_damage_is_an_error(result, tmp_path):
    path = result.save(tmp_path / "run")
    (tmp_path / "run" / "model.skops").write_bytes(b"PK nonsense")
    with pytest.raises(BundleError, match="not the file that was saved"):
        sl.load(path)
    (tmp_path / "run" / "manifest.json").write_text("{}")
    with pytest.raises(BundleError, match="cannot be read"):
        sl.load(path)


def test_the_old_run_stays_until_the_new_one_is_whole(result, tmp_path, monkeypatch):
    path = result.save(tmp_path / "run")

    def fail(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(bundle, "metrics_of", fail)
    with pytest.raises(KeyboardInterrupt):
        result.save(path, overwrite=True)
    assert np.array_equal(sl.load(path).estimator[-1].coef_, result.estimator[-1].coef_)
    assert os.listdir(tmp_path) == ["run"]


def test_other_files_in_the_folder_are_never_touched(result, tmp_path):
    (tmp_path / "metrics.json").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="holds files that are no run"):
            result.save(tmp_path, overwrite=overwrite)
    assert (tmp_path / "metrics.json").read_text() == "mine"


def test_what_saving_took_is_in_the_saved_numbers(tmp_path):
    X = np.random.default_rng(0).normal(size=(500, 2))
    result = sl.fit(SGDRegressor(), (X, X[:, 0]), run=tmp_path / "run")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["memory"]["measured_bytes"] == result.memory.measured_bytes
    assert sl.load(tmp_path / "run").memory.measured_bytes == result.memory.measured_bytes


def test_the_model_predicts_where_streamlearn_cannot_be_imported(result, tmp_path):
    import pickle

    X = np.random.default_rng(1).normal(size=(5, 3))
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(result.estimator))
    np.save(tmp_path / "X.npy", X)
    code = (
        "import sys; sys.modules['streamlearn'] = None\n"
        "import pickle, numpy as np\n"
        f"model = pickle.load(open({str(tmp_path / 'model.pkl')!r}, 'rb'))\n"
        f"np.save({str(tmp_path / 'out.npy')!r}, model.predict(np.load({str(tmp_path / 'X.npy')!r})))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert np.array_equal(np.load(tmp_path / "out.npy"), result.estimator.predict(X))
