"""fit: the hand-written loop to the bit, and everything around it."""

from __future__ import annotations

import errno
import warnings
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made import mixed_table
from sklearn.base import clone
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import IncrementalPCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Perceptron, SGDClassifier, SGDRegressor
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

import streamlearn as sl
from streamlearn.errors import (
    DataError,
    DivergenceError,
    MemoryBudgetError,
    SchemaError,
    UnsupportedEstimatorError,
    UsageError,
)
from streamlearn.plan.holdout import held_out
from streamlearn.stream.scratch import Scratch
from streamlearn.testing import check_same_bits
from streamlearn.testing.compare import assert_same_fit

FEATURES = ["zone", "distance", "count", "flag"]
VARIATIONS = [
    {"chunk_size": 1_000, "memory_budget": "4GB", "threads": 1},
    {"chunk_size": 7_777, "memory_budget": "2GB", "threads": 4},
    {"chunk_size": 1_000_000, "memory_budget": "4GB", "threads": 2},
    {"chunk_size": 13, "memory_budget": "8GB", "threads": 3},
]


def preprocessing():
    return ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["distance", "count"]),
            ("zone", OneHotEncoder(handle_unknown="ignore"), ["zone"]),
            (
                "flag",
                make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()),
                ["flag"],
            ),
        ]
    )


def loop(model, matrix, y, batch, *, epochs=1, weight=None, **first):
    """The loop one writes by hand."""
    model = clone(model)
    for _ in range(epochs):
        for start in range(0, matrix.shape[0], batch):
            part = slice(start, start + batch)
            extra = {} if weight is None else {"sample_weight": weight[part]}
            model.partial_fit(matrix[part], y[part], **first, **extra)
            first = {}
    return model


@pytest.mark.parametrize("batch", [500, 32_768])
def test_a_mixed_pipeline_equals_the_hand_written_loop_to_the_bit(mixed, batch):
    folder, table = mixed
    data = sl.scan(folder, target="y", features=FEATURES)
    pipeline = make_pipeline(preprocessing(), SGDRegressor(random_state=3))
    fitted = check_same_bits(pipeline, data, VARIATIONS, epochs=3, batch_size=batch)
    frame = table.select(FEATURES).to_pandas()
    matrix = fitted[:-1].transform(frame)
    expected = loop(SGDRegressor(random_state=3), matrix, table["y"].to_numpy(), batch, epochs=3)
    assert np.array_equal(fitted[-1].coef_, expected.coef_)
    assert np.array_equal(fitted[-1].intercept_, expected.intercept_)
    assert fitted[-1].t_ == expected.t_
    in_memory = preprocessing().fit(frame)
    assert_same_fit(fitted[0], in_memory, rtol=1e-12)


