"""Random problems for readers of plans: those of `random_problems`, with more that links things.

Services of other providers, places that several share, APIs that workloads share, filters and caps,
fleets of today in several rows. A seed always gives the same problem.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from milp_planner import Catalog, Offering, Problem
from tests.support.builders import token_price
from tests.support.random_problems import random_case

FRANKFURT = {"country": "de", "group": "eu", "metro": "frankfurt"}
PARIS = {"country": "fr", "group": "eu", "metro": "paris"}
WASHINGTON = {"country": "us", "group": "us", "metro": "washington"}
PLACES = {"eu-1": (FRANKFURT, FRANKFURT, PARIS, {}), "us-1": (WASHINGTON, WASHINGTON, {})}
"""Where a region may be; of some it is not known."""


def wide_case(seed: int) -> tuple[Problem, Catalog]:
    """A problem and its catalog."""
    chance = random.Random(f"wide {seed}")
    problem, rented = random_case(seed)
    rented = _placed(chance, rented)
    if chance.random() < 0.3:
        rented = replace(rented, token_prices=_apis(chance))
    return problem.changed(_changes(chance, problem, rented)), rented


def _placed(chance: random.Random, rented: Catalog) -> Catalog:
    """Some providers are services of others, and regions are in places."""
    behind = {"bolt": chance.choice(["", "", "acme"]), "tokn": chance.choice(["", "acme", "core"])}
    places: dict[tuple[str, str], Mapping[str, str]] = {}

    def known(row: Offering) -> Offering:
        key = row.provider, row.region
        places.setdefault(key, chance.choice(PLACES[row.region]))
        more = {"behind": behind.get(row.provider, ""), **places[key]}
        return row.model_copy(update=more)

    prices = [p.model_copy(update={"behind": behind["tokn"]}) for p in rented.token_prices]
    offerings = tuple(known(row) for row in rented.offerings)
    return replace(rented, offerings=offerings, token_prices=tuple(prices))


def _apis(chance: random.Random) -> tuple[Any, ...]:
    """Two APIs, one of which accepts little of an account."""
    usd = round(chance.uniform(20, 120), 1)
    limit = {"max_requests_per_minute": 60 * chance.choice([1.0, 2.0, 5.0])}
    behind = chance.choice(["", "acme"])
    return (
        token_price("tokn", usd, **limit),
        token_price("flat", round(1.4 * usd, 1), behind=behind),
    )


def _changes(chance: random.Random, problem: Problem, rented: Catalog) -> dict[str, Any]:
    """Limits beside those that there are."""
    more: dict[str, Any] = {}
    offers = rented.offerings
    if chance.random() < 0.2:
        more["limits.providers.max_share"] = chance.choice([0.5, 0.7, 0.9])
    if chance.random() < 0.2:
        more["limits.max_spot_share"] = chance.choice([0.1, 0.4, 0.7])
    if chance.random() < 0.25:
        share = chance.choice([0.3, 0.5, 1.0])
        kind = chance.choice(["provider", "region", "offering"])
        more["limits.survive_loss_of"] = {"kind": kind, "share": share}
    if chance.random() < 0.15:
        more["limits.regions.max_count"] = chance.choice([1, 2])
    if chance.random() < 0.15:
        more["limits.providers.max_count"] = chance.choice([1, 2])
    rows = (*offers, *rented.token_prices)
    sellers = sorted({n for row in rows for n in (row.provider, row.behind) if n})
    if chance.random() < 0.2:
        more["limits.providers.deny"] = [chance.choice(sellers)]
    elif chance.random() < 0.2:
        more["limits.providers.allow"] = chance.sample(sellers, min(2, len(sellers)))
    where = sorted({n for row in offers for n in (row.region, row.country, row.group) if n})
    if chance.random() < 0.15:
        more["limits.regions.deny"] = [chance.choice(where)]
    if chance.random() < 0.15:
        dearest = max(o.usd_per_hour / o.gpus_per_unit for o in offers)
        more["limits.max_usd_per_gpu_hour"] = round(0.9 * dearest, 3)
    if chance.random() < 0.2:
        more["policy.switch_off_dedicated"] = True
    if chance.random() < 0.3:
        more |= _today(chance, problem, offers)
    if chance.random() < 0.15:
        more["limits.min_on_demand_replicas"] = chance.choice([1, 2])
    return more


def _today(chance: random.Random, problem: Problem, offers: tuple[Offering, ...]) -> dict[str, Any]:
    """Several rows of today's fleet, and what changes cost or how many there may be."""
    rows = {
        (o.id, o.billing, chance.choice(problem.workloads).name): chance.choice([1, 2, 3])
        for o in chance.sample(offers, min(2, len(offers)))
    }
    today = [
        {"offering": offering, "billing": billing, "workload": name, "units": units}
        for (offering, billing, name), units in rows.items()
    ]
    switching: dict[str, Any] = {"usd_per_unit_added": 70, "usd_per_unit_removed": 30}
    if chance.random() < 0.6:
        switching["max_units_changed"] = chance.choice([2, 4, 6, 9])
    return {"current_fleet": today, "switching": switching}
