import random

import pytest
from check_expressions import SMOOTH, expression
from flint import arb, ctx, fmpq

from bileveldsl.certify.check.derivatives import gradient, hessian
from bileveldsl.certify.check.enclosures import ball, exact
from bileveldsl.certify.check.forms import second_derivatives
from bileveldsl.certify.check.polynomials import polynomial, ring
from bileveldsl.certify.check.terms import Rejected, Table

STEP = fmpq(1, 2**120)


def _difference(table, node, point, index):
    """A symmetric difference quotient, whose error is of the order of STEP squared."""
    ends = [ball(table, [node], {**point, index: point[index] + s * STEP}, 800)[0] for s in (1, -1)]
    with ctx.workprec(800):
        return (ends[0] - ends[1]) / arb(2 * STEP)


def _close(a, b):
    with ctx.workprec(300):
        return not a.is_finite() or not b.is_finite() or bool(abs(a - b) < arb(2) ** -60 * (1 + abs(b)))


@pytest.mark.parametrize("seed", range(60))
def test_derivatives_are_limits_of_differences(seed):
    source = random.Random(seed)
    table = Table()
    root = expression(table, source, 8, 2, rough=False)
    point = {0: fmpq(source.randint(1, 19), 20), 1: fmpq(source.randint(1, 19), 20)}
    slopes = gradient(table, root, [0, 1])
    second = hessian(table, root, [0, 1])
    for i, slope in enumerate(slopes):
        [value] = ball(table, [slope], point, 500)
        assert _close(value, _difference(table, root, point, i)), (seed, i)
        for j in range(i, 2):
            [entry] = ball(table, [second.get((i, j), table.num(0))], point, 500)
            assert _close(entry, _difference(table, slope, point, j)), (seed, i, j)


@pytest.mark.parametrize("name", [*SMOOTH, "huber"])
def test_each_function(name):
    table = Table()
    x = table.var(0)
    node = table.call(name, [x, table.num(1)] if name == "huber" else [x])
    for value in (fmpq(1, 3), fmpq(-2, 3), fmpq(3)):
        [slope] = ball(table, gradient(table, node, [0]), {0: value}, 500)
        assert _close(_difference(table, node, {0: value}, 0), slope)


def test_products_of_many_factors_have_short_derivatives():
    table = Table()
    node = table.node("*", tuple(table.var(k) for k in range(400)))
    slopes = gradient(table, node, range(400))
    assert len(table) < 4000
    point = {k: fmpq(2) if k % 3 else fmpq(-1) for k in range(400)}
    assert all(exact(table, s, point) == exact(table, node, point) / point[k] for k, s in enumerate(slopes))


def test_what_has_no_derivative_is_rejected():
    table = Table()
    with pytest.raises(Rejected):
        gradient(table, table.call("max", [table.var(0), table.var(1)]), [0])
    with pytest.raises(Rejected):
        hessian(table, table.call("huber", [table.var(0), table.num(1)]), [0])


def test_a_hessian_leaves_zero_entries_out():
    table = Table()
    x, y = table.var(0), table.var(1)
    node = table.add(
        [table.power(x, 2), table.mul([table.num(3), y]), table.mul([table.call("exp", [x]), table.num(2)])]
    )
    assert set(hessian(table, node, [0, 1])) == {(0, 0)}


@pytest.mark.parametrize("seed", range(60))
def test_a_polynomial_has_the_values_of_its_node(seed):
    source = random.Random(seed)
    table = Table()
    root = expression(table, source, 8, 2)
    t = ring(2).gens()
    try:
        found = polynomial(table, root, {table.var(0): t[0], table.var(1): t[1]})
    except Rejected:
        return
    if found is not None:
        for _ in range(4):
            point = [fmpq(source.randint(-9, 9), 7) for _ in range(2)]
            assert exact(table, root, dict(enumerate(point))) == found(*point)


def test_atoms_may_be_indeterminates():
    table = Table()
    sine = table.call("sin", [table.var(0)])
    node = table.add([table.power(sine, 2), table.mul([table.num(fmpq(1, 2)), sine])])
    [t] = ring(1).gens()
    assert polynomial(table, node, {table.var(0): t}) is None
    assert polynomial(table, node, {sine: t}) == t**2 + t / 2


def test_a_polynomial_that_explodes_is_rejected():
    table = Table()
    generators = dict(zip((table.var(k) for k in range(12)), ring(12).gens(), strict=True))
    total = table.add(list(generators))
    with pytest.raises(Rejected):
        polynomial(table, table.power(total, 60), generators)
    with pytest.raises(Rejected):
        polynomial(table, table.power(table.var(0), 10**9), generators)
    assert polynomial(table, table.power(table.num(2), -3), generators) == fmpq(1, 8)


@pytest.mark.parametrize("seed", range(50))
def test_quadratic_forms_are_second_derivatives(seed):
    source = random.Random(seed)
    table = Table()
    nodes = [table.var(0), table.var(1), table.var(2), table.num(fmpq(-3, 2)), table.call("exp", [table.var(2)])]
    for _ in range(6):
        pick = tuple(source.choice(nodes) for _ in range(source.choice((2, 3))))
        nodes.append(source.choice((table.node("+", pick), table.node("*", pick[:2]), table.power(pick[0], 2))))
    found = second_derivatives(table, nodes[-1], [0, 1])
    if found is not None:
        entries = hessian(table, nodes[-1], [0, 1])
        for place in {*found, *entries}:
            for point in ({0: fmpq(1, 3), 1: fmpq(-2), 2: fmpq(0)}, {0: fmpq(5), 1: fmpq(1, 7), 2: fmpq(1)}):
                [value] = ball(table, [entries.get(place, table.num(0))], point)
                assert value.overlaps(arb(found.get(place, fmpq(0)))), place


def test_quadratic_forms_with_coefficients_that_are_no_numbers():
    table = Table()
    x, y = table.var(0), table.var(1)
    square, shifted = table.power(y, 2), table.power(table.add([y, table.mul([table.num(-1), x])]), 2)
    assert second_derivatives(table, table.add([shifted, table.mul([table.call("exp", [x]), y])]), [1]) == {(0, 0): 2}
    assert second_derivatives(table, table.mul([x, square]), [1]) is None
    assert second_derivatives(table, table.power(table.mul([x, y]), 2), [1]) is None
    assert second_derivatives(table, table.power(square, 2), [1]) is None
    assert second_derivatives(table, table.call("exp", [y]), [1]) is None
    assert second_derivatives(table, table.mul([table.node("*", (table.num(2), table.num(3))), square]), [1]) == {
        (0, 0): 12
    }
