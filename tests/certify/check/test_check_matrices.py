import random

import pytest
from flint import fmpq, fmpq_mat

from bileveldsl.certify.check.matrices import is_semidefinite, range_matrix_is_semidefinite
from bileveldsl.certify.check.ranges import INF, Range
from bileveldsl.certify.check.terms import Rejected


def _gram(source, size, rank):
    rows = [[fmpq(source.randint(-5, 5), source.randint(1, 4)) for _ in range(size)] for _ in range(rank)]
    return [[sum((r[i] * r[j] for r in rows), fmpq(0)) for j in range(size)] for i in range(size)]


def _by_minors(matrix):
    """Semidefinite exactly if every coefficient of the characteristic polynomial has the sign it must have."""
    coefficients = fmpq_mat(matrix).charpoly().coeffs()
    size = len(matrix)
    return all(c * (-1) ** (size - k) >= 0 for k, c in enumerate(coefficients))


@pytest.mark.parametrize("seed", range(100))
def test_semidefinite_is_what_the_characteristic_polynomial_says(seed):
    source = random.Random(seed)
    size = source.randint(1, 5)
    matrix = _gram(source, size, source.randint(0, size))
    assert is_semidefinite(matrix)
    assert is_semidefinite(matrix, strictly=True) == (fmpq_mat(matrix).rank() == size)
    i = source.randrange(size)
    matrix[i][i] -= fmpq(source.randint(0, 40), 8)
    assert is_semidefinite(matrix) == _by_minors(matrix)


def test_a_tiny_negative_eigenvalue_is_negative():
    tiny = fmpq(1, 10**11)
    assert not is_semidefinite([[-tiny]])
    assert not is_semidefinite([[fmpq(1), fmpq(1)], [fmpq(1), fmpq(1) - tiny]])
    assert not is_semidefinite([[fmpq(0), tiny], [tiny, fmpq(1)]])
    zero, one = Range(fmpq(0), fmpq(0)), Range(fmpq(1), fmpq(1))
    assert not range_matrix_is_semidefinite([[Range(-tiny, tiny)]])
    assert not range_matrix_is_semidefinite([[zero, Range(zero.lo, tiny)], [Range(zero.lo, tiny), one]])


def test_asymmetric_and_ragged_matrices():
    assert not is_semidefinite([[fmpq(1), fmpq(0)], [fmpq(1, 2), fmpq(1)]])
    with pytest.raises(Rejected):
        is_semidefinite([[fmpq(1)], [fmpq(0), fmpq(1)]])


@pytest.mark.parametrize("seed", range(100))
def test_no_member_of_an_accepted_range_matrix_is_indefinite(seed):
    source = random.Random(seed)
    size = source.randint(1, 7)
    middle = _gram(source, size, size + 1)
    for i in range(size):
        middle[i][i] += source.randint(0, 3)
    radii = [[fmpq(source.randint(0, 6), 8) for _ in range(size)] for _ in range(size)]
    rows = [[None] * size for _ in range(size)]
    for i in range(size):
        for j in range(i + 1):
            rows[i][j] = rows[j][i] = Range(middle[i][j] - radii[i][j], middle[i][j] + radii[i][j])
    accepted = range_matrix_is_semidefinite(rows)
    worst = True
    for _ in range(60):
        member = [[None] * size for _ in range(size)]
        for i in range(size):
            for j in range(i + 1):
                member[i][j] = member[j][i] = source.choice((rows[i][j].lo, rows[i][j].hi))
        worst = worst and is_semidefinite(member)
    assert not (accepted and not worst)
    if size == 1:
        assert accepted == worst


def test_the_vertices_decide_small_matrices():
    two, one = Range(fmpq(2), INF), Range(fmpq(-1), fmpq(1))
    off = Range(fmpq(-3, 2), fmpq(1))
    assert range_matrix_is_semidefinite([[two, off], [off, Range(fmpq(9, 8), fmpq(2))]])
    assert not range_matrix_is_semidefinite([[two, off], [off, Range(fmpq(9, 8) - fmpq(1, 10**9), fmpq(2))]])
    assert range_matrix_is_semidefinite([[two, one], [one, two]])


def test_infinite_entries():
    free, zero = Range(-INF, INF), Range(fmpq(0), fmpq(0))
    up = Range(fmpq(0), INF)
    assert range_matrix_is_semidefinite([[up, zero], [zero, up]])
    assert not range_matrix_is_semidefinite([[up, free], [free, up]])
    assert not range_matrix_is_semidefinite([[up.undefined()]])


def test_large_matrices():
    """Elimination in balls shows what is definite; a tiny or hidden negative eigenvalue is left to exact numbers."""
    source = random.Random(5)
    size, third = 20, fmpq(1, 3)
    gram = [[third * entry for entry in row] for row in _gram(source, size, size + 2)]
    assert is_semidefinite(gram)
    singular = _gram(source, size, size - 1)
    assert is_semidefinite(singular) and not is_semidefinite(singular, strictly=True)
    for tiny in (fmpq(1, 10**11), fmpq(1, 10**200)):
        below = [[entry - tiny * (i == j) for j, entry in enumerate(row)] for i, row in enumerate(singular)]
        assert not is_semidefinite(below)
    nearly = [[fmpq(i == j) for j in range(size)] for i in range(size)]
    nearly[19][18] = nearly[18][19] = 1 + fmpq(1, 10**200)
    assert not is_semidefinite(nearly)
