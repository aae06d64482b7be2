"""Pessimistic ties of linear followers against the worst best answer at every decision of a grid."""

import numpy as np
import pytest
from scipy import optimize

from bileveldsl import BlvError, loads
from bileveldsl.solution import Status

pytest.importorskip("pyscipopt")

TIE = "model tie; upper {{ var x in [0, 1]; minimize {} }}; lower {{ var y in [-1, 1]; ties {}; minimize x*y }}"


@pytest.mark.parametrize(
    ("objective", "ties", "value"),
    [
        ("(x - 0.5)^2 + y", "optimistic", -1.0), ("(x - 0.5)^2 + y", "pessimistic", -1.0),
        ("x - y", "optimistic", -1.0), ("x - y", "pessimistic", 1.0),
    ],
)  # fmt: skip
def test_a_follower_that_is_indifferent_at_one_decision(objective, ties, value):
    solution = loads(TIE.format(objective, ties)).solve()
    expected = Status.GLOBALLY_OPTIMAL if ties == "optimistic" else Status.FEASIBLE
    assert solution.status is expected
    assert solution.upper.objective == pytest.approx(value, abs=1e-5)


def test_a_value_that_is_approached_but_not_attained_is_no_optimum():
    """For x > 0 the answer is y = -1 and F = x - 1; at x = 0 the worst answer is y = 1 and F = 1."""
    solution = loads(TIE.format("x + y", "pessimistic")).solve()
    assert solution.status is Status.FEASIBLE and solution.verification.global_bound is None
    assert solution["x"] > 0 and -1 < solution.upper.objective < -0.99


@pytest.mark.parametrize("seed", range(3))
def test_the_pessimistic_value_is_the_least_worst_over_a_grid(seed):
    random = np.random.default_rng(seed)
    d, prices = random.integers(-3, 4, 2), random.integers(-3, 4, 2)
    level = int(random.integers(3, 6))
    # The follower's cost depends on y1 + y2 only, so that every split between the two is a best answer.
    text = f"""model split
upper {{
  var x in [0, 2]
  minimize {d[0]}*y1 + {d[1]}*y2 + {prices[0]}*x
}}
lower {{
  var y1 in [0, {level}]
  var y2 in [0, {level}]
  ties pessimistic
  minimize -y1 - y2
  cap: y1 + y2 <= {level} - x
}}
"""
    solution = loads(text).solve(time_limit=4)

    def worst(x):
        total = level - x  # the follower always uses all that it may
        value = optimize.linprog(-d, A_eq=[[1, 1]], b_eq=[total], bounds=(0, level))
        return -value.fun + prices[0] * x

    values = [worst(x) for x in np.linspace(0, 2, 201)]
    assert solution.upper.objective == pytest.approx(min(values), abs=1e-4)
    assert worst(solution["x"]) == pytest.approx(solution.upper.objective, abs=1e-4)


def test_what_the_rewrite_cannot_take_is_refused_with_the_reason():
    lower = "lower { var y in [-1, 1]; ties pessimistic; minimize x*y }"
    text = f"model m; upper {{ var x in [0, 1]; minimize x + y^2 }}; {lower}"
    with pytest.raises(BlvError) as caught:
        loads(text).solve()
    assert "the upper objective is not linear in the follower's variables" in caught.value.diagnostics[0].help
