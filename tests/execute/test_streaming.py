"""Data larger than memory: oracles by blocks are those of the whole, and a run takes no more memory than its blocks."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from bileveldsl.backends.f2bsa import F2BSA
from bileveldsl.backends.implicit import Implicit
from shared_models import SMALL

from bileveldsl import load, loads
from bileveldsl.backend import parse_options
from bileveldsl.certify.lower_level import certify
from bileveldsl.execute import streaming
from bileveldsl.execute.engine import numpy_engine
from bileveldsl.execute.monitor import Monitor
from bileveldsl.execute.oracles import ORACLES
from bileveldsl.execute.problem import CompiledProblem, compile_problem
from bileveldsl.execute.streaming import StreamedProblem
from bileveldsl.language.data import mapped
from bileveldsl.verify import verify_point

LARGE = """model large
dim n, p, m
param X[n, p], y[n] from "{}"
param V[m, p], v[m] from "val.npz"
upper {{ var pen in [-8, 3] start -2; minimize sum((V @ w - v)^2) / m }}
lower {{ var w[p]; minibatch n; minimize sum((X @ w - y)^2) / n + exp(pen) * sumsq(w); require strongly_convex }}
"""
ROWS, COLUMNS = 40_000, 25  # 8 MB


# ---- blocks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("blocks", [1, 2, 3, 5])
def test_the_mean_over_blocks_of_any_length_is_the_whole(blocks):
    """5 and 4 positions in 2, 3 or 5 blocks: the last ones are filled up, or there are more blocks than positions."""
    program = loads(SMALL).program()
    whole, split = CompiledProblem(program, numpy_engine()), StreamedProblem(program, numpy_engine(), (), blocks)
    random = np.random.default_rng(0)
    x, y, d, e = (random.standard_normal(size) for size in (6, 2, 2, 6))
    chains, sigmas, weights = random.standard_normal(6), np.array([0.1, 0.2, 0.3]), random.standard_normal(3)
    others = {"hvp": (x, y, d), "cross": (x, y, d), "cross_T": (x, y, e)}
    calls = {name: others.get(name, (x, y)) for name in ORACLES if not name.startswith("penalty")}
    calls |= {"penalty_sum": (x, chains, sigmas), "penalty_mean": (x, chains, sigmas, weights)}
    for name, arguments in calls.items():
        expected = getattr(whole, name)(*arguments)
        for problem in (split, split.pure):
            got = getattr(problem, name)(*arguments)
            for a, b in zip(*(v if isinstance(v, tuple) else (v,) for v in (got, expected)), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12, err_msg=name)
    assert split.work == whole.work


# ---- files ----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files whose arrays count as large from 1 MB on, in blocks of a quarter."""
    monkeypatch.setattr(mapped, "LEAST_BYTES", 2**20)
    monkeypatch.setattr(streaming, "BLOCK_BYTES", 2**18)
    random = np.random.default_rng(0)
    X, w = random.standard_normal((ROWS, COLUMNS)), random.standard_normal(COLUMNS)
    y = X @ w + 0.1 * random.standard_normal(ROWS)
    np.savez(tmp_path / "stored.npz", X=X, y=y)
    np.savez_compressed(tmp_path / "packed.npz", X=X, y=y)
    V = random.standard_normal((50, COLUMNS))
    np.savez(tmp_path / "val.npz", V=V, v=V @ w)
    for name in ("stored", "packed"):
        (tmp_path / f"{name}.blv").write_text(LARGE.format(f"{name}.npz"))
    return tmp_path


def solve(problem, monitor=None, **options):
    backend = F2BSA()
    given = {"max_iterations": 30, "batch": 64, "check": 10, **options}
    return backend.solve(problem, parse_options("f2bsa", backend.options, given), monitor or Monitor(seed=5))


def problem_of(folder, name, facts=()):
    return compile_problem(load(folder / f"{name}.blv").program(), numpy_engine(), facts)


def test_a_run_takes_the_memory_of_its_blocks_and_comes_to_the_same_point(folder):
    problem = problem_of(folder, "packed")  # is read whole, as compressed data must be
    expected, facts = solve(problem), certify(problem.program)
    assert not isinstance(problem, StreamedProblem)
    tracemalloc.start()
    try:
        problem = problem_of(folder, "stored", facts)
        point = solve(problem)
        verified = verify_point(problem, point.x, point.y, problem.facts)
        largest = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(problem, StreamedProblem) and problem.blocks == 31
    assert largest < 4 * 2**20 < 8 * ROWS * COLUMNS
    np.testing.assert_allclose(point.x, expected.x, rtol=1e-9)
    np.testing.assert_allclose(point.y, expected.y, rtol=1e-7)
    assert problem.work["epochs"] == pytest.approx(30 * 11 * 64 / ROWS + 4 * 2, rel=0.1)
    assert verified.verification.lower_gap < 1e-9


def test_other_methods_run_on_data_in_its_file_as_well(folder):
    options = parse_options("implicit", Implicit().options, {})
    points = [Implicit().solve(problem_of(folder, name), options, Monitor()) for name in ("stored", "packed")]
    assert [p.status for p in points] == ["converged"] * 2
    np.testing.assert_allclose(points[0].x, points[1].x, rtol=1e-6)


def test_what_cannot_be_split_is_computed_as_a_whole(folder):
    text = LARGE.format("stored.npz").replace("sum((X @ w - y)^2) / n", "sqrt(1 + sum((X @ w - y)^2) / n)")
    (folder / "root.blv").write_text(text)
    problem = problem_of(folder, "root")
    assert not isinstance(problem, StreamedProblem)
    assert np.isfinite(float(problem.f(problem.x_start, problem.y_start)))


def test_the_compiling_engine_reads_the_whole(folder):
    pytest.importorskip("jax")
    from bileveldsl.execute.engine import jax_engine

    assert not isinstance(compile_problem(load(folder / "stored.blv").program(), jax_engine()), StreamedProblem)
