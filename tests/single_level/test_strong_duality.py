"""Products made linear by conditions of optimality, and rows for strong duality, at points of the KKT form."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bileveldsl as blv
from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.structure import kind
from bileveldsl.reduce import REDUCTIONS, reduce_program
from bileveldsl.reduce.duality_rows import FollowerMatrices, with_strong_duality
from bileveldsl.reduce.kkt import kkt_form
from bileveldsl.reduce.strong_duality import has_convex_objective, linearized
from bileveldsl.single_level.branch import Search
from bileveldsl.single_level.highs import Relaxation
from bileveldsl.single_level.linear import flatten
from bileveldsl.single_level.linear_follower import FollowerResponse

TOLL = """model toll
set NODES = ["o", "p", "d"]
set ARCS within (NODES, NODES) = [("o","p"), ("p","d"), ("o","d")]
set TOLLED within ARCS = [("o","p"), ("p","d")]
set TRIPS = ["t1", "t2"]
param cost[ARCS] = [1, 2, 10]
param volume[TRIPS] = [3, 5]
param supply[TRIPS, NODES] = [[1, 0, -1], [0, 1, -1]]
upper {
  var toll[TOLLED] in [0, 20]
  maximize sum(volume[k] * toll[i, j] * flow[k, i, j] for k in TRIPS, (i, j) in TOLLED)
}
lower {
  var flow[TRIPS, ARCS] in [0, 1]
  minimize sum(cost[i, j] * flow[k, i, j] for k in TRIPS, (i, j) in ARCS) +
           sum(toll[i, j] * flow[k, i, j] for k in TRIPS, (i, j) in TOLLED)
  balance[k in TRIPS, v in NODES]:
    sum(flow[k, i, j] for (i, j) in ARCS if i == v) - sum(flow[k, i, j] for (i, j) in ARCS if j == v) == supply[k, v]
}"""

BIDDING = """model bidding
dim r = 2, t = 3
param price[r] = [50, 100]
param need[t] = [60, 90, 120]
upper { var bid[t] in [0, 200]; maximize sum(demand[h].dual * sold[h] for h in t) - 20*sum(sold) }
lower {
  var sold[t] in [0, 70]; var rival[t, r] in [0, 40]; var short[t] >= 0
  minimize sum(bid*sold) + sum(price[k] * rival[h, k] for h in t, k in r) + 500*sum(short)
  demand[h in t]: sold[h] + sum(rival[h, k] for k in r) + short[h] == need[h]
}"""

QUADRATIC = """model q
upper { var x in [0, 4]; minimize -x*y + (x - 1)^2 }
lower { var y in [0, 3]; minimize y^2 + (x - 3)*y; a: y <= 2 }"""


def reduced(text):
    return reduce_program(blv.loads(text).program(), REDUCTIONS).program


def answers(program, linear, count=6):
    """Points of the KKT form: the follower's answers to random leaders."""
    respond, random = FollowerResponse(program, linear), np.random.default_rng(0)
    for _ in range(count):
        z = np.zeros(linear.size)
        z[respond.leader] = random.uniform(linear.lower[respond.leader], linear.upper[respond.leader])
        outcome, found = respond(z)
        assert outcome == "answered"
        yield found


@pytest.mark.parametrize("text", [TOLL, BIDDING])
def test_tolls_and_revenues_become_linear_with_the_same_values(text):
    program = reduced(text)
    single = kkt_form(program, ()).program
    assert not has_convex_objective(single)
    simple = linearized(single)
    assert kind(simple.objective, single.symbols) == "affine"
    linear = flatten(simple)
    for z in answers(program, linear):
        values = linear.values(z)
        assert evaluate(simple.objective, values) == pytest.approx(float(evaluate(single.objective, values)))


def test_squares_are_kept():
    program = reduced(QUADRATIC)
    single = kkt_form(program, ()).program
    simple = linearized(single)
    linear = flatten(simple)
    assert linear.hessian is not None and has_convex_objective(simple)
    for z in answers(program, linear):
        values = linear.values(z)
        assert evaluate(simple.objective, values) == pytest.approx(float(evaluate(single.objective, values)), abs=1e-5)


@pytest.mark.parametrize("objective", ["-x^2", "x*w", "y^2*0 - w*y"])
def test_what_stays_bilinear_is_not_touched(objective):
    program = reduced(f"""model t
        upper {{ var x in [0, 1]; var w in [0, 1]; minimize {objective} }}
        lower {{ var y in [0, 1]; minimize y - x*y }}""")
    assert linearized(kkt_form(program, ()).program) is None


@pytest.mark.parametrize("text", [TOLL, BIDDING, QUADRATIC])
def test_strong_duality_holds_at_every_answer(text):
    """The products of the added columns can be chosen so that every added row holds."""
    program = reduced(text)
    linear = flatten(linearized(kkt_form(program, ()).program))
    strong = with_strong_duality(program, linear)
    assert strong.size > linear.size
    relaxation = Relaxation(replace(strong, hessian=None))
    for z in answers(program, linear):
        follower = FollowerMatrices.of(program, linear)
        shared = follower.opposite >= 0
        least = np.minimum(z[follower.multiplier], z[follower.multiplier[follower.opposite]])
        z[follower.multiplier[shared]] -= least[shared]
        for column in range(linear.size):
            margin = 1e-6 * (1 + abs(z[column]))
            relaxation.change(column, z[column] - margin, z[column] + margin)
        assert relaxation.solve() == "optimal"


def test_strong_duality_raises_the_bound_and_bounds_the_multipliers():
    program = reduced(TOLL)
    linear = flatten(linearized(kkt_form(program, ()).program))
    strong = with_strong_duality(program, linear)
    plain, tight = Relaxation(linear), Relaxation(strong)
    assert plain.solve() == tight.solve() == "optimal"
    assert tight.value >= plain.value - 1e-9
    assert np.isfinite(strong.upper[linear.pairs.multiplier]).mean() > 0.5
    assert not np.isfinite(linear.upper[linear.pairs.multiplier]).any()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32))
def test_strong_duality_changes_no_optimum(seed):
    random = np.random.default_rng(seed)
    a, b, c, f = (random.integers(-3, 4, 4) for _ in range(4))
    program = reduced(f"""model t
        upper {{ var x in [0, 3]; var w : binary; minimize {c[0]}*x + {c[1]}*y + {c[2]}*z + {c[3]}*w }}
        lower {{
          var y in [0, 4]; var z in [0, 4]
          minimize {f[0]}*y + {f[1]}*z + {f[2]}*x*y + y^2
          a: {a[0]}*x + {a[1]}*y + {a[2]}*z <= {a[3]} + 4
          b: {b[0]}*w + y + {b[2]}*z >= {b[3]}
        }}""")
    linear = flatten(kkt_form(program, ()).program)
    strong = with_strong_duality(program, linear)
    first, second = Search(linear), Search(strong)
    assert first.solve() == second.solve()
    assert second.value == pytest.approx(first.value, abs=1e-5)
