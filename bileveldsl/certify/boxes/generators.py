"""Nodes as polynomials in generators: the variables, and the nodes that are no polynomials in them.

A root or an inverse b^(-1/q) is a generator g whose powers stand for all such powers of b, and g^q b = 1 takes what
would occur in pairs, such as y y^-1, out of the polynomials; sigmoid(-u) is 1 - sigmoid(u).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from flint import fmpq_mpoly

from bileveldsl.certify.scalars import (
    ONE,
    Scalar,
    call,
    negated,
    polynomials,
    power,
    ring,
    substitute,
    topological,
    total,
    variable,
)  # fmt: skip

_MOST = 12
_TERMS = 2000


def in_generators(roots: Sequence[Scalar]) -> tuple[list[Scalar], list[fmpq_mpoly]] | None:
    """The generators of nodes, and the nodes as polynomials in them; None where these are many or large.

    Examples
    --------
    >>> y = variable(0)
    >>> in_generators([total([power(y, 2), power(y, -1)])])[1]
    [t1^2 + t0]
    """
    roots = substitute(roots, dict(_rewritten(roots)))
    generators = _generators(roots)
    if not 0 < len(generators) <= _MOST:
        return None
    marks = range(len(generators))
    context = ring([], [f"t{k}" for k in marks])
    values = {g: variable(k) for k, g in enumerate(generators)}
    found = polynomials(substitute(roots, values), marks, context)
    if found is None or sum(map(len, found)) > _TERMS:
        return None
    for k, g in enumerate(generators):
        if g.op == "^" and set(_generators(g.args)) <= set(generators):
            base = polynomials(substitute(g.args, values), marks, context)
            if base is not None:
                raised = context.gen(k) ** g.value.denominator
                relation = base[0] * raised - 1 if g.value < 0 else raised - base[0]
                found = [p % relation for p in found]
    return generators, found


def _rewritten(roots: Sequence[Scalar]) -> Iterator[tuple[Scalar, Scalar]]:
    """Nodes with what stands for them: powers of one root or inverse, the one sigmoid of u and -u."""
    sigmoids: set[Scalar] = set()
    for node in topological(roots):
        if node.op == "^" and (node.value < 0 or node.value.denominator > 1):
            over, under = node.value.numerator, node.value.denominator
            yield node, power(power(node.args[0], Fraction(1 if over > 0 else -1, under)), abs(over))
        elif node.op == "sigmoid":
            mirrored = call("sigmoid", negated(node.args[0]))
            if mirrored in sigmoids:
                yield node, total([ONE, negated(mirrored)])
            sigmoids.add(node)


def _generators(roots: Sequence[Scalar]) -> list[Scalar]:
    found: dict[Scalar, None] = {}
    seen: set[Scalar] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.op in ("+", "*") or (node.op == "^" and node.value.denominator == 1 and node.value > 0):
            stack += node.args
        elif node.op != "num":
            found[node] = None
    return list(found)
