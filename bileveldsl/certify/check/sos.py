"""Proofs of kind "sos": quadratic forms of Hessians as exact sums of squares times known inequalities.

The proof is ``{"kind": "sos", "nodes": [...], "parts": [part, ...]}``; the nodes are written as in a statement. A part
``{"rows": [0, 2], "indeterminates": [...], "denominators": [[n, e], ...], "shift": "-1", "power": 0, "sides": [...],
"blocks": [...]}`` speaks of rows of the Hessian, positions of the own variables, that no entry joins to others; rows in
no part are zero. With z the indeterminates and d the denominators (numbers of `nodes`), and one component of v for each
of the rows, the identity of polynomials in z and v

    prod(d^e) (1 + |z|^2)^power v'(sign H + shift I) v  =  sum over blocks of prod(multiplier) basis' gram basis

proves the part where the sides are nonnegative and every d^e is positive. A side is
``["lower", k, "c"]``, which is z[k] - c, ``["upper", k, "c"]``, c - z[k], or ``["condition", n]``, the statement's
condition n. A block is ``{"multiplier": [numbers of sides], "basis": [polynomial, ...], "gram": [[...], ...]}``; a
polynomial has the exponents of z and then of v as keys: ``{"2,0,1": "1/2"}``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from flint import fmpq, fmpq_mpoly, fmpq_mpoly_ctx

from bileveldsl.certify.check.derivatives import hessian
from bileveldsl.certify.check.enclosures import enclose
from bileveldsl.certify.check.goals import Bend, Context
from bileveldsl.certify.check.matrices import is_semidefinite
from bileveldsl.certify.check.polynomials import polynomials, ring, total_degree
from bileveldsl.certify.check.ranges import at_most
from bileveldsl.certify.check.reading import mapping, position, rational, read_nodes, record, sequence, text
from bileveldsl.certify.check.terms import Rejected

_EXPONENTS = re.compile(r"[0-9]{1,3}(,[0-9]{1,3})*", re.ASCII)
_BLOCKS = 2_000
_BASIS = 300
_TERMS = 20_000
_DEGREE = 200
_POWER = 8
_FACTORS = 8
_WORK = 10_000_000  # pairs of terms multiplied and digits read, over one proof
_ELIMINATION = 10**11  # about the bit operations of an exact elimination

_PART = {"rows", "indeterminates", "denominators", "shift", "power", "sides", "blocks"}


def check(context: Context, goal: Bend, proof: dict[str, Any]) -> None:
    """Returns if the sums of squares of a proof show the goal; raises Rejected if they do not."""
    fields = record(proof, {"kind", "nodes", "parts"})
    table = context.table
    first = max([len(context.problem.variables), *(k + 1 for k in context.box)])
    nodes = read_nodes(table, fields["nodes"], first)
    entries = hessian(table, goal.root, goal.own)
    parts = [record(part, _PART) for part in sequence(fields["parts"], len(goal.own))]
    group: dict[int, int] = {}
    for k, part in enumerate(parts):
        for row in sequence(part["rows"], len(goal.own)):
            if group.setdefault(position(row, len(goal.own)), k) != k:
                raise Rejected("a row is in two parts")
    if any(group.get(i, -1) != group.get(j, -2) for i, j in entries):
        raise Rejected("an entry of the Hessian is in no part")
    if len(group) < len(goal.own) and goal.shift < 0:
        raise Rejected("a row is in no part")
    budget = Budget(_WORK)
    for k, part in enumerate(parts):
        own = {place: node for place, node in entries.items() if group[place[0]] == k}
        _Part(context, nodes, part, own, sorted(r for r, g in group.items() if g == k), budget).check(goal)


class Budget:
    """Products of polynomials and what they may cost."""

    def __init__(self, work: int):
        self._left = work

    def spend(self, work: int) -> None:
        self._left -= work
        if self._left < 0:
            raise Rejected("a sum of squares is too large")

    def product(self, a: fmpq_mpoly, b: fmpq_mpoly) -> fmpq_mpoly:
        self.spend((len(a) + 1) * (len(b) + 1))
        if total_degree(a) + total_degree(b) > _DEGREE:
            raise Rejected("a sum of squares is of too high a degree")
        return a * b

    def power(self, base: fmpq_mpoly, exponent: int) -> fmpq_mpoly:
        result = base.context().constant(1)
        for _ in range(exponent):
            result = self.product(result, base)
        return result


class _Part:
    """Some rows of the Hessian, and the polynomials that stand for its entries."""

    def __init__(
        self,
        context: Context,
        nodes: Sequence[int],
        part: dict[str, Any],
        entries: Mapping[tuple[int, int], int],
        rows: Sequence[int],
        budget: Budget,
    ):
        table = context.table
        self._context, self._part, self._budget = context, part, budget
        self._entries, self._rows = entries, rows
        self._leaves = [nodes[position(n, len(nodes))] for n in sequence(part["indeterminates"], _BASIS)]
        self._reciprocals = _reciprocals(context, list(entries.values()), self._leaves)
        count = len(self._leaves) + len(rows)
        gens = ring(count + len(self._reciprocals)).gens()
        self._ring: fmpq_mpoly_ctx = gens[0].context()
        self._z, self._v = gens[: len(self._leaves)], gens[len(self._leaves) : count]
        self._places = {node: count + k for k, node in enumerate(self._reciprocals)}
        self._generators = {table.num(1): self._ring.constant(1)}  # says which ring, where there is no indeterminate
        self._generators |= {node: gens[k] for node, k in self._places.items()}
        self._generators |= dict(zip(self._leaves, self._z, strict=True))
        for index, r in context.box.items():
            if r.exact:
                self._generators.setdefault(table.var(index), self._ring.constant(r.lo))
        self._denominators: list[tuple[int, int]] = []
        for pair in sequence(part["denominators"], _BASIS):
            if len(sequence(pair)) != 2:
                raise Rejected("a denominator is not a node and an exponent")
            self._denominators.append((nodes[position(pair[0], len(nodes))], position(pair[1], _DEGREE)))

    def check(self, goal: Bend) -> None:
        shift = rational(self._part["shift"])
        if shift > goal.shift:
            raise Rejected("a part is shifted by more than the goal")
        wanted = self._wanted(goal.sign, shift)
        sides = [self._side(sequence(side, 3)) for side in sequence(self._part["sides"], _BASIS)]
        if read_blocks(self._part["blocks"], sides, self._ring, len(self._z) + len(self._v), self._budget) != wanted:
            raise Rejected("the squares do not add up to the form")

    def _wanted(self, sign: int, shift: fmpq) -> fmpq_mpoly:
        """The left side of the identity."""
        table, v = self._context.table, dict(zip(self._rows, self._v, strict=True))
        bases = [node for node, _ in self._denominators]
        inverted = [table.arguments[n][0] for n in self._reciprocals]
        values = polynomials(table, [*self._entries.values(), *bases, *inverted], self._generators)
        known = [p for p in values if p is not None]
        if len(known) < len(values):
            raise Rejected("an entry of the Hessian is no polynomial of the indeterminates")
        form = self._ring.constant(0)
        for (i, j), entry in zip(self._entries, known, strict=False):
            form += self._budget.product(v[i] * v[j] * (sign if i == j else 2 * sign), entry)
        form += sum((w * w for w in v.values()), self._ring.constant(0)) * shift
        first, after = len(self._entries), len(self._entries) + len(bases)
        for (node, exponent), base in reversed(list(zip(self._denominators, known[first:after], strict=True))):
            self._require_positive(node, exponent)
            same = [n for n, p in zip(self._reciprocals, known[after:], strict=True) if p == base]
            form = self._cleared(form, same, base, exponent)
        squares = sum((z * z for z in self._z), self._ring.constant(1))
        return self._budget.product(form, self._budget.power(squares, position(self._part["power"], _POWER)))

    def _require_positive(self, node: int, exponent: int) -> None:
        [r] = enclose(self._context.table, [node], self._context.interior, self._context.known)
        if not (r.defined and (r.positive if exponent % 2 else r.nonzero)):
            raise Rejected("a denominator may be zero or negative")

    def _cleared(self, form: fmpq_mpoly, reciprocals: Sequence[int], base: fmpq_mpoly, exponent: int) -> fmpq_mpoly:
        """The form times `base**exponent`, with the negative powers of the base cancelled."""
        own = [(self._places[n], int(-self._context.table.value[n])) for n in reciprocals]
        parts: dict[int, dict[tuple[int, ...], fmpq]] = {}
        for monomial, coefficient in form.to_dict().items():
            left = exponent - sum(int(monomial[k]) * e for k, e in own)
            if left < 0:
                raise Rejected("a denominator is not cleared")
            rest = list(map(int, monomial))
            for k, _ in own:
                rest[k] = 0
            same = parts.setdefault(left, {})
            same[tuple(rest)] = same.get(tuple(rest), fmpq(0)) + coefficient
        result = self._ring.constant(0)
        for left, terms in parts.items():
            result += self._budget.product(self._ring.from_dict(terms), self._budget.power(base, left))
        return result

    def _side(self, side: list[Any]) -> fmpq_mpoly:
        """A polynomial that is nonnegative on the region."""
        context = self._context
        if len(side) == 2 and side[0] == "condition":
            condition = context.problem.conditions[position(side[1], len(context.problem.conditions))]
            if condition not in context.conditions or condition.relation not in ("> 0", ">= 0"):
                raise Rejected("a condition does not say that something is nonnegative here")
            [found] = polynomials(context.table, [condition.node], self._generators)
            if found is None:
                raise Rejected("a condition is no polynomial of the indeterminates")
            return found
        if len(side) != 3 or text(side[0]) not in ("lower", "upper"):
            raise Rejected("a side is of an unknown kind")
        k, value = position(side[1], len(self._leaves)), rational(side[2])
        [r] = enclose(context.table, [self._leaves[k]], context.box, context.known)
        if not (r.defined and (at_most(value, r.lo) if side[0] == "lower" else at_most(r.hi, value))):
            raise Rejected("an indeterminate may be beyond its bound")
        return self._z[k] - value if side[0] == "lower" else value - self._z[k]


def _reciprocals(context: Context, roots: Sequence[int], leaves: Sequence[int]) -> list[int]:
    """The whole negative powers in some nodes down to the leaves."""
    table, found = context.table, set()
    seen = set(roots) - set(leaves)
    stack = list(seen)
    while stack:
        node = stack.pop()
        if table.operation[node] == "^" and table.value[node].q == 1 and table.value[node] < 0:
            found.add(node)
        if table.operation[node] in ("+", "*", "^"):
            fresh = [child for child in table.arguments[node] if child not in seen and child not in leaves]
            seen.update(fresh)
            stack += fresh
    return sorted(found)


def read_blocks(
    data: Any, sides: Sequence[fmpq_mpoly], context: fmpq_mpoly_ctx, variables: int, budget: Budget | None = None
) -> fmpq_mpoly:
    """The sum of the blocks, each a product of sides times a square form with a semidefinite Gram matrix.

    Parameters
    ----------
    data : the blocks as they are written
    sides : polynomials that are nonnegative where the sum shall be
    context : the ring, whose first `variables` generators the blocks' polynomials are in
    variables : how many exponents each monomial has
    budget : what the products may cost

    Raises
    ------
    Rejected
        When a block is malformed, too large, or its Gram matrix has a negative eigenvalue.

    Examples
    --------
    >>> context = ring(1)
    >>> read_blocks([{"multiplier": [], "basis": [{"1": "1"}], "gram": [["4"]]}], [], context, 1)
    4*t0^2
    """
    budget = budget or Budget(_WORK)
    total = context.constant(0)
    for block in sequence(data, _BLOCKS):
        fields = record(block, {"multiplier", "basis", "gram"})
        basis = [_polynomial(p, context, variables) for p in sequence(fields["basis"], _BASIS)]
        written = [[text(v) for v in sequence(row, _BASIS)] for row in sequence(fields["gram"], _BASIS)]
        budget.spend(sum(len(v) for row in written for v in row))
        gram = [[rational(v) for v in row] for row in written]
        _require_semidefinite(gram, len(basis))
        summand = context.constant(0)
        for left, row in zip(basis, gram, strict=True):
            budget.spend(sum(map(len, basis)))
            right = sum((q * b for q, b in zip(row, basis, strict=True) if q), context.constant(0))
            summand += budget.product(left, right)
        for k in sequence(fields["multiplier"], _FACTORS):
            summand = budget.product(summand, sides[position(k, len(sides))])
        total += summand
    return total


def _require_semidefinite(gram: Sequence[Sequence[fmpq]], size: int) -> None:
    if len(gram) != size or any(len(row) != size for row in gram):
        raise Rejected("a Gram matrix has not the size of its basis")
    bits = max((int(v.height_bits()) for row in gram for v in row), default=0)
    if size**4 * bits > _ELIMINATION:
        raise Rejected("a Gram matrix is too large")
    if not is_semidefinite(gram):
        raise Rejected("a Gram matrix is not positive semidefinite")


def _polynomial(data: Any, context: fmpq_mpoly_ctx, variables: int) -> fmpq_mpoly:
    """A polynomial in the first generators of the ring."""
    terms = {}
    rest = (0,) * (context.nvars() - variables)
    for key, coefficient in mapping(data, _TERMS).items():
        exponents = tuple(map(int, key.split(","))) if _EXPONENTS.fullmatch(text(key)) else ()
        if len(exponents) != variables or sum(exponents) > _DEGREE or (*exponents, *rest) in terms:
            raise Rejected("a monomial is not written as its exponents")
        terms[(*exponents, *rest)] = rational(coefficient)
    return context.from_dict(terms)
