"""Where the functions of a model are defined: conditions for the answer, and mistakes that are certain now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.expr import constant_value, symbols_of
from bileveldsl.language.diagnostics import Span
from bileveldsl.language.elaborate.fixed import unread
from bileveldsl.language.elaborate.tensor import Tensor
from bileveldsl.program import DomainCondition

TESTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "> 0": lambda v: np.asarray(v > 0),
    ">= 0": lambda v: np.asarray(v >= 0),
    "!= 0": lambda v: np.asarray(v != 0),
    "in [-1, 1]": lambda v: np.asarray(abs(v) <= 1),
}


@dataclass
class Domain:
    """Collects what must hold for each operation, before simplification could lose it."""

    report: Callable[..., Any]
    conditions: list[DomainCondition] = field(default_factory=list)

    def require(self, operand: Tensor, relation: str, span: Span) -> None:
        """Note a condition on an operand; one that no variable enters is decided now."""
        symbols = symbols_of(operand.expr)
        if any(s.role == "variable" for s in symbols):
            self.conditions.append(DomainCondition(operand.expr, relation, span))  # type: ignore[arg-type]
        elif not unread(operand.expr):
            value = np.asarray(evaluate(operand.expr, {}, operand.expr.axes))
            failing = ~TESTS[relation](value)
            if failing.any():
                found = f"has the value {float(value[failing].flat[0]):g}"
                self.report("E318", f"undefined: this must be {relation}", span, found)

    def power(self, base: Tensor, exponent: Tensor, span: Span) -> None:
        """The condition on the base of a power."""
        fixed = constant_value(exponent.expr)
        if fixed is not None and fixed.is_integer:
            if fixed < 0:
                self.require(base, "!= 0", span)
        elif fixed is not None and fixed > 0:
            self.require(base, ">= 0", span)
        else:
            self.require(base, "> 0", span)
