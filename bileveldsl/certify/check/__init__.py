"""A checker of certificates that shares no code with what makes them.

It derives everything again from the statement, in exact arithmetic and with balls that hold their numbers, by the
standard library and python-flint alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bileveldsl.certify.check.claims import Claim, check_claim, read_claim
from bileveldsl.certify.check.kinds import array_claims
from bileveldsl.certify.check.reading import mapping, read, record, sequence
from bileveldsl.certify.check.terms import Rejected

SCHEMA = "bileveldsl.certificate/1"
_CHARACTERS = 400_000_000
_CLAIMS = 10_000


@dataclass(frozen=True)
class Checked:
    """What became of one claim: whether its proof shows it and, if not, why not."""

    of: str
    fact: str
    verdict: str
    accepted: bool
    reason: str


def check_certificate(
    certificate: str | Mapping[str, Any], statement: Mapping[str, Any], data: Mapping[str, Any] | None = None
) -> list[Checked]:
    """Check every claim of a certificate.

    Parameters
    ----------
    certificate
        The text of the file, or the object in it; nothing in it is trusted.
    statement
        What the model says, made from the model by the caller; the certificate must say the same.
    data
        The arrays that a statement of the form "array" names by their digests.

    Returns
    -------
    list of Checked
        One for each claim, in their order; a single one that is not accepted if the file is no certificate. Nothing is
        ever raised for what a certificate holds.
    """
    try:
        content = _content(certificate)
        claims = sequence(content["claims"], _CLAIMS)
    except Exception as error:
        return [Checked("", "", "", False, _reason(error))]
    try:
        check = _checker(content, statement, data)
    except Exception as error:
        return [Checked(*_names(claim), False, _reason(error)) for claim in claims]
    results: dict[int, Checked] = {}
    # What a set's convexity rests on is looked at before it.
    for k in sorted(range(len(claims)), key=lambda k: _names(claims[k])[0].endswith(".feasible_set")):
        try:
            check(claims[k])
        except Exception as error:
            results[k] = Checked(*_names(claims[k]), False, _reason(error))
        else:
            results[k] = Checked(*_names(claims[k]), True, "")
    return [results[k] for k in range(len(claims))]


def _content(certificate: str | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(certificate, str):
        if len(certificate) > _CHARACTERS:
            raise Rejected("the certificate is too long")
        certificate = json.loads(certificate, object_pairs_hook=_distinct, parse_constant=_no_number)
    fields = {"schema", "model", "model_sha256", "data_sha256", "statement", "claims", "digest"}
    content = record(certificate, fields, {"unchecked"})
    if content["schema"] != SCHEMA:
        raise Rejected("the schema is not known")
    rest = {name: value for name, value in content.items() if name != "digest"}
    if hashlib.sha256(_canonical(rest).encode()).hexdigest() != content["digest"]:
        raise Rejected("the digest is not that of the content")
    return content


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Rejected("an object has a name twice")
    return found


def _no_number(name: str) -> Any:
    raise Rejected(f"{name} is not a number")


def _canonical(content: Any) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _checker(
    content: Mapping[str, Any], statement: Mapping[str, Any], data: Mapping[str, Any] | None
) -> Callable[[Any], None]:
    """The function that checks a claim as it is written; those that it accepted count for the next."""
    if _canonical(content["statement"]) != _canonical(statement):
        raise Rejected("the statement is not that of the model")
    if mapping(statement).get("form") == "array":
        return array_claims(statement, data or {})
    problem, accepted = read(statement), list[Claim]()

    def check(data: Any) -> None:
        claim = read_claim(data)
        check_claim(problem, claim, accepted)
        accepted.append(claim)

    return check


def _names(claim: Any) -> tuple[str, str, str]:
    found = [claim.get(name) if isinstance(claim, dict) else None for name in ("of", "fact", "verdict")]
    of, fact, verdict = (name[:200] if isinstance(name, str) else "" for name in found)
    return of, fact, verdict


def _reason(error: Exception) -> str:
    if isinstance(error, Rejected):
        return str(error)
    return f"the certificate is malformed ({type(error).__name__})"


__all__ = ["SCHEMA", "Checked", "check_certificate"]
