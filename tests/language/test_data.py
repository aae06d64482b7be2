"""Data files: what is read is exactly what was written, and what cannot be is refused with place and mend."""

import csv
import hashlib
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from data_files import WHERE, npy, quick_and_small, read, refused, write
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bileveldsl.language.ast import DataSource
from bileveldsl.language.data import Reader
from bileveldsl.language.diagnostics import BlvError

finite = st.floats(allow_nan=False, allow_infinity=False)


# ---- what is written is read ----------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(
    array=hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=5), elements=finite),
    header=st.booleans(),
)
def test_csv_round_trip(tmp_path_factory, array, header):
    folder = tmp_path_factory.mktemp("csv")
    names = [f"c{j}" for j in range(array.shape[1])]
    with (folder / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([names] * header + array.tolist())
    assert np.array_equal(read(folder, "a.csv", rank=2), array)
    if header:
        for j, name in enumerate(names):
            assert np.array_equal(read(folder, "a.csv", name), array[:, j])
            assert np.array_equal(read(folder, "a.csv", name=name), array[:, j])


@settings(deadline=None, max_examples=60)
@given(data=st.data(), rank=st.integers(0, 3))
def test_json_round_trip(tmp_path_factory, data, rank):
    shape = data.draw(hnp.array_shapes(min_dims=rank, max_dims=rank, max_side=4)) if rank else ()
    array = data.draw(hnp.arrays(np.float64, shape, elements=finite))
    folder = tmp_path_factory.mktemp("json")
    write(folder, "a.json", json.dumps(array.tolist()))
    write(folder, "b.json", json.dumps({"X": array.tolist(), "in": {"ner": array.tolist()}}))
    for path, keys in (("a.json", ()), ("b.json", ()), ("b.json", ("in", "ner"))):
        got = read(folder, path, *keys, rank=rank)
        assert got.shape == shape and np.array_equal(got, array)


def test_large_arrays_are_read_piecewise(tmp_path):
    array = np.random.default_rng(0).standard_normal((700, 500)).astype(np.float32)
    np.savez_compressed(tmp_path / "a.npz", X=np.asfortranarray(array), y=np.zeros(3))
    assert np.array_equal(read(tmp_path, "a.npz", rank=2), array)
    np.savetxt(tmp_path / "a.csv", array, delimiter=",")
    assert np.array_equal(read(tmp_path, "a.csv", rank=2), array)


def test_csv_dialect(tmp_path):
    write(tmp_path, "a.csv", '\ufeffname, cost ,"co,mma"\r\n"a ""b""\nc",1,2\r\nb, 3e0 ,+4\r\n\r\n')
    assert read(tmp_path, "a.csv", "cost").tolist() == [1, 3]
    assert read(tmp_path, "a.csv", "co,mma").tolist() == [2, 4]
    write(tmp_path, "lone.csv", "1\n2\n")
    assert read(tmp_path, "lone.csv").tolist() == [1, 2]
    write(tmp_path, "years.csv", "country,2019,2020\nCH,1,2\n")
    assert read(tmp_path, "years.csv", "2020").tolist() == [2]
    assert read(tmp_path, "years.csv", "2020", rank=0).shape == ()


def test_bool_and_integers_in_json_are_numbers(tmp_path):
    write(tmp_path, "a.json", '{"X": [true, 2, 3.5, 9007199254740992]}')
    assert read(tmp_path, "a.json").tolist() == [1, 2, 3.5, 2**53]


def test_one_file_is_opened_once_and_known_by_its_digest(tmp_path, monkeypatch):
    write(tmp_path, "a.csv", "x,y\n1,2\n3,4\n")
    np.savez(tmp_path / "b.npz", X=np.ones(3))
    reader = Reader(tmp_path)
    opened = []

    def recorded(path):
        opened.append(path.name)
        return sha256(path)

    monkeypatch.setattr("bileveldsl.language.data.reader.digest", recorded)
    for name in ("x", "y", "x"):
        reader.read_array(DataSource("a.csv", span=WHERE), name, 1, WHERE)
    reader.read_array(DataSource("b.npz", span=WHERE), "X", 1, WHERE)
    assert opened == ["a.csv", "b.npz"]
    assert reader.digests == {path: sha256(tmp_path / path) for path in ("a.csv", "b.npz")}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_array_read_twice_is_not_shared(tmp_path):
    write(tmp_path, "a.csv", "X\n1\n2\n")
    reader = Reader(tmp_path)
    for rank in (1, 2):
        source = DataSource("a.csv", span=WHERE)
        reader.read_array(source, "X", rank, WHERE)[...] = 7
        assert reader.read_array(source, "X", rank, WHERE).ravel().tolist() == [1, 2]


# ---- arrays in place of files ---------------------------------------------------------------


def test_an_override_stands_in_for_the_file(tmp_path):
    overrides = {("a.npz", ("X",)): np.array([1, 2]), ("a.json", ("b", "c")): np.array(3.0)}
    assert read(tmp_path, "a.npz", overrides=overrides).tolist() == [1, 2]
    assert read(tmp_path, "a.json", "b", "c", rank=0, overrides=overrides).shape == ()
    refused("E401", tmp_path, "a.npz", "Z", overrides=overrides)


@pytest.mark.parametrize(
    ("code", "array"),
    [
        ("E405", np.ones((2, 2))),
        ("E408", np.array([1.0, np.nan])),
        ("E408", np.ma.array([1.0, 2.0], mask=[True, False])),
        ("E409", np.array([1j])),
        ("E409", np.array([None])),
        ("E409", np.array(["1"])),
        ("E409", np.array(["2020-01-01"], dtype="datetime64[D]")),
        ("E409", np.zeros(2, dtype=[("a", float)])),
        ("E409", np.ones(2, dtype=np.longdouble)),
        ("E414", np.array([2**53 + 1])),
        ("E414", np.array([2**64 - 1], dtype=np.uint64)),
        ("E414", np.array([-(2**63)])),
    ],
)
def test_an_override_obeys_the_rules_of_files(tmp_path, code, array):
    found = refused(code, tmp_path, "a.npz", overrides={("a.npz", ("X",)): array})
    assert found.message.startswith('the value given for "a.npz"["X"]')


# ---- files ----------------------------------------------------------------------------------


def test_missing_file(tmp_path):
    np.savez(tmp_path / "ridge.npz", X=1)
    write(tmp_path, "rigde.csv", "1")
    assert 'did you mean "ridge.npz"?' in refused("E401", tmp_path, "rigde.npz").help
    assert "no .json file" in refused("E401", tmp_path, "a.json").help
    assert "folder does not exist" in refused("E401", tmp_path, "sub/a.json").help
    assert "folder does not exist" in refused("E401", tmp_path, "ridge.npz/a.json").help


def test_unreadable_file(tmp_path, monkeypatch):
    (tmp_path / "folder.npz").mkdir()
    refused("E402", tmp_path, "folder.npz", says=["folder"])
    os.mkfifo(tmp_path / "pipe.csv")
    refused("E402", tmp_path, "pipe.csv", says=["regular"])
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    refused("E402", tmp_path, "loop.csv")
    with pytest.raises(BlvError) as caught:
        read(tmp_path, "a\0b.csv")
    assert caught.value.diagnostics[0].message.startswith('"a\\x00b.csv" cannot be read')
    write(tmp_path, "secret.csv", "1")
    denied = PermissionError(13, "Permission denied")
    monkeypatch.setattr(Path, "open", lambda *_, **__: (_ for _ in ()).throw(denied))
    refused("E402", tmp_path, "secret.csv", says=["Permission denied"])


def test_unknown_format(tmp_path):
    for path in ("a.xlsx", "a", "a.npz.gz", "."):
        assert ".csv" in refused("E403", tmp_path, path).help


def test_safe_mode_stays_in_the_folder(tmp_path):
    inner = tmp_path / "model"
    inner.mkdir()
    for folder in (tmp_path, inner):
        write(folder, "a.csv", "1\n")
    (inner / "link.csv").symlink_to(tmp_path / "a.csv")
    (inner / "here.csv").symlink_to("a.csv")
    outside = ("../a.csv", "link.csv", str(tmp_path / "a.csv"), "../missing.csv")
    for path in outside:
        refused("E411", inner, path, safe=True)
    for path in outside[:3]:
        assert read(inner, path).tolist() == [1]
    for path in ("a.csv", "./x/../a.csv", "here.csv", str(inner / "a.csv")):
        assert read(inner, path, safe=True).tolist() == [1]


def test_names_from_files_cannot_write_to_the_terminal(tmp_path):
    write(tmp_path, "a.csv", "\x1b[31mred\n1\n")
    assert "\x1b" not in refused("E404", tmp_path, "a.csv").help


# ---- csv ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "text", "says"),
    [
        ("E406", "arc,X\na,1\nb,twelve\n", ["row 3", 'column "X"', '"twelve"']),
        ("E406", "arc,X\na,1\nb,\n", ["row 3", 'column "X"', "empty"]),
        ("E406", "X\n1_000\n", ["row 2", '"1_000"']),
        ("E406", '1\n2\n"3,5"\n', ["row 3", "column 1", '"3,5"']),
        ("E407", "arc,X\na,1\nb,2,3\n", ["row 3", "3 entries", "has 2"]),
        ("E407", "X\n1\n\n2\n", ["row 3 is empty"]),
        ("E408", "arc,X\na,1\nb,nan\nc,inf\n", ["row 3", 'column "X"', "NaN", "2 entries"]),
        ("E408", "1\n-inf\n", ["row 2", "column 1", "infinity"]),
        ("E408", "X\n1e999\n", ["row 2", "infinity"]),
        ("E410", 'X\n1\n"2\n', ["not valid csv"]),
        ("E410", "X\n", ["no rows"]),
        ("E410", "", ["is empty"]),
        ("E413", "X,y,X\n1,2,3\n", ['"X"']),
        ("E414", "X\n9007199254740992\n1e300\n123456789012345678901\n", ["row 4"]),
        ("E414", "X\n1\n-9007199254740993\n", ["row 3", 'column "X"', "-9007199254740993"]),
        ("E412", "X\n" + "1" * 200_000 + "\n", ["too long"]),
    ],
)
def test_csv_faults_of_a_column(tmp_path, code, text, says):
    write(tmp_path, "a.csv", text)
    refused(code, tmp_path, "a.csv", says=says)


