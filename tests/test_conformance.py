"""The conformance suite accepts the backends built in and rejects backends that are wrong in one way each."""

from dataclasses import replace

import numpy as np
import pytest
from bileveldsl.backends.f2ba import F2BA
from bileveldsl.backends.implicit import HyperObjective, Implicit

from bileveldsl import loads, registry, testing
from bileveldsl.backend import Capabilities, Option, RawPoint
from bileveldsl.testing import PROBLEMS, ConformanceProblem

NAMES = [problem.name for problem in PROBLEMS]


@pytest.fixture(params=registry.BUILT_IN)
def backend(request):
    entry = next(entry for entry in registry.entries() if entry.name == request.param)
    if missing := entry.load().available():
        pytest.skip(missing)
    return registry.get(request.param)


def test_the_declarations_are_complete(backend):
    testing.check_declaration(backend)


def test_what_is_not_declared_is_refused(backend):
    testing.check_refusals(backend)


@pytest.mark.parametrize("problem", PROBLEMS, ids=NAMES)
def test_every_problem_is_solved(backend, problem):
    if not testing.accepts(backend, problem):
        pytest.skip(f"{backend.name} is for other problems")
    testing.check_problem(backend, problem)


def test_limits_are_kept(backend):
    testing.check_limits(backend)


def test_runs_repeat_to_the_last_bit(backend):
    testing.check_repeats(backend)


@pytest.mark.parametrize(
    ("name", "problem"),
    [("implicit", PROBLEMS[1]), ("implicit", PROBLEMS[4]), ("f2ba", replace(PROBLEMS[0], options={"sigma": 1e-3}))],
)
def test_the_jax_engine_conforms(name, problem):
    pytest.importorskip("jax")
    testing.check_problem(registry.get(name), problem, "jax")


def test_everything_at_once():
    numpy_only = replace(Implicit().capabilities, engines=("numpy",))
    testing.check_all(replace(Implicit(), capabilities=numpy_only))


# ---- the suite itself -----------------------------------------------------------------------


@pytest.mark.parametrize("problem", PROBLEMS, ids=NAMES)
def test_the_known_answers_are_feasible_and_no_neighbour_is_better(problem):
    """Solved by hand, checked by brute force: phi on a grid of the leader's values around the answer."""
    from scipy import optimize

    from bileveldsl.execute.engine import numpy_engine
    from bileveldsl.execute.problem import compile_problem
    from bileveldsl.reduce import REDUCTIONS, reduce_program

    program = loads(problem.text).program()
    compiled = compile_problem(reduce_program(program, REDUCTIONS).program, numpy_engine())
    sign = 1 if program.upper.sense == "minimize" else -1

    def phi(x):
        found = optimize.minimize(lambda y: float(compiled.f(x, y)), compiled.y_start, tol=1e-12, method="Nelder-Mead",
                                  options={"maxiter": 4000, "xatol": 1e-9, "fatol": 1e-15})  # fmt: skip
        return float(compiled.F(x, found.x)), found.x

    best = compiled.x.pack(problem.values)
    value, answer = phi(best)
    assert sign * value == pytest.approx(problem.objective, abs=1e-6)
    np.testing.assert_allclose(answer, compiled.y.pack(problem.values), atol=1e-5)
    for unit in np.eye(compiled.nx):
        for step in (-1e-2, 1e-2):
            x = np.clip(best + step * unit, compiled.x_lower, compiled.x_upper)
            assert phi(x)[0] >= value - 1e-9


class Wrong(Implicit):
    """Implicit with one fault, which a subclass puts in."""

    def solve(self, problem, options, monitor):
        return self.spoilt(super().solve(problem, options, monitor), problem)


class Shifted(Wrong):
    def spoilt(self, point, problem):
        return replace(point, x=point.x + 1e-2)


class Unanswered(Wrong):
    def spoilt(self, point, problem):
        return replace(point, y=point.y + 1e-2)


class OutOfBounds(Wrong):
    def spoilt(self, point, problem):
        return replace(point, x=point.x + 0.5, y=point.y + 1.0)


class Infinite(Wrong):
    def spoilt(self, point, problem):
        return replace(point, x=point.x * np.nan)


