"""Cuts by answers of the follower and second-order conditions hold at every answer, and cut others off."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bileveldsl import loads
from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.reduce.curvature import curvature
from bileveldsl.single_level.cuts import deepest, fixed, followed

MOVING = """model m
upper {{ var x in [-3, 3]; minimize x + y }}
lower {{ var y in [-3, 3]; minimize {f}; floor: y >= {slope}*x + {shift} }}
"""


def program_of(text):
    return loads(text).program()


def at(program, x, y):
    """The values of a leader with x and a follower with y, each in one variable."""
    return {program.upper.symbols[0]: np.asarray(x, float), program.lower[0].symbols[0]: np.asarray(y, float)}


def worth(expressions, values):
    return [float(np.max(evaluate(e, values, e.axes))) for e in expressions]


def best(program, x, grid):
    """The follower's best answer among numbers; None where none is feasible."""
    (floor,) = program.lower[0].constraints
    low = float(evaluate(floor.lower, at(program, x, 0.0)))
    feasible = [y for y in grid if low - 1e-12 <= y and abs(y) <= 3]
    return min(feasible, key=lambda y: float(evaluate(program.lower[0].objective, at(program, x, y))), default=None)


coefficient = st.integers(-2, 2)


@settings(max_examples=25, deadline=None)
@given(slope=coefficient.filter(bool), shift=coefficient, a=coefficient, b=coefficient, c=coefficient)
def test_cuts_hold_at_every_answer(slope, shift, a, b, c):
    """The follower a y^3 + b y^2 x + c y on a grid: the cut of its answer at x = 0.5 at those of other decisions."""
    program = program_of(MOVING.format(f=f"{a}*y^3 + {b}*y^2*x + {c}*y", slope=slope, shift=shift))
    grid = np.linspace(-3, 3, 61)
    here = best(program, 0.5, np.append(grid, slope * 0.5 + shift))
    if here is None:
        return
    values = at(program, 0.5, here)
    for competitor in (followed(program, values), fixed(program, values)):
        if competitor is None:
            continue
        excess, others = competitor.cut(program, 1e-9, 0.0)
        for x in np.linspace(-3, 3, 13):
            answer = best(program, x, np.append(grid, slope * x + shift))
            if answer is not None:
                point = at(program, x, answer)
                # an answer of the grid may be worse than the best by what the grid leaves out
                assert worth([excess], point)[0] <= 5e-2 or max(worth(others, point), default=-1) >= 0


def test_an_answer_on_a_row_follows_the_leader_and_cuts_on_both_sides_of_its_decision():
    program = program_of(MOVING.format(f="y^3 - 3*y", slope=1, shift=-3))
    competitor = followed(program, at(program, 0.5, -2.5))
    (moved,) = competitor.values.values()
    for x in (-1.0, 0.0, 0.7, 2.0):
        assert float(evaluate(moved, at(program, x, 0.0))) == pytest.approx(x - 3, abs=1e-12)
    excess, others = competitor.cut(program, 0.0, 0.0)
    # at x = 0.9 the well at y = 1 has the value -2, the answer on the row is better: (-2.1)^3 + 6.3
    point = at(program, 0.9, 1.0)
    assert worth([excess], point)[0] == pytest.approx(-2 - ((-2.1) ** 3 + 6.3)) and max(worth(others, point)) < 0
    stays, rows = fixed(program, at(program, 0.5, -2.5)).cut(program, 0.0, 0.0)
    assert max(worth(rows, point)) > 0 and worth([stays], point)[0] > 0  # it is no answer there


@pytest.mark.parametrize("f", ["log(4 - y)", "sqrt(y + 4)"])
def test_an_answer_does_not_move_to_where_the_objective_may_have_no_value(f):
    program = program_of(MOVING.format(f=f, slope=1, shift=-1))
    assert followed(program, at(program, 0.5, -0.5)) is None


def test_integers_and_answers_inside_of_their_rows_do_not_move():
    program = program_of(MOVING.format(f="(y - 1)^2", slope=1, shift=-1))
    assert followed(program, at(program, 0.5, 1.0)) is None
    whole = program_of(MOVING.format(f="y", slope=1, shift=-1).replace("var y", "var y : integer"))
    assert followed(whole, at(whole, 1.0, 0.0)) is None


def test_the_deepest_answer_is_asked_for_only_on_a_row():
    program = program_of(MOVING.format(f="y^3 - 3*y", slope=1, shift=-3))
    assert deepest(program, at(program, 0.5, 1.0), 0.0) is None
    assert deepest(program, at(program, 0.5, -2.5), -7.0) is not None


# ---- curvature ------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(a=coefficient, b=coefficient, c=coefficient, d=coefficient, x=st.integers(-3, 3))
def test_second_order_conditions_hold_at_every_minimum(a, b, c, d, x):
    program = program_of(
        f"model m; upper {{ var x in [-3, 3]; minimize x }}; lower {{ var y in [-2, 2]; "
        f"minimize {a}*y^4 + {b}*x*y^3 + {c}*y^2 + {d}*y; cap: y <= x + 4 }}"
    )
    conditions = list(curvature(program.lower[0]))
    y = np.linspace(-2, min(2.0, x + 4), 4001)
    f = a * y**4 + b * x * y**3 + c * y**2 + d * y
    answer = y[np.argmin(f)]
    for excess, others in conditions:
        point = at(program, x, answer)
        assert worth([excess], point)[0] <= 0.1 or max(worth(others, point)) >= -1e-9


def test_second_order_conditions_tell_a_maximum():
    program = program_of("model m; upper { var x in [-1, 1]; minimize x }; lower { var y in [-1, 1]; "
                         "minimize y^4/2 - x*y^2 }")  # fmt: skip
    ((excess, others),) = curvature(program.lower[0])
    assert worth([excess], at(program, 0.5, 0.0))[0] > 0 and max(worth(others, at(program, 0.5, 0.0))) < 0
    assert worth([excess], at(program, 0.5, np.sqrt(0.5)))[0] < 0


def test_elements_of_arrays_have_conditions_of_their_own():
    program = program_of("model m; dim n = 3; upper { var x in [-1, 1]; minimize x }; lower { var y[n] in [-1, 1]; "
                         "minimize sum((i - 1)*y[i]^2 for i in n) + x*y[0]; pair: y[1] + y[2] == 0 }")  # fmt: skip
    found = list(curvature(program.lower[0]))
    assert len(found) == 1  # an equation holds the others
    (excess, others) = found[0]
    assert float(evaluate(excess, {})) == 2 and len(others) == 2


@pytest.mark.parametrize("f", ["y^2 * sqrt(y + 1)", "log(y + 2) * x", "y^2.5"])
def test_functions_that_may_have_no_second_derivative_are_left_out(f):
    program = program_of(f"model m; upper {{ var x in [0, 1]; minimize x }}; lower {{ var y in [0, 1]; minimize {f} }}")
    assert list(curvature(program.lower[0])) == []
