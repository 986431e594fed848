"""Why there is no plan, and what a plan does not show by its figures: records with numbers.

What they say in words is in `sentences.py`. To add one, add a record here, name it in its union,
and give it its words there.
"""

from __future__ import annotations

from enum import Enum

from milp_planner.lazily import dataclass

# ---- why there is no plan


@dataclass(frozen=True)
class Refusals:
    """Offerings turned down for one reason."""

    reason: str
    offerings: int


@dataclass(frozen=True)
class NothingServes:
    """No allowed offering can serve a workload."""

    workload: str
    refusals: tuple[Refusals, ...] = ()
    """What turned them down, the commonest first; the first few where there are many."""


@dataclass(frozen=True)
class ClassUnserved:
    """No allowed offering can serve a request class of a workload."""

    workload: str
    request_class: str
    obstacles: tuple[str, ...] = ()
    """What keeps replicas from serving it, in alphabetical order; the first few of many."""


@dataclass(frozen=True)
class AboveBudget:
    """The cheapest plan costs more than the budget."""

    cheapest_usd: float
    """Cash of the cheapest plan without the budget, USD/month."""

    budget_usd: float
    """USD/month."""

    proven: bool
    """True when that plan is proven to be the cheapest."""


@dataclass(frozen=True)
class NoFleet:
    """No fleet keeps all limits together."""


@dataclass(frozen=True)
class LimitInTheWay:
    """No fleet keeps this one limit, whatever the others are."""

    path: str
    """The key: `limits.max_gpus.total`."""

    value: str
    """What it is set to, with the unit: `1 GPU`."""


@dataclass(frozen=True)
class TooFewUnits:
    """An offering of which there are too few units."""

    offering: str
    billing: str
    units: int
    """Units that there are."""

    enough: int
    """Units that would do, with all others that are named."""


@dataclass(frozen=True)
class CatalogTooSmall:
    """No limit is to blame: the catalog has too few units of what could serve."""

    too_few: tuple[TooFewUnits, ...] = ()
    """The fewest units that would do beyond those that there are; empty where not known."""


@dataclass(frozen=True)
class Said:
    """A sentence whose numbers are not known apart: from the serving model, or from a document."""

    text: str


Reason = (
    NothingServes | ClassUnserved | AboveBudget | NoFleet | LimitInTheWay | CatalogTooSmall | Said
)
"""Why there is no plan."""


# ---- what a reader would otherwise miss


@dataclass(frozen=True)
class LatencyNotAssessed:
    """A strict workload that per-token offerings serve, whose latency nobody measured."""

    workload: str
    offerings: tuple[str, ...]


@dataclass(frozen=True)
class LlmsChosen:
    """Which of several LLMs serve a workload, in shares of its requests of the month."""

    workload: str
    shares: tuple[tuple[str, float], ...]
    quality: float | None
    """The mean of what the problem states of them; None where it states nothing."""

    asked: float | None
    """The mean that is asked for."""

    source: str = ""
    """The file, and its column, that states what the problem does not; '' for none."""


@dataclass(frozen=True)
class BatchesDone:
    """By whom the batches of a workload are done, in shares of the work."""

    workload: str
    by_idle: tuple[tuple[str, float], ...]
    """(workload, share) done by its units in the time that its own load leaves."""

    by_own: float
    per_token: float


@dataclass(frozen=True)
class NoFullLoad:
    """The overload penalty cannot occur: its ramp begins at full load or above."""


@dataclass(frozen=True)
class OverloadCannotOccur:
    """The overload penalty begins where no workload may run."""

    above: float
    """Utilization at which its ramp begins."""

    highest: float
    """The highest utilization that any workload may have."""


@dataclass(frozen=True)
class NothingIsStrict:
    """The strict latency penalty cannot occur: no wish for latency is below its threshold."""

    below_s: float


@dataclass(frozen=True)
class StrictNeverHot:
    """The strict latency penalty cannot occur: no strict workload may run in the high band."""

    highest: float
    """The highest utilization that a strict workload may have."""


@dataclass(frozen=True)
class TargetWithoutEffect:
    """A utilization ceiling above the target, and no penalty for what is between them."""

    ceiling: float
    target: float


@dataclass(frozen=True)
class RoutingWithoutEffect:
    """An endpoint for each offering, where no queue is judged: only a replay has them so."""


@dataclass(frozen=True)
class UnitsKeptApart:
    """Units of several GPUs that have room for others belong to one workload each: the problem does
    not say who shares them, and asks for what is not planned with shared ones by itself."""

    key: str
    """What it asks for."""


@dataclass(frozen=True)
class UnservedAtAPrice:
    """Requests left unserved because that is cheaper than to serve them."""

    workload: str
    share: float
    """Of the peak, at most."""

    penalty_usd: float
    """USD/month."""


@dataclass(frozen=True)
class ShortBudget:
    """A budget that does not pay for everything, and what it serves."""

    budget_usd: float
    """USD/month."""

    served: tuple[tuple[str, float], ...]
    """(workload, share of its peak that is served)."""

    everything_usd: float | None
    """What everything would cost, USD/month; None where that is not known."""


