"""A fitted model's answers for data larger than memory, batch by batch, in input order."""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa

from streamlearn.answering import Answerer
from streamlearn.chunk import Chunk, Schema
from streamlearn.errors import DataError, MemoryBudgetError, SchemaError, UsageError
from streamlearn.plan.job import cores
from streamlearn.plan.lean import plan_reading
from streamlearn.plan.memory import Demand, MemoryPlan, Term, plan_memory
from streamlearn.prepare.frame import select
from streamlearn.rebatch import cut
from streamlearn.source.base import Rejected
from streamlearn.source.dataset import Dataset
from streamlearn.source.quarantine import Quarantine
from streamlearn.stream.governor import Governor
from streamlearn.stream.prefetch import ahead
from streamlearn.stream.reader import Reader, RowCount, count_part
from streamlearn.stream.screen import screen_pass
from streamlearn.stream.stages import Stages
from streamlearn.write.numbers import Numbers
from streamlearn.write.outputs import Outputs

__all__ = ["Batches", "PredictOptions", "PredictedRows", "Predicting"]

_ANSWER_BYTES = 64 << 20
_GOOD_ROWS = 16_384
"""A chunk this long is read as fast as longer ones; less overlap is better than shorter ones."""


@dataclass(frozen=True)
class PredictOptions:
    """What `streamlearn.predict` was asked for; see there."""

    method: str | Sequence[str] = "predict"
    columns: Sequence[Any] = ()
    row_ids: bool = False
    chunk_size: int | None = None
    threads: int | None = None
    scratch_dir: str | None = None
    overwrite: bool = False
    format: str | None = None
    compression: str = "zstd"
    row_group_bytes: str | int | None = None
    rows_per_file: int | None = None

    def __post_init__(self) -> None:
        for name in ("chunk_size", "threads", "rows_per_file"):
            value = getattr(self, name)
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1
            ):
                raise UsageError(f"{name} must be a whole number from 1 on, not {value!r}")

    @property
    def methods(self) -> list[str]:
        """The methods that are asked, each once."""
        found = [self.method] if isinstance(self.method, str) else list(self.method)
        if not found:
            raise UsageError("method= is empty; name at least one, such as 'predict'")
        return list(dict.fromkeys(found))


@dataclass(frozen=True)
class PredictedRows:
    """What became of the rows that were read."""

    read: int
    predicted: int
    filtered: int
    missing: int
    rejected: int

    def __str__(self) -> str:
        return ", ".join(f"{name} {rows:,}" for name, rows in asdict(self).items())


