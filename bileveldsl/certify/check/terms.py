"""Expressions as numbered nodes of one table: every node is listed once, after the nodes it is made of."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

from flint import fmpq

NODES = 3_000_000
"""Nodes a table may hold."""

DIGITS = 10_000
"""Decimal digits a number may have."""

_BITS = 4 * DIGITS

UNARY = frozenset(
    {"exp", "log", "abs", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh"}
    | {"softplus", "sigmoid", "xlogx", "sign", "step"}
)
BINARY = frozenset({"huber", "relative_entropy", "pow"})
MANY = frozenset({"max", "min"})
CONSTANTS = frozenset({"pi", "e"})


class Rejected(Exception):
    """What a certificate says is not proved; the text says why."""


class Table:
    """Nodes by number: operation, arguments, value (of a "num", "var" or the exponent of "^").

    Examples
    --------
    >>> table = Table()
    >>> y = table.var(0)
    >>> square = table.power(y, fmpq(2))
    >>> table.add([square, table.num(0)]) == square
    True
    >>> table.operation[square], table.arguments[square], table.value[square]
    ('^', (0,), 2)
    """

    def __init__(self) -> None:
        self.operation: list[str] = []
        self.arguments: list[tuple[int, ...]] = []
        self.value: list[Any] = []
        self.memo: dict[Any, Any] = {}  # what was derived from nodes
        self._numbers: dict[tuple[Any, ...], int] = {}

    def __len__(self) -> int:
        return len(self.operation)

    def node(self, operation: str, arguments: tuple[int, ...] = (), value: Any = None) -> int:
        """The number of a node as it is given, nothing folded."""
        key = (operation, arguments, value)
        found = self._numbers.get(key)
        if found is None:
            if len(self.operation) >= NODES:
                raise Rejected(f"more than {NODES} nodes are needed")
            found = self._numbers[key] = len(self.operation)
            self.operation.append(operation)
            self.arguments.append(arguments)
            self.value.append(value)
        return found

    # ---- builders, which fold constants, 0 and 1 ----

    def num(self, value: fmpq | int) -> int:
        number = value if isinstance(value, fmpq) else fmpq(value)
        if number.height_bits() > _BITS:
            raise Rejected(f"a number has more than {DIGITS} digits")
        return self.node("num", (), number)

    def var(self, index: int) -> int:
        return self.node("var", (), index)

    def add(self, terms: Iterable[int]) -> int:
        constant, rest = self._parted(terms, fmpq(0), lambda a, b: a + b)
        if constant != 0:
            rest.append(self.num(constant))
        return self.num(0) if not rest else rest[0] if len(rest) == 1 else self.node("+", tuple(rest))

    def mul(self, factors: Iterable[int]) -> int:
        constant, rest = self._parted(factors, fmpq(1), lambda a, b: a * b)
        if constant == 0 or not rest:
            return self.num(constant)
        if constant != 1:
            rest.insert(0, self.num(constant))
        return rest[0] if len(rest) == 1 else self.node("*", tuple(rest))

    def negate(self, node: int) -> int:
        return self.mul([self.num(-1), node])

    def power(self, base: int, exponent: fmpq | int) -> int:
        exponent = fmpq(exponent)
        if exponent == 1:
            return base
        value = self.number(base)
        if value is not None:
            folded = rational_power(value, exponent)
            if folded is not None:
                return self.num(folded)
        elif exponent == 0:
            return self.num(1)
        return self.node("^", (base,), exponent)

    def call(self, name: str, arguments: Sequence[int]) -> int:
        if name == "pow":
            exponent = self.number(arguments[1])
            if exponent is not None:
                return self.power(arguments[0], exponent)
        return self.node(name, tuple(arguments))

    def _parted(self, nodes: Iterable[int], start: fmpq, join: Callable[[fmpq, fmpq], fmpq]) -> tuple[fmpq, list[int]]:
        constant, rest = start, []
        for node in nodes:
            if self.operation[node] == "num":
                constant = join(constant, self.value[node])
                if constant.height_bits() > _BITS:
                    raise Rejected(f"a number has more than {DIGITS} digits")
            else:
                rest.append(node)
        return constant, rest

    # ---- questions ----

    def number(self, node: int) -> fmpq | None:
        """The value of a "num" node, else None."""
        return self.value[node] if self.operation[node] == "num" else None

    def reachable(self, roots: Iterable[int], without: Container[int] = ()) -> list[int]:
        """The nodes of which the roots are made, and the roots, arguments first; some are left out, with all below."""
        seen = {root for root in roots if root not in without}
        stack = list(seen)
        while stack:
            for child in self.arguments[stack.pop()]:
                if child not in seen and child not in without:
                    seen.add(child)
                    stack.append(child)
        return sorted(seen)

    def variables(self, roots: Iterable[int]) -> frozenset[int]:
        """The indices of the variables that occur under the roots."""
        return frozenset(self.value[n] for n in self.reachable(roots) if self.operation[n] == "var")

    def dependent(self, roots: Iterable[int], variables: Iterable[int]) -> set[int]:
        """The nodes under the roots, roots included, in which one of the variables occurs."""
        wanted, found = frozenset(variables), set()
        for n in self.reachable(roots):
            if self.operation[n] == "var":
                if self.value[n] in wanted:
                    found.add(n)
            elif any(child in found for child in self.arguments[n]):
                found.add(n)
        return found

    def substituted(self, roots: Sequence[int], values: dict[int, int]) -> list[int]:
        """The roots with some nodes (variables, for one) replaced by others."""
        made: dict[int, int] = {}
        for n in self.reachable(roots):
            if n in values:
                made[n] = values[n]
            else:
                arguments = tuple(made[child] for child in self.arguments[n])
                made[n] = n if arguments == self.arguments[n] else self._rebuilt(n, arguments)
        return [made[root] for root in roots]

    def _rebuilt(self, node: int, arguments: tuple[int, ...]) -> int:
        operation = self.operation[node]
        if operation == "+":
            return self.add(arguments)
        if operation == "*":
            return self.mul(arguments)
        if operation == "^":
            return self.power(arguments[0], self.value[node])
        return self.call(operation, arguments)


def rational_power(base: fmpq, exponent: fmpq) -> fmpq | None:
    """A power, where it is a rational number of bounded size; None where it is not, or not defined."""
    if base == 0:
        return fmpq(0) if exponent > 0 else fmpq(1) if exponent == 0 else None
    whole, root = exponent.p, exponent.q
    if root != 1:
        if base < 0 or root > 64:
            return None
        index = int(root)
        above, below = base.p.root(index), base.q.root(index)
        if above**index != base.p or below**index != base.q:
            return None
        base = fmpq(above, below)
    if abs(whole) * base.height_bits() > _BITS and base not in (1, -1):
        return None
    return base ** int(whole) if base not in (1, -1) else base if whole % 2 else fmpq(1)
