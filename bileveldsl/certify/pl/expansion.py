"""Nodes as polynomials in variables and in atoms, the functions that are no polynomials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from flint import fmpq, fmpq_mpoly, fmpq_mpoly_ctx

from bileveldsl.certify.clock import check
from bileveldsl.certify.pl.bends import is_atom
from bileveldsl.certify.scalars import Scalar, number, power, product, topological, total
from bileveldsl.certify.statement import written

_TERMS = 4000


@dataclass(frozen=True)
class Expansion:
    """Polynomials whose generators stand for nodes: variables and atoms."""

    generators: tuple[Scalar, ...]
    context: fmpq_mpoly_ctx
    polynomials: tuple[fmpq_mpoly, ...]

    def node(self, polynomial: fmpq_mpoly) -> Scalar:
        """A polynomial written as a node again."""
        terms = []
        for exponents, coefficient in polynomial.terms():
            factors = [power(g, int(e)) for g, e in zip(self.generators, exponents, strict=True) if e]
            terms.append(product([number(Fraction(int(coefficient.p), int(coefficient.q))), *factors]))
        return total(terms)


def expand(roots: Sequence[Scalar]) -> Expansion | None:
    """Nodes as polynomials with equal atoms identified; None where they have too many terms."""
    order = topological(roots)
    generators = tuple(n for n in order if n.op == "var" or is_atom(n))
    context = fmpq_mpoly_ctx.get([f"z{k}" for k in range(len(generators))] or ["z"], "degrevlex")
    made: dict[Scalar, fmpq_mpoly] = dict(zip(generators, context.gens(), strict=False))
    for node in order:
        if node in made:
            continue
        check()
        args = [made[a] for a in node.args]
        if node.op == "num":
            made[node] = context.constant(fmpq(node.value.numerator, node.value.denominator))
        elif node.op == "+":
            made[node] = sum(args[1:], args[0])
        elif node.op == "*":
            if math.prod(map(len, args)) > _TERMS:
                return None
            made[node] = math.prod(args[1:], start=args[0])
        else:
            if node.value > 16 or len(args[0]) ** int(node.value) > _TERMS:
                return None
            made[node] = args[0] ** int(node.value)
    return Expansion(generators, context, tuple(made[root] for root in roots))


def vanish(roots: Sequence[Scalar]) -> bool:
    """Whether nodes are seen to be identically zero."""
    expanded = expand(roots)
    return expanded is not None and all(p.is_zero() for p in expanded.polynomials)



def node_list(roots: Sequence[Scalar]) -> tuple[list[Any], list[int]]:
    """Nodes as the list of a certificate, and the place of each root in it."""
    places = {node: k for k, node in enumerate(topological(roots))}
    return [written(node, places) for node in places], [places[root] for root in roots]
