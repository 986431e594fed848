"""How arrivals bunch: gamma gaps between them, as a mixture of exponentials, and long waits.

Gaps of a mean of 1 and a squared coefficient of variation c² > 1 are gamma with shape k = 1/c². A
gap then is exponential with a random mean c²·u, u ~ Beta(k, 1 − k) (Gleser, "The Gamma Distribution
as a Mixture of Exponential Distributions", The American Statistician 43, 1989).
"""

from __future__ import annotations

from functools import lru_cache
from math import gamma
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

POISSON = 1 + 1e-9
"""Up to this c² arrivals count as Poisson. Smoother ones do too, which is the safe side."""

CELL_EDGES = (1.0, 0.97, 0.85, 0.6, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 1e-4, 0.0)
"""Cuts of u. Each cell keeps its mass and mean, so that the gaps keep theirs; bunched arrivals come
from the smallest means, which is why the cells thin out towards 0."""

SERIES_TERMS = 400
NEWTON_STEPS = 60


@lru_cache(maxsize=64)
def gamma_phases(scv: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(weight, rate) of the exponentials that gamma gaps of mean 1 and `scv` > 1 are made of.

    Rates are 1/mean, per mean gap. Raises ValueError where `scv` is not above 1.
    """
    if scv <= 1:
        raise ValueError("gaps of a squared coefficient of variation up to 1 are no such mixture")
    k = 1 / scv
    mass = [incomplete_beta(k, 1 - k, edge) for edge in CELL_EDGES]
    mean = [k * incomplete_beta(k + 1, 1 - k, edge) for edge in CELL_EDGES]  # E[u; u < edge]
    cells = [
        (high - low, mean_high - mean_low)
        for high, low, mean_high, mean_low in zip(mass, mass[1:], mean, mean[1:], strict=False)
    ]
    return tuple(m for m, _ in cells), tuple(m / (scv * u) for m, u in cells)


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularized incomplete beta function I_x(a, b), for 0 < b < 1 or x up to 1/2.

    I_x(a, b) = x^a / B(a, b) · Σ_n (1 − b)_n / (n! (a + n)) · x^n, and 1 − I_{1−x}(b, a) beyond ½
    (NIST Digital Library of Mathematical Functions, 8.17.4 and 8.17.7 with 15.2.1).
    """
    if x <= 0 or x >= 1:
        return min(1.0, max(0.0, x))
    if x > 0.5:
        return 1 - incomplete_beta(b, a, 1 - x)
    total, term = 1 / a, 1.0
    for n in range(1, SERIES_TERMS):
        term *= (n - b) / n * x
        total += term / (a + n)
        if abs(term) < 1e-17:
            break
    return float(x**a * total * gamma(a + b) / (gamma(a) * gamma(b)))


def decay_per_s(loads: NDArray[float64], full_rate: float, gaps_scv: float) -> NDArray[float64]:
    """θ, at which rate long waits of exponential sizes thin out: P(W > w) ∝ exp(−θ·w)   [1/s].

    Poisson arrivals: θ = μ − λ. Gamma gaps: θ = μ(1 − σ), σ the root below 1 of
    σ = (1 + μ(1 − σ)·c²/λ)^(−1/c²), the queue GI/M/K (Kleinrock, "Queueing Systems" I, 6.1). Loads
    of the full rate and above have θ = 0.
    """
    import numpy as np

    idle = np.maximum(0.0, full_rate - loads)
    if gaps_scv <= POISSON:
        return idle
    shape, scale = 1 / gaps_scv, full_rate * gaps_scv / np.maximum(loads, 1e-300)
    # x = 1 − σ; f(x) = (1 + scale·x)^−shape − 1 + x is convex, f(0) = 0: Newton from above
    x = np.ones_like(loads)
    for _ in range(NEWTON_STEPS):
        base = 1 + scale * x
        value = base**-shape - 1 + x
        slope = 1 - shape * scale * base ** (-shape - 1)
        step = np.where(slope > 0, value / np.where(slope > 0, slope, 1.0), 0.0)
        x = np.clip(x - step, 0.0, 1.0)
        if np.max(np.abs(step)) < 1e-13:
            break
    return np.where(loads < full_rate, full_rate * x, 0.0)
