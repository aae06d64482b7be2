"""GALET ends at stationary points of phi, also where f_yy is singular, and its loops are the published ones."""

import math
from statistics import median

import numpy as np
import pytest
from bileveldsl.backends.galet import Galet
from bileveldsl.backends.galet.follower import settle
from bileveldsl.backends.galet.multiplier import adjoint
from bileveldsl.backends.galet.published import Published
from compiled import problem_of, runner
from quadratic import Quadratic
from shared_models import GALET, MINIMA, PBGD

from bileveldsl import loads, testing
from bileveldsl.backend import parse_options
from bileveldsl.certify.facts import Fact
from bileveldsl.execute.driver import run as drive
from bileveldsl.execute.monitor import Monitor
from bileveldsl.solution import Status
from bileveldsl.solve import solve_with

FORMS = ("krylov", "paper")
UNBOUNDED = (np.full(3, -np.inf), np.full(3, np.inf)), (np.full(4, -np.inf), np.full(4, np.inf))


run = runner(Galet())


# ---- the toy of the paper -------------------------------------------------------------------


def toy_points(tolerance, **options):
    """Where 20 runs from starts of N(0, 4) end."""
    problem = problem_of(loads(GALET.format(0, 0, 0)))
    for start in 2 * np.random.default_rng(0).standard_normal((20, 3)):
        problem.x_start, problem.y_start = start[:1], start[1:]
        yield run(problem, Monitor(tolerance), **options)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("start", [(2, 1, -1), (-3, 0, 2), (0, -2, 0.5), (1, 3, 4)])
def test_the_toy_is_stationary_at_one_half(form, start):
    solution = solve_with(loads(GALET.format(*start)), Galet(), options={"form": form})
    assert solution["x"] == pytest.approx(0.5, abs=1e-6)
    assert solution["u"] - math.sin(solution["v"]) == pytest.approx(-0.5, abs=1e-6)
    assert solution.upper.objective == pytest.approx(-0.25, abs=1e-10)
    assert solution.status in (Status.STATIONARY, Status.LOCALLY_OPTIMAL)


@pytest.mark.parametrize(
    ("N", "T", "typical", "most"), [(1, 1, 24, 42), (1, 5, 15, 21), (5, 5, 13, 15), (1, 50, 15, 20), (20, 1, 29, 42)]
)
def test_the_iterations_of_the_published_loops(N, T, typical, most):
    """With alpha = 0.3, beta = 0.4, rho = 0.2 until R_x^2, R_w^2 and R_y are below 1e-8."""
    steps = {"form": "paper", "alpha": 0.3, "beta": 0.4, "rho": 0.2, "N": N, "T": T}
    points = list(toy_points(1e-4, **steps))
    counts = [point.iterations for point in points]
    assert median(counts) <= typical and max(counts) <= most
    assert all(abs(point.x[0] - 0.5) < 1e-4 for point in points)


@pytest.mark.parametrize(("options", "typical"), [({"form": "paper", "N": 1, "T": 1}, 24), ({}, 3)])
def test_no_step_size_needs_to_be_known(options, typical):
    points = list(toy_points(1e-4, **options))
    assert {point.status for point in points} == {"converged"}
    assert median(point.iterations for point in points) <= typical


def test_the_measure_r_y_is_the_gap_of_the_follower():
    """On the toy min f = 0, and f has one curvature along its gradient, so the estimate is exact in the limit."""
    problem = problem_of(loads(GALET.format(1, 2, 3)))
    steps = {"form": "paper", "alpha": 0.3, "beta": 0.4, "rho": 0.2, "N": 2, "T": 2, "max_iterations": 12}
    boxes = [(np.full(n, -np.inf), np.full(n, np.inf)) for n in (1, 2)]
    solver = Published(2, 2, 0.3, 0.4, 0.2, *boxes, 1e-12, None)
    point = drive(solver, problem, Monitor(1e-12), 12)
    assert point.measures["R_y"] == pytest.approx(float(problem.f(point.x, point.y)), rel=0.05)
    assert run(problem, Monitor(1e-12), **steps).measures == point.measures
    proved = problem_of(loads(GALET.format(1, 2, 3)), facts=[Fact("lower.objective", "pl", "proved", 0.5)])
    solver = Galet().method(proved, parse_options("galet", Galet().options, steps), Monitor(1e-12))
    point = drive(solver, proved, Monitor(1e-12), 12)
    gradient = np.linalg.norm(proved.grad_f_y(point.x, point.y))
    assert point.measures["R_y"] == pytest.approx(gradient**2)  # / (2 * 0.5)


