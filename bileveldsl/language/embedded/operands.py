"""The parts that expressions are built from: all of one model, none nested beyond what its text may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bileveldsl.language import ast
from bileveldsl.language.diagnostics import Span
from bileveldsl.language.embedded.errors import fail, kind_of
from bileveldsl.language.embedded.literals import exact, number
from bileveldsl.language.embedded.names import check_text
from bileveldsl.language.newlines import MAX_NESTING

if TYPE_CHECKING:
    from bileveldsl.language.embedded.builder import ModelBuilder

SUM, PRODUCT, SIGN, POWER, ATOM = range(1, 6)
"""How tightly a node binds; a looser operand stands in parentheses in the text."""

_MAX_DEPTH = MAX_NESTING - 4  # the statement around an expression nests too
_MAX_SIZE = 1_000_000
_LITERAL_DEPTH = 2  # a sign in parentheses


class Part:
    """Something built from the names of one model, with the depth and size that its text has."""

    __slots__ = ("__weakref__", "depth", "model", "node", "size")

    def __init__(self, node: ast.Expression, operands: Operands, nests: int = 1):
        self.node = node
        self.model = operands.model
        self.depth = operands.depth + nests
        self.size = operands.size + 1
        if self.depth > _MAX_DEPTH:
            fail("E268", f"this expression nests deeper than {_MAX_DEPTH} levels", node.span,
                 help="give parts of it a name with `let`")  # fmt: skip
        if self.size > _MAX_SIZE:
            fail("E268", f"this expression has more than {_MAX_SIZE} terms when written out", node.span,
                 help="give parts that come again a name with `let`, or sum over an axis")  # fmt: skip

    def __repr__(self) -> str:
        from bileveldsl.language.embedded.show import short

        return short(self.node)


class Term(Part):
    """A part that may be an operand."""

    __slots__ = ("binds",)

    def __init__(self, node: ast.Expression, operands: Operands, nests: int = 1, binds: int = ATOM):
        super().__init__(node, operands, nests)
        self.binds = binds


class Operands:
    """Turns Python values into nodes of one model."""

    __slots__ = ("depth", "model", "size")

    def __init__(self, model: ModelBuilder | None = None):
        self.model = model
        self.depth = 0
        self.size = 0

    def join(self, part: Part, span: Span) -> None:
        """Admit a part only when it is of the same model (or of none, as an index is)."""
        if part.model is not self.model and part.model is not None:
            if self.model is not None:
                fail("E250", f"`{part!r}` belongs to another model, {part.model.name}", span, shown=part,
                     help=f"build it from the names of the model {self.model.name}")  # fmt: skip
            self.model = part.model
        self.size += part.size
        if part.depth > self.depth:
            self.depth = part.depth

    def node(self, value: object, span: Span, binds: int = SUM, *, text: bool = False) -> ast.Expression:
        """The node of an operand that must bind as tightly as `binds`; a name points to where it is used."""
        if isinstance(value, Term):
            self.join(value, span)
            if value.binds < binds and value.depth == self.depth:
                self.depth += 1
            node = value.node
            return ast.Name(node.name, span=span) if type(node) is ast.Name else node
        if text and isinstance(value, str):
            return ast.Text(check_text(value, span), span=span)
        exactly = exact(value, span)
        if exactly is not None:
            self.depth = max(self.depth, _LITERAL_DEPTH)
            self.size += 1
            return number(exactly, span)
        if getattr(value, "shape", None) == () and hasattr(value, "item"):
            return self.node(value.item(), span)
        if isinstance(value, Part):
            fail("E254", "a relation cannot stand inside an expression", span, shown=value,
                 help="a relation states a constraint; it is neither 0 nor 1")  # fmt: skip
        if hasattr(value, "__array__") or isinstance(value, (list, tuple)):
            fail("E253", f"{kind_of(value)} has no axes", span, shown="an array",
                 help='make it a parameter, which names them: m.param("a", n, value=...)')  # fmt: skip
        fail("E254", f"{kind_of(value)} is not an expression", span, shown=value,
             help="expressions are made of numbers and of what the model declares")  # fmt: skip
