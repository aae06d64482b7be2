"""NumPy's own files: the header is judged before the data is read, and nothing is unpickled."""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from bileveldsl.language.data.request import Request, instead_of, quote
from bileveldsl.language.data.values import require, to_float64
from bileveldsl.language.diagnostics import BlvError

HEADER_BYTES = 2**16
CHUNK_BYTES = 2**20
VERSIONS = {(1, 0), (2, 0), (3, 0)}
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # what NumPy writes; zipfile expands the others without bound


@dataclass(frozen=True)
class Archive:
    """An `.npz` file: a zip archive with one `.npy` member for each array."""

    path: Path

    def array(self, request: Request) -> np.ndarray:
        with decoding(request):
            archive = zipfile.ZipFile(self.path)
        with archive:
            member = self._member(archive, request)
            with decoding(request), archive.open(member) as stream:
                array = read_npy(stream, member.file_size, request, request.subject)
        return to_float64(array, request, request.subject)

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
            array = read_npy(stream, self.path.stat().st_size, request, request.file)
        return to_float64(array, request, request.file)


def read_npy(stream: IO[bytes], nbytes: int, request: Request, subject: str) -> np.ndarray:
    """The array in an `.npy` stream of `nbytes`, allocated only once its header and `nbytes` agree."""
    start = stream.read(HEADER_BYTES)
    shape, fortran_order, dtype, offset = read_header(start)
    require(dtype, shape, request, subject)
    entries = math.prod(shape)
    if math.prod(max(length, 1) for length in shape) * 8 > request.limit_bytes:
        raise request.too_large(subject, entries * 8)
    if entries * dtype.itemsize != nbytes - offset:
        raise ValueError(f"shape {shape} needs {entries * dtype.itemsize} bytes, not {nbytes - offset}")
    flat = np.empty(entries, dtype)
    buffer = flat.view(np.uint8).data
    done = len(start) - offset
    buffer[:done] = start[offset:]
    while done < len(buffer):
        chunk = stream.read(min(CHUNK_BYTES, len(buffer) - done))
        if not chunk:
            raise EOFError(f"the data ends after {done} of {len(buffer)} bytes")
        buffer[done : done + len(chunk)] = chunk
        done += len(chunk)
    return flat.reshape(shape[::-1]).T if fortran_order else flat.reshape(shape)


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
