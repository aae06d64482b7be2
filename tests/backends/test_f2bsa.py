"""F2BSA: samples are unbiased by enumeration of all batches, and the method settles near the answer."""

import itertools
import math

import numpy as np
import pytest
from bileveldsl.backends.f2bsa import F2BSA, Search, inner_steps, next_distance
from compiled import certified, problem_of, runner
from shared_models import SMALL

from bileveldsl import loads
from bileveldsl.backend import parse_options
from bileveldsl.calculus.expr import Dim
from bileveldsl.execute.engine import numpy_engine
from bileveldsl.execute.monitor import Monitor
from bileveldsl.execute.problem import CompiledProblem
from bileveldsl.execute.sampling import NotSampled, sample, sample_program

LINE = """model line
dim n = 60
param a[n] = [{}]
upper {{ var x in [-5, 5]; {} minimize sum((y - a)^2) / n + 0.1*x^2 }}
lower {{ var y; {} minimize sum((y - x - 0.3*a)^2) / n }}
"""


run = runner(F2BSA())


def line(upper="", lower="", seed=0):
    a = np.random.default_rng(seed).normal(1.0, 1.0, 60).round(3)
    return LINE.format(", ".join(map(str, a)), upper, lower), a


# ---- samples --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 3])
def test_the_mean_over_all_batches_is_the_objective_and_its_gradient(size):
    whole = problem_of(loads(SMALL))
    program, batches = sample_program(whole.program, size)
    sampled = CompiledProblem(program, numpy_engine())
    random = np.random.default_rng(1)
    x, y = random.standard_normal(whole.nx), random.standard_normal(whole.ny)
    for level, value_and_gradient in (("upper", "value_and_grad_F"), ("lower", "value_and_grad_f")):
        (batch,) = batches[level]
        found = []
        for positions in itertools.combinations(range(batch.dim.size), size):
            arrays = sampled.constants.arrays | batch.arrays(sampled.constants, np.array(positions))
            found.append(getattr(sampled.bind(arrays), value_and_gradient)(x, y))
        for mean, expected in zip(
            [np.mean(np.stack(part), axis=0) for part in zip(*found, strict=True)],
            getattr(whole, value_and_gradient)(x, y), strict=True,
        ):  # fmt: skip
            np.testing.assert_allclose(mean, expected, rtol=1e-12, atol=1e-12)
        assert np.std([float(part[0]) for part in found]) > 1e-3  # it is a sample


def test_nothing_is_compiled_again_for_a_new_batch(monkeypatch):
    problem = problem_of(loads(SMALL))
    search = Search(problem, parse_options("f2bsa", F2BSA().options, {"batch": 2}), Monitor())
    x, chains = np.zeros(6), np.ones(4)
    first = search.gradient(search.draw(), x, chains)
    monkeypatch.setattr("bileveldsl.execute.problem.compile_function", None)
    others = [search.gradient(search.draw(), x, chains) for _ in range(20)]
    assert any(not np.array_equal(first, other) for other in others)


@pytest.mark.parametrize(
    ("objective", "why"),
    [
        ("log(sum((y - a)^2))", "is not affine in its sums"),
        ("sum((y - a)^2)^2", "is not affine in its sums"),
        ("sum((y - a - sum(softplus(a * y)))^2)", "within each other"),
    ],
)
def test_what_cannot_be_sampled_without_bias_is_refused(objective, why):
    text = f"model m; dim n = 3; param a[n] = [1, 2, 4]; upper {{ var x; minimize x^2 }}\n" \
           f"lower {{ var y; minibatch n; minimize {objective} + (y - x)^2 }}"  # fmt: skip
    program = loads(text).program()
    with pytest.raises(NotSampled, match=why):
        sample_program(program, 2)
    assert "the objective of lower" in F2BSA().admits(program, ())


def test_a_sum_of_data_alone_is_left_as_it_is():
    whole = problem_of(loads(line("", "minibatch n;")[0].replace("0.3*a)^2", "a / sum(a))^2")))
    program, batches = sample_program(whole.program, 60)  # a batch of everything
    sampled = CompiledProblem(program, numpy_engine())
    assert float(sampled.f(np.ones(1), np.zeros(1))) == pytest.approx(float(whole.f(np.ones(1), np.zeros(1))))
    (batch,) = batches["lower"]
    small, untouched = sample(whole.program.upper.objective, Dim("q", 3), 2)
    assert small is whole.program.upper.objective and not untouched.data and len(batch.data) == 1


