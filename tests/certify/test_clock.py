"""Time limits: work ends at its deadline with what it has found, and what is undecided by then says so."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from asked import question

import bileveldsl as blv
from bileveldsl.certify import boxes, clock, lower_level, pl, refuting, sos
from bileveldsl.certify.clock import OutOfTime, check, left, share, until
from bileveldsl.certify.facts import TIME_UP, Fact
from bileveldsl.certify.lower_level import certify
from bileveldsl.certify.refuting.curvature import Curvature
from bileveldsl.certify.sos import problem


class Clock:
    """A clock that goes on by one second whenever it is looked at."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        for module in (clock, lower_level):
            monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=self.look))

    def look(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def looks(monkeypatch):
    return Clock(monkeypatch)


def test_a_block_ends_when_its_time_is_up(looks):
    done = []
    with until(10.0) as work:
        for k in range(100):
            check()
            done.append(k)
    assert work.cut and len(done) == 10


def test_a_block_that_has_time_is_not_cut(looks):
    with until(10.0) as work:
        check()
    assert not work.cut and left() == math.inf


def test_the_time_of_a_block_is_at_most_that_of_the_block_around_it(looks):
    with until(5.0) as outer:
        with until(100.0) as inner:
            while True:
                check()
        assert inner.cut and inner.deadline == 5.0
        assert not left()
    assert outer.cut


def test_work_goes_on_after_a_block_that_took_its_share(looks):
    with until(101.0) as outer:
        with until(share(0.5)) as inner:
            while True:
                check()
        check()
        assert inner.cut and 40 < left() < 60
    assert outer.cut and outer.deadline == 101.0


def test_a_step_that_would_take_too_long_is_not_begun(looks):
    with until(100.0) as work:
        check(50.0)
        check(500.0)
        pytest.fail("the step was begun")
    assert work.cut


def test_other_errors_pass_through(looks):
    with pytest.raises(ValueError, match="wrong"), until(10.0):
        raise ValueError("wrong")
    with pytest.raises(OutOfTime):
        raise OutOfTime
    check(math.inf)  # outside of all blocks there is time for everything


HARD = [
    "sin(y1*y2 + x)^2 + 2*y1^2 + 2*y2^2",
    "(y1^2 + y2^2)^4 + (y1*y2 - x)^2 + y1^2 + y2^2",
    "y1^2 + y2^2 + 2*sin(y1)^2 + sin(y2)^2*cos(y1)",
    "softplus(3*y1 - y2) + softplus(x*y2 - y1) + exp(x)/9*(y1^2 + y2^2)",
    "y1^4*y2^2 + y1^2*y2^4 - 3*y1^2*y2^2 + 1",
    "log(1 + exp(y1*y2)) + abs(y1) + y2^2",
]


def program(objective: str, constraint: str = ""):
    upper = "upper { var x in [-1, 1]; minimize x^2 }"
    return blv.loads(f"model m; {upper}; lower {{ var y1; var y2; minimize {objective}; {constraint} }}").program()


def verdicts(facts: tuple[Fact, ...]) -> dict[tuple[str, str], str]:
    return {(fact.of, fact.fact): fact.verdict for fact in facts}


@pytest.mark.parametrize("objective", HARD)
@pytest.mark.parametrize("budget", [3, 100, 1000, 10_000])
def test_certification_ends_with_its_budget(looks, objective, budget):
    made = program(objective, "c: exp(y1*y2)*y1 <= 5" if budget == 1000 else "")
    facts = certify(made, budget)
    assert looks.now < budget + 60  # each of the ways that are left looks at the clock once
    assert ("lower.objective", "convex") in verdicts(facts) and ("upper.objective", "convex") in verdicts(facts)
    open_ = [fact for fact in facts if fact.of == "lower.objective" and fact.verdict == "unknown"]
    if looks.now > budget and open_:
        assert any(fact.why.startswith(TIME_UP) for fact in open_)


@pytest.mark.parametrize("budget", [100, 1000, 10_000])
def test_what_is_found_in_time_is_what_is_found_with_more(monkeypatch, budget):
    made = program("sin(y1 + x)^2 + 2*y1^2 + 2*y2^2")
    whole = verdicts(certify(made, math.inf))
    assert whole["lower.objective", "strongly_convex"] == "proved"
    Clock(monkeypatch)
    for key, verdict in verdicts(certify(made, budget)).items():
        assert verdict in ("unknown", whole.get(key))


def test_without_time_nothing_costly_is_begun(monkeypatch):
    def begun(*_, **__):
        raise AssertionError

    monkeypatch.setattr(boxes.bend, "_search", begun)
    monkeypatch.setattr(problem, "maximize", begun)
    monkeypatch.setattr(Curvature, "candidates", begun)
    facts = certify(program(HARD[0]), -1.0)
    objective = [fact for fact in facts if fact.of == "lower.objective"]
    assert [fact.verdict for fact in objective] == ["unknown"] * 4
    assert all(fact.why.startswith(TIME_UP) for fact in objective)


def test_provers_find_nothing_after_the_deadline_of_their_question():
    asked = question("y1^2 + y2^2 + sin(y1)^2", y="y1; y2")
    late = type(asked)(asked.statement, asked.root, asked.own, asked.level, -math.inf)
    assert boxes.best_bounds(asked).mu is not None and boxes.best_bounds(late) == boxes.bend.NOTHING
    for prove in (sos.best_modulus, sos.best_smoothness, pl.prove, pl.refute, pl.upper_constant,
                  refuting.refute_convex, refuting.upper_modulus, refuting.vanishing):  # fmt: skip
        assert prove(late) is None
    assert boxes.prove_bend(late, 1, 0) is None and sos.prove_bend(late, 1, 0) is None
