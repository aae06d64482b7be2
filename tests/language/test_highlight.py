"""Editors colour a model as the language reads it, and every keyword of the grammar has its colour."""

import json
import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from bileveldsl.grammar.highlight import SCOPES, TEXTMATE, keywords, rules, textmate
from hypothesis import given, settings
from hypothesis import strategies as st
from pygments.token import Comment, Error, Keyword, Name, Number, Operator, Punctuation, String, Whitespace

from bileveldsl.language import function_names, outline, reader
from bileveldsl.language.diagnostics import Source
from bileveldsl.language.layout import pieces
from bileveldsl.language.pygments_lexer import TOKENS, BlvLexer

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "tests/language/models").glob("*.blv"), *(ROOT / "examples").glob("*/*.blv")])
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in FILES}
TEXTS["all"] = """#: doc
model größe
set T = 1..3  # to three
param λ_1[T] = 1_000.5e-3; let r = X.T @ y[1:3] - sum(c.dual) + sum + .5 + 1e5 + dimn + norminf (x)
upper { var x : binary; var k : integer in [0, inf] start 1; minimize (x - 3)^2 / 4 * "a ""b"" #" }
lower { minimize y; cap[i in T if not i != 1 or i < 2 and i > 3 and 1 <= 2]: 0 <= y[i] == 3 >= x; minibatch n }
lower { minimize y; ties pessimistic; require pl(1) } options { a = true; b = false }
"""

KINDS = {"NAME": Name, "INT": Number.Integer, "FLOAT": Number.Float, "STRING": String.Double}


def read(text):
    """The tokens that the parser sees, with the name of their terminal: up to the first fault, and all of a model."""
    parser, builder = reader._parser()
    builder.begin(Source("test.blv", text), 0)
    return [token for token in parser.parse_interactive(text, start="start").iter_parse() if token.type != "_NL"]


def coloured(text):
    """The tokens that Pygments sees."""
    found = BlvLexer().get_tokens_unprocessed(text)
    return [(start, kind, word) for start, kind, word in found if kind is not Whitespace and word != ";"]


@pytest.mark.parametrize("name", TEXTS)
def test_pygments_and_the_parser_see_the_same_tokens(name):
    text = TEXTS[name]
    code = [token for token in coloured(text) if token[1] not in Comment]
    if name != "all":  # which is no model, so the parser would stop
        tokens = read(text)
        assert [(token.start_pos, str(token)) for token in tokens] == [(start, word) for start, _, word in code]
        for token, (_, kind, word) in zip(tokens, code, strict=True):
            expected = KINDS.get(token.type)
            if expected is not None:
                assert kind in expected, word
            elif token.type.lower() in keywords():
                assert kind in Keyword or kind is Operator.Word, word
            else:
                assert kind in (Operator, Punctuation), word
    assert [word for _, _, word in coloured(text)] == [piece.text for piece in pieces(text)]
    assert Error not in {kind for _, kind, _ in coloured(text)}


def test_each_kind_of_token_is_seen_as_such():
    kinds = {word: kind for _, kind, word in coloured(TEXTS["all"])}
    assert kinds["#: doc"] is Comment.Special and kinds["# to three"] is Comment.Single
    assert kinds["dual"] is Name.Attribute and kinds["norminf"] is Name.Builtin and kinds["dimn"] is Name
    assert kinds["1_000.5e-3"] is Number.Float and kinds[".5"] is Number.Float and kinds["3"] is Number.Integer
    assert kinds['"a ""b"" #"'] is String.Double
    assert kinds["upper"] is Keyword.Namespace and kinds["var"] is Keyword.Declaration
    assert kinds["binary"] is Keyword.Type and kinds["inf"] is Keyword.Constant and kinds["minimize"] is Keyword
    assert kinds["not"] is Operator.Word and kinds[".."] is Operator and kinds["."] is Punctuation
    assert set(kinds.values()) == set(TOKENS.values())


def test_a_function_is_coloured_where_it_is_called():
    assert [kind for _, kind, word in coloured("sum + sum (x) + max(y) + maxi(y)") if word[0] in "sm"] == [
        Name, Name.Builtin, Name.Builtin, Name,
    ]  # fmt: skip


