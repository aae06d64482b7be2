"""RXGF: its steps are the published ones and cvxpy's, its shifts take the bias away, and maxima are called so."""

import numpy as np
import pytest
from bileveldsl.backends.rxgf import Rxgf
from bileveldsl.backends.rxgf.discrete import Discrete, schedule
from bileveldsl.backends.rxgf.problem import Relaxed
from bileveldsl.backends.rxgf.stationarity import Rows, Stationarity, rows_of
from bileveldsl.backends.rxgf.subproblem import Programme, closed_form, within_bounds
from compiled import problem_of, runner
from hypothesis import given, settings
from hypothesis import strategies as st
from quadratic import Quadratic
from scipy import optimize, sparse
from shared_models import MINIMA, PBGD

from bileveldsl import Model, dot, exp, loads, log, sin, sumsq, testing
from bileveldsl.execute.driver import run as drive
from bileveldsl.execute.engine import jax_engine, numpy_engine
from bileveldsl.execute.monitor import Monitor
from bileveldsl.language.diagnostics import BlvError
from bileveldsl.solution import Status
from bileveldsl.solve import solve_with

FORMS = ("qcqp", "qp1", "qp2", "rxgd", "flow")
NUMPY = numpy_engine()


run = runner(Rxgf())


# ---- the step -------------------------------------------------------------------------------


def draw(seed):
    """A subproblem that has a feasible step, with bounds that include zero."""
    random = np.random.default_rng(seed)
    n, omega = int(random.integers(1, 7)), float(random.choice([0.0, 0.1, 1.0]))
    v, p = random.standard_normal((2, n))
    low, high = -random.uniform(0, 1, n), random.uniform(0, 1, n)
    inside = random.uniform(low, high)
    return v, p, float(p @ inside + omega * inside @ inside + 0.01), omega, low, high


@pytest.mark.parametrize("seed", range(8))
def test_the_closed_forms_agree_with_cvxpy(seed):
    v, p, c, omega, low, high = draw(seed)
    cube = np.full(len(v), 1e3)
    for box in ((low, high), (-cube, cube)):
        programme = Programme(Rows(sparse.csr_array(np.eye(len(v))), *box), omega=True)
        expected, multiplier = programme.solve(v, p, c, omega, np.zeros(len(v)))
        d, lam = within_bounds(NUMPY, v, p, c, omega, box)
        np.testing.assert_allclose(d, expected, atol=1e-6)
        assert lam == pytest.approx(multiplier, rel=1e-6, abs=1e-6)
    d, lam = closed_form(np, v, p, c, omega)
    np.testing.assert_allclose(d, expected, atol=1e-6)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_the_step_satisfies_its_optimality_conditions(seed):
    v, p, c, omega, low, high = draw(seed)
    d, lam = within_bounds(NUMPY, v, p, c, omega, (low, high))
    slope = d + v + lam * (p + 2 * omega * d)
    excess = p @ d + omega * d @ d - c
    np.testing.assert_allclose(np.clip(d - slope, low, high), d, atol=1e-9)
    assert excess <= 1e-9 and lam >= 0 and abs(lam * excess) <= 1e-9 * (1 + lam)


def test_the_multiplier_of_the_half_space_is_the_published_one():
    v, p, alpha, rho = np.array([1.0, -2.0]), np.array([0.5, 3.0]), 0.3, 0.7
    d, lam = closed_form(np, v, p, -alpha * rho, 0.0)
    assert lam == pytest.approx((-v @ p + alpha * rho) / (p @ p))
    np.testing.assert_allclose(d, -v - lam * p)
    d, lam = closed_form(np, np.array([1.0, 2.0]), p, -alpha * rho, 0.0)
    assert lam == 0 and d.tolist() == [-1, -2]


def test_where_no_step_is_feasible_the_constraint_is_met_as_well_as_can_be():
    p, omega = np.array([1.0, 2.0]), 0.5
    d, _ = closed_form(np, np.array([3.0, -1.0]), p, -100.0, omega)
    np.testing.assert_allclose(d, -p / (2 * omega), atol=1e-6)


# ---- the follower's conditions --------------------------------------------------------------

CONSTRAINED = """model constrained
dim n = 2, p = 3
param A[p, p] = [[3, 1, 0], [1, 2, 0], [0, 0, 2]]
param B[p, n] = [[1, 0], [2, -1], [0.5, 1]]
upper { var x[n]; minimize sumsq(x) + sumsq(y) }
lower {
  var y[p] in [-0.2, 0.6]
  minimize 0.5*dot(y, A @ y) - dot(y, B @ x)
  cap: sum(y) + x[1] <= 0.7
  low: -0.1 <= y[1] - y[2] <= 0.3
}
"""


