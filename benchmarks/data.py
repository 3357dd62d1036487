"""Rows to learn from and rows to score on, made once.

A loop by hand that reads file after file cuts its batches at their ends. Files here hold a
multiple of 32,768 rows, so that such a loop and streamlearn learn from the same batches.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.work import Data
from streamlearn.generate import generate_dense, generate_taxi

__all__ = ["DENSE", "PREDICT", "TAXI", "TEXT", "ZARR_RAW", "ZARR_ZSTD", "made", "read_file"]

FILE_ROWS = 1 << 21
GROUP_ROWS = 1 << 17
_BATCH = 1 << 15


def made(data: Data, folder: Path, rows: int, say: Callable[[str], None] = print) -> Path:
    """Return the folder of some data, made where it is not there yet."""
    place = folder / f"{data.name}-{rows}"
    if not place.exists():
        say(f"  making {rows:,} rows of {data.name}")
        making = folder / f".{place.name}.making"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        try:
            data.make(making, rows)
            making.rename(place)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return place


def held_rows(rows: int) -> int:
    """Return how many rows to score on."""
    return min(200_000, max(2_000, rows // 5))


def _generated(generate: Callable[..., list[Path]]) -> Callable[[Path, int], None]:
    def make(folder: Path, rows: int) -> None:
        """Generate both at once, so that both are of one world, and cut where held-out begins."""
        train, held = folder / "train", folder / "held"
        file_rows = min(FILE_ROWS, -(-rows // _BATCH) * _BATCH)
        files = generate(train, rows + held_rows(rows), rows_per_file=file_rows)
        held.mkdir()
        cut = files[rows // file_rows :]
        table = pa.concat_tables([read_file(path) for path in cut])
        for path in cut:
            path.unlink()
        rest = rows % file_rows
        if rest:
            _write(table.slice(0, rest), cut[0])
        _write(table.slice(rest), held / "part-00000.parquet")

    return make


def read_file(path: Path) -> pa.Table:
    """Return the rows of a parquet file, and close it."""
    with pq.ParquetFile(path) as file:
        return file.read()


def _write(table: pa.Table, path: Path) -> None:
    plain = [field.name for field in table.schema if not pa.types.is_floating(field.type)]
    pq.write_table(
        table,
        path,
        row_group_size=GROUP_ROWS,
        compression="zstd",
        compression_level=1,
        use_dictionary=plain,
    )


def _make_texts(folder: Path, rows: int) -> None:
    """Documents of about ten words, drawn by Zipf's law; some words speak for a label."""
    rng = np.random.default_rng(0)
    size = 50_000
    words = pa.array([_word(number) for number in range(size)])
    weights = rng.normal(size=size)
    for name, count in (("train", rows), ("held", held_rows(rows))):
        (folder / name).mkdir()
        for part, start in enumerate(range(0, count, FILE_ROWS)):
            stop = min(start + FILE_ROWS, count)
            with pq.ParquetWriter(
                folder / name / f"part-{part:05d}.parquet",
                pa.schema([("text", pa.string()), ("label", pa.int8())]),
                compression="zstd",
                use_dictionary=["label"],
            ) as writer:
                for first in range(start, stop, GROUP_ROWS):
                    writer.write_table(_texts(rng, words, weights, min(GROUP_ROWS, stop - first)))


def _word(number: int) -> str:
    """Return a word of two letters or more, the frequent ones short, as words are."""
    letters, number = "", number + 26
    while number:
        number, letter = divmod(number, 26)
        letters += chr(97 + letter)
    return letters


def _texts(rng: np.random.Generator, words: pa.Array, weights: np.ndarray, rows: int) -> pa.Table:
    lengths = 1 + rng.poisson(9, rows)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    picks = (rng.zipf(1.2, int(ends[-1])) - 1) % len(words)
    lists = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), words.take(pa.array(picks)))
    logit = np.add.reduceat(weights[picks], ends[:-1]) + rng.logistic(scale=0.5, size=rows)
    label = (logit > 0).astype(np.int8)
    return pa.table({"text": pc.binary_join(lists, " "), "label": label})


def _stored(packed: bool) -> Callable[[Path, int], None]:
    def make(folder: Path, rows: int) -> None:
        """Write dense rows as arrays X and y of a zarr group, a chunk a batch."""
        import zarr
        from zarr.codecs import ZstdCodec

        dense = folder / "dense"
        DENSE.make(dense, rows)
        group = zarr.open_group(folder / "train" / "rows.zarr", mode="w")
        codec = ZstdCodec(level=1) if packed else None
        X = group.create_array(
            "X", shape=(rows, 28), chunks=(_BATCH, 28), dtype="f4", compressors=codec
        )
        y = group.create_array("y", shape=(rows,), chunks=(_BATCH,), dtype="i1", compressors=codec)
        start = 0
        for path in sorted((dense / "train").glob("*.parquet")):
            for batch in read_file(path).to_batches(max_chunksize=_BATCH):
                stop = start + len(batch)
                X[start:stop] = np.column_stack(
                    [column.to_numpy() for column in batch.columns[:28]]
                )
                y[start:stop] = batch.column(28).to_numpy()
                start = stop
        (dense / "held").rename(folder / "held")
        shutil.rmtree(dense)

    return make


def _make_predict(folder: Path, rows: int) -> None:
    """Write trips, and a model that knows them, fitted on the first of them."""
    import joblib

    from benchmarks.contenders.predict import MODEL
    from benchmarks.contenders.taxi import COLUMNS, TARGET, make_taxi_pipeline

    TAXI.make(folder, rows)
    path = min((folder / "train").glob("*.parquet"))
    first = read_file(path).select([*COLUMNS, TARGET]).slice(0, 200_000).to_pandas()
    pipeline = make_taxi_pipeline(max_iter=1, tol=None)
    joblib.dump(pipeline.fit(first[COLUMNS], first[TARGET].to_numpy()), folder / MODEL)


DENSE = Data("dense", _generated(generate_dense))
TAXI = Data("taxi", _generated(generate_taxi))
PREDICT = Data("predict", _make_predict)
TEXT = Data("text", _make_texts)
ZARR_RAW = Data("zarr-raw", _stored(packed=False))
ZARR_ZSTD = Data("zarr-zstd", _stored(packed=True))
