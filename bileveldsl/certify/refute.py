"""Three points on a line that show a function not convex, for functions without usable second derivatives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from bileveldsl.calculus.expr import Expr, Symbol, symbols_of
from bileveldsl.certify.cover import finite_box, scattered
from bileveldsl.certify.interval import Interval
from bileveldsl.certify.parts import multiplications
from bileveldsl.certify.ranges import Ranges
from bileveldsl.certify.region import Region

_TRIALS = 128
_WORK = 1e8


def midpoint_violation(root: Expr, symbols: Sequence[Symbol], region: Region) -> dict[str, Any] | None:
    """Two points and their midpoint, all feasible, where f(midpoint) is proved to exceed the mean of f."""
    # With every variable of the constraints among them, the three points are on one line of the feasible set.
    occurring = symbols_of(root) | {v.symbol for v in region.constrained}
    variables = [v for v in region.program.variables if v.symbol in occurring]
    if _TRIALS * (multiplications([root]) + sum(math.prod(v.symbol.shape) for v in variables)) > _WORK:
        return None
    first, second, middle = {}, {}, {}
    exact = np.ones(_TRIALS, dtype=bool)
    for k, v in enumerate(variables):
        low, high = finite_box(v.lower, v.upper)
        shares = [scattered(_TRIALS, low.size + 2 * k, start)[:, 2 * k :] for start in (1, 1 + _TRIALS)]
        a, b = (low + share.reshape(_TRIALS, *low.shape) * (high - low) for share in shares)
        first[v.symbol] = a
        second[v.symbol] = b = b if v.symbol in symbols else a
        middle[v.symbol] = a + (b - a) / 2
        exact &= _is_middle(a, b, middle[v.symbol])
    triple = (first, second, middle)
    at = [Ranges({s: Interval.point(v) for s, v in values.items()})(root) for values in triple]
    excess = at[2] - (at[0] + at[1]) * Interval.point(0.5)
    feasible = region.inside(first) & region.inside(second) & region.inside(middle)
    found = np.flatnonzero((np.broadcast_to(excess.lo, (_TRIALS,)) > 0) & feasible & exact)
    if not len(found):
        return None
    k = found[0]
    ends = [{s.name: values[s][k].tolist() for s in values} for values in (first, second)]
    return {"from": ends[0], "to": ends[1], "excess": float(excess.lo[min(k, len(excess.lo) - 1)])}


def _is_middle(a: np.ndarray, b: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """For which trials no rounding took the midpoint off the line."""
    gap = Interval.point(a) + Interval.point(b) - Interval.point(middle) * Interval.point(2.0)
    return ((gap.lo == 0) & (gap.hi == 0)).reshape(_TRIALS, -1).all(1)
