"""Re-checks a plan outside the solver, in plain arithmetic, before anyone sees it."""

from __future__ import annotations

from collections.abc import Mapping

from milp_planner.candidates.records import PlanningInput
from milp_planner.errors import SolverError
from milp_planner.milp.engines.outcome import EngineStatus
from milp_planner.milp.engines.verdict import CertifiedRun
from milp_planner.milp.presolve.worth_sharing import is_known_part
from milp_planner.milp.program.families import rules_of
from milp_planner.milp.program.language.rule import Rule
from milp_planner.milp.program.refinement import tolerance_usd
from milp_planner.plans.records import Plan
from milp_planner.units import usd_shown

MONEY_TOLERANCE_USD = 0.01
MONEY_TOLERANCE = 1e-6
"""Relative: the program and the arithmetic must agree on every cost this well."""

MAY_SAY_MORE = {
    *("strict_latency", "scaling", "switching"),
    *("commitments", "start_up", "volume_discount"),
}
"""Cost terms that a program that is stopped may say more of than its plan owes."""


def violations(
    instance: PlanningInput, plan: Plan, *, beside: tuple[type[Rule], ...] = ()
) -> list[str]:
    """Every rule that the plan breaks, with numbers; empty when it keeps them all.

    beside: kinds of rules that are not asked, as far as a program does not know them yet.
    """
    broken = [
        said
        for rule in rules_of(instance.problem)
        if not isinstance(rule, beside)
        for said in rule.violations(instance, plan)
    ]
    known = set(instance.candidates.candidates)
    broken += [
        f"{p.candidate.id} is not a candidate"
        for p in plan.purchases
        if p.candidate not in known and not is_known_part(instance, p.candidate)
    ]
    return broken


def keeps_all(instance: PlanningInput, plan: Plan, usd_per_month: float) -> bool:
    """True when the plan keeps every rule and scores what it is said to."""
    score = plan.score_usd_per_month or 0.0
    close = max(MONEY_TOLERANCE_USD, MONEY_TOLERANCE * abs(score))
    return abs(score - usd_per_month) <= close and not violations(instance, plan)


def verify(instance: PlanningInput, plan: Plan, modelled: Mapping[str, float]) -> None:
    """Raise SolverError when the plan breaks a rule, or costs other than the program says.

    `modelled` is the value of each objective term at the plan. The overload ramp is exempt here:
    the planner refines the program until the two agree.
    """
    broken = violations(instance, plan)
    if set(modelled) != set(plan.costs):
        broken.append(f"cost terms differ: {sorted(modelled)} and {sorted(plan.costs)}")
    for name, usd in plan.costs.items():
        said = modelled.get(name, 0.0)
        close = max(MONEY_TOLERANCE_USD, MONEY_TOLERANCE * abs(usd))
        if name != "overload" and abs(usd - said) > close:
            paid, modelled_as = usd_shown(usd, 4), usd_shown(said, 4)
            broken.append(f"{name} is {paid} per month, the program says {modelled_as}")
    if broken:
        raise SolverError("the plan breaks its own limits:\n" + "\n".join(broken))


def as_far_as_comparable(
    modelled: Mapping[str, float], plan: Plan, run: CertifiedRun
) -> dict[str, float]:
    """What the program says a plan costs, where the two ought to agree.

    A plan that the solvers stopped at may owe less than the program says: its level may be hotter,
    its counts of changes or of extra GPUs higher than the fleet asks for, less of it covered.
    """
    said = dict(modelled)
    if run.status is not EngineStatus.OPTIMAL:
        for name in said.keys() & MAY_SAY_MORE:
            said[name] = min(said[name], plan.costs[name])
    return said


def is_settled(best: Plan, run: CertifiedRun) -> bool:
    """True when the program's optimum and the best plan seen agree."""
    if run.status is not EngineStatus.OPTIMAL or run.bound is None:
        return False
    score = best.score_usd_per_month or 0.0
    return score - run.bound <= tolerance_usd(score)
