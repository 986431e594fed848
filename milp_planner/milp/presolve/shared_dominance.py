"""Leaves out units of shared replicas that no plan we look for can need.

A replica on a shared unit costs nothing by itself, and where it goes nothing is paid back: what
replaces what is decided unit by unit. A unit of A goes where m units of B hold whatever it can
hold, for no more money and no more of any quota. For a factor ρ of 1, 2, 4 or 8, every replica of
s GPUs that may stand on A must have replicas on B that do all it does on ρ s GPUs; then

    m = max_s ⌈⌊G_A ÷ s⌋ ÷ ⌊G_B ÷ (ρ s)⌋⌉        over the GPU counts s of replicas on A

Each replica on A becomes a block of ρ s GPUs on B: blocks of sizes that divide one another, which
keep the rows of `Packing` on m units of B for one of A. A unit of a single GPU, which nobody
shares, may be B as well. Which replicas are worth having on a unit is decided by size alone:
see `candidates/builder.py`.

Where LLMs share a GPU, m is 1 if others that share one do all that each of them does, and as many
as they are if GPUs of their own do.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

from milp_planner.candidates.hosts import kilowatts
from milp_planner.candidates.records import Candidate, PlanningInput, is_elastic
from milp_planner.candidates.sharing.shared_units import unit_of
from milp_planner.candidates.sharing.standing import UnitKey, shared_unit, unit_key
from milp_planner.deadline import checked
from milp_planner.grouping import grouped
from milp_planner.inputs.catalog.records import Offering
from milp_planner.inputs.problem.policies import is_gpus_first
from milp_planner.lazily import dataclass
from milp_planner.milp.program.costs.start_up_ahead import StartUpAhead
from milp_planner.milp.program.costs.terms import COST_TERMS
from milp_planner.milp.program.costs.volume_bands import VolumeBands
from milp_planner.milp.program.language.rule import Rule, Standing
from milp_planner.milp.program.language.variables import tracks_changes
from milp_planner.milp.program.limits.quotas import user_quotas
from milp_planner.milp.program.rules.commitments import Commitments
from milp_planner.plans.records import SNAP

FACTORS = (1, 2, 4, 8)

OF_UNITS: tuple[Rule, ...] = (Commitments(), StartUpAhead(), VolumeBands())
"""Rules of how units are paid, whoever stands on them."""


class _Replica(NamedTuple):
    """What a replica does, as far as it decides whether others may stand in for it."""

    workload: str
    gpus: int
    same: Hashable
    gives: tuple[float, ...]
    counts_gpus: bool
    """True where a rule rations the GPUs that a workload's replicas hold."""


@dataclass(frozen=True, eq=False)
class _Unit:
    """A unit of an offering, with the replicas that may stand on it."""

    first: Candidate
    gpus: int
    usd_per_hour: float
    elastic: bool
    same: tuple[Hashable, ...]
    """What must be the same of a unit that stands in."""

    uses: tuple[float, ...]
    is_few: bool
    """True where the offering says how many there are: then it stands in for nothing."""

    replicas: tuple[_Replica, ...]
    splits: tuple[tuple[_Replica, ...], ...]
    """Those of each split of a GPU's time, where LLMs share one; else all."""

    @property
    def id(self) -> str:
        return self.first.offering.id


def unit_likeness(instance: PlanningInput, k: Candidate) -> Hashable:
    """What twins have in common of the units that their replicas share: all but the names."""
    assert isinstance(k.offering, Offering)
    unit = unit_of(k)
    stock = k.offering.key if k.offering.max_units is not None else None
    return unit.gpus_per_unit, unit.usd_per_hour, uses_of_unit(instance, unit), stock


def prune_parts(
    instance: PlanningInput,
    candidates: Iterable[Candidate],
    standings: Mapping[Candidate, Standing],
) -> tuple[list[Candidate], dict[Candidate, Candidate]]:
    """Replicas on shared units that are kept, and for each of the others one that stands for it."""
    offered: dict[tuple[UnitKey, bool], list[Candidate]] = {}
    for k in candidates:
        if not k.mode.per_token and k.units_joined == 1:
            offered.setdefault((unit_key(k), k.part_of_unit), []).append(k)
    if not any(mine[0].part_of_unit for mine in offered.values()):
        return [], {}
    running = {(offering, billing) for offering, billing, _ in instance.current_units()}
    units = [_unit(instance, mine, standings) for mine in offered.values()]
    kept: list[Candidate] = []
    dominated_by: dict[Candidate, Candidate] = {}
    front: list[_Unit] = []
    covers = _Covers()
    for unit in checked(
        sorted(units, key=lambda u: (u.usd_per_hour / u.gpus, u.gpus, u.first.order))
    ):
        if not unit.first.part_of_unit:
            front.append(unit)
            continue
        mine = offered[unit_key(unit.first), True]
        better = next((b for b in front if _dominates(covers, b, unit, bool(running))), None)
        if better is not None and unit.first.offering.key not in running:
            dominated_by |= dict.fromkeys(mine, better.first)
        else:
            front.append(unit)
            kept += mine
    return kept, dominated_by


