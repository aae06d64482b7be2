"""Texts to try the language with: derivations of its grammar, alone and inside a sound model, and mutants of models."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import NamedTuple

from lark import Lark

from bileveldsl.language.outline import KEYWORDS, lexemes

ROOT = Path(__file__).parents[2]


class Case(NamedTuple):
    """A text, and the folder that its data files are relative to."""

    text: str
    folder: Path = ROOT / "tests" / "language" / "models"


def case(seed: int, number: int) -> Case:
    """The case with a number in the series of a seed; no other case has to be made first."""
    random = Random(f"{seed}:{number}")
    match random.randrange(10):
        case 0:
            return Case(derivation(random, "start", random.choice((10, 40, 150))))
        case 1 | 2 | 3:
            return Case(framed(random))
        case _:
            return mutant(random)


# ---- derivations of the grammar ------------------------------------------------------------------

# Declared in the frame below, twice where that makes well-shaped formulas more likely.
NUMBERS = ["x", "x", "y", "y", "k", "k", "z", "n", "pi"]
ARRAYS = ["X", "S", "b", "c", "d", "u", "w", "f", "v", "s"]
INDICES = ["i", "j", "t", "r", "a"]
AXES = ["n", "n", "m", "I", "T", "A"]
FUNCTIONS = ["exp", "log", "sqrt", "abs", "sin", "sigmoid", "softplus", "huber", "min", "max", "sum", "sum", "prod",
             "sumsq", "dot", "norm", "norminf", "logsumexp", "softmax", "entropy", "kl"]  # fmt: skip
NAMES = [*NUMBERS * 4, *ARRAYS, *INDICES, *AXES, "unknown", "exp", "strongly_convex", "dual", "T"]
WHOLE = ["0", "1", "1", "2", "3", "4", "10", "1_000", "4294967296", "99999999999999999999"]
DECIMAL = ["0.5", ".1", "1e-3", "2.5e10", "1e308", "1e309", "1e-400", "0.1"]
TEXTS = ['"a"', '"b"', '"zz"', '""', '"none.npz"', '"a ""quoted"" word"', '"ä\\"']

FRAME = """model frame
dim n = 3, m = 2
set I = ["a", "b", "c"]
set T = 1..4
set A within (I, I) = [("a", "b"), ("b", "c"), ("a", "c")]
param X[n, m] = [[1, 2], [3, 4], [5, 6]]
param S[n, n] = [[2, 1, 0], [1, 3, 1], [0, 1, 4]]
param b[n] = [1, -2, 3]; param c[A] = [1, 2, 3]; param d[m] = 0.5; param k = 2
{top}
upper {{
  var x in [0, 10]
  var u[n], s[T]
  minimize {upper}
  {leader}
}}
lower {{
  var y, w[m], f[A], v[I]
  minimize {lower}
  {follower}
}}
"""

# Rules that a derivation rarely fills with sense: texts that stand in for half of theirs.
PHRASES = {
    "generator": ["i in I", "j in I", "(i, j) in A", "(j, i) in A", "t in T", "t in 2..4", "r in n", "a in A"],
    "guard": ["if i == j", 'if i != "a"', "if (i, j) in A", "if t > 1", "if not i == j and t <= 2", "if r == t - 1"],
    "postfix": ["x", "y", "k", "x", "y", "z", 'v["a"]', "s[2]", "b[-1]", "X[1, 0]", "dot(b, u)", "sumsq(X @ w - b)",
                "sum(c[i, j]*f[i, j] for (i, j) in A if i != j)", "sum(v[i] for i in I)", "max(s[t] - x for t in T)",
                "sum((s[t] - s[t - 1])^2 for t in 2..4)", "v[i]", "c[i, j]", "f[a]", "s[t - 1]", "u[r]", "X[r, :]"],
    "argument": ["X @ w - b", "S @ u", "X.T @ b", "b", "X, m", "X @ d, n", "w", "f", "s", "S * S.T", "x", "y - x"],
    "_statement": ["cap[i in I]: v[i] <= x", "flow[i in I]: sum(f[i, j] for (h, j) in A if h == i) == v[i]",
                   "ramp[t in 2..4]: -1 <= s[t] - s[t - 1] <= 1", "X @ w <= b", "y >= x", "require convex"],
}  # fmt: skip


# The chance of the shortest alternative where all alike would give endless signs, or nothing.
SHORTEST = {"unary": 0.8, "power": 0.7, "start": 0.0, "statements": 0.1, "postfix": 0.5, "term": 0.5, "expr": 0.5}


@cache
def _grammar() -> tuple[dict[str, list[list[str]]], dict[str, str]]:
    """The alternatives of each rule, the shortest first, and the text of each terminal that has but one."""
    text = (files("bileveldsl.grammar") / "blv.lark").read_text(encoding="utf-8")
    lark = Lark(text, parser="lalr", start=["start", "statements", "settings"])
    rules: dict[str, list[list[str]]] = {}
    for rule in lark.rules:
        rules.setdefault(rule.origin.name, []).append([symbol.name for symbol in rule.expansion])
    height: dict[str, int] = {}
    for _ in rules:  # as often as the longest chain of rules may be long
        for name, alternatives in rules.items():
            known = [a for a in alternatives if all(part in height or part not in rules for part in a)]
            if known and name not in height:
                height[name] = 1 + min(max((height.get(part, 0) for part in a), default=0) for a in known)
    for alternatives in rules.values():
        alternatives.sort(key=lambda a: max((height.get(part, 0) for part in a), default=0))
    patterns = {terminal.name: terminal.pattern for terminal in lark.terminals}
    words = {name: pattern.value.removesuffix(r"\b") for name, pattern in patterns.items()}
    return rules, {name: word for name, word in words.items() if word in KEYWORDS or patterns[name].type == "str"}


def derivation(random: Random, start: str, steps: int) -> str:
    """A random text of a rule; after so many steps, the shortest way to its end."""
    rules, words = _grammar()
    written: list[str] = []
    stack = [start]
    while stack:
        name = stack.pop()
        if name in PHRASES and random.random() < 0.5:
            written.append(random.choice(PHRASES[name]))
        elif name in rules:
            steps -= 1
            shortest, *others = rules[name]
            short = not others or steps <= 0 or random.random() < SHORTEST.get(name, 1 / (1 + len(others)))
            stack += reversed(shortest if short else random.choice(others))
        elif name == "NAME":
            following = stack[-1] if stack else ""
            written.append(random.choice({"LPAR": FUNCTIONS, "LSQB": ARRAYS, "IN": INDICES}.get(following, NAMES)))
        else:
            sample = {"INT": WHOLE, "FLOAT": DECIMAL, "STRING": TEXTS, "_NL": ["\n"]}
            written.append(words[name] if name in words else random.choice(sample[name]))
    return re.sub(r" ([.]) |(?<=\w) (?=[(\[])", r"\1", " ".join(written))


def framed(random: Random) -> str:
    """A sound model with parts that come from the grammar."""

    def part(rule: str, chance: float = 0.5) -> str:
        return derivation(random, rule, random.choice((5, 15, 60))) if random.random() < chance else ""

    return FRAME.format(
        top=part("param") + "\n" + part("let", 0.3),
        upper=part("expr") or "x^2",
        leader=part("constraint") + "\n" + part("_statement", 0.2),
        lower=part("expr") or "(y - x)^2",
        follower=part("constraint") + "\n" + part("let", 0.3) + "\n" + part("var", 0.3),
    )


# ---- mutants ---------------------------------------------------------------------------------------

FENCE = re.compile(r"```blv[^\n]*\n(.*?)```", re.DOTALL)


@cache
def corpus() -> tuple[Case, ...]:
    """The sample models, those with one fault, and the models in the documentation and the pages of diagnostics."""
    found = [FRAME.format(top="", upper="x^2", leader="", lower="(y - x)^2", follower="")]
    cases = [Case(text) for text in found]
    for folder in ("examples/*", "tests/language/models", "tests/language/bad"):
        cases += [Case(path.read_text(encoding="utf-8"), path.parent) for path in sorted(ROOT.glob(f"{folder}/*.blv"))]
    for pattern in ("README.md", "docs/*.md", "bileveldsl/language/explain/*.md"):
        for path in sorted(ROOT.glob(pattern)):
            cases += [Case(text) for text in FENCE.findall(path.read_text(encoding="utf-8"))]
    return tuple(cases)


@cache
def vocabulary() -> tuple[str, ...]:
    """Every distinct lexeme of the corpus."""
    return tuple(sorted({lexeme.text for sample in corpus() for lexeme in lexemes(sample.text)}))


def mutant(random: Random) -> Case:
    """A sample with a few changes."""
    sample = random.choice(corpus())
    text = sample.text
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        text = random.choice(MUTATIONS)(random, text)
    return Case(text, sample.folder)


def _pieces(text: str) -> list[str]:
    """The lexemes with what stands between them; joined they are the text."""
    pieces, end = [], 0
    for lexeme in lexemes(text):
        pieces += [text[end : lexeme.start], lexeme.text]
        end = lexeme.end
    return [*pieces, text[end:]]


def _place(random: Random, text: str, words: str = "") -> tuple[list[str], int]:
    """The pieces of a text, and the position of a lexeme among them that matches the pattern, if one does."""
    pieces = _pieces(text)
    fitting = [k for k in range(1, len(pieces), 2) if re.fullmatch(words, pieces[k])] if words else []
    return pieces, random.choice(fitting or list(range(1, len(pieces), 2)) or [0])


def _delete(random: Random, text: str) -> str:
    pieces, at = _place(random, text)
    del pieces[at : at + random.choice((1, 1, 2, 4, 10))]
    return "".join(pieces)


def _duplicate(random: Random, text: str) -> str:
    pieces, at = _place(random, text)
    run = pieces[at : at + random.choice((1, 2, 4, 10))]
    pieces[at:at] = [*run, " "] * random.choice((1, 1, 2, 20))
    return "".join(pieces)


def _swap(random: Random, text: str) -> str:
    pieces, at = _place(random, text)
    _, other = _place(random, text)
    pieces[at], pieces[other] = pieces[other], pieces[at]
    return "".join(pieces)


def _replace(random: Random, text: str) -> str:
    pieces, at = _place(random, text)
    pieces[at] = random.choice(vocabulary())
    return "".join(pieces)


def _exchange(random: Random, text: str) -> str:
    """Another lexeme of the same kind: mostly a sound text, with another meaning or none."""
    pieces, at = _place(random, text)
    kind = _kind(pieces[at])
    pieces[at] = random.choice([pieces[at], *(word for word in (*vocabulary(), *pieces[1::2]) if _kind(word) == kind)])
    return "".join(pieces)


def _kind(word: str) -> str:
    """Words, numbers, and signs that may stand in each other's place are of a kind."""
    if re.fullmatch(r"[^\W\d]\w*", word) and word not in KEYWORDS:
        return "function" if word in FUNCTIONS else "word"
    if re.fullmatch(r"[\d.]+(e-?\d+)?", word):
        return "number"
    return next((signs for signs in ("+ - * / @ ^", "<= >= == != < >") if word in signs.split()), word)


