"""Everything that can be said about a model without solving it: diagnostics, facts, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bileveldsl.known import BUDGET, known_facts
from bileveldsl.language.diagnostics import BlvError, Diagnostic
from bileveldsl.program import Program

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact
    from bileveldsl.choose import Explanation
    from bileveldsl.model import Model
    from bileveldsl.verdict.culprit import Culprit
    from bileveldsl.verdict.follower import FollowerVerdict

TOLERANCE = 1e-6
"""The accuracy that step counts and penalties are given for: the default of the verification."""


@dataclass(frozen=True)
class Report:
    """The findings about a model; `program` is None when it has errors that leave none."""

    diagnostics: tuple[Diagnostic, ...]
    facts: tuple[Fact, ...]
    verdict: dict[str, Any]
    program: Program | None
    followers: tuple[FollowerVerdict, ...] = ()
    culprits: tuple[Culprit | None, ...] = ()
    moduli: tuple[str | None, ...] = ()
    interrupted: bool = False

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self.diagnostics if d.severity == "error")

    def facts_json(self) -> list[dict[str, Any]]:
        """The facts as JSON values, with what decided each and where it stands."""
        return [
            {**fact.to_json(), "culprit": found and found.to_json(), "modulus": modulus}
            for fact, found, modulus in zip(self.facts, self.culprits, self.moduli, strict=True)
        ]

    def text(self) -> str:
        """The facts and their consequence for a person; empty where the model has errors."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        from bileveldsl.verdict.text import facts_text, verdict_text

        if self.program is None:
            return
        yield from facts_text(self.program, list(zip(self.facts, self.culprits, self.moduli, strict=True)))
        for follower in self.followers:
            yield from verdict_text(follower, TOLERANCE)
            yield ""
        yield from _choice(self.verdict["backend"], self.verdict["reason"], self.verdict["others"])


def check(model: Model, /, certify_budget: float = BUDGET, **given: Any) -> Report:
    """Check a model: its language, its data, its claims; and say which class it is in.

    Parameters
    ----------
    model
        The model; `given` values replace its parameters.
    certify_budget
        Seconds after which what is not yet proved is reported unknown.

    Examples
    --------
    >>> import bileveldsl as blv
    >>> text = "model m; upper { var x in [0, 1]; minimize (x - y)^2 }; lower { var y; minimize (y - x)^2 }"
    >>> check(blv.loads(text)).verdict["class"]
    'strongly convex follower, unconstrained'
    """
    from bileveldsl.verdict.follower import judge_follower

    try:
        program = model.program(**given)
    except BlvError as error:
        return Report(error.diagnostics, (), {}, None)
    found = known_facts(model, program, certify_budget)
    facts, diagnostics = found.facts, (*program.warnings, *found.findings)
    followers = tuple(judge_follower(program, level, facts, TOLERANCE) for level in program.lower)
    explanation = _explained(program, facts)
    verdict = {
        "class": "; ".join(follower.title for follower in followers),
        "backend": explanation.backend,
        "reason": explanation.reason,
        "others": dict(explanation.others),
        "ok": not any(d.severity == "error" for d in diagnostics),
        "tolerance": TOLERANCE,
        "followers": [follower.to_json() for follower in followers],
    }
    culprits = tuple(found.culprits.get((fact.of, fact.fact)) for fact in facts)
    moduli = tuple(found.moduli.get((fact.of, fact.fact)) for fact in facts)
    return Report(diagnostics, facts, verdict, program, followers, culprits, moduli, found.interrupted)


OPERATIONS = 5000
"""In the functions of a model, up to which `check` also says which backend would solve it, which takes derivatives."""


def _explained(program: Program, facts: Sequence[Fact]) -> Explanation:
    """The backend that the facts lead to."""
    from bileveldsl.certify.parts import operations
    from bileveldsl.choose import Explanation
    from bileveldsl.solve import explain_program

    if operations(part for level in program.levels for part in level.expressions) <= OPERATIONS:
        return explain_program(program, facts, str(program.options.get("backend", "auto")))
    return Explanation(None, "not decided for functions this long; `bileveldsl explain` does it", (), ())


def _choice(backend: str | None, reason: str, others: Mapping[str, str]) -> Iterator[str]:
    """The backend with the reason for it, those that would do as well, and the reasons against the others."""
    yield f"no backend: {reason}" if backend is None else f"{backend}: {reason}"
    admissible = [name for name, objection in others.items() if objection.startswith("admissible")]
    if admissible:
        yield f"also possible: {', '.join(admissible)}"
    alike: dict[str, list[str]] = {}
    for name, objection in others.items():
        if name not in admissible:
            alike.setdefault(objection.replace(f"; {name} ", "; each "), []).append(name)
    for objection, names in alike.items():
        yield f"not {', '.join(names)}: {others[names[0]] if len(names) == 1 else objection}"