@pytest.mark.parametrize(
    ("code", "text", "says"),
    [
        ("E406", "a,1\n1,2\n", ["row 1", '"a"']),
        ("E406", ",b\n1,2\n", ["row 1", "empty"]),
        ("E406", "a,b\n1,2\nx,3\n", ["row 3", 'column "a"', '"x"']),
        ("E408", "1,2\n3,nan\n", ["row 2", "column 2", "NaN"]),
        ("E407", "1,2\n3\n", ["row 2", "1 entry"]),
    ],
)
def test_csv_faults_of_a_table(tmp_path, code, text, says):
    write(tmp_path, "a.csv", text)
    refused(code, tmp_path, "a.csv", rank=2, says=says)


def test_csv_keys_and_rank(tmp_path):
    write(tmp_path, "a.csv", "cost,len\n1,2\n3,4\n")
    assert 'did you mean "cost"?' in refused("E404", tmp_path, "a.csv", "Cots", says=['"Cots"']).help
    refused("E404", tmp_path, "a.csv", "cost", "x")
    refused("E405", tmp_path, "a.csv", "cost", rank=0, says=["2 rows", "0 axes"])
    refused("E405", tmp_path, "a.csv", "cost", rank=2, says=["one column"])
    refused("E405", tmp_path, "a.csv", rank=3, says=["2 dimensions"])
    write(tmp_path, "b.csv", "1,2\n3,4\n")
    refused("E404", tmp_path, "b.csv", says=["no header row"])
    write(tmp_path, "c.csv", "1\n3\n")
    refused("E404", tmp_path, "c.csv", "cost", says=["no header row"])


