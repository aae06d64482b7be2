"""F2BA minimizes the penalty's estimate of phi, with the bias of theory, and reports the follower's own answer."""

import math

import numpy as np
import pytest
from bileveldsl.backends.f2ba import F2BA, Published, interpolation, nodes, slope, theorem
from compiled import certified, problem_of, runner
from hypothesis import given
from hypothesis import strategies as st
from quadratic import Quadratic
from shared_models import GALET, MINIMA, PBGD

from bileveldsl import loads
from bileveldsl.execute.descent import method
from bileveldsl.execute.driver import run as drive
from bileveldsl.execute.engine import jax_engine, numpy_engine
from bileveldsl.execute.monitor import Monitor
from bileveldsl.solution import Status

TOY = """model toy
upper { var x in [0, 10] start 1; minimize (x - 3)^2 + (y - 1)^2 }
lower { var y; minimize (y - x)^2 }
"""
SETTLED = (Status.STATIONARY, Status.LOCALLY_OPTIMAL)  # as far as the verification can prove the follower's answer


run = runner(F2BA())


# ---- the bias of the penalty ----------------------------------------------------------------


@pytest.mark.parametrize("form", ["central", "forward"])
@pytest.mark.parametrize("seed", range(3))
def test_the_estimate_is_minimized_exactly(seed, form):
    quadratic = Quadratic.random(seed)
    for sigma in (1e-1, 1e-3):
        point = run(problem_of(quadratic.model()), Monitor(1e-8), form=form, sigma=sigma)
        expected = quadratic.penalty_optimum(sigma, -sigma if form == "central" else 0.0)
        np.testing.assert_allclose(point.x, expected, atol=1e-7)
        np.testing.assert_allclose(point.y, quadratic.answer(point.x), atol=1e-9)


@pytest.mark.parametrize(("form", "order"), [("forward", 1), ("forward", 2), ("central", 2), ("central", 3),
                                               ("central", 4)])  # fmt: skip
@pytest.mark.parametrize("seed", range(2))
def test_the_distance_to_the_optimum_has_the_order_of_the_difference(seed, form, order):
    quadratic = Quadratic.random(seed)
    problem, optimum = problem_of(quadratic.model()), quadratic.optimum()
    sigmas = np.geomspace(1e-1, 1e-3 if order < 3 else 1e-2, 3)
    errors = [
        np.linalg.norm(run(problem, Monitor(1e-11), form=form, order=order, sigma=sigma).x - optimum)
        for sigma in sigmas
    ]  # fmt: skip
    rate = np.polyfit(np.log(sigmas), np.log(errors), 1)[0]
    assert rate == pytest.approx(order, abs=0.25)
    assert errors[0] < 1  # the penalty is in its asymptotic range from the start


@given(order=st.integers(1, 6), central=st.booleans(), factors=st.lists(st.floats(-1, 1), min_size=7, max_size=7))
def test_difference_quotients_are_exact_for_polynomials(order, central, factors):
    at = nodes(order, central)
    assert at.size == order + (order % 2 or not central)
    polynomial = np.polynomial.Polynomial(factors[: order + 1])
    assert slope(at) @ polynomial(at) == pytest.approx(factors[1], abs=1e-9)
    fitting, target = np.polynomial.Polynomial(factors[: at.size]), np.array([0.3])
    assert fitting(at) @ interpolation(at, target) == pytest.approx(fitting(target), abs=1e-9)


def test_the_default_agrees_with_implicit_within_the_bias():
    quadratic = Quadratic.random(5)
    implicit, f2ba = (quadratic.model().solve(backend) for backend in ("implicit", "f2ba"))
    assert f2ba.status is Status.LOCALLY_OPTIMAL
    np.testing.assert_allclose(f2ba["x"], implicit["x"], atol=1e-6)
    assert f2ba.upper.objective == pytest.approx(implicit.upper.objective, abs=1e-9)
    assert f2ba.work.hvp == f2ba.work.hessian == f2ba.work.cross == 0


@pytest.mark.parametrize("form", ["central", "forward", "paper"])
def test_the_value_reported_is_phi_and_not_the_penaltys(form):
    quadratic = Quadratic.random(1)
    sigma = 0.1
    solution = quadratic.model().solve("f2ba", options={"form": form, "sigma": sigma, "max_iterations": 50})
    x = solution["x"]
    np.testing.assert_allclose(solution["y"], quadratic.answer(x), atol=1e-9)
    assert solution.upper.objective == pytest.approx(quadratic.phi(x), abs=1e-9)
    assert quadratic.F(x, quadratic.answer(x, sigma)) < quadratic.phi(x) - 1e-4  # what the penalty would promise
    assert solution.verification.lower_gap <= 1e-9


