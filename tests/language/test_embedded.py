"""Models built in Python say the same as their text."""

from __future__ import annotations

import time
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from embedded_models import reparsed, ridge
from hypothesis import given
from hypothesis import strategies as st

import bileveldsl as blv
from bileveldsl.language import ast
from bileveldsl.language.diagnostics import BlvError, Source
from bileveldsl.language.parse import parse

RIDGE = """
model ridge

dim n, m, p
param X[n, p], y[n], Xv[m, p] from "ridge.npz"
param yv[m] = [{yv}]

upper {{
  var loglam[p] in [-8, 4] start 0
  minimize sumsq(Xv @ w - yv) / m
}}

lower {{
  var w[p]
  minimize sumsq(X @ w - y) / n + sum(exp(loglam) * w^2)
}}
"""


def test_the_worked_example_is_its_text():
    model, _ = ridge()
    text = RIDGE.format(yv=", ".join(map(repr, model.data["yv"].tolist())))
    assert model.ast() == blv.loads(text).ast() == reparsed(model)


# ---- the same tree as the text ------------------------------------------------------------------


def declared(model: blv.Model) -> dict[str, object]:
    n, k = model.dim("n", "k")
    arcs = model.set("ARCS", [("a", "b"), ("b", "c")])
    i, j = blv.indices("i j")
    return {
        "n": n, "k": k, "ARCS": arcs, "i": i, "j": j, "X": model.param("X", n, k), "c": model.param("c", arcs),
        "x": model.upper.var("x", n), "y": model.lower.var("y", k), "z": model.lower.var("z"),
        "cap": model.lower.subject_to(cap=model["z"] <= 8), "blv": blv, "Fraction": Fraction, "Decimal": Decimal,
    }  # fmt: skip


HEAD = """model pair
dim n, k
set ARCS = [("a", "b"), ("b", "c")]
param X[n, k]
param c[ARCS]
upper { var x[n]; minimize %s }
lower { var y[k]; var z; cap: z <= 8; minimize z }
"""


@pytest.mark.parametrize(
    ("python", "text"),
    [
        ("x + 2*z - 1", "x + 2 * z - 1"),
        ("1 - (x - (2 - z))", "1 - (x - (2 - z))"),
        ("-x**2", "-x^2"),
        ("(-x)**2", "(-x)^2"),
        ("2**x**3", "2^x^3"),
        ("(2**x)**3", "(2^x)^3"),
        ("x**-1", "x^-1"),
        ("-(-x) + +x", "--x + +x"),
        ("x / (2*z) / 3", "x / (2 * z) / 3"),
        ("X @ y @ x.T", "X @ y @ x.T"),
        ("X.T @ (X @ y)", "X.T @ (X @ y)"),
        ("(x + x).T", "(x + x).T"),
        ("0.1*x + 1e-8", "0.1 * x + 1e-8"),
        ("x * 1e22 * 3.0", "x * 1e22 * 3"),
        ("Fraction(1, 3) * x", "1/3 * x"),
        ("x * Fraction(-1, 3)", "x * (-1/3)"),
        ("Decimal('0.125') * x", "0.125 * x"),
        ("x + float('inf')", "x + inf"),
        ("x - -float('inf')", "x - -inf"),
        ("X[1:5, 2]", "X[1:5, 2]"),
        ("X[:, 0] + X[:3, k - 1]", "X[:, 0] + X[:3, k - 1]"),
        ("(X @ y)[n - 1:]", "(X @ y)[n - 1:]"),
        ("c['a', 'b']", 'c["a", "b"]'),
        ("cap.dual * z", "cap.dual * z"),
        ("abs(x) + blv.abs(x)", "abs(x) + abs(x)"),
        ("blv.sum(X, k)", "sum(X, k)"),
        ("blv.logsumexp(X, axis=k)", "logsumexp(X, k)"),
        ("blv.huber(x, 0.5)", "huber(x, 0.5)"),
        ("blv.max(x, 0, z) + blv.min(X, n)", "max(x, 0, z) + min(X, n)"),
        ("blv.dot(blv.sigmoid(x), x)", "dot(sigmoid(x), x)"),
        ("blv.sum(x[i]**2, over={i: n})", "sum(x[i]^2 for i in n)"),
        ("blv.sum(c[i, j], over={(i, j): ARCS})", "sum(c[i, j] for (i, j) in ARCS)"),
        ("blv.max(x[i] - y[j], over={i: n, j: k}, where=i != j)", "max(x[i] - y[j] for i in n, j in k if i != j)"),
        ("blv.prod(x[i], over={i: range(1, 4)})", "prod(x[i] for i in 1..3)"),
        ("blv.sum(x[i], over={i: blv.integers(1, n - 1)})", "sum(x[i] for i in 1..n - 1)"),
        ("blv.sum(x[i], over={i: n, j: k}, where=(i < j) & (j <= 3) & ~(i == 2))",
         "sum(x[i] for i in n, j in k if i < j and j <= 3 and not i == 2)"),
        ("blv.sum(x[i], over={i: n, j: k}, where=(i == j) | ARCS.contains(i, 'b') & (j > 0))",
         'sum(x[i] for i in n, j in k if i == j or (i, "b") in ARCS and j > 0)'),
    ],
)  # fmt: skip
def test_an_expression_is_the_same_tree_in_python_and_in_text(python, text):
    model = blv.Model("pair")
    model.upper.minimize(eval(python, declared(model)))
    model.lower.minimize(model["z"])
    assert model.ast() == blv.loads(HEAD % text).ast()
    assert reparsed(model) == model.ast()


