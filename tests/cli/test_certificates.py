"""`certify`, and `verify` of certificates: what is printed, what is written, and the exit codes."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import bileveldsl as blv
from bileveldsl.certificate import certificate_of, digest
from bileveldsl.certify.facts import Fact
from bileveldsl.cli.main import main

TOY = """model toy
param weight = 1
upper { var x in [0, 10]; minimize (x - 3)^2 + (y - 1)^2 }
lower { var y; minimize weight*(y - x)^2 }
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the command in a folder with the toy and a certificate of it."""
    monkeypatch.chdir(tmp_path)
    Path("toy.blv").write_text(TOY)
    model = blv.loads(TOY)
    facts = [
        Fact("lower.objective", "convex", "proved", rule="composition", proof={"kind": "composition"}),
        Fact("lower.objective", "strongly_convex", "proved", 2.0, rule="quadratic", proof={"kind": "quadratic"}),
    ]
    certificate_of(model, model.program(), facts).write("cert.json")

    def invoke(*words):
        result = CliRunner().invoke(main, [str(word) for word in words])
        assert "Traceback" not in result.output
        return result

    return invoke


def edited(change, name="cert.json", sign=True):
    content = json.loads(Path(name).read_text())
    change(content)
    Path(name).write_text(json.dumps({**content, "digest": digest(content)} if sign else content))


def test_verify_accepts_a_certificate_of_its_model(run):
    result = run("verify", "toy.blv", "cert.json")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines == [
        "accepted  proved  lower.objective convex",
        "accepted  proved  lower.objective strongly convex, mu >= 2",
        "2 of 2 claims accepted",
    ]
    assert json.loads(run("verify", "toy.blv", "cert.json", "--json").stdout)["accepted"] is True


def test_verify_rejects_what_is_not_shown_with_exit_code_4(run):
    edited(lambda c: c["claims"][1].update(constant="5/2"))
    result = run("verify", "toy.blv", "cert.json")
    assert result.exit_code == 4
    assert result.stdout.startswith("accepted")
    assert "REJECTED  proved  lower.objective strongly_convex: " in result.stdout
    assert result.stdout.rstrip().endswith("1 of 2 claims accepted")
    result = run("verify", "toy.blv", "cert.json", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 4
    assert [claim["accepted"] for claim in found["claims"]] == [True, False]


def test_verify_tells_a_changed_file_another_model_and_other_parameters_apart(run):
    Path("other.blv").write_text(TOY.replace("(y - x)^2", "(y + x)^2"))
    result = run("verify", "other.blv", "cert.json")
    assert (result.exit_code, "note: the certificate is of another model" in result.stdout) == (4, True)
    result = run("verify", "toy.blv", "cert.json", "--set", "weight=2")
    assert (result.exit_code, "--set" in result.stdout) == (4, True)
    edited(lambda c: c["claims"].pop(), sign=False)
    result = run("verify", "toy.blv", "cert.json")
    assert (result.exit_code, "note: the file was changed after it was written" in result.stdout) == (4, True)


def test_verify_still_takes_solutions(run):
    run("solve", "toy.blv", "--backend", "implicit", "-o", "solution.json", "--quiet")
    assert run("verify", "toy.blv", "solution.json").exit_code == 0
    result = run("verify", "toy.blv", "toy.blv")
    assert (result.exit_code, "E631" in result.stderr) == (2, True)


def test_certify_writes_what_verify_accepts_and_drops_nothing_in_silence(run):
    result = run("certify", "toy.blv", "-o", "new.json")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1].endswith("written to new.json")
    content = json.loads(Path("new.json").read_text())
    assert content["schema"] == "bileveldsl.certificate/1"
    stated = {(each["of"], each["fact"]) for each in (*content["claims"], *content["unchecked"])}
    facts = json.loads(run("check", "toy.blv", "--json").stdout)["facts"]
    assert stated == {(fact["of"], fact["fact"]) for fact in facts}
    assert run("verify", "toy.blv", "new.json").exit_code == 0


def test_certify_json_is_the_certificate_alone(run):
    result = run("certify", "toy.blv", "-o", "new.json", "--json")
    assert result.stdout == Path("new.json").read_text() and result.stderr == ""


def test_certify_without_a_file_says_that_nothing_was_written(run):
    assert "not written" in run("certify", "toy.blv").stdout


def test_certify_and_verify_take_parameters_alike(run):
    assert run("certify", "toy.blv", "--set", "weight=3", "-o", "three.json").exit_code == 0
    assert run("verify", "toy.blv", "three.json", "--set", "weight=3").exit_code == 0


def test_certify_with_a_requirement_that_fails_exits_with_1(run):
    Path("flat.blv").write_text(TOY.replace("weight*(y - x)^2 }", "weight*x*y; require strongly_convex }"))
    result = run("certify", "flat.blv", "-o", "flat.json")
    assert result.exit_code == 1
    assert "E50" in result.stderr and Path("flat.json").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["certify", "toy.blv", "-o", "nowhere/cert.json"], 2, "does not exist"),
        (["certify", "toy.blv", "--certify-budget", "0"], 2, "above 0"),
        (["certify", "toy.blv", "--set", "heavy=1"], 2, "E211"),
        (["check", "toy.blv", "--certify-budget", "nan"], 2, "above 0"),
        (["certify", "missing.blv"], 2, "does not exist"),
        (["verify", "toy.blv", "list.json"], 2, "E632"),
        (["verify", "toy.blv", "half.json"], 2, "E503"),
        (["verify", "toy.blv", "twice.json"], 2, "E633"),
    ],
)
def test_each_mistake_has_its_exit_code_and_message(run, words, code, message):
    Path("list.json").write_text("[]")
    Path("half.json").write_text('{"schema": "bileveldsl.certificate/1"}')
    Path("twice.json").write_text('{"schema": "bileveldsl.certificate/2"}')
    result = run(*words)
    assert result.exit_code == code, result.output
    assert message in result.stderr


def test_an_interrupted_check_shows_what_is_known_and_exits_with_4(run, monkeypatch):
    def interrupted(*_):
        yield Fact("lower.objective", "convex", "proved", rule="composition", proof={"kind": "composition"})
        raise KeyboardInterrupt

    monkeypatch.setattr("bileveldsl.certify.lower_level._facts", interrupted)
    result = run("check", "toy.blv")
    assert result.exit_code == 4 and "interrupted" in result.stdout
    assert "Verdict: convex follower" in result.stdout
    assert run("solve", "toy.blv").exit_code == 4
    assert run("certify", "toy.blv", "-o", "none.json").exit_code == 4
    assert [claim["fact"] for claim in json.loads(Path("none.json").read_text())["claims"]] == ["convex"]


def test_the_budget_reaches_the_prover(run, monkeypatch):
    budgets = []

    def recorded(program, budget):
        budgets.append(budget)
        return ()

    monkeypatch.setattr("bileveldsl.certify.lower_level.certify", recorded)
    for words in (["check"], ["certify"], ["explain"], ["solve", "--backend", "kkt"]):
        run(words[0], "toy.blv", *words[1:], "--certify-budget", "3.5")
    assert budgets == [3.5] * 4
