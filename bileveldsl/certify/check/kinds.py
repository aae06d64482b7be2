"""The kinds of proofs by name; the module of a kind is imported when a proof of it is met."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from bileveldsl.certify.check.goals import kind_name
from bileveldsl.certify.check.terms import Rejected

_PACKAGE = "bileveldsl.certify.check"

BEND = {
    "composition": "composition.check",
    "quadratic": "quadratic.check",
    "sum": "quadratic.check_sum",
    "stronger": "quadratic.check_stronger",
    "sos": "sos.check",
    "cover": "cover.check",
    "piecewise": "piecewise.check",
    "affine": "reductions.check_affine",
}
POINTWISE = {"pointwise": "pointwise.check"}
REFUTED_CONVEX = {"curvature": "refutations.not_convex", "midpoint": "refutations.midpoint"}
REFUTED_STRONG = {
    "curvature": "refutations.not_strongly_convex",
    "midpoint": "refutations.midpoint",
    "vanishing": "vanishing.check",
}
REFUTED_SMOOTH = {"steep": "steep.check", "kink": "kink.check"}
UPPER_STRONG = {"curvature": "refutations.bounds_modulus"}
UPPER_SMOOTH = {"curvature": "refutations.bounds_lipschitz"}

_TABLES: dict[str, dict[str, str]] = {
    "bend": BEND,
    "pointwise": POINTWISE,
    "convex refutation": REFUTED_CONVEX,
    "strongly_convex refutation": REFUTED_STRONG,
    "smooth refutation": REFUTED_SMOOTH,
    "strongly_convex upper": UPPER_STRONG,
    "smooth upper": UPPER_SMOOTH,
}
_PL_TABLES = {"pl": "PL_KINDS", "pl refutation": "PL_REFUTATIONS", "pl upper": "PL_UPPERS"}
_PL_MODULE = "pl_kinds"


def kind_of(proof: Any, goal: str) -> Callable[..., None]:
    """The function that checks a proof for a goal.

    The goals are "bend" and "pl", called as (context, goal, proof) with a `Bend` or `PL`; "FACT refutation", called so
    too; and "FACT upper", called as (context, goal, constant, proof).
    """
    name = kind_name(proof)
    if goal in _PL_TABLES:
        found = getattr(_module(_PL_MODULE), _PL_TABLES[goal], {}).get(name)
    else:
        found = _TABLES[goal].get(name)
    if found is None:
        raise Rejected(f"{name[:40]} is not a kind of proof for this")
    return _function(found) if isinstance(found, str) else found


def _function(path: str) -> Callable[..., None]:
    module, _, name = path.rpartition(".")
    function: Callable[..., None] = getattr(_module(module), name)
    return function


def _module(name: str) -> Any:
    try:
        return import_module(f"{_PACKAGE}.{name}")
    except ModuleNotFoundError as error:
        raise Rejected(f"no checker for this kind of proof is installed: {error.name}") from error


def array_claims(statement: Any, data: Any) -> Callable[[Any], None]:
    """The function that checks a claim, as it is written, about a statement of the form "array"."""
    check: Callable[[Any], None] = _module("arrays").Claims(statement, data)
    return check
