"""Rays of unbounded relaxations, and whether they prove a program with complementarities unbounded."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from bileveldsl.single_level.highs import Relaxation
from bileveldsl.single_level.linear import TOLERANCE, Linear


class Recession:
    """Rays along which the objective of a relaxation falls without end."""

    def __init__(self, linear: Linear):
        cone = linear
        if linear.hessian is not None:
            zero = np.zeros(linear.size)
            cone = linear.with_rows(linear.hessian, zero, zero)
        self.linear = linear
        self._extra = cone.matrix.shape[0] - linear.matrix.shape[0]
        self._rays = Relaxation(replace(cone, offset=0.0, hessian=None))
        self._points = Relaxation(replace(linear, cost=np.zeros(linear.size), hessian=None))

    def solve(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """A feasible point, a ray, and the pairs that the points far along the ray violate, the worst first."""
        for entity, (a, b) in enumerate(zip(low, high, strict=True)):
            self._points.change(entity, a, b)
            most = 1.0 if entity < self.linear.size else math.inf
            self._rays.change(entity, 0.0 if math.isfinite(a) else -most, 0.0 if math.isfinite(b) else most)
        if self._points.solve() != "optimal" or self._rays.solve() != "optimal" or self._rays.value > -1e-9:
            return None
        point, ray = self._points.z, self._rays.z
        return point, ray, self._violated(point, ray)

    def _violated(self, point: np.ndarray, ray: np.ndarray) -> np.ndarray:
        linear = self.linear
        pairs = linear.pairs
        along = linear.activity(ray)[pairs.slack] * np.where(pairs.at_upper, -1.0, 1.0)
        fast = along * ray[pairs.multiplier]
        slow = along * point[pairs.multiplier] + linear.slacks(point) * ray[pairs.multiplier]
        here = linear.slacks(point) * point[pairs.multiplier]
        order = np.lexsort((-here, -slow, -fast))
        bad = np.maximum(np.maximum(fast, slow), here) > TOLERANCE
        return order[bad[order]]
