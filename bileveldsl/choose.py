"""The choice of a backend from what is proved about the program, with the reasons for and against."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bileveldsl import registry
from bileveldsl.backend import Backend
from bileveldsl.certify.parts import multiplications, operations
from bileveldsl.language.diagnostics import BlvError, Diagnostic
from bileveldsl.program import Program
from bileveldsl.reduce.base import Reduced
from bileveldsl.reduce.followers import JOINT
from bileveldsl.verdict.bounds import at_least

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact

SMALL, TINY = 200, 10
"""Scalar variables up to which a search for the global optimum comes first: TINY where `implicit` applies, which is
quick and exact for its class, else SMALL."""

OPERATIONS = 50_000
"""Of the functions' expressions written out, beyond which no global search comes first."""

FIRST_ORDER = ("galet", "f2ba", "pbgd", "rxgf", "bome", "f2bsa")
GLOBAL_FIRST = ("milp", "scip", "implicit", "kkt", "augmented", *FIRST_ORDER)
LOCAL_FIRST = ("milp", "implicit", "augmented", *FIRST_ORDER[:2], "kkt", *FIRST_ORDER[2:], "scip")
"""Admissible backends are tried in one of these orders; those of plugins follow, by name."""


@dataclass(frozen=True)
class Explanation:
    """The backend that would be used, why, through which rewrites, and why not each of the others that were asked.

    `fallbacks` are asked in turn where it does not come to a proved global optimum.
    """

    backend: str | None
    reason: str
    path: tuple[str, ...]
    others: tuple[tuple[str, str], ...]
    fallbacks: tuple[str, ...] = ()


def choose(reduced: Reduced, wanted: str = "auto", engine: str = "auto", options: Iterable[str] = ()) -> Explanation:
    """The backend to use for a reduced program.

    Parameters
    ----------
    reduced
        What a backend would be given.
    wanted
        A backend's name, or `auto`.
    engine, options
        What `auto` heeds: the engine asked for, and the names of options that are given; a backend without the engine,
        or without an option that another one has, is passed over.
    """
    program, facts = reduced.program, reduced.facts
    path = ("Program", *reduced.path)
    if wanted != "auto":
        objection = _objection(registry.get(wanted), program, facts)
        if objection:
            return Explanation(None, objection, path, ())
        return Explanation(wanted, f"asked for by name; {_evidence(program, facts)}", (*path, wanted), ())
    offered = registry.backends()
    known = {option.name for backend in offered for option in backend.options}
    engines = {name for backend in offered for name in backend.capabilities.engines}
    meant = [name for name in options if name in known]
    engine = engine if engine in engines else "auto"
    objections = {
        backend.name: _unasked(backend, engine, meant) or _objection(backend, program, facts) for backend in offered
    }
    implicit = objections.get("implicit", "") is None
    preference = GLOBAL_FIRST if _small(program, implicit) else LOCAL_FIRST
    order = sorted(
        objections, key=lambda name: (preference.index(name) if name in preference else len(preference), name)
    )
    admissible = [name for name in order if objections[name] is None]
    if not admissible:
        return Explanation(
            None, "no backend accepts this model", path, tuple((n, objections[n] or "") for n in order)
        )
    chosen = admissible[0]
    others = tuple((n, objections[n] or f"admissible; {chosen} is preferred") for n in order if n != chosen)
    return Explanation(chosen, _evidence(program, facts), (*path, chosen), others, _fallbacks(admissible))


def explained(reduced: Reduced, wanted: str = "auto") -> Explanation:
    """The choice, with what stands against each other backend also where one is asked for by name."""
    found = choose(reduced, wanted)
    if wanted == "auto":
        return found
    others = [backend for backend in registry.backends() if backend.name != wanted]
    reasons = ((b.name, _objection(b, reduced.program, reduced.facts) or "admissible; not asked for") for b in others)
    return replace(found, others=tuple(reasons))


def _unasked(backend: Backend, engine: str, options: Iterable[str]) -> str | None:
    """What was asked for that a backend has not."""
    if engine not in ("auto", *backend.capabilities.engines):
        return f"it does not run with {engine}"
    names = {option.name for option in backend.options}
    return next((f"it has no option {name}" for name in options if name not in names), None)


def _small(program: Program, by_derivatives: bool) -> bool:
    """Whether a search for the global optimum is worth its time."""
    scalars = sum(int(np.prod(v.symbol.shape)) for v in program.variables)
    if scalars > (TINY if by_derivatives else SMALL):
        return False
    parts = [part for level in program.levels for part in level.expressions]
    return operations(parts) + multiplications(parts) <= OPERATIONS


def _fallbacks(admissible: Sequence[str]) -> tuple[str, ...]:
    """After a global search one local method, which may find a better point when the search runs out of time."""
    evidence = {name: registry.get(name).capabilities.evidence for name in admissible}
    first = admissible[0]
    rest = [name for name in admissible[1:] if name in registry.BUILT_IN]
    if evidence[first] == "global":
        searches = [name for name in rest if evidence[name] == "global"][:1]
        return (*searches, *[name for name in rest if evidence[name] != "global"][:1])
    return tuple(name for name in rest if evidence[name] == "local")[:1]


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
    raise BlvError([Diagnostic("E607", "no backend accepts this model", span, "", (), reasons)])


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
        known = {f.fact: f for f in facts if f.of == f"{level.name}.objective" and f.holds}
        decisive = next((known[name] for name in ("strongly_convex", "convex", "pl") if name in known), None)
        if decisive is None:
            said = f"nothing is proved about the convexity of {_called(level.name)}"
        else:
            constant = f"mu = {at_least(decisive.constant)}, " if decisive.constant is not None else ""
            between = " between its bounds" if decisive.y == "region" else ""
            word = {"strongly_convex": "strongly convex", "pl": f"PL{between}"}.get(decisive.fact, decisive.fact)
            said = f"{_called(level.name)} {word} ({constant}{decisive.verdict})"
        others = [name for name, fact in known.items() if fact.verdict == "assumed" and fact is not decisive]
        parts.append(f"{said}, {' and '.join(others)} assumed" if others else said)
    return "; ".join(parts)


def _called(name: str) -> str:
    return {"lower": "lower level", JOINT: "followers"}.get(name, f"follower {name}")
