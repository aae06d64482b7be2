"""Global answers of linear and quadratic bilevel problems: against enumeration, the literature, and traps."""

import itertools
import math

import numpy as np
import pytest
from bileveldsl.backends.milp import Milp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

import bileveldsl as blv
from bileveldsl.backend import parse_options
from bileveldsl.certify.claims import check_claims
from bileveldsl.certify.lower_level import certify
from bileveldsl.execute.engine import engine
from bileveldsl.execute.monitor import Monitor
from bileveldsl.execute.problem import compile_problem
from bileveldsl.reduce import REDUCTIONS, reduce_program


def reduced(text):
    program = blv.loads(text).program()
    facts, _ = check_claims(program, certify(program))
    return reduce_program(program, REDUCTIONS, facts)


def solved(text, monitor=None, **options):
    """The raw point, and the least value that was reported, in the sense of minimization."""
    small = reduced(text)
    backend = Milp()
    assert backend.admits(small.program, small.facts) is None
    problem = compile_problem(small.program, engine("numpy"), small.facts)
    monitor = monitor or Monitor()
    raw = backend.solve(problem, parse_options("milp", backend.options, options), monitor)
    return raw, monitor.best.objective if monitor.best else None


def refusal(text):
    small = reduced(text)
    return Milp().admits(small.program, small.facts)


# ---- against enumeration ---------------------------------------------------------------------


def enumerated(F, G, f, g):
    """The least F over all patterns of active constraints; inf where infeasible, -inf where unbounded.

    F = (cx, cy); G, g = (A, B, b) for A x + B y <= b; the follower minimizes f'y over g and free y, so that its KKT
    conditions are f + B'u = 0, u >= 0, u_i (b - A x - B y)_i = 0.
    """
    (cx, cy), (A0, B0, b0), (A, B, b) = F, G, g
    nx, ny, m = len(cx), len(cy), len(b)
    best = math.inf
    for active in itertools.product((False, True), repeat=m):
        held = np.array(active, dtype=bool)
        inequalities = np.vstack([np.hstack([A0, B0, np.zeros((len(b0), m))]), np.hstack([A, B, np.zeros((m, m))])])
        equalities = np.vstack([
            np.hstack([np.zeros((ny, nx + ny)), B.T]),
            np.hstack([A, B, np.zeros((m, m))])[held],
        ])  # fmt: skip
        right = np.concatenate([-f, b[held]])
        bounds = [(None, None)] * (nx + ny) + [(0, None if h else 0) for h in held]
        result = linprog(
            np.concatenate([cx, cy, np.zeros(m)]), inequalities, np.concatenate([b0, b]), equalities, right, bounds
        )
        if result.status == 4:
            result = linprog(
                np.zeros(nx + ny + m), inequalities, np.concatenate([b0, b]), equalities, right, bounds
            )
            result.status = 3 if result.status == 0 else 2
        if result.status == 3:
            return -math.inf
        if result.status == 0:
            best = min(best, result.fun)
    return best


def model(F, G, f, g, sense=("minimize", "minimize"), kind=""):
    """The text of a model; a level that maximizes has the opposite objective, so that the problem stays the same."""

    def affine(names, weights):
        return " + ".join([f"({w:g})*{name}" for name, w in zip(names, weights, strict=True)])

    (cx, cy), (A0, B0, b0), (A, B, b) = F, G, g
    xs, ys = [f"x{k}" for k in range(len(cx))], [f"y{k}" for k in range(len(cy))]
    signs = [1 if s == "minimize" else -1 for s in sense]
    upper = [f"  var {x}{kind}" for x in xs] + [f"  {sense[0]} {affine(xs + ys, signs[0] * np.concatenate([cx, cy]))}"]
    upper += [f"  G{k}: {affine(xs + ys, [*A0[k], *B0[k]])} <= {b0[k]:g}" for k in range(len(b0))]
    lower = [f"  var {y}" for y in ys] + [f"  {sense[1]} {affine(ys, signs[1] * f)}"]
    lower += [f"  g{k}: {affine(xs + ys, [*A[k], *B[k]])} <= {b[k]:g}" for k in range(len(b))]
    return "\n".join(["model t", "upper {", *upper, "}", "lower {", *lower, "}"])


