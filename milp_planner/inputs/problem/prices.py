"""What you pay where it is not what the catalog lists: discounts, prices of your own, and caps."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from milp_planner.inputs.reading.records import Frozen
from milp_planner.units import PositiveNumber, Share

RowGlob = Annotated[str, Field(min_length=1, max_length=200)]
"""An offering's id or a pattern, and a billing after it where one is meant: `aws/* spot`."""

Discount = Annotated[Share, Field(gt=0, le=0.99)]
UsdPerGpuHour = Annotated[PositiveNumber, Field(le=10_000)]


class OwnTerms(Frozen):
    """Your own terms with providers. What matches an offering most exactly holds for it."""

    discounts: dict[RowGlob, Discount] = Field(default_factory=dict)
    """Share off the list price by offering id or pattern, `aws/*: 15%`, also of token prices; of
    every billing but owned, unless one is named."""

    own: dict[RowGlob, UsdPerGpuHour] = Field(default_factory=dict)
    """USD per GPU and hour by offering id or pattern, instead of the list price and its discount;
    of dedicated and autoscaling offerings, unless a billing is named."""


class PriceCaps(Frozen):
    """The most that may be paid per GPU and hour, in USD, by billing."""

    dedicated: UsdPerGpuHour | None = None
    autoscaling: UsdPerGpuHour | None = None
    reserved_1y: UsdPerGpuHour | None = None
    reserved_3y: UsdPerGpuHour | None = None
    spot: UsdPerGpuHour | None = None
    owned: UsdPerGpuHour | None = None
