"""What a sheet has beside the plan: choices, levers, other traffic and budgets, each solved."""

from __future__ import annotations

from collections.abc import Sequence

from milp_planner.plans.records import Plan
from milp_planner.plans.sheet.other_parts import SheetChoice
from milp_planner.plans.sheet.records import Sheet
from milp_planner.questions.choices.choices import told_apart
from milp_planner.questions.choices.records import Choice
from milp_planner.questions.choices.usual import Asking
from milp_planner.questions.sheet.curves import curves_of
from milp_planner.questions.sheet.left_out import row_left_out
from milp_planner.questions.sheet.levers import solved_levers
from milp_planner.questions.sheet.measure import measures_of, not_solved
from milp_planner.questions.sheet.of_plan import bought
from milp_planner.questions.sheet.ways import ways_compared
from milp_planner.solving.re_solve import served_share


def beside_choices(
    sheet: Sheet, plan: Plan, solved: Sequence[Choice], asking: Asking | None
) -> Sheet:
    """The sheet with the choices that were solved, what each lever saves, what a lower measurement
    would mean, what the weightiest measurement is worth, and what other traffic and other budgets
    would buy.

    asking: what solves all but the choices; None solves nothing more.
    """
    chosen = tuple(_choice(plan, one) for one in told_apart(plan, solved))
    found: dict[str, object] = {"choices": chosen}
    if asking is not None:
        found["levers"] = solved_levers(asking)
        found["measure"] = (
            not_solved(sheet.measure)
            if asking.resolver.is_stopped
            else measures_of(plan, asking.resolver.instance, sheet.as_of, asking.resolver)
        )
        risks = {"row_left_out": row_left_out(asking)}
        found["risks"] = sheet.risks.model_copy(update=risks)
        found["traffic"], found["budgets"] = curves_of(asking)
        if asking.problem.choices.crossovers:
            found["crossovers"] = ways_compared(asking)
    return sheet.model_copy(update=found)


def _choice(plan: Plan, choice: Choice) -> SheetChoice:
    mine, its = plan.score_usd_per_month, choice.score_usd_per_month
    extra = None if mine is None or its is None else its - mine
    known = choice.plan
    return SheetChoice(
        key=choice.key,
        name=choice.name,
        verdict=choice.verdict.value,
        cash_usd_per_month=choice.cash_usd_per_month,
        score_usd_per_month=its,
        extra_usd_per_month=extra,
        extra_share=extra / mine if extra is not None and mine else None,
        served_share=None if known is None else served_share(known),
        proven=choice.is_proven,
        gpus=None if known is None else known.gpus,
        providers=() if known is None else known.providers,
        fleet=() if known is None else bought(known),
        commitment_usd=0.0 if known is None else sum(p.commitment_usd for p in known.purchases),
        same_as=choice.same_as,
        detail=choice.detail,
        needs=choice.needs,
        why=choice.why,
    )
