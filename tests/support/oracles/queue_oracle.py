"""Fleets that keep a wait, by trying all mixes: Erlang's C and the tail of a wait in plain loops.

Shares no line with the program or its check. For replicas that serve a request as slowly alone as
when full, and arrivals that are Poisson or come in bursts, of which the queue GI/M/c is solved
exactly and by another way (Takács, "Introduction to the Theory of Queues", 1962, chapter 2).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
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


SEEN = 4 * NormalDist().cdf(-math.sqrt(math.log(2) / 2))
"""2κ of lognormal sizes of a cv of 1: κ = ∫(1 − G)² is the mean of the smaller one of two."""


def late_share(
    load: float, rate: float, places: int, wait_s: float, gaps_scv: float = 1.0
) -> float:
    """P(W > wait_s) of `places` servers that complete `rate` requests/s when all are busy.

    gaps_scv: squared coefficient of variation of the gamma gaps.
    """
    if load >= rate:
        return 1.0
    if gaps_scv == 1:
        waiting = _erlang_c(load, rate, places)
    else:
        waiting = _takacs(load, rate, places, 1 + (gaps_scv - 1) * SEEN)
    if wait_s == 0:
        return waiting
    service_s = places / rate
    tau = np.array([0.0, *(service_s * 10 ** (-3 + 6 * i / 600) for i in range(601))])
    more = (rate * wait_s + (rate - load) * tau) ** 2
    departed = places * SIZES.variance_at((tau + wait_s) / service_s)
    came = load * gaps_scv * tau
    mine = (more / (came + departed)).min()
    exponential = (more / (came + rate * (tau + wait_s))).min()
    thins_out = rate * (1 - _sigma(load, rate, gaps_scv))
    return waiting * math.exp(-thins_out * wait_s * mine / exponential)


def _erlang_c(load: float, rate: float, places: int) -> float:
    offered, blocked = load * places / rate, 1.0
    for servers in range(1, places + 1):
        blocked = offered * blocked / (servers + offered * blocked)
    return blocked / (1 - load / rate * (1 - blocked))


def _gaps(s: float, load: float, gaps_scv: float) -> float:
    """E e^(−s·gap) of gamma gaps."""
    return (1 + s * gaps_scv / load) ** (-1 / gaps_scv)


def _sigma(load: float, rate: float, gaps_scv: float) -> float:
    """The root below 1 of σ = E e^(−rate·(1 − σ)·gap)."""
    low, high = 0.0, 1 - 1e-9
    for _ in range(60):
        middle = (low + high) / 2
        above = _gaps(rate * (1 - middle), load, gaps_scv) > middle
        low, high = (middle, high) if above else (low, middle)
    return low


def _takacs(load: float, rate: float, places: int, gaps_scv: float) -> float:
    """P(an arrival waits) in GI/M/c with gamma gaps."""
    sigma, log_c, terms = _sigma(load, rate, gaps_scv), 0.0, [0.0]
    for j in range(1, places + 1):
        phi = _gaps(j * rate / places, load, gaps_scv)
        log_c += math.log(phi / (1 - phi))
        ways = math.lgamma(places + 1) - math.lgamma(j + 1) - math.lgamma(places - j + 1)
        part = (places * (1 - phi) - j) / (places * (1 - sigma) - j)
        terms.append(math.exp(ways - log_c) / (1 - phi) * part)
    return 1 / (1 / (1 - sigma) + math.fsum(terms)) / (1 - sigma)


Wishes = Sequence[tuple[float, float]]
"""Waits in seconds, and the share of the requests that must keep each."""


class Wished(NamedTuple):
    """Times in seconds and the share of the requests that must keep each; 0 means the mean."""

    waits: Wishes = ()
    requests: Wishes = ()
    gaps_scv: float = 1.0


def keeps(load: float, on: Sequence[tuple[Kind, int]], wished: Wished) -> bool:
    """Whether the units keep every wish: twice as many waits are taken to be too long as are."""
    on = [(kind, n) for kind, n in on if n]
    rate = sum(kind.rate * n for kind, n in on)
    places = sum(kind.places * n for kind, n in on)
    slowest_s = 1.04 * max((kind.places / kind.rate for kind, _ in on), default=0.0)
    if load >= rate:
        return False
    means = any(not share for _, share in (*wished.waits, *wished.requests))
    scv = wished.gaps_scv
    tail = _tail(load, rate, places, scv) if means or wished.requests else ()
    return all(
        _mean(tail) * 2 <= w
        if not share
        else late_share(load, rate, places, w, scv) * 2 <= 1 - share
        for w, share in wished.waits
    ) and all(
        _mean(tail) * 2 + slowest_s <= w
        if not share
        else _late_requests(tail, slowest_s, w) <= 1 - share
        for w, share in wished.requests
    )


Tail = Sequence[tuple[float, float]]
"""Waits in seconds, and which share of the requests waits longer."""


def _tail(load: float, rate: float, places: int, scv: float) -> Tail:
    waits = [0.0, *(10 ** (-3 + 6 * i / 60) / max(rate - load, 1e-9) for i in range(61))]
    return [(w, late_share(load, rate, places, w, scv)) for w in waits]


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


# ---- kinds that queue each by itself: what they carry is added up

HALVINGS = 17


def carried(kind: Kind, n: int, wished: Wished) -> float:
    """Requests/s that `n` units of one kind carry with every wish kept, by halving."""
    low, high = 0.0, kind.rate * n
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if keeps(middle, [(kind, n)], wished) else (low, middle)
    return low


def cheapest_of_own_queues(
    load: float,
    kinds: Mapping[str, Kind],
    wished: Wished,
    *,
    most: int,
    target: float = 1.0,
    left: float = 0.0,
    groups: Mapping[str, str] | None = None,
    share: float = 1.0,
) -> float:
    """Of all mixes whose kinds each queue by themselves.

    groups: of which none may serve more than `share` of the load; left: the share that must be
    carried without any `kind.group`.
    """
    known: dict[tuple[str, int], float] = {}

    def alone(name: str, n: int) -> float:
        if (name, n) not in known:
            known[name, n] = carried(kinds[name], n, wished)
        return known[name, n]

    priced = sorted(
        (sum(kind.usd * n for kind, n in zip(kinds.values(), mix, strict=True)), mix)
        for mix in itertools.product(range(most + 1), repeat=len(kinds))
    )
    for usd, mix in priced:
        on = {name: n for name, n in zip(kinds, mix, strict=True) if n}
        if sum(target * kinds[name].rate * n for name, n in on.items()) < load * (1 - 1e-9):
            continue
        own = {name: min(alone(name, n), target * kinds[name].rate * n) for name, n in on.items()}
        if _with_shares(load, own, groups or {}, share) < load * (1 - 1e-9):
            continue
        lost = {kinds[name].group for name in on} if left else set()
        if all(
            sum(alone(name, n) for name, n in on.items() if kinds[name].group != gone)
            >= left * load * (1 - 1e-9)
            for gone in lost
        ):
            return usd
    return math.inf


def _with_shares(
    load: float, own: Mapping[str, float], groups: Mapping[str, str], share: float
) -> float:
    """What all can be sent together, of each group at most its share."""
    by_group: dict[str, float] = {}
    for name, rate in own.items():
        group = groups.get(name, "")
        by_group[group] = by_group.get(group, 0.0) + rate
    return sum(min(rate, share * load) if group else rate for group, rate in by_group.items())


def routes_carry(
    sent: Sequence[tuple[Kind, int, float]], wished: Wished, slack: float = 1e-3
) -> bool:
    """Whether every (kind, units, requests/s) keeps the wishes, but for a slack of the rate."""
    return all(keeps(rate * (1 - slack), [(kind, n)], wished) for kind, n, rate in sent if rate)
