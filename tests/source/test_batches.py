"""Streams of batches and pyarrow datasets: the rows they hold, however often they are read."""

from __future__ import annotations

import gc
import gzip
import os

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from made import mixed_table
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import streamlearn as sl
from streamlearn.errors import DataError, SchemaError, SourceError, UsageError
from streamlearn.source.library import batches, tables
from streamlearn.testing import check_every_row_once
from streamlearn.testing.measure import measure

TABLE = mixed_table(5_000)
SHORT = {"zone": pa.int32(), "distance": pa.float64()}


@pytest.fixture(autouse=True)
def short_fragments(monkeypatch):
    monkeypatch.setattr(tables, "_FRAGMENT_ROWS", 1_300)
    monkeypatch.setattr(batches, "_FRAGMENT_ROWS", 1_300)


def pipeline():
    return make_pipeline(
        ColumnTransformer(
            [("numbers", StandardScaler(), ["distance"]), ("zone", OneHotEncoder(), ["zone"])]
        ),
        SGDRegressor(random_state=0),
    )


def fitted(data, **options):
    scanned = sl.scan(data, target="y", features=["zone", "distance"])
    return sl.fit(pipeline(), scanned, batch_size=512, **options).estimator[-1]


STREAMS = {
    "reader": lambda: TABLE.to_reader(max_chunksize=700),
    "generator": lambda: (batch for batch in TABLE.to_batches(max_chunksize=999)),
    "tiny batches": lambda: iter(TABLE.to_batches(max_chunksize=3)),
    "one large batch": lambda: iter(TABLE.to_batches()),
    "tables": lambda: iter([TABLE[:17], TABLE[17:17], TABLE[17:]]),
    "pandas": lambda: (TABLE[at : at + 800].to_pandas() for at in range(0, 5_000, 800)),
    "polars": lambda: (pl.from_arrow(TABLE[at : at + 800]) for at in range(0, 5_000, 800)),
    "a stream of Arrow's protocol": lambda: Stream(TABLE),
    "list of batches": lambda: TABLE.to_batches(max_chunksize=700),
    "list of tables": lambda: [TABLE[:10], TABLE[10:]],
}


class Stream:
    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.to_reader(max_chunksize=500).__arrow_c_stream__()


@pytest.mark.parametrize("make", STREAMS.values(), ids=STREAMS)
@pytest.mark.parametrize("message", [4 << 20, 20_000])
def test_every_stream_gives_the_rows_and_to_the_bit_the_model_of_the_table(
    make, message, monkeypatch
):
    monkeypatch.setattr(batches, "_MESSAGE_BYTES", message)
    data = sl.scan(make(), target="y", weight="w")
    assert data.rows == 5_000
    assert [part.rows for part in data.fragments] == [1_300, 1_300, 1_300, 1_100]
    check_every_row_once(data, (13, 1_000, 1_000_000))
    names = data.source.schema.names
    read = [c.X for f in data.fragments for c in data.source.read(f, names, 400)]
    whole = pa.Table.from_batches(read).combine_chunks()
    assert whole.to_pandas().equals(TABLE.to_pandas())
    expected = fitted(TABLE)
    for chunk_size, threads in ((300, 1), (5_000, 2)):
        found = fitted(make(), chunk_size=chunk_size, threads=threads)
        np.testing.assert_array_equal(found.coef_, expected.coef_)


def test_categories_and_texts_are_their_values():
    frame = pd.DataFrame({"c": pd.Categorical(["ß", "日本", None, "ß"]), "y": [1.0, np.nan, 3, 4]})
    others = frame.assign(c=pd.Categorical(["a", "b", "c", "d"]))
    data = sl.scan(iter([frame, others]), target="y", where=pc.field("y").is_valid())
    chunks = [c.X["c"].to_pylist() for f in data.fragments for c in data.read(f, ["c"], 10)]
    assert [text for chunk in chunks for text in chunk] == ["ß", None, "ß", "a", "c", "d"]


