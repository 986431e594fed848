"""Levers that alone give a plan where there is none: those that are no limits, and ways to pay.

What a limit in force hides is found by loosening it; a key such as `policy.switch_off_dedicated`
stands in no plan's way by its words, and may be all that is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from milp_planner.candidates.records import PlanningInput
from milp_planner.inputs.problem.patching import Patch
from milp_planner.milp.program.language.loosening import LimitInForce, NameLimit
from milp_planner.plans.diagnosis import Change
from milp_planner.plans.records import Plan, Status
from milp_planner.questions.diagnosis.lever import smaller_caches, switched_off
from milp_planner.questions.diagnosis.smallest_change import Trials
from milp_planner.solving.re_solve import cash_of, fleet_line

MOST_WORKLOADS = 3
"""Workloads whose own settings are tried."""

BILLINGS = "limits.billing.allow"


def changes_of_levers(trials: Trials, instance: PlanningInput) -> Iterator[Change]:
    """Every lever that is no limit and gives a plan."""
    problem = instance.problem
    levers = (
        *switched_off(problem, len(instance.schedule.blocks)),
        *smaller_caches(problem.workloads[:MOST_WORKLOADS]),
    )
    for lever in levers:
        plan = trials.plan(lever.patch)
        if plan is not None:
            yield _change(lever.path, lever.now, lever.name, lever.patch, plan)


def other_billings(trials: Trials, limit: LimitInForce, known: Change) -> Iterator[Change]:
    """Ways to pay that each give a plan as well, beside the cheapest, which is known: whoever may
    not rent spot may reserve."""
    if not isinstance(limit, NameLimit) or limit.path != BILLINGS:
        return
    for name in limit.ruled_out:
        names: Sequence[str] = (name,)
        patch = limit.allowing(names)
        plan = None if patch == known.patch else trials.plan(patch)
        if plan is not None:
            yield _change(limit.path, limit.said, limit.text(names), patch, plan)


def _change(path: str, now: str, text: str, patch: Patch, plan: Plan) -> Change:
    return Change(
        path=path,
        now=now,
        text=text,
        patch=patch,
        too_little=None,
        cash_usd_per_month=cash_of(plan),
        fleet=fleet_line(plan),
        proven=plan.status is Status.OPTIMAL,
    )
