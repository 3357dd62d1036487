"""Files with a byte flipped or cut short: what reading them comes to. Runs in a process of its own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa

import streamlearn as sl
from streamlearn.errors import StreamlearnError

ROWS = 600


def table():
    rng = np.random.default_rng(0)
    words = np.array(["", "a", "some words", "ünïcode", "x" * 40])
    numbers = rng.normal(size=ROWS)
    return pa.table(
        {
            "a": numbers,
            "b": rng.integers(-9, 9, ROWS),
            "c": pa.array(words[rng.integers(0, 5, ROWS)], mask=rng.random(ROWS) < 0.1),
            "d": pa.array(words[rng.integers(0, 5, ROWS)]).dictionary_encode(),
            "e": rng.random(ROWS) < 0.5,
            "y": 2 * numbers,
        }
    )


def matrix():
    return np.random.default_rng(0).normal(size=(ROWS, 3))


def write_npy(folder):
    np.save(folder / "a.npy", matrix())
    return folder / "a.npy"


def write_arrow(folder, **options):
    whole = table()
    with pa.ipc.new_file(
        folder / "a.arrow", whole.schema, options=pa.ipc.IpcWriteOptions(**options)
    ) as writer:
        writer.write_table(whole, max_chunksize=150)
    return folder / "a.arrow"


def write_zarr(folder, **options):
    import zarr

    store = zarr.create_group(folder / "a.zarr", zarr_format=options.pop("zarr_format", 3))
    X = matrix()
    for name, values in (("X", X), ("y", X.sum(axis=1))):
        chunks = (50, *values.shape[1:])
        shards = {"shards": (200, *values.shape[1:])} if options.get("shards") else {}
        rest = {key: value for key, value in options.items() if key != "shards"}
        array = store.create_array(
            name, shape=values.shape, chunks=chunks, dtype="f8", **shards, **rest
        )
        array[...] = values
    return folder / "a.zarr"


FORMATS = {
    "npy": write_npy,
    "arrow": write_arrow,
    "arrow, zstd": lambda folder: write_arrow(folder, compression="zstd"),
    "zarr": write_zarr,
    "zarr, raw": lambda folder: write_zarr(folder, compressors=None),
    "zarr, shards": lambda folder: write_zarr(folder, shards=True),
    "zarr, version 2": lambda folder: write_zarr(folder, zarr_format=2),
}


def wreck(name: str, folder: str, seeds: int) -> None:
    """Damage, read, mend, once a seed; prints what came of it as JSON."""
    path = FORMATS[name](Path(folder))
    files = sorted(file for file in [path, *path.rglob("*")] if file.is_file())
    counts = {"errors": 0, "read": 0}
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        file = files[rng.integers(len(files))]
        whole = file.read_bytes()
        damaged = bytearray(whole)
        if rng.random() < 0.25:
            del damaged[int(rng.integers(len(damaged))) :]
        else:
            damaged[int(rng.integers(len(damaged)))] ^= 1 << int(rng.integers(8))
        file.write_bytes(damaged)
        try:
            data = sl.scan(path)
            rows = data.rows
            chunks = [c for f in data.fragments for c in data.read(f, data.features.names, 70)]
            for chunk in chunks:
                # What is read is usable to the last value.
                repr(chunk.X.to_pylist() if isinstance(chunk.X, pa.RecordBatch) else chunk.X.sum())
        except StreamlearnError as error:
            assert len(str(error)) > 20, error
            counts["errors"] += 1
        else:
            assert sum(map(len, chunks)) == rows == ROWS, (seed, file.name, rows)
            counts["read"] += 1
        file.write_bytes(whole)
    print(json.dumps(counts))
