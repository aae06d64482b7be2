"""The command line keeps its contract: exit codes, streams, and no traceback for anyone."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from bileveldsl import __version__
from bileveldsl.cli.diagnostics import exit_code
from bileveldsl.cli.main import main
from bileveldsl.cli.progress import Progress, describe
from bileveldsl.language.diagnostics import BlvError, Diagnostic, Source, Span
from bileveldsl.solution import Solution, Status

TOY = """model toy
param shift = 3
upper {
  var x in [0, 10] start 1
  minimize (x - shift)^2 + (y - 1)^2
}
lower {
  var y
  minimize (y - x)^2
}
options {
  backend = "implicit"
}
"""
FAULTY = TOY.replace("(y - x)^2", "(y - z)^2")
COMMANDS = tuple(main.commands)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the command in an empty folder with the toy and a faulty model."""
    monkeypatch.chdir(tmp_path)
    Path("toy.blv").write_text(TOY)
    Path("faulty.blv").write_text(FAULTY)

    def invoke(*words):
        result = CliRunner().invoke(main, [str(word) for word in words])
        assert "Traceback" not in result.output
        return result

    return invoke


def test_solve_prints_a_summary_and_exits_with_zero(run):
    result = run("solve", "toy.blv")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(Status.LOCALLY_OPTIMAL.sentence)
    assert result.stderr == ""


def test_solve_json_is_the_solution_alone_and_right(run):
    result = run("solve", "toy.blv", "--json")
    solution = json.loads(result.stdout)
    assert result.exit_code == 0
    assert solution["schema"] == "bileveldsl.solution/1"
    assert solution["values"] == pytest.approx({"x": 2.0, "y": 2.0}, abs=1e-6)
    assert solution["upper"]["objective"] == pytest.approx(2.0, abs=1e-6)
    assert len(solution["model_sha256"]) == 64


def test_solve_writes_a_solution_that_verify_accepts(run):
    assert run("solve", "toy.blv", "-o", "toy.json", "--quiet").stdout == ""
    assert Solution.read("toy.json").model == "toy"
    result = run("verify", "toy.blv", "toy.json")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(Status.LOCALLY_OPTIMAL.sentence)
    assert json.loads(run("verify", "toy.blv", "toy.json", "--json").stdout)["values"]["x"] == pytest.approx(2)


def test_verify_refuses_a_point_that_is_no_solution(run):
    run("solve", "toy.blv", "-o", "toy.json")
    data = json.loads(Path("toy.json").read_text())
    data["values"]["y"] = 5.0
    Path("toy.json").write_text(json.dumps(data))
    result = run("verify", "toy.blv", "toy.json")
    assert result.exit_code == 4
    assert result.stdout.startswith(Status.NOT_VERIFIED.sentence)


def test_json_on_stdout_and_in_the_file_are_the_same(run):
    result = run("solve", "toy.blv", "-o", "toy.json", "--json")
    assert result.stdout == Path("toy.json").read_text()


def test_a_start_without_a_variable_is_refused(run):
    run("solve", "toy.blv", "-o", "toy.json")
    data = json.loads(Path("toy.json").read_text())
    del data["values"]["x"]
    Path("toy.json").write_text(json.dumps(data))
    result = run("solve", "toy.blv", "--start", "toy.json")
    assert result.exit_code == 2
    assert "E634" in result.stderr


def test_set_replaces_a_parameter(run):
    values = json.loads(run("solve", "toy.blv", "--json", "--set", "shift=5").stdout)["values"]
    assert values["x"] == pytest.approx(3.0, abs=1e-6)


