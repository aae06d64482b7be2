"""Nodes as exact polynomials over the rationals, in whichever nodes are taken as indeterminates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from flint import fmpq, fmpq_mpoly, fmpq_mpoly_ctx

from bileveldsl.certify.check.terms import Rejected, Table, rational_power

_DEGREE = 200
_PRODUCTS = 20_000_000  # of pairs of terms, over one call
_BITS = 400_000  # of a coefficient
_INDETERMINATES = 2_000
_NODES_PER_LEAF = 100  # that are looked through


def ring(count: int) -> fmpq_mpoly_ctx:
    """The polynomials in so many indeterminates."""
    if count > _INDETERMINATES:
        raise Rejected(f"a polynomial has more than {_INDETERMINATES} indeterminates")
    return fmpq_mpoly_ctx.get(tuple(f"t{k}" for k in range(max(count, 1))))


def polynomial(table: Table, root: int, generators: Mapping[int, fmpq_mpoly]) -> fmpq_mpoly | None:
    """A node as a polynomial, some nodes being indeterminates (or polynomials); None where it is none.

    Examples
    --------
    >>> table = Table()
    >>> y = table.var(0)
    >>> [t] = ring(1).gens()
    >>> polynomial(table, table.mul([y, table.add([y, table.num(1)])]), {y: t}) == t**2 + t
    True
    """
    return polynomials(table, [root], generators)[0]


def polynomials(
    table: Table, roots: list[int], generators: Mapping[int, fmpq_mpoly], products: int = _PRODUCTS
) -> list[fmpq_mpoly | None]:
    """Several nodes at once, sharing the work, which is at most so many products of terms."""
    context = next(iter(generators.values())).context() if generators else ring(0)
    made: dict[int, fmpq_mpoly | None] = dict(generators)
    budget = [products]
    for node in table.reachable(roots, made):
        made[node] = _made(table, node, made, context, budget)
    return [made[root] for root in roots]


def _made(
    table: Table, node: int, made: dict[int, fmpq_mpoly | None], context: fmpq_mpoly_ctx, budget: list[int]
) -> fmpq_mpoly | None:
    operation = table.operation[node]
    if operation == "num":
        return context.constant(table.value[node])
    parts = [made[child] for child in table.arguments[node]]
    if operation not in ("+", "*", "^") or any(part is None for part in parts):
        return None
    if operation == "+":
        return _sum([part for part in parts if part is not None], context, budget)
    if operation == "*":
        result = context.constant(1)
        for part in parts:
            result = _product(result, part, budget)
        return result
    return _power(parts[0], table.value[node], context, budget)


def _sum(parts: list[fmpq_mpoly], context: fmpq_mpoly_ctx, budget: list[int]) -> fmpq_mpoly:
    """In pairs, so that a long sum costs little more than its terms."""
    while len(parts) > 1:
        _spend(budget, sum(map(len, parts)))
        odd = parts[-1:] if len(parts) % 2 else []
        parts = [a + b for a, b in zip(parts[::2], parts[1::2], strict=False)] + odd
    return parts[0] if parts else context.constant(0)


def _product(a: fmpq_mpoly, b: fmpq_mpoly | None, budget: list[int]) -> fmpq_mpoly:
    assert b is not None
    _spend(budget, (len(a) + 1) * (len(b) + 1))
    if total_degree(a) + total_degree(b) > _DEGREE or _bits(a) + _bits(b) > _BITS:
        raise Rejected("a polynomial is too large")
    return a * b


def _power(base: fmpq_mpoly | None, exponent: fmpq, context: fmpq_mpoly_ctx, budget: list[int]) -> fmpq_mpoly | None:
    assert base is not None
    if exponent.q != 1:
        return None
    if base.is_constant():
        value = rational_power(fmpq(0) if base.is_zero() else base.leading_coefficient(), exponent)
        return None if value is None else context.constant(value)
    if exponent < 0:
        return None
    if total_degree(base) * exponent > _DEGREE:
        raise Rejected("a polynomial is too large")
    result = context.constant(1)
    for _ in range(int(exponent)):
        result = _product(result, base, budget)
    return result


def _spend(budget: list[int], amount: int) -> None:
    budget[0] -= amount
    if budget[0] < 0:
        raise Rejected("a polynomial is too large")


def total_degree(p: fmpq_mpoly) -> int:
    return 0 if p.is_zero() else int(p.total_degree())


def _bits(p: fmpq_mpoly) -> int:
    return max((int(c.height_bits()) for c in p.coeffs()), default=0)


# ---- normal forms ---------------------------------------------------------------------------


def leaves(
    table: Table, roots: Sequence[int], most: int, whole: Callable[[int], bool] = lambda node: False
) -> list[int] | None:
    """The variables and other nodes of which nodes are polynomials, those that are to stay whole among them.

    None where there are more than so many.
    """
    found: list[int] = []
    seen = set(roots)
    stack = list(seen)
    while stack:
        node = stack.pop()
        operation, value = table.operation[node], table.value[node]
        inner = operation in ("+", "*") or (operation == "^" and value.q == 1 and value > 0)
        if operation == "num":
            continue
        if inner and not whole(node):
            fresh = set(table.arguments[node]) - seen
            seen |= fresh
            stack += fresh
        else:
            found.append(node)
        if len(found) > most or len(seen) > _NODES_PER_LEAF * most:
            return None
    return sorted(found)


def normal_form(
    table: Table, root: int, most: int, products: int, whole: Callable[[int], bool] = lambda node: False
) -> int | None:
    """A node as a sum of at most so many monomials, powers of one base being one; None where it is too large.

    It is the same number wherever the node is defined.

    Examples
    --------
    >>> table = Table()
    >>> y = table.var(0)
    >>> node = table.add([table.mul([y, table.power(y, -2)]), table.power(y, -1)])
    >>> normal_form(table, node, 10, 100) == table.mul([table.num(2), table.power(y, -1)])
    True
    """
    places = leaves(table, [root], most, whole)
    if places is None:
        return None
    try:
        generators = dict(zip(places, ring(len(places)).gens(), strict=False))
        [p] = polynomials(table, [root], generators, products)
    except Rejected:  # too large to be of use
        return None
    if p is None or len(p) > most:
        return None
    powers = [_base(table, place) for place in places]
    collected: dict[tuple[tuple[int, fmpq], ...], fmpq] = {}
    for exponents, coefficient in p.to_dict().items():
        monomial: dict[int, fmpq] = {}
        for (base, exponent), times in zip(powers, exponents, strict=False):
            monomial[base] = monomial.get(base, fmpq(0)) + exponent * times
        key = tuple(sorted(((b, e) for b, e in monomial.items() if e != 0), key=lambda pair: pair[0]))
        collected[key] = collected.get(key, fmpq(0)) + coefficient
    terms = [table.mul([table.num(c), *(table.power(b, e) for b, e in key)]) for key, c in collected.items() if c != 0]
    return table.add(terms)


def _base(table: Table, node: int) -> tuple[int, fmpq]:
    """A node as a power."""
    return (table.arguments[node][0], table.value[node]) if table.operation[node] == "^" else (node, fmpq(1))
