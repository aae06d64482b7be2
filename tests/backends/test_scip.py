"""The backend scip: known global optima, traps of bilevel programs, and brute force over small integer ones."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import bileveldsl as blv
from bileveldsl.backend import parse_options
from bileveldsl.calculus.expr import constant
from bileveldsl.certify.claims import check_claims
from bileveldsl.certify.lower_level import certify
from bileveldsl.execute.engine import engine
from bileveldsl.execute.monitor import Monitor
from bileveldsl.execute.problem import compile_problem
from bileveldsl.program import Constraint
from bileveldsl.reduce import REDUCTIONS, reduce_program
from bileveldsl.single_level.program import SingleLevel

pytest.importorskip("pyscipopt")
from bileveldsl.backends.scip import Scip

from bileveldsl.single_level.closing import Closing


def answered(text, status="globally_optimal", **settings):
    solution = blv.loads(text).solve("scip", **settings)
    assert solution.status.value == status, solution.message
    return solution


def raw_point(text, monitor=None, **options):
    program = blv.loads(text).program()
    facts, _ = check_claims(program, certify(program))
    small = reduce_program(program, REDUCTIONS, facts)
    backend = Scip()
    assert backend.admits(small.program, small.facts) is None
    problem = compile_problem(small.program, engine("numpy"), small.facts)
    return backend.solve(problem, parse_options("scip", backend.options, options), monitor or Monitor())


def objection(text):
    program = blv.loads(text).program()
    facts, _ = check_claims(program, certify(program))
    small = reduce_program(program, REDUCTIONS, facts)
    return Scip().admits(small.program, small.facts)


# ---- known optima ---------------------------------------------------------------------------

KNOWN = {
    "ties go to the optimistic leader": (
        "upper { var x in [0, 1]; minimize -y + x }; lower { var y in [0, 3]; minimize 0*y; c: y <= 2 + x/2 }", -2),
    "ties of an edge": (
        "upper { var x in [0, 4]; minimize (x - 3)^2 - y }; lower { var y in [0, 3]; "
        "var z in [0, 1]; minimize z }", -3),
    "a follower that maximizes": (
        "upper { var x in [0, 4]; maximize x + y }; "
        "lower { var y in [0, 9]; maximize 2*y - x; c: x + y <= 6; d: y <= 5 - x/2 }", 6),
    "duplicate constraints and degenerate multipliers": (
        "upper { var x in [0, 4]; minimize (x - 1)^2 - y }; "
        "lower { var y; minimize -y; a: y <= x; b: y <= x; c: 2*y <= 2*x; e: y <= 3 }", -1.25),
    "a coupling constraint of the leader": (
        "upper { var x in [0, 6]; minimize x + y; c: y >= 1 }; lower { var y in [0, 9]; minimize -y; d: y <= x/2 }", 3),
    "the follower has no answer for some decisions": (
        "upper { var x in [0, 4]; minimize -x + y }; lower { var y in [0, 1]; minimize y; c: x + y <= 2 }", -2),
    "the follower has no minimum for some decisions": (
        "upper { var x in [-1, 1]; minimize x + y }; lower { var y >= 0; minimize x*y }", 0),
    "two wells": (
        "upper { var x in [-1, 1]; minimize (y - 1)^2 + x^2 }; "
        "lower { var y in [-2, 2]; minimize (y^2 - 1)^2 + x*y/2 }", 0),
    "two wells of which the leader likes the wrong one": (
        "upper { var x in [0.1, 1]; minimize (y - 1)^2 + x^2 }; "
        "lower { var y in [-2, 2]; minimize (y^2 - 1)^2 + x*y/2 }", None),
    "an answer on a row that moves with the leader": (
        "upper { var x in [0, 4]; minimize (x - 0.5)^2 + (y - 2)^2 }; "
        "lower { var y; minimize y^3 - 3*y; c: y >= x - 3 }", 1.25),
    "an answer that is as good as one on a row": (
        "upper { var x in [-3, 2]; minimize (y + 1)^2 }; lower { var y; minimize y^3 - 3*y; c: y >= x }", 1),
    "wells that grow out of a flat minimum": (
        "upper { var x in [-1, 1]; minimize x*y - x + 10*y^2 }; lower { var y in [-1, 1]; "
        "minimize y^4/2 - x*y^2 }", 0),
    "a maximum between two wells": (
        "upper { var x in [-1, 1]; minimize (x + 0.5)^2 + y^2/2 }; lower { var y in [-1, 1]; "
        "minimize x*y^2/2 + y^4/4 }", 0.1875),
    "integers of Moore and Bard": (
        "upper { var x : integer in [0, 8]; minimize -x - 10*y }; lower { var y : integer in [0, 6]; minimize y; "
        "a: -25*x + 20*y <= 30; b: x + 2*y <= 10; c: 2*x - y <= 15; d: 2*x + 10*y >= 15 }", -22),
    "a kink": (
        "upper { var x in [0, 4]; minimize abs(x - 3) + 2*y }; lower { var y in [-5, 5]; "
        "minimize abs(y - x) + 0.5*y }", 3),
    "several followers": (
        "upper { var x in [0, 4]; minimize (x - 3)^2 + y + z }; lower a { var y; minimize (y - x)^2; c: y <= 1 }; "
        "lower b { var z; maximize -(z + x)^2 }", -2.25),
    "a binary follower": (
        "upper { var x in [0, 4]; minimize (x - 2)^2 + 3*y }; lower { var y : binary; "
        "minimize (x - 1.5)*(0.5 - y) }", 0.25),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_known_global_optima(name):
    text, expected = KNOWN[name]
    solution = answered(f"model m; {text}")
    if expected is None:  # the follower's best well is near -1 for every x > 0: (y - 1)^2 + x^2 along that branch
        x = np.linspace(0.1, 1, 20001)
        y = np.full_like(x, -1.0)
        for _ in range(50):
            y -= (4 * y * (y**2 - 1) + x / 2) / (12 * y**2 - 4)
        expected = float(np.min((y - 1) ** 2 + x**2))
    assert solution.upper.objective == pytest.approx(expected, abs=2e-4)
    bound = solution.verification.global_bound
    assert bound == pytest.approx(expected, abs=2e-4)
    assert solution.verification.lower_gap <= 1e-6


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("an answer on a row that moves with the leader", 6),
        ("an answer that is as good as one on a row", 15),
        ("wells that grow out of a flat minimum", 4),
        ("a maximum between two wells", 4),
        ("a kink", 8),
    ],
)
def test_few_relaxations_are_needed(name, most):
    found = raw_point(f"model m; {KNOWN[name][0]}", Monitor(time_limit=20.0))
    assert found.status == "converged" and found.iterations <= most


def test_where_the_best_of_all_points_is_an_answer_no_conditions_are_written(monkeypatch):
    """Cosines in one product, whose conditions of optimality are very long."""
    monkeypatch.setattr(Closing, "_model", lambda *_: pytest.fail("not needed"))
    n = 6
    product = "*".join(f"cos(x[{i}]*y[{i}]/{i + 1})" for i in range(n))
    found = raw_point(
        f"model m; dim n = {n}; upper {{ var x[n] in [-2, 2]; minimize sumsq(x - 1) + sumsq(y) }}; "
        f"lower {{ var y[n] in [-3, 3]; minimize exp(sumsq(x*y)/4000 - {product} + 1) }}"
    )
    assert found.status == "converged" and found.iterations == 1
    assert found.x == pytest.approx(np.ones(n), abs=1e-5) and found.y == pytest.approx(np.zeros(n), abs=1e-5)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("upper { var x in [0, 1]; minimize x; c: x + y >= 9 }; lower { var y in [0, 2]; minimize y }", "infeasible"),
        ("upper { var x in [0, 1]; minimize x + y }; lower { var y >= 0; minimize -y; c: y >= x }", "lower_unbounded"),
        (
            "upper { var x in [0, 1]; minimize x }; lower { var y in [0, 1]; minimize y; c: x + y <= -1 }",
            "lower_infeasible",
        ),
        ("upper { var x; minimize x + y }; lower { var y; minimize (y - x)^2 }", "unbounded"),
        # every feasible pair is one that the follower would leave
        ("upper { var x in [0, 1]; minimize x; c: y <= 0.5 }; lower { var y in [0, 1]; minimize -y }", "infeasible"),
        ("upper { var x : integer in [0, 3]; minimize x; c: y >= 1 }; lower { var y : integer in [0, 1]; minimize y }",
         "infeasible"),
    ],
)  # fmt: skip
def test_models_without_an_answer_are_told_apart(text, status):
    solution = answered(f"model m; {text}", status)
    assert solution.upper.objective is None and dict(solution.values) == {} and solution.message


# ---- brute force ----------------------------------------------------------------------------


def enumerated(F, f, rows, upper_rows, size):
    """The least F over x and the follower's best answers y in {0..size}, ties to the leader; "
    "inf where there is none."""
    best = math.inf
    for x in itertools.product(range(size + 1), repeat=2):
        feasible = [
            y for y in itertools.product(range(size + 1), repeat=2)
            if all(a @ x + b @ y <= c for a, b, c in rows)
        ]  # fmt: skip
        if not feasible:
            continue
        least = min(f[0] @ x + f[1] @ y + x[0] * y[0] * f[2] for y in feasible)
        answers = [y for y in feasible if f[0] @ x + f[1] @ y + x[0] * y[0] * f[2] == least]
        kept = [y for y in answers if all(a @ x + b @ y <= c for a, b, c in upper_rows)]
        best = min([best, *(F[0] @ x + F[1] @ y for y in kept)])
    return best


