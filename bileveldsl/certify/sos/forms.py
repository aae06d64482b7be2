"""Quadratic forms of Hessians as polynomials, in the nodes that are not polynomials of others and in directions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint

from bileveldsl.certify.clock import check
from bileveldsl.certify.scalars import Matrix, Scalar, call, enclose, negated, topological
from bileveldsl.certify.sos.blocks import Polynomial
from bileveldsl.certify.statement import Question

_DEGREE = 16
_TERMS = 2_000
_GENERATORS = 14
_FAR = 1e8  # a bound as far away helps nothing


class NotPolynomial(Exception):
    """The form has too many terms or indeterminates to be of use."""


@dataclass(frozen=True)
class Side:
    """An inequality between an indeterminate and a number, or a condition of the statement, and how it is written."""

    polynomial: Polynomial
    written: list[Any]


@dataclass(frozen=True)
class Form:
    """`v' H v` and `v' v` for some rows of H, both times the positive powers that clear the denominators.

    Attributes
    ----------
    rows : the positions of the own variables whose components of v are the last generators
    indeterminates : the nodes that are the first generators
    denominators : nodes and their powers, the inner ones first
    """

    rows: tuple[int, ...]
    indeterminates: tuple[Scalar, ...]
    denominators: tuple[tuple[Scalar, int], ...]
    bend: Polynomial
    norm: Polynomial
    sides: tuple[Side, ...]

    @property
    def grows(self) -> bool:
        """Whether the form surely takes any size, since it grows with an indeterminate on which there is no bound."""
        bounded = [{side.written[1] for side in self.sides if side.written[0] == end} for end in ("lower", "upper")]
        free = set(range(len(self.indeterminates))) - (bounded[0] & bounded[1])
        for side in self.sides:
            if side.written[0] == "condition":
                free -= {k for k, degree in enumerate(side.polynomial.degrees()) if degree}
        degrees = zip(self.bend.degrees(), self.norm.degrees(), strict=True)
        return any(k in free and mine > other for k, (mine, other) in enumerate(degrees))


def forms(question: Question, matrix: Matrix) -> list[Form]:
    """The forms of the diagonal blocks of a Hessian that no entry joins.

    Raises
    ------
    NotPolynomial
        When an entry has too many terms or indeterminates.
    """
    return [_form(question, matrix, part) for part in _components(matrix)]


def _components(matrix: Matrix) -> list[list[int]]:
    """The positions of the rows that are not zero, grouped by the entries that join them."""
    group: dict[int, list[int]] = {}
    for i, j in matrix:
        joined = sorted({*group.get(i, [i]), *group.get(j, [j])})
        group.update(dict.fromkeys(joined, joined))
    return [list(g) for g in dict.fromkeys(map(tuple, group.values()))]


def _form(question: Question, matrix: Matrix, part: Sequence[int]) -> Form:
    entries = {place: entry for place, entry in matrix.items() if place[0] in part}
    fixed = {i: Fraction(lo) for i, (lo, hi) in enumerate(zip(question.lo, question.hi, strict=True)) if lo == hi}
    leaves, reciprocals = _generators(list(entries.values()), fixed)
    twins = _twins(question.root, leaves)
    leaves = [leaf for leaf in leaves if leaf not in twins]
    if len(leaves) + len(reciprocals) + len(part) > _GENERATORS:
        raise NotPolynomial
    names = [*(f"z{k}" for k in range(len(leaves))), *(f"d{k}" for k in range(len(part)))]
    context = flint.fmpq_mpoly_ctx.get([*names, *(f"w{k}" for k in range(len(reciprocals)))], "degrevlex")
    gens = context.gens()
    known = dict(zip(leaves, gens, strict=False)) | dict(zip(reciprocals, gens[len(names) :], strict=True))
    known |= {twin: 1 - known[leaf] for twin, leaf in twins.items()}
    values = _polynomials([*entries.values(), *(w.args[0] for w in reciprocals)], known, fixed, context)
    square = dict(zip(part, gens[len(leaves) : len(names)], strict=True))
    bend = sum(
        (values[entry] * square[i] * square[j] * (1 if i == j else 2) for (i, j), entry in entries.items()),
        context.constant(0),
    )
    norm = sum((v * v for v in square.values()), context.constant(0))
    (bend, norm), denominators = _cleared(question, [bend, norm], reciprocals, values, len(names))
    plain = flint.fmpq_mpoly_ctx.get(names, "degrevlex")
    return Form(
        tuple(part),
        tuple(leaves),
        tuple(denominators),
        bend.project_to_context(plain),
        norm.project_to_context(plain),
        _sides(question, leaves, fixed, plain),
    )


def _is_reciprocal(node: Scalar) -> bool:
    return node.op == "^" and node.value.denominator == 1 and node.value < 0


def _is_polynomial(node: Scalar) -> bool:
    return node.op in ("num", "+", "*") or (node.op == "^" and node.value.denominator == 1 and node.value > 0)


def _generators(roots: Sequence[Scalar], fixed: Mapping[int, Fraction]) -> tuple[list[Scalar], list[Scalar]]:
    """The nodes that are indeterminates, and the whole negative powers, in the order of `topological`."""
    seen, stack = set(roots), list(roots)
    while stack:
        node = stack.pop()
        if _is_polynomial(node) or _is_reciprocal(node):
            fresh = [a for a in node.args if a not in seen]
            seen.update(fresh)
            stack += fresh
    order = [n for n in topological(roots) if n in seen]
    leaves = [n for n in order if not (_is_polynomial(n) or _is_reciprocal(n) or (n.op == "var" and n.value in fixed))]
    return leaves, [n for n in order if _is_reciprocal(n)]


def _twins(root: Scalar, leaves: Sequence[Scalar]) -> dict[Scalar, Scalar]:
    """Each `sigmoid(-u)` that only derivatives have brought, with `sigmoid(u)`, which is 1 less it."""
    own = set(topological([root]))
    known = {leaf for leaf in leaves if leaf.op == "sigmoid" and {leaf, call("softplus", *leaf.args)} & own}
    pairs = {leaf: call("sigmoid", negated(leaf.args[0])) for leaf in leaves if leaf.op == "sigmoid"}
    return {leaf: twin for leaf, twin in pairs.items() if leaf not in known and twin in known}


def _polynomials(
    roots: Sequence[Scalar],
    known: Mapping[Scalar, Polynomial],
    fixed: Mapping[int, Fraction],
    context: flint.fmpq_mpoly_ctx,
) -> dict[Scalar, Polynomial]:
    """The nodes down to the known ones as polynomials."""
    done = dict(known)

    def constant(value: Fraction) -> Polynomial:
        return context.constant(flint.fmpq(value.numerator, value.denominator))

    for node in topological(roots):
        if node in done or not all(a in done for a in node.args):
            continue
        args = [done[a] for a in node.args]
        if node.op == "num":
            done[node] = constant(node.value)
        elif node.op == "var" and node.value in fixed:
            done[node] = constant(fixed[node.value])
        elif node.op == "+":
            done[node] = sum(args[1:], args[0])
        elif node.op == "*":
            done[node] = _product(args, context)
        elif _is_polynomial(node):
            done[node] = _product(args * int(min(node.value, _DEGREE + 1)), context)
    return done


def _product(factors: Sequence[Polynomial], context: flint.fmpq_mpoly_ctx) -> Polynomial:
    result = context.constant(1)
    for factor in factors:
        check()
        result *= factor
        if len(result) > _TERMS or (len(result) and result.total_degree() > _DEGREE):
            raise NotPolynomial
    return result


def _cleared(
    question: Question,
    polynomials: list[Polynomial],
    reciprocals: Sequence[Scalar],
    values: Mapping[Scalar, Polynomial],
    first: int,
) -> tuple[list[Polynomial], list[tuple[Scalar, int]]]:
    """The polynomials times the least positive powers of the denominators with which they have none.

    The generators from `first` on are the reciprocals; a denominator may hold others that stand before it.
    """
    denominators: list[tuple[Scalar, int]] = []
    for base in reversed(list(dict.fromkeys(w.args[0] for w in reciprocals))):
        own = [(first + k, -int(w.value)) for k, w in enumerate(reciprocals) if w.args[0] is base]
        powers = [sum(int(m[k]) * e for k, e in own) for p in polynomials for m in p.to_dict()]
        highest = max(powers, default=0)
        if highest % 2 and not enclose([base], question.lo[None], question.hi[None])[0].positive:
            highest += 1
        polynomials = [_replaced(p, own, values[base], highest) for p in polynomials]
        denominators.insert(0, (base, highest))
    return polynomials, denominators


def _replaced(polynomial: Polynomial, own: Sequence[tuple[int, int]], base: Polynomial, power: int) -> Polynomial:
    """`base**power` times the polynomial, its generators k being `base**-e` for (k, e) in `own`."""
    context = polynomial.context()
    parts: dict[int, dict[tuple[int, ...], flint.fmpq]] = {}
    places = {k for k, _ in own}
    for monomial, coefficient in polynomial.to_dict().items():
        left = power - sum(int(monomial[k]) * e for k, e in own)
        rest = tuple(0 if k in places else e for k, e in enumerate(monomial))
        same = parts.setdefault(left, {})
        same[rest] = same.get(rest, flint.fmpq(0)) + coefficient
    result = context.constant(0)
    for left, part in parts.items():
        result += _product([context.from_dict(part), *[base] * left], context)
    return result


def _sides(
    question: Question, leaves: Sequence[Scalar], fixed: Mapping[int, Fraction], context: flint.fmpq_mpoly_ctx
) -> tuple[Side, ...]:
    """What is known of the indeterminates in the region."""
    ranges = enclose(leaves, question.lo[None], question.hi[None]) if leaves else []
    sides = []
    for k, (leaf, found) in enumerate(zip(leaves, ranges, strict=True)):
        lo, hi = float(found.lo[0]), float(found.hi[0])
        exact = leaf.op == "var"
        z = context.gen(k)
        if abs(lo) < _FAR:
            value = Fraction(lo) if exact else _outward(lo, math.floor)
            sides.append(Side(z - flint.fmpq(value.numerator, value.denominator), ["lower", k, str(value)]))
        if abs(hi) < _FAR:
            value = Fraction(hi) if exact else _outward(hi, math.ceil)
            sides.append(Side(flint.fmpq(value.numerator, value.denominator) - z, ["upper", k, str(value)]))
    known = dict(zip(leaves, context.gens(), strict=False))
    known = dict(zip(leaves, context.gens(), strict=False))
    for number, condition in enumerate(question.statement.conditions):
        root = _polynomials([condition.root], known, fixed, context).get(condition.root)
        if root is None or root.is_constant() or any(root == side.polynomial for side in sides):
            continue
        if condition.relation in (">= 0", "> 0"):
            sides.append(Side(root, ["condition", number]))
    return tuple(sides)


def _outward(value: float, rounded: Any) -> Fraction:
    """A short number on the far side of a float."""
    if value == 0 or float(value).is_integer():
        return Fraction(value)
    unit = Fraction(10) ** (math.floor(math.log10(abs(value))) - 5)
    return rounded(Fraction(value) / unit) * unit
