"""Refuses what is not known to be right beside batch work, and batches without a clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from milp_planner.candidates.paying.start_up import is_clockwork
from milp_planner.errors import Fault, InputError
from milp_planner.inputs.problem.keys import set_keys
from milp_planner.inputs.problem.load import located
from milp_planner.inputs.problem.policies import has_batches, is_batch, is_gpus_first, shares_gpus
from milp_planner.inputs.problem.records import Problem, Workload
from milp_planner.inputs.problem.traffic import Batch
from milp_planner.milp.program.batch.work import BatchWork
from milp_planner.milp.program.costs.commitments import CommitmentsPaid
from milp_planner.milp.program.costs.per_token import PerToken
from milp_planner.milp.program.costs.rent import Rent
from milp_planner.milp.program.costs.shortfall import Shortfall
from milp_planner.milp.program.costs.spot_loss import SpotLoss
from milp_planner.milp.program.costs.switching import SwitchingCost
from milp_planner.milp.program.costs.terms import COST_TERMS
from milp_planner.milp.program.families import CONSTRAINTS, DECIDED_BEFORE
from milp_planner.milp.program.language.cost import CostTerm
from milp_planner.milp.program.language.rule import Rule
from milp_planner.milp.program.limits.budget import BudgetLimit
from milp_planner.milp.program.limits.changes import ChangeLimit
from milp_planner.milp.program.limits.gpu_count import GpuCount
from milp_planner.milp.program.limits.provider_count import ProviderCount
from milp_planner.milp.program.limits.provider_share import ProviderShare
from milp_planner.milp.program.limits.quotas import Quotas
from milp_planner.milp.program.limits.region_count import RegionCount
from milp_planner.milp.program.limits.spot_share import SpotShare
from milp_planner.milp.program.limits.survival import LossSurvived
from milp_planner.milp.program.llms.quality import MeanQuality
from milp_planner.milp.program.rules.capacity import Capacity
from milp_planner.milp.program.rules.commitments import Commitments
from milp_planner.milp.program.rules.coverage import Coverage
from milp_planner.milp.program.rules.on_demand import OnDemandReplicas
from milp_planner.milp.program.rules.per_token_rate import PerTokenRate
from milp_planner.milp.program.rules.power import PowerCap
from milp_planner.milp.program.rules.queue_times import QueueTimes
from milp_planner.milp.program.rules.replicas import Replicas
from milp_planner.traffic.schedule import Schedule

COVERED_RULES: Final[tuple[Rule, ...]] = (
    *(Coverage(), Capacity(), BatchWork(), PerTokenRate(), Replicas(), QueueTimes()),
    *(Quotas(), PowerCap(), BudgetLimit(), ProviderCount(), RegionCount(), GpuCount()),
    *(ChangeLimit(), MeanQuality(), LossSurvived(), OnDemandReplicas(), Commitments()),
    *(SpotShare(), ProviderShare()),
)
COVERED_TERMS: Final[tuple[CostTerm, ...]] = tuple(
    term
    for term in COST_TERMS
    if isinstance(term, (Rent, CommitmentsPaid, PerToken, SpotLoss, SwitchingCost, Shortfall))
)
"""What holds beside batches, by brute force; a key of any other rule or term is refused."""

NOT_DECIDED = "how it counts work of no fixed hour is not decided"


def batch_faults(problem: Problem) -> Iterator[Fault]:
    """What the problem asks for beside batch work, and cannot have with it."""
    for i, w in enumerate(problem.workloads):
        if is_batch(w):
            yield from (located(problem, fault) for fault in _own_faults(i, w))
            if fault := next(_not_covered(problem, f"workloads[{i}].traffic"), None):
                yield located(problem, fault)


def _own_faults(i: int, w: Workload) -> Iterator[Fault]:
    """Wishes of a batch that mean nothing: nobody waits for it, and it may rest."""
    for wish in w.latency.queue_wishes:
        message = "nobody waits for a batch but until its deadline; leave it out"
        yield Fault("", 0, 0, f"workloads[{i}].latency.{wish.metric}", message)
    if w.min_replicas > 1:
        message = "a batch may rest, and then has no replicas; leave it out"
        yield Fault("", 0, 0, f"workloads[{i}].min_replicas", message)


def _not_covered(problem: Problem, path: str) -> Iterator[Fault]:
    """Keys of every rule and cost term that is not known to be right, the first of which is said"""
    asked = {
        "policy.share: gpus": shares_gpus(problem),
        "objective": is_gpus_first(problem),
        "policy.utilization.ceiling": problem.policy.utilization.highest
        > problem.policy.utilization.planned,
    }
    keys = [key for key, is_asked in asked.items() if is_asked]
    keys += [f"rules.{rule.name}" for rule in problem.rules]
    covered = {key for one in (*COVERED_RULES, *DECIDED_BEFORE) for key in one.keys}
    covered |= {key for term in COVERED_TERMS for key in term.keys}
    known = {rule.name for rule in COVERED_RULES}
    others = {key for rule in CONSTRAINTS if rule.name not in known for key in rule.keys}
    others |= {key for term in COST_TERMS if term not in COVERED_TERMS for key in term.keys}
    told = {key for key in others if key.startswith("workloads.latency.")}  # nothing without others
    told |= {"policy.share"}
    keys += sorted((others - covered - told) & set_keys(problem))
    for key in keys:
        message = f"batches are not planned together with {key} yet: {NOT_DECIDED}"
        yield Fault("", 0, 0, path, message, f"leave out {key}, or plan the batch apart")


def window_faults(problem: Problem, schedule: Schedule) -> Iterator[Fault]:
    """Batches of which the blocks do not tell in which hours they may be worked on."""
    for i, w in enumerate(problem.workloads):
        if isinstance(w.traffic, Batch) and (said := _unclear(problem, w.traffic, schedule)):
            yield located(problem, Fault("", 0, 0, f"workloads[{i}].traffic", *said))


def _unclear(problem: Problem, traffic: Batch, schedule: Schedule) -> tuple[str, str] | None:
    """(what is not known, what to write)."""
    if len(schedule.blocks) == 1 or traffic.period == "month":
        return None
    if not is_clockwork(schedule, problem.policy.hours_per_month):
        return (
            "the other traffic does not tell which hour follows which, so nor what is left of a "
            f"{traffic.period}",
            "write traffic of kind profile there, or every: month",
        )
    clock = schedule.block_by_hour
    if len(clock) > traffic.period_hours:
        return (
            "a batch every day beside traffic by the week: its days are not alike",
            "write every: week, or a profile of 24 hours",
        )
    open_hours = [traffic.is_open(hour) for hour in range(len(clock))]
    for block in range(len(schedule.blocks)):
        hours = {is_open for at, is_open in zip(clock, open_hours, strict=True) if at == block}
        if len(hours) > 1 and not traffic.waits_all_the_time:
            return (
                "hours before and after the deadline were merged into one time block",
                "raise max_blocks of the profile or trace, up to 24 or 168",
            )
    return None


def refuse_batches(problem: Problem, question: str) -> None:
    """Raise InputError where there is batch work and a question cannot be answered for that."""
    if has_batches(problem):
        at = next(i for i, w in enumerate(problem.workloads) if is_batch(w))
        message = f"{question} is not answered for batches yet"
        raise InputError([located(problem, Fault("", 0, 0, f"workloads[{at}].traffic", message))])
