"""Many starting points in one compiled loop end where each would end alone, with the same work."""

import io
import itertools
import json
from collections.abc import Iterator

import numpy as np
import pytest
from descent_solver import TOY, GradientDescent
from shared_models import PBGD

from bileveldsl.backend import RawPoint
from bileveldsl.execute.driver import run
from bileveldsl.execute.many import Start, run_many
from bileveldsl.execute.monitor import Monitor, ProgressEvent
from bileveldsl.execute.problem import CompiledProblem, compile_problem
from bileveldsl.model import loads

pytest.importorskip("jax")

from bileveldsl.execute.engine import jax_engine

NEAR_AND_FAR = [(np.array([x]), np.array([y])) for x, y in ((2.0, 2.0), (1.0, 0.0), (9.0, -50.0), (1e6, 1e9))]


def problem_of(text: str = TOY) -> CompiledProblem:
    return compile_problem(loads(text).program(), jax_engine())


def alone(problem: CompiledProblem, solver: GradientDescent, starts: list[Start], most: int) -> list[RawPoint]:
    points = []
    for problem.x_start, problem.y_start in starts:
        points.append(run(solver, problem, Monitor(), most))
    return points


@pytest.mark.parametrize("most", [30, 1000])
def test_each_start_ends_as_if_alone_with_the_same_work(most: int) -> None:
    together, apart = problem_of(), problem_of()
    solver = GradientDescent(0.1)
    many = run_many(solver, together, Monitor(), most, NEAR_AND_FAR)
    one = alone(apart, solver, NEAR_AND_FAR, most)
    assert [(p.status, p.iterations, p.message) for p in many] == [(p.status, p.iterations, p.message) for p in one]
    assert len({p.iterations for p in many}) > 1 or most == 30
    for a, b in zip(many, one, strict=True):
        np.testing.assert_allclose([*a.x, *a.y], [*b.x, *b.y], rtol=1e-12)
        assert a.measures == pytest.approx(b.measures, rel=1e-9, abs=1e-12)
    assert together.work == apart.work


def test_what_is_not_finite_stops_one_start_and_no_other() -> None:
    text = TOY.replace("(x - 3)^2", "(x - 3)^2 + log(8 - x)")
    starts = [(np.array([x]), np.zeros(1)) for x in (9.0, 1.0)]
    lost, found = run_many(GradientDescent(0.01), problem_of(text), Monitor(), 50, starts)
    assert lost.status == "failed" and "at the starting point" in lost.message and lost.x[0] == 9.0
    assert found.status == "limit" and found.iterations == 50 and np.isfinite(found.x).all()


def test_divergence_ends_at_the_last_finite_point() -> None:
    solver, problem = GradientDescent(100.0), problem_of()
    (many,) = run_many(solver, problem, Monitor(), 10**6, [(np.ones(1), np.zeros(1))])
    (one,) = alone(problem_of(), solver, [(np.ones(1), np.zeros(1))], 10**6)
    assert (many.status, many.message, many.iterations) == (one.status, one.message, one.iterations)
    np.testing.assert_allclose(many.x, one.x, rtol=1e-9)


def ticking(seconds: float) -> Iterator[float]:
    return (seconds * k for k in itertools.count())


def test_the_time_limit_ends_all_that_still_run_and_keeps_their_points() -> None:
    clock = ticking(0.1)
    monitor = Monitor(time_limit=3.0, clock=lambda: next(clock))
    points = run_many(GradientDescent(0.01, 0.0), problem_of(), monitor, 10**7, NEAR_AND_FAR)
    assert monitor.stopped == "time"
    for point, (x, _) in zip(points, NEAR_AND_FAR, strict=True):
        assert point.status == "limit" and "time limit of 3 s" in point.message
        assert 0 < point.iterations < 10**7 and (point.x[0] != x[0] or x[0] == 2.0)


def test_ctrl_c_keeps_the_points_reached_and_the_log_tells_of_the_best() -> None:
    def interrupt(event: ProgressEvent) -> None:
        assert event.measures["running"] == len(NEAR_AND_FAR)
        raise KeyboardInterrupt

    clock, log = ticking(0.9), io.StringIO()
    monitor = Monitor(progress=interrupt, log=log, clock=lambda: next(clock))
    points = run_many(GradientDescent(0.01, 0.0), problem_of(), monitor, 10**6, NEAR_AND_FAR)
    assert monitor.stopped == "interrupt" and all("interrupted" in point.message for point in points)
    best = min(3 * (p.x[0] - 3) ** 2 for p in points) / 3
    told = [json.loads(line) for line in log.getvalue().splitlines()]
    assert told[-1]["event"] == "stop" and best <= told[-2]["objective"] < best + 2


@pytest.mark.parametrize("backend", ["galet", "rxgf"])
def test_solve_gives_the_best_of_all_starts_as_the_sequential_search_does(backend: str, tmp_path) -> None:
    """In their published forms, which compile quickly; the states of both hold tuples within tuples and mappings.

    y = -x with a follower that is quickly verified.
    """
    text = PBGD.format(1, 0).replace(" + x*sin(x + y)^2", "")
    log, options = tmp_path / "events.jsonl", {"form": "paper"} if backend == "galet" else {"form": "qp1"}
    one, many = (
        loads(text).solve(backend, options={**options, "max_iterations": 150}, starts=4, seed=3, engine=e, log=log)
        for e in ("numpy", "jax")
    )  # fmt: skip
    assert many.status == one.status
    assert many.upper.objective == pytest.approx(one.upper.objective, abs=1e-7)
    assert many["x"] == pytest.approx(one["x"], abs=1e-4)
    assert many.work.iterations == pytest.approx(one.work.iterations, rel=0.1)
    events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [e["count"] for e in events if e["event"] == "starts"] == [4]


def test_the_same_starts_give_the_same_points_to_the_last_bit() -> None:
    runs = [run_many(GradientDescent(0.1), problem_of(), Monitor(), 30, NEAR_AND_FAR) for _ in range(2)]
    for first, again in zip(*runs, strict=True):
        assert np.array_equal(first.x, again.x) and np.array_equal(first.y, again.y)


def test_what_is_no_compiled_loop_stays_sequential_under_jax(tmp_path) -> None:
    log = tmp_path / "events.jsonl"
    loads(TOY).solve("implicit", starts=3, engine="jax", log=log)
    events = [json.loads(line)["event"] for line in log.read_text(encoding="utf-8").splitlines()]
    assert events.count("start") == 3 and "starts" not in events
