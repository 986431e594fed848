"""Plans keep their limits as a person reads them, whatever the program makes of the limits."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from milp_planner import Catalog, Plan
from milp_planner.solving.assembly.verify import violations
from tests.solving.test_exact import changed
from tests.support.builders import (
    BIG,
    SMALL,
    TOKENS,
    big_and_small,
    catalog,
    offering,
    problem,
    raw,
    with_tokens,
    workload,
)
from tests.support.oracles.reading.reader import READERS, read
from tests.support.oracles.reading.reader_cases import wide_case
from tests.support.oracles.reading.term_cases import term_case
from tests.support.random_problems import planned, random_case

FEW, MANY = 15, 1000
"""Of either kind of problem."""


def read_well(seeds: range) -> None:
    for seed in seeds:
        for case in (random_case, wide_case):
            given, plan = planned(*case(seed), time_limit_s=10)
            if plan.status.has_plan:
                assert read(given, plan) == [], (case.__name__, seed)


def test_plans_of_random_problems_read_well():
    read_well(range(3000, 3000 + FEW))


def read_with_terms(seeds: range) -> int:
    """Of fleets with every term, LLMs to choose among and batches: how many have a plan."""
    plans = 0
    for seed in seeds:
        given, plan = planned(*term_case(seed), time_limit_s=10)
        if plan.status.has_plan:
            plans += 1
            assert read(given, plan) == [], seed
    return plans


def test_plans_with_every_term_read_well():
    assert read_with_terms(range(10)) > 5


@pytest.mark.slow
def test_many_plans_with_every_term_read_well():
    assert read_with_terms(range(1000, 1000 + MANY // 4)) > 100


@pytest.mark.slow
def test_plans_of_many_random_problems_read_well():
    read_well(range(4000, 4000 + MANY))


def agree_on_changed_fleets(seeds: range) -> dict[bool, int]:
    """Readers and the planner's own check say the same of fleets with units or shares changed."""
    said = {True: 0, False: 0}
    for seed in seeds:
        given, plan = planned(*wide_case(seed), time_limit_s=10)
        chance = random.Random(seed)
        for number in range(4 if plan.purchases else 0):
            other = changed(given, plan, chance)
            wrong, broken = read(given, other), violations(given, other)
            assert bool(wrong) == bool(broken), (seed, number, wrong, broken)
            said[bool(wrong)] += 1
    return said


def test_readers_say_what_verify_says_of_changed_fleets():
    assert min(agree_on_changed_fleets(range(3000, 3000 + FEW)).values()) > 10


