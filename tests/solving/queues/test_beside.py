"""Waits beside blocks, penalties and next-best plans: held against all mixes of a few units."""

from __future__ import annotations

import itertools
import random

import pytest

from milp_planner import Status, solve
from tests.solving.queues.test_waits import KINDS, P99, asked, market, random_kinds, usd_of
from tests.support.builders import catalog, offering, raw
from tests.support.oracles.queue_oracle import Wished, keeps

P99_OF_A_SECOND = Wished(waits=[(1.0, 0.99)])


def mixes(kinds, most):
    for counts in itertools.product(range(most + 1), repeat=len(kinds)):
        on = list(zip(kinds.values(), counts, strict=True))
        yield sum(kind.usd * n for kind, n in on), on, counts


def rate_of(on):
    return sum(kind.rate * n for kind, n in on)


def within_slack(found, cost_of, load):
    """The least that all mixes cost at the load, and at what the planner's slack makes of it."""
    least, most = cost_of(load * (1 - 1e-3)), cost_of(load)
    assert least - 1e-6 <= found <= most + 1e-6


def over_the_target(seed):
    rng = random.Random(seed)
    kinds, load = random_kinds(rng), rng.uniform(2, 12)
    wait_s, usd = rng.choice((0.3, 2.0)), rng.choice((500, 5_000))
    wished = Wished(waits=[(wait_s, 0.99)])
    policy = {
        "utilization": {"target": 0.7, "ceiling": 1.0},
        "penalties": {"overload": {"above": 0.7, "usd_at_full_load": usd}},
    }
    found = solve(asked(load, {"wait": {"p99": wait_s}}, kinds, policy=policy), market(kinds))

    def cost(at):
        return min(
            720 * price + usd * max(0.0, load / rate_of(on) - 0.7) / 0.3
            for price, on, _ in mixes(kinds, 7)
            if rate_of(on) >= load and keeps(at, on, wished)
        )

    assert found.status is Status.OPTIMAL
    within_slack(found.score_usd_per_month, cost, load)


def test_heat_above_the_target_is_weighed_against_all_mixes_that_keep_the_wait():
    over_the_target(0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 30))
def test_heat_is_weighed_against_all_mixes_that_keep_the_wait_whatever_they_are(seed):
    over_the_target(seed)


def held_all_month(seed):
    # Big ones are held, the others on by the hour: 12 hours of three times the load of the rest.
    rng = random.Random(seed)
    kinds, load = random_kinds(rng), rng.uniform(1, 4)
    wait_s = rng.choice((0.3, 2.0))
    wished = Wished(waits=[(wait_s, 0.99)])
    rented = catalog(
        [
            offering(kind.group, name, kind.usd, billing=billing)
            for (name, kind), billing in zip(
                kinds.items(), ("dedicated", "autoscaling", "autoscaling"), strict=True
            )
        ],
        [raw(name, kind.rate) for name, kind in kinds.items()],
    )
    traffic = {
        "kind": "profile",
        "requests_per_day": 2 * load * 86_400,
        "weights": [3] * 12 + [1] * 12,
    }
    chat = {"traffic": traffic}
    found = solve(asked(1, {"wait": {"p99": wait_s}}, kinds, chat=chat), rented)
    big, *elastic = kinds.values()

    def cheapest(at, held):
        return min(
            a.usd * n + b.usd * m
            for a, b in [elastic]
            for n, m in itertools.product(range(8), repeat=2)
            if keeps(at, [(big, held), (a, n), (b, m)], wished)
        )

    def cost(slack):
        return min(
            720 * big.usd * held
            + 360 * (cheapest(3 * load * slack, held) + cheapest(load * slack, held))
            for held in range(8)
        )

    assert found.status is Status.OPTIMAL
    assert cost(1 - 1e-3) - 1e-6 <= found.score_usd_per_month <= cost(1) + 1e-6


def test_units_held_all_month_are_mixed_with_those_of_single_blocks_as_all_mixes_say():
    held_all_month(0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 22))
def test_units_held_all_month_are_mixed_as_all_mixes_say_whatever_they_are(seed):
    held_all_month(seed)


def test_next_best_plans_keep_the_wait_and_are_the_cheapest_of_other_sets_of_offerings():
    # 12 requests/s: the cheapest mix of every set of kinds, and those sets by price.
    load, best = 12, {}
    for usd, on, counts in mixes(KINDS, 5):
        names = frozenset(name for name, n in zip(KINDS, counts, strict=True) if n)
        if usd < best.get(names, 99.0) and keeps(load, on, P99_OF_A_SECOND):
            best[names] = usd
    found = solve(asked(load, P99), market(), alternatives=2)
    plans = [found, *found.alternatives]
    assert all(plan.status is Status.OPTIMAL for plan in plans)
    sets = [frozenset(p.candidate.gpu for p in plan.purchases) for plan in plans]
    assert len(set(sets)) == len(sets) == 3
    assert [usd_of(plan) for plan in plans] == pytest.approx([best[names] for names in sets])
    assert usd_of(plans[0]) == pytest.approx(min(best.values()))