@pytest.mark.parametrize(
    "model",
    [
        SGDClassifier(random_state=0),
        SGDClassifier(loss="log_loss", penalty="l1", average=True, random_state=1),
        Perceptron(random_state=0),
        GaussianNB(),
        MLPClassifier((8,), random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.parametrize("target", ["label", "name"])
def test_classifiers_equal_the_loop_and_need_no_classes(tmp_path, model, target):
    table = mixed_table(3_000)
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=700)
    columns = ["zone", "distance"]
    data = sl.scan(tmp_path, target=target, features=columns)
    fitted = check_same_bits(model, data, VARIATIONS[:2], batch_size=800, epochs=2)
    X = table.select(columns).to_pandas().to_numpy(dtype=np.float64)
    y = table[target].to_pandas().to_numpy()
    expected = loop(model, X, y, 800, epochs=2, classes=np.unique(y))
    for name in ("coef_", "intercept_", "theta_", "var_", "coefs_", "classes_"):
        if hasattr(expected, name):
            for one, other in zip(getattr(fitted, name), getattr(expected, name), strict=True):
                assert np.array_equal(one, other), name
    assert fitted.feature_names_in_.tolist() == columns
    frame = table.select(columns).to_pandas()
    assert np.array_equal(fitted.predict(frame), expected.predict(X))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_arrays_and_files_equal_the_loop(tmp_path, dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2_000, 5)).astype(dtype)
    y = (X[:, 0] > 0).astype(int)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    pipeline = make_pipeline(StandardScaler(), SGDClassifier(random_state=0))
    results = [
        check_same_bits(pipeline, data, VARIATIONS[:2], batch_size=300)
        for data in (sl.scan((X, y)), sl.scan(tmp_path / "X.npy", target=tmp_path / "y.npy"))
    ]
    matrix = results[0][:-1].transform(X)
    expected = loop(SGDClassifier(random_state=0), matrix, y, 300, classes=[0, 1])
    for fitted in results:
        assert np.array_equal(fitted[-1].coef_, expected.coef_)
        assert fitted[-1].coef_.dtype == expected.coef_.dtype
    in_memory = StandardScaler().fit(X)
    assert_same_fit(results[0][0], in_memory, rtol=1e-12)


def test_held_out_rows_are_never_learned(mixed):
    folder, table = mixed
    data = sl.scan(folder, target="y", features=["distance", "zone"])
    pipeline = make_pipeline(StandardScaler(), SGDRegressor(random_state=0))
    fitted = check_same_bits(
        pipeline, data, VARIATIONS, validation=0.25, random_state=7, batch_size=512
    )
    result = sl.fit(pipeline, data, validation=0.25, random_state=7, batch_size=512)
    out = held_out(np.arange(len(table)), 0.25, 7)
    X = table.select(["distance", "zone"]).to_pandas()
    assert (result.rows.learned, result.rows.held_out) == ((~out).sum(), out.sum())
    assert_same_fit(fitted[0], StandardScaler().fit(X[~out]), rtol=1e-12)
    y = table["y"].to_numpy()
    assert result.scores["r2"] == pytest.approx(fitted.score(X[out], y[out]), rel=1e-12)


def test_shuffled_epochs_are_the_same_bits_and_differ_from_unshuffled(mixed):
    folder, _ = mixed
    data = sl.scan(folder, target="y", features=FEATURES)
    pipeline = make_pipeline(preprocessing(), SGDRegressor(random_state=0))
    options = {"epochs": 3, "batch_size": 500, "validation": 0.1}
    fitted = check_same_bits(pipeline, data, VARIATIONS, shuffle=True, **options)
    plain = sl.fit(pipeline, data, **options).estimator
    assert not np.array_equal(fitted[-1].coef_, plain[-1].coef_)
    assert fitted[-1].t_ == plain[-1].t_


@pytest.mark.parametrize("sparse", [False, True])
def test_prepared_rows_are_kept_between_epochs_to_the_same_bits(mixed, sparse):
    folder, _ = mixed
    data = sl.scan(folder, target="label", features=FEATURES if sparse else ["distance", "count"])
    before = preprocessing() if sparse else make_pipeline(SimpleImputer(), StandardScaler())
    pipeline = make_pipeline(before, SGDClassifier(random_state=0))
    options = {"epochs": 4, "batch_size": 500, "validation": 0.1}
    again = sl.fit(pipeline, data, cache=False, **options)
    kept = check_same_bits(pipeline, data, VARIATIONS, cache=True, **options)
    assert_same_fit(kept, again.estimator, rtol=0)
    result = sl.fit(pipeline, data, cache=True, **options)
    assert [record.loss for record in result.history] == [r.loss for r in again.history]
    assert result.scores == again.scores
    calls = {
        name: {s.stage: s.calls for s in r.stages}
        for name, r in [("kept", result), ("again", again)]
    }
    assert calls["kept"]["prepare"] < calls["again"]["prepare"]
    assert calls["kept"]["scratch"]
    assert "scratch" not in calls["again"]


def test_explain_says_that_prepared_rows_are_kept_and_what_it_saves(mixed, monkeypatch):
    folder, _ = mixed
    data = sl.scan(folder, target="label", features=FEATURES)
    pipeline = make_pipeline(preprocessing(), SGDClassifier())
    assert "kept on disk" not in sl.explain(pipeline, data, epochs=20).passes[-1].why
    monkeypatch.setattr("streamlearn.plan.cache._LEAST_S", 0.0)
    plan = sl.explain(pipeline, data, epochs=20)
    assert "kept on disk" in plan.passes[-1].why
    assert plan.passes[-1].times == 1
    assert "kept on disk" not in sl.explain(pipeline, data, epochs=1).passes[-1].why
    assert "kept on disk" not in sl.explain(pipeline, data, epochs=20, cache=False).passes[-1].why


def test_a_disk_that_fills_while_rows_are_kept_costs_time_and_no_bit(mixed, monkeypatch):
    folder, _ = mixed
    data = sl.scan(folder, target="y", features=["distance"])
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), SGDRegressor(random_state=0))
    options = {"epochs": 3, "batch_size": 500}
    wanted = sl.fit(pipeline, data, cache=False, **options)
    append = Scratch.append

    def full(self, chunk):
        if self.rows >= 1_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(self, chunk)

    monkeypatch.setattr(Scratch, "append", full)
    result = sl.fit(pipeline, data, cache=True, **options)
    assert_same_fit(result.estimator, wanted.estimator, rtol=0)
    assert any("No space left" in text for text in result.warnings)
    monkeypatch.undo()
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1_000))
    with pytest.raises(UsageError, match="cache=True keeps .* free"):
        sl.explain(pipeline, data, cache=True, **options)
    assert "kept" not in str(sl.explain(pipeline, data, **options))


