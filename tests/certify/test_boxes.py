"""Convexity, moduli and smoothness by branch and bound, checked, and compared with dense samples."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from asked import is_accepted, question
from hypothesis import given, settings
from hypothesis import strategies as st

from bileveldsl.certify.boxes import best_bounds, prove_bend
from bileveldsl.certify.cover import finite_box
from bileveldsl.certify.scalars import evaluate, hessian
from bileveldsl.certify.statement import Question


def eigenvalues(asked: Question, count: int = 4000) -> np.ndarray:
    """The eigenvalues of the Hessian at random points of the box, infinite sides cut, and at its corners."""
    random = np.random.default_rng(1)
    low, high = finite_box(asked.lo, asked.hi)
    shares = random.random((count, len(low)))
    shares[: count // 4] = np.round(shares[: count // 4])
    points = low + shares * (high - low)
    entries = hessian(asked.root, asked.own)
    matrices = np.zeros((count, len(asked.own), len(asked.own)))
    for (i, j), value in zip(entries, evaluate(list(entries.values()), points), strict=True):
        matrices[:, i, j] = matrices[:, j, i] = value
    return np.linalg.eigvalsh(matrices[np.isfinite(matrices).all((1, 2))])


BOUNDED = [  # objective, x, y, infimum of the least eigenvalue, greatest size of one
    ("y^2 + x*sin(y)/4", "x in [0, 1]", "y", 1.75, 2.25),
    ("2*y1^2 + 2*y2^2 + y1*y2 + sin(y1 - 2*y2)/4 + cos(2*y1 - 4*y2)/9", "x", "y1; y2", 0.7998, 6.849),
    ("exp(y1 + y2) + exp(-y1 + x*y2) + y1^2/2 + y2^2/2", "x in [-1, 1]", "y1 in [-1, 1]; y2 in [-1, 1]", 1.0, 16.05),
    ("y1^4 + y2^4 + y1*y2 + 3*(y1^2 + y2^2)", "x", "y1 in [-1, 1]; y2 in [-1, 1]", 5.0, 19.0),
    ("softplus(y1 + y2) + softplus(x - y1) + exp(x)*(y1^2 + y2^2)/2", "x in [-1, 1]", "y1; y2", 0.36788, 3.3727),
    ("(x + 2)*y1^2 + y2^2 + x*y1*y2", "x in [-1, 3]", "y1; y2", 1.0, 11.0),
    ("y^3", "x", "y in [1, 2]", 6.0, 12.0),
    ("x*y1*y2 + 2*y1^2 + 2*y2^2 + y3^2*(1 + x^2)", "x in [-1, 1]", "y1; y2; y3", 2.0, 5.0),
    ("y^2 + tanh(y)", "x", "y", 1.2302, 2.7698),
    ("sqrt(1 + y^2)", "x", "y in [-2, 2]", 0.089443, 1.0),
]


@pytest.mark.parametrize(("objective", "x", "y", "least", "size"), BOUNDED)
def test_bounds_are_close_and_are_accepted(objective: str, x: str, y: str, least: float, size: float) -> None:
    asked = question(objective, x, y)
    found = best_bounds(asked)
    assert found.mu is not None and found.L is not None and found.L_proof is not None
    assert 0.94 * least <= found.mu <= least + 1e-4
    assert size - 1e-2 <= found.L <= 1.06 * size
    assert is_accepted(asked, found.mu_proof, 1, -found.mu)
    assert is_accepted(asked, found.L_proof["below"], 1, found.L)
    assert is_accepted(asked, found.L_proof["above"], -1, found.L)
    seen = eigenvalues(asked)
    assert float(found.mu) <= seen.min() + 1e-9 and seen.max() <= float(found.L) + 1e-9
    assert float(found.mu_seen) >= float(found.mu) - 1e-9


@pytest.mark.parametrize(("objective", "x", "y", "least", "size"), BOUNDED)
def test_no_proof_serves_a_better_bound_than_the_best(
    objective: str, x: str, y: str, least: float, size: float
) -> None:
    asked = question(objective, x, y)
    found = best_bounds(asked)
    assert found.L_proof is not None
    assert not is_accepted(asked, found.mu_proof, 1, -Fraction(least + 1e-3 * (1 + least)))
    assert not is_accepted(asked, found.L_proof["above"], -1, Fraction(size * 0.99))


@pytest.mark.parametrize(("objective", "x", "y"), [
    ("y^2 + 3*sin(y)^2", "x", "y"), ("sin(x + y1 - y2)^2", "x", "y1; y2"),
    ("y^3", "x", "y >= -1e-9"), ("y^3", "x", "y"),
    ("-4e-11*y^2 + x", "x", "y"), ("1e-11*cos(y)", "x", "y"), ("y^2 - 1e-11*exp(x)*y^2", "x", "y"),
    ("x*y^2", "x in [-1e-12, 1]", "y"), ("sin(x)*y^2 + y^4", "x in [-3, 3]", "y"),
    ("y1^2 + y2^2 + 2.0000000001*y1*y2", "x", "y1; y2"),
    ("(y1 - y2)^2 - 1e-10*y3^2", "x", "y1; y2; y3"),
    ("y^4 - 1e-8*y^2", "x", "y"), ("(y - x)^4 - 1e-9*(y - x)^2", "x", "y"),
    ("exp(y) - 1e-6*y^2", "x", "y"), ("y1^2/y2", "x", "y1; y2 in [-2, -1]"), ("-log(y) - 1e-5*y^2", "x", "y >= 0"),
])  # fmt: skip
def test_what_is_not_convex_is_not_proved(objective: str, x: str, y: str) -> None:
    asked = question(objective, x, y)
    assert prove_bend(asked, 1, 0) is None
    found = best_bounds(asked)
    assert found.mu is None or found.mu < 0


@pytest.mark.parametrize(("objective", "x", "y"), [
    ("y^3", "x", "y >= 0"), ("sin(x)*y^2 + y^4", "x in [0, 3]", "y"), ("(y1 - x)^2 + (y2 - x^2)^4", "x", "y1; y2"),
    ("exp(x)*y^2 + x*y", "x", "y"), ("-log(y) - 1e-5*y^2", "x", "y in [0.1, 200]"),
    ("x*y1^2 + exp(y1 + y2)", "x in [0, 1]", "y1; y2 >= 0"),
    ("y1^3 + y2^3 + y1*y2*x", "x in [0, 1]", "y1 >= 1; y2 >= 1"),
    ("1/y + x*y", "x", "y >= 0.5"), ("y^2*(2 + sin(x^2))", "x", "y"), ("y^4 + y^2*cos(x)^2", "x", "y"),
    ("y*log(y)", "x in [0, 1]", "y >= 0"), ("exp(-y1)*x + y2^2", "x >= 0", "y1; y2"),
])  # fmt: skip
def test_convexity_is_proved_and_accepted(objective: str, x: str, y: str) -> None:
    asked = question(objective, x, y)
    proof = prove_bend(asked, 1, 0)
    assert proof is not None and is_accepted(asked, proof, 1, 0)


def test_a_tight_modulus_is_found_exactly() -> None:
    found = best_bounds(question("3*y1^2 + 2*y1*y2 + 3*y2^2 + x*y1^2*y2^2*0 + x^2*y1^2", "x in [0, 1]", "y1; y2"))
    assert found.mu == 4


def test_blocks_are_searched_by_themselves() -> None:
    objective = " + ".join(f"exp(y{k}) + y{k}^2" for k in range(8))
    asked = question(objective, "x", "; ".join(f"y{k} in [-1, 1]" for k in range(8)))
    proof = prove_bend(asked, 1, -2)
    assert proof is not None and len(proof["blocks"]) == 8
    assert is_accepted(asked, proof, 1, -2) and not is_accepted(asked, proof, 1, -3)


def test_an_angle_makes_an_unbounded_question_compact() -> None:
    asked = question("y1^2 + y2^2 + sin(y1 + y2)*cos(2*y1 + 2*y2)/8", "x", "y1; y2")
    proof = prove_bend(asked, 1, Fraction(-1, 2))
    assert proof is not None and [atom["periodic"] for atom in proof["blocks"][0]["atoms"]] == [True]
    assert is_accepted(asked, proof, 1, Fraction(-1, 2)) and not is_accepted(asked, proof, 1, -1)


def test_powers_of_sums_of_many_variables_are_matters_of_the_sums() -> None:
    names = [f"y{k}" for k in range(12)]
    objective = f"({' + '.join(names)})^4 + " + " + ".join(f"{name}^2" for name in names)
    asked = question(objective, "x", "; ".join(f"{name} in [-1, 1]" for name in names))
    proof = prove_bend(asked, 1, -2)
    assert proof is not None and is_accepted(asked, proof, 1, -2) and not is_accepted(asked, proof, 1, -3)


def test_functions_with_kinks_have_no_bounds() -> None:
    found = best_bounds(question("abs(y) + y^2"))
    assert found.mu is None and found.L is None and prove_bend(question("abs(y)"), 1, 0) is None


terms = st.sampled_from(
    ["y1^2", "y2^2", "y1*y2", "y1^3", "x*y1^2", "x*y2", "y1^2*y2^2", "sin(y1)", "cos(x + y2)", "exp(y1 - y2)",
     "softplus(x*y1)", "y2^4", "x^2*y1*y2", "tanh(y2)", "1/(3 + y1)"]
)  # fmt: skip
sums = st.lists(st.tuples(st.sampled_from([-2, -1, 1, 2, 3]), terms), min_size=1, max_size=5)


@settings(deadline=None, max_examples=20)
@given(sums)
def test_random_sums_keep_their_bounds(parts: list[tuple[int, str]]) -> None:
    asked = question(" + ".join(f"{c}*{t}" for c, t in parts), "x in [-1, 2]", "y1 in [-1, 1]; y2 in [0, 2]")
    found = best_bounds(asked)
    assert found.mu is not None or found.mu_seen < 0
    seen = eigenvalues(asked, 500)
    scale = 1e-9 * (1 + np.abs(seen).max())
    if found.mu is not None:
        assert float(found.mu) <= seen.min() + scale
        assert is_accepted(asked, found.mu_proof, 1, -found.mu)
    assert found.L is not None and np.abs(seen).max() <= float(found.L) + scale
    assert found.L_proof is not None and is_accepted(asked, found.L_proof["below"], 1, found.L)
    assert is_accepted(asked, found.L_proof["above"], -1, found.L)
