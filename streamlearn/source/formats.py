"""Which format files are in: what their names end in, or what the user says."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from streamlearn.errors import SourceError, UsageError
from streamlearn.source.base import Source
from streamlearn.source.library.tables import IpcSource
from streamlearn.source.parquet.source import ParquetSource
from streamlearn.source.stores.files import SUFFIXES as PARQUET
from streamlearn.source.stores.files import find_files, is_remote
from streamlearn.source.text.csv import Csv, CsvSource
from streamlearn.source.text.jsonl import JsonLinesSource
from streamlearn.source.text.svmlight import SvmlightSource
from streamlearn.source.text.textfile import COMPRESSED

__all__ = ["FORMATS", "kind_of", "open_files"]

FORMATS: dict[str, tuple[str, ...]] = {
    "parquet": PARQUET,
    "arrow": (".arrow", ".feather", ".ipc"),
    "csv": (".csv",),
    "tsv": (".tsv",),
    "jsonl": (".jsonl", ".ndjson"),
    "svmlight": (".svm", ".svmlight", ".libsvm"),
}
"""Formats of files, and what their names end in; those of text may end in .gz and the like too."""
_TEXTS = ("csv", "tsv", "jsonl", "svmlight")
_SUFFIXES = {suffix: kind for kind, suffixes in FORMATS.items() for suffix in suffixes}
_NAMED = (*_SUFFIXES, *map(str.upper, _SUFFIXES), *COMPRESSED)


def open_files(
    data: Any,
    types: Mapping[str, pa.DataType],
    form: str | Csv | None = None,
) -> Source:
    """Open files as what they are.

    Parameters
    ----------
    data : path, glob, directory, or a sequence of them
    types : mapping of str to pyarrow.DataType
        Types given by the user.
    form : str or Csv, optional
        A name of `FORMATS`, or how the CSV is written. It wins over names of files; in a
        directory it chooses the files that are named so, or all of them if none is.

    Raises
    ------
    UsageError
        If files are of several formats, or the format has no such option.
    SourceError
        If a file is missing, or its name does not tell and it is not parquet.
    """
    if isinstance(form, str) and form not in FORMATS:
        raise UsageError(
            f"format={form!r}: it is one of {', '.join(FORMATS)}, or a sl.Csv(...) that says how "
            "the file is written"
        )
    if form is not None and not isinstance(form, str | Csv):
        raise UsageError(f"format= takes a name or a sl.Csv(...), not {type(form).__name__}")
    paths = [data] if isinstance(data, str | os.PathLike) else list(data)
    if not paths:
        raise UsageError("an empty list of files was given; name at least one")
    wanted = "csv" if isinstance(form, Csv) else form
    for path in paths:
        told = wanted or kind_of(os.fspath(path))
        if is_remote(path) and told not in (None, "parquet"):
            raise UsageError(
                f"{path}: {told} files are read from the local disk; copy them there first, or "
                "store the rows as parquet"
            )
    files = [file for path in paths for file in _files(path, wanted)]
    kind = wanted or _common(files)
    if types and kind in ("arrow", "svmlight"):
        raise UsageError(f"schema= settles types of columns; {kind} files have theirs")
    if kind == "parquet":
        return ParquetSource(files, types)
    if kind == "arrow":
        return IpcSource(files)
    if kind == "jsonl":
        return JsonLinesSource(files, types)
    if kind == "svmlight":
        return SvmlightSource(files)
    csv = form if isinstance(form, Csv) else Csv()
    if csv.separator is None:
        tabs = kind == "tsv" or {kind_of(file) for file in files} == {"tsv"}
        csv = csv.separated("\t" if tabs else ",")
    return CsvSource(files, csv, types)


def kind_of(file: str) -> str | None:
    """Return the format that a name tells, if it tells one.

    Examples
    --------
    >>> kind_of("a.csv.gz"), kind_of("b.parquet"), kind_of("adult.data")
    ('csv', 'parquet', None)
    """
    path = Path(file)
    suffix = path.suffix.lower()
    if suffix in COMPRESSED:
        kind = _SUFFIXES.get(Path(path.stem).suffix.lower())
        return kind if kind in _TEXTS else None
    return _SUFFIXES.get(suffix)


def _files(path: str | os.PathLike[str], wanted: str | None) -> list[str]:
    if not os.path.isdir(path):
        return find_files(path)
    try:
        known = [file for file in find_files(path, _NAMED) if kind_of(file)]
    except SourceError:
        known = []
    if wanted is not None:
        kinds = ("csv", "tsv") if wanted in ("csv", "tsv") else (wanted,)
        found = [file for file in known if kind_of(file) in kinds]
        folder = Path(path)
        return found or sorted(
            str(file)
            for file in folder.rglob("*")
            if file.is_file()
            and not any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)
        )
    if not known:
        raise SourceError(
            f"{os.fspath(path)}: no file in this directory ends in {', '.join(_SUFFIXES)}; say "
            "what the files are with format= or --format"
        )
    return known


def _common(files: Sequence[str]) -> str:
    """Return the one format of files, by their names."""
    kinds = [kind_of(file) for file in files]
    counts = Counter(kind or "unknown" for kind in kinds)
    if len(counts) > 1:
        examples = {kind or "unknown": file for file, kind in zip(files, kinds, strict=True)}
        told = ", ".join(f"{counts[kind]} {kind} ({examples[kind]})" for kind in sorted(counts))
        raise UsageError(
            f"these files are of several formats: {told}; name those of one format, or say which "
            "it is with format= or --format"
        )
    if kinds[0] is not None:
        return kinds[0]
    if is_remote(files[0]):
        return "parquet"
    try:
        with open(files[0], "rb") as opened:
            head = opened.read(4)
    except OSError as error:
        raise SourceError(f"{files[0]}: cannot be read: {error.strerror}") from error
    if head in (b"PAR1", b"PARE"):
        return "parquet"
    raise SourceError(
        f"{files[0]}: cannot be read as parquet, and its name does not say what else it is; say "
        "so with format= or --format: csv, tsv, jsonl, svmlight or arrow (or sl.Csv(...) for "
        "how a CSV is written)"
    )
