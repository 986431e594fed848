"""Commitments over futures, on instances that can be counted by hand or by trying everything."""

from __future__ import annotations

import json
from itertools import product
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import (
    Catalog,
    Plan,
    Problem,
    Status,
    plan_months,
    prepare,
    solve,
    warning_lines,
)
from milp_planner.futures.cases import cases_of
from milp_planner.futures.optimum import NOTHING_ASKED, FuturesOptimizer
from milp_planner.milp.futures.joint import Asked
from milp_planner.milp.futures.pruning import kept_in_futures
from milp_planner.milp.presolve.dominance import prune
from milp_planner.plans.reading import read_plan
from milp_planner.reporting.text.plans.calendar import calendar_text
from milp_planner.reporting.text.plans.futures import _nth
from milp_planner.reporting.text.plans.table import plan_text
from tests.support.builders import catalog, offering, problem, raw, workload
from tests.support.examples import tries

RESERVED, ON_DEMAND = 1.17243, 1.861
"""USD/h of one L40S, for a year and on demand."""

ONE_EIGHTH = 14.4
"""Requests/s of one L40S: 10.8 at 75 %, so that 200 take 19 units, 50 take 5 and 600 take 56."""


def l40s(**fields: Any) -> Catalog:
    return catalog(
        [
            offering("aws", "l40s-48gb", ON_DEMAND, name="g6e.xlarge"),
            offering("aws", "l40s-48gb", RESERVED, name="g6e.xlarge", billing="reserved_1y"),
        ],
        [raw("l40s-48gb", ONE_EIGHTH)],
        **fields,
    )


def future(name: str, probability: float, traffic: float = 1.0, **fields: Any) -> dict[str, Any]:
    return {"name": name, "probability": probability, "traffic": traffic, **fields}


FLOP, BASE, HIT = future("flop", 0.4, 0.25), future("base", 0.4), future("hit", 0.2, 3.0)
RENT_OR_BIND = {"billing": {"allow": ["dedicated", "reserved_1y"]}}


def commit_or_rent(*futures: dict[str, Any], **fields: Any) -> Problem:
    asked = futures or (FLOP, BASE, HIT)
    limits = RENT_OR_BIND | fields.pop("limits", {})
    return problem(200, target=0.75, futures=asked, limits=limits, **fields)


def units(plan: Plan) -> int:
    assert plan.futures is not None
    return sum(one.units for one in plan.futures.committed)


@pytest.fixture(scope="module")
def example() -> Plan:
    return solve(commit_or_rent(), l40s())


def test_five_units_are_committed_though_traffic_is_expected_to_grow(example):
    # A unit reserved all month is $844.15, on demand $1,339.92. The 5 of the flop are always in
    # use; 14 more would be idle in 40 of 100 cases, and 40 % > 1 - 0.63, the ratio of the prices.
    assert example.status is Status.OPTIMAL
    assert example.proof.certified_by == ("cbc", "highs")
    assert units(example) == 5
    told = example.futures
    costs = {one.name: one.usd_per_month for one in told.outcomes}
    always = 5 * 720 * RESERVED
    assert costs == pytest.approx(
        {
            "flop": always,
            "base": always + 14 * 720 * ON_DEMAND,
            "hit": always + 51 * 720 * ON_DEMAND,
        }
    )
    assert told.expected_usd_per_month == pytest.approx(25_391.48, abs=0.01)
    assert told.bound_usd_per_month == pytest.approx(told.expected_usd_per_month)
    assert told.owed_usd == pytest.approx(12 * always)


def test_the_plan_around_it_is_that_of_the_most_likely_future(example):
    # flop and base are as likely; base is more like today
    assert example.futures.leading == "base"
    bought = {p.candidate.offering.billing: p.units for p in example.purchases}
    assert bought == {"reserved_1y": 5, "dedicated": 14}


