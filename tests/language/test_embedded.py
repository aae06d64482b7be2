"""Models built in Python say the same as their text, and mistakes point to the user's line."""

from __future__ import annotations

import linecache
import re
import time
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bileveldsl as blv
from bileveldsl.language import ast
from bileveldsl.language.diagnostics import BlvError, Diagnostic, Source, Span
from bileveldsl.language.parse import parse

HERE = __file__


def reparsed(model: blv.Model) -> ast.Model:
    return parse(Source("print", model.to_blv()))


def ridge(samples: int = 30) -> tuple[blv.Model, Any]:
    """The example of the language's description, word for word."""
    data = np.random.default_rng(0)
    X_train, y_train = data.normal(size=(samples, 4)), data.normal(size=samples)
    X_val, y_val = data.normal(size=(10, 4)), data.normal(size=10)

    m = blv.Model("ridge")
    n, k, p = m.dim("n", "m", "p")
    X, y = m.param("X", n, p, value=X_train), m.param("y", n, value=y_train)
    Xv, yv = m.param("Xv", k, p, value=X_val), m.param("yv", k, value=y_val)
    loglam = m.upper.var("loglam", p, between=(-8, 4), start=0)
    w = m.lower.var("w", p)
    m.upper.minimize(blv.sumsq(Xv @ w - yv) / k)
    m.lower.minimize(blv.sumsq(X @ w - y) / n + blv.sum(blv.exp(loglam) * w**2))
    return m, w


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


# ---- places -------------------------------------------------------------------------------------


def texts(node: ast.Node, kind: type) -> list[str]:
    """The texts that the spans of all nodes of a kind cover, in the order of the tree."""
    found = [node.span.text] if type(node) is kind else []
    for value in vars(node).values():
        for child in value if isinstance(value, tuple) else (value,):
            if isinstance(child, ast.Node):
                found += texts(child, kind)
    return found


def test_spans_cover_the_operation_and_names_where_they_are_used():
    model, _ = ridge()
    upper, lower = model.ast().items[-2:]
    variable, objective = upper.statements
    assert objective.span.text == "m.upper.minimize(blv.sumsq(Xv @ w - yv) / k)"
    assert texts(objective, ast.Binary) == ["blv.sumsq(Xv @ w - yv) / k", "Xv @ w - yv", "Xv @ w"]
    assert texts(objective, ast.Name) == ["Xv", "w", "yv", "k"]
    line, _ = objective.expression.left.arguments[0].right.span.source.position(objective.span.start)
    assert Path(HERE).read_text().splitlines()[line - 1].strip() == objective.span.text
    assert objective.span.source.path == HERE and variable.name_span.text == '"loglam"'
    assert (texts(variable, ast.Unary), texts(variable, ast.Number)) == (["-8"], ["-8", "4", "0"])
    assert objective.span.source is lower.span.source


def test_spans_follow_lines_and_letters_beyond_ascii():
    m = blv.Model("m")
    é, y = m.upper.var("é"), m.lower.var("y")
    m.upper.subject_to(é + y <= 3, größe=(
        "ä" and é * y
        >= y - 1
    ), other=2 >= y)  # noqa: SIM300  # fmt: skip
    first, second, third = m.ast().items[0].statements[1:]
    assert (first.span.text, texts(first, ast.Name)) == ("é + y <= 3", ["é", "y"])
    assert second.label_span.text == "größe" and texts(second, ast.Name) == ["é", "y", "y"]
    assert re.sub(r"\s+", " ", second.span.text) == "é * y >= y - 1"
    assert third.span.text == "2 >= y" and texts(third, ast.Number) == ["2"] and texts(third, ast.Name) == ["y"]


def test_spans_of_families_cover_index_and_set():
    m = blv.Model("m")
    arcs = m.set("ARCS", [("a", "b")])
    i, j = blv.indices("i j")
    y = m.lower.var("y", arcs)
    m.lower.subject_to(cap=blv.forall({(i, j): arcs}, y[i, j] <= 1, where=i != j))
    family = m.ast().items[-1].statements[-1]
    assert family.generators[0].span.text == "(i, j): arcs" and family.generators[0].domain.span.text == "arcs"
    assert family.guard.span.text == "i != j" and family.label_span.text == "cap"


def test_one_source_serves_a_file():
    inside, _ = ridge()
    assert blv.Model("here").ast().span.source is inside.ast().span.source


