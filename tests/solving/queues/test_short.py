"""Less than everything served beside a wish for the wait: what is served keeps it.

Held against all mixes of a few units of each kind: the largest part of the load that each carries
with its wait kept, found by halving.
"""

from __future__ import annotations

import itertools
import math
import random

import pytest

from milp_planner import InputError, Status, WaitKept, budget_frontier, solve
from tests.solving.queues.test_waits import HOURS, KINDS, P99, asked, market, random_kinds, usd_of
from tests.support.oracles.queue_oracle import Wished, keeps

NEAR = 1e-3
"""Relative, of what is served: what the planner's own slack lets pass."""

P99_OF_A_SECOND = Wished(waits=[(1.0, 0.99)])


def carried(load, on, wished, *, target=1.0, left=0.0):
    """The largest share of `load` that the units serve with every wish kept."""
    groups = {kind.group for kind, n in on if n} if left else set()
    rate = sum(kind.rate * n for kind, n in on) * target

    def able(share):
        rests = ([(kind, n) for kind, n in on if kind.group != lost] for lost in groups)
        return (
            share * load <= rate * (1 + 1e-9)
            and keeps(share * load, on, wished)
            and all(keeps(left * share * load, rest, wished) for rest in rests)
        )

    if not any(n for _, n in on):
        return 0.0
    low, high = 0.0, 1.0
    if able(high):
        return high
    for _ in range(13):
        middle = (low + high) / 2
        low, high = (middle, high) if able(middle) else (low, middle)
    return low


def mixes(kinds, budget, most=5):
    for counts in itertools.product(range(most + 1), repeat=len(kinds)):
        on = list(zip(kinds.values(), counts, strict=True))
        usd = sum(kind.usd * n for kind, n in on)
        if usd <= budget + 1e-9:
            yield usd, on


def fair(usd, **fields):
    return {"budget": {"usd_per_month": usd * HOURS, "when_short": "fair"}, **fields}


def a_short_budget(seed):
    rng = random.Random(seed)
    kinds, load = random_kinds(rng), rng.uniform(2, 12)
    wait_s, target, left = rng.choice((0.3, 4.0)), rng.choice((0.75, 1.0)), rng.choice((0.0, 0.5))
    limits = {"survive_loss_of": {"kind": "provider", "share": left}} if left else {}
    budget = rng.uniform(1.0, 2.5) * max(kind.usd for kind in kinds.values())
    limits = fair(budget, **limits)
    found = solve(
        asked(load, {"wait": {"p99": wait_s}}, kinds, target=target, limits=limits), market(kinds)
    )
    wished = Wished(waits=[(wait_s, 0.99)])
    served = max(
        carried(load, on, wished, target=target, left=left) for _, on in mixes(kinds, budget)
    )
    assert found.status is Status.OPTIMAL
    assert 1 - found.workloads[0].shortfall_share == pytest.approx(served, rel=NEAR, abs=1e-3)
    assert usd_of(found) <= budget


@pytest.mark.parametrize("seed", range(2))
def test_a_short_budget_serves_what_the_best_of_all_mixes_carries(seed):
    a_short_budget(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 40))
def test_a_short_budget_serves_what_the_best_of_all_mixes_carries_whatever_they_are(seed):
    a_short_budget(seed)


def a_price_on_what_is_not_served(seed):
    rng = random.Random(seed)
    kinds, load, wait_s = random_kinds(rng), rng.uniform(2, 9), rng.choice((0.3, 2.0))
    month = load * HOURS * 3600 / 1e6
    # from what serving costs at most down to where leaving some out pays
    price = rng.uniform(0.5, 2.0) * max(k.usd / k.rate for k in kinds.values()) * load * HOURS
    wished = Wished(waits=[(wait_s, 0.99)])
    penalties = {"penalties": {"shortfall": {"usd_per_million_requests": price / month}}}
    found = solve(asked(load, {"wait": {"p99": wait_s}}, kinds, policy=penalties), market(kinds))
    least = min(
        usd * HOURS + price * (1 - carried(load, on, wished))
        for usd, on in mixes(kinds, math.inf, most=6)
    )
    assert found.status is Status.OPTIMAL
    assert found.score_usd_per_month == pytest.approx(least, rel=NEAR)


