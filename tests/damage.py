"""Files with a byte flipped or cut short: what reading them comes to. Runs in a process of its own."""

from __future__ import annotations

import gzip
import json
import warnings
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


def write_csv(folder, packed=False):
    text = table().to_pandas().to_csv(index=False)
    if packed:
        with gzip.GzipFile(folder / "a.csv.gz", "wb", mtime=0) as file:
            file.write(text.encode())
        return folder / "a.csv.gz"
    (folder / "a.csv").write_text(text)
    return folder / "a.csv"


def write_jsonl(folder):
    frame = table().to_pandas()
    (folder / "a.jsonl").write_text(frame.to_json(orient="records", lines=True))
    return folder / "a.jsonl"


def write_svmlight(folder):
    from sklearn.datasets import dump_svmlight_file

    X = matrix()
    dump_svmlight_file(X, X.sum(axis=1), str(folder / "a.svm"))
    return folder / "a.svm"


def write_npz(folder, **members):
    X = matrix()
    np.savez(folder / "a.npz", X=X, y=X.sum(axis=1))
    return folder / "a.npz"


def write_sparse(folder):
    from scipy import sparse

    X = sparse.random(ROWS, 20, 0.2, "csr", random_state=np.random.default_rng(0))
    sparse.save_npz(folder / "a.npz", X, compressed=False)
    return folder / "a.npz"


FORMATS = {
    "npy": write_npy,
    "arrow": write_arrow,
    "arrow, zstd": lambda folder: write_arrow(folder, compression="zstd"),
    "zarr": write_zarr,
    "zarr, raw": lambda folder: write_zarr(folder, compressors=None),
    "zarr, shards": lambda folder: write_zarr(folder, shards=True),
    "zarr, version 2": lambda folder: write_zarr(folder, zarr_format=2),
    "npz": write_npz,
    "npz, sparse": write_sparse,
    "csv": write_csv,
    "csv, gzip": lambda folder: write_csv(folder, packed=True),
    "jsonl": write_jsonl,
    "svmlight": write_svmlight,
}
PLAIN = ("csv", "jsonl", "svmlight")
"""Text has no length of its own: what is left of a file cut short may be a whole file."""


def wreck(name: str, folder: str, seeds: int) -> None:
    """Damage, read, mend, once a seed; prints what came of it as JSON."""
    warnings.simplefilter("ignore")  # of zlib and NumPy, on values that damage has made strange
    path = FORMATS[name](Path(folder))
    files = sorted(file for file in [path, *path.rglob("*")] if file.is_file())
    counts = {"errors": 0, "read": 0}
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        file = files[rng.integers(len(files))]
        whole = file.read_bytes()
        damaged = bytearray(whole)
        cut = rng.random() < 0.25
        if cut:
            del damaged[int(rng.integers(len(damaged))) :]
        else:
            at = int(rng.integers(len(damaged)))
            damaged[at] ^= 1 << int(rng.integers(8))
            if name == "svmlight" and damaged.count(b"\n") != whole.count(b"\n"):
                continue  # what follows may be a line of its own
        file.write_bytes(damaged)
        try:
            data = sl.scan(path)
            data.require(data.features.names)
            data.refuse_faults()
            rows = data.rows
            chunks = [c for f in data.fragments for c in data.read(f, data.features.names, 70)]
            for chunk in chunks:
                # What is read is usable to the last value.
                repr(chunk.X.to_pylist() if isinstance(chunk.X, pa.RecordBatch) else chunk.X.sum())
        except StreamlearnError as error:
            assert len(str(error)) > 20, error
            counts["errors"] += 1
        else:
            assert sum(map(len, chunks)) == rows, (seed, file.name, rows)
            assert rows == ROWS or (cut and name in PLAIN and rows < ROWS), (seed, file.name, rows)
            counts["read"] += 1
        file.write_bytes(whole)
    print(json.dumps(counts))