def random_problem(random, nx, ny, m0, m):
    """Small whole coefficients, so that ties, parallel constraints, infeasible and unbounded problems are frequent."""

    def some(*shape):
        return random.integers(-3, 4, shape).astype(float)

    def rows(count):
        A, B = some(count, nx), some(count, ny)
        A[:, 0] += ~(A.any(1) | B.any(1))  # a constraint without variables is refused by the language
        return A, B

    g, right = rows(m), some(m) + 3
    if random.random() < 0.6:  # a box for the follower, that fewer are unbounded
        g = np.vstack([g[0], np.zeros((2 * ny, nx))]), np.vstack([g[1], np.eye(ny), -np.eye(ny)])
        right = np.concatenate([right, np.full(2 * ny, 4.0)])
    return (some(nx), some(ny)), (*rows(m0), some(m0) + 2), some(ny), (*g, right)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 2**32), st.integers(1, 2), st.integers(1, 2), st.integers(0, 3), st.integers(1, 4),
    st.sampled_from(list(itertools.product(("minimize", "maximize"), repeat=2))),
    st.sampled_from(["branch", "binaries"]),
)  # fmt: skip
def test_the_optimum_is_that_of_enumeration(seed, nx, ny, m0, m, sense, method):
    F, G, f, g = random_problem(np.random.default_rng(seed), nx, ny, m0, m)
    expected = enumerated(F, G, f, g)
    raw, value = solved(model(F, G, f, g, sense), method=method)
    if expected == math.inf:
        assert raw.status == "infeasible"
    elif expected == -math.inf:
        assert raw.status == "unbounded"
    else:
        assert raw.status == "converged"
        assert value == pytest.approx(expected, abs=1e-5)
        assert raw.bound <= value + 1e-9
        assert raw.bound == pytest.approx(expected, abs=1e-5)


# ---- problems of the literature, with their known optima ---------------------------------------

LITERATURE = {
    "Candler and Townsley 1982": (-29.2, """
        upper { var x1 >= 0; var x2 >= 0; minimize -8*x1 - 4*x2 + 4*y1 - 40*y2 - 4*y3 }
        lower {
          var y1 >= 0; var y2 >= 0; var y3 >= 0
          minimize x1 + 2*x2 + y1 + y2 + 2*y3
          a: -y1 + y2 + y3 <= 1
          b: 2*x1 - y1 + 2*y2 - y3/2 <= 1
          c: 2*x2 + 2*y1 - y2 - y3/2 <= 1
        }"""),
    "Bialas and Karwan 1984": (-2.0, """
        upper { var x >= 0; maximize x + y2 }
        lower {
          var y1 >= 0; var y2 in [0, 0.5]
          maximize y2
          a: x + y1 + y2 <= 3; b: -x - y1 + y2 <= -1; c: -x + y1 + y2 <= 1; d: x - y1 + y2 <= 1
        }"""),
    "Clark and Westerberg 1988": (-37.0, """
        upper { var x; minimize x - 4*y }
        lower { var y; minimize y; a: y <= 2*x; b: 2*x + 5*y <= 108; c: 2*x - 3*y <= -4 }"""),
    "Anandalingam and White 1990": (-49.0, """
        upper { var x >= 0; maximize x + 3*y }
        lower {
          var y >= 0
          minimize -x + 3*y
          a: x + 2*y >= 10; b: x - 2*y <= 6; c: 2*x - y <= 21; d: x + 2*y <= 38; e: -x + 2*y <= 18
        }"""),
    "Bard 1991": (2.0, """
        upper { var x in [2, 4]; minimize x + y2 }
        lower { var y1 >= 0; var y2 >= 0; minimize x*y2 + 2*y1; a: y1 + y2 >= x + 4 }"""),
    "Liu and Hart 1994": (-16.0, """
        upper { var x >= 0; minimize -x - 3*y }
        lower { var y >= 0; minimize y; a: -x + y <= 3; b: x + 2*y <= 12; c: 4*x - y <= 12 }"""),
    "Aiyoshi and Shimizu 1984, quadratic follower": (0.0, """
        upper {
          var x1 in [0, 50]; var x2 in [0, 50]
          minimize 2*x1 + 2*x2 - 3*y1 - 3*y2 - 60
          a: x1 + x2 + y1 - 2*y2 <= 40
        }
        lower {
          var y1 in [-10, 20]; var y2 in [-10, 20]
          minimize (y1 - x1 + 20)^2 + (y2 - x2 + 20)^2
          b: 2*y1 <= x1 - 10; c: 2*y2 <= x2 - 10
        }"""),
    "Bard 1988, quadratic at both levels": (17.0, """
        upper { var x >= 0; minimize (x - 5)^2 + (2*y + 1)^2 }
        lower {
          var y >= 0
          minimize (y - 1)^2 - 1.5*x*y
          a: -3*x + y <= -3; b: x - 0.5*y <= 4; c: x + y <= 7
        }"""),
}  # fmt: skip


