"""Certificates: the proved facts of a model with proofs that a small independent checker verifies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from bileveldsl.language.diagnostics import BlvError, Diagnostic

if TYPE_CHECKING:
    from bileveldsl.certify.check import Checked
    from bileveldsl.certify.facts import Fact
    from bileveldsl.model import Model
    from bileveldsl.program import Program

SCHEMA = "bileveldsl.certificate/1"
LISTS = ("claims", "unchecked")
ARRAYS = ("structure", "array-curvature", "kernel")
"""Kinds of proofs that speak of arrays, not of their elements."""
DEPTH = 400
"""Of objects in objects: more than any proof has, fewer than Python's limit of recursion."""


@dataclass(frozen=True)
class Certificate:
    """Claims about the functions of one model, each with its proof, as the JSON object of the file.

    Examples
    --------
    >>> import bileveldsl as blv
    >>> text = "model m; upper { var x in [0, 1]; minimize (x - y)^2 }; lower { var y; minimize (y - x)^2 }"
    >>> model = blv.loads(text)
    >>> all(claim.accepted for claim in model.certify().verify(model).claims)
    True
    """

    content: Mapping[str, Any]

    @property
    def claims(self) -> list[dict[str, Any]]:
        """What is proved or refuted, with proofs."""
        return self.content["claims"]

    @property
    def unchecked(self) -> list[dict[str, str]]:
        """Facts without a proof that can be checked, and why there is none."""
        return self.content["unchecked"]

    def to_text(self) -> str:
        """The file's text."""
        return json.dumps(self.content, indent=1, allow_nan=False) + "\n"

    def write(self, path: str | Path) -> None:
        """Write the file, completely or not at all; E415 where that is impossible."""
        from bileveldsl.files import atomic_write_text

        atomic_write_text(Path(path), self.to_text())

    @staticmethod
    def read(path: str | Path) -> Certificate:
        """The certificate in a file; E630, E631 or E503 where there is none."""
        from bileveldsl.solution_json import parsed

        return Certificate.from_json(parsed(Path(path)))

    @staticmethod
    def from_json(content: Any) -> Certificate:
        """The certificate that a JSON object is; what it claims is for `verify` to judge.

        Raises
        ------
        BlvError
            E503 for an object that is no certificate.
        """
        _require_shallow(content)
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            _fail(f'this is not a certificate: its schema is not "{SCHEMA}"')
        for name in LISTS:
            if not isinstance(content.get(name), list) or not all(isinstance(entry, dict) for entry in content[name]):
                _fail(f"the certificate has no list of objects `{name}`")
        for name, kind, word in (("model", str, "text"), ("model_sha256", str, "text"), ("data_sha256", dict, "object"),
                                 ("statement", dict, "object"), ("digest", str, "text")):  # fmt: skip
            if not isinstance(content.get(name), kind):
                _fail(f"the certificate has no {word} `{name}`")
        return Certificate(content)

    def verify(
        self, model: Model, *, set: Mapping[str, Any] | None = None, data: Sequence[str | Path] = ()
    ) -> Recheck:
        """Check every claim against the model, without trusting what made it.

        Parameters
        ----------
        model
            The model that the claims are about: its functions are written out anew.
        set, data
            Values that replace parameters, as when it was certified.
        """
        from bileveldsl.inputs import parameter_values

        program = model.program(**parameter_values(model, set or {}, data))
        return verify_certificate(model, program, self)


def _require_shallow(content: Any) -> None:
    """Bound the depth level by level: nothing here recurses into a value before this."""
    level = [content]
    for _ in range(DEPTH):
        nested = [entry for entry in level if isinstance(entry, dict | list)]
        if not nested:
            return
        level = [inner for entry in nested for inner in (entry.values() if isinstance(entry, dict) else entry)]
    _fail("the certificate is nested too deep")


def _fail(message: str) -> NoReturn:
    raise BlvError([Diagnostic("E503", message, help="write it anew with `bileveldsl certify MODEL -o FILE`")])


# ---- making -----------------------------------------------------------------------------------------


def certificate_of(model: Model, program: Program, facts: Sequence[Fact]) -> Certificate:
    """The certificate with a claim for each fact whose proof the checker accepts; the others are listed.

    Parameters
    ----------
    model, program
        The model, and the program that it means.
    facts
        What `certify` found, with what the model assumes.
    """
    from bileveldsl.certify.check import check_certificate
    from bileveldsl.verify import model_digest

    pairs = [(fact, claim) for fact in facts if (claim := _claim(fact)) is not None]
    made = _stated(program, any(_of_arrays(fact.proof) for fact in facts))
    statement, data = ({}, None) if made is None else made
    content = {
        "schema": SCHEMA,
        "model": program.name,
        "model_sha256": model_digest(model),
        "data_sha256": dict(program.digests),
        "statement": statement,
        "claims": [claim for _, claim in pairs],
        "unchecked": [],
    }
    checked = check_certificate({**content, "digest": digest(content)}, statement, data)
    refused = {id(fact): result.reason for (fact, _), result in zip(pairs, checked, strict=True) if not result.accepted}
    if made is None:
        refused = dict.fromkeys(refused, "the model is too large to be stated")
    content["claims"] = [claim for fact, claim in pairs if id(fact) not in refused]
    content["unchecked"] = [
        {"of": fact.of, "fact": fact.fact, "verdict": fact.verdict, "why": why}
        for fact in facts
        if (why := refused.get(id(fact)) or _unchecked(fact))
    ]
    return Certificate({**content, "digest": digest(content)})


