"""dask dataframes and arrays as sources, and datasets as dask dataframes."""

from __future__ import annotations

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from made import mixed_table
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import streamlearn as sl
from streamlearn.errors import DataError, SchemaError, SourceError, UsageError
from streamlearn.source.library import tables
from streamlearn.testing import check_every_row_once

TABLE = mixed_table(4_000)
FRAME = TABLE.to_pandas()


@pytest.fixture(autouse=True)
def fragments_as_partitions(monkeypatch):
    monkeypatch.setattr(tables, "_FRAGMENT_ROWS", 1_000)


@pytest.fixture
def parquet(tmp_path):
    dd.from_pandas(FRAME, npartitions=4).to_parquet(tmp_path / "p", write_index=False)
    return dd.read_parquet(tmp_path / "p")


def plain(npartitions=4):
    return dd.from_pandas(FRAME, npartitions=npartitions)


def with_objects():
    with dask.config.set({"dataframe.convert-string": False}):
        return dd.from_pandas(FRAME.astype({"flag": object, "name": object}), npartitions=4)


FORMS = {
    "plain": plain,
    "objects": with_objects,
    "computed": lambda: plain().assign(distance=lambda frame: frame["distance"] * 1.0),
    "categories": lambda: plain().astype({"flag": "category", "name": "category"}),
    "known categories": lambda: plain().astype({"name": "category"}).categorize(),
    "an empty partition": lambda: dd.concat([plain().partitions[0].loc[-5:-1], plain()]),
}


def pipeline():
    return make_pipeline(
        ColumnTransformer(
            [
                ("numbers", StandardScaler(), ["distance"]),
                ("zone", OneHotEncoder(), ["zone", "flag"]),
            ]
        ),
        SGDRegressor(random_state=0),
    )


def fitted(data, **options):
    scanned = sl.scan(data, target="y", features=["zone", "distance", "flag"])
    return sl.fit(pipeline(), scanned, batch_size=512, **options).estimator


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_frame_gives_the_rows_and_to_the_bit_the_model_of_the_table(form):
    given = form()
    data = sl.scan(given, target="y", weight="w")
    assert [part.rows for part in data.fragments] == [1_000] * 4
    check_every_row_once(data, (101, 1_000_000))
    names = data.schema.names
    read = [c.X for f in data.fragments for c in data.source.read(f, names, 300)]
    found = pa.Table.from_batches(read).to_pandas()
    pd.testing.assert_frame_equal(found, FRAME, check_dtype=False)
    expected = fitted(FRAME)
    for chunk_size, threads in ((300, 1), (4_000, 2)):
        model = fitted(given, chunk_size=chunk_size, threads=threads)
        np.testing.assert_array_equal(model[-1].coef_, expected[-1].coef_)
        np.testing.assert_array_equal(model.predict(FRAME), expected.predict(FRAME))
    assert sl.scan(form(), target="y").source.fingerprint == data.source.fingerprint


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # dask's own, with pandas 3.1
def test_a_frame_of_parquet_files_reads_the_wanted_columns(parquet):
    data = sl.scan(parquet, target="y")
    check_every_row_once(data, (700,))
    (chunk,) = data.read(data.fragments[2], ["zone"], 10_000)
    np.testing.assert_array_equal(chunk.y, FRAME["y"][2_000:3_000])
    few, all_of_them = data.cost(["zone"]), data.cost(data.features.names)
    assert few.fixed_bytes < all_of_them.fixed_bytes
    np.testing.assert_array_equal(fitted(parquet)[-1].coef_, fitted(FRAME)[-1].coef_)


def test_conditions_and_labels_work_as_with_tables():
    where = pc.field("distance") > 2
    model = SGDClassifier(random_state=0)
    found, expected = (
        sl.fit(model, sl.scan(given, target="name", features=["distance"], where=where)).estimator
        for given in (plain(), FRAME)
    )
    np.testing.assert_array_equal(found.coef_, expected.coef_)
    assert list(found.classes_) == ["high", "low"]


def lazily(parts, meta):
    return dd.from_map(lambda part: parts[part], range(len(parts)), meta=meta)


