"""How large the columns of parquet files are: what a reader holds of each, whatever it reads.

Sizes in footers say much of it; page headers say the rest, and are looked at where it matters.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any

from streamlearn.chunk import Schema
from streamlearn.source.base import Fragment
from streamlearn.source.parquet.pages import page_sizes

__all__ = ["Widths", "column_pages"]

_SMALL_BYTES = 2 << 20
"""Columns that are no more than this altogether have no page worth looking at."""
_DICTIONARY_FACTOR = 2.5
"""A dictionary is held as its page, as values, and as what finds them (measured)."""
_LOOKED_AT = 2_000
"""Column chunks whose page headers are read for a plan, at most."""

Look = Callable[[Fragment, Sequence[str]], "dict[str, tuple[int, float]]"]
"""Bytes held of each column of a fragment, and its longest value: `column_pages` of a file."""


class Widths:
    """Sizes of the columns of many row groups."""

    def __init__(self) -> None:
        self.row_groups = array("d")
        """Decoded bytes of each."""
        self._largest: dict[str, int] = {}
        self._texts: dict[str, array[float]] = {}
        self._pages_of: dict[tuple[str, ...], dict[str, int]] = {}
        self._longest: dict[str, float] = {}

    def add(self, group: Any) -> None:
        """Note the sizes of a row group, from its metadata."""
        total = 0.0
        for index in range(group.num_columns):
            column = group.column(index)
            name = column.path_in_schema.split(".", 1)[0]
            size = column.total_uncompressed_size
            total += size
            self._largest[name] = max(self._largest.get(name, 0), size)
            if column.physical_type == "BYTE_ARRAY":
                sizes = self._texts.setdefault(name, array("d"))
                sizes.extend([0.0] * (len(self.row_groups) + 1 - len(sizes)))
                sizes[-1] += size
        self.row_groups.append(total)

    def held(
        self, columns: Sequence[str], fragments: Sequence[Fragment], look: Look
    ) -> dict[str, int]:
        """Bytes a reader holds of each column whatever the chunk: pages and dictionaries."""
        key = tuple(columns)
        if key not in self._pages_of:
            whole = {name: self._largest.get(name, 0) for name in columns}
            found = {name: int((1 + _DICTIONARY_FACTOR) * whole[name]) for name in columns}
            texts = [name for name in columns if name in self._texts]
            if sum(whole.values()) > _SMALL_BYTES or texts:
                found = dict.fromkeys(columns, 0)
                for fragment in self._largest_of(fragments, len(columns)):
                    for name, (held, _) in look(fragment, columns).items():
                        found[name] = max(found[name], held)
            self._pages_of[key] = found
        return self._pages_of[key]

    def _largest_of(self, fragments: Sequence[Fragment], columns: int) -> list[Fragment]:
        most = max(1, min(16, _LOOKED_AT // max(1, columns)))
        order = sorted(range(len(fragments)), key=self.row_groups.__getitem__, reverse=True)
        return [fragments[index] for index in order[:most]]

    def value_bytes(
        self, name: str, schema: Schema, fragments: Sequence[Fragment], look: Look
    ) -> float:
        """Return decoded bytes of a value; of texts in the fragment where they are longest."""
        width = schema[name].width_bytes
        if width is not None:
            return float(width)
        sizes = self._texts.get(name, ())
        longest = max(
            (size / part.rows for size, part in zip(sizes, fragments, strict=False)), default=0.0
        )
        # What a dictionary hides shows in the length of its entries.
        longest = max(longest, self._text_length(name, fragments, look))
        return max(16.0, 2 * longest) if longest < 64 else 16 + 1.1 * longest

    def _text_length(self, name: str, fragments: Sequence[Fragment], look: Look) -> float:
        """Return the length of a column's texts where they are longest, as pages tell it.

        Batches are cut by it: it depends on what is stored, and not on what else was asked for.
        """
        if name not in self._longest:
            found = 0.0
            for fragment in self._largest_of(fragments, 1):
                found = max(found, look(fragment, [name])[name][1])
            self._longest[name] = found
        return self._longest[name]


def column_pages(
    metadata: Any, part: int, names: Sequence[str], read: Callable[[int, int], bytes]
) -> dict[str, tuple[int, float]]:
    """Bytes held of each column of a row group while a page is decoded, and its longest value.

    Parameters
    ----------
    metadata : pyarrow.parquet.FileMetaData
    part : int
        Row group.
    names : sequence of str
    read : callable
        Returns bytes of the file: how many, from where.
    """
    group = metadata.row_group(part)
    wanted = set(names)
    found = dict.fromkeys(names, (0, 0.0))
    for index in range(group.num_columns):
        column = group.column(index)
        name = column.path_in_schema.split(".", 1)[0]
        if name not in wanted:
            continue
        held, longest = column.total_uncompressed_size, 0.0
        places = (column.dictionary_page_offset, column.data_page_offset)
        start = min((at for at in places if at), default=0)
        sizes = page_sizes(
            read,
            start,
            start + column.total_compressed_size,
            texts=column.physical_type == "BYTE_ARRAY",
        )
        if start > 0 and sizes is not None:
            held = min(held, max(sizes.decoded, sizes.stored))
            held += int(_DICTIONARY_FACTOR * sizes.dictionary)
            longest = sizes.value_bytes
        before = found[name]
        found[name] = (before[0] + held, max(before[1], longest))
    return found
