"""`streamlearn.profile`, and the training profile that a fit leaves in its manifest."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import streamlearn as sl
from streamlearn.errors import MemoryBudgetError, SchemaError
from streamlearn.testing import check_budget_is_kept

NUMBERS = ["zone", "distance", "w"]


def test_a_profile_is_that_of_pandas(mixed):
    folder, table = mixed
    found = sl.profile(sl.scan(folder, target="y"))
    frame = table.to_pandas()
    assert found.rows == len(frame)
    assert found.target == "y"
    assert [column.name for column in found.columns] == table.column_names
    for name in frame.select_dtypes("number"):
        wanted = frame[name].describe()
        assert found[name].mean == pytest.approx(wanted["mean"], rel=1e-12)
        assert found[name].std == pytest.approx(wanted["std"], rel=1e-12)
        assert (found[name].minimum, found[name].maximum) == (wanted["min"], wanted["max"])
        assert found[name].nulls + found[name].nans == frame[name].isna().sum()
    assert found["flag"].top[0][0] == "N"
    assert found.memory.within
    assert found.findings == ()


@pytest.mark.parametrize("budget", ["2GB", "4GB"])
def test_chunk_size_budget_and_threads_change_no_bit(mixed, budget):
    folder, _ = mixed
    data = sl.scan(folder, target="label")
    first = sl.profile(data, threads=1, chunk_size=97, memory_budget="3GB").to_dict()
    for threads, chunk in ((1, None), (2, 1_000), (2, 513)):
        other = sl.profile(data, threads=threads, chunk_size=chunk, memory_budget=budget)
        assert other.to_dict() == first


def test_it_is_refused_before_a_row_is_read_where_it_does_not_fit(mixed):
    with pytest.raises(MemoryBudgetError, match="pass 'profile' needs"):
        sl.profile(mixed[0], memory_budget="+1MB")


def test_rows_that_are_filtered_do_not_count(mixed):
    folder, table = mixed
    found = sl.profile(sl.scan(folder, where="zone < 10"))
    zone = table["zone"].to_numpy()
    assert found.rows == (zone < 10).sum()
    assert found["zone"].maximum == 9


def test_a_target_with_gaps_is_told_and_not_refused():
    table = pa.table({"x": np.arange(100.0) ** 2, "y": pa.array([1.5, None] * 50)})
    found = sl.profile(sl.scan(table, target="y"))
    assert found["y"].nulls == 50
    assert "where=" in found.findings[0].text


def test_arrays_dictionaries_nested_columns_and_no_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 3))
    found = sl.profile((X, X[:, 1] * 2))
    assert [column.name for column in found.columns] == ["0", "1", "2", "target"]
    assert [item.column for item in found.findings] == ["1"]
    table = pa.table(
        {
            "kind": pa.array(["a", "b", "a"] * 5).dictionary_encode(),
            "list": [[1, 2]] * 15,
        }
    )
    found = sl.profile(table)
    assert found["kind"].top[0] == ("a", pytest.approx(2 / 3))
    assert "'list' is nested" in found.findings[-1].text
    with pytest.raises(SchemaError, match="no column to profile"):
        sl.profile(table.select(["list"]))
    assert sl.profile(table.select(["kind"]).slice(0, 0)).rows == 0


def test_a_fit_leaves_the_profile_of_its_training_rows(mixed, tmp_path):
    folder, table = mixed
    data = sl.scan(folder, target="label", features=NUMBERS)
    estimator = make_pipeline(StandardScaler(), SGDClassifier())
    result = sl.fit(estimator, data, validation=0.2, run=tmp_path / "run")
    plain = json.loads((tmp_path / "run" / "manifest.json").read_text())["profile"]
    assert plain == result.manifest["profile"]
    json.dumps(plain, allow_nan=False)
    found = sl.Profile.from_dict(plain)
    assert found.rows == result.rows.learned < table.num_rows
    assert [column.name for column in found.columns] == [*NUMBERS, "label"]
    assert not found.full
    assert found["distance"].maximum <= table["distance"].to_numpy().max()
    assert sl.load(tmp_path / "run").manifest["profile"] == plain
    page = (tmp_path / "run" / "report.html").read_text()
    assert '<section id="data">' in page
    assert "No findings" in page


def test_the_profile_of_a_fit_does_not_depend_on_how_it_was_read(mixed):
    data = sl.scan(mixed[0], target="y", features=NUMBERS)
    estimator = make_pipeline(StandardScaler(), SGDRegressor())
    options = ({"threads": 1, "chunk_size": 97}, {"threads": 2}, {"memory_budget": "3GB"})
    found = [sl.fit(estimator, data, **given).manifest["profile"] for given in options]
    assert found[0] == found[1] == found[2]


def test_what_profiling_holds_is_in_the_plan(mixed):
    data = sl.scan(mixed[0], target="y", features=NUMBERS)
    plan = sl.explain(make_pipeline(StandardScaler(), SGDRegressor()), data)
    terms = dict(plan.memory.passes)["statistics"]
    (held,) = [term.size_bytes for term in terms if term.what == "profile of the columns"]
    assert 0 < held < 10_000_000


def test_a_leak_is_a_warning_of_the_fit_and_nothing_else_is():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3_000, 2))
    table = pa.table(
        {
            "x": x[:, 0],
            "one": np.ones(3_000),
            "row_id": np.arange(3_000),
            "twin": x[:, 1],
            "y": x[:, 1],
        }
    )
    result = sl.fit(make_pipeline(StandardScaler(), SGDRegressor()), sl.scan(table, target="y"))
    assert len(result.warnings) == 1
    assert "'twin' equals the target 'y'" in result.warnings[0]
    kinds = {item["kind"] for item in result.manifest["profile"]["findings"]}
    assert kinds == {"leakage", "constant", "id"}


@pytest.mark.parametrize("target", ["label", "name"])
def test_where_only_the_target_is_read_it_alone_is_profiled(mixed, target):
    data = sl.scan(mixed[0], target=target, features=NUMBERS)
    found = sl.Profile.from_dict(sl.fit(SGDClassifier(), data).manifest["profile"])
    assert [column.name for column in found.columns] == [target]
    assert found[target].distinct == 2


def test_a_fit_without_a_statistics_pass_has_no_profile():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    result = sl.fit(SGDRegressor(), (X, X[:, 0]))
    assert "profile" not in result.manifest
    assert result.warnings == ()


def test_the_budget_is_kept(tmp_path):
    rng = np.random.default_rng(0)
    rows = 300_000
    columns = {f"f{i}": rng.normal(size=rows).astype(np.float32) for i in range(12)}
    table = pa.table({**columns, "text": rng.integers(0, 10**9, rows).astype(str)})
    pq.write_table(table, tmp_path / "wide.parquet", row_group_size=50_000)
    check_budget_is_kept(
        f"import streamlearn as sl; result = sl.profile({str(tmp_path / 'wide.parquet')!r}, "
        "memory_budget='400MB')",
        400_000_000,
    )
