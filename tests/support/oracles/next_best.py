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

SECONDS_PER_HOUR = 3600
LEAST_SHARE = 1e-4
"""An API counts as another name from this share of a block's requests."""

SAME_USD = 0.001
"""USD/month by which equal scores may differ: less than one more API costs at its least share."""


@dataclass(frozen=True)
class Box:
    """A GPU offering: `rate` requests/s of a unit, for every workload."""

    provider: str
    gpu: str
    usd_per_hour: float
    rate: float
    gpus: int = 1
    elastic: bool = False
    region: str = "eu-1"

    @property
    def id(self) -> str:
        return f"{self.provider}/{self.gpu}/{self.region}"

    @property
    def billing(self) -> str:
        return "autoscaling" if self.elastic else "dedicated"


@dataclass(frozen=True)
class Api:
    """A per-token offering."""

    provider: str
    usd_per_request: float


@dataclass(frozen=True)
class Ask:
    """A workload: requests/s per block at the peak; the mean is half of it."""

    name: str
    peaks: tuple[float, ...]


@dataclass(frozen=True)
class Case:
    """A whole small problem."""

    hours: tuple[float, ...]
    asks: tuple[Ask, ...]
    boxes: tuple[Box, ...]
    apis: tuple[Api, ...] = ()
    target: float = 1.0
    ceiling: float = 1.0
    overload: tuple[float, float] | None = None
    """(above, USD at full load)."""

    strict_usd: float | None = None
    scaling: tuple[int, float] | None = None
    """(above GPUs, USD per GPU)."""

    budget: float | None = None
    at_most_providers: int | None = None
    max_gpus: int | None = None
    max_units: tuple[tuple[int, int], ...] = ()
    """(index of a box, most units)."""

    min_replicas: int = 1
    survive: str | None = None
    """`provider` or `offering`: the rest carries the whole peak at 100 %. Only without APIs."""

    today: int = 0
    """Units of the first box that run for the first workload."""

    switching: tuple[float, float] = (0.0, 0.0)
    """USD per unit added and removed."""

    most_changed: int | None = None


@dataclass(frozen=True)
class Part:
    """What one workload uses: units of each box per block, and APIs by index."""

    units: tuple[tuple[int, ...], ...]
    apis: frozenset[int]
    cash: float
    penalties: float


@dataclass(frozen=True)
class Fleet:
    """The parts of all workloads."""

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
        """Units per workload, box and block, then 1 per workload and API used."""
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
        for ask, part in zip(self.case.asks, self.parts, strict=True):
            prefix = f"{ask.name}: " if per_workload else ""
            for box, units in zip(self.case.boxes, part.units, strict=True):
                if any(units):
                    found.add(prefix + _name(box, differ_by))
            for a in part.apis:
                found.add(prefix + _name(self.case.apis[a], differ_by))
        return frozenset(found)

    @cached_property
    def gpus(self) -> int:
        return sum(
            box.gpus * max(units)
            for part in self.parts
            for box, units in zip(self.case.boxes, part.units, strict=True)
        )

    @cached_property
    def preference(self) -> tuple[object, ...]:
        """Fewer GPUs, then fewer providers, then most units of what comes first by name."""
        units_of: dict[str, tuple[int, ...]] = {}
        for ask, part in zip(self.case.asks, self.parts, strict=True):
            for box, units in zip(self.case.boxes, part.units, strict=True):
                name = f"{ask.name} on {box.id} {box.billing}"
                units_of[name] = units
            for i, api in enumerate(self.case.apis):
                name = f"{ask.name} on {api.provider}/tiny/global per_token"
                units_of[name] = (int(i in part.apis),)
        in_order = tuple(-n for name in sorted(units_of) for n in units_of[name])
        return self.gpus, len(self.names("providers", False)), in_order


def _name(offered: Box | Api, differ_by: str) -> str:
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
    for parts in itertools.product(*(list(_parts(case, ask)) for ask in case.asks)):
        fleet = Fleet(case, parts)
        if _allowed(fleet):
            yield fleet


def _parts(case: Case, ask: Ask) -> Iterator[Part]:
    """Everything one workload could use, one unit of each box beyond what it needs alone."""
    choices = [list(_units(case, ask, box)) for box in case.boxes]
    sets = [
        frozenset(chosen)
        for size in range(len(case.apis) + 1)
        for chosen in itertools.combinations(range(len(case.apis)), size)
    ]
    for units in itertools.product(*choices):
        for apis in sets:
            part = _priced(case, ask, units, apis)
            if part is not None:
                yield part


def _units(case: Case, ask: Ask, box: Box) -> Iterator[tuple[int, ...]]:
    coolest = 0.75 if case.strict_usd is not None or case.overload is not None else case.ceiling
    least = max(case.min_replicas, case.today)
    most = [
        max(math.ceil(peak / box.rate / min(coolest, case.ceiling)), least) + 1
        for peak in ask.peaks
    ]
    if not box.elastic:
        return ((n,) * len(ask.peaks) for n in range(max(most) + 1))
    return itertools.product(
        *(range(n + 1) if peak else (0,) for n, peak in zip(most, ask.peaks, strict=True))
    )


