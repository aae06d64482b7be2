"""Models over arrays with the claims that the prover makes of them, for the tests of the checker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from bileveldsl import loads
from bileveldsl.calculus.expr import negate
from bileveldsl.certify.array_statement import Arrays, array_statement
from bileveldsl.certify.check.arrays import Claims
from bileveldsl.certify.check.terms import Rejected
from bileveldsl.certify.curvature import Composition
from bileveldsl.certify.modulus import Modulus
from bileveldsl.certify.ranges import Ranges
from bileveldsl.certify.region import Region
from bileveldsl.program import Level, Program

LEADER = "upper {\n  var x in [-5, 5]\n  minimize x\n}\n"
LEAST_SQUARES = "dim m, n\nparam A[m, n], b[m]\n" + LEADER + "lower {\n  var y[n]\n  minimize OBJECTIVE\n}\n"


def model(objective: str, text: str = LEAST_SQUARES, **data: np.ndarray) -> Program:
    """The program of a model; `OBJECTIVE` in its text is replaced."""
    return loads(text.replace("OBJECTIVE", objective)).program(**data)


def modulus_of(program: Program) -> tuple[Level, Any, Modulus]:
    (level,) = program.lower
    composition = Composition(level.symbols, Ranges(Region(program, level).boxes))
    root = level.objective if level.sense == "minimize" else negate(level.objective)
    return level, root, Modulus(composition, level.symbols)


def claims_of(program: Program) -> dict[str, dict[str, Any]]:
    """What the prover claims of the follower's objective, by the fact."""
    level, root, modulus = modulus_of(program)
    bounds = modulus(root).values()
    mu, lipschitz = min(b.least for b in bounds), max(b.greatest for b in bounds)
    everything = Region(program, level).everything
    found: dict[str, dict[str, Any]] = {}

    def claim(fact: str, constant: float | None = None, x: str = "box", **proof: Any) -> None:
        found[fact] = {
            "of": f"{level.name}.objective", "fact": fact, "verdict": "proved",
            "scope": {"x": x, "y": "all" if everything else "region"},
            "proof": {**modulus.proof(root, fact), **proof},
        }  # fmt: skip
        if constant is not None:
            found[fact]["constant"] = str(Fraction(constant))

    if mu >= 0:
        claim("convex")
    if mu > 0:
        claim("strongly_convex", mu)
    elif mu == 0 and all(b.positive for b in bounds):
        claim("strongly_convex", x="pointwise")
    if np.isfinite(max(lipschitz, -mu)):
        claim("smooth", max(lipschitz, -mu))
    inequality = modulus.polyak_lojasiewicz(root)
    if everything and inequality > max(mu, 0):
        claim("pl", inequality)
    elif everything and mu > 0:
        claim("pl", mu, **{**modulus.proof(root, "strongly_convex"), "kind": "strong"})
    return json.loads(json.dumps(found))


def stated(program: Program) -> tuple[dict[str, Any], Arrays]:
    made = array_statement(program)
    assert made is not None
    return json.loads(json.dumps(made[0])), made[1]


def rejection(statement: Any, data: Mapping[str, Any], claim: Any) -> str:
    """Why a claim is rejected; empty if it is accepted."""
    try:
        Claims(statement, data)(claim)
    except Rejected as reason:
        return str(reason) or "rejected"
    return ""
