"""Functions of few affine expressions, whose second derivatives over the ranges of those decide how they bend."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flint import fmpq, fmpq_mpoly

from bileveldsl.certify.check.derivatives import hessian
from bileveldsl.certify.check.enclosures import Enclosure, Ranges
from bileveldsl.certify.check.goals import Context
from bileveldsl.certify.check.matrices import range_matrix_is_semidefinite
from bileveldsl.certify.check.polynomials import leaves, normal_form, polynomials, ring
from bileveldsl.certify.check.ranges import ZERO, Range, at_most, less
from bileveldsl.certify.check.region import require_smooth
from bileveldsl.certify.check.terms import Rejected, Table

_MOVING, _FIXED = 3, 6  # arguments
_NODES = 500  # of a function or its second derivatives
_BOXES = 80  # for one function
_TERMS, _PRODUCTS = 100, 10_000  # of a second derivative that is multiplied out
_WORK = 150_000  # nodes that are enclosed, for all functions
_FRESH = 1 << 40  # the index of the first variable that stands for an argument


class FewArguments:
    """Whether functions of at most 3 affine expressions are convex, by the signs of their second derivatives."""

    def __init__(self, context: Context, own: Sequence[int], moves: Callable[[int], bool]):
        self.table = context.table
        self.ranges = Ranges(context.table, context.interior, context.known)
        self.moves = moves
        self._work = _WORK

    def bends(self, node: int, affine: Callable[[int], bool], sign: int) -> bool:
        """Whether sign * node is convex on the interior of the region; `affine` tells of nodes below it."""
        for known in (affine, self._is_variable):
            leaves = self._arguments(node, known)
            if leaves is not None and self._decided(node, leaves, sign):
                return True
        return False

    def _is_variable(self, node: int) -> bool:
        return self.table.operation[node] == "var"

    def _arguments(self, node: int, affine: Callable[[int], bool]) -> list[int] | None:
        """The fixed and the affine nodes of which a node is a function; None if they are many."""
        found: list[int] = []
        seen, stack = {node}, [node]
        while stack:
            each = stack.pop()
            if self.table.operation[each] == "num":
                continue
            if each != node and (not self.moves(each) or affine(each)):
                found.append(each)
            else:
                fresh = set(self.table.arguments[each]) - seen
                seen |= fresh
                stack += fresh
            moving = sum(map(self.moves, found))
            if moving > _MOVING or len(found) - moving > _FIXED or len(seen) > _NODES:
                return None
        return sorted(found)

    def _decided(self, node: int, leaves: list[int], sign: int) -> bool:
        table = self.table
        fresh = {leaf: table.var(_FRESH + k) for k, leaf in enumerate(leaves)}
        box = {_FRESH + k: self.ranges(leaf) for k, leaf in enumerate(leaves)}
        moving = [_FRESH + k for k, leaf in enumerate(leaves) if self.moves(leaf)]
        try:
            [function] = table.substituted([node], fresh)
            require_smooth(table, function, moving, box, {})
            entries = hessian(table, function, moving)
        except Rejected:
            return False
        return self._semidefinite(entries, len(moving), sign, box)

    def _semidefinite(self, entries: dict[tuple[int, int], int], size: int, sign: int, box: dict[int, Range]) -> bool:
        """Whether sign times a matrix is positive semidefinite all over a box, which is bisected."""
        places = list(entries)
        forms = [_written(self.table, entries[place]) for place in places]
        matrix = Enclosure(self.table, [node for pair in forms for node in pair])
        cut = sorted(self.table.variables(entries.values()))
        if len(matrix.nodes) > _NODES:
            return False

        def holds(at: dict[int, Range]) -> bool:
            self._work -= len(matrix.nodes)
            values = matrix(at)
            rows = [[_NOTHING] * size for _ in range(size)]
            for k, (i, j) in enumerate(places):
                entry = values[2 * k].meet(values[2 * k + 1])
                rows[i][j] = rows[j][i] = entry if sign > 0 else -entry
            return range_matrix_is_semidefinite(rows)

        stack, count = [dict(box)], 0
        while stack:
            at = stack.pop()
            count += 1
            if count > _BOXES or self._work < 0:
                return False
            if holds(at):
                continue
            middle = {k: _middle(r) for k, r in at.items()}
            if not cut or not holds({k: Range(m, m) for k, m in middle.items()}):
                return False
            widest = max(cut, key=lambda k: _width(at[k]))
            r, m = at[widest], middle[widest]
            if not less(r.lo, m) or not less(m, r.hi):
                return False
            stack += [{**at, widest: Range(r.lo, m, r.apart)}, {**at, widest: Range(m, r.hi, r.apart)}]
        return True


_NOTHING = Range(ZERO, ZERO)


def _middle(r: Range) -> fmpq:
    """A number inside, at which an interval is cut in two."""
    if r.finite:
        return (r.lo + r.hi) / 2
    if type(r.lo) is not float:
        return max(2 * r.lo, r.lo + 1)
    return fmpq(0) if type(r.hi) is float else min(2 * r.hi, r.hi - 1)


def _width(r: Range) -> float:
    if not r.finite:
        return 1e9 if not at_most(r.lo, ZERO) or not at_most(ZERO, r.hi) else 2e9
    width = r.hi - r.lo
    return float(int(min(width, fmpq(10) ** 8) * 2**30)) / 2**30


def _written(table: Table, node: int) -> tuple[int, int]:
    """A node as it is and as a polynomial of its parts in Horner's form, where intervals occur in other places."""
    normal = normal_form(table, node, _TERMS, _PRODUCTS)
    if normal is None:
        return node, node
    parts = leaves(table, [normal], _TERMS) or []
    [p] = polynomials(table, [normal], dict(zip(parts, ring(len(parts)).gens(), strict=False)), _PRODUCTS)
    return node, normal if p is None else horner(table, p, parts)


def horner(table: Table, p: fmpq_mpoly, variables: Sequence[int]) -> int:
    """A polynomial as a node nested in one variable after the other."""
    return _nested(table, {tuple(map(int, e)): c for e, c in p.to_dict().items()}, variables, 0)


def _nested(table: Table, terms: dict[tuple[int, ...], fmpq], variables: Sequence[int], place: int) -> int:
    if not terms:
        return table.num(0)
    if place == len(variables):
        [coefficient] = terms.values()
        return table.num(coefficient)
    by_degree: dict[int, dict[tuple[int, ...], fmpq]] = {}
    for exponents, coefficient in terms.items():
        by_degree.setdefault(exponents[place], {})[exponents] = coefficient
    result, last = None, 0
    for degree in sorted(by_degree, reverse=True):
        inner = _nested(table, by_degree[degree], variables, place + 1)
        result = (
            inner if result is None else table.add([_lifted(table, result, variables[place], last - degree), inner])
        )
        last = degree
    assert result is not None
    return _lifted(table, result, variables[place], last)


def _lifted(table: Table, node: int, variable: int, degree: int) -> int:
    return table.mul([node, table.power(variable, degree)]) if degree else node
