"""What of a dataset is written: its columns in order, and on the way as record batches.

Rows of a matrix travel as one column of lists of fixed size, with target and weight beside it.
"""

from __future__ import annotations

import copy
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Chunk, Field
from streamlearn.errors import DataError, UsageError
from streamlearn.source.base import ReaderCost
from streamlearn.source.dataset import Dataset
from streamlearn.source.library.tables import TableSource
from streamlearn.write.groups import fixed_bytes, row_sizes

__all__ = ["Layout", "plain_type"]

_SAMPLED_PARTS, _SAMPLED_ROWS = 32, 512
_MATRIX, _TARGET, _WEIGHT = "X", "target", "weight"


class Layout:
    """The columns of an output.

    Parameters
    ----------
    data : Dataset
        Features, target and weight are written; other columns are not.

    Raises
    ------
    UsageError
        If there is no column.
    SchemaError
        If a column is nested, or its types disagree between files.
    """

    def __init__(self, data: Dataset) -> None:
        if data.is_sparse:
            raise UsageError(
                "a sparse matrix cannot be written to parquet or zarr: it would be filled with "
                "zeros; keep it as it is, or save it with scipy.sparse.save_npz"
            )
        data.refuse_faults()
        self.is_matrix = not data.source.schema.named
        self.data = data
        if self.is_matrix:
            self.names = data.schema.names
            fields = _matrix_fields(data)
        else:
            self.names = _names(data)
            if not self.names:
                raise UsageError("there is no column to write; name some with features=")
            data.require(self.names)
            # Target and weight are columns like any other here, gaps and all.
            self.data = copy.copy(data)
            self.data.target = self.data.weight = None
            self.data.features = data.schema.select(self.names)
            fields = [(field.name, plain_type(field.type)) for field in self.data.features]
        self.notes = self._notes(data)
        """What of the data is not written, or not as it is stored."""
        self.target = data.target if not self.is_matrix else _TARGET
        self.weight = data.weight if not self.is_matrix else _WEIGHT
        self.schema = pa.schema(fields)
        """Of the batches on their way."""
        self.columns = self._columns()
        """Of the table that they stand for."""

    def _notes(self, data: Dataset) -> tuple[str, ...]:
        index = [
            f"{name!r}: left out, for it is the index of a pandas frame; name it in features= or "
            "--features to keep it"
            for name in data.schema.names
            if name.startswith("__index_level_") and name not in self.names
        ]
        return (*index, *data.source.notes(self.data.stored_columns(self.names)))

    def _columns(self) -> pa.Schema:
        if not self.is_matrix:
            return self.schema
        kind = self.schema.field(_MATRIX).type
        wide = [pa.field(str(at), kind.value_type) for at in range(kind.list_size)]
        return pa.schema([*wide, *(self.schema.field(at) for at in range(1, len(self.schema)))])

    def cost(self) -> ReaderCost:
        """Bytes one reader holds."""
        return self.data.cost(self.names)

    def row_bytes(self) -> float:
        """Return decoded bytes of a row as it travels, by the data alone."""
        widths = [fixed_bytes(kind) for kind in self.schema.types]
        known = float(sum(width for width in widths if width is not None))
        if None not in widths:
            return known + 8
        if isinstance(self.data.source, TableSource):
            return self._sampled_bytes()
        return max(known + 8, self.cost().chunk_row_bytes)

    def _sampled_bytes(self) -> float:
        """Look at rows of a table in memory: it says nothing of how long its texts are."""
        parts = self.data.fragments
        sizes = [
            float(np.mean(row_sizes(self.batch(chunk))))
            for part in parts[:: max(1, len(parts) // _SAMPLED_PARTS)]
            for chunk in islice(self.data.read(part, self.names, _SAMPLED_ROWS), 1)
        ]
        return 8 + float(np.mean(sizes)) if sizes else 8.0

    def lean(self, scratch_dir: str | None) -> Layout:
        """Return the same columns, read with as little memory as can be."""
        found = copy.copy(self)
        found.data = self.data.lean(scratch_dir)
        return found

    def batch(self, chunk: Chunk) -> pa.RecordBatch:
        """Return a chunk's rows as a batch of `schema`."""
        if not self.is_matrix:
            arrays = [
                column if column.type == item.type else column.cast(item.type)
                for column, item in zip(chunk.X.columns, self.schema, strict=True)
            ]
            return pa.RecordBatch.from_arrays(arrays, schema=self.schema)
        matrix = self.schema.field(_MATRIX).type
        values = pa.array(np.ascontiguousarray(chunk.X).reshape(-1), matrix.value_type)
        arrays = [pa.FixedSizeListArray.from_arrays(values, type=matrix)]
        if _TARGET in self.schema.names:
            arrays.append(self._target(chunk))
        if _WEIGHT in self.schema.names:
            arrays.append(pa.array(chunk.weight, pa.float64()))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _target(self, chunk: Chunk) -> pa.Array:
        kind = self.schema.field(_TARGET).type
        try:
            return pa.array(chunk.y, kind)
        except (pa.ArrowException, TypeError) as error:
            place = self.data.locate(int(chunk.rows[0]))
            raise DataError(
                f"the target of the rows from {place} cannot be written as {kind}: {error}"
            ) from error

    def as_columns(self, group: pa.RecordBatch) -> pa.RecordBatch:
        """Return a group with a column for each of the matrix."""
        if not self.is_matrix:
            return group
        matrix = self.matrix(group)
        wide = [pa.array(matrix[:, at]) for at in range(matrix.shape[1])]
        return pa.RecordBatch.from_arrays([*wide, *group.columns[1:]], schema=self.columns)

    @staticmethod
    def matrix(group: pa.RecordBatch) -> NDArray[Any]:
        """Return the matrix of a group, shape (rows, columns), without a copy where it can be."""
        column = group.column(0)
        values = column.flatten().to_numpy(zero_copy_only=False)
        return np.asarray(values).reshape(len(column), column.type.list_size)


def _names(data: Dataset) -> list[str]:
    """Features, target and weight: in the data's order where the features are in it."""
    order = data.schema.names
    features = data.features.names
    chosen = set(features)
    roles = [name for name in (data.target, data.weight) if name is not None and name not in chosen]
    if features == [name for name in order if name in chosen]:
        chosen.update(roles)
        return [name for name in order if name in chosen]
    return [*features, *dict.fromkeys(roles)]


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return views of texts as texts: a slice of a view drags all of its buffers along."""
    if pa.types.is_string_view(kind):
        return pa.large_string()
    return pa.large_binary() if pa.types.is_binary_view(kind) else kind


def _matrix_fields(data: Dataset) -> list[tuple[str, pa.DataType]]:
    fields: list[Field] = list(data.schema)
    if not fields:
        raise UsageError("there is no column to write: the matrix has none")
    found = [(_MATRIX, pa.list_(fields[0].type, len(fields)))]
    target = data.target_field
    if target is not None:
        found.append((_TARGET, target.type))
    if data.has_weight:
        found.append((_WEIGHT, pa.float64()))
    return found
