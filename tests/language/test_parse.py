"""From text to the tree: what the grammar says, which newlines count, exact numbers."""

from fractions import Fraction
from typing import Any

import pytest
from trees import (
    HERE,
    MODELS,
    binary,
    codes,
    expression,
    generator,
    guard,
    i,
    index,
    items,
    j,
    model,
    n,
    name,
    negative,
    parsed,
    statement,
    statements,
    x,
    y,
    z,
)

from bileveldsl.language import ast
from bileveldsl.language.diagnostics import Source
from bileveldsl.language.outline import KEYWORDS
from bileveldsl.language.parse import load_source

# ---- the language -------------------------------------------------------------------------------


def test_the_smallest_model_is_this_tree():
    toy = parsed(load_source(MODELS[0].with_name("toy.blv")))
    upper = ast.Level(
        "upper",
        "upper",
        (
            ast.Var("x", lower=n(0), upper=n(10), start=n(1), span=HERE),
            ast.Objective(
                "minimize",
                binary("+", binary("^", binary("-", x, n(3)), n(2)), binary("^", binary("-", y, n(1)), n(2))),
                span=HERE,
            ),
        ),
        span=HERE,
    )
    lower = ast.Level(
        "lower",
        "lower",
        (
            ast.Var("y", span=HERE),
            ast.Objective("minimize", binary("^", binary("-", y, x), n(2)), span=HERE),
        ),
        span=HERE,
    )
    assert toy == ast.Model("toy", (upper, lower), span=HERE)


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_every_sample_model_parses(path):
    tree = parsed(load_source(path))
    assert f"model {tree.name}\n" in path.read_text()
    assert {level.role for level in tree.items if isinstance(level, ast.Level)} == {"upper", "lower"}


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("-x^2", negative(binary("^", x, n(2)))),
        ("2^-1", binary("^", n(2), negative(n(1)))),
        ("x^y^z", binary("^", x, binary("^", y, z))),
        ("(x^y)^z", binary("^", binary("^", x, y), z)),
        ("x - y - z", binary("-", binary("-", x, y), z)),
        ("x - (y - z)", binary("-", x, binary("-", y, z))),
        ("x / y * z", binary("*", binary("/", x, y), z)),
        ("x @ y * z", binary("*", binary("@", x, y), z)),
        ("x * -y", binary("*", x, negative(y))),
        ("-x * y", binary("*", negative(x), y)),
        ("x + y * z", binary("+", x, binary("*", y, z))),
        ("+x", ast.Unary("+", x, span=HERE)),
        ("--x", negative(negative(x))),
        ("x[i]^2", binary("^", index(x, i), n(2))),
        ("x.T @ y", binary("@", ast.Attribute(x, "T", span=HERE), y)),
        ("x[i].dual", ast.Attribute(index(x, i), "dual", span=HERE)),
        ("(x)", x),
        ("inf", ast.Infinity(span=HERE)),
        ('"a ""b"""', ast.Text('a "b"', span=HERE)),
        ("x[1:5]", index(x, ast.Slice(n(1), n(5), span=HERE))),
        ("x[:, 2]", index(x, ast.Slice(span=HERE), n(2))),
        ("x[:]", index(x, ast.Slice(span=HERE))),
        ("x[2:]", index(x, ast.Slice(n(2), span=HERE))),
        ("x[:j + 1]", index(x, ast.Slice(None, binary("+", j, n(1)), span=HERE))),
        ("x[(i, j)]", index(x, ast.Tuple((i, j), span=HERE))),
        ("f()", ast.Call("f", (), span=HERE)),
        ("f(x, n=y)", ast.Call("f", (x,), (ast.Keyword("n", y, span=HERE),), span=HERE)),
        (
            "sum(x[i] for i in I, (j, z) in A if i != j)",
            ast.Call(
                "sum",
                (index(x, i),),
                generators=(generator(name("I"), "i"), generator(name("A"), "j", "z")),
                guard=ast.Compare("!=", i, j, span=HERE),
                span=HERE,
            ),
        ),
        (
            "prod(x for i in 1..n - 1)",
            ast.Call(
                "prod",
                (x,),
                generators=(generator(ast.Range(n(1), binary("-", name("n"), n(1)), span=HERE), "i"),),
                span=HERE,
            ),
        ),
    ],
)
def test_an_expression_is_this_tree(text, tree):
    assert expression(text) == tree