pair = st.lists(st.integers(-4, 4), min_size=2, max_size=2).filter(any).map(np.array)
row = st.tuples(pair, pair, st.integers(-2, 9))


@settings(max_examples=10, deadline=None, phases=[Phase.generate])
@given(F=st.tuples(pair, pair), f=st.tuples(pair, pair, st.integers(-2, 2)), rows=st.lists(row, min_size=1, max_size=2),
       upper_rows=st.lists(row, max_size=1))  # fmt: skip
def test_small_integer_programs_equal_enumeration(F, f, rows, upper_rows):
    size = 2

    def linear(a, b):
        terms = [*(f"{k}*x[{i}]" for i, k in enumerate(a)), *(f"{k}*y[{i}]" for i, k in enumerate(b))]
        return " + ".join(terms)

    def lines(label, rows):
        return "".join(f"; {label}{k}: {linear(a, b)} <= {c}" for k, (a, b, c) in enumerate(rows))

    text = (
        f"model m; dim n = 2; upper {{ var x[n] : integer in [0, {size}]; "
        f"minimize {linear(*F)}{lines('u', upper_rows)} }}; "
        f"lower {{ var y[n] : integer in [0, {size}]; "
        f"minimize {linear(f[0], f[1])} + {f[2]}*x[0]*y[0]{lines('l', rows)} }}"
    )
    expected = enumerated(F, f, rows, upper_rows, size)
    found = raw_point(text, Monitor(time_limit=10.0))
    if math.isinf(expected):
        assert found.status in ("infeasible", "lower_infeasible")
        return
    assert found.status == "converged", (found.status, found.message)
    x, y = np.round(found.x), np.round(found.y)
    assert F[0] @ x + F[1] @ y == pytest.approx(expected, abs=1e-5)
    assert found.bound == pytest.approx(expected, abs=1e-4)
    assert enumerated(F, f, rows, upper_rows, size) == pytest.approx(F[0] @ x + F[1] @ y)


