"""The memory matrix: data made to break a budget, the budget, and what has to happen.

Each case makes its data at a share of its full size and is a program that leaves ``result`` in
scope. The tests run the cases reduced, ``make test-slow`` and ``python -m benchmarks.memory``
in full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from streamlearn.generate import generate_dense, generate_taxi

__all__ = ["CASES", "Case"]

_RNG_ROWS = 65_536


@dataclass(frozen=True)
class Case:
    """One row of the matrix."""

    name: str
    title: str
    budget: str
    data: str
    """Name of the data: cases of one name share them."""
    make: Callable[[Path, float], None]
    """Writes the data into a folder, at a share of the full size."""
    code: str
    """Python that may use ``folder`` and ``budget`` and leaves ``result``."""
    reduced: float
    """Share of the full size that still exceeds the budget."""
    foreign_bytes: int = 0
    """Taken meanwhile by someone else in the process, and so in no projection."""
    refused: str = ""
    """Words of the refusal, where the budget must not do."""
    loop: str = ""
    """The same by hand: pyarrow and ``partial_fit``."""
    dask: str = ""
    """The same with dask-ml's ``Incremental``."""


# --- data ------------------------------------------------------------------------------------


def _numbers(rows: int, columns: int, dtype: str, seed: int) -> pa.RecordBatch:
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(rows).astype(dtype) for _ in range(columns)]
    label = (arrays[0] + arrays[1 % columns] > 0).astype(np.int8)
    names = [f"f{index}" for index in range(columns)]
    return pa.RecordBatch.from_arrays([*map(pa.array, arrays), pa.array(label)], [*names, "label"])


def _pieces(rows: int, columns: int, dtype: str) -> Iterator[pa.RecordBatch]:
    for start in range(0, rows, _RNG_ROWS):
        yield _numbers(min(_RNG_ROWS, rows - start), columns, dtype, start)


def _dense(rows: int) -> Callable[[Path, float], None]:
    def make(folder: Path, share: float) -> None:
        generate_dense(folder, int(rows * share))

    return make


def _taxi(folder: Path, share: float) -> None:
    """Mixed columns, with gaps, of two hundred categories and more."""
    generate_taxi(folder, int(20_000_000 * share))


def _one_group(folder: Path, share: float) -> None:
    """One file, one row group."""
    table = pa.Table.from_batches(_pieces(int(10_000_000 * share), 20, "float64"))
    pq.write_table(table, folder / "one.parquet", row_group_size=len(table))


def _one_page(folder: Path, share: float) -> None:
    """One row group whose columns are each one page."""
    table = pa.Table.from_batches(_pieces(int(3_000_000 * share), 20, "float64"))
    options = {"max_rows_per_page": 1 << 30} if pa.__version__ >= "24" else {}
    pq.write_table(
        table,
        folder / "one.parquet",
        row_group_size=len(table),
        data_page_size=1 << 30,
        write_batch_size=1 << 30,
        use_dictionary=False,
        **options,
    )


def _wide(folder: Path, share: float) -> None:
    """Five thousand columns in one row group."""
    rows = int(50_000 * share)
    table = pa.Table.from_batches(
        [
            _numbers(min(2_048, rows - start), 5_000, "float64", start)
            for start in range(0, rows, 2_048)
        ]
    )
    pq.write_table(
        table,
        folder / "wide.parquet",
        row_group_size=rows,
        use_dictionary=False,
        write_statistics=False,
    )


def _strings(folder: Path, share: float) -> None:
    """Short texts in the first half of the files, a thousand times longer ones in the second."""
    rng = np.random.default_rng(0)
    for part in range(8):
        length = 10 if part < 4 else 10_000
        rows = int(120_000 * share) if part >= 4 else 500_000
        pool = rng.integers(97, 123, 4_000_000, dtype=np.uint8).tobytes().decode()
        schema = pa.schema([("note", pa.string()), ("x", pa.float64()), ("label", pa.int8())])
        with pq.ParquetWriter(folder / f"part-{part}.parquet", schema) as writer:
            for start in range(0, rows, 4_096):
                size = min(4_096, rows - start)
                begins = rng.integers(0, len(pool) - length, size)
                x = rng.standard_normal(size)
                columns = [
                    pa.array([pool[begin : begin + length] for begin in begins]),
                    pa.array(x),
                    pa.array((x > 0).astype(np.int8)),
                ]
                writer.write_batch(pa.record_batch(columns, schema=schema))


def _many_files(folder: Path, share: float) -> None:
    """Twenty thousand files of five hundred rows."""
    rows = _numbers(20_000, 40, "float64", 0)
    for part in range(int(20_000 * share)):
        start = part * 500 % 19_500
        pq.write_table(
            pa.Table.from_batches([rows.slice(start, 500)]), folder / f"part-{part:05}.parquet"
        )


