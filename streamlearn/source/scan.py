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
from streamlearn.source.csv import Csv
from streamlearn.source.dataset import Dataset
from streamlearn.source.formats import open_files
from streamlearn.source.reconcile import parse_type
from streamlearn.source.tables import TableSource, is_table
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
    format: str | Csv | None = None,  # noqa: A002 - the word users know
    drop_missing: bool = False,
    fill_absent: bool = False,
) -> Dataset:
    """Describe data to learn from; of parquet, Arrow and zarr without reading a row.

    Parameters
    ----------
    data : path, glob, directory, list of them, or array
        Files of parquet, Arrow, CSV or TSV, JSON lines or svmlight, the text ones compressed
        (.gz, .bz2, .xz, .zst, .lz4) or not; a zarr store or array; a ``.npy`` file or NumPy array of shape
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
    if schema and (_is_matrix(data) or is_zarr(data) or is_table(data)):
        raise UsageError("schema= settles types between files; arrays and tables have their own")
    if format is not None and (_is_matrix(data) or is_zarr(data) or is_table(data)):
        raise UsageError("format= says what files are; arrays, tables and zarr stores are known")
    computed: dict[str, Any] = {
        "derive": derive,
        "where": where,
        "features": features,
        "drop_missing": drop_missing,
    }
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
        store = ZarrSource(data, target, weight, fill_absent=fill_absent)
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
    return Dataset(open_files(data, types, format), target=target, weight=weight, **computed)


def _pair(data: Any, target: Any) -> tuple[Any, Any]:
    """Take a pair (X, y) apart."""
    if not isinstance(data, tuple):
        return data, None
    if len(data) != 2:
        raise UsageError(f"a pair (X, y) is needed, not a tuple of {len(data)}")
    if target is not None:
        raise UsageError("the target was given twice: in data=(X, y) and in target=")
    return data


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
        f"scan() cannot read {type(data).__name__}; give paths of parquet, Arrow, CSV, JSON lines "
        "or svmlight files, a zarr store, a .npy file, a NumPy array, a pair (X, y), or a pyarrow, "
        "pandas or polars table"
    )
