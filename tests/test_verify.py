"""The verification measures what is true of a point, whoever found it, and claims no more than it measured."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from bileveldsl import loads
from bileveldsl.certify.claims import check_claims
from bileveldsl.certify.facts import Fact
from bileveldsl.certify.lower_level import certify
from bileveldsl.execute.engine import numpy_engine
from bileveldsl.execute.problem import compile_problem
from bileveldsl.reduce import REDUCTIONS, reduce_program
from bileveldsl.solution import Status
from bileveldsl.verify import hypergradient, smooth, verify_point

TOY = "model toy; upper { var x in [0, 10]; minimize (x - 3)^2 + (y - 1)^2 }; lower { var y; minimize (y - x)^2 }"
CONVEX = (Fact("lower.objective", "convex", "proved"),)
few = settings(max_examples=40, deadline=None)


def compiled(text, **given):
    """The reduced problem of a model, and what is proved of it."""
    program = loads(text).program(**given)
    facts, _ = check_claims(program, certify(program))
    return compile_problem(reduce_program(program, REDUCTIONS).program, numpy_engine()), facts


def gradient_at(problem, x, y):
    """The hyper-gradient, which must be there."""
    found = hypergradient(problem, x, y)
    assert found is not None
    return found


def measured(text, x, y, facts=None, tol=1e-6):
    problem, known = compiled(text)
    return verify_point(problem, np.atleast_1d(x), np.atleast_1d(y), known if facts is None else facts, tol=tol)


# ---- the follower's gap ---------------------------------------------------------------------

A = np.array([[3.0, 1, 0], [1, 2, -0.5], [0, -0.5, 1]])
B = np.array([[1.0, 0], [2, -1], [0, 1]])
C = np.array([[2.0, 0.3, 0], [0.3, 1, 0], [0, 0, 4]])
T = np.array([1.0, -1, 0.5])
QUADRATIC = """model quadratic
dim n = 2, p = 3
param A[p, p] = [[3, 1, 0], [1, 2, -0.5], [0, -0.5, 1]]
param B[p, n] = [[1, 0], [2, -1], [0, 1]]
param C[p, p] = [[2, 0.3, 0], [0.3, 1, 0], [0, 0, 4]]
param t[p] = [1, -1, 0.5]
upper { var x[n] in [-2, 2]; minimize dot(y - t, C @ (y - t)) / 2 + sumsq(x) }
lower { var y[p]; minimize dot(y, A @ y) / 2 - dot(y, B @ x) }
"""
numbers = st.floats(-2, 2).map(lambda number: round(number, 6))


def vectors(size):
    return st.lists(numbers, min_size=size, max_size=size).map(np.array)


@pytest.fixture(scope="module")
def quadratic():
    return compiled(QUADRATIC)


@few
@given(x=vectors(2), wrong=vectors(3))
def test_gap_and_hypergradient_of_quadratics_are_the_true_ones(quadratic, x, wrong):
    problem, facts = quadratic
    best = np.linalg.solve(A, B @ x)
    y = best + wrong
    found = verify_point(problem, x, y, facts).verification
    value = y @ A @ y / 2 - y @ B @ x
    assert found.lower_gap == pytest.approx(wrong @ A @ wrong / 2 / (1 + abs(value)), abs=1e-9)
    gradient = 2 * x + B.T @ np.linalg.solve(A, C @ (y - T))
    rest = x - np.clip(x - gradient, -2, 2)
    assert found.hypergradient_norm == pytest.approx(np.linalg.norm(rest), abs=1e-9)
    np.testing.assert_allclose(gradient_at(problem, x, y), gradient, atol=1e-10)


def test_a_follower_off_its_answer_is_caught_with_the_right_gap():
    good = measured(TOY, 2, 2)
    assert good.status is Status.LOCALLY_OPTIMAL and good.verification.lower_gap == 0
    assert good.verification.hypergradient_norm == 0 and good.verification.lower_gap_method == "convex-solve"
    bad = measured(TOY, 2, 2.1)
    assert bad.status is Status.NOT_VERIFIED
    assert bad.verification.lower_gap == pytest.approx(0.01 / 1.01, abs=1e-12)
    assert "better answer" in bad.message


def test_a_leader_off_its_optimum_is_feasible_with_the_right_norm():
    found = measured(TOY, 2.5, 2.5)
    assert found.status is Status.FEASIBLE
    assert found.verification.hypergradient_norm == pytest.approx(4 * 2.5 - 8)  # phi = (x - 3)^2 + (x - 1)^2
    assert found.verification.lower_gap <= 1e-15


@pytest.mark.parametrize(
    ("tol", "status"), [(0.03, Status.LOCALLY_OPTIMAL), (1e-3, Status.FEASIBLE), (1e-5, Status.NOT_VERIFIED)]
)
def test_the_tolerance_decides(tol, status):
    assert measured(TOY, 2, 2.01, tol=tol).status is status  # gap 1e-4, hyper-gradient norm 0.02


@few
@given(a=st.floats(0.1, 10), centre=st.floats(-30, 30), part=st.floats(0, 1))
def test_the_gap_on_a_box_is_never_below_the_truth(a, centre, part):
    lower = f"lower {{ var y in [-1, 3]; minimize {a!r}*(y - {centre!r})^2/2 }}"
    text = f"model box; upper {{ var x; minimize x^2 + y }}; {lower}"
    y = -1 + 4 * part
    best = min(max(centre, -1), 3)
    value, least = (a * (at - centre) ** 2 / 2 for at in (y, best))
    found = measured(text, 0.0, y).verification
    assert found.lower_gap == pytest.approx((value - least) / (1 + value), rel=1e-6, abs=1e-9)
    assert found.lower_gap >= (value - least) / (1 + value) - 1e-13


L = np.array([[1.0, 2, 0], [0, 1, -1], [1, 0, 3]])
BOXED = """model boxed
dim n = 3
param L[n, n] = [[1, 2, 0], [0, 1, -1], [1, 0, 3]]
upper { var x[n]; minimize sumsq(x) + sum(y) }
lower { var y[n] in [-1, 1]; minimize sumsq(L @ y - x) / 2 }
"""


@pytest.fixture(scope="module")
def boxed():
    return compiled(BOXED)


@pytest.mark.parametrize("facts", [None, CONVEX], ids=["strongly convex", "convex"])
@few
@given(x=vectors(3), y=vectors(3).map(lambda y: y / 2))
def test_the_gap_of_a_bounded_least_squares_follower(boxed, facts, x, y):
    problem, known = boxed
    found = verify_point(problem, 3 * x, y, known if facts is None else facts).verification
    best = optimize.lsq_linear(L, 3 * x, bounds=(-1, 1), tol=1e-14).x
    value, least = (np.sum((L @ at - 3 * x) ** 2) / 2 for at in (y, best))
    assert found.lower_gap == pytest.approx((value - least) / (1 + value), abs=1e-7)
    assert found.lower_gap >= (value - least) / (1 + value) - 1e-12


@pytest.mark.parametrize("modulus", [None, 1.0, 1e-3])
@few
@given(x=vectors(2), wrong=vectors(3))
def test_any_valid_modulus_gives_a_valid_bound(quadratic, modulus, x, wrong):
    problem, _ = quadratic
    modulus = None if modulus is None else modulus * float(np.linalg.eigvalsh(A)[0])
    y = np.linalg.solve(A, B @ x) + wrong
    bound = smooth.gap_bound(problem, x, y, modulus)
    assert bound >= wrong @ A @ wrong / 2 * (1 - 1e-9) - 1e-12


def test_a_linear_follower_on_a_box():
    text = "model lp; upper { var x in [0, 1]; minimize x + y }; lower { var y in [0, 4]; minimize (1 + x) * y }"
    right = measured(text, 0, 0)
    assert right.status is Status.LOCALLY_OPTIMAL and right.verification.lower_gap == 0
    wrong = measured(text, 0, 1)
    assert wrong.status is Status.NOT_VERIFIED and wrong.verification.lower_gap == pytest.approx(0.5)


def test_a_linear_follower_without_bounds_has_no_gap():
    text = "model lp; upper { var x in [1, 2]; minimize x + y }; lower { var y; minimize x * y }"
    found = measured(text, 1, -1e6)
    assert found.status is Status.NOT_VERIFIED and found.verification.lower_gap is None


def test_a_follower_that_is_not_defined_at_zero_is_solved_from_elsewhere():
    text = "model log; upper { var x; minimize x^2 + y }; lower { var y start 3; minimize y - log(y) }"
    assert measured(text, 0, 1).status is Status.LOCALLY_OPTIMAL
    gap = measured(text, 0, 2).verification.lower_gap
    assert gap == pytest.approx((2 - math.log(2) - 1) / (1 + 2 - math.log(2)), abs=1e-9)


# ---- bounds and points that are none --------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "norm"),
    [(0.0, 1.0), (1.0, 0.0), (0.25, 0.75)],  # phi = (x - 5)^2 pulls to the right until the bound
)
def test_at_a_bound_only_the_way_inside_counts(x, norm):
    text = "model bound; upper { var x in [0, 1]; minimize (y - 5)^2 }; lower { var y; minimize (y - x)^2 }"
    found = measured(text, x, x)
    assert found.verification.hypergradient_norm == pytest.approx(norm)
    assert found.status is (Status.LOCALLY_OPTIMAL if norm == 0 else Status.FEASIBLE)


@pytest.mark.parametrize(
    ("x", "y", "upper", "lower"), [(-0.5, 0.5, 0.5, 0), (10.25, 3, 0.25, 0), (2, 3.5, 0, 0.5), (2, -1e-3, 0, 1e-3)]
)
def test_a_point_outside_its_bounds_is_not_verified(x, y, upper, lower):
    text = TOY.replace("var y", "var y in [0, 3]")
    found = measured(text, x, y)
    assert found.status is Status.NOT_VERIFIED
    assert found.verification.upper_violation == pytest.approx(upper)
    assert found.verification.lower_violation == pytest.approx(lower)


def test_a_violation_within_the_tolerance_is_none():
    assert measured(TOY.replace("[0, 10]", "[2, 10]"), 2 - 1e-8, 2 - 1e-8).status is Status.LOCALLY_OPTIMAL


@pytest.mark.parametrize(("x", "y"), [(math.nan, 2), (2, math.nan), (math.inf, 2), (2, -math.inf)])
def test_a_point_that_is_not_finite_is_not_verified(x, y):
    found = measured(TOY, x, y)
    assert found.status is Status.NOT_VERIFIED and found.verification.lower_gap is None
    assert "not finite" in found.message


@pytest.mark.parametrize(
    ("F", "f", "y"),
    [("x + y", "y - log(y)", -1), ("x + y", "y - log(y)", 0), ("x + log(y)", "(y + 1)^2", -1), ("x", "exp(y)", 800)],
)
def test_a_point_where_an_objective_has_no_value_is_not_verified(F, f, y):
    text = f"model m; upper {{ var x in [0, 1]; minimize {F} }}; lower {{ var y start 1; minimize {f} }}"
    found = measured(text, 0, y, facts=CONVEX)
    assert found.status is Status.NOT_VERIFIED
    assert found.verification.lower_gap is None and found.verification.hypergradient_norm is None


# ---- what may be claimed --------------------------------------------------------------------

WELLS = """model wells
upper { var x in [-0.1, 0.1]; minimize (x - 0.05)^2 + 0*y }
lower { var y; minimize (y^2 - 1)^2 + 0.3*y + x*y }
"""


def well(x, start):
    """The root of the follower's gradient near a start, by Newton's method."""
    for _ in range(50):
        start -= (4 * start * (start**2 - 1) + 0.3 + x) / (12 * start**2 - 4)
    return start


@pytest.fixture
def no_search(monkeypatch):
    """As where no solver is installed that could search for the follower's global minimum."""
    monkeypatch.setattr("bileveldsl.single_level.scip.missing", lambda: "not installed")


