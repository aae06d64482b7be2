"""Names, sizes, data and shapes: what a model means, and what is said of one that means nothing."""

import numpy as np
import pytest

import bileveldsl as blv
from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.language.diagnostics import BlvError

TOP = """
dim n = 3, m = 2
param A[n, m] = [[1, 2], [3, 4], [5, 6]]
param S[n, n] = [[2, 1, 0], [1, 3, 1], [0, 1, 4]]
param b[n] = [1, -2, 3]
param c[m] = [0.5, 2]
param k = 3
"""


def program(upper="minimize x^2", lower="minimize (y - x)^2", top="", variables="var x", follower="var y"):
    text = f"model t\n{TOP}{top}\nupper {{\n{variables}\n{upper}\n}}\nlower {{\n{follower}\n{lower}\n}}\n"
    return blv.loads(text).program()


def errors(*args, **kwargs):
    with pytest.raises(BlvError) as caught:
        program(*args, **kwargs)
    return caught.value.diagnostics


def value(expression, top="", **point):
    """The value of an expression at x = ..., y = ... (scalars by default)."""
    checked = program(f"minimize {expression}", top=top)
    values = {v.symbol: np.asarray(point.get(v.name, 0.0)) for v in checked.variables}
    return float(evaluate(checked.upper.objective, values))


A = np.array([[1.0, 2], [3, 4], [5, 6]])
S = np.array([[2.0, 1, 0], [1, 3, 1], [0, 1, 4]])
b = np.array([1.0, -2, 3])
c = np.array([0.5, 2])


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("k*x - y/4", 3 * 0.7 - 1.3 / 4),
        ("-x^2", -(0.7**2)),
        ("2^-1 * x", 0.35),
        ("sum(A @ c)", (A @ c).sum()),
        ("dot(b, A @ c)", b @ A @ c),
        ("b @ A @ c", b @ A @ c),
        ("dot(A.T @ b, c)", b @ A @ c),
        ("b @ S @ S @ b", b @ S @ S @ b),
        ("sum((S + S.T) * S)", ((S + S.T) * S).sum()),
        ("sum(A @ A.T)", (A @ A.T).sum()),
        ("sumsq(S @ b - x)", ((S @ b - 0.7) ** 2).sum()),
        ("A[2, 1] + b[0] + b[-1]", 6 + 1 + 3),
        ("sum(A[1, :]) + sum(A[:, 0])", 7 + 9),
        ("sum(b[1:3] * b[1:3])", 13),
        ("sum(S[0:2, 1:3])", 1 + 0 + 3 + 1),
        ("sum(sum(A, n))", 21),
        ("max(sum(A, m))", 11),
        ("max(A, n) @ c", 5 * 0.5 + 6 * 2),
        ("min(b) + min(x, y, k)", -2 + 0.7),
        ("norm(b) + norm1(b) + norminf(b)", np.linalg.norm(b) + 6 + 3),
        ("logsumexp(b)", np.log(np.exp(b).sum())),
        ("sum(softmax(A, m) * A)", sum((np.exp(r) / np.exp(r).sum()) @ r for r in A)),
        ("entropy(softmax(c))", -sum(p * np.log(p) for p in np.exp(c) / np.exp(c).sum())),
        ("kl(softmax(c), softmax(2*c))", None),
        ("huber(x) + huber(k, 2)", 0.7**2 / 2 + 2 * (3 - 1)),
        ("sigmoid(x) + softplus(x)", 1 / (1 + np.exp(-0.7)) + np.log1p(np.exp(0.7))),
        ("prod(b) + prod(A, m) @ b", -6 + np.prod(A, 1) @ b),
        ("n + m", 5),
        ("sum(b[i] * b[i] for i in n)", 14),
        ("sum(S[i, j] * b[i] * b[j] for i in n, j in n)", b @ S @ b),
        ("sum(S[i, j] for i in n, j in n if i != j)", S.sum() - np.trace(S)),
        ("sum(S[i, j] for i in n, j in n if i == j)", np.trace(S)),
        ("sum(S[i, i] for i in n)", np.trace(S)),
        ("max(S[i, 0] - x for i in n)", 2 - 0.7),
        ("sum(sum(A[i, j] for j in m) * b[i] for i in n)", A.sum(1) @ b),
        ("sum(sum(S * b[i]) for i in n)", S.sum() * b.sum()),
    ],
)
def test_expressions_mean_what_numpy_means(expression, expected):
    if expected is None:
        p, q = (np.exp(v) / np.exp(v).sum() for v in (c, 2 * c))
        expected = float((p * np.log(p / q)).sum())
    assert value(expression, x=0.7, y=1.3) == pytest.approx(expected, rel=1e-13)


