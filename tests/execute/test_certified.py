"""A certified gap is never below the true one, and no fact is taken for more than it says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from bileveldsl import loads
from bileveldsl.certify.facts import Fact
from bileveldsl.execute.certified import Certified, certified, repeated
from bileveldsl.execute.engine import numpy_engine
from bileveldsl.execute.monitor import Monitor
from bileveldsl.execute.problem import compile_problem

FREE = "model m; upper { var x in [0, 1]; minimize x^2 + y }; lower { var y; minimize (y - x)^2 }"
BOUNDED = FREE.replace("var y", "var y in [0, 5]")


def facts(*known, of="lower.objective"):
    return [Fact(of, name, verdict, constant, x=x, y=y) for name, verdict, constant, x, y in known]


def of(text, *known):
    return certified(compile_problem(loads(text).program(), numpy_engine(), facts(*known)))


@given(seed=st.integers(0, 2**32 - 1), bounded=st.booleans(), share=st.floats(0.1, 1))
@settings(max_examples=60, deadline=None)
def test_the_gap_and_the_distance_of_quadratics_are_never_larger_than_certified(seed, bounded, share):
    random = np.random.default_rng(seed)
    n = int(random.integers(1, 5))
    root, b = random.standard_normal((n, n)), 3 * random.standard_normal(n)
    A = root @ root.T + 0.1 * np.eye(n)
    widths = random.uniform(0, 2, (2, n)) if bounded else np.full((2, n), np.inf)
    low, high = -widths[0], widths[1]
    known = Certified(share * float(np.linalg.eigvalsh(A).min()), lower=low, upper=high)
    y = np.clip(2 * random.standard_normal(n), low, high)
    gradient, value = A @ y - b, y @ A @ y / 2 - b @ y
    best = np.linalg.solve(A, b)
    if bounded:
        root = np.linalg.cholesky(A)
        best = optimize.lsq_linear(root.T, np.linalg.solve(root, b), (low, high), tol=1e-14).x
    gap = value - (best @ A @ best / 2 - b @ best)
    bound = float(known.gap(np, y, gradient))
    assert bound >= gap - 1e-6 * (1 + abs(value))
    distance = np.linalg.norm(y - best)
    assert distance < 1e-3 or not known.within(np, y, gradient, 0.99 * distance)
    if not bounded:
        assert bound == pytest.approx(gradient @ gradient / (2 * known.mu))
        assert known.within(np, y, gradient, 1.01 * np.linalg.norm(gradient) / known.mu)


def test_at_a_minimum_on_the_boundary_the_certified_gap_is_zero():
    """y^2 on [1, 2] has the slope 2 at its minimum, which counts for nothing."""
    known = Certified(2.0, lower=np.array([1.0]), upper=np.array([2.0]))
    assert float(known.gap(np, np.array([1.0]), np.array([2.0]))) == 0
    assert float(known.gap(np, np.array([2.0]), np.array([4.0]))) == pytest.approx(3.0)  # 2^2 - 1^2


STRONG, PL = ("strongly_convex", "proved", 2.0, "box", "all"), ("pl", "proved", 3.0, "box", "all")


def test_the_largest_modulus_is_taken_with_the_smoothness():
    found = of(FREE, STRONG, PL, ("smooth", "proved", 7.0, "box", "all"))
    assert (found.mu, found.smooth, found.verdict) == (3.0, 7.0, "proved")
    assert of(FREE, STRONG).smooth == np.inf
    assert of(FREE, ("pl", "assumed", 1.5, "box", "all")).verdict == "assumed"


@pytest.mark.parametrize("known", [
    ("pl", "proved", 3.0, "box", "region"), ("pl", "proved", 3.0, "pointwise", "all"),
    ("strongly_convex", "refuted", 3.0, "box", "all"), ("strongly_convex", "proved", None, "box", "all"),
    ("strongly_convex", "proved", 0.0, "box", "all"), ("strongly_convex", "proved", 1.0, "pointwise", "all"),
    ("convex", "proved", 1.0, "box", "all"),
])  # fmt: skip
def test_what_does_not_hold_everywhere_certifies_nothing(known):
    assert of(FREE, known) is None


def test_between_bounds_only_strong_convexity_counts():
    assert of(BOUNDED, PL) is None and of(BOUNDED, ("pl", "proved", 3.0, "box", "region")) is None
    found = of(BOUNDED, ("strongly_convex", "proved", 2.0, "box", "region"), PL)
    assert found.mu == 2.0 and (found.lower, found.upper) == (0.0, 5.0)
    other = [Fact("other.objective", "strongly_convex", "proved", 2.0)]
    assert certified(compile_problem(loads(FREE).program(), numpy_engine(), other)) is None


def test_it_is_said_once():
    monitor = Monitor()
    for _ in range(2):
        Certified(2.0).tell(monitor)
    assert monitor.notes == ["inner loops stop by a certified gap of the follower (mu = 2, proved)"]


@pytest.mark.parametrize(("enough", "taken"), [(3, 3), (10, 5)])
def test_a_loop_ends_after_the_step_that_is_enough_or_the_last(enough, taken):
    state, count = repeated(numpy_engine(), lambda k: (k + 1, k + 1 >= enough), 0, 5)
    assert state == count == taken
