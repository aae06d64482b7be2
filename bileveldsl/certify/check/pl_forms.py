"""What proofs of the inequality share: the whole space, matrices of nodes that are semidefinite, zero functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flint import fmpq

from bileveldsl.certify.check.enclosures import enclose
from bileveldsl.certify.check.goals import PL, Context, bend
from bileveldsl.certify.check.polynomials import polynomials, ring
from bileveldsl.certify.check.ranges import INF, ZERO, Range
from bileveldsl.certify.check.region import require_twice_differentiable, without_own_conditions
from bileveldsl.certify.check.terms import Rejected, Table

Rows = Sequence[Sequence[int]]
LINE = Range(-INF, INF)


def whole_space(context: Context, goal: PL, smooth: bool = True) -> Context:
    """`everywhere` for a goal that claims something: with a positive constant."""
    if goal.mu <= 0:
        raise Rejected("the constant is not positive")
    return everywhere(context, goal.root, goal.own, smooth)


def everywhere(context: Context, root: int, own: tuple[int, ...], smooth: bool = True) -> Context:
    """The context without the conditions on own variables, once they are seen to hold for all own values.

    Rejects unless own variables may take any real value and the function is smooth everywhere, or at least defined.
    """
    if not own or len(set(own)) < len(own):
        raise Rejected("a function is of no variables, or of one twice")
    for index in own:
        box = context.box.get(index, LINE)
        if box.lo != -INF or box.hi != INF or box.apart:
            raise Rejected("an own variable is bounded")
        if index < len(context.problem.variables) and context.problem.variables[index].integer:
            raise Rejected("an own variable is an integer")
    wide = without_own_conditions(context, own, context.box, "for all own values")
    if smooth:
        require_twice_differentiable(wide, root, own)
    elif not enclose(context.table, [root], wide.box, wide.known)[0].defined:
        raise Rejected("the function may not be defined on all of the region")
    return wide


def require_semidefinite(
    context: Context, rows: Rows, proof: Any, boxes: Mapping[int, Range] | None = None
) -> None:
    """Rejects unless a symmetric matrix M of nodes is proved positive semidefinite on the region.

    The proof is one that v'Mv/2 is convex in a vector v of fresh variables, which have the numbers after all others.
    """
    table, first = context.table, fresh(context)
    v = [table.var(first + k) for k in range(len(rows))]
    form = table.add(
        table.mul([entry, table.num(fmpq(1, 2)), table.power(v[i], 2)]) if i == j else table.mul([entry, v[i], v[j]])
        for i, row in enumerate(rows)
        for j, entry in enumerate(row)
        if j >= i
    )
    own = tuple(range(first, first + len(rows)))
    inside = context.within({**(boxes or {}), **dict.fromkeys(own, LINE)}, own)
    bend(inside, form, own, 1, ZERO, proof)


def require_nonnegative(
    context: Context, roots: Sequence[int], proof: Any, boxes: Mapping[int, Range] | None = None
) -> None:
    """Rejects unless nodes are proved to be >= 0, as those of a diagonal matrix."""
    zero, size = context.table.num(0), range(len(roots))
    require_semidefinite(context, [[roots[i] if i == j else zero for j in size] for i in size], proof, boxes)


def fresh(context: Context) -> int:
    """The first number that no variable has."""
    return max([len(context.problem.variables), *(k + 1 for k in context.box)])


def is_zero(table: Table, roots: Sequence[int]) -> bool:
    """Whether nodes vanish as polynomials in the functions that they are made of."""
    leaves = [n for n in table.reachable(roots) if is_atom(table, n)]
    generators = dict(zip(leaves, ring(len(leaves)).gens(), strict=False))
    return all(p is not None and p.is_zero() for p in polynomials(table, list(roots), generators))


def is_atom(table: Table, node: int) -> bool:
    """Whether a node is a variable or a function that is no polynomial of its arguments."""
    operation = table.operation[node]
    if operation == "^":
        return table.value[node].q != 1 or table.value[node] < 0
    return operation not in ("num", "+", "*")


def half_square(table: Table, slopes: Iterable[int]) -> int:
    """|slopes|^2 / 2."""
    return table.add(table.mul([table.num(fmpq(1, 2)), table.power(s, 2)]) for s in slopes)
