"""What published theorems say of a follower with certified constants: rates, step sizes, counts, penalties.

f is the follower's objective, F the leader's, phi(x) the least F over the follower's answers to x; mu, L and kappa are
bounds of constants of f in y, eps is the accuracy asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bileveldsl.verdict.bounds import at_most
from bileveldsl.verdict.constants import Constants

CXZ = "Chen, Xu, Zhang 2024"


@dataclass(frozen=True)
class Setting:
    """A number that a method takes, computed from certified constants by `formula`.

    Smaller values are as good, or larger ones where it is `at_least` the value.
    """

    symbol: str
    value: float
    formula: str
    meaning: str
    at_least: bool = False


@dataclass(frozen=True)
class Theorem:
    """A theorem whose hypothesis on the follower is certified; `missing` are constants in it that are not."""

    method: str
    source: str
    says: str
    settings: tuple[Setting, ...] = ()
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def penalty_settings(found: Constants, tolerance: float) -> tuple[Setting, ...]:
    """The settings of F2BA by Theorem 4.1 of Chen, Xu and Zhang (2024), or none where mu or L_f is not certified.

    l is the largest of the certified constants, kappa = l / mu. eta is 1 / (2 L_phi) with L_phi = 4 l kappa^3, which
    bounds the Lipschitz constant of the hyper-gradient for quadratic followers. T is up to the factor
    phi(x0) - inf phi.

    Examples
    --------
    >>> from bileveldsl.verdict.constants import Bound
    >>> L = Bound("L_f", "<=", 2.0, "", "proved")
    >>> found = Constants(L=L, L_F=L, penalty_mu=1.0, sigma_max=0.5)
    >>> {s.symbol: s.value for s in penalty_settings(found, 1e-2)}["tau"]
    0.4996...
    """
    if found.penalty_mu is None or found.L is None:
        return ()
    mu, L = found.penalty_mu, found.L.value
    L_F = found.L_F.value if found.L_F else 0.0
    largest = max(b.value for b in (found.L, found.L_F, found.C_F, found.rho) if b is not None)
    kappa = max(largest / mu, 1.0)
    bend = largest * kappa * kappa * kappa
    if not math.isfinite(bend) or tolerance / bend == 0:
        return ()
    limits = {"eps / (l kappa^3)": tolerance / bend, "sigma_max": found.sigma_max or math.inf}
    if L_F:
        limits["L_f / L_F"] = L / L_F
    sigma = min(limits.values())
    if not all(map(math.isfinite, (1 / sigma, bend / tolerance**2, accuracy := L / mu / sigma))):
        return ()
    steps = max(1, math.ceil(L / mu * math.log(max(accuracy, 2.0))))
    chosen = next(name for name, value in limits.items() if value == sigma)
    return (
        Setting("sigma", sigma, chosen, "penalty weight of F"),
        Setting("lambda", 1 / sigma, "1 / sigma", "the same, as a factor of f", True),
        Setting("tau", 1 / (sigma * L_F + L), "1 / (sigma L_F + L_f)", "step size of the follower's chains"),
        Setting("K", steps, "(L_f / mu) log(L_f / (mu sigma))", "inner steps for each step of the leader", True),
        Setting("eta", 1 / (8 * bend), "1 / (8 l kappa^3)", "step size of the leader"),
        Setting("T", bend / tolerance**2, "l kappa^3 / eps^2", "steps of the leader, times a factor", True),
    )


def answering(found: Constants, tolerance: float) -> tuple[Setting, ...]:
    """How the follower's problem is solved: steps, and when to stop, from mu and L.

    f - min f <= |grad f|^2 / (2 mu) and dist(y, argmin) <= |grad f| / mu hold under the PL inequality (Karimi, Nutini,
    Schmidt 2016), and gradient steps of 1 / L shrink the gap by the factor 1 - mu / L.
    """
    if found.curvature is not None:
        return _between_bounds(found, tolerance)
    if found.mu is None:
        return () if found.L is None or not found.L.value else (_step(found),)
    mu, kappa = found.mu.value, found.kappa
    stop = (
        Setting("|grad f|", math.sqrt(2 * mu * tolerance), "sqrt(2 mu eps)", "stop here: f is within eps of its least"),
        Setting("|grad f|", mu * tolerance, "mu eps", "stop here: y is within eps of an answer"),
    )
    if kappa is None or found.L is None:
        return stop
    digit = math.log(10)
    steps: tuple[Setting, ...] = (
        _step(found),
        Setting("steps", math.ceil(kappa * digit), "(L_f / mu) log 10", "such steps for each digit of f - min f", True),
    )
    if found.strong:
        steps = (
            *steps,
            Setting("best step", 2 / (found.L.value + mu), "2 / (L_f + mu)", "shrinks the distance to the answer most"),
            Setting("accelerated steps", math.ceil(math.sqrt(kappa) * digit), "sqrt(L_f / mu) log 10",
                    "for each digit, with Nesterov's momentum", True),
        )  # fmt: skip
    return (*steps, *stop)


def _between_bounds(found: Constants, tolerance: float) -> tuple[Setting, ...]:
    """The same by the proximal inequality D(y, a) / 2 >= mu (f - min f), which holds for every a >= c."""
    if found.mu is None:
        return ()
    return (Setting("D(y, c)", 2 * found.mu.value * tolerance, "2 mu eps", "stop here: f is within eps of its least"),)


def projected(found: Constants) -> tuple[Theorem, ...]:
    """The theorem on gradient steps put within the bounds, if the proximal inequality and L_f are certified.

    Such a step of 1 / a lowers f by D(y, a) / (2 a), if a >= L_f.
    """
    if found.curvature is None or found.kappa is None or not found.shortest:
        return ()
    says = "each step shrinks f - min f by the factor 1 - mu / max(L_f, c)"
    settings = (
        Setting("step", 1 / found.shortest, "1 / max(L_f, c)", "length of a gradient step, put within the bounds"),
        Setting("steps", math.ceil(found.kappa * math.log(10)), "(max(L_f, c) / mu) log 10",
                "such steps for each digit of f - min f", True),
    )  # fmt: skip
    return (Theorem("projected gradient", "Karimi, Nutini, Schmidt 2016, Section 4", says, settings),)


def _step(found: Constants) -> Setting:
    assert found.L is not None
    return Setting("step", 1 / found.L.value, "1 / L_f", "length of a gradient step that never raises f")


def first_order(found: Constants, tolerance: float) -> tuple[Theorem, ...]:
    """The theorems on first-order methods for a follower without constraints, as far as their hypotheses hold."""
    theorems = []
    if found.strong and found.mu is not None:
        theorems.append(_implicit(found))
    if settings := penalty_settings(found, tolerance):
        theorems.append(_f2ba(found, settings))
    if found.mu is not None and found.C_F is not None:
        theorems.append(_gap(found, tolerance))
    if found.kappa is not None:
        theorems.append(_galet(found))
        if found.strong:
            theorems.append(_rxgf(found, tolerance))
    return tuple(theorems)


def _implicit(found: Constants) -> Theorem:
    kappa = found.kappa
    products = () if kappa is None else (
        Setting("products", math.ceil(math.sqrt(kappa) * math.log(10) / 2), "sqrt(L_f / mu) log(10) / 2",
                "Hessian products of conjugate gradients for each digit", True),
    )  # fmt: skip
    says = "phi has the gradient F_x - f_xy (f_yy)^-1 F_y, and the Hessian f_yy that it inverts is at least mu"
    return Theorem("implicit differentiation", "implicit function theorem", says, products)


def _f2ba(found: Constants, settings: tuple[Setting, ...]) -> Theorem:
    says = "|grad phi| <= eps after O(l kappa^3 / eps^2) steps of the leader, O(l kappa^4 / eps^2 log(1/eps)) gradients"
    notes = [*F2BA_NOTES]
    sigma = settings[0].value
    if sigma < ROUNDING:
        notes.append(f"differences with sigma < {at_most(ROUNDING)} are rounding: the backend keeps sigma above")
    return Theorem("F2BA", f"{CXZ}, Theorem 4.1", says, settings, found.missing, tuple(notes))


F2BA_NOTES = (
    "the theorem is for x without bounds, and its constants are those in (x, y); here they are those in y",
    "eta takes 4 l kappa^3 for the Lipschitz constant of grad phi, which the theorem gives up to a factor",
    "sigma must also be at most R / kappa, R being the squared distance of the first y to the answers",
)

ROUNDING = 2.0**-26
"""The square root of the rounding unit."""


def _gap(found: Constants, tolerance: float) -> Theorem:
    """F + lambda (f - min f) >= phi - C_F d + lambda mu d^2 / 2 at distance d from the answers, by quadratic growth."""
    assert found.mu is not None and found.C_F is not None
    weight = found.C_F.value * found.C_F.value / (2 * found.mu.value) / tolerance
    says = "the least value of F + lambda (f - min f) over y is within eps of phi"
    settings = (Setting("lambda", weight, "C_F^2 / (2 mu eps)", "weight of the follower's gap", True),)
    return Theorem("value-function penalty (PBGD)", "Shen, Chen 2023", says, settings)


def _galet(found: Constants) -> Theorem:
    assert found.L is not None and found.kappa is not None
    L, kappa = found.L.value, found.kappa
    says = "an eps-stationary point after O(l kappa^5 / eps^2) calls with second derivatives"
    settings = (
        Setting("beta", 1 / L, "1 / L_f", "step size of the follower"),
        Setting("rho", 1 / (L * L), "1 / L_f^2", "step size of the multiplier"),
        Setting("N", math.ceil(kappa * math.log(10)), "(L_f / mu) log 10", "follower's steps for each digit", True),
    )
    return Theorem("GALET", f"Xiao, Lu, Chen 2023; rate in kappa by {CXZ}, Remark C.1", says, settings)


def _rxgf(found: Constants, tolerance: float) -> Theorem:
    assert found.mu is not None
    mu = found.mu.value
    says = "squared residual eps after O(1 / eps^1.5) steps, where KKT points exist and |grad h|^2 >= c h, h = |f_y|^2"
    settings = (
        Setting("c", 4 * mu * mu, "4 mu^2", "the c of this theorem"),
        Setting("relaxation", mu * tolerance, "mu eps", "of |f_y|, which keeps y within eps of the answer"),
    )
    return Theorem("RXGF", "Sharifi, Abolfazli, Hamedani, Fazlyab", says, settings)
