"""Functions over large arrays, of which no Hessian is formed: what single points and directions show of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bileveldsl.calculus.expr import Expr
from bileveldsl.certify.curvature import Composition
from bileveldsl.certify.large.extremes import extremes
from bileveldsl.certify.large.kernel import kernel
from bileveldsl.certify.region import Region
from bileveldsl.certify.second_order import Bends, Bound


def other_sides(
    root: Expr, region: Region, composition: Composition, bends: Bends
) -> tuple[Bends, Mapping[str, Any] | None]:
    """Bounds with what points and directions show of their other sides, and the witness where it is not convex."""
    seen = extremes(root, region, *(b.value if b else None for b in (bends.mu, bends.L)))
    witness = None
    if seen.least is not None:
        least = Bound(seen.least.high, seen.least.proof)
        if bends.mu_upper is None or bends.mu_upper.proof is None:
            bends = replace(bends, mu_upper=least)
        if least.value < 0:
            bends, witness = replace(bends, refuted=least.proof), seen.least.witness
    if seen.greatest is not None and seen.greatest.size > 0:
        bends = replace(bends, L_lower=Bound(seen.greatest.size, seen.greatest.proof))
    if (bends.mu is None or bends.mu.value <= 0) and (bends.mu_upper is None or bends.mu_upper.value > 0):
        flat = kernel(root, region, composition)
        bends = bends if flat is None else replace(bends, mu_upper=Bound(0.0, flat))
    return bends, witness


__all__ = ["other_sides"]
