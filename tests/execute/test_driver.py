"""The driver runs one solver under both engines, and stops it without losing the point reached."""

import io
import json
import re
from collections.abc import Iterator

import numpy as np
import pytest
from descent_solver import TOY, GradientDescent

from bileveldsl.backend import RawPoint
from bileveldsl.execute.driver import guarded, run
from bileveldsl.execute.engine import Engine, numpy_engine
from bileveldsl.execute.monitor import Monitor, ProgressEvent, Stop
from bileveldsl.execute.problem import CompiledProblem, compile_problem
from bileveldsl.model import loads


@pytest.fixture
def problem(engine: Engine) -> CompiledProblem:
    return compile_problem(loads(TOY).program(), engine)


def test_a_solver_converges_and_its_work_is_exact(problem: CompiledProblem) -> None:
    point = run(GradientDescent(0.1), problem, Monitor(), 1000)
    assert point.status == "converged"
    np.testing.assert_allclose([*point.x, *point.y], [2, 2], atol=1e-9)
    steps = point.iterations
    assert problem.work["iterations"] == steps == problem.work["grad_f"] == problem.work["f"] - 1
    assert problem.work["grad_g"] == 3 * steps


def test_the_limit_of_iterations(problem: CompiledProblem) -> None:
    point = run(GradientDescent(0.1), problem, Monitor(), 7)
    assert (point.status, point.iterations, problem.work["grad_f"]) == ("limit", 7, 7)


def test_divergence_ends_at_the_last_finite_point_and_says_so(problem: CompiledProblem) -> None:
    point = run(GradientDescent(100.0), problem, Monitor(), 10**6)
    assert point.status == "failed"
    (gave, last) = map(int, re.findall(r"iteration (\d+)", point.message))
    assert "not finite" in point.message and last == gave - 1 == point.iterations
    assert np.isfinite(point.x).all() and abs(point.x[0]) > 1e100


def test_a_start_without_value_is_said(engine: Engine) -> None:
    text = TOY.replace("(x - 3)^2", "log(x - 5)")
    point = run(GradientDescent(0.1), compile_problem(loads(text).program(), engine), Monitor(), 10)
    assert point.status == "failed" and "starting point" in point.message
    np.testing.assert_array_equal(point.x, [1.0])


def ticking(seconds: float) -> Iterator[float]:
    time = 0.0
    while True:
        yield time
        time += seconds


def test_the_time_limit_keeps_the_point_reached(problem: CompiledProblem) -> None:
    clock = ticking(0.1)
    point = run(GradientDescent(0.01, 0.0), problem, Monitor(time_limit=2.0, clock=lambda: next(clock)), 10**6)
    assert point.status == "limit" and "time limit of 2 s" in point.message
    assert 0 < point.iterations < 10**6 and point.x[0] != 1.0


def test_ctrl_c_keeps_the_point_reached(problem: CompiledProblem) -> None:
    def interrupt(event: ProgressEvent) -> None:
        if event.iteration >= 3:
            raise KeyboardInterrupt

    clock = ticking(3.0)
    point = run(GradientDescent(0.01, 0.0), problem, Monitor(progress=interrupt, clock=lambda: next(clock)), 10**6)
    assert point.status == "limit" and "interrupted" in point.message
    assert point.x[0] != 1.0


def test_the_log_has_one_object_a_line_and_names_what_is_not_finite() -> None:
    log = io.StringIO()
    monitor = Monitor(log=log)
    monitor.report(1.5, {"norm": np.inf}, (np.zeros(1), np.zeros(1)))
    with pytest.raises(Stop):
        monitor.report(np.nan, {}, (np.zeros(1), np.zeros(1)))
    first, second = map(json.loads, log.getvalue().splitlines())
    assert (first["event"], first["iteration"], first["objective"], first["norm"]) == ("iteration", 1, 1.5, "inf")
    assert second["objective"] == "nan" and second["seconds"] >= first["seconds"]


def test_a_full_disk_ends_the_log_and_not_the_run() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    monitor = Monitor(log=Full())
    monitor.report(1.0, {}, (np.zeros(1), np.zeros(1)))
    monitor.report(1.0, {}, (np.zeros(1), np.zeros(1)))
    assert monitor.notes == ["the event log is incomplete: No space left on device"]


def test_progress_waits_two_seconds_and_speaks_five_times_a_second() -> None:
    events: list[ProgressEvent] = []
    now = [0.0]
    monitor = Monitor(progress=events.append, clock=lambda: now[0])
    for step in range(401):
        now[0] = step / 100
        monitor.report(1.0, {"norm": 0.5}, (np.zeros(1), np.zeros(1)))
    assert events[0].elapsed >= 2.0 and len(events) <= 11
    assert events[0].iteration == 201 and events[0].measures == {"norm": 0.5}


POINTS = [(np.full(1, float(k)), np.zeros(1)) for k in range(4)]


@pytest.mark.parametrize(("merits", "expected"), [([3.0, 1.0, 2.0, np.nan], 1.0), ([None] * 4, 2.0)])
def test_the_best_point_is_of_least_merit_or_the_latest(merits: list[float | None], expected: float) -> None:
    problem = compile_problem(loads(TOY).program(), numpy_engine())
    monitor = Monitor()

    def solve() -> RawPoint:
        for k, (point, merit) in enumerate(zip(POINTS, merits, strict=True)):
            monitor.report(np.inf if k == 3 else -k, {}, point, merit=merit)
        raise AssertionError("an infinite objective must stop the run")

    point = guarded(solve, problem, monitor)
    assert point.status == "failed" and point.x[0] == expected


def test_the_message_names_the_limit_that_was_stated() -> None:
    monitor = Monitor(time_limit=0.0, stated=60.0)
    with pytest.raises(Stop, match="time limit of 60 s"):
        monitor.check()


def test_a_nan_measure_stops_and_is_not_kept() -> None:
    monitor = Monitor()
    with pytest.raises(Stop, match="not finite"):
        monitor.report(1.0, {"norm": np.nan}, POINTS[0])
    assert monitor.best is None


def test_both_engines_take_the_same_steps() -> None:
    pytest.importorskip("jax")
    from bileveldsl.execute.engine import jax_engine

    points = [
        run(GradientDescent(0.1), compile_problem(loads(TOY).program(), engine), Monitor(), 25)
        for engine in (numpy_engine(), jax_engine())
    ]
    np.testing.assert_allclose(points[0].x, points[1].x, rtol=1e-14)