@pytest.mark.parametrize("seed", range(6))
def test_the_residual_vanishes_where_scipy_finds_the_followers_answer(seed):
    problem = problem_of(loads(CONSTRAINED))
    x = np.random.default_rng(seed).uniform(-1, 1, 2)
    inner = Stationarity.of(problem)
    rows = inner.rows
    constraint = optimize.LinearConstraint(rows.matrix.toarray()[:, 2:], rows.lower - rows.matrix[:, :2] @ x,
                                           rows.upper - rows.matrix[:, :2] @ x)  # fmt: skip
    found = optimize.minimize(
        lambda y: float(problem.f(x, y)), np.zeros(3), jac=lambda y: problem.grad_f_y(x, y), method="trust-constr",
        hess=lambda y: problem.hessian_yy(x, y), constraints=[constraint], bounds=[(-0.2, 0.6)] * 3,
        options={"gtol": 1e-10, "xtol": 1e-12, "barrier_tol": 1e-10},
    )  # fmt: skip
    assert np.linalg.norm(inner.residual(problem, np.concatenate([x, found.x, found.v[0]])).value) < 1e-3
    assert np.linalg.norm(inner.residual(problem, np.concatenate([x, found.x + 0.05, found.v[0]])).value) > 1e-2


@pytest.mark.parametrize("seed", range(6))
def test_the_pull_is_the_derivative_of_the_residual(seed):
    random = np.random.default_rng(seed)
    problem = problem_of(loads(CONSTRAINED))
    inner = Stationarity.of(problem)
    z, q, along = random.standard_normal(7), random.standard_normal(5), 1e-7 * random.standard_normal(7)
    piece = inner.residual(problem, z)
    difference = (inner.residual(problem, z + along).value - inner.residual(problem, z - along).value) / 2
    assert inner.pull(problem, z, piece, q) @ along == pytest.approx(q @ difference, rel=1e-5, abs=1e-13)


def test_the_rows_are_the_constraints():
    program = loads(CONSTRAINED).program()
    symbols = [symbol for level in program.levels for symbol in level.symbols]
    rows = rows_of(program.lower[0].constraints, symbols)
    np.testing.assert_allclose(rows.matrix.toarray(), [[0, 1, 1, 1, 1], [0, 0, 0, 1, -1]])
    np.testing.assert_allclose([rows.lower, rows.upper], [[-np.inf, -0.1], [0.7, 0.3]])


# ---- the published forms --------------------------------------------------------------------


@pytest.mark.parametrize("form", ["qp1", "qp2", "rxgd"])
def test_the_discrete_forms_are_the_published_steps(form):
    q = Quadratic.random(7)
    alpha, gamma, eps = 0.3, 0.01, 0.2
    x, y = np.full(3, 0.5), np.full(4, -0.2)
    for _ in range(20):
        g = q.A @ y - q.B @ x
        slope = np.concatenate([x - q.d, q.C @ (y - q.t)])
        p = np.concatenate([-2 * q.B.T @ g, 2 * q.A @ g])
        rho = {"qp1": p @ p, "qp2": np.linalg.norm(p) * np.linalg.norm(g), "rxgd": g @ g - eps**2}[form]
        lam = max(0.0, -slope @ p + alpha * rho) / (p @ p)
        x, y = np.split(np.concatenate([x, y]) - gamma * (slope + lam * p), [3])
    problem = problem_of(q.model())
    problem.x_start, problem.y_start = np.full(3, 0.5), np.full(4, -0.2)
    solver = Discrete(form, Relaxed.of(problem, False), alpha, gamma, 1.0, eps, 1e-12, None)
    point = drive(solver, problem, Monitor(1e-12), 20)
    np.testing.assert_allclose(point.x, x, rtol=0, atol=1e-12)
    np.testing.assert_allclose(point.y, y, rtol=0, atol=1e-12)