def test_conditions_bind_or_and_not_and_nest_in_parentheses():
    a, b, c = (ast.Compare("==", i, n(k), span=HERE) for k in (1, 2, 3))

    def logical(operator, *operands):
        return ast.Logical(operator, operands, span=HERE)

    assert guard("i == 1 or i == 2 and i == 3") == logical("or", a, logical("and", b, c))
    assert guard("(i == 1 or i == 2) and i == 3") == logical("and", logical("or", a, b), c)
    assert guard("i == 1 and i == 2 and i == 3") == logical("and", a, b, c)
    assert guard("not i == 1 and i == 2") == logical("and", logical("not", a), b)
    assert guard("((i)) == (1)") == a
    assert guard("(i, j) in A") == ast.Member(ast.Tuple((i, j), span=HERE), name("A"), span=HERE)
    assert guard("i + 1 < j").operator == "<"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("var x", ast.Var("x", span=HERE)),
        ("var x[n, 3]", ast.Var("x", (name("n"), n(3)), span=HERE)),
        ("var x in [-1, inf]", ast.Var("x", lower=negative(n(1)), upper=ast.Infinity(span=HERE), span=HERE)),
        ("var x >= -2", ast.Var("x", lower=negative(n(2)), span=HERE)),
        ("var x <= z start 1", ast.Var("x", upper=z, start=n(1), span=HERE)),
        ("var x : integer in [0, 9]", ast.Var("x", kind="integer", lower=n(0), upper=n(9), span=HERE)),
        ("var x : binary start 0", ast.Var("x", kind="binary", start=n(0), span=HERE)),
        ("maximize x", ast.Objective("maximize", x, span=HERE)),
        ("x + y <= 8", ast.Constraint(None, (binary("+", x, y), n(8)), ("<=",), span=HERE)),
        ("cap: x == y", ast.Constraint("cap", (x, y), ("==",), span=HERE)),
        ("0 <= x <= 1", ast.Constraint(None, (n(0), x, n(1)), ("<=", "<="), span=HERE)),
        ("x[i] >= y >= 1", ast.Constraint(None, (index(x, i), y, n(1)), (">=", ">="), span=HERE)),
        ("-x <= 3", ast.Constraint(None, (negative(x), n(3)), ("<=",), span=HERE)),
        ("(x) <= 3", ast.Constraint(None, (x, n(3)), ("<=",), span=HERE)),
        ("f(x) <= 3", ast.Constraint(None, (ast.Call("f", (x,), span=HERE), n(3)), ("<=",), span=HERE)),
        (
            "cap[i in I, (j, z) in A if i != j]: x[i] >= 0",
            ast.Constraint(
                "cap",
                (index(x, i), n(0)),
                (">=",),
                (generator(name("I"), "i"), generator(name("A"), "j", "z")),
                ast.Compare("!=", i, j, span=HERE),
                span=HERE,
            ),
        ),
        ("let r[n] = x", ast.Let("r", (name("n"),), x, span=HERE)),
        ("ties pessimistic", ast.Ties("pessimistic", span=HERE)),
        ("require pl(0.1)", ast.Claim("require", "pl", n("1/10"), span=HERE)),
        ("assume smooth", ast.Claim("assume", "smooth", span=HERE)),
        ("minibatch n", ast.Minibatch(name("n"), span=HERE)),
    ],
)
def test_a_statement_is_this_node(text, expected):
    assert statement(text) == expected


SETTINGS: dict[str, Any] = {
    "a": "s", "b": Fraction(-3, 2), "c": True, "d": False, "e": -float("inf"), "f": float("inf"),
}  # fmt: skip


def text_node(value):
    return ast.Text(value, span=HERE)


