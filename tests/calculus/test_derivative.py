"""Symbolic derivatives against finite differences, sympy and identities of calculus."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import pytest
import sympy
from finite_differences import assert_close, differences
from hypothesis import given, settings
from hypothesis import strategies as st
from random_expressions import Term, random_values, terms, terms_of_variables

from bileveldsl.calculus import functions as f
from bileveldsl.calculus.derivative import directional, gradient, hessian, jacobian
from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.expr import (
    ONE,
    ZERO,
    Axis,
    Delta,
    Dim,
    Expr,
    IndexMap,
    Map,
    Symbol,
    add,
    apply,
    argument,
    constant,
    contract,
    divide,
    leaf,
    multiply,
    power,
    reduce,
    rename,
    select,
    size,
    subtract,
    topological,
)

SMOOTH = terms_of_variables(terms(smooth=True))
SEEDS = st.integers(0, 99)
U, D = argument(0), argument(1)
x, y = Symbol("x", "variable"), Symbol("y", "variable")
P = Dim("p", 4)
p, q = Axis(P), Axis(P, 1)
w, v = Symbol("w", "variable", (P,)), Symbol("v", "variable", (P,))


# ---- random expressions over labels ---------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(SMOOTH, SEEDS)
def test_jacobians_of_random_expressions(case: tuple[Term, Symbol, Symbol], seed: int) -> None:
    term, symbol, _ = case
    values = random_values(seed)
    (found,) = jacobian(term.expr, [symbol])
    assert found.rows == term.expr.axes
    value = evaluate(found.expr, values, (*found.rows, *found.columns))
    expected = differences(lambda at: evaluate(term.expr, at), values, symbol)
    assert_close(value, expected, evaluate(term.expr, values))


@settings(max_examples=100, deadline=None)
@given(SMOOTH, SEEDS)
def test_second_derivatives_of_random_expressions(case: tuple[Term, Symbol, Symbol], seed: int) -> None:
    """The Hessian has the differences of the gradient, is symmetric, and gives the directional derivative."""
    term, first, second = case
    values = random_values(seed)
    root = contract([term.expr], term.expr.axes)
    (slope,) = gradient(root, [first])
    found = hessian(root, first, second)
    value = evaluate(found.expr, values, (*found.rows, *found.columns))
    expected = differences(lambda at: evaluate(slope, at, first.axes), values, second)
    assert_close(value, expected, evaluate(slope, values))

    swapped = hessian(root, second, first)
    other = evaluate(swapped.expr, values, (*swapped.columns, *swapped.rows))
    assert_close(value, other, evaluate(slope, values), tolerance=1e-10)

    direction = Symbol("d", "variable", first.dims)
    values[direction] = np.random.default_rng(seed).normal(size=first.shape)
    (product,) = directional(root, [first], [direction], [second])
    contracted = np.tensordot(values[direction], value, axes=len(first.dims))
    assert_close(evaluate(product, values, second.axes), contracted, value, tolerance=1e-10)


# ---- scalar models against sympy ------------------------------------------------------------

PLAIN = st.sampled_from([U + D, U * D, U - D, U**2, U**3 + D, sympy.exp(-(U**2)), sympy.sin(U), sympy.tanh(U * D)])
PLAIN |= st.sampled_from([U / (2 + D**2), sympy.log(2 + U**2), sympy.sqrt(1 + U**2), sympy.cos(D) - 1, sympy.atan(U)])


@st.composite
def scalar_models(draw: st.DrawFn, depth: int = 3) -> tuple[Expr, sympy.Expr]:
    """An expression in x and y with the sympy expression of the same model, built side by side."""
    if depth == 0:
        symbol = draw(st.sampled_from([x, y]))
        return leaf(symbol), sympy.Symbol(symbol.name, real=True)
    fn = draw(PLAIN)
    (a, first), (b, second) = draw(scalar_models(depth - 1)), draw(scalar_models(depth - 1))
    return apply(fn, [a, b]), fn.subs({U: first, D: second}, simultaneous=True)


@settings(max_examples=30, deadline=None)
@given(scalar_models(), st.floats(-1.5, 1.5), st.floats(-1.5, 1.5))
def test_scalar_models_have_the_derivatives_of_sympy(model: tuple[Expr, sympy.Expr], at: float, beside: float) -> None:
    node, plain = model
    values = {x: np.array(at), y: np.array(beside)}
    names = [sympy.Symbol("x", real=True), sympy.Symbol("y", real=True)]
    expected = [sympy.diff(plain, name) for name in names]
    expected += [sympy.diff(first, name) for first in expected for name in names]
    slopes = gradient(node, [x, y])
    found = slopes + [curvature for slope in slopes for curvature in gradient(slope, [x, y])]
    plainly = sympy.lambdify(names, expected, "numpy", cse=True)(np.float64(at), np.float64(beside))
    for ours, theirs in zip(found, plainly, strict=True):
        assert float(evaluate(ours, values)) == pytest.approx(float(theirs), rel=1e-8, abs=1e-8)


@settings(max_examples=25, deadline=None)
@given(scalar_models(depth=2))
def test_small_scalar_models_are_one_sympy_expression(model: tuple[Expr, sympy.Expr]) -> None:
    """They merge into a single function, whose derivative differs from sympy's by nothing that simplifies."""
    node, plain = model
    (slope,) = gradient(node, [x])
    assert not any(isinstance(child, Map) for child in slope.children)
    names = {argument(k): sympy.Symbol(str(child), real=True) for k, child in enumerate(slope.children)}
    fn = slope.fn if isinstance(slope, Map) else argument(0)
    names = names or {argument(0): sympy.Symbol(str(slope), real=True)}
    assert sympy.simplify(fn.xreplace(names) - sympy.diff(plain, sympy.Symbol("x", real=True))) == 0


