"""Points at which a function has a kink, so that its gradient jumps and is not Lipschitz with any constant."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from bileveldsl.certify.clock import check, timed
from bileveldsl.certify.narrowing import affine
from bileveldsl.certify.piecewise import seams
from bileveldsl.certify.scalars import (
    NotDifferentiable,
    Scalar,
    balls,
    exact_value,
    gradient,
    negated,
    number,
    occurring,
    product,
    rebuild,
    topological,
    total,
)  # fmt: skip
from bileveldsl.certify.statement import Question, text

_NEAR = (Fraction(1, 2**30), Fraction(1, 2**60))
_TRIED = (0, 1, -1, 2, -2, 3, -3, Fraction(1, 2), Fraction(-1, 2), 4, -4, 5, -5)
_STARTS = (1.0, 0.0, -1.0, 2.5)
_SEAMS = 20
_ASIDE = Fraction(1, 1024)  # of a point, so that no two things are equal there by accident

Point = dict[int, Fraction]


@timed()
def kink(question: Question) -> dict[str, Any] | None:
    """A proof that a function is not differentiable at a point inside: its one-sided derivatives do not agree.

    The proof is ``{"kind": "kink", "point": {...}, "direction": {...}}``.

    Parameters
    ----------
    question : the function and where it is asked about

    Returns
    -------
    dict of kind "kink", or None where none was found
    """
    for seam in seams(question.root, question.own)[:_SEAMS]:
        for point, k in _on(seam, question):
            check()
            if _is_inside(question, point) and _jumps(question.root, point, k):
                written = {str(i): text(v) for i, v in sorted(point.items())}
                return {"kind": "kink", "point": written, "direction": {str(k): "1"}}
    return None


def _is_inside(question: Question, point: Point) -> bool:
    """Whether the conditions hold at a point with room around it."""
    signs = [(c.relation, _sign(c.root, point)) for c in question.statement.conditions]
    known = ("> 0", ">= 0", "!= 0")
    return all(relation in known and (sign > 0 or (sign < 0 and relation == "!= 0")) for relation, sign in signs)


def _on(seam: Scalar, question: Question) -> Iterator[tuple[Point, int]]:
    """Points where a node vanishes, each with a variable that can be moved to both sides."""
    lo, hi = question.lo, question.hi
    for start in _STARTS:
        point = {k: Fraction(min(max(start, float(lo[k])), float(hi[k]))) for k in range(len(lo))}
        for k in sorted(occurring(seam) & set(question.own)):
            branch = chosen(seam, {i: v + _ASIDE for i, v in point.items()})
            form = None if branch is None else affine(branch)
            values: list[Any] = list(_TRIED)
            if form is not None:
                slope, rest = form[0].get(k, Fraction(0)), form[1]
                if not slope:
                    continue
                values = [-(rest + sum(c * point[i] for i, c in form[0].items() if i != k)) / slope]
            for value in values:
                at = {**point, k: Fraction(value)}
                if float(lo[k]) < at[k] < float(hi[k]) and exact_value(seam, at) == 0:
                    yield at, k


def _jumps(root: Scalar, point: Point, k: int) -> bool:
    """Whether the derivatives by one variable from above and from below differ."""
    sides = [_branch(root, point, k, sign) for sign in (1, -1)]
    if None in sides:
        return False
    try:
        above, below = (gradient(side, [k])[0] for side in sides if side is not None)
    except NotDifferentiable:
        return False
    jump = total([above, negated(below)])
    value = exact_value(jump, point)
    if value is not None:
        return value != 0
    [ball] = balls([jump], point)
    return bool(ball > 0) or bool(ball < 0)


def _branch(root: Scalar, point: Point, k: int, sign: int) -> Scalar | None:
    """The smooth function that a function is on one side of a point, near it; None where that is not seen."""
    found = {chosen(root, {**point, k: point[k] + sign * near}) for near in _NEAR}
    return found.pop() if len(found) == 1 else None


def chosen(root: Scalar, at: Point) -> Scalar | None:
    """A function with each abs, max and min replaced by what it is around a point; None where that is not seen."""
    done: dict[Scalar, Scalar] = {}
    for node in topological([root]):
        args = [done[a] for a in node.args]
        if node.op == "abs":
            sign = _sign(args[0], at)
            if not sign:
                return None
            done[node] = product([number(sign), args[0]])
        elif node.op in ("max", "min"):
            best = args[0]
            for other in args[1:]:
                sign = _sign(total([other, negated(best)]), at)
                if not sign:
                    return None
                best = other if (sign > 0) == (node.op == "max") else best
            done[node] = best
        else:
            done[node] = rebuild(node, args)
    return done[root]


def _sign(node: Scalar, at: Point) -> int:
    value = exact_value(node, at)
    if value is not None:
        return (value > 0) - (value < 0)
    [ball] = balls([node], at)
    return 1 if ball > 0 else -1 if ball < 0 else 0
