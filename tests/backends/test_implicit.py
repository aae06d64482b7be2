"""Implicit differentiation finds the optimum of phi, and its hyper-gradient is the derivative of phi."""

import io
import math

import numpy as np
import pytest
from bileveldsl.backends.implicit import HyperObjective, Implicit
from quadratic import Quadratic

from bileveldsl import loads
from bileveldsl.backend import parse_options
from bileveldsl.execute.engine import jax_engine, numpy_engine
from bileveldsl.execute.monitor import Monitor
from bileveldsl.execute.problem import compile_problem
from bileveldsl.solution import Status
from bileveldsl.solve import solve

SEEDS = range(4)
CURVED = """model curved
dim n = 2, p = 3
param K[p, n] = [[1, -1], [0.5, 2], [-1, 0]]
param t[p] = [0.3, -0.2, 0.5]
upper { var x[n] in [-3, 3] start 0.5; minimize sumsq(y - t) + 0.1*sumsq(x) + sum(sin(y)) }
lower { var y[p]; minimize sum(softplus(y)) + sum(exp(0.3*y)) + 0.5*sumsq(y - K @ x) }
"""
K, T = np.array([[1, -1], [0.5, 2], [-1, 0]]), np.array([0.3, -0.2, 0.5])


def answer(x):
    """The follower's answer in CURVED by Newton's method; its Hessian is diagonal."""
    y = K @ x
    for _ in range(50):
        s = 1 / (1 + np.exp(-y))
        y = y - (s + 0.3 * np.exp(0.3 * y) + y - K @ x) / (s * (1 - s) + 0.09 * np.exp(0.3 * y) + 1)
    return y


def phi(x):
    y = answer(x)
    return np.sum((y - T) ** 2) + 0.1 * np.sum(x**2) + np.sum(np.sin(y))


def problem_of(model, engine=None):
    return compile_problem(model.program(), engine or numpy_engine())


def run(problem, monitor=None, **options):
    backend = Implicit()
    return backend.solve(problem, parse_options("implicit", backend.options, options), monitor or Monitor())


@pytest.mark.parametrize("solver", ["cholesky", "cg"])
@pytest.mark.parametrize("seed", SEEDS)
def test_quadratics_are_solved_to_the_closed_form(seed, solver):
    quadratic = Quadratic.random(seed)
    solution = solve(quadratic.model(), "implicit", options={"linear_solver": solver}, tol=1e-9)
    assert solution.status is Status.LOCALLY_OPTIMAL
    np.testing.assert_allclose(solution["x"], quadratic.optimum(), atol=1e-8)
    np.testing.assert_allclose(solution["y"], quadratic.answer(quadratic.optimum()), atol=1e-8)
    assert solution.upper.objective == pytest.approx(quadratic.phi(quadratic.optimum()), abs=1e-12)
    assert (solution.work.hessian == 0) is (solver == "cg")


@pytest.mark.parametrize("seed", SEEDS)
def test_within_tight_bounds_the_projected_gradient_vanishes(seed):
    quadratic = Quadratic.random(seed)
    solution = solve(quadratic.model((-0.2, 0.2)), "implicit")
    x = np.asarray(solution["x"])
    assert (np.abs(x) <= 0.2).all() and (np.abs(x) == 0.2).any()
    gradient = quadratic.gradient(x)
    np.testing.assert_allclose(np.clip(x - gradient, -0.2, 0.2), x, atol=1e-6)
    assert (solution.verification.hypergradient_norm or 0.0) <= 1e-6


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_gradient_is_the_derivative_of_phi_along_any_direction(seed, dense):
    random = np.random.default_rng(seed)
    x, direction = random.uniform(-2, 2, 2), random.standard_normal(2)
    objective = HyperObjective(problem_of(loads(CURVED)), 1e-13, dense)
    objective(random.uniform(-2, 2, 2))  # the second point is predicted from the first
    value, gradient = objective(x)
    assert value == pytest.approx(phi(x), rel=1e-13)
    step = 1e-5
    difference = (phi(x + step * direction) - phi(x - step * direction)) / (2 * step)
    assert gradient @ direction == pytest.approx(difference, rel=1e-8, abs=1e-8)
    np.testing.assert_allclose(objective.y, answer(x), atol=1e-12)