# ---- every scalar function ------------------------------------------------------------------

FUNCTIONS = {
    "exp": (sympy.exp(U), [-2.0, 0.0, 3.0]),
    "log": (sympy.log(U), [0.1, 1.0, 30.0]),
    "sqrt": (sympy.sqrt(U), [0.2, 1.0, 9.0]),
    "abs": (sympy.Abs(U), [-2.0, 0.7]),
    "sin": (sympy.sin(U), [-2.0, 0.0, 5.0]),
    "cos": (sympy.cos(U), [-2.0, 0.0, 5.0]),
    "tan": (sympy.tan(U), [-1.0, 0.0, 1.2]),
    "asin": (sympy.asin(U), [-0.9, 0.0, 0.5]),
    "acos": (sympy.acos(U), [-0.9, 0.0, 0.5]),
    "atan": (sympy.atan(U), [-3.0, 0.0, 0.5]),
    "sinh": (sympy.sinh(U), [-2.0, 0.0, 1.0]),
    "cosh": (sympy.cosh(U), [-2.0, 0.0, 1.0]),
    "tanh": (sympy.tanh(U), [-2.0, 0.0, 1.0]),
    "power": (U**D, [(0.5, 2.5), (2.0, -1.0), (3.0, 0.0)]),
    "quotient": (U / D, [(0.5, 2.5), (2.0, -1.0)]),
    "absolute logarithm": (sympy.Abs(sympy.log(U)), [0.3, 4.0]),
    "absolute power": (sympy.Abs(U) ** sympy.Rational(3, 2), [-2.0, 0.5]),
    "softplus": (f.softplus(U), [-30.0, -1.0, 0.0, 2.0, 40.0]),
    "sigmoid": (f.sigmoid(U), [-30.0, -1.0, 0.0, 2.0, 40.0]),
    "huber": (f.huber(U, D), [(0.5, 1.0), (-3.0, 1.0), (2.0, 0.3), (0.1, 0.2)]),
    "clip": (f.clip(U, D), [(0.5, 1.0), (-3.0, 1.0), (2.0, 0.3)]),
    "exceed": (f.exceed(U, D), [(0.5, 1.0), (-3.0, 1.0), (2.0, 0.3)]),
    "inside": (f.inside(U, D), [(0.5, 1.0), (-3.0, 1.0)]),
    "step": (f.step(U), [-1.0, 2.0]),
    "sign": (sympy.sign(U), [-1.0, 2.0]),
    "maximum": (f.maximum(U, D), [(0.5, 1.0), (3.0, -1.0)]),
    "minimum": (f.minimum(U, D), [(0.5, 1.0), (3.0, -1.0)]),
    "equal": (f.equal(U, D), [(0.5, 1.0)]),
    "xlogx": (f.xlogx(U), [0.1, 1.0, 5.0]),
    "relative_entropy": (f.relative_entropy(U, D), [(0.3, 0.8), (2.0, 0.5)]),
    "divide0": (f.divide0(U, D), [(0.3, 0.8), (2.0, -0.5)]),
}


@pytest.mark.parametrize(("fn", "points"), FUNCTIONS.values(), ids=FUNCTIONS)
def test_first_and_second_derivatives_of_every_function(fn: sympy.Expr, points: list) -> None:
    node = apply(fn, [leaf(x), leaf(y)])
    slopes = gradient(node, [x, y])
    for point in points:
        first, second = point if isinstance(point, tuple) else (point, 1.0)
        values = {x: np.array(first), y: np.array(second)}
        for symbol, slope in zip((x, y), slopes, strict=True):
            expected = differences(lambda at: evaluate(node, at), values, symbol)
            assert_close(evaluate(slope, values), expected, evaluate(node, values), tolerance=1e-8)
            for other in (x, y):
                (curvature,) = gradient(slope, [other])
                expected = differences(partial(evaluate, slope), values, other)
                assert_close(evaluate(curvature, values), expected, evaluate(slope, values), tolerance=1e-8)