def test_shuffling_mends_data_sorted_by_class(tmp_path):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 20_000)
    X = rng.normal(size=(40_000, 4)) + 2 * y[:, None]
    pipeline = make_pipeline(StandardScaler(), SGDClassifier(random_state=0))
    sorted_ = sl.fit(pipeline, (X, y), batch_size=1_000)
    assert any("shuffle" in text for text in sorted_.warnings)
    mixed = sl.fit(pipeline, (X, y), batch_size=1_000, shuffle=True)
    assert not mixed.warnings
    assert mixed.estimator.score(X, y) > 0.95 > sorted_.estimator.score(X, y)


def test_no_warning_where_labels_do_not_drift():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(5_000, 2))
    assert not sl.fit(SGDClassifier(), (X, (X[:, 0] > 0).astype(int))).warnings
    assert not sl.fit(make_pipeline(StandardScaler(), SGDRegressor()), (X, X.sum(axis=1))).warnings


def test_balanced_classes_are_weighted_as_scikit_learn_would():
    rng = np.random.default_rng(0)
    y = (rng.random(4_000) < 0.1).astype(int)
    X = rng.normal(size=(4_000, 3)) + y[:, None]
    model = SGDClassifier(class_weight="balanced", random_state=0)
    fitted = sl.fit(model, (X, y), batch_size=500).estimator
    assert fitted.class_weight == "balanced"
    counts = np.bincount(y)
    weights = {label: len(y) / (2 * counts[label]) for label in (0, 1)}
    expected = loop(SGDClassifier(class_weight=weights, random_state=0), X, y, 500, classes=[0, 1])
    assert np.array_equal(fitted.coef_, expected.coef_)


def test_sample_weights_reach_the_model(mixed):
    folder, table = mixed
    data = sl.scan(folder, target="y", features=["distance"], weight="w")
    fitted = check_same_bits(SGDRegressor(random_state=0), data, VARIATIONS, batch_size=700)
    X = table.select(["distance"]).to_pandas().to_numpy()
    expected = loop(
        SGDRegressor(random_state=0), X, table["y"].to_numpy(), 700, weight=table["w"].to_numpy()
    )
    assert np.array_equal(fitted.coef_, expected.coef_)
    with pytest.raises(UsageError, match="IncrementalPCA.partial_fit takes no sample_weight"):
        sl.fit(IncrementalPCA(), sl.scan(folder, features=["distance"], weight="w"))