def test_an_answer_of_integers_on_the_edge_of_a_row_that_moves_cuts_all_the_same():
    """At x = 0 the follower's answer (1, 1) meets the row exactly; found by enumeration, the optimum is 1."""
    found = raw_point(
        "model m; dim n = 2; upper { var x[n] : integer in [0, 2]; minimize -1*x[0] + 3*x[1] - 2*y[0] + 4*y[1] }; "
        "lower { var y[n] : integer in [0, 2]; minimize 2*x[0]*y[0] - 2*y[0] - 3*y[1]; "
        "l0: 2*x[1] + 2*y[0] + 3*y[1] <= 5 }",
        Monitor(time_limit=10.0),
    )
    assert (found.status, found.bound) == ("converged", pytest.approx(1, abs=1e-4))


@settings(max_examples=10, deadline=None, phases=[Phase.generate])
@given(a=st.integers(-3, 3), b=st.integers(-3, 3), c=st.integers(1, 3), d=st.integers(-2, 2), e=st.integers(-3, 3))
def test_small_convex_programs_equal_a_grid(a, b, c, d, e):
    """The follower's answer is a projection: y = clip(d x + e/2, -2, x + c)."""
    text = (f"model m; upper {{ var x in [-1, 2]; minimize (x - {a})^2 + {b}*y + x*y }}; "
            f"lower {{ var y >= -2; minimize (y - {d}*x - {e}/2)^2; cap: y <= x + {c} }}")  # fmt: skip
    x = np.linspace(-1, 2, 30001)
    y = np.clip(d * x + e / 2, -2, x + c)
    values = (x - a) ** 2 + b * y + x * y
    solution = answered(text)
    assert solution.upper.objective == pytest.approx(values.min(), abs=1e-4)


