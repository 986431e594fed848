"""What you pay where it is not what the catalog lists: discounts, prices of your own, and caps."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, model_validator

from milp_planner.errors import RecordError
from milp_planner.inputs.reading.field_types import (
    MOST_USD,
)
from milp_planner.inputs.reading.field_types import Discount as Discount
from milp_planner.inputs.reading.field_types import RowGlob as RowGlob
from milp_planner.inputs.reading.field_types import UsdPerGpuHour as UsdPerGpuHour
from milp_planner.inputs.reading.records import Frozen
from milp_planner.units import NonNegativeNumber, usd_shown


class VolumeTier(Frozen):
    """From how much a month on what is spent beyond it costs less."""

    above_usd: Annotated[NonNegativeNumber, Field(le=MOST_USD)] = Field(
        validation_alias="above", serialization_alias="above"
    )
    """USD a month, at the prices that hold without it."""

    discount: Discount
    """Share off what is spent beyond, up to the next tier."""


class OwnTerms(Frozen):
    """Your own terms with providers. What matches an offering most exactly holds for it."""

    discounts: dict[RowGlob, Discount] = Field(default_factory=dict)
    """Share off the list price by offering id or pattern, `aws/*: 15%`, also of token prices; of
    every billing but owned, unless one is named."""

    own: dict[RowGlob, UsdPerGpuHour] = Field(default_factory=dict)
    """USD per GPU and hour by offering id or pattern, instead of the list price and its discount;
    of dedicated and autoscaling offerings, unless a billing is named."""

    volume: dict[RowGlob, tuple[VolumeTier, ...]] = Field(default_factory=dict)
    """Discounts by what is spent in a month on all that a pattern is about together, each on what
    lies between its amount and the next: `aws/*: [{above: 50k, discount: 10%}]`."""

    @model_validator(mode="after")
    def _tiers_rise(self) -> Self:
        for pattern, tiers in self.volume.items():
            amounts = [tier.above_usd for tier in tiers]
            if not amounts:
                raise RecordError("at least one tier is needed", at=("volume", pattern))
            for i, (before, after) in enumerate(pairwise(amounts), start=1):
                if after <= before:
                    message = (
                        f"tiers rise: {usd_shown(after, 0)} is not above {usd_shown(before, 0)}"
                    )
                    raise RecordError(message, at=("volume", pattern, i, "above"))
        return self


class PriceCaps(Frozen):
    """The most that may be paid per GPU and hour, in USD, by billing."""

    dedicated: UsdPerGpuHour | None = None
    autoscaling: UsdPerGpuHour | None = None
    reserved_1y: UsdPerGpuHour | None = None
    reserved_3y: UsdPerGpuHour | None = None
    committed: UsdPerGpuHour | None = None
    spot: UsdPerGpuHour | None = None
    owned: UsdPerGpuHour | None = None
