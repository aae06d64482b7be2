"""Sets, and parameters over sets, from files: members match exactly, in any order, or the file is refused."""

import csv
import itertools
import json
import math
import time

import numpy as np
import pytest
from data_files import ARCS, NODES, WHERE, YEARS, n, read_over, read_set, refusal, write
from hypothesis import given, settings
from hypothesis import strategies as st

from bileveldsl.language.ast import DataSource
from bileveldsl.language.data import LabelledAxis, Reader
from bileveldsl.language.data.values import is_number
from bileveldsl.language.diagnostics import BlvError

# ---- what is written is read ----------------------------------------------------------------

finite = st.floats(allow_nan=False, allow_infinity=False)
texts = (
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=4)
    .map(str.strip)
    .filter(lambda text: text and not is_number(text))
)
labels = st.one_of(texts, st.integers(-(10**17), 10**17))


@st.composite
def axis(draw):
    kind = draw(st.sampled_from(["dim", "text", "integers", "pairs"]))
    if kind == "dim":
        return LabelledAxis("n", 1, draw(st.integers(1, 3)))
    member = {"text": texts, "integers": labels.filter(lambda x: isinstance(x, int)), "pairs": st.tuples(labels, texts)}
    members = draw(st.lists(member[kind], min_size=1, max_size=3, unique_by=str))
    return LabelledAxis("K", 2 if kind == "pairs" else 1, members)


@st.composite
def labelled(draw):
    """Axes, rows of labels and a value in any order, and the array that they mean."""
    axes = draw(st.lists(axis(), min_size=1, max_size=3).filter(lambda axes: any(a.name == "K" for a in axes)))
    array = np.array(draw(st.lists(finite, min_size=(k := math.prod(a.size for a in axes)), max_size=k)))
    members = [range(a.members) if isinstance(a.members, int) else a.members for a in axes]
    flat = [[x for m in row for x in (m if isinstance(m, tuple) else (m,))] for row in itertools.product(*members)]
    rows = draw(st.permutations([[*row, value] for row, value in zip(flat, array.tolist(), strict=True)]))
    return axes, rows, array.reshape([a.size for a in axes])


@settings(deadline=None, max_examples=80)
@given(case=labelled(), further=st.booleans(), named=st.booleans())
def test_csv_rows_in_any_order(tmp_path_factory, case, further, named):
    axes, rows, array = case
    folder = tmp_path_factory.mktemp("csv")
    header = ["", *(f"k{j}" for j in range(1, len(rows[0]) - 1)), "cost" if named or further else "value"]
    with (folder / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header + ["note"] * further, *(row + ["x"] * further for row in rows)])
    got = read_over(axes, folder, "a.csv")
    assert got.dtype == np.float64 and got.flags.c_contiguous and got.shape == array.shape
    assert np.array_equal(got, array)
    assert np.array_equal(read_over(axes, folder, "a.csv", header[-1], name="other"), array)


@settings(deadline=None, max_examples=80)
@given(case=labelled())
def test_json_in_each_form(tmp_path_factory, case):
    axes, rows, array = case
    folder = tmp_path_factory.mktemp("json")
    objects = {}
    for *keys, last, value in rows:
        inner = objects
        for key in keys:
            inner = inner.setdefault(str(key), {})
        inner[str(last)] = value
    write(folder, "a.json", json.dumps({"cost": objects, "in": {"rows": rows, "dense": array.tolist()}}))
    for keys in ((), ("in", "rows"), ("in", "dense")):
        assert np.array_equal(read_over(axes, folder, "a.json", *keys), array), keys


@settings(deadline=None, max_examples=80)
@given(data=st.data(), arity=st.integers(1, 3))
def test_sets_keep_their_order(tmp_path_factory, data, arity):
    row = st.tuples(*[texts] * arity)
    members = data.draw(st.lists(row, max_size=5, unique=True))
    expected = [member[0] for member in members] if arity == 1 else members
    folder = tmp_path_factory.mktemp("set")
    with (folder / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([[f"k{j}" for j in range(arity)], *members])
    write(folder, "a.json", json.dumps(expected))
    for path in ("a.csv", "a.json"):
        assert read_set(folder, path, arity=arity) == expected
    if arity == 1 or members:
        assert read_set(folder, "a.json") == expected


def test_which_column_is_the_set(tmp_path):
    write(tmp_path, "a.csv", "tail,head,S\na,b,x\nb,c,y\n")
    assert read_set(tmp_path, "a.csv") == ["x", "y"]
    assert read_set(tmp_path, "a.csv", name="T") == read_set(tmp_path, "a.csv", name="T", arity=1) == ["a", "b"]
    assert read_set(tmp_path, "a.csv", "head", arity=1) == ["b", "c"]
    assert read_set(tmp_path, "a.csv", arity=2) == [("a", "b"), ("b", "c")]


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("S\n3\n-1\n0\n", [3, -1, 0]),
        ("3\n1\n", [3, 1]),
        ("S\n3\n x1 \n", ["3", "x1"]),
        ("S\n1\n01\n+2\n", ["1", "01", "+2"]),
        ("S\n1\n1000000000000000000\n", ["1", "1000000000000000000"]),
        ("S\n1.5\nb\n", ["1.5", "b"]),
        ("S\nnull\nNA\n", ["null", "NA"]),
        ("S\n", []),
    ],
)
def test_a_csv_column_is_integers_or_text(tmp_path, text, members):
    write(tmp_path, "a.csv", text)
    got = read_set(tmp_path, "a.csv")
    assert got == members and list(map(type, got)) == list(map(type, members))


