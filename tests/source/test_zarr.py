"""zarr: every layout read as zarr itself reads it, and what is broken is named."""

from __future__ import annotations

import itertools
import os
import shutil

import numcodecs
import numpy as np
import pytest
import zarr
from sklearn.linear_model import SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec, ZstdCodec

import streamlearn as sl
from streamlearn.errors import DataError, SchemaError, SourceError, UsageError
from streamlearn.source.zarr import stored_chunk
from streamlearn.source.zarr.grid import Grid, GridReader
from streamlearn.testing import check_every_row_once, check_same_bits

SHAPES = {
    "rows": ((103, 7), (10, 7), None),
    "tiles": ((103, 7), (10, 3), None),
    "line": ((103,), (10,), None),
    "cube": ((20, 13, 9), (5, 4, 9), None),
    "one chunk": ((103, 7), (200, 7), None),
    "shards": ((103, 7), (10, 7), (50, 7)),
    "tiles in shards": ((103, 8), (10, 4), (50, 8)),
    "cubes in shards": ((12, 13, 9), (5, 4, 3), (10, 8, 9)),
}
PACKED = {
    "raw": None,
    "zstd": ZstdCodec(),
    "blosc": BloscCodec(),
    "gzip": GzipCodec(),
    "zstd, crc": [ZstdCodec(), Crc32cCodec()],
    "crc": [Crc32cCodec()],
}
PACKED_V2 = {
    "raw": None,
    "zstd": numcodecs.Zstd(),
    "blosc": numcodecs.Blosc(),
    "gzip": numcodecs.GZip(),
    "lz4": numcodecs.LZ4(),
    "zlib": numcodecs.Zlib(),
}
rng = np.random.default_rng(0)


def check_boxes(path, values, direct):
    found = Grid(zarr.open_array(path, mode="r"), "x", fill_absent=True)
    assert found.direct == direct
    reader = GridReader(found)
    for _ in range(10):
        ends = [sorted(map(int, rng.integers(0, size + 1, 2))) for size in values.shape]
        box = [(start, max(stop, start + 1)) for start, stop in ends if start < stop or start == 0]
        if len(box) == values.ndim:
            expected = values[tuple(slice(*span) for span in box)]
            np.testing.assert_array_equal(reader.read(box), expected)
    for start in range(0, len(values), 3):
        box = [(start, min(start + 3, len(values))), *((0, size) for size in values.shape[1:])]
        np.testing.assert_array_equal(reader.read(box), values[start : start + 3])


