"""A bilevel model: built in Python, or read from its text."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bileveldsl.language import ast as syntax
from bileveldsl.language.diagnostics import BlvError, Related, Source, Span
from bileveldsl.language.embedded.arrays import real_value
from bileveldsl.language.embedded.builder import ModelBuilder
from bileveldsl.language.embedded.errors import fail
from bileveldsl.language.embedded.expressions import Declared, Dimension, IndexSet, Label, Named
from bileveldsl.language.embedded.levels import Level
from bileveldsl.language.embedded.names import check_name
from bileveldsl.language.embedded.spans import here

if TYPE_CHECKING:
    import numpy as np

    from bileveldsl.certificate import Certificate
    from bileveldsl.check import Report
    from bileveldsl.program import Program
    from bileveldsl.solution import Solution

_HANDLES: dict[type, type[Declared]] = {
    syntax.Dim: Dimension, syntax.Set: IndexSet, syntax.Param: Named, syntax.Let: Named, syntax.Var: Named,
}  # fmt: skip


class Model(ModelBuilder):
    """A bilevel model under construction; `ast()` is what it says so far.

    Parameters
    ----------
    name : str
    root : path, optional
        The folder that the paths of data files are relative to.
    doc : str, optional

    Attributes
    ----------
    safe : bool
        Whether data files outside of `root` are refused.

    Examples
    --------
    >>> import bileveldsl as blv
    >>> m = blv.Model("toy")
    >>> x = m.upper.var("x", between=(0, 10), start=1)
    >>> y = m.lower.var("y")
    >>> m.upper.minimize((x - 3)**2 + (y - 1)**2)
    >>> m.lower.minimize((y - x)**2)
    """

    safe = False

    def __init__(self, name: str, *, root: str | os.PathLike[str] = ".", doc: str = ""):
        place = here()
        super().__init__(check_name(name, place.argument(0, "name")), root, doc, place.span)

    @classmethod
    def from_ast(cls, tree: syntax.Model, root: str | os.PathLike[str] = ".") -> Model:
        """The model that a tree describes: its items in their order, its faults left for `check` to find."""
        model = cls.__new__(cls)
        ModelBuilder.__init__(model, tree.name, root, tree.doc, tree.span)
        for item in tree.items:
            statements: tuple[Any, ...] = (item,)
            if isinstance(item, syntax.Level):
                level = Level(model, item.role, item.name, item.span, item.statements, item.head_span)
                model._levels.setdefault(item.name, level)
                model._items.append(level)
                statements = item.statements
            else:
                model._items.append(item)
            for node in statements:
                if type(node) in _HANDLES:
                    handle = _HANDLES[type(node)](node.name, model, node.name_span or node.span)
                    model._declared.setdefault(node.name, handle)
                elif isinstance(node, syntax.Constraint) and node.label is not None:
                    model._declared.setdefault(node.label, Label(node.label, model, node.label_span or node.span))
        return model

    # ---- what the model says --------------------------------------------------------------------

    def _tree(self) -> syntax.Model:
        items = tuple(item.node if isinstance(item, Level) else item for item in self._items)
        return syntax.Model(self.name, items, self.doc, span=self._span)

    def ast(self) -> syntax.Model:
        """The tree of the model as it stands.

        Dims, sets, parameters and definitions come first in the order declared, then the upper level, then the
        followers, then the options; a model that was read keeps its order. Where Python has no text to point
        at (a plain prompt), places are in the model's own print.
        """
        tree = self._tree()
        if tree.span.source.text:
            return tree
        from bileveldsl.language.reader import read

        source = Source(f"<{self.name}>", self.to_blv())
        _, *items = read(source, "start").nodes  # after the model's name; `parse` would refuse an unfinished model
        return syntax.Model(self.name, tuple(items), self.doc, span=Span(source, 0, len(source.text)))

    @property
    def data(self) -> dict[str, np.ndarray]:
        """The values given in Python, by the parameter's name; float64, read-only."""
        return dict(self._values)

    def overrides(self) -> dict[tuple[str, tuple[str, ...]], np.ndarray]:
        """The arrays held in memory, by the path and keys where the text of the model says they are."""
        return dict(self._in_memory)

    def to_blv(self) -> str:
        """The model as text."""
        from bileveldsl.language.unparse import unparse

        return unparse(self._tree())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model's text and, beside it, the arrays held in memory as `NAME.npz`.

        Relative paths of other data files are written so that they still lead to the same files.

        Raises
        ------
        BlvError
            E275 when the arrays would replace a data file that the model reads.
        """
        from bileveldsl.files import atomic_write_text
        from bileveldsl.language.data.write import write_npz
        from bileveldsl.language.unparse import unparse

        target = Path(path)
        tree = self._tree()
        text = unparse(replace(tree, items=tuple(self._moved(item, target.parent) for item in tree.items)))
        if self._in_memory:
            arrays = {name: array for (_, (name,)), array in self._in_memory.items()}
            write_npz(target.parent / f"{self.name}.npz", arrays)
        atomic_write_text(target, text)

    def _moved(self, item: syntax.Item, folder: Path) -> syntax.Item:
        """The item with the path of its data file relative to another folder."""
        if not isinstance(item, (syntax.Param, syntax.Set)) or item.source is None:
            return item
        source = item.source
        if (source.path, source.keys or (item.name,)) in self._in_memory:
            return item
        file = (self.root / source.path).resolve()
        if self._in_memory and file == (folder / f"{self.name}.npz").resolve():
            fail("E275", f"saving would replace the data file `{source.path}`", here().span, shown=source.path,
                 related=(Related(source.span, "it is read here"),),
                 help="give the model another name, or save it in another folder")  # fmt: skip
        if Path(source.path).is_absolute() or folder.resolve() == self.root.resolve():
            return item
        return replace(item, source=replace(source, path=Path(os.path.relpath(file, folder.resolve())).as_posix()))

    # ---- what is done with it -------------------------------------------------------------------

    def program(self, **given: Any) -> Program:
        """The checked program: names resolved, shapes known, data read; `given` values replace parameters.

        Raises
        ------
        BlvError
            With every mistake in structure, names, shapes and data.
        """
        from bileveldsl.language.data import Reader
        from bileveldsl.language.elaborate import elaborate
        from bileveldsl.language.structure import structure_errors

        place = here()
        parameters = {item.name: item for item in self._items if isinstance(item, syntax.Param)}
        values = {}
        for name, value in given.items():
            if name not in parameters:
                fail("E269", f"the model {self.name} declares no parameter `{name}`", place.keyword(name), shown=name,
                     help=f"its parameters are {', '.join(parameters) or 'none'}")  # fmt: skip
            values[name], _ = real_value(value, name, len(parameters[name].axes), place.argument(name))
        tree = self.ast()
        errors = structure_errors(tree.span.source, tree.items)
        if errors:  # one about the whole model points to its beginning: in Python to where it is made
            raise BlvError(replace(e, span=tree.span) if e.span and e.span.end == 0 else e for e in errors)
        return elaborate(tree, Reader(self.root, self.overrides(), self.safe), values)

    def check(self, **given: Any) -> Report:
        """Every diagnostic of the model, its certified facts, and what they imply; solves nothing."""
        from bileveldsl.check import check

        return check(self, **given)

    def certify(self, *, certify_budget: float = 10.0, **given: Any) -> Certificate:
        """The facts of the model with proofs, for `Certificate.verify` to check; `given` values replace parameters."""
        from bileveldsl.certificate import certificate_of
        from bileveldsl.known import known_facts

        program = self.program(**given)
        return certificate_of(self, program, known_facts(self, program, certify_budget).facts)

    def solve(self, backend: str = "auto", **settings: Any) -> Solution:
        """Check, choose a method, solve, and verify the answer; see `bileveldsl.solve.solve`."""
        from bileveldsl.solve import solve

        return solve(self, backend, **settings)

    def __repr__(self) -> str:
        levels = ", ".join(item.name for item in self._items if isinstance(item, Level))
        return f"<Model {self.name}: {len(self._declared)} names; levels: {levels or 'none'}>"

    def _repr_html_(self) -> str:
        from html import escape

        from bileveldsl.language.embedded.show import cut

        return "<pre>" + escape("\n".join(cut(line) for line in self.to_blv().splitlines())) + "</pre>"

    def _repr_latex_(self) -> str | None:
        from bileveldsl.show import show_latex

        try:
            return show_latex(self.program())
        except BlvError:
            return None  # an unfinished model has a text, but no mathematics yet


def load(path: str | os.PathLike[str], *, safe: bool = False) -> Model:
    """Read a model from a `.blv` file; its data files are relative to it.

    Parameters
    ----------
    path
        A file of UTF-8 text.
    safe
        Refuse data files outside of the folder of the model (E411), symbolic links followed.

    Raises
    ------
    BlvError
        For a file that cannot be read, and with every error of its syntax.
    """
    from bileveldsl.language.parse import load_source, parse

    model = Model.from_ast(parse(load_source(Path(path))), Path(path).parent)
    model.safe = safe
    return model


def loads(text: str, root: str | os.PathLike[str] = ".") -> Model:
    """Read a model from a text; its data files are relative to `root`.

    Examples
    --------
    >>> import bileveldsl as blv
    >>> m = blv.loads("model toy\\nupper { var x; minimize x }\\nlower { var y; minimize (y - x)^2 }")
    >>> m["x"] + 1
    x + 1
    """
    from bileveldsl.language.parse import parse

    return Model.from_ast(parse(Source("<text>", text)), root)
