"""The names of the language's functions, for those who need no more of them."""

FUNCTION_NAMES = (
    "abs", "acos", "asin", "atan", "cos", "cosh", "dot", "entropy", "exp", "huber", "kl", "log", "logsumexp", "max",
    "min", "norm", "norm1", "norminf", "prod", "sigmoid", "sin", "sinh", "softmax", "softplus", "sqrt", "sum", "sumsq",
    "tan", "tanh",
)  # fmt: skip
