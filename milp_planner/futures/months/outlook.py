"""Workloads over months as `milp/months/` enumerates them; none where they ask for more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.futures.cases import case_of
from milp_planner.futures.months.nodes import Months, futures_of
from milp_planner.inputs.catalog.records import Offering
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.problem.uncertain.futures import FutureCase
from milp_planner.lazily import dataclass, replace
from milp_planner.milp.curves.covering import Cover, covers_of
from milp_planner.milp.months.records import MonthsFuture, MonthsOutlook, Rental, Term
from milp_planner.milp.program.model import build_model
from milp_planner.plans.records import SNAP


@dataclass(frozen=True)
class WorkloadMonths:
    """One workload over the months of the problem."""

    workload: str
    outlook: MonthsOutlook
    bound: tuple[Candidate, ...]
    """What each term of the outlook is, in its order."""

    rented: tuple[Candidate, ...]


Prices = Sequence[dict[str, float | None]]
"""By future: USD an hour by candidate; none of a future whose prices are those of today."""


def prices_of(months: Months) -> Prices:
    """What each future's prices make of those of today, in the first month."""
    return [{} if not future.prices else dict(_prices(months, future)) for future in months.futures]


def _prices(months: Months, future: FutureCase) -> Iterator[tuple[str, float | None]]:
    """USD an hour in the future, by candidate; none of what it turns down for its price."""
    plain = future.model_copy(update={"traffic": 1.0, "workloads": {}})
    changed = case_of(months.problem, months.catalog, plain, months.lister(future)).instance
    for k in changed.candidates.candidates:
        yield k.id, k.usd_per_hour


def outlooks_of(
    problem: Problem, group: PlanningInput, prices: Prices
) -> list[WorkloadMonths] | None:
    """The workloads of a problem over its months; None where they are anything but loads of one
    class to be carried, by what there is no end of.

    group: today, with these workloads alone.
    """
    covers = _covers(group)
    return None if covers is None else [_outlook(problem, cover, prices) for cover in covers]


def _covers(instance: PlanningInput) -> list[Cover] | None:
    """What may be signed and rented for each workload."""
    listed = instance.candidates
    if not all(map(_is_known, listed.candidates)):
        return None
    endless = {k: _endless(k) for k in listed.candidates}
    free = replace(instance, candidates=replace(listed, candidates=tuple(endless.values())))
    covers = covers_of(build_model(free, tuple(endless.values())))
    if covers is None:
        return None
    back = {id(changed): k for k, changed in endless.items()}
    return [_of_listed(cover, back) for cover in covers]


def _is_known(k: Candidate) -> bool:
    """True of what is paid by the unit, over a term if it binds, and else is there without end."""
    if k.mode.per_token:
        return False
    return k.commitment_months > 0 if k.mode.binds else _stock(k) is None


def _endless(k: Candidate) -> Candidate:
    """The candidate as if there were any number of units: how many there are, its term tells."""
    if not k.mode.binds or _stock(k) is None:
        return k
    return replace(k, offering=k.offering.model_copy(update={"max_units": None}))


def _of_listed(cover: Cover, back: dict[int, Candidate]) -> Cover:
    def named(of: Sequence[Candidate]) -> tuple[Candidate, ...]:
        return tuple(back[id(k)] for k in of)

    return replace(
        cover,
        held=named(cover.held),
        elastic=named(cover.elastic),
        carries={back[id(k)]: value for k, value in cover.carries.items()},
        usd_per_hour={back[id(k)]: value for k, value in cover.usd_per_hour.items()},
        hours_held={back[id(k)]: value for k, value in cover.hours_held.items()},
    )


def _stock(k: Candidate) -> int | None:
    """Units that can be had of the offering; None where there is no end of them."""
    return k.offering.max_units if isinstance(k.offering, Offering) else None


# One workload


