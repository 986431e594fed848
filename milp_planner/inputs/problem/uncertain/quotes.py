"""Offers that a provider has made: a price for units that are paid for a term of months."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from milp_planner.errors import RecordError
from milp_planner.inputs.reading.field_types import Discount, UnitCount, UsdOrFree
from milp_planner.inputs.reading.records import Frozen
from milp_planner.units import Months, Share


class OwnQuote(Frozen):
    """An offer to pay for units all through a term, at a price below the list."""

    offering: Annotated[str, Field(min_length=1, max_length=200)]
    """Id of an offering that is rented on demand, or a pattern: then each that it matches."""

    term_months: Months = Field(validation_alias="term", serialization_alias="term")
    """How long the units are paid, whether or not they run."""

    usd_per_gpu_hour: UsdOrFree | None = None
    """USD per GPU and hour, all payments of the term together; 0 of `units` paid already."""

    discount: Discount | None = None
    """Instead of a price: share off the list price on demand."""

    upfront: Share = 0.0
    """Share of all that the term costs that is paid when it is signed."""

    units: UnitCount | None = None
    """How many can be had of each offering; default: as many as you want."""

    @model_validator(mode="after")
    def _says_a_price(self) -> Self:
        if self.usd_per_gpu_hour is None and self.discount is None:
            raise RecordError("write usd_per_gpu_hour, or a discount off the list price")
        if self.usd_per_gpu_hour is not None and self.discount is not None:
            message = "a price has its discount in it; write usd_per_gpu_hour or discount"
            raise RecordError(message, at=("discount",))
        if self.usd_per_gpu_hour == 0 and self.units is None:
            message = "0 is the price of units that are paid already; say how many under units"
            raise RecordError(message, at=("usd_per_gpu_hour",))
        return self