def test_a_global_search_shows_the_better_of_two_wells_to_be_optimal():
    pytest.importorskip("pyscipopt")
    worse, better = measured(WELLS, 0.05, well(0.05, 1.0)), measured(WELLS, 0.05, well(0.05, -1.0))
    assert worse.status is Status.NOT_VERIFIED and "better answer" in worse.message
    assert better.status is Status.LOCALLY_OPTIMAL
    assert better.verification.lower_gap_method == "global-solve" and better.verification.lower_gap <= 1e-6


@pytest.mark.usefixtures("no_search")
def test_the_worse_of_two_wells_is_not_verified_and_the_better_is_only_stationary():
    worse, better = measured(WELLS, 0.05, well(0.05, 1.0)), measured(WELLS, 0.05, well(0.05, -1.0))
    assert worse.status is Status.NOT_VERIFIED and "better answer" in worse.message
    assert better.status is Status.STATIONARY and better.verification.lower_gap is None
    assert "not known to be convex" in better.message


@pytest.mark.usefixtures("no_search")
@pytest.mark.parametrize("top", [0.0, 2 * math.pi, -4 * math.pi])
def test_a_maximum_of_the_follower_is_not_verified(top):
    text = "model top; upper { var x in [-1, 1]; minimize x^2 }; lower { var y; minimize cos(y) }"
    found = measured(text, 0, top)
    assert found.status is Status.NOT_VERIFIED and found.verification.lower_gap is None
    assert measured(text, 0, top + math.pi).status is Status.STATIONARY


