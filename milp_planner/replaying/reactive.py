"""What a threshold autoscaler would do with a plan's day: its replicas hour by hour, and its cost.

A plan knows every hour's peak beforehand. An autoscaler sees only the load that has come, so that
it pays for what it keeps in reserve, and is late where load rises fast.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from milp_planner.plans.reasons import PerfectForesight
from milp_planner.plans.records import Plan, Purchase
from milp_planner.replaying.arrivals import Stretch
from milp_planner.replaying.autoscaler import (
    MINUTES_PER_HOUR,
    ScalingDay,
    ScalingRules,
    simulate,
)
from milp_planner.replaying.records import ReactiveDay
from milp_planner.replaying.timetable import Hours, On
from milp_planner.traffic.schedule import Schedule
from milp_planner.units import SECONDS_PER_HOUR


def main_purchase(plan: Plan, workload: str) -> Purchase | None:
    """What most of a workload's rent is spent on; None where APIs serve it."""
    rented = [p for p in plan.purchases_of(workload) if p.units]
    return max(rented, key=lambda p: p.cash_usd_per_month, default=None)


def scaled_day(bought: Purchase, stretches: Sequence[Stretch], rules: ScalingRules) -> ScalingDay:
    """The autoscaler over the hours of the clock, on replicas of one purchase alone.

    stretches: one for every hour, with the rate that comes.
    """
    k = bought.candidate
    rate = k.part_requests_per_second / k.replicas_per_unit
    hourly = [s.requests_per_second for s in stretches]
    return simulate(hourly, rate, k.usd_per_hour / k.replicas_per_unit, rules)


def foresight(plan: Plan, schedule: Schedule) -> Iterator[PerfectForesight]:
    """What a reactive autoscaler would pay, for workloads whose units follow the hours.

    By the rules of `ScalingRules`; nothing is said where these allow it too few replicas.
    """
    clock, rules = schedule.block_by_hour, ScalingRules()
    busy_with_batches = {run.candidate.workload for run in plan.batch_runs}
    for w in plan.workloads:
        if w.is_batch or w.name in busy_with_batches:
            continue  # no autoscaler knows of batches
        bought = main_purchase(plan, w.name)
        if not clock or bought is None or len({*bought.units_by_block}) == 1:
            continue
        demand = schedule.demands[w.name]
        rates = [demand.peak[t] * units_share(plan, w.name, plan.blocks[t].name) for t in clock]
        if not any(rates):
            continue  # units stand by, and something else serves
        hours = [
            Stretch("", h * SECONDS_PER_HOUR, (h + 1) * SECONDS_PER_HOUR, rate, t)
            for h, (rate, t) in enumerate(zip(rates, clock, strict=True))
        ]
        day = scaled_day(bought, hours, rules)
        month_hours = sum(block.hours for block in schedule.blocks)
        if day.peak_replicas < rules.most:
            yield PerfectForesight(
                workload=w.name,
                offering=bought.candidate.offering.id,
                plan_usd_per_month=sum(p.cash_usd_per_month for p in plan.purchases_of(w.name)),
                reactive_usd_per_month=day.usd * month_hours / len(clock)
                + sum(p.cash_usd_per_month for p in plan.purchases_of(w.name) if not p.units),
                late_share=day.unserved_requests / (SECONDS_PER_HOUR * sum(rates)),
            )


def units_share(plan: Plan, workload: str, block: str) -> float:
    """Share of a workload's requests in a block that units serve."""
    return sum(
        r.request_class.share * r.share
        for r in plan.routes_of(workload, block)
        if not r.candidate.mode.per_token
    )


def reactive_day(
    plan: Plan, workload: str, day: ScalingDay, bought: Purchase, hours: int, month_hours: float
) -> ReactiveDay:
    """The day's figures beside the plan's."""
    return ReactiveDay(
        workload=workload,
        offering=bought.candidate.offering.id,
        events=len(day.events),
        peak_replicas=day.peak_replicas,
        waste=day.waste,
        unserved_requests=day.unserved_requests,
        usd_per_month=day.usd * month_hours / hours,
        plan_usd_per_month=sum(p.cash_usd_per_month for p in plan.purchases_of(workload)),
    )


def reactive_hours(
    day: ScalingDay, rules: ScalingRules, stretches: Sequence[Stretch], ready_after_s: float
) -> list[Hours]:
    """When each of its replicas takes requests, `ready_after_s` after it is switched on."""
    minute_s = stretches[0].seconds / MINUTES_PER_HOUR
    counts = [(0.0, rules.fewest)]
    counts += [(event.minute * minute_s, event.after) for event in day.events]
    return [list(_on(k, counts, ready_after_s)) for k in range(day.peak_replicas)]


def _on(k: int, counts: Sequence[tuple[float, int]], ready_after_s: float) -> Iterator[On]:
    start: float | None = None
    for at_s, count in counts:
        if count > k and start is None:
            start = at_s + (ready_after_s if at_s > 0 else 0.0)
        elif count <= k and start is not None:
            if at_s > start:
                yield On(start, at_s)
            start = None
    if start is not None:
        yield On(start, float("inf"))
