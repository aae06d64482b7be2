"""Points of models with constraints, kinks, integers and prices: what is wrong with them is measured and said."""

import json

import numpy as np
import pytest

from bileveldsl import loads
from bileveldsl.certify.claims import check_claims
from bileveldsl.certify.lower_level import certify
from bileveldsl.execute.engine import numpy_engine
from bileveldsl.execute.problem import compile_problem
from bileveldsl.reduce import REDUCTIONS, reduce_program
from bileveldsl.single_level.program import Answer
from bileveldsl.solution import Status
from bileveldsl.verify import constrained, verify_point, verify_solution

CAPPED = """model capped
upper { var x in [0, 4]; minimize (x - 3)^2 + y; budget: x + y <= 6 }
lower { var y in [-1, 9]; minimize (y - 2*x)^2; cap: y <= x + 1; floor: y >= -x }
"""
LINEAR = (
    "model lp; upper { var x in [0, 4]; minimize -x - y }; lower { var y >= 0; minimize -y; a: y <= x; b: x + y <= 6 }"
)
WHOLE = """model whole
upper { var x : integer in [0, 5]; minimize (x - 2.4)^2 + y }
lower { var y : integer in [0, 5]; minimize (y - x)^2; cap: y <= 3 }
"""
PRICED = """model priced
upper { var x in [0, 3]; minimize (cap.dual + 1)^2 + 0*x }
lower { var y; minimize (y - 3)^2; cap: y <= x }
"""


def measured(text, x, y, **settings):
    program = loads(text).program()
    facts, _ = check_claims(program, certify(program))
    small = reduce_program(program, REDUCTIONS, facts)
    problem = compile_problem(small.program, numpy_engine(), small.facts)
    return verify_point(
        problem, np.atleast_1d(np.asarray(x, float)), np.atleast_1d(np.asarray(y, float)), small.facts, **settings
    )


def test_a_right_answer_is_optimal_at_both_levels():
    """y = x + 1 for x >= 1: (x - 3)^2 + x + 1 is least at 2.5."""
    found = measured(CAPPED, 2.5, 3.5)
    assert found.status is Status.LOCALLY_OPTIMAL and found.objective == pytest.approx(3.75)
    assert found.verification.lower_gap <= 1e-9 and found.verification.lower_gap_method == "convex-solve"
    assert "strongly stationary" in found.message


def test_a_leader_off_its_optimum_is_feasible_only():
    found = measured(CAPPED, 2.0, 3.0)
    assert found.status is Status.FEASIBLE and "not stationary" in found.message


@pytest.mark.parametrize(("y", "value", "least"), [(3.0, 4.0, 2.25), (0.0, 25.0, 2.25)])
def test_a_wrong_answer_of_the_follower_is_caught_with_the_right_gap(y, value, least):
    found = measured(CAPPED, 2.5, y)
    assert found.status is Status.NOT_VERIFIED and "better answer" in found.message
    assert found.verification.lower_gap == pytest.approx((value - least) / (1 + value), abs=1e-7)


def test_the_gap_of_a_linear_follower():
    assert measured(LINEAR, 3, 3).status is Status.LOCALLY_OPTIMAL
    found = measured(LINEAR, 3, 2)
    assert found.status is Status.NOT_VERIFIED and found.verification.lower_gap == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("x", "y", "upper", "lower"),
    [(2.5, 4.0, 0.5, 0.5), (1.0, 2.25, 0, 0.25), (-0.5, 0.5, 0.5, 0), (4.0, 5.0, 3.0, 0), (0.5, -1.5, 0, 1.0)],
)
def test_every_violation_is_measured(x, y, upper, lower):
    found = measured(CAPPED, x, y)
    assert found.status is Status.NOT_VERIFIED and "violated" in found.message
    assert found.verification.upper_violation == pytest.approx(upper)
    assert found.verification.lower_violation == pytest.approx(lower)


def test_integers_must_be_whole():
    good = measured(WHOLE, 2, 2)
    assert good.status is Status.FEASIBLE and good.verification.lower_gap == pytest.approx(0, abs=1e-6)
    assert "integer" in good.message
    upper, lower = measured(WHOLE, 2.25, 2), measured(WHOLE, 2, 1.75)
    assert (upper.verification.upper_violation, lower.verification.lower_violation) == (pytest.approx(0.25),) * 2
    assert upper.status is lower.status is Status.NOT_VERIFIED


def test_the_follower_of_integers_is_compared_with_integers_only():
    text = WHOLE.replace("(y - x)^2", "(y - x - 0.4)^2")
    assert measured(text, 2, 2).verification.lower_gap == pytest.approx(0, abs=1e-6)
    wrong = measured(text, 2, 3)
    assert wrong.status is Status.NOT_VERIFIED
    assert wrong.verification.lower_gap == pytest.approx((0.36 - 0.16) / 1.36, abs=1e-6)


def test_a_kink_is_no_obstacle_to_the_followers_optimality():
    text = "model k; upper { var x in [0, 4]; minimize x + y }; lower { var y in [-5, 5]; minimize abs(y - x) + 0.5*y }"
    good, wrong = measured(text, 1, 1), measured(text, 1, 0)
    assert good.status is Status.FEASIBLE and "not smooth" in good.message
    assert wrong.status is Status.NOT_VERIFIED and wrong.verification.lower_gap == pytest.approx(0.5 / 2, abs=1e-6)


# ---- multipliers ----------------------------------------------------------------------------