def test_statements_are_the_same_tree_in_python_and_in_text():
    m = blv.Model("all")
    n = m.dim(n=3)
    k = m.dim("k", size=2 * n)
    nodes = m.set("NODES", ["a", "b"])
    arcs = m.set("ARCS", within=(nodes, nodes), source="net.json", key="arcs")
    m.set("TOLLED", within=arcs, source="tolled.csv")
    m.set("T", range(1, 5))
    m.set("U", blv.integers(0, k))
    cost = m.param("cost", arcs, source=Path("data", "net.csv"), key="cost")
    m.param("deep", source="cfg.json", key=("a", "b"))
    m.param("empty", n)
    m.param("table", 2, n, value=[[1, 2.5, -3], [0, 1e-9, 7]])
    m.param("scale", n, value=1.5)
    m.param("third", value=Fraction(1, 3))
    m.param("twice", n, value=2 * m["scale"])
    m.let("total", value=blv.sum(cost))
    x = m.upper.var("x", n, at_least=0, start=m["scale"])
    u = m.upper.var("u", at_most=m["third"], integer=True)
    m.upper.var("b", binary=True)
    y = m.follower("first").var("y", arcs, between=(0, float("inf")))
    z = m.follower("second").var("z")
    r = m.follower("second").let("r", n, value=x - z)
    i, j = blv.indices("i, j")
    m.upper.maximize(blv.sum(x) + u)
    m.upper.subject_to(u <= 3, blv.between(0, x, 8), room=x[0] >= u)
    m.upper.ties("pessimistic")
    first, second = m.follower("first"), m.follower("second")
    first.minimize(blv.dot(cost, y))
    flow = first.subject_to(flow=blv.forall({(i, j): arcs}, y[i, j] <= m["total"], where=i != j))
    first.require("convex")
    second.minimize(blv.sumsq(r) + 0 * flow.dual[("a", "b")])
    second.assume("pl", 0.1)
    second.minibatch(n)
    m.options(backend="implicit", tol=1e-8, verbose=True)
    m.options(tol=1e-6, limit=float("inf"))
    text = """
    model all
    dim n = 3
    dim k = 2 * n
    set NODES = ["a", "b"]
    set ARCS within (NODES, NODES) from "net.json"["arcs"]
    set TOLLED within ARCS from "tolled.csv"
    set T = 1..4
    set U = 0..k
    param cost[ARCS] from "data/net.csv"["cost"]
    param deep from "cfg.json"["a"]["b"]
    param empty[n]
    param table[2, n] = [[1, 2.5, -3], [0, 1e-9, 7]]
    param scale[n] = 1.5
    param third = 1/3
    param twice[n] = 2 * scale
    let total = sum(cost)
    upper {
      var x[n] >= 0 start scale
      var u : integer <= third
      var b : binary
      maximize sum(x) + u
      u <= 3
      0 <= x <= 8
      room: x[0] >= u
      ties pessimistic
    }
    lower first {
      var y[ARCS] in [0, inf]
      minimize dot(cost, y)
      flow[(i, j) in ARCS if i != j]: y[i, j] <= total
      require convex
    }
    lower second {
      var z
      let r[n] = x - z
      minimize sumsq(r) + 0 * flow.dual["a", "b"]
      assume pl(0.1)
      minibatch n
    }
    options { backend = "implicit"; tol = 1e-6; verbose = true; limit = inf }
    """
    assert m.ast() == blv.loads(text).ast()
    assert reparsed(m) == m.ast()


