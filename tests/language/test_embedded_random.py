"""Whatever is said in Python, its print parses to its tree."""

from __future__ import annotations

import numpy as np
from embedded_models import reparsed
from hypothesis import given, settings
from hypothesis import strategies as st

import bileveldsl as blv

numbers = st.one_of(
    st.integers(-(10**20), 10**20), st.floats(allow_nan=False), st.fractions(max_denominator=1000),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-99, max_value=99),
)  # fmt: skip
BINARY = [lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / b, lambda a, b: a @ b,
          lambda a, b: a**b]  # fmt: skip
COMPARE = [lambda a, b: a <= b, lambda a, b: a >= b, lambda a, b: a == b]
CONDITIONS = [*COMPARE, lambda a, b: a != b, lambda a, b: a < b, lambda a, b: a > b]
ELEMENTWISE = [blv.exp, blv.tanh, blv.softplus, blv.abs]
REDUCING = [blv.sum, blv.logsumexp, blv.norm1]


@st.composite
def expressions(draw, names, axes, sets, depth=4):
    """An expression of one of the handles, through every operation of the language."""
    branch = draw(st.integers(0, 9)) if depth else 0
    below = expressions(names, axes, sets, depth - 1)
    if branch == 0:
        return draw(st.sampled_from(names))
    if branch <= 4:
        left, right = draw(below), draw(st.one_of(below, numbers))
        if draw(st.booleans()):
            left, right = right, left
        return draw(st.sampled_from(BINARY))(left, right)
    if branch == 5:
        return -draw(below)
    if branch == 6:
        item = st.one_of(
            st.integers(0, 9), below, st.text("ab\"' é\\", max_size=3),
            st.builds(slice, st.none() | st.integers(0, 9), st.none() | below),
        )  # fmt: skip
        items = draw(st.lists(item, min_size=1, max_size=3))
        return draw(below)[tuple(items)]
    if branch == 7:
        return draw(below).T
    if branch == 8:
        if draw(st.booleans()):
            return draw(st.sampled_from(ELEMENTWISE))(draw(below))
        return draw(st.sampled_from(REDUCING))(draw(below), draw(st.sampled_from(axes)))
    i, j = blv.indices("i j")
    over = draw(st.sampled_from([{i: axes[0]}, {(i, j): sets[0]}, {i: range(3), (j,): axes[1]}]))
    body = draw(expressions([*names, i, j], axes, sets, depth - 1))
    return blv.sum(body, over=over, where=draw(st.none() | conditions([i, j], sets)))


@st.composite
def conditions(draw, indices, sets, depth=2):
    branch = draw(st.integers(0, 3)) if depth else 0
    below = conditions(indices, sets, depth - 1)
    if branch == 0:
        right = draw(st.one_of(st.integers(-3, 3), st.sampled_from(indices), st.just("a")))
        return draw(st.sampled_from(CONDITIONS))(draw(st.sampled_from(indices)), right)
    if branch == 1:
        return sets[0].contains(*indices)
    if branch == 2:
        return ~draw(below)
    first, second = draw(below), draw(below)
    return first & second if draw(st.booleans()) else first | second


@st.composite
def models(draw):
    m = blv.Model("any", doc=draw(st.sampled_from(["", "what it is\nand why"])))
    axes = list(m.dim("n", "k"))
    sets = [m.set("ARCS", draw(st.lists(st.tuples(st.text('ab"é', max_size=2), st.integers(-5, 5)), max_size=3)))]
    shape = draw(st.sampled_from([(3,), (20,), (21,)]))
    values = draw(st.lists(st.floats(-1e300, 1e300), min_size=shape[0], max_size=shape[0]))
    handles = [
        m.param("a", *axes),
        m.param("b", axes[0], value=np.array(values)),
        m.upper.var("x", *axes, between=(draw(numbers), draw(numbers)), doc=draw(st.sampled_from(["", "a doc"]))),
        m.lower.var("y", sets[0], binary=draw(st.booleans()), start=draw(st.none() | numbers)),
        m.follower("second").var("z", 4, at_least=draw(st.none() | numbers), integer=draw(st.booleans())),
    ]
    some = expressions(handles, axes, sets)
    m.upper.minimize(draw(some))
    m.lower.maximize(draw(some))
    m.follower("second").minimize(draw(some))
    relation = draw(st.sampled_from(COMPARE))(draw(some), draw(some))
    i, j = blv.indices("i j")
    m.lower.subject_to(relation, blv.between(draw(numbers), draw(some), draw(some)))
    where = draw(st.none() | conditions([i, j], sets))
    m.lower.subject_to(cap=blv.forall({(i, j): sets[0]}, relation, where))
    m.upper.let("part", axes[0], value=draw(some))
    m.options(tol=draw(st.floats(allow_nan=False)), backend=draw(st.text('ab"# ', max_size=5)))
    return m


@settings(max_examples=30, deadline=None)
@given(models())
def test_the_print_of_any_model_parses_to_its_tree(model):
    assert reparsed(model) == model.ast()
