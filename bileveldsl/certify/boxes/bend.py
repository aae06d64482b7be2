"""Proofs of kind "cover": how a function bends in its own variables, by bisection of the boxes of all variables.

A proof is ``{"kind": "cover", "blocks": [block, ...]}`` with one block for each group of the function's own variables
between which all mixed second derivatives vanish: ``{"rows": [...], "atoms": [...], "tree": [...]}``.

rows
    The positions of the group among the own variables.
atoms
    Expressions ``{"nodes": [...], "periodic": false}``, the last node of the list being the expression, nodes as in the
    statement. In the second derivatives they are replaced, one after the other, by variables of their own over their
    ranges. Of one with ``"periodic": true`` only its sine and cosine, and those of its whole multiples, are replaced;
    it lies in [-22/7, 22/7].
tree
    The tree of boxes in preorder: ``[k, "p/q"]`` cuts variable k there (atom -1 - k where k < 0), the part below it
    comes next and then the part above; ``0`` is a box that is not cut. On each of these the goal holds, or a
    condition of the region fails all over it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
from flint import fmpq

from bileveldsl.certify.boxes.matrix import Atom, Block, blocks
from bileveldsl.certify.boxes.search import Search
from bileveldsl.certify.clock import share, timed, until
from bileveldsl.certify.piecewise import second_derivatives
from bileveldsl.certify.scalars import Matrix, NotDifferentiable, hessian, negated, topological
from bileveldsl.certify.statement import Question, text, written

_WORK = 4000  # nodes to enclose over batches of boxes, in one search
_SLACK = 1e-10
_PLAIN, _FAR = 1e4, 1e9  # bounds up to which a fraction, a whole number is tried
_GAP = 0.01  # of the bound seen at points; more digits of a modulus change nothing
_MANY = 300  # boxes after which a larger gap is small enough
_ZERO = 1e-13
_FEW = 24  # leaves that a proof may have before a weaker bound is taken instead
_SHARES = (0.0, 0.01, 0.02, 0.05)
_SEARCHING = 0.5  # of the time that is left; the rest is for making sure of what was found


@timed()
def prove_bend(question: Question, sign: int, shift: Fraction | int) -> dict[str, Any] | None:
    """A proof that `sign H + shift I` is positive semidefinite on the region, H the Hessian in the own variables.

    Parameters
    ----------
    question : the function and where it is asked about
    sign : 1 or -1
    shift : a rational number

    Returns
    -------
    dict of kind "cover", or "piecewise" where the function has kinks in its slope; None where none was found
    """
    found = _hessian(question)
    if found is None:
        return None
    return _Side(question, found[0], sign, found[1]).proof(-Fraction(shift))


@dataclass(frozen=True)
class Bounds:
    """How a function bends, between what was proved and what was seen.

    `mu` is at most every eigenvalue of the Hessian on the region, by `mu_proof` (of the goal `H - mu I`), and `L` at
    least the absolute value of every one, by `L_proof`, of kind "two-sided"; None where nothing was proved. At points
    of the box, which need not be feasible, the least eigenvalue came down to `mu_seen`, the greatest size up to
    `L_seen`.
    """

    mu: Fraction | None
    mu_proof: dict[str, Any] | None
    mu_seen: float
    L: Fraction | None
    L_proof: dict[str, Any] | None
    L_seen: float


NOTHING = Bounds(None, None, math.inf, None, None, -math.inf)


def best_bounds(question: Question, smooth: bool = True) -> Bounds:
    """The best modulus of convexity and of smoothness that bisection proves, in one search for each side.

    Parameters
    ----------
    question : the function and where it is asked about
    smooth : whether a constant of smoothness is wanted

    Returns
    -------
    Bounds
    """
    found = NOTHING
    with until(question.deadline):
        bending = _hessian(question)
        if bending is None:
            return NOTHING
        matrix, kind = bending
        below = _Side(question, matrix, 1, kind)
        with until(share(_SEARCHING)):
            below.explore(hopeless=0.0)
        mu, mu_proof = below.best()
        found = replace(found, mu=mu, mu_proof=mu_proof, mu_seen=below.seen, L_seen=-below.seen)
        if not smooth:
            return found
        above = _Side(question, matrix, -1, kind)
        with until(share(_SEARCHING)):
            above.explore()
        top, _ = above.best()
        found = replace(found, L_seen=max(-below.seen, -above.seen))
        if top is None:
            return found
        L = max(-top, Fraction(0))
        if mu is None or mu < -L:  # the least eigenvalue decides, which was left once it was seen to be negative
            with until(share(_SEARCHING)):
                below.explore()
            bottom, _ = below.best()
            found = replace(found, mu_seen=below.seen, L_seen=max(-below.seen, -above.seen))
            if bottom is None:
                return found
            L = max(L, -bottom)
        sides = below.proof(-L), above.proof(-L)
        if None not in sides:
            found = replace(found, L=L, L_proof={"kind": "two-sided", "below": sides[0], "above": sides[1]})
    return found


class _Side:
    """The searches of all blocks for the infimum of the least eigenvalue."""

    def __init__(self, question: Question, matrix: Matrix, sign: int, kind: str):
        self._blocks = partial(_blocks, question, matrix, sign)
        self.kind = kind
        self.parts = [(block, _search(block)) for block in self._blocks()]

    @property
    def lower(self) -> float:
        return min((search.lower for _, search in self.parts), default=math.inf)

    @property
    def seen(self) -> float:
        return min((search.upper for _, search in self.parts), default=math.inf)

    def explore(self, hopeless: float = -math.inf) -> None:
        """Raises the lower bound until it is close to what is seen at points, or those come below `hopeless`."""

        def is_done(search: Search) -> bool:
            gap = _GAP * max(1.0, search.size / _MANY) ** 2
            enough = self.seen - gap * abs(self.seen) - _ZERO
            return search.lower >= min(enough, search.upper) or search.upper < hopeless

        for block, search in sorted(self.parts, key=lambda part: part[1].upper):
            search.run(is_done, _rounds(block))
            if search.lower == -math.inf and not self._with_variables(block, is_done):
                return

    def _with_variables(self, block: Block, is_done: Callable[[Search], bool]) -> bool:
        """Whether the search goes on where arguments of functions are what their variables make them."""
        plain = next(b for b in self._blocks(arguments=False) if b.rows == block.rows)
        if len(plain.atoms) == len(block.atoms):
            return False
        search = _search(plain)
        search.run(is_done, _rounds(plain))
        self.parts = [(plain, search) if b is block else (b, s) for b, s in self.parts]
        return search.lower > -math.inf

    def best(self) -> tuple[Fraction | None, dict[str, Any] | None]:
        """A bound of few digits that is close to the best one, chosen such that the proof is short."""
        bound = self.lower
        if not math.isfinite(bound):
            return None, None
        sizes = {
            share: sum(len(search.leaves(bound - share * abs(bound))) for _, search in self.parts) for share in _SHARES
        }
        share = next((s for s in _SHARES if sizes[s] <= _FEW), min(_SHARES, key=lambda s: sizes[s]))
        for value in _short(bound - share * abs(bound)):
            proof = self.proof(value)
            if proof is not None:
                return value, proof
        return None, None

    def proof(self, wanted: Fraction) -> dict[str, Any] | None:
        """A proof that no eigenvalue is less than a bound."""
        pieces = []
        for block, search in self.parts:
            piece = _piece(block, search, wanted)
            if piece is None:
                return None
            pieces.append(piece)
        return {"kind": self.kind, "blocks": pieces}


def _short(bound: float) -> list[Fraction]:
    """Numbers of few digits about a bound: itself, if it is about one, and then less."""
    near = Fraction(bound).limit_denominator(1000 if abs(bound) < _PLAIN else 1)
    close = [near] if abs(bound) < _FAR and abs(near - Fraction(bound)) <= Fraction(_SLACK) * (1 + abs(near)) else []
    if bound == 0:
        return [Fraction(0)]
    found = []
    for digits in (4, 3):
        unit = Fraction(10) ** (math.floor(math.log10(abs(bound))) + 1 - digits)
        found.append(math.floor(Fraction(bound) / unit) * unit)
    below = Fraction(bound) - Fraction(1, 10**6) * (1 + abs(Fraction(bound)))
    return [*close, *found, math.floor(below * 10**7) / Fraction(10**7)]


# ---- one block ----


def _hessian(question: Question) -> tuple[Matrix, str] | None:
    """The second derivatives, and the kind of proofs that speak of them."""
    try:
        return hessian(question.root, question.own), "cover"
    except NotDifferentiable:
        pass
    try:
        return second_derivatives(question.root, question.own), "piecewise"
    except NotDifferentiable:
        return None


def _blocks(question: Question, matrix: Matrix, sign: int, arguments: bool = True) -> list[Block]:
    signed = matrix if sign > 0 else {place: negated(node) for place, node in matrix.items()}
    return blocks(signed, len(question.own), question.lo, question.hi, question.statement.conditions, arguments)


def _search(block: Block) -> Search:
    return Search(block.least, block.values, block.most, block.lo, block.hi, block.axes)


def _rounds(block: Block) -> int:
    nodes, rows = len(topological(list(block.entries.values()))), len(block.rows)
    return max(2, min(200, _WORK // (1 + nodes + rows**3 // 10)))


def _piece(block: Block, search: Search, wanted: Fraction) -> dict[str, Any] | None:
    """The tree for a bound: searched for in floats, then made sure of on each leaf."""
    goal = float(wanted)
    slack = _SLACK * (1 + abs(goal))
    # The bound may be the best one, which floats miss by a little; so more than it is asked for last.
    for aim, choices in ((goal - slack, (goal + slack, goal, goal - slack)), (goal + slack, (goal + slack,))):

        def is_done(search: Search, aim: float = aim) -> bool:
            return search.lower >= aim or search.upper < goal - slack

        search.run(is_done, _rounds(block))
        for enough in choices:
            if search.lower >= enough and _holds(block, search, enough, wanted):
                tree = [0 if c is None else [_named(c.axis, block.variables), text(c.at)] for c in search.tree(enough)]
                return {"rows": list(block.rows), "atoms": [_atom(atom) for atom in block.atoms], "tree": tree}
    return None


def _holds(block: Block, search: Search, enough: float, wanted: Fraction) -> bool:
    lo, hi = (np.array(ends) for ends in zip(*search.leaves(enough), strict=True))
    return block.are_bounded_below(lo, hi, fmpq(wanted.numerator, wanted.denominator))


def _named(axis: int, variables: int) -> int:
    return axis if axis < variables else variables - 1 - axis


def _atom(atom: Atom) -> dict[str, Any]:
    places = {node: k for k, node in enumerate(topological([atom.root]))}
    return {"nodes": [written(node, places) for node in places], "periodic": atom.periodic}
