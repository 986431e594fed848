"""Leaves out candidates that no plan we look for can need.

A candidate A is dominated by B when some whole number m of units of B does all that one unit of A
does, for no more money, and uses no resource of any limit that A does not use as much of. Every A
in a plan can then be replaced, so that the optimum is unaffected; at equal cost only where ties are
broken for B. For next-best plans a dominator must also be unused in every earlier plan: otherwise
the replacement could be one of them.

Twins are offerings that only their region or name tells apart: same provider, GPU, billing and
price, the same under every limit in force. They count as one, that of the better host, then the
first by name, in all plans: a list of next-best plans that only move from region to region would
tell nobody anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from milp_planner.candidates.records import (
    Candidate,
    PlanningInput,
    change_key,
    is_elastic,
    rests_when_idle,
)
from milp_planner.candidates.sharing.standing import unit_key
from milp_planner.deadline import checked
from milp_planner.lazily import dataclass, field, replace
from milp_planner.milp.presolve.shared_dominance import prune_parts, unit_likeness
from milp_planner.milp.presolve.worth_sharing import every_part, parts_worth_sharing
from milp_planner.milp.program.costs.terms import COST_TERMS
from milp_planner.milp.program.families import judges_of, sets_unknown_keys, standing_of
from milp_planner.milp.program.language.rule import Standing
from milp_planner.plans.records import SNAP, Plan

NO_ORDER = (0.0, 0.0, "")


class DominanceProfile(NamedTuple):
    """What a unit of a candidate does, costs and uses up, under the rules in force."""

    standing: Standing
    """What the rules and cost terms look at."""

    month_usd: float
    """A unit on in every block with load."""

    block_usd: float
    """A unit on in the shortest block with load only; for held units, in all of them."""

    elastic: bool
    """It may be off in a block in which something else serves."""

    rests: bool
    """It is off in some block, in which its workload has no load."""

    fastest: float
    """Requests/s of a unit for the class that it serves fastest."""

    changed: int
    """Units that count as added where there is a fleet today; else 0."""

    turns: Hashable
    """What takes turns with it as one change, where units may differ from block to block."""

    gpus: int
    provider: str
    order: tuple[float, float, str]
    part_of: Hashable
    """Of a replica on a shared unit what that is a unit of; None for whole units."""


@dataclass
class Pruned:
    """The candidates kept, and for each one left out the kept one that dominates it."""

    kept: list[Candidate]
    dominated_by: dict[Candidate, Candidate] = field(default_factory=dict)
    twins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Offerings left out for good, by the one that stands for them; ids."""

    _profiles: Mapping[Candidate, DominanceProfile] = field(default_factory=dict)

    def readmit(self, earlier: Iterable[Plan], differ_by: str) -> bool:
        """Take back those whose dominator an earlier plan uses; True when there are any."""
        taken = set(_taken(earlier, differ_by))
        changed = False
        while True:
            used = {b for b in set(self.dominated_by.values()) if b.offering.id in taken}
            loose = [
                a
                for a, b in self.dominated_by.items()
                if b in used or not _is_new(b, a, taken, differ_by)
            ]
            if not loose:
                return changed
            changed = True
            kept_of: dict[str, list[Candidate]] = {}
            for k in self.kept:
                kept_of.setdefault(k.workload, []).append(k)
            for a in sorted(loose, key=lambda k: self._order(k)):
                del self.dominated_by[a]
                mine = kept_of.setdefault(a.workload, [])
                other = self._other_dominator(a, mine, taken, differ_by)
                if other is None:
                    self.kept.append(a)
                    mine.append(a)
                else:
                    self.dominated_by[a] = other
            self.kept.sort(key=lambda k: k.id)

    def _other_dominator(
        self, a: Candidate, kept: Iterable[Candidate], taken: set[str], differ_by: str
    ) -> Candidate | None:
        """The first of the workload's that are kept which stands in for it."""
        for b in kept:
            if (
                not b.mode.per_token
                and b.offering.id not in taken
                and _is_new(b, a, taken, differ_by)
                and dominates(self._profiles[b], self._profiles[a])
            ):
                return b
        return None

    def _order(self, k: Candidate) -> tuple[float, int, tuple[float, float, str]]:
        return price_of_capacity(self._profiles[k]), k.gpus_per_unit, k.order


def _taken(earlier: Iterable[Plan], differ_by: str) -> Iterator[str]:
    """Offerings that earlier plans use, and the names of what `differ_by` compares."""
    name_of = DIFFERENCES.get(differ_by)
    for plan in earlier:
        for p in plan.purchases:
            yield p.candidate.offering.id
            if name_of is not None:
                yield name_of(p.candidate)


def _is_new(b: Candidate, a: Candidate, taken: set[str], differ_by: str) -> bool:
    """True when replacing `a` by `b`, an unused offering, cannot give an earlier set of names."""
    name_of = DIFFERENCES.get(differ_by)
    return name_of is None or name_of(b) == name_of(a) or name_of(b) not in taken


