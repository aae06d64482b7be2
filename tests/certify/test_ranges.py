"""The range of a node holds its value at every point of the boxes."""

import numpy as np
import random_expressions as random
from hypothesis import given
from hypothesis import strategies as st

from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.expr import Dim, Symbol, contract, leaf, multiply
from bileveldsl.certify.interval import Interval
from bileveldsl.certify.ranges import Ranges, aligned, box


def boxes_around(values, seed, batch):
    """Boxes of mixed widths that hold the values: shared ends, single points, infinite sides."""
    rng = np.random.default_rng(seed)
    boxes = {}
    for symbol, value in values.items():
        low = value - rng.choice([0.0, 0.125, 1.0, np.inf], value.shape, p=[0.3, 0.3, 0.3, 0.1])
        high = value + rng.choice([0.0, 0.125, 1.0, np.inf], value.shape, p=[0.3, 0.3, 0.3, 0.1])
        if rng.random() < 0.3:
            low, high = np.full(value.shape, low.min()), np.full(value.shape, high.max())
        wider = np.arange(batch).reshape(-1, *(1,) * value.ndim)
        boxes[symbol] = box(low, high) if batch == 1 else Interval.of(low - wider, high + wider)
    return boxes


@given(random.terms(), st.integers(0, 10**6), st.sampled_from([1, 3]))
def test_ranges_hold_values(term, seed, batch):
    values = random.random_values(seed)
    with np.errstate(all="ignore"):
        value = evaluate(term.expr, values)
    if not np.isfinite(value).all():
        return
    found = Ranges(boxes_around(values, seed, batch))(term.expr)
    assert found.lo.ndim == 1 + len(term.expr.axes)
    slack = 1e-9 * (1 + np.abs(value))
    assert (found.lo <= value + slack).all() and (value - slack <= found.hi).all()
    for k in range(1, len(found.lo)):  # wider boxes, wider ranges
        assert (found.lo[k] <= found.lo[k - 1] + slack).all() and (found.hi[k] >= found.hi[k - 1] - slack).all()


@given(random.terms(), st.integers(0, 10**6))
def test_replaced_boxes_give_the_same_ranges_as_new_ones(term, seed):
    values = random.random_values(seed)
    boxes = boxes_around(values, seed, 1)
    changed = {random.w: box(values[random.w], values[random.w])}
    fresh, replaced = Ranges({**boxes, **changed})(term.expr), Ranges(boxes).within(changed)(term.expr)
    assert (fresh.lo == replaced.lo).all() and (fresh.hi == replaced.hi).all()


def test_large_products_are_enclosed_tightly():
    rng = np.random.default_rng(0)
    n, p = Dim("n", 700), Dim("p", 40)
    X = Symbol("X", "data", (n, p), rng.normal(size=(700, 40)))
    rows, a, b = X.axes[0], X.axes[1], Symbol("", "data", (p, p)).axes[1]
    gram = contract([leaf(X), leaf(X, (rows, b))], [rows])
    found = aligned(Ranges({})(gram), gram.axes, (a, b))
    integers = np.round(X.value * 2**20).astype(np.int64)
    difference = X.value - integers * 2.0**-20
    exact = (integers.astype(object).T @ integers.astype(object)) / 2**40  # exact integers, one rounding
    near = exact.astype(float) + (X.value.T @ difference + difference.T @ X.value - difference.T @ difference)
    assert (found.lo[0] <= near + 1e-12).all() and (near - 1e-12 <= found.hi[0]).all()
    assert (found.hi - found.lo).max() < 1e-9


def test_a_square_summed_is_not_negative_but_a_product_of_two_labels_may_be():
    p = Dim("p", 3)
    w, Q = Symbol("w", "variable", (p,)), Symbol("Q", "data", (p, p), np.ones((3, 3)))
    boxes = {w: box(np.full(3, -1.0), np.full(3, 2.0))}
    square = Ranges(boxes)(contract([leaf(w), leaf(w)], w.axes))
    assert (square.least, square.greatest) == (0.0, 12.0)
    a, b = Symbol("", "data", (p, p)).axes
    crossed = Ranges(boxes)(multiply(leaf(w, (a,)), leaf(w, (b,))))
    assert (crossed.least, crossed.greatest) == (-2.0, 4.0)
    form = contract([leaf(Q), leaf(w, (a,)), leaf(w, (b,))], (a, b))
    assert Ranges(boxes)(form).least <= -2.0 * 9  # as far as the product of ranges goes
