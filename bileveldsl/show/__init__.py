"""Programs as mathematics, for people: text and LaTeX. Data appear by name and shape, never by value."""

from __future__ import annotations

from bileveldsl.program import Program
from bileveldsl.show.kkt import kkt_sheet
from bileveldsl.show.page import latex_page, text_page
from bileveldsl.show.sheet import program_sheet
from bileveldsl.show.style import AsciiStyle, LatexStyle, UnicodeStyle


def show_text(program: Program, gradients: bool = False, hessians: bool = False, unicode: bool = True) -> str:
    """The program as text.

    Parameters
    ----------
    program
        A checked program.
    gradients
        Also the gradients of all objectives and constraints by the variables they depend on.
    hessians
        Also the second derivatives of the objectives.
    unicode
        Whether to use letters and signs beyond ASCII.

    Returns
    -------
    str
        Lines of text.
    """
    style = UnicodeStyle() if unicode else AsciiStyle()
    return text_page(program_sheet(program, style, gradients, hessians), style)


def show_latex(program: Program, gradients: bool = False, hessians: bool = False) -> str:
    r"""The program as LaTeX: one displayed `aligned` block for each part, for a document with amsmath and amssymb."""
    style = LatexStyle()
    return latex_page(program_sheet(program, style, gradients, hessians), style)


def show_kkt(program: Program, latex: bool = False, unicode: bool = True) -> str:
    """The single-level program with the optimality (KKT) conditions of the followers in their place.

    Each follower is taken as a minimization: a maximization of f is one of -f. Multipliers are named after the
    label of their constraint or the variable of their bound; 0 <= a perp b >= 0 says that a and b are not negative
    and that at least one of them is zero, element by element.
    """
    if latex:
        return latex_page(kkt_sheet(program, LatexStyle()), LatexStyle())
    style = UnicodeStyle() if unicode else AsciiStyle()
    return text_page(kkt_sheet(program, style), style)
