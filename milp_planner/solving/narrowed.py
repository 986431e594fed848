"""Candidates of a stricter problem taken from those of a wider one, instead of listed anew.

What an offering can do depends on the workload and on how sure to be, not on which limits let it
through. So a problem that lets through fewer offerings has the candidates of the wider one, without
those that its own limits rule out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from milp_planner.candidates.builder import excluded_by, model_warnings
from milp_planner.candidates.records import CandidateList, PlanningInput, TurnedDown
from milp_planner.deadline import checked
from milp_planner.errors import InputError
from milp_planner.inputs.catalog.records import Offering, TokenPrice
from milp_planner.inputs.problem.policy import Penalties
from milp_planner.inputs.problem.records import Problem
from milp_planner.solving.checks.bounds import bound_faults
from milp_planner.solving.checks.names import limit_faults

NEUTRAL = {
    "preset": None,
    "penalties": Penalties(),
    "switch_off_dedicated": None,
    "spot_loss": 0,
    "start_up": (),
}
"""Keys of the policy that change prices of a plan, and no candidate and no block."""


def narrowed(known: PlanningInput, problem: Problem) -> PlanningInput | None:
    """`problem` with candidates of the wider `known`; None where that is not wider.

    Raises InputError for names unknown and for numbers out of range, as `prepare` does.
    """
    if _rates_key(known.problem) != _rates_key(problem):
        return None
    wrong = list(limit_faults(problem, known.catalog))
    if wrong:
        raise InputError(wrong)
    sold: list[Offering | TokenPrice] = [*known.catalog.offerings, *known.catalog.token_prices]
    ruled_out: dict[int, str] = {}
    for row in checked(sold):
        reason = excluded_by(problem.limits, row)
        if reason:
            ruled_out[id(row)] = reason
        elif excluded_by(known.problem.limits, row):
            return None
    listed = known.candidates
    kept = tuple(k for k in checked(listed.candidates) if id(k.offering) not in ruled_out)
    gone = {
        (k.workload, k.offering.key): k for k in listed.candidates if id(k.offering) in ruled_out
    }
    turned_down = [
        replace(row, reason=ruled_out.get(id(row.offering), row.reason))
        for row in checked(listed.turned_down)
    ]
    turned_down += [
        TurnedDown(k.workload, k.offering, ruled_out[id(k.offering)]) for k in gone.values()
    ]
    warnings = model_warnings(kept)
    candidates = CandidateList(kept, tuple(turned_down), warnings, doubts=listed.doubts)
    faults = list(bound_faults(problem, known.schedule, candidates))
    if faults:
        raise InputError(faults)
    return replace(known, problem=problem, candidates=candidates)


def _rates_key(problem: Problem) -> tuple[Any, ...]:
    policy = problem.policy.model_copy(update=NEUTRAL)
    return problem.workloads, policy, problem.limits.min_on_demand_replicas
