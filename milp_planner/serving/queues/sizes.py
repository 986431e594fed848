"""How the work of requests spreads, and what that does to arrivals and departures.

Sizes are in units of their mean. G is their distribution function.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import erf, exp, log, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

from milp_planner.lazily import dataclass

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

POINTS = 16_384
LONGEST = 40.0
"""Mean sizes that are looked at; beyond it the variance of departures grows as it does there."""

STEP = LONGEST / POINTS
DAMPING = 18.0 / POINTS  # of the transform: what wraps around is e^-18 of it
EXPONENTIAL_KAPPA = 0.5
USUAL_CV = 1.0
"""Coefficient of variation of a class's output lengths where nobody states another: that of the
public traces is 0.7 to 2.1 (Azure LLM inference traces 2023: conversation 0.77, code 2.1)."""


@dataclass(frozen=True, eq=False)
class Sizes:
    """What the formulas need of a distribution of sizes."""

    scv: float
    """Squared coefficient of variation."""

    kappa: float
    """κ = ∫(1 − G(t))² dt: how much of the arrivals' bunching reaches the places (Whitt, "Heavy
    traffic approximations for service systems with blocking", 1984): 0.5 for exponential sizes, 1
    for equal ones, less the more they spread."""

    departures_variance: NDArray[float64]
    """V(t) on the grid t = 0, h, 2h, …: variance of the departures of one place that is always
    busy, seen from a random moment."""

    def variance_at(self, t: NDArray[float64]) -> NDArray[float64]:
        """V(t), t in mean sizes: interpolated, and beyond the grid growing with the last slope."""
        import numpy as np

        v = self.departures_variance
        slope = (v[-1] - v[-POINTS // 20]) / (STEP * (POINTS // 20 - 1))
        grid = np.arange(len(v)) * STEP
        beyond = np.maximum(0.0, t - grid[-1])
        return np.asarray(np.interp(t, grid, v) + slope * beyond)

    def seen_scv(self, gaps_scv: float) -> float:
        """c² of the gaps as places see it: 1 + (c² − 1)·κ ÷ ½. Exact for exponential sizes."""
        return 1 + (gaps_scv - 1) * self.kappa / EXPONENTIAL_KAPPA


class Work(NamedTuple):
    """Sizes one by one, in units of their mean, and which share of the requests each stands for."""

    weights: tuple[float, ...]
    sizes: tuple[float, ...]


@lru_cache(maxsize=4096)
def lognormal_size(share: float, cv: float) -> float:
    """The size that a share of lognormal ones of mean 1 does not exceed."""
    spread = sqrt(log(1 + cv * cv))
    return exp(spread * NormalDist().inv_cdf(share) - spread * spread / 2)


@lru_cache(maxsize=64)
def lognormal_work(classes: tuple[tuple[float, float], ...], cv: float) -> Work:
    """Lognormal sizes of a coefficient of variation of `cv` around the mean of each class.

    classes: (share of the requests, mean size in any unit), more finely where sizes are largest.
    """
    mean = sum(share * size for share, size in classes) / sum(share for share, _ in classes)
    weights, sizes = [], []
    for share, size in classes:
        for low, high, count in WORK_CELLS:
            for i in range(count):
                weights.append(share * (high - low) / count)
                at = low + (high - low) * (i + 0.5) / count
                sizes.append(size / mean * lognormal_size(at, cv))
    return Work(tuple(weights), tuple(sizes))


WORK_CELLS = (
    *((0.0, 0.9, 60), (0.9, 0.99, 30), (0.99, 0.999, 30)),
    *((0.999, 0.9999, 20), (0.9999, 1.0, 10)),
)
"""(from, to, cells): parts of the requests in the order of their sizes."""


def sizes_of(
    work: Sequence[float] | NDArray[float64], counted: Sequence[float] | None = None
) -> Sizes:
    """The spread of the sizes listed, each counted once, or for the share of requests given.

    Raises ValueError where there is none, or none above 0.
    """
    import numpy as np

    values = np.asarray(work, dtype=float)
    shares = np.ones(len(values)) if counted is None else np.asarray(counted, dtype=float)
    shares = shares / max(1e-300, float(shares.sum()))
    mean = float(values @ shares)
    if mean <= 0:
        raise ValueError("sizes need a mean above 0")
    values = values / mean
    rounded = np.maximum(1, np.rint(values / STEP)).astype(int)
    inside = rounded < POINTS
    weights = np.bincount(rounded[inside], shares[inside], minlength=POINTS).astype(float)
    return _sizes(weights, float(((values - 1) ** 2) @ shares))


@lru_cache(maxsize=64)
def lognormal_sizes(cv: float) -> Sizes:
    """Lognormal sizes of a coefficient of variation of `cv`; equal ones where it is 0."""
    import numpy as np

    if cv <= 0:
        return sizes_of([1.0])
    spread = sqrt(log(1 + cv * cv))
    edges = (np.arange(POINTS) + 0.5) * STEP  # the mass around each point of the grid
    normal = (np.log(edges) + spread * spread / 2) / (spread * sqrt(2))
    below = np.array([0.5 * (1 + erf(x)) for x in normal])
    weights = np.diff(below, prepend=0.0)
    weights[1] += weights[0]
    weights[0] = 0.0
    return _sizes(weights, cv * cv)


def _sizes(weights: NDArray[float64], scv: float) -> Sizes:
    """Sizes of so much weight at each point of the grid.

    V'(t) = 1 + 2·M(t) − 2t with M the renewal function (Cox, "Renewal Theory", 4.5): its density is
    f + f∗f + … = f/(1 − f) in the transform, damped so that the sum converges.
    """
    import numpy as np

    left = 1 - np.cumsum(weights)
    kappa = float((left**2).sum() * STEP)
    damp = np.exp(-DAMPING * np.arange(2 * POINTS))
    transform = np.fft.rfft(np.pad(weights, (0, POINTS)) * damp)
    density = np.fft.irfft(transform / (1 - transform), 2 * POINTS) / damp
    renewals = np.cumsum(density[:POINTS])
    time = np.arange(POINTS) * STEP
    growth = 1 + 2 * renewals - 2 * time
    variance = np.concatenate([[0.0], np.cumsum((growth[1:] + growth[:-1]) / 2) * STEP])
    return Sizes(scv, kappa, np.maximum(variance, 1e-12))
