"""Beside wishes for the wait: penalties for hot fleets, and next-best plans, by all mixes."""

from __future__ import annotations

import itertools
import random

import pytest

from milp_planner import InputError, Status, solve
from tests.solving.queues.test_waits import P99, asked, market, random_kinds, units_of, usd_of
from tests.support.oracles.queue_oracle import Wished, carried, keeps

MOST, HOURS = 9, 720
RAMP, ABOVE = 3_000.0, 0.6
"""USD a month at full load, and the utilization that it begins above."""


class Mixes:
    """All mixes of random kinds, with what they cost an hour; those that keep a wish are asked."""

    def __init__(self, seed: int, *, own: bool = False) -> None:
        rng = random.Random(f"mixes {seed}")
        self.kinds, self.load = random_kinds(rng), rng.uniform(3, 9)
        self.wait_s, self.own = rng.choice((0.5, 2.0)), own
        self.wished = Wished([(self.wait_s, 0.99)])
        self.latency = {"wait": {"p99": self.wait_s}}
        self.alone: dict[tuple[str, int], float] = {}

    def of(self, usd_of_mix):
        """(USD an hour, mix), the cheapest first."""
        every = itertools.product(range(MOST + 1), repeat=len(self.kinds))
        enough = (mix for mix in every if self.rate(mix) > self.load)
        return sorted((usd_of_mix(mix), mix) for mix in enough)

    def rate(self, mix):
        return sum(k.rate * n for k, n in zip(self.kinds.values(), mix, strict=True))

    def rent(self, mix):
        return sum(k.usd * n for k, n in zip(self.kinds.values(), mix, strict=True))

    def keep(self, mix, load):
        on = [(name, n) for name, n in zip(self.kinds, mix, strict=True) if n]
        if not self.own:
            return keeps(load, [(self.kinds[name], n) for name, n in on], self.wished)
        for name, n in on:
            if (name, n) not in self.alone:
                self.alone[name, n] = carried(self.kinds[name], n, self.wished)
        return sum(self.alone[one] for one in on) >= load


def between(plan_usd, priced, mixes):
    """The cheapest that keeps the wish, but for what the planner's own slack lets pass."""
    loads = mixes.load * (1 - 1e-3), mixes.load
    least, most = (next(usd for usd, mix in priced if mixes.keep(mix, load)) for load in loads)
    assert least - 1e-6 <= plan_usd <= most + 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_a_ramp_on_utilization_is_weighed_against_larger_pools(seed):
    mixes = Mixes(seed)
    ramp = {"overload": {"above": ABOVE, "usd_at_full_load": RAMP}}
    policy = {"utilization": {"target": ABOVE, "ceiling": 1}, "penalties": ramp}
    question = asked(mixes.load, mixes.latency, mixes.kinds, policy=policy)

    def usd(mix):
        hot = max(0.0, mixes.load / mixes.rate(mix) - ABOVE) / (1 - ABOVE)
        return mixes.rent(mix) + RAMP * hot / HOURS

    plan = solve(question, market(mixes.kinds), alternatives=0)
    assert plan.status is Status.OPTIMAL
    between(usd_of(plan), mixes.of(usd), mixes)


@pytest.mark.parametrize("routing", ["shared", "per_offering"])
def test_next_best_plans_are_the_next_of_all_mixes(routing):
    mixes = Mixes(5, own=routing == "per_offering")
    listed = {"policy": {"routing": routing}, "alternatives": {"count": 4, "differ_by": "counts"}}
    plan = solve(asked(mixes.load, mixes.latency, mixes.kinds, **listed), market(mixes.kinds))
    kept = [(usd, mix) for usd, mix in mixes.of(mixes.rent) if mixes.keep(mix, mixes.load)]
    found: list[tuple[int, ...]] = []
    for one in (plan, *plan.alternatives):
        mine = tuple(units_of(one).get(name, 0) for name in mixes.kinds)
        # none is an earlier one plus spare units
        usd, _ = next(
            (usd, mix)
            for usd, mix in kept
            if not any(all(a >= b for a, b in zip(mix, e, strict=True)) for e in found)
        )
        assert usd_of(one) == pytest.approx(usd)
        found.append(mine)
    assert len(found) > 2


def test_a_ramp_on_utilization_is_refused_where_each_offering_runs_by_itself():
    ramp = {"overload": {"above": ABOVE, "usd_at_full_load": RAMP}}
    policy = {"utilization": {"target": 0.6, "ceiling": 1}, "penalties": ramp}
    question = asked(9, P99, policy={**policy, "routing": "per_offering"})
    with pytest.raises(InputError, match="how hot each offering runs") as refused:
        solve(question, market())
    assert "policy.routing" in str(refused.value)
