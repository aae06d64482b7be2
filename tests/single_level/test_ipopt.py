"""Local solutions of smooth programs by IPOPT, and by SciPy where it is missing."""

import importlib.util

import numpy as np
import pytest

from bileveldsl.execute.monitor import Monitor, Stop
from bileveldsl.single_level import ipopt, local
from bileveldsl.single_level.local import Settings, minimize, solve_nlp
from bileveldsl.single_level.multipliers import multipliers
from bileveldsl.single_level.nlp import compile_nlp

HAS_IPOPT = ipopt.available() is None


@pytest.fixture(params=["ipopt", "scipy"])
def solver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "scipy":
        monkeypatch.setattr(ipopt, "available", lambda: "missing")
        monkeypatch.setattr(ipopt, "minimize", lambda *_: pytest.fail("IPOPT was called"))
    elif not HAS_IPOPT:
        pytest.skip("IPOPT is not installed")
    return request.param


def test_without_cyipopt_the_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install 'bileveldsl[ipopt]'" in (ipopt.available() or "")


def test_a_quadratic_program_with_its_duals(solver, single, named):
    answer = solve_nlp(single("var x in [0, 5]; var z; minimize (x-3)^2 + (z-1)^2; c: x + z <= 2; d: x - z == 0.5"))
    assert answer.status == "optimal"
    values = named(answer.values)
    np.testing.assert_allclose([values["x"], values["z"], answer.objective], [1.25, 0.75, 3.125], atol=1e-6)
    np.testing.assert_allclose([answer.duals["c"], answer.duals["d"]], [-2.0, -1.5], atol=1e-6)


ROWS = "minimize exp(x) + (z - x)^2 + 0.1*z^4; c: x*z >= {c}; d: x + z^2 <= {d}; e: x^2 - z == {e}"


@pytest.mark.parametrize("row", "cde")
def test_duals_are_the_slopes_of_the_optimal_value(solver, single, row):
    base = {"c": 0.4, "d": 1.5, "e": -0.5}
    start = "var x start 0.5; var z start 1;"

    def value(shift):
        rows = {**base, row: base[row] + shift}
        return solve_nlp(single(start + ROWS.format(**rows)), tolerance=1e-10).objective

    dual = solve_nlp(single(start + ROWS.format(**base)), tolerance=1e-10).duals[row]
    assert (value(1e-3) - value(-1e-3)) / 2e-3 == pytest.approx(float(dual), abs=2e-4)


def test_constraints_of_arrays_have_duals_of_their_shape(solver, single):
    answer = solve_nlp(single("var w[n]; minimize sumsq(w - t); r: w <= 1; s: sum(w) >= -9",
                              "dim n = 4\nparam t[n] = [0, 1.5, 3, -1]"))  # fmt: skip
    assert answer.duals["r"].shape == (4,)
    np.testing.assert_allclose(answer.duals["r"], [0, -1, -4, 0], atol=1e-5)
    np.testing.assert_allclose(answer.duals["s"], 0, atol=1e-5)


@pytest.mark.parametrize("body", ["var x; minimize x^2; a: x >= 1; b: x <= 0",
                                  "var x in [0, 1]; var z in [0, 1]; minimize x; a: exp(x + z) >= 9",
                                  "var x in [2, 2]; minimize x; a: x^2 <= 3"])  # fmt: skip
def test_infeasible_programs_are_said_to_be(solver, single, body):
    assert solve_nlp(single(body)).status == "infeasible"


def test_crossed_bounds_are_infeasible(solver, single):
    nlp = compile_nlp(single("var x in [0, 1]; minimize x"))
    assert minimize(nlp.with_bounds(lower=np.array([2.0])), nlp.start, Settings()).status == "infeasible"


def test_an_objective_without_a_least_value(solver, single):
    assert solve_nlp(single("var x; minimize x")).status == "unbounded"


def test_steps_out_of_the_domain_are_taken_back(solver, single, named):
    answer = solve_nlp(single("var x start 0.1; minimize 20*x - log(x) - log(1 - x)"))
    root = (22 - np.sqrt(22**2 - 80)) / 40
    assert answer.status == "optimal"
    assert float(named(answer.values)["x"]) == pytest.approx(root, abs=1e-5)


def test_a_start_outside_the_domain_is_moved_into_it(solver, single, named):
    answer = solve_nlp(single("var x start -1; minimize x^2 - log(x)"))
    assert float(named(answer.values)["x"]) == pytest.approx(np.sqrt(0.5), abs=1e-5)


def test_functions_without_a_value_anywhere_near_are_reported(solver, single):
    answer = solve_nlp(single("var x in [0, 1]; minimize x + log(-1 - x)"))
    assert answer.status == "failed"
    assert "no value" in answer.message


def test_equations_that_say_a_thing_twice(solver, single, named):
    answer = solve_nlp(single("var x; var z; minimize x^2; a: x + z == 1; b: 2*x + 2*z == 2; c: x - z == 0"))
    assert answer.status == "optimal"
    np.testing.assert_allclose(named(answer.values)["x"], 0.5, atol=1e-6)


def test_bounds_may_leave_one_point(solver, single):
    answer = solve_nlp(single("var x in [2, 2]; minimize x^2; c: x <= 3"))
    assert (answer.status, answer.objective) == ("optimal", 4.0)


def test_the_time_limit_ends_a_run(solver, single):
    monitor = Monitor(time_limit=1e-9)
    answer = solve_nlp(single("var x start 9; minimize (x - 1)^4 + exp(x)"), monitor=monitor)
    assert answer.status == "limit"
    assert "time limit" in answer.message


def test_an_interrupt_passes_through(solver, single, monkeypatch):
    monitor = Monitor()
    monkeypatch.setattr(monitor, "check", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        solve_nlp(single("var x start 9; minimize (x - 1)^4 + exp(x)"), monitor=monitor)


def test_the_limit_of_iterations(solver, single):
    text = "var x start -1.2; var z start 1; minimize (1 - x)^2 + 100*(z - x^2)^2"
    assert solve_nlp(single(text), max_iterations=3).status == "limit"
    assert solve_nlp(single(text)).status == "optimal"


def test_nothing_is_printed(single, capfd):
    solve_nlp(single("var x; minimize (x - 1)^2"))
    assert capfd.readouterr() == ("", "")


def test_complementarities_are_refused(single):
    program = single("var x; minimize x^2")
    pair = local.SingleLevel(program.variables, program.objective, (), (object(),))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="complementarities"):
        solve_nlp(pair)


def test_large_programs_of_arrays(solver, single):
    size = 3000 if solver == "ipopt" else 60
    head = f"dim n = {size}"
    answer = solve_nlp(single("var w[n] in [0, 2]; minimize sum(exp(w) - 2*w); r: w^2 + w <= 1; s: sum(w) >= 1", head))
    assert answer.status == "optimal"
    least = (np.sqrt(5) - 1) / 2
    assert answer.objective == pytest.approx(size * (np.exp(least) - 2 * least), rel=1e-6)


def test_multipliers_are_found_at_a_given_point(single):
    nlp = compile_nlp(single("var x in [0, 5]; var z; minimize (x-3)^2 + (z-1)^2; c: x + z <= 2; d: x - z == 0.5"))
    found = multipliers(nlp, np.array([1.25, 0.75]))
    np.testing.assert_allclose(found.rows, [2.0, 1.5])
    assert found.residual < 1e-12
    assert multipliers(nlp, np.array([1.0, 0.5])).residual > 0.1


def test_stop_is_what_a_monitor_raises():
    with pytest.raises(Stop):
        Monitor(time_limit=1e-9).check()
