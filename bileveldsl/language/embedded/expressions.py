"""Expressions of a model as Python objects; operators build the nodes that the text would."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NoReturn

from bileveldsl.language import ast
from bileveldsl.language.diagnostics import Span
from bileveldsl.language.embedded.errors import fail, kind_of
from bileveldsl.language.embedded.operands import ATOM, POWER, PRODUCT, SIGN, SUM, Operands, Part, Term
from bileveldsl.language.embedded.relations import Condition, Relation
from bileveldsl.language.embedded.spans import MIRRORED, here

if TYPE_CHECKING:
    from bileveldsl.language.embedded.builder import ModelBuilder

_UFUNC_OPERATORS = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "matmul": "@", "power": "^",
    "less_equal": "<=", "greater_equal": ">=", "equal": "==", "not_equal": "!=", "less": "<", "greater": ">",
}  # fmt: skip


_BINDS = {"+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "@": PRODUCT, "^": POWER}


def binary(operator: Any, left: object, right: object) -> Expression:
    """The operation as the user wrote it."""
    place = here()
    left_span, right_span = place.operands(operator)
    operands = Operands()
    binds = _BINDS[operator]
    power = binds == POWER
    nodes = (
        operands.node(left, left_span, ATOM if power else binds),
        operands.node(right, right_span, SIGN if power else binds + 1),
    )
    return Formula(ast.Binary(operator, *nodes, span=place.span), operands, int(power), binds)


def compare(operator: Any, left: object, right: object) -> Relation:
    """A relation, as a constraint or a condition on indices."""
    place = here()
    left_span, right_span = place.operands(operator)
    operands = Operands()
    nodes = operands.node(left, left_span, text=True), operands.node(right, right_span, text=True)
    return Relation(nodes, (operator,), place.span, operands)


def _refuse(message: str, mend: str) -> Any:
    def refuse(self: Expression, *_: object) -> NoReturn:
        fail("E258", message, here().span, shown=self, help=mend)

    return refuse


class Expression(Term):
    """What stands for numbers, and has no value until the model is solved: a formula or a declared name.

    No class that is made objects of derives from another: Python would swap the sides of a comparison of the two.
    """

    __slots__ = ()
    __hash__ = object.__hash__

    def __add__(self, other: object) -> Expression:
        return binary("+", self, other)

    def __radd__(self, other: object) -> Expression:
        return binary("+", other, self)

    def __sub__(self, other: object) -> Expression:
        return binary("-", self, other)

    def __rsub__(self, other: object) -> Expression:
        return binary("-", other, self)

    def __mul__(self, other: object) -> Expression:
        return binary("*", self, other)

    def __rmul__(self, other: object) -> Expression:
        return binary("*", other, self)

    def __truediv__(self, other: object) -> Expression:
        return binary("/", self, other)

    def __rtruediv__(self, other: object) -> Expression:
        return binary("/", other, self)

    def __matmul__(self, other: object) -> Expression:
        return binary("@", self, other)

    def __rmatmul__(self, other: object) -> Expression:
        return binary("@", other, self)

    def __pow__(self, other: object) -> Expression:
        return binary("^", self, other)

    def __rpow__(self, other: object) -> Expression:
        return binary("^", other, self)

    def _unary(self, operator: Literal["-", "+"]) -> Expression:
        place = here()
        operands = Operands()
        node = ast.Unary(operator, operands.node(self, place.base, SIGN), span=place.span)
        return Formula(node, operands, binds=SIGN)

    def __neg__(self) -> Expression:
        return self._unary("-")

    def __pos__(self) -> Expression:
        return self._unary("+")

    def __abs__(self) -> Expression:
        place = here()
        operands = Operands()
        argument = operands.node(self, place.argument(0))
        return Formula(ast.Call("abs", (argument,), function_span=place.function, span=place.span), operands)

    def __le__(self, other: object) -> Relation:
        return compare("<=", self, other)

    def __ge__(self, other: object) -> Relation:
        return compare(">=", self, other)

    def __lt__(self, other: object) -> Relation:
        return compare("<", self, other)

    def __gt__(self, other: object) -> Relation:
        return compare(">", self, other)

    def __eq__(self, other: object) -> Relation:  # type: ignore[override]
        return compare("==", self, other)

    def __ne__(self, other: object) -> Relation:  # type: ignore[override]
        return compare("!=", self, other)

    @property
    def T(self) -> Expression:
        """The transpose."""
        place = here()
        operands = Operands()
        return Formula(ast.Attribute(operands.node(self, place.base, ATOM), "T", span=place.span), operands)

    def __getitem__(self, key: object) -> Expression:
        place = here()
        operands = Operands()
        base = operands.node(self, place.base, ATOM)
        keys = key if isinstance(key, tuple) else (key,)
        items = tuple(_item(operands, item, place.item(position)) for position, item in enumerate(keys))
        return Formula(ast.Index(base, items, span=place.span), operands, nests=2)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: object, **_: object) -> object:
        """Operators with a NumPy scalar or array on the left; NumPy's functions are refused."""
        operator = _UFUNC_OPERATORS.get(ufunc.__name__) if method == "__call__" else None
        if operator is None or len(inputs) != 2:
            self._refuse_numpy(ufunc.__name__)
        return compare(operator, *inputs) if operator in MIRRORED else binary(operator, *inputs)

    def __array_function__(self, function: Any, *_: object) -> NoReturn:
        self._refuse_numpy(function.__name__)

    def _refuse_numpy(self, name: str) -> NoReturn:
        from bileveldsl.language.embedded import functions

        name = {"absolute": "abs", "arcsin": "asin", "arccos": "acos", "arctan": "atan"}.get(name, name)
        mend = f"use blv.{name}" if name in functions.__all__ else "the functions of a model are those of `blv`"
        fail("E258", f"NumPy's {name} needs values, and an expression has none", here().span, shown=self, help=mend)

    __array__ = _refuse("an expression has no values to make an array of", "solve the model, then ask solution[...]")
    __float__ = _refuse("an expression has no value", "use the functions of `blv` instead of those of `math`")
    __int__ = __index__ = __complex__ = _refuse("an expression has no value", "solve the model, then ask solution[...]")
    __iter__ = _refuse("an expression cannot be looped over", "index it: `x[i]`, or sum it: blv.sum(x)")
    __len__ = _refuse("an expression has no length", "its axes are declared by dims and sets")
    __contains__ = _refuse("membership has no value here", "inside where=, write ARCS.contains(i, j)")
    __bool__ = _refuse("an expression is neither true nor false", "compare Python's values instead")
    __xor__ = __rxor__ = _refuse("`^` is not an operator of Python's expressions", "write a power as x**2")
    __mod__ = __rmod__ = __floordiv__ = __rfloordiv__ = _refuse(
        "there is no division with remainder", "divide with `/`"
    )


