"""Thousands of texts, from the grammar and from mutated models: nothing but a `BlvError` comes of any, and soon.

`benchmarks/fuzz_language.py` does the same with as many as one likes, and shortens what it finds.
"""

import signal
import time

import pytest
from fuzz_cases import case
from fuzz_examine import examine

from bileveldsl.language.diagnostics import BlvError, Source
from bileveldsl.language.parse import parse
from bileveldsl.model import loads

CPU_SECONDS = 5
SEED = 11
LEVELS = "\nupper {{ var x; minimize x + {upper} }}\nlower {{ var y{axes}; minimize {lower} }}\n"


class TimeIsUp(BaseException):
    """No `except Exception` may swallow it."""


@pytest.fixture
def limit():
    """Begin anew to count processor time, of which each text has little."""

    def time_is_up(*_):
        raise TimeIsUp

    before = signal.signal(signal.SIGVTALRM, time_is_up)
    yield lambda: signal.setitimer(signal.ITIMER_VIRTUAL, CPU_SECONDS)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)


@pytest.mark.parametrize(("depth", "first", "count"), [("parse", 0, 1800), ("elaborate", 1800, 250)])
def test_every_text_is_accepted_or_refused_with_words(depth, first, count, limit, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kinds = set()
    for number in range(first, first + count):
        sample = case(SEED, number)
        limit()
        try:
            kinds.add(examine(sample.text, sample.folder, depth).kind)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            pytest.fail(f"case {SEED}:{number}: {type(error).__name__}: {error}\n{sample.text[:2000]}")
    assert kinds == {"accepted", "refused"}
    assert list(tmp_path.iterdir()) == []


def refusal(text, step="program"):
    """The codes of the refusal of a text, which takes little time."""
    begin = time.process_time()
    with pytest.raises(BlvError) as caught:
        parse(Source("model.blv", text)) if step == "parse" else loads(text).program()
    assert time.process_time() - begin < CPU_SECONDS
    assert all(d.message for d in caught.value.diagnostics)
    return {d.code for d in caught.value.diagnostics}


@pytest.mark.parametrize("count", [100, 10_000, 300_000])
@pytest.mark.parametrize(
    ("before", "after"),
    [("(", ")"), ("-", ""), ("exp(", ")"), ("2^", ""), ("", ".T"), ("", "[0]"), ("sum(", " for i in I)"), ("", "^2")],
)
def test_deep_nesting_is_refused(before, after, count):
    assert refusal(LEVELS.format(upper=before * count + "y" + after * count, axes="", lower="y^2"), "parse") == {"E103"}


def test_deep_lists_and_guards_are_refused():
    deep = 5000
    assert refusal(f"param a = {'[' * deep}1{']' * deep}" + LEVELS.format(upper="y", axes="", lower="y^2")) == {"E103"}
    guard = "not " * deep + "i == 1"
    assert refusal(LEVELS.format(upper=f"sum(y for i in 1..2 if {guard})", axes="", lower="y^2")) == {"E103"}


@pytest.mark.parametrize(
    ("piece", "count"), [(" + y", 20_000), (" - y*x", 10_000), (" * y", 2_000), (" @ y", 5_000), (" / 2", 10_000)]
)
def test_a_very_long_line_is_read(piece, count, limit):
    limit()
    text = LEVELS.format(upper="y" + piece * count, axes="", lower="y^2")
    level, _ = parse(Source("model.blv", text)).items
    assert level.statements[-1].expression.span.text.endswith(piece.split()[-1])


def test_a_file_without_end_is_refused():
    assert refusal("#" * 20_000_001, "parse") == {"E103"}


@pytest.mark.parametrize("number", ["10^400", "10^-400", "10^10^10", "2^100000", "(1 + 1e-12)^(10^9)", "0.5^(10^6)"])
def test_powers_beyond_all_numbers_are_not_worked_out(number):
    assert refusal(LEVELS.format(upper=f"{number} * y", axes="", lower="y^2")) == {"E104"}


def test_powers_of_many_digits_are_exact():
    text = "param a = 2^1000 / 2^999\nparam b = (1 + 0.0375)^360 * 1.0375^-359"
    a, b = loads(text + LEVELS.format(upper="a*b*y", axes="", lower="y^2")).program().parameters
    assert (float(a.value), float(b.value)) == (2.0, 1.0375)


@pytest.mark.parametrize(
    ("declarations", "axes", "lower", "code"),
    [
        ("dim n = 10^12", "[n]", "sumsq(y)", "E307"),
        ("dim n = 10^400", "[n]", "sumsq(y)", "E104"),
        ("set T = 1..10^9", "[T]", "sumsq(y)", "E307"),
        ("set T = -10^15..10^15", "[T]", "sumsq(y)", "E307"),
        ("set T = 1..4_000_000", "[T, T]", "sumsq(y)", "E307"),
        ("dim n = 60_000_000\ndim m = 60_000_000\nparam a[n, m] = 1", "", "y^2", "E307"),
        ("", "[9_000_000_000]", "sumsq(y)", "E307"),
        ("", "", "y^2 + sum(y for i in 1..10^9)", "E307"),
        ("set T = 1..4_000_000", "", "y^2 + sum(y for i in T, j in T if i < j)", "E323"),
        ("dim n = 3", "[n]", "sumsq(y) + sum(y[0:10^15])", "E306"),
    ],
)
def test_huge_sizes_are_refused_before_memory_is_taken(declarations, axes, lower, code):
    assert code in refusal(declarations + LEVELS.format(upper="sum(y)", axes=axes, lower=lower))
