"""The minimum of a function over a box between proved bounds, by bisection of boxes, best first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bileveldsl.certify.clock import check, share, until

_FAR = 1e6  # an infinite side is cut up to here
_AT_ONCE = 32
_SAMPLES = 32
_PART = 0.5  # of the time that is left
_TOLERANCE = 0.01  # of the upper bound; more digits of a modulus change nothing


@dataclass(frozen=True)
class Minimum:
    """`lower <= inf <= upper`; the point, if there is one, is where `upper` was found."""

    lower: float
    upper: float
    point: np.ndarray | None
    boxes: int


def minimum(
    below: Callable[[np.ndarray, np.ndarray], np.ndarray],
    above: Callable[[np.ndarray], np.ndarray],
    lower: np.ndarray,
    upper: np.ndarray,
    *,
    boxes: int = 256,
    enough: float = np.inf,
    hopeless: float = -np.inf,
    patience: int = 12,
) -> Minimum:
    """Encloses the infimum of a function over a box, as well as the time allows.

    Parameters
    ----------
    below : from end points of shape (batch, n), a lower bound of the function over each box
    above : from points of shape (batch, n), an upper bound of the function at each, inf where it does not count
    lower, upper : end points of the box, shape (n,), possibly infinite
    boxes : how many boxes to look at, at most
    enough : a lower bound at least this ends the search
    hopeless : an upper bound below this ends the search
    patience : rounds after which a lower bound that is still -inf is believed

    Examples
    --------
    >>> square = lambda lo, hi: np.where((lo <= 0) & (hi >= 0), 0, np.minimum(lo**2, hi**2))[:, 0]
    >>> minimum(square, lambda x: x[:, 0] ** 2, np.array([-1.0]), np.array([3.0])).lower
    0.0
    """
    check()
    lo, hi = lower[None].astype(np.float64), upper[None].astype(np.float64)
    bounds, best, point = np.full(1, -np.inf), np.inf, None
    looked = rounds = 1
    with until(share(_PART)):  # what is known when the time is up holds
        bounds = below(lo, hi)
        best, point = _best(above, _samples(lo[0], hi[0], _SAMPLES if boxes > 1 else 0), np.inf, None)
        while lo.shape[1] and looked < boxes and best >= hopeless:
            check()
            rounds += 1
            if bounds.min() >= enough or (rounds > patience and np.isinf(bounds.min())):
                break
            tolerance = _TOLERANCE * abs(best) if np.isfinite(best) else 0.0
            worst = np.argsort(bounds, kind="stable")[:_AT_ONCE]
            worst = worst[bounds[worst] < best - tolerance]
            if not len(worst):
                break
            axis, cut = _cuts(lo[worst], hi[worst])
            if not cut[0]:  # a box that cannot be cut any more bounds the infimum for good
                break
            worst, axis = worst[cut], axis[cut]
            new_lo, new_hi = _halves(lo[worst], hi[worst], axis)
            best, point = _best(above, _middle(new_lo, new_hi), best, point)
            rest = np.setdiff1d(np.arange(len(bounds)), worst)
            bounds = np.concatenate([bounds[rest], np.maximum(below(new_lo, new_hi), np.tile(bounds[worst], 2))])
            lo, hi = np.concatenate([lo[rest], new_lo]), np.concatenate([hi[rest], new_hi])
            looked += len(new_lo)
    return Minimum(float(bounds.min()), float(best), point, looked)


def _best(
    above: Callable[[np.ndarray], np.ndarray], points: np.ndarray, best: float, point: np.ndarray | None
) -> tuple[float, np.ndarray | None]:
    values = above(points)
    k = int(np.argmin(values))
    return (float(values[k]), points[k]) if values[k] < best else (best, point)


def _samples(lower: np.ndarray, upper: np.ndarray, count: int) -> np.ndarray:
    """A few short points of the box: its corners as far as they are finite, its middle, and some between."""
    low, high = finite_box(lower, upper)
    shares = scattered(count, len(lower))
    inner = [low, high, _middle(lower[None], upper[None])[0], np.zeros_like(low), *(low + shares * (high - low))]
    return np.clip(np.array(inner), lower, upper)


def finite_box(lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A box within another to take points from: its infinite sides cut to length 16."""
    low = np.where(np.isfinite(lower), lower, np.where(np.isfinite(upper), upper - 16, -8))
    return low, np.where(np.isfinite(upper), upper, low + 16)


def scattered(count: int, size: int, first: int = 1) -> np.ndarray:
    """Points of the unit cube with few binary digits, spread evenly: the fractions of multiples of square roots."""
    turns = np.sqrt(np.arange(2, 2 + size) + 0.5)
    return np.floor(np.modf(np.outer(np.arange(first, first + count), turns))[0] * 64) / 64


def _middle(lo: np.ndarray, hi: np.ndarray) -> np.ndarray:
    """A point inside each box: the midpoint of a finite side; 0, 1, 16, 256, ... along an infinite one."""
    with np.errstate(all="ignore"):
        inner = lo + 0.5 * (hi - lo)
        up = np.where(lo < 0, 0.0, np.where(lo < 1, 1.0, 16 * lo))
        down = np.where(hi > 0, 0.0, np.where(hi > -1, -1.0, 16 * hi))
    both = np.isinf(lo) & np.isinf(hi)
    return np.where(both, 0.0, np.where(np.isinf(hi), up, np.where(np.isinf(lo), down, inner)))


def _cuts(lo: np.ndarray, hi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The longest side of each box, and whether it can be cut."""
    middle = _middle(lo, hi)
    width = np.where((middle > lo) & (middle < hi) & (np.abs(middle) <= 16 * _FAR), hi - lo, -1.0)
    axis = np.argmax(width, 1)
    return axis, width[np.arange(len(lo)), axis] > 0


def _halves(lo: np.ndarray, hi: np.ndarray, axis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, middle = np.arange(len(lo)), _middle(lo, hi)
    low, high = lo.copy(), hi.copy()
    high[rows, axis] = middle[rows, axis]
    low[rows, axis] = middle[rows, axis]
    return np.concatenate([lo, low]), np.concatenate([high, hi])
