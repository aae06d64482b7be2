"""Sums of products: the order in which factors meet, and the array operation for each meeting of two.

Matrix products go through BLAS wherever the labels allow; `einsum` is left for products that keep a common label.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from bileveldsl.calculus.expr import Axis
from bileveldsl.execute.source import ATOM, PRODUCT, SUM, Body, Value

Labels = frozenset[Axis]
Tree = int | tuple["Tree", "Tree"]
"""A factor by position, or two trees whose products are multiplied."""

EXACT = 7  # up to so many factors every order is tried, beyond it the cheapest next pair is taken


# ---- cost -----------------------------------------------------------------------------------


def elements(labels: Iterable[Axis]) -> int:
    return math.prod(axis.size for axis in labels)


def cost(a: Labels, b: Labels, kept: Labels) -> float:
    """About the nanoseconds of one product of two arrays, summed over the labels that are not kept.

    BLAS does some 16 multiplications in the time that elementwise work takes for one element to be written.
    """
    union, summed = a | b, (a & b) - kept
    memory = 0.3 * (elements(a) + elements(b)) + elements(union & kept)
    if not summed or (a & b & kept):
        return memory + elements(union & (kept | summed))
    return memory + elements(union & (kept | summed)) / 16


def order(factors: Sequence[Labels], kept: Labels) -> Tree:
    """The cheapest order of pairwise products that leaves the labels `kept`."""
    return _best_order(tuple(factors), kept) if len(factors) <= EXACT else _greedy_order(factors, kept)


def _remaining(members: Sequence[Labels], others: Iterable[Labels], kept: Labels) -> Labels:
    """The labels of a product that something else still needs."""
    needed = kept.union(*others)
    return frozenset().union(*members) & needed


def _best_order(factors: tuple[Labels, ...], kept: Labels) -> Tree:
    everything = range(len(factors))

    def labels(subset: tuple[int, ...]) -> Labels:
        return _remaining([factors[k] for k in subset], [factors[k] for k in everything if k not in subset], kept)

    @functools.cache
    def best(subset: tuple[int, ...]) -> tuple[float, Tree]:
        if len(subset) == 1:
            return 0.0, subset[0]
        found: tuple[float, Tree] = (math.inf, 0)
        first, *rest = subset
        for bits in range(2 ** len(rest) - 1):
            left = (first, *(k for position, k in enumerate(rest) if bits >> position & 1))
            right = tuple(k for position, k in enumerate(rest) if not bits >> position & 1)
            price = best(left)[0] + best(right)[0] + cost(labels(left), labels(right), labels(subset))
            if price < found[0]:
                found = (price, (best(left)[1], best(right)[1]))
        return found

    return best(tuple(everything))[1]


def _greedy_order(factors: Sequence[Labels], kept: Labels) -> Tree:
    open_: list[tuple[Tree, Labels]] = list(enumerate(factors))
    while len(open_) > 1:
        pairs = []
        for j in range(1, len(open_)):
            for i in range(j):
                others = [labels for k, (_, labels) in enumerate(open_) if k not in (i, j)]
                left = _remaining([open_[i][1], open_[j][1]], others, kept)
                price = cost(open_[i][1], open_[j][1], left) - elements(open_[i][1]) - elements(open_[j][1])
                pairs.append((price, i, j, left))
        _, i, j, left = min(pairs, key=lambda pair: pair[:3])
        merged: tuple[Tree, Labels] = ((open_[i][0], open_[j][0]), left)
        open_ = [merged, *(item for k, item in enumerate(open_) if k not in (i, j))]
    return open_[0][0]


# ---- code -----------------------------------------------------------------------------------


def contraction(body: Body, factors: Sequence[Value], nonnegative: Sequence[bool], over: Sequence[Axis]) -> Value:
    """The sum of the product of the factors over the labels `over`; which factors are never negative is given."""
    gram = _weighted_gram(body, factors, nonnegative, over)
    if gram:
        return gram
    summed = frozenset(over)
    kept = frozenset().union(*(factor.axes for factor in factors)) - summed

    def build(tree: Tree, needed: Labels) -> Value:
        if isinstance(tree, int):
            return _sum_out(body, factors[tree], needed)
        left, right = tree
        a = build(left, needed | _labels(right, factors))
        b = build(right, needed | _labels(left, factors))
        return body.name(body.in_order(_product(body, a, b, needed)))

    return build(order([frozenset(factor.axes) for factor in factors], kept), kept)


def _weighted_gram(
    body: Body, factors: Sequence[Value], nonnegative: Sequence[bool], over: Sequence[Axis]
) -> Value | None:
    """X^T diag(d) X for d >= 0 as Y^T Y with Y = diag(sqrt(d)) X: symmetric, and half the work where BLAS sees it."""
    matrices = [factor for factor in factors if len(factor.axes) == 2]
    weights = [(factor, sign) for factor, sign in zip(factors, nonnegative, strict=True) if factor.axes == tuple(over)]
    if len(over) != 1 or len(matrices) != 2 or not weights or len(weights) + 2 != len(factors):
        return None
    left, right = matrices
    a, b = (tuple(axis for axis in factor.axes if axis not in over) for factor in matrices)
    layouts = [[axis in over for axis in factor.axes] for factor in matrices]
    twins = left.at(SUM) == right.at(SUM) and layouts[0] == layouts[1] and any(layouts[0])
    counts = Counter(factor.at(SUM) for factor, sign in weights if not sign)
    if not twins or a == b or any(count % 2 for count in counts.values()):
        return None
    weight = functools.reduce(lambda x, y: _product(body, x, y, frozenset(over)), [factor for factor, _ in weights])
    root = body.name(Value(f"xp.sqrt({weight.at(SUM)})", tuple(over)))
    scaled = body.name(body.in_order(_product(body, left, root, frozenset(left.axes))))
    twin = replace(scaled, axes=right.axes)
    return _product(body, scaled, twin, frozenset(a + b))


def _labels(tree: Tree, factors: Sequence[Value]) -> Labels:
    if isinstance(tree, int):
        return frozenset(factors[tree].axes)
    return _labels(tree[0], factors) | _labels(tree[1], factors)


def _sum_out(body: Body, value: Value, needed: Labels) -> Value:
    gone = [k for k, axis in enumerate(value.axes) if axis not in needed]
    if not gone:
        return value
    axes = tuple(axis for axis in value.axes if axis in needed)
    where = gone[0] if len(gone) == 1 else tuple(gone)
    return body.name(Value(f"xp.sum({value.at(SUM)}, axis={where})" if axes else f"xp.sum({value.at(SUM)})", axes))


def _product(body: Body, a: Value, b: Value, needed: Labels) -> Value:
    """The product of two values, summed over the labels they share and nothing needs."""
    common = set(a.axes) & set(b.axes)
    summed = body.sorted_axes(common - needed)
    batch = body.sorted_axes(common & needed)
    if not summed:
        axes = body.sorted_axes(a.axes + b.axes)
        return Value(f"{body.expand(a, axes).at(PRODUCT)} * {body.expand(b, axes).at(ATOM)}", axes, PRODUCT)
    free_a = tuple(axis for axis in a.axes if axis not in common)
    free_b = tuple(axis for axis in b.axes if axis not in common)
    if batch:
        return _batched(body, a, b, batch, free_a, free_b, summed)
    if free_b and body.sorted_axes(free_a + free_b) == free_b + free_a:
        a, b, free_a, free_b = b, a, free_b, free_a
    if len(a.axes) <= 2 and len(b.axes) <= 2 and len(summed) == 1:
        left = body.transpose(a, (*free_a, *summed))
        right = body.transpose(b, (*summed, *free_b))
        return Value(f"{left.at(PRODUCT)} @ {right.at(ATOM)}", free_a + free_b, PRODUCT)
    if not free_a and not free_b:  # both have the same labels, in the same order
        return Value(f"xp.vdot({a.at(SUM)}, {b.at(SUM)})")
    places = (tuple(a.axes.index(axis) for axis in summed), tuple(b.axes.index(axis) for axis in summed))
    return Value(f"xp.tensordot({a.at(SUM)}, {b.at(SUM)}, axes={places})", free_a + free_b)


def _batched(
    body: Body, a: Value, b: Value, batch: Sequence[Axis], free_a: Sequence[Axis], free_b: Sequence[Axis],
    summed: Sequence[Axis],
) -> Value:  # fmt: skip
    if len(free_a) == len(free_b) == len(summed) == 1:
        left = body.transpose(a, (*batch, *free_a, *summed))
        right = body.transpose(b, (*batch, *summed, *free_b))
        return Value(f"{left.at(PRODUCT)} @ {right.at(ATOM)}", (*batch, *free_a, *free_b), PRODUCT)
    result = body.sorted_axes([*batch, *free_a, *free_b])
    letters = {axis: chr(ord("a") + k) for k, axis in enumerate((*result, *summed))}
    terms = ["".join(letters[axis] for axis in axes) for axes in (a.axes, b.axes, result)]
    return Value(f"xp.einsum('{terms[0]},{terms[1]}->{terms[2]}', {a.at(SUM)}, {b.at(SUM)})", result)
