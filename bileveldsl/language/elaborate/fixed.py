"""Numbers that are known before solving: bounds, starting points, parameters, sizes, indices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.expr import Dim, Expr, symbols_of
from bileveldsl.language import ast
from bileveldsl.language.elaborate.indices import EXACT
from bileveldsl.language.elaborate.tensor import Tensor

MAX_MEMBERS = 2**22
"""Members of a range; each may become an object of its own."""


def unread(expr: Expr) -> bool:
    """Whether data enters that could not be read."""
    return any(s.role == "data" and s.value is None for s in symbols_of(expr))


@dataclass
class Fixed:
    """Works out expressions that no variable may enter; `array` elaborates one, `report` adds a diagnostic."""

    array: Callable[[ast.Expression], Tensor | None]
    report: Callable[..., Any]

    def tensor(self, node: ast.Expression, what: str) -> Tensor | None:
        """The array of an expression without variables."""
        value = self.array(node)
        if value is None:
            return None
        held = sorted(s.name for s in symbols_of(value.expr) if s.role == "variable")
        if held:
            text = f"{what} must be known before solving, but depends on {', '.join(held)}"
            return self.report("E313", text, node.span, "", "write it as a constraint instead")
        if any(axis not in value.axes for axis in value.expr.axes):
            text = f"{what} depends on an index of the sum or family"
            mend = "between brackets write i, i + 1 or 1 - i; else loop over a set of tuples, or leave out with if"
            return self.report("E322", text, node.span, "", mend)
        return None if unread(value.expr) else value

    def values(self, node: ast.Expression, dims: Sequence[Dim], what: str) -> np.ndarray | None:
        """The numbers of an expression or a list over the given dims; a scalar fills them and takes no memory."""
        if isinstance(node, ast.List):
            return self._list(node, dims, what)
        if isinstance(node, ast.Number):
            return np.broadcast_to(float(node.value), tuple(dim.size for dim in dims))
        value = self.tensor(node, what)
        if value is None:
            return None
        if value.axes and value.dims != tuple(dims):
            wanted = f"[{', '.join(d.name for d in dims)}]" if dims else "a scalar"
            mend = "give one value for each element, or a scalar for all"
            text = f"{what} has axes {value.described}, expected {wanted}"
            return self.report("E303", text, node.span, value.described, mend)
        result = np.asarray(evaluate(value.expr, {}, value.axes), dtype=np.float64)
        if np.isnan(result).any():
            mend = "check logarithms, roots and divisions in it"
            return self.report("E318", f"{what} is not a number", node.span, "evaluates to nan", mend)
        return np.broadcast_to(result, tuple(dim.size for dim in dims))

    def integer(self, node: ast.Expression, what: str) -> int | None:
        value = self.tensor(node, what)
        if value is None:
            return None
        number = float("nan") if value.axes else float(evaluate(value.expr, {}, ()))
        if not number.is_integer() or abs(number) > EXACT:
            return self.report("E306", f"{what} must be a whole number", node.span, "", f"at most {EXACT:,} in size")
        return int(number)

    def range(self, node: ast.Range) -> range | None:
        """The whole numbers of `first..last`, both included."""
        first, last = (self.integer(end, "the end of a range") for end in (node.first, node.last))
        if first is None or last is None:
            return None
        if last - first >= MAX_MEMBERS:
            text, mend = f"the range has {last - first + 1:,} members", f"there may be {MAX_MEMBERS:,}"
            return self.report("E307", text, node.span, "", mend)
        return range(first, last + 1)

    def _list(self, node: ast.List, dims: Sequence[Dim], what: str) -> np.ndarray | None:
        """A nested list of numbers over the given dims."""
        if not dims:
            mend = "declare axes for it, or give one number"
            return self.report("E303", f"{what} is a list, expected a scalar", node.span, "", mend)
        if len(node.items) != dims[0].size:
            text = f"{what} has {len(node.items)} entries, {dims[0].name} has {dims[0].size}"
            return self.report("E314", text, node.span)
        rows = [self.values(item, dims[1:], f"entry {k} of {what}") for k, item in enumerate(node.items)]
        if any(row is None for row in rows):
            return None
        return np.array(rows, dtype=np.float64)
