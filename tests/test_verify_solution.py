"""A stored solution is believed in nothing but its values."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

import bileveldsl as blv
from bileveldsl.cli.main import main
from bileveldsl.language.diagnostics import BlvError
from bileveldsl.verify import verify_solution

TEXT = (
    "model t\nparam k = 2\nupper {\nvar x in [0, 10] start 1\nminimize (x - 3)^2 + (y - 1)^2\n}\n"
    "lower {\nvar y\nminimize (y - k*x)^2\n}\n"
)


def stored(**changes):
    solution = blv.loads(TEXT).solve("implicit").to_json()
    for path, value in changes.items():
        place = solution
        *way, last = path.split("__")
        for key in way:
            place = place[key]
        place[last] = value
    return solution


def test_a_true_solution_is_found_true():
    found = verify_solution(blv.loads(TEXT), stored())
    assert found.status.value == "locally_optimal"
    assert found.upper.objective == pytest.approx((1 - 3) ** 2 + (2 - 1) ** 2)
    assert "changed" not in found.message


def test_claims_of_the_file_are_not_believed():
    forged = stored(values__y=2.5, status="globally_optimal", verification__lower_gap=0.0, verification__tolerance=1e9)
    found = verify_solution(blv.loads(TEXT), forged)
    assert found.status.value == "not_verified"
    assert found.verification.lower_gap == pytest.approx(0.25 / 1.25)
    assert found.lower[0].objective == pytest.approx(0.25)


def test_another_model_is_noticed():
    found = verify_solution(blv.loads(TEXT.replace("y - 1", "y - 7")), stored())
    assert "the model has changed" in found.message
    assert found.status.value == "feasible"
    assert "changed" not in verify_solution(blv.loads(TEXT + "# a remark\n"), stored()).message


def test_parameters_that_were_set_are_set_again():
    solution = blv.loads(TEXT).solve(set={"k": 1.0}).to_json()
    assert verify_solution(blv.loads(TEXT), solution).status.value == "not_verified"
    assert verify_solution(blv.loads(TEXT), solution, set={"k": 1.0}).status.value == "locally_optimal"


def test_a_solution_without_the_variables_is_refused():
    solution = stored()
    del solution["values"]["y"]
    with pytest.raises(BlvError) as caught:
        verify_solution(blv.loads(TEXT), solution)
    assert caught.value.diagnostics[0].code == "E634"
    with pytest.raises(BlvError) as caught:
        verify_solution(blv.loads(TEXT), stored(values__y=[1.0, 2.0]))
    assert caught.value.diagnostics[0].code == "E635"


def test_a_constraint_that_was_added_is_heeded():
    """x = 1, y = 2 is no answer of the follower that may not go beyond 1."""
    text = TEXT.replace("minimize (y - k*x)^2", "minimize (y - k*x)^2\ncap: y <= 1")
    found = verify_solution(blv.loads(text), stored())
    assert found.status.value == "not_verified" and "lower level is violated by 1.0e+00" in found.message
    assert found.verification.lower_violation == pytest.approx(1)


def test_the_command_line_verifies_with_the_values_that_were_set(tmp_path):
    model, solution = tmp_path / "m.blv", tmp_path / "s.json"
    model.write_text(TEXT)
    run = CliRunner().invoke
    assert run(main, ["solve", str(model), "--set", "k=1", "-o", str(solution), "--quiet"]).exit_code == 0
    assert run(main, ["verify", str(model), str(solution)]).exit_code == 4
    result = run(main, ["verify", str(model), str(solution), "--set", "k=1", "--json"])
    assert result.exit_code == 0
    values = json.loads(result.stdout)["values"]
    assert np.allclose([values["x"], values["y"]], 2)