def test_options_of_the_backend_seed_and_start_reach_the_solver(run):
    run("solve", "toy.blv", "-o", "first.json", "--backend", "f2ba")
    words = ("--backend", "implicit", "--option", "memory=5", "--seed", "3", "--start", "first.json", "--starts", "2")
    result = run("solve", "toy.blv", "--json", *words)
    solution = json.loads(result.stdout)
    assert (solution["backend"], solution["seed"], solution["options"]["memory"]) == ("implicit", 3, 5)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["solve", "missing.blv"], 2, "does not exist"),
        (["solve"], 2, "Missing argument"),
        (["sovle", "toy.blv"], 2, "No such command"),
        (["solve", "toy.blv", "--tolerance", "1"], 2, "No such option"),
        (["solve", "toy.blv", "--tol", "0"], 2, "above 0"),
        (["solve", "toy.blv", "--tol", "nan"], 2, "above 0"),
        (["solve", "toy.blv", "--starts", "0"], 2, "--starts"),
        (["solve", "toy.blv", "--set", "shift"], 2, "not of the form PARAM=VALUE"),
        (["solve", "toy.blv", "--set", "shift=a"], 2, "not a number"),
        (["solve", "toy.blv", "--set", "shift=inf"], 2, "finite"),
        (["solve", "toy.blv", "--set", "shift=1", "--set", "shift=2"], 2, "more than once"),
        (["solve", "toy.blv", "--backend", "implict"], 2, "E601"),
        (["solve", "toy.blv", "--option", "memroy=5"], 2, "E604"),
        (["solve", "toy.blv", "--option", "memory=0"], 2, "E605"),
        (["solve", "toy.blv", "-o", "nowhere/toy.json"], 2, "does not exist"),
        (["solve", "toy.blv", "--start", "toy.blv"], 2, "E631"),
        (["verify", "toy.blv", "toy.blv"], 2, "E631"),
        (["show", "toy.blv", "--kkt", "--gradients"], 2, "without --gradients"),
        (["explain", "E999"], 2, "no diagnostic E999"),
        (["explain", "missing.blv"], 2, "does not exist"),
        (["solve", "faulty.blv"], 1, "name z"),
        (["check", "faulty.blv"], 1, "name z"),
        (["show", "faulty.blv"], 1, "name z"),
        (["explain", "faulty.blv"], 1, "name z"),
    ],
)
def test_each_mistake_has_its_exit_code_and_message(run, words, code, message):
    result = run(*words)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("status", Status)
def test_the_exit_code_of_solve_is_that_of_the_status(run, monkeypatch, status):
    from dataclasses import replace

    from bileveldsl.model import load
    from bileveldsl.solve import solve

    solved = replace(solve(load("toy.blv")), status=status)
    monkeypatch.setattr("bileveldsl.solve.solve", lambda *_, **__: solved)
    result = run("solve", "toy.blv", "--json")
    assert result.exit_code == status.exit_code
    assert json.loads(result.stdout)["status"] == status.value


def test_an_answer_is_printed_even_where_it_cannot_be_written(run):
    result = run("solve", "toy.blv", "-o", "/dev/full")
    assert result.exit_code == 2
    assert result.stdout.startswith(Status.LOCALLY_OPTIMAL.sentence)
    assert "E415" in result.stderr


def test_check_says_the_facts_and_the_verdict(run):
    result = run("check", "toy.blv")
    assert result.exit_code == 0, result.output
    assert re.search(r"^  strongly convex  proved   mu = 2 ", result.stdout, re.MULTILINE)
    assert "\nVerdict: strongly convex follower, unconstrained" in result.stdout
    assert re.search(r"^implicit: asked for by name; lower level strongly convex", result.stdout, re.MULTILINE)
    assert re.search(r"^also possible: .*\bf2ba\b", result.stdout, re.MULTILINE)


def test_check_json_has_diagnostics_facts_and_verdict(run):
    found = json.loads(run("check", "toy.blv", "--json").stdout)
    assert found["diagnostics"] == []
    assert found["verdict"]["ok"] and found["verdict"]["class"] == "strongly convex follower, unconstrained"
    assert {"of", "fact", "verdict", "constant"} <= found["facts"][0].keys()
    result = run("check", "faulty.blv", "--format", "json")
    (diagnostic,) = json.loads(result.stdout)["diagnostics"]
    assert result.exit_code == 1
    assert diagnostic["range"]["start"] == {"line": 9, "column": 17, "offset": FAULTY.index("z)")}
    assert result.stderr == ""