@dataclass(frozen=True)
class FewestGpusFirst:
    """The fewest GPUs were asked for, and of those fleets the cheapest."""

    gpus: int
    """Of the plan, each offering at its most units."""

    proven: bool
    """True where both are."""


@dataclass(frozen=True)
class PerfectForesight:
    """Units that follow the hours as known beforehand; what following the load would cost."""

    workload: str
    offering: str
    """What most of the rent is spent on: all of the autoscaler's replicas are of it."""

    plan_usd_per_month: float
    reactive_usd_per_month: float
    late_share: float
    """Of the requests, those that come beyond the autoscaler's capacity before it has followed."""


@dataclass(frozen=True)
class ServedInPart:
    """Not everything can be served, whatever it may cost, and what is."""

    served: tuple[tuple[str, float, float], ...]
    """(workload, what is served of its peak, its peak), as the workload's rates count."""

    used_up: tuple[str, ...]
    """Quotas and stocks of which nothing is left."""


@dataclass(frozen=True)
class WaitKept:
    """A wish that queues decide, in the block in which it takes longest, and what it needs."""

    workload: str
    what: str
    """`p99 wait`, `mean request`."""

    wished_s: float
    reached_s: float
    """By the formulas, of which half of the misses allowed are asked."""

    block: str
    replicas: int
    allowed: float
    """Utilization at which these replicas still keep the wish."""

    allowed_alone: float
    """The same of one replica, of the kind that there are most of."""

    burstiness: float
    """Coefficient of variation of the gaps between requests; 1 is Poisson."""

    judged: bool
    """False where bursts leave so little of the pool that the formulas are not known to hold."""

    offering: str = ""
    """Whose own queue it is about; '' behind one router before all replicas."""

    sent: tuple[tuple[str, float], ...] = ()
    """Every offering with a queue of its own, and which share of the requests it is sent."""

    sent_by_class: tuple[tuple[str, str, float], ...] = ()
    """(class, offering, share of the class) where the router must know the sizes of requests."""


@dataclass(frozen=True)
class WaitIdle:
    """A wish for a time in queues, longer than any replica could make it: it changes no plan."""

    workload: str
    what: str
    """`p99 wait`, `mean request`."""

    wished_s: float
    least_s: float
    """What it comes to at most, wherever the workload may be planned, by the formulas."""

    unknown: tuple[str, ...] = ()
    """Offerings in the plan whose waits nobody knows: sold per token."""


@dataclass(frozen=True)
class TimeNotJudged:
    """A percentile that the planner holds as it holds a mean, and does not judge beyond that."""

    workload: str
    what: str
    """`p99 ttft`."""

    metric: str
    """ttft or tpot."""

    wished_s: float
    held: bool = True
    """False where not even the mean is known of what serves."""


@dataclass(frozen=True)
class TimeReplayed:
    """A percentile that no formula judges, as a replay of the plan's fleet found it."""

    workload: str
    what: str
    """`p99 ttft`."""

    metric: str
    """ttft or tpot."""

    wished_s: float
    reached_s: float | None
    """None where so many requests never got there."""

    missed_share: float
    kept: bool
    unknown: tuple[str, ...] = ()
    """Offerings in the plan that are not replayed: sold per token."""


Remark = (
    LatencyNotAssessed
    | TimeNotJudged
    | TimeReplayed
    | WaitIdle
    | WaitKept
    | BatchesDone
    | LlmsChosen
    | NoFullLoad
    | OverloadCannotOccur
    | NothingIsStrict
    | StrictNeverHot
    | RoutingWithoutEffect
    | UnitsKeptApart
    | TargetWithoutEffect
    | UnservedAtAPrice
    | ShortBudget
    | FewestGpusFirst
    | PerfectForesight
    | ServedInPart
    | Said
)
"""What the figures of a plan do not show."""


# ---- the next-best plans


class EndReason(Enum):
    """Why a search ended before there was as much as was asked for."""

    NONE_LEFT = "none_left"
    TIME_LIMIT = "time_limit"
    STOPPED = "stopped"
    """By another thread, through `cancel`."""

    INTERRUPTED = "interrupted"
    """By a Ctrl-C."""


@dataclass(frozen=True)
class AlternativesEnded:
    """Why there are fewer next-best plans than asked for."""

    reason: EndReason
    differ_by: str
    """How they had to differ: counts, offerings, providers or gpus."""

    within: float | None = None
    """Share of the best plan's score by which they could be above it; None: by any amount."""


@dataclass(frozen=True)
class NearOptimal:
    """In which order next-best plans are told that are to be near the best one."""

    within: float
    """Share of the best plan's score by which they may be above it."""

    prefer: str
    """fewest_providers, fewest_offerings, fewest_gpu_types, most_different; '': the cheapest."""


@dataclass(frozen=True)
class SameAs:
    """An offering bought that stands for others, too: they differ in nothing that matters."""

    offering: str
    regions: tuple[str, ...] = ()
    """Of the same offering at the same provider."""

    others: tuple[str, ...] = ()
    """Offerings by id."""


AlternativesNote = AlternativesEnded | NearOptimal | SameAs | Said
"""What is to be known of the next-best plans."""
