"""Arrays that stay in their file: pages are read when they are looked at, and dropped when memory is short."""

from __future__ import annotations

import math
import mmap
import struct
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

LEAST_BYTES = 2**26
"""Smaller arrays are read: a file that is not held open may be replaced at will."""

LOCAL_HEADER = struct.Struct("<4s22xHH")  # of a zip member: signature, ..., lengths of name and extra field


def is_mapped(array: object) -> bool:
    """Whether an array is a view of a file."""
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap.mmap)


def can_map(shape: tuple[int, ...], fortran_order: bool, dtype: np.dtype) -> bool:
    """Whether an array on disk is one that the program computes with as it is, and large."""
    return dtype == np.float64 and dtype.isnative and not fortran_order and math.prod(shape) * 8 >= LEAST_BYTES


def map_array(path: Path, shape: tuple[int, ...], offset: int) -> np.ndarray:
    """The float64 array at an offset of a file, in C order, read-only."""
    return np.asarray(np.memmap(path, np.float64, "r", offset, shape))


def member_offset(file: IO[bytes], member: zipfile.ZipInfo) -> int | None:
    """Where the bytes of a member lie in the archive; None where they are compressed or encrypted."""
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1 or member.compress_size != member.file_size:
        return None
    file.seek(member.header_offset)
    signature, name, extra = LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size))
    if signature != b"PK\x03\x04":
        raise ValueError("a member has no header")
    return member.header_offset + LOCAL_HEADER.size + name + extra
