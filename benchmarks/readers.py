"""Readers against those an expert would use: ``python -m benchmarks.readers [names] [--rows N]``.

Every contender reads the same stored rows, from a warm page cache, into chunks in memory, in a
fresh process; contenders take turns, and medians are reported. Growth is the highest resident
memory (``VmHWM``) less what the process held before the first row.
"""

from __future__ import annotations

import platform
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import click
import numpy as np

from streamlearn.generate.dense import generate_dense
from streamlearn.sizes import format_bytes, parse_rows
from streamlearn.testing import measure

WIDTH = 28
CHUNK = 65_536

_PROGRAM = """
import json, re, time
folder, rows = {folder!r}, {chunk}
{setup}
def memory(name):
    return 1024 * int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1])
open("/proc/self/clear_refs", "w").write("5")
before = memory("VmRSS")
began = time.perf_counter()
total = 0
for size in read():
    total += size
print(json.dumps({{"seconds": time.perf_counter() - began, "rows": total,
                   "growth": memory("VmHWM") - before}}))
"""

OURS = """
import streamlearn as sl
import streamlearn.run
from streamlearn.stream.prefetch import ordered
from streamlearn.stream.reclaim import lean_arrow
data = sl.scan({path}{options})
names = data.features.names
warm = next(data.read(data.fragments[0], names, 16))
def read():
    work = lambda fragment: data.read(fragment, names, rows)
    with lean_arrow():
        for chunk in ordered(data.fragments, work, threads={threads}, depth=1):
            yield len(chunk)
"""

ZARR = """
import zarr
array = zarr.open_array(folder + "/X.zarr", mode="r")
array[:16]
def read():
    step = array.chunks[0]
    for start in range(0, array.shape[0], step):
        yield len(array[start : start + step])
"""

MEMMAP = """
import numpy as np
array = np.load(folder + "/X.npy", mmap_mode="r")
def read():
    for start in range(0, len(array), rows):
        yield len(np.array(array[start : start + rows]))
"""

BATCHES = """
import glob
import pyarrow.parquet as pq
files = sorted(glob.glob(folder + "/*.parquet"))
next(pq.ParquetFile(files[0]).iter_batches(16))
def read():
    for file in files:
        opened = pq.ParquetFile(file{opened})
        for batch in opened.iter_batches(rows{options}):
            yield batch.num_rows
"""

DATASET = """
import pyarrow.dataset as ds
data = ds.dataset(folder, format="parquet")
data.head(16)
def read():
    for batch in data.to_batches(batch_size=rows{options}):
        yield batch.num_rows
"""

CSV = """
import pyarrow.csv
pyarrow.csv.open_csv(folder + "/a.csv").close()
def read():
    for batch in pyarrow.csv.open_csv(folder + "/a.csv"):
        yield batch.num_rows
"""


@dataclass(frozen=True)
class Reading:
    """Readers of one stored form."""

    title: str
    make: Callable[[Path, int], None]
    contenders: dict[str, str]
    share: float = 1.0
    """Of the rows asked for: text is slow to make."""


def _matrix(rows: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, WIDTH)).astype(np.float32)


def _make_zarr(folder: Path, rows: int, **options) -> None:
    import zarr

    array = zarr.create_array(
        folder / "X.zarr", shape=(rows, WIDTH), chunks=(CHUNK, WIDTH), dtype="f4", **options
    )
    for start in range(0, rows, CHUNK):
        array[start : start + CHUNK] = _matrix(min(CHUNK, rows - start))


def make_raw(folder: Path, rows: int) -> None:
    _make_zarr(folder, rows, compressors=None)
    out = np.lib.format.open_memmap(folder / "X.npy", "w+", np.float32, (rows, WIDTH))
    for start in range(0, rows, CHUNK):
        out[start : start + CHUNK] = _matrix(min(CHUNK, rows - start))


def make_packed(folder: Path, rows: int) -> None:
    from zarr.codecs import ZstdCodec

    _make_zarr(folder, rows, compressors=ZstdCodec(level=1))


