"""The passes of statistics: every block shown once to every step that can learn from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from streamlearn.chunk import Chunk
from streamlearn.errors import CellError, DataError
from streamlearn.learn.graph import Node, PassState
from streamlearn.learn.profiler import Profiler
from streamlearn.learn.target import TargetProfile
from streamlearn.rebatch import Rebatcher
from streamlearn.source.base import Fragment
from streamlearn.source.dataset import Dataset
from streamlearn.stream.prefetch import ordered
from streamlearn.stream.reader import Part, Reader, RowCount, count_part

__all__ = ["Statistics", "located", "statistics_pass"]

_SAMPLE_ROWS = 8


@dataclass
class Statistics:
    """What one pass has taught."""

    state: PassState = field(default_factory=PassState)
    profile: TargetProfile | None = None
    columns: Profiler | None = None
    rows: RowCount = field(default_factory=RowCount)
    sample: Any = None
    """The first rows, as read."""


Watch = Callable[[Sequence[PassState], int], None]
"""Told after every chunk what states there are, and how many rows have been read."""


def statistics_pass(
    reader: Reader,
    root: Node | None,
    new_profile: Callable[[], TargetProfile] | None,
    watch: Watch | None = None,
    *,
    rows: int,
    new_columns: Callable[[], Profiler] | None = None,
    in_order: bool = False,
) -> Statistics:
    """Read all rows once; accumulate fragment by fragment, merge in source order.

    Parameters
    ----------
    root : Node or None
        Steps to learn, if any.
    new_profile : callable or None
        Makes an empty profile of the target, if it is wanted.
    watch : callable or None
        May raise to end the pass.
    rows : int
        Of a block: part of the mathematics, as sums are rounded block by block.
    new_columns : callable or None
        Makes an empty profile of the columns, if it is wanted.
    in_order : bool
        Show all rows one after the other to one state, in blocks that reach across fragments:
        for steps that learn in order. Reading still goes ahead in threads.
    """

    def start() -> Statistics:
        return Statistics(
            profile=new_profile() if new_profile else None,
            columns=new_columns() if new_columns else None,
        )

    found = start()
    if in_order:
        _learn_in_order(reader, root, found, watch, rows)
        found.rows.check()
        return found

    working: dict[int, PassState] = {}

    def work(fragment: Fragment) -> Iterator[int | Statistics]:
        mine = start()
        working[fragment.index] = mine.state
        blocks = Rebatcher(rows)
        for part in reader.fragment(fragment):
            with reader.governor.stages.at("statistics"):
                _take_part(part, mine, root, blocks, reader.dataset)
            yield part.read
        with reader.governor.stages.at("statistics"):
            for block in blocks.rest():
                _learn(mine, root, block, reader.dataset)
        yield mine

    read = 0
    stream = ordered(
        reader.dataset.fragments,
        work,
        threads=reader.threads,
        depth=None,
        most=lambda: reader.governor.readers,
    )
    with closing(stream) as items:
        for item in items:
            if isinstance(item, int):
                read += item
                reader.governor.after_chunk(read)
                if watch is not None:
                    watch([found.state, *working.copy().values()], read)
                continue
            working.pop(min(working))
            found.state.merge(item.state)
            found.rows.add(item.rows)
            if found.profile is not None and item.profile is not None:
                found.profile.merge(item.profile)
            if found.columns is not None and item.columns is not None:
                found.columns.merge(item.columns)
            if found.sample is None:
                found.sample = item.sample
    found.rows.check()
    return found


def _learn_in_order(
    reader: Reader, root: Node | None, found: Statistics, watch: Watch | None, rows: int
) -> None:
    blocks = Rebatcher(rows)
    read = 0
    with closing(reader.parts()) as parts:
        for part in parts:
            with reader.governor.stages.at("statistics"):
                _take_part(part, found, root, blocks, reader.dataset)
            read += part.read
            reader.governor.after_chunk(read)
            if watch is not None:
                watch([found.state], read)
    for block in blocks.rest():
        _learn(found, root, block, reader.dataset)


def _take_part(
    part: Part, mine: Statistics, root: Node | None, blocks: Rebatcher, dataset: Dataset
) -> None:
    count_part(part, mine.rows)
    if part.learn is None:
        return
    if mine.columns is not None:
        mine.columns.update(part.learn.X, part.learn.y, part.learn.rows)
    for block in blocks.push(part.learn):
        _learn(mine, root, block, dataset)


def _learn(mine: Statistics, root: Node | None, block: Chunk, dataset: Dataset) -> None:
    if mine.sample is None:
        X = block.slice(0, _SAMPLE_ROWS).X
        # Steps with copy=False work in place, and must not reach the user's own array.
        mine.sample = X if isinstance(X, pa.RecordBatch) else X.copy()
    mine.state.rows += len(block)
    try:
        if mine.profile is not None and block.y is not None:
            mine.profile.update(block.y, block.rows)
        if mine.columns is not None:
            mine.columns.update_block(block.X, block.y)
        if root is not None:
            root.visit(block, mine.state, False)
    except CellError as error:
        raise located(error, dataset, block) from None


def located(error: CellError, dataset: Dataset, chunk: Chunk) -> DataError:
    """Add to an error in a block where the row is stored, and what the target is called."""
    if error.column == "target" and dataset.target is not None:
        error = CellError(error.row, dataset.target, error.message)
    if error.row is None:
        return DataError(str(error))
    return DataError(f"{dataset.locate(int(chunk.rows[error.row]))}: {error}")
