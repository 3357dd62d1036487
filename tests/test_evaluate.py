import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made import mixed_table
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier, SGDRegressor
from sklearn.metrics import (
    accuracy_score,
    calinski_harabasz_score,
    log_loss,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import streamlearn as sl
from streamlearn.errors import DataError, SchemaError, UsageError
from streamlearn.testing.measure import measure

ROWS = 40_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows")
    table = mixed_table(ROWS)
    days = np.datetime64("2019-01-01", "us") + np.arange(ROWS) * np.timedelta64(4, "m")
    table = table.append_column("pickup", pa.array(days))
    half = ROWS // 2
    for number, start in enumerate((0, half)):
        part = table.slice(start, half)
        pq.write_table(part, path / f"{number}.parquet", row_group_size=3_000)
    return str(path)


@pytest.fixture(scope="module")
def frame(folder):
    return pq.read_table(folder).to_pandas()


@pytest.fixture(scope="module")
def regressor(frame):
    return make_pipeline(StandardScaler(), Ridge()).fit(frame[["zone", "distance"]], frame["y"])


@pytest.fixture(scope="module")
def classifier(frame):
    steps = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["flag"]), (StandardScaler(), ["distance"])
    )
    model = SGDClassifier(loss="log_loss", random_state=0, alpha=0.01)
    return make_pipeline(steps, model).fit(frame[["flag", "distance"]], frame["label"])


SLICES = ["zone", "count", "flag", "distance:4", "pickup:month", "file"]


