"""Roles, computed columns and conditions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import streamlearn as sl
from streamlearn.errors import DataError, SchemaError, UsageError

SQL = {
    "derive": ["distance * 2 AS double", "double + 1 AS more"],
    "where": "more > 5 AND flag = 'N'",
}
ARROW = {
    "derive": {"double": pc.field("distance") * 2, "more": pc.field("double") + 1},
    "where": (pc.field("more") > 5) & (pc.field("flag") == "N"),
}


@pytest.mark.parametrize("language", [SQL, ARROW], ids=["sql", "arrow"])
@pytest.mark.parametrize("size", [1, 97, 10_000])
def test_both_languages_compute_and_filter_alike(mixed, language, size):
    folder, table = mixed
    data = sl.scan(folder, target="y", features=["zone", "more"], **language)
    chunks = [c for f in data.fragments for c in data.read(f, data.features.names, size)]
    distance = table["distance"].to_numpy()
    keep = (distance * 2 + 1 > 5) & (table["flag"].to_pandas() == "N").to_numpy()
    assert np.array_equal(np.concatenate([c.rows for c in chunks]), np.flatnonzero(keep))
    more = np.concatenate([c.X.column("more").to_numpy() for c in chunks])
    assert np.array_equal(more, (distance * 2 + 1)[keep])
    assert np.array_equal(np.concatenate([c.y for c in chunks]), table["y"].to_numpy()[keep])


def test_a_computed_column_may_replace_a_stored_one_and_be_the_target(mixed):
    folder, table = mixed
    data = sl.scan(folder, target="y", derive="y * 60 AS y", features=["zone"])
    chunk = next(iter(data.read(data.fragments[0], ["zone"], 10)))
    assert np.allclose(chunk.y, table["y"].to_numpy()[:10] * 60)


def test_only_what_the_expressions_need_is_read(mixed):
    folder, _ = mixed
    data = sl.scan(folder, target="y", features=["zone"], where="w > 1")
    assert data.stored_columns(["zone"]) == ["zone", "y", "w"]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"derive": "distance * 2"}, "AS name"),
        ({"derive": "distanse * 2 AS x"}, "distanse"),
        ({"where": "distance >"}, "not SQL"),
        ({"where": "1 = 1; DROP TABLE chunk"}, "SQL"),
        ({"derive": {"x": pc.field("nope")}}, "nope"),
        ({"derive": {"x": pc.field("w")}, "where": "w > 1"}, "both"),
        ({"features": "zone"}, "list"),
        ({"features": ["zone", "y"]}, "is the target"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(mixed, options, match):
    folder, _ = mixed
    with pytest.raises(UsageError, match=match):
        sl.scan(folder, target="y", **options)


def test_an_unknown_column_lists_those_there_are(mixed):
    folder, _ = mixed
    for options in ({"target": "nope"}, {"features": ["nope"]}, {"weight": "nope"}):
        with pytest.raises(SchemaError, match=r"nope.*zone, distance"):
            sl.scan(folder, **options)


@pytest.mark.parametrize(
    ("values", "shown"), [([1.0, None, 2.0], "null"), ([1.0, 2.0, float("inf")], "inf")]
)
def test_a_bad_target_names_its_row(tmp_path, values, shown):
    pq.write_table(pa.table({"x": [1, 2, 3], "y": values}), tmp_path / "a.parquet")
    data = sl.scan(tmp_path, target="y")
    with pytest.raises(DataError, match=rf"row [12] of .*a.parquet.*'y'.*{shown}"):
        list(data.read(data.fragments[0], ["x"], 10))


def test_a_bad_weight_names_its_row(tmp_path):
    table = pa.table({"x": [1, 2], "y": [1.0, 2.0], "w": [1.0, -1.0]})
    pq.write_table(table, tmp_path / "a.parquet")
    data = sl.scan(tmp_path, target="y", weight="w")
    with pytest.raises(DataError, match="row 1 of .*weight"):
        list(data.read(data.fragments[0], ["x"], 10))


def test_a_date_is_no_target(tmp_path):
    table = pa.table({"x": [1], "y": pa.array([0], pa.timestamp("us"))})
    pq.write_table(table, tmp_path / "a.parquet")
    data = sl.scan(tmp_path, target="y")
    with pytest.raises(SchemaError, match="timestamp"):
        list(data.read(data.fragments[0], ["x"], 10))


def test_scan_reads_no_row(mixed, monkeypatch):
    folder, _ = mixed

    def refuse(*args, **kwargs):
        raise AssertionError("a row was read")

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", refuse)
    data = sl.scan(folder, target="y", **SQL)
    assert "5,000 rows" in repr(data)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"derive": "distance - avg(distance) OVER () AS q"}, "window"),
        ({"derive": "row_number() OVER () AS q"}, "window"),
        ({"derive": "random() AS q"}, "random"),
        ({"where": "random() < 0.5"}, "random"),
        ({"where": "count(*) > 3"}, "count"),
        ({"derive": "unnest([1.0, 2.0]) AS q"}, "unnest"),
        ({"where": "distance > (SELECT 1)"}, "subquery"),
        ({"derive": "now() AS q"}, "now"),
    ],
)
def test_sql_that_is_no_function_of_the_row_alone_is_refused(mixed, options, named):
    folder, _ = mixed
    with pytest.raises(UsageError, match=named):
        sl.scan(folder, target="y", **options)


def test_a_weight_of_text_is_refused(mixed):
    folder, _ = mixed
    with pytest.raises(SchemaError, match="a weight is a number"):
        sl.scan(folder, target="y", weight="flag")
