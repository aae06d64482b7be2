"""What a proof has to show, and where: the goals, the region they speak of, and the way to the kinds of proofs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flint import fmpq

from bileveldsl.certify.check.ranges import INF, ZERO, Range
from bileveldsl.certify.check.reading import Condition, Problem, text
from bileveldsl.certify.check.terms import Rejected, Table

_DEPTH = 100  # of proofs within proofs


@dataclass(frozen=True)
class Bend:
    """sign * root + shift/2 |own|^2 is convex in the own variables, on the region, for all values of the others.

    Where root is twice continuously differentiable that is sign * H + shift * I being positive semidefinite.
    """

    root: int
    own: tuple[int, ...]
    sign: int
    shift: fmpq


@dataclass(frozen=True)
class PL:
    """|gradient|^2 / 2 >= mu (root - inf root) for all real own variables and all values of the others."""

    root: int
    own: tuple[int, ...]
    mu: fmpq


@dataclass(frozen=True, eq=False)
class Context:
    """Where a claim is made: the box of all variables (by index), and conditions, each of which bounds a node.

    `box` and `known` hold on the region; `interior` is the box less those ends at 0 that only bound the region, for
    derivatives: a function continuous on the region and convex on its interior is convex on it.
    """

    problem: Problem
    own: tuple[int, ...]
    box: Mapping[int, Range]
    conditions: tuple[Condition, ...] = ()
    level: str = ""
    """The level whose function it is: a witness has to satisfy its constraints."""
    depth: int = 0
    memo: dict[Any, Any] = field(default_factory=dict)
    """Whatever a kind wants to remember for this region."""

    @property
    def table(self) -> Table:
        return self.problem.table

    @property
    def known(self) -> dict[int, Range]:
        """Ranges of nodes that the conditions give."""
        found: dict[int, Range] = {}
        for condition in self.conditions:
            limit = CONDITIONS[condition.relation]
            found[condition.node] = found[condition.node].meet(limit) if condition.node in found else limit
        return found

    @property
    def interior(self) -> dict[int, Range]:
        if "interior" not in self.memo:
            self.memo["interior"] = _interior(self)
        return self.memo["interior"]

    def within(self, box: Mapping[int, Range], own: tuple[int, ...] | None = None) -> Context:
        """The same with boxes replaced or added (of fresh variables, say) and, if given, other own variables."""
        return replace(self, own=self.own if own is None else own, box={**self.box, **box}, memo={})

    def only(self, conditions: Sequence[Condition]) -> Context:
        """The same with fewer conditions: a larger region."""
        return replace(self, conditions=tuple(conditions), memo={})


CONDITIONS: Mapping[str, Range] = {
    "> 0": Range(ZERO, INF, True),
    ">= 0": Range(ZERO, INF),
    "!= 0": Range(-INF, INF, True),
    "in [-1, 1]": Range(fmpq(-1), fmpq(1)),
}


def boxes(problem: Problem, conditions: Sequence[Condition]) -> dict[int, Range]:
    """The box of every variable between its bounds, narrowed by the conditions that are on it alone."""
    found = {k: Range(v.lower, v.upper) for k, v in enumerate(problem.variables)}
    table = problem.table
    for condition in conditions:
        if table.operation[condition.node] == "var":
            index = table.value[condition.node]
            found[index] = found[index].meet(CONDITIONS[condition.relation])
    return found


def _interior(context: Context) -> dict[int, Range]:
    table, inside = context.table, dict(context.box)
    others = [c.node for c in context.conditions if table.operation[c.node] != "var"]
    tied = table.variables(others)
    for index in context.own:
        r = inside.get(index)
        if r is not None and index not in tied and r.lo != r.hi and (r.lo == 0 or r.hi == 0):
            inside[index] = Range(r.lo, r.hi, True)
    return inside


# ---- the way to the kinds -------------------------------------------------------------------


def bend(context: Context, root: int, own: Sequence[int], sign: int, shift: fmpq, proof: Any) -> None:
    """Returns if a proof shows the goal; raises Rejected if it does not."""
    from bileveldsl.certify.check.convex_domain import require_convex_region  # the kinds are built on this module
    from bileveldsl.certify.check.kinds import kind_of
    from bileveldsl.certify.check.region import require_twice_differentiable

    check = kind_of(proof, "bend")
    context = deeper(context)
    goal = Bend(root, tuple(own), sign, shift)
    if goal.own != context.own:
        wider = not set(goal.own) <= set(context.own)
        context = context.within({}, goal.own)
        if wider:
            require_convex_region(context, goal.own)
    if proof["kind"] not in NONSMOOTH:
        require_twice_differentiable(context, root, goal.own)
    check(context, goal, proof)


def pl(context: Context, root: int, own: Sequence[int], mu: fmpq, proof: Any) -> None:
    """The same for the inequality of Polyak and Lojasiewicz."""
    from bileveldsl.certify.check.kinds import kind_of

    kind_of(proof, "pl")(deeper(context), PL(root, tuple(own), mu), proof)


NONSMOOTH = frozenset({"composition", "sum", "stronger", "affine", "shift", "structure", "piecewise"})
"""Kinds that do not speak of second derivatives themselves: their parts are goals of their own."""


def deeper(context: Context) -> Context:
    if context.depth >= _DEPTH:
        raise Rejected(f"proofs are nested more than {_DEPTH} deep")
    return replace(context, depth=context.depth + 1)


def kind_name(proof: Any) -> str:
    if not isinstance(proof, dict):
        raise Rejected("a proof is not an object")
    return text(proof.get("kind"))
