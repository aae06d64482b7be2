"""Which functions the rules of composition show convex, and that they show nothing false."""

import random

import pytest
from check_expressions import expression, number
from check_statements import REALS, X, Y, accepts, claim, statement
from flint import arb, fmpq

from bileveldsl.certify.check.composition import composition_of
from bileveldsl.certify.check.enclosures import ball
from bileveldsl.certify.check.goals import Context
from bileveldsl.certify.check.ranges import INF, Range
from bileveldsl.certify.check.reading import Problem
from bileveldsl.certify.check.terms import Rejected, Table

SQUARE = ["^", "y", 2]
AFFINE = ["+", "y", ["*", -2, "w"], ["*", "x", "x"]]

FORM = ["+", SQUARE, ["*", 2, "y", "w"], ["*", 2, ["^", "w", 2]]]

CONVEX = [
    (SQUARE, {}, []),
    (["*", ["exp", "x"], SQUARE], {}, []),
    (["*", "x", "x", SQUARE], {}, []),
    (["*", "x", SQUARE], {"x": (0, "inf")}, []),
    (["*", -1, "x", ["log", "y"]], {"x": (0, "inf"), "y": (0, "inf")}, [("y", "> 0")]),
    (["^", AFFINE, 4], {}, []),
    (["^", "y", 3], {"y": (0, "inf")}, []),
    (["*", -1, ["^", "y", 3]], {"y": ("-inf", 0)}, []),
    (["^", "y", "3/2"], {"y": (0, "inf")}, []),
    (["*", -1, ["^", "y", "1/2"]], {"y": (0, "inf")}, [("y", ">= 0")]),
    (["^", "y", -1], {"y": (0, "inf")}, [("y", "> 0")]),
    (["^", "y", -2], {"y": ("-inf", 0)}, [("y", "!= 0")]),
    (["*", -1, ["^", "y", -1]], {"y": ("-inf", 0)}, [("y", "!= 0")]),
    (["max", "y", SQUARE, ["*", -1, "w"]], {}, []),
    (["abs", AFFINE], {}, []),
    (["abs", SQUARE], {}, []),
    (["exp", ["abs", "y"]], {}, []),
    (["huber", AFFINE, 1], {}, []),
    (["huber", SQUARE, ["exp", "x"]], {}, []),
    (["softplus", SQUARE], {}, []),
    (["log", ["+", ["exp", "y"], ["exp", ["+", "w", "x"]], 1]], {}, []),
    (["^", ["+", SQUARE, ["^", AFFINE, 2], 1], "1/2"], {}, []),
    (["^", FORM, "1/2"], {}, [(FORM, ">= 0")]),
    (["^", ["+", SQUARE, ["^", ["abs", "w"], 2]], "3/4"], {}, []),
    (["*", SQUARE, ["^", "w", -1]], {"w": (0, "inf")}, [("w", "> 0")]),
    (["*", ["^", AFFINE, 2], ["^", ["+", 1, ["^", "w", "1/2"]], -1]], {"w": (0, "inf")}, [("w", ">= 0")]),
    (["*", ["^", "y", 3], ["^", "w", -2]], {"y": (0, "inf"), "w": (0, "inf")}, [("w", "> 0")]),
    (["*", -1, ["^", "y", "1/3"], ["^", "w", "2/3"]], {"y": (0, "inf"), "w": (0, "inf")}, []),
    (["*", ["^", "y", -1], ["^", "w", -1]], {"y": (0, "inf"), "w": (0, "inf")}, [("y", "> 0"), ("w", "> 0")]),
    (["*", ["exp", "y"], ["exp", "w"]], {}, []),
    (["relative_entropy", "y", "w"], {"y": (0, "inf"), "w": (0, "inf")}, [("w", "> 0")]),
    (["xlogx", "y"], {"y": (0, "inf")}, []),
    (["pow", ["exp", "x"], "y"], {}, []),
    (["sin", "y"], {"y": ("-3", 0)}, []),
    (["cos", "y"], {"y": (2, 4)}, []),
    (["*", -1, ["tanh", "y"]], {"y": (0, "inf")}, []),
    (["sigmoid", "y"], {"y": ("-inf", 0)}, []),
    (["tan", "y"], {"y": (0, 1)}, []),
    (["acos", "y"], {"y": (-1, 0)}, [("y", "in [-1, 1]")]),
    (["cosh", SQUARE], {}, []),
    (["+", SQUARE, ["*", "y", "w"], ["^", "w", 2]], {}, []),
    (["+", ["^", ["+", "y", "w"], 2], ["*", -2, "y", "w"]], {}, []),
    (["*", ["+", "y", ["*", -1, "w"]], ["+", "y", ["*", -1, "w"]]], {}, []),
    (["+", ["^", "y", 4], ["*", -1, ["^", "y", 3]], SQUARE], {}, []),
    (["+", ["^", "y", 4], ["*", -1, ["^", "y", 3]], SQUARE, ["exp", "w"], ["^", "w", 4], ["*", -1, ["^", "w", 3]],
      ["^", "w", 2]], {}, []),
    (["+", SQUARE, ["sin", "y"]], {}, []),
    (["log", ["+", 1, SQUARE]], {"y": ("-9/10", "9/10")}, []),
    (["*", ["^", "x", 2], "y", ["log", "y"]], {}, [("y", "> 0")]),
    (["+", ["*", ["exp", "x"], SQUARE], ["*", "-1/2", ["exp", "x"], SQUARE], ["abs", "w"]], {}, []),
]  # fmt: skip