@pytest.mark.parametrize("name", LITERATURE)
def test_problems_of_the_literature(name):
    optimum, text = LITERATURE[name]
    raw, value = solved("model t\n" + text)
    assert raw.status == "converged"
    assert value == pytest.approx(optimum, abs=2e-5)
    assert raw.bound == pytest.approx(optimum, abs=1e-4)


# ---- traps -----------------------------------------------------------------------------------


def test_ties_are_broken_for_the_leader():
    raw, value = solved("""model t
        upper { var x in [0, 1]; minimize -y1 + 2*y2 }
        lower { var y1 in [0, 3]; var y2 in [0, 3]; minimize -y1 - y2; a: y1 + y2 <= 3 + 0*x }""")
    assert (raw.status, value) == ("converged", pytest.approx(-3.0))
    assert raw.y == pytest.approx([3.0, 0.0])


def diagnosed(text):
    return blv.loads(text).solve("milp")


def test_a_follower_that_is_unbounded_for_every_leader():
    solution = diagnosed("""model t
        upper { var x in [0, 1]; minimize x }
        lower { var y >= 0; minimize -y; a: y >= x }""")
    assert solution.status.value == "lower_unbounded"


def test_leaders_for_whom_the_follower_is_unbounded_are_passed_over():
    raw, value = solved("""model t
        upper { var x in [-2, 1]; maximize x }
        lower { var y >= 0; minimize -x*y; a: y >= 1 }""")
    assert (raw.status, value) == ("converged", pytest.approx(0.0))


def test_leaders_for_whom_the_follower_is_infeasible_are_passed_over():
    raw, value = solved("""model t
        upper { var x in [0, 9]; minimize x + y }
        lower { var y in [0, 2]; minimize y; a: x + y >= 5 }""")
    assert (raw.status, value) == ("converged", pytest.approx(5.0))
    assert raw.x == pytest.approx([3.0])


def test_a_follower_that_is_infeasible_for_every_leader():
    solution = diagnosed("""model t
        upper { var x in [0, 2]; minimize x }
        lower { var y in [0, 2]; minimize y; a: x + y >= 5 }""")
    assert solution.status.value == "lower_infeasible"
    assert "a" in solution.message and "x" in solution.message and "y" in solution.message


def test_constraints_of_the_leader_that_no_answer_meets():
    solution = diagnosed("""model t
        upper { var x in [0, 1]; minimize x; own: y <= 1 }
        lower { var y in [0, 5]; minimize -y }""")
    assert solution.status.value == "infeasible"
    assert "answer" in solution.message


def test_constraints_that_conflict_whatever_the_follower_wants():
    solution = diagnosed("""model t
        upper { var x in [0, 1]; minimize x; own: x + y <= -1 }
        lower { var y in [0, 5]; minimize y }""")
    assert solution.status.value == "infeasible"
    assert "own" in solution.message


def test_a_leader_whose_objective_has_no_bound():
    raw, _ = solved("""model t
        upper { var x; minimize -y }
        lower { var y; minimize (y - x)^2 }""")
    assert raw.status == "unbounded"


