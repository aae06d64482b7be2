"""Symbolic derivatives against finite differences, sympy and identities of calculus."""

from __future__ import annotations

import numpy as np
from finite_differences import assert_close, differences
from hypothesis import given, settings
from hypothesis import strategies as st
from random_expressions import Term, random_values, terms, terms_of_variables

from bileveldsl.calculus.derivative import directional, gradient, hessian, jacobian
from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.expr import Symbol, contract

SMOOTH = terms_of_variables(terms(smooth=True))
SEEDS = st.integers(0, 99)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(SMOOTH, SEEDS)
def test_jacobians_of_random_expressions(case: tuple[Term, Symbol, Symbol], seed: int) -> None:
    term, symbol, _ = case
    values = random_values(seed)
    (found,) = jacobian(term.expr, [symbol])
    assert found.rows == term.expr.axes
    value = evaluate(found.expr, values, (*found.rows, *found.columns))
    expected = differences(lambda at: evaluate(term.expr, at), values, symbol)
    assert_close(value, expected, evaluate(term.expr, values))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(SMOOTH, SEEDS)
def test_second_derivatives_of_random_expressions(case: tuple[Term, Symbol, Symbol], seed: int) -> None:
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