@pytest.mark.parametrize("weight", [None, "w"])
def test_slices_equal_scikit_learn_on_their_rows(folder, frame, regressor, weight):
    data = sl.scan(folder, target="y", weight=weight)
    found = sl.evaluate(regressor, data, slice_by=SLICES)
    said = regressor.predict(frame[["zone", "distance"]])
    ones = np.ones(ROWS) if weight is None else frame["w"].to_numpy()
    tables = {table.by: table for table in found.slices}
    month = frame["pickup"].dt.strftime("%Y-%m")
    keys = {
        "zone": frame["zone"].astype(str),
        "count": frame["count"].map(lambda v: "missing" if v != v else f"{v:.0f}"),
        "flag": frame["flag"].fillna("missing"),
        "pickup:month": month,
        "file": np.where(np.arange(ROWS) < ROWS // 2, "0.parquet", "1.parquet"),
    }
    for by, key in keys.items():
        table = tables[by]
        assert {item.name for item in table.slices} == set(key)
        for item in table.slices:
            kept = np.asarray(key == item.name)
            args = frame["y"][kept], said[kept]
            assert item.rows == kept.sum()
            assert item.weight == pytest.approx(ones[kept].sum())
            expected = mean_absolute_error(*args, sample_weight=ones[kept])
            assert item.metrics["mae"] == pytest.approx(expected, rel=1e-12)
            if item.rows > 1:
                expected = r2_score(*args, sample_weight=ones[kept])
                assert item.metrics["r2"] == pytest.approx(expected, rel=1e-9)
    for table in found.slices:
        assert sum(item.rows for item in table.slices) == ROWS
        share = [item.weight * item.metrics["mae"] for item in table.slices]
        assert sum(share) / ones.sum() == pytest.approx(found.metrics["mae"], rel=1e-12)
    bins = tables["distance:4"]
    assert len(bins) == 4
    assert all(0.2 < item.rows / ROWS < 0.3 for item in bins.slices)


def _numbers(found):
    plain = found.to_dict()
    for name in ("memory", "seconds", "stages", "about"):
        del plain[name]
    return json.dumps(plain)


@pytest.mark.parametrize("kind", ["regressor", "classifier"])
def test_the_same_bits_however_it_is_read(folder, request, kind):
    model = request.getfixturevalue(kind)
    target = "y" if kind == "regressor" else "label"
    options = {"slice_by": ["zone", "distance:3"], "segments": 7, "draws": 50}
    if kind == "classifier":
        options["fairness_by"] = ["flag"]
    seen = {
        _numbers(sl.evaluate(model, sl.scan(folder, target=target), **options, **how))
        for how in (
            {},
            {"chunk_size": 777},
            {"threads": 1},
            {"threads": 4, "chunk_size": 1_500},
            {"memory_budget": "4GB"},
        )
    }
    assert len(seen) == 1


def test_a_classifier_by_groups(folder, frame, classifier):
    data = sl.scan(folder, target="label")
    found = sl.evaluate(classifier, data, fairness_by=["flag"], slice_by=["flag"])
    said = classifier.predict(frame[["flag", "distance"]])
    chances = classifier.predict_proba(frame[["flag", "distance"]])
    assert found.metrics["accuracy"] == accuracy_score(frame["label"], said)
    assert found.metrics["log_loss"] == pytest.approx(log_loss(frame["label"], chances))
    (gaps,) = found.gaps
    flag = frame["flag"].fillna("missing")
    rates = said.astype(bool)
    selected = [rates[flag == name].mean() for name in ("N", "Y", "missing")]
    assert gaps.gaps["demographic_parity_difference"] == pytest.approx(np.ptp(selected))
    assert gaps.gaps["demographic_parity_ratio"] == pytest.approx(min(selected) / max(selected))
    hits = [rates[(flag == name) & (frame["label"] == 1)].mean() for name in ("N", "Y", "missing")]
    assert gaps.gaps["equal_opportunity_difference"] == pytest.approx(np.ptp(hits))
    for name, value in gaps.gaps.items():
        assert value in gaps.intervals[name] or value == pytest.approx(
            gaps.intervals[name].low, 0.1
        )
    assert len(found.slices) == 1
    matrix = np.array(found.confusion.matrix)
    assert matrix.sum() == ROWS
    assert np.trace(matrix) / ROWS == found.metrics["accuracy"]
    assert "Fairness by flag" in repr(found)


def test_intervals_hold_the_value_and_shrink_with_rows(folder, regressor):
    data = sl.scan(folder, target="y")
    found = sl.evaluate(regressor, data, slice_by=["zone"])
    for name, interval in found.intervals.items():
        assert found.metrics[name] in interval
    assert "max_error" not in found.intervals
    wide = sl.evaluate(regressor, data, confidence=0.5).intervals["rmse"]
    assert wide.high - wide.low < found.intervals["rmse"].high - found.intervals["rmse"].low
    largest = max(found.slices[0].slices, key=lambda item: item.rows)
    inner, whole = largest.intervals["rmse"], found.intervals["rmse"]
    assert inner.high - inner.low > whole.high - whole.low


def test_other_models_answer_the_same_rows(folder, frame, regressor):
    other = SGDRegressor(random_state=0).fit(frame[["count", "distance"]].fillna(1), frame["y"])
    data = sl.scan(folder, target="y", derive="coalesce(count, 1) AS count")
    found = sl.evaluate(regressor, data, compare={"sgd": other, "same": regressor})
    sgd, same = found.comparison
    alone = sl.evaluate(other, data)
    assert sgd.metrics == pytest.approx(alone.metrics, rel=1e-12)
    assert sgd.differences["mae"] == pytest.approx(found.metrics["mae"] - alone.metrics["mae"])
    assert sgd.differences["mae"] in sgd.difference_intervals["mae"]
    assert "mae" in sgd.clear
    # Paired: against itself there is no difference in any draw.
    assert set(same.differences.values()) == {0.0}
    assert all(item.low == item.high == 0 for item in same.difference_intervals.values())
    assert not same.clear
    assert "Against sgd" in repr(found)


def test_metrics_by_the_names_asked_for(folder, frame, regressor):
    data = sl.scan(folder, target="y")
    names = ["neg_root_mean_squared_error", "mae", "median_absolute_error"]
    found = sl.evaluate(regressor, data, metrics=names, slice_by="flag", require="rmse <= 99")
    assert list(found.metrics) == [*names, "rmse"]
    assert found.metrics["neg_root_mean_squared_error"] == -found.metrics["rmse"]
    low, high = found.intervals["neg_root_mean_squared_error"], found.intervals["rmse"]
    assert (low.low, low.high) == pytest.approx((-high.high, -high.low))
    assert found.main == names[0]
    assert found.greater_is_better
    worst = [item.metrics["rmse"] for _, item in found.worst()]
    assert worst == sorted(worst, reverse=True)
    error = np.median(np.abs(frame["y"] - regressor.predict(frame[["zone", "distance"]])))
    off = abs(found.metrics["median_absolute_error"] - error)
    assert off <= found.bounds["median_absolute_error"]
    assert all(item.bounds["median_absolute_error"] for item in found.slices[0].slices)
    sure = sl.evaluate(regressor, data, metrics=names, exact=["median_absolute_error"])
    assert sure.metrics["median_absolute_error"] == pytest.approx(error, rel=1e-12)
    assert not sure.bounds


def test_ranks_of_rows_and_of_slices(folder, frame, classifier):
    data = sl.scan(folder, target="label")
    chances = classifier.predict_proba(frame[["flag", "distance"]])[:, 1]
    options = {"metrics": ["roc_auc", "average_precision"], "slice_by": ["flag"]}
    for exact in (False, True):
        found = sl.evaluate(classifier, data, exact=exact, **options)
        truth = roc_auc_score(frame["label"], chances)
        off = 1e-12 if exact else found.bounds["roc_auc"]
        assert abs(found.metrics["roc_auc"] - truth) <= off
        assert found.metrics["roc_auc"] in found.intervals["roc_auc"]
        for item in found.slices[0].slices:
            kept = frame["flag"].fillna("missing") == item.name
            truth = roc_auc_score(frame["label"][kept], chances[kept])
            assert abs(item.metrics["roc_auc"] - truth) <= item.bounds["roc_auc"]
            assert "roc_auc" in item.intervals
    usual = sl.evaluate(classifier, data)
    assert {"ROC", "precision and recall", "gain", "calibration"} <= set(usual.curves)
    asked = sl.evaluate(classifier, data, metrics=["calibration_error"])
    assert "calibration" in asked.curves
    assert "calibration_error" in asked.intervals


def test_more_than_two_classes(folder, frame):
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(frame[["zone", "distance"]], pd.cut(frame["y"], 4, labels=list("abcd")).astype(str))
    derive = f"""CASE WHEN y < {frame["y"].median()} THEN 'a' ELSE 'b' END AS part"""
    data = sl.scan(folder, target="part", derive=derive)
    found = sl.evaluate(model, data, fairness_by=["flag"], positive="b", slice_by=["zone"])
    assert len(found.confusion.classes) == 4
    assert found.gaps[0].positive == "b"
    with pytest.raises(UsageError, match="of 4 classes the positive one has to be named"):
        sl.evaluate(model, data, fairness_by=["flag"])


@pytest.mark.parametrize("sparse_rows", [False, True])
def test_a_clusterer_without_a_target(sparse_rows):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3_000, 3)) + 5 * rng.integers(0, 3, 3_000)[:, None]
    model = KMeans(3, n_init=1, random_state=0).fit(X)
    rows = sparse.csr_matrix(X) if sparse_rows else X
    found = sl.evaluate(model, sl.scan(rows), slice_by=["0:2"])
    assert found.metrics["inertia"] == pytest.approx(model.inertia_)
    expected = calinski_harabasz_score(X, model.labels_)
    assert found.metrics["calinski_harabasz_score"] == pytest.approx(expected)
    assert expected in found.intervals["calinski_harabasz_score"]
    parts = [item.metrics["inertia"] for item in found.slices[0].slices]
    assert sum(parts) == pytest.approx(model.inertia_)
    with pytest.raises(UsageError, match="more than one pass"):
        sl.evaluate(model, sl.scan(rows), metrics=["davies_bouldin_score"])


