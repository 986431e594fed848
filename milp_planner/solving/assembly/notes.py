"""What a reader would otherwise miss: penalties that cannot occur, and requests left unserved.

To add a note, add its record to `plans/reasons.py` and its words to `plans/sentences.py`, write a
generator here and name it in `NOTES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from milp_planner.inputs.problem.policies import can_overload, is_strict, utilization_limit
from milp_planner.inputs.problem.records import Problem
from milp_planner.plans.reasons import (
    NoFullLoad,
    NothingIsStrict,
    OverloadCannotOccur,
    Remark,
    RoutingWithoutEffect,
    StrictNeverHot,
    TargetWithoutEffect,
    TimeNotJudged,
    UnservedAtAPrice,
)
from milp_planner.plans.records import MEDIUM_BAND, WorkloadPlan

Note = Callable[[Problem, Sequence[WorkloadPlan]], Iterator[Remark]]


def notes(problem: Problem, workloads: Sequence[WorkloadPlan]) -> Iterator[Remark]:
    """A remark on everything about a plan of `problem` that its figures do not show."""
    for note in NOTES:
        yield from note(problem, workloads)


def without_effect(problem: Problem) -> Iterator[Remark]:
    """A remark on every setting of `problem` that changes no plan of it."""
    for note in WITHOUT_EFFECT:
        yield from note(problem, ())


def overload_cannot_occur(problem: Problem, _: Sequence[WorkloadPlan]) -> Iterator[Remark]:
    """The ramp begins where no workload may run."""
    ramp = problem.policy.active_penalties.overload
    if ramp is None or any(can_overload(problem, w) for w in problem.workloads):
        return
    if ramp.above >= 1:
        yield NoFullLoad()
        return
    highest = max(utilization_limit(problem, w) for w in problem.workloads)
    yield OverloadCannotOccur(ramp.above, highest)


def strict_latency_cannot_occur(problem: Problem, _: Sequence[WorkloadPlan]) -> Iterator[Remark]:
    """No workload is strict, or none of those that are may run in the high band."""
    penalties = problem.policy.active_penalties
    if penalties.strict_latency is None:
        return
    strict = [w for w in problem.workloads if is_strict(penalties, w)]
    if not strict:
        yield NothingIsStrict(penalties.strict_latency.below_s)
        return
    highest = max(utilization_limit(problem, w) for w in strict)
    if highest <= MEDIUM_BAND:
        yield StrictNeverHot(highest)


def hot_for_nothing(problem: Problem, _: Sequence[WorkloadPlan]) -> Iterator[Remark]:
    """A ceiling above the target that nothing is charged for."""
    utilization, penalties = problem.policy.utilization, problem.policy.active_penalties
    charged = penalties.overload is not None or penalties.strict_latency is not None
    if utilization.highest > utilization.planned and not charged:
        yield TargetWithoutEffect(utilization.highest, utilization.target)


def endpoints_for_nothing(problem: Problem, _: Sequence[WorkloadPlan]) -> Iterator[Remark]:
    """An endpoint for each offering, where no workload has its queues judged."""
    judged = any(w.latency.judges_queues or w.latency.is_judged_after for w in problem.workloads)
    if problem.policy.routing == "per_offering" and not judged:
        yield RoutingWithoutEffect()


def unserved_at_a_price(problem: Problem, workloads: Sequence[WorkloadPlan]) -> Iterator[Remark]:
    """Requests that are left unserved because that is cheaper than to serve them."""
    if problem.policy.active_penalties.shortfall is None:
        return
    for w in workloads:
        if w.shortfall_share > 0:
            yield UnservedAtAPrice(w.name, w.shortfall_share, w.penalties["shortfall"])


def only_a_replay_tells(problem: Problem, plans: Sequence[WorkloadPlan]) -> Iterator[Remark]:
    """Percentiles of the first token and of those after it."""
    known = {plan.name: {"tpot": plan.tpot_s, "ttft": plan.ttft_s} for plan in plans}
    for w in problem.workloads:
        for wish in w.latency.unjudged:
            held = known[w.name][wish.metric] is not None
            yield TimeNotJudged(w.name, wish.words, wish.metric, wish.wished_s, held)


WITHOUT_EFFECT: tuple[Note, ...] = (
    overload_cannot_occur,
    strict_latency_cannot_occur,
    hot_for_nothing,
    endpoints_for_nothing,
)
"""What the problem alone tells, before there is a plan."""

NOTES: tuple[Note, ...] = (only_a_replay_tells, *WITHOUT_EFFECT, unserved_at_a_price)