# ---- the published loops --------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 7, 30])
def test_the_papers_form_is_the_algorithm_step_by_step(steps):
    q = Quadratic.random(7)
    N, T, alpha, beta, rho = 3, 4, 0.05, 0.1, 0.02
    x, y, w = np.zeros(3), np.zeros(4), np.zeros(4)
    for k in range(steps + 1):
        for _ in range(N):
            y = y - beta * (q.A @ y - q.B @ x)
        for _ in range(T):
            w = w - rho * q.A @ (q.C @ (y - q.t) + q.A @ w)
        if k < steps:
            x = x - alpha * ((x - q.d) - q.B.T @ w)
    solver = Published(N, T, alpha, beta, rho, *UNBOUNDED, 1e-12, None)
    point = drive(solver, problem_of(q.model()), Monitor(1e-12), steps)
    np.testing.assert_allclose(point.x, x, rtol=0, atol=1e-12)
    np.testing.assert_allclose(point.y, y, rtol=0, atol=1e-12)
    assert point.measures["R_x"] == pytest.approx(np.linalg.norm(x - q.d - q.B.T @ w), rel=1e-9)
    assert point.measures["R_w"] == pytest.approx(np.linalg.norm(q.A @ (q.C @ (y - q.t) + q.A @ w)), rel=1e-9)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(3))
def test_quadratics_are_solved_to_the_closed_form(seed, form):
    q = Quadratic.random(seed)
    point = run(problem_of(q.model()), Monitor(1e-8), form=form)
    assert point.status == "converged"
    np.testing.assert_allclose(point.x, q.optimum(), atol=1e-6)
    np.testing.assert_allclose(point.y, q.answer(point.x), atol=1e-9)


# ---- bounds by projection -------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_bounds_of_the_leader_hold_and_the_projected_gradient_vanishes(form):
    q = Quadratic.random(2)
    x = run(problem_of(q.model((-0.2, 0.2))), form=form).x
    assert (np.abs(x) <= 0.2).all() and (np.abs(x) == 0.2).any()
    np.testing.assert_allclose(np.clip(x - q.gradient(x), -0.2, 0.2), x, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("cap", "start", "answer"), [(0.5, 3.2, 3.0), (2.5, 1.2, 2.0), (2.5, 3.2, 3.0)])
def test_bounds_of_the_follower_hold(form, cap, start, answer):
    """y = min(x, cap): where the bound holds y, the leader is free to take its own minimum, 3."""
    text = f"model m\nupper {{ var x start {start}; minimize (x - 3)^2 + (y - 1)^2 }}\n"
    text += f"lower {{ var y in [0, {cap}]; minimize (y - x)^2 }}"
    point = run(problem_of(loads(text)), form=form)
    assert point.x[0] == pytest.approx(answer, abs=1e-6)
    assert point.y[0] == pytest.approx(min(point.x[0], cap), abs=1e-8)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("start", [(0.2, 0.0), (1.0, 0.5), (2.9, -2.0), (2.0, -5.0), (1.7, 8.0)])
def test_the_pbgd_toy_ends_at_a_local_minimum_of_phi_in_the_box(start, form):
    problem = problem_of(loads(PBGD.format(*start)))
    point = run(problem, form=form)
    (found,) = [x for x in MINIMA if abs(x - point.x[0]) < 1e-3]
    assert point.y == pytest.approx(-point.x, abs=1e-8)
    assert float(problem.F(point.x, point.y)) == pytest.approx(MINIMA[found], abs=1e-4)


# ---- singular Hessians ----------------------------------------------------------------------


def test_among_best_answers_the_follower_takes_the_leaders():
    """y1 + y2 = x leaves a line of answers; of these the leader wants y1 - y2 = 3, and then x = 1."""
    text = """model answers
    upper { var x start 5; minimize (x - 1)^2 + (y1 - y2 - 3)^2 }
    lower { var y1; var y2; minimize (y1 + y2 - x)^2 }
    """
    solution = solve_with(loads(text), Galet())
    assert (solution["x"], solution["y1"], solution["y2"]) == pytest.approx((1, 2, -1), abs=1e-6)
    assert solution.upper.objective == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("kappa", [1.0, 1e2, 1e4])
def test_minres_needs_the_condition_number_and_not_its_square(kappa):
    q = Quadratic.random(3, kappa=kappa)
    problem, y = problem_of(q.model()), np.ones(4)
    found = adjoint(problem.pure, np.zeros(3), y, q.C @ (y - q.t), np.ones(4), np.zeros(4), 1e-10)
    np.testing.assert_allclose(q.A @ found.w, -q.C @ (y - q.t), atol=1e-8)
    assert found.products <= 4 + 2 + 4  # a step for each eigenvalue, with two for rounding


