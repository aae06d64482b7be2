"""A node taken apart: the terms and factors of a Map as nodes of their own, and what depends on which symbols."""

from __future__ import annotations

import math
from collections.abc import Iterable

import sympy

from bileveldsl.calculus.expr import Contract, Expr, Leaf, Map, Symbol, apply, argument, topological
from bileveldsl.calculus.nodes import position


def part(node: Map, fn: sympy.Expr) -> Expr:
    """A function of some arguments of a Map, as a node.

    Examples
    --------
    >>> from bileveldsl.calculus.expr import add, leaf
    >>> x, y = leaf(Symbol("x", "variable")), leaf(Symbol("y", "variable"))
    >>> total = add(x, apply(sympy.exp(argument(0)), [y]))
    >>> part(total, total.fn.args[0]) in (x, apply(sympy.exp(argument(0)), [y]))
    True
    """
    used = sorted(map(position, fn.free_symbols))
    names = {argument(k): argument(j) for j, k in enumerate(used)}
    return apply(fn.xreplace(names), [node.children[k] for k in used])


def terms(node: Expr) -> list[Expr]:
    """The addends of a node."""
    return [part(node, term) for term in node.fn.args] if isinstance(node, Map) and node.fn.is_Add else [node]


def factors(node: Expr) -> list[Expr]:
    """The factors of a node that multiplies."""
    return [part(node, factor) for factor in node.fn.args] if isinstance(node, Map) and node.fn.is_Mul else [node]


def multiplications(nodes: Iterable[Expr]) -> int:
    """How many products the contractions under the nodes form."""
    contractions = [node for node in topological(nodes) if isinstance(node, Contract)]
    return sum(math.prod(axis.size for axis in (*node.axes, *node.over)) for node in contractions)


def operations(nodes: Iterable[Expr]) -> int:
    """How many operations the scalar functions of the Maps under the nodes hold."""
    maps = [node for node in topological(nodes) if isinstance(node, Map)]
    return sum(sum(1 for _ in sympy.preorder_traversal(node.fn)) for node in maps)


class Dependence:
    """Which nodes depend on given symbols; each node is looked at once."""

    def __init__(self, symbols: Iterable[Symbol]):
        self.symbols = frozenset(symbols)
        self._memo: dict[Expr, bool] = {}

    def __call__(self, node: Expr) -> bool:
        if node not in self._memo:
            for each in topological([node]):
                if each not in self._memo:
                    own = isinstance(each, Leaf) and each.symbol in self.symbols
                    self._memo[each] = own or any(self._memo[child] for child in each.children)
        return self._memo[node]