def listed(*members):
    return ast.List(members, span=HERE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dim n", [ast.Dim("n", span=HERE)]),
        ("dim n = 3, m", [ast.Dim("n", n(3), span=HERE), ast.Dim("m", span=HERE)]),
        ("set S", [ast.Set("S", span=HERE)]),
        ("set S = 1..n", [ast.Set("S", value=ast.Range(n(1), name("n"), span=HERE), span=HERE)]),
        ('set S = ["a", "b",]', [ast.Set("S", value=listed(text_node("a"), text_node("b")), span=HERE)]),
        (
            'set A within (S, T) = [("a", 1)]',
            [
                ast.Set(
                    "A",
                    (name("S"), name("T")),
                    listed(ast.Tuple((text_node("a"), n(1)), span=HERE)),
                    span=HERE,
                )
            ],
        ),
        (
            'set B within A from "b.json"["k"]["l"]',
            [ast.Set("B", (name("A"),), source=ast.DataSource("b.json", ("k", "l"), span=HERE), span=HERE)],
        ),
        (
            'param X[n, 2], y from "f.npz"',
            [
                ast.Param("X", (name("n"), n(2)), source=ast.DataSource("f.npz", span=HERE), span=HERE),
                ast.Param("y", source=ast.DataSource("f.npz", span=HERE), span=HERE),
            ],
        ),
        ("param a = -1/3", [ast.Param("a", value=binary("/", negative(n(1)), n(3)), span=HERE)]),
        (
            "param A[2, 2] = [[1, 2], [3, -4]]",
            [ast.Param("A", (n(2), n(2)), listed(listed(n(1), n(2)), listed(n(3), negative(n(4)))), span=HERE)],
        ),
        ("param a", [ast.Param("a", span=HERE)]),
        ("let a = 3", [ast.Let("a", (), n(3), span=HERE)]),
        (
            'options { a = "s"; b = -1.5; c = true; d = false; e = -inf; f = inf }',
            [
                ast.Options(
                    tuple(ast.Option(key, value, span=HERE) for key, value in SETTINGS.items()),
                    span=HERE,
                )
            ],
        ),
        ("lower market { }", [ast.Level("lower", "market", (), span=HERE)]),
    ],
)
def test_an_item_is_these_nodes(text, expected):
    assert list(items(text)) == expected


def test_several_variables_of_one_statement_share_its_bounds():
    a, b = statements("var a, b[n] in [0, 1]")
    assert a == ast.Var("a", lower=n(0), upper=n(1), span=HERE)
    assert b == ast.Var("b", (name("n"),), lower=n(0), upper=n(1), span=HERE)


def test_keywords_are_reserved_and_names_may_begin_with_them():
    for word in sorted(KEYWORDS):
        assert "E130" in codes(model(f"  var {word}"))
    assert [var.name for var in statements("var lowered, in_, Start, imprint, forest, π, größe, x₁")][:2] == [
        "lowered",
        "in_",
    ]


def test_a_model_without_a_name_has_the_name_of_its_file():
    names = {"a/ridge.blv": "ridge", "my-model.blv": "my_model", "3d.blv": "_3d", "set.blv": "_set", "<text>": "text"}
    for path, expected in names.items():
        assert parsed(Source(path, model())).name == expected
    assert parsed(Source("a.blv", "model b\n" + model())).name == "b"


# ---- newlines and characters ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "cap: x +\n y <=\n 8; let r =\n x",
        "cap:\n x + y <= 8\nlet r = x",
        "cap: x # to be\n\n # continued\nlet r = x".replace("x #", "x + y <= 8 #", 1),
        "cap: (x\n +\n\n y) <= 8\n\n;;\n let r = (\nx\n)\n",
        ";cap: x + y <= 8;\nlet r = x;",
        "\n\n cap: x + y <= 8 # a\n\n # b\n let r = x # c",
        "cap: x+y<=8;let r=x",
        "cap: x\t+ y\f <= 8\u00a0\r\nlet r = x\r\n",
    ],
)
def test_a_newline_ends_a_statement_unless_brackets_or_an_operator_are_open(text):
    cap, r = statements(text)
    assert cap == statement("cap: x + y <= 8") and r == statement("let r = x")


def test_a_line_that_ends_with_a_comma_or_an_operator_goes_on():
    assert statements("var a,\n  b in\n  [0, 1]") == statements("var a, b in [0, 1]")
    for operator in ("+", "-", "*", "/", "@", "^", "<=", ">=", "=="):
        assert statement(f"x {operator}\n\n y <= 1") == statement(f"x {operator} y <= 1")


