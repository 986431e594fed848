"""What a reader would otherwise miss: penalties that cannot occur, and requests left unserved.

To add a note, write a generator here and name it in `NOTES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from milp_planner.inputs.problem.policies import can_overload, is_strict, utilization_limit
from milp_planner.inputs.problem.records import Problem
from milp_planner.plans.records import MEDIUM_BAND, WorkloadPlan

Note = Callable[[Problem, Sequence[WorkloadPlan]], Iterator[str]]


def notes(problem: Problem, workloads: Sequence[WorkloadPlan]) -> Iterator[str]:
    """One line for everything about a plan of `problem` that its figures do not show."""
    for note in NOTES:
        yield from note(problem, workloads)


def overload_cannot_occur(problem: Problem, _: Sequence[WorkloadPlan]) -> Iterator[str]:
    """The ramp begins where no workload may run."""
    ramp = problem.policy.active_penalties.overload
    if ramp is None or any(can_overload(problem, w) for w in problem.workloads):
        return
    if ramp.above >= 1:
        yield "the overload penalty cannot occur: a ramp above 100 % has no full load to end at"
        return
    highest = max(utilization_limit(problem, w) for w in problem.workloads)
    yield (
        f"the overload penalty cannot occur: it starts above {_percent(ramp.above)} utilization, "
        f"and no workload may run above {_percent(highest)}"
    )


def strict_latency_cannot_occur(problem: Problem, _: Sequence[WorkloadPlan]) -> Iterator[str]:
    """No workload is strict, or none of those that are may run in the high band."""
    penalties = problem.policy.active_penalties
    if penalties.strict_latency is None:
        return
    strict = [w for w in problem.workloads if is_strict(penalties, w)]
    if not strict:
        yield (
            "the strict latency penalty cannot occur: no workload has a latency requirement "
            f"below {penalties.strict_latency.below_s * 1000:g} ms"
        )
        return
    highest = max(utilization_limit(problem, w) for w in strict)
    if highest <= MEDIUM_BAND:
        yield (
            "the strict latency penalty cannot occur: it needs the high band, above "
            f"{_percent(MEDIUM_BAND)} utilization, and no strict workload may run above "
            f"{_percent(highest)}"
        )


def hot_for_nothing(problem: Problem, _: Sequence[WorkloadPlan]) -> Iterator[str]:
    """A ceiling above the target that nothing is charged for."""
    utilization, penalties = problem.policy.utilization, problem.policy.active_penalties
    charged = penalties.overload is not None or penalties.strict_latency is not None
    if utilization.highest > utilization.target and not charged:
        yield (
            f"the utilization ceiling of {_percent(utilization.highest)} is above the target of "
            f"{_percent(utilization.target)} and no penalty is set on it: the target has no effect"
        )


def unserved_at_a_price(problem: Problem, workloads: Sequence[WorkloadPlan]) -> Iterator[str]:
    """Requests that are left unserved because that is cheaper than to serve them."""
    if problem.policy.active_penalties.shortfall is None:
        return
    for w in workloads:
        if w.shortfall_share > 0:
            yield (
                f"up to {w.shortfall_share:.2%} of {w.name!r} is left unserved: at "
                f"${w.penalties['shortfall']:,.2f} per month that is cheaper than to serve it"
            )


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


NOTES: tuple[Note, ...] = (
    overload_cannot_occur,
    strict_latency_cannot_occur,
    hot_for_nothing,
    unserved_at_a_price,
)
