"""Second derivatives of a scalar node as one interval matrix, and its extreme eigenvalues over all values.

For a function twice continuously differentiable on a convex region, a Hessian whose least eigenvalue is at
least mu everywhere is the same as strong convexity with modulus mu (Nesterov 2004, Theorem 2.1.11).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bileveldsl.calculus.derivative import Derivative, gradient, jacobian
from bileveldsl.calculus.expr import Expr, Map, Reduce, Symbol, apply, symbols_of, topological
from bileveldsl.certify.cover import Minimum, minimum
from bileveldsl.certify.curvature import Composition
from bileveldsl.certify.interval import Interval
from bileveldsl.certify.parts import multiplications
from bileveldsl.certify.ranges import Ranges, aligned
from bileveldsl.certify.scalar import forms, upper_curvature
from bileveldsl.certify.scalars.expansion import Expansion, NotExpanded
from bileveldsl.certify.spectrum import is_singular, least_eigenvalue, least_rational_eigenvalue

CONSTANT_SIZE = 1000
"""Variables up to which a Hessian without variables is formed."""
VARYING_SIZE = 100
_CUT_SIZE = 8  # variables, of the Hessian or in it, up to which boxes are bisected
_EXACT_SIZE = 10
_EXACT_WORK = 1 << 14
_ASKED = 4
_WORK = 4e9  # multiplications
_ENTRIES = 1 << 24


Counts = Callable[[Mapping[Symbol, np.ndarray]], np.ndarray]


@dataclass(frozen=True, eq=False)
class Point:
    """Values of variables at which a second derivative was bounded, and the direction it was taken in."""

    values: Mapping[Symbol, np.ndarray]
    direction: Mapping[Symbol, np.ndarray]


class Hessian:
    """The second derivatives of a scalar node in some symbols, over boxes of the variables."""

    def __init__(self, root: Expr, symbols: Sequence[Symbol], ranges: Ranges):
        self.root = root
        self.symbols = tuple(symbols)
        self.ranges = ranges
        sizes = [math.prod(symbol.shape) for symbol in symbols]
        self.starts = np.cumsum([0, *sizes])
        first = gradient(root, symbols)
        self.blocks: dict[tuple[int, int], Derivative] = {}
        for i, (slope, symbol) in enumerate(zip(first, symbols, strict=True)):
            rest = jacobian(slope, symbols[i:], symbol.axes)
            self.blocks |= {(i, i + k): block for k, block in enumerate(rest)}
        occurring = symbols_of(*(block.expr for block in self.blocks.values()))
        self.variables = tuple(s for s in ranges.boxes if s in occurring)
        self._written = {place: _written(block) for place, block in self.blocks.items()}

    @property
    def size(self) -> int:
        return int(self.starts[-1])

    @property
    def feasible(self) -> bool:
        """Whether the matrix is small enough to be formed and bounded in about a second."""
        if self.size > (VARYING_SIZE if self.variables else CONSTANT_SIZE):
            return False
        roots = [block.expr for block in self.blocks.values()]
        return multiplications(roots) <= _WORK and all(math.prod(n.shape) <= _ENTRIES for n in topological(roots))

    def over(self, ranges: Ranges) -> Interval:
        """The matrix over a batch of boxes, shape (batch, size, size)."""
        found = {place: self._block(place, ranges) for place in self.blocks}
        batch = max(x.lo.shape[0] for x in found.values())
        lo, hi = np.zeros((2, batch, self.size, self.size))
        for (i, j), block in found.items():
            rows, columns = (slice(self.starts[k], self.starts[k + 1]) for k in (i, j))
            lo[:, rows, columns], hi[:, rows, columns] = block.lo, block.hi
            if i != j:
                lo[:, columns, rows], hi[:, columns, rows] = np.swapaxes(block.lo, 1, 2), np.swapaxes(block.hi, 1, 2)
        return Interval.of(lo, hi)

    def _block(self, place: tuple[int, int], ranges: Ranges) -> Interval:
        block = self.blocks[place]
        labels = (*block.rows, *block.columns)
        node, *others = self._written[place]
        result = ranges(node)
        for other in others:
            result = result.meet(ranges(other))
        shape = tuple(math.prod(a.size for a in side) for side in (block.rows, block.columns))

        def matrix(a: np.ndarray) -> np.ndarray:
            return np.broadcast_to(a, (len(a), *(axis.size for axis in labels))).reshape(len(a), *shape)

        return aligned(result, node.axes, labels).map(matrix)

    # ---- extreme eigenvalues ----

    def least(self, counts: Counts, enough: float = math.inf) -> Minimum:
        """The infimum of the least eigenvalue over the boxes, between proved bounds.

        `counts` says at which points, given as a batch of values for each variable, an upper bound counts; `enough`
        is a lower bound with which the caller is content.
        """
        found = self._minimum(1, counts, enough)
        if self._rational is None:
            return found
        proved = least_rational_eigenvalue(self._rational)
        upper = 0.0 if proved == 0 and is_singular(self._rational) else found.upper
        return replace(found, lower=max(proved, found.lower), upper=upper)

    def greatest(self, counts: Counts) -> Minimum:
        """The infimum of the negative of the greatest eigenvalue, likewise."""
        found = self._minimum(-1, counts, math.inf)
        if self._rational is None:
            return found
        proved = least_rational_eigenvalue([[-entry for entry in row] for row in self._rational])
        return replace(found, lower=max(proved, found.lower))

    def _minimum(self, sign: int, counts: Counts, enough: float) -> Minimum:
        def signed(lo: np.ndarray, hi: np.ndarray) -> Interval:
            matrices = self.over(self._ranges(lo, hi))
            return matrices if sign > 0 else -matrices

        def below(lo: np.ndarray, hi: np.ndarray) -> np.ndarray:
            return np.broadcast_to(least_eigenvalue(signed(lo, hi)), (len(lo),))

        def above(points: np.ndarray) -> np.ndarray:
            values = np.broadcast_to(upper_curvature(signed(points, points))[0], (len(points),))
            # Whether a point counts is dear to find out: only the few lowest are asked.
            few = np.argsort(values, kind="stable")[:_ASKED]
            asked = np.full(len(points), np.inf)
            asked[few] = np.where(self._defined(points[few]) & counts(self.unpacked(points[few])), values[few], np.inf)
            return asked

        low, high = self._pack("lo"), self._pack("hi")
        small = self.size <= _CUT_SIZE and len(low) <= _CUT_SIZE
        return minimum(
            below, above, low, high, boxes=256 if small else 1, enough=enough,
            hopeless=0.0 if sign > 0 else -math.inf,  # negative curvature ends the question
            patience=12 if sign > 0 else 4,
        )  # fmt: skip

    def _defined(self, points: np.ndarray) -> np.ndarray:
        """At which points the function has a value: its derivatives may have one where it has none (x log x)."""
        boxes = self.ranges.boxes
        others = [s for s in symbols_of(self.root) if s in boxes and s not in self.variables]
        rest = {s: Interval.point(np.clip(1.0, boxes[s].lo, boxes[s].hi)) for s in others}
        value = self._ranges(points, points).within(rest)(self.root)
        return np.broadcast_to(np.isfinite(value.lo) & np.isfinite(value.hi), (len(points),))

    @cached_property
    def _rational(self) -> list[list] | None:
        if self.variables or self.size > _EXACT_SIZE:
            return None
        rows: list[list] = [[None] * self.size for _ in range(self.size)]
        write = Expansion({}, _EXACT_WORK)
        for (i, j), block in self.blocks.items():
            try:
                value = write(block.expr, (*block.rows, *block.columns))
            except NotExpanded:
                return None
            if any(entry.op != "num" for entry in value.ravel()):
                return None
            shape = [self.starts[k + 1] - self.starts[k] for k in (i, j)]
            for (a, b), entry in np.ndenumerate(value.reshape(shape)):
                row, column = self.starts[i] + a, self.starts[j] + b
                rows[row][column] = rows[column][row] = entry.value
        return rows

    def witness(self, point: np.ndarray) -> Point:
        """The point and the direction of least curvature there."""
        vector = upper_curvature(self.over(self._ranges(point[None], point[None])))[1][0]
        pieces = zip(self.symbols, self.starts, strict=False)
        direction = {s: vector[k : k + math.prod(s.shape)].reshape(s.shape) for s, k in pieces}
        return Point({s: v[0] for s, v in self.unpacked(point[None]).items()}, direction)

    # ---- points as rows of numbers ----

    def _pack(self, side: str) -> np.ndarray:
        ends = [np.broadcast_to(getattr(self.ranges.boxes[s], side)[0], s.shape).ravel() for s in self.variables]
        return np.concatenate([np.zeros(0), *ends])

    def unpacked(self, rows: np.ndarray) -> dict[Symbol, np.ndarray]:
        """A batch of values for each variable of the Hessian."""
        result, start = {}, 0
        for s in self.variables:
            stop = start + math.prod(s.shape)
            result[s] = rows[:, start:stop].reshape(-1, *s.shape)
            start = stop
        return result

    def _ranges(self, lo: np.ndarray, hi: np.ndarray) -> Ranges:
        low, high = self.unpacked(lo), self.unpacked(hi)
        return self.ranges.within({s: Interval.of(low[s], high[s]) for s in self.variables})


def _written(block: Derivative) -> list[Expr]:
    """Ways to write a block of the matrix, over the same labels."""
    node = block.expr
    if not isinstance(node, Map):
        return [node]
    others = [apply(form, node.children) for form in forms(node.fn)[1:]]
    return [node, *(other for other in others if other.axes == node.axes)]


def twice_differentiable(root: Expr, composition: Composition) -> bool:
    """Whether a node is twice continuously differentiable in the variables in the interior of a convex domain."""
    for node in topological([root]):
        if not composition.depends(node):
            continue
        if isinstance(node, Map) and not composition.smooth(node):
            return False
        if isinstance(node, Reduce) and node.operation != "logsumexp":
            norm = node.operation == "norm" and composition.ranges(node).positive
            if not norm:
                return False
    return True


