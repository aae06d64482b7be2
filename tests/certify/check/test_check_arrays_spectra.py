"""Bounds of spectra are shown for what is true with little to spare, and never for what is not."""

from fractions import Fraction

import numpy as np
import pytest
from flint import fmpq, fmpz_mat
from hypothesis import given, settings
from hypothesis import strategies as st

from bileveldsl.certify.check import array_factors, array_spectra
from bileveldsl.certify.check.array_factors import BLOCK, from_rows
from bileveldsl.certify.check.array_spectra import of_integers, rational, root_above
from bileveldsl.certify.check.matrices import is_semidefinite
from bileveldsl.certify.check.terms import Rejected
from bileveldsl.certify.gram import gram


def holds(check, bound):
    try:
        check(bound)
    except Rejected:
        return False
    return True


def rounded(rows):
    return array_spectra.rounded(lambda r, start, stop: rows[r][start:stop], len(rows), len(rows[0]))


def shifted_is_semidefinite(lower, sign, shift):
    return array_factors.shifted_is_semidefinite(from_rows(lower), sign, shift)


def exact(value):
    return fmpq(*float(value).as_integer_ratio())


@pytest.mark.parametrize("shape", [(7, 5), (5, 7), (60, 41), (41, 60), (300, 200), (130, 260)])
def test_random_matrices_against_their_singular_values(shape):
    rng = np.random.default_rng(sum(shape))
    A = rng.normal(size=shape)
    matrix = rounded(A.tolist())
    spectrum = np.linalg.svd(A, compute_uv=False) ** 2
    slack = spectrum[0] * 1e-10
    assert holds(matrix.require_least, exact(spectrum[-1] - slack))
    assert not holds(matrix.require_least, exact(spectrum[-1] + slack))
    assert holds(matrix.require_greatest, exact(spectrum[0] + slack))
    assert not holds(matrix.require_greatest, exact(spectrum[0] - slack))
    assert float(matrix.norm_above.p) / float(matrix.norm_above.q) >= spectrum[0]


