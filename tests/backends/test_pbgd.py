"""V-PBGD: known answers, the bias O(1 / gamma), bounds of the follower, and the published toy."""

import numpy as np
import pytest
from bileveldsl.backends.pbgd import PBGD
from quadratic import Quadratic

from bileveldsl import loads
from bileveldsl.backend import parse_options
from bileveldsl.execute.engine import jax_engine, numpy_engine
from bileveldsl.execute.monitor import Monitor
from bileveldsl.execute.problem import compile_problem
from bileveldsl.testing import (
    PROBLEMS,
    check_declaration,
    check_limits,
    check_problem,
    check_refusals,
    check_repeats,
)  # fmt: skip

TOY = """model pbgd
upper {{ var x in [0, 3] start {}; minimize cos(4*y + 2) / (1 + exp(2 - 4*x)) + 0.5*log((4*x - 2)^2 + 1) }}
lower {{ var y start {}; minimize (x + y)^2 + x*sin(x + y)^2 }}
"""
MINIMA = (0.3824, 1.2152, 2.8296)


def problem_of(model, engine=numpy_engine):
    return compile_problem(model.program(), engine())


def run(problem, monitor=None, **options):
    backend = PBGD()
    return backend.solve(problem, parse_options("pbgd", backend.options, options), monitor or Monitor())


def test_conformance():
    for check in (check_declaration, check_refusals, check_limits, check_repeats):
        check(PBGD())
    for problem in PROBLEMS:
        check_problem(PBGD(), problem)


def test_the_bias_is_of_the_order_of_the_reciprocal_penalty():
    quadratic = Quadratic.random(0)
    problem, gammas = problem_of(quadratic.model()), np.array([1e1, 1e2, 1e3])
    errors = [np.linalg.norm(run(problem, Monitor(1e-8), gamma=gamma).x - quadratic.optimum()) for gamma in gammas]
    assert np.polyfit(np.log(gammas), np.log(errors), 1)[0] == pytest.approx(-1, abs=0.1)


def test_a_fixed_penalty_is_minimized_exactly():
    """With gamma = 1 / sigma the penalized problem is that of F2BA's forward difference."""
    quadratic = Quadratic.random(3)
    point = run(problem_of(quadratic.model()), Monitor(1e-8), gamma=10.0)
    np.testing.assert_allclose(point.x, quadratic.penalty_optimum(0.1, 0.0), atol=1e-6)
    np.testing.assert_allclose(point.y, quadratic.answer(point.x), atol=1e-8)


def test_the_bounds_of_the_follower_hold_its_answer():
    """y = min(2x, 1), so that (y - 3)^2 + (x - 0.1)^2 / 10 is least where y reaches its bound."""
    text = "model m; upper { var x in [0, 5]; minimize (y - 3)^2 + (x - 2)^2/10 }\n" \
           "lower { var y in [0, 1]; minimize (y - 2*x)^2 }"  # fmt: skip
    point = run(problem_of(loads(text)))
    assert point.y[0] == pytest.approx(1, abs=1e-9) and point.x[0] == pytest.approx(2, abs=1e-4)


@pytest.mark.parametrize("start", [(0.2, 0.0), (1.0, 0.5), (2.9, -2.0), (2.0, -5.0)])
def test_the_toy_ends_at_a_local_minimum_of_phi(start):
    point = run(problem_of(loads(TOY.format(*start))))
    assert min(abs(point.x[0] - x) for x in MINIMA) < 1e-3
    assert point.y[0] == pytest.approx(-point.x[0], abs=1e-7)


def test_the_published_form_is_the_method_step_by_step():
    q = Quadratic.random(7)
    gamma, alpha, beta, inner = 8.0, 0.01, 0.1, 5
    x, y, z = np.zeros(3), np.zeros(4), np.zeros(4)
    for _ in range(20):  # Shen, Chen 2023, Algorithm 1
        for _ in range(inner):
            z = z - beta * (q.A @ z - q.B @ x)
        x, y = (x - alpha * (x - q.d + gamma * (-q.B.T @ y + q.B.T @ z)),
                y - alpha * (q.C @ (y - q.t) + gamma * (q.A @ y - q.B @ x)))  # fmt: skip
    options = {"form": "paper", "gamma": gamma, "alpha": alpha, "beta": beta, "inner": inner, "max_iterations": 20}
    point = run(problem_of(q.model()), Monitor(1e-12), **options)
    np.testing.assert_allclose(point.x, x, rtol=0, atol=1e-12)


@pytest.mark.parametrize("form", ["adaptive", "paper"])
def test_the_work_is_exactly_the_calls_made(calls, form):
    problem = problem_of(Quadratic.random(1).model())
    point = run(problem, form=form, max_iterations=30)
    both = calls["value_and_grad_f"]
    assert problem.work == {
        "f": calls["F"] + calls["value_and_grad_F"], "g": both, "grad_f": calls["value_and_grad_F"],
        "grad_g": both + calls["grad_f"] + calls["grad_f_y"],
        "hvp": 0, "cross": 0, "hessian": 0, "iterations": point.iterations, "epochs": 0,
    }  # fmt: skip


def test_both_engines_agree():
    pytest.importorskip("jax")
    model = Quadratic.random(0).model((-0.5, 0.5))
    points = [run(problem_of(model, engine), gamma=100.0) for engine in (numpy_engine, jax_engine)]
    np.testing.assert_allclose(points[0].x, points[1].x, atol=1e-5)
