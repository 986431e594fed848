"""Every family binds, says its breach with numbers, and says nothing of another's."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from milp_planner import Catalog, Problem, Status, evaluate, prepare, solve
from milp_planner.milp.engines.highs import run_highs
from milp_planner.milp.program.families import CONSTRAINTS
from milp_planner.milp.program.model import build_model
from milp_planner.milp.program.read_solution import read_solution
from milp_planner.questions.evaluate import Units
from milp_planner.questions.solve import provenance_of
from milp_planner.solving.assembly.assemble import assemble
from milp_planner.solving.re_solve import settings_of
from tests.support.builders import (
    BIG,
    PER_TOKEN,
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


@dataclass(frozen=True)
class Asked:
    """A question under one limit, its cheapest cash, and a fleet that breaks only that limit."""

    question: Problem
    usd: float
    fleet: Mapping[str, Units]
    breach: str
    rented: Catalog


def asked(load, usd, fleet, breach, rented=None, **fields):
    return Asked(problem(load, **fields), usd, fleet, breach, rented or big_and_small())


def boxes():
    """Boxes for $2/h."""
    rates = [raw("box", 10, size=(1, 1)), raw("box", 1, size=(10, 10))]
    return catalog([offering("acme", "box", 2.0)], rates)


def with_spot():
    """Big for $4/h, and the same interrupted for $1/h."""
    return catalog(
        [offering("acme", "big", 4.0), offering("bolt", "big", 1.0, billing="spot")],
        [raw("big", 10)],
    )


def own_big():
    """Big of one's own for $1/h and 3 kW, and small."""
    own = offering("own", "big", 1.0, billing="owned", kilowatts=3.0)
    return catalog([own, offering("bolt", "small", 1.5)], [raw("big", 10), raw("small", 3)])


def small_in_two_regions():
    """Big and small at eu-1, and small at aa-1 as well."""
    return catalog(
        [
            offering("acme", "big", 4.0),
            offering("bolt", "small", 1.4, region="aa-1"),
            offering("bolt", "small", 1.5),
        ],
        [raw("big", 10), raw("small", 3)],
    )


ANY_BILLING = {"allow": ["dedicated", "spot"]}

