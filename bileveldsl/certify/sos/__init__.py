"""Certificates of nonnegativity: exact sums of squares of polynomials."""

from bileveldsl.certify.sos.bend import best_modulus, best_smoothness, prove_bend
from bileveldsl.certify.sos.decomposition import Decomposition, is_sos, largest, written

__all__ = ["Decomposition", "best_modulus", "best_smoothness", "is_sos", "largest", "prove_bend", "written"]