def test_json_labels_keep_their_types(tmp_path):
    write(tmp_path, "a.json", '{"S": [1, "01", "x"], "in": {"P": [["a", 1], ["a", 2]]}, "none": []}')
    assert read_set(tmp_path, "a.json") == [1, "01", "x"]
    assert read_set(tmp_path, "a.json", "in", "P") == read_set(tmp_path, "a.json", "in", "P", arity=2)
    assert read_set(tmp_path, "a.json", "in", "P") == [("a", 1), ("a", 2)]
    assert read_set(tmp_path, "a.json", "none", arity=2) == []


def test_labels_match_by_their_text(tmp_path):
    """A csv cannot say whether 2020 is text; json keys are always text."""
    write(tmp_path, "a.csv", "y,v\n2021,2\n2020,1\n")
    write(tmp_path, "a.json", '{"cost": {"2021": 2, "2020": 1}}')
    for members in ([2020, 2021], ["2020", "2021"], range(2020, 2022)):
        for path in ("a.csv", "a.json"):
            assert read_over([LabelledAxis("Y", 1, members)], tmp_path, path).tolist() == [1, 2]


def test_the_toll_model(tmp_path):
    write(tmp_path, "network.json", '{"nodes": ["a", "b", "c"]}')
    write(tmp_path, "arcs.csv", "tail,head,length,cost\na,b,1,2\nb,c,1,3\na,c,2,9\n")
    write(tmp_path, "trips.csv", "trip,volume\nt1,10\nt2,5\n")
    write(tmp_path, "supply.csv", "node,trip,supply\n" + "".join(f"{v},t{k},{k}\n" for v in "abc" for k in (2, 1)))
    reader = Reader(tmp_path, safe=True)

    def members(path, *keys, name, arity=None):
        axis = reader.read_set(DataSource(path, keys, span=WHERE), name, WHERE, arity)
        return LabelledAxis(name, arity or 1, axis)

    nodes, arcs = members("network.json", "nodes", name="NODES"), members("arcs.csv", name="ARCS", arity=2)
    trips = members("trips.csv", name="TRIPS")
    assert arcs.members == [("a", "b"), ("b", "c"), ("a", "c")]

    def values(path, *keys, name, axes):
        return reader.read_indexed(DataSource(path, keys, span=WHERE), name, axes, WHERE).tolist()

    assert values("arcs.csv", "cost", name="cost", axes=[arcs]) == [2, 3, 9]
    assert values("trips.csv", name="volume", axes=[trips]) == [10, 5]
    assert values("supply.csv", name="supply", axes=[nodes, trips]) == [[1, 2]] * 3
    assert sorted(reader.digests) == ["arcs.csv", "network.json", "supply.csv", "trips.csv"]


def test_dense_arrays_are_in_the_order_of_the_sets(tmp_path):
    array = np.arange(6.0).reshape(3, 2)
    np.savez(tmp_path / "a.npz", cost=array)
    np.save(tmp_path / "a.npy", array)
    write(tmp_path, "a.json", json.dumps(array.tolist()))
    for path in ("a.npz", "a.npy", "a.json"):
        assert np.array_equal(read_over([ARCS, YEARS], tmp_path, path), array)
    overrides = {("b.csv", ("cost",)): array}
    assert np.array_equal(read_over([ARCS, n], tmp_path, "b.csv", overrides=overrides), array)
    for path in ("a.npz", "a.npy", "a.json", "b.csv"):
        says = [path, "shape (3, 2)", "YEARS has size 2"]
        refusal("E421", lambda p=path: read_over([YEARS, ARCS], tmp_path, p, overrides=overrides), says)
    for path in ("a.npz", "a.npy", "b.csv"):
        refusal("E405", lambda p=path: read_over([NODES], tmp_path, p, overrides=overrides), [path, "1 axis"])