# Big: 10 requests/s, $2,880 a month. Small: 3 requests/s, $1,080.
# For 12 requests/s one of each costs $3,960; without a limit nothing is cheaper.
ASKED = {
    # Tokens for half of 10 requests/s, and nothing for the rest. All of them: $518.40.
    "Coverage": asked(
        10,
        518.4,
        {TOKENS: 0.5},
        "workload 'chat' serves 5 of 10 requests/s of class 1/1 in block active",
        with_tokens(),
        limits=PER_TOKEN,
    ),
    # A box does 10 short or 1 long a second: 5 and 0.6 of them are 1.1 boxes' work.
    "Capacity": asked(
        5.6,
        2 * 1_440,
        {"acme/box/eu-1": 1},
        "chat on acme/box/eu-1 dedicated raw tp1 has the work of 1.1 units on 1 unit in block "
        "active, above 100 % utilization",
        boxes(),
        chat={
            "requests": [
                {"input_tokens": 1, "output_tokens": 1, "share": 5 / 5.6},
                {"input_tokens": 10, "output_tokens": 10, "share": 0.6 / 5.6},
            ]
        },
    ),
    # 864,000 requests a day keep one big busy; what breaks it is in `batch/`, as no fleet that is
    # evaluated says when it works on a batch, nor which LLM it serves.
    "BatchWork": asked(
        0,
        2_880,
        {},
        "",
        workloads=[
            workload(traffic={"kind": "batch", "requests": 864_000, "deadline": "24h"}),
        ],
    ),
    # One small serves the lean LLM, $1,080; two thirds of the other take a big, which serves all.
    "MeanQuality": asked(
        3,
        2_880,
        {},
        "",
        catalog(
            [offering("acme", "big", 4.0), offering("bolt", "small", 1.5)],
            [raw("big", 10), raw("small", 3, llm="lean")],
        ),
        chat={
            "llm": {
                "any_of": ["tiny", "lean"],
                "quality": {"tiny": 0.9, "lean": 0.6},
                "at_least": 0.8,
            }
        },
    ),
    # 300 requests a minute are 5 of 8 requests/s, $259.20; one small serves the other 3.
    "PerTokenRate": asked(
        8,
        259.2 + 1_080,
        {TOKENS: 1.0},
        "tokn/tiny/global serves 8 requests/s in block active, above its rate limit of 5",
        with_tokens(max_requests_per_minute=300),
        limits=PER_TOKEN,
    ),
    # One of each is two replicas; four small, $4,320, are four.
    "Replicas": asked(
        12,
        4_320,
        {BIG: 1, SMALL: 1},
        "workload 'chat' has 2 replicas in block active, fewer than 3",
        chat={"min_replicas": 3},
    ),
    # At 95 % of 8 places 1 in 100 waits for longer than a second; another one is needed.
    "QueueTimes": asked(
        9.5,
        5_760,
        {BIG: 1},
        "workload 'chat': the p99 wait is 10.22 s in block active, longer than 1 s",
        chat={
            "rates": [
                {"gpu": "big", "requests_per_second": 10, "in_flight": 8},
                {"gpu": "small", "requests_per_second": 3, "in_flight": 4},
            ],
            "requests": None,
            "latency": {"wait": {"p99": "1s"}},
        },
    ),
    # The same of one big alone; two have a queue of 16 places, and run half full: $5,760.
    "OwnQueues": asked(
        9.5,
        5_760,
        {BIG: 1},
        "workload 'chat': the p99 wait before acme/big/eu-1 is 10.22 s in block active, longer "
        "than 1 s",
        chat={
            "rates": [
                {"gpu": "big", "requests_per_second": 10, "in_flight": 8},
                {"gpu": "small", "requests_per_second": 3, "in_flight": 4},
            ],
            "requests": None,
            "latency": {"wait": {"p99": "1s"}},
        },
        policy={"routing": "per_offering"},
    ),
    "Quotas": asked(
        12,
        5_760,
        {BIG: 1, SMALL: 1},
        "max_gpus.per_provider bolt: 1 in use, more than 0",
        limits={"max_gpus": {"per_provider": {"bolt": 0}}},
    ),
    # At 120 % one big would be enough; a small one besides is cheaper than the penalty.
    "BudgetLimit": asked(
        12,
        2_880,
        {BIG: 1, SMALL: 1},
        "cash is $3,960.00 per month, above the budget of $3,000.00",
        limits={"budget": {"usd_per_month": 3_000}},
        policy={"utilization": {"target": 0.75, "ceiling": 1.2}, "penalties": {"overload": {}}},
    ),
    "ProviderCount": asked(
        12,
        4_320,
        {BIG: 1, SMALL: 1},
        "2 providers (acme, bolt), more than 1",
        limits={"providers": {"max_count": 1}},
    ),
    # Small is cheaper at aa-1, but big is at eu-1 alone: one of each there costs $5.50/h.
    "RegionCount": asked(
        13,
        3_960,
        {BIG: 1, "bolt/small/aa-1": 1},
        "2 regions (aa-1, eu-1), more than 1",
        small_in_two_regions(),
        limits={"regions": {"max_count": 1}},
    ),
    "GpuCount": asked(
        12,
        4_320,
        {BIG: 1, SMALL: 1},
        "2 GPU types (big, small), more than 1",
        limits={"gpus": {"max_count": 1}},
    ),
    # No one serves more than 7.2 of 12 requests/s: one big, and two small for the other 4.8.
    "ProviderShare": asked(
        12,
        2_880 + 2 * 1_080,
        {BIG: 2},
        "workload 'chat' has 12 of 12 requests/s served by provider acme in block active, "
        "more than 60 %",
        limits={"providers": {"max_share": 0.6}},
    ),
    # Two spot, $1,440, serve 12 requests/s; at most half of it may be spot.
    "SpotShare": asked(
        12,
        2_880 + 720,
        {"bolt/big/eu-1": 2},
        "workload 'chat' has 12 of 12 requests/s served by interruptible capacity in block active, "
        "more than 50 %",
        with_spot(),
        limits={"max_spot_share": 0.5, "billing": ANY_BILLING},
    ),
    # Two spot, $1,440, serve 12 requests/s; one big at least is on demand.
    "OnDemandReplicas": asked(
        12,
        2_880 + 720,
        {"bolt/big/eu-1": 2},
        "workload 'chat' has 0 replicas that are not spot in block active, fewer than 1",
        with_spot(),
        limits={"min_on_demand_replicas": 1, "billing": ANY_BILLING},
    ),
    # Two big of one's own, $1,440, draw 6 kW; there are 4.
    "PowerCap": asked(
        12,
        720 + 1_080,
        {"own/big/eu-1": 2},
        "owned units draw 6 kW, more than 4 kW",
        own_big(),
        limits={"max_power_kw": 4},
    ),
    # Either provider alone serves 12 requests/s: two big and four small.
    "LossSurvived": asked(
        12,
        2 * 2_880 + 4 * 1_080,
        {BIG: 2, SMALL: 3},
        "workload 'chat' without provider acme keeps 9 of 12 requests/s in block active",
        limits={"survive_loss_of": "provider"},
    ),
    # Four small run; one of each would be one big added and three small removed.
    "ChangeLimit": asked(
        13,
        5 * 1_080,
        {BIG: 1, SMALL: 1},
        "4 units change against the current fleet, more than 1",
        current_fleet=[{"offering": SMALL, "units": 4, "workload": "chat"}],
        switching={"max_units_changed": 1},
    ),
}

