"""Optimality conditions of followers: they hold at answers found by other means, and at no other points."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog, minimize

from bileveldsl import loads
from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.certify.claims import check_claims
from bileveldsl.certify.facts import Fact
from bileveldsl.certify.lower_level import certify
from bileveldsl.reduce import REDUCTIONS, Point, reduce_program
from bileveldsl.reduce.kkt import fritz_john_form, kkt_form
from bileveldsl.single_level.program import SingleLevel

UPPER = "upper { var x in [-9, 9]; minimize x }"


def reduced(text):
    program = loads(text).program()
    facts, _ = check_claims(program, certify(program))
    return reduce_program(program, REDUCTIONS, facts)


def form_of(lower, head="", upper=UPPER):
    small = reduced(f"model m\n{head}\n{upper}\nlower {{ {lower} }}")
    return kkt_form(small.program, small.facts)


def named(single: SingleLevel, values):
    """Values by symbol, zeros for the names that are not given."""
    assert set(values) <= {s.name for s in single.symbols}
    return {s: np.asarray(values.get(s.name, np.zeros(s.shape)), dtype=float) for s in single.symbols}


def error(single: SingleLevel, values):
    """The largest violation of a constraint, bound or complementarity."""
    known = named(single, values)
    worst = single.violation(known)
    for pair in single.complementarities:
        slack, multiplier = evaluate(pair.slack, known, pair.axes), known[pair.multiplier.symbol]
        worst = max(worst, float(np.max(-slack, initial=0.0)), float(np.max(np.abs(slack * multiplier), initial=0.0)))
    return worst


def multipliers(form):
    return {s.name: s.shape for s in form.program.symbols if s.name.endswith(".multiplier")}


# ---- at answers -----------------------------------------------------------------------------

DATA = """dim n = 3, m = 2
param c[n] = [1, -2, 0.5]
param A[m, n] = [[1, 1, 1], [1, -1, 2]]
param b[m] = [4, 3]
"""
C, A, B = np.array([1, -2, 0.5]), np.array([[1, 1, 1], [1, -1, 2.0]]), np.array([4, 3.0])


def test_a_linear_follower_with_multipliers_by_another_solver():
    form = form_of("var y[n] in [0, 3]; minimize dot(c, y); rows: A @ y <= b + x", DATA)
    x = 0.5
    found = linprog(C, A_ub=A, b_ub=B + x, bounds=(0, 3))
    values = {
        "x": x, "y": found.x, "rows.multiplier": -found.ineqlin.marginals,
        "y.lower.multiplier": found.lower.marginals, "y.upper.multiplier": -found.upper.marginals,
    }  # fmt: skip
    assert set(multipliers(form)) == {"rows.multiplier", "y.lower.multiplier", "y.upper.multiplier"}
    assert error(form.program, values) < 1e-9
    assert error(form.program, {**values, "y": found.x * 0.9}) > 1e-2
    assert error(form.program, {**values, "rows.multiplier": -found.ineqlin.marginals + 0.1}) > 1e-2
    assert form.exact and form.sufficient == "it is convex"


def test_a_quadratic_follower_with_an_equality_and_a_range():
    form = form_of("var y[n]; minimize sumsq(y)/2 - dot(c, y); total: sum(y) == x; span: -1 <= y[0] - y[1] <= 2", DATA)
    x = 1.0
    value = minimize(
        lambda y: y @ y / 2 - C @ y, np.zeros(3), jac=lambda y: y - C, method="SLSQP", tol=1e-14,
        constraints=[{"type": "eq", "fun": lambda y: y.sum() - x},
                     {"type": "ineq", "fun": lambda y: 2 - y[0] + y[1]},
                     {"type": "ineq", "fun": lambda y: 1 + y[0] - y[1]}],
    )  # fmt: skip
    y = value.x
    assert y[0] - y[1] == pytest.approx(2, abs=1e-6)  # the upper side holds it
    # y - c - t - s_low (1,-1,0) + s_up (1,-1,0) = 0
    total = y[2] - C[2]
    up = -(y[0] - C[0] - total)
    values = {"x": x, "y": y, "total.multiplier": total, "span.upper.multiplier": up}
    assert up > 0 and error(form.program, values) < 1e-5
    assert multipliers(form) == {"total.multiplier": (), "span.lower.multiplier": (), "span.upper.multiplier": ()}
    assert error(form.program, {"x": x, "y": y, "total.multiplier": total, "span.lower.multiplier": up}) > 1e-2
    assert len(form.program.complementarities) == 2  # an equality has none


def test_a_nonlinear_convex_follower():
    """min exp(y1) + y2^2 with y1 + y2 >= x and y1^2 <= 4: for x = 1 only the first holds."""
    form = form_of("var u; var v; minimize exp(u) + v^2; c: u + v >= x; d: u^2 <= 4")
    from scipy.optimize import brentq

    u = brentq(lambda u: np.exp(u) - 2 * (1 - u), -5, 5, xtol=1e-14)
    values = {"x": 1.0, "u": u, "v": 1 - u, "c.multiplier": np.exp(u)}
    assert error(form.program, values) < 1e-10
    assert form.sufficient == "it is convex" and form.necessary is None  # a quadratic constraint may be degenerate
    # for x = 9 both: u = 2, v = 7, exp(2) = c - 4 d with 2 v = c = 14, so d = (14 - exp(2)) / 4
    values = {"x": 9.0, "u": 2.0, "v": 7.0, "c.multiplier": 14.0, "d.multiplier": (14 - np.exp(2)) / 4}
    assert error(form.program, values) < 1e-10


def test_a_maximizing_follower_is_stationary_for_the_negative():
    form = form_of("var y; maximize 3*y - y^2/2; cap: y <= x")
    assert error(form.program, {"x": 1.0, "y": 1.0, "cap.multiplier": 2.0}) < 1e-12
    assert error(form.program, {"x": 5.0, "y": 3.0}) < 1e-12
    assert error(form.program, {"x": 5.0, "y": 5.0}) > 1


# ---- bounds and families --------------------------------------------------------------------


def test_elements_without_a_bound_have_no_multiplier():
    small = reduced(f"model m\ndim n = 3\n{UPPER}\nlower {{ var y[n]; minimize sumsq(y + 1) }}")
    (lower,) = small.program.lower
    low, high = np.array([0, -np.inf, 1]), np.array([np.inf, np.inf, 5])
    bounded = replace(lower, variables=(replace(lower.variables[0], lower=low, upper=high),))
    form = kkt_form(replace(small.program, lower=(bounded,)), small.facts)
    assert multipliers(form) == {"y.lower.multiplier": (2,), "y.upper.multiplier": (1,)}
    values = {"y": [0.0, -1.0, 1.0], "y.lower.multiplier": [2.0, 4.0]}
    assert error(form.program, values) < 1e-12
    assert error(form.program, {"y": [0.0, -1.0, 1.0], "y.lower.multiplier": [4.0, 2.0]}) > 1


def test_matrices_of_variables_and_families_of_two_indices():
    """Each y[i, j] is pulled to 10 and held by cap[i] + cap2[j] or its row sum."""
    head = "dim n = 2, m = 3\nparam r[n] = [3, 6]"
    form = form_of("var y[n, m] in [-1, 4]; minimize sum((y - 10)^2); row[i in n]: sum(y[i, j] for j in m) <= r[i]; "
                   "each[i in n, j in m]: y[i, j] <= 3.5", head)  # fmt: skip
    y = np.array([[1.0] * 3, [2.0] * 3])
    values = {"y": y, "row.multiplier": [18.0, 16.0]}
    assert error(form.program, values) < 1e-12
    assert multipliers(form) == {"row.multiplier": (2,), "each.multiplier": (2, 3),
                                 "y.lower.multiplier": (2, 3), "y.upper.multiplier": (2, 3)}  # fmt: skip
    assert error(form.program, {"y": y, "row.multiplier": [16.0, 18.0]}) > 1


def test_a_constraint_without_variables_of_the_follower_has_no_multiplier_but_must_hold():
    form = form_of("var y; minimize (y - 1)^2; c: y <= 3; strange: x <= 2")
    assert multipliers(form) == {"c.multiplier": ()}
    assert error(form.program, {"x": 1.0, "y": 1.0}) < 1e-12
    assert error(form.program, {"x": 2.5, "y": 1.0}) == pytest.approx(0.5)
    duals = {symbol.name: expr for symbol, expr in form.duals.items()}
    assert float(evaluate(duals["strange.dual"], {})) == 0


def test_the_leaders_program_is_kept():
    upper = "upper { var x in [0, 9]; minimize x^2 + y; budget: x + y <= 7 }"
    form = form_of("var y in [0, 9]; minimize -y; c: y <= x", upper=upper)
    assert [v.name for v in form.program.variables][:2] == ["x", "y"]
    assert form.program.constraints[0].label == "budget"
    assert float(evaluate(form.program.objective, named(form.program, {"x": 3.0, "y": 2.0}))) == 11


# ---- multipliers in the leader's program ----------------------------------------------------


def value_function(program, x):
    """The follower's optimal value at x, in its own sense, by SLSQP."""
    (lower,), sign = program.lower, 1 if program.lower[0].sense == "minimize" else -1
    (y,), (upper,) = lower.symbols, program.upper.symbols

    def at(expr, z):
        return float(evaluate(expr, {y: np.asarray(z).reshape(y.shape), upper: np.array(x)}))

    rows = []
    for c in lower.constraints:
        if c.is_equality:
            rows.append({"type": "eq", "fun": lambda z, c=c: at(c.body, z) - at(c.upper, z)})
            continue
        if c.lower is not None:
            rows.append({"type": "ineq", "fun": lambda z, c=c: at(c.body, z) - at(c.lower, z)})
        if c.upper is not None:
            rows.append({"type": "ineq", "fun": lambda z, c=c: at(c.upper, z) - at(c.body, z)})
    found = minimize(lambda z: sign * at(lower.objective, z), np.full(y.shape, 0.3).ravel(), method="SLSQP",
                     constraints=rows, tol=1e-13, options={"maxiter": 500})  # fmt: skip
    assert found.success
    return sign * found.fun


