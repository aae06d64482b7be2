"""Facts and verdicts as text for a person."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import groupby
from typing import TYPE_CHECKING, Any

from bileveldsl.calculus.expr import symbols_of
from bileveldsl.language.data.request import printable
from bileveldsl.verdict.bounds import at_least, at_most
from bileveldsl.verdict.constants import proximal_curvature, sigma_bound
from bileveldsl.verdict.culprit import Culprit
from bileveldsl.verdict.theorems import Setting, Theorem

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact
    from bileveldsl.program import Program
    from bileveldsl.verdict.follower import FollowerVerdict

WIDTH = 110
NAMES, ENTRIES = 4, 6
"""How many names and how many numbers of a point are shown."""

WORDS = {
    "convex": "bends nowhere down: each local minimum is a global one; of a set: no dents, no gaps",
    "strongly_convex": "bends up by at least mu in every direction: there is exactly one minimum",
    "smooth": "the gradient changes at most L times as fast as the point",
    "pl": "|gradient|^2 >= 2 mu (value - minimum): a small gradient means a small gap",
    "proximal": "the same between bounds, with D(y, a) for every a >= c, which leaves out what bounds hold",
    "slater": "some point satisfies the constraints with room to spare",
}
SYMBOLS = {"strongly_convex": "mu", "smooth": "L", "pl": "mu"}
RULES = {
    "composition": "rules of composition",
    "corner": "its slopes have one sign each",
    "structure": "bounds of its terms",
    "hessian": "bounds of its Hessian",
    "strongly_convex": "from strong convexity",
    "quadratic": "its Hessian is constant",
    "sum": "its terms taken together",
    "affine": "fewer variables say the same",
    "core-exterior": "strongly convex in the middle, steep outside",
    "line": "convex where its slope may vanish",
    "nls": "least squares of a map onto all values",
    "penalty": "strong convexity outweighs sigma F",
    "pl-sos": "sums of squares",
    "product": "product rule",
    "quadratic-singular": "its Hessian is constant",
    "ridge": "it depends on one combination",
    "separable": "each of its terms",
}


# ---- facts ----------------------------------------------------------------------------------


def facts_text(program: Program, found: Sequence[tuple[Fact, Culprit | None, str | None]]) -> Iterator[str]:
    """The facts by the function they are about: what is known, its constants, and why where it is not proved.

    With each fact comes what decided, and its modulus as a formula.
    """
    owners = {constraint.label: level.name for level in program.levels for constraint in level.constraints}
    for heading, group in groupby(found, key=lambda row: _heading(program, row[0], owners)):
        rows, shown = list(group), set[str]()
        names = [f"{fact.of}: {_name(fact.fact)}" if fact.of in owners else _name(fact.fact) for fact, *_ in rows]
        width = max(len(_name("strongly_convex")), *map(len, names))
        yield from _wrapped(heading, "")
        for name, (fact, culprit, modulus) in zip(names, rows, strict=True):
            yield from _fact(name.ljust(width), fact, culprit, modulus, shown)
        yield ""
    facts = {fact.fact for fact, *_ in found}
    facts |= {"proximal" for fact, *_ in found if proximal_curvature(fact) is not None}
    yield from _table("In words", [(_name(name), WORDS[name]) for name in WORDS if name in facts], "")
    yield ""


def _heading(program: Program, fact: Fact, owners: Mapping[str, str]) -> str:
    of = fact.of
    level = next((each for each in program.levels if of.startswith(f"{each.name}.")), None)
    if level is None or of in owners:
        return f"constraints of {owners[of]}" if of in owners else of
    if of == f"{level.name}.penalty":
        limit = sigma_bound(fact)
        up_to = "" if limit is None else f", 0 < sigma <= {at_least(float(limit))}"
        return f"{of}: sigma F + f for the leader's objective F and that of {level.name}, f{up_to}"
    if of != f"{level.name}.objective":
        return of
    everything = level.role == "upper"
    own = [v.name for each in (program.levels if everything else (level,)) for v in each.variables]
    used = symbols_of(level.objective)
    others = [v.name for v in program.variables if v.symbol in used and v.name not in own]
    where = " within its bounds and domain" if fact.y == "region" else ""
    rest = f", for every {_names(others)} within bounds" if others else ""
    return f"{of} as a function of {_names(own)}{where}{rest}"


def _fact(
    name: str, fact: Fact, culprit: Culprit | None, modulus: str | None, shown: set[str]
) -> Iterator[str]:
    """A fact and, where it does not hold, the reasons that were not `shown` for another fact of the function."""
    verdict = "ASSUMED" if fact.verdict == "assumed" else fact.verdict
    rule = f"  ({RULES.get(fact.rule, fact.rule.replace('_', ' '))})" if fact.verdict == "proved" and fact.rule else ""
    yield printable(f"  {name}  {verdict:<7}  {_constants(fact):<26}{rule}".rstrip())
    if modulus is not None and fact.fact == "strongly_convex":
        yield from _wrapped(f"mu(x) >= {modulus} for each decision of the leader", "      ")
    if fact.holds:
        return
    why = fact.why.removesuffix(" at the point of the witness")
    counterexample = witness_text(fact.witness) if fact.verdict == "refuted" else ""
    if counterexample and counterexample not in shown:
        why = f"{why.removesuffix(' in some direction')} {counterexample}"
    decides = "" if culprit is None else f"what decides: {culprit.formula}  ({culprit.where})"
    for reason in (decides, why):
        if reason and reason not in shown:
            yield from _wrapped(reason, "      ")
    shown |= {decides, why, counterexample}


def _name(fact: str) -> str:
    return {"pl": "PL", "proximal": "proximal PL"}.get(fact) or fact.replace("_", " ")


def _constants(fact: Fact) -> str:
    symbol = SYMBOLS.get(fact.fact)
    below, above = fact.constant, fact.constant_upper
    if symbol is None or (below is None and above is None):
        return ""
    if fact.fact == "smooth":
        below, above = above, below
    uniform = ", for each x only" if fact.x == "pointwise" else ""
    curvature = proximal_curvature(fact)
    if curvature is not None:
        uniform = f", c <= {at_most(curvature)}"
    if below is not None and below == above:
        return f"{symbol} = {at_least(below)}{uniform}"
    if above is None or below is None:
        return f"{symbol} {'<= ' + at_most(above) if above is not None else '>= ' + at_least(below or 0.0)}{uniform}"
    return f"{at_least(below)} <= {symbol} <= {at_most(above)}{uniform}"


_POINTS = ("point", "direction", "from", "to")
_SAID = {"centre": "near", "lower": "with a lower value at"}


def witness_text(witness: Mapping[str, Any]) -> str:
    """A counterexample in words.

    Examples
    --------
    >>> witness_text({"point": {"x": -1.0, "y": 0.0}, "direction": {"y": 1.0}, "curvature": -2.0})
    'at x = -1, y = 0 in the direction y = 1, where its second derivative is at most -2'
    """
    rest = {name: value for name, value in witness.items() if name not in (*_POINTS, "sigma")}
    parts = []
    if witness.get("point"):  # empty where no other variable occurs
        direction = f" in the direction {_point(witness['direction'])}" if "direction" in witness else ""
        parts.append(f"at {_point(witness['point'])}{direction}")
    if "from" in witness and "to" in witness:
        parts.append(f"between {_point(witness['from'])} and {_point(witness['to'])}")
    for name, value in rest.items():
        if name == "curvature" and isinstance(value, float):
            parts.append(f"where its second derivative is at most {at_most(value)}")
        elif name == "excess" and isinstance(value, float):
            parts.append(f"it lies above its chord by at least {at_least(value)} at the midpoint")
        else:
            parts.append(f"{_SAID.get(name, name.replace('_', ' '))} {_value(value)}")
    return ", ".join(parts)


def _point(values: Any) -> str:
    if not isinstance(values, Mapping):
        return _value(values)
    shown = [f"{name} = {_value(value)}" for name, value in list(values.items())[:NAMES]]
    return ", ".join([*shown, *(["..."] if len(values) > NAMES else [])])


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return f"[{', '.join([_value(v) for v in value[:ENTRIES]] + (['...'] if len(value) > ENTRIES else []))}]"
    return _point(value) if isinstance(value, Mapping) else str(value)


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMES]) + (f" and {len(names) - NAMES} more" if len(names) > NAMES else "")


# ---- verdicts -------------------------------------------------------------------------------

MEANING = {
    "strongly convex": "Each decision of the leader has exactly one answer, which moves continuously with it.",
    "PL": "Wherever the follower's gradient vanishes it answers optimally, even if it is not convex.",
    "PL, bounded": "Wherever the follower's gradient vanishes, or bounds hold its variables against it, it answers "
    "optimally, even if it is not convex.",
    "convex": "Each local answer is a global one, but there may be several, and the set of them may jump.",
    "nonconvex": "The follower may have local minima that are not its answers.",
    "unknown": "Nothing is known about local minima that are not the follower's answers.",
}

PROXIMAL = (
    "D(y, a) is 2 a f_y'(y - z) - a^2 |y - z|^2, where z is y - f_y / a put within the bounds: it is 0 exactly where "
    "the gradient vanishes or is held by bounds."
)


def verdict_text(found: FollowerVerdict, tolerance: float) -> Iterator[str]:
    """The consequence of the facts about one follower."""
    form = "" if found.form == "nonlinear" else f" (its objective is {found.form} in its own variables)"
    yield f"Verdict: {found.title}{form}"
    between = found.constants.curvature is not None
    yield from _wrapped(MEANING["PL, bounded" if between and found.bend == "PL" else found.bend], "  ")
    yield "  Here f is the follower's objective, f_y its gradient in its own variables y, F the leader's objective."
    if between:
        yield from _wrapped(PROXIMAL, "  ")
    if found.assumed:
        yield from _wrapped(f"This rests on what the model ASSUMES: {', '.join(found.assumed)}.", "  ")
    for warning in found.warnings:
        yield from _wrapped(f"warning: {warning}.", "  ")
    yield from _table("sound", [(f"{m.name} ({', '.join(m.backends)})", m.why) for m in found.sound])
    yield from _table("not known to be sound", [(f"{m.name} ({', '.join(m.backends)})", m.why) for m in found.doubtful])
    bounds = [(f"{b.symbol} {b.relation} {_bound(b.relation, b.value)}", _said(b.meaning, b.verdict))
              for b in found.constants.bounds]  # fmt: skip
    if bounds and found.constants.kappa is not None:
        ratio = "max(L_f, c) / mu" if between else "L_f / mu"
        bounds.append((f"kappa <= {at_most(found.constants.kappa)}", f"{ratio}, how hard the follower's problem is"))
    if found.constants.mu is not None or found.answering:
        yield from _table("certified constants", bounds)
    yield from _table(f"the follower's problem to an accuracy of eps = {tolerance:g}", _settings(found.answering))
    for theorem in found.theorems:
        yield from _theorem(theorem)


def _theorem(theorem: Theorem) -> Iterator[str]:
    yield from _table(f"{theorem.method} ({theorem.source})", _settings(theorem.settings))
    yield from _wrapped(theorem.says, "    ")
    if theorem.missing:
        yield from _wrapped(f"not certified, and so left out of l: {'; '.join(theorem.missing)}", "    ")
    for note in theorem.notes:
        yield from _wrapped(note, "    ")


def _settings(settings: Iterable[Setting]) -> list[tuple[str, str]]:
    return [(f"{s.symbol} {_equals(s)}", f"{s.formula}: {s.meaning}") for s in settings]


def _equals(setting: Setting) -> str:
    """The number, rounded to the side on which it stays valid."""
    if isinstance(setting.value, int) and setting.value < 10**7:
        return f"= {setting.value}"
    if setting.at_least:
        return f">= {at_most(setting.value)}"
    return f"<= {at_least(setting.value)}"


def _bound(relation: str, value: float) -> str:
    return at_least(value) if relation == ">=" else at_most(value)


def _said(meaning: str, verdict: str) -> str:
    return meaning if verdict == "proved" else f"{meaning} (ASSUMED)"


def _table(title: str, rows: Sequence[tuple[str, str]], indent: str = "  ") -> Iterator[str]:
    """Rows of two columns under a title, or nothing."""
    if not rows:
        return
    width = min(max(len(first) for first, _ in rows), 52)
    yield f"{indent}{title}"
    for first, second in rows:
        yield from textwrap.wrap(
            f"{printable(first):<{width}}  {printable(second)}", WIDTH, initial_indent=f"{indent}  ",
            subsequent_indent=indent + " " * (4 + width), break_long_words=False,
        )  # fmt: skip


def _wrapped(text: str, indent: str) -> Iterator[str]:
    yield from textwrap.wrap(printable(text), WIDTH, initial_indent=indent, subsequent_indent=indent + "  ",
                             break_long_words=False)  # fmt: skip


# ---- claims ---------------------------------------------------------------------------------


def claim_text(claim: Mapping[str, Any]) -> str:
    """A claim of a certificate in a few words; its numbers are exact.

    Examples
    --------
    >>> claim_text({"of": "lower.objective", "fact": "strongly_convex", "verdict": "proved", "constant": "3/2"})
    'lower.objective strongly convex, mu >= 3/2'
    """
    symbol, smooth = SYMBOLS.get(claim["fact"], "constant"), claim["fact"] == "smooth"
    sides = [(claim.get("constant"), "<=" if smooth else ">="), (claim.get("constant_upper"), ">=" if smooth else "<=")]
    bounds = [f"{symbol} {relation} {_rational(value)}" for value, relation in sides if value is not None]
    scope = claim.get("scope") or {}
    where = ["for each x"] if scope.get("x") == "pointwise" else []
    where += ["between bounds"] if claim["fact"] == "pl" and scope.get("y") == "region" else []
    curvature = _curvature(claim.get("proof"))
    where += [] if curvature is None else [f"c <= {_rational(curvature)}"]
    return ", ".join([f"{claim['of']} {_name(claim['fact'])}", *bounds, *where])


def _curvature(proof: Any) -> str | None:
    """From where on a proof shows the proximal inequality."""
    inner = proof.get("proof") if isinstance(proof, Mapping) and proof.get("kind") == "stronger" else proof
    found = inner.get("curvature") if isinstance(inner, Mapping) and inner.get("kind") == "proximal" else None
    return found if isinstance(found, str) else None


def _rational(value: str) -> str:
    """A rational as it is, or as a decimal number where it is long."""
    return value if len(value) <= 12 else f"{float(Fraction(value)):.6g}..."