def test_the_answer_of_a_quadratic_follower_is_predicted_exactly():
    quadratic = Quadratic.random(0)
    objective = HyperObjective(problem_of(quadratic.model()), 1e-13, dense=True)
    objective(np.zeros(3))
    x = np.array([2.0, -1, 3])
    np.testing.assert_allclose(objective._predicted(x), quadratic.answer(x), atol=1e-10)
    np.testing.assert_allclose(objective.y, quadratic.answer(np.zeros(3)), atol=1e-12)  # until x is asked for


def test_a_local_optimum_of_a_curved_problem():
    solution = loads(CURVED).solve("implicit", tol=1e-8)
    assert solution.status is Status.LOCALLY_OPTIMAL
    assert solution.upper.objective == pytest.approx(phi(solution["x"]), rel=1e-12)
    for direction in np.random.default_rng(0).standard_normal((8, 2)):
        assert phi(np.clip(solution["x"] + 1e-3 * direction, -3, 3)) > solution.upper.objective


def test_a_follower_where_newtons_method_alone_diverges():
    text = """model far
    upper { var x in [0, 5] start 1; minimize (y - 2)^2 }
    lower { var y start 100; minimize sqrt(1 + (y - x)^2) + 1e-3*(y - x)^2; assume strongly_convex(2e-3) }
    """
    solution = loads(text).solve("implicit")
    assert solution.status is Status.LOCALLY_OPTIMAL
    assert (solution["x"], solution["y"]) == pytest.approx((2, 2), abs=1e-6)


@pytest.mark.parametrize(
    ("upper", "root"),
    [
        ("(x - 3)^2 - log(2 - y)", 2.5 - math.sqrt(0.75)),  # 2 (x - 3) (2 - x) = -1
        ("(x - 30)^2 - log(2 - y)", 16 - math.sqrt(196.5)),
        ("1000*(x - 3)^2 + sqrt(2 - y)*0.5 - 20*log(2 - y)", None),
    ],
)
def test_a_trial_point_outside_the_domain_is_stepped_back_from(upper, root):
    text = f"model domain; upper {{ var x; minimize {upper} }}; lower {{ var y; minimize (y - x)^2 }}"
    solution = loads(text).solve("implicit")
    assert solution.status is Status.LOCALLY_OPTIMAL
    assert solution["y"] == pytest.approx(solution["x"], abs=1e-9) and solution["x"] < 2
    if root is not None:
        assert solution["x"] == pytest.approx(root, abs=1e-6)


def test_a_start_without_value_is_said():
    text = "model domain; upper { var x start 5; minimize x - log(2 - y) }; lower { var y; minimize (y - x)^2 }"
    point = run(problem_of(loads(text)))
    assert point.status == "failed" and "not finite" in point.message and "starting point" in point.message
    np.testing.assert_array_equal([*point.x, *point.y], [5, 0])
    solution = loads(text).solve("implicit")
    assert solution.status is Status.NOT_VERIFIED and "not finite" in solution.message


@pytest.mark.parametrize("upper", ["minimize y^2 + y", "var x in [1, 1]; minimize y^2 + y + x - 1"])
def test_a_leader_without_a_choice_gets_the_followers_answer(upper):
    solution = loads(f"model none; upper {{ {upper} }}; lower {{ var y; minimize (y - 1)^2 }}").solve("implicit")
    assert solution.status is Status.LOCALLY_OPTIMAL
    assert solution["y"] == pytest.approx(1) and solution.upper.objective == pytest.approx(2)


