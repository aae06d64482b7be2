"""The data of parameters, read from files that need not be trusted, and written back."""

from bileveldsl.language.data.reader import Reader
from bileveldsl.language.data.write import write_npz

__all__ = ["Reader", "write_npz"]
