"""Lengths, and the measures of stationarity R_x, R_w and R_y with their tests."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bileveldsl.execute.certified import Certified

Box = tuple[np.ndarray, np.ndarray]


def norm(xp: Any, v: Any) -> Any:
    """The Euclidean length."""
    return xp.sqrt(xp.vdot(v, v))


def projected_length(xp: Any, point: Any, gradient: Any, box: Box) -> Any:
    """Of the projected gradient step, zero exactly at a first-order point of the box."""
    return norm(xp, point - xp.clip(point - gradient, *box))


def ratio(xp: Any, over: Any, under: Any, otherwise: Any) -> Any:
    """over / under where `under` is positive."""
    return xp.where(under > 0, over / xp.where(under > 0, under, 1.0), otherwise)


def within(measures: Mapping[str, Any], tolerance: float) -> Any:
    """Whether every measure is within the tolerance, R_y within its square."""
    small = [value <= (tolerance**2 if name == "R_y" else tolerance) for name, value in measures.items()]
    return functools.reduce(operator.and_, small)


def gap(xp: Any, y: Any, gradient: Any, known: Certified | None, box: Box, curvature: Any) -> Any:
    """R_y: the certified bound, else |f_y|^2 / (2 mu) with the curvature met for mu."""
    if known is not None:
        return known.gap(xp, y, gradient)
    size = projected_length(xp, y, gradient, box)
    return ratio(xp, 0.5 * size**2, curvature, 0.5 * size**2)
