"""Work that can wait beside limits about losses and spot: those who wait for nobody rest."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import Plan, Status, decision_sheet, solve
from tests.milp.batch.test_batch_work import HOUR, asked, batch, boxes, day
from tests.support.builders import catalog, offering, raw
from tests.support.examples import tries


def of_both(usd: tuple[float, float] = (2.0, 3.0), spot_usd: float = 0.5):
    """One request/s on demand at two sellers, and on spot at a third."""
    rows = [offering(who, "box", each) for who, each in zip(("acme", "bolt"), usd, strict=True)]
    rows.append(offering("core", "lean", spot_usd, billing="spot"))
    return catalog(rows, [raw("box", 1), raw("lean", 1)])


ON_BOXES = {"workloads.chat.rates": [{"gpu": "box", "requests_per_second": 1}]}
ON_ALL = {
    "workloads.night.rates": [{"gpu": gpu, "requests_per_second": 1} for gpu in ("box", "lean")]
}


def units(plan: Plan) -> dict[tuple[str, str], int]:
    return {(p.candidate.workload, p.candidate.offering.provider): p.units for p in plan.purchases}


def test_what_is_there_for_a_loss_does_batches_meanwhile_and_they_wait_after_it():
    # Chat keeps its 3 requests/s without either: 3 and 3. Of 144 unit-hours a day it takes 48.
    question = asked(batch(96 * HOUR), limits={"survive_loss_of": "provider"})
    plan = solve(question.changed({**ON_BOXES, **ON_ALL}), of_both())
    assert plan.status is Status.OPTIMAL
    assert units(plan) == {("chat", "acme"): 3, ("chat", "bolt"): 3}
    assert [loss.workload for loss in plan.worst_losses] == ["chat"]
    assert plan.worst_losses[0].left == pytest.approx(3)


def test_a_sheet_tells_of_no_loss_that_a_batch_feels():
    sheet = decision_sheet(asked(batch(36 * HOUR)), boxes(spot_usd=0.5), with_choices=False)
    assert {loss.workload for loss in sheet.risks.losses} == {"chat"}


def test_replicas_on_demand_are_asked_of_those_who_cannot_wait():
    # Chat has one box on demand whatever spot costs; the batch is on spot alone: 12 h of 24.
    question = asked(batch(12 * HOUR), traffic=day(*[1] * 24), limits={"min_on_demand_replicas": 1})
    rates = {"workloads.chat.rates": ON_ALL["workloads.night.rates"]}
    plan = solve(question.changed({**rates, **ON_ALL}), of_both())
    assert plan.cash_usd_per_month == pytest.approx((2 * 24 + 0.5 * 12) * 30)


@tries(0.08, deadline=None)
@given(
    st.lists(st.sampled_from([0, 1, 2, 3]), min_size=2, max_size=3).filter(any),
    st.sampled_from(["provider", "offering", "spot"]),
    st.sampled_from([1.0, 0.5]),
    st.sampled_from([5, 30, 75, 120]),
    st.sampled_from([0.3, 4.0]),
    st.sampled_from([0.75, 1.0]),
    st.sampled_from([1, 2, 4]),
    st.sampled_from([1.0, 0.5, 0.2]),
)
def test_losses_beside_batches_agree_with_trying_every_fleet(
    steps, kind, share, work, spot_usd, target, on_demand, most_spot
):
    """Chat on any of three sellers; the batch in what they leave, or on spot of its own."""
    loads = [load for load in steps for _ in range(24 // len(steps))]
    limits = {
        "survive_loss_of": {"kind": kind, "share": share},
        "min_on_demand_replicas": on_demand,
        "max_spot_share": most_spot,
    }
    question = asked(batch(work * HOUR), traffic=day(*loads), target=target, limits=limits)
    both = {"workloads.chat.rates": ON_ALL["workloads.night.rates"], **ON_ALL}
    plan = solve(question.changed(both), of_both(spot_usd=spot_usd), diagnose=False)
    assert plan.status is Status.OPTIMAL
    busy = sorted({load for load in loads if load})
    hours = {load: loads.count(load) for load in busy}
    best = float("inf")
    for a, b in itertools.product(range(16), range(9)):
        if a + b < on_demand:
            continue
        usd, spare = (2 * a + 3 * b) * 24, target * (a + b) * loads.count(0)
        for load in busy:
            ways = [
                s
                for s in range(9)
                if target * (a + b) + min(target * s, most_spot * load) >= load - 1e-9
                and all(left >= share * load - 1e-9 for left in _left(kind, a, b, s))
            ]
            if not ways:
                break
            s = ways[0]  # more spot of chat than it needs is the batch's as well
            usd += s * spot_usd * hours[load]
            spare += (target * (a + b + s) - load) * hours[load]
        else:
            left = max(0.0, work - spare)
            best = min(best, usd + left / target * spot_usd)
    assert plan.cash_usd_per_month == pytest.approx(30 * best, rel=1e-4)


def _left(kind: str, a: int, b: int, s: int) -> tuple[int, ...]:
    return (a + b,) if kind == "spot" else (a + b, a + s, b + s)
