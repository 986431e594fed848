"""Brute force over one load of one class, hour by hour, under every limit and penalty.

Imports nothing of the program, its rows or its solvers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.oracles.cases import SECONDS_PER_HOUR, Api, Case, Load
from tests.support.oracles.limits import (
    STRICT_FROM,
    Units,
    counted,
    enough_on_demand,
    enough_replicas,
    few_changes,
    few_providers,
    heat_usd,
    left_after_loss,
    rent,
    scaling_usd,
    switching_usd,
    usable,
    within_budget,
    within_quotas,
)


def load_of(case: Case) -> Load:
    """The one load."""
    (load,) = case.loads
    return load


def api_of(case: Case) -> Api | None:
    """What is paid by the request, if anything."""
    return case.apis[0] if case.apis else None


def requests_of(case: Case, t: int) -> float:
    """Requests per month in a block."""
    return load_of(case).means[t] * case.hours[t] * SECONDS_PER_HOUR


def fleets(case: Case, most: int) -> Iterator[Units]:
    """Every fleet of up to `most` units of each offer that is not too much or too little."""
    load, each = load_of(case), []
    for offer in case.offers:
        if offer.elastic:
            rows = itertools.product(*(range(most + 1 if peak else 1) for peak in load.peaks))
            each.append(list(rows))
        else:
            off = [offer.stops and not peak for peak in load.peaks]
            each.append([tuple(0 if o else n for o in off) for n in range(most + 1)])
    for units in itertools.product(*each):
        if (
            within_quotas(case, counted(case, units))
            and enough_replicas(case, load, units)
            and enough_on_demand(case, load, units)
            and few_changes(case, (units,))
        ):
            yield units


def cash_of_units(case: Case, units: Units) -> float:
    """Rent, spot loss and switching, USD per month."""
    return rent(case, units) + switching_usd(case, load_of(case), units)


def providers_of(case: Case, units: Units, per_token: bool) -> set[str]:
    """Everyone who is paid."""
    used = {o.provider for on, o in zip(units, case.offers, strict=True) if any(on)}
    return used | {api.provider for api in case.apis if per_token}


def least_left_out(case: Case, units: Units) -> list[float]:
    """Share of each block's peak that units cannot serve, or that a loss would not leave."""
    left_out = []
    for t, peak in enumerate(load_of(case).peaks):
        if not peak:
            left_out.append(0.0)
            continue
        served = case.terms.ceiling * usable(case, units, t) / peak
        if case.terms.survive is not None:
            _, share = case.terms.survive
            served = min(served, left_after_loss(case, units, t) / (share * peak))
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
    for t in load_of(case).busy:
        peak, held = load_of(case).peaks[t], usable(case, units, t)
        rest = max(0.0, 1 - limit * held / peak * (1 + 1e-12))
        if held:
            hottest = max(hottest, (1 - rest) * peak / held)
        sinks = []
        if (api := api_of(case)) is not None:
            sinks.append((api.usd_per_request, api.most_per_second / peak, True))
        if case.terms.shortfall_usd is not None:
            sinks.append((case.terms.shortfall_usd, math.inf, False))
        for usd, most, is_token in sorted(sinks):
            used = min(rest, most)
            rest -= used
            if is_token:
                cash += used * requests_of(case, t) * usd
                tokens_used = tokens_used or used > 1e-9
            else:
                penalties += used * requests_of(case, t) * usd
        if rest > 1e-9:
            return None
    return Split(cash, penalties + heat_usd(case.terms, hottest), tokens_used)


def candidate_limits(case: Case, units: Units) -> list[float]:
    """Utilizations at which the cost, which is linear in between, can be least."""
    points = {case.terms.ceiling, STRICT_FROM, 0.0}
    if case.terms.overload is not None:
        points.add(case.terms.overload[0])
    for t in load_of(case).busy:
        peak, held = load_of(case).peaks[t], usable(case, units, t)
        if held:
            points.add(peak / held)
            points |= {
                (peak - api.most_per_second) / held
                for api in case.apis
                if api.most_per_second < peak
            }
    return sorted(u for u in points if u <= case.terms.ceiling * (1 + 1e-12))


def cheapest_month(case: Case, most: int) -> float | None:
    """The least score in USD per month, by trying every fleet; None when none keeps all limits."""
    scores = (score_of(case, units) for units in fleets(case, most))
    return min((score for score in scores if score is not None), default=None)


def score_of(case: Case, units: Units) -> float | None:
    """The least score of a fleet, over the ways to share the load; None where none is allowed."""
    terms = case.terms
    if not case.apis and terms.shortfall_usd is None and max(least_left_out(case, units)) > 0:
        return None
    best = None
    for limit in candidate_limits(case, units):
        split = split_at(case, units, limit)
        if split is None:
            continue
        paid = providers_of(case, units, split.uses_tokens)
        if not (few_providers(case, paid) and within_budget(case, split.cash)):
            continue
        score = split.cash + split.penalties + scaling_usd(case, units)
        best = score if best is None else min(best, score)
    return best


def fairest_month(case: Case, most: int) -> tuple[float, float, float] | None:
    """(largest unserved share, unserved share of the month, cash) of a short budget, each least."""
    best = None
    month = [requests_of(case, t) for t in range(len(case.hours))]
    for units in fleets(case, most):
        cash = cash_of_units(case, units)
        paid = providers_of(case, units, False)
        if not (within_budget(case, cash) and few_providers(case, paid)):
            continue
        left_out = least_left_out(case, units)
        unserved = sum(s * n for s, n in zip(left_out, month, strict=True)) / sum(month)
        key = (round(max(left_out), 7), round(unserved, 7), cash)
        best = key if best is None else min(best, key)
    return best
