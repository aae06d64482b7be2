"""The abstract syntax tree: what a model says, before any name is looked up.

The text parser and the Python interface build the same nodes. Two trees are equal when they say
the same; spans do not take part in the comparison.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, TypeAlias

from bileveldsl.language.diagnostics import Span


@dataclass(frozen=True)
class Node:
    span: Span = field(compare=False, repr=False, kw_only=True)


# ---- expressions ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Number(Node):
    """A literal, kept exactly: `0.1` is 1/10. Infinity is the name `inf`."""

    value: Fraction


@dataclass(frozen=True)
class Infinity(Node):
    pass


@dataclass(frozen=True)
class Text(Node):
    """A string: a member of a set."""

    value: str


@dataclass(frozen=True)
class Name(Node):
    name: str


@dataclass(frozen=True)
class Unary(Node):
    operator: Literal["-", "+"]
    operand: Expression


@dataclass(frozen=True)
class Binary(Node):
    operator: Literal["+", "-", "*", "/", "@", "^"]
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Call(Node):
    """`f(a, b, axis)`; `generators` and `guard` hold the `for ... if ...` of an aggregate."""

    function: str
    arguments: tuple[Expression, ...]
    keywords: tuple[Keyword, ...] = ()
    generators: tuple[Generator, ...] = ()
    guard: Expression | None = None
    function_span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Keyword(Node):
    name: str
    value: Expression


@dataclass(frozen=True)
class Slice(Node):
    """`start:stop` between brackets, `:` alone for everything; counted from 0, stop excluded."""

    start: Expression | None = None
    stop: Expression | None = None


@dataclass(frozen=True)
class Index(Node):
    base: Expression
    items: tuple[Expression, ...]  # a Slice only here


@dataclass(frozen=True)
class Attribute(Node):
    """`X.T` or `label.dual`."""

    base: Expression
    name: str


@dataclass(frozen=True)
class Tuple(Node):
    items: tuple[Expression, ...]


@dataclass(frozen=True)
class List(Node):
    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Range(Node):
    """`first..last`, both included; the members of a set."""

    first: Expression
    last: Expression


@dataclass(frozen=True)
class Compare(Node):
    """A condition of a guard: `i != j`, `i == v`, `i < j`."""

    operator: Literal["<=", ">=", "==", "!=", "<", ">"]
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Member(Node):
    """`(i, j) in ARCS` in a guard."""

    item: Expression
    set: Name


@dataclass(frozen=True)
class Logical(Node):
    operator: Literal["and", "or", "not"]
    operands: tuple[Expression, ...]


@dataclass(frozen=True)
class Generator(Node):
    """`i in I`, `(i, j) in A`, `t in 1..T`."""

    targets: tuple[Name, ...]
    domain: Expression  # Name or Range


Expression: TypeAlias = (
    Number | Infinity | Text | Name | Unary | Binary | Call | Slice | Index | Attribute | Tuple | List | Range
    | Compare | Member | Logical
)

# ---- declarations ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Dim(Node):
    """`dim n` or `dim n = 3`."""

    name: str
    size: Expression | None = None
    doc: str = field(default="", compare=False)
    name_span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Set(Node):
    name: str
    within: tuple[Name, ...] = ()
    value: Expression | None = None  # List or Range
    source: DataSource | None = None
    doc: str = field(default="", compare=False)
    name_span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class DataSource(Node):
    """`from "file.npz"["key"]`: a path relative to the model, and keys into it."""

    path: str
    keys: tuple[str, ...] = ()


Axis: TypeAlias = Name | Number


@dataclass(frozen=True)
class Param(Node):
    """One parameter; `param a[n], b[n] from "f.npz"` is two, each with the same source."""

    name: str
    axes: tuple[Axis, ...] = ()
    value: Expression | None = None  # an expression or a List
    source: DataSource | None = None
    doc: str = field(default="", compare=False)
    name_span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Let(Node):
    name: str
    axes: tuple[Axis, ...]
    value: Expression
    doc: str = field(default="", compare=False)
    name_span: Span | None = field(default=None, compare=False, repr=False)


# ---- levels ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Var(Node):
    name: str
    axes: tuple[Axis, ...] = ()
    kind: Literal["continuous", "integer", "binary"] = "continuous"
    lower: Expression | None = None
    upper: Expression | None = None
    start: Expression | None = None
    doc: str = field(default="", compare=False)
    name_span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Objective(Node):
    sense: Literal["minimize", "maximize"]
    expression: Expression


@dataclass(frozen=True)
class Constraint(Node):
    """`label[i in I]: a <= b` or `a <= b <= c`; operands has one more entry than relations."""

    label: str | None
    operands: tuple[Expression, ...]
    relations: tuple[Literal["<=", ">=", "=="], ...]
    generators: tuple[Generator, ...] = ()
    guard: Expression | None = None
    doc: str = field(default="", compare=False)
    label_span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Ties(Node):
    rule: Literal["optimistic", "pessimistic"]


@dataclass(frozen=True)
class Claim(Node):
    """`require strongly_convex(0.1)` (must be proved) or `assume ...` (trusted, and shown)."""

    mode: Literal["require", "assume"]
    fact: str
    constant: Expression | None = None


@dataclass(frozen=True)
class Minibatch(Node):
    """`minibatch n`: sums over the axis may be sampled."""

    axis: Name


Statement: TypeAlias = Var | Objective | Constraint | Let | Ties | Claim | Minibatch


@dataclass(frozen=True)
class Level(Node):
    """`upper { }` or `lower [name] { }`, statements in the order written."""

    role: Literal["upper", "lower"]
    name: str  # "upper", "lower", or the follower's own name
    statements: tuple[Statement, ...]
    head_span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Option(Node):
    name: str
    value: str | Fraction | bool | float  # float only for inf and -inf


@dataclass(frozen=True)
class Options(Node):
    options: tuple[Option, ...]


Item: TypeAlias = Dim | Set | Param | Let | Level | Options


@dataclass(frozen=True)
class Model(Node):
    """A whole model: its name and its items in the order written."""

    name: str
    items: tuple[Item, ...]
    doc: str = field(default="", compare=False)