def test_a_classifier_is_not_compared_with_a_regressor(folder, regressor, classifier):
    with pytest.raises(UsageError, match="cannot be compared: its classes are none"):
        sl.evaluate(classifier, sl.scan(folder, target="label"), compare=regressor)


def test_gates(folder, frame, regressor):
    data = sl.scan(folder, target="y")
    found = sl.evaluate(
        regressor,
        data,
        require=[
            "rmse <= 100",
            "mae <= 0.001",
            "mae <= 100 where zone == 3",
            "mae >= 0 where flag == 'nothing'",
            "r2 >= 0.1 where flag == Y",
        ],
    )
    assert [gate.passed for gate in found.gates] == [True, False, True, False, True]
    assert not found.passed
    kept = frame["zone"] == 3
    said = regressor.predict(frame[["zone", "distance"]][kept])
    assert found.gates[2].value == pytest.approx(mean_absolute_error(frame["y"][kept], said))
    assert found.gates[2].rows == kept.sum()
    assert found.gates[2].interval is not None
    assert found.gates[3].rows == 0
    assert found.slices == ()
    assert "FAILED  mae <= 0.001" in repr(found)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"require": ["nothing <= 1"]}, UsageError, "nothing.*rmse"),
        ({"metrics": ["nothing"]}, UsageError, "nothing.*rmse"),
        ({"require": "rmse == 1"}, UsageError, "cannot be read"),
        ({"require": ["rmse <= 1 where nothing == 1"]}, SchemaError, "no column 'nothing'.*zone"),
        ({"require": ["rmse <= 1 where zone == x"]}, UsageError, "no value of the column 'zone'"),
        ({"slice_by": ["nothing"]}, SchemaError, "no column 'nothing'"),
        ({"slice_by": [3]}, UsageError, "slice_by= takes texts, not 3"),
        ({"fairness_by": ["flag"]}, UsageError, "predicts numbers"),
        ({"confidence": 1.0}, UsageError, "confidence"),
        ({"slices": 0}, UsageError, "slices"),
        ({"random_state": -1}, UsageError, "random_state"),
    ],
)
def test_what_cannot_be_asked(folder, regressor, options, error, says):
    with pytest.raises(error, match=says):
        sl.evaluate(regressor, sl.scan(folder, target="y"), **options)


