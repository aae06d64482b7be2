"""Solving without an answer, limits, interrupts, the log, and the work that is counted."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bileveldsl.backends.implicit import Implicit
from shared_models import PBGD, TOY

from bileveldsl import load, loads
from bileveldsl.backend import RawPoint
from bileveldsl.language.diagnostics import BlvError
from bileveldsl.solution import Solution, Status
from bileveldsl.solve import solve_with

EXAMPLES = Path(__file__).parents[1] / "examples"
FAR = PBGD.format(2.9, 0)


def events(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


# ---- answers that are none, on the command line ----------------------------------------------


@pytest.mark.parametrize(
    ("upper", "lower", "status"),
    [
        ("var x in [0, 1]; minimize x; c: x + y >= 9", "var y in [0, 2]; minimize y", "infeasible"),
        ("var x; minimize x + y", "var y; minimize (y - x)^2", "unbounded"),
        ("var x in [0, 1]; minimize x + y", "var y >= 0; minimize -y; c: y >= x", "lower_unbounded"),
        ("var x in [0, 1]; minimize x", "var y in [0, 1]; minimize y; c: x + y <= -1", "lower_infeasible"),
    ],
)
def test_the_command_line_tells_why_there_is_no_answer(tmp_path, upper, lower, status):
    from click.testing import CliRunner

    from bileveldsl.cli.main import main

    pytest.importorskip("pyscipopt")
    (tmp_path / "m.blv").write_text(f"model m\nupper {{ {upper} }}\nlower {{ {lower} }}\n")
    result = CliRunner().invoke(main, ["solve", str(tmp_path / "m.blv"), "--json", "--backend", "scip"])
    assert result.exit_code == 3
    found = json.loads(result.stdout)
    assert (found["status"], found["values"], found["upper"]["objective"]) == (status, {}, None)
    assert Solution.from_json(found).status.value == status


def test_duals_over_named_sets_survive_their_json(tmp_path):
    pytest.importorskip("pyscipopt")
    text = """model m
