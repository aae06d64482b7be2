"""Models in colour wherever Pygments highlights: Sphinx, MkDocs, Jupyter, LaTeX's minted, rich."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pygments.lexer import RegexLexer
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Whitespace

if TYPE_CHECKING:
    from bileveldsl.grammar.highlight import Kind

TOKENS: dict[Kind, Any] = {
    "doc comment": Comment.Special,
    "comment": Comment.Single,
    "string": String.Double,
    "float": Number.Float,
    "integer": Number.Integer,
    "block": Keyword.Namespace,
    "declaration": Keyword.Declaration,
    "keyword": Keyword,
    "type": Keyword.Type,
    "constant": Keyword.Constant,
    "word operator": Operator.Word,
    "function": Name.Builtin,
    "attribute": Name.Attribute,
    "name": Name,
    "operator": Operator,
    "punctuation": Punctuation,
}


class BlvLexer(RegexLexer):
    """The lexer `blv` of Pygments, made from the grammar.

    Examples
    --------
    >>> from pygments import lex
    >>> [(str(kind), text) for kind, text in lex("var x", BlvLexer())][0]
    ('Token.Keyword.Declaration', 'var')
    """

    name = "Bilevel model"
    aliases = ("blv",)
    filenames = ("*.blv",)
    mimetypes = ("text/x-blv",)

    @classmethod
    def get_tokendefs(cls) -> dict[str, list[tuple[str, Any]]]:
        """The rules, read when the first lexer is made: Pygments imports the lexers of all packages to find one."""
        from bileveldsl.grammar.highlight import rules

        return {"root": [(r"[\s\ufeff]+", Whitespace), *((pattern, TOKENS[kind]) for kind, pattern in rules())]}