def digest(content: Mapping[str, Any]) -> str:
    """The sha256 of a certificate's canonical text without its digest."""
    rest = {name: value for name, value in content.items() if name != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _intact(content: Mapping[str, Any]) -> bool:
    try:
        return digest(content) == content["digest"]
    except ValueError:  # a number beyond the range of floats
        return False


def _stated(program: Program, arrays: bool) -> tuple[dict[str, Any], Any] | None:
    """The statement of a program: of scalars if it is small, else of arrays, which are given beside it."""
    from bileveldsl.certify.array_statement import array_statement
    from bileveldsl.certify.statement import statement

    scalars = None if arrays else statement(program)
    return array_statement(program) if scalars is None else (scalars.to_json(), None)


def _of_arrays(proof: Any) -> bool:
    """Whether a proof speaks of matrices as a whole."""
    nested = [proof]
    while nested:
        part = nested.pop()
        if isinstance(part, Mapping):
            if part.get("kind") in ARRAYS:
                return True
            nested += part.values()
        elif isinstance(part, list | tuple):
            nested += part
    return False


def _claim(fact: Fact) -> dict[str, Any] | None:
    """The claim that a fact makes by its proofs; constants are the exact rationals of its floats."""
    from bileveldsl.certify.statement import text
    from bileveldsl.verdict.constants import sigma_bound

    if fact.proof is None or fact.verdict not in ("proved", "refuted"):
        return None
    claim: dict[str, Any] = {"of": fact.of, "fact": fact.fact, "verdict": fact.verdict, "scope": fact.scope}
    if fact.constant is not None and fact.verdict == "proved":
        claim["constant"] = text(fact.constant)
    claim["proof"] = fact.proof
    if fact.constant_upper is not None and _two_sided(fact):
        claim |= {"constant_upper": text(fact.constant_upper), "proof_upper": fact.proof_upper}
    if fact.of.endswith(".penalty") and (limit := sigma_bound(fact)) is not None:
        claim["sigma"] = {"upper": text(limit)}
    return claim


def _two_sided(fact: Fact) -> bool:
    """Whether a bound on the other side stands in the claim; a refuted modulus has none that says more."""
    said = fact.verdict == "proved" or fact.fact == "smooth"
    return said and fact.constant_upper is not None and fact.proof_upper is not None


def _unchecked(fact: Fact) -> str:
    """What of a fact stands in no claim, and why; empty where all does."""
    if fact.verdict == "assumed":
        return "assumed by the model"
    if fact.verdict == "unknown":
        return f"not decided: {fact.why}"
    if fact.proof is None:
        return f"{fact.rule or fact.verdict}: the prover wrote no proof that can be checked"
    if fact.verdict == "proved" and fact.constant_upper is not None and not _two_sided(fact):
        return f"its other side, {fact.constant_upper:g}, has no proof that can be checked"
    return ""


# ---- checking ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recheck:
    """What became of each claim, and what is not as it was when the certificate was made."""

    claims: tuple[Checked, ...]
    notes: tuple[str, ...]

    @property
    def accepted(self) -> bool:
        """Whether every claim is; a certificate without claims shows nothing, and nothing is wrong with it."""
        return all(claim.accepted for claim in self.claims)

    def to_json(self) -> dict[str, Any]:
        """The result as JSON values."""
        claims = [
            {"of": c.of, "fact": c.fact, "verdict": c.verdict, "accepted": c.accepted, "reason": c.reason}
            for c in self.claims
        ]
        return {"accepted": self.accepted, "claims": claims, "notes": list(self.notes)}


def verify_certificate(model: Model, program: Program, certificate: Certificate) -> Recheck:
    """Check the claims of a certificate on the statement that is made anew of a program."""
    from bileveldsl.certify.check import check_certificate

    made = _stated(program, certificate.content["statement"].get("form") == "array")
    statement, data = ({}, None) if made is None else made
    claims = tuple(check_certificate(dict(certificate.content), statement, data))
    return Recheck(claims, tuple(_notes(model, program, certificate, statement)))


def _notes(model: Model, program: Program, certificate: Certificate, statement: Mapping[str, Any]) -> list[str]:
    """Why claims may be rejected, in words for a person."""
    from bileveldsl.verify import model_digest

    content = certificate.content
    notes = []
    if not _intact(content):
        notes.append("the file was changed after it was written: its digest is not that of its content")
    if content["statement"] == statement:
        if content["model_sha256"] != model_digest(model):
            notes.append("the text of the model has changed, but its functions are those of the certificate")
        return notes
    changed = [name for name, old in content["data_sha256"].items() if program.digests.get(name, old) != old]
    if content["model_sha256"] != model_digest(model):
        notes.append(f"the certificate is of another model, or of another version of it: {content['model']!r:.80}")
    elif changed:
        notes.append(f"the data have changed since it was written: {', '.join(map(str, changed))}")
    else:
        notes.append("values of parameters differ: give the same --set and --data as to certify")
    return notes
