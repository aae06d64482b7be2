"""Mistakes within characters, numbers, strings and brackets; each rule knows one."""

from __future__ import annotations

from bileveldsl.language.diagnostics import Diagnostic, Related
from bileveldsl.language.failure import Failure, Rule, shown
from bileveldsl.language.newlines import OPERATORS
from bileveldsl.language.outline import CLOSERS, Lexeme

_SYMBOLS = OPERATORS | {"(", ")", "[", "]", "{", "}", ".", ";"}

_FOREIGN = {
    "≤": "<=", "=<": "<=", "⩽": "<=", "≥": ">=", "=>": ">=", "⩾": ">=", "≠": "!=", "<>": "!=", "≔": "=",
    "−": "-", "–": "-", "—": "-", "×": "*", "·": "*", "⋅": "*", "∙": "*", "∗": "*", "÷": "/", "∕": "/",
    "∈": "in", "∞": "inf", "√": "sqrt", "∑": "sum", "∏": "prod", "&&": "and", "||": "or", "!": "not",
    "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‖": "norm",
}  # fmt: skip
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")

_CHARACTERS = {
    "\\": "a line that ends with an operator goes on in the next line, without a mark",
    "|": "write `abs(x)` for |x|",
    "\r": "save the file with line ends LF or CRLF",
    "%": "a comment begins with `#`",
}


def _string(f: Failure) -> Diagnostic | None:
    found, before = f.found, f.before
    help = 'a string is written between two `"`, on one line'
    if found.kind == "unclosed":
        return f.error("E111", "this string is not closed", found, help=help)
    if before.kind == "string" and found.start == before.end and found.kind in ("word", "number", "string"):
        message = f"this string ends before `{shown(found.text)}`"
        return f.error("E111", message, before, label="closed by the next quotation mark", help=help)
    return None


def _quote(f: Failure) -> Diagnostic | None:
    if f.found.text not in ("'", "’", "‘", "`", "´"):
        return None
    if f.before.ends_operand and f.before.end == f.found.start:
        help = f"`{f.before.text}.T` is the transpose; for another variable choose another name"
    else:
        help = 'a string is written between two `"`'
    return f.error("E112", "a single quote has no meaning", f.found, help=help)


def _power(f: Failure) -> Diagnostic | None:
    if f.found.text == "**":
        return f.error("E120", "`**` is not an operator", f.found, help="write `^` for a power")
    return None


def _foreign(f: Failure) -> Diagnostic | None:
    text = f.found.text
    if f.found.kind != "symbol" or (text in ("&&", "||") and "and" not in f.accepts):
        return None
    power = text.translate(_SUPERSCRIPTS)
    meant = f"^{power}" if power != text else _FOREIGN.get(text)
    return f.error("E113", f"`{text}` is not an operator", f.found, help=f"write `{meant}`") if meant else None


def _character(f: Failure) -> Diagnostic | None:
    text = f.found.text
    if f.found.kind != "symbol" or text in _SYMBOLS or len(text) > 1:
        return None
    name = f"`{text}`" if text.isprintable() else f"the character U+{ord(text):04X}"
    return f.error("E110", f"{name} has no meaning", f.found, help=_CHARACTERS.get(text, "remove it"))


def _number(f: Failure) -> Diagnostic | None:
    found, after = f.found, f.after
    if found.kind != "number" or not after.text or after.start != found.end:
        return None
    if after.text == ".":
        help = f"write `{shown(found.text)}` or `{shown(found.text)}.0`"
    elif after.kind == "number":
        help = "a number has one decimal point"
    elif after.text.startswith("_") or (found.text == "0" and after.text[0] in "xXoObB"):
        help = "numbers are decimal, such as `1_000` or `1.5e-3`"
    else:
        return None
    return f.error("E105", f"`{shown(found.text + after.text)}` is not a number", found, after, help=help)


def _quotes_missing(f: Failure) -> Diagnostic | None:
    if f.found.kind != "word" or "STRING" not in f.accepts or "NAME" in f.accepts:
        return None
    last = f.at
    while (next_one := f.lexeme(last + 1)).start == f.lexeme(last).end and next_one.text not in ("", *"[]()"):
        last += 1
    span = f.span(f.found, f.lexeme(last))
    help = f'write `"{shown(span.text)}"`'
    return Diagnostic("E115", "text is written between quotation marks", span, help=help)


def _braces(f: Failure) -> Diagnostic | None:
    if f.found.text == "{":
        return f.error("E114", "braces hold blocks only", f.found, help="a list is written `[1, 2, 3]`")
    return None


def _rows(f: Failure) -> Diagnostic | None:
    if f.found.text == ";" and not f.statement.unclosed:
        help = "a matrix is a list of lists, `[[1, 2], [3, 4]]`"
        return f.error("E126", "`;` ends the statement inside brackets", f.found, help=help)
    return None


def _brackets(f: Failure) -> Diagnostic | None:
    found = f.found
    opened: list[Lexeme] = []
    for lexeme in f.statement.lexemes[: f.at]:
        if lexeme.text in CLOSERS.values():
            opened.append(lexeme)
        elif lexeme.text in CLOSERS and opened:
            opened.pop()
    if found.text in CLOSERS and not opened:
        help = f"remove it, or open it with `{CLOSERS[found.text]}`"
        return f.error("E128", f"`{found.text}` closes nothing", found, help=help)
    if found.text in CLOSERS and opened[-1].text != CLOSERS[found.text]:
        closer = _closer(opened[-1])
        return f.error(
            "E126",
            f"`{opened[-1].text}` is closed by `{found.text}`",
            opened[-1],
            label="opened here",
            related=[Related(f.span(found), f"`{closer}` expected")],
            help=f"write `{closer}`",
        )
    unclosed = [bracket for bracket in opened if bracket in f.statement.unclosed]
    if unclosed and (f.at_end or _closer(opened[-1]) in f.accepts):
        bracket = unclosed[-1]
        help = f"write `{_closer(bracket)}`"
        return f.error("E126", f"`{bracket.text}` is not closed", bracket, label="opened here", help=help)
    return None


def _closer(bracket: Lexeme) -> str:
    return next(closer for closer, opener in CLOSERS.items() if opener == bracket.text)


def _axes_in_parentheses(f: Failure) -> Diagnostic | None:
    declares = f.first.text in ("var", "param", "let", "dim", "set")
    if declares and f.found.text == "(" and f.before.kind == "word" and f.before.ends_operand:
        return f.error("E142", "axes are written in brackets", f.before, f.found, help=f"write `{f.before.text}[...]`")
    return None


STRINGS: tuple[Rule, ...] = (_string, _quote)
SYMBOLS: tuple[Rule, ...] = (_power, _foreign, _character, _number, _quotes_missing)
BRACKETS: tuple[Rule, ...] = (_braces, _rows, _brackets, _axes_in_parentheses)
