"""The proximal Polyak-Lojasiewicz inequality of functions whose variables are bounded, proved by rules.

See `check.pl_proximal` for what it says: D(y, a) / 2 >= mu (g(y) - min g) between the bounds, for all a from a
curvature on. Karimi, Nutini, Schmidt (2016), (12) and (13).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from bileveldsl.certify.clock import share, timed, until
from bileveldsl.certify.interval import Interval, round_down, round_up
from bileveldsl.certify.pl import rational
from bileveldsl.certify.pl.bends import Proof, strong_convexity
from bileveldsl.certify.pl.prove import prove
from bileveldsl.certify.pl.proximal_line import line_rule
from bileveldsl.certify.pl.reductions import null_directions
from bileveldsl.certify.scalars import (
    NotDifferentiable,
    Scalar,
    enclose,
    gradient,
    number,
    occurring,
    product,
    substitute,
    topological,
    total,
    variable,
)  # fmt: skip
from bileveldsl.certify.statement import Question, ScalarVariable, text

_PART = 0.3  # of the time that is left, for strong convexity


@dataclass(frozen=True)
class Proximal:
    """The constant mu of the inequality, the curvature from which on it holds, and the proof without them."""

    mu: Fraction
    curvature: Fraction
    proof: Proof

    def written(self) -> Proof:
        """The proof of a claim of mu."""
        return {"kind": "proximal", "curvature": text(self.curvature), "proof": self.proof}


@timed()
def prove_between_bounds(question: Question) -> Proximal | None:
    """A constant of the proximal inequality for all values of the other variables in their boxes, or None.

    Parameters
    ----------
    question : the function g, with the bounds of its own variables and the boxes of the others; `is_bounded`, and not
        known to be strongly convex
    """
    try:
        return _prove(question, frozenset(question.own))
    except NotDifferentiable:
        return None


def _prove(question: Question, weak: frozenset[int] = frozenset()) -> Proximal | None:
    """By the first rule that applies; as a function of the variables in `weak` it is not strongly convex."""
    own = tuple(v for v in question.own if v in occurring(question.root))
    question = replace(question, own=own)
    if not own:
        return None
    parts = groups(question)
    if len(parts) > 1:
        return _separable(question, parts)
    with until(share(_PART)):
        strong = None if set(own) == weak else strong_convexity(question)
        if strong is not None:
            return Proximal(strong[0], strong[0], {"kind": "strong", "proof": strong[1]})
    if np.isinf([*question.lo[list(own)], *question.hi[list(own)]]).all():
        free = prove(question)
        return None if free is None else Proximal(free[0], free[0], {"kind": "free", "proof": free[1]})
    if len(own) > 1:
        return _ridge(question) or _corner(question)
    found = line_rule(question)
    return None if found is None else Proximal(*found)


def _separable(question: Question, parts: list[tuple[tuple[int, ...], Scalar]]) -> Proximal | None:
    """A sum of functions of different own variables has the least constant and the greatest curvature of theirs."""
    found, written = [], []
    for own, root in parts:
        inner = _prove(replace(question, root=root, own=own))
        if inner is None:
            return None
        found.append(inner)
        constants = {"constant": text(inner.mu), "curvature": text(inner.curvature)}
        written.append({"own": list(own), **constants, "proof": inner.proof})
    mu, curvature = min(f.mu for f in found), max(f.curvature for f in found)
    return Proximal(mu, curvature, {"kind": "separable", "parts": written})


def groups(question: Question) -> list[tuple[tuple[int, ...], Scalar]]:
    """The terms of a sum by the own variables that they share, what is free of them left out."""
    groups: list[tuple[set[int], list[Scalar]]] = []
    for term in question.root.args if question.root.op == "+" else (question.root,):
        used, terms = set(occurring(term) & set(question.own)), [term]
        for group in [g for g in groups if g[0] & used]:
            groups.remove(group)
            used, terms = used | group[0], [*group[1], *terms]
        if used:
            groups.append((used, terms))
    return [(tuple(sorted(used)), total(terms)) for used, terms in sorted(groups, key=lambda g: min(g[0]))]


def _ridge(question: Question) -> Proximal | None:
    """h(w'y) has min(w^2) times the constant of h, a function of one variable t = w'y between the ends of w'y."""
    sides = [(question.lo[v], question.hi[v]) for v in question.own]
    null = null_directions(question)
    if not np.isfinite(sides).all() or len(null) != len(question.own) - 1:
        return None
    [w] = rational.null_space(null, len(question.own))
    low = [Fraction(lo if c > 0 else hi) for c, (lo, hi) in zip(w, sides, strict=True)]
    high = [Fraction(hi if c > 0 else lo) for c, (lo, hi) in zip(w, sides, strict=True)]
    start, end = rational.dot(w, low), rational.dot(w, high)
    if not all(w) or start == end:
        return None
    t = len(question.statement.variables)
    more = ScalarVariable("t", "ridge", round_down(start), round_up(end), False)
    along = {
        variable(v): total([number(a - start * (b - a) / (end - start)),
                            product([number((b - a) / (end - start)), variable(t)])])
        for v, a, b in zip(question.own, low, high, strict=True)
    }  # fmt: skip
    [root] = substitute([question.root], along)
    statement = replace(question.statement, variables=(*question.statement.variables, more))
    inner = _prove(replace(question, statement=statement, root=root, own=(t,)))
    if inner is None:
        return None
    scale = min(c * c for c in w)
    constants = {"constant": text(inner.mu), "curvature": text(inner.curvature)}
    proof = {"kind": "ridge", "direction": [text(c) for c in w], **constants, "proof": inner.proof}
    return Proximal(scale * inner.mu, scale * inner.curvature, proof)


def _corner(question: Question) -> Proximal | None:
    """A function each of whose derivatives has one sign is least at a corner: by the least and the greatest of them."""
    sides = (question.hi - question.lo)[list(question.own)]
    ranges = enclose(gradient(question.root, question.own), question.lo[None], question.hi[None])
    sizes = np.array([[r.least, r.greatest] if r.least > 0 else [-r.greatest, -r.least] for r in ranges])
    if not (sizes[:, 0] > 0).all() or not np.isfinite(sizes).all() or not np.isfinite(sides).all():
        return None
    steep = sizes[:, 1] / sizes[:, 0]
    mu = rational.rounded_down(float((0.999 * sizes[:, 0] / (2 * steep * sides)).min()))
    return Proximal(mu, Fraction(2.01 * float(mu) * float(steep.max())), {"kind": "corner"})


# ---- where it may be asked ------------------------------------------------------------------

_SMOOTH = frozenset(
    {"num", "var", "pi", "e", "+", "*", "exp", "sin", "cos", "atan", "sinh", "cosh", "tanh", "softplus", "sigmoid"}
)


def is_bounded(question: Question) -> bool:
    """Whether own variables are limited by bounds alone, the function being smooth between them, ends included."""
    own, statement = set(question.own), question.statement
    if any(statement.variables[v].integer for v in own) or any(occurring(c.root) & own for c in question.constraints):
        return False
    nodes = topological([question.root])
    tests = [c for c in statement.conditions if occurring(c.root) & own]
    roots = [*nodes, *(c.root for c in tests)]
    ranges = dict(zip(roots, enclose(roots, question.lo[None], question.hi[None]), strict=True))
    if not all(ranges[c.root].satisfies(c.relation) for c in tests):
        return False
    return all(_is_smooth(n, ranges) for n in nodes if occurring(n) & own)


def _is_smooth(node: Scalar, ranges: Mapping[Scalar, Interval]) -> bool:
    if node.op in _SMOOTH:
        return True
    first = ranges[node.args[0]]
    if node.op == "^":
        apart = _is_positive(first) or first.greatest < 0
        return _is_positive(first) if node.value.denominator > 1 else node.value >= 0 or apart
    if node.op in ("log", "xlogx", "pow"):
        return _is_positive(first)
    if node.op in ("abs", "sign", "step"):
        return _is_positive(first) or first.greatest < 0
    if node.op in ("asin", "acos"):
        return first.least > -1 and first.greatest < 1
    if node.op == "tan":
        return bool(np.isfinite([ranges[node].least, ranges[node].greatest]).all())
    return node.op == "relative_entropy" and _is_positive(first) and _is_positive(ranges[node.args[1]])


def _is_positive(range_: Interval) -> bool:
    return bool(range_.positive) or range_.least > 0
