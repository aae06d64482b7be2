"""The innermost expression that decided a fact, as it was written and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bileveldsl.language.diagnostics import Span

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact
    from bileveldsl.program import Program

LENGTH = 100
"""Characters of a formula that are shown."""


@dataclass(frozen=True)
class Culprit:
    """A formula with its place in the source."""

    formula: str
    span: Span

    @property
    def where(self) -> str:
        """`toy.blv:11:12`."""
        line, column = self.span.source.position(self.span.start)
        return f"{self.span.source.path}:{line}:{column}"

    def to_json(self) -> dict[str, Any]:
        from bileveldsl.language.render import place_json

        return {"formula": self.formula, **place_json(self.span)}


def culprit(program: Program, fact: Fact) -> Culprit | None:
    """What decided a fact; without a better place, that of the objective or constraint that the fact is about."""
    within = _span(program, fact.of)
    if fact.culprit is None or within is None:
        return None
    place = program.places.find(fact.culprit, within)
    if place is not None and "\n" not in place.text and len(place.text) <= LENGTH:
        return Culprit(place.text, place)
    formula = repr(fact.culprit)
    return Culprit(formula if len(formula) <= LENGTH else f"{formula[:LENGTH]}...", place or within)


def _span(program: Program, of: str) -> Span | None:
    """The place of the objective or constraint with this name."""
    for level in program.levels:
        if of.startswith(f"{level.name}."):
            return level.objective_span
        for constraint in level.constraints:
            if of == constraint.label or of.startswith(f"{constraint.label}["):
                return constraint.span
    return None
