"""The nodes of branch and bound, and what is learned of the choices that make them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

Range = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Node:
    """A subproblem: its parent's, and one more range."""

    bound: float = -math.inf
    depth: int = 0
    parent: Node | None = None
    entity: int = -1
    range: Range = (0.0, 0.0)
    branch: tuple[int, int] | None = None  # the choice it comes from and the side, for the pseudo-costs

    def child(self, bound: float, entity: int, range_: Range, branch: tuple[int, int]) -> Node:
        return Node(bound, self.depth + 1, self, entity, range_, branch)

    @property
    def changes(self) -> dict[int, Range]:
        """The narrowest range of each entity on the way from the root; empty where two exclude each other."""
        found: dict[int, Range] = {}
        node: Node | None = self
        while node is not None and node.parent is not None:
            narrow(found, node.entity, node.range)
            node = node.parent
        return found


def narrow(ranges: dict[int, Range], entity: int, range_: Range) -> None:
    """Intersect the range of an entity with another."""
    low, high = ranges.get(entity, range_)
    ranges[entity] = (max(low, range_[0]), min(high, range_[1]))


@dataclass
class PseudoCosts:
    """The mean rise of the bound by each choice and side."""

    size: int
    rise: np.ndarray = field(init=False)
    count: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.rise, self.count = np.zeros((2, self.size)), np.zeros((2, self.size))

    def learn(self, node: Node, value: float) -> None:
        if node.branch is None or not math.isfinite(node.bound):
            return
        choice, side = node.branch
        rise = max(value - node.bound, 0.0) if math.isfinite(value) else 2.0 * self._mean + 1e-3 * abs(node.bound)
        self.rise[side, choice] += rise
        self.count[side, choice] += 1

    @property
    def _mean(self) -> float:
        return float(self.rise.sum() / max(1.0, self.count.sum()))

    def scores(self, choices: np.ndarray, violation: np.ndarray) -> np.ndarray:
        """The product of both sides' rises; the size of the violation tells choices of equal score apart."""
        count = self.count[:, choices]
        mean = np.where(count > 0, self.rise[:, choices] / np.maximum(count, 1.0), self._mean)
        score = np.prod(np.maximum(mean, 1e-9 + 1e-6 * self._mean), axis=0)
        most = max(float(violation.max()), 1e-300)
        return score * (1e-3 + violation / most)
