"""Functions with known verdicts: a follower's objective in y, for every x of its box.

A verdict is "yes", "no", or nothing where it is open; strong convexity may hold for each x without a common modulus.
"""

from __future__ import annotations

from typing import NamedTuple


class Case(NamedTuple):
    """A follower's objective and what is known of it: "yes", "no", or nothing where it is open."""

    objective: str
    own: tuple[str, ...] = ("y",)
    other: tuple[str, ...] = ()
    convex: str = ""
    strong: str = ""
    pl: str = ""

    def model(self) -> str:
        """The case as the text of a model."""
        other = "\n".join(f"  var {name}" for name in self.other) or "  var unused in [0, 1]"
        own = "\n".join(f"  var {name}" for name in self.own)
        return f"model case\nupper {{\n{other}\n  minimize 0\n}}\nlower {{\n{own}\n  minimize {self.objective}\n}}\n"


FREE2, FREE3 = ("y1", "y2"), ("y1", "y2", "y3")
CASES: dict[str, Case] = {
    "least squares": Case("(y1 - 1)^2 + (y1 + 2*y2 - 3)^2", FREE2, (), "yes", "yes", "yes"),
    "logistic with weight exp(x)": Case(
        "softplus(y1 - 2*y2) + softplus(-y1 + y2) + exp(x)/2*(y1^2 + y2^2)",
        FREE2, ("x in [-3, 3]",), "yes", "yes", "yes",
    ),
    "y^2 + 3 sin(y)^2": Case("y^2 + 3*sin(y)^2", convex="no", strong="no", pl="yes"),
    "shifted y^2 + 3 sin(y)^2": Case(
        "(y - x^2)^2 + 3*sin(y - x^2)^2", other=("x",), convex="no", strong="no", pl="yes"
    ),
    "(2 + sin x)(y^2 + 3 sin(y)^2)": Case(
        "(2 + sin(x))*(y^2 + 3*sin(y)^2)", other=("x in [-3, 3]",), convex="no", strong="no", pl="yes"
    ),
    "y^2 + x sin(y)^2": Case("y^2 + x*sin(y)^2", other=("x in [0, 3]",), convex="no", strong="no", pl="yes"),
    "y^2 + 5 sin(y)^2": Case("y^2 + 5*sin(y)^2", convex="no", strong="no", pl="no"),
    "Motzkin": Case("y1^4*y2^2 + y1^2*y2^4 - 3*y1^2*y2^2 + 1", FREE2, (), "no", "no", "no"),
    "(y1 - x)^2 + (y2 - x^2)^4": Case("(y1 - x)^2 + (y2 - x^2)^4", FREE2, ("x",), "yes", "no", "no"),
    "y1^4 + y2^4 - 4 y1 y2": Case("y1^4 + y2^4 - 4*y1*y2", FREE2, (), "no", "no", "no"),
    "x y on a box": Case("x*y", ("y in [0, 1]",), ("x in [-1, 1]",), "yes", "no", "no"),
    "x y on a box, x >= 1": Case("x*y", ("y in [0, 1]",), ("x in [1, 3]",), "yes", "no", "yes"),
    "x y^2 on a box": Case("x*y^2", ("y in [-1, 1]",), ("x in [0, 1]",), "yes", "no", "no"),
    "ridge on a box": Case(
        "(y1 - y2)^2 + (y3 - x)^2", ("y1 in [-5, 10]", "y2 in [-5, 10]", "y3 in [0, 2]"), ("x in [0, 1]",),
        "yes", "no", "yes",
    ),
    "y^2 + 3 sin(y)^2 on [-3, 2]": Case("y^2 + 3*sin(y)^2", ("y in [-3, 2]",), (), "no", "no", "yes"),
    "y^2 + 5 sin(y)^2 on [-3, 3]": Case("y^2 + 5*sin(y)^2", ("y in [-3, 3]",), (), "no", "no", "no"),
    "cos(y) on [1, 5]": Case("cos(y)", ("y in [1, 5]",), (), "no", "no", "yes"),
    "cos(y) on [-1, 5]": Case("cos(y)", ("y in [-1, 5]",), (), "no", "no", "no"),
    "(x - tan(y))^2 on a box": Case("(x - tan(y))^2", ("y in [-1.4, 1.4]",), ("x in [-5, 1]",), "no", "no", "yes"),
    "two cosines on a box": Case(
        "cos(y1) + cos(y2) + x*y1", ("y1 in [1, 5]", "y2 in [1, 5]"), ("x in [0, 0.5]",), "no", "no", "yes"
    ),
    "y1^2 - y2^2 on a box": Case("y1^2 - y2^2", ("y1 in [-1, 1]", "y2 in [-1, 2]"), (), "no", "no", "no"),
    "y^3 on [0, 1]": Case("y^3", ("y in [0, 1]",), (), "yes", "no", "no"),
    "y^3 on [1, 2]": Case("y^3", ("y in [1, 2]",), (), "yes", "yes", "yes"),
    "exp(-y) on y >= 0": Case("exp(-y)", ("y >= 0",), (), "yes", "no", "no"),
    "max and abs": Case("max(abs(y - 1), 2*y)", convex="yes", strong="no"),
    "|y| - |y - 1|": Case("abs(y) - abs(y - 1)", convex="no", strong="no"),
    "log-sum-exp": Case("log(exp(y1) + exp(y2))", FREE2, (), "yes", "no", "no"),
    "y1^2/y2": Case("y1^2/y2", ("y1", "y2 in [1, 4]"), (), "yes", "no"),
    "sin(x) y^2 + y^4 on [-3, 3]": Case("sin(x)*y^2 + y^4", other=("x in [-3, 3]",), convex="no", strong="no", pl="no"),
    "sin(x) y^2 + y^4 on [0, 3]": Case("sin(x)*y^2 + y^4", other=("x in [0, 3]",), convex="yes", strong="no", pl="no"),
    "GALET": Case("(x + y1 - sin(y2))^2/2", FREE2, ("x",), "no", "no", "yes"),
    "GALET doubled": Case("(x + y1 - sin(y2))^2", FREE2, ("x",), "no", "no", "yes"),
    "sin(x + y1 - y2)^2": Case("sin(x + y1 - y2)^2", FREE2, ("x",), "no", "no", "no"),
    "(y1 - y2 - x)^2": Case("(y1 - y2 - x)^2", FREE2, ("x",), "yes", "no", "yes"),
    "two squares": Case("(x + y1 - sin(y2))^2 + (y3 - sin(y1))^2", FREE3, ("x",), "no", "no", "yes"),
    "y1^2 + y2^2 + y1^4 y2^2": Case("y1^2 + y2^2 + y1^4*y2^2", FREE2, (), "no", "no", "yes"),
    "(y1 y2 - x)^2 + 2|y|^2": Case("(y1*y2 - x)^2 + 2*(y1^2 + y2^2)", FREE2, ("x in [-1, 1]",), "", "", "yes"),
    "(x y1 + y2 - 1)^2": Case("(x*y1 + y2 - 1)^2", FREE2, ("x in [1, 2]",), "yes", "no", "yes"),
    "(1 + x^2) y1^2 + x y1 y2 + y2^2": Case("(1 + x^2)*y1^2 + x*y1*y2 + y2^2", FREE2, ("x",), "yes", "yes", "yes"),
    "softplus": Case("softplus(y)", convex="yes", strong="no", pl="no"),
    "exp(y1) + y2^2": Case("exp(y1) + y2^2", FREE2, (), "yes", "no", "no"),
    "Himmelblau": Case("(y1^2 + y2 - 11)^2 + (y1 + y2^2 - 7)^2", FREE2, (), "no", "no", "no"),
    "(y1 y2 - 1)^2": Case("(y1*y2 - 1)^2", FREE2, (), "no", "no", "no"),
    "(y^2 - 1)^2": Case("(y^2 - 1)^2", convex="no", strong="no", pl="no"),
    "y^4": Case("y^4", convex="yes", strong="no", pl="no"),
    "Rosenbrock": Case("100*(y2 - y1^2)^2 + (1 - y1)^2", FREE2, (), "no", "no", "no"),
    "log(1 + y^2)": Case("log(1 + y^2)", convex="no", strong="no", pl="no"),
    "(tanh(y) - x)^2/2": Case("(tanh(y) - x)^2/2", other=("x in [-1, 1]",), convex="no", strong="no", pl="no"),
    "sqrt(1 + y^2)": Case("sqrt(1 + y^2)", convex="yes", strong="no", pl="no"),
    "exp(x) y^2 + x y": Case("exp(x)*y^2 + x*y", other=("x",), convex="yes", strong="yes", pl="no"),
    "-1e-11 of an eigenvalue": Case("y1^2 - 1e-11*y2^2", FREE2, (), "no", "no", "no"),
    "1e-11 cos(y)": Case("1e-11*cos(y)", convex="no", strong="no", pl="no"),
    "y^3 on y >= 0": Case("y^3", ("y >= 0",), (), "yes", "no", "no"),
    "y^3": Case("y^3", convex="no", strong="no", pl="no"),
    "sqrt(y)^2": Case("sqrt(y)^2", ("y",), (), "yes", "no"),
    "x y^2 with x of both signs": Case("x*y^2", other=("x in [-1e-9, 1]",), convex="no", strong="no", pl="no"),
    "far saddle": Case("y^2/2 + 20*exp(-(y - 9)^2)", convex="no", strong="no", pl="no"),
    "nearly flat": Case("1e-9*y^2 + y^4", convex="yes", strong="yes", pl="yes"),
    "eigenvalues of opposite signs": Case("y1*y2", FREE2, (), "no", "no", "no"),
    "huber + ridge": Case("huber(y - 1) + 1e-3*y^2", convex="yes", strong="yes", pl="yes"),
}
