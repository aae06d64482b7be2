"""A reduction changes how a program is written and never what its answers are."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bileveldsl import loads
from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.reduce import REDUCTIONS, MaximizationToMinimization, Point, reduce_program
from bileveldsl.solution import Status

REDUCTION = MaximizationToMinimization()
MODEL = """model m
param k[2] = [1, -3]
upper {{ var x in [-4, 4] start 1; {} sin(x)*y - x^2/9 + k[0]; cap: x + y <= 3; floor: x >= -3 }}
lower {{ var y; {} exp(y/9) - x*y + k[1]*y^2; share: x*y <= 7 }}
"""
finite = st.floats(-4, 4)


def program(upper, lower):
    return loads(MODEL.format(upper, lower).replace("k[0]", "sum(k)").replace("k[1]", "sum(k)")).program()


@pytest.mark.parametrize("upper", ["minimize", "maximize"])
@pytest.mark.parametrize("lower", ["minimize", "maximize"])
@settings(max_examples=20, deadline=None)
@given(x=finite, y=finite)
def test_every_level_minimizes_and_the_turned_objectives_are_the_negatives(upper, lower, x, y):
    before = program(upper, lower)
    reduced = reduce_program(before, REDUCTIONS)
    after = reduced.program
    values = {variable.symbol: np.array(value) for variable, value in zip(before.variables, (x, y), strict=True)}
    for old, new in zip(before.levels, after.levels, strict=True):
        assert new.sense == "minimize"
        sign = 1 if old.sense == "minimize" else -1
        assert evaluate(new.objective, values) == pytest.approx(sign * evaluate(old.objective, values), rel=1e-15)
        assert (new.variables, new.constraints, new.claims) == (old.variables, old.constraints, old.claims)
    assert reduced.path == (() if upper == lower == "minimize" else ("maximization to minimization",))


def test_a_program_that_minimizes_is_left_alone():
    before = program("minimize", "minimize")
    assert not REDUCTION.accepts(before)
    assert reduce_program(before, REDUCTIONS).program is before


@pytest.mark.parametrize(
    ("upper", "lower", "turned"),
    [
        ("minimize", "minimize", ()), ("maximize", "minimize", ("cap", "floor")), ("minimize", "maximize", ("share",)),
        ("maximize", "maximize", ("cap", "floor", "share")),
    ],
)  # fmt: skip
def test_multipliers_of_turned_levels_change_sign_and_values_stay(upper, lower, turned):
    reduced = reduce_program(program(upper, lower), REDUCTIONS)
    values = {"x": np.array(1.5), "y": np.array(-0.25)}
    duals = {"cap": np.array(2.0), "floor": np.array([0.5, 0.0]), "share": np.array(-1.0)}
    point = reduced.invert(Point(values, duals))
    assert point.values == values
    assert set(point.duals) == set(duals)
    for label, dual in duals.items():
        np.testing.assert_array_equal(point.duals[label], -dual if label in turned else dual)


def test_inverting_twice_is_the_identity():
    _, inverse = REDUCTION.apply(program("maximize", "maximize"))
    point = Point({"x": np.array(1.0)}, {"cap": np.array(2.0), "share": np.array([1.0, -3.0])})
    again = REDUCTION.invert(REDUCTION.invert(point, inverse), inverse)
    assert again.values == point.values
    for label, dual in point.duals.items():
        np.testing.assert_array_equal(again.duals[label], dual)


@dataclass(frozen=True)
class Renamed:
    """Appends a letter to the program's name, and to the names of the values on the way back."""

    name: str
    exact: bool = True

    def accepts(self, program):
        return len(program.name) < 3

    def apply(self, program):
        return replace(program, name=program.name + self.name), self.name

    def invert(self, point, inverse):
        return Point({name + inverse: value for name, value in point.values.items()})

    def carry(self, point, inverse):
        return Point({name.removesuffix(inverse): value for name, value in point.values.items()})

    def facts(self, program, facts):
        return (*facts, f"{program.name} was seen")


def test_reductions_apply_in_order_and_are_inverted_in_reverse():
    before = program("minimize", "minimize")
    found = reduce_program(before, (Renamed("a"), Renamed("b"), Renamed("c")), ("known",))
    assert (found.program.name, found.path) == ("mab", ("a", "b"))  # the third did not accept
    assert found.facts == ("known", "m was seen", "ma was seen")
    assert found.invert(Point({"x": np.array(1.0)})).values == {"xba": 1.0}
    assert found.carry(Point({"xba": np.array(1.0)})).values == {"x": 1.0}


TOY = "model toy; upper {{ var x in [0, 10] start 1; {} }}; lower {{ var y; {} }}"
UPPER = {"minimize": "minimize (x - 3)^2 + (y - 1)^2", "maximize": "maximize -(x - 3)^2 - (y - 1)^2"}
LOWER = {"minimize": "minimize 3*(y - x)^2 + 5", "maximize": "maximize -3*(y - x)^2 - 5"}


@pytest.mark.parametrize("upper", UPPER)
@pytest.mark.parametrize("lower", LOWER)
def test_the_mirrored_model_has_the_same_answer_and_mirrored_objectives(upper, lower):
    solution = loads(TOY.format(UPPER[upper], LOWER[lower])).solve("implicit")
    assert solution.status is Status.LOCALLY_OPTIMAL
    assert (solution["x"], solution["y"]) == pytest.approx((2, 2), abs=1e-7)
    assert (solution.upper.sense, solution.lower[0].sense) == (upper, lower)
    assert solution.upper.objective == pytest.approx(2 if upper == "minimize" else -2, abs=1e-9)
    assert solution.lower[0].objective == pytest.approx(5 if lower == "minimize" else -5, abs=1e-9)
    expected = () if upper == lower == "minimize" else ("maximization to minimization",)
    assert solution.path == ("Program", *expected, "implicit")
    (fact,) = [f for f in solution.certificates if f["fact"] == "strongly_convex"]
    assert (fact["verdict"], fact["constant"]) == ("proved", 6.0)
