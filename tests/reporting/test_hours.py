"""Units over the day as one line, and what is paid for nothing."""

from __future__ import annotations

import pytest

from milp_planner import solve
from milp_planner.reporting.formats import FORMATS
from milp_planner.reporting.text.plans.hours import units_by_hour
from tests.support.builders import catalog, offering, problem, raw, workload


def day_and_night():
    """8 requests/s from 8 to 20, 2 at night; a box does 2 requests/s for $1 an hour it is on."""
    weights = [2] * 8 + [8] * 12 + [2] * 4
    traffic = {
        "kind": "profile",
        "requests_per_day": 3600 * sum(weights),
        "weights": weights,
        "max_blocks": 2,
    }
    boxes = [offering("acme", "box", 1.0, billing="autoscaling")]
    return solve(problem(workloads=[workload(traffic=traffic)]), catalog(boxes, [raw("box", 2)]))


def test_the_strip_shows_the_units_of_every_hour():
    plan = day_and_night()
    assert units_by_hour(plan, plan.purchases[0]) == ["1" * 8 + "4" * 12 + "1" * 4]
    # 4 boxes for 12 hours and 1 for 12, 30 days: 1,800 hours at $1.
    assert plan.cash_usd_per_month == pytest.approx(1800)


def test_the_report_says_what_idles():
    text = FORMATS["text"](day_and_night())
    assert "00 111111114444444444441111 24" in text
    assert "idle: billing $0 per month, capacity 0 % on average" in text


def test_more_units_than_marks_still_take_one_character():
    plan = day_and_night()
    from dataclasses import replace

    many = replace(plan.purchases[0], units_by_block=(36, 10))
    assert set(units_by_hour(plan, many)[0]) == {"+", "a"}
