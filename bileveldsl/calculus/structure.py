"""What kind of function an expression is of given symbols: constant, affine, quadratic, or neither; exactly.

The answer is symbolic and never numeric. It is sound, and complete within one scalar function: (x + 1)^2 - x^2 is
affine because sympy expands it. What cancels only across sums over labels, or through values of data, is not seen.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import Literal

import sympy

from bileveldsl.calculus.expr import Contract, Expr, Leaf, Map, Reduce, Symbol, argument, topological

Kind = Literal["constant", "affine", "quadratic", "nonlinear"]
KINDS: dict[float, Kind] = {0: "constant", 1: "affine", 2: "quadratic"}


def kind(expr: Expr, symbols: Iterable[Symbol]) -> Kind:
    """The kind of function that an expression is of the symbols, everything else held fixed.

    Examples
    --------
    >>> from bileveldsl.calculus.expr import Symbol, leaf, multiply
    >>> x, y = Symbol("x", "variable"), Symbol("y", "variable")
    >>> kind(multiply(leaf(x), leaf(y)), [y]), kind(multiply(leaf(x), leaf(y)), [x, y])
    ('affine', 'quadratic')
    """
    return KINDS.get(degree(expr, symbols), "nonlinear")


def degree(expr: Expr, symbols: Iterable[Symbol]) -> float:
    """An upper bound of the polynomial degree in the symbols; infinite for what is no polynomial."""
    wanted = frozenset(symbols)
    degrees: dict[Expr, float] = {}
    for node in topological([expr]):
        below = [degrees[child] for child in node.children]
        if isinstance(node, Leaf):
            degrees[node] = float(node.symbol in wanted)
        elif not any(below):
            degrees[node] = 0.0
        elif isinstance(node, Map):
            degrees[node] = _map_degree(node, below)
        elif isinstance(node, Contract):
            degrees[node] = sum(below)
        elif isinstance(node, Reduce):
            degrees[node] = math.inf
        else:  # selections move elements
            degrees[node] = below[0]
    return degrees[expr]


def _map_degree(node: Map, below: list[float]) -> float:
    moving = [k for k, d in enumerate(below) if d]
    if any(below[k] == math.inf for k in moving):
        return math.inf
    found = monomials(node.fn, tuple(argument(k) for k in moving))
    if found is None:
        return math.inf
    return max((sum(below[moving[k]] * power for k, power in monomial) for monomial in found), default=0.0)


Monomial = tuple[tuple[int, int], ...]
"""Positions of generators with their powers, in order; the constant one is empty."""


@functools.lru_cache(maxsize=4096)
def monomials(fn: sympy.Expr, generators: tuple[sympy.Symbol, ...]) -> dict[Monomial, sympy.Expr] | None:
    """A scalar function as a polynomial in some of its arguments, the others in its coefficients, or None.

    Each addend is expanded by itself, in the generators that it holds: in long sums these are few.

    Examples
    --------
    >>> x, y = argument(0), argument(1)
    >>> monomials((x + 1) ** 2 - x**2 + 3 * x * y, (x, y))
    {((0, 1),): 2, (): 1, ((0, 1), (1, 1)): 3}
    """
    position = {generator: k for k, generator in enumerate(generators)}
    total: dict[Monomial, sympy.Expr] = {}
    for term in sympy.Add.make_args(fn):
        own = sorted(term.free_symbols & position.keys(), key=lambda symbol: position[symbol])
        if not own:
            total[()] = total.get((), sympy.Integer(0)) + term
            continue
        try:
            polynomial = sympy.Poly(term, *own)
        except sympy.PolynomialError:
            return None
        for powers, coefficient in polynomial.terms():
            if coefficient.free_symbols & position.keys():
                return None
            monomial = tuple((position[g], power) for g, power in zip(own, powers, strict=True) if power)
            total[monomial] = total.get(monomial, sympy.Integer(0)) + coefficient
    return {monomial: coefficient for monomial, coefficient in total.items() if coefficient != 0}
