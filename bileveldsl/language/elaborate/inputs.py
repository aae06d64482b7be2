"""Sizes of dims, members of sets, and data, each as soon as what it depends on is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from bileveldsl.calculus.expr import Dim, Symbol
from bileveldsl.language import ast
from bileveldsl.language.data import LabelledAxis, Reader
from bileveldsl.language.diagnostics import BlvError, Collector, Diagnostic, Span
from bileveldsl.language.elaborate.expressions import Expressions
from bileveldsl.language.elaborate.members import checked_set, set_members
from bileveldsl.language.elaborate.scope import Scope, names_in
from bileveldsl.language.elaborate.sizes import Sizes, data_symbol
from bileveldsl.program import Member

Input: TypeAlias = ast.Dim | ast.Set | ast.Param

_ORDER = (ast.Dim, ast.Set, ast.Param)


@dataclass
class Inputs:
    """Enters what is known before any formula: into `sizes` the dims and sets, into `parameters` the data.

    `given` values replace those of the model's parameters.
    """

    reader: Reader
    given: Mapping[str, np.ndarray]
    scope: Scope
    sizes: Sizes
    expressions: Expressions
    diagnostics: Collector
    parameters: dict[str, Symbol | None]
    _pending: dict[str, Input] = field(default_factory=dict)
    _sources: dict[str, list[str]] = field(default_factory=dict)  # the data whose shape fixes a dim
    _visited: set[str] = field(default_factory=set)

    def enter(self, items: Sequence[ast.Item]) -> None:
        """Enter the dims, sets and data among the items of a model; data that cannot be read gets made-up sizes."""
        found = [item for item in items if isinstance(item, Input) and self._is_input(item)]
        found.sort(key=lambda item: _ORDER.index(type(item)))
        self._pending = {item.name: item for item in found}
        for item in found:
            for axis in item.axes if isinstance(item, ast.Param) and not self._over_sets(item) else ():
                if isinstance(axis, ast.Name):
                    self._sources.setdefault(axis.name, []).append(item.name)
        for item in found:
            self._enter_in_order(item.name)
        self.sizes.assume_unread()
        for item in found:
            if isinstance(item, ast.Param) and item.name in self.parameters and self.parameters[item.name] is None:
                dims = self.sizes.dims(item.axes)
                self.parameters[item.name] = None if dims is None else data_symbol(item.name, dims, None)

    def _is_input(self, item: Input) -> bool:
        """Whether an item holds a size, members or data; a dim without a size has it from others."""
        if isinstance(item, ast.Dim):
            return item.size is not None
        if isinstance(item, ast.Param):
            return item.name in self.given or item.source is not None or isinstance(item.value, ast.List)
        return True

    # ---- what depends on what ----

    def _enter_in_order(self, name: str) -> None:
        """Enter an item after those that it depends on; each is visited once, so that circles come to an end."""
        path: list[tuple[str, Iterator[str]]] = []
        following: str | None = None if name in self._visited else name
        while path or following is not None:
            if following is not None:
                self._visited.add(following)
                path.append((following, self._direct(following)))
            else:
                done, _ = path.pop()
                if done in self._pending:
                    self._enter(self._pending.pop(done))
            needed = path[-1][1] if path else iter(())
            following = next((n for n in needed if n not in self._visited and n in self.scope.declarations), None)

    def _direct(self, name: str) -> Iterator[str]:
        """The names that must be known before one is."""
        item = self._pending.get(name)
        node = self.scope.declarations[name].node
        if isinstance(item, ast.Param):
            yield from names_in(item.axes) if self._over_sets(item) else ()  # where rows are matched by labels
        elif isinstance(item, ast.Set):
            yield from names_in((item.within, item.value))
        elif isinstance(node, ast.Dim):
            yield from names_in(node.size) if node.size is not None else self._sources.get(name, ())
        elif isinstance(node, ast.Param | ast.Let):
            yield from names_in((node.axes, node.value))

    def _over_sets(self, item: ast.Param) -> bool:
        return any(self._kind(axis) == "set" for axis in item.axes)

    def _variables(self, part: ast.Expression) -> list[str]:
        """The variables that an expression depends on, through definitions."""
        found, seen, waiting = set(), set(), list(names_in(part))
        while waiting:
            name = waiting.pop()
            if name not in seen and name in self.scope.declarations:
                seen.add(name)
                node = self.scope.declarations[name].node
                found |= {name} if isinstance(node, ast.Var) else set()
                waiting += names_in(node.value) if isinstance(node, ast.Param | ast.Let) else ()
        return sorted(found)

    def _kind(self, axis: ast.Axis) -> str:
        declaration = self.scope.declarations.get(axis.name) if isinstance(axis, ast.Name) else None
        return declaration.kind if declaration else ""

    # ---- entering ----

    def _enter(self, item: Input) -> None:
        if isinstance(item, ast.Dim):
            self._dim(item)
        elif isinstance(item, ast.Set):
            self._set(item)
        else:
            self._data(item)

    def _dim(self, item: ast.Dim) -> None:
        assert item.size is not None
        before = len(self.diagnostics.errors)
        size = self.expressions.fixed.integer(item.size, f"the size of {item.name}")
        if size is None:
            self._refuse_variables(item.size, f"the size of {item.name}", before)
        elif self.sizes.affordable(f"the dim {item.name}", (Dim(item.name, size),), item.span):
            self.sizes.fix(item.name, size, item.span, f"declared as {size}")
        if len(self.diagnostics.errors) > before:
            self.sizes.unread.add(item.name)

    def _set(self, item: ast.Set) -> None:
        """The members of a set, from its text or its file, all of them within the sets that it names."""
        parents = []
        for name in item.within:
            parent = self.expressions.domain_set(name)
            if parent is None:
                return
            parents.append(parent)
        members: Sequence[Member] | None
        if item.source is not None:
            place = item.source.span
            try:
                members = self.reader.read_set(item.source, item.name, place, sum(p.arity for p in parents) or None)
            except BlvError as error:
                self._add(error)
                return
        elif item.value is not None:
            place = item.value.span
            before = len(self.diagnostics.errors)
            members = set_members(item.value, self.expressions.fixed, self.expressions.report)
            if members is None:
                self._refuse_variables(item.value, f"the set {item.name}", before)
        else:
            mend = "write set NAME = [...], or set NAME from a file"
            self.diagnostics.add(Diagnostic("E324", f"the set {item.name} has no members", item.span, "", (), mend))
            return
        result = None if members is None else checked_set(item.name, members, parents, place, self.expressions.report)
        if result is not None:
            self.sizes.sets[item.name] = result

    def _refuse_variables(self, part: ast.Expression, what: str, errors: int) -> None:
        """Report that variables enter, which have no place among the expressions yet, if nothing else was wrong."""
        held = self._variables(part) if len(self.diagnostics.errors) == errors else []
        if held:
            text = f"{what} must be known before solving, but depends on {', '.join(held)}"
            self.expressions.report("E313", text, part.span, "", "make it of numbers, parameters and other sizes")

    def _data(self, item: ast.Param) -> None:
        """The array that the caller or a file gives; its shape, or that of the model's list, fixes the dims."""
        known = [self.sizes.declared(axis) for axis in item.axes if isinstance(axis, ast.Name)]
        place = item.name_span or item.span
        if item.name in self.given:
            array = self._given(item, place)
        elif item.source is not None:
            array = self._read(item, item.source)
        else:
            assert isinstance(item.value, ast.List)
            shape = _list_shape(item.value)
            if len(shape) == len(item.axes) and not (all(known) and self.sizes.match(item.axes, shape, item.name)):
                self.parameters[item.name] = None
            return
        fits = array is not None and all(known) and self.sizes.match(item.axes, array.shape, item.name)
        dims = self.sizes.dims(item.axes) if fits else None
        self.parameters[item.name] = None if dims is None else data_symbol(item.name, dims, array)

    def _given(self, item: ast.Param, place: Span) -> np.ndarray | None:
        array = np.asarray(self.given[item.name], dtype=np.float64)
        if array.ndim == len(item.axes):
            return array
        rank = f"{array.ndim} axes where {item.name} is declared with {len(item.axes)}"
        self.diagnostics.add(Diagnostic("E302", f"the value given for {item.name} has {rank}", place))
        return None

    def _read(self, item: ast.Param, source: ast.DataSource) -> np.ndarray | None:
        """The array of a file: by position over dims, by labels where an axis is a set."""
        try:
            if not self._over_sets(item):
                return self.reader.read_array(source, item.name, len(item.axes), source.span)
            dims = self.sizes.dims(item.axes)
            if dims is None:
                return None
            axes = []
            for dim in dims:
                members = self.sizes.sets.get(dim.name)
                labels = dim.size if members is None else members.members
                axes.append(LabelledAxis(dim.name, 1 if members is None else members.arity, labels))
            return self.reader.read_indexed(source, item.name, axes, source.span)
        except BlvError as error:
            self._add(error)
            return None

    def _add(self, error: BlvError) -> None:
        for diagnostic in error.diagnostics:
            self.diagnostics.add(diagnostic)


def _list_shape(node: ast.Expression) -> tuple[int, ...]:
    shape = []
    while isinstance(node, ast.List):
        shape.append(len(node.items))
        if not node.items:
            break
        node = node.items[0]
    return tuple(shape)