def test_the_schedules_are_the_published_ones():
    assert schedule("qp1", 1000) == pytest.approx((0.15, 0.15))
    assert schedule("qp2", 1000) == pytest.approx((1.0, 0.1))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_comes_near_the_optimum_of_a_quadratic(form):
    q = Quadratic.random(1)
    options = {"max_iterations": 2000, "horizon": 50.0, "eps": None if form == "qcqp" else 0.01}
    monitor = Monitor(1e-5)
    point = run(problem_of(q.model()), monitor, form=form, **options)
    np.testing.assert_allclose(point.x, q.optimum(), atol=1e-5 if form == "qcqp" else 0.05)
    np.testing.assert_allclose(point.y, q.answer(point.x), atol=1e-9)  # phi is reported, not F in the tube
    assert bool(monitor.notes) is (form != "qcqp")


@pytest.mark.parametrize("eps", [0.2, 0.1])
def test_a_given_eps_is_kept_and_is_a_bias(eps):
    """The end point of min F s.t. |f_y| <= eps by SciPy; shifts end at the optimum of phi instead."""
    q = Quadratic.random(3)
    monitor = Monitor(1e-6)
    point = run(problem_of(q.model()), monitor, eps=eps, max_iterations=20000)
    best = optimize.minimize(
        lambda z: q.F(z[:3], z[3:]), np.zeros(7), method="SLSQP", options={"ftol": 1e-15, "maxiter": 500},
        constraints={"type": "ineq", "fun": lambda z: eps**2 - np.sum((q.A @ z[3:] - q.B @ z[:3]) ** 2)},
    )  # fmt: skip
    assert point.status == "converged"
    np.testing.assert_allclose(point.x, best.x[:3], atol=1e-5)
    assert np.linalg.norm(point.x - q.optimum()) > 0.05 * eps
    assert f"{eps:.3g}" in monitor.notes[0] and best.fun < q.phi(q.optimum())


@pytest.mark.parametrize("seed", range(4))
def test_shifts_take_the_bias_away(seed):
    q = Quadratic.random(seed)
    point = run(problem_of(q.model()), Monitor(1e-7))
    assert point.status == "converged"
    np.testing.assert_allclose(point.x, q.optimum(), atol=1e-6)


# ---- the experiments of the papers ----------------------------------------------------------


def synthetic():
    """The convex problem in 6 dimensions with a draw of our own; H has eigenvalues from 0.3 to 1."""
    random = np.random.default_rng(0)
    basis, _ = np.linalg.qr(random.standard_normal((6, 6)))
    H = (basis * np.linspace(0.3, 1, 6)) @ basis.T
    c, d, x0 = random.standard_normal((3, 6))
    m = Model("synthetic")
    n = m.dim("n", size=6)
    C, D, K = m.param("c", n, value=c), m.param("d", n, value=d), m.param("H", n, n, value=(H + H.T) / 2)
    x, y = m.upper.var("x", n, start=m.param("x0", n, value=x0)), m.lower.var("y", n)
    m.upper.minimize(sin(dot(C, x) + dot(D, y)) + log(sumsq(x + y) + 1))
    m.lower.minimize(sumsq(K @ y - x) / 2)
    return m, c, d, np.linalg.inv(H), x0


def test_the_synthetic_problem_ends_at_a_local_minimum_of_phi():
    model, c, d, inverse, _ = synthetic()
    solution = solve_with(model, Rxgf())
    phi = lambda x: np.sin(c @ x + d @ inverse @ x) + np.log(np.sum((x + inverse @ x) ** 2) + 1)  # noqa: E731
    x = np.asarray(solution["x"])
    best = optimize.minimize(phi, x, tol=1e-12)
    assert solution.upper.objective == pytest.approx(phi(x), abs=1e-9)
    assert best.fun == pytest.approx(phi(x), abs=1e-9)


CORESET = """model coreset
dim n = 4, p = 2
param X[n, p] = {points}
param t[p] = [3, -2]
param y0[p] = {start}
upper {{ var x[n] start 0; minimize {weight}*sumsq(y - t) }}
lower {{ var y[p] start y0; minimize {scale}*sumsq(y - X.T @ (exp(x) / sum(exp(x)))) }}
"""
BOME = {"points": [[1, 3], [3, 1], [-2, 2], [-3, -2]], "weight": 0.1, "scale": 1}
SGF = {"points": [[1, 3], [3, 1], [-2, 2], [-3, 2]], "weight": 0.5, "scale": 0.5}