def _ids(folder: Path, share: float) -> None:
    """Two million distinct users, each in ten rows, and ten classes."""
    users = int(2_000_000 * share)
    rng = np.random.default_rng(0)
    schema = pa.schema([("user", pa.int64()), ("x", pa.float64()), ("label", pa.int8())])
    with pq.ParquetWriter(folder / "ids.parquet", schema) as writer:
        for _ in range(10):
            ids = rng.permutation(users) * 7919
            for start in range(0, users, 131_072):
                part = ids[start : start + 131_072]
                columns = [
                    pa.array(part),
                    pa.array(rng.standard_normal(len(part))),
                    pa.array((part // 7919 % 10).astype(np.int8)),
                ]
                writer.write_batch(pa.record_batch(columns, schema=schema))


def _zarr(folder: Path, share: float) -> None:
    """Rows of chunks of 200 MB decoded, compressed by zstd."""
    import zarr

    per_chunk, chunks = 1_800_000, max(4, int(24 * share))
    group = zarr.create_group(folder / "store.zarr")
    shape = (per_chunk * chunks, 28)
    X = group.create_array("X", shape=shape, chunks=(per_chunk, 28), dtype="float32")
    y = group.create_array("y", shape=shape[:1], chunks=(per_chunk,), dtype="int8")
    for chunk in range(chunks):
        rng = np.random.default_rng(chunk)
        values = rng.standard_normal((per_chunk, 28), dtype=np.float32)
        span = slice(chunk * per_chunk, (chunk + 1) * per_chunk)
        X[span], y[span] = values, values[:, 0] + values[:, 1] > 0


# --- programs --------------------------------------------------------------------------------

_SCALED = """
import streamlearn as sl
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
pipeline = make_pipeline(StandardScaler(), SGDClassifier(random_state=0))
data = sl.scan(folder, target="label"{options})
result = sl.fit(pipeline, data, memory_budget=budget{more})
"""

_LOOP = """
import glob
import numpy as np
import pyarrow.parquet as pq
from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import StandardScaler

columns = {columns}

def batches():
    for path in sorted(glob.glob(folder + "/*.parquet")):
        names = columns and [*columns, "label"]
        for batch in pq.ParquetFile(path).iter_batches(batch_size=32768, columns=names):
            frame = batch.to_pandas()
            yield frame.drop(columns="label").to_numpy(), frame["label"].to_numpy()

scaler, model = StandardScaler(), SGDClassifier(random_state=0)
for X, y in batches():
    scaler.partial_fit(X)
for X, y in batches():
    model.partial_fit(scaler.transform(X), y, classes=[0, 1])
"""

_DASK = """
import dask
import dask.array as da
import dask.dataframe as dd
from dask_ml.preprocessing import StandardScaler
from dask_ml.wrappers import Incremental
from sklearn.linear_model import SGDClassifier
columns = {columns}
frame = dd.read_parquet(folder, columns=columns and [*columns, "label"], split_row_groups=True)
parts = frame.to_delayed(optimize_graph=False)
sizes = dask.compute(*(dask.delayed(len)(part) for part in parts))
width, dtype = len(frame.columns) - 1, frame.dtypes.iloc[0]

@dask.delayed
def features(part):
    return part.drop(columns="label").to_numpy()

@dask.delayed
def labels(part):
    return part["label"].to_numpy()

X = [da.from_delayed(features(p), (n, width), dtype) for p, n in zip(parts, sizes)]
y = [da.from_delayed(labels(p), (n,), "int8") for p, n in zip(parts, sizes)]
X = StandardScaler().fit_transform(da.concatenate(X))
model = Incremental(SGDClassifier(random_state=0))
model.fit(X, da.concatenate(y), classes=[0, 1])
"""

_TWENTY = [f"f{index}" for index in range(20)]


def _scaled(options: str = "", more: str = "") -> str:
    return _SCALED.format(options=options, more=more)


_TAXI_CODE = """
import streamlearn as sl
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
codes = ["PULocationID", "DOLocationID", "payment_type", "store_and_fwd_flag"]
numbers = ["trip_distance", "passenger_count"]
dates = ["lpep_pickup_datetime"]
data = sl.scan(folder, target="fare_amount", features=[*codes, *numbers, *dates])
pipeline = make_pipeline(
    ColumnTransformer([
        ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        ("codes", OneHotEncoder(handle_unknown="ignore"), codes),
        ("dates", make_pipeline(sl.DateFeatures(), SimpleImputer(), StandardScaler()), dates),
    ]),
    SGDRegressor(random_state=0),
)
result = sl.fit(pipeline, data, memory_budget=budget, epochs=3)
"""

_STRINGS_CODE = """
import pyarrow.compute as pc
import streamlearn as sl
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
data = sl.scan(folder, target="label", features=["length", "x"],
               derive={"length": pc.utf8_length(pc.field("note"))})
pipeline = make_pipeline(StandardScaler(), SGDClassifier(random_state=0))
result = sl.fit(pipeline, data, memory_budget=budget)
"""

_IDS_CODE = """
import streamlearn as sl
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
pipeline = make_pipeline(
    ColumnTransformer([
        ("user", OneHotEncoder(handle_unknown="infrequent_if_exist"{options}), ["user"]),
        ("x", StandardScaler(), ["x"]),
    ]),
    SGDClassifier(random_state=0),
)
result = sl.fit(pipeline, sl.scan(folder, target="label"), memory_budget=budget)
"""

_OTHER_THREAD = """
import threading, time
import numpy as np
started = threading.Event()

def watch(event):
    if type(event).__name__ == "ChunkRead" and event.rows > 500_000:
        started.set()

def take():
    started.wait()
    taken = np.ones(150_000_000 // 8)
    time.sleep(0.5)
    del taken

threading.Thread(target=take, daemon=True).start()
"""

_ZARR_LOOP = """
import numpy as np
import zarr
from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import StandardScaler

group = zarr.open_group(folder + "/store.zarr", mode="r")
X, y = group["X"], group["y"]
scaler, model = StandardScaler(), SGDClassifier(random_state=0)
for start in range(0, len(X), X.chunks[0]):
    scaler.partial_fit(X[start : start + X.chunks[0]])
for start in range(0, len(X), X.chunks[0]):
    stop = start + X.chunks[0]
    model.partial_fit(scaler.transform(X[start:stop]), y[start:stop], classes=[0, 1])
"""

CASES: tuple[Case, ...] = (
    Case(
        "dense",
        "dense, 28 float32, 100 M rows (11.6 GB decoded)",
        "512MB",
        "dense",
        _dense(100_000_000),
        _scaled(),
        0.06,
        loop=_LOOP.format(columns=None),
        dask=_DASK.format(columns=None),
    ),
    Case(
        "dense-smallest",
        "dense, 28 float32, 10 M rows, the smallest budget",
        "352MB",
        "dense-10M",
        _dense(10_000_000),
        _scaled(),
        0.4,
        loop=_LOOP.format(columns=None),
        dask=_DASK.format(columns=None),
    ),
    Case(
        "one-row-group",
        "one row group of 10 M x 20 float64",
        "512MB",
        "one-row-group",
        _one_group,
        _scaled(),
        0.4,
        loop=_LOOP.format(columns=None),
        dask=_DASK.format(columns=None),
    ),
    Case(
        "one-page",
        "one page per column, 3 M x 20 float64",
        "512MB",
        "one-page",
        _one_page,
        _scaled(),
        1.0,
        loop=_LOOP.format(columns=None),
        dask=_DASK.format(columns=None),
    ),
    Case(
        "wide-20",
        "5,000 float64 columns x 50 k rows, 20 used",
        "384MB",
        "wide",
        _wide,
        _scaled(f", features={_TWENTY}"),
        0.55,
        loop=_LOOP.format(columns=_TWENTY),
        dask=_DASK.format(columns=_TWENTY),
    ),
    Case(
        "wide-all",
        "5,000 float64 columns x 50 k rows (2 GB), all used",
        "1024MB",
        "wide",
        _wide,
        _scaled(),
        0.55,
        loop=_LOOP.format(columns=None),
        dask=_DASK.format(columns=None),
    ),
    Case(
        "strings",
        "texts of 10 bytes, then of 10 kB",
        "512MB",
        "strings",
        _strings,
        _STRINGS_CODE,
        0.15,
    ),
    Case(
        "many-files",
        "20,000 files of 500 rows x 40 float64",
        "384MB",
        "many-files",
        _many_files,
        _scaled(),
        0.125,
        loop=_LOOP.format(columns=None),
        dask=_DASK.format(columns=None),
    ),
    Case(
        "ids",
        "one-hot of 2 M distinct ids, 10 classes",
        "384MB",
        "ids",
        _ids,
        _IDS_CODE.format(options=""),
        0.5,
        refused="categories",
    ),
    Case(
        "ids-grouped",
        "the same with max_categories=1000",
        "384MB",
        "ids",
        _ids,
        _IDS_CODE.format(options=", max_categories=1000"),
        0.5,
    ),
    Case(
        "taxi",
        "taxi-like, 20 M rows, mixed pipeline, 3 epochs",
        "448MB",
        "taxi",
        _taxi,
        _TAXI_CODE,
        0.35,
    ),
    Case(
        "other-thread",
        "another thread takes 150 MB mid-run",
        "640MB",
        "dense-10M",
        _dense(10_000_000),
        _OTHER_THREAD + _scaled(more=", listeners=[watch]"),
        0.6,
        foreign_bytes=150_000_000,
    ),
    Case(
        "zarr",
        "zarr, rows of chunks of 200 MB decoded (4.8 GB)",
        "640MB",
        "zarr",
        _zarr,
        _scaled().replace('sl.scan(folder, target="label")', 'sl.scan(folder + "/store.zarr")'),
        0.17,
        loop=_ZARR_LOOP,
    ),
)
"""The matrix of the memory promise."""
