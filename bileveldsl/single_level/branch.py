"""Branch and bound on complementarities and integers over linear or convex quadratic relaxations.

A node fixes, for some pairs, the slack or the multiplier at zero (Bard and Moore, A branch and bound algorithm for the
bilevel programming problem, SIAM J. Sci. Stat. Comput. 11, 1990), so that no bound of a multiplier is ever assumed.
The search dives, and takes the node with the least bound when a dive ends. A point counts only when its relaxation has
been solved with one side of every pair fixed at zero. Where a relaxation is unbounded, the pairs that its ray
violates are branched on; a ray that violates none proves the program unbounded.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from bileveldsl.single_level.highs import Relaxation
from bileveldsl.single_level.linear import TOLERANCE, Linear
from bileveldsl.single_level.nodes import Node, PseudoCosts, Range, narrow
from bileveldsl.single_level.recession import Recession

CANDIDATES = 8
"""Choices of unknown effect that are tried at a node."""
RELIABLE = 1
"""Observations of either side after which the effect of a choice counts as known."""
SETTLING = 2.0
"""Seconds that a point may take beyond the time limit."""


class Response(Protocol):
    """The follower's answer to the leader's part of a point."""

    leader: np.ndarray
    """The leader's columns."""
    decides: bool
    """Whether nothing but the answer's ties is left to choose once the leader's columns are fixed."""

    def __call__(self, z: np.ndarray) -> tuple[Literal["answered", "none", "failed"], np.ndarray]:
        """A point that satisfies every complementarity; `none` where the follower has no answer there."""


