"""Exact witnesses against convexity, and upper bounds of moduli, for scalar functions on their regions."""

from bileveldsl.certify.refuting.curvature import lower_smoothness, upper_modulus
from bileveldsl.certify.refuting.kink import kink
from bileveldsl.certify.refuting.midpoint import refute_convex
from bileveldsl.certify.refuting.vanishing import vanishing

__all__ = ["kink", "lower_smoothness", "refute_convex", "upper_modulus", "vanishing"]
