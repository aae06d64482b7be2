"""The functions of the language, from one table."""

from __future__ import annotations

import inspect
from typing import Any, Protocol

from bileveldsl.language import ast
from bileveldsl.language.embedded.errors import fail, kind_of
from bileveldsl.language.embedded.expressions import Dimension, Expression, Formula, IndexSet
from bileveldsl.language.embedded.families import generators, guard
from bileveldsl.language.embedded.operands import Operands
from bileveldsl.language.embedded.spans import here


class Function(Protocol):
    """A function of the language: of expressions and numbers, sometimes of an axis."""

    __name__: str

    def __call__(self, *arguments: Any, **keywords: Any) -> Expression: ...


_NOTES = {
    "axis": "axis : dim or set, optional\n    Reduce this axis alone; all of them by default.",
    "over": "over : dict, optional\n    Indices, or tuples of them, to the sets they run over.",
    "where": "where : Condition, optional\n    Leaves out members for which it does not hold.",
}
__all__: list[str] = []


def _function(name: str, arguments: str, summary: str) -> Function:
    """A function that builds a call; `axis?` may be left out, `*e` is any number, `over` comes by keyword."""
    words = arguments.split()
    kinds = inspect.Parameter
    signature = inspect.Signature([
        kinds(word.strip("?*"),
              kinds.VAR_POSITIONAL if word.startswith("*")
              else kinds.KEYWORD_ONLY if word in ("over?", "where?")
              else kinds.POSITIONAL_OR_KEYWORD,
              default=None if word.endswith("?") else kinds.empty)
        for word in words
    ])  # fmt: skip

    def function(*positional: Any, **keywords: Any) -> Expression:
        place = here()
        try:
            bound = signature.bind(*positional, **keywords).arguments
        except TypeError as error:
            fail("E261", f"{name}: {error}", place.span, help=f"write blv.{name}{_call(words)}")
        operands = Operands()
        nodes: list[ast.Expression] = []
        made: tuple[ast.Generator, ...] = ()
        condition = None
        for position, (parameter, value) in enumerate(bound.items()):
            span = place.argument(parameter if parameter in keywords else position)
            if value is None and parameter in _NOTES:
                continue
            if parameter == "over":
                made = generators(operands, value, place, "over")
            elif parameter == "where":
                condition = guard(operands, value, span)
            elif parameter == "axis" and not isinstance(value, (Dimension, IndexSet)):
                fail("E260", f"an axis is a dim or a set, not {kind_of(value)}", span, shown=value,
                     help=f"name the axis: n = m.dim('n'), then blv.{name}(e, n)")  # fmt: skip
            elif isinstance(value, tuple) and signature.parameters[parameter].kind is kinds.VAR_POSITIONAL:
                nodes += (operands.node(part, place.argument(position + k)) for k, part in enumerate(value))
            else:
                nodes.append(operands.node(value, span))
        if condition is not None and not made:
            fail("E266", "`where` leaves out members of `over`, which is missing", place.argument("where"),
                 help="over={i: I}, where=...")  # fmt: skip
        if made and len(nodes) != 1:
            fail("E261", f"{name} over indices takes one expression", place.span, help=f"write blv.{name}(e, over=...)")
        node = ast.Call(name, tuple(nodes), (), made, condition, function_span=place.function, span=place.span)
        return Formula(node, operands)

    notes = [_NOTES.get(word.strip("?*"), f"{word.strip('?*')} : Expression or number") for word in words]
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{summary}\n\nParameters\n----------\n" + "\n".join(notes) + "\n"
    function.__signature__ = signature  # type: ignore[attr-defined]
    __all__.append(name)
    return function


def _call(words: list[str]) -> str:
    return "(" + ", ".join(word.strip("?") for word in words if word not in ("over?", "where?")) + ")"


exp = _function("exp", "e", "The exponential of every element.")
log = _function("log", "e", "The natural logarithm of every element.")
sqrt = _function("sqrt", "e", "The square root of every element.")
abs = _function("abs", "e", "The absolute value of every element; not smooth at 0.")
sin = _function("sin", "e", "The sine of every element.")
cos = _function("cos", "e", "The cosine of every element.")
tan = _function("tan", "e", "The tangent of every element.")
asin = _function("asin", "e", "The inverse sine of every element, on [-1, 1].")
acos = _function("acos", "e", "The inverse cosine of every element, on [-1, 1].")
atan = _function("atan", "e", "The inverse tangent of every element.")
sinh = _function("sinh", "e", "The hyperbolic sine of every element.")
cosh = _function("cosh", "e", "The hyperbolic cosine of every element.")
tanh = _function("tanh", "e", "The hyperbolic tangent of every element.")
sigmoid = _function("sigmoid", "e", "The logistic function 1 / (1 + exp(-e)) of every element.")
softplus = _function("softplus", "e", "log(1 + exp(e)) of every element.")
huber = _function("huber", "e threshold?", "The Huber loss of every element: quadratic near 0, linear beyond.")
sum = _function("sum", "e axis? over? where?", "The sum of all elements, along one axis, or over indices.")
prod = _function("prod", "e axis? over? where?", "The product of all elements, along one axis, or over indices.")
min = _function("min", "*e over? where?", "The least of some expressions, or over indices; not smooth.")
max = _function("max", "*e over? where?", "The greatest of some expressions, or over indices; not smooth.")
sumsq = _function("sumsq", "e axis?", "The sum of squares.")
dot = _function("dot", "a b axis?", "The sum of the products of equal elements.")
norm = _function("norm", "e axis?", "The Euclidean norm.")
norm1 = _function("norm1", "e axis?", "The sum of absolute values.")
norminf = _function("norminf", "e axis?", "The greatest absolute value.")
logsumexp = _function("logsumexp", "e axis?", "log(sum(exp(e))), computed without overflow.")
softmax = _function("softmax", "e axis?", "exp(e) / sum(exp(e)), computed without overflow.")
entropy = _function("entropy", "e axis?", "The sum of -e log(e), with 0 log(0) = 0.")
kl = _function("kl", "p q axis?", "The Kullback-Leibler divergence of two distributions.")