def test_a_partition_of_other_types_is_named():
    good, other = pd.DataFrame({"x": [1, 2]}), pd.DataFrame({"x": [0.5, 2]})
    data = sl.scan(lazily([good, good.astype("int32"), other], good))
    check_every_row_once(sl.scan(lazily([good, good.astype("int32")], good)))
    with pytest.raises(SchemaError, match=r"partition 2 .*'x' is float64.*not int64"):
        [list(data.read(part, ["x"], 10)) for part in data.fragments]
    texts = pd.DataFrame({"x": ["a", None]}, dtype=object)
    numbers = pd.DataFrame({"x": [1, 2]}, dtype=object)
    none = pd.DataFrame({"x": [None, None]}, dtype=object)
    with dask.config.set({"dataframe.convert-string": False}):
        with pytest.raises(SchemaError, match=r"is string in partition 1 and int64 in partition 2"):
            sl.scan(lazily([none, texts, numbers], texts))
        mixed = pd.DataFrame({"x": ["a", 1]}, dtype=object)
        with pytest.raises(SchemaError, match="partition 0 .*'x' is object"):
            sl.scan(lazily([mixed], texts))
        found = sl.scan(lazily([none, texts, none], texts))
        assert found.schema["x"].type == pa.string()
        check_every_row_once(found)


def test_a_partition_that_fails_or_changes_is_named():
    def fail(part):
        if part == 1:
            raise ZeroDivisionError("no such luck")
        return FRAME

    frame = dd.from_map(fail, [0, 1], meta=FRAME)
    with pytest.raises(SourceError, match="partition 1 .*ZeroDivisionError: no such luck"):
        sl.scan(frame)
    lengths = iter([3, 2])
    changing = dd.from_map(lambda part: FRAME.head(next(lengths)), [0], meta=FRAME)
    data = sl.scan(changing, target="y")
    with pytest.raises(SourceError, match="partition 0 .*has 2 rows, and had 3"):
        list(data.read(data.fragments[0], ["zone"], 10))


def test_no_rows_one_row_one_column():
    assert sl.scan(dd.from_pandas(FRAME.head(0), npartitions=1), target="y").rows == 0
    check_every_row_once(sl.scan(dd.from_pandas(FRAME.head(1), npartitions=1)))
    check_every_row_once(sl.scan(plain()[["name"]]))
    data = sl.scan(plain(), target="y")
    assert sum(len(c) for f in data.fragments for c in data.source.read(f, [], 300)) == 4_000
    numbered = dd.from_pandas(pd.DataFrame({0: [1.0, 2], 1: ["ä", "日"]}), npartitions=1)
    found = sl.scan(numbered, target="0")
    assert next(found.read(found.fragments[0], ["1"], 9)).X["1"].to_pylist() == ["ä", "日"]
    with pytest.raises(UsageError, match="target="):
        sl.scan((plain(), FRAME["y"]))


X = np.random.default_rng(0).normal(size=(4_000, 6))
Y = (X[:, 0] > 0).astype(int)
ARRAYS = {
    "blocks": lambda: (da.from_array(X, (1_000, 6)), da.from_array(Y, 1_000)),
    "blocks beside each other": lambda: (da.from_array(X, (1_000, 4)), da.from_array(Y, 700)),
    "numpy target": lambda: (da.from_array(X, (1_000, 6)), Y),
    "column target": lambda: (da.from_array(X, (1_000, 6)), da.from_array(Y[:, None], (700, 1))),
    "of a frame": lambda: of_frame(4),
    "empty blocks": lambda: (da.from_array(X, ((0, 1_000, 0, 3_000), 6)), Y),
}


def of_frame(npartitions):
    frame = dd.from_pandas(pd.DataFrame(X).assign(y=Y), npartitions=npartitions)
    return frame[list(range(6))].to_dask_array(), frame["y"]


@pytest.mark.parametrize("make", ARRAYS.values(), ids=ARRAYS)
def test_an_array_gives_the_rows_and_the_model_of_the_numpy_array(make):
    given, y = make()
    before = given.chunks
    for data in (sl.scan((given, y)), sl.scan(given, target=y, weight=Y + 1.0)):
        check_every_row_once(data, (101, 1_000_000))
        assert data.rows == 4_000
    assert str(given.chunks) == str(before)
    chunks = [c for f in data.fragments for c in data.read(f, data.features.names, 300)]
    np.testing.assert_array_equal(np.concatenate([c.X for c in chunks]), X)
    np.testing.assert_array_equal(np.concatenate([c.y for c in chunks]), Y)
    np.testing.assert_array_equal(np.concatenate([c.weight for c in chunks]), Y + 1.0)
    model = SGDClassifier(random_state=0)
    expected = sl.fit(model, (X, Y), batch_size=512).estimator
    for threads in (1, 2):
        found = sl.fit(model, make(), batch_size=512, chunk_size=300, threads=threads).estimator
        np.testing.assert_array_equal(found.coef_, expected.coef_)


