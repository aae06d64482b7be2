"""Monomial bases of sums of squares by Newton polytopes, split by sign symmetries."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

import flint
import numpy as np

from bileveldsl.certify.clock import check
from bileveldsl.certify.sos.blocks import Block, Monomial, Polynomial

_CANDIDATES = 20_000
_DIRECTIONS = 729
_MORE = 120
_AT_ONCE = 64


def monomial_blocks(
    support: Iterable[Monomial],
    multipliers: Sequence[tuple[tuple[int, ...], Polynomial]],
    lowered: Sequence[int] = (),
    raised: int = 0,
) -> list[Block] | None:
    """The blocks whose products stay in a polytope about `support`, split by sign; None if there are too many.

    Parameters
    ----------
    support : exponents of the polynomial to be written; they and the multipliers' decide the sign symmetries
    multipliers : the numbers of the factors and their product, the first of them being 1
    lowered : variables whose exponents may also be lower than in the support
    raised : by how much one of their exponents may be higher

    Notes
    -----
    Newton polytopes after Reznick, "Extremal PSD forms with few terms" (1978); the polytope is bounded by its
    support function in many integer directions, hence from outside, which leaves room for too many monomials but
    never too few. Sign symmetries after Löfberg, "Pre- and post-processing sum-of-squares programs in practice"
    (2009).
    """
    points = np.array(sorted(set(support)), dtype=np.int64)
    directions = _directions(points.shape[1])
    free = np.isin(np.arange(points.shape[1]), lowered)
    bound = (points @ np.where(free, np.maximum(directions, 0), directions).T).max(0)
    bound += raised * np.maximum(directions[:, free], 0).max(1, initial=0)
    flips = _flips(np.concatenate([points, *(np.array(list(g.to_dict()), dtype=np.int64) for _, g in multipliers)]))
    blocks = []
    for factors, multiplier in multipliers:
        own = np.array(list(multiplier.to_dict()), dtype=np.int64)
        room = bound - (own @ directions.T).max(0)
        monomials = _half(room, directions)
        if monomials is None:
            return None
        context = multiplier.context()
        for part in _split(monomials, flips):
            basis = tuple(context.from_dict({tuple(map(int, m)): 1}) for m in part)
            blocks.append(Block(factors, multiplier, basis))
    return blocks


def _directions(n: int) -> np.ndarray:
    """Integer vectors, the positive and negative unit vectors first."""
    unit = np.eye(n, dtype=np.int64)
    if 3**n <= _DIRECTIONS:
        rest = np.array(list(itertools.product((-1, 0, 1), repeat=n)), dtype=np.int64)
    else:
        rest = np.array(list(itertools.product((0, 1), repeat=min(n, 10))), dtype=np.int64)
        rest = np.pad(rest, ((0, 0), (0, max(n - 10, 0))))
        rest = np.concatenate([rest, -rest, *(np.roll(unit, k, 1) - unit for k in range(1, n))])
    more = np.random.default_rng(0).integers(-3, 4, (_MORE, n))
    return np.concatenate([unit, -unit, rest, more])


def _half(room: np.ndarray, directions: np.ndarray) -> np.ndarray | None:
    """The exponents b with `2 directions b <= room`."""
    n = directions.shape[1]
    highest, lowest = room[:n] // 2, np.maximum(0, -(room[n : 2 * n] // 2))
    sides = np.maximum(0, highest - lowest + 1).tolist()
    if math.prod(sides) > _CANDIDATES:
        return None
    grid = np.indices(sides).reshape(n, -1).T + lowest
    for first in range(0, len(directions), _AT_ONCE):
        check()
        part = slice(first, first + _AT_ONCE)
        grid = grid[(2 * grid @ directions[part].T <= room[part]).all(1)]
    return grid


def _flips(exponents: np.ndarray) -> np.ndarray:
    """A basis of the sign changes of the variables that keep all monomials: the kernel of the exponents modulo 2."""
    n = exponents.shape[1]
    rows = np.unique(exponents % 2, axis=0)
    reduced, rank = flint.nmod_mat(len(rows), n, [int(v) for v in rows.ravel()], 2).rref()
    pivots = [next(j for j in range(n) if int(reduced[i, j])) for i in range(rank)]
    flips = []
    for free in (j for j in range(n) if j not in pivots):
        flip = np.zeros(n, dtype=np.int64)
        flip[free] = 1
        for i, pivot in enumerate(pivots):
            flip[pivot] = int(reduced[i, free])
        flips.append(flip)
    return np.array(flips, dtype=np.int64).reshape(-1, n)


def _split(monomials: np.ndarray, flips: np.ndarray) -> Iterator[np.ndarray]:
    """The classes of monomials that change sign together."""
    if not len(monomials):
        return
    classes = (monomials @ flips.T) % 2
    for key in np.unique(classes, axis=0):
        yield monomials[(classes == key).all(1)]
