"""Brute force for next-best plans: lists every small fleet and takes the cheapest, time after time.

Written apart from the program, its rows and its cuts: plain loops and numpy, no solver.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tests.support.oracles.cases import SECONDS_PER_HOUR, Api, Case, Load, Offer
from tests.support.oracles.limits import (
    STRICT_FROM,
    Units,
    capacity,
    changed,
    counted,
    enough_replicas,
    few_changes,
    few_providers,
    heat_usd,
    left_after_loss,
    rent,
    scaling_usd,
    switching_usd,
    within_budget,
    within_quotas,
)

LEAST_SHARE = 1e-4
"""An API counts as another name from this share of a block's requests."""

SAME_USD = 0.001
"""USD/month by which equal scores may differ: less than one more API costs at its least share."""


@dataclass(frozen=True)
class Part:
    """What one load uses: units of each offer per block, and APIs by index."""

    units: Units
    apis: frozenset[int]
    cash: float
    penalties: float


@dataclass(frozen=True)
class Fleet:
    """The parts of all loads."""

    case: Case
    parts: tuple[Part, ...]

    @cached_property
    def score(self) -> float:
        return sum(part.cash + part.penalties for part in self.parts)

    @cached_property
    def cash(self) -> float:
        return sum(part.cash for part in self.parts)

    @cached_property
    def vector(self) -> np.ndarray:
        """Units per load, offer and block, then 1 per load and API used."""
        apis = range(len(self.case.apis))
        rows = [
            [*itertools.chain(*part.units), *(float(a in part.apis) for a in apis)]
            for part in self.parts
        ]
        return np.array(rows).ravel()

    def names(self, differ_by: str, per_workload: bool) -> frozenset[str]:
        """What `differ_by` compares."""
        if differ_by == "counts":
            return frozenset()
        found = set()
        for load, part in zip(self.case.loads, self.parts, strict=True):
            prefix = f"{load.name}: " if per_workload else ""
            for offer, units in zip(self.case.offers, part.units, strict=True):
                if any(units):
                    found.add(prefix + _name(offer, differ_by))
            for a in part.apis:
                found.add(prefix + _name(self.case.apis[a], differ_by))
        return frozenset(found)

    @cached_property
    def gpus(self) -> int:
        return sum(
            offer.gpus * max(units)
            for part in self.parts
            for offer, units in zip(self.case.offers, part.units, strict=True)
        )

    @cached_property
    def preference(self) -> tuple[object, ...]:
        """Fewer changes, GPUs, providers, then most units of what comes first by name."""
        units_of: dict[str, tuple[int, ...]] = {}
        for load, part in zip(self.case.loads, self.parts, strict=True):
            for offer, units in zip(self.case.offers, part.units, strict=True):
                units_of[f"{load.name} on {offer.id} {offer.billing}"] = units
            for i, api in enumerate(self.case.apis):
                units_of[f"{load.name} on {api.id} per_token"] = (int(i in part.apis),)
        in_order = tuple(-n for name in sorted(units_of) for n in units_of[name])
        return self.units_changed, self.gpus, len(self.names("providers", False)), in_order

    @cached_property
    def units_changed(self) -> int:
        """Against the fleet of today, where there is one."""
        if not any(self.case.terms.today):
            return 0
        each = zip(self.case.loads, self.parts, strict=True)
        return sum(sum(changed(self.case, load, part.units)) for load, part in each)


def _name(offered: Offer | Api, differ_by: str) -> str:
    if differ_by == "providers":
        return offered.provider
    if isinstance(offered, Api):
        return "per token" if differ_by == "gpus" else f"{offered.provider} per token"
    return offered.gpu if differ_by == "gpus" else f"{offered.id} {offered.billing}"


def next_best(
    case: Case, differ_by: str, per_workload: bool, count: int
) -> tuple[list[Fleet], bool]:
    """The best fleet and up to `count` next-best ones; True when the list ended by itself."""
    fleets = sorted(all_fleets(case), key=lambda fleet: fleet.score)
    scores = np.array([fleet.score for fleet in fleets])
    vectors = np.array([fleet.vector for fleet in fleets])
    names = [fleet.names(differ_by, per_workload) for fleet in fleets]
    left = np.ones(len(fleets), dtype=bool)
    found: list[Fleet] = []
    while len(found) <= count:
        if not left.any():
            return found, True
        least = scores[left].min()
        tied = np.flatnonzero(left & (scores <= least + SAME_USD))
        best = min((fleets[i] for i in _lean(vectors, tied)), key=lambda fleet: fleet.preference)
        found.append(best)
        left &= ~(vectors >= best.vector).all(axis=1)
        if differ_by != "counts":
            taken = best.names(differ_by, per_workload)
            left &= np.array([mine != taken for mine in names])
    return found, False