def test_bounds_hold_and_the_projected_gradient_vanishes():
    quadratic = Quadratic.random(2)
    solution = quadratic.model((-0.2, 0.2)).solve("f2ba")
    x = solution["x"]
    assert (np.abs(x) <= 0.2).all() and (np.abs(x) == 0.2).any()
    np.testing.assert_allclose(np.clip(x - quadratic.gradient(x), -0.2, 0.2), x, atol=1e-5)


@pytest.mark.parametrize("upper", ["minimize y^2 + y", "var x in [1, 1]; minimize y^2 + y + x - 1"])
def test_a_leader_without_a_choice_gets_the_followers_answer(upper):
    solution = loads(f"model none; upper {{ {upper} }}; lower {{ var y; minimize (y - 1)^2 }}").solve("f2ba")
    assert solution.status is Status.LOCALLY_OPTIMAL
    assert solution["y"] == pytest.approx(1) and solution.upper.objective == pytest.approx(2)


# ---- Algorithm 2 ----------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 7, 30])
def test_the_papers_form_is_algorithm_2_step_by_step(steps):
    q = Quadratic.random(7)
    sigma, inner, tau, eta = 0.05, 6, 0.08, 0.03
    x, y = np.zeros(3), np.zeros(4)
    z = y
    for _ in range(steps):  # Chen, Xu, Zhang 2024, Algorithm 2
        for _ in range(inner):
            z = z - tau * (q.A @ z - q.B @ x)
            y = y - tau * (sigma * q.C @ (y - q.t) + q.A @ y - q.B @ x)
        x = x - eta * ((x - q.d) + (-q.B.T @ y + q.B.T @ z) / sigma)
    solver = Published(sigma, inner, tau, eta, (np.full(3, -np.inf), np.full(3, np.inf)), 1e-12)
    point = drive(solver, problem_of(q.model()), Monitor(1e-12), steps)
    np.testing.assert_allclose(point.x, x, rtol=0, atol=1e-12)
    np.testing.assert_allclose(point.y, z, rtol=0, atol=1e-12)
    options = {"form": "paper", "sigma": sigma, "K": inner, "tau": tau, "eta": eta, "max_iterations": steps}
    through = run(problem_of(q.model()), Monitor(1e-12), **options)
    np.testing.assert_allclose(through.x, x, rtol=0, atol=1e-12)
    np.testing.assert_allclose(through.y, q.answer(x), atol=1e-9)


def test_the_papers_form_reaches_the_point_where_its_estimate_vanishes():
    q = Quadratic.random(7)
    options = {"form": "paper", "sigma": 0.01, "K": 40, "tau": 0.2, "eta": 0.2}
    point = run(problem_of(q.model()), Monitor(1e-8), **options)
    assert point.status == "converged"
    np.testing.assert_allclose(point.x, q.penalty_optimum(0.01, 0.0), atol=1e-6)


def test_the_papers_form_projects_onto_the_bounds():
    options = {"form": "paper", "sigma": 0.01, "K": 20, "tau": 0.3, "eta": 0.1}
    text = "model m; upper { var x in [0, 1] start 0.5; minimize (y - 3)^2 }; lower { var y; minimize (y - 2*x)^2 }"
    point = run(problem_of(loads(text)), **options)
    assert point.status == "converged" and point.x.tolist() == [1.0]
    assert point.y[0] == pytest.approx(2)


def test_certified_constants_give_the_theorems_settings():
    """f = (y - 2x)^2 has mu = L_g = 2, F = 3 (y - 3)^2 has L_f = 6: l = 6, kappa = 3."""
    text = "model m; upper { var x in [0, 2]; minimize 3*(y - 3)^2 }; lower { var y; minimize (y - 2*x)^2 }"
    problem = certified(loads(text))
    found = theorem(problem.program, problem.facts, 1e-4)
    assert found["sigma"] == pytest.approx(1e-4 / (6 * 27)) and found["eta"] == pytest.approx(1 / (8 * 6 * 27))
    assert found["tau"] == pytest.approx(1 / (6 * found["sigma"] + 2))
    assert found["K"] == math.ceil(math.log(1 / found["sigma"]))
    point = run(problem, Monitor(1e-4), form="paper", max_iterations=20000)
    assert point.status == "converged" and point.x[0] == pytest.approx(1.5, abs=1e-4)
    unproved = certified(loads(PBGD.format(1, 1)))
    assert theorem(unproved.program, unproved.facts, 1e-4) is None
    assert theorem(problem.program, (), 1e-4) is None  # nothing is proved again here


