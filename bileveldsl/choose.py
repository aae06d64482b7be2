"""The choice of a backend from what is proved about the program, with the reasons for and against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bileveldsl import registry
from bileveldsl.backend import Backend
from bileveldsl.language.diagnostics import BlvError, Diagnostic
from bileveldsl.program import Program

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact

PREFERENCE = ("implicit", "f2ba")
"""Admissible backends are tried in this order; those of plugins follow in the order of their names."""


@dataclass(frozen=True)
class Explanation:
    """The backend that would be used, why, through which rewrites, and why not each of the others."""

    backend: str | None
    reason: str
    path: tuple[str, ...]
    others: tuple[tuple[str, str], ...]


def choose(
    program: Program, facts: Sequence[Fact], wanted: str = "auto", reductions: Sequence[str] = ()
) -> Explanation:
    """The backend to use for a reduced program.

    Parameters
    ----------
    program
        After reductions: what a backend would be given.
    facts
        What is known about the user's program.
    wanted
        A backend's name, or `auto`.
    reductions
        The names of the rewrites that led to `program`.
    """
    objections = {backend.name: _objection(backend, program, facts) for backend in registry.backends()}
    path = ("Program", *reductions)
    if wanted != "auto":
        reason = "asked for by name"
        objection = objections.get(registry.get(wanted).name)
        others = tuple((name, why or "admissible; not asked for") for name, why in objections.items() if name != wanted)
        if objection:
            return Explanation(None, objection, path, others)
        return Explanation(wanted, f"{reason}; {_evidence(program, facts)}", (*path, wanted), others)
    order = sorted(
        objections, key=lambda name: (PREFERENCE.index(name) if name in PREFERENCE else len(PREFERENCE), name)
    )
    admissible = [name for name in order if objections[name] is None]
    if not admissible:
        return Explanation(
            None, "no backend accepts this model yet", path, tuple((n, objections[n] or "") for n in order)
        )
    chosen = admissible[0]
    others = tuple((n, objections[n] or f"admissible; {chosen} is preferred") for n in order if n != chosen)
    return Explanation(chosen, _evidence(program, facts), (*path, chosen), others)


def require_backend(explanation: Explanation, program: Program, wanted: str) -> str:
    """The chosen backend's name; a model that none accepts is the user's to hear of, with what is missing."""
    if explanation.backend is not None:
        return explanation.backend
    span = next((level.span for level in program.lower), program.upper.span)
    if wanted != "auto":
        raise BlvError(
            [
                Diagnostic(
                    "E606",
                    f"{wanted} does not accept this model",
                    span,
                    explanation.reason,
                    (),
                    "use --backend auto, or explain MODEL for what each backend accepts",
                )
            ]
        )
    reasons = "; ".join(f"{name}: {why}" for name, why in explanation.others)
    raise BlvError([Diagnostic("E607", "no backend accepts this model yet", span, "", (), reasons)])


def _objection(backend: Backend, program: Program, facts: Sequence[Fact]) -> str | None:
    try:
        return backend.available() or backend.admits(program, facts)
    except Exception as error:
        if backend.name in registry.BUILT_IN:
            raise
        return f"its plugin failed to say whether it accepts the model ({type(error).__name__}: {error})"


def _evidence(program: Program, facts: Sequence[Fact]) -> str:
    """What is known of the follower, in the words of a report: `lower level strongly convex (mu = 2, proved)`."""
    parts = []
    for level in program.lower:
        known = {f.fact: f for f in facts if f.of == f"{level.name}.objective" and f.verdict in ("proved", "assumed")}
        if "strongly_convex" in known:
            fact = known["strongly_convex"]
            constant = f"mu = {fact.constant:.6g}, " if fact.constant is not None else ""
            parts.append(f"{_called(level.name)} strongly convex ({constant}{fact.verdict})")
        elif "convex" in known:
            parts.append(f"{_called(level.name)} convex ({known['convex'].verdict})")
        else:
            parts.append(f"nothing is proved about the convexity of {_called(level.name)}")
    return "; ".join(parts)


def _called(name: str) -> str:
    return "lower level" if name == "lower" else f"follower {name}"