@pytest.mark.usefixtures("no_search")
def test_a_saddle_of_the_follower_is_not_verified():
    text = "model s; upper { var x; minimize x^2 }; lower { var u; var v; minimize cosh(u) + (v^2 - 1)^2 }"
    assert measured(text, 0, [0, 0]).status is Status.NOT_VERIFIED
    assert measured(text, 0, [0, -1]).status is Status.STATIONARY


@pytest.mark.usefixtures("no_search")
def test_a_fact_about_another_function_proves_nothing():
    x, y = 0.05, well(0.05, -1.0)
    others = (Fact("upper.objective", "convex", "proved"), Fact("penalty", "pl", "proved", 1.0))
    weak = (Fact("lower.objective", "convex", "unknown"), Fact("lower.objective", "pl", "unknown"))
    for facts in ((), others, weak):
        assert measured(WELLS, x, y, facts=facts).status is Status.STATIONARY


def test_the_inequality_bounds_the_gap_of_a_follower_that_is_not_convex():
    text = """model waves
    upper { var x in [-4, 4]; minimize (x - 1)^2 + (y - x)^2 }
    lower { var y; minimize (y - x)^2 + 3*sin(y - x)^2 }"""
    inequality = (Fact("lower.objective", "pl", "proved", 0.17),)
    found = measured(text, 1.0, 1.0, facts=inequality)
    assert found.verification.lower_gap == 0 and found.verification.lower_gap_method == "gradient-bound"
    assert found.status is Status.LOCALLY_OPTIMAL
    away = measured(text, 1.0, 1.1, facts=inequality).verification.lower_gap
    assert away >= (0.1**2 + 3 * math.sin(0.1) ** 2) / 1.05


