"""Leaves out candidates that no plan we look for can need.

A candidate A is dominated by B when some whole number m of units of B does all that one unit of A
does, for no more money, and uses no resource of any limit that A does not use as much of. Every A
in a plan can then be replaced, so that the optimum is unaffected; at equal cost only where ties are
broken for B. For next-best plans a dominator must also be unused in every earlier plan: otherwise
the replacement could be one of them.

Twins are offerings that only their region or name tells apart: same provider, GPU, billing and
price, the same under every limit in force. They count as one, the first by name, in all plans: a
list of next-best plans that only move from region to region would tell nobody anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from milp_planner.inputs.problem import Problem
from milp_planner.milp.limits import SURVIVAL_GROUPS, Weight, user_quotas
from milp_planner.milp.shortcuts import sets_unknown_keys
from milp_planner.milp.variables import change_key, is_elastic, tracks_changes
from milp_planner.planning.plan import SNAP, Plan
from milp_planner.serving.candidates import Candidate, PlanningInput


class Rights(NamedTuple):
    """What a unit of a candidate does, costs and uses up."""

    does: tuple[float, ...]
    """Requests/s by class, then replicas as far as they count: more is better."""

    month_usd: float
    """A unit on in every block with load."""

    block_usd: float
    """A unit on in the shortest block with load only; for held units that is the whole month."""

    elastic: bool
    """It may be off in a block in which something else serves."""

    uses: tuple[float, ...]
    """Weight of a unit in each quota: less is better."""

    groups: tuple[str, ...]
    """Groups of the limits that are not quotas: they must be the same."""

    stock: tuple[str, str] | None
    """Key of the offering when its own units are limited; it replaces nothing else then."""

    gpus: int
    provider: str
    id: str


@dataclass
class Pruned:
    """The candidates kept, and for each one left out the kept one that dominates it."""

    kept: list[Candidate]
    dominated_by: dict[Candidate, Candidate] = field(default_factory=dict)
    twins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Offerings left out for good, by the one that stands for them; ids."""

    _rights: Mapping[Candidate, Rights] = field(default_factory=dict)

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
            for a in sorted(loose, key=lambda k: self._order(k)):
                del self.dominated_by[a]
                other = self._other_dominator(a, taken, differ_by)
                if other is None:
                    self.kept.append(a)
                else:
                    self.dominated_by[a] = other
            self.kept.sort(key=lambda k: k.id)

    def _other_dominator(self, a: Candidate, taken: set[str], differ_by: str) -> Candidate | None:
        for b in self.kept:
            if (
                b.workload == a.workload
                and not b.mode.per_token
                and b.offering.id not in taken
                and _is_new(b, a, taken, differ_by)
                and dominates(self._rights[b], self._rights[a])
            ):
                return b
        return None

    def _order(self, k: Candidate) -> tuple[float, int, str]:
        return price_of_capacity(self._rights[k]), k.gpus_per_unit, k.id


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


def prune(given: PlanningInput, candidates: Iterable[Candidate]) -> Pruned:
    """Keep what no other candidate dominates; per-token offerings are always kept."""
    listed = without_twins(given, candidates)
    rights, current = listed._rights, given.current_units()
    kept = [k for k in listed.kept if k.mode.per_token]
    dominated_by: dict[Candidate, Candidate] = {}
    front: dict[str, list[Candidate]] = {}
    cheapest: dict[tuple[object, ...], Candidate] = {}
    units = [k for k in listed.kept if not k.mode.per_token]
    for k in sorted(units, key=lambda k: (price_of_capacity(rights[k]), k.gpus_per_unit, k.id)):
        mine = rights[k]
        same = k.workload, mine.does, mine.elastic, mine.uses, mine.groups, mine.gpus, mine.stock
        likely = (cheapest[same],) if same in cheapest else ()
        others = (*likely, *front.get(k.workload, ()))
        better = next((b for b in others if dominates(rights[b], mine)), None)
        if better is not None and change_key(k) not in current:
            dominated_by[k] = better
            continue
        front.setdefault(k.workload, []).append(k)
        cheapest.setdefault(same, k)
        kept.append(k)
    return Pruned(sorted(kept, key=lambda k: k.id), dominated_by, listed.twins, rights)


def without_twins(given: PlanningInput, candidates: Iterable[Candidate]) -> Pruned:
    """All candidates but those of offerings that another one, the first by name, stands for."""
    quotas = [weight for _, weight, _ in user_quotas(given.problem)]
    offered: dict[tuple[str, str], list[Candidate]] = {}
    for k in candidates:
        offered.setdefault(k.offering.key, []).append(k)
    hours = {w.name: _Hours.of(given, w.name) for w in given.problem.workloads}
    rights: dict[Candidate, Rights] = {}
    for same in offered.values():
        if not same[0].mode.per_token:
            uses = _uses(given, same[0], quotas)
            rights.update((k, rights_of(given, k, hours[k.workload], uses)) for k in same)
    if sets_unknown_keys(given.problem):  # nobody stands in for anybody
        rights = {k: mine._replace(groups=(k.id,)) for k, mine in rights.items()}
    running = {(offering, billing) for offering, billing, _ in given.current_units()}
    first: dict[object, str] = {}
    twins: dict[str, list[str]] = {}
    kept = []
    for key in sorted(offered):
        alone = key in running or offered[key][0].mode.per_token
        likeness = key if alone else _likeness(offered[key], rights)
        if first.setdefault(likeness, key[0]) == key[0]:
            kept += offered[key]
        else:
            twins.setdefault(first[likeness], []).append(key[0])
    stood_for = {name: tuple(others) for name, others in sorted(twins.items())}
    return Pruned(sorted(kept, key=lambda k: k.id), {}, stood_for, rights)


