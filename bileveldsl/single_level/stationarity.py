"""How good a feasible point of a program with complementarities is, to first order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import sparse

from bileveldsl.calculus.expr import Symbol
from bileveldsl.single_level.mpcc import ZERO_WITHIN, Mpcc, compile_mpcc
from bileveldsl.single_level.multipliers import nearest, signs
from bileveldsl.single_level.program import SingleLevel

Class = Literal["S", "M", "C", "W", "none"]

ENUMERATED = 6
"""Up to this many biactive pairs, every combination of signs is tried."""


@dataclass(frozen=True)
class Stationarity:
    """The strongest class whose conditions a point satisfies, and the residual of their equation.

    For `none` it is that of the weakest class, or the violation of a point that is not feasible.
    """

    kind: Class
    residual: float


def stationarity(
    single: SingleLevel, values: Mapping[Symbol, np.ndarray], tolerance: float = 1e-6
) -> Stationarity:
    """The class of a point of a program with complementarities 0 <= G, 0 <= H, G H = 0.

    There must be multipliers, with the usual signs for active constraints and zero for others, such that

        grad f  +  sum of multipliers times gradients of constraints and bounds  =  sum of u grad G + v grad H,

    u = 0 where G > 0 and v = 0 where H > 0. Where G = H = 0, the pair is biactive and the classes differ:

        S (strong)       u >= 0 and v >= 0
        M (Mordukhovich) u > 0 and v > 0, or u v = 0
        C (Clarke)       u v >= 0
        W (weak)         any u, v

    S implies M, M implies C, C implies W. A local solution is S-stationary under the linear independence
    qualification for these programs, and M-stationary under much weaker ones.

    Parameters
    ----------
    single
        Of smooth functions.
    values
        Of its variables.
    tolerance
        Relative, on the equation and on what counts as zero.

    Notes
    -----
    Where there are many biactive pairs, M and C are decided for one choice of multipliers only, which may understate.

    References
    ----------
    Scheel and Scholtes (2000), Mathematical programs with complementarity constraints: stationarity, optimality, and
    sensitivity, section 2; M-stationarity: Outrata (1999).
    """
    mpcc = compile_mpcc(single)
    return classify(mpcc, mpcc.nlp.pack(values), tolerance)


def classify(mpcc: Mpcc, z: np.ndarray, tolerance: float = ZERO_WITHIN) -> Stationarity:
    """The class of a point of a compiled program; see `stationarity`."""
    active = 10 * tolerance  # interior points keep a distance of the root of their accuracy from some bounds
    nlp = mpcc.nlp
    violation = max(mpcc.complementarity(z), mpcc.on_branches(_branches(mpcc, z)).violation(z))
    if not violation <= active:
        return Stationarity("none", violation)
    system = _System(mpcc, z, active)
    limit = tolerance * (1.0 + float(np.max(np.abs(nlp.gradient(z)), initial=0.0)))
    free = np.full(len(system.biactive), -np.inf)
    u, v, weak = system.solve(free, -free, free, -free)
    if not weak <= limit:
        return Stationarity("none", weak)
    none = np.zeros(len(free))
    _, _, strong = system.solve(none, -free, none, -free)
    if strong <= limit:
        return Stationarity("S", strong)
    kind: Class
    for kind, cells in _CELLS:
        residual = min((system.solve(*signs)[2] for signs in _combinations(cells, len(free))), default=np.inf)
        if residual <= limit:
            return Stationarity(kind, residual)
    if (((u > limit) & (v > limit)) | (np.minimum(abs(u), abs(v)) <= limit)).all():
        return Stationarity("M", weak)
    if (u * v >= 0).all():
        return Stationarity("C", weak)
    return Stationarity("W", weak)


_FREE, _NONE, _UP, _DOWN = (-np.inf, np.inf), (0.0, 0.0), (0.0, np.inf), (-np.inf, 0.0)
_CELLS: tuple[tuple[Class, tuple], ...] = (
    ("M", ((_UP, _UP), (_FREE, _NONE), (_NONE, _FREE))), ("C", ((_UP, _UP), (_DOWN, _DOWN))),
)  # fmt: skip
"""Bounds of u and v whose union a class allows."""


def _combinations(cells: tuple, count: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Bounds of u and v for every choice of a cell for each biactive pair."""
    if 0 < count <= ENUMERATED:
        for choice in itertools.product(cells, repeat=count):
            table = np.array(choice)
            yield table[:, 0, 0], table[:, 0, 1], table[:, 1, 0], table[:, 1, 1]


def _branches(mpcc: Mpcc, z: np.ndarray) -> np.ndarray:
    G, H = mpcc.sides(z)
    return G <= H


class _System:
    """The equation of the multipliers at a point: constraints and bounds, then u, then v."""

    def __init__(self, mpcc: Mpcc, z: np.ndarray, tolerance: float):
        nlp = mpcc.nlp
        rows, (G, H) = nlp.constraints(z), mpcc.sides(z)
        row_low, row_high = nlp.row_lower.copy(), nlp.row_upper.copy()
        own = np.append(mpcc.slack, mpcc.relation)
        row_low[own], row_high[own] = -np.inf, np.inf
        lower, upper = nlp.lower.copy(), nlp.upper.copy()
        lower[mpcc.multiplier] = -np.inf  # H >= 0 belongs to the pair, and so does G >= 0 where it is a bound
        jacobian = nlp.jacobian_matrix(z)
        for side, missing, sign in ((lower, -np.inf, 1), (upper, np.inf, -1)):
            pairs = (mpcc.column >= 0) & (sign * mpcc.slope > 0)
            same = pairs & (side[mpcc.column] == mpcc.offset)
            side[mpcc.column[same]] = missing
        row_signs, signs_of_bounds = signs(rows, row_low, row_high, tolerance), signs(z, lower, upper, tolerance)
        units = sparse.eye_array(nlp.n, format="csr")
        parts = [jacobian, units, -jacobian[mpcc.slack], -units[mpcc.multiplier]]
        self.matrix = sparse.csc_array(sparse.vstack(parts).T)
        self.target = -nlp.gradient(z)
        self.zero_G, self.zero_H = np.abs(G) <= tolerance, np.abs(H) <= tolerance
        self.biactive = np.nonzero(self.zero_G & self.zero_H)[0]
        self.low, self.high = (np.append(a, b) for a, b in zip(row_signs, signs_of_bounds, strict=True))

    def solve(
        self, u_low: np.ndarray, u_high: np.ndarray, v_low: np.ndarray, v_high: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """u and v of the biactive pairs within these bounds, and the residual."""
        low, high = [self.low], [self.high]
        for zero, least, most in ((self.zero_G, u_low, u_high), (self.zero_H, v_low, v_high)):
            a, b = np.where(zero, -np.inf, 0.0), np.where(zero, np.inf, 0.0)
            a[self.biactive], b[self.biactive] = least, most
            low.append(a)
            high.append(b)
        solution, residual = nearest(self.matrix, self.target, np.concatenate(low), np.concatenate(high))
        u, v = np.split(solution[len(self.low) :], 2)
        return u[self.biactive], v[self.biactive], residual
