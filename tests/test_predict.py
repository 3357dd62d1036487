"""A model's answers: those of scikit-learn, in order, whole, in the budget."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made import mixed_table
from scipy import sparse
from sklearn.cluster import MiniBatchKMeans
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier, SGDRegressor
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

import streamlearn as sl
from streamlearn.errors import DataError, MemoryBudgetError, SchemaError, UsageError
from streamlearn.source.library import tables
from streamlearn.testing import check_budget_is_kept, measure, why_no_kernel_limit

TABLE = mixed_table(40_000)
FRAME = TABLE.to_pandas()
FEATURES = ["zone", "distance", "count"]
X = np.random.default_rng(0).normal(size=(40_000, 5))
Y = X @ [1.0, -2.0, 0.5, 0.0, 3.0]


@pytest.fixture(autouse=True)
def short_fragments(monkeypatch):
    monkeypatch.setattr(tables, "_FRAGMENT_ROWS", 7_001)


def mixed_steps():
    return make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["zone", "flag"]),
        (make_pipeline(SimpleImputer(), StandardScaler()), ["distance", "count"]),
    )


@pytest.fixture(scope="module")
def classifier():
    chosen = FRAME[["zone", "flag", "distance", "count"]]
    return make_pipeline(mixed_steps(), SGDClassifier(loss="log_loss", random_state=0)).fit(
        chosen, FRAME["name"]
    )


def read(path):
    files = [path] if path.is_file() else sorted(path.iterdir())
    found = []
    for each in files:
        with pq.ParquetFile(each) as file:
            found.append(file.read())
    return pa.concat_tables(found)


def joined(batches):
    return pa.Table.from_batches(list(batches))


# The answers


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(chunk_size=st.integers(300, 50_000), threads=st.integers(1, 3))
def test_answers_are_those_in_memory_to_the_bit(chunk_size, threads):
    model = DecisionTreeRegressor(max_depth=6, random_state=0).fit(FRAME[FEATURES], FRAME["y"])
    found = joined(sl.predict(model, TABLE, chunk_size=chunk_size, threads=threads))
    assert found.schema.names == ["prediction"]
    np.testing.assert_array_equal(found["prediction"], model.predict(FRAME[FEATURES]))


def test_answers_of_blas_are_a_function_of_the_data_alone():
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(X, Y)
    seen = [
        joined(sl.predict(model, X, **options))["prediction"].to_numpy()
        for options in (
            {}, {"chunk_size": 777}, {"threads": 1}, {"threads": 4, "chunk_size": 9_999},
            {"memory_budget": "+250MB"},
        )
    ]  # fmt: skip
    for each in seen[1:]:
        np.testing.assert_array_equal(each, seen[0])
    np.testing.assert_allclose(seen[0], model.predict(X), rtol=1e-12)
    blocks = [model.predict(X[at : at + 16_384]) for at in range(0, len(X), 16_384)]
    np.testing.assert_array_equal(seen[0], np.concatenate(blocks))


def test_every_method_beside_columns_and_row_numbers(classifier, tmp_path):
    data = sl.scan(TABLE, target="y", where="zone > 1")
    done = sl.predict(
        classifier, data, out=tmp_path / "a.parquet", row_ids=True, columns=["y", "zone", "w"],
        method=["decision_function", "predict", "predict_proba"],
    )  # fmt: skip
    kept = FRAME[FRAME["zone"] > 1]
    found = read(tmp_path / "a.parquet")
    names = ["row", "y", "zone", "w", "decision", "prediction"]
    assert found.schema.names == [*names, "probability_high", "probability_low"]
    assert found.schema.names == list(done.columns)
    assert [str(kind) for kind in found.schema.types[:6]] == [
        "int64", "double", "int32", "double", "double", "string",
    ]  # fmt: skip
    assert found["row"].to_pylist() == kept.index.tolist()
    assert (
        found.select(["y", "zone", "w"])
        .to_pandas()
        .equals(kept[["y", "zone", "w"]].reset_index(drop=True))
    )
    assert (found["prediction"].to_numpy() == classifier.predict(kept)).all()
    proba = np.column_stack([found["probability_high"], found["probability_low"]])
    np.testing.assert_allclose(proba, classifier.predict_proba(kept), rtol=1e-12)
    np.testing.assert_allclose(found["decision"], classifier.decision_function(kept), rtol=1e-10)
    assert done.rows.read == 40_000 == done.rows.predicted + done.rows.filtered


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_predictions_keep_their_type(kind):
    class Single(LinearRegression):
        def predict(self, X):
            return super().predict(X).astype(kind)

    model = Single().fit(X, Y)
    found = joined(sl.predict(model, X))
    assert found.schema.types == [pa.from_numpy_dtype(kind)]
    np.testing.assert_allclose(found["prediction"], model.predict(X), rtol=1e-6)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["été", "hiver", "日本"], ["hiver", "été", "日本"]),
        ([0, 1, 2], ["0", "1", "2"]),
        ([False, True, True], ["False", "True"]),
        (["", "a b", "\ud800"], ["", "a b", "\\ud800"]),
    ],
)
def test_columns_are_called_after_the_classes(labels, names):
    y = np.array(labels, dtype=object if isinstance(labels[0], str) else None)
    y = np.resize(y, 600)
    model = DecisionTreeClassifier(random_state=0).fit(X[:600], y)
    found = joined(sl.predict(model, X[:600], method="predict_proba"))
    assert found.schema.names == [f"probability_{name}" for name in names]


def test_decision_values_of_one_and_of_several_classes():
    y = np.resize([3, 5, 9], 600)
    found = joined(sl.predict(SGDClassifier(random_state=0).fit(X[:600], y), X[:600],
                              method=["predict", "decision_function"]))  # fmt: skip
    assert found.schema.names == ["prediction", "decision_3", "decision_5", "decision_9"]
    assert found.schema.types[0] == pa.int64()
    forest = IsolationForest(n_estimators=3, random_state=0).fit(X[:600])
    found = joined(sl.predict(forest, X[:600], method=["predict", "decision_function"]))
    assert found.schema.names == ["prediction", "decision"]
    np.testing.assert_array_equal(found["decision"], forest.decision_function(X[:600]))


def test_several_outputs_are_numbered():
    Y2 = np.column_stack([Y, -Y])
    found = joined(sl.predict(LinearRegression().fit(X, Y2), X))
    assert found.schema.names == ["prediction_0", "prediction_1"]
    model = MultiOutputClassifier(DecisionTreeClassifier(max_depth=2)).fit(X, Y2 > 0)
    found = joined(sl.predict(model, X, method=["predict", "predict_proba"]))
    assert found.schema.names[2:] == [
        "probability_0_False", "probability_0_True", "probability_1_False", "probability_1_True",
    ]  # fmt: skip
    np.testing.assert_array_equal(found["probability_1_True"], model.predict_proba(X)[1][:, 1])


def test_a_model_that_takes_frames_and_gaps_gets_them():
    model = HistGradientBoostingClassifier(max_iter=3, random_state=0)
    model.fit(FRAME[FEATURES], FRAME["label"])
    found = joined(sl.predict(model, TABLE, method="predict_proba"))
    np.testing.assert_array_equal(
        np.column_stack(found.columns), model.predict_proba(FRAME[FEATURES])
    )


def test_clusters_answer_and_transform_from_a_sparse_matrix():
    rows = sparse.random(20_000, 30, 0.1, "csr", random_state=0)
    model = make_pipeline(MaxAbsScaler(), MiniBatchKMeans(3, n_init=1, random_state=0)).fit(rows)
    batches = sl.predict(model, rows, method=["transform", "predict"], chunk_size=3_000)
    found = joined(batches)
    assert found.schema.names == [*model.get_feature_names_out(), "prediction"]
    np.testing.assert_array_equal(found["prediction"], model.predict(rows))
    np.testing.assert_allclose(np.column_stack(found.columns[:3]), model.transform(rows))
    with pytest.raises(UsageError, match="sparse matrix"):
        sl.predict(model, rows, columns=[0])


def test_no_row_at_all(classifier, tmp_path):
    for data in (TABLE[:0], sl.scan(TABLE, where="zone < 0")):
        done = sl.predict(classifier, data, out=tmp_path / "a.parquet", overwrite=True)
        assert done.rows.predicted == 0
        assert read(tmp_path / "a.parquet").schema.field("prediction").type == pa.string()
        assert list(sl.predict(classifier, data)) == []


# Transformers


def test_what_a_transform_gives(tmp_path):
    steps = make_pipeline(mixed_steps()).fit(FRAME)
    found = joined(sl.predict(steps, TABLE, method="transform"))
    assert found.schema.names == list(steps.get_feature_names_out())
    np.testing.assert_allclose(
        np.column_stack(found.columns), steps.transform(FRAME).toarray(), rtol=1e-12
    )
    pca = make_pipeline(StandardScaler(), PCA(2)).fit(X)
    found = joined(sl.predict(pca, X, method="transform"))
    assert found.schema.names == ["pca0", "pca1"]
    np.testing.assert_allclose(np.column_stack(found.columns), pca.transform(X), atol=1e-12)
    sl.predict(pca, X, out=tmp_path / "x.zarr", method="transform")
    back = sl.scan(tmp_path / "x.zarr")
    assert (back.rows, len(back.features)) == (40_000, 2)
    assert zarr.open_group(tmp_path / "x.zarr").attrs["feature_names"] == ["pca0", "pca1"]


def test_strings_and_frames_are_outputs_as_well():
    filler = SimpleImputer(strategy="most_frequent").fit(FRAME[["flag"]])
    found = joined(sl.predict(filler, TABLE, method="transform"))
    assert found["flag"].to_pylist() == filler.transform(FRAME[["flag"]])[:, 0].tolist()
    coder = OrdinalEncoder().set_output(transform="pandas").fit(FRAME[["flag", "zone"]])
    found = joined(sl.predict(coder, TABLE, method="transform"))
    pd.testing.assert_frame_equal(
        found.to_pandas(), coder.transform(FRAME[["flag", "zone"]]).reset_index(drop=True)
    )


def test_a_sparse_output_is_filled_up_to_a_width():
    texts = pd.DataFrame({"text": ["a b", "c"] * 50})
    for width, fits in ((1_024, True), (1_025, False)):
        step = make_column_transformer((HashingVectorizer(n_features=width), "text")).fit(texts)
        if fits:
            assert joined(sl.predict(step, texts, method="transform")).num_columns == width
        else:
            with pytest.raises(UsageError, match=r"sparse matrix of 1,025 columns.*1,024"):
                list(sl.predict(step, texts, method="transform"))


# Places


@pytest.mark.parametrize("dst", ["a.parquet", "b/", "c.zarr"])
def test_the_bytes_depend_on_the_data_alone(tmp_path, dst):
    model = LogisticRegression().fit(X, Y > 0)
    # Rows by tens of thousands make several groups, and several files of a folder.
    small = {} if dst == "c.zarr" else {"row_group_bytes": 65_536}
    seen = []
    for number, options in enumerate(
        ({}, {"threads": 1}, {"chunk_size": 1_001, "threads": 3}, {"memory_budget": "+300MB"})
    ):
        folder = tmp_path / str(number)
        done = sl.predict(model, X, out=f"{folder}/{dst}", method="predict_proba", columns=[0, 3],
                          row_ids=True, **options, **small)  # fmt: skip
        assert done.rows.predicted == 40_000
        seen.append(
            {f.relative_to(folder): f.read_bytes() for f in folder.rglob("*") if f.is_file()}
        )
    assert all(each == seen[0] for each in seen[1:])


def test_a_folder_is_cut_into_files_that_say_of_which_model_they_are(tmp_path, classifier):
    done = sl.predict(classifier, TABLE, out=f"{tmp_path}/out/", rows_per_file=15_000)
    assert (done.files, max(os.listdir(tmp_path / "out"))) == (3, "part-00002.parquet")
    assert read(tmp_path / "out")["prediction"].to_pylist() == classifier.predict(FRAME).tolist()
    about = json.loads(pq.read_schema(tmp_path / "out/part-00001.parquet").metadata[b"streamlearn"])
    assert (about["model"], about["methods"]) == ("SGDClassifier", ["predict"])


def test_a_store_has_an_array_for_each_method(tmp_path):
    model = LogisticRegression().fit(X, (Y > 0).astype(int))
    where = tmp_path / "a.zarr"
    done = sl.predict(model, X, out=where, columns=[2], row_ids=True,
                      method=["predict", "predict_proba", "decision_function"])  # fmt: skip
    store = zarr.open_group(where, mode="r")
    assert sorted(store) == ["2", "decision", "prediction", "probability", "row"]
    np.testing.assert_array_equal(store["prediction"][:], model.predict(X))
    np.testing.assert_allclose(store["probability"][:], model.predict_proba(X), rtol=1e-12)
    np.testing.assert_array_equal(store["2"][:], X[:, 2])
    assert store["row"][-1] == 39_999
    said = store.attrs["streamlearn"]
    assert said["arrays"]["probability"] == ["probability_0", "probability_1"]
    assert done.files > 5
    assert sl.predict(model, X[:9], out=where, overwrite=True).rows.predicted == 9
    assert list(zarr.open_group(where, mode="r")) == ["prediction"]


def test_what_a_store_cannot_hold_is_named(tmp_path, classifier):
    with pytest.raises(UsageError, match=r"'prediction' \(string\).*probabilities"):
        sl.predict(classifier, TABLE, out=tmp_path / "a.zarr")
    table = pa.table({"a": pa.array([1, None, 3]), "b": [1.0, 2.0, 3.0]})
    model = LinearRegression().fit(pd.DataFrame({"b": [1.0, 2.0]}), [1.0, 2.0])
    with pytest.raises(DataError, match=r"row 1 of .*column 'a' is missing"):
        sl.predict(model, table, out=tmp_path / "a.zarr", columns=["a"])
    assert os.listdir(tmp_path) == []


def test_an_output_is_replaced_only_if_it_is_one_and_on_request(tmp_path, classifier):
    (tmp_path / "b").mkdir()
    (tmp_path / "b/notes.txt").write_text("my novel")
    with pytest.raises(UsageError, match=r"notes.txt"):
        sl.predict(classifier, TABLE, out=tmp_path / "b", overwrite=True)
    sl.predict(classifier, TABLE[:9], out=tmp_path / "a.parquet")
    with pytest.raises(UsageError, match="--overwrite"):
        sl.predict(classifier, TABLE, out=tmp_path / "a.parquet")
    done = sl.predict(classifier, TABLE, out=tmp_path / "a.parquet", overwrite=True)
    assert done.rows.predicted == 40_000


def test_an_output_among_the_inputs_is_refused(tmp_path, classifier):
    (tmp_path / "in").mkdir()
    pq.write_table(TABLE[:100], tmp_path / "in/a.parquet")
    for data, out in [
        (tmp_path / "in", "in/b.parquet"),
        (tmp_path / "in", "in/sub/out/"),
        (f"{tmp_path}/in/*.parquet", "in/b.parquet"),
        (tmp_path / "in/a.parquet", "in/a.parquet"),
        (sl.scan(tmp_path / "in"), "in/"),
    ]:
        with pytest.raises(UsageError, match=r"is read|no part of|there already"):
            sl.predict(classifier, data, out=f"{tmp_path}/{out}")
    assert os.listdir(tmp_path / "in") == ["a.parquet"]
    sl.predict(classifier, tmp_path / "in/a.parquet", out=tmp_path / "in/b.parquet")


@pytest.mark.parametrize("dst", ["a.parquet", "b/", "c.zarr"])
def test_of_what_failed_nothing_is_left_and_what_was_there_stays(tmp_path, dst):
    model = LinearRegression().fit(X, Y)
    sl.predict(model, X[:7], out=f"{tmp_path}/{dst}")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    bad = X.copy()
    bad[33_333, 2] = np.nan
    with pytest.raises(DataError, match=r"block that begins at row 32768 of .*NaN"):
        sl.predict(model, bad, out=f"{tmp_path}/{dst}", overwrite=True)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("name", ["a.parquet", "b/", "c.zarr"])
def test_a_full_disk_is_named_and_left_as_it_was(small_disk, name):
    noise = np.random.default_rng(0).normal(size=(30_000, 40))
    model = PCA(30).fit(noise[:1_000])
    with pytest.raises(OSError, match="the disk is full; nothing was left there"):
        sl.predict(model, noise, out=f"{small_disk}/{name}", method="transform")
    assert os.listdir(small_disk) == []


@pytest.mark.parametrize("name", ["a.parquet", "c.zarr"])
def test_a_disk_that_fills_up_is_named(tmp_path, monkeypatch, name):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    writer = "parquet.ParquetWriter" if name == "a.parquet" else "arrays.ArraysWriter"
    monkeypatch.setattr(f"streamlearn.write.{writer}.append", full)
    model = LinearRegression().fit(X, Y)
    with pytest.raises(OSError, match=f"the disk is full; nothing was left there.*{name}"):
        sl.predict(model, X, out=tmp_path / name)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_what_is_interrupted_leaves_nothing_in_its_place(tmp_path):
    code = (
        "import numpy as np, time, streamlearn as sl\n"
        "from sklearn.linear_model import LinearRegression\n"
        "def wait(event):\n"
        "    if getattr(event, 'rows', 0) > 60_000 and hasattr(event, 'rss_bytes'):\n"
        "        print('writing', flush=True); time.sleep(30)\n"
        "X = np.eye(9)[np.arange(90_000) % 9]\n"
        "model = LinearRegression().fit(X, X[:, 0])\n"
        f"sl.predict(model, X, out={str(tmp_path / 'out/')!r}, chunk_size=1_000, "
        "listeners=[wait], rows_per_file=1_000)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert child.stdout.readline() == b"writing\n"
    assert [name for name in os.listdir(tmp_path) if not name.startswith(".")] == []
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=30)
    assert child.returncode != 0
    assert os.listdir(tmp_path) == []


def test_the_result_tells_rows_bytes_and_memory(tmp_path, classifier):
    done = sl.predict(classifier, TABLE, out=tmp_path / "a.parquet")
    assert isinstance(done, sl.Prediction)
    assert done.memory.within
    for part in ("SGDClassifier", "predicted 40,000", "in 1 file", "limit", "prediction"):
        assert part in repr(done)
    assert done.bytes_written == (tmp_path / "a.parquet").stat().st_size
    assert json.loads(done.to_json(tmp_path / "d.json"))["rows"]["predicted"] == 40_000
    assert "Prediction of" in done._repr_html_()


# Batches


def test_batches_can_be_abandoned(classifier):
    batches = sl.predict(classifier, TABLE, row_ids=True)
    assert [batch.num_rows for batch in batches] == [16_384, 16_384, 7_232]
    assert batches.rows.predicted == 40_000
    with sl.predict(classifier, TABLE, chunk_size=500) as batches:
        assert next(batches).num_rows == 16_384
    assert not [t for t in threading.enumerate() if t.name.startswith("streamlearn")]
    dropped = sl.predict(classifier, TABLE, chunk_size=500)
    next(dropped)
    del dropped
    assert not [t for t in threading.enumerate() if t.name.startswith("streamlearn")]


# What cannot be


def test_what_cannot_be_asked_is_told_before_a_row_is_read(classifier):
    scaler = StandardScaler().fit(X)
    svm = SGDClassifier().fit(X[:99], np.resize([0, 1], 99))
    for model, data, options, kind, message in [
        (SGDRegressor(), X, {}, UsageError, "this SGDRegressor is not fitted"),
        (SGDRegressor, X, {}, UsageError, "is not a scikit-learn estimator"),
        (object(), X, {}, UsageError, "is not a scikit-learn estimator"),
        (svm, X, {"chunk_size": 0}, UsageError, "chunk_size must be .* not 0"),
        (svm, X, {"threads": -1}, UsageError, "threads must be .* not -1"),
        (svm, TABLE, {}, SchemaError, "fitted with 5 columns without names.*8 features"),
        (svm, X, {"method": "predict_proba"}, UsageError,
         "SGDClassifier has no predict_proba; it has 'predict', 'decision_function'"),
        (svm, X, {"method": "score"}, UsageError, "'score' is none of"),
        (svm, X, {"method": []}, UsageError, "method= is empty"),
        (scaler, X, {}, UsageError, "StandardScaler has no predict; it has 'transform'"),
        (classifier, TABLE.drop_columns(["flag", "zone"]), {}, SchemaError, "'zone', 'flag'"),
        (classifier, X, {}, SchemaError, "fitted with columns zone"),
        (classifier, TABLE, {"columns": ["nope"]}, SchemaError, "no column 'nope' to pass"),
        (classifier, TABLE, {"columns": "zone"}, UsageError, "takes a list"),
        (classifier, TABLE, {"columns": ["w", "w"]}, UsageError, "more than once"),
        (classifier, TABLE.append_column("prediction", TABLE["y"]), {"columns": ["prediction"]},
         UsageError, "two columns of the output would be called 'prediction'"),
        (classifier, TABLE.append_column("row", TABLE["y"]), {"columns": ["row"], "row_ids": True},
         UsageError, "would be called 'row'"),
        (classifier, TABLE, {"on_error": "skip"}, UsageError, "'raise' or 'quarantine'"),
    ]:  # fmt: skip
        with pytest.raises(kind, match=message):
            sl.predict(model, data, **options)


def test_a_value_that_a_step_refuses_has_its_place(classifier):
    steps = make_column_transformer((OneHotEncoder(), ["flag"]), ("passthrough", ["distance"]))
    model = make_pipeline(steps, LinearRegression()).fit(FRAME[:2_000], FRAME["y"][:2_000])
    flags = FRAME["flag"].to_list()
    flags[20_000] = "?"
    table = TABLE.set_column(3, "flag", pa.array(flags, from_pandas=True))
    with pytest.raises(DataError, match=r"row 20000 of the source.*'flag'"):
        list(sl.predict(model, table))


def test_rows_that_cannot_be_predicted_are_left_out_counted_and_listed(tmp_path):
    model = LinearRegression().fit(X, Y)
    bad = X.copy()
    bad[[5, 20_000, 39_999], 1] = np.nan
    bad[7, 0] = np.inf
    for options in ({}, {"threads": 1, "chunk_size": 999}):
        done = sl.predict(
            model, bad, out=tmp_path / "a.parquet", on_error="quarantine", row_ids=True,
            overwrite=True, **options,
        )  # fmt: skip
        found = read(tmp_path / "a.parquet")
        assert set(range(40_000)) - set(found["row"].to_pylist()) == {5, 7, 20_000, 39_999}
        assert (done.rows.predicted, done.rows.rejected) == (39_996, 4)
        assert done.quarantine.count == 4
        assert sorted(item.row for item in done.quarantine.first) == [5, 7, 20_000, 39_999]
        assert any("NaN" in item.reason for item in done.quarantine.first)
    np.testing.assert_allclose(
        found["prediction"], model.predict(X[found["row"].to_numpy()]), rtol=1e-9
    )


def test_columns_passed_through_may_hold_anything():
    table = pa.table({"a": [1.0, 2.0, np.inf], "b": [np.inf, 5.0, 6.0]})
    model = LinearRegression().fit(pd.DataFrame({"a": [1.0, 2.0]}), [1.0, 2.0])
    batches = sl.predict(model, table, columns=["b"], on_error="quarantine", row_ids=True)
    assert joined(batches).select(["row", "b"]).to_pylist() == [
        {"row": 0, "b": np.inf}, {"row": 1, "b": 5.0},
    ]  # fmt: skip
    assert batches.rows.rejected == 1


def test_rows_that_a_step_refuses_are_found_by_halves():
    steps = make_column_transformer((OneHotEncoder(), ["flag"]), ("passthrough", ["distance"]))
    model = make_pipeline(steps, LinearRegression()).fit(FRAME[:2_000], FRAME["y"][:2_000])
    flags = FRAME["flag"].to_list()
    flags[20_000] = flags[20_001] = "?"
    table = TABLE.set_column(3, "flag", pa.array(flags, from_pandas=True))
    batches = sl.predict(model, table, on_error="quarantine", row_ids=True)
    rows = joined(batches)["row"].to_pylist()
    assert set(range(40_000)) - set(rows) == {20_000, 20_001}
    assert (batches.rows.rejected, batches.quarantine.count) == (2, 2)


def test_what_fails_for_every_row_is_an_error_all_the_same():
    class Broken(LinearRegression):
        def predict(self, X):
            raise ValueError("no way")

    with pytest.raises(DataError, match="no way"):
        list(sl.predict(Broken().fit(X, Y), X, on_error="quarantine"))


def test_a_target_is_not_looked_at():
    model = LinearRegression().fit(X, Y)
    gaps = Y.copy()
    gaps[3] = np.nan
    for options in ({}, {"on_error": "quarantine"}):
        assert joined(sl.predict(model, (X, gaps), **options)).num_rows == 40_000
    frame = pd.DataFrame(X, columns=list("abcde"))
    named = LinearRegression().fit(frame, Y)
    table = pa.Table.from_pandas(frame.assign(y=gaps))
    data = sl.scan(table, target="y")
    assert joined(sl.predict(named, data, on_error="quarantine")).num_rows == 40_000
    assert joined(sl.predict(named, table.drop_columns("y"))).num_rows == 40_000


# Runs


def test_computed_columns_of_a_run_are_computed_again(tmp_path):
    train = sl.scan(
        TABLE, target="twice", features=["far", "zone"], where="y > 1",
        derive=["distance * 2 AS far", "y * 2 AS twice"],
    )  # fmt: skip
    pipeline = make_pipeline(StandardScaler(), SGDRegressor(random_state=0))
    result = sl.fit(pipeline, train, run=tmp_path / "run")
    new = TABLE.drop_columns(["y"])  # the target cannot be computed, nor the condition
    pq.write_table(new, tmp_path / "new.parquet")
    done = sl.predict(tmp_path / "run", tmp_path / "new.parquet", out=tmp_path / "a.parquet")
    assert done.rows.predicted == 40_000
    frame = pd.DataFrame({"far": FRAME["distance"] * 2, "zone": FRAME["zone"]})
    np.testing.assert_allclose(
        read(tmp_path / "a.parquet")["prediction"], result.estimator.predict(frame), rtol=1e-12
    )
    about = json.loads(pq.read_schema(tmp_path / "a.parquet").metadata[b"streamlearn"])
    assert about["fitted_on"] == result.manifest["data"]["fingerprint"]


# The documentation


def test_the_example_of_the_documentation_runs(tmp_path):
    page = Path(__file__).parents[1] / "docs" / "prediction.md"
    code = page.read_text().split("```python\n")[1].split("```")[0]
    # Its budget is meant for a process that holds nothing else.
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    promised = next(line for line in code.splitlines() if line.startswith("print"))
    assert done.stdout.strip() == promised.split("# ")[1]


# The budget


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """96 MB decoded, and a pipeline for it."""
    folder = tmp_path_factory.mktemp("long")
    rng = np.random.default_rng(0)
    schema = pa.schema([(f"c{at}", pa.float64()) for at in range(20)])
    block = pa.table(list(rng.normal(size=(20, 100_000)).round(2)), schema)
    with pq.ParquetWriter(folder / "long.parquet", schema) as writer:
        for _ in range(6):
            writer.write_table(block, row_group_size=50_000)
    head = block[:1_000].to_pandas()
    pipeline = make_pipeline(StandardScaler(), SGDRegressor())
    sl.fit(pipeline, sl.scan(head.assign(y=head["c0"]), target="y"), run=folder / "run")
    return folder


def asking(folder, out, budget):
    return (
        "import streamlearn as sl\n"
        f"result = sl.predict({str(folder / 'run')!r}, {str(folder / 'long.parquet')!r}, "
        f"out={str(out)!r}, row_ids=True, columns=['c3'], memory_budget={budget!r})\n"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="reads VmHWM of /proc")
@pytest.mark.parametrize("dst", ["a.parquet", "c.zarr"])
def test_the_budget_is_kept(long, tmp_path, dst):
    budget = 400_000_000
    limit = None if why_no_kernel_limit() else budget
    found = check_budget_is_kept(
        asking(long, tmp_path / dst, budget), budget, kernel_limit=limit, timeout_s=120
    )
    assert found["measured_bytes"] <= found["projected_bytes"] * 1.02


@pytest.mark.skipif(sys.platform != "linux", reason="reads VmHWM of /proc")
def test_the_number_that_a_refusal_names_does(long, tmp_path):
    code = asking(long, tmp_path / "a.parquet", "{}")
    refused = measure(
        code.replace("'{}'", "245_000_000").replace("result = ", "")
        .replace("import streamlearn as sl\n", "import streamlearn as sl, re\ntry:\n ")
        + "except Exception as error:\n"
        "  print(re.search(r\"memory_budget='(\\w+)'\", str(error))[1])\n"
    )  # fmt: skip
    assert refused.exit_code == 0, refused.errors
    enough = refused.output.strip()
    assert os.listdir(tmp_path) == []
    found = measure(code.replace("{}", enough) + "print(result.memory.within)\n")
    assert found.output.strip() == "True", found.errors


def test_what_does_not_fit_is_refused_with_the_number_that_would_do(classifier, tmp_path):
    with pytest.raises(MemoryBudgetError, match=r"needs .*memory_budget='.*row_group_bytes"):
        sl.predict(classifier, TABLE, out=tmp_path / "a.parquet", memory_budget="+10MB")
    assert os.listdir(tmp_path) == []
