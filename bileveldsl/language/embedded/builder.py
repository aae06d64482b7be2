"""Building a model statement by statement: what it declares, its levels, its options."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bileveldsl.language import ast
from bileveldsl.language.diagnostics import Related, Span
from bileveldsl.language.embedded.arrays import real_value
from bileveldsl.language.embedded.declarations import (
    axis_nodes,
    is_pandas,
    labels_of,
    let_node,
    member_nodes,
    name_node,
    option_value,
    series_values,
    source_node,
)
from bileveldsl.language.embedded.errors import fail
from bileveldsl.language.embedded.expressions import Declared, Dimension, Expression, IndexSet, Label, Named
from bileveldsl.language.embedded.levels import Level
from bileveldsl.language.embedded.names import check_name
from bileveldsl.language.embedded.operands import Operands
from bileveldsl.language.embedded.spans import here

if TYPE_CHECKING:
    import numpy as np


class ModelBuilder:
    """The part of `Model` that states things."""

    def __init__(self, name: str, root: str | os.PathLike[str], doc: str, span: Span):
        self.name = name
        self.root = Path(root)
        self.doc = doc
        self._span = span
        self._items: list[ast.Item | Level] = []
        self._levels: dict[str, Level] = {}
        self._declared: dict[str, Declared | Label] = {}
        self._values: dict[str, np.ndarray] = {}
        self._in_memory: dict[tuple[str, tuple[str, ...]], np.ndarray] = {}

    # ---- declarations -------------------------------------------------------------------------

    def _enter(self, item: ast.Item | Level) -> None:
        """Put a new item behind the last one of its kind or of an earlier kind."""
        position = len(self._items)
        while position and _rank(self._items[position - 1]) > _rank(item):
            position -= 1
        self._items.insert(position, item)

    def _enter_level(self, level: Level) -> None:
        if not any(level is item for item in self._items):
            self._enter(level)

    def _declare(self, handle: Any) -> Any:
        """Give out a name, once."""
        known = self._declared.get(handle.name)
        if known is not None:
            fail("E251", f"`{handle.name}` is already declared", handle.node.span, shown=handle,
                 related=(Related(known.node.span, "the first is here"),),
                 help="choose another name, or make a new Model before running a cell again")  # fmt: skip
        self._declared[handle.name] = handle
        return handle

    def dim(self, /, *names: str, size: Any = None, doc: str = "", **sizes: Any) -> Any:
        """Declare axes: `m.dim("n", "m")`, or with a size `m.dim(n=3)`; one name gives one object.

        Parameters
        ----------
        *names : str
            Axes whose sizes the data fixes.
        size : int or Expression, optional
            The size of the one axis named.
        doc : str, optional
        **sizes : int or Expression
            Axes of known size, by name.

        Returns
        -------
        Dimension or tuple of Dimension
        """
        place = here()
        if size is not None and (len(names) != 1 or sizes):
            fail("E263", "`size` belongs to one name", place.argument("size"), help="m.dim(n=3, m=4)")
        wanted = [(name, size, place.argument(k), place.argument("size")) for k, name in enumerate(names)]
        wanted += [(name, value, place.keyword(name), place.argument(name)) for name, value in sizes.items()]
        made = []
        for name, value, span, value_span in wanted:
            node = None if value is None else Operands(self).node(value, value_span)
            made.append(self._declare(Dimension(check_name(name, span), self, span)))
            self._enter(ast.Dim(name, node, doc, name_span=span, span=span))
        return made[0] if len(made) == 1 else tuple(made)

    def set(self, name: str, members: Any = None, *, within: Any = None, source: Any = None, key: Any = None,
            doc: str = "") -> IndexSet:  # fmt: skip
        """Declare an index set: an ordered list of labels, integers or tuples, given or read from a file.

        Parameters
        ----------
        name : str
        members : iterable of str, int or tuple; range; `integers(first, last)`; or an index of pandas, optional
        within : set or tuple of sets, optional
            Every member, or every part of a tuple, must be a member of these.
        source, key : str, optional
            A data file, and where to look in it.
        doc : str, optional
        """
        place = here()
        span = place.argument(0, "name")
        if members is not None and source is not None:
            fail("E273", "members are given or read from a file, not both", place.span, help="leave one out")
        parts = within if isinstance(within, tuple) else () if within is None else (within,)
        node = ast.Set(
            check_name(name, span),
            tuple(name_node(self, part, place.argument("within")) for part in parts),
            None if members is None else member_nodes(self, name, members, place.argument(1, "members")),
            None if source is None else source_node(source, key, place),
            doc,
            name_span=span,
            span=place.span,
        )
        handle: IndexSet = self._declare(IndexSet(name, self, span, labels_of(node.value)))
        self._enter(node)
        return handle

    def param(self, name: str, *axes: Dimension | IndexSet | int, value: Any = None, source: Any = None,
              key: Any = None, doc: str = "") -> Named:  # fmt: skip
        """Declare a parameter with a value, or one that is read from a file.

        Parameters
        ----------
        name : str
        *axes : dim, set or int
        value : array, nested list, number or Expression, optional
            Real, finite, one axis for each axis declared; along a set, in the order of its members. Up to 20
            entries are written into the text of the model, more into a file beside it. A copy is kept. The rows
            of a pandas Series over sets are matched by their labels.
        source : path, optional
            An npz, npy, csv or json file, relative to the model's folder.
        key : str or tuple of str, optional
            Where to look in the file; the name of the parameter by default.
        doc : str, optional

        Raises
        ------
        BlvError
            E251, E252 for the name, E260 for an axis, E270 to E276 and E4xx for the value.
        """
        place = here()
        span, value_span = place.argument(0, "name"), place.argument("value")
        nodes = axis_nodes(self, axes, place)
        if value is not None and source is not None:
            fail("E273", "a value is given or read from a file, not both", place.span, help="leave one out")
        literal, array = None, None
        origin = None if source is None else source_node(source, key, place)
        if isinstance(value, Expression):
            literal = Operands(self).node(value, value_span)
        elif value is not None:
            if is_pandas(value) and any(isinstance(axis, IndexSet) for axis in axes):
                value = series_values(value, name, axes, value_span)
            array, literal = real_value(value, name, len(axes), value_span)
            if literal is None:
                origin = ast.DataSource(f"{self.name}.npz", span=value_span)
        node = ast.Param(check_name(name, span), nodes, literal, origin, doc, name_span=span, span=place.span)
        handle: Named = self._declare(Named(name, self, span))
        self._enter(node)
        if array is not None:
            self._values[name] = array
            if origin is not None:
                self._in_memory[origin.path, (name,)] = array
        return handle

    def let(self, name: str, *axes: Dimension | IndexSet | int, value: Any, doc: str = "") -> Named:
        """Define a name for an expression of parameters."""
        place = here()
        node = let_node(self, name, axes, value, doc, place)
        handle: Named = self._declare(Named(name, self, place.argument(0, "name")))
        self._enter(node)
        return handle

    # ---- levels and options ---------------------------------------------------------------------

    def _level(self, role: Any, name: str) -> Level:
        level = self._levels.get(name)
        if level is None:
            level = self._levels[name] = Level(self, role, name, here().span)
        return level

    @property
    def upper(self) -> Level:
        """The leader's level."""
        return self._level("upper", "upper")

    @property
    def lower(self) -> Level:
        """The follower of a model with one, named `lower`; it exists once something is stated on it."""
        return self._level("lower", "lower")

    def follower(self, name: str) -> Level:
        """One of several independent followers, by its name."""
        if name != "lower":
            check_name(name, here().argument(0, "name"))
        level = self._level("lower", name)
        self._enter_level(level)
        return level

    def options(self, /, **settings: str | float | bool) -> None:
        """Settings of the solution, such as `backend="implicit"`, `tol=1e-8`; a later value replaces an earlier."""
        place = here()
        known = next((item for item in self._items if isinstance(item, ast.Options)), None)
        options = {option.name: option for option in known.options} if known else {}
        for name, value in settings.items():
            span = place.argument(name)
            options[check_name(name, place.keyword(name))] = ast.Option(name, option_value(value, span), span=span)
        node = ast.Options(tuple(options.values()), span=place.span)
        if known is None:
            self._enter(node)
        else:
            self._items[self._items.index(known)] = node

    # ---- names ------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Any:
        """The object of a declared name: a dim, set, parameter, definition, variable or label."""
        if name in self._declared:
            return self._declared[name]
        from difflib import get_close_matches

        near = get_close_matches(str(name), self._declared, n=1)
        mend = f"did you mean `{near[0]}`?" if near else "m.dim, m.param, m.upper.var and others declare names"
        fail("E269", f"the model {self.name} declares no `{name}`", here().span, shown=name, help=mend)

    def __contains__(self, name: object) -> bool:
        return name in self._declared


def _rank(item: ast.Item | Level) -> int:
    """Where an item of a model built in Python stands: declarations, upper, lower levels, options."""
    if isinstance(item, Level):
        return 1 if item.role == "upper" else 2
    return 3 if isinstance(item, ast.Options) else 0
