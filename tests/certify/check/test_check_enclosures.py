import random
from fractions import Fraction

import pytest
from check_expressions import ROUGH, SMOOTH, expression, number
from flint import arb, ctx, fmpq

from bileveldsl.certify.check import balls
from bileveldsl.certify.check.enclosures import Enclosure, ball, enclose, exact
from bileveldsl.certify.check.ranges import INF, Range, at_most, lower, upper
from bileveldsl.certify.check.terms import Rejected, Table


def _end_holds(range_, value):
    """Whether a ball surely lies outside a range is what would be wrong."""
    below = not at_most(range_.lo, upper(value))
    above = not at_most(lower(value), range_.hi)
    return not below and not above


def _random_range(source):
    a, b = sorted((number(source), number(source)))
    roll = source.random()
    lo = -INF if roll < 0.15 else a
    hi = INF if 0.1 < roll < 0.3 else b
    return Range(lo, hi)


def _inside(source, range_):
    lo = range_.lo if range_.lo != -INF else (fmpq(-50) if range_.hi == INF else range_.hi - 50)
    hi = range_.hi if range_.hi != INF else lo + 50
    return source.choice((lo, hi, lo + (hi - lo) * fmpq(source.randint(0, 16), 16)))


@pytest.mark.parametrize("seed", range(80))
def test_values_lie_in_the_ranges_of_every_node(seed):
    source = random.Random(seed)
    table = Table()
    root = expression(table, source, 12, 3)
    box = {k: _random_range(source) for k in range(3)}
    enclosure = Enclosure(table, [root])
    ranges = enclosure.all(box)
    for _ in range(12):
        point = {k: _inside(source, r) for k, r in box.items()}
        values = ball(table, enclosure.nodes, point)
        for node, range_, value in zip(enclosure.nodes, ranges, values, strict=True):
            what = (table.operation[node], range_, value, point)
            if value.is_finite():
                assert _end_holds(range_, value), what
                assert not (range_.apart and value.is_zero()), what
            try:
                rational = exact(table, node, point)
            except Rejected:
                continue
            if rational is not None:
                assert range_.contains(rational), what
                assert not value.is_finite() or value.overlaps(arb(rational)), what


@pytest.mark.parametrize("name", SMOOTH + ROUGH)
def test_a_function_over_tiny_boxes_is_tight(name):
    table = Table()
    node = table.call(name, [table.var(0)])
    for at in (fmpq(1, 3), fmpq(3, 4)):
        [r] = enclose(table, [node], {0: Range(at, at + fmpq(1, 2**60))})
        assert r.finite and r.hi - r.lo < fmpq(1, 2**50)


@pytest.mark.parametrize("name", ["log", "xlogx", "asin", "acos", "tan"])
def test_holes_of_the_domain_are_flagged(name):
    table = Table()
    node = table.call(name, [table.var(0)])
    assert not enclose(table, [table.mul([table.num(2), node])], {0: Range(fmpq(-2), fmpq(2))})[0].defined


@pytest.mark.parametrize(
    ("operation", "exponent", "lo", "hi", "expected"),
    [
        ("^", -1, 0, 1, None),
        ("^", -2, -1, 1, None),
        ("^", fmpq(1, 2), -1, 4, None),
        ("^", fmpq(1, 2), 0, 4, (0, 2)),
        ("^", fmpq(-1, 2), 0, 4, None),
        ("^", 3, -2, 3, (-8, 27)),
        ("^", 2, -2, 3, (0, 9)),
        ("^", -1, -4, -2, (fmpq(-1, 2), fmpq(-1, 4))),
        ("^", -2, -4, -2, (fmpq(1, 16), fmpq(1, 4))),
    ],
)
def test_powers(operation, exponent, lo, hi, expected):
    table = Table()
    [r] = enclose(table, [table.power(table.var(0), exponent)], {0: Range(fmpq(lo), fmpq(hi))})
    assert r.defined == (expected is not None)
    if expected:
        assert (r.lo, r.hi) == expected


def test_a_base_apart_from_zero_has_an_inverse():
    table = Table()
    inverse = table.power(table.var(0), -1)
    [r] = enclose(table, [inverse], {0: Range(fmpq(0), INF, True)})
    assert r.defined and (r.lo, r.hi) == (0, INF) and r.positive
    [r] = enclose(table, [table.power(inverse, -2)], {0: Range(fmpq(-1), INF, True)})
    assert r.defined and r.positive


def test_zero_times_infinity():
    table = Table()
    x, y = table.var(0), table.var(1)
    product = table.node("*", (x, y))
    assert enclose(table, [product], {0: Range(fmpq(0), fmpq(0))})[0].hi == 0
    [r] = enclose(table, [product], {0: Range(fmpq(0), fmpq(1)), 1: Range(fmpq(0), INF)})
    assert (r.lo, r.hi) == (0, INF)
    [r] = enclose(table, [product], {0: Range(fmpq(0), fmpq(1))})
    assert (r.lo, r.hi) == (-INF, INF)


def test_short_rationals_are_not_rounded():
    table = Table()
    y = table.var(0)
    tenth = table.num(fmpq(1, 10))
    node = table.node("+", tuple([tenth] * 3 + [table.mul([tenth, y])]))
    [r] = enclose(table, [node], {0: Range(fmpq(-3), fmpq(1, 3))})
    assert (r.lo, r.hi) == (0, fmpq(1, 3))


def test_long_numbers_are_rounded_outward():
    table = Table()
    node = table.var(0)
    for _ in range(40):
        node = table.node("*", (node, node, table.num(fmpq(1, 3))))
    start = fmpq(3) + fmpq(1, 10**20)
    [r] = enclose(table, [node], {0: Range(start, start)})
    value = Fraction(3) + Fraction(1, 10**20)
    assert r.lo < r.hi and r.lo.height_bits() < 1000
    with ctx.workprec(300):
        log = (1 + arb(fmpq(1, 3 * 10**20))).log() * 2**40  # (3 + d)^2 / 3 = 3 (1 + d/3)^2
        true = 3 * log.exp()
    assert value > 3 and arb(r.lo) <= true <= arb(r.hi)


@pytest.mark.parametrize("name", ["exp", "sinh", "cosh", "softplus", "sigmoid", "tanh", "atan", "log"])
def test_far_arguments_are_bounded_in_bounded_space(name):
    table = Table()
    node = table.call(name, [table.var(0)])
    for end in (fmpq(10) ** 4000, -(fmpq(10) ** 4000)):
        [r] = enclose(table, [node], {0: Range(min(end, fmpq(1)), max(end, fmpq(2)))})
        at = balls.BALLS[name](arb(fmpq(3, 2)))
        assert _end_holds(r, at)
        for e in (r.lo, r.hi):
            assert e in (INF, -INF) or e.height_bits() < 40_000


def test_known_ranges_of_nodes_count():
    table = Table()
    inner = table.add([table.var(0), table.num(1)])
    node = table.call("log", [inner])
    assert not enclose(table, [node], {})[0].defined
    assert enclose(table, [node], {}, {inner: Range(fmpq(0), INF, True)})[0].defined


def test_towers_do_not_explode():
    table = Table()
    node = table.var(0)
    for _ in range(60):
        node = table.node("*", (node, node))
    with pytest.raises(Rejected):
        exact(table, node, {0: fmpq(3)})
    tower = table.var(0)
    for _ in range(30):
        tower = table.call("exp", [tower])
    assert enclose(table, [tower], {0: Range(fmpq(5), fmpq(6))})[0].hi == INF
    assert not (ball(table, [tower], {0: fmpq(5)})[0] < 10)