def test_members_of_sets_are_labels_integers_and_tuples():
    m = blv.Model("m")
    members = m.set("I", [("a", 1), "b", np.int64(-2)]).model.ast().items[0].value
    assert repr(m.set("EMPTY", [])) == "EMPTY" and "[]" in m.to_blv()
    assert '[("a", 1), "b", -2]' in m.to_blv() and len(members.items) == 3
    for wrong in ([("a",)], [None], "abc", 5, [["a", "b"]]):
        with pytest.raises(BlvError) as caught:
            m.set("J", wrong)
        assert caught.value.diagnostics[0].code == "E254"


def test_declarations_precede_levels_whatever_the_order_of_statements():
    m = blv.Model("order")
    m.options(seed=1)
    y = m.lower.var("y")
    m.lower.minimize(y**2)
    a = m.param("a", value=2)
    m.upper.var("x")
    m.upper.minimize(a * y)
    kinds = [(type(item).__name__, getattr(item, "name", "")) for item in m.ast().items]
    assert kinds == [("Param", "a"), ("Level", "upper"), ("Level", "lower"), ("Options", "")]


def test_looking_at_a_level_states_nothing():
    m = blv.Model("quiet")
    assert (m.upper.name, m.lower.name, m.ast().items) == ("upper", "lower", ())


def test_a_long_sum_built_in_a_loop_is_quick_and_prints_itself():
    m = blv.Model("long")
    x = m.upper.var("x", 3000)
    began = time.perf_counter()
    total = x[0]
    for index in range(1, 3000):
        total = total + 2.5 * x[index]
    assert time.perf_counter() - began < 3  # 9,000 operations; measured 0.1 s
    m.upper.minimize(total)
    m.lower.minimize(x[0])
    assert m.to_blv() == blv.Model.from_ast(reparsed(m)).to_blv()


NESTINGS = {
    "calls": lambda e: blv.exp(e),
    "signs": lambda e: -e,
    "powers": lambda e: 2**e,
    "bases": lambda e: e**2,
    "parentheses": lambda e: (e + 1) * 2,
    "right sides": lambda e: 1 - e,
    "divisors": lambda e: 1 / e,
    "brackets": lambda e: e[0, e.model["x"]],
    "indices": lambda e: e.model["x"][e],
    "transposes": lambda e: e.T,
    "all": lambda e: -(2 ** (1 - blv.exp(e)[0]).T) / 3,
}


