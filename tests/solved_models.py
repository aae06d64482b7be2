"""Small models that several tests solve, and the log of a solution."""

import json
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"
TOY = """model toy
upper { var x in [0, 10] start 1; minimize (x - 3)^2 + (y - 1)^2 }
lower { var y; minimize (y - x)^2 }
"""
PBGD = """model pbgd
upper { var x in [0, 3] start 2.9; minimize cos(4*y + 2) / (1 + exp(2 - 4*x)) + 0.5*log((4*x - 2)^2 + 1) }
lower { var y; minimize (x + y)^2 + x*sin(x + y)^2 }
"""
VALUES = [0.1999, 0.4427, 1.2435]  # phi at its local minima x = 1.2152, 0.3824, 2.8296


def events(path):
    return [json.loads(line) for line in path.read_text().splitlines()]
