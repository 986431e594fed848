"""The sheet of a plan alone, for a notebook: without the problem, and with nothing solved again."""

from __future__ import annotations

from datetime import date

from milp_planner.inputs.problem.policy import Policy
from milp_planner.plans.records import Plan, WorkloadPlan
from milp_planner.plans.sheet.plan_parts import QuestionAsked, WorkloadAsked
from milp_planner.plans.sheet.records import Sheet
from milp_planner.questions.sheet.folding import alternatives_of
from milp_planner.questions.sheet.of_plan import (
    answer_of,
    diagnosis_of,
    hours_of,
    proof_of,
    purchases_of,
    shared_of,
    sources_of,
    workloads_of,
)
from milp_planner.questions.sheet.risks import asks_of, left_after, risks_of


def sheet_of_plan(plan: Plan, today: date) -> Sheet:
    """What a plan says by itself: no choices, no levers, nothing to measure.

    Limits and sizes of requests, which only the problem states, are left out, and what a loss
    leaves is known where the plan must survive one; `decision_sheet` has all. USD are per month.
    """
    lines, stale = len(plan.alternatives), plan.stale_prices
    stale_after_days = Policy().stale_after_days if stale is None else stale.stale_after_days
    return Sheet(
        name=plan.name,
        as_of=today,
        question=QuestionAsked(
            workloads=tuple(_asked(w) for w in plan.workloads),
            limits=(),
            utilization_target=max((w.utilization_limit for w in plan.workloads), default=1.0),
            hours_per_month=sum(block.hours for block in plan.blocks),
            today_usd_per_month=None,
        ),
        answer=answer_of(plan, today, stale_after_days),
        purchases=purchases_of(plan, today),
        shared_units=shared_of(plan),
        workloads=workloads_of(plan),
        hours=hours_of(plan),
        choices=None,
        alternatives=alternatives_of(plan, lines) if plan.status.has_plan else (),
        alternatives_notes=(),
        levers=None,
        risks=risks_of(plan, today, map(left_after, plan.worst_losses)),
        asks=asks_of(plan, today, stale_after_days),
        measure=(),
        budgets=None,
        traffic=None,
        proof=proof_of(plan, reproducible=False),
        sources=sources_of(plan),
        diagnosis=diagnosis_of(plan),
    )


def _asked(w: WorkloadPlan) -> WorkloadAsked:
    return WorkloadAsked(
        name=w.name,
        llm=w.llm,
        peak=w.peak_requests_per_second,
        unit=w.unit,
        tokens_per_month=w.tokens_per_month,
        request_sizes=(),
        tpot_wish_s=w.tpot_wish_s,
        ttft_wish_s=w.ttft_wish_s,
    )
