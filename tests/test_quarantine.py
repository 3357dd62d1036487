"""Rows that cannot be used: refused by default, or set aside, counted and listed."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import streamlearn as sl
from streamlearn.errors import DataError, SourceError, UsageError
from streamlearn.testing.compare import assert_same_fit

ROWS, GROUP = 4_000, 500
rng = np.random.default_rng(0)


def pipeline():
    return make_pipeline(StandardScaler(), SGDRegressor(random_state=0))


def clean_table():
    X = rng.normal(size=(ROWS, 2))
    return pa.table({"a": X[:, 0], "b": X[:, 1], "y": X @ [1.0, 2.0], "w": np.ones(ROWS)})


def put(table, name, at, value):
    values = table[name].to_pylist()
    values[at] = value
    index = table.schema.get_field_index(name)
    return table.set_column(index, name, pa.array(values, table.schema.field(name).type))


@pytest.fixture
def dirty(tmp_path):
    """A table with four unusable rows, written to parquet; and the rest of it."""
    table = clean_table()
    table = put(table, "y", 10, None)
    table = put(table, "y", 700, float("inf"))
    table = put(table, "a", 1_200, float("-inf"))
    table = put(table, "w", 3_999, -1.0)
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=GROUP)
    bad = [10, 700, 1_200, 3_999]
    return tmp_path / "a.parquet", table.take(np.setdiff1d(np.arange(ROWS), bad)), bad


def test_the_first_is_named_by_default(dirty):
    path, _, _ = dirty
    with pytest.raises(DataError, match=r"row 10 of .*a\.parquet.*'y' is missing"):
        sl.fit(pipeline(), sl.scan(path, target="y", weight="w"))


@pytest.mark.parametrize(
    "options",
    [{}, {"chunk_size": 7}, {"threads": 4}, {"validation": 0.2, "epochs": 2}, {"shuffle": True}],
    ids=str,
)
def test_rows_set_aside_are_as_if_they_were_not_there(dirty, options):
    path, rest, bad = dirty
    found = sl.fit(
        pipeline(), sl.scan(path, target="y", weight="w"), on_error="quarantine", **options
    )
    assert (found.rows.read, found.rows.rejected, found.rows.filtered) == (ROWS, 4, 0)
    assert [item.row for item in found.quarantine.first] == bad
    assert "4 rows cannot be used" in " ".join(found.warnings)
    if not options.get("validation") and not options.get("shuffle"):
        expected = sl.fit(pipeline(), sl.scan(rest, target="y", weight="w"), **options)
        # Blocks of statistics are cut elsewhere: the same but for rounding.
        assert_same_fit(found.estimator, expected.estimator, rtol=1e-9)


def test_no_option_changes_a_bit(dirty):
    path, _, _ = dirty
    data = sl.scan(path, target="y", weight="w")
    first = sl.fit(pipeline(), data, on_error="quarantine").estimator
    for options in ({"chunk_size": 33}, {"threads": 1}, {"threads": 4}, {"memory_budget": "2GB"}):
        other = sl.fit(pipeline(), data, on_error="quarantine", **options).estimator
        assert_same_fit(other, first, rtol=0.0)


def test_a_row_group_that_cannot_be_read_is_skipped_whole(tmp_path):
    table = clean_table()
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, row_group_size=GROUP, compression="zstd", use_dictionary=False)
    column = pq.read_metadata(path).row_group(2).column(0)
    data = bytearray(path.read_bytes())
    start = column.data_page_offset
    data[start + 40 : start + 400] = b"\xff" * 360
    path.write_bytes(bytes(data))
    scanned = sl.scan(path, target="y", features=["a", "b"])
    with pytest.raises(SourceError, match=r"row group 2"):
        sl.fit(pipeline(), scanned)
    found = sl.fit(pipeline(), scanned, on_error="quarantine", run=tmp_path / "run")
    assert (found.rows.read, found.rows.rejected, found.rows.learned) == (ROWS, GROUP, ROWS - GROUP)
    lines = (tmp_path / "run" / "quarantine.jsonl").read_text().splitlines()
    record = json.loads(lines[0])
    assert (len(lines), record["part"], record["row"], record["rows"]) == (1, 2, 1_000, GROUP)
    assert str(path) in record["reason"]
    loaded = sl.load(tmp_path / "run")
    assert loaded.rows.rejected == GROUP
    assert loaded.manifest["rejected"]["rows"] == GROUP


def test_evaluation_leaves_them_out_too(dirty):
    path, rest, _ = dirty
    fitted = sl.fit(pipeline(), sl.scan(rest, target="y", features=["a", "b"]))
    data = sl.scan(path, target="y", weight="w", features=["a", "b"])
    with pytest.raises(DataError):
        sl.evaluate(fitted, data)
    found = sl.evaluate(fitted, data, on_error="quarantine")
    assert (found.rows.read, found.rows.scored, found.rows.rejected) == (ROWS, ROWS - 4, 4)
    expected = sl.evaluate(fitted, sl.scan(rest, target="y", weight="w", features=["a", "b"]))
    assert found.metrics["r2"] == pytest.approx(expected.metrics["r2"], rel=1e-12)
    assert json.loads(found.to_json())["rejected"]["rows"] == 4


def test_a_matrix_has_its_rows_set_aside(tmp_path):
    X = rng.normal(size=(2_000, 3))
    y = X @ [1.0, 2.0, 3.0]
    X[5, 1], y[1_500] = np.inf, np.nan
    found = sl.fit(pipeline(), (X, y), on_error="quarantine")
    assert [item.row for item in found.quarantine.first] == [5, 1_500]
    assert found.rows.learned == 1_998
    good = np.setdiff1d(np.arange(2_000), [5, 1_500])
    expected = sl.fit(pipeline(), (X[good], y[good]))
    assert_same_fit(found.estimator, expected.estimator, rtol=1e-12)


def test_where_comes_first(dirty):
    path, _, _ = dirty
    data = sl.scan(path, target="y", weight="w", where="y IS NOT NULL AND isfinite(y)")
    found = sl.fit(pipeline(), data, on_error="quarantine")
    assert (found.rows.filtered, found.rows.rejected) == (2, 2)


def test_a_source_of_which_nothing_is_left_says_so():
    X = np.full((100, 2), np.inf)
    with pytest.raises(
        DataError, match="no row to learn from: read 100, learned 0, .*rejected 100"
    ):
        sl.fit(pipeline(), (X, np.zeros(100)), on_error="quarantine")


def test_other_ways_are_refused():
    with pytest.raises(UsageError, match="on_error must be"):
        sl.fit(pipeline(), (np.zeros((3, 1)), np.zeros(3)), on_error="ignore")


class TestDropMissing:
    def make(self):
        table = clean_table()
        for name, at, value in (("a", 3, None), ("a", 4, float("nan")), ("y", 900, None)):
            table = put(table, name, at, value)
        return table, table.take(np.setdiff1d(np.arange(ROWS), [3, 4, 900]))

    @pytest.mark.parametrize("options", [{}, {"chunk_size": 7}, {"threads": 4}], ids=str)
    def test_rows_with_a_gap_are_left_out_and_counted(self, tmp_path, options):
        table, rest = self.make()
        pq.write_table(table, tmp_path / "a.parquet", row_group_size=GROUP)
        data = sl.scan(tmp_path / "a.parquet", target="y", weight="w", drop_missing=True)
        found = sl.fit(pipeline(), data, **options)
        assert (found.rows.read, found.rows.missing, found.rows.learned) == (ROWS, 3, ROWS - 3)
        expected = sl.fit(pipeline(), sl.scan(rest, target="y", weight="w"))
        assert_same_fit(found.estimator, expected.estimator, rtol=1e-9)

    def test_every_pass_leaves_out_the_same_whatever_columns_it_reads(self):
        table, rest = self.make()
        data = sl.scan(table, target="y", features=["b", "a"], drop_missing=True)
        # The scaler reads "b" alone; the gaps are in "a" and "y".
        from sklearn.compose import ColumnTransformer

        steps = make_pipeline(ColumnTransformer([("b", StandardScaler(), ["b"])]))
        found = sl.fit(steps, data).estimator
        expected = sl.fit(steps, sl.scan(rest, target="y", features=["b", "a"])).estimator
        assert_same_fit(found, expected, rtol=1e-9)

    def test_rows_of_a_matrix(self):
        X = rng.normal(size=(500, 3))
        y = X.sum(axis=1)
        X[7, 2] = np.nan
        y[100] = np.nan
        found = sl.fit(pipeline(), sl.scan((X, y), drop_missing=True))
        assert (found.rows.missing, found.rows.learned) == (2, 498)

    def test_the_condition_counts_first(self):
        table, _ = self.make()
        data = sl.scan(table, target="y", where="y > 0", drop_missing=True)
        rows = sl.fit(pipeline(), data).rows
        expected = sl.fit(
            pipeline(), sl.scan(table, target="y", where="y > 0 AND NOT isnan(a)")
        ).rows
        assert rows.learned == expected.learned
        assert rows.read == rows.learned + rows.filtered + rows.missing
