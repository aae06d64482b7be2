"""Programs with complementarities: known solutions, both relaxations, branches, and classes of stationarity."""

import numpy as np
import pytest

from bileveldsl import loads
from bileveldsl.calculus.expr import Dim, Symbol, add, constant, contract, leaf, multiply, power, select, subtract
from bileveldsl.calculus.nodes import IndexMap
from bileveldsl.execute.monitor import Monitor, Stop
from bileveldsl.language.diagnostics import Span
from bileveldsl.program import Variable
from bileveldsl.reduce.kkt import kkt_form
from bileveldsl.single_level.mpcc import compile_mpcc, polish
from bileveldsl.single_level.program import Complementarity, SingleLevel
from bileveldsl.single_level.stationarity import stationarity

FORMS = ("scholtes", "fischer_burmeister")
SPAN = loads("model m; upper { var x; minimize x^2 }; lower { var y; minimize y^2 }").program().upper.span
assert isinstance(SPAN, Span)


def scalar(name, lower=-np.inf, upper=np.inf):
    return Variable(Symbol(name, "variable"), np.asarray(lower), np.asarray(upper), None, SPAN)


A, B = scalar("a"), scalar("b", 0.0)
X, Y = leaf(A.symbol), leaf(B.symbol)


def pair(objective, slack=X, variables=(A, B)) -> SingleLevel:
    """min objective subject to 0 <= slack, 0 <= b, slack b = 0."""
    return SingleLevel(variables, objective, (), (Complementarity("pair", slack, B),))


def linear(u, v):
    """u a + v b, whose multipliers at the origin are u and v."""
    return add(multiply(constant(u), X), multiply(constant(v), Y))


def at(**values):
    return {symbol: np.asarray(float(values[symbol.name])) for symbol in (A.symbol, B.symbol)}


# ---- stationarity: Scheel and Scholtes (2000), section 2, for one pair at the origin ----


@pytest.mark.parametrize(
    ("u", "v", "kind"),
    [(1, 2, "S"), (0, 0, "S"), (1, 0, "S"), (0, -1, "M"), (-2, 0, "M"), (-1, -1, "C"), (1, -1, "W"), (-1, 3, "W")],
)
def test_a_biactive_pair_has_the_class_of_its_multipliers(u, v, kind):
    found = stationarity(pair(linear(u, v)), at(a=0, b=0))
    assert found.kind == kind
    assert found.residual < 1e-9


def test_a_pair_on_one_branch_leaves_the_other_multiplier_free():
    assert stationarity(pair(linear(-5, 0)), at(a=0, b=2)).kind == "S"
    assert stationarity(pair(linear(0, -5)), at(a=3, b=0)).kind == "S"


def test_a_point_with_a_slope_along_its_branch_has_no_class():
    found = stationarity(pair(linear(1, 1)), at(a=3, b=0))
    assert found.kind == "none"
    assert found.residual == pytest.approx(1.0)


def test_a_point_that_is_not_feasible_has_no_class():
    assert stationarity(pair(linear(0, 0)), at(a=1, b=1)).kind == "none"
    assert stationarity(pair(linear(0, 0)), at(a=-1, b=0)).kind == "none"


def test_bounds_that_repeat_a_pair_do_not_weaken_the_class():
    bounded = Variable(A.symbol, np.asarray(0.0), np.asarray(np.inf), None, SPAN)
    assert stationarity(pair(linear(1, -1), variables=(bounded, B)), at(a=0, b=0)).kind == "W"


def test_constraints_take_part_with_their_signs(single):
    """min -a, a <= 1 and 0 <= a, 0 <= b, a b = 0 at (1, 0): the bound holds a."""
    bounded = Variable(A.symbol, np.asarray(-np.inf), np.asarray(1.0), None, SPAN)
    assert stationarity(pair(linear(-1, 0), variables=(bounded, B)), at(a=1, b=0)).kind == "S"
    assert stationarity(pair(linear(1, 0), variables=(bounded, B)), at(a=1, b=0)).kind == "none"


# ---- solutions ----


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("target", "best"), [((2, 1), 1.0), ((1, 3), 1.0), ((-1, -1), 2.0), ((3, -1), 1.0)]
)
def test_the_nearest_point_of_two_half_lines(form, target, best):
    distance = add(*(power(subtract(side, constant(t)), constant(2)) for side, t in zip((X, Y), target, strict=True)))
    mpcc = compile_mpcc(pair(distance), form)
    found = mpcc.polish(mpcc.follow(np.array([0.5, 0.5])).z)
    assert found.status == "optimal"
    assert found.objective == pytest.approx(best, abs=1e-8)
    assert mpcc.complementarity(found.z) < 1e-9


def test_polishing_leaves_a_branch_that_is_worse():
    """From (0, 0) on the branch a = 0 nothing is to be gained, on b = 0 something is."""
    found = polish(pair(add(power(subtract(X, constant(1)), constant(2)), power(add(Y, constant(1)), constant(2)))),
                   at(a=-1e-9, b=1e-10))  # fmt: skip
    assert found.objective == pytest.approx(1.0, abs=1e-9)


