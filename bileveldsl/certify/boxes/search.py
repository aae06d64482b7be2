"""Branch and bound over boxes, best first, that keeps its tree: what was cut where, and how good each box is.

A cut is tried in several variables at once and made where the worse half becomes best (strong branching), which
keeps trees small; a proof is the tree pruned at the bound that is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from bileveldsl.certify.clock import check
from bileveldsl.certify.cover import finite_box, scattered

Bounds = Callable[[np.ndarray, np.ndarray], np.ndarray]
Values = Callable[[np.ndarray], np.ndarray]
_AT_ONCE = 16  # boxes cut in one round
_TRIED = 6  # variables tried for each cut
_FAR = 2.0**40  # where an infinite side is no longer cut
_DEPTH = 60
_PATIENCE = 8  # rounds without a step after which a bound is believed to be the best
_STEP = 1e-3
_LENGTH = 0.25
_POINTS = 64
_ASKED = 4  # points at which a value found in floats is made sure of


@dataclass(frozen=True)
class Cut:
    """Where a box was cut in two: the boxes `below` and `above` are numbers of the tree."""

    axis: int
    at: float
    below: int
    above: int


@dataclass
class Search:
    """The infimum of a function over a box between `lower`, which `bounds` proves, and `upper`, seen at points.

    Parameters
    ----------
    bounds : from end points of shape (batch, n), a lower bound of the function over each box
    values : from points of shape (batch, n), the function in floats, inf where it does not count
    most : from points likewise, an upper bound of the function at each
    lo, hi : end points of the box, shape (n,), possibly infinite
    axes : the variables worth cutting

    Examples
    --------
    >>> square = lambda lo, hi: np.where((lo <= 0) & (hi >= 0), 0, np.minimum(lo**2, hi**2))[:, 0]
    >>> search = Search(square, lambda x: x[:, 0] ** 2, lambda x: x[:, 0] ** 2, np.array([1.0]), np.array([3.0]), (0,))
    >>> search.run(lambda s: s.lower >= s.upper, 10)
    >>> search.lower, search.upper
    (1.0, 1.0)
    """

    bounds: Bounds
    values: Values
    most: Values
    lo: np.ndarray
    hi: np.ndarray
    axes: Sequence[int]
    cuts: dict[int, Cut] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lo, self._hi, self._depth = [self.lo], [self.hi], [0]
        self._bound = [-np.inf]
        self._open = [0]
        self._begun = False
        self.upper = np.inf
        self._see(self.lo[None], self.hi[None])
        low, high = finite_box(self.lo, self.hi)
        self._note(low + scattered(_POINTS, len(low)) * (high - low))

    @property
    def lower(self) -> float:
        return min((self._bound[k] for k in self._open), default=np.inf)

    @property
    def size(self) -> int:
        """How many boxes the whole one is cut into."""
        return len(self._open)

    def run(self, done: Callable[[Search], bool], rounds: int) -> None:
        """Cuts boxes until the search is done, there is nothing to cut, or `rounds` are over."""
        if not self._begun and not done(self):
            self._begun = True
            self._bound[0] = float(self.bounds(self.lo[None], self.hi[None])[0])
        best, since = -np.inf, 0
        for k in range(rounds):
            lower = self.lower
            if lower > best + _STEP * abs(lower):
                best, since = lower, k
            if done(self) or k - since > _PATIENCE:
                return
            check()
            worst = sorted(self._open, key=lambda k: self._bound[k])[:_AT_ONCE]
            worst = [k for k in worst if self._bound[k] < self.upper and self._depth[k] < _DEPTH]
            # The bound is that of the worst box: where that cannot be cut there is no more to gain.
            if not worst or self._bound[worst[0]] > self.lower or not self._cut(worst):
                return

    def _cut(self, boxes: list[int]) -> bool:
        lo, hi = np.array([self._lo[k] for k in boxes]), np.array([self._hi[k] for k in boxes])
        middle = inner_point(lo, hi)
        with np.errstate(all="ignore"):
            can = (middle > lo) & (middle < hi) & (np.abs(middle) <= _FAR)
            share = _share(lo, hi, self.lo, self.hi)
        tried = [self._tried(can[k], share[k]) for k in range(len(boxes))]
        rows = np.array([k for k, axes in enumerate(tried) for _ in axes], dtype=int)
        columns = np.array([axis for axes in tried for axis in axes], dtype=int)
        if not len(rows):
            return False
        each = np.arange(len(rows))
        low, high = lo[rows].copy(), hi[rows].copy()
        low[each, columns] = high[each, columns] = middle[rows, columns]
        halves = np.concatenate([lo[rows], low]), np.concatenate([high, hi[rows]])
        found = self.bounds(*halves)
        below, above = found[: len(rows)], found[len(rows) :]
        made: list[int] = []
        for k, number in enumerate(boxes):
            mine = np.flatnonzero(rows == k)
            if not len(mine):
                continue
            merits = [self._merit(number, float(below[j]), float(above[j]), share[k, columns[j]]) for j in mine]
            best = int(mine[max(range(len(mine)), key=lambda j: merits[j])])
            axis = int(columns[best])
            made += self._split(number, axis, low[best], high[best], float(below[best]), float(above[best]))
        self._see(np.array([self._lo[k] for k in made]), np.array([self._hi[k] for k in made]))
        return bool(made)

    def _tried(self, can: np.ndarray, share: np.ndarray) -> list[int]:
        axes = [axis for axis in self.axes if can[axis]]
        return sorted(axes, key=lambda axis: -share[axis])[:_TRIED]

    def _merit(self, number: int, below: float, above: float, share: float) -> tuple[float, float]:
        """How good a cut is: what it gains of the way to the upper bound, and for long sides, which come due anyway."""
        before = self._bound[number]
        worse, better = max(before, min(below, above)), max(before, max(below, above))
        if np.isinf(before) or np.isinf(self.upper):
            gain = float(worse > before)
        else:
            gain = min(worse - before, self.upper - before) / (self.upper - before)
        return gain + _LENGTH * share, better

    def _split(
        self, number: int, axis: int, low: np.ndarray, high: np.ndarray, below: float, above: float
    ) -> list[int]:
        first = len(self._bound)
        self.cuts[number] = Cut(axis, float(low[axis]), first, first + 1)
        self._lo += [self._lo[number], low]
        self._hi += [high, self._hi[number]]
        before = self._bound[number]
        self._bound += [max(before, below), max(before, above)]
        self._depth += [self._depth[number] + 1] * 2
        self._open.remove(number)
        self._open += [first, first + 1]
        return [first, first + 1]

    def _see(self, lo: np.ndarray, hi: np.ndarray) -> None:
        low, high = finite_corners(lo, hi)
        points = np.concatenate([inner_point(lo, hi), low, high])
        self._note(points)

    def _note(self, points: np.ndarray) -> None:
        """Lowers the upper bound to what is made sure of at a few good points; floats fail far out first."""
        values, sizes = self.values(points), np.abs(points).max(1)
        asked: list[int] = []
        while len(asked) < _ASKED and values.min() < self.upper:
            asked.append(int(np.argmin(values)))
            values[sizes >= sizes[asked[-1]]] = np.inf
        if asked:
            self.upper = min(self.upper, float(self.most(points[asked]).min()))

    def leaves(self, wanted: float) -> list[tuple[np.ndarray, np.ndarray]]:
        """The boxes of the tree pruned where the bound is at least `wanted`."""
        return [(self._lo[k], self._hi[k]) for k in self._order(wanted) if self._is_leaf(k, wanted)]

    def tree(self, wanted: float) -> list[Cut | None]:
        """The pruned tree in preorder, None for a leaf."""
        return [None if self._is_leaf(k, wanted) else self.cuts[k] for k in self._order(wanted)]

    def _is_leaf(self, number: int, wanted: float) -> bool:
        return number not in self.cuts or self._bound[number] >= wanted

    def _order(self, wanted: float) -> list[int]:
        order, stack = [], [0]
        while stack:
            number = stack.pop()
            order.append(number)
            if not self._is_leaf(number, wanted):
                stack += [self.cuts[number].above, self.cuts[number].below]
        return order


def inner_point(lo: np.ndarray, hi: np.ndarray) -> np.ndarray:
    """A point of few binary digits inside each side: near the middle, by magnitude where the ends differ much."""
    with np.errstate(all="ignore"):
        grid = 2.0 ** np.floor(np.log2((hi - lo) / 2))
        inner = np.round((lo + 0.5 * (hi - lo)) / grid) * grid
        inner = np.where(np.isfinite(inner), inner, lo)
        up = np.where(lo < 0, 0.0, np.where(lo < 1, 1.0, 4 * 2.0 ** np.ceil(np.log2(np.maximum(lo, 1)))))
        down = np.where(hi > 0, 0.0, np.where(hi > -1, -1.0, -4 * 2.0 ** np.ceil(np.log2(np.maximum(-hi, 1)))))
        mean = np.sqrt(np.abs(lo)) * np.sqrt(np.abs(hi))
        ratio = np.where((lo > 0) & (hi > 16 * lo), mean, np.where((hi < 0) & (lo < 16 * hi), -mean, 0.0))
        geometric = np.sign(ratio) * 2.0 ** np.round(np.log2(np.abs(ratio)))
    inner = np.where((ratio != 0) & np.isfinite(geometric), geometric, inner)
    both = np.isinf(lo) & np.isinf(hi)
    return np.where(both, 0.0, np.where(np.isinf(hi), up, np.where(np.isinf(lo), down, inner)))


def finite_corners(lo: np.ndarray, hi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and greatest corner of each box, with a point inside for an infinite end."""
    inner = inner_point(lo, hi)
    return np.where(np.isfinite(lo), lo, inner), np.where(np.isfinite(hi), hi, inner)


def _share(lo: np.ndarray, hi: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The length of each side beside that of the first box, by a measure of the line that is finite."""
    whole = np.arctan(high) - np.arctan(low)
    finite = np.isfinite(low) & np.isfinite(high)
    narrow = np.where(finite, (hi - lo) / np.where(finite & (high > low), high - low, 1), 0)
    wide = (np.arctan(hi) - np.arctan(lo)) / np.where(whole > 0, whole, 1)
    return np.where(finite, narrow, wide)
