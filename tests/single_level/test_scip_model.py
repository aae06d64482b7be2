"""Single-level programs in SCIP: every function of the language against a dense grid, and each way a solve can end."""

import math

import numpy as np
import pytest

from bileveldsl import loads
from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.expr import constant, leaf, subtract
from bileveldsl.execute.monitor import Monitor
from bileveldsl.program import Constraint
from bileveldsl.single_level.follower import follower_problem
from bileveldsl.single_level.program import Complementarity, SingleLevel
from bileveldsl.single_level.unsupported import Unsupported

pytest.importorskip("pyscipopt")
from bileveldsl.single_level.scip import ScipModel
from bileveldsl.single_level.scip_expressions import scip_expressions


def single(body, head=""):
    """The upper level of a model as a program of its own."""
    text = f"model m\n{head}\nupper {{ {body} }}\nlower {{ var unused in [0, 1]; minimize unused^2 }}"
    upper = loads(text).program().upper
    return SingleLevel(upper.variables, upper.objective, upper.constraints)


def solved(program, **settings):
    return ScipModel(program).solve(**settings)


def value_of(answer, name):
    return next(value for symbol, value in answer.values.items() if symbol.name == name)


# ---- functions ------------------------------------------------------------------------------

FUNCTIONS = [
    "exp(a) - 2*a", "-exp(-a*b) + a", "log(a + 3) - a/4", "-log(3 + a)", "sqrt(a + 2.5) - a/2", "abs(a - 0.3) + b/9",
    "-abs(a + 0.2) + a/9", "sin(2*a) + b/5", "cos(a + 2*b)", "tan(a/2) - a", "min(a, b) + a^2", "max(a, b) + b^2 - a/3",
    "max(a, b, -a - b)", "min(a, 0.5) - b", "norm(v)", "-norm(v) + a", "logsumexp(v)", "logsumexp(v) - a - b/3",
    "softplus(3*a) - 2*a", "sigmoid(2*a) + b^2", "-sigmoid(a - b)", "huber(a - 1) + b/9", "-huber(2*a + b, 0.5)",
    "a^3 - a", "a^4 - a^2 + b*a", "(a + 2.5)^1.5 - 3*a", "1/(a + 2.5) + a/9", "2^a - a", "(a + 2.5)^(b/2)",
    "entropy(a + 2)", "-entropy(a + 2)", "kl(a + 2.5, b + 2.5)", "sinh(a) - 2*a", "cosh(a + b) - a", "tanh(a) + a^2",
    "a*b*a + b", "a/(b + 3)", "sum(v^2) + prod(v)", "max(v) - min(v) + a/2", "a + 3",
]  # fmt: skip
GRID = np.linspace(-2, 2, 81)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_minimum_of_every_function_is_that_of_a_dense_grid(function):
    """Over [-2, 2] squared, of which the grid holds the corners; with slope 10 it is off by at most a step."""
    text = function.replace("entropy", "-1*entropy") if "entropy" in function else function
    head = "dim n = 2; param p[n] = [1, 0]; param q[n] = [0, 1]; let v[n] = a*p + b*q" if "v" in text else ""
    program = single(f"var a in [-2, 2]; var b in [-2, 2]; minimize {text}", head)
    a, b = program.symbols
    grid = np.array([
        evaluate(program.objective, {a: np.array(x), b: np.array(y)}) for x in GRID for y in GRID
    ], dtype=float)  # fmt: skip
    least = float(np.nanmin(grid))
    found = solved(program)
    assert found.status == "optimal"
    own = float(evaluate(program.objective, found.values))
    assert found.objective == pytest.approx(own, abs=1e-5)  # SCIP's function is the model's
    assert least - 0.1 <= own <= least + 1e-6
    assert found.bound <= own + 1e-6 and found.bound >= own - 1e-5 * (1 + abs(own))


DATA = "dim n = 3; param w[n] = [0, 1, 2]; param p[n] = [0, 0.5, 0.5]"


def test_a_function_of_which_scip_has_no_bounds_is_refused():
    with pytest.raises(Unsupported, match="asin"):
        ScipModel(single("var a in [-0.5, 0.5]; minimize asin(a)"))


DATA = "dim n = 3; param w[n] = [0, 1, 2]; param p[n] = [0, 0.5, 0.5]"


