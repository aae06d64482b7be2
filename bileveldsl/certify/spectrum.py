"""Verified bounds of the extreme eigenvalues of symmetric matrices known to lie in intervals.

A floating-point eigenvalue is only a guess: what is returned has been proved, for small matrices by elimination
in interval or rational arithmetic, for large ones by a Cholesky factorization that ran to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np

from bileveldsl.certify.clock import check
from bileveldsl.certify.interval import Interval, gamma, round_down

_SMALL = 8
_UNDERFLOW = 2.0**-1060
_DIGITS = 1e-9  # of eigenvalues guessed by iteration
_RATE = 3e-11  # seconds of a factorization per cube of the rows
_DENSE = 400  # rows up to which all eigenvalues are computed, beyond it the two extreme ones by iteration


def least_eigenvalue(matrices: Interval) -> np.ndarray:
    """A lower bound of the least eigenvalue of every symmetric matrix in each interval matrix.

    Parameters
    ----------
    matrices : intervals of shape (batch, n, n)

    Returns
    -------
    array of shape (batch,), -inf where nothing could be proved

    Examples
    --------
    >>> least_eigenvalue(Interval.point(np.array([[[2.0, 1.0], [1.0, 2.0]]]))).tolist()
    [1.0]
    """
    middle, spread = _split(matrices)
    diagonal = np.einsum("bii->bi", middle)
    if np.count_nonzero(middle) == np.count_nonzero(diagonal) and not spread.any():
        return np.asarray(diagonal.min(1))
    usable = np.isfinite(middle).all((1, 2)) & np.isfinite(spread)
    middle = np.where(usable[:, None, None], middle, 0.0)
    proves = _eliminates if middle.shape[-1] <= _SMALL else _factorizes
    proved = np.full(len(middle), -np.inf)
    for guess in _guesses(middle):
        open_ = np.flatnonzero(np.isinf(proved) & np.isfinite(guess))
        if len(open_):
            proved[open_] = np.where(proves(middle[open_], guess[open_]), guess[open_], -np.inf)
    with np.errstate(all="ignore"):
        moved = np.where(spread == 0, proved, np.nextafter(proved - spread, -np.inf))
    return np.where(usable, moved, -np.inf)


def greatest_eigenvalue(matrices: Interval) -> np.ndarray:
    """An upper bound of the greatest eigenvalue of every symmetric matrix in each interval matrix."""
    return -least_eigenvalue(-matrices)


def extreme_eigenvalues(matrix: np.ndarray, error: float = 0.0) -> tuple[float, float]:
    """Bounds of the eigenvalues of all symmetric matrices within `error` of one, in the Euclidean norm.

    The two extreme eigenvalues of the float matrix are guessed, by iteration where it is large, and each guess is
    proved by one Cholesky factorization.

    Parameters
    ----------
    matrix : float array of shape (n, n), symmetric
    error
        The Euclidean norm of the difference between the matrix that is meant and the float matrix is at most this.

    Returns
    -------
    tuple of float
        A lower bound of the least eigenvalue, -inf where none was proved, and an upper bound of the greatest.

    Examples
    --------
    >>> low, high = extreme_eigenvalues(np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> 1 - 1e-12 < low <= 1 and 3 <= high < 3 + 1e-12
    True
    """
    size = len(matrix)
    if not (np.isfinite(matrix).all() and np.isfinite(error)):
        return -np.inf, np.inf
    if not matrix.any():
        return -error, error
    near, far = _near_extremes(matrix)
    unit, trace = 2 * gamma(4 * (size + 4)), float(np.trace(matrix))
    guessed = 0.0 if size <= _DENSE else _DIGITS
    below = (near - k * max(unit * trace, guessed * abs(near)) for k in (1, 8, 1000, 1e6))
    least = next((s for s in below if _factorizes_one(matrix, s)), -np.inf)
    negated = -matrix
    above = (far + k * max(unit * size, guessed) * abs(far) for k in (1, 8, 1000, 1e6))
    greatest = next((s for s in above if _factorizes_one(negated, -s)), np.inf)
    return float(np.nextafter(least - error, -np.inf)), float(np.nextafter(greatest + error, np.inf))


def _near_extremes(matrix: np.ndarray) -> tuple[float, float]:
    """Guesses of the least and greatest eigenvalue; where the least is not positive, any bound of it."""
    if len(matrix) <= _DENSE:
        every = np.linalg.eigvalsh(matrix)
        return float(every[0]), float(every[-1])
    from scipy.linalg import blas, lapack
    from scipy.sparse.linalg import LinearOperator, eigsh

    def greatest(product: Callable[[np.ndarray], np.ndarray]) -> float:
        operator = LinearOperator(matrix.shape, product, dtype=np.float64)
        start = np.random.default_rng(0).standard_normal(len(matrix))
        check()
        return float(eigsh(operator, 1, which="LA", v0=start, ncv=40, tol=1e-5, return_eigenvectors=False)[0])

    far = greatest(matrix.dot)
    check(3 * _seconds(len(matrix)))
    factor, failed = lapack.dpotrf(matrix.T)
    if failed:
        return -float(np.abs(matrix).sum(0).max()), far
    inverse, _ = lapack.dpotri(factor, overwrite_c=True)
    return 1 / greatest(lambda v: blas.dsymv(1.0, inverse, v)), far


def least_rational_eigenvalue(matrix: list[list[Fraction]]) -> float:
    """A lower bound of the least eigenvalue of a symmetric rational matrix, exact where that is a short rational."""
    for guess in _guesses(np.array([[[float(entry) for entry in row] for row in matrix]])):
        # A decimal such as 1/3 is no float; its neighbour of small denominator may be the eigenvalue itself.
        if not np.isfinite(guess[0]):
            continue
        near = Fraction(float(guess[0]))
        for shift in (near.limit_denominator(10_000), near):
            if abs(shift - near) <= Fraction(1, 10**11) * (1 + abs(shift)) and _is_semidefinite(matrix, shift):
                return round_down(shift)
    return -np.inf


def is_singular(matrix: list[list[Fraction]]) -> bool:
    """Whether a positive semidefinite rational matrix is singular, by exact elimination."""
    return not all(_pivots(matrix))


def rayleigh_quotient(matrices: Interval, vectors: np.ndarray) -> Interval:
    """v'Hv / v'v for one vector beside each interval matrix: an upper bound of the least eigenvalue."""
    v = Interval.point(vectors)
    column, row = v.map(lambda a: a[:, :, None]), v.map(lambda a: a[:, None, :])
    return (column * matrices * row).sum((1, 2)) / v.power(2).sum((1,))


def _split(matrices: Interval) -> tuple[np.ndarray, np.ndarray]:
    """Point matrices C and numbers r with every matrix of the interval at least C - r I.

    The diagonal of C is the lower end, the rest the midpoint; r bounds the row sums of the radii.
    """
    low = np.maximum(matrices.lo, np.swapaxes(matrices.lo, 1, 2))  # both triangles enclose the same numbers
    high = np.minimum(matrices.hi, np.swapaxes(matrices.hi, 1, 2))
    with np.errstate(all="ignore"):
        middle = np.where(high > low, low + 0.5 * (high - low), low)
        radius = np.where(high > low, np.nextafter(np.maximum(high - middle, middle - low), np.inf), 0.0)
    place = np.arange(low.shape[-1])
    middle[:, place, place], radius[:, place, place] = low[:, place, place], 0.0
    return middle, (radius.sum(-1) * (1 + gamma(len(place) + 2))).max(-1)


def _guesses(matrices: np.ndarray) -> Iterator[np.ndarray]:
    """Candidates for a lower bound of each least eigenvalue, from the closest to the safest."""
    scale = np.abs(matrices).sum(-1).max(-1) * matrices.shape[-1]
    near = np.linalg.eigvalsh(matrices)[:, 0]
    for digits in (0, 6, 9, 12):
        short = np.round(near, digits)
        yield np.where(np.abs(short - near) <= 1e-13 * scale, short, -np.inf)
    for slack in (4e-16, 1e-14, 1e-12, 1e-9, 1e-6, 1e-3):
        yield near - slack * scale


def _eliminates(matrices: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Whether interval elimination proves `matrix - shift I` positive semidefinite, for each matrix."""
    size = matrices.shape[-1]
    shifted = Interval.point(matrices) - Interval.point(shifts[:, None, None] * np.eye(size))
    lo, hi = shifted.lo.copy(), shifted.hi.copy()
    proved = np.ones(len(matrices), dtype=bool)
    for k in range(size):
        after = slice(k + 1, size)
        zero = ((lo[:, after, k] == 0) & (hi[:, after, k] == 0)).all(1)
        proved &= (lo[:, k, k] > 0) | zero & (lo[:, k, k] >= 0)
        usable = lo[:, k, k] > 0
        pivot = Interval.of(np.where(usable, lo[:, k, k], 1.0), np.where(usable, hi[:, k, k], 1.0))
        column = Interval.of(lo[:, after, k], hi[:, after, k])
        outer = column.map(lambda a: a[:, :, None]) * column.map(lambda a: a[:, None, :])
        rest = Interval.of(lo[:, after, after], hi[:, after, after]) - outer / pivot.map(lambda a: a[:, None, None])
        lo[:, after, after], hi[:, after, after] = rest.lo, rest.hi
    return proved


def _factorizes(matrices: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Whether a floating-point Cholesky factorization proves `matrix >= shift I`, for each matrix.

    If it runs to its end on B, then B >= -c I with c = gamma / (1 - gamma) trace(B) plus a term for underflow
    (Rump, Verification of positive definiteness, BIT 46, 2006); gamma is taken for four times the operations of
    the textbook algorithm, which covers the reciprocals and blocks of optimized libraries.
    """
    return np.array([_factorizes_one(matrix, shift) for matrix, shift in zip(matrices, shifts, strict=True)])


def _factorizes_one(matrix: np.ndarray, shift: float) -> bool:
    size = len(matrix)
    check(_seconds(size))
    diagonal, unit = np.diag(matrix), gamma(4 * (size + 4))
    trace = float(np.maximum(diagonal - shift, 0).sum()) * (1 + gamma(size + 4))
    slack = 1.01 * unit / (1 - unit) * trace + size * (size + trace) * _UNDERFLOW
    moved = matrix.copy()
    np.fill_diagonal(moved, np.nextafter(diagonal - np.nextafter(shift + slack, np.inf), -np.inf))
    if size > _DENSE:
        from scipy.linalg.lapack import dpotrf

        factor, failed = dpotrf(moved.T, overwrite_a=True, clean=False)
        return not failed and bool(np.isfinite(np.diag(factor)).all())
    try:
        return bool(np.isfinite(np.linalg.cholesky(moved)).all())
    except np.linalg.LinAlgError:
        return False


def _seconds(size: int) -> float:
    """About how long one factorization of a matrix takes."""
    return _RATE * size**3


def _is_semidefinite(matrix: list[list[Fraction]], shift: Fraction) -> bool:
    """Whether `matrix - shift I` is, by exact elimination: no pivot negative, or zero with something beside it."""
    shifted = [[entry - shift * (i == j) for j, entry in enumerate(row)] for i, row in enumerate(matrix)]
    return all(pivot >= 0 for pivot in _pivots(shifted))


def _pivots(matrix: list[list[Fraction]]) -> Iterator[Fraction]:
    """The pivots of a symmetric matrix; -1 in place of a zero with something beside it."""
    rest = [row[:] for row in matrix]
    for k in range(len(rest)):
        pivot = rest[k][k]
        yield Fraction(-1) if pivot == 0 and any(rest[k][k + 1 :]) else pivot
        for i in range(k + 1, len(rest)) if pivot else ():
            factor = rest[i][k] / pivot
            for j in range(k + 1, len(rest)):
                rest[i][j] -= factor * rest[k][j]
