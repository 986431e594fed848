"""What a plan rests on: what one failure leaves, ages of prices, estimates, wishes; what to ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import TypeVar

from milp_planner.candidates.records import Candidate, PlanningInput, RatePoint
from milp_planner.candidates.sharing.shared_units import SharedUnits
from milp_planner.deadline import OutOfTime, check, checked, is_up
from milp_planner.inputs.catalog.records import Offering
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.problem.traffic import ConcurrentUsers
from milp_planner.plans.consequences import Loss, age_days
from milp_planner.plans.losses import unit_losses, worst_losses
from milp_planner.plans.measure_next import ESTIMATES, spend_by_rate
from milp_planner.plans.reasons import TimeNotJudged, TimeReplayed, WaitIdle, WaitKept
from milp_planner.plans.records import Plan, Purchase, WorkloadPlan
from milp_planner.plans.sentences import warning_lines
from milp_planner.plans.sheet.other_parts import (
    LeftAfterLoss,
    PriceAge,
    SheetRisks,
    ToAsk,
    WishJudged,
)

LOSSES_LEFT_OPEN = "Left open by the time limit: what is left when a unit or a provider is lost"

MOST_LOSSES_SPARED = 200
"""As many losses can be looked at in the little time that is spared for them. Of more none would be
told at its end, so that none is looked at once time is up."""

MEASURED = ("measured", "raw")
"""Sources of a rate that somebody measured in this deployment, or states to be so."""

OfWorkload = TypeVar("OfWorkload", TimeNotJudged, TimeReplayed, WaitIdle, WaitKept)


def risks_of(
    plan: Plan, today: date, losses: Iterable[LeftAfterLoss], problem: Problem | None = None
) -> SheetRisks:
    """What the plan rests on, on a day; `losses` are of `losses_of`, or known otherwise.

    Where time is up before all losses are known, none is told, and a note says so.
    """
    spend = list(spend_by_rate(plan))
    known: tuple[LeftAfterLoss, ...] = ()
    late: tuple[str, ...] = ()
    try:
        known = tuple(losses)
    except OutOfTime:
        late = (LOSSES_LEFT_OPEN,)
    return SheetRisks(
        losses=known,
        prices_by_age=tuple(_prices_by_age(plan, today)),
        estimated_usd_per_month=sum(usd for point, usd in spend if point.source in ESTIMATES),
        rated_usd_per_month=sum(usd for _, usd in spend),
        wishes=tuple(wishes_of(plan, problem)),
        notes=(*warning_lines(plan), *late),
    )


def losses_of(instance: PlanningInput, plan: Plan) -> Iterator[LeftAfterLoss]:
    """For every workload of `instance` the worst loss of a single unit, and of a provider; raises
    OutOfTime."""
    if is_up() and len(plan.purchases) * len(plan.blocks) > MOST_LOSSES_SPARED:
        raise OutOfTime
    for w in plan.workloads:
        found = checked(_unit_losses(instance, plan, w.name, w.unit))
        worst = min(found, key=lambda one: one.share, default=None)
        if worst is not None:
            yield worst
    check()
    known = [loss for loss in plan.worst_losses if loss.kind == "provider"]
    yield from map(left_after, known or worst_losses(instance, plan, "provider"))


def left_after(loss: Loss) -> LeftAfterLoss:
    """A loss as the sheet shows it."""
    return LeftAfterLoss(
        workload=loss.workload,
        kind=loss.kind,
        lost=loss.lost,
        block=loss.block,
        left=loss.left,
        served=loss.served,
        unit=loss.unit,
        share=loss.share,
        stands_by=loss.stands_by,
    )


def _unit_losses(
    instance: PlanningInput, plan: Plan, workload: str, unit: str
) -> Iterator[LeftAfterLoss]:
    for loss in unit_losses(instance, plan, workload):
        yield LeftAfterLoss(
            workload=workload,
            kind="unit",
            lost=loss.lost,
            block=plan.blocks[loss.block].name,
            left=loss.left,
            served=loss.served,
            unit=unit,
            share=loss.left / loss.served,
            stands_by=tuple(k.offering.id for k in loss.stands_by),
        )


def _prices_by_age(plan: Plan, today: date) -> Iterator[PriceAge]:
    """What is spent on prices of each age, the youngest first."""
    by_age: dict[int, list[Purchase]] = {}
    for p in plan.purchases:
        by_age.setdefault(age_days(p.candidate.offering, today), []).append(p)
    for age, mine in sorted(by_age.items()):
        yield PriceAge(
            age_days=age,
            usd_per_month=sum(p.cash_usd_per_month for p in mine),
            offerings=tuple(dict.fromkeys(p.candidate.offering.id for p in mine)),
        )


def wishes_of(plan: Plan, problem: Problem | None = None) -> Iterator[WishJudged]:
    """Every latency wish, and what it is judged on; of users' waits where the problem is given."""
    for w in plan.workloads:
        mine = [p.candidate for p in plan.purchases_of(w.name)]
        yield from _times_to_tokens(plan, w, mine)
        yield from _times_in_queues(plan, w, mine)
        yield from _not_judged(plan, w, mine)
        traffic = None if problem is None else problem.workload(w.name).traffic
        if isinstance(traffic, ConcurrentUsers) and traffic.longest_wait_s is not None:
            yield WishJudged(
                workload=w.name,
                what="longest_wait",
                asked_s=traffic.longest_wait_s,
                expected_s=None,
                measured=all(p.ttft_measured for k in mine for p in k.serving_points),
                not_judged_on=_unknown(mine, lambda point: point.ttft_s),
            )