def test_cells_of_a_notebook_have_their_text():
    cell = "m = blv.Model('toy')\nx = m.upper.var('x')\n"
    linecache.cache["<cell 1>"] = len(cell), None, cell.splitlines(keepends=True), "<cell 1>"
    namespace: dict[str, Any] = {"blv": blv}
    exec(compile(cell, "<cell 1>", "exec"), namespace)
    (variable,) = namespace["m"].ast().items[0].statements
    assert variable.span.text == "m.upper.var('x')" and variable.span.source.path == "<cell 1>"


def test_without_a_text_places_are_in_the_print_of_the_model():
    namespace: dict[str, Any] = {}
    code = "import bileveldsl as blv\nm = blv.Model('toy')\nx = m.upper.var('x')\nm.upper.minimize(2*x + 1)\n"
    code += "y = m.lower.var('y')\nm.lower.minimize(y)\n"
    exec(compile(code, "<prompt>", "exec"), namespace)
    tree = namespace["m"].ast()
    assert tree == reparsed(namespace["m"])
    assert texts(tree, ast.Binary) == ["2 * x + 1", "2 * x"] and tree.items[0].span.source.path == "<toy>"
    assert mistake(lambda: exec(compile("bool(2*x <= 1)", "<prompt>", "exec"), namespace)) == ("E255", "2 * x <= 1")


# ---- mistakes -----------------------------------------------------------------------------------

PAGES = files("bileveldsl.language").joinpath("explain")
CODES = sorted(page.name[:-3] for page in PAGES.iterdir() if re.fullmatch(r"E2[567]\d\.md", page.name))


