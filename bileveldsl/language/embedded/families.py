"""Indices, the sets they run over, and what is said for every member: families and ranges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from bileveldsl.language import ast
from bileveldsl.language.diagnostics import Span
from bileveldsl.language.embedded.errors import fail, kind_of
from bileveldsl.language.embedded.expressions import Dimension, Expression, IndexSet, Named
from bileveldsl.language.embedded.names import check_name
from bileveldsl.language.embedded.operands import Operands, Part
from bileveldsl.language.embedded.relations import Condition, Family, Relation
from bileveldsl.language.embedded.spans import Place, here


class Integers(Part):
    """The integers from `first` to `last`, both included: a domain of an index, or the members of a set."""

    __slots__ = ()


def integers(first: object, last: object) -> Integers:
    """The integers from `first` to `last`, both included.

    Parameters
    ----------
    first, last : int or Expression
        The ends; expressions of dims and integer parameters.

    Examples
    --------
    >>> import bileveldsl as blv
    >>> m = blv.Model("plan")
    >>> T = m.dim("T")
    >>> t = blv.indices("t")
    >>> x = m.upper.var("x", T)
    >>> blv.sum(x[t], over={t: blv.integers(0, T - 1)})
    sum(x[t] for t in 0..T - 1)
    """
    place = here()
    operands = Operands()
    ends = operands.node(first, place.argument(0, "first")), operands.node(last, place.argument(1, "last"))
    return Integers(ast.Range(*ends, span=place.span), operands)


def members(operands: Operands, value: object, span: Span) -> ast.Expression | None:
    """The range that `integers(...)` or Python's `range` of step 1 stands for."""
    if isinstance(value, Integers):
        operands.join(value, span)
        return value.node
    if isinstance(value, range) and value.step == 1 and len(value) > 0:
        return ast.Range(operands.node(value[0], span), operands.node(value[-1], span), span=span)
    return None


def indices(names: str) -> Named | tuple[Named, ...]:
    """Indices for sums and families: one for one name, a tuple for several.

    Parameters
    ----------
    names : str
        Names between blanks or commas.

    Examples
    --------
    >>> import bileveldsl as blv
    >>> i, j = blv.indices("i j")
    >>> i != j
    i != j
    """
    span = here().argument(0)
    if not isinstance(names, str) or not names.replace(",", " ").split():
        fail("E254", f"indices are named by a text, not by {kind_of(names)}", span, help='blv.indices("i j")')
    made = tuple(Named(check_name(name, span), None, span) for name in names.replace(",", " ").split())
    return made[0] if len(made) == 1 else made


def generators(operands: Operands, over: object, place: Place, *keys: int | str) -> tuple[ast.Generator, ...]:
    """`over={i: I, (j, k): ARCS}` as generators, in the order written."""
    if not isinstance(over, Mapping) or not over:
        fail("E266", f"`over` maps indices to sets; this is {kind_of(over)}", place.argument(*keys), shown=over,
             help="over={i: I, (j, k): ARCS} with i, j, k = blv.indices('i j k')")  # fmt: skip
    made = []
    for (targets, domain), (span, domain_span) in zip(over.items(), place.entries(len(over), *keys), strict=True):
        names = targets if isinstance(targets, tuple) else (targets,)
        for name in names:
            if not isinstance(name, Named) or name.model is not None:
                fail("E266", f"{kind_of(name)} is not an index", span, shown=name,
                     help="make indices with blv.indices('i j')")  # fmt: skip
        named = isinstance(domain, (Dimension, IndexSet))
        node = operands.node(domain, domain_span) if named else members(operands, domain, domain_span)
        if node is None:
            fail("E266", f"an index runs over a set, a dim or integers, not {kind_of(domain)}", domain_span,
                 shown=domain, help="declare a set: m.set('I', [...]), or use blv.integers(first, last)")  # fmt: skip
        indices = tuple(ast.Name(name.name, span=span) for name in names)
        made.append(ast.Generator(indices, node, span=span.to(domain_span)))
    return tuple(made)


def guard(operands: Operands, where: object, span: Span) -> ast.Expression | None:
    """The condition of `where=`."""
    if where is None:
        return None
    if not isinstance(where, Condition):
        fail("E254", f"`where` is a condition on indices, not {kind_of(where)}", span, shown=where,
             help="where=(i != j) & ARCS.contains(i, j)")  # fmt: skip
    operands.join(where, span)
    return where.node


def between(lower: object, middle: object, upper: object) -> Relation:
    """The range constraint `lower <= middle <= upper`.

    Parameters
    ----------
    lower, middle, upper : Expression or number
        Of equal axes, or scalar.

    Examples
    --------
    >>> import bileveldsl as blv
    >>> x = blv.Model("toy").upper.var("x")
    >>> blv.between(0, x, 8)
    0 <= x and x <= 8
    """
    place = here()
    operands = Operands()
    nodes = tuple(operands.node(part, place.argument(k)) for k, part in enumerate((lower, middle, upper)))
    return Relation(nodes, ("<=", "<="), place.span, operands)


def forall(over: object, relation: object, where: object = None) -> Family:
    """One constraint for every member of some sets, to be labelled in `subject_to`.

    Parameters
    ----------
    over : dict
        Indices, or tuples of them, to sets, dims or integers.
    relation : Relation
        The constraint of one member.
    where : Condition, optional
        Leaves out members for which it does not hold.

    Raises
    ------
    BlvError
        E266 for what is no index or set, E256 for what is no constraint.

    Examples
    --------
    >>> import bileveldsl as blv
    >>> m = blv.Model("caps")
    >>> I = m.set("I", ["a", "b"])
    >>> i = blv.indices("i")
    >>> x = m.lower.var("x", I)
    >>> cap = m.lower.subject_to(cap=blv.forall({i: I}, x[i] <= 1))
    """
    place = here()
    operands = Operands()
    if not isinstance(relation, Relation):
        refuse_constraint(relation, place.argument(1, "relation"))
    operands.join(relation, place.argument(1, "relation"))
    made = generators(operands, over, place, 0, "over")
    condition = guard(operands, where, place.argument(2, "where"))
    return Family(relation, made, condition, operands)


def refuse_constraint(value: object, span: Span) -> NoReturn:
    """Say why a value is no constraint."""
    what = "an expression" if isinstance(value, Expression) else kind_of(value)
    fail("E256", f"a constraint is a relation; this is {what}", span, shown=value,
         help="compare expressions of the model with <=, >= or ==")  # fmt: skip
