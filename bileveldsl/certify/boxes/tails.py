"""Enclosures of nodes over boxes with sides that have no end, where what grows and falls is kept apart.

A node is enclosed as c t^d exp(w), t being the sizes of the variables that are far out, c in an interval, and w a
sum of multiples of nodes; the checker of covers does the same and says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce

import numpy as np

from bileveldsl.certify.elementary import RULES, fixed_power
from bileveldsl.certify.interval import Interval
from bileveldsl.certify.scalars import Scalar, topological
from bileveldsl.certify.scalars.values import enclose_node

_CLASSES = 8  # of terms of a sum that are tried as the one that leads
_MONOMIALS = 8  # of an exponent
_LARGE = 1000
_HALF = Fraction(1, 2)

Degrees = tuple[tuple[int, Fraction], ...]
"""Powers of the sizes of variables, by index, none of them 0."""
Key = tuple[Scalar, bool]
"""A node, or (True) its size."""


@dataclass(frozen=True, eq=False)
class Tail:
    """A factor, times powers of sizes, times the exponential of a sum of multiples of nodes."""

    factor: Interval
    degrees: Degrees = ()
    exponent: frozenset[tuple[Key, Fraction]] = frozenset()


def enclose_tails(
    roots: Sequence[Scalar], narrowed: Sequence[Interval], lo: np.ndarray, hi: np.ndarray
) -> list[Interval]:
    """What nodes take over boxes of shape (batch, variables), within the intervals that are given.

    Parameters
    ----------
    roots, narrowed : nodes, and an interval of shape (batch,) for each
    lo, hi : end points, some of them infinite
    """
    open_ = np.any([~np.isfinite(x.lo) | ~np.isfinite(x.hi) for x in narrowed], axis=0)
    used = sorted({n.value for n in topological(roots) if n.op == "var"})
    above, below = (lo[:, used] > 0) & (hi[:, used] == np.inf), (hi[:, used] < 0) & (lo[:, used] == -np.inf)
    rows = np.flatnonzero(open_ & (above | below).any(1))
    if not len(rows):
        return list(narrowed)
    ends = [(np.array(x.lo), np.array(x.hi)) for x in narrowed]
    signs = above[rows].astype(int) - below[rows]
    for pattern in np.unique(signs, axis=0):
        here = rows[(signs == pattern).all(1)]
        sides = dict(zip(used, pattern.tolist(), strict=True))
        far = {k: Interval.point(np.where(s > 0, lo[here, k], -hi[here, k])) for k, s in sides.items() if s}
        place = _Far(sides, far, {})
        place.fill(roots, lo[here], hi[here])
        for (low, high), root in zip(ends, roots, strict=True):
            found = place.range(place.found[root])
            low[here], high[here] = np.maximum(low[here], found.lo), np.minimum(high[here], found.hi)
    return [Interval.of(low, high, x.positive) for (low, high), x in zip(ends, narrowed, strict=True)]


def _number(value: Fraction | int) -> Interval:
    return Interval.rational(Fraction(value))


def _between(low: float, high: float) -> Interval:
    return Interval.of(np.asarray(low), np.asarray(high))


def _is_finite(x: Interval) -> bool:
    return bool(np.isfinite(x.lo).all() and np.isfinite(x.hi).all())


@dataclass(frozen=True, eq=False)
class _Far:
    """The nodes enclosed so far, where variables have these signs and those that are far out at least these sizes."""

    signs: Mapping[int, int]
    far: Mapping[int, Interval]
    found: dict[Scalar, Tail]

    def fill(self, roots: Sequence[Scalar], lo: np.ndarray, hi: np.ndarray) -> None:
        plain: dict[Scalar, Interval] = {}
        for node in topological(roots):
            plain[node] = enclose_node(node, [plain[a] for a in node.args], lo, hi)
            tail = self._of(node)
            good = tail is not None and (_is_finite(tail.factor) or not _is_finite(plain[node]))
            self.found[node] = tail if good and tail is not None else Tail(plain[node])

    # ---- operations ----

    def _of(self, node: Scalar) -> Tail | None:
        parts: list[Tail] = [self.found[a] for a in node.args]
        if node.op == "var":
            sign = self.signs[node.value]
            return Tail(_number(sign), ((node.value, Fraction(1)),)) if sign else None
        if node.op == "+":
            inner = _complement(node)
            return self._sum(parts) if inner is None else self._function(*inner)
        if node.op == "*":
            factors: list[Tail | None] = [*parts]
            return reduce(_times, factors)
        if node.op == "^":
            return _power(parts[0], node.value)
        if node.op == "exp":
            return self._exponential(node.args[0])
        return self._function(node.op, node.args[0]) if len(parts) == 1 else None

    def _exponential(self, node: Scalar) -> Tail | None:
        """exp of a sum is the product of those of its terms."""
        scale, inner = _parted(node)
        if inner.op != "+":
            return self._raised(inner, False, scale)
        terms = [_parted(term) for term in inner.args]
        parts: list[Tail | None] = [self._raised(term, False, scale * times) for times, term in terms]
        return reduce(_times, parts)

    def _raised(self, node: Scalar, size: bool, times: Fraction) -> Tail | None:
        """exp of a multiple of a node, or of its size."""
        if node.op == "num":
            return Tail(RULES["exp"](_number(node.value * times)))
        inner = self.found[node]
        if inner.exponent or not _is_finite(inner.factor):
            return None
        if not inner.degrees:
            return Tail(RULES["exp"](self._factor((node, size)) * _number(times)))
        return _tail(_number(1), (), {(node, size): times})

    def _factor(self, key: Key) -> Interval:
        factor = self.found[key[0]].factor
        return factor.abs() if key[1] else factor

    def _sum(self, parts: Sequence[Tail]) -> Tail | None:
        """The sum over the term that leads, of those that leave a finite factor."""
        for degrees, exponent in list(dict.fromkeys((p.degrees, p.exponent) for p in parts))[:_CLASSES]:
            total = _number(0)
            for part in parts:
                rest = dict(part.exponent)
                for key, times in exponent:
                    rest[key] = rest.get(key, Fraction(0)) - times
                ratio = _tail(part.factor, _joined(part.degrees, degrees, -1), rest)
                total = total + (_between(-np.inf, np.inf) if ratio is None else self.range(ratio))
            if _is_finite(total):
                return Tail(total, degrees, exponent)
        return None

    def _function(self, op: str, node: Scalar) -> Tail | None:
        """Functions that grow or fall like a power or an exponential of their argument."""
        u = self.found[node]
        if op == "abs":
            return Tail(u.factor.abs(), u.degrees, u.exponent)
        if op == "log" and u.factor.positive:
            return self._logarithm(u)
        sign = 1 if u.factor.positive else -1 if (-u.factor).positive else 0
        if not sign or not _is_finite(u.factor):
            return None
        falling, rising = self._raised(node, True, Fraction(-1)), self._raised(node, True, Fraction(1))
        if op == "sech^2":
            return _times(self._raised(node, True, Fraction(-2)), Tail(_between(1.0, 4.0)))
        if (op in ("sigmoid", "softplus") and sign < 0) or (op == "1 - sigmoid" and sign > 0):
            return _times(falling, Tail(_between(0.5, 1.0)))
        if op == "softplus":
            return self._sum([u, Tail(_between(0.0, 1.0))])
        if op == "cosh":
            return _times(rising, Tail(_between(0.5, 1.0)))
        if op == "sinh":
            return _times(rising, Tail(_between(0.0, 0.5) if sign > 0 else _between(-0.5, 0.0)))
        return None

    def _logarithm(self, u: Tail) -> Tail | None:
        """log(c t^d exp(w)) = log c + d log t + w."""
        parts = [Tail(RULES["log"](u.factor))]
        parts += [Tail(self._factor(key) * _number(n), self.found[key[0]].degrees) for key, n in u.exponent]
        for index, degree in u.degrees:
            if self.far[index].least < 1:
                return None
            parts.append(Tail(_between(0.0, 0.75) * _number(degree), ((index, _HALF),)))
        return self._sum(parts)

    # ---- ranges ----

    def range(self, a: Tail) -> Interval:
        """All values: the factor times t^d exp(w), one variable after the other."""
        result = a.factor
        by_degrees: dict[Degrees, Interval] = {}
        for key, times in sorted(a.exponent, key=lambda pair: (pair[0][0].key, pair[0][1])):
            k, degrees = self._factor(key) * _number(times), self.found[key[0]].degrees
            by_degrees[degrees] = by_degrees[degrees] + k if degrees in by_degrees else k
        exponents: dict[int, list[tuple[Fraction, Interval]]] = {}
        for degrees, k in by_degrees.items():
            if len(degrees) == 1:
                exponents.setdefault(degrees[0][0], []).append((degrees[0][1], k))
            else:
                result = result * _between(0.0, 1.0 if k.nonpositive else np.inf)
        powers = dict(a.degrees)
        for index in sorted({*powers, *exponents}):
            here = _of_one(powers.get(index, Fraction(0)), exponents.get(index, []), self.far[index])
            result = result * here
        return result


def _parted(node: Scalar) -> tuple[Fraction, Scalar]:
    """A node as a number times another."""
    if node.op == "*" and len(node.args) == 2:
        numbers = [a for a in node.args if a.op == "num"]
        if len(numbers) == 1:
            [rest] = [a for a in node.args if a.op != "num"]
            return numbers[0].value, rest
    return Fraction(1), node


def _complement(node: Scalar) -> tuple[str, Scalar] | None:
    """What 1 - sigmoid(u) and 1 - tanh(u)^2 are: functions of u that fall, by names of their own."""
    rests = [a for a in node.args if a.op != "num"]
    if len(node.args) != 2 or len(rests) != 1 or not any(a.op == "num" and a.value == 1 for a in node.args):
        return None
    times, inner = _parted(rests[0])
    if times == -1 and inner.op == "sigmoid":
        return "1 - sigmoid", inner.args[0]
    square = times == -1 and inner.op == "^" and inner.value == 2 and inner.args[0].op == "tanh"
    return ("sech^2", inner.args[0].args[0]) if square else None


def _times(a: Tail | None, b: Tail | None) -> Tail | None:
    if a is None or b is None:
        return None
    exponent = dict(a.exponent)
    for key, times in b.exponent:
        exponent[key] = exponent.get(key, Fraction(0)) + times
    return _tail(a.factor * b.factor, _joined(a.degrees, b.degrees), exponent)


def _tail(factor: Interval, degrees: Degrees, exponent: Mapping[Key, Fraction]) -> Tail | None:
    kept = frozenset((key, times) for key, times in exponent.items() if times)
    if len(kept) > _MONOMIALS or any(abs(n) > _LARGE for _, n in (*degrees, *kept)):
        return None
    return Tail(factor, degrees, kept)


def _joined(a: Degrees, b: Degrees, times: Fraction | int = 1) -> Degrees:
    """The degrees of a product of one and a power of the other."""
    found = dict(a)
    for index, degree in b:
        found[index] = found.get(index, Fraction(0)) + degree * times
    return tuple(sorted((k, d) for k, d in found.items() if d))


def _power(a: Tail, exponent: Fraction) -> Tail | None:
    negative, fractional = exponent < 0, exponent.denominator > 1
    inside = a.factor.positive or (not fractional and (not negative or (-a.factor).positive))
    if not inside and (negative or not a.factor.nonnegative):
        return None
    factor = fixed_power(a.factor, exponent)
    return _tail(factor, _joined((), a.degrees, exponent), {key: times * exponent for key, times in a.exponent})


def _of_one(d: Fraction, exponents: Sequence[tuple[Fraction, Interval]], R: Interval) -> Interval:
    """t^d exp(sum of k t^p) for all t >= R, each k in an interval."""
    size = Interval.of(R.lo, np.full_like(R.lo, np.inf))
    if not exponents:
        return fixed_power(size, d) if d else _number(1)
    result = _number(1)
    for p, k in exponents:
        if p < 0:
            result = result * RULES["exp"](k * fixed_power(size, p))
    growing = [(p, k) for p, k in exponents if p > 0]
    if not growing:
        return result * fixed_power(size, d) if d else result
    above = max(p for p, _ in growing)
    rate, least = _number(0), np.asarray(np.inf)
    for p, k in growing:
        share = k if p == above else Interval.of(np.zeros_like(k.hi), np.maximum(k.hi, 0.0)) * fixed_power(R, p - above)
        rate, least = rate + share, np.minimum(least, k.lo)
    falls = rate.hi < 0
    high = np.where(falls, _greatest(d, np.where(falls, rate.hi, -1.0), above, R), np.inf)
    if d <= 0:
        high = np.where(~falls & (rate.hi <= 0), fixed_power(R, d).hi if d else 1.0, high)
    low = np.zeros_like(high)
    if d >= 0:
        at = reduce(lambda a, b: a + b, [Interval.point(k.lo) * fixed_power(R, p) for p, k in growing])
        value = RULES["exp"](at) * (fixed_power(R, d) if d else _number(1))
        low = np.where(least >= 0, value.lo, 0.0)
    return result * Interval.of(low, np.maximum(low, high), True)


def _greatest(d: Fraction, k: np.ndarray, p: Fraction, R: Interval) -> np.ndarray:
    """A bound of t^d exp(k t^p) for k < 0: at its maximum (d / (-k p))^(1/p), or at R beyond it."""
    rate, height = Interval.point(k), fixed_power(R, p)
    at = rate * height + (RULES["log"](R) * _number(d) if d else _number(0))
    there = RULES["exp"](at).hi
    if d <= 0:
        return there
    turn = _number(d / p) / -rate
    top = RULES["exp"](_number(d / p) * (RULES["log"](turn) - _number(1))).hi
    return np.where(height.lo >= turn.hi, np.minimum(there, top), top)
