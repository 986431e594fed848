"""The best plan in which something serves a whole workload, or a share of one.

Of all its requests the candidates of others are left out. Of a share σ a rule says what is left to
others:

    Σ_{k of others} Σ_q λ_qt x_qkt ≤ (1 − σ) Σ_q λ_qt (1 − s_qt)      ∀ t with load
"""

from __future__ import annotations

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.records import Problem
from milp_planner.lazily import dataclass, replace
from milp_planner.milp.presolve.forced_use import Wanted
from milp_planner.milp.program.limits.shares import ServedShare
from milp_planner.plans.records import Plan, Status
from milp_planner.solving.checks.own_rules import held_to
from milp_planner.solving.re_solve import Resolver, only_candidates, score_of


@dataclass(frozen=True)
class ForcedShare:
    """A plan in which something serves at least a share of a workload."""

    workload: str
    plan: Plan


@dataclass(frozen=True)
class OthersShare(ServedShare):
    """All but what is wanted serve no more than the rest of one workload."""

    path = "share"
    server = "others"

    workload: str
    wanted: Wanted
    most: float

    def share(self, problem: Problem) -> float | None:
        return self.most

    def group_of(self, k: Candidate) -> str:
        return "others" if k.workload == self.workload and not self.wanted(k) else ""


def cheapest_with_share(
    resolver: Resolver, wanted: Wanted, share: float
) -> tuple[ForcedShare | None, bool]:
    """The best plan in which what is wanted serves a share of some workload, whichever is best.

    None where no plan does; True beside it where time was up before that was known.
    """
    instance = resolver.instance
    able = {k.workload for k in instance.candidates.candidates if wanted(k)}
    found: list[ForcedShare] = []
    late = False
    for name in (w.name for w in instance.problem.workloads if w.name in able):
        answer = resolver.answer_of(_forced(instance, name, wanted, share), break_ties=True)
        late |= answer.status is Status.NO_PLAN
        if answer.plan is not None:
            found.append(ForcedShare(name, answer.plan))
    return min(found, key=lambda one: score_of(one.plan), default=None), late


def _forced(instance: PlanningInput, workload: str, wanted: Wanted, share: float) -> PlanningInput:
    if share >= 1:
        return only_candidates(instance, lambda k: k.workload != workload or wanted(k))
    rule = OthersShare(workload, wanted, 1 - share)
    return replace(instance, problem=held_to(instance.problem, [rule]))
