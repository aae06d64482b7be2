"""Local solutions over the follower's optimality conditions: known optima, duals, and what is said without any."""

import numpy as np
import pytest
from bileveldsl.backends.kkt import Kkt
from quadratic import Quadratic

from bileveldsl import loads
from bileveldsl.backend import RawPoint, parse_options
from bileveldsl.certify.lower_level import certify
from bileveldsl.execute.engine import numpy_engine
from bileveldsl.execute.monitor import Monitor
from bileveldsl.execute.problem import CompiledProblem, compile_problem
from bileveldsl.reduce import REDUCTIONS, reduce_program
from bileveldsl.single_level import ipopt

FORMS = ("scholtes", "fischer_burmeister")


def compiled(model) -> CompiledProblem:
    program = (loads(model) if isinstance(model, str) else model).program()
    reduced = reduce_program(program, REDUCTIONS, certify(program))
    return compile_problem(reduced.program, numpy_engine(), reduced.facts)


def run(model, monitor=None, **options) -> tuple[RawPoint, CompiledProblem]:
    problem = model if isinstance(model, CompiledProblem) else compiled(model)
    backend = Kkt()
    return backend.solve(problem, parse_options("kkt", backend.options, options), monitor or Monitor()), problem


def value(raw, problem) -> float:
    return float(problem.F(raw.x, raw.y))


KNOWN = {
    "Bard 1988": ("""upper { var x >= 0; minimize (x - 5)^2 + (2*y + 1)^2 }
        lower { var y >= 0; minimize (y - 1)^2 - 1.5*x*y
          a: 3*x - y >= 3
          b: -x + 0.5*y >= -4
          c: -x - y >= -7 }""", 17.0),
    "Aiyoshi, Shimizu 1984": ("""upper { var x1 in [0, 50]; var x2 in [0, 50]; minimize 2*x1 + 2*x2 - 3*y1 - 3*y2 - 60
          G: x1 + x2 + y1 - 2*y2 <= 40 }
        lower { var y1 in [-10, 20]; var y2 in [-10, 20]; minimize (y1 - x1 + 20)^2 + (y2 - x2 + 20)^2
          a: 2*y1 <= x1 - 10
          b: 2*y2 <= x2 - 10 }""", 0.0),
    "Clark, Westerberg 1990": ("""upper { var x in [0, 8]; minimize (x - 3)^2 + (y - 2)^2 }
        lower { var y; minimize (y - 5)^2
          a: y <= 2*x + 1
          b: 2*y >= x + 2
          c: x + 2*y <= 14 }""", 5.0),
    "Bard 1991": ("""upper { var x in [2, 4]; minimize x + y2 }
        lower { var y1 >= 0; var y2 >= 0; minimize x*y2 + 2*y1
          a: y1 + y2 >= x + 4 }""", 2.0),
    "Lampariello, Sagratella 2017": ("""upper { var x in [-1, 1]; minimize x^2 + y^2 }
        lower { var y in [0, 1]; minimize -y
          a: 2*x + y <= 2 }""", 0.8),
    "Mitsos, Barton 2006, 3.13": ("""upper { var x in [-1, 1]; minimize x - y }
        lower { var y in [-1, 1]; minimize 0.5*x*y^2 - y*x^3 }""", -1.0),
    "Mitsos, Barton 2006, 3.6": ("""upper { var x in [0, 1]; minimize y + 0*x }
        lower { var y in [-1, 1]; minimize y^3 }""", -1.0),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_known_optima_are_found(name):
    text, best = KNOWN[name]
    raw, problem = run(f"model m\n{text}")
    assert raw.status == "converged"
    assert value(raw, problem) == pytest.approx(best, abs=1e-6 * (1 + abs(best)) if "3.13" not in name else 1e-3)
    assert raw.measures["follower_improvement"] <= 1e-8


def test_both_forms_of_the_relaxation_agree():
    text = f"model m\n{KNOWN['Bard 1988'][0]}"
    values = [value(*run(text, form=form, starts=1)) for form in FORMS]
    assert values[0] == pytest.approx(values[1], abs=1e-7)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(2))
def test_followers_without_constraints_give_the_closed_form(seed, form):
    quadratic = Quadratic.random(seed)
    raw, _ = run(quadratic.model(), form=form, starts=1)
    np.testing.assert_allclose(raw.x, quadratic.optimum(), atol=1e-6)
    np.testing.assert_allclose(raw.y, quadratic.answer(quadratic.optimum()), atol=1e-6)
    assert raw.message.startswith("S-stationary")


def test_without_ipopt_scipy_does_the_work(monkeypatch):
    monkeypatch.setattr(ipopt, "available", lambda: "IPOPT is missing")
    monitor = Monitor()
    raw, problem = run(f"model m\n{KNOWN['Clark, Westerberg 1990'][0]}", monitor, starts=3)
    assert monitor.notes == ["SciPy's solvers stood in: IPOPT is missing"]
    assert value(raw, problem) == pytest.approx(5.0, abs=1e-4)


def test_duals_are_the_slopes_of_the_followers_value():
    """For x = 2 the follower takes y = x and, free of the range, z = 1/6; its value x^2 rises by 2 x."""
    raw, _ = run("model m; upper { var x in [1, 3]; minimize (x - 2)^2 + 0*y }\n"
                 "lower { var y; var z; minimize y^2 + 3*z^2 - z\n"
                 "cap: y >= x; room: x - 1 <= z + y <= x + 0.25 }")  # fmt: skip
    assert raw.x[0] == pytest.approx(2.0, abs=1e-6)
    np.testing.assert_allclose(raw.y, [2.0, 1 / 6], atol=1e-6)
    assert float(raw.duals["cap"]) == pytest.approx(4.0, abs=1e-5)
    assert float(raw.duals["room"]) == pytest.approx(0.0, abs=1e-5)