@pytest.mark.parametrize("code", CODES)
def test_the_page_of_a_code_shows_the_mistake_and_its_mend(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = PAGES.joinpath(f"{code}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {code}: ")
    example, fix = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    with pytest.raises(BlvError) as caught:
        exec(example, {})
    assert [d.code for d in caught.value.diagnostics] == [code]
    assert caught.value.diagnostics[0].help
    exec(fix, {})


def test_every_code_that_the_python_interface_raises_has_a_page():
    package = Path(blv.__file__).parent
    sources = [package / "model.py", *(package / "language" / "embedded").glob("*.py")]
    raised = {code for source in sources for code in re.findall(r'fail\(\s*"(E\d+)"', source.read_text())}
    assert raised == set(CODES)


def diagnosed(action: Callable[[], object]) -> tuple[Diagnostic, Span]:
    """The one diagnostic of a mistake, and its place."""
    with pytest.raises(BlvError) as caught:
        action()
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.span is not None
    return diagnostic, diagnostic.span


def mistake(action: Callable[[], object]) -> tuple[str, str]:
    """The code and the text underlined."""
    diagnostic, span = diagnosed(action)
    return diagnostic.code, span.text


def test_mistakes_underline_what_is_wrong():
    m = blv.Model("m")
    n = m.dim("n")
    x, other = m.upper.var("x", n), blv.Model("b").upper.var("other")
    array = np.ones(3)
    i = blv.indices("i")
    assert mistake(lambda: x + (1 - other)) == ("E250", "1 - other")
    assert mistake(lambda: m.lower.minimize(other)) == ("E250", "other")
    assert mistake(lambda: m.lower.var("a", n, start=other)) == ("E250", "other")
    assert mistake(lambda: m.lower.var("x")) == ("E251", '"x"')
    assert mistake(lambda: m.dim(k=1, n=2)) == ("E251", "n")
    assert mistake(lambda: m.lower.var("lower")) == ("E252", '"lower"')
    assert mistake(lambda: m.lower.subject_to(upper=x <= 1)) == ("E252", "upper")
    assert mistake(lambda: array @ x) == ("E253", "array")
    assert mistake(lambda: x - array * 2) == ("E253", "array * 2")
    assert mistake(lambda: array <= x) == ("E253", "array")
    assert mistake(lambda: x * None) == ("E254", "None")
    assert mistake(lambda: x + (x <= 2)) == ("E254", "x <= 2")
    assert mistake(lambda: 1 + (x <= 2)) == ("E254", "1 + (x <= 2)")
    assert mistake(lambda: True * x) == ("E254", "True")
    assert mistake(lambda: 0 <= x <= 1) == ("E255", "0 <= x <= 1")
    assert mistake(lambda: m.lower.subject_to(x)) == ("E256", "x")
    assert mistake(lambda: m.lower.subject_to(x != 2)) == ("E257", "x != 2")
    assert mistake(lambda: np.exp(x)) == ("E258", "np.exp(x)")
    assert mistake(lambda: np.sum(x) + 1) == ("E258", "np.sum(x)")
    assert mistake(lambda: np.dot(array, x)) == ("E258", "np.dot(array, x)")
    assert mistake(lambda: np.array([x, x])) == ("E258", "np.array([x, x])")
    assert mistake(lambda: list(x)) == ("E258", "list(x)")
    assert mistake(lambda: x ^ 2) == ("E258", "x ^ 2")
    assert mistake(lambda: x[0, None]) == ("E259", "None")
    assert mistake(lambda: m.lower.var("a", "n")) == ("E260", '"n"')
    assert mistake(lambda: blv.sum(x, axis=-1)) == ("E260", "-1")
    assert mistake(lambda: blv.sum(x[i], over={i: "n"})) == ("E266", '"n"')
    assert mistake(lambda: blv.sum(x, over={x: n})) == ("E266", "x")
    assert mistake(lambda: x / (0 * float("nan"))) == ("E267", '0 * float("nan")')


def test_a_duplicate_shows_both_places():
    m = blv.Model("m")
    m.upper.var("x")
    diagnostic, span = diagnosed(lambda: m.param("x"))
    (related,) = diagnostic.related
    assert (related.span.text, span.text) == ('"x"', '"x"') and "already" in diagnostic.message
    assert span.source.position(span.start)[0] == related.span.source.position(related.span.start)[0] + 1


@pytest.mark.parametrize(("numpy", "ours"), [("exp", "exp"), ("arctan", "atan"), ("sum", "sum"), ("abs", "abs")])
def test_numpy_functions_name_the_function_of_the_language(numpy, ours):
    x = blv.Model("m").upper.var("x")
    diagnostic, _ = diagnosed(lambda: getattr(np, numpy)(x))
    assert (diagnostic.code, diagnostic.help) == ("E258", f"use blv.{ours}")


def test_what_a_model_lacks_is_told_where_it_is_made():
    assert mistake(lambda: blv.Model("empty").program()) == ("E150", 'blv.Model("empty")')
    m = blv.Model("m")
    x = m.upper.var("x")
    m.upper.minimize(x)
    assert mistake(lambda: m.program()) == ("E151", "m.upper")
    m.lower.var("y")
    assert mistake(lambda: m.program()) == ("E153", "m.lower")
    m.lower.minimize(m["y"] ** 2)
    assert m.program().lower[0].name == "lower"


def test_values_given_to_a_program_replace_parameters():
    model, _ = ridge()
    program = model.program(yv=np.ones(10))
    values = {symbol.name: symbol.value for symbol in program.parameters}
    np.testing.assert_array_equal(values["yv"], np.ones(10))
    np.testing.assert_array_equal(values["X"], model.data["X"])
    assert mistake(lambda: model.program(w=1)) == ("E269", "w")


def test_a_mistake_leaves_the_model_as_it_was():
    m = blv.Model("m")
    n = m.dim("n")
    before = m.ast()
    for attempt in (
        lambda: m.param("a", n, value=[[1]]),
        lambda: m.upper.var("a", n, start="0"),
        lambda: m.upper.subject_to(a=n < 1),
        lambda: m.set("a", "abc"),
    ):
        with pytest.raises(BlvError):
            attempt()
        assert m.ast() == before and "a" not in m


# ---- data ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ([1.0, np.inf], "E271"),
        (np.ma.masked_array([1.0, 2.0], [False, True]), "E271"),
        (float("inf"), "E271"),
        (np.array([1j, 2]), "E270"),
        (np.array([object(), 1]), "E270"),
        ([[1, 2], [3]], "E270"),
        (["1", "2"], "E270"),
        (np.ones((2, 1)), "E272"),
        (np.array(["2020-01-01"], dtype="datetime64"), "E270"),
        ([2**60, 0], "E274"),
    ],
)
def test_arrays_are_real_finite_and_of_the_declared_rank(value, code):
    m = blv.Model("m")
    n = m.dim("n")
    with pytest.raises(BlvError) as caught:
        m.param("a", n, value=value)
    assert caught.value.diagnostics[0].code == code and "`a`" in caught.value.diagnostics[0].message


def test_the_first_bad_entry_is_named():
    m = blv.Model("m")
    values = np.zeros((5, 3))
    values[2, 1] = values[4, 0] = np.nan
    with pytest.raises(BlvError, match=re.escape("`a`[2, 1] is nan")):
        m.param("a", m.dim("n"), 3, value=values)