@pytest.mark.parametrize("text", ['"open', "2x", "x ? y", "5.", "x²"])
def test_what_is_no_token_is_marked(text):
    assert Error in {kind for _, kind, _ in coloured(text)}


@pytest.mark.parametrize("word", sorted(outline.KEYWORDS))
def test_every_keyword_of_the_grammar_is_coloured(word):
    assert keywords() == outline.KEYWORDS
    ((_, kind, text),) = coloured(word)
    assert text == word and (kind in Keyword or kind is Operator.Word)
    name = SCOPES["name"]
    (scope, *_) = (rule["name"] for rule in json.loads(textmate())["patterns"] if re.match(rule["match"], word))
    assert scope != name
    assert [kind for _, kind, _ in coloured(f"{word}s {word}_ _{word}")] == [Name] * 3


def test_every_terminal_of_the_grammar_has_a_kind():
    parser, _ = reader._parser()
    signs = [t.pattern.value for t in parser.terminals if t.pattern.type == "str"]
    assert len(signs) > 20
    for sign in signs:
        ((_, kind, word),) = coloured(sign)
        assert word == sign and kind in (Operator, Punctuation)
    assert {kind for kind, _ in rules()} == set(SCOPES) == set(TOKENS)


def test_the_functions_are_those_of_the_language():
    from bileveldsl.language.elaborate.functions import NAMES

    assert sorted(NAMES) == list(function_names.FUNCTION_NAMES)


# ---- the grammar file of editors --------------------------------------------------------------------


def scoped(line):
    """The scopes of a line as TextMate finds them: again and again the first match, of equals the first rule's."""
    patterns = [(re.compile(rule["match"]), rule["name"]) for rule in json.loads(textmate())["patterns"]]
    at = 0
    while matches := [(m, name) for pattern, name in patterns if (m := pattern.search(line, at))]:
        match, name = min(matches, key=lambda found: found[0].start())
        yield match[0], name
        at = match.end()


@pytest.mark.parametrize("name", TEXTS)
def test_textmate_and_pygments_see_the_same(name):
    scopes = {TOKENS[kind]: scope for kind, scope in SCOPES.items()}
    pygments = [(word, scopes[kind]) for _, kind, word in coloured(TEXTS[name])]
    found = [token for line in TEXTS[name].splitlines() for token in scoped(line) if token[0] != ";"]
    assert found == pygments


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from('ax1_.eE²:#"^ <=>!;([ '), max_size=12).filter(lambda text: "\n" not in text))
def test_faulty_text_is_coloured_alike(text):
    """TextMate passes over what no rule matches, character by character; Pygments marks it."""
    seen = [(word, kind) for _, kind, word in coloured(text) if kind is not Error]
    scopes = {TOKENS[kind]: scope for kind, scope in SCOPES.items()}
    assert [token for token in scoped(text) if token[0] != ";"] == [(word, scopes[kind]) for word, kind in seen]


def test_the_file_of_editors_is_the_one_that_is_made_now():
    assert TEXTMATE.read_text(encoding="utf-8") == textmate(), "run `python -m bileveldsl.grammar.highlight`"


def test_the_extension_names_files_that_exist():
    folder = TEXTMATE.parents[1]
    package = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    (grammar,) = package["contributes"]["grammars"]
    (language,) = package["contributes"]["languages"]
    assert folder / grammar["path"] == TEXTMATE
    assert grammar["scopeName"] == json.loads(textmate())["scopeName"]
    assert grammar["language"] == language["id"] == "blv" and language["extensions"] == [".blv"]
    assert (folder / package["main"]).is_file()
    json.loads((folder / language["configuration"]).read_text(encoding="utf-8"))
    assert package["contributes"]["configuration"]["properties"]["bileveldsl.command"]["scope"] == "machine"


def test_pygments_finds_the_lexer_by_its_entry_point():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, name = project["entry-points"]["pygments.lexers"]["blv"].split(":")
    assert getattr(import_module(module), name) is BlvLexer
    assert "blv" in BlvLexer.aliases and "*.blv" in BlvLexer.filenames
