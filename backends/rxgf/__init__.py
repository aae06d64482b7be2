"""RXGF: relaxed gradient flow for bilevel programs (Sharifi, Abolfazli, Hamedani, Fazlyab 2025)."""

from bileveldsl.backends.rxgf.backend import Rxgf

__all__ = ["Rxgf"]