def test_what_others_would_have_committed_to_stands_beside_it(example):
    cases = {(one.kind, one.of): one for one in example.futures.cases}
    counts = {key: one.units for key, one in cases.items()}
    assert counts == {
        ("chosen", ""): 5,
        ("mean", ""): 21,  # 220 requests/s
        ("future", "flop"): 5,
        ("future", "base"): 19,
        ("future", "hit"): 56,
        ("nothing", ""): 0,
        ("cvar", "cost"): 19,
        ("worst", "cost"): 56,
        ("worst", "regret"): 24,
    }
    # 24 is where the flop, 19 units too many, and the hit, 32 rented, regret as much
    assert cases["worst", "regret"].largest_regret_usd_per_month == pytest.approx(
        19 * 720 * RESERVED
    )
    mean = cases["mean", ""].usd_per_month
    assert mean["flop"] == mean["base"] == pytest.approx(21 * 720 * RESERVED)


def test_what_planning_for_the_mean_costs_and_what_knowing_would_be_worth(example):
    told = example.futures
    mean = 21 * 720 * RESERVED + 0.2 * 35 * 720 * ON_DEMAND
    assert told.stochastic_value_usd_per_month == pytest.approx(mean - 25_391.48, abs=0.01)
    known = 720 * RESERVED * (0.4 * 5 + 0.4 * 19 + 0.2 * 56)
    assert told.information_value_usd_per_month == pytest.approx(25_391.48 - known, abs=0.01)


def test_what_no_future_regrets_is_told_once_it_is_solved(example):
    assert [one.units for one in example.futures.no_regret] == [5]
    assert example.futures.no_regret_holds is True


@pytest.mark.slow
def test_idle_commitments_are_told_future_by_future(example):
    idle = {one.name: one.idle_usd_per_month for one in example.futures.outcomes}
    assert idle == pytest.approx({"flop": 0, "base": 0, "hit": 0}, abs=0.01)
    certain = solve(commit_or_rent(future("flop", 0.3, 0.25), future("base", 0.7)), l40s())
    assert units(certain) == 19
    flop, base = certain.futures.outcomes
    assert flop.idle_usd_per_month == pytest.approx(14 * 720 * RESERVED, abs=0.01)
    assert base.idle_usd_per_month == pytest.approx(0, abs=0.01)


# --- pruning


def test_a_reserved_unit_does_not_stand_in_for_its_on_demand_twin():
    one = prepare(commit_or_rent().model_copy(update={"futures": ()}), l40s())
    assert [k.mode.name for k in prune(one, one.candidates.candidates).kept] == ["reserved_1y"]
    cases = cases_of(commit_or_rent(), l40s())
    kept = kept_in_futures([case.instance for case in cases])
    for f in range(3):
        assert {k.mode.name for k in kept.candidates(f)} == {"dedicated", "reserved_1y"}


def test_a_rental_stands_in_for_a_commitment_only_at_its_highest_price():
    # Rented at $1 it is never dearer than reserved at $1.17; at 120 % in the hit it is.
    cheap = catalog(
        [
            offering("aws", "l40s-48gb", 1.0, name="box"),
            offering("aws", "l40s-48gb", RESERVED, name="box", billing="reserved_1y"),
        ],
        [raw("l40s-48gb", ONE_EIGHTH)],
    )
    for times, kept_billings in ((1.1, {"dedicated"}), (1.2, {"dedicated", "reserved_1y"})):
        asked = commit_or_rent(FLOP, BASE, {**HIT, "prices": {"*": times}})
        kept = kept_in_futures([case.instance for case in cases_of(asked, cheap)])
        assert {k.mode.name for k in kept.candidates(0)} == kept_billings
        assert solve(asked, cheap, diagnose=False).futures.bound_usd_per_month == pytest.approx(
            solve(asked, cheap, pruning=False, diagnose=False).futures.bound_usd_per_month
        )


