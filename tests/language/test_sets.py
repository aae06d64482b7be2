"""Sets and indices: what indexed models mean, against plain Python loops, and what is said of faulty ones."""

import itertools

import numpy as np
import pytest

import bileveldsl as blv
from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.language.diagnostics import BlvError

NODES = ["a", "b", "c", "d"]
ARCS = [("a", "b"), ("b", "d"), ("a", "c"), ("c", "d"), ("a", "d"), ("d", "a")]
TOLLED = [("c", "d"), ("a", "b")]
TRIPS = ["t1", "t2"]
COST = dict(zip(ARCS, [1.0, 2, 3, 4, 9, 5], strict=True))
VOLUME = dict(zip(TRIPS, [10.0, 5], strict=True))

TOP = """
set NODES = ["a", "b", "c", "d"]
set ARCS within (NODES, NODES) = [("a","b"), ("b","d"), ("a","c"), ("c","d"), ("a","d"), ("d","a")]
set TOLLED within ARCS = [("c","d"), ("a","b")]
set TRIPS = ["t1", "t2"]
set T = 1..4
param cost[ARCS] = [1, 2, 3, 4, 9, 5]
param volume[TRIPS] = [10, 5]
param price[T] = [3, 1, 4, 2]
"""


def program(upper="minimize x", lower="minimize sumsq(flow) + sumsq(stock) + sumsq(level)", top=""):
    text = (
        f"model t\n{TOP}{top}\nupper {{\nvar x\nvar toll[TOLLED]\n{upper}\n}}\n"
        f"lower {{\nvar flow[TRIPS, ARCS]\nvar stock[T]\nvar level[NODES]\n{lower}\n}}\n"
    )
    return blv.loads(text).program()


rng = np.random.default_rng(1)
POINT = {
    "x": np.array(0.7),
    "toll": rng.normal(size=2),
    "flow": rng.normal(size=(2, 6)),
    "stock": rng.normal(size=4),
    "level": rng.normal(size=4),
}
FLOW = {(k, *a): POINT["flow"][i, j] for i, k in enumerate(TRIPS) for j, a in enumerate(ARCS)}
TOLL = dict(zip(TOLLED, POINT["toll"], strict=True))
STOCK = dict(zip(range(1, 5), POINT["stock"], strict=True))
LEVEL = dict(zip(NODES, POINT["level"], strict=True))
PRICE = dict(zip(range(1, 5), [3.0, 1, 4, 2], strict=True))


def at_point(checked):
    return {v.symbol: POINT[v.name] for v in checked.variables}


def value(expression, top=""):
    checked = program(f"minimize {expression} + 0*x", top=top)
    return float(evaluate(checked.upper.objective, at_point(checked)))


