"""Pools as two sums, and the half-planes that hold every pool which keeps a wish.

A pool of replicas k behind one router completes C = Σ μ_k n_k requests/s when full and holds
K = Σ S_k n_k in flight. Filled to f = b/K it completes

    d(b) = C·f ÷ (φ + (1 − φ)·f)

where a replica that is alone with one request serves it in φ of the time it takes when full, which
is safe with the largest φ of its replicas. A request of x times the mean work leaves after

    W + x·s·(φ + (1 − φ)·f),   d(f·K) = λ

s the longest time that a full replica takes for the mean one. The pools that keep a wish at a given
load are a convex set of (C, K), so that every tangent of its edge holds all of them:

    g_C·C + g_K·K ≥ 1
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from milp_planner.serving.queues.chain import waiting_share
from milp_planner.serving.queues.gaps import decay_per_s
from milp_planner.serving.queues.sizes import Sizes, Work
from milp_planner.serving.queues.wait import MARGIN, exponent, waits_beyond

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

LOAD_SLACK = 2e-4
"""Relative: a pool passes that keeps its wish at a load smaller by this."""

CUT_SLACK = 5e-5
"""Relative, of the right side of a cut: what its slope may be off by. Less than `LOAD_SLACK`, so
that a pool that does not pass is cut off."""

PHI_STEP, REQUEST_PHI_STEP = 0.05, 0.001
"""φ is rounded up to a multiple of the first, so that many kinds of replicas share their cuts, and
where whole requests count of the second: φ says how long they take in a replica that is nearly
empty, five times as long with 0.05 in place of 0.01."""

MOST_PLACES = 20_000
"""A larger pool is reckoned as one of so many places, in which no fewer wait."""

SERVICE_SLACK = 1.04
"""A request in service takes so many times what it takes at the mean number in flight: what comes
and goes meanwhile makes it 1 to 4 % longer (measured by replay)."""

GROWTH, LOOKS, LOAD_HALVINGS = 1.25, 60, 24
NEAR = 2e-6
"""Relative: how exactly the edge is found; far below `CUT_SLACK`."""

MOST_TIMES = 1e5
"""Of the least pool that carries a load: what it does not keep, no pool does."""

FIRST_ROOM, MOST_TURNS, TURN = 1.05, 4, 0.03
"""A pool on the edge is first looked for so many times as fast as the load, and is near a ray when
it has this share more or fewer places than it."""

NEVER = 50.0
"""The log of a mean that has no end."""

LONGEST, STEPS = 60.0, 80
"""Waits are looked at up to so many times 1/θ, in so many steps."""

LEAST_IDLE = 1e-12
"""Of the full rate: fuller pools are looked at as if they were so full, where 1/θ has a size."""


class Pool(NamedTuple):
    """All that times depend on, beside the load."""

    full_rate: float
    """C, requests/s."""

    places: float
    """K; between whole numbers the logs are read off a straight line."""

    alone: float
    """φ: time in service of a request that is alone ÷ that in a full replica."""

    slowest_s: float = 0.0
    """s: the longest time of a mean request in a full replica; 0 where only waits count."""

    def times(self, factor: float) -> Pool:
        """A pool of so many times the replicas."""
        return self._replace(full_rate=self.full_rate * factor, places=self.places * factor)

    def service_s(self, load: float) -> float:
        """The time of a mean request in the slowest replica, as full as `load` makes it   [s]."""
        load = min(load, self.full_rate)
        fill = load * self.alone / (self.full_rate - load * (1 - self.alone))
        return SERVICE_SLACK * self.slowest_s * (self.alone + (1 - self.alone) * fill)


class QueueWish(NamedTuple):
    """A time that a share of the requests must not exceed, and how those come."""

    metric: Literal["wait", "request", "ttft", "tpot"]
    """wait or request: the others are none of what pools are judged by."""

    wished_s: float
    share: float | None
    """None for the mean."""

    gaps_scv: float
    sizes: Sizes
    work: Work
    """The sizes one by one, for whole requests."""

    @property
    def allowed(self) -> float:
        """log of what a pool may have: misses, of waits `MARGIN` of the wish's; or the mean."""
        if self.share is None:
            return math.log(self.wished_s)
        return math.log((MARGIN if self.metric == "wait" else 1.0) * (1 - self.share))


class Cut(NamedTuple):
    """g_C·C + g_K·K ≥ 1, which every pool keeps that keeps the wish; both 0 where none does."""

    per_rate: float
    per_place: float


def rounded_up(alone: float, *, whole: bool) -> float:
    """φ on its grid, the finer one where whole requests count."""
    step = REQUEST_PHI_STEP if whole else PHI_STEP
    return min(1.0, math.ceil(alone / step - 1e-9) * step)


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


def keeps(pool: Pool, load: float, wish: QueueWish) -> bool:
    """Whether a pool keeps the wish at `load` requests/s, but for `LOAD_SLACK` of it."""
    return log_missed(pool, load * (1 - LOAD_SLACK), wish) <= wish.allowed