def test_a_unit_may_serve_another_workload_in_every_future():
    # 3 requests/s of one workload or of the other: 3 units are in use whichever comes.
    asked = problem(
        workloads=[workload(3, "chat"), workload(3, "code")],
        futures=[
            future("chat", 0.5, workloads={"chat": 1, "code": 1e-6}),
            future("code", 0.5, workloads={"chat": 1e-6, "code": 1}),
        ],
        limits=RENT_OR_BIND,
    )
    # $1 reserved, $1.90 on demand, and each workload needs a replica of its own: 3 + 1 units.
    sold = catalog(
        [offering("aws", "box", 1.9), offering("aws", "box", 1.0, billing="reserved_1y")],
        [raw("box", 1)],
    )
    plan = solve(asked, sold, diagnose=False)
    assert units(plan) == 4
    assert plan.futures.expected_usd_per_month == pytest.approx(4 * 720)


# --- everything tried


def cheapest(
    peaks: list[float], probabilities: list[float], rates: dict[str, tuple[float, float, float]]
) -> float:
    """Least mean over the futures of one workload. rates: (requests/s, USD/h reserved, on demand).

    Every number of committed units up to what the busiest future takes, and of rented ones.
    """
    most = max(ceil(max(peaks) / rate - 1e-9) for rate, _, _ in rates.values())
    best = float("inf")
    for bound in product(range(most + 1), repeat=len(rates)):
        held = sum(n * rate for n, (rate, _, _) in zip(bound, rates.values(), strict=True))
        usd = sum(n * price for n, (_, price, _) in zip(bound, rates.values(), strict=True))
        total = usd
        for peak, p in zip(peaks, probabilities, strict=True):
            total += p * min(
                sum(n * price for n, (_, _, price) in zip(rented, rates.values(), strict=True))
                for rented in product(range(most + 1), repeat=len(rates))
                if held
                + sum(n * rate for n, (rate, _, _) in zip(rented, rates.values(), strict=True))
                >= peak - 1e-9
            )
        best = min(best, total)
    return 720 * best


@pytest.mark.slow
@tries(0.08)
@given(
    rate=st.sampled_from([2.0, 4.0]),
    small=st.sampled_from([0.2, 0.5, 0.8]),
    large=st.sampled_from([1.5, 2.5]),
    p=st.sampled_from([(0.5, 0.3, 0.2), (0.1, 0.2, 0.7), (0.3, 0.6, 0.1)]),
    dear=st.sampled_from([(1.0, 1.2), (1.0, 1.7), (1.3, 1.4)]),
)
def test_agrees_with_every_number_of_units_tried(rate, small, large, p, dear):
    rates = {"big": (3.0, *dear), "tiny": (1.0, 0.4 * dear[0], 0.45 * dear[1])}
    rows = [
        offering("aws", name, usd, billing=billing)
        for name, (_, reserved, rented) in rates.items()
        for billing, usd in (("reserved_1y", reserved), ("dedicated", rented))
    ]
    sold = catalog(rows, [raw(name, one[0]) for name, one in rates.items()])
    futures = [future("small", p[0], small), future("base", p[1]), future("large", p[2], large)]
    asked = problem(rate, futures=futures, limits=RENT_OR_BIND)
    plan = solve(asked, sold, diagnose=False)
    least = cheapest([rate * small, rate, rate * large], list(p), rates)
    assert plan.status is Status.OPTIMAL
    assert plan.futures.expected_usd_per_month == pytest.approx(least, abs=0.01)


# --- when other commitments are right


def test_more_pay_from_the_ratio_of_the_prices_on(example):
    # 14 more are $844.15 each, whatever comes, or $1,339.92 in base and better: 63 % is the ratio.
    # Of flop and base alone, half and half, base or better is 50 % + q/2: 63 % at q = 26 %.
    found = {one.futures: one for one in example.futures.thresholds}
    assert set(found) == {("base", "hit"), ("hit",)}
    for names, now, at in ((("base", "hit"), 0.6, 0.63), (("hit",), 0.2, 0.26)):
        one = found[names]
        assert (one.now, one.at) == (pytest.approx(now), pytest.approx(at, abs=1e-4))
        assert one.rises
        assert [n.units for n in one.committed] == [19]


