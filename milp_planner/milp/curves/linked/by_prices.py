"""A lower bound and a good fleet of workloads that quotas link, by prices on the quotas.

Every round asks each workload for its cheapest fleets at the prices, which bounds what any plan
costs, and then for the prices at which the fleets that are known are dearest (Kelley 1960; halfway
from the best prices so far, against their swings: Wentges 1997). Where both meet, the bound is the
best there is of this kind; whole fleets are seldom much dearer: the cheapest of the known choices,
and of those near to them, that keep the quotas together. The bound is a sum of whole numbers.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from fractions import Fraction

from milp_planner.candidates.records import Candidate
from milp_planner.deadline import OutOfTime, check, seconds_left, until
from milp_planner.lazily import dataclass
from milp_planner.milp.curves.linked.choices import (
    Chosen,
    Known,
    cheapest_choices,
    dearest_prices,
)
from milp_planner.milp.curves.linked.priced import (
    PRICE_UNIT,
    Choice,
    PricedAt,
    PricedCover,
    Prices,
    TooMany,
)
from milp_planner.milp.curves.linked.reading import Linked
from milp_planner.milp.curves.linked.together import Together
from milp_planner.milp.program.solution import FleetSolution

MOST_ROUNDS, ROUNDS_LIKE = 40, 2
"""How often prices are looked for, and how often where those of another program are known."""

NO_PRICES: Prices = {}

NEAR = 1e-6
"""Relative: how near the bound comes to what known fleets say that it can be."""

NEAR_CHOICES, MORE = 2e-3, 5e-5
"""Relative to the bound: how near to its cheapest a workload's choices are that a round learns, and
by how much more the cheapest whole fleet looks at first; twice as much until there are enough."""

MOST_CHOICES = (2_000, 8_000)
"""Choices of all workloads from which the cheapest whole fleet is looked for, and again."""

TOGETHER_OF_TIME = 0.4
"""Of the time left, what listing may take."""

FIRST_PART, MOST_PART = 5e-5, 1.0
"""Of the bound: how far above it lists begin to look, and at most."""

WHOLE_OF_TIME = 0.5
"""Of the time left, what each look for the cheapest whole fleet may take."""

NEAR_ENOUGH = 1e-3
"""Relative to the bound: a fleet as near is not looked for again."""

HIGHER = 8.0
"""Times: by how much the most that a price may be is raised, where prices reach it."""


@dataclass(frozen=True)
class PricedFleet:
    """What prices say of a program."""

    bound_usd: float
    """No plan costs less, USD per month."""

    solution: FleetSolution | None
    """A fleet that keeps the links; None where none was found."""

    usd_per_month: float
    """What that fleet costs; infinite without one."""

    best: Bound
    linked: Linked

    def used_within(self, usd: float) -> frozenset[Candidate]:
        """The candidates that some fleet uses which costs no more than so much: a plan with any
        other costs more. Raises OutOfTime when time is up."""
        room = Fraction(usd) - self.best.usd
        return frozenset(k for at in self.best.at for k in at.used_within(room))


@dataclass(frozen=True)
class Bound:
    """The best prices so far, and what they prove."""

    usd: Fraction
    prices: Prices
    at: Sequence[PricedAt]


def by_prices(linked: Linked, like: PricedFleet | None = None) -> PricedFleet | None:
    """The bound and a fleet; None where some workload cannot be served, or no bound was found
    in the time there is.

    like: of nearly the same program, whose prices are good enough to find a fleet by.
    """
    known = [Known(PricedCover(cover)) for cover in linked.covers]
    try:
        if like is None:
            best = _best_bound(known, linked)
        else:
            best = _best_bound(known, linked, _prices_of(linked, like), ROUNDS_LIKE)
    except OutOfTime:
        return None
    if best is None or any(said for one in best.at for said in one.broken()):
        return None
    found, above_usd = _together(known, linked, best)
    bound_usd = math.nextafter(float(best.usd) + above_usd, -math.inf)
    if found is None:
        found = _cheapest(known, linked, best)
    if found is None:
        return PricedFleet(bound_usd, None, math.inf, best, linked)
    solution = _solution(known, linked, found)
    return PricedFleet(bound_usd, solution, _usd(found), best, linked)


def _prices_of(linked: Linked, like: PricedFleet) -> Prices:
    """The prices of another program for the links that this one has, too."""
    known = {like.linked.names[r]: price for r, price in like.best.prices.items()}
    return {r: known[name] for r, name in enumerate(linked.names) if name in known}


def _best_bound(
    known: Sequence[Known], linked: Linked, prices: Prices = NO_PRICES, rounds: int = MOST_ROUNDS
) -> Bound | None:
    """The bound that the best prices found prove, from these on; raises OutOfTime without any."""
    highest = _highest_prices(linked)
    best: Bound | None = None
    for _ in range(rounds):
        try:
            found = _bound_at(known, linked, prices)
            if found is None:
                return None
            if best is None or found.usd > best.usd:
                best = found
            for one, at in zip(known, found.at, strict=True):
                one.add(_learned(at, NEAR_CHOICES))
            said = dearest_prices(known, linked, highest)
        except OutOfTime:
            if best is None:
                raise
            return best
        if said is None:
            return best
        most_usd, wanted = said
        reached = [r for r, n in wanted.items() if float(n * PRICE_UNIT) >= 0.99 * highest[r]]
        highest |= {r: highest[r] * HIGHER for r in reached}
        if not reached and float(best.usd) >= most_usd - NEAR * abs(most_usd):
            return best
        prices = _between(best.prices, wanted)
    return best


def _bound_at(known: Sequence[Known], linked: Linked, prices: Prices) -> Bound | None:
    """Σ_w φ_w(π) − Σ_r π_r Q_r; None where a workload cannot be served."""
    at = [one.of.at(prices) for one in known]
    usd = Fraction(0)
    for one in at:
        least = one.least_usd
        if least is None:
            return None
        usd += least
    usd -= sum((n * PRICE_UNIT * linked.most[r] for r, n in prices.items()), Fraction(0))
    return Bound(usd, prices, at)


def _learned(at: PricedAt, near: float) -> list[tuple[int | None, Choice]]:
    """The choices of the fleets that cost little more than the cheapest."""
    most = at.cheapest[0].value * (1 + near)
    learned: list[tuple[int | None, Choice]] = []
    for whole in at.cheapest:
        if whole.value <= most:
            learned.append((None, at.of.choice(at.held.units(whole.held), None)))
            for t, step in whole.elastic.items():
                learned.append((t, at.of.choice(at.elastic[t].units(step), t)))
    return learned


def _highest_prices(linked: Linked) -> dict[int, float]:
    """The most that each price may be: what the dearest unit costs for each of a link it takes."""
    highest: dict[int, float] = {}
    for cover in linked.covers:
        for units in (cover.held, *cover.elastic.values()):
            for unit in units:
                for r, taken in unit.uses.items():
                    highest[r] = max(highest.get(r, 0.0), float(unit.usd / taken))
    return highest


def _between(best: Prices, wanted: Prices) -> Prices:
    """Halfway from the best prices to those that the known choices ask for."""
    halved = {r: (best.get(r, 0) + wanted.get(r, 0)) // 2 for r in {**best, **wanted}}
    return {r: n for r, n in halved.items() if n}


def _together(known: Sequence[Known], linked: Linked, best: Bound) -> tuple[Chosen | None, float]:
    """The cheapest fleet of all, where that takes few lists; and by how much more than the bound
    all cost."""
    together = Together(linked, best.at, best.prices)
    with (
        contextlib.suppress(TooMany, OutOfTime),
        until(time.monotonic() + TOGETHER_OF_TIME * seconds_left()),
    ):
        together.cheapest(FIRST_PART * float(best.usd), MOST_PART * float(best.usd))
    if together.found is None:
        return None, together.passed_usd
    pairs = zip(known, together.found, strict=True)
    chosen: Chosen = [
        (of.of.choice(one.held, None), {t: of.of.choice(n, t) for t, n in one.elastic.items()})
        for of, one in pairs
    ]
    return chosen, together.passed_usd


def _cheapest(known: Sequence[Known], linked: Linked, best: Bound) -> Chosen | None:
    """The cheapest whole fleet of the known choices and those near to the best bound; None where
    time is up before any."""
    found: Chosen | None = None
    more = MORE * float(best.usd)
    for most in MOST_CHOICES:
        try:
            more = _look_around(known, best, more, most)
            later = cheapest_choices(known, linked, WHOLE_OF_TIME * seconds_left())
        except OutOfTime:
            break
        if later is not None and (found is None or _usd(later) < _usd(found)):
            found = later
        if found is not None and _usd(found) <= float(best.usd) * (1 + NEAR_ENOUGH):
            break
    return found


def _usd(chosen: Chosen) -> float:
    return sum(held.usd + sum(one.usd for one in own.values()) for held, own in chosen)


def _solution(known: Sequence[Known], linked: Linked, chosen: Chosen) -> FleetSolution:
    units: dict[Candidate, list[int]] = {}
    for one, (held, elastic) in zip(known, chosen, strict=True):
        cover = one.of.cover
        for i, n in held.units:
            k = cover.held[i].candidate
            on = cover.peaks if k in cover.resting else range(linked.blocks)
            units[k] = [n if t in on else 0 for t in range(linked.blocks)]
        for t, choice in elastic.items():
            for i, n in choice.units:
                row = units.setdefault(cover.elastic[t][i].candidate, [0] * linked.blocks)
                row[t] += n
    return FleetSolution(units={k: tuple(on) for k, on in units.items()})


def _look_around(known: Sequence[Known], best: Bound, more: float, most: int) -> float:
    """Learn the choices within `more` USD of the best bound, then of twice as much, until there are
    as many as asked; how far it came."""
    while more <= float(best.usd):
        for one, at in zip(known, best.at, strict=True):
            check()
            one.add(at.near(more))
        if sum(each.count for each in known) >= most:
            break
        more *= 2
    return more
