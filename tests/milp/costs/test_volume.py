"""Volume discounts: the more is spent with one, the less of the rest is paid."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import Fleet, InputError, Plan, Row, Rule, Status, count_terms, prepare, solve
from milp_planner.candidates.paying.volume import taken_off
from milp_planner.inputs.problem.prices import VolumeTier
from milp_planner.milp.presolve.dominance import prune
from milp_planner.plans.reading import read_plan
from tests.support.builders import PER_TOKEN, catalog, offering, problem, raw, token_price, workload
from tests.support.examples import tries

TIERS = [{"above": 10_000, "discount": "10%"}, {"above": 20_000, "discount": "30%"}]


def acme_and_bolt(acme: float = 10.0, bolt: float = 9.5):
    """One request/s each."""
    rows = [offering("acme", "box", acme), offering("bolt", "box", bolt)]
    return catalog(rows, [raw("box", 1)])


def units(plan: Plan) -> dict[str, int]:
    return {p.candidate.provider: p.units for p in plan.purchases}


def volume(tiers=TIERS, pattern="acme/*"):
    return {"volume": {pattern: tiers}}


def test_what_lies_above_each_amount_costs_less_by_its_share():
    # Four of acme are 4 x $7,200 = $28,800: $1,000 less for the second ten thousand, and $2,640
    # less of the last $8,800. Four of bolt are $27,360.
    plan = solve(problem(4, prices=volume()), acme_and_bolt())
    assert plan.status is Status.OPTIMAL
    assert units(plan) == {"acme": 4}
    assert plan.costs["rent"] == pytest.approx(28_800)
    assert plan.costs["volume_discount"] == pytest.approx(-3_640)
    assert plan.purchases[0].cash_usd_per_month == pytest.approx(25_160)
    assert read_plan(plan.to_dict()).to_dict() == plan.to_dict()


def test_little_spend_is_not_worth_it_and_says_nothing_where_none_is_asked():
    assert units(solve(problem(1, prices=volume()), acme_and_bolt())) == {"bolt": 1}
    assert "volume_discount" not in solve(problem(1), acme_and_bolt()).costs


def test_workloads_and_offerings_of_a_pattern_count_together():
    # Two of acme alone are $14,400 less $440; with two more for code they are $28,800.
    two = [workload(2, "chat"), workload(2, "code")]
    plan = solve(problem(workloads=two, prices=volume()), acme_and_bolt())
    assert plan.cash_usd_per_month == pytest.approx(25_160)
    assert [w.cash_usd_per_month for w in plan.workloads] == [pytest.approx(12_580)] * 2


def test_tokens_count_as_spent():
    # $51.84 a month for one request/s: half off beyond $100 of $518.40.
    apis = [token_price("tokn", 10)]
    tiers = [{"above": 100, "discount": "50%"}]
    asked = problem(10, prices=volume(tiers, "tokn/*"), limits=PER_TOKEN)
    plan = solve(asked, replace(acme_and_bolt(), token_prices=tuple(apis)))
    assert plan.cash_usd_per_month == pytest.approx(100 + 209.2)


def test_what_stands_in_counts_for_the_same_discount():
    asked = problem(4, prices=volume())
    whole = prepare(asked, acme_and_bolt())
    assert len(prune(whole, whole.candidates.candidates).kept) == 2
    plain = prepare(problem(4), acme_and_bolt())
    assert len(prune(plain, plain.candidates.candidates).kept) == 1


class SixOfAcme(Rule):
    """At least six units of acme."""

    def rows(self, fleet: Fleet):
        acme = [(k, 1.0) for k in fleet.candidates if k.provider == "acme"]
        yield Row.at_least("acme", count_terms(fleet, acme, 0), 6)

    def violations(self, instance, plan):
        return [] if units(plan).get("acme", 0) >= 6 else ["fewer"]


def test_a_rule_may_ask_for_more_than_the_demand_and_a_budget_pays_the_lower_price():
    # Six are $43,200 less $1,000 and $6,960.
    plan = solve(problem(1, prices=volume()), acme_and_bolt(), rules=[SixOfAcme])
    assert plan.cash_usd_per_month == pytest.approx(35_240)
    short = {"budget": {"usd_per_month": 25_160}}
    assert solve(problem(4, prices=volume(), limits=short), acme_and_bolt()).status.has_plan
    less = {"budget": {"usd_per_month": 25_150}}
    assert not solve(problem(4, prices=volume(), limits=less), acme_and_bolt()).status.has_plan


@pytest.mark.parametrize(
    ("spent", "off"), [(0, 0), (10_000, 0), (15_000, 500), (20_000, 1_000), (30_000, 4_000)]
)
def test_every_part_has_its_own_share(spent, off):
    tiers = [VolumeTier(**tier) for tier in TIERS]
    assert taken_off(tiers, spent) == pytest.approx(off)


# --- against brute force -------------------------------------------------------------------------


def paid(usd: float, tiers: list[tuple[int, int]]) -> float:
    """What is paid of a spend, dollar band by dollar band."""
    total, edges = 0.0, [*(above for above, _ in tiers), float("inf")]
    total += min(usd, edges[0])
    for (above, percents), end in zip(tiers, edges[1:], strict=True):
        total += max(0.0, min(usd, end) - above) * (100 - percents) / 100
    return total


RATES = (2, 3, 5)


@tries(0.08, deadline=None)
@given(
    st.integers(1, 15),
    st.tuples(*[st.sampled_from([4, 5, 6, 9])] * 3),
    st.lists(
        st.tuples(st.sampled_from([0, 3_000, 6_000, 12_000]), st.sampled_from([5, 20, 50])),
        min_size=1,
        max_size=3,
        unique_by=lambda tier: tier[0],
    ).map(sorted),
    st.sampled_from(["a/*", "[ab]/*", "*"]),
)
def test_volume_agrees_with_trying_every_fleet(load, prices, tiers, pattern):
    names = "abc"
    rows = [offering(n, f"gpu{n}", usd) for n, usd in zip(names, prices, strict=True)]
    rates = [raw(f"gpu{n}", rate) for n, rate in zip(names, RATES, strict=True)]
    inside = {"a/*": "a", "[ab]/*": "ab", "*": "abc"}[pattern]
    written = [{"above": above, "discount": f"{percents}%"} for above, percents in tiers]
    best = float("inf")
    for fleet in itertools.product(*(range(-(-load // rate) + 1) for rate in RATES)):
        if sum(n * rate for n, rate in zip(fleet, RATES, strict=True)) >= load:
            usd = [720 * n * price for n, price in zip(fleet, prices, strict=True)]
            within = sum(u for u, name in zip(usd, names, strict=True) if name in inside)
            best = min(best, sum(usd) - within + paid(within, tiers))
    asked = problem(load, prices=volume(written, pattern))
    for merged in (True, False):
        plan = solve(asked, catalog(rows, rates), merge_twins=merged)
        assert plan.status is Status.OPTIMAL
        assert plan.cash_usd_per_month == pytest.approx(best, abs=0.02)


def test_a_volume_discount_on_what_is_paid_already_is_refused():
    paid = [{"offering": "bolt/*", "units": 1}, {"offering": "acme/*", "units": 2}]
    with pytest.raises(InputError) as error:
        solve(problem(3, prices=volume(), commitments=paid), acme_and_bolt())
    assert (
        "'acme/*' and commitments[1] (acme/*) are both about acme/box/eu-1: what is paid already "
        "counts for no volume; name them apart"
    ) in str(error.value)
    plan = solve(problem(3, prices=volume(), commitments=paid[:1]), acme_and_bolt(bolt=20))
    # One of bolt is paid; two of acme are $14,400 less $440.
    assert plan.cash_usd_per_month == pytest.approx(13_960)


# --- what cannot be ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        (volume([]), "prices.volume['acme/*']: at least one tier is needed"),
        (
            volume([{"above": 5, "discount": 0.1}, {"above": 5, "discount": 0.2}]),
            "prices.volume['acme/*'][1].above: tiers rise: $5 is not above $5",
        ),
        (volume(TIERS, "acmee/*"), "'acmee/*' matches none of the 2 offerings"),
    ],
)
def test_what_is_no_volume_discount_is_refused(given_, said):
    with pytest.raises(InputError) as error:
        solve(problem(4, prices=given_), acme_and_bolt())
    assert said in str(error.value)
