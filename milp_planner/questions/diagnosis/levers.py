"""Levers that are no limits, and ways to pay: which of them alone give a plan where there is none.

What a limit in force hides is found by loosening it; a key such as `policy.switch_off_dedicated`
stands in no plan's way by its words, and may be all that is missing. A sheet says of the same
levers what each saves. To add one, yield it here and name it in `changes_of_levers`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from milp_planner.candidates.records import PlanningInput
from milp_planner.inputs.problem.patching import Patch
from milp_planner.inputs.problem.records import Problem, Workload
from milp_planner.lazily import dataclass, field
from milp_planner.milp.program.language.loosening import LimitInForce, NameLimit
from milp_planner.plans.diagnosis import Change
from milp_planner.plans.records import Plan, Status
from milp_planner.questions.diagnosis.smallest_change import Trials
from milp_planner.solving.re_solve import cash_of, fleet_line

MOST_WORKLOADS = 3
"""Workloads whose own settings are tried."""

BILLINGS = "limits.billing.allow"
FP8 = "fp8"


@dataclass(frozen=True)
class Lever:
    """One change of the problem, as it is written there."""

    key: str
    """That of the choice which makes the same change, where there is one."""

    name: str
    path: str
    value: str
    patch: Patch = field(compare=False)
    now: str = ""
    """The value of today, where the key is no limit."""


def switched_off(problem: Problem, blocks: int) -> Iterator[Lever]:
    """Units given back while there is less load; nothing where there is one load all month."""
    if not problem.policy.switch_off_dedicated and blocks > 1:
        path, name = "policy.switch_off_dedicated", "switch off when idle"
        yield Lever("switched_off_when_idle", name, path, "true", {path: True}, "false")


def smaller_caches(problem: Problem, workloads: Iterable[Workload]) -> Iterator[Lever]:
    """Keys and values in one byte each: more requests in flight fit in the same memory.

    InfraScale's formulas know no such thing.
    """
    for w in () if problem.policy.serving_model == "infrascale" else workloads:
        now = w.deployment.kv_precision
        if w.rates is None and now != FP8:
            path = f"workloads.{w.name}.deployment.kv_precision"
            name = f"fp8 KV cache for {w.name}"
            yield Lever(f"kv_precision of {w.name}", name, path, FP8, {path: FP8}, now)


def changes_of_levers(trials: Trials, instance: PlanningInput) -> Iterator[Change]:
    """Every lever that is no limit and gives a plan."""
    problem = instance.problem
    levers = (
        *switched_off(problem, len(instance.schedule.blocks)),
        *smaller_caches(problem, problem.workloads[:MOST_WORKLOADS]),
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
