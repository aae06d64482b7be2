"""Arrays as the language sees them: an expression and the order of its indices, with the rules of shapes.

Elementwise operations need equal axes or a scalar, `@` contracts equal axes; nothing is broadcast by position.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import sympy

from bileveldsl.calculus.expr import (
    Axis,
    Dim,
    Expr,
    apply,
    argument,
    constant,
    constant_value,
    contract,
    distinct_axes,
    rename,
)  # fmt: skip

MOST_DIGITS, LARGEST_POWER = 100_000, 1_024
"""Of the power of an exact number: binary digits, and the exponent of 2 below which a double stays."""

UNREAD_SIZE = 1_000_000
"""Stands for the size of a dim whose data could not be read, so that shapes can still be checked by the names."""


@dataclass(frozen=True)
class Tensor:
    """An expression whose indices come in the order `axes`; it may lack labels along which it is constant."""

    expr: Expr
    axes: tuple[Axis, ...] = ()

    @property
    def dims(self) -> tuple[Dim, ...]:
        return tuple(axis.dim for axis in self.axes)

    @property
    def described(self) -> str:
        """The axes as a message names them: `[n, p]` or `scalar`."""
        return f"[{', '.join(dim.name for dim in self.dims)}]" if self.axes else "scalar"

    def over(self, axes: Sequence[Axis]) -> Tensor:
        """The same array with other labels."""
        return Tensor(rename(self.expr, dict(zip(self.axes, axes, strict=True))), tuple(axes))


class ShapeError(Exception):
    """Operands do not fit together; `labels` go to the operands, in order."""

    def __init__(self, code: str, message: str, help: str, labels: Sequence[str] = ()):
        super().__init__(message)
        self.code, self.message, self.help, self.labels = code, message, help, tuple(labels)


def _require_power_in_range(base: sympy.Expr | None, exponent: sympy.Expr | None) -> None:
    """Refuse a power of exact numbers, such as 10^10^10, before it is worked out."""
    if base is None or exponent is None or not (base.is_Rational and exponent.is_Integer and base):
        return
    power = float(abs(exponent))
    numerator, denominator = (math.log2(int(part)) for part in (abs(base.p), base.q))
    digits, size = max(numerator, denominator), abs(numerator - denominator)
    if power > 1 and (power * digits > MOST_DIGITS or power * size > LARGEST_POWER):
        mend = "numbers are exact, and at most 1.8e308; where digits do not matter, write exp(n * log(a)) for a^n"
        raise ShapeError("E104", "the power is out of range", mend)


def number(value: object) -> Tensor:
    return Tensor(constant(value))


def elementwise(fn: sympy.Expr, operands: Sequence[Tensor], verb: str = "combine") -> Tensor:
    """A scalar function of the operands, element by element."""
    aligned = align(operands, verb)
    axes = next((t.axes for t in aligned if t.axes), ())
    return Tensor(apply(fn, [t.expr for t in aligned]), axes)


def align(operands: Sequence[Tensor], verb: str) -> list[Tensor]:
    """The operands with the labels of the first that has any."""
    first = next((t for t in operands if t.axes), None)
    if first is None:
        return list(operands)
    result = []
    for operand in operands:
        if operand.axes and operand.dims != first.dims:
            raise ShapeError(
                "E303",
                f"cannot {verb} axes {first.described} and {operand.described}",
                _elementwise_help(first, operand),
                [t.described for t in operands],
            )
        result.append(operand.over(first.axes) if operand.axes else operand)
    return result


def _elementwise_help(a: Tensor, b: Tensor) -> str:
    text = "elementwise operations need equal axes or a scalar"
    if len(a.dims) == 2 and a.dims == b.dims[::-1] and a.dims[0] != a.dims[1]:
        return f"{text}; transpose one of them with .T"
    sizes = [d.size for d in a.dims]
    if UNREAD_SIZE not in sizes and sizes == [d.size for d in b.dims]:
        return f"{text}; the sizes agree but the names do not: declare both with the same dim if they are the same"
    return text


VERBS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "^": "raise"}
_FUNCTIONS = {
    "+": argument(0) + argument(1),
    "-": argument(0) - argument(1),
    "*": argument(0) * argument(1),
    "/": argument(0) / argument(1),
    "^": argument(0) ** argument(1),
}


def binary(operator: str, a: Tensor, b: Tensor) -> Tensor:
    """`a + b` and its kind; `@` is `matmul`."""
    if operator == "@":
        return matmul(a, b)
    if operator == "^":
        _require_power_in_range(constant_value(a.expr), constant_value(b.expr))
    return elementwise(_FUNCTIONS[operator], [a, b], VERBS[operator])


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """The sum of products over the last axis of `a` and the first of `b`."""
    if not a.axes or not b.axes:
        raise ShapeError(
            "E304", "@ needs arrays on both sides", "use * to multiply by a scalar", [a.described, b.described]
        )
    if a.dims[-1] != b.dims[0]:
        raise ShapeError(
            "E304",
            f"@ cannot contract the last axis of {a.described} with the first of {b.described}",
            _matmul_help(a, b),
            [a.described, b.described],
        )
    shared = a.axes[-1]
    rest = distinct_axes(b.dims[1:], a.axes)
    right = b.over((shared, *rest))
    axes = (*a.axes[:-1], *rest)
    return Tensor(contract([a.expr, right.expr], [shared]), axes)


def _matmul_help(a: Tensor, b: Tensor) -> str:
    if a.dims[0] == b.dims[0]:
        return "the first axes agree: transpose the left side with .T"
    if a.dims[-1] == b.dims[-1]:
        return "the last axes agree: transpose the right side with .T"
    return "the last axis on the left and the first axis on the right must be the same dim"


def transpose(a: Tensor) -> Tensor:
    if len(a.axes) > 2:
        raise ShapeError(
            "E305", f".T needs a matrix, this has axes {a.described}", "contract or slice it first", [a.described]
        )
    return Tensor(a.expr, a.axes[::-1])
