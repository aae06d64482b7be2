"""Every syntax error of a text in one run: each statement is read on its own once the whole has been rejected."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bileveldsl.language import ast
from bileveldsl.language.diagnostics import BlvError, Diagnostic, Related, Source, Span
from bileveldsl.language.failure import Failure
from bileveldsl.language.mistakes import SYNONYMS, diagnose
from bileveldsl.language.outline import BLOCKS, Block, Lexeme, Part, Statement, outline
from bileveldsl.language.reader import Rejected, Start, read
from bileveldsl.language.structure import structure_errors
from bileveldsl.language.suggest import closest

# Of these only `+` and `-` may begin a statement, and only when it is whole without the line above.
_LEADING = frozenset({"+", "-", "*", "/", "@", "^", "<=", ">=", "==", "!=", "<", ">", "=", ".."})


def syntax_errors(source: Source) -> list[Diagnostic]:
    """What is wrong with a text that is not in the grammar, in the order of the text.

    Parameters
    ----------
    source : Source
        A text that the parser has rejected.

    Returns
    -------
    list of Diagnostic
        E1xx, one for each mistake: what follows from another mistake is left out.
    """
    recovery = _Recovery(source)
    items = recovery.body(outline(source.text), "start", nested=False)
    found = recovery.diagnostics + structure_errors(source, items, recovery.broken, recovery.levels_known)
    return sorted(found, key=lambda diagnostic: diagnostic.span.start if diagnostic.span else 0)


@dataclass(frozen=True)
class _Outcome:
    """What reading one statement gave."""

    nodes: tuple[Any, ...]
    diagnostics: Sequence[Diagnostic]
    cut_short: bool = False  # it would be well if it went on
    continues: bool = False  # it ends with the mark by which other languages continue a line


class _Recovery:
    """Reads the parts of an outline one by one."""

    def __init__(self, source: Source):
        self.source = source
        self.diagnostics: list[Diagnostic] = []
        self.broken: list[Span] = []
        self.levels_known = True

    def span(self, first: Lexeme, last: Lexeme | None = None) -> Span:
        return Span(self.source, first.start, (last or first).end)

    def report(self, diagnostic: Diagnostic, broken: Span | None = None) -> None:
        """Keep a diagnostic, the wrong choice of a name once only, and where the text is broken."""
        if diagnostic.code != "E130" or all(known.message != diagnostic.message for known in self.diagnostics):
            self.diagnostics.append(diagnostic)
        place = broken or diagnostic.span
        if place:
            self.broken.append(place)

    def body(self, parts: Sequence[Part], context: Start, nested: bool) -> list[Any]:
        """The nodes of statements and blocks that stand beside each other."""
        nodes: list[Any] = []
        above: Statement | None = None
        last = _Outcome((), ())
        headless = False  # what stood here may have been the head of a block, whose statements and brace follow
        for part in parts:
            if isinstance(part, Statement):
                leading = above is not None and part.first.kind == "symbol" and part.first.text in _LEADING
                if leading and last.continues:
                    continue
                outcome = self.statement(part, context)
                nodes += outcome.nodes
                if leading and above is not None and (outcome.diagnostics or last.cut_short):
                    if last.cut_short:
                        self.diagnostics.pop()
                    self.report(self.leading_operator(part, above), self.span(part.first, part.last))
                    outcome = _Outcome((), (), continues=True)
                for diagnostic in outcome.diagnostics:
                    if headless and diagnostic.code == "E133":
                        self.levels_known = False
                    else:
                        self.report(diagnostic, self.span(part.first, part.last))
                headless = context == "start" and (headless or bool(outcome.diagnostics))
                above, last = part, outcome
                continue
            if isinstance(part, Block):
                nodes += self.block(part, nested)
            elif not headless:
                self.report(Diagnostic("E128", "`}` closes nothing", self.span(part), help="remove it"))
            above, last, headless = None, _Outcome((), ()), False
        return nodes

    def leading_operator(self, part: Statement, above: Statement) -> Diagnostic:
        return Diagnostic(
            "E125",
            f"a statement cannot begin with `{part.first.text}`",
            self.span(part.first),
            related=(Related(self.span(above.last), "the statement ends here"),),
            help=f"write `{part.first.text}` at the end of the line above",
        )

    def statement(self, statement: Statement, context: Start) -> _Outcome:
        lexemes = statement.lexemes
        try:
            reading = read(self.source, context, statement.first.start, statement.last.end)
        except BlvError as error:
            return _Outcome((), error.diagnostics)
        except Rejected as rejected:
            at = bisect_right([lexeme.end for lexeme in lexemes], rejected.offset)
            inside = at < len(lexemes) and lexemes[at].start < rejected.offset
            failure = Failure(self.source, statement, context, at, rejected.accepts, inside)
            self.levels_known &= not any(lexeme.text in BLOCKS for lexeme in lexemes)
            return _Outcome((), [diagnose(failure)], failure.at_end, failure.found.text == "\\")
        return _Outcome(reading.nodes, reading.diagnostics)

    def block(self, block: Block, nested: bool) -> list[Any]:
        role = self.head(block, nested)
        if block.closed is None:
            place = self.span(block.head[0] if block.head else block.brace, block.brace)
            stop = block.stopped_by
            related = (Related(self.span(stop), "before this block begins"),) if stop else ()
            self.report(Diagnostic("E127", "this block is not closed", place, "opened here", related, "write `}`"))
        nodes = self.body(block.body, "settings" if role == "options" else "statements", nested=True)
        if nested and role not in BLOCKS:  # such as `subject to { }`: its statements are the level's
            return nodes
        first = block.head[0] if block.head else block.brace
        last = block.closed.end if block.closed else max([block.brace.end, *(node.span.end for node in nodes)])
        span = Span(self.source, first.start, last)
        head_span = self.span(first, block.head[-1] if block.head else None)
        if role == "options":
            return [ast.Options(tuple(nodes), span=span)]
        if role == "upper":
            return [ast.Level("upper", "upper", tuple(nodes), head_span=head_span, span=span)]
        if role == "lower":
            name = block.head[1].text if len(block.head) > 1 else "lower"
            return [ast.Level("lower", name, tuple(nodes), head_span=head_span, span=span)]
        return []

    def head(self, block: Block, nested: bool) -> str:
        """The keyword of a block, or the one it was meant to be; faults of its head are reported."""
        head, word = block.head, block.word
        self.levels_known &= word in BLOCKS and not nested
        if not head:
            message = "a block begins with `upper`, `lower` or `options`"
            self.report(Diagnostic("E136", message, self.span(block.brace), help="name the block"))
            return ""
        whole = self.span(head[0], head[-1])
        if word not in BLOCKS:
            return self.unknown_head(head, whole, nested)
        if nested:
            message = f"`{word}` cannot stand inside another block"
            self.report(Diagnostic("E133", message, whole, help="close the block above first, with `}`"))
        name = head[1] if len(head) > 1 else None
        if word == "lower" and len(head) == 2 and name and name.kind == "word":
            if name.is_keyword:
                message = f"`{name.text}` is a keyword and cannot be a name"
                help = f"choose another name, such as `{name.text}_`"
                self.report(Diagnostic("E130", message, self.span(name), help=help))
        elif name:
            message = f"expected `{{`, found `{name.text}`"
            help = "a follower has at most one word for its name" if word == "lower" else f"write `{word} {{`"
            self.report(Diagnostic("E136", message, self.span(name, head[-1]), help=help))
        return word

    def unknown_head(self, head: list[Lexeme], whole: Span, nested: bool) -> str:
        word = head[0].text
        near = closest(word, sorted(BLOCKS))
        meant = near or SYNONYMS.get(word.casefold(), "")
        if near and not nested:
            help = f"did you mean `{near}`?"
            diagnostic = Diagnostic("E131", f"unknown word `{word}`", self.span(head[0]), help=help)
        elif nested:
            help = "write its statements without a block of their own"
            diagnostic = Diagnostic("E132", f"`{whole.text}` is not a block", whole, help=help)
        else:
            help = f"write `{meant}`" if meant in BLOCKS else "blocks are `upper`, `lower` and `options`"
            diagnostic = Diagnostic("E132", f"`{whole.text}` is not a block", whole, help=help)
        self.report(diagnostic)
        return meant if meant in BLOCKS and not nested else ""
