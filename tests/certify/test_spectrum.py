"""Eigenvalue bounds are proved: they hold for matrices whose eigenvalues are known exactly."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bileveldsl.certify.interval import Interval
from bileveldsl.certify.spectrum import (
    extreme_eigenvalues,
    greatest_eigenvalue,
    is_singular,
    least_eigenvalue,
    least_rational_eigenvalue,
    rayleigh_quotient,
)  # fmt: skip


def point(matrix):
    return Interval.point(np.asarray(matrix, dtype=float)[None])


def definite(matrix, shift):
    """Whether a matrix of dyadic numbers minus a shift is positive semidefinite, by exact leading pivots."""
    rows = [[Fraction(float(entry)) for entry in row] for row in matrix]
    for k, row in enumerate(rows):
        row[k] -= Fraction(float(shift))
    for k in range(len(rows)):
        if rows[k][k] <= 0:
            return rows[k][k] == 0 and not any(rows[k][k + 1 :]) and not any(r[k] for r in rows[k + 1 :])
        for i in range(k + 1, len(rows)):
            factor = rows[i][k] / rows[k][k]
            rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k], strict=True)]
    return True


@given(st.integers(1, 14), st.integers(0, 10**6), st.integers(-12, 3))
def test_least_eigenvalues_are_below_and_close(size, seed, scale):
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(size, size)) * 10.0 ** rng.uniform(scale, 3, size)
    matrix = factor.T @ factor
    matrix = (matrix + matrix.T) / 2
    bound = float(least_eigenvalue(point(matrix))[0])
    assert definite(matrix, bound)
    assert bound >= np.linalg.eigvalsh(matrix)[0] - 1e-8 * np.abs(matrix).sum()


@pytest.mark.parametrize("size", [2, 8, 9, 40])
def test_a_semidefinite_matrix_moved_by_a_hair_is_told_apart(size):
    rng = np.random.default_rng(size)
    factor = np.round(rng.normal(size=(size - 1, size)) * 16) / 16
    singular = factor.T @ factor  # exact in floats, of rank size - 1
    assert least_eigenvalue(point(singular - 1e-9 * np.eye(size)))[0] < 0
    assert least_eigenvalue(point(singular + 1e-6 * np.eye(size)))[0] > 0
    assert greatest_eigenvalue(point(singular))[0] >= np.linalg.eigvalsh(singular)[-1] * (1 - 1e-14)


def test_a_factorization_that_runs_to_its_end_by_rounding_proves_nothing():
    for seed in range(40):
        rng = np.random.default_rng(seed)
        factor = rng.integers(-16, 17, (12, 11)).astype(float)
        last = factor @ np.array([2.0**-10, *rng.integers(-2, 3, 10)])
        matrix = np.c_[factor, last].T @ np.c_[factor, last]  # exact, and singular
        matrix[0, 0] = np.nextafter(matrix[0, 0], 0)  # now indefinite by far less than a rounding
        assert least_eigenvalue(point(matrix))[0] < 0


def test_simple_eigenvalues_are_exact():
    assert least_eigenvalue(point([[2, 1], [1, 2]]))[0] == 1
    assert least_eigenvalue(point([[1, -1], [-1, 1]]))[0] == 0
    assert least_eigenvalue(point(np.diag(np.arange(3.0, 20.0))))[0] == 3
    assert least_eigenvalue(point([[3, 0], [0, -1e-11]]))[0] == -1e-11


def test_an_interval_matrix_is_bounded_by_its_worst_member():
    lo, hi = np.array([[2.0, -1.0], [-1.0, 2.0]]), np.array([[3.0, 1.0], [1.0, 5.0]])
    bound = least_eigenvalue(Interval.of(lo[None], hi[None]))[0]
    assert bound <= 1 and bound > 0.99
    whole = Interval.of(np.full((1, 2, 2), -np.inf), np.full((1, 2, 2), np.inf))
    assert least_eigenvalue(whole)[0] == -np.inf
    batch = Interval.of(np.stack([lo, lo - 9]), np.stack([hi, hi - 9]))
    assert (least_eigenvalue(batch) <= [1, -8]).all()


def test_rational_matrices():
    third = Fraction(1, 3)
    singular = [[third, -third], [-third, third]]
    assert least_rational_eigenvalue(singular) == 0 and is_singular(singular)
    assert least_rational_eigenvalue([[third, -third], [-third, third - Fraction(1, 10**30)]]) < 0
    assert Fraction(least_rational_eigenvalue([[2 * third, 0], [0, Fraction(1)]])) <= 2 * third
    assert not is_singular([[Fraction(1), Fraction(0)], [Fraction(0), Fraction(1, 10**40)]])


def test_rayleigh_quotients_bound_the_least_eigenvalue_from_above():
    quotient = rayleigh_quotient(point([[2, 1], [1, 2]]), np.array([[1.0, -1.0]]))
    assert (quotient.lo[0], quotient.hi[0]) == (1, 1)


@pytest.mark.parametrize("size", [3, 60, 500])
def test_extreme_eigenvalues_are_outside_and_close(size):
    rng = np.random.default_rng(size)
    factor = rng.normal(size=(2 * size, size))
    matrix = factor.T @ factor
    low, high = extreme_eigenvalues(matrix)
    spectrum = np.linalg.eigvalsh(matrix)
    assert spectrum[0] * (1 - 1e-7) <= low <= spectrum[0] * (1 + 1e-11)
    assert spectrum[-1] * (1 - 1e-13) <= high <= spectrum[-1] * (1 + 1e-7)
    apart = extreme_eigenvalues(matrix, error=1.0)
    assert (apart[0], apart[1]) == (pytest.approx(low - 1), pytest.approx(high + 1))


@pytest.mark.parametrize("size", [9, 450])
def test_extreme_eigenvalues_of_singular_and_indefinite_matrices(size):
    rng = np.random.default_rng(size)
    factor = np.round(rng.normal(size=(size - 1, size)) * 4)
    assert extreme_eigenvalues(factor.T @ factor)[0] <= 0  # exact, of rank size - 1
    assert extreme_eigenvalues(factor.T @ factor - 1e-9 * np.eye(size))[0] < 0
    assert extreme_eigenvalues(np.zeros((size, size))) == (0, 0)
    assert extreme_eigenvalues(np.full((size, size), np.inf)) == (-np.inf, np.inf)
    low, high = extreme_eigenvalues(-np.eye(size))
    assert low <= -1 <= high < -1 + 1e-6