def test_of_many_multipliers_small_ones_are_reported():
    """At x = 1, y = 0 the constraint and the bound share the follower's slope, 3.5, in infinitely many ways."""
    raw, _ = run(f"model m\n{KNOWN['Bard 1988'][0]}", starts=1)
    assert abs(float(raw.duals["a"])) <= 3.5 + 1e-6


BIDDING = """model bidding
set RIVALS = ["r1", "r2"]
param price[RIVALS] = [50, 100]
upper { var bid in [0, 100]; maximize demand.dual * sold }
lower market {
  var sold in [0, 100]
  var rival[RIVALS] in [0, 40]
  var short in [0, 100]
  minimize sum(price[r] * rival[r] for r in RIVALS) + 1000*short
  offer:  sold <= bid
  demand: sold + sum(rival[r] for r in RIVALS) + short == 100
}
"""


def test_prices_in_the_upper_level():
    """Just 20 units make the last rival run full: the price may then be anything up to that of the shortage."""
    raw, _ = run(BIDDING)
    assert raw.status == "converged"
    assert raw.x[0] == pytest.approx(20.0, abs=1e-5)
    assert raw.y[0] * float(raw.duals["demand"]) == pytest.approx(20_000, rel=1e-6)


def test_constraints_of_arrays():
    """Each element by itself: y = min(max(x, 0), cap), and the leader wants y = t."""
    head = "model m\ndim n = 40\nparam t[n] = 0.5\nparam cap[n] = 0.3\n"
    raw, problem = run(head + "upper { var x[n] in [-2, 2]; minimize sumsq(y - t) + 0.01*sumsq(x) }\n"
                       "lower { var y[n] >= 0; minimize sumsq(y - x); top: y <= cap }", starts=2)  # fmt: skip
    assert raw.status == "converged"
    np.testing.assert_allclose(raw.y, 0.3, atol=1e-6)
    np.testing.assert_allclose(raw.x, 0.3, atol=1e-5)
    assert raw.duals["top"].shape == (40,)
    assert value(raw, problem) == pytest.approx(40 * (0.04 + 0.01 * 0.09), rel=1e-6)


def test_a_program_without_solutions_is_infeasible_without_proof():
    raw, _ = run("model m; upper { var x in [0, 1]; minimize x; top: x + y >= 5 }\n"
                 "lower { var y in [0, 1]; minimize y }")  # fmt: skip
    assert raw.status == "infeasible"
    assert "no proof" in raw.message


def test_an_unbounded_leader():
    raw, _ = run("model m; upper { var x; minimize x + y }; lower { var y >= 0; minimize y^2 }", starts=2)
    assert raw.status == "unbounded"


def test_points_at_which_the_follower_does_better_are_not_accepted():
    """The conditions hold at y = -1 and y = 1 for x = 0, where the follower takes y = -1."""
    raw, problem = run("model m; upper { var x in [0, 1]; minimize x - y }\n"
                       "lower { var y in [-1, 0.8]; minimize y^3 - 0.5*y + x*y }", starts=3)  # fmt: skip
    assert raw.status == "converged"
    assert value(raw, problem) == pytest.approx(1.0, abs=1e-6)
    assert "necessary only" in raw.message


def test_constraints_that_may_not_be_qualified_bring_the_conditions_of_fritz_john_in():
    """The answer is y = z = -sqrt(x / 2)."""
    raw, problem = run("model m; upper { var x in [0.5, 2]; minimize (x - 1)^2 + y }\n"
                       "lower { var y; var z; minimize y + z; ball: y^2 + z^2 <= x }", starts=2)  # fmt: skip
    x = np.linspace(0.5, 2, 200_001)
    assert value(raw, problem) == pytest.approx(np.min((x - 1) ** 2 - np.sqrt(x / 2)), abs=1e-7)
    assert "Fritz John" in raw.message


def test_the_time_limit_gives_the_best_point_so_far():
    monitor = Monitor(time_limit=1e-3)
    raw, problem = run(f"model m\n{KNOWN['Bard 1988'][0]}", monitor)
    assert raw.status == "limit"
    assert (raw.x.shape, raw.y.shape) == ((problem.nx,), (problem.ny,))
    assert monitor.stopped == "time"


def test_equal_seeds_give_equal_points():
    text = f"model m\n{KNOWN['Mitsos, Barton 2006, 3.6'][0]}"
    first, second = (run(text, Monitor(seed=3), starts=5)[0] for _ in range(2))
    np.testing.assert_array_equal(first.x, second.x)
    np.testing.assert_array_equal(first.y, second.y)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("upper { var x; minimize abs(x) }; lower { var y; minimize y^2 }", "not smooth"),
        ("upper { var x : integer in [0, 3]; minimize x }; lower { var y; minimize y^2 }", "integer"),
    ],
)
def test_what_is_not_accepted(text, reason):
    program = loads(f"model m; {text}").program()
    assert reason in (Kkt().admits(program, ()) or "")


def test_what_is_accepted():
    program = loads(f"model m\n{KNOWN['Aiyoshi, Shimizu 1984'][0]}").program()
    assert Kkt().admits(program, ()) is None
    assert Kkt().available() is None
