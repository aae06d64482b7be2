"""What a user meant by a statement the parser rejects: one rule for each kind of mistake, the first that fits."""

from __future__ import annotations

from bileveldsl.language.diagnostics import Diagnostic
from bileveldsl.language.failure import RELATIONS, Failure, Rule, shown
from bileveldsl.language.outline import BEGINNINGS, DECLARATIONS, KEYWORDS, LEVEL_STATEMENTS, Lexeme
from bileveldsl.language.slips import BRACKETS, STRINGS, SYMBOLS
from bileveldsl.language.suggest import closest

_OBJECTIVES = ("minimize", "maximize")

# Words of other languages, and ours.
SYNONYMS = {
    "leader": "upper", "outer": "upper", "follower": "lower", "inner": "lower", "settings": "options",
    "min": "minimize", "max": "maximize", "objective": "minimize", "variable": "var", "variables": "var",
    "parameter": "param", "parameters": "param", "data": "param", "const": "param", "constant": "param",
    "dimension": "dim", "index": "set", "def": "let", "define": "let", "expr": "let", "expression": "let",
}  # fmt: skip
_CONSTRAINT_WORDS = frozenset({"subject", "such", "st", "constraint", "constraints"})
_KINDS = {"int": "integer", "bool": "binary", "boolean": "binary"}


def diagnose(failure: Failure) -> Diagnostic:
    """The mistake in a statement, by the first rule that knows it."""
    for rule in _RULES:
        diagnostic = rule(failure)
        if diagnostic is not None:
            return diagnostic
    return _unexpected(failure)


# ---- words -------------------------------------------------------------------------------------


def _first_word(f: Failure) -> Diagnostic | None:
    """A statement that begins with a word near a keyword, or with a word of another language."""
    first, second = f.first, f.lexeme(1)
    if first.kind != "word" or first.is_keyword or f.context == "settings":
        return None
    if first.text.casefold() in _CONSTRAINT_WORDS and (f.at <= 2 or not f.has_relation):
        last = second if second.text in ("to", "that") else first
        message = f"`{f.span(first, last).text}` is not a word of the language"
        help = "write each constraint on a line of its own: `cap: x + y <= 8`"
        return f.error("E132", message, first, last, help=help)
    near = closest(first.text, sorted(BEGINNINGS))
    meant = near or SYNONYMS.get(first.text.casefold())
    beside = second.begins_operand and second.text != "("
    objective = meant in _OBJECTIVES and not f.has_relation
    if meant and (beside or objective or (f.context == "start" and f.at == 0 and not f.has_relation)):
        return _meant(f, first, meant, misspelt=near is not None)
    return None


def _inner_word(f: Failure) -> Diagnostic | None:
    """A word near a keyword that could stand there."""
    found = f.found
    if found.kind != "word" or found.is_keyword or "NAME" in f.accepts or f.at == 0:
        return None
    near = closest(found.text, sorted(f.accepts & KEYWORDS))
    return _meant(f, found, near, misspelt=True) if near else None


def _meant(f: Failure, lexeme: Lexeme, meant: str, misspelt: bool) -> Diagnostic:
    word = shown(lexeme.text)
    if misspelt:
        return f.error("E131", f"unknown word `{word}`", lexeme, help=f"did you mean `{meant}`?")
    return f.error("E132", f"`{word}` is not a word of the language", lexeme, help=f"write `{meant}`")


def _misplaced(f: Failure) -> Diagnostic | None:
    """A statement in the wrong block."""
    first = f.first
    if f.at != 0 or f.context == "settings":
        return None
    if f.context == "start" and first.text in LEVEL_STATEMENTS:
        help = "move it into the block whose decision it is"
        return f.error("E133", f"`{first.text}` belongs inside `upper` or `lower`", first, help=help)
    if f.context == "start" and not first.is_keyword and f.has_relation:
        help = "move it into the block that must keep it"
        return f.error("E133", "a constraint belongs inside `upper` or `lower`", first, f.statement.last, help=help)
    if f.context == "statements" and first.text in DECLARATIONS:
        help = "move it to the top of the file"
        return f.error("E133", f"`{first.text}` belongs outside of the levels", first, help=help)
    return None