@given(st.integers(1, 9), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_small_integer_matrices_are_decided_exactly(size, seed):
    rng = np.random.default_rng(seed)
    root = rng.integers(-3, 4, (size, rng.integers(1, size + 1)))
    square = root @ root.T + rng.integers(-1, 2) * np.diag(rng.integers(0, 2, size))
    lower = [row[: k + 1] for k, row in enumerate(square.tolist())]
    for sign in (1, -1):
        shift = int(rng.integers(0, 40)) if sign < 0 else 0
        whole = [[fmpq(int(v)) for v in row] for row in sign * square + shift * np.eye(size, dtype=int)]
        assert shifted_is_semidefinite(lower, sign, shift) == is_semidefinite(whole)


@pytest.mark.parametrize("size", [30, 41, 120, 250])
def test_a_singular_matrix_moved_by_a_hair_is_not_semidefinite(size):
    rng = np.random.default_rng(size)
    root = rng.integers(-(2**20), 2**20, (size, size - 1)).tolist()
    square = (fmpz_mat(root) * fmpz_mat(root).transpose()).tolist()
    lower = [[int(v) for v in row[: k + 1]] for k, row in enumerate(square)]
    trace = sum(row[-1] for row in lower)
    assert not shifted_is_semidefinite(lower, 1, -1)
    assert not shifted_is_semidefinite(lower, 1, -(trace >> 60) - 1)
    assert shifted_is_semidefinite(lower, 1, trace >> 30)
    tilted = [row[:] for row in lower]
    tilted[-1][-1] -= 1
    assert not shifted_is_semidefinite(tilted, 1, 0)
    if size <= 40:
        assert shifted_is_semidefinite(lower, 1, 0)


@pytest.mark.parametrize("part", ["_whole", "_below"])
def test_nothing_counts_of_a_factor_but_its_residual(monkeypatch, part):
    size = BLOCK + 20
    lower = [[2**40] * k + [size * 2**42] for k in range(size)]
    assert shifted_is_semidefinite(lower, 1, 0)
    original = getattr(array_factors, part)

    def tampered(*arguments):
        found = original(*arguments)
        found[found.nrows() - 1, 0] += 1 << 24
        return found

    monkeypatch.setattr(array_factors, part, tampered)
    assert not shifted_is_semidefinite(lower, 1, 0)


def test_the_residual_is_taken_off_the_shift(monkeypatch):
    size, large = BLOCK + 20, 2**60
    spare = (large * size) >> 46
    lower = [[0] * k + [large] for k in range(size)]
    lower[-1][-2:] = [large, large - (spare >> 4)]  # indefinite by less than the residual may be
    original = array_factors._triangle

    def raised(block, down):
        higher = fmpz_mat(block)
        for k in range(block.nrows()):
            higher[k, k] += 2 * spare << 34
        return original(higher, down)

    assert shifted_is_semidefinite(lower, 1, 2 * spare)
    monkeypatch.setattr(array_factors, "_triangle", raised)
    assert not shifted_is_semidefinite(lower, 1, 0)


@pytest.mark.parametrize("shape", [(300, 140), (140, 300), (BLOCK, 2 * BLOCK)])
def test_products_are_formed_piece_by_piece(monkeypatch, shape):
    monkeypatch.setattr(array_spectra, "_PIECE", 1000)
    rows = np.random.default_rng(0).integers(-9, 9, shape)
    found = of_integers(rows.tolist()).square()
    square = rows.T @ rows if shape[0] >= shape[1] else rows @ rows.T
    for (i, j), block in found.items():
        assert block.tolist() == square[i * BLOCK : (i + 1) * BLOCK, j * BLOCK : (j + 1) * BLOCK].tolist()
    count = -(-len(square) // BLOCK)
    assert len(found) == count * (count + 1) // 2


def test_entries_of_all_sizes():
    rng = np.random.default_rng(5)
    A = rng.normal(size=(90, 60)) * 10.0 ** rng.uniform(-3, 3, 60)
    matrix = rounded(A.tolist())
    spectrum = np.linalg.svd(A, compute_uv=False) ** 2
    assert holds(matrix.require_greatest, exact(spectrum[0] * (1 + 1e-9)))
    assert not holds(matrix.require_least, exact(spectrum[-1] * 1.01))
    with pytest.raises(Rejected, match="too large or too small"):
        rounded([[1e300, 1.0]])
    assert rounded([[0.0, 0.0]]).trace < fmpq(1, 10**300)


@pytest.mark.parametrize("size", [2, 50])
def test_rounding_of_the_data_is_paid_for(size):
    unit = fmpq(1, 2**45)  # to which entries near 1 are rounded
    above, below = (1 + share * 2.0**-45 for share in (0.625, 0.375))  # rounded up, and down
    for value, check, wrong, right in (
        (above, "require_least", 1 + unit * 2 * fmpq(7, 8), 1 - unit * 2 * size),
        (below, "require_greatest", 1 + unit * 2 * fmpq(1, 8), 1 + unit * 4 * size),
    ):
        matrix = rounded((np.eye(size) * value).tolist())
        assert not matrix.exact
        assert not holds(getattr(matrix, check), wrong)
        assert holds(getattr(matrix, check), right)
    whole = rounded(np.full((size, size), below).tolist())  # every entry errs to the same side
    assert not holds(whole.require_greatest, size**2 * (1 + unit / 2))
    assert rounded(np.eye(3).tolist()).exact


@given(st.fractions(0, 10**9, max_denominator=10**6))
def test_roots_are_above(x):
    root = root_above(fmpq(x.numerator, x.denominator))
    assert Fraction(int(root.p), int(root.q)) ** 2 >= x


def test_rational_matrices_are_exact():
    matrix, scale = rational([[fmpq(1, 3), fmpq(0)], [fmpq(0), fmpq(2, 7)]])
    assert matrix.exact and matrix.spectrum is not None
    assert [v * scale**2 for v in matrix.spectrum] == [fmpq(4, 49), fmpq(1, 9)]
    assert of_integers([[1, 2], [3, 4]]).spectrum is None


@pytest.mark.parametrize("shape", [(70, 50), (450, 420), (120, 300)])
def test_what_the_prover_says_of_a_matrix_can_be_shown(shape):
    from bileveldsl.calculus.expr import Dim, Symbol, contract, leaf
    from bileveldsl.certify.ranges import Ranges

    rng = np.random.default_rng(2)
    m, n = (Dim(name, size) for name, size in zip("mn", shape, strict=True))
    A, y = Symbol("A", "data", (m, n), rng.normal(size=shape)), Symbol("y", "variable", (n,))
    found = gram(contract([leaf(A), leaf(y)], y.axes), [y], Ranges({}))
    spectrum = np.linalg.svd(A.value, compute_uv=False) ** 2
    assert found.positive == pytest.approx(spectrum[-1], rel=1e-6) and found.positive <= spectrum[-1] * (1 + 1e-12)
    assert found.greatest == pytest.approx(spectrum[0], rel=1e-7) and found.greatest >= spectrum[0] * (1 - 1e-12)
    assert found.least == (found.positive if shape[0] >= shape[1] else 0)
    matrix = rounded(A.value.tolist())
    matrix.require_least(exact(found.positive))
    matrix.require_greatest(exact(found.greatest))


# ---- quadratic forms, and products of data --------------------------------------------------


@pytest.mark.parametrize("size", [5, BLOCK + 30])
def test_the_eigenvalues_of_forms(size):
    K = np.random.default_rng(size).standard_normal((size, size))
    spectrum = np.linalg.eigvalsh(K + K.T)
    matrix = array_spectra.of_form(K.ravel().tolist(), size)
    slack = spectrum[-1] * 1e-9
    assert holds(matrix.require_least, exact(spectrum[0] - slack))
    assert not holds(matrix.require_least, exact(spectrum[0] + slack))
    assert holds(matrix.require_greatest, exact(spectrum[-1] + slack))
    assert not holds(matrix.require_greatest, exact(spectrum[-1] - slack))


def test_rounding_of_forms_is_paid_for():
    above, below = (1 + share * 2.0**-46 for share in (0.75, 0.25))
    for value, check, true in ((above, "require_greatest", 2 * above), (below, "require_least", 2 * below)):
        matrix = array_spectra.of_form((np.eye(2) * value).ravel().tolist(), 2)
        nearer = fmpq(1, 2**47) * (1 if check == "require_least" else -1)
        assert not holds(getattr(matrix, check), exact(true) + nearer)


def test_a_product_that_was_rounded_is_not_exact():
    rows = [[0.75, 0.5]]
    whole = array_spectra.rounded(lambda r, start, stop: rows[r][start:stop], 1, 2)
    products = array_spectra.rounded(lambda r, start, stop: rows[r][start:stop], 1, 2, products=True)
    assert whole.exact and whole.error == 0
    assert not products.exact and products.error >= fmpq(2) * fmpq(2) ** -products.shift
