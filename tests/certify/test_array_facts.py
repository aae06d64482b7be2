"""Followers over arrays: constants against eigenvalues computed another way, and data that spoil convexity."""

import time

import numpy as np
import pytest
import sympy
from programs import FREE, facts, program, variable
from scipy import sparse
from scipy.sparse import linalg

from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.expr import (
    Dim,
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
    power,
    reduce,
    scatter,
    select,
    size,
    subtract,
)  # fmt: skip
from bileveldsl.calculus.functions import sigmoid, softplus
from bileveldsl.calculus.printing import to_text
from bileveldsl.certify.curvature import Composition
from bileveldsl.certify.gram import gram
from bileveldsl.certify.modulus import Modulus
from bileveldsl.certify.ranges import Ranges
from bileveldsl.certify.region import Region

T = argument(0)
RNG = np.random.default_rng(1)


def data(name, dims, value):
    return Symbol(name, "data", dims, np.asarray(value, dtype=float))


def sumsq(node):
    return contract([node, node], node.axes)


def least_squares(n_size, p_size, seed=0):
    n, p = Dim("n", n_size), Dim("p", p_size)
    rng = np.random.default_rng(seed)
    X, target = data("X", (n, p), rng.normal(size=(n_size, p_size))), data("b", (n,), rng.normal(size=n_size))
    w, loglam = Symbol("w", "variable", (p,)), Symbol("loglam", "variable", (p,))
    residual = subtract(contract([leaf(X), leaf(w)], w.axes), leaf(target))
    return X, w, loglam, divide(sumsq(residual), size(n))


@pytest.mark.parametrize("p_size", [3, 30, 120])
def test_ridge_has_the_modulus_of_its_data_and_its_penalty(p_size):
    X, w, loglam, loss = least_squares(200, p_size)
    penalty = contract([apply(sympy.exp(T), [leaf(loglam)]), power(leaf(w), constant(2))], w.axes)
    found = facts(program(add(loss, penalty), [variable(loglam, (-8, 4))], [variable(w)]))
    spectrum = np.linalg.svd(X.value, compute_uv=False) ** 2 * 2 / 200
    strong, smooth = found["strongly_convex"], found["smooth"]
    assert spectrum[-1] + 2 * np.exp(-8) >= strong.constant * (1 - 1e-12)
    assert strong.constant >= (spectrum[-1] + 2 * np.exp(-8)) * 0.99  # the search ends at a percent
    assert spectrum[0] + 2 * np.exp(4) <= smooth.constant * (1 + 1e-12)
    assert smooth.constant <= (spectrum[0] + 2 * np.exp(4)) * 1.01


def test_more_parameters_than_data_leave_only_the_penalty():
    _, w, loglam, loss = least_squares(10, 30)
    penalty = contract([apply(sympy.exp(T), [leaf(loglam)]), power(leaf(w), constant(2))], w.axes)
    assert facts(program(loss, [], [variable(w)]))["strongly_convex"].verdict != "proved"
    strong = facts(program(add(loss, penalty), [variable(loglam, (-8, 4))], [variable(w)]))["strongly_convex"]
    assert strong.constant == pytest.approx(2 * np.exp(-8), rel=1e-6) and strong.constant <= 2 * np.exp(-8)
    pointwise = facts(program(add(loss, penalty), [variable(loglam)], [variable(w)]))["strongly_convex"]
    assert (pointwise.verdict, pointwise.constant, pointwise.x) == ("proved", None, "pointwise")


def hypercleaning(n_size, p_size, c_size, weight=sigmoid, one_hot=None):
    n, p, c = Dim("n", n_size), Dim("p", p_size), Dim("c", c_size)
    X = data("X", (n, p), RNG.normal(size=(n_size, p_size)))
    Y = data("Y", (n, c), np.eye(c_size)[RNG.integers(0, c_size, n_size)] if one_hot is None else one_hot)
    W, s = Symbol("W", "variable", (p, c)), Symbol("s", "variable", (n,))
    scores = contract([leaf(X), leaf(W)], [W.axes[0]])
    loss = subtract(reduce("logsumexp", scores, [W.axes[1]]), contract([leaf(Y), scores], [W.axes[1]]))
    weighted = divide(contract([apply(weight(T), [leaf(s)]), loss], s.axes), size(n))
    ridge = multiply(constant(sympy.Rational(1, 1000)), sumsq(leaf(W)))
    return program(add(weighted, ridge), [variable(s)], [variable(W)]), X


