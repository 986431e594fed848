"""How much one pool carries with a wish kept, found in few looks."""

from __future__ import annotations

import math
from functools import lru_cache

from milp_planner.serving.queues.pools import LOAD_SLACK, Pool, QueueWish, log_missed

NEAR = 1e-5
"""Relative to the full rate: how exactly a load is found; far below `LOAD_SLACK`."""

LOOKS = 40
NO_MISSES = -50.0
"""A log of misses that is too far below what may be to say where that is."""


@lru_cache(maxsize=16_384)
def carried_load(pool: Pool, wish: QueueWish) -> float:
    """The largest load that passes `keeps`, from below   [requests/s].

    By halving until some miss it on either side, and then by regula falsi with the Illinois step:
    the log of the misses is nearly straight in the load.
    """
    low, below = 0.0, -math.inf
    high, above = pool.full_rate, log_missed(pool, pool.full_rate, wish) - wish.allowed
    last = 0
    for _ in range(LOOKS):
        if high - low <= NEAR * pool.full_rate:
            break
        middle = (low + high) / 2
        if below > NO_MISSES:
            middle = (low * above - high * below) / (above - below)
        found = log_missed(pool, middle, wish) - wish.allowed
        if found <= 0:
            low, below = middle, found
            above = above / 2 if last < 0 else above
            last = -1
        else:
            high, above = middle, found
            below = below / 2 if last > 0 else below
            last = 1
    return low / (1 - LOAD_SLACK)