set I = ["a", "b"]
upper { var x in [0, 3]; minimize (x - 1)^2 + sum(y) }
lower { var y[I]; minimize sumsq(y - 5); cap[i in I]: y[i] <= x; one: sum(y) >= -9 }
"""
    solution = loads(text).solve("scip")
    solution.write(tmp_path / "a.json")
    again = Solution.read(tmp_path / "a.json")
    assert again.to_json() == solution.to_json()
    stored = json.loads((tmp_path / "a.json").read_text())["duals"]["cap"]
    assert (stored["axes"], stored["index"]) == (["I"], [["a"], ["b"]])
    np.testing.assert_array_equal(again.duals["cap"], solution.duals["cap"])
    np.testing.assert_allclose(again.duals["cap"], 2 * (solution["x"] - 5), atol=1e-3)
    assert again.duals["one"] == pytest.approx(0, abs=1e-6)


# ---- limits, interrupts and the log ---------------------------------------------------------


@pytest.mark.parametrize("backend", ["implicit", "f2ba"])
def test_a_time_limit_gives_the_best_point_so_far(backend):
    solution = load(EXAMPLES / "ridge" / "ridge.blv").solve(backend, time_limit=1e-9)
    assert solution.status is Status.LIMIT and solution.status.exit_code == 4
    assert "time limit" in solution.message
    assert np.isfinite(solution["loglam"]).all() and np.isfinite(solution["w"]).all()
    assert np.isfinite(solution.upper.objective)
    assert solution.verification.lower_gap is not None  # verified like any other


def test_a_time_limit_ends_the_starts(tmp_path):
    log = tmp_path / "a.jsonl"
    loads(FAR).solve("f2ba", starts=50, time_limit=1e-9, log=log)
    assert sum(event["event"] == "start" for event in events(log)) == 1


def test_the_time_of_all_starts_together_is_limited():
    class Slow(Implicit):
        def solve(self, problem, options, monitor):
            time.sleep(0.2)
            return super().solve(problem, options, monitor)

    solution = solve_with(loads(TOY), Slow(), starts=100, time_limit=0.5)
    assert solution.status is Status.LOCALLY_OPTIMAL
    assert solution.seconds["solve"] < 5


@pytest.mark.parametrize("backend", ["implicit", "f2ba"])
def test_the_log_has_one_json_object_a_line(tmp_path, backend):
    log = tmp_path / "events.jsonl"
    solution = loads(TOY).solve(backend, log=log, starts=2)
    found = events(log)
    kinds = [event["event"] for event in found]
    assert kinds[0] == "start" and kinds[-1] == "verified" and kinds.count("start") == kinds.count("verified") == 2
    iterations = [event for event in found if event["event"] == "iteration"]
    assert iterations and all(event["hypergradient_norm"] >= 0 for event in iterations)
    assert found[-1]["status"] == solution.status.value
    assert [event["number"] for event in found if event["event"] == "start"] == [0, 1]


def test_a_log_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(BlvError) as caught:
        loads(TOY).solve(log=tmp_path / "nowhere" / "a.jsonl")
    assert caught.value.diagnostics[0].code == "E415"


class Interrupted(Implicit):
    """Ctrl-C during the second start."""

    def solve(self, problem, options, monitor):
        if problem.x_start[0] != 1.0:
            monitor.stopped = "interrupt"
            return RawPoint(problem.x_start, problem.x_start, "limit", "interrupted")
        return super().solve(problem, options, monitor)


def test_an_interrupt_ends_the_starts_and_keeps_the_best():
    solution = solve_with(loads(TOY), Interrupted(), starts=5)
    assert solution.status is Status.LOCALLY_OPTIMAL and solution["x"] == pytest.approx(2)


def test_an_interrupt_during_the_verification_keeps_the_point(monkeypatch):
    def interrupted(*arguments, **keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr("bileveldsl.solve.verify_point", interrupted)
    solution = loads(TOY).solve("implicit", starts=3)
    assert solution.status is Status.LIMIT and "interrupted" in solution.message
    assert solution["x"] == pytest.approx(2) and solution.verification.lower_gap is None


def test_ctrl_c_prints_the_best_point_so_far(tmp_path):
    log = tmp_path / "events.jsonl"
    model = EXAMPLES / "ridge" / "ridge.blv"
    words = ["solve", str(model), "--backend", "f2ba", "--tol", "1e-9", "--json", "--log", str(log)]
    child = subprocess.Popen(
        [sys.executable, "-m", "bileveldsl", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        begin = time.monotonic()
        while not (log.exists() and log.read_text().count('"iteration"') > 5):
            assert child.poll() is None and time.monotonic() - begin < 60
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        output, errors = child.communicate(timeout=60)
    finally:
        child.kill()
    assert (child.returncode, errors) == (4, "")
    solution = Solution.from_json(json.loads(output))
    assert solution.status is Status.LIMIT and "interrupted" in solution.message
    gap = solution.verification.lower_gap
    assert np.isfinite(solution["loglam"]).all() and gap is not None and gap <= 1e-9
    best = min(event["objective"] for event in events(log) if event["event"] == "iteration")
    assert solution.upper.objective == pytest.approx(best, abs=1e-2)


# ---- the work -------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["implicit", "f2ba"])
def test_the_verification_is_no_work_of_the_backend(monkeypatch, backend):
    from bileveldsl import solve as module

    verify, counted = module.verify_point, []

    def recording(problem, *arguments, **keywords):
        before = dict(problem.work)
        verified = verify(problem, *arguments, **keywords)
        counted.append((before, dict(problem.work)))
        return verified

    monkeypatch.setattr("bileveldsl.solve.verify_point", recording)
    solution = loads(TOY).solve(backend)
    ((before, after),) = counted
    assert after != before
    assert vars(solution.work) == before


def test_two_starts_do_the_work_of_both():
    model = loads(TOY)
    first = model.solve("implicit")
    again = model.solve("implicit", start=replace(first, values={"x": 1.0, "y": 0.0}), starts=2, seed=4)
    assert again.work.iterations >= first.work.iterations
    assert again.work.grad_f > first.work.grad_f
