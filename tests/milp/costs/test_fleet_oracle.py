"""All that is paid, owed and limited at once, against trying every fleet hour by hour."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from milp_planner import Status, solve
from tests.support.oracles.fleets.fleet_cases import FleetCase, as_asked, fleet_case
from tests.support.oracles.fleets.fleet_oracle import best_fleet

FEW, MANY = 6, 250

ALWAYS = ("hours", "burst", "kinds", "switching")
"""Fields of a case that it cannot do without."""


def agree(seeds: range) -> int:
    """Held against the planner; how many cases have a plan."""
    planned = 0
    for seed in seeds:
        case = fleet_case(seed)
        plan, best = solve(*as_asked(case), diagnose=False), best_fleet(case)
        if best is None:
            assert plan.status is Status.INFEASIBLE, (seed, case)
            continue
        planned += 1
        assert plan.status is Status.OPTIMAL, (seed, case)
        assert plan.cash_usd_per_month == pytest.approx(best.usd, abs=0.02), (seed, case)
        if case.today:
            assert sum(one.add + one.remove for one in plan.changes) == best.changes, (seed, case)
    return planned


def test_fleets_agree_with_trying_every_one():
    assert agree(range(FEW)) > FEW / 2


@pytest.mark.slow
def test_many_fleets_agree_with_trying_every_one():
    assert agree(range(1000, 1000 + MANY)) > MANY / 2


@pytest.mark.slow
def test_every_wish_makes_a_difference_to_some_case():
    """Each field changes the answer of the oracle somewhere, so that it is tried at all."""
    plain = {one.name: one.default for one in fields(FleetCase) if one.name not in ALWAYS}
    idle = dict(plain)
    for seed in range(300):
        case = fleet_case(seed)
        for name in [name for name in idle if getattr(case, name) != plain[name]]:
            if best_fleet(replace(case, **{name: plain[name]})) != best_fleet(case):
                del idle[name]
        if not idle:
            return
    assert not idle