NOT_CONVEX = [
    (["*", "x", SQUARE], {}, []),
    (["*", "x", SQUARE], {"x": ("-1/1000000000000", 1)}, []),
    (["+", SQUARE, ["*", "2/1", "y", "w"], ["*", "99999999999/100000000000", ["^", "w", 2]]], {}, []),
    (["^", "y", 3], {}, []),
    (["^", "y", 3], {"y": ("-1/100000000000", "inf")}, []),
    (["^", "y", "1/2"], {"y": (0, "inf")}, []),
    (["^", "y", -1], {}, [("y", "!= 0")]),
    (["^", "y", -2], {}, [("y", "!= 0")]),
    (["^", "y", -2], {}, []),
    (["^", "y", -1], {"y": (0, "inf")}, []),
    (["log", "y"], {"y": (0, "inf")}, [("y", "> 0")]),
    (["*", -1, ["log", "y"]], {"y": (0, "inf")}, []),
    (["*", -1, ["log", "y"]], {}, []),
    (["*", -1, ["log", ["+", SQUARE, -1]]], {}, [(["+", SQUARE, -1], "> 0")]),
    (SQUARE, {}, [(["+", SQUARE, -1], "> 0")]),
    (SQUARE, {}, [("y", "!= 0")]),
    (["*", "y", "w"], {}, []),
    (["*", "y", "w"], {"y": (0, "inf"), "w": (0, "inf")}, []),
    (["*", ["^", "y", "1/2"], ["^", "w", "2/3"]], {"y": (0, "inf"), "w": (0, "inf")}, []),
    (["*", -1, ["^", "y", "2/3"], ["^", "w", "2/3"]], {"y": (0, "inf"), "w": (0, "inf")}, []),
    (["*", SQUARE, ["^", "w", -2]], {"w": (0, "inf")}, [("w", "> 0")]),
    (["*", SQUARE, ["^", "w", -1]], {}, [("w", "!= 0")]),
    (["*", SQUARE, ["^", ["^", "w", 2], -1]], {"w": (1, "inf")}, []),
    (["min", "y", 0], {}, []),
    (["huber", "y", "w"], {"w": (0, "inf")}, []),
    (["huber", "y", "x"], {}, []),
    (["huber", ["+", SQUARE, -1], 1], {}, []),
    (["abs", ["+", SQUARE, -1]], {}, []),
    (["exp", ["log", "y"]], {"y": (1, 2)}, []) if False else (["exp", ["^", "y", "1/3"]], {"y": (0, 1)}, []),
    (["^", ["+", SQUARE, -1], 2], {}, []),
    (["^", ["+", SQUARE, ["*", -1, ["^", "w", 2]]], "1/2"], {}, [(["+", SQUARE, ["*", -1, ["^", "w", 2]]], ">= 0")]),
    (["^", ["+", SQUARE, ["*", 3, "y", "w"], ["^", "w", 2], 9], "1/2"], {"y": (-1, 1), "w": (-1, 1)}, []),
    (["^", ["+", SQUARE, ["^", "w", 2]], "1/4"], {}, []),
    (["log", ["+", ["exp", "y"], ["*", -1, ["exp", "w"]], 10]], {"y": (0, 1), "w": (0, 1)}, []),
    (["log", ["+", ["exp", ["*", -1, SQUARE]], 1]], {}, []),
    (["sin", "y"], {"y": (-3, "1/100000")}, []),
    (["tanh", "y"], {}, []),
    (["softplus", ["*", -1, SQUARE]], {}, []),
    (["relative_entropy", SQUARE, "w"], {"w": (1, "inf")}, []) if False else (["relative_entropy", "y", ["^", "w", 2]],
      {"y": (0, "inf"), "w": (1, "inf")}, []),
    (["pow", "y", "x"], {"y": (1, 2), "x": (0, 2)}, []),
    (["pow", "x", "y"], {"x": (-1, 2)}, []),
    (["step", "y"], {}, []),
    (["sign", "y"], {}, []),
    (["tan", "y"], {"y": (0, 2)}, []),
    (["+", ["*", ["exp", "x"], SQUARE], ["*", -1, SQUARE]], {}, []),
    (["+", ["^", "y", 4], ["*", -2, ["^", "y", 3]], SQUARE], {}, []),
    (["log", ["+", 1, SQUARE]], {}, []),
]  # fmt: skip


