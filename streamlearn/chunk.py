"""The two values that travel through every layer: a schema, and a chunk of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from streamlearn.errors import SchemaError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Block", "Chunk", "Field", "Schema", "block_bytes", "concat_blocks"]

Block = Any
"""Rows as an estimator may meet them: `pyarrow.RecordBatch`, `numpy.ndarray` of two
dimensions, or a scipy CSR matrix."""


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a source."""

    name: str
    """Name; for a matrix its position as text."""
    type: pa.DataType
    """Arrow type of the values, dictionaries decoded."""

    @property
    def is_number(self) -> bool:
        """Whether scikit-learn would take the column as numeric."""
        kinds = (
            pa.types.is_integer,
            pa.types.is_floating,
            pa.types.is_boolean,
            pa.types.is_decimal,
        )
        return any(is_kind(self.type) for is_kind in kinds) or pa.types.is_null(self.type)

    @property
    def width_bytes(self) -> int | None:
        """Decoded bytes of one value, or None where lengths vary."""
        if pa.types.is_null(self.type):
            return 0
        try:
            return max(1, int(self.type.bit_width) // 8)
        except ValueError:
            return None


@dataclass(frozen=True)
class Schema:
    """Columns of a source, in order."""

    fields: tuple[Field, ...]
    """Columns in source order; names are unique."""
    named: bool = True
    """False for a matrix, whose columns have positions and no names."""

    def __post_init__(self) -> None:
        names = self.names
        if len(set(names)) != len(names):
            twice = sorted(name for name, times in Counter(names).items() if times > 1)
            raise SchemaError(
                f"column names must be unique, but {', '.join(map(repr, twice))} "
                "stands more than once; rename the columns in the source"
            )

    @property
    def names(self) -> list[str]:
        """Column names in order."""
        return [field.name for field in self.fields]

    def __len__(self) -> int:
        return len(self.fields)

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    @cached_property
    def _by_name(self) -> dict[str, Field]:
        return {field.name: field for field in self.fields}

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> Field:
        found = self._by_name.get(name)
        if found is not None:
            return found
        raise SchemaError(f"there is no column {name!r}; the columns are: {', '.join(self.names)}")

    def select(self, names: Sequence[str]) -> Schema:
        """Keep the named columns, in the order given."""
        return Schema(tuple(self[name] for name in names), self.named)

    def to_arrow(self) -> pa.Schema:
        """Return the same columns as an Arrow schema."""
        return pa.schema([(field.name, field.type) for field in self.fields])

    @classmethod
    def from_arrow(cls, schema: pa.Schema) -> Schema:
        """Take the columns of an Arrow schema."""
        return cls(tuple(Field(item.name, item.type) for item in schema))


@dataclass(frozen=True, eq=False, slots=True)
class Chunk:
    """Consecutive rows of a source, in memory."""

    X: Block
    """Columns: a RecordBatch for a table, an array of shape (rows, columns) for a matrix."""
    rows: NDArray[np.int64]
    """Number of each row in the source, counted from 0 before any filter; increasing."""
    y: NDArray[Any] | None = None
    """Target, shape (rows,)."""
    weight: NDArray[np.float64] | None = None
    """Sample weight, shape (rows,)."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        """Bytes held by the values."""
        held = block_bytes(self.X) + self.rows.nbytes
        return held + sum(part.nbytes for part in (self.y, self.weight) if part is not None)

    def slice(self, start: int, stop: int) -> Chunk:
        """Rows ``start`` to ``stop`` without copying them."""
        if start == 0 and stop >= len(self):
            return self
        X = (
            self.X.slice(start, stop - start)
            if isinstance(self.X, pa.RecordBatch)
            else self.X[start:stop]
        )
        return Chunk(
            X,
            self.rows[start:stop],
            None if self.y is None else self.y[start:stop],
            None if self.weight is None else self.weight[start:stop],
        )

    def replace(self, X: Block) -> Chunk:
        """Put another block in the place of this one's, row for row."""
        return Chunk(X, self.rows, self.y, self.weight)

    def keep(self, mask: NDArray[np.bool_]) -> Chunk:
        """Rows where ``mask`` is true; the chunk itself where all are."""
        if mask.all():
            return self
        if isinstance(self.X, pa.RecordBatch):
            # A table without columns has no length to filter.
            X = self.X.filter(pa.array(mask)) if self.X.num_columns else self.X
        else:
            X = self.X[mask]
        return Chunk(
            X,
            self.rows[mask],
            None if self.y is None else self.y[mask],
            None if self.weight is None else self.weight[mask],
        )

    @staticmethod
    def concat(chunks: Sequence[Chunk]) -> Chunk:
        """Put chunks one below the other; a single one is returned as it is."""
        if len(chunks) == 1:
            return chunks[0]
        first = chunks[0]
        return Chunk(
            concat_blocks([chunk.X for chunk in chunks]),
            np.concatenate([chunk.rows for chunk in chunks]),
            None if first.y is None else np.concatenate([chunk.y for chunk in chunks]),
            None if first.weight is None else np.concatenate([chunk.weight for chunk in chunks]),
        )


def concat_blocks(blocks: Sequence[Block]) -> Block:
    """Put blocks of one kind one below the other."""
    if len(blocks) == 1:
        return blocks[0]
    if isinstance(blocks[0], pa.RecordBatch):
        return pa.concat_batches(blocks)
    if isinstance(blocks[0], np.ndarray):
        return np.concatenate(blocks)
    from scipy import sparse

    return sparse.vstack(blocks, format="csr")


def block_bytes(block: Block) -> int:
    """Bytes held by a block's values."""
    if isinstance(block, pa.RecordBatch):
        return int(block.get_total_buffer_size())
    if hasattr(block, "indptr"):
        return int(block.data.nbytes + block.indices.nbytes + block.indptr.nbytes)
    return int(block.nbytes)