def make_sharded(folder: Path, rows: int) -> None:
    from zarr.codecs import ZstdCodec

    _make_zarr(folder, rows, compressors=ZstdCodec(level=1), shards=(8 * CHUNK, WIDTH))


def make_parquet(folder: Path, rows: int) -> None:
    generate_dense(folder, rows)


def make_csv(folder: Path, rows: int) -> None:
    import pyarrow as pa
    import pyarrow.csv as pc

    names = [f"x{at}" for at in range(WIDTH)]
    schema = pa.schema([(name, pa.float32()) for name in names])
    with pc.CSVWriter(folder / "a.csv", schema) as writer:
        for start in range(0, rows, CHUNK):
            values = _matrix(min(CHUNK, rows - start)).round(4)
            writer.write(pa.record_batch([values[:, at] for at in range(WIDTH)], names=names))


def ours(path: str, options: str = "") -> dict[str, str]:
    return {
        f"streamlearn, {threads} thread{'s' if threads > 1 else ''}": OURS.format(
            path=path, options=options, threads=threads if threads > 1 else 0
        )
        for threads in (1, 2)
    }


_ZARR = {**ours("folder + '/X.zarr'"), "zarr.Array slices": ZARR}
READINGS = {
    "zarr-raw": Reading("zarr, raw float32", make_raw, {**_ZARR, "np.memmap": MEMMAP}),
    "zarr-zstd": Reading("zarr, zstd float32", make_packed, _ZARR),
    "zarr-shards": Reading("zarr, zstd in shards", make_sharded, _ZARR),
    "parquet": Reading(
        "parquet, 28 float32 columns and a label",
        make_parquet,
        {
            **ours("folder", ", target='label'"),
            "iter_batches": BATCHES.format(opened="", options=""),
            "iter_batches, no threads": BATCHES.format(opened="", options=", use_threads=False"),
            "iter_batches, pre-buffered": BATCHES.format(opened=", pre_buffer=True", options=""),
            "Dataset.to_batches": DATASET.format(options=""),
            "Dataset.to_batches, no readahead": DATASET.format(
                options=", batch_readahead=0, fragment_readahead=0"
            ),
        },
    ),
    "csv": Reading(
        "CSV, 28 columns",
        make_csv,
        {**ours("folder + '/a.csv'"), "pyarrow.csv.open_csv": CSV},
        share=0.125,
    ),
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, type=click.Choice(sorted(READINGS)))
@click.option("--rows", default="8M", show_default=True, help="Rows of 28 float32.")
@click.option("--runs", default=5, show_default=True)
def main(names: tuple[str, ...], rows: str, runs: int) -> None:
    """Measure the readers."""
    packages = ("numpy", "pyarrow", "zarr")
    print(
        f"{platform.machine()}, Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in packages)
    )
    for name in names or READINGS:
        reading = READINGS[name]
        with tempfile.TemporaryDirectory() as folder:
            count = int(parse_rows(rows) * reading.share)
            reading.make(Path(folder), count)
            found: dict[str, list[dict]] = {item: [] for item in reading.contenders}
            for _ in range(runs):
                for item, setup in reading.contenders.items():
                    code = _PROGRAM.format(folder=folder, chunk=CHUNK, setup=setup)
                    measured = measure(code, timeout_s=3_600)
                    assert not measured.exit_code, measured.errors[-2_000:]
                    assert measured.last["rows"] == count, (item, measured.last)
                    found[item].append(measured.last)
        print(f"\n{reading.title}: {count:,} rows, medians of {runs}\n")
        print("| reader | seconds | speed | growth |\n|---|---|---|---|")
        first = statistics.median(run["seconds"] for run in next(iter(found.values())))
        for item, measured in found.items():
            seconds = statistics.median(run["seconds"] for run in measured)
            growth = max(run["growth"] for run in measured)
            print(f"| {item} | {seconds:.2f} | {first / seconds:.2f} | {format_bytes(growth)} |")


if __name__ == "__main__":
    main()
