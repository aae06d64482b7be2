"""NumPy's files: what is written is read, wholly or not at all, and neither pickles nor bombs do any harm."""

import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from data_files import npy, npy_header, quick_and_small, read, refused
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bileveldsl.files import atomic_write, atomic_write_text
from bileveldsl.language.data import write_npz
from bileveldsl.language.diagnostics import BlvError

finite = st.floats(allow_nan=False, allow_infinity=False)


# ---- what is written is read ----------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(
    data=st.data(),
    rank=st.integers(0, 3),
    order=st.sampled_from("CF"),
    save=st.sampled_from([np.savez, np.savez_compressed]),
)
def test_npz_round_trip(tmp_path_factory, data, rank, order, save):
    shape = data.draw(hnp.array_shapes(min_dims=rank, max_dims=rank, min_side=0, max_side=4)) if rank else ()
    dtype = data.draw(st.sampled_from([">f8", "<f8", "f4", "f2", "i1", "u2", ">i4", "?"]))
    elements = {"allow_nan": False, "allow_infinity": False} if np.dtype(dtype).kind == "f" else None
    array = np.asarray(data.draw(hnp.arrays(dtype, shape, elements=elements)), order=order)
    folder = tmp_path_factory.mktemp("npz")
    save(folder / "a.npz", X=array)
    np.save(folder / "a.npy", array)
    for path in ("a.npz", "a.npy"):
        got = read(folder, path, rank=rank)
        assert got.dtype == np.float64 and got.dtype.isnative and got.flags.c_contiguous and got.shape == shape
        assert np.array_equal(got, array)


@settings(deadline=None, max_examples=30)
@given(
    arrays=st.dictionaries(
        st.sampled_from(["X", "y", "file", "allow_pickle", "β"]), hnp.arrays(np.float64, (2, 3), elements=finite)
    )
)
def test_written_npz_is_read_and_depends_on_the_arrays_only(tmp_path_factory, arrays):
    folder = tmp_path_factory.mktemp("written")
    for path in ("a.npz", "b.npz"):
        write_npz(folder / path, arrays)
    assert (folder / "a.npz").read_bytes() == (folder / "b.npz").read_bytes()
    for name, array in arrays.items():
        assert np.array_equal(read(folder, "a.npz", name, rank=2), array)


def test_npy_versions(tmp_path):
    for version in (b"\x01\x00", b"\x02\x00", b"\x03\x00"):
        (tmp_path / "a.npy").write_bytes(npy_header("<f8", (2,), version) + np.array([1.0, 2.0]).tobytes())
        assert read(tmp_path, "a.npy").tolist() == [1, 2]
    (tmp_path / "a.npy").write_bytes(npy_header("<f8", (2,), b"\x09\x00") + bytes(16))
    refused("E410", tmp_path, "a.npy", says=["version"])


# ---- npz ------------------------------------------------------------------------------------


def test_npz_keys(tmp_path):
    np.savez(tmp_path / "a.npz", X_val=np.ones(2), y=np.ones(2))
    found = refused("E404", tmp_path, "a.npz", "X_vla", says=['"X_vla"'])
    assert 'did you mean "X_val"?' in found.help and '"y"' in found.help
    refused("E404", tmp_path, "a.npz", says=['"X"'])
    refused("E404", tmp_path, "a.npz", "y", "z")
    np.save(tmp_path / "a.npy", np.ones(2))
    assert "without brackets" in refused("E404", tmp_path, "a.npy", "X").help
    write_npz(tmp_path / "empty.npz", {})
    assert "none" in refused("E404", tmp_path, "empty.npz").help


def test_npz_rank(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.ones((2, 3)))
    refused("E405", tmp_path, "a.npz", rank=1, says=["(2, 3)", '"X" has 1 axis'])
    refused("E405", tmp_path, "a.npz", rank=0, says=["0 axes"])


def test_npz_values(tmp_path):
    X = np.ones((4, 5))
    X[3, 1] = np.nan
    X[3, 2] = -np.inf
    np.savez(tmp_path / "a.npz", X=X, y=[1.0, np.inf], k=[0, -(2**53) - 1], z=[1j], s=["1"])
    refused("E408", tmp_path, "a.npz", rank=2, says=['"a.npz"["X"]', "NaN at [3, 1]", "2 entries"])
    refused("E408", tmp_path, "a.npz", "y", says=["infinity at [1]"])
    refused("E414", tmp_path, "a.npz", "k", says=["-9007199254740993 at [1]"])
    refused("E409", tmp_path, "a.npz", "z", says=["complex"])
    refused("E409", tmp_path, "a.npz", "s", says=["text"])


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_pickles_are_never_executed(tmp_path):
    mark = tmp_path / "executed"
    payload = np.array([Payload(str(mark))], dtype=object)
    np.savez(tmp_path / "a.npz", X=payload)
    np.save(tmp_path / "a.npy", payload)
    refused("E409", tmp_path, "a.npz", says=['"a.npz"["X"]', "never unpickled"])
    refused("E409", tmp_path, "a.npy", says=["never unpickled"])
    for path in ("b.npz", "b.npy"):  # a bare pickle under the name of an array
        (tmp_path / path).write_bytes(pickle.dumps(Payload(str(mark))))
        refused("E410", tmp_path, path)
    record = npy_header([("a", "|O"), ("b", "<f8")], (1,)) + pickle.dumps(Payload(str(mark)))
    (tmp_path / "c.npy").write_bytes(record)
    refused("E409", tmp_path, "c.npy")
    assert not mark.exists()
    pickle.loads(pickle.dumps(Payload(str(mark))))
    assert mark.exists()  # the payload does what the test fears


