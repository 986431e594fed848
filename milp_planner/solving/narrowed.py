"""Candidates of a stricter problem taken from those of a wider one, instead of listed anew.

What an offering can do depends on the workload and on how sure to be, neither on which limits let
it through nor on how much traffic there is. So a problem that lets through fewer offerings, or has
another multiple of the traffic, has the candidates of the wider one, without those that its own
limits rule out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from milp_planner.candidates.builder import excluded_by, model_warnings, why_unpayable
from milp_planner.candidates.records import CandidateList, PlanningInput, TurnedDown
from milp_planner.deadline import check
from milp_planner.errors import InputError
from milp_planner.inputs.catalog.records import Offering, TokenPrice
from milp_planner.inputs.problem.policy import Penalties, Utilization
from milp_planner.inputs.problem.records import Limits, Problem
from milp_planner.solving.checks.bounds import bound_faults, without_specks
from milp_planner.solving.checks.names import limit_faults
from milp_planner.solving.prepare import filters_of
from milp_planner.traffic.month import Demand, make_schedule

NEUTRAL = {
    "preset": None,
    "penalties": Penalties(),
    "switch_off_dedicated": None,
    "spot_loss": 0,
    "power_by_load": False,
    "start_up": (),
    "utilization": Utilization(),
}
"""Keys of the policy that change what a plan is, and what no candidate can do."""


def narrowed(known: PlanningInput, problem: Problem) -> PlanningInput | None:
    """`problem` with candidates of the wider `known`; None where that is not wider.

    Raises InputError for names unknown and for numbers out of range, as `prepare` does.
    """
    if _rates_key(known.problem) != _rates_key(problem):
        return None
    wrong = list(limit_faults(problem, known.catalog))
    if wrong:
        raise InputError(wrong)
    loaded = _under_its_load(known, problem)
    candidates = None if loaded is None else _let_through(loaded, problem)
    if loaded is None or candidates is None:
        return None
    faults = list(bound_faults(problem, loaded.schedule, candidates))
    if faults:
        raise InputError(faults)
    return replace(loaded, problem=problem, candidates=candidates)


def _under_its_load(known: PlanningInput, problem: Problem) -> PlanningInput | None:
    """`known` in the blocks of a problem with other traffic, or another utilization; None where
    rates do not carry over, or where `known` lacks what only its own load has no use for."""
    same_traffic = known.problem.workloads == problem.workloads
    if same_traffic and known.problem.policy.utilization == problem.policy.utilization:
        return known
    if known.candidates.lacks_specks:
        return None
    schedule = known.schedule if same_traffic else make_schedule(problem)
    before, after = known.schedule.demands, schedule.demands
    if any(_served(before[name]) != _served(demand) for name, demand in after.items()):
        return None
    candidates = without_specks(problem, schedule, known.candidates)
    return replace(known, schedule=schedule, candidates=candidates)


def _served(demand: Demand) -> tuple[Any, ...]:
    """What of a demand rates depend on: all but how much of it there is."""
    shape = demand.efficiency, demand.batch_multiplier, demand.requests_per_unit
    return demand.classes, demand.unit, *shape


def _let_through(known: PlanningInput, problem: Problem) -> CandidateList | None:
    """Those candidates of `known` that the problem's limits let through; None where these let
    through more."""
    listed = known.candidates
    if filters_of(known.problem.limits) == filters_of(problem.limits):
        return listed
    check()
    before, after = known.problem.limits, problem.limits
    by_billing = filters_of(before)[:-1] == filters_of(after)[:-1]
    ruled_out: dict[int, str] = {}
    for row in _sold(listed):
        reason = _ruled_out(before, after, row, by_billing=by_billing)
        if reason is None:
            return None
        if reason:
            ruled_out[id(row)] = reason
    kept = tuple(k for k in listed.candidates if id(k.offering) not in ruled_out)
    gone = {
        (k.workload, k.offering.key): k for k in listed.candidates if id(k.offering) in ruled_out
    }
    turned_down = [
        replace(row, reason=ruled_out[id(row.offering)]) if id(row.offering) in ruled_out else row
        for row in listed.turned_down
    ]
    turned_down += [
        TurnedDown(k.workload, k.offering, ruled_out[id(k.offering)]) for k in gone.values()
    ]
    return replace(
        listed,
        candidates=kept,
        before_queues=tuple(k for k in listed.before_queues if id(k.offering) not in ruled_out),
        turned_down=tuple(turned_down),
        warnings=model_warnings(kept),
        notes=(),
    )


def _ruled_out(
    known: Limits, asked: Limits, row: Offering | TokenPrice, *, by_billing: bool
) -> str | None:
    """Why `asked` rules a row out, '' where it does not; None where only `known` does.

    by_billing: they differ in the ways to pay alone. Then a row that both let be paid is ruled out
    by both or by neither, and what is said of it stays.
    """
    if by_billing:
        why = why_unpayable(asked, row)
        if why or not why_unpayable(known, row):
            return why
    why = excluded_by(asked, row)
    return None if not why and excluded_by(known, row) else why


def _sold(listed: CandidateList) -> Iterable[Offering | TokenPrice]:
    """Every row that was looked at, once, at the price that it is paid at."""
    rows = (k.offering for k in listed.candidates)
    return {id(row): row for row in (*rows, *(t.offering for t in listed.turned_down))}.values()


def _rates_key(problem: Problem) -> tuple[Any, ...]:
    workloads = tuple(
        w.model_copy(update={"traffic": w.traffic.model_copy(update={"growth": 1.0})})
        for w in problem.workloads
    )
    policy = problem.policy.model_copy(update=NEUTRAL)
    return workloads, policy, problem.prices, problem.limits.min_on_demand_replicas
