"""What sources of text share: files cut into blocks where records end.

They are read once when they are opened, and each block is a fragment.
"""

from __future__ import annotations

import hashlib
import os
import re
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Chunk
from streamlearn.errors import DataError, SourceError
from streamlearn.sizes import format_bytes
from streamlearn.source.base import Fragment, Rejected
from streamlearn.source.text.records import Records
from streamlearn.source.text.textfile import UNDECODABLE, TextFile, open_texts

__all__ = ["MARKER", "Examined", "Fault", "LineSource"]

_BLOCK_BYTES = 4 << 20
_MOST_RECORD_BYTES = 64 << 20
_MOST_FAULTS = 100_000
_ENOUGH_FAULTS = 1_000
"""From here on, more faults than sound rows end the opening before the end of the files."""
_SHOWN = 200
_MARKERS = (b"<<<<<<< ", b"=======", b">>>>>>> ")
MARKER = re.compile(rb"(<{7} .*|={7}|>{7} .*)\r?\n?", re.DOTALL)
_OPENERS = 2


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a record of a block cannot be used."""

    reason: str
    column: str = ""
    value: str = ""


@dataclass
class Examined:
    """What one block of text turned out to be."""

    rows: int
    """Records, those at fault included."""
    found: Any
    """Whatever the source learns of its columns."""
    faults: dict[int, tuple[Fault, str]] = field(default_factory=dict)
    """By the record's number in the block: why, and its text."""
    cuts: list[tuple[int, int]] = field(default_factory=list)
    """Bytes of the records at fault."""


@dataclass(frozen=True, slots=True)
class _Block:
    file: int
    offset: int
    size: int
    faults: tuple[int, ...] = ()
    cuts: tuple[tuple[int, int], ...] = ()


