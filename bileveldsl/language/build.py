"""From the rules of the grammar to Ast nodes, called while the parser reduces."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

from lark import Token, Transformer, v_args

from bileveldsl.language import ast
from bileveldsl.language.diagnostics import Diagnostic, Source, Span
from bileveldsl.language.doc_comments import DocComments

MAX_DIGITS = 800  # the exact decimal of every double fits
MAX_EXPONENT = 400
_LARGEST_DOUBLE = Fraction((2**53 - 1) * 2**971)


class ModelName(NamedTuple):
    """The statement `model ridge`."""

    name: str
    doc: str
    span: Span


class _Part(NamedTuple):
    """A piece of a statement that is no node of the Ast."""

    value: Any
    span: Span


@v_args(inline=True)
class Builder(Transformer[Token, Any]):
    """One method for each rule of the grammar; the first and last child of a rule bound its span.

    Faults that the grammar cannot see are gathered in `diagnostics`, and building goes on.
    """

    def begin(self, origin: Source, offset: int) -> None:
        """Start on the text of a source from `offset` on; the positions of tokens count from there."""
        self.origin = origin
        self.offset = offset
        self.docs = DocComments(origin)
        self.diagnostics: list[Diagnostic] = []

    def comment(self, token: Token) -> Token:
        self.docs.add(self._start(token), token)
        return token

    def _start(self, child: Any) -> int:
        return self.offset + (child.start_pos or 0) if isinstance(child, Token) else child.span.start

    def _end(self, child: Any) -> int:
        return self.offset + (child.end_pos or 0) if isinstance(child, Token) else child.span.end

    def _span(self, *children: Any) -> Span:
        """From the first child to the last one that is there."""
        last = children[-1]
        if last is None:
            last = next(child for child in reversed(children) if child is not None)
        return Span(self.origin, self._start(children[0]), self._end(last))

    def _name(self, token: Token) -> ast.Name:
        return ast.Name(str(token), span=self._span(token))

    def _fault(self, code: str, message: str, span: Span, help: str) -> None:
        self.diagnostics.append(Diagnostic(code, message, span, help=help))

    def sequence(self, *children: Any) -> tuple[Any, ...]:
        """Statements in order, with their docs; one that declares several names becomes several nodes."""
        nodes: list[Any] = []
        found = _nodes(children)
        starts = [child.span.start for child in found]
        for child, following in zip(found, [*starts[1:], len(self.origin.text)], strict=False):
            declared = child.value if isinstance(child, _Part) else (child,)
            doc = self.docs.of(child.span, following)
            nodes += [_documented(node, doc) for node in declared] if doc else declared
        return tuple(nodes)

    # ---- declarations ---------------------------------------------------------------------------

    def model(self, keyword: Token, name: Token) -> ModelName:
        return ModelName(str(name), "", self._span(keyword, name))

    def dim(self, keyword: Token, *dims: Any) -> _Part:
        declared = tuple(
            ast.Dim(str(part.value[0]), part.value[1], name_span=self._span(part.value[0]), span=part.span)
            for part in _nodes(dims)
        )
        return _Part(declared, self._span(keyword, *dims))

    def dim_decl(self, name: Token, equals: Token | None, size: Any) -> _Part:
        return _Part((name, size), self._span(name, size))

    def set(self, keyword: Token, name: Token, within: Any, content: Any) -> ast.Set:
        value, source = _value_or_source(content)
        return ast.Set(
            str(name),
            within.value if within else (),
            value,
            source,
            name_span=self._span(name),
            span=self._span(keyword, name, within, content),
        )

    def within(self, *children: Token) -> _Part:
        names = tuple(self._name(token) for token in children if token.type == "NAME")
        return _Part(names, self._span(*children))

    def value(self, equals: Token, value: Any) -> Any:
        return value

    def param(self, keyword: Token, *children: Any) -> _Part:
        *declared, content = children
        value, source = _value_or_source(content)
        span = self._span(keyword, *children)
        params = tuple(
            ast.Param(str(name), axes, value, source, name_span=self._span(name), span=span)
            for (name, axes), _ in _nodes(declared)
        )
        return _Part(params, span)

    def source(self, *children: Token) -> ast.DataSource:
        path, *keys = (_unquote(token) for token in children if token.type == "STRING")
        return ast.DataSource(path, tuple(keys), span=self._span(*children))

    def let(self, keyword: Token, declared: _Part, equals: Token, value: Any) -> ast.Let:
        name, axes = declared.value
        return ast.Let(str(name), axes, value, name_span=self._span(name), span=self._span(keyword, value))

    def decl(self, name: Token, *axes: Any) -> _Part:
        return _Part((name, _nodes(axes)), self._span(name, *axes))

    def axis(self, token: Token) -> ast.Axis:
        return self._name(token) if token.type == "NAME" else self._number(token)

    # ---- levels ---------------------------------------------------------------------------------

    def upper(self, keyword: Token, *children: Any) -> ast.Level:
        *_, statements, brace = children
        return ast.Level("upper", "upper", statements, head_span=self._span(keyword), span=self._span(keyword, brace))

    def lower(self, keyword: Token, name: Token | None, *children: Any) -> ast.Level:
        *_, statements, brace = children
        return ast.Level(
            "lower",
            str(name or keyword),
            statements,
            head_span=self._span(keyword, name),
            span=self._span(keyword, brace),
        )

    def var(self, keyword: Token, *children: Any) -> _Part:
        *declared, kind, bounds, initial = children
        lower, upper = bounds.value if bounds else (None, None)
        span = self._span(keyword, *children)
        variables = tuple(
            ast.Var(
                str(name),
                axes,
                kind.value if kind else "continuous",
                lower,
                upper,
                initial.value if initial else None,
                name_span=self._span(name),
                span=span,
            )
            for (name, axes), _ in _nodes(declared)
        )
        return _Part(variables, span)

    def kind(self, colon: Token, kind: Token) -> _Part:
        return _Part(str(kind), self._span(colon, kind))

    def between(self, keyword: Token, left: Token, lower: Any, comma: Token, upper: Any, right: Token) -> _Part:
        return _Part((lower, upper), self._span(keyword, right))

    def at_least(self, relation: Token, bound: Any) -> _Part:
        return _Part((bound, None), self._span(relation, bound))

    def at_most(self, relation: Token, bound: Any) -> _Part:
        return _Part((None, bound), self._span(relation, bound))

    def initial(self, keyword: Token, value: Any) -> _Part:
        return _Part(value, self._span(keyword, value))

    def objective(self, sense: Any, expression: Any) -> ast.Objective:
        sense_name: Any = str(sense)
        return ast.Objective(sense_name, expression, span=self._span(sense, expression))

    def constraint(self, label: _Part | None, colon: Token | None, relation: _Part) -> ast.Constraint:
        name, over = label.value if label else (None, None)
        generators, guard = over.value if over else ((), None)
        operands, relations = relation.value
        first = label or relation
        return ast.Constraint(
            str(name) if label else None,
            operands,
            relations,
            generators,
            guard,
            label_span=self._span(name) if label else None,
            span=self._span(first, relation),
        )

    def label(self, name: Token, *over: Any) -> _Part:
        generators = next((child for child in over if isinstance(child, _Part)), None)
        return _Part((name, generators), self._span(name, *over))

    def relation(self, *children: Any) -> _Part:
        there = [child for child in children if child is not None]
        relations = tuple(str(token) for token in there[1::2])
        span = self._span(*there)
        if len(relations) == 2 and (relations[0] != relations[1] or relations[0] == "=="):
            message = "the two relations of a range do not point the same way"
            self._fault("E141", message, span, "write `a <= e <= b`, or two constraints")
        return _Part((tuple(there[0::2]), relations), span)

    def ties(self, keyword: Token, rule: Any) -> ast.Ties:
        rule_name: Any = str(rule)
        return ast.Ties(rule_name, span=self._span(keyword, rule))

    def claim(self, mode: Any, fact: Token, left: Any, constant: Any, right: Any) -> ast.Claim:
        mode_name: Any = str(mode)
        return ast.Claim(mode_name, str(fact), constant, span=self._span(mode, fact, right))

    def minibatch(self, keyword: Token, axis: Token) -> ast.Minibatch:
        return ast.Minibatch(self._name(axis), span=self._span(keyword, axis))

    def options(self, keyword: Token, *children: Any) -> ast.Options:
        *_, settings, brace = children
        return ast.Options(settings, span=self._span(keyword, brace))

    def option(self, name: Token, equals: Token, *written: Any) -> ast.Option:
        token = written[-1]
        sign = -1 if written[0] == "-" else 1
        value: str | Fraction | bool | float
        if token.type == "STRING":
            value = _unquote(token)
        elif token.type in ("TRUE", "FALSE"):
            value = token.type == "TRUE"
        elif token.type == "INF":
            value = sign * float("inf")
        else:
            value = sign * self._number(token).value
        return ast.Option(str(name), value, span=self._span(name, token))

    # ---- expressions ----------------------------------------------------------------------------

    def name(self, token: Token) -> ast.Name:
        return self._name(token)

    def number(self, token: Token) -> ast.Number:
        return self._number(token)

    def _number(self, token: Token) -> ast.Number:
        span = self._span(token)
        mantissa, _, exponent = token.lower().replace("_", "").partition("e")
        if len(mantissa) > MAX_DIGITS or len(exponent) > 5 or abs(int(exponent or "0")) > MAX_EXPONENT:
            value = None
        elif token.type == "INT":
            value = Fraction(int(mantissa))
        else:
            value = Fraction(f"{mantissa}e{exponent or 0}")
        if value is None or value > _LARGEST_DOUBLE:
            help = f"at most {MAX_DIGITS} digits, up to 1.8e308; where there is no bound, write `inf`"
            self._fault("E104", "this number is out of range", span, help)
            value = Fraction(0)
        return ast.Number(value, span=span)

    def infinity(self, token: Token) -> ast.Infinity:
        return ast.Infinity(span=self._span(token))

    def text(self, token: Token) -> ast.Text:
        return ast.Text(_unquote(token), span=self._span(token))

    def parentheses(self, left: Token, inner: Any, right: Token) -> Any:
        """The node inside, with a span that holds the parentheses too."""
        return replace(inner, span=self._span(left, right))

    def tuple_(self, *children: Any) -> ast.Tuple:
        return ast.Tuple(_nodes(children), span=self._span(*children))

    def binary(self, left: Any, operator: Any, right: Any) -> ast.Binary:
        symbol: Any = str(operator)
        return ast.Binary(symbol, left, right, span=Span(self.origin, left.span.start, right.span.end))

    def prefix(self, operator: Any, operand: Any) -> ast.Unary:
        symbol: Any = str(operator)
        return ast.Unary(symbol, operand, span=self._span(operator, operand))

    def call(self, function: Token, *children: Any) -> ast.Call:
        arguments = _nodes(children)
        return ast.Call(
            str(function),
            tuple(node for node in arguments if not isinstance(node, ast.Keyword)),
            tuple(node for node in arguments if isinstance(node, ast.Keyword)),
            function_span=self._span(function),
            span=self._span(function, *children),
        )

    def keyword(self, name: Token, equals: Token, value: Any) -> ast.Keyword:
        return ast.Keyword(str(name), value, span=self._span(name, value))

    def aggregate(self, function: Token, left: Token, body: Any, word: Token, over: _Part, right: Token) -> ast.Call:
        generators, guard = over.value
        return ast.Call(
            str(function),
            (body,),
            (),
            generators,
            guard,
            function_span=self._span(function),
            span=self._span(function, right),
        )

    def index(self, base: Any, *children: Any) -> ast.Index:
        return ast.Index(base, _nodes(children), span=self._span(base, *children))

    def name_index(self, name: Token, *children: Any) -> ast.Index:
        return ast.Index(self._name(name), _nodes(children), span=self._span(name, *children))

    def slice(self, first: Any, colon: Token, stop: Any) -> ast.Slice:
        return ast.Slice(first, stop, span=self._span(first or colon, colon, stop))

    def attribute(self, base: Any, dot: Token, name: Token) -> ast.Attribute:
        span = self._span(base, name)
        if dot.end_pos != name.start_pos or self._start(dot) != base.span.end:  # such as `s.t. x <= 3`
            help = "`X.T` has no blanks; a constraint has nothing in front but its label, on a line of its own"
            self._fault("E132", f"`{span.text}` is not an attribute", span, help)
        return ast.Attribute(base, str(name), span=span)

    def list(self, *children: Any) -> ast.List:
        return ast.List(_nodes(children), span=self._span(*children))

    def range(self, first: Any, dots: Token, last: Any) -> ast.Range:
        return ast.Range(first, last, span=self._span(first, last))

    # ---- generators and conditions --------------------------------------------------------------

    def generators(self, *children: Any) -> _Part:
        *generators, guard = children
        return _Part((_nodes(generators), guard and guard.value), self._span(*children))

    def generator(self, target: Any, word: Token, domain: Any) -> ast.Generator:
        targets: Any = target.items if isinstance(target, ast.Tuple) else (target,)
        if not all(isinstance(name, ast.Name) for name in targets):
            self._fault("E140", "an index is a name, or names like `(i, j)`", target.span, "write `for i in I`")
        if isinstance(domain, Token):
            domain = self._name(domain)
        return ast.Generator(targets, domain, span=self._span(target, domain))

    def guard(self, word: Token, condition: Any) -> _Part:
        return _Part(condition, self._span(word, condition))

    def logical(self, *children: Any) -> ast.Logical:
        operator: Any = str(children[1])
        return ast.Logical(operator, _nodes(children), span=self._span(*children))

    def compare(self, left: Any, operator: Any, right: Any) -> ast.Compare:
        symbol: Any = str(operator)
        return ast.Compare(symbol, left, right, span=self._span(left, right))

    def member(self, item: Any, word: Token, name: Token) -> ast.Member:
        return ast.Member(item, self._name(name), span=self._span(item, name))

    def negation(self, word: Token, condition: Any) -> ast.Logical:
        return ast.Logical("not", (condition,), span=self._span(word, condition))


def _nodes(children: Any) -> tuple[Any, ...]:
    return tuple([child for child in children if not (child is None or isinstance(child, Token))])


def _documented(node: Any, doc: str) -> Any:
    """The statement with its doc, if it is of a kind that has one."""
    if isinstance(node, ModelName):
        return node._replace(doc=doc)
    return replace(node, doc=doc) if hasattr(node, "doc") else node


def _value_or_source(content: Any) -> tuple[Any, ast.DataSource | None]:
    return (None, content) if isinstance(content, ast.DataSource) else (content, None)


def _unquote(token: Token) -> str:
    return token[1:-1].replace('""', '"')