def test_more_follower_variables_than_are_factored_are_solved_without_factors():
    text = """model wide
    dim p = 1200
    upper { var x in [0, 9] start 1; minimize (sum(y) / p - 2)^2 }
    lower { var y[p]; minimize sum(exp(0.1*(y - x)) - 0.1*y) + sumsq(y - x) }
    """
    solution = loads(text).solve("implicit")
    assert solution.status is Status.LOCALLY_OPTIMAL and solution.work.hessian == 0
    assert solution["x"] == pytest.approx(2, abs=1e-6)


@pytest.mark.parametrize("solver", ["cholesky", "cg"])
def test_the_work_is_exactly_the_calls_made(calls, solver):
    problem = problem_of(loads(CURVED))
    log = io.StringIO()
    point = run(problem, Monitor(log=log), linear_solver=solver)
    assert point.status == "converged"
    both = calls["value_and_grad_F"]
    assert both > 3
    assert problem.work == {
        "f": calls["F"] + both, "grad_f": calls["grad_F"] + calls["grad_F_y"] + both,
        "g": calls["f"] + calls["value_and_grad_f"] + calls["value_and_grad_f_y"],
        "grad_g": calls["grad_f_y"] + calls["grad_f"] + calls["value_and_grad_f"] + calls["value_and_grad_f_y"],
        "hvp": calls["hvp"], "cross": calls["cross"] + calls["cross_T"], "hessian": calls["hessian_yy"],
        "iterations": log.getvalue().count('"event": "iteration"'), "epochs": 0,
    }  # fmt: skip
    assert (calls["hessian_yy"] == 0) is (solver == "cg")


def test_the_limit_of_iterations_is_kept_and_said():
    problem = problem_of(loads(CURVED))
    point = run(problem, max_iterations=2)
    assert point.status == "limit" and point.iterations == 2 and "2 iterations" in point.message
    assert phi(point.x) < phi(problem.x_start)


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_no_time_at_all_still_gives_a_point(seconds):
    point = run(problem_of(loads(CURVED)), Monitor(time_limit=seconds))
    assert point.status == "limit" and np.isfinite(point.x).all()
    np.testing.assert_allclose(point.y, answer(point.x), atol=1e-8)


def test_an_interrupt_gives_the_best_point_so_far():
    def interrupt(event):
        if event.iteration == 3:
            raise KeyboardInterrupt

    clock = iter(range(0, 10**6, 10))
    monitor = Monitor(progress=interrupt, clock=lambda: next(clock))
    point = run(problem_of(loads(CURVED)), monitor)
    assert (point.status, point.iterations, monitor.stopped) == ("limit", 3, "interrupt")
    assert phi(point.x) < phi(np.full(2, 0.5))


def test_a_tighter_tolerance_is_reached():
    for tolerance in (1e-3, 1e-6, 1e-9):
        point = run(problem_of(loads(CURVED)), Monitor(tolerance))
        assert point.status == "converged" and point.measures["hypergradient_norm"] <= tolerance


@pytest.mark.parametrize("constant", [1e6, 1e10, 1e14])
def test_a_large_constant_in_the_objective_does_not_hide_the_optimum(constant):
    """The values round to 1e-10, 1e-6, 1e-2; the gradients do not."""
    for seed in range(10):
        quadratic = Quadratic.random(seed)
        point = run(problem_of(quadratic.model(constant=constant)), Monitor(1e-8))
        assert point.status == "converged"
        np.testing.assert_allclose(point.x, quadratic.optimum(), atol=1e-7)


def test_jax_gives_the_same_answer():
    pytest.importorskip("jax")
    points = [run(problem_of(loads(CURVED), engine())) for engine in (numpy_engine, jax_engine)]
    assert [type(point.x) for point in points] == [np.ndarray] * 2
    np.testing.assert_allclose(points[0].x, points[1].x, atol=1e-8)
    np.testing.assert_allclose(points[0].y, points[1].y, atol=1e-8)
