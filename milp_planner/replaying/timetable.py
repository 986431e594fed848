"""Which replicas are on when: a plan's blocks, what is lost, spot interruptions, an autoscaler."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence

from milp_planner.candidates.records import Candidate
from milp_planner.lazily import dataclass, replace
from milp_planner.replaying.arrivals import Stretch
from milp_planner.replaying.engine import Switch
from milp_planner.replaying.records import ReplayLoss


@dataclass(frozen=True)
class On:
    """A time in which a replica takes requests."""

    start_s: float
    end_s: float
    lost: bool = False
    """It ends at once, and requests in it start again elsewhere."""


Hours = list[On]


def hours_by_block(
    stretches: Sequence[Stretch], wanted: Callable[[int], int], ready_after_s: float
) -> list[Hours]:
    """When each of the replicas of a purchase is on, the first ones longest.

    wanted: replicas by block. One that is switched on at the start of a stretch takes requests
    `ready_after_s` later; those of the first stretch are ready.
    """
    most = max((wanted(s.block) for s in stretches), default=0)
    return [
        list(_hours([(s, wanted(s.block) > k) for s in stretches], ready_after_s))
        for k in range(most)
    ]


def _hours(stretches: Sequence[tuple[Stretch, bool]], ready_after_s: float) -> Iterator[On]:
    start: float | None = None
    first = stretches[0][0].start_s
    for stretch, on in stretches:
        if on and start is None:
            start = stretch.start_s + (0.0 if stretch.start_s == first else ready_after_s)
        elif not on and start is not None:
            if stretch.start_s > start:
                yield On(start, stretch.start_s)
            start = None
    if start is not None:
        yield On(start, float("inf"))


def without(hours: Hours, start_s: float, end_s: float, ready_after_s: float) -> Hours:
    """The hours less a loss from `start_s` to `end_s`; it takes requests again a while later."""
    return list(_cut(hours, start_s, end_s + ready_after_s))


def _cut(hours: Hours, start_s: float, end_s: float) -> Iterator[On]:
    for on in hours:
        if on.end_s <= start_s or on.start_s >= end_s:
            yield on
            continue
        if on.start_s < start_s:
            yield On(on.start_s, start_s, lost=True)
        if on.end_s > end_s:
            yield replace(on, start_s=max(on.start_s, end_s))


def interrupted(
    hours: Hours, per_s: float, ready_after_s: float, until_s: float, rng: random.Random
) -> Hours:
    """The hours with interruptions that come at random, `per_s` of them in a second that is up."""
    if per_s <= 0 or not hours:
        return hours
    now = hours[0].start_s
    while (now := now + rng.expovariate(per_s)) < until_s:
        hours = without(hours, now, now, ready_after_s)
        now += ready_after_s
    return hours


def interruptions_per_s(
    loss: float, service_s: float, output_cv: float, ready_after_s: float
) -> float:
    """Of a spot replica, such that a share `loss` of its paid time is lost to them.

    Each begins requests anew that have been in service for a = s·(1 + cv²)/2, the mean age of what
    renewal theory finds in service at any moment (D. R. Cox, Renewal Theory, 1962, section 5), and
    takes r seconds until the replica is ready again. So loss = λ·(a + r) ÷ (1 + λ·r).

    >>> round(1 / interruptions_per_s(0.03, 10.0, 1.0, 0.0))  # every 333 s 10 s are lost
    333
    """
    if loss <= 0:
        return 0.0
    age_s = service_s * (1 + output_cv**2) / 2
    return loss / (age_s + ready_after_s * (1 - loss))


def ends_by_loss(replicas: Iterable[Hours]) -> int:
    """How often any of them is lost."""
    return sum(on.lost for hours in replicas for on in hours)


def switches_of(replicas: Sequence[Hours], start_s: float) -> tuple[Switch, ...]:
    """All switches in order of time; who is on at `start_s` needs none to be so."""
    found = (
        switch
        for k, hours in enumerate(replicas)
        for on in hours
        for switch in (
            Switch(on.start_s, k, on=True),
            Switch(on.end_s, k, on=False, lost=on.lost),
        )
    )
    within = [s for s in found if s.at_s < float("inf") and (s.at_s > start_s or not s.on)]
    return tuple(sorted(within, key=lambda s: (s.at_s, s.on, s.replica)))


def on_at(replicas: Sequence[Hours], start_s: float, end_s: float) -> float:
    """Replicas on between two times, on average."""
    if end_s <= start_s:
        return 0.0
    return sum(
        max(0.0, min(on.end_s, end_s) - max(on.start_s, start_s))
        for hours in replicas
        for on in hours
    ) / (end_s - start_s)


def loss_name(k: Candidate, kind: str) -> str:
    """What a loss of that kind calls the candidate."""
    return {"provider": k.owner, "region": k.region, "offering": k.offering.id}[kind]


def after_losses(
    on: Hours, k: Candidate, losses: Sequence[ReplayLoss], ready_after_s: float
) -> Hours:
    """When a replica of a candidate is on that losses take away."""
    for loss in losses:
        if loss_name(k, loss.kind) == loss.name:
            on = without(on, loss.at_s, loss.at_s + loss.for_s, ready_after_s)
    return on