def _likeness(candidates: Sequence[Candidate], rights: Mapping[Candidate, Rights]) -> object:
    """What twins have in common: everything but their names."""
    first = candidates[0]
    return (
        (first.provider, first.gpu, first.offering.billing, first.usd_per_hour),
        tuple(
            (k.workload, k.precision, k.tensor_parallel, rights[k]._replace(id=""))
            for k in sorted(candidates, key=lambda k: k.id)
        ),
    )


def dominates(b: Rights, a: Rights) -> bool:
    """True when whole units of `b` replace a unit of `a` in any plan, and never cost more."""
    if a.groups != b.groups or (a.elastic and not b.elastic and any(b.uses)):
        return False  # what is held uses up quotas in blocks in which `a` is off
    times = 1
    for mine, other in zip(a.does, b.does, strict=True):
        if mine > other * times * (1 + SNAP):
            if other <= 0:
                return False
            times = math.ceil(mine / other * (1 - SNAP))
    if b.stock is not None and (b.stock != a.stock or times > 1):
        return False
    if any(times * x > y for x, y in zip(b.uses, a.uses, strict=True)):
        return False
    return _never_dearer(b, a, times)


def _never_dearer(b: Rights, a: Rights, times: int) -> bool:
    """True when `times` units of `b` cost less than `a`, or as much and ties are broken for them.

    An elastic unit may be on in any one block, and a held one that stands in for it is paid all
    month. Between two elastic ones the hours are the same, so that the month tells as well.
    """
    stood_for = a.month_usd if b.elastic or not a.elastic else a.block_usd
    stands_in = times * b.month_usd
    if stands_in > stood_for * (1 + SNAP):
        return False
    return stands_in < stood_for * (1 - SNAP) or _is_preferred(b, a, times)


def _is_preferred(b: Rights, a: Rights, times: int) -> bool:
    """Fewer GPUs, then fewer providers, then names in order: see `ties`."""
    if times * b.gpus != a.gpus:
        return times * b.gpus < a.gpus
    return b.provider == a.provider and b.id < a.id


def price_of_capacity(rights: Rights) -> float:
    """USD/month per request/s of the fastest class: cheap candidates are looked at first.

    A dominator never comes after what it dominates: it is at least as cheap in every class.
    """
    return rights.month_usd / max(rights.does[:-1])


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
    def of(cls, given: PlanningInput, workload: str) -> _Hours:
        blocks = given.schedule.blocks
        peaks = given.schedule.demands[workload].peak
        busy = [block.hours for block, peak in zip(blocks, peaks, strict=True) if peak > 0]
        loads = zip(*(demand.peak for demand in given.schedule.demands.values()), strict=True)
        several = sum(any(peaks) for peaks in loads) > 1
        hours = sum(block.hours for block in blocks)
        return cls(hours, sum(busy), min(busy, default=0.0), several)


def rights_of(given: PlanningInput, k: Candidate, hours: _Hours, uses: tuple[float, ...]) -> Rights:
    """What `k` does, costs and uses up under the limits in force."""
    problem = given.problem
    elastic = is_elastic(problem, k)
    price = k.usd_per_hour * (1 + (problem.policy.spot_loss if k.mode.interruptible else 0.0))
    return Rights(
        does=_does(problem, k),
        month_usd=(hours.busy if elastic else hours.all) * price,
        block_usd=(hours.shortest if elastic else hours.all) * price,
        elastic=elastic and hours.several,
        uses=uses,
        groups=_groups(given, k),
        stock=k.offering.key if getattr(k.offering, "max_units", None) is not None else None,
        gpus=k.gpus_per_unit,
        provider=k.provider,
        id=k.id,
    )


def _does(problem: Problem, k: Candidate) -> tuple[float, ...]:
    replicas = min(k.replicas_per_unit, problem.workload(k.workload).min_replicas)
    return *k.requests_per_second, float(replicas)


def _uses(given: PlanningInput, k: Candidate, quotas: Sequence[Weight]) -> tuple[float, ...]:
    """Weight of a unit in each quota, the same for all candidates of an offering."""
    weights = [weight(k) for weight in quotas]
    if given.problem.policy.active_penalties.scaling is not None:
        weights.append(float(k.gpus_per_unit))
    if tracks_changes(given.problem):
        weights.append(1.0)
    return tuple(weights)


def _groups(given: PlanningInput, k: Candidate) -> tuple[str, ...]:
    limits = given.problem.limits
    groups = []
    if limits.providers.at_most is not None or limits.providers.max_share is not None:
        groups.append(k.provider)
    if limits.spot_share is not None:
        groups.append("spot" if k.mode.interruptible else "")
    if limits.spot_share is not None or limits.providers.max_share is not None:
        # A bigger stand-in, or several, could push its provider, or spot, over the share.
        groups.append(repr(_does(given.problem, k)))
    if limits.providers.max_share is not None:  # and so could one that is on in more blocks
        groups.append("elastic" if is_elastic(given.problem, k) else "")
    if limits.survival is not None:
        groups.append(SURVIVAL_GROUPS[limits.survival.kind](k))
    return tuple(groups)
