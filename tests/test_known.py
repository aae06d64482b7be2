"""The facts of a model are proved once, within a budget, and remembered for exactly what they follow from."""

import os

import pytest

import bileveldsl as blv
from bileveldsl import cache, known
from bileveldsl.certify.facts import Fact
from bileveldsl.certify.lower_level import INTERRUPTED
from bileveldsl.known import known_facts
from bileveldsl.language.diagnostics import BlvError

TEXT = """
model toy
param a = 1
upper { var x in [-1, 1]; minimize (x - 3)^2 + (y - 1)^2 }
lower { var y; minimize (y - x)^2 + a*sin(5*y) }
"""


@pytest.fixture
def proofs(tmp_path, monkeypatch):
    """How often something was proved; everything is worth keeping."""
    monkeypatch.setenv("BILEVELDSL_CACHE", "on")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(known, "WORTHWHILE", 0.0)
    from bileveldsl.certify import lower_level

    prove, calls = lower_level.certify, []

    def counted(program, budget):
        calls.append(program)
        return prove(program, budget)

    monkeypatch.setattr(lower_level, "certify", counted)
    return calls


def facts_of(model, budget=10.0, **given):
    return known_facts(model, model.program(**given), budget)


def entries(tmp_path):
    return sorted((tmp_path / "cache" / "bileveldsl").glob("*.json"))


def test_the_second_time_nothing_is_proved_and_all_is_the_same(proofs, tmp_path):
    first = facts_of(blv.loads(TEXT))
    second = facts_of(blv.loads(TEXT))
    assert len(proofs) == 1 and len(entries(tmp_path)) == 1
    assert first.facts and second.facts == first.facts
    uncompared = [(f.witness, f.proof, f.proof_upper) for f in first.facts]
    assert [(f.witness, f.proof, f.proof_upper) for f in second.facts] == uncompared
    places = {key: (found.formula, found.where) for key, found in first.culprits.items()}
    assert places == {key: (found.formula, found.where) for key, found in second.culprits.items()}


@pytest.mark.parametrize(
    "change",
    [
        lambda: (blv.loads(TEXT.replace("(y - x)^2", "(y + x)^2")), 10.0, {}),
        lambda: (blv.loads("# moved\n" + TEXT), 10.0, {}),
        lambda: (blv.loads(TEXT), 10.0, {"a": 2.0}),
        lambda: (blv.loads(TEXT), 100.0, {}),
        lambda: (blv.loads(TEXT.replace("[-1, 1]", "[-1, 2]")), 10.0, {}),
    ],
    ids=["function", "place", "parameter", "budget", "bounds"],
)
def test_whatever_facts_follow_from_makes_another_entry(proofs, change):
    facts_of(blv.loads(TEXT))
    model, budget, given = change()
    facts_of(model, budget, **given)
    assert len(proofs) == 2


def test_changed_data_are_another_model(proofs, tmp_path):
    (tmp_path / "a.csv").write_text("1\n")
    text = TEXT.replace("param a = 1", 'param a from "a.csv"')
    facts_of(blv.loads(text, tmp_path))
    facts_of(blv.loads(text, tmp_path))
    assert len(proofs) == 1
    (tmp_path / "a.csv").write_text("2\n")
    facts_of(blv.loads(text, tmp_path))
    assert len(proofs) == 2


def test_another_state_of_the_prover_proves_anew(proofs, monkeypatch):
    facts_of(blv.loads(TEXT))
    monkeypatch.setattr(known, "_prover", lambda: "newer")
    facts_of(blv.loads(TEXT))
    assert len(proofs) == 2


def test_what_the_model_assumes_is_not_kept_as_proved(proofs):
    flat = "upper { var x in [0, 1]; minimize x*y }; lower { var y; minimize (y - x)^4; assume strongly_convex(1) }"
    for _ in range(2):
        found = {f.fact: f for f in facts_of(blv.loads(flat)).facts if f.of == "lower.objective"}
        assert found["strongly_convex"].verdict in ("assumed", "refuted")


def test_quick_proofs_and_expired_ones_are_not_kept(proofs, tmp_path, monkeypatch):
    facts_of(blv.loads(TEXT), budget=1e-9)
    assert not entries(tmp_path)
    monkeypatch.setattr(known, "WORTHWHILE", 60.0)
    facts_of(blv.loads(TEXT))
    assert not entries(tmp_path)