def _insert(random: Random, text: str) -> str:
    pieces, at = _place(random, text)
    pieces.insert(at, f" {random.choice(vocabulary())} ")
    return "".join(pieces)


def _truncate(random: Random, text: str) -> str:
    cut = random.randrange(len(text) + 1)
    return text[:cut] if random.random() < 0.7 else text[cut:]


def _splice(random: Random, text: str) -> str:
    """Statements of two models, or the beginning of one and the end of another."""
    lines, other = text.split("\n"), random.choice(corpus()).text.split("\n")
    at, start = random.randrange(len(lines) + 1), random.randrange(len(other) + 1)
    stop = len(other) if random.random() < 0.3 else min(len(other), start + random.randrange(1, 4))
    return "\n".join(lines[:at] + other[start:stop] + (lines[at:] if stop < len(other) else []))


def _noise(random: Random, text: str) -> str:
    """Bytes that are not what they were, read as UTF-8 or as Latin-1."""
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(random.choice((1, 2, 10, 50))):
        at = random.randrange(len(data) + 1)
        data[at : at + random.randrange(2)] = bytes([random.randrange(256)] * random.randrange(3))
    return data.decode(random.choice(("utf-8", "latin-1")), "replace")


ODD = (
    "²ⁿ１٣ªµſıа\u0430хΑ−–×·≤≥≠∈∞∑√“”‘’«\u00a0\u2003\u200b\u200d\u202e\u2066\ufeff\u0000\u0007\u001b\r\v\f\u0085\u2028"
    "e\u0301𝑥🙂\ud800{};\"'`\\|%#:"
)


