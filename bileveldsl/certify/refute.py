"""Three points on a line that show a function not convex, for functions without usable second derivatives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from bileveldsl.calculus.expr import Expr, Symbol, symbols_of
from bileveldsl.certify.cover import scattered
from bileveldsl.certify.interval import Interval
from bileveldsl.certify.parts import multiplications
from bileveldsl.certify.ranges import Ranges
from bileveldsl.certify.region import Region

_TRIALS = 128
_WORK = 1e8


def midpoint_violation(root: Expr, symbols: Sequence[Symbol], region: Region) -> dict[str, Any] | None:
    """Two points and their midpoint, all feasible, where f(midpoint) is proved to exceed the mean of f."""
    occurring = symbols_of(root)
    variables = [v for v in region.program.variables if v.symbol in occurring]
    if _TRIALS * (multiplications([root]) + sum(math.prod(v.symbol.shape) for v in variables)) > _WORK:
        return None
    first, second, middle = {}, {}, {}
    for k, v in enumerate(variables):
        low = np.where(np.isfinite(v.lower), v.lower, np.where(np.isfinite(v.upper), v.upper - 8, -4))
        high = np.where(np.isfinite(v.upper), v.upper, low + 8)

        shares = [scattered(_TRIALS, low.size + 2 * k, start)[:, 2 * k :] for start in (1, 1 + _TRIALS)]
        a, b = (low + share.reshape(_TRIALS, *low.shape) * (high - low) for share in shares)
        first[v.symbol] = a
        second[v.symbol] = b = b if v.symbol in symbols else a
        middle[v.symbol] = a + (b - a) / 2
    triple = (first, second, middle)
    # The middle is exact where twice the middle minus one end is the other: only then is it on the line.
    exact = np.ones(_TRIALS, dtype=bool)
    for s in middle:
        parts = [Interval.point(values[s]) for values in triple]
        gap = parts[0] + parts[1] - parts[2] * Interval.point(2.0)
        exact &= ((gap.lo == 0) & (gap.hi == 0)).reshape(_TRIALS, -1).all(1)
    at = [Ranges({s: Interval.point(v) for s, v in values.items()})(root) for values in triple]
    excess = at[2] - (at[0] + at[1]) * Interval.point(0.5)
    feasible = region.inside(first) & region.inside(second) & region.inside(middle)
    found = np.flatnonzero((np.broadcast_to(excess.lo, (_TRIALS,)) > 0) & feasible & exact)
    if not len(found):
        return None
    k = found[0]
    ends = [{s.name: values[s][k].tolist() for s in values} for values in (first, second)]
    return {"from": ends[0], "to": ends[1], "excess": float(excess.lo[min(k, len(excess.lo) - 1)])}
