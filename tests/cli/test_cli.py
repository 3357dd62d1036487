"""The command line, as a user meets it: real data, wrong data, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from streamlearn.cli import display
from streamlearn.cli.main import main
from streamlearn.cli.models import MODELS, make_model


@pytest.fixture
def taxi(tmp_path, capsys):
    assert main(["generate", "taxi", "--rows", "6_000", "-o", str(tmp_path / "taxi")]) == 0
    capsys.readouterr()
    return str(tmp_path / "taxi")


DURATION = [
    "--derive",
    "date_diff('second', lpep_pickup_datetime, lpep_dropoff_datetime)/60.0 AS duration",
    "--where",
    "duration BETWEEN 1 AND 60 AND trip_distance < 100",
    "--target",
    "duration",
]
FEATURES = "PULocationID,trip_distance,store_and_fwd_flag,lpep_pickup_datetime"


def fit(*arguments):
    return main(["fit", *arguments])


def test_fit_then_evaluate(taxi, tmp_path, capsys):
    run = str(tmp_path / "run")
    arguments = [
        taxi, *DURATION, "--features", FEATURES, "--categorical", "PULocationID",
        "--model", "sgd-regressor", "--epochs", "3", "--validation", "0.1", "-o", run,
    ]  # fmt: skip
    assert fit(*arguments) == 0
    out = capsys.readouterr()
    for part in ("OneHotEncoder", "DateFeatures", "epoch 3", "held-out rmse"):
        assert part in out.err
    for part in ("6,000", "filtered", "rejected", "limit", "measured", run):
        assert part in out.out
    assert main(["evaluate", run, taxi, "--json", "-q"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["metrics"]["rmse"] < 12
    assert found["rows"]["read"] == 6_000 == found["rows"]["scored"] + found["rows"]["filtered"]
    assert fit(*arguments) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert fit(*arguments, "--overwrite", "--json", "-q") == 0
    out = capsys.readouterr()
    assert json.loads(out.out)["rows"]["read"] == 6_000
    assert out.err == ""


def test_explain_prints_the_pipeline_and_reads_nothing(taxi, capsys, monkeypatch):
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", None)
    arguments = [taxi, *DURATION, "--features", FEATURES, "--model", "sgd-regressor"]
    assert main(["explain", *arguments, "--memory-budget", "4GB"]) == 0
    out = capsys.readouterr().out
    for part in ("ColumnTransformer", "statistics", "floor", "limit            4 GB", "Chunk:"):
        assert part in out
    assert main(["explain", *arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["passes"][0]["name"] == "statistics"


def test_inspect(taxi, capsys):
    assert main(["inspect", taxi]) == 0
    out = capsys.readouterr().out
    assert "6,000 rows, 20 columns" in out
    assert "PULocationID" in out
    assert main(["inspect", taxi, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"]["trip_distance"] == "double"


@pytest.mark.parametrize("model", sorted(MODELS))
def test_every_model_has_a_name(model, tmp_path, capsys):
    rng = np.random.default_rng(0)
    table = pa.table({"a": rng.normal(size=400), "b": rng.random(400), "s": ["x", "y"] * 200})
    values = rng.normal(size=400) + table["a"].to_numpy()
    regression = "regressor" in model
    table = table.append_column("t", pa.array(values if regression else (values > 0).astype(int)))
    pq.write_table(table, tmp_path / "t.parquet")
    target = [] if model == "minibatch-kmeans" else ["--target", "t"]
    run = str(tmp_path / "run")
    assert fit(str(tmp_path / "t.parquet"), *target, "--model", model, "-o", run, "-q") == 0, (
        capsys.readouterr().err
    )


def test_your_own_pipeline(taxi, tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.py").write_text(
        "from sklearn.linear_model import SGDRegressor\n"
        "from sklearn.pipeline import make_pipeline\n"
        "from sklearn.preprocessing import StandardScaler\n"
        "pipeline = make_pipeline(StandardScaler(), SGDRegressor())\n"
        "def make():\n    return pipeline\n"
    )
    monkeypatch.chdir(tmp_path)
    for name in ("pipeline", "make"):
        code = fit(
            taxi, *DURATION, "--features", "trip_distance", "--pipeline", f"mine:{name}",
            "-o", f"run-{name}", "-q",
        )  # fmt: skip
        assert code == 0, capsys.readouterr().err
    assert fit(taxi, *DURATION, "--pipeline", "mine:nothing", "-o", "x") == 2
    assert "mine:nothing" in capsys.readouterr().err


def test_parameters_of_the_model():
    model = make_model("mlp-classifier", {"hidden_layer_sizes": "(8, 4)", "alpha": "1e-3"})
    assert (model.hidden_layer_sizes, model.alpha) == ((8, 4), 1e-3)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--target", "nope", "--model", "sgd-regressor"], 4, "'nope' is not a column"),
        (["--target", "fare_amount"], 2, "either --model or --pipeline"),
        (["--target", "fare_amount", "--model", "magic"], 2, "magic"),
        (
            ["--target", "fare_amount", "--model", "sgd-regressor", "--param", "no=1"],
            2,
            "no such parameter",
        ),
        (["--model", "sgd-regressor"], 2, "--target"),
        (
            ["--target", "fare_amount", "--model", "sgd-regressor", "--chunk-size", "many"],
            2,
            "many",
        ),
        (
            ["--target", "fare_amount", "--model", "sgd-regressor", "--memory-budget", "10MB"],
            3,
            "already",
        ),
        (
            ["--target", "fare_amount", "--model", "sgd-regressor", "--memory-budget", "x"],
            2,
            "512MB",
        ),
        (
            ["--target", "fare_amount", "--model", "sgd-regressor", "--where", "fare_amount <"],
            2,
            "SQL",
        ),
        (["--target", "fare_amount", "--model", "sgd-regressor", "--categorical", "no"], 4, "'no'"),
        (
            ["--target", "fare_amount", "--model", "sgd-classifier", "--features", "trip_distance"],
            4,
            "fraction",
        ),
    ],
)
def test_errors_have_exit_codes_and_no_stack_trace(taxi, tmp_path, capsys, arguments, code, said):
    assert fit(taxi, *arguments, "-o", str(tmp_path / "run")) == code
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err


def test_bad_files(tmp_path, capsys):
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1 this is not parquet")
    assert main(["inspect", str(path)]) == 4
    assert "x.parquet" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path / "missing")]) == 4
    assert main(["evaluate", str(tmp_path), str(path)]) == 1
    assert "no complete run" in capsys.readouterr().err


def test_debug_shows_where(tmp_path):
    from streamlearn.errors import SourceError

    with pytest.raises(SourceError):
        main(["inspect", str(tmp_path / "missing"), "--debug"])


def test_string_against_integer_ids_is_refused_and_the_flag_settles_it(tmp_path, capsys):
    pq.write_table(pa.table({"z": ["1", "2"] * 50, "y": np.arange(100.0)}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"z": [1, 2] * 50, "y": np.arange(100.0)}), tmp_path / "b.parquet")
    common = [str(tmp_path), "--target", "y", "--categorical", "z", "--model", "sgd-regressor"]
    assert fit(*common, "-o", str(tmp_path / "run")) == 4
    err = capsys.readouterr().err
    for part in ("a.parquet", "b.parquet", "'z'", "string", "int64", "--schema z=int64"):
        assert part in err
    assert fit(*common, "--schema", "z=int64", "-o", str(tmp_path / "run")) == 0


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interrupt_ends_with_its_exit_code_and_no_run(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "X.npy", rng.normal(size=(400_000, 10)))
    np.save(tmp_path / "y.npy", rng.normal(size=400_000))
    command = [
        sys.executable, "-m", "streamlearn", "fit", str(tmp_path / "X.npy"),
        "--target", str(tmp_path / "y.npy"), "--model", "sgd-regressor", "--epochs", "500",
        "-o", str(tmp_path / "run"),
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    for line in process.stderr:
        if line.startswith("epoch") or time.monotonic() > deadline:
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 5
    assert "Traceback" not in err
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_the_live_line_is_rendered(monkeypatch, capsys):
    from streamlearn.stream.events import (
        BatchLearned,
        ChunkRead,
        EpochEnded,
        PassEnded,
        PassStarted,
    )

    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with display.show_progress(512_000_000, quiet=False) as (listener,):
        listener(PassStarted(0.0, "learn, epoch 1 of 2", 2, 3, 1_000))
        listener(ChunkRead(1.0, 500, 300_000_000, 310_000_000, 250))
        listener(BatchLearned(1.0, 1, 1, 500, 0.25))
        listener(PassEnded(2.0, "learn, epoch 1 of 2", 2.0))
        listener(EpochEnded(2.0, 1, 0.25, "log loss", {"accuracy": 0.9}))
    err = capsys.readouterr().err
    assert "epoch 1, progressive log loss 0.25, held-out accuracy 0.9" in err


def test_evaluate_reads_a_csv_as_the_run_did(tmp_path, capsys):
    rng = np.random.default_rng(0)
    rows = [f"{x:.3f}; {2 * x:.3f}" for x in rng.normal(size=500)] + ["?; 1"]
    (tmp_path / "a.data").write_text("\n".join(rows) + "\n")
    how = ["--format", "csv", "--separator", ";", "--no-header", "--names", "x,y", "--missing", "?"]
    words = ["--target", "y", "--model", "sgd-regressor", "--skip-spaces", "--drop-missing"]
    run = str(tmp_path / "run")
    assert main(["fit", str(tmp_path / "a.data"), *how, *words, "-o", run, "-q"]) == 0
    capsys.readouterr()
    assert main(["evaluate", run, str(tmp_path / "a.data"), "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == {
        "read": 501,
        "scored": 500,
        "filtered": 0,
        "missing": 1,
        "rejected": 0,
    }