def test_literals_are_exact_decimals():
    checked = program("minimize 0.1*x + 0.2*x - 0.3*x + y")
    assert str(checked.upper.objective) == "y"


def test_definitions_are_worked_out_wherever_they_stand():
    assert value("q", top="let q = r + 1\nlet r = k*2") == 7


def test_a_parameter_may_be_an_expression_of_others_over_its_dims():
    assert value("sum(d)", top="param d[n] = 2*b + k") == pytest.approx(2 * b.sum() + 9)


def test_bounds_that_hold_variables_are_constraints():
    checked = program(follower="var y in [0, x]")
    (constraint,) = checked.lower[0].constraints
    assert constraint.label == "y.upper"
    assert {s.name for s in (v.symbol for v in checked.variables)} == {"x", "y"}
    assert checked.lower[0].variables[0].lower == 0
    assert np.isinf(checked.lower[0].variables[0].upper)


def test_constraints_are_about_the_side_with_variables():
    checked = program("minimize x^2\ncap: x + y <= 8\n2 >= x\nrange: 1 <= x - y <= 3\nsame: 4 == x")
    cap, second, between, same = checked.upper.constraints
    assert (cap.label, second.label, between.label, same.label) == ("cap", "c2", "range", "same")
    assert (cap.lower, str(cap.upper)) == (None, "8")
    assert (second.lower, str(second.body), str(second.upper)) == (None, "x", "2")
    assert (str(between.lower), str(between.upper)) == ("1", "3")
    assert same.is_equality and not between.is_equality


def test_domain_conditions_outlive_simplification():
    checked = program("minimize x/x + exp(log(y)) + sqrt(x)*sqrt(x)")
    assert {(str(d.expr), d.relation) for d in checked.domain} == {("x", "!= 0"), ("y", "> 0"), ("x", ">= 0")}


def test_values_given_replace_the_models():
    text = "model t\nparam k = 3\nupper {\nvar x\nminimize k*x^2\n}\nlower {\nvar y\nminimize (y-x)^2\n}"
    checked = blv.loads(text).program(k=5.0)
    assert checked.parameters[0].value == 5.0


def test_all_errors_come_at_once_and_an_unknown_name_only_once():
    found = errors("minimize z + z + A @ b", "minimize (w - x)^2 + b")
    assert sorted(d.code for d in found) == ["E201", "E201", "E304"]


def test_a_misfit_shows_both_operands():
    (error,) = errors("minimize sumsq(A @ c - c)")
    assert (error.code, error.message) == ("E303", "cannot subtract axes [n] and [m]")
    assert (error.span.text, error.label) == ("A @ c", "[n]")
    assert [(r.span.text, r.label) for r in error.related] == [("c", "[m]")]


def test_axes_of_equal_size_but_other_names_do_not_fit():
    (error,) = errors("minimize sum(b - d)", top="dim p = 3\nparam d[p] = [1, 2, 3]")
    assert error.code == "E303" and "sizes agree" in error.help


def test_sizes_that_disagree_show_both_places():
    (error,) = errors("minimize sum(d) + x", top="param d[n] = [1, 2]")
    assert error.code == "E314" and error.related[0].span.text == "n = 3"


def test_shapes_are_checked_even_where_the_data_is_missing():
    text = (
        "model t\ndim n, m\nparam X[n, m] from \"none.npz\"\nparam y[n] from \"none.npz\"\n"
        "upper {\nvar x\nminimize sum(X @ y) + x\n}\nlower {\nvar v\nminimize (v-x)^2\n}"
    )  # fmt: skip
    with pytest.raises(BlvError) as caught:
        blv.loads(text).program()
    assert sorted({d.code for d in caught.value.diagnostics}) == ["E304", "E401"]


def test_a_suggestion_is_made_for_a_near_name():
    (error,) = errors("minimize x + kapa*y", top="param kappa = 2")
    assert error.help == "did you mean kappa?"


def test_long_sums_cost_their_length_and_need_no_stack():
    terms = " + ".join(f"{k}*x" for k in range(3000))
    assert value(terms, x=1.0) == 3000 * 2999 / 2


def test_unused_declarations_are_warned_of():
    checked = program()
    assert {d.message for d in checked.warnings} >= {"A is never used", "k is never used"}


