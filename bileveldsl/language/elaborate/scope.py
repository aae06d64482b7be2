"""Names: who declares each, whether it is declared once, and what was meant by one that is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from bileveldsl.language import ast
from bileveldsl.language.diagnostics import Collector, Diagnostic, Related, Span
from bileveldsl.language.elaborate import functions
from bileveldsl.language.suggest import closest

Kind = Literal["dim", "set", "param", "let", "variable", "constraint"]
ARTICLES: dict[Kind, str] = {
    "dim": "a dim", "set": "a set", "param": "a parameter", "let": "a definition", "variable": "a variable",
    "constraint": "a constraint",
}  # fmt: skip

SUGGESTED = 20
"""So many unknown names get a suggestion: each is compared with every name there is."""


@dataclass(frozen=True)
class Declaration:
    """A name with the node that declares it; `level` is the name of the block, or None at the top."""

    name: str
    kind: Kind
    node: ast.Dim | ast.Set | ast.Param | ast.Let | ast.Var | ast.Constraint
    span: Span
    level: str | None = None


@dataclass
class Scope:
    """All declarations of a model; names are unique and visible everywhere."""

    diagnostics: Collector
    declarations: dict[str, Declaration] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    _unknown: set[str] = field(default_factory=set)

    def declare(self, declaration: Declaration) -> None:
        known = self.declarations.get(declaration.name)
        if known is not None:
            self.diagnostics.add(
                Diagnostic(
                    "E202",
                    f"{declaration.name} is declared twice",
                    declaration.span,
                    "declared again here",
                    (Related(known.span, f"first declared here, as {ARTICLES[known.kind]}"),),
                    "names are unique in the whole model: rename one of them",
                )
            )
            return
        if declaration.name in functions.NAMES and declaration.kind != "constraint":
            self.diagnostics.add(
                Diagnostic(
                    "E206",
                    f"{declaration.name} is the name of a function",
                    declaration.span,
                    "",
                    (),
                    "choose another name",
                )
            )
        self.declarations[declaration.name] = declaration

    def find(self, name: str, span: Span, extra: Iterable[str] = ()) -> Declaration | None:
        """The declaration of a name; an unknown one is reported once."""
        declaration = self.declarations.get(name)
        if declaration is not None:
            self.used.add(name)
        elif name not in self._unknown:
            self._unknown.add(name)
            known = [*self.declarations, *extra] if len(self._unknown) <= SUGGESTED else []
            self.diagnostics.add(unknown("E201", "name", name, span, known, functions.NAMES))
        return declaration


def names_in(part: object) -> Iterator[str]:
    """The names in a node of the tree, or in several, those of functions and labels of duals aside."""
    waiting = [part]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name):
            yield node.name
        elif isinstance(node, tuple):
            waiting += node
        elif isinstance(node, ast.Node):
            waiting += [value for value in vars(node).values() if isinstance(value, ast.Node | tuple)]


def unknown(code: str, what: str, name: str, span: Span, known: Iterable[str], also: Iterable[str] = ()) -> Diagnostic:
    """A diagnostic for a name that nothing declares, with the nearest known one."""
    best = closest(name, [*known, *also])
    help = f"did you mean {best}?" if best else ""
    if not help and what == "name":
        help = f"declare it: a param, a let, or a var of one of the levels named {name}"
    return Diagnostic(code, f"unknown {what} {name}", span, "not declared" if what == "name" else "", (), help)


def collect(model: ast.Model, diagnostics: Collector) -> Scope:
    """Declare every name of a model."""
    scope = Scope(diagnostics)
    for item in model.items:
        if isinstance(item, ast.Dim | ast.Set):
            kind: Kind = "dim" if isinstance(item, ast.Dim) else "set"
            scope.declare(Declaration(item.name, kind, item, item.name_span or item.span))
        elif isinstance(item, ast.Param | ast.Let):
            kind = "param" if isinstance(item, ast.Param) else "let"
            scope.declare(Declaration(item.name, kind, item, item.name_span or item.span))
        elif isinstance(item, ast.Level):
            for statement in item.statements:
                if isinstance(statement, ast.Var | ast.Let):
                    kind = "variable" if isinstance(statement, ast.Var) else "let"
                    scope.declare(
                        Declaration(statement.name, kind, statement, statement.name_span or statement.span, item.name)
                    )
                elif isinstance(statement, ast.Constraint) and statement.label:
                    span = statement.label_span or statement.span
                    scope.declare(Declaration(statement.label, "constraint", statement, span, item.name))
    return scope