def test_the_proximal_inequality_bounds_the_gap_of_a_bounded_follower():
    text = """model waves
    upper { var x in [-4, 4]; minimize (x - 1)^2 + (y - 1)^2 }
    lower { var y in [1, 3]; minimize y^2 + 3*sin(y)^2 }"""
    proximal = (Fact("lower.objective", "pl", "proved", 0.1, y="region", witness={"curvature": 1.0}),)
    found = measured(text, 1.0, 1.0, facts=proximal)  # the bound holds y against the slope there
    assert found.verification.lower_gap == 0 and found.verification.lower_gap_method == "gradient-bound"
    assert found.status is Status.LOCALLY_OPTIMAL
    value = lambda y: y**2 + 3 * math.sin(y) ** 2  # noqa: E731
    for y in (1 + 1e-9, 1.1, 2.2, 3.0):
        gap = (value(y) - value(1.0)) / (1 + value(y))
        assert measured(text, 1.0, y, facts=proximal).verification.lower_gap >= gap
    # one that is assumed has no curvature: the whole slope counts
    assumed = (replace(proximal[0], verdict="assumed", witness={}),)
    slope = 2 + 3 * math.sin(2)
    wide = measured(text, 1.0, 1.0, facts=assumed).verification
    assert wide.lower_gap == pytest.approx(slope**2 / 0.2 / (1 + value(1.0)))