def test_a_lower_level_that_maximizes():
    raw, value = solved("""model t
        upper { var x in [0, 4]; maximize x - 2*y }
        lower { var y; maximize y; a: 2*y <= x; b: y <= 4 - x }""")
    assert (raw.status, value) == ("converged", pytest.approx(-4.0))
    assert raw.duals["b"] == pytest.approx(-1.0)  # of the turned follower: min -y


def test_constraints_written_twice_and_degenerate_multipliers():
    raw, value = solved("""model t
        upper { var x in [0, 4]; minimize y - x/2 }
        lower { var y >= 0; minimize -y; a: y <= x; b: y <= x; c: 2*y <= 2*x; d: y <= 8 - x }""")
    assert (raw.status, value) == ("converged", pytest.approx(0.0))


def test_a_range_whose_sides_are_both_active_in_turn():
    raw, value = solved("""model t
        upper { var x in [-3, 3]; minimize -x + 2*y }
        lower { var y; minimize x*y; a: -1 <= y <= 2 }""")
    assert (raw.status, value) == ("converged", pytest.approx(-5.0))


def interdiction(prices, weights, costs, capacity, budget):
    return f"""model t
        dim n = {len(prices)}
        param p[n] = {list(prices)}
        param w[n] = {list(weights)}
        param v[n] = {list(costs)}
        upper {{ var x[n] : binary; minimize p @ y; budget: v @ x <= {budget} }}
        lower {{ var y[n] >= 0; maximize p @ y; capacity: w @ y <= {capacity}; free: y <= 1 - x }}"""


def test_knapsack_interdiction_is_that_of_all_subsets():
    prices, weights, costs, capacity, budget = (9, 7, 8, 3, 6), (4, 3, 5, 2, 3), (2, 3, 2, 1, 3), 8, 5
    best = math.inf
    for taken in itertools.product((0, 1), repeat=5):
        if np.dot(costs, taken) <= budget:
            knapsack = linprog(-np.array(prices), [weights], [capacity], bounds=[(0, 1 - t) for t in taken])
            best = min(best, -knapsack.fun)
    for method in ("branch", "binaries", "auto"):
        raw, value = solved(interdiction(prices, weights, costs, capacity, budget), method=method)
        assert (raw.status, value) == ("converged", pytest.approx(best))
        assert set(np.unique(raw.x)) <= {0.0, 1.0}


def test_prices_are_multipliers():
    raw, value = solved("""model bidding
        set R = ["r1", "r2"]
        param price[R] = [50, 100]
        upper { var bid in [0, 100]; maximize demand.dual * sold }
        lower market {
          var sold in [0, 100]; var rival[R] in [0, 40]; var short in [0, 100]
          minimize sum(price[r] * rival[r] for r in R) + 1000*short
          offer: sold <= bid
          demand: sold + sum(rival[r] for r in R) + short == 100
        }""")
    assert (raw.status, value) == ("converged", pytest.approx(-20_000.0))  # sells 20 at the price of a shortage
    assert raw.duals["demand"] == pytest.approx(1000.0)


# ---- settings and limits -----------------------------------------------------------------------


def test_a_time_limit_gives_the_best_point_and_an_honest_bound():
    random = np.random.default_rng(1)
    text = interdiction(*random.integers(10, 100, (3, 60)).tolist(), 1200, 800)
    raw, value = solved(text, Monitor(time_limit=4.0), method="branch")
    assert raw.status == "limit"
    assert raw.bound < value
    knapsack = solved(text, Monitor(time_limit=60.0), max_nodes=5, method="branch")[0]
    assert knapsack.status == "limit" and "5 nodes" in knapsack.message


def test_an_assumed_big_m_is_told_of_and_proves_nothing():
    monitor = Monitor()
    raw, value = solved("model t\n" + LITERATURE["Liu and Hart 1994"][1], monitor, big_m=1000)
    assert (raw.status, value, raw.bound) == ("converged", pytest.approx(-16.0), -math.inf)
    assert any("assumed" in note and "1000" in note for note in monitor.notes)


# ---- products with binary variables -----------------------------------------------------------