@pytest.mark.parametrize("order", [1, 2])
def test_a_flat_function_is_followed_to_its_end_however_small_its_gradient(order):
    """phi = exp(-x) / 1000: its gradient is below the tolerance from x = 6.9 on, where 1e-6 is left to gain."""
    text = "model m; upper { var x in [0, 10]; minimize exp(-y) / 1000 }; lower { var y; minimize (y - x)^2 }"
    (x,) = run(problem_of(loads(text)), Monitor(1e-6), order=order).x
    assert math.exp(-x) - math.exp(-10) <= 1e-5  # a hundredth of the tolerance is left


def test_steps_that_are_too_long_end_in_a_finite_point():
    quadratic = Quadratic.random(7)
    point = run(problem_of(quadratic.model()), form="paper", tau=10.0, eta=0.01)
    assert point.status == "failed" and "not finite" in point.message
    assert np.isfinite(point.x).all() and np.isfinite(point.y).all()


# ---- the inner methods ----------------------------------------------------------------------

METHODS = ("quasi-newton", "nesterov", "gradient")


def descend(name, objective, start, tolerance=1e-8, most=20000):
    descent = method(name, len(start))
    chain, count = descent.descend(
        numpy_engine(), objective, descent.begin(numpy_engine(), np.array(start, dtype=float)), np.linalg.norm,
        tolerance, most,
    )  # fmt: skip
    return chain.y, count


def bowl(kappa):
    """A quadratic with eigenvalues from 1 to kappa, its minimizer, and its minimization's objective."""
    random = np.random.default_rng(3)
    basis, _ = np.linalg.qr(random.standard_normal((8, 8)))
    A, b = (basis * np.geomspace(1, kappa, 8)) @ basis.T, random.standard_normal(8)
    return lambda y: (y @ A @ y / 2 - b @ y, A @ y - b), np.linalg.solve(A, b)


@pytest.mark.parametrize("kappa", [1.0, 1e2, 1e5])
@pytest.mark.parametrize(("name", "most"), [("quasi-newton", 120), ("nesterov", 8000)])
def test_the_inner_methods_need_no_step_size(name, most, kappa):
    objective, minimizer = bowl(kappa)
    y, count = descend(name, objective, [10.0] * 8)
    assert np.linalg.norm(objective(y)[1]) <= 1e-8 and count <= 20 + min(most, 25 * math.sqrt(kappa))
    np.testing.assert_allclose(y, minimizer, atol=1e-7)


@pytest.mark.parametrize("name", METHODS)
def test_the_inner_methods_end_at_the_level_of_rounding(name):
    objective, minimizer = bowl(20.0)
    y, count = descend(name, objective, [10.0] * 8, 0.0)
    assert count < 2000
    np.testing.assert_allclose(y, minimizer, atol=1e-12)


@pytest.mark.parametrize(("name", "bend"), [*((name, -3.0) for name in METHODS), ("quasi-newton", 0.0)])
def test_a_function_without_minimum_is_recognized(name, bend):
    y, count = descend(name, lambda y: (y.sum() + bend / 2 * y @ y, 1 + bend * y), [0.1, -0.4])
    assert np.isnan(y).all() and count < 500


@pytest.mark.parametrize("name", METHODS)
def test_the_inner_methods_stop_at_their_limit(name):
    assert descend(name, bowl(1e5)[0], [10.0] * 8, most=7)[1] == 7


def test_quasi_newton_goes_down_from_a_maximum_between_waves():
    y, _ = descend("quasi-newton", lambda y: (-np.cos(y).sum(), np.sin(y)), [0.1, 3.1])
    np.testing.assert_allclose(np.cos(y), 1)


