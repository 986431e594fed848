"""The choices that every plan is set beside, each as a changed problem that is solved.

To add one, write a function from `Asking` to what it found, and name it in `USUAL`, its key in
`UsualChoice` of `inputs/problem/comparisons.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from milp_planner.candidates.records import CandidateList, PlanningInput
from milp_planner.deadline import OutOfTime, check
from milp_planner.errors import InputError
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.fingerprint import problem_sha256
from milp_planner.inputs.problem.patching import patched
from milp_planner.inputs.problem.policies import allowed_billings, may_be_short
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.problem.traffic import ConcurrentUsers
from milp_planner.lazily import dataclass, field, replace
from milp_planner.milp.program.lexicographic import stages_of
from milp_planner.plans.records import Plan, Status
from milp_planner.questions.choices.records import Choice, ChoiceVerdict
from milp_planner.questions.choices.why_none import why_none
from milp_planner.questions.evaluate import evaluate
from milp_planner.questions.sweeps.frontier import unserved_share
from milp_planner.questions.sweeps.market import with_billings
from milp_planner.solving.first.bounds import least_usd_per_month
from milp_planner.solving.re_solve import Resolver, only_candidates, score_of, served_share
from milp_planner.solving.results import SearchResult
from milp_planner.traffic.month import make_schedule

WITHIN = 0.05
"""How much more the fleet of fewest providers may score than the best one."""

LARGE_CLOUDS = ("aws", "gcp", "azure")
RESERVED = ("reserved_1y", "reserved_3y", "committed")
HALF = 0.5
PATIENCE_S = 1.0
"""For finding out which limit an infeasible choice does not go with, unless work is fixed."""

OWN = "choices.own."
"""Before the name of a choice that the problem adds, which may be that of a usual one."""

API_HALF = "-per-token"
"""What the half of a workload that an API serves is called, behind its name."""


@dataclass
class Asking:
    """One plan and what is solved beside it."""

    resolver: Resolver
    plan: Plan
    listed: PlanningInput | None
    """All that the catalog sells, whatever `limits.billing` allows; None where time was up."""

    most_columns: int | None = None
    """A fixed limit on work instead of the clock: candidates times blocks, of all programs."""

    columns: int = field(default=0)
    """What of it is used up."""

    @property
    def wide(self) -> PlanningInput:
        """All that the catalog sells; raises OutOfTime where that could not be listed in time."""
        if self.listed is None:
            raise OutOfTime
        return self.listed

    @property
    def problem(self) -> Problem:
        """The question that the plan answers."""
        return self.resolver.problem

    @property
    def catalog(self) -> Catalog:
        """What can be rented."""
        return self.resolver.instance.catalog

    def sells(self, *billings: str) -> tuple[str, ...]:
        """Those of the billings under which anything here is sold that could serve."""
        if self.listed is None:
            return billings  # time ended before it was known; nothing of them is solved either
        sold = {k.mode.name for k in self.listed.candidates.candidates}
        return tuple(b for b in billings if b in sold)

    def in_time(self, ask: Usual, choice: Choice) -> Choice | None:
        """What `ask` finds; not reached where time ends before, and why where it is refused."""
        try:
            with self.resolver.in_force():
                return ask(self, choice)
        except OutOfTime:
            return not_reached(choice)
        except InputError as error:  # what is asked for is not planned beside what the problem asks
            why = "; ".join(fault.message for fault in error.faults)
            return replace(choice, verdict=ChoiceVerdict.INFEASIBLE, why=why)

    def solved(self, choice: Choice, patch: Mapping[str, Any], why: str = "") -> Choice:
        """The choice with the best plan of the changed problem."""
        check()
        return self.solved_problem(choice, patched(self.problem, patch), why)

    def solved_problem(self, choice: Choice, problem: Problem, why: str = "") -> Choice:
        """The same for a problem that is changed already; why: what to say where there is none,
        instead of finding it out."""
        if self.listed is None:
            raise OutOfTime
        instance = self.resolver.given_for(problem)
        if not self.has_work_left(instance):
            return not_reached(choice)
        answer = self.resolver.answer(problem, break_ties=True)
        return self.told(choice, problem, answer, why)

    def told(self, choice: Choice, problem: Problem, answer: SearchResult, why: str = "") -> Choice:
        """What became of the choice, by the answer of the solvers."""
        if answer.plan is not None:
            origin = replace(answer.plan.provenance, problem_sha256=problem_sha256(problem))
            plan = replace(answer.plan, provenance=origin, turned_down=())
            return replace(choice, verdict=ChoiceVerdict.FOUND, plan=plan)
        if answer.status is Status.INFEASIBLE:
            patience_s = PATIENCE_S if self.most_columns is None else math.inf
            why = why or why_none(self.resolver, problem, patience_s)
            return replace(choice, verdict=ChoiceVerdict.INFEASIBLE, why=why)
        return not_reached(choice)

    def solved_instance(
        self,
        choice: Choice,
        instance: PlanningInput,
        why: str,
        detail: str = "",
        *,
        break_ties: bool = True,
    ) -> Choice:
        """The choice with the best plan of what is prepared already; `why` where there is none."""
        choice = replace(choice, detail=detail)
        if not self.has_work_left(instance):
            return not_reached(choice)
        answer = self.resolver.answer_of(instance, break_ties=break_ties)
        return self.told(choice, instance.problem, answer, why)

    def with_billings(self, choice: Choice, billings: Iterable[str]) -> Choice:
        """The choice with more ways to pay, which the problem may not allow."""
        allowed = allowed_billings(self.problem)
        missing = [billing for billing in billings if billing not in allowed]
        choice = replace(choice, needs=needed(missing))
        return self.solved_problem(choice, with_billings(self.problem, (*allowed, *missing)))

    def has_work_left(self, instance: PlanningInput, programs: int = 1) -> bool:
        """Whether so many programs of that size may be solved; they count as if they were."""
        blocks = len(instance.schedule.blocks)
        self.columns += len(instance.candidates.candidates) * blocks * programs
        return self.most_columns is None or self.columns <= self.most_columns


def not_reached(choice: Choice) -> Choice:
    """The choice where there was no time, or no work left, for it."""
    return replace(choice, verdict=ChoiceVerdict.NOT_REACHED)


def needed(billings: Iterable[str]) -> str:
    """`spot in limits.billing.allow`; '' where nothing is missing."""
    names = ", ".join(billings)
    return f"{names} in limits.billing.allow" if names else ""


Usual = Callable[[Asking, Choice], Choice | None]
"""What became of a choice; None where it cannot be asked of this problem."""


def _the_plan(asking: Asking, choice: Choice) -> Choice:
    return replace(choice, verdict=ChoiceVerdict.FOUND, plan=asking.plan)


def one_provider(asking: Asking, choice: Choice) -> Choice:
    """Everything from one provider."""
    if len(asking.plan.providers) <= 1:
        return _the_plan(asking, choice)
    return asking.solved(choice, {"limits.providers.max_count": 1})


def fewest_providers(asking: Asking, choice: Choice) -> Choice | None:
    """As few providers as can be for at most 5 % more: one, two, ... until that is so. Where a
    budget is short they serve at most 5 % less."""
    most, least = score_of(asking.plan) * (1 + WITHIN), served_share(asking.plan) * (1 - WITHIN)
    for count in range(1, len(asking.plan.providers)):
        found = asking.solved(choice, {"limits.providers.max_count": count})
        if found.verdict is ChoiceVerdict.NOT_REACHED:
            return found
        plan = found.plan
        if plan is not None and score_of(plan) <= most and served_share(plan) >= least:
            return replace(found, detail=str(count))
    return _the_plan(asking, choice)


def _gpu_types(plan: Plan) -> set[str]:
    return {p.candidate.gpu for p in plan.purchases} - {""}


def one_gpu_type(asking: Asking, choice: Choice) -> Choice:
    """One type of GPU, of whichever provider."""
    if len(_gpu_types(asking.plan)) <= 1:
        return _the_plan(asking, choice)
    return asking.solved(choice, {"limits.gpus.max_count": 1})


def one_provider_one_gpu_type(asking: Asking, choice: Choice) -> Choice:
    """One type of GPU of one provider.

    Where the best plan of one provider alone, or of one type alone, keeps both, it is the best.
    """
    if len(asking.plan.providers) <= 1 and len(_gpu_types(asking.plan)) <= 1:
        return _the_plan(asking, choice)
    for ask in (one_provider, one_gpu_type):
        found = ask(asking, choice)
        if found.plan is None or not found.is_proven:
            continue
        if len(found.plan.providers) <= 1 and len(_gpu_types(found.plan)) <= 1:
            return found
    return asking.solved(choice, {"limits.providers.max_count": 1, "limits.gpus.max_count": 1})


def large_clouds(asking: Asking, choice: Choice) -> Choice | None:
    """Only the three largest clouds, where the problem lets them through."""
    sold = {k.provider for k in asking.wide.candidates.candidates}
    names = [n for n in LARGE_CLOUDS if n in asking.catalog.providers]
    allowed = [n for n in names if n in sold]
    if not names:
        return None
    if not allowed:
        why = "none of them is let through by limits.providers, or can serve"
        return replace(choice, verdict=ChoiceVerdict.INFEASIBLE, why=why)
    return asking.solved(choice, {"limits.providers.allow": allowed, "limits.providers.deny": []})


def one_region_group(asking: Asking, choice: Choice) -> Choice | None:
    """Everything in one group of countries, the cheapest of them; places must be known."""
    instance = asking.resolver.instance
    groups = {k.offering.group for k in instance.candidates.candidates} - {""}
    if not groups:
        return None
    mine = {p.candidate.offering.group for p in asking.plan.purchases}
    if len(mine) == 1 and "" not in mine:
        return replace(_the_plan(asking, choice), detail=mine.pop())
    why = "no one group of regions that is known can serve it all"
    best: Choice | None = None
    for least_usd, name in sorted(_least_by_group(instance, groups)):
        if best is not None and least_usd > (best.score_usd_per_month or 0.0):
            break  # nor can any group after it be cheaper
        found = asking.solved_instance(choice, only_in(instance, name), why, name, break_ties=False)
        if found.verdict is ChoiceVerdict.NOT_REACHED:
            return replace(found, detail="")  # whichever group is the cheapest
        if found.plan is not None and (best is None or _is_better(instance, found, best)):
            best = found
    if best is None:
        return replace(choice, verdict=ChoiceVerdict.INFEASIBLE, why=why)
    return asking.solved_instance(choice, only_in(instance, best.detail), why, best.detail)


def _least_by_group(instance: PlanningInput, groups: Iterable[str]) -> Iterator[tuple[float, str]]:
    """What no plan within each group can cost less than, USD/month; 0 where that is not known."""
    for group in groups:
        yield least_usd_per_month(only_in(instance, group)) or 0.0, group


def _is_better(instance: PlanningInput, one: Choice, other: Choice) -> bool:
    """Serves more, where a budget is short; else costs less; of equal ones the first by name."""
    return _rank(instance, one) < _rank(instance, other)


def _rank(instance: PlanningInput, choice: Choice) -> tuple[object, ...]:
    plan = choice.plan
    assert plan is not None
    stages = stages_of(instance.problem) if may_be_short(instance.problem) else ()
    unserved = [round(unserved_share(instance, plan, stage), 4) for stage in stages]
    return (*unserved, round(score_of(plan), 2), choice.detail)


def only_in(instance: PlanningInput, group: str) -> PlanningInput:
    """The problem with what is sold in one group of countries."""
    return only_candidates(instance, lambda k: k.offering.group == group)


def survives_provider_loss(asking: Asking, choice: Choice) -> Choice | None:
    """Enough left at the peak when any one provider is lost."""
    if asking.problem.limits.survival is not None:
        return None
    return asking.solved(choice, {"limits.survive_loss_of": "provider"})


def spot(asking: Asking, choice: Choice) -> Choice | None:
    """Units that can be taken away, too."""
    if not asking.sells("spot") or "spot" in allowed_billings(asking.problem):
        return None
    return asking.with_billings(choice, ["spot"])


def reservations(asking: Asking, choice: Choice) -> Choice | None:
    """Units that are bound for one year or three, too."""
    sold = asking.sells(*RESERVED)
    if not sold or {*sold} <= {*allowed_billings(asking.problem)}:
        return None
    return asking.with_billings(choice, sold)


def switched_off_when_idle(asking: Asking, choice: Choice) -> Choice | None:
    """On-demand units given back, unpaid, while there is less load."""
    policy = asking.problem.policy
    if policy.switch_off_dedicated or len(asking.plan.blocks) < 2:
        return None
    choice = replace(choice, needs="policy.switch_off_dedicated: true")
    return asking.solved(choice, {"policy.switch_off_dedicated": True})


def _without_api(asking: Asking) -> list[str]:
    """Workloads that nobody serves per token."""
    served = {k.workload for k in asking.wide.candidates.candidates if k.mode.per_token}
    return [w.name for w in asking.problem.workloads if w.name not in served]


def _nobody(asking: Asking, choice: Choice, workloads: Sequence[str]) -> Choice:
    names = ", ".join(workloads)
    why = f"no provider that is let through sells it per token: {names}"
    if all(isinstance(asking.problem.workload(w).traffic, ConcurrentUsers) for w in workloads):
        why = f"a price per token promises no speed per user: {names}"
    return replace(choice, verdict=ChoiceVerdict.INFEASIBLE, why=why)


def per_token(asking: Asking, choice: Choice) -> Choice:
    """Everything from an API."""
    missing = _without_api(asking)
    if missing:
        return _nobody(asking, choice, missing)
    if "per_token" not in allowed_billings(asking.problem):
        choice = replace(choice, needs=needed(["per_token"]))
    return asking.solved_problem(choice, with_billings(asking.problem, ["per_token"]))


def half_per_token(asking: Asking, choice: Choice) -> Choice | None:
    """Half of every workload from an API, the other half on units; each half keeps the limits."""
    if _without_api(asking):
        return None
    if "per_token" not in allowed_billings(asking.problem):
        choice = replace(choice, needs=needed(["per_token"]))
    why = "the two halves keep no limits together"
    return asking.solved_instance(choice, halves(asking.wide, asking.problem), why)


def halves(wide: PlanningInput, problem: Problem) -> PlanningInput:
    """The problem with every workload in two: units serve the one, an API serves the other."""
    growths = {w.name: w.traffic.growth * HALF for w in problem.workloads}
    workloads = tuple(
        w.model_copy(
            update={
                "name": f"{w.name}{ending}",
                "traffic": w.traffic.model_copy(update={"growth": growths[w.name]}),
                "min_replicas": 1 if ending else w.min_replicas,
            }
        )
        for ending in ("", API_HALF)
        for w in problem.workloads
    )
    allowed = (*allowed_billings(problem), "per_token")
    split = with_billings(problem.model_copy(update={"workloads": workloads}), allowed)
    candidates = tuple(
        replace(k, workload=f"{k.workload}{API_HALF}") if k.mode.per_token else k
        for k in wide.candidates.candidates
        if k.mode.name in allowed
    )
    return PlanningInput(split, make_schedule(split), CandidateList(candidates, ()), wide.catalog)


def todays_fleet(asking: Asking, choice: Choice) -> Choice | None:
    """What runs today, priced and judged."""
    if not asking.problem.current_fleet:
        return None
    found = evaluate(asking.problem, None, asking.catalog)
    why = "; ".join(breach.message for breach in found.breaches[:1])
    return replace(choice, verdict=ChoiceVerdict.FOUND, plan=found.plan, why=why)


def todays_bill(asking: Asking, choice: Choice) -> Choice | None:
    """What is paid today, by the problem's own word."""
    usd = asking.problem.today.usd_per_month
    if usd is None:
        return None
    return replace(choice, verdict=ChoiceVerdict.FOUND, bill_usd_per_month=usd)


