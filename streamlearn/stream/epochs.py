"""Learning in order: batches of one size, epoch after epoch."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Chunk
from streamlearn.errors import CellError, DataError, UsageError
from streamlearn.learn.sequential import SequentialLearner
from streamlearn.plan.order import Shuffle
from streamlearn.prepare.base import Kernel
from streamlearn.prepare.frame import numbers
from streamlearn.rebatch import Rebatcher, cut, rebatch
from streamlearn.score.base import Score, answers_of
from streamlearn.score.progressive import ProgressiveLoss
from streamlearn.stream.events import BatchLearned, EpochEnded, PassEnded, PassStarted
from streamlearn.stream.prefetch import ahead
from streamlearn.stream.reader import Reader, RowCount, count_part
from streamlearn.stream.scratch import Scratch
from streamlearn.stream.statistics import located

__all__ = ["EpochRecord", "Epochs", "Stopping"]


@dataclass(frozen=True)
class Stopping:
    """When to stop before the last epoch: as scikit-learn's SGD does, on the held-out score."""

    tol: float
    n_iter_no_change: int
    score: str
    """Name of the metric; greater is better."""


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch achieved."""

    epoch: int
    rows: int
    """Rows learned in the epoch."""
    loss: float | None
    """Mean progressive loss: of each batch before it was learned."""
    loss_name: str
    held_out: dict[str, float] | None
    """Scores of the held-out rows after the epoch."""
    seconds: float
    curve: tuple[tuple[int, float], ...] = ()
    """Progressive loss against rows learned so far, over all epochs."""


@dataclass
class Epochs:
    """Trains a learner for some epochs.

    Parameters
    ----------
    reader : Reader
    kernel : Kernel or None
        Raw columns to the model's matrix; None where the model takes the columns as they are.
    learner : SequentialLearner
    predictor : estimator
        What answers, from prepared rows: the learner's estimator, or it with its target
        transformed back.
    target : fitted transformer or None
        Of the target, before the learner sees it.
    batch_rows : int
    epochs : int
    shuffle : Shuffle or None
        Order of rows; None: as stored.
    new_score : callable
        Makes empty scores for the held-out rows.
    stopping : Stopping or None
    scratch_dir : path or None
    """

    reader: Reader
    kernel: Kernel | None
    learner: SequentialLearner
    predictor: Any
    target: Any
    batch_rows: int
    epochs: int
    shuffle: Shuffle | None
    new_score: Callable[[], Score]
    stopping: Stopping | None = None
    scratch_dir: str | None = None
    first_pass: int = 1
    cache: bool = False
    """Whether prepared rows are kept on disk for the epochs after the first."""
    warn: Callable[[str], None] = print
    rows: RowCount = field(default_factory=RowCount)
    records: list[EpochRecord] = field(default_factory=list)
    names: list[str] | None = None
    """Of the columns that the model learned from, where the steps before it give frames."""
    _learned: int = 0
    _kept: Scratch | None = None

    def run(self) -> None:
        """Learn; `records` and `rows` then hold what happened."""
        with ExitStack() as stack:

            def scratch(wanted: bool) -> Scratch | None:
                return stack.enter_context(Scratch(self.scratch_dir)) if wanted else None

            held = scratch(bool(self.reader.validation))
            store = scratch(self.shuffle is not None)
            self._kept = scratch(self.cache)
            if store is not None:
                for prepared in self._started("prepare", self._read(held)):
                    store.append(prepared)
                self.reader.governor.reclaim()
            best, worse = -np.inf, 0
            for epoch in range(self.epochs):
                stream: Generator[Chunk, None, None]
                if store is not None:
                    stream = self._shuffled(store, epoch)
                elif epoch and self._kept is not None:
                    stream = self._again(self._kept)
                else:
                    stream = self._read(held if epoch == 0 else None)
                self._epoch(epoch, stream, held)
                if self.stopping is not None:
                    scores = self.records[-1].held_out or {}
                    score = scores.get(self.stopping.score, -np.inf)
                    worse = worse + 1 if score < best + self.stopping.tol else 0
                    best = max(best, score)
                    if worse >= self.stopping.n_iter_no_change:
                        return

    def _started(
        self, name: str, stream: Generator[Chunk, None, None]
    ) -> Generator[Chunk, None, None]:
        governor = self.reader.governor
        begin = governor.seconds
        rows = self.reader.dataset.rows
        governor.tell(PassStarted(begin, name, self.first_pass, 0, rows))
        self.first_pass += 1
        with closing(stream) as chunks:
            yield from chunks
        governor.tell(PassEnded(governor.seconds, name, governor.seconds - begin))

    def _epoch(
        self, epoch: int, stream: Generator[Chunk, None, None], held: Scratch | None
    ) -> None:
        governor = self.reader.governor
        stages = governor.stages
        begin = governor.seconds
        meter = ProgressiveLoss(self.predictor, self.learner.classes)
        curve = []
        before = self._learned
        name = f"learn, epoch {epoch + 1} of {self.epochs}"
        batches = self._started(name, stream)
        if self.reader.threads:
            batches = stages.each("wait", batches)
        for number, batch in enumerate(batches, 1):
            loss = None
            if self.learner.batches:
                with stages.at("score"):
                    loss = meter.before(batch.X, batch.y)
            with stages.at("model"):
                self._learn(batch)
            self._learned += len(batch)
            if loss is not None:
                curve.append((self._learned, loss))
            governor.tell(BatchLearned(governor.seconds, epoch + 1, number, self._learned, loss))
        with stages.at("model"):
            self.learner.flush()
        if self._learned == before:
            raise DataError(f"there is no row to learn from: {self.rows.shown()}")
        with stages.at("score"):
            scores = self._score(held)
        loss = meter.value()
        governor.tell(EpochEnded(governor.seconds, epoch + 1, loss, meter.name, scores))
        self.records.append(
            EpochRecord(
                epoch + 1,
                self._learned - before,
                loss,
                meter.name,
                scores,
                governor.seconds - begin,
                tuple(_thin(curve)),
            )
        )

    def _learn(self, batch: Chunk) -> None:
        try:
            self.learner.learn(batch.X, self._target_of(batch), batch.weight)
        except ValueError as error:
            if isinstance(error, DataError) or hasattr(error, "exit_code"):
                raise
            raise self._explain(error, batch) from error
        except TypeError as error:
            model = type(self.learner.estimator).__name__
            raise UsageError(
                f"{model} cannot learn what the preprocessing gives: {error}"
            ) from error

    def _target_of(self, batch: Chunk) -> NDArray[Any] | None:
        """Return the target as the learner is to see it."""
        if self.target is None or batch.y is None:
            return batch.y
        found = np.asarray(self.target.transform(batch.y[:, None]))
        return found[:, 0] if found.ndim == 2 else found

    def _explain(self, error: ValueError, batch: Chunk) -> DataError:
        """Find the cell that the model would not take."""
        found = _not_finite(batch.X)
        if found is not None:
            row, column, value = found
            names = self.reader.features if self.kernel is None else None
            shown = names[column] if names else f"output {column} of the preprocessing"
            model = type(self.learner.estimator).__name__
            return DataError(
                f"{self.reader.dataset.locate(int(batch.rows[row]))}: column {shown!r} is "
                f"{value}, which {model} does not take; put a SimpleImputer before it, or filter "
                "such rows with where="
            )
        place = self.reader.dataset.locate(int(batch.rows[0]))
        return DataError(f"the batch that begins at {place} cannot be learned: {error}")

    def _read(self, held: Scratch | None) -> Generator[Chunk, None, None]:
        """Yield prepared batches in source order; held-out rows go to scratch, if it is given."""
        first = held is not None or not self.records
        aside = Rebatcher(self.batch_rows)
        account = RowCount()

        def raw() -> Iterator[Chunk]:
            with closing(self.reader.parts()) as read:
                for part in read:
                    count_part(part, account)
                    self.reader.governor.after_chunk(account.read)
                    if part.held is not None and held is not None:
                        for parts in aside.cut(part.held):
                            held.append(self._prepare(parts, new=True))
                    if part.learn is not None:
                        yield part.learn

        def prepare(parts: list[Chunk]) -> Chunk:
            batch = self._prepare(parts)
            if first:
                self._keep(batch)
            return batch

        threads = min(1, self.reader.threads)
        prepared = ahead(cut(raw(), self.batch_rows), prepare, threads=threads)
        with closing(prepared) as batches:
            yield from batches
        if held is not None:
            for rest in aside.cut_rest():
                held.append(self._prepare(rest, new=True))
        account.check()
        if first:
            self.rows = account

    def _keep(self, batch: Chunk) -> None:
        """Write a prepared batch for the epochs to come, for as long as the disk takes it."""
        if self._kept is None:
            return
        if batch.X.dtype.kind == "O":
            self._kept = None  # scratch holds numbers
            return
        try:
            with self.reader.governor.stages.at("scratch"):
                self._kept.append(batch)
        except OSError as error:
            self._kept = None
            self.warn(
                f"prepared rows are not kept for the epochs to come ({error}); they are read and "
                "prepared again for each"
            )

    def _again(self, kept: Scratch) -> Generator[Chunk, None, None]:
        """Yield the batches of the first epoch once more."""

        def read(start: int) -> Chunk:
            with self.reader.governor.stages.at("scratch"):
                return kept.read(start, min(kept.rows, start + self.batch_rows))

        starts = range(0, kept.rows, self.batch_rows)
        with closing(ahead(starts, read, threads=min(1, self.reader.threads))) as batches:
            done = 0
            for batch in batches:
                done += len(batch)
                self.reader.governor.after_chunk(done)
                yield batch

    def _prepare(self, parts: list[Chunk], *, new: bool = False) -> Chunk:
        """Transform a batch; ``new`` rows are not those the statistics were learned from."""
        with self.reader.governor.stages.at("prepare"):
            return self._transformed(Chunk.concat(parts), new=new)

    def _transformed(self, batch: Chunk, *, new: bool) -> Chunk:
        try:
            X = batch.X
            if self.kernel is not None:
                X = self.kernel.apply(X, None if new else batch.rows)
            if isinstance(X, pa.RecordBatch):
                X = numbers(X, order="C")
            elif hasattr(X, "iloc"):
                # Scratch keeps no names; the model is given them at the end.
                self.names, X = list(X.columns), X.to_numpy()
            elif hasattr(X, "tocsr"):
                X = X.tocsr()  # imputers give columns, and scratch keeps rows
        except CellError as error:
            raise located(error, self.reader.dataset, batch) from None
        return Chunk(X, batch.rows, batch.y, batch.weight)

    def _shuffled(self, store: Scratch, epoch: int) -> Generator[Chunk, None, None]:
        assert self.shuffle is not None
        shuffle = self.shuffle

        def groups() -> Iterable[Chunk]:
            done = 0
            for blocks, order in shuffle.groups(store.rows, epoch):
                done += len(order)
                # Bound to no name here: the next group would be read beside it.
                yield _mixed(store, blocks, order)
                self.reader.governor.after_chunk(done)

        yield from rebatch(groups(), self.batch_rows)

    def _score(self, held: Scratch | None) -> dict[str, float] | None:
        if held is None or not held.rows:
            return None
        scores = self.new_score()
        for start in range(0, held.rows, self.batch_rows):
            part = held.read(start, min(held.rows, start + self.batch_rows))
            if part.y is not None:
                scores.update(part.y, answers_of(self.predictor, part.X), part.weight)
        return dict(scores.value())


def _not_finite(X: Any) -> tuple[int, int, Any] | None:
    """Return row, column and value of a matrix's first cell that is no finite number."""
    if hasattr(X, "indptr"):
        bad = ~np.isfinite(X.data)
        if not bad.any():
            return None
        at = int(bad.argmax())
        return int(np.searchsorted(X.indptr, at, side="right")) - 1, int(X.indices[at]), X.data[at]
    if not isinstance(X, np.ndarray) or X.ndim != 2 or X.dtype.kind != "f":
        return None
    bad = ~np.isfinite(X)
    if not bad.any():
        return None
    row, column = (int(part) for part in np.argwhere(bad)[0])
    return row, column, X[row, column]


def _mixed(store: Scratch, blocks: list[tuple[int, int]], order: NDArray[np.intp]) -> Chunk:
    group = Chunk.concat([store.read(start, stop) for start, stop in blocks])
    return Chunk(
        group.X[order],
        group.rows[order],
        None if group.y is None else group.y[order],
        None if group.weight is None else group.weight[order],
    )


def _thin(curve: list[tuple[int, float]], most: int = 200) -> list[tuple[int, float]]:
    """At most this many points, evenly spread, the last one kept."""
    if len(curve) <= most:
        return curve
    picks = np.unique(np.linspace(0, len(curve) - 1, most).astype(int))
    return [curve[index] for index in picks]