# ---- the method -----------------------------------------------------------------------------


@pytest.mark.parametrize(("upper", "lower"), [("minibatch n;", ""), ("", "minibatch n;"), ("minibatch n;",) * 2])
def test_it_settles_near_the_answer_with_noise_at_either_level(upper, lower):
    """y = x + 0.3 mean(a), so that x + 0.3 a - a + 0.1 x = 0 with the mean a."""
    text, a = line(upper, lower)
    expected = 0.7 * a.mean() / 1.1
    point = run(problem_of(loads(text)), sigma=0.05, max_iterations=500)
    assert point.x[0] == pytest.approx(expected, abs=0.1)
    assert point.y[0] == pytest.approx(point.x[0] + 0.3 * a.mean(), abs=1e-9)  # the follower's own answer
    share = 32 / 60
    assert point.measures["epochs"] > 500 * 10 * share and point.status == "limit"


def test_noise_of_the_follower_is_amplified_by_the_penalty_and_that_of_the_leader_is_not():
    """methods of the paper, section 4.2: the hyper-gradient's variance is M_f^2 + M_g^2 / sigma^2 / batch size."""

    def spread(upper, lower, sigma):
        problem = problem_of(loads(line(upper, lower)[0].replace("(y - x - 0.3*a)^2", "(y - a*x)^2")))
        search = Search(problem, parse_options("f2bsa", F2BSA().options, {"sigma": sigma, "batch": 8}), Monitor())
        chains = np.array([1.0, 0.0])  # apart, as different follower answers are, whatever sigma
        weights = search.weights
        return np.std([
            float(search.draw().penalty_mean(np.zeros(1), chains, search.sigmas, weights)[1][0]) for _ in range(300)
        ])  # fmt: skip

    noisy = [spread("", "minibatch n;", sigma) for sigma in (1e-1, 1e-2)]
    assert noisy[1] / noisy[0] == pytest.approx(10, rel=0.2)
    assert spread("minibatch n;", "", 1e-2) < 1e-9 + spread("", "minibatch n;", 1e-2) * 0.01


def test_the_same_seed_gives_the_same_point_and_another_seed_another():
    text, _ = line("minibatch n;", "minibatch n;")
    first, again, other = (run(problem_of(loads(text)), Monitor(seed=s), max_iterations=50) for s in (1, 1, 2))
    assert np.array_equal(first.x, again.x) and not np.array_equal(first.x, other.x)


def test_the_recursion_of_equation_9():
    assert next_distance(L=4.0, mu=2.0, sigma=0.1, epsilon=0.5, delta=3.0, moved=0.25) == pytest.approx(
        1.5 + 8 * 4 * 0.25 + (0.05 / 4) ** 2
    )
    assert inner_steps(4.0, 2.0, 0.1, 0.5, 3.0) == math.ceil(2 * math.log(64 * 3 / (2 * 0.01 * 0.25)))
    assert inner_steps(4.0, 2.0, 0.1, 0.5, 1e-30) == 2  # at least one condition number


def test_the_papers_form_uses_certified_constants():
    text, a = line("minibatch n;", "")
    problem = certified(loads(text))
    settings = {"form": "paper", "sigma": 0.01, "epsilon": 0.1, "max_iterations": 300, "batch": 60}
    search = Search(problem, parse_options("f2bsa", F2BSA().options, settings), Monitor(1e-3))
    assert (search.known["mu"], search.known["L"]) == (pytest.approx(2), pytest.approx(2))
    point = run(problem, Monitor(1e-3), **settings)
    assert point.x[0] == pytest.approx(0.7 * a.mean() / 1.1, abs=0.05)


def test_the_work_counts_every_call_on_a_batch(calls):
    problem = problem_of(loads(line("minibatch n;", "minibatch n;")[0]))
    point = run(problem, max_iterations=20)
    chains = 2 * (calls["penalty_sum_2"] + calls["penalty_mean_2"])
    polish = calls["value_and_grad_f_y"]
    expected = {"f": chains, "g": chains + polish, "grad_f": chains, "grad_g": chains + polish}
    looks = 2  # at the first and the last point, each a call of either oracle on all data
    epochs = 2 * looks + (calls["penalty_sum_2"] + calls["penalty_mean_2"] - 2 * looks) * 32 / 60
    others = {"hvp": 0, "cross": 0, "hessian": 0, "iterations": point.iterations}
    assert problem.work == {**expected, **others, "epochs": pytest.approx(epochs)}