def test_a_parameter_keeps_a_copy():
    m = blv.Model("m")
    values = np.arange(30.0)
    m.param("a", m.dim("n"), value=values)
    values[0] = 7
    assert m.data["a"][0] == 0 and not m.data["a"].flags.writeable


def test_short_arrays_are_in_the_text_and_long_ones_beside_it():
    m = blv.Model("m")
    n = m.dim("n")
    m.param("short", n, value=np.linspace(0, 1, 20))
    m.param("long", n, value=np.linspace(0, 1, 21))
    short, long = m.ast().items[1:]
    assert [entry.value for entry in short.value.items] == [Fraction(repr(v)) for v in m.data["short"].tolist()]
    assert (long.value, long.source.path, long.source.keys) == (None, "m.npz", ())
    ((place, array),) = m.overrides().items()
    assert place == ("m.npz", ("long",)) and array is m.data["long"]


def test_a_saved_model_finds_its_data(tmp_path):
    model, _ = ridge()
    model.save(tmp_path / "copy.blv")
    again = blv.load(tmp_path / "copy.blv")
    assert again.ast() == model.ast()
    with np.load(tmp_path / "ridge.npz") as arrays:
        assert set(arrays) == {"X", "y", "Xv"}
        for name in arrays:
            np.testing.assert_array_equal(arrays[name], model.data[name])


def test_saving_elsewhere_keeps_the_way_to_other_files(tmp_path):
    (tmp_path / "models").mkdir()
    m = blv.Model("m", root=tmp_path)
    m.param("a", m.dim("n"), source="data.npz")
    m.param("b", m["n"], source=tmp_path / "fixed.npz")
    m.upper.minimize(m.upper.var("x"))
    m.lower.minimize(m.lower.var("y"))
    m.save(tmp_path / "models" / "m.blv")
    a, b = blv.load(tmp_path / "models" / "m.blv").ast().items[1:3]
    assert (a.source.path, b.source.path) == ("../data.npz", (tmp_path / "fixed.npz").as_posix())
    assert (tmp_path / "models" / a.source.path).resolve() == (tmp_path / "data.npz").resolve()


# ---- showing ------------------------------------------------------------------------------------


LEVELS = "upper { var x; minimize x }\nlower { var y; minimize y }\n"


def test_representations_are_short_and_hold_no_data():
    model, w = ridge()
    assert repr(w) == "w" and repr(2 * w**2 <= 1) == "2 * w^2 <= 1"
    assert repr(model) == "<Model ridge: 9 names; levels: upper, lower>"
    total = w[0]
    for index in range(500):
        total = total + w[index]
    assert len(repr(total)) == 200 and repr(total).endswith("…")
    members = blv.loads("model big\nset I = [" + ", ".join(map(str, range(10_000))) + "]\n" + LEVELS)
    assert len(members._repr_html_()) < 1000


# ---- any model ----------------------------------------------------------------------------------

numbers = st.one_of(
    st.integers(-(10**20), 10**20), st.floats(allow_nan=False), st.fractions(max_denominator=1000),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-99, max_value=99),
)  # fmt: skip
BINARY = [lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / b, lambda a, b: a @ b,
          lambda a, b: a**b]  # fmt: skip
COMPARE = [lambda a, b: a <= b, lambda a, b: a >= b, lambda a, b: a == b]
CONDITIONS = [*COMPARE, lambda a, b: a != b, lambda a, b: a < b, lambda a, b: a > b]
ELEMENTWISE = [blv.exp, blv.tanh, blv.softplus, blv.abs]
REDUCING = [blv.sum, blv.logsumexp, blv.norm1]


@st.composite
def expressions(draw, names, axes, sets, depth=4):
    """An expression of one of the handles, through every operation of the language."""
    branch = draw(st.integers(0, 9)) if depth else 0
    below = expressions(names, axes, sets, depth - 1)
    if branch == 0:
        return draw(st.sampled_from(names))
    if branch <= 4:
        left, right = draw(below), draw(st.one_of(below, numbers))
        if draw(st.booleans()):
            left, right = right, left
        return draw(st.sampled_from(BINARY))(left, right)
    if branch == 5:
        return -draw(below)
    if branch == 6:
        item = st.one_of(
            st.integers(0, 9), below, st.text("ab\"' é\\", max_size=3),
            st.builds(slice, st.none() | st.integers(0, 9), st.none() | below),
        )  # fmt: skip
        items = draw(st.lists(item, min_size=1, max_size=3))
        return draw(below)[tuple(items)]
    if branch == 7:
        return draw(below).T
    if branch == 8:
        if draw(st.booleans()):
            return draw(st.sampled_from(ELEMENTWISE))(draw(below))
        return draw(st.sampled_from(REDUCING))(draw(below), draw(st.sampled_from(axes)))
    i, j = blv.indices("i j")
    over = draw(st.sampled_from([{i: axes[0]}, {(i, j): sets[0]}, {i: range(3), (j,): axes[1]}]))
    body = draw(expressions([*names, i, j], axes, sets, depth - 1))
    return blv.sum(body, over=over, where=draw(st.none() | conditions([i, j], sets)))


