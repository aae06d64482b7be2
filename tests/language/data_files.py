"""Data files for tests: writing them, reading what a clause names in them, and being refused."""

import io
import struct
import time
import tracemalloc
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from bileveldsl.language.ast import DataSource
from bileveldsl.language.data import LabelledAxis, Reader
from bileveldsl.language.diagnostics import BlvError, Source, Span

WHERE = Span(Source("model.blv", 'param X[n, p] from "data"'), 14, 25)

NODES = LabelledAxis("NODES", 1, ["a", "b", "c"])
ARCS = LabelledAxis("ARCS", 2, [("a", "b"), ("b", "c"), ("a", "c")])
YEARS = LabelledAxis("YEARS", 1, [2020, 2021])
n = LabelledAxis("n", 1, 2)


def read(folder, path, *keys, name="X", rank=1, **options):
    return Reader(Path(folder), **options).read_array(DataSource(path, keys, span=WHERE), name, rank, WHERE)


def read_set(folder, path, *keys, name="S", arity=None, **options):
    return Reader(folder, **options).read_set(DataSource(path, keys, span=WHERE), name, WHERE, arity)


def read_over(axes, folder, path, *keys, name="cost", **options):
    return Reader(folder, **options).read_indexed(DataSource(path, keys, span=WHERE), name, axes, WHERE)


def refused(code, folder, path, *keys, says=(), **options):
    """The diagnostic of a refusal to read an array, which names the file."""
    return refusal(code, lambda: read(folder, path, *keys, **options), [path, *says])


def refusal(code, call, says=()):
    """The diagnostic of a refusal, which points at the clause and says the mend."""
    with pytest.raises(BlvError) as caught:
        call()
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == code, diagnostic
    assert diagnostic.span is WHERE
    assert diagnostic.help
    for words in says:
        assert words in diagnostic.message, (words, diagnostic.message)
    return diagnostic


def write(folder, name, text):
    (folder / name).write_text(text, encoding="utf-8", newline="")


def npy(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def npy_header(descr, shape, version=b"\x01\x00"):
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}\n".encode()
    return b"\x93NUMPY" + version + struct.pack("<H" if version[0] == 1 else "<I", len(text)) + text


@contextmanager
def quick_and_small(mebibytes):
    tracemalloc.start()
    began = time.perf_counter()
    try:
        yield
        assert time.perf_counter() - began < 1
        assert tracemalloc.get_traced_memory()[1] < mebibytes * 2**20
    finally:
        tracemalloc.stop()