DIFFERENCES: dict[str, Callable[[Candidate], str]] = {
    "providers": lambda k: f"provider {k.provider}",
    "gpus": lambda k: f"gpu {k.gpu}",
}
"""What the sets of two plans are compared on, beside the offerings themselves."""


def all_of(candidates: Iterable[Candidate]) -> Pruned:
    """Nothing left out, not even twins."""
    return Pruned(sorted(candidates, key=lambda k: k.id))


def prune(instance: PlanningInput, candidates: Iterable[Candidate]) -> Pruned:
    """Keep what no other candidate dominates; per-token offerings are always kept.

    Where it is open which units are shared, replicas are added on those that may be worth it.
    """
    listed = without_twins(instance, candidates)
    profiles = listed._profiles
    kept = [k for k in listed.kept if k.mode.per_token]
    whole, dominated_by = _prune_units(instance, listed.kept, profiles)
    added = parts_worth_sharing(instance, listed.kept, whole)
    parts = [k for k in listed.kept if k.part_of_unit]
    beside = [*whole, *parts, *added] if added else listed.kept
    profiles = {**profiles, **_profiles_of(instance, [added])} if added else profiles
    parts, for_parts = prune_parts(
        instance, beside, {k: profiles[k].standing for k in beside if not k.mode.per_token}
    )
    every = sorted((*kept, *whole, *parts), key=lambda k: k.id)
    return Pruned(every, {**dominated_by, **for_parts}, listed.twins, profiles)


def _prune_units(
    instance: PlanningInput,
    candidates: Iterable[Candidate],
    profiles: Mapping[Candidate, DominanceProfile],
) -> tuple[list[Candidate], dict[Candidate, Candidate]]:
    """Units that are not shared that are kept, and for each of the others what dominates it."""
    current = instance.current_units()
    kept: list[Candidate] = []
    dominated_by: dict[Candidate, Candidate] = {}
    front: dict[str, list[Candidate]] = {}
    cheapest: dict[tuple[object, ...], Candidate] = {}
    units = [k for k in candidates if not (k.mode.per_token or k.part_of_unit)]
    cheap_first = sorted(
        units, key=lambda k: (price_of_capacity(profiles[k]), k.gpus_per_unit, k.order)
    )
    for k in checked(cheap_first):
        mine = profiles[k]
        same = k.workload, mine.standing, mine.elastic, mine.rests, mine.gpus
        likely = (cheapest[same],) if same in cheapest else ()
        others = (*likely, *front.get(k.workload, ()))
        better = next((b for b in others if dominates(profiles[b], mine)), None)
        if better is not None and change_key(k) not in current:
            dominated_by[k] = better
            continue
        front.setdefault(k.workload, []).append(k)
        cheapest.setdefault(same, k)
        kept.append(k)
    return kept, dominated_by


def reduced(instance: PlanningInput, *, pruning: bool, merge_twins: bool) -> Pruned:
    """The candidates of a problem without those that a plan need not look at, as far as asked."""
    candidates = instance.candidates.candidates
    if merge_twins and pruning:
        return prune(instance, candidates)
    listed = without_twins(instance, candidates) if merge_twins else all_of(candidates)
    parts = every_part(instance, listed.kept)
    return replace(listed, kept=sorted((*listed.kept, *parts), key=lambda k: k.id))


def without_twins(instance: PlanningInput, candidates: Iterable[Candidate]) -> Pruned:
    """All candidates but those of offerings that another one stands for."""
    offered: dict[tuple[str, str], list[Candidate]] = {}
    for k in candidates:
        offered.setdefault(k.offering.key, []).append(k)
    profiles = _profiles_of(instance, offered.values())
    running = {(offering, billing) for offering, billing, _ in instance.current_units()}
    first: dict[object, str] = {}
    twins: dict[str, list[str]] = {}
    kept = []
    for key in sorted(offered, key=lambda key: (min(k.order[:2] for k in offered[key]), key)):
        alone = key in running or offered[key][0].mode.per_token
        likeness = key if alone else _likeness(instance, offered[key], profiles)
        if first.setdefault(likeness, key[0]) == key[0]:
            kept += offered[key]
        else:
            twins.setdefault(first[likeness], []).append(key[0])
    stood_for = {name: tuple(others) for name, others in sorted(twins.items())}
    return Pruned(sorted(kept, key=lambda k: k.id), {}, stood_for, profiles)


def _profiles_of(
    instance: PlanningInput, offered: Iterable[Sequence[Candidate]]
) -> dict[Candidate, DominanceProfile]:
    """What every candidate that is paid by the unit does, costs and uses up."""
    judges = judges_of(instance)
    hours = {w.name: _Hours.of(instance, w.name) for w in instance.problem.workloads}
    profiles = {
        k: _profile_of(instance, k, hours[k.workload], standing_of(instance, k, judges))
        for same in checked(offered)
        for k in same
        if not k.mode.per_token
    }
    if sets_unknown_keys(instance.problem):  # nobody stands in for anybody
        return {
            k: mine._replace(standing=replace(mine.standing, same=(k.id,)))
            for k, mine in profiles.items()
        }
    return profiles


