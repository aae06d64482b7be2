"""The kinds of proofs of the Polyak-Lojasiewicz inequality, and of its refutations, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flint import fmpq

from bileveldsl.certify.check import pl_exterior, pl_growth, pl_rules, pl_stationary, reductions
from bileveldsl.certify.check.goals import PL, Context

Check = Callable[[Context, PL, dict[str, Any]], None]

PL_KINDS: dict[str, Check] = {
    "strong": pl_rules.check_strong,
    "product": pl_rules.check_product,
    "separable": pl_rules.check_separable,
    "quadratic-singular": pl_rules.check_quadratic_singular,
    "nls": pl_rules.check_least_squares,
    "pl-sos": pl_rules.check_minimizer,
    "penalty": pl_rules.check_penalty,
    "affine": reductions.check_pl,
    "core-exterior": pl_exterior.check,
}

PL_REFUTATIONS: dict[str, Check] = {
    "affine": reductions.check_pl_refutation,
    "stationary": pl_stationary.check_stationary,
    "krawczyk": pl_stationary.check_krawczyk,
    "no-stationary": pl_stationary.check_no_stationary,
    "degenerate": pl_growth.check_degenerate,
    "ray": pl_growth.check_ray,
    "asymptotic": pl_growth.check_asymptotic,
}

PL_UPPERS: dict[str, Callable[[Context, PL, fmpq, dict[str, Any]], None]] = {"pl-ratio": pl_stationary.check_ratio}
"""Proofs that no constant exceeds one that is given."""
