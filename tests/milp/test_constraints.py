"""Every family binds, says its breach with numbers, and says nothing of another's."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from milp_planner import Status, prepare, solve
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.engines.highs import run_highs
from milp_planner.milp.program.families import CONSTRAINTS
from milp_planner.milp.program.model import build_model
from milp_planner.milp.program.read_solution import read_solution
from milp_planner.questions.evaluate import Units, evaluate
from milp_planner.questions.solve import provenance_of
from milp_planner.solving.assemble import assemble
from milp_planner.solving.re_solve import settings_of
from tests.support.builders import (
    big_and_small,
    catalog,
    offering,
    problem,
    raw,
    token_price,
    workload,
)
from tests.support.oracles.month_cases import assert_plan_is_cheapest, hard_months

BIG = "acme/big/eu-1"
SMALL = "bolt/small/eu-1"
TOKENS = "tokn/tiny/global"


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


def with_tokens(**fields):
    """Big, small and tokens: $20 per million requests, $51.84 a month for one request/s."""
    return replace(big_and_small(), token_prices=(token_price("tokn", 10, **fields),))


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


def stocked():
    """Big, of which two can be had, and small."""
    return catalog(
        [offering("acme", "big", 4.0, max_units=2), offering("bolt", "small", 1.5)],
        [raw("big", 10), raw("small", 3)],
    )


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


PER_TOKEN = {"billing": {"allow": ["dedicated", "per_token"]}}
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
        "chat on acme/box/eu-1 dedicated raw tp1 has 1.1 units' work on 1 units in block active, "
        "above 100% utilization",
        boxes(),
        chat={
            "requests": [
                {"input_tokens": 1, "output_tokens": 1, "share": 5 / 5.6},
                {"input_tokens": 10, "output_tokens": 10, "share": 0.6 / 5.6},
            ]
        },
    ),
    # 300 requests a minute are 5 of 8 requests/s, $259.20; one small serves the other 3.
    "PerTokenRate": asked(
        8,
        259.2 + 1_080,
        {TOKENS: 1.0},
        "chat on tokn/tiny/global per_token provider tp0 serves 8 requests/s in block active, "
        "above its rate limit of 5",
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
    # A big is at most 60 % of what there is when three small, 9 requests/s, stand beside it.
    "ProviderShare": asked(
        12,
        2_880 + 3 * 1_080,
        {BIG: 1, SMALL: 1},
        "workload 'chat' has 10 of 13 requests/s on provider acme in block active, more than 60%",
        limits={"providers": {"max_share": 0.6}},
    ),
    # Two spot, $1,440, serve 12 requests/s; at most half of it may be spot.
    "SpotShare": asked(
        12,
        2_880 + 720,
        {"acme/big/eu-1": 1, "bolt/big/eu-1": 2},
        "workload 'chat' has 20 of 30 requests/s on interruptible capacity in block active, more "
        "than 50%",
        with_spot(),
        limits={"spot_share": 0.5, "billing": ANY_BILLING},
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

DEFINE_A_COST = {"OneLevel", "OverloadRamp", "ExtraGpus"}
"""Families that no plan can break: what they define is a penalty, which `verify` recomputes."""


@pytest.mark.parametrize("family", ASKED)
def test_the_limit_binds(family):
    case = ASKED[family]
    plan = solve(case.question, case.rented)
    assert plan.status is Status.OPTIMAL
    assert plan.cash_usd_per_month == pytest.approx(case.usd)


@pytest.mark.parametrize("family", ASKED)
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
}


@pytest.mark.parametrize("family", [f.name for f in CONSTRAINTS])
def test_without_its_rows_the_program_is_caught(family):
    rest = [f for f in CONSTRAINTS if f.name != family]
    if family in ASKED:
        question, rented = ASKED[family].question, ASKED[family].rented
    else:
        load, policy, _ = PENALISED[family]
        question, rented = problem(load, policy=policy, chat=STRICT), big_and_small()
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


# --- quotas -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "usd", "breach"),
    [
        # 12 requests/s: one of each costs $3,960, four small $4,320, two big $5,760.
        ({"max_gpus": {"total": 1}}, None, "max_gpus.total: 2 in use, more than 1"),
        ({"max_gpus": {"per_gpu": {"big": 0}}}, 4_320, "max_gpus.per_gpu big: 1 in use"),
        ({"max_gpus": {"per_provider": {"bo*": 0}}}, 5_760, "max_gpus.per_provider bo*: 1 in use"),
        ({"max_units": {"acme/*": 0}}, 4_320, "max_units acme/*: 1 in use, more than 0"),
        ({"max_units": {"*": 1}}, None, "max_units *: 2 in use, more than 1"),
    ],
)
def test_every_form_of_a_quota_binds(limits, usd, breach):
    plan = solve(problem(12, limits=limits), big_and_small(), diagnose=False)
    assert plan.cash_usd_per_month == (None if usd is None else pytest.approx(usd))
    found = evaluate(problem(12, limits=limits), {BIG: 1, SMALL: 1}, big_and_small())
    assert [b.family for b in found.breaches] == ["Quotas"]
    assert found.breaches[0].message.startswith(breach)


def test_a_stock_binds_over_all_workloads():
    # Two big can be had. 10 requests/s each for three workloads: the third takes four small.
    three = [workload(10, name) for name in ("chat", "code", "mail")]
    plan = solve(problem(workloads=three), stocked())
    assert plan.cash_usd_per_month == pytest.approx(2 * 2_880 + 4 * 1_080)
    fleet = {f"{w}:{BIG}": 1 for w in ("chat", "code", "mail")}
    found = evaluate(problem(workloads=three), fleet, stocked())
    assert [b.message for b in found.breaches] == [
        f"units of {BIG} dedicated: 3 in use, more than 2"
    ]


def test_gpus_are_counted_not_units():
    # A box of 4 GPUs does 40 requests/s; 3 GPUs allow none of it.
    boxes_of_4 = catalog(
        [offering("acme", "big", 4.0, gpus_per_unit=4), offering("bolt", "small", 1.5)],
        [raw("big", 10), raw("small", 3)],
    )
    plan = solve(problem(9, limits={"max_gpus": {"total": 3}}), boxes_of_4)
    assert {p.candidate.gpu: p.units for p in plan.purchases} == {"small": 3}


# --- shares and losses --------------------------------------------------------------------------

BUSINESS_HOURS = {
    "kind": "profile",
    "requests_per_day": 12 * 12 * 3_600,
    "weights": [12] * 12 + [0] * 12,
}


def test_a_share_is_asked_only_in_hours_with_load():
    # 12 requests/s half the day. Held big and, in those hours, three autoscaling small: 10 of 19.
    # At night big stands alone, and serves no one.
    rented = catalog(
        [offering("acme", "big", 4.0), offering("bolt", "small", 1.5, billing="autoscaling")],
        [raw("big", 10), raw("small", 3)],
    )
    limits = {"providers": {"max_share": 0.6}}
    plan = solve(problem(workloads=[workload(traffic=BUSINESS_HOURS)], limits=limits), rented)
    assert plan.status is Status.OPTIMAL
    assert plan.cash_usd_per_month == pytest.approx(2_880 + 3 * 540)


def test_equal_shares_of_unequal_units_are_found():
    # Half and half of 10 and 3 requests/s is three big and ten small, however little is asked.
    plan = solve(problem(5, limits={"providers": {"max_share": 0.5}}), big_and_small())
    assert {p.candidate.gpu: p.units for p in plan.purchases} == {"big": 3, "small": 10}


@pytest.mark.parametrize(
    ("kind", "usd"),
    [
        # 10 requests/s. Big at acme in two regions, $4 and $5; big at bolt, $6.
        ("offering", 2_880 + 3_600),
        ("region", 2_880 + 3_600),
        ("provider", 2_880 + 4_320),
    ],
)
def test_what_is_lost_together_counts_together(kind, usd):
    rented = catalog(
        [
            offering("acme", "big", 4.0, region="eu-1"),
            offering("acme", "big", 5.0, region="us-1"),
            offering("bolt", "big", 6.0, region="eu-1"),
        ],
        [raw("big", 10)],
    )
    plan = solve(problem(10, limits={"survive_loss_of": kind}), rented)
    assert plan.cash_usd_per_month == pytest.approx(usd)


def test_a_share_of_the_peak_may_be_enough_to_survive():
    # 12 requests/s, half of it after a loss: one big and two small leave 10 or 6.
    limits = {"survive_loss_of": {"kind": "provider", "share": "50%"}}
    plan = solve(problem(12, limits=limits), big_and_small())
    assert plan.cash_usd_per_month == pytest.approx(2_880 + 2 * 1_080)


def test_tokens_survive_a_loss_with_what_they_serve():
    # 10 requests/s, half of it after a loss: one big, and tokens for exactly half.
    limits = {"survive_loss_of": {"kind": "provider", "share": 0.5}, **PER_TOKEN}
    rented = replace(with_tokens(), offerings=with_tokens().offerings[:1])
    plan = solve(problem(10, limits=limits), rented)
    assert plan.cash_usd_per_month == pytest.approx(2_880 + 5 * 51.84)


def test_only_the_load_must_survive_not_the_headroom():
    # 7 requests/s at 50 % want 14: one of each are 13, two big 20. Lost acme leaves three small, 9.
    limits = {"survive_loss_of": "provider"}
    plan = solve(problem(7, target=0.5, limits=limits), big_and_small())
    assert {p.candidate.gpu: p.units for p in plan.purchases} == {"big": 1, "small": 3}


# --- from here to there -------------------------------------------------------------------------

FOUR_SMALL = [{"offering": SMALL, "units": 4, "workload": "chat"}]


@pytest.mark.parametrize(
    ("most", "fleet", "usd"),
    [
        # 13 requests/s, four small today. One of each is 4 changes, big and two small are 3.
        (4, {"big": 1, "small": 1}, 3_960),
        (3, {"big": 1, "small": 2}, 5_040),
        (1, {"small": 5}, 5_400),
        (0, None, None),
    ],
)
def test_only_so_many_units_change(most, fleet, usd):
    switching = {"max_units_changed": most}
    question = problem(13, current_fleet=FOUR_SMALL, switching=switching)
    plan = solve(question, big_and_small(), diagnose=False)
    if fleet is None:
        assert plan.status is Status.INFEASIBLE
    else:
        assert {p.candidate.gpu: p.units for p in plan.purchases} == fleet
        assert plan.cash_usd_per_month == pytest.approx(usd)


def test_a_change_must_pay_for_itself():
    # One of each saves $1,440 over five small, but removes three units: at $500 each it does not
    # pay; at $400 it does.
    for usd, cash in ((500, 5_400), (400, 3_960 + 1_200)):
        switching = {"usd_per_unit_removed": usd}
        question = problem(13, current_fleet=FOUR_SMALL, switching=switching)
        plan = solve(question, big_and_small())
        assert plan.cash_usd_per_month == pytest.approx(cash)
        assert plan.costs["switching"] == pytest.approx(
            cash - sum(p.cash_usd_per_month for p in plan.purchases)
        )


def test_units_that_may_not_be_used_any_more_count_as_removed():
    limits = {"gpus": {"deny": ["small"]}}
    switching = {"usd_per_unit_removed": 10, "usd_per_unit_added": 1}
    question = problem(13, limits=limits, current_fleet=FOUR_SMALL, switching=switching)
    plan = solve(question, big_and_small())
    assert plan.costs["switching"] == pytest.approx(4 * 10 + 2 * 1)


# --- brute force --------------------------------------------------------------------------------


@settings(max_examples=70, deadline=None, derandomize=True)
@given(hard_months())
def test_limits_agree_with_brute_force(case):
    most = 5 if len(case.offers) == 2 else 4
    assert_plan_is_cheapest(case, most)


def test_tokens_beyond_the_demand_do_not_count_for_survival():
    # One box (10/s) and two APIs; whichever provider is lost, 10/s must be left. Tokens alone can
    # be bought for the whole demand once, not twice: box and one API, or both APIs in halves, fall
    # short, so there is no plan.
    boxes = catalog(
        [offering("acme", "box", 1.0)],
        [raw("box", 10)],
        [token_price("one", 1.0), token_price("two", 1.0)],
    )
    question = problem(
        10,
        limits={
            "survive_loss_of": "provider",
            "billing": {"allow": ["per_token"]},
        },
    )
    assert solve(question, boxes, diagnose=False).status is Status.INFEASIBLE