class Unfinished(Wrong):
    """Stops at once and says that it has converged."""

    def solve(self, problem, options, monitor):
        return RawPoint(problem.x_start, problem.y_start, "converged", "")


class Random(Wrong):
    def spoilt(self, point, problem):
        return replace(point, x=point.x + 1e-12 * np.random.default_rng().standard_normal(point.x.size))


class Greedy(Implicit):
    """Takes every model, whatever it declares."""

    def admits(self, program, facts):
        return None


class Vague(Implicit):
    def admits(self, program, facts):
        return super().admits(program, facts) and " "


@pytest.mark.parametrize("kind", [Shifted, Unanswered, Unfinished, Infinite])
def test_a_wrong_answer_is_found_out(kind):
    with pytest.raises(AssertionError):
        testing.check_problem(kind(), PROBLEMS[0])


def test_a_point_out_of_bounds_is_found_out():
    with pytest.raises(AssertionError):
        testing.check_problem(OutOfBounds(), PROBLEMS[1])


@pytest.mark.parametrize("kind", [Greedy, Vague])
def test_taking_too_much_or_giving_no_reason_is_found_out(kind):
    with pytest.raises(AssertionError):
        testing.check_refusals(kind())


def test_a_point_that_is_not_finite_at_a_limit_is_found_out():
    with pytest.raises(AssertionError):
        testing.check_limits(Infinite())


def test_answers_that_differ_between_runs_are_found_out():
    with pytest.raises(AssertionError):
        testing.check_repeats(Random())


@pytest.mark.parametrize(
    "change",
    [
        {"name": "no name"}, {"summary": " "}, {"options": (Option("k", int, 1, ""),)}, {"capabilities": None},
        {"options": (Option("k", int, 0, "number", at_least=1),)},
    ],
)  # fmt: skip
def test_an_incomplete_declaration_is_found_out(change):
    with pytest.raises((AssertionError, ValueError)):
        testing.check_declaration(replace(Implicit(), **change))


def test_a_backend_that_lacks_something_must_say_what():
    class Mute(Implicit):
        def available(self):
            return " "

    with pytest.raises(AssertionError):
        testing.check_declaration(Mute())


@pytest.mark.parametrize("problem", [PROBLEMS[0], PROBLEMS[3]], ids=["copies", "matrix"])
def test_a_wrong_sign_in_the_hypergradient_fails_the_suite(monkeypatch, problem):
    """The sign of the implicit term, where the classical mistakes are."""
    evaluate = HyperObjective.__call__

    def wrong(self, x):
        known = self.x is not None and np.array_equal(x, self.x)
        value, gradient = evaluate(self, x)
        if not known:
            upper_x, _ = self.problem.grad_F(x, self.y)
            self.gradient = 2 * np.asarray(upper_x) - gradient
        return value, self.gradient

    monkeypatch.setattr(HyperObjective, "__call__", wrong)
    with pytest.raises(AssertionError):
        testing.check_problem(Implicit(), problem)


def test_a_backend_of_ones_own_passes():
    """Ternary search over a leader's single variable, with the follower solved by SciPy."""
    from scipy import optimize

    class Search(F2BA):
        name, options = "search", ()
        capabilities = Capabilities(follower="unconstrained")

        def solve(self, problem, options, monitor):
            def answer(x):
                return optimize.minimize(
                    lambda y: float(problem.f(x, y)), problem.y_start, jac=lambda y: problem.grad_f_y(x, y), tol=1e-12
                ).x

            low, high = np.maximum(problem.x_lower, -100), np.minimum(problem.x_upper, 100)
            while high - low > 1e-9:
                a, b = low + (high - low) / 3, high - (high - low) / 3
                if problem.F(a, answer(a)) <= problem.F(b, answer(b)):
                    high = b
                else:
                    low = a
            return RawPoint(low, answer(low), "converged", "")

    for problem in (PROBLEMS[0], PROBLEMS[1], PROBLEMS[2]):
        testing.check_problem(Search(), problem)


def test_a_problem_with_a_wrong_answer_would_be_noticed():
    wrong = ConformanceProblem("wrong", PROBLEMS[0].text, 2.1, {"x": 2.0})
    with pytest.raises(AssertionError, match=r"2\.1 expected"):
        testing.check_problem(Implicit(), wrong)