@pytest.mark.parametrize("start", [(0, 3), (3.5, -1)])
def test_the_coreset_ends_near_its_optimum_at_infinity(start):
    """Weights .8 on (3, 1) and .2 on (-3, -2): phi = 0.72 at y = (1.8, 0.4)."""
    solution = solve_with(loads(CORESET.format(start=list(start), **BOME)), Rxgf(), options={"max_iterations": 800})
    assert 0.72 <= solution.upper.objective <= 0.7226  # the published forms reach 0.72256
    np.testing.assert_allclose(solution["y"], [1.8, 0.4], atol=0.1)


def test_the_coreset_of_sgf_ends_near_its_optimum_at_infinity():
    solution = solve_with(loads(CORESET.format(start=[0, 3], **SGF)), Rxgf(), options={"max_iterations": 800})
    assert 4.5 <= solution.upper.objective <= 4.51
    np.testing.assert_allclose(solution["y"], [3, 1], atol=0.02)


@pytest.mark.parametrize("start", [(0.2, 0.0), (1.0, 0.5), (2.9, -2.0)])
def test_the_pbgd_toy_stays_in_its_box(start):
    problem = problem_of(loads(PBGD.format(*start)))
    point = run(problem)
    (found,) = [x for x in MINIMA if abs(x - point.x[0]) < 1e-3]
    assert point.y == pytest.approx(-point.x, abs=1e-8)
    assert float(problem.F(point.x, point.y)) == pytest.approx(MINIMA[found], abs=1e-4)


# ---- what is not a minimum of the follower --------------------------------------------------


@pytest.mark.parametrize("form", ["qcqp", "qp1", "qp2", "rxgd", "flow"])
def test_a_maximum_of_the_follower_is_called_one_and_not_verified(form):
    text = """model top
    upper { var x in [-1, 1] start 0.5; minimize (x - 0.2)^2 + 0.1*(y - x)^2 }
    lower { var y start 0.52; minimize cos(y - x) }
    """
    options = {"form": form, "start": "given", "max_iterations": 500, "horizon": 100.0}
    solution = solve_with(loads(text), Rxgf(), options=options)
    assert abs(solution["y"] - solution["x"]) < 0.2
    assert solution.status is Status.NOT_VERIFIED or solution.status is Status.LIMIT
    assert "maximum of the follower" in solution.message
    assert solution.verification.lower_gap is None


def test_a_saddle_of_the_follower_is_called_one():
    text = "model saddle; upper { var x start 0.5; minimize x^2 }; lower { var y; var z; minimize y^2 - z^2 + z^4 }"
    point = run(problem_of(loads(text)), start="given")
    assert point.status == "failed" and "a saddle of the follower" in point.message


def test_the_start_is_the_followers_answer_unless_given():
    text = """model top
    upper { var x in [-1, 1] start 0.5; minimize (x - 0.2)^2 + 0.1*(y - x)^2 }
    lower { var y start 0.52; minimize cos(y - x) }
    """
    point = run(problem_of(loads(text)))
    assert abs(point.y[0] - point.x[0]) == pytest.approx(np.pi, abs=1e-6) and point.status == "converged"


# ---- bounds and linear constraints ----------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("upper { var x start 3; minimize (x - 3)^2 + (y - 1)^2 }\nlower { var y in [0, 0.5]; minimize (y - x)^2 }",
         [3, 0.5]),
        ("upper { var x start 0; minimize (x - 3)^2 + (y - 1)^2\n cap: x + y <= 2 }\n"
         "lower { var y; minimize (y - x)^2 }", [1, 1]),
        ("upper { var x start 0; minimize (x - 1)^2 + (y + z)^2 }\n"
         "lower { var y; var z; minimize (y - x)^2 + z^2\n tie: y + 2*z == x + 1 }", [0.2, 0.4, 0.4]),
        ("upper { var x in [0, 3] start 1; minimize (x - 2)^2 + (y - 2)^2 }\n"
         "lower { var y; minimize (y - x)^2\n cap: y <= 1 + 0.5*x }", [2, 2]),
    ],
)  # fmt: skip
def test_bounds_and_linear_constraints_at_both_levels(text, expected):
    point = run(problem_of(loads("model m\n" + text)), max_iterations=400)
    np.testing.assert_allclose([*point.x, *point.y], expected, atol=1e-5)


def test_a_start_that_violates_the_constraints_is_moved_to_them():
    text = "model m\nupper { var x start 9; minimize (x - 3)^2 + (y - 1)^2\n cap: x + y <= 2 }\n"
    text += "lower { var y; minimize (y - x)^2 }"
    point = run(problem_of(loads(text)))
    np.testing.assert_allclose([*point.x, *point.y], [1, 1], atol=1e-5)
    nowhere = run(problem_of(loads(text.replace("cap:", "far: x - y >= 9\n near: y >= 0\n cap:"))))
    assert nowhere.status == "failed" and "linear constraints" in nowhere.message


