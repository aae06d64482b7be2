"""Whether the conditions on the domain are met on a set that is convex in some variables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bileveldsl.certify.check.composition import Composition
from bileveldsl.certify.check.goals import Context, boxes
from bileveldsl.certify.check.ranges import ONE, at_most
from bileveldsl.certify.check.reading import Condition
from bileveldsl.certify.check.terms import Rejected


def require_convex_region(context: Context, own: Sequence[int]) -> None:
    """Rejects unless the conditions are met on a set that is convex in the own variables."""
    for _, reason in _conditions(context, own):
        if reason is not None:
            raise reason


def convex_region(context: Context) -> Context:
    """The region without the conditions that may not be met on a convex set: a larger one, where more is claimed."""
    while True:
        shown = [condition for condition, reason in _conditions(context, context.own) if reason is None]
        if len(shown) == len(context.conditions):
            return context
        # What was shown where the others hold has to be shown without them.
        context = replace(context.only(shown), box=boxes(context.problem, shown))


def _conditions(context: Context, own: Sequence[int]) -> Iterator[tuple[Condition, Rejected | None]]:
    """The conditions, each with why it may not be met on a convex set.

    Each is judged where those on earlier nodes hold that were shown to do so on a convex set.
    """
    shown: list[Condition] = []
    for condition in sorted(context.conditions, key=lambda c: c.node):
        try:
            if context.table.dependent([condition.node], own):
                _require_convex(Composition(context.only(shown), own), condition)
        except Rejected as reason:
            yield condition, reason
        else:
            shown.append(condition)
            yield condition, None


def _require_convex(composition: Composition, condition: Condition) -> None:
    found, r = composition(condition.node), composition.ranges(condition.node)
    above, below = r.nonnegative and found.concave, r.nonpositive and found.convex
    holds = {
        "> 0": r.positive or found.concave,
        ">= 0": r.nonnegative or found.concave or composition.is_definite(condition.node),
        "!= 0": r.positive or r.negative or above or below,
        "in [-1, 1]": found.affine or (at_most(-ONE, r.lo) and at_most(r.hi, ONE)),
    }
    if not r.defined or not holds[condition.relation]:
        raise Rejected(f"the domain, where an expression is {condition.relation}, may not be convex")
