"""A zarr store (version 3) of several arrays, row for row."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa

from streamlearn.chunk import Schema
from streamlearn.errors import UsageError
from streamlearn.plan.memory import Term
from streamlearn.write.base import Written
from streamlearn.write.groups import GroupSize
from streamlearn.write.numbers import Numbers
from streamlearn.write.zarr import COMPRESSIONS, Side, codecs, verified

__all__ = ["ArraysWriter"]

_CHUNK_BYTES = 1 << 20
_GROUP_BYTES = 4 << 20


class ArraysWriter:
    """Writes an array for each set of columns: of one dimension where it is a single column.

    Parameters
    ----------
    arrays : mapping of str to Schema
        Columns of each array, by its name.
    rows : int
        At most.
    compression : str
        Of `streamlearn.write.zarr.COMPRESSIONS`.
    attributes : mapping
        Of the group.

    Raises
    ------
    UsageError
        If columns are not numbers.
    """

    def __init__(
        self,
        arrays: Mapping[str, Schema],
        *,
        rows: int,
        compression: str,
        attributes: Mapping[str, Any],
    ) -> None:
        if compression not in COMPRESSIONS:
            raise UsageError(
                f"compression={compression!r} is not one of zarr's: {', '.join(COMPRESSIONS)}"
            )
        # Loaded before the plan looks at what the process holds.
        import zarr

        del zarr
        wrong = [field for schema in arrays.values() for field in schema if not field.is_number]
        if wrong:
            shown = ", ".join(f"{field.name!r} ({field.type})" for field in wrong)
            raise UsageError(
                f"a zarr store holds numbers, and these columns are none: {shown}; leave them "
                "out, write parquet, or for labels that are strings ask for probabilities or decision "
                "values alone"
            )
        self._numbers = {name: Numbers(schema) for name, schema in arrays.items()}
        self._rows = rows
        self._compression = compression
        self._attributes = attributes
        self._chunks = {name: self._chunk(name) for name in arrays}
        self.size = GroupSize(most_bytes=_GROUP_BYTES)
        self._resources = ExitStack()
        self._sides: list[Side] = []
        self._place = Path()
        self._written = 0

    def _row_bytes(self, name: str) -> int:
        return len(self._numbers[name].schema) * self._numbers[name].dtype.itemsize

    def _chunk(self, name: str) -> int:
        most = max(1, _CHUNK_BYTES // max(1, self._row_bytes(name)))
        return min(most, max(1, self._rows))

    def terms(self) -> tuple[Term, ...]:
        """See `streamlearn.write.base.Writer.terms`."""
        waiting = sum(self._chunks[name] * self._row_bytes(name) for name in self._chunks)
        return (
            Term("rows being gathered", 2 * _GROUP_BYTES),
            Term("chunks being gathered and encoded", 4 * waiting + 2 * _GROUP_BYTES),
        )

    def begin(self, place: Path) -> None:
        """Say where to write, and make the arrays."""
        import zarr

        self._place = place
        # Zarr's own threads would hold as many chunks as there are.
        self._resources.enter_context(
            zarr.config.set({"async.concurrency": 1, "threading.max_workers": 1})
        )
        group: Any = zarr.open_group(zarr.storage.LocalStore(place), mode="w", zarr_format=3)
        group.attrs.update(dict(self._attributes))
        for name, numbers in self._numbers.items():
            wide = len(numbers.schema)
            rest = (wide,) if wide != 1 or name == "X" else ()
            array = group.create_array(
                name,
                shape=(self._rows, *rest),
                dtype=numbers.dtype,
                chunks=(self._chunks[name], *rest),
                compressors=codecs(self._compression),
                filters=None,
                fill_value=0,
                # A chunk that is missing is one that was lost.
                config={"write_empty_chunks": True},
            )
            self._sides.append(Side(name, array, self._chunks[name]))

    def append(self, group: pa.RecordBatch) -> None:
        """See `streamlearn.write.base.Writer.append`."""
        for side in self._sides:
            values = self._numbers[side.name].fill(group)
            side.append(values if side.array.ndim == 2 else values[:, 0])
        self._written += group.num_rows

    def finish(self) -> Written:
        """See `streamlearn.write.base.Writer.finish`."""
        for side in self._sides:
            side.flush()
            if self._written < self._rows:
                side.array.resize((self._written, *side.array.shape[1:]))
        self.abandon()
        return verified(self._place, self._written)

    def abandon(self) -> None:
        """See `streamlearn.write.base.Writer.abandon`."""
        self._resources.close()
