"""Which units workloads may be better off sharing, where the problem leaves it open.

A replica of s GPUs takes s ÷ G of a unit of G GPUs for c USD/h. Where each replica that may stand
there has whole units that do all it does for no more than c s ÷ G, and take no more of any quota
than that part, these take the place of any unit with whatever stands on it, as Σ s ≤ G: sharing
such units saves nothing, and they stay with one workload each. Of the others it is for the program
to say: there replicas stand beside units that one workload has to itself.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from milp_planner.candidates.records import (
    Candidate,
    PlanningInput,
    gpus_of_unit,
    is_elastic,
    unit_kind,
)
from milp_planner.candidates.sharing.shared_units import sizes_divide
from milp_planner.candidates.sharing.standing import part_on, shared_unit
from milp_planner.inputs.catalog.records import Offering
from milp_planner.inputs.problem.policies import is_gpus_first, shares_gpus
from milp_planner.lazily import dataclass, field
from milp_planner.milp.presolve.shared_dominance import paid_alike, uses_of_unit
from milp_planner.milp.program.batch.work import BatchWork
from milp_planner.milp.program.costs.overload import Overload
from milp_planner.milp.program.costs.per_token import PerToken
from milp_planner.milp.program.costs.rent import Rent
from milp_planner.milp.program.costs.scaling import Scaling
from milp_planner.milp.program.costs.shortfall import Shortfall
from milp_planner.milp.program.costs.spot_loss import SpotLoss
from milp_planner.milp.program.costs.strict_latency import StrictLatency
from milp_planner.milp.program.costs.switching import SwitchingCost
from milp_planner.milp.program.costs.terms import COST_TERMS
from milp_planner.milp.program.families import judges_of, sets_unknown_keys, standing_of
from milp_planner.milp.program.language.cost import CostTerm
from milp_planner.milp.program.language.rule import Rule, Standing
from milp_planner.milp.program.language.variables import tracks_changes
from milp_planner.milp.program.limits.billing import AllowedBilling
from milp_planner.milp.program.limits.budget import BudgetLimit
from milp_planner.milp.program.limits.changes import ChangeLimit
from milp_planner.milp.program.limits.filters import Filters
from milp_planner.milp.program.limits.host import HostLeast
from milp_planner.milp.program.limits.price_cap import PriceCap
from milp_planner.milp.program.limits.quotas import Quotas, user_quotas
from milp_planner.milp.program.rules.capacity import Capacity
from milp_planner.milp.program.rules.coverage import Coverage
from milp_planner.milp.program.rules.extra_gpus import ExtraGpus
from milp_planner.milp.program.rules.latency_wishes import LatencyWishes
from milp_planner.milp.program.rules.one_level import OneLevel
from milp_planner.milp.program.rules.overload import OverloadRamp
from milp_planner.milp.program.rules.per_token_rate import PerTokenRate
from milp_planner.milp.program.rules.power import PowerCap
from milp_planner.milp.program.rules.queue_times import QueueTimes
from milp_planner.milp.program.rules.replica_shape import ReplicaShape
from milp_planner.milp.program.rules.replicas import Replicas
from milp_planner.milp.program.shared_scope import may_share
from milp_planner.plans.records import SNAP

LEAST_OF_PEAK = 1e-8
"""A replica that carries less of its workload's peak is one that a solver cannot tell from none."""


def every_part(instance: PlanningInput, candidates: Iterable[Candidate]) -> list[Candidate]:
    """All replicas that may stand on units of these candidates, beside those of others."""
    listed = [*candidates]
    found = (*_parts_by_offering(instance, listed), *_sets_by_offering(instance, listed))
    return [part_on(offering, k) for offering, parts in found for k in parts]


def parts_worth_sharing(
    instance: PlanningInput, candidates: Iterable[Candidate], kept: Iterable[Candidate]
) -> list[Candidate]:
    """Those on units that workloads may be better off sharing.

    candidates: whose units may be shared. kept: units of one workload each that stay in the
    program.
    """
    candidates = [*candidates]
    sets = cheapest_for_sets(instance, _sets_by_offering(instance, candidates))
    on_gpus = [part_on(offering, k) for offering, parts in sets for k in parts]
    by_offering = list(_parts_by_offering(instance, candidates))
    if not by_offering:
        return on_gpus
    stand_ins = _StandIns.of(instance, kept)
    worth_it = (one for one in by_offering if not stand_ins.do_all(*one))
    return [part_on(offering, k) for offering, parts in worth_it for k in parts]


