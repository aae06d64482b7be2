"""`compare`: one verified row for each backend, the reason of one that refuses, curves, and exit codes."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bileveldsl import loads
from bileveldsl.cli.main import main
from bileveldsl.compare import compare

TOY = """model toy
param target = 3
upper { var x in [0, 10] start 1; minimize (x - target)^2 + (y - 1)^2 }
lower { var y; minimize (y - x)^2 }
"""
WAVES = "model waves; upper { var x in [-1, 1]; minimize (x - y)^2 }; lower { var y start 2; minimize cos(y) + x*y/9 }"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("toy.blv").write_text(TOY)
    Path("waves.blv").write_text(WAVES)

    def invoke(*words):
        result = CliRunner().invoke(main, ["compare", *words])
        assert "Traceback" not in result.output
        return result

    return invoke


def test_a_row_for_each_backend_with_its_verified_answer(run):
    result = run("toy.blv", "--backends", "implicit,f2ba")
    assert result.exit_code == 0, result.output
    head, first, second = result.stdout.strip().splitlines()
    assert head.split()[0] == "backend" and head.split()[-1] == "status"
    assert first.startswith("implicit") and second.startswith("f2ba")
    for line in (first, second):
        assert float(line.split()[1]) == pytest.approx(2, abs=1e-6) and line.rstrip().endswith("locally optimal")


def test_json_has_the_numbers_of_the_solutions(run):
    found = json.loads(run("toy.blv", "--backends", "f2ba,implicit", "--json").stdout)["runs"]
    assert [row["backend"] for row in found] == ["f2ba", "implicit"]
    for row in found:
        assert row["objective"] == pytest.approx(2, abs=1e-6) and row["lower_gap"] <= 1e-6
        assert row["hypergradient_norm"] <= 1e-6 and row["seconds"] > 0 and row["reason"] is None
        assert row["calls"] == sum(n for name, n in row["work"].items() if name != "iterations") > 0


def test_a_backend_that_refuses_tells_its_reason_in_its_row(run):
    result = run("waves.blv", "--backends", "implicit,f2ba", "--json")
    refused, other = json.loads(result.stdout)["runs"]
    assert refused["status"] is None and "strongly_convex" in refused["reason"]
    assert other["status"] is not None and other["reason"] is None
    table = run("waves.blv", "--backends", "implicit")
    assert table.exit_code == 4 and "refused" in table.stdout
    assert table.stdout.splitlines()[-1].startswith("implicit: ") and "strongly_convex" in table.stdout


def test_by_default_every_backend_that_accepts_the_model_takes_part(run):
    names = {row["backend"] for row in json.loads(run("waves.blv", "--json", "--time-limit", "2").stdout)["runs"]}
    assert "f2ba" in names and "implicit" not in names


def test_the_exit_code_is_that_of_the_best_answer(run):
    assert run("waves.blv", "--backends", "f2ba").exit_code == 4  # nothing is proved of its follower
    assert run("toy.blv", "--backends", "f2ba", "--time-limit", "1e-9").exit_code in (0, 4)


@pytest.mark.parametrize("words", [("--backends", "f2bb"), ("--backends", "f2ba,,implicit"), ("--plot", "no/a.png")])
def test_a_wrong_name_list_or_folder_is_said_at_once(run, words):
    result = run("toy.blv", *words)
    assert result.exit_code == 2
    if words[1] == "f2bb":
        assert "E601" in result.stderr and 'did you mean "f2ba"' in result.stderr


def test_a_faulty_model_is_an_error_and_no_row(run):
    Path("bad.blv").write_text(TOY.replace("(y - x)", "(y - z)"))
    result = run("bad.blv", "--backends", "f2ba")
    assert result.exit_code == 1 and "z" in result.stderr and result.stdout == ""


def test_a_plot_is_an_image(run):
    pytest.importorskip("matplotlib")
    result = run("toy.blv", "--backends", "implicit,f2ba", "--plot", "curves.png")
    assert result.exit_code == 0, result.output
    assert Path("curves.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_a_plot_says_what_is_missing(run, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    result = run("toy.blv", "--backends", "implicit", "--plot", "curves.png")
    assert result.exit_code != 0 and "matplotlib" in result.stderr


def test_the_history_leads_to_the_answer():
    (row,) = compare(loads(TOY), ["implicit"])
    assert row.solution is not None and row.history
    assert row.history[-1].objective == pytest.approx(row.solution.upper.objective, abs=1e-6)
    assert all(a.seconds <= b.seconds for a, b in zip(row.history, row.history[1:], strict=False))


def test_settings_hold_for_every_backend():
    rows = compare(loads(TOY), ["implicit", "f2ba"], set={"target": 5.0})
    assert [row.solution["x"] for row in rows] == pytest.approx([3, 3], abs=1e-5)