def _lean(vectors: np.ndarray, tied: np.ndarray) -> list[int]:
    """Those of equal scores that are not another one with something to spare."""
    inside = [(vectors[i] >= vectors[tied]).all(axis=1).sum() for i in tied]
    return [i for i, itself_and_more in zip(tied, inside, strict=True) if itself_and_more == 1]


def all_fleets(case: Case) -> Iterator[Fleet]:
    """Every fleet that keeps all rules."""
    for parts in itertools.product(*(list(_parts(case, load)) for load in case.loads)):
        fleet = Fleet(case, parts)
        if _allowed(fleet):
            yield fleet


def _allowed(fleet: Fleet) -> bool:
    case, units = fleet.case, [part.units for part in fleet.parts]
    return (
        within_budget(case, fleet.cash)
        and few_providers(case, fleet.names("providers", False))
        and few_changes(case, units)
        and within_quotas(case, *(counted(case, each) for each in units))
    )


def _parts(case: Case, load: Load) -> Iterator[Part]:
    """Everything one load could use, one unit of each offer beyond what it needs alone."""
    choices = [list(_units(case, load, offer)) for offer in case.offers]
    sets = [
        frozenset(chosen)
        for size in range(len(case.apis) + 1)
        for chosen in itertools.combinations(range(len(case.apis)), size)
    ]
    for units in itertools.product(*choices):
        if enough_replicas(case, load, units) and _survives(case, load, units):
            for apis in sets:
                part = _priced(case, load, units, apis)
                if part is not None:
                    yield part


def _units(case: Case, load: Load, offer: Offer) -> Iterator[tuple[int, ...]]:
    is_cool = case.terms.strict_usd is not None or case.terms.overload is not None
    limit = min(STRICT_FROM, case.terms.ceiling) if is_cool else case.terms.ceiling
    least = max(load.min_replicas, *case.terms.today, 0)
    most = [max(math.ceil(peak / offer.rate / limit), least) + 1 for peak in load.peaks]
    if not offer.elastic:
        on = [not offer.stops or peak > 0 for peak in load.peaks]
        return (tuple(n * o for o in on) for n in range(max(most) + 1))
    return itertools.product(
        *(range(n + 1) if peak else (0,) for n, peak in zip(most, load.peaks, strict=True))
    )


def _survives(case: Case, load: Load, units: Units) -> bool:
    """Enough is left of every block with load, whatever is lost; without APIs."""
    if case.terms.survive is None:
        return True
    _, share = case.terms.survive
    return all(
        left_after_loss(case, units, t) >= share * load.peaks[t] * (1 - 1e-9) for t in load.busy
    )


def _priced(case: Case, load: Load, units: Units, apis: frozenset[int]) -> Part | None:
    """The part with its costs; None when it does not serve the load."""
    held = {t: capacity(case, units, t) for t in load.busy}
    left = {t: max(0.0, 1 - held[t] * case.terms.ceiling / load.peaks[t]) for t in load.busy}
    left = {t: share if share > 1e-9 else 0.0 for t, share in left.items()}
    if any(left.values()) and not apis:
        return None
    hottest = max(
        (load.peaks[t] * (1 - left[t]) / held[t] for t in load.busy if held[t]), default=0.0
    )
    return Part(
        units,
        apis,
        rent(case, units) + _fees(case, load, left, apis) + switching_usd(case, load, units),
        heat_usd(case.terms, hottest) + scaling_usd(case, units),
    )


def _fees(case: Case, load: Load, left: dict[int, float], apis: frozenset[int]) -> float:
    """USD/month: the cheapest API serves what is left, the others their least share."""
    if not apis:
        return 0.0
    month = {t: load.means[t] * SECONDS_PER_HOUR * case.hours[t] for t in left}
    by_price = sorted(case.apis[a].usd_per_request for a in apis)
    fees = sum(month[t] * share * by_price[0] for t, share in left.items())
    if not any(left.values()):
        fees += LEAST_SHARE * min(month.values()) * by_price[0]
    for price in by_price[1:]:
        fees += LEAST_SHARE * min(
            month[t] * (price - (by_price[0] if left[t] else 0.0)) for t in left
        )
    return fees