@dataclass
class Search:
    """One run of branch and bound; `solve` returns how it ended, the attributes tell the rest.

    Parameters
    ----------
    linear
        The program.
    gap
        Relative gap between the best point and the bound at which the search ends.
    response
        The follower's answers, for points that satisfy the complementarities.
    time_left
        In seconds.
    improved
        Called with every better point and its value.
    check
        Called at every node with the bound; may raise to stop the search.
    """

    linear: Linear
    gap: float = 1e-6
    response: Response | None = None
    time_left: Callable[[], float] = lambda: math.inf
    improved: Callable[[np.ndarray, float], None] = lambda z, value: None
    check: Callable[[Search], None] = lambda search: None
    z: np.ndarray | None = None
    value: float = math.inf
    nodes: int = 0
    unsolved: float = math.inf
    """The least bound of the nodes that were given up."""
    pruned: float = math.inf
    """The least bound of the nodes that cannot improve the best point by more than the gap."""
    floor: float = -math.inf
    """A bound from elsewhere."""

    def __post_init__(self) -> None:
        self._relaxation = Relaxation(self.linear)
        self._root = self.linear.ends
        whole = np.flatnonzero(self.linear.integer)
        self._root[0][whole], self._root[1][whole] = np.ceil(self._root[0][whole]), np.floor(self._root[1][whole])
        self._applied: dict[int, Range] = {}
        for entity in whole:
            self._relaxation.change(int(entity), self._root[0][entity], self._root[1][entity])
        self._open: list[tuple[float, int, Node]] = []
        self._counter = 0
        self._current: Node | None = Node()
        self._root_value = -math.inf
        self._costs = PseudoCosts(len(self.linear.pairs) + self.linear.size)
        self._recession: Recession | None = None
        self._tried: set[bytes] = set()

    # ---- the search -----------------------------------------------------------------------

    @property
    def bound(self) -> float:
        """No feasible value is smaller."""
        bounds = [self.value, self.unsolved, self.pruned]
        bounds += [self._open[0][0]] if self._open else []
        bounds += [self._current.bound] if self._current is not None else []
        return min(self.value, max(self.floor, min(bounds)))

    @property
    def root(self) -> float:
        """The value of the relaxation at the root."""
        return self._root_value

    @property
    def runs(self) -> int:
        """How many relaxations were solved."""
        return self._relaxation.runs

    @property
    def closed(self) -> bool:
        return self._settled(self.bound)

    def _settled(self, bound: float) -> bool:
        if self.value == math.inf:
            return bound == math.inf
        return self.value - bound <= self.gap * max(1.0, abs(self.value))

    def solve(
        self, most: float = math.inf, seconds: float = math.inf
    ) -> Literal["optimal", "infeasible", "unbounded", "limit"]:
        """Search until this many nodes have been looked at or as much time has passed; after `limit` call it again.

        Raises
        ------
        Whatever `check` does, after which the attributes stand.
        """
        end = time.monotonic() + seconds
        while self._current is not None and not self._finished:
            if self.nodes >= most or time.monotonic() > end:
                return "limit"
            self.check(self)
            self.nodes += 1
            children = self._expand(self._current)
            if children is None:
                return "unbounded"
            for node in children[1:]:
                self._push(node)
            self._current = children[0] if children else self._next()
        if self.unsolved < math.inf and not self.closed:
            return "limit"
        return "optimal" if self.value < math.inf else "infeasible"

    @property
    def _finished(self) -> bool:
        return self.closed and self.value < math.inf

    def adopt(self, z: np.ndarray, sides: np.ndarray) -> None:
        """Take the best point for given sides of the pairs, True where the slack is zero, and whole numbers as in z."""
        ranges: dict[int, Range] = {}
        for pair, of_slack in enumerate(sides):
            narrow(ranges, *self._sides(pair)[0 if of_slack else 1])
        self._settle(z, ranges)

    def _push(self, node: Node) -> None:
        self._counter += 1
        heapq.heappush(self._open, (node.bound, self._counter, node))

    def _next(self) -> Node | None:
        while self._open:
            _, _, node = heapq.heappop(self._open)
            if not self._prunes(node.bound):
                return node
        return None

    def _prunes(self, bound: float) -> bool:
        """Whether a node with this bound is not worth a look."""
        if not self._settled(bound):
            return False
        self.pruned = min(self.pruned, bound)
        return True

    def _expand(self, node: Node) -> list[Node] | None:
        """The children of a node, the one to dive into first; None where the program is unbounded."""
        self._apply(node.changes)
        outcome = self._relaxation.solve(self.time_left())
        if outcome == "infeasible":
            self._costs.learn(node, math.inf)
            return []
        if outcome == "unbounded":
            return self._expand_unbounded(node)
        if outcome != "optimal":
            return self._expand_blindly(node)
        z, value = self._relaxation.z, self._relaxation.value
        bound = max(node.bound, value)
        if node.parent is None:
            self._root_value = value
        self._costs.learn(node, value)
        if self._prunes(bound):
            return []
        violated, fractions = self._violations(z)
        here = replace(node, bound=bound)
        if not len(violated) and not len(fractions):
            return self._leaf(here, z)
        if self.response is not None and self.response.decides and self._leader_is_fixed():
            return self._answered(here, z)
        if self._worth_trying():
            self._try(z)
            if self._prunes(bound):
                return []
        return self._branch(here, z, violated, fractions)

    def _leaf(self, node: Node, z: np.ndarray) -> list[Node]:
        """Nothing is left where the point stands when the smaller sides are zero exactly; else nothing is known."""
        value = self._settle(z, self._applied)
        if value - node.bound <= self.gap * max(1.0, abs(value)):
            self.pruned = min(self.pruned, node.bound)
            return []
        return self._expand_blindly(node)

    def _leader_is_fixed(self) -> bool:
        assert self.response is not None
        leader, at = self.response.leader, self._relaxation
        return bool((at.low[leader] == at.high[leader]).all())

    def _answered(self, node: Node, z: np.ndarray) -> list[Node]:
        """No children: the follower's answer and the best of its ties are all there is for this leader."""
        assert self.response is not None
        outcome, found = self.response(z)
        if outcome == "failed":
            return self._expand_blindly(node)
        if outcome == "answered":
            columns = {int(e): (float(found[e]),) * 2 for e in self.response.leader}
            if self._settle(found, columns) == math.inf and self._relaxation.failed:
                return self._expand_blindly(node)
        return []

    # ---- branching ------------------------------------------------------------------------

    def _violations(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of which neither side is zero, and columns that are not whole."""
        slack, multiplier = self.linear.slacks(z), z[self.linear.pairs.multiplier]
        whole = self.linear.integer & (np.abs(z - np.round(z)) > TOLERANCE)
        return np.flatnonzero(np.minimum(slack, multiplier) > TOLERANCE), np.flatnonzero(whole)

    def _sides(self, pair: int) -> tuple[tuple[int, Range], tuple[int, Range]]:
        """What fixes the slack, and what fixes the multiplier."""
        pairs = self.linear.pairs
        entity, column = int(pairs.slack[pair]), int(pairs.multiplier[pair])
        end = self._root[1 if pairs.at_upper[pair] else 0][entity]
        return (entity, (end, end)), (column, (0.0, 0.0))

    def _decided(self, ranges: dict[int, Range], pair: int) -> bool:
        """Whether the ranges fix a side of a pair at zero."""
        for entity, (end, _) in self._sides(pair):
            low, high = ranges.get(entity, (self._root[0][entity], self._root[1][entity]))
            if low >= high and (low == end or high == end):
                return True
        return False

    def _branch(self, node: Node, z: np.ndarray, violated: np.ndarray, fractions: np.ndarray) -> list[Node]:
        """The children by the choice of the best score; those of unknown effect are tried first, the worst violated."""
        choices, violation = self._choices(z, violated, fractions)
        costs = self._costs
        order = np.argsort(-costs.scores(choices, violation), kind="stable")
        fresh = [k for k in order if costs.count[:, choices[k]].min() < RELIABLE][:CANDIDATES]
        for k in fresh:
            children = self._children(node, int(choices[k]), z)
            bounds = [self._probe(child) for child in children]
            open_ = [replace(c, bound=b) for c, b in zip(children, bounds, strict=True) if not self._prunes(b)]
            if len(open_) < 2:
                return open_
        best = int(choices[np.argmax(costs.scores(choices, violation))])
        return self._children(node, best, z)

    def _choices(
        self, z: np.ndarray, violated: np.ndarray, fractions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What can be branched on, and how much each is violated: integers first, which decide the leader's part."""
        if len(fractions):
            return len(self.linear.pairs) + fractions, np.abs(z[fractions] - np.round(z[fractions]))
        return violated, self.linear.slacks(z)[violated] * z[self.linear.pairs.multiplier[violated]]

    def _children(self, node: Node, choice: int, z: np.ndarray) -> list[Node]:
        if choice >= len(self.linear.pairs):
            column = choice - len(self.linear.pairs)
            return self._split(node, column, z[column])
        slack, multiplier = self.linear.slacks(z)[choice], z[self.linear.pairs.multiplier[choice]]
        return self._fork(node, choice, slack_first=bool(slack < multiplier))

    def _probe(self, child: Node) -> float:
        """The bound of a child, which the pseudo-costs learn from."""
        kept, range_ = self._applied, dict(self._applied)
        narrow(range_, child.entity, child.range)
        self._apply(range_)
        outcome = self._relaxation.solve(self.time_left())
        value = {"optimal": self._relaxation.value, "infeasible": math.inf}.get(outcome, child.bound)
        self._apply(kept)
        self._costs.learn(child, value)
        return max(child.bound, value)

    def _fork(self, node: Node, pair: int, slack_first: bool) -> list[Node]:
        children = [node.child(node.bound, *side, (pair, k)) for k, side in enumerate(self._sides(pair))]
        return children if slack_first else children[::-1]

    def _split(self, node: Node, column: int, value: float) -> list[Node]:
        low, high = node.changes.get(column, (self._root[0][column], self._root[1][column]))
        floor, choice = math.floor(value), len(self.linear.pairs) + column
        children = [
            node.child(node.bound, column, (low, float(floor)), (choice, 0)),
            node.child(node.bound, column, (float(floor + 1), high), (choice, 1)),
        ]
        return children if value - floor < 0.5 else children[::-1]

    def _expand_blindly(self, node: Node) -> list[Node]:
        """Children by the first open choice, where the relaxation tells nothing; a leaf of this kind is given up."""
        changes = node.changes
        for pair in range(len(self.linear.pairs)):
            if not self._decided(changes, pair):
                return self._fork(node, pair, slack_first=True)
        self.unsolved = min(self.unsolved, node.bound)
        return []

    def _expand_unbounded(self, node: Node) -> list[Node] | None:
        if self._recession is None:
            self._recession = Recession(self.linear)
        found = self._recession.solve(*self._ranges(node))
        if found is None:
            return self._expand_blindly(node)
        point, ray, violated = found
        if len(violated):
            pair = int(violated[0])
            pairs = self.linear.pairs
            return self._fork(node, pair, slack_first=self._slack_of(ray, pair) < ray[pairs.multiplier[pair]])
        fractions = self._violations(point)[1]
        if len(fractions):
            return self._split(node, int(fractions[0]), point[fractions[0]])
        self.z, self.value = point, -math.inf
        return None

    def _slack_of(self, direction: np.ndarray, pair: int) -> float:
        at = self.linear.activity(direction)[self.linear.pairs.slack[pair]]
        return float(-at if self.linear.pairs.at_upper[pair] else at)

    def _ranges(self, node: Node) -> tuple[np.ndarray, np.ndarray]:
        low, high = self._root[0].copy(), self._root[1].copy()
        for entity, range_ in node.changes.items():
            low[entity], high[entity] = range_
        return low, high

    # ---- points ---------------------------------------------------------------------------

    def _worth_trying(self) -> bool:
        return self.response is not None and (self.nodes <= 20 or self.nodes % 8 == 0)

    def _try(self, z: np.ndarray) -> None:
        """The follower's answer, then the best leader for its active set, as long as it gets better."""
        assert self.response is not None
        for _ in range(10):
            outcome, found = self.response(z)
            pattern = self._pattern(found) if outcome == "answered" else b""
            if outcome != "answered" or pattern in self._tried:
                return
            self._tried.add(pattern)
            before = self.value
            self._settle(found, {})
            if self.value >= before or self.z is None:
                return
            z = self.z

    def _pattern(self, z: np.ndarray) -> bytes:
        slack_zero = z[self.linear.pairs.multiplier] > np.maximum(self.linear.slacks(z), 0.0)
        return np.packbits(slack_zero).tobytes() + np.round(z[self.linear.integer]).tobytes()

    def _settle(self, z: np.ndarray, ranges: dict[int, Range]) -> float:
        """The best value where of each pair that the ranges leave open the side that is smaller at z is zero."""
        multiplier = z[self.linear.pairs.multiplier]
        slack_zero = multiplier > np.maximum(self.linear.slacks(z), 0.0)
        kept, wanted = self._applied, dict(ranges)
        for pair, of_slack in enumerate(slack_zero):
            if not self._decided(ranges, pair):
                narrow(wanted, *self._sides(pair)[0 if of_slack else 1])
        for column in np.flatnonzero(self.linear.integer):
            narrow(wanted, int(column), (float(np.round(z[column])),) * 2)
        self._apply(wanted)
        outcome = self._relaxation.solve(max(self.time_left(), SETTLING))
        value = self.linear.value(self._relaxation.z) if outcome == "optimal" else math.inf
        if value < self.value:
            self.z, self.value = self._relaxation.z, value
            self.improved(self.z, self.value)
        self._apply(kept)
        return value

    def _apply(self, wanted: dict[int, Range]) -> None:
        for entity in [e for e in self._applied if e not in wanted]:
            self._relaxation.change(entity, self._root[0][entity], self._root[1][entity])
        for entity, (low, high) in wanted.items():
            self._relaxation.change(entity, low, high)
        self._applied = wanted
