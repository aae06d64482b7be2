"""The kinds of proofs of the Polyak-Lojasiewicz inequality, and of its refutations, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flint import fmpq

from bileveldsl.certify.check import (
    pl_exterior,
    pl_growth,
    pl_proximal,
    pl_proximal_curves,
    pl_proximal_line,
    pl_proximal_points,
    pl_rules,
    pl_stationary,
    reductions,
)
from bileveldsl.certify.check.goals import PL, Context

Check = Callable[[Context, PL, dict[str, Any]], None]
Upper = Callable[[Context, PL, fmpq, dict[str, Any]], None]

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

PL_UPPERS: dict[str, Upper] = {"pl-ratio": pl_stationary.check_ratio}
"""Proofs that no constant exceeds one that is given."""

PROXIMAL_KINDS: dict[str, Callable[[Context, pl_proximal.Proximal, dict[str, Any]], None]] = {
    "strong": pl_proximal.check_strong,
    "separable": pl_proximal.check_separable,
    "ridge": pl_proximal.check_ridge,
    "corner": pl_proximal.check_corner,
    "free": pl_proximal.check_free,
    "line": pl_proximal_line.check,
}
"""Of the inequality of a function whose variables are bounded."""

PROXIMAL_REFUTATIONS: dict[str, Check] = {
    "part": pl_proximal_points.check_part,
    "stationary": pl_proximal_points.check_stationary,
    "krawczyk": pl_proximal_points.check_krawczyk,
    "falling": pl_proximal_curves.check_falling,
    "degenerate": pl_proximal_curves.check_degenerate,
    "asymptotic": pl_proximal_curves.check_asymptotic,
}

PROXIMAL_UPPERS: dict[str, Upper] = {"pl-ratio": pl_proximal_points.check_ratio}