def test_claims_keep_their_constants_exactly():
    checked = program(lower="minimize (y - x)^2\nrequire strongly_convex(0.1)\nassume smooth")
    required, assumed = checked.lower[0].claims
    assert (required.mode, required.fact, str(required.constant)) == ("require", "strongly_convex", "1/10")
    assert (assumed.mode, assumed.constant) == ("assume", None)


def test_a_follower_does_not_see_the_variables_of_another():
    text = (
        "model t\nupper {\nvar x\nminimize x + y + z\n}\nlower a {\nvar y\nminimize (y - x)^2\n}\n"
        "lower b {\nvar z\nminimize (z - x)^2\ncap: z + y <= 1\n}"
    )
    with pytest.raises(BlvError) as caught:
        blv.loads(text).program()
    (error,) = caught.value.diagnostics
    assert (error.code, error.span.text, error.related[0].span.text) == ("E327", "cap: z + y <= 1", "y")


# ---- what depends on what ---------------------------------------------------------------------------

LEVELS = "\nupper {{ var x; minimize sum(x*y) }}\nlower {{ var y[{axis}]; minimize sumsq(y - x) }}"


def shape_of(declarations, axis, **given):
    """The shape of a follower's variable over an axis that some declarations make."""
    checked = blv.loads(declarations + LEVELS.format(axis=axis)).program(**given)
    return checked.lower[0].variables[0].symbol.shape


@pytest.mark.parametrize(
    "declarations",
    [
        "dim n\nparam a[n] = [1, 2, 3]\nset T = 1..n",
        "set T = 1..n\ndim n = k + 1\ndim k = 2",
        "set T = 1..last\nparam last = 2 * half - 1\nparam half = 2",
        "let size = sum(a)\nset T = 1..size\nparam a[n] = [1, 2]\ndim n",
        'set T within I = ["a", "b", "c"]\nset I = ["a", "b", "c", "d"]',
        "param first[I] = [1, 3]\nset I = [5, 7]\nset T = 1..first[7]",
        "param a[n, T] = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]\nset T = 1..n\nparam b[n] = [1, 2, 3]\ndim n",
    ],
)
def test_sizes_and_sets_may_depend_on_what_is_declared_later(declarations):
    assert shape_of(declarations, "T") == (3,)


def test_sizes_and_sets_may_depend_on_data(tmp_path):
    (tmp_path / "plan.json").write_text('{"horizon": 4, "days": 2, "cost": [[1, 2], [3, 4], [5, 6], [7, 8]]}')
    text = 'param cost[T, n] from "plan.json"\nset T = 1..horizon\nparam horizon, days from "plan.json"\ndim n = days'
    checked = blv.loads(text + LEVELS.format(axis="T, n"), root=tmp_path).program()
    assert checked.lower[0].variables[0].symbol.shape == (4, 2)


def test_a_value_that_is_given_is_the_one_that_sizes_depend_on():
    text = "param horizon = 4\nset T = 1..horizon\ndim n = horizon"
    assert shape_of(text, "T, n") == (4, 4)
    assert shape_of(text, "T, n", horizon=6) == (6, 6)


@pytest.mark.parametrize(
    ("declarations", "expected"),
    [
        ("dim n", [("E315", "n")]),
        ("dim n\nset T = 1..n", [("E315", "n")]),
        ("dim n = unknown", [("E201", "unknown")]),
        ("dim n = x", [("E313", "x")]),
        ("dim n = 1\nset T = 1..sum(y)", [("E313", "1..sum(y)")]),
        ("dim n = 3, k = n\nparam a[k] = [1, 2]", [("E314", "k")]),
        ("param a = b\nparam b = c\nparam c = a\ndim n = a", [("E204", "a")]),
        ("param a[n] = [1, c]\ndim n\nparam c = sum(a)", [("E204", "a")]),
    ],
)
def test_what_gives_no_size_is_reported_once(declarations, expected):
    with pytest.raises(BlvError) as caught:
        shape_of(declarations, "n")
    assert [(d.code, d.span.text) for d in caught.value.diagnostics] == expected


def test_a_dim_without_a_size_cannot_be_a_number():
    assert [d.code for d in errors("minimize q*x^2", top="dim q")] == ["E315"]


@pytest.mark.parametrize("kind", ["param", "let"])
def test_chains_of_definitions_need_no_stack(kind):
    chain = "\n".join(f"{kind} p{k} = p{k + 1} + 1" for k in range(1500))
    assert value("p0 + x", top=f"{chain}\n{kind} p1500 = 1", x=1.0) == 1502
    found = errors(top=f"{chain}\n{kind} p1500 = p0", lower="minimize (y - p7)^2")
    assert [d.code for d in found] == ["E204"] and len(found[0].label) < 100