def _times_to_tokens(
    plan: Plan, w: WorkloadPlan, mine: Sequence[Candidate]
) -> Iterator[WishJudged]:
    """Wishes for tpot and ttft, but those whose percentile nobody can judge."""
    unknown = {
        *(one.metric for one in _said(plan, w, TimeNotJudged)),
        *(one.metric for one in _said(plan, w, TimeReplayed)),
    }
    if w.tpot_wish_s is not None and "tpot" not in unknown:
        yield WishJudged(
            workload=w.name,
            what="tpot",
            asked_s=w.tpot_wish_s,
            expected_s=w.tpot_s,
            measured=_are_measured(mine),
            not_judged_on=_unknown(mine, lambda point: point.tpot_s),
        )
    if w.ttft_wish_s is not None and "ttft" not in unknown:
        yield WishJudged(
            workload=w.name,
            what="ttft",
            asked_s=w.ttft_wish_s,
            expected_s=w.ttft_s,
            measured=w.ttft_verified,
            not_judged_on=_unknown(mine, lambda point: point.ttft_s),
        )


def _times_in_queues(
    plan: Plan, w: WorkloadPlan, mine: Sequence[Candidate]
) -> Iterator[WishJudged]:
    """Wishes that queues decide: kept ones, then those that no replica could miss."""
    everywhere = tuple(k.offering.id for k in mine)
    wishes: list[WaitKept | WaitIdle] = [*_said(plan, w, WaitKept), *_said(plan, w, WaitIdle)]
    for one in wishes:
        if isinstance(one, WaitKept):
            expected_s, unknown = one.reached_s, () if one.judged else everywhere
        else:
            expected_s, unknown = one.least_s, one.unknown
        yield WishJudged(
            workload=w.name,
            what=one.what,
            asked_s=one.wished_s,
            expected_s=expected_s,
            measured=_are_measured(mine),
            not_judged_on=unknown,
        )


