"""Relations between expressions: constraints, families of them, and conditions on indices."""

from __future__ import annotations

from typing import Any, Literal, NoReturn

from bileveldsl.language import ast
from bileveldsl.language.diagnostics import Span
from bileveldsl.language.embedded.errors import fail, kind_of
from bileveldsl.language.embedded.operands import Operands, Part
from bileveldsl.language.embedded.spans import here


class Condition(Part):
    """What a `where=` may hold; `&`, `|` and `~` combine conditions."""

    __slots__ = ()

    def _combine(self, operator: Literal["and", "or"], other: object) -> Condition:
        place = here()
        if not isinstance(other, Condition):
            sign = "&" if operator == "and" else "|"
            fail("E254", f"`{sign}` combines two conditions, not {kind_of(other)}", place.span, shown=self,
                 help=f"put each comparison in parentheses: (i != j) {sign} (j != k)")  # fmt: skip
        operands = Operands()
        for condition in (self, other):
            operands.join(condition, place.span)
        node = self.node
        # The text says `a and b and c` in one go, and so does `a & b & c`.
        first = node.operands if isinstance(node, ast.Logical) and node.operator == operator else (node,)
        return Condition(ast.Logical(operator, (*first, other.node), span=place.span), operands)

    def __and__(self, other: object) -> Condition:
        return self._combine("and", other)

    def __or__(self, other: object) -> Condition:
        return self._combine("or", other)

    def __invert__(self) -> Condition:
        place = here()
        operands = Operands()
        operands.join(self, place.span)
        return Condition(ast.Logical("not", (self.node,), span=place.span), operands, nests=2)

    def __bool__(self) -> bool:
        fail("E255", "a relation of model expressions is neither true nor false", here().span, shown=self,
             help="write `a <= e <= b` as blv.between(a, e, b) or as two constraints; "
                  "and/or/not as &, |, ~; Python's min and max as blv.min and blv.max")  # fmt: skip

    def _refuse_chain(self, other: object) -> NoReturn:
        fail("E255", "a relation cannot be compared again", here().span, shown=self,
             help="write `a <= e <= b` as blv.between(a, e, b)")  # fmt: skip

    __le__ = __lt__ = __ge__ = __gt__ = _refuse_chain

    def _refuse_arithmetic(self, other: object = None) -> NoReturn:
        fail("E254", "a relation cannot stand inside an expression", here().span, shown=self,
             help="a relation states a constraint; it is neither 0 nor 1")  # fmt: skip

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __neg__ = __pos__ = _refuse_arithmetic
    __truediv__ = __rtruediv__ = __matmul__ = __rmatmul__ = __pow__ = __rpow__ = _refuse_arithmetic


class Relation(Condition):
    """`a <= b`, or `a <= e <= b` made by `between`: a constraint, or a condition on indices."""

    __slots__ = ("operands", "relations")

    def __init__(self, nodes: tuple[ast.Expression, ...], relations: tuple[Any, ...], span: Span, operands: Operands):
        parts = tuple(
            ast.Compare(operator, left, right, span=span)
            for operator, left, right in zip(relations, nodes, nodes[1:], strict=False)
        )
        super().__init__(parts[0] if len(parts) == 1 else ast.Logical("and", parts, span=span), operands, nests=0)
        self.operands = nodes
        self.relations = relations


class Family(Part):
    """One relation for every member of some sets."""

    __slots__ = ("generators", "guard", "relation")

    def __init__(self, relation: Relation, generators: tuple[ast.Generator, ...], guard: ast.Expression | None,
                 operands: Operands):  # fmt: skip
        super().__init__(relation.node, operands, nests=0)
        self.relation = relation
        self.generators = generators
        self.guard = guard
