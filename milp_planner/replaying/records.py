"""What a replay is asked and what it found, as plain frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from milp_planner.lazily import dataclass

ReplayMetric = Literal["wait", "ttft", "tpot", "request"]
METRICS: tuple[ReplayMetric, ...] = ("wait", "ttft", "tpot", "request")
"""wait: from arrival to admission. ttft: wait, prefill queue and prefill. tpot: time per output
token after that. request: from arrival to the last token. All in seconds."""

SHARES = (0.5, 0.95, 0.99)
"""Percentiles that are told of every metric."""


@dataclass(frozen=True)
class ReplayLoss:
    """What is taken away for a while."""

    kind: Literal["provider", "region", "offering"]
    name: str
    at_s: float
    """On the clock of the replay, seconds after its first hour begins."""

    for_s: float


@dataclass(frozen=True)
class ReplayWish:
    """A time that a share of the requests must keep, or their mean where no share is given."""

    metric: ReplayMetric
    wished_s: float
    share: float | None = None
    """0.99 for a p99."""

    workload: str = ""
    """Whose; '' for all."""


@dataclass(frozen=True)
class Undisturbed:
    """How a wish fares with the same requests when no spot replica is taken away."""

    reached_s: float | None
    missed_share: float


@dataclass(frozen=True)
class WishReplayed:
    """How a wish fared."""

    wish: ReplayWish
    workload: str
    reached_s: float | None
    """The percentile or mean reached; None where some of it never came."""

    missed_share: float
    """Of the counted requests, those later than wished, or never served."""

    missed_half_width: float
    """Half of the 95 % interval of that share."""

    undisturbed: Undisturbed | None = None
    """Where spot replicas are taken away."""

    only_waits: bool = False
    """Of a first token: how long prompts take is not known of some replica, so that these are the
    waits alone, and one that keeps the wish need not."""

    slowed: float = 1.0
    """Of a plain tpot of the problem's: replayed ÷ expected speed. Plans hold it at the expected
    speed, as their rates are, so that the figures here are of that; 1 elsewhere."""

    @property
    def kept(self) -> bool:
        """By the misses of a percentile, not by its quantile, which is less certain."""
        if self.wish.share is not None:
            return self.missed_share <= 1 - self.wish.share + 1e-12
        return self.reached_s is not None and self.reached_s <= self.wish.wished_s

    @property
    def is_unsure(self) -> bool:
        """Whether so few requests might have said the opposite of a percentile."""
        if self.wish.share is None:
            return False
        return abs(self.missed_share - (1 - self.wish.share)) < self.missed_half_width


@dataclass(frozen=True)
class ReplayFigure:
    """A percentile of a metric with its 95 % interval, in seconds."""

    value_s: float | None
    """None where so many requests never got there."""

    half_width_s: float | None
    """Half of the interval; None where it is not known."""


@dataclass(frozen=True)
class StretchReplayed:
    """One hour, or block, of one workload."""

    name: str
    start_s: float
    end_s: float
    requests: int
    requests_per_second: float
    """As they came."""

    replicas: float
    """On, on average."""

    utilization: float
    """Requests/s that came ÷ those that the replicas on could serve."""

    queue: float
    """Requests waiting, on average."""

    wait_p99_s: float | None
    ttft_p99_s: float | None
    tpot_mean_s: float | None
    request_p99_s: float | None


@dataclass(frozen=True)
class SpotReplayed:
    """Spot replicas of a pool, each taken away by itself at random moments."""

    replicas: int
    per_hour: float
    """Interruptions of a replica that is up, on average over them."""

    interruptions: int
    """Of all of them, over all seeds."""

    by_stated_loss: bool
    """As many as `policy.spot_loss` comes to; else as many as were asked for."""


@dataclass(frozen=True)
class PoolReplayed:
    """How the requests of one workload fared before its replicas."""

    workload: str
    requests: int
    """Counted: the warm-up is left out, those that were never served are not."""

    never_served: int
    restarts: int
    """Times that a request was lost with its replica, and began anew."""

    per_token_share: float
    """Largest share of the requests that APIs serve: it is not replayed."""

    figures: Mapping[ReplayMetric, Mapping[float, ReplayFigure]]
    """Here and in the means: without ttft where nobody knows how long prompts take."""

    means: Mapping[ReplayMetric, ReplayFigure]
    formula_wait_p99_s: float | None
    """By the formulas of serving/queues, in the busiest stretch; None where they say nothing."""

    replayed_wait_p99_s: float | None
    """The same stretch as it was replayed."""

    rate_only: bool
    """Only rates are known of some replicas: each then serves one request at a time."""

    stretches: tuple[StretchReplayed, ...]
    spot: SpotReplayed | None = None
    """None where the pool has no spot replicas."""

    is_unlike: bool = False
    """Its replicas are not all as fast: the formulas promise too much before a router."""


@dataclass(frozen=True)
class ReactiveDay:
    """What a threshold autoscaler does with the hours of a workload."""

    workload: str
    offering: str
    """The one whose replicas it adds and takes away: what most of the rent is spent on."""

    events: int
    peak_replicas: int
    waste: float
    """Share of what is paid for that does nothing."""

    unserved_requests: float
    """Beyond its capacity, over the hours of the clock."""

    usd_per_month: float
    plan_usd_per_month: float
    """Of the plan's whole fleet for the workload."""


@dataclass(frozen=True)
class Replay:
    """What a plan's fleet did with requests one by one."""

    name: str
    router: str
    seeds: tuple[int, ...]
    sent: int
    """Requests of all workloads and seeds."""

    stopped_early: bool
    """The time limit ended it: fewer requests came than were asked for."""

    shortened: float
    """Share of each hour that was replayed; 1 is all of it."""

    pools: tuple[PoolReplayed, ...]
    wishes: tuple[WishReplayed, ...]
    reactive: tuple[ReactiveDay, ...] = ()
    """Where an autoscaler ran instead of the plan's timetable."""

    @property
    def keeps_all_wishes(self) -> bool:
        """True where none was missed."""
        return all(wish.kept for wish in self.wishes)
