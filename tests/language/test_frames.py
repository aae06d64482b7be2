"""Sets and parameters from pandas: the same members, values and refusals as from files."""

import numpy as np
import pytest
from data_files import ARCS, NODES, WHERE, n, read_over, read_set, refusal

from bileveldsl.language.data import LabelledAxis, indexed_from_pandas, members_from_pandas

pandas = pytest.importorskip("pandas")

PAIRS = pandas.MultiIndex.from_tuples([("b", "c"), ("a", "c"), ("a", "b")])


def test_a_frame_and_its_csv_say_the_same(tmp_path):
    frame = pandas.DataFrame({"cost": [2.5, 3, 1], "note": list("xyz")}, index=PAIRS)
    frame.to_csv(tmp_path / "a.csv")
    members = members_from_pandas(frame.index, "ARCS")
    assert members == [("b", "c"), ("a", "c"), ("a", "b")] == read_set(tmp_path, "a.csv", arity=2)
    values = indexed_from_pandas(frame["cost"], [ARCS], "cost")
    assert values.dtype == np.float64 and values.flags.c_contiguous
    assert values.tolist() == [1, 2.5, 3] == read_over([ARCS], tmp_path, "a.csv").tolist()
    assert indexed_from_pandas(frame[["cost"]], [ARCS], "cost").tolist() == [1, 2.5, 3]


@pytest.mark.parametrize(
    ("data", "members"),
    [
        (pandas.Index(["b", "a"]), ["b", "a"]),
        (pandas.RangeIndex(3), [0, 1, 2]),
        (pandas.Index([2021, 2020], dtype="int32"), [2021, 2020]),
        (pandas.Index([np.int64(1), np.str_("a"), "1b"], dtype=object), [1, "a", "1b"]),
        (pandas.CategoricalIndex(["b", "a"]), ["b", "a"]),
        (pandas.Series(["x", "y"], index=[7, 8]), ["x", "y"]),
        (pandas.DataFrame({"i": ["a", "b"], "j": [1, 2]}), [("a", 1), ("b", 2)]),
        (pandas.DataFrame({"i": ["a", "b"]}), ["a", "b"]),
        (pandas.MultiIndex.from_tuples([("a", 1), ("a", 2)]), [("a", 1), ("a", 2)]),
        (pandas.Index([]), []),
    ],
    ids=str,
)
def test_members(data, members):
    got = members_from_pandas(data, "S")
    assert got == members
    assert {type(label) for m in got for label in (m if isinstance(m, tuple) else (m,))} <= {str, int}


def test_several_axes_and_types_of_numbers():
    index = pandas.MultiIndex.from_product([[1, 0], ["c", "a", "b"]])
    for dtype in ("int8", "float32", "bool", "Int64", "Float64", "boolean"):
        series = pandas.Series([1, 0, 1, 1, 1, 0], index=index).astype(dtype)
        assert indexed_from_pandas(series, [n, NODES], "k").tolist() == [[1, 0, 1], [0, 1, 1]]
    years = pandas.Series([2, 1], index=["2021", "2020"])
    assert indexed_from_pandas(years, [LabelledAxis("Y", 1, [2020, 2021])], "k").tolist() == [1, 2]


@pytest.mark.parametrize(
    ("code", "data", "says"),
    [
        ("E416", pandas.Index(["a", "b", "a"]), ['"a" twice: at [0] and at [2]']),
        ("E417", pandas.Index([1.5]), ["at [0]: the number 1.5"]),
        ("E417", pandas.Index(["a", None]), ["at [1]"]),
        ("E417", pandas.Index(["a", pandas.NA], dtype=object), ["at [1]"]),
        ("E417", pandas.to_datetime(["2020-01-01"]), ["Timestamp"]),
        ("E417", pandas.Index([True, False]), ["bool"]),
        ("E417", pandas.Index(["", "a"]), ["empty text"]),
    ],
    ids=str,
)
def test_members_at_fault(code, data, says):
    refusal(code, lambda: members_from_pandas(data, "S", WHERE), ['the value given for "S"', *says])


ABC = ["a", "b", "c"]


@pytest.mark.parametrize(
    ("code", "values", "index", "says"),
    [
        ("E408", [1, np.nan, 3], ABC, ["NaN at [1]"]),
        ("E408", pandas.array([1, None, 3], dtype="Int64"), ABC, ["NaN at [1]"]),
        ("E408", pandas.array([True, None, True], dtype="boolean"), ABC, ["NaN at [1]"]),
        ("E408", [1, 2, np.inf], ABC, ["infinity at [2]"]),
        ("E409", ["1", "2", "3"], ABC, ["not real numbers"]),
        ("E409", [1j, 2, 3], ABC, ["complex128"]),
        ("E409", [None, "2", 3], ABC, ["object"]),
        ("E409", pandas.to_datetime(["2020-01-01"] * 3), ABC, ["datetime64"]),
        ("E414", [1, 2**53 + 1, 3], ABC, ["9007199254740993 at [1]"]),
        ("E416", [1, 2, 3], ["a", "b", "a"], ['cost["a"] twice: at [0] and at [2]']),
        ("E418", [1, 2, 3], ["a", "b", "d"], ['"d" (at [2]) is not in NODES']),
        ("E419", [1, 2], ["c", "a"], ['no value for cost["b"]']),
        ("E420", [1, 2, 3], PAIRS, ["2 levels", "NODES need 1 level"]),
    ],
    ids=str,
)
def test_values_at_fault(code, values, index, says):
    series = pandas.Series(values, index=index)
    refusal(code, lambda: indexed_from_pandas(series, [NODES], "cost", WHERE), ['the value given for "cost"', *says])


def test_one_column_of_values():
    frame = pandas.DataFrame({"x": [1, 2, 3], "y": [1, 2, 3]}, index=ABC)
    refusal("E420", lambda: indexed_from_pandas(frame, [NODES], "cost", WHERE), ["2 columns of values"])
