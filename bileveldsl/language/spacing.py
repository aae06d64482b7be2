"""The blanks between two tokens that stand on one line of a formatted model."""

from __future__ import annotations

from bileveldsl.language.outline import Lexeme

_OPENERS = frozenset({"(", "["})
_CLOSERS = frozenset({")", "]"})
_TIGHT = frozenset({"^", ".", ".."})


def gap(left: Lexeme, right: Lexeme, nested: bool, declares: bool) -> int:
    """How many blanks stand between two tokens of a statement.

    Parameters
    ----------
    left, right : Lexeme
        Neighbours in a model without syntax errors; `left` is no prefix operator, which holds on to its operand.
    nested : bool
        Whether a bracket is open: there `=` names an argument and `:` makes a slice.
    declares : bool
        Whether the statement is a `var`, in which `:` gives the kind and not a label.

    Returns
    -------
    int

    Examples
    --------
    >>> from bileveldsl.language.outline import lexemes
    >>> cap, colon, x, power, two, relation, bracket, *_ = lexemes("cap: x^2 <= [")
    >>> [gap(cap, colon, False, False), gap(colon, x, False, False), gap(x, power, False, False)]
    [0, 1, 0]
    >>> [gap(two, relation, False, False), gap(relation, bracket, False, False), gap(x, bracket, False, False)]
    [1, 1, 0]
    """
    if left.text in _OPENERS or right.text in _CLOSERS or right.text == ",":
        return 0
    if left.text in _TIGHT or right.text in _TIGHT:
        return 0
    if left.text == ",":
        return 1
    if nested and {left.text, right.text} & {"=", ":"}:
        return 0
    if right.text in _OPENERS:
        return 0 if left.ends_operand else 1
    return 0 if right.text == ":" and not declares else 1