def test_a_constraint_that_is_not_linear_is_refused():
    text = "model m\nupper { var x; minimize x^2 + y\n cap: x^2 + y <= 1 }\nlower { var y; minimize (y - x)^2 }"
    assert "cap is not linear" in Rxgf().admits(loads(text).program(), ())


@pytest.mark.parametrize("form", ["flow", "qcqp"])
def test_what_needs_numpy_says_so(form):
    pytest.importorskip("jax")
    cap = "\n cap: x + y <= 2" if form == "qcqp" else ""
    text = f"model m\nupper {{ var x; minimize (x - 3)^2 + y{cap} }}\nlower {{ var y; minimize (y - x)^2 }}"
    with pytest.raises(BlvError, match="E608"):
        run(problem_of(loads(text), jax_engine()), form=form)


# ---- the run --------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("number", [1, 3])
def test_the_work_is_exactly_the_calls_made(calls, form, number):
    problem = problem_of(loads(testing.PROBLEMS[number].text))
    point = run(problem, form=form, max_iterations=60, horizon=0.5)
    values = calls["value_and_grad_f_y"]
    assert problem.work == {
        "f": calls["F"], "g": values, "grad_f": calls["grad_F"], "grad_g": calls["grad_f_y"] + values,
        "hvp": calls["hvp"], "cross": calls["cross"], "hessian": calls["hessian_yy"],
        "iterations": point.iterations, "epochs": 0,
    }  # fmt: skip
    assert calls["cross"] > 10 and calls["value_and_grad_F"] == calls["grad_f"] == 0


@pytest.mark.parametrize("form", FORMS)
def test_no_time_at_all_still_gives_a_point(form):
    point = run(problem_of(loads(testing.PROBLEMS[3].text)), Monitor(time_limit=0.0), form=form)
    assert point.status == "limit" and np.isfinite([*point.x, *point.y]).all()


def test_the_exponential_of_the_leader_is_no_obstacle():
    m = Model("shift")
    x, y = m.upper.var("x", start=0.3), m.lower.var("y")
    m.upper.minimize((y - 2) ** 2 + exp(-x))
    m.lower.minimize((y - exp(x)) ** 2)
    solution = solve_with(m, Rxgf())
    root = optimize.brentq(lambda x: 2 * (np.exp(x) - 2) * np.exp(x) - np.exp(-x), 0, 2)
    assert solution["x"] == pytest.approx(root, abs=1e-6) and solution.status is Status.LOCALLY_OPTIMAL


def test_multipliers_are_the_derivatives_of_the_followers_value():
    """cap: y0 + y1 <= 2, range: 0 <= y0 - y1 <= 1, at x = 1: checked against differences of the least value."""
    text = """model m
    dim n = 2
    upper {{ var x in [0, 1]; minimize (x - 1)^2 + 0.01 * sumsq(y) }}
    lower {{ var y[n] in [0, 5]; minimize (y[0] - 3*x)^2 + (y[1] - x)^2
      cap: y[0] + y[1] <= {}; apart: 0 <= y[0] - y[1] <= 1; far: y[1] <= 9 }}
    """
    problem = problem_of(loads(text.format(2)))
    point = run(problem)

    def least(cap, most):
        found = optimize.minimize(
            lambda y: (y[0] - 3 * point.x[0]) ** 2 + (y[1] - point.x[0]) ** 2, point.y, bounds=[(0, 5)] * 2,
            constraints=[{"type": "ineq", "fun": lambda y: [cap - y[0] - y[1], y[0] - y[1], most - y[0] + y[1]]}],
            options={"ftol": 1e-15},
        )  # fmt: skip
        return found.fun

    h = 1e-3
    slopes = (least(2 + h, 1) - least(2 - h, 1)) / (2 * h), (least(2, 1 + h) - least(2, 1 - h)) / (2 * h)
    assert set(point.duals) == {"cap", "apart", "far"} and slopes[0] < -1
    assert float(point.duals["cap"]) == pytest.approx(slopes[0], abs=1e-4)
    assert float(point.duals["apart"]) == pytest.approx(slopes[1], abs=1e-4)
    assert float(point.duals["far"]) == 0