def test_a_wrongly_assumed_inequality_is_refuted_by_a_better_answer():
    found = measured(WELLS, 0.05, well(0.05, 1.0), facts=(Fact("lower.objective", "pl", "assumed", 1.0),))
    assert found.status is Status.NOT_VERIFIED


def test_assumed_convexity_is_said():
    for fact in ("convex", "strongly_convex"):
        found = measured(TOY, 2, 2, facts=(Fact("lower.objective", fact, "assumed", None),))
        assert found.verification.lower_gap_method == "convex-solve (convexity assumed)"
        assert found.status is Status.LOCALLY_OPTIMAL and "assumed" in found.message


def test_a_wrong_assumption_is_still_refuted_by_a_better_answer():
    found = measured(WELLS, 0.05, well(0.05, 1.0), facts=(Fact("lower.objective", "convex", "assumed"),))
    assert found.status is Status.NOT_VERIFIED


def test_the_search_for_a_better_answer_is_the_same_for_the_same_seed():
    problem, facts = compiled(WELLS)
    point = np.array([0.05]), np.array([well(0.05, 1.0)])
    first, second = (verify_point(problem, *point, facts, seed=3) for _ in range(2))
    assert first == second


# ---- the hyper-gradient ---------------------------------------------------------------------

SINGULAR = """model singular
upper {{ var x; minimize x^2 + {} }}
lower {{ var u; var v; minimize (u + v - x)^2 / 2 }}
"""


@pytest.fixture(params=["dense", "iterative"])
def linear_algebra(request, monkeypatch):
    """Both ways to solve the adjoint equation."""
    if request.param == "iterative":
        monkeypatch.setattr(smooth, "DENSE_LIMIT", 0)


@pytest.mark.usefixtures("linear_algebra")
def test_a_singular_hessian_is_no_obstacle_where_the_equation_has_a_solution():
    problem, facts = compiled(SINGULAR.format("(u + v - 1)^2"))
    x, y = np.array([0.7]), np.array([1.5, -0.8])  # any u + v = x answers
    np.testing.assert_allclose(gradient_at(problem, x, y), 2 * x + 2 * (x - 1), atol=1e-10)
    best = np.array([0.5])
    assert verify_point(problem, best, np.array([3.0, -2.5]), facts).status is Status.LOCALLY_OPTIMAL


@pytest.mark.usefixtures("linear_algebra")
def test_an_inconsistent_adjoint_equation_gives_no_hypergradient():
    problem, facts = compiled(SINGULAR.format("u"))
    x, y = np.array([0.0]), np.array([0.0, 0.0])
    assert hypergradient(problem, x, y) is None
    found = verify_point(problem, x, y, facts)
    assert found.verification.hypergradient_norm is None and found.verification.lower_gap == 0
    assert found.status is Status.FEASIBLE and "unknown" in found.message