def _sets_by_offering(
    instance: PlanningInput, candidates: Iterable[Candidate]
) -> Iterator[tuple[Offering, list[Candidate]]]:
    """(what is rented, what may stand on it) of the GPUs that several LLMs could share."""
    if not shares_gpus(instance.problem):
        return
    by_gpu: dict[str, list[Candidate]] = {}
    for part in instance.candidates.parts:
        if part.gpu_set is not None and part.workload in instance.schedule.demands:
            by_gpu.setdefault(part.gpu, []).append(part)
    offerings: dict[tuple[str, str], Offering] = {}
    for k in candidates:
        if k.gpu_set is not None:
            return  # it is said already which GPUs are shared
        if isinstance(k.offering, Offering) and k.units_joined == 1 and gpus_of_unit(k) == 1:
            offerings.setdefault(k.offering.key, k.offering)
    for offering in offerings.values():
        if offering.gpu in by_gpu:
            yield offering, by_gpu[offering.gpu]


def cheapest_for_sets(
    instance: PlanningInput, found: Iterable[tuple[Offering, list[Candidate]]]
) -> Iterator[tuple[Offering, list[Candidate]]]:
    """Of offerings that are the same to every rule but for what they cost the cheapest.

    The same LLMs share the same GPU on all of them.
    """
    judges = judges_of(instance)
    kept: dict[Hashable, tuple[tuple[float, str], Offering, list[Candidate]]] = {}
    for offering, parts in found:
        unit = shared_unit(offering)
        standings = tuple(
            standing_of(instance, part_on(offering, k), judges)
            for k in {part.workload: part for part in parts}.values()
        )
        few = offering.key if offering.max_units is not None else None
        own = offering.key if sets_unknown_keys(instance.problem) else None
        elastic = is_elastic(instance.problem, unit)
        same = offering.gpu, elastic, standings, uses_of_unit(instance, unit), few, own
        usd = sum(term.usd_per_unit_hour(instance, unit) for term in COST_TERMS)
        order = usd, offering.id
        if same not in kept or order < kept[same][0]:
            kept[same] = order, offering, parts
    yield from ((offering, parts) for _, offering, parts in kept.values())


def is_known_part(instance: PlanningInput, k: Candidate) -> bool:
    """True for a replica that may stand on a unit of its offering beside those of others."""
    if k.gpu_set is not None:
        listed = (r for r in instance.candidates.parts if (r.gpu, r.gpu_set) == (k.gpu, k.gpu_set))
        known = any(r.workload == k.workload and r.points is k.points for r in listed)
        return known and shares_gpus(instance.problem)
    if not (k.part_of_unit and may_share(instance.problem)):
        return False
    alike = (r for r in instance.candidates.parts if unit_kind(r) == unit_kind(k))
    return any((r.workload, r.llm) == (k.workload, k.llm) and r.points is k.points for r in alike)


def _parts_by_offering(
    instance: PlanningInput, candidates: Iterable[Candidate]
) -> Iterator[tuple[Offering, list[Candidate]]]:
    """(what is rented, what may stand on it) of the units that several workloads could share."""
    if not (instance.candidates.parts and may_share(instance.problem)):
        return
    offerings: dict[tuple[str, str], tuple[Offering, set[str]]] = {}
    for k in candidates:
        if k.part_of_unit:
            return  # it is said already which units are shared
        if isinstance(k.offering, Offering) and k.units_joined == 1 < k.gpus_per_unit:
            offerings.setdefault(k.offering.key, (k.offering, set()))[1].add(k.workload)
    kinds: dict[tuple[str, int], list[Candidate]] = {}
    for part in instance.candidates.parts:
        if _carries_something(instance, part):
            kinds.setdefault(unit_kind(part), []).append(part)
    for offering, workloads in offerings.values():
        kind = offering.gpu, offering.gpus_per_unit
        mine = [k for k in kinds.get(kind, ()) if k.workload in workloads]
        sizes = {k.gpus_per_unit for k in mine}
        if len({k.workload for k in mine}) > 1 and sizes_divide((*sizes, kind[1])):
            yield offering, mine


def _carries_something(instance: PlanningInput, part: Candidate) -> bool:
    demand = instance.schedule.demands.get(part.workload)
    if demand is None:
        return False
    return part.part_requests_per_second >= LEAST_OF_PEAK * demand.highest_peak


class _StandIn(NamedTuple):
    """A unit that one workload has to itself."""

    elastic: bool
    usd_per_hour: float
    standing: Standing
    uses: tuple[float, ...]
    """What it takes of every quota, and of what is counted with them."""

    paid: tuple[Hashable, ...]
    """What must be the same of how the unit is paid whose replica it stands in for."""


class _WholeUnit(NamedTuple):
    """A unit that replicas may share, as far as it decides what may stand in for them."""

    offering: Offering
    elastic: bool
    usd_per_hour: float
    uses: tuple[float, ...]
    paid: tuple[Hashable, ...]