def test_dims_alone_are_read_as_before(tmp_path):
    write(tmp_path, "a.csv", "k,cost\n7,1\n8,2\n")
    assert read_over([n], tmp_path, "a.csv").tolist() == [1, 2]
    assert read_over([n, n], tmp_path, "a.csv").tolist() == [[7, 1], [8, 2]]
    assert read_over([n, YEARS], tmp_path, "a.csv", overrides={("a.csv", ("cost",)): np.eye(2)}).trace() == 2
    refusal("E421", lambda: read_over([LabelledAxis("m", 1, 3)], tmp_path, "a.csv"), ["a.csv", "m has size 3"])


def test_matrices_of_integers_are_told_from_rows(tmp_path):
    """Rows of two labels and a value have three entries, and so has a matrix with three columns."""
    three = LabelledAxis("T", 1, [1, 2, 3])
    two = LabelledAxis("K", 1, [1, 2])
    write(tmp_path, "a.json", json.dumps({"rows": [[k, t, 10 * k + t] for t in (3, 2, 1) for k in (1, 2)]}))
    assert read_over([two, three], tmp_path, "a.json", "rows").tolist() == [[11, 12, 13], [21, 22, 23]]
    write(tmp_path, "b.json", '{"cost": [[7, 8, 9], [1, 2, 3]], "few": [[1, 2, 3], [7, 8, 9]], "text": [["1", "x"]]}')
    assert read_over([two, three], tmp_path, "b.json").tolist() == [[7, 8, 9], [1, 2, 3]]
    refusal("E418", lambda: read_over([two, three], tmp_path, "b.json", "few"), ["7"])
    refusal("E420", lambda: read_over([two, three], tmp_path, "b.json", "text"), ["a list of 2 at [0]"])


def test_which_column_holds_the_values(tmp_path):
    write(tmp_path, "a.csv", "node,km,cost\na,1,2\nb,3,4\nc,5,6\n")
    assert read_over([NODES], tmp_path, "a.csv").tolist() == [2, 4, 6]
    assert read_over([NODES], tmp_path, "a.csv", "km").tolist() == [1, 3, 5]
    refusal("E404", lambda: read_over([NODES], tmp_path, "a.csv", name="price"), ['no column "price"'])
    refusal("E404", lambda: read_over([NODES], tmp_path, "a.csv", "node"), ['"a.csv"["node"]', "which hold labels"])
    write(tmp_path, "b.csv", "1,2,5\n2,1,6\n")
    pairs = LabelledAxis("P", 2, [(2, 1), (1, 2)])
    assert read_over([pairs], tmp_path, "b.csv").tolist() == [6, 5]
    refusal("E404", lambda: read_over([pairs], tmp_path, "b.csv", "cost"), ["no header row"])
    write(tmp_path, "c.csv", "node,2020,2021\na,1,2\nb,3,4\nc,5,6\n")
    assert read_over([NODES], tmp_path, "c.csv", "2021").tolist() == [2, 4, 6]


def test_sets_without_members(tmp_path):
    write(tmp_path, "a.csv", "i,j,cost\n")
    empty = LabelledAxis("S", 2, [])
    assert read_set(tmp_path, "a.csv", arity=2) == []
    assert read_over([empty], tmp_path, "a.csv").shape == (0,)
    write(tmp_path, "a.json", '{"cost": {}, "b": []}')
    assert read_over([empty, n], tmp_path, "a.json").shape == (0, 2)
    assert read_over([empty, n], tmp_path, "a.json", "b").shape == (0, 2)


# ---- size and time --------------------------------------------------------------------------


def test_limits(tmp_path):
    write(tmp_path, "a.csv", "S,cost\n" + "".join(f"{k},0\n" for k in range(100)))
    refusal("E412", lambda: read_set(tmp_path, "a.csv", limit_bytes=20_000), ["labels", "a.csv"])
    wide = [LabelledAxis("S", 1, range(10**5)), LabelledAxis("n", 1, 10**5)]
    write(tmp_path, "b.csv", "i,j,cost\n0,0,1\n")
    refusal("E412", lambda: read_over(wide, tmp_path, "b.csv"), ["74.5 GiB", "8 GiB"])


def test_a_file_that_changes_while_it_is_read(tmp_path):
    write(tmp_path, "a.csv", "S,cost\na,1\nb,2\n")
    reader = Reader(tmp_path)
    source = DataSource("a.csv", span=WHERE)
    reader.read_array(source, "cost", 1, WHERE)
    write(tmp_path, "a.csv", "S,cost\na,1\n")
    refusal("E410", lambda: reader.read_set(source, "S", WHERE, 1), ["a.csv", "changed"])