def _not_judged(plan: Plan, w: WorkloadPlan, mine: Sequence[Candidate]) -> Iterator[WishJudged]:
    """Wishes for percentiles that no formula tells, and what a replay says of them."""
    for done in _said(plan, w, TimeReplayed):
        yield WishJudged(
            workload=w.name,
            what=done.what,
            asked_s=done.wished_s,
            expected_s=done.reached_s,
            measured=_are_measured(mine),
            not_judged_on=done.unknown,
            in_replay="kept" if done.kept else "missed",
        )
    for one in _said(plan, w, TimeNotJudged):
        yield WishJudged(
            workload=w.name,
            what=one.what,
            asked_s=one.wished_s,
            expected_s=None,
            measured=False,
            not_judged_on=tuple(k.offering.id for k in mine),
        )


def _said(plan: Plan, w: WorkloadPlan, kind: type[OfWorkload]) -> list[OfWorkload]:
    """The plan's remarks of one kind about the workload."""
    said = (one for one in plan.warnings if isinstance(one, kind))
    return [one for one in said if one.workload == w.name]


def _are_measured(mine: Sequence[Candidate]) -> bool:
    """True where every rate of a workload's purchases is measured."""
    sources = {source for k in mine for source in k.sources}
    return bool(sources) and sources <= {*MEASURED}


def _unknown(
    candidates: Sequence[Candidate], figure: Callable[[RatePoint], float | None]
) -> tuple[str, ...]:
    """Offerings whose figure nobody knows: sold per token, or with rates taken at their word."""
    return tuple(
        k.offering.id
        for k in candidates
        if k.mode.per_token or any(figure(point) is None for point in k.serving_points)
    )


def asks_of(plan: Plan, today: date, stale_after_days: float) -> tuple[ToAsk, ...]:
    """What sellers should say before money is paid, the most money first."""
    paid: dict[str, float] = {}
    for p in plan.purchases:  # several workloads may rent one offering
        name = p.candidate.offering.id
        paid[name] = paid.get(name, 0.0) + p.cash_usd_per_month
    rented: dict[str, list[Purchase | SharedUnits]] = {}
    for one in plan.rented:
        rented.setdefault(one.candidate.offering.id, []).append(one)
    found = [
        ToAsk(
            provider=mine[0].candidate.provider,
            offering=offering,
            question="; ".join(_questions(mine, today, stale_after_days)),
            usd_per_month=paid[offering],
        )
        for offering, mine in rented.items()
    ]
    asked = (one for one in found if one.question)
    return tuple(sorted(asked, key=lambda one: (-one.usd_per_month, one.offering)))


def _questions(
    rented: Sequence[Purchase | SharedUnits], today: date, stale_after_days: float
) -> Iterator[str]:
    """What to ask of one offering, however many ways to pay for it are taken."""
    o = rented[0].candidate.offering
    if isinstance(o, Offering):
        yield from _units_at_once(rented)
        if not o.instance_type:
            yield "what it is called there"
        if o.count_assumed:
            yield f"sold {o.gpus_per_unit} GPU{'' if o.gpus_per_unit == 1 else 's'} at a time"
    paid = {p.candidate.offering.billing: p.candidate.offering for p in rented}.values()
    old = sorted({one.as_of for one in paid if age_days(one, today) > stale_after_days})
    if old:
        days = " and ".join(day.isoformat() for day in old)
        one = len(old) == 1
        yield f"the price of {days} still holds" if one else f"the prices of {days} still hold"
    yield from dict.fromkeys(one.note for one in paid if one.note and isinstance(one, Offering))


def _units_at_once(rented: Sequence[Purchase | SharedUnits]) -> Iterator[str]:
    """Units of which nobody says how many there are, by the months that they are bound for."""
    units: dict[int, int] = {}
    for p in rented:
        if getattr(p.candidate.offering, "max_units", None) is None:
            months = p.candidate.commitment_months
            units[months] = units.get(months, 0) + p.units
    for months, many in sorted(units.items()):
        term = f"{months} month{'' if months == 1 else 's'}" if months else "the month"
        yield f"{many} unit{'' if many == 1 else 's'} at once, for {term}"