def _unit(
    instance: PlanningInput,
    mine: Sequence[Candidate],
    standings: Mapping[Candidate, Standing],
) -> _Unit:
    first = mine[0]
    offering = first.offering
    assert isinstance(offering, Offering)
    unit = unit_of(first) if first.part_of_unit else shared_unit(offering)
    found = [(k.gpu_set, _replica(k, standings[k])) for k in mine]
    splits = grouped(found, lambda one: one[0])
    return _Unit(
        first=first,
        gpus=unit.gpus_per_unit,
        usd_per_hour=sum(term.usd_per_unit_hour(instance, unit) for term in COST_TERMS),
        elastic=is_elastic(instance.problem, unit),
        same=paid_alike(instance, unit),
        uses=uses_of_unit(instance, unit),
        is_few=offering.max_units is not None,
        replicas=tuple(sorted((r for _, r in found), key=lambda r: (r.workload, r.gpus, r.gives))),
        splits=tuple(tuple(r for _, r in together) for together in splits.values()),
    )


def _replica(k: Candidate, standing: Standing) -> _Replica:
    counts_gpus = k.part_of_unit and any(standing.uses)
    return _Replica(k.workload, k.gpus_per_unit, standing.same, standing.gives, counts_gpus)


def uses_of_unit(instance: PlanningInput, unit: Candidate) -> tuple[float, ...]:
    """What a unit takes of every quota, of the GPUs where the fewest come first, and of changes."""
    quotas = (weight(unit) for _, weight, _ in user_quotas(instance.problem))
    counted = (float(unit.gpus_per_unit),) if is_gpus_first(instance.problem) else ()
    changed = (1.0,) if tracks_changes(instance.problem) else ()
    drawn = () if instance.problem.limits.max_power_kw is None else (kilowatts(unit),)
    paid = (use for rule in OF_UNITS for use in rule.standing(instance, unit).uses)
    return (*quotas, *counted, *changed, *drawn, *paid)


def paid_alike(instance: PlanningInput, unit: Candidate) -> tuple[Hashable, ...]:
    """What must be the same of how a unit is paid that stands in for another."""
    return tuple(rule.standing(instance, unit).same for rule in OF_UNITS)


class _Covers:
    """Whether replicas of one unit do all that those of another do, remembered by what they are."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[_Replica, ...], int] = {}
        self._known: dict[tuple[int, int, int], bool] = {}

    def all_of(self, b: _Unit, a: _Unit, factor: int) -> bool:
        """True where every replica of `a` has some on `b`, on `factor` times its GPUs."""
        key = self._number(b), self._number(a), factor
        if key not in self._known:
            self._known[key] = all(
                any(_stands_in(other, replica, factor) for other in b.replicas)
                for replica in a.replicas
            )
        return self._known[key]

    def _number(self, unit: _Unit) -> int:
        return self._numbers.setdefault(unit.replicas, len(self._numbers))


def _stands_in(other: _Replica, replica: _Replica, factor: int) -> bool:
    copies = factor * replica.gpus // other.gpus
    if other.workload != replica.workload or other.same != replica.same or not copies:
        return False
    if replica.counts_gpus and copies * other.gpus > replica.gpus:
        return False
    return all(
        copies * ours >= theirs for ours, theirs in zip(other.gives, replica.gives, strict=True)
    )


def _dominates(covers: _Covers, b: _Unit, a: _Unit, runs: bool) -> bool:
    """True when units of `b` hold all that a unit of `a` can hold, and never cost more.

    runs: there is a fleet today, so that of equal plans that of the fewest changes is preferred.
    """
    if b.elastic != a.elastic or b.is_few or b.same != a.same:
        return False
    if a.first.gpu_set is not None or b.first.gpu_set is not None:
        m = _gpus_needed(b, a)
        return m is not None and _is_no_dearer(b, a, m, runs) and _splits_covered(b, a)
    for factor in FACTORS:
        m = _units_needed(b, a, factor)
        if m is not None and _is_no_dearer(b, a, m, runs) and covers.all_of(b, a, factor):
            return True
    return False


def _gpus_needed(b: _Unit, a: _Unit) -> int | None:
    """m where LLMs share a GPU of `a`: each is there once. None where it cannot be told."""
    if a.first.gpu_set is None or b.gpus != 1:
        return None
    if b.first.gpu_set is None:
        return len(a.first.gpu_set.members)  # a GPU for each
    return 1


def _splits_covered(b: _Unit, a: _Unit) -> bool:
    """True where each split of a GPU's time of `a` has one of `b` that does what all of it do."""
    return all(
        any(all(any(_stands_in(x, y, 1) for x in others) for y in mine) for others in b.splits)
        for mine in a.splits
    )


def _units_needed(b: _Unit, a: _Unit, factor: int) -> int | None:
    """m; None where a block does not fit on `b`."""
    sizes = {replica.gpus for replica in a.replicas}
    if b.gpus < factor * max(sizes):
        return None
    return max(math.ceil((a.gpus // s) / (b.gpus // (factor * s))) for s in sizes)


def _is_no_dearer(b: _Unit, a: _Unit, m: int, runs: bool) -> bool:
    """True when m units of `b` cost less, or as much and ties are broken for them, and quotas."""
    if any(m * ours > theirs for ours, theirs in zip(b.uses, a.uses, strict=True)):
        return False
    stands_in = m * b.usd_per_hour
    if stands_in > a.usd_per_hour * (1 + SNAP):
        return False
    if stands_in < a.usd_per_hour * (1 - SNAP):
        return True
    if runs and (m > 1 or (a.elastic and not b.first.part_of_unit)):
        return False  # what follows the load of several counts once, and of each by itself
    if m * b.gpus < a.gpus:
        return True
    first, other = b.first, a.first
    same = m * b.gpus == a.gpus and first.provider == other.provider
    return same and first.order < other.order
