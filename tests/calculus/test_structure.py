"""Kinds of functions, and their coefficients as sparse matrices, against evaluation at random points."""

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import bileveldsl as blv
from bileveldsl.calculus.derivative import hessian
from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.expr import Axis, Dim, IndexMap, Symbol, apply, argument, contract, delta, leaf, select
from bileveldsl.calculus.sparse import affine_form, quadratic_form
from bileveldsl.calculus.structure import degree, kind

TEXT = """
model t
dim n = 4, p = 3
set N = ["a", "b", "c", "d"]
set A within (N, N) = [("a","b"), ("b","d"), ("a","c"), ("c","d"), ("a","d")]
set K = ["k1", "k2"]
set S within A = [("c","d"), ("a","b")]
param X[n, p] = [[1, 0, 2], [0, 3, 0], [-1, 1, 0.5], [0, 0, 4]]
param b[n] = [1, -1, 2, 0.5]
param cost[A] = [1, 2, 3, 4, 0]
param Q[p, p] = [[2, 1, 0], [1, 3, -1], [0, -1, 4]]
upper {
  var x
  var toll[S]
  minimize x + sum(toll)
}
lower {
  var w[p]
  var f[K, A]
  minimize OBJECTIVE
  row: ROW <= 1
}
"""


def built(objective="0*x", row="w[0]"):
    program = blv.loads(TEXT.replace("OBJECTIVE", objective + " + sum(w) + sum(f)").replace("ROW", row)).program()
    return program, [v.symbol for v in program.lower[0].variables], [v.symbol for v in program.upper.variables]


ROWS = [
    ("X @ w - b", "affine"),
    ("2*(X @ w) + x*b - x", "affine"),
    ("x*w", "affine"),
    ("X @ (Q @ w) + 1 - X @ w", "affine"),
    ("w[0] + 3*w[2] - sum(w)", "affine"),
    ("w[1:3] * 2", "affine"),
    ("(w + 1)^2 - w^2", "affine"),
    ("sum(f, A)", "affine"),
    ("f @ cost", "affine"),
    ("sum(f[k, i, j] for k in K, (i, j) in S)", "affine"),
    ("sum(toll[i, j]*f[k, i, j] for k in K, (i, j) in S)", "affine"),
    ("w^2", "quadratic"),
    ("w * (Q @ w)", "quadratic"),
    ("x^3 * w^2", "quadratic"),
    ("exp(w)", "nonlinear"),
    ("w^3", "nonlinear"),
    ("abs(w)", "nonlinear"),
    ("1/(1 + w^2)", "nonlinear"),
    ("logsumexp(w)", "nonlinear"),
    ("w^2 * w - w^3 + w", "affine"),
]


@pytest.mark.parametrize(("row", "expected"), ROWS)
def test_the_kind_in_the_follower(row, expected):
    program, lower, _ = built(row=row)
    assert kind(program.lower[0].constraints[0].body, lower) == expected


def test_the_kind_depends_on_what_is_held_fixed():
    program, lower, upper = built("exp(x)*sumsq(w) + dot(toll, toll)*sum(w)")
    objective = program.lower[0].objective
    assert kind(objective, lower) == "quadratic"
    assert kind(objective, upper) == "nonlinear"
    assert degree(objective, [lower[1]]) == 1
    assert kind(objective, []) == "constant"


def at_random(symbols, seed=0):
    rng = np.random.default_rng(seed)
    return {s: rng.normal(size=s.shape) for s in symbols}


def flat(values, symbols):
    return np.concatenate([np.ravel(values[s]) for s in symbols])


FAMILY = (
    "balance[k in K, v in N]: sum(f[k, i, j] for (i, j) in A if i == v) - sum(f[k, i, j] for (i, j) in A if j == v)"
    " + sum(toll[i, j] for (i, j) in S if i == v) == w[0]"
)


@pytest.mark.parametrize("row", [*(r for r, k in ROWS if k == "affine")])
def test_affine_coefficients_give_the_value_everywhere(row):
    program, lower, upper = built(row=row)
    constraint = program.lower[0].constraints[0]
    fixed = at_random(upper, 1)
    form = affine_form(constraint.body, constraint.axes, lower, fixed)
    for seed in range(2, 5):
        point = at_random(lower, seed)
        expected = evaluate(constraint.body, {**fixed, **point}, constraint.axes).ravel()
        assert form.matrix @ flat(point, lower) + form.constant == pytest.approx(expected, abs=1e-12)


