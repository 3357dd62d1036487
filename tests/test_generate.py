"""Synthetic data sets: their schema, their sameness, their likeness to the real months."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from streamlearn.errors import UsageError
from streamlearn.generate import generate_dense, generate_taxi
from streamlearn.generate.taxi import _place_in_time

if TYPE_CHECKING:
    from collections.abc import Callable

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "green"

TAXI_SCHEMA = {
    "VendorID": "int32",
    "lpep_pickup_datetime": "timestamp[us]",
    "lpep_dropoff_datetime": "timestamp[us]",
    "store_and_fwd_flag": "large_string",
    "RatecodeID": "int64",
    "PULocationID": "int32",
    "DOLocationID": "int32",
    "passenger_count": "int64",
    "trip_distance": "double",
    "fare_amount": "double",
    "extra": "double",
    "mta_tax": "double",
    "tip_amount": "double",
    "tolls_amount": "double",
    "ehail_fee": "double",
    "improvement_surcharge": "double",
    "total_amount": "double",
    "payment_type": "int64",
    "trip_type": "int64",
    "congestion_surcharge": "double",
}
NULL_TOGETHER = {
    "store_and_fwd_flag",
    "RatecodeID",
    "passenger_count",
    "payment_type",
    "trip_type",
    "congestion_surcharge",
}
BOTH = pytest.mark.parametrize("generate", [generate_taxi, generate_dense])


def read(paths: list[Path]) -> pa.Table:
    return pa.concat_tables([pq.ParquetFile(path).read() for path in paths]).combine_chunks()


def types(schema: pa.Schema) -> dict[str, str]:
    return {field.name: str(field.type) for field in schema}


def column(table: pa.Table, name: str) -> Any:
    return table[name].to_numpy()


def minutes(table: pa.Table) -> Any:
    taken = column(table, "lpep_dropoff_datetime") - column(table, "lpep_pickup_datetime")
    return taken / np.timedelta64(1, "m")


@pytest.fixture(scope="module")
def taxi(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    return read(generate_taxi(tmp_path_factory.mktemp("taxi"), 80_000))


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    return read(generate_dense(tmp_path_factory.mktemp("dense"), 40_000, columns=8))


# --- schema and shape ------------------------------------------------------------------------


def test_taxi_schema(taxi: pa.Table) -> None:
    assert types(taxi.schema) == TAXI_SCHEMA
    assert list(taxi.schema.names) == list(TAXI_SCHEMA)


def test_dense_schema(dense: pa.Table) -> None:
    names = [f"f{number}" for number in range(8)]
    assert types(dense.schema) == dict.fromkeys(names, "float") | {"label": "int8"}
    assert dense.schema.names == [*names, "label"]


def test_dense_has_28_features_unless_told(tmp_path: Path) -> None:
    (path,) = generate_dense(tmp_path, 1)
    assert len(pq.read_schema(path)) == 29


@BOTH
def test_files_and_row_groups_have_the_size_asked_for(
    generate: Callable[..., list[Path]], tmp_path: Path
) -> None:
    paths = generate(tmp_path / "new" / "place", 2_500, rows_per_file=1_000, rows_per_group=300)
    assert paths == [tmp_path / "new" / "place" / f"part-0000{n}.parquet" for n in range(3)]
    sizes = []
    for path in paths:
        meta = pq.read_metadata(path)
        sizes.append([meta.row_group(n).num_rows for n in range(meta.num_row_groups)])
        assert meta.row_group(0).column(0).compression == "ZSTD"
    assert sizes == [[300, 300, 300, 100], [300, 300, 300, 100], [300, 200]]


@BOTH
def test_group_larger_than_a_block_is_one_group(
    generate: Callable[..., list[Path]], tmp_path: Path
) -> None:
    (path,) = generate(tmp_path, 50_000)
    assert pq.read_metadata(path).num_row_groups == 1
    assert pq.read_metadata(path).num_rows == 50_000


@BOTH
def test_progress_counts_rows_over_all_files(
    generate: Callable[..., list[Path]], tmp_path: Path
) -> None:
    seen: list[int] = []
    generate(tmp_path, 250, rows_per_file=100, rows_per_group=60, progress=seen.append)
    assert seen == [60, 100, 160, 200, 250]


# --- sameness --------------------------------------------------------------------------------


@BOTH
def test_rows_do_not_depend_on_files_and_groups(
    generate: Callable[..., list[Path]], tmp_path: Path
) -> None:
    # More than two blocks, with cuts that fall on none of their borders.
    whole = generate(tmp_path / "whole", 40_000)
    cut = generate(tmp_path / "cut", 40_000, rows_per_file=16_385, rows_per_group=7_001)
    assert len(cut) == 3
    assert read(whole).equals(read(cut))


@BOTH
def test_fewer_rows_are_a_prefix_of_more(
    generate: Callable[..., list[Path]], tmp_path: Path
) -> None:
    more = read(generate(tmp_path / "more", 20_000))
    for rows in (1, 16_384, 16_385):
        assert read(generate(tmp_path / str(rows), rows)).equals(more.slice(0, rows))


@BOTH
def test_same_call_gives_same_bytes(generate: Callable[..., list[Path]], tmp_path: Path) -> None:
    (one,), (two,) = (generate(tmp_path / name, 500, seed=7) for name in "ab")
    assert one.read_bytes() == two.read_bytes()


def test_other_seeds_give_other_trips_of_one_city(tmp_path: Path) -> None:
    means = []
    for seed in (0, 1):
        generate_taxi(tmp_path / str(seed), 60_000, seed=seed)
        frame = pq.read_table(tmp_path / str(seed)).to_pandas()
        means.append(frame.PULocationID.value_counts().head(40))
    assert means[0].index[:3].tolist() == means[1].index[:3].tolist()
    assert means[0].corr(means[1]) > 0.99


@BOTH
def test_seed_changes_the_rows(generate: Callable[..., list[Path]], tmp_path: Path) -> None:
    one, two = (read(generate(tmp_path / str(seed), 500, seed=seed)) for seed in (0, 1))
    for name in ("trip_distance", "PULocationID", "f0", "f27", "label"):
        if name in one.schema.names:
            assert not one[name].equals(two[name])


def test_dense_blocks_of_wide_rows_join_without_repeating(tmp_path: Path) -> None:
    # 2,000 columns: a block is some 256 rows.
    table = read(generate_dense(tmp_path, 600, columns=2_000))
    assert table.num_rows == 600
    assert len(np.unique(column(table, "f0"))) == 600


# --- what cannot be right --------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("name", ["rows", "rows_per_file", "rows_per_group"])
@pytest.mark.parametrize("value", [0, -3])
def test_sizes_below_one(
    generate: Callable[..., list[Path]], tmp_path: Path, name: str, value: int
) -> None:
    out = tmp_path / "out"
    with pytest.raises(UsageError, match=rf"{name} must be at least 1, got {value}"):
        generate(out, **({"rows": 10} | {name: value}))
    assert not out.exists()


def test_other_numbers_out_of_range(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="columns must be at least 1, got 0"):
        generate_dense(tmp_path, 10, columns=0)
    with pytest.raises(UsageError, match="seed must be at least 0, got -1"):
        generate_taxi(tmp_path, 10, seed=-1)
    with pytest.raises(UsageError, match=r"rows must be a whole number, got 1\.5"):
        generate_taxi(tmp_path, 1.5)  # type: ignore[arg-type]


@BOTH
def test_directory_with_parts_is_refused(
    generate: Callable[..., list[Path]], tmp_path: Path
) -> None:
    old = tmp_path / "part-00007.parquet"
    old.write_bytes(b"old")
    with pytest.raises(UsageError, match="choose another directory or empty it") as caught:
        generate(tmp_path, 10)
    assert str(tmp_path) in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == [old.name]
    assert old.read_bytes() == b"old"


@BOTH
def test_other_files_in_the_directory_stay(
    generate: Callable[..., list[Path]], tmp_path: Path
) -> None:
    (tmp_path / "README").write_text("mine", encoding="utf-8")
    generate(tmp_path, 10)
    assert (tmp_path / "README").read_text(encoding="utf-8") == "mine"


def test_file_in_place_of_the_directory(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UsageError, match="is not a directory"):
        generate_taxi(file, 10)


# --- atomicity -------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_failure_leaves_nothing(
    generate: Callable[..., list[Path]], tmp_path: Path, error: BaseException
) -> None:
    listings: list[list[str]] = []

    def fail_in_the_second_file(rows: int) -> None:
        listings.append(sorted(path.name for path in tmp_path.glob("*.parquet")))
        if rows > 100:
            raise error

    with pytest.raises(type(error)):
        generate(
            tmp_path, 300, rows_per_file=100, rows_per_group=50, progress=fail_in_the_second_file
        )
    # Nothing bears its final name before all is written.
    assert listings == [[], [], []]
    assert list(tmp_path.iterdir()) == []


@BOTH
def test_failure_of_the_last_step_leaves_nothing(
    generate: Callable[..., list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        generate(tmp_path, 10)
    assert list(tmp_path.iterdir()) == []


@BOTH
def test_file_that_cannot_grow_leaves_nothing(
    generate: Callable[..., list[Path]], tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource", reason="no file size limit on this platform")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        # The real thing: the operating system refuses in the midst of a row group.
        with pytest.raises(OSError, match="File too large"):
            generate(tmp_path, 40_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


# --- taxi: the values ------------------------------------------------------------------------


def test_taxi_nulls_fall_in_the_same_rows(taxi: pa.Table) -> None:
    missing = np.asarray(taxi["payment_type"].is_null())
    assert 0.06 < missing.mean() < 0.07
    for name in TAXI_SCHEMA:
        nulls = np.asarray(taxi[name].is_null())
        if name in NULL_TOGETHER:
            assert np.array_equal(nulls, missing), name
        elif name == "ehail_fee":
            assert nulls.all()
        else:
            assert not nulls.any(), name


def test_taxi_codes_are_those_of_the_real_months(taxi: pa.Table) -> None:
    expected: dict[str, set[Any]] = {
        "VendorID": {1, 2},
        "store_and_fwd_flag": {"Y", "N"},
        "RatecodeID": {1, 2, 3, 4, 5, 99},
        "passenger_count": set(range(7)),
        "payment_type": {1, 2, 3, 4},
        "trip_type": {1, 2},
        "congestion_surcharge": {0.0, 2.75},
    }
    for name, values in expected.items():
        assert set(taxi[name].drop_null().to_pylist()) == values, name


def test_taxi_zones_are_skewed_and_in_range(taxi: pa.Table) -> None:
    for name, top in (("PULocationID", 0.18), ("DOLocationID", 0.05)):
        counts = np.bincount(column(taxi, name))
        assert counts[0] == 0
        assert len(counts) <= 266
        assert counts.max() / taxi.num_rows == pytest.approx(top, abs=0.02)
        assert np.count_nonzero(counts) > 200


def test_taxi_has_the_dirt_of_the_real_months(taxi: pa.Table) -> None:
    distance, taken = column(taxi, "trip_distance"), minutes(taxi)
    assert 0.0002 < (distance > 500).mean() < 0.0012
    assert 10_000 < distance.max() <= 100_000
    assert 0.03 < (distance == 0).mean() < 0.06
    assert distance.min() == 0
    assert 0.001 < (taken > 1_380).mean() < 0.003
    assert 0 <= taken.min() < taken.max() < 1_440
    assert 0.002 < (column(taxi, "fare_amount") < 0).mean() < 0.004


def test_taxi_total_is_the_sum_of_its_parts(taxi: pa.Table) -> None:
    parts = ("fare_amount", "extra", "mta_tax", "tip_amount", "tolls_amount")
    total = sum(column(taxi, name) for name in (*parts, "improvement_surcharge"))
    total += np.nan_to_num(column(taxi, "congestion_surcharge"))
    np.testing.assert_allclose(column(taxi, "total_amount"), total, atol=1e-6)


def test_taxi_times_run_on_from_month_to_month(taxi: pa.Table) -> None:
    pickup = column(taxi, "lpep_pickup_datetime")
    month = pickup.astype("datetime64[M]")
    # 65,536 trips make the first month, and the next has begun.
    assert set(month[:65_536]) == {np.datetime64("2019-01")}
    assert set(month[65_536:]) == {np.datetime64("2019-02")}
    # Roughly in order: not row by row, but never more than an hour back.
    assert (np.diff(pickup) < np.timedelta64(0)).any()
    behind = np.maximum.accumulate(pickup) - pickup
    assert behind.max() <= np.timedelta64(1, "h")


def test_taxi_months_grow_and_then_stay() -> None:
    # A billion rows would be needed to see this in files.
    place = _place_in_time
    places = [place(index) for index in range(4 * 600)]
    month, piece, pieces = places[0]
    assert (month, piece, pieces) == (0, 0, 4)
    for (old, at, of), (new, then, _) in itertools.pairwise(places):
        assert (new, then) == ((old, at + 1) if at + 1 < of else (old + 1, 0))
    assert max(of for _, _, of in places) == places[-1][2] == 120


def test_taxi_duration_can_be_learned(taxi: pa.Table) -> None:
    taxi = taxi.slice(0, 40_000)
    taken, distance = minutes(taxi), column(taxi, "trip_distance")
    keep = (taken >= 1) & (taken <= 60) & (distance < 100)
    pickup = column(taxi, "lpep_pickup_datetime").astype("datetime64[h]").astype(np.int64)
    blocks = [
        np.ones((int(keep.sum()), 1), dtype=np.float32),
        distance[keep, None].astype(np.float32),
        one_hot(column(taxi, "PULocationID")[keep], 266),
        one_hot(column(taxi, "DOLocationID")[keep], 266),
        one_hot(pickup[keep] % 24, 24),
    ]
    constant, miles, zones, hours = (
        held_out_error(np.hstack(blocks[:number]), taken[keep]) for number in (1, 2, 4, 5)
    )
    assert miles < 0.75 * constant
    # The zones tell more than the distance alone, and the hour more than both.
    assert zones < 0.97 * miles
    assert hours < 0.99 * zones


def one_hot(codes: Any, size: int) -> Any:
    return (codes[:, None] == np.arange(size)).astype(np.float32)


def held_out_error(features: Any, target: Any) -> float:
    """Root mean square error on the last third, of a ridge fitted to the rest."""
    cut = len(target) * 2 // 3
    known = features[:cut]
    normal = (known.T @ known).astype(np.float64) + np.eye(features.shape[1])
    weights = np.linalg.solve(normal, known.T @ target[:cut])
    return float(np.sqrt(np.mean((features[cut:] @ weights - target[cut:]) ** 2)))


@pytest.mark.parametrize("month", ["2023-02", "2023-03", "2024-01"])
def test_taxi_is_like_a_real_month(taxi: pa.Table, month: str) -> None:
    path = REAL / f"green_tripdata_{month}.parquet"
    if not path.exists():
        pytest.skip(f"real green taxi data not found: {path.name}")
    real = pq.ParquetFile(path).read()
    assert types(real.schema) == types(taxi.schema)
    for name in TAXI_SCHEMA:
        shares = [table[name].null_count / table.num_rows for table in (taxi, real)]
        assert shares[0] == pytest.approx(shares[1], abs=0.015), name
    for values in (minutes, lambda table: column(table, "trip_distance")):
        assert np.median(values(taxi)) == pytest.approx(np.median(values(real)), rel=0.15)
    for name in ("fare_amount", "total_amount"):
        medians = [np.median(column(table, name)) for table in (taxi, real)]
        assert medians[0] == pytest.approx(medians[1], rel=0.15), name


# --- dense: the values -----------------------------------------------------------------------


def test_dense_features_are_normal_with_varied_scales(dense: pa.Table) -> None:
    features = np.column_stack([column(dense, f"f{number}") for number in range(8)])
    spread = features.std(axis=0)
    assert spread.max() / spread.min() > 3
    assert spread.min() > 0.09
    assert spread.max() < 11
    standard = (features - features.mean(axis=0)) / spread
    assert np.abs(np.mean(standard**3, axis=0)).max() < 0.1
    assert np.abs(np.mean(standard**4, axis=0) - 3).max() < 0.2
    assert np.abs(np.corrcoef(standard.T) - np.eye(8)).max() < 0.05


@pytest.mark.parametrize("columns", [1, 28])
def test_dense_label_can_be_learned(tmp_path: Path, columns: int) -> None:
    table = read(generate_dense(tmp_path, 20_000, columns=columns))
    label = column(table, "label")
    assert set(label) == {0, 1}
    assert label.mean() == pytest.approx(0.5, abs=0.02)
    features = np.column_stack([column(table, f"f{number}") for number in range(columns)])
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    # For normal features the means of the two classes point along the true weights.
    weights = standard[:10_000].T @ (label[:10_000] - 0.5)
    right = (standard[10_000:] @ weights > 0) == label[10_000:]
    assert 0.8 < right.mean() < 0.9


# --- the module itself -----------------------------------------------------------------------


def test_memory_does_not_grow_with_the_rows_and_pandas_stays_out(tmp_path: Path) -> None:
    # In a process of its own: this one already holds pandas, and a higher mark.
    script = """
import resource, sys
from streamlearn.generate import generate_taxi
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
generate_taxi(sys.argv[1] + "/few", 50_000, rows_per_group=10_000)
before = peak()
generate_taxi(sys.argv[1] + "/more", 500_000, rows_per_group=10_000)
print(peak() - before, "pandas" in sys.modules, "pyarrow.dataset" in sys.modules)
"""
    pytest.importorskip("resource", reason="no peak memory on this platform")
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
    )
    grown, pandas, dataset = done.stdout.split()
    # 450,000 more rows are 70 MB in memory.
    assert float(grown) < 20
    assert (pandas, dataset) == ("False", "False")
