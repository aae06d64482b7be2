"""The members of sets as the text writes them: lists of labels and tuples, and ranges of whole numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bileveldsl.language import ast
from bileveldsl.language.diagnostics import Span
from bileveldsl.language.elaborate.fixed import Fixed
from bileveldsl.language.elaborate.sets import IndexSet, make_set
from bileveldsl.program import Label, Member


def set_members(node: ast.Expression, fixed: Fixed, report: Callable[..., Any]) -> Sequence[Member] | None:
    """The members of a list or a range, or None after an error."""
    if isinstance(node, ast.Range):
        return fixed.range(node)
    if not isinstance(node, ast.List):
        return report("E324", "a set is a list of members or a range", node.span, "", 'write ["a", "b"] or 1..10')
    members: list[Member] = []
    for item in node.items:
        parts = item.items if isinstance(item, ast.Tuple) else (item,)
        labels = [_label(part, fixed, report) for part in parts]
        if any(label is None for label in labels):
            return None
        found = tuple(label for label in labels if label is not None)
        members.append(found if isinstance(item, ast.Tuple) else found[0])
        if isinstance(item, ast.Tuple) != isinstance(node.items[0], ast.Tuple) or len(parts) != _arity(members[0]):
            return report("E324", "the members of a set have equally many labels", item.span)
    return members


def _label(node: ast.Expression, fixed: Fixed, report: Callable[..., Any]) -> Label | None:
    if isinstance(node, ast.Text):
        return node.value
    if isinstance(node, ast.Name):
        mend = f'write "{node.name}" in quotes'
        return report("E324", f"a label is a text or a whole number, {node.name} is a name", node.span, "", mend)
    return fixed.integer(node, "a label")


def _arity(member: Member) -> int:
    return len(member) if isinstance(member, tuple) else 1


def checked_set(
    name: str, members: Sequence[Member], parents: Sequence[IndexSet], span: Span, report: Callable[..., Any]
) -> IndexSet | None:
    """The index set, or None after an error: no member, one that stands twice, one that its parents lack."""
    if not members:
        return report("E315", f"the set {name} is empty", span)
    arity, wanted = _arity(members[0]), sum(parent.arity for parent in parents)
    if parents and arity != wanted:
        of = ", ".join(parent.name for parent in parents)
        return report("E322", f"the members of {name} have {arity} labels, those of {of} {wanted}", span)
    result, outside = make_set(name, members, parents)
    if outside is not None:
        of = ", ".join(parent.name for parent in parents)
        text = f"the member {shown(members[outside])} of {name} is not within {of}"
        return report("E325", text, span, "", f"members of {name} must be members of {of}")
    twice = np.flatnonzero(result.first_positions != np.arange(len(members)))
    if twice.size:
        return report("E326", f"the member {shown(members[int(twice[0])])} of {name} stands twice", span)
    return result


def shown(member: Member) -> str:
    return f"({', '.join(map(str, member))})" if isinstance(member, tuple) else str(member)
