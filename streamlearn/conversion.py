"""Writing a dataset anew: to parquet or zarr, as it stands or in random order."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.errors import SourceError, UsageError
from streamlearn.plan.job import cores
from streamlearn.plan.lean import plan_reading
from streamlearn.plan.memory import Demand, MemoryPlan
from streamlearn.report.outcome import outcome_fragment
from streamlearn.sizes import format_bytes, format_seconds, parse_bytes
from streamlearn.source.dataset import Dataset
from streamlearn.source.quarantine import Quarantine
from streamlearn.stream.events import Warned
from streamlearn.stream.governor import Governor
from streamlearn.stream.reader import Reader, RowCount, count_part
from streamlearn.stream.reclaim import release_arrow
from streamlearn.stream.scratch import check_free_disk
from streamlearn.stream.screen import screen_pass
from streamlearn.stream.timeline import MemoryReport, Recorder
from streamlearn.write.base import Written
from streamlearn.write.groups import groups
from streamlearn.write.inputs import stored_bytes, stored_paths
from streamlearn.write.layout import Layout
from streamlearn.write.parquet import ParquetWriter, group_bytes_of
from streamlearn.write.place import Place, find_place
from streamlearn.write.shuffle import Buckets, Shuffler, plan_buckets
from streamlearn.write.zarr import ZarrWriter

__all__ = ["Conversion", "ConvertOptions", "ConvertedRows", "Converting"]

_SHARD_BYTES = 64 << 20


@dataclass(frozen=True)
class ConvertOptions:
    """What `streamlearn.convert` was asked for; see there."""

    format: str | None = None
    shuffle: bool = False
    random_state: int = 0
    compression: str = "zstd"
    row_group_bytes: str | int | None = None
    rows_per_file: int | None = None
    shards: bool | str | int = False
    overwrite: bool = False
    chunk_size: int | None = None
    threads: int | None = None
    scratch_dir: str | os.PathLike[str] | None = None


@dataclass(frozen=True)
class ConvertedRows:
    """What became of the rows that were read."""

    read: int
    written: int
    filtered: int
    missing: int
    rejected: int


@dataclass(frozen=True)
class Conversion:
    """An output that is complete."""

    path: str
    format: str
    """"parquet" or "zarr"."""
    rows: ConvertedRows
    files: int
    bytes_read: int
    """Of the files read, as they are stored; 0 for what was in memory."""
    bytes_written: int
    memory: MemoryReport
    seconds: float
    notes: tuple[str, ...] = ()
    """What opening the data found worth telling, such as drift between files."""
    quarantine: Quarantine | None = field(default=None, repr=False, compare=False)
    """Rows that could not be used, with ``on_error="quarantine"``."""

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the numbers as JSON, and write them to a file if one is named."""
        values = {
            "path": self.path,
            "format": self.format,
            "rows": asdict(self.rows),
            "files": self.files,
            "bytes_read": self.bytes_read,
            "bytes_written": self.bytes_written,
            "memory": self.memory.numbers(),
            "seconds": self.seconds,
            "notes": list(self.notes),
        }
        if self.quarantine is not None:
            values["rejected"] = self.quarantine.summary()
        text = json.dumps(values, indent=2)
        if path is not None:
            Path(path).write_text(text + "\n")
        return text

    def __repr__(self) -> str:
        read = f"{format_bytes(self.bytes_read)} -> " if self.bytes_read else ""
        return "\n".join(
            [
                f"Conversion to {self.path} ({self.format}) in {format_seconds(self.seconds)}",
                f"  rows    read {self.rows.read:,}, written {self.rows.written:,}, "
                f"filtered {self.rows.filtered:,}, missing {self.rows.missing:,}, "
                f"rejected {self.rows.rejected:,}",
                f"  bytes   {read}{format_bytes(self.bytes_written)} in {self.files:,} "
                f"file{'s' if self.files != 1 else ''}",
                f"  memory  {self.memory}",
                *(f"  note    {note}" for note in self.notes),
                *(
                    f"  rejected {item}"
                    for item in (self.quarantine.first[:5] if self.quarantine else ())
                ),
            ]
        )

    def _repr_html_(self) -> str:
        read = f", {format_bytes(self.bytes_read)} read" if self.bytes_read else ""
        rows = self.rows
        facts = {
            "path": self.path,
            "format": self.format,
            "rows": f"{rows.read:,} read, {rows.written:,} written, {rows.filtered:,} filtered, "
            f"{rows.missing:,} missing, {rows.rejected:,} rejected",
            "bytes": f"{format_bytes(self.bytes_written)} written{read}",
            "files": f"{self.files:,}",
        }
        rejected = self.quarantine.summary() if self.quarantine else None
        took = f"in {format_seconds(self.seconds)}"
        return outcome_fragment("Conversion", took, facts, self.memory, self.notes, rejected)