def test_data_hypercleaning_is_strongly_convex_by_its_penalty():
    made, X = hypercleaning(60, 7, 4)
    found = facts(made)
    assert found["convex"].verdict == "proved"
    assert 0.00199999 < found["strongly_convex"].constant <= 0.002
    top = np.linalg.svd(X.value, compute_uv=False)[0] ** 2
    assert found["smooth"].constant == pytest.approx(0.002 + top / 60 / 2, rel=1e-6)


def test_the_labels_may_have_any_sign_but_the_weights_may_not():
    signed, _ = hypercleaning(20, 3, 4, one_hot=RNG.normal(size=(20, 4)))
    assert facts(signed)["convex"].verdict == "proved"
    made, _ = hypercleaning(20, 3, 4, weight=sympy.tanh)
    assert facts(made)["convex"].verdict == "refuted"
    composition = Composition(made.lower[0].symbols, Ranges(Region(made, made.lower[0]).boxes))
    assert composition(made.lower[0].objective).why.startswith("tanh(s) may be negative or positive")


def test_a_large_model_takes_well_under_a_second():
    made, _ = hypercleaning(1000, 65, 10)
    facts(made)
    start = time.process_time()
    assert facts(made)["strongly_convex"].verdict == "proved"
    assert time.process_time() - start < 2


def test_one_negative_weight_among_many_is_found():
    p = Dim("p", 500)
    y = Symbol("y", "variable", (p,))
    weights = np.ones(500)
    objective = contract([leaf(data("d", (p,), weights)), leaf(y), leaf(y)], y.axes)
    found = facts(program(objective, [], [variable(y)]))
    assert (found["strongly_convex"].constant, found["smooth"].constant) == (2.0, 2.0)
    weights = np.where(np.arange(500) == 371, -1e-11, 1.0)
    objective = contract([leaf(data("d", (p,), weights)), leaf(y), leaf(y)], y.axes)
    found = facts(program(objective, [], [variable(y)]))
    assert found["convex"].verdict == "refuted"
    direction = np.array(found["convex"].witness["direction"]["y"])
    assert (2 * weights * direction**2).sum() < 0


def test_weights_of_each_element_give_the_least_of_them():
    p = Dim("p", 4)
    y, x = Symbol("y", "variable", (p,)), Symbol("x", "variable", (p,))
    scale = data("c", (p,), [1, 2, 3, 4])
    curve = contract([leaf(scale), power(subtract(leaf(y), leaf(x)), constant(2))], y.axes)
    found = facts(program(curve, [variable(x)], [variable(y)]))
    assert (found["strongly_convex"].constant, found["smooth"].constant) == (2.0, 8.0)


def test_selected_elements_count_as_often_as_they_are_selected():
    p, k = Dim("p", 3), Dim("k", 4)
    y = Symbol("y", "variable", (p,))
    picked = select(leaf(y), [(y.axes[0], IndexMap.of(np.array([0, 1, 1, 0])))], Symbol("", "data", (k,)).axes[0])
    found = facts(program(sumsq(picked), [], [variable(y)]))
    assert found["convex"].verdict == "proved"
    assert found["strongly_convex"].verdict == "refuted"  # y[2] occurs nowhere
    assert found["smooth"].constant == 4.0
    whole = add(sumsq(picked), power(select(leaf(y), [(y.axes[0], IndexMap.of(2))]), constant(2)))
    found = facts(program(whole, [], [variable(y)]))
    assert (found["strongly_convex"].constant, found["smooth"].constant) == (2.0, 4.0)


@pytest.mark.parametrize("p_size", [4, 60])
def test_quadratic_forms(p_size):
    p = Dim("p", p_size)
    y = Symbol("y", "variable", (p,))
    a, b = Symbol("", "data", (p, p)).axes
    root = RNG.normal(size=(p_size, p_size))
    matrix = root @ root.T + np.eye(p_size)
    for sign, verdict in ((1, "proved"), (-1, "refuted")):
        form = contract([leaf(data("Q", (p, p), sign * matrix), (a, b)), leaf(y, (a,)), leaf(y, (b,))], (a, b))
        found = facts(program(form, [], [variable(y)]))
        assert found["convex"].verdict == verdict
    least = np.linalg.eigvalsh(matrix + matrix.T)[0]
    form = contract([leaf(data("Q", (p, p), matrix), (a, b)), leaf(y, (a,)), leaf(y, (b,))], (a, b))
    strong = facts(program(form, [], [variable(y)]))["strongly_convex"]
    assert least * (1 - 1e-6) <= strong.constant <= least * (1 + 1e-12)
    assert strong.constant_upper >= strong.constant


