"""Programs as mathematics: every part is there, signs are right, data stay out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
import sympy

from bileveldsl.calculus.expr import (
    Axis,
    Dim,
    Expr,
    IndexMap,
    Symbol,
    add,
    apply,
    argument,
    constant,
    contract,
    divide,
    leaf,
    multiply,
    negate,
    power,
    select,
    size,
    subtract,
)
from bileveldsl.language.diagnostics import Source, Span
from bileveldsl.program import Claim, Constraint, DomainCondition, Level, Program, Variable
from bileveldsl.show import show_kkt, show_latex, show_text

SPAN = Span(Source("model.blv", ""), 0, 0)
n, m, p = Dim("n", 20), Dim("m", 15), Dim("p", 5)
x, y, z = (Symbol(name, "variable") for name in "xyz")


def variable(symbol: Symbol, lower: object = -np.inf, upper: object = np.inf, kind: str = "continuous") -> Variable:
    low, high = (np.broadcast_to(np.asarray(bound, dtype=float), symbol.shape) for bound in (lower, upper))
    return Variable(symbol, low, high, None, SPAN, kind)  # type: ignore[arg-type]


def constraint(
    label: str, body: Expr, lower: Expr | None, upper: Expr | None, axes: tuple[Axis, ...] = ()
) -> Constraint:
    return Constraint(label, body, lower, upper, axes, SPAN)


def level(
    role: str,
    objective: Expr,
    variables: Sequence[Variable],
    constraints: Sequence[Constraint] = (),
    sense: str = "minimize",
    name: str = "",
    claims: tuple[Claim, ...] = (),
    ties: str = "optimistic",
) -> Level:
    return Level(
        role, name or role, sense, objective, tuple(variables), tuple(constraints), claims, ties, (), SPAN, SPAN  # type: ignore[arg-type]
    )  # fmt: skip


def square(expr: Expr) -> Expr:
    return power(expr, constant(2))


@pytest.fixture
def toy() -> Program:
    upper = add(square(subtract(leaf(x), constant(3))), square(subtract(leaf(y), constant(1))))
    lower = square(subtract(leaf(y), leaf(x)))
    return Program("toy", level("upper", upper, [variable(x, 0, 10)]), (level("lower", lower, [variable(y)]),))


@pytest.fixture
def ridge() -> Program:
    X, t = Symbol("X", "data", (n, p), np.full((20, 5), 7.25)), Symbol("y", "data", (n,), np.full(20, 7.25))
    Xv, tv = Symbol("Xv", "data", (m, p), np.full((15, 5), 7.25)), Symbol("yv", "data", (m,), np.full(15, 7.25))
    w, loglam = Symbol("w", "variable", (p,)), Symbol("loglam", "variable", (p,))

    def loss(matrix: Symbol, target: Symbol) -> Expr:
        residual = subtract(contract([leaf(matrix), leaf(w)], w.axes), leaf(target))
        return divide(contract([residual, residual], target.axes), size(target.dims[0]))

    train = loss(X, t)
    penalty = contract([apply(sympy.exp(argument(0)), [leaf(loglam)]), square(leaf(w))], w.axes)
    claim = Claim("require", "strongly_convex", Fraction(1, 10), SPAN)
    return Program(
        "ridge",
        level("upper", loss(Xv, tv), [variable(loglam, -8, 4)]),
        (level("lower", add(train, penalty), [variable(w)], claims=(claim,)),),
        (X, t, Xv, tv),
    )


@pytest.fixture
def linear() -> Program:
    """A follower that maximizes under constraints of each form."""
    lx, ly, lz = leaf(x), leaf(y), leaf(z)
    ten = constant(10)
    lower = [
        constraint("cap", add(lx, lz), None, constant(8)),
        constraint("floor", add(lx, multiply(constant(4), lz)), constant(8), None),
        constraint("band", subtract(lx, lz), constant(-1), constant(5)),
        constraint("tie", add(lz, multiply(constant(2), ly)), ten, ten),
        constraint("z.upper", lz, None, lx),
    ]
    total = constraint("total", add(lx, ly), ten, ten)
    upper = level("upper", add(lx, multiply(constant(3), lz)), [variable(x, 2, 6), variable(y)], [total])
    return Program("linear", upper, (level("lower", lz, [variable(z, 0)], lower, "maximize"),))


def lines(text: str) -> list[str]:
    """Lines without the space that aligns them."""
    return [re.sub(r"\s+", " ", line).strip() for line in text.splitlines()]


def test_toy(toy: Program) -> None:
    assert lines(show_text(toy)) == [
        "toy", "", "minimize F = (x − 3)² + (y − 1)²", "over x ∈ [0, 10]", "subject to", "y solves",
        "minimize f = (y − x)²", "over y ∈ ℝ",
    ]  # fmt: skip
    assert r"\min_{x \in [0, 10]} \quad & F = (x - 3)^{2} + (y - 1)^{2}" in show_latex(toy)
    assert r"y \in \arg\min_{y \in \mathbb{R}} \; f = (y - x)^{2}" in show_latex(toy)


def test_gradients_and_hessians_of_both_levels(ridge: Program) -> None:
    shown = lines(show_text(ridge, gradients=True, hessians=True))
    for line in (
        "minimize F = ‖Xv w − yv‖²/m", "over loglam ∈ [−8, 4]^p", "(required: strongly convex with constant 0.1)",
        "∇_w F = 2 Xvᵀ(Xv w − yv)/m", "∇_loglam f = exp(loglam) ∘ w²", "∇_w f = 2 Xᵀ(X w − y)/n + 2 exp(loglam) ∘ w",
        "∇²_ww F = 2 Xvᵀ Xv/m", "∇²_loglam,w f = 2 diag(exp(loglam) ∘ w)",
        "∇²_ww f = 2 Xᵀ X/n + 2 diag(exp(loglam))", "X ∈ ℝ^(n×p)", "n = 20",
    ):  # fmt: skip
        assert line in shown
    assert not any(line.startswith("∇_loglam F") for line in shown)
    assert shown.count("all others are zero") == 2


def test_ascii_has_no_other_letters(ridge: Program, linear: Program) -> None:
    for text in (show_text(ridge, True, True, unicode=False), show_kkt(linear, unicode=False)):
        assert text.isascii()
    assert "grad(f, w) = 2*X.T @ (X @ w - y)/n + 2*exp(loglam)*w" in lines(show_text(ridge, True, unicode=False))


def test_data_are_shown_by_shape_and_scalars_by_value(ridge: Program) -> None:
    reg = Symbol("reg", "data", (), np.asarray(0.001))
    program = Program(ridge.name, ridge.upper, ridge.lower, (*ridge.parameters, reg))
    for text in (show_text(program, True, True), show_latex(program, True, True), show_kkt(program)):
        assert "7.25" not in text
    assert "reg = 0.001" in lines(show_text(program))


def test_constraints_keep_their_labels_and_directions(linear: Program) -> None:
    shown = lines(show_text(linear))
    for line in ("total: x + y = 10", "cap: x + z ≤ 8", "floor: x + 4 z ≥ 8", "band: −1 ≤ x − z ≤ 5",
                 "tie: 2 y + z = 10", "z.upper: z ≤ x", "maximize f = z", "over z ∈ [0, ∞)"):  # fmt: skip
        assert line in shown
    assert r"\arg\max_{z \in [0, \infty)}" in show_latex(linear)
    gradients = lines(show_text(linear, gradients=True))
    assert "∇_x z.upper = −1" in gradients and "∇_z z.upper = 1" in gradients


def test_kkt_conditions_of_a_maximizing_follower(linear: Program) -> None:
    shown = lines(show_kkt(linear))
    for line in ("cap: 0 ≤ 8 − x − z ⊥ μ_cap ≥ 0", "floor: 0 ≤ x + 4 z − 8 ⊥ μ_floor ≥ 0",
                 "band.lower: 0 ≤ x − z + 1 ⊥ μ_band_lower ≥ 0", "band.upper: 0 ≤ z − x + 5 ⊥ μ_band_upper ≥ 0",
                 "tie: 2 y + z − 10 = 0", "z.upper: 0 ≤ x − z ⊥ μ_z_upper ≥ 0",
                 "z.lower: 0 ≤ z ⊥ μ_z_lower ≥ 0", "total: x + y = 10"):  # fmt: skip
        assert line in shown
    (stationary,) = (line for line in shown if line.startswith("stationary in z:"))
    terms = re.findall(r"(?:^|([+−]) ?)(\d* ?\w+)", stationary.partition(": ")[2].partition(" = 0")[0])
    # d/dz of -z - sum of multiplier times residual
    assert {(sign or "+", term) for sign, term in terms} == {
        ("+", "μ_cap"), ("−", "4 μ_floor"), ("+", "μ_band_lower"), ("−", "μ_band_upper"), ("−", "λ_tie"),
        ("+", "μ_z_upper"), ("−", "μ_z_lower"), ("−", "1"),
    }  # fmt: skip
    assert not any("solve" in line for line in shown)


def test_kkt_conditions_of_arrays(ridge: Program) -> None:
    (follower,) = ridge.lower
    (w,) = follower.symbols
    bounds = np.array([0.0, 0.0, -np.inf, 1.0, 2.0])
    bounded = level("lower", follower.objective, [variable(w, bounds, 3)])
    shown = lines(show_kkt(Program("ridge", ridge.upper, (bounded,), ridge.parameters)))
    assert "stationary in w: 2 Xᵀ(X w − y)/n + 2 exp(loglam) ∘ w + μ_w_upper − μ_w_lower = 0" in shown
    assert "w.lower: 0 ≤ w − w_lower ⊥ μ_w_lower ≥ 0 (the multiplier is 0 where there is no bound)" in shown
    assert "w.upper: 0 ≤ 3 − w ⊥ μ_w_upper ≥ 0" in shown
    assert any("μ_w_lower ∈ ℝ^p" in line for line in shown)
    assert "w ≥ w_lower (from 0 to 2, element by element)" in lines(show_text(Program("r", ridge.upper, (bounded,))))


def test_several_followers_ties_and_integers() -> None:
    first = level("lower", square(leaf(y)), [variable(y, 0, 9, "integer")], name="first", ties="pessimistic")
    second = level("lower", negate(leaf(z)), [variable(z, 0, 1, "binary")], name="second")
    program = Program("two", level("upper", multiply(leaf(y), leaf(z)), []), (first, second))
    shown = lines(show_text(program))
    for line in ("y solves", "minimize f_first = y²", "over y ∈ {0, …, 9}", "minimize f_second = −z", "over z ∈ {0, 1}",
                 "(pessimistic: among several solutions, the worst for the leader counts)"):  # fmt: skip
        assert line in shown
    assert "(y taken as continuous: these conditions do not hold for integer variables)" in lines(show_kkt(program))


def test_objectives_do_not_take_the_names_of_variables() -> None:
    f, big = Symbol("f", "variable"), Symbol("F", "variable")
    follower = level("lower", square(leaf(f)), [variable(f)])
    program = Program("names", level("upper", leaf(f), [variable(big)]), (follower,))
    assert "minimize Phi = f" in lines(show_text(program)) and "minimize phi = f²" in lines(show_text(program))


def test_arrays_of_three_axes_say_what_their_indices_run_over() -> None:
    a, b = Dim("a", 7), Dim("b", 8)
    T, v, u = Symbol("T", "data", (n, a, b)), Symbol("v", "variable", (b,)), Symbol("u", "variable", (n,))
    body = contract([leaf(T), leaf(v)], v.axes)
    family = constraint("family", body, None, leaf(u), (Axis(n), Axis(a)))
    follower = level("lower", contract([leaf(v)], v.axes), [variable(v), variable(u)], [family])
    program = Program("t", level("upper", leaf(x), [variable(x)]), (follower,))
    shown = lines(show_text(program, gradients=True))
    assert "family: Σ_b T[n,a,b] v[b] ≤ u[n]" in shown
    assert "(∇_v family)[n,a,b] = T[n,a,b]" in shown
    assert "(∇_u family)[n,a,n′] = −δ[n,n′]" in shown


def test_long_formulas_name_their_parts() -> None:
    X, w = Symbol("X", "data", (n, p)), Symbol("w", "variable", (p,))
    scores = contract([leaf(X), leaf(w)], w.axes)
    waves = [apply(sympy.sin(argument(0) / k) * sympy.exp(-argument(0) / 2), [scores]) for k in range(1, 5)]
    total = add(*(contract([wave], scores.axes) for wave in waves))
    program = Program("long", level("upper", leaf(x), [variable(x)]), (level("lower", total, [variable(w)]),), (X,))
    shown = lines(show_text(program, gradients=True))
    definitions = shown[shown.index("where") :]
    assert any(re.fullmatch(r"\w = X w", line) for line in definitions)


def test_where_the_functions_are_defined(toy: Program) -> None:
    condition = DomainCondition(add(leaf(x), constant(1)), "> 0", SPAN)
    program = Program(toy.name, toy.upper, toy.lower, domain=(condition,))
    assert lines(show_text(program))[-2:] == ["defined where", "x + 1 > 0"]


def test_elements_of_a_small_vector() -> None:
    v = Symbol("v", "variable", (Dim("2", 2),))
    first, second = (select(leaf(v), [(v.axes[0], IndexMap.of(k))]) for k in (0, 1))
    follower = level("lower", multiply(first, square(second)), [variable(v)])
    program = Program("v", level("upper", first, [variable(x)]), (follower,))
    shown = lines(show_text(program, True, True))
    assert "∇_v f = [v[1]²; 2 v[0] v[1]]" in shown
    assert "∇²_vv f = [0, 2 v[1]; 2 v[1], 2 v[0]]" in shown


@pytest.mark.parametrize("name", ["toy", "ridge", "linear"])
def test_latex_is_balanced(name: str, request: pytest.FixtureRequest) -> None:
    program = request.getfixturevalue(name)
    for text in (show_latex(program, gradients=True, hessians=True), show_kkt(program, latex=True)):
        bare = re.sub(r"\\[{}]", "", text)
        assert bare.count("{") == bare.count("}")
        assert text.count(r"\left") == text.count(r"\right")
        assert text.count(r"\[") == text.count(r"\]") == text.count(r"\begin{aligned}") == text.count(r"\end{aligned}")
        for block in re.findall(r"\\begin\{aligned\}\n(.*?)\n\\end\{aligned\}", text, re.DOTALL):
            assert all("&" in line for line in block.split(" \\\\\n"))
        assert "{}" not in text
