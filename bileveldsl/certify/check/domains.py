"""Conditions on the domain put plainly: on the bases of powers, on multiples of what they are on, and of one function.

What is put otherwise says the same, so that the region of a claim is the same whichever of them is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from flint import fmpq

from bileveldsl.certify.check.terms import Table

Said = tuple[int, str]
"""A node and the relation in which it stands, of those that conditions have."""

Form = tuple[tuple[int, fmpq], ...]
_TERMS = 100  # of an affine expression
_NONZERO = "!= 0"


def plain(table: Table, conditions: Sequence[Said]) -> list[Said]:
    """A power or a product differs from 0 where, having a value, its base or each factor does.

    Each condition keeps its place; what else it comes to is put after the last.
    """
    each = [_parts(table, said) for said in conditions]
    return [parts[0] for parts in each] + [part for parts in each for part in parts[1:]]


def _parts(table: Table, said: Said) -> list[Said]:
    found: dict[Said, None] = {}
    stack = [said]
    while stack:
        node, relation = stack.pop()
        operation, arguments = table.operation[node], table.arguments[node]
        power = operation == "^" and table.value[node] != 0
        if relation == _NONZERO and (power or operation == "*"):
            stack += [(a, _NONZERO) for a in arguments]
        else:
            found[node, relation] = None
    return [(node, relation) for node, relation in found if not table.number(node)] or [said]


def multiples(table: Table, conditions: Sequence[Said], nodes: Iterable[int]) -> list[Said]:
    """What conditions on affine sums say of other nodes that are numbers times these."""
    forms: dict[Form, list[tuple[Said, fmpq]]] = {}
    for node, relation in conditions:
        form = _form(table, node)
        if form is not None and relation != "in [-1, 1]":
            forms.setdefault(_unit(form), []).append(((node, relation), form[0][1]))
    found: dict[Said, None] = {}
    for node in sorted(nodes) if forms else ():
        form = _form(table, node)
        if form is not None:
            for (known, relation), lead in forms.get(_unit(form), ()):
                if node != known and (relation == _NONZERO or form[0][1] / lead > 0):
                    found[node, relation] = None
    return list(found)


def _unit(form: Form) -> Form:
    return tuple((k, c / form[0][1]) for k, c in form)


def _form(table: Table, node: int) -> Form | None:
    """The coefficients of a sum of multiples of variables, by variable, the constant last; None for all else."""
    if table.operation[node] != "+" or len(table.arguments[node]) > _TERMS:
        return None
    found: dict[int, fmpq] = {}
    constant = fmpq(0)
    for term in table.arguments[node]:
        times, rest = fmpq(1), term
        if table.operation[term] == "*" and len(table.arguments[term]) == 2:
            first, rest = table.arguments[term]
            if table.number(first) is None:
                first, rest = rest, first
            if table.number(first) is None:
                return None
            times = table.value[first]
        if table.operation[rest] == "num":
            constant += times * table.value[rest]
        elif table.operation[rest] == "var":
            index = table.value[rest]
            found[index] = found.get(index, fmpq(0)) + times
        else:
            return None
    slopes = sorted((k, c) for k, c in found.items() if c != 0)
    return (*slopes, (-1, constant)) if slopes else None


def natural(table: Table, roots: Sequence[int]) -> Iterator[Said]:
    """Nodes with what must hold of them for roots, powers, logarithms and arcs to have a value."""
    for node in table.reachable(roots):
        operation, arguments, value = table.operation[node], table.arguments[node], table.value[node]
        if operation == "^":
            if value.q != 1:
                yield arguments[0], ">= 0" if value > 0 else "> 0"
            elif value < 0:
                yield arguments[0], _NONZERO
        elif operation == "log":
            yield arguments[0], "> 0"
        elif operation == "xlogx":
            yield arguments[0], ">= 0"
        elif operation == "relative_entropy":
            yield arguments[0], ">= 0"
            yield arguments[1], "> 0"
        elif operation in ("asin", "acos"):
            yield arguments[0], "in [-1, 1]"