def test_a_model_without_target():
    X = np.random.default_rng(0).normal(size=(3_000, 2))
    model = MiniBatchKMeans(3, batch_size=500, random_state=0, n_init=1)
    result = sl.fit(model, X)
    assert result.plan.batch_rows == 500
    expected = clone(model)
    for start in range(0, 3_000, 500):
        expected.partial_fit(X[start : start + 500])
    assert np.array_equal(result.estimator.cluster_centers_, expected.cluster_centers_)
    assert result.history[0].loss is None


def test_transformers_alone_are_fitted(mixed):
    folder, table = mixed
    result = sl.fit(preprocessing(), sl.scan(folder, features=FEATURES))
    assert isinstance(result.estimator, ColumnTransformer)
    assert result.plan.batch_rows is None
    assert_same_fit(
        result.estimator, preprocessing().fit(table.select(FEATURES).to_pandas()), rtol=1e-12
    )


def test_text_hashing_works_on_one_column(tmp_path):
    words = np.array(["good day", "bad day", "fine weather", "bad weather"])
    rng = np.random.default_rng(0)
    picks = rng.integers(0, 4, 2_000)
    table = pa.table({"text": words[picks], "y": (picks % 2).astype(int)})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=600)
    pipeline = make_pipeline(
        ColumnTransformer([("text", HashingVectorizer(n_features=64), "text")]),
        SGDClassifier(random_state=0),
    )
    fitted = check_same_bits(
        pipeline, sl.scan(tmp_path, target="y"), VARIATIONS[:2], batch_size=256
    )
    assert fitted.score(table.to_pandas()[["text"]], table["y"].to_numpy()) == 1.0


def test_the_estimator_given_is_not_changed(mixed):
    folder, _ = mixed
    pipeline = make_pipeline(StandardScaler(), SGDRegressor())
    before = repr(pipeline)
    result = sl.fit(pipeline, sl.scan(folder, target="y", features=["distance"]))
    assert repr(pipeline) == before
    assert not hasattr(pipeline[0], "mean_")
    assert result.estimator is not pipeline
    assert result.estimator[-1].random_state is None


def test_without_a_seed_of_its_own_a_model_still_repeats(mixed):
    folder, _ = mixed
    data = sl.scan(folder, target="y", features=["distance"])
    check_same_bits(SGDRegressor(), data, [{}, {}], batch_size=300)
    one = sl.fit(SGDRegressor(), data, random_state=1).estimator
    assert not np.array_equal(
        one.coef_, sl.fit(SGDRegressor(), data, random_state=2).estimator.coef_
    )


def test_early_stopping_on_the_held_out_score():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3_000, 3))
    y = (X[:, 0] > 0).astype(int)
    result = sl.fit(
        SGDClassifier(), (X, y), epochs=50, validation=0.2, early_stopping=True, n_iter_no_change=2
    )
    assert 3 <= len(result.history) < 50
    accuracies = [record.held_out["accuracy"] for record in result.history]
    assert max(accuracies[:-2]) + 1e-3 > max(accuracies[-2:])


def test_progressive_loss_is_of_rows_not_yet_learned():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(8_000, 3))
    y = X @ [1.0, 2.0, 3.0]
    (record,) = sl.fit(SGDRegressor(), (X, y), batch_size=500).history
    rows, losses = zip(*record.curve, strict=True)
    assert rows == tuple(range(1_000, 8_001, 500))
    assert losses[-1] < losses[0] / 5
    model = SGDRegressor(random_state=0).partial_fit(X[:500], y[:500])
    assert losses[0] == pytest.approx(np.mean((model.predict(X[500:1000]) - y[500:1000]) ** 2))


def test_a_run_tells_its_rows_its_memory_and_its_plan(mixed):
    folder, _ = mixed
    data = sl.scan(folder, target="y", features=["distance"], where="distance < 5")
    result = sl.fit(SGDRegressor(), data, validation=0.1)
    rows = result.rows
    assert rows.read == 5_000 == rows.learned + rows.held_out + rows.filtered + rows.rejected
    assert rows.filtered > 0
    memory = result.memory
    assert memory.reserved_bytes < memory.measured_bytes <= memory.limit_bytes
    assert memory.timeline
    for text in (repr(result), result._repr_html_(), str(result.plan)):
        assert "5,000" in text
    for word in ("limit", "reserved", "projected", "measured", "filtered", "rejected"):
        assert word in repr(result)


