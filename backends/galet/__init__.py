"""GALET: hyper-gradients for followers with the PL inequality (Xiao, Lu, Chen, NeurIPS 2023)."""

from bileveldsl.backends.galet.backend import Galet

__all__ = ["Galet"]
