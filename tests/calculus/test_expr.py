"""The normal form of expressions: it keeps their meaning, and equal expressions are the same object."""

from __future__ import annotations

import gc
from collections.abc import Callable

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from random_expressions import GRID, Term, on_grid, random_values, terms

from bileveldsl.calculus import functions as f
from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.expr import (
    ONE,
    ZERO,
    Axis,
    Contract,
    Delta,
    Dim,
    Expr,
    IndexMap,
    Map,
    Reduce,
    Scatter,
    Select,
    Symbol,
    add,
    apply,
    argument,
    constant,
    constant_value,
    contract,
    delta,
    divide,
    leaf,
    leaves,
    multiply,
    negate,
    power,
    rebuild,
    reduce,
    rename,
    scatter,
    select,
    size,
    substitute,
    subtract,
    topological,
)

N, P = Dim("n", 4), Dim("p", 3)
n, m, p, q, r = Axis(N), Axis(N, 1), Axis(P), Axis(P, 1), Axis(P, 2)
X, Q = Symbol("X", "data", (N, P)), Symbol("Q", "variable", (P, P))
a, b, w, v = (Symbol(name, "variable", (P,)) for name in "abwv")
s, t, u = Symbol("s", "variable"), Symbol("t", "variable"), Symbol("u", "variable", (N,))
TWO = constant(2)


def values_of(*symbols: Symbol) -> dict[Symbol, np.ndarray]:
    rng = np.random.default_rng(1)
    return {symbol: rng.normal(size=symbol.shape) for symbol in symbols}


def fn(function: sympy.Expr, *args: Expr) -> Expr:
    return apply(function, args)


EXP, SIN = sympy.exp(argument(0)), sympy.sin(argument(0))


@settings(max_examples=200, deadline=None)
@given(terms(), st.integers(0, 99))
def test_the_normal_form_keeps_the_meaning(term: Term, seed: int) -> None:
    values = random_values(seed)
    np.testing.assert_allclose(on_grid(term.expr, values), term.meaning(values), rtol=1e-9, atol=1e-9)


@settings(max_examples=100, deadline=None)
@given(terms(), st.permutations(range(2)), st.permutations(range(2)))
def test_the_normal_form_is_stable(term: Term, first: list[int], second: list[int]) -> None:
    """A node rebuilt from its children is itself, and so is one that is renamed there and back."""
    for node in topological([term.expr]):
        assert rebuild(node, node.children) is node
    there = dict(zip(GRID, [GRID[k] for k in first] + [GRID[2 + k] for k in second], strict=True))
    away = {axis: Axis(axis.dim, 7 + axis.prime) for axis in term.expr.axes}
    for names in (there, away):
        back = {new: old for old, new in names.items()}
        assert rename(rename(term.expr, names), back) is term.expr


