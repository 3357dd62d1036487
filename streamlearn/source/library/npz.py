"""``.npz`` archives: their members mapped where they stand, or unpacked to an unlinked file."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.lib import format as npy

from streamlearn.errors import SchemaError, SourceError, UsageError
from streamlearn.source.library.arrays import ArraySource
from streamlearn.source.library.sparse import SparseSource

__all__ = ["is_npz", "open_npz"]

_SPARSE = ("data", "indices", "indptr", "shape", "format")
_WEIGHT = "sample_weight"


def is_npz(data: Any) -> bool:
    """Whether something is the path of an ``.npz`` archive."""
    return isinstance(data, str | os.PathLike) and os.fspath(data).endswith(".npz")


def open_npz(path: str | os.PathLike[str], target: Any, weight: Any) -> ArraySource | SparseSource:
    """Open the arrays of an archive by what they are for.

    The matrix is the member ``X``, or the only one that is neither target nor weight; the target
    is ``y`` unless another is named, and the weight ``sample_weight``. What
    `scipy.sparse.save_npz` wrote is a sparse matrix; its target comes from elsewhere.

    Parameters
    ----------
    path : path
        Members stored as they are (`numpy.savez`, ``save_npz(compressed=False)``) are mapped;
        compressed ones are unpacked to unlinked files in the system's temporary folder.
    target, weight : str, array or path of a .npy file, optional
        A name is one of a member.

    Raises
    ------
    SourceError
        If the archive is missing or damaged, or the disk is full.
    SchemaError
        If a named member is not there, or shapes do not fit.
    UsageError
        If it is not clear which member is the matrix.
    """
    name = os.fspath(path)
    members = _members(name)
    if all(part in members for part in _SPARSE):
        kind = _load(name, "format").item()
        X = _sparse(name, kind.decode() if isinstance(kind, bytes) else str(kind))
        y = _side(name, members, target, "target")
        return SparseSource(X, y, _side(name, members, weight, "weight"), name)
    target = _default(members, target, "y")
    weight = _default(members, weight, _WEIGHT)
    taken = [given for given in (target, weight) if isinstance(given, str)]
    rest = [member for member in members if member not in taken]
    if "X" not in rest and len(rest) != 1:
        raise UsageError(
            f"{name}: which of its arrays is the matrix? It has {', '.join(members) or 'none'}; "
            "save it as X (numpy.savez(path, X=..., y=...)), or give the arrays themselves"
        )
    X = _load(name, "X" if "X" in rest else rest[0])
    y = _side(name, members, target, "target")
    return ArraySource(X, y, _side(name, members, weight, "weight"), name)


def _default(members: Sequence[str], given: Any, usual: str) -> Any:
    return usual if given is None and usual in members else given


def _side(path: str, members: Sequence[str], given: Any, what: str) -> Any:
    if not isinstance(given, str) or given.endswith(".npy"):
        return given
    if given not in members:
        raise SchemaError(
            f"{path}: the {what} {given!r} is not one of its arrays, which are: "
            f"{', '.join(members)}; an array or the path of a .npy file will do as well"
        )
    return _load(path, given)


def _sparse(path: str, kind: str) -> Any:
    """Return what `SparseSource` needs of a matrix; SciPy's own class would copy the indices."""
    parts = {name: _load(path, name) for name in ("data", "indices", "indptr")}
    rows, columns = (int(size) for size in _load(path, "shape"))
    if kind == "csr" and len(parts["indptr"]) != rows + 1:
        raise SourceError(f"{path}: indptr has {len(parts['indptr'])} ends for {rows} rows")
    return SimpleNamespace(
        format=kind,
        ndim=2,
        shape=(rows, columns),
        dtype=parts["data"].dtype,
        **parts,
    )


def _members(path: str) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise SourceError(f"{path}: cannot be read as .npz: {error}") from error
    return [name.removesuffix(".npy") for name in names]


def _load(path: str, member: str) -> np.ndarray[Any, Any]:
    """Map a member; unpack it first where it is compressed."""
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(f"{member}.npy")
            if info.compress_type == zipfile.ZIP_STORED:
                with open(path, "rb") as file:
                    _check_crc(file, info, path, member)
                    return _mapped(file, _data_offset(file, info), path, member)
            with tempfile.TemporaryFile() as file, archive.open(info) as packed:
                shutil.copyfileobj(packed, file, 1 << 20)
                file.flush()
                return _mapped(file, 0, path, member)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SourceError(
                f"{path}: {member!r} is compressed and has to be unpacked, but "
                f"{tempfile.gettempdir()} is full; name a folder with more room in the "
                "environment variable TMPDIR, or save the arrays with numpy.savez, uncompressed"
            ) from error
        raise SourceError(f"{path}: {member!r} cannot be read: {error}") from error
    except (SchemaError, SourceError):
        raise
    except (ValueError, EOFError, KeyError, zlib.error, zipfile.BadZipFile) as error:
        raise SourceError(f"{path}: {member!r} cannot be read: {error}") from error


def _check_crc(file: Any, info: zipfile.ZipInfo, path: str, member: str) -> None:
    """Read a member once for its checksum: it will be mapped, where none is checked."""
    file.seek(_data_offset(file, info))
    left, found = info.file_size, 0
    while left and (part := file.read(min(left, 1 << 20))):
        found = zlib.crc32(part, found)
        left -= len(part)
    if left or found != info.CRC:
        raise SourceError(f"{path}: {member!r} has not the checksum stored with it")


def _data_offset(file: Any, info: zipfile.ZipInfo) -> int:
    """Return where a member begins: behind its local header, whose lengths are its own."""
    file.seek(info.header_offset)
    header = file.read(30)
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise zipfile.BadZipFile("its header is not where the archive says")
    name, extra = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
    return int(info.header_offset) + 30 + name + extra


def _mapped(file: Any, offset: int, path: str, member: str) -> np.ndarray[Any, Any]:
    file.seek(offset)
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise SchemaError(
            f"{path}: {member!r} holds Python objects, which are not read; save numbers, or "
            "texts as numpy.asarray(values, dtype=str)"
        )
    if 0 in shape or not shape:
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        return np.frombuffer(file.read(size), dtype).reshape(shape)
    return np.memmap(file, dtype, "r", file.tell(), shape, "F" if fortran else "C")