@st.composite
def conditions(draw, indices, sets, depth=2):
    branch = draw(st.integers(0, 3)) if depth else 0
    below = conditions(indices, sets, depth - 1)
    if branch == 0:
        right = draw(st.one_of(st.integers(-3, 3), st.sampled_from(indices), st.just("a")))
        return draw(st.sampled_from(CONDITIONS))(draw(st.sampled_from(indices)), right)
    if branch == 1:
        return sets[0].contains(*indices)
    if branch == 2:
        return ~draw(below)
    first, second = draw(below), draw(below)
    return first & second if draw(st.booleans()) else first | second


@st.composite
def models(draw):
    m = blv.Model("any", doc=draw(st.sampled_from(["", "what it is\nand why"])))
    axes = list(m.dim("n", "k"))
    sets = [m.set("ARCS", draw(st.lists(st.tuples(st.text("ab\"é", max_size=2), st.integers(-5, 5)), max_size=3)))]
    shape = draw(st.sampled_from([(3,), (20,), (21,)]))
    values = draw(st.lists(st.floats(-1e300, 1e300), min_size=shape[0], max_size=shape[0]))
    handles = [
        m.param("a", *axes),
        m.param("b", axes[0], value=np.array(values)),
        m.upper.var("x", *axes, between=(draw(numbers), draw(numbers)), doc=draw(st.sampled_from(["", "a doc"]))),
        m.lower.var("y", sets[0], binary=draw(st.booleans()), start=draw(st.none() | numbers)),
        m.follower("second").var("z", 4, at_least=draw(st.none() | numbers), integer=draw(st.booleans())),
    ]
    some = expressions(handles, axes, sets)
    m.upper.minimize(draw(some))
    m.lower.maximize(draw(some))
    m.follower("second").minimize(draw(some))
    relation = draw(st.sampled_from(COMPARE))(draw(some), draw(some))
    i, j = blv.indices("i j")
    m.lower.subject_to(relation, blv.between(draw(numbers), draw(some), draw(some)))
    where = draw(st.none() | conditions([i, j], sets))
    m.lower.subject_to(cap=blv.forall({(i, j): sets[0]}, relation, where))
    m.upper.let("part", axes[0], value=draw(some))
    m.options(tol=draw(st.floats(allow_nan=False)), backend=draw(st.text("ab\"# ", max_size=5)))
    return m


@settings(max_examples=30, deadline=None)
@given(models())
def test_the_print_of_any_model_parses_to_its_tree(model):
    assert reparsed(model) == model.ast()


def test_pandas_labels_are_matched_in_any_order():
    pandas = pytest.importorskip("pandas")
    nodes, arcs = ["a", "b", "c"], [("a", "b"), ("b", "c")]
    m = blv.Model("routes")
    NODES = m.set("NODES", pandas.Index(nodes))
    ARCS = m.set("ARCS", pandas.DataFrame(arcs, columns=["tail", "head"]), within=(NODES, NODES))
    cost = pandas.Series([7.0, 5.0], index=pandas.MultiIndex.from_tuples(arcs[::-1]))
    c = m.param("cost", ARCS, value=cost)
    x, f = m.upper.var("x"), m.lower.var("f", ARCS)
    m.upper.minimize(x**2)
    m.lower.minimize(blv.sumsq(f - c * x))
    program = m.program()
    assert program.sets == {"NODES": tuple(nodes), "ARCS": tuple(arcs)}
    assert program.parameters[0].value.tolist() == [5.0, 7.0]
    assert parse(Source("t", m.to_blv())) == m.ast()
    with pytest.raises(BlvError) as caught:
        m.param("toll", ARCS, value=cost.iloc[:1])
    assert caught.value.diagnostics[0].code == "E419"