def test_an_interruption_leaves_facts_undecided_and_is_not_kept(tmp_path, proofs, monkeypatch):
    def interrupted(*_):
        yield Fact("lower.objective", "convex", "proved", why="first")
        raise KeyboardInterrupt

    monkeypatch.setattr("bileveldsl.certify.lower_level._facts", interrupted)
    found = facts_of(blv.loads(TEXT))
    assert found.interrupted and {f.why for f in found.facts} == {"first", INTERRUPTED}
    assert not entries(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        blv.loads(TEXT).solve()


@pytest.mark.parametrize("value", ["off", "0", "no"])
def test_it_can_be_switched_off(proofs, tmp_path, monkeypatch, value):
    monkeypatch.setenv("BILEVELDSL_CACHE", value)
    facts_of(blv.loads(TEXT))
    facts_of(blv.loads(TEXT))
    assert len(proofs) == 2 and not entries(tmp_path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text[:-20],
        lambda text: "[" * 100_000,
        lambda text: "[]x",
        lambda text: "{}",
        lambda text: "[1]",
        lambda text: text.replace('"refuted"', '"surely"').replace('"proved"', '"surely"'),
        lambda text: text.replace('"constant": null', '"constant": "2"'),
        lambda text: text.replace('"of"', '"off"'),
        lambda text: text.replace('"witness": {', '"witness": [{', 1) if '"witness": {' in text else "null",
        lambda text: "1" * 10_000,
    ],
)
def test_an_entry_that_is_not_what_was_kept_is_ignored(proofs, tmp_path, spoil):
    first = facts_of(blv.loads(TEXT))
    (entry,) = entries(tmp_path)
    entry.write_text(spoil(entry.read_text()))
    assert facts_of(blv.loads(TEXT)).facts == first.facts
    assert len(proofs) == 2


def test_a_folder_that_cannot_be_written_costs_nothing(proofs, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert facts_of(blv.loads(TEXT)).facts


def test_a_relative_cache_home_is_ignored(monkeypatch, tmp_path):
    monkeypatch.setenv("BILEVELDSL_CACHE", "on")
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder() == tmp_path / ".cache" / "bileveldsl"


def test_the_oldest_entries_give_way(monkeypatch, tmp_path):
    monkeypatch.setenv("BILEVELDSL_CACHE", "on")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cache, "ENTRIES", 3)
    for number in range(5):
        cache.store(str(number), number)
        path = tmp_path / "bileveldsl" / f"{number}.json"
        os.utime(path, (number, number))
    cache.store("last", "last")
    assert {path.stem for path in (tmp_path / "bileveldsl").iterdir()} == {"3", "4", "last"}
    assert cache.load("last") == "last" and cache.load("0") is None


def test_large_entries_and_files_of_others_are_left_alone(monkeypatch, tmp_path):
    monkeypatch.setenv("BILEVELDSL_CACHE", "on")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache.store("large", "x" * (cache.LARGEST + 1))
    assert cache.load("large") is None and not (tmp_path / "bileveldsl").exists()
    cache.store("small", 1)
    monkeypatch.setattr(os, "getuid", lambda: -1, raising=False)
    assert cache.load("small") is None


def test_a_failing_requirement_fails_again_from_memory(proofs):
    text = TEXT.replace("minimize (y - x)^2", "require convex; minimize (y - x)^2")
    for _ in range(2):
        with pytest.raises(BlvError) as caught:
            blv.loads(text).solve()
        assert caught.value.diagnostics[0].code in ("E501", "E502")
    assert len(proofs) == 1


def test_a_modulus_is_kept_as_a_formula(proofs, tmp_path, monkeypatch):
    program = blv.loads(TEXT).program()
    moving = Fact("lower.objective", "strongly_convex", "proved", 1.0, modulus=program.lower[0].objective)
    monkeypatch.setattr("bileveldsl.certify.lower_level.certify", lambda program, budget: (moving,))
    first, second = facts_of(blv.loads(TEXT)), facts_of(blv.loads(TEXT))
    assert first.facts == second.facts and len(entries(tmp_path)) == 1
    formula = {("lower.objective", "strongly_convex"): repr(program.lower[0].objective)}
    assert first.moduli == second.moduli == formula


def test_an_expired_budget_is_no_matter_where_all_is_decided(proofs, tmp_path, monkeypatch):
    fact = Fact("lower.objective", "convex", "proved")
    monkeypatch.setattr("bileveldsl.certify.lower_level.certify", lambda program, budget: (fact,))
    facts_of(blv.loads(TEXT), budget=1e-9)
    assert len(entries(tmp_path)) == 1