class Converting:
    """One call of `streamlearn.convert`.

    Parameters
    ----------
    data : Dataset
    path : path
        Of the output.
    options : ConvertOptions

    Raises
    ------
    UsageError
        If options contradict each other, or something else stands at the path.
    SchemaError
        If a column cannot be written.
    """

    def __init__(
        self, data: Dataset, path: str | os.PathLike[str], options: ConvertOptions
    ) -> None:
        self._place = find_place(path, options.format)
        self._place.refuse_occupied(overwrite=options.overwrite)
        self._place.refuse_inputs(stored_paths(data))
        self._options = options
        self._layout = Layout(data)
        self._writer = _writer(self._layout, self._place, options)
        self._threads = options.threads or cores()
        self._buckets: Buckets | None = None
        if options.shuffle:
            if options.random_state < 0:
                raise UsageError(f"random_state must be 0 or more, not {options.random_state}")
            row = self._layout.row_bytes()
            self._buckets = plan_buckets(data.rows, row, len(self._layout.schema))

    def plan(self, limit_bytes: int, reserved_bytes: int, library_bytes: int) -> MemoryPlan:
        """Check that it fits."""
        folder = self._options.scratch_dir
        self._layout, plan = plan_reading(
            self._layout,
            self._demands,
            None if folder is None else os.fspath(folder),
            limit_bytes=limit_bytes,
            reserved_bytes=reserved_bytes,
            library_bytes=library_bytes,
            chunk_size=self._options.chunk_size,
            readers=max(1, min(self._threads - 1, len(self._layout.data.fragments))),
        )
        return plan

    def _demands(self, layout: Layout) -> list[Demand]:
        cost = layout.cost()
        reading = self._writer.terms()
        if self._buckets is not None:
            reading = self._buckets.scatter_terms()
        demands = [
            Demand(
                "convert" if self._buckets is None else "scatter",
                cost.fixed_bytes,
                cost.row_bytes,
                cost.chunk_row_bytes,
                3,  # of one, a slice may wait for the next group
                reading,
                remedy=self._remedy,
                note=cost.note,
                most_rows=self._layout.data.longest_rows,
            )
        ]
        if self._buckets is not None:
            held = (*self._buckets.gather_terms(), *self._writer.terms())
            demands.append(Demand("gather", 0, 0.0, 0.0, 0, held, remedy=self._remedy))
        return demands

    @property
    def _remedy(self) -> str:
        if isinstance(self._writer, ParquetWriter):
            return "a smaller row_group_bytes"
        return "smaller shards, or none" if self._options.shards else "fewer features"

    def run(self, memory: MemoryPlan, governor: Governor, recorder: Recorder) -> Conversion:
        """Read everything once, and write it."""
        rows = RowCount()
        for note in self._layout.notes:
            governor.tell(Warned(governor.seconds, note))
        data = self._layout.data
        if data.quarantine is not None:
            with governor.passing("screen", 1, 2, data.rows):
                threads = memory.readers if self._threads > 1 else 0
                screen_pass(data, self._layout.names, governor, threads)
        shuffler = self._shuffler()
        with ExitStack() as stack:
            place = stack.enter_context(self._place.staged(overwrite=self._options.overwrite))
            if shuffler is not None:
                stack.enter_context(closing(shuffler))
            stack.callback(self._writer.abandon)
            with self._place.naming_a_full_disk():
                self._writer.begin(place)
            batches = stack.enter_context(closing(self._read(memory, governor, rows, shuffler)))
            for group in groups(batches, self._writer.size):
                with self._place.naming_a_full_disk():
                    self._writer.append(group)
                del group
                # Else the allocator holds this group while the next is gathered.
                release_arrow()
            with self._place.naming_a_full_disk():
                written = self._writer.finish()
            self._check(written, rows)
        use = governor.used(memory)
        return Conversion(
            os.fspath(self._place.path),
            "zarr" if self._place.kind == "zarr" else "parquet",
            ConvertedRows(rows.read, written.rows, rows.filtered, rows.missing, rows.rejected),
            written.files,
            stored_bytes(self._layout.data),
            written.size_bytes,
            recorder.memory(use),
            governor.seconds,
            self._layout.notes,
            self._layout.data.quarantine,
        )

    def _shuffler(self) -> Shuffler | None:
        if self._buckets is None:
            return None
        folder = self._options.scratch_dir
        check_free_disk(folder, self._buckets.disk_bytes)
        return Shuffler(self._layout.schema, self._buckets, self._options.random_state, folder)

    def _read(
        self,
        memory: MemoryPlan,
        governor: Governor,
        rows: RowCount,
        shuffler: Shuffler | None,
    ) -> Generator[pa.RecordBatch, None, None]:
        """Yield all rows as they are to be written."""
        if shuffler is None:
            with governor.passing("convert", 1, 1, self._layout.data.rows):
                for batch, _ in self._chunks(memory, governor, rows):
                    yield batch
                    del batch
            return
        with governor.passing("scatter", 1, 2, self._layout.data.rows):
            for batch, numbers in self._chunks(memory, governor, rows):
                shuffler.append(batch, numbers)
                del batch
            shuffler.flush()
        governor.reclaim()
        room = memory.limit_bytes - memory.projected_bytes
        with governor.passing("gather", 2, 2, rows.learned):
            done = 0
            for batch in shuffler.batches(lambda size: size <= max(0, room)):
                done += batch.num_rows
                yield batch
                del batch
                governor.after_chunk(done)

    def _chunks(
        self, memory: MemoryPlan, governor: Governor, rows: RowCount
    ) -> Iterator[tuple[pa.RecordBatch, NDArray[np.int64]]]:
        threads = memory.readers if self._threads > 1 else 0
        layout = self._layout
        reader = Reader(layout.data, layout.names, governor, threads)
        check: Callable[..., None] | None = getattr(self._writer, "check", None)
        with closing(reader.parts()) as parts:
            for part in parts:
                count_part(part, rows)
                if part.learn is not None:
                    if check is not None:
                        check(part.learn)
                    yield layout.batch(part.learn), part.learn.rows
                del part
                governor.after_chunk(rows.read)

    def _check(self, written: Written, rows: RowCount) -> None:
        rows.check()
        if written.rows != rows.learned:
            raise SourceError(
                f"{self._place.path}: {rows.learned:,} rows were written, and {written.rows:,} are "
                "there; the disk may be failing; nothing was left there"
            )


def _writer(layout: Layout, place: Place, options: ConvertOptions) -> ParquetWriter | ZarrWriter:
    if place.kind == "zarr":
        for name in ("row_group_bytes", "rows_per_file"):
            if getattr(options, name) is not None:
                raise UsageError(f"{name}= is for parquet, and the output is a zarr store")
        shards = options.shards
        size = _SHARD_BYTES if shards is True else parse_bytes(shards) if shards else None
        return ZarrWriter(layout, compression=options.compression, shard_bytes=size)
    if options.shards:
        raise UsageError("shards= is for zarr stores, and the output is parquet")
    return ParquetWriter(
        layout,
        many=place.kind == "folder",
        compression=options.compression,
        group_bytes=group_bytes_of(options.row_group_bytes),
        rows_per_file=options.rows_per_file,
    )
