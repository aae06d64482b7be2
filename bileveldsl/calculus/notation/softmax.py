"""The softmax inside the function of a Map, where it stands as exp(z - logsumexp(z))."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import sympy

from bileveldsl.calculus.expr import Axis, Expr, Map, Reduce, apply, argument, rename


@dataclass(frozen=True)
class Softmax:
    """A softmax of `logits` over some of their labels; `total` is its log-sum-exp, `plain` the pattern it replaced."""

    logits: Expr
    over: tuple[Axis, ...]
    total: Reduce
    plain: sympy.Expr

    @property
    def node(self) -> Expr:
        return apply(sympy.exp(argument(0) - argument(1)), [self.logits, self.total])


def extract_softmax(node: Map) -> tuple[sympy.Expr, dict[sympy.Symbol, Softmax]]:
    """The function of a node with new symbols in place of softmax patterns, and what they stand for."""
    symbols = {child: argument(k) for k, child in enumerate(node.children)}
    totals = {c: symbol for c, symbol in symbols.items() if isinstance(c, Reduce) and c.operation == "logsumexp"}
    found: dict[Softmax, sympy.Symbol] = {}
    replacement = {}
    for exponential in sorted(node.fn.atoms(sympy.exp), key=sympy.default_sort_key) if totals else ():
        rest, factors = sympy.expand(exponential.args[0]), []
        for softmax, exponent in _candidates(totals, symbols, node.axes):
            while (weight := rest.coeff(totals[softmax.total])).is_number and weight <= -1:
                shorter = sympy.expand(rest - exponent)
                if _length(shorter) >= _length(rest):
                    break
                factors.append(found.setdefault(softmax, sympy.Symbol(f"softmax{len(found)}", real=True)))
                rest = shorter
        if factors:
            replacement[exponential] = sympy.exp(rest) * sympy.Mul(*factors)
    return node.fn.xreplace(replacement), {symbol: softmax for softmax, symbol in found.items()}


def _candidates(
    totals: Mapping[Reduce, sympy.Symbol], symbols: Mapping[Expr, sympy.Symbol], axes: tuple[Axis, ...]
) -> Iterator[tuple[Softmax, sympy.Expr]]:
    """Each logsumexp as a softmax over labels in sight, for each way to name the summed ones; and its exponent."""
    for total, symbol in totals.items():
        free = [[a for a in axes if a.dim == bound.dim and a not in total.axes] for bound in total.over]
        for labels in itertools.product(*free):
            logits = rename(total.children[0], dict(zip(total.over, labels, strict=True)))
            value = _in_terms_of(logits, symbols)
            if len(set(labels)) == len(labels) and value is not None:
                exponent = sympy.expand(value - symbol)
                yield Softmax(logits, labels, total, sympy.exp(exponent)), exponent


def _in_terms_of(node: Expr, symbols: Mapping[Expr, sympy.Symbol]) -> sympy.Expr | None:
    """A node as a sympy expression in the symbols, if it is one."""
    if node in symbols:
        return symbols[node]
    if isinstance(node, Map) and all(child in symbols for child in node.children):
        return sympy.expand(node.fn.xreplace({argument(k): symbols[child] for k, child in enumerate(node.children)}))
    return None


def _length(expr: sympy.Expr) -> sympy.Expr:
    """The sum of the sizes of the coefficients of a sum."""
    return sympy.Add(*(abs(coefficient) for coefficient in expr.as_coefficients_dict().values()))
