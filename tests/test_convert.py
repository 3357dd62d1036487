"""Data written anew: whole, the same, in the budget; shuffled where that was asked for."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import zarr
from made import mixed_table

import streamlearn as sl
from streamlearn.chunk import Chunk
from streamlearn.errors import DataError, MemoryBudgetError, SchemaError, UsageError
from streamlearn.source.library import tables
from streamlearn.testing import (
    check_budget_is_kept,
    check_every_row_once,
    why_no_kernel_limit,
)
from streamlearn.write import shuffle
from streamlearn.write.groups import GroupSize, groups

TABLE = mixed_table(5_000)
NUMBERS = TABLE.select(["zone", "distance", "label", "y", "w"])
NOISE = np.random.default_rng(0).normal(size=(20_000, 50))
SMALL_GROUPS = 65_536
MOMENT = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def short_fragments(monkeypatch):
    monkeypatch.setattr(tables, "_FRAGMENT_ROWS", 1_300)


def read(path):
    """Read a file, or the files of a folder; they are closed when this returns."""
    files = [path] if path.is_file() else sorted(path.iterdir())
    found = []
    for each in files:
        with pq.ParquetFile(each) as file:
            found.append(file.read())
    return pa.concat_tables(found)


def read_matrix(path):
    data = sl.scan(path)
    check_every_row_once(data)
    chunks = [
        chunk
        for fragment in data.fragments
        for chunk in data.read(fragment, data.features.names, 1_000)
    ]
    return Chunk.concat(chunks)


def every_type(rows=300):
    at = range(rows)
    gap = [k % 7 == 3 for k in at]

    def column(kind, value):
        return pa.array([None if g else value(k) for k, g in zip(at, gap, strict=True)], kind)

    return pa.table(
        {
            **{
                str(kind): column(kind, lambda k: k % 100)
                for kind in (pa.int8(), pa.int16(), pa.int32(), pa.int64())
            },
            **{
                str(kind): column(kind, lambda k: k % 200)
                for kind in (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
            },
            "large": column(pa.uint64(), lambda k: 2**64 - 1 - k),
            "float": column(pa.float32(), lambda k: k / 4),
            "double": column(pa.float64(), lambda k: k / 3),
            "flag": column(pa.bool_(), lambda k: k % 2 == 0),
            "text": column(pa.string(), lambda k: "é" * (k % 50)),
            "large text": column(pa.large_string(), str),
            "bytes": column(pa.binary(), lambda k: bytes([k % 256])),
            "day": column(pa.date32(), lambda k: date(2020, 1, 1) + timedelta(k)),
            "moment": column(pa.timestamp("ns"), lambda k: MOMENT + timedelta(seconds=k)),
            "there": column(
                pa.timestamp("us", tz="Europe/Paris"), lambda k: MOMENT + timedelta(hours=k)
            ),
            "span": column(pa.duration("ms"), lambda k: timedelta(seconds=k)),
            "price": column(pa.decimal128(9, 2), lambda k: Decimal(k) / 4),
            "nothing": pa.nulls(rows),
            "category": column(pa.string(), lambda k: "abc"[k % 3]).dictionary_encode(),
        }
    )


@pytest.mark.parametrize("shuffled", [False, True])
def test_every_type_comes_back_as_it_was(tmp_path, shuffled):
    table = every_type().append_column("id", pa.array(range(300)))
    expected = table.set_column(
        table.schema.names.index("category"), "category", table["category"].cast(pa.string())
    )
    sl.convert(table, tmp_path / "a.parquet", chunk_size=37, shuffle=shuffled)
    found = read(tmp_path / "a.parquet")
    assert found.schema.equals(expected.schema)
    assert found.sort_by("id").equals(expected)
    assert found.equals(expected) is not shuffled


def test_frames_of_pandas_and_polars_are_tables(tmp_path):
    frame = pl.from_arrow(TABLE)
    sl.convert(frame, tmp_path / "polars.parquet")
    sl.convert(TABLE.to_pandas(), tmp_path / "pandas.parquet")
    for name in ("polars", "pandas"):
        found = read(tmp_path / f"{name}.parquet")
        assert found["zone"].equals(TABLE["zone"])
        assert found["flag"].to_pylist() == TABLE["flag"].to_pylist()


VARIATIONS = [
    {"chunk_size": 100},
    {"chunk_size": 977, "threads": 1},
    {"chunk_size": 5_000, "threads": 4},
    {"memory_budget": "+250MB"},
]


@pytest.mark.parametrize("shuffled", [False, True], ids=["in order", "shuffled"])
@pytest.mark.parametrize("dst", ["a.parquet", "a.zarr", "parts/"])
def test_the_bytes_depend_on_the_data_alone(tmp_path, dst, shuffled, monkeypatch):
    monkeypatch.setattr(shuffle, "_BUCKET_BYTES", 60_000)
    source = tmp_path / "source.parquet"
    pq.write_table(NUMBERS if dst == "a.zarr" else TABLE, source, row_group_size=900)
    seen = set()
    for number, variation in enumerate(VARIATIONS):
        monkeypatch.setattr(shuffle, "_RUN_BYTES", 10_000 << number)
        out = tmp_path / str(number) / dst.rstrip("/")
        options = {} if dst == "a.zarr" else {"row_group_bytes": SMALL_GROUPS}
        where = f"{out}/" if dst == "parts/" else out
        sl.convert(str(source), where, shuffle=shuffled, **options, **variation)
        files = [out] if out.is_file() else sorted(out.rglob("*"))
        seen.add(
            tuple((os.path.relpath(f, out), f.read_bytes()) for f in files if f.is_file()),
        )
    assert len(seen) == 1
    if dst == "a.parquet":
        assert pq.read_metadata(out).num_row_groups > 3


def test_row_groups_are_cut_by_decoded_bytes():
    lengths = [1, 1, 5_000, 1, 3_000, 3_000, 3_000, 1]
    batch = pa.record_batch({"t": ["x" * length for length in lengths]})
    cut = [group.num_rows for group in groups([batch], GroupSize(most_bytes=5_000))]
    assert cut == [3, 3, 2]
    for at in range(1, 8):
        pieces = [batch.slice(0, at), batch.slice(at)]
        assert [g.num_rows for g in groups(pieces, GroupSize(most_bytes=5_000))] == cut


def test_features_target_and_weight_are_written_and_the_condition_applied(tmp_path):
    data = sl.scan(
        TABLE,
        target="y",
        weight="w",
        features=["distance", "zone", "twice"],
        derive={"twice": pc.field("distance") * 2},
        where=pc.field("zone") > 2,
    )
    done = sl.convert(data, tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet")
    kept = TABLE.filter(pc.field("zone") > 2)
    assert found.schema.names == ["distance", "zone", "twice", "y", "w"]
    assert found["zone"].to_pylist() == kept["zone"].to_pylist()
    assert done.rows.read == 5_000 == done.rows.written + done.rows.filtered
    assert done.rows.written == len(kept) == len(found)
    again = sl.convert(data, tmp_path / "a.zarr")
    chunk = read_matrix(tmp_path / "a.zarr")
    assert again.rows.written == len(chunk) == len(kept)
    assert np.array_equal(chunk.X[:, 1], kept["zone"].to_numpy())
    assert np.array_equal(chunk.y, kept["y"].to_numpy())
    assert np.array_equal(chunk.weight, kept["w"].to_numpy())
    attributes = dict(zarr.open_group(tmp_path / "a.zarr", mode="r").attrs)
    assert attributes == {
        "feature_names": ["distance", "zone", "twice"], "target": "y", "weight": "w"
    }  # fmt: skip


def test_what_is_not_written_as_it_is_stored_is_told(tmp_path):
    frame = TABLE.to_pandas().set_index(np.random.default_rng(0).permutation(5_000))
    frame.to_parquet(tmp_path / "in-0.parquet")
    frame.astype({"zone": "int64"}).to_parquet(tmp_path / "in-1.parquet")
    told = []
    done = sl.convert(f"{tmp_path}/in-*.parquet", tmp_path / "out.parquet", listeners=[told.append])
    index, drift = done.notes
    assert "'__index_level_0__': left out" in index
    assert "zone" in drift
    assert [event.message for event in told if hasattr(event, "message")] == [index, drift]
    assert index in repr(done)
    assert read(tmp_path / "out.parquet")["zone"].type == pa.int64()


def test_gaps_in_a_target_are_kept(tmp_path):
    data = sl.scan(pa.table({"a": [1, 2, 3], "y": [1.0, None, float("nan")]}), target="y")
    sl.convert(data, tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet")["y"]
    assert found.null_count == 1
    assert np.isnan(found[2].as_py())


@pytest.mark.parametrize(
    "options",
    [{}, {"compression": "none"}, {"compression": "gzip"}, {"shards": "8MB"}],
    ids=["zstd", "raw", "gzip", "shards"],
)
@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "i2", "u8", "?"])
def test_a_matrix_goes_to_zarr_and_back(tmp_path, options, kind):
    X = (np.random.default_rng(0).normal(size=(40_000, 40)) * 50).astype(kind)
    y = np.arange(40_000, dtype=np.int32)
    sl.convert((X, y), tmp_path / "a.zarr", **options)
    data = sl.scan(tmp_path / "a.zarr")
    assert data.source._columns[""].direct, "read through zarr, and not straight"
    found = Chunk.concat(
        [c for f in data.fragments for c in data.read(f, data.features.names, 9_000)]
    )
    assert found.X.dtype == X.dtype
    assert found.y.dtype == y.dtype
    assert np.array_equal(found.X, X)
    assert np.array_equal(found.y, y)
    array = zarr.open_group(tmp_path / "a.zarr", mode="r")["X"]
    assert array.chunks[1] == 40
    assert 0.9e6 < array.chunks[0] * 40 * X.dtype.itemsize < 8e6
    assert bool(array.shards) == ("shards" in options)


def test_a_matrix_goes_to_parquet_and_from_zarr_to_parquet(tmp_path):
    X, y = np.random.default_rng(0).normal(size=(500, 3)), np.array(["no", "yes"] * 250)
    sl.convert(sl.scan((X, y), weight=np.ones(500)), tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet")
    assert found.schema.names == ["0", "1", "2", "target", "weight"]
    assert np.array_equal(found["1"].to_numpy(), X[:, 1])
    assert found["target"].to_pylist() == y.tolist()
    sl.convert((X, X[:, 0]), tmp_path / "b.zarr")
    sl.convert(tmp_path / "b.zarr", tmp_path / "b.parquet")
    assert np.array_equal(read(tmp_path / "b.parquet")["target"].to_numpy(), X[:, 0])


def test_types_of_a_matrix_hold_every_value(tmp_path):
    def dtype_of(**columns):
        sl.convert(pa.table(columns), tmp_path / "t.zarr", overwrite=True)
        return read_matrix(tmp_path / "t.zarr").X

    assert dtype_of(a=np.array([1], "i1"), b=np.array([2.5], "f4")).dtype == np.float32
    assert dtype_of(a=np.array([1], "i1"), b=np.array([300], "u2")).dtype == np.int32
    assert dtype_of(a=np.array([2**31 - 1], "i4"), b=np.array([2.5], "f4")).dtype == np.float64
    assert dtype_of(a=np.array([2**53], "i8"), b=np.array([2.5], "f4"))[0, 0] == 2**53
    found = dtype_of(a=pa.array([1.5, None]), b=pa.array([None, 2]), c=pa.array([True, None]))
    assert np.array_equal(found, [[1.5, np.nan, 1], [np.nan, 2, np.nan]], equal_nan=True)


def test_values_that_a_matrix_cannot_hold_are_named(tmp_path):
    large = pa.table({"id": [1, 2**53 + 1], "x": [0.5, 1.5]})
    with pytest.raises(DataError, match=r"row 1 of .*'id' is 9007199254740993.*2\*\*53"):
        sl.convert(large, tmp_path / "a.zarr")
    with pytest.raises(DataError, match=r"row 1 of .*column 'a' is missing .*IS NOT NULL"):
        sl.convert(pa.table({"a": [1, None]}), tmp_path / "a.zarr")
    with pytest.raises(UsageError, match=r"'flag' \(string\), 'name' \(string\).*--features"):
        sl.convert(TABLE, tmp_path / "a.zarr")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize("shuffled", [False, True])
def test_no_row_and_one_row(tmp_path, rows, shuffled):
    for name in ("a.parquet", "b/", "c.zarr"):
        done = sl.convert(
            sl.scan(NUMBERS[:rows], target="y"), f"{tmp_path}/{name}", shuffle=shuffled
        )
        assert done.rows.written == rows
        data = sl.scan(f"{tmp_path}/{name.rstrip('/')}")
        assert data.rows == rows
    none = sl.scan(NUMBERS, where=pc.field("zone") < 0)
    assert sl.convert(none, tmp_path / "d.parquet", shuffle=shuffled).rows.filtered == 5_000
    assert read(tmp_path / "d.parquet").schema.equals(NUMBERS.schema)


def test_a_folder_is_cut_into_files(tmp_path):
    done = sl.convert(TABLE, f"{tmp_path}/out/", rows_per_file=1_999, row_group_bytes=SMALL_GROUPS)
    files = sorted(os.listdir(tmp_path / "out"))
    assert files == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    assert [pq.read_metadata(tmp_path / "out" / f).num_rows for f in files] == [1999, 1999, 1002]
    assert done.files == 3
    assert read(tmp_path / "out").equals(TABLE)
    sl.convert(pa.concat_tables([TABLE] * 5), tmp_path / "more", row_group_bytes=SMALL_GROUPS)
    counts = [
        pq.read_metadata(file).num_row_groups for file in sorted((tmp_path / "more").iterdir())
    ]
    assert counts[0] == 16
    assert len(counts) > 1


# Shuffling


def shuffled_ids(tmp_path, rows, seed, **options):
    out = tmp_path / "shuffled.parquet"
    ids = pa.table({"id": np.arange(rows)})
    sl.convert(ids, out, shuffle=True, random_state=seed, overwrite=True, threads=1, **options)
    return read(out)["id"].to_numpy()


def test_shuffling_gives_every_row_once_in_an_order_of_the_seed(tmp_path, monkeypatch):
    monkeypatch.setattr(shuffle, "_BUCKET_BYTES", 4_000)
    monkeypatch.setattr(shuffle, "_RUN_BYTES", 9_000)
    first = shuffled_ids(tmp_path, 4_000, 0)
    assert np.array_equal(np.sort(first), np.arange(4_000))
    assert np.array_equal(first, shuffled_ids(tmp_path, 4_000, 0))
    other = shuffled_ids(tmp_path, 4_000, 1)
    assert (first == other).mean() < 0.01
    # Uniform: where a row goes does not depend on where it was.
    assert abs(np.corrcoef(first, np.arange(4_000))[0, 1]) < 0.05
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.05


def test_every_order_is_as_likely_as_any_other():
    """A chi-square of the orders of four rows in three buckets, over 2,400 seeds."""
    batch = pa.record_batch({"id": np.arange(4)})
    buckets = shuffle.Buckets(3, 1_000, 1_000, 1_000)
    seen = Counter()
    for seed in range(2_400):
        with shuffle.Shuffler(batch.schema, buckets, seed) as shuffler:
            shuffler.append(batch, np.arange(4))
            seen[tuple(v for b in shuffler.batches() for v in b["id"].to_pylist())] += 1
    assert len(seen) == 24
    chi_square = sum((count - 100) ** 2 / 100 for count in seen.values())
    assert chi_square < 49.7  # 23 degrees of freedom: one in a thousand is above


def test_buckets_come_from_the_data_and_are_bounded():
    assert shuffle.plan_buckets(10**6, 1_000, 10).count == 30
    large = shuffle.plan_buckets(10**9, 1_000, 10)
    assert large.count == 1_024
    assert large.bucket_bytes > 10**12 / 1_024


def test_buckets_of_rows_in_memory_go_by_what_they_hold(tmp_path, monkeypatch):
    seen = []

    def plan(*arguments):
        seen.append(shuffle.plan_buckets(*arguments))
        return seen[-1]

    monkeypatch.setattr("streamlearn.conversion.plan_buckets", plan)
    monkeypatch.setattr(shuffle, "_BUCKET_BYTES", 1 << 18)
    texts = ["x" * 1_000] * 5_000
    for data in (NOISE, pa.table({"a": texts})):
        sl.convert(data, tmp_path / "a.parquet", shuffle=True, overwrite=True)
        assert seen[-1].count >= data.nbytes // (1 << 18)


def test_a_bucket_that_does_not_fit_is_refused_with_the_budget_that_does(tmp_path):
    path = tmp_path / "wide.parquet"
    pq.write_table(pa.table({"a": np.zeros(3_000_000)}), path)
    with pytest.raises(MemoryBudgetError, match=r"pass 'gather'.*memory_budget='\d+MB'"):
        sl.convert(str(path), tmp_path / "out.parquet", shuffle=True, memory_budget="+100MB")
    assert os.listdir(tmp_path) == ["wide.parquet"]


def test_scratch_that_the_disk_has_no_room_for_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda place: Full)
    with pytest.raises(UsageError, match=r"10 B free.*--scratch-dir"):
        sl.convert(TABLE, tmp_path / "a.parquet", shuffle=True)
    assert os.listdir(tmp_path) == []


class Full:
    free = 10


# Whole, or not at all


def test_an_output_is_replaced_only_if_it_is_one_and_on_request(tmp_path):
    for name in ("a.parquet", "b/", "c.zarr"):
        dst = f"{tmp_path}/{name}"
        sl.convert(NUMBERS, dst)
        with pytest.raises(UsageError, match="there already.*--overwrite"):
            sl.convert(NUMBERS, dst)
        assert sl.convert(NUMBERS[:10], dst, overwrite=True).rows.written == 10
    assert sorted(os.listdir(tmp_path)) == ["a.parquet", "b", "c.zarr"]


@pytest.mark.parametrize(
    ("name", "why"),
    [("a.parquet", "no parquet file"), ("b/", "'notes.txt'"), ("c.zarr", "no zarr store"),
     ("d.zarr", "'other'"), ("e", "is a file"), ("f.parquet", "symbolic link")],
)  # fmt: skip
def test_what_is_no_output_is_never_replaced(tmp_path, name, why):
    (tmp_path / "a.parquet").write_text("my novel")
    for folder in ("b", "c.zarr"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "notes.txt").write_text("my novel")
    zarr.open_group(tmp_path / "d.zarr", mode="w").create_group("other")
    (tmp_path / "e").write_text("my novel")
    (tmp_path / "f.parquet").symlink_to(tmp_path / "a.parquet")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match=why):
        sl.convert(NUMBERS, f"{tmp_path}/{name}", overwrite=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_input_is_never_replaced(tmp_path):
    sl.convert(NUMBERS, tmp_path / "in" / "part-00000.parquet")
    for dst in ("in/part-00000.parquet", "in/", "in/../in"):
        with pytest.raises(UsageError, match="where the data is read from"):
            sl.convert(tmp_path / "in", f"{tmp_path}/{dst}", overwrite=True)
    sl.convert(NUMBERS, tmp_path / "x.zarr")
    with pytest.raises(UsageError, match="inside of"):
        sl.convert(tmp_path / "x.zarr", f"{tmp_path}/x.zarr/y.zarr")


@pytest.mark.parametrize("dst", ["a.parquet", "b/", "c.zarr"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_of_what_failed_nothing_is_left_and_what_was_there_stays(tmp_path, dst, shuffled):
    sl.convert(NUMBERS[:7], f"{tmp_path}/{dst}")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}

    class StopError(Exception):
        pass

    def stop(event):
        if getattr(event, "rows", 0) > 2_000 and hasattr(event, "rss_bytes"):
            raise StopError

    with pytest.raises(StopError):
        sl.convert(
            NUMBERS, f"{tmp_path}/{dst}", overwrite=True, listeners=[stop], shuffle=shuffled,
            chunk_size=500,
        )  # fmt: skip
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("name", ["a.parquet", "b/", "c.zarr"])
def test_a_full_disk_is_named_and_left_as_it_was(small_disk, name):
    with pytest.raises(OSError, match="the disk is full; nothing was left there") as raised:
        sl.convert(NOISE, f"{small_disk}/{name}")
    assert raised.value.errno == errno.ENOSPC
    assert raised.value.filename == f"{small_disk}/{name}".rstrip("/")
    assert os.listdir(small_disk) == []


def test_a_full_disk_for_shuffling_is_named(small_disk, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="MB free"):
        sl.convert(NOISE, tmp_path / "a.parquet", shuffle=True, scratch_dir=small_disk)
    monkeypatch.setattr("streamlearn.conversion.check_free_disk", lambda folder, size: None)
    with pytest.raises(OSError, match=f"the disk is full; name another.*{small_disk}"):
        sl.convert(NOISE, tmp_path / "a.parquet", shuffle=True, scratch_dir=small_disk)
    assert os.listdir(tmp_path) == ["disk"]
    assert os.listdir(small_disk) == []


@pytest.mark.parametrize("name", ["a.parquet", "c.zarr"])
def test_a_disk_that_fills_up_is_named(tmp_path, monkeypatch, name):
    """As above, where no disk can be made."""

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    writer = "parquet.ParquetWriter" if name == "a.parquet" else "zarr.ZarrWriter"
    monkeypatch.setattr(f"streamlearn.write.{writer}.append", full)
    with pytest.raises(OSError, match=f"the disk is full; nothing was left there.*{name}"):
        sl.convert(NUMBERS, tmp_path / name)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(
    ("number", "dst"), [(signal.SIGINT, "out.parquet"), (signal.SIGKILL, "out.zarr")]
)
def test_what_is_interrupted_or_killed_leaves_nothing_in_its_place(tmp_path, number, dst):
    code = (
        "import numpy as np, time, streamlearn as sl\n"
        "def wait(event):\n"
        "    if getattr(event, 'rows', 0) > 20_000 and hasattr(event, 'rss_bytes'):\n"
        "        print('writing', flush=True); time.sleep(30)\n"
        "X = np.zeros((40_000, 50))\n"
        f"sl.convert((X, X[:, 0]), {str(tmp_path / dst)!r}, chunk_size=1_000, listeners=[wait])\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert child.stdout.readline() == b"writing\n"
    assert [name for name in os.listdir(tmp_path) if not name.startswith(".")] == []
    child.send_signal(number)
    child.communicate(timeout=30)
    assert child.returncode != 0
    left = os.listdir(tmp_path)
    if number == signal.SIGINT:
        assert left == []
    else:
        assert all(name.startswith(".") and name.endswith(".converting") for name in left)
        sl.convert(NUMBERS, tmp_path / dst)
        assert sl.scan(tmp_path / dst).rows == 5_000


def test_fewer_rows_than_were_written_are_an_error(tmp_path, monkeypatch):
    real = pq.ParquetWriter.write_table
    monkeypatch.setattr(
        pq.ParquetWriter, "write_table", lambda self, t, **k: real(self, t[:-1], **k)
    )
    with pytest.raises(DataError, match="5,000 rows were written, and 4,999 are there"):
        sl.convert(NUMBERS, tmp_path / "a.parquet")
    assert os.listdir(tmp_path) == []


def test_a_chunk_that_was_lost_is_an_error(tmp_path, monkeypatch):
    from streamlearn.write.zarr import ZarrWriter

    real = ZarrWriter.append

    def lose(self, group):
        real(self, group)
        (self._place / "X" / "c" / "0" / "0").unlink()

    monkeypatch.setattr(ZarrWriter, "append", lose)
    with pytest.raises(DataError, match="0 of 1 files of chunks"):
        sl.convert(NUMBERS, tmp_path / "a.zarr")
    assert os.listdir(tmp_path) == []


# Arguments


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.csv", {}, r"what format is '.csv'"),
        ("", {}, "empty"),
        ("s3://bucket/a.parquet", {}, "local disk"),
        ("a.parquet", {"format": "orc"}, "'parquet' or 'zarr'"),
        ("a.parquet", {"compression": "rar"}, "zstd, snappy"),
        ("a.zarr", {"compression": "snappy"}, "zstd, gzip, none"),
        ("a.parquet", {"rows_per_file": 10}, "one file"),
        ("a/", {"rows_per_file": 0}, "1 or more"),
        ("a.parquet", {"shards": True}, "zarr stores"),
        ("a.zarr", {"row_group_bytes": "1MB"}, "for parquet"),
        ("a.parquet", {"row_group_bytes": 10}, "64 KiB"),
        ("a.parquet", {"shuffle": True, "random_state": -1}, "0 or more"),
    ],
)
def test_arguments_that_cannot_be_right(tmp_path, monkeypatch, name, options, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        sl.convert(NUMBERS, name, **options)
    assert os.listdir(tmp_path) == []


def test_a_type_that_parquet_lacks_is_named_before_anything_is_read(tmp_path):
    kind = pa.month_day_nano_interval()
    table = pa.table({"a": [1], "b": pa.array([(1, 2, 3)], kind)})
    with pytest.raises(SchemaError, match="column 'b' is month_day_nano_interval.*--features"):
        sl.convert(table, tmp_path / "a.parquet")


def test_the_result_tells_rows_bytes_and_memory(tmp_path):
    source = tmp_path / "in.parquet"
    pq.write_table(TABLE, source)
    done = sl.convert(source, tmp_path / "out", format="parquet")
    assert done.bytes_read == source.stat().st_size
    assert done.bytes_written == sum(f.stat().st_size for f in (tmp_path / "out").iterdir())
    assert done.memory.within
    for part in ("5,000", "in 1 file", "limit", "parquet"):
        assert part in repr(done)
    done.to_json(tmp_path / "done.json")
    assert '"written": 5000' in (tmp_path / "done.json").read_text()
    assert "5,000 written" in done._repr_html_()


# The budget


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """175 MB decoded."""
    path = tmp_path_factory.mktemp("long") / "long.parquet"
    schema = pa.schema([*((f"c{at}", pa.float64()) for at in range(50)), ("y", pa.int64())])
    rows = 61_250
    values = np.random.default_rng(0).normal(size=rows).round(2)
    block = pa.table([pa.array(np.roll(values, k)) for k in range(50)] + [np.arange(rows)], schema)
    with pq.ParquetWriter(path, schema, compression="snappy") as writer:
        for _ in range(7):
            writer.write_table(block)
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="reads VmHWM of /proc")
@pytest.mark.parametrize(
    ("dst", "budget", "options"),
    [("out.parquet", 340_000_000, ""), ("out.zarr", 350_000_000, "shuffle=True")],
)
def test_the_budget_is_kept(long, tmp_path, dst, budget, options):
    code = (
        "import streamlearn as sl\n"
        f"result = sl.convert({str(long)!r}, {str(tmp_path / dst)!r}, memory_budget={budget}, "
        f"{options})\n"
    )
    limit = None if why_no_kernel_limit() else budget
    found = check_budget_is_kept(code, budget, kernel_limit=limit, timeout_s=120)
    assert found["measured_bytes"] <= found["projected_bytes"] * 1.02


def test_a_sparse_matrix_is_refused_by_what_it_is(tmp_path):
    from scipy import sparse

    with pytest.raises(UsageError, match="sparse matrix cannot be written"):
        sl.convert(sparse.eye(5, format="csr"), tmp_path / "a.parquet")
