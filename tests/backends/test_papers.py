"""Statements of the papers at small sizes, by the benchmarks' own functions: each fails for a wrong sign or factor."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from bileveldsl.backends.f2ba import F2BA
from bileveldsl.backends.pbgd import PBGD
from papers import f2ba, hardness, hypercleaning, pbgd


@pytest.mark.parametrize("order", [1, 2, 4])
def test_the_bias_of_f2ba_is_sigma_to_the_order(order):
    sigmas = np.geomspace(4e-2, 1e-2, 3)
    errors = f2ba.bias(f2ba.Quadratic.random(0, 5.0), order, sigmas)
    assert f2ba.rate(sigmas, errors) == pytest.approx(order, abs=0.25)


def test_the_first_order_calls_grow_at_most_as_the_square_of_the_accuracy():
    epsilons = [1e-1, 3e-2, 1e-2]
    calls = f2ba.first_order_calls(f2ba.Quadratic.random(0, 1.5), epsilons)
    assert calls == sorted(calls) and 0 < -f2ba.rate(epsilons, calls) <= 2.3


def test_noise_enters_as_it_is_above_and_divided_by_sigma_below():
    above = [f2ba.spread("upper", sigma, 8, 200) for sigma in (1e-1, 1e-2)]
    below = [f2ba.spread("lower", sigma, 8, 200) for sigma in (1e-1, 1e-2)]
    assert above[1] == pytest.approx(above[0], rel=1e-6)
    assert below[1] == pytest.approx(10 * below[0], rel=1e-6)  # the same batches
    assert f2ba.spread("lower", 1e-1, 32, 200) == pytest.approx(below[0] / 2, rel=0.25)


def test_without_a_certificate_algorithm_2_diverges():
    sizes = f2ba.divergence(101)
    assert all(b > 10 * a for a, b in itertools.pairwise(sizes)) and sizes[-1] > 1e15


@pytest.mark.parametrize(("outer", "inner"), [(2, 3), (3, 4), (4, 2)])
def test_the_hard_instance_holds_algorithm_2_at_zero_for_its_budget_and_no_longer(outer, inner):
    assert hardness.zero_respecting(outer, inner) == 0.0
    beyond = hardness.zero_respecting(outer, inner, outer + 1)
    assert -1e-3 < beyond < 0.0
    assert hardness.symbolic(outer, inner) == pytest.approx(-1, abs=1e-9)


def test_auto_proves_the_answer_of_the_hard_instance():
    solution = hardness.instance(2, 3).solve()
    assert solution.status.value == "globally_optimal"
    assert solution.values["x"] == pytest.approx(-1, abs=1e-6)


@pytest.mark.parametrize("backend", [F2BA(), PBGD()], ids=lambda backend: backend.name)
def test_random_starts_of_the_pbgd_toy_end_at_local_minima_of_phi(backend):
    *near, elsewhere = pbgd.counts(pbgd.ends(backend, 12))
    assert elsewhere == 0 and sum(count > 0 for count in near) >= 2


# ---- hyper-cleaning, on clouds of points around three centres -------------------------------


def clouds(count=240, classes=3, features=6):
    random = np.random.default_rng(0)
    labels = random.integers(0, classes, count)
    centres = 2.5 * random.standard_normal((classes, features))
    return centres[labels] + random.standard_normal((count, features)), labels


def test_half_of_the_labels_are_drawn_anew():
    task = hypercleaning.Task.of(*clouds())
    assert len(task.train[0]) == len(task.validation[0]) == 60 and len(task.test[0]) == 120
    assert task.drawn.sum() == 30 and 0 < task.wrong.sum() < 30 and not (task.wrong & ~task.drawn).any()
    assert task.train[0].shape[1] == 7 and (task.train[0][:, -1] == 1).all()


@pytest.mark.parametrize(("backend", "options"), [
    ("implicit", {}), ("f2ba", {}),
    ("f2ba", {"form": "paper", "sigma": 0.1, "K": 10, "tau": 0.5, "eta": 20.0, "max_iterations": 300}),
    ("galet", {}), ("pbgd", {"inner": 100, "max_iterations": 300}), ("f2bsa", {"sigma": 0.1, "max_iterations": 300}),
])  # fmt: skip
def test_the_wrong_labels_are_found(backend, options):
    task = hypercleaning.Task.of(*clouds())
    row = hypercleaning.run(task, hypercleaning.Method(backend, options, reg=1e-2), 20.0)
    noisy = hypercleaning.baselines(task)["all training data"]
    assert row["found"] > 0.8 and row["accuracy"] > max(*noisy, 0.85)
    assert row["work"]["grad_f"] > 0 and row["least"] < 0 < row["largest"]


def test_the_follower_without_a_penalty_is_scored_where_the_method_left_it():
    task = hypercleaning.Task.of(*clouds())
    options = {"form": "paper", "sigma": 0.1, "K": 10, "tau": 0.5, "eta": 20.0, "max_iterations": 100}
    row = hypercleaning.run(task, hypercleaning.Method("f2ba", options))
    assert row["work"]["g"] == 0 and row["iterations"] == 100 and row["found"] > 0.8
    with pytest.raises(ValueError, match="strongly_convex"):
        hypercleaning.run(task, hypercleaning.Method("implicit", {}))
    text = hypercleaning.table({"f2ba, paper, 200 steps": row}, {"all": [0.5, 0.25, 0.25, 1.0]})
    assert f"| {100 * row['accuracy']:.2f} | {row['F1']:.3f} |" in text
    assert "| all | 50.00 | 25.00 | 25.00 | 100.00 |" in text


def test_the_published_penalty_is_scored_at_either_chain():
    task = hypercleaning.Task.of(*clouds())
    options = {"form": "paper", "gamma": 0.1, "alpha": 0.5, "beta": 0.5, "inner": 1, "max_iterations": 300}
    scored = [
        hypercleaning.run(task, hypercleaning.Method("pbgd", options, chain=chain)) for chain in ("penalty", "follower")
    ]
    assert scored[0]["value"] < scored[1]["value"] and scored[0]["found"] == scored[1]["found"]
