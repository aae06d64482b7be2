"""Scalar functions as code: a sympy expression whose symbols are arrays, printed so that small stays small.

A part of the expression is computed over the labels of its own symbols only, and meets larger parts by
broadcasting: in a sum or product the terms over fewer labels are combined first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import sympy

from bileveldsl.calculus import functions
from bileveldsl.calculus.expr import Axis, Expr, Map
from bileveldsl.execute.source import ATOM, PRODUCT, SUM, Body, Value

FUNCTIONS: dict[type[sympy.Function], str] = {
    sympy.exp: "exp", sympy.log: "log", sympy.Abs: "abs", sympy.sign: "sign",
    sympy.sin: "sin", sympy.cos: "cos", sympy.tan: "tan",
    sympy.asin: "arcsin", sympy.acos: "arccos", sympy.atan: "arctan",
    sympy.sinh: "sinh", sympy.cosh: "cosh", sympy.tanh: "tanh",
    sympy.asinh: "arcsinh", sympy.acosh: "arccosh", sympy.atanh: "arctanh",
    **{function: function.__name__ for function in functions.CUSTOM},
    functions.clip: "clip_to", functions.equal: "indicator_equal",  # the array modules have others of that name
}  # fmt: skip

LARGEST_PRODUCT = 8  # powers up to this one are products, which are faster than the power function
TERMS = 20  # a longer sum or product is split, as nesting has limits in Python


@dataclass(frozen=True)
class _Operation:
    """A sum or a product: its sign, the sign of its inverse, and that before a lone inverse operand."""

    sign: str
    inverse: str
    alone: str
    level: int


_ADD = _Operation(" + ", " - ", "-", SUM)
_MULTIPLY = _Operation(" * ", " / ", "1.0 / ", PRODUCT)


@dataclass(frozen=True)
class _Operand:
    """One operand; `inverse` where it is subtracted or divided by."""

    value: Value
    inverse: bool = False


class ScalarCode:
    """Prints scalar functions of values into a body.

    `values` holds what the symbols stand for, `definitions` the subexpressions that several functions share:
    these are computed at their first use.
    """

    def __init__(self, body: Body, definitions: Mapping[sympy.Symbol, sympy.Expr]):
        self.body = body
        self.values: dict[sympy.Symbol, Value] = {}
        self.definitions = definitions

    def value(self, expr: sympy.Expr) -> Value:
        """The expression as an instruction of the body (a symbol or number as it is)."""
        if expr.is_Symbol:
            if expr not in self.values:
                self.values[expr] = self.value(self.definitions[expr])
            return self.values[expr]
        number = None if expr.free_symbols else literal(expr)
        if number is not None:
            return number
        if expr.is_Add:
            return self._add(expr)
        if expr.is_Mul:
            return self._multiply(expr)
        if expr.is_Pow:
            return self._power(expr.base, expr.exp)
        if expr.func is sympy.log:
            inner = self.definitions.get(expr.args[0], expr.args[0])
            one, rest = inner.as_coeff_Add()
            if one == 1 and rest != 0:  # 1 + x would round x away
                return self._call("log1p", self.value(rest))
        return self._call(FUNCTIONS[expr.func], *map(self.value, expr.args))

    def _add(self, expr: sympy.Expr) -> Value:
        number, rest = expr.as_coeff_Add()
        if number == -1 and rest.func is sympy.exp:  # exp(x) - 1 would cancel near 0
            return self._call("expm1", self.value(rest.args[0]))
        content, primitive = expr.primitive()
        if content != 1 and all(abs(term.as_coeff_Mul()[0]) == 1 for term in primitive.args if not term.is_Number):
            # 3 x - 3 y, as sympy writes 3 (x - y), would round where x and y are close.
            return self._fold([_Operand(self.value(content)), _Operand(self.value(primitive))], _MULTIPLY)
        operands = []
        for term in expr.args:
            negative = bool(term.as_coeff_Mul()[0].is_negative)
            operands.append(_Operand(self.value(-term if negative else term), negative))
        return self._fold(operands, _ADD)

    def _multiply(self, expr: sympy.Expr) -> Value:
        coefficient, rest = expr.as_coeff_Mul()
        if coefficient.is_negative:
            return self._alone(self.value(-expr), _ADD)
        operands = [] if coefficient == 1 else [_Operand(self.value(coefficient))]
        for factor in sympy.Mul.make_args(rest):
            inverse = factor.is_Pow and factor.exp.is_number and bool(factor.exp.is_negative)
            operands.append(_Operand(self.value(1 / factor if inverse else factor), inverse))
        return self._fold(operands, _MULTIPLY)

    def _power(self, base: sympy.Expr, exponent: sympy.Expr) -> Value:
        if exponent.is_number and exponent.is_negative:
            return self._alone(self.value(base**-exponent), _MULTIPLY)
        if exponent.is_Integer and exponent <= LARGEST_PRODUCT:
            return self._integer_power(self.value(base), int(exponent))
        if exponent.is_Rational and exponent.q == 2 and exponent.p < 2 * LARGEST_PRODUCT:
            root = self._call("sqrt", self.value(base))
            whole = exponent.p // 2
            return self._times(self._integer_power(self.value(base), whole), root) if whole else root
        return self._call("power", self.value(base), self.value(exponent))

    def _integer_power(self, base: Value, exponent: int) -> Value:
        if exponent == 1:
            return base
        square = self._call("square", self._integer_power(base, exponent // 2))
        return self._times(square, base) if exponent % 2 else square

    def _times(self, a: Value, b: Value) -> Value:
        return self._join([_Operand(a), _Operand(b)], _MULTIPLY).value

    def _fold(self, operands: list[_Operand], operation: _Operation) -> Value:
        """Joins the operands over the same labels, then each result to the next larger ones."""
        groups: dict[tuple[Axis, ...], list[_Operand]] = {}
        for operand in operands:
            groups.setdefault(operand.value.axes, []).append(operand)
        while len(groups) > 1:
            smallest, *rest = sorted(groups, key=lambda axes: math.prod(axis.size for axis in axes))
            larger = next((axes for axes in rest if set(smallest) <= set(axes)), rest[0])
            joined = self._join(groups.pop(smallest), operation)
            merged = groups.pop(larger)
            union = self.body.sorted_axes(smallest + larger)
            groups.setdefault(union, []).extend([*merged, joined] if joined.value.axes else [joined, *merged])
        (members,) = groups.values()
        joined = self._join(members, operation)
        return self._alone(joined.value, operation) if joined.inverse else joined.value

    def _join(self, operands: list[_Operand], operation: _Operation) -> _Operand:
        """The operands in one operation; inverse as a whole when each of them is."""
        operands = sorted(operands, key=lambda operand: operand.inverse)
        inverse = operands[0].inverse
        axes = self.body.sorted_axes(axis for operand in operands for axis in operand.value.axes)
        result = operands[0].value
        for start in range(1, len(operands), TERMS):
            text = self.body.expand(result, axes).at(operation.level)
            for operand in operands[start : start + TERMS]:
                text += operation.inverse if operand.inverse and not inverse else operation.sign
                text += self.body.expand(operand.value, axes).at(operation.level + 1)
            result = self.body.name(Value(text, axes, operation.level))
        return _Operand(result, inverse)

    def _alone(self, value: Value, operation: _Operation) -> Value:
        return self.body.name(Value(operation.alone + value.at(operation.level + 1), value.axes, operation.level))

    def _call(self, name: str, *arguments: Value) -> Value:
        axes = self.body.sorted_axes(axis for argument in arguments for axis in argument.axes)
        texts = [self.body.expand(argument, axes).at(SUM) for argument in arguments]
        return self.body.name(Value(f"xp.{name}({', '.join(texts)})", axes))


def literal(number: sympy.Expr) -> Value | None:
    """A constant as the nearest float64; None where sympy cannot evaluate it."""
    if number.is_Rational:
        try:
            value = number.p / number.q  # division of Python's integers rounds correctly
        except OverflowError:
            value = math.inf if number.is_positive else -math.inf
    elif number in (sympy.nan, sympy.zoo) or number.is_real is False:
        value = math.nan
    else:
        try:
            value = float(number.evalf(30))
        except TypeError:
            return None
    text = repr(value) if math.isfinite(value) else f"{'-' * (value < 0)}xp.{abs(value)}"
    return Value(text, (), SUM if value < 0 else ATOM)


def nonnegative(node: Expr) -> bool:
    """Whether a Map is never negative, as far as its form shows."""
    return isinstance(node, Map) and _nonnegative(node.fn)


def _nonnegative(fn: sympy.Expr) -> bool:
    if fn.is_nonnegative or isinstance(fn, _NONNEGATIVE):
        return True
    return (fn.is_Mul or fn.is_Add) and all(map(_nonnegative, fn.args))


_NONNEGATIVE = (functions.sigmoid, functions.softplus, functions.inside, functions.step, functions.equal)
