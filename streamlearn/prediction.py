"""A fitted model's answers written to files or a store, whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from streamlearn.errors import SourceError, UsageError
from streamlearn.plan.memory import MemoryPlan
from streamlearn.predicting import PredictedRows, Predicting, PredictOptions
from streamlearn.report.outcome import outcome_fragment
from streamlearn.sizes import format_bytes, format_seconds
from streamlearn.source.quarantine import Quarantine
from streamlearn.stream.governor import Governor
from streamlearn.stream.prefetch import ahead
from streamlearn.stream.reclaim import release_arrow
from streamlearn.stream.stages import StageTime
from streamlearn.stream.timeline import MemoryReport, Recorder
from streamlearn.write.arrays import ArraysWriter
from streamlearn.write.groups import groups
from streamlearn.write.inputs import stored_paths
from streamlearn.write.parquet import ParquetWriter, group_bytes_of
from streamlearn.write.place import find_place

__all__ = ["Prediction", "Saving"]


@dataclass(frozen=True)
class Prediction:
    """An output that is complete."""

    path: str
    format: str
    """"parquet" or "zarr"."""
    columns: tuple[str, ...]
    rows: PredictedRows
    files: int
    bytes_written: int
    memory: MemoryReport
    seconds: float
    model: str
    quarantine: Quarantine | None = field(default=None, repr=False, compare=False)
    """Rows that could not be predicted, with ``on_error="quarantine"``."""
    stages: tuple[StageTime, ...] = field(default=(), repr=False)
    """Seconds of each stage, all threads together."""

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the numbers as JSON, and write them to a file if one is named."""
        values = {
            "path": self.path,
            "format": self.format,
            "model": self.model,
            "columns": list(self.columns),
            "rows": asdict(self.rows),
            "files": self.files,
            "bytes_written": self.bytes_written,
            "memory": self.memory.numbers(),
            "seconds": self.seconds,
            "stages": [asdict(item) for item in self.stages],
        }
        if self.quarantine is not None:
            values["rejected"] = self.quarantine.summary()
        text = json.dumps(values, indent=2)
        if path is not None:
            Path(path).write_text(text + "\n")
        return text

    def __repr__(self) -> str:
        many = "s" if self.files != 1 else ""
        rejected = self.quarantine.first[:5] if self.quarantine else ()
        shown = ", ".join(self.columns[:8]) + (", ..." if len(self.columns) > 8 else "")
        return "\n".join(
            [
                f"Prediction of {self.model} to {self.path} ({self.format}) in "
                f"{format_seconds(self.seconds)}",
                f"  rows    {self.rows}",
                f"  columns {shown}",
                f"  bytes   {format_bytes(self.bytes_written)} in {self.files:,} file{many}",
                f"  memory  {self.memory}",
                *(f"  rejected {item}" for item in rejected),
            ]
        )

    def _repr_html_(self) -> str:
        shown = ", ".join(self.columns[:12]) + (", ..." if len(self.columns) > 12 else "")
        facts = {
            "path": self.path,
            "format": self.format,
            "rows": str(self.rows),
            "columns": shown,
            "bytes": f"{format_bytes(self.bytes_written)} written",
            "files": f"{self.files:,}",
        }
        rejected = self.quarantine.summary() if self.quarantine else None
        title = f"Prediction of {self.model}"
        took = f"in {format_seconds(self.seconds)}"
        return outcome_fragment(title, took, facts, self.memory, rejected=rejected)