def _keyword_as_name(f: Failure) -> Diagnostic | None:
    found = f.found
    if not found.is_keyword or "NAME" not in f.accepts or (f.at == 0 and f.context != "settings"):
        return None
    if f.wants_expression and found.text in _LOGIC:
        return None
    message = f"`{found.text}` is a keyword and cannot be a name"
    return f.error("E130", message, found, help=f"choose another name, such as `{found.text}_`")


_LOGIC = {
    "for": "an index runs inside `sum(... for i in I)` or in a label, `cap[i in I]: ...`",
    "if": "a condition stands in a guard, `sum(... for i in I if i != j)`",
    "and": "write two constraints, each on its own line",
    "&&": "write two constraints, each on its own line",
    "or": "there is no `or` of constraints; a binary variable can choose between them",
    "||": "there is no `or` of constraints; a binary variable can choose between them",
    "not": "a condition stands in a guard, `sum(... for i in I if i != j)`",
}


def _logic(f: Failure) -> Diagnostic | None:
    found = f.found
    if found.kind not in ("word", "symbol") or found.text not in _LOGIC:
        return None
    help = _LOGIC["if" if "if" in f.accepts else found.text]
    return f.error("E134", f"`{found.text}` cannot stand here", found, help=help)


def _kind(f: Failure) -> Diagnostic | None:
    found = f.found
    if f.first.text != "var" or f.before.text != ":" or found.kind != "word":
        return None
    meant = _KINDS.get(found.text.casefold()) or closest(found.text, ("binary", "integer"))
    help = f"write `{meant}`" if meant else "leave it out: a variable is real unless it is `integer` or `binary`"
    return f.error("E139", f"`{shown(found.text)}` is no kind of variable", found, help=help)


# ---- relations and operators ---------------------------------------------------------------------


def _equals(f: Failure) -> Diagnostic | None:
    found = f.found
    if found.text not in ("=", ":=", "=="):
        return None
    if f.first.text == "var" and found.text != "==":
        help = "write `start 3` for a first guess, a constraint `x == 3`, or `param x = 3` for a constant"
        return f.error("E138", "a variable is not given a value", found, help=help)
    if "==" in f.accepts:
        help = "write `==` in a constraint; a definition begins with `let`"
        return f.error("E121", f"`{found.text}` is not a relation", found, help=help)
    if "=" in f.accepts or f.inside:
        return f.error("E121", f"`{found.text}` gives no value", found, help="write `=`")
    return None


def _strict(f: Failure) -> Diagnostic | None:
    found = f.found
    if "<=" not in f.accepts or found.text not in ("<", ">", "!="):
        return None
    if found.text == "!=":
        help = "`!=` compares indices in a guard; use `<=`, `>=` or `==`"
        return f.error("E123", "`!=` cannot stand in a constraint", found, help=help)
    return f.error("E122", "a strict inequality has no closed feasible set", found, help=f"write `{found.text}=`")


def _relation(f: Failure) -> Diagnostic | None:
    found, first = f.found, f.first.text
    if found.text not in RELATIONS | {"="} or not f.before.ends_operand:
        return None
    if first in _OBJECTIVES:
        message, help = "an objective is no relation", "write the relation as a constraint, on a line of its own"
    elif first == "var":
        message, help = "bounds are given once", "write `in [a, b]` for two bounds"
    elif first in BEGINNINGS:
        message, help = "a value is no relation", "relations are constraints, inside `upper` or `lower`"
    elif f.accepts & {")", "]", ","}:
        message, help = "a relation cannot stand inside brackets", "write it as a constraint, on a line of its own"
    else:
        message = "a constraint has one relation, or two as in `a <= e <= b`"
        return f.error("E141", message, found, help="write two constraints")
    return f.error("E129", message, found, help=help)