USUAL: dict[str, tuple[str, Usual]] = {
    "one_provider": ("one provider", one_provider),
    "fewest_providers": ("fewest providers within 5 %", fewest_providers),
    "one_gpu_type": ("one GPU type", one_gpu_type),
    "one_provider_one_gpu_type": ("one provider and one GPU type", one_provider_one_gpu_type),
    "large_clouds": ("AWS, GCP or Azure only", large_clouds),
    "one_region_group": ("one region group", one_region_group),
    "survives_provider_loss": ("survives the loss of a provider", survives_provider_loss),
    "spot": ("with spot", spot),
    "reservations": ("with reservations", reservations),
    "switched_off_when_idle": ("switched off when idle", switched_off_when_idle),
    "per_token": ("per token", per_token),
    "half_per_token": ("half of it per token", half_per_token),
    "todays_fleet": ("today's fleet", todays_fleet),
    "todays_bill": ("today's bill", todays_bill),
}
"""The words and the function of every usual choice, in the order in which they are told."""

SOLVED_LAST = (
    "one_provider_one_gpu_type",
    "fewest_providers",
    "one_region_group",
    "large_clouds",
    "survives_provider_loss",
)
"""Choices that take longest: were time to end, the others are known."""


def usual_keys(problem: Problem) -> Iterator[str]:
    """Keys of the usual choices that a problem asks for, quick ones first."""
    wanted = problem.choices.only
    first = [key for key in USUAL if key not in SOLVED_LAST]
    yield from (key for key in (*first, *SOLVED_LAST) if wanted is None or key in wanted)


def usual_choice(asking: Asking, key: str) -> Choice | None:
    """A usual choice by its key; None where it cannot be asked of this problem."""
    name, ask = USUAL[key]
    return asking.in_time(ask, Choice(key, name, ChoiceVerdict.NOT_REACHED))
