"""A plain autoscaler's day, and the sizing rules of the capacity-planning write-up."""

from __future__ import annotations

import math

import pytest

from milp_planner import PerfectForesight, Plan, solve, warning_lines
from milp_planner.replaying.arrivals import Stretch
from milp_planner.replaying.autoscaler import (
    ScalingEvent,
    ScalingRules,
    gpus_for_rate,
    simulate,
)
from milp_planner.replaying.reactive import reactive_hours
from milp_planner.replaying.timetable import On
from milp_planner.serving.memory import rule_of_thumb_gib
from tests.support.builders import catalog, offering, problem, raw

DAY = [20, 15, 12, 10, 8, 12, 25, 40, 70, 95, 120, 140]
DAY += [160, 180, 200, 185, 170, 150, 120, 100, 80, 60, 40, 25]


def test_the_published_day_has_13_events_28_replicas_and_costs_1_179_20() -> None:
    found = simulate(DAY, 10, 3.20)
    assert (len(found.events), found.peak_replicas) == (13, 28)
    assert found.usd == pytest.approx(1179.20)
    assert found.replica_hours == pytest.approx(368.5)
    # 2,037 requests/s · 3,600 s served of 368.5 h · 10 requests/s
    assert found.unserved_requests == 0
    assert found.mean_utilization == pytest.approx(sum(DAY) / 3685)
    assert found.waste == pytest.approx(1 - sum(DAY) / 3685)


def test_replicas_grow_by_half_after_each_cooldown_and_never_beyond_the_most() -> None:
    # ⌊n / 2⌋ more each time, at least one: 2, 3, 4, 6, 9
    found = simulate([100], 10, 1, ScalingRules(most=9))
    assert found.events == (
        ScalingEvent(5, 2, 3),
        ScalingEvent(10, 3, 4),
        ScalingEvent(15, 4, 6),
        ScalingEvent(20, 6, 9),
    )
    # minutes 0-4 serve 20 of 100, then 30, 40 and 60; from minute 20 on 90
    lost = 5 * 80 + 5 * 70 + 5 * 60 + 5 * 40 + 40 * 10
    assert found.unserved_requests == pytest.approx(60 * lost)


def test_replicas_shrink_by_a_quarter_after_15_minutes_down_to_the_fewest() -> None:
    rules = ScalingRules(fewest=8)
    found = simulate([100, 1], 10, 1, rules)
    up = [e for e in found.events if e.after > e.before]
    down = [e for e in found.events if e.after < e.before]
    assert [(e.minute, e.before, e.after) for e in up] == [(5, 8, 12), (10, 12, 18)]
    assert [(e.minute, e.before, e.after) for e in down] == [(60, 18, 13), (75, 13, 9), (90, 9, 8)]


def test_within_the_thresholds_nothing_happens() -> None:
    assert simulate([15, 6], 10, 1).events == ()  # 75 % and 30 % of 2 replicas are not beyond them


def test_a_replica_needs_a_rate() -> None:
    with pytest.raises(ValueError, match="a rate above 0"):
        simulate([1], 0, 1)
    with pytest.raises(ValueError, match="a rate above 0"):
        gpus_for_rate(1, 0)


@pytest.mark.parametrize(
    ("rate", "per_gpu", "gpus"),
    [(100, 10, 12), (101, 10, 13), (10, 120, 1), (1, 0.1, 12), (0, 5, 0)],
)
def test_a_cluster_has_a_fifth_more_than_the_rate_needs(
    rate: float, per_gpu: float, gpus: int
) -> None:
    assert gpus_for_rate(rate, per_gpu) == gpus


def test_the_rule_of_thumb_for_memory_is_145_percent_of_the_weights() -> None:
    assert rule_of_thumb_gib(70e9, 2) == pytest.approx(189.0585, abs=5e-5)
    assert rule_of_thumb_gib(2**30, 1) == pytest.approx(1.45)


def test_replicas_that_are_added_take_requests_once_they_are_ready() -> None:
    # 2, 3 from minute 5 on, 4 from minute 10 on, 2 again from minute 60 on; a minute to start
    rules = ScalingRules(most=4, down_step=0.5)
    day = simulate([100, 1], 10, 1, rules)
    assert [(e.minute, e.after) for e in day.events] == [(5, 3), (10, 4), (60, 2)]
    hours = [Stretch("", 3600.0 * h, 3600.0 * (h + 1), rate, 0) for h, rate in enumerate((100, 1))]
    assert reactive_hours(day, rules, hours, 60.0) == [
        [On(0.0, math.inf)],
        [On(0.0, math.inf)],
        [On(5 * 60 + 60.0, 3600.0)],
        [On(10 * 60 + 60.0, 3600.0)],
    ]


# ---- beside a plan


def day_plan(scale: float = 1.0, billing: str = "autoscaling") -> Plan:
    """The published day on replicas of 10 requests/s at $3.20, solved by the hour."""
    day = {
        "kind": "profile",
        "requests_per_day": 3600 * sum(DAY) * scale,
        "weights": DAY,
        "max_blocks": 24,
    }
    asked = problem(target=0.75, chat={"traffic": day, "min_replicas": 2})
    known = catalog([offering("acme", "big", 3.2, billing=billing)], [raw("big", 10)])
    return solve(asked, known, alternatives=0)


def test_a_plan_by_the_hour_says_what_following_the_load_would_cost() -> None:
    # 30 days of $1,179.20; with foresight ⌈rate ÷ 7.5⌉ replicas, at least 2: $26,976
    (note,) = [w for w in day_plan().warnings if isinstance(w, PerfectForesight)]
    assert note.plan_usd_per_month == pytest.approx(26_976)
    assert note.reactive_usd_per_month == pytest.approx(30 * 1179.20)
    assert note.late_share == pytest.approx(0)
    said = (
        "'chat' costs $26,976 per month because its hours are known beforehand: an autoscaler on "
    )
    said += "acme/big/eu-1 that follows the load would pay $35,376"
    assert said in warning_lines(day_plan())


def test_what_is_late_is_said_and_what_the_rules_cannot_follow_is_not() -> None:
    # ten times the rate: more than the 100 replicas that the rules allow
    assert not [w for w in day_plan(10).warnings if isinstance(w, PerfectForesight)]
    (late,) = [w for w in day_plan(3).warnings if isinstance(w, PerfectForesight)]
    day = simulate([3 * rate for rate in DAY], 10, 3.20)
    assert late.late_share == pytest.approx(day.unserved_requests / (3 * 3600 * sum(DAY)))
    assert late.reactive_usd_per_month == pytest.approx(30 * day.usd)


@pytest.mark.slow
def test_units_held_all_month_follow_nothing() -> None:
    plan = day_plan(billing="dedicated")
    assert not [w for w in plan.warnings if isinstance(w, PerfectForesight)]
