"""Reads damaged parquet files one after the other, in a process of its own.

``python corrupt_parquet.py FIRST STOP NAME ...`` prints one line for each damage of each file:
what became of it. A line that is not there is where the process died.
"""

from __future__ import annotations

import io
import os
import random
import sys
import tempfile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import streamlearn as sl
from streamlearn.errors import StreamlearnError

KINDS = {
    "snappy": {"compression": "snappy"},
    "plain": {"compression": "none", "use_dictionary": False},
    "dictionary": {"compression": "none"},
    "zstd-v2": {"compression": "zstd", "data_page_version": "2.0"},
    "gzip-checked": {"compression": "gzip", "write_page_checksum": True},
    "lz4-v2-checked": {
        "compression": "lz4",
        "data_page_version": "2.0",
        "write_page_checksum": True,
    },
    "delta": {
        "compression": "none",
        "use_dictionary": False,
        "column_encoding": {"i": "DELTA_BINARY_PACKED", "s": "DELTA_BYTE_ARRAY"},
    },
}
ROWS = 400


def make(name: str) -> bytes:
    """Return the file, whole."""
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "x": rng.normal(size=ROWS),
            "i": rng.integers(0, 9, ROWS),
            "s": [None if at % 7 == 0 else f"word {at % 13}" for at in range(ROWS)],
            "b": rng.random(ROWS) < 0.5,
            "d": pa.array([f"c{at % 5}" for at in range(ROWS)]).dictionary_encode(),
            "t": pa.array(np.arange(ROWS), pa.timestamp("us", "UTC")),
        }
    )
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=150, data_page_size=500, **KINDS[name])
    return out.getvalue()


def damaged(content: bytes, seed: int) -> tuple[str, bytes]:
    """Flip a bit, overwrite a few bytes, or cut; half of it in the footer."""
    choice = random.Random(seed)
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    at = choice.randrange(footer, len(content)) if seed % 2 else choice.randrange(len(content))
    kind = choice.randrange(8)
    if kind == 0:
        return f"cut at {at}", content[:at]
    found = bytearray(content)
    if kind == 1:
        found[at : at + 4] = choice.randbytes(len(found[at : at + 4]))
        return f"four bytes at {at}", bytes(found)
    if kind == 2:
        found[at] = choice.choice([0, 255, 127, 128])
        return f"byte at {at}", bytes(found)
    bit = choice.randrange(8)
    found[at] ^= 1 << bit
    return f"bit {bit} at {at}", bytes(found)


def read(path: str) -> str:
    """Read all rows, plan and condition too; say what became of it."""
    try:
        data = sl.scan(path, where=pc.field("i") >= 0)
        names = data.source.schema.names
        data.cost(names)
        count = 0
        for fragment in data.fragments:
            for chunk in data.source.read(fragment, names, 64):
                count += len(chunk)
        data.notes(names)
    except StreamlearnError as error:
        return f"error {type(error).__name__}: {str(error)[:150]!r}"
    except Exception as error:  # noqa: BLE001
        return f"FOREIGN {type(error).__name__}: {str(error)[:300]!r}"
    return "whole" if count == ROWS else f"ROWS {count}"


def main() -> None:
    first, stop = int(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.parquet")
        for name in sys.argv[3:]:
            content = make(name)
            for seed in range(first, stop):
                what, bad = damaged(content, seed)
                with open(path, "wb") as file:
                    file.write(bad)
                print(name, seed, f"[{what}]", end=" ", flush=True)
                print(read(path), flush=True)


if __name__ == "__main__":
    main()
