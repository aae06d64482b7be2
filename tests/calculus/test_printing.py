"""What is printed means what the expression means, and reads as people write it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from latex_syntax import check_latex
from random_expressions import GRID, SHAPE, A, Term, random_values, terms, w, x
from reading import read

from bileveldsl.calculus import functions
from bileveldsl.calculus.definitions import with_definitions
from bileveldsl.calculus.derivative import gradient, hessian
from bileveldsl.calculus.evaluate import evaluate
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
    delta,
    divide,
    leaf,
    multiply,
    negate,
    power,
    reduce,
    rename,
    scatter,
    select,
    size,
    subtract,
)
from bileveldsl.calculus.printing import LIMIT, to_formulas, to_latex, to_text, to_unicode

SIZES = {"I": 2, "J": 3}


# ---- the meaning of what is printed ---------------------------------------------------------


def value_as_read(
    expr: Expr, axes: Sequence[Axis], values: Mapping[Symbol, np.ndarray], sizes: Mapping[str, int]
) -> np.ndarray:
    """The value of an expression over `axes`, from its text alone."""
    text = to_text(expr, axes)
    shape = tuple(axis.size for axis in axes)
    _, names = to_formulas([expr], axes)
    if not names:
        return read(text, values, sizes, {}).reshape(shape)
    result = np.empty(shape)
    for cell in itertools.product(*map(range, shape)):
        result[cell] = read(text, values, sizes, dict(zip(names, cell, strict=True)))[0, 0]
    return result


@settings(max_examples=200, deadline=None)
@given(terms(), st.integers(0, 99))
def test_the_text_means_what_the_expression_means(term: Term, seed: int) -> None:
    values = random_values(seed)
    axes = term.expr.axes
    read_back = value_as_read(term.expr, axes, {**values, A: np.asarray(A.value)}, SIZES)
    order = tuple(sorted(range(len(axes)), key=lambda k: GRID.index(axes[k])))
    on_grid = read_back.transpose(order).reshape([axis.size if axis in axes else 1 for axis in GRID])
    np.testing.assert_allclose(np.broadcast_to(on_grid, SHAPE), term.meaning(values), rtol=1e-9, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(terms(smooth=True), st.integers(0, 99))
def test_the_text_of_derivatives_means_the_derivatives(term: Term, seed: int) -> None:
    values = {**random_values(seed), A: np.asarray(A.value)}
    root = contract([term.expr], term.expr.axes)
    for symbol, slope in zip((x, w), gradient(root, [x, w]), strict=True):
        np.testing.assert_allclose(
            value_as_read(slope, symbol.axes, values, SIZES), evaluate(slope, values, symbol.axes), rtol=1e-9, atol=1e-9
        )
    curvature = hessian(root, w, w)
    axes = (*curvature.rows, *curvature.columns)
    np.testing.assert_allclose(
        value_as_read(curvature.expr, axes, values, SIZES), evaluate(curvature.expr, values, axes), rtol=1e-9, atol=1e-9
    )


@settings(max_examples=100, deadline=None)
@given(terms())
def test_latex_is_well_formed_and_no_notation_writes_a_sign_after_a_plus(term: Term) -> None:
    check_latex(to_latex(term.expr))
    for text in (to_text(term.expr), to_unicode(term.expr), to_latex(term.expr)):
        assert not any(wrong in text for wrong in ("+ -", "- -", "+ −", "− −", "--", "()"))


@settings(max_examples=60, deadline=None)
@given(terms(smooth=True), st.integers(0, 99))
def test_definitions_keep_the_meaning(term: Term, seed: int) -> None:
    values = {**random_values(seed), A: np.asarray(A.value)}
    root = contract([term.expr], term.expr.axes)
    exprs = [root, *gradient(root, [x, w]), hessian(root, w, w).expr]
    definitions, shortened = with_definitions(exprs)
    known: dict[Symbol, np.ndarray] = dict(values)
    for symbol, body in definitions:
        known[symbol] = evaluate(body, known, symbol.axes)
    for expr, short in zip(exprs, shortened, strict=True):
        np.testing.assert_allclose(
            evaluate(short, known, expr.axes), evaluate(expr, values), rtol=1e-9, atol=1e-9
        )


# ---- how formulas read ----------------------------------------------------------------------

n, p, c = Dim("n", 20), Dim("p", 5), Dim("c", 3)
X, y, Y = Symbol("X", "data", (n, p)), Symbol("y", "data", (n,)), Symbol("Y", "data", (n, c))
weights, W = Symbol("w", "variable", (p,)), Symbol("W", "variable", (p, c))
loglam, s = Symbol("loglam", "variable", (p,)), Symbol("s", "variable", (n,))
a0 = argument(0)


def ridge() -> Expr:
    residual = subtract(contract([leaf(X), leaf(weights)], weights.axes), leaf(y))
    loss = divide(contract([residual, residual], y.axes), size(n))
    penalty = contract([apply(sympy.exp(a0), [leaf(loglam)]), power(leaf(weights), constant(2))], weights.axes)
    return add(loss, penalty)


def cleaning() -> Expr:
    scores = contract([leaf(X), leaf(W)], weights.axes)
    loss = subtract(reduce("logsumexp", scores, Y.axes[1:]), contract([leaf(Y), scores], Y.axes[1:]))
    weighted = contract([apply(functions.sigmoid(a0), [leaf(s)]), loss], s.axes)
    squares = contract([leaf(W), leaf(W)], W.axes)
    return add(divide(weighted, size(n)), multiply(constant(sympy.Rational(1, 1000)), squares))


def test_ridge() -> None:
    objective = ridge()
    (slope,) = gradient(objective, [weights])
    curvature = hessian(objective, weights, weights)
    assert to_text(objective) == "sumsq(X @ w - y)/n + sum(exp(loglam)*w^2)"
    assert to_text(slope) == "2*X.T @ (X @ w - y)/n + 2*exp(loglam)*w"
    assert to_unicode(slope) == "2 Xᵀ(X w − y)/n + 2 exp(loglam) ∘ w"
    assert to_latex(slope) == r"\frac{2}{n} X^{\top} (X w - y) + 2 e^{\mathrm{loglam}} \odot w"
    assert to_unicode(curvature.expr) == "2 Xᵀ X/n + 2 diag(exp(loglam))"


def test_hyper_cleaning() -> None:
    objective = cleaning()
    (slope,) = gradient(objective, [W])
    assert to_unicode(slope, W.axes) == "Xᵀ(sigmoid(s) ∘ (softmax(X W, c) − Y))/n + 0.002 W"
    assert to_text(slope, W.axes[::-1]) == "(X.T @ (sigmoid(s)*(softmax(X @ W, c) - Y))/n + 0.002*W).T"
    curvature = hessian(objective, W, W)
    assert to_unicode(curvature.expr, (*curvature.rows, *curvature.columns)) == (
        "(Σ_i X[i,p] X[i,p′] sigmoid(s[i]) softmax(X W, c)[i,c′]·(δ[c,c′] − softmax(X W, c)[i,c]))/n"
        " + 0.002 δ[c,c′] δ[p,p′]"
    )


def test_shared_parts_get_names() -> None:
    objective = cleaning()
    exprs = [objective, *gradient(objective, [W, s]), hessian(objective, W, W).expr]
    definitions, shortened = with_definitions(exprs, taken=["Z"])
    symbol, body = definitions[0]
    assert (symbol.name, to_unicode(body, symbol.axes)) == ("S", "softmax(X W, c)")
    assert to_unicode(shortened[1], W.axes) == "Xᵀ(sigmoid(s) ∘ (S − Y))/n + 0.002 W"
    assert "Z" not in {symbol.name for symbol, _ in definitions}


def test_nothing_short_gets_a_name() -> None:
    assert with_definitions([ridge(), *gradient(ridge(), [weights])])[0] == []


def test_a_norm_and_its_derivatives() -> None:
    norm = reduce("norm", leaf(weights), weights.axes)
    assert to_unicode(norm) == "‖w‖"
    assert to_unicode(gradient(norm, [weights])[0]) == "w/‖w‖"
    assert to_unicode(hessian(norm, weights, weights).expr) == "I/‖w‖ − w wᵀ/‖w‖³"


def test_labels_along_which_an_expression_is_constant_are_made_visible() -> None:
    row, column = X.axes
    v = leaf(y)
    assert to_text(v, (row, column)) == "y @ ones(p).T"
    assert to_text(v, (column, row)) == "ones(p) @ y.T"
    assert to_text(constant(2), (row,)) == "2*ones(n)"
    assert to_unicode(constant(2), (row, column)) == "2 𝟏 𝟏ᵀ"
    with pytest.raises(ValueError, match="labels"):
        to_text(v, (column,))


def test_outer_products_weights_and_identities() -> None:
    q = Axis(p, 1)
    left = leaf(weights)
    other = leaf(weights, [q])
    assert to_text(multiply(left, other)) == "w @ w.T"
    assert to_text(add(multiply(leaf(loglam), other), delta(*(Axis(p), q)))) == "loglam @ w.T + eye(p)"
    gram = contract([leaf(X), leaf(s), leaf(X, [X.axes[0], q])], s.axes)
    assert to_text(gram, (Axis(p), q)) == "X.T @ diag(s) @ X"
    assert to_text(contract([leaf(X), leaf(y)], y.axes)) == "X.T @ y"
    assert to_text(contract([leaf(X), leaf(y), leaf(weights)], X.axes)) == "dot(y, X @ w)"
    assert to_text(contract([leaf(X)], X.axes[:1])) == "sum(X, n)"


def test_matrix_products_and_signs_among_factors() -> None:
    image = contract([leaf(X), leaf(weights)], weights.axes)
    assert to_text(multiply(leaf(y), image)) == "y*(X @ w)"
    assert to_unicode(multiply(leaf(y), image)) == "y ∘ (X w)"
    assert to_text(divide(multiply(constant(3), image), size(n))) == "3*X @ w/n"
    assert to_text(divide(image, leaf(y))) == "(X @ w)/y"
    axes = (Axis(p), Axis(p, 1))
    assert to_text(multiply(negate(leaf(weights)), leaf(loglam, axes[1:])), axes) == "-w @ loglam.T"
    assert to_text(multiply(negate(leaf(weights)), negate(leaf(loglam, axes[1:]))), axes) == "w @ loglam.T"


def test_softmax_is_found_in_powers_and_products() -> None:
    scores = contract([leaf(X), leaf(W)], weights.axes)
    total = reduce("logsumexp", scores, Y.axes[1:])
    both = [scores, rename(scores, {Axis(c): Axis(c, 1)}), total]
    assert to_text(apply(sympy.exp(2 * a0 - 2 * argument(1)), [scores, total])) == "softmax(X @ W, c)^2"
    assert to_text(apply(sympy.exp(a0 - argument(1)) - a0, [scores, total])) == "softmax(X @ W, c) - X @ W"
    product = apply(sympy.exp(a0 + argument(1) - 2 * argument(2)), both)
    factors = {"softmax(X @ W, c)[n, c]", "softmax(X @ W, c)[n, c']"}
    assert set(to_text(product).split("*")) == factors
    heat = [scores, total, leaf(Symbol("t", "variable"))]
    assert to_text(apply(sympy.exp(a0 - argument(1) * argument(2)), heat)) == "exp(X @ W - t*logsumexp(X @ W, c))"
    assert to_text(apply(sympy.exp(a0 - argument(1) / 2), [scores, total])) == "exp(X @ W - logsumexp(X @ W, c)/2)"


def test_axes_of_one_index_set_are_told_apart() -> None:
    Q = Symbol("Q", "data", (p, p))
    assert to_text(reduce("max", leaf(Q), [Axis(p)])) == "max(Q, rows)"
    assert to_text(reduce("max", leaf(Q), [Axis(p, 1)])) == "max(Q, columns)"
    assert to_text(leaf(Q, [Axis(p), Axis(p)])) == "diag(Q)"
    assert to_text(leaf(Q, [Axis(p, 1), Axis(p)]), (Axis(p), Axis(p, 1))) == "Q.T"


def test_elements_and_slices() -> None:
    three, part = Dim("3", 3), Dim("p[1:4]", 3)
    z = Symbol("z", "variable", (three,))
    first = select(leaf(z), [(z.axes[0], IndexMap.of(0))])
    assert to_text(first) == "z[0]"
    assert to_text(select(leaf(X), [(X.axes[1], IndexMap.of(2))])) == "X[:, 2]"
    window = IndexMap.of(np.arange(1, 4), "1:4")
    assert to_text(select(leaf(weights), [(weights.axes[0], window)], Axis(part))) == "w[1:4]"
    chosen = IndexMap.of(np.array([4, 0, 2]), "chosen")
    assert to_text(select(leaf(weights), [(weights.axes[0], chosen)], Axis(three))) == "w[chosen]"
    many = IndexMap.of(np.array([9, 3, 4, 5, 6, 7, 8, 2]))
    assert to_text(select(leaf(y), [(y.axes[0], many)], Axis(Dim("8", 8)))) == "y[[9, 3, ..., 2]]"
    assert to_latex(first) == "z_{0}"


def test_small_gradients_by_element_are_vectors() -> None:
    z = Symbol("z", "variable", (Dim("3", 3),))
    first, last = (select(leaf(z), [(z.axes[0], IndexMap.of(k))]) for k in (0, 2))
    (slope,) = gradient(multiply(power(first, constant(2)), last), [z])
    assert to_text(slope) == "[2*z[0]*z[2], 0, z[0]^2]"
    assert to_latex(slope) == r"\begin{pmatrix} 2 z_{0}\,z_{2} \\ 0 \\ z_{0}^{2} \end{pmatrix}"
    curvature = hessian(multiply(power(first, constant(2)), last), z, z)
    assert to_unicode(curvature.expr) == "[2 z[2], 0, 2 z[0]; 0, 0, 0; 2 z[0], 0, 0]"
    with_squares = add(multiply(first, last), contract([leaf(z), leaf(z)], z.axes))
    assert to_text(hessian(with_squares, z, z).expr) == "[[2, 0, 1], [0, 2, 0], [1, 0, 2]]"


def test_large_gradients_by_element_are_unit_vectors() -> None:
    fifth = select(leaf(y), [(y.axes[0], IndexMap.of(5))])
    assert to_text(scatter(power(fifth, constant(3)), [(y.axes[0], IndexMap.of(5))])) == "y[5]^3*unit(n, 5)"
    assert to_unicode(scatter(fifth, [(y.axes[0], IndexMap.of(5))])) == "y[5] e₅"
    assert to_unicode(scatter(negate(fifth), [(y.axes[0], IndexMap.of(5))])) == "−y[5] e₅"
    window = IndexMap.of(np.arange(1, 4), "1:4")
    part = Axis(Dim("n[1:4]", 3))
    placed = scatter(select(leaf(y), [(y.axes[0], window)], part), [(y.axes[0], window)], part)
    assert to_text(placed) == "eye(n)[:, 1:4] @ y[1:4]"


def test_three_labels_are_written_in_indices() -> None:
    i, j, k = Dim("i", 2), Dim("j", 3), Dim("k", 4)
    T, v = Symbol("T", "data", (i, j, k)), Symbol("v", "variable", (k,))
    product = contract([leaf(T), leaf(v)], v.axes)
    assert to_text(product) == "sum(T[i, j, k]*v[k] for k)"
    assert to_latex(product) == r"\sum_{k} T_{i,j,k}\,v_{k}"
    assert to_text(divide(product, size(k))) == "sum(T[i, j, l]*v[l] for l in k)/k"
    assert to_text(reduce("max", leaf(T), T.axes)) == "max(T[i, j, k] for i, j, k)"


def test_a_summed_label_never_takes_the_name_of_one_in_sight() -> None:
    i, j, k = Dim("i", 2), Dim("j", 3), Dim("k", 4)
    T = Symbol("T", "data", (i, j, k))
    picked = select(contract([leaf(T)], [Axis(i)]), [(Axis(k), IndexMap.of(np.array([3, 1]), "at"))], Axis(i))
    U = leaf(Symbol("U", "data", (i, j, k)))
    assert to_text(multiply(picked, U)) == "U[i, j, k]*sum(T[i', j, at[i]] for i')"
    inner = contract([leaf(T), reduce("max", U, [Axis(i)])], [Axis(k)])
    shifted = select(inner, [(Axis(i), IndexMap.of(np.array([1, 0, 1, 1]), "at"))], Axis(k))
    assert to_text(shifted, (Axis(j), Axis(k))) == "sum(T[at[k], j, k']*max(U[i, j, k'] for i) for k')"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (sympy.Rational(1, 1000), "0.001"), (sympy.Rational(1, 3), "1/3"), (sympy.Rational(-3, 7), "-3/7"),
        (sympy.Rational(1, 2), "1/2"), (sympy.Rational(3, 2), "1.5"), (0.1, "0.1"), (1e-8, "1e-8"), (-2, "-2"),
        (2.5e10, "25000000000"), (sympy.Integer(10) ** 400, "1e400"), (sympy.Integer(2) ** 60, str(2**60)),
        (sympy.oo, "inf"), (-sympy.oo, "-inf"), (sympy.pi, "pi"), (sympy.E, "exp(1)"), (sympy.sqrt(2), "sqrt(2)"),
    ],
)  # fmt: skip
def test_numbers(value: object, text: str) -> None:
    assert to_text(constant(value)) == text
    check_latex(to_latex(constant(value)))


def test_scalar_functions() -> None:
    u, v = (leaf(Symbol(name, "variable")) for name in "uv")
    a1 = argument(1)
    written = {
        functions.xlogx(a0): "u*log(u)",
        functions.relative_entropy(a0, a1): "u*log(u/v)",
        functions.maximum(a0, a1): "max(u, v)",
        functions.divide0(a0, a1): "u/v",
        functions.equal(a0, a1): "indicator(u == v)",
        functions.inside(a0, a1): "indicator(abs(u) <= v)",
        functions.exceed(a0, a1): "max(abs(u) - v, 0)",
        functions.huber(a0, a1): "huber(u, v)",
        a0 ** (a1 + 1): "u^(v + 1)",
        (a0 + a1) ** -2: "1/(u + v)^2",
        -a0 / (a1 * (a0 - 1)): "-u/(v*(u - 1))",
        sympy.sqrt(a0) / sympy.sqrt(a1): "sqrt(u)/sqrt(v)",
        a0 ** sympy.Rational(1, 3): "u^(1/3)",
        sympy.Abs(a0) - a1**2: "abs(u) - v^2",
        sympy.exp(-a0): "exp(-u)",
        sympy.Integer(2) ** -a0: "2^(-u)",
    }  # fmt: skip
    assert {fn: to_text(apply(fn, [u, v])) for fn in written} == written
    for fn in written:
        check_latex(to_latex(apply(fn, [u, v])))


def test_common_factors_are_taken_out_of_scalars() -> None:
    u, v = (leaf(Symbol(name, "variable")) for name in "uv")
    assert to_text(apply(a0 * sympy.sin(argument(1)) + a0 * argument(1), [u, v])) == "u*(v + sin(v))"
    assert to_text(apply(sympy.sin(a0) ** 2 + sympy.cos(a0) ** 2, [u])) == "1"


def test_names_in_latex() -> None:
    names = {
        "x": "x", "x1": "x_{1}", "lambda": r"\lambda", "mu_cap": r"\mu_{\mathrm{cap}}", "toll": r"\mathrm{toll}",
        "X_val": r"X_{\mathrm{val}}", "a_b_c": r"a_{\mathrm{b\_c}}", "rate2": r"\mathrm{rate}_{2}",
    }  # fmt: skip
    assert {name: to_latex(leaf(Symbol(name, "variable"))) for name in names} == names
    indexed = select(leaf(Symbol("x1", "variable", (n,))), [(y.axes[0], IndexMap.of(3))])
    assert to_latex(indexed) == "{x_{1}}_{3}"


def test_an_elementwise_power_of_a_matrix_is_no_matrix_power() -> None:
    assert to_unicode(power(leaf(W), constant(3))) == "W^∘3"
    assert to_latex(power(leaf(W), constant(3))) == r"W^{\circ 3}"
    assert to_latex(apply(sympy.exp(a0), [leaf(W)])) == r"\exp(W)"


# ---- bounds on the output -------------------------------------------------------------------


def test_data_are_never_printed() -> None:
    data = Symbol("d", "data", (n,), np.full(20, 7.25))
    assert to_text(contract([leaf(data), leaf(y)], y.axes)) in ("dot(d, y)", "dot(y, d)")


def test_long_sums_are_cut_in_little_time() -> None:
    many = [leaf(Symbol(f"x{k}", "variable")) for k in range(1500)]
    total = add(*(multiply(constant(k + 2), power(v, constant(2))) for k, v in enumerate(many)))
    start = time.perf_counter()
    text = to_text(total)
    assert time.perf_counter() - start < 10
    assert text.endswith(" + ...") and len(text) < LIMIT


def test_deep_and_shared_expressions_are_cut() -> None:
    k = Dim("k", 3)
    M, v = Symbol("M", "data", (k, k)), leaf(Symbol("v", "variable", (k,)))
    deep, wide = v, v
    for _ in range(150):
        deep = rename(contract([leaf(M), apply(sympy.tanh(a0), [deep])], [Axis(k)]), {Axis(k, 1): Axis(k)})
    for _ in range(30):
        image = rename(contract([leaf(M), wide], [Axis(k)]), {Axis(k, 1): Axis(k)})
        wide = add(apply(sympy.tanh(a0), [image]), apply(sympy.sin(a0), [image]))
    assert "..." in to_text(deep)
    for write in (to_text, to_unicode, to_latex):
        assert "shortened" in write(wide)
        assert len(write(wide)) < 2 * LIMIT
    check_latex(to_latex(wide))
    check_latex(to_latex(deep))
