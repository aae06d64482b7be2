"""The language embedded in Python: objects that build the same tree as the text."""

from bileveldsl.language.embedded import functions
from bileveldsl.language.embedded.families import between, forall, indices, integers
from bileveldsl.language.embedded.functions import *  # noqa: F403

__all__ = ["between", "forall", "indices", "integers", *functions.__all__]