# ---- duals ----------------------------------------------------------------------------------

MARKET = """model market
set I = ["cheap", "dear"]
param cost[I] = [10, 50]
param most[I] = [60, 100]
upper { var offer in [0, 100] start 20; var bid in [0, 200]; maximize demand.dual * sold - 30*sold }
lower { var sold >= 0; var made[I] >= 0; minimize bid*sold + dot(cost, made);
        demand: sold + sum(made) == 100; limit: sold <= offer; plant[i in I]: made[i] <= most[i] }
"""


def test_a_leader_who_is_paid_the_price_of_the_market():
    """The rest of the demand, 40, is the leader's as long as the dear plant is not cheaper: price 50, 40 * 20."""
    solution = answered(MARKET)
    assert solution.upper.objective == pytest.approx(800, abs=1e-3)
    assert solution.duals["demand"] == pytest.approx(50, abs=1e-4)
    assert solution["sold"] == pytest.approx(40, abs=1e-4)
    assert np.asarray(solution.duals["plant"])[0] == pytest.approx(-40, abs=1e-3)


def test_a_market_whose_price_the_leader_sets():
    text = """model market
set G = ["coal", "gas"]
param cost[G] = [200, 1000]
upper { var q in [0, 50]; maximize balance.dual * sold }
lower { var sold >= 0; var made[G] in [0, 100]; minimize dot(cost, made);
        balance: sold + sum(made) == 120; most: sold <= q }
"""
    solution = answered(text)
    # any sale up to 20 leaves gas in the market at 1000: at 20 the price may be anything from 200 to 1000
    assert solution.upper.objective == pytest.approx(20_000, rel=1e-5)
    assert solution.duals["balance"] == pytest.approx(1000, rel=1e-4) and solution["sold"] == pytest.approx(
        20, abs=1e-3
    )


@pytest.mark.parametrize(
    ("lower", "reason"),
    [
        ("var y : integer in [0, 3]; minimize (y - 3)^2; cap: y <= x", "integer"),
        ("var y in [-3, 3]; minimize y^3 - x*y; cap: y <= x", "not known to be convex"),
        ("var y; minimize (y - 3)^2; cap: y^2 <= x", "qualified"),
    ],
)
def test_multipliers_of_followers_that_may_have_none_are_refused(lower, reason):
    assert reason in objection(f"model m; upper {{ var x in [0, 3]; minimize cap.dual^2 + x }}; lower {{ {lower} }}")


def test_a_leader_with_a_kink_may_use_multipliers():
    """abs(cap.dual + 1) + x with cap.dual = 2 (x - 3) is 5 - x up to x = 2.5."""
    solution = answered(
        "model m; upper { var x in [0, 3]; minimize abs(cap.dual + 1) + x }; lower { var y; "
        "minimize (y - 3)^2; cap: y <= x }"
    )
    assert solution.upper.objective == pytest.approx(2.5, abs=1e-5) and solution.duals["cap"] == pytest.approx(
        -1, abs=1e-4
    )


