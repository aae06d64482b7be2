"""What a solver raises for a function that it has no bounds of."""


class Unsupported(Exception):
    """A function of the model is none that the solver knows; the message names it."""
