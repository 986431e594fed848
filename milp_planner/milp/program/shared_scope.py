"""What is planned together with units that workloads share, and what is not yet.

`policy.share: units` refuses what it is not planned together with. Where the problem does not say
who shares what, or turns off what is idle, units of one workload, which may rest, stand beside
shared ones of the same offering; beside what is not covered all belong to one workload each where
it does not say.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from milp_planner.inputs.problem.keys import set_keys
from milp_planner.inputs.problem.policies import has_batches, is_sharing_open, shares_gpus
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.costs.commitments import CommitmentsPaid
from milp_planner.milp.program.costs.overload import Overload
from milp_planner.milp.program.costs.per_token import PerToken
from milp_planner.milp.program.costs.power import PowerByLoad
from milp_planner.milp.program.costs.rent import Rent
from milp_planner.milp.program.costs.scaling import Scaling
from milp_planner.milp.program.costs.shortfall import Shortfall
from milp_planner.milp.program.costs.spot_loss import SpotLoss
from milp_planner.milp.program.costs.start_up import StartUpHours
from milp_planner.milp.program.costs.start_up_ahead import StartUpAhead
from milp_planner.milp.program.costs.strict_latency import StrictLatency
from milp_planner.milp.program.costs.switching import SwitchingCost
from milp_planner.milp.program.costs.terms import COST_TERMS
from milp_planner.milp.program.costs.volume import VolumeDiscount
from milp_planner.milp.program.costs.volume_bands import VolumeBands
from milp_planner.milp.program.families import CONSTRAINTS, DECIDED_BEFORE, sets_unknown_keys
from milp_planner.milp.program.language.cost import CostTerm
from milp_planner.milp.program.language.rule import Rule
from milp_planner.milp.program.limits.budget import BudgetLimit
from milp_planner.milp.program.limits.changes import ChangeLimit
from milp_planner.milp.program.limits.gpu_count import GpuCount
from milp_planner.milp.program.limits.names_count import NamesCount
from milp_planner.milp.program.limits.provider_count import ProviderCount
from milp_planner.milp.program.limits.provider_share import ProviderShare
from milp_planner.milp.program.limits.quotas import Quotas
from milp_planner.milp.program.limits.region_count import RegionCount
from milp_planner.milp.program.limits.shares import ServedShare
from milp_planner.milp.program.limits.spot_share import SpotShare
from milp_planner.milp.program.limits.survival import LossSurvived
from milp_planner.milp.program.llms.quality import MeanQuality
from milp_planner.milp.program.rules.capacity import Capacity
from milp_planner.milp.program.rules.commitments import Commitments
from milp_planner.milp.program.rules.coverage import Coverage
from milp_planner.milp.program.rules.extra_gpus import ExtraGpus
from milp_planner.milp.program.rules.on_demand import OnDemandReplicas
from milp_planner.milp.program.rules.one_level import OneLevel
from milp_planner.milp.program.rules.overload import OverloadRamp
from milp_planner.milp.program.rules.packing import Packing
from milp_planner.milp.program.rules.per_token_rate import PerTokenRate
from milp_planner.milp.program.rules.power import PowerCap
from milp_planner.milp.program.rules.queue_times import QueueTimes
from milp_planner.milp.program.rules.queues.own_queues import OwnQueues
from milp_planner.milp.program.rules.replicas import Replicas

COVERED_RULES: Final[tuple[Rule, ...]] = (
    *(Coverage(), Capacity(), Packing(), PerTokenRate(), OneLevel(), OverloadRamp(), ExtraGpus()),
    *(Replicas(), OnDemandReplicas(), QueueTimes(), Quotas(), BudgetLimit(), ProviderCount()),
    *(RegionCount(), GpuCount(), ProviderShare(), SpotShare(), LossSurvived(), ChangeLimit()),
    *(Commitments(), StartUpAhead(), VolumeBands(), PowerCap(), MeanQuality()),
    OwnQueues(),
)
COVERED_TERMS: Final[tuple[CostTerm, ...]] = (
    *(Rent(), CommitmentsPaid(), StartUpHours(), PerToken(), VolumeDiscount(), SpotLoss()),
    *(SwitchingCost(), Overload(), Scaling(), StrictLatency(), Shortfall(), PowerByLoad()),
)
"""What holds for shared units, by brute force; a key of any other rule or term is refused."""

NOT_DECIDED = "what it counts, units or replicas, is not decided"
OF_WHOLE_GPUS = "what it counts of a GPU that LLMs share is not decided"


def not_covered(problem: Problem) -> Iterator[tuple[str, str]]:
    """Keys that `policy.share: units` refuses, with why."""
    if problem.policy.switch_off_dedicated and not is_sharing_open(problem):
        yield "policy.switch_off_dedicated", "a shared unit rests only when all of its replicas do"
    for rule in problem.rules:
        yield f"rules.{rule.name}", "a rule of your own counts units by workload"
    yield from ((key, NOT_DECIDED) for key in _undecided(problem))
    if shares_gpus(problem):
        yield from ((key, OF_WHOLE_GPUS) for key in _not_beside_gpus(problem))


def _not_beside_gpus(problem: Problem) -> Iterator[str]:
    """Keys of what is not known to be right where LLMs share a GPU."""
    yield from sorted(key for key in set_keys(problem) if key.startswith(OF_WHOLE))
    if has_batches(problem):
        yield "workloads.traffic.deadline"
    if any(w.latency.asks_queues for w in problem.workloads):
        yield "workloads.latency.wait"


def _undecided(problem: Problem) -> Iterator[str]:
    """Keys of every rule and cost term that is not known to be right."""
    covered = {key for rule in (*COVERED_RULES, *DECIDED_BEFORE) for key in rule.keys}
    covered |= {key for term in COVERED_TERMS for key in term.keys}
    known = {one.name for one in (*COVERED_RULES, *DECIDED_BEFORE)}
    asked = set_keys(problem) - covered
    for rule in CONSTRAINTS:
        if rule.name not in known:
            yield from sorted(rule.keys & asked)
    counted = {term.name for term in COVERED_TERMS}
    for term in COST_TERMS:
        if term.name not in counted:
            yield from sorted(term.keys & asked)


def left_to_one(problem: Problem) -> Iterator[str]:
    """Keys beside which units are not shared unless the problem says so, where that is open."""
    yield from (f"rules.{r.name}" for r in problem.rules if not isinstance(r, KNOWN_RULES))
    yield from _undecided(problem)
    yield from sorted(key for key in set_keys(problem) if key.startswith(APART))
    if sets_unknown_keys(problem):
        yield "keys that no rule knows"


KNOWN_RULES = ServedShare | NamesCount
"""Rules of questions and wishes, which look at names and at who serves whom."""

APART = ("futures", "horizon")
"""Starts of keys of what plans the same units for several futures, or months."""

OF_WHOLE = (
    *("policy.penalties.overload", "policy.penalties.scaling", "policy.penalties.strict_latency"),
    *("policy.preset", "objective", "current_fleet", "switching.", "policy.start_up"),
    *("policy.routing", "policy.power_by_load", "futures", "commitments", "prices.volume"),
)
"""Starts of keys of what counts GPUs, or what units carry, whole; beside them no GPU is shared."""


def may_share(problem: Problem) -> bool:
    """True where workloads share units if that costs less."""
    return is_sharing_open(problem) and next(left_to_one(problem), None) is None