@pytest.mark.slow
def test_readers_say_what_verify_says_of_many_changed_fleets():
    assert min(agree_on_changed_fleets(range(4000, 4000 + MANY // 4)).values()) > 100


BROKEN = {
    "max_share": {"limits": {"providers": {"max_share": 0.6}}},
    "max_units_changed": {
        "current_fleet": [{"offering": BIG, "units": 1, "workload": "chat"}],
        "switching": {"max_units_changed": 0},
    },
    "survive_loss_of": {"limits": {"survive_loss_of": "provider"}},
    "quotas": {"limits": {"max_gpus": {"total": 1}}},
    "max_count": {"limits": {"gpus": {"max_count": 1}}},
    "budget": {"limits": {"budget": {"usd_per_month": 3900}}},
    "min_replicas": {"chat": {"min_replicas": 3}},
    "names": {"limits": {"providers": {"deny": ["bolt"]}}},
    "utilization": {"target": 0.9},
}
"""Wishes that one big and one small, $3,960 for 13 requests/s and full, do not keep."""


@pytest.mark.parametrize("family", BROKEN)
def test_a_reader_sees_the_wish_that_a_plan_does_not_keep(family):
    given, plan = planned(problem(13), big_and_small())
    assert read(given, plan) == []
    asked = problem(13, **BROKEN[family])
    assert families(read(replace(given, problem=asked), plan)) == {family}


@dataclass(frozen=True)
class Changed:
    """A right plan, and what is changed in it so that readers of `families` complain."""

    change: Callable[[Plan], Plan]
    families: set[str]
    wishes: dict[str, Any] = field(default_factory=dict)
    rented: Callable[[], Catalog] = big_and_small
    rate: float = 13


def units(offering_id: str, *by_block: int) -> Callable[[Plan], Plan]:
    """As many units of an offering in each block."""

    def change(plan: Plan) -> Plan:
        return replace(
            plan,
            purchases=tuple(
                replace(p, units_by_block=by_block) if p.candidate.offering.id == offering_id else p
                for p in plan.purchases
            ),
        )

    return change


def moved(rate: float, frm: str, to: str) -> Callable[[Plan], Plan]:
    """So many requests/s from one offering to another, of those that the plan has."""

    def change(plan: Plan) -> Plan:
        more = {frm: -rate, to: rate}
        return replace(
            plan,
            routes=tuple(
                replace(
                    route,
                    requests_per_second=route.requests_per_second
                    + more.get(route.candidate.offering.id, 0.0),
                )
                for route in plan.routes
            ),
        )

    return change


def on_other(**fields: Any) -> Callable[[Plan], Plan]:
    """All that is bought, and whatever is served, is of another replica."""

    def change(plan: Plan) -> Plan:
        others = {p.candidate: replace(p.candidate, **fields) for p in plan.purchases}
        return replace(
            plan,
            purchases=tuple(replace(p, candidate=others[p.candidate]) for p in plan.purchases),
            routes=tuple(replace(r, candidate=others[r.candidate]) for r in plan.routes),
        )

    return change


def slow_to(**times: float) -> Callable[[Plan], Plan]:
    """Everything takes so long."""

    def change(plan: Plan) -> Plan:
        points = (replace(plan.purchases[0].candidate.points[0], **times),)
        return on_other(points=points)(plan)

    return change


def spot() -> Catalog:
    """Big on demand and small as spot."""
    return catalog(
        [offering("acme", "big", 4.0), offering("bolt", "small", 0.5, billing="spot")],
        [raw("big", 10), raw("small", 3)],
    )


def unserved(plan: Plan) -> Plan:
    return replace(plan, routes=plan.routes[:1])


def dearer(plan: Plan) -> Plan:
    return replace(plan, costs={**plan.costs, "rent": plan.costs["rent"] + 1})


HALF_A_DAY = {
    "kind": "profile",
    "requests_per_day": 10 * 43_200,
    "weights": [2] * 12 + [0] * 12,
    "max_blocks": 2,
}
"""10 requests/s in the first block, none in the other."""

OFF = {"workloads": [workload(traffic=HALF_A_DAY)], "policy": {"switch_off_dedicated": True}}
HALF = {"limits": {"providers": {"max_share": 0.5}}}
LITTLE_SPOT = {"limits": {"max_spot_share": 0.25, "billing": {"allow": ["dedicated", "spot"]}}}
ONE_STAYS = {"limits": {"min_on_demand_replicas": 1, "billing": {"allow": ["dedicated", "spot"]}}}
ON_TOKENS = {"limits": {"billing": {"allow": ["per_token"]}}}
TODAY = {
    "current_fleet": [{"offering": BIG, "units": 1, "workload": "chat"}],
    "switching": {"max_units_changed": 1},
}

CHOICE = {
    "chat": {
        "llm": {"any_of": ["rich", "lean"], "quality": {"rich": 0.9, "lean": 0.6}, "at_least": 0.75}
    }
}


def two_llms() -> Catalog:
    """A box does 1 request/s of the rich one or 3 of the lean one."""
    rates = [raw("box", 1, llm="rich"), raw("box", 3, llm="lean")]
    return catalog([offering("acme", "box", 2.0)], rates)


def all_lean(plan: Plan) -> Plan:
    """All that the rich LLM serves is the lean one's as well."""
    lean = next(r.candidate for r in plan.routes if r.candidate.llm == "lean")
    return replace(plan, routes=tuple(replace(r, candidate=lean) for r in plan.routes))


def more(term: str) -> Callable[[Plan], Plan]:
    """$100 more of one term of the costs."""
    return lambda plan: replace(plan, costs={**plan.costs, term: plan.costs[term] + 100})


def own() -> Catalog:
    """Owned, $3 an hour at full load and $1 idle."""
    usd = {"idle_usd_per_hour": 1.0, "busy_usd_per_hour": 3.0}
    return catalog([offering("lab", "big", 2.0, billing="owned", **usd)], [raw("big", 10)])


def follows() -> Catalog:
    """Big, which follows the load."""
    return catalog([offering("acme", "big", 4.0, billing="autoscaling")], [raw("big", 10)])


NIGHT = workload(name="night", traffic={"kind": "batch", "requests": 43_200, "deadline": "24h"})
STARTS = {"start_up": [{"ready_after": "1h"}]}

TERMS: dict[str, tuple[dict[str, Any], Callable[[], Catalog]]] = {
    "commitments": ({"commitments": [{"offering": "acme/*", "units": 1}]}, big_and_small),
    "volume_discount": (
        {"prices": {"volume": {"acme/*": [{"above": 100, "discount": 0.5}]}}},
        big_and_small,
    ),
    "power_by_load": ({"policy": {"power_by_load": True}}, own),
    "start_up": ({"workloads": [workload(traffic=HALF_A_DAY)], "policy": STARTS}, follows),
}
"""Wishes that each bring a term of the costs."""

CHANGED = {
    # Half of 13 requests/s is not served.
    "served": Changed(unserved, {"served"}),
    # 10 requests/s of big are 11, or one unit does the work of two.
    "utilization": Changed(moved(1, SMALL, BIG), {"utilization"}),
    # 9 requests/s each: another for big is more than half, and more than one big can.
    "max_share": Changed(moved(1.2, SMALL, BIG), {"max_share", "utilization"}, HALF, rate=18),
    # A quarter of 12 is the 3 of one small.
    "max_spot_share": Changed(
        moved(0.5, BIG, SMALL), {"max_spot_share", "utilization"}, LITTLE_SPOT, spot, rate=12
    ),
    # The big one is there because it stays when all spot goes.
    "min_on_demand_replicas": Changed(
        units(BIG, 0), {"min_on_demand_replicas", "utilization", "costs"}, ONE_STAYS, spot, rate=3
    ),
    # 120 requests a minute are 2 a second.
    "rate limit": Changed(
        moved(-1, TOKENS, ""),
        {"rate limit", "served", "costs"},
        ON_TOKENS,
        lambda: with_tokens(max_requests_per_minute=120),
        rate=2,
    ),
    # The small one is the unit that may be added.
    "max_units_changed": Changed(units(SMALL, 2), {"max_units_changed", "costs"}, TODAY),
    # Four small carry 12 of 10 requests/s when acme is lost.
    "survive_loss_of": Changed(
        units(SMALL, 3),
        {"survive_loss_of", "costs"},
        {"limits": {"survive_loss_of": "provider"}},
        rate=10,
    ),
    # On demand, and on where there is no load.
    "switch_off_dedicated": Changed(units(BIG, 1, 1), {"switch_off_dedicated", "costs"}, OFF),
    "quotas": Changed(units(SMALL, 2), {"quotas", "costs"}, {"limits": {"max_gpus": {"total": 2}}}),
    "min_replicas": Changed(
        units(SMALL, 0), {"min_replicas", "utilization", "costs"}, {"chat": {"min_replicas": 2}}
    ),
    "times": Changed(
        slow_to(tpot_s=0.06), {"times"}, {"chat": {"latency": {"tpot": "50ms"}}}, rate=10
    ),
    "first token": Changed(
        slow_to(ttft_s=2.5), {"times"}, {"chat": {"latency": {"ttft": "2s"}}}, rate=10
    ),
    "format": Changed(
        on_other(precision="bf16"), {"shapes"}, {"chat": {"precision": ["fp8"]}}, rate=10
    ),
    "GPUs": Changed(
        on_other(precision="fp8"), {"shapes"}, {"chat": {"tensor_parallel": [2]}}, rate=10
    ),
    "costs": Changed(dearer, {"costs"}),
    # Two of 1 kW each, where there is power for two.
    "max_power_kw": Changed(
        units("lab/big/eu-1", 3),
        {"max_power_kw", "costs"},
        {"limits": {"max_power_kw": 2}},
        lambda: catalog(
            [offering("lab", "big", 4.0, billing="owned", kilowatts=1.0)], [raw("big", 10)]
        ),
    ),
    # Half of them by each is a mean of 0.75.
    "quality": Changed(all_lean, {"quality", "utilization"}, CHOICE, two_llms, rate=6),
    # One box does chat's 1 request/s for half of its time, and the batch in the rest.
    "batches": Changed(
        lambda plan: replace(plan, batch_runs=()),
        {"batches"},
        {"workloads": [workload(1), NIGHT]},
        lambda: catalog([offering("acme", "box", 2.0)], [raw("box", 2)]),
    ),
    # Each of them is $100 dearer than it is read.
    **{
        name: Changed(more(name), {"costs"}, wishes, rented)
        for name, (wishes, rented) in TERMS.items()
    },
}


@pytest.mark.parametrize("case", CHANGED)
def test_a_reader_sees_what_is_changed_in_a_right_plan(case):
    it = CHANGED[case]
    given, plan = planned(problem(it.rate, **it.wishes), it.rented())
    assert read(given, plan) == []
    assert families(read(given, it.change(plan))) == it.families


def families(said: list[str]) -> set[str]:
    return {line.split(":")[0] for line in said}


def test_every_reader_has_been_seen_to_complain():
    seen = set(BROKEN).union(*(it.families for it in CHANGED.values()))
    assert seen == set(READERS)
