"""Whatever is asked of a month is asked of every month: months that are alike cost alike."""

from __future__ import annotations

import pytest

from milp_planner import plan_months
from tests.futures.test_every_rule import CASES, FUTURES, over_futures, sold

FAST = ("classes", "quota", "shortfall")
"""Rules that are tried always; the others take longer."""

PLANNED_APART = ("spot share",)
"""No rule links its two workloads: over months what is signed for one serves it alone, while in a
month of several futures a unit may serve the other one where that has more traffic."""


def slow_unless(name: str) -> object:
    return name if name in FAST else pytest.param(name, marks=pytest.mark.slow)


@pytest.mark.parametrize("name", [*map(slow_unless, CASES)])
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
