"""Models that tests of several parts use."""

TOY = """model toy
upper { var x in [0, 10] start 1; minimize (x - 3)^2 + (y - 1)^2 }
lower { var y; minimize (y - x)^2 }
"""

SMALL = """model small
dim n = 5, m = 4, p = 2
param X[n, p] = [[1, 2], [0, 1], [3, 1], [2, -2], [1, 0]]
param t[n] = [1, -1, 2, 0, 3]
param V[m, p] = [[2, 1], [1, 1], [0, 3], [-1, 1]]
param v[m] = [1, 2, -1, 0]
upper {
  var s[n]
  var c
  minibatch m
  minimize sum((V @ w - v)^2) / m + c^2 + 0.01 * sumsq(s)
}
lower {
  var w[p]
  minibatch n
  let loss[n] = (X @ w - t)^2
  minimize dot(sigmoid(s), loss) / n + exp(c) * sum(softplus(-t * (X @ w))) + sumsq(w) / 2
}
"""
"""Sums at both levels that are sampled along different axes."""

PBGD = """model pbgd
upper {{ var x in [0, 3] start {}; minimize cos(4*y + 2) / (1 + exp(2 - 4*x)) + 0.5*log((4*x - 2)^2 + 1) }}
lower {{ var y start {}; minimize (x + y)^2 + x*sin(x + y)^2 }}
"""
"""The toy of the value-function penalty (methods of Shen and Chen, 2023)."""

MINIMA = {0.3824: 0.4427, 1.2152: 0.1999, 2.8296: 1.2435}
"""x and value of the local minima of its phi."""

GALET = """model galet
upper {{ var x start {}; minimize x^2 + u - sin(v) }}
lower {{ var u start {}; var v start {}; minimize (x + u - sin(v))^2 / 2 }}
"""
"""The toy of GALET, whose follower is not convex but has the PL inequality."""
