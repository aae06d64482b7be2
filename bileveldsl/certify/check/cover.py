"""Proofs of kind "cover": the goal holds on every box of a tree of boxes that together are the whole box.

The proof is ``{"kind": "cover", "blocks": [{"rows": [...], "atoms": [...], "tree": [...]}, ...]}``. The rows of all
blocks are the positions of the own variables, and no second derivative connects two blocks. An atom ``{"nodes": [...],
"periodic": false}`` is an expression, the last of its nodes, that is replaced by a variable of its own wherever it
occurs; it lies in its range over the box. Of one with ``"periodic": true`` the sines and cosines of its whole multiples
are replaced; it may be taken in [-22/7, 22/7], which is longer than a turn. The tree is a list in preorder:
``[k, "p/q"]`` cuts variable k (atom -1 - k where k < 0), the part below it comes next and then the part above; ``0`` is
a leaf.

A leaf holds if the Hessian is semidefinite over it by its ranges (those of `tails`, where a side of the box has no end,
among them) or as a polynomial of them, or if a condition of the
region fails all over it; it may be bisected further, a bounded number of times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from flint import fmpq, fmpq_mpoly

from bileveldsl.certify.check.derivatives import hessian
from bileveldsl.certify.check.enclosures import Enclosure, enclose
from bileveldsl.certify.check.goals import Bend, Context
from bileveldsl.certify.check.matrices import range_matrix_is_semidefinite
from bileveldsl.certify.check.polynomials import polynomials, ring
from bileveldsl.certify.check.ranges import INF, WHOLE, Range, at_most, greatest, least, number
from bileveldsl.certify.check.reading import boolean, position, rational, read_nodes, record, sequence
from bileveldsl.certify.check.tails import Tails
from bileveldsl.certify.check.tensors import Tensor
from bileveldsl.certify.check.terms import Rejected, Table

_NODES = 20_000  # of all trees
_MORE = 64  # boxes that a leaf may be bisected into
_BOXES = 20_000  # looked at in all
_ATOMS = 32
_FACTORS = 64
_TURN = Range(fmpq(-22, 7), fmpq(22, 7))
_FAR = fmpq(2) ** 40

Box = dict[int, Range]
Entries = dict[tuple[int, int], int]


def check(context: Context, goal: Bend, proof: dict[str, Any]) -> None:
    """Returns if the trees of a proof show the goal; raises Rejected if they do not."""
    check_entries(context, goal, hessian(context.table, goal.root, goal.own), proof)


def check_entries(context: Context, goal: Bend, found: Entries, proof: dict[str, Any]) -> None:
    """The same, the second derivatives being given."""
    table = context.table
    entries = {place: node if goal.sign > 0 else table.negate(node) for place, node in found.items()}
    blocks = [record(b, {"rows", "atoms", "tree"}) for b in sequence(record(proof, {"kind", "blocks"})["blocks"])]
    group: dict[int, int] = {}
    for k, block in enumerate(blocks):
        for row in sequence(block["rows"]):
            if group.setdefault(position(row, len(goal.own)), k) != k:
                raise Rejected("a row is in two blocks")
    if len(group) < len(goal.own):
        raise Rejected("a row is in no block")
    if any(group[i] != group[j] for i, j in entries):
        raise Rejected("two blocks are connected by a second derivative")
    budget = [_BOXES]
    for k, block in enumerate(blocks):
        place = {row: n for n, row in enumerate(sorted(r for r, g in group.items() if g == k))}
        mine = {(place[i], place[j]): node for (i, j), node in entries.items() if i in place}
        _Block(context, mine, len(place), goal.shift, block["atoms"]).check_tree(block["tree"], budget)


class _Block:
    """The matrix of some rows over boxes of the variables and of the atoms, which have numbers after all others."""

    def __init__(self, context: Context, entries: Entries, size: int, shift: fmpq, atoms: Any):
        self._context, self._size, self._shift = context, size, number(shift)
        self._first = max([len(context.problem.variables), *(k + 1 for k in context.box)])
        self._atoms: list[int] = []
        self._box: Box = dict(context.interior)
        self._plain: list[tuple[int, int]] = []
        self._known = context.known
        roots = self._with_known(list(entries.values()), lambda nodes: _flattened(context.table, nodes))
        for data in sequence(atoms, _ATOMS):
            roots = self._with_atom(roots, record(data, {"nodes", "periodic"}))
        roots = self._with_known(roots, lambda nodes: _flattened(context.table, nodes))
        self._places = list(entries)
        self._used = sorted(context.table.variables(roots))
        self._tensor = Tensor.of(context.table, dict(zip(entries, roots, strict=True)), size, shift)
        self._conditions = [c for c in context.conditions if context.table.variables([c.node]) & set(self._used)]
        generators = self._tensor.generators if self._tensor else []
        self._matrix = Enclosure(context.table, [*roots, *generators], self._known)
        self._tails = Tails(context.table, roots, self._known)
        matrices = len(self._tensor.coefficients) if self._tensor else 0
        self._cost = 1 + matrices // 16 + (len(self._matrix.nodes) + size**3) // 200
        self._tests = Enclosure(context.table, [c.node for c in self._conditions])

    def _with_atom(self, roots: list[int], data: dict[str, Any]) -> list[int]:
        table = self._context.table
        nodes = read_nodes(table, data["nodes"], self._first)
        if not nodes:
            raise Rejected("an atom is of nothing")
        root, index = nodes[-1], self._first + len(self._atoms)
        fresh = table.var(index)
        self._atoms.append(index)
        if boolean(data["periodic"]):
            self._box[index] = _TURN
            turned = dict(self._turned(roots, root, fresh))
            return self._with_known(roots, lambda nodes: table.substituted(nodes, turned))
        self._box[index] = self._known.get(root, WHOLE)
        self._plain.append((index, root))
        return self._with_known(roots, lambda nodes: table.substituted(nodes, {root: fresh}))

    def _with_known(self, roots: list[int], rewrite: Callable[[list[int]], list[int]]) -> list[int]:
        """The nodes rewritten, and with them those that conditions bound."""
        kept = list(self._known)
        written = rewrite([*roots, *kept])
        self._known = {**self._known, **dict(zip(written[len(roots) :], self._known.values(), strict=True))}
        return written[: len(roots)]

    def _turned(self, roots: list[int], base: int, fresh: int) -> Iterator[tuple[int, int]]:
        """The sines and cosines of whole multiples of an expression, with what stands for them."""
        table = self._context.table
        for node in table.reachable(roots):
            if table.operation[node] in ("sin", "cos"):
                times = self._multiple(table.arguments[node][0], base)
                if times is not None:
                    yield node, table.call(table.operation[node], [table.mul([table.num(times), fresh])])

    def _multiple(self, node: int, base: int) -> fmpq | None:
        """The whole number that a polynomial is times another, if it is."""
        if node == base:
            return fmpq(1)
        table = self._context.table
        indices = sorted(table.variables([node, base]))
        generators: dict[int, fmpq_mpoly] = {
            table.var(k): t for k, t in zip(indices, ring(len(indices)).gens(), strict=False)
        }
        if not generators:
            return None
        p, q = polynomials(table, [node, base], generators)
        if p is None or q is None or p.is_zero() or q.is_zero():
            return None
        times = p.leading_coefficient() / q.leading_coefficient()
        return times if times.q == 1 and p == q * times else None

    # ---- the tree ----

    def check_tree(self, data: Any, budget: list[int]) -> None:
        items = iter(sequence(data, _NODES))
        stack = [self._box]
        while stack:
            box = stack.pop()
            item = next(items, None)
            if item is None:
                raise Rejected("a tree ends before its last leaf")
            if isinstance(item, int) and not isinstance(item, bool) and item == 0:
                self._check_leaf(box, budget)
                continue
            pair = sequence(item)
            if len(pair) != 2:
                raise Rejected("a cut is not a variable and a number")
            below, above = _cut(box, self._axis(pair[0]), rational(pair[1]))
            stack += [above, below]
        if next(items, None) is not None:
            raise Rejected("a tree goes on after its last leaf")

    def _axis(self, data: Any) -> int:
        if isinstance(data, int) and not isinstance(data, bool) and -len(self._atoms) <= data < 0:
            return self._atoms[-1 - data]
        index = position(data, self._first)
        if index not in self._box:
            raise Rejected("a cut is in a variable without a box")
        return index

    def _check_leaf(self, box: Box, budget: list[int]) -> None:
        """Whether the goal holds on a box, which is bisected where it does not at once."""
        boxes, left = [box], _MORE
        while boxes:
            budget[0] -= self._cost
            if budget[0] < 0:
                raise Rejected("the trees are too large")
            part = boxes.pop()
            if self._holds(part):
                continue
            axis = self._longest(part)
            left -= 1
            if left <= 0 or axis is None:
                raise Rejected("on a box the goal was not seen to hold")
            boxes += _cut(part, axis, _middle(part[axis]))

    def _longest(self, box: Box) -> int | None:
        sizes = {k: _share(box[k], self._box[k]) for k in self._used if k in box and _can_be_cut(box[k])}
        return max(sizes, key=lambda k: sizes[k], default=None)

    def _holds(self, box: Box) -> bool:
        table = self._context.table
        if self._plain:
            box = dict(box)
            found = enclose(table, [root for _, root in self._plain], box, self._context.known)
            for (index, _), range_ in zip(self._plain, found, strict=True):
                if not at_most(greatest(box[index].lo, range_.lo), least(box[index].hi, range_.hi)):
                    return True  # no point of the box has a value of the atom that the tree leaves for it
                box[index] = box[index].meet(range_)
        tests = zip(self._conditions, self._tests(box), strict=True)
        if any(_fails(range_, condition.relation) for condition, range_ in tests):
            return True
        values = self._matrix(box)
        generators = values[len(self._places) :]
        values = self._tails(box, values[: len(self._places)])
        zero = number(0)
        rows = [[zero] * self._size for _ in range(self._size)]
        for (i, j), range_ in zip(self._places, values, strict=False):
            rows[i][j] = rows[j][i] = range_
        if self._tensor is not None:
            for (i, j), range_ in zip(self._tensor.places, self._tensor.ranges(generators), strict=True):
                rows[i][j] = rows[j][i] = rows[i][j].meet(range_)
        if not all(entry.defined for row in rows for entry in row):
            return False
        for i, row in enumerate(rows):
            row[i] = row[i] + self._shift
        if range_matrix_is_semidefinite(rows):
            return True
        return self._tensor is not None and self._tensor.is_semidefinite(generators)


def _flattened(table: Table, roots: list[int]) -> list[int]:
    """The nodes with products within products written as one, and equal factors of it as a power."""
    made: dict[int, int] = {}
    for node in table.reachable(roots):
        arguments = [made[a] for a in table.arguments[node]]
        if table.operation[node] == "*" and _is_open(table, arguments):
            inner = [table.arguments[a] if table.operation[a] == "*" else (a,) for a in arguments]
            factors = [factor for part in inner for factor in part]
            made[node] = table.mul(_powers(table, factors) if len(factors) <= _FACTORS else arguments)
        elif tuple(arguments) == table.arguments[node]:
            made[node] = node  # as it is: conditions speak of nodes as they are
        elif table.operation[node] == "*":
            made[node] = table.mul(arguments)
        elif table.operation[node] == "+":
            made[node] = table.add(arguments)
        elif table.operation[node] == "^":
            made[node] = table.power(arguments[0], table.value[node])
        else:
            made[node] = table.call(table.operation[node], arguments)
    return [made[root] for root in roots]


def _is_open(table: Table, factors: list[int]) -> bool:
    """Whether there are products among factors, or powers of one base."""
    bases = [_based(table, f)[0] for f in factors]
    return len(set(bases)) < len(bases) or any(table.operation[f] == "*" for f in factors)


def _powers(table: Table, factors: list[int]) -> list[int]:
    exponents: dict[int, fmpq] = {}
    for factor in factors:
        base, exponent = _based(table, factor)
        exponents[base] = exponents.get(base, fmpq(0)) + exponent
    return [table.power(base, exponent) for base, exponent in exponents.items()]


def _based(table: Table, node: int) -> tuple[int, fmpq]:
    """The base and the exponent of a power that has a value wherever its base has one; else the node itself."""
    value = table.value[node]
    if table.operation[node] == "^" and value.q == 1 and value > 0:
        return table.arguments[node][0], value
    return node, fmpq(1)


def _fails(r: Range, relation: str) -> bool:
    """Whether a relation holds for no value of a range."""
    if relation == "> 0":
        return at_most(r.hi, fmpq(0))
    if relation == ">= 0":
        return r.negative
    if relation == "!= 0":
        return r.exact and r.lo == 0
    return not (at_most(r.lo, fmpq(1)) and at_most(fmpq(-1), r.hi))


def _cut(box: Box, axis: int, at: fmpq) -> tuple[Box, Box]:
    side = box[axis]
    if not (at_most(side.lo, at) and at_most(at, side.hi)):
        raise Rejected("a cut is outside the box")
    below, above = Range(side.lo, at, side.apart, side.defined), Range(at, side.hi, side.apart, side.defined)
    return {**box, axis: below}, {**box, axis: above}


def _middle(side: Range) -> fmpq:
    if side.finite:
        return (side.lo + side.hi) / 2
    if side.lo == -INF and side.hi == INF:
        return fmpq(0)
    if side.hi == INF:
        return fmpq(0) if side.lo < 0 else greatest(fmpq(1), 4 * side.lo)
    return fmpq(0) if side.hi > 0 else least(fmpq(-1), 4 * side.hi)


def _can_be_cut(side: Range) -> bool:
    return side.lo != side.hi and abs(_middle(side)) <= _FAR


def _share(side: Range, whole: Range) -> float:
    """The length of a side beside that of the first box, by a measure of the line that is finite."""
    if whole.finite:
        return _float((side.hi - side.lo) / (whole.hi - whole.lo))
    return (math.atan(_float(side.hi)) - math.atan(_float(side.lo))) / math.pi


def _float(x: Any) -> float:
    return x if isinstance(x, float) else max(min(int(1000 * x), 10**9), -(10**9)) / 1000
