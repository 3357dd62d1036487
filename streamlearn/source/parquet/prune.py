"""Row groups that cannot hold a row that passes, as their statistics prove.

What statistics say of a column is a few cases: its values lie between two bounds, or it is NaN, or
it is null. A row group is impossible where the condition cannot hold in any mix of cases; whether
it can is for pyarrow to say, which simplifies a condition by what is known of the columns.
Bounds do not count NaN, and pyarrow on its own would take them for bounds of NaN too.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import and_
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["Cases", "constant_case", "impossible", "statistics_cases"]

Cases = Sequence[pc.Expression]
"""What a column may be in a row group; one of them holds in each row."""

_MOST_MIXES = 64
_AT_ONCE = 2_000


def constant_case(name: str, value: pa.Scalar) -> Cases:
    """Return the one case of a column that has one value: a directory's, or null."""
    field = pc.field(name)
    return (field == value if value.is_valid else field.is_null(),)


def statistics_cases(name: str, wanted: pa.DataType, stored: pa.DataType, chunk: Any) -> Cases:
    """Return the cases of a column in a row group; none where nothing is known.

    Parameters
    ----------
    name : str
    wanted, stored : pyarrow.DataType
        As it is read, and as it is in this file.
    chunk : pyarrow.parquet.ColumnChunkMetaData
    """
    stored = stored.value_type if pa.types.is_dictionary(stored) else stored
    found = chunk.statistics if chunk.is_stats_set and _grows(stored, wanted) else None
    if found is None:
        return ()
    field = pc.field(name)
    cases: list[pc.Expression] = []
    nulls = found.null_count if found.has_null_count else None
    if nulls != chunk.num_values:
        bounds = _bounds(found, stored, wanted)
        if bounds is None:
            return ()
        low, high = bounds
        same = low == high and not pa.types.is_floating(wanted)
        cases.append(field == low if same else (field >= low) & (field <= high))
        if pa.types.is_floating(wanted) and pa.types.is_floating(stored):
            cases.append(field == pa.scalar(math.nan, wanted))
    if nulls != 0:
        cases.append(field.is_null())
    return tuple(cases)


def _bounds(
    found: Any, stored: pa.DataType, wanted: pa.DataType
) -> tuple[pa.Scalar, pa.Scalar] | None:
    if not found.has_min_max:
        return None
    try:
        low, high = (pa.scalar(value, stored).cast(wanted) for value in (found.min, found.max))
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None
    if pa.types.is_floating(wanted) and (math.isnan(low.as_py()) or math.isnan(high.as_py())):
        return None
    return low, high


def _grows(stored: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether values keep their order when they are cast, so that bounds stay bounds."""
    kinds = pa.types
    texts = (kinds.is_string, kinds.is_large_string)
    if stored.equals(wanted):
        plain = (kinds.is_integer, kinds.is_boolean, kinds.is_date, kinds.is_timestamp)
        alike = any(is_kind(stored) for is_kind in (*plain, *texts))
        return alike or kinds.is_float32(stored) or kinds.is_float64(stored)
    if kinds.is_integer(stored) or kinds.is_float32(stored):
        wider = kinds.is_integer(stored) and kinds.is_integer(wanted)
        return bool(wider or kinds.is_float64(wanted))
    if kinds.is_timestamp(stored) and kinds.is_timestamp(wanted):
        return bool(stored.tz == wanted.tz)
    return all(any(is_kind(type_) for is_kind in texts) for type_ in (stored, wanted))


def impossible(
    condition: pc.Expression, schema: pa.Schema, parts: Iterator[tuple[int, Mapping[str, Cases]]]
) -> frozenset[int]:
    """Return the parts in which no row can pass.

    Parameters
    ----------
    condition : pyarrow.compute.Expression
    schema : pyarrow.Schema
        Of the columns that it may name.
    parts : iterator of (int, mapping of str to Cases)
        Number of a part, and what is known of its columns.

    Examples
    --------
    >>> x = pc.field("x")
    >>> parts = [(0, {"x": [(x >= 0) & (x <= 5)]}), (1, {"x": [(x >= 5) & (x <= 9)]})]
    >>> sorted(impossible(x > 5, pa.schema([("x", pa.int64())]), iter(parts)))
    [0]
    """
    found: set[int] = set()
    while batch := list(itertools.islice(parts, _AT_ONCE)):
        mixes = {index: _mixes(cases) for index, cases in batch}
        # Most are possible by their bounds alone, and need no further look.
        first = [(index, known[0]) for index, known in mixes.items()]
        left = mixes.keys() - _possible(condition, schema, first)
        others = [(index, known) for index in left for known in mixes[index][1:]]
        found |= left - _possible(condition, schema, others)
    return frozenset(found)


def _mixes(cases: Mapping[str, Cases]) -> list[pc.Expression]:
    """Return what may hold of all columns together."""
    kept: list[Cases] = []
    for options in cases.values():
        if options and math.prod(map(len, kept)) * len(options) <= _MOST_MIXES:
            kept.append(options)
    return [reduce(and_, mix, pc.scalar(True)) for mix in itertools.product(*kept)]


def _possible(
    condition: pc.Expression, schema: pa.Schema, parts: Sequence[tuple[int, pc.Expression]]
) -> set[int]:
    from pyarrow import dataset, fs

    if not parts:
        return set()
    format_, disk = dataset.ParquetFileFormat(), fs.LocalFileSystem()
    # Fragments that are never opened: their names are the numbers of the parts.
    fragments = [
        format_.make_fragment(str(index), filesystem=disk, partition_expression=known)
        for index, known in parts
    ]
    try:
        whole = dataset.FileSystemDataset(fragments, schema, format_, disk)
        return {int(fragment.path) for fragment in whole.get_fragments(condition)}
    except (pa.ArrowException, TypeError, ValueError):  # it will be said where rows are read
        return {index for index, _ in parts}
