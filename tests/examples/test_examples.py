"""The examples against closed forms and against implementations of the same problems written anew in NumPy."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize
from scipy.sparse.linalg import LinearOperator, cg

from bileveldsl import load
from bileveldsl.execute.engine import numpy_engine
from bileveldsl.execute.problem import compile_problem
from bileveldsl.solution import Status
from bileveldsl.verify import hypergradient

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name):
    return load(EXAMPLES / name / f"{name}.blv")


def data_of(name, file):
    with np.load(EXAMPLES / name / file) as archive:
        return dict(archive)


def projected(x, gradient, low, high):
    """The projected gradient step, zero exactly where the first-order conditions of the box hold."""
    return x - np.clip(x - gradient, low, high)


def ours(name, x, y):
    """The hyper-gradient that the verification computes at a point."""
    return hypergradient(compile_problem(example(name).program(), numpy_engine()), x, y)


# ---- toy ------------------------------------------------------------------------------------


def test_toy():
    solution = example("toy").solve("implicit")
    assert solution.status is Status.LOCALLY_OPTIMAL and solution.status.exit_code == 0
    assert (solution["x"], solution["y"]) == pytest.approx((2, 2), abs=1e-9)
    assert solution.upper.objective == pytest.approx(2, abs=1e-12)
    (fact,) = [fact for fact in solution.certificates if fact["fact"] == "strongly_convex"]
    assert (fact["verdict"], fact["constant"]) == ("proved", 2.0)


# ---- ridge: the follower in closed form -----------------------------------------------------


class Ridge:
    """phi(logs) = |Xv w - yv|^2 / m with (X'X/n + diag(exp logs)) w = X'y/n."""

    def __init__(self):
        data = data_of("ridge", "ridge.npz")
        self.X, self.y, self.Xv, self.yv = (data[key] for key in ("X", "y", "X_val", "y_val"))

    def matrix(self, logs):
        return self.X.T @ self.X / len(self.y) + np.diag(np.exp(logs))

    def answer(self, logs):
        return np.linalg.solve(self.matrix(logs), self.X.T @ self.y / len(self.y))

    def phi(self, logs):
        return np.sum((self.Xv @ self.answer(logs) - self.yv) ** 2) / len(self.yv)

    def gradient(self, logs):
        w = self.answer(logs)
        outer = 2 * self.Xv.T @ (self.Xv @ w - self.yv) / len(self.yv)
        return -np.exp(logs) * w * np.linalg.solve(self.matrix(logs), outer)


@pytest.fixture(scope="module")
def ridge():
    return Ridge()


@pytest.fixture(scope="module")
def ridge_solution():
    return example("ridge").solve()


def test_ridge_is_at_rest_and_its_value_is_the_closed_form(ridge, ridge_solution):
    logs, w = ridge_solution["loglam"], ridge_solution["w"]
    assert ridge_solution.status is Status.LOCALLY_OPTIMAL
    assert ridge_solution.verification.hypergradient_norm < 1e-6
    np.testing.assert_allclose(w, ridge.answer(logs), rtol=0, atol=1e-8)
    assert ridge_solution.upper.objective == pytest.approx(ridge.phi(logs), abs=1e-8)
    assert (logs >= -8).all() and (logs <= 4).all()
    assert np.linalg.norm(projected(logs, ridge.gradient(logs), -8, 4)) < 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_the_hypergradient_of_ridge_is_the_closed_form(ridge, seed):
    logs = np.random.default_rng(seed).uniform(-6, 3, 10)
    np.testing.assert_allclose(ours("ridge", logs, ridge.answer(logs)), ridge.gradient(logs), rtol=1e-9, atol=1e-12)


def test_scipy_on_the_closed_form_finds_no_better_value_from_the_same_start(ridge, ridge_solution):
    found = optimize.minimize(
        ridge.phi, np.zeros(10), jac=ridge.gradient, method="L-BFGS-B", bounds=[(-8, 4)] * 10,
        options={"ftol": 1e-15, "gtol": 1e-9},
    )  # fmt: skip
    assert ridge_solution.upper.objective == pytest.approx(found.fun, abs=1e-6)


# ---- logistic: Newton's method and finite differences ---------------------------------------


class Logistic:
    """The follower by Newton's method; labels are -1 and 1."""

    def __init__(self):
        data = data_of("logistic", "breast_cancer.npz")
        self.X, self.y, self.Xv, self.yv = (data[key] for key in ("X", "y", "Xv", "yv"))

    def answer(self, logs):
        """The weights, and the Hessian there."""
        n, w = len(self.y), np.zeros(logs.size)
        for _ in range(100):
            p = 1 / (1 + np.exp(self.y * (self.X @ w)))  # the probability of the other label
            gradient = -self.X.T @ (self.y * p) / n + np.exp(logs) * w
            hessian = self.X.T @ (self.X * (p * (1 - p))[:, None]) / n + np.diag(np.exp(logs))
            if np.linalg.norm(gradient) < 1e-13:
                break
            w = w - np.linalg.solve(hessian, gradient)
        assert np.linalg.norm(gradient) < 1e-11
        return w, hessian

    def phi(self, logs):
        w, _ = self.answer(logs)
        return np.mean(np.logaddexp(0, -self.yv * (self.Xv @ w)))

    def gradient(self, logs):
        w, hessian = self.answer(logs)
        outer = -self.Xv.T @ (self.yv / (1 + np.exp(self.yv * (self.Xv @ w)))) / len(self.yv)
        return -np.exp(logs) * w * np.linalg.solve(hessian, outer)


@pytest.fixture(scope="module")
def logistic():
    return Logistic()


@pytest.fixture(scope="module")
def logistic_solution():
    return example("logistic").solve()


def test_logistic_satisfies_the_first_order_conditions_computed_anew(logistic, logistic_solution):
    logs, w = logistic_solution["logpen"], logistic_solution["w"]
    assert logistic_solution.status is Status.LOCALLY_OPTIMAL
    np.testing.assert_allclose(w, logistic.answer(logs)[0], rtol=0, atol=1e-7)
    assert logistic_solution.upper.objective == pytest.approx(logistic.phi(logs), abs=1e-9)
    assert np.linalg.norm(projected(logs, logistic.gradient(logs), -6, 3)) < 1e-6
    assert ((logs == -6) | (logs == 3)).any()  # some penalties want to vanish, some features to be dropped


@pytest.mark.parametrize("seed", range(3))
def test_the_hypergradient_of_logistic_is_the_slope_of_phi(logistic, seed):
    random = np.random.default_rng(seed)
    logs, direction = random.uniform(-5, 2, 31), random.standard_normal(31)
    gradient = ours("logistic", logs, logistic.answer(logs)[0])
    np.testing.assert_allclose(gradient, logistic.gradient(logs), rtol=1e-7, atol=1e-10)
    step = 1e-4
    slope = (logistic.phi(logs + step * direction) - logistic.phi(logs - step * direction)) / (2 * step)
    assert gradient @ direction == pytest.approx(slope, rel=1e-5, abs=1e-9)


def test_no_direction_from_the_logistic_solution_leads_down(logistic, logistic_solution):
    logs = logistic_solution["logpen"]
    for direction in np.random.default_rng(0).standard_normal((6, 31)):
        assert logistic.phi(np.clip(logs + 1e-2 * direction, -6, 3)) >= logistic.phi(logs) - 1e-9


# ---- hyper-cleaning: softmax regression by hand ---------------------------------------------


class HyperCleaning:
    """Softmax regression with weighted losses: L-BFGS and Newton inside, conjugate gradients, L-BFGS-B outside."""

    def __init__(self, X, Y, Xv, Yv, reg=1e-3):
        self.X, self.Y, self.Xv, self.Yv, self.reg = X, Y, Xv, Yv, reg
        self.shape = X.shape[1], Y.shape[1]
        self.W = np.zeros(self.shape)

    @staticmethod
    def losses(X, Y, W):
        """The loss of each row, and the probabilities of the classes."""
        scores = X @ W
        top = scores.max(axis=1, keepdims=True)
        powers = np.exp(scores - top)
        total = powers.sum(axis=1, keepdims=True)
        return (np.log(total) + top - (Y * scores).sum(axis=1, keepdims=True))[:, 0], powers / total

    def follower(self, v, weights):
        W = v.reshape(self.shape)
        loss, P = self.losses(self.X, self.Y, W)
        gradient = self.X.T @ (weights[:, None] * (P - self.Y)) + 2 * self.reg * W
        return weights @ loss + self.reg * v @ v, gradient.ravel()

    def product(self, P, weights, v):
        """The follower's Hessian times v."""
        D = self.X @ v.reshape(self.shape)
        inner = P * (D - (P * D).sum(axis=1, keepdims=True))
        return (self.X.T @ (weights[:, None] * inner)).ravel() + 2 * self.reg * v

    def answer(self, s):
        weights = 1 / (1 + np.exp(-s)) / len(s)
        v = optimize.minimize(
            self.follower, self.W.ravel(), (weights,), jac=True, method="L-BFGS-B",
            options={"maxiter": 3000, "maxfun": 5000, "ftol": 1e-15, "gtol": 1e-7},
        ).x  # fmt: skip
        for _ in range(8):
            gradient = self.follower(v, weights)[1]
            if np.linalg.norm(gradient) < 1e-12:
                break
            v = v - self.solve(v, weights, gradient)
        self.W = v.reshape(self.shape)
        return self.W

    def solve(self, v, weights, right):
        P = self.losses(self.X, self.Y, v.reshape(self.shape))[1]
        operator = LinearOperator((v.size, v.size), matvec=lambda u: self.product(P, weights, u), dtype=float)
        return cg(operator, right, rtol=1e-10, maxiter=5000)[0]

    def phi(self, s):
        """phi and its gradient."""
        W = self.answer(s)
        sigmoid = 1 / (1 + np.exp(-s))
        loss, P = self.losses(self.Xv, self.Yv, W)
        adjoint = self.solve(W.ravel(), sigmoid / len(s), (self.Xv.T @ (P - self.Yv) / len(P)).ravel())
        P = self.losses(self.X, self.Y, W)[1]
        along = ((P - self.Y) * (self.X @ adjoint.reshape(self.shape))).sum(axis=1)  # of each loss
        return loss.mean(), -sigmoid * (1 - sigmoid) / len(s) * along


DIGITS = ("X", "Y", "Xv", "Yv")


@pytest.fixture(scope="module")
def cleaned():
    return example("hypercleaning").solve()


@pytest.fixture(scope="module")
def digits():
    return data_of("hypercleaning", "digits.npz")


def f1(flagged, truth):
    both = np.sum(flagged & truth)
    return 2 * both / (2 * both + np.sum(flagged & ~truth) + np.sum(~flagged & truth))


def test_hypercleaning_agrees_with_an_implementation_by_hand(digits):
    """On the digits 0 to 3, which keeps the test short: the same optimum from the same start."""
    wanted, valid = (digits[key][:, :4].any(axis=1) for key in ("Y", "Yv"))
    few = {"X": digits["X"][wanted][:120], "Y": digits["Y"][wanted][:120, :4],
           "Xv": digits["Xv"][valid][:60], "Yv": digits["Yv"][valid][:60, :4]}  # fmt: skip
    problem = HyperCleaning(**few)
    found = optimize.minimize(
        problem.phi, np.zeros(120), jac=True, method="L-BFGS-B", bounds=[(-5, 5)] * 120,
        options={"ftol": 1e-14, "gtol": 1e-8, "maxiter": 1000, "maxfun": 2000, "maxcor": 30},
    )  # fmt: skip
    solution = example("hypercleaning").solve(set=few)
    assert solution.status is Status.LOCALLY_OPTIMAL
    assert solution.upper.objective == pytest.approx(found.fun, rel=1e-5)
    value, gradient = problem.phi(solution["s"])
    assert solution.upper.objective == pytest.approx(value, rel=1e-9)
    assert np.linalg.norm(projected(solution["s"], gradient, -5, 5)) < 1e-6


def test_hypercleaning_is_at_rest_by_an_implementation_by_hand(digits, cleaned):
    problem = HyperCleaning(*(digits[key] for key in DIGITS))
    assert cleaned.status is Status.LOCALLY_OPTIMAL
    value, gradient = problem.phi(cleaned["s"])
    assert cleaned.upper.objective == pytest.approx(value, rel=1e-9)
    np.testing.assert_allclose(cleaned["W"], problem.W, atol=1e-7)
    assert np.linalg.norm(projected(cleaned["s"], gradient, -5, 5)) < 1e-6
    assert value < problem.phi(np.zeros(500))[0] / 2  # far below where it started


def test_hypercleaning_finds_the_corrupted_labels(digits, cleaned):
    """Half of the labels are wrong: to flag all of them gives F1 = 2/3, to flag at random 1/2."""
    truth, flagged = digits["corrupted"], cleaned["s"] < 0  # sigmoid(s) < 1/2
    majority = f1(np.ones_like(truth), truth)
    assert majority == pytest.approx(2 / 3)
    assert f1(flagged, truth) > majority + 0.2
    assert np.sum(flagged & truth) / np.sum(flagged) > 0.85  # precision, 1/2 by chance
    # Under the hypothesis of random flags, the number of hits has a standard deviation of about 6.
    assert np.sum(flagged & truth) - np.sum(flagged) / 2 > 10 * math.sqrt(500) / 4


def test_hypercleaning_makes_a_better_classifier_than_the_data_as_they_are(digits, cleaned):
    def accuracy(W):
        return np.mean(np.argmax(digits["X_test"] @ W, axis=1) == digits["y_test"])

    problem = HyperCleaning(*(digits[key] for key in DIGITS))
    dirty = accuracy(problem.answer(np.zeros(500)))
    assert dirty < 0.85
    assert accuracy(cleaned["W"]) > max(dirty + 0.08, 0.92)
