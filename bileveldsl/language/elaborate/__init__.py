"""From the Ast to the checked Program: names, sizes and data, shapes, levels; all errors of a model at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bileveldsl.calculus.expr import Symbol, leaf, symbols_of
from bileveldsl.language import ast
from bileveldsl.language.data import Reader
from bileveldsl.language.diagnostics import Collector, Diagnostic, Related
from bileveldsl.language.elaborate.expressions import Expressions
from bileveldsl.language.elaborate.inputs import Inputs
from bileveldsl.language.elaborate.levels import Levels
from bileveldsl.language.elaborate.scope import ARTICLES, Scope, collect, names_in
from bileveldsl.language.elaborate.sets import IndexSet
from bileveldsl.language.elaborate.sizes import Sizes, data_symbol
from bileveldsl.language.elaborate.tensor import Tensor
from bileveldsl.program import Level, Program

SHOWN_OF_A_CIRCLE = 8


def elaborate(model: ast.Model, reader: Reader, given: Mapping[str, np.ndarray] | None = None) -> Program:
    """The program that a model means.

    Parameters
    ----------
    model
        The syntax tree, from text or from Python.
    reader
        Reads the data files that the model names.
    given
        Values that replace those of parameters, by name.

    Raises
    ------
    BlvError
        With every mistake in names, sizes, data and shapes.
    """
    return _Elaboration(model, reader, dict(given or {})).run()


class _Elaboration:
    def __init__(self, model: ast.Model, reader: Reader, given: dict[str, np.ndarray]):
        self.model, self.reader, self.given = model, reader, given
        self.diagnostics = Collector()
        self.scope: Scope = collect(model, self.diagnostics)
        self.sizes = Sizes(self.scope, self.diagnostics)
        self.expressions = Expressions(self.scope, self.diagnostics, self.sizes, self.lookup, self.dual)
        self.levels = Levels(self.expressions, self.sizes, self.diagnostics, {})
        self.parameters: dict[str, Symbol | None] = {}
        self.followers: list[Level | None] | None = None  # None until they are built
        self.declared = self.building = False
        self.definitions: dict[str, Tensor | None] = {}
        self.open: list[str] = []  # definitions being worked out, to find cycles

    def run(self) -> Program:
        Inputs(
            self.reader, self.given, self.scope, self.sizes, self.expressions, self.diagnostics, self.parameters
        ).enter(self.model.items)
        for item in self.model.items:
            if isinstance(item, ast.Param):
                self._settle(item.name)
        blocks = [item for item in self.model.items if isinstance(item, ast.Level)]
        for block in blocks:
            self.levels.declare(block)
        self.declared = True
        self._built_followers()  # before definitions, so that one with a dual which a follower uses is told so
        for name, declaration in self.scope.declarations.items():
            if declaration.kind == "let":
                self.lookup(name)
        built = [*self._built_followers(), *(self.levels.build(block) for block in blocks if block.role == "upper")]
        self._check_levels([level for level in built if level is not None])
        self.sizes.require_known()
        self._check_use()
        self.diagnostics.raise_if_errors()
        done = [level for level in built if level is not None]
        return Program(
            self.model.name,
            next(level for level in done if level.role == "upper"),
            tuple(level for level in done if level.role == "lower"),
            tuple(symbol for symbol in self.parameters.values() if symbol is not None),
            self._options(),
            tuple(self.expressions.domain.conditions),
            dict(self.reader.digests),
            self.model.doc,
            tuple(self.diagnostics.diagnostics),
            {name: tuple(members.members) for name, members in self._sets().items()},
            self.expressions.places,
        )

    def _parameter(self, item: ast.Param) -> Symbol | None:
        """A parameter given in the text: a number, an expression of others, or a list."""
        self.parameters[item.name] = None
        dims = self.sizes.dims(item.axes)
        if item.value is None:
            mend = f"write param {item.name} = ..., from a file, or give it on the command line with --set"
            self.diagnostics.add(
                Diagnostic("E316", f"the parameter {item.name} has no value", item.name_span or item.span, "", (), mend)
            )
            return None
        if dims is None or not self.sizes.affordable(item.name, dims, item.name_span or item.span):
            return None
        if not self.sizes.made_up(dims):
            values = self.expressions.fixed.values(item.value, dims, f"the value of {item.name}")
        else:
            values = None
            self.parameters[item.name] = data_symbol(item.name, dims, None)
            if not isinstance(item.value, ast.List):
                self.expressions.array(item.value)  # for its mistakes
        if values is not None and not np.isfinite(values).all():
            self.diagnostics.add(Diagnostic("E318", f"the value of {item.name} is not finite", item.value.span))
            values = None
        if values is not None:
            self.parameters[item.name] = data_symbol(item.name, dims, values)
        return self.parameters[item.name]

    # ---- names ----

    def lookup(self, name: str) -> Tensor | None:
        """The array that a declared name stands for; definitions are worked out at first use."""
        declaration = self.scope.declarations[name]
        if declaration.kind == "variable":
            symbol = self.levels.variables.get(name)
            return None if symbol is None else Tensor(leaf(symbol), symbol.axes)
        if name in self.open:
            self._circle([*self.open[self.open.index(name) :], name])
            return None
        self._settle(name)
        if declaration.kind == "param":
            symbol = self.parameters[name]
            return None if symbol is None else Tensor(leaf(symbol), symbol.axes)
        return self.definitions[name]

    def _settle(self, name: str) -> None:
        """Work out a parameter or definition and those it needs, innermost first: a long chain must not recurse."""
        path = {} if self._is_settled(name) else {name: self._needed(name)}
        while path:
            last = next(reversed(path))
            following = next((needed for needed in path[last] if not self._is_settled(needed)), None)
            if following is None:
                path.popitem()
                self._work_out(last)
            elif following in path:
                names = list(path)
                self._circle([*names[names.index(following) :], following])
                (self.parameters if self._kind(following) == "param" else self.definitions)[following] = None
            else:
                path[following] = self._needed(following)

    def _needed(self, name: str) -> Iterator[str]:
        """The parameters and definitions that one names."""
        node = self.scope.declarations[name].node
        names = names_in(node.value) if isinstance(node, ast.Param | ast.Let) else ()
        return (needed for needed in names if self._kind(needed) in ("param", "let"))

    def _kind(self, name: str) -> str:
        declaration = self.scope.declarations.get(name)
        return declaration.kind if declaration else ""

    def _is_settled(self, name: str) -> bool:
        return name in self.parameters or name in self.definitions or name in self.open

    def _work_out(self, name: str) -> None:
        if self._is_settled(name):  # as part of a circle
            return
        node = self.scope.declarations[name].node
        self.open.append(name)
        if isinstance(node, ast.Param):
            self._parameter(node)
        elif isinstance(node, ast.Let):
            self.definitions[name] = self._definition(node)
        self.open.pop()

    def _circle(self, names: Sequence[str]) -> None:
        """Report a definition in terms of itself, by the names on the way."""
        chain = " -> ".join(names if len(names) <= SHOWN_OF_A_CIRCLE else [*names[:3], "...", *names[-3:]])
        span = self.scope.declarations[names[0]].span
        self.diagnostics.add(Diagnostic("E204", f"{names[0]} is defined in terms of itself", span, chain))

    def dual(self, node: ast.Name) -> Tensor | None:
        """The multipliers of a follower's constraint, which the leader alone may use; the followers are built first."""
        declaration = self.scope.find(node.name, node.span)
        if declaration is None:
            return None
        related = (Related(declaration.span, "declared here"),)
        if declaration.kind != "constraint" or declaration.level == "upper":
            what = "a constraint of the upper level" if declaration.kind == "constraint" else ARTICLES[declaration.kind]
            text = f"{node.name} is {what} and has no dual here"
            mend = "the label of a follower's constraint has one"
        elif self.building or not self.declared:
            text, mend = f"the dual of {node.name} is known to the upper level only", "use it in the upper block"
        else:
            found = [c for level in self._built_followers() if level for c in level.constraints]
            dual = next((c.dual for c in found if c.label == node.name), None)
            return None if dual is None else Tensor(leaf(dual), dual.axes)
        return self.expressions.report("E328", text, node.span, "", mend, related)

    def _built_followers(self) -> list[Level | None]:
        if self.followers is None:
            self.building = True
            blocks = [item for item in self.model.items if isinstance(item, ast.Level) and item.role == "lower"]
            self.followers = [self.levels.build(block) for block in blocks]
            self.building = False
        return self.followers

    def _sets(self) -> dict[str, IndexSet]:
        families = {dim.name: members for dim, members in self.expressions.families.items()}
        return {**families, **self.sizes.sets}

    def _definition(self, node: ast.Let) -> Tensor | None:
        dims = self.sizes.dims(node.axes)
        value = self.expressions.array(node.value)
        if dims is None or value is None:
            return None
        if value.dims != dims:
            declared = f"[{', '.join(d.name for d in dims)}]" if dims else "a scalar"
            mend = f"write let {node.name}{value.described if value.axes else ''} = ..."
            text = f"{node.name} is declared as {declared}, its value has axes {value.described}"
            self.diagnostics.add(Diagnostic("E303", text, node.value.span, value.described, (), mend))
            return None
        return value

    # ---- checks over the whole ----

    def _check_levels(self, levels: list[Level]) -> None:
        self._check_followers([level for level in levels if level.role == "lower"])
        for level in levels:
            own = set(level.symbols)
            if level.role == "lower" and own and own.isdisjoint(symbols_of(level.objective)) and not level.constraints:
                text = f"the objective of {level.name} does not depend on its own variables"
                names = ", ".join(v.name for v in level.variables)
                self.diagnostics.add(
                    Diagnostic(
                        "E310",
                        text,
                        level.objective_span,
                        f"no {names} here",
                        (),
                        "every follower decision would be optimal",
                    )
                )
            if level.role == "lower" and not own and not self._declares_variables(level):
                self.diagnostics.add(
                    Diagnostic(
                        "E311",
                        f"{level.name} has no variables",
                        level.span,
                        "",
                        (),
                        "declare what the follower decides with var",
                    )
                )
            for constraint in level.constraints if level.role == "lower" else ():
                parts = [p for p in (constraint.body, constraint.lower, constraint.upper) if p is not None]
                if own.isdisjoint(symbols_of(*parts)):
                    text = f"the constraint {constraint.label} of {level.name} holds none of its variables"
                    self.diagnostics.add(
                        Diagnostic(
                            "W303", text, constraint.span, "", (), "if it restricts the leader, it belongs in upper"
                        )
                    )

    def _check_followers(self, followers: list[Level]) -> None:
        """Followers are independent given the leader: none sees the variables of another."""
        owners = {v.symbol: (v, level) for level in followers for v in level.variables}
        for level in followers:
            parts = [(level.objective_span, [level.objective])]
            for c in level.constraints:
                parts.append((c.span, [e for e in (c.body, c.lower, c.upper) if e is not None]))
            for span, exprs in parts:
                strangers = [owners[s] for s in symbols_of(*exprs) if s in owners and owners[s][1] is not level]
                for variable, owner in sorted(strangers, key=lambda pair: pair[0].name):
                    text = f"{level.name} uses {variable.name}, which {owner.name} decides"
                    mend = "followers decide independently: let the leader carry what one needs of the other"
                    related = (Related(variable.span, f"a variable of {owner.name}"),)
                    self.diagnostics.add(Diagnostic("E327", text, span, "", related, mend))

    def _declares_variables(self, level: Level) -> bool:
        """Whether the block of a level declares variables, be it over axes that are not known."""
        blocks = [item for item in self.model.items if isinstance(item, ast.Level) and item.name == level.name]
        return any(isinstance(statement, ast.Var) for block in blocks for statement in block.statements)

    def _check_use(self) -> None:
        if self.diagnostics.errors:
            return
        for name, declaration in self.scope.declarations.items():
            if declaration.kind in ("param", "let", "variable") and name not in self.scope.used:
                self.diagnostics.add(Diagnostic("W301", f"{name} is never used", declaration.span))

    def _options(self) -> dict[str, str | float | bool]:
        result: dict[str, str | float | bool] = {}
        for item in self.model.items:
            if isinstance(item, ast.Options):
                for option in item.options:
                    value = option.value
                    result[option.name] = value if isinstance(value, str | bool) else float(value)
        return result
