"""Ranges of nodes where variables are far out: what grows and what falls there is kept apart from its factor.

Where a variable is in [R, inf) or (-inf, -R], R > 0, let t >= R be its size. A node is enclosed as c t^d exp(w), the
product over all such variables, where c lies in a range and w is a sum of multiples of other nodes, or of their sizes.
So the range of y^4 exp(-y^2) is bounded, which that of y^4 times that of exp(-y^2) is not: t^d exp(-k t^p) is greatest
at (d / (k p))^(1/p), and falls from there on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from flint import arb, ctx, fmpq

from bileveldsl.certify.check.elementary import FUNCTIONS, power
from bileveldsl.certify.check.enclosures import Enclosure
from bileveldsl.certify.check.ranges import INF, ONE, PRECISION, WHOLE, ZERO, Range, least, less, number, upper
from bileveldsl.certify.check.terms import Table

_CLASSES = 8  # of terms of a sum that are tried as the one that leads
_MONOMIALS = 8  # of an exponent
_LARGE, _BITS = fmpq(10**6), 128  # of a degree or a multiple
_NOTHING = Range(ZERO, ZERO)
_HALF = fmpq(1, 2)
_LOG = Range(ZERO, fmpq(3, 4))  # of log(t) / t^(1/2) for t >= 1, which is 2/e = 0.7357... at most

Degrees = tuple[tuple[int, fmpq], ...]
"""Powers of the sizes of variables, by index, none of them 0."""

Exponent = tuple[tuple[tuple[int, bool], fmpq], ...]
"""Multiples of nodes, or (True) of their sizes, none of them 0."""


@dataclass(frozen=True)
class Tail:
    """A factor in a range, times powers of sizes, times the exponential of a sum of multiples of nodes."""

    factor: Range
    degrees: Degrees = ()
    exponent: Exponent = ()


class Tails:
    """The ranges of some nodes, to be evaluated over boxes with sides that go on without end."""

    def __init__(self, table: Table, roots: Sequence[int], known: Mapping[int, Range]):
        self._table, self._roots = table, list(roots)
        self._plain = Enclosure(table, roots, known)

    def __call__(self, box: Mapping[int, Range], narrowed: Sequence[Range]) -> list[Range]:
        """The ranges of the roots, within those that are given, which are returned where no variable is far out."""
        used = (self._table.value[n] for n in self._plain.nodes if self._table.operation[n] == "var")
        far = {k: r for k in used if (r := _size(box.get(k, WHOLE))) is not None}
        if not far or all(r.finite for r in narrowed):
            return list(narrowed)
        found: dict[int, Tail] = {}
        for node, plain in zip(self._plain.nodes, self._plain.all(box), strict=True):
            tail = _Far(self._table, found, far).of(node, plain, box)
            found[node] = tail if tail is not None and (tail.factor.finite or not plain.finite) else Tail(plain)
        there = _Far(self._table, found, far)
        return [r.meet(there.range(found[root])) for r, root in zip(narrowed, self._roots, strict=True)]


def _size(r: Range) -> fmpq | None:
    """The least size of the numbers in a range without an end, if it is away from 0."""
    if r.hi == INF and r.nonnegative and r.lo > 0:
        return r.lo
    return -r.hi if r.lo == -INF and r.nonpositive and r.hi < 0 else None


@dataclass(frozen=True)
class _Far:
    """The nodes enclosed so far, where the sizes of some variables are at least these."""

    table: Table
    found: dict[int, Tail]
    far: Mapping[int, fmpq]

    # ---- operations ----

    def of(self, node: int, plain: Range, box: Mapping[int, Range]) -> Tail | None:
        table, found = self.table, self.found
        operation, arguments = table.operation[node], table.arguments[node]
        if not plain.defined:
            return None
        if operation == "var":
            index = table.value[node]
            sign = -1 if box.get(index, WHOLE).nonpositive else 1
            return Tail(number(sign), ((index, ONE),)) if index in self.far else None
        if operation == "+":
            mirrored = self._complement(node)
            return self._function(*mirrored) if mirrored else self._sum([found[a] for a in arguments])
        if operation == "*":
            return reduce(_times, [_power(found[a], fmpq(n)) for a, n in Counter(arguments).items()])
        if operation == "^":
            return _power(found[arguments[0]], table.value[node])
        if operation == "exp":
            return self._exponential(arguments[0])
        return self._function(operation, arguments[0]) if len(arguments) == 1 else None

    def _complement(self, node: int) -> tuple[str, int] | None:
        """What 1 - sigmoid(u) and 1 - tanh(u)^2 are: functions of u that fall, by names of their own."""
        table = self.table
        arguments = table.arguments[node]
        if len(arguments) != 2 or ONE not in (table.number(a) for a in arguments):
            return None
        rests = [a for a in arguments if table.number(a) != 1]
        times, inner = _parted(table, rests[0]) if rests else (ONE, node)
        if times != -1:
            return None
        if table.operation[inner] == "sigmoid":
            return "1 - sigmoid", table.arguments[inner][0]
        square = table.operation[inner] == "^" and table.value[inner] == 2
        base = table.arguments[inner][0] if square else inner
        return ("sech^2", table.arguments[base][0]) if square and table.operation[base] == "tanh" else None

    def _exponential(self, node: int) -> Tail | None:
        """exp of a sum is the product of those of its terms."""
        table = self.table
        scale, inner = _parted(table, node)
        terms = table.arguments[inner] if table.operation[inner] == "+" else (inner,)
        parts = [_parted(table, term) for term in terms]
        return reduce(_times, [self._raised(term, False, scale * times) for times, term in parts])

    def _raised(self, node: int, size: bool, times: fmpq) -> Tail | None:
        """exp of a multiple of a node, or of its size."""
        inner = self.found[node]
        if inner.exponent or not inner.factor.finite:
            return None
        if not inner.degrees:
            return Tail(FUNCTIONS["exp"](self._multiplied(node, size) * number(times)))
        return _tail(number(1), (), {(node, size): times})

    def _multiplied(self, node: int, size: bool) -> Range:
        """The factor of a node, or of its size."""
        factor = self.found[node].factor
        return FUNCTIONS["abs"](factor) if size else factor

    def _sum(self, parts: Sequence[Tail]) -> Tail | None:
        """The sum over the term that leads, of those that leave a finite factor."""
        leading = dict.fromkeys((part.degrees, part.exponent) for part in parts)
        for degrees, exponent in list(leading)[:_CLASSES]:
            total = _NOTHING
            for part in parts:
                rest = dict(part.exponent)
                for key, times in exponent:
                    rest[key] = rest.get(key, ZERO) - times
                ratio = _tail(part.factor, _joined(part.degrees, degrees, -ONE), rest)
                total = total + (WHOLE if ratio is None else self.range(ratio))
            if total.finite:
                return Tail(total, degrees, exponent)
        return None

    def _function(self, operation: str, node: int) -> Tail | None:
        """Functions that grow or fall like a power or an exponential of their argument."""
        u = self.found[node]
        if operation == "abs":
            return Tail(FUNCTIONS["abs"](u.factor), u.degrees, u.exponent)
        if operation == "log" and u.factor.positive:
            return self._logarithm(u)
        sign = 1 if u.factor.positive else -1 if u.factor.negative else 0
        if not sign or not u.factor.finite:
            return None
        falling, rising = self._raised(node, True, -ONE), self._raised(node, True, ONE)
        if operation == "sech^2":  # 4 / (exp(u) + exp(-u))^2 = 4 exp(-2|u|) / (1 + exp(-2|u|))^2
            return _times(self._raised(node, True, fmpq(-2)), Tail(Range(ONE, fmpq(4))))
        if operation in ("sigmoid", "1 - sigmoid") and (sign < 0) == (operation == "sigmoid"):
            return _times(falling, Tail(Range(_HALF, ONE)))  # exp(-|u|) / (1 + exp(-|u|))
        if operation == "softplus" and sign < 0:  # log(1 + v) for v = exp(-|u|) <= 1 is between v / 2 and v
            return _times(falling, Tail(Range(_HALF, ONE)))
        if operation == "softplus":  # u + log(1 + exp(-u))
            return self._sum([u, Tail(Range(ZERO, ONE))])
        if operation == "cosh":
            return _times(rising, Tail(Range(_HALF, ONE)))
        if operation == "sinh":
            return _times(rising, Tail(Range(ZERO, _HALF) if sign > 0 else Range(-_HALF, ZERO)))
        return None

    def _logarithm(self, u: Tail) -> Tail | None:
        """log(c t^d exp(w)) = log c + d log t + w."""
        parts = [Tail(FUNCTIONS["log"](u.factor))]
        for key, times in u.exponent:
            parts.append(Tail(self._multiplied(*key) * number(times), self.found[key[0]].degrees))
        for index, degree in u.degrees:
            if self.far[index] < 1:
                return None
            parts.append(Tail(_LOG * number(degree), ((index, _HALF),)))
        return self._sum(parts)

    # ---- ranges ----

    def range(self, a: Tail) -> Range:
        """All values: the factor times t^d exp(w), one variable after the other."""
        result = a.factor
        by_degrees: dict[Degrees, Range] = {}
        for (node, size), times in a.exponent:
            k, degrees = self._multiplied(node, size) * number(times), self.found[node].degrees
            by_degrees[degrees] = by_degrees[degrees] + k if degrees in by_degrees else k
        exponents: dict[int, list[tuple[fmpq, Range]]] = {}
        for degrees, k in by_degrees.items():
            if len(degrees) == 1:
                exponents.setdefault(degrees[0][0], []).append((degrees[0][1], k))
            else:
                result = result * (Range(ZERO, ONE) if k.nonpositive else Range(ZERO, INF))
        powers = dict(a.degrees)
        for index in sorted({*powers, *exponents}):
            result = result * _of_one(powers.get(index, ZERO), exponents.get(index, []), self.far[index])
        return result


def _parted(table: Table, node: int) -> tuple[fmpq, int]:
    """A node as a number times another."""
    arguments = table.arguments[node]
    if table.operation[node] == "*" and len(arguments) == 2:
        for first, last in (arguments, arguments[::-1]):
            if table.operation[first] == "num":
                return table.value[first], last
    return ONE, node


def _times(a: Tail | None, b: Tail | None) -> Tail | None:
    if a is None or b is None:
        return None
    exponent = dict(a.exponent)
    for key, times in b.exponent:
        exponent[key] = exponent.get(key, ZERO) + times
    return _tail(a.factor * b.factor, _joined(a.degrees, b.degrees), exponent)


def _tail(factor: Range, degrees: Degrees, exponent: Mapping[tuple[int, bool], fmpq]) -> Tail | None:
    kept = tuple(sorted(((key, times) for key, times in exponent.items() if times != 0), key=lambda pair: pair[0]))
    numbers = [d for _, d in degrees] + [times for _, times in kept]
    if len(kept) > _MONOMIALS or any(abs(n) > _LARGE or n.height_bits() > _BITS for n in numbers):
        return None
    return Tail(factor, degrees, kept)


def _joined(a: Degrees, b: Degrees, times: fmpq = ONE) -> Degrees:
    """The degrees of a product of one and a power of the other."""
    found = dict(a)
    for index, degree in b:
        found[index] = found.get(index, ZERO) + degree * times
    return tuple(sorted((k, d) for k, d in found.items() if d != 0))


def _power(a: Tail, exponent: fmpq) -> Tail | None:
    factor = power(a.factor, exponent)
    if not factor.defined:
        return None
    return _tail(factor, _joined((), a.degrees, exponent), {key: times * exponent for key, times in a.exponent})


def _of_one(d: fmpq, exponents: Sequence[tuple[fmpq, Range]], R: fmpq) -> Range:
    """t^d exp(sum of k t^p) for all t >= R, each k in a range."""
    size = Range(R, INF)
    if not exponents:
        return power(size, d)
    bounded = [FUNCTIONS["exp"](k * power(size, p)) for p, k in exponents if p < 0]
    growing = [(p, k) for p, k in exponents if p > 0]
    result = reduce(lambda a, b: a * b, bounded, number(1))
    if not growing:
        return result * power(size, d)
    above = max(p for p, _ in growing)
    # For q < p, t^q is at most R^(q - p) t^p: all terms are at most one, of the highest power.
    rate = _NOTHING
    for p, k in growing:
        share = k if p == above else Range(ZERO, k.hi if k.hi == INF or k.hi > 0 else ZERO) * _at(R, p - above)
        rate = rate + share
    below = least(*(k.lo for _, k in growing)) >= 0
    lo = _lowest(d, growing, R) if below and d >= 0 else ZERO
    if less(rate.hi, ZERO):
        hi = _greatest(d, rate.hi, above, R)
    else:
        hi = _at(R, d).hi if d <= 0 and rate.nonpositive else INF
    return result * Range(lo, hi, True)


def _at(R: fmpq, exponent: fmpq) -> Range:
    return power(Range(R, R), exponent)


def _lowest(d: fmpq, growing: Sequence[tuple[fmpq, Range]], R: fmpq) -> Any:
    """At t = R, nothing falling from there."""
    exponent = reduce(lambda a, b: a + b, [Range(k.lo, k.lo) * _at(R, p) for p, k in growing])
    return (FUNCTIONS["exp"](exponent) * _at(R, d)).lo


def _greatest(d: fmpq, k: fmpq, p: fmpq, R: fmpq) -> Any:
    """A bound of t^d exp(k t^p) for k < 0: at its maximum (d / (-k p))^(1/p), or at R beyond it."""
    with ctx.workprec(PRECISION):
        turn = arb(d / (-k * p)) if d > 0 else arb(0)
        height = arb(R) ** arb(p)
        if height >= turn:
            return upper((arb(d) * arb(R).log() + arb(k) * height).exp())
        return upper((arb(d / p) * (turn.log() - 1)).exp())


