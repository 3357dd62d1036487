"""A pass over all rows that does nothing but profile the columns."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa

from streamlearn.chunk import Field, Schema
from streamlearn.errors import SchemaError, UsageError
from streamlearn.learn.profile import Finding, Profile
from streamlearn.learn.profiler import Profiler, profile_bytes, profilers
from streamlearn.plan.job import cores
from streamlearn.plan.lean import plan_reading
from streamlearn.plan.memory import Demand, MemoryPlan, Term, block_rows
from streamlearn.source.dataset import Dataset
from streamlearn.stream.events import PassEnded, PassStarted
from streamlearn.stream.governor import Governor
from streamlearn.stream.reader import Reader
from streamlearn.stream.statistics import statistics_pass
from streamlearn.stream.timeline import Recorder

__all__ = ["Profiling"]


class Profiling:
    """One call of `streamlearn.profile`.

    Parameters
    ----------
    data : Dataset
    chunk_size, threads
        As for `streamlearn.fit`.

    Raises
    ------
    SchemaError
        If the types of a column disagree between files, or no column can be profiled.
    """

    def __init__(self, data: Dataset, chunk_size: int | None, threads: int | None) -> None:
        if data.is_sparse:
            raise UsageError("a sparse matrix has no profile: most of what it holds is not stored")
        self._data = copy.copy(data)
        self._chunk_size = chunk_size
        self._threads = threads or cores()
        self._nested: list[Field] = []
        self._apart: Field | None = None
        data.refuse_faults()
        if data.schema.named:
            # Target and weight are columns like others here: a null among them is told, not refused.
            left_out = [data.target, data.weight, *data.features.names]
            names = [
                name
                for name in data.schema.names
                if name in left_out and not pa.types.is_nested(data.schema[name].type)
            ]
            self._nested = [f for f in data.features if pa.types.is_nested(f.type)]
            self._schema: Schema = data.schema.select(names)
            if not names:
                raise SchemaError("there is no column to profile: none has one value a row")
            data.require(names, roles=False)
        else:
            self._schema, self._apart = data.features, data.target_field
        self._names = self._schema.names

    def plan(self, limit_bytes: int, reserved_bytes: int, library_bytes: int) -> MemoryPlan:
        """Check that it fits."""
        options: dict[str, Any] = {
            "limit_bytes": limit_bytes,
            "reserved_bytes": reserved_bytes,
            "library_bytes": library_bytes,
            "chunk_size": self._chunk_size,
            "readers": max(1, min(self._threads - 1, len(self._data.fragments))),
        }
        self._data, plan = plan_reading(
            self._data, lambda data: [self._demand(data)], None, **options
        )
        return plan

    def _demand(self, data: Dataset) -> Demand:
        cost = data.cost(self._names, roles=False)
        states = max(1, self._threads) + 1
        working = int(self._rows() * (2 * cost.chunk_row_bytes + 24 * len(self._names)))
        return Demand(
            "profile",
            cost.fixed_bytes,
            # Of a column at a time: its values without nulls, and their hashes.
            cost.row_bytes + 64,
            cost.chunk_row_bytes,
            0,
            (
                Term("blocks being accumulated", max(1, self._threads) * working),
                Term("profiles of the columns", states * profile_bytes(self._schema, full=True)),
            ),
            further_readers=int(self._threads > 1 and len(self._data.fragments) >= self._threads),
            remedy="name fewer columns with features= or --features",
            note=cost.note,
            most_rows=self._data.longest_rows,
        )

    def _rows(self) -> int:
        """Return the rows of a block: a function of what is stored alone."""
        cost = self._data.cost(self._names, roles=False)
        return block_rows(len(self._names), cost.chunk_row_bytes)

    def run(self, memory: MemoryPlan, governor: Governor, recorder: Recorder) -> Profile:
        """Read everything once."""
        threads = memory.readers + int(memory.further) if self._threads > 1 else 0
        reader = Reader(
            self._data, self._names, governor, threads, roles=not self._data.schema.named
        )
        new: Callable[[], Profiler] = profilers(self._schema, self._apart, full=True)
        governor.tell(PassStarted(governor.seconds, "profile", 1, 1, self._data.rows))
        found = statistics_pass(reader, None, None, rows=self._rows(), new_columns=new)
        governor.tell(PassEnded(governor.seconds, "profile", governor.seconds))
        assert found.columns is not None
        profile = found.columns.value(self._data.target)
        use = governor.used(memory)
        nested = tuple(
            Finding(
                "notice",
                "nested",
                field.name,
                f"{field.name!r} is nested ({field.type}) and not profiled; compute a plain column "
                "from it with derive=",
            )
            for field in self._nested
        )
        return replace(
            profile,
            findings=(*profile.findings, *nested),
            memory=recorder.memory(use),
            seconds=governor.seconds,
        )
