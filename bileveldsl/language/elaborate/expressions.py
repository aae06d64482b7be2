"""Expressions of the Ast become arrays over named axes; every mistake is reported at its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy

from bileveldsl.calculus.expr import (
    ONE,
    Axis,
    Dim,
    Expr,
    Symbol,
    contract,
    leaf,
    size,
)
from bileveldsl.language import ast
from bileveldsl.language.diagnostics import Collector, Diagnostic, Related, Span
from bileveldsl.language.elaborate import functions, tensor
from bileveldsl.language.elaborate.domain import Domain
from bileveldsl.language.elaborate.fixed import Fixed
from bileveldsl.language.elaborate.indices import Indices
from bileveldsl.language.elaborate.scope import ARTICLES, Scope, unknown
from bileveldsl.language.elaborate.sets import IndexSet, integer_set, plain_set
from bileveldsl.language.elaborate.sizes import Sizes
from bileveldsl.language.elaborate.subscripts import Subscripts
from bileveldsl.language.elaborate.tensor import ShapeError, Tensor, number
from bileveldsl.places import Places


@dataclass
class Expressions:
    """Turns expression nodes into Tensors; `None` stands for one whose mistake is already reported.

    `lookup` gives the array of a declared name (a parameter, variable or definition), or None after an error; `dual`
    that of the multiplier of a constraint.
    """

    scope: Scope
    diagnostics: Collector
    sizes: Sizes
    lookup: Callable[[str], Tensor | None]
    dual: Callable[[ast.Name], Tensor | None]
    indices: Indices = field(init=False)
    subscripts: Subscripts = field(init=False)
    fixed: Fixed = field(init=False)
    domain: Domain = field(init=False)
    places: Places = field(default_factory=Places, init=False)
    families: dict[Dim, IndexSet] = field(default_factory=dict, init=False)  # of constraints over no declared set
    _plain: dict[Dim, IndexSet] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.fixed = Fixed(self.array, self.report)
        self.indices = Indices(self.scope, self.report, self.domain_set)
        self.subscripts = Subscripts(self.indices, self.fixed, self.report, self.set_of)
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
        run: list[tuple[ast.Binary, Tensor]] = []  # what waits to be joined in one go: pairwise costs its square
        for operation in reversed(spine):
            right = self._node(operation.right)
            if run and operation.operator not in _TOGETHER.get(run[0][0].operator, ""):
                result, run = self._noted(_joined(result, run), run[-1][0]), []
            if operation.operator in "+-*" and result and right and (not right.axes or right.dims == result.dims):
                run.append((operation, right))
            else:
                before = self._noted(_joined(result, run), run[-1][0]) if run else result
                result, run = self._noted(self._binary(operation, before, right), operation), []
        return self._noted(_joined(result, run), run[-1][0]) if run else result

    def _noted(self, result: Tensor | None, node: ast.Expression) -> Tensor | None:
        """The array that an expression stands for, its place kept."""
        if result is not None:
            self.places.note(result.expr, node.span)
        return result

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
        return self.array(node) if isinstance(node, ast.Binary) else self._noted(self._simple(node), node)

    def _simple(self, node: ast.Expression) -> Tensor | None:
        if isinstance(node, ast.Number):
            return number(sympy.Rational(node.value.numerator, node.value.denominator))
        if isinstance(node, ast.Infinity):
            return number(sympy.oo)
        if isinstance(node, ast.Name):
            return self._name(node)
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
            return self._index_value(node)
        if node.name == "pi" and node.name not in self.scope.declarations:
            return number(sympy.pi)
        declaration = self.scope.find(node.name, node.span, self.indices.bound)
        if declaration is None:
            return None
        if declaration.kind == "dim":
            dim = self.sizes.known.get(node.name)
            return None if dim is None else Tensor(size(dim))
        if declaration.kind in ("set", "constraint"):
            label = f"{node.name} is {ARTICLES[declaration.kind]}"
            return self.report(
                "E205", f"{label}, not a number", node.span, "", "", (Related(declaration.span, "declared here"),)
            )
        return self.lookup(node.name)

    def _index_value(self, node: ast.Name) -> Tensor | None:
        """An index used as a number, where its labels are numbers."""
        index = self.indices.bound[node.name]
        values = index.columns[0].values if len(index.columns) == 1 else None
        if values is None:
            text = f"the labels of the index {node.name} are not numbers"
            return self.report("E205", text, node.span, "", "use it between brackets")
        symbol = Symbol(node.name, "data", (index.axis.dim,), values)
        return Tensor(leaf(symbol, [index.axis]))

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
        if len(arguments) > 1 and isinstance(last, ast.Name) and self._axis_dim(last.name) and node.function != "huber":
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
            found = [axis for axis in arrays[0].axes if axis.dim == self._axis_dim(last.name)]
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
        """`sum(e for i in I, (j, k) in A if i == j)`, and `min`, `max` and `prod` likewise."""
        if node.function not in ("sum", "min", "max", "prod") or len(node.arguments) != 1:
            mend = "use sum, min, max or prod"
            return self.report("E305", f"{node.function} does not take 'for'", node.span, "", mend)
        with self.indices.running(node.generators, node.guard) as run:
            body = None if run is None else self.array(node.arguments[0])
        if body is None or run is None:
            return None
        labels, factor = run
        if node.function == "sum":
            return Tensor(contract([body.expr, factor], labels), body.axes)
        if factor is not ONE:
            text = f"the condition of {node.function} holds indices from outside it"
            return self.report("E305", text, node.guard.span if node.guard else node.span)
        whole = Tensor(body.expr, (*body.axes, *labels))
        return self._shaped(lambda: _apply(node.function, [whole], tuple(labels)), node.span, [node.span])

    def _index(self, node: ast.Index) -> Tensor | None:
        base = self.array(node.base)
        return None if base is None else self.subscripts.take(base, node)

    def _attribute(self, node: ast.Attribute) -> Tensor | None:
        if node.name == "dual":
            return self._dual(node)
        if node.name != "T":
            return self.report("E210", f"unknown attribute .{node.name}", node.span, "", ".T transposes a matrix")
        base = self.array(node.base)
        return None if base is None else self._shaped(lambda: tensor.transpose(base), node.span, [node.base.span])

    def _dual(self, node: ast.Attribute) -> Tensor | None:
        """`label.dual`, or `label[i, j].dual` for the element of a family."""
        indexed = node.base if isinstance(node.base, ast.Index) else None
        name = node.base if indexed is None else indexed.base
        if not isinstance(name, ast.Name):
            text = "only a constraint has a dual"
            return self.report("E328", text, node.span, "", "write LABEL.dual, or LABEL[index].dual")
        found = self.dual(name)
        return found if found is None or indexed is None else self.subscripts.take(found, indexed)

    # ---- sets ----

    def _axis_dim(self, name: str) -> Dim | None:
        """The dim, or the dim of the set, with that name."""
        return self.sizes.sets[name].dim if name in self.sizes.sets else self.sizes.known.get(name)

    def set_of(self, dim: Dim) -> IndexSet:
        """The members of an axis."""
        known = self.sizes.sets.get(dim.name)
        if known is not None and known.dim == dim:
            return known
        return self.families.get(dim) or self._plain_set(dim)

    def name_members(self, axis: Axis) -> None:
        """Keep the members that the indices of a family take along an axis, so that its elements can be named."""
        if axis.dim.name not in self.sizes.sets and axis.dim.name not in self.sizes.known:
            indices = [index for index in self.indices.bound.values() if index.axis == axis]
            self.families[axis.dim] = IndexSet(axis.dim, tuple(column for i in indices for column in i.columns))

    def _plain_set(self, dim: Dim) -> IndexSet:
        if dim not in self._plain:
            self._plain[dim] = plain_set(dim)
        return self._plain[dim]

    def domain_set(self, node: ast.Expression) -> IndexSet | None:
        """The set that a generator runs over, or None after an error."""
        if isinstance(node, ast.Range):
            labels = self.fixed.range(node)
            return None if labels is None else integer_set(node.span.text, labels)
        if not isinstance(node, ast.Name):
            return self.report("E205", "an index runs over a set, a dim or a range", node.span)
        declaration = self.scope.find(node.name, node.span)
        if declaration is None:
            return None
        if declaration.kind == "set":
            return self.sizes.sets.get(node.name)
        if declaration.kind != "dim":
            related = (Related(declaration.span, "declared here"),)
            text = f"{node.name} is {ARTICLES[declaration.kind]}, not a set or a dim"
            return self.report("E205", text, node.span, "", "an index runs over a set, a dim or a range", related)
        dim = self.sizes.known.get(node.name)
        return None if dim is None else self._plain_set(dim)

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
        if code not in ABOUT_SIZES or not self.sizes.unread:
            self.diagnostics.add(Diagnostic(code, message, span, label, related, help))
        return None


ABOUT_SIZES = frozenset({"E306", "E321", "E323"})
"""What may be wrong only because the size of a dim is made up."""

_TOGETHER = {"+": "+-", "-": "+-", "*": "*"}


def _joined(first: Tensor | None, run: Sequence[tuple[ast.Binary, Tensor]]) -> Tensor | None:
    """A sum or a product, of terms or factors over the same axes."""
    if first is None or not run:
        return first
    operands = [functions.argument(k) for k in range(len(run) + 1)]
    if run[0][0].operator == "*":
        whole = sympy.Mul(*operands)
    else:
        signs = [1, *(1 if operation.operator == "+" else -1 for operation, _ in run)]
        whole = sympy.Add(*(sign * operand for sign, operand in zip(signs, operands, strict=True)))
    return tensor.elementwise(whole, [first, *(operand for _, operand in run)])


def _apply(name: str, arrays: Sequence[Tensor], over: tuple[Axis, ...] | None) -> Tensor:
    if name in functions.ELEMENTWISE:
        return functions.call_elementwise(name, arrays)
    if name == "huber":
        return functions.call_huber(arrays)
    if name in functions.EXTREMA:
        return functions.call_extremum(name, arrays, over)
    return functions.call_reduction(name, arrays, over)
