"""From the abstract syntax tree back to text."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from bileveldsl.language import ast
from bileveldsl.language.diagnostics import BlvError, Diagnostic

# How tightly an expression binds; an operand that binds less tightly than its place asks is put in parentheses.
_SUM, _PRODUCT, _PREFIX, _POWER, _SUFFIXED = range(1, 6)
_BINDING = {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "@": _PRODUCT, "^": _POWER}
_OR, _AND, _TEST = range(1, 4)


def unparse(model: ast.Model) -> str:
    """The canonical text of a model, with as few parentheses as the grammar allows.

    Parsing the text gives an equal tree, and printing that tree gives the same text, for every tree that the grammar
    can express. Python can build numbers that it cannot: a negative one is printed as the prefix `-` and a number, one
    that is no finite decimal as the quotient of two integers. These come back as the operation, of equal value.

    Parameters
    ----------
    model : Model

    Returns
    -------
    str
        One statement on each line, blocks indented by two blanks.

    Raises
    ------
    BlvError
        E116 for a string that cannot be written on one line.

    Examples
    --------
    >>> from bileveldsl.language.diagnostics import Source
    >>> from bileveldsl.language.parse import parse
    >>> text = "upper { var x, z; minimize ((x)) - (z - 1) }; lower { var y; minimize (y-x)^(2) }"
    >>> print(unparse(parse(Source("toy.blv", text))))
    model toy
    <BLANKLINE>
    upper {
      var x
      var z
      minimize x - (z - 1)
    }
    <BLANKLINE>
    lower {
      var y
      minimize (y - x)^2
    }
    <BLANKLINE>
    """
    lines = [*_doc(model), f"model {model.name}"]
    together: type | None = None
    for item in model.items:
        block = isinstance(item, ast.Level | ast.Options)
        if block or type(item) is not together:
            lines.append("")
        together = None if block else type(item)
        lines += _item(item)
    return "\n".join(lines) + "\n"


def unparse_expression(expression: ast.Expression) -> str:
    """The canonical text of one expression, or of the condition of a guard."""
    if isinstance(expression, ast.Compare | ast.Member | ast.Logical):
        return _condition(expression, _OR)
    return _expression(expression)


# ---- declarations and statements -----------------------------------------------------------------


def _doc(node: Any) -> list[str]:
    return [f"#: {line}".rstrip() for line in node.doc.splitlines()]


def _item(item: ast.Item) -> Iterable[str]:
    match item:
        case ast.Level(role, name, statements):
            head = role if role == name else f"lower {name}"
            return [f"{head} {{", *(f"  {line}" for part in statements for line in _statement(part)), "}"]
        case ast.Options(options):
            return ["options {", *(f"  {option.name} = {_setting(option.value)}" for option in options), "}"]
        case ast.Dim(name, size):
            text = f"dim {name}" if size is None else f"dim {name} = {_expression(size)}"
        case ast.Set(name, within, value, source):
            names = ", ".join(container.name for container in within)
            inside = f" within ({names})" if len(within) > 1 else f" within {names}" if within else ""
            text = f"set {name}{inside}{_content(value, source)}"
        case ast.Param(name, axes, value, source):
            text = f"param {name}{_axes(axes)}{_content(value, source)}"
        case ast.Let():
            text = _let(item)
    return [*_doc(item), text]


def _statement(statement: ast.Statement) -> list[str]:
    match statement:
        case ast.Var():
            return [*_doc(statement), _var(statement)]
        case ast.Let():
            return [*_doc(statement), _let(statement)]
        case ast.Constraint():
            return [*_doc(statement), _constraint(statement)]
        case ast.Objective(sense, expression):
            return [f"{sense} {_expression(expression)}"]
        case ast.Ties(rule):
            return [f"ties {rule}"]
        case ast.Claim(mode, fact, constant):
            return [f"{mode} {fact}" if constant is None else f"{mode} {fact}({_expression(constant)})"]
        case ast.Minibatch(axis):
            return [f"minibatch {axis.name}"]


def _var(var: ast.Var) -> str:
    text = f"var {var.name}{_axes(var.axes)}"
    if var.kind != "continuous":
        text += f" : {var.kind}"
    if var.lower is not None and var.upper is not None:
        text += f" in [{_expression(var.lower)}, {_expression(var.upper)}]"
    elif var.lower is not None:
        text += f" >= {_expression(var.lower)}"
    elif var.upper is not None:
        text += f" <= {_expression(var.upper)}"
    return text if var.start is None else f"{text} start {_expression(var.start)}"


def _let(let: ast.Let) -> str:
    return f"let {let.name}{_axes(let.axes)} = {_expression(let.value)}"


def _constraint(constraint: ast.Constraint) -> str:
    text = _expression(constraint.operands[0])
    for relation, operand in zip(constraint.relations, constraint.operands[1:], strict=True):
        text += f" {relation} {_expression(operand)}"
    if constraint.label is None:
        return text
    over = _generators(constraint.generators, constraint.guard)
    return f"{constraint.label}[{over}]: {text}" if over else f"{constraint.label}: {text}"


def _axes(axes: tuple[ast.Axis, ...]) -> str:
    written = (axis.name if isinstance(axis, ast.Name) else str(axis.value) for axis in axes)
    return f"[{', '.join(written)}]" if axes else ""


def _content(value: ast.Expression | None, source: ast.DataSource | None) -> str:
    if source is not None:
        return f" from {_quoted(source.path)}" + "".join(f"[{_quoted(key)}]" for key in source.keys)
    return "" if value is None else f" = {_expression(value)}"


def _setting(value: str | Fraction | bool | float) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _quoted(value)
        case Fraction():
            decimal = _decimal(abs(value)) or repr(float(abs(value)))
            return f"-{decimal}" if value < 0 else decimal
    return "inf" if value > 0 else "-inf"


def _quoted(text: str) -> str:
    if "\n" in text or "\r" in text:
        message = f"the string {text[:40]!r} does not fit on one line"
        raise BlvError([Diagnostic("E116", message, help="use names of members and files without line ends")])
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


# ---- expressions -----------------------------------------------------------------------------------


def _expression(expression: ast.Expression, binding: int = _SUM) -> str:
    """The text of an expression that stands where it must bind at least as tightly as `binding`."""
    text, own = _written(expression)
    return f"({text})" if own < binding else text


def _written(expression: ast.Expression) -> tuple[str, int]:
    """The text of an expression without parentheses around it, and how tightly it binds."""
    match expression:
        case ast.Number(value):
            return _number(value)
        case ast.Unary(operator, operand):
            return f"{operator}{_expression(operand, _PREFIX)}", _PREFIX
        case ast.Binary("^", left, right):
            return f"{_expression(left, _SUFFIXED)}^{_expression(right, _PREFIX)}", _POWER
        case ast.Binary():
            return _chain(expression)
        case ast.Infinity():
            text = "inf"
        case ast.Text(string):
            text = _quoted(string)
        case ast.Name(name):
            text = name
        case ast.Call():
            text = _call(expression)
        case ast.Index(base, items):
            text = f"{_expression(base, _SUFFIXED)}[{_commas(items)}]"
        case ast.Slice(start, stop):
            text = f"{_expression(start) if start else ''}:{_expression(stop) if stop else ''}"
        case ast.Attribute(ast.Number() as base, name):  # `3.T` would be no number
            text = f"({_expression(base)}).{name}"
        case ast.Attribute(base, name):
            text = f"{_expression(base, _SUFFIXED)}.{name}"
        case ast.Tuple(items):
            text = f"({_commas(items)})"
        case ast.List(items):
            text = f"[{_commas(items)}]"
        case ast.Range(first, last):
            text = f"{_expression(first)}..{_expression(last)}"
        case _:
            raise TypeError(f"{type(expression).__name__} stands only in a guard")
    return text, _SUFFIXED


def _commas(items: Iterable[ast.Expression]) -> str:
    return ", ".join(_expression(item) for item in items)


def _chain(binary: ast.Binary) -> tuple[str, int]:
    """A sum or product, written from its first term: of thousands of terms the tree leans to the left."""
    binding = _BINDING[binary.operator]
    links: list[ast.Binary] = []
    left: ast.Expression = binary
    while isinstance(left, ast.Binary) and _BINDING[left.operator] == binding:
        links.append(left)
        left = left.left
    pieces = [_expression(left, binding)]
    for link in reversed(links):
        pieces += [link.operator, _expression(link.right, binding + 1)]
    return " ".join(pieces), binding


def _call(call: ast.Call) -> str:
    arguments = [_expression(argument) for argument in call.arguments]
    arguments += [f"{keyword.name}={_expression(keyword.value)}" for keyword in call.keywords]
    over = _generators(call.generators, call.guard)
    return f"{call.function}({', '.join(arguments)}{' for ' if over else ''}{over})"


# ---- conditions ------------------------------------------------------------------------------------


def _generators(generators: tuple[ast.Generator, ...], guard: ast.Expression | None) -> str:
    text = ", ".join(f"{_targets(generator.targets)} in {_expression(generator.domain)}" for generator in generators)
    return text if guard is None else f"{text} if {_condition(guard, _OR)}"


def _targets(targets: tuple[ast.Name, ...]) -> str:
    names = ", ".join(target.name for target in targets)
    return names if len(targets) == 1 else f"({names})"


def _condition(condition: ast.Expression, binding: int) -> str:
    match condition:
        case ast.Compare(operator, left, right):
            return f"{_expression(left)} {operator} {_expression(right)}"
        case ast.Member(item, container):
            return f"{_expression(item)} in {container.name}"
        case ast.Logical("not", (operand,)):
            return f"not {_condition(operand, _TEST)}"
        case ast.Logical(operator, operands):
            own = _OR if operator == "or" else _AND
            text = f" {operator} ".join(_condition(operand, own + 1) for operand in operands)
            return f"({text})" if own < binding else text
    raise TypeError(f"{type(condition).__name__} is not a condition")


# ---- numbers ---------------------------------------------------------------------------------------


def _number(value: Fraction) -> tuple[str, int]:
    if value < 0:
        text, binding = _number(-value)
        return f"-{text}" if binding >= _PREFIX else f"-({text})", _PREFIX
    decimal = _decimal(value)
    if decimal is None:
        return f"{value.numerator} / {value.denominator}", _PRODUCT
    return decimal, _SUFFIXED


def _decimal(value: Fraction) -> str | None:
    """The shortest exact decimal of a number that is not negative; None when there is none."""
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return None
    places = max(twos, fives)
    digits = str(value.numerator * 10**places // value.denominator)
    stripped = digits.rstrip("0") or "0"
    exponent = len(digits) - len(stripped) - places if value else 0
    plain = _plain(stripped, exponent)
    fraction = f".{stripped[1:]}" if len(stripped) > 1 else ""
    scientific = f"{stripped[0]}{fraction}e{exponent + len(stripped) - 1}"
    return plain if len(plain) <= max(len(scientific), 6) else scientific


def _plain(digits: str, exponent: int) -> str:
    if exponent >= 0:
        return digits + "0" * exponent
    padded = digits.rjust(1 - exponent, "0")
    return f"{padded[:exponent]}.{padded[exponent:]}"
