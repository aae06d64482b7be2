"""Complementarities as binary variables, where both sides of every pair have bounds that follow from the program."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy import sparse

from bileveldsl.execute.layout import Layout, Part
from bileveldsl.single_level.highs import Relaxation
from bileveldsl.single_level.linear import Linear, Pairs

MARGIN = 1e-7
"""By which, relatively, computed bounds are relaxed for the tolerances of the linear programs."""


def rounded_up(values: np.ndarray | float) -> np.ndarray:
    """Numbers of three decimals or digits, not smaller: as coefficients, tiny or long ones make solvers err."""
    array = np.asarray(values, dtype=float)
    size = np.maximum(np.where(np.isfinite(array), np.abs(array), 1.0), 1.0)
    grid = 1e-3 * 10.0 ** np.floor(np.log10(size))
    near = np.round(array / grid) * grid
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(near - array) <= 1e-14 * size, array, np.ceil(array / grid) * grid)


def slack_bounds(linear: Linear, enough: int = 2000) -> np.ndarray:
    """An upper bound of each pair's slack: by the ends of its entity, else by a linear program while there are few."""
    low, high = linear.ends
    bounds = high[linear.pairs.slack] - low[linear.pairs.slack]
    open_ = np.flatnonzero(~np.isfinite(bounds))
    if len(open_) > enough:
        return bounds
    relaxation = Relaxation(replace(linear, cost=np.zeros(linear.size), offset=0.0, hessian=None))
    for pair in open_.tolist():
        entity, at_upper = int(linear.pairs.slack[pair]), bool(linear.pairs.at_upper[pair])
        cost = np.zeros(linear.size)
        if entity < linear.size:
            cost[entity] = 1.0
        else:
            row = linear.matrix[[entity - linear.size]]
            cost[row.indices] = row.data
        sign = 1.0 if at_upper else -1.0
        relaxation.change_cost(sign * cost)
        if relaxation.solve() == "optimal":
            most = (high[entity] if at_upper else -low[entity]) - relaxation.value
            bounds[pair] = most + MARGIN * (1.0 + abs(most))
    return bounds


def with_binaries(linear: Linear, big_m: float = math.inf) -> Linear | None:
    """The program with a binary variable for each pair, 0 where the multiplier is zero; None where a bound is missing.

    Parameters
    ----------
    linear
        With a linear objective.
    big_m
        An assumed bound of the multipliers and slacks that have none.
    """
    multiplier = np.minimum(rounded_up(linear.upper[linear.pairs.multiplier]), big_m)
    slack = np.minimum(rounded_up(slack_bounds(linear)), big_m)
    if not (np.isfinite(multiplier).all() and np.isfinite(slack).all()):
        return None
    count, size, m = len(linear.pairs), linear.size, linear.matrix.shape[0]
    number, none = np.arange(count), np.full(count, -np.inf)
    # multiplier <= bound * binary
    first = sparse.csr_array((np.ones(count), (number, linear.pairs.multiplier)), shape=(count, size))
    # low <= activity <= low + slack * (1 - binary), or high - slack * (1 - binary) <= activity
    activity = sparse.csr_array(sparse.vstack([sparse.eye_array(size), linear.matrix]))[linear.pairs.slack]
    sign = np.where(linear.pairs.at_upper, -1.0, 1.0)
    second = sparse.diags_array(sign) @ activity
    low, high = linear.ends
    end = np.where(linear.pairs.at_upper, -high[linear.pairs.slack], low[linear.pairs.slack])
    matrix = sparse.block_array([
        [linear.matrix, sparse.csr_array((m, count))],
        [first, sparse.diags_array(-multiplier)],
        [second, sparse.diags_array(slack)],
    ])  # fmt: skip
    upper = linear.upper.copy()
    upper[linear.pairs.multiplier] = np.minimum(upper[linear.pairs.multiplier], multiplier)
    return replace(
        linear, pairs=Pairs(*(np.zeros(0, dtype=np.int64),) * 3), matrix=sparse.csr_array(matrix),
        columns=Layout((*linear.columns.parts, Part("binaries", (count,), slice(size, size + count))), size + count),
        lower=np.concatenate([linear.lower, np.zeros(count)]), upper=np.concatenate([upper, np.ones(count)]),
        integer=np.concatenate([linear.integer, np.ones(count, dtype=bool)]),
        cost=np.concatenate([linear.cost, np.zeros(count)]),
        row_lower=np.concatenate([linear.row_lower, none, none]),
        row_upper=np.concatenate([linear.row_upper, np.zeros(count), end + slack]),
    )  # fmt: skip
