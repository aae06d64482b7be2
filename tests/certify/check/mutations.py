"""Certificates that must not be accepted, made from one that is: false claims, broken proofs, other functions.

Only what does harm is made. A constant is moved to where it cannot be true, not a little; a proof is made unreadable,
or is offered for a function of which it shows nothing.
"""

from __future__ import annotations

import copy
import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

_FAR = 10**12
_DEEP = 500
Path = tuple[Any, ...]


@dataclass(frozen=True)
class Mutant:
    """A certificate with something wrong, the statement that it is held against, and the claim at stake."""

    name: str
    certificate: dict[str, Any]
    statement: dict[str, Any]
    claim: int


def mutants(certificate: dict[str, Any], most: int = 400, seed: int = 0) -> Iterator[Mutant]:
    """Mutants of a certificate whose claims are all accepted; the claim `Mutant.claim` must not be, in any of them.

    Of the mutants of proofs at most so many are made for each claim, chosen by the seed.
    """
    for k in range(len(certificate["claims"])):
        yield from _false_claims(certificate, k)
        yield from _other_functions(certificate, k)
        yield from _broken(certificate, k, most, random.Random(seed + k))
    yield from _broken_files(certificate)


def altered(certificate: dict[str, Any], most: int = 400, seed: int = 0) -> Iterator[Mutant]:
    """Mutants whose claims are what they were, with other proofs: no answer is wrong, but there must be one."""
    for k in range(len(certificate["claims"])):
        found = list(_alterations(certificate["claims"][k]["proof"]))
        for name, proof in random.Random(seed + k).sample(found, min(most, len(found))):
            yield _with_claim(certificate, k, name, proof=proof)


