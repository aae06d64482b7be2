"""What each function and keyword of the language means, in the words that an editor shows."""

from __future__ import annotations

FUNCTIONS = {
    "abs": ("abs(x)", "absolute value, elementwise; has a kink at 0"),
    "acos": ("acos(x)", "inverse cosine, elementwise, for x in [-1, 1]"),
    "asin": ("asin(x)", "inverse sine, elementwise, for x in [-1, 1]"),
    "atan": ("atan(x)", "inverse tangent, elementwise"),
    "cos": ("cos(x)", "cosine, elementwise"),
    "cosh": ("cosh(x)", "hyperbolic cosine, elementwise"),
    "dot": ("dot(a, b) or dot(a, b, axis)", "sum of the products of elements, over all axes or one"),
    "entropy": ("entropy(p) or entropy(p, axis)", "sum of -p*log(p), for p >= 0"),
    "exp": ("exp(x)", "exponential, elementwise"),
    "huber": ("huber(x) or huber(x, threshold)", "x^2/2 near 0, linear beyond the threshold (1 by default)"),
    "kl": ("kl(p, q) or kl(p, q, axis)", "relative entropy, sum of p*log(p/q)"),
    "log": ("log(x)", "natural logarithm, elementwise, for x > 0"),
    "logsumexp": ("logsumexp(x) or logsumexp(x, axis)", "log of the sum of exponentials, over all axes or one"),
    "max": ("max(x), max(x, axis) or max(a, b, ...)", "largest element, or elementwise the largest of several"),
    "min": ("min(x), min(x, axis) or min(a, b, ...)", "smallest element, or elementwise the smallest of several"),
    "norm": ("norm(x) or norm(x, axis)", "Euclidean norm; has a kink at 0"),
    "norm1": ("norm1(x) or norm1(x, axis)", "sum of absolute values"),
    "norminf": ("norminf(x) or norminf(x, axis)", "largest absolute value"),
    "prod": ("prod(x) or prod(x, axis)", "product of elements, over all axes or one"),
    "sigmoid": ("sigmoid(x)", "1 / (1 + exp(-x)), elementwise"),
    "sin": ("sin(x)", "sine, elementwise"),
    "sinh": ("sinh(x)", "hyperbolic sine, elementwise"),
    "softmax": ("softmax(x) or softmax(x, axis)", "exp(x) divided by its sum, over all axes or one"),
    "softplus": ("softplus(x)", "log(1 + exp(x)), elementwise"),
    "sqrt": ("sqrt(x)", "square root, elementwise, for x >= 0"),
    "sum": ("sum(x), sum(x, axis) or sum(e for i in I if ...)", "sum of elements, over all axes, one, or indices"),
    "sumsq": ("sumsq(x) or sumsq(x, axis)", "sum of squares, over all axes or one"),
    "tan": ("tan(x)", "tangent, elementwise"),
    "tanh": ("tanh(x)", "hyperbolic tangent, elementwise"),
}
"""How each function is called, and what it gives."""

KEYWORDS = {
    "model": "names the model",
    "dim": "declares axes, whose sizes the data fixes: `dim n, m`",
    "set": "declares an ordered set of labels or tuples of labels",
    "within": "the sets that the members of a set are taken from",
    "param": "declares data, from the text or from a file",
    "from": "the file, relative to the model, that data is read from",
    "let": "names an expression",
    "upper": "the leader's block: in it, a lower variable means the follower's response",
    "lower": "a follower's block: in it, an upper variable is a constant",
    "var": "declares what the level decides: `var x in [0, 10] start 1`",
    "integer": "the variable takes whole numbers",
    "binary": "the variable is 0 or 1",
    "start": "where the search for the variable starts",
    "minimize": "the objective of the level",
    "maximize": "the objective of the level",
    "ties": "which of several best responses the follower takes: the leader's best (`optimistic`) or worst one",
    "require": "a fact of the level's objective that must be proved, or the model is rejected",
    "assume": "a fact of the level's objective that is trusted, and shown as assumed in every report",
    "minibatch": "sums over this axis may be sampled by stochastic methods",
    "options": "settings of the solution, which change nothing in the meaning of the model",
}
"""What the keywords that begin or extend a statement say."""

FACTS = {
    "convex": "the objective is convex in the level's variables",
    "strongly_convex": "the objective is strongly convex, optionally with at least this modulus",
    "smooth": "the gradient is Lipschitz continuous, optionally with at most this constant",
    "pl": "the Polyak-Lojasiewicz inequality holds, optionally with at least this constant",
}
"""What `require` and `assume` can say."""
