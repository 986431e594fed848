"""All rules, in the order of their rows, and which of them concern a problem.

To add a limit: its field in `inputs/problem/records.py`, its file in `limits/`, its line here.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.keys import leaves, set_keys
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.batch.work import BatchWork
from milp_planner.milp.program.costs.start_up_ahead import StartUpAhead
from milp_planner.milp.program.costs.terms import COST_TERMS
from milp_planner.milp.program.costs.volume_bands import VolumeBands
from milp_planner.milp.program.language.cost import CostTerm
from milp_planner.milp.program.language.loosening import LimitInForce
from milp_planner.milp.program.language.rule import Rule, Standing
from milp_planner.milp.program.limits.billing import AllowedBilling
from milp_planner.milp.program.limits.budget import BudgetLimit
from milp_planner.milp.program.limits.changes import ChangeLimit
from milp_planner.milp.program.limits.filters import Filters
from milp_planner.milp.program.limits.gpu_count import GpuCount
from milp_planner.milp.program.limits.host import HostLeast
from milp_planner.milp.program.limits.price_cap import PriceCap
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
from milp_planner.milp.program.rules.extra_gpus import ExtraGpus
from milp_planner.milp.program.rules.fewest_gpus import FewestGpus
from milp_planner.milp.program.rules.latency_wishes import LatencyWishes
from milp_planner.milp.program.rules.on_demand import OnDemandReplicas
from milp_planner.milp.program.rules.one_level import OneLevel
from milp_planner.milp.program.rules.overload import OverloadRamp
from milp_planner.milp.program.rules.packing import Packing
from milp_planner.milp.program.rules.per_token_rate import PerTokenRate
from milp_planner.milp.program.rules.power import PowerCap
from milp_planner.milp.program.rules.queue_times import QueueTimes
from milp_planner.milp.program.rules.queues.own_queues import OwnQueues
from milp_planner.milp.program.rules.replica_shape import ReplicaShape
from milp_planner.milp.program.rules.replicas import Replicas

CONSTRAINTS: Final[tuple[Rule, ...]] = (
    Coverage(),
    Capacity(),
    BatchWork(),
    Packing(),
    PerTokenRate(),
    OneLevel(),
    OverloadRamp(),
    ExtraGpus(),
    Commitments(),
    StartUpAhead(),
    VolumeBands(),
    MeanQuality(),
    Replicas(),
    OnDemandReplicas(),
    QueueTimes(),
    OwnQueues(),
    Quotas(),
    PowerCap(),
    BudgetLimit(),
    ProviderCount(),
    RegionCount(),
    GpuCount(),
    ProviderShare(),
    SpotShare(),
    LossSurvived(),
    ChangeLimit(),
)
"""Rules with rows."""

DECIDED_BEFORE: Final[tuple[Rule, ...]] = (
    ReplicaShape(),
    LatencyWishes(),
    AllowedBilling(),
    Filters(),
    PriceCap(),
    HostLeast(),
    FewestGpus(),
)
"""Rules that have no rows in the program: they keep candidates out of it, or order its stages."""

NO_RULE: Final = {
    "schema_version": "says how to read the file",
    "name": "a label",
    "catalog": "says which offerings there are, before any rule",
    "workloads.name": "a label",
    "workloads.llm": "makes the candidates and their rates",
    "workloads.llm.any_of": "makes the candidates and their rates",
    "workloads.llm.quality_from.*": "says where figures of quality are read",
    "workloads.llm.each": "says which LLMs make candidates",
    "workloads.traffic.*": "makes the blocks and their rates",
    "workloads.requests.*": "makes the request classes",
    "workloads.rates.*": "makes the candidates and their rates",
    "workloads.deployment.*": "makes the rates of the candidates, and what a request costs",
    "workloads.priority": "orders the stages of a short budget, each a program of its own",
    "prices.discounts": "makes what the candidates cost",
    "prices.own": "makes what the candidates cost",
    "quotes.*": "makes candidates of their own, with their prices",
    "futures.*": "makes a program for each future: see `milp/futures/`",
    "known_from": "says when commitments may follow the future that it is",
    "horizon.*": "makes a plan of several months: see `milp/months/`",
    "risk.*": "weighs the programs of the futures: see `milp/futures/`",
    "value.*": "weighs the programs of the futures: see `milp/futures/`",
    "limits.budget.futures": "says to which programs of the futures the budget is added",
    "policy.serving_model": "makes the rates of the candidates",
    "policy.confidence": "makes the rates of the candidates",
    "policy.hours_per_month": "makes the hours of the blocks",
    "policy.switch_off_dedicated": "says when units rest: presolve is told by their hours",
    "policy.when_short": "orders the stages where something is short, each a program of its own",
    "policy.stale_after": "says which prices are warned of, and binds nothing",
    "alternatives.count": "asks for further plans, each a program of its own",
    "alternatives.differ_by": "says how further plans differ, by exclusion cuts",
    "alternatives.per_workload": "says how further plans differ, by exclusion cuts",
    "alternatives.within": "says what further plans may cost, which is seen once they are solved",
    "alternatives.prefer": "says which further plans come first, by a rule added for each",
    "today.usd_per_month": "is compared with, and binds nothing",
    "choices.*": "asks for other plans, each a problem of its own",
    "solver.time_limit": "says how long to solve",
    "solver.gap": "says how exactly to solve",
    "solver.certify": "says who solves",
    "solver.seed": "says how ties between equal steps of a solver fall",
}
"""Keys that concern no row, each with the reason; `.*` stands for all below."""


def rules_of(problem: Problem) -> tuple[Rule, ...]:
    """Every rule with rows that a problem is held to, its own rules last."""
    return (*CONSTRAINTS, *problem.rules)


def judges_of(instance: PlanningInput) -> tuple[Rule | CostTerm, ...]:
    """The rules and cost terms that stand-ins must be held to: those in force."""
    keys = set_keys(instance.problem)
    rules = (*rules_of(instance.problem), *DECIDED_BEFORE)
    binding = [rule for rule in rules if rule.always or not rule.keys or rule.keys & keys]
    owed = [term for term in COST_TERMS if not term.keys or term.keys & keys]
    return (*binding, *owed)


def standing_of(
    instance: PlanningInput, k: Candidate, judges: tuple[Rule | CostTerm, ...]
) -> Standing:
    """All that counts of a candidate when another one is to stand in for it."""
    same: list[object] = []
    gives: list[float] = []
    uses: list[float] = []
    stock = None
    for judge in judges:
        one = judge.standing(instance, k)
        same.append(one.same)
        gives += one.gives
        uses += one.uses
        stock = stock if one.stock is None else one.stock
    return Standing(tuple(same), tuple(gives), tuple(uses), stock)


@cache
def unanswered(record: type[Problem]) -> frozenset[str]:
    """The keys of a problem that no rule and no cost term knows; none may be left."""
    answering: tuple[Rule | CostTerm, ...] = (*CONSTRAINTS, *DECIDED_BEFORE, *COST_TERMS)
    known = {key for one in answering for key in one.keys}
    below = tuple(key.removesuffix("*") for key in NO_RULE if key.endswith(".*"))
    return frozenset(
        key
        for key in leaves(record)
        if key not in known and key not in NO_RULE and not f"{key}.".startswith(below)
    )


def sets_unknown_keys(problem: Problem) -> bool:
    """True when the problem sets a key that no rule and no cost term answers for."""
    unknown = unanswered(type(problem))
    return bool(unknown and unknown & set_keys(problem))


def limits_of(instance: PlanningInput) -> tuple[LimitInForce, ...]:
    """Every limit in force: those nearest to a user's wishes first, money last."""
    order = [w.name for w in instance.problem.workloads]
    found = [
        (rule, limit)
        for rule in (*rules_of(instance.problem), *DECIDED_BEFORE)
        for limit in rule.loosened(instance)
    ]

    def nearness(pair: tuple[Rule, LimitInForce]) -> tuple[int, int]:
        rule, limit = pair
        at = order.index(limit.workload) if limit.workload else len(order)
        return at, rule.nearness

    return tuple(limit for _, limit in sorted(found, key=nearness))


def needs_routes(problem: Problem) -> bool:
    """True where some rule is about who serves whom, so that one class is routed, too."""
    return any(rule.needs_routes(problem) for rule in rules_of(problem))


def unbounded(instance: PlanningInput) -> Iterator[Rule]:
    """The rules that may ask for any number of units."""
    return (rule for rule in rules_of(instance.problem) if rule.is_unbounded(instance))
