"""Trees of short texts, and nodes without a place to compare them with."""

from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from bileveldsl.language import ast
from bileveldsl.language.diagnostics import BlvError, Source, Span
from bileveldsl.language.parse import parse
from bileveldsl.language.reader import read

MODELS = sorted((Path(__file__).parent / "models").glob("*.blv"))
HERE = Span(Source("test", ""), 0, 0)


def parsed(source) -> Any:
    return parse(source)


def statements(text):
    return read(Source("test.blv", text), "statements").nodes


def statement(text):
    (node,) = statements(text)
    return node


def expression(text):
    return statement(f"let r = {text}").value


def guard(text):
    return expression(f"sum(x for i in I if {text})").guard


def items(text):
    return read(Source("test.blv", text), "start").nodes


def codes(text):
    with pytest.raises(BlvError) as caught:
        parsed(Source("test.blv", text))
    return [diagnostic.code for diagnostic in caught.value.diagnostics]


def model(level=""):
    return f"upper {{\n  var x\n  minimize x\n}}\nlower {{\n  var y\n  minimize y\n{level}\n}}\n"


def n(value):
    return ast.Number(Fraction(value), span=HERE)


def name(text):
    return ast.Name(text, span=HERE)


def binary(operator, left, right):
    return ast.Binary(operator, left, right, span=HERE)


def negative(operand):
    return ast.Unary("-", operand, span=HERE)


def index(base, *over):
    return ast.Index(base, over, span=HERE)


def generator(domain, *targets):
    return ast.Generator(tuple(map(name, targets)), domain, span=HERE)


x, y, z, i, j = map(name, "xyzij")


def nodes(node):
    """Every node of a tree, the root first."""
    found = [node]
    for field in fields(node):
        value = getattr(node, field.name)
        for child in value if isinstance(value, tuple) else (value,):
            if isinstance(child, ast.Node):
                found += nodes(child)
    return found
