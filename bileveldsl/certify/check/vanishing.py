"""Curvature that vanishes in the limit: along a ray that stays feasible, v'Hv comes as close to 0 as one likes.

The proof is ``{"kind": "vanishing", "point": {...}, "ray": {...}, "direction": {...}}``, the ray being the points
``point + t ray`` for t >= 0. A function that is strongly convex with a modulus mu > 0 has v'Hv >= mu v'v everywhere.
"""

from __future__ import annotations

from typing import Any

from bileveldsl.certify.check.goals import Bend, Context
from bileveldsl.certify.check.rates import growth
from bileveldsl.certify.check.rays import curvature, read_ray, require_feasible
from bileveldsl.certify.check.reading import record
from bileveldsl.certify.check.terms import Rejected


def check(context: Context, goal: Bend, proof: Any) -> None:
    """Returns if a ray shows that no modulus is positive; raises Rejected if it does not."""
    fields = record(proof, {"kind", "point", "ray", "direction"})
    ray = read_ray(context, fields["point"], fields["ray"], {})
    require_feasible(context, ray)
    bend = curvature(context, goal, ray, fields["direction"])
    if not growth(context.table, bend, ray.t).tends_to_at_most_zero:
        raise Rejected("the curvature does not vanish along the ray")
