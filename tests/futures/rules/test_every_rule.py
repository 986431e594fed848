"""Every rule holds in every future: held against each future solved alone, for every commitment.

The oracle knows one month only: it fixes a number of units as paid already (`commitments:`), lets
no more of them be used, and adds what they cost.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from milp_planner import Catalog, Plan, Problem, Status, plan_months, solve
from tests.support.builders import catalog, offering, problem, raw, token_price, workload

ALL = ["dedicated", "autoscaling", "reserved_1y", "spot", "per_token"]
FUTURES = (("low", 0.3, 0.5), ("base", 0.5, 1.0), ("high", 0.2, 2.0))
BOUND = {"acme/bound-big/eu-1": 2.0, "bolt/bound-small/eu-1": 0.8}
"""USD/h of what binds, by offering."""


def sold(**fields: Any) -> Catalog:
    """Big serves 3 and 2 requests/s of the two classes, small 1 and 0.5."""
    rows = [
        offering("acme", "big", 3.1, name="big", **fields),
        offering("acme", "big", 4.0, name="auto", billing="autoscaling"),
        offering("acme", "big", 1.7, name="spot", billing="spot"),
        offering("bolt", "small", 1.15, name="small"),
        offering("acme", "big", 2.0, name="bound-big", billing="reserved_1y"),
        offering("bolt", "small", 0.8, name="bound-small", billing="reserved_1y"),
    ]
    rates = [
        raw("big", 3, size=(1, 1)),
        raw("big", 2, size=(2, 2)),
        raw("small", 1, size=(1, 1)),
        raw("small", 0.5, size=(2, 2)),
    ]
    return catalog(rows, rates, [token_price("tokn", 600)])


TWO_CLASSES = [
    {"input_tokens": 1, "output_tokens": 1, "share": 0.6},
    {"input_tokens": 2, "output_tokens": 2, "share": 0.4},
]
BY_HOUR = {"kind": "profile", "requests_per_day": 150_000, "weights": [1.0] * 12 + [3.0] * 12}


def asked(**fields: Any) -> Problem:
    limits = {"billing": {"allow": ALL[:3]}} | fields.pop("limits", {})
    fields.setdefault("workloads", [workload(3.0, "chat"), workload(1.5, "code")])
    return problem(limits=limits, **fields)


CASES = {
    "plain": asked(),
    "every way to pay": asked(limits={"billing": {"allow": ALL}}),
    "classes": asked(workloads=[workload(2.5, requests=TWO_CLASSES)]),
    "blocks": asked(workloads=[workload(traffic=BY_HOUR)]),
    "quota": asked(limits={"max_gpus": {"per_gpu": {"big": 2}}}),
    "spot share": asked(limits={"max_spot_share": 0.4, "billing": {"allow": ALL[:4]}}),
    "survival": asked(limits={"survive_loss_of": {"kind": "provider", "share": 0.5}}),
    "losses of classes": asked(
        workloads=[workload(2.0, requests=TWO_CLASSES)],
        limits={"survive_loss_of": {"kind": "provider", "share": 0.4}},
    ),
    "replicas": asked(limits={"min_on_demand_replicas": 2, "billing": {"allow": ALL[:4]}}),
    "shortfall": asked(
        limits={"budget": {"usd_per_month": 4_500}},
        policy={"penalties": {"shortfall": {"usd_per_million_requests": 900}}},
    ),
    "overload": asked(
        workloads=[workload(3.0)],
        policy={
            "utilization": {"target": 0.6, "ceiling": 1.0},
            "penalties": {"overload": {"above": 0.7, "usd_at_full_load": 2_000}},
        },
    ),
    "levels": asked(
        workloads=[workload(3.0, latency={"requirement": "200ms"})],
        policy={
            "utilization": {"target": 0.5, "ceiling": 1.0},
            "penalties": {"strict_latency": {"below": "300ms", "usd": 700}},
        },
    ),
}


def in_one_month(question: Problem, times: float, paid: dict[str, int]) -> float | None:
    """What a month costs beside units that are paid, with so much traffic; None without a plan."""
    usd = sum(720 * BOUND[id_] * n for id_, n in paid.items())
    changes: dict[str, Any] = {
        f"workloads.{w.name}.traffic.growth": times for w in question.workloads
    }
    changes["limits.max_units"] = paid
    changes["commitments"] = [{"offering": id_, "units": n} for id_, n in paid.items() if n]
    budget = question.limits.budget
    if budget is not None:  # it is about all that is paid
        if usd > budget.usd_per_month - 0.01:
            return None
        changes["limits.budget"] = {"usd_per_month": budget.usd_per_month - usd}
    plan = solve(question.changed(changes), sold(), diagnose=False)
    if plan.status is Status.INFEASIBLE:
        return None
    assert plan.status is Status.OPTIMAL
    assert plan.score_usd_per_month is not None
    return usd + plan.score_usd_per_month


def on_average(question: Problem, paid: dict[str, int]) -> float | None:
    costs = [in_one_month(question, times, paid) for _, _, times in FUTURES]
    known = [usd for usd in costs if usd is not None]
    if len(known) < len(costs):
        return None
    return sum(p * usd for (_, p, _), usd in zip(FUTURES, known, strict=True))


def over_futures(question: Problem) -> Plan:
    futures = [{"name": name, "probability": p, "traffic": times} for name, p, times in FUTURES]
    return solve(question.changed({"futures": futures}), sold(), diagnose=False)


def counts(plan: Plan) -> dict[str, int]:
    assert plan.futures is not None
    return dict.fromkeys(BOUND, 0) | {one.offering: one.units for one in plan.futures.committed}


@pytest.mark.parametrize("name", ["plain", pytest.param("classes", marks=pytest.mark.slow)])
def test_the_average_is_what_the_futures_cost_by_themselves(name):
    plan = over_futures(CASES[name])
    told = plan.futures
    assert told is not None
    paid = counts(plan)
    for one, (_, _, times) in zip(told.outcomes, FUTURES, strict=True):
        alone = in_one_month(CASES[name], times, paid)
        assert one.usd_per_month == pytest.approx(alone, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_no_other_commitments_cost_less(name):
    # One unit more or less of each, and none at all; the average is convex but for steps.
    plan = over_futures(CASES[name])
    assert plan.status is Status.OPTIMAL
    assert plan.futures is not None
    least = plan.futures.expected_usd_per_month
    mine = counts(plan)
    assert on_average(CASES[name], mine) == pytest.approx(least, abs=0.02)
    steps = product((-1, 0, 1), repeat=len(BOUND))
    others = [
        {id_: n + step for (id_, n), step in zip(mine.items(), by, strict=True)} for by in steps
    ]
    for other in [dict.fromkeys(BOUND, 0), *others]:
        if min(other.values()) >= 0:
            usd = on_average(CASES[name], other)
            assert usd is None or usd >= least - 0.02, other


# ---- the same over months: what is asked of a month is asked of every month

FAST_OVER_MONTHS = ("classes", "quota", "shortfall")
"""Rules that are tried always; the others take longer."""

PLANNED_APART = ("spot share",)
"""No rule links its two workloads: over months what is signed for one serves it alone, while in a
month of several futures a unit may serve the other one where that has more traffic."""


def slow_over_months(name: str) -> object:
    return name if name in FAST_OVER_MONTHS else pytest.param(name, marks=pytest.mark.slow)


@pytest.mark.parametrize("name", [*map(slow_over_months, CASES)])
def test_one_month_of_a_horizon_is_the_month_of_its_futures(name):
    plan = over_futures(CASES[name])
    assert plan.futures is not None
    futures = [{"name": n, "probability": p, "traffic": times} for n, p, times in FUTURES]
    horizon = {"months": 1, "at_end": "pro_rata"}
    asked = CASES[name].changed({"futures": futures, "horizon": horizon})
    found = plan_months(asked, sold(), gap=1e-9)
    assert found is not None
    least = plan.futures.expected_usd_per_month
    if name in PLANNED_APART:
        assert found.proof.counted_usd > least + 1
        return
    assert found.proof.counted_usd == pytest.approx(least, abs=0.02)
    for one, outcome in zip(found.futures, plan.futures.outcomes, strict=True):
        [month] = one.months
        assert month.usd + month.penalties_usd == pytest.approx(outcome.usd_per_month, abs=0.02)