def test_explain_reads_no_row_and_tells_every_pass(mixed, monkeypatch):
    folder, _ = mixed
    data = sl.scan(folder, target="label", features=FEATURES)
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", None)
    plan = sl.explain(make_pipeline(preprocessing(), SGDClassifier()), data, epochs=4, cache=False)
    assert [(item.name, item.times) for item in plan.passes] == [("statistics", 1), ("learn", 4)]
    text = str(plan)
    for part in ("StandardScaler", "OneHotEncoder", "classes and counts of 'label'", "floor"):
        assert part in text


def test_a_pass_reads_only_the_columns_it_needs(mixed):
    folder, _ = mixed
    data = sl.scan(folder, target="label")
    chosen = ColumnTransformer(
        [("scale", MinMaxScaler(), ["distance"]), ("keep", "passthrough", ["w"])]
    )
    plan = sl.explain(make_pipeline(chosen, SGDClassifier()), data)
    assert plan.passes[0].columns == ("distance", "label")
    assert plan.passes[1].columns == ("distance", "label", "w")
    result = sl.fit(make_pipeline(chosen, SGDClassifier()), data)
    assert result.estimator.feature_names_in_.tolist() == data.features.names


def test_steps_that_wait_on_others_take_passes_of_their_own(mixed):
    folder, table = mixed
    data = sl.scan(folder, features=["distance", "count"])
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), MinMaxScaler())
    plan = sl.explain(pipeline, data)
    assert [item.name for item in plan.passes] == ["statistics", "statistics, pass 2"]
    fitted = sl.fit(pipeline, data).estimator
    X = table.select(["distance", "count"]).to_pandas()
    assert_same_fit(fitted, clone(pipeline).fit(X), rtol=1e-11)


@pytest.mark.parametrize(
    ("estimator", "match"),
    [
        (RandomForestClassifier(), "RandomForestClassifier cannot be fitted from chunks"),
        (LogisticRegression(), r"SGDClassifier\(loss='log_loss'\)"),
        (make_pipeline(StandardScaler(), LogisticRegression()), "'logisticregression'"),
        (make_pipeline(KMeans(), SGDClassifier()), r"MiniBatchKMeans\(\).*on_unsupported='sample'"),
    ],
)
def test_what_cannot_be_fitted_is_refused_by_name(estimator, match):
    with pytest.raises(UnsupportedEstimatorError, match=match):
        sl.fit(estimator, (np.zeros((10, 2)), np.arange(10) % 2))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"validation": 1.0}, "validation"),
        ({"early_stopping": True}, "validation=0.1"),
        ({"random_state": None}, "random_state"),
        ({"memory_budget": "a lot"}, "size"),
    ],
)
def test_options_that_cannot_be_right(options, match):
    with pytest.raises(UsageError, match=match):
        sl.fit(SGDRegressor(), (np.eye(4), np.arange(4)), **options)


def test_an_estimator_with_early_stopping_of_its_own_is_told_where_it_is():
    with pytest.raises(UsageError, match="pass early_stopping=True and validation"):
        sl.fit(SGDClassifier(early_stopping=True), (np.eye(4), np.arange(4) % 2))


@pytest.mark.parametrize(
    ("X", "y", "model", "match"),
    [
        (np.eye(4), np.ones(4, int), SGDClassifier(), "target is 1 in all 4 rows"),
        (
            np.eye(4),
            np.ones(4),
            make_pipeline(StandardScaler(), SGDRegressor()),
            "nothing to learn",
        ),
        (np.eye(4), np.array([0.0, 0.5, 1, 2]), SGDClassifier(), "0.5 has a fraction"),
        (np.array([[1.0], [np.nan]]), np.arange(2.0), SGDRegressor(), "row 1 .*column '0' is nan"),
        (np.array([[1.0], [np.inf]]), np.arange(2.0), SGDRegressor(), "row 1 .*column '0' is inf"),
        (np.zeros((0, 2)), np.zeros(0), SGDRegressor(), "no row"),
        (-np.eye(4), np.arange(4) % 2, MultinomialNB(), "[Nn]egative"),
    ],
)
def test_data_that_teaches_nothing_is_refused(X, y, model, match):
    with pytest.raises(DataError, match=match):
        sl.fit(model, (X, y))


