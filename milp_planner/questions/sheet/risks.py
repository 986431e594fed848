"""What a plan rests on: what one failure leaves, ages of prices, estimates, wishes; what to ask."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.catalog.records import Offering
from milp_planner.plans.losses import unit_losses, worst_losses
from milp_planner.plans.measure_next import ESTIMATES, spend_by_rate
from milp_planner.plans.records import Plan, Purchase
from milp_planner.plans.sentences import warning_lines
from milp_planner.plans.sheet.other_parts import (
    LeftAfterLoss,
    PriceAge,
    SheetRisks,
    ToAsk,
    WishJudged,
)

AGES_DAYS = (0, 31, 91, 181, 366)
"""Where one age of prices ends and the next begins: a month, a quarter, half a year, a year."""

MEASURED = ("measured", "raw")
"""Sources of a rate that somebody measured in this deployment, or states to be so."""


def risks_of(instance: PlanningInput, plan: Plan, today: date) -> SheetRisks:
    """What the plan of `instance` rests on, on a day."""
    spend = list(spend_by_rate(plan))
    return SheetRisks(
        losses=tuple(_losses(instance, plan)),
        prices_by_age=tuple(_prices_by_age(plan, today)),
        estimated_usd_per_month=sum(usd for point, usd in spend if point.source in ESTIMATES),
        rated_usd_per_month=sum(usd for _, usd in spend),
        wishes=tuple(_wishes(plan)),
        notes=tuple(warning_lines(plan)),
    )


def _losses(instance: PlanningInput, plan: Plan) -> Iterator[LeftAfterLoss]:
    """For every workload the worst loss of a single unit, and of a provider."""
    for w in plan.workloads:
        worst = min(
            _unit_losses(instance, plan, w.name, w.unit), key=lambda one: one.share, default=None
        )
        if worst is not None:
            yield worst
    for loss in worst_losses(instance, plan, "provider"):
        yield LeftAfterLoss(
            workload=loss.workload,
            kind="provider",
            lost=loss.lost,
            block=loss.block,
            left=loss.left,
            served=loss.served,
            unit=loss.unit,
            share=loss.share,
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
        )


def _prices_by_age(plan: Plan, today: date) -> Iterator[PriceAge]:
    ends = [*AGES_DAYS[1:], None]
    for least, end in zip(AGES_DAYS, ends, strict=True):
        mine = [
            p
            for p in plan.purchases
            if least <= max(0, (today - p.candidate.offering.as_of).days)
            and (end is None or (today - p.candidate.offering.as_of).days < end)
        ]
        if mine:
            yield PriceAge(
                from_days=least,
                to_days=None if end is None else end - 1,
                usd_per_month=sum(p.cash_usd_per_month for p in mine),
                offerings=tuple(dict.fromkeys(p.candidate.offering.id for p in mine)),
            )


def _wishes(plan: Plan) -> Iterator[WishJudged]:
    """Every latency wish, and whether anything measured stands behind it."""
    for w in plan.workloads:
        sources = {s for p in plan.purchases_of(w.name) for s in p.candidate.sources}
        if w.tpot_wish_s is not None:
            yield WishJudged(
                workload=w.name,
                what="tpot",
                asked_s=w.tpot_wish_s,
                expected_s=w.tpot_s,
                measured=bool(sources) and sources <= {*MEASURED},
            )
        if w.ttft_wish_s is not None:
            yield WishJudged(
                workload=w.name,
                what="ttft",
                asked_s=w.ttft_wish_s,
                expected_s=w.ttft_s,
                measured=w.ttft_verified,
            )


OLD_DAYS = 90
"""A price older than this is worth asking for again."""


def asks_of(plan: Plan, today: date) -> tuple[ToAsk, ...]:
    """What sellers should say before money is paid, the most money first."""
    rented: dict[str, list[Purchase]] = {}
    for p in plan.purchases:  # several workloads may rent one offering
        rented.setdefault(p.candidate.offering.id, []).append(p)
    found = [
        ToAsk(
            provider=mine[0].candidate.provider,
            offering=offering,
            question="; ".join(_questions(mine[0].candidate, sum(p.units for p in mine), today)),
            usd_per_month=sum(p.cash_usd_per_month for p in mine),
        )
        for offering, mine in rented.items()
    ]
    asked = (one for one in found if one.question)
    return tuple(sorted(asked, key=lambda one: (-one.usd_per_month, one.offering)))


def _questions(k: Candidate, units: int, today: date) -> Iterator[str]:
    o = k.offering
    age = (today - o.as_of).days
    if isinstance(o, Offering):
        if o.max_units is None:
            yield f"{units} unit{'' if units == 1 else 's'} at once, for the month"
        if not o.instance_type:
            yield "what it is called there"
        if o.count_assumed:
            yield f"sold {o.gpus_per_unit} GPU{'' if o.gpus_per_unit == 1 else 's'} at a time"
    if age > OLD_DAYS:
        yield f"the price of {o.as_of.isoformat()} still holds"
    if o.note and isinstance(o, Offering):
        yield o.note
