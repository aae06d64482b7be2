"""Expressions of the Ast become arrays over named axes; every mistake is reported at its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy

from bileveldsl.calculus.expr import (
    Axis,
    Dim,
    Expr,
    contract,
    size,
)
from bileveldsl.language import ast
from bileveldsl.language.diagnostics import Collector, Diagnostic, Related, Span
from bileveldsl.language.elaborate import functions, tensor
from bileveldsl.language.elaborate.domain import Domain
from bileveldsl.language.elaborate.fixed import Fixed
from bileveldsl.language.elaborate.indices import Indices
from bileveldsl.language.elaborate.scope import ARTICLES, Scope, unknown
from bileveldsl.language.elaborate.tensor import ShapeError, Tensor, number


@dataclass
class Expressions:
    """Turns expression nodes into Tensors; `None` stands for one whose mistake is already reported.

    `lookup` gives the array of a declared name (a parameter, variable or definition), or None after an error.
    """

    scope: Scope
    diagnostics: Collector
    dims: Mapping[str, Dim]
    lookup: Callable[[str], Tensor | None]
    indices: Indices = field(init=False)
    fixed: Fixed = field(init=False)
    domain: Domain = field(init=False)

    def __post_init__(self) -> None:
        self.indices = Indices(self.scope, self.report, self.dims)
        self.fixed = Fixed(self.array, self.report)
        self.domain = Domain(self.report)

    # ---- entry points ----

    def array(self, node: ast.Expression) -> Tensor | None:
        """The array an expression stands for."""
        # The left spine of a long sum is walked, not recursed into.
        spine: list[ast.Binary] = []
        while isinstance(node, ast.Binary):
            spine.append(node)
            node = node.left
        result = self._node(node)
        run: list[tuple[ast.Binary, Tensor]] = []  # terms that wait to be added in one go: pairwise costs their square
        for operation in reversed(spine):
            right = self._node(operation.right)
            if operation.operator in "+-" and result and right and (not right.axes or right.dims == result.dims):
                run.append((operation, right))
                continue
            result = self._binary(operation, self._sum(result, run), right)
            run = []
        return self._sum(result, run)

    def _sum(self, first: Tensor | None, run: Sequence[tuple[ast.Binary, Tensor]]) -> Tensor | None:
        if first is None or not run:
            return first
        terms = [functions.argument(0)]
        for k, (operation, _) in enumerate(run):
            terms.append(functions.argument(k + 1) * (1 if operation.operator == "+" else -1))
        return tensor.elementwise(sympy.Add(*terms), [first, *(term for _, term in run)])

    def scalar(self, node: ast.Expression, what: str) -> Expr | None:
        """A scalar expression, or a diagnostic that names what has to be one."""
        value = self.array(node)
        if value is None:
            return None
        if value.axes:
            self.report(
                "E301",
                f"{what} must be a scalar, this has axes {value.described}",
                node.span,
                "",
                "reduce it, for example with sum(...)",
            )
            return None
        return value.expr

    # ---- nodes ----

    def _node(self, node: ast.Expression) -> Tensor | None:
        if isinstance(node, ast.Number):
            return number(sympy.Rational(node.value.numerator, node.value.denominator))
        if isinstance(node, ast.Infinity):
            return number(sympy.oo)
        if isinstance(node, ast.Name):
            return self._name(node)
        if isinstance(node, ast.Binary):
            return self.array(node)
        if isinstance(node, ast.Unary):
            operand = self._node(node.operand)
            if operand is None or node.operator == "+":
                return operand
            return tensor.elementwise(-functions.a0, [operand])
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.Index):
            return self._index(node)
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        kind = "a string" if isinstance(node, ast.Text) else f"a {type(node).__name__.lower()}"
        return self.report("E205", f"{kind} cannot be used as a number here", node.span)

    def _name(self, node: ast.Name) -> Tensor | None:
        if node.name in self.indices.bound:
            return self.report(
                "E205", f"the index {node.name} is not a number", node.span, "", "use it between brackets"
            )
        declaration = self.scope.find(node.name, node.span, self.indices.bound)
        if declaration is None:
            return None
        if declaration.kind == "dim":
            dim = self.dims.get(node.name)
            return None if dim is None else Tensor(size(dim))
        if declaration.kind in ("set", "constraint"):
            label = f"{node.name} is {ARTICLES[declaration.kind]}"
            return self.report(
                "E205", f"{label}, not a number", node.span, "", "", (Related(declaration.span, "declared here"),)
            )
        return self.lookup(node.name)

    def _binary(self, node: ast.Binary, left: Tensor | None, right: Tensor | None) -> Tensor | None:
        if left is None or right is None:
            return None
        if node.operator == "/":
            self.domain.require(right, "!= 0", node.right.span)
        elif node.operator == "^":
            self.domain.power(left, right, node.left.span)
        return self._shaped(
            lambda: tensor.binary(node.operator, left, right), node.span, [node.left.span, node.right.span]
        )

    def _call(self, node: ast.Call) -> Tensor | None:
        name, span = node.function, node.function_span or node.span
        if name not in functions.NAMES:
            declared = self.scope.declarations.get(name)
            if declared is not None:
                return self.report(
                    "E205",
                    f"{name} is {ARTICLES[declared.kind]}, not a function",
                    span,
                    "",
                    f"index it with brackets: {name}[...]; multiply with *",
                    (Related(declared.span, "declared here"),),
                )
            self.diagnostics.add(unknown("E203", "function", name, span, functions.NAMES))
            return None
        if node.generators:
            return self._aggregate(node)
        arguments, over = self._arguments(node)
        if over is False or any(a is None for a in arguments):
            return None
        arrays = [a for a in arguments if a is not None]
        if name in functions.DOMAINS and arrays:
            self.domain.require(arrays[0], functions.DOMAINS[name], node.arguments[0].span)
        if name == "kl" and len(arrays) == 2:
            self.domain.require(arrays[0], ">= 0", node.arguments[0].span)
            self.domain.require(arrays[1], "> 0", node.arguments[1].span)
        spans = [a.span for a in node.arguments]
        return self._shaped(lambda: _apply(name, arrays, over), node.span, spans)

    def _arguments(self, node: ast.Call) -> tuple[list[Tensor | None], Any]:
        """The arrays of a call and the axes it reduces: None for all, False after an error."""
        arguments, over = list(node.arguments), None
        last = arguments[-1] if arguments else None
        if len(arguments) > 1 and isinstance(last, ast.Name) and last.name in self.dims and node.function != "huber":
            self.scope.used.add(last.name)
            arguments = arguments[:-1]
        else:
            last = None
        for keyword in node.keywords:
            self.report(
                "E305",
                f"{node.function} has no argument {keyword.name}",
                keyword.span,
                "",
                "write the axis as the last argument",
            )
        arrays = [self.array(a) for a in arguments]
        if last is not None and arrays[0] is not None:
            assert isinstance(last, ast.Name)
            found = [axis for axis in arrays[0].axes if axis.dim == self.dims[last.name]]
            if len(found) != 1 or node.function in functions.ELEMENTWISE:
                self._axis_error(node, last, arrays[0], len(found))
                return arrays, False
            over = (found[0],)
        return arrays, over if not node.keywords else False

    def _axis_error(self, node: ast.Call, last: ast.Name, array: Tensor, count: int) -> None:
        if node.function in functions.ELEMENTWISE:
            text = f"{node.function} works element by element and reduces no axis"
        elif count == 0:
            text = f"no axis {last.name} to reduce in {array.described}"
        else:
            text = f"the axis {last.name} occurs {count} times in {array.described}"
        self.report("E302", text, last.span, "", "name one axis of the first argument")

    def _aggregate(self, node: ast.Call) -> Tensor | None:
        """`sum(e for i in n, j in m if i != j)`, and `min` and `max` without a condition."""
        if node.function not in ("sum", "min", "max") or len(node.arguments) != 1:
            return self.report("E305", f"{node.function} does not take 'for'", node.span, "", "use sum, min or max")
        if node.guard is not None and node.function != "sum":
            return self.report("E305", f"{node.function} does not take 'if'", node.guard.span)
        with self.indices.running(node.generators) as labels:
            if labels is None:
                return None
            mask = self.indices.guard(node.guard)
            body = self.array(node.arguments[0])
        if body is None or mask is None:
            return None
        if node.function == "sum":
            return Tensor(contract([body.expr, mask], labels), body.axes)
        return functions.call_extremum(node.function, [Tensor(body.expr, (*body.axes, *labels))], tuple(labels))

    def _index(self, node: ast.Index) -> Tensor | None:
        base = self.array(node.base)
        if base is None:
            return None
        items: list[Any] = []
        for position, item in enumerate(node.items):
            size = base.axes[position].size if position < len(base.axes) else None
            items.append(self._item(item, size))
        if any(item is False for item in items):
            return None
        return self._shaped(lambda: tensor.take(base, items), node.span, [node.base.span])

    def _item(self, item: ast.Expression, size: int | None) -> Any:
        """One index: a number, a slice, a label, None for everything; False after an error."""
        if isinstance(item, ast.Name) and item.name in self.indices.bound:
            axis = self.indices.bound[item.name]
            if size is not None and axis.size != size:
                self.report(
                    "E306", f"the index {item.name} runs over {axis.size} members, this axis has {size}", item.span
                )
                return False
            return axis
        if isinstance(item, ast.Slice):
            start = 0 if item.start is None else self.fixed.integer(item.start, "a slice")
            stop = size if item.stop is None else self.fixed.integer(item.stop, "a slice")
            if start is None or stop is None:
                return None if item.start is None and item.stop is None else False
            if item.start is None and item.stop is None:
                return None
            if size is None:
                return slice(start, stop)
            start, stop = (k + size if k < 0 else k for k in (start, stop))
            if not 0 <= start < stop <= size:
                self.report(
                    "E306",
                    f"the slice {start}:{stop} is outside 0:{size} or empty",
                    item.span,
                    "",
                    "start is included, stop is not; counting starts at 0",
                )
                return False
            return slice(start, stop)
        value = self.fixed.integer(item, "an index")
        if value is None:
            return False
        if size is not None and not -size <= value < size:
            self.report(
                "E306",
                f"index {value} is out of range",
                item.span,
                f"the axis has {size} elements, 0 to {size - 1}",
                "counting starts at 0",
            )
            return False
        return value + size if value < 0 and size is not None else value

    def _attribute(self, node: ast.Attribute) -> Tensor | None:
        if node.name == "dual":
            return self.report(
                "E391",
                "duals in the upper level are not supported yet",
                node.span,
                "",
                "state the follower's dual variables and conditions explicitly",
            )
        if node.name != "T":
            return self.report("E210", f"unknown attribute .{node.name}", node.span, "", ".T transposes a matrix")
        base = self.array(node.base)
        return None if base is None else self._shaped(lambda: tensor.transpose(base), node.span, [node.base.span])

    # ---- reporting ----

    def _shaped(self, build: Callable[[], Tensor], span: Span, operands: Sequence[Span]) -> Tensor | None:
        """Build an array; a misfit of shapes points at the operation and at each operand."""
        try:
            return build()
        except ShapeError as error:
            places = list(zip(operands, error.labels, strict=False))
            if not places:
                return self.report(error.code, error.message, span, "", error.help)
            related = tuple(Related(place, label) for place, label in places[1:])
            return self.report(error.code, error.message, places[0][0], places[0][1], error.help, related)

    def report(
        self, code: str, message: str, span: Span, label: str = "", help: str = "", related: tuple[Related, ...] = ()
    ) -> Any:
        self.diagnostics.add(Diagnostic(code, message, span, label, related, help))
        return None


def _apply(name: str, arrays: Sequence[Tensor], over: tuple[Axis, ...] | None) -> Tensor:
    if name in functions.ELEMENTWISE:
        return functions.call_elementwise(name, arrays)
    if name == "huber":
        return functions.call_huber(arrays)
    if name in functions.EXTREMA:
        return functions.call_extremum(name, arrays, over)
    return functions.call_reduction(name, arrays, over)
