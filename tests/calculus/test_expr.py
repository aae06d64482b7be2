"""The normal form of expressions: it keeps their meaning, and equal expressions are the same object."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from random_expressions import GRID, Term, on_grid, random_values, terms


@settings(max_examples=300, deadline=None)
@given(terms(), st.integers(0, 99))
def test_the_normal_form_keeps_the_meaning(term: Term, seed: int) -> None:
    values = random_values(seed)
    np.testing.assert_allclose(on_grid(term.expr, values), term.meaning(values), rtol=1e-9, atol=1e-9)