@pytest.mark.parametrize(("x", "y", "dual", "right"), [(2.5, 2.5, -1.0, True), (2.0, 2.0, -2.0, True),
                                                       (2.5, 2.5, -0.9, False),
                                                       (2.5, 2.5, 1.0, False), (2.5, 2.5, 0.0, False)])  # fmt: skip
def test_wrong_multipliers_are_caught(x, y, dual, right):
    found = measured(PRICED, x, y, duals={"cap": np.array(dual)})
    assert found.objective == pytest.approx((dual + 1) ** 2)
    if right:
        assert found.status in (Status.LOCALLY_OPTIMAL, Status.FEASIBLE)
        assert found.verification.lower_violation == pytest.approx(0, abs=1e-9)
    else:
        assert found.status is Status.NOT_VERIFIED
        assert found.verification.lower_violation == pytest.approx(abs(dual - 2 * (y - 3)), rel=0.6)


def test_a_multiplier_of_a_constraint_that_does_not_hold_the_follower_is_zero():
    """With cap: y <= x + 2 the follower is free at x = 2.5; y = 3 and a multiplier would be a lie."""
    text = PRICED.replace("cap: y <= x", "cap: y <= x + 2; other: y >= 3 + 0*x")
    assert (
        measured(text, 2.5, 3, duals={"cap": np.array(0.0), "other": np.array(0.0)}).status is not Status.NOT_VERIFIED
    )
    wrong = measured(text, 2.5, 3, duals={"cap": np.array(-1.0), "other": np.array(1.0)})
    assert wrong.status is Status.NOT_VERIFIED


def test_without_multipliers_a_priced_model_cannot_be_measured():
    found = measured(PRICED, 2.5, 2.5)
    assert found.status is Status.NOT_VERIFIED and "multipliers are not given" in found.message


def test_bounds_that_move_with_the_leader_take_part():
    text = PRICED.replace("var y;", "var y in [0, x];").replace("cap: y <= x", "cap: y <= 2")
    found = measured(text, 1, 1, duals={"cap": np.array(0.0), "y.upper": np.array(-4.0)})
    assert found.verification.lower_violation == pytest.approx(0, abs=1e-9)
    assert measured(text, 1, 1, duals={"cap": np.array(-4.0), "y.upper": np.array(0.0)}).status is Status.NOT_VERIFIED


# ---- bounds of a search ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bound", "status", "words"),
    [(3.75, Status.GLOBALLY_OPTIMAL, "global gap"), (3.0, Status.LOCALLY_OPTIMAL, "a bound leaves a gap of 1.6e-01"),
     (4.5, Status.LOCALLY_OPTIMAL, "inconsistent")],
)  # fmt: skip
def test_what_a_bound_says(bound, status, words):
    found = measured(CAPPED, 2.5, 3.5, bound=bound)
    assert found.status is status and words in found.message
    assert found.verification.global_gap == pytest.approx((3.75 - bound) / 4.75)


def test_a_bound_does_not_make_a_wrong_answer_right():
    assert measured(CAPPED, 2.5, 3.0, bound=3.25).status is Status.NOT_VERIFIED


# ---- stored solutions -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored():
    pytest.importorskip("pyscipopt")
    found = {
        name: loads(text).solve("scip").to_json()
        for name, text in (("capped", CAPPED), ("whole", WHOLE), ("priced", PRICED))
    }
    return {name: json.dumps(value) for name, value in found.items()}


TEXTS = {"capped": CAPPED, "whole": WHOLE, "priced": PRICED}


@pytest.mark.parametrize("name", TEXTS)
def test_a_stored_solution_is_found_true(stored, name):
    solution = json.loads(stored[name])
    assert solution["status"] == "globally_optimal"
    found = verify_solution(loads(TEXTS[name]), solution)
    assert found.status in (Status.LOCALLY_OPTIMAL, Status.FEASIBLE)  # the bound is a claim of the file
    assert found.upper.objective == pytest.approx(solution["upper"]["objective"], abs=1e-9)


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [("capped", ("values", "y"), 3.0), ("capped", ("values", "x"), 9.0), ("whole", ("values", "y"), 1.0),
     ("whole", ("values", "x"), 2.5), ("priced", ("duals", "cap"), -0.5), ("priced", ("values", "y"), 1.0)],
)  # fmt: skip
def test_a_stored_solution_that_was_tampered_with_is_found_false(stored, name, path, value):
    solution = json.loads(stored[name])
    solution[path[0]][path[1]] = value
    assert verify_solution(loads(TEXTS[name]), solution).status is Status.NOT_VERIFIED


def test_a_stored_solution_without_the_prices_is_refused(stored):
    from bileveldsl.language.diagnostics import BlvError

    solution = json.loads(stored["priced"])
    solution["duals"] = {}
    with pytest.raises(BlvError) as caught:
        verify_solution(loads(PRICED), solution)
    assert caught.value.diagnostics[0].code == "E635" and "cap" in caught.value.diagnostics[0].message


@pytest.mark.parametrize("f", ["exp(y) - x*y", "abs(y - x) + exp(y)"])
def test_each_way_to_the_minimum_of_a_convex_follower_is_tried_once(monkeypatch, f):
    calls = []
    monkeypatch.setattr(constrained, "solve_nlp", lambda *_, **__: calls.append(1) or Answer("failed"))
    monkeypatch.setattr(constrained.scip, "missing", lambda: "SCIP is not installed")
    found = measured(f"model m; upper {{ var x in [0, 1]; minimize x }}; lower {{ var y in [0, 1]; minimize {f}; "
                     "c: y <= x }", 0.5, 0.25)  # fmt: skip
    assert len(calls) == 1 and found.status is Status.NOT_VERIFIED and found.verification.lower_gap is None
