"""The facts of a model: proved within a time budget, or remembered; what the model assumes, among them."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bileveldsl import __version__
from bileveldsl import cache as storage
from bileveldsl.certify.facts import Fact
from bileveldsl.certify.lower_level import INTERRUPTED
from bileveldsl.language.diagnostics import Diagnostic, Span
from bileveldsl.program import Program
from bileveldsl.verdict.culprit import Culprit, culprit

if TYPE_CHECKING:
    from bileveldsl.model import Model

BUDGET = 10.0
"""Seconds that proving may take, unless another budget is given."""

WORTHWHILE = 0.5
"""Seconds of proving from which the facts are kept: below it, reading them would not be quicker."""

Key = tuple[str, str]
"""Of what a fact is, and which."""


@dataclass(frozen=True)
class Known:
    """Facts, with diagnostics for each claim of the model that fails.

    For some facts there is what decided, and the modulus as a formula in the leader's variables.
    """

    facts: tuple[Fact, ...]
    findings: tuple[Diagnostic, ...] = ()
    culprits: Mapping[Key, Culprit] = field(default_factory=dict)
    moduli: Mapping[Key, str] = field(default_factory=dict)
    interrupted: bool = False


def known_facts(model: Model, program: Program, budget: float = BUDGET) -> Known:
    """The facts of a model, those that it assumes among them.

    Parameters
    ----------
    model, program
        The model, and the program that it means with the values given.
    budget
        Seconds after which what is not yet decided is unknown. Ctrl-C ends the search for proofs likewise.
    """
    from bileveldsl.certify.claims import check_claims
    from bileveldsl.certify.lower_level import certify

    key = _key(model, program, budget)
    found = _remembered(key, program)
    if found is None:
        begin = time.monotonic()
        proved = certify(program, budget)
        seconds = time.monotonic() - begin
        found = Known(
            proved,
            culprits={(f.of, f.fact): each for f in proved if (each := culprit(program, f)) is not None},
            moduli={(f.of, f.fact): repr(f.modulus) for f in proved if f.modulus is not None},
            interrupted=any(fact.why == INTERRUPTED for fact in proved),
        )
        expired = seconds >= budget and any(fact.verdict == "unknown" for fact in proved)
        if seconds >= WORTHWHILE and not expired and not found.interrupted:
            _remember(key, found)
    facts, findings = check_claims(program, found.facts)
    return replace(found, facts=facts, findings=findings)


# ---- memory -----------------------------------------------------------------------------------------


def _key(model: Model, program: Program, budget: float) -> str:
    """The digest of all that the facts follow from: texts, data, values of parameters, prover, budget up to two."""
    text = hashlib.sha256(program.upper.span.source.text.encode(errors="surrogatepass")).hexdigest()
    values = {symbol.name: _digest(symbol.value) for symbol in program.parameters}
    whole = [__version__, _prover(), model.to_blv(), text, dict(program.digests), values, math.frexp(budget)[1]]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _digest(value: np.ndarray | None) -> str | None:
    if value is None:
        return None
    found = hashlib.sha256(f"{value.dtype} {value.shape}".encode())
    found.update(np.ascontiguousarray(value).data)
    return found.hexdigest()


@cache
def _prover() -> str:
    """What tells one state of the prover from another in a source checkout, where the version stays."""
    paths = sorted((Path(__file__).parent / "certify").rglob("*.py"))
    return hashlib.sha256(repr([(path.name, path.stat().st_mtime_ns) for path in paths]).encode()).hexdigest()


_KEPT = [f.name for f in fields(Fact) if f.name not in ("modulus", "culprit")]


def _remember(key: str, known: Known) -> None:
    entry = []
    for fact in known.facts:
        found = known.culprits.get((fact.of, fact.fact))
        place = found and [found.formula, found.span.start, found.span.end]
        rest = {"culprit": place, "modulus": known.moduli.get((fact.of, fact.fact))}
        entry.append({**{name: getattr(fact, name) for name in _KEPT}, **rest})
    storage.store(key, entry)


def _remembered(key: str, program: Program) -> Known | None:
    """The facts that were kept, or None where there are none or they are not what was kept."""
    entry = storage.load(key)
    if not isinstance(entry, list) or not entry:
        return None
    try:
        facts = tuple(_fact(kept) for kept in entry)
        source = program.upper.span.source
        culprits = {
            (kept["of"], kept["fact"]): Culprit(str(kept["culprit"][0]), Span(source, *map(int, kept["culprit"][1:])))
            for kept in entry
            if kept["culprit"] is not None
        }
        moduli = {(kept["of"], kept["fact"]): str(kept["modulus"]) for kept in entry if kept["modulus"] is not None}
    except (TypeError, ValueError, KeyError, IndexError, AttributeError):
        return None
    return Known(facts, (), culprits, moduli)


def _fact(kept: Mapping[str, Any]) -> Fact:
    found = Fact(**{name: kept[name] for name in _KEPT})
    texts = (found.of, found.fact, found.rule, found.why)
    numbers = (found.constant, found.constant_upper)
    maps = (found.witness, found.proof or {}, found.proof_upper or {})
    right = (
        all(isinstance(text, str) for text in texts)
        and all(number is None or isinstance(number, float) for number in numbers)
        and all(isinstance(each, dict) for each in maps)
        and (found.verdict in ("proved", "refuted", "unknown"))
        and (found.x in ("box", "pointwise") and found.y in ("all", "region"))
    )
    if not right:
        raise ValueError
    return found