def test_check_writes_annotations_for_github(run):
    result = run("check", "faulty.blv", "--format", "github")
    assert result.exit_code == 1
    assert result.stdout.startswith("::error file=faulty.blv,line=9,")
    assert result.stderr == ""


def test_a_syntax_error_is_reported_by_check_json_too(run):
    Path("broken.blv").write_text("model broken\nupper {")
    result = run("check", "broken.blv", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["diagnostics"][0]["code"].startswith("E1")


def test_twenty_diagnostics_are_shown_and_the_rest_is_counted(run):
    names = [f"z{i}" for i in range(30)]
    Path("many.blv").write_text(TOY.replace("(y - x)^2", " + ".join(f"(y - {name})^2" for name in names)))
    result = run("check", "many.blv")
    assert result.stderr.count("error[E2") == 20
    assert result.stderr.rstrip().endswith("30 errors; 10 not shown")


def test_the_exit_code_follows_from_the_place_of_the_mistake():
    span = Span(Source("toy.blv", TOY), 0, 5)
    in_model, warning = Diagnostic("E201", "m", span), Diagnostic("W201", "m", span)
    in_request = Diagnostic("E601", "m")
    assert [exit_code(d) for d in ([], [warning], [in_request, warning], [in_model, in_request])] == [0, 0, 2, 1]


def test_explain_prints_the_page_of_a_code(run):
    result = run("explain", "e601")
    assert result.exit_code == 0
    assert result.stdout.startswith("# E601: ")
    assert "## Fix" in result.stdout


def test_explain_says_the_path_and_why_not_the_others(run):
    result = run("explain", "toy.blv")
    assert result.exit_code == 0, result.output
    first, second, *others = result.stdout.splitlines()
    assert first.startswith("Program -> ") and first.endswith("-> implicit")
    assert second.startswith("implicit: ")
    assert any(line.startswith("not f2ba: ") for line in others)


def test_show_prints_both_levels(run):
    plain = run("show", "toy.blv").stdout
    assert plain.count("minimize") == 2
    assert run("show", "toy.blv", "--gradients").stdout.startswith(plain.rstrip())
    assert run("show", "toy.blv", "--kkt").stdout.count("minimize") == 1
    assert "\\min" in run("show", "toy.blv", "--latex").stdout


def test_backends_lists_each_with_what_it_accepts(run):
    result = run("backends")
    assert result.exit_code == 0
    assert "accepts" in result.stdout
    found = json.loads(run("backends", "--json").stdout)["backends"]
    assert {backend["name"] for backend in found} >= {"implicit", "f2ba"}
    assert all(backend["missing"] is None for backend in found)
    assert all({"name", "default", "expects", "doc"} == option.keys() for b in found for option in b["options"])


def test_a_bug_is_named_as_ours_and_shows_a_traceback_only_on_demand(run, monkeypatch):
    def broken(path, **_):
        raise ZeroDivisionError("deep\ninside")

    monkeypatch.setattr("bileveldsl.model.load", broken)
    result = run("check", "toy.blv")
    assert result.exit_code == 70
    assert "internal error: ZeroDivisionError: deep" in result.stderr
    assert "--debug" in result.stderr
    for words in (["--debug", "check", "toy.blv"], ["check", "--debug", "toy.blv"]):
        with pytest.raises(ZeroDivisionError):
            CliRunner().invoke(main, words, catch_exceptions=False)


def test_an_interrupt_ends_quietly(run, monkeypatch):
    def interrupted(path, **_):
        raise KeyboardInterrupt

    monkeypatch.setattr("bileveldsl.model.load", interrupted)
    result = run("solve", "toy.blv")
    assert result.exit_code == 4
    assert result.stderr.strip().endswith("interrupted")


@pytest.mark.parametrize("command", [[], *([command] for command in COMMANDS)])
def test_help_and_version(run, command):
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: bileveldsl")
    assert run("--version").stdout == f"bileveldsl {__version__}\n"


# ---- the terminal ---------------------------------------------------------------------------


def event(elapsed):
    return SimpleNamespace(iteration=3, objective=1.5, measures={"hypergradient_norm": 0.25}, elapsed=elapsed)


def test_progress_is_one_line_after_two_seconds_and_only_on_a_terminal(monkeypatch):
    assert describe(event(2.4)) == "2 s, iteration 3, objective 1.5, hypergradient_norm 0.25"
    shown = []
    line = SimpleNamespace(start=lambda: None, stop=lambda: shown.append("stop"), update=shown.append)
    monkeypatch.setattr("rich.console.Console.status", lambda *_: line)
    for terminal, quiet in ((False, False), (True, True), (True, False)):
        monkeypatch.setattr("sys.stderr", SimpleNamespace(isatty=lambda terminal=terminal: terminal))
        with Progress(quiet) as progress:
            progress(event(1.9))
            assert shown == []
            progress(event(2.4))
    assert shown == [describe(event(2.4)), "stop"]


def process(*words, cwd, **settings):
    environment = os.environ | {"PYTHONWARNINGS": "error"}
    command = [sys.executable, "-m", "bileveldsl", *words]
    return subprocess.Popen(command, cwd=cwd, env=environment, text=True, **settings)


HEAVY = {"sympy", "scipy", "cvxpy", "jax", "numpy", "rich"}


@pytest.mark.parametrize("words", [["--help"], ["solve", "--help"], ["--version"], ["explain", "E101"]])
def test_what_needs_no_mathematics_imports_none(words):
    code = (
        "import sys\nfrom bileveldsl.cli.main import main\n"
        f"try:\n  main({words!r})\nexcept SystemExit as end:\n  assert end.code == 0, end.code\n"
        f"print(sorted({HEAVY!r} & sys.modules.keys()), file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stderr == "[]\n"


def test_a_reader_that_goes_away_is_no_error(run, tmp_path):
    read, write = os.pipe()
    os.close(read)
    child = process("explain", "E601", cwd=tmp_path, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    _, errors = child.communicate(timeout=60)
    assert (child.returncode, errors) == (0, "")


def test_a_file_with_diagnostics_is_not_colored(run, tmp_path):
    child = process("check", "faulty.blv", cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "\x1b[" not in errors


def test_a_terminal_without_unicode_gets_what_it_can_show(run, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    child = process("solve", "toy.blv", cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, errors = child.communicate(timeout=60)
    assert (child.returncode, errors) == (0, "")
    assert "Program ? implicit" in output


OUTSIDE = TOY.replace("param shift = 3", 'param shift from "../shift.json"')


@pytest.mark.parametrize("words", [["solve"], ["check"], ["show"], ["explain"], ["verify"]])
def test_in_safe_mode_data_outside_of_the_folder_of_the_model_is_refused(run, words):
    Path("toy.json").write_text(run("solve", "toy.blv", "--json").stdout)
    folder = Path("models")
    folder.mkdir()
    Path("shift.json").write_text('{"shift": 3}')
    (folder / "toy.blv").write_text(OUTSIDE)
    more = ["toy.json"] if words == ["verify"] else []
    assert run(*words, "models/toy.blv", *more).exit_code == 0
    result = run(*words, "models/toy.blv", *more, "--safe")
    assert result.exit_code == 1
    assert "E411" in result.stderr
    (folder / "shift.json").symlink_to(Path("shift.json").absolute())
    (folder / "toy.blv").write_text(OUTSIDE.replace("../", ""))
    assert "E411" in run(*words, "models/toy.blv", *more, "--safe").stderr
    (folder / "shift.json").unlink()
    (folder / "shift.json").write_text('{"shift": 3}')
    assert run(*words, "models/toy.blv", *more, "--safe").exit_code == 0


def test_info_reads_no_data_so_it_is_safe(run):
    Path("outside.blv").write_text(OUTSIDE)
    assert run("info", "--safe", "outside.blv").exit_code == 0


def test_a_mistake_in_debug_mode_is_raised(run):
    with pytest.raises(BlvError):
        CliRunner().invoke(main, ["--debug", "show", "faulty.blv"], catch_exceptions=False)