def test_the_flat_range_is_told_with_what_is_idle_in_the_flop(example):
    # 4 units: $25,887, 2.0 % more; 3 are 3.9 % more. 19: $25,954, 2.2 %; 20 are above.
    flat = example.futures.flat
    assert (flat.fewest.units, flat.most.units) == (4, 19)
    assert flat.fewest.expected_usd_per_month == pytest.approx(25_887, abs=1)
    assert flat.most.expected_usd_per_month == pytest.approx(25_954, abs=1)
    assert flat.most_change == pytest.approx(0.0222, abs=1e-4)
    assert flat.idle_in == "flop"
    assert flat.fewest_idle_usd_per_month == 0
    assert flat.most_idle_usd_per_month == pytest.approx(14 * 720 * RESERVED, abs=0.01)


def test_the_words_say_what_to_do_and_when_to_do_otherwise(example):
    text = plan_text(example)
    assert text.startswith("Optimal commitments: $25,391 per month on average over 3 futures ")
    for said in (
        "Commit to 5 x aws/g6e.xlarge/eu-1 reserved_1y ($50,649 over 12 months).",
        "  base           40 %      x 1   22,980   6,941     0  14 x l40s-48gb aws",
        "A plan made for the mean of the futures would commit to 21 x aws/g6e.xlarge/eu-1 "
        "reserved_1y: $1,715 per month more on average (6.8 %).",
        "To know which future comes would be worth up to $7,833 per month.",
        "A 6th to 19th unit pays above 63 % for base or better: 19 x aws/g6e.xlarge/eu-1 "
        "reserved_1y; you say 60 %.",
        "From 4 to 19 units the average changes by 2.2 % at most, and what is paid for idle "
        "commitments in flop goes from $0 to $11,818 a month.",
        "A commitment that no future regrets: 5 x aws/g6e.xlarge/eu-1 reserved_1y.",
        "Below: the plan in future base, the most likely one.",
    ):
        assert said in text


def test_with_small_gpus_beside_the_mean_asks_for_other_units():
    # 14.3 requests/s of an L40S and 3.7 of an L4 are 10.725 and 2.775 at 75 %. 220 on average are
    # then 20 L40S and two L4, $211,649 over the year, in place of 21: that plan costs 7.3 % more.
    rows = [
        *l40s().offerings,
        offering("aws", "l4-24gb", 0.8048, name="g6.xlarge"),
        offering("aws", "l4-24gb", 0.52392, name="g6.xlarge", billing="reserved_1y"),
    ]
    sold = catalog(rows, [raw("l40s-48gb", 14.3), raw("l4-24gb", 3.7)])
    plan = solve(commit_or_rent(), sold)
    assert plan.futures is not None
    [bound] = plan.futures.committed
    assert bound.units == 5
    assert plan.futures.owed_usd == pytest.approx(50_649, abs=1)
    [mean] = [case for case in plan.futures.cases if case.kind == "mean"]
    assert sorted((u.offering, u.units) for u in mean.committed) == [
        ("aws/g6.xlarge/eu-1", 2),
        ("aws/g6e.xlarge/eu-1", 20),
    ]
    assert 12 * sum(u.usd_per_month for u in mean.committed) == pytest.approx(211_649, abs=5)
    assert mean.expected_usd_per_month - 25_391 == pytest.approx(1_857, abs=1)
    assert "$1,857 per month more on average (7.3 %)" in " ".join(plan_text(plan).split())


@pytest.mark.parametrize(
    ("number", "said"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (22, "22nd")],
)
def test_units_are_counted_in_words(number, said):
    assert _nth(number) == said
    assert _nth(100 + number) == ("10" if number < 10 else "1") + said


def test_a_plan_over_futures_is_read_back_as_it_was_written(example):
    document = example.to_dict()
    again = read_plan(json.loads(json.dumps(document)))
    assert again.futures == example.futures
    assert again.to_dict() == document


