"""Pools as two sums, and the half-planes that hold every pool which keeps a wish for the wait.

A pool of replicas k behind one router completes C = Σ μ_k n_k requests/s when full and holds
K = Σ S_k n_k in flight. Filled to f = b/K it completes

    d(b) = C·f ÷ (φ + (1 − φ)·f)

where a replica that is alone with one request serves it in φ of the time it takes when full, which
is safe with the largest φ of its replicas. The pools that keep P(W > w) ≤ misses at a given load
are a convex set of (C, K), so that every tangent of its edge holds all of them:

    g_C·C + g_K·K ≥ 1
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

from milp_planner.serving.queues.sizes import Sizes
from milp_planner.serving.queues.wait import MARGIN, waits_beyond

LOAD_SLACK = 2e-4
"""Relative: a pool passes that keeps its wish at a load smaller by this."""

CUT_SLACK = 5e-5
"""Relative, of the right side of a cut: what its slope may be off by. Less than `LOAD_SLACK`, so
that a pool that does not pass is cut off."""

PHI_STEP = 0.2
"""φ is rounded up to a multiple of it, so that many kinds of replicas share their cuts."""

MOST_PLACES = 20_000
"""A larger pool is reckoned as one of so many places, in which no fewer wait."""

GROWTH, HALVINGS, LOAD_HALVINGS = 1.25, 44, 24


class Pool(NamedTuple):
    """All that the wait depends on, beside the load."""

    full_rate: float
    """C, requests/s."""

    places: float
    """K; between whole numbers the log of the misses is read off a straight line."""

    alone: float
    """φ: time in service of a request that is alone ÷ that in a full replica."""

    def times(self, factor: float) -> Pool:
        """A pool of so many times the replicas."""
        return Pool(self.full_rate * factor, self.places * factor, self.alone)


class WaitWish(NamedTuple):
    """A wait that a share of the requests must not exceed, and how those come."""

    wait_s: float
    share: float
    gaps_scv: float
    sizes: Sizes

    @property
    def allowed(self) -> float:
        """log of the misses that a pool may have: `MARGIN` of those that the wish allows."""
        return math.log(MARGIN * (1 - self.share))


class Cut(NamedTuple):
    """g_C·C + g_K·K ≥ 1, which every pool keeps that keeps the wish."""

    per_rate: float
    per_place: float


def rounded_up(alone: float) -> float:
    """φ on its grid."""
    return min(1.0, math.ceil(alone / PHI_STEP - 1e-9) * PHI_STEP)


def alone_share(service_s: tuple[float, ...]) -> float:
    """The least φ whose straight line s(b) = s(S)·(φ + (1 − φ)·b/S) is nowhere below `service_s`.

    service_s: s(b) for b = 1 … S   [s].
    """
    full, places = service_s[-1], len(service_s)
    if places == 1:
        return 1.0
    above = (
        (s / full - b / places) / (1 - b / places) for b, s in enumerate(service_s[:-1], start=1)
    )
    return min(1.0, max(0.0, *above))


def keeps(pool: Pool, load: float, wish: WaitWish) -> bool:
    """Whether a pool keeps the wish at `load` requests/s, but for `LOAD_SLACK` of it."""
    return log_misses(pool, load * (1 - LOAD_SLACK), wish) <= wish.allowed


@lru_cache(maxsize=4096)
def most_load(pool: Pool, wish: WaitWish) -> float:
    """The largest load that the pool carries with the wish kept   [requests/s]."""
    low, high = 0.0, pool.full_rate
    for _ in range(LOAD_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if keeps(pool, middle, wish) else (low, middle)
    return low


@lru_cache(maxsize=4096)
def quantile_s(pool: Pool, load: float, wish: WaitWish) -> float:
    """The shortest wait that the pool keeps for the wish's share; infinite when full   [s]."""
    if load * (1 - LOAD_SLACK) >= pool.full_rate:
        return math.inf
    if keeps(pool, load, wish._replace(wait_s=0.0)):
        return 0.0  # so many do not wait at all
    low, high = 0.0, 1e-3
    while not keeps(pool, load, wish._replace(wait_s=high)):
        low, high = high, 2 * high
    for _ in range(LOAD_HALVINGS):
        middle = (low + high) / 2
        if keeps(pool, load, wish._replace(wait_s=middle)):
            high = middle
        else:
            low = middle
    return high


def log_misses(pool: Pool, load: float, wish: WaitWish) -> float:
    """log P(W > w); 0 from the full rate on."""
    if load >= pool.full_rate:
        return 0.0
    if pool.places > MOST_PLACES:
        smaller = MOST_PLACES / pool.places
        pool, load = pool.times(smaller), load * smaller
    below = max(1, math.floor(pool.places))
    part = max(0.0, pool.places - below)
    low = _log_misses(pool, below, load, wish)
    return (
        low if part < 1e-9 else (1 - part) * low + part * _log_misses(pool, below + 1, load, wish)
    )


def _log_misses(pool: Pool, places: int, load: float, wish: WaitWish) -> float:
    import numpy as np

    fill = np.arange(1, places + 1) / places
    rates = pool.full_rate * fill / (pool.alone + (1 - pool.alone) * fill)
    misses = waits_beyond(wish.wait_s, np.array([load]), rates, wish.sizes, wish.gaps_scv)
    return math.log(max(1e-300, float(misses[0])))


@lru_cache(maxsize=4096)
def times_needed(pool: Pool, load: float, wish: WaitWish) -> float:
    """How many times the pool's replicas just keep the wish at `load` requests/s."""
    low = load / pool.full_rate
    high = max(1.02 * low, 1 / pool.places)
    while log_misses(pool.times(high), load, wish) > wish.allowed:
        low, high = high, GROWTH * high
    for _ in range(HALVINGS):
        if high - low <= 1e-9 * high:
            break
        middle = (low + high) / 2
        if log_misses(pool.times(middle), load, wish) > wish.allowed:
            low = middle
        else:
            high = middle
    return high


@lru_cache(maxsize=4096)
def cut_of(pool: Pool, load: float, wish: WaitWish) -> Cut:
    """The tangent where the ray through `pool` enters the pools that keep the wish at `load`."""
    edge = pool.times(times_needed(pool, load, wish))
    step = 1e-5 * edge.full_rate
    faster = log_misses(edge._replace(full_rate=edge.full_rate + step), load, wish)
    slower = log_misses(edge._replace(full_rate=edge.full_rate - step), load, wish)
    below = max(1, math.floor(edge.places))
    more = log_misses(edge._replace(places=below + 1), load, wish)
    fewer = log_misses(edge._replace(places=below), load, wish)
    per_rate, per_place = (slower - faster) / (2 * step), max(0.0, fewer - more)
    right = (per_rate * edge.full_rate + per_place * edge.places) * (1 - CUT_SLACK)
    return Cut(per_rate / right, per_place / right)
