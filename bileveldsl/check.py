"""Everything that can be said about a model without solving it: diagnostics, facts, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bileveldsl.language.diagnostics import BlvError, Diagnostic
from bileveldsl.program import Level, Program

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact
    from bileveldsl.model import Model


@dataclass(frozen=True)
class Report:
    """The findings about a model; `program` is None when it has errors that leave none."""

    diagnostics: tuple[Diagnostic, ...]
    facts: tuple[Fact, ...]
    verdict: dict[str, Any]
    program: Program | None

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self.diagnostics if d.severity == "error")


def check(model: Model, **given: Any) -> Report:
    """Check a model: its language, its data, its claims; and say which class it is in.

    Examples
    --------
    >>> import bileveldsl as blv
    >>> text = "model m; upper { var x in [0, 1]; minimize (x - y)^2 }; lower { var y; minimize (y - x)^2 }"
    >>> check(blv.loads(text)).verdict["class"]
    'strongly convex follower, unconstrained'
    """
    from bileveldsl.certify.claims import check_claims
    from bileveldsl.certify.lower_level import certify

    try:
        program = model.program(**given)
    except BlvError as error:
        return Report(error.diagnostics, (), {}, None)
    facts, findings = check_claims(program, certify(program))
    diagnostics = (*program.warnings, *findings)
    return Report(diagnostics, facts, _verdict(program, facts, diagnostics), program)


OPERATIONS = 5000
"""In the functions of a model, up to which `check` also says which backend would solve it, which takes derivatives."""


def _verdict(program: Program, facts: tuple[Fact, ...], diagnostics: tuple[Diagnostic, ...]) -> dict[str, Any]:
    """The class of the program and the backend that its facts lead to."""
    from bileveldsl.certify.parts import operations
    from bileveldsl.choose import Explanation
    from bileveldsl.solve import explain_program

    explanation = Explanation(None, "not decided for functions this long; `bileveldsl explain` does it", (), ())
    if operations(part for level in program.levels for part in level.expressions) <= OPERATIONS:
        explanation = explain_program(program, facts)
    return {
        "class": "; ".join(_class(level, facts) for level in program.lower),
        "backend": explanation.backend,
        "reason": explanation.reason,
        "others": dict(explanation.others),
        "ok": not any(d.severity == "error" for d in diagnostics),
    }


def _class(level: Level, facts: tuple[Fact, ...]) -> str:
    verdicts = {f.fact: f.verdict for f in facts if f.of == f"{level.name}.objective"}
    if verdicts.get("strongly_convex") in ("proved", "assumed"):
        kind = "strongly convex follower"
    elif verdicts.get("convex") in ("proved", "assumed"):
        kind = "convex follower"
    elif verdicts.get("convex") == "refuted":
        kind = "nonconvex follower"
    else:
        kind = "follower of unknown convexity"
    limits = (
        "constrained"
        if level.constraints
        else "bounded"
        if any(v.bounded for v in level.variables)
        else "unconstrained"
    )
    name = "" if level.name == "lower" else f" {level.name}"
    return f"{kind}{name}, {limits}"
