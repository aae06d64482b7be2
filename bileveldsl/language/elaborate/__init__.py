"""From the Ast to the checked Program: names, sizes and data, shapes, levels; all errors of a model at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bileveldsl.calculus.expr import Dim, Symbol, leaf, symbols_of
from bileveldsl.language import ast
from bileveldsl.language.data import Reader
from bileveldsl.language.diagnostics import BlvError, Collector, Diagnostic, Related
from bileveldsl.language.elaborate.expressions import Expressions
from bileveldsl.language.elaborate.levels import Levels
from bileveldsl.language.elaborate.members import checked_set, set_members
from bileveldsl.language.elaborate.scope import Scope, collect
from bileveldsl.language.elaborate.sizes import Sizes, data_symbol, read_arrays
from bileveldsl.language.elaborate.tensor import Tensor
from bileveldsl.program import Level, Member, Program


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
        self.expressions = Expressions(self.scope, self.diagnostics, self.sizes, self.lookup)
        self.parameters: dict[str, Symbol | None] = {}
        self.variables: dict[str, Symbol] = {}
        self.definitions: dict[str, Tensor | None] = {}
        self.open: list[str] = []  # definitions being worked out, to find cycles

    def run(self) -> Program:
        self._sizes_and_data()
        for item in self.model.items:
            if isinstance(item, ast.Param) and item.name not in self.parameters:
                self._parameter(item)
        levels = Levels(self.expressions, self.sizes, self.diagnostics, self.variables)
        blocks = [item for item in self.model.items if isinstance(item, ast.Level)]
        for block in blocks:
            levels.declare(block)
        for name, declaration in self.scope.declarations.items():
            if declaration.kind == "let":
                self.lookup(name)
        built = [levels.build(block) for block in blocks]
        self._check_levels([level for level in built if level is not None])
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
            {name: tuple(members.members) for name, members in self.sizes.sets.items()},
        )

    # ---- data ----

    def _sizes_and_data(self) -> None:
        for item in self.model.items:
            if isinstance(item, ast.Dim) and item.size is not None:
                size = self.expressions.fixed.integer(item.size, f"the size of {item.name}")
                if size is not None and self.sizes.affordable(
                    f"the dim {item.name}", (Dim(item.name, size),), item.span
                ):
                    self.sizes.fix(item.name, size, item.span, f"declared as {size}")
        for item in self.model.items:
            if isinstance(item, ast.Set):
                self._set(item)
        arrays = read_arrays(self.model, self.sizes, self.reader, self.given, self.diagnostics)
        self.sizes.assume_unread()
        for item in self.model.items:
            if isinstance(item, ast.Param) and item.name in arrays:
                array, dims = arrays[item.name], self.sizes.dims(item.axes)
                self.parameters[item.name] = None if dims is None else data_symbol(item.name, dims, array)

    def _set(self, item: ast.Set) -> None:
        """The members of a set, from its text or its file, all of them within the sets that it names."""
        parents = []
        members: Sequence[Member]
        for name in item.within:
            parent = self.expressions.domain_set(name)
            if parent is None:
                return
            parents.append(parent)
        if item.source is not None:
            arity = sum(parent.arity for parent in parents) or None
            try:
                members = self.reader.read_set(item.source, item.name, item.source.span, arity)
            except BlvError as error:
                for diagnostic in error.diagnostics:
                    self.diagnostics.add(diagnostic)
                return
            place = item.source.span
        elif item.value is not None:
            found = set_members(item.value, self.expressions.fixed, self.expressions.report)
            if found is None:
                return
            members, place = found, item.value.span
        else:
            mend = "write set NAME = [...], or set NAME from a file"
            self.diagnostics.add(Diagnostic("E324", f"the set {item.name} has no members", item.span, "", (), mend))
            return
        result = checked_set(item.name, members, parents, place, self.expressions.report)
        if result is not None:
            self.sizes.sets[item.name] = result

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
        self.open.append(item.name)
        if not self.sizes.made_up(dims):
            values = self.expressions.fixed.values(item.value, dims, f"the value of {item.name}")
        else:
            values = None
            self.parameters[item.name] = data_symbol(item.name, dims, None)
            if not isinstance(item.value, ast.List):
                self.expressions.array(item.value)  # for its mistakes
        self.open.pop()
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
            symbol = self.variables.get(name)
            return None if symbol is None else Tensor(leaf(symbol), symbol.axes)
        if name in self.open:
            chain = " -> ".join([*self.open[self.open.index(name) :], name])
            self.diagnostics.add(Diagnostic("E204", f"{name} is defined in terms of itself", declaration.span, chain))
            return None
        if declaration.kind == "param":
            if name not in self.parameters:
                assert isinstance(declaration.node, ast.Param)
                self._parameter(declaration.node)
            symbol = self.parameters[name]
            return None if symbol is None else Tensor(leaf(symbol), symbol.axes)
        if name not in self.definitions:
            assert isinstance(declaration.node, ast.Let)
            self.open.append(name)
            self.definitions[name] = self._definition(declaration.node)
            self.open.pop()
        return self.definitions[name]

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
