"""How long an arrival waits, and the load that a pool may carry under a wish for the wait.

    P(W > w) = P(wait) · exp(−I(w))
    I(w) = θ·w · J(V_a, V_s; w) ÷ J(V_a, V_exp; w)
    J    = min over τ ≥ 0 of (μw + (μ − λ)τ)² ÷ (V_a(τ) + V_s(τ + w))
    V_a(τ) = λ·c²·τ,   V_s(t) = K·V(t/s),   V_exp(t) = μt,   s = K/μ

A wait of w needs that over some time τ before, and w, more came than departed; J is how unlikely
that is when both fluctuate by their variance over *that* time (the most likely path of a Gaussian
queue: Addie and Zukerman 1994, Norros 1994), and the quotient makes it exact for exponential sizes.
Waits far shorter than a service do not see how sizes spread: over a short time the departures of
many places look Poisson.

The load found is 0.95 to 1.06 of the replayed one, with least-in-flight routing: measured by replay
in tests/replay/test_engine.py. It is not judged where bursts leave a small pool less than a tenth
of its full load.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from milp_planner.serving.queues.chain import waiting_share
from milp_planner.serving.queues.gaps import POISSON, decay_per_s
from milp_planner.serving.queues.sizes import Sizes, lognormal_sizes

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

MARGIN = 0.5
"""Share of the misses allowed that the formula is asked for. At 1 it is centred on what a replay
finds (tests/replay/test_engine.py), at 0.5 on its safe side (tests/replay/test_allowed.py)."""

LEAST_PLACES = 8
"""Before replicas of fewer places a queue each is far from one queue before all, which the formulas
are about: whoever joined the wrong one waits."""

LEAST_JUDGED = 0.10
"""Share of the full load below which a load under bursts is not judged: gaps of c 3 before one
small replica come nearly in batches, which no renewal formula for long queues describes."""

ROUNDS, POINTS = 6, 8


def waits_beyond(
    wait_s: float,
    loads: NDArray[float64],
    rates: NDArray[float64],
    sizes: Sizes,
    gaps_scv: float = 1.0,
) -> NDArray[float64]:
    """P(W > wait_s) at each of `loads` [requests/s]; 1 from the full rate on.

    rates: `pool_rates` of the pool, requests/s. gaps_scv: c² of the gaps between arrivals.
    """
    import numpy as np

    waiting = waiting_share(loads, rates, _seen(sizes, gaps_scv))
    unlikely = exponent(np.full_like(loads, wait_s), loads, rates, sizes, gaps_scv)
    return np.asarray(waiting * np.exp(-unlikely))


def exponent(
    waits_s: NDArray[float64],
    loads: NDArray[float64],
    rates: NDArray[float64],
    sizes: Sizes,
    gaps_scv: float,
) -> NDArray[float64]:
    """I(w) for each pair of wait [s] and load [requests/s]; 0 from the full rate on."""
    import numpy as np

    places, full = len(rates), float(rates[-1])
    service_s = places / full
    tau = _lookback() * service_s
    load, wait = loads[:, None], waits_s[:, None]
    more = (full * wait + (full - load) * tau) ** 2
    arrivals = load * max(gaps_scv, 1.0) * tau
    spread = places * sizes.variance_at((tau + wait) / service_s)
    mine = (more / np.maximum(arrivals + spread, 1e-300)).min(axis=1)
    exponential = (more / np.maximum(arrivals + full * (tau + wait), 1e-300)).min(axis=1)
    theta = decay_per_s(loads, full, gaps_scv)
    found = theta * waits_s * mine / np.maximum(exponential, 1e-300)
    return np.where(loads < full, found, 0.0)


@cache
def _lookback() -> NDArray[float64]:
    """Times τ over which a queue may have built up, in services."""
    import numpy as np

    return np.concatenate([[0.0], np.geomspace(0.003, 400, 100)])


def wait_quantile_s(
    share: float,
    load: float,
    rates: NDArray[float64],
    sizes: Sizes | None = None,
    gaps_scv: float = 1.0,
) -> float:
    """The wait that a `share` of the requests does not exceed, at `load` requests/s   [s].

    0 where fewer wait at all; infinite from the full rate on.
    """
    import numpy as np

    known = lognormal_sizes(1.0) if sizes is None else sizes
    loads = np.array([load])
    if load >= rates[-1]:
        return float("inf")
    waiting = float(waiting_share(loads, rates, _seen(known, gaps_scv))[0])
    if waiting <= 1 - share:
        return 0.0
    needed = np.log(waiting / (1 - share))

    def reached(wait_s: float) -> bool:
        return bool(exponent(np.array([wait_s]), loads, rates, known, gaps_scv)[0] >= needed)

    low, high = 0.0, float(needed / max(1e-300, decay_per_s(loads, rates[-1], gaps_scv)[0]))
    while not reached(high):
        low, high = high, 2 * high
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def admissible_load(
    wait_s: float,
    share: float,
    rates: NDArray[float64],
    sizes: Sizes | None = None,
    gaps_scv: float = 1.0,
    *,
    margin: float = MARGIN,
    at_least: float = 0.0,
) -> float:
    """A, the largest load at which P(W > wait_s) ≤ margin · (1 − share)   [requests/s].

    rates: `pool_rates` of the pool. sizes: how the work of requests spreads; default: lognormal
    with a cv of 1. gaps_scv: c² of the gaps. margin: share of the misses allowed that is asked
    for. at_least: a load known to be admissible, such as that of a smaller pool.
    """
    import numpy as np

    known = lognormal_sizes(1.0) if sizes is None else sizes
    low, high = at_least, float(rates[-1])
    allowed = margin * (1 - share)
    for _ in range(ROUNDS):
        tried = np.linspace(low, high, POINTS + 2)[1:-1]
        kept = waits_beyond(wait_s, tried, rates, known, gaps_scv) <= allowed
        first = POINTS if kept.all() else int(np.argmin(kept))
        low, high = (
            float(tried[first - 1]) if first else low,
            float(tried[first]) if first < POINTS else high,
        )
    return low


def is_judged(load: float, rates: NDArray[float64], gaps_scv: float) -> bool:
    """Whether the formula is known to hold for an admissible load under such gaps."""
    return gaps_scv <= POISSON or load >= LEAST_JUDGED * float(rates[-1])


def _seen(sizes: Sizes, gaps_scv: float) -> float:
    return sizes.seen_scv(max(gaps_scv, 1.0))