@pytest.mark.parametrize("layout", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
@pytest.mark.parametrize("dtype", ["f4", "i8", "bool"])
@pytest.mark.parametrize("streamed_from", [0, 1 << 20], ids=["streamed", "at once"])
def test_boxes_are_those_of_zarr(tmp_path, layout, packed, dtype, streamed_from, monkeypatch):
    monkeypatch.setattr(stored_chunk, "STREAMED_BYTES", streamed_from)
    shape, chunks, shards = layout
    values = (rng.random(shape) * 100).astype(dtype)
    values[tuple(slice(0, size) for size in shards or chunks)] = 0  # not stored
    array = zarr.create_array(
        tmp_path / "a", shape=shape, chunks=chunks, shards=shards, dtype=dtype, compressors=packed
    )
    array[...] = values
    check_boxes(tmp_path / "a", values, direct=True)


@pytest.mark.parametrize("packed", PACKED_V2.values(), ids=PACKED_V2)
@pytest.mark.parametrize("separator", [".", "/"])
def test_boxes_of_the_older_format(tmp_path, packed, separator):
    values = rng.random((103, 7))
    array = zarr.create_array(
        tmp_path / "a",
        shape=values.shape,
        chunks=(10, 3),
        dtype="f8",
        compressors=packed,
        zarr_format=2,
        chunk_key_encoding={"name": "v2", "separator": separator},
    )
    array[...] = values
    check_boxes(tmp_path / "a", values, direct=True)


@pytest.mark.parametrize(
    ("dtype", "options"),
    [
        ("f8", {"filters": [numcodecs.Delta("f8")]}),
        ("f8", {"order": "F"}),
        (">f8", {}),
        ("f8", {"compressors": numcodecs.LZMA()}),
    ],
    ids=["filter", "columns first", "big-endian", "lzma"],
)
def test_what_is_out_of_the_ordinary_goes_through_zarr(tmp_path, dtype, options):
    values = rng.integers(0, 9, (103, 7)).astype(float)
    array = zarr.create_array(
        tmp_path / "a", shape=values.shape, chunks=(10, 3), dtype=dtype, zarr_format=2, **options
    )
    array[...] = values
    check_boxes(tmp_path / "a", values, direct=False)


def test_what_zarr_has_to_read_is_decoded_by_zarrs_where_it_is_installed(tmp_path):
    pytest.importorskip("zarrs", reason="the extra 'zarrs' is not installed")
    values = rng.random((103, 7))
    options = {"chunks": (10, 7), "dtype": "f8", "compressors": ZstdCodec()}
    array = zarr.create_array(
        tmp_path / "a",
        shape=values.shape,
        filters=zarr.codecs.TransposeCodec(order=(1, 0)),
        **options,
    )
    array[...] = values
    data = sl.scan(tmp_path / "a")
    found = data.source._columns[""]
    assert not found.direct
    assert type(found.array._async_array.codec_pipeline).__name__ == "ZarrsCodecPipeline"
    found = np.concatenate(
        [c.X for f in data.fragments for c in data.read(f, data.features.names, 9)]
    )
    np.testing.assert_array_equal(found, values)


@pytest.fixture
def group(tmp_path):
    """A matrix with target and weight."""
    X = rng.normal(size=(2_000, 5)).astype("f4")
    y, weight = X @ np.arange(5.0), rng.random(2_000)
    store = zarr.create_group(tmp_path / "group.zarr")
    for name, values, chunks in (
        ("X", X, (150, 5)),
        ("y", y, (400,)),
        ("sample_weight", weight, (333,)),
    ):
        store.create_array(name, shape=values.shape, chunks=chunks, dtype=values.dtype)[...] = (
            values
        )
    return tmp_path / "group.zarr", X, y, weight


def test_a_group_of_X_and_y_is_a_matrix_with_its_target(group):
    path, X, y, weight = group
    data = sl.scan(path)
    assert (data.rows, len(data.features), data.has_target, data.has_weight) == (
        2_000,
        5,
        True,
        True,
    )
    check_every_row_once(data)
    chunks = list(data.read(data.fragments[0], data.features.names, 700))
    np.testing.assert_array_equal(
        np.concatenate([c.X for c in chunks]), X[: data.fragments[0].rows]
    )
    np.testing.assert_array_equal(
        np.concatenate([c.y for c in chunks]), y[: data.fragments[0].rows]
    )
    np.testing.assert_array_equal(
        np.concatenate([c.weight for c in chunks]), weight[: data.fragments[0].rows]
    )


def test_the_model_is_that_of_the_arrays_in_memory_to_the_bit(group):
    path, X, y, _ = group
    shutil.rmtree(path / "sample_weight")
    pipeline = make_pipeline(StandardScaler(), SGDRegressor(random_state=0))
    found = check_same_bits(
        pipeline, sl.scan(path), [{}, {"chunk_size": 7}, {"threads": 4}], batch_size=256
    )
    expected = sl.fit(pipeline, (X, y), batch_size=256).estimator
    np.testing.assert_array_equal(found[-1].coef_, expected[-1].coef_)
    assert not hasattr(found, "feature_names_in_")


def test_arrays_groups_and_zip_files_are_recognised(group, tmp_path):
    path, X, _, _ = group
    assert sl.scan(zarr.open_group(path, mode="r")).rows == 2_000
    assert not sl.scan(zarr.open_array(path / "X", mode="r")).has_target
    assert sl.scan(path, target="sample_weight").target_field.name == "target"
    with zarr.storage.ZipStore(tmp_path / "x.zip", mode="w") as store:
        zarr.create_array(store, shape=X.shape, chunks=(500, 5), dtype="f4")[...] = X
    with zarr.storage.ZipStore(tmp_path / "x.zip", mode="r") as store:
        data = sl.scan(zarr.open_array(store, mode="r"))
        check_every_row_once(data)
    with pytest.raises(SchemaError, match=r"'z'.*X, sample_weight, y"):
        sl.scan(path, target="z")
    with pytest.raises(UsageError, match="names of its arrays"):
        sl.scan(path, target=np.zeros(3))
    with pytest.raises(SourceError, match="no such file"):
        sl.scan(tmp_path / "none.zarr")


@pytest.fixture
def cube(tmp_path):
    """Variables over named axes, in chunks that go across the order of rows."""
    values = {
        "a": (rng.random((4, 30, 20)), ("time", "lat", "lon"), (4, 10, 7)),
        "b": (rng.integers(0, 9, (4, 30, 20)), ("time", "lat", "lon"), (2, 30, 20)),
        "map": (rng.random((30, 20)), ("lat", "lon"), (30, 20)),
        "lat": (np.arange(30.0), ("lat",), (10,)),
        "time": (np.arange(4), ("time",), (4,)),
        "bounds": (rng.random((30, 2)), ("lat", "side"), (30, 2)),
    }
    store = zarr.create_group(tmp_path / "cube.zarr")
    for name, (array, dims, chunks) in values.items():
        store.create_array(
            name, shape=array.shape, chunks=chunks, dtype=array.dtype, dimension_names=dims
        )[...] = array
    return tmp_path / "cube.zarr", {name: array for name, (array, _, _) in values.items()}


@pytest.mark.parametrize("box_bytes", [1, 5_000, 1 << 20])
def test_variables_are_flattened_over_their_named_axes(cube, box_bytes, monkeypatch):
    monkeypatch.setattr("streamlearn.source.zarr.source._BOX_BYTES", box_bytes)
    path, values = cube
    data = sl.scan(path, target="b")
    assert data.features.names == ["a", "lat", "map", "time"]
    assert "'bounds'" in data.source.notes([])[0]
    check_every_row_once(data)
    read = [
        chunk
        for fragment in data.fragments
        for chunk in data.read(fragment, data.features.names, 77)
    ]
    shape = values["a"].shape
    expected = {
        "a": values["a"],
        "map": np.broadcast_to(values["map"], shape),
        "lat": np.broadcast_to(values["lat"][:, None], shape),
        "time": np.broadcast_to(values["time"][:, None, None], shape),
    }
    for name, array in expected.items():
        found = np.concatenate([chunk.X[name].to_numpy() for chunk in read])
        np.testing.assert_array_equal(found, array.reshape(-1))
    np.testing.assert_array_equal(
        np.concatenate([chunk.y for chunk in read]), values["b"].reshape(-1)
    )


@pytest.mark.parametrize("packed", [None, ZstdCodec(), BloscCodec()], ids=["raw", "zstd", "blosc"])
@pytest.mark.parametrize("streamed_from", [0, 1 << 20], ids=["streamed", "at once"])
def test_cut_and_damaged_chunks_are_named(tmp_path, packed, streamed_from, monkeypatch):
    monkeypatch.setattr(stored_chunk, "STREAMED_BYTES", streamed_from)
    values = rng.random((100, 4))
    array = zarr.create_array(
        tmp_path / "a", shape=values.shape, chunks=(20, 4), dtype="f8", compressors=packed
    )
    array[...] = values
    file = tmp_path / "a" / "c" / "2" / "0"
    whole = file.read_bytes()

    def read():
        data = sl.scan(tmp_path / "a")
        return [c for f in data.fragments for c in data.read(f, data.features.names, 1_000)]

    file.write_bytes(whole[:-5])
    with pytest.raises(SourceError, match=r"c/2/0"):
        read()
    file.write_bytes(whole + b"12345678")
    if packed is None:
        with pytest.raises(SourceError, match=r"c/2/0.*640 bytes"):
            read()
    file.write_bytes(b"")
    with pytest.raises(SourceError, match=r"c/2/0"):
        read()


@pytest.mark.parametrize("shards", [None, (40, 4)])
def test_chunks_that_come_go_or_change_after_opening_are_named(tmp_path, shards):
    values = rng.random((100, 4))
    path = tmp_path / "a"
    options = {"chunks": (20, 4), "shards": shards, "dtype": "f8", "fill_value": np.nan}
    zarr.create_array(path, shape=values.shape, **options)[...] = values
    (path / "c" / "1" / "0").unlink()
    data = sl.scan(path)
    file = path / "c" / "2" / "0"
    whole = file.read_bytes()

    def read():
        return [c for f in data.fragments for c in data.read(f, data.features.names, 1_000)]

    assert sum(map(len, read())) == 100
    file.unlink()
    with pytest.raises(SourceError, match="has gone since"):
        read()
    file.write_bytes(whole)
    os.utime(file, ns=(0, 2**62))
    with pytest.raises(SourceError, match=r"c/2/0.*written after"):
        read()
    os.utime(file, ns=(0, 0))
    (path / "c" / "1" / "0").write_bytes(whole)
    with pytest.raises(SourceError, match=r"c/1/0.*written after"):
        read()


def test_a_checksum_that_is_not_true_is_named(tmp_path):
    values = rng.random((100, 4))
    array = zarr.create_array(
        tmp_path / "a",
        shape=values.shape,
        chunks=(20, 4),
        shards=(100, 4),
        dtype="f8",
        compressors=[ZstdCodec(), Crc32cCodec()],
    )
    array[...] = values
    file = tmp_path / "a" / "c" / "0" / "0"
    whole = bytearray(file.read_bytes())
    for place in (30, len(whole) - 20):  # in a chunk, and in the index
        damaged = whole.copy()
        damaged[place] ^= 1
        file.write_bytes(damaged)
        data = sl.scan(tmp_path / "a")
        with pytest.raises(SourceError, match="checksum"):
            list(data.read(data.fragments[0], data.features.names, 1_000))


def test_random_damage_is_an_error_or_changes_values_only(tmp_path):
    """Never a crash, a hang, or another number of rows."""
    values = rng.random((300, 4))
    for number, packed in enumerate((None, ZstdCodec(), BloscCodec(), GzipCodec())):
        path = tmp_path / str(number)
        array = zarr.create_array(
            path, shape=values.shape, chunks=(50, 4), dtype="f8", compressors=packed
        )
        array[...] = values
        files = sorted(path.glob("c/*/0"))
        for _ in range(40):
            file = files[rng.integers(len(files))]
            whole = file.read_bytes()
            damaged = bytearray(whole)
            if rng.random() < 0.3:
                del damaged[int(rng.integers(len(damaged))) :]
            else:
                damaged[int(rng.integers(len(damaged)))] ^= 1 << int(rng.integers(8))
            file.write_bytes(damaged)
            data = sl.scan(path)
            try:
                read = [c for f in data.fragments for c in data.read(f, data.features.names, 70)]
            except DataError as error:
                assert os.fspath(file) in str(error)
            else:
                assert sum(map(len, read)) == 300
            file.write_bytes(whole)


def test_the_ocean_cube_gives_the_model_of_its_arrays_in_memory(shared):
    path = shared / "ocean_zarr" / "cube-5-100-200.zarr"
    names = ["conc_chl", "kd489"]
    there = " AND ".join(f"isfinite({name})" for name in [*names, "conc_tsm"])
    data = sl.scan(path, target="conc_tsm", features=names, where=there)
    result = sl.fit(make_pipeline(StandardScaler(), SGDRegressor(random_state=0)), data)
    assert (result.rows.read, result.rows.learned) == (10_000_000, 1_158_658)
    store = zarr.open_group(path, mode="r")
    arrays = [np.asarray(store[name][...]).reshape(-1) for name in [*names, "conc_tsm"]]
    kept = np.logical_and.reduce([np.isfinite(array) for array in arrays])
    *features, y = (array[kept] for array in arrays)
    X = StandardScaler().fit_transform(np.column_stack(features))
    model = SGDRegressor(random_state=0)
    for start in itertools.count(0, 32_768):
        if start >= len(X):
            break
        model.partial_fit(X[start : start + 32_768], y[start : start + 32_768])
    np.testing.assert_allclose(result.estimator[-1].coef_, model.coef_, rtol=1e-9)


@pytest.mark.parametrize("how", ["direct", "by zarr", "shards"])
def test_a_chunk_that_is_not_stored_is_an_error_unless_it_is_known_to_be_fill(tmp_path, how):
    values = rng.random((100, 4))
    options = {"zarr_format": 2, "order": "F"} if how == "by zarr" else {}
    if how == "shards":
        options["shards"] = (40, 4)
    array = zarr.create_array(
        tmp_path / "a", shape=values.shape, chunks=(20, 4), dtype="f8", **options
    )
    array[...] = values
    (tmp_path / "a" / ("2.0" if how == "by zarr" else "c/2/0")).unlink()

    def read(**given):
        data = sl.scan(tmp_path / "a", **given)
        return data, [c.X for f in data.fragments for c in data.read(f, data.features.names, 33)]

    with pytest.raises(SourceError, match=r"not stored; if they are all 0\.0.*fill_absent=True"):
        read()
    data, parts = read(fill_absent=True)
    start = 80 if how == "shards" else 40
    expected = values.copy()
    expected[start : start + 20] = 0
    np.testing.assert_array_equal(np.concatenate(parts), expected)
    assert "are read as the fill value 0.0" in data.source.notes([])[0]


def test_absent_chunks_of_NaN_are_missing_values_and_counted(tmp_path):
    values = rng.random((100, 3))
    store = zarr.create_group(tmp_path / "a.zarr")
    for at, name in enumerate("aby"):
        store.create_array(
            name, shape=(100,), chunks=(10,), dtype="f8", fill_value=np.nan, dimension_names=("t",)
        )[...] = values[:, at]
    (tmp_path / "a.zarr" / "a" / "c" / "3").unlink()
    data = sl.scan(tmp_path / "a.zarr", target="y", drop_missing=True)
    rows = sl.fit(SGDRegressor(), data).rows
    assert (rows.read, rows.missing, rows.learned) == (100, 10, 90)
    assert "1 of its chunk files are not stored" in data.source.notes(["a", "b", "y"])[0]


def test_the_command_line_learns_from_the_ocean_cube(shared, tmp_path):
    import json

    from click.testing import CliRunner

    from streamlearn.cli.main import cli

    path = shared / "ocean_zarr" / "cube-5-100-200.zarr"
    words = "--target conc_tsm --features conc_chl,kd489 --model sgd-regressor --drop-missing"
    run = tmp_path / "run"
    found = CliRunner().invoke(cli, ["fit", str(path), *words.split(), "-o", str(run), "--json"])
    assert found.exit_code == 0, found.output
    rows = json.loads((run / "metrics.json").read_text())["rows"]
    assert (rows["read"], rows["learned"], rows["missing"]) == (10_000_000, 1_158_658, 8_841_342)


def test_a_blosc_chunk_that_was_cut_is_named_even_where_blosc_would_read_on(tmp_path):
    values = np.frombuffer(rng.bytes(4_000), "u1").reshape(100, 40)
    array = zarr.create_array(
        tmp_path / "a", shape=values.shape, chunks=(50, 40), dtype="u1", compressors=BloscCodec()
    )
    array[...] = values
    file = tmp_path / "a" / "c" / "1" / "0"
    whole = file.read_bytes()
    for length in (len(whole) - 1, len(whole) - 300, 17, 5):
        file.write_bytes(whole[:length])
        data = sl.scan(tmp_path / "a")
        with pytest.raises(SourceError, match="c/1/0"):
            [c for f in data.fragments for c in data.read(f, data.features.names, 100)]


def test_a_member_without_metadata_is_not_overlooked(group):
    path, _, _, _ = group
    (path / "X" / "zarr.json").unlink()
    with pytest.raises(SourceError, match=r"/X: this folder .*no metadata"):
        sl.scan(path)


def test_stores_that_are_no_folders_are_opened_by_their_path_or_as_they_are(tmp_path):
    X = np.arange(12.0).reshape(6, 2)

    def fill(group):
        group.create_array("X", shape=X.shape, chunks=(3, 2), dtype="f8")[...] = X

    with zarr.storage.ZipStore(tmp_path / "a.zip", mode="w") as store:
        fill(zarr.create_group(store))
    memory = zarr.storage.MemoryStore()
    fill(zarr.create_group(memory))
    fill(zarr.open_group("memory://stores-that-are-no-folders.zarr", mode="w"))
    for data in (tmp_path / "a.zip", memory, "memory://stores-that-are-no-folders.zarr"):
        scanned = sl.scan(data)
        read = [c.X for f in scanned.fragments for c in scanned.read(f, scanned.features.names, 4)]
        np.testing.assert_array_equal(np.concatenate(read), X)


@pytest.mark.parametrize("chunks", [(20, 4), (20, 40), (30, 7)])
@pytest.mark.parametrize("packed", [None, ZstdCodec()], ids=["raw", "zstd"])
def test_of_a_wide_array_only_the_chunks_of_the_columns_are_read(tmp_path, chunks, packed):
    values = rng.random((100, 40))
    store = zarr.create_group(tmp_path / "a.zarr")
    for name, array, cut in (("X", values, chunks), ("y", values[:, 3], (50,))):
        store.create_array(name, shape=array.shape, chunks=cut, dtype="f8", compressors=packed)[
            ...
        ] = array
    picks = [3, 1, 2, 39, 15]
    wanted = {pick // chunks[1] for pick in picks}
    for file in (tmp_path / "a.zarr" / "X" / "c").glob("*/*"):
        if int(file.name) not in wanted:
            file.write_bytes(b"damaged")
    data = sl.scan(tmp_path / "a.zarr", features=picks)
    assert data.features.names == ["3", "1", "2", "39", "15"]
    for size in (7, 33, 1_000):
        found = [c for f in data.fragments for c in data.read(f, data.features.names, size)]
        np.testing.assert_array_equal(np.concatenate([c.X for c in found]), values[:, picks])
        np.testing.assert_array_equal(np.concatenate([c.y for c in found]), values[:, 3])
    pipeline = make_pipeline(StandardScaler(), SGDRegressor(random_state=0))
    fitted = sl.fit(pipeline, data).estimator
    expected = sl.fit(pipeline, (values[:, picks], values[:, 3])).estimator
    np.testing.assert_array_equal(fitted[-1].coef_, expected[-1].coef_)
