"""The levels of a program: variables with bounds, objectives, constraints, claims."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import count
from typing import Any, Literal

import numpy as np

from bileveldsl.calculus.expr import ONE, Axis, Expr, Symbol, distinct_axes, leaf, rename, symbols_of
from bileveldsl.language import ast
from bileveldsl.language.diagnostics import Collector, Diagnostic, Related, Span
from bileveldsl.language.elaborate.expressions import Expressions
from bileveldsl.language.elaborate.scope import unknown
from bileveldsl.language.elaborate.sizes import Sizes
from bileveldsl.language.elaborate.tensor import ShapeError, Tensor, align
from bileveldsl.program import FACTS, Claim, Constraint, Level, Variable


@dataclass
class Levels:
    """Builds each level of the program from its block."""

    expressions: Expressions
    sizes: Sizes
    diagnostics: Collector
    variables: dict[str, Symbol]
    labels: set[str] = field(default_factory=set)  # that followers gave to constraints without one

    def declare(self, level: ast.Level) -> None:
        """Give every variable of a block its symbol, so that both blocks can name it."""
        for statement in level.statements:
            if isinstance(statement, ast.Var):
                dims = self.sizes.dims(statement.axes)
                place = statement.name_span or statement.span
                if dims is not None and self.sizes.affordable(statement.name, dims, place):
                    self.variables[statement.name] = Symbol(statement.name, "variable", dims)

    def build(self, level: ast.Level) -> Level | None:
        """The level, or None when its objective is at fault."""
        objective = next(s for s in level.statements if isinstance(s, ast.Objective))
        value = self.expressions.scalar(objective.expression, "the objective")
        variables: list[Variable] = []
        constraints: list[Constraint] = []
        claims: list[Claim] = []
        ties: Literal["optimistic", "pessimistic"] = "optimistic"
        minibatch: list[Axis] = []
        names = set(self.expressions.scope.declarations)
        if level.role == "lower":
            names = self.labels = self.labels | names
        for statement in level.statements:
            if isinstance(statement, ast.Var) and statement.name in self.variables:
                if self.sizes.made_up(self.variables[statement.name].dims):
                    self._names_of(statement)
                    continue
                variable, own = self._variable(statement)
                variables.append(variable)
                constraints += [_with_dual(c) for c in own] if level.role == "lower" else own
            elif isinstance(statement, ast.Constraint):
                label = statement.label or next(c for k in count(len(constraints) + 1) if (c := f"c{k}") not in names)
                names.add(label)
                own = self._constraint(statement, label)
                constraints += [_with_dual(c) for c in own] if level.role == "lower" else own
            elif isinstance(statement, ast.Claim):
                claims += self._claim(statement)
            elif isinstance(statement, ast.Ties):
                ties = statement.rule
            elif isinstance(statement, ast.Minibatch):
                dims = self.sizes.dims((statement.axis,))
                minibatch += distinct_axes(dims or ())
        if value is None:
            return None
        span = level.head_span or level.span
        return Level(
            level.role, level.name, objective.sense, value, tuple(variables), tuple(constraints), tuple(claims),
            ties, tuple(minibatch), span, objective.expression.span,
        )  # fmt: skip

    # ---- variables ----

    def _names_of(self, node: ast.Var) -> None:
        """Report the mistakes in bounds and start that show without the size of the variable."""
        for part in (node.lower, node.upper, node.start):
            if part is not None and not isinstance(part, ast.List):
                self.expressions.array(part)

    def _variable(self, node: ast.Var) -> tuple[Variable, list[Constraint]]:
        symbol = self.variables[node.name]
        lower, below = self._bound(node, node.lower, symbol, -np.inf)
        upper, above = self._bound(node, node.upper, symbol, np.inf)
        if node.kind == "binary":
            lower, upper = np.maximum(lower, 0.0), np.minimum(upper, 1.0)
        crossed = np.argwhere(lower > upper)
        if len(crossed):
            at = tuple(int(k) for k in crossed[0])
            place = f" at {list(at)}" if at else ""
            text = f"the lower bound {lower[at]:g} of {node.name} exceeds the upper bound {upper[at]:g}{place}"
            self._error("E312", text, node.span, "no value is left")
        start = None
        if node.start is not None:
            start = self.expressions.fixed.values(node.start, symbol.dims, f"the start of {node.name}")
            if start is not None and (np.any(start < lower) or np.any(start > upper)):
                self._error(
                    "W304",
                    f"the start of {node.name} lies outside its bounds",
                    node.start.span,
                    "moved to the nearest bound",
                )
                start = np.clip(start, lower, upper)
        variable = Variable(symbol, lower, upper, start, node.name_span or node.span, node.kind, node.doc)
        rows = [(below, None), (None, above)]
        constraints = [
            Constraint(f"{node.name}.{'lower' if low else 'upper'}", leaf(symbol), low.expr if low else None,
                       high.expr if high else None, symbol.axes, node.span)
            for low, high in rows if low or high
        ]  # fmt: skip
        return variable, constraints

    def _bound(
        self, node: ast.Var, bound: ast.Expression | None, symbol: Symbol, default: float
    ) -> tuple[np.ndarray, Tensor | None]:
        """The numbers of a bound, or a constraint when variables enter it."""
        free = np.broadcast_to(default, symbol.shape)
        if bound is None:
            return free, None
        what = f"the bound of {node.name}"
        if not isinstance(bound, ast.List | ast.Number):
            value = self.expressions.array(bound)
            if value is None:
                return free, None
            if any(s.role == "variable" for s in symbols_of(value.expr)):
                own = Tensor(leaf(symbol), symbol.axes)
                return free, self._aligned([own, value], bound.span, what)[1]
        values = self.expressions.fixed.values(bound, symbol.dims, what)
        return (free if values is None else values), None

    # ---- constraints ----

    def _constraint(self, node: ast.Constraint, label: str) -> list[Constraint]:
        if not node.generators:
            return self._relation(node, label, ())
        with self.expressions.indices.running(node.generators, node.guard) as run:
            if run is None:
                return []
            labels, factor = run
            if factor is not ONE:
                assert node.guard is not None
                self._error("E323", "this condition holds indices from outside the family", node.guard.span)
                return []
            for axis in labels:
                self.expressions.name_members(axis)
            return self._relation(node, label, tuple(labels))

    def _relation(self, node: ast.Constraint, label: str, indices: tuple[Axis, ...]) -> list[Constraint]:
        """The constraint for every element of its sides and, in a family, for every member that the indices take."""
        sides = [self.expressions.array(operand) for operand in node.operands]
        if any(side is None for side in sides):
            return []
        operands = [side for side in sides if side is not None]
        aligned = self._aligned(operands, node.span, "the constraint", [o.span for o in node.operands])
        if any(a is None for a in aligned):
            return []
        axes = (*indices, *next((t.axes for t in operands if t.axes), ()))
        plain = distinct_axes([axis.dim for axis in axes])
        names = dict(zip(axes, plain, strict=True))
        exprs = [rename(side.expr, names) for side in aligned if side]
        # a <= b is about its left side unless only the right one has variables; a <= e <= b is about e.
        varies = [any(s.role == "variable" for s in symbols_of(expr)) for expr in exprs]
        if not any(varies):
            text = f"the constraint {label} has no variable"
            mend = "check its names: it is true or false whatever the levels decide"
            self._error("E317", text, node.span, "", mend)
            return []
        rows = self._rows(label, node, exprs, varies)
        return [Constraint(name, body, low, high, plain, node.span, node.doc) for name, body, low, high in rows]

    def _rows(
        self, label: str, node: ast.Constraint, sides: list[Expr], varies: list[bool]
    ) -> list[tuple[str, Expr, Any, Any]]:
        if len(sides) == 2:
            (left, right), relation = sides, str(node.relations[0])
            if not varies[0]:
                left, right, relation = right, left, {"<=": ">=", ">=": "<=", "==": "=="}[relation]
            low = right if relation in (">=", "==") else None
            high = right if relation in ("<=", "==") else None
            return [(label, left, low, high)]
        first, body, last = sides
        if not varies[1]:
            self._error(
                "E319", "the middle of a range constraint needs a variable", node.span, "", "write two constraints"
            )
            return []
        low, high = (first, last) if node.relations[0] == "<=" else (last, first)
        return [(label, body, low, high)]

    def _aligned(
        self, operands: Sequence[Tensor], span: Span, what: str, spans: Sequence[Span] = ()
    ) -> list[Tensor] | list[None]:
        try:
            return align(operands, "compare")
        except ShapeError as error:
            places = list(zip(spans, error.labels, strict=False))
            related = tuple(Related(place, label) for place, label in places[1:])
            first = places[0] if places else (span, "")
            self.diagnostics.add(
                Diagnostic(error.code, f"{error.message} in {what}", first[0], first[1], related, error.help)
            )
            return [None] * len(operands)

    def _claim(self, node: ast.Claim) -> list[Claim]:
        if node.fact not in FACTS:
            self.diagnostics.add(unknown("E209", "property", node.fact, node.span, FACTS))
            return []
        value = None
        if node.constant is not None:
            number = self.expressions.fixed.values(node.constant, (), f"the constant of {node.fact}")
            if number is None:
                return []
            if not number > 0:
                self._error("E209", f"the constant of {node.fact} must be positive", node.constant.span)
                return []
            value = _exact(node.constant, float(number))
        return [Claim(node.mode, node.fact, value, node.span)]

    def _error(self, code: str, message: str, span: Span, label: str = "", help: str = "") -> None:
        self.diagnostics.add(Diagnostic(code, message, span, label, (), help))


def _with_dual(constraint: Constraint) -> Constraint:
    dims = tuple(axis.dim for axis in constraint.axes)
    return replace(constraint, dual=Symbol(f"{constraint.label}.dual", "variable", dims))


def _exact(node: ast.Expression, value: float) -> Fraction:
    return node.value if isinstance(node, ast.Number) else Fraction(value)
