"""What was measured at a point."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """The numbers behind a status; those of constraints are absolute, those of the follower relative to 1 + |f|.

    `better` is by how much the follower was seen to do better; `hypergradient` the norm of the (projected)
    hyper-gradient, where there is one. `at_rest` tells whether first-order conditions of the bilevel problem hold,
    `rest` says it in words. `doubt` is why nothing could be measured.
    """

    upper_violation: float
    lower_violation: float
    objective: float = math.nan
    gap: float | None = None
    method: str = "none"
    better: float = 0.0
    hypergradient: float | None = None
    at_rest: bool = False
    rest: str = ""
    doubt: str = ""
