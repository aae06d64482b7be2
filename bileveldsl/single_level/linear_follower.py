"""The follower's answer to a leader's decision, with multipliers, as a point of the KKT form."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from scipy import sparse

from bileveldsl.calculus.expr import ZERO
from bileveldsl.calculus.sparse import affine_form
from bileveldsl.program import Level, Program, Variable
from bileveldsl.reduce.conditions import conditions, stationarity
from bileveldsl.single_level.highs import Relaxation
from bileveldsl.single_level.linear import Linear, flatten
from bileveldsl.single_level.program import SingleLevel


class FollowerResponse:
    """min c(x)'y + y'Qy/2 over the follower's constraints, one HiGHS model for every x.

    Parameters
    ----------
    program
        With one follower whose KKT form is linear, both levels minimizing.
    linear
        The KKT form's matrices: x, y, then the multipliers.

    Attributes
    ----------
    leader : ndarray
        The columns of x.
    decides : bool
        Whether the leader's objective and constraints leave multipliers out, and x is all the leader decides.
    """

    def __init__(self, program: Program, linear: Linear):
        upper, (lower,) = program.upper, program.lower
        nx, ny = (sum(int(np.prod(s.shape)) for s in level.symbols) for level in (upper, lower))
        self.leader = np.arange(nx)
        self.decides = not program.priced
        self._whole = np.flatnonzero(linear.integer)
        self._size, self._ny = linear.size, ny
        both = (*upper.symbols, *lower.symbols)
        slopes = [affine_form(g, s.axes, both) for s, g in zip(lower.symbols, stationarity(lower, ()), strict=True)]
        gradient = sparse.csr_array(sparse.vstack([form.matrix for form in slopes]))
        self._cost = np.concatenate([form.constant for form in slopes])
        self._cost_of_x, hessian = gradient[:, :nx], sparse.csr_array(gradient[:, nx:])
        self._rows = flatten(SingleLevel((*upper.variables, *lower.variables), ZERO, lower.constraints))
        self._rows_of_x = self._rows.matrix[:, :nx]
        own = replace(
            self._rows, lower=self._rows.lower[nx:], upper=self._rows.upper[nx:], integer=np.zeros(ny, dtype=bool),
            cost=self._cost, offset=0.0, hessian=hessian if hessian.count_nonzero() else None,
            matrix=sparse.csr_array(self._rows.matrix[:, nx:]), columns=replace(self._rows.columns, size=ny),
        )  # fmt: skip
        self._own = Relaxation(own)
        self._places = _places(lower, linear, self._rows, nx)

    def __call__(self, z: np.ndarray) -> tuple[Literal["answered", "none", "failed"], np.ndarray]:
        """The point of the KKT form with the leader's part of z, whole where it must be."""
        result = np.zeros(self._size)
        result[self.leader] = z[self.leader]
        result[self._whole] = np.round(z[self._whole])
        x, own = result[self.leader], self._own
        shift = self._rows_of_x @ x
        entities = self._ny + np.arange(len(shift))
        own.change_all(entities, self._rows.row_lower - shift, self._rows.row_upper - shift)
        own.change_cost(self._cost + self._cost_of_x @ x)
        outcome = own.solve()
        if outcome in ("infeasible", "unbounded"):
            return "none", result
        if outcome != "optimal":
            return "failed", result
        result[len(x) : len(x) + self._ny] = own.z
        duals = np.concatenate(own.duals)
        for columns, sources, sign in self._places:
            result[columns] = np.maximum(sign * duals[sources], 0.0) if sign else duals[sources]
        return "answered", result


def _places(lower: Level, linear: Linear, rows: Linear, nx: int) -> list[tuple[slice, np.ndarray, int]]:
    """For each multiplier its columns, the reduced costs or row duals it is, and its sign; 0 is for equalities."""
    ny = rows.size - nx
    own = {part.name: np.arange(part.place.start, part.place.stop) - nx for part in rows.columns.parts}
    columns = {part.name: part.place for part in linear.columns.parts}
    found = []
    for condition in conditions(lower, lambda label, _: f"{label}.multiplier"):
        of = condition.of
        if isinstance(of, Variable):
            bounds = of.lower if condition.sign > 0 else of.upper
            sources = own[of.name][np.isfinite(bounds).ravel()]
        else:
            sources = ny + rows.rows[of.label]
            count = int(np.prod(condition.multiplier.shape))
            sources = sources[:count] if condition.sign > 0 else sources[-count:] if count else sources[:0]
        found.append((columns[condition.multiplier.name], sources, 0 if condition.equality else condition.sign))
    return found
