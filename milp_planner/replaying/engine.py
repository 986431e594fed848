"""The event loop: every request arrives, is routed, waits, is prefilled, decodes and leaves.

A request is admitted, first come first served, while a replica has a place and its KV cache has
room for all of the request's tokens; it keeps both until it leaves.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from math import inf
from operator import attrgetter
from typing import Literal

from milp_planner.lazily import dataclass
from milp_planner.replaying.replica import Journeys, Replica, ReplicaSpeed

ReplayRouter = Literal[
    "least", "two", "round_robin", "random", "central", "per_offering", "per_class"
]
ROUTERS: tuple[ReplayRouter, ...] = (
    *("least", "two", "round_robin", "random", "central", "per_offering", "per_class"),
)
"""least: to the replica with the least share of its places taken or waited for. two: to the better
of two drawn. central: one queue before all; the replica filled least takes the next. per_offering:
an endpoint is drawn by its share of the requests, and there it is least. per_class: the same, by
its share of the requests of that class."""

LOAD = attrgetter("load")

EVERY = 16_384
"""Arrivals between two reports of progress."""


@dataclass(frozen=True)
class Switch:
    """A replica starts or stops taking requests."""

    at_s: float
    replica: int
    on: bool
    lost: bool = False
    """It stops at once: requests in it start again elsewhere. Else those in it are finished."""


@dataclass(frozen=True)
class Endpoints:
    """Replicas of one offering each, and which share of the requests each is sent."""

    of: tuple[int, ...]
    """The endpoint of each replica."""

    from_s: tuple[float, ...]
    """When each set of shares begins, rising."""

    shares: tuple[tuple[float, ...], ...]
    """By endpoint, from each of these times on. What has no replica that is on is sent nothing, and
    the others as much more in proportion."""

    by_class: tuple[tuple[tuple[float, ...], ...], ...] = ()
    """The same for each class, by class and endpoint, from each of these times on; empty where the
    router does not tell them apart."""


def send(
    arrivals_s: Sequence[float],
    input_tokens: Sequence[float],
    output_tokens: Sequence[float],
    replicas: Sequence[ReplicaSpeed],
    *,
    router: ReplayRouter = "least",
    switches: Sequence[Switch] = (),
    endpoints: Endpoints | None = None,
    classes: Sequence[int] = (),
    seed: int = 1,
    progress: Callable[[int], bool] | None = None,
) -> Journeys:
    """Send requests through a pool of replicas and tell when each passed each gate.

    arrivals_s: rising. replicas: all that are ever on; each is on from the start unless its first
    switch turns it on. switches: rising in time. endpoints: of the routers per_offering and
    per_class. classes: that of each request, for the latter. progress: called now and then with the
    arrivals so far; where it answers False no more come, and those that came are served to the end.
    """
    journeys = Journeys.of(arrivals_s, input_tokens, output_tokens)
    pool = _Pool(replicas, journeys, router, switches, endpoints, classes, seed)
    coming = deque(switches)
    i, n = 0, len(arrivals_s)
    while True:
        now_s = arrivals_s[i] if i < n else inf
        soonest_s = min(pool.due_s)
        if coming and coming[0].at_s <= now_s and coming[0].at_s <= soonest_s:
            pool.switch(coming.popleft())
        elif now_s > soonest_s:
            pool.finish(pool.due_s.index(soonest_s))
        elif i < n:
            if progress is not None and i % EVERY == EVERY - 1 and not progress(i):
                n = i
                continue
            pool.arrive(i, now_s)
            i += 1
        else:
            journeys.sent = n
            return journeys


class _Pool:
    """The replicas behind one router."""

    def __init__(
        self,
        kinds: Sequence[ReplicaSpeed],
        journeys: Journeys,
        router: ReplayRouter,
        switches: Sequence[Switch],
        endpoints: Endpoints | None,
        classes: Sequence[int],
        seed: int,
    ) -> None:
        self.shared: deque[int] | None = deque() if router == "central" else None
        self.replicas = [
            Replica(k, kind, journeys, deque() if self.shared is None else self.shared)
            for k, kind in enumerate(kinds)
        ]
        turned_on_first = {s.replica: s.on for s in reversed(switches)}
        for k, replica in enumerate(self.replicas):
            replica.is_on = not turned_on_first.get(k, False)
        self.due_s = [inf] * len(self.replicas)
        self.stranded: list[int] = []  # while no replica is on
        self.draw = random.Random(seed).random
        self.turn = 0
        self.endpoints = endpoints if router in ("per_offering", "per_class") else None
        self.classes = classes if router == "per_class" else ()
        self.mine = 0  # the class of who comes
        self.weighed_until_s = inf if self.endpoints is None else -inf
        self.weighed: list[list[tuple[float, list[Replica]]]] = [
            []
        ]  # without endpoints all are one
        self.choose = {
            "least": self._least,
            "two": self._better_of_two,
            "round_robin": self._next,
            "random": self._any,
            "central": self._least,
            "per_offering": self._of_an_endpoint,
            "per_class": self._of_an_endpoint,
        }[router]
        self._order()

    def arrive(self, request: int, now_s: float) -> None:
        """Route a request, and let it in where there is room."""
        if not self.order:
            self.stranded.append(request)
            return
        if now_s >= self.weighed_until_s:
            self._weigh(now_s)
        if self.classes:
            self.mine = self.classes[request]
        replica = self.choose()
        if self.shared is not None and not self.shared and not replica.fits(request):
            # another one may have room in its cache
            replica = next(filter(lambda r: r.fits(request), self.on), replica)
        if replica.queue or not replica.fits(request):
            replica.queue.append(request)
            if self.shared is None:
                replica.load += replica.per_request
            return
        replica.load += replica.per_request
        replica.advance(now_s)
        replica.admit(request)
        replica.renew()
        self.due_s[replica.number] = replica.due_s

    def finish(self, number: int) -> None:
        """What was due in a replica is done; the next in line take the place."""
        replica = self.replicas[number]
        if replica.finish_next() and replica.queue:
            self._fill(replica)
        replica.renew()
        self.due_s[number] = replica.due_s

    def switch(self, s: Switch) -> None:
        """A replica comes or goes; who was lost or waited there is routed anew."""
        replica = self.replicas[s.replica]
        if s.on == replica.is_on and not s.lost:
            return
        replica.advance(s.at_s)
        moved = replica.lose_all() if s.lost else []
        replica.is_on = s.on
        if not s.on and self.shared is None:
            moved += replica.queue
            replica.queue.clear()
        replica.load = replica.inside * replica.per_request
        self._order()
        if s.on:
            moved, self.stranded = moved + self.stranded, []
            self._fill(replica)
        replica.renew()
        self.due_s[replica.number] = replica.due_s
        for request in sorted(moved):
            self.arrive(request, s.at_s)

    def _fill(self, replica: Replica) -> None:
        queue = replica.queue
        while queue and replica.is_on and replica.fits(queue[0]):
            replica.admit(queue.popleft())
            if self.shared is not None:
                replica.load += replica.per_request

    def _order(self) -> None:
        """The replicas that are on, and the same as often as their places weigh, spread evenly."""
        self.on = [r for r in self.replicas if r.is_on]
        least = min((r.slots for r in self.on), default=1)
        seats = [(k, r, max(1, round(r.slots / least))) for k, r in enumerate(self.on)]
        spread = sorted(((j + 0.5) / w, k) for k, _, w in seats for j in range(w))
        self.order = [self.on[k] for _, k in spread]
        if self.endpoints is not None:
            self.weighed_until_s = -inf  # with other replicas they weigh otherwise

    def _weigh(self, now_s: float) -> None:
        """Endpoints with a replica that is on, each with the sum of the shares up to its own."""
        assert self.endpoints is not None
        begun = bisect_right(self.endpoints.from_s, now_s)
        since = max(0, begun - 1)
        of_all = (self.endpoints.shares[since],)
        by_class = self.endpoints.by_class[since] if self.classes else of_all
        self.weighed_until_s = (*self.endpoints.from_s, inf)[begun] if begun else now_s
        self.weighed = [list(self._summed(shares)) for shares in by_class]

    def _summed(self, shares: Sequence[float]) -> Iterator[tuple[float, list[Replica]]]:
        assert self.endpoints is not None
        total = 0.0
        for number, share in enumerate(shares):
            mine = [r for r in self.on if self.endpoints.of[r.number] == number]
            if mine and share > 0:
                total += share
                yield total, mine

    def _least(self) -> Replica:
        best = self.on[0]
        load = best.load
        for replica in self.on:
            if replica.load < load:
                best, load = replica, replica.load
        return best

    def _of_an_endpoint(self) -> Replica:
        weighed = self.weighed[self.mine]
        if not weighed:
            return self._least()
        drawn = self.draw() * weighed[-1][0]
        mine = next(mine for upto, mine in weighed if drawn < upto)
        return min(mine, key=LOAD)

    def _better_of_two(self) -> Replica:
        one, other = self._any(), self._any()
        return one if one.load <= other.load else other

    def _any(self) -> Replica:
        return self.order[int(self.draw() * len(self.order))]

    def _next(self) -> Replica:
        self.turn = (self.turn + 1) % len(self.order)
        return self.order[self.turn]