class LineSource(ABC):
    """Rows of text files.

    Parameters
    ----------
    files : sequence of path
    encoding : str
        Any that Python knows.
    options : str
        What else decides how the text is understood, for the fingerprint.

    Notes
    -----
    Text has no metadata, so opening is one pass over the files: it finds where the blocks are,
    how many rows each has, the types of columns over all rows, and rows that cannot be used.
    Files that are compressed, or in another encoding, are unpacked to an unlinked file in the
    folder for temporary files meanwhile, and are read from there.
    """

    errors: tuple[type[Exception], ...] = (ValueError,)
    """What `_parse` raises of a record it cannot read."""

    def __init__(self, files: Sequence[str], *, encoding: str, options: str) -> None:
        if not files:
            raise SourceError("there is no file to read")
        self.files = list(files)
        self.encoding = encoding
        self.faults: list[Rejected] = []
        """Rows that cannot be used; see `Rejected`."""
        self.fragments: list[Fragment] = []
        self._blocks: list[_Block] = []
        self._rows = 0
        self._parts = [0] * len(files)
        self._texts = open_texts(self.files, encoding)
        self._records = self._make_records()
        digest = hashlib.sha256(f"{type(self).__name__}|{encoding}|{options};".encode())
        for text in self._texts:
            digest.update(f"{os.path.basename(text.path)}|{text.status};".encode())
        self.fingerprint = digest.hexdigest()
        self._open()

    # What each kind of text does in its own way.

    @abstractmethod
    def _make_records(self) -> Records:
        """Return what knows where records end."""

    @abstractmethod
    def _parse(self, data: bytes) -> tuple[int, Any, dict[int, Fault]]:
        """Read records; return how many are sound, what was found, and those that are not.

        Raises one of `errors` where it cannot tell which record is at fault.
        """

    @abstractmethod
    def _learn(self, found: Any, fragment: Fragment, faults: Sequence[int]) -> None:
        """Take up what was found in the next block."""

    @abstractmethod
    def _doubt(self) -> str:
        """Ask what may be wrong where most rows are at fault."""

    def _header(self, text: TextFile) -> tuple[int, list[tuple[Fault, str]]]:
        """Return where the rows begin, and faulty records found before the header."""
        return text.begin, []

    def _blame(self, error: Exception) -> Fault:
        """Say what is wrong with a record from the error that reading it raised."""
        return Fault(str(error))

    def _suspects(self, data: bytes) -> list[tuple[bytes, str]]:
        """Return texts of whole records that are at fault, each with the reason."""
        del data
        return []

    # Opening.

    def _open(self) -> None:
        waiting: deque[tuple[int, int, bytes, list[tuple[Fault, str]], Future[Examined]]] = deque()
        with ThreadPoolExecutor(_OPENERS, thread_name_prefix="streamlearn-open") as pool:
            for file, at, data, before in self._cut():
                waiting.append((file, at, data, before, pool.submit(self._examine, data)))
                if len(waiting) > _OPENERS:
                    self._take(*waiting.popleft())
            while waiting:
                self._take(*waiting.popleft())
        pa.default_memory_pool().release_unused()
        self._check_faults(1)

    def _cut(self) -> Iterator[tuple[int, int, bytes, list[tuple[Fault, str]]]]:
        """Yield files block by block, each block whole records."""
        for file, text in enumerate(self._texts):
            at, before = self._header(text)
            if at >= text.end and before:
                yield file, at, b"", before
            while at < text.end:
                data = self._whole_records(text, at)
                yield file, at, data, before
                at, before = at + len(data), []

    def _whole_records(self, text: TextFile, at: int) -> bytes:
        size = _BLOCK_BYTES
        while True:
            data = text.read(at, size)
            if at + len(data) < text.end:
                cut = self._records.cut(data)
            else:
                opened = self._records.unclosed(data)
                if opened is None:
                    return data
                start = self._records.cut(data[:opened])
                shown = _shown(data[start:])
                raise SourceError(
                    f"{text.path}: a quote opens at byte {at + opened - text.begin:,} and never "
                    f"closes, in the record that begins {shown[:80]!r}; repair it, or read "
                    "quotes as characters with sl.Csv(quote=None)"
                )
            if cut:
                return data[:cut]
            if len(data) >= _MOST_RECORD_BYTES:
                raise SourceError(
                    f"{text.path}: no record ends within {format_bytes(len(data))} of byte "
                    f"{at - text.begin:,}: it is no text in lines, or a quote there never closes "
                    f"(sl.Csv(quote=None) reads quotes as characters)"
                )
            size *= 2

    def _examine(self, data: bytes) -> Examined:
        """Read one block, and find what in it cannot be read; in any thread."""
        faults = self._marked(data)
        spans = self._records.spans(data) if faults else None
        while True:
            clean = data if not faults or spans is None else _without(data, *spans, faults)
            try:
                rows, found, more = self._parse(clean)
            except self.errors:
                spans = spans or self._records.spans(data)
                more = self._unreadable(data, *spans, faults)
                if not more:
                    raise
                faults |= more
                continue
            break
        if more:
            spans = spans or self._records.spans(data)
            sound = np.setdiff1d(np.arange(len(spans[0])), list(faults))
            faults |= {int(sound[index]): fault for index, fault in more.items()}
        examined = Examined(rows + len(faults), found)
        if faults and spans is not None:
            for index in sorted(faults):
                start, end = int(spans[0][index]), int(spans[1][index])
                examined.faults[index] = (faults[index], _shown(data[start:end]))
                examined.cuts.append((start, end))
        return examined

    def _marked(self, data: bytes) -> dict[int, Fault]:
        """Find records that no parser should see."""
        inside = [
            (
                at,
                f"it has bytes that are not valid in {self.encoding}: where that is not the "
                "encoding, say which with sl.Csv(encoding=...) or --encoding latin-1",
            )
            for at in _undecodable(data)
        ]
        if b"\0" in data:
            nul = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 0)
            inside += [(int(at), "it has a NUL byte") for at in nul]
        whole = [
            (at, "it is a marker of a merge conflict", MARKER)
            for marker in _MARKERS
            for at in _line_starts(data, marker)
        ]
        for record, reason in self._suspects(data):
            pattern = re.compile(re.escape(record) + rb"\r?\n?")
            whole += [(at, reason, pattern) for at in _line_starts(data, record)]
        if not inside and not whole:
            return {}
        starts, ends = self._records.spans(data)
        found: dict[int, Fault] = {}
        for at, reason in inside:
            index = max(0, int(np.searchsorted(starts, at, side="right")) - 1)
            found.setdefault(index, Fault(reason))
        for at, reason, pattern in whole:
            index = int(np.searchsorted(starts, at))
            # Inside quotes it is no record of its own.
            own = index < len(starts) and starts[index] == at
            if own and pattern.fullmatch(data, at, int(ends[index])):
                found.setdefault(index, Fault(reason))
        return found

    def _unreadable(
        self,
        data: bytes,
        starts: NDArray[np.int64],
        ends: NDArray[np.int64],
        known: dict[int, Fault],
    ) -> dict[int, Fault]:
        """Find the records that cannot be read, by halves."""
        sound = [index for index in range(len(starts)) if index not in known]
        found: dict[int, Fault] = {}
        waiting = [(0, len(sound))]
        while waiting:
            low, high = waiting.pop()
            if low == high:
                continue
            part = b"".join(data[starts[index] : ends[index]] for index in sound[low:high])
            try:
                self._parse(part)
            except self.errors as error:
                if high - low == 1:
                    found[sound[low]] = self._blame(error)
                else:
                    middle = (low + high) // 2
                    waiting += [(low, middle), (middle, high)]
        return found

    def _take(
        self,
        file: int,
        at: int,
        data: bytes,
        before: list[tuple[Fault, str]],
        future: Future[Examined],
    ) -> None:
        """Enter a block, in the order of the files."""
        examined = future.result()
        rows = len(before) + examined.rows
        part = self._parts[file]
        self._parts[file] += 1
        if not rows:
            return
        path = self.files[file]
        fragment = Fragment(len(self.fragments), path, part, self._rows, rows)
        listed = dict(enumerate(before))
        listed |= {len(before) + index: item for index, item in examined.faults.items()}
        for index, (fault, text) in listed.items():
            self.faults.append(
                Rejected(
                    path,
                    part,
                    self._rows + index,
                    1,
                    fault.reason,
                    fault.column,
                    fault.value[:_SHOWN],
                    text,
                )
            )
        self.fragments.append(fragment)
        self._blocks.append(_Block(file, at, len(data), tuple(listed), tuple(examined.cuts)))
        self._rows += rows
        self._learn(examined.found, fragment, tuple(listed))
        self._check_faults(_ENOUGH_FAULTS)

    def _check_faults(self, enough: int) -> None:
        count = len(self.faults)
        if count <= _MOST_FAULTS and (count < enough or 2 * count <= self._rows):
            return
        raise DataError(
            f"{count:,} of the first {self._rows:,} rows cannot be used, too many to be accidents; "
            f"the first is {self.faults[0]} ({self.faults[0].text[:100]!r})"
            + ("" if "--encoding" in self.faults[0].reason else f". {self._doubt()}")
        )

    # Reading.

    def notes(self, columns: Sequence[str]) -> tuple[str, ...]:
        """See `streamlearn.source.base.Source.notes`."""
        del columns
        return ()

    def _text(self, fragment: Fragment) -> tuple[bytes, NDArray[np.int64]]:
        """Return the text of a fragment's sound records, and their numbers in the source."""
        block = self._blocks[fragment.index]
        data = self._texts[block.file].read(block.offset, block.size)
        rows = np.arange(fragment.first, fragment.first + fragment.rows, dtype=np.int64)
        if block.faults:
            rows = np.delete(rows, block.faults)
            data = _omit(data, block.cuts)
        return data, rows

    def _sliced(
        self,
        fragment: Fragment,
        table: pa.Table,
        numbers: NDArray[np.int64],
        columns: Sequence[str],
        rows: int,
    ) -> Iterator[Chunk]:
        """Yield a fragment's table in chunks."""
        self._check_rows(fragment, table.num_rows, len(numbers))
        batch = table.select(list(columns)).combine_chunks().to_batches()[0] if columns else None
        del table
        # What parsing took is given back at once: Arrow would keep more with every block.
        pa.default_memory_pool().release_unused()
        for start in range(0, len(numbers), rows):
            stop = min(start + rows, len(numbers))
            if batch is None:
                part = pa.record_batch({"": pa.nulls(stop - start)}).select([])
            else:
                part = batch.slice(start, stop - start)
            yield Chunk(part, numbers[start:stop])

    def _check_rows(self, fragment: Fragment, found: int, expected: int) -> None:
        if found != expected:
            raise SourceError(
                f"{fragment}: {found:,} rows were read where there were {expected:,} when it was "
                "opened; the file has changed, scan it again"
            )

    @property
    def _largest_bytes(self) -> int:
        return max((block.size for block in self._blocks), default=0)


