"""Leaves out what no plan over several futures can need.

A commitment is paid in every future, a rental only where it is needed. So

    a \\ b       b commits                              b rents
    a commits   b does all of a in every future        some b does, in every future
    a rents     never                                  future by future

where "b does all of a" is `dominates` of `presolve/dominance.py`. What is committed to are units of
an offering, which may serve another workload in every future: so an offering goes only where that
holds of every candidate of it, and always for the same number of units that stand in.
What stands in is never dearer, a rental at no future's price.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.deadline import checked
from milp_planner.lazily import dataclass, field
from milp_planner.milp.presolve.dominance import (
    DominanceProfile,
    Pruned,
    all_of,
    dominates,
    prune,
    times_replaced,
    without_twins,
)

Key = tuple[str, str]
"""(offering id, billing)."""


@dataclass(frozen=True)
class KeptInFutures:
    """What is left of each future's candidates, in the order of the futures."""

    rentals: tuple[tuple[Candidate, ...], ...]
    commitments: tuple[Mapping[Key, tuple[Candidate, ...]], ...]
    """By offering, those that every future has."""

    stood_for: Mapping[Key, Key] = field(default_factory=dict)
    """Commitments that were left out, and the commitment that does for each."""

    def candidates(self, future: int) -> list[Candidate]:
        """All that a future's program is built of, in the order of names."""
        bound = (k for own in self.commitments[future].values() for k in own)
        return sorted([*self.rentals[future], *bound], key=lambda k: k.id)


def binds(k: Candidate) -> bool:
    """True of what is decided before it is known which future it is."""
    return k.mode.binds


def is_few(k: Candidate) -> bool:
    """True where there are only so many units of what a candidate runs on."""
    return getattr(k.offering, "max_units", None) is not None


def kept_in_futures(
    instances: Sequence[PlanningInput],
    *,
    pruning: bool = True,
    merge_twins: bool = True,
    over_months: bool = False,
    counts_moves: bool = False,
) -> KeptInFutures:
    """What is left of every future's candidates, with the same optimum over all of them.

    over_months: they are months too, so that a commitment stands in for another only where it is
    over with it. counts_moves: it matters what is rented in one of them and not in the next, so
    that a rental stands in for another only where it does in all of them.
    """
    rentals, offered = [], []
    profiles: list[Mapping[Candidate, DominanceProfile]] = []
    for instance in checked(instances):
        listed = instance.candidates.candidates
        rented = [k for k in listed if not binds(k)]
        kept = _reduced(instance, rented, pruning=pruning, merge_twins=merge_twins)
        rentals.append(tuple(kept.kept))
        mine: dict[Key, list[Candidate]] = {}
        for k in listed:
            if binds(k):
                mine.setdefault(k.offering.key, []).append(k)
        offered.append({key: tuple(found) for key, found in mine.items()})
        profiles.append(without_twins(instance, listed)._profiles)
    everywhere = set(offered[0]).intersection(*offered[1:])
    offered = [{key: own for key, own in one.items() if key in everywhere} for one in offered]
    if counts_moves:
        rentals = _in_all_alike(instances, rentals, profiles)
    if not (pruning and merge_twins):
        return KeptInFutures(tuple(rentals), tuple(offered))
    return _without_needless(tuple(rentals), offered, profiles, over_months=over_months)


def offered_in_all(instances: Sequence[PlanningInput]) -> frozenset[Key]:
    """Every commitment that is offered in all futures, whatever others do; of those that only their
    names tell apart one."""
    each = [
        {k.offering.key for k in without_twins(instance, bound).kept}
        for instance in checked(instances)
        for bound in [[k for k in instance.candidates.candidates if binds(k)]]
    ]
    return frozenset(each[0].intersection(*each[1:]))


def _in_all_alike(
    instances: Sequence[PlanningInput],
    rentals: Sequence[tuple[Candidate, ...]],
    profiles: Sequence[Mapping[Candidate, DominanceProfile]],
) -> list[tuple[Candidate, ...]]:
    """Rentals that no one other stands in for wherever they are: the same ones everywhere."""
    listed = [
        {k.id: k for k in instance.candidates.candidates if not binds(k)} for instance in instances
    ]
    kept = dict.fromkeys(k.id for own in rentals for k in own)

    def stands_in(b: str, a: str) -> bool:
        return all(
            b in one
            and one[b].workload == one[a].workload
            and not one[b].mode.per_token
            and dominates(mine[one[b]], mine[one[a]])
            for one, mine in zip(listed, profiles, strict=True)
            if a in one
        )

    for a in checked(dict.fromkeys(name for one in listed for name in one)):
        if a not in kept and not any(stands_in(b, a) for b in kept):
            kept[a] = None
    return [tuple(k for name, k in one.items() if name in kept) for one in listed]


