"""The independent check of an answer: is the follower optimal, are the constraints kept, is the leader at rest?

Nothing here trusts the backend: the follower's problem is solved again by other code from other starting
points, and the status that a user sees follows from the numbers measured here.
"""

from bileveldsl.verify.point import Verified, verify_point
from bileveldsl.verify.smooth import hypergradient
from bileveldsl.verify.stored import model_digest, verify_solution

__all__ = ["Verified", "hypergradient", "model_digest", "verify_point", "verify_solution"]
