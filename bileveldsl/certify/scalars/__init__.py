"""Scalar functions of numbered variables: nodes, derivatives, values, enclosures, polynomials."""

from bileveldsl.certify.scalars.derivatives import Matrix, NotDifferentiable, gradient, hessian
from bileveldsl.certify.scalars.node import (
    ONE,
    ZERO,
    Scalar,
    call,
    negated,
    number,
    occurring,
    power,
    product,
    rebuild,
    substitute,
    topological,
    total,
    variable,
)  # fmt: skip
from bileveldsl.certify.scalars.values import balls, enclose, evaluate, exact_value, nearest, polynomials, ring

__all__ = [
    "ONE", "ZERO", "Matrix", "NotDifferentiable", "Scalar", "balls", "call", "enclose", "evaluate", "exact_value",
    "gradient", "hessian", "nearest", "negated", "number", "occurring", "polynomials", "power", "product", "rebuild",
    "ring", "substitute", "topological", "total", "variable",
]  # fmt: skip