def test_quasi_newton_solves_rosenbrock():
    def rosenbrock(y):
        a, b = 1 - y[0], y[1] - y[0] ** 2
        return a**2 + 100 * b**2, np.array([-2 * a - 400 * y[0] * b, 200 * b])

    y, count = descend("quasi-newton", rosenbrock, [-1.2, 1.0], 1e-9)
    np.testing.assert_allclose(y, [1, 1], atol=1e-8)
    assert count < 100


# ---- the oracles of several chains ----------------------------------------------------------


@pytest.mark.parametrize("engine", [numpy_engine, jax_engine])
def test_the_chains_oracles_are_the_sums_of_single_ones(engine):
    if engine is jax_engine:
        pytest.importorskip("jax")
    text = """model chains
    dim n = 4, p = 3
    param A[n, p] = [[1, 2, 0], [0, 1, -1], [3, 1, 1], [2, 0, 2]]
    upper { var x[n]; minimize logsumexp(A @ w + x, n) + sum(w) * u^2 + norm(w)^2 }
    lower { var w[p]; var u; minimize dot(exp(x), (A @ w - u)^2) + u^2 + w[0] * u }
    """
    problem = problem_of(loads(text), engine())
    random = np.random.default_rng(0)
    x, ys = random.standard_normal(4), random.standard_normal((3, 4))
    sigmas, weights = np.array([0.3, 0.0, -0.2]), np.array([2.0, -1.0, 0.5])
    flat = np.concatenate([ys[:, :3].T.ravel(), ys[:, 3]])
    assert np.array_equal(flat, ys.T.ravel())  # the matrix with a column for each chain
    total, by_chains = problem.penalty_sum(x, flat, sigmas)
    mean, by_x = problem.penalty_mean(x, flat, sigmas, weights)
    assert problem.work["grad_f"] == problem.work["grad_g"] == problem.work["f"] == problem.work["g"] == 6
    upper = [problem.value_and_grad_F(x, y) for y in ys]
    lower = [problem.value_and_grad_f(x, y) for y in ys]
    value, slope_x, slope_y = (
        np.stack([s * F[k] + f[k] for s, F, f in zip(sigmas, upper, lower, strict=True)]) for k in range(3)
    )
    assert float(total) == pytest.approx(value.sum()) and float(mean) == pytest.approx(weights @ value)
    np.testing.assert_allclose(by_chains, slope_y.T.ravel(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(by_x, weights @ slope_x, rtol=1e-12, atol=1e-12)


# ---- followers that are not strongly convex -------------------------------------------------


@pytest.mark.parametrize("start", [(2, 1, -1), (-3, 0, 2), (0, -2, 0.5), (1, 3, 4)])
def test_the_galet_toy_ends_at_one_half(start):
    solution = loads(GALET.format(*start)).solve("f2ba")
    assert solution["x"] == pytest.approx(0.5, abs=1e-5)
    assert solution["u"] - math.sin(solution["v"]) == pytest.approx(-0.5, abs=1e-5)
    assert solution.upper.objective == pytest.approx(-0.25, abs=1e-9)  # f(x, y_sigma) = -1/4 - sigma lies below
    assert solution.status in SETTLED


@pytest.mark.parametrize("start", [(0.2, 0.0), (1.0, 0.5), (2.9, -2.0), (2.0, -5.0), (1.7, 8.0)])
def test_the_pbgd_toy_ends_at_a_local_minimum_of_phi(start):
    solution = loads(PBGD.format(*start)).solve("f2ba")
    (found,) = [x for x in MINIMA if abs(x - solution["x"]) < 1e-3]
    assert solution["y"] == pytest.approx(-solution["x"], abs=1e-8)
    assert solution.upper.objective == pytest.approx(MINIMA[found], abs=1e-4)
    assert solution.status in SETTLED


def test_a_follower_left_in_its_worse_well_is_not_verified():
    text = """model wells
    upper { var x in [-0.1, 0.1]; minimize (x - 0.05)^2 + y }
    lower { var y start 1; minimize (y^2 - 1)^2 + 0.3*y + x*y }
    """
    solution = loads(text).solve("f2ba")
    assert solution["y"] > 0.9  # the backend stays in the well where it began
    assert solution.status is Status.NOT_VERIFIED and solution.status.exit_code == 4


def test_a_maximum_of_the_follower_as_start_is_not_verified():
    text = "model top; upper { var x in [-1, 1]; minimize x^2 }; lower { var y start 0; minimize cos(y) }"
    solution = loads(text).solve("f2ba")
    assert solution["y"] == 0 and solution.status is Status.NOT_VERIFIED


# ---- the run --------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["central", "forward", "paper"])
def test_the_work_is_exactly_the_calls_made(calls, form):
    problem = problem_of(loads(TOY))
    point = run(problem, form=form, max_iterations=40)
    chains = 2 * (calls["penalty_sum_2"] + calls["penalty_mean_2"])
    assert problem.work == {
        "f": calls["F"] + chains, "g": calls["value_and_grad_f_y"] + chains,
        "grad_f": calls["grad_F"] + calls["grad_F_y"] + chains,
        "grad_g": calls["grad_f"] + calls["grad_f_y"] + calls["value_and_grad_f_y"] + chains,
        "hvp": 0, "cross": 0, "hessian": 0, "iterations": point.iterations, "epochs": 0,
    }  # fmt: skip
    assert sum(calls.values()) > 20


@pytest.mark.parametrize("form", ["central", "forward", "paper"])
def test_no_time_at_all_still_gives_a_point(form):
    point = run(problem_of(loads(TOY)), Monitor(time_limit=0.0), form=form)
    assert point.status == "limit" and np.isfinite([*point.x, *point.y]).all()
    assert point.y[0] == pytest.approx(point.x[0], abs=1e-9)


def test_stopped_later_the_point_of_the_finer_penalty_is_kept():
    """Values of psi for different penalties do not compare: a coarse one promises more."""
    quadratic = Quadratic.random(0)
    problem = problem_of(quadratic.model())

    class Interrupting(Monitor):
        def report(self, objective, measures, point, iteration=None, merit=None):
            super().report(objective, measures, point, iteration, merit)
            if measures["sigma"] < 2e-3:
                raise KeyboardInterrupt

    coarse, stopped = run(problem, form="forward", sigma=1e-1), run(problem, Interrupting(), form="forward")
    assert stopped.status == "limit"
    errors = [np.linalg.norm(point.x - quadratic.optimum()) for point in (coarse, stopped)]
    assert errors[1] < 0.2 * errors[0]


def test_the_penalty_shrinks_until_it_no_longer_matters():
    quadratic = Quadratic.random(0)
    point = run(problem_of(quadratic.model()), Monitor(1e-6))
    assert point.status == "converged" and 1e-5 < point.measures["sigma"] < 1e-1
    assert np.linalg.norm(quadratic.gradient(point.x)) <= 1.1e-6
    alone = run(problem_of(quadratic.model()), Monitor(1e-6), sigma=1e-1)
    assert np.linalg.norm(quadratic.gradient(alone.x)) > 1e-4


@pytest.mark.parametrize("inner", ["quasi-newton", "nesterov", "gradient"])
def test_every_inner_method_gives_the_same_answer(inner):
    quadratic = Quadratic.random(4)
    point = run(problem_of(quadratic.model()), Monitor(1e-7), inner_method=inner)
    np.testing.assert_allclose(point.x, quadratic.optimum(), atol=1e-6)


@pytest.mark.parametrize("form", ["central", "forward"])
def test_a_penalty_that_is_too_large_is_left_for_a_smaller_one(form):
    sign = "-" if form == "forward" else ""  # f + F / 10 or f - F / 10 is not bounded below
    text = f"""model large
    upper {{ var x in [-1, 1] start 0.7; minimize 30*(x - 0.2)^2 {sign or "+"} 30*y^2 + exp(y) }}
    lower {{ var y; minimize (y - x)^2 / 2 }}
    """
    implicit, f2ba = (loads(text).solve(backend, options=options) for backend, options in (
        ("implicit", {}), ("f2ba", {"form": form})))  # fmt: skip
    assert f2ba["x"] == pytest.approx(implicit["x"], abs=0.01 if form == "forward" else 1e-4)
    assert f2ba.verification.lower_gap <= 1e-12


def test_where_no_penalty_has_a_minimum_the_start_is_returned_and_said():
    """Chen, Xu, Zhang 2024, Example 4.1: the follower is PL, but no sigma F + f is bounded below."""
    text = "model open; upper { var x start 1; minimize x*u^3 }; lower { var u start 1; var v; minimize v^2/2 }"
    point = run(problem_of(loads(text)))
    assert point.status == "failed" and "no finite minimum" in point.message
    np.testing.assert_array_equal(point.x, [1.0])
    assert np.isfinite(point.y).all()