DEFINE_A_COST = {
    "OneLevel",
    "OverloadRamp",
    "ExtraGpus",
    "Commitments",
    "StartUpAhead",
    "VolumeBands",
    "Packing",
}
"""Families that no plan of a solver can break: what they define is a cost, which `verify`
recomputes."""


@pytest.mark.parametrize("family", ASKED)
def test_the_limit_binds(family):
    case = ASKED[family]
    plan = solve(case.question, case.rented)
    assert plan.status is Status.OPTIMAL
    assert plan.cash_usd_per_month == pytest.approx(case.usd)


@pytest.mark.parametrize("family", [family for family, case in ASKED.items() if case.fleet])
def test_a_breach_is_named_with_numbers_by_its_family_alone(family):
    case = ASKED[family]
    found = evaluate(case.question, case.fleet, case.rented)
    assert [(b.family, b.message) for b in found.breaches] == [(family, case.breach)]


SOFT = {"utilization": {"target": 0.75, "ceiling": 1.2}}
PENALISED = {
    # 11 requests/s, strict, on one big: 110 %, and no level says so.
    "OneLevel": (11, {**SOFT, "penalties": {"strict_latency": {"usd": 500}}}, "strict_latency"),
    "OverloadRamp": (11, {**SOFT, "penalties": {"overload": {}}}, "overload"),
    "ExtraGpus": (35, {"penalties": {"scaling": {"above_gpus": 1}}}, "scaling"),
    # Replicas without units to stand on.
    "Packing": (11, {"share": "units"}, "rent"),
    # Five big are paid, and two are on.
    "Commitments": (11, {}, "commitments"),
    # Two small by day and one by night, which are ready after ten hours: $1.50 x 10 x 30.
    # $5,760 are spent, 10 % off beyond $5,000.
    "VolumeBands": (11, {}, "volume_discount"),
    "StartUpAhead": (6, {"start_up": [{"ready_after": "10h"}]}, "start_up"),
}
BY_DAY = {
    "kind": "profile",
    "requests_per_day": 12 * (3 + 6) * 3_600,
    "weights": [1] * 12 + [2] * 12,
    "max_blocks": 2,
}
PAID = {"Commitments": ({"offering": BIG, "units": 5},)}


def pairs():
    """Units of two big for $8/h."""
    return catalog([offering("acme", "big", 8.0, gpus_per_unit=2)], [raw("big", 10)])


@pytest.mark.parametrize("family", [f.name for f in CONSTRAINTS])
def test_without_its_rows_the_program_is_caught(family):
    rest = [f for f in CONSTRAINTS if f.name != family]
    if family in ASKED:
        question, rented = ASKED[family].question, ASKED[family].rented
    else:
        load, policy, _ = PENALISED[family]
        strict = STRICT if "strict_latency" in policy.get("penalties", {}) else {}
        paid = PAID.get(family, ())
        volume = {"*": [{"above": 5_000, "discount": 0.1}]} if family == "VolumeBands" else {}
        asked_for = {"commitments": paid, "prices": {"volume": volume}}
        question = problem(load, policy=policy, chat=strict, **asked_for)
        rented = big_and_small()
        if family == "StartUpAhead":
            question = problem(chat={"traffic": BY_DAY}, policy=policy)
            rented = catalog(
                [offering("bolt", "small", 1.5, billing="autoscaling")], [raw("small", 3)]
            )
        if family == "Packing":
            rented = pairs()
    given_ = prepare(question, rented)
    model = build_model(given_, given_.candidates.candidates, rules=rest)
    plan, modelled = plan_of(given_, model)
    if family in ASKED:
        said = {f.name for f in CONSTRAINTS for _ in f.violations(given_, plan)}
        assert said == {family}
    else:
        term = PENALISED[family][2]
        assert plan.costs[term] > modelled[term] + 100


STRICT = {"latency": {"requirement": "200ms"}}


def plan_of(given_, model):
    """HiGHS's plan of a program, and what the program says it costs; nothing is verified."""
    with tempfile.TemporaryDirectory() as folder:
        mps = Path(folder) / "model.mps"
        model.write_mps(mps)
        values = run_highs(mps, columns=model.columns, time_limit_s=10).values
    provenance = provenance_of(given_, settings_of(given_.problem))
    plan = assemble(given_, read_solution(model, values), provenance)
    modelled = {
        name: sum(usd * values.get(column.name, 0.0) for column, usd in terms.items())
        for name, terms in model.costs.items()
    }
    return plan, modelled


def test_every_family_is_tested():
    assert set(ASKED) | DEFINE_A_COST == {family.name for family in CONSTRAINTS}
    assert set(PENALISED) == DEFINE_A_COST
