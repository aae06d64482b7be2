"""The scalar functions a Map node may apply beyond sympy's own, each with its derivative.

They exist where sympy's elementary functions would lose accuracy (`log(1 + exp(x))` overflows), have no
derivative at a point where the limit is known (`norm` at zero), or would differentiate into distributions.
At a kink the derivative is the element of the subdifferential nearest to zero or, for `maximum` of two
equal arguments, the mean of both.
"""

from __future__ import annotations

from typing import Any

import sympy
from sympy import Expr, Function, Integer, Rational


class Real(Function):
    """A function with real values; told so, sympy never splits it into real and imaginary parts."""

    is_real = True


class Symmetric(Real):
    """A function of two arguments that may be exchanged: they stand in sympy's own order."""

    @classmethod
    def eval(cls, a: Expr, b: Expr) -> Expr | None:
        first, second = sorted((a, b), key=sympy.default_sort_key)
        return None if (a, b) == (first, second) else cls(first, second)


class softplus(Real):
    """log(1 + exp(x)), computed without overflow."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return sigmoid(self.args[0])


class sigmoid(Real):
    """1 / (1 + exp(-x))."""

    def fdiff(self, argindex: int = 1) -> Expr:
        # sigmoid(-x), not 1 - sigmoid(x): the difference would cancel for large x.
        return sigmoid(self.args[0]) * sigmoid(-self.args[0])


class huber(Real):
    """x^2/2 for |x| <= d, and d (|x| - d/2) beyond."""

    def fdiff(self, argindex: int = 1) -> Expr:
        x, d = self.args
        if argindex == 1:
            return clip(x, d)
        return exceed(x, d)


class clip(Real):
    """min(max(x, -d), d), the derivative of `huber`."""

    def fdiff(self, argindex: int = 1) -> Expr:
        x, d = self.args
        if argindex == 1:
            return inside(x, d)
        return sympy.sign(x) * (1 - inside(x, d))


class exceed(Real):
    """max(|x| - d, 0), the derivative of `huber` in its threshold."""

    def fdiff(self, argindex: int = 1) -> Expr:
        x, d = self.args
        outside = 1 - inside(x, d)
        return sympy.sign(x) * outside if argindex == 1 else -outside


class inside(Real):
    """1 where |x| <= d, else 0."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return Integer(0)


class step(Real):
    """0 for x < 0, 1/2 at 0, 1 for x > 0."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return Integer(0)


class maximum(Symmetric):
    """The larger of two numbers."""

    def fdiff(self, argindex: int = 1) -> Expr:
        a, b = self.args
        return step(a - b) if argindex == 1 else step(b - a)


class minimum(Symmetric):
    """The smaller of two numbers."""

    def fdiff(self, argindex: int = 1) -> Expr:
        a, b = self.args
        return step(b - a) if argindex == 1 else step(a - b)


class equal(Symmetric):
    """1 where both arguments are the same number, else 0."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return Integer(0)


class xlogx(Real):
    """x log x, 0 at 0."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return sympy.log(self.args[0]) + 1


class relative_entropy(Real):
    """x log(x / y), 0 at x = 0."""

    def fdiff(self, argindex: int = 1) -> Expr:
        x, y = self.args
        return sympy.log(x / y) + 1 if argindex == 1 else -x / y


class divide0(Real):
    """x / r, and 0 where r is 0: the direction x / norm(x) with its value at the origin."""

    def fdiff(self, argindex: int = 1) -> Expr:
        x, r = self.args
        return divide0(Integer(1), r) if argindex == 1 else -divide0(divide0(x, r), r)


CUSTOM: tuple[type[Function], ...] = (
    softplus, sigmoid, huber, clip, exceed, inside, step, maximum, minimum, equal, xlogx, relative_entropy, divide0,
)  # fmt: skip

NONSMOOTH: tuple[Any, ...] = (sympy.Abs, sympy.sign, step, maximum, minimum, equal, clip, exceed, inside)
"""Functions with a point where they are not twice continuously differentiable (`huber` once is)."""

HALF = Rational(1, 2)


def partials(fn: Expr) -> dict[sympy.Symbol, Expr]:
    """The derivative of a scalar function by each of its symbols, kinks resolved as this module says.

    One walk serves all symbols, so that the gradient of a long sum costs no more than its terms. sympy's own `diff`
    would differentiate Abs(log(x)) as a complex function and x^p into p x^p / x, which has no value at 0.
    """
    if fn.is_Symbol:
        return {fn: Integer(1)}
    slopes = [_slope(fn, k) if arg.free_symbols else None for k, arg in enumerate(fn.args)]
    shares: dict[sympy.Symbol, list[Expr]] = {}
    for arg, slope in zip(fn.args, slopes, strict=True):
        if slope is not None and slope != 0:
            for symbol, derivative in partials(arg).items():
                shares.setdefault(symbol, []).append(slope * derivative)
    return {symbol: sympy.Add(*terms) for symbol, terms in shares.items()}


def _slope(fn: Expr, position: int) -> Expr:
    """The derivative of an operation by its argument number `position`."""
    if fn.is_Add:
        return Integer(1)
    if fn.is_Mul:
        return sympy.Mul(*fn.args[:position], *fn.args[position + 1 :])
    if fn.is_Pow:
        base, exponent = fn.args
        return exponent * base ** (exponent - 1) if position == 0 else fn * sympy.log(base)
    if fn.func is sympy.sign:
        return Integer(0)
    return fn.fdiff(position + 1)