EQUAL = {
    "sums commute": (add(leaf(s), leaf(t)), add(leaf(t), leaf(s))),
    "products commute": (multiply(leaf(w), leaf(s)), multiply(leaf(s), leaf(w))),
    "maxima commute": (
        fn(f.maximum(argument(0), argument(1)), leaf(s), leaf(t)),
        fn(f.maximum(argument(1), argument(0)), leaf(s), leaf(t)),
    ),
    "sums associate": (add(add(leaf(a), leaf(b)), leaf(w)), add(leaf(a), leaf(b), leaf(w))),
    "x - x is 0": (subtract(leaf(w), leaf(w)), ZERO),
    "x + x is 2x": (add(leaf(w), leaf(w)), multiply(TWO, leaf(w))),
    "a number leaves a factor over fewer labels": (
        multiply(multiply(TWO, leaf(w)), leaf(Q)),
        multiply(TWO, multiply(leaf(w), leaf(Q))),
    ),
    "functions compose": (fn(SIN, fn(EXP, leaf(w))), fn(sympy.sin(EXP), leaf(w))),
    "sumsq(x) is sum(x^2)": (contract([leaf(w), leaf(w)], [p]), contract([power(leaf(w), TWO)], [p])),
    "dot(x, x^3) is sum(x^4)": (
        contract([leaf(w), power(leaf(w), constant(3))], [p]),
        contract([power(leaf(w), constant(4))], [p]),
    ),
    "dot(a, b) is sum(a*b)": (contract([leaf(a), leaf(b)], [p]), contract([multiply(leaf(b), leaf(a))], [p])),
    "the name of a summed label": (contract([leaf(a, [p])], [p]), contract([leaf(a, [q])], [q])),
    "both names of summed labels": (
        contract([leaf(Q, [p, q]), leaf(a, [p]), leaf(b, [q])], [p, q]),
        contract([leaf(Q, [q, p]), leaf(a, [q]), leaf(b, [p])], [p, q]),
    ),
    "the name of a reduced label": (reduce("max", leaf(a, [p]), [p]), reduce("max", leaf(a, [r]), [r])),
    "the name of a selected label": (
        select(leaf(Q, [p, q]), [(q, IndexMap.of(1))]),
        select(leaf(Q, [p, r]), [(r, IndexMap.of(1))]),
    ),
    "a matrix product in either notation": (
        contract([leaf(X), leaf(w)], [p]),
        contract([multiply(leaf(X, [n, q]), leaf(w, [q]))], [q]),
    ),
    "a number leaves a sum": (
        contract([multiply(constant(3), leaf(w))], [p]),
        multiply(constant(3), contract([leaf(w)], [p])),
    ),
    "a factor without the label leaves a sum": (
        contract([leaf(X), fn(EXP, leaf(u))], [p]),
        multiply(fn(EXP, leaf(u)), contract([leaf(X)], [p])),
    ),
    "a sum of ones counts": (contract([ONE], [p, n]), multiply(size(P), size(N))),
    "a sum of products of separate factors": (
        contract([leaf(a, [p]), leaf(b, [q])], [p, q]),
        multiply(contract([leaf(a)], [p]), contract([leaf(b)], [p])),
    ),
    "an identity matrix in a sum renames": (contract([delta(p, q), leaf(a, [p])], [p]), leaf(a, [q])),
    "the trace of an identity": (contract([delta(p, q)], [p, q]), size(P)),
    "the trace of a matrix": (contract([delta(p, q), leaf(Q, [p, q])], [p, q]), contract([leaf(Q, [p, p])], [p])),
    "an identity matrix with equal labels": (rename(delta(p, q), {p: q}), ONE),
    "an element of an identity matrix": (select(delta(p, q), [(p, IndexMap.of(1)), (q, IndexMap.of(2))]), ZERO),
    "every element in order": (select(leaf(a), [(p, IndexMap.of(np.arange(3)))], q), leaf(a, [q])),
    "an added permutation of nothing": (scatter(ZERO, [(p, IndexMap.of(1))]), ZERO),
    "elementwise work and selection": (
        select(fn(EXP, leaf(a)), [(p, IndexMap.of(2))]),
        fn(EXP, select(leaf(a), [(p, IndexMap.of(2))])),
    ),
    "the square of a norm": (power(reduce("norm", leaf(w), [p]), TWO), contract([leaf(w), leaf(w)], [p])),
    "the norm of one number": (reduce("norm", leaf(s), []), fn(sympy.Abs(argument(0)), leaf(s))),
    "the maximum over a label that is absent": (reduce("max", leaf(s), [p]), leaf(s)),
    "a common factor leaves a sum": (
        contract([subtract(multiply(TWO, leaf(a)), multiply(TWO, leaf(b)))], [p]),
        multiply(TWO, contract([subtract(leaf(a), leaf(b))], [p])),
    ),
}


@pytest.mark.parametrize("pair", EQUAL.values(), ids=EQUAL)
def test_equal_expressions_are_the_same_object(pair: tuple[Expr, Expr]) -> None:
    assert pair[0] is pair[1]


def test_numbers_are_exact() -> None:
    assert constant_value(constant(0.1)) == sympy.Rational(3602879701896397, 36028797018963968)
    assert constant_value(constant(np.float32(0.5))) == sympy.Rational(1, 2)
    assert constant_value(divide(ONE, constant(3))) == sympy.Rational(1, 3)
    assert constant_value(negate(fn(sympy.sqrt(argument(0)), TWO))) == -sympy.sqrt(2)