def test_blocks_need_no_newlines_and_the_brace_may_stand_below():
    one = "model a; upper { var x; minimize x } lower f { var y; minimize y }"
    other = "model a\n\nupper\n{\n  var x\n  minimize x }\nlower f\n\n{ var y\nminimize y\n}"
    assert parsed(Source("a", one)) == parsed(Source("a", other))


def test_line_ends_byte_order_mark_tabs_and_the_last_newline_change_nothing():
    text = model("  cap: x <= 3 # größer")
    tree = parsed(Source("a", text))
    for other in (text.replace("\n", "\r\n"), "\ufeff" + text, text.replace("  ", "\t"), text.rstrip()):
        assert parsed(Source("a", other)) == tree


def docs_of(nodes):
    return {getattr(n, "name", None) or n.label: n.doc for n in nodes if hasattr(n, "doc")}


def test_doc_comments_belong_to_the_declaration_below():
    text = "#: the model\nmodel a\n#: first\n#:   second\nparam p, q\n\n#: no\n\nparam r\nlet s = 1\n" + model(
        "#: the cap\ncap: x <= 3\n# plain\nlow: x >= 0\n#: w\r\nvar w"
    )
    tree = parsed(Source("a", text))
    assert tree.doc == "the model"
    assert docs_of(tree.items) == {"p": "first\nsecond", "q": "first\nsecond", "r": "", "s": ""}
    assert docs_of(tree.items[-1].statements[-3:]) == {"cap": "the cap", "low": "", "w": "w"}


@pytest.mark.parametrize(
    ("text", "docs"),
    [
        ("param r #: of r\nlet s = 1", {"r": "of r", "s": ""}),
        ("param p, q #: of both\ndim n, m #: sizes", {"p": "of both", "q": "of both", "n": "sizes", "m": "sizes"}),
        ("#: above\nparam r #: behind", {"r": "above\nbehind"}),
        ("param r; param s #: of the last", {"r": "", "s": "of the last"}),
        ("#: of the first\nparam r; param s", {"r": "of the first", "s": ""}),
        ("param r; #: of r\nparam s", {"r": "of r", "s": ""}),
        ("param a = [1, #: one\n 2] #: two\nparam b", {"a": "one\ntwo", "b": ""}),
        ("options { tol = 1 #: not kept\n} #: nor this\nparam r", {"r": ""}),
        ("param r # plain #: still plain", {"r": ""}),
    ],
)
def test_a_doc_comment_behind_a_declaration_is_its_doc(text, docs):
    tree = parsed(Source("a", f"{text}\n{model()}"))
    assert docs_of(tree.items) == docs


def test_doc_comments_stand_behind_statements_of_levels():
    tree = parsed(Source("a", model("cap: x <= 3 #: the cap\nties optimistic #: not kept\nvar w >= 0 #: w")))
    assert docs_of(tree.items[-1].statements[-3:]) == {"cap": "the cap", "w": "w"}


# ---- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", Fraction(1, 10)),
        (".5", Fraction(1, 2)),
        ("1_000", 1000),
        ("1e-3", Fraction(1, 1000)),
        ("1.25E+2", 125),
        ("007", 7),
        ("1e-400", Fraction(1, 10**400)),
        ("123456789012345678901234567890", 123456789012345678901234567890),
    ],
)
def test_numbers_are_exact(text, value):
    assert expression(text).value == value


def test_a_number_may_end_where_a_range_begins():
    domain = ast.Range(n("3/2"), n(5), span=HERE)
    assert expression("sum(x for i in 1.5..5)").generators[0].domain == domain


@pytest.mark.parametrize("text", ["1e999999", "1e999", "1e-99999999999", "2e308", "1" * 400, "1" * 900])
def test_absurd_numbers_are_refused(text):
    assert codes(model(f"  let r = {text}")) == ["E104"]


def test_the_exact_value_of_every_double_can_be_written():
    smallest = Fraction(5e-324)
    scale = 10**1074
    text = f"{smallest * scale}e-1074"
    digits = text.partition("e")[0]
    assert expression(f"{digits[0]}.{digits[1:]}e-324").value == smallest
