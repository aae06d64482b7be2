"""Where a function seems to have its minimizers and other stationary points, in floating point: guesses, no proofs."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from bileveldsl.certify.cover import finite_box, scattered
from bileveldsl.certify.scalars import Scalar, evaluate, gradient, hessian
from bileveldsl.certify.statement import Question

_STEPS = 60
_LARGEST_STEP = 4.0
_STARTS = 24
_SAMPLES = 12
FAR = 1e6
"""Where a minimizer is taken to be none, but a way to infinity."""


class Landscape:
    """Values, slopes and Hessians of a function in its own variables, over batches of points of all variables."""

    def __init__(self, root: Scalar, own: Sequence[int]):
        self.root, self.own = root, list(own)
        self._slopes = gradient(root, own)
        self._bends = hessian(root, own)

    def values(self, points: np.ndarray) -> np.ndarray:
        return np.nan_to_num(evaluate([self.root], points)[0], nan=np.inf, posinf=np.inf, neginf=-np.inf)

    def slopes(self, points: np.ndarray) -> np.ndarray:
        """Gradients, shape (batch, own)."""
        return evaluate(self._slopes, points).T

    def hessians(self, points: np.ndarray) -> np.ndarray:
        size = len(self.own)
        result = np.zeros((len(points), size, size))
        if self._bends:
            for (i, j), entry in zip(self._bends, evaluate(list(self._bends.values()), points), strict=True):
                result[:, i, j] = result[:, j, i] = entry
        return result

    def descended(self, points: np.ndarray) -> np.ndarray:
        """Points after Newton steps made to descend by taking the eigenvalues at their absolute values."""
        points = points.astype(np.float64)
        values = self.values(points)
        for _ in range(_STEPS):
            step = self._newton(points, descending=True)
            moving = np.isfinite(values)
            for _ in range(20):
                trial = points.copy()
                trial[:, self.own] += np.where(moving[:, None], step, 0.0)
                new = self.values(trial)
                better = new < values
                points[better], values[better] = trial[better], new[better]
                moving &= ~better
                step = step * 0.5
                if not moving.any():
                    break
            if not better.any() and moving.all():
                break
        return points

    def stationary(self, points: np.ndarray) -> np.ndarray:
        """The points where Newton's method on the gradient converges, of any kind, each once."""
        points = points.astype(np.float64)
        for _ in range(_STEPS):
            points[:, self.own] += self._newton(points, descending=False)
        size = np.abs(self.slopes(points)).max(1)
        scale = 1 + np.abs(self.hessians(points)).max((1, 2))
        near = np.isfinite(size) & (size <= 1e-10 * scale) & (np.abs(points).max(1) < 1e4)
        return _distinct(points[near])

    def _newton(self, points: np.ndarray, descending: bool) -> np.ndarray:
        with np.errstate(all="ignore"):
            slopes, bends = self.slopes(points), self.hessians(points)
            usable = np.isfinite(slopes).all(1) & np.isfinite(bends).all((1, 2))
            slopes, bends = np.where(usable[:, None], slopes, 0.0), np.where(usable[:, None, None], bends, 0.0)
            eigenvalues, vectors = np.linalg.eigh(bends)
            floor = 1e-10 * (1e-30 + np.abs(eigenvalues).max(1, keepdims=True))
            size = np.maximum(np.abs(eigenvalues), floor)
            inverse = 1 / (size if descending else np.where(eigenvalues < 0, -size, size))
            moved = np.einsum("bji,bj->bi", vectors, slopes) * inverse
            step = -np.einsum("bij,bj->bi", vectors, moved)
            length = np.sqrt((step * step).sum(1, keepdims=True))
            most = _LARGEST_STEP + np.abs(points[:, self.own]).max(1, keepdims=True) * descending
            return np.nan_to_num(step * np.minimum(1.0, most / np.maximum(length, 1e-300)))


def starts(question: Question, others: Sequence[float] | np.ndarray | None = None, radius: float = 4.0) -> np.ndarray:
    """Points to start from: own variables around 0, the others at given values or at several of their boxes."""
    count = _STARTS if others is not None else _SAMPLES * 4
    low, high = finite_box(question.lo, question.hi)
    shares = scattered(count, len(low))
    points = low + shares * (high - low)
    own = list(question.own)
    points[:, own] = radius * (2 * scattered(count, len(own), 7) - 1)
    points[0, own] = 0.0
    if others is not None:
        points[:, [i for i in range(len(low)) if i not in own]] = others
        return points
    # A few values of the other variables, each with several starts.
    kept = [i for i in range(len(low)) if i not in own]
    points[:, kept] = np.repeat(_values(low[kept], high[kept]), -(-count // _SAMPLES), axis=0)[:count]
    return points


def _values(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Values of other variables: the ends and the middle of their boxes, zero, some between."""
    fixed = [low, high, low + 0.5 * (high - low), np.clip(np.zeros_like(low), low, high)]
    return np.array([*fixed, *(low + scattered(_SAMPLES - 4, len(low)) * (high - low))])


def shortened(value: float, tolerance: float = 1e-7) -> Fraction:
    """A rational with a small denominator near a float, else the float itself cut to 40 bits."""
    for denominator in (1, 2, 12, 100, 1000):
        near = Fraction(value).limit_denominator(denominator)
        if abs(float(near) - value) <= tolerance * max(1.0, abs(value)):
            return near
    return Fraction(round(value * 2**30), 2**30)


def _distinct(points: np.ndarray) -> np.ndarray:
    kept: list[np.ndarray] = []
    for point in points:
        if all(np.abs(point - other).max() > 1e-5 * (1 + np.abs(other).max()) for other in kept):
            kept.append(point)
    return np.array(kept).reshape(len(kept), points.shape[1])