@pytest.mark.parametrize(
    ("given", "y", "error", "match"),
    [
        (da.zeros(5), None, SchemaError, "reshape"),
        (da.zeros((5, 2)), da.zeros(4), SchemaError, r"shape \(5,\), one value a row, not \(4,\)"),
        (da.zeros((5, 2)), np.zeros(4), SchemaError, r"shape \(5,\)"),
        (da.zeros((5, 2)).astype(str), None, SchemaError, "numbers"),
        (da.zeros((5, 2)), "y", UsageError, "no named columns"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(given, y, error, match):
    with pytest.raises(error, match=match):
        sl.scan(given, target=y)


def test_a_block_that_fails_is_named():
    def fail(block):
        if len(block):
            raise ZeroDivisionError("no such luck")
        return block

    data = sl.scan(da.zeros((5, 2)).map_blocks(fail, dtype=float, meta=np.zeros((0, 2))))
    with pytest.raises(SourceError, match="block 0 .*no such luck"):
        list(data.read(data.fragments[0], ["0", "1"], 3))
    data = sl.scan(da.zeros((0, 2)))
    assert data.rows == 0


@pytest.fixture
def texts_as_pandas_has_them():
    with dask.config.set({"dataframe.convert-string": False}):
        yield


@pytest.mark.usefixtures("texts_as_pandas_has_them")
def test_a_dataset_becomes_a_dask_frame_of_the_same_rows(mixed):
    folder, table = mixed
    data = sl.scan(folder, target="y", weight="w")
    found = data.to_dask()
    assert found.npartitions == len(data.fragments)
    names = [*data.features.names, "y", "w"]
    expected = table.to_pandas()[names]
    pd.testing.assert_frame_equal(found.compute(scheduler="synchronous"), expected)
    pd.testing.assert_frame_equal(found.compute(scheduler="threads"), expected)
    pd.testing.assert_frame_equal(found[["y", "zone"]].compute(), expected[["y", "zone"]])
    assert found["zone"].sum().compute() == expected["zone"].sum()
    assert found.loc[2_000:2_500].compute().index.tolist() == list(range(2_000, 2_501))
    again = sl.scan(found, target="y", weight="w")
    check_every_row_once(again, (700,))


def test_conditions_and_computed_columns_come_along(mixed):
    folder, table = mixed
    where, derive = pc.field("distance") > 2, {"half": pc.field("distance") / 2}
    data = sl.scan(folder, target="y", features=["half", "zone"], where=where, derive=derive)
    frame = table.to_pandas()
    expected = frame.assign(half=frame["distance"] / 2)[frame["distance"] > 2]
    found = data.to_dask().compute()
    pd.testing.assert_frame_equal(found, expected[["half", "zone", "y"]])
    nobody = sl.scan(folder, target="y", where=pc.field("distance") < 0).to_dask()
    assert not len(nobody.compute())


def test_rows_with_gaps_are_left_out_whichever_columns_are_computed():
    frame = pd.DataFrame({"a": [1.0, np.nan, 3], "b": [1.0, 2, np.nan], "y": [1.0, 2, 3]})
    whole, dropped = (
        sl.scan(frame, target="y", drop_missing=drop).to_dask() for drop in (False, True)
    )
    assert len(dropped.compute()) == len(dropped["a"].compute()) == 1
    # Of one name they would be one frame to dask, where both are in a computation.
    both = dask.compute(whole, dropped)
    assert [len(part) for part in both] == [3, 1]


def test_matrices_become_numbered_columns():
    found = sl.scan((X.astype("f4"), Y.astype(str)), weight=Y).to_dask()
    assert list(found.columns) == ["0", "1", "2", "3", "4", "5", "target", "weight"]
    values = found.compute()
    np.testing.assert_array_equal(values[list("012345")].to_numpy(), X.astype("f4"))
    assert values["target"].tolist() == Y.astype(str).tolist()
    assert values.dtypes.astype(str).tolist() == found.dtypes.astype(str).tolist()
    assert found["3"].mean().compute() == pytest.approx(X[:, 3].mean(), abs=1e-6)
    assert not len(sl.scan(X[:0]).to_dask().compute())


def test_a_missing_target_is_an_error_as_ever():
    frame = dd.from_pandas(FRAME.assign(y=FRAME["y"].where(FRAME.index != 2_500)), npartitions=4)
    with pytest.raises(DataError, match=r"row 500 of dask \(part 2\)"):
        fitted(frame)
