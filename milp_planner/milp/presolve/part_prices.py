"""Replicas that may stand on shared units, each at its part of the price.

If each could be had alone for that, no plan would cost more:

    Σ_{k on j} (g_k ÷ G_j) c_j n_k ≤ c_j n_j      as Σ_{k on j} g_k n_k ≤ G_j n_j

Then nothing but limits over all workloads links them, and each is solved apart. Where no unit of
one's own is dearer than that, none is shared in any plan that costs less.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.catalog.records import Offering
from milp_planner.inputs.problem.policies import is_gpus_first, may_be_short
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.language.variables import tracks_changes
from milp_planner.milp.program.limits.quotas import user_quotas

LARGE = 20_000
"""Columns before pruning above which it saves time to leave out what may not bind: quotas, and
wishes that all plans keep in one way."""


def counts_units(problem: Problem) -> bool:
    """True where a part of a unit might count for more than its share of it, or cost more."""
    is_counted = any(user_quotas(problem)) or problem.limits.max_power_kw is not None
    paid = problem.commitments or problem.prices.volume or problem.policy.start_up
    staged = is_gpus_first(problem) or may_be_short(problem)
    return bool(is_counted or paid or problem.policy.power_by_load or staged or problem.rules)


def counts_changes(problem: Problem) -> bool:
    """True where a unit that is kept or added counts whole, so that a part of it has no price."""
    return bool(problem.current_fleet) or tracks_changes(problem)


def at_their_part(parts: Iterable[Candidate]) -> Iterator[Candidate]:
    """Each replica on a unit of its own, of as many GPUs as it has, for its part of the price."""
    for k in parts:
        assert isinstance(k.offering, Offering)
        part = k.gpus_per_unit
        smaller = k.offering.model_copy(
            update={
                "name": f"{k.offering.name}-{part}-of-{k.offering.gpus_per_unit}",
                "gpus_per_unit": part,
                "usd_per_hour": k.usd_per_hour,
                "max_units": None,
            }
        )
        yield replace(k, offering=smaller, part_of_unit=False)


def of_one_each(instance: PlanningInput, candidates: Iterable[Candidate]) -> PlanningInput:
    """The problem of these candidates, each of which belongs to one workload, and of no others
    without its wishes for waits."""
    policy = instance.problem.policy.model_copy(update={"share": "none"})
    problem = instance.problem.model_copy(update={"policy": policy})
    listed = replace(instance.candidates, candidates=tuple(candidates), parts=(), before_queues=())
    return replace(instance, problem=problem, candidates=listed)


def without_parts(instance: PlanningInput) -> PlanningInput:
    """The same problem where nobody is known to share anything."""
    return replace(instance, candidates=replace(instance.candidates, parts=()))


def columns_of(instance: PlanningInput, candidates: Iterable[Candidate]) -> int:
    """Candidates times blocks with load."""
    busy = {
        name: sum(peak > 0 for peak in demand.peak)
        for name, demand in instance.schedule.demands.items()
    }
    return sum(busy[k.workload] for k in candidates)
