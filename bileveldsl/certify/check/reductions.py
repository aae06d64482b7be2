"""Changes of variables y = A z + s(x) after which a function depends on fewer variables.

The proof ``{"kind": "affine", "columns": [...], "nodes": [...], "shift": [...], "dropped": [...], "fixed": {...},
"proof": ...}`` gives the columns of an invertible matrix A, and s(x) as places in a list of nodes; z has the numbers of
y. The function is seen not to depend on the `dropped` components of z, and to depend on the `fixed` other variables in
a term of its own only, so that those may be any of their values: `proof` is about the function of what is left.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flint import fmpq

from bileveldsl.certify.check.derivatives import gradient
from bileveldsl.certify.check.enclosures import enclose
from bileveldsl.certify.check.goals import PL, Bend, Context, bend, deeper, pl
from bileveldsl.certify.check.kinds import kind_of
from bileveldsl.certify.check.matrices import is_semidefinite
from bileveldsl.certify.check.pl_forms import everywhere, fresh, is_zero, whole_space
from bileveldsl.certify.check.reading import point, position, rational, read_nodes, record, sequence
from bileveldsl.certify.check.terms import Rejected, Table

_OWN = 100
_FIELDS = {"kind", "columns", "nodes", "shift", "dropped", "fixed", "proof"}


def check_pl(context: Context, goal: PL, proof: dict[str, Any]) -> None:
    """With A0 the columns that stay and A0'A0 <= norm I, g has 1/norm times the constant of what is left.

    The gradient of that is A0' grad g, which is at most norm^(1/2) times as long as grad g.
    """
    record(proof, {*_FIELDS, "norm", "constant"})
    reduced = _Reduced(whole_space(context, goal), goal.root, goal.own, proof)
    norm, constant = rational(proof["norm"]), rational(proof["constant"])
    if norm <= 0 or constant < goal.mu * norm or not is_semidefinite(reduced.gram(norm, fmpq(-1))):
        raise Rejected("the constant is too large for the change of variables")
    pl(reduced.context, reduced.root, reduced.own, constant, proof["proof"])


def check_pl_refutation(context: Context, goal: PL, proof: dict[str, Any]) -> None:
    """The inequality holds with some constant before the change of variables if and only if it does so after it."""
    record(proof, _FIELDS)
    reduced = _Reduced(everywhere(context, goal.root, goal.own), goal.root, goal.own, proof)
    inner = proof["proof"]
    kind_of(inner, "pl refutation")(deeper(reduced.context), PL(reduced.root, reduced.own, goal.mu), inner)


def check_affine(context: Context, goal: Bend, proof: dict[str, Any]) -> None:
    """With t the shift of the goal and t0 that of the function of fewer variables, t A'A - t0 E has to be semidefinite.

    E is the identity in the components that stay, A'(sign H)A the Hessian after the change of variables.
    """
    record(proof, {*_FIELDS, "bend"})
    free = everywhere(context, goal.root, goal.own)
    reduced = _Reduced(free, goal.root, goal.own, proof)
    shift = rational(proof["bend"])
    size = len(goal.own)
    columns = reduced.columns
    gap = [
        [goal.shift * _dot(columns[i], columns[j]) - (shift if i == j and reduced.stays[i] else 0) for j in range(size)]
        for i in range(size)
    ]
    if not is_semidefinite(gap):
        raise Rejected("the shift is too large for the change of variables")
    bend(reduced.context, reduced.root, reduced.own, goal.sign, shift, proof["proof"])


class _Reduced:
    """The function of fewer variables, and what it may be asked about."""

    def __init__(self, context: Context, root: int, own: tuple[int, ...], proof: dict[str, Any]):
        table, size = context.table, len(own)
        count = fresh(context)
        if size > _OWN:
            raise Rejected("a change of variables is too large")
        self.columns = [[rational(c) for c in sequence(column, size)] for column in sequence(proof["columns"], size)]
        if len(self.columns) != size or any(len(column) != size for column in self.columns):
            raise Rejected("a matrix is not square")
        if not is_semidefinite([[_dot(a, b) for b in self.columns] for a in self.columns], strictly=True):
            raise Rejected("a change of variables cannot be undone")
        nodes = read_nodes(table, proof["nodes"], count)
        shift = [nodes[position(n, len(nodes))] for n in sequence(proof["shift"], size)]
        if len(shift) != size or table.variables(shift) & set(own):
            raise Rejected("a shift has not one value for each own variable, from the others")
        if not all(r.defined for r in enclose(table, shift, context.box, context.known)):
            raise Rejected("a shift may not be defined for all values of the other variables")
        dropped = [position(v, 10**7) for v in sequence(proof["dropped"], size)]
        fixed = point(proof["fixed"], count)
        self.own = tuple(v for v in own if v not in dropped)
        self.stays = [v not in dropped for v in own]
        if not set(dropped) <= set(own) or set(fixed) & set(own) or not self.own:
            raise Rejected("variables are dropped or fixed that cannot be")
        _require_possible(context, fixed)
        values = {table.var(v): _moved(table, own, [c[i] for c in self.columns], shift[i]) for i, v in enumerate(own)}
        [root] = table.substituted([root], values)
        slopes = gradient(table, root, list(own))
        gone = [s for v, s in zip(own, slopes, strict=True) if v in dropped]
        kept = [s for v, s in zip(own, slopes, strict=True) if v in self.own]
        if not is_zero(table, gone + [m for s in kept for m in gradient(table, s, sorted(fixed))]):
            raise Rejected("the function is not seen to be independent of a variable")
        constants = {table.var(v): table.num(0) for v in dropped}
        constants |= {table.var(v): table.num(c) for v, c in fixed.items()}
        self.root = collected(table, table.substituted([root], constants)[0])
        left = [c for c in context.conditions if not table.variables([c.node]) & set(fixed)]
        self.context = replace(context.only(left), own=self.own)

    def gram(self, diagonal: fmpq, scale: fmpq) -> list[list[fmpq]]:
        """diagonal I + scale A0'A0 for the columns A0 that stay."""
        kept = [c for c, stays in zip(self.columns, self.stays, strict=True) if stays]
        return [
            [scale * _dot(a, b) + (diagonal if i == j else 0) for j, b in enumerate(kept)] for i, a in enumerate(kept)
        ]