@pytest.mark.parametrize("step", NESTINGS.values(), ids=NESTINGS)
def test_the_deepest_expression_that_python_takes_can_be_read_back(step):
    m = blv.Model("deep")
    deepest = e = m.upper.var("x")
    with pytest.raises(BlvError, match="E268"):
        for _ in range(100):
            deepest, e = e, step(e)
    m.upper.minimize(deepest + 1)
    i = blv.indices("i")
    m.lower.subject_to(cap=blv.forall({i: range(2)}, blv.between(-1, deepest, 1), where=deepest != deepest))
    m.lower.minimize(m.lower.var("y", between=(deepest, deepest)))
    assert reparsed(m) == m.ast()


def test_a_model_read_from_text_is_the_same_class():
    m = blv.loads("model toy\nupper { var x; minimize (x - y)^2 }\nlower mkt { var y; cap: y >= x; minimize y }\n")
    assert isinstance(m, blv.Model)
    before = m.ast()
    assert "y" in m and "cap" in m and "nobody" not in m
    m.upper.subject_to(bought=m["cap"].dual <= m["x"])
    added = m.ast().items[0].statements[-1]
    assert added.operands == (
        ast.Attribute(ast.Name("cap", span=added.span), "dual", span=added.span),
        ast.Name("x", span=added.span),
    )
    assert m.follower("mkt").name == "mkt" and len(m.ast().items) == len(before.items)
    assert reparsed(m) == m.ast()


def test_a_loaded_model_keeps_order_and_faults(tmp_path):
    text = "model odd\nlower { var y; minimize y }\ndim n\nupper { var y; minimize q }\nparam n\n"
    (tmp_path / "odd.blv").write_text(text)
    m = blv.load(tmp_path / "odd.blv")
    assert m.ast() == parse(Source("", text)) and m.root == tmp_path


def test_comparisons_keep_the_sides_as_written():
    m = blv.Model("m")
    n, nodes = m.dim("n"), m.set("NODES", ["a"])
    i = blv.indices("i")
    parts = [n, nodes, i, m.upper.var("x"), m.upper.let("r", value=2 * n), 2 * n, m["x"] + 1]
    for left in parts:
        for right in parts:
            for relation in (left <= right, left >= right, left == right, left != right):
                assert relation.operands == (left.node, right.node)


# ---- numbers ------------------------------------------------------------------------------------


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=0))
def test_a_float_is_the_decimal_that_it_prints(value):
    x = blv.Model("m").upper.var("x")
    assert (x + value).node.right == ast.Number(Fraction(repr(value)), span=x.node.span)
    assert (x + np.float64(value)).node.right == (x + value).node.right
    assert (x + np.array(value)).node.right == (x + value).node.right


@given(st.fractions(max_denominator=10**6))
def test_a_fraction_is_exact(value):
    def meaning(node):
        match node:
            case ast.Number(number):
                return number
            case ast.Unary("-", operand):
                return -meaning(operand)
            case ast.Binary("/", top, bottom):
                return meaning(top) / meaning(bottom)

    assert meaning((blv.Model("m").upper.var("x") + value).node.right) == value


TWOS = [2, 2.0, np.int64(2), np.float32(2), np.uint8(2), np.array(2), Fraction(2), Decimal(2)]


@pytest.mark.parametrize("scalar", TWOS)
def test_numbers_of_every_kind_stand_on_both_sides(scalar):
    x = blv.Model("m").upper.var("x")
    two = ast.Number(Fraction(2), span=x.node.span)
    for operator in ("+", "-", "*", "/", "@", "^"):
        symbol = operator.replace("^", "**")
        left, right = eval(f"scalar {symbol} x"), eval(f"x {symbol} scalar")
        assert left.node == ast.Binary(operator, two, x.node, span=x.node.span)
        assert right.node == ast.Binary(operator, x.node, two, span=x.node.span)
    below, above = scalar <= x, x >= scalar
    assert (below.relations, below.operands) in ((("<=",), (two, x.node)), ((">=",), (x.node, two)))
    assert (above.relations, above.operands) == ((">=",), (x.node, two))
