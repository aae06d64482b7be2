"""Changes of variables y = A z + s(x) after which a function depends on fewer variables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from bileveldsl.certify.cover import finite_box
from bileveldsl.certify.pl import rational
from bileveldsl.certify.pl.expansion import node_list, vanish
from bileveldsl.certify.pl.landscape import Landscape, shortened, starts
from bileveldsl.certify.scalars import (
    ONE,
    ZERO,
    Scalar,
    gradient,
    negated,
    number,
    occurring,
    product,
    rebuild,
    substitute,
    topological,
    total,
    variable,
)  # fmt: skip
from bileveldsl.certify.statement import Question, text

_OWN = 24  # own variables up to which null directions are looked for


@dataclass(frozen=True)
class Reduction:
    """`question` is about the function of fewer variables; `wrap` makes a proof about the first function of one."""

    question: Question
    wrap: Callable[[dict[str, Any]], dict[str, Any]]
    norm: Fraction
    """The greatest eigenvalue of A'A, A restricted to the variables that stay."""
    least: Fraction
    """The least one."""


def reduction(question: Question) -> Reduction | None:
    """A change of variables that drops own variables or fixes others; None where none is found."""
    size = len(question.own)
    if not 0 < size <= _OWN:
        return None
    null = null_directions(question)
    shift, fixed = _shift(question)
    if not null and not fixed:
        return None
    rows = rational.null_space(null, size) if null else _unit(size)
    if not rows:
        return None
    kept = _balanced(rational.orthogonal(rows))
    columns = [*kept, *null]
    sizes = [rational.dot(c, c) for c in kept]
    stays = question.own[: len(kept)]
    new = [
        total([*(product([number(c[i]), variable(v)]) for c, v in zip(columns, question.own, strict=True)), shift[i]])
        for i in range(size)
    ]
    values = {variable(v): node for v, node in zip(question.own, new, strict=True)}
    root = substitute([question.root], values)[0]
    dropped = question.own[len(kept) :]
    slopes = gradient(root, question.own)
    mixed = [m for s in slopes[: len(kept)] for m in gradient(s, sorted(fixed))]
    if not vanish([*slopes[len(kept) :], *mixed]):
        return None
    at = {variable(v): ZERO for v in dropped} | {variable(v): number(c) for v, c in fixed.items()}
    root = collected(substitute([root], at)[0])

    def wrap(proof: dict[str, Any]) -> dict[str, Any]:
        nodes, places = node_list(shift)
        return {
            "kind": "affine",
            "columns": [[text(entry) for entry in column] for column in columns],
            "nodes": nodes,
            "shift": places,
            "dropped": list(dropped),
            "fixed": {str(v): text(c) for v, c in fixed.items()},
            "proof": proof,
        }

    left = tuple(c for c in question.statement.conditions if not occurring(c.root) & set(fixed))
    asked = replace(question, root=root, own=stays, statement=replace(question.statement, conditions=left))
    return Reduction(asked, wrap, max(sizes), min(sizes))


Bends = Callable[[Question, int, Fraction], dict[str, Any] | None]


def bend_by_reduction(question: Question, sign: int, shift: Fraction, prove: Bends) -> dict[str, Any] | None:
    """A proof that `sign H + shift I` is positive semidefinite from one about the function of fewer variables.

    Parameters
    ----------
    question : whose own variables are free of bounds and conditions
    sign : 1 or -1
    shift : how much of the identity is added
    prove : proves the same of the function of fewer variables, for a shift of its own

    Returns
    -------
    A proof of kind "affine", or None
    """
    reduced = reduction(question)
    if reduced is None or (shift < 0 and len(reduced.question.own) < len(question.own)):
        return None
    inner_shift = shift * (reduced.norm if shift < 0 else reduced.least)
    inner = prove(reduced.question, sign, inner_shift)
    return inner and reduced.wrap(inner) | {"bend": text(inner_shift)}


def null_directions(question: Question) -> rational.Matrix:
    """Directions along which a function does not change, whatever the other variables are."""
    points = starts(question)
    slopes = Landscape(question.root, question.own).slopes(points)
    slopes = slopes[np.isfinite(slopes).all(1)]
    if not len(slopes):
        return []
    null = rational.null_space_near(slopes)
    exact = gradient(question.root, question.own)
    along = [total(product([number(c), s]) for c, s in zip(n, exact, strict=True)) for n in null]
    return null if null and vanish(along) else []


def _unit(size: int) -> rational.Matrix:
    return [[Fraction(int(i == j)) for i in range(size)] for j in range(size)]


def _balanced(rows: rational.Matrix) -> rational.Matrix:
    """Orthogonal rows made of nearly the same length, where they are not."""
    sizes = [rational.dot(row, row) for row in rows]
    if len(set(sizes)) == 1:
        return rows
    scales = [Fraction(round(2**30 / float(size) ** 0.5), 2**30) for size in sizes]
    return [[scale * entry for entry in row] for scale, row in zip(scales, rows, strict=True)]