def _confusables(random: Random, text: str) -> str:
    for _ in range(random.choice((1, 1, 3))):
        at = random.randrange(len(text) + 1)
        text = text[:at] + random.choice(ODD) + text[at + random.randrange(2) :]
    return text


def _many(random: Random) -> int:
    return random.choice((3, 20, 62, 63, 64, 65, 70, 200, 400, 1_000 if random.random() < 0.9 else 10_000))


def _nest(random: Random, text: str) -> str:
    """An operand inside many brackets, signs, calls, powers or lists."""
    pieces, at = _place(random, text, r"\w+")
    before, after = random.choice(
        [("(", ")"), ("[", "]"), ("-", ""), ("exp(", ")"), ("2^", ""), ("sum(", " for i in I)"), ("", "[0]"),
         ("", ".T"), ("x + (", ")"), ("not ", ""), ("abs(x, ", ")"), ("lower {", "}"), ("", "^2"),
         ("1/(1 + ", ")"), ("{", "")]
    )  # fmt: skip
    times = _many(random)
    pieces[at] = before * times + pieces[at] + after * (times if random.random() < 0.8 else times - 1)
    return "".join(pieces)


def _huge_number(random: Random, text: str) -> str:
    pieces, at = _place(random, text, r"[\d.]+(e-?\d+)?")
    pieces[at] = random.choice(
        ["0", "-1", "1e308", "1.8e308", "1e309", "1e-320", "1e-400", "1e99999", "9" * 400, "9" * 801, "0." + "3" * 700,
         "1000000", "100000000", "2147483648", "4294967297", "9223372036854775807", "9223372036854775808", "1e18",
         "0.1e1", "00012", "1_0", "inf", "-inf", "1/3", "2^200", "10^10^10", "2^-1074"]
    )  # fmt: skip
    return "".join(pieces)


