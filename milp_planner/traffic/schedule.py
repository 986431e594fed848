"""The month as plain data: time blocks, and what every workload asks in each of them."""

from __future__ import annotations

from functools import cached_property
from math import fsum

from milp_planner.lazily import dataclass
from milp_planner.traffic.digested import TraceDigest
from milp_planner.units import SECONDS_PER_HOUR


@dataclass(frozen=True)
class TimeBlock:
    """Hours of the month that share one load."""

    name: str
    hours: float


@dataclass(frozen=True)
class RequestClass:
    """Requests of one size inside a workload."""

    name: str
    input_tokens: float
    output_tokens: float
    share: float
    """Share of the workload's requests."""

    @property
    def tokens(self) -> float:
        """Input and output tokens of one request."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True)
class Demand:
    """What one workload asks in every block, in requests/s."""

    workload: str
    classes: tuple[RequestClass, ...]
    peak: tuple[float, ...]
    """Peak rate per block, requests/s; 0 where the workload is idle."""

    mean: tuple[float, ...]
    """Mean rate per block, requests/s."""

    efficiency: float = 1.0
    batch_multiplier: float = 1.0
    sized: bool = True
    """False when the problem states no request sizes; a 'request' then is one token."""

    trace: TraceDigest | None = None
    """The trace that the demand was read from."""

    unit: str = "requests/s"
    """What the rates count; `users` of concurrent users, `tokens/s` where no sizes are stated."""

    requests_per_unit: float = 1.0
    """Requests/s that one unit of the rates sends: of a user, at the speed wished for."""

    can_wait: bool = False
    """True of batch work: the rates are those of work spread evenly over the hours in which it may
    be done, and the program decides when it is."""

    @property
    def highest_peak(self) -> float:
        """The largest peak rate of any block, requests/s."""
        return max(self.peak)

    @property
    def busiest(self) -> int:
        """Index of the block with the largest peak; the first of equals."""
        return self.peak.index(self.highest_peak)

    @property
    def tokens_per_request(self) -> float:
        """Mean tokens of one request, input and output together."""
        return sum(q.share * q.tokens for q in self.classes)


@dataclass(frozen=True)
class Schedule:
    """The month of a problem: its blocks, and every workload's demand in them."""

    blocks: tuple[TimeBlock, ...]
    demands: dict[str, Demand]
    block_by_hour: tuple[int, ...] = ()
    """Block of each hour of the day (24) or week (168); empty when no clock is known.

    Where a pattern's active hours end within an hour, the block that has the larger part of it.
    """

    @cached_property
    def loaded_blocks(self) -> int:
        """How many blocks have load, of whatever workload."""
        peaks = zip(*(demand.peak for demand in self.demands.values()), strict=True)
        return sum(any(peaks_of_all) for peaks_of_all in peaks)

    def requests_per_month(self, workload: str, block: int) -> float:
        """Requests of a workload in a block over the month."""
        mean = self.demands[workload].mean[block]
        requests_per_second = mean * self.demands[workload].requests_per_unit
        return requests_per_second * self.blocks[block].hours * SECONDS_PER_HOUR

    def tokens_per_month(self, workload: str) -> float:
        """Input and output tokens of a workload over the month."""
        demand = self.demands[workload]
        if demand.unit == "requests/s" and not demand.sized:
            return 0.0  # requests of a model that has no tokens
        requests = sum(self.requests_per_month(workload, t) for t in range(len(self.blocks)))
        return requests * demand.tokens_per_request


@dataclass(frozen=True)
class Totals:
    """A volume of traffic."""

    requests: float
    input_tokens: float
    output_tokens: float

    @property
    def tokens(self) -> float:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def times(self, factor: float) -> Totals:
        """The same traffic, more or less of it."""
        return Totals(
            self.requests * factor, self.input_tokens * factor, self.output_tokens * factor
        )

    def difference(self, other: Totals) -> float:
        """The largest difference of any of the three, relative to the other's."""
        pairs = (
            (self.requests, other.requests),
            (self.input_tokens, other.input_tokens),
            (self.output_tokens, other.output_tokens),
        )
        return max(abs(mine - theirs) / (abs(theirs) or 1.0) for mine, theirs in pairs)


def totals(schedule: Schedule, workload: str) -> Totals:
    """What the blocks and classes of a workload add up to over the month."""
    classes = schedule.demands[workload].classes
    blocks = range(len(schedule.blocks))
    return volume(fsum(schedule.requests_per_month(workload, t) for t in blocks), classes)


def volume(requests: float, classes: tuple[RequestClass, ...]) -> Totals:
    """So many requests, in the classes' shares and sizes."""
    return Totals(
        requests,
        requests * fsum(q.share * q.input_tokens for q in classes),
        requests * fsum(q.share * q.output_tokens for q in classes),
    )
