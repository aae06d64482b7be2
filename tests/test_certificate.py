"""Certificates: what is written, that it is accepted for its model alone, and that nothing else is."""

import copy
import json

import pytest

import bileveldsl as blv
from bileveldsl.certificate import SCHEMA, Certificate, certificate_of, digest
from bileveldsl.certify.facts import Fact
from bileveldsl.language.diagnostics import BlvError

TEXT = """
model toy
param a = 1
upper { var x in [0, 10]; minimize (x - 3)^2 + (y - 1)^2 }
lower { var y; minimize a*(y - x)^2 }
"""
CONVEX = Fact("lower.objective", "convex", "proved", rule="composition", proof={"kind": "composition"})
STRONG = Fact("lower.objective", "strongly_convex", "proved", 2.0, 2.0, rule="structure", proof={"kind": "quadratic"})
ASSUMED = Fact("lower.objective", "smooth", "assumed", 3.0)
UNKNOWN = Fact("lower.objective", "pl", "unknown", why="no rule applies")


@pytest.fixture(scope="module")
def model():
    return blv.loads(TEXT)


@pytest.fixture(scope="module")
def certificate(model):
    return certificate_of(model, model.program(), [CONVEX, STRONG, ASSUMED, UNKNOWN])


def forged(certificate, change):
    """The certificate with its content changed and a digest that fits."""
    content = copy.deepcopy(dict(certificate.content))
    change(content)
    return Certificate.from_json({**content, "digest": digest(content)})


def code_of(content):
    with pytest.raises(BlvError) as caught:
        Certificate.from_json(content)
    return [d.code for d in caught.value.diagnostics]


def test_facts_with_proofs_are_claims_and_the_others_are_listed(certificate):
    assert [(c["of"], c["fact"], c["verdict"]) for c in certificate.claims] == [
        ("lower.objective", "convex", "proved"), ("lower.objective", "strongly_convex", "proved"),
    ]  # fmt: skip
    assert certificate.claims[1]["constant"] == "2" and "constant_upper" not in certificate.claims[1]
    why = {each["fact"]: each["why"] for each in certificate.unchecked}
    assert "other side, 2" in why["strongly_convex"]
    assert why["smooth"] == "assumed by the model" and "no rule applies" in why["pl"]
    assert "convex" not in why


def test_constants_are_the_exact_rationals_of_floats(model):
    fact = Fact("lower.objective", "strongly_convex", "proved", 0.1, proof={"kind": "quadratic"})
    (claim,) = certificate_of(model, model.program(), [fact]).claims
    assert claim["constant"] == "3602879701896397/36028797018963968"


def test_it_is_accepted_and_survives_its_file(model, certificate, tmp_path):
    certificate.write(tmp_path / "cert.json")
    read = Certificate.read(tmp_path / "cert.json")
    assert read.content == json.loads(json.dumps(certificate.content))
    found = read.verify(model)
    assert found.accepted and not found.notes and len(found.claims) == 2
    assert found.to_json()["accepted"] and json.dumps(found.to_json())


def test_a_changed_file_is_rejected_as_a_whole_and_the_reason_is_said(model, certificate):
    content = copy.deepcopy(dict(certificate.content))
    content["claims"][1]["constant"] = "1"
    found = Certificate.from_json(content).verify(model)
    assert not any(claim.accepted for claim in found.claims)
    assert "digest" in found.notes[0] and "digest" in found.claims[0].reason


def test_an_overstated_constant_is_rejected_even_with_a_digest_that_fits(model, certificate):
    found = forged(certificate, lambda c: c["claims"][1].update(constant="21/10")).verify(model)
    assert [claim.accepted for claim in found.claims] == [True, False]
    assert not found.accepted


def test_another_model_is_told(certificate):
    other = blv.loads(TEXT.replace("(y - x)^2", "(y + x)^2"))
    found = certificate.verify(other)
    assert not any(claim.accepted for claim in found.claims)
    assert found.notes == ("the certificate is of another model, or of another version of it: 'toy'",)


def test_a_model_with_the_same_functions_is_as_good(certificate):
    other = blv.loads(TEXT.replace("model toy", "# a comment\nmodel other"))
    found = certificate.verify(other)
    assert found.accepted and "its functions are those of the certificate" in found.notes[0]


def test_other_values_of_parameters_are_told(model, certificate):
    found = certificate.verify(model, set={"a": 2.0})
    assert not found.accepted and "--set" in found.notes[0]
    assert certificate.verify(model, set={"a": 1.0}).accepted


def test_changed_data_are_told(tmp_path):
    (tmp_path / "a.csv").write_text("2\n")
    text = TEXT.replace("param a = 1", 'param a from "a.csv"')
    model = blv.loads(text, tmp_path)
    certificate = certificate_of(model, model.program(), [CONVEX])
    assert certificate.verify(blv.loads(text, tmp_path)).accepted
    (tmp_path / "a.csv").write_text("3\n")
    found = certificate.verify(blv.loads(text, tmp_path))
    assert not found.accepted
    assert found.notes == ("the data have changed since it was written: a.csv",)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: c.update(schema="bileveldsl.certificate/9"),
        lambda c: c.pop("claims"),
        lambda c: c.update(claims={}),
        lambda c: c.update(claims=[1]),
        lambda c: c.update(statement=[]),
        lambda c: c.update(digest=7),
        lambda c: c.update(data_sha256=None),
        lambda c: c.pop("unchecked"),
    ],
)
def test_what_is_no_certificate_is_said_to_be_none(certificate, spoil):
    content = copy.deepcopy(dict(certificate.content))
    spoil(content)
    assert code_of(content) == ["E503"]


def test_hostile_files_end_in_a_diagnostic_or_a_rejection(model, certificate):
    deep: list = []
    for _ in range(600):
        deep = [deep]
    assert code_of({**certificate.content, "claims": [{"proof": deep}]}) == ["E503"]
    assert code_of([]) == code_of("x") == code_of(None) == ["E503"]
    for claim in ({}, {"of": []}, {"of": "lower.objective", "fact": {}, "verdict": 1}, {"proof": None}):
        found = forged(certificate, lambda c, claim=claim: c.update(claims=[claim])).verify(model)
        assert [each.accepted for each in found.claims] == [False]
    huge = json.loads(json.dumps({**certificate.content, "model": "?"}).replace('"?"', "1e999"))
    assert code_of(huge) == ["E503"]
    within = json.loads(json.dumps(certificate.content).replace('"constant": "2"', '"constant": 1e999'))
    assert not Certificate.from_json(within).verify(model).accepted


def test_a_claim_that_its_own_checker_refuses_is_not_made(model):
    wrong = Fact("lower.objective", "strongly_convex", "proved", 2.5, rule="hessian", proof={"kind": "quadratic"})
    made = certificate_of(model, model.program(), [CONVEX, wrong])
    assert [c["fact"] for c in made.claims] == ["convex"]
    assert [each["fact"] for each in made.unchecked] == ["strongly_convex"] and made.unchecked[0]["why"]
    assert made.verify(model).accepted


def test_a_model_that_cannot_be_stated_has_a_certificate_without_claims(model, monkeypatch):
    monkeypatch.setattr("bileveldsl.certificate._stated", lambda program, arrays: None)
    made = certificate_of(model, model.program(), [CONVEX])
    assert made.content["schema"] == SCHEMA and not made.claims
    assert "too large" in made.unchecked[0]["why"]