def test_every_function_of_the_language_is_covered() -> None:
    assert {function.__name__ for function in f.CUSTOM} <= set(FUNCTIONS)


def slope_at(fn: sympy.Expr, first: float, second: float = 1.0) -> tuple[float, float]:
    values = {x: np.array(first), y: np.array(second)}
    by_x, by_y = gradient(apply(fn, [leaf(x), leaf(y)]), [x, y])
    return float(evaluate(by_x, values)), float(evaluate(by_y, values))


def test_kinks_take_a_subgradient() -> None:
    """Nearest to zero, or the mean of both sides where two arguments are equal."""
    assert slope_at(sympy.Abs(U), 0.0) == (0.0, 0.0)
    assert slope_at(f.maximum(U, D), 2.0, 2.0) == (0.5, 0.5)
    assert slope_at(f.minimum(U, D), 2.0, 2.0) == (0.5, 0.5)
    assert slope_at(f.exceed(U, D), 1.0, 1.0) == (0.0, 0.0)
    assert slope_at(f.huber(U, D), -1.0, 1.0) == (-1.0, 0.0)


def test_limits_at_the_border_of_the_domain() -> None:
    assert evaluate(gradient(power(leaf(x), leaf(y)), [x])[0], {x: np.array(0.0), y: np.array(1.0)}) == 1.0
    assert slope_at(U**3, 0.0)[0] == 0.0
    assert slope_at(f.divide0(U, D), 3.0, 0.0) == (0.0, 0.0)
    values = {x: np.array(0.0), y: np.array(2.0)}
    assert evaluate(apply(f.xlogx(U), [leaf(x)]), values) == 0.0
    assert evaluate(apply(f.relative_entropy(U, D), [leaf(x), leaf(y)]), values) == 0.0
    assert evaluate(gradient(apply(f.relative_entropy(U, D), [leaf(x), leaf(y)]), [y])[0], values) == 0.0


@pytest.mark.parametrize("at", [-1e8, -800.0, 800.0, 1e8])
def test_huge_arguments_have_finite_derivatives(at: float) -> None:
    """Warnings are errors here: nothing overflows on the way."""
    values = {x: np.array(at)}
    for fn in (f.softplus(U), f.sigmoid(U), f.huber(U, sympy.Integer(1)), sympy.tanh(U), sympy.atan(U)):
        node = apply(fn, [leaf(x)])
        (first,) = gradient(node, [x])
        (second,) = gradient(first, [x])
        assert all(np.isfinite(evaluate(part, values)) for part in (node, first, second))
    assert evaluate(apply(f.softplus(U), [leaf(x)]), values) == pytest.approx(max(at, 0.0))


# ---- reductions -----------------------------------------------------------------------------


def test_the_norm_at_zero() -> None:
    values = {w: np.zeros(4)}
    norm = reduce("norm", leaf(w), [p])
    curvature = hessian(norm, w, w)
    assert evaluate(norm, values) == 0.0
    np.testing.assert_array_equal(evaluate(gradient(norm, [w])[0], values), np.zeros(4))
    np.testing.assert_array_equal(evaluate(curvature.expr, values, (*curvature.rows, *curvature.columns)), 0.0)


def test_the_square_of_a_norm_has_an_exact_derivative_at_zero() -> None:
    square = power(reduce("norm", leaf(w), [p]), constant(2))
    assert gradient(square, [w])[0] is multiply(constant(2), leaf(w))


def test_the_norm_of_huge_and_tiny_numbers() -> None:
    norm = reduce("norm", leaf(w), [p])
    for scale in (1e-200, 1e200):
        values = {w: scale * np.array([3.0, 4.0, 0.0, 0.0])}
        assert evaluate(norm, values) == pytest.approx(5 * scale)
        np.testing.assert_allclose(evaluate(gradient(norm, [w])[0], values), [0.6, 0.8, 0.0, 0.0])


def test_log_sum_exp_of_huge_numbers() -> None:
    values = {w: np.array([1000.0, 1000.0, -1000.0, 0.0])}
    node = reduce("logsumexp", leaf(w), [p])
    assert evaluate(node, values) == pytest.approx(1000 + np.log(2))
    softmax = evaluate(gradient(node, [w])[0], values)
    np.testing.assert_allclose(softmax, [0.5, 0.5, 0.0, 0.0])
    curvature = hessian(node, w, w)
    value = evaluate(curvature.expr, values, (*curvature.rows, *curvature.columns))
    np.testing.assert_allclose(value, np.diag(softmax) - np.outer(softmax, softmax), atol=1e-15)


