"""Sizes of dims and values of parameters, from the model's text and its data files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bileveldsl.calculus.expr import Dim, Symbol
from bileveldsl.language import ast
from bileveldsl.language.data import LabelledAxis, Reader
from bileveldsl.language.diagnostics import BlvError, Collector, Diagnostic, Related, Span
from bileveldsl.language.elaborate.scope import ARTICLES, Scope
from bileveldsl.language.elaborate.sets import IndexSet
from bileveldsl.language.elaborate.tensor import UNREAD_SIZE

MAX_ELEMENTS = 2**26
"""What a few words may ask for: elements of a variable, or of a parameter that a number or a formula fills."""


@dataclass
class Sizes:
    """The dims of a model, each with the place that fixed its size."""

    scope: Scope
    diagnostics: Collector
    known: dict[str, Dim] = field(default_factory=dict)
    fixed_at: dict[str, Span] = field(default_factory=dict)
    sets: dict[str, IndexSet] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)  # dims whose size is made up, since their data could not be read

    def fix(self, name: str, size: int, span: Span, why: str) -> None:
        """Give a dim its size; a second, different size is a conflict."""
        if size < 1:
            self._error("E315", f"the dim {name} is empty", span, why)
        elif name not in self.known:
            self.known[name], self.fixed_at[name] = Dim(name, size), span
        elif self.known[name].size != size:
            other = Related(self.fixed_at[name], f"{name} has {self.known[name].size} elements here")
            self._error(
                "E314", f"two sizes for the dim {name}: {self.known[name].size} and {size}", span, why, (other,)
            )

    def dims(self, axes: tuple[ast.Axis, ...]) -> tuple[Dim, ...] | None:
        """The dims that a declaration names, or None when one is not known."""
        result = []
        for axis in axes:
            if isinstance(axis, ast.Number):
                size = int(axis.value)
                if size < 1:
                    self._error("E315", "an axis needs at least one element", axis.span)
                    return None
                result.append(Dim(str(size), size))
                if not self.affordable("the axis", result[-1:], axis.span):
                    return None
                continue
            if not self.declared(axis):
                return None
            if self.scope.declarations[axis.name].kind == "set":
                if axis.name not in self.sets:
                    return None
                result.append(self.sets[axis.name].dim)
                continue
            if axis.name not in self.known:
                declaration = self.scope.declarations[axis.name]
                mend = f"write dim {axis.name} = 10, or declare a param over it whose data tells the size"
                self._error(
                    "E315",
                    f"the size of the dim {axis.name} is not known",
                    declaration.span,
                    "no data fixes it",
                    help=mend,
                )
                return None
            result.append(self.known[axis.name])
        return tuple(result)

    def declared(self, axis: ast.Name) -> bool:
        """Whether an axis is named by a dim or a set; if not, it is reported."""
        declaration = self.scope.find(axis.name, axis.span)
        if declaration is None:
            return False
        if declaration.kind not in ("dim", "set"):
            self._error(
                "E205",
                f"{axis.name} is {ARTICLES[declaration.kind]}, not a dim or a set",
                axis.span,
                "",
                (Related(declaration.span, "declared here"),),
                "axes are named by dims and sets",
            )
            return False
        return True

    def assume_unread(self) -> None:
        """Give the dims whose data could not be read some size, so that shapes can still be checked, by the names."""
        if any(d.code.startswith("E4") for d in self.diagnostics.errors):
            for name, declaration in self.scope.declarations.items():
                if declaration.kind == "dim" and name not in self.known:
                    self.known[name] = Dim(name, UNREAD_SIZE)
                    self.unread.add(name)

    def made_up(self, dims: Sequence[Dim]) -> bool:
        """Whether one of the sizes is not the data's, so that nothing but the names of the dims can be checked."""
        return not self.unread.isdisjoint(dim.name for dim in dims)

    def affordable(self, name: str, dims: Sequence[Dim], span: Span) -> bool:
        """Whether an array over some dims can be held in memory; if not, it is reported."""
        count = math.prod(dim.size for dim in dims)
        if count > MAX_ELEMENTS and not self.made_up(dims):
            self._error("E327", f"{name} has {count:,} elements", span, help=f"there may be {MAX_ELEMENTS:,}")
            return False
        return True

    def match(self, axes: tuple[ast.Axis, ...], shape: tuple[int, ...], what: str) -> bool:
        """Let the shape of an array fix the dims it is declared over; False where it contradicts them."""
        before = len(self.diagnostics.errors)
        for axis, size in zip(axes, shape, strict=True):
            if isinstance(axis, ast.Number):
                if int(axis.value) != size:
                    self._error(
                        "E314", f"{what} has {size} elements along an axis declared as {int(axis.value)}", axis.span
                    )
            elif self.declared(axis) and self.scope.declarations[axis.name].kind == "set":
                members = self.sets.get(axis.name)
                if members is not None and members.dim.size != size:
                    text = f"{what} has {size} elements along {axis.name}, which has {members.dim.size} members"
                    self._error("E314", text, axis.span)
            elif self.declared(axis):
                self.fix(axis.name, size, axis.span, f"{what} has {size} elements along {axis.name}")
        return len(self.diagnostics.errors) == before

    def _error(
        self, code: str, message: str, span: Span, label: str = "", related: tuple[Related, ...] = (), help: str = ""
    ) -> None:
        self.diagnostics.add(Diagnostic(code, message, span, label, related, help))


