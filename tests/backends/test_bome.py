"""BOME: its direction against the quadratic program that defines it, known answers to its accuracy, bounds."""

import numpy as np
import pytest
from bileveldsl.backends.bome import BOME, Barrier
from compiled import problem_of, runner
from quadratic import Quadratic
from scipy import optimize

from bileveldsl import loads
from bileveldsl.backend import parse_options
from bileveldsl.execute.descent import Box
from bileveldsl.execute.monitor import Monitor

run = runner(BOME())


@pytest.mark.parametrize("seed", range(3))
def test_extrapolation_to_steps_of_length_zero_takes_most_of_the_error_away(seed):
    quadratic = Quadratic.random(seed)
    problem = problem_of(quadratic.model())
    solver = BOME().method(problem, parse_options("bome", BOME().options, {}), Monitor())
    state = solver.init(problem.pure, problem.x_start, problem.y_start)
    ratios = []
    for k in range(3000):
        state = solver.step(problem.pure, state)
        if k >= 1500 and k % 100 == 0:
            own, better = (np.linalg.norm(x - quadratic.optimum()) for x in (state.v[:3], solver.report(state).x))
            ratios.append(better / own)
    assert max(ratios) < 0.2


def test_steps_of_one_length_have_nothing_to_extrapolate_from():
    problem = problem_of(Quadratic.random(0).model())
    solver = BOME().method(problem, parse_options("bome", BOME().options, {"decay": 0.0}), Monitor())
    state = solver.init(problem.pure, problem.x_start, problem.y_start)
    for _ in range(20):
        state = solver.step(problem.pure, state)
    assert np.array_equal(solver.report(state).x, state.v[:3])


@pytest.mark.parametrize("barrier", ["gradient", "value"])
@pytest.mark.parametrize("seed", range(3))
def test_the_direction_solves_its_quadratic_program(seed, barrier):
    """d minimizes |d - grad F|^2 subject to <grad q, d> >= barrier (Liu et al. 2022, equation 7)."""
    q = Quadratic.random(seed)
    random = np.random.default_rng(seed)
    v, u, eta, xi = random.standard_normal(7), random.standard_normal(4), 0.5, 0.01
    free = Box(np.full(3, -np.inf), np.full(3, np.inf)), Box(np.full(4, -np.inf), np.full(4, np.inf))
    both = Box(*(np.concatenate([getattr(box, side) for box in free]) for side in ("lower", "upper")))
    solver = Barrier(barrier, eta, 3, 0.1, xi, 0.0, both, free[1], 1e-9)
    problem = problem_of(q.model())
    state = solver.init(problem.pure, v[:3], v[3:])._replace(u=u)
    after = solver.step(problem.pure, state)
    x, y = v[:3], v[3:]
    for _ in range(3):
        u = u - 0.1 * (q.A @ u - q.B @ x)
    by_F = np.concatenate([x - q.d, q.C @ (y - q.t)])
    by_q = np.concatenate([-q.B.T @ y + q.B.T @ u, q.A @ y - q.B @ x])
    gap = (y @ q.A @ y / 2 - y @ q.B @ x) - (u @ q.A @ u / 2 - u @ q.B @ x)
    rate = eta * (by_q @ by_q if barrier == "gradient" else gap)
    found = optimize.minimize(
        lambda d: (d - by_F) @ (d - by_F), by_F, jac=lambda d: 2 * (d - by_F), method="SLSQP",
        constraints={"type": "ineq", "fun": lambda d: by_q @ d - rate, "jac": lambda d: by_q},
        options={"ftol": 1e-15},
    )  # fmt: skip
    np.testing.assert_allclose((v - np.asarray(after.v)) / xi, found.x, atol=1e-5)


def test_bounds_of_both_levels_hold():
    text = "model m; upper { var x in [0, 5]; minimize (y - 3)^2 + (x - 2)^2 }\n" \
           "lower { var y in [0, 1]; minimize (y - 2*x)^2 }"  # fmt: skip
    point = run(problem_of(loads(text)), max_iterations=1000)
    assert point.y[0] == pytest.approx(1, abs=1e-6) and point.x[0] == pytest.approx(2, abs=0.05)


def test_the_work_is_exactly_the_calls_made(calls):
    problem = problem_of(Quadratic.random(1).model())
    point = run(problem, max_iterations=25)
    both = calls["value_and_grad_f"]
    assert problem.work == {
        "f": calls["F"] + calls["value_and_grad_F"], "g": both,
        "grad_f": calls["grad_F"] + calls["value_and_grad_F"], "grad_g": both + calls["grad_f"] + calls["grad_f_y"],
        "hvp": 0, "cross": 0, "hessian": 0, "iterations": point.iterations, "epochs": 0,
    }  # fmt: skip


def test_the_same_start_gives_the_same_point():
    points = [run(problem_of(Quadratic.random(1).model()), max_iterations=200) for _ in range(2)]
    assert np.array_equal(points[0].x, points[1].x)