def test_no_rows_and_one_row():
    assert sl.scan(TABLE[:0].to_reader(), target="y").rows == 0
    assert sl.scan(iter([TABLE[:0]]), target="y").rows == 0
    with pytest.raises(DataError, match="no row"):
        fitted(TABLE[:0].to_reader())
    with pytest.raises(DataError, match="gave no batch"):
        sl.scan(iter([]))
    one = sl.scan(iter([TABLE[:0], TABLE[:1], TABLE[:0]]), target="y")
    check_every_row_once(one)
    check_every_row_once(sl.scan(iter([TABLE.select(["y"])])))


def broken():
    yield TABLE[:100]
    raise KeyError("the service hung up")


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: iter([TABLE, TABLE.drop(["flag"])]), SchemaError, "batch 2 .*'flag' is absent"),
        (
            lambda: iter([TABLE, TABLE.set_column(0, "zone", pa.nulls(5_000, pa.string()))]),
            SchemaError,
            "batch 2 .*after 5,000 rows: column 'zone' is string, and int32 in the first",
        ),
        (
            lambda: [TABLE, TABLE.select(TABLE.column_names[::-1])],
            SchemaError,
            "batch 2 .*another order",
        ),
        (lambda: iter([TABLE, {"x": 1}]), UsageError, "batch 2 .*is dict"),
        (lambda: iter([pd.DataFrame({"x": [1, "a"]})]), SchemaError, "batch 1 .*not of one type"),
        (lambda: pa.chunked_array([[1, 2]]), UsageError, "no stream of Arrow batches"),
        (lambda: (iter([TABLE]), np.zeros(5_000)), UsageError, "target="),
    ],
)
def test_what_does_not_fit_is_named_with_its_batch(make, error, match):
    with pytest.raises(error, match=match):
        sl.scan(make(), target=None)


def test_an_error_of_the_iterator_passes_through_with_a_note():
    with pytest.raises(KeyError, match="hung up") as caught:
        sl.scan(broken())
    assert caught.value.__notes__ == [
        "raised when scan() asked for batch 2 of the generator, after 100 rows"
    ]

    def failing():
        yield TABLE.to_batches()[0]
        raise pa.ArrowInvalid("bad page")

    reader = pa.RecordBatchReader.from_batches(TABLE.schema, failing())
    with pytest.raises(SourceError, match=r"batch 2 of the RecordBatchReader.*bad page"):
        sl.scan(reader)