def test_csv_encoding_and_long_lines(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_bytes("X\n1\n".encode("utf-16"))
    assert "UTF-8" in refused("E410", tmp_path, "a.csv").help
    write(tmp_path, "b.csv", "1,2,3,4,5,6,7,8\n")
    monkeypatch.setattr("bileveldsl.language.data.delimited.LINE_CHARACTERS", 10)
    refused("E412", tmp_path, "b.csv", rank=2, says=["10 characters"])


# ---- json -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "text", "says"),
    [
        ("E404", '{"a": 1}', ['"X"']),
        ("E404", '{"X": {"a": [1]}}', ["an object"]),
        ("E405", "[[1, 2]]", ["2 dimensions", "1 axis"]),
        ("E405", "3", ["0 dimensions"]),
        ("E406", '{"X": [1, "2"]}', ['"a.json"["X"]', "[1]", 'text "2"']),
        ("E406", "[1, null]", ["[1]", "null"]),
        ("E406", "[1, {}]", ["[1]", "an object"]),
        ("E407", "[1, [2]]", ["[1]", "a list"]),
        ("E408", "[1, NaN, -Infinity]", ["NaN at [1]", "2 entries"]),
        ("E408", "[1e999]", ["infinity at [0]"]),
        ("E408", f"[{'9' * 5000}]", ["infinity at [0]"]),
        ("E410", '{"X": [1,\n 2,]}', ["line 2"]),
        ("E410", "", ["line 1, column 1"]),
        ("E410", '["', ["line 1"]),
        ("E412", "[" * 100_000, ["64 levels"]),
        ("E412", '{"a":' * 65 + "1" + "}" * 65, ["64 levels"]),
        ("E413", '{"X": [1], "y": {"k": 1, "k": 2}}', ['"k"']),
        ("E414", "[9007199254740993]", ['"9007199254740993" at [0]']),
    ],
)
def test_json_faults(tmp_path, code, text, says):
    write(tmp_path, "a.json", text)
    refused(code, tmp_path, "a.json", says=says)


