"""The pass that looks for what cannot be used, before anything is learned."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing

from streamlearn.errors import DataError
from streamlearn.source.base import Fragment, Rejected
from streamlearn.source.dataset import Dataset
from streamlearn.stream.governor import Governor
from streamlearn.stream.prefetch import ordered

__all__ = ["screen_pass"]


def screen_pass(
    dataset: Dataset,
    features: Sequence[str],
    governor: Governor,
    threads: int,
    *,
    classes: bool = False,
    roles: bool = True,
    carried: Collection[str] = (),
) -> None:
    """Read all rows once, and put what cannot be used into the dataset's quarantine.

    The smallest unit that can be skipped is: a row where a value is not allowed or a line does
    not parse; the fragment where it cannot be read.
    """
    quarantine = dataset.quarantine
    assert quarantine is not None
    known: dict[int, list[Rejected]] = {}
    for fault in dataset.faults:
        known.setdefault(fault.part, []).append(fault)
    faults = {
        fragment.index: [
            item for item in known.get(fragment.part, ()) if item.path == fragment.path
        ]
        for fragment in dataset.fragments
        if fragment.part in known
    }

    def work(fragment: Fragment) -> Iterator[int | list[Rejected]]:
        found = list(faults.get(fragment.index, ()))
        done = 0
        try:
            for rows, rejected in dataset.screen(
                fragment,
                features,
                governor.chunk_rows,
                classes=classes,
                roles=roles,
                carried=carried,
            ):
                found += rejected
                yield rows - done
                done = rows
        except DataError as error:
            place = (fragment.path, fragment.part, fragment.first, fragment.rows)
            found = [Rejected(*place, str(error))]
        yield fragment.rows - done
        # As if read in one go: columns come one after the other, chunk by chunk.
        yield sorted(found, key=lambda item: (item.row, item.column))

    read = 0
    fragments = iter(dataset.fragments)
    stream = ordered(
        dataset.fragments, work, threads=threads, depth=None, most=lambda: governor.readers
    )
    with closing(stream) as items:
        for item in items:
            if isinstance(item, int):
                read += item
                governor.after_chunk(read)
            else:
                quarantine.add(next(fragments), item)