# ---- shifts ----


def _shift(question: Question) -> tuple[list[Scalar], dict[int, Fraction]]:
    """s(x), and the other variables that occur in y - s(x) only, with values to fix them at."""
    own = frozenset(question.own)
    nothing: list[Scalar] = [ZERO] * len(own)
    others = occurring(question.root) - own
    if not others:
        return nothing, {}
    forms = list(_forms(question))
    found = _solved(forms, len(question.own))
    if found is None:
        return nothing, {}
    new = {variable(v): total([variable(v), s]) for v, s in zip(question.own, found, strict=True)}
    root = substitute([question.root], new)[0]
    tied = occurring(*(c.root for c in question.statement.conditions if c.root.op != "var" or c.relation == "!= 0"))
    movable = sorted(others - tied)
    slopes = dict(zip(movable, gradient(root, movable), strict=True))
    gone = [v for v, slope in slopes.items() if vanish(gradient(slope, question.own))]
    if not gone:
        return nothing, {}
    low, high = finite_box(question.lo, question.hi)
    middle = {v: shortened(0.5 * (low[v] + high[v]), 1e-2 * (high[v] - low[v])) for v in gone}
    return found, {v: min(max(c, Fraction(low[v])), Fraction(high[v])) for v, c in middle.items()}


Form = tuple[list[Fraction], Scalar]


def _forms(question: Question) -> Iterator[Form]:
    """The affine functions a'y + b(x) through which the own variables occur, the largest ones, but for the root.

    What is affine in the root itself is moved by a shift into a term without own variables.
    """
    own, place = frozenset(question.own), {v: k for k, v in enumerate(question.own)}
    moving: dict[Scalar, bool] = {}
    for node in topological([question.root]):
        moving[node] = node.value in own if node.op == "var" else any(moving[a] for a in node.args)
    seen: set[Scalar] = set()
    stack = [question.root]
    while stack:
        node = stack.pop()
        if node in seen or not moving[node]:
            continue
        seen.add(node)
        if node.op != "+":
            row = _linear(node, place)
            if row is not None:
                yield row, ZERO
            else:
                stack += node.args
            continue
        row, rest = [Fraction(0)] * len(own), []
        for term in node.args:
            linear = _linear(term, place) if moving[term] else None
            if linear is not None:
                row = [a + b for a, b in zip(row, linear, strict=True)]
            elif moving[term]:
                stack.append(term)
            else:
                rest.append(term)
        if any(row) and node is not question.root:
            yield row, total(rest)


def _linear(term: Scalar, place: dict[int, int]) -> list[Fraction] | None:
    """The coefficients of a number times an own variable."""
    factor, node = Fraction(1), term
    if term.op == "*" and len(term.args) == 2 and "num" in (term.args[0].op, term.args[1].op):
        first, second = term.args
        coefficient, node = (first, second) if first.op == "num" else (second, first)
        factor = coefficient.value
    if node.op != "var" or node.value not in place:
        return None
    return [factor if k == place[node.value] else Fraction(0) for k in range(len(place))]


def _solved(forms: Sequence[Form], size: int) -> list[Scalar] | None:
    """s(x) with a's + b = 0 for every form, or None."""
    if not forms or all(b is ZERO for _, b in forms):
        return None
    _, chosen = rational.reduced([[row[k] for row, _ in forms] for k in range(size)])
    used = [forms[k] for k in chosen]
    rows = [[*row, *(Fraction(int(i == j)) for j in range(len(used)))] for i, (row, _) in enumerate(used)]
    inverse, pivots = rational.reduced(rows)
    result: list[Scalar] = [ZERO] * size
    for row, pivot in zip(inverse, pivots, strict=True):
        if pivot < size:
            result[pivot] = negated(total(product([number(c), b]) for c, (_, b) in zip(row[size:], used, strict=True)))
    left = [total([*(product([number(c), s]) for c, s in zip(row, result, strict=True)), b]) for row, b in forms]
    return result if vanish(left) else None


def collected(root: Scalar) -> Scalar:
    """A node in which every sum is one of different terms with numbers before them."""
    made: dict[Scalar, Scalar] = {}
    for node in topological([root]):
        fresh = rebuild(node, [made[a] for a in node.args])
        factor, rest = _split(fresh)
        made[node] = _sum(factor, rest) if rest.op == "+" else fresh
    return made[root]


def _sum(factor: Fraction, node: Scalar) -> Scalar:
    shares: dict[Scalar, Fraction] = {}
    for term in node.args:
        times, rest = (term.value, ONE) if term.op == "num" else _split(term)
        shares[rest] = shares.get(rest, Fraction(0)) + factor * times
    return total(product([number(c), n]) for n, c in shares.items())


def _split(node: Scalar) -> tuple[Fraction, Scalar]:
    """A node as a number times another."""
    factors = node.args if node.op == "*" else (node,)
    times = next((f.value for f in factors if f.op == "num"), Fraction(1))
    return times, product(f for f in factors if f.op != "num")
