"""NumPy's own files: the header is judged before the data is read, and nothing is unpickled.

Large float64 arrays that are stored as they are stay in the file: read once in pieces, to be judged, and then mapped.
"""

from __future__ import annotations

import io
import math
import os
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from bileveldsl.language.data.mapped import can_map, is_mapped, map_array, member_offset
from bileveldsl.language.data.request import Request, instead_of, quote
from bileveldsl.language.data.values import FILL_IN, at, not_finite, require, to_float64
from bileveldsl.language.diagnostics import BlvError

HEADER_BYTES = 2**16
CHUNK_BYTES = 2**20
DIRECTORY_BYTES = 2**26  # of an archive's list of members
VERSIONS = {(1, 0), (2, 0), (3, 0)}
MAPPABLE = "save float64 numbers in C order by `numpy.save` or `numpy.savez`, not compressed: these stay in their file"
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # what NumPy writes; zipfile expands the others without bound


class _Bounded(io.FileIO):
    """A file of which no more than the largest directory of an archive is read at once."""

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(os.fstat(self.fileno()).st_size - self.tell(), 0)
        wanted = left if size is None or size < 0 else min(size, left)
        if wanted > DIRECTORY_BYTES:
            raise ValueError("its list of arrays is too long")
        return super().read(wanted) or b""


@dataclass(frozen=True)
class Archive:
    """An `.npz` file: a zip archive with one `.npy` member for each array."""

    path: Path

    def array(self, request: Request) -> np.ndarray:
        with _Bounded(self.path) as file:
            with decoding(request):
                archive = zipfile.ZipFile(file)
            with archive:
                member = self._member(archive, request)
                with decoding(request), archive.open(member) as stream:
                    place = member_offset(file, member)
                    origin = None if place is None else (self.path, place)
                    array = read_npy(stream, member.file_size, request, request.subject, origin)
        return array if is_mapped(array) else to_float64(array, request, request.subject)

    def _member(self, archive: zipfile.ZipFile, request: Request) -> zipfile.ZipInfo:
        if len(request.resolved_keys) > 1:
            raise request.error("E404", f"{request.file} has no keys within keys", "name one array of the file")
        key = request.resolved_keys[0]
        members: dict[str, list[zipfile.ZipInfo]] = {}
        for info in archive.infolist():
            if info.filename.endswith(".npy"):
                members.setdefault(info.filename.removesuffix(".npy"), []).append(info)
        if key not in members:
            raise request.error("E404", f"{request.file} has no array {quote(key)}", instead_of(key, members))
        if len(members[key]) > 1:
            raise request.error("E413", f"{request.file} holds {quote(key)} more than once", "write the file anew")
        member = members[key][0]
        if member.compress_type not in METHODS:
            raise request.error(
                "E410",
                f"{request.subject} is compressed by a method that npz files do not use",
                "write the file with `numpy.savez` or `numpy.savez_compressed`",
            )
        return member


@dataclass(frozen=True)
class SingleArray:
    """An `.npy` file: one array without a name."""

    path: Path

    def array(self, request: Request) -> np.ndarray:
        if request.keys:
            mend = f"write `from {request.file}` without brackets"
            raise request.error("E404", f"{request.file} holds one array and has no keys", mend)
        with decoding(request), self.path.open("rb") as stream:
            array = read_npy(stream, self.path.stat().st_size, request, request.file, (self.path, 0))
        return array if is_mapped(array) else to_float64(array, request, request.file)


def read_npy(
    stream: IO[bytes], nbytes: int, request: Request, subject: str, origin: tuple[Path, int] | None = None
) -> np.ndarray:
    """The array in an `.npy` stream of `nbytes`, allocated only once its header and `nbytes` agree.

    `origin` is the file and the offset where the bytes of the stream lie as they are, if they do: then a large array
    takes no memory.
    """
    start = stream.read(HEADER_BYTES)
    shape, fortran_order, dtype, offset = read_header(start)
    require(dtype, shape, request, subject)
    entries = math.prod(shape)
    fits = entries * dtype.itemsize == nbytes - offset
    mapped = fits and origin is not None and can_map(shape, fortran_order, dtype)
    if not mapped and math.prod(max(length, 1) for length in shape) * 8 > request.limit_bytes:
        raise request.too_large(subject, entries * 8, MAPPABLE)
    if not fits:
        raise ValueError(f"shape {shape} needs {entries * dtype.itemsize} bytes, not {nbytes - offset}")
    pieces = _pieces(stream, start[offset:], entries * dtype.itemsize)
    if origin is not None and mapped:
        _require_finite(pieces, shape, request, subject)
        return map_array(origin[0], shape, origin[1] + offset)
    flat = np.empty(entries, dtype)
    buffer, done = flat.view(np.uint8).data, 0
    for piece in pieces:
        buffer[done : done + len(piece)] = piece
        done += len(piece)
    return flat.reshape(shape[::-1]).T if fortran_order else flat.reshape(shape)


def _pieces(stream: IO[bytes], start: bytes, nbytes: int) -> Iterator[bytes]:
    """The `nbytes` of a stream of which the first are known."""
    done, piece = 0, start[:nbytes]
    while True:
        yield piece
        done += len(piece)
        if done == nbytes:
            return
        piece = stream.read(min(CHUNK_BYTES, nbytes - done))
        if not piece:
            raise EOFError(f"the data ends after {done} of {nbytes} bytes")


def _require_finite(pieces: Iterator[bytes], shape: tuple[int, ...], request: Request, subject: str) -> None:
    """Refuse an array with an entry that is not finite, looking at no more than a piece at a time."""
    rest, before = b"", 0
    for piece in pieces:
        whole = rest + piece
        numbers = np.frombuffer(whole, np.float64, len(whole) // 8)
        rest = whole[8 * numbers.size :]
        if not (finite := np.isfinite(numbers)).all():
            first = int(np.argmin(finite))
            place = at(np.unravel_index(before + first, shape))
            raise request.error("E408", not_finite(subject, float(numbers[first]), place, 1), FILL_IN)
        before += numbers.size


def read_header(start: bytes) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, Fortran order, type, and the offset of the data, from the first bytes of an `.npy` stream."""
    stream = io.BytesIO(start)
    version = np.lib.format.read_magic(stream)
    if version not in VERSIONS:
        raise ValueError(f"unknown npy version {version}")
    # Version 3 is version 2 with UTF-8 in the names of records, and records are refused.
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's remarks on headers and types of long ago
        shape, fortran_order, dtype = read(stream)
    return shape, fortran_order, dtype, stream.tell()


@contextmanager
def decoding(request: Request) -> Iterator[None]:
    """Blame the file for whatever zipfile and NumPy raise: on damaged bytes that is nearly every exception."""
    try:
        yield
    except (BlvError, MemoryError):
        raise
    except Exception as error:
        raise request.damaged(f"cannot be decoded ({error})") from error