def test_sizes_of_named_sets_keep_their_name() -> None:
    (node,) = leaves(size(P))
    assert node.symbol.name == "p"
    assert constant_value(size(Dim("3", 3))) == 3


# ---- labels ---------------------------------------------------------------------------------


def test_a_repeated_label_is_the_diagonal() -> None:
    values = values_of(Q)
    diagonal = leaf(Q, [p, p])
    assert diagonal.axes == (p,)
    np.testing.assert_array_equal(evaluate(diagonal, values), np.diag(values[Q]))


def test_renaming_does_not_capture() -> None:
    """Each bound label stands in the way of the new name of a free one."""
    row = contract([leaf(Q, [p, q]), leaf(a, [q])], [q])
    nested = contract([fn(SIN, row), leaf(Q, [p, r])], [p])
    largest = reduce("max", multiply(leaf(Q, [p, q]), leaf(b, [q])), [q])
    picked = select(leaf(Q, [p, q]), [(q, IndexMap.of(np.array([0, 2, 1, 1])))], n)
    spread = scatter(leaf(X, [n, q]), [(p, IndexMap.of(np.array([0, 2, 1, 1])))], n)
    values = values_of(Q, X, a, b)
    for node in (row, nested, largest, picked, spread):
        for target in (p, q, r):
            for source in [axis for axis in node.axes if axis.dim == P]:
                if target in node.axes:
                    continue
                renamed = rename(node, {source: target})
                order = [source if axis == target else axis for axis in renamed.axes]
                np.testing.assert_allclose(evaluate(renamed, values), evaluate(node, values, order))


def test_labels_can_be_exchanged() -> None:
    values = values_of(Q)
    swapped = rename(fn(EXP, leaf(Q, [p, q])), {p: q, q: p})
    np.testing.assert_allclose(evaluate(swapped, values, [p, q]), np.exp(values[Q]).T)


def test_elements_along_a_label_that_the_node_has() -> None:
    """`X[n, index[n]]`: one element of each row; its adjoint puts one element into each row."""
    index = np.array([2, 0, 1, 1])
    values = values_of(X) | {b: np.array([1.0, 2.0, 3.0])}
    picked = select(leaf(X), [(p, IndexMap.of(index))], n)
    np.testing.assert_array_equal(evaluate(picked, values), values[X][np.arange(4), index])
    one_hot = np.eye(3)[index]
    back = scatter(multiply(leaf(X), leaf(b)), [(p, IndexMap.of(index))], n)
    np.testing.assert_allclose(evaluate(back, values), (one_hot * values[X] * values[b]).sum(axis=0))


@settings(max_examples=100, deadline=None)
@given(terms(depth=1), terms(depth=1), st.data(), st.integers(0, 9))
def test_scatter_is_the_adjoint_of_select(one: Term, other: Term, data: st.DataObject, seed: int) -> None:
    """<select(u), z> over the labels of the selection is <u, scatter(z)> over those of u."""
    along = Axis(GRID[0].dim, 5)
    at = []
    for axis in data.draw(st.sets(st.sampled_from(GRID), min_size=1, max_size=2)):
        position = st.integers(0, axis.size - 1)
        at.append((axis, IndexMap.of(np.array(data.draw(position | st.lists(position, min_size=2, max_size=2))))))
    targets = {axis for axis, _ in at}
    z = rename(contract([other.expr], targets), {GRID[0]: along, GRID[1]: along})
    values = random_values(seed)
    forward = contract([select(one.expr, at, along), z], {*GRID, along} - targets)
    summed = any(index.positions.ndim for _, index in at)
    backward = contract([one.expr, scatter(z, at, along)], GRID if summed else (*GRID, along))
    np.testing.assert_allclose(evaluate(forward, values), evaluate(backward, values), rtol=1e-10, atol=1e-10)


# ---- substitution ---------------------------------------------------------------------------


def test_substitution_is_evaluation_at_the_value() -> None:
    inside = contract([leaf(Q, [p, q]), fn(SIN, leaf(a, [q]))], [q])
    node = add(
        contract([leaf(Q, [p, q]), leaf(w, [p]), leaf(w, [q])], [p, q]),
        reduce("logsumexp", multiply(leaf(w, [q]), leaf(Q, [p, q])), [q]),
        select(leaf(w), [(p, IndexMap.of(1))]),
    )
    values = values_of(Q, a)
    (replaced,) = substitute([node], {w: inside})
    expected = evaluate(node, values | {w: evaluate(inside, values)})
    np.testing.assert_allclose(evaluate(replaced, values), expected)