def test_logistic_regression_with_a_penalty_of_the_leader():
    X, w, lam, _ = least_squares(150, 12)
    margins = contract([leaf(X), leaf(w)], w.axes)
    loss = divide(contract([apply(softplus(T), [margins])], margins.axes), size(X.dims[0]))
    penalty = contract([apply(sympy.exp(T), [leaf(lam)]), leaf(w), leaf(w)], w.axes)
    found = facts(program(add(loss, penalty), [variable(lam, (-3, 1))], [variable(w)]))
    assert 2 * np.exp(-3) * (1 - 1e-9) <= found["strongly_convex"].constant <= 2 * np.exp(-3)
    top = np.linalg.svd(X.value, compute_uv=False)[0] ** 2
    assert found["smooth"].constant <= (top / 150 / 4 + 2 * np.e) * (1 + 1e-6)


def test_two_variables_of_the_follower_need_both_their_terms():
    _, w, lam, _ = least_squares(5, 3)
    bias = Symbol("bias", "variable")
    one = facts(program(sumsq(leaf(w)), [], [variable(w), variable(bias)]))["strongly_convex"]
    assert one.verdict == "refuted"
    both = add(sumsq(leaf(w)), multiply(constant(3), power(leaf(bias), constant(2))))
    strong = facts(program(both, [], [variable(w), variable(bias)]))["strongly_convex"]
    assert strong.constant == 2.0
    assert lam.shape == w.shape


def test_a_linear_program_is_convex_and_nothing_more():
    i, j = Dim("i", 30), Dim("j", 40)
    flow, toll = Symbol("flow", "variable", (i, j)), Symbol("toll", "variable", (j,))
    cost = data("cost", (i, j), RNG.normal(size=(30, 40)))
    objective = add(
        contract([leaf(cost), leaf(flow)], flow.axes), contract([leaf(toll, (flow.axes[1],)), leaf(flow)], flow.axes)
    )
    found = facts(program(objective, [variable(toll)], [variable(flow, (0, np.inf))]))
    assert found["convex"].verdict == "proved"
    assert found["strongly_convex"].verdict == "refuted"
    assert (found["smooth"].constant, found["smooth"].scope["y"]) == (0.0, "region")


def test_other_followers_are_parameters():
    u, v = Symbol("u", "variable"), Symbol("v", "variable")
    found = facts(program(power(subtract(leaf(v), leaf(u)), constant(2)), [variable(u, FREE)], [variable(v)]))
    assert found["strongly_convex"].constant == 2.0


# ---- large matrices, moduli that vary with x, more unknowns than data ------------------------


def modulus_of(made):
    level = made.lower[0]
    return Modulus(Composition(level.symbols, Ranges(Region(made, level).boxes)), level.symbols), level.objective


def test_a_large_matrix_has_the_bounds_of_its_singular_values():
    X, w, _, loss = least_squares(700, 500)
    spectrum = np.linalg.svd(X.value, compute_uv=False) ** 2 * 2 / 700
    start = time.process_time()
    modulus, root = modulus_of(program(loss, [], [variable(w)]))
    bound = modulus(root)[w]
    assert time.process_time() - start < 5
    assert spectrum[-1] * (1 - 1e-6) <= bound.least <= spectrum[-1] * (1 + 1e-12)
    assert spectrum[0] * (1 - 1e-12) <= bound.greatest <= spectrum[0] * (1 + 1e-6)


@pytest.mark.parametrize("shape", [(8, 20), (110, 130)])
def test_more_unknowns_than_data_satisfy_the_inequality_with_the_least_singular_value(shape):
    X, w, _, loss = least_squares(*shape)
    modulus, root = modulus_of(program(loss, [], [variable(w)]))
    expected = np.linalg.svd(X.value, compute_uv=False)[-1] ** 2 * 2 / shape[0]
    assert modulus(root)[w].least == 0
    assert modulus.polyak_lojasiewicz(root) == pytest.approx(expected, rel=1e-6)
    assert modulus.polyak_lojasiewicz(root) <= expected * (1 + 1e-12)


