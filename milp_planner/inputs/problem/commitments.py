"""What is paid already: units until a day, or so many dollars an hour of a provider's list."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from milp_planner.errors import RecordError
from milp_planner.inputs.catalog.records import Billing
from milp_planner.inputs.problem.prices import Discount
from milp_planner.inputs.reading.field_types import Amount, UnitCount
from milp_planner.inputs.reading.records import Frozen

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)


def _last_day(value: Any) -> Any:
    """`2027-12` is its last day; anything else is left to be read as a date."""
    found = _MONTH.fullmatch(value) if isinstance(value, str) else None
    if found is None or found[1] == "0000":
        return value
    year, month = int(found[1]), int(found[2])
    return date(year, month, monthrange(year, month)[1])


LastDay = Annotated[
    date,
    BeforeValidator(_last_day),
    WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d{2}(-\d{2})?$"}),
]
"""A day, or a month for its last day."""


class Commitment(Frozen):
    """Units, or an amount of list price an hour, that are paid whether or not they are used.

    What they cost is sunk: a plan pays nothing for what they cover, and saves nothing by not using
    it. They cover what saves most.
    """

    offering: Annotated[str, Field(min_length=1, max_length=200)]
    """Id of an offering, or a pattern: then the units may be of any that it matches."""

    billing: Billing | None = None
    """Of one billing only; default: of any but spot, which nobody commits to."""

    units: UnitCount | None = None
    """Units that are paid."""

    usd_per_hour: Amount | None = None
    """Instead of units: what is spent in every hour, after the discount."""

    discount: Discount | None = None
    """With `usd_per_hour`: share off the price of all that it pays for."""

    until: LastDay | None = None
    """The last day that is paid, or month (`2027-12`); default: beyond the month that is planned,
    which begins today."""

    @model_validator(mode="after")
    def _says_how_much(self) -> Self:
        if self.units is None and self.usd_per_hour is None:
            raise RecordError("write units, or usd_per_hour and its discount: how much is paid")
        if self.units is not None and self.usd_per_hour is not None:
            raise RecordError("units are paid, or so much an hour; write one", at=("usd_per_hour",))
        if self.usd_per_hour is not None and self.discount is None:
            raise RecordError("required beside usd_per_hour: `discount: 30%`", at=("discount",))
        if self.usd_per_hour is None and self.discount is not None:
            raise RecordError("goes with usd_per_hour; units are paid in full", at=("discount",))
        if self.billing in ("spot", "per_token"):
            raise RecordError(f"nobody commits to {self.billing}", at=("billing",))
        return self
