"""A threshold autoscaler, minute by minute: the write-up on capacity planning, and its sizing rule.

It answers "what would a plain autoscaler do with this day?", to hold beside a plan, in
`milp-planner replay --autoscaler`. Plans do not use it: a time block has the units that its peak
needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor

from milp_planner.lazily import dataclass, field
from milp_planner.units import SECONDS_PER_HOUR

MINUTES_PER_HOUR = 60
HEADROOM = 1.2  # the write-up's spare capacity on top of the rate
ALMOST = 1e-9  # 12 / 0.1 in floats is 120.00000000000001


@dataclass(frozen=True)
class ScalingRules:
    """When replicas are added and taken away."""

    up_above: float = 0.75
    """Utilization above which replicas are added."""

    down_below: float = 0.30
    up_step: float = 0.50
    """Share of the replicas that is added at once, at least one."""

    down_step: float = 0.25
    up_cooldown_minutes: int = 5
    """Least minutes since the last change before replicas are added."""

    down_cooldown_minutes: int = 15
    fewest: int = 2
    most: int = 100


@dataclass(frozen=True)
class ScalingEvent:
    """One change of the number of replicas."""

    minute: int
    before: int
    after: int


@dataclass(frozen=True)
class ScalingDay:
    """What the autoscaler did."""

    events: tuple[ScalingEvent, ...]
    peak_replicas: int
    replica_hours: float
    usd: float
    mean_utilization: float
    """Requests served ÷ requests that the replicas could have served."""

    unserved_requests: float
    """Requests beyond the replicas' capacity."""

    @property
    def waste(self) -> float:
        """Share of what was paid for that did nothing."""
        return 1 - self.mean_utilization


def simulate(
    requests_per_second_by_hour: Sequence[float],
    requests_per_second_per_replica: float,
    usd_per_replica_hour: float,
    rules: ScalingRules = ScalingRules(),  # frozen
) -> ScalingDay:
    """The hours of a profile in minutes, from the fewest replicas at minute 0.

    Each minute: above `up_above` the replicas grow by ⌊n · up_step⌋, at least 1; below `down_below`
    they shrink to ⌊n · (1 − down_step)⌋; within the bounds, and not before the cooldown since the
    last change (or the start). A minute is paid for with the replicas after the change. Raises
    ValueError where a rate or price is not positive.
    """
    if requests_per_second_per_replica <= 0 or usd_per_replica_hour < 0:
        raise ValueError("a replica needs a rate above 0 and a price of at least 0")
    day = _Day(rules)
    for minute in range(len(requests_per_second_by_hour) * MINUTES_PER_HOUR):
        rate = requests_per_second_by_hour[minute // MINUTES_PER_HOUR]
        day.scale(minute, rate / (day.replicas * requests_per_second_per_replica))
        day.serve(rate, day.replicas * requests_per_second_per_replica)
    hours = day.replica_minutes / MINUTES_PER_HOUR
    capacity = hours * SECONDS_PER_HOUR * requests_per_second_per_replica
    return ScalingDay(
        events=tuple(day.events),
        peak_replicas=day.peak,
        replica_hours=hours,
        usd=hours * usd_per_replica_hour,
        mean_utilization=day.served / capacity if capacity else 0.0,
        unserved_requests=day.unserved,
    )


def gpus_for_rate(
    requests_per_second: float, requests_per_second_per_gpu: float, headroom: float = HEADROOM
) -> int:
    """GPUs = ⌈rate × headroom ÷ rate of one GPU⌉, the write-up's sizing of a cluster.

    Raises ValueError where the rate of one GPU is not above 0.
    """
    if requests_per_second_per_gpu <= 0:
        raise ValueError("one GPU needs a rate above 0")
    return ceil(requests_per_second * headroom / requests_per_second_per_gpu * (1 - ALMOST))


@dataclass
class _Day:
    rules: ScalingRules
    replicas: int = 0
    peak: int = 0
    last_change: int = 0
    replica_minutes: int = 0
    served: float = 0.0
    unserved: float = 0.0
    events: list[ScalingEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.replicas = self.peak = self.rules.fewest

    def scale(self, minute: int, utilization: float) -> None:
        """Add or take away replicas, if the cooldown is over."""
        rules, n, since = self.rules, self.replicas, minute - self.last_change
        wanted = n
        if utilization > rules.up_above and since >= rules.up_cooldown_minutes:
            wanted = min(rules.most, n + max(1, floor(n * rules.up_step)))
        elif utilization < rules.down_below and since >= rules.down_cooldown_minutes:
            wanted = max(rules.fewest, floor(n * (1 - rules.down_step)))
        if wanted != n:
            self.events.append(ScalingEvent(minute, n, wanted))
            self.replicas, self.last_change = wanted, minute
            self.peak = max(self.peak, wanted)

    def serve(self, rate: float, capacity: float) -> None:
        """One minute at `rate` requests/s."""
        seconds = SECONDS_PER_HOUR / MINUTES_PER_HOUR
        self.replica_minutes += self.replicas
        self.served += min(rate, capacity) * seconds
        self.unserved += max(0.0, rate - capacity) * seconds