@pytest.mark.parametrize("seed", range(2))
def test_a_price_on_what_is_not_served_is_weighed_against_all_mixes(seed):
    a_price_on_what_is_not_served(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 30))
def test_a_price_on_what_is_not_served_is_weighed_against_all_mixes_whatever_they_are(seed):
    a_price_on_what_is_not_served(seed)


def test_two_workloads_are_as_short_as_each_other_and_keep_their_waits():
    # Chat asks 12 requests/s and code 9; $8.50 an hour pays for two big or what is less.
    question = asked(12, P99, limits=fair(8.5))
    chat = question.workloads[0]
    code = chat.model_copy(
        update={
            "name": "code",
            "traffic": chat.traffic.model_copy(update={"requests_per_second": 9.0}),
        }
    )
    question = question.model_copy(update={"workloads": (chat, code)})
    found = solve(question, market())
    best = 0.0
    for usd, on in mixes(KINDS, 8.5, most=3):
        mine = carried(12, on, P99_OF_A_SECOND)
        others = (carried(9, rest, P99_OF_A_SECOND) for _, rest in mixes(KINDS, 8.5 - usd, most=3))
        if mine > best:
            best = max(best, min(mine, max(others)))
    served = [1 - w.shortfall_share for w in found.workloads]
    assert found.status is Status.OPTIMAL
    assert min(served) == pytest.approx(best, rel=NEAR)


BIG_ALONE = {"big": KINDS["big"]}


def test_the_plan_speaks_of_the_wait_of_what_is_served():
    # One big alone, $4: of 20 requests/s it serves fewer than 10, so that their wait is kept.
    found = solve(asked(20, P99, BIG_ALONE, limits=fair(4.5)), market(BIG_ALONE))
    (kept,) = (said for said in found.warnings if isinstance(said, WaitKept))
    served = 20 * (1 - found.workloads[0].shortfall_share)
    assert 7.5 < served < 10
    assert 0 < kept.reached_s <= 1
    assert served / 10 == pytest.approx(kept.allowed, rel=NEAR)


def test_a_frontier_has_a_step_for_every_unit_and_each_serves_within_the_wait():
    # 20 requests/s: nothing, one big, two, and a third so that all of them wait no longer.
    found = budget_frontier(asked(20, P99, BIG_ALONE), 0, 20 * HOURS, market(BIG_ALONE))
    assert [step.budget_usd / HOURS for step in found.steps] == pytest.approx([0, 4, 8, 12])
    on = [[(KINDS["big"], n)] for n in range(4)]
    expected = [carried(20, units, P99_OF_A_SECOND) for units in on]
    assert [step.served_share for step in found.steps] == pytest.approx(expected, rel=NEAR)


def test_every_class_is_served_alike_behind_one_router():
    sizes = [
        {"share": 0.8, "input_tokens": 100, "output_tokens": 100},
        {"share": 0.2, "input_tokens": 100, "output_tokens": 900},
    ]
    found = solve(
        asked(20, P99, BIG_ALONE, chat={"requests": sizes}, limits=fair(4.5)), market(BIG_ALONE)
    )
    served = [route.share for route in found.routes]
    assert len(served) == 2
    assert 0 < served[0] < 1
    assert served[0] == pytest.approx(served[1], abs=1e-6)


def test_queues_of_ones_own_leave_nothing_open():
    routing = {"routing": "per_offering"}
    with pytest.raises(
        InputError, match=r"limits\.budget\.when_short leaves open how much that is"
    ):
        solve(asked(20, P99, limits=fair(4.5), policy=routing), market())