def test_json_keys_and_shapes(tmp_path):
    write(tmp_path, "a.json", '{"alpha": {"beta": [1]}, "[[[\\"": 2, "r": [[1, 2], [3]], "m": [[1], 2]}')
    assert 'did you mean "beta"?' in refused("E404", tmp_path, "a.json", "alpha", "beat", says=['"alpha"']).help
    refused("E404", tmp_path, "a.json", "alpha", "beta", "gamma", says=["a list"])
    refused("E407", tmp_path, "a.json", "r", rank=2, says=["a list of 1 at [1]", "lists of 2"])
    refused("E407", tmp_path, "a.json", "m", rank=2, says=["2 at [1]", "lists of 1"])
    assert read(tmp_path, "a.json", '[[["', rank=0) == 2
    (tmp_path / "b.json").write_bytes(b"\xff\xfe")
    refused("E410", tmp_path, "b.json", says=["UTF-8"])


def test_a_json_string_without_end_is_refused_in_linear_time(tmp_path):
    write(tmp_path, "a.json", '["' + '\\"' * 100_000)
    with quick_and_small(4):
        refused("E410", tmp_path, "a.json")


def test_text_files_are_bounded_by_the_memory_that_reading_takes(tmp_path):
    for path, text in (("a.json", "[1]" + " " * 1000), ("a.csv", "1\n" * 500)):
        write(tmp_path, path, text)
        refused("E412", tmp_path, path, limit_bytes=4000)


# ---- parquet --------------------------------------------------------------------------------


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    write(tmp_path, "a.parquet", "")
    assert "pip install pyarrow" in refused("E403", tmp_path, "a.parquet", says=["pyarrow"]).help


def test_parquet_columns(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    def save(path, **columns):
        parquet.write_table(pyarrow.table(columns), tmp_path / path)

    save("a.parquet", X=[1.5, 2.5], k=[1, None], s=["a", "b"], n=[1.0, np.nan], big=[1, 2**53 + 1], b=[True, False])
    assert read(tmp_path, "a.parquet").tolist() == [1.5, 2.5]
    assert read(tmp_path, "a.parquet", "b").tolist() == [1, 0]
    refused("E404", tmp_path, "a.parquet", "x2")
    refused("E406", tmp_path, "a.parquet", "s")
    refused("E408", tmp_path, "a.parquet", "k", says=["row 2"])
    refused("E408", tmp_path, "a.parquet", "n", says=["row 2"])
    refused("E412", tmp_path, "a.parquet", limit_bytes=50)
    refused("E414", tmp_path, "a.parquet", "big", says=["row 2"])
    save("m.parquet", **{"0": [1, 2], "1": [3.0, 4.0]})
    assert read(tmp_path, "m.parquet", rank=2).tolist() == [[1, 3], [2, 4]]
    write(tmp_path, "d.parquet", "PAR1 not a table PAR1")
    refused("E410", tmp_path, "d.parquet")


# ---- whatever the bytes, an array or a diagnostic -------------------------------------------

GOOD = {
    "a.npy": npy(np.arange(3.0)),
    "a.npz": None,
    "a.csv": b'X,"y"\n1,2.5\n3,-4e5\n',
    "a.json": b'{"X": [1, 2.5, -3e4], "y": [true, null, "\\u00e9"]}',
}


@settings(deadline=None, max_examples=300)
@given(path=st.sampled_from(sorted(GOOD)), data=st.data())
def test_mangled_files_end_in_an_array_or_a_diagnostic(tmp_path_factory, path, data):
    folder = tmp_path_factory.mktemp("mangled")
    if path == "a.npz":
        np.savez_compressed(folder / path, X=np.arange(3.0))
    raw = bytearray(GOOD[path] or (folder / path).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(raw)))
        stop = data.draw(st.integers(start, min(start + 4, len(raw))))
        raw[start:stop] = data.draw(st.binary(max_size=4))
    (folder / path).write_bytes(raw)
    try:
        array = read(folder, path, limit_bytes=2**20)
    except BlvError as error:
        (diagnostic,) = error.diagnostics
        assert diagnostic.code.startswith("E4") and diagnostic.help and path in diagnostic.message
        assert diagnostic.message.isprintable() and diagnostic.help.isprintable()
    else:
        assert array.dtype == np.float64 and array.ndim == 1 and np.isfinite(array).all()
