"""A full shuffle of rows that do not fit in memory: scattered into buckets, each then permuted.

Each row draws a bucket, and each bucket is put in random order by itself. That is sorting by
independent random numbers, a digit at a time: every order of the rows is as likely as any other.
The bucket is drawn for the number of the row in the source, and how many buckets there are is a
matter of the data: neither the budget nor the chunks change the order.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.errors import MemoryBudgetError
from streamlearn.plan.memory import Term
from streamlearn.sizes import format_bytes
from streamlearn.write.base import naming_a_full_disk
from streamlearn.write.groups import join_columns

__all__ = ["Buckets", "Shuffler", "plan_buckets"]

_BUCKET_BYTES = 32 << 20
_MOST_BUCKETS = 1_024
"""With more, what goes to one of them at a time would be very small."""
_RUN_BYTES = 32 << 20
"""Rows that are sorted by bucket, and written, at once."""
_PIECE_BYTES = 2 << 20
_COLUMN_BYTES = 112
"""A column's share of an Arrow message's header, and the gap after it."""
_MESSAGE_BYTES = 400


@dataclass(frozen=True)
class Buckets:
    """How many buckets, and what they will hold."""

    count: int
    bucket_bytes: int
    """Of a bucket, as projected."""
    disk_bytes: int
    """Of all of them."""
    index_bytes: int

    def scatter_terms(self) -> tuple[Term, ...]:
        """Say what scattering holds."""
        return (
            Term("rows sorted by bucket", int(2.5 * _RUN_BYTES)),
            Term("places of the rows", self.index_bytes),
        )

    def gather_terms(self) -> tuple[Term, ...]:
        """Say what gathering holds."""
        return (
            Term("bucket being shuffled", int(2.2 * self.bucket_bytes) + 2 * _PIECE_BYTES),
            Term("places of the rows", self.index_bytes),
        )


def plan_buckets(rows: int, row_bytes: float, columns: int) -> Buckets:
    """Choose the buckets by the data alone.

    Examples
    --------
    >>> plan_buckets(1_000_000, 800, 100).count, plan_buckets(10, 800, 100).count
    (24, 1)
    """
    total = rows * row_bytes
    count = int(min(_MOST_BUCKETS, max(1, -(-total // _BUCKET_BYTES))))
    runs = int(total // _RUN_BYTES) + 1
    headers = count * (_MESSAGE_BYTES + _COLUMN_BYTES * columns)
    # Buckets are not of one size: the largest of many is some deviations above the mean.
    mean = rows / count
    largest = min(rows, mean + 4 * mean**0.5) if count > 1 else rows
    return Buckets(
        count,
        int(largest * row_bytes + runs * headers / count),
        int(total + runs * headers),
        runs * (count + 1) * 16,
    )


class Shuffler:
    """Rows in buckets on disk, given back in random order.

    Parameters
    ----------
    schema : pyarrow.Schema
    buckets : Buckets
    seed : int
    folder : path, optional
        Where to keep them, in a file that is unlinked from the start.

    Examples
    --------
    >>> buckets = plan_buckets(6, 8, 1)
    >>> with Shuffler(pa.schema([("a", pa.int64())]), buckets, seed=0) as shuffler:
    ...     shuffler.append(pa.record_batch({"a": [1, 2, 3, 4, 5, 6]}), np.arange(6))
    ...     found = [value for batch in shuffler.batches() for value in batch["a"].to_pylist()]
    >>> sorted(found), found == sorted(found)
    ([1, 2, 3, 4, 5, 6], False)
    """

    def __init__(
        self,
        schema: pa.Schema,
        buckets: Buckets,
        seed: int,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        self._schema = schema
        self._buckets = buckets
        self._seed = seed
        self._key = np.random.SeedSequence(seed).generate_state(2, np.uint64)
        if folder is not None:
            Path(folder).mkdir(parents=True, exist_ok=True)
        self._folder = os.fspath(folder) if folder is not None else tempfile.gettempdir()
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - see close
        self._waiting: list[pa.RecordBatch] = []
        self._drawn: list[NDArray[np.int64]] = []
        self._held = self._end = 0
        self._runs: list[NDArray[np.int64]] = []
        self._rows = np.zeros(buckets.count, np.int64)

    def append(self, batch: pa.RecordBatch, rows: NDArray[np.int64]) -> None:
        """Take in rows; ``rows`` are their numbers in the source, increasing."""
        if not batch.num_rows:
            return
        self._waiting.append(batch)
        self._drawn.append(self._draw(rows))
        self._held += batch.nbytes
        if self._held >= _RUN_BYTES:
            self.flush()

    def _draw(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Draw a bucket for each row: the generator is set to where the first row's number is."""
        first = int(rows[0]) // 4
        generator = np.random.Philox(key=self._key, counter=first)
        drawn = generator.random_raw(int(rows[-1]) + 1 - 4 * first)[rows - 4 * first]
        scaled = (drawn >> np.uint64(32)) * np.uint64(self._buckets.count)
        return np.asarray(scaled >> np.uint64(32), dtype=np.int64)

    def flush(self) -> None:
        """Write down what was taken in, before rows are given back."""
        if self._waiting:
            self._write_run()
            pa.default_memory_pool().release_unused()

    def _write_run(self) -> None:
        drawn = np.concatenate(self._drawn)
        pieces, self._waiting, self._drawn, self._held = self._waiting, [], [], 0
        order = np.argsort(drawn, kind="stable")
        run = join_columns(pieces)
        run = run.take(pa.array(order)) if self._buckets.count > 1 else run
        counts = np.bincount(drawn, minlength=self._buckets.count)
        places = np.empty(self._buckets.count + 1, np.int64)
        at = 0
        remedy = "name another folder with scratch_dir= or --scratch-dir, or convert unshuffled"
        with naming_a_full_disk(self._folder, remedy):
            for bucket, count in enumerate(counts.tolist()):
                places[bucket] = self._end
                if count:
                    self._put(run.slice(at, count).serialize())
                at += count
        places[-1] = self._end
        self._runs.append(places)
        self._rows += counts

    def _put(self, message: pa.Buffer) -> None:
        data = memoryview(message)
        while data:
            data = data[self._file.write(data) :]
        self._end += message.size

    def batches(
        self, fits: Callable[[int], bool] = lambda size: size >= 0
    ) -> Iterator[pa.RecordBatch]:
        """Yield all rows in random order, in pieces.

        Parameters
        ----------
        fits : callable
            Says whether so many bytes more may be held.

        Raises
        ------
        MemoryBudgetError
            If a bucket turns out to be larger than the data made believe, and does not fit.
        """
        self.flush()
        for bucket in range(self._buckets.count):
            rows = int(self._rows[bucket])
            if not rows:
                continue
            size = sum(int(run[bucket + 1] - run[bucket]) for run in self._runs)
            if size > self._buckets.bucket_bytes and not fits(2 * size):
                raise MemoryBudgetError(
                    f"a bucket of the shuffle holds {format_bytes(size)}, more than the "
                    f"{format_bytes(self._buckets.bucket_bytes)} that the data made believe, and "
                    f"is held twice; use a memory budget that is {format_bytes(2 * size)} larger"
                )
            table = self._load(bucket, size)
            order = self._order(bucket, rows)
            step = max(1, int(_PIECE_BYTES * rows / max(1, size)))
            for start in range(0, rows, step):
                yield table.take(pa.array(order[start : start + step]))
            # Two buckets at once would be one too many.
            del table
            pa.default_memory_pool().release_unused()

    def _order(self, bucket: int, rows: int) -> NDArray[np.int64]:
        sequence = np.random.SeedSequence(self._seed, spawn_key=(bucket,))
        return np.random.Generator(np.random.Philox(sequence)).permutation(rows)

    def _load(self, bucket: int, size: int) -> pa.RecordBatch:
        whole = pa.allocate_buffer(size)
        raw = memoryview(whole)
        pieces, at = [], 0
        for run in self._runs:
            start, stop = int(run[bucket]), int(run[bucket + 1])
            if start == stop:
                continue
            self._read(raw[at : at + stop - start], start)
            part = whole.slice(at, stop - start)
            pieces.append(pa.ipc.read_record_batch(part, self._schema))
            at += stop - start
        return join_columns(pieces)

    def _read(self, into: memoryview, at: int) -> None:
        while len(into):
            got = os.preadv(self._file.fileno(), [into], at)
            if not got:
                raise OSError("the file of the shuffle is shorter than what was written to it")
            into, at = into[got:], at + got

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()