def _long(random: Random, text: str) -> str:
    """A long name, number, string, comment, sum or list, a great many statements, or all in one line."""
    pieces, at = _place(random, text, r"\w+")
    word, times = pieces[at], _many(random)
    pieces[at] = random.choice(
        [word * times, f"{word} #" + "a" * times + "\n", '"' + "a" * times + '"', word + f" + {word}" * times,
         word + f" * {word}" * min(times, 1_000), f"({word}, " + "1, " * times + f"{word})", f"[{'1, ' * times}]",
         word + ";" * times, word + "\n" * times + " ", "\n".join(f"{word}: {word} <= 1" for _ in range(times)),
         f"{word} @ " * min(times, 200) + word]
    )  # fmt: skip
    text = "".join(pieces)
    return text if random.random() < 0.9 else text.replace("\n", " ")


MUTATIONS: Sequence[Callable[[Random, str], str]] = (
    *[_exchange] * 6, _delete, _delete, _duplicate, _swap, _swap, _replace, _replace, _replace, _insert, _insert,
    _truncate, _splice, _splice, _noise, _confusables, _nest, _huge_number, _long,
)  # fmt: skip


# ---- smaller cases -----------------------------------------------------------------------------------


def smaller(text: str, size: int) -> Iterator[str]:
    """The text without one stretch of about so many pieces, for each such stretch, the last first."""
    pieces = text.split("\n") if "\n" in text else _pieces(text)
    glue = "\n" if "\n" in text else ""
    for start in reversed(range(0, len(pieces), size)):
        yield glue.join(pieces[:start] + pieces[start + size :])
