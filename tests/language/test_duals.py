"""`label.dual` in the upper level: what it stands for, where it may stand, and its sign."""

import numpy as np
import pytest

import bileveldsl as blv
from bileveldsl import loads
from bileveldsl.language.diagnostics import BlvError

BASE = """model m
set I = ["a", "b", "c"]
param w[I] = [1, 2, 3]
upper {{ var x in [0, 9] start 1; minimize {} }}
lower {{ var y[I] in [0, 9]; var z; minimize sumsq(y - 5) + (z - 4)^2; one: z <= x; all[i in I]: y[i] <= w[i]; {} }}
"""


def program(upper, lower="", text=BASE):
    return loads(text.format(upper, lower)).program()


def place(diagnostic):
    """The text that a diagnostic points at."""
    assert diagnostic.span is not None
    return diagnostic.span.text


def used(upper, lower=""):
    """The multipliers that the upper level uses: names and shapes."""
    return [(symbol.name, symbol.shape) for symbol in program(upper, lower).priced]


# ---- what it stands for ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("upper", "found"),
    [
        ("x", []),
        ("x + one.dual", [("one.dual", ())]),
        ("x * all[\"b\"].dual", [("all.dual", (3,))]),
        ("x + sum(all.dual)", [("all.dual", (3,))]),
        ("x + sum(w[i] * all[i].dual for i in I)", [("all.dual", (3,))]),
        ("x + dot(w, all.dual) + one.dual^2", [("one.dual", ()), ("all.dual", (3,))]),
        ("x; pay: one.dual + x >= -3", [("one.dual", ())]),
        ("x; pay[i in I]: all[i].dual + x >= -3", [("all.dual", (3,))]),
    ],
)  # fmt: skip
def test_the_multiplier_of_a_constraint_has_the_labels_of_its_family(upper, found):
    assert used(upper) == found


def test_every_constraint_of_a_follower_has_one_and_those_of_the_upper_level_none():
    found = program("x; c: x <= 3", "last: sum(y) + z <= 30")
    assert [c.dual for c in found.upper.constraints] == [None]
    duals = {c.label: c.dual for c in found.lower[0].constraints}
    assert {label: dual.shape for label, dual in duals.items()} == {"one": (), "all": (3,), "last": ()}
    assert all(dual.name == f"{label}.dual" and dual.role == "variable" for label, dual in duals.items())
    assert found.lower[0].duals == tuple(duals.values()) and found.priced == ()


def test_a_bound_that_moves_with_the_leader_has_one_too():
    found = loads("model m; upper { var x in [0, 3]; minimize x }; lower { var y in [0, x]; minimize (y - 3)^2 }")
    (constraint,) = found.program().lower[0].constraints
    assert constraint.label == "y.upper" and constraint.dual is not None


def test_a_family_with_a_condition_has_multipliers_of_its_members_only():
    found = program("x + sum(some.dual)", 'some[i in I if i != "a"]: y[i] <= x')
    (dual,) = found.priced
    assert dual.shape == (2,)
    one = program('x + some["c"].dual', 'some[i in I if i != "a"]: y[i] <= x')
    assert one.priced[0].shape == (2,)
    with pytest.raises(BlvError) as caught:
        program('x + some["a"].dual', 'some[i in I if i != "a"]: y[i] <= x')
    (diagnostic,) = caught.value.diagnostics
    assert '"a"' in place(diagnostic) and diagnostic.code == "E306"


def test_a_definition_may_use_it():
    text = BASE.replace("upper", "let price = one.dual + sum(all.dual)\nupper", 1)
    found = program("x + price", text=text)
    assert {symbol.name for symbol in found.priced} == {"one.dual", "all.dual"}
    direct = program("x + (one.dual + sum(all.dual))")
    values = {"x": 2.0, "one.dual": -3.0, "all.dual": np.array([1.0, 2.0, 4.0])}

    def value(program):
        from bileveldsl.calculus.evaluate import evaluate
        from bileveldsl.calculus.expr import symbols_of

        known = {s: np.array(values[s.name]) for s in symbols_of(program.upper.objective)}
        return float(evaluate(program.upper.objective, known))

    assert value(found) == value(direct) == 2 - 3 + 7