def _omit(data: bytes, cuts: Sequence[tuple[int, int]]) -> bytes:
    kept, done = [], 0
    for start, end in cuts:
        kept.append(data[done:start])
        done = end
    return b"".join([*kept, data[done:]])


def _without(
    data: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64], faults: dict[int, Fault]
) -> bytes:
    return _omit(data, [(int(starts[index]), int(ends[index])) for index in sorted(faults)])


def _line_starts(data: bytes, text: bytes) -> Iterator[int]:
    """Yield where lines begin with a text."""
    if data.startswith(text):
        yield 0
    for sign in (b"\n", b"\r"):
        at = data.find(sign + text)
        while at >= 0:
            yield at + 1
            at = data.find(sign + text, at + 1)


def _undecodable(data: bytes) -> Iterator[int]:
    """Yield positions of bytes that are not UTF-8, or were not what their encoding says."""
    if data.isascii():
        return
    at = data.find(UNDECODABLE)
    while at >= 0:
        yield at
        at = data.find(UNDECODABLE, at + 1)
    done = 0
    while True:
        try:
            str(memoryview(data)[done:], "utf-8")
        except UnicodeDecodeError as error:
            yield done + error.start
            # One for each line is enough.
            line_end = data.find(b"\n", done + error.end)
            if line_end < 0:
                return
            done = line_end + 1
        else:
            return


def _shown(data: bytes) -> str:
    return data[: 4 * _SHOWN].rstrip(b"\r\n").decode(errors="replace")[:_SHOWN]