def test_the_flat_range_is_of_what_others_do_all_for_as_well():
    # The other seller's unit costs a little more and is no use: nothing that is best has it. 19 of
    # it cost $25,989 on average, which is within 2.5 % of $25,391, and bind more than 19 of ours.
    dearer = 1.175
    mine = l40s()
    other = offering("bolt", "l40s-48gb", dearer, name="g6e.xlarge", billing="reserved_1y")
    sold = catalog([*mine.offerings, other], [raw("l40s-48gb", ONE_EIGHTH)])
    plan = solve(commit_or_rent(), sold)
    assert {one.offering for one in plan.futures.committed} == {"aws/g6e.xlarge/eu-1"}
    most = plan.futures.flat.most
    assert [(one.offering, one.units) for one in most.committed] == [("bolt/g6e.xlarge/eu-1", 19)]
    mean = 720 * (19 * dearer + 0.2 * 37 * ON_DEMAND)
    assert most.expected_usd_per_month == pytest.approx(mean)


HALF = [future("flop", 0.5, 0.5), future("base", 0.5)]
"""One unit is always in use, the second in every other case: bound at half the price of on demand,
it costs what it does rented."""


def one_or_two(*quotes: dict[str, Any], **fields: Any) -> Problem:
    offered = [{"offering": "acme/g1/eu-1", **quote} for quote in quotes]
    return problem(2, futures=HALF, quotes=offered, **fields)


G1 = catalog([offering("acme", "g1", 2.0)], [raw("g1", 1)])


@pytest.mark.parametrize("risk", [None, {"measure": "worst", "of": "regret", "weight": 0.5}])
def test_of_commitments_that_cost_the_same_the_one_that_owes_the_least_is_told(risk):
    plan = solve(one_or_two({"term": "12 months", "usd_per_gpu_hour": 1.0}, risk=risk), G1)
    # one bound: 1 in the flop, 1 + 2 in base; two bound: 2 and 2. Regrets are 1 in either case.
    assert plan.futures.expected_usd_per_month == pytest.approx(720 * 2)
    assert units(plan) == 1
    assert plan.status is Status.OPTIMAL
    assert plan.futures.bound_usd_per_month == pytest.approx(
        plan.futures.minimised_usd_per_month, abs=0.01
    )


def test_a_shorter_term_at_the_same_price_owes_less():
    quotes = ({"term": f"{months} months", "usd_per_gpu_hour": 1.0} for months in (12, 3, 6))
    [told] = solve(one_or_two(*quotes), G1).futures.committed
    assert (told.units, told.months) == (1, 3)


def test_of_calendars_that_cost_the_same_the_one_that_owes_the_least_is_told():
    year = {"months": 12, "at_end": "pro_rata"}
    asked = one_or_two({"term": "12 months", "usd_per_gpu_hour": 1.0}, horizon=year)
    found = plan_months(asked, G1)
    assert [(s.month, s.units) for s in found.common] == [(1, 1)]
    assert found.usd == pytest.approx(12 * 720 * 2)
    assert "the least there is" in calendar_text(found)


def test_it_is_said_where_others_cost_as_much_and_owe_more(monkeypatch):
    best = FuturesOptimizer.best

    def two(
        self: FuturesOptimizer, measure: Any, asked: Asked = NOTHING_ASKED, *a: Any, **how: Any
    ):
        if asked == NOTHING_ASKED and not how.get("alone"):
            asked = Asked(fixed={("acme/g1+quote1/eu-1", "committed"): 2})
        return best(self, measure, asked, *a, **how)

    monkeypatch.setattr(FuturesOptimizer, "best", two)
    plan = solve(one_or_two({"term": "12 months", "usd_per_gpu_hour": 1.0}), G1, diagnose=False)
    assert units(plan) == 1
    said = "futures: other commitments come to as much and owe more; these owe the least"
    assert said in warning_lines(plan)
