"""Whether a scalar function has a value everywhere on the region that facts are claimed on, or at least inside it."""

from __future__ import annotations

from collections.abc import Mapping

from bileveldsl.certify.interval import Interval
from bileveldsl.certify.narrowing import linear
from bileveldsl.certify.scalars import Scalar, enclose, topological
from bileveldsl.certify.statement import Question


def is_defined(question: Question) -> bool:
    """Whether no root, quotient or logarithm in a function can lack a value inside the region.

    Examples
    --------
    On a region that holds 0, `y^-2` may lack a value: bounds of its second derivative prove nothing across the pole.
    """
    nodes = topological([question.root])
    ranges = dict(zip(nodes, enclose(nodes, question.lo[None], question.hi[None]), strict=True))
    known = {c.root: c.relation for c in question.statement.conditions}
    return all(_has_value(node, ranges, known) for node in nodes)


def _has_value(node: Scalar, ranges: Mapping[Scalar, Interval], known: Mapping[Scalar, str]) -> bool:
    if not node.args:
        return True
    first = node.args[0]
    range_, said = ranges[first], known.get(first, "")
    above = _is_above(first, range_, said)
    if node.op == "^":
        if node.value.denominator > 1:
            return above
        return node.value > 0 or above or _is_above(first, -range_, "") or said == "!= 0"
    if node.op in ("log", "xlogx", "pow"):
        return above
    if node.op == "relative_entropy":
        second = node.args[1]
        return above and _is_above(second, ranges[second], known.get(second, ""))
    if node.op in ("asin", "acos"):
        return said == "in [-1, 1]" or (range_.least >= -1 and range_.greatest <= 1)
    return node.op != "tan" or bool(abs(ranges[node].least) < float("inf"))


def _is_above(node: Scalar, range_: Interval, said: str) -> bool:
    """Whether a node is positive inside the region: an affine one reaches the end of its range on the edge only."""
    return range_.positive or said in ("> 0", ">= 0") or (range_.nonnegative and linear(node) is not None)