def test_a_full_disk_says_where_and_what_to_do(monkeypatch):
    def full(handle, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(batches.os, "write", full)
    with pytest.raises(SourceError, match=r"is full after 0 bytes.*TMPDIR"):
        sl.scan(TABLE.to_reader())


def test_the_file_on_disk_goes_with_the_dataset():
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    data = sl.scan(TABLE.to_reader(), target="y")
    assert len(os.listdir("/proc/self/fd")) == before + 1
    del data
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def hive(folder):
    return ds.dataset(
        pq.write_to_dataset(TABLE, folder / "h", partition_cols=["flag"]) or folder / "h",
        partitioning="hive",
    )


def by_place(folder):
    ds.write_dataset(TABLE, folder / "p", format="parquet", partitioning=["label"])
    return ds.dataset(folder / "p", partitioning=ds.partitioning(pa.schema([("label", pa.int8())])))


def written(table, path, write):
    path.parent.mkdir(exist_ok=True)
    write(table, path)
    return path


DATASETS = {
    "parquet": lambda folder: ds.dataset(
        written(TABLE, folder / "a.parquet", lambda t, p: pq.write_table(t, p, row_group_size=900))
    ),
    "hive": hive,
    "directories": by_place,
    "memory": lambda folder: ds.dataset(TABLE),
    "feather": lambda folder: ds.dataset(
        written(TABLE, folder / "a.arrow", lambda t, p: feather.write_feather(t, p, chunksize=900)),
        format="feather",
    ),
    "csv": lambda folder: ds.dataset(
        written(TABLE, folder / "a.csv", pyarrow.csv.write_csv), format="csv"
    ),
    "union": lambda folder: ds.dataset(
        [
            ds.dataset(written(TABLE[:2_000], folder / "a.parquet", pq.write_table)),
            ds.dataset(
                written(TABLE[2_000:], folder / "b.arrow", feather.write_feather), format="feather"
            ),
        ]
    ),
}


@pytest.mark.parametrize("make", DATASETS.values(), ids=DATASETS)
def test_a_pyarrow_dataset_gives_its_rows_in_its_order(make, tmp_path):
    given = make(tmp_path)
    data = sl.scan(given, target="y", weight="w")
    check_every_row_once(data, (13, 1_000, 1_000_000))
    assert data.schema.names == given.schema.names
    names = data.schema.names
    read = [c.X for f in data.fragments for c in data.source.read(f, names, 400)]
    expected = given.to_table(use_threads=False)
    columns = []
    for name in names:
        column = expected[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        columns.append(column)
    whole = pa.Table.from_batches(read)
    assert whole.equals(pa.table(columns, names=names))
    assert all(len(c) for f in data.fragments for c in data.read(f, [], 300))
    again = sl.scan(given, target="y", weight="w")
    assert again.source.fingerprint == data.source.fingerprint


def test_columns_of_the_datasets_schema_alone_are_read(tmp_path):
    pq.write_table(TABLE[:100], tmp_path / "a.parquet")
    pq.write_table(TABLE[100:200].drop(["flag"]), tmp_path / "b.parquet")
    schema = pa.schema([("y", pa.float32()), ("flag", pa.string()), ("new", pa.int64())])
    data = sl.scan(ds.dataset(tmp_path, schema=schema), target="y")
    check_every_row_once(data)
    (last,) = data.read(data.fragments[-1], ["flag", "new"], 1_000)
    assert last.X["flag"].null_count == last.X["new"].null_count == 100
    assert last.y.dtype == np.float32
    assert data.lean(None).cost(["flag", "new"]).row_bytes > 0
    check_every_row_once(data.lean(None))


def test_csv_is_read_as_the_datasets_format_says(tmp_path):
    path = tmp_path / "a.csv.gz"
    with gzip.open(path, "wt") as file:
        file.write("1;ä\n2;b\n3;-\n")
    form = ds.CsvFileFormat(
        pyarrow.csv.ParseOptions(delimiter=";"),
        read_options=pyarrow.csv.ReadOptions(column_names=["p", "q"]),
        convert_options=pyarrow.csv.ConvertOptions(null_values=["-"], strings_can_be_null=True),
    )
    data = sl.scan(ds.dataset(path, format=form), target="p")
    check_every_row_once(data)
    read = [
        text
        for f in data.fragments
        for c in data.read(f, ["q"], 2)
        for text in c.X["q"].to_pylist()
    ]
    assert read == ["ä", "b", None]
    assert form.default_fragment_scan_options.convert_options.column_types == {}
    parts = tmp_path / "parts"
    keys = ds.partitioning(pa.schema([("flag", pa.string())]), flavor="hive")
    ds.write_dataset(TABLE, parts, format="csv", partitioning=keys)
    given = ds.dataset(parts, format="csv", partitioning=keys)
    data = sl.scan(given, target="y")
    check_every_row_once(data, (700,))
    read = [c.X for f in data.fragments for c in data.read(f, ["flag", "zone"], 700)]
    expected = given.to_table(["flag", "zone"], use_threads=False)
    assert pa.Table.from_batches(read).equals(expected)


_CSV = """
import json, os
import pyarrow as pa, pyarrow.dataset as ds, streamlearn as sl
import streamlearn.source.scan
from streamlearn.stream.probe import make_probe
from streamlearn.stream.reclaim import lean_arrow
with lean_arrow():
    # Libraries that are loaded on first use are not what the reader holds.
    sl.scan(ds.dataset({small!r}, format="csv"))
    given = ds.dataset({path!r}, format="csv")
    probe = make_probe()
    before = probe.rss()
    probe.reset()
    data = sl.scan(given)
    for fragment in data.fragments:
        for chunk in data.read(fragment, data.features.names, 10_000):
            pass
    cost = data.cost(data.features.names)
    print(json.dumps({{"peak": probe.read().peak - before,
        "cost": cost.fixed_bytes + 10_000 * cost.row_bytes}}))
"""


def test_a_dataset_of_a_hundred_megabytes_of_csv_is_not_held(tmp_path):
    path = tmp_path / "a.csv"
    line = ",".join("0.123456789" for _ in range(16)) + "\n"
    path.write_text(",".join(f"c{i}" for i in range(16)) + "\n" + line * 520_000)
    assert path.stat().st_size > 95e6
    small = tmp_path / "b.csv"
    small.write_text("x\n1\n")
    found = measure(_CSV.format(path=str(path), small=str(small)), timeout_s=60)
    assert found.exit_code == 0, found.errors
    assert found.last["peak"] <= found.last["cost"], found.last


def test_what_a_dataset_leaves_out_is_not_read_in_silence(tmp_path):
    pq.write_table(TABLE, tmp_path / "a.parquet", row_group_size=900)
    given = ds.dataset(tmp_path)
    with pytest.raises(UsageError, match=r"filter \(\(distance > 3\)\).*where="):
        sl.scan(given.filter(pc.field("distance") > 3), target="y")
    piece = next(given.get_fragments()).subset(row_group_ids=[1])
    some = ds.FileSystemDataset([piece], given.schema, given.format, given.filesystem)
    with pytest.raises(UsageError, match="900 of its 5,000 rows"):
        sl.scan(some, target="y")


def test_a_dataset_that_changed_is_named(tmp_path):
    path = tmp_path / "a.csv"
    pyarrow.csv.write_csv(TABLE, path)
    data = sl.scan(ds.dataset(path, format="csv"), target="y")
    pyarrow.csv.write_csv(TABLE[:4_000], path)
    with pytest.raises(SourceError, match=r"a\.csv.*4000 rows were read.*5000"):
        list(data.read(data.fragments[0], ["zone"], 1_000))
    pyarrow.csv.write_csv(pa.concat_tables([TABLE, TABLE]), path)
    with pytest.raises(SourceError, match=r"a\.csv"):
        list(data.read(data.fragments[0], ["zone"], 1_000))


_SPOOL = """
import gc, json
import numpy as np, pyarrow as pa, streamlearn as sl
import streamlearn.source.scan
from streamlearn.stream.probe import make_probe
from streamlearn.stream.reclaim import lean_arrow
def batches(count):
    rng = np.random.default_rng(0)
    for _ in range(count):
        values = rng.normal(size=(50_000, 16))
        yield pa.record_batch({f"c{i}": values[:, i].copy() for i in range(16)})
with lean_arrow():
    sl.scan(batches(2))
    gc.collect()
    probe = make_probe()
    before = highest = probe.rss()
    def watched():
        global highest
        for batch in batches(32):
            highest = max(highest, probe.rss())
            yield batch
    data = sl.scan(watched())
    gc.collect()
    spooled, highest = highest - before, probe.rss()
    kept = highest
    for fragment in data.fragments:
        for chunk in data.read(fragment, data.features.names, 10_000):
            highest = max(highest, probe.rss())
    cost = data.cost(data.features.names)
    print(json.dumps({"spooling": spooled, "kept": kept - before, "reading": highest - kept,
        "cost": cost.fixed_bytes + 10_000 * cost.row_bytes, "rows": data.rows}))
"""


def test_spooling_and_reading_hold_a_few_batches_of_two_hundred_megabytes():
    found = measure(_SPOOL, timeout_s=60)
    assert found.exit_code == 0, found.errors
    assert found.last["rows"] == 1_600_000
    assert found.last["spooling"] <= 80e6, found.last
    assert found.last["reading"] <= found.last["cost"], found.last