def test_an_element_is_that_of_the_index():
    from bileveldsl.calculus.evaluate import evaluate

    found = program('x - x + sum(w[i]*all[i].dual for i in I if i != "b") + 10*all["b"].dual')
    (dual,) = found.priced
    (x,) = found.upper.symbols
    value = evaluate(found.upper.objective, {dual: np.array([1.0, 100.0, 7.0]), x: np.array(5.0)})
    assert float(value) == 1 * 1 + 3 * 7 + 10 * 100


# ---- where it may stand ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("upper", "lower", "pointed", "words"),
    [
        ("x + budget.dual; budget: x <= 3", "", "budget", "a constraint of the upper level"),
        ("x + w.dual", "", "w", "has no dual here"),
        ("x + x.dual", "", "x", "has no dual here"),
        ("x + z.dual", "", "z", "has no dual here"),
        ("x + I.dual", "", "I", "has no dual here"),
        ("x + (x + z).dual", "", "(x + z).dual", "only a constraint has a dual"),
        ("x + sum(y).dual", "", "sum(y).dual", "only a constraint has a dual"),
        ("x", "bad: z <= one.dual", "one", "known to the upper level only"),
        ("x", "bad: z + 2*one.dual <= 3", "one", "known to the upper level only"),
    ],
)
def test_where_there_is_no_dual(upper, lower, pointed, words):
    with pytest.raises(BlvError) as caught:
        program(upper, lower)
    found = [d for d in caught.value.diagnostics if d.code == "E328"]
    assert len(found) == len(caught.value.diagnostics) == 1
    assert words in found[0].message and place(found[0]) == pointed and found[0].help


@pytest.mark.parametrize(
    "text",
    [
        BASE.replace("(z - 4)^2", "(z - 4)^2 + one.dual"),
        BASE.replace("upper", "let price = one.dual\nupper", 1).replace("(z - 4)^2", "(z - 4)^2 + price"),
    ],
)
def test_the_follower_may_not_use_its_own_price_nor_a_definition_with_it(text):
    with pytest.raises(BlvError) as caught:
        program("x", text=text)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, place(diagnostic)) == ("E328", "one")


def test_a_parameter_is_no_price():
    with pytest.raises(BlvError) as caught:
        program("x + k", text=BASE.replace("upper", "param k = one.dual\nupper", 1))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E328" and place(diagnostic) == "one"


def test_a_label_that_is_none_is_suggested():
    with pytest.raises(BlvError) as caught:
        program("x + onne.dual")
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, place(diagnostic)) == ("E201", "onne") and "one" in diagnostic.help


def test_two_followers_cannot_see_each_others_prices():
    text = "model m; upper { var x; minimize x }; lower a { var y; minimize y^2; c: y >= x }; "
    with pytest.raises(BlvError) as caught:
        loads(text + "lower b { var z; minimize z^2 - z*c.dual }").program()
    assert [d.code for d in caught.value.diagnostics] == ["E328"]


# ---- other ways to write it -----------------------------------------------------------------


def test_text_to_text_keeps_it():
    text = BASE.format('x + one.dual + sum(w[i]*all[i].dual for i in I) + all["a"].dual', "")
    model = loads(text)
    again = loads(model.to_blv())
    assert again.to_blv() == model.to_blv()
    assert "one.dual" in again.to_blv() and "all[i].dual" in again.to_blv()
    assert [s.name for s in again.program().priced] == [s.name for s in model.program().priced]


def test_in_python():
    m = blv.Model("priced")
    x = m.upper.var("x", between=(0, 9))
    follower = m.follower("market")
    y = follower.var("y")
    follower.minimize((y - 3) ** 2)
    follower.subject_to(cap=y <= x)
    m.upper.minimize((m["cap"].dual + 1) ** 2 + 0 * x)
    assert [symbol.name for symbol in m.program().priced] == ["cap.dual"]
    assert "cap.dual" in m.to_blv()
    assert [symbol.name for symbol in loads(m.to_blv()).program().priced] == ["cap.dual"]