def digested(content: dict[str, Any]) -> dict[str, Any]:
    """A certificate with the digest that it must have."""
    rest = {name: value for name, value in content.items() if name != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return {**rest, "digest": hashlib.sha256(text.encode()).hexdigest()}


def _with_claim(certificate: dict[str, Any], k: int, name: str, remove: tuple[str, ...] = (), **changes: Any) -> Mutant:
    claim = {key: value for key, value in certificate["claims"][k].items() if key not in remove} | changes
    claims = [*certificate["claims"][:k], claim, *certificate["claims"][k + 1 :]]
    whole = digested({**certificate, "claims": claims})
    return Mutant(f"claim {k}: {name}", whole, certificate["statement"], k)


# ---- claims that are false ------------------------------------------------------------------


def _false_claims(certificate: dict[str, Any], k: int) -> Iterator[Mutant]:
    claim = certificate["claims"][k]
    fact, proved = claim["fact"], claim["verdict"] == "proved"
    other = "refuted" if proved else "proved"
    yield _with_claim(certificate, k, "verdict flipped", verdict=other)
    if "constant" in claim:
        yield _with_claim(certificate, k, "verdict flipped, no constant", ("constant",), verdict=other)
        yield _with_claim(certificate, k, "no constant", ("constant",))
        for value in ("-1", "0" if fact != "smooth" else "-1/2", "inf", "nan", "1e9", 1, None):
            yield _with_claim(certificate, k, f"constant {value}", constant=value)
    if proved and fact in ("strongly_convex", "pl") and "constant" in claim:
        yield _with_claim(certificate, k, "constant too large", constant=_scaled(claim["constant"], _FAR))
        if "constant_upper" in claim:
            above = _scaled(claim["constant_upper"], 1, plus="1/1000000000")
            yield _with_claim(certificate, k, "constant above its bound", constant=above)
            yield _with_claim(
                certificate, k, "bound below the constant", constant_upper=_scaled(claim["constant"], "1/2")
            )
    if proved and fact == "smooth" and _scaled(claim["constant"], 1) != "0":
        yield _with_claim(certificate, k, "constant too small", constant=_scaled(claim["constant"], f"1/{_FAR}"))
        if "constant_upper" in claim:
            yield _with_claim(certificate, k, "bound above the constant", constant_upper=_scaled(claim["constant"], 2))
    if fact == "convex" and proved:
        yield _with_claim(certificate, k, "strong", fact="strongly_convex", constant=str(_FAR))
        yield _with_claim(certificate, k, "strong for each x", fact="strongly_convex",
                          scope={**claim["scope"], "x": "pointwise"})  # fmt: skip
        yield _with_claim(certificate, k, "smooth", fact="smooth", constant="0")
        yield _with_claim(certificate, k, "the inequality", fact="pl", constant=str(_FAR))
    if "constant_upper" in claim:
        yield _with_claim(certificate, k, "a bound without proof", ("proof_upper",))
        yield _with_claim(certificate, k, "a proof without bound", ("constant_upper",))
    if claim["scope"]["y"] == "region" and _is_bounded(certificate["statement"], claim["of"]):
        yield _with_claim(certificate, k, "for all y", scope={**claim["scope"], "y": "all"})
    yield _with_claim(certificate, k, "of nothing", of="nothing.objective")
    yield _with_claim(certificate, k, "of nothing named", of="")
    yield _with_claim(certificate, k, "a weight", **{} if "sigma" in claim else {"sigma": {"upper": "1"}},
                      **{"sigma": {"upper": "-1"}} if "sigma" in claim else {})  # fmt: skip


def _scaled(value: str, factor: Any, plus: str = "0") -> str:
    return str(Fraction(value) * Fraction(factor) + Fraction(plus))


def _own(statement: dict[str, Any], of: str) -> list[int]:
    levels = {c["level"] for c in statement["constraints"] if c["label"] == of or c["label"].startswith(f"{of}[")}
    level = levels.pop() if levels else of.rpartition(".")[0]
    return [k for k, v in enumerate(statement["variables"]) if level in (v["level"], "upper")]


def _is_bounded(statement: dict[str, Any], of: str) -> bool:
    own = [statement["variables"][k] for k in _own(statement, of)] if statement.get("form") == "scalar" else []
    return any(v["lower"] != "-inf" or v["upper"] != "inf" for v in own)


# ---- proofs of other functions --------------------------------------------------------------


def _other_functions(certificate: dict[str, Any], k: int) -> Iterator[Mutant]:
    """The same claims of a model whose function bends far down (or up, where it was refuted), as the file says too."""
    statement, claim = certificate["statement"], certificate["claims"][k]
    if statement.get("form") != "scalar":
        return
    changed = json.loads(json.dumps(statement))
    other = json.loads(json.dumps(statement))
    for variable in other["variables"]:
        if variable["upper"] == "inf":
            variable["upper"] = str(_FAR)
    if other != statement:
        yield Mutant(f"claim {k}: bounds moved", certificate, other, k)
    own = _own(statement, claim["of"])
    proved, fact = claim["verdict"] == "proved", claim["fact"]
    if not own or (fact == "smooth" and not proved) or claim["of"].endswith(".feasible_set"):
        return
    name = claim["of"] if not claim["of"].endswith(".penalty") else claim["of"].removesuffix("penalty") + "objective"
    if name in changed["functions"]:
        changed["functions"][name] = _bent(changed, changed["functions"][name], own, -_FAR if proved else _FAR)
    else:
        for constraint in changed["constraints"]:
            if constraint["label"] == name or constraint["label"].startswith(f"{name}["):
                constraint["node"] = _bent(changed, constraint["node"], own, -_FAR if proved else _FAR)
    whole = digested({**certificate, "statement": changed})
    yield Mutant(f"claim {k}: another function", whole, changed, k)
    yield Mutant(f"claim {k}: another function of the file", whole, statement, k)
    yield Mutant(f"claim {k}: another function of the model", certificate, changed, k)


def _bent(statement: dict[str, Any], node: int, own: list[int], by: int) -> int:
    """A node plus a multiple of the square of the own variables; a sum stays one, its addends where they were."""
    nodes = statement["nodes"]
    first = len(nodes)
    nodes.append(["num", str(by)])
    added = []
    for k in own:
        nodes.extend([["var", k], ["^", len(nodes), "2"], ["*", [first, len(nodes) + 1]]])
        added.append(len(nodes) - 1)
    if nodes[node][0] != "+":
        nodes.append(["+", [node, *added]])
        return len(nodes) - 1
    places = list(nodes[node][1])
    nodes.append(["+", [*([places[0]] if len(places) > 1 else []), *added]])  # within the first addend
    nodes.append(["+", [len(nodes) - 1, *places[1:]] if len(places) > 1 else [*places, *added]])
    return len(nodes) - 1


# ---- proofs that cannot be read -------------------------------------------------------------


def _paths(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value within a value, without recursion."""
    stack = [(path, value)]
    while stack:
        at, each = stack.pop()
        yield at, each
        if isinstance(each, dict):
            stack += [((*at, name), inner) for name, inner in each.items()]
        elif isinstance(each, list):
            stack += [((*at, place), inner) for place, inner in enumerate(each)]


def _replaced(whole: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    result = copy.copy(whole)
    result[path[0]] = _replaced(whole[path[0]], path[1:], value)
    return result


def _deep() -> Any:
    deep: Any = []
    for _ in range(_DEEP):
        deep = [deep]
    return deep


def _broken(certificate: dict[str, Any], k: int, most: int, source: random.Random) -> Iterator[Mutant]:
    claim = certificate["claims"][k]
    found = list(_unreadable(claim))
    chosen = found if len(found) <= most else source.sample(found, most)
    for name, path, value in chosen:
        claims = _replaced(certificate["claims"], (k, *path), value)
        yield Mutant(f"claim {k}: {name}", digested({**certificate, "claims": claims}), certificate["statement"], k)


def _unreadable(claim: dict[str, Any]) -> Iterator[tuple[str, Path, Any]]:
    for path, value in _paths(claim):
        if not path:
            continue
        name = "/".join(map(str, path))
        if isinstance(value, dict):
            wrong: list[Any] = [[], "x", 5, {**value, "surplus": 0}]
        elif isinstance(value, list):
            wrong = [{}, "x", 5, [*value, "surplus"], _deep()]
        elif isinstance(value, bool) or value is None:
            wrong = ["x", 5, [5]]
        elif isinstance(value, int):
            wrong = [-(10**9), 10**30, 0.5, str(value), None, [value], [True, False][value % 2]]
        else:
            wrong = ["surplus", 5, 0.5, [value], {"x": value}, "9" * 20_001, "1/0", value + " "]
        for each in wrong:
            yield f"{name} = {str(each)[:30]}", path, each
        if isinstance(value, dict) and not all(_is_number(key) for key in value):
            for key in value:
                yield f"{name} without {key}", path, {n: v for n, v in value.items() if n != key}


def _is_number(key: str) -> bool:
    return key.replace(",", "").isdecimal()


def _broken_files(certificate: dict[str, Any]) -> Iterator[Mutant]:
    statement = certificate["statement"]
    for name in certificate:
        if name in ("unchecked", "model", "model_sha256", "data_sha256"):
            continue
        rest = {key: value for key, value in certificate.items() if key != name}
        yield Mutant(f"file without {name}", rest if name == "digest" else digested(rest), statement, 0)
        for wrong in (None, 5, "x", _deep()):
            whole = {**certificate, name: wrong}
            yield Mutant(f"{name} = {str(wrong)[:9]}", whole if name == "digest" else digested(whole), statement, 0)
    yield Mutant("surplus", digested({**certificate, "surplus": 1}), statement, 0)
    yield Mutant("another model, old digest", {**certificate, "model": "other"}, statement, 0)


# ---- other proofs of the same ---------------------------------------------------------------

KINDS = (
    "composition", "quadratic", "sum", "stronger", "sos", "cover", "affine", "shift", "pointwise", "two-sided",
    "curvature", "midpoint", "vanishing", "steep", "family", "strong", "nls", "structure", "constraints",
    "affine-equality",
)  # fmt: skip


def _alterations(proof: Any) -> Iterator[tuple[str, Any]]:
    """Kinds swapped, lists shortened, reversed and doubled, numbers and indices moved."""
    for path, value in _paths(proof):
        name = "/".join(map(str, path))
        if isinstance(value, dict):
            others: list[Any] = [{n: v for n, v in value.items() if n != key} for key in value if _is_number(key)]
            others += [{**value, "kind": kind} for kind in KINDS if "kind" in value and kind != value["kind"]]
        elif isinstance(value, list):
            others = [value[:-1], value[1:], value[::-1], [*value, *value]] if value else []
        elif isinstance(value, int) and not isinstance(value, bool):
            others = [value + 1, value - 1, 0]
        elif isinstance(value, str) and value.strip("-0123456789/") == "":
            others = [
                _scaled(value, "1001/1000"),
                _scaled(value, -1),
                _scaled(value, 1, plus="1"),
                _scaled(value, 1000),
                "0",
            ]
        else:
            others = []
        for other in others:
            if other != value:
                yield f"{name} = {str(other)[:30]}", _replaced(proof, path, other)