@pytest.mark.usefixtures("linear_algebra")
def test_the_hypergradient_of_a_curved_follower_is_the_derivative_of_phi():
    text = """model curved
    upper { var x; var z; minimize sin(x) * u + z^2 * v }
    lower { var u; var v; minimize exp(u + v) + exp(u - 2*v) + u^2 - x*u - x*z*v + v^4 }
    """
    problem, _ = compiled(text)

    def answer(x, z):
        """The follower's answer by Newton's method, written anew."""
        u = v = 0.0
        for _ in range(60):
            a, b = math.exp(u + v), math.exp(u - 2 * v)
            gradient = np.array([a + b + 2 * u - x, a - 2 * b - x * z + 4 * v**3])
            matrix = np.array([[a + b + 2, a - 2 * b], [a - 2 * b, a + 4 * b + 12 * v**2]])
            u, v = np.array([u, v]) - np.linalg.solve(matrix, gradient)
        return np.array([u, v])

    def phi(x, z):
        u, v = answer(x, z)
        return math.sin(x) * u + z**2 * v

    x, z, step = 0.8, -0.6, 1e-5
    expected = [
        (phi(x + step, z) - phi(x - step, z)) / (2 * step), (phi(x, z + step) - phi(x, z - step)) / (2 * step)
    ]  # fmt: skip
    found = gradient_at(problem, np.array([x, z]), answer(x, z))
    np.testing.assert_allclose(found, expected, atol=1e-8)


@pytest.mark.parametrize("off", [0.0, 1e-9])
def test_what_a_bound_of_the_follower_holds_does_not_move(off):
    text = """model held
    upper { var x; minimize (u - 3)^2 + (v - 1)^2 + 0*x }
    lower { var u in [0, 1]; var v; minimize (u - x)^2 + (v - 2*x)^2 }
    """
    problem, _ = compiled(text)
    x = np.array([2.0])  # u is held at 1, v = 2 x follows: phi = 4 + (2 x - 1)^2 + 0 x
    np.testing.assert_allclose(gradient_at(problem, x, np.array([1.0 - off, 4.0])), [4 * (2 * 2.0 - 1)], rtol=1e-6)


def test_maximizing_levels_are_verified_alike():
    text = (
        "model up; upper { var x in [0, 10]; maximize 5 - (x - 3)^2 - (y - 1)^2 }; lower { var y; maximize -(y - x)^2 }"
    )
    assert measured(text, 2, 2).status is Status.LOCALLY_OPTIMAL
    found = measured(text, 2, 2.1)
    assert found.status is Status.NOT_VERIFIED
    assert found.verification.lower_gap == pytest.approx(0.01 / 1.01, abs=1e-12)


def test_a_leader_without_variables():
    alone = "model m; upper { minimize y }; lower { var y; minimize (y - 1)^2 }"
    assert measured(alone, np.zeros(0), 1).status is Status.LOCALLY_OPTIMAL
    assert measured(alone, np.zeros(0), 2).status is Status.NOT_VERIFIED


def test_a_slope_of_rounding_among_ties_is_part_of_the_norm_and_a_larger_one_is_unknown():
    """f_yy = diag(1, 0) and F_y is slope along the second, of which the follower does not care."""
    text = "model m; upper {{ var x; minimize x^2 + {} * v + (u - x)^2 }}; lower {{ var u; var v; minimize (u - x)^2 }}"
    for slope, norm in ((3e-7, 3e-7), (0.9e-6, 0.9e-6), (2e-6, None)):
        problem = compile_problem(loads(text.format(slope)).program(), numpy_engine())
        found = verify_point(problem, np.zeros(1), np.zeros(2), problem.facts, tol=1e-6).verification.hypergradient_norm
        assert found == (None if norm is None else pytest.approx(norm))
    assert hypergradient(problem, np.zeros(1), np.zeros(2)) is None