def _stated(function, bounds, conditions):
    boxes = {name: (level, *bounds.get(name, REALS)) for name, level in (("x", X), ("y", Y), ("w", Y))}
    return statement(boxes, {"lower.objective": function}, (), conditions)


@pytest.mark.parametrize(("function", "bounds", "conditions"), CONVEX, ids=lambda v: str(v)[:60])
def test_convex(function, bounds, conditions):
    assert accepts(_stated(function, bounds, conditions), claim())


@pytest.mark.parametrize(("function", "bounds", "conditions"), NOT_CONVEX, ids=lambda v: str(v)[:60])
def test_not_convex(function, bounds, conditions):
    assert not accepts(_stated(function, bounds, conditions), claim())


def _random_box(source):
    a, b = sorted((number(source), number(source)))
    roll = source.random()
    lo, hi = (-INF if roll < 0.2 else a), (INF if 0.15 < roll < 0.4 else b + (a == b))
    return Range(lo, hi)


def _inside(source, r):
    lo = r.lo if r.lo != -INF else (fmpq(-4) if r.hi == INF else r.hi - 8)
    hi = r.hi if r.hi != INF else lo + 8
    return lo + (hi - lo) * fmpq(source.choice((0, 64, 1, source.randint(0, 64))), 64)


@pytest.mark.parametrize("seed", range(80))
def test_nothing_false_is_shown_of_random_functions(seed):
    """Every accepted function is tried at random triples of points, all of them nodes of the same expression."""
    source = random.Random(seed)
    table = Table()
    expression(table, source, source.randint(2, 9), 3)
    box = {k: _random_box(source) for k in range(3)}
    problem = Problem(table, (), {}, (), ())
    composition = composition_of(Context(problem, (0, 1), box), (0, 1))
    nodes = []
    for node in range(len(table)):
        try:
            found = composition(node)
        except Rejected:
            continue
        if found.known and composition.ranges(node).defined and composition.moves(node):
            nodes.append((node, found))
    for _ in range(40 if nodes else 0):
        first = {k: _inside(source, r) for k, r in box.items()}
        second = {**{k: _inside(source, r) for k, r in box.items()}, 2: first[2]}
        middle = {k: (first[k] + second[k]) / 2 for k in first}
        a, m, b = (ball(table, [node for node, _ in nodes], p) for p in (first, middle, second))
        for k, (node, found) in enumerate(nodes):
            gap = (a[k] + b[k]) / 2 - m[k]
            if gap.is_finite():
                assert not (found.convex and gap < 0), (table.operation[node], first, second)
                assert not (found.concave and gap > 0), (table.operation[node], first, second)


def test_definedness_is_asked_of_every_part():
    assert not accepts(_stated(["+", SQUARE, ["*", 0, ["log", "x"]]], {}, []), claim())
    assert accepts(_stated(["+", SQUARE, ["*", 0, ["log", "x"]]], {}, [("x", "> 0")]), claim())


def test_conditions_do_not_show_themselves():
    """c > 0 on a set that is not convex, c being used in a second condition and the other way round."""
    c = ["+", SQUARE, -1]
    d = ["^", c, "1/2"]
    assert not accepts(_stated(SQUARE, {}, [(c, ">= 0"), (d, ">= 0")]), claim())
    assert not accepts(_stated(["+", SQUARE, d], {}, [(d, "> 0")]), claim())


def test_conditions_of_other_functions_do_not_matter():
    stated = statement(
        {"y": (Y, *REALS)},
        {"lower.objective": SQUARE},
        [("cut", Y, ["*", -1, ["log", ["+", SQUARE, -1]]], "<= 0")],
        [(["+", SQUARE, -1], "> 0")],
    )
    assert accepts(stated, claim())
    assert not accepts(stated, claim("cut"))
    assert not accepts(stated, claim(y="all"))


def test_long_sums_and_deep_nests():
    boxes = {f"y{k}": (Y, *REALS) for k in range(60)}
    terms = [["^", ["+", f"y{k}", ["*", -1, f"y{k + 1}"]], 4] for k in range(59)]
    assert accepts(statement(boxes, {"lower.objective": ["+", *terms]}), claim())
    nest = "y0"
    for _ in range(300):
        nest = ["softplus", nest]
    assert accepts(statement({"y0": (Y, *REALS)}, {"lower.objective": nest}), claim())


def test_a_ball_is_compared_with_care():
    assert not bool(arb(1, 1) < 1)
