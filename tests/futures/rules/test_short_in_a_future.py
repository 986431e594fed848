"""A future in which not all can be served: priced, against every fleet; named; or refused."""

from __future__ import annotations

from typing import Any

import pytest

from milp_planner import Plan, Problem, RecordInputError, Status, plan_months, solve
from tests.support.builders import catalog, offering, problem, raw, workload

BOUND, RENTED = 720 * 2.0, 720 * 3.1
"""USD a month of a unit, reserved and on demand; each serves 3 requests/s."""

RATE, SECONDS = 3.0, 720 * 3600
FUTURES = (("low", 0.3, 0.5), ("base", 0.5, 1.0), ("high", 0.2, 3.0))
LOAD = 6.0


def sold() -> Any:
    rows = [
        offering("acme", "big", 3.1),
        offering("acme", "big", 2.0, name="bound", billing="reserved_1y"),
    ]
    return catalog(rows, [raw("big", 3)])


def asked(**fields: Any) -> Problem:
    limits = {"billing": {"allow": ["dedicated", "reserved_1y"]}, **fields.pop("limits", {})}
    futures = [{"name": n, "probability": p, "traffic": times} for n, p, times in FUTURES]
    return problem(LOAD, futures=futures, limits=limits, **fields)


def every_fleet(most_gpus: int, budget: float, usd_per_million: float) -> tuple[float, int]:
    """(least expected score, units bound): all that may be bound and rented, one by one."""
    found = []
    for bound in range(most_gpus + 1):
        total = 0.0
        for _, chance, times in FUTURES:
            load, scores = LOAD * times, []
            for rented in range(most_gpus - bound + 1):
                cash = bound * BOUND + rented * RENTED
                served = min(load, RATE * (bound + rented))
                lost = (load - served) * SECONDS / 1e6 * usd_per_million
                if cash <= budget + 1e-6:
                    scores.append(cash + lost)
            total += chance * min(scores, default=float("inf"))
        found.append((total, bound))
    return min(found)


def committed(plan: Plan) -> int:
    assert plan.futures is not None
    return sum(one.units for one in plan.futures.committed)


@pytest.mark.parametrize("usd_per_million", [100, 300, 500, 5_000])
@pytest.mark.parametrize(
    ("most_gpus", "budget"),
    [
        (3, 1e9),  # 18 requests/s are 6 units: capacity is short in the high future alone
        (1, 1e9),  # and in base, too
        (9, 7_000.0),  # money, in the high one: six units on demand are $13,392
        (9, 4_000.0),
        (4, 7_000.0),
    ],
)
def test_what_is_short_in_a_future_is_left_out_at_its_price(most_gpus, budget, usd_per_million):
    plan = solve(
        asked(
            limits={
                "max_gpus": {"total": most_gpus},
                "budget": {"usd_per_month": budget},
            },
            policy={"penalties": {"shortfall": {"usd_per_million_requests": usd_per_million}}},
        ),
        sold(),
        diagnose=False,
    )
    least, bound = every_fleet(most_gpus, budget, usd_per_million)
    assert plan.status is Status.OPTIMAL
    assert plan.futures is not None
    assert plan.futures.expected_usd_per_month == pytest.approx(least, abs=0.02)
    assert committed(plan) == bound
    for one, (_, _, times) in zip(plan.futures.outcomes, FUTURES, strict=True):
        assert one.shortfall_share >= 1 - RATE * most_gpus / (LOAD * times) - 1e-6


@pytest.mark.parametrize(
    ("limits", "future"),
    [
        ({"max_gpus": {"total": 5}}, "high"),
        ({"budget": {"usd_per_month": 6 * BOUND - 1}}, "high"),
        ({"max_gpus": {"total": 1}}, "base"),
    ],
)
def test_without_a_price_the_future_that_is_short_is_named(limits, future):
    plan = solve(asked(limits=limits), sold(), diagnose=False)
    assert plan.status is Status.INFEASIBLE
    reasons = " ".join(str(one) for one in plan.reasons)
    assert f"'{future}'" in reasons or future in reasons


HORIZON = {"months": 2, "at_end": "pro_rata"}


@pytest.mark.parametrize(
    ("beside", "over"),
    [
        ({}, "over futures"),
        ({"horizon": HORIZON}, "over futures"),
        ({"horizon": HORIZON, "futures": []}, "over months"),
    ],
)
@pytest.mark.parametrize(
    ("fields", "at", "said", "next_"),
    [
        ({"objective": "gpus"}, "objective", "it is cost that counts", "leave out objective: gpus"),
        (
            {"policy": {"share": "units"}},
            "policy.share",
            "units are not shared yet",
            "leave out share: units",
        ),
        (
            {"policy": {"share": "gpus"}},
            "policy.share",
            "units are not shared yet",
            "leave out share: gpus",
        ),
        (
            {"chat": {"latency": {"wait": "1s"}}},
            "workloads[0].latency",
            "waits are not kept yet",
            "leave wait and request out",
        ),
    ],
)
def test_what_is_of_one_known_month_is_refused_with_place_reason_and_way_out(
    beside, over, fields, at, said, next_
):
    futures = [{"name": n, "probability": p, "traffic": times} for n, p, times in FUTURES]
    with pytest.raises(RecordInputError) as refused:
        problem(LOAD, **{"futures": futures, **beside, **fields})
    message = str(refused.value)
    assert f"{at}: {over} {said}" in message
    assert next_ in message


@pytest.mark.parametrize("futures", [[], [{"name": "only", "probability": 1}]])
@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"policy": {"when_short": "fair"}}, "policy.when_short"),
        ({"policy": {"when_short": "priority"}}, "policy.when_short"),
        (
            {"limits": {"budget": {"usd_per_month": 9_000, "when_short": "fair"}}},
            "limits.budget.when_short",
        ),
    ],
)
def test_over_months_what_is_short_is_not_shared_out(futures, fields, at):
    with pytest.raises(RecordInputError) as refused:
        problem(LOAD, futures=futures, horizon=HORIZON, **fields)
    assert f"{at}: over months what is short is not shared out" in str(refused.value)
    priced = "price what is left unserved instead: policy: {penalties: {shortfall: "
    assert priced in str(refused.value)


@pytest.mark.parametrize("share", [None, "none"])
def test_units_are_not_shared_where_nothing_is_said(share):
    # Two workloads of 1 request/s could stand on one unit of two GPUs; each has its own.
    two = [workload(1.0, "chat"), workload(1.0, "code")]
    rows = [offering("acme", "big", 3.1, gpus_per_unit=2)]
    policy = {} if share is None else {"policy": {"share": share}}
    futures = [{"name": "only", "probability": 1}]
    plan = solve(problem(workloads=two, futures=futures, **policy), catalog(rows, [raw("big", 3)]))
    assert sum(p.units for p in plan.purchases) == 2


def test_over_months_what_is_short_is_left_out_at_its_price():
    usd_per_million = 300
    priced = {"penalties": {"shortfall": {"usd_per_million_requests": usd_per_million}}}
    found = plan_months(
        asked(
            limits={"max_gpus": {"total": 3}},
            policy=priced,
            horizon={"months": 1, "at_end": "pro_rata"},
        ),
        sold(),
    )
    assert found is not None
    expected = every_fleet(3, 1e9, usd_per_million)[0]
    assert found.proof.counted_usd == pytest.approx(expected, abs=0.02)  # with what is left out
