"""From whatever holds the data to a `Dataset`: paths, stores, arrays, tables."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streamlearn.errors import UsageError
from streamlearn.source.base import Source
from streamlearn.source.dataset import Dataset
from streamlearn.source.formats import open_files
from streamlearn.source.library.arrays import ArraySource
from streamlearn.source.library.arrow import is_arrow_dataset, open_dataset
from streamlearn.source.library.batches import BatchSource, is_batch_list, is_batches, join_batches
from streamlearn.source.library.dask import (
    DaskArraySource,
    DaskFrameSource,
    is_dask_array,
    is_dask_frame,
)
from streamlearn.source.library.npz import is_npz, open_npz
from streamlearn.source.library.sparse import SparseSource, is_sparse
from streamlearn.source.library.tables import TableSource, is_table
from streamlearn.source.reconcile import parse_type
from streamlearn.source.text.csv import Csv
from streamlearn.source.zarr.opening import is_zarr
from streamlearn.source.zarr.source import ZarrSource

__all__ = ["scan"]


def scan(
    data: Any,
    *,
    target: Any = None,
    features: Sequence[Any] | None = None,
    weight: Any = None,
    derive: Mapping[str, pc.Expression] | Sequence[str] | str | None = None,
    where: pc.Expression | str | None = None,
    schema: Mapping[str, str | pa.DataType] | None = None,
    format: str | Csv | None = None,  # noqa: A002 - the word users know
    drop_missing: bool = False,
    fill_absent: bool = False,
) -> Dataset:
    """Describe data to learn from; of parquet, Arrow and zarr without reading a row.

    Parameters
    ----------
    data : path, glob, directory, list of them, or array
        Files of parquet, Arrow, CSV or TSV, JSON lines or svmlight, the text ones compressed
        (.gz, .bz2, .xz, .zst, .lz4) or not; a zarr store or array; a ``.npy`` file or NumPy array
        of shape (rows, columns); a ``.npz`` archive; a SciPy CSR matrix; a pyarrow, pandas or
        polars table; a dask dataframe or array; a pyarrow dataset, record batch reader, or
        iterator of batches (read once, kept on disk); or a pair ``(X, y)`` of an array, matrix or
        table and a target.
    target : str or array, optional
        Name of the column to predict; for arrays, an array or ``.npy`` file of shape (rows,), and
        for an archive also the name of its member.
    features : sequence of str or int, optional
        Columns to learn from, in this order; of a matrix their positions. By default all but
        target and weight.
    weight : str or array, optional
        Sample weight: a column's name, or an array of shape (rows,).
    derive : mapping of str to pyarrow expression, or SQL text, optional
        Computed columns: ``{"duration": pc.field("end") - pc.field("start")}`` or
        ``"date_diff('second', start, stop) / 60.0 AS duration"``.
    where : pyarrow expression or SQL text, optional
        Rows for which it is false or null are filtered, and counted.
    schema : mapping of str to type, optional
        Types that settle drift between files, such as ``{"zone": "int64"}``; of text, types that
        win over what values look like.
    format : str or Csv, optional
        What files are, where their names do not say: ``"parquet"``, ``"arrow"``, ``"csv"``,
        ``"tsv"``, ``"jsonl"``, ``"svmlight"``; or how a CSV is written, as a `Csv`.
    drop_missing : bool, default False
        Leave out rows in which a feature, the target or the weight is null or NaN, and count
        them.
    fill_absent : bool, default False
        Of a zarr store: chunks that are not stored are all fill value, and not lost. Where the
        fill value is NaN that is understood.

    Returns
    -------
    Dataset
        Lazy: only footers and headers were read; of text files, which have none, all of it was
        read once, block by block.

    Raises
    ------
    SourceError
        If a file is missing or unreadable.
    SchemaError
        If a named column does not exist.
    UsageError
        If arguments contradict each other.

    Examples
    --------
    >>> import numpy as np
    >>> data = scan((np.zeros((10, 3)), np.arange(10)))
    >>> data.rows, len(data.features)
    (10, 3)
    """
    if isinstance(data, Dataset):
        raise UsageError("this is a Dataset already; scan() takes paths or arrays")
    data, own = _pair(data, target)
    if is_batch_list(data):
        data = join_batches(data)
    for name, given in (("schema", schema), ("format", format)):
        if given and not _are_files(data):
            raise UsageError(
                f"{name}= says what is in files of columns; {_shown(data)} has types of its own"
            )
    if _are_files(data):
        if own is not None:
            raise UsageError("a pair (X, y) is two arrays, or a table and an array")
        types = {name: parse_type(kind) for name, kind in (schema or {}).items()}
        source, roles = open_files(data, types, format), (target, weight)
    elif is_zarr(data):
        if own is not None or not all(isinstance(name, str | None) for name in (target, weight)):
            raise UsageError("of a zarr store, target= and weight= are names of its arrays")
        source = ZarrSource(data, target, weight, fill_absent=fill_absent)
        roles = (target, weight) if source.schema.named else (None, None)
    elif is_dask_frame(data) or is_arrow_dataset(data) or is_batches(data):
        source, roles = _open_stream(data, own, target, weight), (target, weight)
    elif is_table(data):
        if target is not None and not isinstance(target, str):
            own, target = target, None
        source = TableSource(data, own)
        roles = (source.target_name or target, weight)
    else:
        source, roles = _open_matrix(data, target if own is None else own, weight), (None, None)
    return Dataset(
        source,
        target=roles[0],
        weight=roles[1],
        features=features,
        derive=derive,
        where=where,
        drop_missing=drop_missing,
    )


def _pair(data: Any, target: Any) -> tuple[Any, Any]:
    """Take a pair (X, y) apart."""
    if not isinstance(data, tuple):
        return data, None
    if len(data) != 2:
        raise UsageError(f"a pair (X, y) is needed, not a tuple of {len(data)}")
    if target is not None:
        raise UsageError("the target was given twice: in data=(X, y) and in target=")
    return data


def _are_files(data: Any) -> bool:
    """Whether data are paths of files with columns: neither a matrix nor a store."""
    if isinstance(data, str | os.PathLike):
        return not (_is_npy(data) or is_npz(data) or is_zarr(data))
    return isinstance(data, Sequence) and all(isinstance(item, str | os.PathLike) for item in data)


def _is_npy(data: Any) -> bool:
    return isinstance(data, str | os.PathLike) and os.fspath(data).endswith(".npy")


def _shown(data: Any) -> str:
    return os.fspath(data) if isinstance(data, str | os.PathLike) else type(data).__name__


def _open_stream(data: Any, own: Any, target: Any, weight: Any) -> Source:
    """Open what has named columns, and is neither file nor table."""
    if own is not None or not all(isinstance(name, str | None) for name in (target, weight)):
        raise UsageError(
            f"{type(data).__name__} has named columns: let target and weight be two of them, and "
            "name them with target= and weight="
        )
    if is_dask_frame(data):
        return DaskFrameSource(data)
    return open_dataset(data) if is_arrow_dataset(data) else BatchSource(data)


def _open_matrix(data: Any, target: Any, weight: Any) -> Source:
    """Open what has columns without names."""
    if is_npz(data):
        return open_npz(data, target, weight)
    if not (
        is_sparse(data) or is_dask_array(data) or isinstance(data, np.ndarray) or _is_npy(data)
    ):
        raise UsageError(
            f"scan() cannot read {type(data).__name__}; give paths of parquet, Arrow, CSV, JSON "
            "lines or svmlight files, a zarr store, a .npy or .npz file, a NumPy array, a SciPy "
            "CSR matrix, a pair (X, y), a pyarrow, pandas or polars table, a dask dataframe or "
            "array, a pyarrow dataset, or an iterator of batches"
        )
    for role, given in (("target", target), ("weight", weight)):
        if isinstance(given, str) and not given.endswith(".npy"):
            raise UsageError(
                f"{role}={given!r}: {_shown(data)} has no named columns; give the {role} as an "
                "array, or as the path of a .npy file"
            )
    if is_sparse(data):
        return SparseSource(data, target, weight)
    if is_dask_array(data):
        return DaskArraySource(data, target, weight)
    return ArraySource(data, target, weight)