@pytest.mark.parametrize(
    "function",
    ["-1*sum(entropy(w*v))", "kl(p, v)", "sum(w*log(v))", "sum(softplus(w*v))", "sum(v^w)", "sum(exp(w*v)*p)"],
)
def test_data_that_is_zero_beside_variables_is_no_obstacle(function):
    """Products with a zero vanish, and functions at zero have their limits, as everywhere else in the language."""
    program = single(f"var v[n] in [0.1, 1]; minimize {function}", DATA)
    found = solved(program)
    assert found.status == "optimal"
    assert found.objective == pytest.approx(float(evaluate(program.objective, found.values)), abs=1e-5)
    random, (v,) = np.random.default_rng(0), program.symbols
    others = [float(evaluate(program.objective, {v: random.uniform(0.1, 1, 3)})) for _ in range(300)]
    assert found.objective <= min(others) + 1e-6


# ---- how a solve can end --------------------------------------------------------------------


def test_an_infeasible_program():
    found = solved(single("var a in [0, 1]; var b in [0, 1]; minimize a; c: a*b >= 2"))
    assert (found.status, found.values, found.bound) == ("infeasible", None, math.inf)


@pytest.mark.parametrize(("relation", "status"), [("a - a + 2 <= 1", "infeasible"), ("a - a + 1 <= 1", "optimal"),
                                                  ("a - a == 1", "infeasible"), ("a - a == 0", "optimal")])  # fmt: skip
def test_constraints_without_variables_are_decided(relation, status):
    program = single("var a in [0, 1]; minimize a; c: a <= 1")
    (kept,) = program.constraints
    zero, one = constant(0), constant(1)
    sides = {"a - a + 2 <= 1": (constant(2), None, one), "a - a + 1 <= 1": (one, None, one),
             "a - a == 1": (zero, one, one), "a - a == 0": (zero, zero, zero)}[relation]  # fmt: skip
    body, low, high = sides
    added = Constraint("fixed", body, low, high, (), kept.span)
    assert solved(SingleLevel(program.variables, program.objective, (kept, added))).status == status


def test_an_unbounded_program():
    found = solved(single("var a; var b in [0, 1]; minimize a + b"))
    assert found.status == "unbounded" and found.objective == -math.inf


def test_integers_and_binaries_take_whole_values():
    program = single(
        "var a : integer in [-3, 3]; var b[2] : binary; minimize (a - 1.4)^2 + sum(b) ; c: 2*b[0] + b[1] >= 1.5"
    )
    found = solved(program)
    assert found.objective == pytest.approx(0.16 + 1, abs=1e-6)
    assert value_of(found, "a") == pytest.approx(1)
    np.testing.assert_allclose(value_of(found, "b"), [1, 0], atol=1e-6)


def test_an_objective_without_variables_and_one_with_a_constant():
    assert solved(single("var a in [1, 2]; minimize 7; c: a <= 2")).objective == 7
    found = solved(single("var a in [1, 2]; minimize a + 7"))
    assert (found.objective, found.bound) == (pytest.approx(8), pytest.approx(8))


def test_ranges_and_equalities_hold_for_every_element():
    found = solved(single(
        "var v[n] in [-5, 5]; var s in [-9, 9]; minimize sum(v) - 3*s; r: -1 <= v + w <= 4; "
        "e[i in n]: v[i]*w[i] == s*p[i]",
        DATA,
    ))  # fmt: skip
    v, s = value_of(found, "v"), value_of(found, "s")
    w, p = np.array([0, 1, 2]), np.array([0, 0.5, 0.5])
    assert found.status == "optimal"
    np.testing.assert_allclose(v * w, s * p, atol=1e-5)
    assert (v + w >= -1 - 1e-5).all() and (v + w <= 4 + 1e-5).all()
    assert found.objective == pytest.approx(
        -1 + 3 + 1.5 - 18, abs=1e-5
    )  # v = (-1, s/2, s/4), s = 6 by the second range


def test_complementarities_hold_exactly_and_either_side_may_be_zero():
    """min (a - 2)^2 + (m - 1)^2 with 0 <= a, 0 <= m, a m = 0: m = 0 and a = 2 is the better branch."""
    program = single("var a in [-9, 9]; var m >= 0; minimize (a - 2)^2 + (m - 1)^2")
    a, m = program.variables
    found = solved(SingleLevel(program.variables, program.objective, (), (Complementarity("p", leaf(a.symbol), m),)))
    assert found.objective == pytest.approx(1, abs=1e-5)
    assert value_of(found, "a") == pytest.approx(2, abs=1e-3) and value_of(found, "m") == pytest.approx(0, abs=1e-9)
    swapped = single("var a in [-9, 9]; var m >= 0; minimize (a - 1)^2 + (m - 2)^2")
    a, m = swapped.variables
    found = solved(SingleLevel(swapped.variables, swapped.objective, (), (Complementarity("p", leaf(a.symbol), m),)))
    assert found.objective == pytest.approx(1, abs=1e-5) and value_of(found, "a") == pytest.approx(0, abs=1e-6)


