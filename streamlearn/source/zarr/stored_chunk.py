"""The bytes of a chunk: read into place, or decoded into place."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.errors import SourceError

__all__ = ["STREAMED_BYTES", "as_bytes", "check_crc", "decode", "plain_codecs", "read_into"]

_CHECKSUM_BYTES = 4
STREAMED_BYTES = 1 << 20
"""Chunks stored in more bytes than these are decoded as they are read, where that can be."""


def plain_codecs(array: Any) -> list[Any] | None:
    """Return decoders in the order they are applied, or None where zarr has to read."""
    if array.dtype.kind not in "biuf" or array.dtype.byteorder == ">":
        return None
    metadata = array.metadata
    if metadata.zarr_format == 2:
        if metadata.filters or metadata.order != "C":
            return None
        packer = metadata.compressor
        if packer is None:
            return []
        return [packer] if packer.codec_id in ("zstd", "blosc", "gzip", "zlib", "lz4") else None
    codecs = list(metadata.codecs)
    if type(codecs[0]).__name__ == "ShardingCodec":
        sharding = codecs[0]
        index = [type(codec).__name__ for codec in sharding.index_codecs]
        at_end = getattr(sharding.index_location, "value", "") == "end"
        if len(codecs) > 1 or not at_end or index != ["BytesCodec", "Crc32cCodec"]:
            return None
        codecs = list(sharding.codecs)
    if type(codecs[0]).__name__ != "BytesCodec":
        return None
    endian = getattr(codecs[0], "endian", None)
    if endian is not None and endian.value != "little":
        return None
    found = [_decoder(codec) for codec in codecs[1:]]
    return None if None in found else found[::-1]


def _decoder(codec: Any) -> Any:
    import numcodecs

    name = type(codec).__name__
    if name == "ZstdCodec":
        return numcodecs.Zstd()
    if name == "BloscCodec":
        return numcodecs.Blosc()
    if name == "GzipCodec":
        return numcodecs.GZip()
    return "crc32c" if name == "Crc32cCodec" else None


def decode(
    place: tuple[Path, int, int], codecs: Sequence[Any], streamed: str | None, out: NDArray[Any]
) -> None:
    """Decode a whole chunk into a contiguous array.

    Parameters
    ----------
    place : file, offset, length
        Of the chunk as stored, in bytes.
    codecs : sequence
        In the order they are applied.
    streamed : str or None
        Codec to decode large chunks with as they are read.
    """
    file, offset, length = place
    if length > STREAMED_BYTES and streamed:
        _decode_streaming(place, streamed, as_bytes(out))
        return
    data: Any = np.empty(length, np.uint8).data
    read_into(file, offset, data)
    try:
        for number, codec in enumerate(codecs, 1):
            _check_blosc(file, codec, data)
            if codec == "crc32c":
                data = check_crc(file, memoryview(data))
            elif number == len(codecs):
                data = codec.decode(data, out=as_bytes(out))
            else:
                data = codec.decode(data)
    except SourceError:
        raise
    except Exception as error:
        raise SourceError(f"{file}: the chunk cannot be decoded: {error}") from error
    if not isinstance(data, memoryview | np.ndarray) or codecs[-1:] == ["crc32c"]:
        found = memoryview(data).cast("B")
        if found.nbytes != out.nbytes:
            raise SourceError(
                f"{file}: the chunk decodes to {found.nbytes} bytes; {out.nbytes} were expected"
            )
        as_bytes(out)[:] = found


def _check_blosc(file: Path, codec: Any, data: Any) -> None:
    """Refuse fewer bytes than the header says: blosc would read beyond them."""
    if getattr(codec, "codec_id", "") != "blosc":
        return
    # https://github.com/Blosc/c-blosc/blob/main/README_CHUNK_FORMAT.rst
    stored = int.from_bytes(memoryview(data)[12:16], "little")
    if len(data) < 16 or stored > len(data):
        raise SourceError(f"{file}: the chunk has {len(data)} bytes, and says that it has {stored}")


def _decode_streaming(place: tuple[Path, int, int], codec: str, out: memoryview) -> None:
    """Decode as the bytes are read, so that they need not be held beside what they become."""
    file, offset, length = place
    try:
        with pa.OSFile(os.fspath(file)) as raw:
            raw.seek(offset)
            with pa.CompressedInputStream(raw, codec) as stream:
                got = 0
                while got < out.nbytes and (part := stream.readinto(out[got:])):
                    got += part
                # Behind a chunk in a shard stands the next one.
                more = not offset and length == os.fstat(raw.fileno()).st_size and stream.read(1)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"{file}: the chunk cannot be decoded: {error}") from error
    if got != out.nbytes or more:
        found = f"more than {got}" if more else str(got)
        raise SourceError(f"{file}: the chunk decodes to {found} bytes; {out.nbytes} were expected")


def as_bytes(array: NDArray[Any]) -> memoryview:
    """Look at a contiguous array as bytes."""
    return array.reshape(-1).view(np.uint8).data


def read_into(file: Path, offset: int, into: memoryview) -> None:
    """Fill memory with a file's bytes from an offset on."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise SourceError(f"{file}: the chunk cannot be read: {error.strerror}") from error
    try:
        while into:
            got = os.preadv(handle, [into], offset)
            if not got:
                raise SourceError(f"{file}: the file ends {len(into)} bytes short of its chunk")
            offset, into = offset + got, into[got:]
    finally:
        os.close(handle)


def check_crc(file: Path, data: memoryview) -> memoryview:
    """Return the bytes before a checksum, once it has proved true."""
    import google_crc32c

    body, stored = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    if google_crc32c.value(bytes(body)) != int.from_bytes(stored, "little"):
        raise SourceError(f"{file}: its bytes do not have the checksum stored with them")
    return body
