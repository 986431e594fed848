"""Ways to pay for a unit.

To add one, add its name to `Billing` and a `BillingMode` below, and price it in a catalog.
"""

from __future__ import annotations

from typing import Literal

from milp_planner.lazily import dataclass

Billing = Literal[
    "dedicated",
    "autoscaling",
    "reserved_1y",
    "reserved_3y",
    "committed",
    "spot",
    "per_token",
    "owned",
]


@dataclass(frozen=True)
class BillingMode:
    """How a unit is paid for, and what the buyer gives up."""

    name: str
    elastic: bool = False
    """Units may differ from block to block, and only the hours that are on are paid."""

    interruptible: bool = False
    """The provider may take the unit back while it is serving."""

    commitment_months: int = 0
    """Months that are paid whether or not the unit runs; of `committed` each row says its own."""

    binds: bool = False
    """Paid whatever comes: decided before it is known which future it is."""

    per_token: bool = False
    """Paid by the token: no units, no utilization, no band."""

    by_default: bool = False
    """Considered when the problem does not say which billing it allows."""


DEDICATED = BillingMode("dedicated", by_default=True)
AUTOSCALING = BillingMode("autoscaling", elastic=True, by_default=True)
RESERVED_1Y = BillingMode("reserved_1y", commitment_months=12, binds=True)
RESERVED_3Y = BillingMode("reserved_3y", commitment_months=36, binds=True)
COMMITTED = BillingMode("committed", binds=True)
SPOT = BillingMode("spot", elastic=True, interruptible=True)
PER_TOKEN = BillingMode("per_token", elastic=True, per_token=True)
OWNED = BillingMode("owned", by_default=True, binds=True)

BILLING_MODES = {
    mode.name: mode
    for mode in (
        *(DEDICATED, AUTOSCALING, RESERVED_1Y, RESERVED_3Y, COMMITTED, SPOT, PER_TOKEN, OWNED),
    )
}
