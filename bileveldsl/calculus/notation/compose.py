"""Constructors that keep formulas tidy: signs and scalars in front, no double transposes, equal factors as powers."""

from __future__ import annotations

from collections.abc import Sequence

import sympy

from bileveldsl.calculus.notation.formula import (
    COLUMN,
    MATRIX,
    ROW,
    SCALAR,
    Call,
    Formula,
    Index,
    MatrixProduct,
    Name,
    Number,
    Over,
    Power,
    Product,
    Shape,
    Sum,
    Transpose,
)  # fmt: skip


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