def test_variables_that_are_fixed_have_their_values():
    text = (
        "model m; upper { var x[2] in [0, 9]; minimize sum(x) }; lower { var y; "
        "minimize exp(y) - x[0]*y + x[1]; c: y <= x[1] }"
    )
    program = loads(text).program()
    (x,) = program.upper.symbols
    for at, least in (((2.0, 9.0), 2 - 2 * math.log(2) + 9), ((2.0, 0.5), math.exp(0.5) - 1 + 0.5)):
        found = solved(follower_problem(program.lower[0], {x: np.array(at)}))
        assert found.objective == pytest.approx(least, abs=1e-5)


# ---- what is added later --------------------------------------------------------------------


def test_constraints_can_be_added_between_solves():
    program = single("var a in [0, 4]; minimize -a")
    (a,) = program.variables
    model = ScipModel(program)
    assert model.solve().objective == pytest.approx(-4)
    for most in (3, 1):
        model.reopen()
        model.add(Constraint("cut", leaf(a.symbol), None, constant(most), (), a.span))
        assert model.solve().objective == pytest.approx(-most)


@pytest.mark.parametrize(
    ("others", "least"),
    [([], 3.0), ([5.0], 0.0), ([-1.0], 3.0), (["b - 2"], 0.0), (["b - 9"], 3.0), (["b - 9", "b - 1"], 0.0)],
)
def test_one_of_several_inequalities_holds(others, least):
    """a >= 3, or one of the others is >= 0; b is at most 4."""
    head = "var a in [0, 9]; var b in [0, 4]"
    program = single(f"{head}; minimize a")
    a, b = program.symbols
    exprs = [constant(o) if isinstance(o, float) else subtract(leaf(b), constant(float(o[4:]))) for o in others]
    model = ScipModel(program)
    model.add_either(subtract(constant(3), leaf(a)), exprs)
    assert model.solve().objective == pytest.approx(least, abs=1e-5)


def test_progress_is_told_and_an_exhausted_limit_stops_the_search():
    hard = single("var v[n] in [-2, 2]; minimize sum(sin(5*v[i]*v[j]) for i in n, j in n) + norm(v)",
                  "dim n = 6")  # fmt: skip
    found = ScipModel(hard).solve(limit=0.0)
    assert found.status == "limit" and "timelimit" in found.message
    events = []
    monitor = Monitor(time_limit=1.0, progress=events.append)
    monitor._next_word = 0.0  # nothing to wait for
    found = ScipModel(hard).solve(monitor=monitor)
    assert found.status in ("limit", "optimal") and monitor.elapsed < 20
    assert events and all(event.measures["bound"] <= found.objective + 1e-6 for event in events)


def test_products_of_long_sums_are_not_multiplied_out():
    """40 by 40 terms: written out, SCIP would get 1,600 products; the least of the model is at (a, b) = (1, -1)."""
    sums = " + ".join(f"{k}*x[{k}]" for k in range(1, 40)), " + ".join(f"{k}*y[{k}]" for k in range(1, 40))
    program = single(f"var x[n] in [0, 1]; var y[n] in [-1, 1]; minimize ({sums[0]}) * ({sums[1]})", "dim n = 40")
    model = ScipModel(program)
    assert sum(1 for _ in model.model.getVars()) <= 81
    expressions = scip_expressions(program.objective, (), model.variables, {})
    assert not hasattr(expressions[()], "terms")
    answer = model.solve(1e-6)
    assert answer.objective == pytest.approx(-float(sum(range(1, 40)) ** 2), rel=1e-6)


def test_what_scip_complains_of_is_not_printed(capfd):
    """SCIP prints errors itself, whatever the verbosity: here that of a setting which has no such value."""
    model = ScipModel(single("var x in [0, 9]; var y in [0, 9]; minimize sin(3*x)*cos(y) + sin(x*y)"))
    told = []

    class Complains(Monitor):
        def bounds(self, objective, bound, iteration):
            with pytest.raises(Exception):  # noqa: B017 - PySCIPOpt raises nothing more special
                model.model.setParam("limits/gap", -1.0)
            told.append(iteration)

    assert model.solve(1e-3, Complains()).status == "optimal" and told
    assert capfd.readouterr() == ("", "")
