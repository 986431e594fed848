"""Bands and penalties: the reference's figures, soft-mode optima by hand, and brute force."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import Status, evaluate, solve, warning_lines
from milp_planner.plans.records import band
from tests.support.builders import (
    big_and_small,
    catalog,
    offering,
    problem,
    raw,
    token_price,
    workload,
)
from tests.support.examples import tries
from tests.support.oracles.cases import as_input
from tests.support.oracles.month_cases import hot_months_with_overflow, soft_months
from tests.support.oracles.month_oracle import cheapest_month
from tests.support.oracles.oracle import cheapest
from tests.support.oracles.small_cases import small_cases

BIG = "acme/big/eu-1"
SMALL = "bolt/small/eu-1"
REFERENCE = {"preset": "inference-atlas"}


def penalties(load, units, requirement=None, policy=REFERENCE):
    """The penalties of a fleet of big (10 requests/s each), by name, without the zeros."""
    latency = {} if requirement is None else {"latency": {"requirement": requirement}}
    question = problem(load, target=0.75, policy=policy, chat=latency)
    found = evaluate(question, {BIG: units}, big_and_small()).penalties_usd_per_month
    return {name: usd for name, usd in found.items() if usd}


# --- the reference's figures --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("utilization", "name"),
    [
        (0.50, "low"),
        (0.5000001, "medium"),
        (0.75, "medium"),
        (0.7500001, "high"),
        (0.3 / 0.4, "medium"),
        (1.2, "high"),
    ],
)
def test_a_band_ends_exactly_at_its_threshold(utilization, name):
    assert band(utilization) == name
    found = evaluate(problem(10 * utilization), {BIG: 1}, big_and_small()).workload("chat")
    assert found.band == name
    assert found.utilization == pytest.approx(utilization, rel=1e-12)


@pytest.mark.parametrize(
    ("utilization", "usd"),
    [(0.90, 0), (0.91, 2_000), (0.95, 10_000), (1.00, 20_000), (1.10, 40_000)],
)
def test_the_overload_ramp_is_that_of_the_reference(utilization, usd):
    assert penalties(10 * utilization, 1).get("overload", 0) == pytest.approx(usd, abs=1e-6)


@pytest.mark.parametrize(("gpus", "usd"), [(8, 0), (9, 50_000), (15, 350_000)])
def test_the_scaling_penalty_is_that_of_the_reference(gpus, usd):
    assert penalties(10, gpus) == ({"scaling": usd} if usd else {})


@pytest.mark.parametrize(
    ("load", "requirement", "usd"),
    [
        (8, "299.999ms", 30_000),
        (8, "300ms", 0),
        (8, None, 0),
        (7.5, "200ms", 0),
        (7.500001, "200ms", 30_000),
    ],
)
def test_the_strict_latency_penalty_is_that_of_the_reference(load, requirement, usd):
    assert penalties(load, 1, requirement) == ({"strict_latency": usd} if usd else {})


def test_penalties_add_up():
    # 95 requests/s on ten big: 95 %, 2 GPUs beyond 8, high and strict.
    found = penalties(95, 10, "200ms")
    assert found == pytest.approx(
        {"overload": 10_000, "scaling": 100_000, "strict_latency": 30_000}, abs=1e-6
    )
    assert sum(found.values()) == pytest.approx(140_000)


def test_splitting_over_two_offerings_does_not_dodge_the_scaling_penalty():
    question = problem(10, target=0.75, policy=REFERENCE)
    found = evaluate(question, {BIG: 5, SMALL: 5}, big_and_small())
    assert found.penalties_usd_per_month["scaling"] == 100_000


def test_penalties_are_no_cash():
    limits = {"budget": {"usd_per_month": 28_800}}
    question = problem(95, target=0.75, policy=REFERENCE, limits=limits)
    found = evaluate(question, {BIG: 10}, big_and_small())
    assert found.cash_usd_per_month == pytest.approx(28_800)
    assert found.score_usd_per_month == pytest.approx(28_800 + 110_000)
    assert [breach.family for breach in found.breaches] == ["Capacity"]


# --- soft-mode optima by hand -------------------------------------------------------------------


def soft(load=0, ceiling=1.2, requirement=None, rented=None, workloads=None, limits=None, **priced):
    """The best plan, of one workload of `load` or of several, under the penalties given."""
    latency = {} if requirement is None else {"latency": {"requirement": requirement}}
    policy = {"utilization": {"target": 0.75, "ceiling": ceiling}, "penalties": priced}
    asked = workloads or [workload(load, **latency)]
    question = problem(workloads=asked, policy=policy, limits=limits or {})
    plan = solve(question, rented or big_and_small(), diagnose=False)
    assert plan.status is Status.OPTIMAL
    assert plan.bound == plan.score_usd_per_month
    return plan


def units(plan):
    return {p.candidate.offering.name: p.units for p in plan.purchases if p.units}


def overload(usd, above=0.9):
    return {"above": above, "usd_at_full_load": usd}


@pytest.mark.parametrize(
    ("usd", "fleet", "score"),
    [
        # 9.5 requests/s. One big, $2,880, runs at 95 %: half the ramp. With a small one: $3,960.
        (2_000, {"big": 1}, 2_880 + 1_000),
        (2_200, {"big": 1, "small": 1}, 3_960),
    ],
)
def test_overload_is_paid_where_it_is_cheaper_than_another_unit(usd, fleet, score):
    plan = soft(9.5, overload=overload(usd))
    assert units(plan) == fleet
    assert plan.score_usd_per_month == pytest.approx(score, abs=1e-6)
    assert plan.cash_usd_per_month + plan.costs["overload"] == pytest.approx(score, abs=1e-6)


def test_a_mix_may_stop_halfway_up_the_ramp():
    # 22 requests/s, $1,000 at full load. Two big at 110 %: $5,760 + 2,000. Two big and a small,
    # 23 requests/s, at 95.65 %: $6,840 + 565.22. With two small, 84.6 %: $7,920. Others cost more.
    plan = soft(22, overload=overload(1_000))
    assert units(plan) == {"big": 2, "small": 1}
    assert plan.workloads[0].utilization == pytest.approx(22 / 23)
    assert plan.score_usd_per_month == pytest.approx(6_840 + 1_000 * (22 / 23 - 0.9) / 0.1)


def test_the_ramp_goes_on_above_full_load_up_to_the_ceiling():
    # 11 requests/s on one big: 110 %, twice the ramp's $500. At most 105 %: a small one besides.
    plans = [soft(11, ceiling, overload=overload(500)) for ceiling in (1.2, 1.05)]
    assert plans[0].score_usd_per_month == pytest.approx(2_880 + 1_000)
    assert plans[1].score_usd_per_month == pytest.approx(3_960)


def test_a_unit_may_be_bought_only_to_cool_the_fleet():
    # 9 requests/s: one big would do, but its 90 % is $2,000 up a ramp that starts at 80 %.
    plan = soft(9, overload=overload(4_000, above=0.8))
    assert units(plan) == {"big": 1, "small": 1}
    assert plan.costs["overload"] == 0


def test_as_many_units_as_cool_the_fleet_may_be_bought():
    # 10.5 requests/s and only big: the ceiling of 110 % wants one, the ramp a second.
    only_big = catalog([offering("acme", "big", 4.0)], [raw("big", 10)])
    assert units(soft(10.5, ceiling=1.1, rented=only_big, overload=overload(20_000))) == {"big": 2}


def test_the_ramp_is_exact_where_two_fleets_differ_by_little():
    # 9.9 requests/s and one big: 99 % is $9,000 up the ramp, $11,880 in all. A dear second unit
    # makes it $11,844. The tangents that the program starts with see only $11,789 in the first.
    dear = catalog(
        [offering("acme", "big", 4.0, max_units=1), offering("bolt", "dear", 12.45)],
        [raw("big", 10), raw("dear", 3)],
    )
    plan = soft(9.9, rented=dear, overload=overload(10_000))
    assert units(plan) == {"big": 1, "dear": 1}
    assert plan.score_usd_per_month == pytest.approx(11_844)


@pytest.mark.parametrize(
    ("usd", "fleet", "score"), [(500, {"big": 1}, 3_380), (1_500, {"big": 1, "small": 1}, 3_960)]
)
def test_the_high_band_is_paid_for_or_left(usd, fleet, score):
    # 8 requests/s, strict. One big: 80 %, high. With a small one: 62 %.
    plan = soft(8, requirement="200ms", strict_latency={"usd": usd})
    assert units(plan) == fleet
    assert plan.score_usd_per_month == pytest.approx(score)


def test_gpus_beyond_the_count_are_paid_for_or_left():
    # 9 requests/s. Three cheap small, $2,160, are one GPU too many: big, $2,880, beats $1,000 more.
    cheap = catalog(
        [offering("acme", "big", 4.0), offering("bolt", "small", 1.0)],
        [raw("big", 10), raw("small", 3)],
    )
    paid = soft(9, rented=cheap, scaling={"above_gpus": 2, "usd_per_gpu": 700})
    assert units(paid) == {"small": 3}
    assert paid.score_usd_per_month == pytest.approx(2_860)
    left = soft(9, rented=cheap, scaling={"above_gpus": 2, "usd_per_gpu": 1_000})
    assert units(left) == {"big": 1}


def test_each_workload_pays_for_its_own_heat():
    # 9.5 and 6 requests/s: one big at 95 % for each half of the ramp, and two small at 100 %.
    plan = soft(
        ceiling=1.0,
        workloads=[workload(9.5, "chat"), workload(6, "code")],
        overload=overload(300),
    )
    usd = {w.name: w.penalties["overload"] for w in plan.workloads}
    assert usd == pytest.approx({"chat": 150, "code": 300})
    assert plan.score_usd_per_month == pytest.approx(2_880 + 2_160 + 450)


def test_several_classes_are_as_hot_as_the_best_routing_leaves_them():
    # a: 10 short or 1 long; b: 4 of either; 8 short and 3 long. With u of a on short, b has the
    # rest: (8 - 10 u) / 4 + 3 / 4 = u, so u = 2.75 / 3.5. A third box would cost $720 more.
    boxes = catalog(
        [offering("acme", "a", 1.0), offering("bolt", "b", 1.0)],
        [
            *(raw("a", 10), raw("a", 1, size=(10, 10))),
            *(raw("b", 4), raw("b", 4, size=(10, 10))),
        ],
    )
    sizes = [
        {"input_tokens": 1, "output_tokens": 1, "share": 8 / 11},
        {"input_tokens": 10, "output_tokens": 10, "share": 3 / 11},
    ]
    plan = soft(
        rented=boxes,
        workloads=[workload(11, requests=sizes)],
        overload=overload(2_000, above=0.7),
    )
    assert units(plan) == {"a": 1, "b": 1}
    u = 2.75 / 3.5
    assert plan.workloads[0].utilization == pytest.approx(u)
    assert plan.costs["overload"] == pytest.approx(2_000 * (u - 0.7) / 0.3)


def test_all_classes_behind_one_router_are_as_hot_as_their_mix():
    # 9 requests/s of two sizes on replicas of 10, which hold 64 each: one at 90 %, which owes four
    # fifths of the ramp from half on, or two at 45 %, which cost $1,440 more.
    sizes = [{"input_tokens": i, "output_tokens": i, "share": 0.5} for i in (1, 10)]
    rates = [{"gpu": "big", "requests_per_second": 10, "in_flight": 64}]
    w = workload(9, requests=sizes, rates=rates, latency={"wait": {"p95": "30s"}})
    for usd, units in ((1_000, 1), (2_500, 2)):
        question = problem(
            workloads=[w],
            policy={
                "utilization": {"target": 0.9, "ceiling": 1.0},
                "penalties": {"overload": {"above": 0.5, "usd_at_full_load": usd}},
            },
        )
        plan = solve(question, catalog([offering("acme", "big", 2.0)], []))
        assert [p.units for p in plan.purchases] == [units]
        owed = usd * (0.9 - 0.5) / 0.5 if units == 1 else 0.0
        assert plan.costs["overload"] == pytest.approx(owed)


def test_elastic_units_cool_only_the_hours_that_are_hot():
    # 9.5 requests/s for 12 hours of the day, 5 for the others. Big is held; cool, autoscaling, 3
    # requests/s for $2/h, is worth $720 for the hot hours, and would be $1,440 all day.
    rented = catalog(
        [offering("acme", "big", 4.0), offering("bolt", "cool", 2.0, billing="autoscaling")],
        [raw("big", 10), raw("cool", 3)],
    )
    day = {"kind": "profile", "requests_per_day": 626_400, "weights": [9.5] * 12 + [5] * 12}
    plan = soft(rented=rented, workloads=[workload(traffic=day)], overload=overload(2_000))
    held = {p.candidate.offering.name: p.units_by_block for p in plan.purchases}
    assert sorted(held["cool"]) == [0, 1]
    assert plan.score_usd_per_month == pytest.approx(2_880 + 720)


TOKENS = token_price("tokn", 100)
"""$200 per million requests of two tokens: $518.40 a month for one request/s."""

ALL_BILLINGS = {"billing": {"allow": ["dedicated", "per_token"]}}


@pytest.mark.parametrize(
    ("usd", "utilization", "score"),
    [
        # 10.5 requests/s on one big. On a steep ramp 1.5 requests/s go per token, down to 90 %.
        (20_000, 0.9, 2_880 + 1.5 * 518.4),
        # A gentle ramp, $400 for every request/s, is cheaper than tokens: only the ceiling counts.
        (400, 1.0, 2_880 + 0.5 * 518.4 + 400),
    ],
)
def test_tokens_take_the_overflow_where_they_are_cheaper_than_heat(usd, utilization, score):
    rented = replace(big_and_small(), token_prices=(TOKENS,))
    plan = soft(10.5, ceiling=1.0, rented=rented, limits=ALL_BILLINGS, overload=overload(usd))
    assert plan.workloads[0].utilization == pytest.approx(utilization)
    assert plan.score_usd_per_month == pytest.approx(score, abs=0.01)


@pytest.mark.parametrize(("usd_per_million", "left"), [(150, 1 / 11), (500, 0)])
def test_requests_are_left_unserved_only_at_the_users_price_and_never_silently(
    usd_per_million, left
):
    # 11 requests/s. One big leaves 1 of them: 2.592 million requests a month. A small one: $1,080.
    plan = soft(11, ceiling=1.0, shortfall={"usd_per_million_requests": usd_per_million})
    assert plan.workloads[0].shortfall_share == pytest.approx(left)
    said = [warning for warning in warning_lines(plan) if "unserved" in warning]
    if left:
        assert plan.costs["shortfall"] == pytest.approx(388.8)
        assert said == [
            "up to 9.09 % of 'chat' is left unserved: at $388.80 per month that is cheaper than to "
            "serve it"
        ]
    else:
        assert said == []
        assert plan.score_usd_per_month == pytest.approx(3_960)


# --- what cannot happen is said -----------------------------------------------------------------


def warnings(**fields):
    return list(warning_lines(solve(problem(8, **fields), big_and_small())))


def test_penalties_that_the_target_rules_out_are_named():
    strict = {"latency": {"requirement": "200ms"}}
    assert warnings(target=0.75, policy=REFERENCE, chat=strict) == [
        "the overload penalty cannot occur: it starts above 90 % utilization, and no workload may "
        "run above 75 %",
        "the strict latency penalty cannot occur: it needs the high band, above 75 % utilization, "
        "and no strict workload may run above 75 %",
    ]


def test_a_strict_penalty_without_a_strict_workload_is_named():
    hot = {"utilization": {"target": 0.75, "ceiling": 1.1}, **REFERENCE}
    assert warnings(policy=hot) == [
        "the strict latency penalty cannot occur: no workload has a latency requirement below "
        "300 ms"
    ]


def test_a_ceiling_that_costs_nothing_is_named():
    hot = {"utilization": {"target": 0.75, "ceiling": 1.1}}
    assert warnings(policy=hot) == [
        "the utilization ceiling of 110 % is above the target of 75 % and no penalty is set on it: "
        "the target has no effect"
    ]


def test_nothing_is_said_where_all_penalties_can_occur():
    hot = {"utilization": {"target": 0.75, "ceiling": 1.1}, **REFERENCE}
    assert warnings(policy=hot, chat={"latency": {"requirement": "200ms"}}) == []


@pytest.mark.parametrize(
    ("load", "ceiling", "score", "name"),
    [
        # One big at 75 % exactly, and a ten-millionth above: another unit, or the price of the high
        # band.
        (7.5, 0.75, 2_880, "medium"),
        (7.5, 1.1, 2_880, "medium"),
        (7.500001, 0.75, 3_960, "medium"),
        (7.500001, 1.1, 3_380, "high"),
    ],
)
def test_a_plan_ends_exactly_at_the_edge_of_a_band(load, ceiling, score, name):
    plan = soft(load, ceiling, requirement="200ms", strict_latency={"usd": 500})
    assert plan.score_usd_per_month == pytest.approx(score)
    assert plan.workloads[0].band == name


# --- brute force --------------------------------------------------------------------------------


@tries(0.6)
@given(soft_months())
def test_soft_mode_agrees_with_brute_force(case):
    most = 5 if len(case.offers) == 2 else 4
    plan = solve(*as_input(case), solver="highs", diagnose=False)
    best = cheapest_month(case, most)
    if any(p.units > most for p in plan.purchases):
        assert best is None or plan.score_usd_per_month <= best + 1
        return
    assert best is not None
    assert plan.status is Status.OPTIMAL
    assert plan.score_usd_per_month == pytest.approx(best, abs=1.0)


@tries(0.4)
@given(hot_months_with_overflow())
def test_heat_shared_with_tokens_or_a_shortfall_agrees_with_brute_force(case):
    most = 5 if len(case.offers) == 2 else 4
    plan = solve(*as_input(case), solver="highs", diagnose=False)
    best = cheapest_month(case, most)
    assert plan.status is Status.OPTIMAL
    if any(p.units > most for p in plan.purchases):
        assert plan.score_usd_per_month <= best + 1
    else:
        assert plan.score_usd_per_month == pytest.approx(best, abs=1.0)


PENALTIES = st.fixed_dictionaries(
    {
        "overload": st.tuples(
            st.sampled_from([0.8, 0.9]), st.sampled_from([300.0, 2_000.0, 20_000.0])
        ),
        "scaling": st.tuples(st.sampled_from([1, 2, 3]), st.sampled_from([150.0, 900.0])),
        "strict_usd": st.sampled_from([100.0, 700.0, 30_000.0]),
    }
)


@tries(0.25)
@given(small_cases(), PENALTIES, st.sampled_from([0.95, 1.2]))
def test_soft_mode_of_several_workloads_and_classes_agrees_with_brute_force(
    case, penalties, ceiling
):
    loads = tuple(replace(load, max_utilization=None) for load in case.loads)
    terms = replace(case.terms, ceiling=ceiling, **penalties)
    case = replace(case, loads=loads, terms=terms)
    most = 4 if len(case.loads) == 2 or len(case.offers) == 3 else 6
    plan = solve(*as_input(case), solver="highs", diagnose=False)
    best = cheapest(case, most)
    if any(p.units > most for p in plan.purchases):
        assert best is None or plan.score_usd_per_month <= best + 1
    elif best is None:
        assert plan.status is Status.INFEASIBLE
    else:
        assert plan.status is Status.OPTIMAL
        assert plan.score_usd_per_month == pytest.approx(best, abs=0.1)
