"""Scalar functions (sympy) over formulas for their arguments."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import sympy

from bileveldsl.calculus import functions
from bileveldsl.calculus.notation.compose import call, is_negative, negative, power, product, union
from bileveldsl.calculus.notation.formula import Cut, Formula, Name, Number, Product, Relation, Sum, shorten
from bileveldsl.calculus.notation.text import Text, decimal

MAX_TERMS = 1000
MAX_DEPTH = 40
ORDERED_TERMS = 300  # sympy's ordering of more would take seconds

NAMES = {sympy.Abs: "abs", functions.maximum: "max", functions.minimum: "min"}


def write(fn: sympy.Expr, formulas: Mapping[sympy.Symbol, Formula]) -> Formula:
    """The formula of a scalar function applied elementwise to formulas."""
    if len(fn.args) > ORDERED_TERMS:
        return _Writer(formulas).formula(fn)
    # Symbols with readable names, so that sympy orders terms and factors as it would print them.
    named: dict[sympy.Symbol, Formula] = {}
    renaming = {}
    for symbol, formula in formulas.items():
        text = Text().write(shorten(formula, 60))
        readable = sympy.Symbol(text, real=True)
        if readable in named:
            readable = sympy.Symbol(f"{text} {symbol.name}", real=True)
        named[readable] = formula
        renaming[symbol] = readable
    return _Writer(named).formula(fn.xreplace(renaming))


@lru_cache(maxsize=2048)
def simplest(fn: sympy.Expr, scalar: bool) -> sympy.Expr:
    """The shortest of a few ways to write a function, the given one if it is.

    Terms of arrays stay apart unless taking out common factors saves a quarter: 2 X'r + 2 w reads better than
    2 (X'r + w).
    """
    if len(fn.args) > 100:
        return fn
    size = sympy.count_ops(fn)
    candidates = [fn]
    if size <= 300:
        factored = sympy.factor_terms(fn)
        if scalar or sympy.count_ops(factored) <= 0.75 * size:
            candidates.append(factored)
    symbols = [part for part in sympy.preorder_traversal(fn) if part.is_Symbol]
    if scalar and size <= 6 and len(set(symbols)) < len(symbols):  # simplify may take very long on more
        candidates.append(sympy.simplify(fn))
    return min(candidates, key=sympy.count_ops)


class _Writer:
    def __init__(self, formulas: Mapping[sympy.Symbol, Formula]) -> None:
        self.formulas = formulas
        self.age = {symbol: k for k, symbol in enumerate(formulas)}
        self.depth = 0

    def formula(self, expr: sympy.Expr) -> Formula:
        if self.depth >= MAX_DEPTH:
            return Cut((), union([self.formulas[s] for s in expr.free_symbols]))
        self.depth += 1
        try:
            return self._formula(expr)
        finally:
            self.depth -= 1

    def _formula(self, expr: sympy.Expr) -> Formula:
        if expr.is_Symbol:
            return self.formulas[expr]
        if expr.is_Number:
            return number(expr)
        if expr.is_Add:
            return self._sum(expr)
        if expr.is_Mul:
            return self._product(expr)
        if expr.is_Pow:
            base, exponent = expr.as_base_exp()
            return self._product(expr) if _divides(exponent) else self._power(base, exponent)
        if expr.is_Function:
            return self._function(expr)
        if expr is sympy.E:
            return call("exp", number(sympy.Integer(1)))
        return Name(text=str(expr))  # pi and its like

    def _sum(self, expr: sympy.Expr) -> Formula:
        ordered = expr.as_ordered_terms() if len(expr.args) <= ORDERED_TERMS else list(expr.args)
        terms = [(*self._signed(term), term) for term in ordered[:MAX_TERMS]]
        shape = union([formula for _, formula, _ in terms])
        if any(formula.reduces for _, formula, _ in terms):
            terms.sort(key=lambda term: (term[0] < 0, not term[1].reduces, self._age(term[2])))
        elif terms[0][0] < 0:  # a sum starts with a term that is added, if there is one
            first = next((k for k, term in enumerate(terms) if term[0] > 0), 0)
            terms.insert(0, terms.pop(first))
        parts = [formula for _, formula, _ in terms]
        signs = [sign for sign, _, _ in terms]
        if len(ordered) > MAX_TERMS:
            parts, signs = [*parts, Cut((), shape)], [*signs, 1]
        return Sum(tuple(parts), shape, signs=tuple(signs))

    def _age(self, term: sympy.Expr) -> int:
        """When the youngest sum or reduction in a term was built: the order in which the model states them."""
        return max((self.age[s] for s in term.free_symbols if self.formulas[s].reduces), default=0)

    def _signed(self, term: sympy.Expr) -> tuple[int, Formula]:
        formula = self.formula(term)
        return (-1, formula.parts[0]) if is_negative(formula) else (1, formula)

    def _product(self, expr: sympy.Expr) -> Formula:
        coefficient, rest = expr.as_coeff_Mul()
        if coefficient < 0:
            return negative(self.formula(-expr))
        above, below = [number(coefficient)], []
        for factor in rest.as_ordered_factors():
            base, exponent = factor.as_base_exp()
            if factor.is_Pow and _divides(exponent):
                below.append(self._power(base, -exponent))
            else:
                above.append(self.formula(factor))
        return product(above, below)

    def _power(self, base: sympy.Expr, exponent: sympy.Expr) -> Formula:
        if exponent == 1:
            return self.formula(base)
        if exponent == functions.HALF:
            return call("sqrt", self.formula(base))
        return power(self.formula(base), self.formula(exponent))

    def _function(self, expr: sympy.Function) -> Formula:
        x, *rest = (self.formula(argument) for argument in expr.args)
        kind = expr.func
        if kind is functions.xlogx:
            return product([x, call("log", x)])
        if kind is functions.relative_entropy:
            return product([x, call("log", product([x], rest))])
        if kind is functions.divide0:  # the value at 0/0 goes without saying
            return product([x], rest)
        if kind is functions.equal:
            return _indicator(x, "==", rest[0])
        if kind is functions.inside:
            return _indicator(call("abs", x), "<=", rest[0])
        if kind is functions.exceed:
            beyond = Sum((call("abs", x), rest[0]), union([x, *rest]), signs=(1, -1))
            return call("max", beyond, number(sympy.Integer(0)))
        return call(NAMES.get(kind, kind.__name__), x, *rest)


def _divides(exponent: sympy.Expr) -> bool:
    return bool(exponent.is_Rational and exponent < 0)


def _indicator(left: Formula, sign: str, right: Formula) -> Formula:
    return Relation((left, right), union([left, right]), sign=sign)


def number(value: sympy.Expr) -> Formula:
    """A number: a short decimal where it is one, else a fraction."""
    if value.is_extended_negative:
        return negative(number(-value))
    if not value.is_Rational:
        return Number(value=value) if value == sympy.oo or value.is_Float else Name(text=str(value))
    if value.q == 1 or (decimal(value) and not (value.p == 1 and value.q in (2, 4))):
        return Number(value=value)
    return Product((Number(value=sympy.Integer(value.p)), Number(value=sympy.Integer(value.q))), count=1)
