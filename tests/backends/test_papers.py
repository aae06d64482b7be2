"""Statements of the papers at small sizes, by the benchmarks' own functions: each fails for a wrong sign or factor."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from bileveldsl.backends.f2ba import F2BA
from bileveldsl.backends.pbgd import PBGD
from papers import f2ba, hardness, pbgd


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


@pytest.mark.parametrize("backend", [F2BA(), PBGD()], ids=lambda backend: backend.name)
def test_random_starts_of_the_pbgd_toy_end_at_local_minima_of_phi(backend):
    *near, elsewhere = pbgd.counts(pbgd.ends(backend, 12))
    assert elsewhere == 0 and sum(count > 0 for count in near) >= 2