PRODUCTS = """model products
dim n = 2
upper {{
  var x[n] : binary
  var z in [-2, 4]
  minimize {a}*z + {b}*y + {c}*x[0]*z + {d}*x[1]*y - x[0] + {e}*x[0]*x[1]
  own: {f}*x[0]*z + {g}*x[1]*y + z <= {h}
  pair: -4 <= x[0]*y - x[1]*z <= 3
}}
lower {{ var y; minimize {i}*y + x[0]*y; floor: y >= z - x[1] - 2; most: y <= 5 - z }}
"""
small = st.integers(-2, 2)


def best_of_all_choices(a, b, c, d, e, f, g, h, i):
    """A linear program in z and y for each choice of the binaries; the follower is at one end, or anywhere."""
    best = math.inf
    for p, q in itertools.product((0, 1), repeat=2):
        below, above = ([1.0, -1.0], 2.0 + q), ([1.0, 1.0], 5.0)  # z - y <= 2 + q, z + y <= 5
        slope = i + p
        held = [below] if slope > 0 else [above] if slope < 0 else []
        rows = [below, above, ([f * p + 1.0, g * q], float(h)), ([-q, p], 3.0), ([q, -p], 4.0)]
        result = linprog(
            [a + c * p, b + d * q], [row for row, _ in rows], [right for _, right in rows],
            [row for row, _ in held] or None, [right for _, right in held] or None, [(-2, 4), (None, None)],
        )  # fmt: skip
        assert result.status in (0, 2)
        best = min(best, result.fun - p + e * p * q if result.status == 0 else math.inf)
    return best


@settings(max_examples=8, deadline=None)
@given(st.tuples(*[small] * 7), st.integers(0, 4), small, st.sampled_from(["branch", "binaries"]))
def test_products_with_binary_variables_equal_all_choices_of_these(weights, h, i, method):
    numbers = {**dict(zip("abcdefg", weights, strict=True)), "h": h, "i": i}
    raw, value = solved(PRODUCTS.format(**numbers), method=method)
    best = best_of_all_choices(**numbers)
    assert raw.status == ("infeasible" if best == math.inf else "converged")
    if best < math.inf:
        assert value == pytest.approx(best, abs=1e-6) and raw.bound == pytest.approx(best, abs=1e-5)


def test_bounds_that_follow_from_rows_make_products_linear():
    """Where x = 1 is paid for, z + y <= 6 leaves z = 4: 12 - 2; without, only 1."""
    raw, value = solved("""model m
        upper { var x : binary; var z; maximize 3*x*z - 2*x + 1; low: z >= -3; room: z + y <= 6 }
        lower { var y in [2, 9]; minimize y }""")
    assert (raw.status, -value, -raw.bound) == ("converged", pytest.approx(11), pytest.approx(11, abs=1e-5))


REFUSED = {
    "integer variables (y)": "var x in [0, 1]; minimize x } lower { var y : integer in [0, 2]; minimize -y",
    "linear nor quadratic in its variables": "var x in [0, 1]; minimize x } lower { var y in [0, 1]; minimize exp(y)",
    "constraint a": "var x in [0, 1]; minimize x } lower { var y in [0, 1]; minimize y; a: x*y >= 1/2",
    "not convex": "var x in [0, 1]; minimize x } lower { var y in [0, 1]; minimize -y^2",
    "slopes": "var x in [0, 1]; minimize x } lower { var y in [0, 1]; minimize x^2*y",
    "the leader's objective is neither": "var x in [0, 1]; minimize exp(x) } lower { var y in [0, 1]; minimize y",
    "strong duality": "var x in [0, 1]; minimize -x^2 } lower { var y in [0, 1]; minimize y",
    "own": "var x in [0, 1]; minimize x; own: x*y <= 1 } lower { var y in [0, 1]; minimize y",
    "binary and a bounded": "var x : binary; var z; minimize x; own: x*z <= 1 } lower { var y in [0, 1]; minimize y",
}  # fmt: skip


@pytest.mark.parametrize("why", REFUSED)
def test_what_is_refused_and_why(why):
    assert why in refusal("model t\nupper { " + REFUSED[why].replace("}", "}\n") + " }")