def test_values_beyond_the_limit_share_a_slice_and_are_told(folder, frame, regressor):
    data = sl.scan(folder, target="y")
    found = sl.evaluate(regressor, data, slice_by=["zone"], slices=3)
    (table,) = found.slices
    assert [item.name for item in table.slices][-1] == "other"
    assert len(table) == 4
    first = frame["zone"].drop_duplicates()[:3]
    rest = (~frame["zone"].isin(first)).sum()
    assert table["other"].rows == rest
    assert f"{rest:,} rows" in found.notes[0]


def test_drift_is_marked(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50_000, 2))
    y = X[:, 0] + rng.normal(size=50_000)
    y[40_000:45_000] += 1.0
    model = Ridge().fit(X, X[:, 0])
    found = sl.evaluate(model, (X, y))
    assert len(found.drift.segments) == 50
    marked = {segment.first for segment in found.drift.marked}
    assert marked == set(range(40_000, 45_000, 1_000))
    assert "drift   rmse of 5 of 50" in repr(found)
    calm = sl.evaluate(model, (X[:40_000], y[:40_000]))
    assert not calm.drift.marked
    assert sl.evaluate(model, (X, y), segments=0).drift is None


def test_matrices_are_sliced_by_position():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=2_000), rng.integers(0, 3, 2_000)])
    model = Ridge().fit(X, X[:, 0])
    dense = sl.evaluate(model, (X, X[:, 0]), slice_by=["1", "0:2"])
    thin = sl.evaluate(model, (sparse.csr_matrix(X), X[:, 0]), slice_by=["1", "0:2"])
    for found in (dense, thin):
        assert [item.name for item in found.slices[0].slices] == ["0", "1", "2"]
        rows = [item.rows for item in found.slices[0].slices]
        assert rows == np.bincount(X[:, 1].astype(int)).tolist()
        assert [item.rows for item in found.slices[1].slices] == [1_000, 1_000]


def test_the_target_and_columns_that_are_no_features_make_slices(folder, frame, classifier):
    data = sl.scan(folder, target="label", features=["flag", "distance"], where="zone < 5")
    found = sl.evaluate(classifier, data, slice_by=["label", "name", "zone"])
    kept = frame[frame["zone"] < 5]
    for table in found.slices:
        counts = kept[table.by].value_counts()
        assert {item.name: item.rows for item in table.slices} == {
            str(name): rows for name, rows in counts.items()
        }
    assert found.rows.scored == len(kept)


def test_rows_set_aside_are_no_slice(tmp_path):
    table = mixed_table(3_000)
    bad = table["y"].to_numpy().copy()
    bad[7] = np.nan
    table = table.set_column(table.schema.get_field_index("y"), "y", pa.array(bad))
    pq.write_table(table, tmp_path / "a.parquet")
    frame = table.to_pandas()
    good = np.isfinite(bad)
    model = Ridge().fit(frame[["distance"]][good], bad[good])
    data = sl.scan(str(tmp_path / "a.parquet"), target="y")
    found = sl.evaluate(model, data, slice_by=["zone", "w:3"], on_error="quarantine")
    assert found.rows.rejected == 1
    assert all(sum(item.rows for item in t.slices) == 2_999 for t in found.slices)


