"""What is printed means what the expression means, and reads as people write it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from random_expressions import GRID, SHAPE, A, Term, random_values, terms
from reading import read

from bileveldsl.calculus.expr import Axis, Expr, Symbol
from bileveldsl.calculus.printing import to_formulas, to_text

SIZES = {"I": 2, "J": 3}


def value_as_read(
    expr: Expr, axes: Sequence[Axis], values: Mapping[Symbol, np.ndarray], sizes: Mapping[str, int]
) -> np.ndarray:
    """The value of an expression over `axes`, from its text alone."""
    text = to_text(expr, axes)
    shape = tuple(axis.size for axis in axes)
    _, names = to_formulas([expr], axes)
    if not names:
        return read(text, values, sizes, {}).reshape(shape)
    result = np.empty(shape)
    for cell in itertools.product(*map(range, shape)):
        result[cell] = read(text, values, sizes, dict(zip(names, cell, strict=True)))[0, 0]
    return result


@settings(max_examples=300, deadline=None)
@given(terms(), st.integers(0, 99))
def test_the_text_means_what_the_expression_means(term: Term, seed: int) -> None:
    values = random_values(seed)
    axes = term.expr.axes
    read_back = value_as_read(term.expr, axes, {**values, A: np.asarray(A.value)}, SIZES)
    order = tuple(sorted(range(len(axes)), key=lambda k: GRID.index(axes[k])))
    on_grid = read_back.transpose(order).reshape([axis.size if axis in axes else 1 for axis in GRID])
    np.testing.assert_allclose(np.broadcast_to(on_grid, SHAPE), term.meaning(values), rtol=1e-9, atol=1e-9)