def test_a_family_over_a_network_is_its_incidence_matrix():
    text = TEXT.replace("row: ROW <= 1", FAMILY).replace("OBJECTIVE", "sum(w) + sum(f)")
    program = blv.loads(text).program()
    (balance,) = program.lower[0].constraints
    _, f = (v.symbol for v in program.lower[0].variables)
    toll = program.upper.variables[1].symbol
    form = affine_form(balance.body, balance.axes, [f, toll])
    nodes, arcs = program.sets["N"], program.sets["A"]
    incidence = np.array([[(a[0] == v) - (a[1] == v) for a in arcs] for v in nodes], dtype=float)
    tails = np.array([[a[0] == v for a in program.sets["S"]] for v in nodes], dtype=float)
    expected = np.hstack([np.kron(np.eye(2), incidence), np.vstack([tails, tails])])
    assert np.array_equal(form.matrix.toarray(), expected)
    assert form.matrix.nnz == np.count_nonzero(expected)


QUADRATICS = [
    "sumsq(X @ w - b)",
    "0.5*dot(w, Q @ w) - x*sum(w)",
    "sum((f[k, i, j] - cost[i, j])^2 for k in K, (i, j) in A)",
    "sumsq(sum(f, K)) + w[0]*sum(f @ cost) + x^2",
    "sum(toll[i, j]*f[k, i, j]*f[k, i, j] for k in K, (i, j) in S)",
    "(w[0] - w[1])^2 + w[2]",
]


@pytest.mark.parametrize("objective", QUADRATICS)
def test_quadratic_coefficients_give_value_and_hessian(objective):
    program, lower, upper = built(objective)
    function = program.lower[0].objective
    fixed = at_random(upper, 1)
    form = quadratic_form(function, lower, fixed)
    point = at_random(lower, 2)
    z = flat(point, lower)
    assert z @ (form.Q @ z) / 2 + form.c @ z + form.constant == pytest.approx(
        float(evaluate(function, {**fixed, **point}))
    )
    assert np.array_equal(form.Q.toarray(), form.Q.toarray().T)
    blocks = [[hessian(function, r, c) for c in lower] for r in lower]
    dense = np.block(
        [
            [
                evaluate(h.expr, {**fixed, **point}, (*h.rows, *h.columns)).reshape(np.prod(r.shape), np.prod(c.shape))
                for h, c in zip(row, lower, strict=True)
            ]
            for row, r in zip(blocks, lower, strict=True)
        ]
    )
    assert form.Q.toarray() == pytest.approx(dense, abs=1e-12)


def test_what_is_not_affine_is_refused():
    program, lower, _ = built(row="w^2")
    constraint = program.lower[0].constraints[0]
    with pytest.raises(ValueError, match="not affine"):
        affine_form(constraint.body, constraint.axes, lower)


def test_matrices_stay_sparse_on_large_networks():
    count = 5_000
    nodes = ", ".join(str(k) for k in range(count))
    arcs = ", ".join(f"({k}, {(k * 7 + 1) % count})" for k in range(count))
    text = (
        f"model big\nset N = [{nodes}]\nset A within (N, N) = [{arcs}]\nupper {{\nvar x\nminimize x\n}}\n"
        "lower {\nvar f[A]\nminimize sumsq(f)\n"
        "b[v in N]: sum(f[i, j] for (i, j) in A if i == v) - sum(f[i, j] for (i, j) in A if j == v) == x\n}"
    )
    program = blv.loads(text).program()
    (balance,) = program.lower[0].constraints
    form = affine_form(balance.body, balance.axes, [program.lower[0].variables[0].symbol])
    assert form.matrix.shape == (count, count)
    assert form.matrix.nnz <= 2 * count
    assert form.matrix.sum() == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=4, max_size=4), st.integers(0, 3), st.integers(0, 3))
def test_degrees_agree_with_sympy_on_polynomials(coefficients, i, j):
    x, y = Symbol("x", "variable"), Symbol("y", "variable")
    a, b = argument(0), argument(1)
    fn = coefficients[0] * a**i * b**j + coefficients[1] * a * b + coefficients[2] * a + coefficients[3]
    node = apply(fn, [leaf(x), leaf(y)])
    whole = sympy.Poly(fn, a, b).total_degree() if fn.free_symbols else 0
    assert degree(node, [x, y]) == max(whole, 0)


def test_an_identity_seen_through_both_labels_is_no_incidence():
    dim = Dim("J", 3)
    a, b = Axis(dim), Axis(dim, 1)
    first, second = IndexMap.of(np.array([0, 0, 0])), IndexMap.of(np.array([0, 1, 2]))
    total = contract([select(delta(a, b), [(a, first), (b, second)], a)], [a])
    assert float(evaluate(total, {})) == 1
