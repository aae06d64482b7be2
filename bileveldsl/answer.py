"""What a backend came to on a problem, with its verification, and which of two answers is better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bileveldsl.backend import Backend, RawPoint
from bileveldsl.solution import Status
from bileveldsl.verify import Verified

if TYPE_CHECKING:
    from bileveldsl.execute.problem import CompiledProblem


@dataclass(frozen=True)
class Answer:
    """A backend's point with its verification."""

    raw: RawPoint
    verified: Verified
    work: Mapping[str, int]
    notes: tuple[str, ...]
    interrupted: bool = False

    @property
    def status(self) -> Status:
        """The verification's status; a run that was cut short is a limit unless its point is optimal all the same."""
        optimal = (Status.GLOBALLY_OPTIMAL, Status.LOCALLY_OPTIMAL)
        if self.raw.status in NO_ANSWER:
            return self.verified.status
        return (
            Status.LIMIT if self.raw.status == "limit" and self.verified.status not in optimal else self.verified.status
        )

    @property
    def has_point(self) -> bool:
        finite = bool(np.isfinite(self.raw.x).all() and np.isfinite(self.raw.y).all())
        return finite and self.raw.status not in NO_ANSWER

    def settles(self, backend: Backend) -> bool:
        """Whether no other backend needs to be asked: for a local method a local optimum is enough."""
        local = backend.capabilities.evidence == "local" and self.status is Status.LOCALLY_OPTIMAL
        nothing = self.raw.status in SETTLED and self.status in NO_ANSWER.values()
        return local or self.status is Status.GLOBALLY_OPTIMAL or nothing

    @property
    def message(self) -> str:
        if self.raw.status in NO_ANSWER:
            return "; ".join([self.verified.message, *self.notes])
        if not self.has_point:
            return "; ".join([self.raw.message, *self.notes])
        parts = [self.verified.message, *self.notes]
        if self.raw.status != "converged":
            parts.insert(0, self.raw.message)
        return "; ".join(parts)

    @property
    def rank(self) -> tuple[int, float]:
        """Of two answers the one with the stronger status is better, then the one with the better value."""
        value = self.verified.objective
        says = self.has_point or self.raw.status in NO_ANSWER
        strength = STRENGTH.index(self.status) + (0 if says else len(STRENGTH))
        return strength, value if math.isfinite(value) else math.inf


@dataclass(frozen=True)
class Candidate:
    """A backend that was tried, and what it came to."""

    backend: Backend
    values: Mapping[str, Any]
    problem: CompiledProblem
    answer: Answer


NO_ANSWER = {
    "infeasible": Status.INFEASIBLE, "unbounded": Status.UNBOUNDED,
    "lower_infeasible": Status.LOWER_INFEASIBLE, "lower_unbounded": Status.LOWER_UNBOUNDED,
}  # fmt: skip

SETTLED = ("infeasible", "unbounded", "lower_infeasible")
"""What a search says of the whole problem; that a follower is unbounded may be so at one decision only."""

STRENGTH = (
    Status.GLOBALLY_OPTIMAL, Status.LOCALLY_OPTIMAL, Status.FEASIBLE, Status.INFEASIBLE, Status.UNBOUNDED,
    Status.STATIONARY, Status.LIMIT, Status.LOWER_INFEASIBLE, Status.LOWER_UNBOUNDED, Status.NOT_VERIFIED,
)  # fmt: skip
