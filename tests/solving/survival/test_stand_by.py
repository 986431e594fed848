"""A per-token offering stands by for a loss: for all of it, or for what its rate limit leaves."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import Status, solve
from milp_planner.reporting.text.plans.fleet_facts import resilience_lines
from tests.support.builders import PER_TOKEN, catalog, offering, problem, raw, token_price, workload
from tests.support.examples import tries

SURVIVE = {"survive_loss_of": "provider", **PER_TOKEN}
MONTH_S = 720 * 3600


def a_box_and(*apis, units=None):
    """A box of 10 requests/s for $1/h, of which `units` can be had, beside the APIs."""
    return catalog([offering("acme", "box", 1.0, max_units=units)], [raw("box", 10)], list(apis))


def dear(provider="tokn", **fields):
    """$100 per million requests of two tokens."""
    return token_price(provider, 50.0, **fields)


def test_a_fleet_of_one_provider_survives_where_an_api_stands_by_for_nothing():
    plan = solve(problem(10, limits=SURVIVE), a_box_and(dear()))
    assert plan.status is Status.OPTIMAL
    assert plan.score_usd_per_month == pytest.approx(720)
    assert [(loss.lost, loss.share, loss.stands_by) for loss in plan.worst_losses] == [
        ("acme", 1.0, ("tokn/tiny/global",))
    ]
    ready = "tokn/tiny/global stands by, per token: 10.0 req/s for 10.0 req/s of peak"
    assert list(resilience_lines(plan)) == [
        "Resilience costs nothing: without survive_loss_of the best plan costs as much",
        f"Worst case, acme lost: {ready}",
    ]


def test_an_api_that_is_not_allowed_stands_by_for_nobody():
    plan = solve(problem(10, limits={"survive_loss_of": "provider"}), a_box_and(dear()))
    assert plan.status is Status.INFEASIBLE


def test_two_apis_stand_by_for_each_other():
    # All of 0.2 requests/s at $10 per million requests, $5.184; the other one waits.
    apis = token_price("api1", 5.0), token_price("api2", 6.0)
    question = problem(0.2, limits={"survive_loss_of": "provider", **PER_TOKEN})
    plan = solve(question, catalog([], [], list(apis)))
    assert plan.score_usd_per_month == pytest.approx(0.2 * MONTH_S * 10e-6)


def test_a_rate_limit_is_how_much_of_a_loss_an_api_takes_over():
    # 240 requests a minute are 4 a second: of 10 after the loss of acme, 6 are left to bolt, whose
    # boxes do 3 for $2/h: two. One box of acme: $720 + 2 x $1,440.
    sold = catalog(
        [offering("acme", "box", 1.0), offering("bolt", "small", 2.0)],
        [raw("box", 10), raw("small", 3)],
        [dear(max_requests_per_minute=240)],
    )
    plan = solve(problem(10, limits=SURVIVE), sold)
    assert plan.score_usd_per_month == pytest.approx(720 + 2 * 1_440)
    alone = solve(problem(10, limits={"survive_loss_of": "provider"}), sold)
    assert alone.score_usd_per_month == pytest.approx(720 + 4 * 1_440)


def test_workloads_share_what_a_rate_limit_leaves_in_equal_parts():
    # 12 requests/s of the account, two workloads of 6 each on boxes of their own: 6 for each.
    question = problem(workloads=[workload(6, "chat"), workload(6, "code")], limits=SURVIVE)
    plan = solve(question, a_box_and(dear(max_requests_per_minute=720)))
    assert plan.score_usd_per_month == pytest.approx(2 * 720)
    short = solve(question, a_box_and(dear(max_requests_per_minute=719)))
    assert short.status is Status.INFEASIBLE


def test_classes_are_taken_over_one_as_the_other():
    # Two classes of 5 requests/s each; 10 of any kind may go to the account, 9 are too few.
    halves = [
        {"input_tokens": 1, "output_tokens": 1, "share": 0.5},
        {"input_tokens": 10, "output_tokens": 10, "share": 0.5},
    ]
    rates = [raw("box", 10, size=(1, 1)), raw("box", 10, size=(10, 10))]
    question = problem(workloads=[workload(10, requests=halves)], limits=SURVIVE)

    def planned(per_minute):
        api = dear(max_requests_per_minute=per_minute)
        return solve(question, catalog([offering("acme", "box", 1.0)], rates, [api]))

    assert planned(600).score_usd_per_month == pytest.approx(720)
    assert planned(599).status is Status.INFEASIBLE


OFFERS = st.tuples(
    st.sampled_from(["acme", "bolt"]), st.sampled_from([2.0, 3.0, 5.5]), st.sampled_from([1.0, 2.0])
)
APIS = st.tuples(
    st.sampled_from(["echo", "acme"]),
    st.sampled_from([20.0, 60.0]),
    st.sampled_from([None, 60, 150, 300]),
)


@tries(0.6)
@given(
    st.lists(OFFERS, min_size=1, max_size=2, unique_by=lambda o: o[0]),
    st.lists(APIS, min_size=1, max_size=2, unique_by=lambda a: a[0]),
    st.sampled_from([1.0, 2.5, 4.0, 6.5]),
    st.sampled_from([0.5, 1.0]),
)
def test_the_cheapest_fleet_that_survives_is_found(offers, apis, load, share):
    sold = catalog(
        [offering(name, f"g{i}", usd) for i, (name, _, usd) in enumerate(offers)],
        [raw(f"g{i}", rate) for i, (_, rate, _) in enumerate(offers)],
        [token_price(name, usd / 2, max_requests_per_minute=limit) for name, usd, limit in apis],
    )
    limits = {"survive_loss_of": {"kind": "provider", "share": share}, **PER_TOKEN}
    plan = solve(problem(load, limits=limits), sold, diagnose=False)
    best = cheapest(offers, apis, load, share)
    if best == math.inf:
        assert plan.status is Status.INFEASIBLE
    else:
        assert plan.score_usd_per_month == pytest.approx(best, abs=0.02)


def cheapest(offers, apis, load, share):
    """USD/month of the best of all small fleets: whatever is lost, the rest and all APIs do."""
    best = math.inf
    for units in itertools.product(range(9), repeat=len(offers)):
        held = {name: n * rate for n, (name, rate, _) in zip(units, offers, strict=True)}
        accounts = {name: math.inf if limit is None else limit / 60 for name, _, limit in apis}
        providers = held.keys() | accounts.keys()
        survives = all(
            sum(rate for name, rate in (*held.items(), *accounts.items()) if name != lost)
            >= share * load - 1e-9
            for lost in providers
        )
        lacking = max(0.0, load - sum(held.values()))
        usd = sum(n * usd * 720 for n, (_, _, usd) in zip(units, offers, strict=True))
        for name, price, _ in sorted(apis, key=lambda api: api[1]):
            served = min(lacking, accounts[name])
            lacking -= served
            usd += served * MONTH_S * price * 1e-6
        if survives and lacking <= 1e-9:
            best = min(best, usd)
    return best