def test_substitution_of_a_constant_repeats_it() -> None:
    (replaced,) = substitute([contract([leaf(w)], [p])], {w: leaf(s)})
    assert replaced is multiply(size(P), leaf(s))


# ---- what could break sympy -----------------------------------------------------------------


def test_absolute_values_are_never_split_into_real_and_imaginary_parts() -> None:
    """sympy takes log(x) of a real x for a complex number: |exp(log x)| would become exp(re(log x))."""
    product = multiply(fn(EXP, add(fn(sympy.log(argument(0)), leaf(s)), leaf(t))), fn(SIN, leaf(t)))
    node = fn(sympy.Abs(argument(0)), product)
    assert not any(part.fn.has(sympy.re, sympy.im) for part in topological([node]) if isinstance(part, Map))
    value = evaluate(node, {s: np.array(2.0), t: np.array(-1.0)})
    assert value == pytest.approx(2 * np.exp(-1) * np.sin(1))


@pytest.mark.parametrize("function", [c for c in f.CUSTOM if c is not f.huber], ids=lambda c: c.__name__)
def test_functions_of_the_language_are_real(function: type) -> None:
    arity = 1 if function in (f.softplus, f.sigmoid, f.step, f.xlogx) else 2
    call = function(*(argument(k) for k in range(arity)))
    assert call.is_real
    assert not sympy.Abs(call * argument(0)).has(sympy.re, sympy.im)


def chain(step: Callable[[Expr], Expr], start: Expr, count: int) -> Expr:
    node = start
    for _ in range(count):
        node = step(node)
    return node


def test_deep_expressions_do_not_recurse() -> None:
    """5,000 nested matrix products with a nonlinearity between: built, renamed, selected, substituted, evaluated."""
    weights = Symbol("W", "data", (P, P), np.array([[0.9, 0.3, 0.0], [-0.3, 0.9, 0.1], [0.2, 0.0, 0.8]]))

    def layer(node: Expr) -> Expr:
        return fn(sympy.tanh(argument(0)), contract([leaf(weights, [p, q]), rename(node, {p: q})], [q]))

    deep = chain(layer, leaf(w), 2_500)
    assert len(topological([deep])) > 5_000
    point = np.array([0.3, -0.2, 0.5])
    expected = point
    for _ in range(2_500):
        expected = np.tanh(weights.value @ expected)
    np.testing.assert_allclose(evaluate(deep, {w: point}), expected, rtol=1e-9)
    for variant in (rename(deep, {p: r}), *substitute([deep], {w: leaf(a)}), select(deep, [(p, IndexMap.of(0))])):
        assert len(topological([variant])) > 5_000
    del deep, variant
    gc.collect()


STEPS = {
    "z + sin(z)": lambda z: add(z, fn(SIN, z)),
    "z (z - 1)": lambda z: multiply(z, subtract(z, ONE)),
    "sin(z)": lambda z: fn(SIN, z),
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_nested_functions_stay_small(step: Callable[[Expr], Expr]) -> None:
    """A step that uses its argument twice would double a single function 300 times; unmerged, it grows linearly."""
    deep = chain(step, leaf(s), 300)
    nodes = topological([deep])
    operations = sum(len(list(sympy.preorder_traversal(node.fn))) for node in nodes if isinstance(node, Map))
    assert operations < 300 * 100
    assert np.isfinite(evaluate(deep, {s: np.array(0.1)}))


def test_kinds_of_nodes() -> None:
    """The examples above reach every kind of node."""
    kinds = {type(node) for pair in EQUAL.values() for node in topological([pair[0]])}
    extra = {type(scatter(leaf(s), [(p, IndexMap.of(1))])), type(delta(p, q)), type(reduce("max", leaf(a), [p]))}
    assert {Contract, Delta, Map, Reduce, Scatter, Select} <= kinds | extra