@dataclass
class _StandIns:
    """Units of one workload each, that may do what a replica on a shared unit does."""

    instance: PlanningInput
    judges: tuple[Rule | CostTerm, ...]
    """All but those that count units: see `uses_of_unit`."""

    units: Mapping[str, Sequence[_StandIn]]
    """By workload, the cheapest first."""

    _least: dict[Hashable, float] = field(default_factory=dict)
    """USD/h of the cheapest that do what a replica does, where only its rates count."""

    @classmethod
    def of(cls, instance: PlanningInput, kept: Iterable[Candidate]) -> _StandIns:
        judges = tuple(j for j in judges_of(instance) if not isinstance(j, OF_UNITS))
        units: dict[str, list[_StandIn]] = {}
        for k in kept:
            if getattr(k.offering, "max_units", None) is None and not k.mode.per_token:
                usd = sum(term.usd_per_unit_hour(instance, k) for term in COST_TERMS)
                counted = is_elastic(instance.problem, k), usd, standing_of(instance, k, judges)
                one = _StandIn(*counted, uses_of_unit(instance, k), paid_alike(instance, k))
                units.setdefault(k.workload, []).append(one)
        for mine in units.values():
            mine.sort(key=lambda one: one.usd_per_hour)
        return cls(instance, judges, units)

    def do_all(self, offering: Offering, parts: Sequence[Candidate]) -> bool:
        """True where some do what each replica does, for no more than its part of the unit."""
        unit = shared_unit(offering)
        if self.instance.runs_today(unit) or self._may_be_one_change(unit):
            return False
        price = sum(term.usd_per_unit_hour(self.instance, unit) for term in COST_TERMS)
        uses = () if self._only_rates_count else uses_of_unit(self.instance, unit)
        elastic = is_elastic(self.instance.problem, unit)
        whole = _WholeUnit(offering, elastic, price, uses, paid_alike(self.instance, unit))
        return all(self._do(whole, k, k.gpus_per_unit / unit.gpus_per_unit) for k in parts)

    def _do(self, unit: _WholeUnit, part: Candidate, share: float) -> bool:
        # of plans that cost the same that of the fewest changes is preferred: one unit, not several
        near = -SNAP if self.instance.current_units() else SNAP
        most = unit.usd_per_hour * share * (1 + near)
        if not self._only_rates_count:
            asked = standing_of(self.instance, part_on(unit.offering, part), self.judges)
            left = unit._replace(uses=tuple(share * use for use in unit.uses))
            return self._least_usd(part.workload, left, asked, most) <= most
        key = part, unit.elastic
        if key not in self._least:
            asked = standing_of(self.instance, part, self.judges)
            self._least[key] = self._least_usd(part.workload, unit, asked, math.inf)
        return self._least[key] <= most

    def _may_be_one_change(self, unit: Candidate) -> bool:
        """True where a unit may serve one workload after the other, and changes are counted."""
        problem = self.instance.problem
        counted = tracks_changes(problem) or bool(self.instance.current_units())
        return counted and is_elastic(problem, unit)

    @cached_property
    def _only_rates_count(self) -> bool:
        """True where nothing depends on whose a unit is, or rations units."""
        problem = self.instance.problem
        rations = any(user_quotas(problem)) or problem.limits.max_power_kw is not None
        rations = rations or is_gpus_first(problem) or tracks_changes(problem)
        return not rations and all(isinstance(one, OF_RATES) for one in self.judges)

    def _least_usd(self, workload: str, unit: _WholeUnit, asked: Standing, most: float) -> float:
        """USD/h of the cheapest that do what is asked, for no more than is left of the unit; no
        need to look beyond `most`."""
        least = math.inf
        for one in self.units.get(workload, ()):
            if one.usd_per_hour > min(most, least):
                break
            times = _times(one.standing, asked)
            if times is None or unit.elastic > one.elastic or unit.paid != one.paid:
                continue
            if all(times * x <= y for x, y in zip(one.uses, unit.uses, strict=False)):
                least = min(least, times * one.usd_per_hour)
        return least


def _times(one: Standing, asked: Standing) -> int | None:
    """How many do what is asked; None where none do."""
    if one.same != asked.same:
        return None
    times = 1
    for mine, theirs in zip(one.gives, asked.gives, strict=True):
        if theirs > mine * times * (1 + SNAP):
            if mine <= 0:
                return None
            times = math.ceil(theirs / mine * (1 - SNAP))
    rationed = zip(one.uses, asked.uses, strict=True)
    return times if all(times * x <= y for x, y in rationed) else None


OF_UNITS = Quotas | PowerCap | ChangeLimit | SwitchingCost
"""Rules and cost terms that count units, whoever stands on them."""

OF_RATES: tuple[type[Rule | CostTerm], ...] = (
    *(Coverage, Capacity, BatchWork, PerTokenRate, OneLevel, OverloadRamp, ExtraGpus, Replicas),
    *(QueueTimes, BudgetLimit, ReplicaShape, LatencyWishes, AllowedBilling, Filters, PriceCap),
    *(HostLeast, Rent, PerToken, SpotLoss, Overload, Scaling, StrictLatency, Shortfall),
)
"""Rules and cost terms to which replicas of a workload that are as fast are the same, wherever they
stand."""
