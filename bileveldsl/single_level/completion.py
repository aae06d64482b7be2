"""Multipliers of the follower at a point of both levels, found by a constrained least-squares fit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.expr import Symbol
from bileveldsl.calculus.sparse import affine_form
from bileveldsl.reduce.kkt import KktForm
from bileveldsl.single_level.multipliers import nearest

ACTIVE = 1e-5
"""A slack below this, relative to 1 + the multiplier's scale, lets the multiplier be positive."""


def completed(
    form: KktForm, values: Mapping[Symbol, np.ndarray], prices: Mapping[Symbol, np.ndarray] | None = None
) -> tuple[dict[Symbol, np.ndarray], float]:
    """The values with multipliers that come nearest to stationarity, and the residual that remains.

    Multipliers of slack conditions are zero. `prices` are duals of constraints that they have to agree with.
    """
    single = form.program
    free = [v for v in single.variables if v.symbol not in values]
    rows = [c for c in single.constraints if c.label.startswith("stationary.")]
    symbols = [v.symbol for v in free]
    if not symbols:
        return dict(values), 0.0
    forms = [affine_form(c.body, c.axes, symbols, values) for c in rows]
    goals = [np.zeros(len(f.constant)) for f in forms]
    for dual, price in (prices or {}).items():
        forms.append(affine_form(form.duals[dual], dual.axes, symbols, values))
        goals.append(np.ravel(price))
    matrix = sparse.csr_array(sparse.vstack([f.matrix for f in forms]))
    target = np.concatenate(goals) - np.concatenate([f.constant for f in forms])
    slacks = {pair.multiplier.symbol: evaluate(pair.slack, values, pair.axes) for pair in single.complementarities}
    low = np.concatenate([np.ravel(v.lower) for v in free])
    high = np.concatenate([_most(v.upper, slacks.get(v.symbol)) for v in free])
    found, residual = nearest(matrix, target, low, high)
    parts = np.split(found, np.cumsum([int(np.prod(s.shape)) for s in symbols])[:-1])
    return {**values, **{s: p.reshape(s.shape) for s, p in zip(symbols, parts, strict=True)}}, residual


def _most(upper: np.ndarray, slack: np.ndarray | None) -> np.ndarray:
    return np.ravel(upper if slack is None else np.where(slack > ACTIVE, 0.0, upper))