def _likeness(
    instance: PlanningInput,
    candidates: Sequence[Candidate],
    profiles: Mapping[Candidate, DominanceProfile],
) -> object:
    """What twins have in common: everything but their names."""
    first = candidates[0]
    return (
        (first.provider, first.gpu, first.offering.billing, first.usd_per_hour),
        unit_likeness(instance, first) if first.part_of_unit else None,
        tuple(
            (
                *(k.workload, k.precision, k.tensor_parallel, k.gpu_set),
                profiles[k]._replace(order=NO_ORDER, turns=None, part_of=None),
            )
            for k in sorted(candidates, key=lambda k: k.id)
        ),
    )


def times_replaced(b: DominanceProfile, a: DominanceProfile, least: int = 1) -> int | None:
    """Units of `b` that do all that a unit of `a` does, at least so many; None where none do."""
    times = least
    for mine, other in zip(a.standing.gives, b.standing.gives, strict=True):
        if mine > other * times * (1 + SNAP):
            if other <= 0:
                return None
            times = math.ceil(mine / other * (1 - SNAP))
    return times


def dominates(b: DominanceProfile, a: DominanceProfile, least: int = 1) -> bool:
    """True when whole units of `b` replace a unit of `a` in any plan, and never cost more.

    least: as many units of `b` stand in, also where fewer would do.
    """
    ours, theirs = b.standing, a.standing
    is_on_longer = a.elastic > b.elastic or a.rests > b.rests
    if theirs.same != ours.same or (is_on_longer and any(ours.uses)):
        return False  # what is held uses up quotas in blocks in which `a` is off
    if b.part_of != a.part_of:
        return False  # what is paid for a part is the unit's: see `shared_dominance.py`
    times = times_replaced(b, a, least)
    if times is None:
        return False
    if ours.stock is not None and (ours.stock != theirs.stock or times > 1):
        return False
    if any(times * x > y for x, y in zip(ours.uses, theirs.uses, strict=True)):
        return False
    if a.part_of is not None and times * b.gpus > a.gpus:
        return False  # there may be no room for them
    return _never_dearer(b, a, times)


def _never_dearer(b: DominanceProfile, a: DominanceProfile, times: int) -> bool:
    """True when `times` units of `b` cost less than `a`, or as much and ties are broken for them.

    An elastic unit may be on in any one block, and a held one that stands in for it is paid in all.
    Between two elastic ones the hours are the same, so that the month tells as well.
    """
    stood_for = a.month_usd if b.elastic or not a.elastic else a.block_usd
    stands_in = times * b.month_usd
    if stands_in > stood_for * (1 + SNAP):
        return False
    return stands_in < stood_for * (1 - SNAP) or _is_preferred(b, a, times)


def _is_preferred(b: DominanceProfile, a: DominanceProfile, times: int) -> bool:
    """Fewer changes, fewer GPUs, fewer providers, then the better host and names: see `ties`."""
    if b.turns != a.turns:
        return False
    if times * b.changed != a.changed:
        return times * b.changed < a.changed
    if times * b.gpus != a.gpus:
        return times * b.gpus < a.gpus
    return b.provider == a.provider and b.order < a.order


def price_of_capacity(profile: DominanceProfile) -> float:
    """USD/month per request/s of the fastest class: cheap candidates are looked at first.

    A dominator never comes after what it dominates: it is at least as cheap in every class.
    """
    return profile.month_usd / profile.fastest


class _Hours(NamedTuple):
    """Hours per month of the blocks of a workload."""

    all: float
    busy: float
    """Of those with load."""

    shortest: float
    """Of the shortest one with load."""

    several: bool
    """True where more than one block has load, of whatever workload."""

    @classmethod
    def of(cls, instance: PlanningInput, workload: str) -> _Hours:
        blocks = instance.schedule.blocks
        peaks = instance.schedule.demands[workload].peak
        busy = [block.hours for block, peak in zip(blocks, peaks, strict=True) if peak > 0]
        several = instance.schedule.loaded_blocks > 1
        hours = sum(block.hours for block in blocks)
        return cls(hours, sum(busy), min(busy, default=0.0), several)


def _profile_of(
    instance: PlanningInput, k: Candidate, hours: _Hours, standing: Standing
) -> DominanceProfile:
    elastic, rests = is_elastic(instance.problem, k), rests_when_idle(instance.problem, k)
    held = hours.busy if rests else hours.all
    price = sum(term.usd_per_unit_hour(instance, k) for term in COST_TERMS)
    runs = bool(instance.problem.current_fleet)
    return DominanceProfile(
        standing=standing,
        month_usd=held * price,
        block_usd=(hours.shortest if elastic else held) * price,
        elastic=elastic and hours.several,
        rests=rests and hours.busy < hours.all,
        fastest=max(k.requests_per_second),
        changed=k.units_joined if runs else 0,
        turns=change_key(k) if runs and elastic else None,
        gpus=k.gpus_per_unit,
        provider=k.provider,
        order=k.order,
        part_of=unit_key(k) if k.part_of_unit else None,
    )