def test_it_travels_as_json(folder, regressor, tmp_path):
    data = sl.scan(folder, target="y")
    found = sl.evaluate(regressor, data, slice_by=["zone"], require=["r2 >= 0"], compare=regressor)
    plain = json.loads(found.to_json(tmp_path / "e.json"))
    assert plain == json.loads((tmp_path / "e.json").read_text())
    assert plain["metrics"]["rmse"] == found.metrics["rmse"]
    assert plain["slices"][0]["slices"][0]["metrics"]["rmse"] > 0
    assert plain["gates"][0]["passed"] is True
    assert plain["about"]["data"]["fingerprint"] == data.source.fingerprint
    assert plain["about"]["versions"]["scikit-learn"]
    assert plain["residuals"]["bins"]
    assert len(plain["comparison"]) == 1


def test_residuals_count_every_row(folder, frame, regressor):
    found = sl.evaluate(regressor, sl.scan(folder, target="y", weight="w")).residuals
    error = frame["y"] - regressor.predict(frame[["zone", "distance"]])
    bars, _ = np.histogram(error, [-np.inf, *found.edges, np.inf], weights=frame["w"])
    assert found.weights == pytest.approx(bars, rel=1e-9)
    assert sum(item.weight for item in found.bins) == pytest.approx(frame["w"].sum())


def test_data_that_the_model_was_fitted_on_is_told(folder):
    data = sl.scan(folder, target="y", features=["distance"])
    result = sl.fit(SGDRegressor(), data)
    assert "fitted on this very data" in repr(sl.evaluate(result, data))


def test_no_rows_have_no_score(folder, regressor):
    data = sl.scan(folder, target="y", where="zone < 0")
    with pytest.raises(DataError, match="no row to score.*filtered"):
        sl.evaluate(regressor, data, slice_by=["zone", "distance:4"], require=["r2 > 0"])


MEMORY = """
import json
import numpy as np, streamlearn as sl
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
rng = np.random.default_rng(0)
X = rng.normal(size=(100, 28)).astype(np.float32)
import pandas as pd
names = data_names
model = make_pipeline(StandardScaler(), Ridge()).fit(pd.DataFrame(X, columns=names), X[:, 0])
data = sl.scan(folder, target="label")
found = sl.evaluate(model, data, memory_budget=budget, slice_by=[names[0] + ":50", names[1] + ":10"],
                    compare=model)
memory = found.memory
print(json.dumps([memory.measured_bytes, memory.projected_bytes, memory.reserved_bytes]))
"""


def _measured(tmp_path, rows, budget):
    from streamlearn.generate.dense import generate_dense

    path = tmp_path / "dense"
    generate_dense(path, rows)
    names = sl.scan(str(path), target="label").features.names
    code = f"folder, budget, data_names = {str(path)!r}, {budget}, {names!r}\n" + MEMORY
    found = measure(code)
    assert found.exit_code == 0, found.errors[-2000:]
    assert found.peak_bytes <= budget
    measured, projected, reserved = found.last
    assert measured <= budget
    assert measured - reserved <= 1.15 * (projected - reserved)


def test_slices_and_comparisons_stay_within(tmp_path):
    _measured(tmp_path, 300_000, 330_000_000)


@pytest.mark.slow
def test_a_hundred_million_rows_stay_within(tmp_path):
    _measured(tmp_path, 100_000_000, 330_000_000)


IDS = """
import json
import numpy as np, pyarrow as pa, streamlearn as sl
from sklearn.linear_model import LogisticRegression
rng = np.random.default_rng(0)
rows = 400_000
table = pa.table({
    "a": rng.normal(size=rows), "y": rng.integers(0, 2, rows), "id": rng.integers(0, 10**9, rows),
    "zone": rng.integers(0, 2_000, rows),
})
X = np.column_stack([table["a"].to_numpy()])
model = LogisticRegression().fit(X[:1000], table["y"].to_numpy()[:1000])
data = sl.scan(table, target="y", features=["a"])
del X
found = sl.evaluate(model, data, memory_budget="+300MB", slice_by=["id", "zone"], fairness_by=["zone"])
memory = found.memory
assert len(found.slices[0]) == len(found.slices[1]) == 1001
print(json.dumps([memory.measured_bytes, memory.projected_bytes, memory.reserved_bytes,
                  memory.limit_bytes]))
"""


def test_ids_make_no_more_slices_than_memory():
    found = measure(IDS)
    assert found.exit_code == 0, found.errors[-2000:]
    measured, projected, reserved, limit = found.last
    assert measured <= limit
    assert measured - reserved <= 1.15 * (projected - reserved)
