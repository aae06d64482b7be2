"""Rewrites of programs into equivalent ones that backends accept, and the way of answers back."""

from bileveldsl.reduce.base import Point, Reduced, Reduction, reduce_program
from bileveldsl.reduce.followers import FollowersToOne
from bileveldsl.reduce.maximization import MaximizationToMinimization
from bileveldsl.reduce.pessimism import PessimisticToOptimistic

REDUCTIONS: tuple[Reduction, ...] = (MaximizationToMinimization(), FollowersToOne(), PessimisticToOptimistic())

__all__ = [
    "REDUCTIONS", "FollowersToOne", "MaximizationToMinimization", "PessimisticToOptimistic", "Point", "Reduced",
    "Reduction", "reduce_program",
]  # fmt: skip