def _item(operands: Operands, item: object, span: Span) -> ast.Expression:
    if isinstance(item, slice):
        if item.step not in (None, 1):
            fail("E259", "a slice goes in steps of 1", span, help="write start:stop")
        ends = (None if end is None else operands.node(end, span) for end in (item.start, item.stop))
        return ast.Slice(*ends, span=span)
    if isinstance(item, (bool, list, tuple)) or item is None or item is Ellipsis or isinstance(item, float):
        fail("E259", f"cannot index with {kind_of(item)}", span, shown=item,
             help="use an integer, a label, a slice or an index, one for each axis")  # fmt: skip
    return operands.node(item, span, text=True)


class Formula(Expression):
    """An expression that is made of others."""

    __slots__ = ()


class Declared(Expression):
    """A name of a model."""

    __slots__ = ()

    def __init__(self, name: str, model: ModelBuilder | None, span: Span):
        super().__init__(ast.Name(name, span=span), Operands(model), nests=0)

    @property
    def name(self) -> str:
        """The name, as declared."""
        assert isinstance(self.node, ast.Name)
        return self.node.name


class Named(Declared):
    """A declared parameter, definition or variable, or an index."""

    __slots__ = ()


class Dimension(Declared):
    """A declared `dim`: an axis, and in formulas its size."""

    __slots__ = ()


class IndexSet(Declared):
    """A declared `set`: an axis whose members have labels; `members` is None where a file or a formula tells them."""

    __slots__ = ("members",)

    def __init__(self, name: str, model: ModelBuilder, span: Span, members: list[Any] | None = None):
        super().__init__(name, model, span)
        self.members = members

    def contains(self, *item: object) -> Condition:
        """The condition that an index, or a tuple of them, is a member."""
        place = here()
        operands = Operands(self.model)
        nodes = tuple(operands.node(part, place.argument(k), text=True) for k, part in enumerate(item))
        member = nodes[0] if len(nodes) == 1 else ast.Tuple(nodes, span=place.span)
        return Condition(ast.Member(member, ast.Name(self.name, span=place.span), span=place.span), operands)


class Label(Part):
    """A constraint's label; its `dual` is the multiplier, for the upper level."""

    __slots__ = ("name",)

    def __init__(self, name: str, model: ModelBuilder, span: Span):
        super().__init__(ast.Name(name, span=span), Operands(model), nests=0)
        self.name = name

    @property
    def dual(self) -> Expression:
        """The multiplier of the constraint."""
        span = here().span
        return Formula(ast.Attribute(ast.Name(self.name, span=span), "dual", span=span), Operands(self.model))
