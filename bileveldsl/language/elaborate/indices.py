"""What `for i in I, (j, k) in A if i == j` binds: labels of axes, and for each index name the members along one.

Conditions among the indices of one `for` are settled here and now: they join and filter the sets, by whole arrays of
codes. A condition that ties an inner index to an outer one becomes a factor, an incidence `[i == v]` that contracts
into a scatter, so that no product of sets is ever formed for it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bileveldsl.calculus.expr import (
    ONE,
    Axis,
    Dim,
    Expr,
    IndexMap,
    Symbol,
    contract,
    delta,
    leaf,
    multiply,
    select,
    subtract,
)  # fmt: skip
from bileveldsl.language import ast
from bileveldsl.language.diagnostics import Span
from bileveldsl.language.elaborate.scope import Scope
from bileveldsl.language.elaborate.sets import Column, IndexSet, Universe, single

FIRST_INDEX_PRIME = 1_000
"""Labels of indices stay clear of those that arrays in the body have by position."""

EXACT = 2**53
"""Up to here every whole number is a float64."""

LARGEST_PRODUCT = 20_000_000


@dataclass(frozen=True)
class Index:
    """An index name in force: along the label `axis` it takes the labels of `columns` (several for a whole tuple)."""

    axis: Axis
    columns: tuple[Column, ...]


@dataclass
class Group:
    """Index names that run together along one label."""

    axis: Axis
    names: dict[str, tuple[Column, ...]]

    def rows(self) -> int:
        return self.axis.size

    def taken(self, rows: np.ndarray, axis: Axis) -> Group:
        return Group(axis, {name: tuple(c.taken(rows) for c in columns) for name, columns in self.names.items()})

    def spread(self, place: int, rank: int) -> dict[str, tuple[Column, ...]]:
        """The labels of each name as arrays of so many axes, of length 1 but for the one at `place`."""
        return {name: tuple(c.spread(place, rank) for c in columns) for name, columns in self.names.items()}


@dataclass
class Indices:
    """The index names in force, innermost last."""

    scope: Scope
    report: Callable[..., Any]
    sets: Callable[[ast.Expression], IndexSet | None]  # the set of a generator's domain, or None after an error
    bound: dict[str, Index] = field(default_factory=dict)
    _count: int = 0

    @contextmanager
    def running(
        self, generators: Sequence[ast.Generator], guard: ast.Expression | None
    ) -> Iterator[tuple[list[Axis], Expr] | None]:
        """Bind the indices of generators; gives their labels and a factor 0 or 1, or None after an error."""
        before, count = dict(self.bound), self._count
        try:
            yield self._run(generators, guard)
        finally:
            self.bound, self._count = before, count

    def _run(self, generators: Sequence[ast.Generator], guard: ast.Expression | None) -> tuple[list[Axis], Expr] | None:
        groups: list[Group] = []
        for generator in generators:
            group = self._generator(generator)
            if group is None:
                return None
            groups.append(group)
        outer = dict(self.bound)
        factor = ONE
        for condition in _conjuncts(guard):
            self._bind(outer, groups)
            names = _names(condition)
            inner = [g for g in groups if names & g.names.keys()]
            if inner and not names & (outer.keys() - {n for g in groups for n in g.names}):
                joined = self._filtered(inner, condition)
                if joined is None:
                    return None
                groups = [g for g in groups if g not in inner] + [joined]
            else:
                part = self._factor(condition)
                if part is None:
                    return None
                factor = multiply(factor, part)
        self._bind(outer, groups)
        return [group.axis for group in groups], factor

    def _bind(self, outer: Mapping[str, Index], groups: Sequence[Group]) -> None:
        self.bound = {**outer, **{n: Index(g.axis, c) for g in groups for n, c in g.names.items()}}

    def _label(self, dim: Dim) -> Axis:
        self._count += 1
        return Axis(dim, FIRST_INDEX_PRIME + self._count)

    def _generator(self, generator: ast.Generator) -> Group | None:
        members = self.sets(generator.domain)
        if members is None:
            return None
        targets = [target.name for target in generator.targets]
        for target in generator.targets:
            if target.name in self.scope.declarations or target.name in self.bound or targets.count(target.name) > 1:
                text = f"the index {target.name} has the name of something else"
                return self.report("E202", text, target.span, "", "choose another name for the index")
        axis = self._label(members.dim)
        if len(targets) == members.arity:
            return Group(axis, {name: (column,) for name, column in zip(targets, members.columns, strict=True)})
        if len(targets) == 1:
            return Group(axis, {targets[0]: members.columns})
        text = f"{members.name} has members of {members.arity} labels, {len(targets)} indices are given"
        return self.report("E322", text, generator.span, "", "name each label of a member, or the member as a whole")

    # ---- conditions ----

    def _filtered(self, groups: list[Group], condition: ast.Expression) -> Group | None:
        """The groups as one, its rows those for which the condition holds."""
        pair = self._join_rows(groups, condition) if len(groups) == 2 else None
        if pair is None:
            shape = tuple(g.rows() for g in groups)
            if np.prod(shape, dtype=float) > LARGEST_PRODUCT:
                text = f"the condition is on {' x '.join(map(str, shape))} combinations"
                return self.report(
                    "E323", text, condition.span, "", "join the sets with ==, or use a smaller set of tuples"
                )
            rows = [group.spread(place, len(shape)) for place, group in enumerate(groups)]
            mask = self.mask(condition, {name: columns for names in rows for name, columns in names.items()})
            if mask is None:
                return None
            pair = np.nonzero(np.broadcast_to(mask, shape))
        name = "x".join(g.axis.dim.name for g in groups) + "|" + condition.span.text
        axis = self._label(Dim(name, len(pair[0])))
        parts = [group.taken(index, axis) for group, index in zip(groups, pair, strict=True)]
        return Group(axis, {name: columns for part in parts for name, columns in part.names.items()})

    def _join_rows(self, groups: Sequence[Group], condition: ast.Expression) -> tuple[np.ndarray, ...] | None:
        """The pairs of rows of two groups for `i == j`, by sorting instead of by trying all."""
        if not (isinstance(condition, ast.Compare) and condition.operator == "=="):
            return None
        sides = [condition.left, condition.right]
        if not all(isinstance(side, ast.Name) for side in sides):
            return None
        left = next(g for g in groups if sides[0].name in g.names)  # type: ignore[union-attr]
        right = next(g for g in groups if sides[1].name in g.names)  # type: ignore[union-attr]
        if left is right:
            return None
        first, second = left.names[sides[0].name], right.names[sides[1].name]  # type: ignore[union-attr]
        if len(first) != 1 or len(second) != 1:
            return None
        wanted = first[0].into(second[0].universe)
        order = np.argsort(second[0].codes, kind="stable")
        sorted_codes = second[0].codes[order]
        begin, end = np.searchsorted(sorted_codes, wanted, "left"), np.searchsorted(sorted_codes, wanted, "right")
        counts = np.where(wanted >= 0, end - begin, 0)
        rows = np.repeat(np.arange(len(wanted)), counts)
        offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        matches = order[np.repeat(begin, counts) + offsets]
        return (rows, matches) if left is groups[0] else (matches, rows)

    def mask(self, node: ast.Expression, rows: Mapping[str, tuple[Column, ...]]) -> np.ndarray | None:
        """Where a condition holds, over the grid that the labels of all indices together make."""
        if isinstance(node, ast.Logical):
            parts = [self.mask(operand, rows) for operand in node.operands]
            if any(part is None for part in parts):
                return None
            found = [part for part in parts if part is not None]
            if node.operator == "not":
                return ~found[0]
            return functools.reduce(np.logical_and if node.operator == "and" else np.logical_or, found)
        if isinstance(node, ast.Member):
            members = self.sets(node.set)
            items = node.item.items if isinstance(node.item, ast.Tuple) else (node.item,)
            columns = [column for item in items for column in self._columns(item, rows) or ()]
            if members is None:
                return None
            if len(columns) != members.arity:
                text = f"{members.name} has members of {members.arity} labels"
                return self.report("E322", text, node.span, "", "name an index for each label")
            return members.positions(columns) >= 0
        if isinstance(node, ast.Compare):
            return self._compare(node, rows)
        return self.report(
            "E322",
            "a condition compares indices, or asks for membership",
            node.span,
            "",
            "for example: if i != j and (i, j) in ARCS",
        )

    def _compare(self, node: ast.Compare, rows: Mapping[str, tuple[Column, ...]]) -> np.ndarray | None:
        left, right = self._columns(node.left, rows), self._columns(node.right, rows)
        if left is None or right is None:
            return None
        if len(left) != 1 or len(right) != 1:
            return self.report(
                "E322", "only single labels can be compared", node.span, "", "name the labels of the tuple"
            )
        if node.operator in ("==", "!="):
            same = left[0].codes == right[0].into(left[0].universe)
            return same if node.operator == "==" else ~same
        a, b = left[0].values, right[0].values
        if a is None or b is None:
            return self.report(
                "E322",
                f"labels that are not numbers have no order for {node.operator}",
                node.span,
                "",
                "compare them with == or !=",
            )
        return {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}[node.operator](a, b)

    def _columns(self, node: ast.Expression, rows: Mapping[str, tuple[Column, ...]]) -> tuple[Column, ...] | None:
        """The labels that an index, a constant, or an index plus a whole number takes."""
        if isinstance(node, ast.Name) and node.name in rows:
            return rows[node.name]
        if isinstance(node, ast.Text):
            return (single(node.value),)
        if isinstance(node, ast.Number) and node.value.denominator == 1:
            return (single(int(node.value)),)
        if isinstance(node, ast.Binary) and node.operator in "+-":
            left, right = self._columns(node.left, rows), self._columns(node.right, rows)
            a, b = (None if side is None or len(side) != 1 else side[0].values for side in (left, right))
            if a is not None and b is not None:
                column = self.numbers(a + b if node.operator == "+" else a - b, node.span)
                return None if column is None else (column,)
        return self.report(
            "E322",
            "not an index, a label, or an index plus a whole number",
            node.span,
            "",
            "conditions and subscripts are about members of sets",
        )

    def numbers(self, values: np.ndarray, span: Span) -> Column | None:
        """A column of whole numbers that need not be members of any set; None, reported, where they are not exact."""
        if np.abs(values).max(initial=0) > EXACT:
            return self.report("E306", "the index is too large to be exact", span, "", f"at most {EXACT:,} in size")
        labels, codes = np.unique(values.astype(np.int64), return_inverse=True)
        return Column(Universe(tuple(labels.tolist())), codes)

    def _factor(self, node: ast.Expression) -> Expr | None:
        """A condition that holds indices from outside, as a factor over their labels."""
        if isinstance(node, ast.Compare) and node.operator in ("==", "!="):
            sides = [self.bound.get(s.name) if isinstance(s, ast.Name) else None for s in (node.left, node.right)]
            if sides[0] and sides[1] and len(sides[0].columns) == len(sides[1].columns) == 1:
                same = _incidence(sides[0], sides[1])
                return same if node.operator == "==" else subtract(ONE, same)
        return self._mask_factor(node)

    def _mask_factor(self, node: ast.Expression) -> Expr | None:
        used = [self.bound[name] for name in sorted(_names(node)) if name in self.bound]
        axes = tuple(dict.fromkeys(index.axis for index in used))
        shape = tuple(axis.size for axis in axes)
        if np.prod(shape, dtype=float) > LARGEST_PRODUCT:
            text = f"the condition is on {' x '.join(map(str, shape))} combinations"
            return self.report("E323", text, node.span, "", "tie the indices with ==")
        rows = {
            name: tuple(c.spread(axes.index(self.bound[name].axis), len(axes)) for c in self.bound[name].columns)
            for name in _names(node)
            if name in self.bound
        }
        mask = self.mask(node, rows)
        if mask is None:
            return None
        values = np.broadcast_to(mask, shape).astype(np.float64)
        symbol = Symbol(f"[{node.span.text}]", "data", tuple(a.dim for a in axes), values)
        return leaf(symbol, axes)


def _incidence(a: Index, b: Index) -> Expr:
    """[a == b] over the labels of two indices: identity matrices seen through the codes of each."""
    universe = a.columns[0].universe
    first, second = a.columns[0].codes, b.columns[0].into(universe)
    everything = np.arange(universe.size)
    if np.array_equal(second, everything):
        return _sees(a.axis, first, b.axis)
    if np.array_equal(first, everything):
        return _sees(b.axis, second, a.axis)
    through = Axis(Dim(f"labels of {a.axis.dim.name}", universe.size))
    return contract([_sees(a.axis, first, through), _sees(b.axis, second, through)], [through])


def _sees(rows: Axis, codes: np.ndarray, target: Axis) -> Expr:
    """The matrix that is 1 where the code of a row is the position in `target`; a code of -1 matches nothing."""
    inner = Axis(target.dim, target.prime + rows.prime + 1)
    matrix = select(delta(target, inner), [(inner, IndexMap.of(np.maximum(codes, 0)))], rows)
    if (codes >= 0).all():
        return matrix
    known = Symbol(f"[{rows.dim.name} known]", "data", (rows.dim,), np.asarray(codes >= 0, dtype=np.float64))
    return multiply(leaf(known, [rows]), matrix)


def _conjuncts(guard: ast.Expression | None) -> list[ast.Expression]:
    if guard is None:
        return []
    if isinstance(guard, ast.Logical) and guard.operator == "and":
        return [part for operand in guard.operands for part in _conjuncts(operand)]
    return [guard]


def _names(node: ast.Expression) -> set[str]:
    """The names that a condition uses as indices."""
    if isinstance(node, ast.Name):
        return {node.name}
    if isinstance(node, ast.Member):
        return _names(node.item)
    parts: Sequence[Any] = ()
    if isinstance(node, ast.Compare | ast.Binary):
        parts = (node.left, node.right)
    elif isinstance(node, ast.Logical):
        parts = node.operands
    elif isinstance(node, ast.Tuple):
        parts = node.items
    return {name for part in parts for name in _names(part)}