def _require_possible(context: Context, fixed: dict[int, fmpq]) -> None:
    """Rejects unless variables may have some values, and all between these and theirs, whatever those of the others."""
    table = context.table
    if not all(v in context.box and context.box[v].contains(c) for v, c in fixed.items()):
        raise Rejected("a variable is fixed at what it cannot be")
    for condition in context.conditions:
        own_only = table.operation[condition.node] == "var" and condition.relation != "!= 0"
        if not own_only and table.variables([condition.node]) & set(fixed):
            raise Rejected("a variable is fixed that a condition ties to others")


def _moved(table: Table, own: tuple[int, ...], row: list[fmpq], shift: int) -> int:
    return table.add([*(table.mul([table.num(c), table.var(v)]) for c, v in zip(row, own, strict=True)), shift])


def _dot(a: list[fmpq], b: list[fmpq]) -> fmpq:
    return sum((x * y for x, y in zip(a, b, strict=True)), fmpq(0))


def collected(table: Table, root: int) -> int:
    """A node in which every sum is one of different terms with numbers before them."""
    made: dict[int, int] = {}
    for node in table.reachable([root]):
        arguments = tuple(made[a] for a in table.arguments[node])
        operation = table.operation[node]
        if operation == "+":
            made[node] = _sum(table, [(fmpq(1), a) for a in arguments])
        elif operation == "*":
            made[node] = table.mul(f for a in arguments for f in (table.arguments[a] if _is(table, a, "*") else (a,)))
            factor, rest = _split(table, made[node])
            if _is(table, rest, "+"):
                made[node] = _sum(table, [(factor, rest)])
        elif arguments == table.arguments[node]:
            made[node] = node
        elif operation == "^":
            made[node] = table.power(arguments[0], table.value[node])
        else:
            made[node] = table.call(operation, arguments)
    return made[root]


def _sum(table: Table, terms: list[tuple[fmpq, int]]) -> int:
    shares: dict[int, fmpq] = {}
    one = table.num(1)
    for factor, term in terms:
        for part in table.arguments[term] if _is(table, term, "+") else (term,):
            number = table.number(part)
            times, rest = (number, one) if number is not None else _split(table, part)
            shares[rest] = shares.get(rest, fmpq(0)) + factor * times
    return table.add(table.mul([table.num(c), n]) for n, c in shares.items() if c != 0)


def _split(table: Table, node: int) -> tuple[fmpq, int]:
    """A node as a number times another."""
    factors = table.arguments[node] if _is(table, node, "*") else (node,)
    numbers = [table.number(f) for f in factors]
    times = next((n for n in numbers if n is not None), fmpq(1))
    return times, table.mul(f for f, n in zip(factors, numbers, strict=True) if n is None)


def _is(table: Table, node: int, operation: str) -> bool:
    return table.operation[node] == operation