def test_a_follower_with_a_kink_has_no_multipliers_for_the_leader():
    text = (
        "model m; upper { var x in [0, 3]; minimize cap.dual^2 + x }; lower { var y; minimize abs(y - 3); cap: y <= x }"
    )
    assert objection(text)


def test_a_bound_that_moves_with_the_leader_counts_among_the_multipliers():
    """y = min(x, 2): cap has a price only from x = 2 on, where the bound may take any share of it."""
    solution = answered(
        "model m; upper { var x in [0, 3]; minimize (cap.dual + 1)^2 + (x - 1)^2 }; "
        "lower { var y in [0, x]; minimize (y - 3)^2; cap: y <= 2 }"
    )
    assert solution.upper.objective == pytest.approx(1, abs=1e-5)


# ---- limits ---------------------------------------------------------------------------------

HARD = (
    "model hard; dim n = 6; upper { var x[n] in [-2, 2]; minimize sum(cos(3*x[i]*y[j] + i) for i in n, j in n) }; "
    "lower { var y[n] in [-2, 2]; minimize sum((y[i]^2 - 1)^2 + x[i]*sin(2*y[i]) for i in n) }"
)


def test_a_time_limit_is_kept_and_what_is_known_is_returned():
    monitor = Monitor(time_limit=2.0)
    found = raw_point(HARD, monitor)
    assert found.status == "limit" and "time limit of 2 s" in found.message and monitor.elapsed < 10
    convex = HARD.replace("(y[i]^2 - 1)^2 + x[i]*sin(2*y[i])", "(y[i] - x[i])^2")
    found = raw_point(convex.replace("n = 6", "n = 9"), Monitor(time_limit=1.0))
    assert found.status == "limit" and "time limit of 1 s" in found.message


def test_a_limit_of_relaxations_is_kept():
    found = raw_point("model m; upper { var x in [0.1, 1]; minimize (y - 1)^2 + x^2 }; "
                      "lower { var y in [-2, 2]; minimize (y^2 - 1)^2 + x*y/2 }", max_iterations=1)  # fmt: skip
    assert found.status == "limit" and found.iterations == 1 and "1 relaxations" in found.message
    assert found.bound <= 4.1


def test_the_gap_decides_when_to_stop():
    text = (
        "model m; upper { var x in [0.1, 1]; minimize (y - 1)^2 + x^2 }; lower { var y in [-2, 2]; "
        "minimize (y^2 - 1)^2 + x*y/2 }"
    )
    rough, fine = raw_point(text, gap=1.0), raw_point(text, gap=1e-6)
    assert rough.iterations <= fine.iterations and rough.bound <= fine.bound + 1e-6


def test_at_the_edge_of_a_root_there_are_no_first_order_conditions():
    """(y - x)^0.4 is least at y = x, where its slope is infinite: (x - 0.5)^2 + x is least at 0, y = x there."""
    found = raw_point("model m; upper { var x in [0, 1]; minimize (x - 0.5)^2 + y }; "
                      "lower { var y in [0, 2]; minimize (y - x)^0.4 + 0.1*y }", Monitor(time_limit=10.0))  # fmt: skip
    assert found.status in ("converged", "limit") and found.bound <= 0.25 + 1e-5
    if found.status == "converged":
        assert found.x == pytest.approx(0, abs=1e-3) and found.y == pytest.approx(0, abs=1e-3)


def test_the_followers_answer_counts_where_no_search_among_its_best_ones_ends(monkeypatch):
    def without_points(program, values, *_):
        never = Constraint("never", constant(1), None, constant(0), (), program.upper.span)
        leader = {symbol: values[symbol] for symbol in program.upper.symbols}
        return SingleLevel(program.lower[0].variables, program.upper.objective, (never,), (), leader)

    monkeypatch.setattr("bileveldsl.single_level.closing.best_response", without_points)
    found = raw_point(f"model m; {KNOWN['two wells of which the leader likes the wrong one'][0]}", max_iterations=1)
    assert found.status == "limit" and np.isfinite(found.y).all() and found.y[0] < -0.9