def _priced(
    case: Case, ask: Ask, units: tuple[tuple[int, ...], ...], apis: frozenset[int]
) -> Part | None:
    """The part with its costs; None when it does not serve the workload."""
    busy = [t for t, peak in enumerate(ask.peaks) if peak]
    if not _is_safe(case, ask, units, busy):
        return None
    capacity = {
        t: sum(n[t] * box.rate for n, box in zip(units, case.boxes, strict=True)) for t in busy
    }
    left = {t: max(0.0, 1 - capacity[t] * case.ceiling / ask.peaks[t]) for t in busy}
    left = {t: share if share > 1e-9 else 0.0 for t, share in left.items()}
    if any(left.values()) and not apis:
        return None
    rent = sum(
        case.hours[t] * n[t] * box.usd_per_hour
        for n, box in zip(units, case.boxes, strict=True)
        for t in range(len(case.hours))
    )
    hottest = max(
        (ask.peaks[t] * (1 - left[t]) / capacity[t] for t in busy if capacity[t]), default=0.0
    )
    gpus = max(sum(n[t] * box.gpus for n, box in zip(units, case.boxes, strict=True)) for t in busy)
    return Part(
        units,
        apis,
        rent + _fees(case, ask, left, apis) + _switching(case, ask, units),
        _penalties(case, hottest, gpus),
    )


def _is_safe(case: Case, ask: Ask, units: tuple[tuple[int, ...], ...], busy: list[int]) -> bool:
    """Enough replicas in every block with load, and enough left whatever is lost."""
    for t in busy:
        up = sum(n[t] * box.gpus for n, box in zip(units, case.boxes, strict=True))
        if up < case.min_replicas > 1:
            return False
        names = [b.provider if case.survive == "provider" else b.id for b in case.boxes]
        for lost in set(names) if case.survive else ():
            left = sum(
                n[t] * box.rate
                for n, box, name in zip(units, case.boxes, names, strict=True)
                if name != lost
            )
            if left < ask.peaks[t] * (1 - 1e-9):
                return False
    return True


def _changed(case: Case, ask: Ask, units: tuple[tuple[int, ...], ...]) -> tuple[int, int]:
    """Units added and removed in the workload's busiest block."""
    busiest = ask.peaks.index(max(ask.peaks))
    added = removed = 0
    for i, n in enumerate(units):
        today = case.today if i == 0 and ask is case.asks[0] else 0
        added += max(0, n[busiest] - today)
        removed += max(0, today - n[busiest])
    return added, removed


def _switching(case: Case, ask: Ask, units: tuple[tuple[int, ...], ...]) -> float:
    added, removed = _changed(case, ask, units)
    return added * case.switching[0] + removed * case.switching[1]


def _fees(case: Case, ask: Ask, left: dict[int, float], apis: frozenset[int]) -> float:
    """USD/month: the cheapest API serves what is left, the others their least share."""
    if not apis:
        return 0.0
    month = {t: ask.peaks[t] / 2 * SECONDS_PER_HOUR * case.hours[t] for t in left}
    by_price = sorted(case.apis[a].usd_per_request for a in apis)
    fees = sum(month[t] * share * by_price[0] for t, share in left.items())
    if not any(left.values()):
        fees += LEAST_SHARE * min(month.values()) * by_price[0]
    for price in by_price[1:]:
        fees += LEAST_SHARE * min(
            month[t] * (price - (by_price[0] if left[t] else 0.0)) for t in left
        )
    return fees


def _penalties(case: Case, hottest: float, gpus: int) -> float:
    total = 0.0
    if case.overload is not None:
        above, usd = case.overload
        total += max(0.0, usd * (hottest - above) / (1 - above))
    if case.strict_usd is not None and hottest > 0.75 * (1 + 1e-9):
        total += case.strict_usd
    if case.scaling is not None:
        above_gpus, usd = case.scaling
        total += max(0, gpus - above_gpus) * usd
    return total


def _allowed(fleet: Fleet) -> bool:
    case = fleet.case
    if case.budget is not None and fleet.cash > case.budget * (1 + 1e-9):
        return False
    most = case.at_most_providers
    if most is not None and len(fleet.names("providers", False)) > most:
        return False
    changed = sum(
        sum(_changed(case, ask, part.units))
        for ask, part in zip(case.asks, fleet.parts, strict=True)
    )
    if case.most_changed is not None and changed > case.most_changed:
        return False
    for t in range(len(case.hours)):
        total = [sum(part.units[i][t] for part in fleet.parts) for i in range(len(case.boxes))]
        gpus = sum(n * box.gpus for n, box in zip(total, case.boxes, strict=True))
        if case.max_gpus is not None and gpus > case.max_gpus:
            return False
        if any(total[i] > limit for i, limit in case.max_units):
            return False
    return True
