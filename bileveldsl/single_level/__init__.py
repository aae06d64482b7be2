"""Programs of one level: what reductions make of a follower, and the solvers for them."""