def read_arrays(
    model: ast.Model, sizes: Sizes, reader: Reader, given: Mapping[str, np.ndarray], diagnostics: Collector
) -> dict[str, np.ndarray | None]:
    """The arrays that files and the caller give for parameters, None for one at fault; shapes fix the dims.

    The lists in the text fix dims, too; their numbers are worked out later. `given` values replace the model's.
    """
    arrays: dict[str, np.ndarray | None] = {}
    for item in model.items:
        if not isinstance(item, ast.Param):
            continue
        known = [sizes.declared(axis) for axis in item.axes if isinstance(axis, ast.Name)]
        array = None
        if item.name in given:
            array = np.asarray(given[item.name], dtype=np.float64)
            if array.ndim != len(item.axes):
                rank = f"{array.ndim} axes where {item.name} is declared with {len(item.axes)}"
                span = item.name_span or item.span
                diagnostics.add(Diagnostic("E302", f"the value given for {item.name} has {rank}", span))
                array = None
        elif item.source is not None:
            try:
                array = _read(item, item.source, sizes, reader)
            except BlvError as error:
                for diagnostic in error.diagnostics:
                    diagnostics.add(diagnostic)
        elif isinstance(item.value, ast.List):
            shape = _list_shape(item.value)
            if len(shape) == len(item.axes) and not (all(known) and sizes.match(item.axes, shape, item.name)):
                arrays[item.name] = None
            continue
        else:
            continue
        fits = array is not None and all(known) and sizes.match(item.axes, array.shape, item.name)
        arrays[item.name] = array if fits else None
    return arrays


def _read(item: ast.Param, source: ast.DataSource, sizes: Sizes, reader: Reader) -> np.ndarray | None:
    """The array of a file: by position over dims, by labels where an axis is a set."""
    names = [axis.name for axis in item.axes if isinstance(axis, ast.Name)]
    if not any(sizes.scope.declarations[name].kind == "set" for name in names if name in sizes.scope.declarations):
        return reader.read_array(source, item.name, len(item.axes), source.span)
    dims = sizes.dims(item.axes)
    if dims is None:
        return None
    axes = []
    for dim in dims:
        members = sizes.sets.get(dim.name)
        labels = dim.size if members is None else members.members
        axes.append(LabelledAxis(dim.name, 1 if members is None else members.arity, labels))
    return reader.read_indexed(source, item.name, axes, source.span)


def _list_shape(node: ast.Expression) -> tuple[int, ...]:
    shape = []
    while isinstance(node, ast.List):
        shape.append(len(node.items))
        if not node.items:
            break
        node = node.items[0]
    return tuple(shape)


def data_symbol(name: str, dims: tuple[Dim, ...], values: np.ndarray | None) -> Symbol:
    """A parameter; without values after an error in its data, so that the rest of the model can still be checked."""
    return Symbol(name, "data", dims, None if values is None else np.array(values, dtype=np.float64, order="C"))
