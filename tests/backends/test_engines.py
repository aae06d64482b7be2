"""Both engines take the methods that are one compiled loop to the same point; more forms are in execute/test_many."""

import numpy as np
import pytest
from compiled import problem_of, runner
from quadratic import Quadratic

from bileveldsl import registry
from bileveldsl.execute.engine import jax_engine, numpy_engine

pytest.importorskip("jax")

CASES = [
    ("f2ba", {"sigma": 1e-2, "inner_method": "nesterov"}, 1e-7),
    ("f2ba", {"form": "paper", "max_iterations": 20}, 1e-9),
    ("galet", {}, 1e-7), ("bome", {"max_iterations": 50}, 1e-8), ("pbgd", {"gamma": 10.0}, 1e-5),
    ("pbgd", {"form": "paper", "max_iterations": 20}, 1e-9), ("rxgf", {}, 1e-6),
]  # fmt: skip


@pytest.mark.parametrize(("backend", "options", "within"), CASES, ids=lambda value: str(value))
def test_both_engines_agree(backend, options, within):
    """With bounds of x; what is compiled does not grow with the model, which is therefore small."""
    model, run = Quadratic.random(0, nx=2, ny=2).model((-0.5, 0.5)), runner(registry.get(backend))
    ends = [run(problem_of(model, engine()), **options) for engine in (numpy_engine, jax_engine)]
    assert [type(point.x) for point in ends] == [np.ndarray] * 2
    np.testing.assert_allclose(ends[0].x, ends[1].x, atol=within)
    np.testing.assert_allclose(ends[0].y, ends[1].y, atol=within)
    assert ends[0].status == ends[1].status
