"""Branch and bound over boxes: convexity, its modulus and smoothness of functions of a few variables."""

from bileveldsl.certify.boxes.bend import Bounds, best_bounds, prove_bend

__all__ = ["Bounds", "best_bounds", "prove_bend"]