@pytest.mark.parametrize("sense", ["minimize", "maximize"])
@pytest.mark.parametrize("relation", ["y[0] + y[1] <= {}", "{} >= y[0] + y[1]", "y[0] + y[1] >= {}",
                                      "y[0] + y[1] == {}",
                                      "{} - 1 <= y[0] + y[1] <= {}", "{} <= y[0] + y[1] <= {} + 1"])  # fmt: skip
@pytest.mark.parametrize("right", [-2.0, 1.5])
def test_a_dual_is_the_derivative_of_the_optimal_value_by_the_right_hand_side(sense, relation, right):
    """At the multipliers of the conditions, against differences of the value by another solver; both senses."""
    pytest.importorskip("pyscipopt")
    from bileveldsl.single_level.scip import ScipModel

    turned = "" if sense == "minimize" else "-"
    objective = f"{sense} {turned}1*((y[0] - 0.5)^2 + 2*(y[1] + 0.25)^2 + y[0]*y[1])"

    def text(x):
        return (f"model m; dim n = 2; upper {{ var x in [{x}, {x}]; minimize x }}; "
                f"lower {{ var y[n]; {objective}; c: {relation.replace('{}', 'x')} }}")  # fmt: skip

    small = reduced(text(right))
    form = kkt_form(small.program, small.facts)
    found = ScipModel(form.program).solve()
    assert found.status == "optimal" and found.values is not None
    (dual,) = form.duals.values()
    label = loads(text(right)).program().lower[0].constraints[0].label
    value = evaluate(dual, found.values)
    own = float(small.invert(Point({}, {label: value})).duals[label])
    program, step = loads(text(right)).program(), 1e-4
    after, before = (value_function(program, right + d) for d in (step, -step))
    written = (
        -1 if relation.startswith("{} >=") else 1
    )  # there x is the left-hand side, and more of the right is less of x
    assert own == pytest.approx(written * (after - before) / (2 * step), abs=2e-3)
    assert abs(own) > 0.1 or abs(after - before) < 1e-6


