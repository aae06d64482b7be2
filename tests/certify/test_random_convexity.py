"""What is proved of random functions is tried at random points: no counterexample may be found."""

import functools

import numpy as np
import random_expressions as random
import sympy
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from programs import facts, scalar_program, variable, x, y, y1, y2

from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.expr import contract
from bileveldsl.calculus.functions import huber, maximum, sigmoid, softplus
from bileveldsl.certify.curvature import Composition
from bileveldsl.certify.modulus import Modulus
from bileveldsl.certify.ranges import Ranges, box

FOLLOWER = (random.w, random.Q)
TRIALS = 12


def excess(value, first, second):
    """How far a function is below its chord in the middle, and the rounding to allow for."""
    middle = {s: (first[s] + second[s]) / 2 for s in first}
    a, b, m = value(first), value(second), value(middle)
    return (a + b) / 2 - m, 1e-9 * (1 + abs(a) + abs(b) + abs(m))


@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow], max_examples=50, deadline=None)
@given(random.terms(), st.integers(0, 10**6))
def test_random_nodes_bend_as_judged_and_within_their_bounds(term, seed):
    root = contract([term.expr], term.expr.axes) if term.expr.axes else term.expr
    boxes = {s: box(np.full(s.shape, -1.0), np.full(s.shape, 1.0)) for s in random.VARIABLES}
    composition = Composition(FOLLOWER, Ranges(boxes))
    kind = composition(root).kind
    bounds = Modulus(composition, FOLLOWER)(root)
    known = kind != "unknown" or any(np.isfinite(b.lo).any() or np.isfinite(b.hi).any() for b in bounds.values())
    assume(known and kind != "constant")
    rng = np.random.default_rng(seed)
    for _ in range(TRIALS):
        first = {s: rng.uniform(-1, 1, s.shape) for s in random.VARIABLES}
        second = first | {s: np.clip(first[s] + rng.normal(size=s.shape), -1, 1) for s in FOLLOWER}
        above, slack = excess(lambda values: float(evaluate(root, values)), first, second)
        if composition(root).convex:
            assert above >= -slack
        if composition(root).concave:
            assert above <= slack
        steps = {s: (first[s] - second[s]) ** 2 / 8 for s in FOLLOWER}
        with np.errstate(invalid="ignore"):
            low, high = (sum(np.nansum(getattr(bounds[s], e)[0] * steps[s]) for s in FOLLOWER) for e in ("lo", "hi"))
        assert low - slack <= above <= high + slack


AFFINE = st.builds(
    lambda a, b, c: a * y1 + b * y2 + c,
    st.integers(-3, 3), st.integers(-3, 3), st.sampled_from([sympy.Integer(0), sympy.Integer(1), x, sympy.exp(x)]),
)  # fmt: skip
UNARY = (
    sympy.exp, sympy.Abs, softplus, sympy.sin, sympy.cos, sympy.tanh, sympy.cosh, sigmoid, sympy.atan,
    lambda u: u**2, lambda u: u**3, lambda u: u**4, lambda u: huber(u, 1), lambda u: sympy.sqrt(1 + u**2),
    lambda u: sympy.log(1 + u**2), lambda u: 1 / (1 + u**2), lambda u: sympy.log(3 + u),
    lambda u: sympy.sqrt(2 + u), lambda u: (1 + u**2) ** sympy.Rational(3, 4),
)  # fmt: skip
MULTIPLIERS = [sympy.Integer(1), sympy.Integer(-1), sympy.Rational(1, 3), sympy.exp(x), x, x**2, 2 - x]
COEFFICIENTS = st.sampled_from(MULTIPLIERS)


def grow(inner):
    return st.one_of(
        st.builds(lambda f, u: f(u), st.sampled_from(UNARY), inner),
        st.builds(lambda a, u, v: a * u + v, COEFFICIENTS, inner, inner),
        st.builds(maximum, inner, inner),
        st.builds(lambda u, v: u * v, inner, inner),
        st.builds(lambda u, v: sympy.log(sympy.exp(u) + sympy.exp(v)), inner, inner),
    )


FORMULAS = st.recursive(AFFINE, grow, max_leaves=4)


@functools.cache
def compiled(formula):
    modules = [
        {"softplus": lambda u: np.logaddexp(0, u), "sigmoid": lambda u: 1 / (1 + np.exp(-u)), "maximum": np.maximum,
         "huber": lambda u, d: np.where(np.abs(u) <= d, u**2 / 2, d * (np.abs(u) - d / 2))}, "numpy",
    ]  # fmt: skip
    return sympy.lambdify([x, y1, y2], formula, modules)


@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow], max_examples=25, deadline=None)
@given(FORMULAS, st.integers(0, 10**6), st.sampled_from([(-1, 1), (0, 2), (0.5, 1.5)]))
def test_random_followers_have_no_counterexample_to_their_facts(formula, seed, ends):
    assume(formula.free_symbols & {y1, y2} and not formula.has(sympy.nan, sympy.zoo, sympy.I))
    found = facts(scalar_program(formula, {x: (-1, 1), y1: ends, y2: ends}), budget_seconds=0.2)
    rng = np.random.default_rng(seed)
    at = rng.uniform(-1, 1, 400)
    first, second = rng.uniform(*ends, (2, 400)), rng.uniform(*ends, (2, 400))
    if y1 not in formula.free_symbols or y2 not in formula.free_symbols:  # the other is no variable of the model
        first[0 if y1 not in formula.free_symbols else 1] = second[0 if y1 not in formula.free_symbols else 1] = 0
    with np.errstate(all="ignore"):
        a, b, m = (
            np.broadcast_to(compiled(formula)(at, *point), (400,)) for point in (first, second, (first + second) / 2)
        )
    ends_defined = np.isfinite(a) & np.isfinite(b)
    if found["convex"].verdict == "proved":
        assert np.isfinite(m[ends_defined]).all()  # the domain is convex
    defined = ends_defined & np.isfinite(m)
    with np.errstate(all="ignore"):
        above, slack = (a + b) / 2 - m, 1e-9 * (1 + np.abs(a) + np.abs(b) + np.abs(m))
    squares = ((first - second) ** 2).sum(0) / 8
    if found["convex"].verdict == "proved":
        assert (above >= -slack)[defined].all()
    if found["strongly_convex"].verdict == "proved":
        assert (above >= found["strongly_convex"].constant * squares - slack)[defined].all()
    if found["smooth"].verdict == "proved":
        assert (np.abs(above) <= found["smooth"].constant * squares + slack)[defined].all()
    if found["strongly_convex"].constant_upper is not None and found["strongly_convex"].constant is not None:
        assert found["strongly_convex"].constant <= found["strongly_convex"].constant_upper


def test_the_generators_reach_functions_that_are_proved():
    assert variable(random.w).name == "w" and y.name == "y"
    assert facts(scalar_program(softplus(y1 - y2) + y1**2, {}))["convex"].verdict == "proved"
