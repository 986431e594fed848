"""What a problem says where that takes more than one key: what is allowed, and how hot."""

from __future__ import annotations

from collections.abc import Iterable

from milp_planner.errors import argument_error
from milp_planner.inputs.catalog.billing import BILLING_MODES
from milp_planner.inputs.problem.policy import Penalties
from milp_planner.inputs.problem.records import BAND_CEILINGS, Problem, Workload

NO_PENALTIES = Penalties()


def utilization_limit(problem: Problem, workload: Workload) -> float:
    """The highest utilization the workload may be planned at."""
    limit = problem.policy.utilization.highest
    if workload.latency.max_band in BAND_CEILINGS:
        limit = min(limit, BAND_CEILINGS[workload.latency.max_band])
    return limit


def when_short(problem: Problem) -> str:
    """How less than everything is served where that must be: fail, fair or priority."""
    said, budget = problem.policy.when_short, problem.limits.budget
    if said in (None, "fail") and budget is not None:
        return budget.when_short
    return said or "fail"


def all_may_be_short(problem: Problem) -> bool:
    """True where less may be served whatever is short; False where only money may be, if that.

    What the budget says holds for all, unless the policy says `fail`.
    """
    return problem.policy.when_short != "fail" and when_short(problem) != "fail"


def may_be_short(problem: Problem) -> bool:
    """True where the user lets what is short serve less: a budget, or whatever it is."""
    return when_short(problem) != "fail"


def may_fall_short(problem: Problem) -> bool:
    """True where the user allows unserved requests: at a price, or where something is short."""
    return problem.policy.active_penalties.shortfall is not None or may_be_short(problem)


def has_penalties(problem: Problem) -> bool:
    """True where soft outcomes have a price, so that a plan's score may be more than its cash."""
    return problem.policy.active_penalties != NO_PENALTIES


def has_one_router(problem: Problem, workload: Workload) -> bool:
    """True where one router before all replicas of the workload spreads it by what they can."""
    return workload.latency.judges_queues and problem.policy.routing != "per_offering"


def has_own_queues(problem: Problem, workload: Workload) -> bool:
    """True where queues are judged, of each offering by itself."""
    return workload.latency.judges_queues and problem.policy.routing == "per_offering"


def is_sharing_open(problem: Problem) -> bool:
    """True where workloads may share units, and may have units to themselves beside them.

    The problem does not say whether they share them; or it says so, and that units are off while
    their workload is idle, which those of one workload are and shared ones are not.
    """
    share = problem.policy.share
    may_rest = share == "units" and bool(problem.policy.switch_off_dedicated)
    return (share is None or may_rest) and len(problem.workloads) > 1


def shares_units(problem: Problem) -> bool:
    """True where all units of several GPUs may be shared, as the problem says."""
    return problem.policy.share in ("units", "gpus") and not is_sharing_open(problem)


def shares_gpus(problem: Problem) -> bool:
    """True where it says that their LLMs may stand on one GPU, too."""
    return problem.policy.share == "gpus"


def is_batch(workload: Workload) -> bool:
    """True where the work can wait until a deadline."""
    return workload.traffic.kind == "batch"


def has_batches(problem: Problem) -> bool:
    """True where some work can wait."""
    return problem.known_of(problem.workloads, _any_batch)


def _any_batch(workloads: Iterable[Workload]) -> bool:
    return any(map(is_batch, workloads))


def can_overload(problem: Problem, workload: Workload) -> bool:
    """True where the workload may run hot enough for the overload penalty."""
    ramp = problem.policy.active_penalties.overload
    return ramp is not None and ramp.above < min(1.0, utilization_limit(problem, workload))


def is_strict(penalties: Penalties, workload: Workload) -> bool:
    """True where the latency requirement is below the penalty's threshold (300 ms by default)."""
    threshold = 0.3 if penalties.strict_latency is None else penalties.strict_latency.below_s
    requirement = workload.latency.requirement_s
    return requirement is not None and requirement < threshold


def allowed_billings(problem: Problem) -> tuple[str, ...]:
    """The ways to pay that the problem allows, said or by default."""
    said = problem.limits.billing.allow
    usual = {mode.name for mode in BILLING_MODES.values() if mode.by_default}
    if problem.quotes:
        usual.add("committed")  # what is quoted is meant
    return said or tuple(name for name in BILLING_MODES if name in usual)


def most_replicas_asked(problem: Problem, workload: Workload) -> int:
    """The most replicas that any limit asks for: fewer, faster ones stand in beyond them."""
    return max(workload.min_replicas, problem.limits.min_on_demand_replicas or 0)


def is_gpus_first(problem: Problem) -> bool:
    """True where fewer GPUs count before money."""
    return problem.objective == "gpus"


def by_cost(problem: Problem) -> Problem:
    """The same question when GPUs do not count."""
    return problem.model_copy(update={"objective": "cost"})


def check_by_cost(problem: Problem, asked: str) -> None:
    """Raise ArgumentError where GPUs count before money: what is asked is about money."""
    if is_gpus_first(problem):
        message = f"{asked} is about what things cost, and objective: gpus puts GPUs first"
        raise argument_error(message, path="objective", hint="leave it out to ask that")
