"""What a plan means beside its costs: what is left after a loss, what that safety costs, and what
becomes of today's units; and what a document sums up. Plain data; `losses`, `resilience`,
`changes` and `document` work it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class UnitChange:
    """What happens to the units of one offering for one workload."""

    workload: str
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
    """provider, region or offering."""

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
class DocumentParts:
    """What a plan's document only sums up, as it stands there."""

    alternatives: tuple[Mapping[str, Any], ...]
    turned_down: Mapping[str, Any]
    """How many offerings were turned down, and why."""

    measure_next: Mapping[str, Any] | None
    """The one measurement that would tighten the plan most."""