CASES = {
    "sum(cost[i, j] * flow[k, i, j] for k in TRIPS, (i, j) in ARCS)": sum(
        COST[a] * FLOW[k, *a] for k in TRIPS for a in ARCS
    ),
    "sum(volume[k]*toll[i, j]*flow[k, i, j] for k in TRIPS, (i, j) in TOLLED)": sum(
        VOLUME[k] * TOLL[a] * FLOW[k, *a] for k in TRIPS for a in TOLLED
    ),
    "sum(cost[a] * toll[a] for a in TOLLED)": sum(COST[a] * TOLL[a] for a in TOLLED),
    'sum(cost[i, j] for (i, j) in ARCS if i != "a")': sum(COST[a] for a in ARCS if a[0] != "a"),
    "sum(cost[i, j]*toll[i, j] for (i, j) in ARCS if (i, j) in TOLLED)": sum(COST[a] * TOLL[a] for a in TOLLED),
    "sum(cost[i, j] for i in NODES, j in NODES if (i, j) in ARCS and not (i, j) in TOLLED)": sum(
        COST[a] for a in ARCS if a not in TOLLED
    ),
    "sum(cost[i, j]*cost[k, l] for (i, j) in ARCS, (k, l) in ARCS if j == k)": sum(
        COST[a] * COST[b] for a in ARCS for b in ARCS if a[1] == b[0]
    ),
    'sum(level[i]*sum(flow["t1", j, k] for (j, k) in ARCS if j == i) for i in NODES)': sum(
        LEVEL[i] * sum(FLOW["t1", *a] for a in ARCS if a[0] == i) for i in NODES
    ),
    "sum(level[i]*level[j] for i in NODES, j in NODES if i != j)": sum(
        LEVEL[i] * LEVEL[j] for i, j in itertools.permutations(NODES, 2)
    ),
    "sum((stock[t] - stock[t - 1])^2 for t in 2..4)": sum((STOCK[t] - STOCK[t - 1]) ** 2 for t in (2, 3, 4)),
    "sum(t * stock[t] for t in T)": sum(t * STOCK[t] for t in STOCK),
    "sum(price[s]*stock[t] for s in T, t in T if s < t)": sum(
        PRICE[s] * STOCK[t] for s in STOCK for t in STOCK if s < t
    ),
    "sum(price[t]*sum(stock[s] for s in T if s <= t) for t in T)": sum(
        PRICE[t] * sum(STOCK[s] for s in STOCK if s <= t) for t in STOCK
    ),
    "sum(price[s]*stock[t] for s in T, t in T if s == 1 or t == s + 1)": sum(
        PRICE[s] * STOCK[t] for s in STOCK for t in STOCK if s == 1 or t == s + 1
    ),
    'flow["t2", "d", "a"] + level["c"] + stock[3]': FLOW["t2", "d", "a"] + LEVEL["c"] + STOCK[3],
    "max(cost[i, j] + level[i] for (i, j) in ARCS)": max(COST[a] + LEVEL[a[0]] for a in ARCS),
    "prod(stock[t] for t in T if t > 1)": STOCK[2] * STOCK[3] * STOCK[4],
    "sum(flow @ cost) + dot(volume, flow @ cost)": sum(
        (1 + VOLUME[k]) * COST[a] * FLOW[k, *a] for k in TRIPS for a in ARCS
    ),
    "sum(logsumexp(flow, ARCS))": np.log(np.exp(POINT["flow"]).sum(1)).sum(),
    "sum(volume[k]*logsumexp(flow[k, :]) for k in TRIPS)": sum(
        VOLUME[k] * np.log(np.exp(POINT["flow"][i]).sum()) for i, k in enumerate(TRIPS)
    ),
    'sum(x for i in NODES if i == "a" or i == "b")': 2 * 0.7,
}


@pytest.mark.parametrize("expression", CASES)
def test_indexed_expressions_mean_what_loops_mean(expression):
    assert value(expression) == pytest.approx(CASES[expression], rel=1e-12)


def test_a_family_is_a_constraint_for_each_member():
    checked = program(
        lower="minimize sumsq(flow) + sumsq(stock) + sumsq(level)\n"
        "balance[k in TRIPS, v in NODES]:\n"
        "  sum(flow[k, i, j] for (i, j) in ARCS if i == v) -\n"
        "  sum(flow[k, i, j] for (i, j) in ARCS if j == v) == level[v]\n"
        'cap[k in TRIPS, (i, j) in ARCS if i != "a"]: flow[k, i, j] <= cost[i, j]\n'
        "ramp[t in 2..4]: -1 <= stock[t] - stock[t - 1] <= 1"
    )
    balance, cap, ramp = checked.lower[0].constraints
    values = at_point(checked)
    found = evaluate(balance.body, values, balance.axes)
    expected = [
        [
            sum(FLOW[k, *a] for a in ARCS if a[0] == v) - sum(FLOW[k, *a] for a in ARCS if a[1] == v)
            for v in NODES
        ]
        for k in TRIPS
    ]  # fmt: skip
    assert found == pytest.approx(np.array(expected))
    assert balance.is_equality
    assert evaluate(balance.upper, values, balance.axes[1:]) == pytest.approx(POINT["level"])
    kept = [a for a in ARCS if a[0] != "a"]
    assert evaluate(cap.body, values, cap.axes) == pytest.approx(np.array([[FLOW[k, *a] for a in kept] for k in TRIPS]))
    assert evaluate(cap.upper, values, cap.axes[1:]) == pytest.approx([COST[a] for a in kept])
    assert evaluate(ramp.body, values, ramp.axes) == pytest.approx(np.diff(POINT["stock"]))


def test_members_are_known_for_reports():
    assert program().sets["TOLLED"] == tuple(TOLLED)


