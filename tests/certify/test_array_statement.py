"""Statements over arrays say what the model says, in a size that does not grow with the data."""

import gc
import hashlib
import json

import numpy as np
import pytest

from bileveldsl import loads
from bileveldsl.certify.array_statement import array_statement

TEXT = (
    "dim m, n\nparam A[m, n], b[m], cap[n]\nupper {\n  var x[n] in [0, cap]\n  minimize sum(x)\n}\n"
    "lower {\n  var y[n] in [-1, 1]\n  maximize -sumsq(A@y - b) - sum(exp(x)*y^2) + log(1 + x[0])\n"
    "  budget: 1 <= sum(y) <= 2\n  same: y[1] == y[2]\n}\n"
)


def made(m=6, n=4, text=TEXT, cap=None):
    rng = np.random.default_rng(0)
    cap = np.arange(1.0, n + 1) if cap is None else cap
    program = loads(text).program(A=rng.normal(size=(m, n)), b=rng.normal(size=m), cap=cap)
    return array_statement(program)


def test_variables_have_their_level_and_bounds():
    statement, _ = made()
    x, y = (s for s in statement["symbols"] if s["role"] == "variable")
    assert (x["name"], x["level"], x["lower"], x["upper"]) == ("x", "upper", "0", ["1", "2", "3", "4"])
    assert (y["name"], y["level"], y["lower"], y["upper"], y["integer"]) == ("y", "lower", "-1", "1", False)
    assert [statement["dims"][k] for k in y["dims"]] == [["n", 4]]


def test_arrays_are_named_by_the_digest_of_their_bytes():
    statement, arrays = made()
    data = {s["name"]: s["sha256"] for s in statement["symbols"] if s["role"] == "data"}
    assert set(data) == {"A", "b"} == set(arrays)
    for name, (shape, content) in arrays.items():
        assert data[name] == hashlib.sha256(content).hexdigest()
        assert np.frombuffer(content, dtype="<f8").size == np.prod(shape)


def test_functions_are_minimized_and_constraints_at_most_zero():
    statement, _ = made()
    nodes = statement["nodes"]
    assert set(statement["functions"]) == {"upper.objective", "lower.objective"}
    assert [(c["label"], c["level"], c["relation"]) for c in statement["constraints"]] == [
        ("budget", "lower", "<= 0"), ("budget", "lower", "<= 0"), ("same", "lower", "== 0")
    ]  # fmt: skip
    assert [c["relation"] for c in statement["conditions"]] == ["> 0"]
    for k, node in enumerate(nodes):  # children come before their users
        children = node[1] if node[0] in ("map", "contract") else [node[1]] if node[0] == "select" else []
        assert all(child < k for child in children)
    opposite, _ = made(text=TEXT.replace("maximize -sumsq(A@y - b) - sum(exp(x)*y^2) +", "minimize sumsq(A@y - b) +"))
    assert opposite["functions"] != statement["functions"] or opposite["nodes"] != nodes


def test_the_size_does_not_grow_with_the_data():
    small, large = made(6, 4)[0], made(600, 40)[0]
    assert abs(len(json.dumps(large)) - len(json.dumps(small))) < 300
    _, arrays = made(6, 300)
    assert "x.upper" in arrays  # a long list of bounds is an array


def test_positions_and_sizes():
    text = (
        "dim n = 150\nupper {\n  var x in [0, 1]\n  minimize x\n}\n"
        "lower {\n  var y[n]\n  minimize sum((y[i+1] - y[i])^2 for i in n if i < 149)/n\n}\n"
    )
    statement, arrays = array_statement(loads(text).program())
    digests = [p["sha256"] for p in statement["positions"]]
    assert len(digests) == 2 and len(arrays) == 2
    first = np.frombuffer(arrays["positions 0"][1], dtype="<i8")
    assert first.tolist() in (list(range(149)), list(range(1, 150)))
    assert ["map", [], [["num", "150"]]] in statement["nodes"]


def test_what_is_too_large_has_no_statement():
    assert array_statement(loads(TEXT).program(A=np.ones((6, 4)), b=np.ones(6), cap=np.ones(4)), limit=10) is None


def test_equal_models_have_equal_statements_whatever_was_made_before():
    first = json.dumps(made()[0])
    text = TEXT.replace("sumsq(A@y - b)", "sum((A@y - b)^2*b^2)/m/n + sumsq(y)/4*n")
    other = loads(text).program(A=np.ones((6, 4)), b=np.ones(6), cap=np.ones(4))  # its nodes stay
    assert json.dumps(made()[0]) == first
    last = json.dumps(made(text=text)[0])
    del other
    gc.collect()
    assert json.dumps(made(text=text)[0]) == last != first


@pytest.mark.parametrize("text", [TEXT, TEXT.replace("maximize", "minimize")])
def test_statements_are_json(text):
    statement, _ = made(text=text)
    assert json.loads(json.dumps(statement)) == statement
