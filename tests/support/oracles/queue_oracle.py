"""Fleets that keep a wait, by trying all mixes: Erlang's C and the tail of a wait in plain loops.

Shares no line with the program or its check. For Poisson arrivals and replicas that serve a request
as slowly alone as when full.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from milp_planner.serving.queues.sizes import lognormal_sizes

SIZES = lognormal_sizes(1.0)


class Kind(NamedTuple):
    """A unit that can be rented."""

    rate: float
    places: int
    usd: float
    group: str = ""


def late_share(load: float, rate: float, places: int, wait_s: float) -> float:
    """P(W > wait_s) of `places` servers that complete `rate` requests/s when all are busy."""
    if load >= rate:
        return 1.0
    offered, blocked = load * places / rate, 1.0
    for servers in range(1, places + 1):
        blocked = offered * blocked / (servers + offered * blocked)
    waiting = blocked / (1 - load / rate * (1 - blocked))
    service_s = places / rate

    def least(spread) -> float:
        steps = [0.0, *(service_s * 10 ** (-3 + 6 * i / 600) for i in range(601))]
        paths = ((rate * wait_s + (rate - load) * tau) ** 2 / spread(tau) for tau in steps)
        return min(paths)

    def departed(tau: float) -> float:
        return places * float(SIZES.variance_at(np.array([(tau + wait_s) / service_s]))[0])

    mine = least(lambda tau: load * tau + departed(tau))
    exponential = least(lambda tau: load * tau + rate * (tau + wait_s))
    return waiting * math.exp(-(rate - load) * wait_s * mine / exponential)


Wishes = Sequence[tuple[float, float]]
"""Waits in seconds, and the share of the requests that must keep each."""


def keeps(load: float, on: Sequence[tuple[Kind, int]], wishes: Wishes) -> bool:
    """Whether the units keep every (wait, share), with half of the misses as a margin."""
    rate = sum(kind.rate * n for kind, n in on)
    places = sum(kind.places * n for kind, n in on)
    return all(late_share(load, rate, places, w) <= (1 - share) / 2 for w, share in wishes)


def cheapest_usd(
    load: float,
    kinds: Sequence[Kind],
    wishes: Wishes,
    *,
    target: float = 1.0,
    most: int = 16,
    left: float = 0.0,
) -> float:
    """Of all mixes; with `left` also those that keep that share of the load without any group."""
    for usd, mix in sorted(_mixes(kinds, most)):
        on = list(zip(kinds, mix, strict=True))
        if sum(kind.rate * n for kind, n in on) * target < load * (1 - 1e-9):
            continue
        groups = {kind.group for kind, n in on if n} if left else set()
        if keeps(load, on, wishes) and all(
            keeps(left * load, [(kind, n) for kind, n in on if kind.group != lost], wishes)
            for lost in groups
        ):
            return usd
    return math.inf


def _mixes(kinds: Sequence[Kind], most: int) -> Iterator[tuple[float, tuple[int, ...]]]:
    for mix in itertools.product(range(most + 1), repeat=len(kinds)):
        yield sum(kind.usd * n for kind, n in zip(kinds, mix, strict=True)), mix
