"""Scalar functions of numbered variables as interned nodes: what small models are certified on.

The kinds of nodes are those of a certificate's statement. Builders fold what holds wherever the function is
defined, and nothing else: numbers, zero and one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any
from weakref import WeakValueDictionary

from bileveldsl.certify.clock import check

ONE_ARGUMENT = (
    "exp", "log", "abs", "sin", "cos", "tan", "asin", "acos", "atan", "cosh", "sinh", "tanh",
    "softplus", "sigmoid", "xlogx", "sign", "step",
)  # fmt: skip
TWO_ARGUMENTS = ("huber", "relative_entropy")
MANY_ARGUMENTS = ("max", "min")

_interned: WeakValueDictionary[tuple[Any, ...], Scalar] = WeakValueDictionary()


class Scalar:
    """A node: `op` with `args`; `value` is the number of a "num", the index of a "var", the exponent of a "^"."""

    __slots__ = ("__weakref__", "args", "key", "op", "value")
    op: str
    args: tuple[Scalar, ...]
    value: Any
    key: bytes
    """A digest of the structure: what is written of a function depends on nothing else in the process."""

    def __repr__(self) -> str:
        if self.op == "num":
            return str(self.value)
        if self.op == "var":
            return f"v{self.value}"
        inside = ", ".join(map(repr, self.args))
        return f"({inside})^{self.value}" if self.op == "^" else f"{self.op}({inside})"


def _make(op: str, args: tuple[Scalar, ...] = (), value: Any = None) -> Scalar:
    key = (op, args, value)
    node = _interned.get(key)
    if node is None:
        check()
        node = object.__new__(Scalar)
        node.op, node.args, node.value = op, args, value
        node.key = hashlib.blake2b(f"{op} {value} ".encode() + b"".join(a.key for a in args), digest_size=16).digest()
        _interned[key] = node
    return node


def number(value: Fraction | int) -> Scalar:
    return _make("num", (), Fraction(value))


def variable(index: int) -> Scalar:
    return _make("var", (), index)


ZERO, ONE = number(0), number(1)
PI, E = _make("pi"), _make("e")


def total(terms: Iterable[Scalar]) -> Scalar:
    """The sum; nested sums are one, numbers are added up.

    Examples
    --------
    >>> total([variable(0), number(2), total([variable(0), number(-2)])]).args
    (v0, v0)
    """
    constant, rest = Fraction(0), []
    for term in terms:
        for each in term.args if term.op == "+" else (term,):
            if each.op == "num":
                constant += each.value
            else:
                rest.append(each)
    if constant or not rest:
        rest.append(number(constant))
    return rest[0] if len(rest) == 1 else _make("+", tuple(sorted(rest, key=_key)))


def product(factors: Iterable[Scalar]) -> Scalar:
    """The product; nested products are one, numbers are multiplied, equal factors are a power."""
    constant = Fraction(1)
    powers: dict[Scalar, Fraction] = {}
    for factor in factors:
        for each in factor.args if factor.op == "*" else (factor,):
            if each.op == "num":
                constant *= each.value
                continue
            whole = each.op == "^" and each.value.denominator == 1 and each.value > 0
            base, exponent = (each.args[0], each.value) if whole else (each, Fraction(1))
            powers[base] = powers.get(base, Fraction(0)) + exponent
    if constant == 0:
        return ZERO
    rest = [power(base, exponent) for base, exponent in powers.items()]
    if constant != 1 or not rest:
        rest.append(number(constant))
    return rest[0] if len(rest) == 1 else _make("*", tuple(sorted(rest, key=_key)))


def power(base: Scalar, exponent: Fraction | int) -> Scalar:
    """A power with a fixed exponent; powers of powers stay, since (y^2)^(1/2) is not y."""
    exponent = Fraction(exponent)
    if exponent == 0:
        return ONE
    if exponent == 1:
        return base
    if base.op == "num" and exponent.denominator == 1 and abs(exponent) <= 1000 and (base.value or exponent > 0):
        return number(base.value ** int(exponent))
    return _make("^", (base,), exponent)


def call(op: str, *args: Scalar) -> Scalar:
    """Any other node: "exp", "max", "pow" and so on."""
    return _make(op, args)


def _key(node: Scalar) -> bytes:
    return node.key


def negated(node: Scalar) -> Scalar:
    return product([number(-1), node])


# ---- walks ----


def topological(roots: Sequence[Scalar]) -> list[Scalar]:
    """Every node under the roots once, arguments before their users."""
    order: list[Scalar] = []
    seen: set[Scalar] = set()
    stack: list[tuple[Scalar, Iterator[Scalar]]] = []
    for root in roots:
        if root not in seen:
            seen.add(root)
            stack.append((root, iter(root.args)))
        while stack:
            node, rest = stack[-1]
            child = next((c for c in rest if c not in seen), None)
            if child is None:
                order.append(node)
                stack.pop()
            else:
                seen.add(child)
                stack.append((child, iter(child.args)))
    return order


def occurring(*roots: Scalar) -> frozenset[int]:
    """The indices of the variables that occur."""
    return frozenset(node.value for node in topological(roots) if node.op == "var")


def rebuild(node: Scalar, args: Sequence[Scalar]) -> Scalar:
    """The same operation on other arguments."""
    if node.op == "+":
        return total(args)
    if node.op == "*":
        return product(args)
    if node.op == "^":
        return power(args[0], node.value)
    return _make(node.op, tuple(args), node.value) if args else node


def substitute(roots: Sequence[Scalar], values: dict[Scalar, Scalar]) -> list[Scalar]:
    """The nodes with some nodes (variables, or any others) replaced."""
    done: dict[Scalar, Scalar] = {}
    for node in topological(roots):
        done[node] = values[node] if node in values else rebuild(node, [done[a] for a in node.args])
    return [done[root] for root in roots]
