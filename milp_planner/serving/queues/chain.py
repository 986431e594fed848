"""How likely an arrival is to wait: a birth–death chain at the rate of the state.

A replica with b in flight completes b/s(b) requests per second, s(b) = O·t_d(b) + b·t_p the time
that one spends there: O decode steps among b, and the prefills of as many others. A pool of several
replicas under a router that fills them evenly has each filled to the same share.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from operator import mul
from typing import TYPE_CHECKING

from milp_planner.lazily import dataclass
from milp_planner.serving.queues.gaps import POISSON, gamma_phases

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

NOTHING = 1e-13
"""Weight of a level, relative to the heaviest, below which those beneath it are left out."""

FIXED_POINT_STEPS = 5_000
ROOT_HALVINGS = 60


@dataclass(frozen=True)
class ReplicaQueue:
    """Equal replicas of a pool."""

    replicas: int
    service_s: Sequence[float]
    """s(b): time that a request spends in a replica with b = 1, 2, … S in flight   [s]."""

    @property
    def places(self) -> int:
        """Requests in flight at most, all replicas together."""
        return self.replicas * len(self.service_s)


def pool_rates(parts: Sequence[ReplicaQueue]) -> NDArray[float64]:
    """d(b): requests/s that a pool completes with b = 1 … K places taken, evenly filled.

    Part k holds φ·S_k requests in each replica when the pool is filled to φ = b/K, and completes
    n_k·φ·S_k ÷ s_k(φ·S_k); with less than one request per replica s_k is that of one alone. Unlike
    replicas behind one queue are an approximation. Raises ValueError for an empty pool.
    """
    import numpy as np

    places = sum(part.places for part in parts)
    if places < 1:
        raise ValueError("a pool needs a place")
    fill = np.arange(1, places + 1) / places
    total = np.zeros(places)
    for part in parts:
        curve = np.asarray(part.service_s, dtype=float)
        held = fill * len(curve)
        service_s = np.interp(held, np.arange(1, len(curve) + 1), curve)
        total += part.replicas * held / service_s
    return total


def waiting_share(
    loads: NDArray[float64], rates: NDArray[float64], gaps_scv: float = 1.0
) -> NDArray[float64]:
    """P(an arrival waits) at each of `loads` [requests/s]; 1 from the full rate on.

    rates: `pool_rates`. gaps_scv: c² as the places see it, `Sizes.seen_scv`.
    """
    import numpy as np

    full = rates[-1]
    safe = np.minimum(loads, full * (1 - 1e-9))
    if gaps_scv <= POISSON:
        found = _poisson(safe, rates)
    elif len(safe) == 1:
        found = np.array([_bunched_one(float(safe[0]), rates.tolist(), gaps_scv)])
    else:
        found = _bunched(safe, rates, gaps_scv)
    return np.where(loads >= full, 1.0, found)


def _poisson(loads: NDArray[float64], rates: NDArray[float64]) -> NDArray[float64]:
    """P_b ∝ Π_{i ≤ b} λ/d(i), then a geometric tail of ratio λ/d(K); P(wait) is the mass from K on.

    Arrivals see time averages (PASTA). With equal d(b) = b/s this is Erlang's C.
    """
    import numpy as np

    logs = np.log(loads)[:, None] - np.log(rates)[None, :]
    levels = np.concatenate([np.zeros((len(loads), 1)), np.cumsum(logs, axis=1)], axis=1)
    levels -= levels.max(axis=1, keepdims=True)
    weights = np.exp(levels)
    tail = weights[:, -1] / (1 - loads / rates[-1])
    return np.asarray(tail / (weights[:, :-1].sum(axis=1) + tail))


def _bunched(loads: NDArray[float64], rates: NDArray[float64], gaps_scv: float) -> NDArray[float64]:
    """The same as arrivals see it, for gamma gaps; exact for exponential sizes.

    Gaps are mixtures of exponentials of weights p_j and rates ν_j. A renewal forgets at each
    arrival, so that the phases seen at a level follow from those of the level above, q':

        x   = (1/d − Σ p_j/(ν_j + d)) ÷ Σ q'_j/(ν_j + d)         d of the level
        q_j = (p_j + x·q'_j)·d/(ν_j + d)

    x is what flows out of a level ÷ out of the one below. Above K it is the fixed point σ.
    """
    import numpy as np

    weights, per_gap = gamma_phases(gaps_scv)
    p = np.array(weights)[:, None]
    nu = np.array(per_gap)[:, None] * loads[None, :]

    def step(q: NDArray[float64], d: float) -> tuple[NDArray[float64], NDArray[float64]]:
        ends = 1 / (nu + d)
        x = (1 / d - (p * ends).sum(axis=0)) / (q * ends).sum(axis=0)
        x = np.maximum(x, 1e-300)
        return x, (p + x * q) * ends * d

    q = np.repeat(p, len(loads), axis=1)
    sigma = np.ones_like(loads)
    for _ in range(FIXED_POINT_STEPS):
        sigma, after = step(q, rates[-1])
        moved = float(np.abs(after - q).max())
        q = after
        if moved < 1e-12:
            break
    sigma = np.minimum(sigma, 1 - 1e-12)
    log_weight = np.zeros_like(loads)  # of level K − 1; weights fall towards 0 below it
    heaviest, below = np.zeros_like(loads), np.ones_like(loads)
    # summed relative to e^heaviest, so that no level overflows
    for d in rates[-2::-1]:
        x, q = step(q, d)
        log_weight = log_weight - np.log(x)
        new = np.maximum(heaviest, log_weight)
        below = below * np.exp(heaviest - new) + np.exp(log_weight - new)
        heaviest = new
        if (log_weight - heaviest < np.log(NOTHING)).all():
            break
    tail = sigma / (1 - sigma) * np.exp(-heaviest)
    return np.asarray(tail / (tail + below))


def _bunched_one(load: float, rates: Sequence[float], gaps_scv: float) -> float:
    """The same of a single load, in plain numbers, which a short loop over phases is faster with.

    σ is the root below 1 of x·Σ p_j·d/(ν_j + d)² ÷ (1 − x·d/(ν_j + d)) = 1/d − Σ p_j/(ν_j + d).
    """
    weights, per_gap = gamma_phases(gaps_scv)
    phases = [(p, gap * load) for p, gap in zip(weights, per_gap, strict=True)]
    full = rates[-1]
    ends = [1 / (nu + full) for _, nu in phases]
    wanted = 1 / full - sum(p * end for (p, _), end in zip(phases, ends, strict=True))
    terms = [(p * end * end * full, end * full) for (p, _), end in zip(phases, ends, strict=True)]
    low, sigma = 0.0, 1 - 1e-12
    for _ in range(ROOT_HALVINGS):
        middle = (low + sigma) / 2
        if middle * sum(a / (1 - middle * b) for a, b in terms) < wanted:
            low = middle
        else:
            sigma = middle
    q = [p * b / (1 - sigma * b) for (p, _), (_, b) in zip(phases, terms, strict=True)]
    log_weight = heaviest = 0.0
    below = 1.0
    nus = [nu for _, nu in phases]
    for d in reversed(rates[:-1]):
        ends = [1 / (nu + d) for nu in nus]
        flow = 1 / d - sum(map(mul, weights, ends))
        x = max(1e-300, flow / sum(map(mul, q, ends)))
        q = [(p + x * s) * end * d for p, s, end in zip(weights, q, ends, strict=True)]
        log_weight -= log(x)
        new = max(heaviest, log_weight)
        below = below * exp(heaviest - new) + exp(log_weight - new)
        heaviest = new
        if log_weight - heaviest < log(NOTHING):
            break
    tail = sigma / (1 - sigma) * exp(-heaviest)
    return tail / (tail + below)
