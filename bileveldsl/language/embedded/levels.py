"""The two blocks of a model: the upper level and its followers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from bileveldsl.language import ast
from bileveldsl.language.diagnostics import Related, Span
from bileveldsl.language.embedded.declarations import axis_nodes, let_node, name_node
from bileveldsl.language.embedded.errors import fail
from bileveldsl.language.embedded.expressions import Dimension, IndexSet, Label, Named
from bileveldsl.language.embedded.families import refuse_constraint
from bileveldsl.language.embedded.names import check_name
from bileveldsl.language.embedded.operands import Operands
from bileveldsl.language.embedded.relations import Family, Relation
from bileveldsl.language.embedded.spans import here

if TYPE_CHECKING:
    from bileveldsl.language.embedded.builder import ModelBuilder


class Level:
    """A level: it owns the variables, the objective and the constraints stated on it."""

    def __init__(self, model: ModelBuilder, role: Literal["upper", "lower"], name: str, span: Span,
                 statements: tuple[ast.Statement, ...] = (), head_span: Span | None = None):  # fmt: skip
        self.model = model
        self.role = role
        self.name = name
        self._span = span
        self._head_span = head_span
        self._statements = list(statements)

    @property
    def node(self) -> ast.Level:
        """The block as it stands."""
        return ast.Level(
            self.role, self.name, tuple(self._statements), span=self._span, head_span=self._head_span or self._span
        )

    def _state(self, statement: ast.Statement) -> None:
        if not self._statements:
            self.model._enter_level(self)
        self._statements.append(statement)

    def var(self, name: str, *axes: Dimension | IndexSet | int, between: tuple[Any, Any] | None = None,
            at_least: Any = None, at_most: Any = None, start: Any = None, integer: bool = False,
            binary: bool = False, doc: str = "") -> Named:  # fmt: skip
        """Declare a variable of this level.

        Parameters
        ----------
        name : str
        *axes : dim, set or int
        between : pair, optional
            Lower and upper bound; or `at_least`, `at_most` alone. Scalars, or of the same axes.
        start : Expression or number, optional
            Where methods may begin.
        integer, binary : bool
        doc : str

        Raises
        ------
        BlvError
            E251, E252 for the name, E260 for an axis, E263 for contradicting arguments.

        Examples
        --------
        >>> import bileveldsl as blv
        >>> m = blv.Model("toy")
        >>> m.upper.var("x", between=(0, 10), start=1)
        x
        """
        place = here()
        operands = Operands(self.model)
        if between is not None:
            alone = at_least is None and at_most is None
            if not (alone and isinstance(between, (tuple, list)) and len(between) == 2):
                fail("E263", "`between` is a pair of bounds, given alone", place.argument("between"),
                     help="between=(lower, upper), or at_least= and at_most=")  # fmt: skip
            at_least, at_most = between
        if integer and binary:
            fail("E263", "a variable is either integer or binary", place.argument("binary"), help="leave one out")

        low, high = (span for span, _ in place.entries(2, "between"))
        if between is None:
            low, high = place.argument("at_least"), place.argument("at_most")

        def bound(value: Any, span: Span) -> ast.Expression | None:
            return None if value is None else operands.node(value, span)

        span = place.argument(0, "name")
        node = ast.Var(
            check_name(name, span), axis_nodes(self.model, axes, place),
            "binary" if binary else "integer" if integer else "continuous",
            bound(at_least, low), bound(at_most, high), bound(start, place.argument("start")),
            doc, name_span=span, span=place.span,
        )  # fmt: skip
        variable = self.model._declare(Named(name, self.model, span))
        self._state(node)
        return variable

    def let(self, name: str, *axes: Dimension | IndexSet | int, value: Any, doc: str = "") -> Named:
        """Define a name for an expression."""
        node = let_node(self.model, name, axes, value, doc, place := here())
        definition = self.model._declare(Named(name, self.model, place.argument(0, "name")))
        self._state(node)
        return definition

    def _objective(self, sense: Literal["minimize", "maximize"], expression: object) -> None:
        place = here()
        for statement in self._statements:
            if isinstance(statement, ast.Objective):
                fail("E262", f"the {self.name} level has two objectives", place.span, shown=expression,
                     related=(Related(statement.span, "the first is here"),),
                     help="add them, or make a new Model before running a cell again")  # fmt: skip
        self._state(ast.Objective(sense, Operands(self.model).node(expression, place.argument(0)), span=place.span))

    def minimize(self, expression: Any) -> None:
        """State the objective, to be made small."""
        self._objective("minimize", expression)

    def maximize(self, expression: Any) -> None:
        """State the objective, to be made large."""
        self._objective("maximize", expression)

    def subject_to(self, /, *relations: Relation, **labelled: Relation | Family) -> Any:
        """State constraints; keywords label them.

        Returns
        -------
        Label, tuple of Label or None
            Of the labelled ones; `label.dual` is the multiplier, for the upper level.

        Raises
        ------
        BlvError
            E251 for a label used twice, E256 for what is no relation, E257 for a strict one, E266 for a
            family without a label.

        Examples
        --------
        >>> import bileveldsl as blv
        >>> m = blv.Model("market")
        >>> sold = m.lower.var("sold", at_least=0)
        >>> demand = m.lower.subject_to(demand=sold == 100)
        >>> m.upper.maximize(demand.dual * sold)
        """
        place = here()
        for position, unlabelled in enumerate(relations):
            self._constrain(unlabelled, place.argument(position), None)
        labels = []
        for name, relation in labelled.items():
            label = Label(check_name(name, place.keyword(name)), self.model, place.keyword(name))
            self._constrain(relation, place.argument(name), label)
            labels.append(label)
        return (labels[0] if len(labels) == 1 else tuple(labels)) if labels else None

    def _constrain(self, given: object, span: Span, label: Label | None) -> None:
        generators: tuple[ast.Generator, ...] = ()
        guard: ast.Expression | None = None
        relation: object = given
        if isinstance(given, Family):
            relation, generators, guard = given.relation, given.generators, given.guard
        if not isinstance(relation, Relation):
            refuse_constraint(given, span)
        Operands(self.model).join(given if isinstance(given, Family) else relation, span)
        strict = next((r for r in relation.relations if r not in ("<=", ">=", "==")), None)
        if strict is not None:
            fail("E257", f"a constraint cannot say `{strict}`", span, shown=relation, help="use <=, >= or ==")
        if generators and label is None:
            fail("E266", "a family of constraints needs a label", span, shown=relation,
                 help="subject_to(cap=blv.forall(...))")  # fmt: skip
        name, label_span = (self.model._declare(label).name, label.node.span) if label else (None, None)
        self._state(
            ast.Constraint(
                name, relation.operands, relation.relations, generators, guard,
                label_span=label_span, span=relation.node.span,
            )
        )  # fmt: skip

    def require(self, fact: str, constant: Any = None) -> None:
        """State a fact that must be proved, or the model is rejected."""
        self._claim("require", fact, constant)

    def assume(self, fact: str, constant: Any = None) -> None:
        """State a fact to be trusted; every report shows it as assumed."""
        self._claim("assume", fact, constant)

    def _claim(self, mode: Literal["require", "assume"], fact: str, constant: object) -> None:
        place = here()
        value = None if constant is None else Operands(self.model).node(constant, place.argument(1, "constant"))
        self._state(ast.Claim(mode, check_name(fact, place.argument(0)), value, span=place.span))

    def ties(self, rule: Literal["optimistic", "pessimistic"]) -> None:
        """State which of the follower's optimal answers counts: the leader's best, or its worst."""
        place = here()
        if rule not in ("optimistic", "pessimistic"):
            fail("E264", f"there is no rule {rule!r} for ties", place.argument(0), shown=rule,
                 help='"optimistic" or "pessimistic"')  # fmt: skip
        self._state(ast.Ties(rule, span=place.span))

    def minibatch(self, axis: Dimension | IndexSet) -> None:
        """State that sums over the axis may be sampled."""
        place = here()
        self._state(ast.Minibatch(name_node(self.model, axis, place.argument(0)), span=place.span))

    def __repr__(self) -> str:
        return f"<{self.name} level of {self.model.name}>"
