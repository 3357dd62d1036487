"""From whatever holds the data to a `Dataset`: paths, stores, arrays, tables."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streamlearn.errors import UsageError
from streamlearn.source.arrays import ArraySource
from streamlearn.source.base import Source
from streamlearn.source.dataset import Dataset
from streamlearn.source.files import find_files, is_remote
from streamlearn.source.parquet import ParquetSource
from streamlearn.source.reconcile import parse_type
from streamlearn.source.tables import IpcSource, TableSource, is_arrow_file, is_table
from streamlearn.source.zarr import ZarrSource, is_zarr

__all__ = ["scan"]


def scan(
    data: Any,
    *,
    target: Any = None,
    features: Sequence[str] | None = None,
    weight: Any = None,
    derive: Mapping[str, pc.Expression] | Sequence[str] | str | None = None,
    where: pc.Expression | str | None = None,
    schema: Mapping[str, str | pa.DataType] | None = None,
) -> Dataset:
    """Describe data to learn from, without reading a row.

    Parameters
    ----------
    data : path, glob, directory, list of them, or array
        Parquet or Arrow files; a zarr store or array; a ``.npy`` file or NumPy array of shape
        (rows, columns); a pyarrow, pandas or polars table; or a pair ``(X, y)`` of an array or
        table and a target.
    target : str or array, optional
        Name of the column to predict; for arrays, an array or ``.npy`` file of shape (rows,).
    features : sequence of str, optional
        Columns to learn from, in this order. By default all but target and weight.
    weight : str or array, optional
        Sample weight: a column's name, or an array of shape (rows,).
    derive : mapping of str to pyarrow expression, or SQL text, optional
        Computed columns: ``{"duration": pc.field("end") - pc.field("start")}`` or
        ``"date_diff('second', start, stop) / 60.0 AS duration"``.
    where : pyarrow expression or SQL text, optional
        Rows for which it is false or null are filtered, and counted.
    schema : mapping of str to type, optional
        Types that settle drift between files, such as ``{"zone": "int64"}``.

    Returns
    -------
    Dataset
        Lazy: only footers and headers were read.

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
    if schema and (_is_matrix(data) or is_zarr(data) or is_table(data)):
        raise UsageError("schema= settles types between files; arrays and tables have their own")
    computed: dict[str, Any] = {"derive": derive, "where": where, "features": features}
    if _is_matrix(data):
        own = target if own is None else own
        if isinstance(own, str) and not own.endswith(".npy"):
            raise UsageError(
                f"target={own!r}: an array has no named columns; give the target as an array, "
                "or as the path of a .npy file"
            )
        return Dataset(ArraySource(data, own, weight), **computed)
    if is_zarr(data):
        if own is not None or not all(isinstance(name, str | None) for name in (target, weight)):
            raise UsageError("of a zarr store, target= and weight= are names of its arrays")
        store = ZarrSource(data, target, weight)
        roles = {"target": target, "weight": weight} if store.schema.named else {}
        return Dataset(store, **roles, **computed)
    if is_table(data):
        if target is not None and not isinstance(target, str):
            own, target = target, None
        table = TableSource(data, own)
        return Dataset(table, target=table.target_name or target, weight=weight, **computed)
    if own is not None:
        raise UsageError("a pair (X, y) is two arrays, or a table and an array")
    types = {name: parse_type(kind) for name, kind in (schema or {}).items()}
    return Dataset(_files(data, types), target=target, weight=weight, **computed)


def _pair(data: Any, target: Any) -> tuple[Any, Any]:
    """Take a pair (X, y) apart."""
    if not isinstance(data, tuple):
        return data, None
    if len(data) != 2:
        raise UsageError(f"a pair (X, y) is needed, not a tuple of {len(data)}")
    if target is not None:
        raise UsageError("the target was given twice: in data=(X, y) and in target=")
    return data


def _files(data: Any, types: Mapping[str, pa.DataType]) -> Source:
    """Open files by what their names end in; parquet where that says nothing."""
    paths = [data] if isinstance(data, str | os.PathLike) else list(data)
    if paths and all(is_arrow_file(path) for path in paths):
        if types:
            raise UsageError("schema= settles types between parquet files; Arrow files have theirs")
        if any(map(is_remote, paths)):
            raise UsageError(
                f"{paths[0]}: Arrow files are read from the local disk; copy them there first, or "
                "store the rows as parquet"
            )
        return IpcSource([file for path in paths for file in find_files(path)])
    return ParquetSource(data, types)


def _is_matrix(data: Any) -> bool:
    if isinstance(data, str | os.PathLike):
        return os.fspath(data).endswith(".npy")
    if isinstance(data, np.ndarray):
        return True
    if is_zarr(data) or is_table(data) or isinstance(data, str | os.PathLike):
        return False
    if isinstance(data, Sequence) and all(isinstance(item, str | os.PathLike) for item in data):
        return False
    raise UsageError(
        f"scan() cannot read {type(data).__name__}; give paths of parquet or Arrow files, a zarr "
        "store, a .npy file, a NumPy array, a pair (X, y), or a pyarrow, pandas or polars table"
    )
