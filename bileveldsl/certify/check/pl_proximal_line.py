"""Proofs of kind "line": the proximal inequality of a function of one variable, by ranges of g' and g'' over cells.

The proof is ``{"kind": "line", "tree": [...]}``, a tree of boxes of the other variables in preorder: ``[k, "p/q"]``
cuts variable k, the part below comes next and then the part above; ``{"cuts": [...]}`` is a leaf, which cuts the box
[l, u] of the own variable y into cells. Each cell is curved, g'' >= mu, or g' has one sign on it, so that for each
value of the others g falls up to one minimizer y* and rises from there on. For y > y* (and likewise on the other
side), with s = g'(y) > 0, the gap G = g(y) - g(y*) and the room r = y - l:

    s^2 / 2 >= mu G.  On curved cells s^2 / 2 - mu G does not decrease, its derivative being g' (g'' - mu). On others
    it is seen by the least g' on the cell and by a bound of G: the greatest g' times the length of each cell since y*,
    or s^2 / (2 mu) where a cell ends.

    If r < s / a then D / 2 = a r (s - a r / 2).  Where all cells since y* are curved, G <= s p - mu p^2 / 2 with
    p = y - y* <= r, which increases up to s / mu, so that D(y, a) / 2 >= D(y, mu) / 2 >= mu G. Else D / 2 >= a r s / 2,
    and G <= r S with S the greatest g' since y*, so that a s >= 2 mu S is enough.

Ranges of g' are those of its expression, narrowed by the mean value theorem from the ends of the cell and, in the
others, from the middle of their box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from flint import fmpq

from bileveldsl.certify.check.derivatives import gradient
from bileveldsl.certify.check.enclosures import Enclosure
from bileveldsl.certify.check.goals import Context
from bileveldsl.certify.check.pl_proximal import Proximal, component
from bileveldsl.certify.check.ranges import INF, ZERO, End, Range, at_most, greatest, less
from bileveldsl.certify.check.reading import mapping, rational, record, sequence
from bileveldsl.certify.check.terms import Rejected

_NODES = 4_000  # of the tree
_CELLS = 40_000  # looked at in all
_HALVINGS = 3  # of all cells of a leaf, where its own are too long for these ranges

Box = dict[int, Range]


@dataclass(frozen=True)
class Cell:
    """Bounds of g' and g'' on [left, right], and of g' at the right end."""

    left: End
    right: End
    low: End
    high: End
    bend: End
    end_low: End
    end_high: End


def check(context: Context, goal: Proximal, proof: dict[str, Any]) -> None:
    """Returns if the proof shows the goal; raises Rejected if it does not."""
    items = iter(sequence(record(proof, {"kind", "tree"})["tree"], _NODES))
    line = _Line(context, goal)
    stack: list[Box] = [dict(context.box)]
    while stack:
        box, item = stack.pop(), next(items, None)
        if isinstance(item, list):
            axis, at = _cut(context, line.own, item)
            side = box[axis]
            if not (at_most(side.lo, at) and at_most(at, side.hi)):
                raise Rejected("a cut is outside the box")
            stack += [
                {**box, axis: Range(at, side.hi, side.apart, side.defined)},
                {**box, axis: Range(side.lo, at, side.apart, side.defined)},
            ]
        else:
            cuts = [rational(c) for c in sequence(record(mapping(item), {"cuts"})["cuts"], _NODES)]
            line.check_leaf(box, cuts)
    if next(items, None) is not None:
        raise Rejected("a tree goes on after its last leaf")


def _cut(context: Context, own: int, item: list[Any]) -> tuple[int, fmpq]:
    if len(item) != 2:
        raise Rejected("a cut is not a variable and a number")
    axis = component(context, item[0])
    if axis == own:
        raise Rejected("the tree cuts the own variable")
    return axis, rational(item[1])


class _Line:
    """The derivatives of a function of one variable, and the cells that were looked at."""

    def __init__(self, context: Context, goal: Proximal):
        if len(goal.own) != 1:
            raise Rejected("the function is not one of one own variable")
        [self.own] = goal.own
        self._mu, self._curvature = goal.mu, goal.curvature
        self._side = context.box[self.own]
        table = context.table
        [slope] = gradient(table, goal.root, goal.own)
        [bend] = gradient(table, slope, goal.own)
        self._others = sorted(table.variables([slope]) - {self.own})
        self._ranges = Enclosure(table, [slope, bend], context.known)
        self._slopes = Enclosure(table, [slope, *gradient(table, slope, self._others)], context.known)
        self._left = _CELLS

    def check_leaf(self, box: Box, cuts: Sequence[fmpq]) -> None:
        """Rejects unless the inequality holds on a box of the others, cells being halved where they are too long."""
        ends = [self._side.lo, *cuts, self._side.hi]
        if not all(less(a, b) for a, b in pairwise(ends)):
            raise Rejected("the cells are not in order, or the bounds leave no room")
        for halving in range(_HALVINGS + 1):
            try:
                self._check_cells(box, ends)
                return
            except Rejected:
                if halving == _HALVINGS:
                    raise
            ends = [*(e for a, b in pairwise(ends) for e in ((a, (a + b) / 2) if _finite(a, b) else (a,))), ends[-1]]

    def _check_cells(self, box: Box, ends: Sequence[End]) -> None:
        self._left -= len(ends)
        if self._left < 0:
            raise Rejected("there are too many cells")
        at = [self._slope_at(box, e) if _finite(e) else None for e in ends]
        rising, falling = [], []
        for k, (a, b) in enumerate(pairwise(ends)):
            slope, bend = self._ranges({**box, self.own: Range(a, b)})
            if not slope.defined or not bend.defined:
                raise Rejected("a derivative is not defined on a cell")
            reach = Range(ZERO, b - a if _finite(a, b) else INF)
            left, right = at[k], at[k + 1]
            for end, way in ((left, bend * reach), (right, -(bend * reach))):
                slope = slope if end is None else slope.meet(end + way)
            rising.append(_cell(a, b, slope, bend.lo, right))
            falling.append(_cell(-b, -a, -slope, bend.lo, None if left is None else -left))
        first, last = _start(rising), _start(falling[::-1])
        if first + last > len(rising):
            raise Rejected("a rising cell comes before a falling one")
        self._check_rising(rising, first)
        self._check_rising(falling[::-1], last)

    def _slope_at(self, box: Box, end: fmpq) -> Range | None:
        """The range of g' where y = end, also by the mean value theorem in the others; None where it is not defined."""
        here = {**box, self.own: Range(end, end)}
        slope, *mixed = self._slopes(here)
        if not slope.defined:
            return None
        sides = [here[v] for v in self._others]
        if all(side.finite for side in sides) and all(m.defined for m in mixed):
            middles = {v: (side.lo + side.hi) / 2 for v, side in zip(self._others, sides, strict=True)}
            centred = self._slopes({**here, **{v: Range(c, c) for v, c in middles.items()}})[0]
            for v, m in zip(self._others, mixed, strict=True):
                centred = centred + m * Range(box[v].lo - middles[v], box[v].hi - middles[v])
            slope = slope.meet(centred) if centred.defined else slope
        return slope

    def _check_rising(self, cells: Sequence[Cell], first: int) -> None:
        """The inequality where g rises, the minimizer lying beyond the left end of cell `first`."""
        mu, wall = self._mu, cells[0].left
        if first == len(cells) and not _finite(cells[-1].right):
            raise Rejected("the function may fall for ever")
        gap: End = ZERO  # bounds of the gap and of g' so far, and g' > `base` where the cell begins
        top, base, bent = ZERO, ZERO, True
        for cell in cells[first:]:
            curved, length = at_most(mu, cell.bend), cell.right - cell.left if _finite(cell.left, cell.right) else INF
            low = greatest(cell.low, base) if curved else cell.low
            if not curved and not less(ZERO, low):
                raise Rejected("a cell is neither curved nor rising")
            bent = bent and curved
            reached = _plus(gap, _times(greatest(cell.high, ZERO), length))
            if not curved and not at_most(_times(2 * mu, reached), low * low):
                raise Rejected("the slope is too small for the height")
            highest = cell.end_high if curved else cell.high
            if not bent and not self._has_room(cell, wall):
                steepest = top if curved else greatest(top, highest)
                enough = self._curvature >= 2 * mu or not curved
                if not enough or not at_most(_times(2 * mu, steepest), self._curvature * low):
                    raise Rejected("the curvature is too small near the bound")
            if _finite(cell.end_high):
                end = greatest(cell.end_high, ZERO)
                gap = end * end / (2 * mu) if less(end * end / (2 * mu), reached) else reached
            else:
                gap = reached
            top = greatest(top, highest)
            base = greatest(cell.end_low, low if less(ZERO, low) else ZERO)

    def _has_room(self, cell: Cell, wall: End) -> bool:
        """Whether a step of g' / curvature stays within the bounds from everywhere on a cell."""
        if not _finite(wall):
            return True
        return _finite(cell.high) and bool(self._curvature * (cell.left - wall) >= cell.high)


def _cell(left: End, right: End, slope: Range, bend: End, end: Range | None) -> Cell:
    known = slope if end is None else slope.meet(end)
    return Cell(left, right, slope.lo, slope.hi, bend, known.lo, known.hi)


def _start(cells: Sequence[Cell]) -> int:
    """The first cell after all that fall everywhere."""
    return max((k + 1 for k, cell in enumerate(cells) if less(cell.high, ZERO)), default=0)


def _finite(*ends: End) -> bool:
    return all(type(e) is not float for e in ends)


def _plus(a: End, b: End) -> End:
    return a + b if _finite(a, b) else INF


def _times(a: End, b: End) -> End:
    """A product of what is not negative."""
    return a * b if _finite(a, b) else INF
