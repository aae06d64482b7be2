"""Random expressions and points for the tests of the checker."""

from __future__ import annotations

import random

from flint import fmpq

from bileveldsl.certify.check.terms import Table

SMOOTH = (
    "exp",
    "log",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "softplus",
    "sigmoid",
    "xlogx",
)
ROUGH = ("abs", "sign", "step")
_CORNERS = (fmpq(0), fmpq(1), fmpq(-1), fmpq(1, 2), fmpq(-3, 2), fmpq(2), fmpq(7))


def number(source: random.Random) -> fmpq:
    if source.random() < 0.5:
        return source.choice(_CORNERS)
    return fmpq(source.randint(-60, 60), source.choice((1, 2, 3, 8, 10, 16)))


def expression(table: Table, source: random.Random, size: int, variables: int, rough: bool = True) -> int:
    """The number of a random node over `variables` variables, built in `size` steps."""
    nodes = [table.var(k) for k in range(variables)] + [table.num(number(source))]
    for _ in range(size):
        recent = nodes[-4:] if source.random() < 0.6 else nodes
        pick = [source.choice(recent if k == 0 else nodes) for k in range(3)]
        roll = source.random()
        if roll < 0.25:
            made = table.node("+", tuple(pick[: source.choice((2, 3))]))
        elif roll < 0.5:
            made = table.node("*", tuple(pick[: source.choice((2, 3))]))
        elif roll < 0.65:
            made = table.node(
                "^", (pick[0],), source.choice([fmpq(k) for k in (2, 3, 4, -1, -2)] + [fmpq(1, 2), fmpq(3, 2)])
            )
        elif roll < 0.9:
            made = table.node(source.choice(SMOOTH + (ROUGH if rough else ())), (pick[0],))
        elif rough:
            made = table.node(source.choice(("max", "min", "huber", "relative_entropy", "pow")), tuple(pick[:2]))
        else:
            made = table.node(source.choice(("relative_entropy", "pow")), tuple(pick[:2]))
        nodes.append(made)
    return nodes[-1]