def _reduced(
    instance: PlanningInput, rented: Sequence[Candidate], *, pruning: bool, merge_twins: bool
) -> Pruned:
    if not merge_twins:
        return all_of(rented)
    return (prune if pruning else without_twins)(instance, rented)


def _without_needless(
    rentals: tuple[tuple[Candidate, ...], ...],
    offered: Sequence[Mapping[Key, tuple[Candidate, ...]]],
    profiles: Sequence[Mapping[Candidate, DominanceProfile]],
    *,
    over_months: bool,
) -> KeptInFutures:
    """The cheapest for what it does first, so that what stands in is kept itself; of equals the one
    that is over first."""
    kept: list[Key] = []
    stood_for: dict[Key, Key] = {}
    terms = {key: own[0].commitment_months for key, own in offered[0].items()}

    def price(key: Key) -> tuple[float, float, object, Key]:
        own = [profiles[0][k] for k in offered[0][key]]
        usd, order = min((mine.month_usd / mine.fastest, mine.order) for mine in own)
        return usd, terms[key] or inf, order, key

    few = {k.offering.key for own in offered[0].values() for k in own if is_few(k)}

    def is_over_with(b: Key, a: Key) -> bool:
        """A shorter term is signed anew until the longer one is over."""
        one, other = terms[a], terms[b]
        return one == other or bool(one and other and one % other == 0 and b not in few)

    for key in sorted(offered[0], key=price):
        if _rented_instead(key, rentals, offered, profiles):
            continue
        others = (b for b in kept if not over_months or is_over_with(b, key))
        other = next((b for b in others if _stands_in(b, key, offered, profiles)), None)
        if other is None:
            kept.append(key)
        else:
            stood_for[key] = other
    left = tuple({key: one[key] for key in sorted(kept)} for one in offered)
    return KeptInFutures(rentals, left, stood_for)


def _rented_instead(
    a: Key,
    rentals: Sequence[Sequence[Candidate]],
    offered: Sequence[Mapping[Key, tuple[Candidate, ...]]],
    profiles: Sequence[Mapping[Candidate, DominanceProfile]],
) -> bool:
    """True where in every future something that is rented does all that the commitment does.

    A future's price is the price there: so it is held against the highest, each where it is.
    """
    return all(
        any(
            b.workload == k.workload
            and not b.mode.per_token
            and dominates(profiles[f][b], profiles[f][k])
            for b in rentals[f]
        )
        for f, one in enumerate(offered)
        for k in one[a]
    )


def _stands_in(
    b: Key,
    a: Key,
    offered: Sequence[Mapping[Key, tuple[Candidate, ...]]],
    profiles: Sequence[Mapping[Candidate, DominanceProfile]],
) -> bool:
    """True where as many units of `b` as one of `a` asks for anywhere do all that it does."""
    needed = [*_units_needed(b, a, offered, profiles)]
    if not needed or None in needed:
        return False
    times = max(one for one in needed if one is not None)
    return all(
        any(
            other.workload == k.workload
            and dominates(profiles[f][other], profiles[f][k], least=times)
            and times_replaced(profiles[f][other], profiles[f][k], times) == times
            for other in one[b]
        )
        for f, one in enumerate(offered)
        for k in one[a]
    )


def _units_needed(
    b: Key,
    a: Key,
    offered: Sequence[Mapping[Key, tuple[Candidate, ...]]],
    profiles: Sequence[Mapping[Candidate, DominanceProfile]],
) -> Iterator[int | None]:
    """Units of `b` for one of `a`, for each of its candidates in each future; None: never."""
    for f, one in enumerate(offered):
        for k in one[a]:
            found = [
                times_replaced(profiles[f][other], profiles[f][k])
                for other in one[b]
                if other.workload == k.workload
            ]
            yield min((times for times in found if times is not None), default=None)
