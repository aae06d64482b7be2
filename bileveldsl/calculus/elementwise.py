"""Elementwise expressions: numbers and Maps, which merge into one sympy function where they can."""

from __future__ import annotations

import functools
import itertools
import operator
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import sympy

from bileveldsl.calculus.nodes import Axis, Expr, Map, argument


def constant(value: Any) -> Expr:
    """An exact number; a float stands for the dyadic rational that it is."""
    if isinstance(value, float | np.floating) and np.isfinite(value):
        value = sympy.Rational(float(value))
    return Map._make((), (), sympy.sympify(value))


ZERO = constant(0)
ONE = constant(1)


MAX_DEPTH = 50
"""Functions nested deeper than this are not merged into one: sympy recurses."""

MAX_OPERATIONS = 20_000
"""Functions with more operations than this are not merged into one."""

MAX_REPEATED = 50
"""Functions are not merged into one that would write out again parts of more operations than this."""

SMALL = 8
"""A part of fewer operations may be written out any number of times."""

COMPLEX = (sympy.re, sympy.im, sympy.arg, sympy.conjugate)
"""Functions are not merged into one that sympy splits into these, as it does Abs(exp(log(x))) for a real x."""


def apply(fn: sympy.Expr, args: Sequence[Expr]) -> Expr:
    """The function `fn` of `argument(0), ...` elementwise over the arguments, in normal form.

    An argument that is itself a Map over all the labels of the result (or a constant) is merged into the function,
    unless the function would grow out of proportion; of any other Map the numeric factor is.
    """
    free = fn.free_symbols
    operands = {argument(k): arg for k, arg in enumerate(args) if argument(k) in free}
    everything = {axis for arg in operands.values() for axis in arg.axes}
    maps = {arg for arg in operands.values() if isinstance(arg, Map) and arg.children and set(arg.axes) == everything}
    maps -= {child for arg in maps for child in arg.children}  # is computed anyway

    parts, nodes = _put_in({symbol: _opened(arg, arg in maps) for symbol, arg in operands.items()})
    whole = fn.xreplace(parts) if not maps or _fits(fn, parts) else None
    if whole is None or (maps and any(isinstance(part, COMPLEX) for part in sympy.preorder_traversal(whole))):
        parts, nodes = _put_in({symbol: _opened(arg, False) for symbol, arg in operands.items()})
        whole = fn.xreplace(parts)
    result = _map(whole, nodes)
    if isinstance(result, Map) and set(result.axes) != everything:  # fewer labels: now more can be merged
        return apply(result.fn, result.children)
    return result


_Function = tuple[sympy.Expr, dict[sympy.Symbol, Expr]]
"""A function and the nodes that its symbols stand for."""


def _opened(node: Expr, merge: bool) -> _Function:
    """A node as a function of other nodes: a Map that is to be merged, a number, or a number times a node."""
    if isinstance(node, Map):
        if merge or not node.children:
            return node.fn, node.operands
        number, rest = node.fn.as_coeff_Mul()
        if number != 1:
            return number * argument(0), {argument(0): apply(rest, node.children)}
    return argument(0), {argument(0): node}


def _put_in(parts: Mapping[sympy.Symbol, _Function]) -> tuple[dict[sympy.Symbol, sympy.Expr], list[Expr]]:
    """The functions in common arguments, and the nodes that these stand for, by age."""
    nodes = sorted({node for _, operands in parts.values() for node in operands.values()}, key=serial)
    symbols = {node: argument(k) for k, node in enumerate(nodes)}
    functions = {}
    for symbol, (fn, operands) in parts.items():
        moved = {old: symbols[node] for old, node in operands.items() if old != symbols[node]}
        functions[symbol] = fn.xreplace(moved) if moved else fn
    return functions, nodes


def _fits(fn: sympy.Expr, parts: Mapping[sympy.Symbol, sympy.Expr]) -> bool:
    """Whether a function with functions put in for its symbols stays within the limits of size, depth and repetition.

    A part that occurs twice would be written out twice, and after n such steps 2^n times.
    """
    seen: set[sympy.Expr] = set()
    repeated = 0
    stack = [(fn, 1, parts)]
    while stack:
        expr, depth, inside = stack.pop()
        if expr in inside:
            expr, inside = inside[expr], {}
        if expr in seen:
            count = sum(1 for part in sympy.preorder_traversal(expr) if part.args)
            repeated += count if count >= SMALL else 0
        elif expr.args:
            if not inside:  # elsewhere its symbols stand for other things
                seen.add(expr)
            stack += [(arg, depth + 1, inside) for arg in expr.args]
        if depth > MAX_DEPTH or len(seen) > MAX_OPERATIONS or repeated > MAX_REPEATED:
            return False
    return True


def _map(fn: sympy.Expr, nodes: Sequence[Expr]) -> Expr:
    """A Map node from a function of `argument(0), ...` that stand for the nodes, which are in order of age."""
    free = fn.free_symbols
    used = {argument(k): node for k, node in enumerate(nodes) if argument(k) in free}
    if fn.is_Symbol:
        return used[fn]
    if len(used) < len(nodes):
        fn = fn.xreplace({symbol: argument(k) for k, symbol in enumerate(used)})
    return Map._make(union(node.axes for node in used.values()), tuple(used.values()), fn)


def serial(node: Expr) -> int:
    return node.serial


def union(groups: Iterable[tuple[Axis, ...]]) -> tuple[Axis, ...]:
    return tuple(dict.fromkeys(itertools.chain.from_iterable(groups)))


def add(*terms: Expr) -> Expr:
    if len(terms) == 1:
        return terms[0]
    return apply(sympy.Add(*(argument(k) for k in range(len(terms)))), terms)


def multiply(*factors: Expr) -> Expr:
    if len(factors) == 1:
        return factors[0]
    return apply(sympy.Mul(*(argument(k) for k in range(len(factors)))), factors)


def negate(node: Expr) -> Expr:
    return apply(-argument(0), [node])


def subtract(a: Expr, b: Expr) -> Expr:
    return apply(argument(0) - argument(1), [a, b])


def divide(a: Expr, b: Expr) -> Expr:
    return apply(argument(0) / argument(1), [a, b])


def without_common_factors(fn: sympy.Expr) -> list[sympy.Expr]:
    """A sum as the factors that all its terms share and the rest: 2a - 2b as 2 and a - b, anything else as it is.

    Only equal factors count, unlike in `sympy.gcd_terms`, which takes exp(-x) out of exp(x): that could overflow.
    """
    if not fn.is_Add:
        return [fn]
    numbers, products = zip(*(term.as_coeff_Mul() for term in fn.args), strict=True)
    number = abs(numbers[0]) if len({abs(number) for number in numbers}) == 1 else sympy.Integer(1)
    powers = [_whole_powers(product) for product in products]
    shared = functools.reduce(operator.and_, powers)
    rest = sympy.Add(*(n / number * _product(p - shared) for n, p in zip(numbers, powers, strict=True)))
    return [number, *(base**exponent for base, exponent in shared.items()), rest]


def _product(powers: Counter[sympy.Expr]) -> sympy.Expr:
    return sympy.Mul(*(base**exponent for base, exponent in powers.items()))


def _whole_powers(product: sympy.Expr) -> Counter[sympy.Expr]:
    """The factors of a product, each with the whole power in which it occurs."""
    count: Counter[sympy.Expr] = Counter()
    for factor in sympy.Mul.make_args(product):
        base, exponent = factor.as_base_exp()
        whole = exponent.is_Integer and exponent > 0 and base != sympy.E
        count[base if whole else factor] += int(exponent) if whole else 1
    return count
