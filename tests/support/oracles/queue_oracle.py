"""Fleets that keep a wait, by trying all mixes: Erlang's C and the tail of a wait in plain loops.

Shares no line with the program or its check. For Poisson arrivals and replicas that serve a request
as slowly alone as when full.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from statistics import NormalDist
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
    if wait_s == 0:
        return waiting
    service_s = places / rate
    tau = np.array([0.0, *(service_s * 10 ** (-3 + 6 * i / 600) for i in range(601))])
    more = (rate * wait_s + (rate - load) * tau) ** 2
    departed = places * SIZES.variance_at((tau + wait_s) / service_s)
    mine = (more / (load * tau + departed)).min()
    exponential = (more / (load * tau + rate * (tau + wait_s))).min()
    return waiting * math.exp(-(rate - load) * wait_s * mine / exponential)


Wishes = Sequence[tuple[float, float]]
"""Waits in seconds, and the share of the requests that must keep each."""


class Wished(NamedTuple):
    """Times in seconds and the share of the requests that must keep each; 0 means the mean."""

    waits: Wishes = ()
    requests: Wishes = ()


def keeps(load: float, on: Sequence[tuple[Kind, int]], wished: Wished) -> bool:
    """Whether the units keep every wish: twice as many waits are taken to be too long as are."""
    on = [(kind, n) for kind, n in on if n]
    rate = sum(kind.rate * n for kind, n in on)
    places = sum(kind.places * n for kind, n in on)
    slowest_s = 1.04 * max((kind.places / kind.rate for kind, _ in on), default=0.0)
    if load >= rate:
        return False
    means = any(not share for _, share in (*wished.waits, *wished.requests))
    tail = _tail(load, rate, places) if means or wished.requests else ()
    return all(
        _mean(tail) * 2 <= w if not share else late_share(load, rate, places, w) * 2 <= 1 - share
        for w, share in wished.waits
    ) and all(
        _mean(tail) * 2 + slowest_s <= w
        if not share
        else _late_requests(tail, slowest_s, w) <= 1 - share
        for w, share in wished.requests
    )


Tail = Sequence[tuple[float, float]]
"""Waits in seconds, and which share of the requests waits longer."""


def _tail(load: float, rate: float, places: int) -> Tail:
    waits = [0.0, *(10 ** (-3 + 6 * i / 60) / max(rate - load, 1e-9) for i in range(61))]
    return [(w, late_share(load, rate, places, w)) for w in waits]


def _mean(tail: Tail) -> float:
    return sum((b - a) * (p + q) / 2 for (a, p), (b, q) in itertools.pairwise(tail))


def _late_requests(tail: Tail, service_s: float, wished_s: float) -> float:
    spread, points = math.sqrt(math.log(2)), range(2000)
    normal = [NormalDist().inv_cdf((i + 0.5) / 2000) for i in points]
    sizes = np.exp(spread * np.array(normal) - spread**2 / 2)
    left_s = wished_s - sizes * service_s
    waits, beyond = zip(*tail, strict=True)
    logs = np.interp(left_s, waits, np.log(np.maximum(beyond, 1e-300)))
    return float(np.where(left_s > 0, np.minimum(1, 2 * np.exp(logs)), 1.0).mean())


def cheapest_usd(
    load: float,
    kinds: Sequence[Kind],
    wished: Wished,
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
        if keeps(load, on, wished) and all(
            keeps(left * load, [(kind, n) for kind, n in on if kind.group != lost], wished)
            for lost in groups
        ):
            return usd
    return math.inf


def _mixes(kinds: Sequence[Kind], most: int) -> Iterator[tuple[float, tuple[int, ...]]]:
    for mix in itertools.product(range(most + 1), repeat=len(kinds)):
        yield sum(kind.usd * n for kind, n in zip(kinds, mix, strict=True)), mix
