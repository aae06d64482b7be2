"""Values of nodes: exact, as balls at a point, and as ranges over boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce

from flint import arb, ctx, fmpq

from bileveldsl.certify.check import balls, elementary
from bileveldsl.certify.check.ranges import NOWHERE, WHOLE, Range, number
from bileveldsl.certify.check.terms import Rejected, Table, rational_power

_BITS = 200_000  # of a number that is computed exactly


# ---- ranges over boxes ----------------------------------------------------------------------


class Enclosure:
    """The ranges of some nodes, to be evaluated over many boxes.

    `known` gives for some nodes a range that their values are known to lie in.

    Examples
    --------
    >>> table = Table()
    >>> y = table.var(0)
    >>> square = Enclosure(table, [table.mul([y, y])])
    >>> [r] = square({0: Range(fmpq(-1), fmpq(2))})
    >>> r.lo, r.hi
    (0, 4)
    """

    def __init__(self, table: Table, roots: Sequence[int], known: Mapping[int, Range] | None = None):
        self.nodes = table.reachable(roots)
        places = {node: k for k, node in enumerate(self.nodes)}
        self._roots = [places[root] for root in roots]
        self._steps: list[tuple[Callable[..., Range] | int, tuple[int, ...], Range | None]] = []
        for node in self.nodes:
            known_range = known.get(node) if known else None
            if table.operation[node] == "var":
                self._steps.append((table.value[node], (), known_range))
            else:
                step, arguments = _step(table, node)
                self._steps.append((step, tuple(places[a] for a in arguments), known_range))

    def __call__(self, box: Mapping[int, Range]) -> list[Range]:
        """The ranges of the roots over a box given by variable index; a variable without one is any number."""
        values = self.all(box)
        return [values[k] for k in self._roots]

    def all(self, box: Mapping[int, Range]) -> list[Range]:
        """The ranges of `nodes`."""
        values: list[Range] = []
        for step, arguments, known in self._steps:
            if isinstance(step, int):
                value = box.get(step, WHOLE)
            else:
                value = step(*[values[a] for a in arguments])
            values.append(value if known is None else value.meet(known))
        return values


class Ranges:
    """The ranges of nodes over one box, each computed once; nodes may be added to the table meanwhile."""

    def __init__(self, table: Table, box: Mapping[int, Range], known: Mapping[int, Range]):
        self.table = table
        self.box = box
        self.known = known
        self._memo: dict[int, Range] = {}

    def __call__(self, node: int) -> Range:
        if node not in self._memo:
            for each in self.table.reachable([node], self._memo):
                self._memo[each] = self._range(each)
        return self._memo[node]

    def _range(self, node: int) -> Range:
        if self.table.operation[node] == "var":
            value = self.box.get(self.table.value[node], WHOLE)
        else:
            step, arguments = _step(self.table, node)
            value = step(*[self._memo[a] for a in arguments])
        return value.meet(self.known[node]) if node in self.known else value


def enclose(
    table: Table, roots: Sequence[int], box: Mapping[int, Range], known: Mapping[int, Range] | None = None
) -> list[Range]:
    """The ranges of some nodes over one box.

    Examples
    --------
    >>> table = Table()
    >>> [r] = enclose(table, [table.call("exp", [table.var(0)])], {})
    >>> r.lo, r.hi, r.positive
    (0, inf, True)
    """
    return Enclosure(table, roots, known)(box)


def _step(table: Table, node: int) -> tuple[Callable[..., Range], tuple[int, ...]]:
    """How a node is computed, and from which."""
    operation, arguments = table.operation[node], table.arguments[node]
    if operation == "num":
        return partial(_constant, number(table.value[node])), ()
    if operation == "+":
        counts = Counter(arguments)
        return partial(_sum, [number(c) if c > 1 else None for c in counts.values()]), tuple(counts)
    if operation == "*":
        counts = Counter(arguments)
        return partial(_product, [fmpq(c) for c in counts.values()]), tuple(counts)
    if operation == "^":
        return partial(elementary.power, exponent=table.value[node]), arguments
    return elementary.FUNCTIONS[operation], arguments


def _constant(value: Range) -> Range:
    return value


def _sum(times: list[Range | None], *terms: Range) -> Range:
    parts = [term if n is None else term * n for n, term in zip(times, terms, strict=True)]
    return reduce(lambda a, b: a + b, parts)


def _product(exponents: list[fmpq], *factors: Range) -> Range:
    """Equal factors are powers, which a product of intervals would not know to be nonnegative."""
    parts = [f if n == 1 else elementary.power(f, n) for n, f in zip(exponents, factors, strict=True)]
    return reduce(lambda a, b: a * b, parts)


# ---- points ---------------------------------------------------------------------------------


def exact(table: Table, root: int, point: Mapping[int, fmpq]) -> fmpq | None:
    """The value of a node at a point as a rational number; None where it is none, or not defined.

    Examples
    --------
    >>> table = Table()
    >>> exact(table, table.power(table.var(0), fmpq(1, 2)), {0: fmpq(9, 4)})
    3/2
    """
    values: dict[int, fmpq | None] = {}
    for node in table.reachable([root]):
        value = _exact(table, node, [values[child] for child in table.arguments[node]], point)
        if value is not None and value.height_bits() > _BITS:
            raise Rejected("a value has too many digits")
        values[node] = value
    return values[root]


def _exact(table: Table, node: int, parts: list[fmpq | None], point: Mapping[int, fmpq]) -> fmpq | None:
    operation = table.operation[node]
    if operation == "num":
        return table.value[node]
    if operation == "var":
        return point.get(table.value[node])
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    if operation == "+":
        return _bounded_sum(known)
    if operation == "*":
        if sum(part.height_bits() for part in known) > _BITS:
            raise Rejected("a value has too many digits")
        return reduce(lambda a, b: a * b, known)
    if operation == "^":
        return rational_power(known[0], table.value[node])
    return balls.exact(operation, known)


def _bounded_sum(parts: list[fmpq]) -> fmpq:
    total = fmpq(0)
    for part in parts:
        total += part
        if total.height_bits() > _BITS:
            raise Rejected("a value has too many digits")
    return total


PRECISIONS = (256, 1024, 8192)
"""Bits with which a ball is computed until it is sharp."""


def is_sharp(value: arb) -> bool:
    """Whether the first digits of what a ball holds are known, and so its sign."""
    return bool(value.is_finite()) and (bool(value > 0) or bool(value < 0)) and value.rel_accuracy_bits() > 32


def ball(table: Table, roots: Sequence[int], point: Mapping[int, fmpq], precision: int = 256) -> list[arb]:
    """Balls that hold the values of nodes at a point; a ball that is not finite where there may be none.

    Examples
    --------
    >>> table = Table()
    >>> [e] = ball(table, [table.call("exp", [table.var(0)])], {0: fmpq(1)})
    >>> bool(e > 2.7182818284) and bool(e < 2.7182818285)
    True
    """
    nodes = table.reachable(roots)
    with ctx.workprec(precision):
        values: dict[int, arb] = {}
        for node in nodes:
            values[node] = _ball(table, node, [values[child] for child in table.arguments[node]], point)
        return [values[root] for root in roots]


def _ball(table: Table, node: int, parts: list[arb], point: Mapping[int, fmpq]) -> arb:
    operation = table.operation[node]
    if operation == "num":
        return arb(table.value[node])
    if operation == "var":
        value = point.get(table.value[node])
        return arb.nan() if value is None else arb(value)
    if operation == "+":
        return reduce(lambda a, b: a + b, parts)
    if operation == "*":
        return reduce(lambda a, b: a * b, parts)
    if operation == "^":
        return balls.ball_power(parts[0], table.value[node])
    return balls.BALLS[operation](*parts)


__all__ = [
    "NOWHERE", "PRECISIONS", "WHOLE", "Enclosure", "Range", "Ranges", "ball", "enclose", "exact", "is_sharp", "number",
]  # fmt: skip
