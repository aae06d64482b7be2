"""Formulas: what is written on paper, between an expression and its text.

Every formula stands for a table with rows, columns, both or neither. A vector is a column, its transpose a row;
elementwise operations repeat a column along the columns of the other side, and a row along the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import sympy

Shape = tuple[bool, bool]
SCALAR: Shape = (False, False)
COLUMN: Shape = (True, False)
ROW: Shape = (False, True)
MATRIX: Shape = (True, True)


@dataclass(frozen=True, eq=False)
class Formula:
    """A piece of notation with its parts; `shape` tells whether it has rows and columns."""

    parts: tuple[Formula, ...] = ()
    shape: Shape = SCALAR

    @cached_property
    def weight(self) -> int:
        """About the number of characters it takes to write."""
        return self._own_weight + sum(part.weight for part in self.parts)

    @property
    def _own_weight(self) -> int:
        return 3 * max(len(self.parts) - 1, 1)

    @cached_property
    def transposes(self) -> int:
        return isinstance(self, Transpose) + sum(part.transposes for part in self.parts)

    @cached_property
    def nameless(self) -> bool:
        """Whether the index sets of its rows and columns cannot be seen from the symbols in it."""
        cut = isinstance(self, Index) and any(s != ":" and not s.isdigit() for s in self.subscripts)
        return cut or isinstance(self, Stack) or any(part.nameless for part in self.parts)

    @cached_property
    def reduces(self) -> bool:
        """Whether a sum or another reduction over an axis occurs in it."""
        own = isinstance(self, MatrixProduct | Over) or (isinstance(self, Call) and self.name in REDUCTIONS)
        return own or any(part.reduces for part in self.parts)


REDUCTIONS = frozenset({"sum", "dot", "sumsq", "norm", "logsumexp", "softmax", "maximum", "minimum"})


@dataclass(frozen=True, eq=False)
class Number(Formula):
    """A number that is not negative; fractions are Products."""

    value: sympy.Expr = field(default=sympy.Integer(0), kw_only=True)


@dataclass(frozen=True, eq=False)
class Name(Formula):
    text: str = field(kw_only=True)

    @property
    def _own_weight(self) -> int:
        return len(self.text)


@dataclass(frozen=True, eq=False)
class Call(Formula):
    """A function: elementwise, a reduction along `axis` (all of the argument by default), or a special matrix.

    `eye`, `ones` and `unit` have no parts; their `axis` is the index set, and `unit` has a position in it.
    """

    name: str = field(kw_only=True)
    axis: str = field(default="", kw_only=True)
    position: int = field(default=0, kw_only=True)

    @property
    def _own_weight(self) -> int:
        return len(self.name) + len(self.axis) + 2 * max(len(self.parts), 1)


@dataclass(frozen=True, eq=False)
class Sum(Formula):
    signs: tuple[int, ...] = field(kw_only=True)


@dataclass(frozen=True, eq=False)
class Product(Formula):
    """The elementwise product of the first `count` parts divided by the others."""

    count: int = field(kw_only=True)

    @property
    def above(self) -> tuple[Formula, ...]:
        return self.parts[: self.count]

    @property
    def below(self) -> tuple[Formula, ...]:
        return self.parts[self.count :]


@dataclass(frozen=True, eq=False)
class MatrixProduct(Formula):
    pass


@dataclass(frozen=True, eq=False)
class Power(Formula):
    """The first part to the power of the second, elementwise."""


@dataclass(frozen=True, eq=False)
class Transpose(Formula):
    pass


@dataclass(frozen=True, eq=False)
class Index(Formula):
    """Elements of a part: `:`, numbers, ranges, labels."""

    subscripts: tuple[str, ...] = field(kw_only=True)

    @property
    def _own_weight(self) -> int:
        return 2 + sum(len(s) for s in self.subscripts)


@dataclass(frozen=True, eq=False)
class Over(Formula):
    """A reduction of a formula in indices over some of its labels: `sum`, `logsumexp`, `max`, `min`, `norm`.

    Each label comes with the name of its index set.
    """

    operation: str = field(kw_only=True)
    labels: tuple[tuple[str, str], ...] = field(kw_only=True)


@dataclass(frozen=True, eq=False)
class Relation(Formula):
    """1 where the relation `==` or `<=` between two parts holds, else 0."""

    sign: str = field(kw_only=True)


@dataclass(frozen=True, eq=False)
class Stack(Formula):
    """Parts laid out in rows of `columns` entries: a vector where `columns` is 1."""

    columns: int = field(kw_only=True)


@dataclass(frozen=True, eq=False)
class Cut(Formula):
    """What was left out."""


# ---- constructors that keep formulas tidy ---------------------------------------------------


def union(parts: Sequence[Formula]) -> Shape:
    return any(p.shape[0] for p in parts), any(p.shape[1] for p in parts)


def transpose(formula: Formula) -> Formula:
    rows, columns = formula.shape
    if isinstance(formula, Transpose):
        return formula.parts[0]
    if formula.shape == SCALAR or (isinstance(formula, Call) and formula.name in ("eye", "diag") and rows and columns):
        return formula
    if is_negative(formula):
        return negative(transpose(formula.parts[0]))
    above, core, below = _split(formula)
    if above or below:
        return product([*above, transpose(core)], below)
    return Transpose((formula,), (columns, rows))


def call(name: str, *parts: Formula, axis: str = "", shape: Shape | None = None) -> Formula:
    return Call(parts, union(parts) if shape is None else shape, name=name, axis=axis)


def negative(formula: Formula) -> Formula:
    return formula.parts[0] if is_negative(formula) else Sum((formula,), formula.shape, signs=(-1,))


def is_negative(formula: Formula) -> bool:
    return isinstance(formula, Sum) and formula.signs == (-1,)


def _unsigned(factors: Sequence[Formula]) -> tuple[bool, tuple[Formula, ...]]:
    """Whether a product of factors keeps its sign without those of the factors, and the factors without."""
    signs = [is_negative(factor) for factor in factors]
    bare = tuple(factor.parts[0] if sign else factor for factor, sign in zip(factors, signs, strict=True))
    return sum(signs) % 2 == 0, bare


def matrix_product(*factors: Formula) -> Formula:
    """A matrix product with its sign and its scalar factors in front."""
    positive, factors = _unsigned(factors)
    if not positive:
        return negative(matrix_product(*factors))
    split = [_split(factor) for factor in factors]
    flat = [part for _, core, _ in split for part in (core.parts if isinstance(core, MatrixProduct) else (core,))]
    plain = MatrixProduct(tuple(flat), (factors[0].shape[0], factors[-1].shape[1]))
    scalars = [scalar for above, _, _ in split for scalar in above]
    divisors = [scalar for _, _, below in split for scalar in below]
    return product([*scalars, plain], divisors) if scalars or divisors else plain


def _split(formula: Formula) -> tuple[list[Formula], Formula, list[Formula]]:
    """The scalar factors of an array, the array without them, and its scalar divisors."""
    if not isinstance(formula, Product) or formula.shape == SCALAR:
        return [], formula, []
    above, arrays = _by_shape(formula.above)
    below, array_divisors = _by_shape(formula.below)
    above = [factor for factor in above if not _is_one(factor)]
    return above, product(arrays, array_divisors), below


def _is_one(formula: Formula) -> bool:
    return isinstance(formula, Number) and formula.value == 1


def _by_shape(parts: Sequence[Formula]) -> tuple[list[Formula], list[Formula]]:
    return [part for part in parts if part.shape == SCALAR], [part for part in parts if part.shape != SCALAR]


def product(above: Sequence[Formula], below: Sequence[Formula] = ()) -> Formula:
    """An elementwise product, scalars first; a column times a row is an outer product."""
    positive, numerator = _unsigned(above)
    if not positive:
        return negative(product(numerator, below))
    over: list[Formula] = []
    under = list(below)
    for factor in numerator:
        over += factor.above if isinstance(factor, Product) else [factor]
        under += factor.below if isinstance(factor, Product) else []
    columns, rows = ([f for f in over if f.shape == shape] for shape in (COLUMN, ROW))
    if columns and rows and not any(f.shape == MATRIX for f in over):
        outer = MatrixProduct((product(columns), transpose(product([transpose(row) for row in rows]))), MATRIX)
        over = [f for f in over if f.shape == SCALAR] + [outer]
    over = _gathered([f for f in over if not _is_one(f)])
    over.sort(key=_place_in_product)
    if len(over) == 1 and not under:
        return over[0]
    if not over:
        over = [Number(value=sympy.Integer(1))]
        if not under:
            return over[0]
    under = _gathered(under)
    return Product((*over, *under), union([*over, *under]), count=len(over))


def _gathered(factors: Sequence[Formula]) -> list[Formula]:
    """The factors with equal ones as a power."""
    counts: dict[int, int] = {}
    bases: dict[int, Formula] = {}
    for factor in factors:
        base, count = factor, 1
        if isinstance(factor, Power) and isinstance(factor.parts[1], Number) and factor.parts[1].value.is_Integer:
            base, count = factor.parts[0], int(factor.parts[1].value)
        counts[id(base)] = counts.get(id(base), 0) + count
        bases[id(base)] = base
    exponents = {key: Number(value=sympy.Integer(count)) for key, count in counts.items()}
    return [power(base, exponents[key]) if counts[key] > 1 else base for key, base in bases.items()]


def _place_in_product(factor: Formula) -> tuple[int, int]:
    order = [SCALAR, COLUMN, MATRIX, ROW].index(factor.shape)
    if order == 0:
        named = isinstance(factor, Name) or (isinstance(factor, Index) and isinstance(factor.parts[0], Name))
        return order, 0 if isinstance(factor, Number) else 1 if named else 3 if isinstance(factor, Sum | Over) else 2
    return order, 0 if isinstance(factor, Call) else 1 if isinstance(factor, Name) else 2


def power(base: Formula, exponent: Formula) -> Formula:
    return Power((base, exponent), union([base, exponent]))


def shorten(formula: Formula, budget: int) -> Formula:
    """The formula with parts cut out so that it takes about `budget` characters."""
    if formula.weight <= budget:
        return formula
    if not formula.parts or budget < 10:
        return Cut((), formula.shape)
    kept: dict[int, Formula] = {}
    left = budget
    if isinstance(formula, Sum):  # as many of the first terms as fit
        for k, part in enumerate(formula.parts):
            if left < 10:
                cut = Cut((), formula.shape)
                return Sum((*kept.values(), cut), formula.shape, signs=(*formula.signs[:k], 1))
            kept[k] = shorten(part, left)
            left -= kept[k].weight + 3
        return replace(formula, parts=tuple(kept.values()))
    order = sorted(range(len(formula.parts)), key=lambda k: formula.parts[k].weight)
    for done, k in enumerate(order):
        kept[k] = shorten(formula.parts[k], left // (len(order) - done))
        left -= kept[k].weight
    return replace(formula, parts=tuple(kept[k] for k in range(len(order))))