def test_an_infinite_value_is_located(tmp_path):
    values = np.zeros(3_000)
    values[2_500] = np.inf
    pq.write_table(
        pa.table({"x": values, "y": np.arange(3_000.0)}),
        tmp_path / "a.parquet",
        row_group_size=1_000,
    )
    with pytest.raises(DataError, match=r"row 500 of .*a.parquet \(part 2\).*'x'.*inf"):
        sl.fit(make_pipeline(StandardScaler(), SGDRegressor()), sl.scan(tmp_path, target="y"))


def test_a_string_among_numbers_is_named(mixed):
    folder, _ = mixed
    data = sl.scan(folder, target="y", features=["flag", "distance"])
    with pytest.raises(SchemaError, match="'flag' is string"):
        sl.fit(SGDRegressor(), data)
    with pytest.raises(DataError, match=r"'flag'.*string.*numbers.*standardscaler"):
        sl.fit(make_pipeline(StandardScaler(), SGDRegressor()), data)


def test_a_category_that_only_the_held_out_rows_have_is_located(tmp_path):
    out = held_out(np.arange(1_000), 0.2, 0)
    kind = np.where(out, "rare", "usual")
    pq.write_table(pa.table({"k": kind, "y": np.arange(1_000.0)}), tmp_path / "a.parquet")
    data = sl.scan(tmp_path, target="y")
    with pytest.raises(DataError, match=r"row \d+ of .*a.parquet.*'k'.*'rare'.*handle_unknown"):
        sl.fit(make_pipeline(OneHotEncoder(), SGDRegressor()), data, validation=0.2)


def test_divergence_says_what_to_change():
    X = np.random.default_rng(0).normal(size=(1_000, 3)) * 1e6
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DivergenceError, match=r"batch \d+; scale the features.*eta0"):
            sl.fit(SGDRegressor(eta0=1e3, learning_rate="constant"), (X * 1e150, X[:, 0]), epochs=5)


def test_a_filter_that_leaves_nothing_says_so(mixed):
    folder, _ = mixed
    data = sl.scan(folder, target="y", features=["distance"], where="distance < 0")
    with pytest.raises(DataError, match="learned 0, held out 0, filtered 5,000"):
        sl.fit(SGDRegressor(), data)


def test_a_budget_that_cannot_do_is_refused_before_the_first_row(mixed, monkeypatch):
    folder, _ = mixed
    data = sl.scan(folder, target="y", features=FEATURES)
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", None)
    with pytest.raises(MemoryBudgetError, match=r"already in use.*memory_budget='\d+MB'"):
        sl.fit(make_pipeline(preprocessing(), SGDRegressor()), data, memory_budget="+30MB")
    with pytest.raises(MemoryBudgetError, match="already"):
        sl.fit(make_pipeline(preprocessing(), SGDRegressor()), data, memory_budget="20MB")


def test_one_row_and_one_column():
    result = sl.fit(StandardScaler(), np.array([[3.0]]))
    assert_same_fit(result.estimator, StandardScaler().fit([[3.0]]))
    result = sl.fit(
        make_pipeline(StandardScaler(), SGDRegressor()), (np.array([[3.0]]), np.array([1.0]))
    )
    assert result.rows.learned == 1


def test_a_pipeline_that_outputs_frames(mixed):
    folder, table = mixed
    pipeline = Pipeline([("scale", StandardScaler()), ("model", SGDRegressor(random_state=0))])
    pipeline.set_output(transform="pandas")
    fitted = check_same_bits(
        pipeline,
        sl.scan(folder, target="y", features=["distance", "zone"]),
        VARIATIONS[:2],
        batch_size=900,
    )
    assert fitted[-1].feature_names_in_.tolist() == ["distance", "zone"]
    X = table.select(["distance", "zone"]).to_pandas()
    matrix = fitted[0].transform(X)
    expected = loop(SGDRegressor(random_state=0), matrix, table["y"].to_numpy(), 900)
    assert np.array_equal(fitted[-1].coef_, expected.coef_)


