"""Normal features of uneven scale, and a label from a logistic model of them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa

from streamlearn.generate.parts import (
    DENSE,
    FACES,
    ROWS,
    WORLD,
    Floats,
    PartsWriter,
    Progress,
    at_least,
    make_column,
    seeded_stream,
)

__all__ = ["generate_dense"]


_DENSE_BLOCK_BYTES = 1 << 21
_LOGIT_SCALE = 3.5


class _Dense:
    """Features as ``offset + scale * z``, and a label from the logit ``weights @ z``."""

    def __init__(self, seed: int, columns: int) -> None:
        self._seed = seed
        self._columns = columns
        # One world whatever the seed of the rows, so that a model may be judged on others.
        world = seeded_stream(0, DENSE, WORLD, columns)
        weights = world.standard_normal(columns)
        # The length of the weights is the spread of the logit, hence the achievable accuracy.
        self._weights = (weights * (_LOGIT_SCALE / np.linalg.norm(weights))).astype(np.float32)
        scales = 10.0 ** world.uniform(-1.0, 1.0, columns)
        self._scales = scales.astype(np.float32)
        self._offsets = (scales * world.standard_normal(columns)).astype(np.float32)
        names = [f"f{number}" for number in range(columns)]
        self.schema = pa.schema([*((name, pa.float32()) for name in names), ("label", pa.int8())])
        self.plain = frozenset(names)
        # Wide rows come in shorter blocks, so that a block stays the same few megabytes.
        fit = max(_DENSE_BLOCK_BYTES // (4 * columns), 1)
        self.block_rows = min(FACES, 1 << (fit.bit_length() - 1))

    def block(self, index: int) -> pa.Table:
        rng = seeded_stream(self._seed, DENSE, ROWS, self._columns, index)
        logit = _logistic(rng, self.block_rows)
        term = np.empty_like(logit)
        arrays = []
        for weight, scale, offset in zip(self._weights, self._scales, self._offsets, strict=True):
            feature = rng.standard_normal(self.block_rows, dtype=np.float32)
            # Not a matrix product: its order of summation differs from machine to machine.
            logit += np.multiply(feature, weight, out=term)
            feature *= scale
            feature += offset
            arrays.append(make_column(pa.float32(), feature))
        arrays.append(make_column(pa.int8(), (logit > 0).view(np.int8)))
        return pa.Table.from_arrays(arrays, schema=self.schema)


def _logistic(rng: np.random.Generator, size: int) -> Floats:
    """Draw standard logistic noise: a logit plus this is positive as often as its sigmoid."""
    uniform = rng.random(size, dtype=np.float32)
    np.clip(uniform, 1e-7, 1 - 1e-7, out=uniform)
    noise: Floats = np.log(uniform / (1 - uniform))
    return noise


def generate_dense(
    out: str | os.PathLike[str],
    rows: int,
    *,
    columns: int = 28,
    seed: int = 0,
    rows_per_file: int = 2_000_000,
    rows_per_group: int = 131_072,
    progress: Progress | None = None,
) -> list[Path]:
    """Write normal features of uneven scale, and a label from a logistic model of them.

    Knowing the true weights one predicts about 0.85 of the labels; the classes are about even.

    Parameters
    ----------
    out : str or os.PathLike
        Directory for ``part-00000.parquet``, ``part-00001.parquet``, ...; created if missing.
    rows : int
        Rows in all, at least 1.
    columns : int, default 28
        Features, at least 1.
    seed : int, default 0
        Non-negative. The same seed and `columns` give the same rows, and fewer rows are a
        prefix of more.
    rows_per_file : int, default 2_000_000
        Rows of every file but the last.
    rows_per_group : int, default 131_072
        Rows of every row group but the last of a file. Memory is about ``4 * columns`` bytes
        for each, and some 20 MB.
    progress : callable, optional
        Called after each row group with the rows written so far.

    Returns
    -------
    list of Path
        The files, in order.

    Raises
    ------
    UsageError
        A number is out of range, or `out` is not a directory or already holds
        ``part-*.parquet``.
    OSError
        A file cannot be written, as on a full disk; the file at fault is removed and those
        finished before it stay.

    Notes
    -----
    The columns are ``f0``, ``f1``, ... float32, each normal with a standard deviation between
    0.1 and 10 and a mean within a few of them from zero, then ``label`` int8, 0 or 1. There
    are no nulls.

    Examples
    --------
    >>> import tempfile
    >>> import pyarrow.parquet as pq
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (file,) = generate_dense(folder, 100, columns=3)
    ...     pq.read_schema(file).names
    ['f0', 'f1', 'f2', 'label']
    """
    job = PartsWriter(out, rows, seed, rows_per_file, rows_per_group, progress)
    return job.write(_Dense(job.seed, at_least("columns", columns, 1)))


# --- cutting rows into files -----------------------------------------------------------------