def test_multipliers_of_the_leaders_objective_are_replaced_by_those_of_the_conditions():
    upper = "upper { var x in [0, 9]; minimize 10*cap.dual + span.dual; pay: cap.dual >= -5 }"
    form = form_of("var y; var z; minimize (y - 3)^2 + z^2; cap: y <= x; span: 1 <= z <= 2", upper=upper)
    assert not {s.name for s in form.program.symbols} & {"cap.dual", "span.dual"}
    values = named(form.program, {"cap.multiplier": 4.0, "span.lower.multiplier": 2.0})
    assert float(evaluate(form.program.objective, values)) == -40 + 2
    (pay,) = [c for c in form.program.constraints if c.label == "pay"]
    assert float(evaluate(pay.body, values)) == -4


# ---- what may be said of the conditions -----------------------------------------------------


@pytest.mark.parametrize(
    ("lower", "necessary", "sufficient"),
    [
        ("var y; minimize (y - x)^2; c: y <= x", True, True),
        ("var y; minimize (y - x)^2; c: x*y <= 3", True, True),
        ("var y; minimize (y - x)^2; c: y^2 <= 4", False, True),
        ("var y in [-3, 3]; minimize y^3 - x*y; c: y <= x", True, False),
        ("var y; minimize (y - x)^2; c: y^2 >= 1", False, False),
        ("var y in [-3, 3]; minimize y^4 - 3*y^2; c: y^2 <= x", False, False),
    ],
)
def test_when_the_conditions_are_necessary_and_when_sufficient(lower, necessary, sufficient):
    form = form_of(lower)
    assert ((form.necessary is not None), (form.sufficient is not None)) == (necessary, sufficient)
    assert form.exact is (necessary and sufficient)