class Predicting:
    """One call of `streamlearn.predict`, up to the batches.

    Parameters
    ----------
    estimator : fitted estimator
    data : Dataset
        A target and a weight are not looked at.
    options : PredictOptions

    Raises
    ------
    SchemaError
        If columns are missing: of those the model was fitted on, or to pass through.
    UsageError
        If it is not fitted, lacks a method, or two columns would have one name.
    """

    def __init__(self, estimator: Any, data: Dataset, options: PredictOptions) -> None:
        data = copy.copy(data)
        data.target = data.weight = None
        self._answerer = Answerer(estimator, data)
        self.data = self._answerer.data
        passed = _passed(self.data, options.columns)
        self.outputs = Outputs(estimator, options.methods, passed, row_ids=options.row_ids)
        self._names = list(self._answerer.names)
        if self.data.features.named:
            self._names += [name for name in passed.names if name not in self._answerer.names]
        self.data.require(self._names, roles=False)
        widest = 8 * max(1, self.outputs.answer_columns)
        self._rows = min(self._answerer.block_rows, max(256, _ANSWER_BYTES // widest))
        self._options = options
        self._threads = options.threads or cores()
        self._workers = 0
        self._checks: list[Numbers] = []
        self._late: list[Rejected] = []
        self._account = RowCount()
        last = self._answerer.model
        self.model = type(estimator if last is None else last).__name__
        self.estimator = estimator

    def check_numbers(self) -> None:
        """Refuse, row by row, gaps in whole numbers that are passed through to arrays."""
        if self.data.features.named:
            self._checks = [Numbers(Schema((field,))) for field in self.outputs.passed]

    def plan(
        self,
        limit_bytes: int,
        reserved_bytes: int,
        library_bytes: int,
        written: Sequence[Term] = (),
        remedy: str = "a smaller model",
    ) -> MemoryPlan:
        """Check that it fits, with as many blocks answered at once as do.

        Parameters
        ----------
        written : sequence of Term
            What writing holds.
        remedy : str
            What else would help, where it does not fit.
        """
        options: dict[str, Any] = {
            "limit_bytes": limit_bytes,
            "reserved_bytes": reserved_bytes,
            "library_bytes": library_bytes,
            "chunk_size": self._options.chunk_size,
            "readers": max(1, min(self._threads - 1, len(self.data.fragments))),
        }
        good = min(_GOOD_ROWS, self._options.chunk_size or _GOOD_ROWS, self.data.longest_rows)
        for workers in (self._threads, 1) if self._threads > 1 else ():
            self._workers = workers
            try:
                plan = plan_memory([self._demand(self.data, written, remedy)], **options)
            except MemoryBudgetError:
                continue
            if plan.chunk_rows >= good:
                return plan
        self._workers = 0
        self.data, plan = plan_reading(
            self.data,
            lambda data: [self._demand(data, written, remedy)],
            self._options.scratch_dir,
            **options,
        )
        return plan

    def _demand(self, data: Dataset, written: Sequence[Term], remedy: str) -> Demand:
        cost = data.cost(self._names, roles=False)
        passed = cost.chunk_row_bytes if len(self.outputs.passed) else 0.0
        row = passed + 8.0 * len(self.outputs.names)
        blocks = self._workers + 1 if self._workers else 0
        return Demand(
            "predict",
            cost.fixed_bytes,
            cost.row_bytes,
            cost.chunk_row_bytes,
            3 if len(self.outputs.passed) else 2,  # of one, a slice may wait to be written
            (
                *self._answerer.terms(cost, blocks, self._rows),
                Term("answers as columns", int((1 + blocks) * self._rows * row)),
                *written,
                *(written[:1] if self._workers else ()),  # one more may wait to be written
            ),
            remedy=remedy,
            note=cost.note,
            most_rows=data.longest_rows,
        )

    @property
    def overlaps(self) -> bool:
        """Whether there is room to write in a thread of its own."""
        return self._workers > 0

    def batches(
        self, memory: MemoryPlan, governor: Governor
    ) -> Generator[pa.RecordBatch, None, None]:
        """Yield the answers in input order; `rows` then says what became of the rows."""
        data, account = self.data, self._account
        threads = memory.readers if self._threads > 1 else 0
        if data.quarantine is not None:
            with governor.passing("screen", 1, 2, data.rows):
                carried = set(self._names) - set(self._answerer.names)
                screen_pass(data, self._names, governor, threads, roles=False, carried=carried)
        reader = Reader(data, self._names, governor, threads, roles=False)

        def blocks() -> Iterator[Chunk]:
            with closing(reader.parts()) as parts:
                for part in parts:
                    count_part(part, account)
                    governor.after_chunk(account.read)
                    if part.learn is not None:
                        yield Chunk(part.learn.X, part.learn.rows)

        with governor.passing("predict", 1, 1, data.rows):
            answered = ahead(
                cut(blocks(), self._rows),
                lambda parts: self._answer(Chunk.concat(parts), governor.stages),
                threads=self._workers,
                depth=max(1, self._workers),
            )
            if self._workers:
                answered = governor.stages.each("wait", answered)
            schema: pa.Schema | None = None
            with closing(answered) as found:
                for batch, late in found:
                    self._late += late
                    if batch is None:
                        continue
                    schema = schema or batch.schema
                    yield _conformed(batch, schema)
                    del batch
            account.check()
        if self._late and data.quarantine is not None:
            data.quarantine.record(self._late)

    def _answer(self, chunk: Chunk, stages: Stages) -> tuple[pa.RecordBatch | None, list[Rejected]]:
        """Return the answers for a block, and the rows that have none."""
        for numbers in self._checks:
            numbers.check(chunk, self.data)
        asked = chunk
        if self.data.features.named and self._names != self._answerer.names:
            asked = chunk.replace(select(chunk.X, self._answerer.names))
        try:
            answers = self._answerer.answer(asked, self.outputs.ask, stages)
        except DataError:
            if self.data.quarantine is None:
                raise
            found = self._answerer.faulty(asked, self.outputs.ask)
            keep = ~np.isin(chunk.rows, list(found))
            late = [self._rejected(row, reason) for row, reason in sorted(found.items())]
            if not found:
                raise
            if not keep.any():
                return None, late
            batch, more = self._answer(chunk.keep(keep), stages)
            return batch, late + more
        with stages.at("write"):
            return self.outputs.batch(chunk, answers), []

    def _rejected(self, row: int, reason: str) -> Rejected:
        parts = self.data.fragments
        part = parts[max(0, bisect_right(parts, row, key=lambda item: item.first) - 1)]
        return Rejected(part.path, part.part, row, 1, reason)

    @property
    def rows(self) -> PredictedRows:
        """What became of the rows that have been read so far."""
        seen, late = self._account, len(self._late)
        return PredictedRows(
            seen.read, seen.learned - late, seen.filtered, seen.missing, seen.rejected + late
        )


class Batches:
    """The answers as an iterator of `pyarrow.RecordBatch`, in input order.

    Closing it, or leaving its ``with`` block, stops all threads; so does dropping it. The budget
    binds from the first batch to the end, and BLAS has one thread meanwhile.

    Parameters
    ----------
    predicting : Predicting
    batches : generator of RecordBatch
    """

    def __init__(
        self, predicting: Predicting, batches: Generator[pa.RecordBatch, None, None]
    ) -> None:
        self._predicting = predicting
        self._batches = batches

    @property
    def rows(self) -> PredictedRows:
        """What became of the rows that have been read so far."""
        return self._predicting.rows

    @property
    def quarantine(self) -> Quarantine | None:
        """Rows that could not be predicted, with ``on_error="quarantine"``."""
        return self._predicting.data.quarantine

    def __repr__(self) -> str:
        predicting = self._predicting
        return f"Batches of {predicting.model}: {', '.join(predicting.outputs.names)}"

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self

    def __next__(self) -> pa.RecordBatch:
        return next(self._batches)

    def close(self) -> None:
        """Stop, and let go of everything."""
        self._batches.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _passed(data: Dataset, columns: Sequence[Any]) -> Schema:
    """Return the columns to pass through: by name of a table, by position of a matrix."""
    if isinstance(columns, str):
        raise UsageError(f"columns= takes a list of names, not the text {columns!r}")
    if data.is_sparse and columns:
        raise UsageError("columns= takes columns of a table, and the data is a sparse matrix")
    names = [str(name) for name in columns]
    known = data.schema if data.features.named else data.features
    missing = [name for name in names if name not in known]
    if missing:
        raise SchemaError(
            f"there is no column {', '.join(map(repr, missing))} to pass through; the columns are: "
            f"{', '.join(known.names)}"
        )
    if len(set(names)) < len(names):
        raise UsageError(f"columns= names a column more than once: {', '.join(names)}")
    if not data.features.named:
        order = {name: at for at, name in enumerate(known.names)}
        if any(name != str(at) for name, at in order.items()):
            raise UsageError("columns= of a matrix goes with all of its columns as features")
    return known.select(names)


def _conformed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch with the types of the first one."""
    if batch.schema.equals(schema):
        return batch
    try:
        return batch.cast(schema)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise DataError(
            f"the answers change their types on the way, from {schema.types} to "
            f"{batch.schema.types}: {error}"
        ) from error
