"""The overload ramp is refined until program and plan agree, whatever is served per token."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from milp_planner import RampSplit, Status, prepare, solve
from milp_planner.milp.program.language.rows import LE
from milp_planner.milp.program.levels import Splits
from milp_planner.milp.program.model import build_model
from milp_planner.milp.program.rules.overload import OverloadRamp
from milp_planner.solving import optimum
from milp_planner.solving.first_plan import or_in_hand
from milp_planner.solving.parts import or_apart
from milp_planner.solving.results import CONTRADICTED, SearchResult, with_newer_bound
from tests.support.builders import (
    PER_TOKEN,
    big_and_small,
    catalog,
    offering,
    problem,
    raw,
    token_price,
    workload,
)
from tests.support.examples import tries
from tests.support.random_problems import planned

ABOVE = 0.9


def ramp(usd, above=ABOVE):
    return {"overload": {"above": above, "usd_at_full_load": usd}}


def with_tokens_at(usd_per_m):
    return replace(big_and_small(), token_prices=(token_price("tokn", usd_per_m),))


@pytest.fixture
def few_rounds(monkeypatch):
    """As many programs as it takes, and not more than a few."""
    monkeypatch.setattr(optimum, "MOST_REFINEMENTS", 5)


@pytest.mark.usefixtures("few_rounds")
@pytest.mark.parametrize(
    ("usd", "utilization", "score"),
    [
        # 10 requests/s, $518.40 for each per token. One big, $2,880: the last of its requests/s
        # costs $519 up the ramp, so it goes per token.
        (519, 0.9, 2_880 + 518.4),
        # At $518 it stays, and nothing is served per token.
        (518, 1.0, 2_880 + 518),
    ],
)
def test_a_ramp_as_steep_as_tokens_are_dear_is_proven_to_the_cent(usd, utilization, score):
    plan = solve(
        problem(10, policy={"penalties": ramp(usd)}, limits=PER_TOKEN), with_tokens_at(100)
    )
    assert plan.status is Status.OPTIMAL
    assert plan.score_usd_per_month == pytest.approx(score, abs=0.005)
    assert plan.lower_bound_usd_per_month == pytest.approx(score, abs=0.005)
    assert plan.workloads[0].utilization == pytest.approx(utilization)


@pytest.mark.usefixtures("few_rounds")
def test_a_ramp_over_classes_that_are_fast_elsewhere_is_proven_to_the_cent():
    # Short requests and long ones, 5/s each. Fast serves 10 short or 5 long a second, $2,880: a
    # half and a whole of it, 150 %. Up to 90 %, 60 % of a unit's work goes per token: all of the
    # short ones are 50 % for $518.40, and half a long request/s the last 10 % for 10 times the
    # tokens, $518.40. A second unit is dearer, and runs at 75 % without tokens.
    rented = catalog(
        [offering("acme", "fast", 4.0)],
        [raw("fast", 10), raw("fast", 5, size=(10, 10))],
        [token_price("tokn", 20)],
    )
    mix = [
        {"input_tokens": 1, "output_tokens": 1, "share": 0.5},
        {"input_tokens": 10, "output_tokens": 10, "share": 0.5},
    ]
    asked = problem(10, chat={"requests": mix}, policy={"penalties": ramp(600)}, limits=PER_TOKEN)
    plan = solve(asked, rented)
    assert plan.status is Status.OPTIMAL
    assert plan.score_usd_per_month == pytest.approx(2_880 + 518.4 + 518.4, abs=0.005)


@pytest.mark.slow
@pytest.mark.usefixtures("few_rounds")
@pytest.mark.parametrize(
    ("usd", "score"),
    [
        # 11.5 requests/s. One big, $2,880, and one small as spot, $360, could serve 13: 88 %. But
        # spot may serve 2.3, a fifth, so that big serves 9.2: $400 up a ramp of $2,000, or 0.2 of
        # it per token, $103.68.
        (2_000, 2_880 + 360 + 103.68),
        # $100 up a ramp of $500.
        (500, 2_880 + 360 + 100),
    ],
)
def test_a_ramp_beside_a_limit_on_who_serves_is_proven_to_the_cent(usd, score):
    rented = catalog(
        [offering("acme", "big", 4.0), offering("bolt", "small", 0.5, billing="spot")],
        [raw("big", 10), raw("small", 3)],
        [token_price("tokn", 100)],
    )
    limits = {
        "billing": {"allow": ["dedicated", "spot", "per_token"]},
        "max_spot_share": 0.2,
    }
    plan = solve(problem(11.5, policy={"penalties": ramp(usd)}, limits=limits), rented)
    assert plan.status is Status.OPTIMAL
    assert plan.score_usd_per_month == pytest.approx(score, abs=0.005)


UNITS_USD = {"big": (10.0, 2_880.0), "small": (3.0, 1_080.0)}
"""Requests/s and USD/month."""


def cheapest(rate, usd, usd_per_token_rate, above, ceiling):
    """Every fleet, and on it as much as the ceiling, the threshold, or nothing asks for.

    On a given fleet the score is linear in the rate on units but for a kink at the threshold.
    """
    best = rate * usd_per_token_rate
    for big in range(ceil(rate / above / 10) + 1):
        for small in range(ceil(rate / above / 3) + 1):
            capacity = 10.0 * big + 3.0 * small
            for on_units in (min(rate, ceiling * capacity), min(rate, above * capacity)):
                over = max(0.0, on_units / capacity - above) / (1 - above) if capacity else 0.0
                tokens = (rate - on_units) * usd_per_token_rate
                best = min(best, 2_880.0 * big + 1_080.0 * small + tokens + usd * over)
    return best


@tries(0.25)
@given(
    rate=st.integers(10, 400).map(lambda tenths: tenths / 10),
    usd=st.sampled_from([50, 300, 519, 1_000, 5_000, 60_000]),
    tokens=st.sampled_from([40, 55.5, 62, 69, 80, 100, 150]),
    above=st.sampled_from([0.5, 0.75, 0.9]),
    ceiling=st.sampled_from([0.95, 1.0, 1.2]),
)
def test_ramp_and_tokens_are_weighed_as_brute_force_does(rate, usd, tokens, above, ceiling):
    policy = {
        "utilization": {"target": above, "ceiling": ceiling},
        "penalties": ramp(usd, above),
    }
    asked = problem(rate, policy=policy, limits=PER_TOKEN)
    _, plan = planned(asked, with_tokens_at(tokens))
    assert plan.status is Status.OPTIMAL
    right = cheapest(rate, usd, tokens * 5.184, above, ceiling)
    assert plan.score_usd_per_month == pytest.approx(right, abs=0.01, rel=2e-6)


def charged(above, ceiling, splits, units, shares, limits=PER_TOKEN):
    """What the rows charge at least of $1,000, where units serve shares of 10 requests/s.

    A split is a number of times that the demand could be served, or a GPU and its units.
    """
    policy = {"utilization": {"target": 0.05, "ceiling": ceiling}, "penalties": ramp(1_000, above)}
    asked = prepare(problem(10, policy=policy, limits=limits), with_tokens_at(100))
    rented = {k.offering.gpu: k for k in asked.candidates.candidates if not k.mode.per_token}
    where = {
        RampSplit(0, split[1], candidate=rented[split[0]])
        if isinstance(split, tuple)
        else RampSplit(0, split, (1.0,))
        for split in splits
    }
    model = build_model(asked, asked.candidates.candidates, Splits(headrooms={"chat": where}))
    fleet = model.fleet
    values = {v: units[k.offering.gpu] for (k, _, _), v in fleet.units.items()}
    for (k, _, _), v in fleet.shares.items():
        values[v] = 1 - sum(shares.values()) if k.mode.per_token else shares[k.offering.gpu]
    for (_, split), v in fleet.beyond.items():
        k = split.candidate
        there = times_of(units) if k is None else units[k.offering.gpu]
        values[v] = float(there > split.times)
    overload = fleet.overload["chat"]
    least = 0.0
    for row in OverloadRamp().rows(fleet):
        left = sum(c * values[v] for v, c in row.terms.items() if v is not overload)
        if overload in row.terms:
            least = max(least, (row.right - left) / row.terms[overload])
        else:
            slack = row.right - left if row.sense == LE else left - row.right
            assert slack > -1e-9, row.name
    return 1_000 * least


def times_of(units):
    return sum(UNITS_USD[gpu][0] * n for gpu, n in units.items()) / 10


def owed(utilization, above):
    return 1_000 * max(0.0, utilization - above) / (1 - above)


FLEETS = st.fixed_dictionaries({"big": st.integers(0, 2), "small": st.integers(0, 4)})
THRESHOLDS = st.sampled_from([0.0, 0.3, 0.5, 0.75, 0.9])
HIGHER = st.sampled_from([0.05, 0.2, 0.7])
"""How much higher units may be used than without a charge."""


@tries(1)
@given(
    above=THRESHOLDS,
    over=HIGHER,
    splits=st.sets(st.integers(1, 25).map(lambda tenths: tenths / 10), max_size=3),
    units=FLEETS,
    on=st.floats(0, 1),
)
def test_the_rows_of_a_split_never_charge_more_than_is_owed_and_all_of_it_there(
    above, over, splits, units, on
):
    # A workload of 10 requests/s: `times_of` the fleet serve all of it so many times.
    times, ceiling = times_of(units), above + over
    share = on * min(1.0, ceiling * times)
    usd = owed(share / times if times else 0.0, above)
    assert charged(above, ceiling, splits, units, {"all": share}) <= usd + 1e-6
    if times:
        there = charged(above, ceiling, {times}, units, {"all": share})
        assert there == pytest.approx(usd, abs=1e-6)


ROUTED = {**PER_TOKEN, "providers": {"max_share": 0.9}}
"""Who serves how much is said."""


@tries(1)
@given(
    above=THRESHOLDS,
    over=HIGHER,
    splits=st.sets(st.tuples(st.sampled_from(["big", "small"]), st.integers(1, 5)), max_size=4),
    units=FLEETS,
    on=st.tuples(*2 * [st.sampled_from([0.0, 0.1, 0.4, 0.8, 1.0])]),
)
@example(
    above=0.5,
    over=0.7,
    splits={("small", 1)},
    units={"big": 0, "small": 3},
    on=(0.0, 1.0),
)
def test_the_rows_of_a_candidates_split_never_charge_more_than_is_owed_and_all_of_it_there(
    above, over, splits, units, on
):
    # The busiest of big (10 requests/s) and small (3) is what counts of a workload of 10.
    ceiling = above + over
    big = on[0] * min(1.0, ceiling * units["big"])
    small = on[1] * min(1.0 - big, ceiling * units["small"] * 0.3)
    shares = {"big": big, "small": small}
    busy = [big / max(1, units["big"]), small / 0.3 / max(1, units["small"])]
    usd = owed(max(busy), above)
    assert charged(above, ceiling, splits, units, shares, ROUTED) <= usd + 1e-6
    theirs = {(gpu, n) for gpu, n in units.items() if n}
    there = charged(above, ceiling, theirs, units, shares, ROUTED)
    assert there == pytest.approx(usd, abs=1e-6)


@pytest.mark.usefixtures("few_rounds")
def test_the_ramp_is_exact_in_the_blocks_in_which_it_is_paid():
    # 10 requests/s for half the day, 5 in the other: one big is paid for all of it, $2,880. Per
    # token the last request/s costs $518.40 for the whole day, $259.20 for the busy half.
    day = {
        "kind": "profile",
        "requests_per_day": 10 * 43_200 + 5 * 43_200,
        "weights": [2] * 12 + [1] * 12,
        "max_blocks": 2,
    }
    for usd, score in ((260, 2_880 + 259.2), (259, 2_880 + 259)):
        asked = problem(
            workloads=[workload(traffic=day)], policy={"penalties": ramp(usd)}, limits=PER_TOKEN
        )
        plan = solve(asked, with_tokens_at(100))
        assert plan.status is Status.OPTIMAL
        assert plan.score_usd_per_month == pytest.approx(score, abs=0.005)


def test_a_steep_ramp_under_a_short_budget_is_proven_though_stages_are_held_by_a_tolerance():
    # 60 requests/s, and $2,880 for one big: 11 at 110 %, two ramps of $20,000. A ten-millionth of
    # 60 less, which the held stage leaves open, would owe $0.12 less.
    policy = {"utilization": {"target": 0.9, "ceiling": 1.1}, "penalties": ramp(20_000)}
    limits = {"budget": {"usd_per_month": 2_880, "when_short": "fair"}}
    rented = catalog([offering("acme", "big", 4.0)], [raw("big", 10)])
    plan = solve(problem(60, policy=policy, limits=limits), rented)
    assert plan.status is Status.OPTIMAL
    assert plan.score_usd_per_month == pytest.approx(42_880, abs=0.005)
    assert plan.workloads[0].shortfall_share == pytest.approx(49 / 60, abs=1e-9)


def test_a_run_that_was_stopped_takes_no_lower_bound_back():
    _, plan = planned(problem(10), big_and_small())
    one, later = (
        SearchResult(Status.FEASIBLE, plan, plan.proof, bound) for bound in (2_800, 2_500)
    )
    for both in (with_newer_bound(one, later), with_newer_bound(later, one)):
        assert both.bound == 2_800
        assert both.known.lower_bound_usd_per_month == 2_800
    unknown = SearchResult(Status.FEASIBLE, plan, plan.proof, None)
    assert with_newer_bound(one, unknown).bound == 2_800


def test_a_bound_above_a_plan_that_passed_is_no_bound():
    # The plan costs $2,880: whoever says that none costs less than $3,000 is wrong.
    _, plan = planned(problem(10), big_and_small())
    right, wrong = (
        SearchResult(Status.FEASIBLE, plan, plan.proof, bound) for bound in (2_800, 3_000)
    )
    for both in (with_newer_bound(right, wrong), with_newer_bound(wrong, right)):
        assert both.bound == 2_800
        assert both.known.lower_bound_usd_per_month == 2_800
    assert with_newer_bound(wrong, wrong).bound is None


def test_a_proof_that_a_plan_of_ones_own_units_contradicts_is_none():
    # An engine alone proves a dearer plan, or that there is none; this one is known, and passed.
    _, dearer = planned(problem(20), big_and_small())
    _, plan = planned(problem(10), big_and_small())
    apart = SearchResult(Status.FEASIBLE, plan, plan.proof, 2_700)
    for proven in (
        SearchResult(Status.OPTIMAL, dearer, dearer.proof, dearer.bound),
        SearchResult(Status.INFEASIBLE, None, dearer.proof),
    ):
        found = or_apart(proven, apart)
        assert (found.status, found.bound) == (Status.FEASIBLE, 2_700)
        assert found.known.score_usd_per_month == 2_880
        assert found.known.proof.certified_by == ()
        assert CONTRADICTED in found.known.proof.notes
    same = SearchResult(Status.OPTIMAL, plan, plan.proof, plan.bound)
    assert or_apart(same, apart) is same


def test_a_proof_that_the_first_plan_contradicts_is_none():
    _, dearer = planned(problem(20), big_and_small())
    given, plan = planned(problem(10), big_and_small())

    def in_hand(_, note):
        proof = replace(plan.proof, notes=(note,))
        return SearchResult(Status.FEASIBLE, replace(plan, proof=proof), proof, 2_700)

    first = SimpleNamespace(
        fleets=(plan,), least_usd=plan.score_usd_per_month, instance=given, result=in_hand
    )
    for proven in (
        SearchResult(Status.OPTIMAL, dearer, dearer.proof, dearer.bound),
        SearchResult(Status.INFEASIBLE, None, dearer.proof),
    ):
        found = or_in_hand(proven, first, None)
        assert (found.status, found.bound) == (Status.FEASIBLE, 2_700)
        assert found.known.proof.certified_by == ()
        assert CONTRADICTED in found.known.proof.notes
