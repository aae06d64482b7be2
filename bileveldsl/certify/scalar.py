"""Bounds of a scalar function, and of the least eigenvalue of its Hessian, over boxes of its arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import sympy

from bileveldsl.calculus.expr import argument
from bileveldsl.calculus.functions import partials
from bileveldsl.certify.cover import Minimum, minimum
from bileveldsl.certify.elementary import enclose
from bileveldsl.certify.interval import Interval
from bileveldsl.certify.spectrum import least_eigenvalue, rayleigh_quotient

_TERMS = 60


def infimum(
    fn: sympy.Expr, ranges: Sequence[Interval], *, boxes: int = 64, enough: float = np.inf, hopeless: float = -np.inf
) -> Minimum:
    """The infimum of a function of `argument(0), ...` over all values in the ranges, between proved bounds.

    Examples
    --------
    >>> t = argument(0)
    >>> infimum(t**2 - t, [Interval.of(np.array(0.0), np.array(1.0))]).lower <= -0.25
    True
    """
    value = enclosure(fn)
    low, high = ends(ranges)
    return minimum(
        lambda lo, hi: value(lo, hi).lo, lambda x: value(x, x).hi, low, high,
        boxes=boxes, enough=enough, hopeless=hopeless,
    )  # fmt: skip


def nonnegative(fn: sympy.Expr, ranges: Sequence[Interval]) -> bool:
    """Whether a function is proved to be >= 0 for all values of its arguments in the ranges."""
    return infimum(fn, ranges, enough=0.0, hopeless=0.0).lower >= 0


def semidefinite(fn: sympy.Expr, wanted: Sequence[int], ranges: Sequence[Interval], sign: int) -> bool:
    """Whether `sign` times the Hessian in the wanted arguments is proved positive semidefinite over the ranges."""
    slopes = {i: derivative(fn, argument(i)) for i in wanted}
    upper = [(i, j) for i in wanted for j in wanted if i <= j]
    entries = {(i, j): enclosure(sign * derivative(slopes[i], argument(j))) for i, j in upper}
    low, high = ends(ranges)

    def hessian(lo: np.ndarray, hi: np.ndarray) -> Interval:
        rows = [[entries[min(i, j), max(i, j)](lo, hi) for j in wanted] for i in wanted]
        bounds = (np.array([[getattr(e, side) for e in row] for row in rows]) for side in ("lo", "hi"))
        below, above = (b.transpose(2, 0, 1) for b in bounds)
        return Interval.of(below, above)

    def above(points: np.ndarray) -> np.ndarray:
        return upper_curvature(hessian(points, points))[0]

    found = minimum(lambda lo, hi: least_eigenvalue(hessian(lo, hi)), above, low, high, boxes=64, enough=0, hopeless=0)
    return found.lower >= 0


def derivative(fn: sympy.Expr, symbol: sympy.Symbol) -> sympy.Expr:
    """The derivative of a scalar function by one of its symbols."""
    return partials(fn).get(symbol, sympy.Integer(0))


def upper_curvature(hessians: Interval) -> tuple[np.ndarray, np.ndarray]:
    """An upper bound of the least eigenvalue of each matrix, inf where there is none, and a vector that shows it."""
    with np.errstate(all="ignore"):
        middle = 0.5 * (hessians.lo + hessians.hi)
    usable = np.isfinite(middle).all((1, 2))
    vectors = np.linalg.eigh(np.where(usable[:, None, None], middle, 0.0))[1][:, :, 0]
    # Few digits keep the witness short; the bound holds for whatever vector it is.
    vectors = np.round(vectors * 2**10) / 2**10
    return np.where(usable, rayleigh_quotient(hessians, vectors).hi, np.inf), vectors


def enclosure(fn: sympy.Expr) -> Callable[[np.ndarray, np.ndarray], Interval]:
    """The range of a function of `argument(0), ...` over boxes with end points of shape (batch, arguments)."""
    written = forms(fn)

    def value(lo: np.ndarray, hi: np.ndarray) -> Interval:
        columns = {argument(k): Interval.of(lo[:, k], hi[:, k]) for k in range(lo.shape[1])}
        result = enclose(written[0], columns)
        for other in written[1:]:
            result = result.meet(enclose(other, columns))
        return result.map(lambda a: np.broadcast_to(a, (len(lo),)))

    return value


def forms(fn: sympy.Expr) -> tuple[sympy.Expr, ...]:
    """Ways to write a function: an interval occurs in other places in each, and every enclosure holds."""
    if fn.is_Add and len(fn.args) <= _TERMS and fn.is_polynomial():
        return fn, sympy.horner(fn)
    return (fn,)


def ends(ranges: Sequence[Interval]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([r.least for r in ranges]), np.array([r.greatest for r in ranges])
