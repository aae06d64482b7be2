"""Expressions as people write them: ASCII, Unicode and LaTeX.

Expressions over at most two labels appear in matrix notation (`X.T @ (X @ w - y)`), others in indices
(`sum(T[i, j, k]*x[k] for k)`). Data appear by name, never by value.
"""

from __future__ import annotations

from collections.abc import Sequence

from bileveldsl.calculus.expr import Axis, Expr, symbols_of
from bileveldsl.calculus.notation.compose import matrix_product, product, transpose
from bileveldsl.calculus.notation.formula import Formula, shorten
from bileveldsl.calculus.notation.latex import Latex
from bileveldsl.calculus.notation.matrix import MatrixForm, ones
from bileveldsl.calculus.notation.notation import Notation
from bileveldsl.calculus.notation.pieces import NoMatrixForm
from bileveldsl.calculus.notation.subscripts import Labels
from bileveldsl.calculus.notation.text import Text
from bileveldsl.calculus.notation.unicode import Unicode

LIMIT = 20_000
"""Characters beyond which a formula is cut."""


def to_text(expr: Expr, axes: Sequence[Axis] | None = None) -> str:
    """An expression as ASCII text, close to the language.

    Parameters
    ----------
    expr
        The expression.
    axes
        Its labels in the order to write it: rows first, then columns. A label that the expression lacks, along
        which it is constant, is made visible. By default the expression's own labels.

    Returns
    -------
    str
        One line, cut at about `LIMIT` characters with a note.

    Examples
    --------
    >>> from bileveldsl.calculus.expr import Dim, Symbol, leaf, contract
    >>> n, p = Dim("n", 3), Dim("p", 2)
    >>> X, w = Symbol("X", "data", (n, p)), Symbol("w", "variable", (p,))
    >>> to_text(contract([leaf(X), leaf(w)], w.axes))
    'X @ w'
    """
    return written(to_formula(expr, axes), Text())


def to_unicode(expr: Expr, axes: Sequence[Axis] | None = None) -> str:
    """An expression as Unicode text; see `to_text`.

    Examples
    --------
    >>> from bileveldsl.calculus.expr import Dim, Symbol, leaf, contract
    >>> r = leaf(Symbol("r", "variable", (Dim("n", 3),)))
    >>> to_unicode(contract([r, r], r.axes))
    '‖r‖²'
    """
    return written(to_formula(expr, axes), Unicode())


def to_latex(expr: Expr, axes: Sequence[Axis] | None = None) -> str:
    r"""An expression as LaTeX for a math environment (needs amsmath and amssymb); see `to_text`.

    Examples
    --------
    >>> from bileveldsl.calculus.expr import Symbol, leaf, divide
    >>> to_latex(divide(leaf(Symbol("x", "variable")), leaf(Symbol("alpha", "variable"))))
    '\\frac{x}{\\alpha}'
    """
    return written(to_formula(expr, axes), Latex())


def to_formula(expr: Expr, axes: Sequence[Axis] | None = None) -> Formula:
    """The formula that the notations write."""
    (formula,), _ = to_formulas([expr], expr.axes if axes is None else axes)
    return formula


def to_formulas(exprs: Sequence[Expr], axes: Sequence[Axis]) -> tuple[list[Formula], tuple[str, ...]]:
    """Formulas for the sides of an equation, all in matrix notation or all in indices.

    Parameters
    ----------
    exprs
        Expressions over some of the labels `axes`. A scalar stands for an array of its value where another side
        has labels.
    axes
        The labels of the equation: rows, then columns.

    Returns
    -------
    formulas
        One for each expression.
    names
        The names of the labels where the formulas are in indices, else nothing.
    """
    labels = tuple(axes)
    for expr in exprs:
        if set(expr.axes) - set(labels):
            raise ValueError(f"the expression has labels {expr.axes}, not only {labels}")
    names = Labels({symbol.name for symbol in symbols_of(*exprs)}, labels)
    matrices = MatrixForm(names)
    scalars = [not expr.axes for expr in exprs]
    try:
        if len(labels) > 2:
            raise NoMatrixForm
        return [
            matrices.formula(expr) if scalar and not all(scalars) else _filled(matrices, expr, *labels)
            for expr, scalar in zip(exprs, scalars, strict=True)
        ], ()
    except NoMatrixForm:
        return [matrices.indices.formula(expr, {}) for expr in exprs], tuple(names.name(label) for label in labels)


def _filled(matrices: MatrixForm, expr: Expr, row: Axis | None = None, column: Axis | None = None) -> Formula:
    """The formula of an expression, repeated along labels that it lacks."""
    formula = matrices.formula(expr, row, column)
    above = [ones(row)] if row and row not in expr.axes else []
    beside = [transpose(ones(column))] if column and column not in expr.axes else []
    if expr.axes and (above or beside):
        return matrix_product(*above, formula, *beside)
    return product([formula, *above, *beside]) if above or beside else formula


def written(formula: Formula, notation: Notation) -> str:
    """A formula in a notation, cut at about `LIMIT` characters with a note."""
    short = shorten(formula, LIMIT)
    text = notation.write(short)
    return text if short is formula else text + notation.note(f"shortened, about {formula.weight} characters in full")