def test_assumed_convexity_is_said():
    small = reduced(f"model m\n{UPPER}\nlower {{ var y in [-3, 3]; minimize y^3 - x*y; c: y <= x }}")
    cases: tuple[tuple[Any, Any, str | None], ...] = (
        ("proved", "proved", "it is convex"), ("assumed", "proved", "it is convex (assumed)"),
        ("proved", "assumed", "it is convex (assumed)"), ("unknown", "proved", None), ("proved", "refuted", None),
    )  # fmt: skip
    for objective, feasible, words in cases:
        facts = (Fact("lower.objective", "convex", objective), Fact("lower.feasible_set", "convex", feasible))
        assert kkt_form(small.program, facts).sufficient == words


# ---- Fritz John -----------------------------------------------------------------------------


def test_fritz_john_holds_where_no_multipliers_of_karush_kuhn_tucker_exist():
    """min y with y^2 <= 0: the only answer is y = 0, where the constraint has no slope."""
    lower = "var y; minimize y; c: y^2 <= 0"
    small = reduced(f"model m\n{UPPER}\nlower {{ {lower} }}")
    form = kkt_form(small.program, small.facts)
    assert not form.exact
    for multiplier in (0.0, 1.0, 1e6):
        assert error(form.program, {"y": 0.0, "c.multiplier": multiplier}) == pytest.approx(1)
    single = fritz_john_form(small.program)
    assert error(single, {"y": 0.0, "objective.multiplier": 0.0, "c.multiplier": 1.0}) == 0


def test_fritz_john_is_normalized():
    small = reduced(f"model m\n{UPPER}\nlower {{ var y in [0, inf]; minimize (y - x)^2; c: y <= 1; e: 2*y == x }}")
    single = fritz_john_form(small.program)
    names = {s.name for s in single.symbols} - {"x", "y"}
    assert names == {
        "objective.multiplier",
        "c.multiplier",
        "e.multiplier.plus",
        "e.multiplier.minus",
        "y.lower.multiplier",
    }
    assert error(single, {"x": 1.0, "y": 0.5}) == pytest.approx(1)  # all zero is no solution
    for variable in single.variables[2:]:
        assert (variable.lower == 0).all() and (variable.upper == 1).all()
    # y = 0.5 is forced by e; the objective pulls y up by 1 = 2 (y - x) * -1
    weight = 2 / 3  # w * (-1) + 2 s = 0 and w + s = 1
    signs = [{"e.multiplier.plus": 1 - weight}, {"e.multiplier.minus": 1 - weight}]
    errors = [error(single, {"x": 1.0, "y": 0.5, "objective.multiplier": weight, **s}) for s in signs]
    assert min(errors) < 1e-12 < max(errors)


def test_fritz_john_holds_at_answers_that_are_regular():
    """The multipliers of Karush, Kuhn and Tucker divided by their sum and one."""
    small = reduced(f"model m\n{UPPER}\nlower {{ var y; minimize (y - 3)^2; c: y^2 <= x }}")
    single = fritz_john_form(small.program)
    raw = 2 * (3 - 2) / 4  # 2 (y - 3) + 2 y m = 0 at y = 2
    shares = {"objective.multiplier": 1 / (1 + raw), "c.multiplier": raw / (1 + raw)}
    assert error(single, {"x": 4.0, "y": 2.0, **shares}) < 1e-12
    assert error(single, {"x": 4.0, "y": 1.0, **shares}) > 0.1
