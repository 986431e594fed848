"""Brute force over one workload of one class, hour by hour, under every limit and penalty.

Imports nothing of the program, its rows or its solvers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Offer:
    """One thing that can be rented; elastic ones may differ from block to block."""

    provider: str
    region: str
    gpu: str
    rate: float
    """Requests/s of a unit."""

    usd_per_hour: float
    gpus: int = 1
    billing: str = "dedicated"
    stops: bool = False
    """Whether it may be switched off, unpaid, though it is dedicated."""

    @property
    def elastic(self) -> bool:
        """True where only the hours that are on are paid."""
        return self.stops or self.billing in ("autoscaling", "spot")


@dataclass(frozen=True)
class Tokens:
    """An offering paid by the request."""

    provider: str
    usd_per_request: float
    most_per_second: float = math.inf


@dataclass(frozen=True)
class Block:
    """Hours of the month with one load, in requests/s."""

    hours: float
    peak: float
    mean: float

    @property
    def requests(self) -> float:
        """Requests per month."""
        return self.mean * self.hours * 3600


@dataclass(frozen=True)
class Terms:
    """What is allowed and what costs extra; None or 0 is neither."""

    ceiling: float = 1.0
    min_replicas: int = 1
    max_gpus: int | None = None
    max_units_of_first: int | None = None
    at_most_providers: int | None = None
    provider_share: float | None = None
    spot_share: float | None = None
    survive: tuple[str, float] | None = None
    budget: float | None = None
    when_short: str = "fail"
    today: tuple[int, ...] = ()
    usd_added: float = 0.0
    usd_removed: float = 0.0
    most_changed: int | None = None
    spot_loss: float = 0.0
    overload: tuple[float, float] | None = None
    scaling: tuple[int, float] | None = None
    strict_usd: float | None = None
    shortfall_usd: float | None = None
    """Per request."""


Units = tuple[tuple[int, ...], ...]
"""Units on by offer and block."""


@dataclass(frozen=True)
class Case:
    """The whole question."""

    offers: tuple[Offer, ...]
    blocks: tuple[Block, ...]
    terms: Terms
    tokens: Tokens | None = None

    def units(self, most: int) -> Iterator[Units]:
        """Every fleet of up to `most` units of each offer."""
        each = []
        for offer in self.offers:
            if offer.elastic:
                rows = itertools.product(*(range(most + 1 if b.peak else 1) for b in self.blocks))
                each.append(list(rows))
            else:
                each.append([(n,) * len(self.blocks) for n in range(most + 1)])
        return itertools.product(*each)

    def capacity(self, units: Units, t: int, without: tuple[str, str] | None = None) -> float:
        """Requests/s in a block at 100 %, perhaps without one provider, region or offering."""
        return sum(
            on[t] * o.rate
            for on, o in zip(units, self.offers, strict=True)
            if without is None or group(o, without[0]) != without[1]
        )

    @property
    def busiest(self) -> int:
        """The block with the largest peak."""
        return max(range(len(self.blocks)), key=lambda t: (self.blocks[t].peak, -t))

    @property
    def busy(self) -> list[int]:
        """Blocks with load."""
        return [t for t, block in enumerate(self.blocks) if block.peak]


def group(offer: Offer, kind: str) -> str:
    """What goes when one of a kind is lost."""
    names = {
        "provider": offer.provider,
        "region": f"{offer.provider}/{offer.region}",
        "offering": f"{offer.provider}/{offer.gpu}/{offer.region}",
    }
    return names[kind]


def keeps_counts(case: Case, units: Units) -> bool:
    """True when the units alone break nothing: quotas, replicas, shares, changes."""
    terms, offers = case.terms, case.offers
    for t in range(len(case.blocks)):
        gpus = sum(on[t] * o.gpus for on, o in zip(units, offers, strict=True))
        if terms.max_gpus is not None and gpus > terms.max_gpus:
            return False
        if terms.max_units_of_first is not None and units[0][t] > terms.max_units_of_first:
            return False
    for t in case.busy:
        replicas = sum(on[t] * o.gpus for on, o in zip(units, offers, strict=True))
        if terms.min_replicas > 1 and replicas < terms.min_replicas:
            return False
        total = case.capacity(units, t)
        for provider in {o.provider for o in offers}:
            held = total - case.capacity(units, t, ("provider", provider))
            if terms.provider_share is not None and held > terms.provider_share * total + 1e-9:
                return False
        spot = sum(
            on[t] * o.rate for on, o in zip(units, offers, strict=True) if o.billing == "spot"
        )
        if terms.spot_share is not None and spot > terms.spot_share * total + 1e-9:
            return False
    added, removed = changed(case, units)
    return terms.most_changed is None or added + removed <= terms.most_changed


def changed(case: Case, units: Units) -> tuple[int, int]:
    """Units added and removed against today's, in the busiest block."""
    today = case.terms.today or (0,) * len(case.offers)
    deltas = [on[case.busiest] - n for on, n in zip(units, today, strict=True)]
    return sum(d for d in deltas if d > 0), -sum(d for d in deltas if d < 0)


def cash_of_units(case: Case, units: Units) -> float:
    """Rent, spot loss and switching, USD per month."""
    month = sum(block.hours for block in case.blocks)
    total = 0.0
    for on, o in zip(units, case.offers, strict=True):
        hours = sum(n * b.hours for n, b in zip(on, case.blocks, strict=True))
        rent = o.usd_per_hour * (hours if o.elastic else month * max(on))
        total += rent * (1 + case.terms.spot_loss if o.billing == "spot" else 1)
    added, removed = changed(case, units)
    return total + added * case.terms.usd_added + removed * case.terms.usd_removed


