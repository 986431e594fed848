"""Replicas that are not spot: so many are up whatever happens to spot."""

from __future__ import annotations

import pytest

from milp_planner import Status, diagnose, solve
from milp_planner.plans.sentences import reason_lines
from tests.support.builders import catalog, offering, problem, raw, token_price, workload

BOTH = {"billing": {"allow": ["dedicated", "spot"]}}


def box_and_spot(**fields):
    """A box of 1 request/s for $3/h, interrupted for $1/h."""
    return catalog(
        [offering("acme", "box", 3.0), offering("acme", "box", 1.0, billing="spot")],
        [raw("box", 1)],
        **fields,
    )


@pytest.mark.parametrize(("least", "usd_per_hour"), [(None, 3), (1, 5), (2, 7), (4, 12)])
def test_so_many_are_on_demand_and_the_rest_is_spot(least, usd_per_hour):
    # 3 requests/s: of three boxes for $1/h each one on demand makes $2/h more; a fourth is $3/h.
    plan = solve(problem(3, limits={**BOTH, "min_on_demand_replicas": least}), box_and_spot())
    assert plan.status is Status.OPTIMAL
    assert plan.cash_usd_per_month == pytest.approx(720 * usd_per_hour)


def test_replicas_count_and_not_units():
    # A unit of two GPUs is one replica of 8 requests/s or two of 3: the two are wanted here.
    rented = catalog(
        [offering("acme", "box", 4.0, gpus_per_unit=2)],
        [raw("box", 8, tensor_parallel=2), raw("box", 3)],
    )
    for least, shape in ((1, (1, 2)), (2, (1, 1)), (3, (2, 1))):
        plan = solve(problem(6, limits={"min_on_demand_replicas": least}), rented)
        (bought,) = plan.purchases
        assert (bought.units, bought.candidate.tensor_parallel) == shape


def test_replicas_count_where_waits_are_kept_too():
    # One unit of two GPUs, as two replicas of 3 requests/s or one of 8: as many places, and faster.
    # One request a second waits nowhere; one replica, or two, $2,880 either way.
    rates = [
        {"gpu": "box", "gpus_per_replica": 2, "requests_per_second": 8, "in_flight": 64},
        {"gpu": "box", "gpus_per_replica": 1, "requests_per_second": 3, "in_flight": 32},
    ]
    rented = catalog([offering("acme", "box", 4.0, gpus_per_unit=2)], [raw("box", 1)])
    for least in (1, 2):
        asked = problem(
            1,
            chat={"rates": rates, "requests": None, "latency": {"wait": {"p99": "1s"}}},
            limits={"min_on_demand_replicas": least},
        )
        assert solve(asked, rented).cash_usd_per_month == pytest.approx(2_880)


def test_every_workload_that_gpus_may_serve_has_them_and_what_an_api_alone_serves_has_none():
    rented = box_and_spot(
        token_prices=[token_price("tokn", 10, "tiny"), token_price("tokn", 10, "chip")]
    )
    asked = problem(
        workloads=[workload(1, "chat"), workload(1, "talk", llm="chip")],
        limits={
            "billing": {"allow": ["dedicated", "spot", "per_token"]},
            "min_on_demand_replicas": 1,
        },
    )
    plan = solve(asked, rented)
    assert plan.status is Status.OPTIMAL
    # A box for $3 x 720 h serves chat; tokens for talk are 2 of $10 a million: $51.84.
    assert plan.cash_usd_per_month == pytest.approx(2_160 + 51.84)


def test_a_diagnosis_asks_for_fewer():
    asked = problem(1, limits={**BOTH, "min_on_demand_replicas": 3, "max_gpus": {"total": 2}})
    found = diagnose(asked, box_and_spot())
    assert ("limits.min_on_demand_replicas", "3 replicas") in found.conflict
    assert "ask for 2 replicas on demand" in [change.text for change in found.changes]
    assert reason_lines(solve(asked, box_and_spot()))
