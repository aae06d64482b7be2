"""Solve the model and say how well the wrong labels were found, and how good the classifier is.

    python examples/hypercleaning/score.py
"""

from pathlib import Path

import numpy as np

import bileveldsl as blv

HERE = Path(__file__).parent


def score(solution: blv.Solution) -> dict[str, float]:
    """Precision, recall and F1 of calling an image wrong when its weight is below one half, and test accuracy."""
    data = np.load(HERE / "digits.npz")
    called, wrong = solution["s"] < 0, data["corrupted"]
    precision, recall = (called & wrong).sum() / called.sum(), (called & wrong).sum() / wrong.sum()
    guesses = (data["X_test"] @ solution["W"]).argmax(axis=1)
    return {
        "precision": float(precision),
        "recall": float(recall),
        "F1": float(2 * precision * recall / (precision + recall)),
        "test accuracy": float((guesses == data["y_test"]).mean()),
    }


if __name__ == "__main__":
    solution = blv.load(HERE / "hypercleaning.blv").solve()
    print(solution.status.sentence)
    for name, value in score(solution).items():
        print(f"{name:14} {value:.3f}")
