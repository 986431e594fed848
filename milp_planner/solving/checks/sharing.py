"""Refuses what `policy.share: units` does not cover: no wish is dropped in silence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from milp_planner.candidates.records import CandidateList
from milp_planner.candidates.sharing.shared_units import sizes_divide
from milp_planner.errors import Fault, InputError
from milp_planner.inputs.problem.keys import set_keys
from milp_planner.inputs.problem.load import located
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.costs.commitments import CommitmentsPaid
from milp_planner.milp.program.costs.overload import Overload
from milp_planner.milp.program.costs.per_token import PerToken
from milp_planner.milp.program.costs.rent import Rent
from milp_planner.milp.program.costs.scaling import Scaling
from milp_planner.milp.program.costs.shortfall import Shortfall
from milp_planner.milp.program.costs.spot_loss import SpotLoss
from milp_planner.milp.program.costs.strict_latency import StrictLatency
from milp_planner.milp.program.costs.switching import SwitchingCost
from milp_planner.milp.program.costs.terms import COST_TERMS
from milp_planner.milp.program.costs.volume import VolumeDiscount
from milp_planner.milp.program.costs.volume_bands import VolumeBands
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
from milp_planner.milp.program.rules.capacity import Capacity
from milp_planner.milp.program.rules.commitments import Commitments
from milp_planner.milp.program.rules.coverage import Coverage
from milp_planner.milp.program.rules.extra_gpus import ExtraGpus
from milp_planner.milp.program.rules.on_demand import OnDemandReplicas
from milp_planner.milp.program.rules.one_level import OneLevel
from milp_planner.milp.program.rules.overload import OverloadRamp
from milp_planner.milp.program.rules.packing import Packing
from milp_planner.milp.program.rules.per_token_rate import PerTokenRate
from milp_planner.milp.program.rules.queue_times import QueueTimes
from milp_planner.milp.program.rules.replicas import Replicas

PATH = "policy.share"

COVERED_RULES: Final[tuple[Rule, ...]] = (
    *(Coverage(), Capacity(), Packing(), PerTokenRate(), OneLevel(), OverloadRamp(), ExtraGpus()),
    *(Replicas(), OnDemandReplicas(), QueueTimes(), Quotas(), BudgetLimit(), ProviderCount()),
    *(RegionCount(), GpuCount(), ProviderShare(), SpotShare(), LossSurvived(), ChangeLimit()),
    *(Commitments(), VolumeBands()),
)
COVERED_TERMS: Final[tuple[CostTerm, ...]] = tuple(
    term
    for term in COST_TERMS
    if isinstance(
        term,
        (
            *(Rent, CommitmentsPaid, PerToken, VolumeDiscount, SpotLoss, SwitchingCost),
            *(Overload, Scaling, StrictLatency, Shortfall),
        ),
    )
)
"""What holds for shared units, by brute force; a key of any other rule or term is refused."""

NOT_DECIDED = "what it counts, units or replicas, is not decided"


def shares_units(problem: Problem) -> bool:
    """True where replicas of several workloads may stand on one unit."""
    return problem.policy.share == "units"


def sharing_faults(problem: Problem) -> Iterator[Fault]:
    """What the problem asks for beside shared units, and cannot have with them."""
    if not shares_units(problem):
        return
    for path, why in sorted(dict(_not_covered(problem)).items()):
        yield located(problem, _fault(f"is not planned together with {path} yet: {why}", path))


def _not_covered(problem: Problem) -> Iterator[tuple[str, str]]:
    """Keys, with why: those of every rule and cost term that is not known to be right."""
    if problem.policy.switch_off_dedicated:
        yield "policy.switch_off_dedicated", "a shared unit rests only when all of its replicas do"
    for rule in problem.rules:
        yield f"rules.{rule.name}", "a rule of your own counts units by workload"
    if problem.policy.when_short != "fail":
        yield "policy.when_short", "units that are too few are counted by workload"
    covered = {key for rule in (*COVERED_RULES, *DECIDED_BEFORE) for key in rule.keys}
    covered |= {key for term in COVERED_TERMS for key in term.keys}
    known = {one.name for one in (*COVERED_RULES, *DECIDED_BEFORE)}
    asked = set_keys(problem) - covered
    for rule in CONSTRAINTS:
        if rule.name not in known:
            yield from ((key, NOT_DECIDED) for key in rule.keys & asked)
    for term in COST_TERMS:
        if term not in COVERED_TERMS:
            yield from ((key, NOT_DECIDED) for key in term.keys & asked)


def size_faults(problem: Problem, candidates: CandidateList) -> Iterator[Fault]:
    """GPU counts of replicas that may stand on one unit, and of which neither divides the other."""
    sizes = sorted({k.gpus_per_unit for k in candidates.candidates if k.part_of_unit})
    if not sizes_divide(sizes):
        said = ", ".join(map(str, sizes))
        message = (
            f"replicas of {said} GPUs may stand on one unit, and not each of these counts divides "
            "the larger ones: whether they fit is not known"
        )
        fault = _fault(message, "workloads.tensor_parallel")
        yield located(problem, fault)
    running = {row.offering for row in problem.current_fleet} if shares_units(problem) else set()
    joined = sorted({k.offering.id for k in candidates.candidates if k.units_joined > 1} & running)
    if joined:
        message = (
            f"units of {joined[0]} run today, and whether a replica joins several of them or "
            "others share each is not told"
        )
        yield located(problem, _fault(message, "current_fleet"))


def refuse_shared(problem: Problem, question: str) -> None:
    """Raise InputError where units are shared and a question cannot be answered for that."""
    if shares_units(problem):
        fault = _fault(f"{question} is not answered for shared units yet", "")
        raise InputError([located(problem, fault)])


def _fault(message: str, other: str) -> Fault:
    hint = f"leave out {other}, or write share: none" if other else "write share: none"
    return Fault(file="", line=0, column=0, path=PATH, message=message, hint=hint)