def providers_of(case: Case, units: Units, per_token: bool) -> set[str]:
    """Everyone who is paid."""
    used = {o.provider for on, o in zip(units, case.offers, strict=True) if any(on)}
    return used | ({case.tokens.provider} if per_token and case.tokens else set())


def least_left_out(case: Case, units: Units) -> list[float]:
    """Share of each block's peak that units cannot serve, or that a loss would not leave."""
    left_out = []
    for t, block in enumerate(case.blocks):
        if not block.peak:
            left_out.append(0.0)
            continue
        served = case.terms.ceiling * case.capacity(units, t) / block.peak
        if case.terms.survive is not None:
            kind, share = case.terms.survive
            for name in {group(o, kind) for o in case.offers}:
                left = case.capacity(units, t, (kind, name))
                served = min(served, left / (share * block.peak))
        left_out.append(max(0.0, 1 - served * (1 + 1e-9)))
    return left_out


@dataclass(frozen=True)
class Split:
    """How a fleet shares the load at one utilization: cash and penalties in USD per month."""

    cash: float
    penalties: float
    uses_tokens: bool


def split_at(case: Case, units: Units, limit: float) -> Split | None:
    """The cheapest way to keep units at or below a utilization; None where there is none.

    What the units leave goes per token or unserved, whichever is cheaper per request.
    """
    cash, penalties, tokens_used, hottest = cash_of_units(case, units), 0.0, False, 0.0
    for t in case.busy:
        block, capacity = case.blocks[t], case.capacity(units, t)
        rest = max(0.0, 1 - limit * capacity / block.peak * (1 + 1e-12))
        if capacity:
            hottest = max(hottest, (1 - rest) * block.peak / capacity)
        sinks = []
        if case.tokens is not None:
            most = case.tokens.most_per_second / block.peak
            sinks.append((case.tokens.usd_per_request, most, True))
        if case.terms.shortfall_usd is not None:
            sinks.append((case.terms.shortfall_usd, math.inf, False))
        for usd, most, is_token in sorted(sinks):
            used = min(rest, most)
            rest -= used
            if is_token:
                cash += used * block.requests * usd
                tokens_used = tokens_used or used > 1e-9
            else:
                penalties += used * block.requests * usd
        if rest > 1e-9:
            return None
    return Split(cash, penalties + hot_penalties(case, hottest), tokens_used)


def hot_penalties(case: Case, u: float) -> float:
    """Overload and strict latency, USD per month."""
    terms, usd = case.terms, 0.0
    if terms.overload is not None and u > terms.overload[0]:
        above, at_full_load = terms.overload
        usd += at_full_load * (u - above) / (1 - above)
    if terms.strict_usd is not None and u > 0.75 * (1 + 1e-9):
        usd += terms.strict_usd
    return usd


def candidate_limits(case: Case, units: Units) -> list[float]:
    """Utilizations at which the cost, which is linear in between, can be least."""
    points = {case.terms.ceiling, 0.75, 0.0}
    if case.terms.overload is not None:
        points.add(case.terms.overload[0])
    for t in case.busy:
        capacity = case.capacity(units, t)
        if capacity:
            peak = case.blocks[t].peak
            points.add(peak / capacity)
            if case.tokens is not None and case.tokens.most_per_second < peak:
                points.add((peak - case.tokens.most_per_second) / capacity)
    return sorted(u for u in points if u <= case.terms.ceiling * (1 + 1e-12))


def cheapest_month(case: Case, most: int) -> float | None:
    """The least score in USD per month, by trying every fleet; None when none keeps all limits."""
    best: float | None = None
    for units in case.units(most):
        score = score_of(case, units) if keeps_counts(case, units) else None
        if score is not None and (best is None or score < best):
            best = score
    return best


def score_of(case: Case, units: Units) -> float | None:
    """The least score of a fleet, over the ways to share the load; None where none is allowed."""
    terms = case.terms
    if not case.tokens and terms.shortfall_usd is None and max(least_left_out(case, units)) > 0:
        return None
    best = None
    for limit in candidate_limits(case, units):
        split = split_at(case, units, limit)
        if split is None:
            continue
        used = providers_of(case, units, split.uses_tokens)
        if terms.at_most_providers is not None and len(used) > terms.at_most_providers:
            continue
        if terms.budget is not None and split.cash > terms.budget * (1 + 1e-9):
            continue
        score = split.cash + split.penalties + scaling_usd(case, units)
        best = score if best is None else min(best, score)
    return best


def scaling_usd(case: Case, units: Units) -> float:
    """The price of GPUs beyond the count, at the most that are on at once."""
    if case.terms.scaling is None:
        return 0.0
    above, usd = case.terms.scaling
    gpus = (
        sum(on[t] * o.gpus for on, o in zip(units, case.offers, strict=True))
        for t in range(len(case.blocks))
    )
    return usd * max(0, max(gpus) - above)


def fairest_month(case: Case, most: int) -> tuple[float, float, float] | None:
    """(largest unserved share, unserved share of the month, cash) of a short budget, each least."""
    best = None
    total = sum(block.requests for block in case.blocks)
    for units in case.units(most):
        cash = cash_of_units(case, units)
        if not keeps_counts(case, units) or cash > (case.terms.budget or math.inf) * (1 + 1e-9):
            continue
        used = providers_of(case, units, False)
        if case.terms.at_most_providers is not None and len(used) > case.terms.at_most_providers:
            continue
        left_out = least_left_out(case, units)
        unserved = sum(s * b.requests for s, b in zip(left_out, case.blocks, strict=True)) / total
        key = (round(max(left_out), 7), round(unserved, 7), cash)
        best = key if best is None else min(best, key)
    return best
