"""Who may serve how much, beside wishes for the wait: behind one router all serve by capacity."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from milp_planner import Status, explain_limits, prepare, solve
from milp_planner.milp.presolve.dominance import prune
from tests.solving.queues.test_waits import asked, random_kinds, units_of, usd_of
from tests.support.builders import catalog, offering, raw
from tests.support.oracles.queue_oracle import Kind, Wished, keeps
from tests.support.oracles.reading.reader import read

P99 = {"wait": {"p99": "1s"}}
MOST = 14


def rented(kinds, spot=()):
    return catalog(
        [
            offering(kind.group, name, kind.usd, billing="spot" if name in spot else "dedicated")
            for name, kind in kinds.items()
        ],
        [raw(name, kind.rate) for name, kind in kinds.items()],
    )


def cheapest(load, kinds, wished, groups, most):
    """USD an hour of the cheapest mix of which no group has more than its part of the capacity."""
    mixes = itertools.product(range(MOST + 1), repeat=len(kinds))
    priced = sorted(
        (sum(kind.usd * n for kind, n in zip(kinds.values(), mix, strict=True)), mix)
        for mix in mixes
    )
    for usd, mix in priced:
        by_group = dict.fromkeys((*groups.values(), ""), 0.0)
        for (name, kind), n in zip(kinds.items(), mix, strict=True):
            by_group[groups.get(name, "")] += kind.rate * n
        total = sum(by_group.values())
        if total < load or any(part > most * total + 1e-9 for g, part in by_group.items() if g):
            continue
        if keeps(load, list(zip(kinds.values(), mix, strict=True)), wished):
            return usd
    return math.inf


@pytest.mark.parametrize("seed", range(6))
def test_the_cheapest_fleet_with_a_share_is_that_of_all_mixes(seed):
    rng = random.Random(900 + seed)
    kinds, load, wait_s = random_kinds(rng), rng.uniform(3, 12), rng.choice((0.3, 1.0, 4.0))
    most, is_spot = rng.choice((0.4, 0.5, 0.7)), seed % 2
    spot = rng.sample(sorted(kinds), 1 if rng.random() < 0.5 else 2) if is_spot else ()
    key = "max_spot_share" if is_spot else "providers"
    limits = {key: most if is_spot else {"max_share": most}}
    if is_spot:
        limits["billing"] = {"allow": ["dedicated", "spot"]}
    question = asked(load, {"wait": {"p99": wait_s}}, kinds, limits=limits)
    plan = solve(question, rented(kinds, spot), alternatives=0)
    groups = dict.fromkeys(spot, "spot") if is_spot else {n: k.group for n, k in kinds.items()}
    wished = Wished([(wait_s, 0.99)])
    least = cheapest(load * (1 - 1e-3), kinds, wished, groups, most)
    surely = cheapest(load, kinds, wished, groups, most)
    assert plan.status is Status.OPTIMAL
    assert max(units_of(plan).values()) <= MOST
    assert least - 1e-9 <= usd_of(plan) <= surely + 1e-9
    assert read(prepare(question, rented(kinds, spot)), plan) == []


def test_others_hold_as_much_as_a_large_unit_even_if_nobody_asks_for_it():
    # 3 requests/s: three small would do, one big too. Half of each: 10 and ten of 1 beside it.
    kinds = {"big": Kind(10, 64, 4.0, "acme"), "one": Kind(1, 16, 1.0, "bolt")}
    limits = {"providers": {"max_share": 0.5}}
    question = asked(3, P99, kinds, limits=limits)
    plan = solve(question, rented(kinds), alternatives=0)
    assert units_of(plan) == {"big": 1, "one": 10}
    assert usd_of(plan) == pytest.approx(14)
    costs = {row.path: row.usd_per_month for row in explain_limits(question, rented(kinds)).rows}
    # without it one big, $4 an hour, in place of $14
    assert costs["limits.providers.max_share"] == pytest.approx(720 * 10)


def test_a_larger_unit_of_the_same_provider_does_not_stand_in_where_it_would_serve_too_much():
    # Of 4 requests/s: a bolt of 6 and an acme of 6 at $3. The acme of 12 costs less than that of 6,
    # but would serve 12 of 18: two bolts beside it, $8.90.
    kinds = {
        "six": Kind(6, 32, 3.0, "acme"),
        "dozen": Kind(12, 64, 2.9, "acme"),
        "other": Kind(6, 32, 3.0, "bolt"),
    }
    limits = {"providers": {"max_share": 0.5}}
    question = asked(4, P99, kinds, limits=limits)
    given = prepare(question, rented(kinds))
    assert not prune(given, given.candidates.candidates).dominated_by
    plan = solve(question, rented(kinds), alternatives=0)
    assert units_of(plan) == {"six": 1, "other": 1}