def test_a_linear_term_or_a_flat_loss_spoils_the_inequality():
    X, w, _, loss = least_squares(8, 20)
    margins = contract([leaf(X), leaf(w)], w.axes)
    for root in (
        add(loss, contract([leaf(w)], w.axes)),
        contract([apply(softplus(T), [margins])], margins.axes),
        add(loss, apply(sympy.cos(T), [select(leaf(w), [(w.axes[0], IndexMap.of(3))])])),
    ):
        modulus, root = modulus_of(program(root, [], [variable(w)]))
        assert modulus.polyak_lojasiewicz(root) == 0


def test_the_modulus_as_an_expression_in_the_variables_of_the_leader():
    _, w, loglam, loss = least_squares(10, 30)
    lam = Symbol("lam", "variable")
    for weight, box, text in (
        (apply(sympy.exp(T) / 2, [leaf(lam)]), (-5, 5), "exp(lam)"),
        (apply(T**2, [leaf(lam)]), FREE, "2*lam^2"),
    ):
        penalty = multiply(weight, sumsq(leaf(w)))
        modulus, root = modulus_of(program(add(loss, penalty), [variable(lam, box)], [variable(w)]))
        assert to_text(modulus.at_each(root)) == text
    each = contract([apply(sympy.exp(T), [leaf(loglam)]), power(leaf(w), constant(2))], w.axes)
    modulus, root = modulus_of(program(add(loss, each), [variable(loglam)], [variable(w)]))
    assert to_text(modulus.at_each(root)) == "min(2*exp(loglam))"
    modulus, root = modulus_of(program(loss, [variable(lam)], [variable(w)]))
    assert modulus.at_each(root) is None


def test_the_modulus_at_each_x_is_below_the_least_eigenvalue():
    X, w, loglam, loss = least_squares(40, 6)
    each = contract([apply(sympy.exp(T), [leaf(loglam)]), power(leaf(w), constant(2))], w.axes)
    modulus, root = modulus_of(program(add(loss, each), [variable(loglam)], [variable(w)]))
    below = modulus.at_each(root)
    rng = np.random.default_rng(0)
    for _ in range(5):
        x = rng.normal(size=6)
        hessian = X.value.T @ X.value * 2 / 40 + 2 * np.diag(np.exp(x))
        assert 0 < evaluate(below, {loglam: x}) <= np.linalg.eigvalsh(hessian)[0] * (1 + 1e-12)


def test_a_variable_and_its_bias_make_one_matrix():
    X, w, _, _ = least_squares(50, 4)
    bias, target = Symbol("c", "variable"), data("t", (X.dims[0],), RNG.normal(size=50))
    residual = subtract(add(contract([leaf(X), leaf(w)], w.axes), leaf(bias)), leaf(target))
    strong = facts(program(sumsq(residual), [], [variable(w), variable(bias)]))["strongly_convex"]
    expected = 2 * np.linalg.svd(np.c_[X.value, np.ones(50)], compute_uv=False)[-1] ** 2
    assert expected * (1 - 1e-9) <= strong.constant <= expected


def test_a_list_of_nonzeros_is_never_made_a_matrix():
    rows, columns, count = 10**4, 5 * 10**3, 2000
    n, p, k = Dim("n", rows), Dim("p", columns), Dim("k", count)
    V, y = data("V", (k,), RNG.normal(size=count)), Symbol("y", "variable", (p,))
    at_row, at_column = RNG.integers(0, rows, count), RNG.integers(0, columns, count)
    along = V.axes[0]
    picked = select(leaf(y), [(y.axes[0], IndexMap.of(at_column))], along)
    product = scatter(multiply(leaf(V), picked), [(Symbol("", "data", (n,)).axes[0], IndexMap.of(at_row))], along)
    found = gram(product, [y], Ranges({}))
    matrix = sparse.coo_array((V.value, (at_row, at_column)), shape=(rows, columns)).tocsr()
    true = linalg.svds(matrix, 1, return_singular_vectors=False)[0] ** 2
    norms = abs(matrix).sum(0).max() * abs(matrix).sum(1).max()
    assert true <= found.greatest <= norms * (1 + 1e-9)


def test_the_square_root_of_a_quadratic_is_smooth_everywhere():
    X, w, _, _ = least_squares(40, 5)
    margins = contract([leaf(X), leaf(w)], w.axes)
    root = contract([apply(sympy.sqrt(1 + T**2), [margins])], margins.axes)
    smooth = facts(program(root, [], [variable(w)]))["smooth"]
    assert smooth.constant == pytest.approx(np.linalg.svd(X.value, compute_uv=False)[0] ** 2, rel=1e-9)
