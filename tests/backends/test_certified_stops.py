"""With certified constants the inner loops of the first-order methods end sooner, at the same answers, and say so."""

import numpy as np
import pytest
from bileveldsl.backends.f2ba.published import facts_above, penalty_modulus
from compiled import certified, problem_of
from quadratic import Quadratic

from bileveldsl import loads, registry
from bileveldsl.backend import parse_options
from bileveldsl.certify.facts import Fact
from bileveldsl.execute.monitor import Monitor

BOUNDED = """model m
upper { var x in [0, 5]; minimize (y - 3)^2 + (x - 2)^2 }
lower { var y in [0, 1]; minimize (y - 2*x)^2 }
"""


def ends(model, backend, **options):
    """The points without and with what is certified, the calls of the follower's gradient, and what was said."""
    found = []
    for problem in (problem_of(model), certified(model)):
        method, monitor = registry.get(backend), Monitor(options.get("tolerance", 1e-5))
        given = {name: value for name, value in options.items() if name != "tolerance"}
        point = method.solve(problem, parse_options(backend, method.options, given), monitor)
        found.append((point, problem.work["grad_g"], monitor.notes))
    return found


@pytest.mark.parametrize(("backend", "options", "share"), [
    ("bome", {"max_iterations": 200}, 0.9), ("pbgd", {"form": "paper", "tolerance": 1e-3}, 0.9),
    ("galet", {"form": "paper", "tolerance": 1e-6}, 0.8),
])  # fmt: skip
def test_fewer_gradients_and_the_same_answer(backend, options, share):
    plain, known = ends(Quadratic.random(1, kappa=1.2).model(), backend, **options)
    assert known[1] < share * plain[1]
    assert known[0].iterations == pytest.approx(plain[0].iterations, rel=0.1)
    np.testing.assert_allclose(known[0].x, plain[0].x, atol=2 * options.get("tolerance", 1e-5))
    assert "certified gap of the follower (mu = 1, proved)" in known[2][0] and not plain[2]


def test_algorithm_2_needs_a_fraction_of_the_steps_of_the_theorem():
    text = "model m; upper { var x in [0, 2]; minimize 3*(y - 3)^2 }; lower { var y; minimize (y - 2*x)^2 }"
    problem, monitor = certified(loads(text)), Monitor(1e-4)
    backend = registry.get("f2ba")
    options = parse_options("f2ba", backend.options, {"form": "paper"})
    steps = backend.method(problem, options, monitor).K
    point = backend.solve(problem, options, monitor)
    assert point.status == "converged" and point.x[0] == pytest.approx(1.5, abs=1e-4)
    assert problem.work["grad_g"] < 0.4 * 2 * (steps + 1) * point.iterations and "mu = 2" in monitor.notes[0]
    given = certified(loads(text))
    fixed = backend.solve(given, options | {"K": steps}, Monitor(1e-4))
    assert given.work["grad_f"] == (steps + 1) * fixed.iterations  # what is asked for is done
    assert fixed.x == pytest.approx(point.x, abs=1e-6)


@pytest.mark.parametrize("backend", ["bome", "pbgd"])
def test_between_bounds_the_projected_gap_stops_them(backend):
    """Where a bound holds y the gradient does not vanish: |f_y|^2 / (2 mu) would never be small."""
    options = {"form": "paper", "alpha": 0.03} if backend == "pbgd" else {}
    plain, known = ends(loads(BOUNDED), backend, max_iterations=400, **options)
    assert known[1] < 0.7 * plain[1]
    np.testing.assert_allclose([*known[0].x, *known[0].y], [*plain[0].x, *plain[0].y], atol=1e-4)


def test_a_follower_of_huge_values_is_not_solved_beyond_rounding():
    """f scaled by a million: the norm of its gradient cannot reach what one of size 1 can."""
    text = """model scaled
    dim n = 3
    param Q[n, n] = [[2, 1, 0], [1, 3, 1], [0, 1, 4]]
    param t[n] = [2, -3, 1]
    upper { var x[n]; minimize sumsq(y - t) + sumsq(x) }
    lower { var y[n]; minimize 1e6 * (0.5 * dot(y, Q @ y) - dot(x, y) + sum(exp(y/4))) }
    """
    plain, known = ends(loads(text), "galet", tolerance=1e-6)
    assert known[1] < 0.6 * plain[1]
    np.testing.assert_allclose(known[0].x, plain[0].x, atol=1e-9)


@pytest.mark.parametrize(("upper", "sigma", "expected"), [
    ("3*(y - 3)^2", 0.5, 2.0), ("cos(y)", 0.5, 1.5), ("cos(y)", 3.0, 0.0), ("-y^3", 0.5, 0.0),
])  # fmt: skip
def test_the_modulus_of_the_penalty(upper, sigma, expected):
    """f = (y - x)^2 has mu = 2; a convex F leaves it, cos takes away sigma, a cubic without end takes all."""
    program = loads(f"model m; upper {{ var x; minimize {upper} }}; lower {{ var y; minimize (y - x)^2 }}").program()
    facts = [Fact("lower.objective", "strongly_convex", "proved", 2.0)]
    assert penalty_modulus(program, facts, sigma, facts_above(program)) == pytest.approx(expected, abs=1e-9)


def test_the_inequality_of_the_penalty_itself_counts_up_to_its_bound():
    program = loads("model m; upper { var x; minimize -y^3 }; lower { var y; minimize (y - x)^2 }").program()
    facts = [Fact("lower.penalty", "pl", "proved", 0.7, witness={"sigma": {"upper": 0.1}})]
    assert [penalty_modulus(program, facts, sigma, {}) for sigma in (0.05, 0.2)] == [0.7, 0.0]
