"""Large arrays stay in their file when they can, and are judged all the same."""

import tracemalloc
import zipfile

import numpy as np
import pytest
from data_files import npy_header, read, refused

from bileveldsl import Model, sumsq
from bileveldsl.language.data import mapped
from bileveldsl.language.data.mapped import is_mapped

DATA = np.random.default_rng(0).standard_normal((1200, 1000))  # 9.6 MB


@pytest.fixture(autouse=True)
def _small_is_large(monkeypatch):
    monkeypatch.setattr(mapped, "LEAST_BYTES", 2**20)


def save(folder, array=DATA, save=np.savez, path="a.npz"):
    save(folder / path, before=np.ones(3), X=array, after=np.zeros(2))


@pytest.mark.parametrize("path", ["a.npz", "a.npy"])
def test_stored_arrays_are_views_of_their_file(tmp_path, path):
    save(tmp_path)
    np.save(tmp_path / "a.npy", DATA)
    tracemalloc.start()
    array = read(tmp_path, path, rank=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert is_mapped(array) and not array.flags.writeable and array.dtype == np.float64
    assert np.array_equal(array, DATA) and peak < DATA.nbytes / 2


@pytest.mark.parametrize(
    ("array", "how"),
    [
        (DATA, np.savez_compressed), (DATA.astype(np.float32), np.savez), (DATA.astype(">f8"), np.savez),
        (np.asfortranarray(DATA), np.savez), (DATA[:100], np.savez),
    ],
)  # fmt: skip
def test_what_is_not_computed_with_as_it_lies_is_read(tmp_path, array, how):
    save(tmp_path, array, how)
    got = read(tmp_path, "a.npz", rank=2)
    assert not is_mapped(got) and got.dtype == np.float64 and np.array_equal(got, array)


@pytest.mark.parametrize("where", [(0, 0), (737, 77), (1199, 999)])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_entry_that_is_not_finite_is_found_wherever_it_stands(tmp_path, where, value):
    array = DATA.copy()
    array[where] = value
    save(tmp_path, array)
    np.save(tmp_path / "a.npy", array)
    for path in ("a.npz", "a.npy"):
        refused("E408", tmp_path, path, rank=2, says=[f"[{where[0]}, {where[1]}]"])


def test_damage_is_refused(tmp_path):
    save(tmp_path)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    place = content.index(DATA[200].tobytes())
    content[place] ^= 1  # still a finite number: only the checksum tells
    (tmp_path / "a.npz").write_bytes(content)
    refused("E410", tmp_path, "a.npz", rank=2, says=["CRC"])
    np.save(tmp_path / "b.npy", DATA)
    (tmp_path / "b.npy").write_bytes((tmp_path / "b.npy").read_bytes()[:-8])
    refused("E410", tmp_path, "b.npy", rank=2)
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:  # declares more than it holds
        archive.writestr("X.npy", npy_header("<f8", (1200, 1001)) + DATA.tobytes())
    refused("E410", tmp_path, "c.npz", rank=2)


def test_the_limit_is_for_what_takes_memory_and_says_what_does_not(tmp_path):
    save(tmp_path)
    assert is_mapped(read(tmp_path, "a.npz", rank=2, limit_bytes=10**6))
    save(tmp_path, save=np.savez_compressed, path="b.npz")
    assert "not compressed" in refused("E412", tmp_path, "b.npz", rank=2, limit_bytes=10**6).help


def test_a_directory_that_declares_itself_too_long_is_refused(tmp_path, monkeypatch):
    save(tmp_path)
    monkeypatch.setattr("bileveldsl.language.data.npz.DIRECTORY_BYTES", 100)
    refused("E410", tmp_path, "a.npz", rank=2, says=["too long"])


def test_a_mapped_array_given_in_python_stays_in_its_file(tmp_path):
    np.save(tmp_path / "a.npy", DATA)
    m = Model("mapped")
    n, p = m.dim("n"), m.dim("p")
    X = m.param("X", n, p, value=np.load(tmp_path / "a.npy", mmap_mode="r"))
    x, w = m.upper.var("x"), m.lower.var("w", p)
    m.upper.minimize(x**2 + sumsq(w))
    m.lower.minimize(sumsq(X @ w - x))
    symbols = {symbol.name: symbol for symbol in m.program().parameters}
    assert is_mapped(symbols["X"].value)