def test_steps_that_work_in_place_do_not_reach_the_users_array():
    X = np.arange(60.0).reshape(20, 3)
    before = X.copy()
    sl.fit(make_pipeline(StandardScaler(copy=False), MinMaxScaler(copy=False)), X)
    assert np.array_equal(X, before)


@pytest.mark.parametrize("last", ["passthrough", None])
def test_a_pipeline_may_end_in_passthrough(last):
    X = np.arange(60.0).reshape(20, 3)
    pipeline = Pipeline([("scale", StandardScaler()), ("last", last)])
    assert_same_fit(sl.fit(pipeline, X).estimator, clone(pipeline).fit(X), rtol=1e-12)


def test_an_imputer_of_booleans_is_not_hurried(tmp_path):
    table = pa.table({"b": pa.array([None, False, True, True, True] * 20)})
    pq.write_table(table, tmp_path / "a.parquet")
    pipeline = make_pipeline(SimpleImputer(strategy="most_frequent"), StandardScaler())
    fitted = sl.fit(pipeline, sl.scan(tmp_path)).estimator
    assert_same_fit(fitted, clone(pipeline).fit(table.to_pandas()), rtol=1e-12)


def test_held_out_rows_with_a_model_that_needs_only_the_labels_first(mixed):
    folder, _ = mixed
    data = sl.scan(folder, target="name", features=["distance"], where="zone < 50")
    result = sl.fit(SGDClassifier(), data, validation=0.2)
    assert result.rows.held_out > 0
    assert 0.5 < result.scores["accuracy"] <= 1


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (SGDClassifier(alpha=-1.0), "alpha"),
        (SGDClassifier(random_state="foo"), "random_state"),
        (SGDRegressor, r"SGDRegressor\(\)"),
    ],
)
def test_parameters_are_checked_before_anything_is_read(model, said):
    with pytest.raises(UsageError, match=said):
        sl.explain(model, (np.eye(4), np.arange(4) % 2))


def test_a_text_target_is_for_classifiers(mixed):
    folder, _ = mixed
    with pytest.raises(SchemaError, match="'name' is string.*classifier"):
        sl.fit(SGDRegressor(), sl.scan(folder, target="name", features=["distance"]))


def test_a_batch_of_no_weight_is_passed_over():
    X = np.random.default_rng(0).normal(size=(3_000, 2))
    weight = np.repeat([0.0, 1.0, 1.0], 1_000)
    data = sl.scan(X, target=X[:, 0], weight=weight)
    fitted = sl.fit(SGDRegressor(random_state=0), data, batch_size=1_000).estimator
    expected = loop(
        SGDRegressor(random_state=0), X[1_000:], X[1_000:, 0], 1_000, weight=weight[1_000:]
    )
    assert np.array_equal(fitted.coef_, expected.coef_)


def test_sparse_matrices_for_a_model_that_takes_none(mixed):
    folder, _ = mixed
    data = sl.scan(folder, target="label", features=["zone"])
    with pytest.raises(UsageError, match="GaussianNB cannot learn"):
        sl.fit(make_pipeline(OneHotEncoder(), GaussianNB()), data)


def test_evaluation_says_what_is_wrong(mixed):
    folder, _ = mixed
    data = sl.scan(folder, target="y", features=["distance"])
    with pytest.raises(UsageError, match="not fitted"):
        sl.evaluate(make_pipeline(StandardScaler(), SGDRegressor()), data)
    model = sl.fit(SGDRegressor(), data)
    lacking = sl.scan(folder, target="y", features=["zone"], derive="flag AS distance")
    with pytest.raises(DataError, match="distance|string"):
        sl.evaluate(model, lacking)
    nothing = sl.scan((np.eye(3), np.arange(3)))
    with pytest.raises(DataError):
        sl.evaluate(model, nothing)