@pytest.mark.parametrize(("operation", "sign"), [("max", 1.0), ("min", -1.0)])
def test_ties_share_the_slope_of_a_maximum(operation: str, sign: float) -> None:
    values = {w: sign * np.array([1.0, 3.0, 3.0, 0.0])}
    node = reduce(operation, leaf(w), [p])  # type: ignore[arg-type]
    np.testing.assert_array_equal(evaluate(gradient(node, [w])[0], values), [0.0, 0.5, 0.5, 0.0])
    curvature = hessian(node, w, w)
    assert not evaluate(curvature.expr, values, (*curvature.rows, *curvature.columns)).any()


# ---- identities and shapes ------------------------------------------------------------------


def test_the_gradient_of_least_squares_is_its_normal_equations() -> None:
    rows = Dim("n", 5)
    rng = np.random.default_rng(0)
    X = Symbol("X", "data", (rows, P), rng.normal(size=(5, 4)))
    b = Symbol("b", "data", (rows,), rng.normal(size=5))
    assert X.value is not None and b.value is not None
    residual = subtract(contract([leaf(X), leaf(w)], [p]), leaf(b))
    loss = divide(contract([residual, residual], residual.axes), size(rows))
    values = {w: rng.normal(size=4)}
    expected = 2 / 5 * X.value.T @ (X.value @ values[w] - b.value)
    np.testing.assert_allclose(evaluate(gradient(loss, [w])[0], values), expected)
    curvature = hessian(loss, w, w)
    np.testing.assert_allclose(
        evaluate(curvature.expr, values, (*curvature.rows, *curvature.columns)), 2 / 5 * X.value.T @ X.value
    )


def test_the_jacobian_of_the_identity_is_the_identity() -> None:
    (found,) = jacobian(leaf(w), [w])
    assert (found.rows, found.columns) == ((p,), (q,))
    assert isinstance(found.expr, Delta)
    (wide,) = jacobian(leaf(x), [x], rows=[p])
    assert wide.expr is ONE and wide.rows == (p,)


def test_a_symbol_that_does_not_occur_has_a_zero_derivative() -> None:
    assert gradient(contract([leaf(w)], [p]), [v, w]) == [ZERO, ONE]


def test_gradients_are_of_scalars() -> None:
    with pytest.raises(ValueError, match="scalar"):
        gradient(leaf(w), [w])


def test_derivatives_of_one_element_touch_only_it() -> None:
    last = select(leaf(w), [(p, IndexMap.of(3))])
    node = multiply(power(last, constant(3)), leaf(x))
    values = {w: np.array([1.0, 2.0, 3.0, 2.0]), x: np.array(5.0)}
    np.testing.assert_array_equal(evaluate(gradient(node, [w])[0], values), [0.0, 0.0, 0.0, 60.0])
    cross, back = hessian(node, w, x), hessian(node, x, w)
    np.testing.assert_array_equal(evaluate(cross.expr, values, cross.rows), [0.0, 0.0, 0.0, 12.0])
    np.testing.assert_array_equal(evaluate(back.expr, values, back.columns), [0.0, 0.0, 0.0, 12.0])


# ---- size -----------------------------------------------------------------------------------


def test_deep_expressions_are_differentiated_without_recursion() -> None:
    """A gradient through 1,000 matrix products has a few nodes for each of them."""
    weights = Symbol("W", "data", (P, P), np.eye(4) * 0.9 + 0.05)
    deep = leaf(w)
    for _ in range(1_000):
        deep = apply(sympy.tanh(U), [contract([leaf(weights, [p, q]), rename(deep, {p: q})], [q])])
    (slope,) = gradient(contract([deep, leaf(v)], [p]), [w])
    assert len(topological([slope])) < 10_000


def test_long_sums_are_differentiated_in_time_proportional_to_their_length() -> None:
    """The gradient of 2,000 terms in 500 variables takes seconds, not the 500 sweeps over all the terms."""
    symbols = [Symbol(f"x{k}", "variable") for k in range(500)]
    random = np.random.default_rng(0)
    terms, values = [], {}
    for symbol in symbols:
        values[symbol] = random.normal(size=())
    for _ in range(2_000):
        a, b, c = (leaf(symbols[k]) for k in random.choice(500, 3, replace=False))
        terms.append(multiply(power(a, constant(2)), add(b, multiply(b, c))))
    total = add(*terms)
    begin = time.process_time()
    slopes = gradient(total, symbols)
    assert time.process_time() - begin < 20
    expected = differences(lambda at: evaluate(total, at), values, symbols[0])
    assert_close(evaluate(slopes[0], values), expected, evaluate(total, values), tolerance=1e-8)
