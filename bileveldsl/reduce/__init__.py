"""Rewrites of programs into equivalent ones that backends accept, and the way of answers back."""

from bileveldsl.reduce.base import Point, Reduction, reduce_program
from bileveldsl.reduce.maximization import MaximizationToMinimization

REDUCTIONS: tuple[Reduction, ...] = (MaximizationToMinimization(),)

__all__ = ["REDUCTIONS", "MaximizationToMinimization", "Point", "Reduction", "reduce_program"]