def _outlook(problem: Problem, cover: Cover, prices: Prices) -> WorkloadMonths:
    horizon = problem.horizon
    assert horizon is not None
    blocks = sorted(cover.peaks)
    base = [float(cover.peaks[t]) for t in blocks]
    bound = [k for k in cover.held if k.mode.binds]
    rented = [k for k in (*cover.held, *cover.elastic) if not k.mode.binds]
    by_future = [[_times(k, at_its) for k in rented] for at_its in prices]
    rentals = [_rental(cover, k) for k in rented]
    kept = _kept_rentals(rentals, by_future)
    terms = [_term(cover, k) for k in bound]
    trend = 1 + horizon.price_trend
    stay = _kept_terms(terms, rentals, by_future, lowest_trend=trend <= 1)
    futures = tuple(
        MonthsFuture(
            future.name,
            future.probability,
            tuple(
                tuple(peak * future.times(cover.workload) * course.factor(m) for peak in base)
                for m in range(horizon.months)
            ),
            tuple(times[j] for j in kept),
        )
        for future, times in zip(futures_of(problem), by_future, strict=True)
        for course in [horizon.course(future.name)]
    )
    outlook = MonthsOutlook(
        hours=tuple(float(cover.hours[t]) for t in blocks),
        terms=tuple(terms[j] for j in stay),
        rentals=tuple(rentals[j] for j in kept),
        futures=futures,
        known_from=problem.known_from_months,
        at_end=horizon.at_end,
        price_trend=trend,
    )
    return WorkloadMonths(
        cover.workload,
        outlook,
        tuple(bound[j] for j in stay),
        tuple(rented[j] for j in kept),
    )


def _times(k: Candidate, at_its: dict[str, float | None]) -> float | None:
    """Times the price of today; None where the future turns it down for its price."""
    if not (at_its and k.usd_per_hour):
        return 1.0
    usd = at_its.get(k.id)
    return None if usd is None else usd / k.usd_per_hour


def _rental(cover: Cover, k: Candidate) -> Rental:
    hours = float(cover.hours_held[k]) if k in cover.held else None
    usd = float(cover.usd_per_hour[k])
    return Rental(k.id, float(cover.carries[k]), usd, hours, k.gpus_per_unit)


def _term(cover: Cover, k: Candidate) -> Term:
    usd = float(cover.usd_per_hour[k] * cover.hours_held[k])
    return Term(k.id, float(cover.carries[k]), usd, k.commitment_months, _stock(k))


def _units_for(a: float, b: float) -> int:
    """Units that carry `b` each, for one that carries `a`."""
    return max(1, -int(-(a / b) * (1 - SNAP) // 1))


def _kept_rentals(
    rentals: Sequence[Rental], by_future: Sequence[Sequence[float | None]]
) -> list[int]:
    """Those that whole units of another one do not replace for less, in some future.

    What is paid by the hour replaces what is held at the same price an hour, never the other way.
    """

    def price(j: int, f: int) -> float:
        times = by_future[f][j]
        return float("inf") if times is None else rentals[j].usd_per_hour * times

    def replaces(b: int, a: int) -> bool:
        held, other = rentals[a].hours, rentals[b].hours
        if (held is None and other is not None) or (
            held is not None and other is not None and other > held
        ):
            return False
        units = _units_for(rentals[a].carries, rentals[b].carries)
        return all(units * price(b, f) <= price(a, f) for f in range(len(by_future)))

    order = sorted(range(len(rentals)), key=lambda j: (price(j, 0) / rentals[j].carries, j))
    kept: list[int] = []
    for a in order:
        if not any(replaces(b, a) for b in kept):
            kept.append(a)
    return sorted(kept)


def _kept_terms(
    terms: Sequence[Term],
    rentals: Sequence[Rental],
    by_future: Sequence[Sequence[float | None]],
    *,
    lowest_trend: bool,
) -> list[int]:
    """Those that neither another term replaces for less, nor a rental at its highest price.

    A shorter term is signed anew until the longer one is over, and may go on after it: that is paid
    as well.
    """

    def replaces(b: int, a: int) -> bool:
        one, other = terms[a], terms[b]
        if other.most is not None or other.months > one.months:
            return False
        usd = _units_for(one.carries, other.carries) * other.usd_per_month
        months = -(-one.months // other.months) * other.months
        return usd <= one.usd_per_month and usd * months <= one.usd_per_month * one.months

    def is_rented_for_less(a: int) -> bool:
        for j, rental in enumerate(rentals):
            highest = [times[j] for times in by_future]
            if rental.hours is None or not lowest_trend or None in highest:
                continue
            units = _units_for(terms[a].carries, rental.carries)
            usd = rental.usd_per_hour * rental.hours * max(t for t in highest if t is not None)
            if units * usd <= terms[a].usd_per_month:
                return True
        return False

    order = sorted(
        range(len(terms)),
        key=lambda j: (terms[j].usd_per_month / terms[j].carries, terms[j].months, j),
    )
    kept: list[int] = []
    for a in order:
        if not is_rented_for_less(a) and not any(replaces(b, a) for b in kept):
            kept.append(a)
    return sorted(kept)
