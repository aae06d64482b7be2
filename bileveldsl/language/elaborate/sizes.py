"""Sizes of dims and values of parameters, from the model's text and its data files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bileveldsl.calculus.expr import Dim, Symbol
from bileveldsl.language import ast
from bileveldsl.language.data.mapped import is_mapped
from bileveldsl.language.diagnostics import Collector, Diagnostic, Related, Span
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
    unread: set[str] = field(default_factory=set)  # dims whose size is made up, since it or their data is at fault

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
                self._unknown_size(axis.name)
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
        data_failed = any(d.code.startswith("E4") for d in self.diagnostics.errors)
        for name, declaration in self.scope.declarations.items():
            if declaration.kind == "dim" and name not in self.known and (data_failed or name in self.unread):
                self.known[name] = Dim(name, UNREAD_SIZE)
                self.unread.add(name)

    def require_known(self) -> None:
        """Report the dims that the model uses and nothing gives a size."""
        for name, declaration in self.scope.declarations.items():
            if declaration.kind == "dim" and name not in self.known and name in self.scope.used:
                self._unknown_size(name)

    def _unknown_size(self, name: str) -> None:
        mend = f"write dim {name} = 10, or declare a param over it whose data tells the size"
        text = f"the size of the dim {name} is not known"
        self._error("E315", text, self.scope.declarations[name].span, "no data fixes it", help=mend)

    def made_up(self, dims: Sequence[Dim]) -> bool:
        """Whether one of the sizes is not the data's, so that nothing but the names of the dims can be checked."""
        return not self.unread.isdisjoint(dim.name for dim in dims)

    def affordable(self, name: str, dims: Sequence[Dim], span: Span) -> bool:
        """Whether an array over some dims can be held in memory; if not, it is reported."""
        count = math.prod(dim.size for dim in dims)
        if count > MAX_ELEMENTS and not self.made_up(dims):
            self._error("E307", f"{name} has {count:,} elements", span, help=f"there may be {MAX_ELEMENTS:,}")
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


def data_symbol(name: str, dims: tuple[Dim, ...], values: np.ndarray | None) -> Symbol:
    """A parameter; without values after an error in its data, so that the rest of the model can still be checked."""
    if values is not None and not (is_mapped(values) and not values.flags.writeable):
        values = np.array(values, dtype=np.float64, order="C")
    return Symbol(name, "data", dims, values)
