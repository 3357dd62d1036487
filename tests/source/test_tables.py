"""Tables in memory and Arrow files: the rows they hold, as columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from made import mixed_table
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import streamlearn as sl
from streamlearn.errors import SchemaError, SourceError, UsageError
from streamlearn.source.library import tables
from streamlearn.testing import check_every_row_once

TABLE = mixed_table(5_000)


@pytest.fixture(autouse=True)
def short_fragments(monkeypatch):
    monkeypatch.setattr(tables, "_FRAGMENT_ROWS", 1_300)


def write_arrow(path, table, rows=900):
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)
    return path


FORMS = {
    "arrow": lambda folder: TABLE,
    "arrow in pieces": lambda folder: pa.concat_tables([TABLE[:700], TABLE[700:]]),
    "batch": lambda folder: TABLE.combine_chunks().to_batches()[0],
    "pandas": lambda folder: TABLE.to_pandas(),
    "pandas with an index": lambda folder: TABLE.to_pandas().set_index(np.arange(5_000) * 3),
    "polars": lambda folder: pl.from_arrow(TABLE),
    "file": lambda folder: write_arrow(folder / "a.arrow", TABLE),
    "files": lambda folder: [
        write_arrow(folder / "a.arrow", TABLE[:2_000]),
        write_arrow(folder / "b.feather", TABLE[2_000:]),
    ],
}


def pipeline():
    return make_pipeline(
        ColumnTransformer(
            [("numbers", StandardScaler(), ["distance"]), ("zone", OneHotEncoder(), ["zone"])]
        ),
        SGDRegressor(random_state=0),
    )


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_gives_the_same_rows_and_the_same_model(form, tmp_path):
    data = sl.scan(form(tmp_path), target="y", weight="w")
    assert data.rows == 5_000
    assert data.features.names == ["zone", "distance", "count", "flag", "label", "name"]
    check_every_row_once(data)
    found = sl.fit(pipeline(), sl.scan(form(tmp_path), target="y", features=["zone", "distance"]))
    expected = sl.fit(pipeline(), sl.scan(TABLE, target="y", features=["zone", "distance"]))
    # Fragments are those of the form: where blocks of statistics end, and so their last bits.
    np.testing.assert_allclose(found.estimator[-1].coef_, expected.estimator[-1].coef_, rtol=1e-9)


def test_a_pair_of_a_table_and_a_target():
    frame = TABLE.to_pandas()
    y = frame.pop("y")
    for pair in ((frame, y), (frame, y.to_numpy()), (pa.Table.from_pandas(frame), y)):
        data = sl.scan(pair, features=["zone", "distance"])
        assert data.has_target
        check_every_row_once(data)
        chunk = next(data.read(data.fragments[1], ["zone"], 10))
        np.testing.assert_array_equal(chunk.y, y[1_300:1_310])
    data = sl.scan(frame, target=y)
    assert "y" not in data.features.names
    with pytest.raises(SchemaError, match=r"shape \(5000,\)"):
        sl.scan((frame, y[:-1]))
    with pytest.raises(UsageError, match="twice"):
        sl.scan((frame, y), target="name")


def test_categories_of_pandas_are_their_values():
    frame = pd.DataFrame({"c": pd.Categorical(["b", "a", None, "b"]), "y": [1.0, 2, 3, 4]})
    data = sl.scan(frame, target="y")
    chunk = next(data.read(data.fragments[0], ["c"], 10))
    assert chunk.X["c"].to_pylist() == ["b", "a", None, "b"]


def test_what_is_no_table_is_named(tmp_path):
    with pytest.raises(SchemaError, match="not of one type"):
        sl.scan(pd.DataFrame({"x": [1, "a", None, 2.5]}))
    with pytest.raises(SchemaError, match="'x' stands more than once"):
        sl.scan(pd.DataFrame([[1, 2]], columns=["x", "x"]))
    bad = tmp_path / "bad.arrow"
    bad.write_bytes(b"not an arrow file")
    with pytest.raises(SourceError, match=r"bad\.arrow"):
        sl.scan(bad)
    write_arrow(tmp_path / "a.arrow", TABLE[:10])
    write_arrow(tmp_path / "b.arrow", TABLE.select(["y"])[:10])
    with pytest.raises(SchemaError, match=r"a\.arrow.*b\.arrow"):
        sl.scan([tmp_path / "a.arrow", tmp_path / "b.arrow"])
    with pytest.raises(UsageError, match="cannot read dict"):
        sl.scan({"x": [1]})


def test_an_arrow_file_that_was_cut_is_named(tmp_path):
    path = write_arrow(tmp_path / "a.arrow", TABLE)
    data = sl.scan(path, target="y")
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(SourceError, match=r"a\.arrow: the file has changed"):
        list(data.read(data.fragments[-1], ["zone"], 100))