def _operator_missing(f: Failure) -> Diagnostic | None:
    found, before, after = f.found, f.before, f.after
    if f.wants_expression and found.kind == "number" and after.kind == "word" and after.start == found.end:
        help = f"write `{shown(found.text)}*{shown(after.text)}`"
        return f.error("E124", "an operator is missing", found, after, help=help)
    if "+" in f.accepts and before.ends_operand and found.begins_operand:
        help = "write `*` between them"
        if f.at == 1 and f.context == "statements" and not before.is_keyword:
            help += ", or `:` after the label of a constraint"
        return f.error("E124", "an operator is missing", before, found, help=help)
    return None


def _no_relation(f: Failure) -> Diagnostic | None:
    if not f.at_end or "<=" not in f.accepts or f.first.is_keyword:
        return None
    help = "write `<=`, `>=` or `==` and the other side; an objective begins with `minimize` or `maximize`"
    return f.error("E135", "this constraint has no relation", f.first, f.statement.last, help=help)


# ---- whatever else -------------------------------------------------------------------------------


def _unexpected(f: Failure) -> Diagnostic:
    expected = _phrase(f.accepts) if f.at else _BEGINNING[f.context]
    if f.at_end:
        message = f"the statement ends where {expected} should follow"
        help = "a line goes on after an operator, a comma or inside brackets"
        return f.error("E137", message, f.statement.last, help=help)
    return f.error("E136", f"expected {expected}, found `{shown(f.found.text)}`", f.found, help=_advice(f))


def _advice(f: Failure) -> str:
    text = f.found.text
    if f.at > 0 and (text in BEGINNINGS or (text == "," and "END" in f.accepts)):
        return "begin a new statement on a new line"
    if f.first.text == "model":
        return "a name has letters, digits and underscores"
    if f.first.text == "var" and (text in ("in", ":") or f.before.text == "in"):
        return "write `var x : integer in [0, 9] start 1`, in this order"
    if "NAME" in f.accepts and f.found.kind == "number" and not f.wants_expression:
        return "a name begins with a letter or an underscore"
    if "," in f.accepts and f.found.kind == "word":
        return "a comma stands between names"
    if f.at == 0 and f.context == "start":
        return "a constant is `param a = 3`, a definition `let a = ...`; the rest stands in `upper` or `lower`"
    return ""


_BEGINNING = {"start": "a declaration or a block", "statements": "a statement", "settings": "`name = value`"}
_EXPRESSION = frozenset({"NAME", "(", "+", "-", "INT", "FLOAT", "STRING", "inf"})
_GROUPS = (
    ("a relation", frozenset({"<=", ">=", "=="})),
    ("an operator", frozenset({"+", "-", "*", "/", "@", "^", ".", "[", "("})),
)
_CLASSES = {"NAME": "a name", "INT": "a number", "FLOAT": "a number", "STRING": "a string", "END": "a new line"}


def _phrase(accepts: frozenset[str]) -> str:
    """What could have stood there, in words."""
    rest = set(accepts)
    words: list[str] = []
    if {"NAME", "("} <= rest:
        words.append("an expression")
        rest -= _EXPRESSION
    for word, group in _GROUPS:
        if rest & group and (word == "a relation" or "+" in rest):
            words.append(word)
            rest -= group
    words += sorted({_CLASSES[name] for name in rest if name in _CLASSES})
    words += sorted(f"`{name}`" for name in rest if name not in _CLASSES)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


_RULES: tuple[Rule, ...] = (
    *STRINGS, _first_word, _misplaced, _kind, *SYMBOLS, *BRACKETS, _keyword_as_name, _logic,
    _equals, _strict, _relation, _inner_word, _operator_missing, _no_relation,
)  # fmt: skip
