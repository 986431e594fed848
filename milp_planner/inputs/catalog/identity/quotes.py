"""A price that another source has for a product."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from milp_planner.inputs.reading.records import Frozen


class Quote(Frozen):
    """A price of an offering that is not the one that counts."""

    id: str
    """What its source calls the offering: `provider/name/region`."""

    usd_per_hour: Annotated[float, Field(ge=0)]
    as_of: date
    source: str
    note: str = ""
