"""What `for i in n, j in n if i != j` binds: a label for each index, and the condition as a factor 0 or 1."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bileveldsl.calculus.expr import ONE, Axis, Dim, Expr, delta, multiply, subtract
from bileveldsl.language import ast
from bileveldsl.language.elaborate.scope import ARTICLES, Scope

FIRST_INDEX_PRIME = 1_000
"""Labels of indices stay clear of those that arrays in the body have by position."""


@dataclass
class Indices:
    """The index names in force, innermost last."""

    scope: Scope
    report: Callable[..., Any]
    dims: Mapping[str, Dim]
    bound: dict[str, Axis] = field(default_factory=dict)

    @contextmanager
    def running(self, generators: Sequence[ast.Generator]) -> Iterator[list[Axis] | None]:
        """Bind the indices of generators; gives their labels, or None after an error."""
        before = dict(self.bound)
        axes = [self._generator(generator) for generator in generators]
        try:
            yield None if None in axes else [axis for axis in axes if axis is not None]
        finally:
            self.bound = before

    def guard(self, node: ast.Expression | None) -> Expr | None:
        """The condition as a factor that is 1 where it holds and 0 elsewhere; None after an error."""
        if node is None:
            return ONE
        if isinstance(node, ast.Logical) and node.operator == "and":
            parts = [self.guard(operand) for operand in node.operands]
            return None if None in parts else multiply(*[part for part in parts if part is not None])
        if isinstance(node, ast.Compare) and node.operator in ("==", "!="):
            left, right = (self.bound.get(s.name) if isinstance(s, ast.Name) else None for s in (node.left, node.right))
            if left is not None and right is not None and left.dim == right.dim:
                same = delta(left, right)
                return same if node.operator == "==" else subtract(ONE, same)
        return self.report("E390", "only i == j and i != j between indices of one dim can be conditions yet", node.span)

    def _generator(self, generator: ast.Generator) -> Axis | None:
        domain, target = generator.domain, generator.targets[0]
        if not isinstance(domain, ast.Name) or len(generator.targets) != 1:
            mend = "write: for i in n, with n a dim"
            return self.report("E390", "only a dim can be run over yet", generator.span, "", mend)
        declaration = self.scope.find(domain.name, domain.span)
        if declaration is None:
            return None
        if declaration.kind != "dim":
            code = "E390" if declaration.kind == "set" else "E205"
            text = f"{domain.name} is {ARTICLES[declaration.kind]}; only a dim can be run over yet"
            return self.report(code, text, domain.span)
        if domain.name not in self.dims:
            return None
        if target.name in self.scope.declarations or target.name in self.bound:
            text = f"the index {target.name} has the name of something else"
            return self.report("E202", text, target.span, "", "choose another name for the index")
        dim = self.dims[domain.name]
        axis = Axis(dim, FIRST_INDEX_PRIME + len(self.bound))
        self.bound[target.name] = axis
        return axis
