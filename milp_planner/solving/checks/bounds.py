"""What is too small, too large or too far apart to be planned, before a solver is asked.

A solver keeps to a row within about 1e-7 of its size and to whole numbers within about 1e-6, so
beyond these bounds its proofs mean nothing: such a problem is refused, with the number to blame.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from milp_planner.candidates.records import Candidate, CandidateList, TurnedDown
from milp_planner.deadline import checked
from milp_planner.errors import Fault
from milp_planner.inputs.catalog.checks import why_not_free
from milp_planner.inputs.catalog.records import Offering, TokenPrice
from milp_planner.inputs.problem.load import located
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.reading.field_types import MOST_UNITS
from milp_planner.traffic.month import Schedule

LEAST_REQUESTS_PER_SECOND = 1e-9
"""One request in 32 years."""

MOST_REQUESTS_PER_SECOND = 1e12

MOST_UNITS_OF_A_CANDIDATE = 1e8
"""A candidate of which it would take more carries less of the peak than a solver can tell."""

LEAST_USD_PER_HOUR = 1e-4
MOST_USD_PER_HOUR = 1e5
LEAST_USD_PER_M_TOKENS = 1e-6
MOST_USD_PER_M_TOKENS = 1e6


def bound_faults(
    problem: Problem, schedule: Schedule, candidates: CandidateList
) -> Iterator[Fault]:
    """Every workload whose traffic is beyond what can be planned, and every such price."""
    by_workload: dict[str, list[Candidate]] = {}
    for k in checked(candidates.candidates):
        by_workload.setdefault(k.workload, []).append(k)
    for i, w in enumerate(problem.workloads):
        peak = schedule.demands[w.name].highest_peak
        message = _beyond_rates(peak) or _beyond_counts(problem, peak, by_workload.get(w.name, []))
        if message:
            yield located(problem, Fault("", 0, 0, f"workloads[{i}].traffic", message))
    yield from _price_faults(candidates.candidates)


def without_specks(
    problem: Problem, schedule: Schedule, candidates: CandidateList
) -> CandidateList:
    """The candidates without those that carry next to nothing of their workload's peak."""
    kept, dropped = [], {}
    for k in checked(candidates.candidates):
        units = _units_needed(problem, schedule.demands[k.workload].highest_peak, k)
        if units > MOST_UNITS_OF_A_CANDIDATE:
            reason = f"it would take {units:.3g} units to serve the peak; that is out of reach"
            dropped[k.workload, k.offering.key] = TurnedDown(k.workload, k.offering, reason)
        else:
            kept.append(k)
    if not dropped:
        return candidates
    still = {(k.workload, k.offering.key) for k in kept}
    turned_down = [row for key, row in dropped.items() if key not in still]
    everything = (*candidates.turned_down, *turned_down)
    return replace(candidates, candidates=tuple(kept), turned_down=everything, lacks_specks=True)


def _beyond_rates(peak: float) -> str:
    if peak < LEAST_REQUESTS_PER_SECOND:
        least = f"{LEAST_REQUESTS_PER_SECOND:g}"
        return f"the peak of {peak:.3g} requests/s is below {least}, the least that is planned"
    if peak > MOST_REQUESTS_PER_SECOND:
        most = f"{MOST_REQUESTS_PER_SECOND:g}"
        return f"the peak of {peak:.3g} requests/s is above {most}, the most that is planned"
    return ""


def _beyond_counts(problem: Problem, peak: float, mine: list[Candidate]) -> str:
    if not mine or any(_units_needed(problem, peak, k) <= MOST_UNITS for k in checked(mine)):
        return ""
    least = min(_units_needed(problem, peak, k) for k in mine)
    return (
        f"the peak of {peak:.3g} requests/s takes {least:.3g} units of the largest "
        f"candidate, more than the {MOST_UNITS:,} that can be planned"
    )


def _units_needed(problem: Problem, peak: float, k: Candidate) -> float:
    """Units that would carry the whole peak; 0 where none are needed."""
    if k.mode.per_token:
        return 0.0
    rate = k.part_requests_per_second * problem.policy.utilization.highest
    return peak / rate if rate > 0 else float("inf")


def _price_faults(candidates: Iterable[Candidate]) -> Iterator[Fault]:
    offerings = {k.offering.key: k.offering for k in candidates}
    for _, offering in sorted(offerings.items()):
        if not _price(offering) and (message := why_not_free(offering)):
            yield Fault("", 0, 0, f"{offering.id} billed {offering.billing}", message)
        for column, price, least, most in _prices(offering):
            if price and not least <= price <= most:
                message = f"{column}: must be from {least:g} to {most:g} (is {price:g})"
                yield Fault("", 0, 0, f"{offering.id} billed {offering.billing}", message)


def _price(offering: Offering | TokenPrice) -> float:
    """The price that is 0 of what costs nothing."""
    if isinstance(offering, Offering):
        return offering.usd_per_hour
    return offering.usd_per_m_output_tokens


def _prices(offering: Offering | TokenPrice) -> Iterator[tuple[str, float, float, float]]:
    """(column, price, least, most)."""
    if isinstance(offering, Offering):
        yield "usd_per_hour", offering.usd_per_hour, LEAST_USD_PER_HOUR, MOST_USD_PER_HOUR
        return
    for column in ("usd_per_m_input_tokens", "usd_per_m_output_tokens"):
        price = getattr(offering, column)
        yield column, price, LEAST_USD_PER_M_TOKENS, MOST_USD_PER_M_TOKENS
