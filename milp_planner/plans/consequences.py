"""What a plan means beside its costs: what is left after a loss, what that safety costs, what
becomes of today's units, what rests on old prices; and what a document sums up. Plain data;
`losses`, `resilience`, `changes` and `document` work it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final

from milp_planner.inputs.catalog.records import Offering, TokenPrice
from milp_planner.lazily import dataclass

NEVER_INCLUDED: Final = ("egress", "storage", "support", "tax")
STAFF: Final = "staff"
START_UP: Final = "start-up and model loading"
NOT_STATED: Final = " where it is not stated"
NOT_INCLUDED: Final = (*NEVER_INCLUDED, STAFF, "network latency", START_UP)
"""What no figure of a plan counts, where neither problem nor catalog states any of it."""

PRICE_RISE: Final = 0.20
"""By how much old prices are taken to have risen: a round figure to ask with, not a forecast."""


@dataclass(frozen=True)
class UnitChange:
    """What happens to the units of one offering for one workload."""

    workload: str
    """'' where replicas of any workload may share the units."""

    offering: str
    billing: str
    today: int
    """Units running today."""

    planned: int
    """Units of the plan: the most that are on in any block."""

    @property
    def keep(self) -> int:
        """Units that stay."""
        return min(self.today, self.planned)

    @property
    def add(self) -> int:
        """Units to rent besides."""
        return max(0, self.planned - self.today)

    @property
    def remove(self) -> int:
        """Units to give back."""
        return max(0, self.today - self.planned)


@dataclass(frozen=True)
class Loss:
    """What one loss leaves of a workload's service, in the block where that is least."""

    workload: str
    kind: str
    """provider, region, offering or spot."""

    lost: str
    block: str
    left: float
    """Capacity that is left, units at 100 % utilization, per-token offerings as they serve.

    Where that is too little, what per-token offerings take over is part of it.
    """

    served: float
    """What the plan serves at the peak of the block."""

    unit: str = "requests/s"
    """What the two count: as the workload's own rates do."""

    stands_by: tuple[str, ...] = ()
    """Per-token offerings that take over what the rest of the fleet cannot serve; in `left`."""

    @property
    def share(self) -> float:
        """What is left as a share of what the plan serves; above 1 the loss is not felt."""
        return self.left / self.served

    @property
    def utilization(self) -> float | None:
        """How busy the rest is when it serves the whole peak; None where nothing is left."""
        return self.served / self.left if self.left else None


@dataclass(frozen=True)
class ResilienceCost:
    """What `survive_loss_of` costs: two optima compared."""

    with_limit_usd: float
    """Score of the plan, USD/month."""

    without_limit_usd: float | None
    """Score of the best plan without the limit; None when that was not reached in time."""

    proven: bool = True
    """True when both are optimal."""

    unserved: float = 0.0
    """Largest share of any workload's peak that the plan leaves unserved, ..."""

    unserved_without: float = 0.0
    """... and the best plan without the limit."""

    @property
    def usd_per_month(self) -> float | None:
        """Score with the limit less score without."""
        if self.without_limit_usd is None:
            return None
        return self.with_limit_usd - self.without_limit_usd

    @property
    def share(self) -> float | None:
        """The same as a share of the score without."""
        if self.usd_per_month is None or not self.without_limit_usd:
            return None
        return self.usd_per_month / self.without_limit_usd


@dataclass(frozen=True)
class StalePrices:
    """What of a plan rests on old prices, and what it costs where these have risen."""

    stale_after_days: float
    """Prices older than this are old: `policy.stale_after`."""

    oldest_days: int
    usd_per_month: float
    """Paid at old prices."""

    cash_usd_per_month: float
    """Paid for the whole plan."""

    @property
    def rise(self) -> float:
        """By how much they are taken to have risen."""
        return PRICE_RISE

    @property
    def share(self) -> float:
        """Of the plan's cash."""
        return self.usd_per_month / self.cash_usd_per_month

    @property
    def if_risen_usd_per_month(self) -> float:
        """Cash of the same fleet where the old prices are `rise` higher."""
        return self.cash_usd_per_month + self.rise * self.usd_per_month


@dataclass(frozen=True)
class CommitmentUse:
    """What a plan uses of a commitment in its month."""

    offering: str
    """Its offering's id, or the pattern."""

    billing: str
    """'' for any."""

    units: int | None
    """Units that are paid; None where an amount is."""

    usd_per_hour: float | None
    """What is paid in every hour; None where units are."""

    until: date | None
    """The last day that is paid; None where that is beyond the month."""

    paid: float
    """Unit-hours of the month that are paid, or USD of the month; 0 where it has ended."""

    used: float
    """Those of them that cover what the plan has on."""

    saved_usd_per_month: float
    """Rent that is not paid for what is covered."""

    @property
    def unused(self) -> float:
        """Unit-hours, or USD, that are paid for nothing."""
        return max(0.0, self.paid - self.used)

    @property
    def share(self) -> float | None:
        """Part that is used; None where it has ended."""
        return self.used / self.paid if self.paid else None


def age_days(row: Offering | TokenPrice, today: date) -> int:
    """Days since the source had the price; 0 where the clock is behind it."""
    return max(0, (today - row.as_of).days)


def stale_prices(
    paid: Iterable[tuple[Offering | TokenPrice, float]],
    cash_usd: float,
    stale_after_days: float,
    today: date | None,
) -> StalePrices | None:
    """What rests on prices older than `stale_after_days`; None where nothing does.

    paid: rows with the USD/month paid at their price. What is owned is paid already and does not
    become dearer; what costs nothing is no risk. today: None where no day is known.
    """
    if today is None:
        return None
    rented = [
        (age_days(row, today), usd) for row, usd in paid if row.billing != "owned" and usd > 0
    ]
    old = [(age, usd) for age, usd in rented if age > stale_after_days]
    if not old:
        return None
    oldest = max(age for age, _ in old)
    return StalePrices(stale_after_days, oldest, sum(usd for _, usd in old), cash_usd)


@dataclass(frozen=True)
class DocumentParts:
    """What a plan's document only sums up, as it stands there."""

    alternatives: tuple[Mapping[str, Any], ...]
    turned_down: Mapping[str, Any]
    """How many offerings were turned down, and why."""

    measure_next: Mapping[str, Any] | None
    """The one measurement that would tighten the plan most."""