def test_an_adjoint_equation_without_solution_has_its_least_squares_solution():
    problem = problem_of(loads(GALET.format(1, 2, 0.3)))
    x, y = np.array([-2 + math.sin(0.3)]), np.array([2.0, 0.3])  # f_yy = a a' there
    a, right = np.array([1.0, -math.cos(0.3)]), np.array([0.7, 1.9])
    found = adjoint(problem.pure, x, y, right, np.ones(2), np.zeros(2), 1e-10)
    rest = right - a * (a @ right) / (a @ a)
    np.testing.assert_allclose(found.residual, rest, atol=1e-10)
    np.testing.assert_allclose(found.image, 0, atol=1e-10)
    again = adjoint(problem.pure, x, y, right, np.ones(2), found.w, 1e-10)
    np.testing.assert_allclose(again.w, found.w, atol=1e-9)  # from a solution it does not leave


# ---- the follower ---------------------------------------------------------------------------


@pytest.mark.parametrize("start", [-0.9, 0.4, 6.0])
def test_the_inner_method_leaves_negative_curvature_behind(start):
    text = "model m; upper { var x in [-1, 1]; minimize x^2 }; lower { var y; minimize cos(y) }"
    problem = problem_of(loads(text))
    free = (np.full(1, -np.inf), np.full(1, np.inf))
    response = settle(problem.pure, np.zeros(1), np.array([start]), free, 1e-10)
    assert math.cos(response.y[0]) == pytest.approx(-1)
    assert response.size <= 1e-10


def test_the_inner_method_keeps_bounds_and_finds_which_are_active():
    q = Quadratic.random(4)
    problem, box = problem_of(q.model()), (np.full(4, -0.3), np.full(4, 0.4))
    x = np.array([3.0, -2, 1])
    y = settle(problem.pure, x, np.zeros(4), box, 1e-11).y
    gradient = q.A @ y - q.B @ x
    np.testing.assert_allclose(np.clip(y - gradient, *box), y, atol=1e-10)
    assert (y >= -0.3).all() and (y <= 0.4).all() and ((y == -0.3) | (y == 0.4)).any()


# ---- what is not verified -------------------------------------------------------------------


def test_a_maximum_of_the_follower_as_start_is_not_verified():
    text = "model top; upper { var x in [-1, 1]; minimize x^2 }; lower { var y start 0; minimize cos(y) }"
    solution = solve_with(loads(text), Galet())
    assert solution["y"] == 0 and solution.status is Status.NOT_VERIFIED


def test_a_value_function_without_minimum_is_no_answer():
    """Chen, Xu, Zhang 2024, Example 4.1: phi is minus infinity for x other than 0."""
    text = "model open; upper { var x start 1; minimize x*u }; lower { var u start 0.5; var v; minimize v^2/2 }"
    point = run(problem_of(loads(text)), max_iterations=300)
    assert point.status != "converged" and np.isfinite([*point.x, *point.y]).all()


# ---- the run --------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("number", [1, 3, 4])
def test_the_work_is_exactly_the_calls_made(calls, number, form):
    compiled = problem_of(loads(testing.PROBLEMS[number].text))
    point = run(compiled, form=form)
    values = calls["value_and_grad_f_y"]
    assert compiled.work == {
        "f": calls["F"] + calls["value_and_grad_F"], "g": values, "grad_f": calls["value_and_grad_F"],
        "grad_g": calls["grad_f_y"] + values, "hvp": calls["hvp"], "cross": calls["cross"], "hessian": 0,
        "iterations": point.iterations, "epochs": 0,
    }  # fmt: skip
    assert calls["hvp"] > 3


@pytest.mark.parametrize("form", FORMS)
def test_steps_into_undefined_values_end_in_a_finite_point(form):
    text = "model m; upper { var x start 1; minimize (x - 3)^2 - log(2 - y) }; lower { var y; minimize (y - x)^2 }"
    point = run(problem_of(loads(text)), form=form)
    assert np.isfinite([*point.x, *point.y]).all()
    if form == "krylov":  # 2 (x - 3) (2 - x) = -1
        assert point.x[0] == pytest.approx(2.5 - math.sqrt(0.75), abs=1e-6)


def test_a_start_where_the_follower_has_no_value_for_the_leader_is_said():
    text = "model domain; upper { var x start 5; minimize x - log(2 - y) }; lower { var y; minimize (y - x)^2 }"
    point = run(problem_of(loads(text)))
    assert point.status == "failed" and "not finite" in point.message
    np.testing.assert_array_equal([*point.x, *point.y], [5, 5])
    defined = run(problem_of(loads(text.replace("var y;", "var y start 3;").replace("start 5", "start 1"))))
    assert defined.x[0] < 1  # only the given y has no value


@pytest.mark.parametrize("upper", ["minimize y^2 + y", "var x in [1, 1]; minimize y^2 + y + x - 1"])
def test_a_leader_without_a_choice_gets_the_followers_answer(upper):
    solution = solve_with(loads(f"model none; upper {{ {upper} }}; lower {{ var y; minimize (y - 1)^2 }}"), Galet())
    assert solution.status is Status.LOCALLY_OPTIMAL
    assert solution["y"] == pytest.approx(1) and solution.upper.objective == pytest.approx(2)