class Saving:
    """Predictions written to a place, whole or not at all.

    Parameters
    ----------
    predicting : Predicting
    path : path
    options : PredictOptions
    about : mapping
        What the output says of the model, besides its class.
    given : sequence of str
        Paths, folders and patterns of the data, as the user named them.

    Raises
    ------
    UsageError
        If options contradict each other, or something else stands at the path.
    """

    def __init__(
        self,
        predicting: Predicting,
        path: str | os.PathLike[str],
        options: PredictOptions,
        about: Mapping[str, Any],
        given: Sequence[str] = (),
    ) -> None:
        self._place = find_place(path, options.format)
        self._place.refuse_occupied(overwrite=options.overwrite)
        self._place.refuse_inputs(stored_paths(predicting.data))
        self._place.refuse_inside(given)
        self._predicting = predicting
        self._options = options
        self._about = {
            "model": predicting.model,
            "estimator": type(predicting.estimator).__name__,
            "methods": list(predicting.outputs.methods),
            **about,
        }
        self._planned = self._writer(predicting.outputs.guess())
        if self._place.kind == "zarr":
            predicting.check_numbers()

    def _writer(self, schema: pa.Schema) -> ParquetWriter | ArraysWriter:
        options = self._options
        if self._place.kind == "zarr":
            for name in ("row_group_bytes", "rows_per_file"):
                if getattr(options, name) is not None:
                    raise UsageError(f"{name}= is for parquet, and the output is a zarr store")
            arrays = self._predicting.outputs.arrays(schema)
            columns = {name: found.names for name, found in arrays.items()}
            attributes: dict[str, Any] = {"streamlearn": {**self._about, "arrays": columns}}
            if "X" in columns:
                attributes["feature_names"] = columns["X"]
            return ArraysWriter(
                arrays,
                rows=self._predicting.data.rows,
                compression=options.compression,
                attributes=attributes,
            )
        return ParquetWriter(
            _Table(schema.with_metadata({"streamlearn": json.dumps(self._about)})),
            many=self._place.kind == "folder",
            compression=options.compression,
            group_bytes=group_bytes_of(options.row_group_bytes),
            rows_per_file=options.rows_per_file,
        )

    def plan(self, limit_bytes: int, reserved_bytes: int, library_bytes: int) -> MemoryPlan:
        """Check that it fits."""
        terms = self._planned.terms()
        remedy = "fewer columns" if self._place.kind == "zarr" else "a smaller row_group_bytes"
        return self._predicting.plan(limit_bytes, reserved_bytes, library_bytes, terms, remedy)

    def run(self, memory: MemoryPlan, governor: Governor, recorder: Recorder) -> Prediction:
        """Predict all rows, and write them."""
        predicting = self._predicting
        with ExitStack() as stack:
            stage = stack.enter_context(self._place.staged(overwrite=self._options.overwrite))
            batches = stack.enter_context(closing(predicting.batches(memory, governor)))
            first = next(batches, None)
            schema = first.schema if first is not None else predicting.outputs.guess()
            writer = self._writer(schema)
            stack.callback(writer.abandon)
            with self._place.naming_a_full_disk():
                writer.begin(stage)

            def write(group: pa.RecordBatch) -> None:
                with self._place.naming_a_full_disk(), governor.stages.at("write"):
                    writer.append(group)
                del group
                release_arrow()

            cut = groups(chain([first] if first is not None else [], batches), writer.size)
            del first
            # Groups are encoded in a thread of their own, one after the other.
            for _ in stack.enter_context(closing(ahead(cut, write, threads=predicting.overlaps))):
                pass
            with self._place.naming_a_full_disk():
                written = writer.finish()
            rows = predicting.rows
            if written.rows != rows.predicted:
                raise SourceError(
                    f"{self._place.path}: {rows.predicted:,} rows were written, and "
                    f"{written.rows:,} are there; the disk may be failing; nothing was left there"
                )
        return Prediction(
            os.fspath(self._place.path),
            "zarr" if self._place.kind == "zarr" else "parquet",
            tuple(schema.names),
            rows,
            written.files,
            written.size_bytes,
            recorder.memory(governor.used(memory)),
            governor.seconds,
            predicting.model,
            predicting.data.quarantine,
            governor.stages.times(),
        )


@dataclass(frozen=True)
class _Table:
    """Columns that travel as they are written."""

    columns: pa.Schema

    def as_columns(self, group: pa.RecordBatch) -> pa.RecordBatch:
        return group.cast(self.columns)
