"""Mathematical notation: expressions become formulas, formulas become ASCII, Unicode or LaTeX."""