def test_polishing_gives_the_exact_point():
    program = pair(add(power(subtract(X, constant(2)), constant(2)), power(subtract(Y, constant(1)), constant(2))))
    found = polish(program, at(a=1.97, b=3e-5))
    assert found.values is not None
    assert float(found.values[A.symbol]) == pytest.approx(2.0, abs=1e-9)
    assert float(found.values[B.symbol]) == 0.0
    assert found.objective == pytest.approx(1.0, abs=1e-10)


def test_integers_are_held_at_whole_numbers():
    whole = Variable(A.symbol, np.asarray(0.0), np.asarray(9.0), None, SPAN, kind="integer")
    program = pair(power(subtract(X, constant(2.4)), constant(2)), variables=(whole, B))
    found = polish(program, at(a=1.999, b=0))
    assert found.values is not None
    assert float(found.values[A.symbol]) == 2.0


def test_slacks_of_nonlinear_functions_are_rows():
    """0 <= a^2 + b - 1, 0 <= b, complementary; the nearest point to (0.2, 0)."""
    slack = add(power(X, constant(2)), Y, constant(-1))
    objective = add(power(subtract(X, constant(0.2)), constant(2)), power(Y, constant(2)))
    mpcc = compile_mpcc(pair(objective, slack))
    assert (mpcc.column == -1).all()
    found = mpcc.polish(mpcc.follow(np.array([0.2, 0.0])).z)
    assert found.status == "optimal"
    assert mpcc.complementarity(found.z) < 1e-8
    assert found.objective <= 0.64 + 1e-8


@pytest.mark.parametrize("form", FORMS)
def test_arrays_of_pairs(form):
    """Each element on its own: the larger of the targets is met, the other is zero."""
    n = Dim("n", 5)
    slack = Variable(Symbol("a", "variable", (n,)), np.full(5, -np.inf), np.full(5, np.inf), None, SPAN)
    other = Variable(Symbol("b", "variable", (n,)), np.zeros(5), np.full(5, np.inf), None, SPAN)
    s, t = np.array([1.0, 2.0, 3.0, 0.5, 4.0]), np.array([2.0, 1.0, 0.5, 3.0, 1.0])
    parts = []
    for variable, values in ((slack, s), (other, t)):
        target = leaf(Symbol(f"{variable.name}_target", "data", (n,), values))
        gap = subtract(leaf(variable.symbol), target)
        parts.append(contract([gap, gap], variable.symbol.axes))
    program = SingleLevel((slack, other), add(*parts), (), (Complementarity("p", leaf(slack.symbol), other),))
    mpcc = compile_mpcc(program, form)
    found = mpcc.polish(mpcc.follow(np.full(10, 0.7)).z)
    assert found.objective == pytest.approx(np.minimum(s, t) @ np.minimum(s, t), abs=1e-7)
    assert stationarity(program, mpcc.nlp.unpack(found.z)).kind == "S"


def test_a_slack_that_is_one_element_of_an_array_bounds_it():
    n = Dim("n", 3)
    array = Variable(Symbol("w", "variable", (n,)), np.full(3, -np.inf), np.full(3, np.inf), None, SPAN)
    element = select(leaf(array.symbol), [(array.symbol.axes[0], IndexMap.of(1))])
    program = SingleLevel((array, B), contract([leaf(array.symbol)] * 2, array.symbol.axes), (),
                          (Complementarity("p", subtract(element, constant(2)), B),))  # fmt: skip
    mpcc = compile_mpcc(program)
    assert (mpcc.column[0], mpcc.offset[0], mpcc.nlp.lower[1]) == (1, 2.0, 2.0)
    found = mpcc.polish(np.array([1.0, 2.5, 1.0, 0.0]))
    np.testing.assert_allclose(found.z, [0, 2, 0, 0], atol=1e-7)


BARD = """model bard
upper { var x >= 0; minimize (x - 5)^2 + (2*y + 1)^2 }
lower { var y >= 0; minimize (y - 1)^2 - 1.5*x*y
  a: 3*x - y >= 3
  b: -x + 0.5*y >= -4
  c: -x - y >= -7
}
"""  # Bard (1988): the least value is 17, at x = 1, y = 0


@pytest.mark.parametrize("form", FORMS)
def test_a_bilevel_program_through_its_conditions(form):
    single = kkt_form(loads(BARD).program(), ()).program
    mpcc = compile_mpcc(single, form)
    found = mpcc.polish(mpcc.follow(mpcc.nlp.start).z)
    assert found.objective == pytest.approx(17.0, abs=1e-8)
    assert stationarity(single, mpcc.nlp.unpack(found.z)).kind == "S"


def test_what_complementarities_state_is_no_row_besides():
    single = kkt_form(loads(BARD).program(), ()).program
    labels = [block.label for block in compile_mpcc(single).nlp.blocks]
    assert {"a", "b", "c"}.isdisjoint(labels)
    assert "a.slack" in labels


def test_conditions_that_no_point_satisfies_are_infeasible():
    text = BARD.replace("minimize (x - 5)^2", "z: x + y >= 8; minimize (x - 5)^2")
    single = kkt_form(loads(text).program(), ()).program
    mpcc = compile_mpcc(single)
    assert mpcc.follow(mpcc.nlp.start).status == "infeasible"


def test_a_monitor_ends_the_relaxations():
    mpcc = compile_mpcc(pair(linear(1, 1)))
    with pytest.raises(Stop):
        mpcc.follow(np.ones(2), Monitor(time_limit=1e-9))