def least_s(pool: Pool, wish: QueueWish) -> float:
    """The time that ever so many of such replicas keep, nearly empty, without any wait   [s]."""
    if wish.metric == "wait":
        return 0.0
    served_s = pool.service_s(pool.full_rate * LEAST_FILL)
    if wish.share is None:
        return served_s
    late, ordered = 0.0, sorted(zip(wish.work.sizes, wish.work.weights, strict=True), reverse=True)
    for size, weight in ordered:
        late += weight
        if late > 1 - wish.share:
            return size * served_s
    return 0.0


@lru_cache(maxsize=4096)
def most_load(pool: Pool, wish: QueueWish) -> float:
    """The largest load that the pool carries with the wish kept   [requests/s]."""
    low, high = 0.0, pool.full_rate
    for _ in range(LOAD_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if keeps(pool, middle, wish) else (low, middle)
    return low


@lru_cache(maxsize=4096)
def reached_s(pool: Pool, load: float, wish: QueueWish) -> float:
    """The shortest time that the pool keeps in place of the wished; infinite when full   [s]."""
    if load * (1 - LOAD_SLACK) >= pool.full_rate:
        return math.inf
    if keeps(pool, load, wish._replace(wished_s=LEAST_S)):
        return 0.0  # so many do not wait at all
    low, high = LEAST_S, 1e-3
    while not keeps(pool, load, wish._replace(wished_s=high)):
        low, high = high, 2 * high
    for _ in range(LOAD_HALVINGS):
        middle = (low + high) / 2
        if keeps(pool, load, wish._replace(wished_s=middle)):
            high = middle
        else:
            low = middle
    return high


LEAST_S = 1e-9


def log_missed(pool: Pool, load: float, wish: QueueWish) -> float:
    """log P(later than wished), or of the mean; that of a full pool from the full rate on.

    A wait is reckoned with φ on the grid of waits, whatever other wish made it a finer one.
    """
    if wish.metric == "wait":
        pool = pool._replace(alone=rounded_up(pool.alone, whole=False))
    if load >= pool.full_rate:
        return 0.0 if wish.share is not None else NEVER
    if pool.places > MOST_PLACES:
        smaller = MOST_PLACES / pool.places
        pool, load = pool.times(smaller), load * smaller
    below = max(1, math.floor(pool.places))
    part = max(0.0, pool.places - below)
    low = _log_missed(pool, below, load, wish)
    if part < 1e-9:
        return low
    return (1 - part) * low + part * _log_missed(pool, below + 1, load, wish)


def _log_missed(pool: Pool, places: int, load: float, wish: QueueWish) -> float:
    import numpy as np

    fill = np.arange(1, places + 1) / places
    rates = pool.full_rate * fill / (pool.alone + (1 - pool.alone) * fill)
    if wish.metric == "wait" and wish.share is not None:
        late = waits_beyond(wish.wished_s, np.array([load]), rates, wish.sizes, wish.gaps_scv)
        return math.log(max(1e-300, float(late[0])))
    waits_s, beyond = _tail(load, rates, wish)
    if wish.share is None:
        mean_wait_s = float(((beyond[1:] + beyond[:-1]) / 2) @ np.diff(waits_s)) / MARGIN
        served_s = pool.service_s(load) if wish.metric == "request" else 0.0
        return math.log(max(1e-300, mean_wait_s + served_s))
    left_s = wish.wished_s - pool.service_s(load) * np.array(wish.work.sizes)
    late = np.exp(np.interp(left_s, waits_s, np.log(np.maximum(beyond, 1e-300)))) / MARGIN
    late = np.where(left_s <= 0, 1.0, np.minimum(1.0, late))
    return math.log(max(1e-300, float(late @ np.array(wish.work.weights))))


def _tail(
    load: float, rates: NDArray[float64], wish: QueueWish
) -> tuple[NDArray[float64], NDArray[float64]]:
    """Waits [s] and the share of the requests that wait longer than each."""
    import numpy as np

    loads, scv = np.array([load]), max(1.0, wish.gaps_scv)
    theta = max(float(decay_per_s(loads, float(rates[-1]), scv)[0]), LEAST_IDLE * float(rates[-1]))
    steps = np.concatenate([[0.0], np.geomspace(1e-3, LONGEST, STEPS)])
    waits_s = steps / theta
    waiting = float(waiting_share(loads, rates, wish.sizes.seen_scv(scv))[0])
    unlikely = exponent(waits_s, np.full_like(waits_s, load), rates, wish.sizes, scv)
    return waits_s, waiting * np.exp(-unlikely)


LEAST_FILL = 0.01
"""Utilization below which no fleet is looked for that keeps a wish for whole requests."""


@lru_cache(maxsize=8192)
def times_enough(pool: Pool, load: float, wish: QueueWish) -> float:
    """At most a quarter more than `times_needed`, in a few looks."""
    return _bracket(pool, load, wish)[2]


@lru_cache(maxsize=8192)
def times_needed(pool: Pool, load: float, wish: QueueWish) -> float:
    """How many times the pool's replicas just keep the wish at `load` requests/s; else infinite.

    Regula falsi with the Illinois step: the log of the misses is nearly straight there.
    """
    low, above, high, below = _bracket(pool, load, wish)
    if math.isinf(high):
        return high
    for _ in range(LOOKS):
        if high - low <= NEAR * high:
            break
        middle = min(max((low * below - high * above) / (below - above), low), high)
        if not low < middle < high:
            middle = (low + high) / 2
        found = log_missed(pool.times(middle), load, wish) - wish.allowed
        if found > 0:
            low, above, below = middle, found, below / 2
        else:
            high, below, above = middle, found, above / 2
    return high


def _bracket(pool: Pool, load: float, wish: QueueWish) -> tuple[float, float, float, float]:
    """(too few, by how much they miss, enough, by how much they keep), in times the pool."""
    if least_s(pool, wish) > wish.wished_s:
        return 0.0, 1.0, math.inf, -1.0
    low = load / pool.full_rate
    above = log_missed(pool.times(low), load, wish) - wish.allowed
    high = max(1.02 * low, 1 / pool.places)
    most = MOST_TIMES * high
    while (found := log_missed(pool.times(high), load, wish) - wish.allowed) > 0:
        low, above, high = high, found, GROWTH * high
        if high > most:
            return low, above, math.inf, -1.0
    return low, above, high, found


@lru_cache(maxsize=65536)
def cut_of(pool: Pool, load: float, wish: QueueWish) -> Cut:
    """A tangent of the pools that keep the wish at `load`, near the ray through `pool`.

    It touches their edge at a whole number of places, where one look tells how many miss. A pool
    that does not keep the wish is cut off by it.
    """
    if least_s(pool, wish) > wish.wished_s:
        return Cut(0.0, 0.0)
    rate = max(pool.full_rate, FIRST_ROOM * load)
    places = max(1, round(pool.places * rate / pool.full_rate))
    for _ in range(MOST_TURNS):
        edge = _edge(pool, rate, places, load, wish)
        aim = max(1, round(pool.places * edge.full_rate / pool.full_rate))
        if math.isinf(edge.full_rate) or abs(aim - places) <= TURN * places:
            break
        rate, places = edge.full_rate, aim
    cut = _tangent(edge, load, wish)
    if not _cuts_off(cut, pool) and not keeps(pool, load, wish):
        # there is an edge straight above the pool, too, and what touches it there has it below
        whole = max(1, math.floor(pool.places))
        cut = _tangent(_edge(pool, rate, whole, load, wish), load, wish)
    return cut


def _cuts_off(cut: Cut, pool: Pool) -> bool:
    return cut.per_rate * pool.full_rate + cut.per_place * pool.places < 1 - 1e-9


def _edge(pool: Pool, rate: float, places: int, load: float, wish: QueueWish) -> Pool:
    """The slowest pool of so many places that keeps the wish; endlessly fast where none does.

    rate: a guess, requests/s. Regula falsi with the Illinois step: the log of the misses is nearly
    straight there.
    """
    at = pool._replace(places=float(places))

    def missed(full_rate: float) -> float:
        return log_missed(at._replace(full_rate=full_rate), load, wish) - wish.allowed

    low, above = load, (0.0 if wish.share is not None else NEVER) - wish.allowed
    high, most = max(rate, load * (1 + NEAR)), MOST_TIMES * load
    while (below := missed(high)) > 0:
        low, above, high = high, below, load + (1 + GROWTH) * (high - load)
        if high > most:
            return at._replace(full_rate=math.inf)
    side = 0
    for _ in range(LOOKS):
        if high - low <= NEAR * high:
            break
        middle = (low * below - high * above) / (below - above)
        if not low < middle < high:
            middle = (low + high) / 2
        found = missed(middle)
        if found > 0:
            low, above = middle, found
            below, side = (below / 2 if side > 0 else below), 1
        else:
            high, below = middle, found
            above, side = (above / 2 if side < 0 else above), -1
    return at._replace(full_rate=high)


def _tangent(edge: Pool, load: float, wish: QueueWish) -> Cut:
    """What touches the pools that keep the wish at one on their edge."""
    if math.isinf(edge.full_rate):
        return Cut(0.0, 0.0)
    step = 1e-5 * edge.full_rate
    faster = log_missed(edge._replace(full_rate=edge.full_rate + step), load, wish)
    slower = log_missed(edge._replace(full_rate=edge.full_rate - step), load, wish)
    more = log_missed(edge._replace(places=edge.places + 1), load, wish)
    per_rate, per_place = (slower - faster) / (2 * step), max(0.0, (slower + faster) / 2 - more)
    right = (per_rate * edge.full_rate + per_place * edge.places) * (1 - CUT_SLACK)
    if right <= 0:  # nobody waits, and whether requests are done in time goes by the rate in steps
        return Cut((1 + 3 * CUT_SLACK) / edge.full_rate, 0.0)
    return Cut(per_rate / right, per_place / right)