@pytest.mark.parametrize(
    ("upper", "top", "code", "words"),
    [
        ("minimize sum(cost[j, i] for (i, j) in ARCS)", "", "E321", "(b, a) is not a member of ARCS"),
        ('minimize level["e"]', "", "E306", "e is not in NODES"),
        ("minimize sum(level[v] for (v, w) in NODES)", "", "E322", "1 labels"),
        ('minimize sum(level[v] for v in NODES if v < "b")', "", "E322", "no order"),
        ("minimize sum(level[v]*v for v in NODES)", "", "E205", "not numbers"),
        ("minimize sum(flow[k, i] for k in TRIPS, i in NODES)", "", "E302", "axes"),
        ("minimize sum(level[x] for x in NODES)", "", "E202", "something else"),
        ("minimize sum(1 for i in cost)", "", "E205", "not a set"),
        ("minimize x", 'set S within NODES = ["a", "z"]', "E325", "z of S"),
        ("minimize x", 'set S = ["a", "b", "a"]', "E326", "a of S"),
        ("minimize x", 'set S = [("a", "b"), "c"]', "E324", "equally many"),
        ("minimize x", "set S", "E324", "no members"),
        ("minimize x", "set S = [a]", "E324", "quotes"),
        ("minimize x", "set S = 3..1", "E315", "empty"),
    ],
)
def test_faults_of_sets_have_their_codes(upper, top, code, words):
    with pytest.raises(BlvError) as caught:
        program(upper + " + x" if "x\n" not in upper else upper, top=top)
    (found,) = (d for d in caught.value.diagnostics if d.code == code)
    assert words in found.message + found.help
    assert found.span is not None


def test_a_guard_that_joins_forms_no_product():
    count = 3000
    names = ", ".join(f'"n{k}"' for k in range(count))
    arcs = ", ".join(f'("n{k}", "n{(k * 7 + 1) % count}")' for k in range(count))
    text = (
        f"model big\nset N = [{names}]\nset A within (N, N) = [{arcs}]\nupper {{\nvar x\nminimize x^2\n}}\n"
        "lower {\nvar f[A]\nminimize sumsq(f)\n"
        "b[v in N]: sum(f[i, j] for (i, j) in A if i == v) - sum(f[i, j] for (i, j) in A if j == v) == 0\n}"
    )
    checked = blv.loads(text).program()
    assert checked.lower[0].constraints[0].axes[0].size == count


def test_labels_are_the_same_when_their_texts_are():
    top = 'set S = ["1", "3"]\nparam d[S] = [10, 20]\nset P within (S, T) = [(1, "2"), ("3", 4)]'
    assert value("sum(d[s]*price[t] for s in S, t in T if s == t)", top=top) == 10 * 3 + 20 * 4
    assert value('d["1"] + sum(price[j] for (i, j) in P)', top=top) == 10 + 1 + 2


@pytest.mark.parametrize(
    ("expression", "code", "place"),
    [
        ("store[2*t]", "E322", "2*t"),
        ("store[t^2]", "E322", "t^2"),
        ("store[t - t]", "E322", "t - t"),
        ("sum(store[1:t])", "E322", "t"),
        ("sum(store[s] for s in 1..t)", "E322", "t"),
        ("store[t + 0.5]", "E306", "0.5"),
        ("store[t - x]", "E313", "x"),
        ("store[t - 10^17]", "E306", "10^17"),
        ("sum(store[s] for s in T if s < t - 10000000000000000)", "E306", "t - 10000000000000000"),
    ],
)
def test_what_is_no_index_is_refused_once(expression, code, place):
    lower = f"var store[T]; minimize sumsq(store); ramp[t in T]: {expression} <= x"
    with pytest.raises(BlvError) as caught:
        blv.loads(f"set T = 1..4\nupper {{ var x; minimize x }}\nlower {{ {lower} }}").program()
    assert [(d.code, d.span.text) for d in caught.value.diagnostics] == [(code, place)]


SHIFTS = [("t - 1", 3), ("1 + t", 5), ("5 - t", 1), ("t - k + 1", 2), ("k - -t - (k + 2)", 2), ("-t + 2*k", 2)]


@pytest.mark.parametrize(("shift", "expected"), SHIFTS)
def test_an_index_may_be_shifted(shift, expected):
    upper = f"var x; minimize x + sum(s[{shift}] for t in 4..4)"
    text = f"set T = 1..5\nparam k = 3\nupper {{ {upper} }}\nlower {{ var s[T]; minimize sumsq(s) }}"
    checked = blv.loads(text).program()
    x, s = checked.upper.variables[0].symbol, checked.lower[0].variables[0].symbol
    assert float(evaluate(checked.upper.objective, {x: np.zeros(()), s: np.arange(1.0, 6.0)})) == expected