def test_an_archive_bomb_is_refused_without_being_expanded(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("X.npy", npy_header("<f8", (2**24,)) + bytes(2**27))
    assert (tmp_path / "a.npz").stat().st_size < 2**20
    with quick_and_small(1):
        refused("E412", tmp_path, "a.npz", limit_bytes=2**26, says=['"a.npz"["X"]', "128 MiB", "64 MiB"])


@pytest.mark.parametrize("declared", [(10**13,), (2**70, 2**70), (0, 10**30)])
def test_a_header_that_declares_too_much_is_refused_without_being_believed(tmp_path, declared):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("X.npy", npy_header("<f8", declared) + bytes(100))
    (tmp_path / "a.npy").write_bytes(npy_header("<f8", declared))
    with quick_and_small(1):
        refused("E412", tmp_path, "a.npz", rank=len(declared))
        refused("E412", tmp_path, "a.npy", rank=len(declared))


def test_a_member_that_expands_beyond_its_declared_size(tmp_path):
    payload = npy_header("<f8", (4,)) + np.arange(4.0).tobytes()
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("X.npy", payload + bytes(2**24))
    raw = (tmp_path / "a.npz").read_bytes()
    true, small = struct.pack("<I", len(payload) + 2**24), struct.pack("<I", len(payload))
    assert raw.count(true) == 2  # local header and directory
    (tmp_path / "a.npz").write_bytes(raw.replace(true, small))
    with quick_and_small(1):
        refused("E410", tmp_path, "a.npz")  # the checksum is of more than was declared


def test_damaged_npz(tmp_path):
    rng = np.random.default_rng(0)
    for size in (4, 20_000):
        np.savez(tmp_path / "good.npz", X=rng.standard_normal(size))
        raw = bytearray((tmp_path / "good.npz").read_bytes())
        raw[len(raw) // 2] ^= 1
        (tmp_path / "bit.npz").write_bytes(raw)
        refused("E410", tmp_path, "bit.npz", says=["CRC"])
        (tmp_path / "short.npz").write_bytes(raw[:-30])
        refused("E410", tmp_path, "short.npz")
    good = npy(np.ones(9))
    (tmp_path / "short.npy").write_bytes(good[:-1])
    refused("E410", tmp_path, "short.npy", says=["72 bytes, not 71"])
    (tmp_path / "negative.npy").write_bytes(npy_header("<f8", (-1, -9)) + bytes(72))
    refused("E410", tmp_path, "negative.npy", rank=2)
    with zipfile.ZipFile(tmp_path / "lzma.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("X.npy", good)
    refused("E410", tmp_path, "lzma.npz", says=["compressed"])


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_array_stored_twice(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for value in (1.0, 2.0):
            archive.writestr("X.npy", npy(np.array([value])))
    refused("E413", tmp_path, "a.npz", says=['"X"'])


# ---- files that are complete or not there ---------------------------------------------------


def test_atomic_write_replaces_and_keeps_permissions_and_links(tmp_path):
    target = tmp_path / "a.txt"
    atomic_write_text(target, "ü\n")
    target.chmod(0o640)
    (tmp_path / "link").symlink_to(target)
    atomic_write_text(tmp_path / "link", "new")
    assert target.read_text() == "new" and target.stat().st_mode & 0o777 == 0o640 and (tmp_path / "link").is_symlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "link"]


def test_a_failed_write_leaves_what_was_there(tmp_path):
    target = tmp_path / "a.npz"
    write_npz(target, {"X": np.ones(2)})
    with pytest.raises(ValueError, match="allow_pickle"):
        write_npz(target, {"X": np.zeros(2), "y": np.array([None])})
    with pytest.raises(KeyboardInterrupt), atomic_write(target) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert read(tmp_path, "a.npz").tolist() == [1, 1]
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_devices_are_written_and_not_replaced():
    atomic_write_text(Path(os.devnull), "x")
    assert not Path(os.devnull).is_file()


def test_unwritable_targets(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    for path, says in (("missing/a", "folder does not exist"), (".", "folder"), ("file", "protected"), ("file/a", "")):
        with pytest.raises(BlvError) as caught:
            atomic_write_text(tmp_path / path, "x")
        (diagnostic,) = caught.value.diagnostics
        assert diagnostic.code == "E415" and diagnostic.help
        assert says in diagnostic.message and str(tmp_path / path) in diagnostic.message
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
