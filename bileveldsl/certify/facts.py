"""Facts: what is known of a function or a set, how it is known, and where it holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from bileveldsl.calculus.expr import Expr
    from bileveldsl.certify.clock import until

TIME_UP = "the time was up"
"""Why a fact is unknown that more time might decide."""

Verdict = Literal["proved", "refuted", "unknown", "assumed"]


@dataclass(frozen=True)
class Fact:
    """One property of one function of the model.

    `constant` is a proved lower bound of a modulus (mu) or upper bound of a Lipschitz constant (L), `constant_upper`
    the proved bound on its other side. A fact holds for every x of the box, or pointwise with a constant that
    depends on x; and for all y, or on the region of the follower's bounds and domain. The witness of a
    refutation holds names and values. `modulus` is a lower bound of mu as a function of the other variables, `culprit`
    the innermost expression that decided. The proofs are those of a certificate, for `constant` and `constant_upper`.
    """

    of: str
    fact: str
    verdict: Verdict
    constant: float | None = None
    constant_upper: float | None = None
    x: Literal["box", "pointwise"] = "box"
    y: Literal["all", "region"] = "all"
    rule: str = ""
    why: str = ""
    witness: Mapping[str, Any] = field(default_factory=dict, compare=False)
    modulus: Expr | None = field(default=None, compare=False)
    culprit: Expr | None = field(default=None, compare=False)
    proof: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    proof_upper: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)

    @property
    def scope(self) -> dict[str, str]:
        return {"x": self.x, "y": self.y}

    @property
    def holds(self) -> bool:
        """Whether the property may be relied on."""
        return self.verdict in ("proved", "assumed")

    def after(self, work: until) -> Fact:
        """The fact with the reason that the time was up, where it is undecided and work for it was left undone."""
        if self.verdict != "unknown" or not work.cut:
            return self
        return replace(self, why=f"{TIME_UP}; {self.why}" if self.why else TIME_UP)

    def to_json(self) -> dict[str, Any]:
        """The fact as JSON values; numbers that are not finite are strings.

        Examples
        --------
        >>> Fact("lower.objective", "strongly_convex", "proved", 2.0).to_json()["constant"]
        2.0
        """
        return {
            "of": self.of,
            "fact": self.fact,
            "verdict": self.verdict,
            "constant": _number(self.constant),
            "constant_upper": _number(self.constant_upper),
            "scope": self.scope,
            "rule": self.rule,
            "why": self.why,
            "witness": dict(self.witness) or None,
        }


def _number(value: float | None) -> float | str | None:
    if value is None or math.isfinite(value):
        return value
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
