"""What kind of function an expression is of given symbols: constant, affine, quadratic, or neither; exactly.

The answer is symbolic and never numeric. It is sound, and complete within one scalar function: (x + 1)^2 - x^2 is
affine because sympy expands it. What cancels only across sums over labels, or through values of data, is not seen.
"""

from __future__ import annotations

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
    polynomial = polynomial_in(node.fn, [argument(k) for k in moving])
    if polynomial is None:
        return math.inf
    weights = [below[k] for k in moving]
    return max(
        (sum(w * e for w, e in zip(weights, powers, strict=True)) for powers, _ in polynomial.terms()), default=0.0
    )


def polynomial_in(fn: sympy.Expr, generators: list[sympy.Symbol]) -> sympy.Poly | None:
    """A scalar function as a polynomial in some of its arguments, the others in its coefficients."""
    try:
        polynomial = sympy.Poly(fn, *generators)
    except sympy.PolynomialError:
        return None
    held = set(generators)
    return None if any(held & coefficient.free_symbols for coefficient in polynomial.coeffs()) else polynomial