def test_many_rows(tmp_path):
    """Every way through the rows takes linear time: a quadratic one would take minutes."""
    size = 20_000
    arcs = [(f"node{k // 150}", f"node{k % 150}") for k in range(size)]
    rows = [f"{i},{j},{k}\n" for k, (i, j) in enumerate(arcs)]
    np.random.default_rng(0).shuffle(rows)
    write(tmp_path, "a.csv", "i,j,cost\n" + "".join(rows))
    axis = LabelledAxis("ARCS", 2, arcs)
    began = time.process_time()
    assert sorted(read_set(tmp_path, "a.csv", arity=2)) == sorted(arcs)
    assert read_over([axis], tmp_path, "a.csv").tolist() == list(range(size))
    short = LabelledAxis("ARCS", 2, arcs[1:])
    refusal("E418", lambda: read_over([short], tmp_path, "a.csv"), ['("node0", "node0")'])
    refusal("E419", lambda: read_over([LabelledAxis("ARCS", 2, [*arcs, ("x", "y")])], tmp_path, "a.csv"), ['"x", "y"'])
    write(tmp_path, "a.csv", "i,j,cost\n" + "".join([*rows, rows[-1]]))
    refusal("E416", lambda: read_over([axis], tmp_path, "a.csv"), ["row 20001 and row 20002"])
    refusal("E416", lambda: read_set(tmp_path, "a.csv", arity=2), ["row 20001 and row 20002"])
    assert time.process_time() - began < 10


# ---- parquet --------------------------------------------------------------------------------


def test_parquet_labels(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    def save(path, size=1000, **columns):
        parquet.write_table(pyarrow.table(columns), tmp_path / path, row_group_size=size)

    tails, heads = ["a", "b", "a"], ["b", "c", "c"]
    save("a.parquet", size=2, i=tails, j=heads, cost=[1, 2, 3], year=[2021, 2020, 7], x=[1.5, 2, 3], s=["1", "2", "3"])
    assert read_set(tmp_path, "a.parquet", arity=2) == ARCS.members
    assert read_set(tmp_path, "a.parquet", "year") == [2021, 2020, 7]
    assert read_set(tmp_path, "a.parquet", "s") == ["1", "2", "3"]
    assert read_over([ARCS], tmp_path, "a.parquet").tolist() == [1, 2, 3]
    refusal("E416", lambda: read_set(tmp_path, "a.parquet"), ["row 1 and row 3"])
    refusal("E417", lambda: read_set(tmp_path, "a.parquet", "x"), ["row 1", "1.5"])
    refusal("E412", lambda: read_set(tmp_path, "a.parquet", limit_bytes=4000), ["labels"])
    save("b.parquet", S=["a", None], L=[[1], [2]])
    refusal("E417", lambda: read_set(tmp_path, "b.parquet"), ["row 2", "missing"])
    refusal("E417", lambda: read_set(tmp_path, "b.parquet", "L"), ['column "L"', "list"])
    save("c.parquet", S=pyarrow.array([], pyarrow.string()))
    assert read_set(tmp_path, "c.parquet") == []


# ---- whatever the bytes, a result or a diagnostic -------------------------------------------

FILES = {
    "a.csv": b'i,"j",cost\na,b,1\nb,c,2\n"a",c,-3e4\n',
    "a.json": b'{"cost": [["a", "b", 1], ["b", "c", 2], ["a", "c", 3]]}',
    "b.json": b'{"cost": {"a": {"b": 1, "c": 2}, "b": {"c": 3}}}',
    "c.json": b'{"cost": [1, 2, 3]}',
}


@settings(deadline=None, max_examples=300)
@given(path=st.sampled_from(sorted(FILES)), data=st.data())
def test_mangled_files_end_in_a_result_or_a_diagnostic(tmp_path_factory, path, data):
    folder = tmp_path_factory.mktemp("mangled")
    raw = bytearray(FILES[path])
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(raw)))
        stop = data.draw(st.integers(start, min(start + 4, len(raw))))
        raw[start:stop] = data.draw(st.binary(max_size=4))
    (folder / path).write_bytes(raw)
    for read in (lambda: read_over([ARCS], folder, path), lambda: read_set(folder, path, name="cost", arity=2)):
        try:
            got = read()
        except BlvError as error:
            (diagnostic,) = error.diagnostics
            assert diagnostic.code.startswith("E4") and diagnostic.help and path in diagnostic.message
            assert diagnostic.message.isprintable() and diagnostic.help.isprintable()
        else:
            assert isinstance(got, list) or (got.shape == (3,) and np.isfinite(got).all())
