"""Functions that are once continuously differentiable and have their second derivatives in pieces, such as huber.

What is proved of them, and why, stands with the checker of proofs of the kind "piecewise".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from bileveldsl.certify.scalars import (
    ZERO,
    Matrix,
    NotDifferentiable,
    Scalar,
    call,
    gradient,
    hessian,
    negated,
    number,
    occurring,
    power,
    product,
    rebuild,
    substitute,
    topological,
    total,
)  # fmt: skip

KINKED = frozenset({"abs", "max", "min", "huber"})


def second_derivatives(root: Scalar, indices: Sequence[int]) -> Matrix:
    """The second derivatives on either side of each kink of the gradient, which must not jump itself.

    Parameters
    ----------
    root, indices
        A function, and the variables in which it is differentiated.

    Returns
    -------
    Matrix
        Entries at row <= column; they hold nodes "side", the sign of their argument.

    Raises
    ------
    NotDifferentiable
        Where the gradient may jump, or there may be none.

    Examples
    --------
    >>> from bileveldsl.certify.scalars import variable
    >>> y = variable(0)
    >>> second_derivatives(product([y, call("abs", y)]), [0])[0, 0].op
    '*'
    """
    wanted = frozenset(indices)
    slopes = [without_jumps(slope) for slope in gradient(root, indices, kinks=True)]
    for node in topological(slopes):
        if node.op in ("side", "sign", "step") and occurring(node) & wanted:
            raise NotDifferentiable(node.op)
    return one_sided(slopes, indices)


def one_sided(slopes: Sequence[Scalar], indices: Sequence[int]) -> Matrix:
    """The derivatives of a gradient on either side of what has kinks."""
    entries: Matrix = {}
    for row, slope in enumerate(slopes):
        for k, entry in enumerate(gradient(slope, indices[row:], kinks=True)):
            if entry is not ZERO:
                entries[row, row + k] = entry
    return entries


def beside_kinks(root: Scalar, indices: Sequence[int]) -> Matrix:
    """The second derivatives where no two of what is compared are equal, which are all where there are no kinks."""
    if not seams(root, indices):
        return hessian(root, indices)
    return one_sided(gradient(root, indices, kinks=True), indices)


def seams(root: Scalar, indices: Sequence[int]) -> list[Scalar]:
    """What is 0 where a function of some variables may have a kink, or its slope."""
    wanted = frozenset(indices)
    found = dict.fromkeys(seam for node in topological([root]) for seam in _seams(node))
    return [seam for seam in found if occurring(seam) & wanted]


def _seams(node: Scalar) -> Iterator[Scalar]:
    if node.op == "abs":
        yield node.args[0]
    elif node.op == "huber":
        yield total([node.args[0], negated(node.args[1])])
        yield total(node.args)
    elif node.op in ("max", "min"):
        for k, first in enumerate(node.args[:-1]):
            yield from (total([first, negated(other)]) for other in node.args[k + 1 :])


def without_jumps(root: Scalar) -> Scalar:
    """A node in which the sides are left out that multiply what vanishes on the other side."""
    done: dict[Scalar, Scalar] = {}
    for node in topological([root]):
        made = rebuild(node, [done[a] for a in node.args])
        done[node] = _simplified(made) if made.op == "*" else made
    return done[root]


def _simplified(node: Scalar) -> Scalar:
    factors = list(node.args) if node.op == "*" else [node]
    for k, factor in enumerate(factors):
        simpler = _with_side(factor, factors[:k] + factors[k + 1 :])
        if simpler is not None:
            return _simplified(product(simpler))
    return node


def _with_side(factor: Scalar, others: list[Scalar]) -> list[Scalar] | None:
    """The factors of a product without a side among them; None where it does not go away."""
    if factor.op == "side":
        u = factor.args[0]
        for k, other in enumerate(others):
            rest = others[:k] + others[k + 1 :]
            for base, swapped in ((u, call("abs", u)), (call("abs", u), u)):
                if other is base:
                    return [*rest, swapped]
                if other.op == "^" and other.args[0] is base and other.value.denominator == 1 and other.value > 1:
                    return [*rest, power(base, other.value - 1), swapped]
        return None
    half = _half(factor)
    if half is None:
        return None
    u, sign = half
    for k, other in enumerate(others):  # u (1 + side(u)) / 2 = max(u, 0), and u (1 - side(u)) / 2 = min(u, 0)
        whole = other.op == "^" and other.value.denominator == 1 and other.value > 1
        base = other.args[0] if whole else other
        if u in (base, negated(base)):
            part = call("max" if (sign > 0) == (u is base) else "min", base, ZERO)
            left = [power(base, other.value - 1)] if whole else []
            return [*others[:k], *others[k + 1 :], *left, part]
    w = product(others)
    for kink in topological([w]):
        value = _beyond(kink, u, sign)
        if value is not None and substitute([w], {kink: value})[0] is ZERO:
            return others
    return None


def _half(node: Scalar) -> tuple[Scalar, int] | None:
    """u and s of a node 1/2 + s/2 side(u), s being 1 or -1."""
    sides = [s for s in topological([node]) if s.op == "side"] if node.op == "+" else []
    for side in sides:
        for sign in (1, -1):
            halves = [number(Fraction(1, 2)), product([number(Fraction(sign, 2)), side])]
            if node is total(halves):
                return side.args[0], sign
    return None


def _beyond(kink: Scalar, u: Scalar, sign: int) -> Scalar | None:
    """What a max or min of two is where sign u <= 0, if u is the one that decides it."""
    if kink.op not in ("max", "min") or len(kink.args) != 2:
        return None
    first, last = kink.args
    if total([first, negated(last)] if kink.op == "max" else [last, negated(first)]) is not u:
        return None
    return last if sign > 0 else first
