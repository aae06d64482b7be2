"""Parts of models built in Python know their place in the user's text, mistakes point to it, and data are checked."""

from __future__ import annotations

import linecache
import re
from collections.abc import Callable
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

import embedded_models
import numpy as np
import pytest
from embedded_models import reparsed, ridge

import bileveldsl as blv
from bileveldsl.language import ast
from bileveldsl.language.diagnostics import BlvError, Diagnostic, Source, Span
from bileveldsl.language.parse import parse

HERE = embedded_models.__file__

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
    (first, _), (second, _) = ridge(), ridge()
    assert first.ast().span.source is second.ast().span.source


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
