"""The whole way of a model: what is reported follows from the verification, and nothing found is lost."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bileveldsl.backends.implicit import Implicit
from shared_models import MINIMA, PBGD, TOY

from bileveldsl import load, loads
from bileveldsl.backend import RawPoint
from bileveldsl.language.diagnostics import BlvError
from bileveldsl.solution import Solution, Status
from bileveldsl.solve import solve, solve_with

EXAMPLES = Path(__file__).parents[1] / "examples"
FAR = PBGD.format(2.9, 0)
VALUES = sorted(MINIMA.values())


def events(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


class Says(Implicit):
    """A backend that returns a point and an opinion that were made up."""

    def __init__(self, x, y, status="converged", message="surely"):
        super().__init__()
        object.__setattr__(self, "answer", (x, y, status, message))

    def solve(self, problem, options, monitor):
        x, y, status, message = self.answer
        return RawPoint(np.atleast_1d(x).astype(float), np.atleast_1d(y).astype(float), status, message)


# ---- who decides the status -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "y", "opinion", "status"),
    [
        (2, 2, "converged", Status.LOCALLY_OPTIMAL),
        (2, 2, "failed", Status.LOCALLY_OPTIMAL),
        (2, 2, "limit", Status.LOCALLY_OPTIMAL),
        (2.1, 2.1, "converged", Status.FEASIBLE),
        (2.1, 2.1, "failed", Status.FEASIBLE),
        (2.1, 2.1, "limit", Status.LIMIT),
        (2, 2.1, "converged", Status.NOT_VERIFIED),
        (2, 2.1, "limit", Status.LIMIT),
        (-1, -1, "converged", Status.NOT_VERIFIED),
    ],
)
def test_the_status_is_that_of_the_verification_and_never_the_backends(x, y, opinion, status):
    solution = solve_with(loads(TOY), Says(x, y, opinion))
    assert solution.status is status
    assert ("surely" in solution.message) is (opinion != "converged")
    assert solution.upper.objective == pytest.approx((x - 3) ** 2 + (y - 1) ** 2)
    assert solution.lower[0].objective == pytest.approx((y - x) ** 2)


@pytest.mark.parametrize(("x", "y"), [(np.nan, 2), (2, np.inf), (-np.inf, np.nan)])
@pytest.mark.parametrize(("opinion", "status"), [("converged", Status.NOT_VERIFIED), ("limit", Status.LIMIT)])
def test_a_point_that_is_not_finite_is_no_point(x, y, opinion, status):
    solution = solve_with(loads(TOY), Says(x, y, opinion))
    assert solution.status is status and "surely" in solution.message
    assert (solution.upper.objective, solution.lower[0].objective, dict(solution.values)) == (None, None, {})


@pytest.mark.parametrize("opinion", ["unbounded", "lower_infeasible", "lower_unbounded"])
def test_a_proof_that_there_is_no_answer_is_the_answer(opinion):
    search = Says(2, 2, opinion, "no answer: a proof")
    object.__setattr__(search, "capabilities", replace(search.capabilities, evidence="global"))
    solution = solve_with(loads(TOY), search)
    assert solution.status.value == opinion and solution.status.exit_code == 3
    assert (solution.upper.objective, dict(solution.values)) == (None, {})
    assert "no answer: a proof" in solution.message


@pytest.mark.parametrize("opinion", ["infeasible", "unbounded"])
def test_what_a_local_method_says_of_the_whole_problem_is_no_proof(opinion):
    solution = solve_with(loads(TOY), Says(2, 2.1, opinion, "no answer"))
    assert solution.status is Status.NOT_VERIFIED and "proves nothing" in solution.message


def test_the_toy():
    solution = load(EXAMPLES / "toy" / "toy.blv").solve("implicit")
    assert (solution["x"], solution["y"]) == pytest.approx((2, 2), abs=1e-9)
    assert solution.upper.objective == pytest.approx(2, abs=1e-12)
    assert solution.status is Status.LOCALLY_OPTIMAL and solution.status.exit_code == 0
    assert solution.backend == "implicit"
    assert solution.backend_reason == "asked for by name; lower level strongly convex (mu = 2, proved)"
    assert solution.path == ("Program", "implicit")
    assert list(solution.seconds) == ["read", "certify", "compile", "solve", "verify"]
    assert all(seconds >= 0 for seconds in solution.seconds.values())
    assert {"bileveldsl", "numpy", "scipy", "python"} <= set(solution.versions)


def test_the_toy_is_searched_for_its_global_optimum():
    solution = load(EXAMPLES / "toy" / "toy.blv").solve()
    if solution.backend not in ("milp", "scip"):
        pytest.skip("no solver for a global search is installed")
    assert solution.status is Status.GLOBALLY_OPTIMAL and solution.path == ("Program", solution.backend)
    assert (solution["x"], solution["y"]) == pytest.approx((2, 2), abs=1e-4)
    assert solution.verification.global_bound == pytest.approx(2, abs=1e-5)
    assert solution.backend_reason == "lower level strongly convex (mu = 2, proved)"


def test_a_claim_that_is_not_proved_stops_the_solve():
    for claim, code in (("require strongly_convex(3)", "E502"), ("require pl(1.5); require strongly_convex(2)", None)):
        model = loads(TOY.replace("(y - x)^2", f"(y - x)^2; {claim}"))
        if code is None:
            assert solve(model, "implicit").status is Status.LOCALLY_OPTIMAL
            continue
        with pytest.raises(BlvError) as caught:
            solve(model)
        assert {diagnostic.code for diagnostic in caught.value.diagnostics} == {code}


@pytest.mark.parametrize(("engine", "options"), [("torch", ""), ("auto", 'options { engine = "torch" }')])
def test_an_engine_that_is_not_there_is_refused(engine, options):
    with pytest.raises(BlvError) as caught:
        solve(loads(TOY + options), engine=engine)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E608" and "torch" in diagnostic.message and "numpy" in diagnostic.help


def test_the_engine_is_recorded():
    pytest.importorskip("jax")
    found = solve(loads(TOY), engine="jax")
    assert found.status is Status.LOCALLY_OPTIMAL and "jax" in found.versions
    assert "jax" not in solve(loads(TOY)).versions
    assert "jax" in solve(loads(TOY + 'options { engine = "jax" }')).versions


def test_data_is_recorded_by_its_digest():
    folder = EXAMPLES / "ridge"
    solution = load(folder / "ridge.blv").solve()
    assert solution.data_sha256["ridge.npz"] == hashlib.sha256((folder / "ridge.npz").read_bytes()).hexdigest()


@pytest.mark.parametrize("backend", ["implicit", "f2ba"])
def test_solutions_survive_their_json(tmp_path, backend):
    solution = loads(TOY.replace("var y;", "var y[3];").replace("(y - 1)^2", "sumsq(y - 1)").replace(
        "(y - x)^2", "sumsq(y - x)")).solve(backend)  # fmt: skip
    solution.write(tmp_path / "a.json")
    again = Solution.read(tmp_path / "a.json")
    assert again.to_json() == solution.to_json()
    np.testing.assert_array_equal(again["y"], solution["y"])
    assert json.loads((tmp_path / "a.json").read_text()) == solution.to_json()


def test_a_solution_with_a_point_that_is_not_finite_survives_its_json():
    solution = solve_with(loads(TOY), Says(np.nan, -np.inf))
    again = Solution.from_json(json.loads(solution.to_text()))
    assert again.to_json() == solution.to_json()
    assert dict(again.values) == {} and again.upper.objective is None and again.status is Status.NOT_VERIFIED


def test_a_solution_is_a_start():
    model = loads(TOY)
    first = model.solve("f2ba")
    second = model.solve("implicit", start=first)
    assert second.work.iterations <= 1 and second.work.f <= 3
    assert second["x"] == pytest.approx(2, abs=1e-6)


# ---- several starts, one seed ---------------------------------------------------------------


def test_several_starts_give_the_best_of_the_answers(tmp_path):
    one, many = (loads(FAR).solve("f2ba", starts=starts, log=tmp_path / f"{starts}.jsonl") for starts in (1, 6))
    assert one.upper.objective == pytest.approx(VALUES[2], abs=1e-4)
    found = [event["objective"] for event in events(tmp_path / "6.jsonl") if event["event"] == "verified"]
    assert len(found) == 6 and found[0] == pytest.approx(one.upper.objective, rel=1e-14)
    assert min(found) == pytest.approx(many.upper.objective, rel=1e-14)
    assert many.upper.objective == pytest.approx(VALUES[0], abs=1e-4)
    assert all(any(value == pytest.approx(known, abs=1e-4) for known in VALUES) for value in found)
    assert many.work.iterations > one.work.iterations  # of all starts together


def test_a_maximizing_leader_gets_the_largest_answer():
    mirrored = FAR.replace("minimize cos", "maximize -1*(cos").replace("+ 1) }", "+ 1)) }")
    assert loads(mirrored).solve("f2ba", starts=6).upper.objective == pytest.approx(-VALUES[0], abs=1e-4)


def test_a_verified_answer_is_better_than_one_that_is_not_whatever_its_value():
    class Alternating(Implicit):
        def solve(self, problem, options, monitor):
            if problem.x_start[0] == 1.0:  # the model's own start
                return RawPoint(np.array([3.0]), np.array([1.0]), "converged", "")  # value 0, not feasible
            return super().solve(problem, options, monitor)

    assert solve_with(loads(TOY), Alternating()).status is Status.NOT_VERIFIED
    solution = solve_with(loads(TOY), Alternating(), starts=3)
    assert solution.status is Status.LOCALLY_OPTIMAL and solution.upper.objective == pytest.approx(2)


@pytest.mark.parametrize(("text", "backend"), [(FAR, "f2ba"), (TOY, "implicit")])
def test_the_same_seed_gives_the_same_solution_to_the_last_bit(text, backend):
    first, second = (loads(text).solve(backend, starts=3, seed=11) for _ in range(2))
    assert first.values == second.values and first.work == second.work
    assert first.verification == second.verification and first.upper == second.upper
    assert (first.seed, first.message) == (11, second.message)


def test_another_seed_tries_other_starts():
    class Recording(Implicit):
        def solve(self, problem, options, monitor):
            seen.append(float(problem.x_start[0]))
            return super().solve(problem, options, monitor)

    seen: list[float] = []
    for seed in (1, 2):
        solve_with(loads(TOY), Recording(), starts=3, seed=seed)
    assert seen[0] == seen[3] == 1.0 and len(set(seen)) == 5


# ---- one backend after another ---------------------------------------------------------------


@pytest.fixture
def chain(monkeypatch):
    """Make `auto` ask these backends in turn."""
    from bileveldsl import registry

    def install(*backends):
        named = {backend.name: backend for backend in backends}
        monkeypatch.setattr(registry, "backends", lambda: tuple(named.values()))
        monkeypatch.setattr(registry, "get", named.__getitem__)
        monkeypatch.setattr(registry, "BUILT_IN", dict.fromkeys(named, ""))

    return install


def says(name, *answer, bound=-np.inf, evidence="local", seen=None):
    """A backend of that name that returns a made-up answer, and notes the time it was given."""

    class Said(Says):
        def solve(self, problem, options, monitor):
            if seen is not None:
                seen.append((self.name, monitor.time_limit))
            return replace(super().solve(problem, options, monitor), bound=bound)

    backend = Said(*answer)
    object.__setattr__(backend, "name", name)
    object.__setattr__(backend, "capabilities", replace(backend.capabilities, evidence=evidence))
    return backend


def test_a_search_that_fails_is_followed_by_a_local_method_and_the_message_says_so(chain):
    chain(says("scip", 2.1, 2.1, "limit", evidence="global"), says("implicit", 2, 2))
    solution = loads(TOY).solve()
    assert (solution.status, solution.backend) == (Status.LOCALLY_OPTIMAL, "implicit")
    assert "scip came to limit" in solution.message and solution.backend_reason == "after scip"
    assert solution.path == ("Program", "implicit") and solution["x"] == 2


def test_the_first_answer_stays_where_the_second_is_not_better(chain):
    chain(says("scip", 2, 2, "limit", evidence="global"), says("implicit", 2.1, 2.1))
    solution = loads(TOY).solve()
    assert (solution.backend, solution["x"], solution.status) == ("scip", 2, Status.LOCALLY_OPTIMAL)


@pytest.mark.parametrize(
    ("answer", "bound", "status"),
    [((2, 2), 2.0, "globally_optimal"), ((2, 2, "unbounded", "a proof"), 0.0, "unbounded")],
)  # fmt: skip
def test_a_proof_ends_the_chain(chain, answer, bound, status):
    seen: list[tuple[str, float | None]] = []
    first = says("scip", *answer, bound=bound, evidence="global", seen=seen)
    chain(first, says("implicit", 2, 2, seen=seen))
    assert loads(TOY).solve().status.value == status
    assert [name for name, _ in seen] == ["scip"]


def test_a_search_that_finds_nothing_where_there_is_an_answer_is_not_believed(chain):
    chain(says("scip", 2, 2, "infeasible", "a proof", evidence="global"), says("implicit", 2, 2))
    solution = loads(TOY).solve()
    assert (solution.backend, solution.status) == ("implicit", Status.LOCALLY_OPTIMAL)
    assert "scip came to not_verified" in solution.message


def test_the_time_is_shared_and_the_last_backend_gets_what_is_left(chain):
    seen: list[tuple[str, float | None]] = []
    chain(says("scip", 2.1, 2.1, evidence="global", seen=seen), says("implicit", 2.1, 2.1, seen=seen))
    loads(TOY).solve(time_limit=100)
    (_, first), (_, second) = seen
    assert first == pytest.approx(50, abs=1) and 90 < second <= 100
    seen.clear()
    loads(TOY).solve()
    (_, first), (_, second) = seen
    assert 0 < first <= 600 and second is None  # a search does not take forever before the local method is asked


def test_a_backend_asked_for_by_name_has_no_successor(chain):
    seen: list[tuple[str, float | None]] = []
    chain(says("scip", 2.1, 2.1, evidence="global", seen=seen), says("implicit", 2, 2, seen=seen))
    solution = loads(TOY).solve("scip")
    assert [name for name, _ in seen] == ["scip"] and solution.status is Status.FEASIBLE


def test_a_bound_above_the_value_is_reported(chain):
    chain(says("scip", 2, 2, bound=2.5, evidence="global"), says("implicit", 2.1, 2.1))
    solution = loads(TOY).solve()
    assert solution.status is Status.LOCALLY_OPTIMAL and "inconsistent" in solution.message
