"""Make the data files of the examples from scikit-learn's bundled data sets (needs scikit-learn).

The splits and the corrupted labels are fixed by a seed, so that the files are the same on every run.
"""

from pathlib import Path

import numpy as np
from sklearn import datasets

HERE = Path(__file__).parent


def ridge() -> None:
    data = datasets.load_diabetes(scaled=False)
    order = np.random.default_rng(0).permutation(len(data.target))
    train, held_out = order[:300], order[300:]
    mean, scale = data.data[train].mean(0), data.data[train].std(0)
    centre, unit = data.target[train].mean(), data.target[train].std()
    X, y = (data.data - mean) / scale, (data.target - centre) / unit
    np.savez_compressed(HERE / "ridge/ridge.npz", X=X[train], y=y[train], X_val=X[held_out], y_val=y[held_out])


def hypercleaning() -> None:
    data = datasets.load_digits()
    random = np.random.default_rng(0)
    order = random.permutation(len(data.target))
    train, clean, test = order[:500], order[500:700], order[700:]
    images = np.hstack([data.data / 16, np.ones((len(data.target), 1))])
    one_hot = np.eye(10)
    labels = data.target[train].copy()
    corrupted = np.zeros(len(train), dtype=bool)
    corrupted[random.permutation(len(train))[: len(train) // 2]] = True
    labels[corrupted] = (labels[corrupted] + random.integers(1, 10, corrupted.sum())) % 10
    np.savez_compressed(
        HERE / "hypercleaning/digits.npz",
        X=images[train], Y=one_hot[labels], Xv=images[clean], Yv=one_hot[data.target[clean]],
        X_test=images[test], y_test=data.target[test], corrupted=corrupted,
    )  # fmt: skip


def logistic() -> None:
    data = datasets.load_breast_cancer()
    order = np.random.default_rng(0).permutation(len(data.target))
    train, held_out = order[:380], order[380:]
    mean, scale = data.data[train].mean(0), data.data[train].std(0)
    X = np.hstack([(data.data - mean) / scale, np.ones((len(data.target), 1))])
    y = 2.0 * data.target - 1.0
    np.savez_compressed(HERE / "logistic/breast_cancer.npz", X=X[train], y=y[train], Xv=X[held_out], yv=y[held_out])


if __name__ == "__main__":
    ridge()
    hypercleaning()
    logistic()
