"""Quotas, shares, losses and changes by hand, and all limits against brute force."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import Status, evaluate, solve
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
    stocked,
    token_price,
    with_tokens,
    workload,
)
from tests.support.examples import tries
from tests.support.oracles.month_cases import LIMITS, assert_plan_is_cheapest, hard_months

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


# --- rate limits ---------------------------------------------------------------------------------


def api_for_two():
    """Small, 3 requests/s for $1,080 a month, and tokens, $51.84 for one request/s, at most 2."""
    return replace(
        catalog([offering("bolt", "small", 1.5)], [raw("small", 3)]),
        token_prices=(token_price("tokn", 10, max_requests_per_minute=120),),
    )


@pytest.mark.parametrize("rates", [{"chat": 4}, {"chat": 2, "code": 2}, {"chat": 1, "code": 3}])
def test_workloads_share_the_rate_limit_of_an_account_however_they_are_cut(rates):
    # 4 requests/s in all: 2 go to the API, whoever they are of; the rest to one small. Two halves
    # need no more than one small either: it serves what the API leaves of one of them, 2 at most.
    workloads = [workload(rate, name) for name, rate in rates.items()]
    plan = solve(problem(workloads=workloads, limits=PER_TOKEN), api_for_two())
    assert plan.status is Status.OPTIMAL
    assert plan.cash_usd_per_month == pytest.approx(1_080 + usd_of_tokens(plan))
    served = sum(r.requests_per_second for r in plan.routes if r.candidate.mode.per_token)
    assert served <= 2 * (1 + 1e-9)


def usd_of_tokens(plan):
    return 51.84 * sum(r.requests_per_second for r in plan.routes if r.candidate.mode.per_token)


def test_a_rate_limit_is_asked_block_by_block():
    # chat by day and code by night, 2 requests/s each: the API accepts 2 at any time, so no GPU.
    day, night = [1] * 12 + [0] * 12, [0] * 12 + [1] * 12
    workloads = [
        workload(
            name=name,
            traffic={"kind": "profile", "requests_per_day": 2 * 43_200, "weights": weights},
        )
        for name, weights in (("chat", day), ("code", night))
    ]
    plan = solve(problem(workloads=workloads, limits=PER_TOKEN), api_for_two())
    assert plan.cash_usd_per_month == pytest.approx(2 * 51.84)


def test_a_fleet_that_asks_too_much_of_an_account_is_named_once():
    question = problem(workloads=[workload(2, "chat"), workload(1, "code")], limits=PER_TOKEN)
    found = evaluate(question, {f"{w}:{TOKENS}": 1.0 for w in ("chat", "code")}, api_for_two())
    assert [(b.family, b.message) for b in found.breaches] == [
        (
            "PerTokenRate",
            f"{TOKENS} serves 3 requests/s in block active, above its rate limit of 2",
        )
    ]


# --- shares and losses --------------------------------------------------------------------------

BUSINESS_HOURS = {
    "kind": "profile",
    "requests_per_day": 12 * 12 * 3_600,
    "weights": [12] * 12 + [0] * 12,
}


def test_a_share_is_asked_only_in_hours_with_load():
    # 12 requests/s half the day, 7.2 of them from one provider at most: big held, and two
    # autoscaling small for 4.8 in those hours. At night big stands alone, and serves no one.
    rented = catalog(
        [offering("acme", "big", 4.0), offering("bolt", "small", 1.5, billing="autoscaling")],
        [raw("big", 10), raw("small", 3)],
    )
    limits = {"providers": {"max_share": 0.6}}
    plan = solve(problem(workloads=[workload(traffic=BUSINESS_HOURS)], limits=limits), rented)
    assert plan.status is Status.OPTIMAL
    assert plan.cash_usd_per_month == pytest.approx(2_880 + 2 * 540)


def test_equal_shares_are_of_what_is_served_not_of_what_is_held():
    # 5 requests/s, half from each: one big for 2.5, and one small.
    plan = solve(problem(5, limits={"providers": {"max_share": 0.5}}), big_and_small())
    assert {p.candidate.gpu: p.units for p in plan.purchases} == {"big": 1, "small": 1}
    assert [route.requests_per_second for route in plan.routes] == pytest.approx([2.5, 2.5])


SHORT_AND_LONG = [
    {"input_tokens": 1, "output_tokens": 1, "share": 0.5},
    {"input_tokens": 10, "output_tokens": 10, "share": 0.5},
]


def one_for_all_and_one_for_the_long():
    """all: 10 short or 1 long a second, at acme. long: 0.1 short or 10 long, at bolt, on spot."""
    rates = [raw("all", 10), raw("all", 1, size=(10, 10))]
    rates += [raw("long", 0.1), raw("long", 10, size=(10, 10))]
    rows = [offering("acme", "all", 1.0), offering("bolt", "long", 1.0, billing="spot")]
    return catalog(rows, rates)


@pytest.mark.parametrize(
    ("limits", "all_units", "on_long"),
    [
        # 10 short and 10 long a second. Short are one unit's work; long go to one of the others.
        ({}, 1, 10),
        ({"providers": {"max_share": "60%"}}, 1, 10),
        # 15 % of 20 are 3 long on spot: the other 7 are 7 units' work where all are served.
        ({"max_spot_share": "15%"}, 8, 3),
        ({"max_spot_share": 0}, 11, 0),
    ],
)
def test_shares_are_of_the_requests_served_whatever_a_unit_would_carry(limits, all_units, on_long):
    # By what a unit carries of the mix, one long (0.2) beside one all (1.8) would be 10 %.
    asked = problem(
        20,
        chat={"requests": SHORT_AND_LONG},
        limits={"billing": {"allow": ["dedicated", "spot"]}, **limits},
    )
    plan = solve(asked, one_for_all_and_one_for_the_long())
    assert plan.status is Status.OPTIMAL
    units = {p.candidate.gpu: p.units for p in plan.purchases}
    assert units == {"all": all_units} | ({"long": 1} if on_long else {})
    served = sum(r.requests_per_second for r in plan.routes if r.candidate.gpu == "long")
    assert served == pytest.approx(on_long)


@pytest.mark.parametrize(
    ("share", "gpus"),
    [
        (0.999, {"big", "small"}),
        (0.999_99, {"big", "small"}),
        (0.999_998, {"big", "small"}),
        (0.999_999_5, {"big"}),  # nobody can tell that from all: see `in_force`
    ],
)
def test_a_share_near_all_asks_for_a_unit_of_somebody_else(share, gpus):
    # 10 requests/s are one big; what it may not serve, however little, takes a small.
    limits = {"providers": {"max_share": share, "max_count": 2}}
    plan = solve(problem(10, limits=limits), big_and_small())
    assert plan.status is Status.OPTIMAL
    assert {p.candidate.gpu for p in plan.purchases} == gpus
    assert {p.units for p in plan.purchases} == {1}


@pytest.mark.parametrize("load", [0.02, 10, 4_000])
def test_a_spot_share_near_all_is_planned_at_any_load(load):
    # A big is $4/h, and $1/h on spot; one is held for what spot may not serve, and for up to 10
    # requests/s it is enough. Loads from a trickle to hundreds of units.
    rented = catalog(
        [offering("acme", "big", 4.0), offering("bolt", "big", 1.0, billing="spot")],
        [raw("big", 10)],
    )
    limits = {"max_spot_share": 0.9999, "billing": {"allow": ["dedicated", "spot"]}}
    plan = solve(problem(load, limits=limits), rented)
    assert plan.status is Status.OPTIMAL
    units = {p.candidate.mode.name: p.units for p in plan.purchases}
    assert units == ({"dedicated": 1, "spot": load / 10 - 1} if load > 10 else {"dedicated": 1})


def test_shares_bind_what_the_overload_ramp_charges():
    # 12 requests/s on two big at acme and one small at bolt: 23 in all, 52 %. But bolt must serve
    # 6 of 12 where acme may serve half: two small for 6, at 100 %; three, 67 %, are below the ramp.
    policy = {
        "utilization": {"target": 0.75, "ceiling": 1.0},
        "penalties": {"overload": {"above": 0.7, "usd_at_full_load": 3_000}},
    }
    plan = solve(
        problem(12, limits={"providers": {"max_share": 0.5}}, policy=policy), big_and_small()
    )
    assert plan.status is Status.OPTIMAL
    assert {p.candidate.gpu: p.units for p in plan.purchases} == {"big": 1, "small": 3}
    assert plan.costs["overload"] == 0
    assert plan.workloads[0].utilization == pytest.approx(2 / 3)


def test_a_fixed_fleet_is_routed_so_that_shares_are_kept_where_they_can_be():
    # 8 requests/s: by capacity big would serve 6.15 of them; 60 % are 4.8. In code small alone
    # serves: nothing can be done there, and chat is routed as if it were alone.
    limits = {"providers": {"max_share": 0.6}}
    two = problem(workloads=[workload(8, "chat"), workload(2, "code")], limits=limits)
    fleet = {f"chat:{BIG}": 1, f"chat:{SMALL}": 2, f"code:{SMALL}": 1}
    found = evaluate(two, fleet, big_and_small())
    assert [(b.family, b.message) for b in found.breaches] == [
        (
            "ProviderShare",
            "workload 'code' has 2 of 2 requests/s served by provider bolt in block active, "
            "more than 60 %",
        )
    ]
    on_big = [r.requests_per_second for r in found.plan.routes if r.candidate.gpu == "big"]
    assert on_big == [pytest.approx(4.8)]


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


def test_tokens_stand_by_for_a_fleet_and_a_fleet_for_them():
    # 10 requests/s, half of it after a loss. All by tokens is $518, but nothing is left without
    # them. One big serves all; without it tokens stand by, at no cost until then.
    limits = {"survive_loss_of": {"kind": "provider", "share": 0.5}, **PER_TOKEN}
    rented = replace(with_tokens(), offerings=with_tokens().offerings[:1])
    plan = solve(problem(10, limits=limits), rented)
    assert plan.score_usd_per_month == pytest.approx(2_880)


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


DAY_AND_NIGHT = {
    "kind": "profile",
    "requests_per_day": 12 * 3_600 * 13,
    "weights": [10] * 12 + [3] * 12,
}


def by_the_hour():
    """Big and small, paid by the hour."""
    rows = [offering("acme", "big", 4.0, billing="autoscaling")]
    rows += [offering("bolt", "small", 1.5, billing="autoscaling")]
    return catalog(rows, [raw("big", 10), raw("small", 3)])


def replanned(today, **switching):
    """10 requests/s by day, 3 by night; one big and one small in turn cost $1,440 and $540."""
    names = {"big": "acme/big/eu-1", "small": "bolt/small/eu-1"}
    current = [
        {"offering": names[gpu], "billing": "autoscaling", "workload": "chat", "units": n}
        for gpu, n in today.items()
    ]
    chat = [workload(traffic=DAY_AND_NIGHT)]
    return problem(workloads=chat, current_fleet=current, switching=switching)


@pytest.mark.parametrize(("most", "usd", "small"), [(0, 2 * 1_440, 0), (1, 1_440 + 540, 1)])
def test_what_runs_in_quiet_hours_alone_is_a_change_too(most, usd, small):
    # With one big today the small one of the nights is added, though by day none is on.
    plan = solve(replanned({"big": 1}, max_units_changed=most), by_the_hour())
    assert plan.cash_usd_per_month == pytest.approx(usd)
    assert sum(change.add + change.remove for change in plan.changes) == small
    fleet = {"acme/big/eu-1": [1, 0], "bolt/small/eu-1": [0, 1]}
    found = evaluate(replanned({"big": 1}, max_units_changed=0), fleet, by_the_hour())
    assert [(b.family, b.message) for b in found.breaches] == [
        ("ChangeLimit", "1 units change against the current fleet, more than 0")
    ]


def test_a_unit_that_is_on_in_any_block_is_not_removed():
    # Each of today's is off for half the day. A second big one is on in none: removed, $100.
    switching = {"usd_per_unit_added": 500, "usd_per_unit_removed": 100}
    plan = solve(replanned({"big": 1, "small": 1}, **switching), by_the_hour())
    assert plan.costs["switching"] == 0
    plan = solve(replanned({"big": 2, "small": 1}, **switching), by_the_hour())
    assert plan.costs["switching"] == pytest.approx(100)
    assert plan.cash_usd_per_month == pytest.approx(1_440 + 540 + 100)
    # At $2,000 the second big is rather on: where it costs least, for the night's half.
    plan = solve(replanned({"big": 2, "small": 1}, usd_per_unit_removed=2_000), by_the_hour())
    assert plan.costs["switching"] == 0
    assert plan.cash_usd_per_month == pytest.approx(2 * 1_440 + 540)


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


@pytest.mark.parametrize("limit", LIMITS)
@tries(0.15)
@given(data=st.data())
def test_limits_agree_with_brute_force(limit, data):
    # By limit: of seventy months drawn from all limits some have one of them in none that binds.
    case = data.draw(hard_months(always=limit))
    most = 5 if len(case.offers) == 2 else 4
    assert_plan_is_cheapest(case, most)


def test_tokens_beyond_a_rate_limit_do_not_count_for_survival():
    # Two APIs of 300 requests a minute, 5/s each, serve 10/s in halves; without one of them the
    # other has 5 of 10 left, so there is no plan.
    boxes = catalog(
        [offering("acme", "box", 1.0)],
        [raw("box", 10)],
        [token_price(name, 1.0, max_requests_per_minute=300) for name in ("one", "two")],
    )
    question = problem(
        10,
        limits={
            "survive_loss_of": "provider",
            "billing": {"allow": ["per_token"]},
        },
    )
    assert solve(question, boxes, diagnose=False).status is Status.INFEASIBLE
