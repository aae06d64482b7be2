"""V-PBGD: known answers, the bias O(1 / gamma), bounds of the follower, and the published toy."""

from dataclasses import replace

import numpy as np
import pytest
import shared_models
from bileveldsl.backends.pbgd import PBGD
from compiled import problem_of, runner
from quadratic import Quadratic

from bileveldsl import loads
from bileveldsl.backend import parse_options
from bileveldsl.execute.driver import run as drive
from bileveldsl.execute.monitor import Monitor

run = runner(PBGD())


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
    point = run(problem_of(loads(shared_models.PBGD.format(*start))))
    assert min(abs(point.x[0] - x) for x in shared_models.MINIMA) < 1e-3
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


def test_what_is_left_of_the_bias_is_extrapolated():
    """A penalty of 1e6 leaves 5e-7 of x, which the hyper-gradient shows."""
    upper = "var x in [0, 10] start 1; minimize (x - 3)^2 + (y - 1)^2"
    point = run(problem_of(loads(f"model m; upper {{ {upper} }}; lower {{ var y; minimize (y - x)^2 }}")))
    assert point.x[0] == pytest.approx(2, abs=1e-9) and point.measures["gamma"] == pytest.approx(1e6)


def test_the_chain_of_the_penalty_can_be_asked_for():
    """min (y - 3)^2 + gamma (y - x)^2 / 2 keeps y above x; the follower's own chain is at x."""
    text = "model m; upper { var x in [0, 1]; minimize (y - 3)^2 }; lower { var y; minimize (y - x)^2 / 2 }"
    problem = problem_of(loads(text))
    options = parse_options("pbgd", PBGD().options, {"form": "paper", "max_iterations": 2000})
    follower = PBGD().method(problem, options, Monitor())
    points = [drive(solver, problem, Monitor(), 2000) for solver in (follower, replace(follower, answer="penalty"))]
    assert [p.x[0] for p in points] == [1, 1]
    assert points[0].y[0] == pytest.approx(1, abs=1e-4) and points[1].y[0] == pytest.approx(16 / 12, abs=1e-4)
